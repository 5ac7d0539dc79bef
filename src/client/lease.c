/*
 * lease.c
 *		Borrow and return.
 *
 * A lease is a value: pool, slot, generation.  It is good while the slot's
 * generation is the lease's; generations never repeat within the memory of a pool,
 * even when that is used for another pool later, so a stale lease is always known.
 *
 * The path without waiting takes the lock once and reads the coarse clock once,
 * to acquire and to release.
 */
#include <unistd.h>

#include "internal.h"

/*
 * Check a lease and lock its pool; unlocked on error.
 */
int
dbpool__lease_lock(dbpool_lease lease, dbpool__slot **slot, dbpool_error *err)
{
	dbpool_pool *pool = lease.pool;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (lease.size != sizeof(dbpool_lease))
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"the lease was not set to DBPOOL_LEASE_INIT");
	if (pool == NULL)
		return dbpool__fail(err, DBPOOL_ESTALE, DBPOOL_NOT_SENT, NULL,
							"the lease was released or never acquired");
	if (dbpool__forked(pool))
		return dbpool__fail(err, DBPOOL_EFORK, DBPOOL_NOT_SENT, NULL,
							"the lease belongs to the parent process");
	pthread_mutex_lock(&pool->lock);
	if (lease.generation != 0 && lease.slot < pool->capacity &&
		pool->slots[lease.slot].generation == lease.generation)
	{
		*slot = &pool->slots[lease.slot];
		return DBPOOL_OK;
	}
	pool->stats.stale_calls++;
	pthread_mutex_unlock(&pool->lock);
	return dbpool__fail(err, DBPOOL_ESTALE, DBPOOL_NOT_SENT, NULL,
						"the lease has ended: its connection was released");
}

static void
hand_out(dbpool_lease *lease, dbpool_pool *pool, uint32_t slot, uint64_t generation)
{
	lease->slot = slot;
	lease->generation = generation;
	lease->pool = pool;
}

static int
timeout_error(const dbpool_pool *pool, dbpool_error *err)
{
	const dbpool_error *last = &pool->connect_error;

	return dbpool__fail(err, DBPOOL_ETIMEDOUT, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE,
						last->code != 0 ? last->sqlstate : NULL,
						"no connection before the deadline (max %lld, leased %u, connecting %u, "
						"waiting %u)%s%s",
						(long long) pool->config.max, pool->nstate[SLOT_LEASED],
						pool->nstate[SLOT_CONNECTING], pool->waiters.n,
						last->code != 0 ? "; last connect error: " : "",
						last->code != 0 ? last->message : "");
}

/*
 * Is it known that waiting is in vain?  A refusal is passed on until it is
 * time to try again, an outage once it has lasted fail_fast_after_ms.  When the next
 * attempt is due somebody has to wait, as nobody connects for no one.  Called
 * with the breaker open and nothing live; lock held.
 */
static int
known_failure(dbpool_pool *pool, dbpool_error *err)
{
	const dbpool__breaker *b = &pool->breaker;
	int64_t				   now = dbpool__now();
	int64_t				   patience = pool->config.fail_fast_after_ms * NS_PER_MS;
	bool				   due = now >= b->next_at && pool->waiters.n == 0;

	if (b->refused)
	{
		if (due || b->inflight > 0)
			return DBPOOL_OK;
		pool->stats.refused++;
	}
	else
	{
		if (patience == 0 || now - b->opened_at < patience || (due && b->inflight == 0))
			return DBPOOL_OK;
		pool->stats.failed_fast++;
	}
	return dbpool__copy_error(err, &pool->connect_error);
}

/*
 * Stand in the queue.  Lock held on entry, released here.
 */
static int
wait_in_queue(dbpool_pool *pool, int64_t deadline, dbpool_lease *lease, dbpool_error *err,
			  const char *file, int line)
{
	dbpool__waiter	w = {.file = file, .line = line, .error = DBPOOL_ERROR_INIT};
	dbpool__verdict verdict;
	int				code;

	w.since = dbpool__now();
	dbpool__waitq_push(&pool->waiters, &w);
	if (pool->waiters.n > pool->stats.waiting_peak)
		pool->stats.waiting_peak = pool->waiters.n;
	dbpool__grow(pool);
	pthread_mutex_unlock(&pool->lock);

	verdict = dbpool__waiter_wait(&w, deadline);
	if (verdict == WAITER_WAITING)
	{
		pthread_mutex_lock(&pool->lock);
		if (dbpool__waitq_settle(&pool->waiters, &w, WAITER_TIMEDOUT))
		{
			pool->stats.timeouts++;
			code = timeout_error(pool, err);
			pthread_mutex_unlock(&pool->lock);
			return code;
		}
		/* a grant or a failure came first */
		verdict = (dbpool__verdict) atomic_load_explicit(&w.state, memory_order_acquire);
		pthread_mutex_unlock(&pool->lock);
	}
	if (verdict == WAITER_FAILED)
		return dbpool__copy_error(err, &w.error);
	hand_out(lease, pool, w.slot, w.generation);
	return dbpool__ok(err);
}

int
dbpool_acquire_at(dbpool_pool *pool, int64_t deadline, dbpool_lease *lease, dbpool_error *err,
				  const char *file, int line)
{
	dbpool__slot *slot;
	int64_t		  now;
	int			  code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (lease == NULL || lease->size != sizeof(dbpool_lease) || lease->pool != NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"the lease must be DBPOOL_LEASE_INIT or released");
	code = dbpool__pool_lock(pool, err);
	if (code != DBPOOL_OK)
		return code;

	if (pool->closing)
		code = dbpool__fail(err, DBPOOL_ECLOSED, DBPOOL_NOT_SENT, NULL, "the pool is closed");
	else if (pool->waiters.n == 0)
	{
		now = dbpool__coarse();
		slot = dbpool__slot_take_idle(pool, now);
		if (slot != NULL)
		{
			dbpool__slot_lend(pool, slot, file, line, now);
			hand_out(lease, pool, slot->index, slot->generation);
			pthread_mutex_unlock(&pool->lock);
			return dbpool__ok(err);
		}
	}
	if (code == DBPOOL_OK && pool->breaker.state == BREAKER_OPEN && dbpool__live(pool) == 0)
		code = known_failure(pool, err);
	if (code == DBPOOL_OK && deadline == DBPOOL_DEADLINE_DEFAULT)
		deadline = dbpool_deadline_ms(pool->config.acquire_timeout_ms);
	if (code == DBPOOL_OK && deadline <= DBPOOL_DEADLINE_NOW)
	{
		pool->stats.timeouts++;
		code = timeout_error(pool, err);
	}
	/* those for whom a connection is or can be made do not count */
	if (code == DBPOOL_OK &&
		pool->waiters.n >= (uint64_t) pool->config.max_waiters + pool->nstate[SLOT_CONNECTING] +
			pool->nstate[SLOT_EMPTY])
	{
		pool->stats.queue_full++;
		code = dbpool__fail(err, DBPOOL_EQUEUEFULL, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE, NULL,
							"%u callers are waiting, as many as max_waiters and max allow",
							pool->waiters.n);
	}
	if (code == DBPOOL_OK)
		return wait_in_queue(pool, deadline, lease, err, file, line);
	pthread_mutex_unlock(&pool->lock);
	return code;
}

/*
 * What is to become of a returned connection?  0: it is clean; NEED_* bits: a
 * worker must clean it; -1: close it, *counter says why.  Lock held.
 */
static int
judge(dbpool_pool *pool, dbpool__slot *slot, bool discard, int64_t now, uint64_t **counter)
{
	const dbpool__session *session = &slot->session;
	PGTransactionStatusType tx = PQTRANS_IDLE;
	int					   todo = 0;

	/* a connection that nobody touched is what it was when it was lent */
	if (session->destroyed)
	{
		slot->conn = NULL; /* the borrower's PQfinish freed it */
		*counter = &pool->stats.closed_broken;
		return -1;
	}
	if (slot->used)
		tx = PQtransactionStatus(slot->conn);
	if (session->server_ro && slot->epoch == pool->epoch &&
		(pool->epoch_at == 0 || now - pool->epoch_at >= NS_PER_S))
	{
		pool->epoch_at = now;
		dbpool__event(pool, DBPOOL_EVENT_READ_ONLY, slot, NULL);
		dbpool__evict_all(pool);
	}
	*counter = &pool->stats.closed_discarded;
	if (discard || slot->condemned)
		return -1;
	*counter = &pool->stats.closed_broken;
	if (slot->used &&
		(PQstatus(slot->conn) != CONNECTION_OK ||
		 PQpipelineStatus(slot->conn) != PQ_PIPELINE_OFF || tx == PQTRANS_ACTIVE ||
		 tx == PQTRANS_UNKNOWN))
		return -1;
	*counter = &pool->stats.closed_evicted;
	if (session->evict)
		return -1;
	*counter = NULL;
	if (dbpool__slot_outdated(pool, slot, now))
		return -1;
	if (tx != PQTRANS_IDLE)
		todo |= (int) NEED_ROLLBACK;
	/* held so long that it may have died unnoticed */
	if (now - slot->acquired_at >= pool->config.validate_after_idle_ms * NS_PER_MS)
	{
		int probe = dbpool__slot_probe(slot);

		*counter = &pool->stats.closed_broken;
		if (probe < 0)
			return -1;
		if (probe > 0)
			todo |= (int) NEED_CHECK;
	}
	if (pool->config.reset == RESET_ALWAYS ||
		(pool->config.reset == RESET_DIRTY && (session->dirty || session->failed)))
		todo |= (int) NEED_DISCARD;
	return todo;
}

/*
 * The last step of a lease that outlived its pool: no worker is left, so close
 * here; dbpool__conn_finish does not block.  Lock held on entry, released here.
 */
static void
end_after_close(dbpool_pool *pool, dbpool__slot *slot)
{
	PGconn *conn = slot->session.destroyed ? NULL : slot->conn;
	dbpool__cache *cache = slot->cache;
	bool	retire;

	slot->conn = NULL;
	slot->cache = NULL;
	slot->generation = 0;
	pthread_mutex_unlock(&pool->lock);
	dbpool__cache_free(cache);
	if (conn != NULL)
	{
		int fd = dbpool__conn_finish(conn);

		if (fd >= 0)
			close(fd);
	}
	pthread_mutex_lock(&pool->lock);
	dbpool__slot_empty(pool, slot);
	retire = dbpool__may_retire(pool);
	pthread_mutex_unlock(&pool->lock);
	if (retire)
		dbpool__shell_retire(pool);
}

/*
 * End the lease of a slot that nobody is busy on.  Lock held on entry, released
 * here.
 */
void
dbpool__lease_end(dbpool_pool *pool, dbpool__slot *slot, bool discard)
{
	int64_t			  now = dbpool__coarse();
	_Atomic uint32_t *wake = NULL;
	uint64_t		 *counter = NULL;
	int				  todo;

	pool->stats.released++;
	pool->stats.use_ns += (uint64_t) (now - slot->acquired_at);
	dbpool__histogram_note(&pool->use_time, now - slot->acquired_at);
	if (slot->used)
		dbpool__statements_note(pool, slot);
	if (slot->used && !slot->session.destroyed)
		dbpool__session_detach(slot->conn, &slot->session);
	if (pool->stopping)
	{
		end_after_close(pool, slot);
		return;
	}
	todo = judge(pool, slot, discard, now, &counter);
	if (todo < 0)
		dbpool__slot_to_close(pool, slot, counter);
	else if (todo > 0)
		dbpool__slot_to_reset(pool, slot, (unsigned) todo);
	else
	{
		if (slot->used)
			dbpool__session_restore(slot->conn, &slot->session, pool->config.reset);
		wake = dbpool__slot_ready(pool, slot, now);
	}
	pthread_mutex_unlock(&pool->lock);
	dbpool__waiter_wake(wake);
}

static void
give_back(dbpool_lease *lease, bool discard)
{
	dbpool_lease  held;
	dbpool_pool	 *pool;
	dbpool__slot *slot;

	if (lease == NULL)
		return;
	held = *lease;
	*lease = (dbpool_lease) DBPOOL_LEASE_INIT;
	pool = held.pool;
	if (held.size != sizeof(dbpool_lease) || pool == NULL || dbpool__forked(pool))
		return;
	pthread_mutex_lock(&pool->lock);
	slot = held.slot < pool->capacity ? &pool->slots[held.slot] : NULL;
	if (slot == NULL || held.generation == 0 || slot->generation != held.generation)
	{
		pool->stats.stale_releases++;
		pthread_mutex_unlock(&pool->lock);
		return;
	}
	if (slot->busy)
	{
		/*
		 * Another thread is inside dbpool_exec: it ends the lease for us.  The
		 * connection is its, so the cancel is one that was made beforehand.
		 */
		if (discard)
		{
			dbpool__queue_cancel(pool, slot->interrupt, NULL);
			slot->interrupt = NULL;
		}
		slot->orphaned = true;
		slot->generation = 0;
		pthread_mutex_unlock(&pool->lock);
		return;
	}
	dbpool__lease_end(pool, slot, discard);
}

void
dbpool_release(dbpool_lease *lease)
{
	give_back(lease, false);
}

void
dbpool_discard(dbpool_lease *lease)
{
	give_back(lease, true);
}

/*
 * May a call use the connection of this leased slot now?  Lock held.
 */
int
dbpool__lease_usable(dbpool_pool *pool, const dbpool__slot *slot, dbpool_error *err)
{
	if (slot->busy)
	{
		pool->stats.busy_calls++;
		return dbpool__fail(err, DBPOOL_EBUSY, DBPOOL_NOT_SENT, NULL,
							"another call is using the lease");
	}
	if (slot->condemned)
		return dbpool__fail(err, DBPOOL_ECONNLOST, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE, NULL,
							"the connection was given up at a deadline: release the lease");
	if (slot->session.destroyed)
		return dbpool__fail(err, DBPOOL_ECONNLOST, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE, NULL,
							"the borrower closed the connection: release the lease");
	return dbpool__ok(err);
}

int
dbpool_lease_check(dbpool_lease lease, dbpool_error *err)
{
	dbpool__slot *slot = NULL;
	int			  code = dbpool__lease_lock(lease, &slot, err);

	if (code != DBPOOL_OK)
		return code;
	code = dbpool__lease_usable(lease.pool, slot, err);
	pthread_mutex_unlock(&lease.pool->lock);
	return code;
}

PGconn *
dbpool_conn(dbpool_lease lease)
{
	dbpool__slot *slot = NULL;
	PGconn		 *conn = NULL;

	if (dbpool__lease_lock(lease, &slot, NULL) != DBPOOL_OK)
		return NULL;
	if (dbpool__lease_usable(lease.pool, slot, NULL) == DBPOOL_OK)
	{
		slot->used = true;
		conn = slot->conn;
	}
	pthread_mutex_unlock(&lease.pool->lock);
	return conn;
}
