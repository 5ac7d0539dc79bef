/*-------------------------------------------------------------------------
 *
 * statement_findings.c
 *	  Findings over the statements that tracking has counted.
 *
 * Their texts have no literals, so their plans are generic ones, and they are
 * planned only.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/advice.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

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
	ListCell   *lc;
	ListCell   *lf;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, queries)
	{
		Judging		judging = {.query = lfirst(lc)};

		CHECK_FOR_INTERRUPTS();
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
