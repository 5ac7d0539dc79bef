/*
 * keys.c
 *		Idempotency keys: a transaction writes a key under a unique index, so it
 *		cannot be done twice, and whether it was done can be asked of any server that
 *		has its data.
 *
 * ON CONFLICT (key) DO NOTHING does all of it: it waits for a transaction under way that
 * has the key, it needs the index (42P10 without), and its error leaves the transaction
 * usable.  That no row was written may have another reason (a trigger), so the key is
 * looked for before it is said to be there.
 */
#include <stdlib.h>

#include "dbpool_outcome.h"
#include "internal.h"
#include "text.h"

/* Run a statement on the table with the key as its parameter; *n is its rows. */
static int
run(dbpool_session *session, const char *before, const char *table, const char *after,
	const char *key, long *n, dbpool_error *err)
{
	const char	 *values[] = {key};
	dbpool_params params = {.size = sizeof(params), .n = 1, .values = values};
	PGresult	 *res = NULL;
	dbpool__text  sql = {0};
	int			  code;

	dbpool__text_add(&sql, before);
	if (!dbpool__text_table(&sql, table))
		code = dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"table must be \"name\" or \"schema.name\"");
	else
	{
		dbpool__text_add(&sql, after);
		code = sql.failed
			? dbpool__fail(err, DBPOOL_ENOMEM, DBPOOL_NOT_SENT, NULL, "out of memory")
			: dbpool_exec(session->lease, session->deadline, sql.data, &params, &res, err);
	}
	*n = code == DBPOOL_OK ? strtol(PQcmdTuples(res), NULL, 10) : 0;
	PQclear(res);
	dbpool__text_free(&sql);
	return code;
}

int
dbpool_session_key(dbpool_session *session, const char *table, const char *key, dbpool_error *err)
{
	long n;
	int	 code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (session == NULL || session->size < sizeof(*session) || session->fate != DBPOOL_OPEN)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"the session has no open transaction");
	if (table == NULL || key == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"table and key must not be NULL");
	code = run(session, "INSERT INTO ", table, " (key) VALUES ($1) ON CONFLICT (key) DO NOTHING", key,
			   &n, err);
	if (code != DBPOOL_OK)
		return code;
	if (n == 1)
	{
		session->keyed = DBPOOL_KEY_WRITTEN;
		return dbpool__ok(err);
	}
	code = run(session, "SELECT FROM ", table, " WHERE key OPERATOR(pg_catalog.=) $1", key, &n, err);
	if (code != DBPOOL_OK)
		return code;
	if (n == 0)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"the table \"%.100s\" neither took the key nor has it: look at its "
							"triggers and policies",
							table);
	session->keyed = DBPOOL_KEY_FOUND;
	return dbpool__fail(err, DBPOOL_EDONE, 0, NULL,
						"a transaction with the key \"%.100s\" has committed", key);
}

typedef struct
{
	const char *table;
	const char *key;
	bool		absent;
} probe;

/* Could it be written now?  Then it is not there.  Never commits. */
static int
probe_key(dbpool_session *session, void *arg, dbpool_error *err)
{
	probe *p = arg;
	int	   code = dbpool_session_key(session, p->table, p->key, err);

	p->absent = code == DBPOOL_OK;
	return code == DBPOOL_OK ? -1 : code;
}

int
dbpool_resolve_key(dbpool_pool *pool, const char *table, const char *key, int64_t deadline, int *fate,
				   dbpool_error *err)
{
	dbpool_session session = DBPOOL_SESSION_INIT;
	dbpool_error   own = DBPOOL_ERROR_INIT;
	probe		   p = {table, key, false};
	int			   code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (fate == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL, "fate must not be NULL");
	*fate = DBPOOL_UNKNOWN;
	/* so that it sees what was committed while it waited */
	session.begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
	code = dbpool_transaction(pool, deadline, &session, probe_key, &p, &own);
	if (code == DBPOOL_EDONE)
		*fate = DBPOOL_COMMITTED;
	else if (code == -1 && p.absent)
		*fate = DBPOOL_ABORTED;
	if (*fate != DBPOOL_UNKNOWN)
		return dbpool__ok(err);
	own.flags &= ~DBPOOL_TX_ABORTED;
	return dbpool__copy_error(err, &own);
}
