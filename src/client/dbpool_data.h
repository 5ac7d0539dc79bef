/*
 * dbpool_data.h
 *		Many statements in one round trip, and COPY, under deadlines like dbpool_exec.
 */
#ifndef DBPOOL_DATA_H
#define DBPOOL_DATA_H

#include "dbpool.h"

#ifdef __cplusplus
extern "C"
{
#endif

#pragma GCC visibility push(default)

/*
 * Run n statements in one round trip and wait for all results.  sql[i] is one
 * statement, params[i] what it is given (params may be NULL: nothing for any).
 * Outside a transaction the n are one transaction: all or none; so none may be what
 * cannot run in one, and BEGIN, COMMIT, ROLLBACK and COPY do not belong in here.  What
 * repeats is prepared, as by dbpool_exec.
 *
 * OK: results[0] to results[n - 1] are the caller's (PQclear).  Else all are NULL, and
 * *failed (which may be NULL) is the statement that failed; n if none did, but the end
 * (a deferred constraint), or the connection.  Errors: as dbpool_exec, where
 * a plan that had changed (0A000, RETRYABLE) is not tried again; EINVAL
 * and the connection is closed at its release if one was a COPY.
 */
int dbpool_pipeline(dbpool_lease lease, int64_t deadline, size_t n, const char *const *sql,
					const dbpool_params *const *params, PGresult **results, size_t *failed,
					dbpool_error *err);

/*
 * Where COPY's data comes from: fill buffer with up to size bytes and return how
 * many; 0 at the end; negative to give up.
 */
typedef int64_t (*dbpool_copy_source)(void *arg, char *buffer, size_t size);

/* Where it goes to: one row of text or csv, or a piece of binary; 0, or anything else to give up. */
typedef int (*dbpool_copy_sink)(void *arg, const char *data, size_t length);

/*
 * Run COPY ... FROM STDIN with data from `source`; *rows (may be NULL) is their number.
 * The callback must not use the lease, and its time counts.  Errors:
 *	EABORTED	source gave up: nothing is written
 *	ETIMEDOUT, ECONNLOST	TX_ABORTED if not all was sent, else OUTCOME_UNKNOWN
 *	EINVAL		it is another statement, which has run
 *	others		as dbpool_exec; bad data is told at the end only
 */
int dbpool_copy_in(dbpool_lease lease, int64_t deadline, const char *sql, dbpool_copy_source source,
				   void *arg, uint64_t *rows, dbpool_error *err);

/*
 * Run COPY ... TO STDOUT and give each row to `sink`.  Errors: as dbpool_exec; EABORTED:
 * sink gave up, so the command is being cancelled and the connection will be closed
 * at its release; EINVAL: it is another statement, which has run.
 */
int dbpool_copy_out(dbpool_lease lease, int64_t deadline, const char *sql, dbpool_copy_sink sink,
					void *arg, uint64_t *rows, dbpool_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* DBPOOL_DATA_H */
