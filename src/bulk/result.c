/*-------------------------------------------------------------------------
 *
 * result.c
 *	  Counters of a call -> dbutil.bulk_result.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"

/* Columns of dbutil.bulk_result, in order. */
enum
{
	RESULT_JOB,
	RESULT_OP,
	RESULT_PATH,
	RESULT_PATH_REASON,
	RESULT_ROWS_IN,
	RESULT_INSERTED,
	RESULT_UPDATED,
	RESULT_UNCHANGED,
	RESULT_DELETED,
	RESULT_CONFLICTS,
	RESULT_MISSING,
	RESULT_SUPPRESSED,
	RESULT_REJECTED,
	RESULT_CHUNKS,
	RESULT_RETRIES,
	RESULT_ELAPSED_MS,
	RESULT_WAL_BYTES,
	RESULT_THROTTLED_MS,
	RESULT_FIRST_ERROR_ORD,
	RESULT_FIRST_SQLSTATE,
	RESULT_FIRST_MESSAGE,
	RESULT_COMPLETE,
	RESULT_NCOLUMNS
};

Datum
dbu_bulk_result_form(DbuBulkCall *call, FunctionCallInfo fcinfo,
					 double elapsed_ms, uint64 wal_bytes)
{
	const DbuBulkResult *res = &call->res;
	Datum		values[RESULT_NCOLUMNS];
	bool		nulls[RESULT_NCOLUMNS] = {0};
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (desc->natts != RESULT_NCOLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("dbutil.bulk_result has %d columns where the library expects %d",
						desc->natts, RESULT_NCOLUMNS),
				 errhint("Run ALTER EXTENSION dbutil UPDATE.")));

	Assert(res->rows_in == res->inserted + res->updated + res->unchanged + res->deleted +
		   res->conflicts + res->missing + res->suppressed + res->rejected);

	nulls[RESULT_JOB] = call->rejects == NULL;
	if (call->rejects != NULL)
		values[RESULT_JOB] = CStringGetTextDatum(call->rejects->job);
	values[RESULT_OP] = CStringGetTextDatum(dbu_bulk_op_names[call->op]);
	values[RESULT_PATH] = CStringGetTextDatum("spi");
	values[RESULT_PATH_REASON] = CStringGetTextDatum(dbu_bulk_route_reason(call, res->rows_in));
	values[RESULT_ROWS_IN] = Int64GetDatum(res->rows_in);
	values[RESULT_INSERTED] = Int64GetDatum(res->inserted);
	values[RESULT_UPDATED] = Int64GetDatum(res->updated);
	values[RESULT_UNCHANGED] = Int64GetDatum(res->unchanged);
	values[RESULT_DELETED] = Int64GetDatum(res->deleted);
	values[RESULT_CONFLICTS] = Int64GetDatum(res->conflicts);
	values[RESULT_MISSING] = Int64GetDatum(res->missing);
	values[RESULT_SUPPRESSED] = Int64GetDatum(res->suppressed);
	values[RESULT_REJECTED] = Int64GetDatum(res->rejected);
	values[RESULT_CHUNKS] = Int64GetDatum(res->chunks);
	values[RESULT_RETRIES] = Int64GetDatum(0);
	values[RESULT_ELAPSED_MS] = Float8GetDatum(elapsed_ms);
	values[RESULT_WAL_BYTES] = Int64GetDatum((int64) wal_bytes);
	values[RESULT_THROTTLED_MS] = Float8GetDatum(0);
	nulls[RESULT_FIRST_ERROR_ORD] = res->first_error_ord == 0;
	values[RESULT_FIRST_ERROR_ORD] = Int64GetDatum(res->first_error_ord);
	nulls[RESULT_FIRST_SQLSTATE] = res->first_sqlstate == NULL;
	nulls[RESULT_FIRST_MESSAGE] = res->first_message == NULL;
	if (res->first_sqlstate != NULL)
		values[RESULT_FIRST_SQLSTATE] = CStringGetTextDatum(res->first_sqlstate);
	if (res->first_message != NULL)
		values[RESULT_FIRST_MESSAGE] = CStringGetTextDatum(res->first_message);
	values[RESULT_COMPLETE] = BoolGetDatum(res->complete);

	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
