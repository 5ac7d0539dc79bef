/*-------------------------------------------------------------------------
 *
 * transactions.c
 *	  Transactions per (service, database, user), through mailboxes.
 *
 * A transaction ends where nothing may lock, allocate or fail, so each process
 * counts into a mailbox of its own in shared memory.  Its key is fixed by the
 * last statement before the end (dbu_track_xact_prepare, where locks are
 * allowed); when the key changes the mailbox is emptied into the totals under
 * the exclusive lock.  Readers add mailboxes to totals, so that nothing is
 * late.  At exit the mailbox is emptied as well, but an open transaction is
 * rolled back only after that: what is in it then waits for the next process
 * in this place, and is read like the rest meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/errors.h"
#include "track/track.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(dbutil_transactions);

static const double duration_fractions[] = {0.50, 0.95, 0.99};
static const double commit_fractions[] = {0.99};

/* How long a reader waits for a mailbox that is being written, in all 100 ms. */
#define MAILBOX_TRIES 1000
#define MAILBOX_ROUNDS 100

/* This process' mailbox. */
static TransactionMailbox *mailbox = NULL;

static void
begin_write(void)
{
	pg_atomic_write_u32(&mailbox->change, pg_atomic_read_u32(&mailbox->change) + 1);
	pg_write_barrier();
}

static void
end_write(void)
{
	pg_write_barrier();
	pg_atomic_write_u32(&mailbox->change, pg_atomic_read_u32(&mailbox->change) + 1);
}

static void
add_counters(TransactionCounters *into, const TransactionCounters *from)
{
	int64		before = into->commits + into->rollbacks;

	if (from->commits + from->rollbacks == 0)
		return;
	if (before == 0 || from->min_ms < into->min_ms)
		into->min_ms = from->min_ms;
	into->max_ms = Max(into->max_ms, from->max_ms);
	into->commits += from->commits;
	into->rollbacks += from->rollbacks;
	into->statements += from->statements;
	into->wrote += from->wrote;
	into->total_ms += from->total_ms;
	into->total_commit_ms += from->total_commit_ms;
	into->max_commit_ms = Max(into->max_commit_ms, from->max_commit_ms);
	dbu_histogram_merge(&into->durations, &from->durations);
	dbu_histogram_merge(&into->commit_times, &from->commit_times);
}

/* Add an entry to a list of totals; false when it is full. */
static bool
add_entry(TransactionEntry *list, int32 *used, int size, const TransactionEntry *entry)
{
	for (int i = 0; i < *used; i++)
	{
		if (memcmp(&list[i].key, &entry->key, sizeof(entry->key)) == 0)
		{
			add_counters(&list[i].counters, &entry->counters);
			return true;
		}
	}
	if (*used >= size)
		return false;
	list[*used] = *entry;
	(*used)++;
	return true;
}

/*
 * Empty the mailbox into the totals.  Under the exclusive lock no reader is
 * between the two, so each count is seen once.  The key stays.
 */
static void
flush_mailbox(void)
{
	TransactionCounters *c = &mailbox->entry.counters;

	if (c->commits + c->rollbacks == 0)
		return;

	LWLockAcquire(&dbu_track_shared->lock, LW_EXCLUSIVE);
	if (mailbox->generation == pg_atomic_read_u32(&dbu_track_shared->generation) &&
		!add_entry(dbu_track_transactions, &dbu_track_shared->ntransactions,
				   dbu_track_ntransactions, &mailbox->entry))
		pg_atomic_fetch_add_u64(&dbu_track_shared->transactions_dropped,
								c->commits + c->rollbacks);
	begin_write();
	memset(c, 0, sizeof(*c));
	end_write();
	LWLockRelease(&dbu_track_shared->lock);
}

static void
at_exit(int code, Datum arg)
{
	dbu_track_errors_flush(true);
	flush_mailbox();
}

/*
 * Called at each statement that a client sends, where locks are allowed: the
 * transaction that it belongs to will be counted under this key.
 */
void
dbu_track_xact_prepare(int32 service, Oid username)
{
	TransactionKey *key;

	if (mailbox == NULL)
	{
		mailbox = &dbu_track_mailboxes[MyProc - ProcGlobal->allProcs];
		before_shmem_exit(at_exit, (Datum) 0);
	}
	key = &mailbox->entry.key;
	if (mailbox->used && key->service == service &&
		key->database == MyDatabaseId && key->username == username)
		return;

	flush_mailbox();
	begin_write();
	key->service = service;
	key->database = MyDatabaseId;
	key->username = username;
	mailbox->generation = pg_atomic_read_u32(&dbu_track_shared->generation);
	mailbox->used = true;
	end_write();
}

/* After the commit record, or in an error path: plain stores only. */
void
dbu_track_xact_end(const DbuTransaction *xact)
{
	TransactionCounters *c;
	uint32		generation;

	if (mailbox == NULL || !mailbox->used || dbu_track_level == DBU_TRACK_NONE)
		return;

	c = &mailbox->entry.counters;
	generation = pg_atomic_read_u32(&dbu_track_shared->generation);
	begin_write();
	if (mailbox->generation != generation)
	{
		memset(c, 0, sizeof(*c));
		mailbox->generation = generation;
	}
	if (c->commits + c->rollbacks == 0 || xact->duration_ms < c->min_ms)
		c->min_ms = xact->duration_ms;
	c->max_ms = Max(c->max_ms, xact->duration_ms);
	c->total_ms += xact->duration_ms;
	c->statements += xact->statements;
	c->wrote += xact->wrote;
	dbu_histogram_add(&c->durations, xact->duration_ms);
	if (xact->committed)
	{
		c->commits++;
		c->total_commit_ms += xact->commit_ms;
		c->max_commit_ms = Max(c->max_commit_ms, xact->commit_ms);
		dbu_histogram_add(&c->commit_times, xact->commit_ms);
	}
	else
		c->rollbacks++;
	end_write();
}

/*
 * Copy a mailbox; false when the copy is torn.  Its owner is done within
 * nanoseconds, unless the kernel has just put it aside.
 */
static bool
copy_mailbox(TransactionMailbox *box, TransactionEntry *copy, bool *counts)
{
	for (int tries = 0; tries < MAILBOX_TRIES; tries++)
	{
		uint32		before = pg_atomic_read_u32(&box->change);

		pg_read_barrier();
		*counts = box->generation == pg_atomic_read_u32(&dbu_track_shared->generation);
		*copy = box->entry;
		pg_read_barrier();
		if ((before & 1) == 0 && before == pg_atomic_read_u32(&box->change))
			return true;
	}
	return false;
}

/*
 * Totals and mailboxes in a list with enough room.  They are copied under the
 * shared lock, which keeps them from being moved from one to the other.  False
 * when a mailbox could not be copied whole; torn says to take it all the same.
 */
static bool
copy_transactions(TransactionEntry *all, int room, int32 *used, bool torn)
{
	bool		whole = true;

	LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
	*used = dbu_track_shared->ntransactions;
	memcpy(all, dbu_track_transactions, *used * sizeof(TransactionEntry));
	for (int i = 0; i < dbu_track_nmailboxes && (whole || torn); i++)
	{
		TransactionEntry copy;
		bool		counts;

		/* once used, it stays so */
		if (!dbu_track_mailboxes[i].used)
			continue;
		whole &= copy_mailbox(&dbu_track_mailboxes[i], &copy, &counts);
		if (counts && copy.counters.commits + copy.counters.rollbacks > 0)
			(void) add_entry(all, used, room, &copy);
	}
	LWLockRelease(&dbu_track_shared->lock);
	return whole;
}

Datum
dbutil_transactions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			room;
	int32		used;
	TransactionEntry *all;

	dbu_require_preload("dbutil.transactions");
	InitMaterializedSRF(fcinfo, 0);

	room = dbu_track_ntransactions + dbu_track_nmailboxes;
	all = palloc_extended(mul_size(room, sizeof(TransactionEntry)), MCXT_ALLOC_HUGE);

	/*
	 * A process that was stopped in the middle of its few stores must not hold
	 * others up: after a while one transaction of it is seen in part.
	 */
	for (int round = 1; !copy_transactions(all, room, &used, round > MAILBOX_ROUNDS); round++)
	{
		if (round > MAILBOX_ROUNDS)
			break;
		CHECK_FOR_INTERRUPTS();
		pg_usleep(1000);
	}

	for (int i = 0; i < used; i++)
	{
		TransactionKey *key = &all[i].key;
		TransactionCounters *c = &all[i].counters;
		int64		count = c->commits + c->rollbacks;
		double		durations[3];
		double		commit_times[1];
		bool		committed;
		Datum		values[17];
		bool		nulls[17] = {0};
		int			n = 0;

		(void) dbu_histogram_percentiles(&c->durations, c->min_ms, c->max_ms,
										 duration_fractions, 3, durations);
		committed = dbu_histogram_percentiles(&c->commit_times, 0, c->max_commit_ms,
											  commit_fractions, 1, commit_times);

		values[n++] = CStringGetTextDatum(dbu_track_services[key->service]);
		values[n++] = ObjectIdGetDatum(key->database);
		values[n++] = ObjectIdGetDatum(key->username);
		values[n++] = Int64GetDatum(c->commits);
		values[n++] = Int64GetDatum(c->rollbacks);
		values[n++] = Int64GetDatum(c->statements);
		values[n++] = Int64GetDatum(c->wrote);
		values[n++] = Float8GetDatum(c->total_ms);
		values[n++] = Float8GetDatum(c->min_ms);
		values[n++] = Float8GetDatum(c->max_ms);
		values[n++] = Float8GetDatum(c->total_ms / count);
		for (int p = 0; p < 3; p++)
			values[n++] = Float8GetDatum(durations[p]);
		if (committed)
		{
			values[n++] = Float8GetDatum(c->total_commit_ms / c->commits);
			values[n++] = Float8GetDatum(commit_times[0]);
			values[n++] = Float8GetDatum(c->max_commit_ms);
		}
		else
		{
			for (int p = 0; p < 3; p++)
				nulls[n++] = true;
		}
		Assert(n == (int) lengthof(values));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	pfree(all);
	return (Datum) 0;
}
