/*-------------------------------------------------------------------------
 *
 * plancache.c
 *	  A transparent cache of plans: the way of a statement through it.
 *
 * A statement that repeats, but for its literals, need not be planned again.
 * Parse analysis still runs; this takes the planner's place.  What is served is
 * a stored plan with the statement's own literals in it, lent to the statement or
 * copied for it (lend.c), so cursors, EXPLAIN, PREPARE, CREATE TABLE AS, SPI and
 * parallel workers need no special case, and dropping an entry cannot touch a
 * running portal.
 *
 * Two levels.  Generic: literals are lifted, one plan for all of them.  Exact:
 * they are part of the key, and the plan is the custom one.  The generic level
 * is tried first; where it is no good a verdict without a plan is stored in its
 * place, and the statement goes on to the exact level.
 *
 * A plan is stored when it comes back, not at its first sight; with auto the
 * statement that leads to it still runs the custom plan, whose cost is the
 * measure of the generic one.  The comparison is repeated as the number of hits
 * grows, and for the share of hits that dbutil.plan_cache_verify says.
 *
 * Order of a hit, which must stay as it is: find, lock the plan's relations
 * (which takes in invalidation messages), look whether the entry is still
 * valid, lend or copy.  The locks are those that running the plan needs anyway, and are
 * held to the end of the transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/plancache.h"

#include "access/xact.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "port/pg_bitutils.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Uses of a plan up to which it is verified whenever they have doubled. */
#define VERIFIED_EACH_DOUBLING 8

static inline void
count(DbuPlanEvent event)
{
	dbu_plancache_counts->events[event]++;
}

/* Count what became of the statement, and tell EXPLAIN. */
static void
settle(DbuPlanRequest *req, DbuPlanEvent event)
{
	count(event);
	if (dbu_plancache_explain)
		req->source = psprintf("%s%s", strcmp(dbu_plancache_event_kind[event], "hit") == 0 ?
							   "hit " : "miss: ", dbu_plancache_event_name[event]);
}

static double
elapsed_us(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_MILLISEC(now) * 1000.0;
}

/* ---------- what a plan may be stored for ---------- */

/* Why is the plan not to be stored at all, at either level? */
static DbuPlanEvent
judge_plan(PlannedStmt *plan, const DbuRecognised *rec)
{
	int			extra = 0;
	ListCell   *lc;

	if (plan->transientPlan || plan->dependsOnRole)
		return DBU_PLAN_REF_TRANSIENT;
	if (!dbu_plancache_accepts_plan(plan))
		return DBU_PLAN_REF_PLAN_NODE;
	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && !list_member_oid(rec->relations, rte->relid))
			extra++;
	}
	if (extra > dbu_plancache_max_extra_locks)
		return DBU_PLAN_REF_LOCKS;
	return dbu_plancache_detaching(plan) ? DBU_PLAN_REF_DETACHING : DBU_PLAN_NONE;
}

/*
 * The cost up to which a generic plan stands in for a custom one.  Planning
 * itself is put at what PostgreSQL's plan cache puts it at.
 */
static double
generic_cost_limit(double custom_cost, const DbuPlanEntry *entry)
{
	return custom_cost * dbu_plancache_regret +
		1000.0 * cpu_operator_cost * (entry->nrelations + 1);
}

/* Keep plan in the entry, which is not linked yet. */
static void
keep_plan(DbuPlanEntry *entry, PlannedStmt *plan)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(entry->context);

	entry->plan = copyObject(plan);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Link an entry, or count why not and free it.  generation is what it was before
 * planning.
 */
static void
store(DbuPlanEntry *entry, const DbuRecognised *rec, uint64 generation)
{
	DbuPlanEvent problem = DBU_PLAN_NONE;

	dbu_plancache_entry_dependencies(entry, rec);
	if (dbu_plancache_in_ddl())
		problem = DBU_PLAN_REF_DDL;
	else if (generation != dbu_plancache_generation())
		problem = DBU_PLAN_REF_MOVED;
	if (problem != DBU_PLAN_NONE)
		dbu_plancache_entry_free(entry);
	else if (!dbu_plancache_entry_link(entry))
		problem = DBU_PLAN_REF_SIZE;

	if (problem != DBU_PLAN_NONE)
		count(problem);
}

static void
make_verdict(DbuPlanEntry *entry, DbuEntryState state, DbuPlanEvent reason)
{
	entry->state = state;
	entry->reason = reason;
	entry->plan = NULL;
	count(reason);
}

/* ---------- admission ---------- */

/*
 * Plan a statement whose literals are all part of the key, and store the plan.
 */
static PlannedStmt *
admit_exact(DbuPlanRequest *req, DbuRecognised *rec, const DbuPlanContext *context)
{
	uint64		generation = dbu_plancache_generation();
	DbuPlanEntry *entry;
	DbuPlanEvent problem;
	PlannedStmt *plan;
	instr_time	start;

	if (dbu_plancache_in_ddl())
	{
		settle(req, DBU_PLAN_REF_DDL);
		return dbu_plan_next(req);
	}
	entry = dbu_plancache_entry_new(rec, true, context);
	INSTR_TIME_SET_CURRENT(start);
	plan = dbu_plan_next(req);
	entry->planning_us = elapsed_us(start);
	entry->custom_cost = plan->planTree->total_cost;
	entry->calls = 1;
	settle(req, DBU_PLAN_MISS_ADMIT);

	problem = judge_plan(plan, rec);
	if (problem == DBU_PLAN_NONE && context->mode != DBU_CACHE_FORCE &&
		entry->planning_us < dbu_plancache_min_plan_time)
		problem = DBU_PLAN_REF_CHEAP;
	if (problem == DBU_PLAN_NONE)
	{
		keep_plan(entry, plan);
		dbu_plancache_measure(entry);
	}
	else
		make_verdict(entry, DBU_ENTRY_REFUSED, problem);
	store(entry, rec, generation);
	return plan;
}

/* A copy of the entry's key as a statement of its own, for the planner. */
static PlannedStmt *
plan_lifted(const DbuPlanRequest *req, const DbuPlanEntry *entry,
			const DbuRecognised *rec)
{
	DbuPlanRequest lifted = *req;
	PlannedStmt *plan;

	lifted.query = copyObject(entry->key);
	lifted.query->queryId = 0;	/* nobody is to count it as the statement */
	lifted.query->stmt_location = rec->location;
	lifted.query->stmt_len = rec->length;
	lifted.bound_params = NULL; /* whose values would become part of the plan */
	plan = dbu_plan_next(&lifted);
	dbu_plancache_pins_finish(rec, plan);
	return plan;
}

/*
 * Plan a statement with its literals lifted, and store the plan, or the verdict
 * that it is none for every literal.
 */
static PlannedStmt *
admit_generic(DbuPlanRequest *req, DbuRecognised *rec, const DbuPlanContext *context)
{
	uint64		generation = dbu_plancache_generation();
	bool		force = context->mode == DBU_CACHE_FORCE;
	PlannedStmt *custom = NULL;
	PlannedStmt *generic;
	PlannedStmt *result = NULL;
	DbuPlanEntry *entry = NULL;
	DbuPlanEvent problem = DBU_PLAN_NONE;
	DbuEntryState verdict = DBU_ENTRY_EXACT_ONLY;
	instr_time	start;

	if (dbu_plancache_in_ddl())
		settle(req, DBU_PLAN_REF_DDL);
	else
		entry = dbu_plancache_entry_new(rec, false, context);
	if (entry == NULL)
		return dbu_plan_next(req);

	settle(req, DBU_PLAN_MISS_ADMIT);
	entry->calls = 1;

	if (!dbu_plancache_pins_possible(rec))
		problem = DBU_PLAN_REF_LAYOUT;

	/* with force it is the generic plan that is timed and run */
	if (!force)
	{
		if (problem == DBU_PLAN_NONE)
			problem = dbu_plancache_judge_literals(rec);
		INSTR_TIME_SET_CURRENT(start);
		custom = dbu_plan_next(req);
		entry->planning_us = elapsed_us(start);
		entry->custom_cost = custom->planTree->total_cost;
		if (problem == DBU_PLAN_NONE &&
			entry->planning_us < dbu_plancache_min_plan_time)
		{
			problem = DBU_PLAN_REF_CHEAP;
			verdict = DBU_ENTRY_REFUSED;
		}
	}

	if (problem == DBU_PLAN_NONE)
	{
		INSTR_TIME_SET_CURRENT(start);
		generic = plan_lifted(req, entry, rec);
		if (force)
			entry->planning_us = elapsed_us(start);
		entry->generic_cost = generic->planTree->total_cost;

		problem = judge_plan(generic, rec);
		if (problem == DBU_PLAN_NONE && !force &&
			entry->generic_cost > generic_cost_limit(entry->custom_cost, entry))
			problem = DBU_PLAN_REF_COST;
		if (problem == DBU_PLAN_NONE)
		{
			keep_plan(entry, generic);
			if (dbu_plancache_make_places(entry, rec))
				dbu_plancache_measure(entry);
			else
				problem = DBU_PLAN_REF_GENERIC_NODE;
		}
	}

	if (problem != DBU_PLAN_NONE)
		make_verdict(entry, verdict, problem);
	else if (force)
		result = dbu_plancache_instance(entry, rec);

	/* freed if it is not stored: its execution then finds no such entry */
	if (custom != NULL)
		dbu_plancache_expect(custom, entry, true);
	store(entry, rec, generation);
	if (result != NULL)
		return result;
	return custom != NULL ? custom : dbu_plan_next(req);
}

/* ---------- serving ---------- */

/* Take the locks that running the plan needs, as PostgreSQL's plan cache does. */
static void
lock_relations(const PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION ||
			(rte->rtekind == RTE_SUBQUERY && OidIsValid(rte->relid)))
			LockRelationOid(rte->relid, rte->rellockmode);
	}
}

/*
 * Is the plan to be compared with one for the literals at hand?  At its 2nd, 4th,
 * 8th, 16th, 64th, 256th ... use.
 */
static bool
due_for_verification(const DbuPlanEntry *entry)
{
	int64		use = entry->hits + entry->verified + 1;

	if (entry->exact || entry->key_context.mode == DBU_CACHE_FORCE)
		return false;
	if (use > 1 && (use & (use - 1)) == 0 &&
		(use <= VERIFIED_EACH_DOUBLING || pg_leftmost_one_pos64(use) % 2 == 0))
		return true;
	return dbu_plancache_verify > 0 &&
		pg_prng_double(&pg_global_prng_state) < dbu_plancache_verify;
}

/* Plan for the literals at hand, and see whether the generic plan still holds. */
static PlannedStmt *
verify(DbuPlanRequest *req, DbuPlanEntry *entry)
{
	uint64		hash = entry->hash;
	uint64		serial = entry->serial;
	PlannedStmt *custom;

	settle(req, DBU_PLAN_MISS_VERIFY);
	entry->verified++;
	custom = dbu_plan_next(req);

	entry = dbu_plancache_find_serial(hash, serial);
	if (entry != NULL && entry->state == DBU_ENTRY_SERVING)
	{
		entry->custom_cost = custom->planTree->total_cost;
		dbu_plancache_expect(custom, entry, true);
		if (entry->generic_cost > generic_cost_limit(entry->custom_cost, entry))
		{
			entry->state = DBU_ENTRY_EXACT_ONLY;
			entry->reason = DBU_PLAN_REF_COST;
			count(DBU_PLAN_REF_COST);
		}
	}
	return custom;
}

/* The plan to run, or NULL: the entry is of no use, and perhaps gone. */
static PlannedStmt *
serve(DbuPlanRequest *req, DbuRecognised *rec, DbuPlanEntry *entry)
{
	PlannedStmt *plan;

	lock_relations(entry->plan);
	if (!entry->valid)
	{
		settle(req, DBU_PLAN_MISS_STALE);
		dbu_plancache_entry_drop(entry);
		return NULL;
	}

	/*
	 * An index made while the table changed is no good for snapshots from before,
	 * which the planner knows and a stored plan does not.  A snapshot that is
	 * imported can be older than the plan.
	 */
	if (TransactionIdPrecedes(TransactionXmin, entry->xmin))
	{
		settle(req, DBU_PLAN_MISS_SNAPSHOT);
		return NULL;
	}
	if (dbu_plancache_resized(entry))
	{
		settle(req, DBU_PLAN_MISS_SIZE);
		dbu_plancache_entry_drop(entry);
		return NULL;
	}
	if (due_for_verification(entry))
		return verify(req, entry);

	plan = dbu_plancache_lend(entry, rec, req->seen_after);
	if (plan == NULL)
	{
		settle(req, DBU_PLAN_REF_GENERIC_NODE);
		dbu_plancache_entry_drop(entry);
		return NULL;
	}
	dbu_plancache_expect(plan, entry, false);
	entry->hits++;
	entry->saved_us += entry->planning_us;
	dbu_plancache_counts->saved_us += entry->planning_us;
	settle(req, entry->exact ? DBU_PLAN_HIT_EXACT : DBU_PLAN_HIT_GENERIC);
	req->served = true;
	return plan;
}

/* ---------- the way of a statement ---------- */

/* Find the statement's entry at one level, and age it. */
static DbuPlanEntry *
find_entry(DbuPlanRequest *req, DbuRecognised *rec, bool exact,
		   const DbuPlanContext *context)
{
	DbuPlanEntry *entry = dbu_plancache_find(rec, exact, context);

	if (entry == NULL)
		return NULL;
	if (dbu_plancache_max_age > 0 &&
		TimestampDifferenceExceeds(entry->created, GetCurrentStatementStartTimestamp(),
								   dbu_plancache_max_age * 1000))
	{
		settle(req, DBU_PLAN_MISS_AGE);
		dbu_plancache_entry_drop(entry);
		return NULL;
	}
	entry->calls++;
	dbu_plancache_entry_used(entry);
	return entry;
}

/* Has the statement come often enough that an entry is worth its making? */
static bool
worth_storing(DbuPlanRequest *req, uint64 hash, const DbuPlanContext *context)
{
	if (dbu_plancache_sighting(hash) >= dbu_plancache_min_calls ||
		context->mode == DBU_CACHE_FORCE)
		return true;
	settle(req, DBU_PLAN_MISS_FIRST);
	return false;
}

static PlannedStmt *
plan_statement(DbuPlanRequest *req)
{
	DbuPlanContext context;
	DbuRecognised rec;
	DbuPlanEntry *entry;
	DbuPlanEvent refusal;
	PlannedStmt *plan;

	if (dbu_plancache_mode == DBU_CACHE_OFF || IsInParallelMode())
		return dbu_plan_next(req);

	/* what is pinned is served from its first call on */
	if (dbu_plancache_mode != DBU_CACHE_FORCE &&
		dbu_plancache_mark(req->query->queryId) != DBU_MARK_PINNED &&
		dbu_plancache_among_strangers())
	{
		settle(req, DBU_PLAN_MISS_STRANGER);
		return dbu_plan_next(req);
	}
	dbu_plancache_store_init();
	if (dbu_plancache_reset_wanted() || dbu_plancache_settings_changed)
	{
		dbu_plancache_settings_changed = false;
		dbu_plancache_store_reset();
	}
	refusal = dbu_plancache_context(req->query, req->query_string,
									req->bound_params, req->cursor_options, &context);
	if (refusal == DBU_PLAN_NONE)
	{
		dbu_plancache_recognise(req->query, &context, &rec);
		refusal = rec.refusal;
	}
	if (refusal != DBU_PLAN_NONE)
	{
		settle(req, refusal);
		return dbu_plan_next(req);
	}

	if (dbu_plancache_generic_level(&rec, &context))
	{
		entry = find_entry(req, &rec, false, &context);
		if (entry == NULL)
			return worth_storing(req, rec.hash, &context) ?
				admit_generic(req, &rec, &context) : dbu_plan_next(req);
		if (entry->state == DBU_ENTRY_SERVING)
		{
			plan = serve(req, &rec, entry);
			return plan != NULL ? plan : dbu_plan_next(req);
		}
		settle(req, entry->reason);
		if (entry->state == DBU_ENTRY_REFUSED)
			return dbu_plan_next(req);
	}

	/* the plan for a statement's own parameters is good for these values only */
	if (context.bound_params != NULL)
	{
		settle(req, DBU_PLAN_REF_PARAMS);
		return dbu_plan_next(req);
	}

	entry = find_entry(req, &rec, true, &context);
	if (entry == NULL)
		return worth_storing(req, rec.exact_hash, &context) ?
			admit_exact(req, &rec, &context) : dbu_plan_next(req);
	if (entry->state == DBU_ENTRY_SERVING)
	{
		plan = serve(req, &rec, entry);
		return plan != NULL ? plan : dbu_plan_next(req);
	}
	settle(req, entry->reason);
	return dbu_plan_next(req);
}

/* May the statement have a plan for every literal? */
bool
dbu_plancache_generic_level(const DbuRecognised *rec, const DbuPlanContext *context)
{
	return rec->nliterals + rec->nbound > 0 && !rec->partitioned && !rec->too_many &&
		context->mode != DBU_CACHE_EXACT;
}

/* ---------- the module ---------- */

const DbuModule dbu_plancache_module = {
	.name = "plancache",
	.init = dbu_plancache_define_settings,
	.shmem_size = dbu_plancache_shmem_size,
	.shmem_attach = dbu_plancache_shmem_attach,
	.tranche_name = "DbutilPlancache",
	.without_shmem = true,
	.stmt_want = dbu_plancache_stmt_want,
	.stmt_end = dbu_plancache_stmt_end,
	.plan = plan_statement,
	.status = dbu_plancache_report_status,
};
