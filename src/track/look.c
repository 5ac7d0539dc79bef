/*-------------------------------------------------------------------------
 *
 * look.c
 *	  Reading the entries of statements, a few at a time.
 *
 * Bytes are copied under the lock held shared, an entry's counters under its
 * spinlock, into memory that was taken before and is used for each batch again;
 * what is computed from them, and what asks catalogs, comes when no lock is
 * held.  So nobody who adds a statement waits for longer than a batch takes,
 * however many entries there are and whatever is done with them.
 *
 * Batches are of whole buckets: a statement's bucket does not change, so one
 * that gives way and comes back meanwhile is not seen twice.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/shmem.h"
#include "track/look.h"

#include <float.h>

#include "miscadmin.h"
#include "utils/memutils.h"

/* Rows that fit into a processor's cache, and buckets that are searched for them. */
#define BATCH_ROWS 32
#define BATCH_BUCKETS 1024

void
dbu_track_look_begin(DbuTrackLook *look, bool texts)
{
	memset(look, 0, sizeof(*look));
	look->want_texts = texts;
	look->room = BATCH_ROWS;
	look->rows = palloc(look->room * sizeof(DbuTrackRow));
	(void) dbu_shmem_dsa();		/* before the lock: it allocates */
}

static inline bool
is_wanted(const DbuTrackLook *look, const StatementEntry *entry)
{
	return look->query_id == 0 || entry->key.query_id == look->query_id;
}

static inline Size
text_size(const StatementEntry *entry)
{
	return DsaPointerIsValid(entry->text) ? (Size) entry->text_length + entry->tags_length + 2 : 0;
}

/*
 * How many buckets from look->bucket on make a batch, with the rows and the
 * bytes of text that they need.  Lock held.
 */
static int
measure(const DbuTrackLook *look, int *rows, Size *bytes)
{
	int			last = Min(look->bucket + BATCH_BUCKETS, dbu_track_nbuckets);
	int			b;

	*rows = 0;
	*bytes = 0;
	for (b = look->bucket; b < last; b++)
	{
		int			more_rows = 0;
		Size		more_bytes = 0;

		for (int32 i = dbu_track_buckets[b]; i >= 0; i = dbu_track_entries[i].next)
		{
			if (!is_wanted(look, &dbu_track_entries[i]))
				continue;
			more_rows++;
			if (look->want_texts)
				more_bytes += text_size(&dbu_track_entries[i]);
		}
		if (*rows > 0 && *rows + more_rows > look->room)
			break;
		*rows += more_rows;
		*bytes += more_bytes;
	}
	return b - look->bucket;
}

/* False: it was reset, and shows again when it is counted again. */
static bool
copy_row(DbuTrackRow *row, StatementEntry *entry)
{
	/* bounds that were reset are those of a part only */
	bool		whole = entry->minmax_since == entry->stats_since;

	row->key = entry->key;
	row->operation = entry->operation;
	row->nrelations = entry->nrelations;
	memcpy(row->relations, entry->relations, sizeof(row->relations));
	row->encoding = entry->encoding;
	row->first_seen = entry->first_seen;
	row->stats_since = entry->stats_since;
	row->minmax_since = entry->minmax_since;
	row->text = row->tags = NULL;

	SpinLockAcquire(&entry->mutex);
	row->counters = entry->counters;
	row->min_ms = whole ? entry->counters.exec.min : 0;
	row->max_ms = whole ? entry->counters.exec.max : DBL_MAX;
	dbu_histogram_copy(&row->histogram, &entry->histogram, row->min_ms, row->max_ms);
	SpinLockRelease(&entry->mutex);
	return row->counters.calls > 0 || row->counters.errors > 0;
}

/* Lock held, as since the batch was measured: what is in it is the same. */
static void
copy_batch(DbuTrackLook *look, int buckets)
{
	char	   *place = look->texts;
	int			n = 0;

	for (int b = look->bucket; b < look->bucket + buckets; b++)
	{
		for (int32 i = dbu_track_buckets[b]; i >= 0; i = dbu_track_entries[i].next)
		{
			StatementEntry *entry = &dbu_track_entries[i];
			DbuTrackRow *row = &look->rows[n];
			Size		size = look->want_texts ? text_size(entry) : 0;

			if (!is_wanted(look, entry) || !copy_row(row, entry))
				continue;
			n++;
			if (size == 0)
				continue;
			memcpy(place, dsa_get_address(dbu_shmem_dsa(), entry->text), size);
			row->text = place;
			if (entry->tags_length > 0)
				row->tags = place + entry->text_length + 1;
			place += size;
		}
	}
	look->count = n;
}

/* The next few into look->rows, valid until the next call; false: there are no more. */
bool
dbu_track_look_next(DbuTrackLook *look)
{
	look->count = 0;
	while (look->count == 0 && look->bucket < dbu_track_nbuckets)
	{
		int			rows;
		Size		bytes;
		int			buckets;

		CHECK_FOR_INTERRUPTS();
		LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
		buckets = measure(look, &rows, &bytes);
		if (rows <= look->room && bytes <= look->texts_size)
		{
			copy_batch(look, buckets);
			look->bucket += buckets;
			LWLockRelease(&dbu_track_shared->lock);
			continue;
		}
		LWLockRelease(&dbu_track_shared->lock);

		/* memory is taken without the lock, and it is looked again */
		if (rows > look->room)
		{
			pfree(look->rows);
			look->room = rows + BATCH_ROWS;
			look->rows = palloc_extended(mul_size(look->room, sizeof(DbuTrackRow)), MCXT_ALLOC_HUGE);
		}
		if (bytes > look->texts_size)
		{
			if (look->texts != NULL)
				pfree(look->texts);
			look->texts_size = bytes + bytes / 2;
			look->texts = palloc_extended(look->texts_size, MCXT_ALLOC_HUGE);
		}
	}
	return look->count > 0;
}

void
dbu_track_look_end(DbuTrackLook *look)
{
	pfree(look->rows);
	if (look->texts != NULL)
		pfree(look->texts);
}
