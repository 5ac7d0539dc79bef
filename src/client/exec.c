/*
 * exec.c
 *		Run a statement under a deadline and say what became of it.
 *
 * The slot is marked busy meanwhile, so that a second call on the same lease is
 * told EBUSY instead of mixing two conversations on one socket.
 *
 * At the deadline the caller goes home at once.  A worker sends the cancel request
 * and the connection is condemned: never lent again, because a cancel that arrives
 * late would hit the next borrower's statement.
 *
 * Outcomes: without reading SQL we cannot tell a COMMIT from a SELECT, so whatever
 * was sent and not answered is OUTCOME_UNKNOWN, also if a fatal error of the
 * server (e.g. 57P01 during a COMMIT) is the last word.
 */
#include <string.h>

#include "internal.h"

static int
query_error(const PGresult *res, PGTransactionStatusType before, PGTransactionStatusType after,
			dbpool_error *err)
{
	const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
	uint32_t	flags = 0;

	if (sqlstate != NULL && (strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0))
		flags |= DBPOOL_RETRYABLE;
	if (after == PQTRANS_INERROR || (before != PQTRANS_IDLE && after == PQTRANS_IDLE))
		flags |= DBPOOL_TX_ABORTED;
	return dbpool__fail(err, DBPOOL_EQUERY, flags, sqlstate, "%s%s%s%s%s",
						primary != NULL ? primary : PQresultErrorMessage(res),
						detail != NULL ? "; DETAIL: " : "", detail != NULL ? detail : "",
						hint != NULL ? "; HINT: " : "", hint != NULL ? hint : "");
}

static int
lost_error(PGconn *conn, const PGresult *res, dbpool_error *err)
{
	const char *sqlstate = res != NULL ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
	const char *text = res != NULL ? PQresultErrorMessage(res) : "";

	return dbpool__fail(err, DBPOOL_ECONNLOST, DBPOOL_OUTCOME_UNKNOWN, sqlstate,
						"the connection was lost after sending: %s",
						text[0] != '\0' ? text : PQerrorMessage(conn));
}

/* Turn what dbpool__statement_run said into a code; *res is kept only on success. */
int
dbpool__judge(const dbpool__use *use, dbpool__run_status status, const dbpool__run_note *note,
			  PGresult **res, dbpool_error *err)
{
	PGconn *conn = use->conn;
	int		code = DBPOOL_OK;

	switch (status)
	{
		case RUN_OK:
			switch (PQresultStatus(*res))
			{
				case PGRES_BAD_RESPONSE:
				case PGRES_NONFATAL_ERROR:
				case PGRES_FATAL_ERROR:
					code = query_error(*res, use->before, PQtransactionStatus(conn), err);
					break;
				default:
					return dbpool__ok(err);
			}
			break;
		case RUN_NOTSENT:
			if (PQstatus(conn) == CONNECTION_OK)
				code = dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL, "not sent: %s",
									PQerrorMessage(conn));
			else
				code = dbpool__fail(err, DBPOOL_ECONNLOST, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE, NULL,
									"the connection was lost before sending");
			break;
		case RUN_LOST:
			code = lost_error(conn, *res, err);
			break;
		case RUN_NOMEM:
			code = dbpool__fail(err, DBPOOL_ENOMEM, DBPOOL_OUTCOME_UNKNOWN, NULL, "out of memory");
			break;
		case RUN_TIMEOUT:
		case RUN_STOPPED: /* cannot be: no stop_fd was given */
			code = dbpool__fail(err, DBPOOL_ETIMEDOUT, DBPOOL_OUTCOME_UNKNOWN, NULL,
								"no answer before the deadline: the statement is being cancelled");
			break;
	}
	if (err != NULL && note->stale)
		err->flags |= DBPOOL_RETRYABLE;
	/* the connection went while the statement was being prepared: it has not run */
	if (err != NULL && !note->sent && (err->flags & DBPOOL_OUTCOME_UNKNOWN) != 0)
		err->flags = (err->flags & ~DBPOOL_OUTCOME_UNKNOWN) | DBPOOL_NOT_SENT | DBPOOL_RETRYABLE;
	PQclear(*res);
	*res = NULL;
	return code;
}

/* Mark the lease's slot busy; lock not held after. */
static int
mark_busy(dbpool_lease lease, dbpool__slot **slot, int64_t *deadline, dbpool_error *err)
{
	int code = dbpool__lease_lock(lease, slot, err);

	if (code != DBPOOL_OK)
		return code;
	code = dbpool__lease_usable(lease.pool, *slot, err);
	if (code == DBPOOL_OK)
	{
		(*slot)->used = true;
		(*slot)->busy = true;
		lease.pool->stats.execs++;
		if (*deadline == DBPOOL_DEADLINE_DEFAULT)
			*deadline = lease.pool->config.exec_timeout_ms == 0
				? DBPOOL_DEADLINE_NONE
				: dbpool_deadline_ms(lease.pool->config.exec_timeout_ms);
	}
	pthread_mutex_unlock(&lease.pool->lock);
	return code;
}

bool
dbpool__params_good(const dbpool_params *params)
{
	return params->size >= sizeof(dbpool_params) && params->n >= 0 &&
		(params->n == 0 || params->values != NULL);
}

/*
 * A call begins that uses a lease's connection, until dbpool__use_end: it is ours, as
 * we are busy on it, and it is ready for a command before use->deadline.
 */
int
dbpool__use_begin(dbpool__use *use, dbpool_lease lease, int64_t deadline, dbpool_error *err)
{
	int code;

	use->pool = lease.pool;
	use->deadline = deadline;
	code = mark_busy(lease, &use->slot, &use->deadline, err);
	if (code != DBPOOL_OK)
		return code;
	use->conn = use->slot->conn;
	use->before = PQtransactionStatus(use->conn);
	if (dbpool__passed(use->deadline))
		code = dbpool__fail(err, DBPOOL_ETIMEDOUT, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE, NULL,
							"the deadline passed before the statement was sent");
	else if (PQpipelineStatus(use->conn) != PQ_PIPELINE_OFF)
		code = dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"the connection is in pipeline mode");
	else if (use->before == PQTRANS_ACTIVE)
		code = dbpool__fail(err, DBPOOL_EBUSY, DBPOOL_NOT_SENT, NULL,
							"a command is in progress on the connection");
	if (code != DBPOOL_OK)
		dbpool__use_end(use, RUN_NOTSENT, code);
	return code;
}

/*
 * The call ends.  After RUN_TIMEOUT and RUN_STOPPED its command is cancelled, and after
 * these and RUN_NOMEM the connection is given up.
 */
void
dbpool__use_end(dbpool__use *use, dbpool__run_status status, int code)
{
	dbpool_pool	 *pool = use->pool;
	dbpool__slot *slot = use->slot;
	bool		  stop = status == RUN_TIMEOUT || status == RUN_STOPPED;
	PGcancel	 *cancel = stop ? PQgetCancel(use->conn) : NULL;

	pthread_mutex_lock(&pool->lock);
	slot->busy = false;
	dbpool__statements_note(pool, slot);
	if (code != DBPOOL_OK)
		pool->stats.exec_errors++;
	if (code == DBPOOL_ETIMEDOUT)
		pool->stats.exec_timeouts++;
	if (stop || status == RUN_NOMEM)
		slot->condemned = true;
	if (stop)
		dbpool__queue_cancel(pool, cancel, NULL);
	if (slot->orphaned)
		dbpool__lease_end(pool, slot, true);
	else
		pthread_mutex_unlock(&pool->lock);
}

int
dbpool_exec(dbpool_lease lease, int64_t deadline, const char *sql, const dbpool_params *params,
			PGresult **result, dbpool_error *err)
{
	dbpool__use		   use;
	dbpool__run_note   note = {false, false};
	dbpool__run_status status;
	PGresult		  *res = NULL;
	int				   code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (result != NULL)
		*result = NULL;
	if (sql == NULL || result == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"sql and result must not be NULL");
	if (params != NULL && !dbpool__params_good(params))
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"params must be DBPOOL_PARAMS_INIT with n values");
	code = dbpool__use_begin(&use, lease, deadline, err);
	if (code != DBPOOL_OK)
		return code;
	status = dbpool__statement_run(use.pool, use.slot, use.deadline, sql, params, &note, &res);
	code = dbpool__judge(&use, status, &note, &res, err);
	dbpool__use_end(&use, status, code);
	*result = res;
	return code;
}
