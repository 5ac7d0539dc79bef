/*-------------------------------------------------------------------------
 *
 * direct.c
 *	  Insert rows without a statement: the tuples of many rows go into a table
 *	  at once (table_multi_insert), then each into the indexes.
 *
 * This is for tables where it is certain what an INSERT would do; all else
 * stays with INSERT, and direct_refuse.c says why.  What must be the same, and
 * is:
 *
 *		errors	Rows are checked in their order, each just before its index
 *				entries are made, so the first bad row of the input is the one
 *				that is told.  That its tuple is in the table by then harms
 *				nothing: the error takes it back.  What fails while tuples are
 *				made, before their turn, has the whole batch taken back and left
 *				to INSERT (direct_guard.c); rows that may not fit into a page are
 *				refused.
 *		triggers	AFTER triggers, foreign keys and deferrable unique constraints
 *				among them, are queued row by row and fire when the batch ends,
 *				as at the end of a statement.
 *		visibility	Nothing that runs between two rows may look at the table, since
 *				rows before it may still be waiting: volatile defaults and
 *				checks are refused, BEFORE triggers as well.
 *		counted	Those who count statements are told of a nested one.
 *		rights	The same check of privileges, with its hook, for the same columns.
 *
 * With ON CONFLICT DO NOTHING what may be in a row's way is looked for before
 * the rows in front of it are in the indexes; what comes up later than that has
 * the batch taken back as well.  Before its turn a row is also checked then,
 * where no more than the size of an index entry can be wrong.
 *
 * A sequence is asked for all rows that are put together at once: if one of
 * them fails, it may have given away more numbers than an INSERT would have
 * taken.
 *
 * Nothing outlives a batch, so that one that fails in a subtransaction leaves
 * nothing behind, and DDL between batches (a source may run it) is noticed.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/direct.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

static Bitmapset *
add_column(Bitmapset *columns, AttrNumber attnum)
{
	return bms_add_member(columns, attnum - FirstLowInvalidHeapAttributeNumber);
}

/* What RETURNING reads, and ON CONFLICT with a target. */
static Bitmapset *
columns_read(const DbuBulkCall *call)
{
	Bitmapset  *columns = NULL;

	for (int i = 0; call->returns && i < call->target->ncolumns; i++)
		columns = add_column(columns, call->target->columns[i].attnum);
	if (call->opt.on_conflict != DBU_CONFLICT_NOTHING)
		return columns;
	for (int k = 0; call->opt.conflict_columns != NIL && k < call->key->ncolumns; k++)
		columns = add_column(columns, call->key->columns[k]->attnum);
	if (call->opt.conflict_constraint != NULL)
	{
		Oid			constraint;

		columns = bms_add_members(columns, get_relation_constraint_attnos(call->target->relid,
																		  call->opt.conflict_constraint,
																		  false, &constraint));
	}
	return columns;
}

/* A range table as INSERT would have it, and the checks that go with it. */
static void
begin_checked(DbuDirect *direct, DbuBulkCall *call, const DbuShape *shape)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	List	   *permissions = NIL;
	Bitmapset  *columns = NULL;
	int			position = -1;

	while ((position = bms_next_member(shape->present, position)) >= 0)
		columns = add_column(columns, call->columns[position]->attnum);
	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(direct->rel);
	rte->relkind = direct->rel->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
	dbu_ask_insert(rte, &permissions, columns, columns_read(call));

	if (!direct->rel->rd_islocaltemp)
		PreventCommandIfReadOnly("INSERT");
	PreventCommandIfParallelMode("INSERT");
	dbu_exec_check_permissions(list_make1(rte), permissions);

	dbu_exec_init_range_table(direct->estate, list_make1(rte), permissions);
	direct->relinfo = makeNode(ResultRelInfo);
	ExecInitResultRelation(direct->estate, direct->relinfo, 1);
	ExecOpenIndices(direct->relinfo, direct->nothing);
}

static void
find_origins(DbuDirect *direct, DbuBulkCall *call, const DbuShape *shape)
{
	direct->origins = palloc0(sizeof(DbuOrigin) * Max(direct->desc->natts, 1));
	for (int i = 0; i < direct->desc->natts; i++)
	{
		DbuOrigin  *origin = &direct->origins[i];
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(direct->rel), i);
		int			position = dbu_bulk_supplied_position(call, shape, att->attnum);
		Node	   *expr;

		origin->position = position;
		if (att->attisdropped || att->attgenerated != '\0' || position >= 0)
			continue;
		expr = dbu_bulk_default_expression(direct->rel, att->attnum);
		if (expr == NULL)
			continue;
		origin->expr = ExecInitExpr((Expr *) expr, NULL);
		origin->once = !contain_volatile_functions(expr);
	}
}

static Datum
default_value(DbuDirect *direct, DbuOrigin *origin, bool *isnull)
{
	Datum		value = (Datum) 0;

	if (origin->known)
	{
		*isnull = origin->isnull;
		return origin->value;
	}
	*isnull = true;
	if (origin->expr == NULL)
		return value;
	if (origin->once)
	{
		/* in the batch's context, to be kept */
		value = ExecEvalExpr(origin->expr, direct->defaults, isnull);
		origin->known = true;
		origin->value = value;
		origin->isnull = *isnull;
		return value;
	}
	return ExecEvalExprSwitchContext(origin->expr, direct->defaults, isnull);
}

/* All columns of the target, but for those that are generated, into a slot that does not own them. */
static void
fill_row(DbuDirect *direct, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	for (int i = 0; i < direct->desc->natts; i++)
	{
		DbuOrigin  *origin = &direct->origins[i];

		if (origin->position >= 0)
		{
			slot->tts_values[i] = direct->values[origin->position];
			slot->tts_isnull[i] = direct->nulls[origin->position];
		}
		else
			slot->tts_values[i] = default_value(direct, origin, &slot->tts_isnull[i]);
	}
	ExecStoreVirtualTuple(slot);
}

/*
 * Begin to insert rows of a shape; NULL: they have to go by a statement.
 * arbiters: indexes that ON CONFLICT DO NOTHING looks at, NIL: all of them.
 * All of it lives below the current memory context.  Nothing else may be begun
 * by the call until it has ended; an error ends it by itself.
 */
DbuDirect *
dbu_bulk_direct_begin(DbuBulkCall *call, DbuShape *shape, List *arbiters)
{
	Relation	rel;
	const char *why = dbu_bulk_call_not_direct(call);
	EState	   *estate;
	DbuDirect  *direct;
	MemoryContext oldcxt;

	if (why != NULL)
	{
		call->not_direct = why;
		return NULL;
	}
	/* INSERT takes the same lock; what follows is true until the end of the transaction */
	rel = table_open(call->target->relid, RowExclusiveLock);
	why = dbu_bulk_not_direct(call, shape, rel);
	if (why != NULL)
	{
		call->not_direct = why;
		table_close(rel, NoLock);
		return NULL;
	}

	estate = CreateExecutorState();
	oldcxt = MemoryContextSwitchTo(estate->es_query_cxt);
	direct = palloc0(sizeof(DbuDirect));
	direct->call = call;
	direct->shape = shape;
	direct->rel = rel;
	direct->estate = estate;
	direct->nothing = call->opt.on_conflict == DBU_CONFLICT_NOTHING;

	/* as SPI does around a statement that writes */
	PushActiveSnapshot(GetTransactionSnapshot());
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	direct->cid = GetCurrentCommandId(true);
	estate->es_output_cid = direct->cid;
	estate->es_snapshot = GetActiveSnapshot();

	begin_checked(direct, call, shape);
	direct->relinfo->ri_onConflictArbiterIndexes = list_copy(arbiters);
	direct->desc = CreateTupleDescCopy(RelationGetDescr(rel));
	direct->defaults = CreateExprContext(estate);
	find_origins(direct, call, shape);
	dbu_direct_open_leaves(direct);

	dbu_write_begin(&direct->write, CMD_INSERT, RelationGetRelid(rel));
	AfterTriggerBeginQuery();
	ExecBSInsertTriggers(estate, direct->relinfo);
	call->direct_batches++;
	MemoryContextSwitchTo(oldcxt);
	return direct;
}

/*
 * Insert a row: ord is its place in the input, values are by position.  false:
 * what was inserted has to be taken back, see refused.
 */
bool
dbu_bulk_direct_row(DbuDirect *direct, int64 ord, const Datum *values, const bool *nulls)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(direct->estate->es_query_cxt);
	bool		result;

	direct->values = values;
	direct->nulls = nulls;
	result = dbu_direct_gather(direct, ord, fill_row);
	ResetExprContext(direct->defaults);
	MemoryContextSwitchTo(oldcxt);
	return result;
}

/* The last rows go in; no row can be wrong after that, but for what triggers say. */
void
dbu_bulk_direct_flush(DbuDirect *direct)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(direct->estate->es_query_cxt);

	dbu_direct_put(direct);
	MemoryContextSwitchTo(oldcxt);
}

/* The end of the statement that there is not: triggers fire.  Answers how many rows were inserted. */
int64
dbu_bulk_direct_end(DbuDirect *direct)
{
	EState	   *estate = direct->estate;
	MemoryContext oldcxt;
	int64		inserted;

	dbu_bulk_direct_flush(direct);
	oldcxt = MemoryContextSwitchTo(estate->es_query_cxt);
	inserted = direct->inserted;
	ExecASInsertTriggers(estate, direct->relinfo, NULL);
	AfterTriggerEndQuery(estate);
	dbu_write_end(&direct->write,
				  direct->write.wanted != 0 ? dbu_bulk_insert_sql(direct->call, direct->shape) : NULL, inserted);

	dbu_direct_close_leaves(direct);
	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecCloseResultRelations(estate);
	ExecCloseRangeTableRelations(estate);
	table_close(direct->rel, NoLock);
	MemoryContextSwitchTo(oldcxt);
	FreeExecutorState(estate);
	PopActiveSnapshot();
	CommandCounterIncrement();
	return inserted;
}

bool
dbu_bulk_direct_is_for(const DbuDirect *direct, const DbuShape *shape)
{
	return direct->shape == shape;
}
