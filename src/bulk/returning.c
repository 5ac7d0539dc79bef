/*-------------------------------------------------------------------------
 *
 * returning.c
 *	  bulk_insert_returning(): what became of each row.
 *
 * RETURNING cannot name the row that was given.  But while a row that it
 * returned is received, the scan of the batch still stands at the one it came
 * from: the plan inserts row by row, and nothing in it sorts or buffers.  So
 * the plan is run here as in counted.c, with an eye on that scan.  Rows that
 * are inserted without a statement tell of themselves (direct_leaf.c).
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"
#include "core/errors.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(dbutil_bulk_insert_returning);

/* Lives in the call's context. */
typedef struct DbuReturned
{
	int64		ord;
	const char *action;
	Datum		row;			/* of the target's row type; 0: none */
	const char *sqlstate;		/* rejected rows; else NULL */
	const char *message;
} DbuReturned;

typedef struct ReturnReceiver
{
	DestReceiver pub;
	DbuBulkCall *call;
	DbuBatch   *batch;
	NamedTuplestoreScanState *scan;
	TupleDesc	desc;			/* of the target's rows */
	bool		tells;			/* the last column says: inserted? */
} ReturnReceiver;

static void
add(DbuBulkCall *call, int64 ord, const char *action, Datum row, const char *sqlstate, const char *message)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(call->mcxt);
	DbuReturned *returned = palloc0(sizeof(DbuReturned));

	returned->ord = ord;
	returned->action = action;
	returned->row = row;
	returned->sqlstate = sqlstate ? pstrdup(sqlstate) : NULL;
	returned->message = message ? pstrdup(message) : NULL;
	call->returned = lappend(call->returned, returned);
	MemoryContextSwitchTo(oldcxt);
}

/* The row came to nothing; no effect unless the call returns rows. */
void
dbu_bulk_returned(DbuBulkCall *call, int64 ord, const char *action)
{
	if (call->returns)
		add(call, ord, action, (Datum) 0, NULL, NULL);
}

/* The row was inserted as this one, of the target's row type. */
void
dbu_bulk_returned_row(DbuBulkCall *call, int64 ord, TupleDesc desc, const Datum *values, const bool *nulls)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(call->mcxt);
	HeapTuple	tuple = heap_form_tuple(desc, (Datum *) values, (bool *) nulls);

	add(call, ord, "inserted", HeapTupleGetDatum(tuple), NULL, NULL);
	MemoryContextSwitchTo(oldcxt);
}

/* The row in a batch's slot came to nothing. */
void
dbu_bulk_returned_slot(DbuBulkCall *call, TupleTableSlot *slot, const char *action)
{
	bool		isnull;

	dbu_bulk_returned(call, DatumGetInt64(slot_getattr(slot, DBU_FEED_ORD, &isnull)), action);
}

void
dbu_bulk_returned_reject(DbuBulkCall *call, const DbuReject *reject)
{
	if (call->returns)
		add(call, reject->ord, "rejected", (Datum) 0, unpack_sql_state(reject->sqlerrcode), reject->message);
}

/* ---------- running ---------- */

static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
	ReturnReceiver *receiver = (ReturnReceiver *) self;
	TupleTableSlot *given = receiver->scan->ss.ss_ScanTupleSlot;
	DbuBulkCall *call = receiver->call;
	MemoryContext oldcxt;
	HeapTuple	tuple;
	bool		isnull;
	bool		inserted = true;
	Datum		row;

	slot_getallattrs(slot);
	if (receiver->tells)
		inserted = DatumGetBool(slot->tts_values[receiver->desc->natts]);
	receiver->batch->states[DatumGetInt64(slot_getattr(given, DBU_FEED_POS, &isnull)) - 1] = DBU_ROW_DONE;
	oldcxt = MemoryContextSwitchTo(call->mcxt);
	tuple = heap_form_tuple(receiver->desc, slot->tts_values, slot->tts_isnull);
	row = HeapTupleGetDatum(tuple);
	MemoryContextSwitchTo(oldcxt);
	add(call, DatumGetInt64(slot_getattr(given, DBU_FEED_ORD, &isnull)), inserted ? "inserted" : "updated",
		row, NULL, NULL);
	if (inserted)
		call->res.inserted++;
	else
		call->res.updated++;
	return true;
}

static void
startup(DestReceiver *self, int operation, TupleDesc typeinfo)
{
}

static void
nothing(DestReceiver *self)
{
}

static bool
find_scan(PlanState *state, void *context)
{
	if (IsA(state, NamedTuplestoreScanState))
	{
		*(NamedTuplestoreScanState **) context = (NamedTuplestoreScanState *) state;
		return true;
	}
	return planstate_tree_walker(state, find_scan, context);
}

/* INSERT ... RETURNING all columns, by name where some were dropped, and whether it inserted. */
static char *
returning_sql(DbuBulkCall *call, DbuShape *shape)
{
	bool		xmax = dbu_bulk_returns_xmax(call, shape);
	char	   *sql = dbu_bulk_insert_sql(call, shape);
	char	   *own = xmax ? strstr(sql, " RETURNING t.xmax") : NULL;
	TupleDesc	desc = lookup_rowtype_tupdesc(get_rel_type_id(call->target->relid), -1);
	StringInfoData text;

	initStringInfo(&text);
	appendBinaryStringInfo(&text, sql, own ? own - sql : strlen(sql));
	appendStringInfoString(&text, " RETURNING ");
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			appendStringInfo(&text, "%sNULL", i > 0 ? ", " : "");
		else
			appendStringInfo(&text, "%st.%s", i > 0 ? ", " : "", quote_identifier(NameStr(att->attname)));
	}
	if (xmax)
		appendStringInfoString(&text, ", t.xmax OPERATOR(pg_catalog.=) '0'::pg_catalog.xid");
	ReleaseTupleDesc(desc);
	return text.data;
}

/* Run it; DBU_ROW_DONE are the rows that were returned. */
static void
run_returning(DbuBulkCall *call, DbuBatch *batch, DbuRun *run)
{
	ReturnReceiver receiver = {
		.pub = {receive, startup, nothing, nothing, DestTuplestore},
		.call = call,
		.batch = batch,
		.desc = lookup_rowtype_tupdesc_copy(get_rel_type_id(call->target->relid), -1),
		.tells = dbu_bulk_returns_xmax(call, batch->shape),
	};

	run->watch = find_scan;
	run->watched = (void **) &receiver.scan;
	run->counted = true;
	run->dest = &receiver.pub;
	(void) dbu_bulk_run(call, batch, DBU_PLAN_WRITE, returning_sql, run);
	if (!run->counted)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows of \"%s\" cannot be told: a rule makes something else of the insert", call->target->name),
				 errhint("Use bulk_insert(), or replace the rule by a trigger.")));
}

/* What the statement did not return was left alone: by ON CONFLICT, or by a trigger or policy. */
static void
tell_rest(DbuBulkCall *call, DbuBatch *batch, int64 conflicts)
{
	DbuBulkResult *res = &call->res;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);
	bool		upserts = dbu_bulk_upserts(call);

	tuplestore_select_read_pointer(batch->store, 0);
	tuplestore_rescan(batch->store);
	while (tuplestore_gettupleslot(batch->store, true, false, slot))
	{
		bool		isnull;
		int64		pos = DatumGetInt64(slot_getattr(slot, DBU_FEED_POS, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (batch->states[pos - 1] != DBU_ROW_OPEN)
			continue;
		if (conflicts-- <= 0)
		{
			res->suppressed++;
			dbu_bulk_returned_slot(call, slot, "suppressed");
		}
		else if (upserts)
		{
			res->unchanged++;
			dbu_bulk_returned_slot(call, slot, "unchanged");
		}
		else
		{
			res->conflicts++;
			dbu_bulk_returned_slot(call, slot, "conflict");
		}
	}
	ExecDropSingleTupleTableSlot(slot);
}

static void
returning_flush(DbuBulkCall *call, DbuBatch *batch)
{
	DbuRun		run = {.answer = DBU_ANSWER_NONE};
	int64		inserted;

	if (call->opt.dry_run)
	{
		dbu_bulk_insert_flush(call, batch);
		return;
	}
	if (dbu_bulk_direct(call, batch, &inserted))
	{
		call->res.inserted += inserted;
		call->res.conflicts += batch->nrows - inserted;
		return;
	}
	run_returning(call, batch, &run);
	tell_rest(call, batch, dbu_bulk_upserts(call) && dbu_bulk_sets_any(call, batch->shape) ? run.kept : run.conflicts);
}

/* ---------- the function ---------- */

static int
by_ord(const ListCell *a, const ListCell *b)
{
	const DbuReturned *left = lfirst(a);
	const DbuReturned *right = lfirst(b);

	return left->ord < right->ord ? -1 : left->ord > right->ord;
}

static void
put_rows(DbuBulkCall *call, ReturnSetInfo *rsinfo)
{
	ListCell   *lc;

	list_sort(call->returned, by_ord);
	foreach(lc, call->returned)
	{
		const DbuReturned *returned = lfirst(lc);
		Datum		values[5];
		bool		nulls[5] = {0};

		values[0] = Int64GetDatum(returned->ord);
		values[1] = CStringGetTextDatum(returned->action);
		values[2] = returned->row;
		nulls[2] = returned->row == (Datum) 0;
		nulls[3] = returned->sqlstate == NULL;
		values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(returned->sqlstate);
		nulls[4] = returned->message == NULL;
		values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(returned->message);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/* The table whose rows are of this type. */
static Oid
table_of_type(Oid type)
{
	Oid			relid = OidIsValid(type) ? get_typ_typrelid(type) : InvalidOid;

	if (!OidIsValid(relid) || get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s is not the row type of a table", OidIsValid(type) ? format_type_be(type) : "the argument"),
				 errhint("Pass NULL::mytable as first argument.")));
	return relid;
}

Datum
dbutil_bulk_insert_returning(PG_FUNCTION_ARGS)
{
	Oid			relid = table_of_type(get_fn_expr_argtype(fcinfo->flinfo, 0));
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DbuBulkCall *call;
	DbuSource  *source;
	TimestampTz start = GetCurrentTimestamp();
	uint64		wal = pgWalUsage.wal_bytes;

	if (PG_ARGISNULL(1))
		dbu_error_null_argument("rows");
	if (PG_ARGISNULL(2))
		dbu_error_null_argument("options");
	InitMaterializedSRF(fcinfo, 0);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	call = dbu_bulk_call_begin(DBU_BULK_INSERT, relid);
	call->returns = true;
	dbu_bulk_options_from_jsonb(call, PG_GETARG_DATUM(2));
	source = dbu_bulk_json_open(call, PG_GETARG_DATUM(1));
	dbu_bulk_run_call(call, source, returning_flush);
	call->res.elapsed_ms = (GetCurrentTimestamp() - start) / 1000.0;
	call->res.wal_bytes = pgWalUsage.wal_bytes - wal;
	if (!call->opt.dry_run)
		dbu_bulk_metrics_add(relid, DBU_BULK_INSERT, &call->res);
	put_rows(call, rsinfo);
	SPI_finish();
	return (Datum) 0;
}
