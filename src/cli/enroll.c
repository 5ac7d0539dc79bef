/*
 * enroll.c
 *		dbutil enroll and dbutil withdraw: an existing service under dbutil, and back.
 *
 * The work is dbutil.enroll_service()'s and withdraw_service()'s, in one
 * transaction each (src/enroll).  Here is what a person at a shell needs around
 * them: which sessions and poolers still run with old settings, the way back, a
 * look at what is in force now (enroll_verify.c), and a stanza for pg_service.conf
 * with what only the client can set.
 *
 * What is done goes to stdout; a failure leaves the database as it was, but for
 * one of verification, which says that the settings were made.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "enroll.h"

#define MESSAGE_SIZE 400

static const char *const plan_caches[] = {"off", "exact", "auto", "force", "none", NULL};
static const char *const tracks[] = {"none", "top", "all", NULL};

static const char *dsn;
static const char *verify_dsn;
static const char *service;
static const char *role;
static const char *database;
static const char *plan_cache;
static const char *track;
static const char *statement_timeout;
static const char *lock_timeout;
static const char *idle_timeout;
static const char *connection_limit;
static const char *settings;
static const char *timeout_text;
static bool monitor;
static bool dry_run;

static const CliOption enroll_options[] = {
	{.name = "service", .argument = "NAME", .text = &service,
	.help = "under which name it is counted"},
	{.name = "dsn", .argument = "CONNINFO", .text = &dsn,
	.help = "where to connect as one who may alter the role; else the PG* variables say"},
	{.name = "role", .argument = "ROLE", .text = &role,
	.help = "as whom the service connects; else the role of its name"},
	{.name = "database", .argument = "NAME", .text = &database,
	.help = "where it works; else the database of --dsn"},
	{.name = "plan-cache", .argument = "WORD", .text = &plan_cache, .words = plan_caches,
	.help = "off, exact, auto (the default), force; none leaves it alone"},
	{.name = "track", .argument = "WORD", .text = &track, .words = tracks,
	.help = "none, top or all; only a superuser may set it"},
	{.name = "statement-timeout", .argument = "TIME", .text = &statement_timeout,
	.help = "such as 500ms, 30s, 5min; 0 turns it off; left alone if not given"},
	{.name = "lock-timeout", .argument = "TIME", .text = &lock_timeout,
	.help = "the same for waits for locks"},
	{.name = "idle-timeout", .argument = "TIME", .text = &idle_timeout,
	.help = "the same for idling in a transaction"},
	{.name = "connection-limit", .argument = "N", .text = &connection_limit,
	.help = "sessions that the role may have in all databases, -1: any number"},
	{.name = "settings", .argument = "JSON", .text = &settings,
	.help = "other settings, such as {\"work_mem\": \"8MB\"}"},
	{.name = "monitor", .flag = &monitor,
	.help = "make the role a member of pg_monitor, for its /health"},
	{.name = "dry-run", .flag = &dry_run,
	.help = "tell what would be done, and what timeouts would have ended"},
	{.name = "verify-dsn", .argument = "CONNINFO", .text = &verify_dsn,
	.help = "connect as the service does, and see that it has the settings"},
	{.name = "timeout", .argument = "SECONDS", .text = &timeout_text,
	.help = "give up after so long, 1 to 3600 (60)"},
	{0}
};

static const CliOption withdraw_options[] = {
	{.name = "service", .argument = "NAME", .text = &service,
	.help = "the name it was enrolled under"},
	{.name = "dsn", .argument = "CONNINFO", .text = &dsn,
	.help = "where to connect as one who may alter the role; else the PG* variables say"},
	{.name = "role", .argument = "ROLE", .text = &role,
	.help = "as whom the service connects; else the role enrolled under its name"},
	{.name = "database", .argument = "NAME", .text = &database,
	.help = "where it works; else the database of --dsn"},
	{.name = "dry-run", .flag = &dry_run,
	.help = "tell what would be done"},
	{.name = "verify-dsn", .argument = "CONNINFO", .text = &verify_dsn,
	.help = "connect as the service does, and see that it has the settings of before"},
	{.name = "timeout", .argument = "SECONDS", .text = &timeout_text,
	.help = "give up after so long, 1 to 3600 (60)"},
	{0}
};

/* A time as PostgreSQL's settings take it: a number, and ms, s, min or h (none: s). */
static bool
good_time(const char *option, const char *text, char *message, size_t size)
{
	static const char *const units[] = {"", "ms", "s", "min", "h", NULL};
	size_t		digits;

	if (text == NULL)
		return true;
	digits = strspn(text, "0123456789");
	if (digits > 0 && digits < 10)
		for (const char *const *u = units; *u != NULL; u++)
			if (strcmp(text + digits, *u) == 0)
				return true;
	snprintf(message, size, "invalid value for option \"--%s\": \"%.40s\" is not a time such as 500ms, 30s, 5min or 1h",
			 option, text);
	return false;
}

/* Connect to a database that has the extension; says what is wrong. */
static bool
connect_to_extension(CliSession *session, long timeout_s)
{
	dbpool_error err = DBPOOL_ERROR_INIT;
	PGresult   *result;
	bool		there;

	if (cli_connect(session, dsn, timeout_s, &err) != DBPOOL_OK)
	{
		cli_print_error(session, "cannot connect", &err);
		return false;
	}
	if (cli_query(session, "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'dbutil')", 0, NULL,
				  &result, &err) != DBPOOL_OK)
	{
		cli_print_error(session, "", &err);
		return false;
	}
	there = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	if (!there)
		fprintf(stderr, "dbutil: error: the extension dbutil is not installed in database \"%s\"\n"
				"HINT:  Connect there and run CREATE EXTENSION dbutil.\n", PQdb(dbpool_conn(session->lease)));
	return there;
}

static const char *
value_or(const PGresult *result, int row, int column, const char *otherwise)
{
	return PQgetisnull(result, row, column) ? otherwise : PQgetvalue(result, row, column);
}

static bool
is_setting(const PGresult *result, int row)
{
	const char *done = PQgetvalue(result, row, COL_DONE);

	return strcmp(done, "reconnect") != 0 && strcmp(done, "missing") != 0;
}

static bool
is_unchanged(const PGresult *result, int row)
{
	const char *done = PQgetvalue(result, row, COL_DONE);

	return strcmp(done, "kept") == 0 || strcmp(done, "left") == 0;
}

bool
cli_enroll_in_force(const PGresult *done, int row)
{
	return is_setting(done, row) && strcmp(PQgetvalue(done, row, COL_DONE), "left") != 0;
}

static void
print_settings(const PGresult *result)
{
	for (int i = 0; i < PQntuples(result); i++)
	{
		const char *note = value_or(result, i, COL_NOTE, "");

		if (!is_setting(result, i))
			continue;
		printf("  %-9s %s: %s", PQgetvalue(result, i, COL_DONE), PQgetvalue(result, i, COL_ITEM),
			   value_or(result, i, COL_OLD, "not set"));
		if (!is_unchanged(result, i))
			printf(" -> %s", value_or(result, i, COL_NEW, "not set"));
		printf("%s%s%s\n", note[0] != '\0' ? " (" : "", note, note[0] != '\0' ? ")" : "");
	}
}

/* Print a word for a shell. */
static void
print_shell(const char *word)
{
	putchar('\'');
	for (; *word != '\0'; word++)
	{
		if (*word == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*word);
	}
	putchar('\'');
}

/* The commands that take back what was set. */
static void
print_undo(const PGresult *result)
{
	bool		first = true;

	for (int i = 0; i < PQntuples(result); i++)
	{
		if (!is_setting(result, i) || is_unchanged(result, i))
			continue;
		if (first)
			printf("Back by hand:\n");
		first = false;
		printf("  %s;\n", PQgetvalue(result, i, COL_UNDO));
	}
}

/* Sessions, poolers and what the server lacks. */
static void
print_leftovers(const PGresult *result)
{
	bool		first = true;

	for (int i = 0; i < PQntuples(result); i++)
	{
		if (is_setting(result, i))
			continue;
		if (first)
			printf("Still to do:\n");
		first = false;
		printf("  %s %s: %s\n", PQgetvalue(result, i, COL_DONE), PQgetvalue(result, i, COL_ITEM),
			   PQgetvalue(result, i, COL_NOTE));
	}
}

static const char *
first_value(const PGresult *result)
{
	return PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";
}

/*
 * What was done, as a PGresult for the caller to clear; NULL after an error that
 * was told.
 */
static PGresult *
call(CliSession *session, const char *sql, int n, const char *const *values)
{
	dbpool_error err = DBPOOL_ERROR_INIT;
	PGresult   *result;

	if (cli_query(session, sql, n, values, &result, &err) == DBPOOL_OK)
		return result;
	cli_print_error(session, "", &err);
	return NULL;
}

/* Look at what is in force; returns the exit status. */
static int
verify(CliSession *session, const PGresult *result, long timeout_s)
{
	if (cli_verify_catalog(session, database, role, result) &&
		(verify_dsn == NULL || cli_verify_session(session, verify_dsn, timeout_s, database, role, result)))
		return CLI_OK;
	fprintf(stderr, "HINT:  The settings were made, as told above; only looking at them went wrong.\n");
	return CLI_FAILED;
}

static int
enroll(CliSession *session, long timeout_s)
{
	static const char *const sql =
		"SELECT e.done, e.item, e.old_value, e.new_value, e.command, e.undo, e.note"
		" FROM dbutil.enroll_service($1::name, $2::text, $3::name, $4::text, $5::text, $6::interval, $7::interval,"
		"	$8::interval, $9::integer, coalesce($10::jsonb, '{}'), $11::boolean, $12::boolean) AS e";
	const char *values[] = {
		role, service, database, plan_cache, track, statement_timeout, lock_timeout, idle_timeout,
		connection_limit, settings, monitor ? "t" : "f", dry_run ? "t" : "f"
	};
	PGresult   *result = call(session, sql, 12, values);
	int			status = CLI_OK;

	if (result == NULL)
		return CLI_FAILED;
	printf("%s %s in database %s %s service %s:\n", dry_run ? "Dry run, nothing is changed: role" : "Role", role, database,
		   dry_run ? "would become" : "is now", service);
	print_settings(result);
	if (!dry_run)
	{
		print_undo(result);
		printf("Back to what was before it was enrolled: dbutil withdraw --service %s --role ", service);
		print_shell(role);
		printf(" --database ");
		print_shell(database);
		printf("\n");
	}
	print_leftovers(result);
	if (!dry_run)
		status = verify(session, result, timeout_s);
	PQclear(result);
	if (status == CLI_OK && !(cli_print_protections(session, database, role) &&
							  cli_print_stanza(session, service, database, role)))
		status = CLI_FAILED;
	return status;
}

/* The role that is enrolled under the service's name; NULL after an error that was told. */
static PGresult *
enrolled_role(CliSession *session)
{
	const char *values[2] = {service, database};
	PGresult   *result = call(session,
							  "SELECT e.rolename FROM dbutil.enrolled_settings AS e"
							  " WHERE e.setting = 'dbutil.service' AND e.new_value = $1 AND e.database_name = $2",
							  2, values);

	if (result == NULL || PQntuples(result) == 1)
		return result;
	if (PQntuples(result) == 0)
		fprintf(stderr, "dbutil: error: no role is enrolled as service \"%s\" in database \"%s\"\n"
				"HINT:  Name it with --role, or see dbutil.enrolled_settings.\n", service, database);
	else
		fprintf(stderr, "dbutil: error: %d roles are enrolled as service \"%s\" in database \"%s\"\n"
				"HINT:  Name one of them with --role.\n", PQntuples(result), service, database);
	PQclear(result);
	return NULL;
}

static int
withdraw(CliSession *session, long timeout_s)
{
	static const char *const sql =
		"SELECT e.done, e.item, e.old_value, e.new_value, e.command, NULL, e.note"
		" FROM dbutil.withdraw_service($1::name, $2::name, $3::boolean) AS e";
	PGresult   *found = NULL;
	PGresult   *result;
	int			status = CLI_OK;

	if (role == NULL)
	{
		found = enrolled_role(session);
		if (found == NULL)
			return CLI_FAILED;
		role = first_value(found);
	}
	result = call(session, sql, 3, (const char *const[]) {role, database, dry_run ? "t" : "f"});
	if (result == NULL)
		status = CLI_FAILED;
	else
	{
		printf("%s %s in database %s %s service %s:\n", dry_run ? "Dry run, nothing is changed: role" : "Role", role,
			   database, dry_run ? "would no longer be" : "is no longer", service);
		print_settings(result);
		print_leftovers(result);
		if (!dry_run)
			status = verify(session, result, timeout_s);
		PQclear(result);
	}
	PQclear(found);
	return status;
}

static int
run(const CliCommand *command, int (*work) (CliSession *session, long timeout_s))
{
	CliSession	session = CLI_SESSION_INIT;
	char		message[MESSAGE_SIZE];
	long		timeout_s = 60;
	long		limit = 0;
	int			status;

	if (!cli_name("--service", service, message, sizeof(message)) ||
		!good_time("statement-timeout", statement_timeout, message, sizeof(message)) ||
		!good_time("lock-timeout", lock_timeout, message, sizeof(message)) ||
		!good_time("idle-timeout", idle_timeout, message, sizeof(message)) ||
		!cli_number("connection-limit", connection_limit, -1, 262143, &limit, message, sizeof(message)) ||
		!cli_number("timeout", timeout_text, 1, 3600, &timeout_s, message, sizeof(message)))
		return cli_bad_usage(command, message);
	if (dry_run && verify_dsn != NULL)
		return cli_bad_usage(command, "a dry run changes nothing that \"--verify-dsn\" could see");
	if (!connect_to_extension(&session, timeout_s))
	{
		cli_disconnect(&session);
		return CLI_FAILED;
	}
	if (database == NULL)
		database = PQdb(dbpool_conn(session.lease));
	status = work(&session, timeout_s);
	cli_disconnect(&session);
	return status;
}

static int
run_enroll(const char *operand)
{
	(void) operand;
	if (role == NULL)
		role = service;
	if (plan_cache == NULL)
		plan_cache = "auto";
	else if (strcmp(plan_cache, "none") == 0)
		plan_cache = NULL;
	return run(&cli_enroll, enroll);
}

static int
run_withdraw(const char *operand)
{
	(void) operand;
	return run(&cli_withdraw, withdraw);
}

const CliCommand cli_enroll = {
	.name = "enroll",
	.summary = "put an existing service under dbutil, without a change in its code",
	.options = enroll_options,
	.run = run_enroll,
};

const CliCommand cli_withdraw = {
	.name = "withdraw",
	.summary = "give back what a service had before it was enrolled",
	.options = withdraw_options,
	.run = run_withdraw,
};
