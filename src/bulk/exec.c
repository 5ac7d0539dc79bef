/*-------------------------------------------------------------------------
 *
 * exec.c
 *	  One statement over one batch, through SPI.
 *
 * Planning and execution are two steps.  Where rows are joined with the
 * target over its key, planning happens under settings that leave a nested
 * loop over the index as the way to go: else each slice of a big table may
 * become a hash join that reads the whole table.  These settings end before
 * the statement runs, so triggers never see them.
 *
 * Answers come back through a receiver of our own that writes into the
 * batch's states: memory does not grow with what RETURNING returns.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "executor/tuptable.h"
#include "tcop/dest.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

/* Prepared plans that a call keeps; a plan takes some 10 kB. */
#define MAX_PLANS 64

typedef struct AnswerReceiver
{
	DestReceiver pub;
	DbuBatch   *batch;
	DbuRun	   *run;
} AnswerReceiver;

static bool
receive_answer(TupleTableSlot *slot, DestReceiver *self)
{
	AnswerReceiver *receiver = (AnswerReceiver *) self;
	DbuRun	   *run = receiver->run;
	DbuBatch   *batch = receiver->batch;
	DbuRowState state = run->state;
	Datum		value;
	bool		isnull;
	uint8	   *place;

	value = slot_getattr(slot, 1, &isnull);
	if (run->answer == DBU_ANSWER_TRUE)
	{
		if (!isnull && DatumGetBool(value))
			run->yes++;
		return true;
	}

	if (isnull || DatumGetInt64(value) < 1 || DatumGetInt64(value) > batch->nstates)
		elog(ERROR, "unexpected row position in a bulk statement");
	place = &batch->states[DatumGetInt64(value) - 1];
	if (run->answer == DBU_ANSWER_POS_EQUAL)
	{
		value = slot_getattr(slot, 2, &isnull);
		/* a key that finds several rows: one that differs decides */
		if (*place == DBU_ROW_SUPPRESSED || isnull || !DatumGetBool(value))
			state = DBU_ROW_SUPPRESSED;
		else
			state = DBU_ROW_UNCHANGED;
	}
	*place = state;
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc typeinfo)
{
}

static void
receiver_nothing(DestReceiver *self)
{
}

static EphemeralNamedRelation
register_batch(DbuBulkCall *call, DbuBatch *batch)
{
	EphemeralNamedRelation rel = MemoryContextAllocZero(call->slice_mcxt,
														sizeof(EphemeralNamedRelationData));
	MemoryContext oldcxt;
	int			rc;

	rel->md.name = DBU_FEED_NAME;
	rel->md.reliddesc = InvalidOid;
	rel->md.tupdesc = call->desc;
	rel->md.enrtype = ENR_NAMED_TUPLESTORE;
	rel->md.enrtuples = batch->nrows;
	rel->reldata = batch->store;
	/* SPI keeps its list of them as long as the connection lasts, as the call does */
	oldcxt = MemoryContextSwitchTo(call->mcxt);
	rc = SPI_register_relation(rel);
	MemoryContextSwitchTo(oldcxt);
	if (rc != SPI_OK_REL_REGISTER)
		elog(ERROR, "SPI_register_relation failed: %s", SPI_result_code_string(rc));
	return rel;
}

/* After an error, when the rows of the statement may still be known by their name. */
void
dbu_bulk_unregister_rows(void)
{
	(void) SPI_unregister_relation(DBU_FEED_NAME);
}

static void
unregister_batch(void)
{
	int			rc = SPI_unregister_relation(DBU_FEED_NAME);

	if (rc != SPI_OK_REL_UNREGISTER)
		elog(ERROR, "SPI_unregister_relation failed: %s", SPI_result_code_string(rc));
}

static void
free_plans(DbuBulkCall *call)
{
	ListCell   *lc;

	foreach(lc, call->shapes)
	{
		DbuShape   *shape = lfirst(lc);

		for (int kind = 0; kind < DBU_PLAN_KINDS; kind++)
		{
			if (shape->plans[kind] == NULL)
				continue;
			SPI_freeplan(shape->plans[kind]->plan);
			pfree(shape->plans[kind]);
			shape->plans[kind] = NULL;
		}
	}
	call->nplans = 0;
}

static DbuPlan *
get_plan(DbuBulkCall *call, DbuShape *shape, DbuPlanKind kind,
		 char *(*build) (DbuBulkCall *call, DbuShape *shape))
{
	DbuPlan    *plan;
	MemoryContext oldcxt;

	if (shape->plans[kind] != NULL)
		return shape->plans[kind];
	if (call->nplans >= MAX_PLANS)
		free_plans(call);

	/* what is left of building the text goes with the slice */
	oldcxt = MemoryContextSwitchTo(call->slice_mcxt);
	plan = MemoryContextAllocZero(call->mcxt, sizeof(DbuPlan));
	plan->plan = SPI_prepare(build(call, shape), 0, NULL);
	MemoryContextSwitchTo(oldcxt);
	if (plan->plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	shape->plans[kind] = plan;
	call->nplans++;
	return plan;
}

/* A setting of the planner, until the nest ends. */
void
dbu_bulk_set_off(const char *name)
{
	(void) set_config_option(name, "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* Have the plan made now, unless a valid one is there. */
static void
make_nested_loop(DbuPlan *plan)
{
	int			nest = NewGUCNestLevel();
	CachedPlan *cached;

	dbu_bulk_set_off("enable_hashjoin");
	dbu_bulk_set_off("enable_mergejoin");
	dbu_bulk_set_off("enable_seqscan");
	dbu_bulk_set_off("enable_material");
	/* what is switched off counts as very expensive, which would call for jit */
	dbu_bulk_set_off("jit");
	cached = SPI_plan_get_cached_plan(plan->plan);
	if (cached != NULL)
		ReleaseCachedPlan(cached, NULL);
	AtEOXact_GUC(true, nest);
}

/*
 * Run the statement of a kind over batch, and learn from what it returns.
 * Answers the number of rows that the statement processed.
 */
int64
dbu_bulk_run(DbuBulkCall *call, DbuBatch *batch, DbuPlanKind kind,
			 char *(*build) (DbuBulkCall *call, DbuShape *shape), DbuRun *run)
{
	AnswerReceiver receiver = {
		.pub = {receive_answer, receiver_startup, receiver_nothing, receiver_nothing, DestTuplestore},
		.batch = batch,
		.run = run,
	};
	SPIExecuteOptions options = {0};
	EphemeralNamedRelation rel;
	DbuPlan    *plan;
	int64		processed;
	int			rc;

	run->yes = 0;
	rel = register_batch(call, batch);
	plan = get_plan(call, batch->shape, kind, build);
	if (run->steer)
		make_nested_loop(plan);
	if (run->counted)
	{
		DestReceiver *dest = run->answer != DBU_ANSWER_NONE ? &receiver.pub : None_Receiver;

		run->counted = dbu_bulk_run_counted(plan->plan, rel, run->dest ? run->dest : dest, run, &processed);
		if (run->counted)
		{
			unregister_batch();
			return processed;
		}
	}
	if (run->dest != NULL)
		options.dest = run->dest;
	else if (run->answer != DBU_ANSWER_NONE)
		options.dest = &receiver.pub;
	rc = SPI_execute_plan_extended(plan->plan, &options);
	/* negative: an error; SPI_OK_REWRITTEN: a rule made something else of it */
	if (rc < 0)
		elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(rc));
	unregister_batch();
	return rc == SPI_OK_REWRITTEN ? 0 : (int64) SPI_processed;
}

/*
 * The indexes in which ON CONFLICT with a target looks for conflicts, as
 * PostgreSQL finds them for the statement.
 */
List *
dbu_bulk_arbiters(DbuBulkCall *call, DbuBatch *batch)
{
	DbuPlan    *plan;
	CachedPlan *cached;
	Plan	   *top;
	List	   *arbiters;

	register_batch(call, batch);
	plan = get_plan(call, batch->shape, DBU_PLAN_ARBITERS, dbu_bulk_insert_sql);
	cached = SPI_plan_get_cached_plan(plan->plan);
	if (cached == NULL)
		elog(ERROR, "an INSERT has no plan of its own");
	top = linitial_node(PlannedStmt, cached->stmt_list)->planTree;
	arbiters = list_copy(castNode(ModifyTable, top)->arbiterIndexes);
	ReleaseCachedPlan(cached, NULL);
	unregister_batch();
	return arbiters;
}

/*
 * Let PostgreSQL check a statement without running it: names, types,
 * privileges, ON CONFLICT's index.
 */
void
dbu_bulk_check(DbuBulkCall *call, DbuBatch *batch, const char *sql)
{
	int			rc;

	register_batch(call, batch);
	rc = SPI_execute(psprintf("EXPLAIN (COSTS OFF) %s", sql), false, 0);
	if (rc < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(rc));
	SPI_freetuptable(SPI_tuptable);
	unregister_batch();
}

/* Run a query that returns pos, once; these rows get state. */
void
dbu_bulk_ask(DbuBulkCall *call, DbuBatch *batch, const char *sql, DbuRowState state)
{
	DbuRun		run = {.answer = DBU_ANSWER_POS,.state = state};
	AnswerReceiver receiver = {
		.pub = {receive_answer, receiver_startup, receiver_nothing, receiver_nothing, DestTuplestore},
		.batch = batch,
		.run = &run,
	};
	SPIExecuteOptions options = {.dest = &receiver.pub};
	int			rc;

	register_batch(call, batch);
	rc = SPI_execute_extended(sql, &options);
	if (rc < 0)
		elog(ERROR, "SPI_execute_extended failed: %s", SPI_result_code_string(rc));
	unregister_batch();
}
