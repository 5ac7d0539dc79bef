/*-------------------------------------------------------------------------
 *
 * lift.c
 *	  Which constants of a statement are lifted out of its plan, and the
 *	  exchange of them for Params.
 *
 * A constant is lifted where a Param in its place can change no answer and no
 * error, only costs:
 *
 *	- in WHERE and ON, under AND, OR and NOT: compared by a btree operator with
 *	  something that is not constant, also as a member of an IN list;
 *	- what INSERT and UPDATE write: a value by itself, or an operand of a
 *	  built-in operator whose other operand is not constant.
 *
 * A NULL is never lifted: the planner would have folded a strict operator away
 * with it, and with that an error that its other operand may raise.
 *
 * Bound parameters may stand where a constant may be lifted, and where a value
 * is only passed on.  Elsewhere the planner might fold them, with an error or
 * without one, so there a statement is refused.  One that is NULL is let
 * through only where it is passed on.
 *
 * A cast of a constant that fold.c folds counts as one.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/scan.h"

#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define FIRST_LITERALS 8		/* room for literals at first */

StaticAssertDecl(sizeof(Param) <= sizeof(Const) && sizeof(Param) <= sizeof(FuncExpr),
				 "a Param must fit in the memory of what it stands for");

typedef enum OperatorClass
{
	OPERATOR_OTHER,
	OPERATOR_COMPARISON,		/* <, <=, >=, > of a built-in btree family */
	OPERATOR_INEQUALITY,		/* what negates its equality */
	OPERATOR_EQUALITY
} OperatorClass;

static OperatorClass
find_operator_class(Oid operator)
{
	OperatorClass kind = OPERATOR_OTHER;
	CatCList   *members;

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
	return kind;
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
	OperatorClass kind;
	Oid			negator;

	if (!BUILT_IN(operator))
		return OPERATOR_OTHER;
	if (known[slot].operator == operator)
		return known[slot].kind;

	kind = find_operator_class(operator);
	if (kind == OPERATOR_OTHER && OidIsValid(negator = get_negator(operator)) &&
		find_operator_class(negator) == OPERATOR_EQUALITY)
		kind = OPERATOR_INEQUALITY;
	known[slot].operator = operator;
	known[slot].kind = kind;
	return kind;
}

static bool
constant_liftable(const Const *con)
{
	if (con->constisnull || !BUILT_IN(con->consttype))
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

static DbuLiteral *
add_literal(DbuRecognised *rec)
{
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
	return &rec->literals[rec->nliterals++];
}

/* The column that an operand is, looking through relabelling. */
static Var *
operand_column(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node != NULL && IsA(node, Var) ? (Var *) node : NULL;
}

/* Where the column is to be looked up; it may belong to a query around this one. */
static DbuCompared
compared_with(const TreeScan *scan, const Var *column)
{
	DbuCompared compared = {0};
	ScanLevel  *level = scan->level;

	if (column == NULL)
		return compared;
	for (Index up = column->varlevelsup; up > 0 && level != NULL; up--)
		level = level->outer;
	if (level != NULL)
	{
		compared.rtable = level->query->rtable;
		compared.varno = column->varno;
		compared.varattno = column->varattno;
	}
	return compared;
}

/*
 * Lift node, which belongs at place; column (or NULL) is what it is compared
 * with.  False, with nothing done, if it is none to be lifted.
 */
static bool
lift(TreeScan *scan, Node *node, LiftPlace place, Var *column)
{
	DbuRecognised *rec = scan->rec;
	DbuLiteral *literal;
	Const	   *value = NULL;

	if (node == NULL)
		return false;
	if (IsA(node, Const))
		value = (Const *) node;
	else if (IsA(node, FuncExpr))
		value = dbu_plancache_fold_cast(scan, (FuncExpr *) node, place);
	if (value == NULL || !constant_liftable(value))
		return false;
	/* a comparison looks at no length, what is written was brought to it */
	if (place == LIFT_QUAL && value->consttypmod != -1)
		return false;
	if (rec->nliterals >= dbu_plancache_max_params)
	{
		rec->too_many = true;
		return false;
	}

	literal = add_literal(rec);
	literal->node = node;
	if (IsA(node, Const))
		literal->saved.constant = *(Const *) node;
	else
		literal->saved.cast = *(FuncExpr *) node;
	literal->value = *value;
	literal->array_size = 0;
	literal->compared = compared_with(scan, column);
	scan->literal_hash = dbu_plancache_hash_constant(scan->literal_hash, value);
	MIX(scan, value->consttype);
	return true;
}

/* Let a bound parameter through. */
static bool
pass_param(TreeScan *scan, Node *node, bool null_too)
{
	const ParamExternData *bound;

	if (node == NULL || !IsA(node, Param))
		return false;
	bound = dbu_plancache_bound_param(scan, (Param *) node);
	if (bound == NULL || (bound->isnull && !null_too))
		return false;
	MIX(scan, T_Param);
	MIX(scan, ((Param *) node)->paramid);
	return true;
}

/* Let one through that is compared with something, perhaps a column. */
static bool
pass_compared(TreeScan *scan, Node *node, const Var *column)
{
	DbuCompared *compared;

	if (!pass_param(scan, node, false))
		return false;
	if (column != NULL)
	{
		compared = palloc_object(DbuCompared);
		*compared = compared_with(scan, column);
		scan->rec->compared = lappend(scan->rec->compared, compared);
	}
	return true;
}

/*
 * May operands of the comparison be lifted?  With plan_cache = auto only those
 * that a column is to equal, or not to: the estimate for an unknown bound of a
 * range is a guess that no statistics stand behind.
 */
static bool
comparison_lifts(TreeScan *scan, Oid operator, Node *other, Var **column)
{
	OperatorClass kind = classify_operator(operator);

	*column = operand_column(other);
	if (kind == OPERATOR_OTHER)
		return false;
	if (scan->context->mode == DBU_CACHE_AUTO &&
		(kind == OPERATOR_COMPARISON || *column == NULL))
		return false;
	return *column != NULL || contain_var_clause(other);
}

/* Where a collation is needed and not known, the planner is to complain. */
static bool
collation_known(Oid type, Oid collation)
{
	return OidIsValid(collation) || !OidIsValid(get_typcollation(type));
}

static bool
lift_operand(TreeScan *scan, OpExpr *op, Node *operand, Node *other, bool restricting)
{
	Var		   *column;
	Datum		value;

	if (operand == NULL ||
		!(IsA(operand, Const) || IsA(operand, FuncExpr) || IsA(operand, Param)) ||
		!comparison_lifts(scan, op->opno, other, &column) ||
		!collation_known(exprType(operand), op->inputcollid))
		return false;
	if (lift(scan, operand, LIFT_QUAL, column))
		value = scan->rec->literals[scan->rec->nliterals - 1].value.constvalue;
	else if (pass_compared(scan, operand, column))
		value = dbu_plancache_bound_param(scan, (Param *) operand)->value;
	else
		return false;
	if (restricting && column != NULL)
		dbu_plancache_pin(scan, op, column, operand == linitial(op->args), value);
	return true;
}

/*
 * `x IN (...)`: the members are lifted if all of them can be, and become one
 * array in the plan.  `x = ANY ($1)`: the parameter is let through.
 */
static bool
lift_members(TreeScan *scan, ScalarArrayOpExpr *op)
{
	DbuRecognised *rec = scan->rec;
	int			first = rec->nliterals;
	uint64		hash = scan->hash;
	uint64		literal_hash = scan->literal_hash;
	Node	   *members = lsecond(op->args);
	ArrayExpr  *array;
	Var		   *column;
	ListCell   *lc;

	if (!comparison_lifts(scan, op->opno, linitial(op->args), &column))
		return false;
	if (IsA(members, Param))
		return pass_compared(scan, members, column);
	if (!IsA(members, ArrayExpr))
		return false;
	array = (ArrayExpr *) members;
	if (array->multidims || array->elements == NIL ||
		!collation_known(array->element_typeid, op->inputcollid))
		return false;

	MIX(scan, list_length(array->elements));
	foreach(lc, array->elements)
	{
		Node	   *member = lfirst(lc);

		if (!(IsA(member, Const) || IsA(member, FuncExpr)) ||
			exprType(member) != array->element_typeid ||
			!lift(scan, member, LIFT_QUAL, column))
		{
			/* all or none */
			rec->nliterals = first;
			scan->hash = hash;
			scan->literal_hash = literal_hash;
			return false;
		}
	}
	rec->literals[first].array_size = list_length(array->elements);
	rec->literals[first].array = array;
	return true;
}

/*
 * WHERE and ON.  restricting: no row is returned for which this does not hold.
 * Returns true to stop.
 */
bool
dbu_plancache_scan_qual(Node *node, TreeScan *scan, bool restricting)
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
			if (dbu_plancache_scan_qual(lfirst(lc), scan,
										restricting && expr->boolop == AND_EXPR))
				return true;
		}
		return false;
	}

	if (node != NULL && IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
	{
		OpExpr	   *op = (OpExpr *) node;

		if (BUILT_IN(op->opno))
		{
			if (lift_operand(scan, op, lsecond(op->args), linitial(op->args), restricting))
			{
				MIX(scan, op->opno);
				return dbu_plancache_scan_expression(linitial(op->args), scan);
			}
			if (lift_operand(scan, op, linitial(op->args), lsecond(op->args), restricting))
			{
				MIX(scan, op->opno);
				return dbu_plancache_scan_expression(lsecond(op->args), scan);
			}
		}
	}

	if (node != NULL && IsA(node, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *op = (ScalarArrayOpExpr *) node;

		if (BUILT_IN(op->opno) && lift_members(scan, op))
		{
			MIX(scan, T_ScalarArrayOpExpr);
			MIX(scan, op->opno);
			MIX(scan, op->useOr);
			return dbu_plancache_scan_expression(linitial(op->args), scan);
		}
	}
	return dbu_plancache_scan_expression(node, scan);
}

/* What INSERT and UPDATE write.  Returns true to stop. */
bool
dbu_plancache_scan_value(Node *node, TreeScan *scan)
{
	check_stack_depth();

	if (lift(scan, node, LIFT_VALUE, NULL) || pass_param(scan, node, true))
		return false;

	if (node != NULL && IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2 &&
		BUILT_IN(((OpExpr *) node)->opno))
	{
		OpExpr	   *op = (OpExpr *) node;
		Node	   *left = linitial(op->args);
		Node	   *right = lsecond(op->args);

		MIX(scan, T_OpExpr);
		MIX(scan, op->opno);
		if (contain_var_clause(left) &&
			(lift(scan, right, LIFT_QUAL, NULL) || pass_param(scan, right, false)))
			return dbu_plancache_scan_value(left, scan);
		if (contain_var_clause(right) &&
			(lift(scan, left, LIFT_QUAL, NULL) || pass_param(scan, left, false)))
			return dbu_plancache_scan_value(right, scan);
	}
	/* a cast to the column's type or length, of what is computed */
	if (node != NULL && IsA(node, FuncExpr) && BUILT_IN(((FuncExpr *) node)->funcid) &&
		((FuncExpr *) node)->funcformat == COERCE_IMPLICIT_CAST &&
		((FuncExpr *) node)->args != NIL && contain_var_clause(linitial(((FuncExpr *) node)->args)))
	{
		FuncExpr   *cast = (FuncExpr *) node;

		MIX(scan, T_FuncExpr);
		MIX(scan, cast->funcid);
		for (int i = 1; i < list_length(cast->args); i++)
		{
			if (dbu_plancache_scan_expression(list_nth(cast->args, i), scan))
				return true;
		}
		return dbu_plancache_scan_value(linitial(cast->args), scan);
	}
	return dbu_plancache_scan_expression(node, scan);
}

/* What is only passed on: a bound parameter, or any expression. */
bool
dbu_plancache_scan_passed(Node *node, TreeScan *scan)
{
	return !pass_param(scan, node, true) && dbu_plancache_scan_expression(node, scan);
}

/* ---------- the exchange ---------- */

/*
 * Make the Query look like a key: zero its location, which must not matter, and
 * unless exact write Params over the literals, numbered from one above the bound
 * ones, and partitions over tables that are pinned.  False, with nothing changed, if two literals are one node, which the
 * parser does not make.
 */
bool
dbu_plancache_disguise(DbuRecognised *rec, bool exact)
{
	int			nliterals = exact ? 0 : rec->nliterals;

	for (int i = 0; i < nliterals; i++)
	{
		DbuLiteral *literal = &rec->literals[i];
		Param	   *param = (Param *) literal->node;

		if (IsA(literal->node, Param))
		{
			dbu_plancache_restore(rec);
			return false;
		}
		memset(param, 0, sizeof(Param));
		param->xpr.type = T_Param;
		param->paramkind = PARAM_EXTERN;
		param->paramid = rec->nbound + i + 1;
		param->paramtype = literal->value.consttype;
		param->paramtypmod = literal->value.consttypmod;
		param->paramcollid = literal->value.constcollid;
		param->location = -1;
	}
	if (!exact)
		dbu_plancache_pins_disguise(rec);
	rec->query->stmt_location = 0;
	rec->query->stmt_len = 0;
	return true;
}

/* Undo it.  Does no harm where there is nothing to undo. */
void
dbu_plancache_restore(DbuRecognised *rec)
{
	for (int i = 0; i < rec->nliterals; i++)
	{
		DbuLiteral *literal = &rec->literals[i];

		if (nodeTag(&literal->saved.constant) == T_Const)
			*(Const *) literal->node = literal->saved.constant;
		else
			*(FuncExpr *) literal->node = literal->saved.cast;
	}
	dbu_plancache_pins_restore(rec);
	rec->query->stmt_location = rec->location;
	rec->query->stmt_len = rec->length;
}
