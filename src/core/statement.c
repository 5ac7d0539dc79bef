/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  What is known of a statement from its beginning on: how deep it is
 *	  nested, who runs it, how long it was planned.
 *
 * The record of a QueryDesc (DbuQuery) lives in its es_query_cxt and is freed
 * with it, whichever way the execution ends, so nothing is to be done in error
 * paths and at the abort of subtransactions.  It is found again among the
 * reset callbacks of that context, seldom more than this one: no table to
 * search, none to keep right.
 *
 * A planning time is held back until an execution of the same statement at
 * the same depth begins.  Several are, as all portals may be bound before the
 * first is run.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/statement.h"

#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/memnodes.h"
#include "tcop/pquery.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

int			dbu_statement_nesting = 0;

int
dbu_nesting(void)
{
	return dbu_statement_nesting;
}

/* ---------- depth ---------- */

/*
 * At COMMIT, deferred constraints and triggers run outside any statement of
 * the client, often as another user.
 */
static bool
in_trigger(void)
{
	return DatumGetInt32(pg_trigger_depth(NULL)) > 0;
}

/* The depth of a statement that is to be planned now. */
int
dbu_planning_depth(void)
{
	if (dbu_statement_nesting > 0)
		return dbu_statement_nesting;
	/* an autovacuum worker has no client; what it runs is in index expressions */
	return in_trigger() || MyBackendType == B_AUTOVAC_WORKER ? 1 : 0;
}

/*
 * The depth of a statement whose execution begins now.  A client's statement
 * runs in a portal.  What runs without one and inside no other statement is
 * nested in something that is none: the end of a transaction, a function-call
 * message.  Background workers send their own statements without a portal.
 */
int
dbu_execution_depth(void)
{
	if (dbu_statement_nesting > 0 || ActivePortal != NULL)
		return dbu_statement_nesting;
	return in_trigger() || MyBackendType != B_BG_WORKER ? 1 : 0;
}

/* ---------- records ---------- */

/* Does nothing; its address tells our records from other callbacks. */
static void
tag(void *arg)
{
}

/* Make the record of a QueryDesc that has been started. */
DbuQuery *
dbu_query_remember(QueryDesc *query_desc, uint32 wanted, Oid user, int nesting)
{
	MemoryContext context = query_desc->estate->es_query_cxt;
	DbuQuery   *query = MemoryContextAlloc(context, sizeof(DbuQuery));

	query->wanted = wanted;
	query->user = user;
	query->nesting = nesting;
	query->ran = false;
	query->rows = 0;
	query->planned = dbu_planning_take((uint64) query_desc->plannedstmt->queryId, nesting,
									   &query->plan_ms, &query->served);
	query->tag.func = tag;
	query->tag.arg = query;
	MemoryContextRegisterResetCallback(context, &query->tag);
	return query;
}

/* The record of a QueryDesc, NULL when nobody wanted it. */
DbuQuery *
dbu_query_of(QueryDesc *query_desc)
{
	MemoryContextCallback *callback = query_desc->estate->es_query_cxt->reset_cbs;

	while (callback != NULL && callback->func != tag)
		callback = callback->next;
	return callback ? callback->arg : NULL;
}

/* ---------- planning times ---------- */

#define MAX_PLANNED 8

static struct
{
	uint64		query_id;		/* 0: free */
	int			nesting;
	bool		served;
	double		ms;
}			planned[MAX_PLANNED];
static int	last_planned = 0;

/* Hold a planning time back; the oldest gives way. */
void
dbu_planning_note(uint64 query_id, int nesting, double ms, bool served)
{
	if (query_id == 0)
		return;
	last_planned = (last_planned + 1) % MAX_PLANNED;
	planned[last_planned].query_id = query_id;
	planned[last_planned].nesting = nesting;
	planned[last_planned].ms = ms;
	planned[last_planned].served = served;
}

/* The planning time of a statement that begins; false: it was planned before. */
bool
dbu_planning_take(uint64 query_id, int nesting, double *ms, bool *served)
{
	*ms = 0;
	*served = false;
	if (query_id == 0)
		return false;
	for (int back = 0; back < MAX_PLANNED; back++)
	{
		int			i = (last_planned + MAX_PLANNED - back) % MAX_PLANNED;

		if (planned[i].query_id == query_id && planned[i].nesting == nesting)
		{
			*ms = planned[i].ms;
			*served = planned[i].served;
			planned[i].query_id = 0;
			return true;
		}
	}
	return false;
}
