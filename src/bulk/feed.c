/*-------------------------------------------------------------------------
 *
 * feed.c
 *	  From a source of rows to batches: NULL keys and duplicates are found,
 *	  rows are put in key order, and cut into slices.
 *
 * Order matters.  Two calls that lock rows of one table in the same order wait
 * for each other instead of running into a deadlock: where rows that are there
 * already are locked, all rows of the call are sorted by key, not only those
 * of a slice.  A plain insert keeps the order of the input, so that sequences
 * number the rows as one INSERT would.  Rows of several shapes go run by run,
 * a statement for each stretch of one shape: that keeps either order.  Where
 * several statements would show they are united (unite.c).
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "catalog/pg_operator_d.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/sortsupport.h"
#include "utils/tuplesort.h"

/* Other sessions see how many rows are read after each of so many. */
#define PROGRESS_ROWS 256

typedef struct Feed
{
	DbuBulkCall *call;
	DbuFlush	flush;
	int64		slice_limit;
	bool		unite;			/* rows of all shapes into one batch */
	int64		slice_rows;		/* in the slice so far */
	DbuBatch   *open;			/* the batch being filled, or NULL */
	bool		streams;		/* rows may go on without a batch, if the table allows it ... */
	DbuDirect  *stream;			/* ... as they do now, or NULL */
	SortSupport keys;			/* compares keys of rows */
} Feed;

/* ---------- batches ---------- */

static DbuBatch *
begin_batch(DbuShape *shape)
{
	DbuBatch   *batch = palloc0(sizeof(DbuBatch));

	batch->shape = shape;
	batch->store = tuplestore_begin_heap(false, false, work_mem);
	batch->max_states = 64;
	batch->states = palloc0(batch->max_states);
	return batch;
}

static void
write_batch(Feed *feed, DbuBatch *batch)
{
	DbuBulkCall *call = feed->call;
	DbuBatch   *free = dbu_bulk_lock(call, batch);

	if (call->rejects != NULL)
		dbu_bulk_attempt(call, free, feed->flush);
	else
		feed->flush(call, free);
	if (free != batch)
		dbu_bulk_piece_free(free);
}

/* The rows that went on without a batch are a batch all the same: that ends. */
static void
end_stream(Feed *feed)
{
	DbuDirect  *stream = feed->stream;

	feed->stream = NULL;
	feed->call->nbatches++;
	feed->call->res.inserted += dbu_bulk_direct_end(stream);
}

static void
flush_open(Feed *feed)
{
	DbuBatch   *batch = feed->open;
	MemoryContext oldcxt;

	if (feed->stream != NULL)
		end_stream(feed);
	if (batch == NULL)
		return;
	CHECK_FOR_INTERRUPTS();
	feed->open = NULL;
	oldcxt = MemoryContextSwitchTo(feed->call->mcxt);
	feed->call->nbatches++;
	if (batch->shape_ids != NULL)
		dbu_bulk_unite(feed->call, batch);
	write_batch(feed, batch);
	MemoryContextSwitchTo(oldcxt);
	tuplestore_end(batch->store);
	pfree(batch->states);
	pfree(batch);
}

static void
end_slice(Feed *feed)
{
	if (feed->slice_rows == 0)
		return;
	flush_open(feed);
	MemoryContextReset(feed->call->slice_mcxt);
	feed->slice_rows = 0;
	feed->call->res.chunks++;
	dbu_bulk_progress_update(feed->call);
}

/* Insert a row at once if that can be done; false: it has to go into a batch. */
static bool
emit_stream(Feed *feed, DbuShape *shape, const Datum *values, const bool *nulls)
{
	if (feed->stream != NULL && !dbu_bulk_direct_is_for(feed->stream, shape))
		end_stream(feed);
	if (feed->stream == NULL && feed->open == NULL)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(feed->call->slice_mcxt);

		feed->stream = dbu_bulk_direct_begin(feed->call, shape, NIL);
		MemoryContextSwitchTo(oldcxt);
	}
	if (feed->stream == NULL)
		return false;
	if (!dbu_bulk_direct_row(feed->stream, DatumGetInt64(values[DBU_FEED_ORD - 1]),
							 values + DBU_FEED_FIRST - 1, nulls + DBU_FEED_FIRST - 1))
		elog(ERROR, "rows that went into a table have to be taken back");
	return true;
}

/* Put a row, laid out as a batch's rows are, into a batch of its shape. */
static void
emit(Feed *feed, DbuShape *shape, Datum *values, bool *nulls)
{
	DbuBulkCall *call = feed->call;
	MemoryContext oldcxt;
	DbuBatch   *batch;

	if (feed->open != NULL && feed->open->shape != shape && !feed->unite)
		flush_open(feed);
	if (feed->streams && emit_stream(feed, shape, values, nulls))
	{
		if (++feed->slice_rows >= feed->slice_limit)
			end_slice(feed);
		return;
	}

	oldcxt = MemoryContextSwitchTo(call->slice_mcxt);
	if (feed->open == NULL)
		feed->open = begin_batch(shape);
	batch = feed->open;
	if (batch->shape != shape && !bms_is_member(shape->id, batch->shape_ids))
	{
		batch->shape_ids = bms_add_member(batch->shape_ids, batch->shape->id);
		batch->shape_ids = bms_add_member(batch->shape_ids, shape->id);
	}
	if (batch->nstates == batch->max_states)
	{
		batch->max_states *= 2;
		batch->states = repalloc_huge(batch->states, batch->max_states);
	}
	batch->states[batch->nstates++] = DBU_ROW_OPEN;
	batch->nrows++;
	values[DBU_FEED_POS - 1] = Int64GetDatum(batch->nstates);
	nulls[DBU_FEED_POS - 1] = false;
	tuplestore_putvalues(batch->store, call->desc, values, nulls);
	MemoryContextSwitchTo(oldcxt);

	if (++feed->slice_rows >= feed->slice_limit)
		end_slice(feed);
}

/* ---------- keys ---------- */

static void
check_key(const DbuBulkCall *call, DbuRow *row)
{
	for (int k = 0; k < call->key->ncolumns; k++)
	{
		int			position = call->key->positions[k];

		if (bms_is_member(position, row->shape->present) && !row->nulls[position])
			continue;
		row->position = position;
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("row " INT64_FORMAT " has no value for key column \"%s\"",
						row->ord, call->key->columns[k]->name),
				 errhint("Every row needs a key without nulls.")));
	}
}

/* Are duplicates found by the table's own unique index, so that a dry run has to look for them? */
static bool
reports_only(const DbuBulkCall *call)
{
	return call->op == DBU_BULK_INSERT && call->opt.on_conflict == DBU_CONFLICT_ERROR &&
		call->opt.duplicates == DBU_DUPLICATES_ERROR;
}

static bool
sorts(const DbuBulkCall *call)
{
	/* where rows are judged, these duplicates are found there */
	if (reports_only(call) && (!call->opt.dry_run || call->rejects != NULL))
		return false;
	if (call->key == NULL || !call->key->comparable)
		return false;
	for (int k = 0; k < call->key->ncolumns; k++)
	{
		if (call->key->positions[k] >= 0)
			continue;
		if (call->opt.duplicates == DBU_DUPLICATES_ERROR)
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the rows have no column \"%s\" to find duplicates by",
						call->key->columns[k]->name),
				 errhint("Name the columns in the parameter \"conflict_columns\".")));
	}
	return true;
}

static Tuplesortstate *
begin_sort(Feed *feed)
{
	DbuBulkCall *call = feed->call;
	const DbuKey *key = call->key;
	int			n = key->ncolumns + 1;	/* the last one is the order of the input */
	AttrNumber *attnos = palloc(sizeof(AttrNumber) * n);
	Oid		   *operators = palloc(sizeof(Oid) * n);
	Oid		   *collations = palloc(sizeof(Oid) * n);
	bool	   *nulls_first = palloc0(sizeof(bool) * n);

	feed->keys = palloc0(sizeof(SortSupportData) * key->ncolumns);
	for (int k = 0; k < key->ncolumns; k++)
	{
		attnos[k] = DBU_FEED_FIRST + key->positions[k];
		operators[k] = key->less[k];
		collations[k] = call->feed[key->positions[k]].collation;

		feed->keys[k].ssup_cxt = CurrentMemoryContext;
		feed->keys[k].ssup_collation = collations[k];
		feed->keys[k].ssup_attno = attnos[k];
		PrepareSortSupportFromOrderingOp(operators[k], &feed->keys[k]);
	}
	attnos[n - 1] = DBU_FEED_ORD;
	operators[n - 1] = Int8LessOperator;
	collations[n - 1] = InvalidOid;
	return tuplesort_begin_heap(call->desc, n, attnos, operators, collations, nulls_first,
								work_mem, NULL, TUPLESORT_NONE);
}

static DbuShape *
slot_shape(DbuBulkCall *call, TupleTableSlot *slot)
{
	return list_nth(call->shapes, DatumGetInt32(slot->tts_values[DBU_FEED_SHAPE - 1]));
}

/* Neighbours in key order: are their keys equal?  Both slots are deformed. */
static bool
same_key(Feed *feed, TupleTableSlot *a, TupleTableSlot *b)
{
	DbuBulkCall *call = feed->call;

	if (!dbu_bulk_key_supplied(call, slot_shape(call, a)) ||
		!dbu_bulk_key_supplied(call, slot_shape(call, b)))
		return false;
	for (int k = 0; k < call->key->ncolumns; k++)
	{
		int			i = feed->keys[k].ssup_attno - 1;

		if ((a->tts_isnull[i] || b->tts_isnull[i]) && !call->key->nulls_equal)
			return false;
		if (ApplySortComparator(a->tts_values[i], a->tts_isnull[i],
								b->tts_values[i], b->tts_isnull[i], &feed->keys[k]) != 0)
			return false;
	}
	return true;
}

static const char duplicate_message[] = "duplicate key in the rows given";

static char *
duplicate_detail(DbuBulkCall *call, TupleTableSlot *a, TupleTableSlot *b)
{
	return psprintf("Key %s is in row " INT64_FORMAT " and in row " INT64_FORMAT ".",
					dbu_bulk_key_text(call, a->tts_values + DBU_FEED_FIRST - 1,
									  a->tts_isnull + DBU_FEED_FIRST - 1),
					DatumGetInt64(a->tts_values[DBU_FEED_ORD - 1]),
					DatumGetInt64(b->tts_values[DBU_FEED_ORD - 1]));
}

/* The second one, b, is rejected. */
static void
reject_duplicate(DbuBulkCall *call, TupleTableSlot *a, TupleTableSlot *b)
{
	DbuReject	reject = {.sqlerrcode = ERRCODE_CARDINALITY_VIOLATION,.message = duplicate_message};
	MemoryContext oldcxt = MemoryContextSwitchTo(call->slice_mcxt);

	reject.detail = duplicate_detail(call, a, b);
	dbu_bulk_reject_slot(call, b, &reject);
	MemoryContextSwitchTo(oldcxt);
	dbu_bulk_reject_limit(call);
}

static void
error_duplicate(DbuBulkCall *call, TupleTableSlot *a, TupleTableSlot *b)
{
	ereport(ERROR,
			(errcode(ERRCODE_CARDINALITY_VIOLATION),
			 errmsg("%s", duplicate_message),
			 errdetail_internal("%s", duplicate_detail(call, a, b)),
			 call->op == DBU_BULK_INSERT
			 ? errhint("Set duplicates to first or last to keep one of them.")
			 : errhint("Give each key once.")));
}

/* What the real call would fail with at its unique index. */
static void
note_duplicate(DbuBulkCall *call, TupleTableSlot *slot)
{
	int64		ord = DatumGetInt64(slot->tts_values[DBU_FEED_ORD - 1]);
	MemoryContext oldcxt;

	if (call->res.first_error_ord != 0 && call->res.first_error_ord < ord)
		return;
	oldcxt = MemoryContextSwitchTo(call->slice_mcxt);
	dbu_bulk_note_error(call, ord, "23505",
						psprintf("Key %s is in the rows more than once.",
								 dbu_bulk_key_text(call, slot->tts_values + DBU_FEED_FIRST - 1,
												   slot->tts_isnull + DBU_FEED_FIRST - 1)));
	MemoryContextSwitchTo(oldcxt);
}

/* Hand out sorted rows; of several with one key at most one. */
static void
emit_sorted(Feed *feed, Tuplesortstate *sort)
{
	DbuBulkCall *call = feed->call;
	TupleTableSlot *held = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);
	TupleTableSlot *next = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);
	bool		have = false;

	while (tuplesort_gettupleslot(sort, true, true, next, NULL))
	{
		TupleTableSlot *swap = held;

		slot_getallattrs(next);
		if (have && !dbu_bulk_key_supplied(call, slot_shape(call, next)))
		{
			/* what its key will be is not known; rows of one key may lie on both sides of it */
			emit(feed, slot_shape(call, next), next->tts_values, next->tts_isnull);
			continue;
		}
		if (have && same_key(feed, held, next))
		{
			if (reports_only(call))
				note_duplicate(call, next);
			else if (call->opt.duplicates == DBU_DUPLICATES_ERROR)
			{
				if (!call->opt.on_error)
					error_duplicate(call, held, next);
				reject_duplicate(call, held, next);
				continue;
			}
			call->res.conflicts++;
			dbu_bulk_returned_slot(call, call->opt.duplicates == DBU_DUPLICATES_LAST ? held : next, "conflict");
			if (call->opt.duplicates != DBU_DUPLICATES_LAST)
				continue;
		}
		else if (have)
			emit(feed, slot_shape(call, held), held->tts_values, held->tts_isnull);
		held = next;
		next = swap;
		have = true;
	}
	if (have)
		emit(feed, slot_shape(call, held), held->tts_values, held->tts_isnull);
	ExecDropSingleTupleTableSlot(held);
	ExecDropSingleTupleTableSlot(next);
}

/* ---------- the call ---------- */

/*
 * Without rows the statement runs as well: it checks privileges, and fires
 * triggers for each statement, as plain SQL does when it finds no rows.
 */
static void
flush_empty(Feed *feed)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(feed->call->mcxt);
	DbuShape   *shape = dbu_bulk_shape_empty(feed->call);

	MemoryContextSwitchTo(feed->call->slice_mcxt);
	feed->open = begin_batch(shape);
	MemoryContextSwitchTo(oldcxt);
	flush_open(feed);
}

/*
 * May rows be inserted while more are read?  Not where something of the user's
 * runs in between that may write or look at the table: a query to read from.
 * What is to be tried, or may have to be taken back, needs its batch.
 */
static bool
may_stream(const Feed *feed, const DbuSource *source)
{
	return feed->call->op == DBU_BULK_INSERT && feed->call->rejects == NULL && !feed->unite &&
		!dbu_bulk_direct_needs_guard(feed->call) &&
		(source->tuples == NULL || source->tuples->fill == NULL);
}

/* Read and check the next row; false: there are no more. */
static bool
read_row(DbuBulkCall *call, DbuSource *source, DbuRow *row)
{
	if (!source->next(source, row))
		return false;
	if (call->op != DBU_BULK_INSERT)
		check_key(call, row);
	else if (call->key != NULL && sorts(call))
		dbu_bulk_key_fill(call, row);
	return true;
}

static bool
next_row(DbuBulkCall *call, DbuSource *source, DbuRow *row)
{
	if (source == NULL)
		return false;
	if (source->tuples != NULL && dbu_bulk_tuples_want(source->tuples))
	{
		dbu_bulk_guard_end(call);
		source->tuples->fill(source->tuples);
	}
	if (call->rejects != NULL)
		return dbu_bulk_reject_read(call, source, row, read_row);
	return read_row(call, source, row);
}

/*
 * Read all rows of source and pass them to flush, batch by batch.  source may
 * be NULL: no rows, and nothing that says what they would be.
 */
void
dbu_bulk_feed(DbuBulkCall *call, DbuSource *source,
			  DbuFlush flush)
{
	Feed		feed = {.call = call,.flush = flush};
	Tuplesortstate *sort = NULL;
	TupleTableSlot *slot = NULL;
	int			nattrs = 0;
	DbuRow	   *row = source ? &source->row : NULL;

	if (source != NULL && source->values != NULL && dbu_bulk_delete_values(call, source->values))
		return;
	call->slice_mcxt = AllocSetContextCreate(call->mcxt, "dbutil bulk slice",
											 ALLOCSET_DEFAULT_SIZES);

	while (next_row(call, source, row))
	{
		CHECK_FOR_INTERRUPTS();
		call->res.rows_in++;
		if (call->res.rows_in % PROGRESS_ROWS == 0)
			dbu_bulk_progress_update(call);
		if (slot == NULL)
		{
			/* what the columns are may be known only after the first row */
			feed.slice_limit = dbu_bulk_slice_limit(call);
			feed.unite = dbu_bulk_unites(call);
			feed.streams = may_stream(&feed, source);
			if (sorts(call) && !(source->in_order != NULL && source->in_order(source)))
				sort = begin_sort(&feed);
			slot = MakeSingleTupleTableSlot(call->desc, &TTSOpsVirtual);
			nattrs = call->desc->natts;
		}
		ExecClearTuple(slot);
		memset(slot->tts_isnull, false, nattrs * sizeof(bool));
		slot->tts_values[DBU_FEED_POS - 1] = Int64GetDatum(0);
		slot->tts_values[DBU_FEED_ORD - 1] = Int64GetDatum(row->ord);
		slot->tts_values[DBU_FEED_SHAPE - 1] = Int32GetDatum(row->shape->id);
		memcpy(slot->tts_values + DBU_FEED_FIRST - 1, row->values, sizeof(Datum) * call->ncolumns);
		memcpy(slot->tts_isnull + DBU_FEED_FIRST - 1, row->nulls, sizeof(bool) * call->ncolumns);
		ExecStoreVirtualTuple(slot);
		if (sort != NULL)
			tuplesort_puttupleslot(sort, slot);
		else
			emit(&feed, row->shape, slot->tts_values, slot->tts_isnull);
	}

	if (sort != NULL)
	{
		tuplesort_performsort(sort);
		emit_sorted(&feed, sort);
		tuplesort_end(sort);
	}
	end_slice(&feed);
	if (call->res.rows_in == 0)
		flush_empty(&feed);
	dbu_bulk_rejects_end(call);
	if (slot != NULL)
		ExecDropSingleTupleTableSlot(slot);
}

/* ---------- what became of a batch ---------- */

int64
dbu_bulk_count(const DbuBatch *batch, DbuRowState state)
{
	int64		n = 0;

	for (int64 i = 0; i < batch->nstates; i++)
		n += batch->states[i] == state;
	return n;
}

static DbuRowState
slot_state(const DbuBatch *batch, TupleTableSlot *slot)
{
	bool		isnull;

	return batch->states[DatumGetInt64(slot_getattr(slot, DBU_FEED_POS, &isnull)) - 1];
}

/*
 * A batch of those rows of another one that are still open.  It shares the
 * states: that of a row of either is the same.  The caller ends its store.
 */
DbuBatch *
dbu_bulk_left_over(DbuBulkCall *call, DbuBatch *batch)
{
	DbuBatch   *rest = palloc(sizeof(DbuBatch));
	TupleTableSlot *slot = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);

	*rest = *batch;
	rest->nrows = 0;
	rest->store = tuplestore_begin_heap(false, false, work_mem);
	tuplestore_select_read_pointer(batch->store, 0);
	tuplestore_rescan(batch->store);
	while (tuplestore_gettupleslot(batch->store, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (slot_state(batch, slot) == DBU_ROW_OPEN)
		{
			tuplestore_puttupleslot(rest->store, slot);
			rest->nrows++;
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	return rest;
}

/* The key, as text, of the first row of the input in a state; NULL: there is none. */
char *
dbu_bulk_first(DbuBulkCall *call, DbuBatch *batch, DbuRowState state, int64 *ord)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);
	TupleTableSlot *first = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);
	char	   *text = NULL;

	*ord = 0;
	tuplestore_select_read_pointer(batch->store, 0);
	tuplestore_rescan(batch->store);
	while (tuplestore_gettupleslot(batch->store, true, false, slot))
	{
		int64		this;

		CHECK_FOR_INTERRUPTS();
		if (slot_state(batch, slot) != state)
			continue;
		slot_getsomeattrs(slot, DBU_FEED_ORD);
		this = DatumGetInt64(slot->tts_values[DBU_FEED_ORD - 1]);
		if (!TTS_EMPTY(first) && this > *ord)
			continue;
		*ord = this;
		ExecCopySlot(first, slot);
	}
	/* its text only now: the batch may be in the very order that replaces each by the next */
	if (!TTS_EMPTY(first))
	{
		slot_getallattrs(first);
		text = dbu_bulk_key_text(call, first->tts_values + DBU_FEED_FIRST - 1,
								 first->tts_isnull + DBU_FEED_FIRST - 1);
	}
	ExecDropSingleTupleTableSlot(slot);
	ExecDropSingleTupleTableSlot(first);
	return text;
}
