/*-------------------------------------------------------------------------
 *
 * run.c
 *	  Execute something under a time limit, then undo it.
 *
 * It runs in an internal subtransaction that is rolled back in every case: an
 * error as well must not leave the caller, who may catch it, inside of it.
 *
 * The time limit is a timer of our own: setting statement_timeout inside a
 * statement arms nothing.  When it fires it asks for a query cancel, as the
 * user's own cancel and statement_timeout do, and leaves a mark.  The error
 * that follows becomes ours only if it is the one for a plain cancel and the
 * mark is there; statement_timeout and lock_timeout have errors of their own
 * and pass.  A cancel by the user that arrives together with our timer ends in
 * our error: the statement is cancelled, with the same SQLSTATE.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timeout.h"

static TimeoutId run_timeout = MAX_TIMEOUTS;	/* MAX_TIMEOUTS: not registered */
static volatile sig_atomic_t timed_out = false;
static bool running = false;

/* In a signal handler: stores only. */
static void
timeout_handler(void)
{
	/* a cancel that is on its way already needs no second reason */
	if (proc_exit_inprogress || QueryCancelPending)
		return;
	timed_out = true;
	InterruptPending = true;
	QueryCancelPending = true;
}

pg_noreturn static void
raise_timed_out(int timeout_ms)
{
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("canceling the analyzed statement due to the parameter \"timeout\" (%d ms)", timeout_ms),
			 errhint("Pass a longer timeout, or analyze the statement without run => true.")));
}

/*
 * Did our timer end what gave this error (NULL: what ended well)?  A request
 * of ours that nobody has served yet is taken back, as it would hit the
 * caller, unless another timer may stand behind it too.
 */
static bool
ended_by_timer(const ErrorData *error)
{
	if (!timed_out)
		return false;
	if (QueryCancelPending)
	{
		if (get_timeout_indicator(STATEMENT_TIMEOUT, false) ||
			get_timeout_indicator(LOCK_TIMEOUT, false))
			return false;
		QueryCancelPending = false;
		return true;
	}
	return error == NULL ||
		(error->sqlerrcode == ERRCODE_QUERY_CANCELED && error->message_id != NULL &&
		 strcmp(error->message_id, "canceling statement due to user request") == 0);
}

/*
 * Calls run(arg) in the caller's memory context, for at most timeout_ms.
 * What it allocates stays; what it does to the database is undone.
 */
void
dbu_explain_run_undone(DbuRunFunction run, void *arg, int timeout_ms)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
	bool		late;

	if (running)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot run a statement for analysis inside another one"),
				 errhint("Call the analysis with run => true outside the analyzed statement.")));
	if (run_timeout == MAX_TIMEOUTS)
		run_timeout = RegisterTimeout(USER_TIMEOUT, timeout_handler);

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	running = true;
	timed_out = false;
	PG_TRY();
	{
		enable_timeout_after(run_timeout, timeout_ms);
		run(arg);
		disable_timeout(run_timeout, false);
	}
	PG_CATCH();
	{
		disable_timeout(run_timeout, false);
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();

	running = false;
	late = ended_by_timer(error);
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;

	if (late)
		raise_timed_out(timeout_ms);
	if (error != NULL)
		ReThrowError(error);
}
