/*-------------------------------------------------------------------------
 *
 * samples.c
 *	  What changed in a database of late, for checks of rates.
 *
 * PostgreSQL counts since the last reset, which may be a year ago; a storm of
 * deadlocks does not show in that.  So each look at a database's health leaves
 * its counters behind, in shared memory, and is compared with one a minute or
 * more older.  Who looks often does not push the older ones out: a new sample is
 * kept only if the last one is old enough.
 *
 * The function reads the counters itself.  Were they its arguments, any role
 * could leave wrong ones for the others.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/module.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#define SAMPLES 4				/* a database keeps */
#define DATABASES 64			/* those beyond take the place of the one unseen longest */
#define KEEP_EVERY_MS (30 * 1000)
#define COMPARE_AFTER_MS (60 * 1000)

enum
{
	COMMITS,
	ROLLBACKS,
	DEADLOCKS,
	TEMP_BYTES,
	SESSIONS,
	NCOUNTERS
};

typedef struct Sample
{
	TimestampTz at;				/* 0: none */
	int64		counters[NCOUNTERS];
} Sample;

typedef struct DatabaseSamples
{
	Oid			database;		/* InvalidOid: free */
	int			newest;			/* index of the newest sample */
	Sample		samples[SAMPLES];
} DatabaseSamples;

typedef struct SharedSamples
{
	LWLock		lock;			/* for all below */
	DatabaseSamples databases[DATABASES];
} SharedSamples;

static SharedSamples *shared = NULL;

PG_FUNCTION_INFO_V1(dbutil_health_changes);

static Size
shmem_size(void)
{
	return sizeof(SharedSamples);
}

static void
shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	shared = chunk;
	if (!found)
		LWLockInitialize(&shared->lock, lwlock_tranche);
}

const DbuModule dbu_health_module = {
	.name = "health",
	.shmem_size = shmem_size,
	.shmem_attach = shmem_attach,
	.tranche_name = "DbutilHealth",
};

static void
take_sample(Sample *sample)
{
	Datum		database = ObjectIdGetDatum(MyDatabaseId);

	sample->at = GetCurrentTimestamp();
	sample->counters[COMMITS] = DatumGetInt64(DirectFunctionCall1(pg_stat_get_db_xact_commit, database));
	sample->counters[ROLLBACKS] = DatumGetInt64(DirectFunctionCall1(pg_stat_get_db_xact_rollback, database));
	sample->counters[DEADLOCKS] = DatumGetInt64(DirectFunctionCall1(pg_stat_get_db_deadlocks, database));
	sample->counters[TEMP_BYTES] = DatumGetInt64(DirectFunctionCall1(pg_stat_get_db_temp_bytes, database));
	sample->counters[SESSIONS] = DatumGetInt64(DirectFunctionCall1(pg_stat_get_db_sessions, database));
}

/* This database's place, a new one if it has none.  Holds the lock. */
static DatabaseSamples *
find_place(Oid database)
{
	DatabaseSamples *best = &shared->databases[0];

	for (int i = 0; i < DATABASES; i++)
	{
		DatabaseSamples *place = &shared->databases[i];

		if (place->database == database)
			return place;
		/* a free one is the oldest of all */
		if (place->samples[place->newest].at < best->samples[best->newest].at)
			best = place;
	}
	memset(best, 0, sizeof(*best));
	best->database = database;
	return best;
}

/*
 * Was the older one taken before the newer, of the same counters?  Not if the
 * clock was set back, or statistics were reset.
 */
static bool
comparable(const Sample *older, const Sample *newer)
{
	if (older->at == 0 || older->at > newer->at)
		return false;
	for (int i = 0; i < NCOUNTERS; i++)
	{
		if (older->counters[i] > newer->counters[i])
			return false;
	}
	return true;
}

/*
 * The sample to compare with: the newest of those old enough, else the oldest;
 * .at is 0 if there is none.  Holds the lock.
 */
static Sample
find_base(const DatabaseSamples *place, const Sample *now)
{
	Sample		base = {0};

	for (int age = 0; age < SAMPLES; age++)
	{
		const Sample *sample = &place->samples[(place->newest + SAMPLES - age) % SAMPLES];

		if (!comparable(sample, now))
			break;
		base = *sample;
		if (TimestampDifferenceExceeds(sample->at, now->at, COMPARE_AFTER_MS))
			break;
	}
	return base;
}

/* Holds the lock. */
static void
keep_sample(DatabaseSamples *place, const Sample *now)
{
	const Sample *newest = &place->samples[place->newest];

	if (newest->at != 0 && !comparable(newest, now))
		memset(place->samples, 0, sizeof(place->samples));
	else if (newest->at != 0 && !TimestampDifferenceExceeds(newest->at, now->at, KEEP_EVERY_MS))
		return;
	place->newest = (place->newest + 1) % SAMPLES;
	place->samples[place->newest] = *now;
}

Datum
dbutil_health_changes(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[1 + NCOUNTERS] = {0};
	bool		nulls[1 + NCOUNTERS];
	Sample		now;
	Sample		base = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (shared != NULL)
	{
		DatabaseSamples *place;

		take_sample(&now);
		LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
		place = find_place(MyDatabaseId);
		base = find_base(place, &now);
		keep_sample(place, &now);
		LWLockRelease(&shared->lock);
	}

	memset(nulls, base.at == 0, sizeof(nulls));
	if (base.at != 0)
	{
		values[0] = Float8GetDatum((now.at - base.at) / 1e6);
		for (int i = 0; i < NCOUNTERS; i++)
			values[1 + i] = Int64GetDatum(now.counters[i] - base.counters[i]);
	}
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
