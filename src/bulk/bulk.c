/*-------------------------------------------------------------------------
 *
 * bulk.c
 *	  Bulk insert, update and delete: the module and its SQL entry points.
 *
 * A call is atomic in the caller's transaction and runs with the caller's
 * rights.  What touches the target is a statement run through SPI, so
 * constraints, triggers, policies, privileges, views, partitions and foreign
 * tables are PostgreSQL's own business; but for inserts into tables where it
 * is certain what such a statement would do (direct.c).
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"
#include "core/errors.h"

#include "catalog/pg_type.h"
#include "executor/instrument.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(dbutil_bulk_insert);
PG_FUNCTION_INFO_V1(dbutil_bulk_update);
PG_FUNCTION_INFO_V1(dbutil_bulk_delete);

int			dbu_bulk_chunk_rows = 10000;
int			dbu_bulk_route = DBU_ROUTE_AUTO;

static const struct config_enum_entry route_words[] = {
	{"auto", DBU_ROUTE_AUTO, false},
	{"spi", DBU_ROUTE_SPI, false},
	{NULL, 0, false}
};

const char *const dbu_bulk_op_names[] = {"insert", "update", "delete"};

static void
init(void)
{
	DefineCustomIntVariable("dbutil.bulk_chunk_rows",
							"Rows that one statement of a bulk call writes, unless the call says otherwise.",
							"A call stays atomic; where slices would show, in triggers or foreign keys, it is one statement all the same.",
							&dbu_bulk_chunk_rows,
							10000, 1, INT_MAX,
							PGC_USERSET, 0,
							NULL, NULL, NULL);
	DefineCustomEnumVariable("dbutil.bulk_route",
							 "Whether bulk inserts may put rows into tables without a statement.",
							 "auto: where that is the same as an INSERT, only faster; spi: never.",
							 &dbu_bulk_route,
							 DBU_ROUTE_AUTO, route_words,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
}

const DbuModule dbu_bulk_module = {
	.name = "bulk",
	.init = init,
	.shmem_size = dbu_bulk_shmem_size,
	.shmem_attach = dbu_bulk_shmem_attach,
	.tranche_name = "DbutilBulk",
	.without_shmem = true,
	.status = dbu_bulk_status,
};

DbuBulkCall *
dbu_bulk_call_begin(DbuBulkOp op, Oid relid)
{
	DbuBulkCall *call = palloc0(sizeof(DbuBulkCall));

	call->op = op;
	call->opt.max_errors = -1;
	call->rows_expected = -1;
	call->mcxt = CurrentMemoryContext;
	call->target = dbu_bulk_target_load(relid, op);
	dbu_bulk_check_foreign(call->target, op);
	call->res.complete = true;
	return call;
}

/*
 * The type of an argument as the function declares it.  Which one of the
 * overloads is called is what matters, and a fast-path call (PQfn) has no
 * expression to ask.
 */
static Oid
declared_type(FunctionCallInfo fcinfo, int arg)
{
	Oid		   *types;
	int			n;

	(void) get_func_signature(fcinfo->flinfo->fn_oid, &types, &n);
	Assert(arg < n);
	return types[arg];
}

/* The rows in whatever form they came: jsonb, json, text or an array. */
static DbuSource *
open_rows(DbuBulkCall *call, FunctionCallInfo fcinfo)
{
	Oid			type = declared_type(fcinfo, 1);
	Datum		rows;

	if (PG_ARGISNULL(1))
		dbu_error_null_argument(call->op == DBU_BULK_DELETE ? "keys" : "rows");
	rows = PG_GETARG_DATUM(1);

	if (type == JSONOID || type == TEXTOID)
	{
		/* json and text hold the same thing: a varlena that is JSON */
		char	   *json = TextDatumGetCString(rows);

		rows = dbu_bulk_jsonb_in(json);
		pfree(json);
		type = JSONBOID;
	}
	if (type == JSONBOID)
		return dbu_bulk_json_open(call, rows);
	return dbu_bulk_rows_open(call, rows);
}

/* Feed all rows; an error that leaves leaves nothing of ours behind. */
void
dbu_bulk_run_call(DbuBulkCall *call, DbuSource *source, DbuFlush flush)
{
	dbu_bulk_progress_begin(call);
	PG_TRY();
	{
		dbu_bulk_feed(call, source, flush);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		dbu_bulk_progress_end(call);
		if (call->rejects == NULL || !call->rejects->guarded)
			PG_RE_THROW();
		MemoryContextSwitchTo(call->mcxt);
		error = CopyErrorData();
		FlushErrorState();
		dbu_bulk_guard_abort(call);
		ReThrowError(error);
	}
	PG_END_TRY();
	dbu_bulk_progress_end(call);
}

/*
 * A whole call: its first argument is the target, options reads the others but
 * the rows, open the rows, and flush writes a batch of them.
 */
Datum
dbu_bulk_call(FunctionCallInfo fcinfo, DbuBulkOp op,
			  void (*options) (DbuBulkCall *call, FunctionCallInfo fcinfo),
			  DbuSource *(*open) (DbuBulkCall *call, FunctionCallInfo fcinfo), DbuFlush flush)
{
	DbuBulkCall *call;
	DbuSource  *source;
	instr_time	start;
	instr_time	end;
	uint64		wal = pgWalUsage.wal_bytes;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext spi;
	TupleDesc	desc;
	Datum		result;

	INSTR_TIME_SET_CURRENT(start);
	if (PG_ARGISNULL(0))
		dbu_error_null_argument("target");
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");

	call = dbu_bulk_call_begin(op, PG_GETARG_OID(0));
	options(call, fcinfo);
	if (call->opt.missing == DBU_MISSING_INSERT)
		dbu_bulk_check_foreign(call->target, DBU_BULK_INSERT);
	source = open(call, fcinfo);
	dbu_bulk_run_call(call, source, flush);

	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	call->res.elapsed_ms = INSTR_TIME_GET_MILLISEC(end);
	call->res.wal_bytes = pgWalUsage.wal_bytes - wal;
	if (!call->opt.dry_run)
		dbu_bulk_metrics_add(call->target->relid, op, &call->res);
	spi = MemoryContextSwitchTo(caller);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	result = dbu_bulk_result_form(desc, op, call->rejects ? call->rejects->job : NULL,
								  dbu_bulk_route_name(call), dbu_bulk_route_reason(call, call->res.rows_in), &call->res);
	MemoryContextSwitchTo(spi);
	SPI_finish();
	return result;
}

Datum
dbutil_bulk_insert(PG_FUNCTION_ARGS)
{
	return dbu_bulk_call(fcinfo, DBU_BULK_INSERT, dbu_bulk_options_from_args, open_rows, dbu_bulk_insert_flush);
}

Datum
dbutil_bulk_update(PG_FUNCTION_ARGS)
{
	return dbu_bulk_call(fcinfo, DBU_BULK_UPDATE, dbu_bulk_options_from_args, open_rows, dbu_bulk_update_flush);
}

Datum
dbutil_bulk_delete(PG_FUNCTION_ARGS)
{
	return dbu_bulk_call(fcinfo, DBU_BULK_DELETE, dbu_bulk_options_from_args, open_rows, dbu_bulk_delete_flush);
}
