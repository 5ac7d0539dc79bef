/*-------------------------------------------------------------------------
 *
 * obtain.c
 *	  From a statement's text to its EXPLAIN (FORMAT JSON) output.
 *
 * The text must hold exactly one statement that the planner plans.  It goes
 * the way of a PREPARE with parameters of unknown type, and is then planned
 * with their values, as a custom plan would be.  ExplainOnePlan() prints it,
 * so the output is what EXPLAIN of this server prints.  Nothing is changed in
 * rights or settings: names resolve in the caller's search_path, tables are
 * read by the caller's rights.
 *
 * Errors that point into the text keep their position: they reach the user as
 * errors in an internal query, which is the text as he wrote it.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/named_params.h"
#include "core/one_statement.h"
#include "explain/advice.h"

#include DBU_EXPLAIN_STATE_H
#include DBU_EXPLAIN_FORMAT_H
#include "commands/explain.h"
#include "fmgr.h"
#include "portability/instr_time.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

/* What is explained, for the call in a subtransaction. */
typedef struct ExplainWork
{
	const DbuQueryText *query;
	List	   *plans;			/* PlannedStmt * */
	List	   *planning;		/* instr_time *, for each of them */
	ParamListInfo params;
	bool		run;
	bool		generic;		/* parameters have no values */
	List	   *facts;
	Jsonb	   *result;
} ExplainWork;

/* arg: DbuQueryText *.  Errors show the text as the caller wrote it. */
void
dbu_explain_query_error_callback(void *arg)
{
	const DbuQueryText *query = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(dbu_original_position(query, position));
		internalerrquery(query->original);
	}
	else
		errcontext("analyzed statement \"%s\"", query->original);
}

/* Rules may have made several statements of the one. */
static void
check_run(List *queries)
{
	if (list_length(queries) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot run a statement for analysis that rules make several of"),
				 errhint("Analyze it without run => true.")));
}

/* Explains the plans, executing them if asked, into work->result. */
static void
explain_plans(void *arg)
{
	ExplainWork *work = arg;
	ExplainState *es = NewExplainState();
	ListCell   *plan;
	ListCell   *planning;

	es->format = EXPLAIN_FORMAT_JSON;
	es->verbose = true;
	es->costs = true;
	es->settings = true;
	es->summary = true;
	es->analyze = work->run;
	es->buffers = work->run;
	es->timing = work->run;
	if (work->generic)
		dbu_set_generic_explain(es);

	ExplainBeginOutput(es);
	forboth(plan, work->plans, planning, work->planning)
	{
		dbu_pg_explain_one_plan(lfirst(plan), es, work->query->text, work->params,
								lfirst(planning));
	}
	ExplainEndOutput(es);

	dbu_explain_name_facts(work->facts, es->rtable_names);
	work->result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(es->str->data)));
}

/* Plans the queries, which the planner spoils, and explains them. */
static void
plan_and_explain(DbuObtainedPlan *result, ExplainWork *work, List *queries, int timeout_ms)
{
	ListCell   *lc;

	foreach(lc, queries)
	{
		instr_time *planning = palloc(sizeof(instr_time));
		instr_time	start;

		INSTR_TIME_SET_CURRENT(start);
		work->plans = lappend(work->plans,
							  pg_plan_query(lfirst(lc), work->query->text,
											CURSOR_OPT_PARALLEL_OK, work->params));
		INSTR_TIME_SET_CURRENT(*planning);
		INSTR_TIME_SUBTRACT(*planning, start);
		work->planning = lappend(work->planning, planning);
	}
	/* EXPLAIN's names belong to one plan: no facts where there are several */
	if (list_length(work->plans) == 1)
		work->facts = dbu_explain_scan_facts(linitial(work->plans));

	if (work->run)
		dbu_explain_run_undone(explain_plans, work, timeout_ms);
	else
		explain_plans(work);
	result->plan = work->result;
	result->executed = work->run;
	result->facts = work->facts;
}

/*
 * Plans the statement and, if run, executes and undoes it.  timeout_ms is the
 * time limit of the execution.
 */
void
dbu_explain_obtain(DbuObtainedPlan *result, const char *query_string,
				   Jsonb *params, bool run, int timeout_ms)
{
	DbuQueryText query = {.original = query_string,.text = query_string};
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = dbu_explain_query_error_callback,
		.arg = &query
	};
	ExplainWork work = {.query = &query,.run = run};
	RawStmt    *raw;
	Oid		   *types = NULL;
	int			ntypes = 0;
	List	   *queries;

	error_context_stack = &callback;
	dbu_find_params(&query, query_string, params);
	dbu_check_params(&query, params);
	raw = dbu_parse_one_statement(query.text, "analyze");

	PushActiveSnapshot(GetTransactionSnapshot());
	queries = pg_analyze_and_rewrite_varparams(raw, query.text, &types, &ntypes, NULL);
	dbu_require_planned(queries, "analyze");
	/* before anything is evaluated, values of parameters among it */
	if (run)
	{
		check_run(queries);
		dbu_explain_require_safe(queries, types, ntypes);
	}
	work.params = dbu_bind_params(&query, params, types, ntypes);
	result->query = palloc0(sizeof(DbuWorkloadQuery));
	result->query->number = 1;
	result->query->text = query.text;
	result->query->queries = copyObject(queries);
	result->query->types = types;
	result->query->ntypes = ntypes;
	result->query->params = work.params;
	result->query->calls = 1;
	plan_and_explain(result, &work, queries, timeout_ms);
	PopActiveSnapshot();
	error_context_stack = callback.previous;
}

/* Plans a statement that was read already, without values for its parameters. */
void
dbu_explain_obtain_generic(DbuObtainedPlan *result, DbuWorkloadQuery *query)
{
	DbuQueryText text = {.original = query->text,.text = query->text};
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = dbu_explain_query_error_callback,
		.arg = &text
	};
	ExplainWork work = {.query = &text,.generic = true};

	error_context_stack = &callback;
	PushActiveSnapshot(GetTransactionSnapshot());
	result->query = query;
	plan_and_explain(result, &work, copyObject(query->queries), 0);
	PopActiveSnapshot();
	error_context_stack = callback.previous;
}
