/*-------------------------------------------------------------------------
 *
 * waits.c
 *	  Sampled wait events per (service, database, role, queryid, event).
 *
 * At each tick the worker looks at every session's place (sessions.c) and at the
 * wait event in its PGPROC, both without a lock, and adds what it saw to a table
 * of fixed size.  A parallel worker counts for its leader's statement.  What is
 * not waiting counts as event 0, on a processor, so that shares can be told.
 * Idle sessions and the waits of class Activity, which idle servers wait in, do
 * not count; between two statements of a transaction no statement is in
 * progress.
 *
 * Only the worker adds.  One LWLock guards the table: the worker takes it
 * exclusively once a tick, to add what it collected before.  When the table is
 * full the least used of some entries gives way, its samples counted as dropped.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/access.h"
#include "core/errors.h"
#include "track/watch.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/wait_event.h"

PG_FUNCTION_INFO_V1(dbutil_waits);
PG_FUNCTION_INFO_V1(dbutil_reset_waits);

#define EVICTION_CANDIDATES 8
#define MAX_USAGE 5

#define WAIT_CLASS(event) ((event) & 0xFF000000U)

typedef struct WaitEntry
{
	int32		next;			/* in its hash chain, -1: end */
	int32		usage;
	DbuWait		wait;
} WaitEntry;

typedef struct WaitsShared
{
	LWLock		lock;
	int32		used;			/* the first so many entries are */
	int32		hand;
	int64		ticks;
	int64		missed;			/* ticks that came too late */
	int64		dropped;		/* samples */
	TimestampTz stats_since;
} WaitsShared;

int			dbu_waits_interval = 0;
static int	max_waits = 5000;

static WaitsShared *shared = NULL;
static int32 *buckets = NULL;
static WaitEntry *entries = NULL;

static void
init(void)
{
	DefineCustomIntVariable("dbutil.track_waits_interval",
							"Time between two samples of what sessions wait for.",
							"0 turns sampling off, with it the worker that does it. See dbutil.waits.",
							&dbu_waits_interval, 0, 0, 60 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.track_waits_max",
							"Combinations of service, role, statement and wait event that are told apart.",
							"When more come, those used least give way, and their samples are counted as dropped.",
							&max_waits, 5000, 100, 1000000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

static int
nbuckets(void)
{
	return max_waits * 2;
}

static Size
shmem_size(void)
{
	Size		size = MAXALIGN(sizeof(WaitsShared));

	size = add_size(size, MAXALIGN(mul_size(nbuckets(), sizeof(int32))));
	return add_size(size, mul_size(max_waits, sizeof(WaitEntry)));
}

/* Exclusive lock, or nobody else there. */
static void
clear(void)
{
	for (int i = 0; i < nbuckets(); i++)
		buckets[i] = -1;
	shared->used = 0;
	shared->hand = 0;
	shared->ticks = shared->missed = shared->dropped = 0;
	shared->stats_since = GetCurrentTimestamp();
}

static void
shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	char	   *place = chunk;

	shared = chunk;
	place += MAXALIGN(sizeof(WaitsShared));
	buckets = (int32 *) place;
	place += MAXALIGN(mul_size(nbuckets(), sizeof(int32)));
	entries = (WaitEntry *) place;
	if (found)
		return;
	LWLockInitialize(&shared->lock, lwlock_tranche);
	clear();
}

/* ---------- the table; all under the exclusive lock ---------- */

static int32 *
bucket_of(const WaitKey *key)
{
	return &buckets[hash_bytes((const unsigned char *) key, sizeof(*key)) % nbuckets()];
}

/*
 * An entry that is not in use, if need be taken from another key: the first one
 * not seen since the hand last came by, else the least seen of some.  The hand
 * passes nothing over for a better one.
 */
static WaitEntry *
free_entry(void)
{
	WaitEntry  *victim = NULL;
	int32	   *link;

	if (shared->used < max_waits)
		return &entries[shared->used++];
	for (int i = 0; i < EVICTION_CANDIDATES; i++)
	{
		WaitEntry  *entry = &entries[shared->hand];

		shared->hand = (shared->hand + 1) % max_waits;
		if (victim == NULL || entry->usage < victim->usage)
			victim = entry;
		if (entry->usage == 0)
			break;
		entry->usage--;
	}
	shared->dropped += victim->wait.samples;
	link = bucket_of(&victim->wait.key);
	while (*link != victim - entries)
		link = &entries[*link].next;
	*link = victim->next;
	return victim;
}

static void
add_sample(const WaitKey *key, int64 elapsed_us, TimestampTz now)
{
	int32	   *bucket = bucket_of(key);
	WaitEntry  *entry = NULL;

	for (int32 i = *bucket; i >= 0 && entry == NULL; i = entries[i].next)
	{
		if (memcmp(&entries[i].wait.key, key, sizeof(*key)) == 0)
			entry = &entries[i];
	}
	if (entry == NULL)
	{
		entry = free_entry();
		memset(entry, 0, sizeof(*entry));
		entry->wait.key = *key;
		entry->wait.first_seen = now;
		entry->next = *bucket;
		*bucket = entry - entries;
	}
	entry->usage = Min(entry->usage + 1, MAX_USAGE);
	entry->wait.samples++;
	entry->wait.sampled_us += elapsed_us;
	entry->wait.last_seen = now;
}

/* ---------- the sampler ---------- */

/*
 * What the process in a place does for a statement.  The leader of a parallel
 * query is read without its lock: what is there is NULL or some PGPROC, and
 * whether that has a session is told by its place.
 */
static bool
look_at(int number, WaitKey *key)
{
	PGPROC	   *proc = &ProcGlobal->allProcs[number];
	PGPROC	   *leader = *(PGPROC *volatile *) &proc->lockGroupLeader;
	DbuSession	session;

	if (proc->pid == 0)
		return false;
	if (leader != NULL && leader != proc)
		number = leader - ProcGlobal->allProcs;
	if (number < 0 || number >= MaxBackends || !dbu_sessions_read(number, &session))
		return false;

	memset(key, 0, sizeof(*key));
	key->event = *(volatile uint32 *) &proc->wait_event_info;
	if (WAIT_CLASS(key->event) == PG_WAIT_ACTIVITY || session.state == STATE_IDLE)
		return false;
	/* with track_activities off that is all there is to tell idle sessions by */
	if (session.state == STATE_DISABLED && key->event == WAIT_EVENT_CLIENT_READ)
		return false;
	key->service = session.service;
	key->database = session.database;
	key->username = session.username;
	if (session.state == STATE_RUNNING || session.state == STATE_FASTPATH)
		key->query_id = session.query_id;
	return true;
}

/* One tick. In the worker, in a context that lives as long as it does. */
void
dbu_waits_sample(TimestampTz now)
{
	static WaitKey *seen = NULL;
	static TimestampTz last = 0;
	int64		interval = dbu_waits_interval * INT64CONST(1000);
	int64		elapsed = last != 0 ? now - last : interval;
	int			n = 0;

	if (seen == NULL)
		seen = MemoryContextAllocHuge(TopMemoryContext, mul_size(MaxBackends, sizeof(WaitKey)));
	for (int i = 0; i < MaxBackends; i++)
		n += look_at(i, &seen[n]);

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	shared->ticks++;
	/* no sample stands for much more than the interval, however late it is */
	if (elapsed >= 2 * interval)
		shared->missed += elapsed / interval - 1;
	elapsed = Min(Max(elapsed, 0), 2 * interval);
	for (int i = 0; i < n; i++)
		add_sample(&seen[i], elapsed, now);
	LWLockRelease(&shared->lock);
	last = now;
}

/* ---------- readers ---------- */

Datum
dbutil_waits(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DbuWait    *waits;
	int			count;

	dbu_require_preload("dbutil.waits");
	InitMaterializedSRF(fcinfo, 0);
	waits = palloc_extended(mul_size(max_waits, sizeof(DbuWait)), MCXT_ALLOC_HUGE);
	LWLockAcquire(&shared->lock, LW_SHARED);
	count = shared->used;
	for (int i = 0; i < count; i++)
		waits[i] = entries[i].wait;
	LWLockRelease(&shared->lock);

	for (int i = 0; i < count; i++)
	{
		WaitKey    *key = &waits[i].key;
		const char *type = key->event == 0 ? "CPU" : pgstat_get_wait_event_type(key->event);
		const char *event = key->event == 0 ? "Running" : pgstat_get_wait_event(key->event);
		Datum		values[10];
		bool		nulls[10] = {0};
		int			n = 0;

		CHECK_FOR_INTERRUPTS();
		values[n++] = CStringGetTextDatum(dbu_track_services[key->service]);
		values[n++] = ObjectIdGetDatum(key->database);
		values[n++] = ObjectIdGetDatum(key->username);
		nulls[n] = key->query_id == 0 || !dbu_may_see(key->username);
		values[n++] = Int64GetDatum((int64) key->query_id);
		values[n++] = CStringGetTextDatum(type ? type : "???");
		values[n++] = CStringGetTextDatum(event ? event : "???");
		values[n++] = Int64GetDatum(waits[i].samples);
		values[n++] = Float8GetDatum(waits[i].sampled_us / 1000.0);
		values[n++] = TimestampTzGetDatum(waits[i].first_seen);
		values[n++] = TimestampTzGetDatum(waits[i].last_seen);
		Assert(n == (int) lengthof(values));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Forget all waits; how many samples they held. */
Datum
dbutil_reset_waits(PG_FUNCTION_ARGS)
{
	int64		cleared = 0;

	dbu_require_preload("dbutil.reset_waits");
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->used; i++)
		cleared += entries[i].wait.samples;
	clear();
	LWLockRelease(&shared->lock);
	PG_RETURN_INT64(cleared);
}

static int
room(DbuRoom *rooms)
{
	LWLockAcquire(&shared->lock, LW_SHARED);
	rooms[0] = (DbuRoom)
	{
		.part = "waits",
			.used = shared->used,
			.size = max_waits,
			.dropped = shared->dropped,
			.stats_since = shared->stats_since,
			.fix = "raise dbutil.track_waits_max and restart the server",
	};
	rooms[1] = (DbuRoom)
	{
		.part = "wait ticks",
			.used = shared->ticks,
			.size = -1,
			.dropped = shared->missed,
			.stats_since = shared->stats_since,
			.fix = "raise dbutil.track_waits_interval and reload the configuration",
	};
	LWLockRelease(&shared->lock);
	return 2;
}

const DbuWatchPart dbu_waits_part = {
	.init = init,
	.shmem_size = shmem_size,
	.shmem_attach = shmem_attach,
	.room = room,
};
