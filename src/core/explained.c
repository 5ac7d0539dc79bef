/*-------------------------------------------------------------------------
 *
 * explained.c
 *	  EXPLAIN tells where the plan came from.
 *
 * A property belongs into the group that EXPLAIN keeps open for its statement,
 * which ends where no hook is before 18.  But EXPLAIN also starts and ends an
 * execution, and the end comes while the group is open: when the execution of
 * the explained plan ends, the line is written.  Statements that run inside the
 * explained one, or inside functions that are folded while it is planned, have
 * other plans, and another depth.
 *
 * EXPLAIN EXECUTE passes no hook before 18, so it gets no line there.  From 18
 * on each plan passes one.  PREPARE keeps a copy of what was planned, so plans
 * are told apart by their order; a plan that was kept there gets no line.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/explained.h"
#include "core/statement.h"

#include DBU_EXPLAIN_FORMAT_H
#include "tcop/tcopprot.h"

/* The EXPLAIN at work, the innermost if there are several. */
typedef struct Explained
{
	ExplainState *state;		/* NULL: none, or of EXECUTE */
	bool		execute;
	int			nesting;		/* of the statement that is explained */
	const PlannedStmt *plan;	/* its plan, once there is one */
	const char *source;			/* and where that came from */
	List	   *sources;		/* of EXECUTE's plans that were made and not yet told */
} Explained;

static Explained explained = {0};

#ifdef DBU_NEEDS_EXPLAIN_ONE_QUERY
static void
dbu_pg_explain_one_query(Query *query, int cursor_options, IntoClause *into,
						 ExplainState *es, const char *query_string,
						 ParamListInfo params, QueryEnvironment *query_env)
{
	BufferUsage before = pgBufferUsage;
	BufferUsage used = {0};
	PlannedStmt *plan;
	instr_time	start;
	instr_time	duration;

	INSTR_TIME_SET_CURRENT(start);
	plan = pg_plan_query(query, query_string, cursor_options, params);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	BufferUsageAccumDiff(&used, &pgBufferUsage, &before);
	ExplainOnePlan(plan, into, es, query_string, params, query_env, &duration,
				   es->buffers ? &used : NULL);
}
#endif

void
dbu_explained_run(ExplainOneQuery_hook_type next, Query *query, int cursor_options,
				  IntoClause *into, ExplainState *es, const char *query_string,
				  ParamListInfo params, QueryEnvironment *query_env)
{
	Explained	outer = explained;

	explained = (Explained) {.state = es,.nesting = dbu_planning_depth()};
	PG_TRY();
	{
		if (next)
			next(query, cursor_options, into, es, query_string, params, query_env);
		else
			dbu_pg_explain_one_query(query, cursor_options, into, es, query_string,
									 params, query_env);
	}
	PG_FINALLY();
	{
		explained = outer;
	}
	PG_END_TRY();
}

void
dbu_explained_planned(const DbuPlanRequest *req, const PlannedStmt *plan)
{
	if (req->nesting != explained.nesting)
		return;
	if (explained.execute)
	{
		if (req->source != NULL)
			explained.sources = lappend(explained.sources, unconstify(char *, req->source));
	}
	else if (explained.state != NULL && explained.plan == NULL)
	{
		explained.plan = plan;
		explained.source = req->source;
	}
}

void
dbu_explained_end(const QueryDesc *query_desc)
{
	if (explained.state != NULL && explained.source != NULL &&
		query_desc->plannedstmt == explained.plan)
		ExplainPropertyText("Plan Cache", explained.source, explained.state);
}

/* ---------- EXPLAIN EXECUTE ---------- */

/* Does the command explain a statement that was prepared? */
bool
dbu_explains_execute(Node *command)
{
	Query	   *query;

	if (!IsA(command, ExplainStmt))
		return false;
	query = castNode(Query, ((ExplainStmt *) command)->query);
	return query->utilityStmt != NULL && IsA(query->utilityStmt, ExecuteStmt);
}

void
dbu_explained_execute(ProcessUtility_hook_type next, PlannedStmt *pstmt,
					  const char *query_string, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *qc)
{
	Explained	outer = explained;

	explained = (Explained) {.execute = true,.nesting = dbu_planning_depth()};
	PG_TRY();
	{
		next(pstmt, query_string, read_only_tree, context, params, query_env, dest, qc);
	}
	PG_FINALLY();
	{
		explained = outer;
	}
	PG_END_TRY();
}

void
dbu_explained_plan(ExplainState *es)
{
	if (explained.sources == NIL || dbu_planning_depth() != explained.nesting)
		return;
	ExplainPropertyText("Plan Cache", linitial(explained.sources), es);
	explained.sources = list_delete_first(explained.sources);
}
