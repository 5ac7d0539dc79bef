/*-------------------------------------------------------------------------
 *
 * arguments.c
 *	  Values of any type -> values of the parameters' types.
 *
 * As EXECUTE does: a literal without a type is read by the input function of
 * the parameter's type, a value of another type is converted if assignment to
 * a column would convert it.  (Values in JSON: core/named_params.c.)
 *
 *-------------------------------------------------------------------------
 */
#include "prepared/prepared.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

static void
value_error_callback(void *arg)
{
	errcontext("value of parameter \"%s\"", (const char *) arg);
}

/* text NULL: a NULL, which a domain may forbid. */
static Datum
read_literal(const char *text, Oid type, bool *isnull)
{
	Oid			input;
	Oid			ioparam;

	*isnull = text == NULL;
	getTypeInputInfo(type, &input, &ioparam);
	return OidInputFunctionCall(input, unconstify(char *, text), ioparam, -1);
}

static Datum
convert(Datum value, Oid from, Oid to, const char *name, bool *isnull)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext oldcxt;
	int16		typlen;
	bool		typbyval;
	Node	   *expr;
	EState	   *estate;
	Datum		result;

	get_typlenbyval(from, &typlen, &typbyval);
	expr = (Node *) makeConst(from, -1, get_typcollation(from), typlen, value, *isnull, typbyval);
	expr = coerce_to_target_type(NULL, expr, from, to, -1, COERCION_ASSIGNMENT,
								 COERCE_IMPLICIT_CAST, -1);
	if (expr == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("parameter %s is of type %s but the value is of type %s", name,
						format_type_be(to), format_type_be(from)),
				 errhint("Cast the value, as in (...)::%s.", format_type_be(to))));

	estate = CreateExecutorState();
	oldcxt = MemoryContextSwitchTo(estate->es_query_cxt);
	result = ExecEvalExprSwitchContext(ExecPrepareExpr((Expr *) expr, estate),
									   GetPerTupleExprContext(estate), isnull);
	MemoryContextSwitchTo(caller);
	if (!*isnull)
	{
		get_typlenbyval(to, &typlen, &typbyval);
		result = datumCopy(result, typbyval, typlen);
	}
	MemoryContextSwitchTo(oldcxt);
	FreeExecutorState(estate);
	MemoryContextSwitchTo(caller);
	return result;
}

/*
 * The values for a statement's parameters, in the current memory context;
 * NULL if it has none.  Errors: 22023 wrong number, 42804 no conversion, and
 * those of input and conversion functions.
 */
ParamListInfo
dbu_prepared_bind(const DbuPrepared *prepared, int nargs,
				  const Datum *values, const Oid *types, const bool *nulls)
{
	ParamListInfo list;

	if (nargs != prepared->ntypes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("wrong number of parameters for prepared statement \"%s\"",
						prepared->key.name),
				 errdetail("It has %d, but the call has %d.", prepared->ntypes, nargs),
				 errhint("See parameter_types and parameter_names in dbutil.prepared_statements.")));
	if (nargs == 0)
		return NULL;

	list = makeParamList(nargs);
	for (int i = 0; i < nargs; i++)
	{
		ParamExternData *param = &list->params[i];
		const char *name = dbu_prepared_parameter_name(prepared->query.names, i + 1);
		ErrorContextCallback callback = {
			.previous = error_context_stack,
			.callback = value_error_callback,
			.arg = unconstify(char *, name)
		};

		error_context_stack = &callback;
		param->ptype = prepared->types[i];
		param->pflags = PARAM_FLAG_CONST;
		param->isnull = nulls[i];
		if (types[i] == UNKNOWNOID)
			param->value = read_literal(nulls[i] ? NULL : DatumGetCString(values[i]),
										param->ptype, &param->isnull);
		else if (types[i] == param->ptype)
			param->value = values[i];
		else
			param->value = convert(values[i], types[i], param->ptype, name, &param->isnull);
		error_context_stack = callback.previous;
	}
	return list;
}
