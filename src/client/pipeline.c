/*
 * pipeline.c
 *		Statements in one round trip, by libpq's pipeline mode.
 *
 * One Sync ends the batch, so outside a transaction it is one.  Statements that have
 * reached prepare_threshold are prepared within it; they are in the connection's cache
 * once the server's answer is here, before that in a list of the batch.
 *
 * Sending never waits while the server waits for us: wire.c reads what comes while it
 * writes.  Whatever does not end by the answer to Sync costs the connection.
 */
#include <stdlib.h>

#include "dbpool_data.h"
#include "internal.h"

/* Prepared before an item of the batch. */
typedef struct
{
	dbpool__statement *entry; /* ours until it is in the cache */
	size_t			   item;
} fresh;

typedef struct
{
	dbpool__use		  *use;
	dbpool__cache	  *cache; /* NULL: nothing is prepared */
	size_t			   n;
	const char *const *sql;
	const dbpool_params *const *params;
	PGresult		 **results;
	fresh			  *fresh; /* in order; room for n */
	size_t			   nfresh;
	size_t			   failed; /* n = no statement */
	PGresult		  *error;  /* the server's first */
	bool			   copy;   /* item `failed` was a COPY */
	bool			   synced; /* the answer to Sync is here */
} batch;

static const dbpool_params no_params = DBPOOL_PARAMS_INIT;

static const dbpool_params *
params_of(const batch *b, size_t i)
{
	return b->params != NULL && b->params[i] != NULL ? b->params[i] : &no_params;
}

/*
 * The entry by which item i is to be run, or NULL.  *sent is 0 if it has to be
 * prepared and libpq did not take that.
 */
static dbpool__statement *
entry_for(batch *b, size_t i, int *sent)
{
	const dbpool_params	 *p = params_of(b, i);
	dbpool__statement_key key = dbpool__statement_key_of(b->sql[i], p->n, p->types);
	dbpool__statement	 *entry = dbpool__cache_find(b->cache, &key);

	for (size_t f = 0; entry == NULL && f < b->nfresh; f++)
		if (dbpool__statement_is(b->fresh[f].entry, &key))
			entry = b->fresh[f].entry;
	if (entry != NULL)
	{
		b->cache->hits++;
		return entry;
	}
	if (dbpool__cache_count(b->cache, &key) < (uint64_t) b->use->pool->config.prepare_threshold)
		return NULL;
	entry = dbpool__statement_named(b->use->pool, b->cache, &key);
	if (entry != NULL)
	{
		b->fresh[b->nfresh++] = (fresh) {entry, i};
		*sent = PQsendPrepare(b->use->conn, entry->name, b->sql[i], key.ntypes, key.types);
	}
	return entry;
}

/* Hand all to libpq; 0 if it did not take one. */
static int
send_all(batch *b)
{
	PGconn *conn = b->use->conn;
	int		sent = PQenterPipelineMode(conn);

	for (size_t i = 0; sent != 0 && i < b->n; i++)
	{
		const dbpool_params		*p = params_of(b, i);
		const dbpool__statement *entry = b->cache != NULL ? entry_for(b, i, &sent) : NULL;

		if (sent != 0 && entry != NULL)
			sent = PQsendQueryPrepared(conn, entry->name, p->n, p->values, p->lengths, p->formats,
									   p->result_format);
		else if (sent != 0)
			sent = PQsendQueryParams(conn, b->sql[i], p->n, p->types, p->values, p->lengths,
									 p->formats, p->result_format);
	}
	return sent != 0 ? PQpipelineSync(conn) : 0;
}

/*
 * Read the answer to one message of item i (n: of the Sync).  *res is NULL if it
 * is an error, noted if it is the first, or if it was passed over for one.
 */
static dbpool__run_status
read_one(batch *b, size_t i, PGresult **res)
{
	PGresult		  *end = NULL;
	dbpool__run_status status = dbpool__next_result(b->use->conn, b->use->deadline, res);

	switch (PQresultStatus(*res))
	{
		case PGRES_COPY_IN:
		case PGRES_COPY_OUT:
		case PGRES_COPY_BOTH:
			b->copy = true;
			b->failed = i;
			return status;
		case PGRES_PIPELINE_SYNC:
			b->synced = true;
			return status;
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
		case PGRES_EMPTY_QUERY:
			break;
		default:
			if (b->error == NULL && *res != NULL)
			{
				b->error = *res;
				b->failed = i;
			}
			else
				PQclear(*res);
			*res = NULL;
	}
	/* a NULL ends the results of a message */
	if (status == RUN_OK)
		status = dbpool__next_result(b->use->conn, b->use->deadline, &end);
	if (PQresultStatus(end) == PGRES_PIPELINE_SYNC)
		b->synced = true;
	PQclear(end);
	return status;
}

/* Read all answers. */
static dbpool__run_status
read_all(batch *b)
{
	dbpool__run_status status = RUN_OK;
	PGresult		  *res = NULL;
	size_t			   f = 0;

	for (size_t i = 0; status == RUN_OK && i < b->n; i++)
	{
		if (f < b->nfresh && b->fresh[f].item == i)
		{
			b->use->slot->session.own = true;
			status = read_one(b, i, &res);
			b->use->slot->session.own = false;
			if (res != NULL)
			{
				dbpool__cache_add(b->cache, b->fresh[f].entry);
				b->cache->prepared++;
				b->fresh[f].entry = NULL;
				PQclear(res);
			}
			f++;
		}
		if (status == RUN_OK)
			status = read_one(b, i, &b->results[i]);
		if (b->copy)
			return status;
	}
	/* the end of the transaction may fail, too: then that comes first */
	while (status == RUN_OK && !b->synced)
	{
		status = read_one(b, b->n, &res);
		PQclear(res);
	}
	return status;
}

/* Send, read, and leave pipeline mode.  RUN_OK with an error noted, or none. */
static dbpool__run_status
run(batch *b)
{
	PGconn			  *conn = b->use->conn;
	bool			   blocking = !PQisnonblocking(conn);
	dbpool__run_status status;

	if (blocking && PQsetnonblocking(conn, 1) != 0)
		return RUN_NOTSENT;
	if (send_all(b) == 0)
		return RUN_NOMEM;
	status = dbpool__flush(conn, -1, b->use->deadline);
	if (status == RUN_OK || status == RUN_LOST)
		status = read_all(b);
	if (status != RUN_OK)
		return status;
	if (b->copy || PQexitPipelineMode(conn) == 0)
		return RUN_NOMEM;
	if (blocking)
		(void) PQsetnonblocking(conn, 0);
	return RUN_OK;
}

/* As dbpool__judge: what became of the batch. */
static int
judge(batch *b, dbpool__run_status status, dbpool_error *err)
{
	dbpool__run_note note = {true, false};
	PGresult		*ok = NULL;
	int				 code;

	if (b->copy)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "COPY cannot be part of a batch");
	if (b->error != NULL && status == RUN_OK)
		note.stale = dbpool__statement_was_ours(b->use->pool, b->use->slot, b->error);
	else if (status == RUN_OK)
		return dbpool__ok(err);
	code = dbpool__judge(b->use, status, &note, b->error != NULL ? &b->error : &ok, err);
	return code;
}

static bool
params_good(size_t n, const char *const *sql, const dbpool_params *const *params)
{
	for (size_t i = 0; i < n; i++)
		if (sql[i] == NULL ||
			(params != NULL && params[i] != NULL && !dbpool__params_good(params[i])))
			return false;
	return true;
}

int
dbpool_pipeline(dbpool_lease lease, int64_t deadline, size_t n, const char *const *sql,
				const dbpool_params *const *params, PGresult **results, size_t *failed,
				dbpool_error *err)
{
	dbpool__use		   use;
	batch			   b = {.use = &use, .n = n, .sql = sql, .params = params, .results = results};
	dbpool__run_status status;
	int				   code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (failed != NULL)
		*failed = n;
	for (size_t i = 0; results != NULL && i < n; i++)
		results[i] = NULL;
	if (n == 0 || sql == NULL || results == NULL || !params_good(n, sql, params))
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"sql and results must have n >= 1 entries, params be DBPOOL_PARAMS_INIT "
							"with n values each");
	b.failed = n;
	b.fresh = malloc(n * sizeof(*b.fresh));
	if (b.fresh == NULL)
		return dbpool__fail(err, DBPOOL_ENOMEM, DBPOOL_NOT_SENT, NULL, "out of memory");
	code = dbpool__use_begin(&use, lease, deadline, err);
	if (code == DBPOOL_OK)
	{
		b.cache = dbpool__statement_cache(use.pool, use.slot);
		status = run(&b);
		code = judge(&b, status, err);
		for (size_t f = 0; f < b.nfresh; f++)
			free(b.fresh[f].entry);
		for (size_t i = 0; code != DBPOOL_OK && i < n; i++)
		{
			PQclear(results[i]);
			results[i] = NULL;
		}
		if (failed != NULL)
			*failed = b.failed;
		dbpool__use_end(&use, status, code);
	}
	free(b.fresh);
	return code;
}
