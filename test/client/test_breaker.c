/*
 * test_breaker.c
 *		The circuit breaker: its rules in virtual time, then against a server that
 *		is stopped, full, and back.
 *
 * DBPOOL_TEST_OUTAGE_MS sets the length of the outage (default 4000).
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>

#include "internal.h"

static dbpool_error err = DBPOOL_ERROR_INIT;

#define LEASE_NS (6 * NS_PER_S)

static void
failures_of_one_wave_count_once(void **state)
{
	dbpool__breaker b;
	uint64_t		attempt[8];

	(void) state;
	dbpool__breaker_init(&b, 8, LEASE_NS);
	for (int i = 0; i < 8; i++)
	{
		assert_true(dbpool__breaker_may_start(&b, 0, 1));
		attempt[i] = dbpool__breaker_start(&b, 1);
	}
	assert_false(dbpool__breaker_may_start(&b, 0, 1));
	assert_true(dbpool__breaker_failed(&b, attempt[0], "", 0, 2, UINT64_MAX));
	for (int i = 1; i < 8; i++)
		assert_false(dbpool__breaker_failed(&b, attempt[i], "", 0, 3, UINT64_MAX));
	assert_int_equal(b.failures, 1);
	assert_int_equal(b.inflight, 0);
	assert_int_equal(b.state, BREAKER_OPEN);
	assert_between(b.next_at, 2, 2 + 50 * NS_PER_MS);
}

static void
one_prober_with_a_lease(void **state)
{
	dbpool__breaker b;
	uint64_t		stuck;
	uint64_t		second;
	int64_t			now = 1;

	(void) state;
	dbpool__breaker_init(&b, 1, LEASE_NS);
	(void) dbpool__breaker_failed(&b, dbpool__breaker_start(&b, now), "", 0, now, 7);
	assert_int_equal(dbpool__breaker_next(&b, now), b.next_at > now ? b.next_at : INT64_MAX);
	now = b.next_at;
	assert_true(dbpool__breaker_may_start(&b, 0, now));
	stuck = dbpool__breaker_start(&b, now);
	assert_false(dbpool__breaker_may_start(&b, 0, now));
	assert_false(dbpool__breaker_may_start(&b, 0, now + LEASE_NS - 1));
	assert_int_equal(dbpool__breaker_next(&b, now), now + LEASE_NS);
	/* its lease over, another may look, although the limit is one */
	now += LEASE_NS;
	assert_true(dbpool__breaker_may_start(&b, 0, now));
	second = dbpool__breaker_start(&b, now);
	assert_int_not_equal(stuck, second);
	/* what the stuck one says in the end is no news */
	assert_int_equal(b.failures, 1);
	(void) dbpool__breaker_failed(&b, stuck, "", 0, now, 7);
	assert_int_equal(b.failures, 1);
	assert_false(dbpool__breaker_may_start(&b, 0, now));
	dbpool__breaker_succeeded(&b, 1, 10);
	assert_int_equal(b.state, BREAKER_CLOSED);
	assert_int_equal(b.inflight, 0);
	assert_int_equal(b.failures, 0);
}

/* A success proves that the server is there, however old the attempt. */
static void
late_success_ends_an_outage(void **state)
{
	dbpool__breaker b;
	uint64_t		early;

	(void) state;
	dbpool__breaker_init(&b, 4, LEASE_NS);
	(void) dbpool__breaker_start(&b, 1);
	early = dbpool__breaker_start(&b, 1);
	(void) dbpool__breaker_failed(&b, early, "", 0, 1, 7);
	assert_int_equal(b.state, BREAKER_OPEN);
	dbpool__breaker_succeeded(&b, 1, 10);
	assert_int_equal(b.state, BREAKER_RAMP);
	assert_true(dbpool__breaker_may_start(&b, 1, 1));
}

static void
ramps_1_2_4(void **state)
{
	dbpool__breaker b;
	uint32_t		wave[] = {1, 2, 4, 7};

	(void) state;
	dbpool__breaker_init(&b, 7, LEASE_NS);
	(void) dbpool__breaker_failed(&b, dbpool__breaker_start(&b, 1), "", 0, 1, 7);
	for (int w = 0; w < 4; w++)
	{
		uint32_t n = 0;

		assert_int_equal(b.state, w == 0 ? BREAKER_OPEN : w < 3 ? BREAKER_RAMP : BREAKER_CLOSED);
		while (dbpool__breaker_may_start(&b, 0, NS_PER_S))
		{
			(void) dbpool__breaker_start(&b, NS_PER_S);
			n++;
		}
		assert_int_equal(n, wave[w]);
		for (uint32_t i = 0; i < n; i++)
			dbpool__breaker_succeeded(&b, 1, 10);
	}
	/* and from the start again if it fails meanwhile */
	(void) dbpool__breaker_failed(&b, dbpool__breaker_start(&b, NS_PER_S), "", 0, NS_PER_S, 7);
	assert_int_equal(b.state, BREAKER_OPEN);
	assert_int_equal(b.opened_at, NS_PER_S);
}

/* The promise: at most 45 attempts in 30 s, none more than 1 s after the one before. */
static void
outage_of_30_s(void **state)
{
	uint64_t rng = 1;
	bool	 at_once = false;

	(void) state;
	for (int outage = 0; outage < 10000; outage++)
	{
		dbpool__breaker b;
		uint32_t		attempts = 2;
		int64_t			now = 1;
		uint64_t		first[2];

		dbpool__breaker_init(&b, 2, LEASE_NS);
		first[0] = dbpool__breaker_start(&b, now);
		first[1] = dbpool__breaker_start(&b, now);
		for (int i = 0; i < 2; i++)
			(void) dbpool__breaker_failed(&b, first[i], "", 0, now, dbpool__random(&rng));
		at_once |= b.next_at < now + 5 * NS_PER_MS;
		while (b.next_at < 30 * NS_PER_S)
		{
			assert_true(b.next_at - now <= NS_PER_S);
			now = b.next_at > now ? b.next_at : now;
			assert_true(dbpool__breaker_may_start(&b, 0, now));
			(void) dbpool__breaker_failed(&b, dbpool__breaker_start(&b, now), "", 0, now,
										  dbpool__random(&rng));
			attempts++;
		}
		if (attempts > 45)
			fail_msg("%u attempts in 30 s", attempts);
	}
	assert_true(at_once); /* full jitter */
}

static void
ceiling_in_virtual_time(void **state)
{
	dbpool__breaker b;
	uint64_t		a;
	uint64_t		c;
	int64_t			now = 1;
	int64_t			held;

	(void) state;
	dbpool__breaker_init(&b, 2, LEASE_NS);
	a = dbpool__breaker_start(&b, now);
	c = dbpool__breaker_start(&b, now);
	assert_false(dbpool__breaker_failed(&b, a, "53300", 3, now, 7));
	assert_false(dbpool__breaker_failed(&b, c, "53300", 3, now, 7));
	assert_int_equal(b.state, BREAKER_CLOSED);
	assert_int_equal(b.ceiling, 3);
	assert_int_equal(b.ceiling_hits, 1);
	held = b.ceiling_until - now;
	assert_between(held, NS_PER_S / 2, NS_PER_S);
	assert_false(dbpool__breaker_may_start(&b, 3, now));
	assert_int_equal(dbpool__breaker_next(&b, now), b.ceiling_until);
	/* one that was closed may be replaced */
	assert_true(dbpool__breaker_may_start(&b, 2, now));
	/* the hold over, one tries; still full, the hold doubles */
	now = b.ceiling_until;
	assert_true(dbpool__breaker_may_start(&b, 3, now));
	a = dbpool__breaker_start(&b, now);
	assert_false(dbpool__breaker_may_start(&b, 3, now));
	(void) dbpool__breaker_failed(&b, a, "53300", 3, now, 7);
	assert_between(b.ceiling_until - now, NS_PER_S, 2 * NS_PER_S);
	/* there is room: one, two, four more */
	now = b.ceiling_until;
	(void) dbpool__breaker_start(&b, now);
	dbpool__breaker_succeeded(&b, 4, 10);
	assert_int_equal(b.ceiling, 5);
	(void) dbpool__breaker_start(&b, now);
	dbpool__breaker_succeeded(&b, 5, 10);
	assert_int_equal(b.ceiling, 7);
	(void) dbpool__breaker_start(&b, now);
	dbpool__breaker_succeeded(&b, 7, 10);
	assert_int_equal(b.ceiling, 0);
	/* with nothing to serve with it is an outage like any other */
	assert_true(dbpool__breaker_failed(&b, dbpool__breaker_start(&b, now), "53300", 0, now, 7));
	assert_int_equal(b.ceiling, 0);
}

/* Random events; what must hold always. */
static void
random_events(void **state)
{
	uint64_t		rng = 3;
	dbpool__breaker b;
	uint64_t		out[16];
	uint32_t		nout = 0;
	uint32_t		live = 0;
	int64_t			now = 1;
	int64_t			last_start = 0;

	(void) state;
	dbpool__breaker_init(&b, 4, LEASE_NS);
	for (int i = 0; i < 1000000; i++)
	{
		uint64_t r = dbpool__random(&rng);

		now += (int64_t) (r % 100) * NS_PER_MS;
		if ((r >> 10) % 2000 == 0)
			live = 0; /* the server died */
		if (dbpool__breaker_may_start(&b, live, now) && nout < 16)
		{
			/* while it is open, a pause or a lease lies between two */
			if (b.state == BREAKER_OPEN)
				assert_true(now >= b.next_at && (nout == 0 || b.prober_until <= now));
			out[nout++] = dbpool__breaker_start(&b, now);
			last_start = now;
		}
		else
			assert_true(nout > 0 || dbpool__breaker_next(&b, now) <= now + 30 * NS_PER_S);
		assert_int_equal(b.inflight, nout);
		assert_true(b.inflight <= b.limit + 1 && b.allowed >= 1 && b.allowed <= b.limit);
		assert_true(b.state != BREAKER_CLOSED || b.allowed == b.limit);
		assert_true((b.state == BREAKER_OPEN) == (b.opened_at != 0));
		if (nout > 0 && (r >> 20) % 3 == 0)
		{
			uint32_t which = (uint32_t) ((r >> 30) % nout);
			uint64_t attempt = out[which];

			out[which] = out[--nout];
			if ((r >> 40) % 4 == 0)
				(void) dbpool__breaker_failed(&b, attempt, (r >> 50) % 2 ? "53300" : "", live, now, r);
			else
			{
				live = live < 20 ? live + 1 : live;
				dbpool__breaker_succeeded(&b, live, 20);
			}
		}
	}
	/* never stuck: something started lately */
	assert_true(now - last_start < 60 * NS_PER_S);
}

/* ---- with a server ---- */

typedef struct
{
	dbpool_pool *pool;
	atomic_bool *stop;
	pthread_t	 thread;
} caller;

static void *
call(void *arg)
{
	caller *c = arg;

	while (!atomic_load(c->stop))
	{
		dbpool_lease lease = DBPOOL_LEASE_INIT;
		dbpool_error e = DBPOOL_ERROR_INIT;
		PGresult	*res = NULL;

		if (dbpool_acquire(c->pool, dbpool_deadline_ms(500), &lease, &e) == DBPOOL_OK)
			(void) dbpool_exec(lease, 0, "select pg_sleep(0.01)", NULL, &res, &e);
		PQclear(res);
		dbpool_release(&lease);
	}
	return NULL;
}

static void
outage_and_return(void **state)
{
	const char	*ms = getenv("DBPOOL_TEST_OUTAGE_MS");
	int64_t		 outage = ms != NULL ? atol(ms) : 4000;
	dbpool_pool *pool = open_pool("max", "8", "min", "8", "connect_limit", "4",
								  "validate_after_idle_ms", "0", NULL);
	atomic_bool	 stop = false;
	caller		 c[12];
	dbpool_stats before;
	dbpool_stats after;
	int64_t		 began;
	int64_t		 first;

	(void) state;
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	for (int i = 0; i < 12; i++)
	{
		c[i] = (caller){.pool = pool, .stop = &stop};
		assert_int_equal(pthread_create(&c[i].thread, NULL, call, &c[i]), 0);
	}
	sleep_ms(100);
	before = stats_of(pool);
	assert_int_equal(before.breaker_state, DBPOOL_BREAKER_CLOSED);
	began = now_ms();
	server("stop");
	assert_soon(stats_of(pool).breaker_state == DBPOOL_BREAKER_OPEN);
	while (now_ms() - began < outage)
		sleep_ms(10);
	after = stats_of(pool);
	assert_int_equal(after.breaker_state, DBPOOL_BREAKER_OPEN);
	assert_int_equal(after.breaker_opened, before.breaker_opened + 1);
	assert_between(after.outage_ms, outage / 2, outage + 500);
	/* 45 in 30 s; the shorter, the more of them fall into the beginning */
	assert_between(after.connects_started - before.connects_started, 3,
				   6 + 4 + (outage + 749) / 750);
	server("start");
	began = now_ms();
	while (stats_of(pool).connects_ok == before.connects_ok)
		sleep_ms(1);
	first = now_ms() - began;
	while (stats_of(pool).idle + stats_of(pool).leased < 8)
		sleep_ms(1);
	print_message("# outage of %lld ms: %llu attempts; after the start the first connection in "
				  "%lld ms, all 8 in %lld ms\n",
				  (long long) outage,
				  (unsigned long long) (after.connects_started - before.connects_started),
				  (long long) first, (long long) (now_ms() - began));
	assert_between(first, 0, 1300);
	assert_between(now_ms() - began, 0, 3000);
	assert_soon(stats_of(pool).breaker_state == DBPOOL_BREAKER_CLOSED);
	atomic_store(&stop, true);
	for (int i = 0; i < 12; i++)
		pthread_join(c[i].thread, NULL);
	close_pool(pool);
}

static void
full_server_sets_a_ceiling(void **state)
{
	char		 conninfo[512];
	dbpool_pool *pool;
	dbpool_lease held[3] = {DBPOOL_LEASE_INIT, DBPOOL_LEASE_INIT, DBPOOL_LEASE_INIT};
	dbpool_lease more = DBPOOL_LEASE_INIT;

	(void) state;
	admin_int("drop role if exists few");
	admin_int("create role few login connection limit 3");
	snprintf(conninfo, sizeof(conninfo), "%s user=few", dsn());
	pool = open_pool("conninfo", conninfo, "max", "6", NULL);
	for (int i = 0; i < 3; i++)
		assert_ok(dbpool_acquire(pool, 0, &held[i], &err));
	assert_int_equal(dbpool_acquire(pool, dbpool_deadline_ms(400), &more, &err), DBPOOL_ETIMEDOUT);
	assert_string_equal(err.sqlstate, "53300");
	/* asked once or twice, no storm, no outage */
	assert_between(stats_of(pool).too_many, 1, 2);
	assert_int_equal(stats_of(pool).connect_ceiling, 3);
	assert_int_equal(stats_of(pool).breaker_opened, 0);
	/* those that are there serve */
	dbpool_release(&held[0]);
	assert_ok(dbpool_acquire(pool, dbpool_deadline_ms(100), &held[0], &err));
	/* room again: found by itself for one who waits */
	admin_int("alter role few connection limit 10");
	assert_ok(dbpool_acquire(pool, dbpool_deadline_ms(4000), &more, &err));
	assert_int_equal(stats_of(pool).leased, 4);
	dbpool_release(&more);
	for (int i = 0; i < 3; i++)
		dbpool_release(&held[i]);
	close_pool(pool);
	admin_int("drop role few");
}

static void
fails_fast_in_a_long_outage(void **state)
{
	dbpool_pool *pool = open_pool("max", "2", "min", "0", "fail_fast_after_ms", "300", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	int64_t		 before;
	int			 fast = 0;

	(void) state;
	server("stop");
	/* one who was waiting when the outage began need not wait for his deadline */
	before = now_ms();
	assert_int_equal(dbpool_acquire(pool, dbpool_deadline_ms(10000), &lease, &err), DBPOOL_ECONNECT);
	assert_between(now_ms() - before, 300, 3000);
	assert_int_equal(stats_of(pool).failed_fast, 1);
	for (int i = 0; i < 20; i++)
	{
		before = now_ms();
		if (dbpool_acquire(pool, dbpool_deadline_ms(300), &lease, &err) == DBPOOL_ECONNECT)
		{
			fast++;
			assert_between(now_ms() - before, 0, 100);
			assert_int_equal(err.flags, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE);
		}
	}
	assert_true(fast > 10);
	assert_int_equal(stats_of(pool).failed_fast, fast + 1);
	assert_int_equal(stats_of(pool).refused, 0);
	server("start");
	/* somebody is let through to find out */
	assert_soon(dbpool_acquire(pool, dbpool_deadline_ms(300), &lease, &err) == DBPOOL_OK);
	dbpool_release(&lease);
	close_pool(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_of_one_wave_count_once),
		cmocka_unit_test(one_prober_with_a_lease),
		cmocka_unit_test(late_success_ends_an_outage),
		cmocka_unit_test(ramps_1_2_4),
		cmocka_unit_test(outage_of_30_s),
		cmocka_unit_test(ceiling_in_virtual_time),
		cmocka_unit_test(random_events),
		cmocka_unit_test(outage_and_return),
		cmocka_unit_test(full_server_sets_a_ceiling),
		cmocka_unit_test(fails_fast_in_a_long_outage),
	};
	int failed = cmocka_run_group_tests_name("breaker", tests, NULL, NULL);

	admin_forget();
	return failed;
}
