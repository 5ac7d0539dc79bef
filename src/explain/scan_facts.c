/*-------------------------------------------------------------------------
 *
 * scan_facts.c
 *	  What EXPLAIN does not print of a sequential scan: how many rows the table
 *	  has, and which index its filter could use.
 *
 * The plan's own quals say it, so that no expression is parsed back from text.
 * A column counts if the filter compares it, by an operator of its type's
 * default btree operator class and in the column's own collation, with
 * something that does not change during the scan.  Columns compared for
 * equality come first, then at most one compared for a range: the order in
 * which a btree can use them all.
 *
 * The relations are locked: parse analysis did that for this transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* More columns than this make an index big and are seldom needed to find rows. */
#define MAX_EQUALITY_COLUMNS 3

/* The column of the scanned table that a side of a comparison is, or NULL. */
static Var *
scanned_column(Node *side, Index rti)
{
	if (IsA(side, RelabelType))
		side = (Node *) ((RelabelType *) side)->arg;
	if (IsA(side, Var) && ((Var *) side)->varno == rti &&
		((Var *) side)->varlevelsup == 0 && ((Var *) side)->varattno > 0)
		return (Var *) side;
	return NULL;
}

/*
 * The column of a table that a clause compares by an operator of a btree, with
 * something that does not change by itself; NULL if it is no such clause.
 */
DbuComparedColumn *
dbu_explain_compared_column(Node *clause, Index rti)
{
	DbuComparedColumn *result;
	int			strategy;
	Oid			operator;
	Oid			collation;
	List	   *args;
	Var		   *column;
	Node	   *other;
	Oid			opclass;

	if (IsA(clause, OpExpr))
	{
		operator = ((OpExpr *) clause)->opno;
		collation = ((OpExpr *) clause)->inputcollid;
		args = ((OpExpr *) clause)->args;
	}
	else if (IsA(clause, ScalarArrayOpExpr) && ((ScalarArrayOpExpr *) clause)->useOr)
	{
		operator = ((ScalarArrayOpExpr *) clause)->opno;
		collation = ((ScalarArrayOpExpr *) clause)->inputcollid;
		args = ((ScalarArrayOpExpr *) clause)->args;
	}
	else
		return NULL;
	if (list_length(args) != 2)
		return NULL;

	column = scanned_column(linitial(args), rti);
	other = lsecond(args);
	if (column == NULL)
	{
		if (IsA(clause, ScalarArrayOpExpr))
			return NULL;
		column = scanned_column(lsecond(args), rti);
		other = linitial(args);
		operator = get_commutator(operator);
	}
	if (column == NULL || !OidIsValid(operator) || column->varcollid != collation ||
		contain_volatile_functions(other))
		return NULL;

	opclass = GetDefaultOpClass(column->vartype, BTREE_AM_OID);
	if (!OidIsValid(opclass))
		return NULL;
	strategy = get_op_opfamily_strategy(operator, get_opclass_family(opclass));
	if (strategy == 0)
		return NULL;
	result = palloc(sizeof(DbuComparedColumn));
	result->column = column->varattno;
	result->operator = operator;
	result->collation = collation;
	result->strategy = strategy;
	result->other = other;
	return result;
}

static bool
compares(List *comparisons, AttrNumber column)
{
	ListCell   *lc;

	foreach(lc, comparisons)
	{
		if (((DbuComparedColumn *) lfirst(lc))->column == column)
			return true;
	}
	return false;
}

/*
 * The comparisons that an index for these quals should serve, one for each of
 * its columns, in its order.
 */
static List *
index_comparisons(List *quals, Index rti)
{
	List	   *result = NIL;
	DbuComparedColumn *range = NULL;
	ListCell   *lc;

	foreach(lc, quals)
	{
		DbuComparedColumn *comparison = dbu_explain_compared_column(lfirst(lc), rti);

		if (comparison == NULL || contain_var_clause(comparison->other) ||
			contain_subplans(comparison->other))
			continue;
		if (comparison->strategy != BTEqualStrategyNumber)
			range = range == NULL ? comparison : range;
		else if (list_length(result) < MAX_EQUALITY_COLUMNS && !compares(result, comparison->column))
			result = lappend(result, comparison);
	}
	if (range != NULL && !compares(result, range->column))
		result = lappend(result, range);
	return result;
}

/*
 * Would the planner find the rows of these comparisons by the index?  Its first
 * columns are theirs, in whatever order, in their collation and with an
 * operator class that knows their operators.  A BRIN index knows them as well
 * but finds blocks, all of them if the table is in no order.
 */
static bool
index_serves(Relation index, List *comparisons)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisvalid || index->rd_rel->relam == BRIN_AM_OID ||
		form->indnkeyatts < list_length(comparisons) ||
		!heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
		return false;
	for (int i = 0; i < list_length(comparisons); i++)
	{
		ListCell   *lc;
		bool		found = false;

		foreach(lc, comparisons)
		{
			DbuComparedColumn *comparison = lfirst(lc);

			found |= comparison->column == form->indkey.values[i] &&
				comparison->collation == index->rd_indcollation[i] &&
				op_in_opfamily(comparison->operator, index->rd_opfamily[i]);
		}
		if (!found)
			return false;
	}
	return true;
}

static bool
has_index(Relation rel, List *comparisons)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;
	bool		found = false;

	foreach(lc, indexes)
	{
		/* the planner has locked them all */
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		found |= index_serves(index, comparisons);
		index_close(index, NoLock);
	}
	list_free(indexes);
	return found;
}

/*
 * The column inside of one side of a comparison, if there is one column, and
 * more around it than a change of its name for the same bits; else 0.
 */
static AttrNumber
column_inside(Node *side, Node *other, Index rti)
{
	Bitmapset  *columns = NULL;
	Oid			opclass;
	int			member;

	if (scanned_column(side, rti) != NULL || contain_var_clause(other) ||
		contain_subplans(side) || contain_volatile_functions(side) ||
		contain_volatile_functions(other))
		return 0;
	opclass = GetDefaultOpClass(exprType(side), BTREE_AM_OID);
	pull_varattnos(side, rti, &columns);
	if (!OidIsValid(opclass) || !bms_get_singleton_member(columns, &member))
		return 0;
	member += FirstLowInvalidHeapAttributeNumber;
	return member > 0 ? member : 0;
}

/* Is the expression itself what some index holds? */
static bool
expression_indexed(Relation index, Node *expression, Index rti)
{
	List	   *expressions = copyObject(RelationGetIndexExpressions(index));

	ChangeVarNodes((Node *) expressions, 1, rti, 0);
	return list_member(expressions, expression);
}

/* Looks for an index that would do if a comparison did not wrap its column. */
static void
find_wrapped(DbuScanFact *fact, Relation rel, Node *expression, AttrNumber column)
{
	List	   *indexes = RelationGetIndexList(rel);
	const char *name = NULL;
	bool		served = false;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		/* the planner has locked them all */
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		served |= expression_indexed(index, expression, fact->rti);
		if (index->rd_index->indisvalid && index->rd_index->indkey.values[0] == column &&
			index->rd_rel->relam == BTREE_AM_OID &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
			name = pstrdup(RelationGetRelationName(index));
		index_close(index, NoLock);
	}
	list_free(indexes);
	if (served || name == NULL)
		return;
	fact->wrapped = get_attname(RelationGetRelid(rel), column, false);
	fact->wrapped_index = name;
}

/* Sets what the fact tells of a column wrapped in an expression. */
static void
describe_wrapped(DbuScanFact *fact, Relation rel, List *quals)
{
	ListCell   *lc;

	foreach(lc, quals)
	{
		OpExpr	   *clause = lfirst(lc);

		if (!IsA(clause, OpExpr) || list_length(clause->args) != 2)
			continue;
		for (int i = 0; i < 2 && fact->wrapped == NULL; i++)
		{
			Node	   *side = list_nth(clause->args, i);
			AttrNumber	column = column_inside(side, list_nth(clause->args, 1 - i), fact->rti);
			Oid			operator = i == 0 ? clause->opno : get_commutator(clause->opno);

			/* not what a btree compares by, <> and LIKE among it */
			if (column == 0 || !OidIsValid(operator) ||
				get_op_opfamily_strategy(operator, get_opclass_family(GetDefaultOpClass(exprType(side), BTREE_AM_OID))) == 0)
				continue;
			find_wrapped(fact, rel, side, column);
		}
	}
}

static DbuScanFact *
describe_scan(SeqScan *scan, List *rtable)
{
	DbuScanFact *fact = palloc0(sizeof(DbuScanFact));
	RangeTblEntry *rte = rt_fetch(scan->scan.scanrelid, rtable);
	Relation	rel = table_open(rte->relid, NoLock);
	List	   *comparisons;

	fact->rti = scan->scan.scanrelid;
	fact->reltuples = rel->rd_rel->reltuples;
	describe_wrapped(fact, rel, scan->scan.plan.qual);
	comparisons = index_comparisons(scan->scan.plan.qual, fact->rti);
	if (comparisons != NIL)
	{
		StringInfoData names;
		ListCell   *lc;

		initStringInfo(&names);
		foreach(lc, comparisons)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
							 quote_identifier(get_attname(rte->relid, ((DbuComparedColumn *) lfirst(lc))->column, false)));
		fact->columns = names.data;
		fact->indexed = has_index(rel, comparisons);
		/* a toast table or a catalog is not the user's to index */
		if (!fact->indexed && !IsCatalogRelation(rel) &&
			(rel->rd_rel->relkind == RELKIND_RELATION || rel->rd_rel->relkind == RELKIND_MATVIEW))
			fact->index_sql = psprintf("CREATE INDEX CONCURRENTLY ON %s (%s)",
									   quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
																  RelationGetRelationName(rel)),
									   names.data);
	}
	table_close(rel, NoLock);
	return fact;
}

/* Walks a plan tree; quite like the executor, which offers no plan walker. */
static void
visit_plan(Plan *plan, List *rtable, List **facts)
{
	List	   *children = NIL;
	ListCell   *lc;

	if (plan == NULL)
		return;
	check_stack_depth();
	switch (nodeTag(plan))
	{
		case T_SeqScan:
			if (plan->qual != NIL)
				*facts = lappend(*facts, describe_scan((SeqScan *) plan, rtable));
			break;
		case T_Append:
			children = ((Append *) plan)->appendplans;
			break;
		case T_MergeAppend:
			children = ((MergeAppend *) plan)->mergeplans;
			break;
		case T_SubqueryScan:
			visit_plan(((SubqueryScan *) plan)->subplan, rtable, facts);
			break;
		case T_CustomScan:
			children = ((CustomScan *) plan)->custom_plans;
			break;
		default:
			break;
	}
	foreach(lc, children)
		visit_plan(lfirst(lc), rtable, facts);
	visit_plan(plan->lefttree, rtable, facts);
	visit_plan(plan->righttree, rtable, facts);
}

/* A DbuScanFact for each sequential scan with a filter. */
List *
dbu_explain_scan_facts(PlannedStmt *stmt)
{
	List	   *facts = NIL;
	ListCell   *lc;

	visit_plan(stmt->planTree, stmt->rtable, &facts);
	foreach(lc, stmt->subplans)
		visit_plan(lfirst(lc), stmt->rtable, &facts);
	return facts;
}

/* Gives the facts the names under which EXPLAIN has printed their tables. */
void
dbu_explain_name_facts(List *facts, List *rtable_names)
{
	ListCell   *lc;

	foreach(lc, facts)
	{
		DbuScanFact *fact = lfirst(lc);

		if (fact->rti <= list_length(rtable_names))
			fact->alias = list_nth(rtable_names, fact->rti - 1);
	}
}
