/*-------------------------------------------------------------------------
 *
 * insert.c
 *	  Insert a batch, and tell what became of its rows.
 *
 * INSERT cannot return anything of the row it was given, so counters come
 * from the number of rows processed and, for ON CONFLICT DO UPDATE, from xmax:
 * a row that was inserted has none, one that was updated carries the lock of
 * the conflict.  Where xmax may not be read or is not told (see target.c), the
 * rows that have a match before are counted instead.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

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

static int64
clamp(int64 value, int64 lower, int64 upper)
{
	return Max(lower, Min(value, upper));
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

/* Rows that ON CONFLICT DO NOTHING did not insert. */
static void
settle_nothing(DbuBulkCall *call, DbuBatch *batch, int64 inserted, int64 *counter)
{
	int64		rest = batch->nrows - inserted;
	int64		conflicts = rest;

	/* which row was left out is not known, how many have a match is */
	if (rest > 0 && call->target->may_suppress[DBU_BULK_INSERT] && can_match(call, batch->shape))
		conflicts = clamp(count_matched(call, batch) - inserted, 0, rest);
	*counter += conflicts;
	call->res.suppressed += rest - conflicts;
}

/* Rows that ON CONFLICT DO UPDATE neither inserted nor updated. */
static void
settle_update(DbuBulkCall *call, DbuBatch *batch, int64 processed)
{
	int64		rest = batch->nrows - processed;
	int64		unchanged = 0;

	if (call->opt.on_conflict == DBU_CONFLICT_UPDATE_IF_CHANGED)
		unchanged = rest;
	if (unchanged > 0 && call->target->may_suppress[DBU_BULK_INSERT] &&
		can_match(call, batch->shape))
	{
		/* what was written is equal now as well */
		count_matched(call, batch);
		unchanged = clamp(dbu_bulk_count(batch, DBU_ROW_UNCHANGED) - processed, 0, rest);
	}
	call->res.unchanged += unchanged;
	call->res.suppressed += rest - unchanged;
}

void
dbu_bulk_insert_flush(DbuBulkCall *call, DbuBatch *batch)
{
	DbuBulkResult *res = &call->res;
	DbuRun		run = {.answer = DBU_ANSWER_NONE};
	bool		xmax = dbu_bulk_returns_xmax(call, batch->shape);
	int64		n = batch->nrows;
	int64		before = 0;
	int64		processed;

	if (call->opt.dry_run)
	{
		dry_run(call, batch);
		return;
	}

	if (dbu_bulk_upserts(call) && !xmax && dbu_bulk_sets_any(call, batch->shape))
		before = count_matched(call, batch);
	if (xmax)
		run.answer = DBU_ANSWER_TRUE;
	processed = dbu_bulk_run(call, batch, DBU_PLAN_WRITE, dbu_bulk_insert_sql, &run);
	processed = Min(processed, n);	/* a rule may have made more of it */

	switch ((DbuOnConflict) call->opt.on_conflict)
	{
		case DBU_CONFLICT_ERROR:
			res->inserted += processed;
			res->suppressed += n - processed;
			break;
		case DBU_CONFLICT_NOTHING:
			res->inserted += processed;
			settle_nothing(call, batch, processed, &res->conflicts);
			break;
		case DBU_CONFLICT_UPDATE:
		case DBU_CONFLICT_UPDATE_IF_CHANGED:
			if (!dbu_bulk_sets_any(call, batch->shape))
			{
				/* a row that brings nothing but its key changes nothing */
				res->inserted += processed;
				settle_nothing(call, batch, processed, &res->unchanged);
				break;
			}
			if (!xmax)
				run.yes = clamp(n - before, 0, processed);
			res->inserted += run.yes;
			res->updated += processed - run.yes;
			settle_update(call, batch, processed);
			break;
	}
}
