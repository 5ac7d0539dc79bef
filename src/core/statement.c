/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  What is known of a statement from its beginning on: how deep it is
 *	  nested, who runs it.
 *
 * The record of a QueryDesc (DbuQuery) is freed by a reset callback of its
 * es_query_cxt, whichever way the execution ends, so nothing is to be done in
 * error paths and at the abort of subtransactions.  It is found again among
 * the reset callbacks of that context, seldom more than this one: no table to
 * search, none to keep right.  A few records are static: what is allocated
 * there for each statement can be what needs another block of memory.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/planning.h"
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

/* Records at hand; deeper nesting allocates them. */
#define MAX_RECORDS 8

static DbuQuery records[MAX_RECORDS];
static DbuQuery *free_record = NULL;	/* NULL: none, or none taken yet */
static bool records_linked = false;

/*
 * Give a record back that dbu_query_new() returned: nobody wants the statement,
 * or it failed to start.  Callable in error paths.
 */
void
dbu_query_give_up(DbuQuery *query)
{
	if (query >= records && query < records + MAX_RECORDS)
	{
		query->next_free = free_record;
		free_record = query;
	}
	else
		pfree(query);
}

/* The context of an execution is reset: its record is free. */
static void
release(void *arg)
{
	dbu_query_give_up(arg);
}

/*
 * A record that is to be filled, and then kept or given up.  One that has to be
 * allocated is in the context in which the executor will make that of the
 * execution: it lives longer.
 */
DbuQuery *
dbu_query_new(void)
{
	DbuQuery   *query;

	if (unlikely(!records_linked))
	{
		records_linked = true;
		for (int i = 0; i < MAX_RECORDS; i++)
			dbu_query_give_up(&records[i]);
	}
	query = free_record;
	if (unlikely(query == NULL))
		return palloc(sizeof(DbuQuery));
	free_record = query->next_free;
	return query;
}

/* Keep the record until its QueryDesc, which has been started, ends. */
void
dbu_query_keep(DbuQuery *query)
{
	query->ran = false;
	dbu_planning_take(&query->stmt);
	query->tag.func = release;
	query->tag.arg = query;
	MemoryContextRegisterResetCallback(query->stmt.query_desc->estate->es_query_cxt, &query->tag);
}

/* The record of a QueryDesc, NULL when nobody wanted it. */
DbuQuery *
dbu_query_of(QueryDesc *query_desc)
{
	MemoryContextCallback *callback = query_desc->estate->es_query_cxt->reset_cbs;

	while (callback != NULL && callback->func != release)
		callback = callback->next;
	return callback ? callback->arg : NULL;
}
