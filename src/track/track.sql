
-- track: statements, transactions and services

CREATE FUNCTION dbutil.statements(texts boolean DEFAULT true,
	OUT service text, OUT dbid oid, OUT userid oid, OUT toplevel boolean, OUT queryid bigint,
	OUT query text, OUT operation text, OUT relations oid[], OUT tags jsonb,
	OUT plans bigint, OUT total_plan_time double precision, OUT min_plan_time double precision,
	OUT max_plan_time double precision, OUT mean_plan_time double precision,
	OUT stddev_plan_time double precision, OUT plan_cache_hits bigint,
	OUT calls bigint, OUT errors bigint, OUT last_sqlstate text, OUT rows bigint,
	OUT total_exec_time double precision, OUT min_exec_time double precision,
	OUT max_exec_time double precision, OUT mean_exec_time double precision,
	OUT stddev_exec_time double precision,
	OUT p50_exec_time double precision, OUT p90_exec_time double precision,
	OUT p95_exec_time double precision, OUT p99_exec_time double precision,
	OUT shared_blks_hit bigint, OUT shared_blks_read bigint,
	OUT shared_blks_dirtied bigint, OUT shared_blks_written bigint,
	OUT local_blks_hit bigint, OUT local_blks_read bigint,
	OUT local_blks_dirtied bigint, OUT local_blks_written bigint,
	OUT temp_blks_read bigint, OUT temp_blks_written bigint,
	OUT blk_read_time double precision, OUT blk_write_time double precision,
	OUT temp_blk_read_time double precision, OUT temp_blk_write_time double precision,
	OUT wal_records bigint, OUT wal_fpi bigint, OUT wal_bytes numeric,
	OUT jit_functions bigint, OUT jit_generation_time double precision,
	OUT jit_inlining_count bigint, OUT jit_inlining_time double precision,
	OUT jit_optimization_count bigint, OUT jit_optimization_time double precision,
	OUT jit_emission_count bigint, OUT jit_emission_time double precision,
	OUT cpu_samples bigint, OUT cpu_user_time double precision, OUT cpu_system_time double precision,
	OUT first_seen timestamp with time zone, OUT stats_since timestamp with time zone,
	OUT minmax_stats_since timestamp with time zone)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_statements';
COMMENT ON FUNCTION dbutil.statements(boolean) IS
	'statements since the last reset, one row per service, database, role, queryid and toplevel. texts => false leaves query and tags NULL and is faster. Columns that pg_stat_statements has mean the same here: times in milliseconds, blocks of 8 kB, planning only with dbutil.track_planning, block times only with track_io_timing. Percentiles are within 6.25 % from 1 us on. query has no literals; NULL where there was no room for it, <unreadable> where it could not be told what a literal is. relations: tables of its plan, the first 8. tags: those of dbutil.track_tags, from the comments of the first execution seen. errors counts executions that failed, in planning, in checking privileges or in running, calls those that did not; last_sqlstate is the last one''s code. CPU times are estimates for all calls from cpu_samples of them (dbutil.track_cpu_sample), NULL without any. A statement is its sender''s, also where it fails in or ends by a function of another role; toplevel: sent by the client, unlike what functions, cursors and deferred triggers run. queryid, query, tags and relations of other roles are hidden unless you may read all statistics. Error: 55000 without preload';

CREATE VIEW dbutil.statements AS
	SELECT s.service, d.datname AS database_name, r.rolname AS username,
		   s.toplevel, s.queryid, s.query, s.operation,
		   CASE WHEN d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
				THEN s.relations::pg_catalog.regclass[]::text[] END AS relations,
		   s.tags,
		   s.plans, s.total_plan_time, s.min_plan_time, s.max_plan_time, s.mean_plan_time,
		   s.stddev_plan_time, s.plan_cache_hits,
		   s.calls, s.errors, s.last_sqlstate, s.rows,
		   s.total_exec_time, s.min_exec_time, s.max_exec_time, s.mean_exec_time,
		   s.stddev_exec_time, s.p50_exec_time, s.p90_exec_time, s.p95_exec_time,
		   s.p99_exec_time,
		   s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied, s.shared_blks_written,
		   s.local_blks_hit, s.local_blks_read, s.local_blks_dirtied, s.local_blks_written,
		   s.temp_blks_read, s.temp_blks_written,
		   s.blk_read_time, s.blk_write_time, s.temp_blk_read_time, s.temp_blk_write_time,
		   s.wal_records, s.wal_fpi, s.wal_bytes,
		   s.jit_functions, s.jit_generation_time, s.jit_inlining_count, s.jit_inlining_time,
		   s.jit_optimization_count, s.jit_optimization_time, s.jit_emission_count, s.jit_emission_time,
		   s.cpu_samples, s.cpu_user_time, s.cpu_system_time,
		   s.first_seen, s.stats_since, s.minmax_stats_since
	FROM dbutil.statements(true) AS s
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) s.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) s.userid;
COMMENT ON VIEW dbutil.statements IS
	'statements with percentiles, one row per service, database, role, queryid and toplevel; relations by name, where they are of this database (NULL else); see the function of the same name for units and rights';
GRANT SELECT ON dbutil.statements TO PUBLIC;

CREATE FUNCTION dbutil.statement_errors(
	OUT service text, OUT dbid oid, OUT userid oid, OUT toplevel boolean, OUT queryid bigint,
	OUT sqlstate text, OUT errors bigint, OUT caught bigint,
	OUT first_seen timestamp with time zone, OUT last_seen timestamp with time zone)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_statement_errors';
COMMENT ON FUNCTION dbutil.statement_errors() IS
	'errors by service, database, role, queryid, toplevel and SQLSTATE, since the last reset. errors: those that ended the statement, cancelled and timed-out ones among them; caught: those that a function inside the client''s statement caught. queryid is NULL where the command failed before it had one, in parsing or parse analysis, which is seen only down to log_min_messages, and for other roles'' statements unless you may read all statistics. An error is seen here at the next statement of its session. Error: 55000 without preload';

CREATE VIEW dbutil.statement_errors AS
	SELECT e.service, d.datname AS database_name, r.rolname AS username, e.toplevel, e.queryid,
		   e.sqlstate, e.errors, e.caught, e.first_seen, e.last_seen
	FROM dbutil.statement_errors() AS e
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) e.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) e.userid;
COMMENT ON VIEW dbutil.statement_errors IS
	'errors by service, statement and SQLSTATE; see the function of the same name';
GRANT SELECT ON dbutil.statement_errors TO PUBLIC;

CREATE FUNCTION dbutil.statement_histogram(queryid bigint,
	OUT service text, OUT lower_us double precision, OUT upper_us double precision, OUT calls bigint)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_statement_histogram';
COMMENT ON FUNCTION dbutil.statement_histogram(bigint) IS
	'execution times of one queryid, one row per service and bucket that is not empty: from lower_us up to but not including upper_us (microseconds; NULL: no upper bound). Buckets are the same everywhere, so that rows of several servers may be added. Error: 55000 without preload';

CREATE FUNCTION dbutil.services(
	OUT service text, OUT calls bigint, OUT errors bigint, OUT rows bigint,
	OUT total_exec_time double precision, OUT total_plan_time double precision,
	OUT plan_cache_hits bigint,
	OUT p50_exec_time double precision, OUT p90_exec_time double precision,
	OUT p95_exec_time double precision, OUT p99_exec_time double precision)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_services';
COMMENT ON FUNCTION dbutil.services() IS
	'top-level statements of each service since the last reset; percentiles (milliseconds) are computed from the merged histograms of its statements. Error: 55000 without preload';

CREATE FUNCTION dbutil.transactions(
	OUT service text, OUT dbid oid, OUT userid oid,
	OUT shape bigint, OUT name text, OUT queryids bigint[],
	OUT commits bigint, OUT rollbacks bigint,
	OUT rollbacks_command bigint, OUT rollbacks_error bigint, OUT rollbacks_serialization bigint,
	OUT rollbacks_deadlock bigint, OUT rollbacks_cancelled bigint, OUT rollbacks_lock bigint,
	OUT rollbacks_terminated bigint,
	OUT statements bigint, OUT wrote bigint, OUT rows_written bigint, OUT wal_bytes numeric,
	OUT subtransactions bigint,
	OUT idle_gaps bigint, OUT idle_time double precision, OUT max_idle_time double precision,
	OUT total_time double precision, OUT min_time double precision, OUT max_time double precision,
	OUT mean_time double precision,
	OUT p50_time double precision, OUT p90_time double precision,
	OUT p95_time double precision, OUT p99_time double precision,
	OUT mean_commit_time double precision, OUT p50_commit_time double precision,
	OUT p99_commit_time double precision, OUT max_commit_time double precision)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_transactions';
COMMENT ON FUNCTION dbutil.transactions() IS
	'transactions that ran a statement, since the last reset, by service, database, role and shape: the name that dbutil.track_transaction() gave, else the sequence of its statements (queryids: the first 16, repeats in a row left out). Shapes beyond dbutil.track_max_transactions are counted together as shape 0. Times in milliseconds; duration counts from the transaction''s start timestamp, commit time from before the commit record is written to after it is durable, 0 where there is none. rollbacks by cause: ROLLBACK was sent; an error; of these serialization failures, deadlocks, cancelled or timed out statements (57014), locks not to be had (55P03); the session ended. wrote: those that were given a transaction identifier; rows_written: by INSERT, UPDATE, DELETE, MERGE and COPY; wal_bytes: of their own processes. idle: waiting for the client between statements, with track_activities. A prepared transaction counts by COMMIT PREPARED or ROLLBACK PREPARED, as a transaction of that one statement; one whose only statement failed in parsing or parse analysis is not seen. shape and queryids of other roles are hidden unless you may read all statistics. Error: 55000 without preload';

CREATE VIEW dbutil.transactions AS
	SELECT t.service, d.datname AS database_name, r.rolname AS username,
		   t.shape, t.name, t.queryids,
		   t.commits, t.rollbacks, t.rollbacks_command, t.rollbacks_error,
		   t.rollbacks_serialization, t.rollbacks_deadlock, t.rollbacks_cancelled,
		   t.rollbacks_lock, t.rollbacks_terminated,
		   t.statements, t.wrote, t.rows_written, t.wal_bytes, t.subtransactions,
		   t.idle_gaps, t.idle_time, t.max_idle_time,
		   t.total_time, t.min_time, t.max_time, t.mean_time,
		   t.p50_time, t.p90_time, t.p95_time, t.p99_time,
		   t.mean_commit_time, t.p50_commit_time, t.p99_commit_time, t.max_commit_time
	FROM dbutil.transactions() AS t
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) t.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) t.userid;
COMMENT ON VIEW dbutil.transactions IS
	'transactions with duration and commit latency by service, database, role and shape; see the function of the same name for units';
GRANT SELECT ON dbutil.transactions TO PUBLIC;

CREATE FUNCTION dbutil.track_transaction(service text, name text) RETURNS void
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_track_transaction';
COMMENT ON FUNCTION dbutil.track_transaction(text, text) IS
	'name the current transaction for dbutil.transactions and dbutil.active_transactions, and file it under a service (NULL: the session''s). Both 1 to 63 bytes, what is not printable ASCII is shown as ?. Errors: 22004 name is null, 22023 too long or empty, 55000 without preload';

CREATE FUNCTION dbutil.active_transactions(
	OUT pid integer, OUT service text, OUT name text, OUT statements bigint)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_active_transactions';
COMMENT ON FUNCTION dbutil.active_transactions() IS
	'what tracking knows of the transactions that are open, and of those that failed and wait for the client''s ROLLBACK: process, service, name by dbutil.track_transaction(), statements of the client so far. Error: 55000 without preload';

CREATE VIEW dbutil.active_transactions AS
	SELECT a.pid, t.service, t.name, a.datname AS database_name, a.usename AS username, a.state,
		   a.xact_start,
		   pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.xact_start AS age,
		   CASE WHEN a.state OPERATOR(pg_catalog.=) ANY ('{idle in transaction,idle in transaction (aborted)}'::text[])
				THEN pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.state_change END AS idle,
		   t.statements, a.backend_xid IS NOT NULL AS wrote,
		   pg_catalog.age(a.backend_xmin) AS xmin_age,
		   a.wait_event_type, a.wait_event,
		   b.blocks, a.query
	FROM pg_catalog.pg_stat_activity AS a
	LEFT JOIN dbutil.active_transactions() AS t ON t.pid OPERATOR(pg_catalog.=) a.pid
	LEFT JOIN (SELECT w.blocker, pg_catalog.array_agg(w.pid ORDER BY w.pid) AS blocks
			   FROM (SELECT l.pid, pg_catalog.unnest(pg_catalog.pg_blocking_pids(l.pid)) AS blocker
					 FROM pg_catalog.pg_locks AS l
					 WHERE NOT l.granted
					 GROUP BY l.pid) AS w
			   GROUP BY w.blocker) AS b ON b.blocker OPERATOR(pg_catalog.=) a.pid
	WHERE (a.xact_start IS NOT NULL OR a.state OPERATOR(pg_catalog.=) 'idle in transaction (aborted)')
	  AND a.backend_type OPERATOR(pg_catalog.=) 'client backend';
COMMENT ON VIEW dbutil.active_transactions IS
	'transactions of clients that are open: age, how long the client has let it idle (NULL: at work), statements so far, age of the oldest row version it holds (xmin_age, transactions), and blocks: the processes that wait for it. One that failed is open until the client sends ROLLBACK (state idle in transaction (aborted)), but holds nothing: its xact_start, age and xmin_age are NULL. query is the last statement as pg_stat_activity shows it, with its literals, to those who may see it there';
GRANT SELECT ON dbutil.active_transactions TO PUBLIC;

CREATE FUNCTION dbutil.track_info(
	OUT stats_since timestamp with time zone, OUT entries bigint, OUT services bigint,
	OUT evictions bigint, OUT calls_dropped bigint, OUT errors_dropped bigint,
	OUT error_codes_dropped bigint, OUT texts_dropped bigint, OUT services_dropped bigint, OUT transactions_dropped bigint)
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_track_info';
COMMENT ON FUNCTION dbutil.track_info() IS
	'how full tracking is and what it had to drop since stats_since: the calls in dbutil.statements plus calls_dropped plus what resets returned are all that were executed to their end; services_dropped counts the times that a session''s service had no room of its own and became <other>. Error: 55000 without preload';

CREATE FUNCTION dbutil.track_reset() RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_track_reset';
REVOKE EXECUTE ON FUNCTION dbutil.track_reset() FROM PUBLIC;
COMMENT ON FUNCTION dbutil.track_reset() IS
	'forget all statements, errors, transactions and losses and start counting anew; which services there are and when statements were first seen is kept. Error: 55000 without preload';

CREATE FUNCTION dbutil.reset_statements(service text DEFAULT NULL, userid oid DEFAULT NULL,
	dbid oid DEFAULT NULL, queryid bigint DEFAULT NULL, minmax_only boolean DEFAULT false,
	OUT statements bigint, OUT calls bigint, OUT errors bigint, OUT reset_at timestamp with time zone)
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_reset_statements';
REVOKE EXECUTE ON FUNCTION dbutil.reset_statements(text, oid, oid, bigint, boolean) FROM PUBLIC;
COMMENT ON FUNCTION dbutil.reset_statements(text, oid, oid, bigint, boolean) IS
	'forget what was counted of the statements, and their errors, that agree with all arguments that are neither NULL nor 0; a service that is not known resets nothing, with a WARNING (42704) that names the one most like it; with minmax_only just the shortest and longest times. Returns how many statements that were, and the calls and errors that it took away, so that calls + calls_dropped + those cleared are all that were executed. Transactions and losses stay. Error: 55000 without preload';
