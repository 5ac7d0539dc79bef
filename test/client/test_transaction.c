/*
 * test_transaction.c
 *		Sessions that commit or roll back.
 */
#include "harness.h"

#include <pthread.h>
#include <unistd.h>

static dbpool_error err = DBPOOL_ERROR_INIT;

static void
session_commits(void **state)
{
	dbpool_pool	  *pool = open_pool("max", "1", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;

	(void) state;
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_int_equal(s.fate, DBPOOL_OPEN);
	assert_ok(session_run(&s, "update tx set n = 7 where k = 1", &err));
	assert_int_equal(tx_value(1), 0);
	assert_ok(dbpool_session_commit(&s, &err));
	assert_int_equal(err.flags, 0);
	assert_int_equal(s.fate, DBPOOL_COMMITTED);
	assert_null(s.lease.pool);
	assert_int_equal(tx_value(1), 7);
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
	assert_ok(session_run(&s, "update tx set n = 8 where k = 1", &err));
}

static void
scope_rolls_back(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);

	(void) state;
	leave_scope(pool);
	leave_scope(pool);
	assert_int_equal(tx_value(1), 0);
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
	assert_ok(session_run(&s, "update tx set n = 8 where k = 1", &err));
	assert_int_equal(session_run(&s, "select 1/0", &err), DBPOOL_EQUERY);
	assert_int_equal(session_run(&s, "select 1", &err), DBPOOL_EQUERY); /* 25P02 */
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_EABORTED);
	assert_string_equal(err.sqlstate, "22012");
	assert_int_equal(err.flags, DBPOOL_TX_ABORTED);
	assert_int_equal(s.fate, DBPOOL_ABORTED);
	assert_int_equal(tx_value(1), 0);
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
	assert_ok(session_run(&s, "insert into dk values (99)", &err));
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
	assert_ok(session_run(&s, "update tx set n = 8 where k = 1", &err));
	session_kill(&s);
	assert_int_equal(session_run(&s, "select 1", &err), DBPOOL_ECONNLOST);
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
	assert_ok(session_run(&s, "update tx set n = 8 where k = 1", &err));
	session_kill(&s);
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
	assert_ok(session_run(&s, "update tx set n = 8 where k = 1", &err));
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
		assert_ok(session_run(&s, "update tx set n = 9 where k = 1", &err));
		assert_ok(dbpool_session_commit(&s, &err));
		assert_int_equal(s.fate, DBPOOL_COMMITTED);
	}
	assert_int_equal(err.flags, DBPOOL_NOT_REPLICATED);
	admin_int("alter system reset synchronous_standby_names");
	admin_int("select pg_reload_conf()");
	admin_forget();
	assert_int_equal(tx_value(1), 9);
	close_pool(pool);
}

static void
ended_by_a_statement(void **state)
{
	dbpool_pool	  *pool = open_pool("max", "1", NULL);
	dbpool_session s = DBPOOL_SESSION_INIT;

	(void) state;
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_ok(session_run(&s, "update tx set n = 8 where k = 1", &err));
	assert_ok(session_run(&s, "commit", &err));
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_EINVAL);
	assert_int_equal(s.fate, DBPOOL_UNKNOWN);
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	assert_ok(session_run(&s, "rollback", &err));
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

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, tx_setup)
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
	};
	int failed = cmocka_run_group_tests_name("transaction", tests, NULL, NULL);

	admin_forget();
	return failed;
}
