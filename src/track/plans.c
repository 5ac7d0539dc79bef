/*-------------------------------------------------------------------------
 *
 * plans.c
 *	  Counters per (database, role, queryid, plan id).
 *
 * The table is cut into partitions by the hash of the statement, so that all
 * plans of a statement lie in one hash chain.  A partition's lock, held shared,
 * allows to find an entry, held exclusively to add, evict, reset and store texts.
 *
 * An entry's spinlock guards its counters and usage, in whatever mode the lock is
 * held; its text and the text's encoding are the lock's.  Its key and plan id are guarded by both: who holds either may read
 * them, who changes them holds both.  So a process that remembers where a plan is
 * counted counts it under the spinlock alone, after it compared them; whoever
 * takes them away reads, in the same section, what was counted.
 *
 * A new plan remembers which plan of the statement ran last before it.  When the
 * partition is full, the least used of a few entries gives way; a statement
 * takes at most MAX_PLANS entries, then its own oldest gives way.  Calls that an
 * evicted entry held are counted as dropped.
 *
 * A plan is printed once, and not for statements that never come again: when its
 * statement is known by another plan already, or at its second call.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/shmem.h"
#include "track/watch.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#define PARTITIONS 16
#define MAX_PLANS 16
#define EVICTION_CANDIDATES 8
#define MAX_USAGE 5

/* Places of entries that a process remembers. */
#define HINTS 64

typedef struct PlanEntry
{
	int32		next;			/* in its chain or the free list, -1: end */
	slock_t		mutex;			/* guards plan, usage, text_asked */
	uint8		usage;
	bool		text_asked;		/* of somebody, or stored, or found too large */
	dsa_pointer text;
	DbuPlan		plan;
} PlanEntry;

typedef struct Partition
{
	LWLockPadded lock;
	int32		free;			/* -1: none */
	int32		hand;
	int32		used;
	int64		dropped;		/* calls */
	TimestampTz stats_since;
} Partition;

bool		dbu_plans_on = true;
static int	max_plans = 2000;

static Partition *partitions = NULL;
static int32 *buckets = NULL;
static PlanEntry *entries = NULL;

/* Where this process found its last plans. */
static int32 found[HINTS];

static int
entries_each(void)
{
	return max_plans / PARTITIONS;
}

static int
buckets_each(void)
{
	return entries_each() * 2;
}

static void
init(void)
{
	DefineCustomBoolVariable("dbutil.track_plans",
							 "Counts calls and times of each plan that a statement has.",
							 "See dbutil.plans and dbutil.plan_regressions.",
							 &dbu_plans_on, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.track_plans_max",
							"Plans that are told apart.",
							"When more come, those used least give way, and their calls are counted as dropped.",
							&max_plans, 2000, 160, 1000000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

static Size
shmem_size(void)
{
	Size		size = MAXALIGN(PARTITIONS * sizeof(Partition));

	size = add_size(size, MAXALIGN(mul_size(PARTITIONS * buckets_each(), sizeof(int32))));
	return add_size(size, mul_size(PARTITIONS * entries_each(), sizeof(PlanEntry)));
}

static void
shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	char	   *place = chunk;

	partitions = (Partition *) place;
	place += MAXALIGN(PARTITIONS * sizeof(Partition));
	buckets = (int32 *) place;
	place += MAXALIGN(mul_size(PARTITIONS * buckets_each(), sizeof(int32)));
	entries = (PlanEntry *) place;
	if (found)
		return;

	for (int p = 0; p < PARTITIONS; p++)
	{
		LWLockInitialize(&partitions[p].lock.lock, lwlock_tranche);
		partitions[p].stats_since = GetCurrentTimestamp();
		partitions[p].free = p * entries_each();
		partitions[p].hand = 0;
		for (int i = 0; i < entries_each(); i++)
		{
			int32		self = p * entries_each() + i;

			SpinLockInit(&entries[self].mutex);
			entries[self].next = i + 1 < entries_each() ? self + 1 : -1;
		}
	}
	for (int b = 0; b < PARTITIONS * buckets_each(); b++)
		buckets[b] = -1;
}

/* ---------- the table ---------- */

typedef struct Place
{
	Partition  *partition;
	int32	   *bucket;
} Place;

static Place
place_of(uint64 hash)
{
	int			p = hash % PARTITIONS;
	Place		place;

	place.partition = &partitions[p];
	place.bucket = &buckets[p * buckets_each() + dbu_plan_key_place(hash >> 32, buckets_each())];
	return place;
}

static bool
same_statement(const PlanEntry *entry, const PlanKey *key)
{
	const PlanKey *own = &entry->plan.key;

	return own->query_id == key->query_id && own->database == key->database &&
		own->username == key->username;
}

/* Lock in either mode. */
static PlanEntry *
find_entry(const Place *place, const PlanKey *key, uint64 plan_id)
{
	for (int32 i = *place->bucket; i >= 0; i = entries[i].next)
	{
		if (entries[i].plan.plan_id == plan_id && same_statement(&entries[i], key))
			return &entries[i];
	}
	return NULL;
}

/*
 * Take an entry out of its chain, onto the free list; the calls that it held, read
 * in the section that takes the key.  Exclusive lock.
 */
static int64
remove_entry(PlanEntry *entry)
{
	Place		place = place_of(dbu_plan_key_hash(&entry->plan.key));
	int32		self = entry - entries;
	int32	   *link = place.bucket;
	int64		calls;

	SpinLockAcquire(&entry->mutex);
	calls = entry->plan.calls;
	entry->plan.plan_id = 0;
	SpinLockRelease(&entry->mutex);

	while (*link != self)
		link = &entries[*link].next;
	*link = entry->next;
	dbu_plan_memory_free(DBU_MEMORY_PLANS, &entry->text);
	entry->next = place.partition->free;
	place.partition->free = self;
	place.partition->used--;
	return calls;
}

/*
 * Free the first entry not used since the hand last came by, else the least used
 * of some; the hand passes nothing over for a better one.  Exclusive lock, no
 * entry free.
 */
static void
evict_one(Partition *partition)
{
	PlanEntry  *own = &entries[(partition - partitions) * entries_each()];
	PlanEntry  *victim = NULL;
	uint8		least = 1;

	for (int i = 0; i < EVICTION_CANDIDATES && least > 0; i++)
	{
		PlanEntry  *entry = &own[partition->hand];

		partition->hand = (partition->hand + 1) % entries_each();
		SpinLockAcquire(&entry->mutex);
		if (victim == NULL || entry->usage < least)
		{
			victim = entry;
			least = entry->usage;
		}
		if (entry->usage > 0)
			entry->usage--;
		SpinLockRelease(&entry->mutex);
	}
	partition->dropped += remove_entry(victim);
}

/* Add an entry; cost is the plan's. Exclusive lock; never fails. */
static PlanEntry *
add_entry(const Place *place, const PlanKey *key, uint64 plan_id, double cost, TimestampTz now)
{
	Partition  *partition = place->partition;
	PlanEntry  *latest = NULL;
	PlanEntry  *oldest = NULL;
	PlanEntry  *entry;
	uint64		previous;
	int			siblings = 0;

	for (int32 i = *place->bucket; i >= 0; i = entries[i].next)
	{
		if (!same_statement(&entries[i], key))
			continue;
		siblings++;
		/* of those that ran at the same moment the one added last comes first */
		if (latest == NULL || entries[i].plan.last_seen > latest->plan.last_seen)
			latest = &entries[i];
		if (oldest == NULL || entries[i].plan.last_seen <= oldest->plan.last_seen)
			oldest = &entries[i];
	}
	previous = latest ? latest->plan.plan_id : 0;
	if (siblings >= MAX_PLANS)
		partition->dropped += remove_entry(oldest);
	else if (partition->free < 0)
		evict_one(partition);

	entry = &entries[partition->free];
	partition->free = entry->next;
	partition->used++;
	entry->text = InvalidDsaPointer;

	/* from here on others may count it: one that was here before may come back to its place */
	SpinLockAcquire(&entry->mutex);
	memset(&entry->plan, 0, sizeof(entry->plan));
	entry->plan.key = *key;
	entry->plan.plan_id = plan_id;
	entry->plan.previous = previous;
	entry->plan.cost = cost;
	entry->plan.first_seen = now;
	entry->usage = 1;
	entry->text_asked = false;
	SpinLockRelease(&entry->mutex);

	entry->next = *place->bucket;
	*place->bucket = entry - entries;
	return entry;
}

/* Entry's spinlock held. True: the caller is to print the plan and store it. */
static bool
count_call(PlanEntry *entry, const DbuStatement *stmt, TimestampTz now)
{
	DbuPlan    *p = &entry->plan;
	double		delta = stmt->exec_ms - p->mean_ms;

	p->calls++;
	p->rows += stmt->rows;
	p->total_ms += stmt->exec_ms;
	if (p->calls == 1 || stmt->exec_ms < p->min_ms)
		p->min_ms = stmt->exec_ms;
	p->max_ms = Max(p->max_ms, stmt->exec_ms);
	p->mean_ms += delta / p->calls;
	p->sum_var += delta * (stmt->exec_ms - p->mean_ms);
	p->last_seen = Max(p->last_seen, now);
	if (entry->usage < MAX_USAGE)
		entry->usage++;
	if (likely(entry->text_asked) || (p->calls == 1 && p->previous == 0))
		return false;
	entry->text_asked = true;
	return true;
}

/* A plan that this process does not remember. */
static pg_noinline bool
count_unknown(const PlanKey *key, uint64 hash, uint64 plan_id, const DbuStatement *stmt,
			  TimestampTz now, int32 *hint)
{
	Place		place = place_of(hash);
	PlanEntry  *entry;
	bool		wants_text;

	LWLockAcquire(&place.partition->lock.lock, LW_SHARED);
	entry = find_entry(&place, key, plan_id);
	if (entry == NULL)
	{
		LWLockRelease(&place.partition->lock.lock);
		(void) dbu_shmem_dsa(); /* attach before the lock: it allocates */
		LWLockAcquire(&place.partition->lock.lock, LW_EXCLUSIVE);
		entry = find_entry(&place, key, plan_id);
		if (entry == NULL)
			entry = add_entry(&place, key, plan_id,
							  stmt->query_desc->plannedstmt->planTree->total_cost, now);
	}
	*hint = entry - entries;
	SpinLockAcquire(&entry->mutex);
	wants_text = count_call(entry, stmt, now);
	SpinLockRelease(&entry->mutex);
	LWLockRelease(&place.partition->lock.lock);
	return wants_text;
}

/* Count an execution; hash is the key's. True: the caller is to print the plan and store it. */
bool
dbu_plans_count(const PlanKey *key, uint64 hash, uint64 plan_id, const DbuStatement *stmt)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();
	int32	   *hint = &found[(hash ^ plan_id) % HINTS];
	PlanEntry  *entry = &entries[*hint];

	/* a first look, so as not to disturb who counts another plan there */
	if (likely(entry->plan.plan_id == plan_id))
	{
		SpinLockAcquire(&entry->mutex);
		if (likely(entry->plan.plan_id == plan_id && same_statement(entry, key)))
		{
			bool		wants_text = count_call(entry, stmt, now);

			SpinLockRelease(&entry->mutex);
			return wants_text;
		}
		SpinLockRelease(&entry->mutex);
	}
	return count_unknown(key, hash, plan_id, stmt, now, hint);
}

/* The plan's text, if the plan is still there. */
void
dbu_plans_store_text(const PlanKey *key, uint64 hash, uint64 plan_id, const char *text)
{
	Place		place = place_of(hash);
	PlanEntry  *entry;

	(void) dbu_shmem_dsa();
	LWLockAcquire(&place.partition->lock.lock, LW_EXCLUSIVE);
	entry = find_entry(&place, key, plan_id);
	if (entry != NULL && !DsaPointerIsValid(entry->text))
	{
		entry->text = dbu_plan_memory_store(DBU_MEMORY_PLANS, text);
		entry->plan.encoding = GetDatabaseEncoding();
	}
	LWLockRelease(&place.partition->lock.lock);
}

/* ---------- readers ---------- */

/* All plans, palloc'd; each partition as of one moment. */
DbuPlan *
dbu_plans_copy(bool texts, int *count)
{
	DbuPlan    *copy = palloc_extended(mul_size(PARTITIONS * entries_each(), sizeof(DbuPlan)),
									   MCXT_ALLOC_HUGE);
	int			n = 0;

	(void) dbu_shmem_dsa();
	for (int p = 0; p < PARTITIONS; p++)
	{
		LWLockAcquire(&partitions[p].lock.lock, LW_SHARED);
		for (int b = p * buckets_each(); b < (p + 1) * buckets_each(); b++)
		{
			for (int32 i = buckets[b]; i >= 0; i = entries[i].next)
			{
				SpinLockAcquire(&entries[i].mutex);
				copy[n] = entries[i].plan;
				SpinLockRelease(&entries[i].mutex);
				copy[n].text = texts ? dbu_plan_memory_copy(entries[i].text) : NULL;
				n++;
			}
		}
		LWLockRelease(&partitions[p].lock.lock);
	}
	*count = n;
	return copy;
}

/* Forget all plans; how many calls they held. */
int64
dbu_plans_reset(void)
{
	int64		cleared = 0;

	(void) dbu_shmem_dsa();
	for (int p = 0; p < PARTITIONS; p++)
	{
		LWLockAcquire(&partitions[p].lock.lock, LW_EXCLUSIVE);
		for (int b = p * buckets_each(); b < (p + 1) * buckets_each(); b++)
		{
			while (buckets[b] >= 0)
				cleared += remove_entry(&entries[buckets[b]]);
		}
		partitions[p].dropped = 0;
		partitions[p].stats_since = GetCurrentTimestamp();
		LWLockRelease(&partitions[p].lock.lock);
	}
	dbu_plan_memory_forget_losses(DBU_MEMORY_PLANS);
	return cleared;
}

static int
room(DbuRoom *rooms)
{
	rooms[0] = (DbuRoom)
	{
		.part = "plans",
			.size = PARTITIONS * entries_each(),
			.stats_since = partitions[0].stats_since,
			.fix = "raise dbutil.track_plans_max and restart the server",
	};
	for (int p = 0; p < PARTITIONS; p++)
	{
		LWLockAcquire(&partitions[p].lock.lock, LW_SHARED);
		rooms[0].used += partitions[p].used;
		rooms[0].dropped += partitions[p].dropped;
		LWLockRelease(&partitions[p].lock.lock);
	}
	rooms[1] = (DbuRoom)
	{
		.part = "plan texts",.stats_since = rooms[0].stats_since
	};
	dbu_plan_memory_room(DBU_MEMORY_PLANS, &rooms[1]);
	return 2;
}

const DbuWatchPart dbu_plans_part = {
	.init = init,
	.shmem_size = shmem_size,
	.shmem_attach = shmem_attach,
	.room = room,
};
