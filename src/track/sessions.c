/*-------------------------------------------------------------------------
 *
 * sessions.c
 *	  Which service and role each session works for, for others to read.
 *
 * Each backend publishes it in a place of its own, at a statement that changes
 * it, and with it where its PgBackendStatus is.  So a reader finds what the
 * session does without a lock and without a copy of all sessions' texts: both
 * are read by the protocol of change counts, and a place that is not its
 * process' any more is told by the process identifier.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/errors.h"
#include "track/watch.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(dbutil_service_sessions);

typedef struct SessionPlace
{
	pg_atomic_uint32 change;	/* odd while its owner writes */
	int			pid;			/* 0: never used */
	int32		service;
	Oid			database;
	Oid			username;
	PgBackendStatus *status;	/* shared memory is where it is in all processes */
} SessionPlace;

static SessionPlace *places = NULL;
static SessionPlace *mine = NULL;

#define READ_TRIES 100

static Size
shmem_size(void)
{
	return mul_size(MaxBackends, sizeof(SessionPlace));
}

static void
shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	places = chunk;
	mine = NULL;
	for (int i = 0; !found && i < MaxBackends; i++)
		pg_atomic_init_u32(&places[i].change, 0);
}

/* At each statement of the client. */
void
dbu_sessions_publish(int32 service, Oid username)
{
	if (mine == NULL)
	{
		int			number = MyProc - ProcGlobal->allProcs;

		/* standing alone or as auxiliary process there is none */
		if (number >= MaxBackends || MyBEEntry == NULL)
			return;
		mine = &places[number];
	}
	else if (mine->service == service && mine->username == username)
		return;

	pg_atomic_write_u32(&mine->change, pg_atomic_read_u32(&mine->change) + 1);
	pg_write_barrier();
	mine->pid = MyProcPid;
	mine->service = service;
	mine->database = MyDatabaseId;
	mine->username = username;
	mine->status = MyBEEntry;
	pg_write_barrier();
	pg_atomic_write_u32(&mine->change, pg_atomic_read_u32(&mine->change) + 1);
}

/* What it does; false: it is gone, or busy changing this. */
static bool
read_status(const SessionPlace *place, DbuSession *session)
{
	volatile PgBackendStatus *status = place->status;

	for (int tries = 0; tries < READ_TRIES; tries++)
	{
		int			before;
		int			after;
		int			pid;

		pgstat_begin_read_activity(status, before);
		pid = status->st_procpid;
		session->state = status->st_state;
		session->query_id = (uint64) status->st_query_id;
		pgstat_end_read_activity(status, after);
		if (pgstat_read_activity_complete(before, after))
			return pid == session->pid;
	}
	return false;
}

/*
 * The session in a place, a number below MaxBackends that is its PGPROC's too.
 * False: there is none, or it has not run a statement yet.
 */
bool
dbu_sessions_read(int number, DbuSession *session)
{
	for (int tries = 0; tries < READ_TRIES; tries++)
	{
		uint32		before = pg_atomic_read_u32(&places[number].change);
		SessionPlace copy;

		pg_read_barrier();
		copy.pid = places[number].pid;
		copy.service = places[number].service;
		copy.database = places[number].database;
		copy.username = places[number].username;
		copy.status = places[number].status;
		pg_read_barrier();
		if ((before & 1) != 0 || before != pg_atomic_read_u32(&places[number].change))
			continue;
		if (copy.pid == 0 || copy.pid != ProcGlobal->allProcs[number].pid)
			return false;
		session->pid = copy.pid;
		session->service = copy.service;
		session->database = copy.database;
		session->username = copy.username;
		return read_status(&copy, session);
	}
	return false;
}

/* Sessions of each service that has any: all, running, idle in a transaction. */
Datum
dbutil_service_sessions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int64		(*sums)[3];

	dbu_require_preload("dbutil.service_sessions");
	InitMaterializedSRF(fcinfo, 0);
	sums = palloc0(mul_size(dbu_track_max_services, sizeof(*sums)));
	for (int i = 0; i < MaxBackends; i++)
	{
		DbuSession	session;

		if (!dbu_sessions_read(i, &session))
			continue;
		sums[session.service][0]++;
		sums[session.service][1] += session.state == STATE_RUNNING || session.state == STATE_FASTPATH;
		sums[session.service][2] += session.state == STATE_IDLEINTRANSACTION ||
			session.state == STATE_IDLEINTRANSACTION_ABORTED;
	}
	for (int s = 0; s < dbu_track_max_services; s++)
	{
		Datum		values[4];
		bool		nulls[4] = {0};

		if (sums[s][0] == 0)
			continue;
		values[0] = CStringGetTextDatum(dbu_track_services[s]);
		for (int i = 0; i < 3; i++)
			values[i + 1] = Int64GetDatum(sums[s][i]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

const DbuWatchPart dbu_sessions_part = {
	.shmem_size = shmem_size,
	.shmem_attach = shmem_attach,
};
