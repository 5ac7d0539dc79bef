/*-------------------------------------------------------------------------
 *
 * bulk.h
 *	  Shared by the files of the bulk module.
 *
 * A call goes through these steps, one file each:
 *
 *		options.c	arguments (or bulk_explain's jsonb) -> DbuBulkOptions
 *		target.c	catalog facts of the target -> DbuTarget
 *		limits.c	what cannot be written whatever the rows are: a clear refusal
 *		key.c		the key: its columns, operators, index -> DbuKey
 *		rows.c		array elements -> Datums of the target's column types
 *		json.c		the same for jsonb
 *		json_scalar.c	one value of it, where that is all there is to it
 *		feed.c		NULL keys, order, duplicates, slices -> DbuBatch
 *		shape.c		which columns, and which of them a row supplies -> DbuShape
 *		unite.c		one statement for rows that supply different columns
 *		default.c	the default of a column that a row does not supply
 *		sql.c		the text of the statements
 *		exec.c		one statement over one batch, through SPI
 *		counted.c	the same for ON CONFLICT, which tells more there
 *		match.c		which rows have a match in the target
 *		reject.c	rows that cannot be written are told, the others are
 *		attempt.c	the same for a batch: try it, judge its rows, search it
 *		judge.c		rows that would break a constraint or a unique index
 *		judge_update.c	the same for rows that update others
 *		judge_unique.c judge_foreign.c	its unique indexes and foreign keys
 *		sources.c	more functions that insert: from a query, columns, COPY data
 *		query.c columns.c copy.c	the rows of these
 *		returning.c	an insert that tells what became of each row
 *		batches.h	the procedures that commit chunk by chunk
 *		metrics.c	shared memory: progress, and metrics since the last reset
 *		reject_store.c	where rejected rows are kept
 *		direct.h	an insert of rows without a statement, where that is the same
 *		delete_values.c	keys that are an array of values, without a batch
 *		insert.c update.c delete.c	what to run over a batch, and what became of its rows
 *		result.c	counters -> dbutil.bulk_result
 *
 * A batch is a tuplestore that statements read as the relation dbutil_rows
 * (a named tuplestore, as triggers see their transition tables).  So values
 * never become SQL text, the planner knows the number of rows, and one
 * prepared plan serves all batches of one shape.
 *
 * Lifetime: all of it lives in the SPI procedure context of the call, batches
 * in a context of their own that is reset after each slice.  The target is
 * locked with AccessShareLock before its facts are read; the lock is kept to
 * the end of the transaction, so the facts stay true.  What the direct route
 * rests on could change under that lock: it is read anew for each batch, under
 * RowExclusiveLock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_BULK_BULK_H
#define DBU_BULK_BULK_H

#include "core/compat.h"
#include "core/module.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/bitmapset.h"
#include "nodes/execnodes.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/relcache.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

typedef enum DbuBulkOp
{
	DBU_BULK_INSERT,
	DBU_BULK_UPDATE,
	DBU_BULK_DELETE
} DbuBulkOp;

#define DBU_BULK_NOPS 3

/* The words of the parameters, in the order of their lists in options.c. */
typedef enum DbuOnConflict
{
	DBU_CONFLICT_ERROR,
	DBU_CONFLICT_NOTHING,
	DBU_CONFLICT_UPDATE,
	DBU_CONFLICT_UPDATE_IF_CHANGED,
	DBU_CONFLICT_REJECT			/* options.c makes it ERROR and reject_conflicts */
} DbuOnConflict;

typedef enum DbuDuplicates
{
	DBU_DUPLICATES_ERROR,
	DBU_DUPLICATES_FIRST,
	DBU_DUPLICATES_LAST
} DbuDuplicates;

typedef enum DbuMissing
{
	DBU_MISSING_IGNORE,
	DBU_MISSING_ERROR,
	DBU_MISSING_REJECT,
	DBU_MISSING_INSERT
} DbuMissing;

typedef enum DbuLocked
{
	DBU_LOCKED_WAIT,
	DBU_LOCKED_SKIP,
	DBU_LOCKED_ERROR
} DbuLocked;

/* Lists hold char *; NIL and NULL mean "not given". */
typedef struct DbuBulkOptions
{
	List	   *columns;
	int			on_conflict;	/* DbuOnConflict */
	List	   *conflict_columns;
	char	   *conflict_constraint;
	List	   *update_columns;
	int			duplicates;		/* DbuDuplicates */
	List	   *key;
	List	   *set_columns;
	int			nulls_keep;		/* 1: a NULL leaves the column as it is */
	bool		skip_unchanged;
	int			missing;		/* DbuMissing */
	int			on_error;		/* 1: rows that fail are rejected */
	int			locked;			/* DbuLocked */
	bool		reject_conflicts;	/* on_conflict is "reject" */
	int64		max_errors;		/* -1: not given */
	Oid			reject_to;		/* InvalidOid: not given */
	int			chunk_rows;		/* 0: not given */
	bool		dry_run;
} DbuBulkOptions;

typedef struct DbuColumn
{
	AttrNumber	attnum;
	char	   *name;
	const char *quoted;
	Oid			type;
	int32		typmod;
	Oid			collation;
	bool		generated;		/* stored or virtual, or identity ALWAYS */
} DbuColumn;

/* What a column's values are in a batch. */
typedef struct DbuFeedColumn
{
	Oid			type;
	int32		typmod;
	Oid			collation;
} DbuFeedColumn;

typedef struct DbuTarget
{
	Oid			relid;
	char	   *name;			/* for messages */
	char	   *sql_name;		/* qualified and quoted */
	char		relkind;
	bool		generates;		/* has stored generated columns */
	bool		tells_xmax;		/* RETURNING xmax tells insert from update */
	bool		row_security;	/* policies apply to the caller */
	double		reltuples;		/* <= 0: unknown */
	int			ncolumns;
	DbuColumn  *columns;		/* without the dropped ones */
	List	   *primary_key;	/* names, in key order; NIL if there is none */
	bool		may_suppress[DBU_BULK_NOPS];	/* triggers, policies, rules may
												 * keep a row out silently */
	bool		has_rule[DBU_BULK_NOPS];	/* then nothing is returned */
	const char *one_statement[DBU_BULK_NOPS];	/* why slices would show, or NULL */
	const char *after_row[DBU_BULK_NOPS];	/* the same, to row triggers only */
	bool		referenced;		/* by a foreign key */
	List	   *referenced_columns; /* DbuColumn *: these, by foreign keys */
} DbuTarget;

typedef struct DbuKey
{
	int			ncolumns;
	const DbuColumn **columns;
	int		   *positions;		/* among the columns of the rows, -1: not there */
	char	  **equal;			/* operators, as SQL; NULL if there is none */
	Oid		   *equal_op;		/* the same as OIDs */
	Oid		   *less;			/* operators to sort by */
	bool		comparable;		/* all of these exist */
	bool		nulls_equal;	/* NULLS NOT DISTINCT */
	Bitmapset  *asked;			/* key columns whose default was asked for ... */
	Bitmapset  *filled;			/* ... and of these, by position, those that all rows share */
	Datum	   *fill_values;
	bool	   *fill_nulls;
	char	   *index_name;		/* an index that finds rows by this key, or NULL */
} DbuKey;

typedef struct DbuPlan
{
	SPIPlanPtr	plan;			/* unsaved: in a context of its own, below the call's */
} DbuPlan;

/* What a statement is for; one plan of each for each shape. */
typedef enum DbuPlanKind
{
	DBU_PLAN_WRITE,
	DBU_PLAN_MATCH,				/* which rows have a match in the target? */
	DBU_PLAN_INSERT_MISSING,
	DBU_PLAN_LOCK,
	DBU_PLAN_JUDGE,				/* rows with their matches */
	DBU_PLAN_ARBITERS,			/* never run: what may conflict? */
	DBU_PLAN_KINDS
} DbuPlanKind;

/* Rows that supply the same columns. */
typedef struct DbuShape
{
	Bitmapset  *present;		/* hash key: positions among the columns of the rows */
	int			id;
	List	   *members;		/* united: the shapes its rows are of; else NIL */
	bool		checked;		/* PostgreSQL took its statement for a valid one */
	DbuPlan	   *plans[DBU_PLAN_KINDS];
} DbuShape;

/* What became of one row of a batch. */
typedef enum DbuRowState
{
	DBU_ROW_OPEN,
	DBU_ROW_DONE,
	DBU_ROW_UNCHANGED,
	DBU_ROW_SUPPRESSED,
	DBU_ROW_REJECTED
} DbuRowState;

typedef struct DbuBatch
{
	DbuShape   *shape;
	Bitmapset  *shape_ids;		/* of its rows, as long as there are several */
	Tuplestorestate *store;
	int64		nrows;			/* in store */
	int64		nstates;		/* rows of the batch, > nrows for a left-over one */
	int64		max_states;
	uint8	   *states;			/* DbuRowState by pos - 1 */
} DbuBatch;

typedef struct DbuBulkResult
{
	int64		rows_in;
	int64		inserted;
	int64		updated;
	int64		unchanged;
	int64		deleted;
	int64		conflicts;
	int64		missing;
	int64		suppressed;
	int64		rejected;
	int64		chunks;
	int64		retries;
	double		elapsed_ms;
	double		throttled_ms;
	uint64		wal_bytes;
	int64		first_error_ord;	/* 0: none */
	const char *first_sqlstate;
	char	   *first_message;
	bool		complete;
} DbuBulkResult;

/* Columns of a batch's rows: pos, ord, shape, then c1 .. cN. */
#define DBU_FEED_POS 1
#define DBU_FEED_ORD 2
#define DBU_FEED_SHAPE 3
#define DBU_FEED_FIRST 4
#define DBU_FEED_NAME "dbutil_rows"

typedef struct DbuDefault DbuDefault;
typedef struct DbuDirect DbuDirect;
typedef struct DbuRejects DbuRejects;

typedef struct DbuBulkCall
{
	DbuBulkOp	op;
	DbuBulkOptions opt;
	DbuTarget  *target;
	DbuKey	   *key;			/* insert: what conflicts are judged by, or NULL */
	int			ncolumns;		/* columns of the rows ... */
	const DbuColumn **columns;	/* ... by position */
	DbuFeedColumn *feed;		/* the same columns as a batch has them */
	TupleDesc	desc;			/* of a batch's rows */
	HTAB	   *shape_table;
	List	   *shapes;			/* by id */
	DbuShape   *last_shape;
	int64		nbatches;		/* flushed */
	bool		by_values;		/* keys went to the statement as an array */
	int64		direct_batches; /* attempts without a statement ... */
	const char *not_direct;		/* ... and why the last other one had one */
	bool		met_conflicts;	/* ON CONFLICT DO NOTHING had to go back to INSERT */
	const char *leaf_refused;	/* ... or all of it had to, and why */
	DbuDefault *defaults;		/* by position; NULL: none was asked for */
	ExprContext *default_econtext;
	int			nplans;
	List	   *update_columns;	/* DbuColumn *: opt.update_columns, looked up */
	int64		rows_expected;	/* that the source will give, -1: not known */
	bool		returns;		/* what became of each row is told */
	List	   *returned;		/* DbuReturned * */
	struct DbuBatches *batches; /* NULL: not a chunk of a procedure */
	DbuRejects *rejects;		/* NULL: the first bad row ends the call */
	MemoryContext mcxt;			/* of the call */
	MemoryContext slice_mcxt;	/* of the slice being filled */
	DbuBulkResult res;
} DbuBulkCall;

/* One row as the sources hand it out; valid until the next one is read. */
typedef struct DbuRow
{
	int64		ord;			/* from 1 */
	Datum	   *values;			/* by position */
	bool	   *nulls;
	DbuShape   *shape;
	int			position;		/* being read, -1: none; to tell of errors */
} DbuRow;

/* Rows of a query, or in columns, as a source reads them. */
typedef struct DbuTuples DbuTuples;
struct DbuTuples
{
	TupleDesc	desc;			/* blessed */
	bool		(*next) (DbuTuples *tuples, HeapTuple *tuple);
	void		(*fill) (DbuTuples *tuples);	/* outside the guard, if they want; or NULL */
	SPITupleTable *table;
	uint64		position;		/* in table */
	Portal		cursor;			/* or NULL */
	void	   *columns;		/* columns.c */
};

/* What to do with a batch: write it. */
typedef void (*DbuFlush) (DbuBulkCall *call, DbuBatch *batch);

/* Where rows come from.  next answers false at the end. */
typedef struct DbuSource DbuSource;
struct DbuSource
{
	bool		(*next) (DbuSource *source, DbuRow *row);
	/* the row that could not be read, as jsonb; may find row->position */
	Datum		(*describe) (DbuSource *source, DbuRow *row);
	/* do the rows come in the order of the key, each key once?  NULL: that cannot be asked */
	bool		(*in_order) (DbuSource *source);
	bool		all_or_nothing; /* cannot be read on behind an error */
	DbuTuples  *tuples;			/* what it reads, if that is a query */
	ArrayType  *values;			/* the keys to delete, if they are just that; or NULL */
	DbuBulkCall *call;
	DbuRow		row;
};

/* bulk.c */
extern const DbuModule dbu_bulk_module;
extern int	dbu_bulk_chunk_rows;	/* dbutil.bulk_chunk_rows */
extern DbuBulkCall *dbu_bulk_call_begin(DbuBulkOp op, Oid relid);
extern Datum dbu_bulk_call(FunctionCallInfo fcinfo, DbuBulkOp op,
						   void (*options) (DbuBulkCall *call, FunctionCallInfo fcinfo),
						   DbuSource *(*open) (DbuBulkCall *call, FunctionCallInfo fcinfo), DbuFlush flush);
extern void dbu_bulk_run_call(DbuBulkCall *call, DbuSource *source, DbuFlush flush);
extern const char *const dbu_bulk_op_names[];

/* options.c */
extern void dbu_bulk_options_from_args(DbuBulkCall *call, FunctionCallInfo fcinfo);
extern void dbu_bulk_options_for_batches(DbuBulkCall *call, FunctionCallInfo fcinfo, int arg);
extern void dbu_bulk_options_from_jsonb(DbuBulkCall *call, Datum options);

/* target.c */
extern DbuTarget *dbu_bulk_target_load(Oid relid, DbuBulkOp op);
extern const DbuColumn *dbu_bulk_target_column(const DbuTarget *target,
											   const char *name, const char *what);
extern const DbuColumn *dbu_bulk_target_find(const DbuTarget *target, const char *name);
pg_noreturn extern void dbu_bulk_error_unknown(const DbuTarget *target, const char *name,
												   const char *what);

/* limits.c */
extern void dbu_bulk_check_foreign(const DbuTarget *target, DbuBulkOp op);
extern Datum dbu_bulk_jsonb_in(char *json);
extern void dbu_bulk_check_row_size(TupleDesc desc, const Datum *values, const bool *nulls, int64 ord);

/* key.c */
extern void dbu_bulk_key_resolve(DbuBulkCall *call);
extern void dbu_bulk_key_settle(DbuBulkCall *call);
extern void dbu_bulk_key_fill(DbuBulkCall *call, DbuRow *row);
extern bool dbu_bulk_key_supplied(const DbuBulkCall *call, const DbuShape *shape);
extern bool dbu_bulk_key_has(const DbuKey *key, const DbuColumn *column);
extern char *dbu_bulk_key_text(const DbuBulkCall *call, const Datum *values, const bool *nulls);
extern bool dbu_bulk_key_steers(const DbuBulkCall *call, int64 nrows);

/* shape.c */
extern void dbu_bulk_columns_choose(DbuBulkCall *call, TupleDesc given, bool by_position);
extern void dbu_bulk_columns_settle(DbuBulkCall *call, const Oid *given);
extern int	dbu_bulk_column_position(const DbuBulkCall *call, const DbuColumn *column);
extern DbuShape *dbu_bulk_shape_get(DbuBulkCall *call, const Bitmapset *present);
extern DbuShape *dbu_bulk_shape_full(DbuBulkCall *call);
extern DbuShape *dbu_bulk_shape_empty(DbuBulkCall *call);

/* unite.c */
extern bool dbu_bulk_unites(const DbuBulkCall *call);
extern void dbu_bulk_unite(DbuBulkCall *call, DbuBatch *batch);
extern void dbu_bulk_fill_defaults(DbuBulkCall *call, DbuBatch *batch, const Bitmapset *present);
extern bool dbu_bulk_has_idle(DbuBulkCall *call, const DbuShape *shape);
extern char *dbu_bulk_idle_sql(DbuBulkCall *call, const DbuShape *shape);
extern char *dbu_bulk_united_value(DbuBulkCall *call, const DbuShape *shape, int position, char *value);

/* default.c */
extern Node *dbu_bulk_default_expression(Relation rel, AttrNumber attnum);
extern bool dbu_bulk_default_is_stable(DbuBulkCall *call, int position);
extern Datum dbu_bulk_default_value(DbuBulkCall *call, int position, bool *isnull);
extern void dbu_bulk_default_reset(DbuBulkCall *call);

/* query.c, columns.c */
extern DbuTuples *dbu_bulk_tuples_of_result(SPITupleTable *table);
extern DbuTuples *dbu_bulk_tuples_of_query(const char *sql);
extern bool dbu_bulk_tuples_want(const DbuTuples *tuples);
extern DbuTuples *dbu_bulk_tuples_of_columns(const char *const *names, int n, const Oid *types, const Datum *arrays);
extern void dbu_bulk_tuples_end(DbuTuples *tuples);
extern DbuSource *dbu_bulk_copy_open(DbuBulkCall *call, Datum data, const char *format);

/* rows.c, json.c */
extern DbuSource *dbu_bulk_tuples_open(DbuBulkCall *call, DbuTuples *tuples);
extern DbuSource *dbu_bulk_rows_open(DbuBulkCall *call, Datum rows);
extern DbuSource *dbu_bulk_json_open(DbuBulkCall *call, Datum rows);

/* feed.c */
extern void dbu_bulk_feed(DbuBulkCall *call, DbuSource *source,
						  DbuFlush flush);
extern DbuBatch *dbu_bulk_left_over(DbuBulkCall *call, DbuBatch *batch);
extern int64 dbu_bulk_count(const DbuBatch *batch, DbuRowState state);
extern char *dbu_bulk_first(DbuBulkCall *call, DbuBatch *batch, DbuRowState state,
							int64 *ord);

/* reject.c */
typedef struct DbuReject
{
	int64		chunk;
	int64		ord;
	int			sqlerrcode;
	const char *constraint_name;	/* from here on NULL: none */
	const char *column_name;
	const char *message;
	const char *detail;
	Datum		row_data;		/* jsonb */
} DbuReject;

struct DbuRejects
{
	char	   *job;
	bool		guarded;		/* the guard's subtransaction is open */
	struct ResourceOwnerData *guard_owner;
	bool		judge_first;	/* the last batch had rows that can be found by judging */
	int64		searched;		/* rows of batches that were searched ... */
	int64		found;			/* ... and what was found there */
	int64		attempts;		/* subtransactions that wrote */
	List	   *pending;		/* DbuReject *, in mcxt, to be written */
	MemoryContext mcxt;			/* reset when they are */
	List	   *first;			/* texts of the first ones, in the call's context */
};

extern char *dbu_bulk_new_job(void);
extern void dbu_bulk_rejects_begin(DbuBulkCall *call);
extern void dbu_bulk_rejects_end(DbuBulkCall *call);
extern bool dbu_bulk_error_of_row(int sqlerrcode);
extern bool dbu_bulk_rejectable(const DbuBulkCall *call, int sqlerrcode);
extern ErrorData *dbu_bulk_guard(DbuBulkCall *call, void (*body) (void *arg), void *arg);
extern bool dbu_bulk_fails(DbuBulkCall *call, void (*body) (void *arg), void *arg);
extern Datum dbu_bulk_row_as_jsonb(Datum row);
extern void dbu_bulk_guard_end(DbuBulkCall *call);
extern void dbu_bulk_guard_abort(DbuBulkCall *call);
extern bool dbu_bulk_reject_read(DbuBulkCall *call, DbuSource *source, DbuRow *row,
								 bool (*read) (DbuBulkCall *call, DbuSource *source, DbuRow *row));
extern void dbu_bulk_reject(DbuBulkCall *call, const DbuReject *reject);
extern void dbu_bulk_reject_slot(DbuBulkCall *call, TupleTableSlot *slot, DbuReject *reject);
extern void dbu_bulk_reject_missing(DbuBulkCall *call, DbuBatch *batch);
extern void dbu_bulk_reject_limit(DbuBulkCall *call);

/* reject_store.c */
extern void dbu_bulk_rejects_check_target(Oid relid);
extern void dbu_bulk_rejects_store(DbuBulkCall *call);

/* metrics.c */
extern Size dbu_bulk_shmem_size(void);
extern void dbu_bulk_shmem_attach(void *chunk, bool found, int lwlock_tranche);
extern void dbu_bulk_progress_begin(const DbuBulkCall *call);
extern void dbu_bulk_progress_update(const DbuBulkCall *call);
extern void dbu_bulk_progress_end(const DbuBulkCall *call);
extern void dbu_bulk_metrics_add(Oid relid, DbuBulkOp op, const DbuBulkResult *res);
extern void dbu_bulk_status(DbuStatusSink *sink);

/* returning.c */
extern void dbu_bulk_returned(DbuBulkCall *call, int64 ord, const char *action);
extern void dbu_bulk_returned_slot(DbuBulkCall *call, TupleTableSlot *slot, const char *action);
extern void dbu_bulk_returned_row(DbuBulkCall *call, int64 ord, TupleDesc desc, const Datum *values, const bool *nulls);
extern void dbu_bulk_returned_reject(DbuBulkCall *call, const DbuReject *reject);

/* attempt.c */
extern void dbu_bulk_attempt(DbuBulkCall *call, DbuBatch *batch, DbuFlush flush);
extern DbuBatch *dbu_bulk_piece(DbuBulkCall *call, DbuBatch *batch, int64 from, int64 to);
extern void dbu_bulk_piece_free(DbuBatch *piece);

/* judge.c, judge_unique.c, judge_foreign.c */
typedef struct DbuJudge DbuJudge;
extern int64 dbu_bulk_judge(DbuBulkCall *call, DbuBatch *batch);
extern int64 dbu_bulk_judge_foreign(DbuBulkCall *call, DbuBatch *batch);

/* exec.c */
typedef enum DbuAnswer
{
	DBU_ANSWER_NONE,			/* rows returned are not looked at */
	DBU_ANSWER_POS,				/* pos: that row gets state */
	DBU_ANSWER_POS_EQUAL,		/* pos, equal: UNCHANGED or SUPPRESSED */
	DBU_ANSWER_TRUE				/* one boolean: counted in yes */
} DbuAnswer;

typedef struct DbuRun
{
	DbuAnswer	answer;
	DbuRowState state;
	bool		steer;			/* out of a join over the key make a nested loop */
	bool		counted;		/* ON CONFLICT: run it where it tells what it did */
	DestReceiver *dest;			/* what the statement returns goes there; or NULL */
	bool		(*watch) (PlanState *state, void *context);	/* finds a node of its plan ... */
	void	  **watched;		/* ... and puts it there, before it runs; or NULL */
	int64		yes;			/* out */
	int64		conflicts;		/* out, if still counted: rows that met another one ... */
	int64		kept;			/* ... of these, left alone by DO UPDATE's condition */
} DbuRun;

extern int64 dbu_bulk_run(DbuBulkCall *call, DbuBatch *batch, DbuPlanKind kind,
						  char *(*build) (DbuBulkCall *call, DbuShape *shape),
						  DbuRun *run);
extern bool dbu_bulk_run_counted(SPIPlanPtr plan, EphemeralNamedRelation rows, DestReceiver *dest,
								 DbuRun *run, int64 *processed);
extern List *dbu_bulk_arbiters(DbuBulkCall *call, DbuBatch *batch);
extern void dbu_bulk_check(DbuBulkCall *call, DbuBatch *batch, const char *sql);
extern void dbu_bulk_ask(DbuBulkCall *call, DbuBatch *batch, const char *sql, DbuRowState state);
extern void dbu_bulk_unregister_rows(void);
extern void dbu_bulk_set_off(const char *name);

/* sql.c */
extern char *dbu_bulk_insert_sql(DbuBulkCall *call, DbuShape *shape);
extern char *dbu_bulk_insert_missing_sql(DbuBulkCall *call, DbuShape *shape);
extern char *dbu_bulk_update_sql(DbuBulkCall *call, DbuShape *shape);
extern char *dbu_bulk_delete_sql(DbuBulkCall *call, DbuShape *shape);
extern char *dbu_bulk_lock_sql(DbuBulkCall *call, DbuShape *shape);
extern char *dbu_bulk_match_sql(DbuBulkCall *call, DbuShape *shape);
extern void dbu_bulk_append_match(StringInfo sql, const DbuBulkCall *call, const char *target, const char *rows);
extern bool dbu_bulk_sets(DbuBulkCall *call, const DbuShape *shape, int position);
extern bool dbu_bulk_sets_any(DbuBulkCall *call, const DbuShape *shape);
extern bool dbu_bulk_compares(DbuBulkCall *call, const DbuShape *shape);
extern bool dbu_bulk_tells_equal(DbuBulkCall *call, const DbuShape *shape);
extern bool dbu_bulk_upserts(const DbuBulkCall *call);
extern bool dbu_bulk_returns_xmax(const DbuBulkCall *call, const DbuShape *shape);

/* insert.c, update.c, delete.c: what to do with a batch */
extern void dbu_bulk_insert_flush(DbuBulkCall *call, DbuBatch *batch);
extern void dbu_bulk_update_flush(DbuBulkCall *call, DbuBatch *batch);
extern void dbu_bulk_delete_flush(DbuBulkCall *call, DbuBatch *batch);

/* delete_values.c */
extern bool dbu_bulk_delete_values(DbuBulkCall *call, ArrayType *array);

/* match.c */
extern void dbu_bulk_match(DbuBulkCall *call, DbuBatch *batch, DbuRowState state);
extern void dbu_bulk_settle_open(DbuBulkCall *call, DbuBatch *batch, DbuRowState matched);
extern DbuBatch *dbu_bulk_lock(DbuBulkCall *call, DbuBatch *batch);
extern void dbu_bulk_settle_rule(DbuBulkCall *call, DbuBatch *batch, int64 *done, int64 processed);
extern void dbu_bulk_note_error(DbuBulkCall *call, int64 ord, const char *sqlstate, char *message);

/* direct.c, direct_guard.c, direct_refuse.c */
typedef enum DbuRoute
{
	DBU_ROUTE_AUTO,
	DBU_ROUTE_SPI
} DbuRoute;

extern int	dbu_bulk_route;		/* dbutil.bulk_route */
extern const char *dbu_bulk_not_direct(const DbuBulkCall *call, const DbuShape *shape, Relation rel);
extern const char *dbu_bulk_call_not_direct(const DbuBulkCall *call);
extern const char *dbu_bulk_leaf_not_direct(const DbuBulkCall *call, Relation rel);
extern int	dbu_bulk_supplied_position(const DbuBulkCall *call, const DbuShape *shape, AttrNumber attnum);
extern DbuDirect *dbu_bulk_direct_begin(DbuBulkCall *call, DbuShape *shape, List *arbiters);
extern bool dbu_bulk_direct_is_for(const DbuDirect *direct, const DbuShape *shape);
extern bool dbu_bulk_direct_row(DbuDirect *direct, int64 ord, const Datum *values, const bool *nulls);
extern void dbu_bulk_direct_flush(DbuDirect *direct);
extern int64 dbu_bulk_direct_end(DbuDirect *direct);
extern bool dbu_bulk_direct_needs_guard(const DbuBulkCall *call);
extern bool dbu_bulk_direct(DbuBulkCall *call, DbuBatch *batch, int64 *inserted);

/* explain.c */
extern const char *dbu_bulk_route_name(const DbuBulkCall *call);
extern char *dbu_bulk_route_reason(const DbuBulkCall *call, int64 nrows);
extern int64 dbu_bulk_slice_limit(const DbuBulkCall *call);
extern const char *dbu_bulk_one_statement(const DbuBulkCall *call, bool *strict);

/* result.c */
extern Datum dbu_bulk_result_form(TupleDesc desc, DbuBulkOp op, const char *job,
								  const char *path, const char *path_reason, const DbuBulkResult *res);
extern void dbu_bulk_result_count(DbuBulkResult *sum, const DbuBulkResult *more);
extern void dbu_bulk_result_add(DbuBulkResult *sum, const DbuBulkResult *more);

#endif							/* DBU_BULK_BULK_H */
