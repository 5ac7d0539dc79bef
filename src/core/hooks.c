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
 * Nesting is a depth that every level saves on entry and restores on exit in
 * PG_FINALLY.  Restoring the saved value, instead of counting down or
 * resetting at transaction end, keeps it right when a procedure commits or
 * rolls back in the middle of a CALL, and whatever error is caught where.
 *
 * dbutil.enabled is read once per hook call.  It can only change between two
 * client commands, so a statement sees one value from start to end; a cursor
 * that was opened before the change is recognised by query_desc->totaltime.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/module.h"
#include "core/shmem.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/planner.h"
#include "storage/ipc.h"
#include "tcop/utility.h"
#include "utils/timestamp.h"

#define EACH_MODULE(m) \
	for (int m = 0; m < nlive; m++)

static const DbuModule *live[16];
static int	nlive = 0;
static const DbuModule *plan_module = NULL;

static int	nesting = 0;

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;
static planner_hook_type prev_planner = NULL;
static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;
static ExecutorFinish_hook_type prev_executor_finish = NULL;
static ExecutorEnd_hook_type prev_executor_end = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

/* The current top-level transaction, for xact_end. */
static uint32 xact_statements = 0;
static instr_time precommit_time;

int
dbu_nesting(void)
{
	return nesting;
}

/* ---------- statements ---------- */

static pg_noinline int
stmt_want(const DbuStatement *stmt)
{
	int			want = 0;

	EACH_MODULE(m)
	{
		if (live[m]->stmt_want)
			want |= live[m]->stmt_want(stmt);
	}
	return want;
}

static void
stmt_end(const DbuStatement *stmt)
{
	EACH_MODULE(m)
	{
		/* stmt_want is asked again: only who wanted the statement is told */
		if (live[m]->stmt_end && live[m]->stmt_want && live[m]->stmt_want(stmt))
			live[m]->stmt_end(stmt);
	}
}

static void
stmt_abort(const DbuStatement *stmt)
{
	int			sqlstate = geterrcode();

	EACH_MODULE(m)
	{
		if (live[m]->stmt_abort)
			live[m]->stmt_abort(stmt, sqlstate);
	}
}

static void
describe_query(DbuStatement *stmt, QueryDesc *query_desc, int depth)
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
	stmt->query_desc = query_desc;
}

static void
executor_start(QueryDesc *query_desc, int eflags)
{
	DbuStatement stmt;
	int			want;

	if (prev_executor_start)
		prev_executor_start(query_desc, eflags);
	else
		standard_ExecutorStart(query_desc, eflags);

	if (!dbu_enabled || IsParallelWorker())
		return;

	/* after a procedure's COMMIT there is no client statement, but a nested one */
	if (nesting == 0 || xact_statements == 0)
		xact_statements++;

	/* EXPLAIN without ANALYZE executes nothing */
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	describe_query(&stmt, query_desc, nesting);
	want = stmt_want(&stmt);
	if (want != 0 && query_desc->totaltime == NULL)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(query_desc->estate->es_query_cxt);

		query_desc->totaltime = InstrAlloc(1, want, false);
		MemoryContextSwitchTo(oldcxt);
	}
}

static void
executor_run(DBU_RUN_PARAMS)
{
	int			depth = nesting;

	nesting = depth + 1;
	PG_TRY();
	{
		if (prev_executor_run)
			prev_executor_run(DBU_RUN_ARGS);
		else
			standard_ExecutorRun(DBU_RUN_ARGS);
	}
	PG_CATCH();
	{
		nesting = depth;
		if (dbu_enabled && !IsParallelWorker())
		{
			DbuStatement stmt;

			describe_query(&stmt, query_desc, depth);
			stmt_abort(&stmt);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
	nesting = depth;
}

/* AFTER triggers run here, so their errors end the statement as well. */
static void
executor_finish(QueryDesc *query_desc)
{
	int			depth = nesting;

	nesting = depth + 1;
	PG_TRY();
	{
		if (prev_executor_finish)
			prev_executor_finish(query_desc);
		else
			standard_ExecutorFinish(query_desc);
	}
	PG_CATCH();
	{
		nesting = depth;
		if (dbu_enabled && !IsParallelWorker())
		{
			DbuStatement stmt;

			describe_query(&stmt, query_desc, depth);
			stmt_abort(&stmt);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
	nesting = depth;
}

static void
executor_end(QueryDesc *query_desc)
{
	Instrumentation *total = query_desc->totaltime;

	if (dbu_enabled && total != NULL && !IsParallelWorker())
	{
		DbuStatement stmt;

		/* another extension may have ended the loop already: harmless */
		InstrEndLoop(total);
		describe_query(&stmt, query_desc, nesting);
		stmt.rows = dbu_total_processed(query_desc->estate);
		stmt.exec_ms = total->total * 1000.0;
		stmt.buffers = total->bufusage;
		stmt.wal = total->walusage;
		stmt_end(&stmt);
	}

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

static void
process_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *parsetree = pstmt->utilityStmt;
	int			depth = nesting;
	DbuStatement stmt;
	instr_time	start;
	BufferUsage buffers_start = pgBufferUsage;
	WalUsage	wal_start = pgWalUsage;
	int			want;

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
	memset(&stmt, 0, sizeof(stmt));
	stmt.query_id = (uint64) pstmt->queryId;
	stmt.source_text = query_string;
	stmt.location = pstmt->stmt_location;
	stmt.length = pstmt->stmt_len;
	stmt.operation = CMD_UTILITY;
	stmt.utility_tag = nodeTag(parsetree);
	stmt.nesting = depth;

	if (depth == 0 && !IsA(parsetree, TransactionStmt))
		xact_statements++;

	want = stmt_want(&stmt);
	INSTR_TIME_SET_CURRENT(start);

	nesting = depth + 1;
	PG_TRY();
	{
		next_utility(pstmt, query_string, read_only_tree, context, params,
					 query_env, dest, qc);
	}
	PG_CATCH();
	{
		nesting = depth;
		stmt_abort(&stmt);
		PG_RE_THROW();
	}
	PG_END_TRY();
	nesting = depth;

	if (want != 0)
	{
		instr_time	duration;

		INSTR_TIME_SET_CURRENT(duration);
		INSTR_TIME_SUBTRACT(duration, start);
		stmt.exec_ms = INSTR_TIME_GET_MILLISEC(duration);
		stmt.rows = utility_rows(qc);
		BufferUsageAccumDiff(&stmt.buffers, &pgBufferUsage, &buffers_start);
		WalUsageAccumDiff(&stmt.wal, &pgWalUsage, &wal_start);
		stmt_end(&stmt);
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

static PlannedStmt *
plan(Query *parse, const char *query_string, int cursor_options,
	 ParamListInfo bound_params)
{
	DbuPlanRequest req = {
		.query = parse,
		.query_string = query_string,
		.cursor_options = cursor_options,
		.bound_params = bound_params,
		.nesting = nesting,
	};
	PlannedStmt *result;
	instr_time	start;
	instr_time	duration;

	if (!dbu_enabled || IsParallelWorker())
		return dbu_plan_next(&req);

	INSTR_TIME_SET_CURRENT(start);

	/* functions folded while planning run inside this statement */
	nesting = req.nesting + 1;
	PG_TRY();
	{
		result = plan_module ? plan_module->plan(&req) : dbu_plan_next(&req);
	}
	PG_FINALLY();
	{
		nesting = req.nesting;
	}
	PG_END_TRY();

	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);

	EACH_MODULE(m)
	{
		if (live[m]->plan_end)
			live[m]->plan_end(&req, result, INSTR_TIME_GET_MILLISEC(duration));
	}
	return result;
}

/* ---------- transactions ---------- */

static void
xact_callback(XactEvent event, void *arg)
{
	DbuTransaction xact = {0};
	instr_time	duration;

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (xact_statements > 0)
				INSTR_TIME_SET_CURRENT(precommit_time);
			return;
		case XACT_EVENT_COMMIT:
			xact.committed = true;
			break;
		case XACT_EVENT_ABORT:
			break;
		case XACT_EVENT_PREPARE:
			/* its outcome belongs to COMMIT PREPARED, in another transaction */
			xact_statements = 0;
			return;
		default:
			return;
	}

	xact.statements = xact_statements;
	xact_statements = 0;
	if (xact.statements == 0 || !dbu_enabled)
		return;

	if (xact.committed)
	{
		INSTR_TIME_SET_CURRENT(duration);
		INSTR_TIME_SUBTRACT(duration, precommit_time);
		xact.commit_ms = INSTR_TIME_GET_MILLISEC(duration);
	}
	xact.duration_ms =
		(GetCurrentTimestamp() - GetCurrentTransactionStartTimestamp()) / 1000.0;
	xact.wrote = TransactionIdIsValid(GetTopTransactionIdIfAny());

	EACH_MODULE(m)
	{
		if (live[m]->xact_end)
			live[m]->xact_end(&xact);
	}
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
	bool		plans = false;
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
		Assert(nlive < (int) lengthof(live));
		live[nlive++] = module;
		if (module->plan != NULL)
		{
			Assert(plan_module == NULL);
			plan_module = module;
		}
		statements |= module->stmt_want != NULL;
		plans |= module->plan != NULL || module->plan_end != NULL;
		transactions |= module->xact_end != NULL;
	}

	if (statements || transactions || plans)
	{
		/* planning too: its nesting tells a client's statement from a nested one */
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
	if (plans)
	{
		prev_planner = planner_hook;
		planner_hook = plan;
	}
	if (transactions)
		RegisterXactCallback(xact_callback, NULL);
}
