/*-------------------------------------------------------------------------
 *
 * history.c
 *	  When a snapshot of the counters is written, and the process that does it.
 *
 * A process can connect to one database once, and while it is connected the
 * database cannot be dropped.  So the worker (worker.c) stays without one, and at
 * each interval starts another that connects to dbutil.track_history_database,
 * calls dbutil.history_take() there in one transaction, and ends.  What a
 * snapshot is, is settled in SQL (track_history.sql).
 *
 * On a standby nothing is started; after promotion it goes on.  A writer that is
 * still at work when the next one is due is terminated.  A database without the
 * extension is told of once, until a snapshot was written again.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "track/watch.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define POLL_MS 1000

typedef enum WriterState
{
	WRITER_IDLE,
	WRITER_STARTED,				/* and, once it ended, failed */
	WRITER_ABSENT,				/* the database has no dbutil */
	WRITER_DONE
} WriterState;

typedef struct HistoryShared
{
	pg_atomic_uint32 state;		/* of the last writer, a WriterState */
	pg_atomic_uint32 told;		/* that the extension is absent */
	pg_atomic_uint64 written;	/* snapshots, and those that were not: */
	pg_atomic_uint64 missed;
	TimestampTz stats_since;
} HistoryShared;

int			dbu_history_interval = 0;
static char *database = NULL;
static int	retention_min = 14 * 24 * 60;

static HistoryShared *shared = NULL;

PGDLLEXPORT void dbutil_history_main(Datum arg);

static void
init(void)
{
	DefineCustomIntVariable("dbutil.track_history_interval",
							"Time between two snapshots of the counters.",
							"0 turns history off. See dbutil.history and dbutil.top().",
							&dbu_history_interval, 0, 0, 7 * 24 * 3600,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomStringVariable("dbutil.track_history_database",
							   "Database that history is written to.",
							   "The extension must be installed there.",
							   &database, "postgres",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.track_history_retention",
							"How long snapshots are kept.",
							NULL,
							&retention_min, 14 * 24 * 60, 1, 10 * 366 * 24 * 60,
							PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);
}

static Size
shmem_size(void)
{
	return sizeof(HistoryShared);
}

static void
shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	shared = chunk;
	if (found)
		return;
	pg_atomic_init_u32(&shared->state, WRITER_IDLE);
	pg_atomic_init_u32(&shared->told, 0);
	pg_atomic_init_u64(&shared->written, 0);
	pg_atomic_init_u64(&shared->missed, 0);
	shared->stats_since = GetCurrentTimestamp();
}

/* ---------- in the worker ---------- */

static BackgroundWorkerHandle *writer = NULL;

static bool
writer_is_running(void)
{
	pid_t		pid;
	BgwHandleStatus status;

	if (writer == NULL)
		return false;
	status = GetBackgroundWorkerPid(writer, &pid);
	return status == BGWH_STARTED || status == BGWH_NOT_YET_STARTED;
}

/* A writer has ended, or is made to: was it of use? */
static void
finish_writer(void)
{
	if (writer == NULL)
		return;
	if (writer_is_running())
		TerminateBackgroundWorker(writer);
	if (pg_atomic_read_u32(&shared->state) != WRITER_DONE)
		pg_atomic_fetch_add_u64(&shared->missed, 1);
	pfree(writer);
	writer = NULL;
}

static void
start_writer(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_name, "dbutil history", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "dbutil history", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "dbutil", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "dbutil_history_main", BGW_MAXLEN);
	worker.bgw_notify_pid = MyProcPid;
	pg_atomic_write_u32(&shared->state, WRITER_STARTED);
	if (!RegisterDynamicBackgroundWorker(&worker, &writer))
	{
		writer = NULL;
		pg_atomic_fetch_add_u64(&shared->missed, 1);
	}
}

/* Start a writer if one is due; how long until there is something to do again. */
long
dbu_history_work(TimestampTz now)
{
	static TimestampTz next = 0;
	int64		interval = dbu_history_interval * INT64CONST(1000000);
	MemoryContext caller;

	if (writer != NULL && !writer_is_running())
		finish_writer();
	if (dbu_history_interval == 0)
		return -1;
	if (RecoveryInProgress())
		return POLL_MS;
	/* also when the clock was set back */
	if (now >= next || next - now > interval)
	{
		finish_writer();
		caller = MemoryContextSwitchTo(TopMemoryContext);
		start_writer();
		MemoryContextSwitchTo(caller);
		next = now + interval;
	}
	return writer != NULL ? POLL_MS : TimestampDifferenceMilliseconds(now, next);
}

/* ---------- in the writer ---------- */

/* What the configuration says for other sessions is not meant for this one. */
static void
set_own_settings(void)
{
	SetConfigOption("application_name", "dbutil history", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("dbutil.track", "none", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "10s", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_OVERRIDE);
}

static WriterState
take_snapshot(void)
{
	if (!OidIsValid(get_extension_oid("dbutil", true)))
	{
		if (pg_atomic_exchange_u32(&shared->told, 1) == 0)
			ereport(LOG,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("dbutil cannot write history: database \"%s\" has no extension dbutil",
							database),
					 errhint("Run CREATE EXTENSION dbutil there, or set dbutil.track_history_database to a database that has it.")));
		return WRITER_ABSENT;
	}
	if (SPI_execute("SELECT dbutil.history_take()", false, 0) != SPI_OK_SELECT)
		elog(ERROR, "dbutil.history_take() did not run");
	return WRITER_DONE;
}

void
dbutil_history_main(Datum arg)
{
	WriterState state;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(database, NULL, 0);
	set_own_settings();

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "SELECT dbutil.history_take()");
	state = take_snapshot();
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();

	if (state == WRITER_DONE)
	{
		pg_atomic_fetch_add_u64(&shared->written, 1);
		pg_atomic_write_u32(&shared->told, 0);
	}
	pg_atomic_write_u32(&shared->state, state);
	proc_exit(0);
}

/* ---------- readers ---------- */

void
dbu_history_status(DbuStatusSink *sink)
{
	const char *item = "history";

	if (dbu_history_interval == 0)
		dbu_status_row(sink, item, DBU_STATUS_OFF, "dbutil.track_history_interval is 0",
					   "set dbutil.track_history_interval = '5min' and reload the configuration");
	else if (dbu_worker_trouble(sink, item))
		return;
	else if (RecoveryInProgress())
		dbu_status_row(sink, item, DBU_STATUS_OFF, "a standby writes none", NULL);
	else if (pg_atomic_read_u32(&shared->state) == WRITER_ABSENT)
		dbu_status_row(sink, item, DBU_STATUS_WARN,
					   psprintf("database \"%s\" has no extension dbutil", database),
					   "run CREATE EXTENSION dbutil there, or set dbutil.track_history_database");
	else
		dbu_status_row(sink, item, DBU_STATUS_OK,
					   psprintf("every %d s in database \"%s\"", dbu_history_interval, database), NULL);
}

static int
room(DbuRoom *rooms)
{
	rooms[0] = (DbuRoom)
	{
		.part = "history snapshots",
			.used = pg_atomic_read_u64(&shared->written),
			.size = -1,
			.dropped = pg_atomic_read_u64(&shared->missed),
			.stats_since = shared->stats_since,
			.fix = "see what the server's log says of dbutil history",
	};
	return 1;
}

const DbuWatchPart dbu_history_part = {
	.init = init,
	.shmem_size = shmem_size,
	.shmem_attach = shmem_attach,
	.room = room,
};
