/*
 * test_bulk.c
 *		Bulk helpers, with dbutil and without: what is in the table is the same.
 *
 * Where the server has no extension to install, the half with it is left out.
 */
#include "harness.h"

#include "dbpool_data.h"

static dbpool_error err = DBPOOL_ERROR_INIT;
static dbpool_pool *pool;
static dbpool_lease lease;
static bool			with_dbutil;

static int
set_up(void **state)
{
	(void) state;
	admin_int("set client_min_messages = warning; drop schema if exists \"Bulk\" cascade; "
			  "create schema \"Bulk\"; create table \"Bulk\".\"my \"\"rows\" (id int primary key, "
			  "num numeric(6,2), txt varchar(8), arr int[], doc jsonb, raw json, d date, flag \"char\")");
	pool = open_pool("max", "1", NULL);
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

static const char *const columns[] = {"id", "num", "txt", "arr", "d", "flag", "doc", "raw"};

static const char *const odd[] = {
	"1", "1.5", "tab\tnl\n", "{1,NULL,3}", "2024-02-29", "x", "{\"a\": \"q\\\"\"}", "[1,  2]",
	"2", NULL, "\\back\r", NULL, NULL, NULL, NULL, NULL,
	"3", "-0.01", "\"',{}", "{}", "1999-12-31", "\\", "\"s\"", "null",
	"4", "9999.99", "", "{{1},{2}}", NULL, "n", "null", "{}",
	"5", "0", "NULL", NULL, "infinity", "", "3", " 7 ",
	"6", "1", "\\N\xc3\xa9", NULL, NULL, "\"", "{\"\": []}", "\"\\u00e9\"",
};

static dbpool_rows
rows_of(int ncolumns, const char *const *cols, size_t n, const char *const *values)
{
	return (dbpool_rows) {sizeof(dbpool_rows), "Bulk.my \"rows", ncolumns, cols, n, values};
}

/* All of the table as one text. */
static const char *
contents(char *buffer, size_t size)
{
	return admin_text("select string_agg(r::text, ';' order by id) from \"Bulk\".\"my \"\"rows\" r", buffer,
					  size);
}

static void
every_value_arrives(void **state)
{
	dbpool_rows rows = rows_of(8, columns, 6, odd);
	const char *few[36];
	uint64_t	n = 0;
	char		copied[2000];
	char		other[2000];

	(void) state;
	assert_ok(dbpool_bulk_insert(lease, 0, &rows, DBPOOL_CONFLICT_ERROR, 0, &n, &err));
	assert_int_equal(n, 6);
	contents(copied, sizeof(copied));
	/* COPY's reading of it, against the values themselves */
	for (int i = 0; i < 6; i++)
	{
		char sql[120];

		snprintf(sql, sizeof(sql), "select txt from \"Bulk\".\"my \"\"rows\" where id = %d", i + 1);
		assert_string_equal(admin_text(sql, other, sizeof(other)), odd[i * 8 + 2]);
	}
	/* the other ways leave the same; the last without JSON, as that goes another way */
	for (int i = 0; i < 36; i++)
		few[i] = odd[i / 6 * 8 + i % 6];
	admin_int("truncate \"Bulk\".\"my \"\"rows\"");
	for (int way = 0; way < 4; way++)
	{
		if (way == 3)
		{
			dbpool_rows plain = rows_of(6, columns, 6, few);

			admin_int("update \"Bulk\".\"my \"\"rows\" set num = 7, txt = 'other', arr = '{9}', d = now(),"
					  " flag = 'z'");
			assert_ok(dbpool_bulk_update(lease, 0, &plain, 1, &n, &err));
		}
		else if (way == 0)
			assert_ok(dbpool_bulk_insert(lease, 0, &rows, DBPOOL_CONFLICT_NOTHING, 0, &n, &err));
		else if (way == 1)
		{
			admin_int("update \"Bulk\".\"my \"\"rows\" set num = 7, txt = 'other', arr = '{9}', doc = '9',"
					  " raw = '9', d = now(), flag = 'z'");
			assert_ok(dbpool_bulk_insert(lease, 0, &rows, DBPOOL_CONFLICT_UPDATE, 1, &n, &err));
		}
		else
		{
			admin_int("update \"Bulk\".\"my \"\"rows\" set num = 7, txt = 'other', arr = '{9}', doc = '9',"
					  " raw = '9', d = now(), flag = 'z'");
			assert_ok(dbpool_bulk_update(lease, 0, &rows, 1, &n, &err));
		}
		assert_int_equal(n, 6);
		assert_string_equal(contents(other, sizeof(other)), copied);
	}
	/* and all are gone, by a key of several columns */
	assert_ok(dbpool_bulk_delete(lease, 0, &(dbpool_rows) {sizeof(rows), rows.table, 2,
														   (const char *[]) {"id", "txt"}, 2,
														   (const char *[]) {"1", odd[2], "3", "nope"}},
								 &n, &err));
	assert_int_equal(n, 1);
	rows = rows_of(1, columns, 5, (const char *[]) {"2", "3", "4", "5", "77"});
	assert_ok(dbpool_bulk_delete(lease, 0, &rows, &n, &err));
	assert_int_equal(n, 4);
	assert_int_equal(admin_int("select id from \"Bulk\".\"my \"\"rows\""), 6);
}

static void
conflicts(void **state)
{
	const char *const old[] = {"1", "old", "2", "old"};
	const char *const new[] = {"2", "new", "3", "new"};
	const char *const cols[] = {"id", "txt"};
	dbpool_rows		  rows = rows_of(2, cols, 2, old);
	uint64_t		  n = 9;
	char			  text[200];

	(void) state;
	assert_ok(dbpool_bulk_insert(lease, 0, &rows, DBPOOL_CONFLICT_ERROR, 0, NULL, &err));
	rows.values = new;
	assert_int_equal(dbpool_bulk_insert(lease, 0, &rows, DBPOOL_CONFLICT_ERROR, 0, &n, &err),
					 DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "23505");
	assert_int_equal(n, 0);
	assert_ok(dbpool_bulk_insert(lease, 0, &rows, DBPOOL_CONFLICT_NOTHING, 1, &n, &err));
	assert_int_equal(n, 1);
	admin_text("select string_agg(txt, ',' order by id) from \"Bulk\".\"my \"\"rows\"", text, sizeof(text));
	assert_string_equal(text, "old,old,new");
	assert_ok(dbpool_bulk_insert(lease, 0, &rows, DBPOOL_CONFLICT_UPDATE, 1, &n, &err));
	assert_int_equal(n, 2);
	admin_text("select string_agg(txt, ',' order by id) from \"Bulk\".\"my \"\"rows\"", text, sizeof(text));
	assert_string_equal(text, "old,new,new");
	/* a column not named keeps what it has */
	admin_int("update \"Bulk\".\"my \"\"rows\" set num = 5");
	rows.values = old;
	assert_ok(dbpool_bulk_update(lease, 0, &rows, 1, &n, &err));
	assert_int_equal(n, 2);
	assert_int_equal(admin_int("select count(*) from \"Bulk\".\"my \"\"rows\" where num = 5"), 3);
	/* too long is an error, not cut */
	rows.values = (const char *[]) {"1", "123456789", "2", ""};
	assert_int_equal(dbpool_bulk_insert(lease, 0, &rows, DBPOOL_CONFLICT_UPDATE, 1, &n, &err), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "22001");
	assert_int_equal(dbpool_bulk_update(lease, 0, &rows, 1, &n, &err), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "22001");
}

static void
many_rows(void **state)
{
	enum { N = 20000 };
	static char		   texts[N][12];
	static const char *values[2 * N];
	const char *const  cols[] = {"id", "txt"};
	dbpool_rows		   rows = rows_of(2, cols, N, values);
	uint64_t		   n;

	(void) state;
	for (int i = 0; i < N; i++)
	{
		snprintf(texts[i], sizeof(texts[i]), "%d", i);
		values[2 * i] = texts[i];
		values[2 * i + 1] = i % 3 == 0 ? NULL : texts[i];
	}
	assert_ok(dbpool_bulk_insert(lease, 0, &rows, DBPOOL_CONFLICT_ERROR, 0, &n, &err));
	assert_int_equal(n, N);
	admin_int("delete from \"Bulk\".\"my \"\"rows\" where id % 2 = 0");
	assert_ok(dbpool_bulk_insert(lease, 0, &rows, DBPOOL_CONFLICT_NOTHING, 1, &n, &err));
	assert_int_equal(n, N / 2);
	for (int i = 0; i < N; i++)
		values[2 * i + 1] = "same";
	assert_ok(dbpool_bulk_update(lease, 0, &rows, 1, &n, &err));
	assert_int_equal(n, N);
	assert_int_equal(admin_int("select count(*) from \"Bulk\".\"my \"\"rows\" where txt = 'same'"), N);
	rows = rows_of(1, cols, 100, (const char *const *) values);
	rows.values = (const char *const *) &values[0];
	rows.ncolumns = 2;
	assert_ok(dbpool_bulk_delete(lease, 0, &rows, &n, &err));
	assert_int_equal(n, 100);
	assert_int_equal(stats_of(pool).resets, 0);
}

static void
nonsense(void **state)
{
	const char *const cols[] = {"id", "nosuch"};
	dbpool_rows		  rows = rows_of(2, cols, 1, odd);
	dbpool_rows		  good = rows_of(2, columns, 1, odd);
	dbpool_rows		  empty = DBPOOL_ROWS_INIT;
	uint64_t		  n;

	(void) state;
	assert_int_equal(dbpool_bulk_update(lease, 0, &rows, 1, &n, &err), DBPOOL_EINVAL);
	assert_non_null(strstr(err.message, "nosuch"));
	assert_int_equal(dbpool_bulk_insert(lease, 0, &rows, DBPOOL_CONFLICT_ERROR, 0, &n, &err), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "42703");
	rows.table = "Bulk.none";
	assert_int_equal(dbpool_bulk_delete(lease, 0, &rows, &n, &err), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "42P01");
	assert_int_equal(dbpool_bulk_insert(lease, 0, &empty, 0, 0, &n, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_bulk_insert(lease, 0, NULL, 0, 0, &n, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_bulk_delete(lease, 0, NULL, &n, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_bulk_insert(lease, 0, &good, 3, 0, &n, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_bulk_insert(lease, 0, &good, DBPOOL_CONFLICT_UPDATE, 2, &n, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_bulk_insert(lease, 0, &good, 0, 3, &n, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_bulk_update(lease, 0, &good, 0, &n, &err), DBPOOL_EINVAL);
	good.table = ".x";
	assert_int_equal(dbpool_bulk_update(lease, 0, &good, 1, &n, &err), DBPOOL_EINVAL);
	good.table = rows_of(1, columns, 0, NULL).table;
	good.n = 0;
	assert_ok(dbpool_bulk_insert(lease, 0, &good, 0, 0, &n, &err));
	assert_int_equal(n, 0);
	assert_ok(dbpool_bulk_update(lease, 0, &good, 1, &n, &err));
	good.n = 1;
	PQclear(PQexec(dbpool_conn(lease), "set client_encoding = 'SJIS'"));
	assert_int_equal(dbpool_bulk_update(lease, 0, &good, 1, &n, &err), DBPOOL_EINVAL);
	assert_non_null(strstr(err.message, "SJIS"));
	dbpool_release(&lease);
	assert_int_equal(dbpool_bulk_update(lease, 0, &good, 1, &n, &err), DBPOOL_ESTALE);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_equal(dbpool_bulk_update(lease, 1, &good, 1, &n, &err), DBPOOL_ETIMEDOUT);
	assert_int_equal(admin_int("select count(*) from \"Bulk\".\"my \"\"rows\""), 0);
}

/* Not a function that only has the name of dbutil's. */
static void
only_the_extension(void **state)
{
	dbpool_rows rows = rows_of(2, columns, 1, odd);
	uint64_t	n;

	(void) state;
	if (with_dbutil)
		return;
	admin_int("create schema dbutil; create function dbutil.bulk_update(regclass, jsonb, key name[]) "
			  "returns table (updated bigint) language sql as 'select 666::bigint'");
	assert_ok(dbpool_bulk_update(lease, 0, &rows, 1, &n, &err));
	assert_int_equal(n, 0);
	admin_int("drop schema dbutil cascade");
}

/* Not asked of pg_available_extensions, which does not look everywhere. */
static bool
install(void)
{
	PGconn	 *conn = PQconnectdb(dsn());
	PGresult *res = PQexec(conn, "create extension dbutil");
	bool	  done = PQresultStatus(res) == PGRES_COMMAND_OK;

	PQclear(res);
	PQfinish(conn);
	return done;
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_value_arrives), TEST(conflicts), TEST(many_rows), TEST(nonsense),
		TEST(only_the_extension),
	};
	int failed = cmocka_run_group_tests_name("bulk", tests, NULL, NULL);

	if (install())
	{
		with_dbutil = true;
		failed += cmocka_run_group_tests_name("bulk with dbutil", tests, NULL, NULL);
		admin_int("set client_min_messages = warning; drop extension dbutil cascade");
	}
	else
		print_message("# bulk with dbutil: skipped, the server cannot install the extension\n");
	admin_forget();
	return failed;
}
