/*-------------------------------------------------------------------------
 *
 * track.h
 *	  What the files of track share: the shared memory and its locks.
 *
 * dbu_track_shared->lock, one LWLock, guards the structure: which entry is where,
 * which services there are, what the totals of transactions are.  Held shared
 * it allows to find an entry; counters of a found entry are then changed
 * under the entry's spinlock.  Held exclusively it allows to add, evict and
 * reset.  Under a spinlock nothing is allocated, logged or raised.  Under the
 * LWLock no catalog is read: waiting there for a heavyweight lock whose holder
 * waits for the LWLock is a deadlock that nobody detects.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_TRACK_TRACK_H
#define DBU_TRACK_TRACK_H

#include "core/module.h"

#include "datatype/timestamp.h"
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
} StatementCounters;

typedef struct StatementEntry
{
	StatementKey key;
	int32		next;			/* in its hash chain or the free list, -1: end */
	slock_t		mutex;			/* guards counters, histogram and usage */
	uint8		usage;			/* recent use, for eviction */
	bool		wants_text;		/* no whole one was offered yet */
	CmdType		operation;
	dsa_pointer text;			/* InvalidDsaPointer: none */
	int32		text_length;
	int32		encoding;		/* of the text */
	TimestampTz stats_since;
	StatementCounters counters;
	DbuHistogram histogram;
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
	DbuHistogram commit_times;
} TransactionCounters;

typedef struct TransactionKey
{
	int32		service;		/* index into dbu_track_services */
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
 * totals by the owner under the exclusive lock when the key changes; readers
 * hold the lock shared, so they see each count exactly once.  A process that
 * ends may leave counts behind: they stay valid, and the next process in its
 * place moves them.
 */
typedef struct TransactionMailbox
{
	pg_atomic_uint32 change;
	uint32		generation;		/* counts of an older one were reset */
	bool		used;			/* the key is set */
	TransactionEntry entry;
} TransactionMailbox;

typedef struct TrackShared
{
	LWLock		lock;
	TimestampTz stats_since;
	pg_atomic_uint32 generation;	/* counts resets */

	/* losses since the last reset */
	pg_atomic_uint64 evictions; /* entries taken for others */
	pg_atomic_uint64 calls_dropped; /* calls that those entries held */
	pg_atomic_uint64 errors_dropped;	/* and errors, and those beyond room */
	pg_atomic_uint64 texts_dropped; /* entries without text for want of room */
	pg_atomic_uint64 services_dropped;	/* times a session's service became
										 * <other> */
	pg_atomic_uint64 transactions_dropped;

	int32		nservices;
	int32		ntransactions;
	int32		free_entry;		/* free list of statement entries, -1: none */
	int32		used_entries;
	int32		clock_hand;
} TrackShared;

/* A statement's text as it came; whole is false for one that was cut. */
typedef struct DbuTrackSource
{
	const char *text;			/* may be NULL */
	int			location;		/* -1: from the start */
	int			length;			/* 0: to the end */
	bool		whole;
	bool		utility;
} DbuTrackSource;

/* track.c */
extern const DbuModule dbu_track_module;

extern TrackShared *dbu_track_shared;
extern char (*dbu_track_services)[NAMEDATALEN];
extern int32 *dbu_track_buckets;
extern StatementEntry *dbu_track_entries;
extern TransactionEntry *dbu_track_transactions;
extern TransactionMailbox *dbu_track_mailboxes;
extern int	dbu_track_max;
extern int	dbu_track_query_size;
extern int	dbu_track_max_services;
extern int	dbu_track_nbuckets;
extern int	dbu_track_ntransactions;
extern int	dbu_track_nmailboxes;

extern int	dbu_track_level;		/* dbutil.track, a DbuTrackLevel */
extern bool dbu_track_utility;		/* dbutil.track_utility */

extern int32 dbu_track_service_id(void);

/* normalize.c */
extern void dbu_track_note_escapes(void);
extern bool dbu_track_is_plain(const DbuTrackSource *source);
extern char *dbu_track_normalize(const DbuTrackSource *source, int limit);

/* statements.c */
extern void dbu_track_stmt_client(Oid user);
extern int	dbu_track_stmt_want(const DbuStatement *stmt);
extern void dbu_track_stmt_end(const DbuStatement *stmt);
extern void dbu_track_make_key(StatementKey *key, const DbuStatement *stmt);
extern void dbu_track_count_errors(StatementKey *key, CmdType operation, int64 errors,
								   const DbuTrackSource *source);
extern void dbu_track_statements_reset(void);

/* pending.c */
extern void dbu_track_stmt_abort(const DbuStatement *stmt, int sqlstate);
extern void dbu_track_errors_flush(bool exiting);

/* transactions.c */
extern void dbu_track_xact_prepare(int32 service, Oid username);
extern void dbu_track_xact_end(const DbuTransaction *xact);

#endif							/* DBU_TRACK_TRACK_H */
