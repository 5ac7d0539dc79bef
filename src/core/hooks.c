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
#include "core/events.h"
#include "core/explained.h"
#include "core/module.h"
#include "core/shmem.h"
#include "core/statement.h"
#include "core/transaction.h"

#include "access/parallel.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/planner.h"
#include "storage/ipc.h"
#include "tcop/utility.h"

static const DbuModule *plan_module = NULL;

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;
static planner_hook_type prev_planner = NULL;
static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;
static ExecutorFinish_hook_type prev_executor_finish = NULL;
static ExecutorEnd_hook_type prev_executor_end = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;
static ExplainOneQuery_hook_type prev_explain_one_query = NULL;

/* Modules know of the client's statement that was planned and is to be run. */
static bool client_told = false;

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

/* In an error path. */
static void
abort_query(QueryDesc *query_desc, const DbuQuery *query)
{
	DbuStatement stmt;

	if (query == NULL || !dbu_enabled)
		return;
	describe_query(&stmt, query_desc, query->user, query->nesting);
	dbu_event_abort(&stmt, query->wanted);
}

/* In an error path, before anybody was asked whether he wants the statement. */
static void
abort_unasked(const DbuStatement *stmt)
{
	uint32		wanted;

	client_told = false;
	(void) dbu_event_want(stmt, &wanted);
	dbu_event_abort(stmt, wanted);
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
	DbuStatement stmt;
	uint32		wanted;
	int			want;
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
		if (!client_told)
			dbu_event_client(user);
		client_told = false;
	}
	dbu_xact_count(depth);
	describe_query(&stmt, query_desc, user, depth);
	if (!explain_only)
		query_desc->instrument_options |= dbu_event_instrument(&stmt);

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
			abort_unasked(&stmt);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dbu_statement_nesting = outer;

	/* EXPLAIN without ANALYZE executes nothing, whatever it was planned for */
	if (explain_only)
	{
		double		ms;
		bool		served;

		(void) dbu_planning_take((uint64) query_desc->plannedstmt->queryId, depth, &ms, &served);
		return;
	}

	want = dbu_event_want(&stmt, &wanted);
	if (wanted == 0)
		return;
	(void) dbu_query_remember(query_desc, wanted, user, depth);
	if (query_desc->totaltime == NULL)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(query_desc->estate->es_query_cxt);

		query_desc->totaltime = InstrAlloc(1, want, false);
		MemoryContextSwitchTo(oldcxt);
	}
}

static void
executor_run(DBU_RUN_PARAMS)
{
	int			outer = dbu_statement_nesting;
	DbuQuery   *query = dbu_query_of(query_desc);

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
		abort_query(query_desc, query);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dbu_statement_nesting = outer;

	if (query != NULL)
	{
		/* a portal may be run in pieces, each counts from 0 */
		query->ran = true;
		query->rows += query_desc->estate->es_processed;
	}
}

/* AFTER triggers run here, so their errors end the statement as well. */
static void
executor_finish(QueryDesc *query_desc)
{
	int			outer = dbu_statement_nesting;
	DbuQuery   *query = dbu_query_of(query_desc);

	dbu_statement_nesting = outer + 1;
	PG_TRY();
	{
		if (prev_executor_finish)
			prev_executor_finish(query_desc);
		else
			standard_ExecutorFinish(query_desc);
	}
	PG_CATCH();
	{
		dbu_statement_nesting = outer;
		abort_query(query_desc, query);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dbu_statement_nesting = outer;
}

static void
executor_end(QueryDesc *query_desc)
{
	DbuQuery   *query = dbu_query_of(query_desc);
	Instrumentation *total = query_desc->totaltime;

	/* a portal that was bound and never run is no execution */
	if (query != NULL && query->ran && dbu_enabled && total != NULL)
	{
		DbuStatement stmt;

		/* another extension may have ended the loop already: harmless */
		InstrEndLoop(total);
		describe_query(&stmt, query_desc, query->user, query->nesting);
		stmt.rows = query->rows;
		stmt.exec_ms = total->total * 1000.0;
		stmt.buffers = total->bufusage;
		stmt.wal = total->walusage;
		stmt.planned = query->planned;
		stmt.plan_ms = query->plan_ms;
		stmt.plan_served = query->served;
		dbu_event_end(&stmt, query->wanted);
	}

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

/* Rows that a finished utility statement reports, as psql would show them. */
static uint64
utility_rows(const QueryCompletion *qc)
{
	if (qc == NULL)
		return 0;
	switch (qc->commandTag)
	{
		case CMDTAG_COPY:
		case CMDTAG_FETCH:
		case CMDTAG_SELECT:
		case CMDTAG_REFRESH_MATERIALIZED_VIEW:
			return qc->nprocessed;
		default:
			return 0;
	}
}

/* Statements that control transactions belong to none; see transaction.c. */
static void
count_utility(Node *parsetree, int depth)
{
	if (IsA(parsetree, TransactionStmt))
	{
		TransactionStmtKind kind = ((TransactionStmt *) parsetree)->kind;

		if (kind != TRANS_STMT_COMMIT_PREPARED && kind != TRANS_STMT_ROLLBACK_PREPARED)
			return;
		dbu_xact_decide_prepared(kind == TRANS_STMT_COMMIT_PREPARED);
	}
	dbu_xact_count(depth);
}

static void
process_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *parsetree = pstmt->utilityStmt;
	int			outer = dbu_statement_nesting;
	bool		outer_procedure = dbu_xact_in_procedure;
	int			depth;
	DbuStatement stmt;
	instr_time	start;
	BufferUsage buffers_start;
	WalUsage	wal_start;
	uint32		wanted;

	/*
	 * PREPARE and EXECUTE are transparent: the statement they plan or run
	 * counts at their own depth, and would otherwise be counted twice.
	 */
	if (!dbu_enabled || IsParallelWorker() ||
		IsA(parsetree, PrepareStmt) || IsA(parsetree, ExecuteStmt))
	{
		next_utility(pstmt, query_string, read_only_tree, context, params,
					 query_env, dest, qc);
		return;
	}

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
		client_told = false;
	}
	count_utility(parsetree, depth);
	(void) dbu_event_want(&stmt, &wanted);
	buffers_start = pgBufferUsage;
	wal_start = pgWalUsage;
	INSTR_TIME_SET_CURRENT(start);

	dbu_statement_nesting = depth + 1;
	if ((IsA(parsetree, CallStmt) || IsA(parsetree, DoStmt)) &&
		context != PROCESS_UTILITY_QUERY)
		dbu_xact_in_procedure = true;
	PG_TRY();
	{
		next_utility(pstmt, query_string, read_only_tree, context, params,
					 query_env, dest, qc);
	}
	PG_CATCH();
	{
		dbu_statement_nesting = outer;
		dbu_xact_in_procedure = outer_procedure;
		dbu_event_abort(&stmt, wanted);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dbu_statement_nesting = outer;
	dbu_xact_in_procedure = outer_procedure;

	if (wanted != 0)
	{
		instr_time	duration;

		INSTR_TIME_SET_CURRENT(duration);
		INSTR_TIME_SUBTRACT(duration, start);
		stmt.exec_ms = INSTR_TIME_GET_MILLISEC(duration);
		stmt.rows = utility_rows(qc);
		BufferUsageAccumDiff(&stmt.buffers, &pgBufferUsage, &buffers_start);
		WalUsageAccumDiff(&stmt.wal, &pgWalUsage, &wal_start);
		dbu_event_end(&stmt, wanted);
	}
}

/* ---------- planning ---------- */

/* Plan req->query as if dbutil were not there. */
PlannedStmt *
dbu_plan_next(DbuPlanRequest *req)
{
	if (prev_planner)
		return prev_planner(req->query, req->query_string,
							req->cursor_options, req->bound_params);
	return standard_planner(req->query, req->query_string,
							req->cursor_options, req->bound_params);
}

/* In an error path: the planner has scribbled on the query, but not on these. */
static void
abort_planning(const DbuPlanRequest *req, Oid user)
{
	DbuStatement stmt = {
		.query_id = (uint64) req->query->queryId,
		.source_text = req->query_string,
		.location = req->query->stmt_location,
		.length = req->query->stmt_len,
		.operation = req->query->commandType,
		.utility_tag = T_Invalid,
		.nesting = req->nesting,
		.user = user,
	};

	/* its execution would have been the statement */
	dbu_xact_count(req->nesting);
	abort_unasked(&stmt);
}

static PlannedStmt *
plan(Query *parse, const char *query_string, int cursor_options,
	 ParamListInfo bound_params)
{
	DbuPlanRequest req = {
		.query = parse,
		.query_string = query_string,
		.cursor_options = cursor_options,
		.bound_params = bound_params,
		.seen_after = planner_hook != plan,
	};
	int			outer = dbu_statement_nesting;
	PlannedStmt *result;
	instr_time	start;
	instr_time	duration;
	Oid			user;

	if (!dbu_enabled || IsParallelWorker())
		return dbu_plan_next(&req);

	user = GetUserId();
	req.nesting = dbu_planning_depth();
	if (req.nesting == 0)
	{
		/* now, as planning may fail */
		dbu_event_client(user);
		client_told = true;
	}
	INSTR_TIME_SET_CURRENT(start);

	/* functions folded while planning run inside this statement */
	dbu_statement_nesting = req.nesting + 1;
	PG_TRY();
	{
		result = plan_module ? plan_module->plan(&req) : dbu_plan_next(&req);
	}
	PG_CATCH();
	{
		dbu_statement_nesting = outer;
		abort_planning(&req, user);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dbu_statement_nesting = outer;

	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	dbu_explained_planned(&req, result);
	dbu_planning_note((uint64) result->queryId, req.nesting,
					  INSTR_TIME_GET_MILLISEC(duration), req.served);
	return result;
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
		if (module->plan != NULL)
		{
			Assert(plan_module == NULL);
			plan_module = module;
		}
		statements |= module->stmt_want != NULL;
		transactions |= module->xact_end != NULL;
	}

	if (statements || transactions || plan_module != NULL)
	{
		/* all of them: nesting tells a client's statement from a nested one */
		prev_planner = planner_hook;
		planner_hook = plan;
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
	if (plan_module != NULL)
	{
		prev_explain_one_query = ExplainOneQuery_hook;
		ExplainOneQuery_hook = explain_one_query;
	}
	if (transactions)
		dbu_xact_install();
}
