/*-------------------------------------------------------------------------
 *
 * direct.c
 *	  Insert a batch without a statement: the tuples of many rows go into the
 *	  table at once (table_multi_insert), then each into the indexes.
 *
 * This is for plain tables where it is certain what an INSERT would do; all
 * else stays with INSERT, and direct_refuse.c says why.  What must be the same,
 * and is:
 *
 *		errors	Rows are checked in their order, each just before its index
 *				entries are made, so the first bad row of the input is the one
 *				that is told.  That its tuple is in the table by then harms
 *				nothing: the error takes it back.  What would fail while tuples
 *				are made, before their turn, is refused: generated columns, rows
 *				that may not fit into a page.
 *		triggers	AFTER triggers, foreign keys among them, are queued row by row
 *				and fire when the batch ends, as at the end of a statement.
 *		visibility	Nothing that runs between two rows may look at the table, since
 *				rows before it may still be waiting: volatile defaults and
 *				checks are refused, BEFORE triggers as well.
 *		rights	The same check of privileges, with its hook, for the same columns.
 *
 * With ON CONFLICT DO NOTHING every unique index is one that a row may conflict
 * with, so looking there beforehand finds all there is (see insert_or_nothing
 * for what comes later); it also checks a row before the ones in front of it are
 * in the indexes, where no more than the size of an entry can be wrong.
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
#include "bulk/bulk.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* Rows that are put into the table at once: as many as fill some pages, and not the CPU's caches. */
#define MAX_ROWS 1000
#define MAX_BYTES 65536

/* Where a column's value comes from. */
typedef struct Origin
{
	int			position;		/* among the columns of the rows; -1: not there */
	ExprState  *expr;			/* its default; NULL: null */
	bool		once;			/* the same for all rows ... */
	bool		known;			/* ... and evaluated */
	Datum		value;
	bool		isnull;
} Origin;

struct DbuDirect
{
	DbuBulkCall *call;
	DbuShape   *shape;			/* of all its rows */
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *relinfo;
	BulkInsertState bulk;
	CommandId	cid;
	Origin	   *origins;		/* by attribute */
	ExprContext *defaults;		/* values of a row's defaults */
	TupleDesc	desc;			/* the table's; our own, so that slots do not count references */
	TupleTableSlot *rows[MAX_ROWS]; /* made as they are needed, each with a tuple of its own */
	int64		ords[MAX_ROWS];
	int			nslots;
	int			nrows;
	Size		bytes;
	bool		nothing;		/* rows that would conflict are left out */
	int64		inserted;
	int64		ord;			/* of the row that is checked, 0: none */
};

/* A range table as INSERT would have it, and the checks that go with it. */
static void
begin_checked(DbuDirect *direct, DbuBulkCall *call, const DbuShape *shape)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	List	   *permissions = NIL;
	Bitmapset  *columns = NULL;
	int			position = -1;

	while ((position = bms_next_member(shape->present, position)) >= 0)
		columns = bms_add_member(columns,
								 call->columns[position]->attnum - FirstLowInvalidHeapAttributeNumber);
	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(direct->rel);
	rte->relkind = direct->rel->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
	dbu_ask_insert(rte, &permissions, columns);

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
	direct->origins = palloc0(sizeof(Origin) * Max(direct->desc->natts, 1));
	for (int i = 0; i < direct->desc->natts; i++)
	{
		Origin	   *origin = &direct->origins[i];
		Form_pg_attribute att = TupleDescAttr(direct->desc, i);
		int			position = dbu_bulk_supplied_position(call, shape, att->attnum);
		Node	   *expr;

		origin->position = position;
		if (att->attisdropped || position >= 0)
			continue;
		expr = dbu_bulk_default_expression(direct->rel, att->attnum);
		if (expr == NULL)
			continue;
		origin->expr = ExecInitExpr((Expr *) expr, NULL);
		origin->once = !contain_volatile_functions(expr);
	}
}

static Datum
default_value(DbuDirect *direct, Origin *origin, bool *isnull)
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

/* Values by position become a tuple of the table, which the slot owns. */
static void
fill_row(DbuDirect *direct, const Datum *values, const bool *nulls, TupleTableSlot *row)
{
	ExecClearTuple(row);
	for (int i = 0; i < direct->desc->natts; i++)
	{
		Origin	   *origin = &direct->origins[i];

		if (origin->position >= 0)
		{
			row->tts_values[i] = values[origin->position];
			row->tts_isnull[i] = nulls[origin->position];
		}
		else
			row->tts_values[i] = default_value(direct, origin, &row->tts_isnull[i]);
	}
	ExecStoreVirtualTuple(row);
	ExecMaterializeSlot(row);
	ResetExprContext(direct->defaults);
}

static void
errcontext_row(void *arg)
{
	const DbuDirect *direct = arg;

	if (direct->ord > 0)
		errcontext("row " INT64_FORMAT " of the rows given", direct->ord);
}

static void
check_row(DbuDirect *direct, TupleTableSlot *row)
{
	if (direct->rel->rd_att->constr != NULL)
		ExecConstraints(direct->relinfo, row, direct->estate);
	if (direct->rel->rd_rel->relispartition)
		ExecPartitionCheck(direct->relinfo, row, direct->estate, true);
}

/*
 * ON CONFLICT DO NOTHING: is there no row in the way?  As in an INSERT the
 * constraints come first, and a row that another session is about to insert is
 * waited for.
 */
static bool
may_go(DbuDirect *direct, TupleTableSlot *row, int64 ord)
{
	ErrorContextCallback context = {.callback = errcontext_row,.arg = direct,.previous = error_context_stack};
	ItemPointerData conflict;
	bool		result;

	error_context_stack = &context;
	direct->ord = ord;
	row->tts_tableOid = RelationGetRelid(direct->rel);
	check_row(direct, row);
	result = direct->relinfo->ri_NumIndices == 0 ||
		dbu_exec_check_index_constraints(direct->relinfo, row, direct->estate, &conflict, NIL);
	ResetPerTupleExprContext(direct->estate);
	direct->ord = 0;
	error_context_stack = context.previous;
	return result;
}

/* The rows gathered go into the table, then one by one through what INSERT does with a row. */
static void
put_rows(DbuDirect *direct)
{
	EState	   *estate = direct->estate;
	ResultRelInfo *relinfo = direct->relinfo;
	ErrorContextCallback context = {.callback = errcontext_row,.arg = direct,.previous = error_context_stack};
	MemoryContext oldcxt;

	if (direct->nrows == 0)
		return;
	error_context_stack = &context;
	/* it may leave memory behind */
	oldcxt = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
	table_multi_insert(direct->rel, direct->rows, direct->nrows, direct->cid, 0, direct->bulk);
	MemoryContextSwitchTo(oldcxt);

	for (int i = 0; i < direct->nrows; i++)
	{
		TupleTableSlot *row = direct->rows[i];
		List	   *recheck = NIL;

		direct->ord = direct->ords[i];
		if (!direct->nothing)
			check_row(direct, row);
		if (relinfo->ri_NumIndices > 0)
			recheck = dbu_exec_insert_index_tuples(relinfo, row, estate);
		ExecARInsertTriggers(estate, relinfo, row, recheck, NULL);
		list_free(recheck);
		ExecClearTuple(row);
		ResetPerTupleExprContext(estate);
	}
	error_context_stack = context.previous;
	direct->ord = 0;
	direct->inserted += direct->nrows;
	direct->nrows = 0;
	direct->bytes = 0;
}

/*
 * Begin to insert rows of a shape; NULL: they have to go by a statement.  All
 * of it lives below the current memory context.  Nothing else may be begun by
 * the call until it has ended; an error ends it by itself.
 */
DbuDirect *
dbu_bulk_direct_begin(DbuBulkCall *call, DbuShape *shape)
{
	Relation	rel;
	const char *why;
	EState	   *estate;
	DbuDirect  *direct;
	MemoryContext oldcxt;

	if (dbu_bulk_route == DBU_ROUTE_SPI || call->target->relkind != RELKIND_RELATION)
	{
		/* without its lock: only what does not depend on it is asked */
		call->not_direct = dbu_bulk_route == DBU_ROUTE_SPI ? "dbutil.bulk_route says so"
			: "the target is not a plain table";
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
	direct->desc = CreateTupleDescCopy(RelationGetDescr(rel));
	direct->defaults = CreateExprContext(estate);
	find_origins(direct, call, shape);
	direct->bulk = GetBulkInsertState();

	AfterTriggerBeginQuery();
	ExecBSInsertTriggers(estate, direct->relinfo);
	call->direct_batches++;
	MemoryContextSwitchTo(oldcxt);
	return direct;
}

/* Insert a row: ord is its place in the input, values are by position. */
void
dbu_bulk_direct_row(DbuDirect *direct, int64 ord, const Datum *values, const bool *nulls)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(direct->estate->es_query_cxt);
	TupleTableSlot *row;

	if (direct->nrows == direct->nslots)
		direct->rows[direct->nslots++] = MakeSingleTupleTableSlot(direct->desc,
																  table_slot_callbacks(direct->rel));
	row = direct->rows[direct->nrows];
	fill_row(direct, values, nulls, row);
	if (direct->nothing && !may_go(direct, row, ord))
	{
		ExecClearTuple(row);
		MemoryContextSwitchTo(oldcxt);
		return;
	}
	direct->ords[direct->nrows] = ord;
	direct->bytes += ((HeapTupleTableSlot *) row)->tuple->t_len;
	if (++direct->nrows == MAX_ROWS || direct->bytes > MAX_BYTES)
		put_rows(direct);
	MemoryContextSwitchTo(oldcxt);
}

/* The end of the statement that there is not: triggers fire.  Answers how many rows were inserted. */
int64
dbu_bulk_direct_end(DbuDirect *direct)
{
	EState	   *estate = direct->estate;
	MemoryContext oldcxt = MemoryContextSwitchTo(estate->es_query_cxt);
	int64		inserted;

	put_rows(direct);
	inserted = direct->inserted;
	FreeBulkInsertState(direct->bulk);
	ExecASInsertTriggers(estate, direct->relinfo, NULL);
	AfterTriggerEndQuery(estate);
	table_finish_bulk_insert(direct->rel, 0);

	for (int i = 0; i < direct->nslots; i++)
		ExecDropSingleTupleTableSlot(direct->rows[i]);
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

/* Insert the batch if that may be done; false: nothing was.  inserted: how many of its rows. */
static bool
insert_batch(DbuBulkCall *call, DbuBatch *batch, int64 *inserted)
{
	DbuDirect  *direct = dbu_bulk_direct_begin(call, batch->shape);
	TupleTableSlot *slot;

	if (direct == NULL)
		return false;
	slot = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);
	tuplestore_select_read_pointer(batch->store, 0);
	tuplestore_rescan(batch->store);
	while (tuplestore_gettupleslot(batch->store, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		dbu_bulk_direct_row(direct, DatumGetInt64(slot->tts_values[DBU_FEED_ORD - 1]),
							slot->tts_values + DBU_FEED_FIRST - 1, slot->tts_isnull + DBU_FEED_FIRST - 1);
	}
	ExecDropSingleTupleTableSlot(slot);
	*inserted = dbu_bulk_direct_end(direct);
	return true;
}

/*
 * ON CONFLICT DO NOTHING.  What is in the way is looked for before rows go into
 * the table, so they can go without the marks of a speculative insertion.  A
 * row that comes into the way after that, from another session or from the same
 * batch, is a unique violation: then the batch is taken back, and left to
 * INSERT.  So it needs a subtransaction.
 */
static bool
insert_or_nothing(DbuBulkCall *call, DbuBatch *batch, int64 *inserted)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int64		batches = call->direct_batches;
	volatile bool done = false;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		MemoryContextSwitchTo(call->slice_mcxt);
		done = insert_batch(call, batch, inserted);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(call->slice_mcxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(oldcxt);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION && error->sqlerrcode != ERRCODE_EXCLUSION_VIOLATION)
			ReThrowError(error);
		call->direct_batches = batches;
		call->met_conflicts = true;
		call->not_direct = dbu_bulk_conflict_not_direct(call);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(oldcxt);
	CurrentResourceOwner = owner;
	return done;
}

bool
dbu_bulk_direct(DbuBulkCall *call, DbuBatch *batch, int64 *inserted)
{
	/* no subtransaction where nothing will come of it */
	if (call->opt.on_conflict == DBU_CONFLICT_NOTHING && dbu_bulk_route == DBU_ROUTE_AUTO &&
		call->target->relkind == RELKIND_RELATION && dbu_bulk_conflict_not_direct(call) == NULL)
		return insert_or_nothing(call, batch, inserted);
	return insert_batch(call, batch, inserted);
}
