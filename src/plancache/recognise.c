/*-------------------------------------------------------------------------
 *
 * recognise.c
 *	  Is a statement one that the plan cache accepts; its hash; which of its
 *	  literals may be lifted.
 *
 * A white list: what is not named here is refused, also what a later
 * PostgreSQL adds.  Three rules carry the correctness of the whole cache:
 *
 *	- Parse analysis runs for every statement, so names, types and permissions
 *	  to look up are always fresh; the cache stands for planning alone.
 *	- All functions and operators are built in.  A user's function, called or
 *	  inlined while planning, may look at anything, whatever it was declared
 *	  as; a plan must not remember what it answered.
 *	- A literal is lifted only where it is compared with something that is not
 *	  constant, by a btree operator, under AND, OR and NOT of WHERE and ON.
 *	  Everything else of the tree is part of the key, compared by equal().
 *
 * Fields that equal() ignores but that EXPLAIN shows (how a call was spelled,
 * by which alias a column was named) go into the hash, which has to match too.
 *
 * The scan reads the Query only.  dbu_plancache_disguise() writes to it; the
 * caller undoes that by dbu_plancache_restore(), also when an error comes
 * between.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/plancache.h"

#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/catcache.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define BUILT_IN(oid) ((oid) < FirstUnpinnedObjectId)

#define FIRST_LITERALS 8		/* room for literals at first */

StaticAssertDecl(sizeof(Param) <= sizeof(Const),
				 "a Param must fit in a Const's memory");

typedef struct TreeScan
{
	DbuRecognised *rec;
	DbuCacheMode mode;
	uint64		hash;
	uint64		literal_hash;
} TreeScan;

typedef enum OperatorClass
{
	OPERATOR_OTHER,
	OPERATOR_COMPARISON,		/* <, <=, >=, > of a built-in btree family */
	OPERATOR_EQUALITY
} OperatorClass;

static bool scan_expression(Node *node, void *arg);

static inline uint64
mix(uint64 hash, uint64 value)
{
	hash = (hash ^ value) * UINT64CONST(0x9E3779B97F4A7C15);
	return hash ^ (hash >> 29);
}

#define MIX(scan, value) ((scan)->hash = mix((scan)->hash, (uint64) (value)))

static bool
refuse(TreeScan *scan, DbuPlanEvent reason)
{
	scan->rec->refusal = reason;
	return true;
}

static uint64
hash_constant(uint64 hash, const Const *con)
{
	hash = mix(hash, con->consttype);
	if (con->constisnull)
		return mix(hash, 1);
	if (con->constbyval)
		return mix(hash, (uint64) con->constvalue);
	return mix(hash, hash_bytes_extended((unsigned char *) DatumGetPointer(con->constvalue),
										 datumGetSize(con->constvalue, false, con->constlen),
										 0));
}

/*
 * May constants of this type occur?  Those of a type that is not built in
 * could drag a user's functions into planning; an enum's are built in.
 */
static bool
type_accepted(Oid type)
{
	if (type == RECORDOID || type == RECORDARRAYOID)
		return false;
	return BUILT_IN(type) || get_typtype(type) == TYPTYPE_ENUM;
}

/* What kind of operator is it?  Built-in ones never change: remembered. */
static OperatorClass
classify_operator(Oid operator)
{
	static struct
	{
		Oid			operator;
		OperatorClass kind;
	}			known[64];
	int			slot = operator % lengthof(known);
	OperatorClass kind = OPERATOR_OTHER;
	CatCList   *members;

	if (!BUILT_IN(operator))
		return OPERATOR_OTHER;
	if (known[slot].operator == operator)
		return known[slot].kind;

	members = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(operator));
	for (int i = 0; i < members->n_members; i++)
	{
		Form_pg_amop amop = (Form_pg_amop) GETSTRUCT(&members->members[i]->tuple);

		if (amop->amopmethod != BTREE_AM_OID || !BUILT_IN(amop->amopfamily))
			continue;
		if (amop->amopstrategy == BTEqualStrategyNumber)
			kind = OPERATOR_EQUALITY;
		else if (kind == OPERATOR_OTHER)
			kind = OPERATOR_COMPARISON;
	}
	ReleaseSysCacheList(members);

	known[slot].operator = operator;
	known[slot].kind = kind;
	return kind;
}

static bool
literal_liftable(const Const *con)
{
	if (con->constisnull || con->consttypmod != -1 || !BUILT_IN(con->consttype))
		return false;
	switch (con->consttype)
	{
		case BOOLOID:
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGCOLLATIONOID:
		case REGTYPEOID:
		case REGROLEOID:
		case REGNAMESPACEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case UNKNOWNOID:
			return false;
		default:
			return true;
	}
}

/* The column that an operand is, looking through relabelling. */
static Var *
operand_column(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node != NULL && IsA(node, Var) ? (Var *) node : NULL;
}

/*
 * Can the literal be lifted that is one operand of op?  With plan_cache = auto
 * only those compared for equality with a column: the estimate for an unknown
 * bound of a range is a guess that no statistics stand behind.
 */
static bool
lift_operand(TreeScan *scan, OpExpr *op, Node *literal, Node *other)
{
	DbuRecognised *rec = scan->rec;
	OperatorClass kind;
	Var		   *column;
	DbuLiteral *slot;

	if (literal == NULL || !IsA(literal, Const) || !literal_liftable((Const *) literal))
		return false;
	kind = classify_operator(op->opno);
	column = operand_column(other);
	if (kind == OPERATOR_OTHER)
		return false;
	if (scan->mode == DBU_CACHE_AUTO && (kind != OPERATOR_EQUALITY || column == NULL))
		return false;
	if (column == NULL && !contain_var_clause(other))
		return false;

	/* where a collation is needed and not known, let the planner complain */
	if (OidIsValid(get_typcollation(((Const *) literal)->consttype)) &&
		!OidIsValid(op->inputcollid))
		return false;

	if (rec->nliterals >= dbu_plancache_max_params)
	{
		rec->too_many = true;
		return false;
	}
	if (rec->nliterals >= rec->max_literals)
	{
		if (rec->literals == NULL)
		{
			rec->max_literals = FIRST_LITERALS;
			rec->literals = palloc_array(DbuLiteral, rec->max_literals);
		}
		else
		{
			rec->max_literals *= 2;
			rec->literals = repalloc_array(rec->literals, DbuLiteral, rec->max_literals);
		}
	}
	slot = &rec->literals[rec->nliterals++];
	slot->node = (Const *) literal;
	slot->saved = *slot->node;
	slot->varno = column ? column->varno : 0;
	slot->varattno = column ? column->varattno : 0;

	scan->literal_hash = hash_constant(scan->literal_hash, slot->node);
	MIX(scan, slot->node->consttype);
	return true;
}

/* WHERE and ON: the only places whose literals are lifted. */
static bool
scan_qual(Node *node, TreeScan *scan)
{
	check_stack_depth();

	if (node != NULL && IsA(node, BoolExpr))
	{
		BoolExpr   *expr = (BoolExpr *) node;
		ListCell   *lc;

		MIX(scan, T_BoolExpr);
		MIX(scan, expr->boolop);
		MIX(scan, list_length(expr->args));
		foreach(lc, expr->args)
		{
			if (scan_qual(lfirst(lc), scan))
				return true;
		}
		return false;
	}

	if (node != NULL && IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
	{
		OpExpr	   *op = (OpExpr *) node;

		if (BUILT_IN(op->opno))
		{
			if (lift_operand(scan, op, lsecond(op->args), linitial(op->args)))
			{
				MIX(scan, op->opno);
				return scan_expression(linitial(op->args), scan);
			}
			if (lift_operand(scan, op, linitial(op->args), lsecond(op->args)))
			{
				MIX(scan, op->opno);
				return scan_expression(lsecond(op->args), scan);
			}
		}
	}
	return scan_expression(node, scan);
}

/* Everything else: accept or refuse, and hash.  Returns true to stop. */
static bool
scan_expression(Node *node, void *arg)
{
	TreeScan	   *scan = arg;

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

				if (var->varlevelsup != 0)
					return refuse(scan, DBU_PLAN_REF_CLAUSE);
				MIX(scan, ((uint64) var->varno << 32) | (uint16) var->varattno);
				MIX(scan, ((uint64) var->varnosyn << 32) | (uint16) var->varattnosyn);
				return false;
			}
		case T_Const:
			if (!type_accepted(((Const *) node)->consttype))
				return refuse(scan, DBU_PLAN_REF_TYPE);
			scan->hash = hash_constant(scan->hash, (Const *) node);
			return false;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			if (!BUILT_IN(((OpExpr *) node)->opno))
				return refuse(scan, DBU_PLAN_REF_FUNCTION);
			MIX(scan, ((OpExpr *) node)->opno);
			break;
		case T_ScalarArrayOpExpr:
			if (!BUILT_IN(((ScalarArrayOpExpr *) node)->opno))
				return refuse(scan, DBU_PLAN_REF_FUNCTION);
			MIX(scan, ((ScalarArrayOpExpr *) node)->opno);
			break;
		case T_FuncExpr:
			{
				FuncExpr   *func = (FuncExpr *) node;

				if (!BUILT_IN(func->funcid))
					return refuse(scan, DBU_PLAN_REF_FUNCTION);
				if (func->funcretset)
					return refuse(scan, DBU_PLAN_REF_EXPRESSION);
				MIX(scan, func->funcid);
				MIX(scan, func->funcformat);
				break;
			}
		case T_Aggref:
			if (!BUILT_IN(((Aggref *) node)->aggfnoid))
				return refuse(scan, DBU_PLAN_REF_FUNCTION);
			MIX(scan, ((Aggref *) node)->aggfnoid);
			break;
		case T_RelabelType:
			MIX(scan, ((RelabelType *) node)->resulttype);
			MIX(scan, ((RelabelType *) node)->relabelformat);
			break;
		case T_CoerceViaIO:
			{
				CoerceViaIO *coerce = (CoerceViaIO *) node;

				if (!type_accepted(coerce->resulttype) ||
					!type_accepted(exprType((Node *) coerce->arg)))
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
			if (!type_accepted(((MinMaxExpr *) node)->minmaxtype))
				return refuse(scan, DBU_PLAN_REF_TYPE);
			MIX(scan, ((MinMaxExpr *) node)->op);
			break;
		case T_ArrayExpr:
			if (!type_accepted(((ArrayExpr *) node)->element_typeid))
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
		case T_SortGroupClause:
			MIX(scan, ((SortGroupClause *) node)->sortop);
			return false;
		case T_TargetEntry:
			MIX(scan, ((TargetEntry *) node)->resjunk);
			break;
		case T_List:
			MIX(scan, list_length((List *) node));
			break;
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
			break;
		case T_Param:
			return refuse(scan, DBU_PLAN_REF_PARAMS);
		default:
			return refuse(scan, DBU_PLAN_REF_EXPRESSION);
	}
	return expression_tree_walker(node, scan_expression, arg);
}

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
			return scan_qual(((FromExpr *) node)->quals, scan);
		case T_JoinExpr:
			MIX(scan, ((JoinExpr *) node)->jointype);
			return scan_jointree(((JoinExpr *) node)->larg, scan) ||
				scan_jointree(((JoinExpr *) node)->rarg, scan) ||
				scan_qual(((JoinExpr *) node)->quals, scan);
		default:
			return refuse(scan, DBU_PLAN_REF_CLAUSE);
	}
}

static bool
scan_rangetable(List *rtable, TreeScan *scan)
{
	DbuRecognised *rec = scan->rec;
	ListCell   *lc;

	foreach(lc, rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		MIX(scan, rte->rtekind);
		if (rte->securityQuals != NIL)
			return refuse(scan, DBU_PLAN_REF_ROW_SECURITY);
		switch (rte->rtekind)
		{
			case RTE_RELATION:
				if (rte->tablesample != NULL)
					return refuse(scan, DBU_PLAN_REF_CLAUSE);
				if (rte->relid < FirstNormalObjectId)
					return refuse(scan, DBU_PLAN_REF_RELATION);
				if (rte->relkind == RELKIND_PARTITIONED_TABLE)
					rec->partitioned = true;
				else if (rte->relkind != RELKIND_RELATION &&
						 rte->relkind != RELKIND_MATVIEW)
					return refuse(scan, DBU_PLAN_REF_RELATION);
				MIX(scan, rte->relid);
				MIX(scan, rte->inh);
				rec->nrelations++;
				break;
			case RTE_JOIN:
				if (scan_expression((Node *) rte->joinaliasvars, scan))
					return true;
				break;
			default:
				return refuse(scan, DBU_PLAN_REF_RELATION);
		}
	}
	return rec->nrelations > 0 ? false : refuse(scan, DBU_PLAN_REF_RELATION);
}

static bool
scan_query(Query *query, TreeScan *scan)
{
	if (query->commandType != CMD_SELECT || query->utilityStmt != NULL ||
		query->querySource != QSRC_ORIGINAL || query->isReturn)
		return refuse(scan, DBU_PLAN_REF_COMMAND);
	if (query->hasRowSecurity)
		return refuse(scan, DBU_PLAN_REF_ROW_SECURITY);
	if (query->resultRelation != 0 || query->hasWindowFuncs ||
		query->hasTargetSRFs || query->hasSubLinks || query->hasDistinctOn ||
		query->hasRecursive || query->hasModifyingCTE || query->hasForUpdate ||
		query->cteList != NIL || query->groupClause != NIL ||
		query->groupingSets != NIL || query->havingQual != NULL ||
		query->windowClause != NIL || query->distinctClause != NIL ||
		query->setOperations != NULL || query->rowMarks != NIL ||
		query->constraintDeps != NIL || query->withCheckOptions != NIL ||
		query->onConflict != NULL || query->returningList != NIL ||
		query->mergeActionList != NIL || query->jointree == NULL)
		return refuse(scan, DBU_PLAN_REF_CLAUSE);

	MIX(scan, query->hasAggs);
	MIX(scan, query->limitOption);
	return scan_rangetable(query->rtable, scan) ||
		scan_jointree((Node *) query->jointree, scan) ||
		scan_expression((Node *) query->targetList, scan) ||
		scan_expression((Node *) query->sortClause, scan) ||
		scan_expression(query->limitOffset, scan) ||
		scan_expression(query->limitCount, scan);
}

/* Fills rec; rec->literals is allocated in the current memory context. */
void
dbu_plancache_recognise(Query *query, const DbuPlanContext *context,
						DbuRecognised *rec)
{
	TreeScan		scan = {.rec = rec,.mode = context->mode};

	memset(rec, 0, sizeof(*rec));
	rec->query = query;
	rec->location = query->stmt_location;
	rec->length = query->stmt_len;

	MIX(&scan, (uintptr_t) context->environment);
	MIX(&scan, context->role);
	MIX(&scan, context->cursor_options);
	MIX(&scan, context->mode);
	scan_query(query, &scan);

	rec->hash = scan.hash;
	rec->exact_hash = mix(scan.hash, scan.literal_hash + 1);
}

/*
 * Make the Query look like a key: zero its location, which must not matter, and
 * unless exact write Params over the literals, numbered from 1 (an accepted
 * statement has no others).  False, with nothing changed, if two literals are
 * one node, which the parser does not make.
 */
bool
dbu_plancache_disguise(DbuRecognised *rec, bool exact)
{
	int			nliterals = exact ? 0 : rec->nliterals;

	for (int i = 0; i < nliterals; i++)
	{
		DbuLiteral *literal = &rec->literals[i];
		Param	   *param = (Param *) literal->node;

		if (!IsA(literal->node, Const))
		{
			dbu_plancache_restore(rec);
			return false;
		}
		memset(literal->node, 0, sizeof(Const));
		param->xpr.type = T_Param;
		param->paramkind = PARAM_EXTERN;
		param->paramid = i + 1;
		param->paramtype = literal->saved.consttype;
		param->paramtypmod = literal->saved.consttypmod;
		param->paramcollid = literal->saved.constcollid;
		param->location = -1;
	}
	rec->query->stmt_location = 0;
	rec->query->stmt_len = 0;
	return true;
}

/* Undo it.  Does no harm where there is nothing to undo. */
void
dbu_plancache_restore(DbuRecognised *rec)
{
	for (int i = 0; i < rec->nliterals; i++)
		*rec->literals[i].node = rec->literals[i].saved;
	rec->query->stmt_location = rec->location;
	rec->query->stmt_len = rec->length;
}
