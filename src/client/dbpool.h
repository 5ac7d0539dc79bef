/*
 * dbpool.h
 *		libdbpool: a connection pool for PostgreSQL on libpq.
 *
 * From a lease on it is plain libpq: dbpool_conn() gives the PGconn.  The pool
 * decides who gets a connection, when one is made, tested, cleaned and closed.
 *
 * Conventions
 *	- Every function that can fail returns a DBPOOL_* code, 0 being success, and
 *	  fills *err when err is not NULL.  No function calls exit() or prints.
 *	- Every public struct begins with `size`, set by its *_INIT macro; fields
 *	  are only ever appended.  A wrong size gives DBPOOL_EINVAL.
 *	- Deadlines are absolute: int64_t nanoseconds of CLOCK_MONOTONIC.  Make
 *	  them with dbpool_deadline_ms(), or use DBPOOL_DEADLINE_*.
 *	- All functions are thread-safe except those on dbpool_config, which must be
 *	  used by one thread at a time.
 *	- After fork() the child may call anything, but every call on a pool of the
 *	  parent gives DBPOOL_EFORK; it may open pools of its own.
 */
#ifndef DBPOOL_H
#define DBPOOL_H

#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C"
{
#endif

#pragma GCC visibility push(default)

#define DBPOOL_VERSION_MAJOR 0
#define DBPOOL_VERSION_MINOR 1
#define DBPOOL_VERSION_PATCH 0
#define DBPOOL_VERSION_STRING "0.1.0"

/*
 * The one table of errors: name, number, meaning.  Numbers never change.
 */
#define DBPOOL_ERROR_TABLE(X) \
	X(OK, 0, "success") \
	X(EINVAL, 1, "invalid argument or setting") \
	X(ENOMEM, 2, "out of memory") \
	X(ESYSTEM, 3, "a system call failed") \
	X(ETIMEDOUT, 4, "the deadline passed") \
	X(ECLOSED, 5, "the pool is closed") \
	X(EFORK, 6, "the pool belongs to the parent process") \
	X(ESTALE, 7, "the lease has ended") \
	X(EBUSY, 8, "the lease is in use by another call") \
	X(EQUEUEFULL, 9, "too many callers are waiting for a connection") \
	X(ECONNECT, 10, "cannot connect to the server") \
	X(EREFUSED, 11, "the server refuses this user or database") \
	X(ECONNLOST, 12, "the connection is lost") \
	X(EQUERY, 13, "the server reported an error") \
	X(ELEAKED, 14, "leases were not released") \
	X(EEND, 15, "no more entries") \
	X(EABORTED, 16, "the transaction was rolled back") \
	X(EUNRESOLVED, 17, "what became of the transaction cannot be told") \
	X(EDONE, 18, "a transaction with this key has committed")

enum
{
#define DBPOOL_X(name, number, text) DBPOOL_##name = (number),
	DBPOOL_ERROR_TABLE(DBPOOL_X)
#undef DBPOOL_X
	DBPOOL_NERRORS
};

/* dbpool_error.flags: what is known about the fate of the operation */
#define DBPOOL_NOT_SENT 0x01u		 /* it never reached the server, so it was not done */
#define DBPOOL_RETRYABLE 0x02u		 /* the same work may succeed if repeated */
#define DBPOOL_OUTCOME_UNKNOWN 0x04u /* sent, and the result never came */
#define DBPOOL_TX_ABORTED 0x08u		 /* the transaction it ran in is lost */
#define DBPOOL_NOT_REPLICATED 0x10u	 /* committed, but somebody cancelled the wait
									  * for synchronous replication (code is OK) */

/*
 * An error, on the caller's stack: dbpool_error err = DBPOOL_ERROR_INIT;
 */
typedef struct dbpool_error
{
	size_t	 size;		   /* sizeof(dbpool_error) */
	int		 code;		   /* DBPOOL_*, as returned */
	uint32_t flags;		   /* DBPOOL_NOT_SENT | ... */
	char	 sqlstate[6];  /* five characters, or "" if the server gave none */
	char	 message[506]; /* one line, no full stop, never NULL */
} dbpool_error;

#define DBPOOL_ERROR_INIT {sizeof(dbpool_error), 0, 0, "", ""}

typedef struct dbpool_config dbpool_config;
typedef struct dbpool_pool	 dbpool_pool;

/*
 * A lease: the right to one connection.  A value: copies name the same lease,
 * may move between threads, and all end when one of them is released.
 * The fields are the pool's; read nothing but generation (0 = holds nothing).
 */
typedef struct dbpool_lease
{
	uint32_t	 size;		 /* sizeof(dbpool_lease) */
	uint32_t	 slot;		 /* which connection of the pool */
	uint64_t	 generation; /* which lending of that slot */
	dbpool_pool *pool;		 /* whose */
} dbpool_lease;

#define DBPOOL_LEASE_INIT {(uint32_t) sizeof(dbpool_lease), 0, 0, NULL}

/*
 * Parameters of a statement; arrays of n entries as for PQexecParams, each
 * but values may be NULL.  Owned by the caller, read only during the call.
 */
typedef struct dbpool_params
{
	size_t			   size;		  /* sizeof(dbpool_params) */
	int				   n;			  /* number of parameters, 0..65535 */
	int				   result_format; /* 0 text, 1 binary */
	const Oid		  *types;
	const char *const *values; /* a NULL entry is an SQL null */
	const int		  *lengths;
	const int		  *formats; /* 0 text, 1 binary */
} dbpool_params;

#define DBPOOL_PARAMS_INIT {sizeof(dbpool_params), 0, 0, NULL, NULL, NULL, NULL}

/* dbpool_session.fate: what became of a transaction */
#define DBPOOL_NOT_BEGUN 0 /* no BEGIN succeeded */
#define DBPOOL_OPEN 1	   /* under way */
#define DBPOOL_COMMITTED 2
#define DBPOOL_ABORTED 3 /* for certain: COMMIT was not sent, or the server said so */
#define DBPOOL_UNKNOWN 4 /* COMMIT was sent and the answer never came */

/* dbpool_session.flags */
#define DBPOOL_TX_IDEMPOTENT 0x1u /* to do it twice does no harm: dbpool_transaction
								   * may repeat it also after DBPOOL_UNKNOWN */
#define DBPOOL_TX_TRACK 0x2u	  /* ask for the ticket before COMMIT: one more round trip */

/*
 * By what dbpool_resolve (dbpool_outcome.h) finds a transaction.  A value, which may be
 * copied and stored; read nothing but tracked (0 = it is empty) and xid (0 = the
 * transaction had written nothing).
 */
typedef struct dbpool_ticket
{
	size_t	 size; /* sizeof(dbpool_ticket) */
	uint64_t xid;
	uint64_t system_id;
	int64_t	 stats_reset_us;
	uint32_t timeline;
	uint32_t tracked;
} dbpool_ticket;

#define DBPOOL_TICKET_INIT {sizeof(dbpool_ticket), 0, 0, 0, 0, 0}

/* dbpool_session.keyed, by dbpool_session_key (dbpool_outcome.h) */
#define DBPOOL_KEY_WRITTEN 1
#define DBPOOL_KEY_FOUND 2

/*
 * A transaction on a connection of its own, on the caller's stack:
 *	dbpool_session s = DBPOOL_SESSION_INIT;
 * Set flags and begin before it begins; the other fields are the pool's, to be
 * read.  Used by one thread at a time.
 */
typedef struct dbpool_session
{
	size_t		 size;	   /* sizeof(dbpool_session) */
	uint32_t	 flags;	   /* in: DBPOOL_TX_* */
	int			 fate;	   /* DBPOOL_NOT_BEGUN ... DBPOOL_UNKNOWN */
	const char	*begin;	   /* in: "BEGIN ISOLATION LEVEL SERIALIZABLE", say; NULL = BEGIN */
	int64_t		 deadline; /* of the whole transaction: pass it to dbpool_exec */
	dbpool_lease lease;	   /* for dbpool_exec and dbpool_conn; do not release it */
	uint32_t	 attempts; /* how often it began */
	int			 keyed;	   /* DBPOOL_KEY_*, 0 = it has no key */
	dbpool_ticket ticket;  /* with DBPOOL_TX_TRACK, from before COMMIT was sent; after
							* several attempts that of the one that is unknown */
} dbpool_session;

/*
 * Numbers of a pool, taken at one instant.  Gauges first, then counters
 * since dbpool_open.
 */
typedef struct dbpool_stats
{
	size_t	 size;		 /* in: sizeof; out: bytes filled */
	uint64_t min;		 /* setting */
	uint64_t max;		 /* setting, or from the CPUs */
	uint64_t total;		 /* slots not empty: never above max */
	uint64_t idle;		 /* ready to be lent */
	uint64_t leased;	 /* lent */
	uint64_t connecting; /* being made, or waiting for their turn */
	uint64_t resetting;	 /* being cleaned or tested by a worker */
	uint64_t closing;	 /* until the server's process is gone */
	uint64_t waiting;	 /* callers in the queue */

	uint64_t waiting_peak;		/* largest `waiting` ever */
	uint64_t oldest_lease_ms;	/* age of the oldest lease out, 0 if none */
	uint64_t acquired;			/* leases granted */
	uint64_t acquired_waiting;	/* of these after waiting */
	uint64_t timeouts;			/* acquires that met their deadline */
	uint64_t queue_full;		/* acquires turned away by max_waiters */
	uint64_t refused;			/* acquires failed by a connect error */
	uint64_t wait_ns;			/* total time waited by granted waiters */
	uint64_t wait_ns_max;		/* longest of these */
	uint64_t use_ns;			/* total time lent (coarse clock) */
	uint64_t released;			/* leases returned, dbpool_discard included */
	uint64_t stale_releases;	/* releases of an ended lease */
	uint64_t stale_calls;		/* other calls on an ended lease */
	uint64_t busy_calls;		/* calls on a lease in use elsewhere */
	uint64_t resets;			/* sessions cleaned */
	uint64_t rollbacks;			/* of these with an open transaction */
	uint64_t reset_failures;	/* sessions that could not be cleaned */
	uint64_t connects_started;	/* attempts */
	uint64_t connects_ok;		/* successes */
	uint64_t connects_failed;	/* failures */
	uint64_t closed_broken;		/* found dead or unusable */
	uint64_t closed_discarded;	/* dbpool_discard, or a deadline */
	uint64_t closed_idle;		/* idle_timeout_ms */
	uint64_t closed_lifetime;	/* lifetime_ms */
	uint64_t closed_evicted;	/* 25006, dbpool_evict */
	uint64_t cancels_sent;		/* cancel requests */
	uint64_t cancels_dropped;	/* not sent: too late, or out of memory */
	uint64_t execs;				/* dbpool_exec calls */
	uint64_t exec_errors;		/* of these failed, deadlines included */
	uint64_t exec_timeouts;		/* of these by deadline */

	uint64_t breaker_state;	  /* DBPOOL_BREAKER_*, a gauge */
	uint64_t outage_ms;		  /* how long it has been open, a gauge */
	uint64_t connect_ceiling; /* connections the server had room for when it last
							   * gave 53300, a gauge; 0 = no ceiling */
	uint64_t breaker_opened;  /* times it opened */
	uint64_t too_many;		  /* connects that ended in 53300 */
	uint64_t failed_fast;	  /* acquires turned away by fail_fast_after_ms */

	uint64_t tx_begun;		  /* transactions of sessions, each attempt */
	uint64_t tx_committed;	  /* of these ended so */
	uint64_t tx_aborted;	  /* likewise */
	uint64_t tx_unknown;	  /* likewise: the connection or the time ran out in COMMIT */
	uint64_t retries;		  /* attempts beyond the first */
	uint64_t retries_denied;  /* not made because the retry budget was used up */

	uint64_t statements;			 /* prepared on all connections, a gauge */
	uint64_t statement_bytes;		 /* memory for their texts, a gauge */
	uint64_t statement_hits;		 /* executions of one that was prepared before */
	uint64_t statements_prepared;	 /* by the library */
	uint64_t statements_evicted;	 /* dropped for statement_cache_kb */
	uint64_t statement_invalidations; /* result types that changed: all prepare anew */
	uint64_t statement_retries;		 /* statements repeated for such a reason */

	uint64_t create_ns; /* total time of connects_ok */
} dbpool_stats;

/* dbpool_stats.breaker_state */
#define DBPOOL_BREAKER_CLOSED 0 /* connects when it needs to */
#define DBPOOL_BREAKER_OPEN 1	/* connecting failed: one attempt at a time, after pauses */
#define DBPOOL_BREAKER_RAMP 2	/* the server is back: 1, 2, 4 ... at the same time */

/*
 * One lease that is out: who took it and when.
 */
typedef struct dbpool_lease_info
{
	size_t		size;		 /* sizeof(dbpool_lease_info) */
	const char *file;		 /* of the acquire: a string literal, or NULL */
	int			line;
	int			backend_pid; /* the server's process */
	int64_t		age_ms;		 /* since the acquire */
} dbpool_lease_info;

#ifdef __cplusplus
#define DBPOOL_STATS_INIT {sizeof(dbpool_stats)}
#define DBPOOL_LEASE_INFO_INIT {sizeof(dbpool_lease_info)}
#define DBPOOL_SESSION_INIT {sizeof(dbpool_session), 0, 0, NULL, 0, DBPOOL_LEASE_INIT, 0, 0, DBPOOL_TICKET_INIT}
#else
#define DBPOOL_STATS_INIT {.size = sizeof(dbpool_stats)}
#define DBPOOL_LEASE_INFO_INIT {.size = sizeof(dbpool_lease_info)}
#define DBPOOL_SESSION_INIT {.size = sizeof(dbpool_session), .lease = DBPOOL_LEASE_INIT, .ticket = DBPOOL_TICKET_INIT}
#endif

/* ---- deadlines ---- */

#define DBPOOL_DEADLINE_DEFAULT ((int64_t) 0)	  /* the pool's own setting */
#define DBPOOL_DEADLINE_NOW ((int64_t) 1)		  /* what needs no waiting */
#define DBPOOL_DEADLINE_NONE ((int64_t) INT64_MAX) /* wait for ever */

/*
 * The deadline `ms` milliseconds from now; a negative ms counts as 0.
 */
int64_t dbpool_deadline_ms(int64_t ms);

/* ---- versions and errors ---- */

/* The version of the library in use, "0.1.0", which may be newer than this header. */
const char *dbpool_version(void);

/* The meaning of a code, as a static string; never NULL. */
const char *dbpool_strerror(int code);

/* The name of a code, as "DBPOOL_ETIMEDOUT"; static, never NULL. */
const char *dbpool_errname(int code);

/* ---- configuration ---- */

/*
 * A new configuration with the defaults, to be freed by dbpool_config_free.
 * NULL if out of memory.
 */
dbpool_config *dbpool_config_new(void);

/*
 * Set one option.  The value is copied.  Errors: DBPOOL_EINVAL for an unknown
 * name (the message has the nearest one) or a bad value; DBPOOL_ENOMEM.
 *
 *	conninfo				libpq string or URI; "" = PG* variables	("")
 *	name					of the pool; also the application_name unless
 *							conninfo or PGAPPNAME gives one		("dbpool")
 *	min						connections kept, 0..10000				(1)
 *	max						connections at most, 1..10000, or "auto":
 *							2 x usable CPUs + 1, at most 64			(auto)
 *	max_waiters				callers that may wait, beyond those for whom a
 *							connection is being made, 0..1000000	(1000)
 *	acquire_timeout_ms		for DBPOOL_DEADLINE_DEFAULT, 1..		(5000)
 *	exec_timeout_ms			same for dbpool_exec, 0 = none			(300000)
 *	connect_timeout_ms		for one attempt, over all its hosts, 1.. ;
 *							default: libpq's connect_timeout, else	(5000)
 *	reset_timeout_ms		for one cleaning, 1..					(5000)
 *	idle_timeout_ms			close what idled so long, above min; 0 = never
 *																	(600000)
 *	lifetime_ms				close what is so old, less up to 20 % chosen at
 *							random for each; 0 = never				(1800000)
 *	validate_after_idle_ms	look at the socket before lending what idled, or
 *							was lent, so long; 0 = always			(500)
 *	reset					dirty: DISCARD ALL if a command was seen that may
 *							leave session state; always; never		(dirty)
 *							(an open transaction is always rolled back)
 *	connect_limit			attempts at the same time, 1..64		(2)
 *	fail_fast_after_ms		once the server could not be reached for so long
 *							and no connection is left, an acquire fails at once
 *							with ECONNECT instead of at its deadline, but for one
 *							that waits for the next attempt; those who wait fail
 *							when an attempt does; 0 = never				(30000)
 *	retry_attempts			how often one transaction may begin, 1..100	(5)
 *	retry_percent			retries of the whole pool for 100 transactions,
 *							0..1000									(10)
 *	prepare_threshold		dbpool_exec prepares a statement at so many uses on
 *							one connection, 0 = never				(5)
 *	statement_cache_kb		memory for the texts of those on one connection,
 *							1..1048576								(256)
 *	pooler					none; transaction: the server is reached through a
 *							pooler like pgbouncer in transaction mode (none)
 *
 * Circuit breaker: after a failure to connect one attempt is made at a time, by
 * whatever waits or for `min`, with random pauses of up to 50, 100, 200, 400, 800 ms,
 * then 750 to 1000 ms.  The first success lets 1, 2, 4 ... connect at the same
 * time, up to connect_limit.  53300 (too many connections) while there are some
 * only keeps the pool at what it has, for 0.5 to 1 s, doubled up to 30 s.
 *
 * reset=dirty goes by the tags of the commands that were sent, raw libpq
 * included; those of unknown commands and all errors count as dirty.  What it
 * cannot see is what functions do inside a SELECT or another clean command:
 * set_config() and SET, prepared statements (EXECUTE 'prepare ...'), session
 * advisory locks, temporary tables, LISTEN, cursors WITH HOLD.  Who uses such
 * functions sets reset=always.
 *
 * At the end of each lease the notice receiver and processor, trace, blocking
 * mode and verbosity are put back to libpq's defaults (close a file given to
 * PQtrace after the release, not before); notifications that came are dropped
 * unless reset=never, so that a LISTEN kept by it goes on to work.  What libpq
 * cannot undo: event procedures of PQregisterEventProc stay registered, also
 * for later borrowers, until the connection is closed: use dbpool_discard.
 *
 * Unless conninfo says otherwise: tcp_user_timeout=15000, keepalives_idle=30,
 * keepalives_interval=10, keepalives_count=3, connect_timeout from above.  (These
 * come before those of a service file.)
 */
int dbpool_config_set(dbpool_config *config, const char *option, const char *value,
					  dbpool_error *err);

/*
 * Statement cache: what dbpool_exec is given with params (of n = 0 too) it prepares
 * by itself when it repeats on a connection, under names like dbpool_8f..._17; the
 * least recently used make room.  Invisible but for its speed: DISCARD ALL, DEALLOCATE
 * ALL and a result type changed by DDL are seen, and a statement that fails because
 * of the latter (0A000) is repeated unless it was in a transaction; there the error
 * has RETRYABLE.  As for every prepared statement, the types of parameters stay
 * what they were when it was prepared, and the server may choose a generic plan
 * (plan_cache_mode).  Not behind pooler=transaction.
 */

/* Free a configuration; NULL is allowed.  Pools opened with it are unaffected. */
void dbpool_config_free(dbpool_config *config);

/* ---- a pool's life ---- */

/*
 * Open a pool: checks the settings, starts the threads, connects nothing
 * itself and never waits for the server.  *pool is for dbpool_close; config is
 * copied.  Errors: EINVAL (min > max, a conninfo libpq cannot use), ENOMEM, ESYSTEM.
 */
int dbpool_open(const dbpool_config *config, dbpool_pool **pool, dbpool_error *err);

/*
 * Wait until max(min, 1) connections are there.  Errors: as dbpool_acquire.
 */
int dbpool_wait_ready(dbpool_pool *pool, int64_t deadline, dbpool_error *err);

/*
 * Close a pool: no new leases, waiters get DBPOOL_ECLOSED, idle connections are
 * closed, then wait until the leases are back or the deadline passes
 * (DEADLINE_DEFAULT: acquire_timeout_ms).  The handle is invalid afterwards,
 * whatever is returned.  Errors: ELEAKED with file:line of the acquires still
 * out; their connections stay usable and are closed when they are released.
 * ECLOSED if already closed.  In a forked child: closes the child's copies of
 * the sockets without a word to the server and returns EFORK.
 */
int dbpool_close(dbpool_pool *pool, int64_t deadline, dbpool_error *err);

/*
 * Replace all connections: idle ones now, lent ones when they come back.
 * Errors: ECLOSED, EFORK.
 */
int dbpool_evict(dbpool_pool *pool, dbpool_error *err);

/* ---- leases ---- */

/*
 * Borrow a connection.  Served strictly in order of arrival.  *lease must be
 * DBPOOL_LEASE_INIT or released.  With DEADLINE_NOW only what is idle is given:
 * no connection is made for it.  Errors:
 *	ETIMEDOUT	none came free in time; the message has the last connect error
 *	EREFUSED	wrong password, no such role or database: at once, if no
 *				connection is left that could serve
 *	ECONNECT	the server cannot be reached since fail_fast_after_ms
 *	EQUEUEFULL	max connections are there or being made for others, and
 *				max_waiters are waiting already
 *	ECLOSED, EFORK, EINVAL
 */
#define dbpool_acquire(pool, deadline, lease, err) \
	dbpool_acquire_at((pool), (deadline), (lease), (err), __FILE__, __LINE__)
int dbpool_acquire_at(dbpool_pool *pool, int64_t deadline, dbpool_lease *lease,
					  dbpool_error *err, const char *file, int line);

/*
 * The connection of a lease: plain libpq, for one thread at a time, valid until
 * the release; never PQfinish it.  NULL if the lease has ended, is in use by
 * dbpool_exec, was given up at a deadline or closed by PQfinish, or the process
 * is a forked child: dbpool_lease_check tells which.
 */
PGconn *dbpool_conn(dbpool_lease lease);

/*
 * Tell whether a lease can be used: OK, ESTALE, EBUSY, ECONNLOST (given up at a deadline,
 * finished), EFORK, EINVAL.
 */
int dbpool_lease_check(dbpool_lease lease, dbpool_error *err);

/*
 * Give the connection back and clear *lease.  Never fails, never waits for the
 * server: what must be rolled back, reset or closed is left to a worker.
 * Releasing a cleared lease does nothing; a stale copy is counted
 * (stale_releases).  Releasing while another thread is inside dbpool_exec
 * closes the connection when that call ends.
 */
void dbpool_release(dbpool_lease *lease);

/*
 * Give the connection back to be closed, its command cancelled; else as dbpool_release.
 * While another thread is inside dbpool_exec that call's statement is cancelled (most
 * likely it returns EQUERY with 57014), and the connection is closed when it ends.
 */
void dbpool_discard(dbpool_lease *lease);

/*
 * Run one statement and wait for its result, as PQexec (params NULL: simple
 * protocol, several statements allowed, the last result is given) or
 * PQexecParams.  *result is the caller's (PQclear); NULL on error.  A COPY
 * result is success, to be continued with libpq.  Errors:
 *	EQUERY		the server's error: sqlstate; message with DETAIL and HINT, cut at
 *				its end; flags RETRYABLE (40001, 40P01), TX_ABORTED
 *	ETIMEDOUT	cancelled; the connection will be closed at release and is of no
 *				more use; OUTCOME_UNKNOWN (NOT_SENT if past before sending, or while
 *				it was being prepared)
 *	ECONNLOST	NOT_SENT | RETRYABLE, or OUTCOME_UNKNOWN
 *	ESTALE, EBUSY, EFORK, EINVAL, ENOMEM
 */
int dbpool_exec(dbpool_lease lease, int64_t deadline, const char *sql,
				const dbpool_params *params, PGresult **result, dbpool_error *err);

/* ---- transactions ---- */

/*
 * Borrow a connection and begin a transaction on it.  `deadline` is that of
 * the whole transaction, COMMIT included (DEADLINE_DEFAULT: exec_timeout_ms, of
 * which the acquire may take acquire_timeout_ms).  A connection found dead by BEGIN is replaced:
 * nothing was done yet.  Errors: as dbpool_acquire and dbpool_exec; EINVAL if *session
 * is not fresh or ended, or if `begin` does not begin a transaction.
 */
#define dbpool_session_begin(pool, deadline, session, err) \
	dbpool_session_begin_at((pool), (deadline), (session), (err), __FILE__, __LINE__)
int dbpool_session_begin_at(dbpool_pool *pool, int64_t deadline, dbpool_session *session,
							dbpool_error *err, const char *file, int line);

/*
 * Commit and give the connection back; session->fate says what became of it:
 *	OK			COMMITTED (err->flags may have NOT_REPLICATED)
 *	EABORTED	a statement had failed before: ABORTED; sqlstate is that one's
 *	EQUERY		COMMIT failed, by a deferred constraint, say: ABORTED
 *	ECONNLOST, ETIMEDOUT	UNKNOWN with OUTCOME_UNKNOWN; ABORTED with NOT_SENT
 *	EBUSY		a statement is still under way: nothing done, still OPEN
 *	EINVAL		not open, or a statement had ended the transaction by itself
 *	ESTALE, EFORK
 * A wait for synchronous replication that was cancelled is told apart by the
 * server's warning, for which COMMIT must run with libpq's own notice receiver; a
 * receiver that the caller has set gets the warning instead.
 */
int dbpool_session_commit(dbpool_session *session, dbpool_error *err);

/*
 * Give up what is still open: the server rolls back, without the caller waiting for
 * it, and the connection goes back.  Does nothing otherwise, so it may be called
 * at the end of every path; with GCC and Clang by itself:
 *	DBPOOL_SCOPED_SESSION s = DBPOOL_SESSION_INIT;
 */
void dbpool_session_end(dbpool_session *session);

#if defined(__GNUC__) || defined(__clang__)
#define DBPOOL_SCOPED_SESSION __attribute__((cleanup(dbpool_session_end))) dbpool_session
#define DBPOOL_SCOPED_LEASE __attribute__((cleanup(dbpool_release))) dbpool_lease
#endif

/*
 * What a transaction does: 0 = commit; anything else = roll back and return
 * that (positive: DBPOOL_* codes, negative: the caller's own).  `err` is never
 * NULL.  It may be called several times, so it must not change what it
 * cannot change again, nor end the transaction itself.
 */
typedef int (*dbpool_transaction_fn)(dbpool_session *session, void *arg, dbpool_error *err);

/*
 * Begin, call fn and commit; and all of it again, on another connection if need be, if
 * it failed in a way that lets it succeed: 40001, 40P01, a connection lost before
 * COMMIT was sent, 25006 of a server that became read-only.  Never again after
 * DBPOOL_UNKNOWN, but for DBPOOL_TX_IDEMPOTENT.  Between two attempts it sleeps at
 * random up to 5, 10, 20 ... 1000 ms, holding no connection.  It gives up at the
 * deadline, after retry_attempts, or when the pool's retry budget is used up: each
 * transaction pays in retry_percent of a retry, the balance is limited to 2 x max,
 * and 5 are lent at the start.  So a server that fails all gets 1.1 times the
 * transactions, not more, once there were 50.
 *
 * session may be NULL, or a fresh one with flags and begin; it is ended on return.
 * Errors: of the last attempt, as dbpool_session_begin, fn and dbpool_session_commit;
 * TX_ABORTED tells that it is aborted, OUTCOME_UNKNOWN that this is unknown.
 */
#define dbpool_transaction(pool, deadline, session, fn, arg, err) \
	dbpool_transaction_at((pool), (deadline), (session), (fn), (arg), (err), __FILE__, __LINE__)
int dbpool_transaction_at(dbpool_pool *pool, int64_t deadline, dbpool_session *session,
						  dbpool_transaction_fn fn, void *arg, dbpool_error *err,
						  const char *file, int line);

/* ---- numbers ---- */

/* Fill a struct with a pool's numbers, up to stats->size.  Errors: EINVAL, ECLOSED, EFORK. */
int dbpool_pool_stats(dbpool_pool *pool, dbpool_stats *stats, dbpool_error *err);

/*
 * Walk over the leases that are out: start with *cursor = 0; EEND at the end.
 * Leases taken or returned meanwhile may or may not be seen.
 */
int dbpool_lease_next(dbpool_pool *pool, uint32_t *cursor, dbpool_lease_info *info,
					  dbpool_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* DBPOOL_H */
