/*-------------------------------------------------------------------------
 *
 * advice_call.c
 *	  Index advice for SQL: workloads in, rows out.
 *
 * A workload is an array of statements, or what dbutil.statements has counted.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/errors.h"
#include "explain/advice.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(dbutil_index_advice);
PG_FUNCTION_INFO_V1(dbutil_index_advice_statements);

enum
{
	COL_RELATION, COL_SQL, COL_PROVEN, COL_BEFORE, COL_AFTER, COL_GAIN, COL_SIZE,
	COL_STATEMENTS, COL_REASON,
	ADVICE_COLUMNS
};

/* ---------- rows ---------- */

/* Numbers of statements as int[], or their query identifiers as bigint[]. */
static Datum
statements_array(List *numbers, List *workload, bool by_queryid)
{
	Datum	   *values = palloc(sizeof(Datum) * (list_length(numbers) + 1));
	int			n = list_length(numbers);
	ListCell   *lc;

	foreach(lc, numbers)
	{
		const DbuWorkloadQuery *query = list_nth(workload, lfirst_int(lc) - 1);

		values[foreach_current_index(lc)] = by_queryid ? Int64GetDatum(query->queryid) :
			Int32GetDatum(query->number);
	}
	return PointerGetDatum(by_queryid ?
						   construct_array(values, n, INT8OID, 8, true, TYPALIGN_DOUBLE) :
						   construct_array(values, n, INT4OID, 4, true, TYPALIGN_INT));
}

static void
put_advice(ReturnSetInfo *rsinfo, const DbuIndexAdvice *advice, List *workload, bool by_queryid)
{
	Datum		values[ADVICE_COLUMNS] = {0};
	bool		nulls[ADVICE_COLUMNS] = {0};

	values[COL_RELATION] = CStringGetTextDatum(advice->relation);
	values[COL_SQL] = CStringGetTextDatum(advice->sql);
	values[COL_PROVEN] = BoolGetDatum(advice->proven);
	values[COL_BEFORE] = Float8GetDatum(advice->cost_before);
	values[COL_AFTER] = Float8GetDatum(advice->cost_after);
	nulls[COL_BEFORE] = nulls[COL_AFTER] = !advice->proven;
	nulls[COL_GAIN] = !advice->proven || advice->cost_before <= 0;
	if (!nulls[COL_GAIN])
		values[COL_GAIN] = Float8GetDatum(100 * (1 - advice->cost_after / advice->cost_before));
	values[COL_SIZE] = Int64GetDatum((int64) advice->candidate->size);
	values[COL_STATEMENTS] = statements_array(advice->numbers, workload, by_queryid);
	values[COL_REASON] = CStringGetTextDatum(advice->reason);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
put_skipped(ReturnSetInfo *rsinfo, const DbuWorkloadQuery *query, List *workload, bool by_queryid)
{
	Datum		values[ADVICE_COLUMNS] = {0};
	bool		nulls[ADVICE_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	values[COL_STATEMENTS] = statements_array(list_make1_int(query->number), workload, by_queryid);
	nulls[COL_STATEMENTS] = false;
	values[COL_REASON] = CStringGetTextDatum(psprintf("left out: %s", query->skipped));
	nulls[COL_REASON] = false;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
return_advice(FunctionCallInfo fcinfo, List *workload, bool by_queryid)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		provable;
	List	   *advices = dbu_explain_advise(workload, &provable);
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, advices)
		put_advice(rsinfo, lfirst(lc), workload, by_queryid);
	foreach(lc, workload)
	{
		const DbuWorkloadQuery *query = lfirst(lc);

		if (query->skipped != NULL)
			put_skipped(rsinfo, query, workload, by_queryid);
	}
}

/* ---------- entry points ---------- */

/* Hypothetical indexes show in EXPLAIN only, which wants values before 16. */
static bool
is_valueless(const DbuWorkloadQuery *query)
{
	return query->ntypes > 0 && query->params == NULL && !DBU_HAS_GENERIC_EXPLAIN;
}

static void
skip_if_valueless(DbuWorkloadQuery *query)
{
	if (query->skipped == NULL && is_valueless(query))
		query->skipped = "it has parameters, and EXPLAIN (GENERIC_PLAN) needs PostgreSQL 16 or later";
}

Datum
dbutil_index_advice(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	List	   *workload = NIL;
	Datum	   *texts;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		DbuWorkloadQuery *query;

		if (nulls[i])
			dbu_error_null_argument("queries");
		query = dbu_explain_read_query(TextDatumGetCString(texts[i]), i + 1);
		skip_if_valueless(query);
		workload = lappend(workload, query);
	}
	return_advice(fcinfo, workload, false);
	return (Datum) 0;
}

/* EXPLAIN of it, for a call under dbu_explain_try(). */
static void
plan_once(void *arg)
{
	DbuWorkloadQuery *query = arg;

	query->cost = dbu_explain_planned_cost(query);
}

Datum
dbutil_index_advice_statements(PG_FUNCTION_ARGS)
{
	List	   *workload = dbu_explain_worst_statements(PG_GETARG_INT32(0));
	ListCell   *lc;

	foreach(lc, workload)
	{
		DbuWorkloadQuery *query = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		skip_if_valueless(query);
		if (query->skipped == NULL)
			query->skipped = dbu_explain_try(plan_once, query);
	}
	return_advice(fcinfo, workload, true);
	return (Datum) 0;
}

/* ---------- findings ---------- */

/* Is the table of the advice this one, or one that this is a partition of? */
static bool
is_for(const DbuIndexAdvice *advice, const char *relation)
{
	ListCell   *lc;

	if (strcmp(advice->relation, relation) == 0)
		return true;
	if (get_rel_relkind(advice->candidate->relid) != RELKIND_PARTITIONED_TABLE)
		return false;
	foreach(lc, find_all_inheritors(advice->candidate->relid, AccessShareLock, NULL))
	{
		Oid			relid = lfirst_oid(lc);

		if (strcmp(relation, quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
														get_rel_name(relid))) == 0)
			return true;
	}
	return false;
}

/* The advice that mends a finding, NULL if there is none. */
static const DbuIndexAdvice *
advice_for(const DbuFinding *finding, List *advices)
{
	DbuIndexPurpose purpose = strcmp(finding->rule, "nested_loop") == 0 ? DBU_FOR_JOIN :
		strcmp(finding->rule, "limit_order_index") == 0 ? DBU_FOR_ORDER : DBU_FOR_FILTER;
	const DbuIndexAdvice *second = NULL;
	ListCell   *lc;

	foreach(lc, advices)
	{
		const DbuIndexAdvice *advice = lfirst(lc);

		if (!is_for(advice, finding->relation))
			continue;
		if (advice->candidate->purpose == purpose)
			return advice;
		second = advice;
	}
	return second;
}

static bool
wants_index(const DbuFinding *finding)
{
	static const char *const rules[] = {
		"slow_scan", "nested_loop", "inefficient_index", "limit_order_index"
	};

	for (int i = 0; i < lengthof(rules); i++)
	{
		if (strcmp(finding->rule, rules[i]) == 0)
			return finding->relation != NULL;
	}
	return false;
}

/*
 * Gives findings that an index would mend one that the planner would use, and
 * takes back one that it would not.  Without hypopg they stay as they are.
 */
void
dbu_explain_prove_findings(List *findings, DbuWorkloadQuery *query)
{
	List	   *advices;
	bool		provable;
	bool		any = false;
	ListCell   *lc;

	foreach(lc, findings)
		any |= wants_index(lfirst(lc));
	if (!any || is_valueless(query) || dbu_explain_prover() == NULL)
		return;
	advices = dbu_explain_advise(list_make1(query), &provable);
	foreach(lc, findings)
	{
		DbuFinding *finding = lfirst(lc);
		const DbuIndexAdvice *advice;

		if (!wants_index(finding))
			continue;
		advice = advice_for(finding, advices);
		if (advice != NULL)
		{
			finding->suggested_sql = advice->sql;
			finding->unproven = false;
			finding->proven = true;
			dbu_explain_add_number(finding, "cost_before", advice->cost_before);
			dbu_explain_add_number(finding, "cost_after", advice->cost_after);
		}
		else if (finding->unproven)
		{
			finding->suggested_sql = NULL;
			finding->unproven = false;
			finding->advice = "The whole table is read and most of its rows are thrown away, but the planner would not use an index on the columns of the filter. "
				"Ask for fewer rows, or compare random_page_cost with what the storage does.";
		}
	}
}
