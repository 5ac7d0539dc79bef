/*-------------------------------------------------------------------------
 *
 * track.h
 *	  What the files of track share: the shared memory and its locks.
 *
 * track_shared->lock, one LWLock, guards the structure: which entry is where,
 * which services there are, what the totals of transactions are.  Held shared
 * it allows to find an entry; counters of a found entry are then changed
 * under the entry's spinlock.  Held exclusively it allows to add, evict and
 * reset.  Under a spinlock nothing is allocated, logged or raised.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_TRACK_TRACK_H
#define DBU_TRACK_TRACK_H

#include "core/module.h"

#include "datatype/timestamp.h"
#include "funcapi.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/dsa.h"

#include "track/histogram.h"

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
	int32		service;		/* index into services */
	int32		toplevel;
} StatementKey;

typedef struct StatementCounters
{
	int64		calls;
	int64		plans;
	int64		plan_cache_hits;
	int64		errors;
	int64		rows;
	double		total_exec_ms;
	double		min_exec_ms;
	double		max_exec_ms;
	double		mean_exec_ms;	/* Welford's running mean and */
	double		sum_var_exec;	/* sum of squared differences from it */
	double		total_plan_ms;
	BufferUsage buffers;
	WalUsage	wal;
	DbuHistogram histogram;
} StatementCounters;

typedef struct StatementEntry
{
	StatementKey key;
	int32		next;			/* in its hash chain or the free list, -1: end */
	slock_t		mutex;			/* guards counters and usage */
	uint8		usage;			/* recent use, for eviction */
	CmdType		operation;
	dsa_pointer text;			/* InvalidDsaPointer: none */
	int32		text_length;
	int32		encoding;		/* of the text */
	TimestampTz stats_since;
	StatementCounters counters;
} StatementEntry;

typedef struct TransactionCounters
{
	int64		commits;
	int64		rollbacks;
	int64		statements;
	int64		wrote;
	double		total_ms;
	double		min_ms;
	double		max_ms;
	double		total_commit_ms;
	double		max_commit_ms;
	DbuHistogram durations;
	DbuHistogram commits_histogram;
} TransactionCounters;

typedef struct TransactionKey
{
	char		service[NAMEDATALEN];
	Oid			database;
	Oid			username;
} TransactionKey;

typedef struct TransactionEntry
{
	TransactionKey key;
	TransactionCounters counters;
} TransactionEntry;

/*
 * Written by one backend only, without a lock, as transactions end where
 * locks are forbidden.  change is odd while the owner writes.  Moved into the
 * totals by the owner under the exclusive lock when the key changes and at
 * exit; readers hold the lock shared, so they see each count exactly once.
 */
typedef struct TransactionMailbox
{
	pg_atomic_uint32 change;
	uint32		generation;		/* counts of an older one were reset */
	bool		used;
	TransactionEntry entry;
} TransactionMailbox;

typedef struct TrackShared
{
	LWLock		lock;
	TimestampTz stats_since;
	pg_atomic_uint32 generation;	/* counts resets */

	/* losses since the last reset */
	pg_atomic_uint64 evictions; /* entries taken for others */
	pg_atomic_uint64 calls_dropped; /* calls in them, or without an entry */
	pg_atomic_uint64 texts_dropped; /* entries without text for want of room */
	pg_atomic_uint64 errors_dropped;
	pg_atomic_uint64 services_dropped;	/* look-ups that ended under <other> */
	pg_atomic_uint64 transactions_dropped;

	int32		nservices;
	int32		ntransactions;
	int32		free_entry;		/* free list of statement entries, -1: none */
	int32		used_entries;
	int32		clock_hand;
} TrackShared;

/* track.c */
extern TrackShared *track_shared;
extern char (*track_services)[NAMEDATALEN];
extern int32 *track_buckets;
extern StatementEntry *track_entries;
extern TransactionEntry *track_transactions;
extern TransactionMailbox *track_mailboxes;
extern int	track_max;
extern int	track_query_size;
extern int	track_max_services;
extern int	track_nbuckets;
extern int	track_ntransactions;
extern int	track_nmailboxes;

extern int32 dbu_track_service_id(void);

extern int	track_level;		/* dbutil.track, a DbuTrackLevel */
extern bool track_utility;		/* dbutil.track_utility */

/* normalize.c */
extern char *dbu_track_normalize(const char *source, int location, int length, int limit);

/* statements.c */
extern int	dbu_track_stmt_want(const DbuStatement *stmt);
extern void dbu_track_stmt_end(const DbuStatement *stmt);
extern void dbu_track_stmt_abort(const DbuStatement *stmt, int sqlstate);
extern void dbu_track_plan_end(const DbuPlanRequest *req, const PlannedStmt *plan, double plan_ms);
extern void dbu_track_statements_flush(void);
extern void dbu_track_statements_reset(void);

/* transactions.c */
extern void dbu_track_xact_prepare(void);
extern void dbu_track_xact_end(const DbuTransaction *xact);
extern void dbu_track_transactions_flush(void);

#endif							/* DBU_TRACK_TRACK_H */
