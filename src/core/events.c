/*-------------------------------------------------------------------------
 *
 * events.c
 *	  Tells the live modules what hooks.c and transaction.c see.
 *
 * Who wants a statement is asked once, when it begins, and kept as a bit for
 * each module: the answer holds until the statement ends, whatever settings it
 * changes meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/events.h"

static const DbuModule *live[32];
static int	nlive = 0;

void
dbu_event_subscribe(const DbuModule *module)
{
	Assert(nlive < (int) lengthof(live));
	live[nlive++] = module;
}

void
dbu_event_client(Oid user)
{
	for (int m = 0; m < nlive; m++)
	{
		if (live[m]->stmt_client)
			live[m]->stmt_client(user);
	}
}

/* INSTRUMENT_* bits that somebody wants; who it is goes to wanted. */
int
dbu_event_want(const DbuStatement *stmt, uint32 *wanted)
{
	int			all = 0;

	*wanted = 0;
	for (int m = 0; m < nlive; m++)
	{
		int			want = live[m]->stmt_want ? live[m]->stmt_want(stmt) : 0;

		if (want != 0)
			*wanted |= (uint32) 1 << m;
		all |= want;
	}
	return all;
}

void
dbu_event_end(const DbuStatement *stmt, uint32 wanted)
{
	for (int m = 0; m < nlive; m++)
	{
		if ((wanted & ((uint32) 1 << m)) && live[m]->stmt_end)
			live[m]->stmt_end(stmt);
	}
}

/* In an error path, with the error still current. */
void
dbu_event_abort(const DbuStatement *stmt, uint32 wanted)
{
	int			sqlstate = geterrcode();

	for (int m = 0; m < nlive; m++)
	{
		if ((wanted & ((uint32) 1 << m)) && live[m]->stmt_abort)
			live[m]->stmt_abort(stmt, sqlstate);
	}
}

void
dbu_event_xact_end(const DbuTransaction *xact)
{
	for (int m = 0; m < nlive; m++)
	{
		if (live[m]->xact_end)
			live[m]->xact_end(xact);
	}
}
