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
dbu_bulk_result_form(TupleDesc desc, DbuBulkOp op, const char *job, const char *path,
					 const char *path_reason, const DbuBulkResult *res)
{
	Datum		values[RESULT_NCOLUMNS];
	bool		nulls[RESULT_NCOLUMNS] = {0};

	if (desc->natts != RESULT_NCOLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("dbutil.bulk_result has %d columns where the library expects %d",
						desc->natts, RESULT_NCOLUMNS),
				 errhint("Run ALTER EXTENSION dbutil UPDATE.")));

	Assert(res->rows_in == res->inserted + res->updated + res->unchanged + res->deleted +
		   res->conflicts + res->missing + res->suppressed + res->rejected);

	nulls[RESULT_JOB] = job == NULL;
	if (job != NULL)
		values[RESULT_JOB] = CStringGetTextDatum(job);
	values[RESULT_OP] = CStringGetTextDatum(dbu_bulk_op_names[op]);
	values[RESULT_PATH] = CStringGetTextDatum(path);
	values[RESULT_PATH_REASON] = CStringGetTextDatum(path_reason);
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
	values[RESULT_RETRIES] = Int64GetDatum(res->retries);
	values[RESULT_ELAPSED_MS] = Float8GetDatum(res->elapsed_ms);
	values[RESULT_WAL_BYTES] = Int64GetDatum((int64) res->wal_bytes);
	values[RESULT_THROTTLED_MS] = Float8GetDatum(res->throttled_ms);
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

/* What became of rows. */
void
dbu_bulk_result_count(DbuBulkResult *sum, const DbuBulkResult *more)
{
	sum->rows_in += more->rows_in;
	sum->inserted += more->inserted;
	sum->updated += more->updated;
	sum->unchanged += more->unchanged;
	sum->deleted += more->deleted;
	sum->conflicts += more->conflicts;
	sum->missing += more->missing;
	sum->suppressed += more->suppressed;
	sum->rejected += more->rejected;
}

/* The same, and the first error; its texts are copied. */
void
dbu_bulk_result_add(DbuBulkResult *sum, const DbuBulkResult *more)
{
	dbu_bulk_result_count(sum, more);
	if (more->first_error_ord == 0 ||
		(sum->first_error_ord != 0 && sum->first_error_ord <= more->first_error_ord))
		return;
	sum->first_error_ord = more->first_error_ord;
	sum->first_sqlstate = pstrdup(more->first_sqlstate);
	sum->first_message = pstrdup(more->first_message);
}
