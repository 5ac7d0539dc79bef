/*-------------------------------------------------------------------------
 *
 * watch.c
 *	  Tracking's second half as a module: its parts, its layout of shared memory,
 *	  what it does when a statement ends.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/errors.h"
#include "track/watch.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(dbutil_track_room);

extern const DbuModule dbu_watch_module;

static const DbuWatchPart *const parts[] = {
	&dbu_plan_memory_part,
	&dbu_plans_part,
	&dbu_slow_plans_part,
	&dbu_sessions_part,
	&dbu_tables_part,
	&dbu_waits_part,
	&dbu_history_part,
	&dbu_worker_part,			/* behind those whose settings start it */
};

static void
init(void)
{
	if (!dbu_preloaded)
		return;
	for (int i = 0; i < (int) lengthof(parts); i++)
	{
		if (parts[i]->init != NULL)
			parts[i]->init();
	}
}

static Size
shmem_size(void)
{
	Size		size = 0;

	for (int i = 0; i < (int) lengthof(parts); i++)
		size = add_size(size, CACHELINEALIGN(parts[i]->shmem_size()));
	return add_size(size, PG_CACHE_LINE_SIZE);
}

static void
shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	char	   *place = (char *) CACHELINEALIGN(chunk);

	for (int i = 0; i < (int) lengthof(parts); i++)
	{
		parts[i]->shmem_attach(place, found, lwlock_tranche);
		place += CACHELINEALIGN(parts[i]->shmem_size());
	}
}

/* ---------- statements ---------- */

/* As track.c counts it, and with a plan. */
static bool
wanted(const DbuStatement *stmt)
{
	if (stmt->operation == CMD_UTILITY || dbu_watch_explaining())
		return false;
	return dbu_track_level == DBU_TRACK_ALL ||
		(dbu_track_level == DBU_TRACK_TOP && stmt->nesting == 0);
}

static void
stmt_client(Oid user)
{
	if (dbu_track_level == DBU_TRACK_NONE)
		return;
	/* track.c, which comes first, has just looked it up */
	dbu_sessions_publish(dbu_track_service, user);
	dbu_worker_ensure();
}

static int
stmt_instrument(const DbuStatement *stmt)
{
	return dbu_slow_plans_measure() && wanted(stmt) ? dbu_slow_plans_instrument() : 0;
}

/* Callable in error paths. */
static int
stmt_want(const DbuStatement *stmt)
{
	return wanted(stmt) ? INSTRUMENT_TIMER : 0;
}

static void
count_plan(const DbuStatement *stmt, const PlanKey *key, uint64 hash)
{
	bool		slow = dbu_slow_time >= 0 && stmt->exec_ms >= dbu_slow_time;
	uint64		plan_id = 0;

	if (dbu_plans_on || slow)
		plan_id = dbu_watch_plan_id(stmt->query_desc->plannedstmt);
	if (dbu_plans_on && stmt->query_id != 0 && dbu_plans_count(key, hash, plan_id, stmt))
	{
		char	   *text = dbu_watch_explain(stmt->query_desc, stmt->exec_ms, false);

		dbu_plans_store_text(key, hash, plan_id, text);
		pfree(text);
	}
	if (slow && dbu_slow_plans_sampled())
		dbu_slow_plans_record(stmt, key, plan_id);
}

static void
stmt_end(const DbuStatement *stmt)
{
	PlanKey		key = {stmt->query_id, MyDatabaseId, stmt->user};

	uint64		hash = dbu_plan_key_hash(&key);

	if (stmt->query_desc == NULL)
		return;
	if (stmt->query_id != 0)
		dbu_tables_note(&key, hash, stmt->query_desc->plannedstmt);
	count_plan(stmt, &key, hash);
}

/* ---------- readers ---------- */

/*
 * A text for a reader.  It may come from a database of another encoding, and
 * conversion may raise: one text must not spoil the whole view.
 */
Datum
dbu_watch_text(char *text, int encoding)
{
	for (char *c = text; encoding != GetDatabaseEncoding() && *c != '\0'; c++)
	{
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	}
	return CStringGetTextDatum(text);
}

static int
all_rooms(DbuRoom *rooms)
{
	int			n = 0;

	for (int i = 0; i < (int) lengthof(parts); i++)
	{
		if (parts[i]->room != NULL)
			n += parts[i]->room(&rooms[n]);
	}
	Assert(n <= DBU_MAX_ROOMS);
	return n;
}

Datum
dbutil_track_room(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DbuRoom		rooms[DBU_MAX_ROOMS];
	int			n;

	dbu_require_preload("dbutil.track_room");
	InitMaterializedSRF(fcinfo, 0);
	n = all_rooms(rooms);
	for (int i = 0; i < n; i++)
	{
		Datum		values[5];
		bool		nulls[5] = {0};

		values[0] = CStringGetTextDatum(rooms[i].part);
		values[1] = Int64GetDatum(rooms[i].used);
		nulls[2] = rooms[i].size < 0;
		values[2] = Int64GetDatum(rooms[i].size);
		values[3] = Int64GetDatum(rooms[i].dropped);
		values[4] = TimestampTzGetDatum(rooms[i].stats_since);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* What was lost and can be mended. */
static void
status(DbuStatusSink *sink)
{
	DbuRoom		rooms[DBU_MAX_ROOMS];
	int			n;

	if (!dbu_preloaded)
		return;
	dbu_worker_status(sink);
	dbu_history_status(sink);
	n = all_rooms(rooms);
	for (int i = 0; i < n; i++)
	{
		if (rooms[i].dropped > 0 && rooms[i].fix != NULL)
			dbu_status_row(sink, psprintf("%s dropped by tracking", rooms[i].part),
						   DBU_STATUS_WARN, psprintf(INT64_FORMAT, rooms[i].dropped),
						   rooms[i].fix);
	}
}

const DbuModule dbu_watch_module = {
	.name = "watch",
	.init = init,
	.shmem_size = shmem_size,
	.shmem_attach = shmem_attach,
	.tranche_name = "DbutilWatch",
	.stmt_client = stmt_client,
	.stmt_instrument = stmt_instrument,
	.stmt_want = stmt_want,
	.stmt_end = stmt_end,
	.status = status,
};
