/*-------------------------------------------------------------------------
 *
 * batch_sql.c
 *	  The statements of the procedures: which rows come next, and what is done
 *	  to them.
 *
 * Rows come in the order of a unique key without nulls, from behind the last
 * row of the chunk before.  What is picked is not locked; an update or delete
 * finds its rows by key and asks the caller's condition once more, so that a row
 * that somebody changed meanwhile is judged as it is then.
 *
 * The caller's texts see the relation by its own name and nothing else: what we
 * add to the statement stands in a subquery or is qualified.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/batches.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* Names of the key's columns in what is picked for an insert; no column is called that. */
#define KEY_NAME "dbutil key %d"

/* ---------- what the arguments name ---------- */

/* Is there a unique index on exactly these columns that holds all rows, and are they never null? */
static bool
is_unique_key(Relation rel, List *key)
{
	ListCell   *lc;
	bool		unique = false;

	foreach(lc, key)
	{
		const DbuColumn *column = lfirst(lc);

		if (!TupleDescAttr(RelationGetDescr(rel), column->attnum - 1)->attnotnull)
			return false;
	}
	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;
		int			found = 0;
		ListCell   *kc;

		foreach(kc, key)
		{
			for (int i = 0; i < form->indnkeyatts; i++)
				found += form->indkey.values[i] == ((DbuColumn *) lfirst(kc))->attnum;
		}
		unique |= form->indisunique && form->indisvalid && form->indimmediate &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL) &&
			found == list_length(key) && form->indnkeyatts == list_length(key);
		index_close(index, NoLock);
	}
	return unique;
}

static void
find_key(DbuBatches *batches, List *names)
{
	const char *parameter = batches->op == DBU_BULK_INSERT ? "source_key" : "key";
	Relation	rel;
	bool		unique;
	ListCell   *lc;

	if (names == NIL)
		names = batches->source_facts->primary_key;
	if (names == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("\"%s\" has no primary key", batches->source_name),
				 errhint("Name the columns of a unique index in the parameter \"%s\".", parameter)));
	foreach(lc, names)
		batches->key = lappend(batches->key,
							   (void *) dbu_bulk_target_column(batches->source_facts, lfirst(lc),
															   psprintf("parameter \"%s\"", parameter)));
	rel = relation_open(batches->source, AccessShareLock);
	unique = is_unique_key(rel, batches->key);
	relation_close(rel, NoLock);
	if (!unique)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("the rows of \"%s\" cannot be told apart by the parameter \"%s\"",
						batches->source_name, parameter),
				 errdetail("A unique index on exactly these columns, all of them NOT NULL, is needed to go on where a chunk ended."),
				 errhint("Name the columns of such an index, or make one.")));
}

static void
map_column(DbuBatches *batches, const char *to, const char *from)
{
	(void) dbu_bulk_target_column(batches->proto->target, to, "parameter \"column_map\"");
	(void) dbu_bulk_target_column(batches->source_facts, from, "parameter \"column_map\"");
	batches->map_to = lappend(batches->map_to, pstrdup(to));
	batches->map_from = lappend(batches->map_from, pstrdup(from));
}

/* {"column of the target": "column of the source"} */
static void
read_map(DbuBatches *batches, Datum column_map)
{
	Jsonb	   *jsonb = DatumGetJsonbP(column_map);
	JsonbIterator *it = JsonbIteratorInit(&jsonb->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *to = NULL;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			to = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && to != NULL && value.type == jbvString)
			map_column(batches, to, pnstrdup(value.val.string.val, value.val.string.len));
		else if (token == WJB_VALUE || token == WJB_ELEM || token == WJB_BEGIN_ARRAY)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("parameter \"column_map\" is not an object of names"),
					 errhint("Give {\"column of the target\": \"column of the source\", ...}.")));
	}
	if (batches->map_to == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter \"column_map\" is empty"),
				 errhint("Map at least one column, or leave the parameter out.")));
}

/* Columns that source and target have in common, as far as they can be written. */
static void
map_common(DbuBatches *batches)
{
	const DbuTarget *target = batches->proto->target;
	const DbuTarget *source = batches->source_facts;

	for (int i = 0; i < source->ncolumns; i++)
	{
		const DbuColumn *column = dbu_bulk_target_find(target, source->columns[i].name);

		if (column == NULL)
			dbu_bulk_error_unknown(target, source->columns[i].name,
								   psprintf("column \"%s\" of \"%s\"", source->columns[i].name,
											batches->source_name));
		if (!column->generated)
			map_column(batches, column->name, column->name);
	}
}

/* Settle the key and the columns; names in key and column_map must exist. */
void
dbu_batches_describe(DbuBatches *batches, Datum column_map, bool has_map, List *key)
{
	find_key(batches, key);
	if (batches->op != DBU_BULK_INSERT)
		return;
	if (has_map)
		read_map(batches, column_map);
	else
		map_common(batches);
}

/* ---------- picking ---------- */

static void
append_operator(StringInfo sql, Oid oprid)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(oprid));
	Form_pg_operator form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", oprid);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	appendStringInfo(sql, "OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
					 NameStr(form->oprname));
	ReleaseSysCache(tuple);
}

static char *
key_column(const DbuBatches *batches, int k)
{
	return psprintf("%s.%s", quote_identifier(batches->source_name),
					((DbuColumn *) list_nth(batches->key, k))->quoted);
}

static TypeCacheEntry *
key_type(const DbuBatches *batches, int k)
{
	const DbuColumn *column = list_nth(batches->key, k);
	TypeCacheEntry *type = lookup_type_cache(column->type, TYPECACHE_EQ_OPR | TYPECACHE_GT_OPR);

	if (!OidIsValid(type->gt_opr) || !OidIsValid(type->eq_opr))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("column \"%s\" of type %s cannot be part of a key", column->name,
						format_type_be(column->type)),
				 errdetail("The type has no default btree operator class.")));
	return type;
}

/* Rows behind the cursor: as a comparison of rows where one operator compares all columns. */
static void
append_behind(StringInfo sql, const DbuBatches *batches)
{
	int			n = list_length(batches->key);

	for (int k = 0; k < n; k++)
	{
		TypeCacheEntry *type = key_type(batches, k);

		/* a > $1 OR a = $1 AND (b > $2 OR b = $2 AND (...)), and an index can start at a >= $1 */
		appendStringInfo(sql, "%s(%s ", k > 0 ? " AND " : "", key_column(batches, k));
		append_operator(sql, type->gt_opr);
		appendStringInfo(sql, " $%d", k + 1);
		if (k < n - 1)
		{
			appendStringInfo(sql, " OR %s ", key_column(batches, k));
			append_operator(sql, type->eq_opr);
			appendStringInfo(sql, " $%d", k + 1);
		}
	}
	for (int k = 0; k < n; k++)
		appendStringInfoChar(sql, ')');
}

/* (a, b) > ($1, $2), which an index serves in full; false: operators of several schemas */
static bool
append_behind_row(StringInfo sql, const DbuBatches *batches)
{
	StringInfoData left;
	StringInfoData right;
	Oid			first = key_type(batches, 0)->gt_opr;
	Oid			schema = get_func_namespace(get_opcode(first));

	initStringInfo(&left);
	initStringInfo(&right);
	for (int k = 0; k < list_length(batches->key); k++)
	{
		Oid			op = key_type(batches, k)->gt_opr;

		if (get_func_namespace(get_opcode(op)) != schema || strcmp(get_opname(op), get_opname(first)) != 0)
			return false;
		appendStringInfo(&left, "%s%s", k > 0 ? ", " : "", key_column(batches, k));
		appendStringInfo(&right, "%s$%d", k > 0 ? ", " : "", k + 1);
	}
	appendStringInfo(sql, "ROW(%s) ", left.data);
	append_operator(sql, first);
	appendStringInfo(sql, " ROW(%s)", right.data);
	return true;
}

/* The next rows; parameters are the cursor, if there is one. */
char *
dbu_batches_pick_sql(const DbuBatches *batches)
{
	StringInfoData sql;
	int			n = list_length(batches->key);

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	for (int i = 0; i < list_length(batches->map_to); i++)
		appendStringInfo(&sql, "%s.%s AS %s, ", quote_identifier(batches->source_name),
						 quote_identifier(list_nth(batches->map_from, i)),
						 quote_identifier(list_nth(batches->map_to, i)));
	for (int k = 0; k < n; k++)
	{
		appendStringInfo(&sql, "%s%s", k > 0 ? ", " : "", key_column(batches, k));
		if (batches->op == DBU_BULK_INSERT)
			appendStringInfo(&sql, " AS \"" KEY_NAME "\"", k + 1);
	}
	appendStringInfo(&sql, " FROM %s WHERE ", batches->source_sql);
	if (batches->cursor == NIL)
		appendStringInfoString(&sql, "true");
	else if (n == 1 || !append_behind_row(&sql, batches))
		append_behind(&sql, batches);
	if (batches->where_clause != NULL)
		appendStringInfo(&sql, " AND (\n%s\n)", batches->where_clause);
	appendStringInfoString(&sql, " ORDER BY ");
	for (int k = 0; k < n; k++)
		appendStringInfo(&sql, "%s%s", k > 0 ? ", " : "", key_column(batches, k));
	appendStringInfo(&sql, " LIMIT %d", batches->chunk_rows);
	return sql.data;
}

/* Keys as text mean the same in every session: as pg_dump has it. */
static int
begin_portable_text(void)
{
	int			nest = NewGUCNestLevel();
	static const char *const settings[][2] = {
		{"extra_float_digits", "3"}, {"datestyle", "ISO, YMD"}, {"intervalstyle", "postgres"}
	};

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return nest;
}

/*
 * A plan that reads in the order of the key, unless all there is fits into one
 * chunk: else each chunk might read and sort the whole table.  It holds for
 * any cursor, so it is made here, and where it runs nobody sees the settings.
 */
static SPIPlanPtr
plan_pick(DbuBatches *batches, int nargs, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(dbu_batches_pick_sql(batches), nargs, types, CURSOR_OPT_GENERIC_PLAN);
	int			nest;
	CachedPlan *cached;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	if (batches->expected <= batches->chunk_rows)
		return plan;
	nest = NewGUCNestLevel();
	dbu_bulk_set_off("enable_sort");
	dbu_bulk_set_off("enable_seqscan");
	dbu_bulk_set_off("jit");
	cached = SPI_plan_get_cached_plan(plan);
	if (cached != NULL)
		ReleaseCachedPlan(cached, NULL);
	AtEOXact_GUC(true, nest);
	return plan;
}

/* The cursor's values, read as the key's types. */
static SPITupleTable *
run_pick(DbuBatches *batches)
{
	int			n = list_length(batches->cursor);
	Oid		   *types = palloc(sizeof(Oid) * Max(n, 1));
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));
	int			nest = begin_portable_text();
	SPIPlanPtr	plan;
	SPITupleTable *table;
	int			rc;

	for (int k = 0; k < n; k++)
	{
		const DbuColumn *column = list_nth(batches->key, k);
		Oid			input;
		Oid			param;

		getTypeInputInfo(column->type, &input, &param);
		types[k] = column->type;
		values[k] = OidInputFunctionCall(input, list_nth(batches->cursor, k), param, -1);
	}
	AtEOXact_GUC(true, nest);
	plan = plan_pick(batches, n, types);
	rc = SPI_execute_plan(plan, values, NULL, false, 0);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(rc));
	table = SPI_tuptable;
	SPI_freeplan(plan);
	return table;
}

/* The key of the last row picked is where the next chunk goes on. */
static List *
last_key(DbuBatches *batches, SPITupleTable *table)
{
	int			n = list_length(batches->key);
	List	   *cursor = NIL;
	int			nest = begin_portable_text();

	for (int k = 0; k < n; k++)
		cursor = lappend(cursor, SPI_getvalue(table->vals[table->numvals - 1], table->tupdesc,
											  table->tupdesc->natts - n + k + 1));
	AtEOXact_GUC(true, nest);
	return cursor;
}

/*
 * Rows for the next chunk, or NULL: there are none.  cursor: the key of the last
 * one, char *.
 */
DbuSource *
dbu_batches_pick(DbuBatches *batches, DbuBulkCall *call, List **cursor)
{
	SPITupleTable *table = run_pick(batches);
	DbuSource  *source;

	batches->done = table->numvals < batches->chunk_rows;
	if (table->numvals == 0)
		return NULL;
	*cursor = last_key(batches, table);
	source = dbu_bulk_tuples_open(call, dbu_bulk_tuples_of_result(table));
	source->row.ord = batches->res.rows_in;
	return source;
}

/* ---------- writing ---------- */

static char *
column_list(const DbuTarget *target, const char *qualifier)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < target->ncolumns; i++)
		appendStringInfo(&list, "%s%s%s%s", i > 0 ? ", " : "", qualifier, *qualifier ? "." : "",
						 target->columns[i].quoted);
	return list.data;
}

/* Update or delete the rows of a batch for which the condition still holds. */
char *
dbu_batches_write_sql(DbuBulkCall *call, DbuShape *shape)
{
	const DbuBatches *batches = call->batches;
	const char *name = quote_identifier(call->target->name);
	StringInfoData sql;

	initStringInfo(&sql);
	if (OidIsValid(batches->archive_to))
		appendStringInfoString(&sql, "WITH gone AS (");
	if (call->op == DBU_BULK_UPDATE)
		appendStringInfo(&sql, "UPDATE %s SET\n%s\n", call->target->sql_name, batches->set_clause);
	else
		appendStringInfo(&sql, "DELETE FROM %s", call->target->sql_name);
	appendStringInfoString(&sql, " WHERE EXISTS (SELECT FROM " DBU_FEED_NAME " WHERE ");
	dbu_bulk_append_match(&sql, call, name, DBU_FEED_NAME);
	appendStringInfoChar(&sql, ')');
	if (batches->where_clause != NULL)
		appendStringInfo(&sql, " AND (\n%s\n)", batches->where_clause);
	if (OidIsValid(batches->archive_to))
		appendStringInfo(&sql, " RETURNING %s) INSERT INTO %s (%s) SELECT %s FROM gone",
						 column_list(call->target, name),
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(batches->archive_to)),
													get_rel_name(batches->archive_to)),
						 column_list(call->target, ""), column_list(call->target, "gone"));
	return sql.data;
}

/* What became of the rows of a chunk that is updated or deleted. */
void
dbu_batches_flush(DbuBulkCall *call, DbuBatch *batch)
{
	DbuBulkResult *res = &call->res;
	DbuRun		run = {.answer = DBU_ANSWER_NONE,.steer = dbu_bulk_key_steers(call, batch->nrows)};
	int64	   *done = call->op == DBU_BULK_UPDATE ? &res->updated : &res->deleted;
	int64		processed = batch->nrows;

	if (call->opt.dry_run)
		dbu_bulk_check(call, batch, dbu_batches_write_sql(call, batch->shape));
	else
		processed = dbu_bulk_run(call, batch, DBU_PLAN_WRITE, dbu_batches_write_sql, &run);
	processed = Min(processed, batch->nrows);
	*done += processed;
	if (call->target->may_suppress[call->op] && call->target->relkind == RELKIND_RELATION)
		res->suppressed += batch->nrows - processed;
	else
		res->missing += batch->nrows - processed;
}
