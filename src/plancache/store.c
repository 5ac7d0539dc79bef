/*-------------------------------------------------------------------------
 *
 * store.c
 *	  The entries of the plan cache: memory, eviction, invalidation.
 *
 * All of it is this backend's own.  An entry is built in a memory context
 * under the caller's, so that an error frees it, and moved under the store's
 * once it is whole.  The sum of the entries stays within
 * dbutil.plan_cache_memory; for room the entry goes that saved the least time
 * a byte among those longest unused.
 *
 * Invalidation callbacks may come whenever a lock is taken or a catalog is
 * read.  They set `valid` and move the generation, nothing else, so an entry
 * that somebody looks at is never freed under him.  What is stale is freed
 * when its bucket is next searched, or when room is needed.
 *
 * Changes of relations and of types make the entries stale that depend on
 * them.  The other catalogs that planning reads, among them pg_proc and the
 * roles whose rights decide whether a function may be inlined or folded, make
 * all entries stale.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/plancache.h"

#include "access/xact.h"
#include "nodes/plannodes.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define NBUCKETS 1024
#define NSIGHTINGS 1024			/* statements whose calls are remembered */
#define EVICTION_CHOICE 8		/* entries that eviction chooses from */
#define ENTRY_SHARE 8			/* one entry: at most this part of the memory */

static MemoryContext store_context = NULL;
static DbuPlanEntry *buckets[NBUCKETS];
static dlist_head by_use = DLIST_STATIC_INIT(by_use);	/* head: most recent */
static int	nentries = 0;
static Size total_bytes = 0;
static uint64 last_serial = 0;

/* How often a statement came that has no entry.  A collision costs a call. */
static struct
{
	uint64		hash;
	uint32		calls;
}			sightings[NSIGHTINGS];

/* Statements in a row that had not been seen before. */
static uint32 strangers = 0;

/* After so many only one of some is looked at. */
#define MANY_STRANGERS 256
#define STRANGERS_LOOKED_AT 8

static uint64 generation = 0;
static TransactionId ddl_xid = InvalidTransactionId;

/* ---------- invalidation ---------- */

static void
catalog_changed(void)
{
	TransactionId xid = GetTopTransactionIdIfAny();

	generation++;

	/* perhaps our own change, uncommitted: see dbu_plancache_in_ddl() */
	if (TransactionIdIsValid(xid))
		ddl_xid = xid;
}

static void
make_stale(DbuPlanEntry *entry)
{
	if (entry->valid)
	{
		entry->valid = false;
		dbu_plancache_counts->events[DBU_PLAN_INVALIDATED]++;
	}
}

static void
relation_changed(Datum arg, Oid relid)
{
	dlist_iter	iter;

	catalog_changed();
	dlist_foreach(iter, &by_use)
	{
		DbuPlanEntry *entry = dlist_container(DbuPlanEntry, node, iter.cur);

		for (int i = 0; i < entry->nrelations && entry->valid; i++)
		{
			if (relid == InvalidOid || entry->relations[i] == relid)
				make_stale(entry);
		}
	}
}

static void
type_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	dlist_iter	iter;

	catalog_changed();
	dlist_foreach(iter, &by_use)
	{
		DbuPlanEntry *entry = dlist_container(DbuPlanEntry, node, iter.cur);
		ListCell   *lc;

		if (hashvalue == 0)
			make_stale(entry);
		if (!entry->valid || entry->plan == NULL)
			continue;
		foreach(lc, entry->plan->invalItems)
		{
			PlanInvalItem *item = lfirst_node(PlanInvalItem, lc);

			if (item->cacheId == cacheid && item->hashValue == hashvalue)
				make_stale(entry);
		}
	}
}

static void
anything_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	dlist_iter	iter;

	catalog_changed();
	dlist_foreach(iter, &by_use)
		make_stale(dlist_container(DbuPlanEntry, node, iter.cur));
}

/* Moves with every catalog change that this backend hears of. */
uint64
dbu_plancache_generation(void)
{
	return generation;
}

/*
 * Did catalogs change since the running transaction wrote something?  Then the
 * change may be its own, and be rolled back: nothing is stored until it ends.
 */
bool
dbu_plancache_in_ddl(void)
{
	return TransactionIdIsValid(ddl_xid) && ddl_xid == GetTopTransactionIdIfAny();
}

/* First use in this backend. */
void
dbu_plancache_store_init(void)
{
	static const int catalogs[] = {
		PROCOID, NAMESPACEOID, OPEROID, AMOPOPID, CLAOID, TABLESPACEOID,
		AUTHOID, AUTHMEMROLEMEM, FOREIGNSERVEROID, FOREIGNDATAWRAPPEROID,
		/* text search functions call themselves immutable */
		TSCONFIGOID, TSCONFIGMAP, TSDICTOID, TSPARSEROID, TSTEMPLATEOID
	};

	if (store_context != NULL)
		return;
	/* may fail; what is registered is so for ever */
	store_context = AllocSetContextCreate(TopMemoryContext, "dbutil plan cache",
										  ALLOCSET_SMALL_SIZES);
	dbu_plancache_shared_init();
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, type_changed, (Datum) 0);
	for (int i = 0; i < lengthof(catalogs); i++)
		CacheRegisterSyscacheCallback(catalogs[i], anything_changed, (Datum) 0);
}

/* ---------- look-up ---------- */

/*
 * Is the entry's key the statement?  Writes over the statement and restores
 * it; equal() raises no error but for want of stack.
 */
static pg_noinline bool
key_equals(DbuRecognised *rec, bool exact, const Query *key)
{
	bool		result;

	if (!dbu_plancache_disguise(rec, exact))
		return false;
	PG_TRY();
	{
		result = equal(rec->query, key);
	}
	PG_CATCH();
	{
		dbu_plancache_restore(rec);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dbu_plancache_restore(rec);
	return result;
}

static DbuPlanEntry **
bucket(uint64 hash)
{
	return &buckets[hash % NBUCKETS];
}

/*
 * The hash by which the statement is stored.  A test's build narrows it to so few
 * bits that statements meet whose keys differ.
 */
static uint64
key_hash(const DbuRecognised *rec, bool exact)
{
	uint64		hash = exact ? rec->exact_hash : rec->hash;

#ifdef DBU_PLANCACHE_HASH_BITS
	hash &= ((uint64) 1 << DBU_PLANCACHE_HASH_BITS) - 1;
#endif
	return hash;
}

/* The valid entry of a statement, or NULL.  Frees stale ones on the way. */
DbuPlanEntry *
dbu_plancache_find(DbuRecognised *rec, bool exact, const DbuPlanContext *context)
{
	uint64		hash = key_hash(rec, exact);
	DbuPlanEntry *next;

	for (DbuPlanEntry *entry = *bucket(hash); entry != NULL; entry = next)
	{
		next = entry->next;
		if (!entry->valid)
		{
			if (entry->hash == hash)
				dbu_plancache_counts->events[DBU_PLAN_MISS_STALE]++;
			dbu_plancache_entry_drop(entry);
			continue;
		}
		if (entry->hash == hash && entry->exact == exact &&
			entry->key_context.environment == context->environment &&
			entry->key_context.role == context->role &&
			entry->key_context.cursor_options == context->cursor_options &&
			entry->key_context.mode == context->mode &&
			entry->nparams == (exact ? 0 : rec->nliterals) &&
			(exact || dbu_plancache_pins_equal(rec, entry->pinned)) &&
			key_equals(rec, exact, entry->key))
			return entry;
	}
	return NULL;
}

/* The same entry again after planning, which may have run anything. */
DbuPlanEntry *
dbu_plancache_find_serial(uint64 hash, uint64 serial)
{
	DbuPlanEntry *entry = *bucket(hash);

	while (entry != NULL && entry->serial != serial)
		entry = entry->next;
	return entry;
}

/* Count a call of a statement without an entry; the calls so far. */
uint32
dbu_plancache_sighting(uint64 hash)
{
	int			slot = (hash >> 32) % NSIGHTINGS;

	if (sightings[slot].hash != hash)
	{
		sightings[slot].hash = hash;
		sightings[slot].calls = 0;
	}
	if (++sightings[slot].calls > 1)
		strangers = 0;
	else
		strangers++;
	return sightings[slot].calls;
}

/*
 * Is the next statement not to be looked at?  A session that never repeats itself
 * is to pay next to nothing, and one that begins to is found out a little later.
 */
bool
dbu_plancache_among_strangers(void)
{
	return strangers >= MANY_STRANGERS && ++strangers % STRANGERS_LOOKED_AT != 0;
}

/* ---------- entries ---------- */

/*
 * A new entry for the statement, not yet linked: under the current memory
 * context, with its key.  NULL if the statement cannot be lifted.
 */
DbuPlanEntry *
dbu_plancache_entry_new(DbuRecognised *rec, bool exact,
						const DbuPlanContext *context)
{
	MemoryContext entry_context;
	MemoryContext oldcontext;
	DbuPlanEntry *entry;

	entry_context = AllocSetContextCreate(CurrentMemoryContext,
										  "dbutil plan cache entry",
										  ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(entry_context);
	entry = palloc0_object(DbuPlanEntry);
	entry->context = entry_context;
	entry->hash = key_hash(rec, exact);
	entry->serial = ++last_serial;
	entry->key_context = *context;
	entry->key_context.bound_params = NULL;
	entry->exact = exact;
	entry->nparams = exact ? 0 : rec->nliterals;
	entry->pinned = exact ? NIL : dbu_plancache_pins_tables(rec);
	entry->query_id = (uint64) rec->query->queryId;
	entry->valid = true;
	entry->xmin = TransactionXmin;
	entry->created = entry->sized = entry->last_used = GetCurrentStatementStartTimestamp();

	if (dbu_plancache_disguise(rec, exact))
	{
		PG_TRY();
		{
			entry->key = copyObject(rec->query);
		}
		PG_CATCH();
		{
			dbu_plancache_restore(rec);
			PG_RE_THROW();
		}
		PG_END_TRY();
		dbu_plancache_restore(rec);
	}
	MemoryContextSwitchTo(oldcontext);

	if (entry->key == NULL)
	{
		MemoryContextDelete(entry_context);
		return NULL;
	}
	return entry;
}

/* Note down what the entry depends on, from its statement and its plan. */
void
dbu_plancache_entry_dependencies(DbuPlanEntry *entry, const DbuRecognised *rec)
{
	List	   *oids = list_copy(rec->relations);
	ListCell   *lc;

	if (entry->plan != NULL)
		oids = list_concat_unique_oid(oids, entry->plan->relationOids);

	entry->relations = MemoryContextAlloc(entry->context,
										  sizeof(Oid) * Max(list_length(oids), 1));
	foreach(lc, oids)
		entry->relations[entry->nrelations++] = lfirst_oid(lc);
	list_free(oids);
}

/* Free an entry that is not linked; while its plan is lent, when that comes back. */
void
dbu_plancache_entry_free(DbuPlanEntry *entry)
{
	if (entry->lent)
		entry->dropped = true;
	else
		MemoryContextDelete(entry->context);
}

static void
evict_one(void)
{
	DbuPlanEntry *victim = NULL;
	double		least = 0;
	int			looked_at = 0;

	for (dlist_node *node = dlist_tail_node(&by_use);
		 looked_at < EVICTION_CHOICE; node = dlist_prev_node(&by_use, node))
	{
		DbuPlanEntry *entry = dlist_container(DbuPlanEntry, node, node);
		double		value = entry->valid ? entry->saved_us / entry->bytes : -1;

		if (victim == NULL || value < least)
		{
			victim = entry;
			least = value;
		}
		looked_at++;
		if (!dlist_has_prev(&by_use, node))
			break;
	}
	dbu_plancache_entry_drop(victim);
	dbu_plancache_counts->events[DBU_PLAN_EVICTED]++;
}

/*
 * Make a finished entry findable; it belongs to the store from then on.  False
 * if it is too large: then it is freed.
 */
bool
dbu_plancache_entry_link(DbuPlanEntry *entry)
{
	Size		limit = (Size) dbu_plancache_memory * 1024;
	DbuPlanEntry **head = bucket(entry->hash);

	entry->bytes = MemoryContextMemAllocated(entry->context, true);
	if (entry->bytes > limit / ENTRY_SHARE)
	{
		dbu_plancache_entry_free(entry);
		return false;
	}
	while (nentries > 0 && total_bytes + entry->bytes > limit)
		evict_one();

	/* all sessions together: this one makes room for what it adds */
	if (dbu_plancache_total_memory > 0)
	{
		uint64		all = (uint64) dbu_plancache_total_memory * 1024;

		while (nentries > 0 && dbu_plancache_all_bytes() + entry->bytes > all)
			evict_one();
		if (dbu_plancache_all_bytes() + entry->bytes > all)
		{
			dbu_plancache_entry_free(entry);
			return false;
		}
	}

	MemoryContextSetParent(entry->context, store_context);
	entry->next = *head;
	*head = entry;
	dlist_push_head(&by_use, &entry->node);
	total_bytes += entry->bytes;
	dbu_plancache_note_bytes(total_bytes);
	nentries++;
	dbu_plancache_counts->events[DBU_PLAN_STORED]++;
	return true;
}

/* Unlink and free. */
void
dbu_plancache_entry_drop(DbuPlanEntry *entry)
{
	DbuPlanEntry **link = bucket(entry->hash);

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	dlist_delete(&entry->node);
	total_bytes -= entry->bytes;
	dbu_plancache_note_bytes(total_bytes);
	nentries--;
	dbu_plancache_entry_free(entry);
}

void
dbu_plancache_entry_used(DbuPlanEntry *entry)
{
	strangers = 0;
	entry->last_used = GetCurrentStatementStartTimestamp();
	dlist_move_head(&by_use, &entry->node);
}

/*
 * Forget everything, also the settings that entries were planned under.  A plan
 * that is just being made is not stored then: the generation moves.
 */
void
dbu_plancache_store_reset(void)
{
	generation++;
	while (nentries > 0)
		dbu_plancache_entry_drop(dlist_head_element(DbuPlanEntry, node, &by_use));
	memset(sightings, 0, sizeof(sightings));
	dbu_plancache_environment_reset();
}

/* Forget the entries that depend on a relation; how many there were. */
int
dbu_plancache_store_forget(Oid relid)
{
	int			dropped = 0;
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &by_use)
	{
		DbuPlanEntry *entry = dlist_container(DbuPlanEntry, node, iter.cur);

		for (int i = 0; i < entry->nrelations; i++)
		{
			if (entry->relations[i] == relid)
			{
				dbu_plancache_entry_drop(entry);
				dropped++;
				break;
			}
		}
	}
	return dropped;
}

Size
dbu_plancache_store_bytes(void)
{
	return total_bytes;
}

int
dbu_plancache_store_entries(void)
{
	return nentries;
}

dlist_head *
dbu_plancache_store_list(void)
{
	return &by_use;
}
