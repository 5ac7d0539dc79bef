/*-------------------------------------------------------------------------
 *
 * reset.c
 *	  Forgetting what was counted: all of it, or of some statements.
 *
 * A statement that is reset keeps its entry and its text, so that it is still
 * known when it was first seen, until another one needs the place.  Others may
 * count meanwhile, under an entry's spinlock: it is read and forgotten in one
 * section of that, so what a reset returns is exactly what it took away.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/errors.h"
#include "track/track.h"
#include "track/watch.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(dbutil_reset_statements);
PG_FUNCTION_INFO_V1(dbutil_pg_stat_statements_reset);
PG_FUNCTION_INFO_V1(dbutil_track_reset);

/* Which statements, and what came of it. */
typedef struct Reset
{
	const char *service;		/* NULL: any */
	Oid			username;		/* InvalidOid: any */
	Oid			database;		/* InvalidOid: any */
	uint64		query_id;		/* 0: any */
	bool		minmax_only;
	int64		statements;
	int64		calls;
	int64		errors;
} Reset;

/*
 * The service whose name is most like this one, NULL if none is.  Names are
 * never taken away or changed, so those below nservices are read without the lock.
 */
static const char *
nearest_service(const char *name, int nservices)
{
	const char *nearest = NULL;
	int			length = strlen(name);
	int			best = length / 2;	/* with more to change it is another word */

	for (int i = 0; i < nservices && best > 0; i++)
	{
		const char *service = dbu_track_services[i];
		int			distance = varstr_levenshtein_less_equal(name, length, service, strlen(service),
															 1, 1, 1, best, true);

		if (distance > best || (nearest != NULL && distance == best))
			continue;
		nearest = service;
		best = distance;
	}
	return nearest;
}

/* A WARNING if there is no such service: what resets it may run before it first connects. */
static void
warn_of_unknown_service(const char *name)
{
	const char *nearest;
	int			nservices;
	bool		known = false;

	LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
	nservices = dbu_track_shared->nservices;
	LWLockRelease(&dbu_track_shared->lock);
	for (int i = 0; i < nservices && !known; i++)
		known = strcmp(dbu_track_services[i], name) == 0;
	if (known)
		return;
	nearest = nearest_service(name, nservices);
	ereport(WARNING,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("service \"%s\" is not known to tracking", name),
			 nearest != NULL ? errhint("Perhaps you meant the service \"%s\".", nearest) :
			 errhint("The view dbutil.services lists those that are.")));
}

/* A service as it is stored; NULL: any. */
static char *
service_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *name;

	if (PG_ARGISNULL(n))
		return NULL;
	name = palloc(NAMEDATALEN);
	strlcpy(name, text_to_cstring(PG_GETARG_TEXT_PP(n)), NAMEDATALEN);
	dbu_track_clean_name(name, name);
	return name;
}

static bool
matches(const Reset *reset, const StatementKey *key)
{
	return (reset->service == NULL || strcmp(dbu_track_services[key->service], reset->service) == 0) &&
		(!OidIsValid(reset->username) || key->username == reset->username) &&
		(!OidIsValid(reset->database) || key->database == reset->database) &&
		(reset->query_id == 0 || key->query_id == reset->query_id);
}

/* Exclusive lock. */
static void
reset_entry(Reset *reset, StatementEntry *entry, TimestampTz now)
{
	StatementCounters *c = &entry->counters;
	int64		calls;
	int64		errors;

	/* others count meanwhile: what is added up here is what is forgotten */
	SpinLockAcquire(&entry->mutex);
	calls = c->calls;
	errors = c->errors;
	if (calls == 0 && errors == 0)
	{
		SpinLockRelease(&entry->mutex);
		return;
	}
	if (reset->minmax_only)
	{
		c->exec.min = c->exec.max = c->plan.min = c->plan.max = 0;
		c->exec.has_range = c->plan.has_range = false;
		entry->minmax_since = now;
	}
	else
		dbu_track_clear_statement(entry, now);
	SpinLockRelease(&entry->mutex);

	reset->statements++;
	if (reset->minmax_only)
		return;
	reset->calls += calls;
	reset->errors += errors;
	dbu_track_list_statement(entry);
}

/* Exclusive lock. */
static void
reset_statements(Reset *reset, TimestampTz now)
{
	for (int b = 0; b < dbu_track_nbuckets; b++)
	{
		for (int32 i = dbu_track_buckets[b]; i >= 0; i = dbu_track_entries[i].next)
		{
			if (matches(reset, &dbu_track_entries[i].key))
				reset_entry(reset, &dbu_track_entries[i], now);
		}
	}
}

static void
reset_errors(const Reset *reset)
{
	LWLockAcquire(&dbu_track_shared->error_lock, LW_EXCLUSIVE);
	for (int i = 0; i < dbu_track_max_errors; i++)
	{
		if (matches(reset, &dbu_track_errors[i].key))
			memset(&dbu_track_errors[i], 0, sizeof(StatementError));
	}
	LWLockRelease(&dbu_track_shared->error_lock);
}

/* Statements only: transactions and losses stay. */
Datum
dbutil_reset_statements(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	Datum		values[4];
	bool		nulls[4] = {0};
	TimestampTz now = GetCurrentTimestamp();
	Reset		reset = {
		.service = service_argument(fcinfo, 0),
		.username = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1),
		.database = PG_ARGISNULL(2) ? InvalidOid : PG_GETARG_OID(2),
		.query_id = PG_ARGISNULL(3) ? 0 : (uint64) PG_GETARG_INT64(3),
		.minmax_only = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4),
	};

	dbu_require_preload("dbutil.reset_statements");
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("dbutil.reset_statements must return a row")));
	if (reset.service != NULL)
		warn_of_unknown_service(reset.service);

	LWLockAcquire(&dbu_track_shared->lock, LW_EXCLUSIVE);
	reset_statements(&reset, now);
	LWLockRelease(&dbu_track_shared->lock);
	if (!reset.minmax_only)
		reset_errors(&reset);
	dbu_track_save_soon();

	values[0] = Int64GetDatum(reset.statements);
	values[1] = Int64GetDatum(reset.calls);
	values[2] = Int64GetDatum(reset.errors);
	values[3] = TimestampTzGetDatum(now);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

/* Exclusive lock. */
static void
reset_losses(TimestampTz now)
{
	for (int i = 0; i < TRACK_LOSSES; i++)
		pg_atomic_write_u64(dbu_track_loss(i), 0);
	dbu_track_shared->stats_since = now;
}

Datum
dbutil_pg_stat_statements_reset(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	Reset		reset = {
		.username = PG_GETARG_OID(0),
		.database = PG_GETARG_OID(1),
		.query_id = (uint64) PG_GETARG_INT64(2),
	};

	dbu_require_preload("dbutil.pg_stat_statements_reset");
	LWLockAcquire(&dbu_track_shared->lock, LW_EXCLUSIVE);
	reset_statements(&reset, now);
	if (!OidIsValid(reset.username) && !OidIsValid(reset.database) && reset.query_id == 0)
		reset_losses(now);
	LWLockRelease(&dbu_track_shared->lock);
	reset_errors(&reset);
	dbu_track_save_soon();
	PG_RETURN_VOID();
}

/*
 * Forget statements, errors, transactions and losses.  Rings belong to their
 * writers: the new generation makes what they hold not count.
 */
void
dbu_track_forget(void)
{
	Reset		all = {0};
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(&dbu_track_shared->lock, LW_EXCLUSIVE);
	reset_statements(&all, now);
	reset_losses(now);
	LWLockRelease(&dbu_track_shared->lock);
	reset_errors(&all);
	dbu_track_transactions_reset();
}

Datum
dbutil_track_reset(PG_FUNCTION_ARGS)
{
	dbu_require_preload("dbutil.track_reset");
	dbu_track_forget();
	dbu_track_save_soon();
	dbu_tables_reset();
	PG_RETURN_VOID();
}
