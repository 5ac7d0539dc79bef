/*
 * process.c
 *		What concerns the whole process: fork, and the memory of closed pools.
 *
 * Fork: a pool notes the process's fork generation when opened; a child has the
 * next one, so one comparison tells an inherited pool, before its mutex (which
 * another thread may have held during the fork) is touched.
 *
 * Closed pools: their memory is kept for the next dbpool_open and never freed, so
 * that a stale lease or handle meets a pool struct whatever happens.  First in,
 * first out, to put off the reuse.  Guarded by the registry lock, which is
 * held across fork, as the services lock is, so that the child finds them free.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

_Atomic uint32_t dbpool__fork_generation;

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static dbpool_pool	  *retired_head; /* registry_lock */
static dbpool_pool	  *retired_tail; /* registry_lock */
static pthread_once_t  once = PTHREAD_ONCE_INIT;
static int			   once_error; /* written once, under `once` */

static void
before_fork(void)
{
	dbpool__services_lock();
	pthread_mutex_lock(&registry_lock);
}

static void
after_fork_parent(void)
{
	pthread_mutex_unlock(&registry_lock);
	dbpool__services_unlock();
}

static void
after_fork_child(void)
{
	atomic_fetch_add_explicit(&dbpool__fork_generation, 1, memory_order_relaxed);
	/* a thread on its way out may have held the lock of a retired pool */
	retired_head = NULL;
	retired_tail = NULL;
	pthread_mutex_unlock(&registry_lock);
	dbpool__services_unlock();
}

static void
install(void)
{
	once_error = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

/* 0, or an errno value. */
int
dbpool__process_init(void)
{
	int error = pthread_once(&once, install);

	return error != 0 ? error : once_error;
}

/* A new pool struct: zeroed but for mutex and conditions, nothing else set. */
static dbpool_pool *
shell_new(uint32_t capacity)
{
	dbpool_pool		   *pool = calloc(1, sizeof(*pool) + capacity * sizeof(dbpool__slot));
	pthread_mutexattr_t mutex_attr;
	pthread_condattr_t	cond_attr;

	if (pool == NULL)
		return NULL;
	pool->capacity = capacity;
	for (uint32_t i = 0; i < capacity; i++)
	{
		pool->slots[i].index = i;
		pool->slots[i].linger_fd = -1;
	}
	/* spinning briefly pays: no holder of this lock ever blocks */
	pthread_mutexattr_init(&mutex_attr);
	pthread_mutexattr_settype(&mutex_attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&pool->lock, &mutex_attr);
	pthread_mutexattr_destroy(&mutex_attr);
	pthread_condattr_init(&cond_attr);
	pthread_condattr_setclock(&cond_attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->work_cond, &cond_attr);
	pthread_cond_init(&pool->state_cond, &cond_attr);
	pthread_cond_init(&pool->event_cond, &cond_attr);
	pthread_condattr_destroy(&cond_attr);
	return pool;
}

/*
 * A pool struct with room for `capacity` slots, retired or new; NULL if out of
 * memory.  All slots are EMPTY, `closing` is set in a retired one.
 */
dbpool_pool *
dbpool__shell_take(uint32_t capacity)
{
	dbpool_pool *before = NULL;
	dbpool_pool *pool;

	pthread_mutex_lock(&registry_lock);
	for (pool = retired_head; pool != NULL; before = pool, pool = pool->next_retired)
		if (pool->capacity >= capacity)
			break;
	if (pool != NULL)
	{
		if (before != NULL)
			before->next_retired = pool->next_retired;
		else
			retired_head = pool->next_retired;
		if (retired_tail == pool)
			retired_tail = before;
		pool->next_retired = NULL;
	}
	pthread_mutex_unlock(&registry_lock);
	return pool != NULL ? pool : shell_new(capacity);
}

/* Is a pool done with?  True exactly once, after the last of four events. */
bool
dbpool__may_retire(const dbpool_pool *pool)
{
	return pool->closed && pool->nthreads == 0 && pool->watchers == 0 &&
		pool->nstate[SLOT_LEASED] == 0;
}

/*
 * Keep the memory of a pool that nothing uses any more, free what it points
 * to.  Without its lock.
 */
void
dbpool__shell_retire(dbpool_pool *pool)
{
	dbpool_config config;
	struct pollfd *poll_set;
	dbpool__slot **poll_slot;
	pthread_t	  *threads;
	dbpool__events *events;
	int			   stop_fd;
	int			   wake_fd;

	/* stale callers may be looking at it, under the lock */
	pthread_mutex_lock(&pool->lock);
	memset(&config, 0, sizeof(config));
	dbpool__config_take(&config, &pool->config);
	poll_set = pool->poll_set;
	poll_slot = pool->poll_slot;
	threads = pool->threads;
	stop_fd = pool->stop_fd;
	wake_fd = pool->wake_fd;
	events = pool->events;
	pool->events = NULL;
	pool->poll_set = NULL;
	pool->poll_slot = NULL;
	pool->threads = NULL;
	pool->stop_fd = -1;
	pool->wake_fd = -1;
	pthread_mutex_unlock(&pool->lock);

	dbpool__config_clear(&config);
	free(poll_set);
	free(poll_slot);
	free(threads);
	free(events);
	if (stop_fd >= 0)
		close(stop_fd);
	if (wake_fd >= 0)
		close(wake_fd);

	pthread_mutex_lock(&registry_lock);
	pool->next_retired = NULL;
	if (retired_tail != NULL)
		retired_tail->next_retired = pool;
	else
		retired_head = pool;
	retired_tail = pool;
	pthread_mutex_unlock(&registry_lock);
}

/*
 * In a forked child: let go of the sockets of an inherited pool.  Never
 * PQfinish them: its farewell would end the parent's sessions.  The lock may be
 * held by a thread that does not exist here, so it is left alone; the child
 * has no other thread that knows these connections.  /dev/null is put over each
 * socket, so that its number stays taken in the PGconn's name.  The PGconn
 * structs are given up: another thread may have been changing them.
 */
void
dbpool__abandon_in_child(dbpool_pool *pool)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (uint32_t i = 0; i < pool->capacity; i++)
	{
		dbpool__slot *slot = &pool->slots[i];
		PGconn		 *conn = slot->conn;

		slot->conn = NULL;
		if (conn != NULL && !slot->session.destroyed && PQsocket(conn) >= 0)
		{
			if (null >= 0)
				(void) dup3(null, PQsocket(conn), O_CLOEXEC);
			else
				(void) close(PQsocket(conn));
		}
		if (slot->linger_fd >= 0)
			(void) close(slot->linger_fd);
		slot->linger_fd = -1;
	}
	if (null >= 0)
		(void) close(null);
}
