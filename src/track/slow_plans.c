/*-------------------------------------------------------------------------
 *
 * slow_plans.c
 *	  A ring of the plans of slow statements.
 *
 * A statement that took dbutil.track_slow_time or more is printed when it ends,
 * as text and as JSON, and takes the place of the oldest in the ring.  Of those,
 * the fraction dbutil.track_slow_sample is kept; the fraction
 * dbutil.track_slow_analyze of all statements is run with each node measured, so
 * that the plans of these, if slow, tell what happened and not only what was
 * expected.
 *
 * One LWLock guards the ring.  Texts are made before it is taken.  When they
 * fill their memory the oldest plans go.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/shmem.h"
#include "track/watch.h"

#include "common/pg_prng.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* The plans in the ring have the numbers first, ..., next - 1. */
typedef struct SlowShared
{
	LWLock		lock;
	uint64		first;
	uint64		next;
	int64		overwritten;
	TimestampTz stats_since;
	DbuSlowPlan ring[FLEXIBLE_ARRAY_MEMBER];
} SlowShared;

int			dbu_slow_time = 1000;
static double sample = 1;
double		dbu_slow_analyze = 0;
static int	ring_size = 100;

static SlowShared *shared = NULL;

static void
init(void)
{
	DefineCustomIntVariable("dbutil.track_slow_time",
							"Keeps the plans of statements that run for at least so long.",
							"-1 turns it off, 0 keeps every plan. See dbutil.slow_plans.",
							&dbu_slow_time, 1000, -1, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomRealVariable("dbutil.track_slow_sample",
							 "Fraction of the slow statements whose plans are kept.",
							 NULL,
							 &sample, 1, 0, 1,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("dbutil.track_slow_analyze",
							 "Fraction of all statements that run with each node measured.",
							 "As EXPLAIN ANALYZE does, which takes time: what is slow among them is kept with actual rows and times.",
							 &dbu_slow_analyze, 0, 0, 1,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.track_slow_max",
							"Plans of slow statements that are kept.",
							"The oldest one makes room for the next.",
							&ring_size, 100, 1, 100000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

static Size
shmem_size(void)
{
	return add_size(offsetof(SlowShared, ring), mul_size(ring_size, sizeof(DbuSlowPlan)));
}

static void
shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	shared = chunk;
	if (found)
		return;
	LWLockInitialize(&shared->lock, lwlock_tranche);
	shared->first = shared->next = 1;
	shared->stats_since = GetCurrentTimestamp();
}

static bool
drawn(double fraction)
{
	return fraction >= 1 || (fraction > 0 && pg_prng_double(&pg_global_prng_state) < fraction);
}

/* Is this slow statement one of those to be kept? */
bool
dbu_slow_plans_sampled(void)
{
	return drawn(sample);
}

/* What the nodes of the next statement are to be measured with. */
int
dbu_slow_plans_instrument(void)
{
	return dbu_slow_time >= 0 && drawn(dbu_slow_analyze) ? INSTRUMENT_TIMER | INSTRUMENT_BUFFERS : 0;
}

/* Exclusive lock. */
static void
drop_oldest(void)
{
	DbuSlowPlan *oldest = &shared->ring[shared->first % ring_size];

	for (int i = 0; i < (int) lengthof(oldest->texts); i++)
		dbu_plan_memory_free(DBU_MEMORY_SLOW_PLANS, &oldest->texts[i]);
	shared->first++;
}

/* A plan into the ring. */
void
dbu_slow_plans_record(const DbuStatement *stmt, const PlanKey *key, uint64 plan_id)
{
	char	   *texts[2];
	Size		size = 0;
	DbuSlowPlan *plan;

	for (int i = 0; i < (int) lengthof(texts); i++)
	{
		texts[i] = dbu_watch_explain(stmt->query_desc, stmt->exec_ms, i == 1);
		size += strlen(texts[i]) + 1;
	}

	(void) dbu_shmem_dsa();
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	/* what is too large for all of it drives nothing out: it goes without texts */
	while (shared->next - shared->first >= ring_size ||
		   (shared->next > shared->first && dbu_plan_memory_could_fit(size) &&
			!dbu_plan_memory_fits(DBU_MEMORY_SLOW_PLANS, size)))
	{
		drop_oldest();
		shared->overwritten++;
	}
	plan = &shared->ring[shared->next % ring_size];
	plan->number = shared->next++;
	plan->ended = GetCurrentTimestamp();
	plan->service = dbu_track_service;
	plan->pid = MyProcPid;
	plan->key = *key;
	plan->plan_id = plan_id;
	plan->exec_ms = stmt->exec_ms;
	plan->rows = stmt->rows;
	plan->measured = stmt->query_desc->instrument_options != 0;
	plan->encoding = GetDatabaseEncoding();
	for (int i = 0; i < (int) lengthof(texts); i++)
		plan->texts[i] = dbu_plan_memory_store(DBU_MEMORY_SLOW_PLANS, texts[i]);
	LWLockRelease(&shared->lock);

	for (int i = 0; i < (int) lengthof(texts); i++)
		pfree(texts[i]);
}

/* The ring, oldest first, palloc'd. */
DbuSlowPlan *
dbu_slow_plans_copy(int *count)
{
	DbuSlowPlan *copy = palloc_extended(mul_size(ring_size, sizeof(DbuSlowPlan)), MCXT_ALLOC_HUGE);
	int			n = 0;

	(void) dbu_shmem_dsa();
	LWLockAcquire(&shared->lock, LW_SHARED);
	for (uint64 number = shared->first; number < shared->next; number++)
	{
		copy[n] = shared->ring[number % ring_size];
		for (int i = 0; i < (int) lengthof(copy->texts); i++)
			copy[n].copies[i] = dbu_plan_memory_copy(copy[n].texts[i]);
		n++;
	}
	LWLockRelease(&shared->lock);
	*count = n;
	return copy;
}

/* Forget them; how many there were. */
int64
dbu_slow_plans_reset(void)
{
	int64		cleared;

	(void) dbu_shmem_dsa();
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	cleared = shared->next - shared->first;
	while (shared->next > shared->first)
		drop_oldest();
	shared->overwritten = 0;
	shared->stats_since = GetCurrentTimestamp();
	LWLockRelease(&shared->lock);
	dbu_plan_memory_forget_losses(DBU_MEMORY_SLOW_PLANS);
	return cleared;
}

/* That old plans are gone is what a ring does: it is no loss to be mended. */
static int
room(DbuRoom *rooms)
{
	LWLockAcquire(&shared->lock, LW_SHARED);
	rooms[0] = (DbuRoom)
	{
		.part = "slow plans",
			.used = shared->next - shared->first,
			.size = ring_size,
			.dropped = shared->overwritten,
			.stats_since = shared->stats_since,
	};
	LWLockRelease(&shared->lock);
	rooms[1] = (DbuRoom)
	{
		.part = "slow plan texts",.stats_since = rooms[0].stats_since
	};
	dbu_plan_memory_room(DBU_MEMORY_SLOW_PLANS, &rooms[1]);
	return 2;
}

const DbuWatchPart dbu_slow_plans_part = {
	.init = init,
	.shmem_size = shmem_size,
	.shmem_attach = shmem_attach,
	.room = room,
};
