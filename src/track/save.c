/*-------------------------------------------------------------------------
 *
 * save.c
 *	  Statistics outlive the server: saved when it is stopped, and from time
 *	  to time by a background worker, so that a crash loses what was counted
 *	  since then.
 *
 * The file is written aside and renamed.  One that came with a backup tells of
 * another server: a standby, or what is restored, begins with nothing, as with
 * PostgreSQL's own statistics.  Entries are copied a few at a time
 * under the lock held shared and written without it.  The postmaster, which
 * saves last, is alone: it takes locks that nobody holds.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/shmem.h"
#include "track/saved.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define SAVED_FILE PGSTAT_STAT_PERMANENT_DIRECTORY "/dbutil.stat"
#define SAVED_ASIDE SAVED_FILE ".new"

/* Buckets of statements whose entries are copied at once. */
#define BATCH 64

static bool save_enabled = true;
static int	save_interval = 300;

pg_noreturn PGDLLEXPORT void dbutil_track_saver(Datum arg);

/* A file that is written; after a failure nothing more is. */
typedef struct Writer
{
	FILE	   *file;
	pg_crc32c	crc;
	bool		failed;
	int			error;			/* errno of the failure */
} Writer;

static void
fail(Writer *writer)
{
	writer->failed = true;
	writer->error = errno;
}

static void
put(Writer *writer, const void *data, size_t size)
{
	if (writer->failed)
		return;
	COMP_CRC32C(writer->crc, data, size);
	if (size > 0 && fwrite(data, size, 1, writer->file) != 1)
		fail(writer);
}

static void
put_kind(Writer *writer, char kind)
{
	put(writer, &kind, 1);
}

static void
put_header(Writer *writer, int32 *nservices)
{
	SavedHeader header = {
		.magic = SAVED_MAGIC,
		.format = SAVED_FORMAT,
		.pg_version = DBU_PG_MAJOR,
		.statement_size = sizeof(StatementEntry),
		.transaction_size = sizeof(TransactionEntry),
		.error_size = sizeof(StatementError),
	};
	Size		size;
	char	   *names;

	LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
	header.nservices = dbu_track_shared->nservices;
	header.stats_since = dbu_track_shared->stats_since;
	LWLockRelease(&dbu_track_shared->lock);
	for (int i = 0; i < (int) lengthof(header.losses); i++)
		header.losses[i] = pg_atomic_read_u64(dbu_track_loss(i));
	put(writer, &header, sizeof(header));
	/* services are never removed or changed */
	size = (Size) header.nservices * NAMEDATALEN;
	names = palloc(size);
	memcpy(names, dbu_track_services, size);
	put(writer, names, size);
	pfree(names);
	*nservices = header.nservices;
}

/* A statement's entry and text, copied under the lock. */
typedef struct EntryCopy
{
	StatementEntry entry;
	char	   *text;
} EntryCopy;

/*
 * The entries of a few buckets.  Those of services that came after the header
 * was written are left to the next time.
 */
static void
put_batch(Writer *writer, int first, int32 nservices, EntryCopy **copies, int *room)
{
	int			n = 0;

	LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
	for (int b = first; b < Min(first + BATCH, dbu_track_nbuckets); b++)
	{
		for (int32 i = dbu_track_buckets[b]; i >= 0; i = dbu_track_entries[i].next)
		{
			StatementEntry *entry = &dbu_track_entries[i];
			EntryCopy  *copy;

			if (entry->key.service >= nservices)
				continue;
			if (n == *room)
			{
				*room *= 2;
				*copies = repalloc_huge(*copies, *room * sizeof(EntryCopy));
			}
			copy = &(*copies)[n++];
			SpinLockAcquire(&entry->mutex);
			copy->entry = *entry;
			SpinLockRelease(&entry->mutex);
			copy->text = NULL;
			if (DsaPointerIsValid(entry->text))
			{
				Size		size = entry->text_length + entry->tags_length + 2;

				copy->text = palloc(size);
				memcpy(copy->text, dsa_get_address(dbu_shmem_dsa(), entry->text), size);
			}
		}
	}
	LWLockRelease(&dbu_track_shared->lock);

	for (int i = 0; i < n; i++)
	{
		EntryCopy  *copy = &(*copies)[i];

		put_kind(writer, SAVED_STATEMENT);
		put(writer, &copy->entry, sizeof(copy->entry));
		if (copy->text != NULL)
		{
			put(writer, copy->text, copy->entry.text_length + copy->entry.tags_length + 2);
			pfree(copy->text);
		}
	}
}

static void
put_statements(Writer *writer, int32 nservices)
{
	int			room = BATCH;
	EntryCopy  *copies = palloc(room * sizeof(EntryCopy));

	(void) dbu_shmem_dsa();		/* before the lock: it allocates */
	for (int first = 0; first < dbu_track_nbuckets && !writer->failed; first += BATCH)
		put_batch(writer, first, nservices, &copies, &room);
	pfree(copies);
}

static void
put_transactions(Writer *writer, int32 nservices)
{
	int			count;
	TransactionEntry *all = dbu_track_copy_transactions(&count);

	for (int i = 0; i < count; i++)
	{
		if (all[i].shape.key.service >= nservices)
			continue;
		put_kind(writer, SAVED_TRANSACTION);
		put(writer, &all[i], sizeof(all[i]));
	}
	pfree(all);
}

static void
put_errors(Writer *writer, int32 nservices)
{
	Size		size = mul_size(dbu_track_max_errors, sizeof(StatementError));
	StatementError *copy = palloc(size);

	LWLockAcquire(&dbu_track_shared->error_lock, LW_SHARED);
	memcpy(copy, dbu_track_errors, size);
	LWLockRelease(&dbu_track_shared->error_lock);
	for (int i = 0; i < dbu_track_max_errors; i++)
	{
		if (copy[i].sqlstate == 0 || copy[i].key.service >= nservices)
			continue;
		put_kind(writer, SAVED_ERROR);
		put(writer, &copy[i], sizeof(copy[i]));
	}
	pfree(copy);
}

/* What cannot be saved is told, and is no reason for an error. */
static void
save(void)
{
	Writer		writer = {0};
	int32		nservices;
	pg_crc32c	crc;

	writer.file = AllocateFile(SAVED_ASIDE, PG_BINARY_W);
	if (writer.file == NULL)
		fail(&writer);
	else
	{
		INIT_CRC32C(writer.crc);
		put_header(&writer, &nservices);
		put_statements(&writer, nservices);
		put_transactions(&writer, nservices);
		put_errors(&writer, nservices);
		put_kind(&writer, SAVED_END);
		crc = writer.crc;
		FIN_CRC32C(crc);
		put(&writer, &crc, sizeof(crc));
	}
	if (writer.file != NULL && FreeFile(writer.file) != 0 && !writer.failed)
		fail(&writer);
	if (writer.failed)
	{
		errno = writer.error;
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", SAVED_ASIDE)));
		(void) unlink(SAVED_ASIDE);
		return;
	}
	(void) durable_rename(SAVED_ASIDE, SAVED_FILE, LOG);
}

/* ---------- the worker ---------- */

static void
saver_ends(int code, Datum arg)
{
	dbu_track_shared->saver = -1;
}

/*
 * How long until the next save is due, in milliseconds, -1: none is.  Whatever
 * wakes the saver meanwhile does not put it off.
 */
static long
until_due(TimestampTz last)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!save_enabled || save_interval == 0)
		return -1;
	/* the clock was set back */
	if (now < last)
		return 0;
	return TimestampDifferenceMilliseconds(now, last + save_interval * INT64CONST(1000000));
}

void
dbutil_track_saver(Datum arg)
{
	MemoryContext work;
	TimestampTz last = GetCurrentTimestamp();

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	before_shmem_exit(saver_ends, (Datum) 0);
	dbu_track_shared->saver = MyProc - ProcGlobal->allProcs;
	work = AllocSetContextCreate(TopMemoryContext, "dbutil track saver", ALLOCSET_DEFAULT_SIZES);

	while (!ShutdownRequestPending)
	{
		long		timeout = until_due(last);

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout >= 0 ? WL_TIMEOUT : 0),
						 timeout, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		timeout = until_due(last);
		if (timeout < 0 || ShutdownRequestPending)
			continue;
		if (timeout == 0 || pg_atomic_exchange_u32(&dbu_track_shared->save_asked, 0) != 0)
		{
			MemoryContextSwitchTo(work);
			save();
			MemoryContextReset(work);
			last = GetCurrentTimestamp();
		}
	}
	proc_exit(0);
}

/* Statistics were reset: a crash should not bring them back. */
void
dbu_track_save_soon(void)
{
	int			saver = dbu_track_shared->saver;

	pg_atomic_write_u32(&dbu_track_shared->save_asked, 1);
	if (saver >= 0)
		SetLatch(&ProcGlobal->allProcs[saver].procLatch);
}

/* ---------- start and stop ---------- */

static void
at_stop(int code, Datum arg)
{
	/* after a crash memory is not to be trusted */
	if (code == 0 && save_enabled)
		save();
}

/* A file that came with a backup, which is about to be recovered, is removed. */
static bool
came_with_backup(void)
{
	struct stat st;

	if (stat(BACKUP_LABEL_FILE, &st) != 0)
		return false;
	if (unlink(SAVED_FILE) == 0)
		ereport(LOG,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("statistics in file \"%s\" are of the server that a backup was taken of, and were removed",
						SAVED_FILE)));
	else if (errno != ENOENT)
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", SAVED_FILE)));
	return true;
}

/* Shared memory is there, and nobody else is. */
void
dbu_track_start_saving(void)
{
	on_shmem_exit(at_stop, (Datum) 0);
	if (save_enabled && !came_with_backup())
		dbu_track_load(SAVED_FILE);
}

void
dbu_track_define_saving(void)
{
	BackgroundWorker worker = {0};

	DefineCustomBoolVariable("dbutil.track_save",
							 "Saves statistics, so that they outlive a stop of the server.",
							 "They are saved at each clean stop and every dbutil.track_save_interval.",
							 &save_enabled, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.track_save_interval",
							"How often statistics are saved: what a crash may lose.",
							"0: only at a clean stop.",
							&save_interval, 300, 0, 24 * 3600,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_PostmasterStart;
	worker.bgw_restart_time = 10;
	strlcpy(worker.bgw_name, "dbutil track saver", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "dbutil track saver", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "dbutil", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "dbutil_track_saver", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}
