/*
 * worker.c
 *		The threads that do all that may take time: connect, reset, close, cancel.
 *
 * There are connect_limit + 2 of them.  At most connect_limit connect at the same
 * time, all but one reset, one cancels (PQcancel cannot be interrupted): so no
 * kind of work can hold up all others.
 *
 * A worker owns the slot it took from a queue, and its connection, until it gives
 * the slot its next state; it works on it without the lock.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

typedef enum
{
	JOB_NONE,
	JOB_CONNECT,
	JOB_RESET,
	JOB_CLOSE,
	JOB_CANCEL
} job;

/* Is a queued connect still wanted?  Its waiter may have been served or gone. */
static bool
connect_wanted(const dbpool_pool *pool)
{
	if (pool->waiters.n > 0)
		return true;
	return !pool->breaker.refused &&
		dbpool__live(pool) + pool->breaker.inflight < (uint64_t) pool->config.min;
}

/* Choose the next job.  Lock held. */
static job
pick(dbpool_pool *pool)
{
	if (pool->resetq.head != NULL && pool->resets_inflight + 1 < pool->nworkers)
		return JOB_RESET;
	if (pool->closeq.head != NULL)
		return JOB_CLOSE;
	while (pool->connectq.head != NULL)
	{
		dbpool__slot *slot = pool->connectq.head;

		/* if it may not start yet, the maintenance thread wakes us when it may */
		if (connect_wanted(pool))
		{
			if (!dbpool__breaker_may_start(&pool->breaker, dbpool__live(pool), dbpool__now()))
				break;
			return JOB_CONNECT;
		}
		dbpool__list_remove(&pool->connectq, slot);
		dbpool__slot_empty(pool, slot);
	}
	if (pool->cancel_head != NULL && pool->cancels_inflight == 0)
		return JOB_CANCEL;
	return JOB_NONE;
}

/* Close a connection; *cancel is to end its command, if one is running. */
static int
hang_up(PGconn *conn, PGcancel **cancel)
{
	if (PQstatus(conn) == CONNECTION_OK && PQtransactionStatus(conn) == PQTRANS_ACTIVE)
		*cancel = PQgetCancel(conn);
	return dbpool__conn_finish(conn);
}

/*
 * Close the connection of a CLOSING slot that is in no list, given as conn since
 * a failed one was never the slot's.  Lock held, released meanwhile.
 *
 * A command still running would keep the server process alive, so it is cancelled,
 * by the maintenance thread and until the process is gone: a cancel that arrives
 * before the command has begun is ignored by the server.
 */
static void
finish(dbpool_pool *pool, dbpool__slot *slot, PGconn *conn)
{
	PGcancel *cancel = NULL;
	dbpool__cache *cache;
	int		  fd = -1;

	slot->conn = NULL;
	dbpool__statements_note(pool, slot);
	cache = slot->cache;
	slot->cache = NULL;
	if (conn != NULL || cache != NULL)
	{
		pthread_mutex_unlock(&pool->lock);
		dbpool__cache_free(cache);
		if (conn != NULL)
			fd = hang_up(conn, &cancel);
		pthread_mutex_lock(&pool->lock);
	}
	if (fd >= 0 && pool->stopping)
	{
		/* the thread that would watch it may have ended */
		close(fd);
		fd = -1;
	}
	if (fd < 0)
	{
		PQfreeCancel(cancel);
		dbpool__slot_empty(pool, slot);
		return;
	}
	slot->linger_fd = fd;
	slot->linger_until = dbpool__after(dbpool__now(), LINGER_NS);
	slot->linger_number++;
	slot->cancel = cancel;
	/* at a deadline dbpool_exec has had one sent already */
	slot->cancel_at = slot->condemned ? dbpool__after(dbpool__now(), CANCEL_AGAIN_NS) : 0;
	dbpool__wake_maintenance(pool);
}

static void
connect_failed(dbpool_pool *pool, uint64_t attempt, const dbpool_error *err)
{
	dbpool__breaker *b = &pool->breaker;
	int64_t			 patience = pool->config.fail_fast_after_ms * NS_PER_MS;

	if (err->code == DBPOOL_ECLOSED)
	{
		dbpool__breaker_abandoned(b);
		return;
	}
	pool->stats.connects_failed++;
	pool->stats.too_many += strcmp(err->sqlstate, "53300") == 0;
	pool->connect_error = *err;
	dbpool__event(pool, DBPOOL_EVENT_CONNECT_FAILED, NULL, err);
	if (dbpool__breaker_failed(b, attempt, err->sqlstate, dbpool__live(pool), dbpool__now(),
							   dbpool__random(&pool->rng)))
	{
		pool->stats.breaker_opened++;
		dbpool__event(pool, DBPOOL_EVENT_SERVER_LOST, NULL, err);
	}

	/* nothing is left that could serve them, nor on its way */
	if (dbpool__live(pool) > 0 || b->inflight > 0)
		return;
	if (b->refused)
		dbpool__fail_waiters(pool, err, &pool->stats.refused);
	else if (patience > 0 && b->state == BREAKER_OPEN && dbpool__now() - b->opened_at >= patience)
		dbpool__fail_waiters(pool, err, &pool->stats.failed_fast);
}

static void
connect_succeeded(dbpool_pool *pool, dbpool__slot *slot, PGconn *conn, uint64_t epoch,
				  int64_t start)
{
	int64_t lifetime = pool->config.lifetime_ms * NS_PER_MS;
	int64_t took = dbpool__now() - start;
	bool	back = pool->breaker.state == BREAKER_OPEN;

	pool->stats.connects_ok++;
	pool->stats.create_ns += (uint64_t) took;
	dbpool__histogram_note(&pool->create_time, took);
	/* the slot is not live yet */
	dbpool__breaker_succeeded(&pool->breaker, dbpool__live(pool) + 1, (uint32_t) pool->config.max);
	pool->connect_error.code = DBPOOL_OK;
	if (pool->connectq.head != NULL)
		pthread_cond_broadcast(&pool->work_cond);
	slot->conn = conn;
	slot->epoch = epoch;
	slot->backend_pid = PQbackendPID(conn);
	if (back)
		dbpool__event(pool, DBPOOL_EVENT_SERVER_BACK, slot, NULL);
	dbpool__event(pool, DBPOOL_EVENT_CONNECTED, slot, NULL);
	if (lifetime == 0)
		slot->expires_at = INT64_MAX;
	else
		slot->expires_at = dbpool__after(dbpool__now(), lifetime) -
			(int64_t) (dbpool__random(&pool->rng) % (uint64_t) (lifetime / 5 + 1));
}

static void
do_connect(dbpool_pool *pool)
{
	dbpool__slot	 *slot = pool->connectq.head;
	uint64_t		  epoch = pool->epoch;
	int64_t			  start = dbpool__now();
	uint64_t		  attempt = dbpool__breaker_start(&pool->breaker, start);
	_Atomic uint32_t *wake;
	dbpool_error	  err = DBPOOL_ERROR_INIT;
	PGconn			 *conn;

	dbpool__list_remove(&pool->connectq, slot);
	pool->stats.connects_started++;
	pthread_mutex_unlock(&pool->lock);
	conn = dbpool__connect(pool, slot, &err);
	pthread_mutex_lock(&pool->lock);
	if (err.code != DBPOOL_OK)
	{
		dbpool__slot_set(pool, slot, SLOT_CLOSING);
		connect_failed(pool, attempt, &err);
		/* for the backoff, and for others in wait_ready */
		dbpool__wake_maintenance(pool);
		pthread_cond_broadcast(&pool->state_cond);
		dbpool__grow(pool);
		finish(pool, slot, conn);
		return;
	}
	connect_succeeded(pool, slot, conn, epoch, start);
	wake = dbpool__slot_ready(pool, slot, dbpool__coarse());
	pthread_cond_broadcast(&pool->state_cond);
	pthread_mutex_unlock(&pool->lock);
	dbpool__waiter_wake(wake);
	pthread_mutex_lock(&pool->lock);
}

/* Run one command of a reset; true if the server said it is done. */
static bool
command(dbpool_pool *pool, PGconn *conn, const char *sql, int64_t deadline)
{
	PGresult		  *res;
	dbpool__run_status status = dbpool__run(conn, pool->stop_fd, deadline, sql, NULL, &res);
	ExecStatusType	   result = PQresultStatus(res);

	PQclear(res);
	return status == RUN_OK && (result == PGRES_COMMAND_OK || result == PGRES_EMPTY_QUERY);
}

static void
do_reset(dbpool_pool *pool)
{
	dbpool__slot	 *slot = pool->resetq.head;
	PGconn			 *conn = slot->conn;
	unsigned		  todo = slot->todo;
	int64_t			  deadline = dbpool_deadline_ms(pool->config.reset_timeout_ms);
	_Atomic uint32_t *wake = NULL;
	bool			  ok = true;

	dbpool__list_remove(&pool->resetq, slot);
	pool->resets_inflight++;
	pthread_mutex_unlock(&pool->lock);
	if (todo & NEED_ROLLBACK)
		ok = command(pool, conn, "ROLLBACK", deadline);
	if (ok && (todo & NEED_DISCARD))
		ok = command(pool, conn, "DISCARD ALL", deadline);
	if (ok && (todo & NEED_CHECK))
		ok = command(pool, conn, "", deadline);
	if (ok)
		ok = PQtransactionStatus(conn) == PQTRANS_IDLE;
	if (ok)
		dbpool__session_restore(conn, &slot->session, pool->config.reset);
	pthread_mutex_lock(&pool->lock);

	dbpool__statements_note(pool, slot);
	pool->resets_inflight--;
	if (todo & (NEED_ROLLBACK | NEED_DISCARD))
	{
		pool->stats.resets++;
		if (todo & NEED_ROLLBACK)
			pool->stats.rollbacks++;
		if (!ok)
			pool->stats.reset_failures++;
	}
	if (!ok)
		dbpool__slot_to_close(pool, slot, &pool->stats.closed_broken);
	else if (slot->session.evict)
		dbpool__slot_to_close(pool, slot, &pool->stats.closed_evicted);
	else if (dbpool__slot_outdated(pool, slot, dbpool__coarse()))
		dbpool__slot_to_close(pool, slot, NULL);
	else
		wake = dbpool__slot_ready(pool, slot, dbpool__coarse());
	pthread_cond_broadcast(&pool->state_cond);
	if (wake != NULL)
	{
		pthread_mutex_unlock(&pool->lock);
		dbpool__waiter_wake(wake);
		pthread_mutex_lock(&pool->lock);
	}
}

static void
do_close(dbpool_pool *pool)
{
	dbpool__slot *slot = pool->closeq.head;

	dbpool__list_remove(&pool->closeq, slot);
	finish(pool, slot, slot->conn);
	pthread_cond_broadcast(&pool->state_cond);
}

static void
do_cancel(dbpool_pool *pool)
{
	dbpool__cancel *cancel = pool->cancel_head;
	dbpool__slot   *slot = cancel->slot;
	char			text[256];
	bool			late = dbpool__now() - cancel->queued_at > CANCEL_MAX_AGE_NS;

	pool->cancel_head = cancel->next;
	if (pool->cancel_head == NULL)
		pool->cancel_tail = NULL;
	pool->cancels_inflight++;
	if (late)
		pool->stats.cancels_dropped++;
	else
		pool->stats.cancels_sent++;
	pthread_mutex_unlock(&pool->lock);
	/* if it fails there is no more to do: the connection is given up anyway */
	if (!late)
		(void) PQcancel(cancel->handle, text, sizeof(text));
	pthread_mutex_lock(&pool->lock);
	pool->cancels_inflight--;
	if (slot != NULL && slot->linger_fd >= 0 && slot->linger_number == cancel->linger_number)
	{
		slot->cancel = cancel->handle;
		slot->cancel_at = dbpool__after(dbpool__now(), CANCEL_AGAIN_NS);
		dbpool__wake_maintenance(pool);
	}
	else
		PQfreeCancel(cancel->handle);
	free(cancel);
}

/*
 * Have a cancel request sent; takes the handle over (NULL: out of memory).  A
 * slot (or NULL) that still lingers then gets it back to send it again.  Lock
 * held.
 */
void
dbpool__queue_cancel(dbpool_pool *pool, PGcancel *handle, dbpool__slot *slot)
{
	dbpool__cancel *cancel = NULL;

	/* once stopping, there may be no worker left to send it */
	if (handle != NULL && !pool->stopping)
		cancel = malloc(sizeof(*cancel));
	if (cancel == NULL)
	{
		PQfreeCancel(handle);
		pool->stats.cancels_dropped++;
		return;
	}
	cancel->next = NULL;
	cancel->handle = handle;
	cancel->queued_at = dbpool__now();
	cancel->slot = slot;
	cancel->linger_number = slot != NULL ? slot->linger_number : 0;
	if (pool->cancel_tail != NULL)
		pool->cancel_tail->next = cancel;
	else
		pool->cancel_head = cancel;
	pool->cancel_tail = cancel;
	pthread_cond_signal(&pool->work_cond);
}

void *
dbpool__worker_main(void *arg)
{
	dbpool_pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	for (;;)
	{
		switch (pick(pool))
		{
			case JOB_CONNECT:
				do_connect(pool);
				break;
			case JOB_RESET:
				do_reset(pool);
				break;
			case JOB_CLOSE:
				do_close(pool);
				break;
			case JOB_CANCEL:
				do_cancel(pool);
				break;
			case JOB_NONE:
				if (pool->stopping)
				{
					dbpool__thread_ended(pool);
					return NULL;
				}
				pthread_cond_wait(&pool->work_cond, &pool->lock);
				break;
		}
	}
}
