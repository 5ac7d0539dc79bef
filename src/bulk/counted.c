/*-------------------------------------------------------------------------
 *
 * counted.c
 *	  An insert with ON CONFLICT, run so that it tells what became of the rows.
 *
 * How many rows met another row, and how many of these the condition of DO
 * UPDATE left alone, is known to the node that inserts and to nothing else: to
 * ask the table before or after would miss conflicts with other unique
 * indexes, rows that triggers change, and what other sessions commit
 * meanwhile.  EXPLAIN ANALYZE shows these counters as "Conflicting Tuples" and
 * "Rows Removed by Conflict Filter".  SPI keeps its executor to itself, so the
 * plan is run here, in the same steps.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "executor/executor.h"
#include "executor/instrument.h"
#include "tcop/dest.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

static void
errcontext_statement(void *arg)
{
	errcontext("SQL statement \"%s\"", (const char *) arg);
}

/*
 * Run a plan over the relation rows; dest gets what it returns.  Answers false,
 * with nothing done, if it is not one plain statement.
 */
bool
dbu_bulk_run_counted(SPIPlanPtr plan, EphemeralNamedRelation rows, DestReceiver *dest, DbuRun *run,
					 int64 *processed)
{
	CachedPlan *cached = SPI_plan_get_cached_plan(plan);
	QueryEnvironment *environment;
	QueryDesc  *desc;
	PlannedStmt *stmt;
	const char *text;
	Instrumentation *counters;
	ErrorContextCallback context;

	if (cached == NULL)
		return false;
	stmt = list_length(cached->stmt_list) == 1 ? linitial_node(PlannedStmt, cached->stmt_list) : NULL;
	if (stmt == NULL || stmt->commandType != CMD_INSERT || !IsA(stmt->planTree, ModifyTable))
	{
		ReleaseCachedPlan(cached, NULL);
		return false;
	}
	text = ((CachedPlanSource *) linitial(SPI_plan_get_plan_sources(plan)))->query_string;
	environment = create_queryEnv();
	register_ENR(environment, rows);

	context.callback = errcontext_statement;
	context.arg = (void *) text;
	context.previous = error_context_stack;
	error_context_stack = &context;

	PushActiveSnapshot(GetTransactionSnapshot());
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	desc = CreateQueryDesc(stmt, text, GetActiveSnapshot(), InvalidSnapshot, dest, NULL,
						   environment, INSTRUMENT_ROWS);
	ExecutorStart(desc, 0);
	if (run->watch != NULL)
		(void) run->watch(desc->planstate, run->watched);
	dbu_executor_run(desc);
	*processed = (int64) desc->estate->es_processed;
	counters = desc->planstate->instrument;
	run->conflicts = (int64) counters->ntuples2;
	run->kept = (int64) counters->nfiltered1;
	ExecutorFinish(desc);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	PopActiveSnapshot();
	CommandCounterIncrement();

	error_context_stack = context.previous;
	ReleaseCachedPlan(cached, NULL);
	return true;
}
