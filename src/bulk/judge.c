/*-------------------------------------------------------------------------
 *
 * judge.c
 *	  Find the rows of a batch that PostgreSQL would refuse, before they are
 *	  written: NOT NULL and CHECK here, unique and exclusion constraints in
 *	  judge_unique.c, foreign keys in judge_foreign.c.
 *
 * A row that updates another one is judged with it (judge_update.c).  Each row
 * to insert is completed as INSERT would complete it: defaults that
 * are the same for all rows, then generated columns.  What only the write will
 * know, such as numbers from a sequence, stays unknown, and whatever depends on
 * it is not judged.  Nor is anything judged where a trigger, rule or policy may
 * change or keep out the row, or where the target is no table.  Judging need
 * not find all bad rows: what is left is found by searching (attempt.c).
 *
 * An error in an expression, such as a division by zero in a CHECK, is the
 * row's own; so expressions run under the guard (reject.c).
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/judge.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* A value in "Failing row contains" is cut to as many bytes. */
#define MAX_SHOWN 64

/* Will what is written be what the rows say? */
static bool
can_judge(const DbuBulkCall *call, const DbuBatch *batch, Relation rel)
{
	if (call->op != DBU_BULK_INSERT)
		return dbu_bulk_judge_update_can(call, batch, rel);
	if (call->target->row_security || call->target->has_rule[DBU_BULK_INSERT])
		return false;
	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	return rel->trigdesc == NULL || !rel->trigdesc->trig_insert_before_row;
}

/* Does the expression of the target's columns depend on what is unknown? */
static bool
depends_on_unknown(const DbuJudge *judge, Node *expr)
{
	Bitmapset  *used = NULL;
	int			attnum = -1;

	pull_varattnos(expr, 1, &used);
	/* a whole row, or a system column */
	if (bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used) && judge->unknown != NULL)
		return true;
	while ((attnum = bms_next_member(judge->unknown, attnum)) >= 0)
	{
		if (bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, used))
			return true;
	}
	return contain_volatile_functions(expr);
}

/* ---------- completing rows ---------- */

static bool
supplied(const DbuJudge *judge, int attnum)
{
	const DbuBulkCall *call = judge->call;
	int			position = -1;

	while ((position = bms_next_member(judge->batch->shape->present, position)) >= 0)
	{
		if (call->columns[position]->attnum == attnum)
			return true;
	}
	return false;
}

/* A column that rows do not supply: its default if it is the same for all, or unknown. */
static void
prepare_default(DbuJudge *judge, Form_pg_attribute att)
{
	Node	   *expr = build_column_default(judge->rel, att->attnum);
	int			i = att->attnum - 1;

	judge->default_nulls[i] = true;
	if (expr != NULL)
		expr = (Node *) expression_planner((Expr *) expr);
	if (att->attidentity != '\0' || (expr != NULL && contain_volatile_functions(expr)))
		judge->unknown = bms_add_member(judge->unknown, att->attnum);
	else if (expr != NULL)
		judge->defaults[i] = ExecEvalExpr(ExecInitExpr((Expr *) expr, NULL),
										  CreateExprContext(judge->estate), &judge->default_nulls[i]);
}

static void
prepare_columns(DbuJudge *judge)
{
	TupleDesc	desc = RelationGetDescr(judge->rel);

	judge->defaults = palloc0(sizeof(Datum) * desc->natts);
	judge->default_nulls = palloc0(sizeof(bool) * desc->natts);
	judge->generated = palloc0(sizeof(ExprState *) * desc->natts);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		judge->default_nulls[i] = true;
		if (judge->call->op == DBU_BULK_INSERT && !att->attisdropped && att->attgenerated == '\0' &&
			!supplied(judge, att->attnum))
			prepare_default(judge, att);
	}
	/* these depend on the others, not on each other */
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Node	   *expr;

		if (att->attisdropped || att->attgenerated == '\0')
			continue;
		expr = build_column_default(judge->rel, att->attnum);
		if (expr == NULL || depends_on_unknown(judge, expr))
			judge->unknown = bms_add_member(judge->unknown, att->attnum);
		else
			judge->generated[i] = ExecPrepareExpr((Expr *) expr, judge->estate);
	}
}

static void
prepare_checks(DbuJudge *judge)
{
	TupleConstr *constr = RelationGetDescr(judge->rel)->constr;

	judge->nchecks = constr ? constr->num_check : 0;
	judge->checks = palloc0(sizeof(ExprState *) * Max(judge->nchecks, 1));
	for (int i = 0; i < judge->nchecks; i++)
	{
		Expr	   *expr = stringToNode(constr->check[i].ccbin);

		if (dbu_check_is_enforced(&constr->check[i]) && !depends_on_unknown(judge, (Node *) expr))
			judge->checks[i] = ExecPrepareExpr(expr, judge->estate);
	}
}

static void
fill_insert(DbuJudge *judge, TupleTableSlot *slot)
{
	const DbuBulkCall *call = judge->call;
	TupleTableSlot *row = judge->row;
	int			natts = RelationGetDescr(judge->rel)->natts;
	int			position = -1;

	memcpy(row->tts_values, judge->defaults, sizeof(Datum) * natts);
	memcpy(row->tts_isnull, judge->default_nulls, sizeof(bool) * natts);
	while ((position = bms_next_member(judge->batch->shape->present, position)) >= 0)
	{
		int			i = call->columns[position]->attnum - 1;

		row->tts_values[i] = slot->tts_values[DBU_FEED_FIRST - 1 + position];
		row->tts_isnull[i] = slot->tts_isnull[DBU_FEED_FIRST - 1 + position];
	}
}

/* The row of the target that the batch's row in slot would become. */
static void
complete_row(DbuJudge *judge, TupleTableSlot *slot)
{
	TupleTableSlot *row = judge->row;
	int			natts = RelationGetDescr(judge->rel)->natts;

	ExecClearTuple(row);
	ItemPointerSetInvalid(&row->tts_tid);
	if (judge->call->op == DBU_BULK_INSERT)
		fill_insert(judge, slot);
	else
		dbu_bulk_judge_update_row(judge, slot);
	ExecStoreVirtualTuple(row);
	judge->econtext->ecxt_scantuple = row;
	for (int i = 0; i < natts; i++)
	{
		if (judge->generated[i] != NULL)
			row->tts_values[i] = ExecEvalExprSwitchContext(judge->generated[i], judge->econtext,
														   &row->tts_isnull[i]);
	}
}

/* ---------- constraints of the row alone ---------- */

/* As PostgreSQL words it; NULL where the caller may not read the table. */
static char *
failing_row(DbuJudge *judge)
{
	TupleDesc	desc = RelationGetDescr(judge->rel);
	StringInfoData text;

	if (pg_class_aclcheck(RelationGetRelid(judge->rel), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return NULL;
	initStringInfo(&text);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		char	   *value = "null";
		int			length;

		if (att->attisdropped)
			continue;
		if (bms_is_member(att->attnum, judge->unknown))
			value = "default";
		else if (!judge->row->tts_isnull[i])
		{
			Oid			output;
			bool		varlena;

			getTypeOutputInfo(att->atttypid, &output, &varlena);
			value = OidOutputFunctionCall(output, judge->row->tts_values[i]);
		}
		length = strlen(value);
		appendStringInfoString(&text, text.len > 0 ? ", " : "");
		if (length <= MAX_SHOWN)
			appendStringInfoString(&text, value);
		else
		{
			appendBinaryStringInfo(&text, value, pg_mbcliplen(value, length, MAX_SHOWN));
			appendStringInfoString(&text, "...");
		}
	}
	return psprintf("Failing row contains (%s).", text.data);
}

static bool
judge_not_null(DbuJudge *judge, DbuReject *reject)
{
	TupleDesc	desc = RelationGetDescr(judge->rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attnotnull || att->attisdropped || !judge->row->tts_isnull[i] ||
			bms_is_member(att->attnum, judge->unknown))
			continue;
		reject->sqlerrcode = ERRCODE_NOT_NULL_VIOLATION;
		reject->column_name = pstrdup(NameStr(att->attname));
		reject->message = psprintf("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
								   NameStr(att->attname), RelationGetRelationName(judge->rel));
		reject->detail = failing_row(judge);
		return false;
	}
	return true;
}

static bool
judge_checks(DbuJudge *judge, DbuReject *reject)
{
	for (int i = 0; i < judge->nchecks; i++)
	{
		if (judge->checks[i] == NULL || ExecCheck(judge->checks[i], judge->econtext))
			continue;
		reject->sqlerrcode = ERRCODE_CHECK_VIOLATION;
		reject->constraint_name = RelationGetDescr(judge->rel)->constr->check[i].ccname;
		reject->message = psprintf("new row for relation \"%s\" violates check constraint \"%s\"",
								   RelationGetRelationName(judge->rel), reject->constraint_name);
		reject->detail = failing_row(judge);
		return false;
	}
	return true;
}

/* ---------- a batch ---------- */

typedef struct Sentence
{
	DbuJudge   *judge;
	TupleTableSlot *slot;
	DbuReject	reject;			/* out */
	bool		good;			/* out */
} Sentence;

static void
judge_row(void *arg)
{
	Sentence   *sentence = arg;
	DbuJudge   *judge = sentence->judge;
	MemoryContext oldcxt;

	ResetExprContext(judge->econtext);
	oldcxt = MemoryContextSwitchTo(judge->econtext->ecxt_per_tuple_memory);
	complete_row(judge, sentence->slot);
	sentence->good = judge_not_null(judge, &sentence->reject) &&
		judge_checks(judge, &sentence->reject) &&
		(judge->unique == NULL || dbu_bulk_judge_unique(judge, &sentence->reject));
	MemoryContextSwitchTo(oldcxt);
}

static void
judge_rows(DbuJudge *judge)
{
	DbuBulkCall *call = judge->call;
	DbuBatch   *batch = judge->batch;
	Sentence	sentence = {.judge = judge};

	sentence.slot = MakeSingleTupleTableSlot(judge->desc, &TTSOpsMinimalTuple);
	tuplestore_select_read_pointer(judge->store, 0);
	tuplestore_rescan(judge->store);
	while (tuplestore_gettupleslot(judge->store, true, false, sentence.slot))
	{
		ErrorData  *error;
		DbuReject  *reject = &sentence.reject;
		uint8	   *state;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(sentence.slot);
		state = &batch->states[DatumGetInt64(sentence.slot->tts_values[DBU_FEED_POS - 1]) - 1];
		/* a key that finds several rows */
		if (*state == DBU_ROW_REJECTED)
			continue;
		memset(reject, 0, sizeof(DbuReject));
		error = dbu_bulk_guard(call, judge_row, &sentence);
		if (error != NULL)
		{
			reject->sqlerrcode = error->sqlerrcode;
			reject->constraint_name = error->constraint_name;
			reject->column_name = error->column_name;
			reject->message = error->message;
			reject->detail = error->detail;
		}
		else if (sentence.good)
			continue;
		if (!dbu_bulk_rejectable(call, reject->sqlerrcode))
		{
			if (error != NULL)
				ReThrowError(error);
			continue;			/* the write will raise it */
		}
		*state = DBU_ROW_REJECTED;
		judge->rejected++;
		dbu_bulk_reject_slot(call, sentence.slot, reject);
	}
	ExecDropSingleTupleTableSlot(sentence.slot);
}

/*
 * Tell of the rows of batch that would be refused, as far as that can be seen
 * before; answers how many there are.  They are REJECTED then, the others OPEN.
 * The guard may be left open.
 */
int64
dbu_bulk_judge(DbuBulkCall *call, DbuBatch *batch)
{
	DbuJudge	judge = {.call = call,.batch = batch,.store = batch->store,.desc = call->desc};
	MemoryContext oldcxt;
	int64		rejected;

	memset(batch->states, DBU_ROW_OPEN, batch->nstates);
	judge.rel = table_open(call->target->relid, NoLock);
	if (!can_judge(call, batch, judge.rel))
	{
		table_close(judge.rel, NoLock);
		return 0;
	}
	judge.estate = CreateExecutorState();
	oldcxt = MemoryContextSwitchTo(judge.estate->es_query_cxt);
	judge.econtext = GetPerTupleExprContext(judge.estate);
	judge.relinfo = makeNode(ResultRelInfo);
	InitResultRelInfo(judge.relinfo, judge.rel, 0, NULL, 0);
	judge.row = MakeSingleTupleTableSlot(RelationGetDescr(judge.rel), &TTSOpsVirtual);
	prepare_columns(&judge);
	prepare_checks(&judge);
	dbu_bulk_judge_unique_begin(&judge);
	MemoryContextSwitchTo(oldcxt);

	if (call->op == DBU_BULK_UPDATE)
		dbu_bulk_judge_update_begin(&judge);
	judge_rows(&judge);

	dbu_bulk_judge_unique_end(&judge);
	ExecDropSingleTupleTableSlot(judge.row);
	FreeExecutorState(judge.estate);
	table_close(judge.rel, NoLock);
	dbu_bulk_guard_end(call);
	rejected = judge.rejected + dbu_bulk_judge_foreign(call, batch);
	if (call->op == DBU_BULK_UPDATE)
		dbu_bulk_judge_update_end(&judge);
	return rejected;
}
