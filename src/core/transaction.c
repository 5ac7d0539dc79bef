/*-------------------------------------------------------------------------
 *
 * transaction.c
 *	  The current top-level transaction: what it ran, and how it ended.
 *
 * A transaction counts when it ran a statement.  Statements are the client's;
 * the transactions that a procedure begins after its own COMMIT have none, so
 * what it runs first in each stands for one.
 *
 * A transaction that is prepared counts when its outcome is decided: COMMIT
 * PREPARED is one that committed, ROLLBACK PREPARED one that was rolled back,
 * of that one statement each, as long as the command took.
 *
 * Why a transaction was rolled back is told by the last error that reached the
 * client's statement, or the log: an error that a function caught is none.
 *
 * The clock is read once at the end.  When the commit record was about to be
 * written is what PostgreSQL calls the transaction's end.  A transaction without
 * identifier has no such record.  Idle time between
 * statements is what PostgreSQL adds up for pg_stat_database; it does so only
 * with track_activities.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/caught.h"
#include "core/events.h"
#include "core/transaction.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "pgstat.h"
#include "utils/timestamp.h"

bool		dbu_xact_in_procedure = false;

/* What is added up while the transaction runs; statements 0: nothing yet. */
static struct
{
	uint32		statements;
	uint32		subtransactions;
	uint32		idle_gaps;
	uint32		nids;
	uint64		ids[DBU_XACT_IDS];
	uint64		rows_written;
	uint64		wal_bytes;		/* of this process, when it began */
	PgStat_Counter idle;		/* the same, now */
	PgStat_Counter idle_begin;	/* and when it began */
	PgStat_Counter max_idle;
	int			sqlstate;		/* of the error that ends it, 0: none */
	bool		by_command;		/* ROLLBACK was sent */
}			current;

/* When COMMIT PREPARED or ROLLBACK PREPARED began. */
static TimestampTz decided_at = 0;

/* What the current transaction does with one that was prepared before. */
static enum
{
	DECIDES_NONE,
	DECIDES_COMMIT,
	DECIDES_ROLLBACK
}			decides = DECIDES_NONE;

static void
forget(void)
{
	current.statements = 0;
	decides = DECIDES_NONE;
}

static void
begin(void)
{
	current.subtransactions = 0;
	current.idle_gaps = 0;
	current.nids = 0;
	current.rows_written = 0;
	current.wal_bytes = pgWalUsage.wal_bytes;
	current.idle = current.idle_begin = pgStatTransactionIdleTime;
	current.max_idle = 0;
	current.sqlstate = 0;
	current.by_command = false;
}

/* The client sent something: how long did it let the transaction wait? */
static void
count_idle(void)
{
	PgStat_Counter gap = pgStatTransactionIdleTime - current.idle;

	if (gap <= 0)
		return;
	current.idle = pgStatTransactionIdleTime;
	current.idle_gaps++;
	current.max_idle = Max(current.max_idle, gap);
}

/*
 * A statement begins at this depth; is it the first of its transaction?
 * Callable in error paths.
 */
bool
dbu_xact_count(int nesting, uint64 query_id)
{
	bool		first = current.statements == 0;

	if (nesting > 0 && !(first && dbu_xact_in_procedure))
		return false;
	if (first)
		begin();
	else
	{
		count_idle();
		/* a transaction that runs on has overcome its error */
		current.sqlstate = 0;
	}
	current.statements++;
	/* repeats in a row count once, so that a loop is one shape */
	if (current.nids < DBU_XACT_IDS &&
		(current.nids == 0 || current.ids[current.nids - 1] != query_id))
		current.ids[current.nids++] = query_id;
	return first;
}

/* COMMIT PREPARED or ROLLBACK PREPARED begins. */
void
dbu_xact_decide_prepared(bool commit)
{
	decides = commit ? DECIDES_COMMIT : DECIDES_ROLLBACK;
	decided_at = GetCurrentTimestamp();
}

/* ROLLBACK begins: after an error it only tells what happened before. */
void
dbu_xact_rollback_command(void)
{
	if (current.sqlstate == 0)
		current.by_command = true;
}

/* A statement at any depth has changed so many rows. */
void
dbu_xact_note_rows(uint64 rows)
{
	current.rows_written += rows;
}

/* In an error path: an error that reaches the client; 0: it was undone by ROLLBACK TO. */
void
dbu_xact_note_error(int sqlstate)
{
	current.sqlstate = sqlstate;
}

static DbuXactOutcome
rollback_cause(void)
{
	if (decides == DECIDES_ROLLBACK || (current.by_command && current.sqlstate == 0))
		return DBU_XACT_COMMAND;
	switch (current.sqlstate)
	{
		case 0:
			/* nobody said ROLLBACK: the session ended */
			return dbu_xact_in_procedure ? DBU_XACT_COMMAND : DBU_XACT_TERMINATED;
		case ERRCODE_T_R_SERIALIZATION_FAILURE:
			return DBU_XACT_SERIALIZATION;
		case ERRCODE_T_R_DEADLOCK_DETECTED:
			return DBU_XACT_DEADLOCK;
		case ERRCODE_QUERY_CANCELED:
			return DBU_XACT_CANCELLED;
		case ERRCODE_LOCK_NOT_AVAILABLE:
			return DBU_XACT_LOCK;
		case ERRCODE_ADMIN_SHUTDOWN:
		case ERRCODE_CRASH_SHUTDOWN:
		case ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT:
		case ERRCODE_CONNECTION_FAILURE:
			return DBU_XACT_TERMINATED;
		default:
			return DBU_XACT_ERROR;
	}
}

/* At XACT_EVENT_COMMIT an error would be a PANIC. */
static void
transaction_ends(bool committed)
{
	DbuTransaction xact;
	TimestampTz now;
	TimestampTz begun;
	TimestampTz commits = 0;	/* the commit record is about to be written */

	if (current.statements == 0 || !dbu_enabled)
	{
		forget();
		return;
	}

	/* whatever is prepared was given an identifier */
	xact.wrote = (committed && decides != DECIDES_NONE) ||
		TransactionIdIsValid(GetTopTransactionIdIfAny());
	committed = committed && decides != DECIDES_ROLLBACK;
	xact.outcome = committed ? DBU_XACT_COMMITTED : rollback_cause();
	/* with a commit record, PostgreSQL's time is the one before it */
	now = xact.wrote ? GetCurrentTimestamp() : GetCurrentTransactionStopTimestamp();
	if (committed && xact.wrote)
		commits = decides != DECIDES_NONE ? decided_at : GetCurrentTransactionStopTimestamp();
	/* the system's clock may have been set back meanwhile */
	begun = GetCurrentTransactionStartTimestamp();
	xact.duration_ms = Max(now - begun, 0) / 1000.0;
	xact.commit_ms = commits != 0 ? Max(now - commits, 0) / 1000.0 : 0;
	count_idle();
	xact.idle_ms = (current.idle - current.idle_begin) / 1000.0;
	xact.max_idle_ms = current.max_idle / 1000.0;
	xact.idle_gaps = current.idle_gaps;
	xact.statements = current.statements;
	xact.subtransactions = current.subtransactions;
	xact.rows_written = current.rows_written;
	xact.wal_bytes = pgWalUsage.wal_bytes - current.wal_bytes;
	xact.nids = current.nids;
	xact.ids = current.ids;
	forget();
	dbu_event_xact_end(&xact);
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			transaction_ends(true);
			break;
		case XACT_EVENT_ABORT:
			transaction_ends(false);
			break;
		case XACT_EVENT_PREPARE:
			/* its outcome is open */
			forget();
			break;
		default:
			break;
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId self, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_START_SUB)
		current.subtransactions++;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		dbu_caught_subxact_abort();
}

void
dbu_xact_install(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
