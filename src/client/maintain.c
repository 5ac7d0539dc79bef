/*
 * maintain.c
 *		The thread that watches time: one per pool.
 *
 * It closes idle connections that are too old, too long unused or dead, keeps the
 * minimum, lets the workers connect when a backoff ends or a reset takes too long for
 * those who wait, and waits for server
 * processes to be gone: closing a socket only asks the server to end a session, so
 * the slot counts until the other end closes too, or LINGER_NS have passed.  A
 * command that keeps one alive is cancelled, again and again until it is gone.
 *
 * poll_set and poll_slot are this thread's own; a slot's linger_fd is, from the
 * time the slot lingers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

#define ROUND_MAX_MS 1000
#define ROUND_MIN_MS 10

void
dbpool__wake_maintenance(dbpool_pool *pool)
{
	uint64_t one = 1;

	/* fails only if the counter is full: then it is awake already */
	if (write(pool->wake_fd, &one, sizeof(one)) < 0)
		return;
}

/* How often to look at idle connections: four times per timeout, 10 ms to 1 s. */
static int64_t
round_ns(const dbpool_config *config)
{
	int64_t ms = ROUND_MAX_MS;

	if (config->idle_timeout_ms > 0 && config->idle_timeout_ms / 4 < ms)
		ms = config->idle_timeout_ms / 4;
	if (config->lifetime_ms > 0 && config->lifetime_ms / 4 < ms)
		ms = config->lifetime_ms / 4;
	if (ms < ROUND_MIN_MS)
		ms = ROUND_MIN_MS;
	return ms * NS_PER_MS;
}

/* Look at all idle connections.  Lock held. */
static void
look_at_idle(dbpool_pool *pool, int64_t now)
{
	dbpool__slot *prev;
	nfds_t		  n = 0;

	/* from the tail: the longest unused first */
	for (dbpool__slot *slot = pool->idle.tail; slot != NULL; slot = prev)
	{
		bool outdated = dbpool__slot_outdated(pool, slot, now);

		prev = slot->prev;
		if (outdated || dbpool__idle_overdue(pool, slot, now))
		{
			dbpool__list_remove(&pool->idle, slot);
			dbpool__slot_to_close(pool, slot, outdated ? NULL : &pool->stats.closed_idle);
		}
		else if (now - slot->idle_since >= pool->config.validate_after_idle_ms * NS_PER_MS)
		{
			pool->poll_set[n].fd = PQsocket(slot->conn);
			pool->poll_set[n].events = POLLIN | POLLRDHUP;
			pool->poll_set[n].revents = 0;
			pool->poll_slot[n++] = slot;
		}
	}
	if (n == 0 || poll(pool->poll_set, n, 0) <= 0)
		return;
	for (nfds_t i = 0; i < n; i++)
	{
		dbpool__slot *slot = pool->poll_slot[i];

		if (pool->poll_set[i].revents == 0)
			continue;
		dbpool__list_remove(&pool->idle, slot);
		if (pool->poll_set[i].revents & ~POLLIN)
			dbpool__slot_to_close(pool, slot, &pool->stats.closed_broken);
		else
			dbpool__slot_to_reset(pool, slot, NEED_CHECK);
	}
}

/* Has the other end closed?  Reads away what it still had to say. */
static bool
ended(int fd)
{
	char buffer[4096];

	for (;;)
	{
		ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

		if (n == 0)
			return true;
		if (n < 0 && errno != EINTR)
			return errno != EAGAIN && errno != EWOULDBLOCK;
	}
}

/*
 * Note the lingering sockets in poll_set from 1 on; gives up those whose time
 * has passed, has the others' commands cancelled.  Lock held.  Returns the size of the
 * set; *until is lowered to the first time to come.
 */
static nfds_t
gather_lingering(dbpool_pool *pool, int64_t now, int64_t *until)
{
	nfds_t n = 1;

	if (pool->nstate[SLOT_CLOSING] == 0)
		return n;
	for (uint32_t i = 0; i < (uint32_t) pool->config.max; i++)
	{
		dbpool__slot *slot = &pool->slots[i];

		if (slot->linger_fd < 0)
			continue;
		if (now >= slot->linger_until || ended(slot->linger_fd))
		{
			close(slot->linger_fd);
			slot->linger_fd = -1;
			dbpool__slot_empty(pool, slot);
			continue;
		}
		if (slot->linger_until < *until)
			*until = slot->linger_until;
		if (slot->cancel != NULL && now >= slot->cancel_at)
		{
			PGcancel *cancel = slot->cancel;

			slot->cancel = NULL;
			dbpool__queue_cancel(pool, cancel, slot);
		}
		else if (slot->cancel != NULL && slot->cancel_at < *until)
			*until = slot->cancel_at;
		pool->poll_set[n].fd = slot->linger_fd;
		pool->poll_set[n].events = POLLIN | POLLRDHUP;
		pool->poll_set[n].revents = 0;
		n++;
	}
	return n;
}

static void
sleep_until(dbpool_pool *pool, nfds_t n, int64_t until)
{
	int64_t			left = until - dbpool__now();
	struct timespec ts = {0, 0};
	uint64_t		count;

	if (left > 0)
	{
		ts.tv_sec = left / NS_PER_S;
		ts.tv_nsec = left % NS_PER_S;
	}
	/* whatever woke us, the loop looks at everything again */
	(void) ppoll(pool->poll_set, n, &ts, NULL);
	if (read(pool->wake_fd, &count, sizeof(count)) < 0)
		return; /* nobody had called */
}

void *
dbpool__maintenance_main(void *arg)
{
	dbpool_pool *pool = arg;
	int64_t		 round = round_ns(&pool->config);
	int64_t		 next_round = 0;

	pthread_mutex_lock(&pool->lock);
	while (!pool->stopping)
	{
		int64_t now = dbpool__now();
		int64_t until;
		nfds_t	n;

		if (now >= next_round && !pool->closing)
		{
			look_at_idle(pool, now);
			dbpool__grow(pool);
			next_round = now + round;
		}
		if (now >= pool->grow_at)
		{
			pool->grow_at = INT64_MAX;
			dbpool__grow(pool);
		}
		until = pool->closing ? now + round : next_round;
		if (pool->grow_at < until)
			until = pool->grow_at;
		n = gather_lingering(pool, now, &until);
		if (pool->connectq.head != NULL)
		{
			int64_t next = dbpool__breaker_next(&pool->breaker, now);

			if (dbpool__breaker_may_start(&pool->breaker, dbpool__live(pool), now))
				pthread_cond_broadcast(&pool->work_cond);
			if (next < until)
				until = next;
		}
		pool->poll_set[0].fd = pool->wake_fd;
		pool->poll_set[0].events = POLLIN;
		pool->poll_set[0].revents = 0;
		pthread_mutex_unlock(&pool->lock);
		sleep_until(pool, n, until);
		pthread_mutex_lock(&pool->lock);
	}

	/* nobody will watch the rest: the server ends them in its own time */
	for (uint32_t i = 0; i < (uint32_t) pool->config.max; i++)
	{
		dbpool__slot *slot = &pool->slots[i];

		if (slot->linger_fd < 0)
			continue;
		close(slot->linger_fd);
		slot->linger_fd = -1;
		dbpool__slot_empty(pool, slot);
	}
	dbpool__thread_ended(pool);
	return NULL;
}
