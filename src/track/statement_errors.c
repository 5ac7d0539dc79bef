/*-------------------------------------------------------------------------
 *
 * statement_errors.c
 *	  Errors per (service, database, user, queryid, toplevel, SQLSTATE).
 *
 * A short array that is searched from end to end: errors are few, or the time
 * that they take is the least of somebody's concerns.  When it is full the
 * place that was used longest ago gives way, counted.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/access.h"
#include "core/errors.h"
#include "track/track.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(dbutil_statement_errors);

/* The place of these errors, a free one, or else the one that gives way. */
static StatementError *
find_place(const StatementKey *key, int sqlstate)
{
	StatementError *free_place = NULL;
	StatementError *oldest = &dbu_track_errors[0];

	for (int i = 0; i < dbu_track_max_errors; i++)
	{
		StatementError *place = &dbu_track_errors[i];

		if (place->sqlstate == sqlstate && memcmp(&place->key, key, sizeof(*key)) == 0)
			return place;
		if (place->sqlstate == 0 && free_place == NULL)
			free_place = place;
		if (place->last_seen < oldest->last_seen)
			oldest = place;
	}
	return free_place ? free_place : oldest;
}

void
dbu_track_add_errors(const StatementKey *key, int sqlstate, int64 errors, int64 caught)
{
	StatementError *place;
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(&dbu_track_shared->error_lock, LW_EXCLUSIVE);
	place = find_place(key, sqlstate);
	if (place->sqlstate != sqlstate || memcmp(&place->key, key, sizeof(*key)) != 0)
	{
		if (place->sqlstate != 0)
			pg_atomic_fetch_add_u64(&dbu_track_shared->error_codes_dropped,
									place->errors + place->caught);
		memset(place, 0, sizeof(*place));
		place->key = *key;
		place->sqlstate = sqlstate;
		place->first_seen = now;
	}
	place->errors += errors;
	place->caught += caught;
	place->last_seen = now;
	LWLockRelease(&dbu_track_shared->error_lock);
}

static void
put_error(ReturnSetInfo *rsinfo, const StatementError *error)
{
	Datum		values[10];
	bool		nulls[10] = {0};

	values[0] = CStringGetTextDatum(dbu_track_services[error->key.service]);
	values[1] = ObjectIdGetDatum(error->key.database);
	values[2] = ObjectIdGetDatum(error->key.username);
	values[3] = BoolGetDatum(error->key.toplevel);
	nulls[4] = error->key.query_id == 0 || !dbu_may_see(error->key.username);
	values[4] = Int64GetDatum((int64) error->key.query_id);
	values[5] = CStringGetTextDatum(unpack_sql_state(error->sqlstate));
	values[6] = Int64GetDatum(error->errors);
	values[7] = Int64GetDatum(error->caught);
	values[8] = TimestampTzGetDatum(error->first_seen);
	values[9] = TimestampTzGetDatum(error->last_seen);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
dbutil_statement_errors(PG_FUNCTION_ARGS)
{
	StatementError *copy;
	Size		size;

	dbu_require_preload("dbutil.statement_errors");
	InitMaterializedSRF(fcinfo, 0);
	size = mul_size(dbu_track_max_errors, sizeof(StatementError));
	copy = palloc(size);
	LWLockAcquire(&dbu_track_shared->error_lock, LW_SHARED);
	memcpy(copy, dbu_track_errors, size);
	LWLockRelease(&dbu_track_shared->error_lock);
	for (int i = 0; i < dbu_track_max_errors; i++)
	{
		if (copy[i].sqlstate != 0)
			put_error((ReturnSetInfo *) fcinfo->resultinfo, &copy[i]);
	}
	pfree(copy);
	return (Datum) 0;
}
