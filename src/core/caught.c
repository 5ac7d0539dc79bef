/*-------------------------------------------------------------------------
 *
 * caught.c
 *	  Errors that functions catch.
 *
 * What plpgsql raises and catches reaches no hook.  Each report, of any level,
 * calls the callbacks of the error context: one that is pushed around the
 * client's statement notes the code of the last report.  What tells an error
 * from a notice is that the subtransaction is rolled back, which catching an
 * error is: then the last report was that error.
 *
 * All of it runs in error paths.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/caught.h"
#include "core/events.h"
#include "core/statement.h"

const DbuStatement *dbu_caught_reporter = NULL;

/* What it reported. */
static int	reported = 0;

void
dbu_caught_report(void *stmt)
{
	int			code = geterrcode();
	int			category = ERRCODE_TO_CATEGORY(code);

	if (category == ERRCODE_SUCCESSFUL_COMPLETION || category == ERRCODE_WARNING ||
		category == ERRCODE_NO_DATA)
		return;
	dbu_caught_reporter = stmt;
	reported = code;
}

/* A subtransaction is rolled back, perhaps on behalf of a running statement. */
void
dbu_caught_subxact_abort(void)
{
	const DbuStatement *stmt = dbu_caught_reporter;

	dbu_caught_reporter = NULL;
	/* outside any statement it is ROLLBACK TO, or the end of one that failed */
	if (stmt != NULL && dbu_statement_nesting > 0)
		dbu_event_caught(stmt, reported);
}
