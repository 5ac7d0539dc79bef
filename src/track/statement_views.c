/*-------------------------------------------------------------------------
 *
 * statement_views.c
 *	  The function under dbutil.statements.
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
#include "track/track.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(dbutil_statements);

static const double fractions[NPERCENTILES] = {0.50, 0.90, 0.95, 0.99};

/* What a row of dbutil.statements() is made of. */
typedef struct StatementRow
{
	StatementKey key;
	CmdType		operation;
	int			nrelations;
	Oid			relations[STATEMENT_RELATIONS];
	char	   *text;			/* NULL: none, or none asked for */
	char	   *tags;			/* NULL: none, or none asked for */
	int32		encoding;
	TimestampTz first_seen;
	TimestampTz stats_since;
	TimestampTz minmax_since;
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
	bool		whole;

	row->key = entry->key;
	row->operation = entry->operation;
	row->nrelations = entry->nrelations;
	memcpy(row->relations, entry->relations, sizeof(row->relations));
	row->encoding = entry->encoding;
	row->first_seen = entry->first_seen;
	row->stats_since = entry->stats_since;
	row->minmax_since = entry->minmax_since;
	row->text = row->tags = NULL;
	if (texts && DsaPointerIsValid(entry->text))
	{
		char	   *place = dsa_get_address(dbu_shmem_dsa(), entry->text);

		row->text = pnstrdup(place, entry->text_length);
		if (entry->tags_length > 0)
			row->tags = pnstrdup(place + entry->text_length + 1, entry->tags_length);
	}
	/* bounds that were reset are those of a part only */
	whole = entry->minmax_since == entry->stats_since;
	SpinLockAcquire(&entry->mutex);
	row->counters = entry->counters;
	/* pure arithmetic, and shorter than a copy of the histogram */
	row->has_percentiles =
		dbu_histogram_percentiles(&entry->histogram, whole ? entry->counters.exec.min : 0,
								  whole ? entry->counters.exec.max : DBL_MAX,
								  fractions, NPERCENTILES, row->percentiles);
	SpinLockRelease(&entry->mutex);
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
		{
			const StatementCounters *c = &dbu_track_entries[i].counters;

			/* one that was reset shows again when it is counted again */
			if (c->calls > 0 || c->errors > 0)
				copy_row(&rows[n++], &dbu_track_entries[i], texts);
		}
	}
	LWLockRelease(&dbu_track_shared->lock);
	*count = n;
	return rows;
}

static int
put_times(Datum *values, const DbuTimes *times, int64 count)
{
	int			n = 0;

	values[n++] = Float8GetDatum(times->total);
	values[n++] = Float8GetDatum(times->min);
	values[n++] = Float8GetDatum(times->max);
	values[n++] = Float8GetDatum(times->mean);
	values[n++] = Float8GetDatum(count > 1 ? sqrt(times->sum_var / count) : 0);
	return n;
}

static int
put_jit(Datum *values, const JitCounters *jit)
{
	int			n = 0;

	values[n++] = Int64GetDatum(jit->functions);
	values[n++] = Float8GetDatum(jit->generation_ms);
	values[n++] = Int64GetDatum(jit->inlining_count);
	values[n++] = Float8GetDatum(jit->inlining_ms);
	values[n++] = Int64GetDatum(jit->optimization_count);
	values[n++] = Float8GetDatum(jit->optimization_ms);
	values[n++] = Int64GetDatum(jit->emission_count);
	values[n++] = Float8GetDatum(jit->emission_ms);
	return n;
}

static int
put_buffers(Datum *values, const StatementCounters *c)
{
	int			n = 0;

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
	values[n++] = Float8GetDatum(c->blk_read_ms);
	values[n++] = Float8GetDatum(c->blk_write_ms);
	values[n++] = Float8GetDatum(c->temp_blk_read_ms);
	values[n++] = Float8GetDatum(c->temp_blk_write_ms);
	return n;
}

/* Who ran what: what other roles may not see is hidden. */
static int
put_identity(Datum *values, bool *nulls, StatementRow *row, bool texts, bool visible)
{
	int			n = 0;
	Datum		relations[STATEMENT_RELATIONS];

	values[n++] = CStringGetTextDatum(dbu_track_services[row->key.service]);
	values[n++] = ObjectIdGetDatum(row->key.database);
	values[n++] = ObjectIdGetDatum(row->key.username);
	values[n++] = BoolGetDatum(row->key.toplevel);
	nulls[n] = !visible;
	values[n++] = Int64GetDatum((int64) row->key.query_id);
	nulls[n] = !texts || (visible && row->text == NULL);
	if (!nulls[n] && visible)
		make_valid(row->text, row->encoding);
	values[n] = nulls[n] ? (Datum) 0 : CStringGetTextDatum(visible ? row->text : DBU_HIDDEN_TEXT);
	n++;
	values[n++] = CStringGetTextDatum(operation_word(row->operation));
	for (int i = 0; i < row->nrelations; i++)
		relations[i] = ObjectIdGetDatum(row->relations[i]);
	nulls[n] = !visible || row->nrelations == 0;
	values[n] = nulls[n] ? (Datum) 0 :
		PointerGetDatum(construct_array(relations, row->nrelations, OIDOID, sizeof(Oid), true,
										TYPALIGN_INT));
	n++;
	nulls[n] = !visible || row->tags == NULL;
	if (!nulls[n])
	{
		make_valid(row->tags, row->encoding);
		values[n] = DirectFunctionCall1(jsonb_in, CStringGetDatum(row->tags));
	}
	return n + 1;
}

static int
put_cpu(Datum *values, bool *nulls, const StatementCounters *c)
{
	/* as far as the sample goes for all: by its share of the time */
	double		share = c->cpu_exec_ms > 0 ? c->exec.total / c->cpu_exec_ms : 1;

	values[0] = Int64GetDatum(c->cpu_samples);
	nulls[1] = nulls[2] = c->cpu_samples == 0;
	values[1] = Float8GetDatum(c->cpu_user_ms * share);
	values[2] = Float8GetDatum(c->cpu_system_ms * share);
	return 3;
}

#define STATEMENT_COLUMNS 60

static void
put_statement(ReturnSetInfo *rsinfo, StatementRow *row, bool texts, bool visible)
{
	StatementCounters *c = &row->counters;
	Datum		values[STATEMENT_COLUMNS];
	bool		nulls[STATEMENT_COLUMNS] = {0};
	int			n = put_identity(values, nulls, row, texts, visible);

	values[n++] = Int64GetDatum(c->plans);
	n += put_times(values + n, &c->plan, c->plans);
	values[n++] = Int64GetDatum(c->plan_cache_hits);
	values[n++] = Int64GetDatum(c->calls);
	values[n++] = Int64GetDatum(c->errors);
	nulls[n] = c->last_sqlstate == 0;
	values[n] = nulls[n] ? (Datum) 0 : CStringGetTextDatum(unpack_sql_state(c->last_sqlstate));
	n++;
	values[n++] = Int64GetDatum(c->rows);
	n += put_times(values + n, &c->exec, c->calls);
	for (int p = 0; p < NPERCENTILES; p++)
	{
		nulls[n] = !row->has_percentiles;
		values[n++] = row->has_percentiles ? Float8GetDatum(row->percentiles[p]) : (Datum) 0;
	}
	n += put_buffers(values + n, c);
	values[n++] = Int64GetDatum(c->wal.wal_records);
	values[n++] = Int64GetDatum(c->wal.wal_fpi);
	values[n++] = dbu_track_uint64_datum(c->wal.wal_bytes);
	n += put_jit(values + n, &c->jit);
	n += put_cpu(values + n, nulls + n, c);
	values[n++] = TimestampTzGetDatum(row->first_seen);
	values[n++] = TimestampTzGetDatum(row->stats_since);
	values[n++] = TimestampTzGetDatum(row->minmax_since);
	Assert(n == STATEMENT_COLUMNS);
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
									ALLOCSET_DEFAULT_SIZES);
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
