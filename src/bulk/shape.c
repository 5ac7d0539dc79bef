/*-------------------------------------------------------------------------
 *
 * shape.c
 *	  Which columns the rows of a call may supply, and which of these each row
 *	  does supply.
 *
 * Columns of a call have a position, from 0.  A row's shape is the set of the
 * positions it supplies: an array has one shape, JSON rows may have several.
 * A column outside the shape is not named in the statement at all, so that it
 * gets its default on insert and stays as it is on update.
 *
 * A batch has values as the column stores them, but for the key of an update
 * or delete: that is compared, never assigned.  Assigned it would be rounded or
 * cut to the column's type, and find a row that the value given is not equal
 * to.  So keys keep the type they were given in, without a length or
 * precision, and the operator that plain SQL would take compares them.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

/*
 * The columns that a call's parameters name, NIL: any.  For update the key
 * comes first.
 */
static List *
named_columns(const DbuBulkCall *call)
{
	List	   *result = NIL;
	List	   *names = NIL;
	const char *parameter = NULL;
	ListCell   *lc;

	switch (call->op)
	{
		case DBU_BULK_INSERT:
			names = call->opt.columns;
			parameter = "parameter \"columns\"";
			break;
		case DBU_BULK_UPDATE:
			names = call->opt.set_columns;
			parameter = "parameter \"set_columns\"";
			if (names == NIL)
				return NIL;
			/* FALLTHROUGH */
		case DBU_BULK_DELETE:
			for (int k = 0; k < call->key->ncolumns; k++)
				result = lappend(result, (void *) call->key->columns[k]);
			break;
	}
	foreach(lc, names)
	{
		const DbuColumn *column = dbu_bulk_target_column(call->target, lfirst(lc), parameter);

		if (list_member_ptr(result, column))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" is part of the key and cannot be set", column->name),
					 errhint("Leave it out of set_columns, or choose another key.")));
		result = lappend(result, (void *) column);
	}
	return result;
}

static void
error_not_in_rows(const DbuColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the rows have no column \"%s\"", column->name),
			 errhint("Fields of composite types are matched with the target's columns by name.")));
}

static bool
field_exists(TupleDesc given, const char *name)
{
	for (int i = 0; i < given->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(given, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return true;
	}
	return false;
}

static List *
columns_by_position(const DbuBulkCall *call, TupleDesc given, List *columns, bool named)
{
	int			wanted = list_length(columns);

	/* like INSERT without a column list: fewer values fill the first columns */
	if (given->natts == wanted ||
		(call->op == DBU_BULK_INSERT && !named && given->natts < wanted))
		return list_truncate(columns, given->natts);
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("the rows have %d fields, but there are %d columns for them",
					given->natts, wanted),
			 errhint("Fields of record[] are matched by position; name the columns, or use an array of a named type.")));
}

/* The types that the elements of an array have for the columns, by position. */
static Oid *
given_types(const DbuBulkCall *call, TupleDesc given, bool by_position)
{
	Oid		   *types = palloc0(sizeof(Oid) * Max(call->ncolumns, 1));

	for (int i = 0; i < call->ncolumns; i++)
	{
		for (int f = 0; f < given->natts; f++)
		{
			Form_pg_attribute att = TupleDescAttr(given, f);

			if (by_position ? f == i
				: !att->attisdropped && strcmp(NameStr(att->attname), call->columns[i]->name) == 0)
				types[i] = att->atttypid;
		}
	}
	return types;
}

/*
 * Fix the columns of the call.  given describes the elements of an array,
 * NULL: JSON, where every column may turn up.
 */
void
dbu_bulk_columns_choose(DbuBulkCall *call, TupleDesc given, bool by_position)
{
	List	   *columns = named_columns(call);
	bool		named = columns != NIL;
	ListCell   *lc;

	for (int i = 0; !named && i < call->target->ncolumns; i++)
	{
		DbuColumn  *column = &call->target->columns[i];

		if (given == NULL || by_position || field_exists(given, column->name))
			columns = lappend(columns, column);
	}

	if (given != NULL && by_position)
		columns = columns_by_position(call, given, columns, named);
	else if (given != NULL && named)
	{
		foreach(lc, columns)
		{
			if (!field_exists(given, ((DbuColumn *) lfirst(lc))->name))
				error_not_in_rows(lfirst(lc));
		}
	}
	else if (given != NULL)
	{
		for (int i = 0; i < given->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(given, i);

			if (!att->attisdropped && dbu_bulk_target_find(call->target, NameStr(att->attname)) == NULL)
				dbu_bulk_error_unknown(call->target, NameStr(att->attname),
									   psprintf("field \"%s\" of the rows", NameStr(att->attname)));
		}
	}

	call->columns = palloc(sizeof(DbuColumn *) * Max(list_length(columns), 1));
	foreach(lc, columns)
		call->columns[call->ncolumns++] = lfirst(lc);
	list_free(columns);
	dbu_bulk_columns_settle(call, given ? given_types(call, given, by_position) : NULL);
}

/* Columns that ON CONFLICT sets must be among those of the rows. */
static void
settle_update_columns(DbuBulkCall *call)
{
	ListCell   *lc;

	foreach(lc, call->opt.update_columns)
	{
		const DbuColumn *column = dbu_bulk_target_column(call->target, lfirst(lc),
														 "parameter \"update_columns\"");

		if (dbu_bulk_column_position(call, column) < 0)
			error_not_in_rows(column);
		call->update_columns = lappend(call->update_columns, (void *) column);
	}
}

/* What a batch has for a column; given: the type in the rows, InvalidOid for JSON. */
static void
settle_feed_column(DbuBulkCall *call, int position, Oid given)
{
	const DbuColumn *column = call->columns[position];
	DbuFeedColumn *feed = &call->feed[position];

	feed->type = column->type;
	feed->typmod = column->typmod;
	feed->collation = column->collation;
	if (call->op == DBU_BULK_INSERT || !dbu_bulk_key_has(call->key, column))
		return;

	/* a literal, and what JSON holds, is read as the type it is compared with */
	feed->type = getBaseType(OidIsValid(given) && given != UNKNOWNOID ? given : column->type);
	feed->typmod = -1;
	if (!type_is_collatable(feed->type))
		feed->collation = InvalidOid;
	else if (!OidIsValid(feed->collation))
		feed->collation = get_typcollation(feed->type);
}

/*
 * What follows from the columns: positions of the key, layout of a batch.
 * given: the types in the rows by position, NULL for JSON.
 */
void
dbu_bulk_columns_settle(DbuBulkCall *call, const Oid *given)
{
	HASHCTL		ctl = {0};

	call->feed = palloc0(sizeof(DbuFeedColumn) * Max(call->ncolumns, 1));
	for (int i = 0; i < call->ncolumns; i++)
		settle_feed_column(call, i, given ? given[i] : InvalidOid);

	for (int k = 0; call->key != NULL && k < call->key->ncolumns; k++)
	{
		call->key->positions[k] = dbu_bulk_column_position(call, call->key->columns[k]);
		if (call->key->positions[k] < 0 && call->op != DBU_BULK_INSERT)
			error_not_in_rows(call->key->columns[k]);
	}
	dbu_bulk_key_settle(call);

	settle_update_columns(call);

	call->desc = CreateTemplateTupleDesc(DBU_FEED_FIRST - 1 + call->ncolumns);
	TupleDescInitEntry(call->desc, DBU_FEED_POS, "pos", INT8OID, -1, 0);
	TupleDescInitEntry(call->desc, DBU_FEED_ORD, "ord", INT8OID, -1, 0);
	TupleDescInitEntry(call->desc, DBU_FEED_SHAPE, "shape", INT4OID, -1, 0);
	for (int i = 0; i < call->ncolumns; i++)
	{
		AttrNumber	attno = DBU_FEED_FIRST + i;

		TupleDescInitEntry(call->desc, attno, psprintf("c%d", i + 1),
						   call->feed[i].type, call->feed[i].typmod, 0);
		TupleDescInitEntryCollation(call->desc, attno, call->feed[i].collation);
	}

	ctl.keysize = sizeof(Bitmapset *);
	ctl.entrysize = sizeof(Bitmapset *) + sizeof(DbuShape *);
	ctl.hash = bitmap_hash;
	ctl.match = bitmap_match;
	ctl.hcxt = call->mcxt;
	call->shape_table = hash_create("dbutil bulk shapes", 16, &ctl,
									HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/* Position of a column among those of the rows, -1: not among them. */
int
dbu_bulk_column_position(const DbuBulkCall *call, const DbuColumn *column)
{
	for (int i = 0; i < call->ncolumns; i++)
	{
		if (call->columns[i] == column)
			return i;
	}
	return -1;
}

/* PostgreSQL says this too, but not what to do about it. */
static void
check_writable(const DbuBulkCall *call, const DbuShape *shape)
{
	int			position = -1;

	if (call->op == DBU_BULK_DELETE)
		return;
	while ((position = bms_next_member(shape->present, position)) >= 0)
	{
		const DbuColumn *column = call->columns[position];

		if (!column->generated ||
			(call->op == DBU_BULK_UPDATE && dbu_bulk_key_has(call->key, column)))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" of \"%s\" is generated and cannot be given a value",
						column->name, call->target->name),
				 errhint("Leave it out of the rows, or name the columns to write in the parameter \"%s\".",
						 call->op == DBU_BULK_INSERT ? "columns" : "set_columns")));
	}
}

typedef struct ShapeEntry
{
	Bitmapset  *present;
	DbuShape   *shape;
} ShapeEntry;

/* The shape of a row that supplies these positions. */
DbuShape *
dbu_bulk_shape_get(DbuBulkCall *call, const Bitmapset *present)
{
	MemoryContext oldcxt;
	ShapeEntry *entry;
	DbuShape   *shape;
	bool		found;

	StaticAssertStmt(sizeof(ShapeEntry) == sizeof(Bitmapset *) + sizeof(DbuShape *),
					 "entry size of the table of shapes");
	if (call->last_shape != NULL && bms_equal(call->last_shape->present, present))
		return call->last_shape;

	entry = hash_search(call->shape_table, &present, HASH_FIND, &found);
	if (!found)
	{
		oldcxt = MemoryContextSwitchTo(call->mcxt);
		shape = palloc0(sizeof(DbuShape));
		shape->present = bms_copy(present);
		shape->id = list_length(call->shapes);
		check_writable(call, shape);
		entry = hash_search(call->shape_table, &shape->present, HASH_ENTER, &found);
		entry->shape = shape;
		call->shapes = lappend(call->shapes, shape);
		MemoryContextSwitchTo(oldcxt);
	}
	call->last_shape = entry->shape;
	return entry->shape;
}

/* The shape of a row that supplies every column. */
DbuShape *
dbu_bulk_shape_full(DbuBulkCall *call)
{
	Bitmapset  *present = NULL;

	if (call->ncolumns > 0)
		present = bms_add_range(NULL, 0, call->ncolumns - 1);
	return dbu_bulk_shape_get(call, present);
}

static bool
permitted(const DbuBulkCall *call, const DbuColumn *column, AclMode mode)
{
	return pg_class_aclcheck(call->target->relid, GetUserId(), mode) == ACLCHECK_OK ||
		pg_attribute_aclcheck(call->target->relid, column->attnum, GetUserId(), mode) == ACLCHECK_OK;
}

/*
 * The position of a column that an update without rows can set: rows would
 * have said which.  One that the caller may write, so that the statement is
 * refused only to those who may write none; -1: there is no column to set.
 */
static int
any_settable(const DbuBulkCall *call)
{
	int			result = -1;

	for (int i = call->ncolumns - 1; i >= 0; i--)
	{
		const DbuColumn *column = call->columns[i];
		bool		better;

		if (column->generated || dbu_bulk_key_has(call->key, column))
			continue;
		better = permitted(call, column, ACL_UPDATE) &&
			(call->op == DBU_BULK_UPDATE || permitted(call, column, ACL_INSERT));
		if (result < 0 || better)
			result = i;
	}
	return result;
}

/* The shape for a call without rows: what the parameters name, and no more than must be. */
DbuShape *
dbu_bulk_shape_empty(DbuBulkCall *call)
{
	Bitmapset  *present = NULL;
	int			any = -1;

	/* an array of a named type says what its rows are */
	if (call->shapes != NIL)
		return linitial(call->shapes);
	if (call->columns == NULL)
		dbu_bulk_columns_choose(call, NULL, false);
	for (int i = 0; i < call->ncolumns; i++)
	{
		const DbuColumn *column = call->columns[i];

		if (call->op == DBU_BULK_INSERT
			? call->opt.columns != NIL || list_member_ptr(call->update_columns, column)
			: call->opt.set_columns != NIL || dbu_bulk_key_has(call->key, column))
			present = bms_add_member(present, i);
	}
	if (call->op == DBU_BULK_UPDATE && call->opt.set_columns == NIL)
		any = any_settable(call);
	if (dbu_bulk_upserts(call) && call->opt.columns == NIL && call->update_columns == NIL)
		any = any_settable(call);
	if (any >= 0)
		present = bms_add_member(present, any);
	return dbu_bulk_shape_get(call, present);
}
