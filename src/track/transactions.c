/*-------------------------------------------------------------------------
 *
 * transactions.c
 *	  Transactions per (service, database, user, shape).
 *
 * The shape of a transaction is the sequence of its statements, or the name
 * that dbutil.track_transaction() gave it.
 *
 * A transaction ends where nothing may lock, allocate or fail, so each process
 * notes it in a ring of its own in shared memory.  A few of them are moved
 * into the totals at a time, where a statement of the client or of a procedure
 * begins; readers add the rings to the totals, so that nothing is late.  At
 * exit the ring is emptied as well, but an open transaction is rolled back
 * only after that: it then waits for the next process in this place, and is
 * read like the rest meanwhile.
 *
 * The totals are an array with open addressing.  Nothing is taken out of it
 * but by a reset of all; shapes that find no room are added up as one for each
 * (service, database, user), so that the sums over shapes stay exact.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "track/track.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"

/* Records that are moved at once, if there is no reason to do it earlier. */
#define FLUSH_AT (TRANSACTION_RING / 2)

/* This process' ring, its open transaction, and whose transactions they are. */
static TransactionMailbox *mailbox = NULL;
static OpenTransaction *open_transaction = NULL;
static TransactionKey current;

/* What dbutil.track_transaction() said of the current transaction. */
static char current_name[NAMEDATALEN];
static int32 named_service = -1;

/* ---------- totals ---------- */

static uint32
bucket_of(const TransactionKey *key)
{
	uint64		who = ((uint64) key->database << 32) | key->username;
	uint64		hash = hash_combine64(hash_combine64(key->shape, who), (uint64) key->service);

	return hash & (dbu_track_ntransaction_buckets - 1);
}

static inline bool
same_key(const TransactionKey *a, const TransactionKey *b)
{
	return a->shape == b->shape && a->service == b->service && a->database == b->database &&
		a->username == b->username && a->named == b->named;
}

/*
 * The entry of a shape, NULL if there is none.  With add it is added, if there
 * is room.  transaction_lock held, with add exclusively.
 */
TransactionEntry *
dbu_track_xact_entry(const TransactionShape *shape, bool add)
{
	uint32		bucket = bucket_of(&shape->key);
	TransactionEntry *entry;
	int			room;

	for (; dbu_track_transaction_buckets[bucket] >= 0;
		 bucket = (bucket + 1) & (dbu_track_ntransaction_buckets - 1))
	{
		entry = &dbu_track_transactions[dbu_track_transaction_buckets[bucket]];
		if (same_key(&entry->shape.key, &shape->key))
			return entry;
	}
	/* the last places are for what finds no room */
	room = shape->key.shape == 0 ? dbu_track_ntransactions : dbu_track_max_transactions;
	if (!add || dbu_track_shared->ntransactions >= room)
		return NULL;
	dbu_track_transaction_buckets[bucket] = dbu_track_shared->ntransactions;
	entry = &dbu_track_transactions[dbu_track_shared->ntransactions++];
	entry->shape = *shape;
	memset(&entry->counters, 0, sizeof(entry->counters));
	return entry;
}

static inline void
add_duration(TransactionCounters *c, double ms)
{
	c->total_ms += ms;
	if (!c->has_range || ms < c->min_ms)
		c->min_ms = ms;
	if (!c->has_range || ms > c->max_ms)
		c->max_ms = ms;
	c->has_range = true;
	dbu_histogram_add(&c->durations, ms);
}

static void
add_record(TransactionCounters *c, TransactionRecord *record)
{
	const DbuTransaction *xact = &record->facts;
	int64		count = 1 + pg_atomic_read_u32(&record->repeats);

	c->outcomes[xact->outcome] += count;
	c->statements += xact->statements * count;
	add_duration(c, xact->duration_ms);
	for (int i = 0; i < count - 1; i++)
		add_duration(c, record->more_ms[i]);
	c->wal_bytes += xact->wal_bytes;
	c->rows_written += xact->rows_written;
	c->subtransactions += xact->subtransactions;
	if (xact->idle_gaps > 0)
	{
		c->idle_gaps += xact->idle_gaps;
		c->idle_ms += xact->idle_ms;
		c->max_idle_ms = Max(c->max_idle_ms, xact->max_idle_ms);
	}
	if (!xact->wrote)
		return;
	c->wrote++;
	if (xact->outcome == DBU_XACT_COMMITTED)
	{
		c->commits_written++;
		c->total_commit_ms += xact->commit_ms;
		c->max_commit_ms = Max(c->max_commit_ms, xact->commit_ms);
		dbu_histogram_add(&c->commit_times, xact->commit_ms);
	}
}

/* The shape under which one is counted that found no room. */
static TransactionShape
other_shape(const TransactionShape *shape)
{
	TransactionShape other = {.key = shape->key};

	other.key.shape = 0;
	other.key.named = false;
	return other;
}

/* Count a record; false if that needs the lock in exclusive mode. */
static bool
count_record(TransactionRecord *record, bool exclusive)
{
	TransactionEntry *entry;

	if (record->generation != pg_atomic_read_u32(&dbu_track_shared->generation))
		return true;
	entry = dbu_track_xact_entry(&record->shape, exclusive);
	if (entry == NULL)
	{
		TransactionShape other = other_shape(&record->shape);

		/* without room for another shape there is no need to lock out all others */
		if (!exclusive && dbu_track_shared->ntransactions < dbu_track_max_transactions)
			return false;
		entry = dbu_track_xact_entry(&other, exclusive);
		if (entry == NULL && !exclusive && dbu_track_shared->ntransactions < dbu_track_ntransactions)
			return false;
	}
	if (entry == NULL)
	{
		pg_atomic_fetch_add_u64(&dbu_track_shared->transactions_dropped,
								1 + pg_atomic_read_u32(&record->repeats));
		return true;
	}
	SpinLockAcquire(&entry->mutex);
	add_record(&entry->counters, record);
	SpinLockRelease(&entry->mutex);
	return true;
}

/* Move the ring into the totals. */
static void
flush(void)
{
	uint32		tail = pg_atomic_read_u32(&mailbox->tail);
	uint32		head = pg_atomic_read_u32(&mailbox->head);
	bool		exclusive = false;

	if (tail == head)
		return;
	LWLockAcquire(&dbu_track_shared->transaction_lock, LW_SHARED);
	while (tail != head)
	{
		if (!count_record(&mailbox->ring[tail % TRANSACTION_RING], exclusive))
		{
			/* what was counted is out of the ring before anybody may look */
			pg_atomic_write_u32(&mailbox->tail, tail);
			LWLockRelease(&dbu_track_shared->transaction_lock);
			LWLockAcquire(&dbu_track_shared->transaction_lock, LW_EXCLUSIVE);
			exclusive = true;
			continue;
		}
		tail++;
	}
	pg_atomic_write_u32(&mailbox->tail, tail);
	LWLockRelease(&dbu_track_shared->transaction_lock);
}

/* ---------- the current transaction ---------- */

static void
at_exit(int code, Datum arg)
{
	dbu_track_errors_flush(true);
	flush();
	open_transaction->pid = 0;
}

/*
 * Called at each statement that a client sends, where locks are allowed: the
 * transaction that it belongs to will be counted under this key.
 */
void
dbu_track_xact_prepare(int32 service, Oid username)
{
	if (mailbox == NULL)
	{
		mailbox = &dbu_track_mailboxes[MyProc - ProcGlobal->allProcs];
		open_transaction = &dbu_track_open[MyProc - ProcGlobal->allProcs];
		open_transaction->pid = 0;
		open_transaction->failed = false;
		open_transaction->name[0] = '\0';
		before_shmem_exit(at_exit, (Datum) 0);
	}
	if (unlikely(open_transaction->failed))
	{
		/* only what ends it comes through here */
		open_transaction->failed = false;
		open_transaction->pid = 0;
		open_transaction->name[0] = '\0';
	}
	current.service = named_service >= 0 ? named_service : service;
	current.database = MyDatabaseId;
	current.username = username;
	open_transaction->service = current.service;
	open_transaction->statements++;
}

/* The first statement of a transaction begins: locks are allowed. */
void
dbu_track_xact_begin(void)
{
	if (mailbox == NULL)
		return;
	if (pg_atomic_read_u32(&mailbox->head) - pg_atomic_read_u32(&mailbox->tail) >= FLUSH_AT)
		flush();
	open_transaction->statements = 1;
	open_transaction->pid = MyProcPid;
}

/* Name the current transaction; it keeps the service, whatever is set later. */
void
dbu_track_xact_name(int32 service, const char *name)
{
	strlcpy(current_name, name, NAMEDATALEN);
	if (service >= 0)
		named_service = current.service = service;
	if (open_transaction != NULL)
	{
		open_transaction->service = current.service;
		strlcpy(open_transaction->name, name, NAMEDATALEN);
	}
}

static void
fill_shape(TransactionShape *shape, const DbuTransaction *xact)
{
	shape->key = current;
	shape->nids = 0;
	shape->key.named = current_name[0] != '\0';
	shape->name[0] = '\0';
	if (unlikely(shape->key.named))
	{
		strlcpy(shape->name, current_name, NAMEDATALEN);
		shape->key.shape = hash_bytes_extended((unsigned char *) current_name,
											   strlen(current_name), 0);
	}
	else
	{
		shape->key.shape = xact->nids;
		for (uint32 i = 0; i < xact->nids; i++)
		{
			shape->key.shape = hash_combine64(shape->key.shape, xact->ids[i]);
			shape->ids[i] = xact->ids[i];
		}
		shape->nids = xact->nids;
	}
	/* 0 is what has no room */
	if (shape->key.shape == 0)
		shape->key.shape = 1;
}

/* May others like it be added to its record? */
static inline bool
is_repeatable(const DbuTransaction *xact)
{
	return xact->outcome == DBU_XACT_COMMITTED && !xact->wrote && xact->statements == 1 &&
		xact->idle_gaps == 0 && xact->subtransactions == 0 && xact->wal_bytes == 0 &&
		xact->rows_written == 0 && current_name[0] == '\0';
}

/* Add it to the last record, if it is of the same shape and there is room. */
static bool
repeat_last(uint32 head, uint32 generation, const DbuTransaction *xact)
{
	TransactionRecord *last = &mailbox->ring[(head - 1) % TRANSACTION_RING];
	uint32		repeats = pg_atomic_read_u32(&last->repeats);
	const TransactionKey *key = &last->shape.key;

	if (head == pg_atomic_read_u32(&mailbox->tail) || !last->repeatable ||
		repeats == TRANSACTION_REPEATS || last->generation != generation ||
		last->shape.ids[0] != xact->ids[0] || key->service != current.service ||
		key->username != current.username || key->database != current.database)
		return false;
	last->more_ms[repeats] = xact->duration_ms;
	pg_write_barrier();
	pg_atomic_write_u32(&last->repeats, repeats + 1);
	return true;
}

static void
note_transaction(const DbuTransaction *xact)
{
	uint32		generation = pg_atomic_read_u32(&dbu_track_shared->generation);
	uint32		head = pg_atomic_read_u32(&mailbox->head);
	bool		repeatable = is_repeatable(xact);
	TransactionRecord *record;

	if (repeatable && repeat_last(head, generation, xact))
		return;
	if (head - pg_atomic_read_u32(&mailbox->tail) >= TRANSACTION_RING)
	{
		pg_atomic_fetch_add_u64(&dbu_track_shared->transactions_dropped, 1);
		return;
	}
	record = &mailbox->ring[head % TRANSACTION_RING];
	record->generation = generation;
	record->facts = *xact;
	record->repeatable = repeatable;
	pg_atomic_write_u32(&record->repeats, 0);
	fill_shape(&record->shape, xact);
	pg_write_barrier();
	pg_atomic_write_u32(&mailbox->head, head + 1);
}

/* In a transaction block, one that failed stays open until the client rolls it back. */
static void
note_failure(const DbuTransaction *xact)
{
	if (xact->outcome == DBU_XACT_COMMAND || xact->outcome == DBU_XACT_TERMINATED)
		return;
	open_transaction->statements = xact->statements;
	open_transaction->failed = true;
	open_transaction->pid = MyProcPid;
}

/* After the commit record, or in an error path: plain stores only. */
void
dbu_track_xact_end(const DbuTransaction *xact)
{
	if (mailbox == NULL)
		return;
	open_transaction->pid = 0;
	if (dbu_track_level != DBU_TRACK_NONE)
	{
		note_transaction(xact);
		if (xact->outcome != DBU_XACT_COMMITTED)
			note_failure(xact);
	}
	if (!open_transaction->failed)
		open_transaction->name[0] = '\0';
	current_name[0] = '\0';
	named_service = -1;
}

/* ---------- reading ---------- */

static TransactionEntry *
find_copy(TransactionEntry *all, int used, const TransactionKey *key)
{
	for (int i = 0; i < used; i++)
	{
		if (same_key(&all[i].shape.key, key))
			return &all[i];
	}
	return NULL;
}

/*
 * Totals with what is in the rings, palloc'd.  Copied under the exclusive
 * lock, so that nothing moves from one to the other meanwhile.
 */
TransactionEntry *
dbu_track_copy_transactions(int *count)
{
	int			nrings = dbu_track_nmailboxes * TRANSACTION_RING;
	uint32		generation;
	TransactionEntry *all;
	TransactionRecord *records;
	int			nrecords = 0;
	int			used;

	all = palloc_extended(mul_size(dbu_track_ntransactions + nrings, sizeof(TransactionEntry)),
						  MCXT_ALLOC_HUGE);
	records = palloc_extended(mul_size(nrings, sizeof(TransactionRecord)), MCXT_ALLOC_HUGE);

	LWLockAcquire(&dbu_track_shared->transaction_lock, LW_EXCLUSIVE);
	generation = pg_atomic_read_u32(&dbu_track_shared->generation);
	used = dbu_track_shared->ntransactions;
	memcpy(all, dbu_track_transactions, used * sizeof(TransactionEntry));
	for (int i = 0; i < dbu_track_nmailboxes; i++)
	{
		TransactionMailbox *box = &dbu_track_mailboxes[i];
		uint32		head = pg_atomic_read_u32(&box->head);

		pg_read_barrier();
		for (uint32 at = pg_atomic_read_u32(&box->tail); at != head; at++)
		{
			TransactionRecord *record = &box->ring[at % TRANSACTION_RING];
			uint32		repeats = pg_atomic_read_u32(&record->repeats);

			if (record->generation != generation)
				continue;
			/* its owner may be about to add another one */
			pg_read_barrier();
			records[nrecords] = *record;
			pg_atomic_write_u32(&records[nrecords++].repeats, repeats);
		}
	}
	LWLockRelease(&dbu_track_shared->transaction_lock);

	for (int i = 0; i < nrecords; i++)
	{
		TransactionEntry *entry = find_copy(all, used, &records[i].shape.key);

		if (entry == NULL)
		{
			entry = &all[used++];
			entry->shape = records[i].shape;
			memset(&entry->counters, 0, sizeof(entry->counters));
		}
		add_record(&entry->counters, &records[i]);
	}
	pfree(records);
	*count = used;
	return all;
}

/* Forget all of them; what is in rings is of an older generation then. */
void
dbu_track_transactions_reset(void)
{
	LWLockAcquire(&dbu_track_shared->transaction_lock, LW_EXCLUSIVE);
	dbu_track_shared->ntransactions = 0;
	for (int i = 0; i < dbu_track_ntransaction_buckets; i++)
		dbu_track_transaction_buckets[i] = -1;
	pg_atomic_fetch_add_u32(&dbu_track_shared->generation, 1);
	LWLockRelease(&dbu_track_shared->transaction_lock);
}
