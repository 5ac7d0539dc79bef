/*-------------------------------------------------------------------------
 *
 * advice.h
 *	  Index advice: candidates, proof, choice; see advice.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_EXPLAIN_ADVICE_H
#define DBU_EXPLAIN_ADVICE_H

#include "postgres.h"

#include "explain/explain.h"
#include "nodes/params.h"

/* A statement that indexes are wanted for. */
struct DbuWorkloadQuery
{
	int			number;			/* in the workload, from 1 */
	const char *text;			/* with $n */
	List	   *queries;		/* Query *, rewritten */
	Oid		   *types;			/* of its parameters */
	int			ntypes;
	ParamListInfo params;		/* their values, NULL: none are known */
	double		calls;			/* how much it weighs */
	int64		queryid;		/* if it was counted */
	double		total_time;		/* milliseconds, likewise */
	const char *skipped;		/* why it is left out, NULL: it is not */
	List	   *relids;			/* tables that it reads and that may have candidates */
	double		cost;			/* with the indexes that are there and chosen */
	double		trial_cost;		/* and with the one that is tried */
};

/* What an index is wanted for. */
typedef enum DbuIndexPurpose
{
	DBU_FOR_FILTER,
	DBU_FOR_JOIN,
	DBU_FOR_ORDER,
} DbuIndexPurpose;

typedef struct DbuIndexCandidate
{
	DbuIndexPurpose purpose;
	Oid			relid;
	List	   *columns;		/* int, the keys */
	int			nequal;			/* the first ones are compared for equality */
	List	   *included;		/* int, columns that it only carries */
	const char *predicate;		/* NULL: it is not partial */
	double		fraction;		/* of the rows that are in it */
	const DbuWorkloadQuery *query;	/* the first that wants it */
	List	   *numbers;		/* int, of all that want it */
	bool		alternative;	/* less than what they ask by; only with proof */
	double		size;			/* bytes, estimated */
} DbuIndexCandidate;

typedef struct DbuIndexAdvice
{
	const DbuIndexCandidate *candidate;
	const char *relation;
	const char *sql;
	bool		proven;			/* the planner would use it */
	double		cost_before;	/* of the workload, if proven */
	double		cost_after;
	List	   *numbers;		/* int, of the statements that gain by it */
	const char *reason;
} DbuIndexAdvice;

/* workload.c */
typedef void (*DbuTriedFunction) (void *arg);

extern const char *dbu_explain_try(DbuTriedFunction function, void *arg);
extern DbuWorkloadQuery *dbu_explain_read_query(const char *text, int number);
extern List *dbu_explain_worst_statements(int worst);

/* advice_candidates.c, advice_merge.c */
extern List *dbu_explain_index_candidates(DbuWorkloadQuery *query);
extern List *dbu_explain_merge_candidates(List *candidates);
extern char *dbu_explain_index_ddl(const DbuIndexCandidate *candidate, Oid relid, bool concurrently);
extern char *dbu_explain_needless_index(const DbuIndexCandidate *candidate);
extern double dbu_explain_index_size(const DbuIndexCandidate *candidate);

/* advice_prove.c */
typedef struct DbuProver
{
	MemoryContext context;		/* of the call: what outlives an SPI connection */
	const char *schema;			/* of hypopg, quoted */
	List	   *live;			/* oids of hypothetical indexes that exist now */
} DbuProver;

extern DbuProver *dbu_explain_prover(void);
extern List *dbu_explain_create_hypothetical(DbuProver *prover, DbuIndexCandidate *candidate);
extern void dbu_explain_drop_hypothetical(DbuProver *prover, List *oids);
extern List *dbu_explain_plan_by_sql(const DbuWorkloadQuery *query);
extern double dbu_explain_planned_cost(const DbuWorkloadQuery *query);

/* advice.c */
extern List *dbu_explain_advise(List *workload, bool *provable);

/* advice_call.c */
extern void dbu_explain_prove_findings(List *findings, DbuWorkloadQuery *query);

#endif							/* DBU_EXPLAIN_ADVICE_H */
