/*
 * test_unit.c
 *		The parts of libdbpool that need no server.
 */
#include "harness.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

static dbpool_error err = DBPOOL_ERROR_INIT;

static void
errors_have_names(void **state)
{
	(void) state;
	assert_string_equal(dbpool_errname(DBPOOL_ETIMEDOUT), "DBPOOL_ETIMEDOUT");
	assert_string_equal(dbpool_strerror(DBPOOL_OK), "success");
	for (int i = 0; i < DBPOOL_NERRORS; i++)
		assert_string_not_equal(dbpool_errname(i), "DBPOOL_UNKNOWN");
	assert_string_equal(dbpool_errname(DBPOOL_NERRORS), "DBPOOL_UNKNOWN");
	assert_string_equal(dbpool_errname(-1), "DBPOOL_UNKNOWN");
	assert_string_equal(dbpool_version(), DBPOOL_VERSION_STRING);
}

static void
messages_become_one_line(void **state)
{
	char a[] = "first\n\tsecond\n";
	char b[] = "plain";
	char c[] = "\n\n";

	(void) state;
	dbpool__one_line(a);
	assert_string_equal(a, "first; second");
	dbpool__one_line(b);
	assert_string_equal(b, "plain");
	dbpool__one_line(c);
	assert_string_equal(c, "");
}

static void
config_refuses_nonsense(void **state)
{
	dbpool_config *config = dbpool_config_new();
	dbpool_pool	  *pool = (void *) 1;
	dbpool_error   small = {.size = 8};

	(void) state;
	assert_int_equal(dbpool_config_set(config, "acquire_timeot_ms", "1", &err), DBPOOL_EINVAL);
	assert_non_null(strstr(err.message, "\"acquire_timeout_ms\""));
	assert_int_equal(dbpool_config_set(config, "max", "0", &err), DBPOOL_EINVAL);
	assert_non_null(strstr(err.message, "from 1 to 10000 or auto"));
	assert_int_equal(dbpool_config_set(config, "max", "7x", &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_config_set(config, "max", "", &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_config_set(config, "max", "99999999999999999999", &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_config_set(config, "min", "-1", &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_config_set(config, "reset", "sometimes", &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_config_set(config, "name", "", &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_config_set(config, "conninfo", "hots=x", &err), DBPOOL_EINVAL);
	assert_non_null(strstr(err.message, "hots"));
	assert_int_equal(dbpool_config_set(NULL, "max", "1", &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_config_set(config, NULL, "1", &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_config_set(config, "max", NULL, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_config_set(config, "max", "5", &small), DBPOOL_EINVAL);
	assert_int_equal(config->max, 0); /* nothing of all this was taken */

	assert_int_equal(dbpool_config_set(config, "min", "5", &err), DBPOOL_OK);
	assert_int_equal(dbpool_config_set(config, "max", "3", &err), DBPOOL_OK);
	assert_int_equal(dbpool_open(config, &pool, &err), DBPOOL_EINVAL);
	assert_null(pool);
	assert_non_null(strstr(err.message, "\"min\" (5) is greater than \"max\" (3)"));
	assert_int_equal(dbpool_open(NULL, &pool, &err), DBPOOL_EINVAL);
	dbpool_config_free(config);
	dbpool_config_free(NULL);
}

static void
config_takes_values(void **state)
{
	dbpool_config *config = dbpool_config_new();
	dbpool_config  out;

	(void) state;
	assert_ok(dbpool_config_set(config, "conninfo", "host=/x connect_timeout=7", &err));
	assert_ok(dbpool_config_set(config, "reset", "always", &err));
	assert_ok(dbpool_config_set(config, "lifetime_ms", "0", &err));
	assert_ok(dbpool_config_set(config, "max", "12", &err));
	assert_ok(dbpool_config_set(config, "max", "auto", &err));
	assert_ok(dbpool__config_resolve(config, &out, &err));
	assert_int_equal(out.reset, RESET_ALWAYS);
	assert_int_equal(out.lifetime_ms, 0);
	assert_int_equal(out.connect_timeout_ms, 7000);
	assert_int_equal(out.max, dbpool__pool_size(dbpool__cpus_usable("")));
	dbpool__config_clear(&out);
	assert_ok(dbpool_config_set(config, "connect_timeout_ms", "250", &err));
	assert_ok(dbpool__config_resolve(config, &out, &err));
	assert_int_equal(out.connect_timeout_ms, 250);
	dbpool__config_clear(&out);
	dbpool_config_free(config);
}

/* ---- CPUs ---- */

static char root[64];

static void
put(const char *path, const char *text)
{
	char  full[512];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
		 slash = strchr(slash + 1, '/'))
	{
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int
root_new(void **state)
{
	(void) state;
	strcpy(root, "/tmp/dbpool-cpus.XXXXXX");
	return mkdtemp(root) == NULL;
}

static int
root_remove(void **state)
{
	char command[128];

	(void) state;
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static void
cpus_without_cgroup(void **state)
{
	(void) state;
	assert_int_equal(dbpool__cpus_quota(root), 0);
	assert_true(dbpool__cpus_usable(root) >= 1);
}

static void
cpus_cgroup_v2(void **state)
{
	(void) state;
	put("/proc/self/cgroup", "0::/a/b\n");
	put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	assert_int_equal(dbpool__cpus_quota(root), 0);
	put("/sys/fs/cgroup/a/b/cpu.max", "350000 100000\n");
	assert_int_equal(dbpool__cpus_quota(root), 4); /* rounded up */
	put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
	assert_int_equal(dbpool__cpus_quota(root), 1); /* the parent's is less */
	assert_int_equal(dbpool__cpus_usable(root), 1);
}

static void
cpus_cgroup_v2_at_root(void **state)
{
	(void) state;
	put("/proc/self/cgroup", "0::/\n");
	put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
	assert_int_equal(dbpool__cpus_quota(root), 2);
}

static void
cpus_cgroup_v1(void **state)
{
	(void) state;
	put("/proc/self/cgroup", "4:cpuset:/x\n2:cpuacct,cpu:/docker/1\n0::/\n");
	put("/sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "100000\n");
	assert_int_equal(dbpool__cpus_quota(root), 0);
	/* in a container the mount shows our group as its root */
	put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n");
	put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	assert_int_equal(dbpool__cpus_quota(root), 3);
	put("/proc/self/cgroup", "4:cpuset:/x\nnonsense\n");
	assert_int_equal(dbpool__cpus_quota(root), 0);
}

static void
size_formula(void **state)
{
	(void) state;
	assert_int_equal(dbpool__pool_size(1), 3);
	assert_int_equal(dbpool__pool_size(4), 9);
	assert_int_equal(dbpool__pool_size(32), 64);
	assert_int_equal(dbpool__pool_size(1024), 64);
	assert_int_equal(dbpool__pool_size(0), 3);
}

/* ---- waiters ---- */

static void
waitq_is_a_queue(void **state)
{
	dbpool__waitq  q = {0};
	dbpool__waiter w[4];

	(void) state;
	memset(w, 0, sizeof(w));
	for (int i = 0; i < 4; i++)
		dbpool__waitq_push(&q, &w[i]);
	assert_int_equal(q.n, 4);
	assert_ptr_equal(q.head, &w[0]);
	assert_true(dbpool__waitq_settle(&q, &w[1], WAITER_TIMEDOUT)); /* from the middle */
	assert_true(dbpool__waitq_settle(&q, q.head, WAITER_GRANTED));
	assert_ptr_equal(q.head, &w[2]);
	assert_true(dbpool__waitq_settle(&q, &w[3], WAITER_TIMEDOUT)); /* the tail */
	assert_ptr_equal(q.tail, &w[2]);
	assert_true(dbpool__waitq_settle(&q, &w[2], WAITER_FAILED));
	assert_int_equal(q.n, 0);
	assert_null(q.head);
	assert_null(q.tail);
	/* the second verdict loses, the first stays */
	assert_false(dbpool__waitq_settle(&q, &w[0], WAITER_TIMEDOUT));
	assert_int_equal(w[0].state, WAITER_GRANTED);
	assert_int_equal(q.n, 0);
}

#define RACE_ROUNDS 3000

static pthread_mutex_t race_lock = PTHREAD_MUTEX_INITIALIZER;
static dbpool__waitq   race_q;
static bool			   race_done;
static long			   race_grants;

static void *
race_granter(void *arg)
{
	(void) arg;
	for (;;)
	{
		_Atomic uint32_t *word = NULL;
		bool			  done;

		pthread_mutex_lock(&race_lock);
		done = race_done;
		if (race_q.head != NULL)
		{
			dbpool__waiter *w = race_q.head;

			word = &w->state;
			if (dbpool__waitq_settle(&race_q, w, WAITER_GRANTED))
				race_grants++;
		}
		pthread_mutex_unlock(&race_lock);
		dbpool__waiter_wake(word);
		if (done)
			return NULL;
		usleep(20);
	}
}

/* Grants and timeouts race for real: the sums must agree. */
static void
waitq_one_winner(void **state)
{
	pthread_t thread;
	long	  granted = 0;
	long	  timedout = 0;

	(void) state;
	assert_int_equal(pthread_create(&thread, NULL, race_granter, NULL), 0);
	for (int i = 0; i < RACE_ROUNDS; i++)
	{
		dbpool__waiter	w = {0};
		dbpool__verdict verdict;

		pthread_mutex_lock(&race_lock);
		dbpool__waitq_push(&race_q, &w);
		pthread_mutex_unlock(&race_lock);
		verdict = dbpool__waiter_wait(&w, dbpool__now() + (i % 200) * 1000);
		if (verdict == WAITER_WAITING)
		{
			pthread_mutex_lock(&race_lock);
			if (dbpool__waitq_settle(&race_q, &w, WAITER_TIMEDOUT))
				timedout++;
			else
				granted++;
			pthread_mutex_unlock(&race_lock);
		}
		else
			granted++;
	}
	pthread_mutex_lock(&race_lock);
	race_done = true;
	pthread_mutex_unlock(&race_lock);
	pthread_join(thread, NULL);
	assert_int_equal(granted, race_grants);
	assert_int_equal(granted + timedout, RACE_ROUNDS);
	assert_true(granted > 0 && timedout > 0);
	assert_int_equal(race_q.n, 0);
}

/* ---- what is read out of libpq ---- */

static void
tags_that_dirty(void **state)
{
	static const char *const clean[] = {"INSERT 0 1", "UPDATE 3", "BEGIN", "COMMIT", "ROLLBACK",
										"START TRANSACTION", "LOCK TABLE", "PREPARE TRANSACTION",
										"TRUNCATE TABLE", "COPY 5"};
	static const char *const dirty[] = {"SET", "LISTEN", "PREPARE", "CREATE TABLE", "DO", "SELECT 4",
										"DECLARE CURSOR", "LOAD", "", "INSERTX", "RESET"};

	(void) state;
	for (size_t i = 0; i < sizeof(clean) / sizeof(clean[0]); i++)
		if (dbpool__tag_dirties(clean[i], PGRES_COMMAND_OK))
			fail_msg("\"%s\" counts as dirty", clean[i]);
	for (size_t i = 0; i < sizeof(dirty) / sizeof(dirty[0]); i++)
		if (!dbpool__tag_dirties(dirty[i], PGRES_COMMAND_OK))
			fail_msg("\"%s\" counts as clean", dirty[i]);
	assert_false(dbpool__tag_dirties("SELECT 4", PGRES_TUPLES_OK));
	assert_false(dbpool__tag_dirties("", PGRES_EMPTY_QUERY));
	assert_false(dbpool__tag_dirties("", PGRES_FATAL_ERROR));
	assert_false(dbpool__tag_dirties("", PGRES_COPY_OUT));
}

static void
sqlstate_of_a_connect_error(void **state)
{
	char sqlstate[6];
	char message[200];

	(void) state;
	assert_true(dbpool__connect_sqlstate(
		"connection to server on socket \"/x\" failed: FATAL:  28P01: password wrong\n"
		"LOCATION:  auth_failed, auth.c:339\n",
		sqlstate, message, sizeof(message)));
	assert_string_equal(sqlstate, "28P01");
	assert_string_equal(message,
						"connection to server on socket \"/x\" failed: FATAL: password wrong\n");
	/* another language, a detail, two hosts: the last counts */
	assert_true(dbpool__connect_sqlstate("a: FATAL:  28000: x\nORT:  f, a.c:1\n"
										 "b: FATAL:  3D000: y, z\nDETAIL:  d.\nORT:  g, b.c:2\n",
										 sqlstate, message, sizeof(message)));
	assert_string_equal(sqlstate, "3D000");
	assert_string_equal(message, "a: FATAL: x\nb: FATAL: y, z\nDETAIL:  d.\n");
	assert_false(dbpool__connect_sqlstate("could not connect: refused", sqlstate, message,
										  sizeof(message)));
	assert_string_equal(sqlstate, "");
	assert_string_equal(message, "could not connect: refused");
	/* too long for the buffer: cut, and ended */
	dbpool__connect_sqlstate("0123456789", sqlstate, message, 5);
	assert_string_equal(message, "0123");
	assert_true(dbpool__is_refusal("28P01"));
	assert_true(dbpool__is_refusal("3D000"));
	assert_false(dbpool__is_refusal("57P03"));
	assert_false(dbpool__is_refusal(""));
}

static void
backoff_is_bounded(void **state)
{
	uint64_t rng = 42;
	bool	 small = false;

	(void) state;
	for (int outage = 0; outage < 50; outage++)
	{
		int64_t	 time = 0;
		uint32_t attempts = 0;

		while (time < 30 * NS_PER_S)
		{
			int64_t wait = dbpool__backoff(attempts, false, dbpool__random(&rng));

			assert_true(wait >= 0 && wait <= NS_PER_S);
			small |= attempts == 0 && wait < 10 * NS_PER_MS;
			time += wait;
			attempts++;
		}
		if (attempts > 45)
			fail_msg("%u attempts in 30 s", attempts);
	}
	assert_true(small); /* full jitter: some start at once */
	for (uint32_t n = 0; n < 100; n++)
	{
		int64_t wait = dbpool__backoff(n, true, dbpool__random(&rng));

		assert_true(wait >= 500 * NS_PER_MS && wait <= 5 * NS_PER_S);
	}
}

/* Everything fails: never more than the percentage, once the loan is paid back. */
static void
retry_budget_is_bounded(void **state)
{
	dbpool__budget b;
	int64_t		   retries = 0;

	(void) state;
	dbpool__budget_init(&b, 10, 4);
	for (int64_t n = 1; n <= 2000; n++)
	{
		dbpool__budget_request(&b);
		while (dbpool__budget_take(&b))
			retries++;
		assert_true(retries <= (n / 10 > 5 ? n / 10 : 5));
	}
	assert_int_equal(retries, 200);
	/* nothing is saved up beyond twice the pool's size */
	for (int i = 0; i < 1000; i++)
		dbpool__budget_request(&b);
	for (retries = 0; dbpool__budget_take(&b); retries++)
		continue;
	assert_int_equal(retries, 8);
	dbpool__budget_init(&b, 0, 4);
	dbpool__budget_request(&b);
	assert_false(dbpool__budget_take(&b));
}

static void
retry_pause_is_bounded(void **state)
{
	uint64_t rng = 42;

	(void) state;
	for (uint32_t n = 0; n < 100; n++)
	{
		int64_t most = n < 2 ? 5 : n < 9 ? 5 << (n - 1) : 1000;
		int64_t longest = 0;

		if (most > 1000)
			most = 1000;
		for (int i = 0; i < 200; i++)
		{
			int64_t pause = dbpool__retry_pause(n, dbpool__random(&rng));

			assert_true(pause >= 0 && pause <= most * NS_PER_MS);
			if (pause > longest)
				longest = pause;
		}
		assert_true(longest > most * NS_PER_MS / 2);
	}
}

static void
bad_handles(void **state)
{
	dbpool_lease	  lease = DBPOOL_LEASE_INIT;
	dbpool_lease	  raw;
	dbpool_stats	  stats = DBPOOL_STATS_INIT;
	PGresult		 *res = (void *) 1;

	(void) state;
	memset(&raw, 0, sizeof(raw));
	assert_int_equal(dbpool_acquire(NULL, 0, &lease, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_acquire(NULL, 0, NULL, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_acquire(NULL, 0, &raw, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_pool_stats(NULL, &stats, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_close(NULL, 0, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_wait_ready(NULL, 0, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_evict(NULL, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_exec(lease, 0, "select 1", NULL, &res, &err), DBPOOL_ESTALE);
	assert_null(res);
	assert_int_equal(dbpool_exec(lease, 0, NULL, NULL, &res, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_exec(raw, 0, "select 1", NULL, &res, &err), DBPOOL_EINVAL);
	assert_int_equal(dbpool_lease_check(lease, &err), DBPOOL_ESTALE);
	assert_null(dbpool_conn(lease));
	dbpool_release(NULL);
	dbpool_release(&lease);
	dbpool_discard(&raw);
	assert_int_equal(raw.size, sizeof(raw));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_have_names),
		cmocka_unit_test(messages_become_one_line),
		cmocka_unit_test(config_refuses_nonsense),
		cmocka_unit_test(config_takes_values),
		cmocka_unit_test_setup_teardown(cpus_without_cgroup, root_new, root_remove),
		cmocka_unit_test_setup_teardown(cpus_cgroup_v2, root_new, root_remove),
		cmocka_unit_test_setup_teardown(cpus_cgroup_v2_at_root, root_new, root_remove),
		cmocka_unit_test_setup_teardown(cpus_cgroup_v1, root_new, root_remove),
		cmocka_unit_test(size_formula),
		cmocka_unit_test(waitq_is_a_queue),
		cmocka_unit_test(waitq_one_winner),
		cmocka_unit_test(tags_that_dirty),
		cmocka_unit_test(sqlstate_of_a_connect_error),
		cmocka_unit_test(backoff_is_bounded),
		cmocka_unit_test(retry_budget_is_bounded),
		cmocka_unit_test(retry_pause_is_bounded),
		cmocka_unit_test(bad_handles),
	};

	return cmocka_run_group_tests_name("unit", tests, NULL, NULL);
}
