/*-------------------------------------------------------------------------
 *
 * direct_refuse.c
 *	  Which inserts have to go by a statement, and why: see direct.c for what
 *	  must be the same without one.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/direct.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

/* May a tuple of the table be too large for a page, whatever is moved to its TOAST table? */
static bool
may_not_fit(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Size		size = SizeofHeapTupleHeader + BITMAPLEN(desc->natts) + MAXIMUM_ALIGNOF;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		if (att->attlen > 0)
			size += att->attlen + MAXIMUM_ALIGNOF - 1;
		else if (att->attlen == -1 && att->attstorage != TYPSTORAGE_PLAIN)
			size += TOAST_POINTER_SIZE + MAXIMUM_ALIGNOF - 1;
		else
			return true;
	}
	return size > MaxHeapTupleSize;
}

static const char *
refused_by_triggers(const DbuBulkCall *call, Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	if (triggers == NULL)
		return NULL;
	if (triggers->trig_insert_before_statement && dbu_bulk_direct_needs_guard(call))
		return "triggers fire before the statement, which may have to begin again";
	if (triggers->trig_insert_before_row || triggers->trig_insert_instead_row)
		return "triggers look at each row before it is written";
	if (triggers->trig_insert_new_table)
		return "triggers see a transition table";
	return NULL;
}

/* INSERT has an error of its own for an index that cannot say at once whether there is a conflict. */
static const char *
refused_by_indexes(const DbuBulkCall *call, Relation rel)
{
	List	   *indexes;
	const char *result = NULL;
	ListCell   *lc;

	if (call->opt.on_conflict == DBU_CONFLICT_ERROR)
		return NULL;
	indexes = RelationGetIndexList(rel);
	foreach(lc, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (HeapTupleIsValid(tuple))
		{
			if (!((Form_pg_index) GETSTRUCT(tuple))->indimmediate)
				result = "a unique constraint is deferrable";
			ReleaseSysCache(tuple);
		}
	}
	list_free(indexes);
	return result;
}

/* Why does this call go by INSERT, whatever the table is like?  It needs no look at it. */
const char *
dbu_bulk_call_not_direct(const DbuBulkCall *call)
{
	if (dbu_bulk_route == DBU_ROUTE_SPI)
		return "dbutil.bulk_route says so";
	if (call->opt.dry_run)
		return "nothing is written";
	if (call->target->relkind != RELKIND_RELATION && call->target->relkind != RELKIND_PARTITIONED_TABLE)
		return "the target is not a table";
	if (call->leaf_refused != NULL)
		return call->leaf_refused;
	if (call->opt.on_conflict == DBU_CONFLICT_ERROR)
		return NULL;
	if (call->opt.on_conflict != DBU_CONFLICT_NOTHING)
		return "ON CONFLICT DO UPDATE takes each row by itself";
	if (IsolationUsesXactSnapshot())
		return "a conflict with a row that the transaction cannot see is an error";
	if (call->met_conflicts)
		return "rows came into conflict while they were written";
	return NULL;
}

/* The position of the attribute among what rows of this shape supply; -1: they do not. */
int
dbu_bulk_supplied_position(const DbuBulkCall *call, const DbuShape *shape, AttrNumber attnum)
{
	int			position = -1;

	while ((position = bms_next_member(shape->present, position)) >= 0)
	{
		if (call->columns[position]->attnum == attnum)
			return position;
	}
	return -1;
}

static const char *
refused_by_checks(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; desc->constr != NULL && i < desc->constr->num_check; i++)
	{
		if (contain_volatile_functions(stringToNode(desc->constr->check[i].ccbin)))
			return "a check constraint is volatile and may look at the table";
	}
	return NULL;
}

static const char *
refused_by_columns(const DbuBulkCall *call, const DbuShape *shape, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Node	   *expr;

		if (att->attisdropped || att->attgenerated == ATTRIBUTE_GENERATED_STORED)
			continue;
		if (att->attgenerated != '\0')
			return "columns are generated when they are read";
		if (dbu_bulk_supplied_position(call, shape, att->attnum) >= 0)
			continue;
		expr = dbu_bulk_default_expression(rel, att->attnum);
		if (expr != NULL && contain_volatile_functions_not_nextval(expr))
			return "a default is volatile and may look at the table";
	}
	return NULL;
}

/* ON CONFLICT is refused for rules that fire on UPDATE, too. */
static bool
has_rule(const DbuBulkCall *call, Relation rel)
{
	for (int i = 0; rel->rd_rules != NULL && i < rel->rd_rules->numLocks; i++)
	{
		CmdType		event = rel->rd_rules->rules[i]->event;

		if (event == CMD_INSERT || (event == CMD_UPDATE && call->opt.on_conflict != DBU_CONFLICT_ERROR))
			return true;
	}
	return false;
}

/* What a table must be like that rows go into, be it the target or a partition of it. */
const char *
dbu_bulk_leaf_not_direct(const DbuBulkCall *call, Relation rel)
{
	const char *result;

	if (rel->rd_rel->relkind != RELKIND_RELATION)
		return "it is not a plain table";
	if (rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		return "the table's access method is another than heap";
	if (IsCatalogRelation(rel) || RELATION_IS_OTHER_TEMP(rel))
		return "only PostgreSQL itself may write to the target";
	if ((result = refused_by_triggers(call, rel)) != NULL ||
		(result = refused_by_indexes(call, rel)) != NULL ||
		(result = refused_by_checks(rel)) != NULL)
		return result;
	if (may_not_fit(rel))
		return "rows may be too large for a page";
	return NULL;
}

/*
 * Why must rows of this shape go by INSERT into rel, the target?  NULL: they
 * need not, as far as it is not partitioned.
 */
const char *
dbu_bulk_not_direct(const DbuBulkCall *call, const DbuShape *shape, Relation rel)
{
	const char *result;

	if (check_enable_rls(RelationGetRelid(rel), InvalidOid, true) == RLS_ENABLED)
		return "policies apply to each row";
	if (has_rule(call, rel))
		return "a rule makes something else of the statement";
	if ((result = refused_by_columns(call, shape, rel)) != NULL)
		return result;
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return dbu_bulk_leaf_not_direct(call, rel);
	if ((result = refused_by_triggers(call, rel)) != NULL)
		return result;
	return refused_by_indexes(call, rel);
}
