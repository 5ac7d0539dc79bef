/*
 * test_close.c
 *		A pool's end, its numbers, and its life after fork.
 */
#include "harness.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static dbpool_error err = DBPOOL_ERROR_INIT;

static void *
wait_for_one(void *arg)
{
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	int			 code = dbpool_acquire(arg, dbpool_deadline_ms(10000), &lease, NULL);

	dbpool_release(&lease);
	return (void *) (intptr_t) code;
}

static void
close_reports_leaks(void **state)
{
	dbpool_pool		 *pool = open_pool("name", "leaky", "max", "2", NULL);
	dbpool_lease	  lease = DBPOOL_LEASE_INIT;
	dbpool_lease_info info = DBPOOL_LEASE_INFO_INIT;
	dbpool_stats	  stats = DBPOOL_STATS_INIT;
	uint32_t		  cursor = 0;
	PGresult		 *res;
	char			  expected[1024];
	int				  line;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err)); line = __LINE__;
	sleep_ms(30);
	assert_ok(dbpool_lease_next(pool, &cursor, &info, &err));
	assert_string_equal(info.file, __FILE__);
	assert_int_equal(info.line, line);
	assert_int_equal(info.backend_pid, PQbackendPID(dbpool_conn(lease)));
	assert_between(info.age_ms, 20, 2000);
	assert_int_equal(dbpool_lease_next(pool, &cursor, &info, &err), DBPOOL_EEND);
	assert_true(stats_of(pool).oldest_lease_ms >= 20);

	assert_int_equal(dbpool_close(pool, dbpool_deadline_ms(50), &err), DBPOOL_ELEAKED);
	snprintf(expected, sizeof(expected), "%s:%d (", __FILE__, line);
	assert_non_null(strstr(err.message, expected));
	assert_non_null(strstr(err.message, "1 lease was not released"));
	/* the handle is dead, the lease is not */
	assert_int_equal(dbpool_close(pool, 0, &err), DBPOOL_ECLOSED);
	assert_int_equal(dbpool_pool_stats(pool, &stats, &err), DBPOOL_ECLOSED);
	assert_int_equal(lease_int(lease, "select 6"), 6);
	assert_int_equal(dbpool_exec(lease, dbpool_deadline_ms(20), "select pg_sleep(0.2)", NULL, &res,
								 &err),
					 DBPOOL_ETIMEDOUT);
	dbpool_release(&lease);
	assert_soon(admin_int("select count(*) from pg_stat_activity where "
						  "application_name = 'leaky'") == 0);
}

/* A deadline before the clock's begin has passed, as any other of the past. */
static void
negative_deadlines_have_passed(void **state)
{
	dbpool_pool *pool;
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	char		 conninfo[512];

	(void) state;
	admin_int("drop role if exists lonely; create role lonely login connection limit 1");
	snprintf(conninfo, sizeof(conninfo), "%s user=lonely", dsn());
	pool = open_pool("conninfo", conninfo, "min", "2", "max", "2", NULL);
	assert_soon(stats_of(pool).idle == 1);
	assert_int_equal(dbpool_wait_ready(pool, -5, &err), DBPOOL_ETIMEDOUT);
	assert_non_null(strstr(err.message, "1 of 2 connections ready"));
	assert_int_equal(dbpool_acquire(pool, INT64_MIN, &lease, &err), DBPOOL_OK);
	assert_int_equal(dbpool_close(pool, -7, &err), DBPOOL_ELEAKED);
	dbpool_release(&lease);
	assert_soon(admin_int("select count(*) from pg_stat_activity where usename = 'lonely'") == 0);
}

static void *
wait_until_ready(void *arg)
{
	return (void *) (intptr_t) dbpool_wait_ready(arg, dbpool_deadline_ms(20000), NULL);
}

/* Who waits for the minimum learns of the close, however soon the next pool opens. */
static void
close_ends_wait_ready(void **state)
{
	char	  conninfo[512];
	pthread_t thread[4];

	(void) state;
	admin_int("drop role if exists lonely; create role lonely login connection limit 1");
	snprintf(conninfo, sizeof(conninfo), "%s user=lonely", dsn());
	for (int round = 0; round < 10; round++)
	{
		dbpool_pool *pool = open_pool("conninfo", conninfo, "min", "2", "max", "2", NULL);
		dbpool_pool *next;
		int64_t		 before;

		assert_soon(stats_of(pool).idle == 1);
		for (int i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&thread[i], NULL, wait_until_ready, pool), 0);
		assert_soon(stats_of(pool).acquired == 4 && stats_of(pool).idle == 1);
		sleep_ms(10);
		assert_ok(dbpool_close(pool, dbpool_deadline_ms(3000), &err));
		/* asks for what it never gets, too */
		next = open_pool("conninfo", conninfo, "min", "2", "max", "2", NULL);
		before = now_ms();
		for (int i = 0; i < 4; i++)
		{
			void *code;

			pthread_join(thread[i], &code);
			assert_int_equal((intptr_t) code, DBPOOL_ECLOSED);
		}
		assert_between(now_ms() - before, 0, 2000);
		close_pool(next);
	}
}

static void *
close_with_patience(void *arg)
{
	return (void *) (intptr_t) dbpool_close(arg, dbpool_deadline_ms(10000), NULL);
}

static void
close_waits_and_ends_waiters(void **state)
{
	pthread_t	 closer;
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_lease more = DBPOOL_LEASE_INIT;
	pthread_t	 thread;
	void		*code;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_equal(pthread_create(&thread, NULL, wait_for_one, pool), 0);
	assert_soon(stats_of(pool).waiting == 1);
	assert_int_equal(pthread_create(&closer, NULL, close_with_patience, pool), 0);
	pthread_join(thread, &code);
	assert_int_equal((intptr_t) code, DBPOOL_ECLOSED);
	assert_int_equal(dbpool_acquire(pool, 0, &more, &err), DBPOOL_ECLOSED);
	/* refused is the server's word, not ours */
	assert_int_equal(stats_of(pool).refused, 0);
	dbpool_release(&lease);
	pthread_join(closer, &code);
	assert_int_equal((intptr_t) code, DBPOOL_OK);
}

static void *
release_later(void *arg)
{
	sleep_ms(150);
	dbpool_release(arg);
	return NULL;
}

static void
close_is_graceful(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	pthread_t	 thread;
	int64_t		 before = now_ms();

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_equal(pthread_create(&thread, NULL, release_later, &lease), 0);
	assert_ok(dbpool_close(pool, dbpool_deadline_ms(5000), &err));
	assert_between(now_ms() - before, 140, 3000);
	pthread_join(thread, NULL);
}

static void
open_and_close_many(void **state)
{
	(void) state;
	for (int i = 0; i < 30; i++)
	{
		dbpool_pool *pool = open_pool("min", i % 2 ? "2" : "0", "max", "3", NULL);

		if (i % 3 == 0)
			assert_ok(dbpool_wait_ready(pool, 0, &err));
		close_pool(pool); /* also while connecting */
	}
	assert_int_equal(
		admin_int("select count(*) from pg_stat_activity where application_name = 'dbpool'"), 0);
}

static void
stats_size_is_checked(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	struct
	{
		dbpool_stats stats;
		uint64_t	 newer;
	} larger = {.stats.size = sizeof(larger), .newer = 77};
	dbpool_stats small = {.size = 16};

	(void) state;
	assert_int_equal(dbpool_pool_stats(pool, &small, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_pool_stats(pool, NULL, &err), DBPOOL_EINVAL);
	assert_ok(dbpool_pool_stats(pool, &larger.stats, &err));
	assert_int_equal(larger.stats.size, sizeof(dbpool_stats));
	assert_int_equal(larger.stats.max, 1);
	assert_int_equal(larger.newer, 77);
	close_pool(pool);
}

static void
forked_child_keeps_out(void **state)
{
	dbpool_pool *pool = open_pool("max", "2", "min", "2", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	int			 status;
	pid_t		 child;
	long		 pid;

	(void) state;
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	pid = lease_int(lease, "select pg_backend_pid()");
	child = fork();
	if (child == 0)
	{
		dbpool_lease other = DBPOOL_LEASE_INIT;
		dbpool_stats stats = DBPOOL_STATS_INIT;
		PGresult	*res;
		int			 wrong = 0;

		wrong += dbpool_acquire(pool, 0, &other, NULL) != DBPOOL_EFORK;
		wrong += dbpool_exec(lease, 0, "select 1", NULL, &res, NULL) != DBPOOL_EFORK;
		wrong += dbpool_conn(lease) != NULL;
		wrong += dbpool_lease_check(lease, NULL) != DBPOOL_EFORK;
		wrong += dbpool_pool_stats(pool, &stats, NULL) != DBPOOL_EFORK;
		wrong += dbpool_evict(pool, NULL) != DBPOOL_EFORK;
		wrong += dbpool_wait_ready(pool, 0, NULL) != DBPOOL_EFORK;
		dbpool_release(&lease);
		wrong += lease.pool != NULL;
		wrong += dbpool_close(pool, 0, NULL) != DBPOOL_EFORK;
		_exit(wrong);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	/* our sessions are still the same */
	assert_int_equal(lease_int(lease, "select pg_backend_pid()"), pid);
	dbpool_release(&lease);
	assert_int_equal(stats_of(pool).connects_ok, 2);
	for (int i = 0; i < 4; i++)
	{
		assert_ok(dbpool_acquire(pool, 0, &lease, &err));
		assert_int_equal(lease_int(lease, "select 7"), 7);
		dbpool_release(&lease);
	}
	assert_int_equal(stats_of(pool).connects_ok, 2);
	close_pool(pool);
}

#ifndef __SANITIZE_THREAD__ /* it does not allow threads after a fork */
static void
forked_child_has_its_own(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	int			 status;
	pid_t		 child;

	(void) state;
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	child = fork();
	if (child == 0)
	{
		dbpool_pool *own = open_pool("max", "1", NULL);
		dbpool_lease lease = DBPOOL_LEASE_INIT;

		if (dbpool_acquire(own, 0, &lease, NULL) != DBPOOL_OK)
			_exit(1);
		dbpool_release(&lease);
		_exit(dbpool_close(own, 0, NULL));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close_pool(pool);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_reports_leaks),
		cmocka_unit_test(negative_deadlines_have_passed),
		cmocka_unit_test(close_ends_wait_ready),
		cmocka_unit_test(close_waits_and_ends_waiters),
		cmocka_unit_test(close_is_graceful),
		cmocka_unit_test(open_and_close_many),
		cmocka_unit_test(stats_size_is_checked),
		cmocka_unit_test(forked_child_keeps_out),
#ifndef __SANITIZE_THREAD__
		cmocka_unit_test(forked_child_has_its_own),
#endif
	};
	int failed = cmocka_run_group_tests_name("close", tests, NULL, NULL);

	admin_forget();
	return failed;
}
