/*
 * breaker.c
 *		When a pool may try to connect, and how often at the same time.
 *
 *		CLOSED --failure--> OPEN --success--> RAMP --enough successes--> CLOSED
 *								 <--failure--
 *
 * OPEN: one attempt at a time, the prober's, each after a random pause.  The prober
 * holds a lease: one that is stuck (a name look-up cannot be interrupted) is given
 * up when its lease ends, and the next one starts.  RAMP: 1, 2, 4 ... at the same
 * time, so that a server which comes back is not run over.
 *
 * Every attempt carries the generation in which it began.  The first failure of
 * a generation ends it, so those that began together count once, and a prober that
 * was given up cannot prolong an outage that is over.  A success always counts: it
 * is a fact of now.
 *
 * 53300 (too many connections) is no outage while the pool has others to serve
 * with: it sets a ceiling at what it has, tried again after a hold that doubles.
 *
 * Only failures to connect come here, never errors of statements.  Pure: the time
 * is an argument, everything is guarded by the pool's lock, nothing blocks.
 */
#include <string.h>

#include "internal.h"

#define HOLD_FIRST_NS NS_PER_S
#define HOLD_MOST_NS (30 * NS_PER_S)

void
dbpool__breaker_init(dbpool__breaker *b, uint32_t limit, int64_t lease_ns)
{
	memset(b, 0, sizeof(*b));
	b->limit = limit;
	b->allowed = limit;
	b->lease_ns = lease_ns;
}

/* Errors that no repetition mends: wrong password or role, no such database. */
bool
dbpool__is_refusal(const char *sqlstate)
{
	return strncmp(sqlstate, "28", 2) == 0 || strcmp(sqlstate, "3D000") == 0;
}

/*
 * How long to wait after so many failures before this one: random in
 * 0 .. 50 ms x 2^n (full jitter) up to 1 s.  Once there, the lower three quarters
 * are left out: that bounds the attempts in an outage of 30 s to 45 and
 * still finds the server within a second.  Refusals may lock an account, so they
 * wait longer, 0.5 to 5 s.
 */
int64_t
dbpool__backoff(uint32_t failures, bool refused, uint64_t random)
{
	int64_t most = refused ? 5 * NS_PER_S : NS_PER_S;
	int64_t ceiling = most;
	int64_t floor = 0;
	int64_t first = (refused ? 1000 : 50) * NS_PER_MS;

	if (failures < 10 && (first << failures) < most)
		ceiling = first << failures;
	if (refused)
		floor = ceiling / 2;
	else if (ceiling == most)
		floor = ceiling / 4 * 3;
	return floor + (int64_t) (random % (uint64_t) (ceiling - floor + 1));
}

/* Does the ceiling stand in the way of one more, with `live` connections there? */
static bool
below_ceiling(const dbpool__breaker *b, uint32_t live, int64_t now)
{
	if (b->ceiling == 0 || live + b->inflight < b->ceiling)
		return true;
	/* the hold is over: one may look whether there is room again */
	return now >= b->ceiling_until && b->inflight == 0;
}

/* May an attempt start now?  `live`: connections the pool has. */
bool
dbpool__breaker_may_start(const dbpool__breaker *b, uint32_t live, int64_t now)
{
	if (!below_ceiling(b, live, now))
		return false;
	switch (b->state)
	{
		case BREAKER_CLOSED:
		case BREAKER_RAMP:
			return b->inflight < b->allowed;
		case BREAKER_OPEN:
			if (now < b->next_at)
				return false;
			/* one beyond the limit, so that stuck ones do not keep out all others */
			return b->prober_until <= now && b->inflight <= b->limit;
	}
	return false;
}

/*
 * When to ask again if may_start said no: the first time at which only time
 * was missing; INT64_MAX if an attempt must end first.
 */
int64_t
dbpool__breaker_next(const dbpool__breaker *b, int64_t now)
{
	int64_t next = INT64_MAX;

	if (b->ceiling > 0 && b->ceiling_until > now)
		next = b->ceiling_until;
	if (b->state == BREAKER_OPEN)
	{
		int64_t at = b->next_at > b->prober_until ? b->next_at : b->prober_until;

		if (at > now && at < next)
			next = at;
	}
	return next;
}

/* An attempt starts, may_start having said so.  Its number is for _succeeded, _failed. */
uint64_t
dbpool__breaker_start(dbpool__breaker *b, int64_t now)
{
	b->inflight++;
	if (b->state == BREAKER_OPEN)
	{
		/* a prober that was given up must not end this generation */
		if (b->prober_until != 0)
			b->generation++;
		b->prober_until = dbpool__after(now, b->lease_ns);
	}
	return b->generation;
}

static void
lift_ceiling(dbpool__breaker *b)
{
	b->ceiling = 0;
	b->ceiling_step = 0;
	b->ceiling_hits = 0;
	b->ceiling_until = 0;
}

/* An attempt ended well; `live` counts its connection, `max` is the pool's. */
void
dbpool__breaker_succeeded(dbpool__breaker *b, uint32_t live, uint32_t max)
{
	b->inflight--;
	b->failures = 0;
	b->refused = false;
	b->next_at = 0;
	b->prober_until = 0;
	b->opened_at = 0;
	if (b->state == BREAKER_OPEN)
	{
		/* whatever room there was before is of another time */
		lift_ceiling(b);
		b->generation++;
		b->state = BREAKER_RAMP;
		b->allowed = 1;
		b->ramp_done = 0;
	}
	if (b->state == BREAKER_RAMP && ++b->ramp_done >= b->allowed)
	{
		b->ramp_done = 0;
		b->allowed = b->allowed * 2 < b->limit ? b->allowed * 2 : b->limit;
		if (b->allowed == b->limit)
			b->state = BREAKER_CLOSED;
	}
	if (b->ceiling > 0 && live >= b->ceiling)
	{
		b->ceiling = live + b->ceiling_step;
		b->ceiling_step *= 2;
		if (b->ceiling >= max)
			lift_ceiling(b);
	}
}

/* An attempt was given up by us (the pool closes): it says nothing. */
void
dbpool__breaker_abandoned(dbpool__breaker *b)
{
	b->inflight--;
}

/*
 * An attempt failed.  `live`: connections the pool has without it.  Returns
 * true if this opened the breaker.
 */
bool
dbpool__breaker_failed(dbpool__breaker *b, uint64_t generation, const char *sqlstate,
					   uint32_t live, int64_t now, uint64_t random)
{
	bool opened = b->state != BREAKER_OPEN;

	b->inflight--;
	if (generation != b->generation)
		return false;
	b->generation++;
	if (opened && live > 0 && strcmp(sqlstate, "53300") == 0)
	{
		int64_t hold = HOLD_MOST_NS;

		if (b->ceiling_hits < 5)
			hold = HOLD_FIRST_NS << b->ceiling_hits;
		b->ceiling = live;
		b->ceiling_step = 1;
		b->ceiling_hits++;
		b->ceiling_until = dbpool__after(now, hold / 2 + (int64_t) (random % (uint64_t) (hold / 2)));
		return false;
	}
	b->refused = dbpool__is_refusal(sqlstate);
	b->next_at = dbpool__after(now, dbpool__backoff(b->failures, b->refused, random));
	b->failures++;
	b->prober_until = 0;
	b->allowed = 1;
	b->state = BREAKER_OPEN;
	if (opened)
		b->opened_at = now;
	return opened;
}
