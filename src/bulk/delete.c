/*-------------------------------------------------------------------------
 *
 * delete.c
 *	  Delete the rows that a batch names by key, and tell what became of them.
 *
 * Counters count rows of the batch: a key that finds several rows of the
 * target counts once.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

static void
check_missing(DbuBulkCall *call, DbuBatch *batch)
{
	int64		ord;
	char	   *key;

	if (call->opt.missing == DBU_MISSING_IGNORE || dbu_bulk_count(batch, DBU_ROW_OPEN) == 0)
		return;
	if (call->opt.missing == DBU_MISSING_REJECT)
	{
		dbu_bulk_reject_missing(call, batch);
		return;
	}
	key = dbu_bulk_first(call, batch, DBU_ROW_OPEN, &ord);
	if (call->opt.dry_run)
	{
		dbu_bulk_note_error(call, ord, "P0002", psprintf("Key %s was not found.", key));
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("key " INT64_FORMAT " has no match in \"%s\"", ord, call->target->name),
			 errdetail("Key %s was not found.", key),
			 errhint("Set missing to ignore, or leave the key out.")));
}

void
dbu_bulk_delete_flush(DbuBulkCall *call, DbuBatch *batch)
{
	DbuBulkResult *res = &call->res;
	bool		rule = call->target->has_rule[DBU_BULK_DELETE];
	DbuRun		run = {
		.answer = rule ? DBU_ANSWER_NONE : DBU_ANSWER_POS,
		.state = DBU_ROW_DONE,
		.steer = dbu_bulk_key_steers(call, batch->nrows),
	};

	if (rule && call->opt.missing != DBU_MISSING_IGNORE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("missing rows of \"%s\" cannot be told: it has a rule for DELETE", call->target->name),
				 errhint("Set missing to ignore, or replace the rule by a trigger.")));

	if (call->opt.dry_run)
	{
		dbu_bulk_check(call, batch, dbu_bulk_delete_sql(call, batch->shape));
		dbu_bulk_match(call, batch, DBU_ROW_DONE);
	}
	else
	{
		int64		processed = dbu_bulk_run(call, batch, DBU_PLAN_WRITE, dbu_bulk_delete_sql, &run);

		if (rule)
		{
			dbu_bulk_settle_rule(call, batch, &res->deleted, processed);
			return;
		}
		if (call->target->may_suppress[DBU_BULK_DELETE] && dbu_bulk_count(batch, DBU_ROW_OPEN) > 0)
			dbu_bulk_settle_open(call, batch, DBU_ROW_SUPPRESSED);
	}
	check_missing(call, batch);
	res->deleted += dbu_bulk_count(batch, DBU_ROW_DONE);
	res->suppressed += dbu_bulk_count(batch, DBU_ROW_SUPPRESSED);
	res->missing += dbu_bulk_count(batch, DBU_ROW_OPEN);
}
