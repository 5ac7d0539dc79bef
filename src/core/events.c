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

/* A list of callbacks ends with a NULL. */
#define MAX_LIVE 32

static void (*of_client[MAX_LIVE + 1]) (Oid);
static int	(*of_instrument[MAX_LIVE + 1]) (const DbuStatement *);
static const DbuModule *of_statements[MAX_LIVE];	/* a module's place is its bit in wanted */
static int	nstatements = 0;
static void (*of_caught[MAX_LIVE + 1]) (const DbuStatement *, int);
static void (*of_error_logged[MAX_LIVE + 1]) (Oid, int);
static void (*of_xact_begin[MAX_LIVE + 1]) (void);
static void (*of_xact_end[MAX_LIVE + 1]) (const DbuTransaction *);

#define SUBSCRIBE(list, callback) \
	do { \
		int			place = 0; \
		while ((list)[place] != NULL) \
			place++; \
		Assert(place < MAX_LIVE); \
		(list)[place] = (callback); \
	} while (0)

void
dbu_event_subscribe(const DbuModule *module)
{
	SUBSCRIBE(of_client, module->stmt_client);
	SUBSCRIBE(of_instrument, module->stmt_instrument);
	SUBSCRIBE(of_caught, module->stmt_caught);
	SUBSCRIBE(of_error_logged, module->error_logged);
	SUBSCRIBE(of_xact_begin, module->xact_begin);
	SUBSCRIBE(of_xact_end, module->xact_end);
	if (module->stmt_want != NULL)
	{
		Assert(nstatements < MAX_LIVE);
		of_statements[nstatements++] = module;
	}
}

void
dbu_event_client(Oid user)
{
	for (int m = 0; of_client[m] != NULL; m++)
		of_client[m] (user);
}

/* INSTRUMENT_* bits that somebody wants of each node. */
int
dbu_event_instrument(const DbuStatement *stmt)
{
	int			all = 0;

	for (int m = 0; of_instrument[m] != NULL; m++)
		all |= of_instrument[m] (stmt);
	return all;
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

		if (want != 0)
			who |= (uint32) 1 << m;
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

void
dbu_event_caught(const DbuStatement *stmt, int sqlstate)
{
	for (int m = 0; of_caught[m] != NULL; m++)
		of_caught[m] (stmt, sqlstate);
}

void
dbu_event_error_logged(Oid user, int sqlstate)
{
	for (int m = 0; of_error_logged[m] != NULL; m++)
		of_error_logged[m] (user, sqlstate);
}

void
dbu_event_xact_begin(void)
{
	for (int m = 0; of_xact_begin[m] != NULL; m++)
		of_xact_begin[m] ();
}

void
dbu_event_xact_end(const DbuTransaction *xact)
{
	for (int m = 0; of_xact_end[m] != NULL; m++)
		of_xact_end[m] (xact);
}
