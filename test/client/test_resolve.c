/*
 * test_resolve.c
 *		Unknown outcomes that are resolved by the transaction's number, and those that
 *		must not be.
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "dbpool_outcome.h"
#include "proxy.h"

static dbpool_error err = DBPOOL_ERROR_INIT;
static proxy	   *cutter;
static dbpool_pool *pool;	/* through the proxy */
static dbpool_pool *second; /* straight to the server */

static int
set_up(void **state)
{
	(void) state;
	admin_int("set client_min_messages = warning; drop table if exists resolved; "
			  "create table resolved (i int)");
	cutter = proxy_start();
	pool = open_pool("conninfo", proxy_dsn(cutter), "max", "2", NULL);
	second = open_pool("max", "2", NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void) state;
	close_pool(pool);
	close_pool(second);
	proxy_stop(cutter);
	return 0;
}

static dbpool_session
tracked(void)
{
	dbpool_session s = DBPOOL_SESSION_INIT;

	s.flags = DBPOOL_TX_TRACK;
	return s;
}

static void
write_row(const dbpool_session *s, int i)
{
	char	  sql[64];
	PGresult *res;

	snprintf(sql, sizeof(sql), "insert into resolved values (%d)", i);
	assert_ok(dbpool_exec(s->lease, 0, sql, NULL, &res, &err));
	PQclear(res);
}

/* A transaction that writes i and whose COMMIT meets a fault; it must end unknown. */
static dbpool_ticket
lose(int i, proxy_fault fault)
{
	dbpool_session s = tracked();

	assert_ok(dbpool_session_begin(pool, dbpool_deadline_ms(2000), &s, &err));
	write_row(&s, i);
	proxy_next(cutter, fault);
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_ECONNLOST);
	assert_true((err.flags & DBPOOL_OUTCOME_UNKNOWN) != 0);
	assert_int_equal(s.fate, DBPOOL_UNKNOWN);
	assert_int_equal(s.ticket.tracked, 1);
	assert_true(s.ticket.xid > 0);
	return s.ticket;
}

static int
written(int i)
{
	char sql[80];

	snprintf(sql, sizeof(sql), "select count(*) from resolved where i = %d", i);
	return (int) admin_int(sql);
}

static void
told_apart(void **state)
{
	int			  fate;
	dbpool_ticket before = lose(1, PROXY_BEFORE);
	dbpool_ticket answer = lose(2, PROXY_ANSWER);

	(void) state;
	assert_ok(dbpool_resolve(pool, &before, dbpool_deadline_ms(3000), &fate, &err));
	assert_int_equal(fate, DBPOOL_ABORTED);
	assert_int_equal(written(1), 0);
	assert_ok(dbpool_resolve(pool, &answer, dbpool_deadline_ms(3000), &fate, &err));
	assert_int_equal(fate, DBPOOL_COMMITTED);
	assert_int_equal(written(2), 1);
	/* cut while it was on its way: either, but what was said */
	for (int i = 10; i < 40; i++)
	{
		dbpool_ticket ticket = lose(i, PROXY_AFTER);

		assert_ok(dbpool_resolve(second, &ticket, dbpool_deadline_ms(3000), &fate, &err));
		assert_int_equal(fate, written(i) == 1 ? DBPOOL_COMMITTED : DBPOOL_ABORTED);
	}
	/* a clean restart loses nothing; asked again, the answer is the same */
	admin_int("checkpoint");
	server("stop_fast");
	server("start");
	assert_ok(dbpool_resolve(second, &answer, dbpool_deadline_ms(5000), &fate, &err));
	assert_int_equal(fate, DBPOOL_COMMITTED);
}

static void
deadline_in_commit(void **state)
{
	dbpool_session s = tracked();
	int			   fate;

	(void) state;
	assert_ok(dbpool_session_begin(pool, dbpool_deadline_ms(300), &s, &err));
	write_row(&s, 3);
	proxy_next(cutter, PROXY_SILENT);
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_ETIMEDOUT);
	assert_int_equal(s.fate, DBPOOL_UNKNOWN);
	assert_ok(dbpool_resolve(second, &s.ticket, dbpool_deadline_ms(3000), &fate, &err));
	assert_int_equal(fate, DBPOOL_COMMITTED);
	assert_int_equal(written(3), 1);
}

static void *
end_soon(void *conn)
{
	sleep_ms(300);
	PQclear(PQexec(conn, "commit"));
	return NULL;
}

/* What is still running is waited for, up to the deadline. */
static void
in_progress(void **state)
{
	PGconn		  *conn = PQconnectdb(dsn());
	dbpool_session s = tracked();
	dbpool_ticket  ticket;
	PGresult	  *res;
	pthread_t	   thread;
	int			   fate = -1;

	(void) state;
	assert_ok(dbpool_session_begin(pool, 0, &s, &err));
	write_row(&s, 4);
	assert_ok(dbpool_session_commit(&s, &err));
	ticket = s.ticket;
	PQclear(PQexec(conn, "begin; insert into resolved values (5)"));
	res = PQexec(conn, "select pg_current_xact_id()");
	ticket.xid = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
	PQclear(res);
	assert_int_equal(dbpool_resolve(second, &ticket, dbpool_deadline_ms(200), &fate, &err),
					 DBPOOL_ETIMEDOUT);
	assert_int_equal(fate, DBPOOL_UNKNOWN);
	assert_non_null(strstr(err.message, "in progress"));
	assert_int_equal(pthread_create(&thread, NULL, end_soon, conn), 0);
	assert_ok(dbpool_resolve(second, &ticket, dbpool_deadline_ms(5000), &fate, &err));
	assert_int_equal(fate, DBPOOL_COMMITTED);
	pthread_join(thread, NULL);
	PQfinish(conn);
}

static int
reads_only(dbpool_session *s, void *arg, dbpool_error *e)
{
	PGresult *res;
	int		  code = dbpool_exec(s->lease, 0, "select 1", NULL, &res, e);

	(void) arg;
	PQclear(res);
	return code;
}

static void
nothing_to_resolve(void **state)
{
	dbpool_session s = tracked();
	dbpool_ticket  empty = DBPOOL_TICKET_INIT;
	int			   fate = -1;

	(void) state;
	assert_ok(dbpool_transaction(pool, 0, &s, reads_only, NULL, &err));
	assert_int_equal(s.ticket.tracked, 1);
	assert_int_equal(s.ticket.xid, 0);
	assert_ok(dbpool_resolve(pool, &s.ticket, 0, &fate, &err));
	assert_int_equal(fate, DBPOOL_COMMITTED);
	assert_int_equal(dbpool_resolve(pool, &empty, 0, &fate, &err), DBPOOL_EUNRESOLVED);
	assert_int_equal(fate, DBPOOL_UNKNOWN);
	empty.size = 1;
	assert_int_equal(dbpool_resolve(pool, &empty, 0, &fate, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_resolve(pool, NULL, 0, &fate, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_resolve(pool, &s.ticket, 0, NULL, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_resolve(NULL, &s.ticket, 0, &fate, &err), DBPOOL_EINVAL);
	/* not asked for: none */
	s.flags = 0;
	assert_ok(dbpool_transaction(pool, 0, &s, reads_only, NULL, &err));
	assert_int_equal(s.ticket.tracked, 0);
}

/* Another system under the same address. */
static void
another_system(void **state)
{
	dbpool_ticket ticket = lose(6, PROXY_ANSWER);
	int			  fate;

	(void) state;
	ticket.system_id++;
	assert_int_equal(dbpool_resolve(second, &ticket, 0, &fate, &err), DBPOOL_EUNRESOLVED);
	assert_non_null(strstr(err.message, "another database system"));
	assert_int_equal(fate, DBPOOL_UNKNOWN);
}

/* An ordinary role may do it; one from which the right was taken is told so, and nothing is done. */
static void
rights(void **state)
{
	char		   conninfo[300];
	dbpool_pool	  *theirs;
	dbpool_session s = tracked();
	int			   fate;

	(void) state;
	admin_int("drop role if exists plain; create role plain login; grant all on resolved to plain");
	snprintf(conninfo, sizeof(conninfo), "%s user=plain", dsn());
	theirs = open_pool("conninfo", conninfo, "max", "1", NULL);
	assert_ok(dbpool_session_begin(theirs, 0, &s, &err));
	write_row(&s, 7);
	assert_ok(dbpool_session_commit(&s, &err));
	assert_ok(dbpool_resolve(theirs, &s.ticket, 0, &fate, &err));
	assert_int_equal(fate, DBPOOL_COMMITTED);
	admin_int("revoke execute on function pg_control_system() from public");
	assert_ok(dbpool_session_begin(theirs, 0, &s, &err));
	write_row(&s, 8);
	assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "42501");
	assert_int_equal(err.flags, DBPOOL_TX_ABORTED);
	assert_int_equal(s.fate, DBPOOL_ABORTED);
	assert_int_equal(written(8), 0);
	admin_int("grant execute on function pg_control_system() to public");
	close_pool(theirs);
	admin_int("revoke all on resolved from plain; drop role plain");
}

/* After a crash `committed` may be another transaction's; `aborted` may not. */
static void
after_a_crash(void **state)
{
	dbpool_ticket committed = lose(50, PROXY_ANSWER);
	dbpool_ticket aborted = lose(51, PROXY_BEFORE);
	dbpool_ticket future;
	int			  fate;

	(void) state;
	server("stop");
	server("start");
	assert_int_equal(dbpool_resolve(second, &committed, dbpool_deadline_ms(5000), &fate, &err),
					 DBPOOL_EUNRESOLVED);
	assert_non_null(strstr(err.message, "crashed"));
	assert_int_equal(fate, DBPOOL_UNKNOWN);
	assert_ok(dbpool_resolve(second, &aborted, dbpool_deadline_ms(5000), &fate, &err));
	assert_int_equal(fate, DBPOOL_ABORTED);
	/* so much was lost that the number was never given out again */
	future = committed;
	future.xid += 1000000;
	assert_ok(dbpool_resolve(second, &future, dbpool_deadline_ms(5000), &fate, &err));
	assert_int_equal(fate, DBPOOL_ABORTED);
}

/* A failover: on the new timeline nothing is certain; on a standby nothing is yet. */
static void
after_a_promotion(void **state)
{
	dbpool_ticket committed = lose(60, PROXY_ANSWER);
	dbpool_ticket aborted = lose(61, PROXY_BEFORE);
	char		  path[300];
	int			  fate;
	int			  fd;

	(void) state;
	snprintf(path, sizeof(path), "%s/data/standby.signal", getenv("DBPOOL_TEST_DIR"));
	server("stop_fast");
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	assert_true(fd >= 0);
	close(fd);
	server("start");
	assert_int_equal(dbpool_resolve(second, &committed, dbpool_deadline_ms(500), &fate, &err),
					 DBPOOL_ETIMEDOUT);
	assert_non_null(strstr(err.message, "standby"));
	assert_int_equal(fate, DBPOOL_UNKNOWN);
	admin_int("select pg_promote()");
	for (int i = 0; i < 2; i++)
	{
		assert_int_equal(dbpool_resolve(second, i ? &committed : &aborted, dbpool_deadline_ms(5000),
										&fate, &err),
						 DBPOOL_EUNRESOLVED);
		assert_non_null(strstr(err.message, "timeline"));
		assert_int_equal(fate, DBPOOL_UNKNOWN);
	}
}

static int
write_and_cut(dbpool_session *s, void *arg, dbpool_error *e)
{
	(void) e;
	write_row(s, 70 + (*(int *) arg)++);
	proxy_next(cutter, *(int *) arg <= 1 ? PROXY_ANSWER : PROXY_BEFORE);
	return 0;
}

/* One ticket is kept of one unknown attempt, and none is given of two. */
static void
several_attempts(void **state)
{
	dbpool_session s = tracked();
	int			   calls = 0;
	int			   fate;

	(void) state;
	s.flags |= DBPOOL_TX_IDEMPOTENT;
	assert_int_equal(dbpool_transaction(pool, dbpool_deadline_ms(3000), &s, write_and_cut, &calls, &err),
					 DBPOOL_ECONNLOST);
	assert_true(calls > 1);
	assert_int_equal(s.fate, DBPOOL_UNKNOWN);
	assert_int_equal(dbpool_resolve(pool, &s.ticket, 0, &fate, &err), DBPOOL_EUNRESOLVED);
	s.flags = DBPOOL_TX_TRACK;
	calls = 10;
	assert_int_equal(dbpool_transaction(pool, 0, &s, write_and_cut, &calls, &err), DBPOOL_ECONNLOST);
	assert_int_equal(calls, 11);
	assert_ok(dbpool_resolve(pool, &s.ticket, 0, &fate, &err));
	assert_int_equal(fate, DBPOOL_ABORTED);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(told_apart),
		TEST(deadline_in_commit),
		TEST(in_progress),
		TEST(nothing_to_resolve),
		TEST(another_system),
		TEST(rights),
		TEST(several_attempts),
		TEST(after_a_crash),
		TEST(after_a_promotion),
	};
	int failed = cmocka_run_group_tests_name("resolve", tests, NULL, NULL);

	admin_forget();
	return failed;
}
