/*-------------------------------------------------------------------------
 *
 * statement_findings.c
 *	  Findings over the statements that tracking has counted.
 *
 * Their texts have no literals, so their plans are generic ones, and they are
 * planned only.  What no plan of today can tell is that there was a better one
 * before: the rule plan_regression asks tracking for that.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/advice.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* times that the new plan is slower than the one before; the view begins at 2 */
#define REGRESSION_CRITICAL		10
/* calls of either plan below which the mean says little */
#define MIN_REGRESSION_CALLS	5
/* milliseconds lost by the new plan in all its calls */
#define MIN_REGRESSION_MS		100

PG_FUNCTION_INFO_V1(dbutil_statement_findings);

/* of the statement, before those of the finding */
enum
{
	COL_QUERYID, COL_QUERY, COL_CALLS, COL_TIME,
	STATEMENT_COLUMNS
};

/* the finding's advice, which tells of a statement that was left out too */
#define COL_ADVICE (STATEMENT_COLUMNS + 6)

typedef struct Judging
{
	DbuWorkloadQuery *query;
	List	   *findings;
} Judging;

static void
judge(void *arg)
{
	Judging    *judging = arg;
	DbuObtainedPlan obtained;

	dbu_explain_obtain_generic(&obtained, judging->query);
	judging->findings = dbu_explain_judge_obtained(&obtained, dbu_explain_read_plan(obtained.plan));
}

/* A plan that is in use and slower than the one before it. */
typedef struct Regression
{
	int64		queryid;
	DbuFinding *finding;
} Regression;

static DbuFinding *
regression_finding(HeapTuple row, TupleDesc desc)
{
	/* without a plan: the path of a statement as a whole is empty */
	static const DbuPlanStatement no_plan = {.steps = ""};
	static const char *const figures[] = {
		"slower", "lost_ms", "new_mean_ms", "old_mean_ms", "new_calls", "old_calls"
	};
	DbuFinding *finding = palloc0(sizeof(DbuFinding));
	bool		isnull;

	finding->rule = "plan_regression";
	finding->statement = &no_plan;
	for (int i = 0; i < lengthof(figures); i++)
		dbu_explain_add_number(finding, figures[i],
							   DatumGetFloat8(SPI_getbinval(row, desc, i + 2, &isnull)));
	dbu_explain_add_text(finding, "changed_at", SPI_getvalue(row, desc, lengthof(figures) + 2));
	finding->severity = finding->evidence[0].number >= REGRESSION_CRITICAL ? DBU_CRITICAL : DBU_WARN;
	finding->advice = "The statement got another plan and is slower since. "
		"Compare both in dbutil.plan_regressions; what changed the planner's mind is most often statistics (run ANALYZE), a dropped index or a setting.";
	return finding;
}

/*
 * The plan regressions of these statements in this database, Regression *: of
 * each statement the one that lost the most.  NIL where plans are not tracked.
 */
static List *
regressions_of(List *queries)
{
	Oid			types[] = {INT8ARRAYOID, INT8OID, FLOAT8OID};
	Datum	   *queryids = palloc(sizeof(Datum) * (list_length(queries) + 1));
	Datum		values[3];
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi;
	List	   *regressions = NIL;
	ListCell   *lc;

	foreach(lc, queries)
		queryids[foreach_current_index(lc)] = Int64GetDatum(((DbuWorkloadQuery *) lfirst(lc))->queryid);
	values[0] = PointerGetDatum(construct_array(queryids, list_length(queries), INT8OID,
												sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[1] = Int64GetDatum(MIN_REGRESSION_CALLS);
	values[2] = Float8GetDatum(MIN_REGRESSION_MS);

	SPI_connect();
	if (SPI_execute_with_args("SELECT DISTINCT ON (r.queryid) r.queryid, r.slower, r.lost_time,"
							  " r.new_mean_exec_time, r.old_mean_exec_time,"
							  " r.new_calls::pg_catalog.float8, r.old_calls::pg_catalog.float8, r.changed_at"
							  " FROM dbutil.plan_regressions AS r"
							  " WHERE r.database_name OPERATOR(pg_catalog.=) pg_catalog.current_database()"
							  " AND r.in_use AND r.queryid OPERATOR(pg_catalog.=) ANY ($1)"
							  " AND r.new_calls OPERATOR(pg_catalog.>=) $2"
							  " AND r.old_calls OPERATOR(pg_catalog.>=) $2"
							  " AND r.lost_time OPERATOR(pg_catalog.>=) $3"
							  " ORDER BY r.queryid, r.lost_time DESC",
							  3, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read dbutil.plan_regressions");
	spi = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Regression *regression = palloc(sizeof(Regression));
		bool		isnull;

		regression->queryid = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i],
														  SPI_tuptable->tupdesc, 1, &isnull));
		regression->finding = regression_finding(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		regressions = lappend(regressions, regression);
	}
	MemoryContextSwitchTo(spi);
	SPI_finish();
	return regressions;
}

static void
put_row(ReturnSetInfo *rsinfo, const DbuWorkloadQuery *query, const DbuFinding *finding)
{
	Datum		values[STATEMENT_COLUMNS + DBU_FINDING_COLUMNS] = {0};
	bool		nulls[STATEMENT_COLUMNS + DBU_FINDING_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	memset(nulls, false, sizeof(bool) * STATEMENT_COLUMNS);
	values[COL_QUERYID] = Int64GetDatum(query->queryid);
	values[COL_QUERY] = CStringGetTextDatum(query->text);
	values[COL_CALLS] = Int64GetDatum((int64) query->calls);
	values[COL_TIME] = Float8GetDatum(query->total_time);
	if (finding != NULL)
		dbu_explain_set_finding(finding, values + STATEMENT_COLUMNS, nulls + STATEMENT_COLUMNS);
	else
	{
		values[COL_ADVICE] = CStringGetTextDatum(psprintf("left out: %s", query->skipped));
		nulls[COL_ADVICE] = false;
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
dbutil_statement_findings(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *queries = dbu_explain_worst_statements(PG_GETARG_INT32(0));
	List	   *regressions = regressions_of(queries);
	ListCell   *lc;
	ListCell   *lf;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, queries)
	{
		Judging		judging = {.query = lfirst(lc)};

		CHECK_FOR_INTERRUPTS();
		foreach(lf, regressions)
		{
			const Regression *regression = lfirst(lf);

			if (regression->queryid == judging.query->queryid)
				put_row(rsinfo, judging.query, regression->finding);
		}
		if (judging.query->skipped == NULL)
			judging.query->skipped = dbu_explain_try(judge, &judging);
		if (judging.query->skipped != NULL)
			put_row(rsinfo, judging.query, NULL);
		else
		{
			foreach(lf, judging.findings)
				put_row(rsinfo, judging.query, lfirst(lf));
		}
	}
	return (Datum) 0;
}
