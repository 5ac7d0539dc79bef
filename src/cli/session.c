/*
 * session.c
 *		The one connection of the dbutil command, through libdbpool.
 *
 * A pool of one, for its deadlines: a server that does not answer ends a probe at
 * the time that was asked for, whatever state the network is in.
 */
#include <stdio.h>
#include <string.h>

#include <libpq-events.h>

#include "cli.h"

#define FAILURE_SEEN_MS 20		/* after so long at most */

/* A pool for one connection; conninfo "" stands for libpq's PG* variables. */
static int
open_pool(const char *dsn, long timeout_s, dbpool_pool **pool, dbpool_error *err)
{
	char		timeout_ms[32];
	const char *const settings[][2] = {
		{"name", "dbutil"},
		{"min", "1"},
		{"max", "1"},
		{"connect_timeout_ms", timeout_ms},
		{"conninfo", dsn},
	};
	dbpool_config *config = dbpool_config_new();
	int			code = DBPOOL_OK;

	if (config == NULL)
	{
		err->code = DBPOOL_ENOMEM;
		snprintf(err->message, sizeof(err->message), "%s", dbpool_strerror(DBPOOL_ENOMEM));
		return DBPOOL_ENOMEM;
	}
	snprintf(timeout_ms, sizeof(timeout_ms), "%ld", timeout_s * 1000);
	for (size_t i = 0; code == DBPOOL_OK && i < sizeof(settings) / sizeof(settings[0]); i++)
		code = dbpool_config_set(config, settings[i][0], settings[i][1], err);
	if (code == DBPOOL_OK)
		code = dbpool_open(config, pool, err);
	dbpool_config_free(config);
	return code;
}

/*
 * Borrow the connection.  A pool tries again until the deadline; here the first
 * failure to connect is the answer, whose reason the pool's message ends with.
 */
static int
acquire(CliSession *session, dbpool_error *err)
{
	static const char reason[] = "last connect error: ";
	dbpool_stats stats = DBPOOL_STATS_INIT;
	dbpool_error ignored = DBPOOL_ERROR_INIT;
	int64_t		step;
	char	   *found;
	int			code;

	do
	{
		step = dbpool_deadline_ms(FAILURE_SEEN_MS);
		if (step > session->deadline)
			step = session->deadline;
		code = dbpool_acquire(session->pool, step, &session->lease, err);
		if (code != DBPOOL_ETIMEDOUT)
			return code;
		code = dbpool_pool_stats(session->pool, &stats, &ignored);
	} while (code == DBPOOL_OK && stats.connects_failed == 0 && step < session->deadline);
	found = strstr(err->message, reason);
	if (found != NULL)
	{
		err->code = DBPOOL_ECONNECT;
		found += strlen(reason);
		memmove(err->message, found, strlen(found) + 1);
	}
	return err->code;
}

/* Keep what an error says beyond its first line, which dbpool_error has no room for. */
static int
keep_more(PGEventId event, void *info, void *through)
{
	CliSession *session = through;
	const PGresult *result;
	const char *detail;
	const char *hint;

	if (event != PGEVT_RESULTCREATE)
		return true;
	result = ((PGEventResultCreate *) info)->result;
	if (PQresultStatus(result) != PGRES_FATAL_ERROR)
		return true;
	detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	snprintf(session->more, sizeof(session->more), "%s%s%s%s%s%s",
			 detail != NULL ? "DETAIL:  " : "", detail != NULL ? detail : "", detail != NULL ? "\n" : "",
			 hint != NULL ? "HINT:  " : "", hint != NULL ? hint : "", hint != NULL ? "\n" : "");
	return true;
}

/*
 * Connect.  Everything on the session, this included, has to end within the
 * timeout.  On failure there is nothing to disconnect.
 */
int
cli_connect(CliSession *session, const char *dsn, long timeout_s, dbpool_error *err)
{
	PGresult   *result;
	int			code;

	session->deadline = dbpool_deadline_ms(timeout_s * 1000);
	code = open_pool(dsn != NULL ? dsn : "", timeout_s, &session->pool, err);
	if (code != DBPOOL_OK)
		return code;
	code = acquire(session, err);
	if (code == DBPOOL_OK)
	{
		/* stays until the connection is closed, as it is at the end (cli_disconnect) */
		(void) PQregisterEventProc(dbpool_conn(session->lease), keep_more, "dbutil", session);
		/* nothing that lies in wait in other schemas is to be called */
		code = dbpool_exec(session->lease, session->deadline,
						   "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)",
						   NULL, &result, err);
		if (code == DBPOOL_OK)
			PQclear(result);
	}
	if (code != DBPOOL_OK)
		cli_disconnect(session);
	return code;
}

/* Tell a failure on stderr, with what the server added to it. */
void
cli_print_error(const CliSession *session, const char *doing, const dbpool_error *err)
{
	fprintf(stderr, "dbutil: error: %s%s%s\n%s", doing, doing[0] != '\0' ? ": " : "", err->message,
			err->code == DBPOOL_EQUERY ? session->more : "");
}

/* One statement with n text parameters. */
int
cli_query(CliSession *session, const char *sql, int n, const char *const *values,
		  PGresult **result, dbpool_error *err)
{
	dbpool_params params = DBPOOL_PARAMS_INIT;

	params.n = n;
	params.values = values;
	return dbpool_exec(session->lease, session->deadline, sql, &params, result, err);
}

void
cli_disconnect(CliSession *session)
{
	dbpool_error ignored = DBPOOL_ERROR_INIT;

	dbpool_discard(&session->lease);
	if (session->pool != NULL)
		/* what the server has not answered by now is no loss: the process ends */
		(void) dbpool_close(session->pool, dbpool_deadline_ms(1000), &ignored);
	session->pool = NULL;
}
