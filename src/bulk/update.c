/*-------------------------------------------------------------------------
 *
 * update.c
 *	  Update the rows that a batch names by key, and tell what became of them.
 *
 * Counters count rows of the batch: a key that finds several rows of the
 * target counts once.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

static void
error_missing(DbuBulkCall *call, DbuBatch *batch)
{
	int64		ord;
	char	   *key = dbu_bulk_first(call, batch, DBU_ROW_OPEN, &ord);

	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("row " INT64_FORMAT " has no match in \"%s\"", ord, call->target->name),
			 errdetail("Key %s was not found.", key),
			 errhint("Set missing to ignore or insert, or leave the row out.")));
}

static void
insert_missing(DbuBulkCall *call, DbuBatch *batch)
{
	DbuBatch   *rest = dbu_bulk_left_over(call, batch);
	DbuRun		run = {.answer = DBU_ANSWER_NONE};
	int64		inserted;

	if (rest->shape->members != NIL)
		dbu_bulk_fill_defaults(call, rest, rest->shape->present);
	inserted = dbu_bulk_run(call, rest, DBU_PLAN_INSERT_MISSING,
							dbu_bulk_insert_missing_sql, &run);
	inserted = Min(inserted, rest->nrows);	/* a rule may have made more of it */
	call->res.inserted += inserted;
	call->res.suppressed += rest->nrows - inserted;
	tuplestore_end(rest->store);
	pfree(rest);
}

static void
dry_run(DbuBulkCall *call, DbuBatch *batch, bool sets)
{
	DbuBulkResult *res = &call->res;
	int64		open;

	if (sets)
		dbu_bulk_check(call, batch, dbu_bulk_update_sql(call, batch->shape));
	if (call->opt.missing == DBU_MISSING_INSERT)
		dbu_bulk_check(call, batch, dbu_bulk_insert_missing_sql(call, batch->shape));
	dbu_bulk_match(call, batch, sets ? DBU_ROW_DONE : DBU_ROW_UNCHANGED);

	/* where rows are compared, SUPPRESSED are those that would change */
	res->updated += dbu_bulk_count(batch, DBU_ROW_DONE) + dbu_bulk_count(batch, DBU_ROW_SUPPRESSED);
	res->unchanged += dbu_bulk_count(batch, DBU_ROW_UNCHANGED);
	open = dbu_bulk_count(batch, DBU_ROW_OPEN);
	if (call->opt.missing == DBU_MISSING_INSERT)
		res->inserted += open;
	else if (call->opt.missing == DBU_MISSING_REJECT)
		dbu_bulk_reject_missing(call, batch);
	else
		res->missing += open;
	if (call->opt.missing == DBU_MISSING_ERROR && open > 0)
	{
		int64		ord;
		char	   *key = dbu_bulk_first(call, batch, DBU_ROW_OPEN, &ord);

		dbu_bulk_note_error(call, ord, "P0002", psprintf("Key %s was not found.", key));
	}
}

static void
check_rule(DbuBulkCall *call)
{
	if (call->opt.missing == DBU_MISSING_IGNORE)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("missing rows of \"%s\" cannot be told: it has a rule for UPDATE", call->target->name),
			 errhint("Set missing to ignore, or replace the rule by a trigger.")));
}

void
dbu_bulk_update_flush(DbuBulkCall *call, DbuBatch *batch)
{
	DbuBulkResult *res = &call->res;
	bool		sets = dbu_bulk_sets_any(call, batch->shape);
	bool		rule = call->target->has_rule[DBU_BULK_UPDATE];
	DbuRun		run = {
		.answer = rule ? DBU_ANSWER_NONE : DBU_ANSWER_POS,
		.state = DBU_ROW_DONE,
		.steer = dbu_bulk_key_steers(call, batch->nrows),
	};
	int64		open;

	if (rule)
		check_rule(call);
	if (call->opt.dry_run)
	{
		dry_run(call, batch, sets);
		return;
	}

	if (sets)
	{
		int64		processed = dbu_bulk_run(call, batch, DBU_PLAN_WRITE, dbu_bulk_update_sql, &run);

		if (rule)
		{
			dbu_bulk_settle_rule(call, batch, &res->updated, processed);
			return;
		}
	}

	open = dbu_bulk_count(batch, DBU_ROW_OPEN);
	if (open > 0 &&
		(!sets || call->opt.skip_unchanged || call->target->may_suppress[DBU_BULK_UPDATE] ||
		 dbu_bulk_has_idle(call, batch->shape)))
	{
		dbu_bulk_settle_open(call, batch, sets ? DBU_ROW_SUPPRESSED : DBU_ROW_UNCHANGED);
		open = dbu_bulk_count(batch, DBU_ROW_OPEN);
	}
	res->updated += dbu_bulk_count(batch, DBU_ROW_DONE);
	res->unchanged += dbu_bulk_count(batch, DBU_ROW_UNCHANGED);
	res->suppressed += dbu_bulk_count(batch, DBU_ROW_SUPPRESSED);
	if (open == 0)
		return;
	switch ((DbuMissing) call->opt.missing)
	{
		case DBU_MISSING_IGNORE:
			res->missing += open;
			break;
		case DBU_MISSING_ERROR:
			error_missing(call, batch);
			break;
		case DBU_MISSING_REJECT:
			dbu_bulk_reject_missing(call, batch);
			break;
		case DBU_MISSING_INSERT:
			insert_missing(call, batch);
			break;
	}
}
