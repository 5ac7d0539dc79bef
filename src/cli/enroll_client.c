/*
 * enroll_client.c
 *		What enrolling a service leaves to its client: the protections that it lacks,
 *		and a section for pg_service.conf.
 *
 * The values of the section are libdbpool's own defaults (dbpool.h): what they
 * guard against does not depend on the client's language.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "enroll.h"

bool
cli_print_protections(CliSession *session, const char *database, const char *role)
{
	const char *values[2] = {role, database};
	dbpool_error err = DBPOOL_ERROR_INIT;
	PGresult   *result;

	if (cli_query(session, "SELECT p.protection, p.note FROM dbutil.service_protections($1::name, $2::name) AS p"
				  " WHERE p.state = 'lacks'", 2, values, &result, &err) != DBPOOL_OK)
	{
		cli_print_error(session, "", &err);
		return false;
	}
	if (PQntuples(result) > 0)
		printf("Its sessions still lack:\n");
	for (int i = 0; i < PQntuples(result); i++)
		printf("  %s: %s\n", PQgetvalue(result, i, 0), PQgetvalue(result, i, 1));
	PQclear(result);
	printf("Only its client can have:\n"
		   "  a limit on connecting, and notice of dead connections: the section below\n"
		   "  a deadline for getting a connection, a bounded pool, repeats of transactions that failed with\n"
		   "  40001 or 40P01, pauses while the server is down: libdbpool and the Python package do that\n");
	return true;
}

static void
print_option(const PQconninfoOption *options, const char *keyword, const char *otherwise)
{
	for (; options->keyword != NULL; options++)
		if (strcmp(options->keyword, keyword) == 0 && options->val != NULL && options->val[0] != '\0')
		{
			printf("%s=%s\n", keyword, options->val);
			return;
		}
	if (otherwise != NULL)
		printf("%s=%s\n", keyword, otherwise);
}

/*
 * Hosts, ports and encryption as of the connection that enrolled it; no password.
 */
bool
cli_print_stanza(CliSession *session, const char *service, const char *database, const char *role)
{
	PGconn	   *conn = dbpool_conn(session->lease);
	PQconninfoOption *options = conn != NULL ? PQconninfo(conn) : NULL;

	if (options == NULL)
	{
		fprintf(stderr, "dbutil: error: out of memory\n");
		return false;
	}
	printf("A section for its pg_service.conf, to connect by service=%s:\n\n[%s]\n", service, service);
	print_option(options, "host", PQhost(conn));
	print_option(options, "hostaddr", NULL);
	print_option(options, "port", PQport(conn));
	printf("dbname=%s\nuser=%s\n", database, role);
	print_option(options, "sslmode", NULL);
	print_option(options, "sslrootcert", NULL);
	printf("application_name=%s\n"
		   "target_session_attrs=read-write\n"
		   "connect_timeout=5\n"
		   "tcp_user_timeout=15000\n"
		   "keepalives_idle=30\n"
		   "keepalives_interval=10\n"
		   "keepalives_count=3\n", service);
	PQconninfoFree(options);
	return true;
}
