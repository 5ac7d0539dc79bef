/*
 * waiter.c
 *		The queue of callers waiting for a connection.
 *
 * One word per waiter says how its wait ended.  It leaves WAITING exactly once,
 * by dbpool__waitq_settle under pool->lock: a grant and a timeout that race both
 * come here and the second one loses.  The loser of a timeout holds a granted
 * lease and must use or return it: no connection is lost.
 *
 * The word is also the futex the waiter sleeps on, so a granter can wake it after
 * unlocking.  By then the waiter may have gone and its stack frame with it: the
 * wake then hits nothing, or gives some other futex user a spurious wake-up, which
 * every futex user must expect.  The address is never dereferenced.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

void
dbpool__waitq_push(dbpool__waitq *q, dbpool__waiter *w)
{
	atomic_store_explicit(&w->state, WAITER_WAITING, memory_order_relaxed);
	w->next = NULL;
	w->prev = q->tail;
	if (q->tail != NULL)
		q->tail->next = w;
	else
		q->head = w;
	q->tail = w;
	q->n++;
}

/*
 * End a wait; true for the one call that did.  The caller has filled the fields
 * that go with the verdict before, and must not touch *w afterwards.
 */
bool
dbpool__waitq_settle(dbpool__waitq *q, dbpool__waiter *w, dbpool__verdict verdict)
{
	if (atomic_load_explicit(&w->state, memory_order_relaxed) != WAITER_WAITING)
		return false;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		q->head = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		q->tail = w->prev;
	q->n--;
	atomic_store_explicit(&w->state, verdict, memory_order_release);
	return true;
}

/*
 * Sleep until settled or the deadline; without the lock.  WAITING means the
 * deadline passed: the caller then takes the lock and tries to settle itself.
 */
dbpool__verdict
dbpool__waiter_wait(dbpool__waiter *w, int64_t deadline)
{
	struct timespec	 ts = {.tv_sec = deadline / NS_PER_S, .tv_nsec = deadline % NS_PER_S};
	struct timespec *limit = deadline == DBPOOL_DEADLINE_NONE ? NULL : &ts;

	for (;;)
	{
		uint32_t state = atomic_load_explicit(&w->state, memory_order_acquire);

		if (state != WAITER_WAITING)
			return (dbpool__verdict) state;
		/* FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC */
		if (syscall(SYS_futex, &w->state, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, WAITER_WAITING,
					limit, NULL, FUTEX_BITSET_MATCH_ANY) != 0 &&
			errno == ETIMEDOUT)
			return (dbpool__verdict) atomic_load_explicit(&w->state, memory_order_acquire);
	}
}

void
dbpool__waiter_wake(_Atomic uint32_t *state)
{
	if (state != NULL)
		(void) syscall(SYS_futex, state, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}
