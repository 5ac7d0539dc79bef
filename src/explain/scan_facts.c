/*-------------------------------------------------------------------------
 *
 * scan_facts.c
 *	  What EXPLAIN does not print of a scan: how many rows the table has, how
 *	  many were changed since it was analyzed, and which index its filter could use.
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
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
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

/*
 * Would the index find rows by this column, if a condition compared it?  By
 * its first column; that which is scanned already by any of them.
 */
static bool
finds_column(Relation index, AttrNumber column, Oid scanned_index)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisvalid || index->rd_rel->relam != BTREE_AM_OID)
		return false;
	if (RelationGetRelid(index) != scanned_index)
		return form->indkey.values[0] == column &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		if (form->indkey.values[i] == column)
			return true;
	}
	return false;
}

/* Looks for an index that would do if a comparison did not wrap its column. */
static void
find_wrapped(DbuScanFact *fact, Relation rel, Oid scanned_index, Node *expression,
			 AttrNumber column)
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
		if (finds_column(index, column, scanned_index))
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
describe_wrapped(DbuScanFact *fact, Relation rel, Oid scanned_index, List *quals)
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
			find_wrapped(fact, rel, scanned_index, side, column);
		}
	}
}

/* Puts the table's columns in place of those of the index, for an index-only scan. */
static Node *
table_columns_mutator(Node *node, void *context)
{
	IndexOnlyScan *scan = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varno == INDEX_VAR)
	{
		TargetEntry *column = get_tle_by_resno(scan->indextlist, ((Var *) node)->varattno);

		return column ? copyObject((Node *) column->expr) : node;
	}
	return expression_tree_mutator(node, table_columns_mutator, context);
}

/* The index that a scan reads, InvalidOid: none, or several. */
static Oid
index_of_scan(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_IndexScan:
			return ((IndexScan *) plan)->indexid;
		case T_IndexOnlyScan:
			return ((IndexOnlyScan *) plan)->indexid;
		case T_BitmapHeapScan:
			return IsA(plan->lefttree, BitmapIndexScan) ?
				((BitmapIndexScan *) plan->lefttree)->indexid : InvalidOid;
		default:
			return InvalidOid;
	}
}

/* Sets which index a sequential scan lacks. */
static void
describe_lacking(DbuScanFact *fact, Relation rel, List *quals)
{
	List	   *comparisons = index_comparisons(quals, fact->rti);
	StringInfoData names;
	ListCell   *lc;

	if (comparisons == NIL)
		return;
	initStringInfo(&names);
	foreach(lc, comparisons)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
						 quote_identifier(get_attname(RelationGetRelid(rel),
													  ((DbuComparedColumn *) lfirst(lc))->column, false)));
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

static int64
counter_of(PGFunction counter, Oid relid)
{
	return DatumGetInt64(DirectFunctionCall1(counter, ObjectIdGetDatum(relid)));
}

/*
 * How many rows were modified since ANALYZE?  What a session has done just
 * before its own ANALYZE is reported, and counted, after it: after a load the
 * counter is no evidence.  A table of which no row was ever updated or deleted
 * has grown if there are new rows in it.
 */
static double
modified_rows(Relation rel)
{
	Oid			relid = RelationGetRelid(rel);

	if (rel->rd_rel->reltuples >= 0 &&
		counter_of(pg_stat_get_tuples_updated, relid) == 0 &&
		counter_of(pg_stat_get_tuples_deleted, relid) == 0 &&
		RelationGetNumberOfBlocks(rel) <= (BlockNumber) rel->rd_rel->relpages)
		return 0;
	return counter_of(pg_stat_get_mod_since_analyze, relid);
}

static DbuScanFact *
describe_scan(Scan *scan, List *rtable)
{
	DbuScanFact *fact = palloc0(sizeof(DbuScanFact));
	RangeTblEntry *rte = rt_fetch(scan->scanrelid, rtable);
	Relation	rel = table_open(rte->relid, NoLock);
	List	   *quals = scan->plan.qual;

	fact->rti = scan->scanrelid;
	fact->reltuples = rel->rd_rel->reltuples;
	fact->modified = modified_rows(rel);
	if (IsA(scan, IndexOnlyScan))
		quals = (List *) table_columns_mutator((Node *) quals, scan);
	describe_wrapped(fact, rel, index_of_scan((Plan *) scan), quals);
	if (IsA(scan, SeqScan))
		describe_lacking(fact, rel, quals);
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
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
			*facts = lappend(*facts, describe_scan((Scan *) plan, rtable));
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

/* A DbuScanFact for each scan of a table. */
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
