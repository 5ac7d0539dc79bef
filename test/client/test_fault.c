/*
 * test_fault.c
 *		Servers that refuse, die, hang and come back.
 */
#include "harness.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

static dbpool_error err = DBPOOL_ERROR_INIT;

static dbpool_pool *
open_at(const char *conninfo, const char *connect_timeout_ms)
{
	return open_pool("conninfo", conninfo, "connect_timeout_ms", connect_timeout_ms, "max", "2",
					 NULL);
}

/* Acquire must fail with `code` within `ms`, and say `text`. */
static void
expect_failure(const char *conninfo, int64_t deadline_ms, int code, const char *sqlstate,
			   const char *text, int64_t ms)
{
	dbpool_pool *pool = open_at(conninfo, "300");
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	int64_t		 before = now_ms();
	int			 got = dbpool_acquire(pool, dbpool_deadline_ms(deadline_ms), &lease, &err);

	if (got != code || strcmp(err.sqlstate, sqlstate) != 0 || strstr(err.message, text) == NULL)
		fail_msg("%s %s: %s", dbpool_errname(got), err.sqlstate, err.message);
	assert_between(now_ms() - before, 0, ms);
	before = now_ms();
	assert_ok(dbpool_close(pool, dbpool_deadline_ms(3000), &err));
	/* no longer than we wait for a server process to end */
	assert_between(now_ms() - before, 0, 2500);
}

static void
nobody_listens(void **state)
{
	(void) state;
	expect_failure("host=/nonexistent", 400, DBPOOL_ETIMEDOUT, "", "last connect error: ", 700);
	expect_failure("host=127.0.0.1 port=1", 400, DBPOOL_ETIMEDOUT, "", "refused", 700);
}

/* A server that accepts and never answers: our own deadline must end it. */
static void
server_is_silent(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t		   length = sizeof(address);
	int				   fd = socket(AF_INET, SOCK_STREAM, 0);
	char			   conninfo[128];

	(void) state;
	assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	getsockname(fd, (struct sockaddr *) &address, &length);
	snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d sslmode=disable gssencmode=disable",
			 ntohs(address.sin_port));
	expect_failure(conninfo, 700, DBPOOL_ETIMEDOUT, "", "connect_timeout_ms (300)", 1000);
	close(fd);
}

static void
refusals_fail_at_once(void **state)
{
	char conninfo[512];

	(void) state;
	admin_int("drop role if exists pwuser; create role pwuser login password 'right'");
	snprintf(conninfo, sizeof(conninfo), "%s user=pwuser password=wrong", dsn());
	expect_failure(conninfo, 5000, DBPOOL_EREFUSED, "28P01", "password authentication failed", 900);
	snprintf(conninfo, sizeof(conninfo), "%s dbname=nosuchdb", dsn());
	expect_failure(conninfo, 5000, DBPOOL_EREFUSED, "3D000", "database \"nosuchdb\" does not exist",
				   900);
	snprintf(conninfo, sizeof(conninfo), "%s user=nosuchrole", dsn());
	expect_failure(conninfo, 5000, DBPOOL_EREFUSED, "28000", "role \"nosuchrole\" does not exist",
				   900);
}

static void
refusals_do_not_loop(void **state)
{
	char		 conninfo[512];
	dbpool_pool *pool;
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	uint64_t	 attempts;

	(void) state;
	admin_int("drop role if exists pwuser; create role pwuser login password 'right'");
	snprintf(conninfo, sizeof(conninfo), "%s user=pwuser password=wrong", dsn());
	pool = open_at(conninfo, "1000");
	assert_int_equal(dbpool_wait_ready(pool, dbpool_deadline_ms(3000), &err), DBPOOL_EREFUSED);
	attempts = stats_of(pool).connects_started;
	assert_true(attempts <= 2);
	for (int i = 0; i < 50; i++)
		assert_int_equal(dbpool_acquire(pool, 0, &lease, &err), DBPOOL_EREFUSED);
	sleep_ms(1200); /* the minimum must not be retried by itself */
	assert_true(stats_of(pool).connects_started <= attempts + 1);
	/* put right, a caller finds it within the backoff */
	admin_int("alter role pwuser password 'wrong'");
	assert_soon(dbpool_acquire(pool, 0, &lease, &err) == DBPOOL_OK);
	dbpool_release(&lease);
	close_pool(pool);
}

/* Refused now, but one connection is left that can serve: wait for it. */
static void
refusal_spares_who_can_be_served(void **state)
{
	char		 conninfo[512];
	dbpool_pool *pool;
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_lease second = DBPOOL_LEASE_INIT;

	(void) state;
	admin_int("drop role if exists pwuser; create role pwuser login password 'right'");
	snprintf(conninfo, sizeof(conninfo), "%s user=pwuser password=right", dsn());
	pool = open_at(conninfo, "1000");
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	admin_int("alter role pwuser password 'changed'");
	assert_int_equal(dbpool_acquire(pool, dbpool_deadline_ms(300), &second, &err), DBPOOL_ETIMEDOUT);
	assert_string_equal(err.sqlstate, "28P01");
	assert_non_null(strstr(err.message, "password authentication failed"));
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &second, &err));
	dbpool_release(&second);
	close_pool(pool);
}

static void
killed_while_leased(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	PGresult	*res;
	char		 sql[80];

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	snprintf(sql, sizeof(sql), "select pg_terminate_backend(%d, 2000)",
			 PQbackendPID(dbpool_conn(lease)));
	admin_int(sql);
	assert_int_equal(dbpool_exec(lease, 0, "select 1", NULL, &res, &err), DBPOOL_ECONNLOST);
	assert_null(res);
	assert_int_equal(err.flags, DBPOOL_OUTCOME_UNKNOWN);
	assert_string_equal(err.sqlstate, "57P01");
	/* known dead now: nothing is sent */
	assert_int_equal(dbpool_exec(lease, 0, "select 1", NULL, &res, &err), DBPOOL_ECONNLOST);
	assert_int_equal(err.flags, DBPOOL_NOT_SENT | DBPOOL_RETRYABLE);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_equal(lease_int(lease, "select 13"), 13);
	/* killed and returned without having noticed: found when next lent */
	snprintf(sql, sizeof(sql), "select pg_terminate_backend(%d, 2000)",
			 PQbackendPID(dbpool_conn(lease)));
	admin_int(sql);
	dbpool_release(&lease);
	sleep_ms(600);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_equal(lease_int(lease, "select 14"), 14);
	dbpool_release(&lease);
	assert_int_equal(stats_of(pool).closed_broken, 2);
	close_pool(pool);
}

/* Held for long, killed meanwhile, never used: not handed to the one who waits. */
static void *
acquire_and_use(void *arg)
{
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_error e = DBPOOL_ERROR_INIT;
	PGresult	*res = NULL;
	int			 code = dbpool_acquire(arg, 0, &lease, &e);

	if (code == DBPOOL_OK)
		code = dbpool_exec(lease, 0, "select 1", NULL, &res, &e);
	PQclear(res);
	dbpool_release(&lease);
	return (void *) (intptr_t) code;
}

static void
killed_while_held_is_not_handed_on(void **state)
{
	dbpool_pool *pool = open_pool("max", "1", "validate_after_idle_ms", "50", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	pthread_t	 thread;
	char		 sql[80];
	void		*code;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	snprintf(sql, sizeof(sql), "select pg_terminate_backend(%d, 2000)",
			 PQbackendPID(dbpool_conn(lease)));
	admin_int(sql);
	assert_int_equal(pthread_create(&thread, NULL, acquire_and_use, pool), 0);
	assert_soon(stats_of(pool).waiting == 1);
	sleep_ms(60);
	dbpool_release(&lease);
	pthread_join(thread, &code);
	assert_int_equal((intptr_t) code, DBPOOL_OK);
	assert_int_equal(stats_of(pool).closed_broken, 1);
	close_pool(pool);
}

static void
killed_while_idle(void **state)
{
	dbpool_pool *pool =
		open_pool("name", "idlers", "max", "3", "min", "3", "validate_after_idle_ms", "0", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;

	(void) state;
	for (int round = 0; round < 5; round++)
	{
		/* idle ones that died unseen are noticed within a second */
		assert_soon(admin_int("select count(*) from pg_stat_activity where application_name = "
							  "'idlers'") == 3 &&
					stats_of(pool).idle == 3);
		assert_int_equal(admin_int("select count(pg_terminate_backend(pid, 2000)) from "
								   "pg_stat_activity where application_name = 'idlers'"),
						 3);
		/* all are dead: not one may be handed out */
		assert_ok(dbpool_acquire(pool, 0, &lease, &err));
		assert_int_equal(lease_int(lease, "select 15"), 15);
		dbpool_release(&lease);
	}
	/* without any caller the minimum comes back by itself */
	assert_soon(stats_of(pool).closed_broken == 15 && stats_of(pool).idle == 3);
	admin_int("select count(pg_terminate_backend(pid, 2000)) from pg_stat_activity where "
			  "application_name = 'idlers'");
	assert_soon(stats_of(pool).closed_broken == 18 && stats_of(pool).idle == 3);
	close_pool(pool);
}

/* Words of the server to an idle connection are no reason to lose it. */
static void
idle_with_news_is_kept(void **state)
{
	dbpool_pool *pool =
		open_pool("max", "1", "validate_after_idle_ms", "0", "reset", "never", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	PGnotify	*notify;
	char		 text[8];
	long		 pid;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	pid = PQbackendPID(dbpool_conn(lease));
	lease_text(lease, "listen news", text, sizeof(text));
	dbpool_release(&lease);
	admin_int("notify news");
	sleep_ms(200);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_equal(PQbackendPID(dbpool_conn(lease)), pid);
	notify = PQnotifies(dbpool_conn(lease));
	assert_non_null(notify);
	PQfreemem(notify);
	dbpool_release(&lease);
	assert_int_equal(stats_of(pool).closed_broken, 0);
	close_pool(pool);
}

static void
deadline_cancels_and_discards(void **state)
{
	dbpool_pool *pool = open_pool("name", "late", "max", "1", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	PGresult	*res;
	int64_t		 before;
	long		 pid;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	pid = PQbackendPID(dbpool_conn(lease));
	before = now_ms();
	assert_int_equal(dbpool_exec(lease, dbpool_deadline_ms(100), "select pg_sleep(30)", NULL, &res,
								 &err),
					 DBPOOL_ETIMEDOUT);
	assert_between(now_ms() - before, 99, 400);
	assert_null(res);
	assert_int_equal(err.flags, DBPOOL_OUTCOME_UNKNOWN);
	/* cancelled at once, not only at release */
	assert_soon(admin_int("select count(*) from pg_stat_activity where application_name = 'late' "
						  "and state = 'active'") == 0);
	assert_int_equal(dbpool_exec(lease, 0, "select 1", NULL, &res, &err), DBPOOL_ECONNLOST);
	assert_null(dbpool_conn(lease));
	assert_int_equal(dbpool_lease_check(lease, &err), DBPOOL_ECONNLOST);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	assert_int_not_equal(PQbackendPID(dbpool_conn(lease)), pid);
	dbpool_release(&lease);
	assert_int_equal(stats_of(pool).closed_discarded, 1);
	assert_int_equal(stats_of(pool).cancels_sent, 1);
	assert_int_equal(stats_of(pool).exec_timeouts, 1);
	close_pool(pool);
}

static void
late_cancel_hits_nobody(void **state)
{
	dbpool_pool *pool = open_pool("max", "2", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	PGresult	*res;

	(void) state;
	for (int i = 0; i < 40; i++)
	{
		assert_ok(dbpool_acquire(pool, 0, &lease, &err));
		/* near the time it takes: the cancel often finds it finished */
		if (dbpool_exec(lease, dbpool_deadline_ms(5), "select pg_sleep(0.005)", NULL, &res, &err) ==
			DBPOOL_OK)
			PQclear(res);
		dbpool_release(&lease);
		assert_ok(dbpool_acquire(pool, 0, &lease, &err));
		lease_int(lease, "select pg_sleep(0.01)"); /* fails if cancelled */
		dbpool_release(&lease);
	}
	close_pool(pool);
}

static void
release_does_not_wait_for_a_hung_server(void **state)
{
	dbpool_pool *pool = open_pool("max", "2", "reset_timeout_ms", "500", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	dbpool_lease other = DBPOOL_LEASE_INIT;
	char		 text[8];
	int64_t		 before;
	pid_t		 pid;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	pid = PQbackendPID(dbpool_conn(lease));
	lease_text(lease, "begin", text, sizeof(text));
	assert_int_equal(kill(pid, SIGSTOP), 0);
	before = now_ms();
	dbpool_release(&lease);
	assert_between(now_ms() - before, 0, 50);
	/* the others go on */
	assert_ok(dbpool_acquire(pool, dbpool_deadline_ms(2000), &other, &err));
	assert_int_equal(lease_int(other, "select 16"), 16);
	dbpool_release(&other);
	assert_soon(stats_of(pool).reset_failures == 1);
	kill(pid, SIGCONT);
	close_pool(pool);
}

/* A waiter does not count for long on a reset that may hang with its server. */
static void
hung_reset_keeps_nobody_waiting(void **state)
{
	dbpool_pool *pool = open_pool("max", "3", NULL);
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	char		 text[8];
	pid_t		 pid;

	(void) state;
	assert_ok(dbpool_acquire(pool, 0, &lease, &err));
	pid = PQbackendPID(dbpool_conn(lease));
	lease_text(lease, "set work_mem = '1MB'", text, sizeof(text));
	assert_int_equal(kill(pid, SIGSTOP), 0);
	dbpool_release(&lease);
	assert_ok(dbpool_acquire(pool, dbpool_deadline_ms(1500), &lease, &err));
	assert_int_equal(stats_of(pool).resetting, 1);
	dbpool_release(&lease);
	kill(pid, SIGCONT);
	assert_soon(stats_of(pool).resetting == 0);
	close_pool(pool);
}

/* ---- restart under load ---- */

typedef struct
{
	dbpool_pool *pool;
	atomic_bool *stop;
	atomic_int	*phase; /* 0 before, 1 down, 2 up again for a while */
	long		 done[3];
	long		 lost[3];
	long		 timeouts[3];
	long		 other;
	pthread_t	 thread;
} worker;

/* What ended in another phase than it began in met the outage. */
static int
phase_of(int began, const worker *w)
{
	return began == atomic_load(w->phase) ? began : 1;
}

static void *
work(void *arg)
{
	worker *w = arg;

	while (!atomic_load(w->stop))
	{
		int			 phase = atomic_load(w->phase);
		dbpool_lease lease = DBPOOL_LEASE_INIT;
		dbpool_error e = DBPOOL_ERROR_INIT;
		PGresult	*res = NULL;
		int			 code = dbpool_acquire(w->pool, dbpool_deadline_ms(400), &lease, &e);

		if (code == DBPOOL_ETIMEDOUT)
		{
			w->timeouts[phase_of(phase, w)]++;
			continue;
		}
		if (code == DBPOOL_OK)
			code = dbpool_exec(lease, 0, "select 1", NULL, &res, &e);
		phase = phase_of(phase, w);
		if (code == DBPOOL_OK)
			w->done[phase]++;
		else if (code == DBPOOL_ECONNLOST)
			w->lost[phase]++;
		else if (strcmp(e.sqlstate, "57P01") != 0 && strcmp(e.sqlstate, "57P02") != 0)
		{
			fprintf(stderr, "# %s %s\n", e.sqlstate, e.message);
			w->other++;
		}
		PQclear(res);
		dbpool_release(&lease);
		usleep(500);
	}
	return NULL;
}

static void
restart_under_load(void **state)
{
	dbpool_pool *pool =
		open_pool("name", "restart", "max", "3", "validate_after_idle_ms", "100", NULL);
	atomic_bool	 stop = false;
	atomic_int	 phase = 0;
	worker		 w[6];
	long		 done[3] = {0};
	long		 lost[3] = {0};
	long		 timeouts[3] = {0};
	int64_t		 up;
	dbpool_stats before;

	(void) state;
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	for (int i = 0; i < 6; i++)
	{
		w[i] = (worker){.pool = pool, .stop = &stop, .phase = &phase};
		assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	sleep_ms(300);
	atomic_store(&phase, 1);
	server("stop");
	sleep_ms(700);
	server("start");
	up = now_ms();
	before = stats_of(pool);
	while (stats_of(pool).connects_ok == before.connects_ok && stats_of(pool).idle == 0)
		sleep_ms(2);
	up = now_ms() - up;
	sleep_ms(400);
	atomic_store(&phase, 2);
	sleep_ms(500);
	atomic_store(&stop, true);
	for (int i = 0; i < 6; i++)
	{
		pthread_join(w[i].thread, NULL);
		for (int p = 0; p < 3; p++)
		{
			done[p] += w[i].done[p];
			lost[p] += w[i].lost[p];
			timeouts[p] += w[i].timeouts[p];
		}
		assert_int_equal(w[i].other, 0);
	}
	print_message("# done %ld/%ld/%ld, lost %ld/%ld/%ld, connected again after %ld ms\n", done[0],
				  done[1], done[2], lost[0], lost[1], lost[2], (long) up);
	assert_true(done[0] > 20 && done[2] > 20);
	assert_int_equal(lost[0], 0);
	/* each connection that was there can be lost once, no dead one twice */
	assert_true(lost[1] <= 6);
	assert_true(timeouts[1] > 0);
	assert_int_equal(lost[2], 0);
	assert_int_equal(timeouts[2], 0);
	assert_between(up, 0, 1500);
	close_pool(pool);
}

/* All idle when the server restarts, and nobody about: none of the dead is lent. */
static void
restart_while_idle(void **state)
{
	dbpool_pool *pool = open_pool("max", "3", "min", "3", NULL);
	dbpool_lease l[3] = {DBPOOL_LEASE_INIT, DBPOOL_LEASE_INIT, DBPOOL_LEASE_INIT};

	(void) state;
	assert_ok(dbpool_wait_ready(pool, 0, &err));
	server("stop");
	server("start");
	sleep_ms(600);
	for (int i = 0; i < 3; i++)
		assert_ok(dbpool_acquire(pool, 0, &l[i], &err));
	for (int i = 0; i < 3; i++)
		assert_int_equal(lease_int(l[i], "select 17"), 17);
	for (int i = 0; i < 3; i++)
		dbpool_release(&l[i]);
	close_pool(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(server_is_silent),
		cmocka_unit_test(refusals_fail_at_once),
		cmocka_unit_test(refusals_do_not_loop),
		cmocka_unit_test(refusal_spares_who_can_be_served),
		cmocka_unit_test(killed_while_leased),
		cmocka_unit_test(killed_while_held_is_not_handed_on),
		cmocka_unit_test(killed_while_idle),
		cmocka_unit_test(idle_with_news_is_kept),
		cmocka_unit_test(deadline_cancels_and_discards),
		cmocka_unit_test(late_cancel_hits_nobody),
		cmocka_unit_test(release_does_not_wait_for_a_hung_server),
		cmocka_unit_test(hung_reset_keeps_nobody_waiting),
		cmocka_unit_test(restart_under_load),
		cmocka_unit_test(restart_while_idle),
	};
	int failed = cmocka_run_group_tests_name("fault", tests, NULL, NULL);

	admin_forget();
	return failed;
}
