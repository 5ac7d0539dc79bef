/*-------------------------------------------------------------------------
 *
 * transaction_views.c
 *	  The functions under dbutil.transactions and dbutil.active_transactions,
 *	  and the one that names a transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/access.h"
#include "core/errors.h"
#include "track/watch.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(dbutil_transactions);
PG_FUNCTION_INFO_V1(dbutil_active_transactions);
PG_FUNCTION_INFO_V1(dbutil_track_transaction);

static const double duration_fractions[] = {0.50, 0.90, 0.95, 0.99};
static const double commit_fractions[] = {0.50, 0.99};

static Datum
ids_datum(const TransactionShape *shape)
{
	Datum		ids[DBU_XACT_IDS];

	for (uint32 i = 0; i < shape->nids; i++)
		ids[i] = Int64GetDatum((int64) shape->ids[i]);
	return PointerGetDatum(construct_array(ids, shape->nids, INT8OID, 8, FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

static void
put_shape(Datum *values, bool *nulls, const TransactionShape *shape)
{
	bool		visible = dbu_may_see(shape->key.username);

	values[0] = CStringGetTextDatum(dbu_track_services[shape->key.service]);
	values[1] = ObjectIdGetDatum(shape->key.database);
	values[2] = ObjectIdGetDatum(shape->key.username);
	nulls[3] = !visible;
	values[3] = Int64GetDatum((int64) shape->key.shape);
	nulls[4] = !shape->key.named;
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(shape->name);
	nulls[5] = !visible || shape->nids == 0;
	values[5] = nulls[5] ? (Datum) 0 : ids_datum(shape);
}

static void
put_transaction(ReturnSetInfo *rsinfo, const TransactionEntry *entry)
{
	const TransactionCounters *c = &entry->counters;
	int64		rollbacks = 0;
	int64		commits = c->outcomes[DBU_XACT_COMMITTED];
	double		durations[lengthof(duration_fractions)];
	double		commit_times[lengthof(commit_fractions)];
	bool		committed;
	Datum		values[35];
	bool		nulls[35] = {0};
	int			n = 6;

	put_shape(values, nulls, &entry->shape);
	for (int i = DBU_XACT_COMMITTED + 1; i < DBU_XACT_OUTCOMES; i++)
		rollbacks += c->outcomes[i];
	values[n++] = Int64GetDatum(commits);
	values[n++] = Int64GetDatum(rollbacks);
	for (int i = DBU_XACT_COMMITTED + 1; i < DBU_XACT_OUTCOMES; i++)
		values[n++] = Int64GetDatum(c->outcomes[i]);
	values[n++] = Int64GetDatum(c->statements);
	values[n++] = Int64GetDatum(c->wrote);
	values[n++] = Int64GetDatum(c->rows_written);
	values[n++] = dbu_track_uint64_datum(c->wal_bytes);
	values[n++] = Int64GetDatum(c->subtransactions);
	values[n++] = Int64GetDatum(c->idle_gaps);
	values[n++] = Float8GetDatum(c->idle_ms);
	values[n++] = Float8GetDatum(c->max_idle_ms);
	values[n++] = Float8GetDatum(c->total_ms);
	values[n++] = Float8GetDatum(c->min_ms);
	values[n++] = Float8GetDatum(c->max_ms);
	values[n++] = Float8GetDatum(c->total_ms / (commits + rollbacks));
	(void) dbu_histogram_percentiles(&c->durations, c->min_ms, c->max_ms, duration_fractions,
									 lengthof(duration_fractions), durations);
	for (int p = 0; p < (int) lengthof(duration_fractions); p++)
		values[n++] = Float8GetDatum(durations[p]);
	committed = dbu_histogram_percentiles(&c->commit_times, 0, c->max_commit_ms, commit_fractions,
										  lengthof(commit_fractions), commit_times);
	for (int i = 0; i < 4; i++)
		nulls[n + i] = !committed;
	values[n++] = Float8GetDatum(committed ? c->total_commit_ms / c->commits_written : 0);
	values[n++] = Float8GetDatum(committed ? commit_times[0] : 0);
	values[n++] = Float8GetDatum(committed ? commit_times[1] : 0);
	values[n++] = Float8GetDatum(c->max_commit_ms);
	Assert(n == (int) lengthof(values));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
dbutil_transactions(PG_FUNCTION_ARGS)
{
	TransactionEntry *all;
	int			used;

	dbu_require_preload("dbutil.transactions");
	InitMaterializedSRF(fcinfo, 0);
	all = dbu_track_copy_transactions(&used);
	for (int i = 0; i < used; i++)
		put_transaction((ReturnSetInfo *) fcinfo->resultinfo, &all[i]);
	pfree(all);
	return (Datum) 0;
}

/* Does a session in this place wait for the end of a transaction that failed? */
static bool
waits_for_rollback(int number, int pid)
{
	DbuSession	session;

	return number < MaxBackends && dbu_sessions_read(number, &session) && session.pid == pid &&
		session.state == STATE_IDLEINTRANSACTION_ABORTED;
}

/* What only dbutil knows of the transactions that are open. */
Datum
dbutil_active_transactions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	dbu_require_preload("dbutil.active_transactions");
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < dbu_track_nmailboxes; i++)
	{
		/* its owner may write meanwhile: each word is whole */
		OpenTransaction open = dbu_track_open[i];
		Datum		values[4];
		bool		nulls[4] = {0};

		if (open.pid == 0 || (open.failed && !waits_for_rollback(i, open.pid)))
			continue;
		open.name[NAMEDATALEN - 1] = '\0';
		values[0] = Int32GetDatum(open.pid);
		values[1] = CStringGetTextDatum(dbu_track_services[open.service]);
		nulls[2] = open.name[0] == '\0';
		values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(open.name);
		values[3] = Int64GetDatum((int64) open.statements);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* A name that is stored as a service's is: printable ASCII, in NAMEDATALEN. */
static char *
checked_name(const char *parameter, text *value)
{
	char	   *name = text_to_cstring(value);

	if (name[0] == '\0' || strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"%s\": \"%s\"", parameter, name),
				 errhint("Use a name of 1 to %d bytes.", NAMEDATALEN - 1)));
	dbu_track_clean_name(name, name);
	return name;
}

Datum
dbutil_track_transaction(PG_FUNCTION_ARGS)
{
	int32		service = -1;
	char	   *name;

	dbu_require_preload("dbutil.track_transaction");
	if (PG_ARGISNULL(1))
		dbu_error_null_argument("name");
	name = checked_name("name", PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(0))
		service = dbu_track_find_service(checked_name("service", PG_GETARG_TEXT_PP(0)));
	dbu_track_xact_name(service, name);
	PG_RETURN_VOID();
}
