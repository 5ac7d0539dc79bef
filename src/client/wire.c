/*
 * wire.c
 *		libpq under a deadline: send, wait, finish.
 *
 * Every wait is a poll on the socket with what is left until an absolute deadline,
 * and optionally on a second descriptor that ends it early.  The caller holds the
 * connection (see internal.h) and no lock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

#define WAIT_READY 1
#define WAIT_TIMEOUT 0
#define WAIT_STOPPED (-1)

/*
 * Wait for events on fd (errors count as events).  1 ready, 0 deadline, -1
 * stop_fd became readable (-1 = none).
 */
int
dbpool__wait_fd(int fd, short events, int stop_fd, int64_t deadline)
{
	struct pollfd set[2] = {{.fd = fd, .events = events}, {.fd = stop_fd, .events = POLLIN}};

	for (;;)
	{
		struct timespec	 ts = {0, 0};
		struct timespec *limit = NULL;
		int				 n;

		if (deadline != DBPOOL_DEADLINE_NONE)
		{
			int64_t left = deadline - dbpool__now();

			if (left > 0)
			{
				ts.tv_sec = left / NS_PER_S;
				ts.tv_nsec = left % NS_PER_S;
			}
			limit = &ts;
		}
		n = ppoll(set, stop_fd >= 0 ? 2 : 1, limit, NULL);
		if (n > 0)
			return set[0].revents != 0 ? WAIT_READY : WAIT_STOPPED;
		if (n == 0)
			return WAIT_TIMEOUT;
		/* other errors cannot happen; if they do, let libpq find out */
		if (errno != EINTR)
			return WAIT_READY;
	}
}

static dbpool__run_status
wait_status(int waited)
{
	return waited == WAIT_STOPPED ? RUN_STOPPED : RUN_TIMEOUT;
}

/* Push out what libpq has buffered, reading meanwhile so that neither side stalls. */
dbpool__run_status
dbpool__flush(PGconn *conn, int stop_fd, int64_t deadline)
{
	for (;;)
	{
		int left = PQflush(conn);
		int waited;

		if (left == 0)
			return RUN_OK;
		/* a failed write also ends here: the read side has the reason */
		if (left < 0)
			return RUN_LOST;
		waited = dbpool__wait_fd(PQsocket(conn), POLLIN | POLLOUT, stop_fd, deadline);
		if (waited != WAIT_READY)
			return wait_status(waited);
		if (PQconsumeInput(conn) == 0)
			return RUN_LOST;
	}
}

/*
 * Is this the second report of one loss?  The server's own last words (57P01, say)
 * are followed by libpq's that the connection ended, which has no SQLSTATE.
 */
static bool
says_less(const PGresult *next, const PGresult *before)
{
	return PQresultStatus(next) == PGRES_FATAL_ERROR &&
		PQresultStatus(before) == PGRES_FATAL_ERROR &&
		PQresultErrorField(next, PG_DIAG_SQLSTATE) == NULL &&
		PQresultErrorField(before, PG_DIAG_SQLSTATE) != NULL;
}

/*
 * Wait until PQgetResult does not block any more.  A result that keeps coming in has to
 * end by the deadline, too, though there is always something to read.
 */
static dbpool__run_status
await_result(PGconn *conn, int stop_fd, int64_t deadline)
{
	bool late = false;

	while (PQisBusy(conn))
	{
		int waited;

		if (late)
			return RUN_TIMEOUT;
		late = dbpool__passed(deadline);

		if (PQstatus(conn) == CONNECTION_BAD || PQsocket(conn) < 0)
			break;
		waited = dbpool__wait_fd(PQsocket(conn), POLLIN, stop_fd, deadline);
		if (waited != WAIT_READY)
			return wait_status(waited);
		/* on failure PQgetResult does not wait: it has the error */
		if (PQconsumeInput(conn) == 0)
			break;
	}
	return RUN_OK;
}

/*
 * The next result; *res is NULL if there is none, or after RUN_TIMEOUT.  With RUN_LOST it
 * may say why.
 */
dbpool__run_status
dbpool__next_result(PGconn *conn, int64_t deadline, PGresult **res)
{
	dbpool__run_status status = await_result(conn, -1, deadline);

	*res = status == RUN_OK ? PQgetResult(conn) : NULL;
	if (status == RUN_OK && PQstatus(conn) == CONNECTION_BAD)
		return RUN_LOST;
	return status;
}

/* Read results to the end, keeping the last, as PQexec does. */
static dbpool__run_status
collect(PGconn *conn, int stop_fd, int64_t deadline, PGresult **res)
{
	for (;;)
	{
		PGresult		  *next;
		ExecStatusType	   status;
		dbpool__run_status waited = await_result(conn, stop_fd, deadline);

		if (waited != RUN_OK)
			return waited;
		next = PQgetResult(conn);
		if (next == NULL)
			break;
		status = PQresultStatus(next);
		if (says_less(next, *res))
		{
			PQclear(next);
			continue;
		}
		PQclear(*res);
		*res = next;
		if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
			break;
	}
	if (PQstatus(conn) == CONNECTION_BAD)
		return RUN_LOST;
	return *res != NULL ? RUN_OK : RUN_NOMEM;
}

/*
 * Make ready to send; *blocking is to be given to run_end.
 */
static bool
run_begin(PGconn *conn, bool *blocking, PGresult **res)
{
	*res = NULL;
	*blocking = !PQisnonblocking(conn);
	if (PQstatus(conn) != CONNECTION_OK)
		return false;
	/* idle, so there is nothing to flush and this cannot block */
	return !*blocking || PQsetnonblocking(conn, 1) == 0;
}

/*
 * What was handed to libpq (or not, if `sent` is 0) goes out, its result comes in.
 */
static dbpool__run_status
run_end(PGconn *conn, int stop_fd, int64_t deadline, int sent, bool blocking, PGresult **res)
{
	dbpool__run_status status;

	if (sent == 0)
	{
		/* with the connection gone we cannot tell how much went out */
		if (PQstatus(conn) != CONNECTION_OK)
			return RUN_LOST;
		if (blocking)
			(void) PQsetnonblocking(conn, 0);
		return RUN_NOTSENT;
	}
	status = dbpool__flush(conn, stop_fd, deadline);
	if (status == RUN_OK || status == RUN_LOST)
		status = collect(conn, stop_fd, deadline, res);
	if (blocking && (status == RUN_OK || status == RUN_NOMEM))
		(void) PQsetnonblocking(conn, 0);
	return status;
}

/*
 * Run one statement.  *res is NULL or the last result (see dbpool__run_status),
 * the caller's to PQclear.  After RUN_TIMEOUT, RUN_STOPPED and RUN_LOST the
 * connection must not be used again.
 */
dbpool__run_status
dbpool__run(PGconn *conn, int stop_fd, int64_t deadline, const char *sql,
			const dbpool_params *params, PGresult **res)
{
	bool blocking;
	int	 sent;

	if (!run_begin(conn, &blocking, res))
		return RUN_NOTSENT;
	if (params == NULL)
		sent = PQsendQuery(conn, sql);
	else
		sent = PQsendQueryParams(conn, sql, params->n, params->types, params->values,
								 params->lengths, params->formats, params->result_format);
	return run_end(conn, stop_fd, deadline, sent, blocking, res);
}

/* As dbpool__run: give a statement a name. */
dbpool__run_status
dbpool__run_prepare(PGconn *conn, int64_t deadline, const char *name, const char *sql,
					const dbpool_params *params, PGresult **res)
{
	bool blocking;
	int	 ntypes = params->types != NULL ? params->n : 0;
	int	 sent;

	if (!run_begin(conn, &blocking, res))
		return RUN_NOTSENT;
	sent = PQsendPrepare(conn, name, sql, ntypes, params->types);
	return run_end(conn, -1, deadline, sent, blocking, res);
}

/* As dbpool__run: run the statement of that name. */
dbpool__run_status
dbpool__run_prepared(PGconn *conn, int64_t deadline, const char *name, const dbpool_params *params,
					 PGresult **res)
{
	bool blocking;
	int	 sent;

	if (!run_begin(conn, &blocking, res))
		return RUN_NOTSENT;
	sent = PQsendQueryPrepared(conn, name, params->n, params->values, params->lengths,
							   params->formats, params->result_format);
	return run_end(conn, -1, deadline, sent, blocking, res);
}

/*
 * Close a connection without blocking.  Returns a descriptor that reads as
 * closed when the server's process has ended, or -1 if there is nothing to wait
 * for.  (The server closes its socket by exiting, after it has left
 * pg_stat_activity: so until then it counts.)
 */
int
dbpool__conn_finish(PGconn *conn)
{
	int	 fd = PQsocket(conn);
	bool polite = PQstatus(conn) == CONNECTION_OK && PQtransactionStatus(conn) == PQTRANS_IDLE;
	int	 linger = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

	/*
	 * A connection in an unknown state may have a full send buffer, on which
	 * libpq would wait to send its farewell.  Half-closing makes that fail at
	 * once and tells the server just as well.
	 */
	if (!polite && fd >= 0)
		(void) shutdown(fd, SHUT_WR);
	PQfinish(conn);
	return linger;
}
