/*-------------------------------------------------------------------------
 *
 * prepared.h
 *	  What the files of the module prepared share.
 *
 * A definition is a row of dbutil.prepared_definitions: a statement under a
 * name, unique in its service ('' stands for none).  define.c makes and
 * removes definitions, definitions.c reads and writes the table, rights.c
 * says who may.  A backend that executes one keeps its plan (plans.c);
 * arguments.c turns what the caller gave into values of the parameters,
 * result.c hands rows back, execute.c ties them together.  metrics.c counts
 * in shared memory, views.c shows.
 *
 * The text runs with the rights of who calls it, so it matters who chose it:
 * see rights.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_PREPARED_PREPARED_H
#define DBU_PREPARED_PREPARED_H

#include "core/compat.h"
#include "core/histogram.h"
#include "core/module.h"
#include "core/named_params.h"

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/ilist.h"
#include "nodes/execnodes.h"
#include "storage/itemptr.h"
#include "tcop/dest.h"

/* Zeroed before it is filled: it is hashed. */
typedef struct DbuPreparedKey
{
	char		service[NAMEDATALEN];	/* '': none */
	char		name[NAMEDATALEN];
} DbuPreparedKey;

/* A row of dbutil.prepared_definitions. */
typedef struct DbuDefinition
{
	DbuPreparedKey key;
	char		owner[NAMEDATALEN]; /* a role's name, so that a dump restores it */
	int64		id;				/* random; another one after replace */
	char	   *statement;
	List	   *names;			/* char *, of its parameters; NIL: positional */
	Oid		   *types;
	int			ntypes;
	TimestampTz prepared_at;
	ItemPointerData tid;		/* where it was read */
} DbuDefinition;

/* Where a definition's metrics are; slot -1: nowhere. */
typedef struct DbuMetricsRef
{
	int32		slot;
	uint64		incarnation;	/* of the slot: it may have been given away */
} DbuMetricsRef;

/* What one execution adds to the metrics, and what they sum up to. */
typedef struct DbuPreparedCounters
{
	int64		calls;
	int64		errors;
	int64		rows;
	int64		generic_plans;
	int64		custom_plans;
	double		total_ms;
	double		min_ms;
	double		max_ms;
} DbuPreparedCounters;

typedef struct DbuPreparedMetrics
{
	DbuPreparedCounters counters;
	DbuHistogram histogram;
	uint32		holders;		/* backends that keep its plan */
	TimestampTz stats_since;
} DbuPreparedMetrics;

/* A statement that this backend keeps the plan of. */
typedef struct DbuPrepared
{
	dlist_node	by_use;
	MemoryContext mcxt;			/* it lives here, its plan in a context of its own */
	DbuPreparedKey key;
	int64		id;
	SPIPlanPtr	plan;
	DbuQueryText query;			/* names and positional only */
	Oid		   *types;
	int			ntypes;
	int			pins;			/* executions that use it; > 0: not to be freed */
	bool		doomed;			/* not found any more: freed once unpinned */
	bool		gone;			/* doomed, as its definition is gone */
	int64		counted_generic;	/* plans that the metrics know of */
	int64		counted_custom;
	int64		failures;		/* errors that the metrics do not know of yet */
	DbuMetricsRef metrics;
} DbuPrepared;

/* prepared.c */
extern const DbuModule dbu_prepared_module;
extern int	dbu_prepared_max;	/* dbutil.prepared_max */
extern int	dbu_prepared_max_plans; /* dbutil.prepared_max_plans */
extern int	dbu_prepared_read_safely(void);
extern void dbu_prepared_text_error(void *arg);
extern const char *dbu_prepared_parameter_name(List *names, int number);

/* rights.c */
extern bool dbu_prepared_may_execute(const char *owner);
extern bool dbu_prepared_may_change(const char *owner);
extern bool dbu_prepared_may_read(const char *owner);
extern bool dbu_prepared_owner_exists(const char *owner);

/* definitions.c */
extern uint64 dbu_prepared_generation(void);
extern bool dbu_prepared_table_exists(void);
extern bool dbu_prepared_set_key(DbuPreparedKey *key, const char *service, const char *name);
extern bool dbu_prepared_read(const DbuPreparedKey *key, DbuDefinition *definition);
extern List *dbu_prepared_read_all(void);
extern Datum dbu_prepared_names_datum(const DbuDefinition *definition);
extern Datum dbu_prepared_types_datum(const DbuDefinition *definition);
extern void dbu_prepared_lock(const DbuPreparedKey *key);
extern void dbu_prepared_write(DbuDefinition *definition, bool update);
extern void dbu_prepared_delete(const DbuDefinition *definition);

/* plans.c */
extern DbuPrepared *dbu_prepared_pin(const char *name);
extern void dbu_prepared_unpin(DbuPrepared *prepared);
extern void dbu_prepared_report_failures(void);

/* arguments.c */
extern ParamListInfo dbu_prepared_bind(const DbuPrepared *prepared, int nargs,
									   const Datum *values, const Oid *types, const bool *nulls);

/* result.c */
typedef struct DbuResult
{
	DestReceiver pub;			/* first: SPI knows this part only */
	ReturnSetInfo *rsinfo;
	const char *name;			/* of the prepared statement, for errors */
	bool		json;
	bool		started;		/* the statement does return rows */
	MemoryContext row_mcxt;		/* json: of one row */
	FmgrInfo	to_jsonb;
} DbuResult;

extern void dbu_prepared_result_begin(DbuResult *result, FunctionCallInfo fcinfo,
									  const char *name, bool json);
extern void dbu_prepared_result_expect(DbuResult *result, DbuPrepared *prepared);
extern void dbu_prepared_result_end(DbuResult *result, uint64 processed);

/* metrics.c */
extern Size dbu_prepared_shmem_size(void);
extern void dbu_prepared_shmem_attach(void *chunk, bool found, int lwlock_tranche);
extern bool dbu_prepared_metrics_on(void);
extern void dbu_prepared_metrics_hold(DbuMetricsRef *ref, int64 id);
extern void dbu_prepared_metrics_release(DbuMetricsRef *ref, bool gone);
extern void dbu_prepared_metrics_gone(int64 id);
extern void dbu_prepared_metrics_add(DbuMetricsRef *ref, int64 id,
									 const DbuPreparedCounters *call);
extern bool dbu_prepared_metrics_get(int64 id, DbuPreparedMetrics *metrics);
extern uint64 dbu_prepared_metrics_lost(void);

#endif							/* DBU_PREPARED_PREPARED_H */
