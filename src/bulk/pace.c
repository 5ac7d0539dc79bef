/*-------------------------------------------------------------------------
 *
 * pace.c
 *	  How fast a procedure goes: how large a chunk is, and how long it waits
 *	  before the next one.
 *
 * All waiting is done between transactions: nothing is locked, and no snapshot
 * holds back vacuum.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/batches.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* How often is asked whether a wait is over, in milliseconds. */
#define POLL_MS 200

/* A chunk grows to at most this multiple of chunk_rows. */
#define MAX_GROWTH 10

static double
elapsed_ms(const DbuBatches *batches)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, batches->started);
	return INSTR_TIME_GET_MILLISEC(now);
}

/* Has this call taken as long as it may? */
bool
dbu_pace_is_over(const DbuBatches *batches)
{
	return batches->pacing.max_duration_ms >= 0 && elapsed_ms(batches) >= batches->pacing.max_duration_ms;
}

static void
sleep_ms(double ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, (long) Max(ms, 1),
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* Outside of transactions that hold anything; counted as throttled. */
void
dbu_pace_wait(DbuBatches *batches, double ms)
{
	double		until = elapsed_ms(batches) + ms;

	while (elapsed_ms(batches) < until)
	{
		double		before = elapsed_ms(batches);

		sleep_ms(Min(until - before, POLL_MS));
		batches->res.throttled_ms += elapsed_ms(batches) - before;
	}
}

/*
 * How far behind is the standby or subscriber that is furthest?  What it tells
 * itself stands still when it is stuck and answers no more, so what this job wrote
 * counts too: since when somebody has not replayed it.
 */
static double
replica_lag_ms(DbuBatches *batches)
{
	Oid			type = PG_LSNOID;
	Datum		mark = LSNGetDatum(batches->mark);
	double		lag = 0;
	Datum		value;
	bool		isnull;

	dbu_job_connect();
	if (dbu_job_execute("SELECT pg_catalog.max(EXTRACT(epoch FROM s.replay_lag)::pg_catalog.float8),"
						" pg_catalog.bool_or(s.replay_lsn OPERATOR(pg_catalog.<) $1)"
						" FROM pg_catalog.pg_stat_replication AS s",
						1, &type, &mark, NULL) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "the replica lag cannot be read");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
		lag = DatumGetFloat8(value) * 1000;
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);
	if (!isnull && DatumGetBool(value))
		lag = Max(lag, elapsed_ms(batches) - batches->marked_ms);
	else
		batches->mark = InvalidXLogRecPtr;
	SPI_finish();
	return lag;
}

/* Wait while replicas are too far behind, or somebody paused the job. */
void
dbu_pace_before_chunk(DbuBatches *batches)
{
	const char *said = NULL;

	for (;;)
	{
		const char *reason = NULL;
		DbuWanted	wanted = dbu_job_wanted(batches);

		if (wanted == DBU_WANTED_PAUSE)
			reason = "resume";
		else if (wanted == DBU_WANTED_RUN && batches->pacing.max_replica_lag_ms >= 0 &&
				 replica_lag_ms(batches) > batches->pacing.max_replica_lag_ms)
			reason = "replica lag";
		if (reason != said && !batches->pacing.dry_run)
			dbu_job_write(batches, wanted == DBU_WANTED_PAUSE ? "paused" : "running", reason, NULL);
		said = reason;
		if (reason == NULL || dbu_pace_is_over(batches))
			return;
		SPI_commit();
		dbu_pace_wait(batches, POLL_MS);
	}
}

/* Towards chunks that take chunk_target_ms: at most twice or half as large as the last. */
static void
resize(DbuBatches *batches, double chunk_ms)
{
	const DbuPacing *pacing = &batches->pacing;
	double		factor;

	if (pacing->chunk_target_ms <= 0)
		return;
	factor = Max(Min(pacing->chunk_target_ms / Max(chunk_ms, 0.1), 2.0), 0.5);
	/* near enough: left alone, so that one plan serves for long */
	if (factor > 0.8 && factor < 1.25)
		return;
	batches->chunk_rows = (int) Max(Min(batches->chunk_rows * factor,
										(double) pacing->chunk_rows * MAX_GROWTH), 1);
}

/* After the commit of a chunk: rest as the settings want it. */
void
dbu_pace_after_chunk(DbuBatches *batches, double chunk_ms, uint64 wal_bytes)
{
	double		rest = batches->pacing.pause_ms;

	if (batches->mark == InvalidXLogRecPtr)
	{
		batches->mark = GetXLogInsertRecPtr();
		batches->marked_ms = elapsed_ms(batches);
	}
	resize(batches, chunk_ms);
	if (batches->pacing.max_wal_bytes_per_ms > 0)
		rest = Max(rest, wal_bytes / batches->pacing.max_wal_bytes_per_ms - chunk_ms);
	if (rest > 0 && !batches->done)
		dbu_pace_wait(batches, rest);
}
