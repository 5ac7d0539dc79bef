/*
 * test_data.c
 *		Batches in one round trip, and COPY, under deadlines.
 */
#include "harness.h"

#include "dbpool_data.h"
#include "proxy.h"

static dbpool_error err = DBPOOL_ERROR_INIT;
static dbpool_pool *pool;
static dbpool_lease lease;

static int
set_up(void **state)
{
	(void) state;
	admin_int("set client_min_messages = warning; drop table if exists data; "
			  "create table data (i int unique deferrable initially deferred, t text)");
	pool = open_pool("max", "1", "prepare_threshold", "3", NULL);
	lease = (dbpool_lease) DBPOOL_LEASE_INIT;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	return 0;
}

static int
tear_down(void **state)
{
	(void) state;
	dbpool_release(&lease);
	close_pool(pool);
	return 0;
}

#define MOST 2000

static const char  *sql[MOST];
static char			numbers[MOST][12];
static const char  *values[MOST][1];
static dbpool_params params[MOST];
static const dbpool_params *pointers[MOST];
static PGresult	   *results[MOST];

/* n statements, each with its number as the parameter */
static void
fill(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		sql[i] = text;
		snprintf(numbers[i], sizeof(numbers[i]), "%d", (int) i);
		values[i][0] = numbers[i];
		params[i] = (dbpool_params) {.size = sizeof(dbpool_params), .n = 1, .values = values[i]};
		pointers[i] = &params[i];
	}
}

static int
pipeline(size_t n, size_t *failed)
{
	return dbpool_pipeline(lease, dbpool_deadline_ms(5000), n, sql, pointers, results, failed, &err);
}

static void
clear(size_t n)
{
	for (size_t i = 0; i < n; i++)
		PQclear(results[i]);
}

static void
expect_none(size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_null(results[i]);
}

static long
rows(void)
{
	return admin_int("select count(*) from data");
}

static void
batch_of_one_kind(void **state)
{
	size_t failed;

	(void) state;
	fill("insert into data values ($1) returning i * 2", 100);
	for (int round = 0; round < 2; round++)
	{
		assert_ok(pipeline(100, &failed));
		assert_int_equal(failed, 100);
		for (int i = 0; i < 100; i++)
			assert_int_equal(atoi(PQgetvalue(results[i], 0, 0)), 2 * i);
		clear(100);
		assert_int_equal(rows(), 100);
		admin_int("truncate data");
	}
	/* prepared at the third of the first round, in the same round trip */
	assert_int_equal(stats_of(pool).statements_prepared, 1);
	assert_int_equal(stats_of(pool).statement_hits, 97 + 100);
	assert_int_equal(lease_int(lease, "select count(*) from pg_prepared_statements"), 1);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_equal(stats_of(pool).resets, 0);
}

/* More than the sockets' buffers take, in both directions. */
static void
large_batch(void **state)
{
	(void) state;
	fill("select repeat('x', 5000 + $1::int)", MOST);
	assert_ok(pipeline(MOST, NULL));
	for (int i = 0; i < MOST; i++)
		assert_int_equal(PQgetlength(results[i], 0, 0), 5000 + i);
	clear(MOST);
	/* and many texts, none repeated */
	for (int i = 0; i < MOST; i++)
	{
		static char texts[MOST][2100];

		snprintf(texts[i], sizeof(texts[i]), "select $1::int + %d /* %02000d */", i, i);
		sql[i] = texts[i];
	}
	assert_ok(pipeline(MOST, NULL));
	for (int i = 0; i < MOST; i++)
		assert_int_equal(atoi(PQgetvalue(results[i], 0, 0)), 2 * i);
	clear(MOST);
}

static void
all_or_none(void **state)
{
	size_t failed;

	(void) state;
	fill("insert into data values ($1)", 20);
	sql[7] = "select 1 / (($1::int) - 7)";
	assert_int_equal(pipeline(20, &failed), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "22012");
	assert_int_equal(failed, 7);
	expect_none(20);
	assert_int_equal(rows(), 0);
	/* prepared before the error, so it is; not what came after it */
	sql[3] = "nonsense";
	assert_int_equal(pipeline(20, &failed), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "42601");
	assert_int_equal(failed, 3);
	assert_int_equal(lease_int(lease, "select count(*) from pg_prepared_statements"),
					 stats_of(pool).statements);
	/* the end itself fails */
	fill("insert into data values ($1::int % 5)", 10);
	assert_int_equal(pipeline(10, &failed), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "23505");
	assert_int_equal(failed, 10);
	expect_none(10);
	assert_int_equal(rows(), 0);
	/* and the connection is as good as before */
	fill("insert into data values ($1)", 10);
	assert_ok(pipeline(10, &failed));
	clear(10);
	assert_int_equal(rows(), 10);
	assert_int_equal(stats_of(pool).closed_discarded, 0);
}

static void
in_a_transaction(void **state)
{
	size_t failed;

	(void) state;
	PQclear(PQexec(dbpool_conn(lease), "begin"));
	fill("insert into data values ($1)", 10);
	assert_ok(pipeline(10, &failed));
	clear(10);
	assert_int_equal(rows(), 0);
	sql[4] = "select 1 / (($1::int) - 4)";
	assert_int_equal(pipeline(10, &failed), DBPOOL_EQUERY);
	assert_int_equal(failed, 4);
	assert_int_equal(err.flags, DBPOOL_TX_ABORTED);
	assert_int_equal(PQtransactionStatus(dbpool_conn(lease)), PQTRANS_INERROR);
	PQclear(PQexec(dbpool_conn(lease), "rollback"));
	assert_int_equal(rows(), 0);
}

static void
batches_that_will_not_do(void **state)
{
	size_t failed;

	(void) state;
	fill("select $1::int", 3);
	assert_int_equal(pipeline(0, &failed), DBPOOL_EINVAL);
	assert_int_equal(dbpool_pipeline(lease, 0, 3, sql, pointers, NULL, NULL, &err), DBPOOL_EINVAL);
	sql[1] = NULL;
	assert_int_equal(pipeline(3, &failed), DBPOOL_EINVAL);
	assert_int_equal(dbpool_pipeline(lease, 1, 1, sql, pointers, results, &failed, &err),
					 DBPOOL_ETIMEDOUT);
	assert_int_equal(err.flags, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE);
	/* without params */
	sql[1] = "select 2";
	sql[0] = sql[2] = "select 3";
	assert_ok(dbpool_pipeline(lease, 0, 3, sql, NULL, results, NULL, &err));
	assert_string_equal(PQgetvalue(results[1], 0, 0), "2");
	clear(3);
	/* a deadline */
	sql[1] = "select pg_sleep(30)";
	assert_int_equal(dbpool_pipeline(lease, dbpool_deadline_ms(200), 3, sql, NULL, results, &failed, &err),
					 DBPOOL_ETIMEDOUT);
	assert_int_equal(err.flags, DBPOOL_OUTCOME_UNKNOWN);
	assert_int_equal(failed, 3);
	expect_none(3);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	/* COPY */
	sql[1] = "copy data from stdin";
	assert_int_equal(dbpool_pipeline(lease, 0, 3, sql, NULL, results, &failed, &err), DBPOOL_EINVAL);
	assert_int_equal(failed, 1);
	expect_none(3);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	/* killed in the middle */
	sql[1] = "select pg_terminate_backend(pg_backend_pid())";
	assert_int_equal(dbpool_pipeline(lease, 0, 3, sql, NULL, results, &failed, &err), DBPOOL_ECONNLOST);
	assert_int_equal(err.flags, DBPOOL_OUTCOME_UNKNOWN);
	assert_string_equal(err.sqlstate, "57P01");
	expect_none(3);
}

static void
plan_changed(void **state)
{
	size_t failed;

	(void) state;
	fill("select * from data where i = $1", 5);
	assert_ok(pipeline(5, &failed));
	clear(5);
	admin_int("alter table data add extra int");
	assert_int_equal(pipeline(5, &failed), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "0A000");
	assert_true((err.flags & DBPOOL_RETRYABLE) != 0);
	assert_int_equal(failed, 0);
	assert_ok(pipeline(5, &failed));
	assert_int_equal(PQnfields(results[0]), 3);
	clear(5);
}

/* ---- COPY ---- */

typedef struct
{
	int	 next;
	int	 n;
	int	 give_up_at; /* -1 = never */
	int	 bad_at;
	int	 pause_ms;
	int	 got;
	long sum;
} stream;

static int64_t
source(void *arg, char *buffer, size_t size)
{
	stream *s = arg;
	int64_t used = 0;

	sleep_ms(s->pause_ms);
	while (s->next < s->n && used + 40 < (int64_t) size)
	{
		if (s->next == s->give_up_at)
			return -7;
		used += snprintf(buffer + used, size - (size_t) used, "%s%d\tline %d\n",
						 s->next == s->bad_at ? "x" : "", s->next, s->next);
		s->next++;
	}
	return used;
}

static int
sink(void *arg, const char *data, size_t length)
{
	stream *s = arg;

	if (s->got == s->give_up_at)
		return -7;
	assert_int_equal(data[length - 1], '\n');
	s->got++;
	s->sum += atol(data);
	return 0;
}

static int
copy_in(stream *s, const char *text, uint64_t *n)
{
	return dbpool_copy_in(lease, dbpool_deadline_ms(5000), text, source, s, n, &err);
}

static void
copy_both_ways(void **state)
{
	stream	 in = {.n = 200000, .give_up_at = -1, .bad_at = -1};
	stream	 out = {.give_up_at = -1};
	uint64_t n = 0;

	(void) state;
	assert_ok(copy_in(&in, "copy data from stdin", &n));
	assert_int_equal(n, 200000);
	assert_int_equal(rows(), 200000);
	n = 0;
	assert_ok(dbpool_copy_out(lease, 0, "copy data (i) to stdout", sink, &out, &n, &err));
	assert_int_equal(n, 200000);
	assert_int_equal(out.got, 200000);
	assert_int_equal(out.sum, 199999L * 100000);
	/* nothing to copy, and nobody to count it */
	in = (stream) {.n = 0};
	assert_ok(copy_in(&in, "copy data from stdin", NULL));
	assert_ok(dbpool_copy_out(lease, 0, "copy (select 1 where false) to stdout", sink, &out, NULL, &err));
	assert_int_equal(lease_int(lease, "select 5"), 5);
	assert_int_equal(stats_of(pool).resets, 0);
}

static void
copy_that_fails(void **state)
{
	stream in = {.n = 100000, .give_up_at = -1, .bad_at = 50};

	(void) state;
	assert_int_equal(copy_in(&in, "copy data from stdin", NULL), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "22P02");
	in = (stream) {.n = 100, .give_up_at = 60, .bad_at = -1};
	assert_int_equal(copy_in(&in, "copy data from stdin", NULL), DBPOOL_EABORTED);
	assert_int_equal(err.flags, DBPOOL_TX_ABORTED);
	assert_non_null(strstr(err.message, "-7"));
	in = (stream) {.n = 10, .give_up_at = -1, .bad_at = -1};
	assert_int_equal(copy_in(&in, "copy nosuch from stdin", NULL), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "42P01");
	/* a deferred constraint at its end */
	assert_ok(copy_in(&in, "copy data from stdin", NULL));
	in.next = 0;
	assert_int_equal(copy_in(&in, "copy data from stdin", NULL), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "23505");
	assert_int_equal(rows(), 10);
	/* another statement */
	assert_int_equal(copy_in(&in, "select 1", NULL), DBPOOL_EINVAL);
	assert_int_equal(copy_in(&in, NULL, NULL), DBPOOL_EINVAL);
	assert_int_equal(lease_int(lease, "select 6"), 6);
	assert_int_equal(copy_in(&in, "copy data to stdout", NULL), DBPOOL_EINVAL);
	assert_null(dbpool_conn(lease));
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_equal(dbpool_copy_out(lease, 0, "copy data from stdin", sink, &in, NULL, &err),
					 DBPOOL_EINVAL);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	/* the sink has enough */
	in = (stream) {.give_up_at = 3};
	assert_int_equal(dbpool_copy_out(lease, 0, "copy (select generate_series(1, 1000000000)) to stdout",
									 sink, &in, NULL, &err),
					 DBPOOL_EABORTED);
	assert_int_equal(in.got, 3);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, dbpool_deadline_ms(5000), &lease, &err));
	assert_int_equal(lease_int(lease, "select 7"), 7);
	/* an error in the middle of it */
	in = (stream) {.give_up_at = -1};
	assert_int_equal(dbpool_copy_out(lease, 0, "copy (select 1 / (5 - g) from generate_series(1, 9) g) "
											   "to stdout", sink, &in, NULL, &err),
					 DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "22012");
	assert_int_equal(in.got, 4);
	assert_int_equal(lease_int(lease, "select 8"), 8);
}

static void
copy_and_deadlines(void **state)
{
	stream	in = {.n = 100000000, .give_up_at = -1, .bad_at = -1, .pause_ms = 20};
	int64_t before = now_ms();

	(void) state;
	assert_int_equal(dbpool_copy_in(lease, dbpool_deadline_ms(300), "copy data from stdin", source, &in,
									NULL, &err),
					 DBPOOL_ETIMEDOUT);
	assert_int_equal(err.flags, DBPOOL_TX_ABORTED);
	assert_between(now_ms() - before, 299, 1000);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, dbpool_deadline_ms(5000), &lease, &err));
	assert_int_equal(rows(), 0);
	assert_int_equal(dbpool_copy_out(lease, dbpool_deadline_ms(200), "copy (select pg_sleep(30)) to stdout",
									 sink, &in, NULL, &err),
					 DBPOOL_ETIMEDOUT);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, dbpool_deadline_ms(5000), &lease, &err));
	/* there is always something to read, and still it ends */
	before = now_ms();
	assert_int_equal(dbpool_copy_out(lease, dbpool_deadline_ms(200),
									 "copy (select generate_series(1, 1000000000)) to stdout", sink, &in,
									 NULL, &err),
					 DBPOOL_ETIMEDOUT);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, dbpool_deadline_ms(5000), &lease, &err));
	sql[0] = "select generate_series(1, 1000000000)";
	assert_int_equal(dbpool_exec(lease, dbpool_deadline_ms(200), sql[0], NULL, results, &err),
					 DBPOOL_ETIMEDOUT);
	assert_between(now_ms() - before, 399, 3000);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, dbpool_deadline_ms(5000), &lease, &err));
	assert_int_equal(lease_int(lease, "select 9"), 9);
}

static int64_t
killing_source(void *arg, char *buffer, size_t size)
{
	stream *s = arg;

	if (s->next == 0)
		admin_int("select pg_terminate_backend(pid, 2000) from pg_stat_activity where query like 'copy data%'");
	return source(arg, buffer, size);
}

static void
copy_loses_its_server(void **state)
{
	stream in = {.n = 1000000, .give_up_at = -1, .bad_at = -1};

	(void) state;
	assert_int_equal(dbpool_copy_in(lease, 0, "copy data from stdin", killing_source, &in, NULL, &err),
					 DBPOOL_ECONNLOST);
	assert_int_equal(err.flags, DBPOOL_TX_ABORTED);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, dbpool_deadline_ms(5000), &lease, &err));
	assert_int_equal(rows(), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(batch_of_one_kind),
		TEST(large_batch),
		TEST(all_or_none),
		TEST(in_a_transaction),
		TEST(batches_that_will_not_do),
		TEST(plan_changed),
		TEST(copy_both_ways),
		TEST(copy_that_fails),
		TEST(copy_and_deadlines),
		TEST(copy_loses_its_server),
	};
	int failed = cmocka_run_group_tests_name("data", tests, NULL, NULL);

	admin_forget();
	return failed;
}
