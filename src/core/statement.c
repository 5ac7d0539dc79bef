/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  What is known of a statement from its beginning on: how deep it is
 *	  nested, who runs it, how long it was planned.
 *
 * The record of a QueryDesc (DbuQuery) is freed by a reset callback of its
 * es_query_cxt, whichever way the execution ends, so nothing is to be done in
 * error paths and at the abort of subtransactions.  It is found again among
 * the reset callbacks of that context, seldom more than this one: no table to
 * search, none to keep right.  A few records are static: what is allocated
 * there for each statement can be what needs another block of memory.
 *
 * What planning took is held back until an execution of the same statement at
 * the same depth begins.  Several are, as all portals may be bound before the
 * first is run.  Where it is not measured and no module planned, there is
 * nothing to hold back.
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

/* ---------- planning ---------- */

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
void
dbu_planning_note(const DbuPlanRequest *req, uint64 query_id, const DbuUsageStart *start)
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
