/*-------------------------------------------------------------------------
 *
 * advice_call.c
 *	  Index advice for SQL: workloads in, rows out.
 *
 * A workload is an array of statements, or what dbutil.statements has counted.
 * A statement of an array that cannot be planned is the caller's error.  One
 * that was counted may be older than the tables of today, or come from another
 * search_path: it is left out, with a row that says why.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/errors.h"
#include "core/named_params.h"
#include "core/one_statement.h"
#include "explain/advice.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

PG_FUNCTION_INFO_V1(dbutil_index_advice);
PG_FUNCTION_INFO_V1(dbutil_index_advice_statements);

enum
{
	COL_RELATION, COL_SQL, COL_PROVEN, COL_BEFORE, COL_AFTER, COL_GAIN, COL_SIZE,
	COL_STATEMENTS, COL_REASON,
	ADVICE_COLUMNS
};

/* ---------- statements ---------- */

/* Reads one statement; raises what is wrong with it. */
static DbuWorkloadQuery *
read_query(const char *text, int number)
{
	DbuQueryText source = {.original = text,.text = text};
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = dbu_explain_query_error_callback,
		.arg = &source
	};
	DbuWorkloadQuery *query = palloc0(sizeof(DbuWorkloadQuery));
	RawStmt    *raw;

	error_context_stack = &callback;
	dbu_find_params(&source, text, NULL);
	raw = dbu_parse_one_statement(source.text, "give index advice for");
	query->number = number;
	query->text = source.text;
	query->calls = 1;
	query->queries = pg_analyze_and_rewrite_varparams(raw, source.text, &query->types,
													  &query->ntypes, NULL);
	dbu_require_planned(query->queries, "give index advice for");
	if (query->ntypes > 0 && !DBU_HAS_GENERIC_EXPLAIN)
		query->skipped = "it has parameters, and EXPLAIN (GENERIC_PLAN) needs PostgreSQL 16 or later";
	error_context_stack = callback.previous;
	return query;
}

/* Is an error about the text of the statement, not about the server? */
static bool
is_about_text(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION ||
		category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_FEATURE_NOT_SUPPORTED ||
		category == ERRCODE_INVALID_SCHEMA_NAME;
}

/* Reads one statement; one that is wrong is skipped with the error's message. */
static DbuWorkloadQuery *
read_query_or_skip(const char *text, int number)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	DbuWorkloadQuery *volatile query = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		query = read_query(text, number);
		/* keep the locks on what was read */
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
		if (!is_about_text(error->sqlerrcode))
			ReThrowError(error);
		query = palloc0(sizeof(DbuWorkloadQuery));
		query->number = number;
		query->text = text;
		query->skipped = error->message;
	}
	PG_END_TRY();
	return query;
}

/* ---------- rows ---------- */

static Datum
numbers_array(List *numbers, const int64 *queryids)
{
	Datum	   *values = palloc(sizeof(Datum) * (list_length(numbers) + 1));
	ListCell   *lc;

	foreach(lc, numbers)
		values[foreach_current_index(lc)] = queryids ?
			Int64GetDatum(queryids[lfirst_int(lc) - 1]) : Int32GetDatum(lfirst_int(lc));
	return PointerGetDatum(queryids ?
						   construct_array(values, list_length(numbers), INT8OID, 8, true, TYPALIGN_DOUBLE) :
						   construct_array(values, list_length(numbers), INT4OID, 4, true, TYPALIGN_INT));
}

static void
put_advice(ReturnSetInfo *rsinfo, const DbuIndexAdvice *advice, const int64 *queryids)
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
	values[COL_STATEMENTS] = numbers_array(advice->numbers, queryids);
	values[COL_REASON] = CStringGetTextDatum(advice->reason);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
put_skipped(ReturnSetInfo *rsinfo, const DbuWorkloadQuery *query, const int64 *queryids)
{
	Datum		values[ADVICE_COLUMNS] = {0};
	bool		nulls[ADVICE_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	values[COL_STATEMENTS] = numbers_array(list_make1_int(query->number), queryids);
	nulls[COL_STATEMENTS] = false;
	values[COL_REASON] = CStringGetTextDatum(psprintf("left out: %s", query->skipped));
	nulls[COL_REASON] = false;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
return_advice(FunctionCallInfo fcinfo, List *workload, const int64 *queryids)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		provable;
	List	   *advices = dbu_explain_advise(workload, &provable);
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, advices)
		put_advice(rsinfo, lfirst(lc), queryids);
	foreach(lc, workload)
	{
		const DbuWorkloadQuery *query = lfirst(lc);

		if (query->skipped != NULL)
			put_skipped(rsinfo, query, queryids);
	}
}

/* ---------- entry points ---------- */

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
		if (nulls[i])
			dbu_error_null_argument("queries");
		workload = lappend(workload, read_query(TextDatumGetCString(texts[i]), i + 1));
	}
	return_advice(fcinfo, workload, NULL);
	return (Datum) 0;
}

/* The worst statements of this database: texts, identifiers, calls. */
static int
worst_statements(int worst, char ***texts, int64 **queryids, double **calls)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(worst)};
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi;
	int			n;
	bool		isnull;

	SPI_connect();
	if (SPI_execute_with_args("SELECT pg_catalog.min(s.query), s.queryid, pg_catalog.sum(s.calls)::float8"
							  " FROM dbutil.statements AS s"
							  " WHERE s.database_name OPERATOR(pg_catalog.=) pg_catalog.current_database()"
							  " AND s.query IS NOT NULL AND s.queryid IS NOT NULL"
							  " AND s.operation IN ('select', 'insert', 'update', 'delete', 'merge')"
							  " GROUP BY s.queryid"
							  " ORDER BY pg_catalog.sum(s.total_exec_time) DESC, s.queryid LIMIT $1",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "reading dbutil.statements failed");
	n = (int) SPI_processed;
	spi = MemoryContextSwitchTo(context);
	*texts = palloc(sizeof(char *) * (n + 1));
	*queryids = palloc(sizeof(int64) * (n + 1));
	*calls = palloc(sizeof(double) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		(*texts)[i] = SPI_getvalue(row, desc, 1);
		(*queryids)[i] = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
		(*calls)[i] = DatumGetFloat8(SPI_getbinval(row, desc, 3, &isnull));
	}
	MemoryContextSwitchTo(spi);
	SPI_finish();
	return n;
}

Datum
dbutil_index_advice_statements(PG_FUNCTION_ARGS)
{
	int			worst = PG_GETARG_INT32(0);
	List	   *workload = NIL;
	char	  **texts;
	int64	   *queryids;
	double	   *calls;
	int			n;

	if (worst < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("worst must be at least 1"),
				 errhint("Pass how many statements to look at, those that took the most time.")));
	n = worst_statements(worst, &texts, &queryids, &calls);
	for (int i = 0; i < n; i++)
	{
		DbuWorkloadQuery *query;

		CHECK_FOR_INTERRUPTS();
		query = read_query_or_skip(texts[i], i + 1);
		query->calls = calls[i];
		workload = lappend(workload, query);
	}
	return_advice(fcinfo, workload, queryids);
	return (Datum) 0;
}

/* ---------- findings ---------- */

/* The advice that mends a finding, NULL if there is none. */
static const DbuIndexAdvice *
advice_for(const DbuFinding *finding, List *advices)
{
	DbuIndexPurpose purpose = strcmp(finding->rule, "nested_loop") == 0 ? DBU_FOR_JOIN : DBU_FOR_FILTER;
	const DbuIndexAdvice *second = NULL;
	ListCell   *lc;

	foreach(lc, advices)
	{
		const DbuIndexAdvice *advice = lfirst(lc);

		if (strcmp(advice->relation, finding->relation) != 0)
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
	static const char *const rules[] = {"slow_scan", "nested_loop", "inefficient_index"};

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
	if (!any || dbu_explain_prover() == NULL)
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
