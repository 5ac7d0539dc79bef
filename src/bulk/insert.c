/*-------------------------------------------------------------------------
 *
 * insert.c
 *	  Insert a batch, and tell what became of its rows.
 *
 * INSERT cannot return anything of the row it was given, so counters come
 * from the number of rows processed and from what ON CONFLICT counts itself
 * (counted.c).  DO UPDATE also tells by xmax: a row that was inserted has none,
 * one that was updated carries the lock of the conflict; but xmax may not be
 * read everywhere (see target.c).
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"

/*
 * May rows be matched with the target?  ON CONFLICT with a conflict target
 * needs the right to read the key in any case.
 */
static bool
can_match(const DbuBulkCall *call, const DbuShape *shape)
{
	if (!dbu_bulk_key_supplied(call, shape))
		return false;
	return dbu_bulk_upserts(call) || call->opt.conflict_columns != NIL ||
		pg_class_aclcheck(call->target->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/* Rows that have a match now. */
static int64
count_matched(DbuBulkCall *call, DbuBatch *batch)
{
	if (!can_match(call, batch->shape))
		return 0;
	memset(batch->states, DBU_ROW_OPEN, batch->nstates);
	dbu_bulk_match(call, batch, DBU_ROW_DONE);
	return batch->nstates - dbu_bulk_count(batch, DBU_ROW_OPEN);
}

static void
dry_run(DbuBulkCall *call, DbuBatch *batch)
{
	DbuBulkResult *res = &call->res;
	int64		n = batch->nrows;
	int64		matched;
	int64		equal;

	dbu_bulk_check(call, batch, dbu_bulk_insert_sql(call, batch->shape));
	matched = count_matched(call, batch);
	equal = dbu_bulk_count(batch, DBU_ROW_UNCHANGED);
	res->inserted += n - matched;
	if (dbu_bulk_upserts(call) && dbu_bulk_sets_any(call, batch->shape))
	{
		res->updated += matched - equal;
		res->unchanged += equal;
	}
	else if (dbu_bulk_upserts(call))
		res->unchanged += matched;
	else
		res->conflicts += matched;

	if (call->opt.on_conflict == DBU_CONFLICT_ERROR && matched > 0)
	{
		int64		ord;
		char	   *key = dbu_bulk_first(call, batch, DBU_ROW_DONE, &ord);

		dbu_bulk_note_error(call, ord, "23505", psprintf("Key %s already exists.", key));
	}
}

/*
 * Rows that ON CONFLICT neither inserted nor updated: kept of them were left as
 * they are, by DO NOTHING or by the condition of DO UPDATE, the others a
 * trigger or policy kept out.  What a foreign server does is not told.
 */
static void
settle_rest(DbuBulkCall *call, const DbuRun *run, int64 rest, int64 kept, int64 *counter)
{
	if (!run->counted || call->target->relkind == RELKIND_FOREIGN_TABLE)
		kept = rest;
	kept = Min(kept, rest);
	*counter += kept;
	call->res.suppressed += rest - kept;
}

void
dbu_bulk_insert_flush(DbuBulkCall *call, DbuBatch *batch)
{
	DbuBulkResult *res = &call->res;
	DbuRun		run = {.answer = DBU_ANSWER_NONE};
	bool		xmax = dbu_bulk_returns_xmax(call, batch->shape);
	int64		n = batch->nrows;
	int64		processed;

	if (call->opt.dry_run)
	{
		dry_run(call, batch);
		return;
	}

	if (dbu_bulk_direct(call, batch, &processed))
	{
		res->inserted += processed;
		res->conflicts += n - processed;
		return;
	}
	run.counted = call->opt.on_conflict != DBU_CONFLICT_ERROR;
	if (xmax)
		run.answer = DBU_ANSWER_TRUE;
	processed = dbu_bulk_run(call, batch, DBU_PLAN_WRITE, dbu_bulk_insert_sql, &run);
	processed = Min(processed, n);	/* a rule may have made more of it */

	switch ((DbuOnConflict) call->opt.on_conflict)
	{
		case DBU_CONFLICT_ERROR:
		case DBU_CONFLICT_REJECT:
			res->inserted += processed;
			res->suppressed += n - processed;
			break;
		case DBU_CONFLICT_NOTHING:
			res->inserted += processed;
			settle_rest(call, &run, n - processed, run.conflicts, &res->conflicts);
			break;
		case DBU_CONFLICT_UPDATE:
		case DBU_CONFLICT_UPDATE_IF_CHANGED:
			if (!dbu_bulk_sets_any(call, batch->shape))
			{
				/* a row that brings nothing but its key changes nothing */
				res->inserted += processed;
				settle_rest(call, &run, n - processed, run.conflicts, &res->unchanged);
				break;
			}
			/* inexact only where a BEFORE UPDATE trigger kept rows out */
			if (!xmax)
				run.yes = processed - Min(run.conflicts - run.kept, processed);
			res->inserted += run.yes;
			res->updated += processed - run.yes;
			settle_rest(call, &run, n - processed, run.kept, &res->unchanged);
			break;
	}
}
