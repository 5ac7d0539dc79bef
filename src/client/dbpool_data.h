/*
 * dbpool_data.h
 *		Many statements in one round trip, COPY, and many rows in one statement, under
 *		deadlines like dbpool_exec.
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

/*
 * Rows of text: n * ncolumns values, one row after the other, a NULL is an SQL null.
 * Table ("name" or "schema.name") and columns as the catalog has them; they are quoted here.
 */
typedef struct dbpool_rows
{
	size_t			   size; /* sizeof(dbpool_rows) */
	const char		  *table;
	int				   ncolumns;
	const char *const *columns;
	size_t			   n;
	const char *const *values;
} dbpool_rows;

#define DBPOOL_ROWS_INIT {sizeof(dbpool_rows), NULL, 0, NULL, 0, NULL}

#define DBPOOL_CONFLICT_ERROR 0
#define DBPOOL_CONFLICT_NOTHING 1 /* rows that are there stay as they are */
#define DBPOOL_CONFLICT_UPDATE 2  /* and these get the columns behind the key */

/*
 * Write all rows in one statement, so all or none; *n (may be NULL) is how many were
 * written: found or changed in an update, inserted or updated in an insert.  The first
 * nkey columns are the key, in a delete all: never NULL, and no key twice.  For an insert
 * they are those of a unique index, with NOTHING nkey = 0 stands for any.
 *
 * Inserts with DBPOOL_CONFLICT_ERROR are COPY; the others are dbutil.bulk_* where the
 * extension is installed and the role may use it, else arrays, after one round trip to
 * learn which, and the types.  Errors: as dbpool_exec and dbpool_copy_in, and of
 * dbutil.bulk_* (its documentation has them); EINVAL: arguments, a column that the
 * table has not, or a client_encoding like SJIS or GBK.
 */
int dbpool_bulk_insert(dbpool_lease lease, int64_t deadline, const dbpool_rows *rows, int on_conflict,
					   int nkey, uint64_t *n, dbpool_error *err);
int dbpool_bulk_update(dbpool_lease lease, int64_t deadline, const dbpool_rows *rows, int nkey,
					   uint64_t *n, dbpool_error *err);
int dbpool_bulk_delete(dbpool_lease lease, int64_t deadline, const dbpool_rows *rows, uint64_t *n,
					   dbpool_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* DBPOOL_DATA_H */
