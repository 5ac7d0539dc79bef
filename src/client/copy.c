/*
 * copy.c
 *		COPY under a deadline, from and to callbacks.
 *
 * As long as the end of the data was not sent, nothing can have been written: the
 * server rolls back.  Only after that is a loss an unknown outcome.
 */
#include <poll.h>
#include <stdlib.h>

#include "dbpool_data.h"
#include "internal.h"

#define PIECE (64 * 1024)

/* Start it: *res is NULL if the server is ready to copy in this direction. */
static dbpool__run_status
start(const dbpool__use *use, const char *sql, ExecStatusType direction, PGresult **res)
{
	dbpool__run_status status = dbpool__run(use->conn, -1, use->deadline, sql, NULL, res);

	if (status == RUN_OK && PQresultStatus(*res) == direction)
	{
		PQclear(*res);
		*res = NULL;
		/* dbpool__run has put it back */
		return PQsetnonblocking(use->conn, 1) == 0 ? RUN_OK : RUN_LOST;
	}
	return status;
}

/*
 * What the server answered at the end, in *res, and leave the connection as it was.
 */
static dbpool__run_status
finish(const dbpool__use *use, bool blocking, PGresult **res)
{
	PGresult		  *end = NULL;
	dbpool__run_status status = dbpool__flush(use->conn, -1, use->deadline);

	if (status == RUN_OK || status == RUN_LOST)
		status = dbpool__next_result(use->conn, use->deadline, res);
	if (status == RUN_OK)
		status = dbpool__next_result(use->conn, use->deadline, &end);
	PQclear(end);
	if (status == RUN_OK && blocking)
		(void) PQsetnonblocking(use->conn, 0);
	return status;
}

/* Send all that the source has.  *given_up: what it returned if it gave up. */
static dbpool__run_status
send_data(const dbpool__use *use, dbpool_copy_source source, void *arg, int64_t *given_up)
{
	char buffer[PIECE];

	for (;;)
	{
		int64_t			   n = source(arg, buffer, sizeof(buffer));
		dbpool__run_status status;
		int				   sent;

		if (n < 0 || n > (int64_t) sizeof(buffer))
			*given_up = n;
		if (n == 0 || *given_up != 0)
			return RUN_OK;
		/* the server may take all we have and never make us wait */
		if (dbpool__passed(use->deadline))
			return RUN_TIMEOUT;
		while ((sent = PQputCopyData(use->conn, buffer, (int) n)) == 0)
		{
			status = dbpool__flush(use->conn, -1, use->deadline);
			if (status != RUN_OK)
				return status;
		}
		if (sent < 0)
			return PQstatus(use->conn) == CONNECTION_OK ? RUN_NOMEM : RUN_LOST;
		status = dbpool__flush(use->conn, -1, use->deadline);
		if (status != RUN_OK)
			return status;
	}
}

/* The arguments that both directions have. */
static int
check(const char *sql, bool callback, dbpool_error *err)
{
	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (sql == NULL || !callback)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"sql and the callback must not be NULL");
	return DBPOOL_OK;
}

/* The end of a COPY that went well. */
static int
count_rows(PGresult *res, uint64_t *rows, dbpool_error *err)
{
	if (rows != NULL)
		*rows = strtoull(PQcmdTuples(res), NULL, 10);
	PQclear(res);
	return dbpool__ok(err);
}

/* It was no COPY in that direction: an error of the server, or something that has run. */
static int
not_copy(const dbpool__use *use, dbpool__run_status *status, PGresult **res, dbpool_error *err)
{
	const dbpool__run_note note = {true, false};

	switch (PQresultStatus(*res))
	{
		case PGRES_COPY_IN:
		case PGRES_COPY_OUT:
		case PGRES_COPY_BOTH:
			/* under way, so the connection has to go */
			*status = RUN_STOPPED;
			break;
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
		case PGRES_EMPTY_QUERY:
			break;
		default:
			return dbpool__judge(use, *status, &note, res, err);
	}
	PQclear(*res);
	*res = NULL;
	return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
						"the statement is no COPY to or from the client, in this direction");
}

/* Tell the server that the data ends, or that it is to be forgotten. */
static dbpool__run_status
send_end(const dbpool__use *use, bool give_up)
{
	int sent;

	while ((sent = PQputCopyEnd(use->conn, give_up ? "the source gave up" : NULL)) == 0)
	{
		dbpool__run_status status = dbpool__flush(use->conn, -1, use->deadline);

		if (status != RUN_OK)
			return status;
	}
	return sent > 0 ? RUN_OK : RUN_LOST;
}

int
dbpool_copy_in(dbpool_lease lease, int64_t deadline, const char *sql, dbpool_copy_source source,
			   void *arg, uint64_t *rows, dbpool_error *err)
{
	const dbpool__run_note note = {true, false};
	dbpool__use			   use;
	dbpool__run_status	   status;
	PGresult			  *res = NULL;
	int64_t				   given_up = 0;
	bool				   ended = false;
	bool				   blocking;
	int					   code = check(sql, source != NULL, err);

	if (code == DBPOOL_OK)
		code = dbpool__use_begin(&use, lease, deadline, err);
	if (code != DBPOOL_OK)
		return code;
	blocking = !PQisnonblocking(use.conn);
	status = start(&use, sql, PGRES_COPY_IN, &res);
	if (status != RUN_OK || res != NULL)
	{
		code = not_copy(&use, &status, &res, err);
		dbpool__use_end(&use, status, code);
		return code;
	}
	status = send_data(&use, source, arg, &given_up);
	if (status == RUN_OK)
	{
		/* from here on it may be written */
		ended = given_up == 0;
		status = send_end(&use, given_up != 0);
	}
	if (status == RUN_OK)
		status = finish(&use, blocking, &res);
	if (status == RUN_OK && given_up != 0)
	{
		code = dbpool__fail(err, DBPOOL_EABORTED, DBPOOL_TX_ABORTED, NULL,
							"nothing was copied: the source returned %lld", (long long) given_up);
		PQclear(res);
	}
	else if (status == RUN_OK && PQresultStatus(res) == PGRES_COMMAND_OK)
		code = count_rows(res, rows, err);
	else
	{
		code = dbpool__judge(&use, status, &note, &res, err);
		if (!ended && err != NULL && status != RUN_OK)
			err->flags = (err->flags & ~DBPOOL_OUTCOME_UNKNOWN) | DBPOOL_TX_ABORTED;
	}
	dbpool__use_end(&use, status, code);
	return code;
}

/* Give all rows to the sink.  RUN_STOPPED if it gave up, *given_up saying with what. */
static dbpool__run_status
receive_data(const dbpool__use *use, dbpool_copy_sink sink, void *arg, int *given_up)
{
	for (;;)
	{
		char *data = NULL;
		int	  n = PQgetCopyData(use->conn, &data, 1);
		int	  waited;

		if (n > 0)
		{
			*given_up = sink(arg, data, (size_t) n);
			PQfreemem(data);
			if (*given_up != 0)
				return RUN_STOPPED;
			if (dbpool__passed(use->deadline))
				return RUN_TIMEOUT;
			continue;
		}
		/* -1 is the end, -2 an error: PQgetResult has it */
		if (n < 0)
			return RUN_OK;
		waited = dbpool__wait_fd(PQsocket(use->conn), POLLIN, -1, use->deadline);
		if (waited == 0)
			return RUN_TIMEOUT;
		if (PQconsumeInput(use->conn) == 0)
			return RUN_OK;
	}
}

int
dbpool_copy_out(dbpool_lease lease, int64_t deadline, const char *sql, dbpool_copy_sink sink,
				void *arg, uint64_t *rows, dbpool_error *err)
{
	const dbpool__run_note note = {true, false};
	dbpool__use			   use;
	dbpool__run_status	   status;
	PGresult			  *res = NULL;
	int					   given_up = 0;
	bool				   blocking;
	int					   code = check(sql, sink != NULL, err);

	if (code == DBPOOL_OK)
		code = dbpool__use_begin(&use, lease, deadline, err);
	if (code != DBPOOL_OK)
		return code;
	blocking = !PQisnonblocking(use.conn);
	status = start(&use, sql, PGRES_COPY_OUT, &res);
	if (status != RUN_OK || res != NULL)
	{
		code = not_copy(&use, &status, &res, err);
		dbpool__use_end(&use, status, code);
		return code;
	}
	status = receive_data(&use, sink, arg, &given_up);
	if (status == RUN_OK)
		status = finish(&use, blocking, &res);
	if (status == RUN_STOPPED)
		/* what its query wrote, if it did, is unknown unless it was in a transaction */
		code = dbpool__fail(err, DBPOOL_EABORTED,
							use.before == PQTRANS_IDLE ? DBPOOL_OUTCOME_UNKNOWN : DBPOOL_TX_ABORTED,
							NULL, "the sink returned %d", given_up);
	else if (status == RUN_OK && PQresultStatus(res) == PGRES_COMMAND_OK)
		code = count_rows(res, rows, err);
	else
		code = dbpool__judge(&use, status, &note, &res, err);
	dbpool__use_end(&use, status, code);
	return code;
}
