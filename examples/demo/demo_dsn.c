/*
 * demo_dsn.c
 *		Take a connection string apart, so that a script can use it safely.
 *
 *		DBUTIL_DSN=... demo_dsn
 *
 * Prints the connection string in keyword form on one line, to which a script
 * may append other settings (libpq takes the last of each), and on a second
 * line the password, which must not appear among a program's arguments: give
 * it to programs as PGPASSWORD.  The application_name is left out: each program
 * gives its own.
 *
 * Exit status 2: it is no connection string.  3: it holds another secret, for
 * which no environment variable exists, so that programs could only be given it
 * as an argument.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keywords with secrets that only a connection string or a service file can hold. */
static const char *const secrets[] = {
	"sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key",
};

static int
is_secret(const char *keyword)
{
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (strcmp(keyword, secrets[i]) == 0)
			return 1;
	return 0;
}

static void
print_quoted(const char *keyword, const char *value)
{
	printf("%s='", keyword);
	for (; *value != '\0'; value++)
	{
		if (*value == '\'' || *value == '\\')
			putchar('\\');
		putchar(*value);
	}
	fputs("' ", stdout);
}

int
main(void)
{
	const char		 *dsn = getenv("DBUTIL_DSN");
	const char		 *password = "";
	char			 *message = NULL;
	PQconninfoOption *options;

	if (dsn == NULL)
	{
		fprintf(stderr, "demo_dsn: DBUTIL_DSN is not set\n");
		return 2;
	}
	/* libpq takes what has neither of these for the name of a database */
	if (strchr(dsn, '=') == NULL && strncmp(dsn, "postgresql://", 13) != 0 &&
		strncmp(dsn, "postgres://", 11) != 0)
	{
		fprintf(stderr, "it is neither postgresql://user@host:port/database nor keyword=value ...\n");
		return 2;
	}
	options = PQconninfoParse(dsn, &message);
	if (options == NULL)
	{
		fprintf(stderr, "%s", message != NULL ? message : "out of memory\n");
		PQfreemem(message);
		return 2;
	}
	for (PQconninfoOption *option = options; option->keyword != NULL; option++)
	{
		if (option->val == NULL)
			continue;
		if (strpbrk(option->val, "\r\n") != NULL)
		{
			fprintf(stderr, "%s holds a line break\n", option->keyword);
			PQconninfoFree(options);
			return 2;
		}
		if (is_secret(option->keyword) && option->val[0] != '\0')
		{
			fprintf(stderr,
					"%s would be seen among the arguments of programs: put it into a service file "
					"and name that, service=...\n",
					option->keyword);
			PQconninfoFree(options);
			return 3;
		}
		if (strcmp(option->keyword, "password") == 0)
			password = option->val;
		else if (strcmp(option->keyword, "application_name") != 0)
			print_quoted(option->keyword, option->val);
	}
	printf("\n%s\n", password);
	PQconninfoFree(options);
	return 0;
}
