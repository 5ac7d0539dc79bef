/*
 * transaction.c
 *		Transactions with an end: begin, commit or roll back, say what became of it,
 *		and do all of it again where that may help.
 *
 * The fate of a transaction is certain but for one case: COMMIT was sent and its
 * answer did not come.  Before that a lost connection means that the server rolls
 * back.  So what a statement's own error left open (OUTCOME_UNKNOWN) is settled here,
 * provided that the caller did not send a COMMIT of his own; one that was answered
 * is seen (dbpool__session.commits).
 *
 * A session is the caller's and used by one thread; its connection is his by the
 * lease.  Rolling back is left to the release, which never waits for the server.
 */
#include <string.h>

#include "internal.h"

/* What is known of an open session's connection. */
typedef struct
{
	PGTransactionStatusType tx;
	bool	 lost;		 /* broken, not only given up at a deadline */
	bool	 read_only;	 /* 25006, by the server's state */
	uint32_t commits;
	char	 sqlstate[6];
	PQnoticeReceiver receiver; /* libpq's own */
} view;

static bool
is_conflict(const char *sqlstate)
{
	return strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0;
}

static bool
valid(const dbpool_session *s)
{
	return s != NULL && s->size >= sizeof(*s);
}

/* Look at the session's connection; clear: forget what was seen so far. */
static int
look(const dbpool_session *s, bool clear, view *v, dbpool_error *err)
{
	dbpool__slot *slot = NULL;
	int			  code = dbpool__lease_lock(s->lease, &slot, err);

	memset(v, 0, sizeof(*v));
	v->tx = PQTRANS_UNKNOWN;
	if (code != DBPOOL_OK)
		return code;
	if (slot->busy)
		code = dbpool__lease_usable(s->lease.pool, slot, err);
	else
	{
		/* nobody else uses the connection: the lease is ours and not busy */
		if (!slot->session.destroyed)
			v->tx = PQtransactionStatus(slot->conn);
		v->lost = !slot->condemned &&
			(slot->session.destroyed || PQstatus(slot->conn) != CONNECTION_OK);
		v->read_only = slot->session.server_ro;
		v->commits = slot->session.commits;
		v->receiver = slot->session.receiver;
		memcpy(v->sqlstate, slot->session.sqlstate, sizeof(v->sqlstate));
		if (clear)
		{
			slot->session.commits = 0;
			slot->session.sqlstate[0] = '\0';
		}
	}
	pthread_mutex_unlock(&s->lease.pool->lock);
	return code;
}

/* The end of a transaction: counted, and the connection given back. */
static void
end(dbpool_session *s, int fate)
{
	dbpool__slot *slot = NULL;

	s->fate = fate;
	if (dbpool__lease_lock(s->lease, &slot, NULL) == DBPOOL_OK)
	{
		dbpool_stats *stats = &s->lease.pool->stats;

		stats->tx_committed += fate == DBPOOL_COMMITTED;
		stats->tx_aborted += fate == DBPOOL_ABORTED;
		stats->tx_unknown += fate == DBPOOL_UNKNOWN;
		pthread_mutex_unlock(&s->lease.pool->lock);
	}
	dbpool_release(&s->lease);
}

/*
 * One attempt to begin.  The lease is empty after an error; `lost`: because
 * the connection was dead.
 */
static int
begin(dbpool_pool *pool, int64_t acquire_deadline, dbpool_session *s, bool *lost,
	  dbpool_error *err, const char *file, int line)
{
	const char *sql = s->begin != NULL ? s->begin : "BEGIN";
	PGresult   *res = NULL;
	view		v;
	int			code;

	*lost = false;
	s->keyed = 0;
	s->ticket = (dbpool_ticket) DBPOOL_TICKET_INIT;
	code = dbpool_acquire_at(pool, acquire_deadline, &s->lease, err, file, line);
	if (code != DBPOOL_OK)
		return code;
	s->attempts++;
	(void) look(s, true, &v, NULL);
	code = dbpool_exec(s->lease, s->deadline, sql, NULL, &res, err);
	PQclear(res);
	(void) look(s, true, &v, NULL);
	*lost = code == DBPOOL_ECONNLOST;
	if (code == DBPOOL_OK && v.tx != PQTRANS_INTRANS)
		code = dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "\"%.200s\" did not begin a transaction",
							sql);
	if (code != DBPOOL_OK)
	{
		dbpool_release(&s->lease);
		return code;
	}
	s->fate = DBPOOL_OPEN;
	pthread_mutex_lock(&pool->lock);
	pool->stats.tx_begun++;
	pthread_mutex_unlock(&pool->lock);
	return code;
}

/* Until when an acquire that begins now may take: never longer than the transaction. */
static int64_t
acquire_until(const dbpool_session *s, int64_t patience_ms)
{
	int64_t until = dbpool_deadline_ms(patience_ms);

	return until < s->deadline ? until : s->deadline;
}

/*
 * Check a session about to begin, work out its deadline and pay into the budget.
 * *patience_ms is what one acquire may take.
 */
static int
prepare(dbpool_pool *pool, int64_t deadline, dbpool_session *s, int64_t *patience_ms,
		dbpool_error *err)
{
	int code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (!valid(s) || s->lease.pool != NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"the session must be DBPOOL_SESSION_INIT or ended");
	code = dbpool__pool_lock(pool, err);
	if (code != DBPOOL_OK)
		return code;
	*patience_ms = INT64_MAX;
	s->deadline = deadline;
	if (deadline == DBPOOL_DEADLINE_DEFAULT)
	{
		*patience_ms = pool->config.acquire_timeout_ms;
		s->deadline = pool->config.exec_timeout_ms == 0
			? DBPOOL_DEADLINE_NONE
			: dbpool_deadline_ms(pool->config.exec_timeout_ms);
	}
	dbpool__budget_request(&pool->budget);
	pthread_mutex_unlock(&pool->lock);
	s->fate = DBPOOL_NOT_BEGUN;
	s->attempts = 0;
	s->lease = (dbpool_lease) DBPOOL_LEASE_INIT;
	return DBPOOL_OK;
}

int
dbpool_session_begin_at(dbpool_pool *pool, int64_t deadline, dbpool_session *session,
						dbpool_error *err, const char *file, int line)
{
	int64_t patience_ms;
	bool	lost;
	int		code = prepare(pool, deadline, session, &patience_ms, err);

	while (code == DBPOOL_OK)
	{
		int again;

		code = begin(pool, acquire_until(session, patience_ms), session, &lost, err, file, line);
		if (code == DBPOOL_OK || !lost)
			break;
		again = dbpool__retry_wait(pool, session->attempts, session->deadline, err);
		if (again == DBPOOL_EEND)
			break;
		code = again;
	}
	return code;
}

/* What the notice receiver of a COMMIT needs. */
typedef struct
{
	PQnoticeReceiver receiver;
	bool			 not_replicated;
} commit_notices;

static void
on_commit_notice(void *arg, const PGresult *res)
{
	commit_notices *notices = arg;
	const char	   *function = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);

	/* by the place it comes from: it has no SQLSTATE of its own, and its text is translated */
	if (function != NULL && strcmp(function, "SyncRepWaitForLSN") == 0)
		notices->not_replicated = true;
	notices->receiver(NULL, res);
}

/*
 * Send COMMIT and read the answer; `v` was seen before.  Sets *fate, DBPOOL_OPEN if
 * nothing was done.
 */
static int
commit(dbpool_session *s, const view *v, int *fate, dbpool_error *err)
{
	PGconn		  *conn = dbpool_conn(s->lease);
	PGresult	  *res = NULL;
	commit_notices notices = {NULL, false};
	int			   code;

	*fate = DBPOOL_ABORTED;
	if (v->tx == PQTRANS_INERROR)
		return dbpool__fail(err, DBPOOL_EABORTED, is_conflict(v->sqlstate) ? DBPOOL_RETRYABLE : 0,
							v->sqlstate, "rolled back: a statement of the transaction had failed");
	if (v->tx == PQTRANS_IDLE || v->commits > 0)
	{
		/* what was committed and what came after it only the caller knows */
		if (v->commits > 0)
			*fate = DBPOOL_UNKNOWN;
		return dbpool__fail(err, DBPOOL_EINVAL, v->commits > 0 ? DBPOOL_OUTCOME_UNKNOWN : 0, NULL,
							"a statement had ended the transaction before its commit");
	}
	if ((s->flags & DBPOOL_TX_TRACK) != 0)
	{
		code = dbpool__ticket_fill(s->lease, s->deadline, &s->ticket, err);
		if (code != DBPOOL_OK)
		{
			if (code == DBPOOL_EBUSY)
				*fate = DBPOOL_OPEN;
			else if (code == DBPOOL_EFORK)
				*fate = DBPOOL_UNKNOWN;
			/* COMMIT was not sent */
			err->flags &= ~DBPOOL_OUTCOME_UNKNOWN;
			return code;
		}
	}
	if (conn != NULL)
	{
		notices.receiver = PQsetNoticeReceiver(conn, NULL, NULL);
		if (notices.receiver == v->receiver)
			PQsetNoticeReceiver(conn, on_commit_notice, &notices);
		else
			conn = NULL;
	}
	code = dbpool_exec(s->lease, s->deadline, "COMMIT", NULL, &res, err);
	/* also a connection that is lost: it may have more to say when it is closed */
	if (conn != NULL)
		PQsetNoticeReceiver(conn, notices.receiver, NULL);
	if (code == DBPOOL_EBUSY)
		*fate = DBPOOL_OPEN;
	else if (code == DBPOOL_EFORK || (err->flags & DBPOOL_OUTCOME_UNKNOWN) != 0)
		*fate = DBPOOL_UNKNOWN;
	else if (code == DBPOOL_OK && strcmp(PQcmdStatus(res), "COMMIT") != 0)
		code = dbpool__fail(err, DBPOOL_EABORTED, 0, v->sqlstate,
							"rolled back: the server answered COMMIT with \"%.60s\"",
							PQcmdStatus(res));
	else if (code == DBPOOL_OK)
		*fate = DBPOOL_COMMITTED;
	PQclear(res);
	if (notices.not_replicated && code == DBPOOL_OK)
		dbpool__set_error(err, DBPOOL_OK, DBPOOL_NOT_REPLICATED, NULL,
						  "committed, but the wait for synchronous replication was cancelled");
	return code;
}

int
dbpool_session_commit(dbpool_session *session, dbpool_error *err)
{
	dbpool_error own = DBPOOL_ERROR_INIT;
	view		 v;
	int			 fate;
	int			 code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (!valid(session) || session->fate != DBPOOL_OPEN)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"the session has no open transaction");
	code = look(session, false, &v, &own);
	if (code == DBPOOL_EBUSY)
		return dbpool__copy_error(err, &own);
	if (code != DBPOOL_OK)
		fate = code == DBPOOL_EFORK ? DBPOOL_UNKNOWN : DBPOOL_ABORTED;
	else
		(void) commit(session, &v, &fate, &own);
	if (fate == DBPOOL_ABORTED)
		own.flags |= DBPOOL_TX_ABORTED;
	if (fate != DBPOOL_OPEN)
		end(session, fate);
	return dbpool__copy_error(err, &own);
}

void
dbpool_session_end(dbpool_session *session)
{
	view v;

	if (!valid(session) || session->fate != DBPOOL_OPEN)
		return;
	if (look(session, false, &v, NULL) == DBPOOL_EFORK || v.commits > 0)
		end(session, DBPOOL_UNKNOWN);
	else
		end(session, DBPOOL_ABORTED);
}

/*
 * One attempt of a transaction.  *again: it failed as it may not fail the next
 * time.  s->fate says what became of it.
 */
static int
attempt(dbpool_pool *pool, int64_t acquire_deadline, dbpool_session *s, dbpool_transaction_fn fn,
		void *arg, bool *again, dbpool_error *err, const char *file, int line)
{
	bool lost;
	view v;
	view after;
	int	 code = begin(pool, acquire_deadline, s, &lost, err, file, line);

	*again = lost;
	if (code != DBPOOL_OK)
		return code;
	(void) dbpool__ok(err);
	code = fn(s, arg, err);
	if (s->fate != DBPOOL_OPEN)
	{
		/* it has called dbpool_session_commit or _end itself: so be it */
		if (code == 0 && s->fate != DBPOOL_COMMITTED)
			code = dbpool__fail(err, DBPOOL_EABORTED, DBPOOL_TX_ABORTED, NULL,
								"the callback ended the session itself");
		return code;
	}
	(void) look(s, false, &v, NULL);
	if (code == 0)
	{
		int fate = DBPOOL_OPEN;

		code = commit(s, &v, &fate, err);
		(void) look(s, false, &after, NULL);
		/* a statement left under way by fn is no reason to wait for it */
		if (fate == DBPOOL_OPEN)
			fate = DBPOOL_ABORTED;
		if (fate == DBPOOL_ABORTED && !after.lost)
			v = after;
		v.lost = fate == DBPOOL_ABORTED && (v.lost || after.lost);
		end(s, fate);
	}
	else
	{
		if (err->code == DBPOOL_OK)
			dbpool__set_error(err, DBPOOL_EABORTED, 0, v.sqlstate,
							  "rolled back: the callback returned %d", code);
		end(s, v.commits > 0 ? DBPOOL_UNKNOWN : DBPOOL_ABORTED);
	}

	if (s->fate == DBPOOL_UNKNOWN)
	{
		err->flags |= DBPOOL_OUTCOME_UNKNOWN;
		*again = v.commits == 0 &&
			((s->flags & DBPOOL_TX_IDEMPOTENT) != 0 || s->keyed == DBPOOL_KEY_WRITTEN);
	}
	else if (s->fate == DBPOOL_ABORTED)
	{
		/* a statement's unknown outcome is known now */
		err->flags &= ~DBPOOL_OUTCOME_UNKNOWN;
		err->flags |= DBPOOL_TX_ABORTED;
		*again = v.lost || v.read_only ||
			(err->code == DBPOOL_EQUERY &&
			 (is_conflict(err->sqlstate) || (err->flags & DBPOOL_RETRYABLE) != 0)) ||
			(is_conflict(v.sqlstate) && v.tx == PQTRANS_INERROR);
		if (*again)
			err->flags |= DBPOOL_RETRYABLE;
	}
	return code;
}

int
dbpool_transaction_at(dbpool_pool *pool, int64_t deadline, dbpool_session *session,
					  dbpool_transaction_fn fn, void *arg, dbpool_error *err, const char *file,
					  int line)
{
	dbpool_session own_session = DBPOOL_SESSION_INIT;
	dbpool_error   own = DBPOOL_ERROR_INIT;
	dbpool_session *s = session != NULL ? session : &own_session;
	int64_t		   patience_ms;
	dbpool_ticket  ticket = DBPOOL_TICKET_INIT;
	uint32_t	   unknown = 0;
	int			   code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (fn == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL, "fn must not be NULL");
	code = prepare(pool, deadline, s, &patience_ms, err);
	if (code != DBPOOL_OK)
		return code;
	for (;;)
	{
		bool again;
		int	 wait;

		code = attempt(pool, acquire_until(s, patience_ms), s, fn, arg, &again, &own, file, line);
		if (s->fate == DBPOOL_UNKNOWN)
		{
			unknown++;
			ticket = s->ticket;
		}
		if (code == 0 || !again)
			break;
		wait = dbpool__retry_wait(pool, s->attempts, s->deadline, &own);
		if (wait == DBPOOL_OK)
			continue;
		if (wait != DBPOOL_EEND)
			code = wait;
		break;
	}
	if (code == DBPOOL_EDONE && s->keyed == DBPOOL_KEY_FOUND && s->fate == DBPOOL_ABORTED)
	{
		/* by an earlier attempt, or another caller's: this one has added nothing */
		s->fate = DBPOOL_COMMITTED;
		own.flags = 0;
	}
	/* an earlier attempt of an idempotent one may have been it */
	if (unknown > 0 && s->fate != DBPOOL_COMMITTED)
	{
		/* one ticket cannot say which of several it was */
		s->ticket = unknown == 1 ? ticket : (dbpool_ticket) DBPOOL_TICKET_INIT;
		s->fate = DBPOOL_UNKNOWN;
		own.flags = (own.flags & ~(DBPOOL_TX_ABORTED | DBPOOL_NOT_SENT)) | DBPOOL_OUTCOME_UNKNOWN;
	}
	(void) dbpool__copy_error(err, &own);
	return code;
}
