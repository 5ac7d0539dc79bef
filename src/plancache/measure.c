/*-------------------------------------------------------------------------
 *
 * measure.c
 *	  How long executions take, by the plan for any literal and by the plan for
 *	  the literals at hand.
 *
 * Costs are estimates.  An entry of the generic level therefore also notes down
 * what its executions took, and what those took that were planned afresh: the
 * one that led to the entry, and those of verification.  When the mean of the
 * one is worse than the mean of the other and a planning together, by
 * dbutil.plan_cache_regret, the plan is no longer served.
 *
 * A plan that the cache returns is remembered by its address until its execution
 * begins, or until some more plans have been returned.  An execution that ends
 * belongs to the entry only if that still has the same serial number.  A plan
 * that is copied first, as a cursor's is, is not measured.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/plancache.h"

#define MAX_EXPECTED 8

/* Executions of each kind before they are compared. */
#define MIN_GENERIC 16
#define MIN_CUSTOM 4

typedef struct Expected
{
	const PlannedStmt *plan;	/* NULL: free */
	uint64		hash;
	uint64		serial;
	bool		custom;
} Expected;

static Expected expected[MAX_EXPECTED];
static int	last_expected = 0;
static int	nexpected = 0;		/* those not free */

/* The plan is returned on behalf of the entry; custom: planned afresh. */
void
dbu_plancache_expect(const PlannedStmt *plan, const DbuPlanEntry *entry, bool custom)
{
	/* what was at this address before has never been run */
	for (int i = 0; i < MAX_EXPECTED; i++)
	{
		if (expected[i].plan == plan)
		{
			expected[i].plan = NULL;
			nexpected--;
		}
	}
	last_expected = (last_expected + 1) % MAX_EXPECTED;
	if (expected[last_expected].plan == NULL)
		nexpected++;
	expected[last_expected] = (Expected) {plan, entry->hash, entry->serial, custom};
}

static Expected *
find_expected(const DbuStatement *stmt)
{
	const PlannedStmt *plan;

	if (nexpected == 0 || stmt->query_desc == NULL)
		return NULL;
	plan = stmt->query_desc->plannedstmt;
	for (int i = 0; i < MAX_EXPECTED; i++)
	{
		if (expected[i].plan == plan)
			return &expected[i];
	}
	return NULL;
}

/* DISCARD is what users reach for when they want everything planned afresh. */
int
dbu_plancache_stmt_want(const DbuStatement *stmt)
{
	if (stmt->utility_tag == T_DiscardStmt)
		dbu_plancache_store_reset();
	return find_expected(stmt) != NULL ? DBU_WANT : 0;
}

static void
judge(DbuPlanEntry *entry)
{
	double		generic;
	double		custom;

	if (entry->generic_runs < MIN_GENERIC || entry->custom_runs < MIN_CUSTOM ||
		entry->state != DBU_ENTRY_SERVING || entry->key_context.mode == DBU_CACHE_FORCE)
		return;
	generic = entry->generic_us / entry->generic_runs;
	custom = entry->custom_us / entry->custom_runs;
	if (generic <= (custom + entry->planning_us) * dbu_plancache_regret)
		return;
	entry->state = DBU_ENTRY_EXACT_ONLY;
	entry->reason = DBU_PLAN_REF_REGRET;
	dbu_plancache_counts->events[DBU_PLAN_REF_REGRET]++;
}

void
dbu_plancache_stmt_end(const DbuStatement *stmt)
{
	Expected   *found = find_expected(stmt);
	DbuPlanEntry *entry;

	if (found == NULL)
		return;
	entry = dbu_plancache_find_serial(found->hash, found->serial);
	if (entry != NULL && entry->query_id != stmt->query_id)
		entry = NULL;			/* another statement's plan at the same address */
	if (entry != NULL && found->custom)
	{
		entry->custom_runs++;
		entry->custom_us += stmt->exec_ms * 1000.0;
	}
	else if (entry != NULL)
	{
		entry->generic_runs++;
		entry->generic_us += stmt->exec_ms * 1000.0;
		if (!entry->exact)
			judge(entry);
	}
	found->plan = NULL;
	nexpected--;
}
