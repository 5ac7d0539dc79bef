/*
 * pool.c
 *		A pool's life: open, wait until ready, evict, close.
 *
 * Closing goes in three steps.  `closing`: no new leases, no connects, all that is
 * idle is closed; stop_fd ends the waits of workers.  `stopping`: the threads end
 * when their queues are empty.  `closed`: dbpool_close has returned.  Whoever comes
 * last, close, a thread, a dbpool_wait_ready or the release of a leaked lease, retires
 * the struct.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "internal.h"

#define THREADS_GRACE_MS 200

/* pool->threads: maintenance, the workers, and with a callback that of the events */
#define EVENTS_THREAD(pool) ((pool)->nworkers + 1)

/*
 * Check a handle and lock its pool; unlocked on error.  A closing pool is no
 * error here.
 */
int
dbpool__pool_lock(dbpool_pool *pool, dbpool_error *err)
{
	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (pool == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL, "the pool is NULL");
	if (dbpool__forked(pool))
		return dbpool__fail(err, DBPOOL_EFORK, DBPOOL_NOT_SENT, NULL,
							"the pool was opened by the parent process: open one after fork");
	pthread_mutex_lock(&pool->lock);
	return DBPOOL_OK;
}

static int
closed_error(dbpool_error *err)
{
	return dbpool__fail(err, DBPOOL_ECLOSED, DBPOOL_NOT_SENT, NULL, "the pool is closed");
}

/* A caller's deadline as one that can be waited for.  Lock held. */
static int64_t
absolute(const dbpool_pool *pool, int64_t deadline)
{
	if (deadline == DBPOOL_DEADLINE_DEFAULT)
		return dbpool_deadline_ms(pool->config.acquire_timeout_ms);
	return deadline < DBPOOL_DEADLINE_NOW ? DBPOOL_DEADLINE_NOW : deadline;
}

/*
 * Wait on state_cond; false once the deadline, from absolute(), has passed.  Lock
 * held.  Any error counts as passed: a wait that never sleeps would keep the lock.
 */
static bool
wait_state(dbpool_pool *pool, int64_t deadline)
{
	struct timespec ts = {.tv_sec = deadline / NS_PER_S, .tv_nsec = deadline % NS_PER_S};

	if (deadline == DBPOOL_DEADLINE_NONE)
		return pthread_cond_wait(&pool->state_cond, &pool->lock) == 0;
	return pthread_cond_timedwait(&pool->state_cond, &pool->lock, &ts) == 0;
}

/* The end of a thread: lock held on entry, released here. */
void
dbpool__thread_ended(dbpool_pool *pool)
{
	bool retire;

	pool->nthreads--;
	pthread_cond_broadcast(&pool->state_cond);
	retire = dbpool__may_retire(pool);
	pthread_mutex_unlock(&pool->lock);
	if (retire)
		dbpool__shell_retire(pool);
}

/* Give a shell all it needs but threads.  Takes config over, also on failure. */
static int
set_up(dbpool_pool *pool, dbpool_config *config, dbpool_error *err)
{
	uint32_t max = (uint32_t) config->max;
	int		 error = 0;

	pthread_mutex_lock(&pool->lock);
	pool->config = *config;
	pool->closing = true; /* until the threads run */
	pool->stopping = false;
	pool->closed = false;
	pool->defined = false;
	memset(pool->nstate, 0, sizeof(pool->nstate));
	pool->nstate[SLOT_EMPTY] = max;
	pool->epoch_at = 0;
	pool->rng = dbpool__seed();
	pool->statement_prefix = dbpool__seed();
	atomic_store_explicit(&pool->statement_number, 1, memory_order_relaxed);
	atomic_store_explicit(&pool->statements_lost, 0, memory_order_relaxed);
	dbpool__breaker_init(&pool->breaker, (uint32_t) config->connect_limit,
						 config->connect_timeout_ms * NS_PER_MS + NS_PER_S);
	dbpool__budget_init(&pool->budget, config->retry_percent, config->max);
	pool->nworkers = (uint32_t) config->connect_limit + 2;
	pool->nstarted = 0;
	pool->grow_at = INT64_MAX;
	pool->connect_error = (dbpool_error) DBPOOL_ERROR_INIT;
	memset(&pool->stats, 0, sizeof(pool->stats));
	memset(&pool->wait_time, 0, sizeof(pool->wait_time));
	memset(&pool->use_time, 0, sizeof(pool->use_time));
	memset(&pool->create_time, 0, sizeof(pool->create_time));
	pool->events = config->on_event != NULL ? dbpool__events_new() : NULL;
	pool->poll_set = calloc(max + 1, sizeof(*pool->poll_set));
	pool->poll_slot = calloc(max + 1, sizeof(dbpool__slot *));
	pool->threads = calloc(pool->nworkers + 2, sizeof(*pool->threads));
	pool->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->stop_fd < 0)
		error = errno;
	pool->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->wake_fd < 0)
		error = errno;
	atomic_store_explicit(&pool->fork_generation,
						  atomic_load_explicit(&dbpool__fork_generation, memory_order_relaxed),
						  memory_order_relaxed);
	pthread_mutex_unlock(&pool->lock);
	if (error != 0)
		return dbpool__fail(err, DBPOOL_ESYSTEM, 0, NULL, "eventfd failed: %s", strerror(error));
	if (pool->poll_set == NULL || pool->poll_slot == NULL || pool->threads == NULL ||
		(config->on_event != NULL && pool->events == NULL))
		return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	return DBPOOL_OK;
}

/* Start the threads, with all signals blocked: they are the application's. */
static int
start_threads(dbpool_pool *pool, dbpool_error *err)
{
	sigset_t all;
	sigset_t before;
	uint32_t wanted = EVENTS_THREAD(pool) + (pool->events != NULL);
	int		 error = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&pool->lock);
	while (error == 0 && pool->nstarted < wanted)
	{
		void *(*run)(void *) = dbpool__worker_main;

		if (pool->nstarted == 0)
			run = dbpool__maintenance_main;
		else if (pool->nstarted == EVENTS_THREAD(pool))
			run = dbpool__events_main;
		error = pthread_create(&pool->threads[pool->nstarted], NULL, run, pool);
		if (error == 0)
		{
			pool->nstarted++;
			pool->nthreads++;
		}
	}
	if (error == 0)
	{
		pool->closing = false;
		dbpool__grow(pool);
	}
	pthread_mutex_unlock(&pool->lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		return dbpool__fail(err, DBPOOL_ESYSTEM, 0, NULL, "cannot start a thread: %s",
							strerror(error));
	return DBPOOL_OK;
}

/*
 * End the threads, waiting for them until `deadline`; then mark the pool
 * closed.  Lock held on entry, released here.
 */
static void
shut_down(dbpool_pool *pool, int64_t deadline)
{
	int64_t grace = dbpool_deadline_ms(THREADS_GRACE_MS);
	bool	retire;

	pool->stopping = true;
	pthread_cond_broadcast(&pool->work_cond);
	pthread_cond_broadcast(&pool->event_cond);
	dbpool__wake_maintenance(pool);
	while (pool->nthreads > 0 && wait_state(pool, deadline > grace ? deadline : grace))
		continue;

	/*
	 * One may be stuck in a name look-up or a cancel request.  It is left
	 * behind and retires the pool when it comes back.
	 */
	if (pool->nthreads > 0)
		for (uint32_t i = 0; i < pool->nstarted; i++)
			pthread_detach(pool->threads[i]);
	else
	{
		/* they have given up the lock for the last time, or are about to */
		pthread_mutex_unlock(&pool->lock);
		for (uint32_t i = 0; i < pool->nstarted; i++)
			pthread_join(pool->threads[i], NULL);
		pthread_mutex_lock(&pool->lock);
	}
	pool->closed = true;
	retire = dbpool__may_retire(pool);
	pthread_mutex_unlock(&pool->lock);
	if (retire)
		dbpool__shell_retire(pool);
}

int
dbpool_open(const dbpool_config *config, dbpool_pool **result, dbpool_error *err)
{
	dbpool_config resolved;
	dbpool_pool	 *pool;
	int			  code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (config == NULL || result == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "config and pool must not be NULL");
	*result = NULL;
	code = dbpool__process_init();
	if (code != 0)
		return dbpool__fail(err, DBPOOL_ESYSTEM, 0, NULL, "pthread_atfork failed: %s",
							strerror(code));
	code = dbpool__config_resolve(config, &resolved, err);
	if (code != DBPOOL_OK)
		return code;
	pool = dbpool__shell_take((uint32_t) resolved.max);
	if (pool == NULL)
	{
		dbpool__config_clear(&resolved);
		return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	}
	code = set_up(pool, &resolved, err);
	if (code == DBPOOL_OK)
		code = start_threads(pool, err);
	if (code != DBPOOL_OK)
	{
		pthread_mutex_lock(&pool->lock);
		shut_down(pool, DBPOOL_DEADLINE_NONE);
		return code;
	}
	*result = pool;
	return dbpool__ok(err);
}

int
dbpool_wait_ready(dbpool_pool *pool, int64_t deadline, dbpool_error *err)
{
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	bool		 retire;
	int			 code;

	code = dbpool__pool_lock(pool, err);
	if (code != DBPOOL_OK)
		return code;
	deadline = absolute(pool, deadline);
	pthread_mutex_unlock(&pool->lock);

	/* the first as any caller gets it: with its order and its errors */
	code = dbpool_acquire(pool, deadline, &lease, err);
	if (code != DBPOOL_OK)
		return code;
	dbpool_release(&lease);

	code = dbpool__pool_lock(pool, err);
	if (code != DBPOOL_OK)
		return code;
	/* counted, as the struct may not become another pool while we wait on it */
	pool->watchers++;
	while (code == DBPOOL_OK && dbpool__live(pool) < (uint64_t) pool->config.min)
	{
		if (pool->closing)
			code = closed_error(err);
		else if (pool->breaker.refused)
			code = dbpool__copy_error(err, &pool->connect_error);
		else if (!wait_state(pool, deadline))
			code = dbpool__fail(err, DBPOOL_ETIMEDOUT, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE,
								pool->connect_error.sqlstate,
								"%u of %lld connections ready at the deadline%s%s",
								dbpool__live(pool), (long long) pool->config.min,
								pool->connect_error.code != 0 ? "; last connect error: " : "",
								pool->connect_error.code != 0 ? pool->connect_error.message : "");
	}
	pool->watchers--;
	retire = dbpool__may_retire(pool);
	pthread_mutex_unlock(&pool->lock);
	if (retire)
		dbpool__shell_retire(pool);
	return code == DBPOOL_OK ? dbpool__ok(err) : code;
}

/* No connection made so far is to be lent again.  Lock held. */
void
dbpool__evict_all(dbpool_pool *pool)
{
	dbpool__slot *slot;

	pool->epoch++;
	while ((slot = pool->idle.head) != NULL)
	{
		dbpool__list_remove(&pool->idle, slot);
		dbpool__slot_to_close(pool, slot, &pool->stats.closed_evicted);
	}
	dbpool__grow(pool);
}

int
dbpool_evict(dbpool_pool *pool, dbpool_error *err)
{
	int code = dbpool__pool_lock(pool, err);

	if (code != DBPOOL_OK)
		return code;
	if (pool->closing)
		code = closed_error(err);
	else
		dbpool__evict_all(pool);
	pthread_mutex_unlock(&pool->lock);
	return code == DBPOOL_OK ? dbpool__ok(err) : code;
}

/* Who holds leases: "file:line (age ms)", as many as fit.  Lock held. */
static int
leak_error(dbpool_pool *pool, dbpool_error *err)
{
	char   list[400] = "";
	size_t used = 0;
	int64_t now = dbpool__coarse();

	for (uint32_t i = 0; i < (uint32_t) pool->config.max && used < sizeof(list); i++)
	{
		const dbpool__slot *slot = &pool->slots[i];

		if (slot->state != SLOT_LEASED)
			continue;
		used += (size_t) snprintf(list + used, sizeof(list) - used, "%s%s:%d (%lld ms)",
								  used > 0 ? ", " : "", slot->file != NULL ? slot->file : "?",
								  slot->line, (long long) ((now - slot->acquired_at) / NS_PER_MS));
	}
	return dbpool__fail(err, DBPOOL_ELEAKED, 0, NULL, "%u lease%s not released, acquired at %s",
						pool->nstate[SLOT_LEASED],
						pool->nstate[SLOT_LEASED] == 1 ? " was" : "s were", list);
}

/* Is the caller an event callback, for whose end dbpool_close waits?  Lock held. */
bool
dbpool__own_thread(const dbpool_pool *pool)
{
	return pool->nstarted > EVENTS_THREAD(pool) &&
		pthread_equal(pool->threads[EVENTS_THREAD(pool)], pthread_self());
}

int
dbpool_close(dbpool_pool *pool, int64_t deadline, dbpool_error *err)
{
	uint64_t	  one = 1;
	dbpool_error  why = DBPOOL_ERROR_INIT;
	dbpool__slot *slot;
	int			  code;

	if (pool != NULL && dbpool__forked(pool) && dbpool__error_ok(err))
		dbpool__abandon_in_child(pool);
	code = dbpool__pool_lock(pool, err);
	if (code != DBPOOL_OK)
		return code;
	if (pool->closing)
	{
		pthread_mutex_unlock(&pool->lock);
		return closed_error(err);
	}
	if (dbpool__own_thread(pool))
	{
		pthread_mutex_unlock(&pool->lock);
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"an event callback cannot close its own pool");
	}
	if (pool->defined)
	{
		pthread_mutex_unlock(&pool->lock);
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"the pool belongs to a service: dbpool_undefine closes it");
	}
	deadline = absolute(pool, deadline);

	pool->closing = true;
	pthread_cond_broadcast(&pool->state_cond);
	(void) closed_error(&why);
	dbpool__fail_waiters(pool, &why, NULL);
	while ((slot = pool->connectq.head) != NULL)
	{
		dbpool__list_remove(&pool->connectq, slot);
		dbpool__slot_empty(pool, slot);
	}
	while ((slot = pool->idle.head) != NULL)
	{
		dbpool__list_remove(&pool->idle, slot);
		dbpool__slot_to_close(pool, slot, NULL);
	}
	/* never read, so it stays readable: ends connects and resets under way */
	if (write(pool->stop_fd, &one, sizeof(one)) < 0)
		code = dbpool__fail(err, DBPOOL_ESYSTEM, 0, NULL, "eventfd failed: %s", strerror(errno));

	while (pool->nstate[SLOT_EMPTY] < (uint64_t) pool->config.max && wait_state(pool, deadline))
		continue;
	if (pool->nstate[SLOT_LEASED] > 0)
		code = leak_error(pool, err);
	shut_down(pool, deadline);
	return code == DBPOOL_OK ? dbpool__ok(err) : code;
}
