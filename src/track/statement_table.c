/*-------------------------------------------------------------------------
 *
 * statement_table.c
 *	  The table of statements: who is in it, who gives way, and its texts.
 *
 * The entries are an array with hash chains over indexes.  When no entry is free,
 * one that was reset and not counted since is; else a clock hand frees one, and
 * its calls are counted as dropped: the calls in the table plus those dropped are
 * those executed.
 *
 * Which lock each of these needs is said with it; what the locks guard is in
 * track.h.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/shmem.h"
#include "track/track.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

#define EVICTION_CANDIDATES 16

static uint32
bucket_of(const StatementKey *key)
{
	uint64		who = ((uint64) key->database << 32) | key->username;
	uint64		where = ((uint64) (uint32) key->service << 1) | key->toplevel;

	/* the identifier is a hash itself */
	return hash_combine64(hash_combine64(key->query_id, who), where) & (dbu_track_nbuckets - 1);
}

/* The entry for key as an index, -1: none. Lock in either mode. */
int32
dbu_track_search_statement(const StatementKey *key)
{
	int32		i = dbu_track_buckets[bucket_of(key)];

	while (i >= 0 && !dbu_track_same_statement(&dbu_track_entries[i].key, key))
		i = dbu_track_entries[i].next;
	return i;
}

/*
 * Take an entry out of its chain, onto the free list; with only_unused not if it
 * counts anything, then the answer is false.  What it held goes to calls and
 * errors.  Both are read in the section that takes the key: whoever counts
 * without the lock does so before, and is in them, or finds another key.
 * Exclusive lock.
 */
static bool
remove_entry(StatementEntry *entry, bool only_unused, int64 *calls, int64 *errors)
{
	int32		self = entry - dbu_track_entries;
	int32	   *link = &dbu_track_buckets[bucket_of(&entry->key)];
	bool		removed;

	SpinLockAcquire(&entry->mutex);
	*calls = entry->counters.calls;
	*errors = entry->counters.errors;
	removed = !only_unused || (*calls == 0 && *errors == 0);
	if (removed)
		memset(&entry->key, 0, sizeof(entry->key));
	SpinLockRelease(&entry->mutex);
	if (!removed)
		return false;

	while (*link != self)
		link = &dbu_track_entries[*link].next;
	*link = entry->next;

	if (DsaPointerIsValid(entry->text))
		dsa_free(dbu_shmem_dsa(), entry->text);
	entry->text = InvalidDsaPointer;
	entry->next = dbu_track_shared->free_entry;
	dbu_track_shared->free_entry = self;
	dbu_track_shared->used_entries--;
	return true;
}

/*
 * Free an entry that was reset and has not been counted since; false if there
 * is none.  Others on the list have come back: they leave it.  Exclusive lock.
 */
static bool
free_reset_entry(const StatementEntry *keep)
{
	while (dbu_track_shared->reset_entry >= 0)
	{
		StatementEntry *entry = &dbu_track_entries[dbu_track_shared->reset_entry];
		int64		calls;
		int64		errors;

		dbu_track_shared->reset_entry = entry->next_listed;
		entry->listed = false;
		if (entry != keep && remove_entry(entry, true, &calls, &errors))
			return true;
	}
	return false;
}

/*
 * Free the first entry not used since the hand last came by, else the least used
 * of some.  The hand stays behind the one it took: what it passed over for a
 * better one would be passed over each time.  Exclusive lock.
 */
static void
evict_one(void)
{
	StatementEntry *victim = NULL;
	uint8		least = 1;
	int64		calls;
	int64		errors;

	for (int i = 0; i < EVICTION_CANDIDATES && least > 0; i++)
	{
		StatementEntry *entry = &dbu_track_entries[dbu_track_shared->clock_hand];

		dbu_track_shared->clock_hand = (dbu_track_shared->clock_hand + 1) % dbu_track_max;
		SpinLockAcquire(&entry->mutex);
		if (victim == NULL || entry->usage < least)
		{
			victim = entry;
			least = entry->usage;
		}
		if (entry->usage > 0)
			entry->usage--;
		SpinLockRelease(&entry->mutex);
	}
	(void) remove_entry(victim, false, &calls, &errors);
	pg_atomic_fetch_add_u64(&dbu_track_shared->evictions, 1);
	pg_atomic_fetch_add_u64(&dbu_track_shared->calls_dropped, calls);
	pg_atomic_fetch_add_u64(&dbu_track_shared->errors_dropped, errors);
}

/* Put an entry that was cleared on the list of those that may be freed. Exclusive lock. */
void
dbu_track_list_statement(StatementEntry *entry)
{
	if (entry->listed)
		return;
	entry->listed = true;
	entry->next_listed = dbu_track_shared->reset_entry;
	dbu_track_shared->reset_entry = entry - dbu_track_entries;
}

/*
 * Forget what was counted.  Exclusive lock and the entry's spinlock: who adds up
 * what is forgotten reads it in the same section.
 */
void
dbu_track_clear_statement(StatementEntry *entry, TimestampTz now)
{
	entry->usage = 0;
	entry->stats_since = entry->minmax_since = now;
	memset(&entry->counters, 0, sizeof(entry->counters));
	memset(&entry->histogram, 0, sizeof(entry->histogram));
}

/* Add an entry. Exclusive lock; never fails. */
StatementEntry *
dbu_track_add_statement(const StatementKey *key)
{
	StatementEntry *entry;
	int32		self;
	int32	   *head;

	if (dbu_track_shared->free_entry < 0 && !free_reset_entry(NULL))
		evict_one();
	self = dbu_track_shared->free_entry;
	entry = &dbu_track_entries[self];
	dbu_track_shared->free_entry = entry->next;
	dbu_track_shared->used_entries++;

	entry->operation = CMD_UNKNOWN;
	entry->nrelations = 0;
	entry->text = InvalidDsaPointer;
	entry->text_length = entry->tags_length = 0;
	entry->first_seen = GetCurrentTimestamp();

	/* from here on others may count it: one that was here before may come back to its place */
	SpinLockAcquire(&entry->mutex);
	dbu_track_clear_statement(entry, entry->first_seen);
	entry->wants = WANTS_TEXT | WANTS_RELATIONS;
	entry->usage = 1;
	entry->key = *key;
	SpinLockRelease(&entry->mutex);

	head = &dbu_track_buckets[bucket_of(key)];
	entry->next = *head;
	*head = self;
	return entry;
}

/*
 * Exclusive lock.  In a full area statements that were reset give way; without
 * any the entry is left without text, counted.
 */
void
dbu_track_store_text(StatementEntry *entry, const char *text, const char *tags, int encoding)
{
	dsa_area   *dsa = dbu_shmem_dsa();
	int			length = strlen(text);
	int			tags_length = tags ? strlen(tags) : 0;
	char	   *place;

	if (DsaPointerIsValid(entry->text))
		dsa_free(dsa, entry->text);
	do
		entry->text = dsa_allocate_extended(dsa, length + tags_length + 2, DSA_ALLOC_NO_OOM);
	while (!DsaPointerIsValid(entry->text) && free_reset_entry(entry));
	if (!DsaPointerIsValid(entry->text))
	{
		pg_atomic_fetch_add_u64(&dbu_track_shared->texts_dropped, 1);
		return;
	}
	place = dsa_get_address(dsa, entry->text);
	memcpy(place, text, length + 1);
	memcpy(place + length + 1, tags ? tags : "", tags_length + 1);
	entry->text_length = length;
	entry->tags_length = tags_length;
	entry->encoding = encoding;
}
