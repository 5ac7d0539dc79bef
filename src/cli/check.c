/*
 * check.c
 *		dbutil check: one line about a database for a monitor or a probe.
 *
 * The verdict is dbutil.check_database_health()'s, or where the extension is not
 * installed that of the catalogs alone (check_catalogs.c), in the same form.  Both are JSON,
 * taken apart by the server.
 *
 * Line and exit status are those of a Nagios plugin: 0 ok, 1 warning, 2 critical,
 * 3 unknown, which includes a command line that makes no sense.  By its guidelines
 * a server that cannot be reached, or does not answer in time, is critical: only
 * what says nothing about the server is unknown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define MESSAGE_SIZE 1024

enum
{
	NAGIOS_OK,
	NAGIOS_WARNING,
	NAGIOS_CRITICAL,
	NAGIOS_UNKNOWN
};

static const char *const nagios_word[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

/* how dbutil.check_database_health() says it */
static const char *const report_word[] = {"ok", "warn", "critical", "unknown"};

static const char *const levels[] = {"quick", "full", NULL};
static const char *const fail_words[] = {"warning", "critical", NULL};

static const char *dsn;
static const char *level;
static const char *service;
static const char *timeout_text;
static const char *fail_on;
static bool as_json;
static bool no_extension;

static const CliOption options[] = {
	{.name = "dsn", .argument = "CONNINFO", .text = &dsn,
	.help = "where to connect; without it the PG* variables say"},
	{.name = "level", .argument = "LEVEL", .text = &level, .words = levels,
	.help = "quick (the default) or full, which looks at all tables and indexes"},
	{.name = "service", .argument = "NAME", .text = &service,
	.help = "also tell of this service's sessions"},
	{.name = "timeout", .argument = "SECONDS", .text = &timeout_text,
	.help = "critical if there is no answer by then, 1 to 3600 (10)"},
	{.name = "fail-on", .argument = "WORD", .text = &fail_on, .words = fail_words,
	.help = "critical: exit status 0 also for warning and unknown"},
	{.name = "json", .flag = &as_json,
	.help = "print the whole report instead of a line"},
	{.name = "no-extension", .flag = &no_extension,
	.help = "go by the catalogs alone even if the extension is there"},
	{0}
};

/* Print text as the first line of a plugin's output may hold it. */
static void
print_plain(const char *text)
{
	for (; *text != '\0'; text++)
		putchar(*text == '|' ? '/' : (unsigned char) *text < ' ' ? ' ' : *text);
}

/* What stands in place of a report, and the exit status for it. */
static int
no_report(int status, const char *message)
{
	if (as_json)
	{
		printf("{\"status\": \"%s\", \"error\": ", report_word[status]);
		cli_print_json(message);
		printf("}");
	}
	else
	{
		printf("DBUTIL %s - ", nagios_word[status]);
		print_plain(message);
	}
	putchar('\n');
	return status;
}

static int
usage_error(const char *message)
{
	as_json = false;
	(void) no_report(NAGIOS_UNKNOWN, message);
	fprintf(stderr, "usage: dbutil check [OPTION]...\ndbutil help check lists the options\n");
	return NAGIOS_UNKNOWN;
}

static int
failed(const char *doing, const dbpool_error *err)
{
	char		message[MESSAGE_SIZE];
	int			status = NAGIOS_UNKNOWN;

	if (err->code == DBPOOL_ECONNECT || err->code == DBPOOL_ETIMEDOUT || err->code == DBPOOL_ECONNLOST)
		status = NAGIOS_CRITICAL;
	snprintf(message, sizeof(message), "%s: %s%s%s%s", doing, err->message,
			 err->sqlstate[0] != '\0' ? " (" : "", err->sqlstate, err->sqlstate[0] != '\0' ? ")" : "");
	return no_report(status, message);
}

/*
 * Performance data of the checks: the worst object of each.  Nagios' ranges:
 * "75" alerts above 75, "98:" below 98.
 */
#define PERFDATA \
	"SELECT string_agg(format('%s=%s%s;%s;%s', p.check_name, coalesce(p.value::text, 'U')," \
	"	CASE WHEN p.value IS NOT NULL AND p.unit IN ('%', 's', 'MB') THEN p.unit END," \
	"	p.warn || p.below, p.critical || p.below), ' ' ORDER BY p.check_name) FROM "

static const char *const perfdata_extension = PERFDATA
	"(SELECT DISTINCT ON (h.check_name) h.check_name, h.unit, h.warn, h.critical,"
	"	CASE WHEN c.lower_is_worse THEN ':' ELSE '' END AS below,"
	"	CASE WHEN h.object_name = 'none' THEN 0 WHEN h.status <> 'unknown' THEN h.value END AS value"
	" FROM dbutil.health('quick') AS h JOIN dbutil.health_checks AS c ON c.check_name = h.check_name"
	" ORDER BY h.check_name, CASE WHEN c.lower_is_worse THEN -h.value ELSE h.value END DESC NULLS LAST) AS p";

static const char *const perfdata_catalogs = PERFDATA
	"(SELECT r.\"check\" AS check_name, r.unit, r.warn, r.critical, r.value, '' AS below"
	" FROM jsonb_to_recordset($1::jsonb -> 'checks')"
	"	AS r(\"check\" text, unit text, warn numeric, critical numeric, value numeric)) AS p";

/* What the line says of a report, in the order of the fields below. */
#define DIGEST_HEAD "WITH report AS MATERIALIZED (SELECT "
#define DIGEST_TAIL \
	" AS r) SELECT r::text, r ->> 'status'," \
	"	format('score=%s;;;0;100 checks_ok=%s checks_warn=%s checks_critical=%s checks_unknown=%s'," \
	"		coalesce(r ->> 'score', 'U'), r #>> '{counts,ok}', r #>> '{counts,warn}', r #>> '{counts,critical}'," \
	"		r #>> '{counts,unknown}')" \
	"	|| CASE WHEN r ? 'service' THEN format(' connections=%s active=%s idle_in_transaction_sessions=%s'," \
	"		r #>> '{service,sessions,connections}', coalesce(r #>> '{service,sessions,active}', 'U')," \
	"		coalesce(r #>> '{service,sessions,idle_in_transaction}', 'U')) ELSE '' END," \
	"	CASE WHEN (r ->> 'findings_total')::bigint > 0 THEN" \
	"		(SELECT format('%s %s: %s', f ->> 'check', f ->> 'object', f ->> 'message')" \
	"		 FROM jsonb_array_elements(r -> 'findings') WITH ORDINALITY AS e(f, n) ORDER BY n LIMIT 1)" \
	"		|| CASE WHEN (r ->> 'findings_total')::bigint > 1" \
	"			THEN format(' (and %s more)', (r ->> 'findings_total')::bigint - 1) ELSE '' END" \
	"	WHEN r ->> 'status' = 'unknown' THEN" \
	"		(SELECT format('%s: %s; needs: %s', u ->> 'check', u ->> 'message', u ->> 'needs')" \
	"		 FROM jsonb_array_elements(r -> 'unknown') WITH ORDINALITY AS e(u, n)" \
	"		 ORDER BY u ->> 'needs' IS NULL, n LIMIT 1)" \
	"	ELSE format('%s checks are ok', r #>> '{counts,ok}') END" \
	" FROM report"

enum
{
	FIELD_REPORT,
	FIELD_STATUS,
	FIELD_PERFDATA,
	FIELD_TEXT
};

static bool
has_extension(CliSession *session, bool *there, dbpool_error *err)
{
	PGresult   *result;

	*there = false;
	if (no_extension)
		return true;
	if (cli_query(session, "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'dbutil')",
				  0, NULL, &result, err) != DBPOOL_OK)
		return false;
	*there = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	return true;
}

static int
status_of(const char *word)
{
	for (int i = NAGIOS_OK; i < NAGIOS_UNKNOWN; i++)
		if (strcmp(word, report_word[i]) == 0)
			return i;
	return NAGIOS_UNKNOWN;
}

static void
print_line(const PGresult *digest, const PGresult *perfdata, int status, bool by_extension)
{
	printf("DBUTIL %s - ", nagios_word[status]);
	print_plain(PQgetvalue(digest, 0, FIELD_TEXT));
	printf("%s | %s %s\n", by_extension ? "" : " (by the catalogs alone)",
		   PQgetvalue(digest, 0, FIELD_PERFDATA), PQgetvalue(perfdata, 0, 0));
}

/* The report and what is printed of it; sets *status. */
static int
judge(CliSession *session, int *status, dbpool_error *err)
{
	const char *values[2] = {service, level};
	char	   *sql;
	const char *expression;
	size_t		size;
	bool		by_extension;
	PGresult   *digest;
	PGresult   *perfdata;
	int			code;

	if (!has_extension(session, &by_extension, err))
		return err->code;
	expression = by_extension ? "dbutil.check_database_health($1::text, $2::text)" : cli_catalog_report;
	size = strlen(DIGEST_HEAD) + strlen(expression) + strlen(DIGEST_TAIL) + 1;
	sql = malloc(size);
	if (sql == NULL)
	{
		err->code = DBPOOL_ENOMEM;
		snprintf(err->message, sizeof(err->message), "%s", dbpool_strerror(DBPOOL_ENOMEM));
		return err->code;
	}
	snprintf(sql, size, "%s%s%s", DIGEST_HEAD, expression, DIGEST_TAIL);
	code = cli_query(session, sql, 2, values, &digest, err);
	free(sql);
	if (code != DBPOOL_OK)
		return code;
	*status = status_of(PQgetvalue(digest, 0, FIELD_STATUS));
	if (as_json)
		printf("%s\n", PQgetvalue(digest, 0, FIELD_REPORT));
	else
	{
		values[0] = PQgetvalue(digest, 0, FIELD_REPORT);
		code = by_extension
			? cli_query(session, perfdata_extension, 0, NULL, &perfdata, err)
			: cli_query(session, perfdata_catalogs, 1, values, &perfdata, err);
		if (code == DBPOOL_OK)
		{
			print_line(digest, perfdata, *status, by_extension);
			PQclear(perfdata);
		}
	}
	PQclear(digest);
	return code;
}

static int
run(const char *operand)
{
	CliSession	session = CLI_SESSION_INIT;
	dbpool_error err = DBPOOL_ERROR_INIT;
	char		message[MESSAGE_SIZE];
	long		timeout_s = 10;
	int			status = NAGIOS_UNKNOWN;

	(void) operand;
	if (!cli_number("timeout", timeout_text, 1, 3600, &timeout_s, message, sizeof(message)))
		return usage_error(message);
	if (level == NULL)
		level = "quick";

	if (cli_connect(&session, dsn, timeout_s, &err) != DBPOOL_OK)
		return failed("cannot connect", &err);
	if (judge(&session, &status, &err) != DBPOOL_OK)
		status = failed("cannot check", &err);
	else if (fail_on != NULL && strcmp(fail_on, "critical") == 0 && status != NAGIOS_CRITICAL)
		status = NAGIOS_OK;
	cli_disconnect(&session);
	return status;
}

const CliCommand cli_check = {
	.name = "check",
	.summary = "tell in one line whether a database is healthy",
	.options = options,
	.run = run,
	.usage_error = usage_error,
};
