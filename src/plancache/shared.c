/*-------------------------------------------------------------------------
 *
 * shared.c
 *	  What the plan caches of all backends share: counters, the memory that they
 *	  take together, statements that are pinned or banned, and resets.
 *
 * Plans themselves are never shared.  Each process counts into a place of its own
 * with plain stores, as it would without shared memory; a reader adds them up
 * and may be some counts behind.  At exit a process adds its place to the counts
 * of those gone, under the lock; readers hold it shared, so that no count is
 * seen twice.
 *
 * Pins and bans are few: a list under the lock, of which each backend keeps a
 * copy that it renews when the generation has moved.
 *
 * Without preload there is no shared memory: then a backend counts for itself
 * alone, and pins and bans raise an error.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/plancache.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"

#define MAX_MARKS 256

typedef struct Mark
{
	uint64		query_id;
	Oid			database;
	DbuPlanMark mark;
} Mark;

typedef struct PlanCacheShared
{
	LWLock		lock;			/* guards marks and gone */
	pg_atomic_uint32 marks_generation;
	pg_atomic_uint32 resets;
	pg_atomic_uint64 bytes;		/* of all backends' entries */
	int32		nmarks;
	Mark		marks[MAX_MARKS];
	DbuPlanCounts gone;			/* of processes that ended */
	DbuPlanCounts counts[FLEXIBLE_ARRAY_MEMBER];	/* of each process */
} PlanCacheShared;

static PlanCacheShared *shared = NULL;
static DbuPlanCounts own_counts;

DbuPlanCounts *dbu_plancache_counts = &own_counts;

static Size my_bytes = 0;
static uint32 resets_seen = 0;
static uint32 marks_seen = 0;
static int	nmarks = 0;
static Mark marks[MAX_MARKS];

static int
nprocesses(void)
{
	return MaxBackends + NUM_AUXILIARY_PROCS;
}

Size
dbu_plancache_shmem_size(void)
{
	return add_size(offsetof(PlanCacheShared, counts),
					mul_size(nprocesses(), sizeof(DbuPlanCounts)));
}

void
dbu_plancache_shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	shared = chunk;
	if (found)
		return;
	LWLockInitialize(&shared->lock, lwlock_tranche);
	pg_atomic_init_u32(&shared->marks_generation, 0);
	pg_atomic_init_u32(&shared->resets, 0);
	pg_atomic_init_u64(&shared->bytes, 0);
}

static void
add_counts(DbuPlanCounts *into, const DbuPlanCounts *from)
{
	for (int i = 0; i < DBU_PLAN_NEVENTS; i++)
		into->events[i] += from->events[i];
	into->saved_us += from->saved_us;
}

static void
at_exit(int code, Datum arg)
{
	dbu_plancache_note_bytes(0);
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	add_counts(&shared->gone, dbu_plancache_counts);
	memset(dbu_plancache_counts, 0, sizeof(DbuPlanCounts));
	LWLockRelease(&shared->lock);
	dbu_plancache_counts = &own_counts;
}

/* First use in this backend. */
void
dbu_plancache_shared_init(void)
{
	if (shared == NULL || MyProc == NULL)
		return;
	dbu_plancache_counts = &shared->counts[MyProc - ProcGlobal->allProcs];
	resets_seen = pg_atomic_read_u32(&shared->resets);
	before_shmem_exit(at_exit, (Datum) 0);
}

/* This backend's entries take so many bytes now. */
void
dbu_plancache_note_bytes(Size bytes)
{
	if (shared != NULL)
		pg_atomic_fetch_add_u64(&shared->bytes, (int64) bytes - (int64) my_bytes);
	my_bytes = bytes;
}

/* The bytes that the entries of all backends take. */
uint64
dbu_plancache_all_bytes(void)
{
	return shared != NULL ? pg_atomic_read_u64(&shared->bytes) : my_bytes;
}

/* The counts of all processes, those that ended included. */
void
dbu_plancache_all_counts(DbuPlanCounts *sum)
{
	memset(sum, 0, sizeof(*sum));
	if (shared == NULL)
	{
		add_counts(sum, &own_counts);
		return;
	}
	LWLockAcquire(&shared->lock, LW_SHARED);
	add_counts(sum, &shared->gone);
	for (int i = 0; i < nprocesses(); i++)
		add_counts(sum, &shared->counts[i]);
	LWLockRelease(&shared->lock);
}

/* ---------- resets ---------- */

/* Let every backend forget its plans before its next statement. */
void
dbu_plancache_reset_all(void)
{
	pg_atomic_fetch_add_u32(&shared->resets, 1);
}

/* Was that asked for since this was last called? */
bool
dbu_plancache_reset_wanted(void)
{
	uint32		resets;

	if (shared == NULL)
		return false;
	resets = pg_atomic_read_u32(&shared->resets);
	if (resets == resets_seen)
		return false;
	resets_seen = resets;
	return true;
}

/* ---------- marks ---------- */

static void
renew_marks(void)
{
	LWLockAcquire(&shared->lock, LW_SHARED);
	marks_seen = pg_atomic_read_u32(&shared->marks_generation);
	nmarks = 0;
	for (int i = 0; i < shared->nmarks; i++)
	{
		if (shared->marks[i].database == MyDatabaseId)
			marks[nmarks++] = shared->marks[i];
	}
	LWLockRelease(&shared->lock);
}

/* Is the statement pinned or banned in this database? */
DbuPlanMark
dbu_plancache_mark(uint64 query_id)
{
	if (shared == NULL)
		return DBU_MARK_NONE;
	if (pg_atomic_read_u32(&shared->marks_generation) != marks_seen)
		renew_marks();
	if (query_id == 0)
		return DBU_MARK_NONE;
	for (int i = 0; i < nmarks; i++)
	{
		if (marks[i].query_id == query_id)
			return marks[i].mark;
	}
	return DBU_MARK_NONE;
}

/* Set or take away a mark; what the statement had before. */
DbuPlanMark
dbu_plancache_set_mark(uint64 query_id, DbuPlanMark mark)
{
	DbuPlanMark before = DBU_MARK_NONE;
	bool		full;
	int			i;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	for (i = 0; i < shared->nmarks; i++)
	{
		if (shared->marks[i].query_id == query_id && shared->marks[i].database == MyDatabaseId)
			break;
	}
	if (i < shared->nmarks)
		before = shared->marks[i].mark;
	full = i == MAX_MARKS;
	if (mark != DBU_MARK_NONE && !full)
	{
		shared->marks[i] = (Mark) {query_id, MyDatabaseId, mark};
		shared->nmarks = Max(shared->nmarks, i + 1);
	}
	else if (mark == DBU_MARK_NONE && i < shared->nmarks)
		shared->marks[i] = shared->marks[--shared->nmarks];
	pg_atomic_fetch_add_u32(&shared->marks_generation, 1);
	LWLockRelease(&shared->lock);

	if (mark != DBU_MARK_NONE && full)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("no more than %d statements can be pinned or banned", MAX_MARKS),
				 errhint("Take marks away with dbutil.plan_cache_unmark().")));
	return before;
}
