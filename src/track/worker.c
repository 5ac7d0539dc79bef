/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  The one background worker of tracking: samples waits and sees to history.
 *
 * It runs only while dbutil.track_waits_interval or dbutil.track_history_interval
 * is on: started by
 * the postmaster if that is so when the server starts, otherwise by the first
 * statement that finds it wanted and missing, and it ends when it is wanted no
 * more.  It is connected to no database, so that none is held; that it is connected
 * at all shows it in pg_stat_activity.  On a standby it samples as well.
 *
 * Nothing waits for it.  If no place for a worker is free, status() says so, and a
 * statement tries again a while later.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "track/watch.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define RETRY_MS 10000

typedef struct WorkerShared
{
	pg_atomic_uint32 pid;		/* of the worker at work, 0: none */
	pg_atomic_uint64 retry_at;	/* nobody starts one before */
} WorkerShared;

static WorkerShared *shared = NULL;

PGDLLEXPORT void dbutil_worker_main(Datum arg);

static bool
wanted(void)
{
	return dbu_enabled && (dbu_waits_interval > 0 || dbu_history_interval > 0);
}

static void
describe(BackgroundWorker *worker)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_ConsistentState;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker->bgw_name, "dbutil tracking", BGW_MAXLEN);
	strlcpy(worker->bgw_type, "dbutil tracking", BGW_MAXLEN);
	strlcpy(worker->bgw_library_name, "dbutil", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, "dbutil_worker_main", BGW_MAXLEN);
}

static Size
shmem_size(void)
{
	return sizeof(WorkerShared);
}

static void
shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	shared = chunk;
	if (found)
		return;
	pg_atomic_init_u32(&shared->pid, 0);
	/* the postmaster's own comes first */
	pg_atomic_init_u64(&shared->retry_at, wanted() ?
					   (uint64) TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_MS) : 0);
}

/* After the settings are known, while libraries are preloaded. */
static void
init(void)
{
	BackgroundWorker worker;

	if (!wanted())
		return;
	describe(&worker);
	worker.bgw_restart_time = RETRY_MS / 1000;
	RegisterBackgroundWorker(&worker);
}

void
dbu_worker_start_missing(void)
{
	BackgroundWorker worker;
	TimestampTz now;
	uint64		retry_at;

	if (!wanted() || pg_atomic_read_u32(&shared->pid) != 0 || !IsUnderPostmaster)
		return;
	now = GetCurrentTimestamp();
	retry_at = pg_atomic_read_u64(&shared->retry_at);
	if ((uint64) now < retry_at ||
		!pg_atomic_compare_exchange_u64(&shared->retry_at, &retry_at,
										(uint64) TimestampTzPlusMilliseconds(now, RETRY_MS)))
		return;
	describe(&worker);
	(void) RegisterDynamicBackgroundWorker(&worker, NULL);
}

/* ---------- in the worker ---------- */

static void
release(int code, Datum arg)
{
	/* who turns it on again need not wait */
	if (code == 0)
		pg_atomic_write_u64(&shared->retry_at, 0);
	pg_atomic_write_u32(&shared->pid, 0);
}

/* Sample if it is time; how long until it is again, in milliseconds. */
static long
sample(TimestampTz now)
{
	static TimestampTz next = 0;
	int64		interval = dbu_waits_interval * INT64CONST(1000);

	if (dbu_waits_interval == 0)
		return -1;
	/* also when the clock was set back */
	if (now >= next || next - now > interval)
	{
		dbu_waits_sample(now);
		next += interval;
		if (next <= now)
			next = now + interval;
	}
	return TimestampDifferenceMilliseconds(now, next);
}

/* Do what is due; how long until something is again, -1: nothing ever. */
static long
work(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		until_sample = sample(now);
	long		until_history = dbu_history_work(now);

	if (until_sample < 0 || until_history < 0)
		return Max(until_sample, until_history);
	return Min(until_sample, until_history);
}

void
dbutil_worker_main(Datum arg)
{
	uint32		nobody = 0;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	if (!pg_atomic_compare_exchange_u32(&shared->pid, &nobody, (uint32) MyProcPid))
		proc_exit(0);
	on_shmem_exit(release, (Datum) 0);

	while (!ShutdownRequestPending && wanted())
	{
		long		timeout = work();

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Max(timeout, 1), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
	proc_exit(0);
}

/* A row for what the worker does, which is on; false: there is nothing to mend. */
bool
dbu_worker_trouble(DbuStatusSink *sink, const char *item)
{
	if (!dbu_enabled)
		dbu_status_row(sink, item, DBU_STATUS_OFF, "dbutil.enabled is off",
					   "set dbutil.enabled = on and reload the configuration");
	else if (pg_atomic_read_u32(&shared->pid) == 0)
		dbu_status_row(sink, item, DBU_STATUS_WARN, "its worker is not running",
					   "wait a moment; if it stays so raise max_worker_processes and restart the server");
	else
		return false;
	return true;
}

void
dbu_worker_status(DbuStatusSink *sink)
{
	const char *item = "wait sampling";

	if (dbu_waits_interval == 0)
		dbu_status_row(sink, item, DBU_STATUS_OFF, "dbutil.track_waits_interval is 0",
					   "set dbutil.track_waits_interval = '10ms' and reload the configuration");
	else if (!dbu_worker_trouble(sink, item))
		dbu_status_row(sink, item, DBU_STATUS_OK, psprintf("every %d ms", dbu_waits_interval), NULL);
}

const DbuWatchPart dbu_worker_part = {
	.init = init,
	.shmem_size = shmem_size,
	.shmem_attach = shmem_attach,
};
