/*
 * statements.c
 *		Statements that repeat on a connection are prepared, without being asked for.
 *
 * Only what comes with parameters (an empty set will do) goes this way: without,
 * libpq's simple protocol takes several statements in one string.  When its use
 * reaches prepare_threshold, a statement gets a name, and is run by it from then on.
 *
 * The names are of a random number of the pool and a counter of it, so that they
 * neither clash with the user's nor, behind a pooler nobody told us about, ever name
 * another client's statement: a lost one is an error 26000, not a wrong answer.
 *
 * What makes the cache wrong, and what is done
 *	- DISCARD ALL, DEALLOCATE ALL, PQreset: seen by session.c, emptied at the next use.
 *	- a changed result type (0A000 of RevalidateCachedQuery, before anything was
 *	  run): every connection of the pool prepares anew, as each would have to learn
 *	  it by the same error, inside a transaction perhaps.  The statement is repeated if
 *	  it was not in a transaction.
 *	- 26000 of one of our names (deallocated by a function, or behind a pooler):
 *	  the connection starts anew, the statement likewise is repeated.  A pool that sees
 *	  this LOST_MOST times prepares no more.
 *
 * The server is told about statements dropped from the cache outside transactions
 * only, where an error would harm nothing, and by several at once.
 *
 * All under the rules for a connection's holder (see internal.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define DEAD_MANY 8		/* the server is told about so many at once */
#define DEAD_MOST 256	/* if it never can be, the session is reset at its release */
#define LOST_MOST 3
#define NAME_PREFIX "dbpool_%016llx_"

/* The cache of a connection as it is now; NULL: it has none. */
static dbpool__cache *
current_cache(dbpool_pool *pool, dbpool__slot *slot)
{
	dbpool__cache *cache = slot->cache;
	uint64_t	   epoch = atomic_load_explicit(&pool->statement_epoch, memory_order_relaxed);

	if (cache == NULL)
		return NULL;
	if (slot->session.deallocated)
	{
		dbpool__cache_forget(cache);
		slot->session.deallocated = false;
	}
	if (cache->epoch != epoch)
	{
		dbpool__cache_bury_all(cache);
		cache->epoch = epoch;
	}
	return cache;
}

/* As current_cache, for a statement that may be prepared: a new one if there is none. */
dbpool__cache *
dbpool__statement_cache(dbpool_pool *pool, dbpool__slot *slot)
{
	const dbpool_config *config = &pool->config;

	if (config->prepare_threshold == 0 || config->pooler != POOLER_NONE ||
		atomic_load_explicit(&pool->statements_lost, memory_order_relaxed) >= LOST_MOST)
		return NULL;
	if (slot->cache == NULL)
	{
		slot->cache = dbpool__cache_new((size_t) config->statement_cache_kb * 1024);
		/* what was deallocated before was not ours */
		slot->session.deallocated = false;
		if (slot->cache != NULL)
			slot->cache->epoch =
				atomic_load_explicit(&pool->statement_epoch, memory_order_relaxed);
	}
	return current_cache(pool, slot);
}

/*
 * Tell the server about the dead, in one message.  If it does not know one, something
 * else than we has deallocated it: the session is reset when it is given back.
 */
static dbpool__run_status
bury(dbpool__slot *slot, int64_t deadline, PGresult **res)
{
	dbpool__cache	  *cache = slot->cache;
	size_t			   room = cache->ndead * (sizeof("DEALLOCATE ;") + STATEMENT_NAME_SIZE);
	char			  *sql = malloc(room);
	size_t			   used = 0;
	dbpool__run_status status;

	*res = NULL;
	if (sql == NULL)
		return RUN_OK; /* the next time, then */
	for (const dbpool__statement *entry = cache->dead; entry != NULL; entry = entry->next)
		used += (size_t) snprintf(sql + used, room - used, "DEALLOCATE %s;", entry->name);
	slot->session.own = true;
	status = dbpool__run(slot->conn, -1, deadline, sql, NULL, res);
	slot->session.own = false;
	free(sql);
	if (status == RUN_OK)
	{
		if (PQresultStatus(*res) != PGRES_COMMAND_OK)
			slot->session.dirty = true;
		dbpool__cache_buried(cache);
		PQclear(*res);
		*res = NULL;
	}
	return status;
}

/* As dbpool__statement_new, with a name of its own. */
dbpool__statement *
dbpool__statement_named(dbpool_pool *pool, const dbpool__cache *cache,
						const dbpool__statement_key *key)
{
	dbpool__statement *fresh = dbpool__statement_new(cache, key);
	uint64_t		   number;

	if (fresh == NULL)
		return NULL;
	number = atomic_fetch_add_explicit(&pool->statement_number, 1, memory_order_relaxed);
	snprintf(fresh->name, sizeof(fresh->name), NAME_PREFIX "%llu",
			 (unsigned long long) pool->statement_prefix, (unsigned long long) number);
	return fresh;
}

/*
 * Have the server prepare a statement.  *entry is NULL if that cannot be (the statement
 * is then run as it is) or failed; *res is an error of the server if there is one.
 */
static dbpool__run_status
prepare(dbpool_pool *pool, dbpool__slot *slot, int64_t deadline, const dbpool__statement_key *key,
		const dbpool_params *params, dbpool__statement **entry, PGresult **res)
{
	dbpool__statement *fresh = dbpool__statement_named(pool, slot->cache, key);
	dbpool__run_status status;

	*res = NULL;
	*entry = NULL;
	if (fresh == NULL)
		return RUN_OK;
	slot->session.own = true;
	status = dbpool__run_prepare(slot->conn, deadline, fresh->name, key->sql, params, res);
	slot->session.own = false;
	if (status != RUN_OK || PQresultStatus(*res) != PGRES_COMMAND_OK)
	{
		free(fresh);
		return status;
	}
	PQclear(*res);
	*res = NULL;
	dbpool__cache_add(slot->cache, fresh);
	slot->cache->prepared++;
	*entry = fresh;
	return status;
}

/*
 * Was this error one of having prepared the statement?  Then the cache is mended.
 */
bool
dbpool__statement_was_ours(dbpool_pool *pool, dbpool__slot *slot, const PGresult *res)
{
	char		prefix[STATEMENT_NAME_SIZE];
	const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *function = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);

	/* an error from within a function has a context, and may come after a commit */
	if (slot->cache == NULL || sqlstate == NULL || PQresultErrorField(res, PG_DIAG_CONTEXT) != NULL)
		return false;
	snprintf(prefix, sizeof(prefix), NAME_PREFIX, (unsigned long long) pool->statement_prefix);
	if (strcmp(sqlstate, "0A000") == 0 && function != NULL &&
		strcmp(function, "RevalidateCachedQuery") == 0)
	{
		atomic_fetch_add_explicit(&pool->statement_epoch, 1, memory_order_relaxed);
		slot->cache->invalidations++;
		(void) current_cache(pool, slot);
		return true;
	}
	if (strcmp(sqlstate, "26000") == 0 && text != NULL && strstr(text, prefix) != NULL)
	{
		atomic_fetch_add_explicit(&pool->statements_lost, 1, memory_order_relaxed);
		dbpool__cache_forget(slot->cache);
		return true;
	}
	return false;
}

/*
 * Run a statement, by name if it is or should be prepared.  As dbpool__run; note
 * says more.  The caller is the slot's holder, and its connection is not busy.
 */
dbpool__run_status
dbpool__statement_run(dbpool_pool *pool, dbpool__slot *slot, int64_t deadline, const char *sql,
					  const dbpool_params *params, dbpool__run_note *note, PGresult **res)
{
	PGconn				   *conn = slot->conn;
	PGTransactionStatusType before = PQtransactionStatus(conn);
	dbpool__cache		   *cache = current_cache(pool, slot);
	dbpool__statement_key	key;
	dbpool__run_status		status;

	note->sent = false;
	note->stale = false;
	if (cache != NULL && cache->ndead >= DEAD_MANY && before == PQTRANS_IDLE)
	{
		status = bury(slot, deadline, res);
		if (status != RUN_OK)
			return status;
	}
	if (cache != NULL && cache->ndead >= DEAD_MOST)
		slot->session.dirty = true;
	/* what is left to do in a failed transaction needs no speed */
	if (params != NULL && before != PQTRANS_INERROR)
		cache = dbpool__statement_cache(pool, slot);
	else
		cache = NULL;
	if (cache == NULL)
	{
		note->sent = true;
		return dbpool__run(conn, -1, deadline, sql, params, res);
	}
	key = dbpool__statement_key_of(sql, params->n, params->types);
	for (bool again = false;; again = true)
	{
		dbpool__statement *entry = dbpool__cache_find(cache, &key);

		if (entry != NULL)
			cache->hits++;
		else if (dbpool__cache_count(cache, &key) >= (uint64_t) pool->config.prepare_threshold)
		{
			note->sent = false;
			status = prepare(pool, slot, deadline, &key, params, &entry, res);
			if (status != RUN_OK || *res != NULL)
				return status;
		}
		note->sent = true;
		if (entry == NULL)
			return dbpool__run(conn, -1, deadline, sql, params, res);
		status = dbpool__run_prepared(conn, deadline, entry->name, params, res);
		if (status != RUN_OK || PQresultStatus(*res) != PGRES_FATAL_ERROR ||
			!dbpool__statement_was_ours(pool, slot, *res))
			return status;
		if (before != PQTRANS_IDLE || again)
		{
			note->stale = true;
			return status;
		}
		PQclear(*res);
		*res = NULL;
		cache->retries++;
	}
}

/*
 * Publish what the cache of a connection counted.  By its holder, under the lock.
 */
void
dbpool__statements_note(dbpool_pool *pool, dbpool__slot *slot)
{
	dbpool__cache *cache = slot->cache;
	dbpool_stats  *stats = &pool->stats;

	if (cache == NULL || slot->session.deallocated)
	{
		slot->statements = 0;
		slot->statement_bytes = 0;
		if (cache == NULL)
			return;
	}
	else
	{
		slot->statements = cache->n;
		slot->statement_bytes = cache->bytes;
	}
	stats->statement_hits += cache->hits;
	stats->statements_prepared += cache->prepared;
	stats->statements_evicted += cache->evicted;
	stats->statement_invalidations += cache->invalidations;
	stats->statement_retries += cache->retries;
	cache->hits = cache->prepared = cache->evicted = cache->invalidations = cache->retries = 0;
}
