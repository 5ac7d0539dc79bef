/*
 * top_read.c
 *		Reads the counters for dbutil top: of the extension, or of pg_stat_statements
 *		and pg_stat_activity.
 *
 * All sources give the same columns, NULL for what they do not know.  Rows are
 * sorted by key bytewise, so that top_frame.c finds those of the reading before
 * without a table of its own.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "top.h"

/* key, name, sessions, active, idle in transaction, calls, errors, ms, commits, rollbacks */
static const char *const services_extension =
	"SELECT s.service, s.service, s.connections, s.active, s.idle_in_transaction, s.calls, s.errors, s.total_exec_time,"
	"	s.commits, s.rollbacks"
	" FROM dbutil.services AS s WHERE $1::text IS NULL OR s.service = $1"
	" ORDER BY s.service COLLATE \"C\"";

static const char *const services_activity =
	"SELECT a.application_name, coalesce(nullif(a.application_name, ''), '(no name)'), count(*),"
	"	count(*) FILTER (WHERE a.state = 'active'), count(*) FILTER (WHERE a.state LIKE 'idle in transaction%'),"
	"	NULL, NULL, NULL, NULL, NULL"
	" FROM pg_stat_activity AS a"
	" WHERE a.datid IS NOT NULL AND a.application_name IS NOT NULL AND ($1::text IS NULL OR a.application_name = $1)"
	" GROUP BY a.application_name ORDER BY a.application_name COLLATE \"C\"";

/* key, whose, calls, errors, ms, rows, text; nested statements are in the time of others */
static const char *const statements_extension =
	"SELECT * FROM (SELECT concat_ws(' ', s.dbid, s.userid, s.queryid, s.service) AS key, s.service, s.calls, s.errors,"
	"	s.total_exec_time, s.rows, left(s.query, 300)"
	" FROM dbutil.statements(true) AS s"
	" WHERE s.toplevel AND s.queryid IS NOT NULL AND ($1::text IS NULL OR s.service = $1)) AS k"
	" ORDER BY k.key COLLATE \"C\"";

#define STATEMENTS_PGSS \
	"SELECT * FROM (SELECT concat_ws(' ', s.dbid, s.userid, s.queryid) AS key, r.rolname, s.calls, NULL," \
	"	s.total_exec_time, s.rows, left(s.query, 300)" \
	" FROM %s.pg_stat_statements AS s LEFT JOIN pg_roles AS r ON r.oid = s.userid" \
	" WHERE s.toplevel AND s.queryid IS NOT NULL) AS k" \
	" ORDER BY k.key COLLATE \"C\""

static double
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec * 1000.0 + (double) now.tv_nsec / 1000000.0;
}

/* Find out what the database has to read from. */
int
top_find_source(Top *top, bool no_extension, dbpool_error *err)
{
	PGresult   *result;
	int			code;

	code = cli_query(&top->session,
					 "SELECT e.extname, quote_ident(n.nspname) FROM pg_extension AS e"
					 " JOIN pg_namespace AS n ON n.oid = e.extnamespace"
					 " WHERE e.extname IN ('dbutil', 'pg_stat_statements') ORDER BY e.extname", 0, NULL, &result, err);
	if (code != DBPOOL_OK)
		return code;
	top->source = TOP_ACTIVITY;
	for (int i = PQntuples(result) - 1; i >= 0; i--)
		if (strcmp(PQgetvalue(result, i, 0), "dbutil") != 0)
		{
			top->source = TOP_PGSS;
			snprintf(top->pgss_schema, sizeof(top->pgss_schema), "%s", PQgetvalue(result, i, 1));
		}
		else if (!no_extension)
			top->source = TOP_EXTENSION;
	PQclear(result);
	return DBPOOL_OK;
}

void
top_forget(TopReading *reading)
{
	PQclear(reading->services);
	PQclear(reading->statements);
	memset(reading, 0, sizeof(*reading));
}

/* Take a reading; the one before stays, the one before that is forgotten. */
int
top_read(Top *top, dbpool_error *err)
{
	TopReading	reading = {0};
	char		pgss[sizeof(STATEMENTS_PGSS) + sizeof(top->pgss_schema)];
	const char *values[1] = {top->service};
	int			code;

	top->session.deadline = dbpool_deadline_ms(top->timeout_s * 1000);
	code = cli_query(&top->session, top->source == TOP_EXTENSION ? services_extension : services_activity,
					 1, values, &reading.services, err);
	reading.at_ms = clock_ms();
	if (code == DBPOOL_OK && top->source == TOP_EXTENSION)
		code = cli_query(&top->session, statements_extension, 1, values, &reading.statements, err);
	else if (code == DBPOOL_OK && top->source == TOP_PGSS)
	{
		snprintf(pgss, sizeof(pgss), STATEMENTS_PGSS, top->pgss_schema);
		code = cli_query(&top->session, pgss, 0, NULL, &reading.statements, err);
	}
	if (code != DBPOOL_OK)
	{
		top_forget(&reading);
		return code;
	}
	top_forget(&top->before);
	top->before = top->now;
	top->now = reading;
	return DBPOOL_OK;
}
