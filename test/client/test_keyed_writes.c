/*
 * test_keyed_writes.c
 *		Writes under random kills: what was said of each attempt is compared with what
 *		is in the table.
 *
 * Each write has a number, which is its key, and each attempt of it leaves a row
 * (number, attempt) in `ledger`.  Server processes are terminated all the time,
 * and a proxy cuts connections at COMMIT.  An attempt whose fate is unknown is resolved
 * by its ticket, and the key must say the same; the write is tried again until an
 * attempt is committed.
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>

#include "dbpool_outcome.h"
#include "proxy.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define WRITES 4000
#else
#define WRITES 20000
#endif
#define WRITERS 4

static dbpool_pool *pool;	/* through the proxy */
static dbpool_pool *second; /* to resolve by: is killed, too */
static atomic_bool	done;
static atomic_long	kills;
static atomic_long	unknown;
static atomic_long	resolved;
static atomic_long	misreported; /* ticket and key disagree */
static atomic_long	broken;		 /* what must not happen at all */
static int			committed[WRITES]; /* the attempt said to be committed */
static int			attempts[WRITES];

static void
complain(const char *what, int number, const dbpool_error *e)
{
	fprintf(stderr, "# write %d: %s: %s %s %s\n", number, what, dbpool_errname(e->code), e->sqlstate,
			e->message);
	atomic_fetch_add(&broken, 1);
}

/* What became of it, by ticket and by key. */
static int
find_out(int number, const char *key, const dbpool_session *s)
{
	dbpool_error e = DBPOOL_ERROR_INIT;
	int			 by_ticket = DBPOOL_UNKNOWN;
	int			 by_key = DBPOOL_UNKNOWN;

	atomic_fetch_add(&unknown, 1);
	if (dbpool_resolve(second, &s->ticket, dbpool_deadline_ms(10000), &by_ticket, &e) == DBPOOL_OK)
		atomic_fetch_add(&resolved, 1);
	else
		print_message("# write %d: not resolved: %s %s\n", number, dbpool_errname(e.code), e.message);
	/* a kill while it looks is no answer */
	for (int i = 0; by_key == DBPOOL_UNKNOWN && i < 20; i++)
		(void) dbpool_resolve_key(second, "written", key, dbpool_deadline_ms(10000), &by_key, &e);
	if (by_key == DBPOOL_UNKNOWN)
		complain("its key tells nothing", number, &e);
	else if (by_ticket != DBPOOL_UNKNOWN && by_ticket != by_key)
		atomic_fetch_add(&misreported, 1);
	return by_key;
}

/* One attempt; its fate. */
static int
attempt(int number, int which)
{
	dbpool_session s = DBPOOL_SESSION_INIT;
	dbpool_error   e = DBPOOL_ERROR_INIT;
	char		   key[16];
	char		   text[16];
	const char	  *values[] = {key, text};
	dbpool_params  params = {.size = sizeof(params), .n = 2, .values = values};
	PGresult	  *res;
	int			   code;

	snprintf(key, sizeof(key), "%d", number);
	snprintf(text, sizeof(text), "%d", which);
	s.flags = DBPOOL_TX_TRACK;
	if (dbpool_session_begin(pool, dbpool_deadline_ms(20000), &s, &e) != DBPOOL_OK)
	{
		if (e.code != DBPOOL_ECONNLOST)
			complain("no transaction", number, &e);
		return DBPOOL_ABORTED;
	}
	code = dbpool_session_key(&s, "written", key, &e);
	if (code == DBPOOL_EDONE)
		complain("done before, though not said so", number, &e);
	if (code == DBPOOL_OK)
	{
		code = dbpool_exec(s.lease, s.deadline, "insert into ledger values ($1, $2)", &params, &res, &e);
		PQclear(res);
	}
	if (code == DBPOOL_OK)
		code = dbpool_session_commit(&s, &e);
	else
		dbpool_session_end(&s);
	if (code != DBPOOL_OK && code != DBPOOL_ECONNLOST && strcmp(e.sqlstate, "57P01") != 0)
		complain("failed", number, &e);
	if ((code == DBPOOL_OK) != (s.fate == DBPOOL_COMMITTED))
		complain("code and fate differ", number, &e);
	return s.fate == DBPOOL_UNKNOWN ? find_out(number, key, &s) : s.fate;
}

static void *
writer(void *arg)
{
	int first = (int) (intptr_t) arg;

	for (int number = first; number < WRITES; number += WRITERS)
		while (committed[number] == 0 && atomic_load(&broken) == 0)
		{
			int which = ++attempts[number];

			if (attempt(number, which) == DBPOOL_COMMITTED)
				committed[number] = which;
		}
	return NULL;
}

static void *
killer(void *arg)
{
	PGconn *conn = PQconnectdb(dsn());

	(void) arg;
	while (!atomic_load(&done))
	{
		PGresult *res = PQexec(conn, "select pg_terminate_backend(pid) from (select pid from "
									 "pg_stat_activity where application_name like 'writes%' "
									 "order by random() limit 1) p");

		atomic_fetch_add(&kills, PQntuples(res));
		PQclear(res);
		sleep_ms(20);
	}
	PQfinish(conn);
	return NULL;
}

/* Compare what was said with what is there. */
static void
judge(void)
{
	PGconn	 *conn = PQconnectdb(dsn());
	PGresult *res = PQexec(conn, "select key, attempt from ledger");
	int		  lost = 0;
	int		  doubled = 0;
	int		  other = 0;

	static int rows[WRITES];

	for (int i = 0; i < PQntuples(res); i++)
	{
		int number = atoi(PQgetvalue(res, i, 0));

		rows[number]++;
		other += atoi(PQgetvalue(res, i, 1)) != committed[number];
	}
	for (int i = 0; i < WRITES; i++)
	{
		lost += rows[i] == 0;
		doubled += rows[i] > 1;
	}
	PQclear(res);
	PQfinish(conn);
	print_message("# %d writes, %ld kills, %ld unknown, %ld of them resolved\n", WRITES,
				  atomic_load(&kills), atomic_load(&unknown), atomic_load(&resolved));
	assert_int_equal(lost, 0);
	assert_int_equal(doubled, 0);
	/* the row of an attempt that was said to be aborted */
	assert_int_equal(other, 0);
}

static void
keyed_writes_under_kills(void **state)
{
	proxy	 *cutter = proxy_start();
	pthread_t threads[WRITERS];
	pthread_t assassin;

	(void) state;
	admin_int("set client_min_messages = warning; drop table if exists written, ledger; "
			  "create table written (key text primary key); "
			  "create table ledger (key int, attempt int)");
	pool = open_pool("conninfo", proxy_dsn(cutter), "name", "writes", "max", "6", NULL);
	second = open_pool("name", "writes_second", "max", "3", NULL);
	proxy_chance(cutter, 20000);
	assert_int_equal(pthread_create(&assassin, NULL, killer, NULL), 0);
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, writer, (void *) (intptr_t) i), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&done, true);
	pthread_join(assassin, NULL);
	assert_int_equal(atomic_load(&broken), 0);
	judge();
	assert_int_equal(atomic_load(&misreported), 0);
	assert_true(atomic_load(&unknown) > WRITES / 200);
	assert_true(atomic_load(&unknown) <= (long) proxy_faults(cutter) + atomic_load(&kills));
	assert_true(atomic_load(&resolved) * 100 >= atomic_load(&unknown) * 99);
	close_pool(pool);
	close_pool(second);
	proxy_stop(cutter);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keyed_writes_under_kills),
	};
	int failed = cmocka_run_group_tests_name("keyed_writes", tests, NULL, NULL);

	admin_forget();
	return failed;
}
