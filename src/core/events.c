/*-------------------------------------------------------------------------
 *
 * events.c
 *	  Tells the live modules what hooks.c and transaction.c see.
 *
 * Who wants a statement is asked once, when it begins, and kept as a bit for
 * each module: the answer holds until the statement ends, whatever settings it
 * changes meanwhile.
 *
 * Each event has a list of its own, as most modules have no use for most.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/events.h"

#define MAX_LIVE 32

typedef struct Subscribers
{
	int			count;
	const DbuModule *module[MAX_LIVE];
} Subscribers;

static Subscribers of_client;
static Subscribers of_instrument;
static Subscribers of_statements;	/* a module's place is its bit in wanted */
static Subscribers of_xact_end;

static void
subscribe(Subscribers *list, const DbuModule *module, bool wants)
{
	Assert(list->count < MAX_LIVE);
	if (wants)
		list->module[list->count++] = module;
}

void
dbu_event_subscribe(const DbuModule *module)
{
	subscribe(&of_client, module, module->stmt_client != NULL);
	subscribe(&of_instrument, module, module->stmt_instrument != NULL);
	subscribe(&of_statements, module, module->stmt_want != NULL);
	subscribe(&of_xact_end, module, module->xact_end != NULL);
}

void
dbu_event_client(Oid user)
{
	for (int m = 0; m < of_client.count; m++)
		of_client.module[m]->stmt_client(user);
}

/* INSTRUMENT_* bits that somebody wants of each node. */
int
dbu_event_instrument(const DbuStatement *stmt)
{
	int			all = 0;

	for (int m = 0; m < of_instrument.count; m++)
		all |= of_instrument.module[m]->stmt_instrument(stmt);
	return all;
}

/* INSTRUMENT_* bits that somebody wants; who it is goes to wanted. */
int
dbu_event_want(const DbuStatement *stmt, uint32 *wanted)
{
	int			all = 0;

	*wanted = 0;
	for (int m = 0; m < of_statements.count; m++)
	{
		int			want = of_statements.module[m]->stmt_want(stmt);

		if (want != 0)
			*wanted |= (uint32) 1 << m;
		all |= want;
	}
	return all;
}

void
dbu_event_end(const DbuStatement *stmt, uint32 wanted)
{
	for (int m = 0; wanted != 0; m++, wanted >>= 1)
	{
		if ((wanted & 1) && of_statements.module[m]->stmt_end)
			of_statements.module[m]->stmt_end(stmt);
	}
}

/* In an error path, with the error still current. */
void
dbu_event_abort(const DbuStatement *stmt, uint32 wanted)
{
	int			sqlstate = geterrcode();

	for (int m = 0; wanted != 0; m++, wanted >>= 1)
	{
		if ((wanted & 1) && of_statements.module[m]->stmt_abort)
			of_statements.module[m]->stmt_abort(stmt, sqlstate);
	}
}

void
dbu_event_xact_end(const DbuTransaction *xact)
{
	for (int m = 0; m < of_xact_end.count; m++)
		of_xact_end.module[m]->xact_end(xact);
}
