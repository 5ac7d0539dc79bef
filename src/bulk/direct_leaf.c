/*-------------------------------------------------------------------------
 *
 * direct_leaf.c
 *	  The tables that rows go into without a statement: the target itself, or
 *	  the partitions that the executor's routing finds for them.
 *
 * Rows are gathered over all tables, in the order of the input.  When enough of
 * them are there, each table gets its own at once (table_multi_insert); then
 * they are checked, put into the indexes and queued for triggers one by one, in
 * their order again.  So partitions change nothing in which row is the first
 * bad one, or in the order in which triggers fire.
 *
 * A partition is opened and locked when the first row gets there, as INSERT
 * does it.  Only then is known whether it can take rows this way.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/direct.h"

#include "access/table.h"
#include "access/tableam.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "utils/rel.h"

/* Beyond these, slots and pinned pages of all leaves are given back after the rows are put. */
#define MAX_SLOTS (4 * DBU_DIRECT_ROWS)
#define MAX_BULK 32

static DbuLeaf *
new_leaf(DbuDirect *direct, ResultRelInfo *relinfo)
{
	DbuLeaf    *leaf = palloc0(sizeof(DbuLeaf));

	leaf->relinfo = relinfo;
	leaf->rel = relinfo->ri_RelationDesc;
	leaf->desc = CreateTupleDescCopy(RelationGetDescr(leaf->rel));
	leaf->generates = leaf->rel->rd_att->constr != NULL && leaf->rel->rd_att->constr->has_generated_stored;
	if (direct->nothing)
		leaf->probes = dbu_direct_open_probes(leaf);
	direct->leaves = lappend(direct->leaves, leaf);
	return leaf;
}

/* Into the target itself, or through it into its partitions.  In the query's context. */
void
dbu_direct_open_leaves(DbuDirect *direct)
{
	ModifyTable *plan;

	if (direct->rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
	{
		new_leaf(direct, direct->relinfo);
		return;
	}
	direct->routing = makeNode(ModifyTableState);
	direct->routing->ps.state = direct->estate;
	direct->routing->operation = CMD_INSERT;
	direct->routing->mt_nrels = 1;
	direct->routing->resultRelInfo = direct->relinfo;
	direct->routing->rootResultRelInfo = direct->relinfo;
	if (direct->nothing)
	{
		/* partitions are to be made ready for it, and for what may conflict there */
		plan = makeNode(ModifyTable);
		plan->operation = CMD_INSERT;
		plan->onConflictAction = ONCONFLICT_NOTHING;
		direct->routing->ps.plan = (Plan *) plan;
	}
	direct->route = ExecSetupPartitionTupleRouting(direct->estate, direct->rel);
	direct->routed = MakeSingleTupleTableSlot(direct->desc, &TTSOpsVirtual);
}

/*
 * The leaf of a partition; NULL: it cannot take rows this way.  COPY keeps what
 * it knows of a partition in its ResultRelInfo, and so is it done here.
 */
static DbuLeaf *
leaf_of_partition(DbuDirect *direct, ResultRelInfo *relinfo)
{
	DbuLeaf    *leaf = (DbuLeaf *) relinfo->ri_CopyMultiInsertBuffer;
	const char *why;

	if (leaf != NULL)
		return leaf;
	why = dbu_bulk_leaf_not_direct(direct->call, relinfo->ri_RelationDesc);
	if (why != NULL)
	{
		direct->refused = MemoryContextStrdup(direct->call->mcxt,
											  psprintf("partition \"%s\": %s",
													   RelationGetRelationName(relinfo->ri_RelationDesc), why));
		return NULL;
	}
	leaf = new_leaf(direct, relinfo);
	leaf->map = dbu_root_to_child_map(relinfo, direct->estate);
	leaf->routed = true;
	relinfo->ri_CopyMultiInsertBuffer = (struct CopyMultiInsertBuffer *) leaf;
	return leaf;
}

static TupleTableSlot *
next_slot(DbuDirect *direct, DbuLeaf *leaf)
{
	if (leaf->nrows == leaf->max_slots)
	{
		leaf->max_slots = Max(leaf->max_slots * 2, 16);
		leaf->slots = leaf->slots == NULL ? palloc(sizeof(TupleTableSlot *) * leaf->max_slots)
			: repalloc(leaf->slots, sizeof(TupleTableSlot *) * leaf->max_slots);
	}
	if (leaf->nrows == leaf->nslots)
	{
		leaf->slots[leaf->nslots++] = MakeSingleTupleTableSlot(leaf->desc, table_slot_callbacks(leaf->rel));
		direct->nslots++;
	}
	return leaf->slots[leaf->nrows];
}

/* The row that fill puts into a slot, with all its columns, as a tuple of the leaf that it belongs to. */
static TupleTableSlot *
make_tuple(DbuDirect *direct, void (*fill) (DbuDirect *direct, TupleTableSlot *slot), DbuLeaf **leaf)
{
	TupleTableSlot *slot;

	if (direct->route == NULL)
	{
		*leaf = linitial(direct->leaves);
		slot = next_slot(direct, *leaf);
		fill(direct, slot);
	}
	else
	{
		fill(direct, direct->routed);
		*leaf = leaf_of_partition(direct, ExecFindPartition(direct->routing, direct->relinfo, direct->route,
															direct->routed, direct->estate));
		if (*leaf == NULL)
			return NULL;
		slot = next_slot(direct, *leaf);
		if ((*leaf)->map != NULL)
			execute_attr_map_slot((*leaf)->map->attrMap, direct->routed, slot);
		else
			ExecCopySlot(slot, direct->routed);
	}
	if ((*leaf)->generates)
	{
		slot->tts_tableOid = RelationGetRelid((*leaf)->rel);
		ExecComputeStoredGenerated((*leaf)->relinfo, direct->estate, slot, CMD_INSERT);
	}
	ExecMaterializeSlot(slot);
	return slot;
}

static void
errcontext_row(void *arg)
{
	const DbuDirect *direct = arg;

	if (direct->ord > 0)
		errcontext("row " INT64_FORMAT " of the rows given", direct->ord);
}

static void
check_row(DbuDirect *direct, const DbuLeaf *leaf, TupleTableSlot *row)
{
	if (leaf->rel->rd_att->constr != NULL)
		ExecConstraints(leaf->relinfo, row, direct->estate);
	if (!leaf->routed && leaf->rel->rd_rel->relispartition)
		ExecPartitionCheck(leaf->relinfo, row, direct->estate, true);
}

/*
 * ON CONFLICT DO NOTHING: is there no row in the way?  As in an INSERT the
 * constraints come first, and a row that another session is about to insert is
 * waited for.
 */
static bool
may_go(DbuDirect *direct, DbuLeaf *leaf, TupleTableSlot *row)
{
	DbuInTheWay what = DBU_UNDECIDED;
	ItemPointerData conflict;

	row->tts_tableOid = RelationGetRelid(leaf->rel);
	check_row(direct, leaf, row);
	if (leaf->probes != NULL)
		what = dbu_direct_probe(leaf->probes, row);
	if (what != DBU_UNDECIDED)
		return what == DBU_NOTHING;
	return leaf->relinfo->ri_NumIndices == 0 ||
		dbu_exec_check_index_constraints(leaf->relinfo, row, direct->estate, &conflict,
										 leaf->relinfo->ri_onConflictArbiterIndexes);
}

/*
 * A row, which fill makes; ord is its place in the input.  false: it may not go
 * this way, and neither may those before it.
 */
bool
dbu_direct_gather(DbuDirect *direct, int64 ord, void (*fill) (DbuDirect *direct, TupleTableSlot *slot))
{
	ErrorContextCallback context = {.callback = errcontext_row,.arg = direct,.previous = error_context_stack};
	TupleTableSlot *slot;
	DbuLeaf    *leaf;
	bool		go = true;

	ResetPerTupleExprContext(direct->estate);
	error_context_stack = &context;
	direct->ord = ord;
	slot = make_tuple(direct, fill, &leaf);
	if (slot != NULL && direct->nothing)
		go = may_go(direct, leaf, slot);
	direct->ord = 0;
	error_context_stack = context.previous;
	if (slot == NULL)
		return false;
	if (!go)
	{
		dbu_bulk_returned(direct->call, ord, "conflict");
		ExecClearTuple(slot);
		return true;
	}
	direct->rows[direct->nrows].leaf = leaf;
	direct->rows[direct->nrows].slot = slot;
	direct->rows[direct->nrows].ord = ord;
	leaf->nrows++;
	direct->bytes += ((HeapTupleTableSlot *) slot)->tuple->t_len;
	if (++direct->nrows == DBU_DIRECT_ROWS || direct->bytes > DBU_DIRECT_BYTES)
		dbu_direct_put(direct);
	return true;
}

/* Slots and pinned pages, of which many partitions may have many. */
static void
give_back(DbuDirect *direct)
{
	ListCell   *lc;

	foreach(lc, direct->leaves)
	{
		DbuLeaf    *leaf = lfirst(lc);

		for (int i = 0; i < leaf->nslots; i++)
			ExecDropSingleTupleTableSlot(leaf->slots[i]);
		leaf->nslots = 0;
		if (leaf->bulk != NULL)
			FreeBulkInsertState(leaf->bulk);
		leaf->bulk = NULL;
	}
	direct->nslots = 0;
	direct->nbulk = 0;
}

/* RETURNING: the row as the target has it. */
static void
return_row(DbuDirect *direct, const DbuGathered *row)
{
	TupleConversionMap *map = row->leaf->routed ? ExecGetChildToRootMap(row->leaf->relinfo) : NULL;
	TupleTableSlot *slot = row->slot;

	if (map != NULL)
		slot = execute_attr_map_slot(map->attrMap, slot, direct->routed);
	slot_getallattrs(slot);
	dbu_bulk_returned_row(direct->call, row->ord, direct->desc, slot->tts_values, slot->tts_isnull);
}

/* One row through what INSERT does with it once it is in the table. */
static void
finish_row(DbuDirect *direct, const DbuGathered *row)
{
	EState	   *estate = direct->estate;
	ResultRelInfo *relinfo = row->leaf->relinfo;
	List	   *recheck = NIL;

	if (!direct->nothing)
		check_row(direct, row->leaf, row->slot);
	if (relinfo->ri_NumIndices > 0)
		recheck = dbu_exec_insert_index_tuples(relinfo, row->slot, estate);
	ExecARInsertTriggers(estate, relinfo, row->slot, recheck, NULL);
	list_free(recheck);
	if (direct->call->returns)
		return_row(direct, row);
	ExecClearTuple(row->slot);
	ResetPerTupleExprContext(estate);
}

/* The rows gathered go into their tables. */
void
dbu_direct_put(DbuDirect *direct)
{
	ErrorContextCallback context = {.callback = errcontext_row,.arg = direct,.previous = error_context_stack};
	MemoryContext oldcxt;
	ListCell   *lc;

	if (direct->nrows == 0)
		return;
	error_context_stack = &context;
	foreach(lc, direct->leaves)
	{
		DbuLeaf    *leaf = lfirst(lc);

		if (leaf->nrows == 0)
			continue;
		if (leaf->bulk == NULL)
		{
			leaf->bulk = GetBulkInsertState();
			direct->nbulk++;
		}
		/* it may leave memory behind */
		oldcxt = MemoryContextSwitchTo(GetPerTupleMemoryContext(direct->estate));
		table_multi_insert(leaf->rel, leaf->slots, leaf->nrows, direct->cid, 0, leaf->bulk);
		MemoryContextSwitchTo(oldcxt);
		leaf->nrows = 0;
		if (leaf->probes != NULL)
			dbu_direct_forget_probes(leaf->probes);
	}
	for (int i = 0; i < direct->nrows; i++)
	{
		direct->ord = direct->rows[i].ord;
		finish_row(direct, &direct->rows[i]);
	}
	error_context_stack = context.previous;
	direct->ord = 0;
	direct->inserted += direct->nrows;
	direct->nrows = 0;
	direct->bytes = 0;
	if (direct->nslots > MAX_SLOTS || direct->nbulk > MAX_BULK)
		give_back(direct);
}

/* After the triggers: these look at the tables once more. */
void
dbu_direct_close_leaves(DbuDirect *direct)
{
	ListCell   *lc;

	give_back(direct);
	foreach(lc, direct->leaves)
	{
		DbuLeaf    *leaf = lfirst(lc);

		table_finish_bulk_insert(leaf->rel, 0);
		if (leaf->probes != NULL)
			dbu_direct_close_probes(leaf->probes);
	}
	if (direct->route != NULL)
	{
		ExecDropSingleTupleTableSlot(direct->routed);
		ExecCleanupTupleRouting(direct->routing, direct->route);
	}
}
