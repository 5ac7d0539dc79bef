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
	uint64		hash;
} Walk;

static void walk_plan(Walk *walk, const Plan *plan);

/* Multiplication carries upwards what the shift brings down again. */
static void
mix(Walk *walk, uint64 value)
{
	uint64		h = (walk->hash ^ (value + 1)) * UINT64CONST(0x9E3779B97F4A7C15);

	walk->hash = h ^ (h >> 29);
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
static bool
mix_relation(Walk *walk, Index rti)
{
	bool		child = false;
	const RangeTblEntry *rte;

	if (rti == 0)
		return false;
	while (walk->parents != NULL && walk->parents[rti] != 0)
	{
		rti = walk->parents[rti];
		child = true;
	}
	rte = rt_fetch(rti, walk->stmt->rtable);
	mix(walk, rte->rtekind == RTE_RELATION ? rte->relid : (uint64) rte->rtekind << 32);
	return child;
}

static void
mix_index_scan(Walk *walk, const Plan *plan, Oid index, int direction)
{
	bool		child = mix_relation(walk, ((const Scan *) plan)->scanrelid);

	mix(walk, child ? InvalidOid : index);
	mix(walk, (uint64) direction);
}

/* Plans of which any number may be equal. */
static void
walk_list(Walk *walk, const List *plans, bool once)
{
	uint64		before = 0;
	const ListCell *lc;

	foreach(lc, plans)
	{
		Walk		one = *walk;

		one.hash = 0;
		walk_plan(&one, lfirst(lc));
		if (!once || one.hash != before)
			mix(walk, one.hash);
		before = one.hash;
	}
}

static void
walk_custom(Walk *walk, const CustomScan *scan)
{
	const char *name = scan->methods->CustomName;

	(void) mix_relation(walk, scan->scan.scanrelid);
	mix(walk, hash_bytes((const unsigned char *) name, strlen(name)));
	walk_list(walk, scan->custom_plans, false);
}

/* What the kind of a node alone does not tell. */
static void
mix_details(Walk *walk, const Plan *plan)
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
			(void) mix_relation(walk, ((const Scan *) plan)->scanrelid);
			break;
		case T_IndexScan:
			mix_index_scan(walk, plan, ((const IndexScan *) plan)->indexid,
						   ((const IndexScan *) plan)->indexorderdir);
			break;
		case T_IndexOnlyScan:
			mix_index_scan(walk, plan, ((const IndexOnlyScan *) plan)->indexid,
						   ((const IndexOnlyScan *) plan)->indexorderdir);
			break;
		case T_BitmapIndexScan:
			mix_index_scan(walk, plan, ((const BitmapIndexScan *) plan)->indexid, 0);
			break;
		case T_ForeignScan:
			(void) mix_relation(walk, ((const ForeignScan *) plan)->scan.scanrelid);
			mix(walk, ((const ForeignScan *) plan)->operation);
			break;
		case T_CustomScan:
			walk_custom(walk, (const CustomScan *) plan);
			break;
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			mix(walk, ((const Join *) plan)->jointype);
			break;
		case T_Agg:
			mix(walk, ((const Agg *) plan)->aggstrategy);
			mix(walk, ((const Agg *) plan)->aggsplit);
			break;
		case T_SetOp:
			mix(walk, ((const SetOp *) plan)->cmd);
			mix(walk, ((const SetOp *) plan)->strategy);
			break;
		case T_ModifyTable:
			mix(walk, ((const ModifyTable *) plan)->operation);
			mix(walk, ((const ModifyTable *) plan)->onConflictAction);
			(void) mix_relation(walk, ((const ModifyTable *) plan)->nominalRelation);
			break;
		case T_SubqueryScan:
			walk_plan(walk, ((const SubqueryScan *) plan)->subplan);
			break;
		case T_Append:
			walk_list(walk, ((const Append *) plan)->appendplans, true);
			break;
		case T_MergeAppend:
			walk_list(walk, ((const MergeAppend *) plan)->mergeplans, true);
			break;
		case T_BitmapAnd:
			walk_list(walk, ((const BitmapAnd *) plan)->bitmapplans, false);
			break;
		case T_BitmapOr:
			walk_list(walk, ((const BitmapOr *) plan)->bitmapplans, false);
			break;
		default:
			break;
	}
}

/* The executor went as deep a moment ago, with larger frames. */
static void
walk_plan(Walk *walk, const Plan *plan)
{
	mix(walk, (uint64) nodeTag(plan) << 2 | (plan->lefttree != NULL) << 1 |
		(plan->righttree != NULL));
	mix_details(walk, plan);
	if (plan->lefttree != NULL)
		walk_plan(walk, plan->lefttree);
	if (plan->righttree != NULL)
		walk_plan(walk, plan->righttree);
}

/* Never 0, which stands for "no plan". */
uint64
dbu_watch_plan_id(const PlannedStmt *stmt)
{
	Walk		walk = {.stmt = stmt,.parents = find_parents(stmt)};
	const ListCell *lc;

	walk_plan(&walk, stmt->planTree);
	foreach(lc, stmt->subplans)
	{
		/* one that turned out to be unused leaves its place empty */
		if (lfirst(lc) != NULL)
			walk_plan(&walk, lfirst(lc));
	}
	if (walk.parents != NULL)
		pfree(walk.parents);
	return walk.hash != 0 ? walk.hash : 1;
}
