/*-------------------------------------------------------------------------
 *
 * views.c
 *	  The functions under track's views, and the reset.
 *
 * What is to be shown is copied into local memory under the lock held shared,
 * each entry's counters under its spinlock, so that one look at a view sees
 * each entry once.  Rows are built after that: whose texts and identifiers may
 * be seen (core/access.h) is answered by catalogs, which are not to be read
 * under the lock.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/access.h"
#include "core/errors.h"
#include "core/shmem.h"
#include "track/watch.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(dbutil_statements);
PG_FUNCTION_INFO_V1(dbutil_statement_histogram);
PG_FUNCTION_INFO_V1(dbutil_services);
PG_FUNCTION_INFO_V1(dbutil_track_info);
PG_FUNCTION_INFO_V1(dbutil_track_reset);

#define NPERCENTILES 4
static const double fractions[NPERCENTILES] = {0.50, 0.90, 0.95, 0.99};

/* What a row of dbutil.statements() is made of. */
typedef struct StatementRow
{
	StatementKey key;
	CmdType		operation;
	char	   *text;			/* NULL: none, or none asked for */
	int32		encoding;
	TimestampTz stats_since;
	StatementCounters counters;
	bool		has_percentiles;
	double		percentiles[NPERCENTILES];
} StatementRow;

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

/* The caller holds the lock shared. */
static void
copy_counters(StatementEntry *entry, StatementCounters *counters, DbuHistogram *histogram)
{
	SpinLockAcquire(&entry->mutex);
	*counters = entry->counters;
	*histogram = entry->histogram;
	SpinLockRelease(&entry->mutex);
}

/* A text of another database, which may have another encoding. */
static void
make_valid(char *text, int encoding)
{
	/* conversion may raise, and one text must not spoil the whole view */
	if (encoding == GetDatabaseEncoding())
		return;
	for (char *c = text; *c != '\0'; c++)
	{
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	}
}

static void
copy_row(StatementRow *row, StatementEntry *entry, bool texts)
{
	DbuHistogram histogram;

	row->key = entry->key;
	row->operation = entry->operation;
	row->encoding = entry->encoding;
	row->stats_since = entry->stats_since;
	row->text = NULL;
	if (texts && DsaPointerIsValid(entry->text))
		row->text = pnstrdup(dsa_get_address(dbu_shmem_dsa(), entry->text),
							 entry->text_length);
	copy_counters(entry, &row->counters, &histogram);
	row->has_percentiles =
		dbu_histogram_percentiles(&histogram, row->counters.min_exec_ms,
								  row->counters.max_exec_ms,
								  fractions, NPERCENTILES, row->percentiles);
}

/* A copy of all entries as of one moment, palloc'd. */
static StatementRow *
copy_statements(bool texts, int *count)
{
	StatementRow *rows;
	int			room = 64;
	int			n = 0;

	(void) dbu_shmem_dsa();
	rows = palloc(room * sizeof(StatementRow));
	LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
	while (dbu_track_shared->used_entries > room)
	{
		/* a large allocation takes its time: not under the lock */
		room = dbu_track_shared->used_entries + dbu_track_shared->used_entries / 8 + 64;
		LWLockRelease(&dbu_track_shared->lock);
		pfree(rows);
		rows = palloc_extended(mul_size(room, sizeof(StatementRow)), MCXT_ALLOC_HUGE);
		LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
	}
	for (int b = 0; b < dbu_track_nbuckets; b++)
	{
		for (int32 i = dbu_track_buckets[b]; i >= 0; i = dbu_track_entries[i].next)
			copy_row(&rows[n++], &dbu_track_entries[i], texts);
	}
	LWLockRelease(&dbu_track_shared->lock);
	*count = n;
	return rows;
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

static void
put_statement(ReturnSetInfo *rsinfo, StatementRow *row, bool texts, bool visible)
{
	StatementCounters *c = &row->counters;
	Datum		values[37];
	bool		nulls[37] = {0};
	int			n = 0;

	values[n++] = CStringGetTextDatum(dbu_track_services[row->key.service]);
	values[n++] = ObjectIdGetDatum(row->key.database);
	values[n++] = ObjectIdGetDatum(row->key.username);
	values[n++] = BoolGetDatum(row->key.toplevel);
	nulls[n] = !visible;
	values[n++] = Int64GetDatum((int64) row->key.query_id);
	if (texts && !visible)
		values[n++] = CStringGetTextDatum(DBU_HIDDEN_TEXT);
	else if (row->text != NULL)
	{
		make_valid(row->text, row->encoding);
		values[n++] = CStringGetTextDatum(row->text);
	}
	else
		nulls[n++] = true;
	values[n++] = CStringGetTextDatum(operation_word(row->operation));
	values[n++] = Int64GetDatum(c->plans);
	values[n++] = Float8GetDatum(c->total_plan_ms);
	values[n++] = Float8GetDatum(c->plans > 0 ? c->total_plan_ms / c->plans : 0);
	values[n++] = Int64GetDatum(c->plan_cache_hits);
	values[n++] = Int64GetDatum(c->calls);
	values[n++] = Int64GetDatum(c->errors);
	values[n++] = Int64GetDatum(c->rows);
	values[n++] = Float8GetDatum(c->total_exec_ms);
	values[n++] = Float8GetDatum(c->min_exec_ms);
	values[n++] = Float8GetDatum(c->max_exec_ms);
	values[n++] = Float8GetDatum(c->mean_exec_ms);
	values[n++] = Float8GetDatum(c->calls > 0 ? sqrt(c->sum_var_exec / c->calls) : 0);
	put_percentiles(values, nulls, n, row->has_percentiles, row->percentiles);
	n += NPERCENTILES;
	values[n++] = Int64GetDatum(c->buffers.shared_blks_hit);
	values[n++] = Int64GetDatum(c->buffers.shared_blks_read);
	values[n++] = Int64GetDatum(c->buffers.shared_blks_dirtied);
	values[n++] = Int64GetDatum(c->buffers.shared_blks_written);
	values[n++] = Int64GetDatum(c->buffers.local_blks_hit);
	values[n++] = Int64GetDatum(c->buffers.local_blks_read);
	values[n++] = Int64GetDatum(c->buffers.local_blks_dirtied);
	values[n++] = Int64GetDatum(c->buffers.local_blks_written);
	values[n++] = Int64GetDatum(c->buffers.temp_blks_read);
	values[n++] = Int64GetDatum(c->buffers.temp_blks_written);
	values[n++] = Int64GetDatum(c->wal.wal_records);
	values[n++] = Int64GetDatum(c->wal.wal_fpi);
	values[n++] = wal_bytes_datum(c->wal.wal_bytes);
	values[n++] = TimestampTzGetDatum(row->stats_since);
	Assert(n == (int) lengthof(values));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
dbutil_statements(PG_FUNCTION_ARGS)
{
	bool		texts = PG_GETARG_BOOL(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext per_row;
	MemoryContext caller;
	StatementRow *rows;
	int			count;
	Oid			last_owner = InvalidOid;
	bool		visible = false;

	dbu_require_preload("dbutil.statements");
	InitMaterializedSRF(fcinfo, 0);
	rows = copy_statements(texts, &count);

	per_row = AllocSetContextCreate(CurrentMemoryContext, "dbutil statement row",
									ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(per_row);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (rows[i].key.username != last_owner)
		{
			last_owner = rows[i].key.username;
			visible = dbu_may_see(last_owner);
		}
		put_statement(rsinfo, &rows[i], texts, visible);
		MemoryContextReset(per_row);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(per_row);
	return (Datum) 0;
}

/*
 * One entry's buckets, as dbutil.statement_histogram() copies them; an entry
 * for each (database, role, toplevel) of the same query.
 */
typedef struct HistogramCopy
{
	StatementKey key;
	DbuHistogram histogram;
} HistogramCopy;

/* Buckets of one query identifier, merged per service. */
Datum
dbutil_statement_histogram(PG_FUNCTION_ARGS)
{
	uint64		query_id = (uint64) PG_GETARG_INT64(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	HistogramCopy *copies;
	DbuHistogram *merged;
	bool	   *seen;
	int			room = 64;
	int			n = 0;

	dbu_require_preload("dbutil.statement_histogram");
	InitMaterializedSRF(fcinfo, 0);
	copies = palloc(room * sizeof(HistogramCopy));

	LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
	for (int b = 0; b < dbu_track_nbuckets; b++)
	{
		for (int32 i = dbu_track_buckets[b]; i >= 0; i = dbu_track_entries[i].next)
		{
			StatementCounters unused;

			if (dbu_track_entries[i].key.query_id != query_id)
				continue;
			if (n == room)
			{
				room *= 2;
				copies = repalloc_huge(copies, room * sizeof(HistogramCopy));
			}
			copies[n].key = dbu_track_entries[i].key;
			copy_counters(&dbu_track_entries[i], &unused, &copies[n].histogram);
			n++;
		}
	}
	LWLockRelease(&dbu_track_shared->lock);

	merged = palloc0(mul_size(dbu_track_max_services, sizeof(DbuHistogram)));
	seen = palloc0(mul_size(dbu_track_max_services, sizeof(bool)));
	for (int i = 0; i < n; i++)
	{
		/* who may not see the identifier may not ask by it either */
		if (!dbu_may_see(copies[i].key.username))
			continue;
		dbu_histogram_merge(&merged[copies[i].key.service], &copies[i].histogram);
		seen[copies[i].key.service] = true;
	}

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
add_to_service(ServiceSum *sum, StatementEntry *entry)
{
	StatementCounters *into = &sum->counters;
	StatementCounters c;
	DbuHistogram histogram;

	copy_counters(entry, &c, &histogram);
	if (c.calls > 0)
	{
		if (into->calls == 0 || c.min_exec_ms < into->min_exec_ms)
			into->min_exec_ms = c.min_exec_ms;
		into->max_exec_ms = Max(into->max_exec_ms, c.max_exec_ms);
	}
	into->calls += c.calls;
	into->errors += c.errors;
	into->rows += c.rows;
	into->total_exec_ms += c.total_exec_ms;
	into->total_plan_ms += c.total_plan_ms;
	into->plan_cache_hits += c.plan_cache_hits;
	dbu_histogram_merge(&sum->histogram, &histogram);
}

/* Statements of each service, percentiles from the merged histograms. */
Datum
dbutil_services(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ServiceSum *sums;

	dbu_require_preload("dbutil.services");
	InitMaterializedSRF(fcinfo, 0);
	sums = palloc0(mul_size(dbu_track_max_services, sizeof(ServiceSum)));

	LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
	for (int b = 0; b < dbu_track_nbuckets; b++)
	{
		for (int32 i = dbu_track_buckets[b]; i >= 0; i = dbu_track_entries[i].next)
		{
			StatementEntry *entry = &dbu_track_entries[i];

			/* the time of a nested statement is in its caller's already */
			if (entry->key.toplevel)
				add_to_service(&sums[entry->key.service], entry);
		}
	}
	LWLockRelease(&dbu_track_shared->lock);

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
		valid = dbu_histogram_percentiles(&sums[s].histogram, c->min_exec_ms,
										  c->max_exec_ms, fractions,
										  NPERCENTILES, percentiles);
		values[n++] = CStringGetTextDatum(dbu_track_services[s]);
		values[n++] = Int64GetDatum(c->calls);
		values[n++] = Int64GetDatum(c->errors);
		values[n++] = Int64GetDatum(c->rows);
		values[n++] = Float8GetDatum(c->total_exec_ms);
		values[n++] = Float8GetDatum(c->total_plan_ms);
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
	Datum		values[9];
	bool		nulls[9] = {0};
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
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&dbu_track_shared->texts_dropped));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&dbu_track_shared->services_dropped));
	values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(&dbu_track_shared->transactions_dropped));
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

	LWLockAcquire(&dbu_track_shared->lock, LW_EXCLUSIVE);
	dbu_track_statements_reset();
	dbu_track_shared->ntransactions = 0;
	pg_atomic_fetch_add_u32(&dbu_track_shared->generation, 1);
	pg_atomic_write_u64(&dbu_track_shared->evictions, 0);
	pg_atomic_write_u64(&dbu_track_shared->calls_dropped, 0);
	pg_atomic_write_u64(&dbu_track_shared->errors_dropped, 0);
	pg_atomic_write_u64(&dbu_track_shared->texts_dropped, 0);
	pg_atomic_write_u64(&dbu_track_shared->services_dropped, 0);
	pg_atomic_write_u64(&dbu_track_shared->transactions_dropped, 0);
	dbu_track_shared->stats_since = GetCurrentTimestamp();
	LWLockRelease(&dbu_track_shared->lock);
	dbu_tables_reset();
	PG_RETURN_VOID();
}
