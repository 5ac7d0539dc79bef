/*-------------------------------------------------------------------------
 *
 * direct_guard.c
 *	  Insert a batch without a statement, and where that does not come out as
 *	  an INSERT would, take it back and leave it to INSERT.
 *
 * Such a batch needs a subtransaction.  It is taken back when
 *
 *		conflicts	come up after what is in the way was looked for: rows of
 *					another session or of the same batch.  Looking beforehand
 *					spares the marks of a speculative insertion.
 *		an error	comes from making a tuple, by a generated column or the
 *					routing to a partition: a row before it may be wrong as well,
 *					and would be the one to be told.
 *		a partition	turns out to be none that rows may go into this way.
 *
 * Nothing of the user's has run by then that shows.  What comes from triggers
 * afterwards is the statement's error, and stays.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/direct.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

typedef enum Outcome
{
	REFUSED,					/* nothing was done */
	TO_BE_TAKEN_BACK,
	DONE
} Outcome;

/* rows_done: set once all that can go wrong with rows has gone right. */
static Outcome
insert_batch(DbuBulkCall *call, DbuBatch *batch, List *arbiters, int64 *inserted, volatile bool *rows_done)
{
	DbuDirect  *direct = dbu_bulk_direct_begin(call, batch->shape, arbiters);
	TupleTableSlot *slot;
	bool		go = true;

	if (direct == NULL)
		return REFUSED;
	slot = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);
	tuplestore_select_read_pointer(batch->store, 0);
	tuplestore_rescan(batch->store);
	while (go && tuplestore_gettupleslot(batch->store, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		go = dbu_bulk_direct_row(direct, DatumGetInt64(slot->tts_values[DBU_FEED_ORD - 1]),
								 slot->tts_values + DBU_FEED_FIRST - 1, slot->tts_isnull + DBU_FEED_FIRST - 1);
	}
	ExecDropSingleTupleTableSlot(slot);
	if (!go)
	{
		call->leaf_refused = direct->refused;
		return TO_BE_TAKEN_BACK;
	}
	dbu_bulk_direct_flush(direct);
	*rows_done = true;
	*inserted = dbu_bulk_direct_end(direct);
	return DONE;
}

static bool
is_conflict(const DbuBulkCall *call, const ErrorData *error)
{
	return call->opt.on_conflict == DBU_CONFLICT_NOTHING &&
		(error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION || error->sqlerrcode == ERRCODE_EXCLUSION_VIOLATION);
}

/* Is this error a reason to ask INSERT?  Where the rows are tried as a whole and then one by one it is not. */
static bool
is_doubtful(const DbuBulkCall *call, const ErrorData *error, bool rows_done)
{
	return !rows_done && dbu_bulk_error_of_row(error->sqlerrcode) &&
		(call->rejects == NULL || is_conflict(call, error));
}

static bool
insert_guarded(DbuBulkCall *call, DbuBatch *batch, List *arbiters, int64 *inserted)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int64		batches = call->direct_batches;
	int			returned = list_length(call->returned);
	volatile bool rows_done = false;
	volatile Outcome outcome = TO_BE_TAKEN_BACK;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		MemoryContextSwitchTo(call->slice_mcxt);
		outcome = insert_batch(call, batch, arbiters, inserted, &rows_done);
		if (outcome == TO_BE_TAKEN_BACK)
		{
			RollbackAndReleaseCurrentSubTransaction();
			call->not_direct = dbu_bulk_call_not_direct(call);
		}
		else
			ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(call->slice_mcxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcxt);
		CurrentResourceOwner = owner;
		if (!is_doubtful(call, error, rows_done))
			ReThrowError(error);
		call->met_conflicts = is_conflict(call, error);
		call->not_direct = call->met_conflicts ? dbu_bulk_call_not_direct(call) : "a row was in doubt";
	}
	PG_END_TRY();
	MemoryContextSwitchTo(oldcxt);
	CurrentResourceOwner = owner;
	if (outcome == TO_BE_TAKEN_BACK)
	{
		call->direct_batches = batches;
		call->returned = list_truncate(call->returned, returned);
	}
	return outcome == DONE;
}

/* May a batch of the call have to be taken back?  Where its rows are tried anyway, an error may be another row's. */
bool
dbu_bulk_direct_needs_guard(const DbuBulkCall *call)
{
	return call->opt.on_conflict == DBU_CONFLICT_NOTHING ||
		call->target->relkind == RELKIND_PARTITIONED_TABLE ||
		(call->target->generates && call->rejects == NULL);
}

/* Insert the batch if that may be done; false: nothing was.  inserted: how many of its rows. */
bool
dbu_bulk_direct(DbuBulkCall *call, DbuBatch *batch, int64 *inserted)
{
	List	   *arbiters = NIL;
	bool		rows_done;
	const char *why = dbu_bulk_call_not_direct(call);

	/* no subtransaction where nothing will come of it */
	if (why != NULL)
	{
		call->not_direct = why;
		return false;
	}
	if (!dbu_bulk_direct_needs_guard(call))
		return insert_batch(call, batch, NIL, inserted, &rows_done) == DONE;
	if (call->opt.conflict_columns != NIL || call->opt.conflict_constraint != NULL)
		arbiters = dbu_bulk_arbiters(call, batch);
	return insert_guarded(call, batch, arbiters, inserted);
}
