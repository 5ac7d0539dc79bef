/*-------------------------------------------------------------------------
 *
 * views.c
 *	  The functions under track's views of services, histograms and losses.
 *
 * Entries are read by look.c; what is computed from its copies, and whose
 * identifiers may be seen (core/access.h), comes while no lock is held.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/access.h"
#include "core/errors.h"
#include "track/look.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(dbutil_statement_histogram);
PG_FUNCTION_INFO_V1(dbutil_services);
PG_FUNCTION_INFO_V1(dbutil_track_info);

static const double fractions[NPERCENTILES] = {0.50, 0.90, 0.95, 0.99};

Datum
dbu_track_uint64_datum(uint64 bytes)
{
	return bytes <= (uint64) PG_INT64_MAX ?
		NumericGetDatum(int64_to_numeric((int64) bytes)) :
		DirectFunctionCall3(numeric_in, CStringGetDatum(psprintf(UINT64_FORMAT, bytes)),
							ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/* NPERCENTILES columns from the n'th on, NULL when there are none. */
static void
put_percentiles(Datum *values, bool *nulls, int n, bool valid, const double *percentiles)
{
	for (int p = 0; p < NPERCENTILES; p++)
	{
		nulls[n] = !valid;
		values[n++] = valid ? Float8GetDatum(percentiles[p]) : (Datum) 0;
	}
}

/*
 * Buckets of one query identifier, merged per service: it has an entry for each
 * database, role and level.
 */
Datum
dbutil_statement_histogram(PG_FUNCTION_ARGS)
{
	uint64		query_id = (uint64) PG_GETARG_INT64(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DbuTrackLook look;
	DbuHistogram *merged;
	bool	   *seen;

	dbu_require_preload("dbutil.statement_histogram");
	InitMaterializedSRF(fcinfo, 0);
	/* no statement has it */
	if (query_id == 0)
		return (Datum) 0;
	merged = palloc_extended(mul_size(dbu_track_max_services, sizeof(DbuHistogram)),
							 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	seen = palloc0(mul_size(dbu_track_max_services, sizeof(bool)));
	dbu_track_look_begin(&look, false);
	look.query_id = query_id;
	while (dbu_track_look_next(&look))
	{
		for (int i = 0; i < look.count; i++)
		{
			/* who may not see the identifier may not ask by it either */
			if (!dbu_may_see(look.rows[i].key.username))
				continue;
			dbu_histogram_merge(&merged[look.rows[i].key.service], &look.rows[i].histogram);
			seen[look.rows[i].key.service] = true;
		}
	}
	dbu_track_look_end(&look);

	for (int s = 0; s < dbu_track_max_services; s++)
	{
		for (int b = 0; seen[s] && b < DBU_HISTOGRAM_BUCKETS; b++)
		{
			double		upper = dbu_histogram_upper_us(b);
			Datum		values[4];
			bool		nulls[4] = {false, false, upper == 0, false};

			if (merged[s].count[b] == 0)
				continue;
			values[0] = CStringGetTextDatum(dbu_track_services[s]);
			values[1] = Float8GetDatum(dbu_histogram_lower_us(b));
			values[2] = Float8GetDatum(upper);
			values[3] = Int64GetDatum((int64) merged[s].count[b]);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}

/* What all top-level statements of a service come to. */
typedef struct ServiceSum
{
	StatementCounters counters;
	DbuHistogram histogram;
} ServiceSum;

static void
add_to_service(ServiceSum *sum, const DbuTrackRow *row)
{
	StatementCounters *into = &sum->counters;
	const StatementCounters *c = &row->counters;

	if (c->calls > 0)
	{
		if (into->calls == 0 || row->min_ms < into->exec.min)
			into->exec.min = row->min_ms;
		into->exec.max = Max(into->exec.max, row->max_ms);
	}
	into->calls += c->calls;
	into->errors += c->errors;
	into->rows += c->rows;
	into->exec.total += c->exec.total;
	into->plan.total += c->plan.total;
	into->plan_cache_hits += c->plan_cache_hits;
	dbu_histogram_merge(&sum->histogram, &row->histogram);
}

/* Statements of each service, percentiles from the merged histograms. */
Datum
dbutil_services(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DbuTrackLook look;
	ServiceSum *sums;

	dbu_require_preload("dbutil.services");
	InitMaterializedSRF(fcinfo, 0);
	sums = palloc_extended(mul_size(dbu_track_max_services, sizeof(ServiceSum)),
						   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	dbu_track_look_begin(&look, false);
	while (dbu_track_look_next(&look))
	{
		for (int i = 0; i < look.count; i++)
		{
			/* the time of a nested statement is in its caller's already */
			if (look.rows[i].key.toplevel)
				add_to_service(&sums[look.rows[i].key.service], &look.rows[i]);
		}
	}
	dbu_track_look_end(&look);

	for (int s = 0; s < dbu_track_max_services; s++)
	{
		StatementCounters *c = &sums[s].counters;
		double		percentiles[NPERCENTILES];
		bool		valid;
		Datum		values[11];
		bool		nulls[11] = {0};
		int			n = 0;

		if (c->calls == 0 && c->errors == 0)
			continue;
		valid = dbu_histogram_percentiles(&sums[s].histogram, c->exec.min,
										  c->exec.max, fractions,
										  NPERCENTILES, percentiles);
		values[n++] = CStringGetTextDatum(dbu_track_services[s]);
		values[n++] = Int64GetDatum(c->calls);
		values[n++] = Int64GetDatum(c->errors);
		values[n++] = Int64GetDatum(c->rows);
		values[n++] = Float8GetDatum(c->exec.total);
		values[n++] = Float8GetDatum(c->plan.total);
		values[n++] = Int64GetDatum(c->plan_cache_hits);
		put_percentiles(values, nulls, n, valid, percentiles);
		Assert(n + NPERCENTILES == (int) lengthof(values));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
dbutil_track_info(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	Datum		values[10];
	bool		nulls[10] = {0};
	int			n = 0;

	dbu_require_preload("dbutil.track_info");
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("dbutil.track_info must return a row")));

	LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
	values[n++] = TimestampTzGetDatum(dbu_track_shared->stats_since);
	values[n++] = Int64GetDatum(dbu_track_shared->used_entries);
	values[n++] = Int64GetDatum(dbu_track_shared->nservices - 1);
	LWLockRelease(&dbu_track_shared->lock);
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&dbu_track_shared->evictions));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&dbu_track_shared->calls_dropped));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&dbu_track_shared->errors_dropped));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&dbu_track_shared->error_codes_dropped));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&dbu_track_shared->texts_dropped));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&dbu_track_shared->services_dropped));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&dbu_track_shared->transactions_dropped));
	Assert(n == (int) lengthof(values));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}
