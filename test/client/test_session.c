/*
 * test_session.c
 *		What one borrower leaves must not be seen by the next; age and idleness.
 */
#include "harness.h"

#include <pthread.h>

static dbpool_error err = DBPOOL_ERROR_INIT;

static long
backend(dbpool_lease lease)
{
	return PQbackendPID(dbpool_conn(lease));
}

/* Run statements in one lease, then expect `expected` of `probe` in the next. */
static void
leave_and_probe(dbpool_pool *pool, const char *leave, const char *probe, const char *expected,
				bool same_backend)
{
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	char		 text[128];
	long		 pid;

	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	pid = backend(lease);
	PQclear(PQexec(dbpool_conn(lease), leave)); /* raw libpq: the pool sees it all the same */
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_string_equal(lease_text(lease, probe, text, sizeof(text)), expected);
	if (same_backend)
		assert_int_equal(backend(lease), pid);
	else
		assert_int_not_equal(backend(lease), pid);
	dbpool_release(&lease);
}

static void
open_transaction_is_rolled_back(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);

	(void) state;
	admin_int("drop table if exists left_over; create table left_over (i int)");
	leave_and_probe(pool, "begin; insert into left_over values (1)",
					"select count(*) from left_over", "0", true);
	leave_and_probe(pool, "begin; select 1/0", "select 8", "8", true);
	assert_int_equal(stats_of(pool).rollbacks, 2);
	assert_int_equal(admin_int("select count(*) from left_over"), 0);
	close_pool(pool);
}

static void
dirty_session_is_reset(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);

	(void) state;
	leave_and_probe(pool, "set work_mem = '123kB'", "show work_mem", "4MB", true);
	leave_and_probe(pool, "create temp table t1 (i int)", "select to_regclass('t1') is null", "t",
					true);
	leave_and_probe(pool, "create temp table t2 as select 1 as i",
					"select to_regclass('t2') is null", "t", true);
	leave_and_probe(pool, "select 1 as i into temp t3", "select to_regclass('t3') is null", "t",
					true);
	leave_and_probe(pool, "prepare p as select 1", "select count(*) from pg_prepared_statements",
					"0", true);
	leave_and_probe(pool, "listen ch", "select count(*) from pg_listening_channels()", "0", true);
	leave_and_probe(pool, "do $$ begin set work_mem = '321kB'; end $$", "show work_mem", "4MB",
					true);
	leave_and_probe(pool, "declare c cursor with hold for select 1",
					"select count(*) from pg_cursors", "0", true);
	leave_and_probe(pool, "begin; set work_mem = '99kB'", "show work_mem", "4MB", true);
	assert_int_equal(stats_of(pool).resets, 9);
	close_pool(pool);
}

static void
clean_session_is_not_reset(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;

	(void) state;
	leave_and_probe(pool, "begin; select 1; commit", "select 1", "1", true);
	/* the borrower cleans up himself */
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	PQclear(PQexec(dbpool_conn(lease), "set work_mem = '1MB'"));
	PQclear(PQexec(dbpool_conn(lease), "discard all"));
	dbpool_release(&lease);
	assert_int_equal(stats_of(pool).resets, 0);
	close_pool(pool);
}

static void
reset_never_and_always(void **state)
{
	dbpool_pool *never = open_pool("max", "1", "reset", "never", NULL);
	dbpool_pool *always = open_pool("max", "1", "reset", "always", NULL);

	(void) state;
	leave_and_probe(never, "set work_mem = '1MB'", "show work_mem", "1MB", true);
	/* but an open transaction never stays */
	leave_and_probe(never, "begin", "select now() = statement_timestamp()", "t", true);
	leave_and_probe(always, "select set_config('work_mem', '1MB', false)", "show work_mem", "4MB",
					true);
	close_pool(never);
	close_pool(always);
}

static void
prepared_by_protocol_is_dirty(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	PQclear(PQprepare(dbpool_conn(lease), "q", "select 1", 0, NULL));
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_equal(lease_int(lease, "select count(*) from pg_prepared_statements"), 0);
	dbpool_release(&lease);
	close_pool(pool);
}

static int notices;

static void
count_notice(void *arg, const char *message)
{
	(void) arg;
	(void) message;
	notices++;
}

static void
client_side_state_is_restored(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	PGconn		*conn;
	char		 text[8];

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	conn = dbpool_conn(lease);
	PQsetNoticeProcessor(conn, count_notice, NULL);
	PQsetErrorVerbosity(conn, PQERRORS_TERSE);
	PQsetnonblocking(conn, 1);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	conn = dbpool_conn(lease);
	assert_false(PQisnonblocking(conn));
	assert_int_equal(PQsetErrorVerbosity(conn, PQERRORS_DEFAULT), PQERRORS_DEFAULT);
	assert_ptr_not_equal(PQsetNoticeProcessor(conn, NULL, NULL), count_notice);
	lease_text(lease, "set client_min_messages = error", text, sizeof(text));
	dbpool_release(&lease);
	assert_int_equal(notices, 0);
	close_pool(pool);
}

static void
count_received(void *arg, const PGresult *res)
{
	(void) res;
	(*(int *) arg)++;
}

/*
 * The server talks during the reset: not to the borrower, who may have freed what
 * his receiver and processor use.
 */
static void
notices_of_a_reset_reach_nobody(void **state)
{
	static const char *const leave[] = {"set work_mem = '1MB'", "begin", "select 1"};
	dbpool_pool *pool = open_pool("max", "1", "validate_after_idle_ms", "0", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	int			*received = calloc(1, sizeof(int));
	char		 text[8];

	(void) state;
	for (int i = 0; i < 6; i++)
	{
		int noticed;

		notices = *received = 0;
		assert_ok(dbpool_acquire(pool, 0, &lease, &err));
		if (i < 3)
			PQsetNoticeProcessor(dbpool_conn(lease), count_notice, NULL);
		else
			PQsetNoticeReceiver(dbpool_conn(lease), count_received, received);
		lease_text(lease, "set client_min_messages = debug5", text, sizeof(text));
		lease_text(lease, leave[i % 3], text, sizeof(text));
		noticed = notices + *received;
		assert_true(noticed > 0);
		dbpool_release(&lease);
		assert_soon(stats_of(pool).idle == 1);
		assert_int_equal(notices + *received, noticed);
	}
	free(received);
	close_pool(pool);
}

/* Notifications that came for one borrower are not read by the next. */
static void
notifications_are_dropped(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	char		 text[8];

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	lease_text(lease, "listen ch", text, sizeof(text));
	lease_text(lease, "notify ch, 'yours'", text, sizeof(text));
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_null(PQnotifies(dbpool_conn(lease)));
	dbpool_release(&lease);
	close_pool(pool);
}

/* Not everything that a failed command did is undone. */
static void
failed_commands_are_dirty(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);

	(void) state;
	leave_and_probe(pool,
					"do $$ begin set work_mem = '321kB'; commit; raise exception 'late'; end $$",
					"show work_mem", "4MB", true);
	leave_and_probe(pool,
					"begin; do $$ begin execute 'prepare q as select 1'; raise exception 'late'; end $$",
					"select count(*) from pg_prepared_statements", "0", true);
	leave_and_probe(pool, "explain (analyze) create temp table te as select 1 as i",
					"select to_regclass('te') is null", "t", true);
	assert_int_equal(stats_of(pool).resets, 3);
	close_pool(pool);
}

/* What is left in the middle of a conversation cannot be cleaned: closed. */
static void
unfinished_conversation_is_closed(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", "name", "unfinished", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	long		 pid;

	(void) state;
	for (int i = 0; i < 4; i++)
	{
		PGconn *conn;

		assert_ok(dbpool_acquire(pool, 0, &lease, &err));
		conn = dbpool_conn(lease);
		pid = backend(lease);
		if (i == 0)
			PQclear(PQexec(conn, "copy (select 1) to stdout"));
		else if (i == 1)
			assert_int_equal(PQsendQuery(conn, "select pg_sleep(30)"), 1);
		else if (i == 2)
			assert_int_equal(PQenterPipelineMode(conn), 1);
		else
			PQclear(PQexec(conn, "copy pg_am from stdin"));
		dbpool_release(&lease);
		assert_ok(dbpool_acquire(pool, 0, &lease, &err));
		assert_int_not_equal(backend(lease), pid);
		assert_int_equal(lease_int(lease, "select 9"), 9);
		/* the old one is gone: its command, if any, was cancelled */
		assert_int_equal(
			admin_int("select count(*) from pg_stat_activity where application_name = 'unfinished'"),
			1);
		dbpool_release(&lease);
	}
	assert_int_equal(stats_of(pool).closed_broken, 4);
	assert_true(stats_of(pool).cancels_sent >= 1);
	/* cancelled before the server has begun: the first cancel is lost on it */
	for (int i = 0; i < 30; i++)
	{
		assert_ok(dbpool_acquire(pool, 0, &lease, &err));
		assert_int_equal(PQsendQuery(dbpool_conn(lease), "select pg_sleep(30)"), 1);
		dbpool_discard(&lease);
		assert_ok(dbpool_acquire(pool, 0, &lease, &err));
		assert_int_equal(
			admin_int("select count(*) from pg_stat_activity where application_name = 'unfinished'"),
			1);
		dbpool_release(&lease);
	}
	print_message("# %llu cancels for 30 commands\n",
				  (unsigned long long) stats_of(pool).cancels_sent);
	close_pool(pool);
}

static void
borrower_may_finish_by_mistake(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	PGresult	*res;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	PQfinish(dbpool_conn(lease));
	assert_null(dbpool_conn(lease));
	assert_int_equal(dbpool_exec(lease, 0, "select 1", NULL, &res, &err), DBPOOL_ECONNLOST);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_equal(lease_int(lease, "select 10"), 10);
	dbpool_release(&lease);
	close_pool(pool);
}

/* ---- read-only servers ---- */

static void
read_only_session_is_evicted(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	PGresult	*res;
	long		 pid;

	(void) state;
	admin_int("drop table if exists ro; create table ro (i int)");
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	pid = backend(lease);
	PQclear(PQexec(dbpool_conn(lease), "set default_transaction_read_only = on"));
	assert_int_equal(dbpool_exec(lease, 0, "insert into ro values (1)", NULL, &res, &err),
					 DBPOOL_EQUERY);
	assert_string_equal(err.sqlstate, "25006");
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_not_equal(backend(lease), pid);
	assert_int_equal(dbpool_exec(lease, 0, "insert into ro values (1)", NULL, &res, &err), DBPOOL_OK);
	PQclear(res);
	dbpool_release(&lease);
	assert_int_equal(stats_of(pool).closed_evicted, 1);
	close_pool(pool);
}

/* The server turned read-only: all connections of that time are evicted. */
static void
read_only_server_evicts_generation(void **state)
{
	dbpool_pool *pool = open_pool("max", "3", "min", "3", NULL);
	dbpool_lease l[3] = {DBPOOL_LEASE_INIT, DBPOOL_LEASE_INIT, DBPOOL_LEASE_INIT};
	long		 pids[3];
	PGresult	*res;

	(void) state;
	admin_int("drop table if exists ro; create table ro (i int)");
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	for (int i = 0; i < 3; i++)
	{
		assert_ok(dbpool_acquire(pool, 0, &l[i], &err));
		pids[i] = backend(l[i]);
	}
	admin_int("alter system set default_transaction_read_only = on");
	admin_int("select pg_reload_conf()");
	for (int i = 0; i < 3; i++)
	{
		char text[16];

		assert_soon(strcmp(lease_text(l[i], "show default_transaction_read_only", text,
									  sizeof(text)),
						   "on") == 0);
	}
	dbpool_release(&l[1]); /* idle by then */
	assert_int_equal(dbpool_exec(l[0], 0, "insert into ro values (1)", NULL, &res, &err),
					 DBPOOL_EQUERY);
	admin_int("set default_transaction_read_only = off");
	admin_int("alter system reset default_transaction_read_only");
	admin_int("select pg_reload_conf()");
	admin_forget();
	dbpool_release(&l[0]);
	dbpool_release(&l[2]); /* lent then */
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	for (int i = 0; i < 3; i++)
	{
		assert_ok(dbpool_acquire(pool, 0, &l[i], &err));
		for (int j = 0; j < 3; j++)
			assert_int_not_equal(backend(l[i]), pids[j]);
	}
	for (int i = 0; i < 3; i++)
		dbpool_release(&l[i]);
	assert_int_equal(stats_of(pool).closed_evicted, 3);
	close_pool(pool);
}

static void
read_only_transaction_evicts_one(void **state)
{
	dbpool_pool *pool = open_pool("max", "2", "min", "2", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	PGresult	*res;
	char		 text[8];

	(void) state;
	admin_int("drop table if exists ro; create table ro (i int)");
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	lease_text(lease, "begin read only", text, sizeof(text));
	assert_int_equal(dbpool_exec(lease, 0, "insert into ro values (1)", NULL, &res, &err),
					 DBPOOL_EQUERY);
	dbpool_release(&lease);
	assert_int_equal(stats_of(pool).closed_evicted, 1);
	close_pool(pool);
}

/* ---- age ---- */

static void
evict_replaces_all(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	long		 pid;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	pid = backend(lease);
	assert_ok(dbpool_evict(pool, &err));
	assert_int_equal(lease_int(lease, "select 11"), 11); /* not while lent */
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_not_equal(backend(lease), pid);
	pid = backend(lease);
	dbpool_release(&lease);
	assert_ok(dbpool_evict(pool, &err));
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_not_equal(backend(lease), pid);
	dbpool_release(&lease);
	close_pool(pool);
}

static void
idle_ones_shrink_to_min(void **state)
{
	dbpool_pool *pool = open_pool("max", "4", "min", "1", "idle_timeout_ms", "200", NULL);
	dbpool_lease l[4] = {DBPOOL_LEASE_INIT, DBPOOL_LEASE_INIT, DBPOOL_LEASE_INIT, DBPOOL_LEASE_INIT};

	(void) state;
	for (int i = 0; i < 4; i++)
		assert_ok(dbpool_acquire(pool, 0, &l[i], &err));
	for (int i = 0; i < 4; i++)
		dbpool_release(&l[i]);
	assert_int_equal(stats_of(pool).idle, 4);
	assert_soon(stats_of(pool).total == 1);
	sleep_ms(500);
	assert_int_equal(stats_of(pool).idle, 1);
	assert_int_equal(stats_of(pool).closed_idle, 3);
	close_pool(pool);
}

static void
lifetime_ends_connections(void **state)
{
	dbpool_pool *pool = open_pool("max", "2", "min", "1", "lifetime_ms", "250", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	long		 pid;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	pid = backend(lease);
	sleep_ms(400);
	assert_int_equal(lease_int(lease, "select 12"), 12); /* not while lent */
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_not_equal(backend(lease), pid);
	dbpool_release(&lease);
	/* the idle one is replaced by itself */
	assert_soon(stats_of(pool).closed_lifetime >= 2);
	assert_soon(stats_of(pool).idle >= 1);
	close_pool(pool);
}

/* What the server adds to its errors is in the message, on its one line. */
static void
errors_have_detail_and_hint(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = lease_of(pool);
	PGresult	*res;

	(void) state;
	assert_int_equal(dbpool_exec(lease, 0,
								 "do $$ begin raise exception 'no' using detail = E'as\\nseen', "
								 "hint = 'ask'; end $$",
								 NULL, &res, &err),
					 DBPOOL_EQUERY);
	assert_string_equal(err.message, "no; DETAIL: as seen; HINT: ask");
	assert_int_equal(dbpool_exec(lease, 0, "do $$ begin raise exception 'no' using hint = 'ask'; end $$",
								 NULL, &res, &err),
					 DBPOOL_EQUERY);
	assert_string_equal(err.message, "no; HINT: ask");
	assert_int_equal(dbpool_exec(lease, 0, "do $$ begin raise exception 'no'; end $$", NULL, &res, &err),
					 DBPOOL_EQUERY);
	assert_string_equal(err.message, "no");
	/* the end is cut, not the beginning */
	assert_int_equal(dbpool_exec(lease, 0,
								 "do $$ begin raise exception 'no' using detail = repeat('x', 9999); end $$",
								 NULL, &res, &err),
					 DBPOOL_EQUERY);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_int_equal(strncmp(err.message, "no; DETAIL: xxx", 15), 0);
	dbpool_release(&lease);
	close_pool(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_transaction_is_rolled_back),
		cmocka_unit_test(dirty_session_is_reset),
		cmocka_unit_test(clean_session_is_not_reset),
		cmocka_unit_test(reset_never_and_always),
		cmocka_unit_test(prepared_by_protocol_is_dirty),
		cmocka_unit_test(client_side_state_is_restored),
		cmocka_unit_test(notices_of_a_reset_reach_nobody),
		cmocka_unit_test(notifications_are_dropped),
		cmocka_unit_test(failed_commands_are_dirty),
		cmocka_unit_test(unfinished_conversation_is_closed),
		cmocka_unit_test(borrower_may_finish_by_mistake),
		cmocka_unit_test(read_only_session_is_evicted),
		cmocka_unit_test(read_only_server_evicts_generation),
		cmocka_unit_test(read_only_transaction_evicts_one),
		cmocka_unit_test(evict_replaces_all),
		cmocka_unit_test(idle_ones_shrink_to_min),
		cmocka_unit_test(lifetime_ends_connections),
		cmocka_unit_test(errors_have_detail_and_hint),
	};
	int failed = cmocka_run_group_tests_name("session", tests, NULL, NULL);

	admin_forget();
	return failed;
}
