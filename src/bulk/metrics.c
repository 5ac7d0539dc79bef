/*-------------------------------------------------------------------------
 *
 * metrics.c
 *	  Shared memory: what bulk calls have done since the last reset, and what
 *	  the running ones are at.
 *
 * Metrics are few, one for each service, table and operation: an array under
 * the lock, written once at the end of a call and after each chunk of a
 * procedure.  What finds no room there is counted as dropped.
 *
 * Progress has a place for each process.  Its owner writes it with plain stores
 * and no lock; a reader may see counters of slightly different moments.  active
 * is set last and cleared first.  A call within a call, from a trigger, is not
 * shown.
 *
 * Without preload there is no shared memory, and nothing is recorded.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"
#include "core/access.h"
#include "core/errors.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(dbutil_bulk_metrics);
PG_FUNCTION_INFO_V1(dbutil_bulk_metrics_reset);
PG_FUNCTION_INFO_V1(dbutil_bulk_running);

#define MAX_METRICS 1024

typedef struct Metric
{
	Oid			database;
	Oid			relid;
	DbuBulkOp	op;
	char		service[NAMEDATALEN];
	int64		calls;			/* of functions, and of chunks of procedures */
	DbuBulkResult sum;			/* counters only */
	TimestampTz last_at;
} Metric;

typedef struct Progress
{
	volatile bool active;
	int			pid;
	TimestampTz backend_start;
	Oid			database;
	Oid			role;
	Oid			relid;
	DbuBulkOp	op;
	TimestampTz started_at;
	int64		rows_expected;	/* -1: not known */
	int64		rows_read;
	int64		rows_done;
	int64		chunks;
} Progress;

typedef struct BulkShared
{
	LWLock		lock;			/* guards nmetrics, dropped and metrics */
	int32		nmetrics;
	int64		dropped;
	TimestampTz since;
	Metric		metrics[MAX_METRICS];
	Progress	progress[FLEXIBLE_ARRAY_MEMBER];	/* of each process */
} BulkShared;

static BulkShared *shared = NULL;
static const DbuBulkCall *shown = NULL; /* the call in this process's place */

static int
nprocesses(void)
{
	return MaxBackends + NUM_AUXILIARY_PROCS;
}

Size
dbu_bulk_shmem_size(void)
{
	return add_size(offsetof(BulkShared, progress), mul_size(nprocesses(), sizeof(Progress)));
}

void
dbu_bulk_shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	shared = chunk;
	if (found)
		return;
	LWLockInitialize(&shared->lock, lwlock_tranche);
	shared->since = GetCurrentTimestamp();
}

/* ---------- progress ---------- */

static Progress *
own_place(void)
{
	return &shared->progress[MyProc - ProcGlobal->allProcs];
}

/* A call begins to read its rows. */
void
dbu_bulk_progress_begin(const DbuBulkCall *call)
{
	Progress   *place;

	if (shared == NULL || shown != NULL || call->batches != NULL)
		return;
	shown = call;
	place = own_place();
	place->active = false;
	pg_write_barrier();
	place->pid = MyProcPid;
	place->backend_start = MyStartTimestamp;
	place->database = MyDatabaseId;
	place->role = GetUserId();
	place->relid = call->target->relid;
	place->op = call->op;
	place->started_at = GetCurrentTimestamp();
	place->rows_expected = call->rows_expected;
	place->rows_read = place->rows_done = place->chunks = 0;
	pg_write_barrier();
	place->active = true;
}

void
dbu_bulk_progress_update(const DbuBulkCall *call)
{
	const DbuBulkResult *res = &call->res;
	Progress   *place;

	if (shown != call)
		return;
	place = own_place();
	place->rows_read = res->rows_in;
	place->rows_done = res->inserted + res->updated + res->unchanged + res->deleted + res->conflicts +
		res->missing + res->suppressed + res->rejected;
	place->chunks = res->chunks;
}

/* Also in an error path: plain stores only. */
void
dbu_bulk_progress_end(const DbuBulkCall *call)
{
	if (shown != call)
		return;
	own_place()->active = false;
	shown = NULL;
}

/* ---------- metrics ---------- */

/* Under the lock; NULL: there is no room. */
static Metric *
find_metric(Oid relid, DbuBulkOp op, const char *service)
{
	Metric	   *metric;

	for (int i = 0; i < shared->nmetrics; i++)
	{
		metric = &shared->metrics[i];
		if (metric->relid == relid && metric->op == op && metric->database == MyDatabaseId &&
			strcmp(metric->service, service) == 0)
			return metric;
	}
	if (shared->nmetrics == MAX_METRICS)
		return NULL;
	metric = &shared->metrics[shared->nmetrics++];
	memset(metric, 0, sizeof(*metric));
	metric->database = MyDatabaseId;
	metric->relid = relid;
	metric->op = op;
	strlcpy(metric->service, service, NAMEDATALEN);
	return metric;
}

/* A call, or a chunk, did this; whether its transaction commits is another matter. */
void
dbu_bulk_metrics_add(Oid relid, DbuBulkOp op, const DbuBulkResult *res)
{
	char		service[NAMEDATALEN];
	Metric	   *metric;

	if (shared == NULL)
		return;
	strlcpy(service, dbu_service(), NAMEDATALEN);
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	metric = find_metric(relid, op, service);
	if (metric == NULL)
		shared->dropped++;
	else
	{
		dbu_bulk_result_count(&metric->sum, res);
		metric->sum.chunks += res->chunks;
		metric->sum.retries += res->retries;
		metric->sum.elapsed_ms += res->elapsed_ms;
		metric->sum.throttled_ms += res->throttled_ms;
		metric->sum.wal_bytes += res->wal_bytes;
		metric->calls++;
		metric->last_at = GetCurrentTimestamp();
	}
	LWLockRelease(&shared->lock);
}

/* ---------- SQL ---------- */

static void
put_metric(ReturnSetInfo *rsinfo, const Metric *metric)
{
#define NMETRIC 20
	const DbuBulkResult *sum = &metric->sum;
	int			n = 0;
	Datum		values[NMETRIC];
	bool		nulls[NMETRIC] = {0};

	values[n++] = CStringGetTextDatum(metric->service);
	values[n++] = ObjectIdGetDatum(metric->relid);
	values[n++] = CStringGetTextDatum(dbu_bulk_op_names[metric->op]);
	values[n++] = Int64GetDatum(metric->calls);
	values[n++] = Int64GetDatum(sum->rows_in);
	values[n++] = Int64GetDatum(sum->inserted);
	values[n++] = Int64GetDatum(sum->updated);
	values[n++] = Int64GetDatum(sum->unchanged);
	values[n++] = Int64GetDatum(sum->deleted);
	values[n++] = Int64GetDatum(sum->conflicts);
	values[n++] = Int64GetDatum(sum->missing);
	values[n++] = Int64GetDatum(sum->suppressed);
	values[n++] = Int64GetDatum(sum->rejected);
	values[n++] = Int64GetDatum(sum->chunks);
	values[n++] = Int64GetDatum(sum->retries);
	values[n++] = Float8GetDatum(sum->elapsed_ms);
	values[n++] = Float8GetDatum(sum->throttled_ms);
	values[n++] = Int64GetDatum((int64) sum->wal_bytes);
	values[n++] = TimestampTzGetDatum(metric->last_at);
	values[n++] = TimestampTzGetDatum(shared->since);
	Assert(n == NMETRIC);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
dbutil_bulk_metrics(PG_FUNCTION_ARGS)
{
	Metric	   *copy;
	int			n;

	dbu_require_preload("dbutil.bulk_metrics");
	InitMaterializedSRF(fcinfo, 0);
	copy = palloc(sizeof(Metric) * MAX_METRICS);
	LWLockAcquire(&shared->lock, LW_SHARED);
	n = shared->nmetrics;
	memcpy(copy, shared->metrics, sizeof(Metric) * n);
	LWLockRelease(&shared->lock);
	for (int i = 0; i < n; i++)
	{
		if (copy[i].database == MyDatabaseId)
			put_metric((ReturnSetInfo *) fcinfo->resultinfo, &copy[i]);
	}
	return (Datum) 0;
}

Datum
dbutil_bulk_metrics_reset(PG_FUNCTION_ARGS)
{
	dbu_require_preload("dbutil.bulk_metrics_reset()");
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	shared->nmetrics = 0;
	shared->dropped = 0;
	shared->since = GetCurrentTimestamp();
	LWLockRelease(&shared->lock);
	PG_RETURN_VOID();
}

Datum
dbutil_bulk_running(PG_FUNCTION_ARGS)
{
#define NRUNNING 9
	ReturnSetInfo *rsinfo;

	InitMaterializedSRF(fcinfo, 0);
	rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	for (int i = 0; shared != NULL && i < nprocesses(); i++)
	{
		Progress	place = shared->progress[i];
		Datum		values[NRUNNING];
		bool		nulls[NRUNNING] = {0};

		if (!place.active || place.database != MyDatabaseId || !dbu_may_see(place.role))
			continue;
		values[0] = Int32GetDatum(place.pid);
		values[1] = TimestampTzGetDatum(place.backend_start);
		values[2] = ObjectIdGetDatum(place.relid);
		values[3] = CStringGetTextDatum(dbu_bulk_op_names[place.op]);
		values[4] = TimestampTzGetDatum(place.started_at);
		nulls[5] = place.rows_expected < 0;
		values[5] = Int64GetDatum(place.rows_expected);
		values[6] = Int64GetDatum(place.rows_read);
		values[7] = Int64GetDatum(place.rows_done);
		values[8] = Int64GetDatum(place.chunks);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

void
dbu_bulk_status(DbuStatusSink *sink)
{
	int64		dropped;
	int			n;

	if (shared == NULL)
	{
		dbu_status_row(sink, "bulk metrics", DBU_STATUS_OFF, "no shared memory",
					   "add dbutil to shared_preload_libraries and restart the server");
		return;
	}
	LWLockAcquire(&shared->lock, LW_SHARED);
	dropped = shared->dropped;
	n = shared->nmetrics;
	LWLockRelease(&shared->lock);
	dbu_status_row(sink, "bulk metrics", dropped > 0 ? DBU_STATUS_WARN : DBU_STATUS_OK,
				   psprintf("%d of %d used, " INT64_FORMAT " calls dropped", n, MAX_METRICS, dropped),
				   dropped > 0 ? "call dbutil.bulk_metrics_reset()" : NULL);
}
