/*-------------------------------------------------------------------------
 *
 * views.c
 *	  The function under dbutil.prepared_statements.
 *
 * The definitions are those of the current database as of now; each is then
 * looked up in shared memory.  Texts are shown to those who may execute or
 * change them and to members of pg_read_all_stats.
 *
 *-------------------------------------------------------------------------
 */
#include "prepared/prepared.h"

#include "core/access.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(dbutil_prepared_statements);

#define NCOLUMNS 24
#define NPERCENTILES 3
static const double fractions[NPERCENTILES] = {0.50, 0.95, 0.99};

/* The columns that come from shared memory, all NULL without it. */
static void
put_metrics(const DbuDefinition *definition, Datum *values, bool *nulls, int n)
{
	DbuPreparedMetrics metrics = {0};
	DbuPreparedCounters *c = &metrics.counters;
	double		percentiles[NPERCENTILES] = {0};
	bool		timed;

	if (!dbu_prepared_metrics_on())
	{
		while (n < NCOLUMNS)
			nulls[n++] = true;
		return;
	}
	(void) dbu_prepared_metrics_get(definition->id, &metrics);
	timed = dbu_histogram_percentiles(&metrics.histogram, c->min_ms, c->max_ms,
									  fractions, NPERCENTILES, percentiles);
	values[n++] = Int64GetDatum(c->calls);
	values[n++] = Int64GetDatum(c->errors);
	values[n++] = Int64GetDatum(c->rows);
	values[n++] = Float8GetDatum(c->total_ms);
	nulls[n] = !timed;
	values[n++] = Float8GetDatum(c->min_ms);
	nulls[n] = !timed;
	values[n++] = Float8GetDatum(c->max_ms);
	nulls[n] = !timed;
	values[n++] = Float8GetDatum(timed ? c->total_ms / c->calls : 0);
	for (int i = 0; i < NPERCENTILES; i++)
	{
		nulls[n] = !timed;
		values[n++] = Float8GetDatum(percentiles[i]);
	}
	values[n++] = Int64GetDatum(c->generic_plans);
	values[n++] = Int64GetDatum(c->custom_plans);
	values[n++] = Int64GetDatum((int64) metrics.holders);
	nulls[n] = metrics.stats_since == 0;
	values[n++] = TimestampTzGetDatum(metrics.stats_since);
	Assert(n == NCOLUMNS);
}

Datum
dbutil_prepared_statements(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (rsinfo->setDesc->natts != NCOLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("dbutil.prepared_statements() has %d columns where the library expects %d",
						rsinfo->setDesc->natts, NCOLUMNS),
				 errhint("Run ALTER EXTENSION dbutil UPDATE.")));
	dbu_prepared_report_failures();
	foreach(lc, dbu_prepared_read_all())
	{
		const DbuDefinition *definition = lfirst(lc);
		Datum		values[NCOLUMNS] = {0};
		bool		nulls[NCOLUMNS] = {0};
		int			n = 0;

		nulls[n] = definition->key.service[0] == '\0';
		values[n++] = CStringGetTextDatum(definition->key.service);
		values[n++] = CStringGetTextDatum(definition->key.name);
		values[n++] = CStringGetTextDatum(definition->owner);
		values[n++] = CStringGetTextDatum(dbu_prepared_may_read(definition->owner) ?
										  definition->statement : DBU_HIDDEN_TEXT);
		nulls[n] = definition->names == NIL;
		values[n++] = dbu_prepared_names_datum(definition);
		values[n++] = dbu_prepared_types_datum(definition);
		values[n++] = TimestampTzGetDatum(definition->prepared_at);
		values[n++] = BoolGetDatum(dbu_prepared_may_execute(definition->owner));
		values[n++] = BoolGetDatum(dbu_prepared_may_change(definition->owner));
		values[n++] = Int64GetDatum(definition->id);
		put_metrics(definition, values, nulls, n);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
