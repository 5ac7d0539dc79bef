/*
 * pool.c
 *		Open a pool, query it from four threads, print its numbers.
 *
 *		pool [CONNINFO]		"" = PGHOST and so on
 */
#include <dbpool.h>
#include <pthread.h>
#include <stdio.h>

#define THREADS 4
#define QUERIES 1000

static void *
work(void *arg)
{
	dbpool_pool *pool = arg;

	for (int i = 0; i < QUERIES; i++)
	{
		dbpool_lease lease = DBPOOL_LEASE_INIT;
		dbpool_error err = DBPOOL_ERROR_INIT;
		PGresult	*result = NULL;
		int			 code = dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &lease, &err);

		if (code == DBPOOL_OK)
			code = dbpool_exec(lease, dbpool_deadline_ms(1000), "select 1", NULL, &result, &err);
		if (code != DBPOOL_OK)
			fprintf(stderr, "%s: %s\n", dbpool_errname(code), err.message);
		PQclear(result);
		dbpool_release(&lease);
		if (code != DBPOOL_OK)
			return (void *) 1;
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	dbpool_error   err = DBPOOL_ERROR_INIT;
	dbpool_config *config = dbpool_config_new();
	dbpool_stats   stats = DBPOOL_STATS_INIT;
	dbpool_pool	  *pool = NULL;
	pthread_t	   threads[THREADS];
	void		  *failed = NULL;

	if (config == NULL ||
		dbpool_config_set(config, "conninfo", argc > 1 ? argv[1] : "", &err) != DBPOOL_OK ||
		dbpool_config_set(config, "name", "example", &err) != DBPOOL_OK ||
		dbpool_open(config, &pool, &err) != DBPOOL_OK ||
		dbpool_wait_ready(pool, DBPOOL_DEADLINE_DEFAULT, &err) != DBPOOL_OK)
	{
		fprintf(stderr, "pool: %s\n", err.message);
		dbpool_config_free(config);
		if (pool != NULL)
			dbpool_close(pool, DBPOOL_DEADLINE_NOW, NULL);
		return 1;
	}
	dbpool_config_free(config);

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, pool);
	for (int i = 0; i < THREADS; i++)
	{
		void *result;

		pthread_join(threads[i], &result);
		if (result != NULL)
			failed = result;
	}

	dbpool_pool_stats(pool, &stats, NULL);
	printf("leases %llu, of these after waiting %llu, longest wait %.3f ms\n",
		   (unsigned long long) stats.acquired, (unsigned long long) stats.acquired_waiting,
		   (double) stats.wait_ns_max / 1e6);
	printf("connections %llu of at most %llu, connects %llu, failed %llu\n",
		   (unsigned long long) stats.total, (unsigned long long) stats.max,
		   (unsigned long long) stats.connects_ok, (unsigned long long) stats.connects_failed);
	if (dbpool_close(pool, DBPOOL_DEADLINE_DEFAULT, &err) != DBPOOL_OK)
		fprintf(stderr, "pool: %s\n", err.message);
	return failed != NULL;
}
