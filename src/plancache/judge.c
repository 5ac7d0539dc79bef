/*-------------------------------------------------------------------------
 *
 * judge.c
 *	  May one plan stand for every literal, and for how long?
 *
 * Nothing here decides what is right, only what is fast: any stored plan that
 * is valid gives the right rows.  A plan for any literal is a bad bargain where
 * the best plan depends on the literal: a column of which some values are far
 * more common than others, and one that a partial or an expression index
 * mentions.  And any stored plan is one when its tables are no longer of the
 * size it was made for, which PostgreSQL looks at whenever it plans.
 *
 * Called with the relations locked.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/plancache.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_statistic.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "partitioning/partdesc.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* A column is skewed if its commonest value is this many times a rare one. */
#define SKEW_RATIO 10.0

/* A relation was resized if it is this many times as large, or small, ... */
#define RESIZE_RATIO 2
/* ... not counting the first so many pages ... */
#define RESIZE_PAGES 16
/* ... looked at so many milliseconds apart, for a client's statements. */
#define RESIZE_INTERVAL 1000

static bool
column_skewed(Oid relid, AttrNumber attnum, bool inherited)
{
	HeapTuple	tuple;
	Form_pg_statistic stats;
	AttStatsSlot mcv;
	bool		skewed = false;

	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid),
							Int16GetDatum(attnum), BoolGetDatum(inherited));
	if (!HeapTupleIsValid(tuple))
		return false;
	stats = (Form_pg_statistic) GETSTRUCT(tuple);

	if (get_attstatsslot(&mcv, tuple, STATISTIC_KIND_MCV, InvalidOid,
						 ATTSTATSSLOT_NUMBERS))
	{
		if (mcv.nnumbers > 0)
		{
			double		common = mcv.numbers[0];
			double		rare = mcv.numbers[mcv.nnumbers - 1];
			double		others = 1.0 - stats->stanullfrac;
			double		distinct = stats->stadistinct;

			for (int i = 0; i < mcv.nnumbers; i++)
				others -= mcv.numbers[i];
			if (distinct < 0)
			{
				HeapTuple	class = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

				if (HeapTupleIsValid(class))
				{
					distinct *= -((Form_pg_class) GETSTRUCT(class))->reltuples;
					ReleaseSysCache(class);
				}
			}
			if (distinct > mcv.nnumbers && others > 0)
				rare = Min(rare, others / (distinct - mcv.nnumbers));
			skewed = common > rare * SKEW_RATIO;
		}
		free_attstatsslot(&mcv);
	}
	ReleaseSysCache(tuple);
	return skewed;
}

/* Does a partial or an expression index of the relation mention the column? */
static bool
column_in_index_expression(Relation rel, AttrNumber attnum)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;
	bool		found = false;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Bitmapset  *columns = NULL;

		if (!heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
			pull_varattnos((Node *) RelationGetIndexPredicate(index), 1, &columns);
		if (!heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, NULL))
			pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &columns);
		index_close(index, NoLock);

		found = bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, columns);
		bms_free(columns);
		if (found)
			break;
	}
	list_free(indexes);
	return found;
}

/* The table's column behind a column of a join or of a subquery, if it is one. */
static RangeTblEntry *
resolve_column(List *rtable, Index varno, AttrNumber *attnum)
{
	for (;;)
	{
		RangeTblEntry *rte = list_nth_node(RangeTblEntry, rtable, varno - 1);
		Node	   *column = NULL;

		if (rte->rtekind == RTE_RELATION)
			return *attnum > 0 ? rte : NULL;
		if (rte->rtekind == RTE_JOIN && *attnum > 0 &&
			*attnum <= list_length(rte->joinaliasvars))
			column = list_nth(rte->joinaliasvars, *attnum - 1);
		else if (rte->rtekind == RTE_SUBQUERY && *attnum > 0 &&
				 *attnum <= list_length(rte->subquery->targetList) &&
				 rte->subquery->setOperations == NULL)
		{
			column = (Node *) list_nth_node(TargetEntry, rte->subquery->targetList,
											*attnum - 1)->expr;
			rtable = rte->subquery->rtable;
		}
		while (column != NULL && IsA(column, RelabelType))
			column = (Node *) ((RelabelType *) column)->arg;
		if (column == NULL || !IsA(column, Var) || ((Var *) column)->varlevelsup != 0)
			return NULL;
		varno = ((Var *) column)->varno;
		*attnum = ((Var *) column)->varattno;
	}
}

/* Why a plan for any value of what is compared with the column is no good. */
static DbuPlanEvent
judge_column(const DbuCompared *compared)
{
	DbuPlanEvent verdict = DBU_PLAN_NONE;
	AttrNumber	attnum = compared->varattno;
	RangeTblEntry *rte;
	Relation	rel;

	if (compared->varno == 0)
		return DBU_PLAN_NONE;
	rte = resolve_column(compared->rtable, compared->varno, &attnum);
	if (rte == NULL)
		return DBU_PLAN_NONE;

	rel = relation_open(rte->relid, NoLock);
	if (column_in_index_expression(rel, attnum))
		verdict = DBU_PLAN_REF_INDEX;
	else if (column_skewed(rte->relid, attnum, false))
		verdict = DBU_PLAN_REF_SKEW;
	relation_close(rel, NoLock);
	return verdict;
}

/* Is there a literal or a parameter whose value decides what plan is good? */
DbuPlanEvent
dbu_plancache_judge_literals(const DbuRecognised *rec)
{
	DbuPlanEvent verdict = DBU_PLAN_NONE;
	ListCell   *lc;

	for (int i = 0; i < rec->nliterals && verdict == DBU_PLAN_NONE; i++)
		verdict = judge_column(&rec->literals[i].compared);
	foreach(lc, rec->compared)
	{
		if (verdict != DBU_PLAN_NONE)
			break;
		verdict = judge_column(lfirst(lc));
	}
	return verdict;
}

/*
 * Is a partition of one of the plan's tables being detached concurrently?  Then
 * the planner's list of partitions depends on the snapshot.
 */
bool
dbu_plancache_detaching(const PlannedStmt *plan)
{
	ListCell   *lc;
	bool		detaching = false;

	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		Relation	rel;

		if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_PARTITIONED_TABLE)
			continue;
		rel = relation_open(rte->relid, NoLock);
		detaching = RelationGetPartitionDesc(rel, false)->detached_exist;
		relation_close(rel, NoLock);
		if (detaching)
			break;
	}
	return detaching;
}

static BlockNumber
relation_pages(const RangeTblEntry *rte)
{
	Relation	rel;
	BlockNumber pages = 0;

	if (rte->rtekind != RTE_RELATION)
		return 0;
	rel = relation_open(rte->relid, NoLock);
	if (RELKIND_HAS_TABLE_AM(rel->rd_rel->relkind))
		pages = RelationGetNumberOfBlocks(rel);
	relation_close(rel, NoLock);
	return pages;
}

/* Note down the sizes that the entry's plan was made for. */
void
dbu_plancache_measure(DbuPlanEntry *entry)
{
	int			n = 0;
	ListCell   *lc;

	entry->pages = MemoryContextAlloc(entry->context,
									  sizeof(BlockNumber) * list_length(entry->plan->rtable));
	foreach(lc, entry->plan->rtable)
		entry->pages[n++] = relation_pages(lfirst_node(RangeTblEntry, lc));
}

/*
 * Did a relation of the plan change its size so much that another plan may be
 * better?  Asks the operating system, so for a client's statements only now
 * and then; inside a function, where time stands still, always.
 */
bool
dbu_plancache_resized(DbuPlanEntry *entry)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();
	int			n = 0;
	ListCell   *lc;

	if (dbu_nesting() <= 1 &&
		!TimestampDifferenceExceeds(entry->sized, now, RESIZE_INTERVAL))
		return false;
	entry->sized = now;

	foreach(lc, entry->plan->rtable)
	{
		uint64		was = entry->pages[n++];
		uint64		is = relation_pages(lfirst_node(RangeTblEntry, lc));

		if (is > was * RESIZE_RATIO + RESIZE_PAGES ||
			was > is * RESIZE_RATIO + RESIZE_PAGES)
			return true;
	}
	return false;
}
