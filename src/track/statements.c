/*-------------------------------------------------------------------------
 *
 * statements.c
 *	  Counters per statement: (service, database, user, queryid, toplevel).
 *
 * A statement that this process has found before is counted under its entry's
 * spinlock alone, in which the key is compared; others are found under the lock
 * held shared.  A new one is normalised first, without any lock, then added to
 * the table (statement_table.c) under the lock held exclusively.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/shmem.h"
#include "core/usage.h"
#include "track/watch.h"

#include "common/hashfn.h"
#include "executor/executor.h"
#include "jit/jit.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"

#define MAX_USAGE 5

/* Places of entries that a process remembers. */
#define HINTS 64

/* The service of the last statement: error paths may not look it up. */
int32		dbu_track_service = 0;

/* ---------- finding an entry ---------- */

/* Where this process found its last statements. */
static int32 found[HINTS];

/* The caller holds the lock, in either mode. */
static StatementEntry *
find_entry(const StatementKey *key)
{
	int32	   *hint = &found[key->query_id % HINTS];
	int32		i;

	if (dbu_track_same_statement(&dbu_track_entries[*hint].key, key))
		return &dbu_track_entries[*hint];
	i = dbu_track_search_statement(key);
	if (i < 0)
		return NULL;
	*hint = i;
	return &dbu_track_entries[i];
}

/*
 * The entry for key, its spinlock held; NULL if this process does not remember
 * it, or if it is to learn something, which takes the lock.  An entry that is
 * free has no key.
 */
static inline StatementEntry *
lock_known(const StatementKey *key)
{
	StatementEntry *entry = &dbu_track_entries[found[key->query_id % HINTS]];

	/* a first look, so as not to disturb who counts another statement there */
	if (entry->key.query_id != key->query_id)
		return NULL;
	SpinLockAcquire(&entry->mutex);
	if (likely(dbu_track_same_statement(&entry->key, key) && entry->wants == 0))
		return entry;
	SpinLockRelease(&entry->mutex);
	return NULL;
}

/* Tables of the statement, each once, in the order of its text. Exclusive lock. */
static void
store_relations(StatementEntry *entry, const List *range_table)
{
	ListCell   *lc;

	foreach(lc, range_table)
	{
		const RangeTblEntry *rte = lfirst(lc);
		bool		known = rte->rtekind != RTE_RELATION;

		for (int i = 0; !known && i < entry->nrelations; i++)
			known = entry->relations[i] == rte->relid;
		if (!known && entry->nrelations < STATEMENT_RELATIONS)
			entry->relations[entry->nrelations++] = rte->relid;
	}
}

/*
 * Is the source's text better than what the entry has?  One that was cut
 * before it came here holds until a whole one is offered.
 */
static bool
needs_text(const StatementEntry *entry, const DbuTrackSource *source)
{
	return (entry->wants & WANTS_TEXT) != 0 && source != NULL &&
		(source->whole || !DsaPointerIsValid(entry->text));
}

/* Does the entry learn anything from the source? Lock in either mode. */
static bool
needs_source(const StatementEntry *entry, const DbuTrackSource *source)
{
	return entry->wants != 0 &&
		(needs_text(entry, source) ||
		 ((entry->wants & WANTS_RELATIONS) != 0 && source != NULL && source->range_table != NIL));
}

/*
 * Exclusive lock; text is NULL when there was no need for it.  A text that
 * found no room is not tried again at each call.
 */
static void
learn(StatementEntry *entry, CmdType operation, const DbuTrackSource *source,
	  const char *text, const char *tags)
{
	uint8		wants = entry->wants;

	entry->operation = operation;
	if (text != NULL && needs_text(entry, source))
	{
		dbu_track_store_text(entry, text, tags, GetDatabaseEncoding());
		if (source->whole || !DsaPointerIsValid(entry->text))
			wants &= ~WANTS_TEXT;
	}
	if ((wants & WANTS_RELATIONS) != 0 && source != NULL && source->range_table != NIL)
	{
		store_relations(entry, source->range_table);
		wants &= ~WANTS_RELATIONS;
	}
	/* statements that no plan is made for have none */
	if (operation == CMD_UTILITY)
		wants &= ~WANTS_RELATIONS;

	SpinLockAcquire(&entry->mutex);
	entry->wants = wants;
	SpinLockRelease(&entry->mutex);
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
	char	   *tags = NULL;

	if (key->query_id == 0)
	{
		/* a utility statement without identifier: its text is its identity */
		text = dbu_track_normalize(source, dbu_track_query_size, &tags);
		key->query_id = hash_bytes_extended((const unsigned char *) text, strlen(text), 0);
	}

	LWLockAcquire(&dbu_track_shared->lock, LW_SHARED);
	entry = find_entry(key);
	if (unlikely(entry == NULL || needs_source(entry, source)))
	{
		LWLockRelease(&dbu_track_shared->lock);
		if (text == NULL && source != NULL)
			text = dbu_track_normalize(source, dbu_track_query_size, &tags);
		(void) dbu_shmem_dsa(); /* attach before the lock: it allocates */

		LWLockAcquire(&dbu_track_shared->lock, LW_EXCLUSIVE);
		entry = find_entry(key);
		if (entry == NULL)
			entry = dbu_track_add_statement(key);
		learn(entry, operation, source, text, tags);
		if (text != NULL)
			pfree(text);
		if (tags != NULL)
			pfree(tags);
	}
	else if (text != NULL)
		pfree(text);
	return entry;
}

/* Entry's spinlock held. */
static void
touch_entry(StatementEntry *entry)
{
	if (entry->usage < MAX_USAGE)
		entry->usage++;
}

/* ---------- counting ---------- */

/* count includes this one. */
static inline void
add_time(DbuTimes *times, int64 count, double ms)
{
	double		delta = ms - times->mean;

	times->total += ms;
	if (!times->has_range || ms < times->min)
		times->min = ms;
	if (!times->has_range || ms > times->max)
		times->max = ms;
	times->has_range = true;
	/* Welford (1962): mean and variance in one pass, without cancellation */
	times->mean += delta / count;
	times->sum_var += delta * (ms - times->mean);
}

static void
count_jit(JitCounters *into, const JitInstrumentation *jit)
{
	into->functions += jit->created_functions;
	into->generation_ms += INSTR_TIME_GET_MILLISEC(jit->generation_counter);
	if (!INSTR_TIME_IS_ZERO(jit->inlining_counter))
		into->inlining_count++;
	into->inlining_ms += INSTR_TIME_GET_MILLISEC(jit->inlining_counter);
	if (!INSTR_TIME_IS_ZERO(jit->optimization_counter))
		into->optimization_count++;
	into->optimization_ms += INSTR_TIME_GET_MILLISEC(jit->optimization_counter);
	if (!INSTR_TIME_IS_ZERO(jit->emission_counter))
		into->emission_count++;
	into->emission_ms += INSTR_TIME_GET_MILLISEC(jit->emission_counter);
}

static void
count_buffers(StatementCounters *c, const BufferUsage *buffers)
{
#define ADD(count) c->buffers.count += buffers->count
	DBU_EACH_BLOCK_COUNT(ADD);
#undef ADD
	if (track_io_timing)
	{
		c->blk_read_ms += dbu_blk_read_ms(buffers);
		c->blk_write_ms += dbu_blk_write_ms(buffers);
		c->temp_blk_read_ms += INSTR_TIME_GET_MILLISEC(buffers->temp_blk_read_time);
		c->temp_blk_write_ms += INSTR_TIME_GET_MILLISEC(buffers->temp_blk_write_time);
	}
}

/* Entry's spinlock held. */
static void
count_execution(StatementEntry *entry, const DbuStatement *stmt, const JitInstrumentation *jit)
{
	StatementCounters *c = &entry->counters;

	touch_entry(entry);
	c->calls++;
	c->rows += stmt->rows;
	add_time(&c->exec, c->calls, stmt->exec_ms);
	dbu_histogram_add(&entry->histogram, stmt->exec_ms);
	count_buffers(c, &stmt->buffers);
	if (stmt->wal.wal_records > 0)
	{
		c->wal.wal_records += stmt->wal.wal_records;
		c->wal.wal_fpi += stmt->wal.wal_fpi;
		c->wal.wal_bytes += stmt->wal.wal_bytes;
	}
	c->plan_cache_hits += stmt->plan_served;
	if (stmt->planned)
	{
		c->plans++;
		add_time(&c->plan, c->plans, stmt->plan_ms);
	}
	if (stmt->cpu_known)
	{
		c->cpu_samples++;
		c->cpu_exec_ms += stmt->exec_ms;
		c->cpu_user_ms += stmt->cpu_user_ms;
		c->cpu_system_ms += stmt->cpu_system_ms;
	}
	if (jit != NULL)
		count_jit(&c->jit, jit);
}

/*
 * Is the statement to be tracked?  Without an identifier it is not counted, but
 * its plan may be slow.
 */
bool
dbu_track_wanted(const DbuStatement *stmt)
{
	if (dbu_track_level == DBU_TRACK_NONE)
		return false;
	if (dbu_track_level == DBU_TRACK_TOP && stmt->nesting > 0)
		return false;
	if (stmt->operation == CMD_UTILITY)
		return dbu_track_utility;
	return stmt->query_id != 0 || dbu_slow_time >= 0;
}

/* Callable in error paths. */
void
dbu_track_make_key(StatementKey *key, const DbuStatement *stmt)
{
	/* there is no padding */
	key->query_id = stmt->query_id;
	key->database = MyDatabaseId;
	key->username = stmt->user;
	key->service = dbu_track_service;
	key->toplevel = stmt->nesting == 0;
}

/* A statement of the client: tracked or not, its transaction is. */
void
dbu_track_stmt_client(Oid user)
{
	if (dbu_track_level == DBU_TRACK_NONE)
		return;
	dbu_track_service = dbu_track_service_id();
	dbu_track_xact_prepare(dbu_track_service, user);
	if (dbu_track_errors_pending > 0)
		dbu_track_errors_flush(false);
	dbu_watch_client(dbu_track_service, user);
}

/* What is known of a command that failed before it was a statement. In error paths. */
void
dbu_track_make_client_key(StatementKey *key, Oid user)
{
	memset(key, 0, sizeof(*key));
	key->database = MyDatabaseId;
	key->username = user;
	key->service = dbu_track_service;
	key->toplevel = true;
}

/* Callable in error paths. */
int
dbu_track_stmt_want(const DbuStatement *stmt)
{
	static int	until_sample = 1;

	dbu_track_note_escapes();
	if (!dbu_track_wanted(stmt))
		return 0;
	if (dbu_track_cpu_sample == 0)
		return DBU_WANT;
	if (--until_sample > 0 && until_sample < dbu_track_cpu_sample)
		return DBU_WANT;
	until_sample = dbu_track_cpu_sample;
	return DBU_WANT | DBU_WANT_CPU;
}

/* The JIT of a query and of its parallel workers; NULL: there was none. */
static const JitInstrumentation *
find_jit(const DbuStatement *stmt, JitInstrumentation *sum)
{
	EState	   *estate = stmt->query_desc ? stmt->query_desc->estate : NULL;

	if (estate == NULL || (estate->es_jit == NULL && estate->es_jit_worker_instr == NULL))
		return NULL;
	memset(sum, 0, sizeof(*sum));
	if (estate->es_jit != NULL)
		InstrJitAgg(sum, &estate->es_jit->instr);
	if (estate->es_jit_worker_instr != NULL)
		InstrJitAgg(sum, estate->es_jit_worker_instr);
	return sum;
}

/* A statement that this process does not remember, or of which there is something to learn. */
static pg_noinline void
count_unknown(StatementKey *key, const DbuStatement *stmt, const JitInstrumentation *jit)
{
	StatementEntry *entry;
	DbuTrackSource source = {
		.text = stmt->source_text,
		.location = stmt->location,
		.length = stmt->length,
		.whole = true,
		.utility = stmt->operation == CMD_UTILITY,
		.range_table = stmt->query_desc ? stmt->query_desc->plannedstmt->rtable : NIL,
	};

	entry = lock_entry(key, stmt->operation, &source);
	SpinLockAcquire(&entry->mutex);
	count_execution(entry, stmt, jit);
	SpinLockRelease(&entry->mutex);
	LWLockRelease(&dbu_track_shared->lock);
}

static inline void
count_statement(const DbuStatement *stmt)
{
	StatementKey key;
	StatementEntry *entry;
	JitInstrumentation sum;
	const JitInstrumentation *jit = find_jit(stmt, &sum);

	dbu_track_make_key(&key, stmt);
	entry = lock_known(&key);
	if (likely(entry != NULL))
	{
		count_execution(entry, stmt, jit);
		SpinLockRelease(&entry->mutex);
	}
	else
		count_unknown(&key, stmt, jit);
}

void
dbu_track_stmt_end(const DbuStatement *stmt)
{
	if (dbu_track_is_counted(stmt))
		count_statement(stmt);
	if (stmt->query_desc != NULL)
		dbu_watch_stmt_end(stmt);
	else if (OidIsValid(stmt->target))
		dbu_watch_write_end(stmt);
}

/* Count errors of a statement; source as for lock_entry. */
void
dbu_track_count_errors(StatementKey *key, CmdType operation, int64 errors, int sqlstate,
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
	entry->counters.last_sqlstate = sqlstate;
	touch_entry(entry);
	SpinLockRelease(&entry->mutex);
	LWLockRelease(&dbu_track_shared->lock);
}
