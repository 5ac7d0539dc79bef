/*
 * session.c
 *		What a borrower did to a session, seen without wrapping libpq.
 *
 * libpq calls our event procedure for every result of a connection, raw PQexec
 * included.  The command tag tells whether session state may have been left: the
 * list below names the commands that leave none, all others count as dirty, so a
 * command we do not know costs a reset, never a leak.  Blind spots are named in
 * dbpool.h.
 *
 * A dbpool__session belongs to whoever holds the connection (see internal.h); no
 * lock.  It must live as long as the PGconn: it is part of the slot.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

/*
 * Commands that leave nothing in the session once their transaction ended.  Not
 * EXPLAIN: with ANALYZE it may have run any command that it can explain.
 */
static const char *const clean_tags[] = {
	"INSERT",	"UPDATE",		"DELETE",		 "MERGE",	"BEGIN",	  "COMMIT",
	"ROLLBACK", "START",		"SAVEPOINT",	 "RELEASE", "COPY",		  "SHOW",
	"FETCH",	"MOVE",			"LOCK",			 "TRUNCATE", "VACUUM",	  "ANALYZE",
	"CHECKPOINT", "NOTIFY",		"REINDEX",
};

/*
 * Does a result with this tag and status leave session state?  Errors are not
 * asked here, see on_result.
 */
bool
dbpool__tag_dirties(const char *tag, ExecStatusType status)
{
	size_t length;

	switch (status)
	{
		case PGRES_TUPLES_OK:
		case PGRES_COMMAND_OK:
			break;
		default:
			return false; /* parts of a result */
	}

	/* the end of PREPARE or DESCRIBE through the protocol has no tag */
	length = strcspn(tag, " ");
	if (length == 0)
		return status == PGRES_COMMAND_OK;

	/* CREATE TABLE AS and SELECT INTO also say SELECT, but bring no rows */
	if (length == 6 && memcmp(tag, "SELECT", 6) == 0)
		return status == PGRES_COMMAND_OK;

	/* "PREPARE TRANSACTION", unlike "PREPARE", leaves nothing */
	if (strcmp(tag, "PREPARE TRANSACTION") == 0)
		return false;

	for (size_t i = 0; i < sizeof(clean_tags) / sizeof(clean_tags[0]); i++)
		if (strlen(clean_tags[i]) == length && memcmp(tag, clean_tags[i], length) == 0)
			return false;
	return true;
}

/*
 * Does the server itself say that it is read-only?  Otherwise 25006 came from
 * a transaction that asked for it, which says nothing about the server.
 */
static bool
server_read_only(PGconn *conn, const dbpool__session *session)
{
	const char *standby = PQparameterStatus(conn, "in_hot_standby");
	const char *ro = PQparameterStatus(conn, "default_transaction_read_only");

	if (standby != NULL && strcmp(standby, "on") == 0)
		return true;
	/* a dirty session may have set it for itself */
	return ro != NULL && strcmp(ro, "on") == 0 && !session->dirty;
}

static void
on_result(const PGEventResultCreate *event, dbpool__session *session)
{
	const char	  *tag = PQcmdStatus(event->result);
	ExecStatusType status = PQresultStatus(event->result);

	if (status == PGRES_FATAL_ERROR)
	{
		const char *sqlstate = PQresultErrorField(event->result, PG_DIAG_SQLSTATE);

		if (sqlstate != NULL && strcmp(sqlstate, "25006") == 0)
		{
			session->evict = true;
			session->server_ro |= server_read_only(event->conn, session);
		}

		/*
		 * An error undoes its transaction, but a DO block or a procedure may have
		 * committed before, and not all state is a transaction's (PREPARE).
		 */
		session->failed = true;
		/* 25P02 only repeats that there was an error */
		if (sqlstate != NULL && strcmp(sqlstate, "25P02") != 0)
			snprintf(session->sqlstate, sizeof(session->sqlstate), "%s", sqlstate);
		return;
	}
	if (status == PGRES_COMMAND_OK &&
		(strncmp(tag, "COMMIT", 6) == 0 || strcmp(tag, "PREPARE TRANSACTION") == 0))
		session->commits++;
	if (session->own)
		return;
	if (status == PGRES_COMMAND_OK &&
		(strcmp(tag, "DISCARD ALL") == 0 || strcmp(tag, "DEALLOCATE ALL") == 0))
		session->deallocated = true;
	if (status == PGRES_COMMAND_OK && strcmp(tag, "DISCARD ALL") == 0)
		session->dirty = session->failed = false;
	else if (!session->dirty && dbpool__tag_dirties(tag, status))
		session->dirty = true;
}

static int
on_event(PGEventId id, void *info, void *arg)
{
	dbpool__session *session = arg;

	switch (id)
	{
		case PGEVT_RESULTCREATE:
			on_result(info, session);
			break;
		case PGEVT_CONNRESET:
			/* not connected under our rules (deadline, epoch): use once only */
			session->evict = true;
			session->deallocated = true;
			break;
		case PGEVT_CONNDESTROY:
			session->destroyed = true;
			break;
		default:
			break;
	}
	return 1; /* 0 would turn a good result into an error */
}

/*
 * Start watching a new connection; false if libpq is out of memory.
 */
bool
dbpool__session_attach(PGconn *conn, dbpool__session *session)
{
	memset(session, 0, sizeof(*session));
	session->receiver = PQsetNoticeReceiver(conn, NULL, NULL);
	session->processor = PQsetNoticeProcessor(conn, NULL, NULL);
	return PQregisterEventProc(conn, on_event, "dbpool", session) != 0;
}

static void
ignore_notice(void *arg, const PGresult *res)
{
	(void) arg;
	(void) res;
}

/*
 * The borrower goes: from here on nothing of his is called or written to, as it
 * may be freed.  Before any other thread uses the connection.  What the server
 * says until dbpool__session_restore is for nobody.
 */
void
dbpool__session_detach(PGconn *conn, const dbpool__session *session)
{
	PQsetNoticeReceiver(conn, ignore_notice, NULL);
	/* the default processor takes no argument */
	PQsetNoticeProcessor(conn, session->processor, NULL);
	PQuntrace(conn);
}

/*
 * Undo what a borrower may have set in the PGconn itself and drop, unless sessions
 * are kept as they are, the notifications that came for him.  After dbpool__session_detach, and only for an idle
 * connection: then nothing is left to flush and no call can block.
 */
void
dbpool__session_restore(PGconn *conn, const dbpool__session *session, dbpool__reset reset)
{
	PGnotify *notify;

	if (PQisnonblocking(conn))
		(void) PQsetnonblocking(conn, 0);
	PQsetNoticeReceiver(conn, session->receiver, NULL);
	PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
	PQsetErrorContextVisibility(conn, PQSHOW_CONTEXT_ERRORS);
	while (reset != RESET_NEVER && (notify = PQnotifies(conn)) != NULL)
		PQfreemem(notify);
}
