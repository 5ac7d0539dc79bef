/*-------------------------------------------------------------------------
 *
 * execute.c
 *	  dbutil.execute_prepared_statement() and its JSON sister.
 *
 * The statement runs through SPI, as the caller, in his transaction, and sees
 * what his transaction did before.  The time that is counted is that of this
 * step: planning, if there is any, and execution.
 *
 *-------------------------------------------------------------------------
 */
#include "prepared/prepared.h"

#include "core/errors.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/plancache.h"

PG_FUNCTION_INFO_V1(dbutil_execute_prepared_statement);
PG_FUNCTION_INFO_V1(dbutil_execute_prepared_statement_json);

/* What the caller gave: either JSON or values. */
typedef struct Arguments
{
	Jsonb	   *json;			/* NULL: values */
	int			n;
	Datum	   *values;
	Oid		   *types;
	bool	   *nulls;
} Arguments;

static void
execution_error_callback(void *arg)
{
	errcontext("prepared statement \"%s\"", (const char *) arg);
}

static ParamListInfo
bind(const DbuPrepared *prepared, const Arguments *args)
{
	if (args->json == NULL)
		return dbu_prepared_bind(prepared, args->n, args->values, args->types, args->nulls);
	dbu_check_params(&prepared->query, args->json);
	return dbu_bind_params(&prepared->query, args->json, prepared->types, prepared->ntypes);
}

/* Plans that PostgreSQL's plan cache took since the metrics last heard of it. */
static void
count_plans(DbuPrepared *prepared, DbuPreparedCounters *call)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(prepared->plan));

	call->generic_plans = source->num_generic_plans - prepared->counted_generic;
	call->custom_plans = source->num_custom_plans - prepared->counted_custom;
	prepared->counted_generic = source->num_generic_plans;
	prepared->counted_custom = source->num_custom_plans;
}

static void
execute(FunctionCallInfo fcinfo, const char *name, const Arguments *args, bool json)
{
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = execution_error_callback,
		.arg = unconstify(char *, name)
	};
	DbuResult	result;
	DbuPrepared *prepared;
	DbuPreparedCounters call = {.calls = 1};
	volatile bool running = false;
	instr_time	start;
	instr_time	duration;

	/* a statement may call itself */
	check_stack_depth();
	dbu_prepared_result_begin(&result, fcinfo, name, json);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");

	prepared = dbu_prepared_pin(name);
	error_context_stack = &callback;
	PG_TRY();
	{
		SPIExecuteOptions options = {0};
		int			rc;

		options.params = bind(prepared, args);
		options.dest = &result.pub;
		dbu_prepared_result_expect(&result, prepared);

		running = true;
		INSTR_TIME_SET_CURRENT(start);
		rc = SPI_execute_plan_extended(prepared->plan, &options);
		INSTR_TIME_SET_CURRENT(duration);
		if (rc < 0)
			elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(rc));
		/* a rule made something else of it, which has its own count of rows */
		call.rows = rc == SPI_OK_REWRITTEN ? 0 : (int64) SPI_processed;
		dbu_prepared_result_end(&result, (uint64) call.rows);
	}
	PG_CATCH();
	{
		prepared->failures += running;
		dbu_prepared_unpin(prepared);
		PG_RE_THROW();
	}
	PG_END_TRY();
	error_context_stack = callback.previous;

	INSTR_TIME_SUBTRACT(duration, start);
	call.total_ms = INSTR_TIME_GET_MILLISEC(duration);
	call.errors = prepared->failures;
	prepared->failures = 0;
	count_plans(prepared, &call);
	if (dbu_enabled)
		dbu_prepared_metrics_add(&prepared->metrics, prepared->id, &call);
	dbu_prepared_unpin(prepared);
	SPI_finish();
}

static char *
name_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		dbu_error_null_argument("name");
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

/* (name) and (name, VARIADIC params) */
Datum
dbutil_execute_prepared_statement(PG_FUNCTION_ARGS)
{
	char	   *name = name_argument(fcinfo);
	Arguments	args = {0};

	if (PG_NARGS() > 1)
		args.n = extract_variadic_args(fcinfo, 1, false, &args.values, &args.types, &args.nulls);
	/* VARIADIC NULL */
	if (args.n < 0)
		dbu_error_null_argument("params");
	execute(fcinfo, name, &args, false);
	return (Datum) 0;
}

Datum
dbutil_execute_prepared_statement_json(PG_FUNCTION_ARGS)
{
	char	   *name = name_argument(fcinfo);
	Arguments	args = {0};

	if (PG_ARGISNULL(1))
		dbu_error_null_argument("params");
	args.json = PG_GETARG_JSONB_P(1);
	execute(fcinfo, name, &args, true);
	return (Datum) 0;
}
