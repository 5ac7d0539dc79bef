/*-------------------------------------------------------------------------
 *
 * lend.c
 *	  Serving a stored plan without copying it.
 *
 * An executor only reads a plan: PostgreSQL's own plan cache lets execution
 * after execution run the same one.  What the planner returns lies in the memory
 * context that is current, and whoever needs it for longer copies it.  So a
 * stored plan itself is lent to one statement at a time, with the statement's
 * literals written over its places, until that memory context is reset: a
 * callback then takes it back.  What is lent while it is asked for again (a
 * function that runs the statement which called it, a plan kept for a session)
 * is copied, see instance.c; so is every plan when another extension's planner
 * hook sees it after ours, which may write to it.
 *
 * The borrower gets a PlannedStmt node of its own, whose fields differ from
 * statement to statement; what it points to is the entry's.  While it is lent the
 * entry may leave the store, but its memory stays until it comes back.
 *
 * The places hold values that belong to the statement.  They are blanked before
 * the plan is used again, so that nothing is read in memory that is gone.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/plancache.h"

#include "nodes/plannodes.h"
#include "utils/memutils.h"

typedef struct Lease
{
	MemoryContextCallback callback;
	DbuPlanEntry *entry;
} Lease;

static void
blank_places(DbuPlanEntry *entry)
{
	for (int i = 0; i < entry->nplaces; i++)
	{
		entry->places[i]->constvalue = (Datum) 0;
		entry->places[i]->constisnull = true;
	}
}

/* The borrower's memory goes: no executor can be running the plan any more. */
static void
take_back(void *arg)
{
	DbuPlanEntry *entry = ((Lease *) arg)->entry;

	entry->lent = false;
	if (entry->dropped)
		MemoryContextDelete(entry->context);
}

/*
 * The plan for the statement: a copy in the current memory context, or lent to it
 * unless only_copy.  NULL if not every place could be filled, which only a bug can
 * bring about.
 */
PlannedStmt *
dbu_plancache_lend(DbuPlanEntry *entry, const DbuRecognised *rec, bool only_copy)
{
	PlannedStmt *plan;
	Lease	   *lease;

	if (entry->lent)
		return dbu_plancache_instance(entry, rec);

	/* an error while they were filled may have left some that are */
	blank_places(entry);
	if (only_copy)
		return dbu_plancache_instance(entry, rec);

	plan = palloc_object(PlannedStmt);
	lease = palloc_object(Lease);
	for (int i = 0; i < entry->nplaces; i++)
	{
		Const	   *place = entry->places[i];
		int			location = place->location;

		if (!dbu_plancache_fill_place(place, rec))
			return NULL;
		/* still a place for those who copy the plan meanwhile */
		place->location = location;
	}

	lease->entry = entry;
	lease->callback.func = take_back;
	lease->callback.arg = lease;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &lease->callback);
	entry->lent = true;

	*plan = *entry->plan;
	plan->queryId = rec->query->queryId;
	plan->stmt_location = rec->query->stmt_location;
	plan->stmt_len = rec->query->stmt_len;
	return plan;
}
