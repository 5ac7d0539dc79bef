/*-------------------------------------------------------------------------
 *
 * statement_views.c
 *	  The function under dbutil.statements.
 *
 * Entries are read by look.c, and rows are built of its copies while no lock is
 * held: whose texts and identifiers may be seen (core/access.h) is answered by
 * catalogs, which are not to be read under it.
 *
 * Scrapers read all entries every few seconds, so what is the same in most rows
 * (the service's name, the operation, a zero) is made once.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/access.h"
#include "core/errors.h"
#include "track/look.h"

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

/* What rows share, made once for a look. */
typedef struct SharedDatums
{
	MemoryContext context;
	Datum	   *services;		/* 0: not made yet */
	Datum		operations[CMD_NOTHING + 1];
	Datum		zero;			/* numeric */
} SharedDatums;

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
shared_text(SharedDatums *shared, Datum *place, const char *string)
{
	if (*place == (Datum) 0)
	{
		MemoryContext caller = MemoryContextSwitchTo(shared->context);

		*place = CStringGetTextDatum(string);
		MemoryContextSwitchTo(caller);
	}
	return *place;
}

static void
make_shared(SharedDatums *shared)
{
	memset(shared, 0, sizeof(*shared));
	shared->context = CurrentMemoryContext;
	shared->services = palloc0(mul_size(dbu_track_max_services, sizeof(Datum)));
	shared->zero = dbu_track_uint64_datum(0);
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
put_identity(Datum *values, bool *nulls, SharedDatums *shared, DbuTrackRow *row, bool texts,
			 bool visible)
{
	int			n = 0;
	Datum		relations[STATEMENT_RELATIONS];

	values[n++] = shared_text(shared, &shared->services[row->key.service],
							  dbu_track_services[row->key.service]);
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
	values[n++] = shared_text(shared, &shared->operations[row->operation],
							  operation_word(row->operation));
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
put_statement(ReturnSetInfo *rsinfo, SharedDatums *shared, DbuTrackRow *row, bool texts,
			  bool visible)
{
	StatementCounters *c = &row->counters;
	Datum		values[STATEMENT_COLUMNS];
	bool		nulls[STATEMENT_COLUMNS] = {0};
	double		percentiles[NPERCENTILES];
	bool		any = dbu_histogram_percentiles(&row->histogram, row->min_ms, row->max_ms,
												fractions, NPERCENTILES, percentiles);
	int			n = put_identity(values, nulls, shared, row, texts, visible);

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
		nulls[n] = !any;
		values[n++] = any ? Float8GetDatum(percentiles[p]) : (Datum) 0;
	}
	n += put_buffers(values + n, c);
	values[n++] = Int64GetDatum(c->wal.wal_records);
	values[n++] = Int64GetDatum(c->wal.wal_fpi);
	values[n++] = c->wal.wal_bytes == 0 ? shared->zero : dbu_track_uint64_datum(c->wal.wal_bytes);
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
	MemoryContext per_batch;
	DbuTrackLook look;
	SharedDatums shared;
	Oid			last_owner = InvalidOid;
	bool		visible = false;

	dbu_require_preload("dbutil.statements");
	InitMaterializedSRF(fcinfo, 0);
	make_shared(&shared);
	dbu_track_look_begin(&look, texts);
	per_batch = AllocSetContextCreate(CurrentMemoryContext, "dbutil statement rows",
									  ALLOCSET_DEFAULT_SIZES);
	while (dbu_track_look_next(&look))
	{
		MemoryContext caller = MemoryContextSwitchTo(per_batch);

		for (int i = 0; i < look.count; i++)
		{
			DbuTrackRow *row = &look.rows[i];

			if (row->key.username != last_owner)
			{
				last_owner = row->key.username;
				visible = dbu_may_see(last_owner);
			}
			put_statement(rsinfo, &shared, row, texts, visible);
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(per_batch);
	}
	dbu_track_look_end(&look);
	MemoryContextDelete(per_batch);
	return (Datum) 0;
}
