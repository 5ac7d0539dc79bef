/*
 * cli.h
 *		The dbutil command: what its files share.
 *
 * A subcommand is one CliCommand: its options are a table, read by options.c, so
 * that parsing, usage, the nearest word of a mistyped one and shell completion
 * all go by the same list.  The targets of options are static variables of the
 * subcommand's file: one process runs one subcommand.
 *
 * Messages of failures go to stderr as "dbutil: error: ..."; the output that a
 * script reads goes to stdout.
 */
#ifndef DBUTIL_CLI_H
#define DBUTIL_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "dbpool.h"

/* Exit statuses; those of check are Nagios' (check.c). */
#define CLI_OK 0
#define CLI_FAILED 1
#define CLI_USAGE 2

typedef struct CliOption
{
	const char	*name;			/* without the dashes; NULL ends the list */
	const char	*argument;		/* what its argument is called; NULL: it has none */
	const char	*help;			/* one line, begins in lower case */
	const char **text;			/* where the argument goes ... */
	bool		*flag;			/* ... or that the option was given */
	const char *const *words;	/* what the argument can be, NULL-terminated; NULL: anything */
} CliOption;

typedef struct CliCommand
{
	const char *name;
	const char *operand;		/* the one word behind the options; NULL: none */
	const char *summary;		/* one line, begins in lower case */
	const CliOption *options;
	int			(*run) (const char *operand);	/* returns the exit status */

	/* NULL, or how a usage error is told instead; returns the exit status */
	int			(*usage_error) (const char *message);
} CliCommand;

/* main.c: the subcommands */
extern const CliCommand cli_check;
extern const CliCommand cli_enroll;
extern const CliCommand cli_withdraw;
extern const CliCommand cli_top;
extern const CliCommand cli_new_service;

/* options.c */
extern const char *cli_nearest(const char *word, const char *const *words);
extern bool cli_parse(const CliCommand *command, int argc, char **argv,
					  const char **operand, char *message, size_t size);
extern bool cli_number(const char *option, const char *text, long least, long most,
					   long *number, char *message, size_t size);
extern bool cli_name(const char *what, const char *text, char *message, size_t size);
extern int	cli_bad_usage(const CliCommand *command, const char *message);

/*
 * session.c: one connection, with a deadline for all that is done on it.
 */
typedef struct CliSession
{
	dbpool_pool *pool;
	dbpool_lease lease;
	int64_t		deadline;
	char		more[1200];		/* DETAIL and HINT of the server's last error, in lines */
} CliSession;

#define CLI_SESSION_INIT {.lease = DBPOOL_LEASE_INIT}

extern int	cli_connect(CliSession *session, const char *dsn, long timeout_s, dbpool_error *err);
extern int	cli_query(CliSession *session, const char *sql, int n, const char *const *values,
					  PGresult **result, dbpool_error *err);
extern void cli_print_error(const CliSession *session, const char *doing, const dbpool_error *err);
extern void cli_disconnect(CliSession *session);

/* json.c */
extern void cli_print_json(const char *text);

/* check_catalogs.c: the report of check where the extension is not installed */
extern const char *const cli_catalog_report;

#endif							/* DBUTIL_CLI_H */
