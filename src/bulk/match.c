/*-------------------------------------------------------------------------
 *
 * match.c
 *	  Which rows of a batch have a match in the target: for counters, for
 *	  missing rows and for dry runs.
 *
 * The statement that writes is asked first; these queries run only over what
 * it left open.  They run as statements of their own, so under READ COMMITTED
 * a row that somebody else commits in between counts as it is then.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

/*
 * Rows that have a match get a state: the one given, or, where the call leaves
 * equal rows alone, UNCHANGED if the match is equal and SUPPRESSED if not.
 */
void
dbu_bulk_match(DbuBulkCall *call, DbuBatch *batch, DbuRowState state)
{
	DbuRun		run = {
		.answer = dbu_bulk_tells_equal(call, batch->shape) ? DBU_ANSWER_POS_EQUAL : DBU_ANSWER_POS,
		.state = state,
		.steer = dbu_bulk_key_steers(call, batch->nrows),
	};

	dbu_bulk_run(call, batch, DBU_PLAN_MATCH, dbu_bulk_match_sql, &run);
}

/* The same for the rows that are open; the others stay as they are. */
void
dbu_bulk_settle_open(DbuBulkCall *call, DbuBatch *batch, DbuRowState matched)
{
	DbuBatch   *rest = dbu_bulk_left_over(call, batch);

	dbu_bulk_match(call, rest, matched);
	tuplestore_end(rest->store);
	pfree(rest);
}

/*
 * Where the call does not wait for locks: lock what can be had, and answer a
 * batch without the rows whose match somebody else has locked, which count as
 * conflicts.  It is batch itself where none is left out, else the caller frees
 * it.
 */
DbuBatch *
dbu_bulk_lock(DbuBulkCall *call, DbuBatch *batch)
{
	DbuRun		run = {.answer = DBU_ANSWER_POS,.state = DBU_ROW_DONE};
	int64		locked = 0;

	if (call->opt.locked == DBU_LOCKED_WAIT || call->opt.dry_run || batch->nrows == 0)
		return batch;
	dbu_bulk_guard_end(call);
	run.steer = dbu_bulk_key_steers(call, batch->nrows);
	dbu_bulk_run(call, batch, DBU_PLAN_LOCK, dbu_bulk_lock_sql, &run);
	if (call->opt.locked == DBU_LOCKED_SKIP && dbu_bulk_count(batch, DBU_ROW_OPEN) > 0)
	{
		DbuBatch   *rest = dbu_bulk_left_over(call, batch);

		dbu_bulk_match(call, rest, DBU_ROW_SUPPRESSED);
		tuplestore_end(rest->store);
		pfree(rest);
	}
	for (int64 i = 0; i < batch->nstates; i++)
	{
		if (batch->states[i] == DBU_ROW_DONE || batch->states[i] == DBU_ROW_OPEN)
			batch->states[i] = DBU_ROW_OPEN;
		else
			locked++;
	}
	call->res.conflicts += locked;
	return locked > 0 ? dbu_bulk_piece(call, batch, 0, batch->nrows) : batch;
}

/*
 * Counters for an update or delete of a relation with rules: what a rule made
 * of the statement only tells a number of rows.  Rows that have no match
 * afterwards count as missing, as far as they were not processed.
 */
void
dbu_bulk_settle_rule(DbuBulkCall *call, DbuBatch *batch, int64 *done, int64 processed)
{
	int64		written = Min(processed, batch->nrows);
	int64		rest = batch->nrows - written;
	int64		missing = 0;
	int64		unchanged = 0;

	if (rest > 0)
	{
		dbu_bulk_match(call, batch, DBU_ROW_SUPPRESSED);
		missing = dbu_bulk_count(batch, DBU_ROW_OPEN);
		if (call->op == DBU_BULK_DELETE)
			missing = Max(missing - written, 0);
		missing = Min(missing, rest);
		unchanged = Min(dbu_bulk_count(batch, DBU_ROW_UNCHANGED), rest - missing);
	}
	*done += written;
	call->res.missing += missing;
	call->res.unchanged += unchanged;
	call->res.suppressed += rest - missing - unchanged;
}

/* A dry run found what would be an error: keep the first one of the input. */
void
dbu_bulk_note_error(DbuBulkCall *call, int64 ord, const char *sqlstate, char *message)
{
	DbuBulkResult *res = &call->res;

	res->complete = false;
	if (res->first_error_ord != 0 && res->first_error_ord <= ord)
		return;
	if (res->first_message != NULL)
		pfree(res->first_message);
	res->first_error_ord = ord;
	res->first_sqlstate = sqlstate;
	res->first_message = MemoryContextStrdup(call->mcxt, message);
}
