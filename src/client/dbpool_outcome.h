/*
 * dbpool_outcome.h
 *		What became of a transaction whose COMMIT was never answered.
 *
 * Two ways to know: by the transaction's number, as long as the same server goes on
 * (dbpool_resolve), and by a key that the transaction itself wrote into a table
 * (dbpool_resolve_key), which holds across crashes and failovers too.
 */
#ifndef DBPOOL_OUTCOME_H
#define DBPOOL_OUTCOME_H

#include "dbpool.h"

#ifdef __cplusplus
extern "C"
{
#endif

#pragma GCC visibility push(default)

/*
 * What became of the transaction of a ticket (dbpool_session.ticket, filled with
 * DBPOOL_TX_TRACK).  OK with *fate DBPOOL_COMMITTED or DBPOOL_ABORTED only if that is
 * certain; one that had written nothing is COMMITTED, as there is nothing to repeat.  One
 * that is still under way is waited for.  Else *fate is DBPOOL_UNKNOWN:
 *	EUNRESOLVED	the ticket is empty; the server is another one or on another
 *				timeline, so that the number may be another transaction's; the
 *				number was found committed, but the server had crashed meanwhile,
 *				after which it may have given it out again; it is too old
 *	ETIMEDOUT	at the deadline it was in progress, only a standby answered, or
 *				no connection was to be had (DEADLINE_DEFAULT: acquire_timeout_ms)
 *	others as dbpool_acquire and dbpool_exec; EINVAL
 * Any role may do this, unless EXECUTE on pg_control_system() or pg_xact_status() was
 * revoked from it (EQUERY, 42501).
 */
int dbpool_resolve(dbpool_pool *pool, const dbpool_ticket *ticket, int64_t deadline, int *fate,
				   dbpool_error *err);

/*
 * Write a key in an open session: into column `key` of a table, on which it must have
 * a unique constraint or index of its own:
 *	CREATE TABLE app.done (key text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())
 * `table` is "name" or "schema.name", as the catalog has it: it is quoted here.  A
 * transaction under way with the same key is waited for.
 *
 *	OK			written; it counts if this transaction commits
 *	EDONE		it is there: a transaction with that key has committed, so this
 *				one should roll back
 *	others		as dbpool_exec; EQUERY 42P10 if the index is missing
 *
 * In dbpool_transaction, call it first and return its code if that is not OK.  A
 * transaction with a key is repeated by itself also after DBPOOL_UNKNOWN, since it cannot
 * be done twice; EDONE is then returned with the fate DBPOOL_COMMITTED.  One key a
 * transaction.
 */
int dbpool_session_key(dbpool_session *session, const char *table, const char *key,
					   dbpool_error *err);

/*
 * What became of the transaction with that key: OK with *fate DBPOOL_COMMITTED or
 * DBPOOL_ABORTED (the key is not there, and nobody under way has it), for certain also
 * after a crash and on the new primary after a failover, provided the old one is no longer
 * in use: what was not replicated is lost, and so it is aborted.  Needs the right to
 * insert; writes nothing that stays.  The transaction must have written its key before
 * COMMIT was sent.  Errors, with *fate DBPOOL_UNKNOWN: as dbpool_transaction.
 */
int dbpool_resolve_key(dbpool_pool *pool, const char *table, const char *key, int64_t deadline,
					   int *fate, dbpool_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* DBPOOL_OUTCOME_H */
