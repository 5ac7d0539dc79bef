/*-------------------------------------------------------------------------
 *
 * explain.c
 *	  dbutil.bulk_explain(): which way a call would go, and why, and the
 *	  statements it would run.
 *
 * The statements are built by the same code as in a real call, for rows that
 * supply all columns the options leave.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"
#include "core/errors.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(dbutil_bulk_explain);

/*
 * Why slices would show that one statement would not have; NULL: they would
 * not.  strict: neither may there be several statements.
 */
const char *
dbu_bulk_one_statement(const DbuBulkCall *call, bool *strict)
{
	const DbuTarget *target = call->target;

	bool		inserts = call->op == DBU_BULK_UPDATE && call->opt.missing == DBU_MISSING_INSERT;

	*strict = true;
	if (target->one_statement[call->op] != NULL)
		return target->one_statement[call->op];
	if (inserts && target->one_statement[DBU_BULK_INSERT] != NULL)
		return target->one_statement[DBU_BULK_INSERT];
	if (call->op == DBU_BULK_DELETE && target->referenced)
		return "foreign keys to the table would be checked for each slice";
	for (int i = 0; (call->op == DBU_BULK_UPDATE || dbu_bulk_upserts(call)) && i < call->ncolumns; i++)
	{
		const DbuColumn *column = call->columns[i];

		if (list_member_ptr(target->referenced_columns, column) &&
			(call->update_columns != NIL
			 ? list_member_ptr(call->update_columns, column)
			 : !dbu_bulk_key_has(call->key, column)))
			return psprintf("foreign keys to column \"%s\" would be checked for each slice", column->name);
	}
	/* what is not in the rows cannot be compared here; PostgreSQL does so within a statement */
	for (int k = 0; dbu_bulk_upserts(call) && call->key != NULL && k < call->key->ncolumns; k++)
	{
		if (call->columns != NULL && call->key->positions[k] < 0)
			return psprintf("duplicates would be missed between slices, the rows have no column \"%s\"",
							call->key->columns[k]->name);
	}
	*strict = false;
	if (inserts && target->after_row[call->op] == NULL)
		return target->after_row[DBU_BULK_INSERT];
	return target->after_row[call->op];
}

/* Rows that a slice may have. */
int64
dbu_bulk_slice_limit(const DbuBulkCall *call)
{
	bool		strict;

	if (call->opt.chunk_rows > 0)
		return call->opt.chunk_rows;
	if (dbu_bulk_one_statement(call, &strict) != NULL)
		return PG_INT64_MAX;
	return dbu_bulk_chunk_rows;
}

/* direct: every batch that was written had no statement. */
const char *
dbu_bulk_route_name(const DbuBulkCall *call)
{
	return call->direct_batches > 0 && call->not_direct == NULL ? "direct" : "spi";
}

/* Why a call of nrows rows goes its way. */
char *
dbu_bulk_route_reason(const DbuBulkCall *call, int64 nrows)
{
	StringInfoData text;
	bool		strict;

	initStringInfo(&text);
	if (strcmp(dbu_bulk_route_name(call), "direct") == 0)
		appendStringInfo(&text, "rows go into the table%s without a statement",
						 call->target->relkind == RELKIND_PARTITIONED_TABLE ? "'s partitions" : "");
	else if (call->not_direct != NULL)
		appendStringInfo(&text, "statements through SPI: %s", call->not_direct);
	else
		appendStringInfoString(&text, "statements through SPI work for every kind of target");
	if (call->op != DBU_BULK_INSERT && call->key != NULL)
	{
		if (call->by_values)
			appendStringInfo(&text, "; keys are looked up in index \"%s\"", call->key->index_name);
		else if (dbu_bulk_key_steers(call, Min(nrows, dbu_bulk_slice_limit(call))))
			appendStringInfo(&text, "; nested loop over index \"%s\"", call->key->index_name);
		else if (call->key->index_name != NULL)
			appendStringInfoString(&text, "; the planner chooses the join, the keys are a large share of the table");
		else
			appendStringInfoString(&text, "; the planner chooses the join, no index on the target is sure to serve the key");
	}
	if (dbu_bulk_slice_limit(call) == PG_INT64_MAX)
	{
		const char *reason = dbu_bulk_one_statement(call, &strict);

		if (call->nbatches > 1 && !dbu_bulk_unites(call) && !call->opt.dry_run)
			appendStringInfo(&text, "; no slices, but a statement for each run of rows with the same columns: %s", reason);
		else
			appendStringInfo(&text, "; one statement: %s", reason);
	}
	if (call->rejects != NULL && call->rejects->attempts > 0)
		appendStringInfo(&text, "; " INT64_FORMAT " subtransaction%s to write the rows that are good",
						 call->rejects->attempts, call->rejects->attempts == 1 ? "" : "s");
	return text.data;
}

static DbuBulkOp
op_from_text(const char *word)
{
	for (int op = 0; op < DBU_BULK_NOPS; op++)
	{
		if (strcmp(dbu_bulk_op_names[op], word) == 0)
			return op;
	}
	dbu_error_bad_word("op", word, "insert, update, delete");
}

/* The rows supply everything that may be written. */
static DbuShape *
typical_shape(DbuBulkCall *call)
{
	Bitmapset  *present = NULL;

	dbu_bulk_key_resolve(call);
	dbu_bulk_columns_choose(call, NULL, false);
	for (int i = 0; i < call->ncolumns; i++)
	{
		bool		named = call->opt.columns != NIL || call->opt.set_columns != NIL ||
			(call->op != DBU_BULK_INSERT && dbu_bulk_key_has(call->key, call->columns[i]));

		if (named || !call->columns[i]->generated)
			present = bms_add_member(present, i);
	}
	return dbu_bulk_shape_get(call, present);
}

static void
append_member(StringInfo json, const char *name, const char *value)
{
	appendStringInfo(json, "%s\"%s\": ", json->len > 1 ? ", " : "", name);
	if (value == NULL)
		appendStringInfoString(json, "null");
	else
		escape_json(json, value);
}

Datum
dbutil_bulk_explain(PG_FUNCTION_ARGS)
{
	DbuBulkCall *call;
	DbuShape   *shape;
	StringInfoData json;
	char	   *sql = NULL;

	if (PG_ARGISNULL(0))
		dbu_error_null_argument("op");
	if (PG_ARGISNULL(1))
		dbu_error_null_argument("target");
	if (PG_ARGISNULL(2))
		dbu_error_null_argument("options");

	call = dbu_bulk_call_begin(op_from_text(text_to_cstring(PG_GETARG_TEXT_PP(0))), PG_GETARG_OID(1));
	dbu_bulk_options_from_jsonb(call, PG_GETARG_DATUM(2));
	shape = typical_shape(call);
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

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	append_member(&json, "op", dbu_bulk_op_names[call->op]);
	append_member(&json, "target", call->target->sql_name);
	if (call->op == DBU_BULK_INSERT)
	{
		Relation	rel = relation_open(call->target->relid, NoLock);

		call->not_direct = dbu_bulk_call_not_direct(call);
		if (call->not_direct == NULL)
			call->not_direct = dbu_bulk_not_direct(call, shape, rel);
		call->direct_batches = 1;
		relation_close(rel, NoLock);
	}
	append_member(&json, "route", dbu_bulk_route_name(call));
	append_member(&json, "reason", dbu_bulk_route_reason(call, dbu_bulk_chunk_rows));
	if (dbu_bulk_slice_limit(call) == PG_INT64_MAX)
		append_member(&json, "chunk_rows", NULL);
	else
		appendStringInfo(&json, ", \"chunk_rows\": " INT64_FORMAT, dbu_bulk_slice_limit(call));
	append_member(&json, "index", call->key ? call->key->index_name : NULL);
	append_member(&json, "statement", sql);
	if (call->opt.missing == DBU_MISSING_INSERT)
		append_member(&json, "insert_statement", dbu_bulk_insert_missing_sql(call, shape));
	appendStringInfoChar(&json, '}');
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}
