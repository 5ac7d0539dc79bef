/*-------------------------------------------------------------------------
 *
 * plan_id.c
 *	  A plan's identifier: a hash over the shape of its tree.
 *
 * The shape is the kinds of nodes, the relations and indexes they read, how they
 * join, aggregate and scan.  Costs, estimates, literals, parameters and target
 * lists are no part of it, so that two plans of a statement have the same
 * identifier if EXPLAIN (COSTS OFF) differs at most in its conditions.  Nothing
 * is looked up in catalogs: it costs some nanoseconds a node.
 *
 * What differs only in which partitions are read is the same plan: a partition
 * stands for the table that it is a part of, its index for any index, and equal
 * neighbours below an Append count once.  Otherwise a statement that reads
 * another day each time would have a plan for each day.
 *
 * Identifiers hold object identifiers and numbers of node types, so they are
 * good within one cluster, and one major version.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "track/watch.h"

#include "common/hashfn.h"
#include "nodes/extensible.h"
#include "parser/parsetree.h"

typedef struct Walk
{
	const PlannedStmt *stmt;
	Index	   *parents;		/* of each range table entry, 0: none; NULL: of
								 * none */
} Walk;

static uint64 walk_plan(const Walk *walk, uint64 hash, const Plan *plan);

/* Multiplication carries upwards what the shift brings down again. */
static inline uint64
mix(uint64 hash, uint64 value)
{
	uint64		h = (hash ^ (value + 1)) * UINT64CONST(0x9E3779B97F4A7C15);

	return h ^ (h >> 29);
}

/* For tables with children only: what each entry of the range table is a part of. */
static Index *
find_parents(const PlannedStmt *stmt)
{
	Index	   *parents;
	ListCell   *lc;

	if (stmt->appendRelations == NIL)
		return NULL;
	parents = palloc0((list_length(stmt->rtable) + 1) * sizeof(Index));
	foreach(lc, stmt->appendRelations)
	{
		const AppendRelInfo *appended = lfirst_node(AppendRelInfo, lc);

		/* the arms of UNION ALL are relations of their own */
		if (rt_fetch(appended->parent_relid, stmt->rtable)->rtekind == RTE_RELATION)
			parents[appended->child_relid] = appended->parent_relid;
	}
	return parents;
}

/* Mix in a range table entry; is it a table's child? */
static inline uint64
mix_entry(const Walk *walk, uint64 hash, Index rti, bool *child)
{
	const RangeTblEntry *rte;

	*child = false;
	if (rti == 0)
		return hash;
	if (unlikely(walk->parents != NULL))
	{
		while (walk->parents[rti] != 0)
		{
			rti = walk->parents[rti];
			*child = true;
		}
	}
	rte = rt_fetch(rti, walk->stmt->rtable);
	return mix(hash, rte->rtekind == RTE_RELATION ? rte->relid : (uint64) rte->rtekind << 32);
}

static uint64
mix_relation(const Walk *walk, uint64 hash, Index rti)
{
	bool		child;

	return mix_entry(walk, hash, rti, &child);
}

static inline uint64
mix_index_scan(const Walk *walk, uint64 hash, const Plan *plan, Oid index, int direction)
{
	bool		child;

	hash = mix_entry(walk, hash, ((const Scan *) plan)->scanrelid, &child);
	hash = mix(hash, child ? InvalidOid : index);
	return mix(hash, (uint64) direction);
}

/* Plans of which any number may be equal. */
static uint64
walk_list(const Walk *walk, uint64 hash, const List *plans, bool once)
{
	uint64		before = 0;
	const ListCell *lc;

	foreach(lc, plans)
	{
		uint64		one = walk_plan(walk, 0, lfirst(lc));

		if (!once || one != before)
			hash = mix(hash, one);
		before = one;
	}
	return hash;
}

static uint64
walk_custom(const Walk *walk, uint64 hash, const CustomScan *scan)
{
	const char *name = scan->methods->CustomName;

	hash = mix_relation(walk, hash, scan->scan.scanrelid);
	hash = mix(hash, hash_bytes((const unsigned char *) name, strlen(name)));
	return walk_list(walk, hash, scan->custom_plans, false);
}

/* What the kind of a node alone does not tell. */
static inline uint64
mix_details(const Walk *walk, uint64 hash, const Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_BitmapHeapScan:
		case T_FunctionScan:
		case T_ValuesScan:
		case T_TableFuncScan:
		case T_CteScan:
		case T_NamedTuplestoreScan:
		case T_WorkTableScan:
			return mix_relation(walk, hash, ((const Scan *) plan)->scanrelid);
		case T_IndexScan:
			return mix_index_scan(walk, hash, plan, ((const IndexScan *) plan)->indexid,
								  ((const IndexScan *) plan)->indexorderdir);
		case T_IndexOnlyScan:
			return mix_index_scan(walk, hash, plan, ((const IndexOnlyScan *) plan)->indexid,
								  ((const IndexOnlyScan *) plan)->indexorderdir);
		case T_BitmapIndexScan:
			return mix_index_scan(walk, hash, plan, ((const BitmapIndexScan *) plan)->indexid, 0);
		case T_ForeignScan:
			hash = mix_relation(walk, hash, ((const ForeignScan *) plan)->scan.scanrelid);
			return mix(hash, ((const ForeignScan *) plan)->operation);
		case T_CustomScan:
			return walk_custom(walk, hash, (const CustomScan *) plan);
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			return mix(hash, ((const Join *) plan)->jointype);
		case T_Agg:
			hash = mix(hash, ((const Agg *) plan)->aggstrategy);
			return mix(hash, ((const Agg *) plan)->aggsplit);
		case T_SetOp:
			hash = mix(hash, ((const SetOp *) plan)->cmd);
			return mix(hash, ((const SetOp *) plan)->strategy);
		case T_ModifyTable:
			hash = mix(hash, ((const ModifyTable *) plan)->operation);
			hash = mix(hash, ((const ModifyTable *) plan)->onConflictAction);
			return mix_relation(walk, hash, ((const ModifyTable *) plan)->nominalRelation);
		case T_SubqueryScan:
			return walk_plan(walk, hash, ((const SubqueryScan *) plan)->subplan);
		case T_Append:
			return walk_list(walk, hash, ((const Append *) plan)->appendplans, true);
		case T_MergeAppend:
			return walk_list(walk, hash, ((const MergeAppend *) plan)->mergeplans, true);
		case T_BitmapAnd:
			return walk_list(walk, hash, ((const BitmapAnd *) plan)->bitmapplans, false);
		case T_BitmapOr:
			return walk_list(walk, hash, ((const BitmapOr *) plan)->bitmapplans, false);
		default:
			return hash;
	}
}

/* The executor went as deep a moment ago, with larger frames. */
static uint64
walk_plan(const Walk *walk, uint64 hash, const Plan *plan)
{
	/* most plans go straight down on the left */
	for (; plan != NULL; plan = plan->lefttree)
	{
		hash = mix(hash, (uint64) nodeTag(plan) << 2 | (plan->lefttree != NULL) << 1 |
				   (plan->righttree != NULL));
		hash = mix_details(walk, hash, plan);
		if (plan->righttree != NULL)
			hash = mix(hash, walk_plan(walk, 0, plan->righttree));
	}
	return hash;
}

/* Never 0, which stands for "no plan". */
uint64
dbu_watch_plan_id(const PlannedStmt *stmt)
{
	Walk		walk = {.stmt = stmt,.parents = find_parents(stmt)};
	uint64		hash = walk_plan(&walk, 0, stmt->planTree);
	const ListCell *lc;

	foreach(lc, stmt->subplans)
	{
		/* one that turned out to be unused leaves its place empty */
		if (lfirst(lc) != NULL)
			hash = walk_plan(&walk, hash, lfirst(lc));
	}
	if (walk.parents != NULL)
		pfree(walk.parents);
	return hash != 0 ? hash : 1;
}
