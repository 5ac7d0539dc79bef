/*-------------------------------------------------------------------------
 *
 * recognise.c
 *	  Is a statement one that the plan cache accepts, and its hash.
 *
 * A white list: what is not named here is refused, also what a later
 * PostgreSQL adds.  Three rules carry the correctness of the whole cache:
 *
 *	- Parse analysis runs for every statement, so names, types and permissions
 *	  to look up are always fresh; the cache stands for planning alone.
 *	- Planning runs no code but PostgreSQL's own and that of extensions in C.  A
 *	  user's function that planning would inline (any in SQL) or call (any that
 *	  calls itself immutable) may look at anything; a plan must not remember what
 *	  it answered.
 *	- A literal is lifted only where lift.c says so.  Everything else of the
 *	  tree is part of the key, compared by equal().
 *
 * Fields that equal() ignores but that EXPLAIN shows (how a call was spelled,
 * by which alias a column was named) go into the hash, which has to match too.
 * Apart from those the hash only has to tell statements apart, so whole parts
 * that equal() compares are left out of it where they seldom differ alone.
 *
 * The scan reads the Query only; lift.c's dbu_plancache_disguise() writes to it.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/scan.h"

#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static bool scan_query(Query *query, TreeScan *scan);

bool
dbu_plancache_refuse(TreeScan *scan, DbuPlanEvent reason)
{
	scan->rec->refusal = reason;
	return true;
}

#define refuse dbu_plancache_refuse

/*
 * May the function occur?  One of a user may not be run while planning: the
 * planner inlines those in SQL, folds immutable ones, and calls their support
 * functions.  Those in C only a superuser can make.
 */
static bool
function_accepted(Oid funcid)
{
	HeapTuple	tuple;
	Form_pg_proc proc;
	bool		accepted;

	if (BUILT_IN(funcid))
		return true;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return false;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	accepted = proc->prolang == ClanguageId || proc->prolang == INTERNALlanguageId ||
		(proc->prolang != SQLlanguageId && proc->provolatile != PROVOLATILE_IMMUTABLE &&
		 !OidIsValid(proc->prosupport));
	ReleaseSysCache(tuple);
	return accepted;
}

/*
 * Does the built-in function call itself immutable and answer from catalogs whose
 * changes are not listened to?
 */
static bool
reads_catalogs(Oid funcid)
{
	return funcid == F_PG_PARTITION_ROOT || funcid == F_SATISFIES_HASH_PARTITION;
}

static bool
operator_accepted(Oid operator)
{
	return BUILT_IN(operator) || function_accepted(get_opcode(operator));
}

/* Everything else: accept or refuse, and hash.  Returns true to stop. */
bool
dbu_plancache_scan_expression(Node *node, void *arg)
{
	TreeScan   *scan = arg;

	if (node == NULL)
	{
		MIX(scan, 0);
		return false;
	}
	MIX(scan, nodeTag(node));

	switch (nodeTag(node))
	{
		case T_Var:
			{
				Var		   *var = (Var *) node;

				MIX(scan, ((uint64) var->varno << 32) | (uint16) var->varattno);
				if (var->varattno == InvalidAttrNumber)
					scan->rec->whole_row = true;
				MIX(scan, ((uint64) var->varnosyn << 32) | (uint16) var->varattnosyn);
				return false;
			}
		case T_Const:
			if (!dbu_plancache_type_accepted(((Const *) node)->consttype))
				return refuse(scan, DBU_PLAN_REF_TYPE);
			scan->hash = dbu_plancache_hash_constant(scan->hash, (Const *) node);
			return false;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			if (!operator_accepted(((OpExpr *) node)->opno))
				return refuse(scan, DBU_PLAN_REF_FUNCTION);
			MIX(scan, ((OpExpr *) node)->opno);
			break;
		case T_ScalarArrayOpExpr:
			if (!operator_accepted(((ScalarArrayOpExpr *) node)->opno))
				return refuse(scan, DBU_PLAN_REF_FUNCTION);
			MIX(scan, ((ScalarArrayOpExpr *) node)->opno);
			break;
		case T_FuncExpr:
			{
				FuncExpr   *func = (FuncExpr *) node;

				if (!function_accepted(func->funcid))
					return refuse(scan, DBU_PLAN_REF_FUNCTION);
				if (reads_catalogs(func->funcid))
					return refuse(scan, DBU_PLAN_REF_CATALOG);
				MIX(scan, func->funcid);
				MIX(scan, func->funcformat);
				break;
			}
		case T_Aggref:
			if (!function_accepted(((Aggref *) node)->aggfnoid))
				return refuse(scan, DBU_PLAN_REF_FUNCTION);
			MIX(scan, ((Aggref *) node)->aggfnoid);
			break;
		case T_WindowFunc:
			if (!function_accepted(((WindowFunc *) node)->winfnoid))
				return refuse(scan, DBU_PLAN_REF_FUNCTION);
			MIX(scan, ((WindowFunc *) node)->winfnoid);
			MIX(scan, ((WindowFunc *) node)->winref);
			break;
		case T_RelabelType:
			MIX(scan, ((RelabelType *) node)->resulttype);
			MIX(scan, ((RelabelType *) node)->relabelformat);
			break;
		case T_CoerceViaIO:
			{
				CoerceViaIO *coerce = (CoerceViaIO *) node;

				if (!dbu_plancache_type_accepted(coerce->resulttype) ||
					!dbu_plancache_type_accepted(exprType((Node *) coerce->arg)))
					return refuse(scan, DBU_PLAN_REF_TYPE);
				MIX(scan, coerce->resulttype);
				MIX(scan, coerce->coerceformat);
				break;
			}
		case T_ArrayCoerceExpr:
			MIX(scan, ((ArrayCoerceExpr *) node)->resulttype);
			MIX(scan, ((ArrayCoerceExpr *) node)->coerceformat);
			break;
		case T_MinMaxExpr:
			if (!dbu_plancache_type_accepted(((MinMaxExpr *) node)->minmaxtype))
				return refuse(scan, DBU_PLAN_REF_TYPE);
			MIX(scan, ((MinMaxExpr *) node)->op);
			break;
		case T_ArrayExpr:
			if (!dbu_plancache_type_accepted(((ArrayExpr *) node)->element_typeid))
				return refuse(scan, DBU_PLAN_REF_TYPE);
			break;
		case T_BoolExpr:
			MIX(scan, ((BoolExpr *) node)->boolop);
			break;
		case T_NullTest:
			MIX(scan, ((NullTest *) node)->nulltesttype);
			break;
		case T_BooleanTest:
			MIX(scan, ((BooleanTest *) node)->booltesttype);
			break;
		case T_SQLValueFunction:
			MIX(scan, ((SQLValueFunction *) node)->op);
			return false;
		case T_SubLink:
			MIX(scan, ((SubLink *) node)->subLinkType);
			MIX(scan, ((SubLink *) node)->subLinkId);
			break;
		case T_Query:
			return scan_query((Query *) node, scan);
		case T_Param:
			/* the planner makes others, a statement holds these */
			if (((Param *) node)->paramkind != PARAM_SUBLINK &&
				((Param *) node)->paramkind != PARAM_MULTIEXPR)
				return refuse(scan, DBU_PLAN_REF_PARAMS);
			MIX(scan, ((Param *) node)->paramid);
			return false;
		case T_SortGroupClause:
			MIX(scan, ((SortGroupClause *) node)->sortop);
			return false;
		case T_GroupingSet:
		case T_RangeTblRef:
		case T_RowMarkClause:
			return false;
		case T_TargetEntry:
			MIX(scan, ((TargetEntry *) node)->resjunk);
			break;
		case T_List:
			MIX(scan, list_length((List *) node));
			break;
		case T_SubscriptingRef:
			if (!BUILT_IN(((SubscriptingRef *) node)->refcontainertype) &&
				!dbu_plancache_type_accepted(((SubscriptingRef *) node)->refelemtype))
				return refuse(scan, DBU_PLAN_REF_TYPE);
			break;
		case T_CommonTableExpr:
			if (((CommonTableExpr *) node)->search_clause != NULL ||
				((CommonTableExpr *) node)->cycle_clause != NULL)
				return refuse(scan, DBU_PLAN_REF_CLAUSE);
			break;
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
		case T_GroupingFunc:
		case T_RowExpr:
		case T_RowCompareExpr:
		case T_FieldSelect:
		case T_CoerceToDomain:
		case T_NextValueExpr:
		case T_WindowClause:
		case T_OnConflictExpr:
		case T_InferenceElem:
		case T_MergeAction:
		case T_RangeTblFunction:
			break;
		default:
			return refuse(scan, DBU_PLAN_REF_EXPRESSION);
	}
	return expression_tree_walker(node, dbu_plancache_scan_expression, arg);
}

#define scan_expression dbu_plancache_scan_expression

static bool
scan_jointree(Node *node, TreeScan *scan)
{
	ListCell   *lc;

	check_stack_depth();
	MIX(scan, nodeTag(node));
	switch (nodeTag(node))
	{
		case T_RangeTblRef:
			MIX(scan, ((RangeTblRef *) node)->rtindex);
			return false;
		case T_FromExpr:
			foreach(lc, ((FromExpr *) node)->fromlist)
			{
				if (scan_jointree(lfirst(lc), scan))
					return true;
			}
			return dbu_plancache_scan_qual(((FromExpr *) node)->quals, scan,
										   node == (Node *) scan->level->query->jointree);
		case T_JoinExpr:
			MIX(scan, ((JoinExpr *) node)->jointype);
			return scan_jointree(((JoinExpr *) node)->larg, scan) ||
				scan_jointree(((JoinExpr *) node)->rarg, scan) ||
				dbu_plancache_scan_qual(((JoinExpr *) node)->quals, scan,
										((JoinExpr *) node)->jointype == JOIN_INNER);
		default:
			return refuse(scan, DBU_PLAN_REF_CLAUSE);
	}
}

/* Set operations: their tree names subqueries of the range table. */
static bool
scan_setop(Node *node, TreeScan *scan)
{
	check_stack_depth();
	MIX(scan, nodeTag(node));
	if (IsA(node, RangeTblRef))
	{
		MIX(scan, ((RangeTblRef *) node)->rtindex);
		return false;
	}
	if (!IsA(node, SetOperationStmt))
		return refuse(scan, DBU_PLAN_REF_CLAUSE);
	MIX(scan, ((SetOperationStmt *) node)->op);
	MIX(scan, ((SetOperationStmt *) node)->all);
	return scan_setop(((SetOperationStmt *) node)->larg, scan) ||
		scan_setop(((SetOperationStmt *) node)->rarg, scan);
}

/* The rows of an INSERT with several, whose values are lifted. */
static bool
scan_rows(List *rows, TreeScan *scan)
{
	ListCell   *row;
	ListCell   *value;

	MIX(scan, list_length(rows));
	foreach(row, rows)
	{
		foreach(value, lfirst_node(List, row))
		{
			if (dbu_plancache_scan_value(lfirst(value), scan))
				return true;
		}
	}
	return false;
}

static bool
scan_relation(RangeTblEntry *rte, bool target, TreeScan *scan)
{
	DbuRecognised *rec = scan->rec;

	if (rte->tablesample != NULL)
		return refuse(scan, DBU_PLAN_REF_CLAUSE);
	if (rte->relid < FirstNormalObjectId)
		return refuse(scan, DBU_PLAN_REF_RELATION);
	switch (rte->relkind)
	{
		case RELKIND_PARTITIONED_TABLE:
			/* rows inserted find their partition when they are there */
			if (!(target && scan->level->query->commandType == CMD_INSERT))
				rec->npartitioned++;
			break;
		case RELKIND_VIEW:		/* its query is beside it, or in its place */
		case RELKIND_COMPOSITE_TYPE:	/* EXCLUDED */
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
			break;
		default:
			return refuse(scan, DBU_PLAN_REF_RELATION);
	}
	MIX(scan, rte->relid);
	MIX(scan, rte->inh);
	rec->relations = list_append_unique_oid(rec->relations, rte->relid);
	return false;
}

static bool
scan_rangetable(Query *query, TreeScan *scan)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		bool		target = foreach_current_index(lc) + 1 == query->resultRelation;
		bool		stop = false;

		MIX(scan, rte->rtekind);
		if (rte->securityQuals != NIL)
			return refuse(scan, DBU_PLAN_REF_ROW_SECURITY);
		switch (rte->rtekind)
		{
			case RTE_RELATION:
				stop = scan_relation(rte, target, scan);
				break;
			case RTE_SUBQUERY:
				/* of a view, from 16 on */
				if (OidIsValid(rte->relid))
					scan->rec->relations = list_append_unique_oid(scan->rec->relations, rte->relid);
				stop = scan_query(rte->subquery, scan);
				break;
			case RTE_JOIN:
				stop = scan_expression((Node *) rte->joinaliasvars, scan);
				break;
			case RTE_FUNCTION:
				stop = scan_expression((Node *) rte->functions, scan);
				break;
			case RTE_VALUES:
				stop = query->commandType == CMD_INSERT && scan->level->outer == NULL ?
					scan_rows(rte->values_lists, scan) :
					scan_expression((Node *) rte->values_lists, scan);
				break;
			case RTE_CTE:
			case RTE_RESULT:
				break;
			default:
				if (!dbu_is_group_rte(rte))
					return refuse(scan, DBU_PLAN_REF_RELATION);
				break;			/* its expressions are those of the target list */
		}
		if (stop)
			return true;
	}
	return false;
}

/* What the statement returns or writes, in the order of its columns. */
static bool
scan_targets(Query *query, TreeScan *scan)
{
	bool		writes = query->commandType == CMD_INSERT || query->commandType == CMD_UPDATE;
	ListCell   *lc;

	MIX(scan, list_length(query->targetList));
	foreach(lc, query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);
		bool		stop;

		MIX(scan, target->resno);
		MIX(scan, target->resjunk);
		if (scan->level->outer != NULL)
			stop = scan_expression((Node *) target->expr, scan);
		else if (writes && !target->resjunk)
			stop = dbu_plancache_scan_value((Node *) target->expr, scan);
		else
			stop = dbu_plancache_scan_passed((Node *) target->expr, scan);
		if (stop)
			return true;
	}
	return false;
}

static bool
scan_clauses(Query *query, TreeScan *scan)
{
	MIX(scan, query->commandType);
	MIX(scan, query->resultRelation);
	MIX(scan, query->hasAggs);
	MIX(scan, query->limitOption);
	if (scan_rangetable(query, scan) ||
		scan_expression((Node *) query->cteList, scan) ||
		scan_jointree((Node *) query->jointree, scan) ||
		scan_targets(query, scan) ||
		scan_expression((Node *) query->onConflict, scan) ||
		scan_expression((Node *) query->mergeActionList, scan) ||
		dbu_plancache_scan_qual(dbu_merge_condition(query), scan, false) ||
		scan_expression((Node *) query->returningList, scan) ||
		scan_expression((Node *) query->groupClause, scan) ||
		scan_expression((Node *) query->groupingSets, scan) ||
		scan_expression(query->havingQual, scan) ||
		scan_expression((Node *) query->windowClause, scan) ||
		scan_expression((Node *) query->distinctClause, scan) ||
		scan_expression((Node *) query->sortClause, scan) ||
		scan_expression((Node *) query->rowMarks, scan))
		return true;
	if (query->setOperations != NULL && scan_setop(query->setOperations, scan))
		return true;
	if (scan->level->outer != NULL)
		return scan_expression(query->limitOffset, scan) ||
			scan_expression(query->limitCount, scan);
	return dbu_plancache_scan_passed(query->limitOffset, scan) ||
		dbu_plancache_scan_passed(query->limitCount, scan);
}

static bool
scan_query(Query *query, TreeScan *scan)
{
	ScanLevel	level = {.query = query,.outer = scan->level};
	bool		stop;

	check_stack_depth();
	if (query->commandType == CMD_UTILITY || query->utilityStmt != NULL ||
		query->querySource != QSRC_ORIGINAL || query->isReturn)
		return refuse(scan, DBU_PLAN_REF_COMMAND);
	if (query->hasRowSecurity)
		return refuse(scan, DBU_PLAN_REF_ROW_SECURITY);
	if (query->withCheckOptions != NIL || query->jointree == NULL)
		return refuse(scan, DBU_PLAN_REF_CLAUSE);

	scan->level = &level;
	stop = scan_clauses(query, scan);
	scan->level = level.outer;
	return stop;
}

/* Is there a partitioned table that has to stand in the plan as it is? */
static bool
unpinned(const DbuRecognised *rec)
{
	ListCell   *lc;

	if (rec->npartitioned > list_length(rec->pins) || (rec->whole_row && rec->pins != NIL))
		return true;
	foreach(lc, rec->pins)
	{
		if (list_member_oid(rec->relations, ((DbuPin *) lfirst(lc))->partition))
			return true;
	}
	return false;
}

/* Fills rec; what it points to is allocated in the current memory context. */
void
dbu_plancache_recognise(Query *query, const DbuPlanContext *context,
						DbuRecognised *rec)
{
	TreeScan	scan = {.rec = rec,.context = context};

	memset(rec, 0, sizeof(*rec));
	rec->query = query;
	rec->location = query->stmt_location;
	rec->length = query->stmt_len;
	rec->nbound = context->bound_params != NULL ? context->bound_params->numParams : 0;

	MIX(&scan, (uintptr_t) context->environment);
	MIX(&scan, context->role);
	MIX(&scan, context->cursor_options);
	MIX(&scan, context->mode);
	if (!scan_query(query, &scan) && rec->relations == NIL)
		rec->refusal = DBU_PLAN_REF_RELATION;

	rec->partitioned = unpinned(rec);
	rec->hash = scan.hash;
	rec->exact_hash = dbu_plancache_mix(scan.hash, scan.literal_hash + 1);
}
