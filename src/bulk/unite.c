/*-------------------------------------------------------------------------
 *
 * unite.c
 *	  One statement for rows that supply different columns.
 *
 * Where slices would show (see target.c) a statement for each shape would
 * show as well: triggers for each statement would fire for each of them, and
 * constraints be checked in between.  So such a call writes all of its rows at
 * once, over the columns that any of them supplies:
 *
 *		insert	a column that a row does not supply gets its default here, in
 *				the order of the rows, by the expression that INSERT would use
 *		update	CASE on the shape of the row leaves the column as it is, which
 *				takes the right to read it
 *		upsert	DO UPDATE cannot see the shape; where the shapes set different
 *				columns the call is refused
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "executor/tuptable.h"
#include "miscadmin.h"

/* Shall rows of all shapes go into one statement? */
bool
dbu_bulk_unites(const DbuBulkCall *call)
{
	bool		strict;

	/* a dry run writes nothing, and may not draw numbers from sequences */
	if (call->opt.dry_run || dbu_bulk_slice_limit(call) != PG_INT64_MAX)
		return false;
	dbu_bulk_one_statement(call, &strict);
	return strict || call->op != DBU_BULK_INSERT || !dbu_bulk_upserts(call);
}

/*
 * Give every row of batch all of the columns in present: what it does not
 * supply becomes the column's default.
 */
void
dbu_bulk_fill_defaults(DbuBulkCall *call, DbuBatch *batch, const Bitmapset *present)
{
	Tuplestorestate *full = tuplestore_begin_heap(false, false, work_mem);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);
	int			natts = call->desc->natts;
	Datum	   *values = palloc(sizeof(Datum) * natts);
	bool	   *nulls = palloc(sizeof(bool) * natts);

	tuplestore_select_read_pointer(batch->store, 0);
	tuplestore_rescan(batch->store);
	while (tuplestore_gettupleslot(batch->store, true, false, slot))
	{
		DbuShape   *shape;
		int			position = -1;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		memcpy(values, slot->tts_values, sizeof(Datum) * natts);
		memcpy(nulls, slot->tts_isnull, sizeof(bool) * natts);
		shape = list_nth(call->shapes, DatumGetInt32(values[DBU_FEED_SHAPE - 1]));
		while ((position = bms_next_member(present, position)) >= 0)
		{
			int			i = DBU_FEED_FIRST - 1 + position;

			if (!bms_is_member(position, shape->present))
				values[i] = dbu_bulk_default_value(call, position, &nulls[i]);
		}
		tuplestore_putvalues(full, call->desc, values, nulls);
		dbu_bulk_default_reset(call);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(batch->store);
	batch->store = full;
	batch->shape = dbu_bulk_shape_get(call, present);
	pfree(values);
	pfree(nulls);
}

/* Do all members set the same columns if they conflict? */
static bool
sets_alike(DbuBulkCall *call, List *members)
{
	ListCell   *lc;

	foreach(lc, members)
	{
		for (int i = 0; i < call->ncolumns; i++)
		{
			if (dbu_bulk_sets(call, lfirst(lc), i) != dbu_bulk_sets(call, linitial(members), i))
				return false;
		}
	}
	return true;
}

/* Make one batch of one shape out of the rows of several. */
void
dbu_bulk_unite(DbuBulkCall *call, DbuBatch *batch)
{
	Bitmapset  *present = NULL;
	List	   *members = NIL;
	int			id = -1;
	bool		strict;

	while ((id = bms_next_member(batch->shape_ids, id)) >= 0)
	{
		DbuShape   *shape = list_nth(call->shapes, id);

		members = lappend(members, shape);
		present = bms_add_members(present, shape->present);
	}
	if (call->op == DBU_BULK_INSERT)
	{
		if (dbu_bulk_upserts(call) && !sets_alike(call, members))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("rows that would update different columns cannot be written to \"%s\" at once",
							call->target->name),
					 errdetail("The call must be one statement: %s.", dbu_bulk_one_statement(call, &strict)),
					 errhint("Give every row the same columns, name those to update in update_columns, or set chunk_rows to allow several statements.")));
		dbu_bulk_fill_defaults(call, batch, present);
		return;
	}
	batch->shape = palloc0(sizeof(DbuShape));
	batch->shape->present = present;
	batch->shape->members = members;
	batch->shape->id = list_length(call->shapes);
	/* among the others, so that its plans are freed as theirs are */
	call->shapes = lappend(call->shapes, batch->shape);
}

/* s.shape is one of those that set the column at position; -1: that set none. */
static char *
shape_condition(DbuBulkCall *call, const DbuShape *united, int position)
{
	StringInfoData ids;
	ListCell   *lc;

	initStringInfo(&ids);
	foreach(lc, united->members)
	{
		DbuShape   *member = lfirst(lc);

		if (position < 0 ? !dbu_bulk_sets_any(call, member) : dbu_bulk_sets(call, member, position))
			appendStringInfo(&ids, "%s%d", ids.len > 0 ? "," : "", member->id);
	}
	return psprintf("(s.shape OPERATOR(pg_catalog.=) ANY ('{%s}'::pg_catalog.int4[]))", ids.data);
}

/* Does a united shape have members that set nothing?  Their rows stay as they are. */
bool
dbu_bulk_has_idle(DbuBulkCall *call, const DbuShape *shape)
{
	ListCell   *lc;

	foreach(lc, shape->members)
	{
		if (!dbu_bulk_sets_any(call, lfirst(lc)))
			return true;
	}
	return false;
}

/* The condition in SQL that a row is of such a member. */
char *
dbu_bulk_idle_sql(DbuBulkCall *call, const DbuShape *shape)
{
	return shape_condition(call, shape, -1);
}

/* value, or the old one for rows that do not supply it */
char *
dbu_bulk_united_value(DbuBulkCall *call, const DbuShape *shape, int position, char *value)
{
	ListCell   *lc;

	foreach(lc, shape->members)
	{
		if (dbu_bulk_sets_any(call, lfirst(lc)) && !dbu_bulk_sets(call, lfirst(lc), position))
			return psprintf("CASE WHEN %s THEN %s ELSE t.%s END", shape_condition(call, shape, position),
							value, call->columns[position]->quoted);
	}
	return value;
}
