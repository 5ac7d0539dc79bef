/*
 * internal.h
 *		What the files of libdbpool share: never installed.
 *
 * Locks: pool->lock guards everything in a pool unless a field says otherwise.
 * The registry lock (process.c) guards the list of retired pools; it is never
 * taken while a pool->lock is held, nor the other way round.  The services lock
 * (service.c) guards the table of services and is taken before both.  Nothing that may
 * block is done under either: no libpq call that talks to the server, only
 * poll with timeout 0.
 *
 * Who may touch a PGconn: while its slot is LEASED the borrower, while
 * CONNECTING, RESETTING or CLOSING the worker on it, while IDLE nobody but for
 * PQsocket() under the lock.  Hand-over is always under pool->lock.
 *
 * Memory of pools and slots is type-stable: a closed pool is retired to a list
 * and used for a later dbpool_open, never freed; generations go on counting.  So
 * a stale lease or handle never points to freed memory.
 */
#ifndef DBPOOL_INTERNAL_H
#define DBPOOL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <libpq-events.h>

#include "dbpool.h"
#include "config.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define LINGER_NS (2 * NS_PER_S)	/* how long we wait for a backend's end */
#define RESET_SOON_NS (50 * NS_PER_MS) /* so long a waiter counts on a reset */
#define CANCEL_AGAIN_NS (50 * NS_PER_MS) /* between cancels of one command */
#define CANCEL_MAX_AGE_NS (5 * NS_PER_S) /* a cancel older than this is dropped */

/* ---- the circuit breaker (breaker.c) ---- */

typedef enum
{
	BREAKER_CLOSED, /* connects, up to the limit */
	BREAKER_OPEN,	/* one prober at a time, after pauses */
	BREAKER_RAMP	/* the server is back: 1, 2, 4 ... at the same time */
} dbpool__breaker_state;

/* Guarded by the pool's lock; read and changed by breaker.c, others only read. */
typedef struct dbpool__breaker
{
	dbpool__breaker_state state;
	bool	 refused;	   /* the last failure was 28xxx or 3D000 */
	uint32_t limit;		   /* connect_limit */
	uint32_t allowed;	   /* attempts at the same time, unless OPEN */
	uint32_t ramp_done;	   /* successes since it was last raised */
	uint32_t inflight;	   /* attempts on workers now */
	uint32_t failures;	   /* in a row, one a generation */
	uint64_t generation;   /* ended by its first failure */
	int64_t	 lease_ns;	   /* how long a prober is waited for */
	int64_t	 prober_until; /* end of the prober's lease, 0 = none is out */
	int64_t	 next_at;	   /* no attempt before */
	int64_t	 opened_at;	   /* 0 = not open */
	uint32_t ceiling;	   /* connections the server has room for, 0 = unknown */
	uint32_t ceiling_step; /* raised by that at the next success */
	uint32_t ceiling_hits;
	int64_t	 ceiling_until;
} dbpool__breaker;

void dbpool__breaker_init(dbpool__breaker *b, uint32_t limit, int64_t lease_ns);
bool dbpool__breaker_may_start(const dbpool__breaker *b, uint32_t live, int64_t now);
int64_t	 dbpool__breaker_next(const dbpool__breaker *b, int64_t now);
uint64_t dbpool__breaker_start(dbpool__breaker *b, int64_t now);
void dbpool__breaker_succeeded(dbpool__breaker *b, uint32_t live, uint32_t max);
bool dbpool__breaker_failed(dbpool__breaker *b, uint64_t generation, const char *sqlstate,
							uint32_t live, int64_t now, uint64_t random);
void dbpool__breaker_abandoned(dbpool__breaker *b);
bool dbpool__is_refusal(const char *sqlstate);
int64_t dbpool__backoff(uint32_t failures, bool refused, uint64_t random);

/* ---- retries (retry.c) ---- */

/* What retries may still be made; in hundredths of one.  Guarded by the pool's lock. */
typedef struct dbpool__budget
{
	int64_t balance;
	int64_t most;
	int64_t percent; /* paid in by each request */
	int64_t owed;	 /* of what was lent at the start */
} dbpool__budget;

void	dbpool__budget_init(dbpool__budget *b, int64_t percent, int64_t max);
void	dbpool__budget_request(dbpool__budget *b);
bool	dbpool__budget_take(dbpool__budget *b);
int64_t dbpool__retry_pause(uint32_t attempts, uint64_t random);
int		dbpool__pause(dbpool_pool *pool, int64_t until, dbpool_error *err);
int dbpool__retry_wait(dbpool_pool *pool, uint32_t attempts, int64_t deadline, dbpool_error *err);

/* ---- waiters (waiter.c) ---- */

typedef enum
{
	WAITER_WAITING,
	WAITER_GRANTED,
	WAITER_FAILED,
	WAITER_TIMEDOUT
} dbpool__verdict;

/*
 * A caller in the queue; lives on its stack.  `state` leaves WAITING exactly
 * once, under pool->lock; the store is a release, so that the waiter may read the
 * other fields without the lock once it sees it.
 */
typedef struct dbpool__waiter
{
	struct dbpool__waiter *prev;
	struct dbpool__waiter *next;
	_Atomic uint32_t	   state; /* dbpool__verdict; futex word */
	uint32_t			   slot;
	uint64_t			   generation;
	int64_t				   since; /* queued at, precise clock */
	const char			  *file;
	int					   line;
	dbpool_error		   error; /* when FAILED */
} dbpool__waiter;

typedef struct dbpool__waitq
{
	dbpool__waiter *head;
	dbpool__waiter *tail;
	uint32_t		n;
} dbpool__waitq;

void dbpool__waitq_push(dbpool__waitq *q, dbpool__waiter *w);
bool dbpool__waitq_settle(dbpool__waitq *q, dbpool__waiter *w, dbpool__verdict verdict);
dbpool__verdict dbpool__waiter_wait(dbpool__waiter *w, int64_t deadline);
void			dbpool__waiter_wake(_Atomic uint32_t *state);

/* ---- sessions (session.c) ---- */

/* What the event procedure saw; touched by the connection's holder only. */
typedef struct dbpool__session
{
	bool dirty;		  /* session state may differ from a fresh one */
	bool failed;	  /* likewise, by a command that ended in an error */
	bool evict;		  /* 25006, PQreset: not to be lent again */
	bool server_ro;	  /* 25006, and the server itself says read-only */
	bool destroyed;	  /* the borrower called PQfinish */
	bool own;		  /* a command of the library, which leaves nothing */
	bool deallocated; /* the server has forgotten all prepared statements */
	char sqlstate[6]; /* the last error but 25P02, since it was last cleared */
	uint32_t commits; /* seen since then, PREPARE TRANSACTION too */
	PQnoticeReceiver  receiver; /* as libpq set them, to be restored */
	PQnoticeProcessor processor;
} dbpool__session;

bool dbpool__tag_dirties(const char *tag, ExecStatusType status);
bool dbpool__session_attach(PGconn *conn, dbpool__session *session);
void dbpool__session_detach(PGconn *conn, const dbpool__session *session);
void dbpool__session_restore(PGconn *conn, const dbpool__session *session,
							 dbpool__reset reset);

/* ---- prepared statements of a connection (cache.c, statements.c) ---- */

#define STATEMENT_NAME_SIZE 48
#define CACHE_COUNTS 256

/* What a statement is known by. */
typedef struct dbpool__statement_key
{
	const char *sql;
	size_t		length;
	const Oid  *types;
	int			ntypes;
	uint64_t	hash;
} dbpool__statement_key;

/* One that the server has prepared, or of which it does not know yet that it is dropped. */
typedef struct dbpool__statement
{
	struct dbpool__statement *prev; /* by use, the latest first */
	struct dbpool__statement *next; /* likewise; or of the dead */
	struct dbpool__statement *chain; /* of its bucket */
	uint64_t hash;
	size_t	 bytes; /* of this struct with all it has */
	size_t	 length;
	char	*sql; /* after the types */
	char	 name[STATEMENT_NAME_SIZE];
	int		 ntypes;
	Oid		 types[];
} dbpool__statement;

typedef struct dbpool__use_count
{
	uint64_t hash;
	uint32_t uses;
} dbpool__use_count;

typedef struct dbpool__cache
{
	uint64_t epoch; /* pool->statement_epoch when its entries were made */
	size_t	 limit;
	size_t	 bytes;
	uint32_t n;
	uint32_t ndead;
	dbpool__statement *head;
	dbpool__statement *tail;
	dbpool__statement *dead;
	/* not yet in the pool's numbers */
	uint64_t hits;
	uint64_t prepared;
	uint64_t evicted;
	uint64_t invalidations;
	uint64_t retries;
	dbpool__use_count counts[CACHE_COUNTS];
	size_t			  nbuckets; /* a power of two */
	dbpool__statement *buckets[];
} dbpool__cache;

dbpool__statement_key dbpool__statement_key_of(const char *sql, int ntypes, const Oid *types);
dbpool__cache *dbpool__cache_new(size_t limit);
void dbpool__cache_free(dbpool__cache *cache);
bool dbpool__statement_is(const dbpool__statement *entry, const dbpool__statement_key *key);
dbpool__statement *dbpool__cache_find(dbpool__cache *cache, const dbpool__statement_key *key);
uint32_t dbpool__cache_count(dbpool__cache *cache, const dbpool__statement_key *key);
dbpool__statement *dbpool__statement_new(const dbpool__cache *cache,
										 const dbpool__statement_key *key);
void dbpool__cache_add(dbpool__cache *cache, dbpool__statement *entry);
void dbpool__cache_bury_all(dbpool__cache *cache);
void dbpool__cache_buried(dbpool__cache *cache);
void dbpool__cache_forget(dbpool__cache *cache);

/* ---- slots (slot.c) ---- */

typedef enum
{
	SLOT_EMPTY,
	SLOT_CONNECTING, /* in connectq, or on a worker */
	SLOT_IDLE,		 /* in the idle list */
	SLOT_LEASED,
	SLOT_RESETTING, /* in resetq, or on a worker */
	SLOT_CLOSING,	/* in closeq, on a worker, or lingering */
	SLOT_NSTATES
} dbpool__slot_state;

/* dbpool__slot.todo: what a worker has to do before the slot is idle again */
#define NEED_ROLLBACK 0x1u
#define NEED_DISCARD 0x2u
#define NEED_CHECK 0x4u

typedef struct dbpool__slot
{
	struct dbpool__slot *prev; /* in the one list of its state */
	struct dbpool__slot *next;
	uint32_t			 index; /* constant */
	dbpool__slot_state	 state;
	PGconn				*conn; /* pointer under the lock; see above for use */
	uint64_t			 generation;  /* of the current lease, 0 if not leased */
	uint64_t			 epoch;		  /* pool->epoch when it was connected */
	int64_t				 expires_at;  /* end of life, INT64_MAX = never */
	int64_t				 idle_since;  /* coarse */
	int64_t				 acquired_at; /* coarse */
	const char			*file;
	int					 line;
	int					 backend_pid;
	unsigned			 todo;
	int64_t				 reset_since; /* queued for a reset at, coarse */
	bool				 used;		/* the borrower was given the PGconn, or had it used */
	bool				 busy;		/* a dbpool_exec is running */
	bool				 orphaned;	/* released while busy */
	bool				 condemned; /* given up at a deadline */
	int					 linger_fd; /* -1, or open until the backend is gone */
	int64_t				 linger_until;
	uint64_t			 linger_number; /* counts the lingerings of this slot */
	PGcancel			*interrupt; /* made with the connection; used once, by
									 * a thread that does not hold that */
	PGcancel			*cancel;	/* to stop the command of a lingering one */
	int64_t				 cancel_at; /* when to send it (again) */
	dbpool__session		 session; /* the connection's holder */
	dbpool__cache *cache;	 /* the connection's holder; NULL until it has one */
	uint64_t	   statements; /* in it, as of the last dbpool__statements_note */
	uint64_t	   statement_bytes;
} dbpool__slot;

typedef struct dbpool__list
{
	dbpool__slot *head;
	dbpool__slot *tail;
} dbpool__list;

typedef struct dbpool__cancel
{
	struct dbpool__cancel *next;
	PGcancel			  *handle;
	int64_t				   queued_at;
	dbpool__slot		  *slot; /* gets the handle back while it lingers, or NULL */
	uint64_t			   linger_number;
} dbpool__cancel;

/* ---- what is watched (metrics.c, events.c) ---- */

#define HISTOGRAM_BOUNDS 9

/* Times by their bounds; the last count is of those above all.  Sums are in dbpool_stats. */
typedef struct dbpool__histogram
{
	uint64_t counts[HISTOGRAM_BOUNDS + 1];
} dbpool__histogram;

extern const int64_t dbpool__histogram_bounds[HISTOGRAM_BOUNDS];

static inline void
dbpool__histogram_note(dbpool__histogram *h, int64_t ns)
{
	size_t i = 0;

	while (i < HISTOGRAM_BOUNDS && ns > dbpool__histogram_bounds[i])
		i++;
	h->counts[i]++;
}

typedef struct dbpool__events dbpool__events;

dbpool__events *dbpool__events_new(void);
void dbpool__event(dbpool_pool *pool, int type, const dbpool__slot *slot,
				   const dbpool_error *error);
void *dbpool__events_main(void *arg);
void dbpool__stats_fill(const dbpool_pool *pool, dbpool_stats *all); /* stats.c */

/* ---- the pool ---- */

struct dbpool_pool
{
	pthread_mutex_t lock;
	pthread_cond_t	work_cond;	/* workers: something in a queue */
	pthread_cond_t	state_cond; /* wait_ready, close: a slot or thread changed */
	pthread_cond_t	event_cond; /* the events' thread: one was noted */

	/* constant from open to retirement */
	dbpool_config config;
	_Atomic uint32_t fork_generation; /* atomic: stale handles read it unlocked */
	uint32_t	  capacity; /* slots allocated, >= config.max */
	pthread_t	 *threads;  /* of dbpool_close only */
	uint32_t	  nstarted;
	int			  stop_fd;	/* eventfd, readable once closing: ends waits */
	int			wake_fd;	/* eventfd: wakes the maintenance thread */
	uint64_t	statement_prefix; /* random: in the names of our statements */
	struct pollfd *poll_set; /* maintenance thread only; capacity + 1 */
	dbpool__slot  **poll_slot; /* maintenance thread only; parallel to it */
	dbpool_pool	  *next_retired; /* registry lock */

	_Atomic uint64_t statement_number; /* the next one's */
	_Atomic uint64_t statement_epoch;  /* raised: all connections prepare anew */
	_Atomic uint64_t statements_lost;  /* deallocated without our seeing it */

	/* guarded by lock from here on */
	bool		closing;  /* no new leases */
	bool		stopping; /* threads end when their queues are empty */
	bool		closed;	  /* dbpool_close has returned */
	bool		defined;  /* a service's: closed by dbpool_undefine alone */
	uint32_t	nthreads; /* running */
	uint32_t	watchers; /* inside dbpool_wait_ready, waiting on state_cond */
	uint32_t	nstate[SLOT_NSTATES];
	uint64_t	generation; /* last lease; never restarts */
	uint64_t	epoch;		/* connections of an older one are not lent */
	int64_t		epoch_at;	/* when a 25006 last raised it */
	uint64_t	rng;
	dbpool__list idle; /* head = last used */
	dbpool__list connectq;
	dbpool__list resetq;
	dbpool__list closeq;
	dbpool__cancel *cancel_head;
	dbpool__cancel *cancel_tail;
	dbpool__waitq waiters;
	uint32_t	resets_inflight;
	uint32_t	cancels_inflight;
	uint32_t	nworkers;
	int64_t		grow_at;	 /* maintenance: look for waiters again, or never */
	dbpool__breaker breaker; /* when to connect */
	dbpool__budget budget;	 /* of retries */
	dbpool_error connect_error; /* the last failure; code OK if none */
	dbpool_stats stats;		 /* counters only */
	dbpool__histogram wait_time; /* of acquired_waiting */
	dbpool__histogram use_time;	 /* of released */
	dbpool__histogram create_time; /* of connects_ok */
	dbpool__events *events;		 /* NULL without a callback */

	dbpool__slot slots[];
};

void dbpool__slot_lend(dbpool_pool *pool, dbpool__slot *slot, const char *file, int line,
					   int64_t now);
_Atomic uint32_t *dbpool__slot_ready(dbpool_pool *pool, dbpool__slot *slot, int64_t now);
void dbpool__slot_to_reset(dbpool_pool *pool, dbpool__slot *slot, unsigned todo);
void dbpool__slot_to_close(dbpool_pool *pool, dbpool__slot *slot, uint64_t *counter);
void dbpool__slot_empty(dbpool_pool *pool, dbpool__slot *slot);
dbpool__slot *dbpool__slot_take_idle(dbpool_pool *pool, int64_t now);
void dbpool__grow(dbpool_pool *pool);
void dbpool__fail_waiters(dbpool_pool *pool, const dbpool_error *why, uint64_t *counter);
int	 dbpool__slot_probe(const dbpool__slot *slot);
bool dbpool__idle_overdue(dbpool_pool *pool, dbpool__slot *slot, int64_t now);
void dbpool__list_push_tail(dbpool__list *list, dbpool__slot *slot);
uint32_t dbpool__live(const dbpool_pool *pool);

/* Change the state and the counts with it; the lists are the caller's. */
static inline void
dbpool__slot_set(dbpool_pool *pool, dbpool__slot *slot, dbpool__slot_state state)
{
	pool->nstate[slot->state]--;
	pool->nstate[state]++;
	slot->state = state;
}

static inline void
dbpool__list_push_head(dbpool__list *list, dbpool__slot *slot)
{
	slot->prev = NULL;
	slot->next = list->head;
	if (list->head != NULL)
		list->head->prev = slot;
	else
		list->tail = slot;
	list->head = slot;
}

static inline void
dbpool__list_remove(dbpool__list *list, dbpool__slot *slot)
{
	if (slot->prev != NULL)
		slot->prev->next = slot->next;
	else
		list->head = slot->next;
	if (slot->next != NULL)
		slot->next->prev = slot->prev;
	else
		list->tail = slot->prev;
	slot->prev = NULL;
	slot->next = NULL;
}

/* Too old, or of an evicted generation?  Counts the reason if so. */
static inline bool
dbpool__slot_outdated(dbpool_pool *pool, const dbpool__slot *slot, int64_t now)
{
	if (slot->epoch != pool->epoch)
	{
		pool->stats.closed_evicted++;
		return true;
	}
	if (now >= slot->expires_at)
	{
		pool->stats.closed_lifetime++;
		return true;
	}
	return false;
}

/* ---- libpq under a deadline (wire.c) ---- */

typedef enum
{
	RUN_OK,		 /* *res is the result, perhaps an error of the server */
	RUN_NOTSENT, /* nothing was sent */
	RUN_LOST,	 /* the connection died after sending; *res may hold why */
	RUN_TIMEOUT, /* the deadline passed after sending */
	RUN_STOPPED, /* stop_fd became readable after sending */
	RUN_NOMEM
} dbpool__run_status;

int dbpool__wait_fd(int fd, short events, int stop_fd, int64_t deadline);
dbpool__run_status dbpool__run(PGconn *conn, int stop_fd, int64_t deadline, const char *sql,
							   const dbpool_params *params, PGresult **res);
dbpool__run_status dbpool__flush(PGconn *conn, int stop_fd, int64_t deadline);
dbpool__run_status dbpool__next_result(PGconn *conn, int64_t deadline, PGresult **res);
dbpool__run_status dbpool__run_prepare(PGconn *conn, int64_t deadline, const char *name,
									   const char *sql, const dbpool_params *params,
									   PGresult **res);
dbpool__run_status dbpool__run_prepared(PGconn *conn, int64_t deadline, const char *name,
										const dbpool_params *params, PGresult **res);
int dbpool__conn_finish(PGconn *conn);

/* statements.c: the same, prepared if it pays */
typedef struct dbpool__run_note
{
	bool sent;	/* the statement itself; else only what had to come before it */
	bool stale; /* an error of ours: repeated, it would succeed */
} dbpool__run_note;

dbpool__run_status dbpool__statement_run(dbpool_pool *pool, dbpool__slot *slot, int64_t deadline,
										 const char *sql, const dbpool_params *params,
										 dbpool__run_note *note, PGresult **res);
void dbpool__statements_note(dbpool_pool *pool, dbpool__slot *slot);
dbpool__cache *dbpool__statement_cache(dbpool_pool *pool, dbpool__slot *slot);
dbpool__statement *dbpool__statement_named(dbpool_pool *pool, const dbpool__cache *cache,
										   const dbpool__statement_key *key);
bool dbpool__statement_was_ours(dbpool_pool *pool, dbpool__slot *slot, const PGresult *res);

/* ---- calls that use a lease's connection (exec.c) ---- */

typedef struct dbpool__use
{
	dbpool_pool			   *pool;
	dbpool__slot		   *slot; /* busy, so conn is ours */
	PGconn				   *conn;
	int64_t					deadline;
	PGTransactionStatusType before;
} dbpool__use;

bool dbpool__params_good(const dbpool_params *params);
int dbpool__use_begin(dbpool__use *use, dbpool_lease lease, int64_t deadline, dbpool_error *err);
int dbpool__judge(const dbpool__use *use, dbpool__run_status status, const dbpool__run_note *note,
				  PGresult **res, dbpool_error *err);
void dbpool__use_end(dbpool__use *use, dbpool__run_status status, int code);

/* resolve.c */
int dbpool__ticket_fill(dbpool_lease lease, int64_t deadline, dbpool_ticket *ticket,
						dbpool_error *err);

/* ---- threads ---- */

void *dbpool__worker_main(void *arg);	   /* worker.c */
void *dbpool__maintenance_main(void *arg); /* maintain.c */
void dbpool__wake_maintenance(dbpool_pool *pool);
void dbpool__thread_ended(dbpool_pool *pool); /* pool.c; unlocks */
void dbpool__queue_cancel(dbpool_pool *pool, PGcancel *handle, dbpool__slot *slot);
PGconn *dbpool__connect(dbpool_pool *pool, dbpool__slot *slot, dbpool_error *err); /* connect.c */
bool dbpool__connect_sqlstate(const char *text, char *sqlstate, char *message, size_t size);

int	 dbpool__lease_usable(dbpool_pool *pool, const dbpool__slot *slot, dbpool_error *err);
int	 dbpool__lease_lock(dbpool_lease lease, dbpool__slot **slot, dbpool_error *err); /* lease.c */
void dbpool__lease_end(dbpool_pool *pool, dbpool__slot *slot, bool discard);
int	 dbpool__pool_lock(dbpool_pool *pool, dbpool_error *err); /* pool.c */
void dbpool__evict_all(dbpool_pool *pool);
bool dbpool__own_thread(const dbpool_pool *pool);

/* ---- the process (process.c) ---- */

extern _Atomic uint32_t dbpool__fork_generation;
int	 dbpool__process_init(void);
dbpool_pool *dbpool__shell_take(uint32_t capacity);
void dbpool__shell_retire(dbpool_pool *pool);
bool dbpool__may_retire(const dbpool_pool *pool);
void dbpool__abandon_in_child(dbpool_pool *pool);

static inline bool
dbpool__forked(const dbpool_pool *pool)
{
	return atomic_load_explicit(&pool->fork_generation, memory_order_relaxed) !=
		atomic_load_explicit(&dbpool__fork_generation, memory_order_relaxed);
}

/* ---- clocks and chance (clock.c) ---- */

int64_t	 dbpool__now(void);	   /* precise, about 22 ns */
int64_t	 dbpool__coarse(void); /* late by up to a tick, about 5 ns */
uint64_t dbpool__seed(void);
uint64_t dbpool__random(uint64_t *state);

static inline int64_t
dbpool__after(int64_t now, int64_t ns)
{
	return ns > INT64_MAX - now ? INT64_MAX : now + ns;
}

static inline bool
dbpool__passed(int64_t deadline)
{
	return deadline != DBPOOL_DEADLINE_NONE && dbpool__now() >= deadline;
}

/* ---- errors (error.c) ---- */

static inline bool
dbpool__error_ok(const dbpool_error *err)
{
	return err == NULL || err->size >= sizeof(dbpool_error);
}

static inline int
dbpool__ok(dbpool_error *err)
{
	if (err != NULL)
	{
		err->code = DBPOOL_OK;
		err->flags = 0;
		err->sqlstate[0] = '\0';
		err->message[0] = '\0';
	}
	return DBPOOL_OK;
}

void dbpool__set_error(dbpool_error *err, int code, uint32_t flags, const char *sqlstate,
					   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* for `return dbpool__fail(...)`; a macro so that analyzers see the code */
#define dbpool__fail(err, code, ...) (dbpool__set_error((err), (code), __VA_ARGS__), (code))

int dbpool__copy_error(dbpool_error *to, const dbpool_error *from);
void dbpool__one_line(char *text);

#endif /* DBPOOL_INTERNAL_H */
