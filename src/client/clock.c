/*
 * clock.c
 *		The two monotonic clocks and the random numbers for jitter.
 *
 * A precise read costs more than the pool's lock, so the path of an acquire that
 * need not wait uses the coarse clock, which is late by at most one tick and on
 * the same time line.  Deadlines are always compared with the precise one.
 */
#include <sys/random.h>
#include <time.h>

#include "internal.h"

static int64_t
read_clock(clockid_t id)
{
	struct timespec ts;

	/* cannot fail: both clocks exist on every Linux and ts is valid */
	(void) clock_gettime(id, &ts);
	return (int64_t) ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t
dbpool__now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t
dbpool__coarse(void)
{
	return read_clock(CLOCK_MONOTONIC_COARSE);
}

int64_t
dbpool_deadline_ms(int64_t ms)
{
	if (ms < 0)
		ms = 0;
	if (ms > INT64_MAX / NS_PER_MS)
		return DBPOOL_DEADLINE_NONE;
	return dbpool__after(dbpool__now(), ms * NS_PER_MS);
}

/*
 * A seed that differs between processes started together; never 0.
 */
uint64_t
dbpool__seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t) sizeof(seed) || seed == 0)
		seed = (uint64_t) dbpool__now() ^ (uint64_t) (uintptr_t) &seed;
	return seed != 0 ? seed : 1;
}

/* xorshift64*: jitter needs no better; state is guarded by the caller */
uint64_t
dbpool__random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(2685821657736338717);
}
