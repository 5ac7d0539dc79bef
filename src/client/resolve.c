/*
 * resolve.c
 *		What became of a transaction whose COMMIT was not answered, by its number.
 *
 * Before COMMIT is sent a tracked session asks for the transaction's number and for
 * what tells this server's history from others: system identifier, timeline, and
 * when the statistics were last reset, which is the moment of the last crash recovery
 * (or a reset by hand, after which we only know less).
 *
 * Why a crash matters: a number whose first WAL record was not flushed yet is given
 * out again afterwards, and `committed` may then be another transaction's.  `aborted`
 * is right even so: had ours committed, its number could not have been reused.
 * After a clean restart nothing is lost, and the statistics stay.
 *
 * The timeline is that of the WAL being written, from the name of its file: the one of
 * the last checkpoint is late after a promotion.  A primary's does not change while
 * its backends live, so what one connection answers, twice, is about one history.
 *
 * No operators and no casts: the session's search_path is the user's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dbpool_outcome.h"
#include "internal.h"

#define PAUSE_FIRST_NS (5 * NS_PER_MS)
#define PAUSE_MOST_NS (200 * NS_PER_MS)

static const char identity_sql[] =
	"SELECT pg_catalog.pg_current_xact_id_if_assigned(), c.system_identifier,"
	" CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL"
	" ELSE pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) END,"
	" pg_catalog.extract('epoch', b.stats_reset)"
	" FROM pg_catalog.pg_control_system() c, pg_catalog.pg_stat_bgwriter b";

static const char status_sql[] = "SELECT pg_catalog.pg_xact_status($1)";

static const dbpool_params no_params = DBPOOL_PARAMS_INIT;

/* "1764395365.123456" in microseconds; true if that is what it is */
static bool
read_epoch(const char *text, int64_t *us)
{
	char	 *end;
	long long seconds;
	long long fraction;

	errno = 0;
	seconds = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '.' || strlen(end + 1) != 6)
		return false;
	text = end + 1;
	fraction = strtoll(text, &end, 10);
	*us = seconds * 1000000 + fraction;
	return *end == '\0';
}

/* Read the answer to identity_sql; false if it is not one. */
static bool
read_identity(const PGresult *res, dbpool_ticket *ticket)
{
	if (PQntuples(res) != 1 || PQnfields(res) != 4 || PQgetisnull(res, 0, 1) ||
		PQgetisnull(res, 0, 3) || !read_epoch(PQgetvalue(res, 0, 3), &ticket->stats_reset_us))
		return false;
	/* NULL gives an empty string, and that 0 */
	ticket->xid = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
	/* a bigint, though it is thought of as unsigned */
	ticket->system_id = (uint64_t) strtoll(PQgetvalue(res, 0, 1), NULL, 10);
	ticket->timeline = (uint32_t) strtoul(PQgetvalue(res, 0, 2), NULL, 16);
	ticket->tracked = 1;
	return ticket->system_id != 0;
}

/*
 * Fill a ticket from a connection.  Errors: as dbpool_exec.
 */
int
dbpool__ticket_fill(dbpool_lease lease, int64_t deadline, dbpool_ticket *ticket, dbpool_error *err)
{
	PGresult *res;
	int		  code = dbpool_exec(lease, deadline, identity_sql, &no_params, &res, err);

	*ticket = (dbpool_ticket) DBPOOL_TICKET_INIT;
	if (code == DBPOOL_OK && !read_identity(res, ticket))
	{
		*ticket = (dbpool_ticket) DBPOOL_TICKET_INIT;
		code = dbpool__fail(err, DBPOOL_EQUERY, 0, NULL, "the server did not say which one it is");
	}
	PQclear(res);
	return code;
}

/*
 * The server's word on a transaction of its own history.  EEND: ask again later.
 */
static int
ask(dbpool_lease lease, int64_t deadline, const dbpool_ticket *ticket, bool crashed, int *fate,
	dbpool_error *err)
{
	char		  number[24];
	const char	 *values[] = {number};
	dbpool_params params = {.size = sizeof(params), .n = 1, .values = values};
	PGresult	 *res;
	const char	 *status;
	int			  code;

	snprintf(number, sizeof(number), "%llu", (unsigned long long) ticket->xid);
	code = dbpool_exec(lease, deadline, status_sql, &params, &res, err);
	if (code == DBPOOL_EQUERY && strcmp(err->sqlstate, "22023") == 0)
	{
		/* "in the future": the crash took all of it, and the number is yet to be given out */
		*fate = DBPOOL_ABORTED;
		return DBPOOL_OK;
	}
	if (code != DBPOOL_OK)
		return code;
	status = PQgetisnull(res, 0, 0) ? "" : PQgetvalue(res, 0, 0);
	if (strcmp(status, "aborted") == 0)
		*fate = DBPOOL_ABORTED;
	else if (strcmp(status, "committed") == 0 && !crashed)
		*fate = DBPOOL_COMMITTED;
	else if (strcmp(status, "in progress") == 0)
		code = DBPOOL_EEND;
	else if (status[0] == '\0')
		code = dbpool__fail(err, DBPOOL_EUNRESOLVED, 0, NULL,
							"transaction %s is so old that the server has forgotten it", number);
	else
		code = dbpool__fail(err, DBPOOL_EUNRESOLVED, 0, NULL,
							"the server crashed meanwhile, so that transaction %s may be another one",
							number);
	PQclear(res);
	return code;
}

/* One look, on one connection.  EEND: ask again later, *why says what for. */
static int
look(dbpool_lease lease, int64_t deadline, const dbpool_ticket *ticket, int *fate, const char **why,
	 dbpool_error *err)
{
	dbpool_ticket now;
	int			  code = dbpool__ticket_fill(lease, deadline, &now, err);

	if (code != DBPOOL_OK)
		return code;
	if (now.system_id != ticket->system_id)
		return dbpool__fail(err, DBPOOL_EUNRESOLVED, 0, NULL,
							"another database system (%llu) answers than the one it ran on (%llu)",
							(unsigned long long) now.system_id,
							(unsigned long long) ticket->system_id);
	if (now.timeline == 0)
	{
		*why = "only a standby answers";
		return DBPOOL_EEND;
	}
	if (now.timeline != ticket->timeline)
		return dbpool__fail(err, DBPOOL_EUNRESOLVED, 0, NULL,
							"the server is on timeline %u, the transaction was on %u", now.timeline,
							ticket->timeline);
	*why = "the transaction is in progress";
	return ask(lease, deadline, ticket, now.stats_reset_us != ticket->stats_reset_us, fate, err);
}

/*
 * Look until it is known or the deadline passes.  After a lost connection the next is
 * tried soon: the other ones may be as old.
 */
static int
look_until(dbpool_pool *pool, const dbpool_ticket *ticket, int64_t deadline, int *fate,
		   dbpool_error *err)
{
	int64_t pause = PAUSE_FIRST_NS;

	for (;;)
	{
		dbpool_lease lease = DBPOOL_LEASE_INIT;
		const char	*why = "";
		int64_t		 now;
		bool		 lost;
		int			 code = dbpool_acquire(pool, deadline, &lease, err);

		if (code != DBPOOL_OK)
			return code;
		code = look(lease, deadline, ticket, fate, &why, err);
		dbpool_release(&lease);
		lost = code == DBPOOL_ECONNLOST;
		if (lost)
			why = "the connection was lost";
		else if (code != DBPOOL_EEND)
			return code;
		now = dbpool__now();
		if (lost)
			pause = PAUSE_FIRST_NS;
		if (pause > deadline - now)
			return dbpool__fail(err, DBPOOL_ETIMEDOUT, 0, NULL, "not known at the deadline: %s", why);
		code = dbpool__pause(pool, dbpool__after(now, pause), err);
		if (code != DBPOOL_OK)
			return code;
		pause = pause * 2 < PAUSE_MOST_NS ? pause * 2 : PAUSE_MOST_NS;
	}
}

int
dbpool_resolve(dbpool_pool *pool, const dbpool_ticket *ticket, int64_t deadline, int *fate,
			   dbpool_error *err)
{
	dbpool_error own = DBPOOL_ERROR_INIT;
	int			 code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (fate != NULL)
		*fate = DBPOOL_UNKNOWN;
	if (fate == NULL || ticket == NULL || ticket->size < sizeof(*ticket))
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"ticket must be that of a session, fate must not be NULL");
	code = dbpool__pool_lock(pool, err);
	if (code != DBPOOL_OK)
		return code;
	if (deadline == DBPOOL_DEADLINE_DEFAULT)
		deadline = dbpool_deadline_ms(pool->config.acquire_timeout_ms);
	pthread_mutex_unlock(&pool->lock);
	if (ticket->tracked == 0)
		return dbpool__fail(err, DBPOOL_EUNRESOLVED, 0, NULL,
							"the transaction was not tracked: begin it with DBPOOL_TX_TRACK");
	if (ticket->xid == 0)
	{
		/* it had written nothing: there is no difference */
		*fate = DBPOOL_COMMITTED;
		return dbpool__ok(err);
	}
	code = look_until(pool, ticket, deadline, fate, &own);
	if (code == DBPOOL_OK)
		return dbpool__ok(err);
	/* these are about our questions, not about the transaction */
	own.flags &= ~(DBPOOL_OUTCOME_UNKNOWN | DBPOOL_TX_ABORTED);
	return dbpool__copy_error(err, &own);
}
