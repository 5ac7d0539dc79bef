/*-------------------------------------------------------------------------
 *
 * sql.c
 *	  The text of the statements that a call runs.
 *
 * In each of them the target is t and the rows are s, with the columns of
 * DBU_FEED_*.  All else is qualified and quoted: relations with their schema,
 * operators by OPERATOR(), functions of pg_catalog by that name.  Nothing
 * whose operator is looked up in secret (IS DISTINCT FROM, IN, CASE x WHEN)
 * is written.
 *
 * "Unchanged" means that the values are the same byte for byte: 1.0 and 1.00,
 * or a and A under a collation that takes them for equal, are a change.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "utils/builtins.h"

/* Is the column at position set by the update (of ON CONFLICT, for insert)? */
bool
dbu_bulk_sets(DbuBulkCall *call, const DbuShape *shape, int position)
{
	const DbuColumn *column = call->columns[position];

	if (!bms_is_member(position, shape->present))
		return false;
	if (call->op == DBU_BULK_INSERT && call->update_columns != NIL)
		return list_member_ptr(call->update_columns, column);
	return !dbu_bulk_key_has(call->key, column);
}

bool
dbu_bulk_sets_any(DbuBulkCall *call, const DbuShape *shape)
{
	for (int i = 0; i < call->ncolumns; i++)
	{
		if (dbu_bulk_sets(call, shape, i))
			return true;
	}
	return false;
}

/* Does the insert update what is there? */
bool
dbu_bulk_upserts(const DbuBulkCall *call)
{
	return call->opt.on_conflict == DBU_CONFLICT_UPDATE ||
		call->opt.on_conflict == DBU_CONFLICT_UPDATE_IF_CHANGED;
}

/* Does the insert tell by xmax which rows it inserted and which it updated? */
bool
dbu_bulk_returns_xmax(const DbuBulkCall *call, const DbuShape *shape)
{
	return dbu_bulk_upserts(call) && call->target->tells_xmax &&
		dbu_bulk_sets_any((DbuBulkCall *) call, shape);
}

/* The keys are equal; target and rows are what the two are called there. */
void
dbu_bulk_append_match(StringInfo sql, const DbuBulkCall *call, const char *target, const char *rows)
{
	for (int k = 0; k < call->key->ncolumns; k++)
	{
		const char *quoted = call->key->columns[k]->quoted;
		int			position = call->key->positions[k] + 1;

		appendStringInfo(sql, "%s%s%s.%s %s %s.c%d", k > 0 ? " AND " : "", call->key->nulls_equal ? "(" : "",
						 target, quoted, call->key->equal[k], rows, position);
		if (call->key->nulls_equal)
			appendStringInfo(sql, " OR %s.%s IS NULL AND %s.c%d IS NULL)", target, quoted, rows, position);
	}
}

static void
append_match(StringInfo sql, const DbuBulkCall *call)
{
	dbu_bulk_append_match(sql, call, "t", "s");
}

/* The new value of a column that an update sets. */
static char *
new_value(DbuBulkCall *call, const DbuShape *shape, int position)
{
	char	   *value;

	if (call->opt.nulls_keep)
		value = psprintf("COALESCE(s.c%d, t.%s)", position + 1, call->columns[position]->quoted);
	else
		value = psprintf("s.c%d", position + 1);
	return dbu_bulk_united_value(call, shape, position, value);
}

/* function(ROW(old values), ROW(new values)); excluded: those of ON CONFLICT */
static void
append_image(StringInfo sql, DbuBulkCall *call, DbuShape *shape, const char *function,
			 bool excluded)
{
	StringInfoData after;
	const char *comma = "";

	initStringInfo(&after);
	appendStringInfo(sql, "pg_catalog.%s(ROW(", function);
	for (int i = 0; i < call->ncolumns; i++)
	{
		const char *quoted = call->columns[i]->quoted;

		if (!dbu_bulk_sets(call, shape, i))
			continue;
		appendStringInfo(sql, "%st.%s", comma, quoted);
		if (excluded)
			appendStringInfo(&after, "%sexcluded.%s", comma, quoted);
		else
			appendStringInfo(&after, "%s%s", comma, new_value(call, shape, i));
		comma = ", ";
	}
	appendStringInfo(sql, "), ROW(%s))", after.data);
}

static void
append_insert(StringInfo sql, DbuBulkCall *call, DbuShape *shape)
{
	StringInfoData values;
	int			position = -1;
	const char *comma = "";

	initStringInfo(&values);
	appendStringInfo(sql, "INSERT INTO %s AS t", call->target->sql_name);
	while ((position = bms_next_member(shape->present, position)) >= 0)
	{
		appendStringInfo(sql, "%s%s", *comma ? comma : " (", call->columns[position]->quoted);
		appendStringInfo(&values, "%ss.c%d", comma, position + 1);
		comma = ", ";
	}
	appendStringInfo(sql, "%s SELECT %s FROM " DBU_FEED_NAME " AS s", *comma ? ")" : "", values.data);
}

char *
dbu_bulk_insert_missing_sql(DbuBulkCall *call, DbuShape *shape)
{
	StringInfoData sql;

	initStringInfo(&sql);
	append_insert(&sql, call, shape);
	return sql.data;
}

static void
append_conflict(StringInfo sql, DbuBulkCall *call, DbuShape *shape)
{
	const DbuBulkOptions *opt = &call->opt;
	const char *comma = "";

	appendStringInfoString(sql, " ON CONFLICT");
	if (opt->conflict_constraint != NULL)
		appendStringInfo(sql, " ON CONSTRAINT %s", quote_identifier(opt->conflict_constraint));
	else if (opt->conflict_columns != NIL || opt->on_conflict != DBU_CONFLICT_NOTHING)
	{
		for (int k = 0; k < call->key->ncolumns; k++)
			appendStringInfo(sql, "%s%s", k > 0 ? ", " : " (", call->key->columns[k]->quoted);
		appendStringInfoChar(sql, ')');
	}

	if (opt->on_conflict == DBU_CONFLICT_NOTHING || !dbu_bulk_sets_any(call, shape))
	{
		appendStringInfoString(sql, " DO NOTHING");
		return;
	}
	appendStringInfoString(sql, " DO UPDATE SET ");
	for (int i = 0; i < call->ncolumns; i++)
	{
		if (!dbu_bulk_sets(call, shape, i))
			continue;
		appendStringInfo(sql, "%s%s = excluded.%s", comma,
						 call->columns[i]->quoted, call->columns[i]->quoted);
		comma = ", ";
	}
	if (opt->on_conflict == DBU_CONFLICT_UPDATE_IF_CHANGED)
	{
		appendStringInfoString(sql, " WHERE ");
		append_image(sql, call, shape, "record_image_ne", true);
	}
}

char *
dbu_bulk_insert_sql(DbuBulkCall *call, DbuShape *shape)
{
	StringInfoData sql;

	initStringInfo(&sql);
	append_insert(&sql, call, shape);
	if (call->opt.on_conflict != DBU_CONFLICT_ERROR)
		append_conflict(&sql, call, shape);
	if (dbu_bulk_returns_xmax(call, shape))
		appendStringInfoString(&sql, " RETURNING t.xmax OPERATOR(pg_catalog.=) '0'::pg_catalog.xid");
	return sql.data;
}

char *
dbu_bulk_update_sql(DbuBulkCall *call, DbuShape *shape)
{
	StringInfoData sql;
	const char *comma = "";

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s AS t SET ", call->target->sql_name);
	for (int i = 0; i < call->ncolumns; i++)
	{
		if (!dbu_bulk_sets(call, shape, i))
			continue;
		appendStringInfo(&sql, "%s%s = %s", comma, call->columns[i]->quoted, new_value(call, shape, i));
		comma = ", ";
	}
	appendStringInfoString(&sql, " FROM " DBU_FEED_NAME " AS s WHERE ");
	append_match(&sql, call);
	if (dbu_bulk_has_idle(call, shape))
		appendStringInfo(&sql, " AND NOT %s", dbu_bulk_idle_sql(call, shape));
	if (call->opt.skip_unchanged)
	{
		appendStringInfoString(&sql, " AND ");
		append_image(&sql, call, shape, "record_image_ne", false);
	}
	if (!call->target->has_rule[DBU_BULK_UPDATE])
		appendStringInfoString(&sql, " RETURNING s.pos");
	return sql.data;
}

char *
dbu_bulk_delete_sql(DbuBulkCall *call, DbuShape *shape)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "DELETE FROM %s AS t USING " DBU_FEED_NAME " AS s WHERE ",
					 call->target->sql_name);
	append_match(&sql, call);
	if (!call->target->has_rule[DBU_BULK_DELETE])
		appendStringInfoString(&sql, " RETURNING s.pos");
	return sql.data;
}

/* Lock the matches of rows, without waiting. */
char *
dbu_bulk_lock_sql(DbuBulkCall *call, DbuShape *shape)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT s.pos FROM " DBU_FEED_NAME " AS s, %s AS t WHERE ", call->target->sql_name);
	append_match(&sql, call);
	appendStringInfo(&sql, " FOR %s OF t %s", call->op == DBU_BULK_DELETE ? "UPDATE" : "NO KEY UPDATE",
					 call->opt.locked == DBU_LOCKED_SKIP ? "SKIP LOCKED" : "NOWAIT");
	return sql.data;
}

/*
 * Which rows have a match?  Where equal rows are left alone, or some rows set
 * nothing, it is also answered whether the update would leave the match as it
 * is.
 */
char *
dbu_bulk_match_sql(DbuBulkCall *call, DbuShape *shape)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT s.pos");
	if (dbu_bulk_compares(call, shape))
	{
		appendStringInfoString(&sql, ", ");
		append_image(&sql, call, shape, "record_image_eq", false);
	}
	else if (dbu_bulk_has_idle(call, shape))
		appendStringInfo(&sql, ", %s", dbu_bulk_idle_sql(call, shape));
	appendStringInfo(&sql, " FROM " DBU_FEED_NAME " AS s, %s AS t WHERE ", call->target->sql_name);
	append_match(&sql, call);
	return sql.data;
}

/* Does the call leave rows alone that would not change? */
bool
dbu_bulk_compares(DbuBulkCall *call, const DbuShape *shape)
{
	return (call->opt.skip_unchanged || call->opt.on_conflict == DBU_CONFLICT_UPDATE_IF_CHANGED) &&
		dbu_bulk_sets_any(call, shape);
}

/* Does the query for matches answer whether they would change? */
bool
dbu_bulk_tells_equal(DbuBulkCall *call, const DbuShape *shape)
{
	return dbu_bulk_compares(call, shape) || dbu_bulk_has_idle(call, shape);
}
