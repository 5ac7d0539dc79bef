/*-------------------------------------------------------------------------
 *
 * hooks.c
 *	  The only file that assigns PostgreSQL hooks: turns them into the events
 *	  of module.h.
 *
 * Each hook saves the previous one, calls it exactly once, and is installed
 * only when a live module subscribes to what it feeds.  A module that needs
 * shared memory is not live without preload.
 *
 * Nesting is a depth that every level saves on entry and restores on exit,
 * also when an error flies through.  Restoring the saved value, instead of
 * counting down or resetting at transaction end, keeps it right when a
 * procedure commits or rolls back in the middle of a CALL, and whatever error
 * is caught where.  A statement counts at the depth and for the user of its
 * beginning: after an error the current user may still be the owner of the
 * SECURITY DEFINER function that raised it.
 *
 * dbutil.enabled is read once per hook call.  It can only change between two
 * client commands; a cursor that was opened while it was off has no record,
 * and is not wanted.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/caught.h"
#include "core/command.h"
#include "core/events.h"
#include "core/explained.h"
#include "core/module.h"
#include "core/planning.h"
#include "core/shmem.h"
#include "core/statement.h"
#include "core/transaction.h"
#include "core/usage.h"

#include "access/parallel.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/ipc.h"
#include "tcop/utility.h"

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;
static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;
static ExecutorFinish_hook_type prev_executor_finish = NULL;
static ExecutorEnd_hook_type prev_executor_end = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;
static ExplainOneQuery_hook_type prev_explain_one_query = NULL;
#ifdef DBU_HAS_EXPLAIN_PER_PLAN
static explain_per_plan_hook_type prev_explain_per_plan = NULL;
#endif
static emit_log_hook_type prev_emit_log = NULL;

/* The current error was told as the end of a client's statement. */
static bool error_told = false;

/* ---------- statements ---------- */

static void
describe_query(DbuStatement *stmt, QueryDesc *query_desc, Oid user, int depth)
{
	PlannedStmt *plan = query_desc->plannedstmt;

	memset(stmt, 0, sizeof(*stmt));
	stmt->query_id = (uint64) plan->queryId;
	stmt->source_text = query_desc->sourceText;
	stmt->location = plan->stmt_location;
	stmt->length = plan->stmt_len;
	stmt->operation = query_desc->operation;
	stmt->utility_tag = T_Invalid;
	stmt->nesting = depth;
	stmt->user = user;
	stmt->query_desc = query_desc;
}

/* In an error path: a statement that was described ends by the current error. */
static void
abort_statement(const DbuStatement *stmt, uint32 wanted)
{
	if (stmt->nesting == 0)
	{
		error_told = true;
		dbu_xact_note_error(geterrcode());
	}
	dbu_event_abort(stmt, wanted);
}

static void
abort_query(const DbuQuery *query)
{
	if (query != NULL && dbu_enabled)
		abort_statement(&query->stmt, query->wanted);
}

/* In an error path, before anybody was asked whether he wants the statement. */
void
dbu_abort_unasked(const DbuStatement *stmt)
{
	uint32		wanted;

	dbu_client_told = false;
	(void) dbu_event_want(stmt, &wanted);
	abort_statement(stmt, wanted);
}

/* A statement begins at this depth, its transaction with it perhaps. */
static void
begin_statement(int depth, uint64 query_id)
{
	error_told = false;
	if (dbu_xact_count(depth, query_id))
		dbu_event_xact_begin();
}

static void
next_start(QueryDesc *query_desc, int eflags)
{
	if (prev_executor_start)
		prev_executor_start(query_desc, eflags);
	else
		standard_ExecutorStart(query_desc, eflags);
}

static void
executor_start(QueryDesc *query_desc, int eflags)
{
	int			outer = dbu_statement_nesting;
	bool		explain_only = (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0;
	DbuQuery   *query;
	Oid			user;
	int			depth;

	if (!dbu_enabled || IsParallelWorker())
	{
		next_start(query_desc, eflags);
		return;
	}

	user = GetUserId();
	depth = dbu_execution_depth();
	if (depth == 0)
	{
		if (!dbu_client_told)
			dbu_event_client(user);
		dbu_client_told = false;
	}
	begin_statement(depth, (uint64) query_desc->plannedstmt->queryId);
	query = dbu_query_new();
	describe_query(&query->stmt, query_desc, user, depth);
	if (!explain_only)
		query_desc->instrument_options |= dbu_event_instrument(&query->stmt);

	/* privileges are checked here, and partitions pruned by what functions say */
	dbu_statement_nesting = depth + 1;
	PG_TRY();
	{
		next_start(query_desc, eflags);
	}
	PG_CATCH();
	{
		dbu_statement_nesting = outer;
		if (!explain_only)
			dbu_abort_unasked(&query->stmt);
		dbu_query_give_up(query);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dbu_statement_nesting = outer;

	/* EXPLAIN without ANALYZE executes nothing, whatever it was planned for */
	query->wanted = 0;
	if (explain_only)
		dbu_planning_take(&query->stmt);
	else
		query->want = dbu_event_want(&query->stmt, &query->wanted);
	if (query->wanted != 0)
		dbu_query_keep(query);
	else
		dbu_query_give_up(query);
}

static void
executor_run(DBU_RUN_PARAMS)
{
	int			outer = dbu_statement_nesting;
	DbuQuery   *query = dbu_query_of(query_desc);
	DbuStatement *stmt = query ? &query->stmt : NULL;
	ErrorContextCallback context;
	DbuUsageStart start;

	dbu_caught_push(&context, stmt);
	if (query != NULL)
		dbu_usage_start(&start, query->want);
	dbu_statement_nesting = outer + 1;
	PG_TRY();
	{
		if (prev_executor_run)
			prev_executor_run(DBU_RUN_ARGS);
		else
			standard_ExecutorRun(DBU_RUN_ARGS);
	}
	PG_CATCH();
	{
		dbu_statement_nesting = outer;
		abort_query(query);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dbu_statement_nesting = outer;
	dbu_caught_pop(&context, stmt);

	if (query != NULL)
	{
		dbu_usage_stop(&start, query->want, stmt);
		/* a portal may be run in pieces, each counts from 0 */
		query->ran = true;
		stmt->rows += query_desc->estate->es_processed;
	}
}

static void
next_finish(QueryDesc *query_desc)
{
	if (prev_executor_finish)
		prev_executor_finish(query_desc);
	else
		standard_ExecutorFinish(query_desc);
}

/* Does ExecutorFinish run anything: a modifying CTE to its end, or AFTER triggers? */
static bool
finish_runs_something(const QueryDesc *query_desc)
{
	const EState *estate = query_desc->estate;
	const ListCell *lc;

	if (query_desc->plannedstmt->hasModifyingCTE)
		return true;
	if (query_desc->operation == CMD_SELECT)
		return false;
	/* partitions that were found while it ran, and keys of others that it touched */
	if (estate->es_tuple_routing_result_relations != NIL || estate->es_trig_target_relations != NIL)
		return true;
	foreach(lc, estate->es_opened_result_relations)
	{
		if (((const ResultRelInfo *) lfirst(lc))->ri_TrigDesc != NULL)
			return true;
	}
	return false;
}

/* AFTER triggers run here, so their errors end the statement as well. */
static void
executor_finish(QueryDesc *query_desc)
{
	int			outer = dbu_statement_nesting;
	DbuQuery   *query;
	DbuStatement *stmt;
	ErrorContextCallback context;
	DbuUsageStart start;

	if (!finish_runs_something(query_desc))
	{
		next_finish(query_desc);
		return;
	}

	query = dbu_query_of(query_desc);
	stmt = query ? &query->stmt : NULL;
	dbu_caught_push(&context, stmt);
	if (query != NULL)
		dbu_usage_start(&start, query->want);
	dbu_statement_nesting = outer + 1;
	PG_TRY();
	{
		next_finish(query_desc);
	}
	PG_CATCH();
	{
		dbu_statement_nesting = outer;
		abort_query(query);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dbu_statement_nesting = outer;
	dbu_caught_pop(&context, stmt);
	if (query != NULL)
		dbu_usage_stop(&start, query->want, stmt);
}

static void
executor_end(QueryDesc *query_desc)
{
	DbuQuery   *query = dbu_query_of(query_desc);

	/* a portal that was bound and never run is no execution */
	if (query != NULL && query->ran && dbu_enabled)
		dbu_event_end(&query->stmt, query->wanted);
	if (query_desc->operation != CMD_SELECT && dbu_enabled)
		dbu_xact_note_rows(query_desc->estate->es_processed);

	dbu_explained_end(query_desc);
	if (prev_executor_end)
		prev_executor_end(query_desc);
	else
		standard_ExecutorEnd(query_desc);
}

static void
next_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
			 ProcessUtilityContext context, ParamListInfo params,
			 QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *qc)
{
	if (prev_process_utility)
		prev_process_utility(pstmt, query_string, read_only_tree, context,
							 params, query_env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context,
								params, query_env, dest, qc);
}

static pg_noinline void
watch_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
			  ProcessUtilityContext context, ParamListInfo params,
			  QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *parsetree = pstmt->utilityStmt;
	int			outer = dbu_statement_nesting;
	bool		outer_procedure = dbu_xact_in_procedure;
	volatile bool copies_in = IsA(parsetree, CopyStmt) && ((CopyStmt *) parsetree)->is_from;
	int			depth;
	DbuStatement stmt;
	DbuStatement *reports;
	ErrorContextCallback reporter;
	DbuUsageStart start;
	uint32		wanted;
	int			want;

	/* pstmt may be gone when the command returns: describe it now */
	depth = dbu_execution_depth();
	memset(&stmt, 0, sizeof(stmt));
	stmt.query_id = (uint64) pstmt->queryId;
	stmt.source_text = query_string;
	stmt.location = pstmt->stmt_location;
	stmt.length = pstmt->stmt_len;
	stmt.operation = CMD_UTILITY;
	stmt.utility_tag = nodeTag(parsetree);
	stmt.nesting = depth;
	stmt.user = GetUserId();

	if (depth == 0)
	{
		dbu_event_client(stmt.user);
		dbu_client_told = false;
	}
	error_told = false;
	if (dbu_command_counts(parsetree))
		begin_statement(depth, stmt.query_id);
	want = dbu_event_want(&stmt, &wanted);
	if (wanted != 0)
		dbu_usage_start(&start, want);
	reports = wanted != 0 ? &stmt : NULL;
	dbu_caught_push(&reporter, reports);

	dbu_statement_nesting = depth + 1;
	if ((IsA(parsetree, CallStmt) || IsA(parsetree, DoStmt)) &&
		context != PROCESS_UTILITY_QUERY)
		dbu_xact_in_procedure = true;
	PG_TRY();
	{
		if (dbu_explains_execute(parsetree))
			dbu_explained_execute(next_utility, pstmt, query_string, read_only_tree,
								  context, params, query_env, dest, qc);
		else
			next_utility(pstmt, query_string, read_only_tree, context, params,
						 query_env, dest, qc);
	}
	PG_CATCH();
	{
		dbu_statement_nesting = outer;
		dbu_xact_in_procedure = outer_procedure;
		abort_statement(&stmt, wanted);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dbu_statement_nesting = outer;
	dbu_xact_in_procedure = outer_procedure;
	dbu_caught_pop(&reporter, reports);

	dbu_xact_note_rows(dbu_command_rows_written(copies_in, qc));
	if (wanted != 0)
	{
		dbu_usage_stop(&start, want, &stmt);
		stmt.rows = dbu_command_rows(qc);
		dbu_event_end(&stmt, wanted);
	}
}

/*
 * PREPARE and EXECUTE are transparent: the statement they plan or run counts at
 * their own depth, and would otherwise be counted twice.  A function by itself,
 * as they run as often as statements do.
 */
static void
process_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *qc)
{
	if (!dbu_enabled || IsParallelWorker() ||
		IsA(pstmt->utilityStmt, PrepareStmt) || IsA(pstmt->utilityStmt, ExecuteStmt))
		next_utility(pstmt, query_string, read_only_tree, context, params,
					 query_env, dest, qc);
	else
		watch_utility(pstmt, query_string, read_only_tree, context, params,
					  query_env, dest, qc);
}

/* ---------- EXPLAIN ---------- */

static void
explain_one_query(Query *query, int cursor_options, IntoClause *into, ExplainState *es,
				  const char *query_string, ParamListInfo params,
				  QueryEnvironment *query_env)
{
	dbu_explained_run(prev_explain_one_query, query, cursor_options, into, es,
					  query_string, params, query_env);
}

#ifdef DBU_HAS_EXPLAIN_PER_PLAN
static void
explain_per_plan(PlannedStmt *plan, IntoClause *into, ExplainState *es,
				 const char *query_string, ParamListInfo params,
				 QueryEnvironment *query_env)
{
	if (prev_explain_per_plan)
		prev_explain_per_plan(plan, into, es, query_string, params, query_env);
	dbu_explained_plan(es);
}
#endif

/* ---------- the log ---------- */

/* In an error path; what the client's statements told of themselves is known. */
static void
emit_log(ErrorData *edata)
{
	if (prev_emit_log)
		prev_emit_log(edata);
	if (edata->elevel < ERROR || !dbu_enabled || MyBackendType != B_BACKEND ||
		!OidIsValid(MyDatabaseId) || MyProc == NULL)
		return;
	if (!error_told)
	{
		dbu_xact_note_error(edata->sqlerrcode);
		dbu_event_error_logged(GetOuterUserId(), edata->sqlerrcode);
	}
	error_told = false;
}

/* ---------- shared memory ---------- */

static void
shmem_request(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	dbu_shmem_request();
}

static void
shmem_startup(void)
{
	if (prev_shmem_startup)
		prev_shmem_startup();
	dbu_shmem_startup();
}

/* ---------- installation ---------- */

/* Called once from _PG_init, after every module's init. */
void
dbu_hooks_install(void)
{
	bool		statements = false;
	bool		transactions = false;

	if (dbu_preloaded)
	{
		prev_shmem_request = shmem_request_hook;
		shmem_request_hook = shmem_request;
		prev_shmem_startup = shmem_startup_hook;
		shmem_startup_hook = shmem_startup;
	}

	for (int i = 0; i < dbu_nmodules; i++)
	{
		const DbuModule *module = dbu_modules[i];

		if (module->shmem_size != NULL && !dbu_preloaded && !module->without_shmem)
			continue;
		dbu_event_subscribe(module);
		dbu_planning_subscribe(module);
		statements |= module->stmt_want != NULL;
		transactions |= module->xact_end != NULL;
	}

	if (statements || transactions || dbu_planning_wanted())
	{
		/* all of them: nesting tells a client's statement from a nested one */
		dbu_planning_install(planner_hook);
		planner_hook = dbu_plan;
		prev_executor_start = ExecutorStart_hook;
		ExecutorStart_hook = executor_start;
		prev_executor_run = ExecutorRun_hook;
		ExecutorRun_hook = executor_run;
		prev_executor_finish = ExecutorFinish_hook;
		ExecutorFinish_hook = executor_finish;
		prev_executor_end = ExecutorEnd_hook;
		ExecutorEnd_hook = executor_end;
		prev_process_utility = ProcessUtility_hook;
		ProcessUtility_hook = process_utility;
	}
	if (dbu_planning_wanted())
	{
		prev_explain_one_query = ExplainOneQuery_hook;
		ExplainOneQuery_hook = explain_one_query;
#ifdef DBU_HAS_EXPLAIN_PER_PLAN
		prev_explain_per_plan = explain_per_plan_hook;
		explain_per_plan_hook = explain_per_plan;
#endif
	}
	if (transactions)
	{
		dbu_xact_install();
		prev_emit_log = emit_log_hook;
		emit_log_hook = emit_log;
	}
}
