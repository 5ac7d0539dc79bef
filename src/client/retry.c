/*
 * retry.c
 *		How often and when to try again.
 *
 * The budget keeps retries from adding to an overload: every request pays in a
 * part of a retry, every retry takes a whole one.  A few are lent at the start, and
 * paid back before the balance grows, so that the sum of retries never exceeds
 * the percentage once there were enough requests.  The balance is limited, as
 * a long time without trouble must not save up for a storm; to twice the pool's
 * size, since a failover breaks as many transactions at once as it has connections.
 *
 * The budget's functions are pure and guarded by the pool's lock.
 */
#include "internal.h"

#define ONE INT64_C(100)
#define LENT (5 * ONE)
#define PAUSE_FIRST_NS (5 * NS_PER_MS)
#define PAUSE_MOST_NS NS_PER_S

void
dbpool__budget_init(dbpool__budget *b, int64_t percent, int64_t max)
{
	b->percent = percent;
	b->most = 2 * max * ONE;
	b->balance = percent > 0 ? LENT : 0;
	b->owed = b->balance;
	if (b->most < LENT)
		b->most = LENT;
}

/* A request that may come to be retried was made. */
void
dbpool__budget_request(dbpool__budget *b)
{
	int64_t pay = b->percent;
	int64_t back = pay < b->owed ? pay : b->owed;

	b->owed -= back;
	b->balance += pay - back;
	if (b->balance > b->most)
		b->balance = b->most;
}

/* May one retry be made?  It is paid for then. */
bool
dbpool__budget_take(dbpool__budget *b)
{
	if (b->balance < ONE)
		return false;
	b->balance -= ONE;
	return true;
}

/* How long to wait after so many attempts: random in 0 .. 5 ms x 2^(n-1), at most 1 s. */
int64_t
dbpool__retry_pause(uint32_t attempts, uint64_t random)
{
	int64_t ceiling = PAUSE_MOST_NS;

	if (attempts < 1)
		attempts = 1;
	if (attempts < 9 && (PAUSE_FIRST_NS << (attempts - 1)) < PAUSE_MOST_NS)
		ceiling = PAUSE_FIRST_NS << (attempts - 1);
	return (int64_t) (random % (uint64_t) (ceiling + 1));
}

/*
 * Sleep until a time, or until the pool is closed (ECLOSED).  Called without the
 * lock and without a lease.
 */
int
dbpool__pause(dbpool_pool *pool, int64_t until, dbpool_error *err)
{
	bool closing;
	bool retire;
	int	 code = dbpool__pool_lock(pool, err);

	if (code != DBPOOL_OK)
		return code;
	if (!pool->closing)
	{
		int stop_fd = pool->stop_fd;

		/* counted, as the struct may not become another pool while we wait on it */
		pool->watchers++;
		pthread_mutex_unlock(&pool->lock);
		(void) dbpool__wait_fd(-1, 0, stop_fd, until);
		pthread_mutex_lock(&pool->lock);
		pool->watchers--;
	}
	closing = pool->closing;
	retire = dbpool__may_retire(pool);
	pthread_mutex_unlock(&pool->lock);
	if (retire)
		dbpool__shell_retire(pool);
	if (closing)
		return dbpool__fail(err, DBPOOL_ECLOSED, DBPOOL_NOT_SENT, NULL, "the pool is closed");
	return DBPOOL_OK;
}

/*
 * `attempts` have failed, in a way that one more may mend.  OK after the pause
 * before it; EEND, *err untouched, if there is to be none; other codes as
 * dbpool__pause.
 */
int
dbpool__retry_wait(dbpool_pool *pool, uint32_t attempts, int64_t deadline, dbpool_error *err)
{
	int64_t until;
	bool	go;
	int		code = dbpool__pool_lock(pool, err);

	if (code != DBPOOL_OK)
		return code;
	until = dbpool__after(dbpool__now(), dbpool__retry_pause(attempts, dbpool__random(&pool->rng)));
	go = attempts < (uint64_t) pool->config.retry_attempts && until < deadline;
	if (go && !dbpool__budget_take(&pool->budget))
	{
		pool->stats.retries_denied++;
		go = false;
	}
	if (go)
		pool->stats.retries++;
	pthread_mutex_unlock(&pool->lock);
	return go ? dbpool__pause(pool, until, err) : DBPOOL_EEND;
}
