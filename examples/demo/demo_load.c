/*
 * demo_load.c
 *		pgbench's standard workload ("TPC-B (sort of)") through libdbpool.
 *
 *		demo_load CONNINFO SCALE SECONDS [THREADS]
 *
 * More threads than connections: each transaction borrows a connection, runs
 * pgbench's seven statements and gives it back.  At the end come the rate, the
 * latencies as the threads saw them, the pool's numbers, and what a connection
 * costs with the pool and without.
 *
 * A transaction that the server rolled back for a reason that repetition may
 * cure is repeated.  Anything else ends the program with status 1: a lost
 * connection would leave the fate of a COMMIT unknown, and the demo goes on to
 * compare the sums in the tables with the number of transactions counted here.
 *
 * The pool's name is the application_name of its connections, by which dbutil
 * tells services apart, unless CONNINFO has another; this one is "payments".
 */
#include <dbpool.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "demo.h"

#define SEED 20251124
#define STATEMENT_MS 30000
#define OVERHEAD_CONNECTS 50
#define OVERHEAD_LEASES 2000
#define MAX_THREADS 64

typedef struct Worker
{
	pthread_t	 thread;
	dbpool_pool *pool;
	int			 scale;
	int64_t		 stop_ns;
	uint64_t	 rng;
	uint32_t	*latency_us; /* one for each committed transaction */
	size_t		 room;
	size_t		 count;
	uint64_t	 retries;
} Worker;

static atomic_ullong committed; /* by all threads, for the progress shown */
static atomic_bool	 failed;

/* Say what went wrong, once; the other threads stop as well. */
static void
fail(const char *what, int code, const dbpool_error *err)
{
	if (!atomic_exchange(&failed, true))
		fprintf(stderr, "demo_load: %s: %s (%s)\n", what, err->message, dbpool_errname(code));
}

static int
run(dbpool_lease lease, const char *sql, dbpool_error *err)
{
	PGresult *result = NULL;
	int		  code = dbpool_exec(lease, dbpool_deadline_ms(STATEMENT_MS), sql, NULL, &result, err);

	PQclear(result);
	return code;
}

/* One transaction, as pgbench's built-in script has it. */
static int
transaction(dbpool_lease lease, int scale, uint64_t *rng, dbpool_error *err)
{
	char sql[5][192];
	int	 aid = rng_between(rng, 1, 100000 * scale);
	int	 bid = rng_between(rng, 1, scale);
	int	 tid = rng_between(rng, 1, 10 * scale);
	int	 delta = rng_between(rng, -5000, 5000);
	int	 code;

	snprintf(sql[0], sizeof(sql[0]),
			 "UPDATE pgbench_accounts SET abalance = abalance + %d WHERE aid = %d", delta, aid);
	snprintf(sql[1], sizeof(sql[1]), "SELECT abalance FROM pgbench_accounts WHERE aid = %d", aid);
	snprintf(sql[2], sizeof(sql[2]),
			 "UPDATE pgbench_tellers SET tbalance = tbalance + %d WHERE tid = %d", delta, tid);
	snprintf(sql[3], sizeof(sql[3]),
			 "UPDATE pgbench_branches SET bbalance = bbalance + %d WHERE bid = %d", delta, bid);
	snprintf(sql[4], sizeof(sql[4]),
			 "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) "
			 "VALUES (%d, %d, %d, %d, CURRENT_TIMESTAMP)",
			 tid, bid, aid, delta);

	code = run(lease, "BEGIN", err);
	for (int i = 0; i < 5 && code == DBPOOL_OK; i++)
		code = run(lease, sql[i], err);
	if (code == DBPOOL_OK)
		code = run(lease, "END", err);
	return code;
}

static int
remember_latency(Worker *worker, int64_t ns)
{
	if (worker->count == worker->room)
	{
		size_t	  room = worker->room == 0 ? 4096 : worker->room * 2;
		uint32_t *grown = realloc(worker->latency_us, room * sizeof(uint32_t));

		if (grown == NULL)
			return DBPOOL_ENOMEM;
		worker->latency_us = grown;
		worker->room = room;
	}
	worker->latency_us[worker->count++] = (uint32_t) (ns / 1000);
	return DBPOOL_OK;
}

static void *
work(void *arg)
{
	Worker *worker = arg;

	while (now_ns() < worker->stop_ns && !atomic_load(&failed))
	{
		dbpool_lease lease = DBPOOL_LEASE_INIT;
		dbpool_error err = DBPOOL_ERROR_INIT;
		int64_t		 start = now_ns();
		int			 code;

		code = dbpool_acquire(worker->pool, DBPOOL_DEADLINE_DEFAULT, &lease, &err);
		if (code != DBPOOL_OK)
		{
			fail("no connection", code, &err);
			break;
		}
		code = transaction(lease, worker->scale, &worker->rng, &err);
		dbpool_release(&lease); /* rolls back what is still open */
		if (code == DBPOOL_EQUERY && (err.flags & DBPOOL_RETRYABLE) != 0)
		{
			worker->retries++;
			continue;
		}
		if (code == DBPOOL_OK)
			code = remember_latency(worker, now_ns() - start);
		if (code != DBPOOL_OK)
		{
			fail("a transaction failed", code, &err);
			break;
		}
		atomic_fetch_add(&committed, 1);
	}
	return NULL;
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *) a;
	uint32_t y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

/* Gather the threads' latencies into one sorted array; NULL if out of memory. */
static uint32_t *
all_latencies(const Worker *workers, int threads, size_t count)
{
	uint32_t *all = malloc((count + 1) * sizeof(uint32_t));
	size_t	  filled = 0;

	if (all == NULL)
		return NULL;
	for (int i = 0; i < threads; i++)
	{
		if (workers[i].count > 0)
			memcpy(all + filled, workers[i].latency_us, workers[i].count * sizeof(uint32_t));
		filled += workers[i].count;
	}
	qsort(all, count, sizeof(uint32_t), by_size);
	return all;
}

/* The latency that `percent` of the transactions did not exceed. */
static double
quantile_ms(const uint32_t *sorted, size_t count, size_t percent)
{
	size_t rank = (count * percent + 99) / 100;

	return sorted[rank > 0 ? rank - 1 : 0] / 1000.0;
}

static int
report(const Worker *workers, int threads, double seconds)
{
	size_t	  count = 0;
	uint64_t  retries = 0;
	double	  sum = 0;
	uint32_t *all;

	for (int i = 0; i < threads; i++)
	{
		count += workers[i].count;
		retries += workers[i].retries;
	}
	if (count == 0)
	{
		fprintf(stderr, "demo_load: no transaction was committed\n");
		return 1;
	}
	all = all_latencies(workers, threads, count);
	if (all == NULL)
	{
		fprintf(stderr, "demo_load: out of memory\n");
		return 1;
	}
	for (size_t i = 0; i < count; i++)
		sum += all[i];
	printf("transactions  %zu committed in %.1f s = %.0f a second; %d threads, %" PRIu64 " retries\n",
		   count, seconds, (double) count / seconds, threads, retries);
	printf("latency       mean %.2f ms, p50 %.2f, p95 %.2f, p99 %.2f, longest %.2f\n",
		   sum / (double) count / 1000, quantile_ms(all, count, 50), quantile_ms(all, count, 95),
		   quantile_ms(all, count, 99), quantile_ms(all, count, 100));
	free(all);
	return 0;
}

static void
report_pool(dbpool_pool *pool)
{
	dbpool_stats stats = DBPOOL_STATS_INIT;

	if (dbpool_pool_stats(pool, &stats, NULL) != DBPOOL_OK)
		return;
	printf("pool          %" PRIu64 " of at most %" PRIu64 " connections; made %" PRIu64
		   ", failed %" PRIu64 ", found broken %" PRIu64 "\n",
		   stats.total, stats.max, stats.connects_ok, stats.connects_failed, stats.closed_broken);
	printf("              %" PRIu64 " leases, %" PRIu64
		   " after waiting: mean %.2f ms, longest %.2f ms; timeouts %" PRIu64 "\n",
		   stats.acquired, stats.acquired_waiting,
		   stats.acquired_waiting > 0
			   ? (double) stats.wait_ns / (double) stats.acquired_waiting / 1e6
			   : 0,
		   (double) stats.wait_ns_max / 1e6, stats.timeouts);
}

/* Microseconds for a connection of its own, one query, and its end. */
static double
cost_of_connecting(const char *conninfo)
{
	int64_t start = now_ns();

	for (int i = 0; i < OVERHEAD_CONNECTS; i++)
	{
		PGconn	 *conn = PQconnectdb(conninfo);
		PGresult *result = PQstatus(conn) == CONNECTION_OK ? PQexec(conn, "SELECT 1") : NULL;

		if (PQresultStatus(result) != PGRES_TUPLES_OK)
		{
			fprintf(stderr, "demo_load: cannot connect once more: %s", PQerrorMessage(conn));
			PQclear(result);
			PQfinish(conn);
			return -1;
		}
		PQclear(result);
		PQfinish(conn);
	}
	return (double) (now_ns() - start) / 1000 / OVERHEAD_CONNECTS;
}

/* Microseconds for a connection of the pool, with one query or (sql NULL) without. */
static double
cost_of_borrowing(dbpool_pool *pool, const char *sql)
{
	int64_t start = now_ns();

	for (int i = 0; i < OVERHEAD_LEASES; i++)
	{
		dbpool_lease lease = DBPOOL_LEASE_INIT;
		dbpool_error err = DBPOOL_ERROR_INIT;
		int			 code = dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &lease, &err);

		if (code == DBPOOL_OK && sql != NULL)
			code = run(lease, sql, &err);
		dbpool_release(&lease);
		if (code != DBPOOL_OK)
		{
			fail("borrowing a connection failed", code, &err);
			return -1;
		}
	}
	return (double) (now_ns() - start) / 1000 / OVERHEAD_LEASES;
}

/* Open a pool, with its first connection made. */
static dbpool_pool *
open_pool(const char *conninfo, const char *name)
{
	dbpool_config *config = dbpool_config_new();
	dbpool_error   err = DBPOOL_ERROR_INIT;
	dbpool_pool	  *pool = NULL;

	if (config == NULL || dbpool_config_set(config, "conninfo", conninfo, &err) != DBPOOL_OK ||
		dbpool_config_set(config, "name", name, &err) != DBPOOL_OK ||
		dbpool_open(config, &pool, &err) != DBPOOL_OK ||
		dbpool_wait_ready(pool, DBPOOL_DEADLINE_DEFAULT, &err) != DBPOOL_OK)
	{
		fprintf(stderr, "demo_load: %s\n", err.message[0] != '\0' ? err.message : "out of memory");
		if (pool != NULL)
			dbpool_close(pool, DBPOOL_DEADLINE_NOW, NULL);
		pool = NULL;
	}
	dbpool_config_free(config);
	return pool;
}

/* In a pool of its own, so that these statements are no service's. */
static int
report_overhead(const char *conninfo)
{
	dbpool_pool *pool = open_pool(conninfo, "overhead");
	double		 own;
	double		 borrowed;
	double		 bare;

	if (pool == NULL)
		return 1;
	own = cost_of_connecting(conninfo);
	borrowed = cost_of_borrowing(pool, "SELECT 1");
	bare = cost_of_borrowing(pool, NULL);
	dbpool_close(pool, DBPOOL_DEADLINE_DEFAULT, NULL);
	if (own < 0 || borrowed < 0 || bare < 0)
		return 1;
	printf("SELECT 1      with a connection of its own %.0f us, with one of the pool %.0f us (%.0fx)\n",
		   own, borrowed, own / borrowed);
	printf("              of which the pool itself (acquire and release) takes %.2f us\n", bare);
	return 0;
}

/* Show every other second how far it is, until the time is over. */
static void
show_progress(int64_t start, int64_t stop)
{
	unsigned long long before = 0;

	for (int64_t next = start + 2000000000; next < stop && !atomic_load(&failed); next += 2000000000)
	{
		struct timespec	   left;
		unsigned long long count;
		int64_t			   ns = next - now_ns();

		if (ns > 0)
		{
			left.tv_sec = ns / 1000000000;
			left.tv_nsec = ns % 1000000000;
			nanosleep(&left, NULL);
		}
		count = atomic_load(&committed);
		printf("  after %2d s: %8llu transactions, %6llu a second\n",
			   (int) ((next - start) / 1000000000), count, (count - before) / 2);
		fflush(stdout);
		before = count;
	}
}

int
main(int argc, char **argv)
{
	static Worker workers[MAX_THREADS];
	dbpool_error  err = DBPOOL_ERROR_INIT;
	dbpool_pool	 *pool;
	int			  scale;
	int			  seconds;
	int			  threads = 8;
	int			  status = 1;
	int			  started = 0;
	int64_t		  start;

	if (argc != 4 && argc != 5)
	{
		fprintf(stderr, "usage: demo_load CONNINFO SCALE SECONDS [THREADS]\n");
		return 2;
	}
	scale = number_argument("demo_load", "SCALE", argv[2], 1, 20000);
	seconds = number_argument("demo_load", "SECONDS", argv[3], 1, 86400);
	if (argc == 5)
		threads = number_argument("demo_load", "THREADS", argv[4], 1, MAX_THREADS);

	pool = open_pool(argv[1], "payments");
	if (pool == NULL)
		return 1;

	start = now_ns();
	for (; started < threads; started++)
	{
		Worker *worker = &workers[started];

		worker->pool = pool;
		worker->scale = scale;
		worker->stop_ns = start + (int64_t) seconds * 1000000000;
		worker->rng = SEED + (uint64_t) started * UINT64_C(0x9E3779B97F4A7C15);
		if (pthread_create(&worker->thread, NULL, work, worker) != 0)
		{
			fprintf(stderr, "demo_load: cannot start a thread\n");
			atomic_store(&failed, true);
			break;
		}
	}
	show_progress(start, start + (int64_t) seconds * 1000000000);
	for (int i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);

	if (!atomic_load(&failed))
	{
		status = report(workers, threads, (double) (now_ns() - start) / 1e9);
		if (status == 0)
		{
			report_pool(pool);
			status = report_overhead(argv[1]);
		}
	}
	for (int i = 0; i < started; i++)
		free(workers[i].latency_us);
	if (dbpool_close(pool, DBPOOL_DEADLINE_DEFAULT, &err) != DBPOOL_OK)
	{
		fprintf(stderr, "demo_load: %s\n", err.message);
		status = 1;
	}
	return status;
}
