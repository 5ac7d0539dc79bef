/*
 * bench_acquire.c
 *		acquire + release, nanoseconds per pair: best and median of several runs;
 *		and one query: by PQexec on a held connection, by dbpool_exec on a held
 *		lease, with acquire and release, and with more threads than connections.
 */
#include "harness.h"

#include <pthread.h>
#include <time.h>

#define PAIRS 1000000
#define RUNS 9

static dbpool_pool *pool;

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static void *
pairs(void *arg)
{
	(void) arg;
	for (int i = 0; i < PAIRS; i++)
	{
		dbpool_lease lease = DBPOOL_LEASE_INIT;

		if (dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &lease, NULL) != DBPOOL_OK)
			abort();
		dbpool_release(&lease);
	}
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	double d = *(const double *) a - *(const double *) b;

	return (d > 0) - (d < 0);
}

static void
measure(int threads)
{
	double ns[RUNS];

	for (int run = 0; run < RUNS; run++)
	{
		pthread_t t[8];
		double	  start = seconds();

		for (int i = 0; i < threads; i++)
			pthread_create(&t[i], NULL, pairs, NULL);
		for (int i = 0; i < threads; i++)
			pthread_join(t[i], NULL);
		ns[run] = (seconds() - start) * 1e9 / ((double) PAIRS * threads);
	}
	qsort(ns, RUNS, sizeof(ns[0]), compare);
	printf("acquire+release, %d thread%s, 4 connections: best %.1f ns, median %.1f ns\n", threads,
		   threads == 1 ? "" : "s", ns[0], ns[RUNS / 2]);
}

#define QUERIES 20000

typedef enum
{
	RAW,
	HELD,
	POOLED
} way;

static way	how;
static long failures;

static void *
queries(void *arg)
{
	long		*count = arg;
	dbpool_lease lease = DBPOOL_LEASE_INIT;

	if (how != POOLED && dbpool_acquire(pool, 0, &lease, NULL) != DBPOOL_OK)
		abort();
	for (*count = 0; *count < QUERIES; (*count)++)
	{
		PGresult *res = NULL;

		if (how == RAW)
			res = PQexec(dbpool_conn(lease), "select 1");
		else if ((how == POOLED && dbpool_acquire(pool, 0, &lease, NULL) != DBPOOL_OK) ||
				 dbpool_exec(lease, 0, "select 1", NULL, &res, NULL) != DBPOOL_OK)
			__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
		PQclear(res);
		if (how == POOLED)
			dbpool_release(&lease);
	}
	dbpool_release(&lease);
	return NULL;
}

static void
measure_queries(const char *name, way w, int threads)
{
	double us[5];

	how = w;
	for (int run = 0; run < 5; run++)
	{
		pthread_t t[8];
		long	  count[8];
		double	  start = seconds();

		for (int i = 0; i < threads; i++)
			pthread_create(&t[i], NULL, queries, &count[i]);
		for (int i = 0; i < threads; i++)
			pthread_join(t[i], NULL);
		us[run] = (seconds() - start) * 1e6 / ((double) QUERIES * threads);
	}
	qsort(us, 5, sizeof(us[0]), compare);
	printf("select 1, %s: median %.2f us per query, %ld failures\n", name, us[2], failures);
}

int
main(void)
{
	dbpool_error err = DBPOOL_ERROR_INIT;

	pool = open_pool("min", "4", "max", "4", NULL);
	if (dbpool_wait_ready(pool, 0, &err) != DBPOOL_OK)
		return 1;
	measure(1);
	measure(2);
	measure(4);
	measure_queries("PQexec on a held connection, 1 thread", RAW, 1);
	measure_queries("dbpool_exec on a held lease, 1 thread", HELD, 1);
	measure_queries("acquire + dbpool_exec + release, 1 thread", POOLED, 1);
	measure_queries("PQexec on held connections, 2 threads", RAW, 2);
	if (dbpool_close(pool, 0, &err) != DBPOOL_OK)
		return 1;
	pool = open_pool("min", "2", "max", "2", NULL);
	if (dbpool_wait_ready(pool, 0, &err) != DBPOOL_OK)
		return 1;
	measure_queries("acquire + dbpool_exec + release, 8 threads on 2 connections", POOLED, 8);
	return dbpool_close(pool, 0, &err);
}
