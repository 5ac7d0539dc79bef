
-- bulk: procedures that commit chunk by chunk, their jobs and rejects

-- Written by the procedures, which need no right on it; read through the views.
CREATE TABLE dbutil.bulk_job_rows (
	job text COLLATE "C" PRIMARY KEY,
	op text NOT NULL,
	target text NOT NULL,
	source text NOT NULL,
	owner text COLLATE "C" NOT NULL,
	service text NOT NULL,
	definition text NOT NULL,
	state text NOT NULL DEFAULT 'running',
	waiting_for text,
	last_error text,
	cursor_key text[],
	chunk_rows integer NOT NULL,
	rows_expected bigint NOT NULL,
	rows_in bigint NOT NULL DEFAULT 0,
	inserted bigint NOT NULL DEFAULT 0,
	updated bigint NOT NULL DEFAULT 0,
	unchanged bigint NOT NULL DEFAULT 0,
	deleted bigint NOT NULL DEFAULT 0,
	conflicts bigint NOT NULL DEFAULT 0,
	missing bigint NOT NULL DEFAULT 0,
	suppressed bigint NOT NULL DEFAULT 0,
	rejected bigint NOT NULL DEFAULT 0,
	chunks bigint NOT NULL DEFAULT 0,
	retries bigint NOT NULL DEFAULT 0,
	wal_bytes bigint NOT NULL DEFAULT 0,
	elapsed_ms double precision NOT NULL DEFAULT 0,
	throttled_ms double precision NOT NULL DEFAULT 0,
	first_error_ord bigint NOT NULL DEFAULT 0,
	first_sqlstate text,
	first_message text,
	pid integer,
	backend_start timestamp with time zone,
	started_at timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	updated_at timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp());
REVOKE ALL ON dbutil.bulk_job_rows FROM PUBLIC;
ALTER TABLE dbutil.bulk_job_rows SET (fillfactor = 50);
COMMENT ON TABLE dbutil.bulk_job_rows IS
	'jobs of the procedures bulk_*_batches, written in the transaction of each chunk; see the view dbutil.bulk_jobs. cursor_key: key of the last row done. owner is the name of the role that called. Not dumped by pg_dump';

CREATE TABLE dbutil.bulk_job_controls (
	job text COLLATE "C" PRIMARY KEY,
	wanted text NOT NULL CHECK (wanted IN ('pause', 'cancel')));
REVOKE ALL ON dbutil.bulk_job_controls FROM PUBLIC;
COMMENT ON TABLE dbutil.bulk_job_controls IS
	'what bulk_pause() and bulk_cancel() ask of a job before its next chunk. Not dumped by pg_dump';

CREATE PROCEDURE dbutil.bulk_insert_batches(target regclass, source regclass,
	source_key name[] DEFAULT NULL, where_clause text DEFAULT NULL, column_map jsonb DEFAULT NULL,
	chunk_rows integer DEFAULT 5000, chunk_target_ms integer DEFAULT 500, max_duration interval DEFAULT NULL,
	max_replica_lag interval DEFAULT NULL, max_wal_mb_per_s integer DEFAULT NULL, pause_ms integer DEFAULT 0,
	lock_timeout_ms integer DEFAULT 2000, max_retries integer DEFAULT 5, job text DEFAULT NULL,
	dry_run boolean DEFAULT false,
	on_conflict text DEFAULT 'error', conflict_columns name[] DEFAULT NULL,
	conflict_constraint name DEFAULT NULL, update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL, reject_to regclass DEFAULT NULL,
	INOUT result dbutil.bulk_result DEFAULT NULL)
	LANGUAGE c
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert_batches';
COMMENT ON PROCEDURE dbutil.bulk_insert_batches(regclass, regclass, name[], text, jsonb, integer, integer, interval, interval, integer, integer, integer, integer, text, boolean, text, name[], name, name[], text, text, bigint, regclass, dbutil.bulk_result) IS
	'insert or upsert the rows of source into target, chunk by chunk, each committed with the job''s row. source_key: columns of a unique index without nulls, in whose order rows are read, else the primary key; rows that appear behind the place reached are not seen. where_clause: one expression over source. column_map: {"column of target": "column of source"}, else all of source by name. chunk_rows: rows of the first chunk; chunk_target_ms: milliseconds that a chunk shall take, for which its size is changed up to tenfold (NULL: never). max_duration, max_replica_lag: stop after, wait while above it. max_wal_mb_per_s: rest between chunks so that this session writes no more WAL (MiB). pause_ms: rest after each chunk. lock_timeout_ms: of each chunk (0: the session''s). max_retries: tries again, half as large, after a deadlock, serialization failure or lock timeout. job: name; called again with it and the same arguments it goes on exactly behind its last chunk, and answers at once if it is complete. dry_run: counts only, nothing is written or committed. The others as in bulk_insert(); max_errors ends the job with complete = false, and what is committed stays. Errors: 25001 called where it cannot commit, 42601 where_clause is not one expression, 42P10 no such key, 42704 no primary key, 55006 the job is running, 42501 another role''s job, 22023 bad argument or other arguments than before, and those of bulk_insert()';

CREATE PROCEDURE dbutil.bulk_update_batches(target regclass, set_clause text,
	where_clause text DEFAULT 'true', key name[] DEFAULT NULL,
	chunk_rows integer DEFAULT 5000, chunk_target_ms integer DEFAULT 500, max_duration interval DEFAULT NULL,
	max_replica_lag interval DEFAULT NULL, max_wal_mb_per_s integer DEFAULT NULL, pause_ms integer DEFAULT 0,
	lock_timeout_ms integer DEFAULT 2000, max_retries integer DEFAULT 5, job text DEFAULT NULL,
	dry_run boolean DEFAULT false, locked text DEFAULT 'wait',
	INOUT result dbutil.bulk_result DEFAULT NULL)
	LANGUAGE c
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update_batches';
COMMENT ON PROCEDURE dbutil.bulk_update_batches(regclass, text, text, name[], integer, integer, interval, interval, integer, integer, integer, integer, text, boolean, text, dbutil.bulk_result) IS
	'update the rows of target that meet where_clause, chunk by chunk, each committed with the job''s row, and each row once. set_clause: assignments, as behind SET, but not of the key. where_clause: one expression over target, asked when a chunk is picked and again when it is written; rows that no longer meet it count as missing. key: columns of a unique index without nulls, in whose order rows are visited, else the primary key. locked: wait | skip (rows that another session has locked count as conflicts and are passed over) | error (the chunk is tried again). The others as in bulk_insert_batches(). Errors: 25001 called where it cannot commit, 42601 a clause is not one, 0A000 set_clause sets the key, 42703 unknown column, 42P10, 42704, 55006, 42501, 22023 as there, and those of UPDATE';

CREATE PROCEDURE dbutil.bulk_delete_batches(target regclass, where_clause text,
	key name[] DEFAULT NULL, archive_to regclass DEFAULT NULL,
	chunk_rows integer DEFAULT 5000, chunk_target_ms integer DEFAULT 500, max_duration interval DEFAULT NULL,
	max_replica_lag interval DEFAULT NULL, max_wal_mb_per_s integer DEFAULT NULL, pause_ms integer DEFAULT 0,
	lock_timeout_ms integer DEFAULT 2000, max_retries integer DEFAULT 5, job text DEFAULT NULL,
	dry_run boolean DEFAULT false, locked text DEFAULT 'wait',
	INOUT result dbutil.bulk_result DEFAULT NULL)
	LANGUAGE c
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete_batches';
COMMENT ON PROCEDURE dbutil.bulk_delete_batches(regclass, text, name[], regclass, integer, integer, interval, interval, integer, integer, integer, integer, text, boolean, text, dbutil.bulk_result) IS
	'delete the rows of target that meet where_clause, chunk by chunk, each committed with the job''s row. where_clause: one expression over target, asked when a chunk is picked and again when it is written; rows that no longer meet it count as missing. key: columns of a unique index without nulls, in whose order rows are visited, else the primary key. archive_to: a table with columns of the same names that gets the deleted rows, in the same statement. locked: wait | skip (rows that another session has locked count as conflicts and are passed over) | error (the chunk is tried again). The others as in bulk_insert_batches(). Errors: 25001 called where it cannot commit, 42601 where_clause is not one expression, 42P10, 42704, 55006, 42501, 22023 as there, and those of DELETE';

CREATE FUNCTION dbutil.bulk_pause(job text) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_pause';
COMMENT ON FUNCTION dbutil.bulk_pause(text) IS
	'have a job of a bulk_*_batches procedure wait before its next chunk, until bulk_resume() or bulk_cancel(); it holds no lock and no snapshot meanwhile. Counts from the commit. Errors: 42704 no such job, 42501 another role''s, 55000 it is complete, 22004 NULL';

CREATE FUNCTION dbutil.bulk_resume(job text) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_resume';
COMMENT ON FUNCTION dbutil.bulk_resume(text) IS
	'take back bulk_pause() and bulk_cancel(). A job whose call has ended goes on when the procedure is called again with its name. Errors: 42704 no such job, 42501 another role''s, 55000 it is complete, 22004 NULL';

CREATE FUNCTION dbutil.bulk_cancel(job text) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_cancel';
COMMENT ON FUNCTION dbutil.bulk_cancel(text) IS
	'end a job of a bulk_*_batches procedure before its next chunk: its call answers with complete = false, and what is committed stays. Counts from the commit. Called again the job goes on. Errors: 42704 no such job, 42501 another role''s, 55000 it is complete, 22004 NULL';

CREATE FUNCTION dbutil.bulk_forget(job text) RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_forget';
COMMENT ON FUNCTION dbutil.bulk_forget(text) IS
	'remove a job and what it rejected, or the rejects of a bulk call; returns the number of rejects. Errors: 42704 nothing of that name, 42501 another role''s, 55006 it is running, 22004 NULL';

CREATE VIEW dbutil.bulk_jobs WITH (security_barrier) AS
	SELECT j.job, j.op, j.target, j.source, j.owner, j.service,
		   CASE WHEN j.state IN ('running', 'paused') AND NOT EXISTS (
				SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = j.pid AND a.backend_start = j.backend_start)
				THEN 'interrupted' ELSE j.state END AS state,
		   j.last_error, j.rows_in, j.inserted, j.updated, j.unchanged, j.deleted, j.conflicts, j.missing, j.suppressed,
		   j.rejected, j.chunks, j.chunk_rows, j.retries, j.elapsed_ms, j.throttled_ms, j.wal_bytes, j.rows_expected,
		   j.cursor_key, j.definition, j.pid, j.waiting_for, j.started_at, j.updated_at
	FROM dbutil.bulk_job_rows AS j
	WHERE EXISTS (SELECT FROM pg_catalog.pg_roles AS o
				  WHERE o.rolname::text = j.owner AND pg_catalog.pg_has_role(o.oid, 'USAGE'));
COMMENT ON VIEW dbutil.bulk_jobs IS
	'jobs of the procedures bulk_*_batches, one row each, to who called and to roles that have his privileges. state: running | paused | stopped (max_duration) | cancelled | failed (last_error) | interrupted (its session is gone) | complete; all but the last go on when the procedure is called again. Counters as in dbutil.bulk_result, of all calls together; rows_expected: the planner''s estimate at the start; cursor_key: key of the last row done; elapsed_ms, throttled_ms in milliseconds';
GRANT SELECT ON dbutil.bulk_jobs TO PUBLIC;

CREATE FUNCTION dbutil.bulk_running(OUT pid integer, OUT backend_start timestamp with time zone, OUT relid oid,
	OUT op text, OUT started_at timestamp with time zone, OUT rows_expected bigint, OUT rows_read bigint,
	OUT rows_done bigint, OUT chunks bigint)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_bulk_running';
COMMENT ON FUNCTION dbutil.bulk_running() IS
	'bulk calls that run in this database now, without the procedures; see the view dbutil.bulk_progress. Empty without preload. Calls of other roles are shown to those who may read all statistics';

CREATE VIEW dbutil.bulk_progress WITH (security_barrier) AS
	SELECT j.job, j.op, j.target, j.state, j.pid, j.chunks AS chunk, j.chunk_rows, j.rows_in AS rows_done, j.rows_expected,
		   greatest(j.rows_expected - j.rows_in, 0) AS rows_left,
		   j.rows_in * 1000 / nullif(j.elapsed_ms, 0) AS rows_per_s,
		   greatest(j.rows_expected - j.rows_in, 0) * j.elapsed_ms / nullif(j.rows_in, 0) / 1000 AS seconds_left,
		   coalesce(j.waiting_for, (SELECT a.wait_event_type || ': ' || a.wait_event FROM pg_catalog.pg_stat_activity AS a
									WHERE a.pid = j.pid AND j.state IN ('running', 'paused'))) AS waiting_on,
		   j.started_at, j.updated_at
	FROM dbutil.bulk_jobs AS j
	WHERE j.state <> 'complete'
	UNION ALL
	SELECT NULL, r.op, r.relid::pg_catalog.regclass::text, 'running', r.pid, r.chunks, NULL, r.rows_done, r.rows_expected,
		   r.rows_expected - r.rows_done,
		   r.rows_done / nullif(extract(epoch FROM pg_catalog.clock_timestamp() - r.started_at)::float8, 0),
		   (r.rows_expected - r.rows_done) * extract(epoch FROM pg_catalog.clock_timestamp() - r.started_at)::float8
			   / nullif(r.rows_done, 0),
		   a.wait_event_type || ': ' || a.wait_event, r.started_at, pg_catalog.clock_timestamp()
	FROM dbutil.bulk_running() AS r JOIN pg_catalog.pg_stat_activity AS a ON a.pid = r.pid
	WHERE a.backend_start = r.backend_start;
COMMENT ON VIEW dbutil.bulk_progress IS
	'bulk calls that run now (preload only; job is NULL), and jobs of the procedures bulk_*_batches that are not complete, as of their last commit: rows done, all rows and the rest (of a job by the planner''s estimate, of a call as given, NULL for a query), rows per second since the start (pauses included) and the seconds that the rest will take at that rate; chunk: how many are done; waiting_on: resume (it is paused), replica lag, or the wait event of its session now';
GRANT SELECT ON dbutil.bulk_progress TO PUBLIC;

CREATE FUNCTION dbutil.bulk_metric_rows(OUT service text, OUT relid oid, OUT op text, OUT calls bigint,
	OUT rows_in bigint, OUT inserted bigint, OUT updated bigint, OUT unchanged bigint, OUT deleted bigint,
	OUT conflicts bigint, OUT missing bigint, OUT suppressed bigint, OUT rejected bigint, OUT chunks bigint,
	OUT retries bigint, OUT elapsed_ms double precision, OUT throttled_ms double precision, OUT wal_bytes bigint,
	OUT last_at timestamp with time zone, OUT since timestamp with time zone)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_bulk_metrics';
COMMENT ON FUNCTION dbutil.bulk_metric_rows() IS
	'what the view dbutil.bulk_metrics shows, tables by OID. Error: 55000 without preload';

CREATE VIEW dbutil.bulk_metrics AS
	SELECT m.service, m.relid::pg_catalog.regclass::text AS target, m.op, m.calls, m.rows_in, m.inserted, m.updated, m.unchanged,
		   m.deleted, m.conflicts, m.missing, m.suppressed, m.rejected, m.chunks, m.retries, m.elapsed_ms, m.throttled_ms,
		   m.wal_bytes, m.rows_in * 1000 / nullif(m.elapsed_ms, 0) AS rows_per_s, m.last_at, m.since
	FROM dbutil.bulk_metric_rows() AS m;
COMMENT ON VIEW dbutil.bulk_metrics IS
	'what bulk calls have done in this database since the last reset, by service, table and operation. calls: of functions that did not fail, and chunks of procedures; a transaction that was rolled back later counts. Counters as in dbutil.bulk_result; elapsed_ms, throttled_ms in milliseconds; rows_per_s: rows given per second of elapsed_ms. Error: 55000 without preload';
GRANT SELECT ON dbutil.bulk_metrics TO PUBLIC;

CREATE FUNCTION dbutil.bulk_metrics_reset() RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_bulk_metrics_reset';
REVOKE EXECUTE ON FUNCTION dbutil.bulk_metrics_reset() FROM PUBLIC;
COMMENT ON FUNCTION dbutil.bulk_metrics_reset() IS
	'forget what dbutil.bulk_metrics has, of all databases. Error: 55000 without preload';
