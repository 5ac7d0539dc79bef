/*
 * enroll.h
 *		What enroll.c shares with enroll_verify.c and enroll_client.c.
 */
#ifndef DBUTIL_CLI_ENROLL_H
#define DBUTIL_CLI_ENROLL_H

#include "cli.h"

/* Columns of what enroll_service() and withdraw_service() did, as enroll.c asks for it. */
enum
{
	COL_DONE,
	COL_ITEM,
	COL_OLD,
	COL_NEW,
	COL_COMMAND,
	COL_UNDO,
	COL_NOTE
};

/* Is the row one of a setting that has its new value now (enroll.c)? */
extern bool cli_enroll_in_force(const PGresult *done, int row);

/*
 * Look at what was done: in the catalog, and in a new session of the service's.
 * They say what they saw, on stderr where it is wrong, and answer whether all is
 * well.
 */
extern bool cli_verify_catalog(CliSession *session, const char *database, const char *role,
							   const PGresult *done);
extern bool cli_verify_session(CliSession *session, const char *verify_dsn, long timeout_s,
							   const char *database, const char *role, const PGresult *done);

/* enroll_client.c */
extern bool cli_print_protections(CliSession *session, const char *database, const char *role);
extern bool cli_print_stanza(CliSession *session, const char *service, const char *database,
							 const char *role);

#endif							/* DBUTIL_CLI_ENROLL_H */
