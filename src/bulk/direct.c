/*-------------------------------------------------------------------------
 *
 * direct.c
 *	  Insert a batch without a statement: the tuples of many rows go into the
 *	  table at once (table_multi_insert), then each into the indexes.
 *
 * This is for plain tables where it is certain what an INSERT would do; all
 * else stays with INSERT, and dbu_bulk_not_direct() says why.  What must be
 * the same, and is:
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

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* Rows that are put into the table at once: as many as fill some pages, and not the CPU's caches. */
#define MAX_ROWS 1000
#define MAX_BYTES 65536

/* Where a column's value comes from. */
typedef struct Origin
{
	int			attr;			/* place in the batch's rows, from 0; -1: not there */
	ExprState  *expr;			/* its default; NULL: null */
	bool		once;			/* the same for all rows ... */
	bool		known;			/* ... and evaluated */
	Datum		value;
	bool		isnull;
} Origin;

typedef struct Direct
{
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *relinfo;
	BulkInsertState bulk;
	CommandId	cid;
	Origin	   *origins;		/* by attribute */
	ExprContext *defaults;		/* values of defaults, until the rows are in */
	TupleDesc	desc;			/* the table's; our own, so that slots do not count references */
	TupleTableSlot *given[MAX_ROWS];	/* rows of the batch, made as they are needed ... */
	TupleTableSlot *rows[MAX_ROWS]; /* ... and as they go into the table */
	int			nslots;
	int			nrows;
	Size		bytes;
	int64		ord;			/* of the row that is checked, 0: none */
} Direct;

/* ---------- may it be done? ---------- */

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
refused_by_triggers(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	if (triggers == NULL)
		return NULL;
	if (triggers->trig_insert_before_row || triggers->trig_insert_instead_row)
		return "triggers look at each row before it is written";
	if (triggers->trig_insert_new_table)
		return "triggers see a transition table";
	return NULL;
}

static const char *
refused_by_indexes(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	const char *result = NULL;
	ListCell   *lc;

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

/* Is the attribute supplied by rows of this shape? */
static int
supplied_position(const DbuBulkCall *call, const DbuShape *shape, AttrNumber attnum)
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
refused_by_columns(const DbuBulkCall *call, const DbuShape *shape, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Node	   *expr;

		if (att->attisdropped)
			continue;
		if (att->attgenerated != '\0')
			return "columns are generated";
		if (supplied_position(call, shape, att->attnum) >= 0)
			continue;
		expr = dbu_bulk_default_expression(rel, att->attnum);
		if (expr != NULL && contain_volatile_functions_not_nextval(expr))
			return "a default is volatile and may look at the table";
	}
	for (int i = 0; desc->constr != NULL && i < desc->constr->num_check; i++)
	{
		if (contain_volatile_functions(stringToNode(desc->constr->check[i].ccbin)))
			return "a check constraint is volatile and may look at the table";
	}
	return NULL;
}

static bool
has_insert_rule(Relation rel)
{
	for (int i = 0; rel->rd_rules != NULL && i < rel->rd_rules->numLocks; i++)
	{
		if (rel->rd_rules->rules[i]->event == CMD_INSERT)
			return true;
	}
	return false;
}

/* Why must rows of this shape go by INSERT?  NULL: they need not. */
const char *
dbu_bulk_not_direct(const DbuBulkCall *call, const DbuShape *shape, Relation rel)
{
	const char *result;

	if (dbu_bulk_route == DBU_ROUTE_SPI)
		return "dbutil.bulk_route says so";
	if (call->opt.dry_run)
		return "nothing is written";
	if (call->returns)
		return "rows are returned";
	if (call->batches != NULL)
		return "chunks are committed one by one";
	if (call->opt.on_conflict != DBU_CONFLICT_ERROR)
		return "ON CONFLICT takes each row by itself";
	if (rel->rd_rel->relkind != RELKIND_RELATION)
		return "the target is not a plain table";
	if (rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		return "the table's access method is another than heap";
	if (IsCatalogRelation(rel) || RELATION_IS_OTHER_TEMP(rel))
		return "only PostgreSQL itself may write to the target";
	if (check_enable_rls(RelationGetRelid(rel), InvalidOid, true) == RLS_ENABLED)
		return "policies apply to each row";
	if (has_insert_rule(rel))
		return "a rule makes something else of the statement";
	if ((result = refused_by_triggers(rel)) != NULL ||
		(result = refused_by_indexes(rel)) != NULL ||
		(result = refused_by_columns(call, shape, rel)) != NULL)
		return result;
	if (may_not_fit(rel))
		return "rows may be too large for a page";
	return NULL;
}

/* ---------- do it ---------- */

/* A range table as INSERT would have it, and the checks that go with it. */
static void
begin_checked(Direct *direct, DbuBulkCall *call, const DbuShape *shape)
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
	ExecOpenIndices(direct->relinfo, false);
}

static void
find_origins(Direct *direct, DbuBulkCall *call, const DbuShape *shape)
{
	direct->origins = palloc0(sizeof(Origin) * Max(direct->desc->natts, 1));
	for (int i = 0; i < direct->desc->natts; i++)
	{
		Origin	   *origin = &direct->origins[i];
		Form_pg_attribute att = TupleDescAttr(direct->desc, i);
		int			position = supplied_position(call, shape, att->attnum);
		Node	   *expr;

		origin->attr = position < 0 ? -1 : DBU_FEED_FIRST - 1 + position;
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
default_value(Direct *direct, Origin *origin, bool *isnull)
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

static void
fill_row(Direct *direct, TupleTableSlot *given, TupleTableSlot *row)
{
	slot_getallattrs(given);
	ExecClearTuple(row);
	for (int i = 0; i < direct->desc->natts; i++)
	{
		Origin	   *origin = &direct->origins[i];

		if (origin->attr >= 0)
		{
			row->tts_values[i] = given->tts_values[origin->attr];
			row->tts_isnull[i] = given->tts_isnull[origin->attr];
		}
		else
			row->tts_values[i] = default_value(direct, origin, &row->tts_isnull[i]);
	}
	ExecStoreVirtualTuple(row);
}

/* The rows gathered go into the table, then one by one through what INSERT does with a row. */
static void
put_rows(Direct *direct)
{
	EState	   *estate = direct->estate;
	ResultRelInfo *relinfo = direct->relinfo;
	bool		checked = direct->rel->rd_att->constr != NULL;
	bool		partition = direct->rel->rd_rel->relispartition;
	MemoryContext oldcxt;

	if (direct->nrows == 0)
		return;
	/* it may leave memory behind */
	oldcxt = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
	table_multi_insert(direct->rel, direct->rows, direct->nrows, direct->cid, 0, direct->bulk);
	MemoryContextSwitchTo(oldcxt);

	for (int i = 0; i < direct->nrows; i++)
	{
		TupleTableSlot *row = direct->rows[i];
		List	   *recheck = NIL;

		direct->ord = DatumGetInt64(direct->given[i]->tts_values[DBU_FEED_ORD - 1]);
		if (checked)
			ExecConstraints(relinfo, row, estate);
		if (partition)
			ExecPartitionCheck(relinfo, row, estate, true);
		if (relinfo->ri_NumIndices > 0)
			recheck = dbu_exec_insert_index_tuples(relinfo, row, estate);
		ExecARInsertTriggers(estate, relinfo, row, recheck, NULL);
		list_free(recheck);
		ExecClearTuple(row);
		ResetPerTupleExprContext(estate);
	}
	direct->ord = 0;
	direct->nrows = 0;
	direct->bytes = 0;
	ResetExprContext(direct->defaults);
}

static void
insert_rows(Direct *direct, DbuBulkCall *call, DbuBatch *batch)
{
	tuplestore_select_read_pointer(batch->store, 0);
	tuplestore_rescan(batch->store);
	for (;;)
	{
		TupleTableSlot *given;

		CHECK_FOR_INTERRUPTS();
		if (direct->nrows == direct->nslots)
		{
			direct->given[direct->nslots] = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);
			direct->rows[direct->nslots] = MakeSingleTupleTableSlot(direct->desc,
																	table_slot_callbacks(direct->rel));
			direct->nslots++;
		}
		/* its tuple stays until the slot is used again: in the store, or its own */
		given = direct->given[direct->nrows];
		if (!tuplestore_gettupleslot(batch->store, true, false, given))
			break;
		fill_row(direct, given, direct->rows[direct->nrows]);
		direct->bytes += ((MinimalTupleTableSlot *) given)->mintuple->t_len;
		if (++direct->nrows == MAX_ROWS || direct->bytes > MAX_BYTES)
			put_rows(direct);
	}
	put_rows(direct);
}

static void
errcontext_row(void *arg)
{
	const Direct *direct = arg;

	if (direct->ord > 0)
		errcontext("row " INT64_FORMAT " of the rows given", direct->ord);
}

static void
insert_batch(DbuBulkCall *call, DbuBatch *batch, Relation rel)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	Direct	   *direct;
	EState	   *estate = CreateExecutorState();
	ErrorContextCallback context;

	MemoryContextSwitchTo(estate->es_query_cxt);
	direct = palloc0(sizeof(Direct));
	direct->rel = rel;
	direct->estate = estate;
	context.callback = errcontext_row;
	context.arg = direct;
	context.previous = error_context_stack;
	error_context_stack = &context;

	/* as SPI does around a statement that writes */
	PushActiveSnapshot(GetTransactionSnapshot());
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	direct->cid = GetCurrentCommandId(true);
	estate->es_output_cid = direct->cid;
	estate->es_snapshot = GetActiveSnapshot();

	begin_checked(direct, call, batch->shape);
	direct->desc = CreateTupleDescCopy(RelationGetDescr(rel));
	direct->defaults = CreateExprContext(estate);
	find_origins(direct, call, batch->shape);
	direct->bulk = GetBulkInsertState();

	AfterTriggerBeginQuery();
	ExecBSInsertTriggers(estate, direct->relinfo);
	insert_rows(direct, call, batch);
	FreeBulkInsertState(direct->bulk);
	ExecASInsertTriggers(estate, direct->relinfo, NULL);
	AfterTriggerEndQuery(estate);
	table_finish_bulk_insert(rel, 0);

	for (int i = 0; i < direct->nslots; i++)
	{
		ExecDropSingleTupleTableSlot(direct->given[i]);
		ExecDropSingleTupleTableSlot(direct->rows[i]);
	}
	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecCloseResultRelations(estate);
	ExecCloseRangeTableRelations(estate);
	error_context_stack = context.previous;
	MemoryContextSwitchTo(oldcxt);
	FreeExecutorState(estate);
	PopActiveSnapshot();
	CommandCounterIncrement();
}

/* Insert the batch if that may be done; false: nothing was. */
bool
dbu_bulk_direct(DbuBulkCall *call, DbuBatch *batch)
{
	Relation	rel;
	const char *why = NULL;

	if (dbu_bulk_route == DBU_ROUTE_SPI || call->target->relkind != RELKIND_RELATION)
	{
		/* without its lock: only what does not depend on it is asked */
		call->not_direct = dbu_bulk_route == DBU_ROUTE_SPI ? "dbutil.bulk_route says so"
			: "the target is not a plain table";
		return false;
	}
	/* INSERT takes the same lock; what follows is true until the end of the transaction */
	rel = table_open(call->target->relid, RowExclusiveLock);
	why = dbu_bulk_not_direct(call, batch->shape, rel);
	if (why == NULL)
	{
		insert_batch(call, batch, rel);
		call->direct_batches++;
	}
	else
		call->not_direct = why;
	table_close(rel, NoLock);
	return why == NULL;
}
