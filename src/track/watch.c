/*-------------------------------------------------------------------------
 *
 * watch.c
 *	  Tracking's second half as a module: its parts, its layout of shared memory,
 *	  what it does when a statement ends.
 *
 * What it does for each statement it is told by track.c, which wants the same
 * statements: one module asked and told is cheaper than two.
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

/* track.c, which knows the service, has seen a statement of the client. */
void
dbu_watch_client(int32 service, Oid user)
{
	dbu_sessions_publish(service, user);
	dbu_worker_ensure();
}

/* What the nodes of a statement that track.c may count are to be measured with. */
static int
stmt_instrument(const DbuStatement *stmt)
{
	return dbu_slow_plans_measure() && !dbu_watch_explaining() && dbu_track_wanted(stmt) ?
		dbu_slow_plans_instrument() : 0;
}

static pg_noinline void
store_plan_text(const DbuStatement *stmt, const PlanKey *key, uint64 hash, uint64 plan_id)
{
	char	   *text = dbu_watch_explain(stmt->query_desc, stmt->exec_ms, false);

	dbu_plans_store_text(key, hash, plan_id, text);
	pfree(text);
}

/* A planned statement that track.c counts has ended. */
void
dbu_watch_stmt_end(const DbuStatement *stmt)
{
	PlanKey		key = {stmt->query_id, MyDatabaseId, stmt->user};
	bool		counted = stmt->query_id != 0;
	bool		slow = dbu_slow_time >= 0 && stmt->exec_ms >= dbu_slow_time;
	uint64		hash = dbu_plan_key_hash(&key);
	uint64		plan_id;

	if (dbu_watch_explaining())
		return;
	if (counted)
		dbu_tables_note(&key, hash, stmt->query_desc->plannedstmt);
	if (!slow && !(dbu_plans_on && counted))
		return;
	plan_id = dbu_watch_plan_id(stmt->query_desc->plannedstmt);
	if (dbu_plans_on && counted && dbu_plans_count(&key, hash, plan_id, stmt))
		store_plan_text(stmt, &key, hash, plan_id);
	if (slow && dbu_slow_plans_sampled())
		dbu_slow_plans_record(stmt, &key, plan_id);
}

/* The same for a write that has no plan (see core/write.c). */
void
dbu_watch_write_end(const DbuStatement *stmt)
{
	PlanKey		key = {stmt->query_id, MyDatabaseId, stmt->user};

	dbu_tables_note_target(&key, dbu_plan_key_hash(&key), stmt->target, stmt->operation);
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
	.stmt_instrument = stmt_instrument,
	.status = status,
};
