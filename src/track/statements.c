/*-------------------------------------------------------------------------
 *
 * statements.c
 *	  Counters per statement: (service, database, user, queryid, toplevel).
 *
 * The entries are an array with hash chains over indexes.  A known statement
 * is found under the lock held shared and counted under its entry's spinlock.
 * A new one is normalised first, without any lock, then added under the lock
 * held exclusively; when no entry is free the least used of a few that a clock
 * hand comes by gives way, and its calls are counted as dropped: the calls in
 * the table plus those dropped are those executed.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/shmem.h"
#include "track/track.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#define EVICTION_CANDIDATES 16
#define MAX_USAGE 5

/* The service of the last statement: error paths may not look it up. */
static int32 current_service = 0;

/* ---------- the table ---------- */

static uint32
bucket_of(const StatementKey *key)
{
	return hash_bytes((const unsigned char *) key, sizeof(*key)) % dbu_track_nbuckets;
}

/* The caller holds the lock, in either mode. */
static StatementEntry *
find_entry(const StatementKey *key)
{
	for (int32 i = dbu_track_buckets[bucket_of(key)]; i >= 0; i = dbu_track_entries[i].next)
	{
		if (memcmp(&dbu_track_entries[i].key, key, sizeof(*key)) == 0)
			return &dbu_track_entries[i];
	}
	return NULL;
}

/* Take an entry out of its chain, onto the free list. Exclusive lock. */
static void
remove_entry(StatementEntry *entry)
{
	int32		self = entry - dbu_track_entries;
	int32	   *link = &dbu_track_buckets[bucket_of(&entry->key)];

	while (*link != self)
		link = &dbu_track_entries[*link].next;
	*link = entry->next;

	if (DsaPointerIsValid(entry->text))
		dsa_free(dbu_shmem_dsa(), entry->text);
	entry->text = InvalidDsaPointer;
	entry->next = dbu_track_shared->free_entry;
	dbu_track_shared->free_entry = self;
	dbu_track_shared->used_entries--;
}

/* Free the least used of the entries that the hand comes by. Exclusive lock. */
static void
evict_one(void)
{
	StatementEntry *victim = NULL;

	for (int i = 0; i < EVICTION_CANDIDATES; i++)
	{
		StatementEntry *entry = &dbu_track_entries[dbu_track_shared->clock_hand];

		dbu_track_shared->clock_hand = (dbu_track_shared->clock_hand + 1) % dbu_track_max;
		if (victim == NULL || entry->usage < victim->usage)
			victim = entry;
		if (entry->usage > 0)
			entry->usage--;
	}
	pg_atomic_fetch_add_u64(&dbu_track_shared->evictions, 1);
	pg_atomic_fetch_add_u64(&dbu_track_shared->calls_dropped, victim->counters.calls);
	pg_atomic_fetch_add_u64(&dbu_track_shared->errors_dropped, victim->counters.errors);
	remove_entry(victim);
}

/* Add an entry. Exclusive lock; never fails. */
static StatementEntry *
add_entry(const StatementKey *key, CmdType operation)
{
	StatementEntry *entry;
	int32		self;
	int32	   *head;

	if (dbu_track_shared->free_entry < 0)
		evict_one();
	self = dbu_track_shared->free_entry;
	entry = &dbu_track_entries[self];
	dbu_track_shared->free_entry = entry->next;
	dbu_track_shared->used_entries++;

	entry->key = *key;
	entry->usage = 1;
	entry->wants_text = true;
	entry->operation = operation;
	entry->text = InvalidDsaPointer;
	entry->text_length = 0;
	entry->stats_since = GetCurrentTimestamp();
	memset(&entry->counters, 0, sizeof(entry->counters));
	memset(&entry->histogram, 0, sizeof(entry->histogram));

	head = &dbu_track_buckets[bucket_of(key)];
	entry->next = *head;
	*head = self;
	return entry;
}

/*
 * Exclusive lock.  A text that was cut before it came here holds until a whole
 * one is offered.  A full area leaves the entry without text, counted: it is
 * not tried again at each call.
 */
static void
store_text(StatementEntry *entry, const char *text, bool whole)
{
	dsa_area   *dsa = dbu_shmem_dsa();
	int			length = strlen(text);

	if (DsaPointerIsValid(entry->text))
		dsa_free(dsa, entry->text);
	entry->text = dsa_allocate_extended(dsa, length + 1, DSA_ALLOC_NO_OOM);
	entry->wants_text = !whole && DsaPointerIsValid(entry->text);
	if (!DsaPointerIsValid(entry->text))
	{
		pg_atomic_fetch_add_u64(&dbu_track_shared->texts_dropped, 1);
		return;
	}
	memcpy(dsa_get_address(dsa, entry->text), text, length + 1);
	entry->text_length = length;
	entry->encoding = GetDatabaseEncoding();
}

/* Is the source's text better than what the entry has? Lock in either mode. */
static bool
needs_text(const StatementEntry *entry, const DbuTrackSource *source)
{
	return entry->wants_text && source != NULL &&
		(source->whole || !DsaPointerIsValid(entry->text));
}

/*
 * The entry for key, found or added, with the lock held in one mode or the
 * other.  source (NULL: not at hand) is normalised if the entry needs it.
 */
static StatementEntry *
lock_entry(StatementKey *key, CmdType operation, const DbuTrackSource *source)
{
	StatementEntry *entry = NULL;
	char	   *text = NULL;

	if (key->query_id == 0)
	{
		/* a utility statement without identifier: its text is its identity */
		text = dbu_track_normalize(source, dbu_track_query_size);
		key->query_id = hash_bytes_extended((const unsigned char *) text, strlen(text), 0);
	}

	LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
	entry = find_entry(key);
	if (entry == NULL || needs_text(entry, source))
	{
		LWLockRelease(&dbu_track_shared->lock);
		if (text == NULL && source != NULL)
			text = dbu_track_normalize(source, dbu_track_query_size);
		(void) dbu_shmem_dsa(); /* attach before the lock: it allocates */

		LWLockAcquire(&dbu_track_shared->lock, LW_EXCLUSIVE);
		entry = find_entry(key);
		if (entry == NULL)
			entry = add_entry(key, operation);
		if (text != NULL && needs_text(entry, source))
			store_text(entry, text, source->whole);
	}
	if (text != NULL)
		pfree(text);
	return entry;
}

static void
touch_entry(StatementEntry *entry)
{
	if (entry->usage < MAX_USAGE)
		entry->usage++;
}

/* ---------- counting ---------- */

/* Entry's spinlock held. */
static void
count_execution(StatementEntry *entry, const DbuStatement *stmt)
{
	StatementCounters *c = &entry->counters;
	double		delta;

	c->calls++;
	c->rows += stmt->rows;
	c->total_exec_ms += stmt->exec_ms;
	if (c->calls == 1 || stmt->exec_ms < c->min_exec_ms)
		c->min_exec_ms = stmt->exec_ms;
	if (stmt->exec_ms > c->max_exec_ms)
		c->max_exec_ms = stmt->exec_ms;
	/* Welford (1962): mean and variance in one pass, without cancellation */
	delta = stmt->exec_ms - c->mean_exec_ms;
	c->mean_exec_ms += delta / c->calls;
	c->sum_var_exec += delta * (stmt->exec_ms - c->mean_exec_ms);
	dbu_histogram_add(&entry->histogram, stmt->exec_ms);

	c->buffers.shared_blks_hit += stmt->buffers.shared_blks_hit;
	c->buffers.shared_blks_read += stmt->buffers.shared_blks_read;
	c->buffers.shared_blks_dirtied += stmt->buffers.shared_blks_dirtied;
	c->buffers.shared_blks_written += stmt->buffers.shared_blks_written;
	c->buffers.local_blks_hit += stmt->buffers.local_blks_hit;
	c->buffers.local_blks_read += stmt->buffers.local_blks_read;
	c->buffers.local_blks_dirtied += stmt->buffers.local_blks_dirtied;
	c->buffers.local_blks_written += stmt->buffers.local_blks_written;
	c->buffers.temp_blks_read += stmt->buffers.temp_blks_read;
	c->buffers.temp_blks_written += stmt->buffers.temp_blks_written;
	c->wal.wal_records += stmt->wal.wal_records;
	c->wal.wal_fpi += stmt->wal.wal_fpi;
	c->wal.wal_bytes += stmt->wal.wal_bytes;
}

/* Is the statement to be tracked? */
static bool
wanted(const DbuStatement *stmt)
{
	if (dbu_track_level == DBU_TRACK_NONE)
		return false;
	if (dbu_track_level == DBU_TRACK_TOP && stmt->nesting > 0)
		return false;
	if (stmt->operation == CMD_UTILITY)
		return dbu_track_utility;
	return stmt->query_id != 0;
}

/* Callable in error paths. */
void
dbu_track_make_key(StatementKey *key, const DbuStatement *stmt)
{
	memset(key, 0, sizeof(*key));
	key->query_id = stmt->query_id;
	key->database = MyDatabaseId;
	key->username = stmt->user;
	key->service = current_service;
	key->toplevel = stmt->nesting == 0;
}

/* A statement of the client: tracked or not, its transaction is. */
void
dbu_track_stmt_client(Oid user)
{
	if (dbu_track_level == DBU_TRACK_NONE)
		return;
	current_service = dbu_track_service_id();
	dbu_track_xact_prepare(current_service, user);
	dbu_track_errors_flush(false);
}

/* Callable in error paths. */
int
dbu_track_stmt_want(const DbuStatement *stmt)
{
	dbu_track_note_escapes();
	if (!wanted(stmt))
		return 0;
	return INSTRUMENT_TIMER | INSTRUMENT_BUFFERS | INSTRUMENT_WAL;
}

void
dbu_track_stmt_end(const DbuStatement *stmt)
{
	StatementKey key;
	StatementEntry *entry;
	DbuTrackSource source = {
		.text = stmt->source_text,
		.location = stmt->location,
		.length = stmt->length,
		.whole = true,
		.utility = stmt->operation == CMD_UTILITY,
	};

	dbu_track_make_key(&key, stmt);
	entry = lock_entry(&key, stmt->operation, &source);
	SpinLockAcquire(&entry->mutex);
	count_execution(entry, stmt);
	if (stmt->planned)
	{
		entry->counters.plans++;
		entry->counters.total_plan_ms += stmt->plan_ms;
		entry->counters.plan_cache_hits += stmt->plan_served;
	}
	touch_entry(entry);
	SpinLockRelease(&entry->mutex);
	LWLockRelease(&dbu_track_shared->lock);
}

/* Count errors of a statement; source as for lock_entry. */
void
dbu_track_count_errors(StatementKey *key, CmdType operation, int64 errors,
					   const DbuTrackSource *source)
{
	StatementEntry *entry;

	if (key->query_id == 0 && source == NULL)
	{
		pg_atomic_fetch_add_u64(&dbu_track_shared->errors_dropped, errors);
		return;
	}
	entry = lock_entry(key, operation, source);
	SpinLockAcquire(&entry->mutex);
	entry->counters.errors += errors;
	touch_entry(entry);
	SpinLockRelease(&entry->mutex);
	LWLockRelease(&dbu_track_shared->lock);
}

/* Forget all statements. Exclusive lock; the caller attached the DSA area. */
void
dbu_track_statements_reset(void)
{
	for (int i = 0; i < dbu_track_nbuckets; i++)
	{
		while (dbu_track_buckets[i] >= 0)
			remove_entry(&dbu_track_entries[dbu_track_buckets[i]]);
	}
}
