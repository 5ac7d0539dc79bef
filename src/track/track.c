/*-------------------------------------------------------------------------
 *
 * track.c
 *	  Tracking: settings, the layout of shared memory, the table of services.
 *
 * Everything is preallocated when the server starts: dbutil.track_max entries
 * for statements, dbutil.track_max_services services, totals of transactions
 * and one mailbox for each process.  Only texts live in core's DSA area.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "track/track.h"

#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

TrackShared *track_shared = NULL;
char		(*track_services)[NAMEDATALEN] = NULL;
int32	   *track_buckets = NULL;
StatementEntry *track_entries = NULL;
TransactionEntry *track_transactions = NULL;
TransactionMailbox *track_mailboxes = NULL;

static const struct config_enum_entry track_levels[] = {
	{"none", DBU_TRACK_NONE, false},
	{"top", DBU_TRACK_TOP, false},
	{"all", DBU_TRACK_ALL, false},
	{NULL, 0, false}
};

int			track_level = DBU_TRACK_TOP;
bool		track_utility = true;
int			track_max = 5000;
int			track_query_size = 2048;
int			track_max_services = 100;
int			track_nbuckets = 0;
int			track_ntransactions = 0;
int			track_nmailboxes = 0;

#define OTHER_SERVICE "<other>"

static void
compute_sizes(void)
{
	track_nbuckets = track_max * 2;
	track_ntransactions = track_max_services * 2;
	track_nmailboxes = MaxBackends + NUM_AUXILIARY_PROCS;
}

static Size
shmem_size(void)
{
	Size		size = MAXALIGN(sizeof(TrackShared));

	compute_sizes();
	size = add_size(size, MAXALIGN(mul_size(track_max_services, NAMEDATALEN)));
	size = add_size(size, MAXALIGN(mul_size(track_nbuckets, sizeof(int32))));
	size = add_size(size, MAXALIGN(mul_size(track_max, sizeof(StatementEntry))));
	size = add_size(size, MAXALIGN(mul_size(track_ntransactions, sizeof(TransactionEntry))));
	size = add_size(size, MAXALIGN(mul_size(track_nmailboxes, sizeof(TransactionMailbox))));
	return size;
}

static void *
carve(char **place, Size size)
{
	void	   *result = *place;

	*place += MAXALIGN(size);
	return result;
}

static void
shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	char	   *place = chunk;

	compute_sizes();
	track_shared = carve(&place, sizeof(TrackShared));
	track_services = carve(&place, mul_size(track_max_services, NAMEDATALEN));
	track_buckets = carve(&place, mul_size(track_nbuckets, sizeof(int32)));
	track_entries = carve(&place, mul_size(track_max, sizeof(StatementEntry)));
	track_transactions = carve(&place, mul_size(track_ntransactions, sizeof(TransactionEntry)));
	track_mailboxes = carve(&place, mul_size(track_nmailboxes, sizeof(TransactionMailbox)));
	if (found)
		return;

	/* the chunk comes zeroed */
	LWLockInitialize(&track_shared->lock, lwlock_tranche);
	track_shared->stats_since = GetCurrentTimestamp();
	pg_atomic_init_u32(&track_shared->generation, 0);
	pg_atomic_init_u64(&track_shared->evictions, 0);
	pg_atomic_init_u64(&track_shared->calls_dropped, 0);
	pg_atomic_init_u64(&track_shared->texts_dropped, 0);
	pg_atomic_init_u64(&track_shared->errors_dropped, 0);
	pg_atomic_init_u64(&track_shared->services_dropped, 0);
	pg_atomic_init_u64(&track_shared->transactions_dropped, 0);
	strlcpy(track_services[0], OTHER_SERVICE, NAMEDATALEN);
	track_shared->nservices = 1;
	for (int i = 0; i < track_nbuckets; i++)
		track_buckets[i] = -1;
	for (int i = 0; i < track_max; i++)
	{
		SpinLockInit(&track_entries[i].mutex);
		track_entries[i].next = i + 1 < track_max ? i + 1 : -1;
	}
	track_shared->free_entry = 0;
	for (int i = 0; i < track_nmailboxes; i++)
		pg_atomic_init_u32(&track_mailboxes[i].change, 0);
}

static int32
find_service(const char *name)
{
	for (int32 i = 1; i < track_shared->nservices; i++)
	{
		if (strcmp(track_services[i], name) == 0)
			return i;
	}
	return -1;
}

/*
 * The current session's service as an index into track_services; 0 is
 * '<other>', where services end that came after the table was full.  Takes
 * the lock unless the service is the one of the last call.  Services are never
 * removed, so the index stays good for the server's life.
 */
int32
dbu_track_service_id(void)
{
	static char last_name[NAMEDATALEN] = "";
	static int32 last_id = -1;
	char		name[NAMEDATALEN];

	strlcpy(name, dbu_service(), NAMEDATALEN);
	if (last_id > 0 && strcmp(name, last_name) == 0)
		return last_id;

	LWLockAcquire(&track_shared->lock, LW_SHARED);
	last_id = find_service(name);
	LWLockRelease(&track_shared->lock);
	if (last_id < 0)
	{
		LWLockAcquire(&track_shared->lock, LW_EXCLUSIVE);
		last_id = find_service(name);
		if (last_id < 0 && track_shared->nservices < track_max_services)
		{
			last_id = track_shared->nservices;
			strlcpy(track_services[last_id], name, NAMEDATALEN);
			track_shared->nservices++;
		}
		LWLockRelease(&track_shared->lock);
	}
	if (last_id < 0)
	{
		last_id = 0;
		pg_atomic_fetch_add_u64(&track_shared->services_dropped, 1);
	}
	strlcpy(last_name, name, NAMEDATALEN);
	return last_id;
}

static void
init(void)
{
	if (!dbu_preloaded)
		return;

	EnableQueryId();

	DefineCustomIntVariable("dbutil.track_max",
							"Statements that are tracked at a time.",
							"When more come, those used least give way, and their calls are counted as dropped.",
							&track_max, 5000, 100, 1000000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.track_max_services",
							"Services that are told apart.",
							"Those that come later are tracked together as <other>.",
							&track_max_services, 100, 2, 10000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.track_query_size",
							"Bytes that are kept of a statement's text.",
							NULL,
							&track_query_size, 2048, 64, 1024 * 1024,
							PGC_POSTMASTER, GUC_UNIT_BYTE, NULL, NULL, NULL);
	DefineCustomEnumVariable("dbutil.track",
							 "Which statements are tracked: none, top (what clients send) or all (nested ones too).",
							 NULL,
							 &track_level, DBU_TRACK_TOP, track_levels,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("dbutil.track_utility",
							 "Tracks utility statements (DDL, COPY, VACUUM, ...) too.",
							 NULL,
							 &track_utility, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
}

static void
status(DbuStatusSink *sink)
{
	uint64		calls;

	if (!dbu_preloaded)
	{
		dbu_status_row(sink, "tracking", DBU_STATUS_OFF, "needs shared memory",
					   "add dbutil to shared_preload_libraries and restart the server");
		return;
	}
	calls = pg_atomic_read_u64(&track_shared->calls_dropped);
	dbu_status_row(sink, "tracking", DBU_STATUS_OK, "on", NULL);
	dbu_status_row(sink, "calls dropped by tracking",
				   calls == 0 ? DBU_STATUS_OK : DBU_STATUS_WARN,
				   psprintf(UINT64_FORMAT, calls),
				   calls == 0 ? NULL : "raise dbutil.track_max and restart the server");
	calls = pg_atomic_read_u64(&track_shared->texts_dropped);
	dbu_status_row(sink, "statement texts dropped by tracking",
				   calls == 0 ? DBU_STATUS_OK : DBU_STATUS_WARN,
				   psprintf(UINT64_FORMAT, calls),
				   calls == 0 ? NULL : "raise dbutil.shared_memory and restart the server");
	calls = pg_atomic_read_u64(&track_shared->services_dropped);
	dbu_status_row(sink, "services tracked as <other>",
				   calls == 0 ? DBU_STATUS_OK : DBU_STATUS_WARN,
				   psprintf(UINT64_FORMAT, calls),
				   calls == 0 ? NULL : "raise dbutil.track_max_services and restart the server");
}

const DbuModule dbu_track_module = {
	.name = "track",
	.init = init,
	.shmem_size = shmem_size,
	.shmem_attach = shmem_attach,
	.tranche_name = "DbutilTrack",
	.stmt_want = dbu_track_stmt_want,
	.stmt_end = dbu_track_stmt_end,
	.stmt_abort = dbu_track_stmt_abort,
	.plan_end = dbu_track_plan_end,
	.xact_end = dbu_track_xact_end,
	.status = status,
};
