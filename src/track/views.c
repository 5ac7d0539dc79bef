/*-------------------------------------------------------------------------
 *
 * views.c
 *	  The functions under track's views, and the reset.
 *
 * Rows are built under the lock held shared; each entry's counters are copied
 * under its spinlock.  Texts and identifiers of other roles are hidden by
 * core's rule (access.c).
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/access.h"
#include "core/errors.h"
#include "core/shmem.h"
#include "track/track.h"

#include <math.h>

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(dbutil_statements);
PG_FUNCTION_INFO_V1(dbutil_statement_histogram);
PG_FUNCTION_INFO_V1(dbutil_services);
PG_FUNCTION_INFO_V1(dbutil_track_info);
PG_FUNCTION_INFO_V1(dbutil_track_reset);

static const char *
operation_word(CmdType operation)
{
	switch (operation)
	{
		case CMD_SELECT:
			return "select";
		case CMD_INSERT:
			return "insert";
		case CMD_UPDATE:
			return "update";
		case CMD_DELETE:
			return "delete";
		case CMD_MERGE:
			return "merge";
		case CMD_UTILITY:
			return "utility";
		default:
			return "unknown";
	}
}

static Datum
wal_bytes_datum(uint64 bytes)
{
	char		buf[32];

	snprintf(buf, sizeof(buf), UINT64_FORMAT, bytes);
	return DirectFunctionCall3(numeric_in, CStringGetDatum(buf),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

static void
copy_counters(StatementEntry *entry, StatementCounters *copy)
{
	SpinLockAcquire(&entry->mutex);
	*copy = entry->counters;
	SpinLockRelease(&entry->mutex);
}

static Datum
percentile_datum(const DbuHistogram *h, double fraction, bool *isnull)
{
	double		ms = dbu_track_histogram_percentile(h, fraction);

	*isnull = ms < 0;
	return Float8GetDatum(ms);
}

Datum
dbutil_statements(PG_FUNCTION_ARGS)
{
	bool		texts = PG_GETARG_BOOL(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	dbu_require_preload("dbutil.statements");
	InitMaterializedSRF(fcinfo, 0);
	(void) dbu_shmem_dsa();

	LWLockAcquire(&track_shared->lock, LW_SHARED);
	for (int b = 0; b < track_nbuckets; b++)
	{
		for (int32 i = track_buckets[b]; i >= 0; i = track_entries[i].next)
		{
			StatementEntry *entry = &track_entries[i];
			StatementCounters c;
			bool		visible = dbu_may_see(entry->key.username);
			Datum		values[36];
			bool		nulls[36] = {0};
			int			n = 0;

			copy_counters(entry, &c);
			values[n++] = CStringGetTextDatum(track_services[entry->key.service]);
			values[n++] = ObjectIdGetDatum(entry->key.database);
			values[n++] = ObjectIdGetDatum(entry->key.username);
			values[n++] = BoolGetDatum(entry->key.toplevel);
			nulls[n] = !visible;
			values[n++] = Int64GetDatum((int64) entry->key.query_id);
			if (!texts)
				nulls[n++] = true;
			else if (!visible)
				values[n++] = CStringGetTextDatum(DBU_HIDDEN_TEXT);
			else if (!DsaPointerIsValid(entry->text))
				nulls[n++] = true;
			else
			{
				char	   *raw = dsa_get_address(dbu_shmem_dsa(), entry->text);
				char	   *text = pg_any_to_server(raw, entry->text_length, entry->encoding);

				values[n++] = CStringGetTextDatum(text);
				if (text != raw)
					pfree(text);
			}
			values[n++] = CStringGetTextDatum(operation_word(entry->operation));
			values[n++] = Int64GetDatum(c.plans);
			values[n++] = Float8GetDatum(c.total_plan_ms);
			values[n++] = Int64GetDatum(c.plan_cache_hits);
			values[n++] = Int64GetDatum(c.calls);
			values[n++] = Int64GetDatum(c.errors);
			values[n++] = Int64GetDatum(c.rows);
			values[n++] = Float8GetDatum(c.total_exec_ms);
			values[n++] = Float8GetDatum(c.min_exec_ms);
			values[n++] = Float8GetDatum(c.max_exec_ms);
			values[n++] = Float8GetDatum(c.mean_exec_ms);
			values[n++] = Float8GetDatum(c.calls > 0 ? sqrt(c.sum_var_exec / c.calls) : 0);
			values[n] = percentile_datum(&c.histogram, 0.50, &nulls[n]), n++;
			values[n] = percentile_datum(&c.histogram, 0.90, &nulls[n]), n++;
			values[n] = percentile_datum(&c.histogram, 0.95, &nulls[n]), n++;
			values[n] = percentile_datum(&c.histogram, 0.99, &nulls[n]), n++;
			values[n++] = Int64GetDatum(c.buffers.shared_blks_hit);
			values[n++] = Int64GetDatum(c.buffers.shared_blks_read);
			values[n++] = Int64GetDatum(c.buffers.shared_blks_dirtied);
			values[n++] = Int64GetDatum(c.buffers.shared_blks_written);
			values[n++] = Int64GetDatum(c.buffers.local_blks_hit);
			values[n++] = Int64GetDatum(c.buffers.local_blks_read);
			values[n++] = Int64GetDatum(c.buffers.local_blks_dirtied);
			values[n++] = Int64GetDatum(c.buffers.local_blks_written);
			values[n++] = Int64GetDatum(c.buffers.temp_blks_read);
			values[n++] = Int64GetDatum(c.buffers.temp_blks_written);
			values[n++] = Int64GetDatum(c.wal.wal_records);
			values[n++] = Int64GetDatum(c.wal.wal_fpi);
			values[n++] = wal_bytes_datum(c.wal.wal_bytes);
			values[n++] = TimestampTzGetDatum(entry->stats_since);
			Assert(n == (int) lengthof(values));
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	}
	LWLockRelease(&track_shared->lock);
	return (Datum) 0;
}

/* Buckets of one query identifier, merged per service. */
Datum
dbutil_statement_histogram(PG_FUNCTION_ARGS)
{
	uint64		query_id = (uint64) PG_GETARG_INT64(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DbuHistogram *merged;
	bool	   *seen;

	dbu_require_preload("dbutil.statement_histogram");
	InitMaterializedSRF(fcinfo, 0);
	merged = palloc0(mul_size(track_max_services, sizeof(DbuHistogram)));
	seen = palloc0(mul_size(track_max_services, sizeof(bool)));

	LWLockAcquire(&track_shared->lock, LW_SHARED);
	for (int b = 0; b < track_nbuckets; b++)
	{
		for (int32 i = track_buckets[b]; i >= 0; i = track_entries[i].next)
		{
			StatementEntry *entry = &track_entries[i];
			StatementCounters c;

			/* who may not see the identifier may not ask by it either */
			if (entry->key.query_id != query_id || !dbu_may_see(entry->key.username))
				continue;
			copy_counters(entry, &c);
			dbu_track_histogram_merge(&merged[entry->key.service], &c.histogram);
			seen[entry->key.service] = true;
		}
	}
	LWLockRelease(&track_shared->lock);

	for (int s = 0; s < track_max_services; s++)
	{
		for (int b = 0; seen[s] && b < DBU_HISTOGRAM_BUCKETS; b++)
		{
			double		upper = dbu_track_histogram_upper_us(b);
			Datum		values[4];
			bool		nulls[4] = {false, false, upper == 0, false};

			if (merged[s].count[b] == 0)
				continue;
			values[0] = CStringGetTextDatum(track_services[s]);
			values[1] = Float8GetDatum(dbu_track_histogram_lower_us(b));
			values[2] = Float8GetDatum(upper);
			values[3] = Int64GetDatum((int64) merged[s].count[b]);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}

/* Statements of each service, percentiles from the merged histograms. */
Datum
dbutil_services(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	StatementCounters *sum;

	dbu_require_preload("dbutil.services");
	InitMaterializedSRF(fcinfo, 0);
	sum = palloc0(mul_size(track_max_services, sizeof(StatementCounters)));

	LWLockAcquire(&track_shared->lock, LW_SHARED);
	for (int b = 0; b < track_nbuckets; b++)
	{
		for (int32 i = track_buckets[b]; i >= 0; i = track_entries[i].next)
		{
			StatementEntry *entry = &track_entries[i];
			StatementCounters *into = &sum[entry->key.service];
			StatementCounters c;

			if (!entry->key.toplevel)
				continue;		/* its time is in its caller's already */
			copy_counters(entry, &c);
			into->calls += c.calls;
			into->errors += c.errors;
			into->rows += c.rows;
			into->total_exec_ms += c.total_exec_ms;
			into->total_plan_ms += c.total_plan_ms;
			into->plan_cache_hits += c.plan_cache_hits;
			dbu_track_histogram_merge(&into->histogram, &c.histogram);
		}
	}
	LWLockRelease(&track_shared->lock);

	for (int s = 0; s < track_max_services; s++)
	{
		StatementCounters *c = &sum[s];
		Datum		values[11];
		bool		nulls[11] = {0};
		int			n = 0;

		if (c->calls == 0 && c->errors == 0)
			continue;
		values[n++] = CStringGetTextDatum(track_services[s]);
		values[n++] = Int64GetDatum(c->calls);
		values[n++] = Int64GetDatum(c->errors);
		values[n++] = Int64GetDatum(c->rows);
		values[n++] = Float8GetDatum(c->total_exec_ms);
		values[n++] = Float8GetDatum(c->total_plan_ms);
		values[n++] = Int64GetDatum(c->plan_cache_hits);
		values[n] = percentile_datum(&c->histogram, 0.50, &nulls[n]), n++;
		values[n] = percentile_datum(&c->histogram, 0.90, &nulls[n]), n++;
		values[n] = percentile_datum(&c->histogram, 0.95, &nulls[n]), n++;
		values[n] = percentile_datum(&c->histogram, 0.99, &nulls[n]), n++;
		Assert(n == (int) lengthof(values));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
dbutil_track_info(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	Datum		values[9];
	bool		nulls[9] = {0};
	int			n = 0;

	dbu_require_preload("dbutil.track_info");
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("dbutil.track_info must return a row")));

	LWLockAcquire(&track_shared->lock, LW_SHARED);
	values[n++] = TimestampTzGetDatum(track_shared->stats_since);
	values[n++] = Int64GetDatum(track_shared->used_entries);
	values[n++] = Int64GetDatum(track_shared->nservices - 1);
	LWLockRelease(&track_shared->lock);
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&track_shared->evictions));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&track_shared->calls_dropped));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&track_shared->errors_dropped));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&track_shared->texts_dropped));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&track_shared->services_dropped));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&track_shared->transactions_dropped));
	Assert(n == (int) lengthof(values));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

/*
 * Forget statements and transactions.  Mailboxes belong to their writers: the
 * new generation makes what they hold not count, and the writers start anew.
 */
Datum
dbutil_track_reset(PG_FUNCTION_ARGS)
{
	dbu_require_preload("dbutil.track_reset");
	(void) dbu_shmem_dsa();

	LWLockAcquire(&track_shared->lock, LW_EXCLUSIVE);
	dbu_track_statements_reset();
	track_shared->ntransactions = 0;
	pg_atomic_fetch_add_u32(&track_shared->generation, 1);
	pg_atomic_write_u64(&track_shared->evictions, 0);
	pg_atomic_write_u64(&track_shared->calls_dropped, 0);
	pg_atomic_write_u64(&track_shared->errors_dropped, 0);
	pg_atomic_write_u64(&track_shared->texts_dropped, 0);
	pg_atomic_write_u64(&track_shared->services_dropped, 0);
	pg_atomic_write_u64(&track_shared->transactions_dropped, 0);
	track_shared->stats_since = GetCurrentTimestamp();
	LWLockRelease(&track_shared->lock);
	PG_RETURN_VOID();
}
