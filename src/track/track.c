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
#include "port/pg_bitutils.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

TrackShared *dbu_track_shared = NULL;
char		(*dbu_track_services)[NAMEDATALEN] = NULL;
int32	   *dbu_track_buckets = NULL;
StatementEntry *dbu_track_entries = NULL;
StatementError *dbu_track_errors = NULL;
TransactionEntry *dbu_track_transactions = NULL;
int32	   *dbu_track_transaction_buckets = NULL;
TransactionMailbox *dbu_track_mailboxes = NULL;
OpenTransaction *dbu_track_open = NULL;

static const struct config_enum_entry track_levels[] = {
	{"none", DBU_TRACK_NONE, false},
	{"top", DBU_TRACK_TOP, false},
	{"all", DBU_TRACK_ALL, false},
	{NULL, 0, false}
};

int			dbu_track_level = DBU_TRACK_TOP;
bool		dbu_track_utility = true;
bool		dbu_track_planning = false;
int			dbu_track_max = 5000;
int			dbu_track_query_size = 2048;
int			dbu_track_max_services = 100;
int			dbu_track_max_transactions = 500;
int			dbu_track_max_errors = 1000;
int			dbu_track_cpu_sample = 100;
int			dbu_track_nbuckets = 0;
int			dbu_track_ntransactions = 0;
int			dbu_track_ntransaction_buckets = 0;
int			dbu_track_nmailboxes = 0;

#define OTHER_SERVICE "<other>"

static void
compute_sizes(void)
{
	/* a power of two: at least twice as many */
	dbu_track_nbuckets = pg_nextpower2_32(dbu_track_max * 2);
	/* and for what finds no room: a service may have several databases and users */
	dbu_track_ntransactions = dbu_track_max_transactions + dbu_track_max_services * 4;
	dbu_track_ntransaction_buckets = pg_nextpower2_32(dbu_track_ntransactions * 2);
	dbu_track_nmailboxes = MaxBackends + NUM_AUXILIARY_PROCS;
}

static Size
shmem_size(void)
{
	Size		size = MAXALIGN(sizeof(TrackShared));

	compute_sizes();
	size = add_size(size, MAXALIGN(mul_size(dbu_track_max_services, NAMEDATALEN)));
	size = add_size(size, MAXALIGN(mul_size(dbu_track_nbuckets, sizeof(int32))));
	size = add_size(size, MAXALIGN(mul_size(dbu_track_max, sizeof(StatementEntry))));
	size = add_size(size, MAXALIGN(mul_size(dbu_track_max_errors, sizeof(StatementError))));
	size = add_size(size, MAXALIGN(mul_size(dbu_track_ntransactions, sizeof(TransactionEntry))));
	size = add_size(size, MAXALIGN(mul_size(dbu_track_ntransaction_buckets, sizeof(int32))));
	size = add_size(size, MAXALIGN(mul_size(dbu_track_nmailboxes, sizeof(TransactionMailbox))));
	size = add_size(size, MAXALIGN(mul_size(dbu_track_nmailboxes, sizeof(OpenTransaction))));
	return size;
}

pg_atomic_uint64 *
dbu_track_loss(int i)
{
	pg_atomic_uint64 *losses[TRACK_LOSSES] = {
		&dbu_track_shared->evictions,
		&dbu_track_shared->calls_dropped,
		&dbu_track_shared->errors_dropped,
		&dbu_track_shared->error_codes_dropped,
		&dbu_track_shared->texts_dropped,
		&dbu_track_shared->services_dropped,
		&dbu_track_shared->transactions_dropped,
	};

	return losses[i];
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

	if (dbu_track_level != DBU_TRACK_NONE)
		EnableQueryId();

	compute_sizes();
	dbu_track_shared = carve(&place, sizeof(TrackShared));
	dbu_track_services = carve(&place, mul_size(dbu_track_max_services, NAMEDATALEN));
	dbu_track_buckets = carve(&place, mul_size(dbu_track_nbuckets, sizeof(int32)));
	dbu_track_entries = carve(&place, mul_size(dbu_track_max, sizeof(StatementEntry)));
	dbu_track_errors = carve(&place, mul_size(dbu_track_max_errors, sizeof(StatementError)));
	dbu_track_transactions = carve(&place, mul_size(dbu_track_ntransactions, sizeof(TransactionEntry)));
	dbu_track_transaction_buckets = carve(&place, mul_size(dbu_track_ntransaction_buckets, sizeof(int32)));
	dbu_track_mailboxes = carve(&place, mul_size(dbu_track_nmailboxes, sizeof(TransactionMailbox)));
	dbu_track_open = carve(&place, mul_size(dbu_track_nmailboxes, sizeof(OpenTransaction)));
	if (found)
		return;

	/* the chunk comes zeroed */
	LWLockInitialize(&dbu_track_shared->lock, lwlock_tranche);
	LWLockInitialize(&dbu_track_shared->transaction_lock, lwlock_tranche);
	LWLockInitialize(&dbu_track_shared->error_lock, lwlock_tranche);
	dbu_track_shared->stats_since = GetCurrentTimestamp();
	pg_atomic_init_u32(&dbu_track_shared->generation, 0);
	pg_atomic_init_u32(&dbu_track_shared->save_asked, 0);
	for (int i = 0; i < TRACK_LOSSES; i++)
		pg_atomic_init_u64(dbu_track_loss(i), 0);
	strlcpy(dbu_track_services[0], OTHER_SERVICE, NAMEDATALEN);
	dbu_track_shared->nservices = 1;
	dbu_track_shared->saver = -1;
	for (int i = 0; i < dbu_track_nbuckets; i++)
		dbu_track_buckets[i] = -1;
	for (int i = 0; i < dbu_track_max; i++)
	{
		SpinLockInit(&dbu_track_entries[i].mutex);
		dbu_track_entries[i].next = i + 1 < dbu_track_max ? i + 1 : -1;
	}
	dbu_track_shared->free_entry = 0;
	dbu_track_shared->reset_entry = -1;
	for (int i = 0; i < dbu_track_ntransaction_buckets; i++)
		dbu_track_transaction_buckets[i] = -1;
	for (int i = 0; i < dbu_track_ntransactions; i++)
		SpinLockInit(&dbu_track_transactions[i].mutex);
	for (int i = 0; i < dbu_track_nmailboxes; i++)
	{
		pg_atomic_init_u32(&dbu_track_mailboxes[i].head, 0);
		pg_atomic_init_u32(&dbu_track_mailboxes[i].tail, 0);
		for (int r = 0; r < TRANSACTION_RING; r++)
			pg_atomic_init_u32(&dbu_track_mailboxes[i].ring[r].repeats, 0);
	}
}

/*
 * A service's name as it is stored: at most NAMEDATALEN - 1 bytes of printable
 * ASCII, as application_name is, so that it can be shown in a database of any
 * encoding.
 */
void
dbu_track_clean_name(char *name, const char *raw)
{
	if (name != raw)
		strlcpy(name, raw, NAMEDATALEN);
	for (char *c = name; *c != '\0'; c++)
	{
		if (*c < 32 || *c > 126)
			*c = '?';
	}
}

static int32
search_service(const char *name)
{
	for (int32 i = 0; i < dbu_track_shared->nservices; i++)
	{
		if (strcmp(dbu_track_services[i], name) == 0)
			return i;
	}
	return -1;
}

/*
 * A service as an index into dbu_track_services; 0 is '<other>', where
 * services end that come after the table is full.  Services are never removed,
 * so an index stays good for the server's life.
 */
int32
dbu_track_find_service(const char *name)
{
	int32		id;

	LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
	id = search_service(name);
	LWLockRelease(&dbu_track_shared->lock);
	if (id >= 0)
		return id;

	LWLockAcquire(&dbu_track_shared->lock, LW_EXCLUSIVE);
	id = search_service(name);
	if (id < 0 && dbu_track_shared->nservices < dbu_track_max_services)
	{
		id = dbu_track_shared->nservices;
		strlcpy(dbu_track_services[id], name, NAMEDATALEN);
		dbu_track_shared->nservices++;
	}
	LWLockRelease(&dbu_track_shared->lock);
	if (id >= 0)
		return id;
	pg_atomic_fetch_add_u64(&dbu_track_shared->services_dropped, 1);
	return 0;
}

/* The current session's service, looked up when it is another one than before. */
int32
dbu_track_service_id(void)
{
	/* room for names that are cut; even longer ones are looked up each time */
	static char last_raw[NAMEDATALEN * 4];
	static int32 last_id = -1;
	const char *raw = dbu_service();
	char		name[NAMEDATALEN];

	if (last_id >= 0 && strcmp(raw, last_raw) == 0)
		return last_id;
	dbu_track_clean_name(name, raw);
	last_id = dbu_track_find_service(name);
	strlcpy(last_raw, raw, sizeof(last_raw));
	return last_id;
}

/*
 * Identifiers cost something to compute: only where they are asked for.  While the
 * library is loaded the setting is not final, see shmem_attach().
 */
static void
want_query_id(int newval, void *extra)
{
	if (newval != DBU_TRACK_NONE && !process_shared_preload_libraries_in_progress)
		EnableQueryId();
}

static void
init(void)
{
	if (!dbu_preloaded)
		return;

	DefineCustomIntVariable("dbutil.track_max",
							"Statements that are tracked at a time.",
							"When more come, those used least give way, and their calls are counted as dropped.",
							&dbu_track_max, 5000, 100, 1000000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.track_max_services",
							"Services that are told apart.",
							"Those that come later are tracked together as <other>.",
							&dbu_track_max_services, 100, 2, 10000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.track_max_transactions",
							"Shapes of transactions that are told apart.",
							"Those that come later are tracked together, by service, database and role.",
							&dbu_track_max_transactions, 500, 10, 100000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.track_max_errors",
							"Pairs of statement and error code that are tracked at a time.",
							"When more come, those seen longest ago give way, and their errors are counted as dropped.",
							&dbu_track_max_errors, 1000, 10, 10000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.track_cpu_sample",
							"CPU time is measured of one in so many statements.",
							"Measuring takes two system calls. 0: of none; 1: of all.",
							&dbu_track_cpu_sample, 100, 0, 1000000,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.track_query_size",
							"Bytes that are kept of a statement's text.",
							NULL,
							&dbu_track_query_size, 2048, 64, 1024 * 1024,
							PGC_POSTMASTER, GUC_UNIT_BYTE, NULL, NULL, NULL);
	DefineCustomEnumVariable("dbutil.track",
							 "Which statements are tracked: none, top (what clients send) or all (nested ones too).",
							 NULL,
							 &dbu_track_level, DBU_TRACK_TOP, track_levels,
							 PGC_SUSET, 0, NULL, want_query_id, NULL);
	DefineCustomBoolVariable("dbutil.track_utility",
							 "Tracks utility statements (DDL, COPY, VACUUM, ...) too.",
							 NULL,
							 &dbu_track_utility, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("dbutil.track_planning",
							 "Measures the planning of statements too.",
							 "Off keeps plans and their times at 0, and saves two looks at the clock for each statement that is planned.",
							 &dbu_track_planning, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	dbu_track_define_tags();
	dbu_track_define_saving();
}

static void
loss_row(DbuStatusSink *sink, const char *item, pg_atomic_uint64 *loss, const char *fix)
{
	uint64		count = pg_atomic_read_u64(loss);

	dbu_status_row(sink, item, count == 0 ? DBU_STATUS_OK : DBU_STATUS_WARN,
				   psprintf(UINT64_FORMAT, count), count == 0 ? NULL : fix);
}

static void
status(DbuStatusSink *sink)
{
	if (!dbu_preloaded)
	{
		dbu_status_row(sink, "tracking", DBU_STATUS_OFF, "needs shared memory",
					   "add dbutil to shared_preload_libraries and restart the server");
		return;
	}
	if (!dbu_enabled)
		dbu_status_row(sink, "tracking", DBU_STATUS_OFF, "dbutil.enabled is off",
					   "set dbutil.enabled = on and reload the configuration");
	else if (dbu_track_level == DBU_TRACK_NONE)
		dbu_status_row(sink, "tracking", DBU_STATUS_OFF, "none",
					   "set dbutil.track = top");
	else if (!IsQueryIdEnabled())
		dbu_status_row(sink, "tracking", DBU_STATUS_WARN, "utility statements only",
					   "set compute_query_id = auto");
	else
		dbu_status_row(sink, "tracking", DBU_STATUS_OK,
					   dbu_track_level == DBU_TRACK_ALL ? "all" : "top", NULL);
	loss_row(sink, "calls dropped by tracking", &dbu_track_shared->calls_dropped,
			 "raise dbutil.track_max and restart the server");
	loss_row(sink, "errors dropped by tracking", &dbu_track_shared->errors_dropped,
			 "raise dbutil.track_max and restart the server");
	loss_row(sink, "error codes dropped by tracking", &dbu_track_shared->error_codes_dropped,
			 "raise dbutil.track_max_errors and restart the server");
	loss_row(sink, "transactions dropped by tracking", &dbu_track_shared->transactions_dropped,
			 "raise dbutil.track_max_services and restart the server");
	loss_row(sink, "statement texts dropped by tracking", &dbu_track_shared->texts_dropped,
			 "raise dbutil.shared_memory and restart the server");
	loss_row(sink, "services tracked as <other>", &dbu_track_shared->services_dropped,
			 "raise dbutil.track_max_services and restart the server");
}

const DbuModule dbu_track_module = {
	.name = "track",
	.init = init,
	.shmem_size = shmem_size,
	.shmem_attach = shmem_attach,
	.shmem_ready = dbu_track_start_saving,
	.tranche_name = "DbutilTrack",
	.plan_times = &dbu_track_planning,
	.stmt_client = dbu_track_stmt_client,
	.stmt_want = dbu_track_stmt_want,
	.stmt_end = dbu_track_stmt_end,
	.stmt_abort = dbu_track_stmt_abort,
	.stmt_caught = dbu_track_stmt_caught,
	.error_logged = dbu_track_error_logged,
	.xact_begin = dbu_track_xact_begin,
	.xact_end = dbu_track_xact_end,
	.status = status,
};
