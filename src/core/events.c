/*-------------------------------------------------------------------------
 *
 * events.c
 *	  Tells the live modules what hooks.c and transaction.c see.
 *
 * Who wants a statement is asked once, when it begins, and kept as a bit for
 * each module: the answer holds until the statement ends, whatever settings it
 * changes meanwhile.
 *
 * The other events have one subscriber at most, and cost a call through a pointer.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/events.h"

#define MAX_STATEMENTS 32		/* bits in wanted */

static const DbuModule *of_statements[MAX_STATEMENTS];	/* a module's place is its bit in wanted */
static int	nstatements = 0;

DbuEvents	dbu_events;

#define SUBSCRIBE(event, callback) \
	do { \
		Assert((callback) == NULL || dbu_events.event == NULL); \
		if ((callback) != NULL) \
			dbu_events.event = (callback); \
	} while (0)

void
dbu_event_subscribe(const DbuModule *module)
{
	SUBSCRIBE(client, module->stmt_client);
	SUBSCRIBE(instrument, module->stmt_instrument);
	SUBSCRIBE(caught, module->stmt_caught);
	SUBSCRIBE(error_logged, module->error_logged);
	SUBSCRIBE(xact_begin, module->xact_begin);
	SUBSCRIBE(xact_end, module->xact_end);
	if (module->stmt_want != NULL)
	{
		Assert(nstatements < MAX_STATEMENTS);
		of_statements[nstatements++] = module;
	}
}

/* DBU_WANT_* bits that somebody wants; who it is goes to wanted. */
int
dbu_event_want(const DbuStatement *stmt, uint32 *wanted)
{
	uint32		who = 0;
	int			all = 0;

	for (int m = 0; m < nstatements; m++)
	{
		int			want = of_statements[m]->stmt_want(stmt);

		who |= (uint32) (want != 0) << m;
		all |= want;
	}
	*wanted = who;
	return all;
}

void
dbu_event_end(const DbuStatement *stmt, uint32 wanted)
{
	for (int m = 0; wanted != 0; m++, wanted >>= 1)
	{
		if ((wanted & 1) && of_statements[m]->stmt_end)
			of_statements[m]->stmt_end(stmt);
	}
}

/* In an error path, with the error still current. */
void
dbu_event_abort(const DbuStatement *stmt, uint32 wanted)
{
	int			sqlstate = geterrcode();

	for (int m = 0; wanted != 0; m++, wanted >>= 1)
	{
		if ((wanted & 1) && of_statements[m]->stmt_abort)
			of_statements[m]->stmt_abort(stmt, sqlstate);
	}
}
