/*
 * cache.c
 *		Which statements of a connection are prepared: by text, the least recently
 *		used go first when they take more than so many bytes.  Nothing here talks to
 *		the server; statements.c does.
 *
 * An entry is a statement that the server knows.  Texts that were used too rarely
 * are not kept, only counted, by hash in a table of fixed size where a new one
 * replaces an old one: so texts that never repeat (with literals in them, say)
 * cost nothing and push nothing out.  Two texts of one hash share a count, which
 * at worst has one prepared too early.
 *
 * What the server is to forget is kept as dead until it was told.
 *
 * A cache belongs to whoever holds the connection (see internal.h); no lock.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define BUCKETS_LEAST 16
#define BUCKETS_MOST 65536
#define BYTES_PER_BUCKET 512 /* of the limit: about one entry in each */

/* Fibonacci hashing, eight bytes at a time: texts are long, and this is on every call. */
static uint64_t
mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
	return hash ^ (hash >> 29);
}

static uint64_t
hash_bytes(uint64_t hash, const void *data, size_t length)
{
	const char *at = data;
	uint64_t	word;

	for (; length >= sizeof(word); at += sizeof(word), length -= sizeof(word))
	{
		memcpy(&word, at, sizeof(word));
		hash = mix(hash, word);
	}
	word = length;
	memcpy((char *) &word + 1, at, length);
	return mix(hash, word);
}

/* Describe a statement for the functions below; the texts stay the caller's. */
dbpool__statement_key
dbpool__statement_key_of(const char *sql, int ntypes, const Oid *types)
{
	dbpool__statement_key key = {.sql = sql, .length = strlen(sql)};

	if (types != NULL)
	{
		key.types = types;
		key.ntypes = ntypes;
	}
	key.hash = hash_bytes((uint64_t) key.ntypes, sql, key.length);
	if (key.ntypes > 0)
		key.hash = hash_bytes(key.hash, types, sizeof(Oid) * (size_t) key.ntypes);
	return key;
}

/* NULL if out of memory. */
dbpool__cache *
dbpool__cache_new(size_t limit)
{
	size_t		   nbuckets = BUCKETS_LEAST;
	dbpool__cache *cache;

	while (nbuckets < BUCKETS_MOST && nbuckets * BYTES_PER_BUCKET < limit)
		nbuckets *= 2;
	cache = calloc(1, sizeof(*cache) + nbuckets * sizeof(cache->buckets[0]));
	if (cache == NULL)
		return NULL;
	cache->limit = limit;
	cache->nbuckets = nbuckets;
	return cache;
}

static void
free_dead(dbpool__cache *cache)
{
	dbpool__statement *entry;

	while ((entry = cache->dead) != NULL)
	{
		cache->dead = entry->next;
		free(entry);
	}
	cache->ndead = 0;
}

/* NULL is allowed. */
void
dbpool__cache_free(dbpool__cache *cache)
{
	if (cache == NULL)
		return;
	dbpool__cache_forget(cache);
	free(cache);
}

static dbpool__statement **
bucket_of(dbpool__cache *cache, uint64_t hash)
{
	/* the high bits are the well mixed ones */
	return &cache->buckets[(hash >> 32) & (cache->nbuckets - 1)];
}

static void
unlink_lru(dbpool__cache *cache, dbpool__statement *entry)
{
	if (entry->prev != NULL)
		entry->prev->next = entry->next;
	else
		cache->head = entry->next;
	if (entry->next != NULL)
		entry->next->prev = entry->prev;
	else
		cache->tail = entry->prev;
}

static void
link_first(dbpool__cache *cache, dbpool__statement *entry)
{
	entry->prev = NULL;
	entry->next = cache->head;
	if (cache->head != NULL)
		cache->head->prev = entry;
	else
		cache->tail = entry;
	cache->head = entry;
}

/* Is the entry that of this statement? */
bool
dbpool__statement_is(const dbpool__statement *entry, const dbpool__statement_key *key)
{
	return entry->hash == key->hash && entry->length == key->length &&
		entry->ntypes == key->ntypes && memcmp(entry->sql, key->sql, key->length) == 0 &&
		(key->ntypes == 0 ||
		 memcmp(entry->types, key->types, sizeof(Oid) * (size_t) key->ntypes) == 0);
}

/* Look a statement up, which makes it the latest used; NULL if it is not prepared. */
dbpool__statement *
dbpool__cache_find(dbpool__cache *cache, const dbpool__statement_key *key)
{
	dbpool__statement *entry = *bucket_of(cache, key->hash);

	while (entry != NULL && !dbpool__statement_is(entry, key))
		entry = entry->chain;
	if (entry != NULL && entry != cache->head)
	{
		unlink_lru(cache, entry);
		link_first(cache, entry);
	}
	return entry;
}

/* Count a use of a statement that is not prepared; returns how often it was used. */
uint32_t
dbpool__cache_count(dbpool__cache *cache, const dbpool__statement_key *key)
{
	dbpool__use_count *count = &cache->counts[key->hash % CACHE_COUNTS];

	if (count->hash != key->hash)
	{
		count->hash = key->hash;
		count->uses = 0;
	}
	if (count->uses < UINT32_MAX)
		count->uses++;
	return count->uses;
}

/*
 * An entry for a statement, outside the cache until dbpool__cache_add (or the caller's
 * to free).  NULL if out of memory or if it is larger than the whole cache.
 */
dbpool__statement *
dbpool__statement_new(const dbpool__cache *cache, const dbpool__statement_key *key)
{
	size_t			   types = sizeof(Oid) * (size_t) key->ntypes;
	size_t			   bytes = sizeof(dbpool__statement) + types + key->length + 1;
	dbpool__statement *entry;

	if (bytes > cache->limit)
		return NULL;
	entry = malloc(bytes);
	if (entry == NULL)
		return NULL;
	memset(entry, 0, sizeof(*entry));
	entry->hash = key->hash;
	entry->bytes = bytes;
	entry->length = key->length;
	entry->ntypes = key->ntypes;
	if (types > 0)
		memcpy(entry->types, key->types, types);
	entry->sql = (char *) entry->types + types;
	memcpy(entry->sql, key->sql, key->length + 1);
	return entry;
}

/* The server is to forget it: out of the table and the list, into the dead. */
static void
bury(dbpool__cache *cache, dbpool__statement *entry)
{
	dbpool__statement **at = bucket_of(cache, entry->hash);

	while (*at != entry)
		at = &(*at)->chain;
	*at = entry->chain;
	unlink_lru(cache, entry);
	cache->n--;
	cache->bytes -= entry->bytes;
	entry->next = cache->dead;
	cache->dead = entry;
	cache->ndead++;
}

/* Add a statement that was prepared; the least recently used make room for it. */
void
dbpool__cache_add(dbpool__cache *cache, dbpool__statement *entry)
{
	dbpool__statement **bucket = bucket_of(cache, entry->hash);

	while (cache->bytes + entry->bytes > cache->limit)
	{
		bury(cache, cache->tail);
		cache->evicted++;
	}
	entry->chain = *bucket;
	*bucket = entry;
	link_first(cache, entry);
	cache->n++;
	cache->bytes += entry->bytes;
}

/* All are to be prepared anew, and what the server has is to be forgotten. */
void
dbpool__cache_bury_all(dbpool__cache *cache)
{
	while (cache->head != NULL)
		bury(cache, cache->head);
}

/* The server was told about the dead. */
void
dbpool__cache_buried(dbpool__cache *cache)
{
	free_dead(cache);
}

/* The server has forgotten all of them by itself. */
void
dbpool__cache_forget(dbpool__cache *cache)
{
	dbpool__cache_bury_all(cache);
	free_dead(cache);
}
