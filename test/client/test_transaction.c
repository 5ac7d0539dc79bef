/*
 * test_transaction.c
 *		Sessions that commit or roll back, and transactions that are repeated.
 */
#include "harness.h"

#include <pthread.h>
#include <unistd.h>

static dbpool_error err = DBPOOL_ERROR_INIT;

static int
setup(void **state)
{
	(void) state;
	admin_int("drop table if exists tx; create table tx (k int primary key, n int)");
	admin_int("insert into tx values (1, 0), (2, 0)");
	return 0;
}

static long
value(int k)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "select n from tx where k = %d", k);
	return admin_int(sql);
}

static int
run(dbpool_session *s, const char *sql, dbpool_error *e)
{
	PGresult *res = NULL;
	int		  code = dbpool_exec(s->lease, s->deadline, sql, NULL, &res, e);

	PQclear(res);
	return code;
}

static void
kill_backend(dbpool_session *s)
{
	char sql[80];

	snprintf(sql, sizeof(sql), "select pg_terminate_backend(%d, 2000)",
			 PQbackendPID(dbpool_conn(s->lease)));
	admin_int(sql);
}

/* ---- sessions ---- */

static void
session_commits(void **state)
{
	dbpool_pool	  *pool = open_pool("max", "1", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;

	(void) state;
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_int_equal(s.fate, DBPOOL_OPEN);
	assert_ok(run(&s, "update tx set n = 7 where k = 1", &err));
	assert_int_equal(value(1), 0);
	assert_ok(dbpool_session_commit(&s, &err));
	assert_int_equal(err.flags, 0);
	assert_int_equal(s.fate, DBPOOL_COMMITTED);
	assert_null(s.lease.pool);
	assert_int_equal(value(1), 7);
	assert_int_equal(stats_of(pool).idle, 1);
	assert_int_equal(stats_of(pool).tx_committed, 1);
	dbpool_session_end(&s); /* does nothing */
	assert_int_equal(s.fate, DBPOOL_COMMITTED);
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_EINVAL);
	/* and may be used again, with a begin of its own */
	s.begin = "begin isolation level serializable read only";
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_int_equal(lease_int(s.lease, "select (current_setting('transaction_isolation') = "
										"'serializable')::int"),
					 1);
	assert_ok(dbpool_session_commit(&s, &err));
	close_pool(pool);
}

static void
leave_scope(dbpool_pool *pool)
{
	DBPOOL_SCOPED_SESSION s = DBPOOL_SESSION_INIT;

	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_ok(run(&s, "update tx set n = 8 where k = 1", &err));
}

static void
scope_rolls_back(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);

	(void) state;
	leave_scope(pool);
	leave_scope(pool);
	assert_int_equal(value(1), 0);
	assert_int_equal(stats_of(pool).tx_aborted, 2);
	assert_int_equal(stats_of(pool).leased, 0);
	close_pool(pool);
}

static void
failed_statement_aborts(void **state)
{
	dbpool_pool	  *pool = open_pool("max", "1", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;

	(void) state;
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_ok(run(&s, "update tx set n = 8 where k = 1", &err));
	assert_int_equal(run(&s, "select 1/0", &err), DBPOOL_EQUERY);
	assert_int_equal(run(&s, "select 1", &err), DBPOOL_EQUERY); /* 25P02 */
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_EABORTED);
	assert_string_equal(err.sqlstate, "22012");
	assert_int_equal(err.flags, DBPOOL_TX_ABORTED);
	assert_int_equal(s.fate, DBPOOL_ABORTED);
	assert_int_equal(value(1), 0);
	close_pool(pool);
}

static void
failed_commit_aborts(void **state)
{
	dbpool_pool	  *pool = open_pool("max", "1", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;

	(void) state;
	admin_int("drop table if exists dk; create table dk (k int references tx deferrable initially "
			  "deferred)");
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_ok(run(&s, "insert into dk values (99)", &err));
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "23503");
	assert_true(err.flags & DBPOOL_TX_ABORTED);
	assert_int_equal(s.fate, DBPOOL_ABORTED);
	close_pool(pool);
	admin_int("drop table dk");
}

static void
lost_before_commit_is_aborted(void **state)
{
	dbpool_pool	  *pool = open_pool("max", "1", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;

	(void) state;
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_ok(run(&s, "update tx set n = 8 where k = 1", &err));
	kill_backend(&s);
	assert_int_equal(run(&s, "select 1", &err), DBPOOL_ECONNLOST);
	assert_true(err.flags & DBPOOL_OUTCOME_UNKNOWN);
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_ECONNLOST);
	assert_int_equal(s.fate, DBPOOL_ABORTED);
	assert_int_equal(err.flags, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE | DBPOOL_TX_ABORTED);
	close_pool(pool);
}

/* Lost by a COMMIT that was sent: nobody can tell from here. */
static void
lost_in_commit_is_unknown(void **state)
{
	dbpool_pool	  *pool = open_pool("max", "1", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;

	(void) state;
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_ok(run(&s, "update tx set n = 8 where k = 1", &err));
	kill_backend(&s);
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_ECONNLOST);
	assert_int_equal(s.fate, DBPOOL_UNKNOWN);
	assert_true(err.flags & DBPOOL_OUTCOME_UNKNOWN);
	assert_int_equal(stats_of(pool).tx_unknown, 1);
	close_pool(pool);
}

/* COMMIT waits in a deferred trigger: the client's deadline ends it. */
static void
deadline_holds_in_commit(void **state)
{
	dbpool_pool	  *pool = open_pool("max", "1", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;
	int64_t		   before = now_ms();

	(void) state;
	admin_int("create or replace function nap() returns trigger language plpgsql as "
			  "'begin perform pg_sleep(30); return null; end'");
	admin_int("create constraint trigger nap after update on tx deferrable initially deferred "
			  "for each row execute function nap()");
	assert_ok(dbpool_session_begin(pool, dbpool_deadline_ms(300), &s, &err));
	assert_ok(run(&s, "update tx set n = 8 where k = 1", &err));
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_ETIMEDOUT);
	assert_between(now_ms() - before, 299, 600);
	assert_int_equal(s.fate, DBPOOL_UNKNOWN);
	/* a deadline that passed before is no unknown outcome */
	assert_ok(dbpool_session_begin(pool, dbpool_deadline_ms(2000), &s, &err));
	s.deadline = dbpool_deadline_ms(0);
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_ETIMEDOUT);
	assert_int_equal(s.fate, DBPOOL_ABORTED);
	admin_int("drop trigger nap on tx");
	admin_int("drop function nap()");
	close_pool(pool);
}

static void
cancelled_replication_wait_is_told(void **state)
{
	dbpool_pool	  *pool = open_pool("name", "syncrep", "max", "1", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;

	(void) state;
	err.flags = 0;
	admin_int("alter system set synchronous_standby_names = 'nobody'");
	admin_int("select pg_reload_conf()");
	admin_int("set synchronous_commit = local");
	/* cancel it from aside, as an administrator would */
	if (fork() == 0)
	{
		PGconn *conn = PQconnectdb(dsn());

		for (int i = 0; i < 500; i++)
		{
			PGresult *res = PQexec(conn, "select count(pg_cancel_backend(pid)) from pg_stat_activity "
										 "where wait_event = 'SyncRep'");
			bool	  hit = strcmp(PQgetvalue(res, 0, 0), "1") == 0;

			PQclear(res);
			if (hit)
				break;
			sleep_ms(10);
		}
		PQfinish(conn);
		_exit(0);
	}
	/* the server takes its time to know that it has to wait */
	for (int i = 0; i < 400 && err.flags == 0; i++)
	{
		sleep_ms(10);
		assert_ok(dbpool_session_begin(pool, 0, &s, &err));
		assert_ok(run(&s, "update tx set n = 9 where k = 1", &err));
		assert_ok(dbpool_session_commit(&s, &err));
		assert_int_equal(s.fate, DBPOOL_COMMITTED);
	}
	assert_int_equal(err.flags, DBPOOL_NOT_REPLICATED);
	admin_int("alter system reset synchronous_standby_names");
	admin_int("select pg_reload_conf()");
	admin_forget();
	assert_int_equal(value(1), 9);
	close_pool(pool);
}

static void
ended_by_a_statement(void **state)
{
	dbpool_pool	  *pool = open_pool("max", "1", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;

	(void) state;
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_ok(run(&s, "update tx set n = 8 where k = 1", &err));
	assert_ok(run(&s, "commit", &err));
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_EINVAL);
	assert_int_equal(s.fate, DBPOOL_UNKNOWN);
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_ok(run(&s, "rollback", &err));
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_EINVAL);
	assert_int_equal(s.fate, DBPOOL_ABORTED);
	close_pool(pool);
}

static void
bad_sessions(void **state)
{
	dbpool_pool			 *pool = open_pool("max", "1", NULL);
	dbpool_session		  s = DBPOOL_SESSION_INIT;
	dbpool_session		  zero;

	(void) state;
	memset(&zero, 0, sizeof(zero));
	assert_int_equal(dbpool_session_begin(pool, 0, NULL, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_session_begin(pool, 0, &zero, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_session_begin(NULL, 0, &s, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_session_commit(NULL, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_EINVAL);
	dbpool_session_end(NULL);
	dbpool_session_end(&s);
	s.begin = "select 1";
	assert_int_equal(dbpool_session_begin(pool, 0, &s, &err), DBPOOL_EINVAL);
	assert_non_null(strstr(err.message, "did not begin"));
	s.begin = "bgin";
	assert_int_equal(dbpool_session_begin(pool, 0, &s, &err), DBPOOL_EQUERY);
	assert_int_equal(stats_of(pool).leased, 0);
	s.begin = NULL;
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_int_equal(dbpool_session_begin(pool, 0, &s, &err), DBPOOL_EINVAL); /* open */
	/* under way: neither committed nor given up */
	assert_int_equal(PQsendQuery(dbpool_conn(s.lease), "select pg_sleep(0.05)"), 1);
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_EBUSY);
	assert_int_equal(s.fate, DBPOOL_OPEN);
	PQclear(PQgetResult(dbpool_conn(s.lease)));
	assert_null(PQgetResult(dbpool_conn(s.lease)));
	assert_ok(dbpool_session_commit(&s, &err));
	assert_int_equal(dbpool_transaction(pool, 0, NULL, NULL, NULL, &err), DBPOOL_EINVAL);
	close_pool(pool);
}

/* All idle ones died unseen: beginning finds one that works. */
static void
begin_replaces_dead_connections(void **state)
{
	dbpool_pool	  *pool = open_pool("name", "dead", "max", "3", "min", "3",
									"validate_after_idle_ms", "60000", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;

	(void) state;
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	admin_int("select count(pg_terminate_backend(pid, 2000)) from pg_stat_activity where "
			  "application_name = 'dead'");
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_ok(dbpool_session_commit(&s, &err));
	/* fresh ones come in between */
	assert_between(s.attempts, 2, 4);
	assert_int_equal(stats_of(pool).retries, s.attempts - 1);
	close_pool(pool);
}

/* ---- transactions ---- */

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
	int	  code = run(s, "update tx set n = n + 1 where k = 1", e);

	p->calls++;
	if (code != DBPOOL_OK)
		return code;
	if (p->calls > p->fail_first)
		return p->code;
	if (strcmp(p->how, "kill") == 0)
	{
		kill_backend(s);
		return run(s, "select 1", e);
	}
	if (strcmp(p->how, "kill raw") == 0)
	{
		/* seen by the pool, though not told to it */
		kill_backend(s);
		PQclear(PQexec(dbpool_conn(s->lease), "select 1"));
		return -1;
	}
	if (strcmp(p->how, "raw") == 0)
	{
		PQclear(PQexec(dbpool_conn(s->lease),
					   "do $$ begin raise exception 'x' using errcode = '40001'; end $$"));
		return 0;
	}
	return run(s, p->how, e);
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
		assert_int_equal(value(1), i + 1);
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
	assert_int_equal(value(1), 0);
	/* half of it is committed: never again */
	assert_int_equal(dbpool_transaction(pool, 0, NULL, count_up, &ended, &err), DBPOOL_EQUERY);
	assert_int_equal(ended.calls, 1);
	assert_true(err.flags & DBPOOL_OUTCOME_UNKNOWN);
	assert_int_equal(value(1), 1);
	assert_int_equal(stats_of(pool).retries, 0);
	close_pool(pool);
}

static int
kill_before_commit(dbpool_session *s, void *arg, dbpool_error *e)
{
	int code = run(s, "update tx set n = 5 where k = 2", e);

	if (code == DBPOOL_OK && (*(int *) arg)++ == 0)
		kill_backend(s);
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
	assert_int_equal(value(2), 5);
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
	code = run(s, sql, e);
	if (code != DBPOOL_OK)
		return code;
	snprintf(sql, sizeof(sql), "update tx set n = n + 1 where k = %d", 3 - from);
	return run(s, sql, e);
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
	assert_int_equal(value(1), -2 * TRANSFERS);
	assert_int_equal(value(2), 2 * TRANSFERS);
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
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(session_commits),
		TEST(scope_rolls_back),
		TEST(failed_statement_aborts),
		TEST(failed_commit_aborts),
		TEST(lost_before_commit_is_aborted),
		TEST(lost_in_commit_is_unknown),
		TEST(deadline_holds_in_commit),
		TEST(cancelled_replication_wait_is_told),
		TEST(ended_by_a_statement),
		TEST(bad_sessions),
		TEST(begin_replaces_dead_connections),
		TEST(transaction_repeats),
		TEST(transaction_does_not_repeat),
		TEST(unknown_is_repeated_only_if_idempotent),
		TEST(attempts_and_deadline_end_it),
		TEST(retries_stay_within_budget),
		TEST(conflicts_are_solved),
		TEST(close_ends_retries),
	};
	int failed = cmocka_run_group_tests_name("transaction", tests, NULL, NULL);

	admin_forget();
	return failed;
}
