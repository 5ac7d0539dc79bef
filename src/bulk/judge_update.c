/*-------------------------------------------------------------------------
 *
 * judge_update.c
 *	  Rows that update others, to be judged as what they would make of them.
 *
 * One query brings each row of the batch with its match; what the update does
 * not set comes from there.  It reads the whole table's columns, so it takes the
 * right to do so; without it, bad rows are searched for (attempt.c).  A row
 * without a match is good here: it is the update's to tell.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/judge.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/tstoreReceiver.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

bool
dbu_bulk_judge_update_can(const DbuBulkCall *call, const DbuBatch *batch, Relation rel)
{
	return call->op == DBU_BULK_UPDATE &&
		rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relhassubclass &&
		!rel->rd_rel->relispartition &&
		!call->target->row_security && !call->target->has_rule[DBU_BULK_UPDATE] &&
		(rel->trigdesc == NULL || !rel->trigdesc->trig_update_before_row) &&
		batch->shape->members == NIL &&
		pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/* pos, ord, shape, c1 .. cN of the rows, then the target's columns and ctid */
static char *
joined_sql(DbuBulkCall *call, DbuShape *shape)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT s.*");
	for (int i = 0; i < call->target->ncolumns; i++)
		appendStringInfo(&sql, ", t.%s", call->target->columns[i].quoted);
	appendStringInfo(&sql, ", t.ctid FROM " DBU_FEED_NAME " AS s, %s AS t WHERE ", call->target->sql_name);
	dbu_bulk_append_match(&sql, call, "t", "s");
	appendStringInfoString(&sql, " ORDER BY s.pos");
	return sql.data;
}

static TupleDesc
joined_desc(const DbuBulkCall *call)
{
	int			given = call->desc->natts;
	TupleDesc	desc = CreateTemplateTupleDesc(given + call->target->ncolumns + 1);

	for (int i = 1; i <= given; i++)
		TupleDescCopyEntry(desc, i, call->desc, i);
	for (int i = 0; i < call->target->ncolumns; i++)
	{
		const DbuColumn *column = &call->target->columns[i];

		TupleDescInitEntry(desc, given + i + 1, column->name, column->type, column->typmod, 0);
		TupleDescInitEntryCollation(desc, given + i + 1, column->collation);
	}
	TupleDescInitEntry(desc, desc->natts, "ctid", TIDOID, -1, 0);
	return desc;
}

void
dbu_bulk_judge_update_begin(DbuJudge *judge)
{
	DbuBulkCall *call = judge->call;
	DbuBatch   *batch = judge->batch;
	DbuRun		run = {.steer = dbu_bulk_key_steers(call, batch->nrows)};
	TupleTableSlot *slot;

	judge->desc = joined_desc(call);
	judge->store = tuplestore_begin_heap(false, false, work_mem);
	run.dest = CreateDestReceiver(DestTuplestore);
	SetTuplestoreDestReceiverParams(run.dest, judge->store, call->slice_mcxt, false, NULL, NULL);
	(void) dbu_bulk_run(call, batch, DBU_PLAN_JUDGE, joined_sql, &run);

	/* rows without a match are none of ours */
	memset(batch->states, DBU_ROW_SUPPRESSED, batch->nstates);
	slot = MakeSingleTupleTableSlot(judge->desc, &TTSOpsMinimalTuple);
	tuplestore_rescan(judge->store);
	while (tuplestore_gettupleslot(judge->store, true, false, slot))
	{
		bool		isnull;

		batch->states[DatumGetInt64(slot_getattr(slot, DBU_FEED_POS, &isnull)) - 1] = DBU_ROW_OPEN;
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* Fill judge->row with what the joined row in slot makes of its match. */
void
dbu_bulk_judge_update_row(DbuJudge *judge, TupleTableSlot *slot)
{
	DbuBulkCall *call = judge->call;
	TupleTableSlot *row = judge->row;
	int			given = call->desc->natts;

	memset(row->tts_isnull, true, sizeof(bool) * RelationGetDescr(judge->rel)->natts);
	for (int i = 0; i < call->target->ncolumns; i++)
	{
		int			att = call->target->columns[i].attnum - 1;

		row->tts_values[att] = slot->tts_values[given + i];
		row->tts_isnull[att] = slot->tts_isnull[given + i];
	}
	for (int i = 0; i < call->ncolumns; i++)
	{
		int			att = call->columns[i]->attnum - 1;
		int			from = DBU_FEED_FIRST - 1 + i;

		if (!dbu_bulk_sets(call, judge->batch->shape, i) ||
			(call->opt.nulls_keep && slot->tts_isnull[from]))
			continue;
		row->tts_values[att] = slot->tts_values[from];
		row->tts_isnull[att] = slot->tts_isnull[from];
	}
	row->tts_tid = *(ItemPointer) DatumGetPointer(slot->tts_values[judge->desc->natts - 1]);
}

/* Rows without a match are open again. */
void
dbu_bulk_judge_update_end(DbuJudge *judge)
{
	for (int64 i = 0; i < judge->batch->nstates; i++)
	{
		if (judge->batch->states[i] == DBU_ROW_SUPPRESSED)
			judge->batch->states[i] = DBU_ROW_OPEN;
	}
	tuplestore_end(judge->store);
}
