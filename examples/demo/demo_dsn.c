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
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
		if (strcmp(option->keyword, "password") == 0)
			password = option->val;
		else if (strcmp(option->keyword, "application_name") != 0)
			print_quoted(option->keyword, option->val);
	}
	printf("\n%s\n", password);
	PQconninfoFree(options);
	return 0;
}
