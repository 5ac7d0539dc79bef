/*
 * connect.c
 *		Make one connection, on a worker, under a deadline.
 *
 * PQconnectStart resolves names and may block on that: the reason why it is never
 * called on a caller's thread.  Everything after it is polled, with the pool's
 * stop_fd beside it, so that closing a pool does not wait for a dead host.
 *
 * Called without the lock by the worker that owns the slot.
 */
#include <poll.h>
#include <string.h>

#include "internal.h"

/*
 * libpq does not give the SQLSTATE of a failed connect.  But it prints it when
 * told to be verbose, as "SEVERITY:  SQLSTATE: text", whatever the language.
 * Find the last one (there may be several hosts), and copy the message without
 * codes and LOCATION lines.  False if there is none: *sqlstate is "".
 */
bool
dbpool__connect_sqlstate(const char *text, char *sqlstate, char *message, size_t size)
{
	const char *in = text;
	size_t		out = 0;

	sqlstate[0] = '\0';
	while (*in != '\0' && out + 1 < size)
	{
		if (in[0] == ':' && in[1] == ' ' && in[2] == ' ' &&
			strspn(in + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && in[8] == ':' &&
			in[9] == ' ')
		{
			memcpy(sqlstate, in + 3, 5);
			sqlstate[5] = '\0';
			in += 8;
			continue;
		}
		/* the source position of the server: a line "WORD:  f, file.c:123" */
		if (*in == '\n' && sqlstate[0] != '\0')
		{
			size_t		length = strcspn(in + 1, "\n");
			const char *colon = memchr(in + 1, ':', length);

			if (colon != NULL && colon[1] == ' ' && colon[2] == ' ' &&
				memchr(colon, ',', length - (size_t) (colon - in - 1)) != NULL)
			{
				const char *dot = strstr(in + 1, ".c:");

				if (dot != NULL && dot < in + 1 + length)
				{
					in += length + 1;
					continue;
				}
			}
		}
		message[out++] = *in++;
	}
	message[out] = '\0';
	return sqlstate[0] != '\0';
}

/*
 * Connect for a slot.  Returns the connection, watched and ready; or one that
 * failed (to be closed by the caller, NULL if there is none) with err->code set.
 */
PGconn *
dbpool__connect(dbpool_pool *pool, dbpool__slot *slot, dbpool_error *err)
{
	const dbpool_config		 *config = &pool->config;
	int64_t					  deadline = dbpool_deadline_ms(config->connect_timeout_ms);
	PostgresPollingStatusType poll_status = PGRES_POLLING_WRITING;
	char					  sqlstate[6];
	char					  message[400];
	PGconn					 *conn =
		dbpool__conninfo_start(config->conninfo, config->name, config->connect_timeout_ms, true);

	if (conn == NULL)
	{
		dbpool__set_error(err, DBPOOL_ENOMEM, DBPOOL_NOT_SENT, NULL, "out of memory");
		return NULL;
	}
	PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
	while (PQstatus(conn) != CONNECTION_BAD && poll_status != PGRES_POLLING_OK &&
		   poll_status != PGRES_POLLING_FAILED)
	{
		short events = poll_status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		int	  waited = dbpool__wait_fd(PQsocket(conn), events, pool->stop_fd, deadline);

		if (waited <= 0)
		{
			if (waited == 0)
				dbpool__set_error(err, DBPOOL_ECONNECT, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE, NULL,
							 "connecting took longer than connect_timeout_ms (%lld)",
							 (long long) config->connect_timeout_ms);
			else
				dbpool__set_error(err, DBPOOL_ECLOSED, DBPOOL_NOT_SENT, NULL, "the pool is closed");
			return conn;
		}
		poll_status = PQconnectPoll(conn);
	}
	if (PQstatus(conn) != CONNECTION_OK)
	{
		dbpool__connect_sqlstate(PQerrorMessage(conn), sqlstate, message, sizeof(message));
		if (dbpool__is_refusal(sqlstate))
			dbpool__set_error(err, DBPOOL_EREFUSED, DBPOOL_NOT_SENT, sqlstate, "%s", message);
		else
			dbpool__set_error(err, DBPOOL_ECONNECT, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE, sqlstate, "%s",
						 message);
		return conn;
	}
	PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
	if (!dbpool__session_attach(conn, &slot->session))
	{
		dbpool__set_error(err, DBPOOL_ENOMEM, DBPOOL_NOT_SENT, NULL, "out of memory");
		return conn;
	}
	/* NULL if out of memory: a cancel is then dropped */
	slot->interrupt = PQgetCancel(conn);
	dbpool__ok(err);
	return conn;
}
