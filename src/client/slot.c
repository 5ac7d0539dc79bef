/*
 * slot.c
 *		The states of a slot, and the rules by which it changes them.
 *
 *		EMPTY -> CONNECTING -> IDLE <-> LEASED -> RESETTING -> IDLE
 *		any but EMPTY -> CLOSING -> EMPTY
 *
 * A slot that is not EMPTY counts towards max: also while its connection is being
 * made, and until its server process is gone.  A slot that becomes ready goes to
 * the oldest waiter directly, never through the idle list, so nobody can overtake;
 * from which follows: while somebody waits, no slot is IDLE.
 *
 * Every function here is called with pool->lock held and returns with it held.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <string.h>

#include "internal.h"

void
dbpool__list_push_tail(dbpool__list *list, dbpool__slot *slot)
{
	slot->next = NULL;
	slot->prev = list->tail;
	if (list->tail != NULL)
		list->tail->next = slot;
	else
		list->head = slot;
	list->tail = slot;
}

/* Connections that exist and will be of use. */
uint32_t
dbpool__live(const dbpool_pool *pool)
{
	return pool->nstate[SLOT_IDLE] + pool->nstate[SLOT_LEASED] + pool->nstate[SLOT_RESETTING];
}

/* Lend a slot that is in no list. */
void
dbpool__slot_lend(dbpool_pool *pool, dbpool__slot *slot, const char *file, int line, int64_t now)
{
	dbpool__slot_set(pool, slot, SLOT_LEASED);
	slot->generation = ++pool->generation;
	slot->acquired_at = now;
	slot->file = file;
	slot->line = line;
	slot->used = false;
	slot->busy = false;
	slot->orphaned = false;
	slot->condemned = false;
	pool->stats.acquired++;
}

/*
 * A slot in no list has a clean, working connection: lend it to the oldest
 * waiter or make it idle.  Returns the word to wake after unlocking, or NULL.
 */
_Atomic uint32_t *
dbpool__slot_ready(dbpool_pool *pool, dbpool__slot *slot, int64_t now)
{
	dbpool__waiter *w = pool->waiters.head;

	slot->generation = 0;
	if (pool->closing)
	{
		dbpool__slot_to_close(pool, slot, NULL);
		return NULL;
	}
	if (w != NULL)
	{
		int64_t waited = dbpool__now() - w->since;

		dbpool__slot_lend(pool, slot, w->file, w->line, now);
		pool->stats.acquired_waiting++;
		pool->stats.wait_ns += (uint64_t) waited;
		if ((uint64_t) waited > pool->stats.wait_ns_max)
			pool->stats.wait_ns_max = (uint64_t) waited;
		dbpool__histogram_note(&pool->wait_time, waited);
		w->slot = slot->index;
		w->generation = slot->generation;
		(void) dbpool__waitq_settle(&pool->waiters, w, WAITER_GRANTED);
		return &w->state;
	}
	dbpool__slot_set(pool, slot, SLOT_IDLE);
	slot->idle_since = now;
	dbpool__list_push_head(&pool->idle, slot);
	return NULL;
}

/* Have a worker clean or test the connection of a slot that is in no list. */
void
dbpool__slot_to_reset(dbpool_pool *pool, dbpool__slot *slot, unsigned todo)
{
	slot->generation = 0;
	slot->todo = todo;
	slot->reset_since = dbpool__coarse();
	dbpool__slot_set(pool, slot, SLOT_RESETTING);
	dbpool__list_push_tail(&pool->resetq, slot);
	pthread_cond_signal(&pool->work_cond);
}

/*
 * Have a worker close the connection of a slot that is in no list; *counter
 * (may be NULL) is the reason's.
 */
void
dbpool__slot_to_close(dbpool_pool *pool, dbpool__slot *slot, uint64_t *counter)
{
	if (counter != NULL)
		(*counter)++;
	if (counter == &pool->stats.closed_broken)
		dbpool__event(pool, DBPOOL_EVENT_BROKEN, slot, NULL);
	slot->generation = 0;
	dbpool__slot_set(pool, slot, SLOT_CLOSING);
	dbpool__list_push_tail(&pool->closeq, slot);
	pthread_cond_signal(&pool->work_cond);
	/* somebody may have counted on it */
	dbpool__grow(pool);
}

/* The server's process is gone: the slot may be used again. */
void
dbpool__slot_empty(dbpool_pool *pool, dbpool__slot *slot)
{
	dbpool__slot_set(pool, slot, SLOT_EMPTY);
	PQfreeCancel(slot->cancel);
	PQfreeCancel(slot->interrupt);
	slot->cancel = NULL;
	slot->interrupt = NULL;
	slot->condemned = false;
	slot->conn = NULL;
	slot->statements = 0;
	slot->statement_bytes = 0;
	slot->generation = 0;
	slot->backend_pid = 0;
	pthread_cond_broadcast(&pool->state_cond);
	dbpool__grow(pool);
}

/* May an idle slot be closed for having idled too long? */
bool
dbpool__idle_overdue(dbpool_pool *pool, dbpool__slot *slot, int64_t now)
{
	return pool->config.idle_timeout_ms > 0 &&
		now - slot->idle_since >= pool->config.idle_timeout_ms * NS_PER_MS &&
		dbpool__live(pool) + pool->nstate[SLOT_CONNECTING] > (uint64_t) pool->config.min;
}

/*
 * Look at the socket of a connection with nothing under way.  0: silence, which is
 * health; -1: hung up; 1: something to read (a notice, a changed setting, the last
 * words of a server), which a worker has to find out.
 */
int
dbpool__slot_probe(const dbpool__slot *slot)
{
	struct pollfd p = {.fd = PQsocket(slot->conn), .events = POLLIN | POLLRDHUP};

	if (p.fd < 0 || poll(&p, 1, 0) < 0 || (p.revents & ~POLLIN) != 0)
		return -1;
	return p.revents != 0;
}

/*
 * Take an idle slot that may be lent, out of its list; NULL if there is none.
 * One that idled for long is probed.
 */
dbpool__slot *
dbpool__slot_take_idle(dbpool_pool *pool, int64_t now)
{
	dbpool__slot *slot;

	while ((slot = pool->idle.head) != NULL)
	{
		int probe;

		dbpool__list_remove(&pool->idle, slot);
		if (dbpool__slot_outdated(pool, slot, now))
		{
			dbpool__slot_to_close(pool, slot, NULL);
			continue;
		}
		if (now - slot->idle_since < pool->config.validate_after_idle_ms * NS_PER_MS)
			return slot;
		probe = dbpool__slot_probe(slot);
		if (probe < 0)
			dbpool__slot_to_close(pool, slot, &pool->stats.closed_broken);
		else if (probe > 0)
			dbpool__slot_to_reset(pool, slot, NEED_CHECK);
		else
			return slot;
	}
	return NULL;
}

/*
 * Connections being cleaned that a waiter may count on: those whose reset has
 * just begun.  One that takes longer may hang with its server for all of
 * reset_timeout_ms, so the maintenance thread looks again when the first of them
 * has had its time, *until (not changed if there are none).
 */
static uint64_t
coming_back(const dbpool_pool *pool, int64_t *until)
{
	/* as the maintenance thread, which would be woken again and again otherwise */
	int64_t	 now = dbpool__now();
	uint64_t n = 0;

	for (uint32_t i = 0; n < pool->nstate[SLOT_RESETTING] && i < (uint32_t) pool->config.max; i++)
	{
		const dbpool__slot *slot = &pool->slots[i];
		int64_t				end = dbpool__after(slot->reset_since, RESET_SOON_NS);

		if (slot->state != SLOT_RESETTING || now >= end)
			continue;
		n++;
		if (end < *until)
			*until = end;
	}
	return n;
}

/* Slots needed beyond those that are there or on their way. */
static uint64_t
shortage(dbpool_pool *pool)
{
	uint64_t live = dbpool__live(pool) + pool->nstate[SLOT_CONNECTING];
	uint64_t want = 0;

	if (pool->waiters.n > pool->nstate[SLOT_CONNECTING])
		want = pool->waiters.n - pool->nstate[SLOT_CONNECTING];
	if (want > 0 && pool->nstate[SLOT_RESETTING] > 0)
	{
		int64_t	 until = INT64_MAX;
		uint64_t coming = coming_back(pool, &until);

		want = want > coming ? want - coming : 0;
		if (until < pool->grow_at && pool->nstate[SLOT_EMPTY] > 0)
		{
			pool->grow_at = until;
			dbpool__wake_maintenance(pool);
		}
	}

	/* a refused login is tried again only for a caller, never by itself */
	if (!pool->breaker.refused && live + want < (uint64_t) pool->config.min)
		want = (uint64_t) pool->config.min - live;
	return want;
}

/*
 * Request connections for the waiters and the minimum, as far as max allows.
 */
void
dbpool__grow(dbpool_pool *pool)
{
	uint64_t want;
	uint64_t room;

	if (pool->closing)
		return;
	want = shortage(pool);
	if (want == 0)
		return;
	room = pool->nstate[SLOT_EMPTY];
	for (uint32_t i = 0; want > 0 && room > 0 && i < (uint32_t) pool->config.max; i++)
	{
		dbpool__slot *slot = &pool->slots[i];

		if (slot->state != SLOT_EMPTY)
			continue;
		dbpool__slot_set(pool, slot, SLOT_CONNECTING);
		dbpool__list_push_tail(&pool->connectq, slot);
		pthread_cond_signal(&pool->work_cond);
		want--;
		room--;
	}
	/* during a pause only the maintenance thread knows when to go on */
	if (pool->breaker.state == BREAKER_OPEN || pool->breaker.ceiling > 0)
		dbpool__wake_maintenance(pool);
}

/* End all waits with an error; *counter (may be NULL) is the reason's. */
void
dbpool__fail_waiters(dbpool_pool *pool, const dbpool_error *why, uint64_t *counter)
{
	dbpool__waiter *w;

	while ((w = pool->waiters.head) != NULL)
	{
		_Atomic uint32_t *word = &w->state;

		w->error = *why;
		if (counter != NULL)
			(*counter)++;
		(void) dbpool__waitq_settle(&pool->waiters, w, WAITER_FAILED);
		dbpool__waiter_wake(word);
	}
}
