/*-------------------------------------------------------------------------
 *
 * batches.c
 *	  What the procedures do: chunk by chunk, with a commit after each.
 *
 * A chunk runs in a subtransaction.  If that fails for a reason that may pass,
 * such as a deadlock or a lock that was not to be had, the transaction is given
 * up and the chunk tried again, half as large.  Any other error ends the call;
 * what is committed stays, and the job goes on there when it is called again.
 *
 * What must outlive a transaction lives in the procedure's SPI context.  A chunk
 * has an SPI connection of its own, with which all goes that it needed, so that
 * memory does not grow with the number of rows.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/batches.h"

#include "access/xact.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/resowner.h"

/* Pauses between tries of one chunk, in milliseconds: the first, doubled each time up to the last. */
#define RETRY_FIRST_MS 50
#define RETRY_LAST_MS 2000

/* ---------- one chunk ---------- */

/* A call that is one chunk: the options are those of the job. */
static DbuBulkCall *
begin_chunk(DbuBatches *batches)
{
	DbuBulkCall *call = dbu_bulk_call_begin(batches->op, batches->target);

	call->opt = batches->proto->opt;
	call->opt.chunk_rows = INT_MAX;
	call->opt.max_errors = -1;
	call->batches = batches;
	call->res.chunks = batches->res.chunks;
	call->leaf_refused = batches->proto->leaf_refused;
	if (batches->proto->rejects != NULL)
	{
		dbu_bulk_rejects_begin(call);
		call->rejects->job = batches->job;
		call->rejects->judge_first = batches->judge_first;
	}
	return call;
}

/* What a chunk leaves: counters, and the cursor behind its last row. */
static void
keep_chunk(DbuBatches *batches, DbuBulkCall *call, List *cursor)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(batches->proto->mcxt);
	ListCell   *lc;

	if (call->rejects != NULL)
		batches->judge_first = call->rejects->judge_first;
	batches->proto->direct_batches += call->direct_batches;
	if (call->not_direct != NULL)
		batches->proto->not_direct = pstrdup(call->not_direct);
	if (call->leaf_refused != NULL)
		batches->proto->leaf_refused = batches->proto->not_direct;
	batches->res.chunks++;
	dbu_bulk_result_add(&batches->res, &call->res);
	batches->cursor = NIL;
	foreach(lc, cursor)
		batches->cursor = lappend(batches->cursor, pstrdup(lfirst(lc)));
	MemoryContextSwitchTo(oldcxt);
}

/* Pick the next rows and write them. */
static void
do_chunk(DbuBatches *batches)
{
	DbuBulkCall *call;
	DbuSource  *source;
	List	   *cursor;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	call = begin_chunk(batches);
	source = dbu_batches_pick(batches, call, &cursor);
	if (source != NULL)
	{
		dbu_bulk_run_call(call, source,
						  batches->op == DBU_BULK_INSERT ? dbu_bulk_insert_flush : dbu_batches_flush);
		keep_chunk(batches, call, cursor);
	}
	SPI_finish();
}

static void
set_lock_timeout(const DbuBatches *batches)
{
	if (batches->pacing.lock_timeout_ms > 0)
		(void) set_config_option("lock_timeout", psprintf("%d", batches->pacing.lock_timeout_ms),
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* The error that a chunk came to, with nothing of it left; NULL: it is done, but not committed. */
static ErrorData *
try_chunk(DbuBatches *batches)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	DbuBulkResult saved = batches->res;
	List	   *cursor = batches->cursor;
	ErrorData  *volatile error = NULL;

	EnsurePortalSnapshotExists();
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		int			nest = NewGUCNestLevel();

		set_lock_timeout(batches);
		do_chunk(batches);
		AtEOXact_GUC(true, nest);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(oldcxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(oldcxt);
	CurrentResourceOwner = owner;
	if (error != NULL)
	{
		batches->res = saved;
		batches->cursor = cursor;
		batches->done = false;
	}
	return error;
}

/* The same for the commit, where deferred constraints and serialization failures come up. */
static ErrorData *
try_commit(DbuBatches *batches)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		SPI_commit();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(oldcxt);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	return error;
}

static bool
may_pass(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK ||
		error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
}

static void
give_up(DbuBatches *batches, ErrorData *error)
{
	if (!batches->pacing.dry_run)
	{
		dbu_job_write(batches, "failed", NULL, error->message);
		SPI_commit();
	}
	ReThrowError(error);
}

static bool
over_limit(const DbuBatches *batches)
{
	return batches->proto->opt.max_errors >= 0 && batches->res.rejected > batches->proto->opt.max_errors;
}

static const char *
state_after(const DbuBatches *batches)
{
	if (over_limit(batches))
		return "failed";
	return batches->done ? "complete" : "running";
}

/* What the last chunk has added to the job. */
static void
note_metrics(DbuBatches *batches, const DbuBulkResult *before)
{
	const DbuBulkResult *res = &batches->res;
	DbuBulkResult chunk = {
		.rows_in = res->rows_in - before->rows_in,
		.inserted = res->inserted - before->inserted,
		.updated = res->updated - before->updated,
		.unchanged = res->unchanged - before->unchanged,
		.deleted = res->deleted - before->deleted,
		.conflicts = res->conflicts - before->conflicts,
		.missing = res->missing - before->missing,
		.suppressed = res->suppressed - before->suppressed,
		.rejected = res->rejected - before->rejected,
		.chunks = res->chunks - before->chunks,
		.retries = batches->retries_of_chunk,
		.elapsed_ms = batches->chunk_ms,
		.wal_bytes = res->wal_bytes - before->wal_bytes,
	};

	/* the last look may have found no more rows */
	if (!batches->pacing.dry_run && chunk.chunks > 0)
		dbu_bulk_metrics_add(batches->target, batches->op, &chunk);
}

/* Run the next chunk and commit it, again and smaller if it must be. */
static void
run_chunk(DbuBatches *batches)
{
	double		pause = RETRY_FIRST_MS;

	for (int retry = 0;; retry++)
	{
		DbuBulkResult saved = batches->res;
		List	   *before = batches->cursor;
		uint64		wal = pgWalUsage.wal_bytes;
		ErrorData  *error;
		instr_time	start;
		instr_time	end;

		INSTR_TIME_SET_CURRENT(start);
		error = try_chunk(batches);
		if (error == NULL && !batches->pacing.dry_run)
		{
			batches->res.wal_bytes += pgWalUsage.wal_bytes - wal;
			dbu_job_write(batches, state_after(batches), NULL,
						  over_limit(batches) ? "more rows were rejected than max_errors allows" : NULL);
			error = try_commit(batches);
			if (error != NULL)
			{
				batches->res = saved;
				batches->cursor = before;
				batches->done = false;
			}
		}
		if (error == NULL)
		{
			list_free_deep(batches->cursor != before ? before : NIL);
			INSTR_TIME_SET_CURRENT(end);
			INSTR_TIME_SUBTRACT(end, start);
			batches->chunk_ms = INSTR_TIME_GET_MILLISEC(end);
			batches->retries_of_chunk = retry;
			note_metrics(batches, &saved);
			if (!batches->pacing.dry_run)
				dbu_pace_after_chunk(batches, batches->chunk_ms, pgWalUsage.wal_bytes - wal);
			return;
		}
		if (batches->pacing.dry_run)
			ReThrowError(error);
		SPI_rollback();
		if (!may_pass(error) || retry >= batches->pacing.max_retries)
			give_up(batches, error);
		batches->res.retries++;
		batches->chunk_rows = Max(batches->chunk_rows / 2, 1);
		dbu_pace_wait(batches, pause);
		pause = Min(pause * 2, RETRY_LAST_MS);
	}
}

/* ---------- the job ---------- */

/* The planner's estimate of the rows that there are to do. */
static int64
expected_rows(DbuBatches *batches)
{
	StringInfoData sql;
	SPIPlanPtr	plan;
	CachedPlan *cached;
	double		rows;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT FROM %s", batches->source_sql);
	if (batches->where_clause != NULL)
		appendStringInfo(&sql, " WHERE (\n%s\n)", batches->where_clause);
	plan = SPI_prepare(sql.data, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	EnsurePortalSnapshotExists();
	cached = SPI_plan_get_cached_plan(plan);
	if (cached == NULL)
		return 0;
	rows = linitial_node(PlannedStmt, cached->stmt_list)->planTree->plan_rows;
	ReleaseCachedPlan(cached, NULL);
	SPI_freeplan(plan);
	return (int64) rows;
}

static void
run_dry(DbuBatches *batches)
{
	batches->proto->opt.dry_run = true;
	while (!batches->done)
	{
		CHECK_FOR_INTERRUPTS();
		run_chunk(batches);
	}
	batches->res.complete = !over_limit(batches);
}

/* The job's lock is held. */
static void
run_job(DbuBatches *batches)
{
	const char *state = NULL;

	batches->expected = expected_rows(batches);
	batches->done = !dbu_job_begin(batches);
	if (!batches->done)
	{
		dbu_job_write(batches, "running", NULL, NULL);
		SPI_commit();
	}
	while (!batches->done && !over_limit(batches))
	{
		CHECK_FOR_INTERRUPTS();
		dbu_pace_before_chunk(batches);
		if (dbu_job_wanted(batches) == DBU_WANTED_CANCEL)
			state = "cancelled";
		else if (dbu_pace_is_over(batches))
			state = "stopped";
		if (state != NULL)
		{
			dbu_job_write(batches, state, NULL, NULL);
			SPI_commit();
			break;
		}
		run_chunk(batches);
	}
	batches->res.complete = batches->done && !over_limit(batches);
}

/* Do the job, or what is left of it. */
void
dbu_batches_run(DbuBatches *batches)
{
	if (batches->pacing.dry_run)
	{
		run_dry(batches);
		return;
	}
	dbu_job_lock(batches->job);
	PG_TRY();
	{
		run_job(batches);
	}
	PG_FINALLY();
	{
		dbu_job_unlock(batches->job);
	}
	PG_END_TRY();
}
