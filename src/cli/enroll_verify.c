/*
 * enroll_verify.c
 *		Sees that an enrolled service has its settings: in pg_db_role_setting, and in
 *		a session of the service's own.
 *
 * A session can differ from the catalog: its connection string may set something
 * else, a pooler may hand out a connection that is older than the settings.  Its
 * values are in canonical form (30s for 30000ms), so that expected is what the
 * administrator's session makes of the same text.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "enroll.h"

/* One row or an error that is told; *result is the caller's. */
static bool
ask(CliSession *session, const char *sql, int n, const char *const *values, PGresult **result)
{
	dbpool_error err = DBPOOL_ERROR_INIT;

	if (cli_query(session, sql, n, values, result, &err) != DBPOOL_OK)
	{
		cli_print_error(session, "cannot verify", &err);
		return false;
	}
	return true;
}

static const char *
or_null(const PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static const char *
shown(const char *value)
{
	return value != NULL ? value : "not set";
}

bool
cli_verify_catalog(CliSession *session, const char *database, const char *role, const PGresult *done)
{
	int			seen = 0;

	for (int i = 0; i < PQntuples(done); i++)
	{
		const char *values[3] = {database, role, PQgetvalue(done, i, COL_ITEM)};
		const char *expected = or_null(done, i, COL_NEW);
		PGresult   *result;
		bool		good;

		if (!cli_enroll_in_force(done, i))
			continue;
		if (!ask(session, "SELECT dbutil.enrolled_value($1::name, $2::name, $3)", 3, values, &result))
			return false;
		good = same(or_null(result, 0, 0), expected);
		if (!good)
			fprintf(stderr, "dbutil: error: cannot verify: %s is %s, not %s: somebody else has changed it\n",
					values[2], shown(or_null(result, 0, 0)), shown(expected));
		PQclear(result);
		if (!good)
			return false;
		seen++;
	}
	printf("Verified: %d setting%s in the catalog\n", seen, seen == 1 ? "" : "s");
	return true;
}

/* Is the session one of the role in the database? */
static bool
is_service(CliSession *live, const char *database, const char *role)
{
	PGresult   *result;
	bool		good;

	if (!ask(live, "SELECT current_database(), session_user", 0, NULL, &result))
		return false;
	good = strcmp(PQgetvalue(result, 0, 0), database) == 0 && strcmp(PQgetvalue(result, 0, 1), role) == 0;
	if (!good)
		fprintf(stderr, "dbutil: error: cannot verify: --verify-dsn connects as role \"%s\" to database \"%s\", "
				"not as \"%s\" to \"%s\"\n", PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 0), role, database);
	PQclear(result);
	return good;
}

/* One setting in the live session; expected NULL: it does not come from the role in the database. */
static bool
verify_setting(CliSession *session, CliSession *live, const char *name, const char *expected)
{
	const char *values[2] = {name, expected};
	PGresult   *wanted;
	PGresult   *found = NULL;
	bool		good;

	if (expected == NULL)
	{
		if (!ask(live, "SELECT current_setting($1, true) FROM pg_settings WHERE name = $1 AND source = 'database user'",
				 1, values, &found))
			return false;
		good = PQntuples(found) == 0;
		if (!good)
			fprintf(stderr, "dbutil: error: cannot verify: a new session still has %s = %s from before\n",
					name, PQgetvalue(found, 0, 0));
		PQclear(found);
		return good;
	}
	/* for this one statement */
	if (!ask(session, "SELECT set_config($1, $2, true)", 2, values, &wanted))
		return false;
	good = ask(live, "SELECT current_setting($1, true)", 1, values, &found);
	if (good && !same(or_null(found, 0, 0), or_null(wanted, 0, 0)))
	{
		fprintf(stderr, "dbutil: error: cannot verify: a new session has %s = %s, not %s\n"
				"HINT:  Its connection string may set it, or a pooler may have handed out an old connection.\n",
				name, shown(or_null(found, 0, 0)), shown(or_null(wanted, 0, 0)));
		good = false;
	}
	PQclear(found);
	PQclear(wanted);
	return good;
}

bool
cli_verify_session(CliSession *session, const char *verify_dsn, long timeout_s, const char *database,
				   const char *role, const PGresult *done)
{
	CliSession	live = CLI_SESSION_INIT;
	dbpool_error err = DBPOOL_ERROR_INIT;
	int			seen = 0;
	bool		good;

	if (cli_connect(&live, verify_dsn, timeout_s, &err) != DBPOOL_OK)
	{
		cli_print_error(&live, "cannot verify: cannot connect by --verify-dsn", &err);
		return false;
	}
	good = is_service(&live, database, role);
	for (int i = 0; good && i < PQntuples(done); i++)
	{
		const char *name = PQgetvalue(done, i, COL_ITEM);

		/* these two are of the role, not of its sessions */
		if (!cli_enroll_in_force(done, i) || strcmp(name, "connection limit") == 0 ||
			strcmp(name, "membership in pg_monitor") == 0)
			continue;
		good = verify_setting(session, &live, name, or_null(done, i, COL_NEW));
		seen++;
	}
	cli_disconnect(&live);
	if (good)
		printf("Verified: %d setting%s in a new session of role %s\n", seen, seen == 1 ? "" : "s", role);
	return good;
}
