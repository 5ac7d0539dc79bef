/*-------------------------------------------------------------------------
 *
 * fold.c
 *	  Constants: which types may occur, their hash, and casts of them.
 *
 * The planner folds a cast of a constant, so a literal that is brought to a
 * column's type or length is a constant too, whose value this finds out.  In
 * WHERE, where what is beside it may keep the planner from looking, only casts
 * that cannot fail.  A statement with one that does is left to the planner, which
 * may find another error before it.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/scan.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

uint64
dbu_plancache_hash_constant(uint64 hash, const Const *con)
{
	hash = dbu_plancache_mix(hash, con->consttype);
	if (con->constisnull)
		return dbu_plancache_mix(hash, 1);
	if (con->constbyval)
		return dbu_plancache_mix(hash, (uint64) con->constvalue);
	return dbu_plancache_mix(hash,
							 hash_bytes_extended((unsigned char *) DatumGetPointer(con->constvalue),
												 datumGetSize(con->constvalue, false, con->constlen),
												 0));
}

/*
 * May constants of this type occur?  Base types, enums and ranges: their code
 * is a superuser's.  A domain or a composite type could drag a user's functions
 * into planning.
 */
bool
dbu_plancache_type_accepted(Oid type)
{
	char		typtype;

	if (type == RECORDOID || type == RECORDARRAYOID)
		return false;
	if (BUILT_IN(type))
		return true;
	typtype = get_typtype(type);
	return typtype == TYPTYPE_BASE || typtype == TYPTYPE_ENUM ||
		typtype == TYPTYPE_RANGE;
}

/*
 * Casts that do nothing but compute: one that raises an error leaves nothing
 * behind that a transaction would have to clean up.
 */
static bool
cast_only_computes(Oid funcid)
{
	switch (funcid)
	{
		case F_INT2_INT4:
		case F_INT2_INT8:
		case F_INT2_NUMERIC:
		case F_INT4_INT8:
		case F_INT4_NUMERIC:
		case F_INT8_NUMERIC:
		case F_FLOAT4_NUMERIC:
		case F_FLOAT4_FLOAT8:
		case F_FLOAT8_NUMERIC:
		case F_NUMERIC_NUMERIC_INT4:
		case F_NUMERIC_FLOAT4:
		case F_NUMERIC_FLOAT8:
		case F_VARCHAR_VARCHAR_INT4_BOOL:
		case F_BPCHAR_BPCHAR_INT4_BOOL:
		case F_TIMESTAMP_TIMESTAMP_INT4:
		case F_TIMESTAMPTZ_TIMESTAMPTZ_INT4:
		case F_TIME_TIME_INT4:
		case F_TIMESTAMP_DATE:
		case F_DATE_TIMESTAMP:
			return true;
		default:
			return false;
	}
}

/* Implicit casts that give every value of their argument's type a value. */
static bool
cast_cannot_fail(Oid funcid)
{
	switch (funcid)
	{
		case F_INT4_INT2:
		case F_INT8_INT2:
		case F_INT8_INT4:
		case F_NUMERIC_INT2:
		case F_NUMERIC_INT4:
		case F_NUMERIC_INT8:
		case F_FLOAT4_INT2:
		case F_FLOAT4_INT4:
		case F_FLOAT4_INT8:
		case F_FLOAT8_INT2:
		case F_FLOAT8_INT4:
		case F_FLOAT8_INT8:
		case F_FLOAT8_FLOAT4:
			return true;
		default:
			return false;
	}
}

/* The value bound to a parameter of the statement, NULL if there is none. */
const ParamExternData *
dbu_plancache_bound_param(const TreeScan *scan, const Param *param)
{
	ParamListInfo bound = scan->context->bound_params;

	if (param->paramkind != PARAM_EXTERN || bound == NULL ||
		param->paramid < 1 || param->paramid > bound->numParams ||
		bound->params[param->paramid - 1].ptype != param->paramtype)
		return NULL;
	return &bound->params[param->paramid - 1];
}

/* A bound parameter's value as a Const. */
static Const *
param_constant(const Param *param, const ParamExternData *bound)
{
	int16		length;
	bool		by_value;

	get_typlenbyval(param->paramtype, &length, &by_value);
	return makeConst(param->paramtype, param->paramtypmod, param->paramcollid,
					 length, bound->value, bound->isnull, by_value);
}

/*
 * The value of a cast of constants, NULL if it raises a data exception.  The
 * function is called by itself: nothing is held that would have to be released.
 */
static Const *
evaluate_cast(const FuncExpr *cast, const Const *argument)
{
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);
	MemoryContext context = CurrentMemoryContext;
	int			nargs = list_length(cast->args);
	FmgrInfo	function;
	int16		length;
	bool		by_value;
	volatile Datum value = (Datum) 0;
	volatile bool failed = false;

	fmgr_info(cast->funcid, &function);
	InitFunctionCallInfoData(*fcinfo, &function, nargs, cast->inputcollid, NULL, NULL);
	for (int i = 0; i < nargs; i++)
	{
		const Const *arg = i == 0 ? argument : list_nth_node(Const, cast->args, i);

		fcinfo->args[i].value = arg->constvalue;
		fcinfo->args[i].isnull = false;
	}

	PG_TRY();
	{
		value = FunctionCallInvoke(fcinfo);
	}
	PG_CATCH();
	{
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		failed = true;
	}
	PG_END_TRY();
	if (failed || fcinfo->isnull)
		return NULL;

	get_typlenbyval(cast->funcresulttype, &length, &by_value);
	return makeConst(cast->funcresulttype, exprTypmod((Node *) cast), cast->funccollid,
					 length, value, false, by_value);
}

/*
 * A built-in cast of a constant or of a bound parameter, folded.  NULL if it is
 * none, or may not be folded here.
 */
Const *
dbu_plancache_fold_cast(TreeScan *scan, FuncExpr *cast, LiftPlace place)
{
	Node	   *argument;
	Const	   *result;

	if (!(cast_cannot_fail(cast->funcid) ||
		  (place == LIFT_VALUE && cast_only_computes(cast->funcid))) ||
		cast->funcformat != COERCE_IMPLICIT_CAST)
		return NULL;
	for (int i = 1; i < list_length(cast->args); i++)
	{
		if (!IsA(list_nth(cast->args, i), Const) ||
			list_nth_node(Const, cast->args, i)->constisnull)
			return NULL;
	}
	argument = linitial(cast->args);
	if (IsA(argument, Param))
	{
		const ParamExternData *bound = dbu_plancache_bound_param(scan, (Param *) argument);

		if (bound == NULL)
			return NULL;
		argument = (Node *) param_constant((Param *) argument, bound);
	}
	if (IsA(argument, FuncExpr))
		argument = (Node *) dbu_plancache_fold_cast(scan, (FuncExpr *) argument, place);
	/* all of these casts are strict */
	if (argument == NULL || !IsA(argument, Const) || ((Const *) argument)->constisnull)
		return NULL;

	result = evaluate_cast(cast, (Const *) argument);
	if (result == NULL)
		(void) dbu_plancache_refuse(scan, DBU_PLAN_REF_CAST);
	return result;
}
