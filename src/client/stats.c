/*
 * stats.c
 *		A pool's numbers, and the leases that are out.
 *
 * Counters live in pool->stats and are changed in place under pool->lock; gauges
 * are computed here from the slots.  The struct only ever grows at its end: an
 * older caller passes a smaller size and gets the part it knows.
 */
#include <stddef.h>
#include <string.h>

#include "internal.h"

/* The first version of the struct: a caller cannot know a smaller one. */
#define STATS_LEAST (offsetof(dbpool_stats, exec_timeouts) + sizeof(uint64_t))

_Static_assert(DBPOOL_BREAKER_CLOSED == BREAKER_CLOSED && DBPOOL_BREAKER_OPEN == BREAKER_OPEN &&
				   DBPOOL_BREAKER_RAMP == BREAKER_RAMP,
			   "the breaker's states are published as they are");

static int64_t
age_ms(const dbpool__slot *slot, int64_t now)
{
	return (now - slot->acquired_at) / NS_PER_MS;
}

/* All numbers of a pool.  Lock held. */
void
dbpool__stats_fill(const dbpool_pool *pool, dbpool_stats *all)
{
	int64_t now = dbpool__coarse();

	*all = pool->stats;
	all->min = (uint64_t) pool->config.min;
	all->max = (uint64_t) pool->config.max;
	all->total = all->max - pool->nstate[SLOT_EMPTY];
	all->idle = pool->nstate[SLOT_IDLE];
	all->leased = pool->nstate[SLOT_LEASED];
	all->connecting = pool->nstate[SLOT_CONNECTING];
	all->resetting = pool->nstate[SLOT_RESETTING];
	all->closing = pool->nstate[SLOT_CLOSING];
	all->waiting = pool->waiters.n;
	all->oldest_lease_ms = 0;
	all->breaker_state = pool->breaker.state;
	all->connect_ceiling = pool->breaker.ceiling;
	all->outage_ms = 0;
	if (pool->breaker.state == BREAKER_OPEN)
		all->outage_ms = (uint64_t) (dbpool__now() - pool->breaker.opened_at) / (uint64_t) NS_PER_MS;
	for (uint32_t i = 0; i < (uint32_t) pool->config.max; i++)
	{
		const dbpool__slot *slot = &pool->slots[i];

		if (slot->state == SLOT_LEASED && (uint64_t) age_ms(slot, now) > all->oldest_lease_ms)
			all->oldest_lease_ms = (uint64_t) age_ms(slot, now);
		all->statements += slot->statements;
		all->statement_bytes += slot->statement_bytes;
	}
}

int
dbpool_pool_stats(dbpool_pool *pool, dbpool_stats *stats, dbpool_error *err)
{
	dbpool_stats all;
	int			 code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (stats == NULL || stats->size < STATS_LEAST)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "stats must be DBPOOL_STATS_INIT");
	code = dbpool__pool_lock(pool, err);
	if (code != DBPOOL_OK)
		return code;
	if (pool->closed)
	{
		pthread_mutex_unlock(&pool->lock);
		return dbpool__fail(err, DBPOOL_ECLOSED, 0, NULL, "the pool is closed");
	}
	dbpool__stats_fill(pool, &all);
	pthread_mutex_unlock(&pool->lock);

	all.size = stats->size < sizeof(all) ? stats->size : sizeof(all);
	memcpy(stats, &all, all.size);
	return dbpool__ok(err);
}

int
dbpool_lease_next(dbpool_pool *pool, uint32_t *cursor, dbpool_lease_info *info, dbpool_error *err)
{
	int code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (cursor == NULL || info == NULL || info->size < sizeof(dbpool_lease_info))
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"cursor must not be NULL, info must be DBPOOL_LEASE_INFO_INIT");
	code = dbpool__pool_lock(pool, err);
	if (code != DBPOOL_OK)
		return code;
	code = DBPOOL_EEND;
	while (code == DBPOOL_EEND && !pool->closed && *cursor < (uint32_t) pool->config.max)
	{
		const dbpool__slot *slot = &pool->slots[(*cursor)++];

		if (slot->state != SLOT_LEASED)
			continue;
		info->file = slot->file;
		info->line = slot->line;
		info->backend_pid = slot->backend_pid;
		info->age_ms = age_ms(slot, dbpool__coarse());
		code = DBPOOL_OK;
	}
	pthread_mutex_unlock(&pool->lock);
	if (code == DBPOOL_EEND)
		return dbpool__fail(err, code, 0, NULL, "no more leases");
	return dbpool__ok(err);
}
