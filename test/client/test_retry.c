/*
 * test_retry.c
 *		Transactions that are repeated: when, how often, until when.
 */
#include "harness.h"

#include <pthread.h>
#include <unistd.h>

static dbpool_error err = DBPOOL_ERROR_INIT;

typedef struct
{
	int			calls;
	int			fail_first; /* that many */
	const char *how;
	int			code;
} plan;

static int
count_up(dbpool_session *s, void *arg, dbpool_error *e)
{
	plan *p = arg;
	int	  code = session_run(s, "update tx set n = n + 1 where k = 1", e);

	p->calls++;
	if (code != DBPOOL_OK)
		return code;
	if (p->calls > p->fail_first)
		return p->code;
	if (strcmp(p->how, "kill") == 0)
	{
		session_kill(s);
		return session_run(s, "select 1", e);
	}
	if (strcmp(p->how, "kill raw") == 0)
	{
		/* seen by the pool, though not told to it */
		session_kill(s);
		PQclear(PQexec(dbpool_conn(s->lease), "select 1"));
		return -1;
	}
	if (strcmp(p->how, "raw") == 0)
	{
		PQclear(PQexec(dbpool_conn(s->lease),
					   "do $$ begin raise exception 'x' using errcode = '40001'; end $$"));
		return 0;
	}
	return session_run(s, p->how, e);
}

#define RAISE(code) "do $$ begin raise exception 'no' using errcode = '" code "'; end $$"

static void
transaction_repeats(void **state)
{
	dbpool_pool	  *pool = open_pool("max", "2", NULL);
	const char	  *hows[] = {"kill", "kill raw", "raw", RAISE("40001"), RAISE("40P01")};

	(void) state;
	for (int i = 0; i < 5; i++)
	{
		dbpool_session s = DBPOOL_SESSION_INIT;
		plan		   p = {.fail_first = 1, .how = hows[i]};

		assert_ok(dbpool_transaction(pool, 0, &s, count_up, &p, &err));
		assert_int_equal(p.calls, 2);
		assert_int_equal(s.attempts, 2);
		assert_int_equal(s.fate, DBPOOL_COMMITTED);
		assert_int_equal(tx_value(1), i + 1);
	}
	assert_int_equal(stats_of(pool).retries, 5);
	close_pool(pool);
}

static void
transaction_does_not_repeat(void **state)
{
	dbpool_pool *pool = open_pool("max", "2", NULL);
	plan		 constraint = {.fail_first = 9, .how = RAISE("23505")};
	plan		 own = {.code = -7};
	plan		 ended = {.fail_first = 9, .how = "commit; " RAISE("40001")};

	(void) state;
	assert_int_equal(dbpool_transaction(pool, 0, NULL, count_up, &constraint, &err), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "23505");
	assert_true(err.flags & DBPOOL_TX_ABORTED);
	assert_int_equal(constraint.calls, 1);
	assert_int_equal(dbpool_transaction(pool, 0, NULL, count_up, &own, &err), -7);
	assert_int_equal(err.code, DBPOOL_EABORTED);
	assert_int_equal(tx_value(1), 0);
	/* half of it is committed: never again */
	assert_int_equal(dbpool_transaction(pool, 0, NULL, count_up, &ended, &err), DBPOOL_EQUERY);
	assert_int_equal(ended.calls, 1);
	assert_true(err.flags & DBPOOL_OUTCOME_UNKNOWN);
	assert_int_equal(tx_value(1), 1);
	assert_int_equal(stats_of(pool).retries, 0);
	close_pool(pool);
}

static int
kill_before_commit(dbpool_session *s, void *arg, dbpool_error *e)
{
	int code = session_run(s, "update tx set n = 5 where k = 2", e);

	if (code == DBPOOL_OK && (*(int *) arg)++ == 0)
		session_kill(s);
	return code;
}

static void
unknown_is_repeated_only_if_idempotent(void **state)
{
	dbpool_pool	  *pool = open_pool("max", "2", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;
	int			   calls = 0;

	(void) state;
	assert_int_equal(dbpool_transaction(pool, 0, &s, kill_before_commit, &calls, &err),
					 DBPOOL_ECONNLOST);
	assert_int_equal(calls, 1);
	assert_int_equal(s.fate, DBPOOL_UNKNOWN);
	assert_true(err.flags & DBPOOL_OUTCOME_UNKNOWN);
	calls = 0;
	s.flags = DBPOOL_TX_IDEMPOTENT;
	assert_ok(dbpool_transaction(pool, 0, &s, kill_before_commit, &calls, &err));
	assert_int_equal(calls, 2);
	assert_int_equal(s.fate, DBPOOL_COMMITTED);
	assert_int_equal(tx_value(2), 5);
	close_pool(pool);
}

static void
attempts_and_deadline_end_it(void **state)
{
	dbpool_pool	  *pool = open_pool("max", "2", "retry_attempts", "3", "retry_percent", "1000", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;
	plan		   p = {.fail_first = 1000, .how = RAISE("40001")};
	plan		   slow = {.fail_first = 1000, .how = "select pg_sleep(30)"};
	int64_t		   before;

	(void) state;
	assert_int_equal(dbpool_transaction(pool, 0, &s, count_up, &p, &err), DBPOOL_EQUERY);
	assert_int_equal(p.calls, 3);
	assert_string_equal(err.sqlstate, "40001");
	assert_int_equal(err.flags, DBPOOL_RETRYABLE | DBPOOL_TX_ABORTED);
	before = now_ms();
	assert_int_equal(dbpool_transaction(pool, dbpool_deadline_ms(200), &s, count_up, &slow, &err),
					 DBPOOL_ETIMEDOUT);
	assert_between(now_ms() - before, 199, 500);
	assert_int_equal(slow.calls, 1);
	assert_int_equal(s.fate, DBPOOL_ABORTED);
	assert_false(err.flags & DBPOOL_OUTCOME_UNKNOWN);
	close_pool(pool);
}

static void *
hold(void *arg)
{
	dbpool_lease lease = DBPOOL_LEASE_INIT;

	if (dbpool_acquire(arg, dbpool_deadline_ms(5000), &lease, NULL) != DBPOOL_OK)
		abort();
	sleep_ms(3000);
	dbpool_release(&lease);
	return NULL;
}

typedef struct
{
	dbpool_pool *pool;
	pthread_t	 holder;
} robbery;

/* Fails, and somebody else stands in the queue for its connection. */
static int
fail_and_be_robbed(dbpool_session *s, void *arg, dbpool_error *e)
{
	robbery *r = arg;

	if (pthread_create(&r->holder, NULL, hold, r->pool) != 0)
		abort();
	while (stats_of(r->pool).waiting == 0)
		sleep_ms(1);
	return session_run(s, RAISE("40001"), e);
}

/* By default a transaction has exec_timeout_ms, all its acquires included. */
static void
default_deadline_cuts_acquires(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", "exec_timeout_ms", "400", "acquire_timeout_ms", "10000",
								  "retry_percent", "1000", NULL);
	robbery		 r = {.pool = pool};
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_session s = DBPOOL_SESSION_INIT;
	int64_t		 before;

	(void) state;
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	before = now_ms();
	assert_int_equal(dbpool_transaction(pool, 0, NULL, fail_and_be_robbed, &r, &err),
					 DBPOOL_ETIMEDOUT);
	assert_between(now_ms() - before, 350, 2000);
	pthread_join(r.holder, NULL);
	/* the first acquire too */
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	before = now_ms();
	assert_int_equal(dbpool_session_begin(pool, 0, &s, &err), DBPOOL_ETIMEDOUT);
	assert_between(now_ms() - before, 350, 2000);
	dbpool_release(&lease);
	close_pool(pool);
}

/* Everything fails: the server gets 1.1 times the transactions. */
static void
retries_stay_within_budget(void **state)
{
	dbpool_pool *pool = open_pool("max", "2", NULL);
	plan		 p = {.fail_first = 100000, .how = RAISE("40001")};

	(void) state;
	for (int i = 0; i < 300; i++)
		assert_int_equal(dbpool_transaction(pool, 0, NULL, count_up, &p, &err), DBPOOL_EQUERY);
	assert_between(p.calls, 320, 330);
	assert_int_equal(stats_of(pool).retries, p.calls - 300);
	assert_true(stats_of(pool).retries_denied > 200);
	close_pool(pool);
}

/* Two transfer in opposite directions at serializable: conflicts, and none lost. */
#define TRANSFERS 150

static int
transfer(dbpool_session *s, void *arg, dbpool_error *e)
{
	char  sql[128];
	int	  from = *(int *) arg;
	int	  code;

	snprintf(sql, sizeof(sql), "update tx set n = n - 1 where k = %d", from);
	code = session_run(s, sql, e);
	if (code != DBPOOL_OK)
		return code;
	snprintf(sql, sizeof(sql), "update tx set n = n + 1 where k = %d", 3 - from);
	return session_run(s, sql, e);
}

static void *
transfer_many(void *arg)
{
	dbpool_pool *pool = ((void **) arg)[0];
	int			 from = (int) (intptr_t) ((void **) arg)[1];
	intptr_t	 done = 0;

	for (int i = 0; i < TRANSFERS; i++)
	{
		dbpool_session s = DBPOOL_SESSION_INIT;
		dbpool_error   e = DBPOOL_ERROR_INIT;

		s.begin = "begin isolation level serializable";
		done += dbpool_transaction(pool, 0, &s, transfer, &from, &e) == DBPOOL_OK;
	}
	return (void *) done;
}

static void
conflicts_are_solved(void **state)
{
	dbpool_pool *pool = open_pool("max", "4", "retry_percent", "1000", "retry_attempts", "100", NULL);
	void		*args[4][2] = {{pool, (void *) 1}, {pool, (void *) 2}, {pool, (void *) 1},
							   {pool, (void *) 1}};
	pthread_t	 threads[4];

	(void) state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, transfer_many, args[i]), 0);
	for (int i = 0; i < 4; i++)
	{
		void *done;

		pthread_join(threads[i], &done);
		assert_int_equal((intptr_t) done, TRANSFERS);
	}
	assert_int_equal(tx_value(1), -2 * TRANSFERS);
	assert_int_equal(tx_value(2), 2 * TRANSFERS);
	assert_true(stats_of(pool).retries > 0);
	assert_int_equal(stats_of(pool).tx_committed, 4 * TRANSFERS);
	close_pool(pool);
}

static void *
close_soon(void *pool)
{
	sleep_ms(100);
	(void) dbpool_close(pool, dbpool_deadline_ms(3000), NULL);
	return NULL;
}

/* Closing the pool ends the pause between two attempts. */
static void
close_ends_retries(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", "retry_percent", "1000", "retry_attempts", "100", NULL);
	plan		 p = {.fail_first = 1000, .how = RAISE("40001")};
	pthread_t	 thread;
	int64_t		 before = now_ms();

	(void) state;
	assert_int_equal(pthread_create(&thread, NULL, close_soon, pool), 0);
	while (dbpool_transaction(pool, 0, NULL, count_up, &p, &err) == DBPOOL_EQUERY)
		continue;
	assert_int_equal(err.code, DBPOOL_ECLOSED);
	assert_between(now_ms() - before, 0, 2000);
	pthread_join(thread, NULL);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, tx_setup)
	const struct CMUnitTest tests[] = {
		TEST(transaction_repeats),
		TEST(transaction_does_not_repeat),
		TEST(unknown_is_repeated_only_if_idempotent),
		TEST(attempts_and_deadline_end_it),
		TEST(default_deadline_cuts_acquires),
		TEST(retries_stay_within_budget),
		TEST(conflicts_are_solved),
		TEST(close_ends_retries),
	};
	int failed = cmocka_run_group_tests_name("retry", tests, NULL, NULL);

	admin_forget();
	return failed;
}
