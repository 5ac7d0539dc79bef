/*-------------------------------------------------------------------------
 *
 * advice_candidates.c
 *	  Which indexes might serve a statement?
 *
 * The rewritten query says it, before the planner has chosen a way: for each
 * table the columns that WHERE and ON compare with something fixed or with
 * another table's columns, and those of ORDER BY.  Equality comes first, then
 * one range or the order: that is how a btree can use them all.  A subquery
 * counts by itself; what it takes from outside is fixed for it.
 *
 * Here many are named.  Whether one is any good is settled by the planner
 * (advice.c), as no rule of thumb knows that better.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/advice.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

/* More columns than this make an index big and are seldom needed to find rows. */
#define MAX_EQUALITY	3
#define MAX_ORDER		3
#define MAX_RANGES		2
/* What an index may carry for index-only scans. */
#define MAX_INCLUDED	3
#define MAX_INCLUDED_WIDTH	40
/* A value is worth a partial index if at most this share of the rows has it. */
#define RARE			0.1

typedef struct LevelContext
{
	DbuWorkloadQuery *query;
	List	   *candidates;
} LevelContext;

/* What one table of a query level is asked by. */
typedef struct TableUse
{
	Index		rti;
	Oid			relid;
	List	   *equal;			/* int, columns compared with something fixed */
	List	   *ranges;			/* int */
	List	   *joins;			/* int, compared for equality with other tables */
	List	   *order;			/* int, of ORDER BY */
	List	   *included;		/* int, further columns if all used ones are few */
	bool		covering;		/* included may be carried */
	const char *predicate;		/* a condition that few rows fulfil, on ... */
	AttrNumber	predicate_column;
	double		fraction;		/* of the rows */
} TableUse;

static bool level_walker(Node *node, void *context);

/* ---------- conditions ---------- */

static void
add_conjuncts(Node *node, List **conjuncts)
{
	ListCell   *lc;

	if (node == NULL)
		return;
	check_stack_depth();
	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == AND_EXPR)
	{
		foreach(lc, ((BoolExpr *) node)->args)
			add_conjuncts(lfirst(lc), conjuncts);
	}
	else if (IsA(node, List))
	{
		foreach(lc, (List *) node)
			add_conjuncts(lfirst(lc), conjuncts);
	}
	else if (IsA(node, FromExpr))
	{
		add_conjuncts((Node *) ((FromExpr *) node)->fromlist, conjuncts);
		add_conjuncts(((FromExpr *) node)->quals, conjuncts);
	}
	else if (IsA(node, JoinExpr))
	{
		add_conjuncts(((JoinExpr *) node)->larg, conjuncts);
		add_conjuncts(((JoinExpr *) node)->rarg, conjuncts);
		add_conjuncts(((JoinExpr *) node)->quals, conjuncts);
	}
	else if (!IsA(node, RangeTblRef))
		*conjuncts = lappend(*conjuncts, node);
}

/* The share of a column's rows that are NULL, or have the value; -1: unknown. */
static double
share_of(Oid relid, AttrNumber column, const Const *value)
{
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid),
										Int16GetDatum(column), BoolGetDatum(false));
	double		share = -1;
	AttStatsSlot slot;

	if (!HeapTupleIsValid(tuple))
		return -1;
	if (value == NULL)
		share = ((Form_pg_statistic) GETSTRUCT(tuple))->stanullfrac;
	else if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_MCV, InvalidOid,
							  ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
	{
		int16		length;
		bool		by_value;

		get_typlenbyval(slot.valuetype, &length, &by_value);
		for (int i = 0; i < slot.nvalues; i++)
		{
			if (value->consttype == slot.valuetype && !value->constisnull &&
				datumIsEqual(slot.values[i], value->constvalue, by_value, length))
				share = slot.numbers[i];
		}
		free_attstatsslot(&slot);
	}
	ReleaseSysCache(tuple);
	return share;
}

/* Does the column have few values?  Others are searched, not set apart. */
static bool
has_few_values(Oid relid, AttrNumber column)
{
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid),
										Int16GetDatum(column), BoolGetDatum(false));
	bool		few;

	if (!HeapTupleIsValid(tuple))
		return false;
	few = ((Form_pg_statistic) GETSTRUCT(tuple))->stadistinct > 0 &&
		((Form_pg_statistic) GETSTRUCT(tuple))->stadistinct <= 1 / RARE;
	ReleaseSysCache(tuple);
	return few;
}

/* The column of the table that an expression is, 0 if it is none. */
static AttrNumber
column_of(Node *node, Index rti)
{
	if (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (IsA(node, Var) && ((Var *) node)->varno == rti && ((Var *) node)->varlevelsup == 0 &&
		((Var *) node)->varattno > 0)
		return ((Var *) node)->varattno;
	return 0;
}

/* Takes a condition as a partial index's if the rarest so far. */
static void
consider_predicate(TableUse *use, Node *clause, AttrNumber column, double share)
{
	Node	   *copy;

	if (share < 0 || share > RARE || share >= use->fraction)
		return;
	copy = copyObject(clause);
	ChangeVarNodes(copy, use->rti, 1, 0);
	use->predicate = deparse_expression(copy,
										deparse_context_for(get_rel_name(use->relid), use->relid),
										false, false);
	use->predicate_column = column;
	use->fraction = share;
}

/* IS [NOT] NULL, a boolean column and its negation. */
static void
use_as_predicate(TableUse *use, Node *clause)
{
	AttrNumber	column;
	double		nulls;

	if (IsA(clause, NullTest))
	{
		column = column_of((Node *) ((NullTest *) clause)->arg, use->rti);
		nulls = column ? share_of(use->relid, column, NULL) : -1;
		if (nulls >= 0)
			consider_predicate(use, clause, column,
							   ((NullTest *) clause)->nulltesttype == IS_NULL ? nulls : 1 - nulls);
		return;
	}
	if (IsA(clause, BoolExpr) && ((BoolExpr *) clause)->boolop == NOT_EXPR)
		column = column_of(linitial(((BoolExpr *) clause)->args), use->rti);
	else
		column = column_of(clause, use->rti);
	if (column != 0)
	{
		Const	   *value = (Const *) makeBoolConst(!IsA(clause, BoolExpr), false);

		consider_predicate(use, clause, column, share_of(use->relid, column, value));
	}
}

static void
use_condition(TableUse *use, Node *clause)
{
	DbuComparedColumn *compared;
	bool		joins;

	/* x IN (SELECT ...) joins x */
	if (IsA(clause, SubLink))
	{
		SubLink    *link = (SubLink *) clause;

		compared = link->subLinkType == ANY_SUBLINK && link->testexpr != NULL ?
			dbu_explain_compared_column(link->testexpr, use->rti) : NULL;
		if (compared != NULL && compared->strategy == BTEqualStrategyNumber)
			use->joins = list_append_unique_int(use->joins, compared->column);
		return;
	}
	compared = dbu_explain_compared_column(clause, use->rti);
	if (compared == NULL)
	{
		use_as_predicate(use, clause);
		return;
	}
	if (bms_is_member(use->rti, pull_varnos(NULL, compared->other)))
		return;
	joins = contain_var_clause(compared->other);
	if (compared->strategy != BTEqualStrategyNumber)
	{
		if (!joins && list_length(use->ranges) < MAX_RANGES)
			use->ranges = list_append_unique_int(use->ranges, compared->column);
	}
	else if (joins)
		use->joins = list_append_unique_int(use->joins, compared->column);
	else
	{
		if (list_length(use->equal) < MAX_EQUALITY)
			use->equal = list_append_unique_int(use->equal, compared->column);
		if (IsA(compared->other, Const) && has_few_values(use->relid, compared->column))
			consider_predicate(use, clause, compared->column,
							   share_of(use->relid, compared->column, (Const *) compared->other));
	}
}

/* The first columns of ORDER BY, if they are the table's and go one way. */
static void
use_order(TableUse *use, const Query *level)
{
	int			way = 0;
	ListCell   *lc;

	if (level->groupClause || level->groupingSets || level->hasAggs ||
		level->hasWindowFuncs || level->setOperations)
		return;
	foreach(lc, level->sortClause)
	{
		SortGroupClause *sort = lfirst(lc);
		AttrNumber	column = column_of((Node *) get_sortgroupclause_expr(sort, level->targetList),
									   use->rti);
		Oid			opclass;
		int			strategy;

		if (list_member_int(use->equal, column))
			continue;
		if (column == 0 || list_length(use->order) >= MAX_ORDER)
			break;
		opclass = GetDefaultOpClass(get_atttype(use->relid, column), BTREE_AM_OID);
		strategy = OidIsValid(opclass) ?
			get_op_opfamily_strategy(sort->sortop, get_opclass_family(opclass)) : 0;
		if (strategy == 0 ||
			sort->nulls_first != (strategy == BTGreaterStrategyNumber) ||
			(way != 0 && way != strategy))
			break;
		way = strategy;
		use->order = list_append_unique_int(use->order, column);
	}
}

/* ---------- all columns that a query uses of a table ---------- */

typedef struct UsedContext
{
	Index		rti;
	Index		levels_up;
	const Query *level;			/* to which the table belongs */
	Bitmapset  *columns;
	bool		whole;			/* the whole row or a system column */
} UsedContext;

static bool
used_walker(Node *node, void *context)
{
	UsedContext *used = context;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varlevelsup != used->levels_up)
			return false;
		if (var->varno == used->rti)
		{
			if (var->varattno > 0)
				used->columns = bms_add_member(used->columns, var->varattno);
			else
				used->whole = true;
		}
		else if (rt_fetch(var->varno, used->level->rtable)->rtekind == RTE_JOIN)
			used->whole |= var->varattno <= 0 || used->levels_up > 0 ||
				used_walker(list_nth(rt_fetch(var->varno, used->level->rtable)->joinaliasvars,
									 var->varattno - 1), context);
		return false;
	}
	if (IsA(node, Query))
	{
		bool		result;

		used->levels_up++;
		result = query_tree_walker((Query *) node, used_walker, context, QTW_IGNORE_JOINALIASES);
		used->levels_up--;
		return result;
	}
	return expression_tree_walker(node, used_walker, context);
}

/* May an index carry all that is used of the table?  Sets included. */
static void
use_columns(TableUse *use, Query *level)
{
	UsedContext used = {.rti = use->rti,.level = level};
	int			width = 0;
	int			column = -1;

	if (level->resultRelation == use->rti || level->rowMarks != NIL)
		return;
	query_tree_walker(level, used_walker, &used, QTW_IGNORE_JOINALIASES);
	if (used.whole)
		return;
	while ((column = bms_next_member(used.columns, column)) >= 0)
	{
		int			average = get_attavgwidth(use->relid, column);

		width += average > 0 ? average : 32;
		use->included = lappend_int(use->included, column);
	}
	use->covering = width <= MAX_INCLUDED_WIDTH;
}

/* ---------- candidates ---------- */

static void
add_candidate(LevelContext *context, const TableUse *use, DbuIndexPurpose purpose,
			  List *columns, int nequal, bool alternative)
{
	DbuIndexCandidate *candidate;
	List	   *rest = list_difference_int(use->included, columns);

	if (columns == NIL)
		return;
	for (int variant = 0; variant < 3; variant++)
	{
		/* plain; for index-only scans; of the rows that matter */
		if ((variant == 1 && !(use->covering && rest != NIL && list_length(rest) <= MAX_INCLUDED)) ||
			(variant == 2 && use->predicate == NULL))
			continue;
		candidate = palloc0(sizeof(DbuIndexCandidate));
		candidate->purpose = purpose;
		candidate->relid = use->relid;
		candidate->columns = list_copy(columns);
		candidate->nequal = nequal;
		candidate->included = variant == 1 ? rest : NIL;
		candidate->predicate = variant == 2 ? use->predicate : NULL;
		candidate->fraction = variant == 2 ? use->fraction : 1;
		candidate->alternative = alternative;
		candidate->query = context->query;
		candidate->numbers = list_make1_int(context->query->number);
		context->candidates = lappend(context->candidates, candidate);
	}
}

static void
add_candidates(LevelContext *context, const TableUse *use)
{
	int			nequal = list_length(use->equal);
	List	   *all_joins = list_concat_unique_int(list_copy(use->joins), use->equal);
	ListCell   *lc;

	add_candidate(context, use, DBU_FOR_FILTER, use->equal, nequal, false);
	/* one column may be as good as all */
	foreach(lc, use->equal)
	{
		if (nequal > 1)
			add_candidate(context, use, DBU_FOR_FILTER, list_make1_int(lfirst_int(lc)), 1, true);
	}
	foreach(lc, use->ranges)
	{
		if (!list_member_int(use->equal, lfirst_int(lc)))
			add_candidate(context, use, DBU_FOR_FILTER,
						  lappend_int(list_copy(use->equal), lfirst_int(lc)), nequal, false);
	}
	foreach(lc, use->joins)
	{
		List	   *one = list_make1_int(lfirst_int(lc));

		add_candidate(context, use, DBU_FOR_JOIN, one, 1, false);
		one = list_concat_unique_int(one, use->equal);
		if (list_length(one) > 1)
			add_candidate(context, use, DBU_FOR_JOIN, one, list_length(one), false);
	}
	if (list_length(use->joins) > 1 && list_length(all_joins) <= MAX_EQUALITY)
		add_candidate(context, use, DBU_FOR_JOIN, all_joins, list_length(all_joins), false);
	if (use->order != NIL)
		add_candidate(context, use, DBU_FOR_ORDER,
					  list_concat_unique_int(list_copy(use->equal), use->order), nequal, false);
	/* nothing is compared but what sets rows apart: any key will do */
	if (use->predicate != NULL && use->equal == NIL && use->ranges == NIL &&
		use->joins == NIL && use->order == NIL)
		add_candidate(context, use, DBU_FOR_FILTER, list_make1_int(use->predicate_column), 0,
					  false);
}

/* Tables that users own and that may have indexes. */
static bool
is_indexable(const RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION && rte->relid >= FirstNormalObjectId &&
		(rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_PARTITIONED_TABLE ||
		 rte->relkind == RELKIND_MATVIEW) && rte->tablesample == NULL;
}

static void
visit_level(LevelContext *context, Query *level, bool targets_join)
{
	List	   *conjuncts = NIL;
	ListCell   *lc;
	ListCell   *lq;

	add_conjuncts((Node *) level->jointree, &conjuncts);
	foreach(lc, level->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);
		TableUse	use = {
			.rti = foreach_current_index(lc) + 1,.relid = rte->relid,.fraction = 1
		};

		CHECK_FOR_INTERRUPTS();
		if (!is_indexable(rte))
			continue;
		context->query->relids = list_append_unique_oid(context->query->relids, rte->relid);
		foreach(lq, conjuncts)
			use_condition(&use, lfirst(lq));
		foreach(lq, rte->securityQuals)
			use_condition(&use, lfirst(lq));
		if (targets_join)
		{
			foreach(lq, level->targetList)
			{
				AttrNumber	column = column_of((Node *) ((TargetEntry *) lfirst(lq))->expr, use.rti);

				if (column != 0)
					use.joins = list_append_unique_int(use.joins, column);
			}
		}
		use_order(&use, level);
		use_columns(&use, level);
		add_candidates(context, &use);
	}
	query_tree_walker(level, level_walker, context, QTW_IGNORE_JOINALIASES);
}

static bool
level_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	check_stack_depth();
	if (IsA(node, SubLink) && ((SubLink *) node)->subLinkType == ANY_SUBLINK)
	{
		visit_level(context, castNode(Query, ((SubLink *) node)->subselect), true);
		return level_walker(((SubLink *) node)->testexpr, context);
	}
	if (IsA(node, Query))
	{
		visit_level(context, (Query *) node, false);
		return false;
	}
	return expression_tree_walker(node, level_walker, context);
}

/* DbuIndexCandidate *, with repetitions.  Sets the query's relids. */
List *
dbu_explain_index_candidates(DbuWorkloadQuery *query)
{
	LevelContext context = {.query = query};
	ListCell   *lc;

	foreach(lc, query->queries)
		visit_level(&context, lfirst_node(Query, lc), false);
	return context.candidates;
}
