/*
 * test_lease.c
 *		Borrow, wait, return: who gets a connection and that none is lost.
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static dbpool_error err = DBPOOL_ERROR_INIT;

static void
exec_round_trip(void **state)
{
	dbpool_pool	 *pool = open_pool("name", "round_trip", "max", "2", NULL);
	dbpool_lease  lease = DBPOOL_LEASE_INIT;
	const char	 *values[] = {"20", NULL};
	dbpool_params params = DBPOOL_PARAMS_INIT;
	PGresult	 *res;
	char		  text[64];

	(void) state;
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	assert_ok(dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &lease, &err));
	assert_ok(dbpool_lease_check(lease, &err));
	assert_non_null(dbpool_conn(lease));
	params.n = 2;
	params.values = values;
	assert_ok(dbpool_exec(lease, 0, "select $1::int + 1, $2::text is null", &params, &res, &err));
	assert_string_equal(PQgetvalue(res, 0, 0), "21");
	assert_string_equal(PQgetvalue(res, 0, 1), "t");
	PQclear(res);
	/* several statements: the last result, as PQexec */
	assert_int_equal(lease_int(lease, "select 1; select 2"), 2);
	assert_string_equal(lease_text(lease, "show application_name", text, sizeof(text)), "round_trip");
	assert_int_equal(dbpool_exec(lease, 0, "select 1/0", NULL, &res, &err), DBPOOL_EQUERY);
	assert_null(res);
	assert_string_equal(err.sqlstate, "22012");
	assert_string_equal(err.message, "division by zero");
	assert_int_equal(err.flags, 0);
	assert_int_equal(lease_int(lease, "select 3"), 3);
	/* in a transaction the error costs the transaction */
	lease_text(lease, "begin", text, sizeof(text));
	assert_int_equal(dbpool_exec(lease, 0, "select 1/0", NULL, &res, &err), DBPOOL_EQUERY);
	assert_int_equal(err.flags, DBPOOL_TX_ABORTED);
	lease_text(lease, "rollback", text, sizeof(text));
	/* past before sending */
	assert_int_equal(dbpool_exec(lease, DBPOOL_DEADLINE_NOW, "select 1", NULL, &res, &err),
					 DBPOOL_ETIMEDOUT);
	assert_int_equal(err.flags, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE);
	assert_int_equal(lease_int(lease, "select 4"), 4);
	dbpool_release(&lease);
	assert_int_equal(lease.generation, 0);
	assert_null(lease.pool);
	close_pool(pool);
}

static void
exec_large(void **state)
{
	dbpool_pool	 *pool = open_pool("max", "1", NULL);
	dbpool_lease  lease = DBPOOL_LEASE_INIT;
	size_t		  size = 8 * 1024 * 1024;
	char		 *big = malloc(size + 1);
	const char	 *values[] = {big};
	dbpool_params params = DBPOOL_PARAMS_INIT;
	PGresult	 *res;

	(void) state;
	memset(big, 'x', size);
	big[size] = '\0';
	params.n = 1;
	params.values = values;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	/* more than the socket holds, both ways */
	assert_ok(dbpool_exec(lease, 0, "select $1::text || $1", &params, &res, &err));
	assert_int_equal(PQgetlength(res, 0, 0), 2 * size);
	PQclear(res);
	assert_false(PQisnonblocking(dbpool_conn(lease)));
	dbpool_release(&lease);
	close_pool(pool);
	free(big);
}

/* ---- order ---- */

typedef struct
{
	dbpool_pool *pool;
	int			 number;
	int64_t		 timeout_ms;
	int			 code;
	dbpool_error error;
	pthread_t	 thread;
} borrower;

static atomic_int order_next;
static int		  order[16];

static void *
borrow_in_order(void *arg)
{
	borrower	*b = arg;
	dbpool_lease lease = DBPOOL_LEASE_INIT;

	b->error = (dbpool_error) DBPOOL_ERROR_INIT;
	b->code = dbpool_acquire(b->pool, dbpool_deadline_ms(b->timeout_ms), &lease, &b->error);
	if (b->code == DBPOOL_OK)
	{
		order[atomic_fetch_add(&order_next, 1)] = b->number;
		dbpool_release(&lease);
	}
	return NULL;
}

static void
start_borrower(borrower *b, dbpool_pool *pool, int number, int64_t timeout_ms)
{
	uint64_t before = stats_of(pool).waiting;

	b->pool = pool;
	b->number = number;
	b->timeout_ms = timeout_ms;
	assert_int_equal(pthread_create(&b->thread, NULL, borrow_in_order, b), 0);
	assert_soon(stats_of(pool).waiting == before + 1);
}

static void
grants_are_fifo(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_lease late = DBPOOL_LEASE_INIT;
	borrower	 b[12];

	(void) state;
	atomic_store(&order_next, 0);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	for (int i = 0; i < 12; i++)
		start_borrower(&b[i], pool, i, 10000);
	dbpool_release(&lease);
	/* comes last, and must not overtake */
	assert_ok(dbpool_acquire(pool, 0, &late, &err));
	dbpool_release(&late);
	for (int i = 0; i < 12; i++)
		pthread_join(b[i].thread, NULL);
	for (int i = 0; i < 12; i++)
		assert_int_equal(order[i], i);
	assert_int_equal(stats_of(pool).waiting_peak >= 12, 1);
	close_pool(pool);
}

static void
timeout_loses_nothing(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_lease second = DBPOOL_LEASE_INIT;
	int64_t		 before;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	before = now_ms();
	assert_int_equal(dbpool_acquire(pool, dbpool_deadline_ms(100), &second, &err), DBPOOL_ETIMEDOUT);
	assert_between(now_ms() - before, 99, 1000);
	assert_int_equal(err.flags, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE);
	assert_non_null(strstr(err.message, "max 1, leased 1"));
	assert_int_equal(dbpool_acquire(pool, DBPOOL_DEADLINE_NOW, &second, &err), DBPOOL_ETIMEDOUT);
	assert_int_equal(second.generation, 0);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, DBPOOL_DEADLINE_NOW, &second, &err));
	/* a lease that is held may not be overwritten */
	assert_int_equal(dbpool_acquire(pool, 0, &second, &err), DBPOOL_EINVAL);
	dbpool_release(&second);
	assert_int_equal(stats_of(pool).timeouts, 2);
	close_pool(pool);
}

static void
waiters_are_bounded(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", "max_waiters", "2", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_lease more = DBPOOL_LEASE_INIT;
	borrower	 b[2];

	(void) state;
	atomic_store(&order_next, 0);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	start_borrower(&b[0], pool, 0, 10000);
	start_borrower(&b[1], pool, 1, 10000);
	assert_int_equal(dbpool_acquire(pool, 0, &more, &err), DBPOOL_EQUEUEFULL);
	assert_int_equal(stats_of(pool).queue_full, 1);
	dbpool_release(&lease);
	pthread_join(b[0].thread, NULL);
	pthread_join(b[1].thread, NULL);
	assert_int_equal(b[0].code, DBPOOL_OK);
	assert_int_equal(b[1].code, DBPOOL_OK);
	close_pool(pool);
}

/* Who can have a connection made waits for it, not for another caller. */
static void
waiters_being_served_are_not_bounded(void **state)
{
	dbpool_pool *pool = open_pool("max", "4", "max_waiters", "0", NULL);
	dbpool_lease lease[4];

	(void) state;
	for (int i = 0; i < 4; i++)
	{
		lease[i] = (dbpool_lease) DBPOOL_LEASE_INIT;
		assert_ok(dbpool_acquire(pool, 0, &lease[i], &err));
	}
	assert_int_equal(stats_of(pool).total, 4);
	{
		dbpool_lease more = DBPOOL_LEASE_INIT;

		assert_int_equal(dbpool_acquire(pool, 0, &more, &err), DBPOOL_EQUEUEFULL);
	}
	for (int i = 0; i < 4; i++)
		dbpool_release(&lease[i]);
	close_pool(pool);
}

/* ---- many threads ---- */

typedef struct
{
	dbpool_pool *pool;
	unsigned	 seed;
	int64_t		 until;
	long		 done;
	long		 timeouts;
	long		 wrong;
	pthread_t	 thread;
} stressor;

static void *
stress(void *arg)
{
	stressor *s = arg;

	while (now_ms() < s->until)
	{
		dbpool_error e = DBPOOL_ERROR_INIT;
		dbpool_lease lease = DBPOOL_LEASE_INIT;
		PGresult	*res = NULL;
		int			 dice = rand_r(&s->seed) % 100;
		int			 code;
		/* many deadlines close to the time it takes: grant and timeout race */
		int64_t deadline = dbpool_deadline_ms(5000);

		if (dice < 50)
			deadline = dbpool_deadline_ms(0) + rand_r(&s->seed) % 3000000;
		code = dbpool_acquire(s->pool, deadline, &lease, &e);
		if (code == DBPOOL_ETIMEDOUT && dice < 50)
		{
			s->timeouts++;
			continue;
		}
		if (code != DBPOOL_OK)
		{
			fprintf(stderr, "# acquire: %s\n", e.message);
			s->wrong++;
			continue;
		}
		code = dbpool_exec(lease, 0,
						   dice % 10 == 0	? "set work_mem = '1MB'"
						   : dice % 10 == 1 ? "begin"
											: "select 1",
						   NULL, &res, &e);
		if (code != DBPOOL_OK)
		{
			fprintf(stderr, "# exec: %s\n", e.message);
			s->wrong++;
		}
		PQclear(res);
		if (dice % 25 == 2)
			dbpool_discard(&lease);
		else
			dbpool_release(&lease);
		s->done++;
	}
	return NULL;
}

static void
threads_lose_and_exceed_nothing(void **state)
{
	dbpool_pool *pool = open_pool("name", "stress", "max", "3", "min", "0", NULL);
	stressor	 s[8];
	long		 done = 0;
	long		 timeouts = 0;
	long		 most = 0;
	long		 samples = 0;
	dbpool_stats stats;

	(void) state;
	for (int i = 0; i < 8; i++)
	{
		s[i] = (stressor){.pool = pool, .seed = (unsigned) i + 1, .until = now_ms() + 3000};
		assert_int_equal(pthread_create(&s[i].thread, NULL, stress, &s[i]), 0);
	}
	while (now_ms() < s[0].until)
	{
		long n = admin_int("select count(*) from pg_stat_activity where application_name = 'stress'");

		if (n > most)
			most = n;
		samples++;
		sleep_ms(1);
	}
	for (int i = 0; i < 8; i++)
	{
		pthread_join(s[i].thread, NULL);
		done += s[i].done;
		timeouts += s[i].timeouts;
		assert_int_equal(s[i].wrong, 0);
	}
	print_message("# %ld leases, %ld timeouts, %ld samples of at most %ld backends\n", done,
				  timeouts, samples, most);
	assert_true(done > 100 && timeouts > 0 && samples > 50);
	assert_int_equal(most, 3);
	assert_soon(stats_of(pool).resetting == 0 && stats_of(pool).closing == 0 &&
				stats_of(pool).connecting == 0);
	stats = stats_of(pool);
	assert_int_equal(stats.leased, 0);
	assert_int_equal(stats.waiting, 0);
	assert_int_equal(stats.idle, stats.total);
	assert_int_equal(stats.acquired, stats.released);
	assert_int_equal(stats.released, done);
	assert_int_equal(stats.stale_releases + stats.stale_calls + stats.busy_calls, 0);
	/* and all three can still be had */
	{
		dbpool_lease l[3] = {DBPOOL_LEASE_INIT, DBPOOL_LEASE_INIT, DBPOOL_LEASE_INIT};

		for (int i = 0; i < 3; i++)
			assert_ok(dbpool_acquire(pool, 0, &l[i], &err));
		for (int i = 0; i < 3; i++)
			dbpool_release(&l[i]);
	}
	close_pool(pool);
	assert_int_equal(
		admin_int("select count(*) from pg_stat_activity where application_name = 'stress'"), 0);
}

/* ---- misuse ---- */

static void
stale_leases(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_lease copy;
	dbpool_lease again = DBPOOL_LEASE_INIT;
	PGresult	*res;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	copy = lease;
	dbpool_release(&lease);
	assert_int_equal(dbpool_exec(copy, 0, "select 1", NULL, &res, &err), DBPOOL_ESTALE);
	assert_ok(dbpool_acquire(pool, 0, &again, &err));
	/* the same slot is lent again: the old copy must not reach it */
	assert_int_equal(dbpool_exec(copy, 0, "select 1", NULL, &res, &err), DBPOOL_ESTALE);
	assert_int_equal(dbpool_lease_check(copy, &err), DBPOOL_ESTALE);
	assert_null(dbpool_conn(copy));
	dbpool_release(&copy);
	assert_int_equal(stats_of(pool).stale_releases, 1);
	assert_int_equal(stats_of(pool).stale_calls, 4);
	assert_int_equal(stats_of(pool).leased, 1);
	assert_int_equal(lease_int(again, "select 5"), 5);
	copy = again;
	dbpool_release(&again);
	close_pool(pool);
	/* after the pool is gone, too */
	assert_int_equal(dbpool_lease_check(copy, &err), DBPOOL_ESTALE);
	dbpool_release(&copy);
}

static void *
exec_slowly(void *arg)
{
	dbpool_lease *lease = arg;
	PGresult	 *res;
	dbpool_error  e = DBPOOL_ERROR_INIT;
	int			  code = dbpool_exec(*lease, 0, "select pg_sleep(0.4)", NULL, &res, &e);

	PQclear(res);
	return (void *) (intptr_t) code;
}

static void
busy_lease(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_lease copy;
	pthread_t	 thread;
	PGresult	*res;
	void		*code;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	copy = lease;
	assert_int_equal(pthread_create(&thread, NULL, exec_slowly, &copy), 0);
	assert_soon(stats_of(pool).execs == 1);
	assert_int_equal(dbpool_exec(lease, 0, "select 1", NULL, &res, &err), DBPOOL_EBUSY);
	assert_int_equal(dbpool_lease_check(lease, &err), DBPOOL_EBUSY);
	assert_null(dbpool_conn(lease));
	assert_int_equal(stats_of(pool).busy_calls, 3);
	/* released under the other thread's feet: it still gets its answer */
	dbpool_release(&lease);
	pthread_join(thread, &code);
	assert_int_equal((intptr_t) code, DBPOOL_OK);
	assert_soon(stats_of(pool).leased == 0);
	assert_int_equal(stats_of(pool).closed_discarded, 1);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	dbpool_release(&lease);
	close_pool(pool);
}

static void *
exec_for_long(void *arg)
{
	dbpool_lease *lease = arg;
	PGresult	 *res;
	dbpool_error *e = malloc(sizeof(*e));

	*e = (dbpool_error) DBPOOL_ERROR_INIT;
	(void) dbpool_exec(*lease, 0, "select pg_sleep(60)", NULL, &res, e);
	PQclear(res);
	return e;
}

/* A discard under another thread's feet ends its statement. */
static void
discard_cancels_a_running_exec(void **state)
{
	dbpool_pool	 *pool = open_pool("max", "1", "name", "discarded", NULL);
	dbpool_lease  lease = DBPOOL_LEASE_INIT;
	dbpool_lease  copy;
	dbpool_error *e;
	pthread_t	  thread;
	int64_t		  before;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	copy = lease;
	assert_int_equal(pthread_create(&thread, NULL, exec_for_long, &copy), 0);
	assert_soon(admin_int("select count(*) from pg_stat_activity where "
						  "application_name = 'discarded' and wait_event = 'PgSleep'") == 1);
	before = now_ms();
	dbpool_discard(&lease);
	pthread_join(thread, (void **) &e);
	assert_between(now_ms() - before, 0, 5000);
	assert_int_equal(e->code, DBPOOL_EQUERY);
	assert_string_equal(e->sqlstate, "57014");
	free(e);
	assert_soon(stats_of(pool).total == 0 || stats_of(pool).idle == 1);
	assert_int_equal(stats_of(pool).cancels_sent, 1);
	assert_int_equal(stats_of(pool).closed_discarded, 1);
	close_pool(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exec_round_trip),
		cmocka_unit_test(exec_large),
		cmocka_unit_test(grants_are_fifo),
		cmocka_unit_test(timeout_loses_nothing),
		cmocka_unit_test(waiters_are_bounded),
		cmocka_unit_test(waiters_being_served_are_not_bounded),
		cmocka_unit_test(threads_lose_and_exceed_nothing),
		cmocka_unit_test(stale_leases),
		cmocka_unit_test(busy_lease),
		cmocka_unit_test(discard_cancels_a_running_exec),
	};
	int failed = cmocka_run_group_tests_name("lease", tests, NULL, NULL);

	admin_forget();
	return failed;
}
