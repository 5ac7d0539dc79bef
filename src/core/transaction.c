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
 * The clock is read once at the end, and once more before the commit record
 * is written.  A transaction without identifier has no such record.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/events.h"
#include "core/transaction.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "utils/timestamp.h"

bool		dbu_xact_in_procedure = false;

static uint32 statements = 0;
static TimestampTz precommit = 0;	/* 0: no commit record is written */

/* What the current transaction does with one that was prepared before. */
static enum
{
	DECIDES_NONE,
	DECIDES_COMMIT,
	DECIDES_ROLLBACK
}			decides = DECIDES_NONE;

/* A statement begins at this depth. Callable in error paths. */
void
dbu_xact_count(int nesting)
{
	if (nesting == 0 || (statements == 0 && dbu_xact_in_procedure))
		statements++;
}

/* COMMIT PREPARED or ROLLBACK PREPARED begins. */
void
dbu_xact_decide_prepared(bool commit)
{
	decides = commit ? DECIDES_COMMIT : DECIDES_ROLLBACK;
	precommit = GetCurrentTimestamp();
}

/* At XACT_EVENT_COMMIT an error would be a PANIC. */
static void
transaction_ends(bool committed)
{
	DbuTransaction xact = {0};
	TimestampTz now;
	TimestampTz before = precommit;
	bool		decided = committed && decides != DECIDES_NONE;

	xact.committed = committed && decides != DECIDES_ROLLBACK;
	xact.statements = statements;
	statements = 0;
	precommit = 0;
	decides = DECIDES_NONE;
	if (xact.statements == 0 || !dbu_enabled)
		return;

	now = GetCurrentTimestamp();
	/* the system's clock may have been set back meanwhile */
	if (xact.committed && before != 0)
		xact.commit_ms = Max(now - before, 0) / 1000.0;
	xact.duration_ms = Max(now - GetCurrentTransactionStartTimestamp(), 0) / 1000.0;
	/* whatever is prepared was given an identifier */
	xact.wrote = decided || TransactionIdIsValid(GetTopTransactionIdIfAny());
	dbu_event_xact_end(&xact);
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (statements > 0 && precommit == 0 &&
				TransactionIdIsValid(GetTopTransactionIdIfAny()))
				precommit = GetCurrentTimestamp();
			break;
		case XACT_EVENT_COMMIT:
			transaction_ends(true);
			break;
		case XACT_EVENT_ABORT:
			transaction_ends(false);
			break;
		case XACT_EVENT_PREPARE:
			/* its outcome is open */
			statements = 0;
			precommit = 0;
			break;
		default:
			break;
	}
}

void
dbu_xact_install(void)
{
	RegisterXactCallback(xact_callback, NULL);
}
