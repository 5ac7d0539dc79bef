/*-------------------------------------------------------------------------
 *
 * explain.c
 *	  The module explain: from a statement that is slow to what is wrong in its
 *	  plan and what to do.
 *
 * Here are the functions that SQL calls.  The module has no settings, no
 * shared memory and subscribes to no event, so it works without preload.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/errors.h"
#include "core/module.h"
#include "explain/advice.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(dbutil_analyze_query);
PG_FUNCTION_INFO_V1(dbutil_findings);
PG_FUNCTION_INFO_V1(dbutil_explain_findings_jsonb);
PG_FUNCTION_INFO_V1(dbutil_explain_findings_text);

/* listed in core/dbutil.c */
extern const DbuModule dbu_explain_module;

const DbuModule dbu_explain_module = {
	.name = "explain",
};

/* ---------- building jsonb ---------- */

static void
push_key(JsonbParseState **state, const char *key)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, key);
	value.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &value);
}

/* NULL gives a JSON null. */
static void
push_text(JsonbParseState **state, const char *key, const char *text)
{
	JsonbValue	value;

	push_key(state, key);
	value.type = jbvNull;
	if (text != NULL)
	{
		value.type = jbvString;
		value.val.string.val = unconstify(char *, text);
		value.val.string.len = strlen(text);
	}
	pushJsonbValue(state, WJB_VALUE, &value);
}

/* Rounded to what a person reads; NaN stands for a figure that is not known. */
static void
push_number(JsonbParseState **state, const char *key, double number)
{
	JsonbValue	value;

	push_key(state, key);
	value.type = jbvNull;
	if (isfinite(number))
	{
		double		rounded = fabs(number) < 1e9 ? rint(number * 1000) / 1000 : number;

		value.type = jbvNumeric;
		value.val.numeric = DatumGetNumeric(DirectFunctionCall1(float8_numeric,
																Float8GetDatum(rounded)));
	}
	pushJsonbValue(state, WJB_VALUE, &value);
}

static void
push_bool(JsonbParseState **state, const char *key, bool truth)
{
	JsonbValue	value;

	push_key(state, key);
	value.type = jbvBool;
	value.val.boolean = truth;
	pushJsonbValue(state, WJB_VALUE, &value);
}

static void
push_jsonb(JsonbParseState **state, const char *key, Jsonb *jsonb)
{
	JsonbValue	value;

	push_key(state, key);
	value.type = jbvBinary;
	value.val.binary.data = &jsonb->root;
	value.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
	pushJsonbValue(state, WJB_VALUE, &value);
}

static JsonbValue *
push_evidence(JsonbParseState **state, const DbuFinding *finding)
{
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < finding->nevidence; i++)
	{
		const DbuEvidence *evidence = &finding->evidence[i];

		if (evidence->text != NULL)
			push_text(state, evidence->name, evidence->text);
		else
			push_number(state, evidence->name, evidence->number);
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

static void
push_finding(JsonbParseState **state, const DbuFinding *finding)
{
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_text(state, "rule", finding->rule);
	push_text(state, "severity", dbu_explain_severity_word(finding->severity));
	push_text(state, "node_path", dbu_explain_path(finding->statement, finding->at));
	push_text(state, "node", finding->node);
	push_text(state, "relation", finding->relation);
	push_key(state, "evidence");
	push_evidence(state, finding);
	push_text(state, "advice", finding->advice);
	push_text(state, "suggested_sql", finding->suggested_sql);
	if (finding->unproven || finding->proven)
		push_bool(state, "proven", finding->proven);
	else
		push_text(state, "proven", NULL);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* A number of each statement's root node, added up; NaN if none has it. */
static double
sum_of(List *statements, const char *key)
{
	double		sum = NAN;
	ListCell   *lc;

	foreach(lc, statements)
	{
		DbuPlanStatement *statement = lfirst(lc);
		double		number;

		if (dbu_explain_number(statement->root->fields, key, &number))
			sum = isnan(sum) ? number : sum + number;
	}
	return sum;
}

static void
push_totals(JsonbParseState **state, List *statements, List *findings, bool executed)
{
	static const struct
	{
		const char *name;
		const char *key;
	}			sums[] = {
		{"total_cost", "Total Cost"},
		{"plan_rows", "Plan Rows"},
		{"actual_rows", "Actual Rows"},
		{"shared_blks_hit", "Shared Hit Blocks"},
		{"shared_blks_read", "Shared Read Blocks"},
		{"shared_blks_dirtied", "Shared Dirtied Blocks"},
		{"shared_blks_written", "Shared Written Blocks"},
		{"temp_blks_read", "Temp Read Blocks"},
		{"temp_blks_written", "Temp Written Blocks"},
	};
	double		planning = NAN;
	double		execution = NAN;
	int			nodes = 0;
	int			severities[3] = {0, 0, 0};
	ListCell   *lc;

	foreach(lc, statements)
	{
		DbuPlanStatement *statement = lfirst(lc);

		nodes += list_length(statement->nodes);
		if (statement->planning_ms >= 0)
			planning = isnan(planning) ? statement->planning_ms : planning + statement->planning_ms;
		if (statement->execution_ms >= 0)
			execution = isnan(execution) ? statement->execution_ms : execution + statement->execution_ms;
	}
	foreach(lc, findings)
		severities[((DbuFinding *) lfirst(lc))->severity]++;

	push_key(state, "totals");
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_bool(state, "executed", executed);
	push_number(state, "planning_ms", planning);
	push_number(state, "execution_ms", execution);
	push_number(state, "nodes", nodes);
	for (int i = 0; i < lengthof(sums); i++)
		push_number(state, sums[i].name, sum_of(statements, sums[i].key));
	push_number(state, "findings", list_length(findings));
	push_number(state, "critical", severities[DBU_CRITICAL]);
	push_number(state, "warn", severities[DBU_WARN]);
	push_number(state, "info", severities[DBU_INFO]);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* ---------- arguments ---------- */

/* The interval in milliseconds; a month has 30 days, as elsewhere. */
static int
timeout_of(const Interval *interval)
{
	double		ms = ((double) interval->month * DAYS_PER_MONTH + interval->day) *
		SECS_PER_DAY * 1000.0 + interval->time / 1000.0;

	if (ms < 1 || ms > INT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timeout must be between 1 millisecond and %d days",
						(int) (INT_MAX / 1000.0 / SECS_PER_DAY)),
				 errhint("Pass an interval such as '30 seconds'.")));
	return (int) ms;
}

/* The four arguments that analyze_query(), findings() and plan_tree() share. */
void
dbu_explain_obtain_call(FunctionCallInfo fcinfo, DbuObtainedPlan *obtained)
{
	static const char *const names[] = {"query", "params", "run", "timeout"};
	Jsonb	   *params = NULL;

	for (int i = 0; i < lengthof(names); i++)
	{
		if (PG_ARGISNULL(i) && i != 1)
			dbu_error_null_argument(names[i]);
	}
	if (!PG_ARGISNULL(1))
		params = PG_GETARG_JSONB_P(1);
	dbu_explain_obtain(obtained, text_to_cstring(PG_GETARG_TEXT_PP(0)), params,
					   PG_GETARG_BOOL(2), timeout_of(PG_GETARG_INTERVAL_P(3)));
}

static void
plan_text_error_callback(void *arg)
{
	if (geterrcode() == ERRCODE_INVALID_TEXT_REPRESENTATION ||
		geterrcode() == ERRCODE_UNTRANSLATABLE_CHARACTER)
		errhint("Pass the output of EXPLAIN (FORMAT JSON), with or without ANALYZE.");
}

/* A plan given as text, or as json, whose values are texts. */
Jsonb *
dbu_explain_plan_of_text(text *plan)
{
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = plan_text_error_callback,
	};
	Jsonb	   *result;

	error_context_stack = &callback;
	result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
												CStringGetDatum(text_to_cstring(plan))));
	error_context_stack = callback.previous;
	return result;
}

/* Findings over a plan that was made here, with index advice that is proven. */
List *
dbu_explain_judge_obtained(const DbuObtainedPlan *obtained, List *statements)
{
	List	   *findings = dbu_explain_judge(statements, obtained->facts);

	dbu_explain_prove_findings(findings, obtained->query);
	return findings;
}

/* The columns of a finding, DBU_FINDING_COLUMNS of them. */
void
dbu_explain_set_finding(const DbuFinding *finding, Datum *values, bool *nulls)
{
	const char *texts[DBU_FINDING_COLUMNS] = {
		finding->rule, dbu_explain_severity_word(finding->severity),
		dbu_explain_path(finding->statement, finding->at),
		finding->node, finding->relation, NULL, finding->advice,
		finding->suggested_sql, NULL
	};
	JsonbParseState *state = NULL;

	for (int i = 0; i < DBU_FINDING_COLUMNS; i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = texts[i] ? CStringGetTextDatum(texts[i]) : (Datum) 0;
	}
	values[5] = JsonbPGetDatum(JsonbValueToJsonb(push_evidence(&state, finding)));
	nulls[5] = false;
	values[8] = BoolGetDatum(finding->proven);
	nulls[8] = !(finding->unproven || finding->proven);
}

static void
return_rows(FunctionCallInfo fcinfo, List *findings)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "dbutil finding",
											  ALLOCSET_DEFAULT_SIZES);
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, findings)
	{
		MemoryContext caller = MemoryContextSwitchTo(row);
		Datum		values[DBU_FINDING_COLUMNS];
		bool		nulls[DBU_FINDING_COLUMNS];

		CHECK_FOR_INTERRUPTS();
		dbu_explain_set_finding(lfirst(lc), values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row);
	}
	MemoryContextDelete(row);
}

/* ---------- entry points ---------- */

Datum
dbutil_analyze_query(PG_FUNCTION_ARGS)
{
	DbuObtainedPlan obtained;
	List	   *statements;
	List	   *findings;
	ListCell   *lc;
	JsonbParseState *state = NULL;
	JsonbValue *result;

	dbu_explain_obtain_call(fcinfo, &obtained);
	statements = dbu_explain_read_plan(obtained.plan);
	findings = dbu_explain_judge_obtained(&obtained, statements);

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_text(&state, "query", text_to_cstring(PG_GETARG_TEXT_PP(0)));
	push_jsonb(&state, "plan", obtained.plan);
	push_totals(&state, statements, findings, obtained.executed);
	push_key(&state, "findings");
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	foreach(lc, findings)
		push_finding(&state, lfirst(lc));
	pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	result = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(result));
}

Datum
dbutil_findings(PG_FUNCTION_ARGS)
{
	DbuObtainedPlan obtained;

	dbu_explain_obtain_call(fcinfo, &obtained);
	return_rows(fcinfo, dbu_explain_judge_obtained(&obtained,
												   dbu_explain_read_plan(obtained.plan)));
	return (Datum) 0;
}

Datum
dbutil_explain_findings_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb	   *plan = PG_GETARG_JSONB_P(0);

	return_rows(fcinfo, dbu_explain_judge(dbu_explain_read_plan(plan), NIL));
	return (Datum) 0;
}

/* Also for json, whose values are texts. */
Datum
dbutil_explain_findings_text(PG_FUNCTION_ARGS)
{
	Jsonb	   *plan = dbu_explain_plan_of_text(PG_GETARG_TEXT_PP(0));

	return_rows(fcinfo, dbu_explain_judge(dbu_explain_read_plan(plan), NIL));
	return (Datum) 0;
}
