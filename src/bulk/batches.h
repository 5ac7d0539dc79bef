/*-------------------------------------------------------------------------
 *
 * batches.h
 *	  What the files of the procedures share that commit chunk by chunk.
 *
 *		batch_calls.c	entry points: arguments and result
 *		batches.c	the loop over chunks, retries
 *		batch_sql.c	the statements: which rows are next, what is done to them
 *		clause.c	SQL texts that the caller gives: one expression, assignments
 *		pace.c		waiting: pauses, replica lag, WAL rate, the size of chunks
 *		jobs.c		the row of a job, written in the transaction of each chunk
 *		control.c	pause, resume, cancel and forget, from other sessions
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_BULK_BATCHES_H
#define DBU_BULK_BATCHES_H

#include "bulk/bulk.h"

#include "datatype/timestamp.h"
#include "portability/instr_time.h"

/* The parameters that all three procedures have in common. */
typedef struct DbuPacing
{
	int			chunk_rows;
	int			chunk_target_ms;	/* 0: chunks keep their size */
	double		max_duration_ms;	/* < 0: no limit, as the next two */
	double		max_replica_lag_ms;
	double		max_wal_bytes_per_ms;
	int			pause_ms;
	int			lock_timeout_ms;	/* 0: the session's own */
	int			max_retries;
	bool		dry_run;
} DbuPacing;

typedef enum DbuWanted
{
	DBU_WANTED_RUN,
	DBU_WANTED_PAUSE,
	DBU_WANTED_CANCEL
} DbuWanted;

/* Lives in the procedure's SPI context, across transactions. */
typedef struct DbuBatches
{
	DbuBulkOp	op;
	DbuBulkCall *proto;			/* options and target, as they were at the start */
	Oid			target;
	Oid			source;			/* insert: another relation; else the target */
	char	   *source_name;
	char	   *source_sql;
	DbuTarget  *source_facts;
	List	   *key;			/* DbuColumn *, of the source */
	List	   *map_to;			/* insert: names in the target ... */
	List	   *map_from;		/* ... and of the source */
	char	   *where_clause;	/* NULL: all rows */
	char	   *set_clause;
	Oid			archive_to;
	DbuPacing	pacing;

	char	   *job;
	char	   *definition;		/* what must be the same when the job goes on */
	List	   *cursor;			/* char *: key of the last row done; NIL: none yet */
	int			chunk_rows;		/* of the next chunk */
	int64		expected;		/* rows, by the planner's estimate */
	bool		judge_first;	/* see DbuRejects */
	DbuBulkResult res;			/* of the job, all calls together */

	instr_time	started;		/* this call */
	double		elapsed_before;	/* of earlier calls, ms */
	XLogRecPtr	mark;			/* end of a chunk that replicas are to replay; 0: none */
	double		marked_ms;		/* since started */
	double		chunk_ms;		/* of the last chunk ... */
	int			retries_of_chunk;	/* ... and how often it was tried again */
	bool		done;			/* no rows are left */
} DbuBatches;

/* batches.c */
extern void dbu_batches_run(DbuBatches *batches);

/* batch_sql.c */
extern void dbu_batches_describe(DbuBatches *batches, Datum column_map, bool has_map, List *key);
extern char *dbu_batches_pick_sql(const DbuBatches *batches);
extern char *dbu_batches_write_sql(DbuBulkCall *call, DbuShape *shape);
extern void dbu_batches_flush(DbuBulkCall *call, DbuBatch *batch);
extern DbuSource *dbu_batches_pick(DbuBatches *batches, DbuBulkCall *call, List **cursor);

/* clause.c */
extern void dbu_clause_check_where(const char *clause);
extern List *dbu_clause_check_set(const char *clause);

/* pace.c */
extern void dbu_pace_wait(DbuBatches *batches, double ms);
extern void dbu_pace_before_chunk(DbuBatches *batches);
extern void dbu_pace_after_chunk(DbuBatches *batches, double chunk_ms, uint64 wal_bytes);
extern bool dbu_pace_is_over(const DbuBatches *batches);

/* jobs.c */
extern bool dbu_job_begin(DbuBatches *batches);
extern void dbu_job_write(DbuBatches *batches, const char *state, const char *waiting_for,
						  const char *error);
extern DbuWanted dbu_job_wanted(const DbuBatches *batches);
extern void dbu_job_lock(const char *job);
extern void dbu_job_unlock(const char *job);
extern bool dbu_job_is_locked(const char *job);
extern void dbu_job_connect(void);
extern int	dbu_job_execute(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls);

#endif							/* DBU_BULK_BATCHES_H */
