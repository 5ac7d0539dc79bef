/*-------------------------------------------------------------------------
 *
 * metrics.c
 *	  What executions of prepared statements add up to, in shared memory.
 *
 * There are dbutil.prepared_max slots, with hash chains over indexes, as in
 * the module track.  The LWLock guards which definition is in which slot: held
 * shared a known slot may be counted into, under its spinlock; held exclusively
 * slots are given away.  A backend remembers its slot with the slot's
 * incarnation, so that finding it again takes one comparison; and it counts
 * itself among the slot's holders for as long as it keeps the plan.
 *
 * A definition that is gone keeps its slot for a while, as its removal may yet be
 * rolled back.  Who notices marks the slot, so that it is the next to be given
 * away and does not count as lost.
 *
 *-------------------------------------------------------------------------
 */
#include "prepared/prepared.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#define EVICTION_CANDIDATES 16
#define MAX_USAGE 5

/* Zeroed before it is filled: it is hashed. */
typedef struct SlotKey
{
	int64		id;
	Oid			database;
	int32		padding;
} SlotKey;

typedef struct Slot
{
	SlotKey		key;
	uint64		incarnation;	/* 0: never used */
	int32		next;			/* in its hash chain or the free list, -1: end */
	slock_t		mutex;			/* guards what follows */
	uint8		usage;			/* recent use, for eviction */
	bool		gone;			/* nobody is likely to need it again */
	uint32		holders;
	DbuPreparedCounters counters;
	DbuHistogram histogram;
	TimestampTz stats_since;
} Slot;

typedef struct Shared
{
	LWLock		lock;
	pg_atomic_uint64 lost;		/* slots given away that had calls and were not gone */
	uint64		last_incarnation;
	int32		free_slot;
	int32		clock_hand;
} Shared;

static Shared *shared = NULL;
static int32 *buckets = NULL;
static Slot *slots = NULL;

/* ---------- shared memory ---------- */

Size
dbu_prepared_shmem_size(void)
{
	Size		size = MAXALIGN(sizeof(Shared));

	size = add_size(size, MAXALIGN(mul_size(dbu_prepared_max, sizeof(int32))));
	return add_size(size, MAXALIGN(mul_size(dbu_prepared_max, sizeof(Slot))));
}

void
dbu_prepared_shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	char	   *place = chunk;

	shared = (Shared *) place;
	place += MAXALIGN(sizeof(Shared));
	buckets = (int32 *) place;
	place += MAXALIGN(mul_size(dbu_prepared_max, sizeof(int32)));
	slots = (Slot *) place;
	if (found)
		return;

	/* the chunk comes zeroed */
	LWLockInitialize(&shared->lock, lwlock_tranche);
	pg_atomic_init_u64(&shared->lost, 0);
	for (int i = 0; i < dbu_prepared_max; i++)
	{
		buckets[i] = -1;
		SpinLockInit(&slots[i].mutex);
		slots[i].next = i + 1 < dbu_prepared_max ? i + 1 : -1;
	}
}

bool
dbu_prepared_metrics_on(void)
{
	return shared != NULL;
}

/* Times that metrics of a statement had to give way to those of another. */
uint64
dbu_prepared_metrics_lost(void)
{
	return pg_atomic_read_u64(&shared->lost);
}

/* ---------- slots ---------- */

static SlotKey
make_key(int64 id)
{
	SlotKey		key;

	memset(&key, 0, sizeof(key));
	key.id = id;
	key.database = MyDatabaseId;
	return key;
}

static int32 *
chain_of(const SlotKey *key)
{
	return &buckets[hash_bytes((const unsigned char *) key, sizeof(*key)) % dbu_prepared_max];
}

/* The lock is held, in either mode.  -1: not there. */
static int32
find_slot(const SlotKey *key)
{
	for (int32 i = *chain_of(key); i >= 0; i = slots[i].next)
	{
		if (memcmp(&slots[i].key, key, sizeof(*key)) == 0)
			return i;
	}
	return -1;
}

/* The less, the sooner it is given away. */
static int
rank_of(const Slot *slot)
{
	if (slot->gone)
		return -1;
	return slot->usage + (slot->holders > 0 ? MAX_USAGE + 1 : 0);
}

/*
 * Free the least used of the slots that the hand comes by, those first that no
 * backend holds.  Exclusive lock: nobody has a spinlock.
 */
static void
evict_one(void)
{
	int32		victim = -1;
	int			victim_rank = 0;
	int32	   *link;

	for (int i = 0; i < EVICTION_CANDIDATES; i++)
	{
		int32		self = shared->clock_hand;
		int			rank = rank_of(&slots[self]);

		shared->clock_hand = (self + 1) % dbu_prepared_max;
		if (victim < 0 || rank < victim_rank)
		{
			victim = self;
			victim_rank = rank;
		}
		if (slots[self].usage > 0)
			slots[self].usage--;
	}
	if (slots[victim].counters.calls > 0 && !slots[victim].gone)
		pg_atomic_fetch_add_u64(&shared->lost, 1);
	link = chain_of(&slots[victim].key);
	while (*link != victim)
		link = &slots[*link].next;
	*link = slots[victim].next;
	slots[victim].incarnation = 0;
	slots[victim].next = shared->free_slot;
	shared->free_slot = victim;
}

/* Exclusive lock; never fails. */
static int32
add_slot(const SlotKey *key)
{
	int32		self;
	Slot	   *slot;
	int32	   *chain = chain_of(key);

	if (shared->free_slot < 0)
		evict_one();
	self = shared->free_slot;
	slot = &slots[self];
	shared->free_slot = slot->next;

	slot->key = *key;
	slot->incarnation = ++shared->last_incarnation;
	slot->usage = 1;
	slot->gone = false;
	slot->holders = 0;
	slot->stats_since = GetCurrentTimestamp();
	memset(&slot->counters, 0, sizeof(slot->counters));
	memset(&slot->histogram, 0, sizeof(slot->histogram));
	slot->next = *chain;
	*chain = self;
	return self;
}

static bool
still_there(const DbuMetricsRef *ref)
{
	return ref->slot >= 0 && slots[ref->slot].incarnation == ref->incarnation;
}

/*
 * The caller's slot, which he holds from now on if he did not before.  Returns
 * with the lock held in one mode or the other.
 */
static Slot *
lock_slot(DbuMetricsRef *ref, int64 id)
{
	SlotKey		key;

	LWLockAcquire(&shared->lock, LW_SHARED);
	if (still_there(ref))
		return &slots[ref->slot];
	LWLockRelease(&shared->lock);

	key = make_key(id);
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	ref->slot = find_slot(&key);
	if (ref->slot < 0)
		ref->slot = add_slot(&key);
	ref->incarnation = slots[ref->slot].incarnation;
	slots[ref->slot].holders++;
	slots[ref->slot].gone = false;
	return &slots[ref->slot];
}

/* ---------- what the module calls ---------- */

void
dbu_prepared_metrics_hold(DbuMetricsRef *ref, int64 id)
{
	ref->slot = -1;
	ref->incarnation = 0;
	if (shared == NULL)
		return;
	(void) lock_slot(ref, id);
	LWLockRelease(&shared->lock);
}

/* gone: the definition was seen to be replaced or removed. */
void
dbu_prepared_metrics_release(DbuMetricsRef *ref, bool gone)
{
	if (shared == NULL)
		return;
	LWLockAcquire(&shared->lock, LW_SHARED);
	if (still_there(ref))
	{
		Slot	   *slot = &slots[ref->slot];

		SpinLockAcquire(&slot->mutex);
		slot->holders--;
		slot->gone |= gone;
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(&shared->lock);
	ref->slot = -1;
}

/* The definition is gone, for those who find it so. */
void
dbu_prepared_metrics_gone(int64 id)
{
	SlotKey		key = make_key(id);
	int32		i;

	if (shared == NULL)
		return;
	LWLockAcquire(&shared->lock, LW_SHARED);
	i = find_slot(&key);
	if (i >= 0)
	{
		SpinLockAcquire(&slots[i].mutex);
		slots[i].gone = true;
		SpinLockRelease(&slots[i].mutex);
	}
	LWLockRelease(&shared->lock);
}

/* Adds up; the histogram learns of calls that took total_ms, one or none. */
void
dbu_prepared_metrics_add(DbuMetricsRef *ref, int64 id, const DbuPreparedCounters *call)
{
	Slot	   *slot;
	DbuPreparedCounters *sum;

	if (shared == NULL)
		return;
	slot = lock_slot(ref, id);
	SpinLockAcquire(&slot->mutex);
	sum = &slot->counters;
	if (call->calls > 0)
	{
		if (sum->calls == 0 || call->total_ms < sum->min_ms)
			sum->min_ms = call->total_ms;
		if (call->total_ms > sum->max_ms)
			sum->max_ms = call->total_ms;
		dbu_histogram_add(&slot->histogram, call->total_ms);
	}
	sum->calls += call->calls;
	sum->errors += call->errors;
	sum->rows += call->rows;
	sum->generic_plans += call->generic_plans;
	sum->custom_plans += call->custom_plans;
	sum->total_ms += call->total_ms;
	if (slot->usage < MAX_USAGE)
		slot->usage++;
	SpinLockRelease(&slot->mutex);
	LWLockRelease(&shared->lock);
}

/* False: it was never executed, or its metrics gave way to others. */
bool
dbu_prepared_metrics_get(int64 id, DbuPreparedMetrics *metrics)
{
	SlotKey		key = make_key(id);
	int32		i;

	LWLockAcquire(&shared->lock, LW_SHARED);
	i = find_slot(&key);
	if (i >= 0)
	{
		Slot	   *slot = &slots[i];

		SpinLockAcquire(&slot->mutex);
		metrics->counters = slot->counters;
		metrics->histogram = slot->histogram;
		metrics->holders = slot->holders;
		metrics->stats_since = slot->stats_since;
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(&shared->lock);
	return i >= 0;
}
