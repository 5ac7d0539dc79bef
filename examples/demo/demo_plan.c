/*
 * demo_plan.c
 *		What the plan cache does for statements sent as plain text.
 *
 *		demo_plan CONNINFO SCALE TICKS ROUNDS [cpu]
 *
 * Two statements, each time with other literals: a select by primary key, and
 * a join of eight tables (star.sql).  They run in small batches by turns with
 * the cache off, on and off again, the order changing from round to round, so
 * that whatever else the machine does hits all three alike.  How far the two
 * "off" differ is the floor below which a difference means nothing.  Of all
 * rounds the median is shown.
 *
 * With `cpu` the processor time of the server's process is read from /proc,
 * which needs a server on the same machine.  The answers of all three must be
 * the same to the last byte, else the program ends with status 1.
 *
 * The sessions' dbutil.service is plan-cache-off or plan-cache-on, by which
 * dbutil.statements then shows the time that went into planning.
 */
#include <dbpool.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "demo.h"

#define SEED 20251124
#define STATEMENT_MS 30000
#define WARM_UP 20
#define MAX_ROUNDS 200

enum
{
	OFF,
	ON,
	OFF_AGAIN,
	ARMS
};

typedef struct Case
{
	const char *name;
	const char *sql; /* with one %d, the key */
	int			keys;
	int			batch; /* statements a round */
} Case;

typedef struct Server
{
	dbpool_lease lease;
	bool		 cpu;
	char		 schedstat[64]; /* file with the processor time of its process */
} Server;

/* Figures of one case: microseconds a statement. */
typedef struct Figures
{
	double elapsed[ARMS][MAX_ROUNDS];
	double cpu[ARMS][MAX_ROUNDS];
} Figures;

/* Run one statement; its answer goes into *hash (FNV-1a). */
static int
run(const Server *server, const char *sql, uint64_t *hash)
{
	dbpool_error err = DBPOOL_ERROR_INIT;
	PGresult	*result = NULL;

	if (dbpool_exec(server->lease, dbpool_deadline_ms(STATEMENT_MS), sql, NULL, &result, &err) !=
		DBPOOL_OK)
	{
		fprintf(stderr, "demo_plan: %s\n", err.message);
		return 1;
	}
	for (int row = 0; hash != NULL && row < PQntuples(result); row++)
	{
		for (int column = 0; column < PQnfields(result); column++)
		{
			const char *value = PQgetvalue(result, row, column);

			do
				*hash = (*hash ^ (unsigned char) *value) * UINT64_C(1099511628211);
			while (*value++ != '\0');
		}
	}
	PQclear(result);
	return 0;
}

/* Microseconds that the server's process has had a processor so far. */
static double
server_cpu_us(const Server *server)
{
	char   line[128];
	double us = 0;
	FILE  *file;

	if (!server->cpu)
		return 0;
	file = fopen(server->schedstat, "r");
	if (file == NULL)
		return 0;
	if (fgets(line, sizeof(line), file) != NULL)
		us = (double) strtoull(line, NULL, 10) / 1000; /* its first number: ns */
	fclose(file);
	return us;
}

static int
run_batch(const Server *server, const Case *test, int statements, uint64_t *rng, uint64_t *hash)
{
	char sql[1024];

	for (int i = 0; i < statements; i++)
	{
		snprintf(sql, sizeof(sql), test->sql, rng_between(rng, 1, test->keys));
		if (run(server, sql, hash) != 0)
			return 1;
	}
	return 0;
}

static int
set_arm(const Server *server, int arm)
{
	return run(server,
			   arm == ON ? "SET dbutil.plan_cache = auto; SET dbutil.service = 'plan-cache-on'"
						 : "SET dbutil.plan_cache = off; SET dbutil.service = 'plan-cache-off'",
			   NULL);
}

/* All rounds of one case.  Status 1, with a message, if anything is wrong. */
static int
measure(const Server *server, const Case *test, int rounds, Figures *figures)
{
	uint64_t rng = SEED;

	for (int round = 0; round < rounds; round++)
	{
		uint64_t hash[ARMS];
		uint64_t next = rng;

		for (int turn = 0; turn < ARMS; turn++)
		{
			int		 arm = (round + turn) % ARMS;
			uint64_t keys = rng; /* the same keys for all */
			uint64_t others = rng ^ UINT64_C(0xD1B54A32D192ED03);
			int64_t	 start;
			double	 cpu;

			hash[arm] = UINT64_C(14695981039346656037);
			if (set_arm(server, arm) != 0 ||
				run_batch(server, test, WARM_UP, &others, NULL) != 0)
				return 1;
			cpu = server_cpu_us(server);
			start = now_ns();
			if (run_batch(server, test, test->batch, &keys, &hash[arm]) != 0)
				return 1;
			figures->elapsed[arm][round] = (double) (now_ns() - start) / 1000 / test->batch;
			figures->cpu[arm][round] = (server_cpu_us(server) - cpu) / test->batch;
			next = keys;
		}
		if (hash[OFF] != hash[ON] || hash[OFF] != hash[OFF_AGAIN])
		{
			fprintf(stderr, "demo_plan: the answers of \"%s\" differ with the plan cache on\n",
					test->name);
			return 1;
		}
		rng = next;
	}
	return 0;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

static double
median(const double *values, int n)
{
	double sorted[MAX_ROUNDS];

	memcpy(sorted, values, (size_t) n * sizeof(double));
	qsort(sorted, (size_t) n, sizeof(double), by_size);
	return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static void
print_line(const char *name, const char *what, const double values[ARMS][MAX_ROUNDS], int rounds)
{
	double off = median(values[OFF], rounds);
	double again = median(values[OFF_AGAIN], rounds);
	double on = median(values[ON], rounds);
	double stock = (off + again) / 2;

	if (stock <= 0 || on <= 0)
		return;
	printf("  %-22s %-8s %10.1f %10.1f %9.2fx %9.1f %%\n", name, what, stock, on, stock / on,
		   fabs(off - again) / stock * 100);
}

/* A pool of one connection, lent to us.  NULL, with a message, if there is none. */
static dbpool_pool *
borrow(const char *conninfo, Server *server)
{
	dbpool_config *config = dbpool_config_new();
	dbpool_error   err = DBPOOL_ERROR_INIT;
	dbpool_pool	  *pool = NULL;

	if (config == NULL || dbpool_config_set(config, "conninfo", conninfo, &err) != DBPOOL_OK ||
		dbpool_config_set(config, "max", "1", &err) != DBPOOL_OK ||
		dbpool_open(config, &pool, &err) != DBPOOL_OK ||
		dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &server->lease, &err) != DBPOOL_OK)
	{
		fprintf(stderr, "demo_plan: %s\n", err.message[0] != '\0' ? err.message : "out of memory");
		if (pool != NULL)
			dbpool_close(pool, DBPOOL_DEADLINE_NOW, NULL);
		pool = NULL;
	}
	dbpool_config_free(config);
	return pool;
}

int
main(int argc, char **argv)
{
	static Figures figures[2];
	Server		   server = {DBPOOL_LEASE_INIT, false, ""};
	dbpool_pool	  *pool;
	int			   rounds;
	int			   status = 0;
	Case		   cases[2] = {
		{"select by primary key", "SELECT abalance FROM pgbench_accounts WHERE aid = %d", 0, 400},
		{"join of 8 tables",
		 "SELECT t.ts, t.bid, t.ask, b.currency_name, q.currency_name, br.region_name, qr.region_name "
		 "FROM ticks t JOIN pairs p ON p.pair = t.pair "
		 "JOIN currencies b ON b.code = p.base JOIN currencies q ON q.code = p.quote "
		 "JOIN countries bc ON bc.country = b.country JOIN countries qc ON qc.country = q.country "
		 "JOIN regions br ON br.region = bc.region JOIN regions qr ON qr.region = qc.region "
		 "WHERE t.id = %d",
		 0, 60},
	};

	if (argc != 5 && !(argc == 6 && strcmp(argv[5], "cpu") == 0))
	{
		fprintf(stderr, "usage: demo_plan CONNINFO SCALE TICKS ROUNDS [cpu]\n");
		return 2;
	}
	cases[0].keys = number_argument("demo_plan", "SCALE", argv[2], 1, 20000) * 100000;
	cases[1].keys = number_argument("demo_plan", "TICKS", argv[3], 1, INT32_MAX);
	rounds = number_argument("demo_plan", "ROUNDS", argv[4], 1, MAX_ROUNDS);

	pool = borrow(argv[1], &server);
	if (pool == NULL)
		return 1;
	server.cpu = argc == 6;
	snprintf(server.schedstat, sizeof(server.schedstat), "/proc/%d/schedstat",
			 PQbackendPID(dbpool_conn(server.lease)));

	for (int i = 0; i < 2 && status == 0; i++)
		status = measure(&server, &cases[i], rounds, &figures[i]);
	if (status == 0)
	{
		printf("  %-22s %-8s %10s %10s %10s %11s\n", "us a statement", "", "cache off", "cache on",
			   "gain", "off to off");
		for (int i = 0; i < 2; i++)
		{
			print_line(cases[i].name, "elapsed", figures[i].elapsed, rounds);
			if (server.cpu)
				print_line("", "CPU", figures[i].cpu, rounds);
		}
		printf("  %d rounds by turns; all answers were the same\n", rounds);
	}
	dbpool_release(&server.lease);
	dbpool_close(pool, DBPOOL_DEADLINE_DEFAULT, NULL);
	return status;
}
