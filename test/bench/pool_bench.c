/*
 * pool_bench.c
 *		One run of the bench of libdbpool (see the script `pool` beside it): one
 *		way to reach the server, one workload, so many threads and connections.
 *
 *	pool_bench SIDE WORKLOAD THREADS CONNECTIONS SECONDS DSN
 *
 * SIDE is raw (each thread holds a connection of its own, plain libpq), dbpool,
 * exec (libdbpool's dbpool_exec with its statement cache, for prepared), track (for
 * write: with DBPOOL_TX_TRACK), zdb (libzdb; DSN is then its URL) or connect (a
 * connection for each query).
 * WORKLOAD is pair (acquire + release), select (PQexec of `select 1`) or prepared
 * (PQexecPrepared of it) write (a transaction that inserts a row) or batch (100 of prepared: one after the
 * other, or by dbpool_pipeline).  Prints
 *
 *	operations failures seconds jain
 *
 * where jain is Jain's index of fairness of the threads' shares, (sum x)^2 /
 * (n sum x^2): 1 when all are equal, 1/n when one has everything.
 *
 * A failure is an operation for which no connection or no result was given; a
 * pool that answers NULL when it is empty fails, and is asked again at once.
 */
#include <dbpool_data.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef HAVE_ZDB
#include <zdb.h>
#endif

#define MAX_FD 4096
#define STACK_BYTES (256 * 1024)

typedef enum
{
	RAW,
	DBPOOL,
	EXEC,
	TRACK,
	ZDB,
	CONNECT
} side_kind;

typedef enum
{
	PAIR,
	SELECT,
	PREPARED,
	WRITE,
	BATCH
} workload_kind;

typedef struct worker
{
	pthread_t thread;
	PGconn	 *held; /* RAW */
	long	  done;
	long	  failed;
} worker;

static side_kind	 side;
static workload_kind workload;
static const char	*dsn;
static dbpool_pool	*pool;
#ifdef HAVE_ZDB
static ConnectionPool_T zdb;
#endif
static atomic_bool	 stop;
static _Thread_local bool in_batch; /* run_on calls itself for one statement */
static atomic_bool	 prepared_on[MAX_FD]; /* by socket: the statement is there */
static pthread_barrier_t begin;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "pool_bench: %s: %s\n", what, why);
	exit(1);
}

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static PGconn *
connect_raw(void)
{
	PGconn *conn = PQconnectdb(dsn);

	if (PQstatus(conn) != CONNECTION_OK)
		die("cannot connect", PQerrorMessage(conn));
	return conn;
}

#define INSERT_SQL "insert into bench values (1)"

#define BATCH_SIZE 100

static bool
run_on(PGconn *conn)
{
	PGresult *result;
	bool	  ok = true;

	if (workload == BATCH && !in_batch)
	{
		in_batch = true;
		for (int i = 0; i < BATCH_SIZE; i++)
			ok &= run_on(conn);
		in_batch = false;
		return ok;
	}

	if (workload == WRITE)
	{
		PQclear(PQexec(conn, "BEGIN"));
		PQclear(PQexec(conn, INSERT_SQL));
		result = PQexec(conn, "COMMIT");
		ok = strcmp(PQcmdStatus(result), "COMMIT") == 0;
		PQclear(result);
		return ok;
	}
	if (workload >= PREPARED)
	{
		int fd = PQsocket(conn);

		if (fd < 0 || fd >= MAX_FD)
			return false;
		if (!atomic_load_explicit(&prepared_on[fd], memory_order_relaxed))
		{
			PQclear(PQprepare(conn, "one", "select 1", 0, NULL));
			atomic_store_explicit(&prepared_on[fd], true, memory_order_relaxed);
		}
		result = PQexecPrepared(conn, "one", 0, NULL, NULL, NULL, 0);
	}
	else
		result = PQexec(conn, "select 1");
	ok = PQresultStatus(result) == PGRES_TUPLES_OK;
	PQclear(result);
	return ok;
}

/* Through the statement cache, which prepares it at its fifth use. */
static bool
exec_on(dbpool_lease lease)
{
	static const dbpool_params none = DBPOOL_PARAMS_INIT;
	PGresult				  *result;
	bool ok = dbpool_exec(lease, DBPOOL_DEADLINE_DEFAULT, "select 1", &none, &result, NULL) == DBPOOL_OK;

	ok = ok && PQresultStatus(result) == PGRES_TUPLES_OK;
	PQclear(result);
	return ok;
}

static bool
batch_on(dbpool_lease lease)
{
	const char *sql[BATCH_SIZE];
	PGresult   *results[BATCH_SIZE];

	for (int i = 0; i < BATCH_SIZE; i++)
		sql[i] = "select 1";
	if (dbpool_pipeline(lease, DBPOOL_DEADLINE_DEFAULT, BATCH_SIZE, sql, NULL, results, NULL, NULL) !=
		DBPOOL_OK)
		return false;
	for (int i = 0; i < BATCH_SIZE; i++)
		PQclear(results[i]);
	return true;
}

static bool
write_by_dbpool(void)
{
	dbpool_session s = DBPOOL_SESSION_INIT;
	PGresult	  *result;

	s.flags = side == TRACK ? DBPOOL_TX_TRACK : 0;
	if (dbpool_session_begin(pool, DBPOOL_DEADLINE_DEFAULT, &s, NULL) != DBPOOL_OK)
		return false;
	if (dbpool_exec(s.lease, s.deadline, INSERT_SQL, NULL, &result, NULL) != DBPOOL_OK)
	{
		dbpool_session_end(&s);
		return false;
	}
	PQclear(result);
	return dbpool_session_commit(&s, NULL) == DBPOOL_OK;
}

static bool
by_dbpool(void)
{
	dbpool_lease lease = DBPOOL_LEASE_INIT;
	bool		 ok = true;

	if (workload == WRITE)
		return write_by_dbpool();
	if (dbpool_acquire(pool, DBPOOL_DEADLINE_DEFAULT, &lease, NULL) != DBPOOL_OK)
		return false;
	if (side == EXEC)
		ok = exec_on(lease);
	else if (workload == BATCH)
		ok = batch_on(lease);
	else if (workload != PAIR)
		ok = run_on(dbpool_conn(lease));
	dbpool_release(&lease);
	return ok;
}

static bool
by_connect(void)
{
	PGconn *conn = PQconnectdb(dsn);
	bool	ok = PQstatus(conn) == CONNECTION_OK && run_on(conn);

	PQfinish(conn);
	return ok;
}

#ifdef HAVE_ZDB
static bool
by_zdb(void)
{
	Connection_T  conn = ConnectionPool_getConnection(zdb);
	volatile bool ok = conn != NULL;

	if (conn == NULL)
		return false;
	if (workload != PAIR)
	{
		TRY
			ok = ResultSet_next(Connection_executeQuery(conn, "select 1"));
		ELSE
			ok = false;
		END_TRY;
	}
	Connection_close(conn);
	return ok;
}

static void
start_zdb(int connections)
{
	URL_T url = URL_new(dsn);

	if (url == NULL)
		die("not a URL of libzdb", dsn);
	zdb = ConnectionPool_new(url);
	ConnectionPool_setInitialConnections(zdb, connections);
	ConnectionPool_setMaxConnections(zdb, connections);
	TRY
		ConnectionPool_start(zdb);
	ELSE
		die("libzdb", Exception_frame.message);
	END_TRY;
}
#else
static bool
by_zdb(void)
{
	return false;
}

static void
start_zdb(int connections)
{
	(void) connections;
	die("zdb", "built without libzdb");
}
#endif

static void *
work(void *arg)
{
	worker *w = arg;

	pthread_barrier_wait(&begin);
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
	{
		bool ok = false;

		switch (side)
		{
			case RAW:
				ok = run_on(w->held);
				break;
			case DBPOOL:
			case EXEC:
			case TRACK:
				ok = by_dbpool();
				break;
			case ZDB:
				ok = by_zdb();
				break;
			case CONNECT:
				ok = by_connect();
				break;
		}
		if (ok)
			w->done++;
		else
			w->failed++;
	}
	return NULL;
}

static void
start_dbpool(const char *connections)
{
	dbpool_error   err = DBPOOL_ERROR_INIT;
	dbpool_config *config = dbpool_config_new();

	if (config == NULL)
		die("dbpool", "out of memory");
	/* what is prepared must stay, and all threads may wait */
	if (dbpool_config_set(config, "conninfo", dsn, &err) != DBPOOL_OK ||
		dbpool_config_set(config, "min", connections, &err) != DBPOOL_OK ||
		dbpool_config_set(config, "max", connections, &err) != DBPOOL_OK ||
		dbpool_config_set(config, "max_waiters", "100000", &err) != DBPOOL_OK ||
		dbpool_config_set(config, "reset", workload == PREPARED ? "never" : "dirty", &err) != DBPOOL_OK ||
		dbpool_open(config, &pool, &err) != DBPOOL_OK ||
		dbpool_wait_ready(pool, dbpool_deadline_ms(10000), &err) != DBPOOL_OK)
		die("dbpool", err.message);
	dbpool_config_free(config);
}

static int
find(const char *word, const char *const *words, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	die("no side or workload is called so", word);
	return -1;
}

static int
number(const char *text, int least)
{
	char *end;
	long  value = strtol(text, &end, 10);

	if (*end != '\0' || value < least || value > 100000)
		die("not a number in range", text);
	return (int) value;
}

int
main(int argc, char **argv)
{
	static const char *const sides[] = {"raw", "dbpool", "exec", "track", "zdb", "connect"};
	static const char *const workloads[] = {"pair", "select", "prepared", "write", "batch"};
	pthread_attr_t	attr;
	worker		   *workers;
	int				threads;
	int				connections;
	double			length;
	double			start;
	double			elapsed;
	long			done = 0;
	long			failed = 0;
	double			squares = 0;

	if (argc != 7)
		die("usage", "pool_bench SIDE WORKLOAD THREADS CONNECTIONS SECONDS DSN");
	side = (side_kind) find(argv[1], sides, 6);
	workload = (workload_kind) find(argv[2], workloads, 5);
	threads = number(argv[3], 1);
	connections = number(argv[4], 1);
	length = strtod(argv[5], NULL);
	dsn = argv[6];
	if (workload == PAIR && (side == RAW || side == CONNECT))
		die("pair", "there is nothing to acquire");
	if (workload >= PREPARED && (side == ZDB || side == CONNECT))
		die(argv[2], "not for this side");

	if (side == RAW && threads > connections)
		threads = connections;
	if (side == EXEC && workload != PREPARED)
		die("exec", "only for prepared");
	if (side == TRACK && workload != WRITE)
		die("track", "only for write");

	if (side == DBPOOL || side == EXEC || side == TRACK)
		start_dbpool(argv[4]);
	if (side == ZDB)
		start_zdb(connections);
	workers = calloc((size_t) threads, sizeof(worker));
	if (workers == NULL)
		die("calloc", "out of memory");
	pthread_barrier_init(&begin, NULL, (unsigned) threads + 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (int i = 0; i < threads; i++)
	{
		if (side == RAW)
			workers[i].held = connect_raw();
		if (pthread_create(&workers[i].thread, &attr, work, &workers[i]) != 0)
			die("pthread_create", "no more threads");
	}
	pthread_barrier_wait(&begin);
	start = seconds();
	nanosleep(&(struct timespec){(time_t) length, (long) ((length - (double) (time_t) length) * 1e9)}, NULL);
	atomic_store(&stop, true);
	for (int i = 0; i < threads; i++)
	{
		pthread_join(workers[i].thread, NULL);
		done += workers[i].done;
		failed += workers[i].failed;
		squares += (double) workers[i].done * (double) workers[i].done;
		if (workers[i].held != NULL)
			PQfinish(workers[i].held);
	}
	elapsed = seconds() - start;
	printf("%ld %ld %.6f %.4f\n", done, failed, elapsed,
		   squares > 0 ? (double) done * (double) done / (threads * squares) : 0);
	free(workers);
	return pool != NULL && dbpool_close(pool, DBPOOL_DEADLINE_DEFAULT, NULL) != DBPOOL_OK;
}
