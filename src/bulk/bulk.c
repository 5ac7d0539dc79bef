/*-------------------------------------------------------------------------
 *
 * bulk.c
 *	  dbutil.bulk_insert, bulk_update, bulk_delete: arguments and result.
 *
 * Each takes its rows as an array, jsonb, json or text; one C function serves
 * all four.  The functions carry no search_path of their own, as it would
 * reach the triggers of the target; every name in the queries is qualified.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/errors.h"
#include "bulk/bulk.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/instrument.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"

PG_FUNCTION_INFO_V1(dbutil_bulk_insert);
PG_FUNCTION_INFO_V1(dbutil_bulk_update);
PG_FUNCTION_INFO_V1(dbutil_bulk_delete);

int			dbu_bulk_chunk_rows = 10000;

static const char *
word_argument(FunctionCallInfo fcinfo, int i, const char *parameter,
			  const char *const *words, const char *allowed)
{
	char	   *value;

	if (PG_ARGISNULL(i))
		dbu_error_null_argument(parameter);
	value = text_to_cstring(PG_GETARG_TEXT_PP(i));
	for (; *words != NULL; words++)
	{
		if (strcmp(value, *words) == 0)
			return *words;
	}
	dbu_error_bad_word(parameter, value, allowed);
}

static int64
chunk_rows_argument(FunctionCallInfo fcinfo, int i)
{
	int32		value;

	if (PG_ARGISNULL(i))
		return dbu_bulk_chunk_rows;
	value = PG_GETARG_INT32(i);
	if (value < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("chunk_rows must be at least 1, not %d", value),
				 errhint("Leave it out for dbutil.bulk_chunk_rows.")));
	return value;
}

static ArrayType *
names_argument(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? NULL : PG_GETARG_ARRAYTYPE_P(i);
}

static BulkTarget *
target_argument(FunctionCallInfo fcinfo, BulkOp op)
{
	if (PG_ARGISNULL(0))
		dbu_error_null_argument("target");
	if (PG_ARGISNULL(1))
		dbu_error_null_argument(op == BULK_DELETE ? "keys" : "rows");
	return dbu_bulk_target(PG_GETARG_OID(0), op);
}

/* The key of an update or delete: named and unique, else the primary key. */
static List *
key_argument(FunctionCallInfo fcinfo, int i, const BulkTarget *target)
{
	List	   *key = dbu_bulk_columns(target, names_argument(fcinfo, i), "key");
	ListCell   *lc;

	if (key == NIL)
	{
		if (target->primary_key == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("%s has no primary key", target->quoted),
					 errhint("Name the columns of a unique index in \"key\".")));
		key = target->primary_key;
	}
	else if (!dbu_bulk_is_unique(target, key))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("no unique index of %s matches \"key\"", target->quoted),
				 errhint("Name exactly the columns of a unique index that is neither partial nor deferrable.")));
	foreach(lc, key)
	{
		BulkColumn *column = lfirst(lc);

		if (column->equals == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FUNCTION),
					 errmsg("the type of key column \"%s\" has no equality operator", column->name)));
	}
	return key;
}

static Datum
run(FunctionCallInfo fcinfo, BulkOp op, const BulkTarget *target, BulkOptions *options,
	int64 chunk_rows)
{
	BulkCounts	counts = {0};
	BulkSource *source;
	TupleDesc	tupdesc;
	Datum		values[21] = {0};
	bool		nulls[21] = {0};
	instr_time	start;
	instr_time	elapsed;
	uint64		wal_start = pgWalUsage.wal_bytes;
	int			n = 0;

	INSTR_TIME_SET_CURRENT(start);
	source = dbu_bulk_source(get_fn_expr_argtype(fcinfo->flinfo, 1), PG_GETARG_DATUM(1), target,
							 options->columns, chunk_rows);
	if (op != BULK_INSERT && !source->composite && source->type != JSONBOID &&
		list_length(options->key) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("keys are scalars, but the key of %s has %d columns",
						target->quoted, list_length(options->key)),
				 errhint("Pass rows that hold all key columns.")));
	dbu_bulk_write(op, target, source, options, &counts);
	INSTR_TIME_SET_CURRENT(elapsed);
	INSTR_TIME_SUBTRACT(elapsed, start);

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("function must be called where a row is accepted"),
				 errhint("Write SELECT * FROM dbutil.bulk_insert(...).")));
	nulls[n++] = true;			/* job: procedures only */
	values[n++] = CStringGetTextDatum(op == BULK_INSERT ? "insert" :
									  op == BULK_UPDATE ? "update" : "delete");
	values[n++] = CStringGetTextDatum("spi");
	values[n++] = CStringGetTextDatum("one statement for each chunk");
	values[n++] = Int64GetDatum(counts.rows_in);
	values[n++] = Int64GetDatum(counts.inserted);
	values[n++] = Int64GetDatum(counts.updated);
	values[n++] = Int64GetDatum(0); /* unchanged */
	values[n++] = Int64GetDatum(counts.deleted);
	values[n++] = Int64GetDatum(counts.conflicts);
	values[n++] = Int64GetDatum(counts.missing);
	values[n++] = Int64GetDatum(counts.suppressed);
	values[n++] = Int64GetDatum(0); /* rejected */
	values[n++] = Int64GetDatum(counts.chunks);
	values[n++] = Int64GetDatum(0); /* retries */
	values[n++] = Float8GetDatum(INSTR_TIME_GET_MILLISEC(elapsed));
	values[n++] = Int64GetDatum((int64) (pgWalUsage.wal_bytes - wal_start));
	values[n++] = Float8GetDatum(0);	/* throttled_ms */
	nulls[n++] = true;			/* first_sqlstate */
	nulls[n++] = true;			/* first_message */
	values[n++] = BoolGetDatum(true);
	Assert(n == (int) lengthof(values));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls));
}

Datum
dbutil_bulk_insert(PG_FUNCTION_ARGS)
{
	static const char *const words[] = {"error", "nothing", "update", NULL};
	BulkTarget *target = target_argument(fcinfo, BULK_INSERT);
	BulkOptions options = {0};

	options.columns = dbu_bulk_columns(target, names_argument(fcinfo, 2), "columns");
	options.on_conflict = word_argument(fcinfo, 3, "on_conflict", words, "error, nothing, update");
	options.key = dbu_bulk_columns(target, names_argument(fcinfo, 4), "conflict_columns");
	if (strcmp(options.on_conflict, "update") == 0)
	{
		if (target->relkind != RELKIND_RELATION)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("on_conflict => 'update' needs a plain table, which %s is not", target->quoted),
					 errhint("Name a partition, or use on_conflict => 'nothing' and bulk_update.")));
		if (options.key == NIL)
			options.key = target->primary_key;
		if (options.key == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("%s has no primary key", target->quoted),
					 errhint("Name the columns of a unique index in \"conflict_columns\".")));
	}
	return run(fcinfo, BULK_INSERT, target, &options, chunk_rows_argument(fcinfo, 5));
}

Datum
dbutil_bulk_update(PG_FUNCTION_ARGS)
{
	static const char *const words[] = {"ignore", "error", NULL};
	BulkTarget *target = target_argument(fcinfo, BULK_UPDATE);
	BulkOptions options = {0};

	options.key = key_argument(fcinfo, 2, target);
	options.columns = dbu_bulk_columns(target, names_argument(fcinfo, 3), "set_columns");
	if (list_length(list_difference_ptr(options.columns, options.key)) != list_length(options.columns))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("\"set_columns\" names a key column"),
				 errhint("A bulk update finds rows by their key and leaves it alone.")));
	options.missing_error =
		strcmp(word_argument(fcinfo, 4, "missing", words, "ignore, error"), "error") == 0;
	return run(fcinfo, BULK_UPDATE, target, &options, chunk_rows_argument(fcinfo, 5));
}

Datum
dbutil_bulk_delete(PG_FUNCTION_ARGS)
{
	static const char *const words[] = {"ignore", "error", NULL};
	BulkTarget *target = target_argument(fcinfo, BULK_DELETE);
	BulkOptions options = {0};

	options.key = key_argument(fcinfo, 2, target);
	options.missing_error =
		strcmp(word_argument(fcinfo, 3, "missing", words, "ignore, error"), "error") == 0;
	return run(fcinfo, BULK_DELETE, target, &options, chunk_rows_argument(fcinfo, 4));
}

static void
init(void)
{
	DefineCustomIntVariable("dbutil.bulk_chunk_rows",
							"Rows that a bulk function writes in one statement.",
							"Used where a call gives no chunk_rows.",
							&dbu_bulk_chunk_rows, 10000, 1, 10000000,
							PGC_USERSET, 0, NULL, NULL, NULL);
}

const DbuModule dbu_bulk_module = {
	.name = "bulk",
	.init = init,
};
