/*-------------------------------------------------------------------------
 *
 * track.h
 *	  What the files of track share: the shared memory and its locks.
 *
 * dbu_track_shared->lock, one LWLock, guards the structure: which entry is where,
 * which services there are.  Held shared it allows to find an entry, and to read
 * all of it but what its spinlock guards.  Held exclusively it allows to add, evict
 * and reset.
 *
 * An entry's spinlock (mutex) guards its counters, histogram and usage, in whatever
 * mode the LWLock is held.  Its key and wants are guarded by both: who holds
 * either may read them, who changes them holds both, the LWLock exclusively.  So
 * a process that remembers where a statement was counts it under the spinlock alone, after
 * it compared the key; the exclusive lock does not keep it out.  Whoever takes the
 * key away or clears the counters reads, in the same section, what they held.
 *
 * Under a spinlock nothing is allocated, logged or raised.  Under the
 * LWLock no catalog is read: waiting there for a heavyweight lock whose holder
 * waits for the LWLock is a deadlock that nobody detects.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_TRACK_TRACK_H
#define DBU_TRACK_TRACK_H

#include "core/module.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/dsa.h"

#include "core/histogram.h"

typedef enum DbuTrackLevel
{
	DBU_TRACK_NONE,
	DBU_TRACK_TOP,				/* what the client sends */
	DBU_TRACK_ALL				/* and what functions run */
} DbuTrackLevel;

/* Identity of a statement's entry. Zeroed before it is filled: it is hashed. */
typedef struct StatementKey
{
	uint64		query_id;
	Oid			database;
	Oid			username;
	int32		service;		/* index into dbu_track_services */
	int32		toplevel;
} StatementKey;

static inline bool
dbu_track_same_statement(const StatementKey *a, const StatementKey *b)
{
	return a->query_id == b->query_id && a->database == b->database &&
		a->username == b->username && a->service == b->service && a->toplevel == b->toplevel;
}

/* Times of executions or of plannings, milliseconds. */
typedef struct DbuTimes
{
	double		total;
	double		min;
	double		max;
	double		mean;			/* Welford's running mean and */
	double		sum_var;		/* sum of squared differences from it */
	bool		has_range;		/* min and max are set */
} DbuTimes;

/* JIT; only what is positive is added up, as PostgreSQL's own counters do. */
typedef struct JitCounters
{
	int64		functions;
	double		generation_ms;
	int64		inlining_count;
	double		inlining_ms;
	int64		optimization_count;
	double		optimization_ms;
	int64		emission_count;
	double		emission_ms;
} JitCounters;

typedef struct StatementCounters
{
	int64		calls;
	int64		plans;
	int64		plan_cache_hits;
	int64		errors;
	int64		rows;
	DbuTimes	exec;
	DbuTimes	plan;
	BufferUsage buffers;		/* blocks only; times: */
	double		blk_read_ms;
	double		blk_write_ms;
	double		temp_blk_read_ms;
	double		temp_blk_write_ms;
	WalUsage	wal;
	JitCounters jit;
	int64		cpu_samples;	/* executions whose CPU time was taken */
	double		cpu_exec_ms;	/* their execution time */
	double		cpu_user_ms;
	double		cpu_system_ms;
	int32		last_sqlstate;	/* 0: no error yet */
} StatementCounters;

#define STATEMENT_RELATIONS 8

/* What an entry still waits for. */
#define WANTS_TEXT		1		/* no whole one was offered yet */
#define WANTS_RELATIONS 2		/* no execution was seen yet */

typedef struct StatementEntry
{
	StatementKey key;
	int32		next;			/* in its hash chain or the free list, -1: end */
	slock_t		mutex;			/* guards key, counters, histogram, usage, wants */
	uint8		usage;			/* recent use, for eviction */
	uint8		wants;
	uint8		operation;		/* a CmdType */
	uint8		nrelations;
	bool		listed;			/* on the list of those that were reset */
	int32		next_listed;	/* -1: end */
	Oid			relations[STATEMENT_RELATIONS];
	dsa_pointer text;			/* InvalidDsaPointer: none; tags behind it */
	int32		text_length;
	int32		tags_length;	/* 0: no tags */
	int32		encoding;		/* of the text */
	TimestampTz first_seen;
	TimestampTz stats_since;
	TimestampTz minmax_since;
	StatementCounters counters;
	DbuHistogram histogram;
} StatementEntry;

/* Errors of one statement with one code. */
typedef struct StatementError
{
	StatementKey key;			/* query_id 0: failed before it had one */
	int32		sqlstate;		/* 0: the place is free */
	int64		errors;			/* that ended the statement */
	int64		caught;			/* that a function inside it caught */
	TimestampTz first_seen;
	TimestampTz last_seen;
} StatementError;

typedef struct TransactionCounters
{
	int64		outcomes[DBU_XACT_OUTCOMES];
	int64		statements;
	int64		subtransactions;
	int64		rows_written;
	uint64		wal_bytes;
	int64		wrote;
	int64		idle_gaps;
	double		idle_ms;
	double		max_idle_ms;
	double		total_ms;
	double		min_ms;
	double		max_ms;
	bool		has_range;		/* min and max are set */
	int64		commits_written;	/* those with a commit record: */
	double		total_commit_ms;
	double		max_commit_ms;
	DbuHistogram durations;
	DbuHistogram commit_times;
} TransactionCounters;

/* Which transactions are of one kind. Zeroed before it is filled. */
typedef struct TransactionKey
{
	uint64		shape;			/* hash of its name, else of its statements;
								 * 0: those for which there was no room */
	int32		service;		/* index into dbu_track_services */
	Oid			database;
	Oid			username;
	int32		named;
} TransactionKey;

/* A kind as it is shown: by its name, else by its first statements. */
typedef struct TransactionShape
{
	TransactionKey key;
	char		name[NAMEDATALEN];
	uint32		nids;
	uint64		ids[DBU_XACT_IDS];
} TransactionShape;

typedef struct TransactionEntry
{
	TransactionShape shape;
	slock_t		mutex;			/* guards counters */
	TransactionCounters counters;
} TransactionEntry;

/* Durations that one record holds beside its first. */
#define TRANSACTION_REPEATS 15

/*
 * Transactions that have ended and are not in the totals yet: one, and others
 * of the same shape right after it that differ from it in nothing but their
 * durations, as those of a single SELECT do.
 */
typedef struct TransactionRecord
{
	uint32		generation;		/* of an older one: it was reset */
	TransactionShape shape;
	DbuTransaction facts;		/* but for ids, which are in shape */
	bool		repeatable;
	pg_atomic_uint32 repeats;	/* published as head is */
	double		more_ms[TRANSACTION_REPEATS];
} TransactionRecord;

#define TRANSACTION_RING 8

/*
 * Written by one backend only, without a lock, as transactions end where
 * locks are forbidden: it fills the ring at head, and publishes by advancing
 * it.  The owner moves what is between tail and head into the totals under
 * transaction_lock held shared; a reader holds it exclusively, so it sees each
 * transaction once.  A process that ends may leave records behind: they stay
 * valid, and the next process in its place moves them.
 */
typedef struct TransactionMailbox
{
	pg_atomic_uint32 head;
	pg_atomic_uint32 tail;
	TransactionRecord ring[TRANSACTION_RING];
} TransactionMailbox;

/* The same process' transaction that is open: words that are read as they are. */
typedef struct OpenTransaction
{
	int			pid;			/* 0: none is open */
	bool		failed;			/* open only if its session says so */
	int32		service;
	uint32		statements;
	char		name[NAMEDATALEN];
} OpenTransaction;

typedef struct TrackShared
{
	LWLock		lock;
	LWLock		transaction_lock;	/* totals of transactions, see below */
	LWLock		error_lock;		/* dbu_track_errors */
	TimestampTz stats_since;
	pg_atomic_uint32 generation;	/* counts resets */

	/* losses since the last reset */
	pg_atomic_uint64 evictions; /* entries taken for others */
	pg_atomic_uint64 calls_dropped; /* calls that those entries held */
	pg_atomic_uint64 errors_dropped;	/* and errors, and those beyond room */
	pg_atomic_uint64 error_codes_dropped;	/* and errors whose code is not
											 * known any more */
	pg_atomic_uint64 texts_dropped; /* entries without text for want of room */
	pg_atomic_uint64 services_dropped;	/* times a session's service became
										 * <other> */
	pg_atomic_uint64 transactions_dropped;

	int32		nservices;
	int32		ntransactions;	/* under transaction_lock, exclusive */
	int32		free_entry;		/* free list of statement entries, -1: none */
	int32		reset_entry;	/* list of entries that were reset, -1: none */
	int32		used_entries;
	int32		clock_hand;
	int			saver;			/* place of the saver's PGPROC, -1: none */
	pg_atomic_uint32 save_asked;
} TrackShared;

/* A statement's text as it came; whole is false for one that was cut. */
typedef struct DbuTrackSource
{
	const char *text;			/* may be NULL */
	int			location;		/* -1: from the start */
	int			length;			/* 0: to the end */
	bool		whole;
	bool		utility;
	const List *range_table;	/* of its plan, NIL: not at hand */
} DbuTrackSource;

/* track.c */
extern const DbuModule dbu_track_module;

extern TrackShared *dbu_track_shared;
extern char (*dbu_track_services)[NAMEDATALEN];
extern int32 *dbu_track_buckets;
extern StatementEntry *dbu_track_entries;
extern TransactionEntry *dbu_track_transactions;
extern int32 *dbu_track_transaction_buckets;
extern TransactionMailbox *dbu_track_mailboxes;
extern OpenTransaction *dbu_track_open;
extern StatementError *dbu_track_errors;
extern int	dbu_track_max;
extern int	dbu_track_max_errors;
extern int	dbu_track_cpu_sample;
extern int	dbu_track_query_size;
extern int	dbu_track_max_services;
extern int	dbu_track_nbuckets;
extern int	dbu_track_max_transactions;
extern int	dbu_track_ntransactions;	/* and those for what finds no room */
extern int	dbu_track_ntransaction_buckets;
extern int	dbu_track_nmailboxes;

extern int	dbu_track_level;		/* dbutil.track, a DbuTrackLevel */
extern bool dbu_track_utility;		/* dbutil.track_utility */
extern bool dbu_track_planning; /* dbutil.track_planning */

/* losses of TrackShared by number, as they are saved and reset */
#define TRACK_LOSSES 7

extern pg_atomic_uint64 *dbu_track_loss(int i);
extern int32 dbu_track_service; /* of the client's last statement */
extern int32 dbu_track_service_id(void);
extern int32 dbu_track_find_service(const char *name);
extern void dbu_track_clean_name(char *name, const char *raw);

/* normalize.c */
extern void dbu_track_note_escapes(void);
extern bool dbu_track_is_plain(const DbuTrackSource *source);
extern char *dbu_track_normalize(const DbuTrackSource *source, int limit, char **tags);

/* tags.c */
extern void dbu_track_define_tags(void);
extern void dbu_track_read_tags(const char *start, const char *end, StringInfo json);

/* One that is wanted: does it have an identifier, or is its text one? */
static inline bool
dbu_track_is_counted(const DbuStatement *stmt)
{
	return stmt->query_id != 0 || stmt->operation == CMD_UTILITY;
}

/* statements.c */
extern void dbu_track_stmt_client(Oid user);
extern bool dbu_track_wanted(const DbuStatement *stmt);
extern int	dbu_track_stmt_want(const DbuStatement *stmt);
extern void dbu_track_stmt_end(const DbuStatement *stmt);
extern void dbu_track_make_key(StatementKey *key, const DbuStatement *stmt);
extern void dbu_track_make_client_key(StatementKey *key, Oid user);
extern void dbu_track_count_errors(StatementKey *key, CmdType operation, int64 errors,
								   int sqlstate, const DbuTrackSource *source);

/* statement_table.c */
extern int32 dbu_track_search_statement(const StatementKey *key);
extern StatementEntry *dbu_track_add_statement(const StatementKey *key);
extern void dbu_track_list_statement(StatementEntry *entry);
extern void dbu_track_clear_statement(StatementEntry *entry, TimestampTz now);
extern void dbu_track_store_text(StatementEntry *entry, const char *text, const char *tags,
								 int encoding);

/* pending.c */
extern int	dbu_track_errors_pending;
extern void dbu_track_stmt_abort(const DbuStatement *stmt, int sqlstate);
extern void dbu_track_stmt_caught(const DbuStatement *stmt, int sqlstate);
extern void dbu_track_error_logged(Oid user, int sqlstate);
extern void dbu_track_errors_flush(bool exiting);

/* statement_errors.c */
extern void dbu_track_add_errors(const StatementKey *key, int sqlstate, int64 errors, int64 caught);

/* views.c */
#define NPERCENTILES 4			/* p50, p90, p95, p99 */

extern Datum dbu_track_uint64_datum(uint64 value);

/* save.c */
extern void dbu_track_define_saving(void);
extern void dbu_track_start_saving(void);
extern void dbu_track_save_soon(void);

/* reset.c */
extern void dbu_track_forget(void);

/* load.c */
extern void dbu_track_load(const char *path);

/* transactions.c */
extern void dbu_track_xact_prepare(int32 service, Oid username);
extern void dbu_track_xact_begin(void);
extern void dbu_track_xact_end(const DbuTransaction *xact);
extern void dbu_track_xact_name(int32 service, const char *name);
extern TransactionEntry *dbu_track_xact_entry(const TransactionShape *shape, bool add);
extern TransactionEntry *dbu_track_copy_transactions(int *count);
extern void dbu_track_transactions_reset(void);

#endif							/* DBU_TRACK_TRACK_H */
