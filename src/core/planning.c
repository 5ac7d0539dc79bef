/*-------------------------------------------------------------------------
 *
 * planning.c
 *	  What hooks.c does when PostgreSQL plans a statement.
 *
 * Planning is asked of the module that has a plan callback, else of the next
 * planner.  It may be the first that is seen of a client's statement, and the
 * last: then it fails for the statement.
 *
 * What planning took is held back until an execution of the same statement at
 * the same depth begins.  Several are, as all portals may be bound before the
 * first is run.  Where it is not measured and no module planned, there is
 * nothing to hold back.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/events.h"
#include "core/explained.h"
#include "core/planning.h"
#include "core/statement.h"
#include "core/transaction.h"

#include "access/parallel.h"
#include "miscadmin.h"

bool		dbu_client_told = false;

static planner_hook_type next_planner = NULL;
static const DbuModule *plan_module = NULL;
static const bool *plan_times = NULL;

/* A module that plans, or that wants to know what planning takes. */
void
dbu_planning_subscribe(const DbuModule *module)
{
	if (module->plan != NULL)
	{
		Assert(plan_module == NULL);
		plan_module = module;
	}
	if (module->plan_times != NULL)
	{
		Assert(plan_times == NULL);
		plan_times = module->plan_times;
	}
}

/* Does a module plan? */
bool
dbu_planning_wanted(void)
{
	return plan_module != NULL;
}

/* The hook that was there before; NULL: none. */
void
dbu_planning_install(planner_hook_type next)
{
	next_planner = next;
}

/* ---------- what planning took ---------- */

#define MAX_PLANNED 8

typedef struct Planning
{
	uint64		query_id;		/* 0: free */
	int			nesting;
	bool		served;
	bool		timed;			/* then: */
	double		ms;
	BufferUsage buffers;
	WalUsage	wal;
} Planning;

static Planning planned[MAX_PLANNED];
static int	last_planned = 0;
static int	nplanned = 0;		/* those in use */

/* Hold it back; the oldest gives way. start: NULL when it was not measured. */
static void
note_planning(const DbuPlanRequest *req, uint64 query_id, const DbuUsageStart *start)
{
	DbuStatement used = {0};
	Planning *p;

	if (query_id == 0)
		return;
	last_planned = (last_planned + 1) % MAX_PLANNED;
	p = &planned[last_planned];
	if (p->query_id == 0)
		nplanned++;
	if (start != NULL)
		dbu_usage_stop(start, DBU_WANT, &used);
	p->query_id = query_id;
	p->nesting = req->nesting;
	p->served = req->served;
	p->timed = start != NULL;
	p->ms = used.exec_ms;
	p->buffers = used.buffers;
	p->wal = used.wal;
}

/* The planning of a statement that begins, if it was not planned before. */
void
dbu_planning_take(DbuStatement *stmt)
{
	if (nplanned == 0 || stmt->query_id == 0)
		return;
	for (int back = 0; back < MAX_PLANNED; back++)
	{
		Planning *p = &planned[(last_planned + MAX_PLANNED - back) % MAX_PLANNED];

		if (p->query_id != stmt->query_id || p->nesting != stmt->nesting)
			continue;
		stmt->planned = p->timed;
		stmt->plan_ms = p->ms;
		stmt->plan_served = p->served;
		stmt->buffers = p->buffers;
		stmt->wal = p->wal;
		p->query_id = 0;
		nplanned--;
		return;
	}
}

/* ---------- planning ---------- */

/* Plan req->query as if dbutil were not there. */
PlannedStmt *
dbu_plan_next(DbuPlanRequest *req)
{
	if (next_planner)
		return next_planner(req->query, req->query_string,
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
	dbu_xact_count(req->nesting, stmt.query_id);
	dbu_abort_unasked(&stmt);
}

/* The planner hook. */
PlannedStmt *
dbu_plan(Query *parse, const char *query_string, int cursor_options, ParamListInfo bound_params)
{
	DbuPlanRequest req = {
		.query = parse,
		.query_string = query_string,
		.cursor_options = cursor_options,
		.bound_params = bound_params,
		.seen_after = planner_hook != dbu_plan,
	};
	int			outer = dbu_statement_nesting;
	PlannedStmt *result;
	DbuUsageStart start;
	bool		timed;
	Oid			user;

	if (!dbu_enabled || IsParallelWorker())
		return dbu_plan_next(&req);

	user = GetUserId();
	req.nesting = dbu_planning_depth();
	if (req.nesting == 0)
	{
		/* now, as planning may fail */
		dbu_event_client(user);
		dbu_client_told = true;
	}
	timed = plan_times != NULL && *plan_times;
	if (timed)
		dbu_usage_start(&start, DBU_WANT);

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

	dbu_explained_planned(&req, result);
	if (timed || req.served)
		note_planning(&req, (uint64) result->queryId, timed ? &start : NULL);
	return result;
}
