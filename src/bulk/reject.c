/*-------------------------------------------------------------------------
 *
 * reject.c
 *	  Rows that cannot be written are told one by one, while the others are.
 *
 * What can be blamed on a row is rejected: what it holds, the constraints it
 * breaks, what triggers say to it.  What concerns the call or the server is
 * raised as ever: lack of memory or disk, cancel and shutdown, deadlocks and
 * serialization failures, locks that were not to be had.
 *
 * Reading, and judging without writing (judge.c), is guarded: it runs in a
 * subtransaction that stays open from row to row, and is ended or, at a bad
 * row, rolled back.  As nothing is written there, it takes no transaction
 * identifier.  Between two rows the resource owner is the outer one, so that
 * batches and sorts outlive the guard.  An error that leaves the call must not
 * leave the guard open: see dbu_bulk_guard_abort.
 *
 * Rejects are gathered in memory and written outside of all subtransactions,
 * so that a batch that is rolled back takes none of them along.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/uuid.h"

/* As many rejects are told by an error that takes them all back. */
#define MAX_FIRST 20

/* Rejects are written when so many have been gathered. */
#define MAX_PENDING 1000

/* A name for a job that the caller does not name. */
char *
dbu_bulk_new_job(void)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, DirectFunctionCall1(gen_random_uuid, (Datum) 0)));
}

void
dbu_bulk_rejects_begin(DbuBulkCall *call)
{
	DbuRejects *rejects = palloc0(sizeof(DbuRejects));

	rejects->job = dbu_bulk_new_job();
	rejects->mcxt = AllocSetContextCreate(call->mcxt, "dbutil bulk rejects", ALLOCSET_DEFAULT_SIZES);
	call->rejects = rejects;
}

/* ---------- which errors are a row's ---------- */

/* Is an error with this code the fault of the row, so that others may do? */
bool
dbu_bulk_error_of_row(int sqlerrcode)
{
	if (sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		return false;
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_CONNECTION_EXCEPTION:
		case ERRCODE_INVALID_TRANSACTION_STATE:
		case ERRCODE_INVALID_TRANSACTION_TERMINATION:
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_CONFIG_FILE_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return false;
		default:
			return true;
	}
}

/* Does the call take such an error for a reject? */
bool
dbu_bulk_rejectable(const DbuBulkCall *call, int sqlerrcode)
{
	if (!dbu_bulk_error_of_row(sqlerrcode))
		return false;
	if (call->opt.on_error)
		return true;
	return call->opt.reject_conflicts &&
		(sqlerrcode == ERRCODE_UNIQUE_VIOLATION || sqlerrcode == ERRCODE_EXCLUSION_VIOLATION);
}

/*
 * The same for an error in reading a row: unknown names and types that do not
 * fit are the caller's mistake, not this row's.
 */
static bool
rejectable_in_reading(const DbuBulkCall *call, int sqlerrcode)
{
	return call->opt.on_error && dbu_bulk_rejectable(call, sqlerrcode) &&
		ERRCODE_TO_CATEGORY(sqlerrcode) != ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION;
}

/* ---------- the guard ---------- */

static void
guard_begin(DbuRejects *rejects)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	rejects->guarded = true;
	rejects->guard_owner = CurrentResourceOwner;
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(oldcxt);
}

static void
guard_leave(DbuRejects *rejects, bool keep)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	if (!rejects->guarded)
		return;
	rejects->guarded = false;
	CurrentResourceOwner = rejects->guard_owner;
	if (keep)
		ReleaseCurrentSubTransaction();
	else
		RollbackAndReleaseCurrentSubTransaction();
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(oldcxt);
}

/* Before anything is written. */
void
dbu_bulk_guard_end(DbuBulkCall *call)
{
	if (call->rejects != NULL)
		guard_leave(call->rejects, true);
}

/*
 * An error leaves the call, from anywhere: who catches it expects to be in the
 * subtransaction that he began himself.
 */
void
dbu_bulk_guard_abort(DbuBulkCall *call)
{
	if (call->rejects != NULL)
		guard_leave(call->rejects, false);
}

/*
 * Run body, which writes nothing; the error it raised, or NULL.  The guard
 * stays open until it is ended or a body fails.
 */
ErrorData *
dbu_bulk_guard(DbuBulkCall *call, void (*body) (void *arg), void *arg)
{
	DbuRejects *rejects = call->rejects;
	MemoryContext oldcxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	if (!rejects->guarded)
		guard_begin(rejects);
	CurrentResourceOwner = rejects->guard_owner;
	PG_TRY();
	{
		body(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(rejects->mcxt);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(oldcxt);
	if (error != NULL)
		guard_leave(rejects, false);
	return error;
}

/* ---------- reading ---------- */

typedef struct Reading
{
	DbuBulkCall *call;
	DbuSource  *source;
	DbuRow	   *row;
	bool		(*read) (DbuBulkCall *call, DbuSource *source, DbuRow *row);
	bool		found;
} Reading;

static void
read_body(void *arg)
{
	Reading    *reading = arg;

	reading->found = reading->read(reading->call, reading->source, reading->row);
}

/* Tell of the row that could not be read; reports an error that is not its own. */
static void
reject_unread(Reading *reading, ErrorData *error)
{
	DbuBulkCall *call = reading->call;
	DbuRow	   *row = reading->row;
	DbuReject	reject = {0};

	if (reading->source->all_or_nothing || !rejectable_in_reading(call, error->sqlerrcode))
		ReThrowError(error);
	call->res.rows_in++;
	reject.row_data = reading->source->describe(reading->source, row);
	reject.ord = row->ord;
	reject.sqlerrcode = error->sqlerrcode;
	reject.constraint_name = error->constraint_name;
	reject.column_name = error->column_name;
	if (reject.column_name == NULL && row->position >= 0)
		reject.column_name = call->columns[row->position]->name;
	reject.message = error->message;
	reject.detail = error->detail;
	dbu_bulk_reject(call, &reject);
	dbu_bulk_reject_limit(call);
}

/* Read the next good row by read; false: there are no more. */
bool
dbu_bulk_reject_read(DbuBulkCall *call, DbuSource *source, DbuRow *row,
					 bool (*read) (DbuBulkCall *call, DbuSource *source, DbuRow *row))
{
	Reading		reading = {.call = call,.source = source,.row = row,.read = read};

	for (;;)
	{
		ErrorData  *error;

		row->position = -1;
		error = dbu_bulk_guard(call, read_body, &reading);
		if (error == NULL)
			return reading.found;
		reject_unread(&reading, error);
	}
}

/*
 * Does body fail?  It is undone in any case.  To be asked outside of the guard.
 */
bool
dbu_bulk_fails(DbuBulkCall *call, void (*body) (void *arg), void *arg)
{
	bool		failed = dbu_bulk_guard(call, body, arg) != NULL;

	dbu_bulk_guard_abort(call);
	return failed;
}

/* ---------- telling ---------- */

static void
remember_first(DbuBulkCall *call, const DbuReject *reject)
{
	DbuBulkResult *res = &call->res;
	MemoryContext oldcxt = MemoryContextSwitchTo(call->mcxt);

	if (list_length(call->rejects->first) < MAX_FIRST)
		call->rejects->first = lappend(call->rejects->first,
									   psprintf("row " INT64_FORMAT ": %s %s", reject->ord,
												unpack_sql_state(reject->sqlerrcode), reject->message));
	if (res->first_error_ord == 0 || reject->ord < res->first_error_ord)
	{
		res->first_error_ord = reject->ord;
		res->first_sqlstate = pstrdup(unpack_sql_state(reject->sqlerrcode));
		res->first_message = pstrdup(reject->message);
	}
	MemoryContextSwitchTo(oldcxt);
}

static const char *
copy_or_null(const char *text)
{
	return text ? pstrdup(text) : NULL;
}

void
dbu_bulk_reject(DbuBulkCall *call, const DbuReject *reject)
{
	DbuRejects *rejects = call->rejects;
	MemoryContext oldcxt;
	DbuReject  *copy;

	call->res.rejected++;
	remember_first(call, reject);
	dbu_bulk_returned_reject(call, reject);
	if (call->opt.dry_run)
		return;
	oldcxt = MemoryContextSwitchTo(rejects->mcxt);
	copy = palloc(sizeof(DbuReject));
	*copy = *reject;
	copy->chunk = call->res.chunks + 1;
	copy->constraint_name = copy_or_null(reject->constraint_name);
	copy->column_name = copy_or_null(reject->column_name);
	copy->message = pstrdup(reject->message ? reject->message : "missing error text");
	copy->detail = copy_or_null(reject->detail);
	copy->row_data = PointerGetDatum(PG_DETOAST_DATUM_COPY(reject->row_data));
	rejects->pending = lappend(rejects->pending, copy);
	MemoryContextSwitchTo(oldcxt);
}

Datum
dbu_bulk_row_as_jsonb(Datum row)
{
	Datum		json = DirectFunctionCall1(row_to_json, row);

	return DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(json)));
}

/* {"column": value} for the columns that the row in a batch's slot supplies */
static Datum
slot_as_jsonb(DbuBulkCall *call, TupleTableSlot *slot)
{
	DbuShape   *shape;
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;
	int			position = -1;
	int			natts = 0;

	slot_getallattrs(slot);
	shape = list_nth(call->shapes, DatumGetInt32(slot->tts_values[DBU_FEED_SHAPE - 1]));
	desc = CreateTemplateTupleDesc(bms_num_members(shape->present));
	values = palloc(sizeof(Datum) * Max(desc->natts, 1));
	nulls = palloc(sizeof(bool) * Max(desc->natts, 1));
	while ((position = bms_next_member(shape->present, position)) >= 0)
	{
		const DbuFeedColumn *feed = &call->feed[position];

		values[natts] = slot->tts_values[DBU_FEED_FIRST - 1 + position];
		nulls[natts] = slot->tts_isnull[DBU_FEED_FIRST - 1 + position];
		natts++;
		TupleDescInitEntry(desc, natts, call->columns[position]->name, feed->type, feed->typmod, 0);
		TupleDescInitEntryCollation(desc, natts, feed->collation);
	}
	BlessTupleDesc(desc);
	return dbu_bulk_row_as_jsonb(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/* The row in slot, laid out as a batch's rows are; the rest of reject says why. */
void
dbu_bulk_reject_slot(DbuBulkCall *call, TupleTableSlot *slot, DbuReject *reject)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(call->slice_mcxt);
	bool		isnull;

	reject->ord = DatumGetInt64(slot_getattr(slot, DBU_FEED_ORD, &isnull));
	reject->row_data = slot_as_jsonb(call, slot);
	MemoryContextSwitchTo(oldcxt);
	dbu_bulk_reject(call, reject);
}

/* Rows of batch that are still open have no match in the target. */
void
dbu_bulk_reject_missing(DbuBulkCall *call, DbuBatch *batch)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);

	tuplestore_select_read_pointer(batch->store, 0);
	tuplestore_rescan(batch->store);
	while (tuplestore_gettupleslot(batch->store, true, false, slot))
	{
		DbuReject	reject = {.sqlerrcode = ERRCODE_NO_DATA_FOUND};
		bool		isnull;
		int64		pos = DatumGetInt64(slot_getattr(slot, DBU_FEED_POS, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (batch->states[pos - 1] != DBU_ROW_OPEN)
			continue;
		batch->states[pos - 1] = DBU_ROW_REJECTED;
		slot_getallattrs(slot);
		reject.message = psprintf("no row of \"%s\" has this key", call->target->name);
		reject.detail = psprintf("Key %s was not found.",
								 dbu_bulk_key_text(call, slot->tts_values + DBU_FEED_FIRST - 1,
												   slot->tts_isnull + DBU_FEED_FIRST - 1));
		dbu_bulk_reject_slot(call, slot, &reject);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * Outside of all subtransactions that may be rolled back: write what was
 * gathered, and stop where it has become too much.
 */
void
dbu_bulk_reject_limit(DbuBulkCall *call)
{
	DbuRejects *rejects = call->rejects;

	if (call->opt.max_errors >= 0 && call->res.rejected > call->opt.max_errors)
	{
		StringInfoData text;
		ListCell   *lc;

		if (call->opt.dry_run)
		{
			call->res.complete = false;
			return;
		}
		initStringInfo(&text);
		foreach(lc, rejects->first)
			appendStringInfo(&text, "%s%s", text.len > 0 ? "\n" : "", (char *) lfirst(lc));
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("more rows were rejected than max_errors allows: " INT64_FORMAT,
						call->opt.max_errors),
				 errdetail_internal("%s", text.data),
				 errhint("Mend the rows, or raise max_errors; nothing of this call was written.")));
	}
	if (list_length(rejects->pending) >= MAX_PENDING)
	{
		dbu_bulk_guard_end(call);
		dbu_bulk_rejects_store(call);
	}
}

/* All rows are read and written. */
void
dbu_bulk_rejects_end(DbuBulkCall *call)
{
	if (call->rejects == NULL)
		return;
	dbu_bulk_guard_end(call);
	dbu_bulk_rejects_store(call);
}
