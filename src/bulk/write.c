/*-------------------------------------------------------------------------
 *
 * write.c
 *	  One statement a chunk, through SPI, in the caller's transaction.
 *
 * For update and delete the keys of the whole input are checked first: NULL is
 * 22004, a key that occurs twice 21000, so that the result does not depend on
 * the order of the rows.  Each chunk is then joined to the target through the
 * unique index on its key.  Keys are sorted, so that two callers lock rows in
 * the same order, and as long as a chunk is small against the table the hash
 * and merge joins, which would read all of it for each chunk, are off.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/errors.h"
#include "bulk/bulk.h"

#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/*
 * A chunk of more than this share of the table's rows may be joined by a hash
 * join: beyond, one scan is cheaper than as many look-ups by index.
 */
#define HASH_JOIN_SHARE 0.05

static void
append_columns(StringInfo sql, List *columns, const char *format)
{
	const char *separator = "";
	ListCell   *lc;

	foreach(lc, columns)
	{
		BulkColumn *column = lfirst(lc);

		appendStringInfoString(sql, separator);
		appendStringInfo(sql, format, column->quoted, column->quoted);
		separator = ", ";
	}
}

static void
append_key_join(StringInfo sql, List *key)
{
	const char *separator = "";
	ListCell   *lc;

	foreach(lc, key)
	{
		BulkColumn *column = lfirst(lc);

		appendStringInfo(sql, "%st.%s %s r.%s", separator,
						 column->quoted, column->equals, column->quoted);
		separator = " AND ";
	}
}

static void
execute(const char *sql, Oid type, Datum rows, bool read_only)
{
	int			rc = SPI_execute_with_args(sql, 1, &type, &rows, NULL, read_only, 0);

	if (rc < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("bulk statement failed: %s", SPI_result_code_string(rc)),
				 errdetail_internal("%s", sql)));
}

/* NULLs and duplicates in the keys of the whole input. */
static void
check_keys(BulkSource *source, const BulkTarget *target, List *key)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	append_columns(&sql, key, "r.%s");
	appendStringInfoString(&sql, " FROM ");
	dbu_bulk_from(&sql, source, key);
	appendStringInfoString(&sql, " WHERE ");
	foreach(lc, key)
		appendStringInfo(&sql, "%sr.%s IS NULL", lc == list_head(key) ? "" : " OR ",
						 ((BulkColumn *) lfirst(lc))->quoted);
	appendStringInfoString(&sql, " LIMIT 1");
	execute(sql.data, source->type, source->whole, true);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a row of the input has no value for its key"),
				 errhint("Each row needs a value for each key column of %s.", target->quoted)));

	resetStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	append_columns(&sql, key, "r.%s");
	appendStringInfoString(&sql, " FROM ");
	dbu_bulk_from(&sql, source, key);
	appendStringInfoString(&sql, " GROUP BY ");
	append_columns(&sql, key, "r.%s");
	appendStringInfoString(&sql, " HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1 LIMIT 1");
	execute(sql.data, source->type, source->whole, true);
	if (SPI_processed > 0)
	{
		StringInfoData values;

		initStringInfo(&values);
		for (int i = 1; i <= list_length(key); i++)
			appendStringInfo(&values, "%s%s", i > 1 ? ", " : "",
							 SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i));
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("key (%s) occurs more than once in the input", values.data),
				 errhint("Give each key once.")));
	}
}

static bool
same_table_share(const BulkTarget *target, const BulkChunk *chunk)
{
	return target->reltuples > 0 && chunk->nrows < target->reltuples * HASH_JOIN_SHARE;
}

static void
insert_chunk(const BulkTarget *target, BulkSource *source, const BulkOptions *options,
			 const BulkChunk *chunk, BulkCounts *counts)
{
	StringInfoData sql;
	List	   *columns = options->columns ? options->columns : chunk->columns;
	bool		update = strcmp(options->on_conflict, "update") == 0;
	bool		nothing = strcmp(options->on_conflict, "nothing") == 0;

	if (!source->composite && list_length(columns) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("rows are scalars, but not exactly one column is named"),
				 errhint("Pass rows (JSON objects or composite values), or name one column in \"columns\".")));

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s ", target->quoted);
	if (columns == NIL)
	{
		/* objects without any key: rows of defaults, one at a time */
		appendStringInfoString(&sql, "DEFAULT VALUES");
		for (int64 i = 0; i < chunk->nrows; i++)
		{
			if (SPI_execute(sql.data, false, 0) < 0)
				ereport(ERROR,
						(errcode(ERRCODE_INTERNAL_ERROR),
						 errmsg("bulk statement failed"), errdetail_internal("%s", sql.data)));
			counts->inserted += SPI_processed;
			counts->suppressed += 1 - SPI_processed;
		}
		return;
	}
	appendStringInfoChar(&sql, '(');
	append_columns(&sql, columns, "%s");
	appendStringInfoString(&sql, ") SELECT ");
	append_columns(&sql, columns, "r.%s");
	appendStringInfoString(&sql, " FROM ");
	dbu_bulk_from(&sql, source, columns);

	if (nothing || update)
	{
		appendStringInfoString(&sql, " ON CONFLICT ");
		if (options->key)
		{
			appendStringInfoChar(&sql, '(');
			append_columns(&sql, options->key, "%s");
			appendStringInfoChar(&sql, ')');
		}
		if (update)
		{
			List	   *set = list_difference_ptr(columns, options->key);

			if (set == NIL)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("the rows hold no column that could be updated on conflict"),
						 errhint("Use on_conflict => 'nothing'.")));
			appendStringInfoString(&sql, " DO UPDATE SET ");
			append_columns(&sql, set, "%s = EXCLUDED.%s");
			/* xmax of a row just inserted is 0, of one just updated our own */
			appendStringInfoString(&sql, " RETURNING xmax OPERATOR(pg_catalog.=) '0'::pg_catalog.xid");
		}
		else
			appendStringInfoString(&sql, " DO NOTHING");
	}

	execute(sql.data, source->type, chunk->rows, false);
	if (update)
	{
		int64		inserted = 0;

		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool		isnull;

			inserted += DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i],
												   SPI_tuptable->tupdesc, 1, &isnull));
		}
		counts->inserted += inserted;
		counts->updated += SPI_processed - inserted;
	}
	else
		counts->inserted += SPI_processed;
	if (nothing)
		counts->conflicts += chunk->nrows - SPI_processed;
	else
		counts->suppressed += chunk->nrows - SPI_processed;
}

static void
change_chunk(BulkOp op, const BulkTarget *target, BulkSource *source,
			 const BulkOptions *options, const BulkChunk *chunk, BulkCounts *counts)
{
	StringInfoData sql;
	List	   *given = source->composite ? chunk->columns : options->key;
	List	   *needed = options->key;
	int64		missing;
	int			nest;

	if (list_difference_ptr(options->key, given) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a row of the input has no value for its key"),
				 errhint("Each row needs a value for each key column of %s.", target->quoted)));

	initStringInfo(&sql);
	if (op == BULK_UPDATE)
	{
		List	   *set = options->columns ? options->columns :
			list_difference_ptr(given, options->key);

		/* set_columns that this chunk's rows do not give stay as they are */
		set = list_difference_ptr(set, list_difference_ptr(set, given));
		if (set == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a row of the input holds nothing to set"),
					 errhint("Give each row its key and at least one other column.")));
		needed = list_concat_copy(options->key, set);
		appendStringInfo(&sql, "UPDATE %s AS t SET ", target->quoted);
		append_columns(&sql, set, "%s = r.%s");
		appendStringInfoString(&sql, " FROM (SELECT ");
	}
	else
		appendStringInfo(&sql, "DELETE FROM %s AS t USING (SELECT ", target->quoted);
	append_columns(&sql, needed, "r.%s");
	appendStringInfoString(&sql, " FROM ");
	dbu_bulk_from(&sql, source, source->record || source->type == JSONBOID ? given : needed);
	appendStringInfoString(&sql, " ORDER BY ");
	append_columns(&sql, options->key, "r.%s");
	appendStringInfoString(&sql, ") AS r WHERE ");
	append_key_join(&sql, options->key);

	nest = NewGUCNestLevel();
	if (same_table_share(target, chunk))
	{
		(void) set_config_option("enable_hashjoin", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
		(void) set_config_option("enable_mergejoin", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	}
	execute(sql.data, source->type, chunk->rows, false);
	AtEOXact_GUC(true, nest);

	missing = chunk->nrows - (int64) SPI_processed;
	if (missing > 0 && options->missing_error)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg(INT64_FORMAT " of " INT64_FORMAT " rows of the input are not in %s",
						missing, chunk->nrows, target->quoted),
				 errhint("Use missing => 'ignore' to pass them over.")));
	counts->missing += missing;
	if (op == BULK_UPDATE)
		counts->updated += SPI_processed;
	else
		counts->deleted += SPI_processed;
}

void
dbu_bulk_write(BulkOp op, const BulkTarget *target, BulkSource *source,
			   const BulkOptions *options, BulkCounts *counts)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "dbutil bulk chunk",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	BulkChunk	chunk;
	bool		checked = op == BULK_INSERT;

	counts->rows_in = source->nrows;
	while (dbu_bulk_next_chunk(source, target, &chunk))
	{
		CHECK_FOR_INTERRUPTS();
		if (SPI_connect() != SPI_OK_CONNECT)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR), errmsg("SPI_connect failed")));
		if (!checked)
		{
			/* the first chunk told what the rows are made of */
			check_keys(source, target, options->key);
			checked = true;
		}
		if (op == BULK_INSERT)
			insert_chunk(target, source, options, &chunk, counts);
		else
			change_chunk(op, target, source, options, &chunk, counts);
		SPI_finish();
		counts->chunks++;
		/* a row read ahead lives in the input, not in this context */
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}
