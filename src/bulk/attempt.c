/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  Write the good rows of a batch, and tell of the bad ones.
 *
 * A batch is tried as a whole in a subtransaction: where no row is bad that is
 * all.  If it fails its rows are judged (judge.c), and those that are left are
 * tried once more: two transaction identifiers for errors that can be found by
 * judging.  What cannot be judged, such as triggers that raise, is searched
 * for: pieces of the batch are tried, and those that fail cut in halves until
 * single rows are left.  The first pieces are about as large as the distance
 * between bad rows that was found so far; where most rows are bad, they are
 * single rows.  Rows are tried in the order of the batch, so that of two rows
 * that exclude each other the first one is written.
 *
 * A batch after one with rows that were found by judging is judged first.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/xact.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/*
 * Let PostgreSQL check the statement of a shape once, so that what it finds is
 * the call's error and not that of each row.
 */
static void
check_statement(DbuBulkCall *call, DbuBatch *batch)
{
	char	   *sql = NULL;
	DbuShape   *shape = batch->shape;

	if (shape->checked)
		return;
	switch (call->op)
	{
		case DBU_BULK_INSERT:
			sql = dbu_bulk_insert_sql(call, shape);
			break;
		case DBU_BULK_UPDATE:
			if (dbu_bulk_sets_any(call, shape))
				sql = dbu_bulk_update_sql(call, shape);
			break;
		case DBU_BULK_DELETE:
			sql = dbu_bulk_delete_sql(call, shape);
			break;
	}
	if (sql != NULL)
		dbu_bulk_check(call, batch, sql);
	shape->checked = true;
}

/*
 * A batch of its own of the rows of another one from .. to - 1 (from 0) that
 * are open.  It lives in the slice; the caller frees it.
 */
DbuBatch *
dbu_bulk_piece(DbuBulkCall *call, DbuBatch *batch, int64 from, int64 to)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(call->slice_mcxt);
	DbuBatch   *piece = palloc0(sizeof(DbuBatch));
	TupleTableSlot *slot = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);

	piece->shape = batch->shape;
	piece->store = tuplestore_begin_heap(false, false, work_mem);
	tuplestore_select_read_pointer(batch->store, 0);
	tuplestore_rescan(batch->store);
	tuplestore_skiptuples(batch->store, from, true);
	for (int64 i = from; i < to && tuplestore_gettupleslot(batch->store, true, false, slot); i++)
	{
		bool		isnull;
		int64		pos = DatumGetInt64(slot_getattr(slot, DBU_FEED_POS, &isnull));

		if (batch->states[pos - 1] != DBU_ROW_OPEN)
			continue;
		slot_getallattrs(slot);
		slot->tts_values[DBU_FEED_POS - 1] = Int64GetDatum(++piece->nrows);
		tuplestore_putvalues(piece->store, call->desc, slot->tts_values, slot->tts_isnull);
	}
	ExecDropSingleTupleTableSlot(slot);
	piece->nstates = piece->max_states = piece->nrows;
	piece->states = MemoryContextAllocExtended(call->slice_mcxt, Max(piece->nrows, 1),
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	MemoryContextSwitchTo(oldcxt);
	return piece;
}

void
dbu_bulk_piece_free(DbuBatch *piece)
{
	tuplestore_end(piece->store);
	pfree(piece->states);
	pfree(piece);
}

/* The chunk is about to be committed: what is deferred to that is to fail now. */
static void
check_deferred(void)
{
	int			rc = SPI_execute("SET CONSTRAINTS ALL IMMEDIATE", false, 0);

	if (rc < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(rc));
}

/* Write all of batch or nothing: the error then, else NULL. */
static ErrorData *
attempt(DbuBulkCall *call, DbuBatch *batch, DbuFlush flush)
{
	DbuRejects *rejects = call->rejects;
	DbuBulkResult saved = call->res;
	int			pending = list_length(rejects->pending);
	int			first = list_length(rejects->first);
	int			returned = list_length(call->returned);
	MemoryContext oldcxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext work = AllocSetContextCreate(call->slice_mcxt, "dbutil bulk attempt",
											   ALLOCSET_DEFAULT_SIZES);
	ErrorData  *volatile error = NULL;

	memset(batch->states, DBU_ROW_OPEN, batch->nstates);
	rejects->attempts++;
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		MemoryContextSwitchTo(work);
		flush(call, batch);
		if (call->batches != NULL)
			check_deferred();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(rejects->mcxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(oldcxt);
	CurrentResourceOwner = owner;
	MemoryContextDelete(work);
	if (error == NULL)
		return NULL;

	dbu_bulk_unregister_rows();
	call->res = saved;
	rejects->pending = list_truncate(rejects->pending, pending);
	rejects->first = list_truncate(rejects->first, first);
	call->returned = list_truncate(call->returned, returned);
	if (!dbu_bulk_rejectable(call, error->sqlerrcode))
		ReThrowError(error);
	return error;
}

static void
reject_single(DbuBulkCall *call, DbuBatch *piece, const ErrorData *error)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);
	DbuReject	reject = {
		.sqlerrcode = error->sqlerrcode,
		.constraint_name = error->constraint_name,
		.column_name = error->column_name,
		.message = error->message,
		.detail = error->detail,
	};

	tuplestore_rescan(piece->store);
	if (!tuplestore_gettupleslot(piece->store, true, false, slot))
		elog(ERROR, "a batch of one row has none");
	dbu_bulk_reject_slot(call, slot, &reject);
	call->rejects->found++;
	ExecDropSingleTupleTableSlot(slot);
}

/* Try the rows from .. to - 1 of batch, and where that fails each half of them. */
static void
search(DbuBulkCall *call, DbuBatch *batch, DbuFlush flush, int64 from, int64 to)
{
	DbuBatch   *piece = dbu_bulk_piece(call, batch, from, to);
	ErrorData  *error = NULL;

	CHECK_FOR_INTERRUPTS();
	if (piece->nrows > 0)
		error = attempt(call, piece, flush);
	if (error != NULL && piece->nrows == 1)
	{
		reject_single(call, piece, error);
		error = NULL;
	}
	dbu_bulk_piece_free(piece);
	if (error != NULL)
	{
		int64		middle = from + (to - from) / 2;

		search(call, batch, flush, from, middle);
		search(call, batch, flush, middle, to);
	}
}

/* Rows between two bad ones, as far as is known; half the batch before that. */
static int64
piece_size(const DbuRejects *rejects, int64 nrows)
{
	int64		size = rejects->found > 0 ? rejects->searched / rejects->found : nrows / 2;

	return Max(size, 1);
}

static void
search_all(DbuBulkCall *call, DbuBatch *batch, DbuFlush flush)
{
	DbuRejects *rejects = call->rejects;

	for (int64 from = 0; from < batch->nrows;)
	{
		int64		to = Min(from + piece_size(rejects, batch->nrows), batch->nrows);

		search(call, batch, flush, from, to);
		rejects->searched += to - from;
		from = to;
		dbu_bulk_reject_limit(call);
	}
}

/* Judge the rows of batch; a batch of those that are left, or itself. */
static DbuBatch *
judge(DbuBulkCall *call, DbuBatch *batch)
{
	int64		rejected = dbu_bulk_judge(call, batch);

	dbu_bulk_guard_end(call);
	call->rejects->judge_first = rejected > 0;
	dbu_bulk_reject_limit(call);
	return rejected > 0 ? dbu_bulk_piece(call, batch, 0, batch->nrows) : batch;
}

void
dbu_bulk_attempt(DbuBulkCall *call, DbuBatch *batch, DbuFlush flush)
{
	DbuBatch   *rest = batch;
	bool		judged = call->rejects->judge_first || call->opt.dry_run;

	dbu_bulk_guard_end(call);
	check_statement(call, batch);
	if (batch->nrows == 0)
	{
		flush(call, batch);
		return;
	}
	if (judged)
		rest = judge(call, batch);
	if (call->opt.dry_run)
		flush(call, rest);
	else if (rest->nrows > 0 && attempt(call, rest, flush) != NULL)
	{
		if (!judged)
			rest = judge(call, batch);
		/* nothing came of judging: the same again would fail again */
		if (rest == batch || (rest->nrows > 0 && attempt(call, rest, flush) != NULL))
			search_all(call, rest, flush);
	}
	if (rest != batch)
		dbu_bulk_piece_free(rest);
	dbu_bulk_reject_limit(call);
}
