/*
 * test_metrics.c
 *		Metrics by a strict reader of their format, and events by what happened.
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include "exposition.h"
#include "internal.h"
#include "dbpool_metrics.h"
#include "dbpool_service.h"

static dbpool_error err = DBPOOL_ERROR_INIT;

#define NAMED(series, pool, more) series "{db_client_connection_pool_name=\"" pool "\"" more "}"
#define STATE(s) ",db_client_connection_state=\"" s "\""

static void
assert_valid(const char *text)
{
	char why[256];

	if (!exposition_valid(text, why, sizeof(why)))
	{
		print_error("%s\n", text);
		fail_msg("%s", why);
	}
}

/* The text of one pool, which is valid. */
static char *
metrics_of(dbpool_pool *pool)
{
	char *text = NULL;

	assert_ok(dbpool_metrics_text(&pool, 1, &text, &err));
	assert_valid(text);
	return text;
}

static void
assert_value_at(const char *text, const char *series, double expected, int line)
{
	double value = exposition_value(text, series);

	if (value != expected)
	{
		print_error("line %d: %s is %g, not %g in\n", line, series, value, expected);
		fputs(text, stderr);
		fail();
	}
}

#define assert_value(text, series, expected) assert_value_at((text), (series), (expected), __LINE__)

/* ---- the reader itself ---- */

static void
reader_refuses_what_is_wrong(void **state)
{
	static const char *const good[] = {
		"",
		"# HELP a b\n# TYPE a gauge\na 1\na{x=\"\\\\\\\"\\n\xC3\xA4\"} -2.5e3\n",
		"# HELP a_total b\n# TYPE a_total counter\na_total 0\n",
		"# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3.0\n"
		"h_count 2\n",
	};
	static const char *const bad[] = {
		"a 1\n",
		"# HELP a b\na 1\n",
		"# TYPE a gauge\na 1\n",
		"# HELP a b\n# TYPE a thing\na 1\n",
		"# HELP a b\n# TYPE a gauge\na 1",
		"# HELP a b\n# TYPE a gauge\na 1\na 2\n",
		"# HELP a b\n# TYPE a gauge\na x\n",
		"# HELP a b\n# TYPE a gauge\na 0x1\n",
		"# HELP a b\n# TYPE a gauge\na  1\n",
		"# HELP a b\n# TYPE a gauge\nb 1\n",
		"# HELP a b\n# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n",
		"# HELP a b\n# TYPE a gauge\na{x=\"\\t\"} 1\n",
		"# HELP a b\n# TYPE a gauge\na{x=\"\n\"} 1\n",
		"# HELP a b\n# TYPE a gauge\na{x=1} 1\n",
		"# HELP a b\n# TYPE a gauge\na{1x=\"1\"} 1\n",
		"# HELP a b\n# TYPE a gauge\na{x=\"\xC3(\"} 1\n",
		"# HELP a b\n# TYPE a gauge\na{x=\"\xC0\x80\"} 1\n",
		"# HELP a b\n# TYPE a gauge\na{x=\"\xED\xA0\x80\"} 1\n",
		"# HELP a b\n# TYPE a counter\na 1\n",
		"# HELP a_total b\n# TYPE a_total counter\na_total -1\n",
		"# HELP a b\n# TYPE a gauge\na 1\n# HELP b b\n# TYPE b gauge\na{x=\"1\"} 1\n",
		"# HELP a b\n# TYPE a gauge\n# HELP a b\n# TYPE a gauge\n",
		"# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 3\nh_count 1\n",
		"# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n",
		"# HELP h x\n# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\n"
		"h_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n",
		"# HELP h x\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 3\n",
		"# HELP h x\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_count 2\n",
	};
	char why[256];

	(void) state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!exposition_valid(good[i], why, sizeof(why)))
			fail_msg("good text %zu: %s", i, why);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (exposition_valid(bad[i], why, sizeof(why)))
			fail_msg("bad text %zu is taken", i);
}

/* ---- metrics ---- */

static void
numbers_are_those_of_the_pool(void **state)
{
	dbpool_pool *pool = open_pool("name", "bank", "min", "2", "max", "3", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	char		*text;

	(void) state;
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	assert_soon(stats_of(pool).idle == 2);
	assert_ok(dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &lease, &err));
	assert_int_equal(lease_int(lease, "select 5"), 5);
	text = metrics_of(pool);
	assert_value(text, NAMED("db_client_connection_count", "bank", STATE("idle")), 1);
	assert_value(text, NAMED("db_client_connection_count", "bank", STATE("used")), 1);
	assert_value(text, NAMED("db_client_connection_max", "bank", ""), 3);
	assert_value(text, NAMED("db_client_connection_pending_requests", "bank", ""), 0);
	assert_value(text, NAMED("dbpool_connections_min", "bank", ""), 2);
	assert_value(text, NAMED("dbpool_connects_total", "bank", ",result=\"ok\""), 2);
	assert_value(text, NAMED("dbpool_execs_total", "bank", ""), 1);
	assert_value(text, NAMED("db_client_connection_create_time_seconds_count", "bank", ""), 2);
	assert_value(text, NAMED("db_client_connection_wait_time_seconds_count", "bank", ""), 2);
	assert_value(text, NAMED("db_client_connection_use_time_seconds_count", "bank", ""), 1);
	free(text);
	dbpool_release(&lease);
	close_pool(pool);
}

static void *
acquire_late(void *arg)
{
	dbpool_lease lease = DBPOOL_LEASE_INIT;

	if (dbpool_acquire(arg, dbpool_deadline_ms(5000), &lease, NULL) != DBPOOL_OK)
		abort();
	dbpool_release(&lease);
	return NULL;
}

static void
times_fall_into_their_buckets(void **state)
{
	dbpool_pool *pool = open_pool("name", "bank", "min", "1", "max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	pthread_t	 thread;
	char		*text;
	double		 sum;

	(void) state;
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	assert_ok(dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &lease, &err));
	assert_int_equal(pthread_create(&thread, NULL, acquire_late, pool), 0);
	assert_soon(stats_of(pool).waiting == 1);
	text = metrics_of(pool);
	assert_value(text, NAMED("db_client_connection_pending_requests", "bank", ""), 1);
	free(text);
	sleep_ms(120);
	assert_int_equal(dbpool_acquire(pool, dbpool_deadline_ms(1), &(dbpool_lease) DBPOOL_LEASE_INIT, &err),
					 DBPOOL_ETIMEDOUT);
	dbpool_release(&lease);
	pthread_join(thread, NULL);
	assert_soon(stats_of(pool).idle == 1);
	text = metrics_of(pool);
	/* the first, of wait_ready, waited for its connection */
	assert_value(text, NAMED("db_client_connection_wait_time_seconds_count", "bank", ""), 3);
	assert_true(exposition_value(text, NAMED("db_client_connection_wait_time_seconds_bucket", "bank",
											 ",le=\"0.1\"")) <= 2);
	assert_value(text, NAMED("db_client_connection_wait_time_seconds_bucket", "bank", ",le=\"10\""), 3);
	assert_true(exposition_value(text, NAMED("db_client_connection_use_time_seconds_bucket", "bank",
											 ",le=\"0.1\"")) <= 2);
	assert_value(text, NAMED("db_client_connection_use_time_seconds_bucket", "bank", ",le=\"10\""), 3);
	sum = exposition_value(text, NAMED("db_client_connection_wait_time_seconds_sum", "bank", ""));
	assert_true(sum >= 0.12 && sum < 10);
	sum = exposition_value(text, NAMED("db_client_connection_use_time_seconds_sum", "bank", ""));
	assert_true(sum >= 0.11 && sum < 10);
	sum = exposition_value(text, NAMED("db_client_connection_create_time_seconds_sum", "bank", ""));
	assert_true(sum > 0 && sum < 10);
	assert_value(text, NAMED("db_client_connection_timeouts_total", "bank", ""), 1);
	free(text);
	close_pool(pool);
}

/* Each bound belongs to its bucket. */
static void
histogram_bounds(void **state)
{
	static const int64_t ms[HISTOGRAM_BOUNDS] = {1, 5, 10, 50, 100, 500, 1000, 5000, 10000};
	dbpool__histogram	 h = {{0}};

	(void) state;
	for (int i = 0; i < HISTOGRAM_BOUNDS; i++)
	{
		dbpool__histogram_note(&h, ms[i] * NS_PER_MS);
		assert_int_equal(h.counts[i], i == 0 ? 1 : 2);
		dbpool__histogram_note(&h, ms[i] * NS_PER_MS + 1);
		assert_int_equal(h.counts[i + 1], 1);
	}
	dbpool__histogram_note(&h, 0);
	assert_int_equal(h.counts[0], 2);
}

static void
names_are_escaped(void **state)
{
	dbpool_pool *pool = open_pool("name", "a\"b\\c\nd\xC3\xA4\xFF\xE2\x82", "min", "0", NULL);
	char		*text = metrics_of(pool);

	(void) state;
	assert_value(text, NAMED("dbpool_connections_min", "a\\\"b\\\\c\\nd\xC3\xA4???", ""), 0);
	free(text);
	close_pool(pool);
}

static void
many_pools_in_one_text(void **state)
{
	dbpool_pool	  *pools[2] = {open_pool("name", "one", "min", "0", NULL),
							   open_pool("name", "two", "min", "0", "max", "4", NULL)};
	dbpool_pool	  *twice[2] = {pools[0], pools[0]};
	dbpool_config *config = dbpool_config_new();
	dbpool_pool	  *got;
	char		  *text = NULL;

	(void) state;
	assert_ok(dbpool_metrics_text(pools, 2, &text, &err));
	assert_valid(text);
	assert_value(text, NAMED("dbpool_connections_min", "one", ""), 0);
	assert_value(text, NAMED("db_client_connection_max", "two", ""), 4);
	free(text);
	assert_int_equal(dbpool_metrics_text(twice, 2, &text, &err), DBPOOL_EINVAL);
	assert_null(text);
	assert_non_null(strstr(err.message, "\"one\""));

	/* of services: what has a pool */
	assert_ok(dbpool_config_set(config, "conninfo", dsn(), &err));
	assert_ok(dbpool_define("ledger", config, &err));
	assert_ok(dbpool_define("unused", config, &err));
	dbpool_config_free(config);
	assert_ok(dbpool_metrics_text(NULL, 0, &text, &err));
	assert_valid(text);
	assert_value(text, NAMED("db_client_connection_max", "ledger", ""), -1);
	free(text);
	assert_ok(dbpool_get("ledger", &got, &err));
	assert_ok(dbpool_metrics_text(NULL, 0, &text, &err));
	assert_valid(text);
	assert_true(exposition_value(text, NAMED("db_client_connection_max", "ledger", "")) > 0);
	assert_value(text, NAMED("db_client_connection_max", "unused", ""), -1);
	assert_value(text, NAMED("db_client_connection_max", "one", ""), -1);
	free(text);
	assert_ok(dbpool_undefine("ledger", dbpool_deadline_ms(5000), &err));
	assert_ok(dbpool_undefine("unused", dbpool_deadline_ms(5000), &err));

	close_pool(pools[0]);
	assert_int_equal(dbpool_metrics_text(pools, 2, &text, &err), DBPOOL_ECLOSED);
	assert_null(text);
	assert_int_equal(dbpool_metrics_text(NULL, 1, &text, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_metrics_text(pools, 2, NULL, &err), DBPOOL_EINVAL);
	close_pool(pools[1]);
}

/* ---- events ---- */

static _Atomic int counts[DBPOOL_EVENT_READ_ONLY + 1];
static _Atomic int slow_ms;
static _Atomic uint64_t lost;

static void
on_event(const dbpool_event *event, void *arg)
{
	bool failed = event->type == DBPOOL_EVENT_CONNECT_FAILED ||
		event->type == DBPOOL_EVENT_SERVER_LOST;

	/* not the thread that cmocka's assertions may jump in */
	if (arg != &counts || event->size != sizeof(*event) || strcmp(event->pool, "bank") != 0 ||
		event->at <= 0 || (event->backend_pid > 0) == failed || (event->error.code != 0) != failed)
		abort();
	sleep_ms(slow_ms);
	lost += event->dropped;
	counts[event->type]++;
}

static dbpool_pool *
open_watched(const char *min)
{
	dbpool_config *config = dbpool_config_new();
	dbpool_pool	  *pool;

	for (int i = 0; i <= DBPOOL_EVENT_READ_ONLY; i++)
		counts[i] = 0;
	lost = 0;
	assert_ok(dbpool_config_set(config, "conninfo", dsn(), &err));
	assert_ok(dbpool_config_set(config, "name", "bank", &err));
	assert_ok(dbpool_config_set(config, "min", min, &err));
	assert_ok(dbpool_config_set(config, "max", "4", &err));
	assert_ok(dbpool_config_on_event(config, on_event, &counts, &err));
	assert_ok(dbpool_open(config, &pool, &err));
	dbpool_config_free(config);
	return pool;
}

static void
events_tell_an_outage(void **state)
{
	dbpool_pool *pool = open_watched("2");
	int			 connected;

	(void) state;
	assert_soon(counts[DBPOOL_EVENT_CONNECTED] == 2);
	assert_int_equal(counts[DBPOOL_EVENT_SERVER_BACK], 0);
	server("stop");
	assert_soon(counts[DBPOOL_EVENT_BROKEN] == 2);
	assert_soon(counts[DBPOOL_EVENT_CONNECT_FAILED] >= 1);
	assert_soon(counts[DBPOOL_EVENT_SERVER_LOST] == 1);
	connected = counts[DBPOOL_EVENT_CONNECTED];
	server("start");
	assert_soon(counts[DBPOOL_EVENT_SERVER_BACK] == 1);
	assert_soon(counts[DBPOOL_EVENT_CONNECTED] == connected + 2);
	assert_int_equal(counts[DBPOOL_EVENT_SERVER_LOST], 1);
	close_pool(pool);
	assert_string_equal(dbpool_event_name(DBPOOL_EVENT_SERVER_LOST), "server_lost");
	assert_string_equal(dbpool_event_name(0), "unknown");
	assert_string_equal(dbpool_event_name(99), "unknown");
	assert_int_equal(dbpool_config_on_event(NULL, on_event, NULL, &err), DBPOOL_EINVAL);
}

static void
read_only_is_told(void **state)
{
	dbpool_pool *pool = open_watched("1");
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	PGresult	*res = NULL;

	(void) state;
	admin_int("create table if not exists ro (a int)");
	admin_int("alter system set default_transaction_read_only = on");
	admin_int("select pg_reload_conf()::int");
	assert_soon(admin_int("select (current_setting('default_transaction_read_only') = 'on')::int") == 1);
	assert_ok(dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &lease, &err));
	assert_soon(lease_int(lease, "select (current_setting('default_transaction_read_only') = 'on')::int") == 1);
	assert_int_equal(dbpool_exec(lease, 0, "insert into ro values (1)", NULL, &res, &err), DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "25006");
	dbpool_release(&lease);
	assert_soon(counts[DBPOOL_EVENT_READ_ONLY] == 1);
	admin_int("set default_transaction_read_only = off");
	admin_int("alter system reset default_transaction_read_only");
	admin_int("select pg_reload_conf()::int");
	admin_int("drop table ro");
	close_pool(pool);
}

static void
connect_once(dbpool_pool *pool)
{
	dbpool_lease lease = DBPOOL_LEASE_INIT;

	assert_ok(dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &lease, &err));
	dbpool_discard(&lease);
}

/* A slow callback loses events, which are counted, and holds up nobody. */
static void
a_slow_callback_holds_up_nobody(void **state)
{
	dbpool_pool *pool = open_watched("0");
	int64_t		 start = now_ms();

	(void) state;
	slow_ms = 200;
	for (int n = 0; n < 100; n++)
		connect_once(pool);
	/* to tell all would take 20 s, to tell those that do not fit 7 */
	assert_between(now_ms() - start, 0, 5000);
	slow_ms = 0;
	assert_soon(counts[DBPOOL_EVENT_CONNECTED] >= 64);
	connect_once(pool);
	assert_soon(counts[DBPOOL_EVENT_CONNECTED] + (int) lost == 101);
	assert_true(lost > 0);
	close_pool(pool);
}

static _Atomic int close_code = -1;
static dbpool_pool *_Atomic to_close;

static void
closing_callback(const dbpool_event *event, void *arg)
{
	(void) event;
	(void) arg;
	while (to_close == NULL)
		sleep_ms(1);
	close_code = dbpool_close(to_close, dbpool_deadline_ms(1000), NULL);
}

static void
a_callback_cannot_close_its_pool(void **state)
{
	dbpool_config *config = dbpool_config_new();
	dbpool_pool	  *pool;

	(void) state;
	assert_ok(dbpool_config_set(config, "conninfo", dsn(), &err));
	assert_ok(dbpool_config_on_event(config, closing_callback, NULL, &err));
	assert_ok(dbpool_open(config, &pool, &err));
	dbpool_config_free(config);
	to_close = pool;
	assert_soon(close_code != -1);
	assert_int_equal(close_code, DBPOOL_EINVAL);
	close_pool(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reader_refuses_what_is_wrong),
		cmocka_unit_test(histogram_bounds),
		cmocka_unit_test(numbers_are_those_of_the_pool),
		cmocka_unit_test(times_fall_into_their_buckets),
		cmocka_unit_test(names_are_escaped),
		cmocka_unit_test(many_pools_in_one_text),
		cmocka_unit_test(events_tell_an_outage),
		cmocka_unit_test(read_only_is_told),
		cmocka_unit_test(a_slow_callback_holds_up_nobody),
		cmocka_unit_test(a_callback_cannot_close_its_pool),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
