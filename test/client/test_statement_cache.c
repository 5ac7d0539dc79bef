/*
 * test_statement_cache.c
 *		Statements that dbpool_exec prepares by itself, against a real server.
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>

static dbpool_error err = DBPOOL_ERROR_INIT;

static dbpool_params
params_of(const char *const *values, int n)
{
	return (dbpool_params) {.size = sizeof(dbpool_params), .n = n, .values = values};
}

/* Run with one text parameter, or none if value is NULL; the code, and the first field if there is a buffer. */
static int
run_to(dbpool_lease lease, const char *sql, const char *value, char *buffer, size_t size)
{
	const char	 *values[1] = {value};
	dbpool_params params = params_of(values, value != NULL ? 1 : 0);
	PGresult	 *res = NULL;
	int			  code = dbpool_exec(lease, dbpool_deadline_ms(10000), sql, &params, &res, &err);

	if (buffer != NULL)
		snprintf(buffer, size, "%s", PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
	PQclear(res);
	return code;
}

static int
run(dbpool_lease lease, const char *sql, const char *value)
{
	return run_to(lease, sql, value, NULL, 0);
}

static void
run_times(dbpool_lease lease, const char *sql, const char *value, int times)
{
	for (int i = 0; i < times; i++)
		assert_ok(run(lease, sql, value));
}

/* Statements of the library that the server has prepared on this connection. */
static long
prepared_on(dbpool_lease lease)
{
	return lease_int(lease, "select count(*) from pg_prepared_statements where name like 'dbpool\\_%'");
}

static void
prepared_at_the_threshold(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", "prepare_threshold", "3", NULL);
	dbpool_lease lease = lease_of(pool);
	char		 text[32];

	(void) state;
	run_times(lease, "select $1::int + 1", "41", 2);
	assert_int_equal(prepared_on(lease), 0);
	run_times(lease, "select $1::int + 1", "41", 1);
	assert_int_equal(prepared_on(lease), 1);
	for (int i = 0; i < 10; i++)
	{
		char value[16];

		snprintf(value, sizeof(value), "%d", i);
		assert_ok(run_to(lease, "select $1::int + 1", value, text, sizeof(text)));
		assert_int_equal(atoi(text), i + 1);
	}
	/* without parameters, but through the same door */
	run_times(lease, "select 1", NULL, 5);
	assert_int_equal(prepared_on(lease), 2);
	assert_int_equal(stats_of(pool).statements, 2);
	assert_int_equal(stats_of(pool).statements_prepared, 2);
	assert_int_equal(stats_of(pool).statement_hits, 12);
	assert_true(stats_of(pool).statement_bytes > 0);
	/* nothing that the next borrower need be spared: no reset, and they stay */
	dbpool_release(&lease);
	lease = lease_of(pool);
	assert_int_equal(prepared_on(lease), 2);
	run_times(lease, "select 1", NULL, 1);
	assert_int_equal(stats_of(pool).statement_hits, 13);
	assert_int_equal(stats_of(pool).resets, 0);
	dbpool_release(&lease);
	close_pool(pool);
}

static void
never_if_told_so(void **state)
{
	const char *const options[][2] = {{"prepare_threshold", "0"}, {"pooler", "transaction"}};
	dbpool_pool		 *pool;
	dbpool_lease	  lease;

	(void) state;
	for (int i = 0; i < 2; i++)
	{
		pool = open_pool("max", "1", options[i][0], options[i][1], NULL);
		lease = lease_of(pool);
		run_times(lease, "select $1::int", "1", 20);
		assert_int_equal(prepared_on(lease), 0);
		assert_int_equal(stats_of(pool).statements_prepared, 0);
		dbpool_release(&lease);
		close_pool(pool);
	}
	/* what has no params may be several statements, so it goes as it is */
	pool = open_pool("max", "1", "prepare_threshold", "1", NULL);
	lease = lease_of(pool);
	assert_int_equal(lease_int(lease, "select 1; select 2"), 2);
	assert_int_equal(stats_of(pool).statements_prepared, 0);
	dbpool_release(&lease);
	close_pool(pool);
}

static void
types_and_formats(void **state)
{
	dbpool_pool	 *pool = open_pool("max", "1", "prepare_threshold", "1", NULL);
	dbpool_lease  lease = lease_of(pool);
	const Oid	  types[] = {23, 25};
	const char	 *names[] = {"integer", "text"};
	const char	  number[4] = {0, 0, 1, 2};
	const char	 *values[] = {"7"};
	const char	 *binary[] = {number};
	const int	  lengths[] = {sizeof(number)};
	const int	  formats[] = {1};
	dbpool_params params = params_of(values, 1);
	PGresult	 *res;

	(void) state;
	for (int i = 0; i < 4; i++)
	{
		params.types = &types[i % 2];
		assert_ok(dbpool_exec(lease, 0, "select pg_typeof($1)::text", &params, &res, &err));
		assert_string_equal(PQgetvalue(res, 0, 0), names[i % 2]);
		PQclear(res);
	}
	assert_int_equal(prepared_on(lease), 2);
	/* an SQL null, binary both ways, and text again by the same statement */
	params = params_of((const char *[]) {NULL}, 1);
	assert_ok(dbpool_exec(lease, 0, "select $1::int", &params, &res, &err));
	assert_int_equal(PQgetisnull(res, 0, 0), 1);
	PQclear(res);
	params.values = binary;
	params.lengths = lengths;
	params.formats = formats;
	params.result_format = 1;
	assert_ok(dbpool_exec(lease, 0, "select $1::int", &params, &res, &err));
	assert_int_equal(PQgetlength(res, 0, 0), 4);
	assert_memory_equal(PQgetvalue(res, 0, 0), number, 4);
	PQclear(res);
	assert_ok(run(lease, "select $1::int", "5"));
	assert_int_equal(prepared_on(lease), 3);
	dbpool_release(&lease);
	close_pool(pool);
}

static void
new_table(void)
{
	admin_int("set client_min_messages = warning; drop table if exists cached; "
			  "create table cached (a int); insert into cached values (1)");
}

static void
ddl_elsewhere(void **state)
{
	dbpool_pool *pool = open_pool("max", "2", "prepare_threshold", "1", NULL);
	dbpool_lease one = lease_of(pool);
	dbpool_lease two = lease_of(pool);
	const char	*values[] = {"1"};
	dbpool_params params = params_of(values, 1);
	PGresult	*res;

	(void) state;
	new_table();
	run_times(one, "select * from cached where a = $1", "1", 2);
	run_times(two, "select * from cached where a = $1", "1", 2);
	admin_int("alter table cached add b text default 'new'");
	assert_ok(dbpool_exec(one, 0, "select * from cached where a = $1", &params, &res, &err));
	assert_int_equal(PQnfields(res), 2);
	assert_string_equal(PQgetvalue(res, 0, 1), "new");
	PQclear(res);
	assert_int_equal(stats_of(pool).statement_invalidations, 1);
	assert_int_equal(stats_of(pool).statement_retries, 1);
	/* the other connection was spared the error: also inside a transaction */
	PQclear(PQexec(dbpool_conn(two), "begin"));
	assert_ok(dbpool_exec(two, 0, "select * from cached where a = $1", &params, &res, &err));
	assert_int_equal(PQnfields(res), 2);
	PQclear(res);
	PQclear(PQexec(dbpool_conn(two), "commit"));
	assert_int_equal(stats_of(pool).statement_invalidations, 1);
	assert_int_equal(stats_of(pool).statement_retries, 1);
	/* what was named before is dropped in time */
	for (int i = 0; i < 20; i++)
	{
		admin_int(i % 2 ? "alter table cached add c int" : "alter table cached drop if exists c");
		assert_ok(run(two, "select * from cached where a = $1", "1"));
	}
	assert_between(prepared_on(two), 1, 8);
	dbpool_release(&one);
	dbpool_release(&two);
	close_pool(pool);
}

static int calls;

static int
read_cached(dbpool_session *session, void *arg, dbpool_error *e)
{
	const char	 *values[] = {"1"};
	dbpool_params params = params_of(values, 1);
	PGresult	 *res = NULL;
	int			  code;

	calls++;
	code = dbpool_exec(session->lease, session->deadline, "select * from cached where a = $1",
					   &params, &res, e);
	*(int *) arg = PQnfields(res);
	PQclear(res);
	return code;
}

static void
ddl_and_a_transaction(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", "prepare_threshold", "1", NULL);
	dbpool_lease lease = lease_of(pool);
	int			 fields = 0;

	(void) state;
	new_table();
	run_times(lease, "select * from cached where a = $1", "1", 2);
	admin_int("alter table cached add b int");
	PQclear(PQexec(dbpool_conn(lease), "begin"));
	assert_int_equal(run(lease, "select * from cached where a = $1", "1"), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "0A000");
	assert_int_equal(err.flags, DBPOOL_RETRYABLE | DBPOOL_TX_ABORTED);
	assert_int_equal(stats_of(pool).statement_retries, 0);
	PQclear(PQexec(dbpool_conn(lease), "rollback"));
	run_times(lease, "select * from cached where a = $1", "1", 1);
	dbpool_release(&lease);
	/* the whole transaction is repeated by itself (its reset would hide this) */
	close_pool(pool);
	pool = open_pool("max", "1", "prepare_threshold", "1", "reset", "never", NULL);
	assert_ok(dbpool_transaction(pool, 0, NULL, read_cached, &fields, &err));
	admin_int("alter table cached add c int");
	calls = 0;
	assert_ok(dbpool_transaction(pool, 0, NULL, read_cached, &fields, &err));
	assert_int_equal(fields, 3);
	assert_int_equal(calls, 2);
	close_pool(pool);
}

/* The same error from within a procedure may come after its commit: never repeated. */
static void
not_after_a_commit(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", "prepare_threshold", "1", NULL);
	dbpool_lease lease = lease_of(pool);

	(void) state;
	new_table();
	admin_int("drop table if exists done; create table done (i int)");
	admin_int("create or replace procedure work() language plpgsql as "
			  "'begin insert into done values (1); commit; execute ''execute theirs''; end'");
	PQclear(PQexec(dbpool_conn(lease), "prepare theirs as select * from cached"));
	run_times(lease, "call work()", NULL, 2);
	admin_int("alter table cached add b int");
	assert_int_equal(run(lease, "call work()", NULL), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "0A000");
	assert_int_equal(admin_int("select count(*) from done"), 3);
	assert_int_equal(stats_of(pool).statement_retries, 0);
	dbpool_release(&lease);
	close_pool(pool);
}

static void
deallocate_all_is_seen(void **state)
{
	const char *const commands[] = {"deallocate all", "discard all", "select 1; deallocate all; select 2"};
	dbpool_pool *pool = open_pool("max", "1", "prepare_threshold", "2", NULL);
	dbpool_lease lease = lease_of(pool);

	(void) state;
	run_times(lease, "select $1::int", "1", 3);
	for (int i = 0; i < 3; i++)
	{
		PQclear(PQexec(dbpool_conn(lease), commands[i]));
		assert_int_equal(prepared_on(lease), 0);
		assert_int_equal(stats_of(pool).statements, 0);
		/* known to be worth it already */
		run_times(lease, "select $1::int", "1", 1);
		assert_int_equal(prepared_on(lease), 1);
	}
	/* by the pool's own reset, too; and prepared itself */
	run_times(lease, "deallocate all", NULL, 4);
	PQclear(PQexec(dbpool_conn(lease), "set work_mem = '1MB'"));
	run_times(lease, "select $1::int", "1", 1);
	dbpool_release(&lease);
	lease = lease_of(pool);
	assert_int_equal(prepared_on(lease), 0);
	run_times(lease, "select $1::int", "1", 1);
	assert_int_equal(stats_of(pool).statement_retries, 0);
	dbpool_release(&lease);
	close_pool(pool);
}

/* Deallocated by a function, or behind a pooler that nobody declared. */
static void
lost_without_being_seen(void **state)
{
	const char	*unseen = "do 'begin execute ''deallocate all''; end'";
	dbpool_pool *pool = open_pool("max", "1", "prepare_threshold", "1", NULL);
	dbpool_lease lease = lease_of(pool);

	(void) state;
	run_times(lease, "select $1::int", "1", 2);
	PQclear(PQexec(dbpool_conn(lease), unseen));
	run_times(lease, "select $1::int", "1", 1);
	assert_int_equal(stats_of(pool).statement_retries, 1);
	PQclear(PQexec(dbpool_conn(lease), unseen));
	PQclear(PQexec(dbpool_conn(lease), "begin"));
	assert_int_equal(run(lease, "select $1::int", "1"), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "26000");
	assert_true((err.flags & DBPOOL_RETRYABLE) != 0);
	PQclear(PQexec(dbpool_conn(lease), "rollback"));
	run_times(lease, "select $1::int", "1", 1);
	PQclear(PQexec(dbpool_conn(lease), unseen));
	run_times(lease, "select $1::int", "1", 1);
	/* the third time: no more */
	PQclear(PQexec(dbpool_conn(lease), "discard all"));
	run_times(lease, "select $1::int", "1", 5);
	assert_int_equal(prepared_on(lease), 0);
	dbpool_release(&lease);
	close_pool(pool);
}

static void
text_of(char *buffer, size_t size, int i)
{
	snprintf(buffer, size, "select $1::int + %d /* %0200d */", i, i);
}

static void
bytes_are_limited(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", "prepare_threshold", "1", "statement_cache_kb", "1", NULL);
	dbpool_lease lease = lease_of(pool);
	dbpool_stats stats;
	char		 sql[2000];
	char		 result[32];

	(void) state;
	for (int i = 0; i < 40; i++)
	{
		text_of(sql, sizeof(sql), i);
		assert_ok(run_to(lease, sql, "1000", result, sizeof(result)));
		assert_int_equal(atoi(result), 1000 + i);
		/* used all the time, so it stays */
		assert_ok(run(lease, "select $1::int", "1"));
	}
	stats = stats_of(pool);
	assert_int_equal(stats.statements_prepared, 41);
	assert_int_equal(stats.statement_hits, 39);
	assert_between(stats.statement_bytes, 1, 1024);
	assert_int_equal(stats.statements_evicted, 41 - stats.statements);
	/* those dropped are told to the server some at a time */
	assert_between(prepared_on(lease), stats.statements, stats.statements + 8);
	/* too large for all of it */
	memset(sql, ' ', sizeof(sql));
	memcpy(sql, "select $1::int", 14);
	sql[sizeof(sql) - 1] = '\0';
	run_times(lease, sql, "1", 3);
	assert_int_equal(stats_of(pool).statements_prepared, 41);
	assert_int_equal(stats_of(pool).resets, 0);
	dbpool_release(&lease);
	close_pool(pool);
}

/* Nobody ever is outside a transaction when we could tell the server. */
static void
dropped_in_transactions(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", "prepare_threshold", "1", "statement_cache_kb", "1", NULL);
	dbpool_lease lease = lease_of(pool);
	char		 sql[300];

	(void) state;
	for (int i = 0; i < 300; i++)
	{
		PQclear(PQexec(dbpool_conn(lease), "begin"));
		text_of(sql, sizeof(sql), i);
		assert_ok(run(lease, sql, "1"));
		PQclear(PQexec(dbpool_conn(lease), "commit"));
	}
	dbpool_release(&lease);
	lease = lease_of(pool);
	assert_int_equal(prepared_on(lease), 0);
	/* a session's BEGIN comes by us: no reset needed */
	dbpool_release(&lease);
	assert_int_equal(stats_of(pool).resets, 1);
	for (int i = 0; i < 300; i++)
	{
		dbpool_session s = DBPOOL_SESSION_INIT;

		assert_ok(dbpool_session_begin(pool, 0, &s, &err));
		text_of(sql, sizeof(sql), i);
		assert_ok(run(s.lease, sql, "1"));
		assert_ok(dbpool_session_commit(&s, &err));
	}
	lease = lease_of(pool);
	assert_between(prepared_on(lease), 1, 12);
	dbpool_release(&lease);
	assert_int_equal(stats_of(pool).resets, 1);
	close_pool(pool);
}

static void
errors_leave_nothing(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", "prepare_threshold", "2", NULL);
	dbpool_lease lease = lease_of(pool);

	(void) state;
	for (int i = 0; i < 10; i++)
	{
		assert_int_equal(run(lease, "select nosuch($1::int)", "1"), DBPOOL_EQUERY);
		assert_string_equal(err.sqlstate, "42883");
		assert_int_equal(err.flags, 0);
	}
	assert_int_equal(prepared_on(lease), 0);
	assert_int_equal(stats_of(pool).statements, 0);
	PQclear(PQexec(dbpool_conn(lease), "begin"));
	assert_int_equal(run(lease, "select nosuch($1::int)", "1"), DBPOOL_EQUERY);
	assert_int_equal(err.flags, DBPOOL_TX_ABORTED);
	/* in a failed transaction as without us */
	assert_int_equal(run(lease, "select $1::int", "1"), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "25P02");
	assert_ok(run(lease, "rollback", NULL));
	/* an error in running leaves it prepared */
	run_times(lease, "select 1 / $1::int", "1", 2);
	assert_int_equal(run(lease, "select 1 / $1::int", "0"), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "22012");
	run_times(lease, "select 1 / $1::int", "1", 1);
	assert_int_equal(stats_of(pool).statements_prepared, 1);
	assert_int_equal(stats_of(pool).statement_hits, 2);
	dbpool_release(&lease);
	close_pool(pool);
}

/* A deadline while preparing: the statement itself was never sent. */
static void
deadline_while_preparing(void **state)
{
	dbpool_pool	 *pool = open_pool("max", "1", "prepare_threshold", "1", NULL);
	dbpool_lease  lease = lease_of(pool);
	const char	 *values[] = {"1"};
	dbpool_params params = params_of(values, 1);
	PGresult	 *res = NULL;
	PGconn		 *locker = PQconnectdb(dsn());

	(void) state;
	new_table();
	PQclear(PQexec(locker, "begin; lock table cached"));
	assert_int_equal(dbpool_exec(lease, dbpool_deadline_ms(100), "select a from cached where a = $1",
								 &params, &res, &err),
					 DBPOOL_ETIMEDOUT);
	assert_int_equal(err.flags, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE);
	assert_null(res);
	assert_int_equal(stats_of(pool).statements, 0);
	dbpool_release(&lease);
	PQfinish(locker);
	lease = lease_of(pool);
	run_times(lease, "select a from cached where a = $1", "1", 2);
	assert_int_equal(stats_of(pool).statement_hits, 1);
	dbpool_release(&lease);
	close_pool(pool);
}

static void
names_of_the_user(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", "prepare_threshold", "1", "statement_cache_kb", "1", NULL);
	dbpool_lease lease = lease_of(pool);
	char		 sql[300];
	char		 name[64];
	PGresult	*res;

	(void) state;
	res = PQprepare(dbpool_conn(lease), "dbpool_1", "select 'theirs'", 0, NULL);
	assert_int_equal(PQresultStatus(res), PGRES_COMMAND_OK);
	PQclear(res);
	for (int i = 0; i < 30; i++)
	{
		text_of(sql, sizeof(sql), i);
		assert_ok(run(lease, sql, "1"));
	}
	assert_ok(run_to(lease, "execute dbpool_1", NULL, name, sizeof(name)));
	assert_string_equal(name, "theirs");
	/* a random number, and a counter, so they do not repeat on any server */
	assert_int_equal(lease_int(lease, "select count(*) from pg_prepared_statements "
									  "where name ~ '^dbpool_[0-9a-f]{16}_[0-9]+$'"),
					 prepared_on(lease) - 1);
	dbpool_release(&lease);
	close_pool(pool);
}

static atomic_bool stop;
static atomic_long right;
static atomic_long wrong;

static void *
reader(void *arg)
{
	static const char *const statements[] = {"select * from cached where a = $1",
											 "select a, $1::int as b from cached", "select $1::int"};
	dbpool_error e = DBPOOL_ERROR_INIT;

	for (int i = 0; !atomic_load(&stop); i++)
	{
		dbpool_lease  lease = DBPOOL_LEASE_INIT;
		const char	 *values[] = {"1"};
		dbpool_params params = params_of(values, 1);
		PGresult	 *res = NULL;
		int			  code = dbpool_acquire(arg, 0, &lease, &e);

		if (code == DBPOOL_OK)
			code = dbpool_exec(lease, 0, statements[i % 3], &params, &res, &e);
		/* two changes within one statement are the one error that may be left */
		if (code == DBPOOL_OK && PQntuples(res) == 1 && strcmp(PQgetvalue(res, 0, 0), "1") == 0)
			atomic_fetch_add(&right, 1);
		else if (code != DBPOOL_EQUERY || (e.flags & DBPOOL_RETRYABLE) == 0)
			atomic_fetch_add(&wrong, 1);
		PQclear(res);
		dbpool_release(&lease);
	}
	return NULL;
}

static void
many_threads_and_ddl(void **state)
{
	dbpool_pool *pool = open_pool("max", "3", "prepare_threshold", "2", NULL);
	pthread_t	 threads[6];

	(void) state;
	new_table();
	for (int i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, pool), 0);
	for (int i = 0; i < 30; i++)
	{
		admin_int(i % 2 ? "alter table cached drop b" : "alter table cached add b int");
		sleep_ms(20);
		(void) stats_of(pool);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_true(atomic_load(&right) > 100);
	assert_true(stats_of(pool).statement_invalidations > 0);
	close_pool(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prepared_at_the_threshold),
		cmocka_unit_test(never_if_told_so),
		cmocka_unit_test(types_and_formats),
		cmocka_unit_test(ddl_elsewhere),
		cmocka_unit_test(ddl_and_a_transaction),
		cmocka_unit_test(not_after_a_commit),
		cmocka_unit_test(deallocate_all_is_seen),
		cmocka_unit_test(lost_without_being_seen),
		cmocka_unit_test(bytes_are_limited),
		cmocka_unit_test(dropped_in_transactions),
		cmocka_unit_test(errors_leave_nothing),
		cmocka_unit_test(deadline_while_preparing),
		cmocka_unit_test(names_of_the_user),
		cmocka_unit_test(many_threads_and_ddl),
	};
	int failed = cmocka_run_group_tests_name("statement_cache", tests, NULL, NULL);

	admin_forget();
	return failed;
}
