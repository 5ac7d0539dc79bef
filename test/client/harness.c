/*
 * harness.c
 *		See harness.h.  Used by the test's main thread only, but for the time
 *		functions, stats_of and session_run.
 */
#include "harness.h"

#include <time.h>
#include <unistd.h>

static PGconn *admin;

const char *
dsn(void)
{
	const char *value = getenv("DBPOOL_TEST_DSN");

	if (value == NULL)
	{
		fprintf(stderr, "DBPOOL_TEST_DSN is not set: run by server.sh\n");
		exit(2);
	}
	return value;
}

void
assert_ok_at(int code, const dbpool_error *err, const char *what, const char *file, int line)
{
	if (code == DBPOOL_OK)
		return;
	print_error("%s: %s %s: %s\n", what, dbpool_errname(code), err->sqlstate, err->message);
	_fail(file, line);
}

dbpool_pool *
open_pool(const char *option, ...)
{
	dbpool_error   err = DBPOOL_ERROR_INIT;
	dbpool_config *config = dbpool_config_new();
	dbpool_pool	  *pool = NULL;
	va_list		   ap;

	assert_non_null(config);
	assert_ok(dbpool_config_set(config, "conninfo", dsn(), &err));
	va_start(ap, option);
	for (const char *o = option; o != NULL; o = va_arg(ap, const char *))
		assert_ok(dbpool_config_set(config, o, va_arg(ap, const char *), &err));
	va_end(ap);
	assert_ok(dbpool_open(config, &pool, &err));
	dbpool_config_free(config);
	return pool;
}

void
close_pool(dbpool_pool *pool)
{
	dbpool_error err = DBPOOL_ERROR_INIT;

	assert_ok(dbpool_close(pool, dbpool_deadline_ms(5000), &err));
}

dbpool_stats
stats_of(dbpool_pool *pool)
{
	dbpool_stats stats = DBPOOL_STATS_INIT;

	if (dbpool_pool_stats(pool, &stats, NULL) != DBPOOL_OK)
		abort();
	return stats;
}

static PGresult *
admin_query(const char *sql)
{
	PGresult *res;

	if (admin == NULL)
		admin = PQconnectdb(dsn());
	res = PQexec(admin, sql);
	if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
	{
		print_error("%s: %s", sql, PQerrorMessage(admin));
		PQclear(res);
		fail();
	}
	return res;
}

void
admin_forget(void)
{
	PQfinish(admin);
	admin = NULL;
}

char *
admin_text(const char *sql, char *buffer, size_t size)
{
	PGresult *res = admin_query(sql);

	snprintf(buffer, size, "%s", PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
	PQclear(res);
	return buffer;
}

long
admin_int(const char *sql)
{
	char buffer[64];

	return atol(admin_text(sql, buffer, sizeof(buffer)));
}

char *
lease_text(dbpool_lease lease, const char *sql, char *buffer, size_t size)
{
	dbpool_error err = DBPOOL_ERROR_INIT;
	PGresult	*res;

	assert_ok(dbpool_exec(lease, dbpool_deadline_ms(5000), sql, NULL, &res, &err));
	snprintf(buffer, size, "%s", PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
	PQclear(res);
	return buffer;
}

long
lease_int(dbpool_lease lease, const char *sql)
{
	char buffer[64];

	return atol(lease_text(lease, sql, buffer, sizeof(buffer)));
}

void
sleep_ms(int ms)
{
	struct timespec ts = {ms / 1000, (ms % 1000) * 1000000L};

	nanosleep(&ts, NULL);
}

int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
server(const char *action)
{
	char command[1024];

	admin_forget();
	snprintf(command, sizeof(command), "%s %s %s", getenv("DBPOOL_TEST_CTL"), action,
			 getenv("DBPOOL_TEST_DIR"));
	if (system(command) != 0)
		fail_msg("server.sh %s failed", action);
}

int
tx_setup(void **state)
{
	(void) state;
	admin_int("drop table if exists tx; create table tx (k int primary key, n int)");
	admin_int("insert into tx values (1, 0), (2, 0)");
	return 0;
}

long
tx_value(int k)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "select n from tx where k = %d", k);
	return admin_int(sql);
}

int
session_run(dbpool_session *s, const char *sql, dbpool_error *e)
{
	PGresult *res = NULL;
	int		  code = dbpool_exec(s->lease, s->deadline, sql, NULL, &res, e);

	PQclear(res);
	return code;
}

void
session_kill(dbpool_session *s)
{
	char sql[80];

	snprintf(sql, sizeof(sql), "select pg_terminate_backend(%d, 2000)",
			 PQbackendPID(dbpool_conn(s->lease)));
	admin_int(sql);
}

dbpool_lease
lease_of(dbpool_pool *pool)
{
	dbpool_error err = DBPOOL_ERROR_INIT;
	dbpool_lease lease = DBPOOL_LEASE_INIT;

	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	return lease;
}
