/*
 * test_keys.c
 *		Idempotency keys: written once, found again, and true after crashes.
 */
#include "harness.h"

#include <pthread.h>

#include "dbpool_outcome.h"
#include "proxy.h"

static dbpool_error err = DBPOOL_ERROR_INIT;
static proxy	   *cutter;
static dbpool_pool *pool; /* through the proxy */

static int
set_up(void **state)
{
	(void) state;
	admin_int("set client_min_messages = warning; drop schema if exists keys cascade; "
			  "create schema keys; create table keys.done (key text primary key); "
			  "create table keys.work (i int)");
	cutter = proxy_start();
	pool = open_pool("conninfo", proxy_dsn(cutter), "max", "3", NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void) state;
	close_pool(pool);
	proxy_stop(cutter);
	return 0;
}

/* One keyed transaction, and how it is disturbed. */
typedef struct
{
	const char *table;
	const char *key;
	proxy_fault fault; /* of the first attempt's COMMIT */
	int			calls;
	int			works;
} job;

static int
do_job(dbpool_session *s, void *arg, dbpool_error *e)
{
	job		 *j = arg;
	PGresult *res;
	int		  code = dbpool_session_key(s, j->table, j->key, e);

	j->calls++;
	if (code != DBPOOL_OK)
		return code;
	j->works++;
	code = dbpool_exec(s->lease, 0, "insert into keys.work values (1)", NULL, &res, e);
	PQclear(res);
	if (j->calls == 1)
		proxy_next(cutter, j->fault);
	return code;
}

static int
run_job(job *j, dbpool_session *s)
{
	return dbpool_transaction(pool, dbpool_deadline_ms(5000), s, do_job, j, &err);
}

static void
done_once(void **state)
{
	dbpool_session s = DBPOOL_SESSION_INIT;
	job			   j = {.table = "keys.done", .key = "order-17"};

	(void) state;
	assert_ok(run_job(&j, &s));
	assert_int_equal(s.keyed, DBPOOL_KEY_WRITTEN);
	assert_int_equal(run_job(&j, &s), DBPOOL_EDONE);
	assert_int_equal(err.flags, 0);
	assert_non_null(strstr(err.message, "order-17"));
	assert_int_equal(s.fate, DBPOOL_COMMITTED);
	assert_int_equal(s.keyed, DBPOOL_KEY_FOUND);
	assert_int_equal(j.works, 1);
	assert_int_equal(admin_int("select count(*) from keys.work"), 1);
	/* what sees a snapshot of before is repeated with a later one */
	s.begin = "begin isolation level serializable";
	assert_int_equal(run_job(&j, &s), DBPOOL_EDONE);
	j.key = "it''s 'another'";
	assert_ok(run_job(&j, &s));
	assert_int_equal(admin_int("select count(*) from keys.done"), 2);
}

/* With a key an unknown outcome is no reason to stop. */
static void
unknown_is_repeated(void **state)
{
	dbpool_session s = DBPOOL_SESSION_INIT;
	job			   committed = {.table = "keys.done", .key = "a", .fault = PROXY_ANSWER};
	job			   aborted = {.table = "keys.done", .key = "b", .fault = PROXY_BEFORE};

	(void) state;
	assert_int_equal(run_job(&committed, &s), DBPOOL_EDONE);
	assert_int_equal(s.fate, DBPOOL_COMMITTED);
	assert_int_equal(err.flags, 0);
	assert_int_equal(committed.calls, 2);
	assert_int_equal(committed.works, 1);
	assert_ok(run_job(&aborted, &s));
	assert_int_equal(s.fate, DBPOOL_COMMITTED);
	assert_int_equal(aborted.works, 2);
	assert_int_equal(admin_int("select count(*) from keys.work"), 2);
}

static void
tables_that_will_not_do(void **state)
{
	dbpool_session s = DBPOOL_SESSION_INIT;
	const struct
	{
		const char *table;
		int			code;
		const char *sqlstate;
	} cases[] = {
		{"keys.none", DBPOOL_EQUERY, "42P01"},	{"keys.work", DBPOOL_EQUERY, "42703"},
		{"keys.plain", DBPOOL_EQUERY, "42P10"}, {"keys.eaten", DBPOOL_EINVAL, ""},
		{"", DBPOOL_EINVAL, ""},				{".done", DBPOOL_EINVAL, ""},
		{"keys.", DBPOOL_EINVAL, ""},			{NULL, DBPOOL_EINVAL, ""},
		{"keys.done; drop table keys.done", DBPOOL_EQUERY, "42P01"},
	};

	(void) state;
	admin_int("create table keys.plain (key text); create table keys.eaten (key text primary key);"
			  "create function keys.eat() returns trigger language plpgsql as 'begin return null; end';"
			  "create trigger eat before insert on keys.eaten for each row execute function keys.eat()");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		job j = {.table = cases[i].table, .key = "k"};

		assert_int_equal(run_job(&j, &s), cases[i].code);
		assert_string_equal(err.sqlstate, cases[i].sqlstate);
		assert_int_equal(s.fate, DBPOOL_ABORTED);
		assert_int_equal(j.works, 0);
	}
	assert_int_equal(dbpool_session_key(&s, "keys.done", "k", &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_session_key(NULL, "keys.done", "k", &err), DBPOOL_EINVAL);
	/* names as they are */
	admin_int("create schema \"Sp ace\"; create table \"Sp ace\".\"a\"\"b.c\" (key int primary key)");
	for (int i = 0; i < 2; i++)
	{
		job j = {.table = "Sp ace.a\"b.c", .key = "7"};

		assert_int_equal(run_job(&j, &s), i == 0 ? DBPOOL_OK : DBPOOL_EDONE);
	}
	admin_int("drop schema \"Sp ace\" cascade");
}

static int
fate_of(const char *key)
{
	int fate = -1;

	assert_ok(dbpool_resolve_key(pool, "keys.done", key, dbpool_deadline_ms(5000), &fate, &err));
	return fate;
}

static void *
end_soon(void *arg)
{
	sleep_ms(300);
	PQclear(PQexec(((void **) arg)[0], ((void **) arg)[1]));
	return NULL;
}

static void
resolved_by_key(void **state)
{
	dbpool_session s = DBPOOL_SESSION_INIT;
	PGconn		  *conn = PQconnectdb(dsn());
	const char	  *ends[] = {"commit", "rollback"};
	int			   fate;

	(void) state;
	for (int i = 0; i < 2; i++)
	{
		assert_ok(dbpool_session_begin(pool, 0, &s, &err));
		assert_ok(dbpool_session_key(&s, "keys.done", i ? "kept" : "lost", &err));
		proxy_next(cutter, i ? PROXY_ANSWER : PROXY_BEFORE);
		assert_int_equal(dbpool_session_commit(&s, &err), DBPOOL_ECONNLOST);
		assert_int_equal(s.fate, DBPOOL_UNKNOWN);
		assert_int_equal(fate_of(i ? "kept" : "lost"), i ? DBPOOL_COMMITTED : DBPOOL_ABORTED);
	}
	/* one under way is waited for, however it ends */
	for (int i = 0; i < 2; i++)
	{
		void	 *args[] = {conn, (void *) (uintptr_t) ends[i]};
		pthread_t thread;

		PQclear(PQexec(conn, i ? "begin; insert into keys.done values ('rolled back')"
							   : "begin; insert into keys.done values ('committed')"));
		assert_int_equal(dbpool_resolve_key(pool, "keys.done", i ? "rolled back" : "committed",
											dbpool_deadline_ms(100), &fate, &err),
						 DBPOOL_ETIMEDOUT);
		assert_int_equal(fate, DBPOOL_UNKNOWN);
		assert_int_equal(pthread_create(&thread, NULL, end_soon, args), 0);
		assert_int_equal(fate_of(i ? "rolled back" : "committed"),
						 i ? DBPOOL_ABORTED : DBPOOL_COMMITTED);
		pthread_join(thread, NULL);
	}
	PQfinish(conn);
	/* a look leaves nothing */
	assert_int_equal(admin_int("select count(*) from keys.done"), 2);
	/* where a number cannot tell */
	server("stop");
	server("start");
	assert_int_equal(fate_of("kept"), DBPOOL_COMMITTED);
	assert_int_equal(fate_of("lost"), DBPOOL_ABORTED);
	assert_int_equal(dbpool_resolve_key(pool, "keys.none", "k", 0, &fate, &err), DBPOOL_EQUERY);
	assert_int_equal(fate, DBPOOL_UNKNOWN);
	assert_int_equal(dbpool_resolve_key(pool, "keys.done", "k", 0, NULL, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_resolve_key(pool, "keys.done", NULL, 0, &fate, &err), DBPOOL_EINVAL);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(done_once),
		TEST(unknown_is_repeated),
		TEST(tables_that_will_not_do),
		TEST(resolved_by_key),
	};
	int failed = cmocka_run_group_tests_name("keys", tests, NULL, NULL);

	admin_forget();
	return failed;
}
