/* dbutil: access, optimisation and observability for services on PostgreSQL */

-- complain if this file is sourced in psql instead of CREATE EXTENSION
\echo Use "CREATE EXTENSION dbutil" to load this file. \quit

-- Names below resolve in pg_catalog whatever the caller's path or his schemas hold.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE SCHEMA dbutil;
COMMENT ON SCHEMA dbutil IS 'dbutil: plan cache, bulk writes, tracking, analysis and health';
GRANT USAGE ON SCHEMA dbutil TO PUBLIC;

CREATE FUNCTION dbutil.version() RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_version';
COMMENT ON FUNCTION dbutil.version() IS
	'version of the library that the server has loaded; differs from pg_extension.extversion between an upgrade of the package and ALTER EXTENSION dbutil UPDATE';

CREATE FUNCTION dbutil.status(
	OUT item text, OUT state text, OUT item_value text, OUT fix text)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_status';
COMMENT ON FUNCTION dbutil.status() IS
	'what of dbutil is on in this session: one row per item with state ok | off | warn, its value, and in fix the line that mends it (NULL when nothing is to be done)';

-- Settings exist once the library is loaded, which asking for its version sees to.
CREATE VIEW dbutil.settings AS
	SELECT s.name, s.setting, s.unit, s.context, s.vartype, s.source,
		   s.boot_val AS default_setting, s.pending_restart, s.short_desc AS description
	FROM pg_catalog.pg_settings AS s
	WHERE (SELECT dbutil.version()) IS NOT NULL
	  AND s.name LIKE 'dbutil.%';
COMMENT ON VIEW dbutil.settings IS
	'every setting of dbutil with its value, unit, default and where the value comes from, as in pg_settings';
GRANT SELECT ON dbutil.settings TO PUBLIC;

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

-- track: what tools expect of pg_stat_statements 1.10

CREATE FUNCTION dbutil.pg_stat_statements(showtext boolean,
	OUT userid oid, OUT dbid oid, OUT toplevel boolean, OUT queryid bigint, OUT query text,
	OUT plans bigint, OUT total_plan_time double precision, OUT min_plan_time double precision,
	OUT max_plan_time double precision, OUT mean_plan_time double precision,
	OUT stddev_plan_time double precision,
	OUT calls bigint, OUT total_exec_time double precision, OUT min_exec_time double precision,
	OUT max_exec_time double precision, OUT mean_exec_time double precision,
	OUT stddev_exec_time double precision, OUT rows bigint,
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
	OUT jit_emission_count bigint, OUT jit_emission_time double precision)
	RETURNS SETOF record
	LANGUAGE sql VOLATILE STRICT PARALLEL RESTRICTED
	BEGIN ATOMIC
		SELECT p.userid, p.dbid, p.toplevel, p.queryid, min(p.query),
			   sum(p.plans)::bigint, sum(p.total_plan_time),
			   coalesce(min(p.min_plan_time) FILTER (WHERE p.plans > 0), 0),
			   coalesce(max(p.max_plan_time) FILTER (WHERE p.plans > 0), 0),
			   coalesce(sum(p.mean_plan_time * p.plans) / nullif(sum(p.plans), 0), 0),
			   -- of several rows together: by their sums of squares
			   coalesce(sqrt(greatest(sum(p.plans * (p.stddev_plan_time ^ 2 + p.mean_plan_time ^ 2)) / nullif(sum(p.plans), 0)
				- (sum(p.mean_plan_time * p.plans) / nullif(sum(p.plans), 0)) ^ 2, 0)), 0),
			   sum(p.calls)::bigint, sum(p.total_exec_time),
			   coalesce(min(p.min_exec_time) FILTER (WHERE p.calls > 0), 0),
			   coalesce(max(p.max_exec_time) FILTER (WHERE p.calls > 0), 0),
			   coalesce(sum(p.mean_exec_time * p.calls) / nullif(sum(p.calls), 0), 0),
			   -- of several rows together: by their sums of squares
			   coalesce(sqrt(greatest(sum(p.calls * (p.stddev_exec_time ^ 2 + p.mean_exec_time ^ 2)) / nullif(sum(p.calls), 0)
				- (sum(p.mean_exec_time * p.calls) / nullif(sum(p.calls), 0)) ^ 2, 0)), 0),
			   sum(p.rows)::bigint,
			   sum(p.shared_blks_hit)::bigint, sum(p.shared_blks_read)::bigint, sum(p.shared_blks_dirtied)::bigint, sum(p.shared_blks_written)::bigint,
			   sum(p.local_blks_hit)::bigint, sum(p.local_blks_read)::bigint, sum(p.local_blks_dirtied)::bigint, sum(p.local_blks_written)::bigint,
			   sum(p.temp_blks_read)::bigint, sum(p.temp_blks_written)::bigint, sum(p.blk_read_time), sum(p.blk_write_time),
			   sum(p.temp_blk_read_time), sum(p.temp_blk_write_time), sum(p.wal_records)::bigint, sum(p.wal_fpi)::bigint,
			   sum(p.wal_bytes), sum(p.jit_functions)::bigint, sum(p.jit_generation_time), sum(p.jit_inlining_count)::bigint,
			   sum(p.jit_inlining_time), sum(p.jit_optimization_count)::bigint, sum(p.jit_optimization_time), sum(p.jit_emission_count)::bigint,
			   sum(p.jit_emission_time)
		FROM (SELECT s.*,
					 -- hidden ones cannot be told apart, and are not to be added up
					 CASE WHEN s.queryid IS NULL THEN row_number() OVER () END AS part
			  FROM dbutil.statements(showtext) AS s
			  WHERE s.calls > 0 OR s.plans > 0) AS p
		GROUP BY p.userid, p.dbid, p.toplevel, p.queryid, p.part;
	END;
COMMENT ON FUNCTION dbutil.pg_stat_statements(boolean) IS
	'statements in the columns of pg_stat_statements 1.10, with the same meaning: those of all services together. showtext => false leaves query NULL. Other roles'' queryid and query are hidden unless you may read all statistics. Error: 55000 without preload';

CREATE VIEW dbutil.pg_stat_statements AS
	SELECT * FROM dbutil.pg_stat_statements(true);
COMMENT ON VIEW dbutil.pg_stat_statements IS
	'statements in the columns of pg_stat_statements 1.10, for tools that know that view: put schema dbutil into their search path';
GRANT SELECT ON dbutil.pg_stat_statements TO PUBLIC;

CREATE FUNCTION dbutil.pg_stat_statements_info(OUT dealloc bigint, OUT stats_reset timestamp with time zone)
	LANGUAGE sql VOLATILE STRICT PARALLEL RESTRICTED
	BEGIN ATOMIC
		SELECT i.evictions, i.stats_since FROM dbutil.track_info() AS i;
	END;
COMMENT ON FUNCTION dbutil.pg_stat_statements_info() IS
	'how often an entry gave way to another one, and since when statistics are counted. Error: 55000 without preload';

CREATE VIEW dbutil.pg_stat_statements_info AS
	SELECT * FROM dbutil.pg_stat_statements_info();
COMMENT ON VIEW dbutil.pg_stat_statements_info IS
	'one row, as pg_stat_statements 1.10 has it: entries that gave way (dealloc), and since when statistics are counted';
GRANT SELECT ON dbutil.pg_stat_statements_info TO PUBLIC;

CREATE FUNCTION dbutil.pg_stat_statements_reset(userid oid DEFAULT 0, dbid oid DEFAULT 0, queryid bigint DEFAULT 0)
	RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_pg_stat_statements_reset';
REVOKE EXECUTE ON FUNCTION dbutil.pg_stat_statements_reset(oid, oid, bigint) FROM PUBLIC;
COMMENT ON FUNCTION dbutil.pg_stat_statements_reset(oid, oid, bigint) IS
	'as pg_stat_statements_reset: forget what was counted of the statements that agree with all arguments that are not 0; without any, all statements, losses and the time since when they are counted. Transactions stay. Error: 55000 without preload';

-- track: history

CREATE TABLE dbutil.history_snapshots (
	snapshot bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	since timestamp with time zone,
	taken_at timestamp with time zone NOT NULL,
	server_started timestamp with time zone NOT NULL,
	calls_dropped bigint NOT NULL,
	dropped_total bigint NOT NULL,
	dropped_since timestamp with time zone NOT NULL);
CREATE INDEX history_snapshots_taken_at ON dbutil.history_snapshots (taken_at);
COMMENT ON TABLE dbutil.history_snapshots IS
	'snapshots of the counters that are kept: what was counted from since to taken_at (since NULL: the first one, where counting begins), the start of the server, the calls that tracking dropped in between; dropped_total and dropped_since are for the next one';
COMMENT ON SEQUENCE dbutil.history_snapshots_snapshot_seq IS 'numbers of snapshots';
GRANT SELECT ON dbutil.history_snapshots TO PUBLIC;

CREATE TABLE dbutil.history_statements (
	snapshot bigint NOT NULL,
	service text NOT NULL, dbid oid NOT NULL, userid oid NOT NULL, toplevel boolean NOT NULL,
	queryid bigint NOT NULL, operation text NOT NULL,
	calls bigint NOT NULL, errors bigint NOT NULL, rows bigint NOT NULL,
	total_exec_time double precision NOT NULL, total_plan_time double precision NOT NULL,
	shared_blks_hit bigint NOT NULL, shared_blks_read bigint NOT NULL,
	temp_blks_written bigint NOT NULL, wal_bytes numeric NOT NULL);
CREATE INDEX history_statements_snapshot ON dbutil.history_statements (snapshot);
REVOKE ALL ON dbutil.history_statements FROM PUBLIC;
COMMENT ON TABLE dbutil.history_statements IS
	'what each statement added to its counters up to a snapshot, for those that did; to be read through dbutil.history';

CREATE TABLE dbutil.history_last (
	service text NOT NULL, dbid oid NOT NULL, userid oid NOT NULL, toplevel boolean NOT NULL,
	queryid bigint NOT NULL, stats_since timestamp with time zone NOT NULL,
	calls bigint NOT NULL, errors bigint NOT NULL, rows bigint NOT NULL,
	total_exec_time double precision NOT NULL, total_plan_time double precision NOT NULL,
	shared_blks_hit bigint NOT NULL, shared_blks_read bigint NOT NULL,
	temp_blks_written bigint NOT NULL, wal_bytes numeric NOT NULL,
	PRIMARY KEY (queryid, service, dbid, userid, toplevel));
REVOKE ALL ON dbutil.history_last FROM PUBLIC;
COMMENT ON TABLE dbutil.history_last IS
	'the counters as the last snapshot saw them, for the next one';

CREATE TABLE dbutil.history_texts (
	dbid oid NOT NULL, queryid bigint NOT NULL, query text NOT NULL,
	PRIMARY KEY (queryid, dbid));
REVOKE ALL ON dbutil.history_texts FROM PUBLIC;
COMMENT ON TABLE dbutil.history_texts IS
	'texts of the statements in dbutil.history, which may be gone from dbutil.statements';

CREATE FUNCTION dbutil.history_take() RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	this bigint;
	info record;
	before_at timestamp with time zone;
	before_dropped bigint;
	before_since timestamp with time zone;
	oldest timestamp with time zone;
	at timestamp with time zone;
BEGIN
	LOCK TABLE dbutil.history_last IN SHARE ROW EXCLUSIVE MODE;
	SELECT s.taken_at, s.dropped_total, s.dropped_since INTO before_at, before_dropped, before_since
	FROM dbutil.history_snapshots AS s ORDER BY s.snapshot DESC LIMIT 1;
	-- before the counters are read: what is new at the next snapshot is newer than this
	at := greatest(clock_timestamp(), before_at);
	SELECT * INTO info FROM dbutil.track_info();
	INSERT INTO dbutil.history_snapshots
		(since, taken_at, server_started, calls_dropped, dropped_total, dropped_since)
	VALUES (before_at, at, pg_postmaster_start_time(),
			CASE WHEN before_at IS NULL THEN 0
				 WHEN before_since = info.stats_since THEN greatest(info.calls_dropped - before_dropped, 0)
				 ELSE info.calls_dropped END,
			info.calls_dropped, info.stats_since)
	RETURNING snapshot INTO this;

	-- A counter that has the same stats_since as at the last snapshot goes on from there; one that is
	-- newer than that snapshot began at 0. Any other was restored from before it: what it had then was
	-- counted already, so it is only where the next snapshot begins.
	WITH seen AS MATERIALIZED (
		SELECT * FROM dbutil.statements(false) AS x WHERE x.queryid IS NOT NULL),
	grown AS (
		SELECT n.*, l.stats_since = n.stats_since AS goes_on,
			   l.calls AS l_calls, l.errors AS l_errors, l.rows AS l_rows, l.total_exec_time AS l_exec,
			   l.total_plan_time AS l_plan, l.shared_blks_hit AS l_hit, l.shared_blks_read AS l_read,
			   l.temp_blks_written AS l_temp, l.wal_bytes AS l_wal
		FROM seen AS n
		LEFT JOIN dbutil.history_last AS l USING (queryid, service, dbid, userid, toplevel)
		WHERE l.stats_since IS DISTINCT FROM n.stats_since OR l.calls <> n.calls OR l.errors <> n.errors),
	added AS (
		INSERT INTO dbutil.history_statements
		SELECT this, g.service, g.dbid, g.userid, g.toplevel, g.queryid, g.operation,
			   g.calls - CASE WHEN goes_on THEN l_calls ELSE 0 END,
			   g.errors - CASE WHEN goes_on THEN l_errors ELSE 0 END,
			   g.rows - CASE WHEN goes_on THEN l_rows ELSE 0 END,
			   greatest(g.total_exec_time - CASE WHEN goes_on THEN l_exec ELSE 0 END, 0),
			   greatest(g.total_plan_time - CASE WHEN goes_on THEN l_plan ELSE 0 END, 0),
			   g.shared_blks_hit - CASE WHEN goes_on THEN l_hit ELSE 0 END,
			   g.shared_blks_read - CASE WHEN goes_on THEN l_read ELSE 0 END,
			   g.temp_blks_written - CASE WHEN goes_on THEN l_temp ELSE 0 END,
			   g.wal_bytes - CASE WHEN goes_on THEN l_wal ELSE 0 END
		FROM grown AS g
		WHERE CASE WHEN goes_on THEN g.calls >= l_calls AND g.errors >= l_errors
				   ELSE g.stats_since >= before_at END
		  AND g.calls + g.errors > CASE WHEN goes_on THEN l_calls + l_errors ELSE 0 END),
	gone AS (
		DELETE FROM dbutil.history_last AS l
		WHERE NOT EXISTS (SELECT FROM seen AS n
						  WHERE n.queryid = l.queryid AND n.service = l.service AND n.dbid = l.dbid
							AND n.userid = l.userid AND n.toplevel = l.toplevel))
	INSERT INTO dbutil.history_last AS l
	SELECT g.service, g.dbid, g.userid, g.toplevel, g.queryid, g.stats_since, g.calls, g.errors, g.rows,
		   g.total_exec_time, g.total_plan_time, g.shared_blks_hit, g.shared_blks_read,
		   g.temp_blks_written, g.wal_bytes
	FROM grown AS g
	ON CONFLICT (queryid, service, dbid, userid, toplevel) DO UPDATE
	SET (stats_since, calls, errors, rows, total_exec_time, total_plan_time, shared_blks_hit,
		 shared_blks_read, temp_blks_written, wal_bytes) =
		(excluded.stats_since, excluded.calls, excluded.errors, excluded.rows, excluded.total_exec_time,
		 excluded.total_plan_time, excluded.shared_blks_hit, excluded.shared_blks_read,
		 excluded.temp_blks_written, excluded.wal_bytes);

	-- texts cost more to read than counters
	IF EXISTS (SELECT FROM dbutil.history_statements AS h
			   WHERE h.snapshot = this AND NOT EXISTS
				   (SELECT FROM dbutil.history_texts AS t WHERE t.queryid = h.queryid AND t.dbid = h.dbid)) THEN
		INSERT INTO dbutil.history_texts
		SELECT DISTINCT ON (x.queryid, x.dbid) x.dbid, x.queryid, x.query
		FROM dbutil.statements(true) AS x
		JOIN dbutil.history_statements AS h ON h.snapshot = this AND h.queryid = x.queryid AND h.dbid = x.dbid
		WHERE x.query IS NOT NULL
		ON CONFLICT DO NOTHING;
	END IF;

	SELECT at - s.setting::integer * interval '1 minute' INTO oldest
	FROM pg_settings AS s WHERE s.name = 'dbutil.track_history_retention';
	DELETE FROM dbutil.history_snapshots AS s WHERE s.taken_at < oldest;
	IF FOUND THEN
		DELETE FROM dbutil.history_statements AS h
		WHERE NOT EXISTS (SELECT FROM dbutil.history_snapshots AS s WHERE s.snapshot = h.snapshot);
		DELETE FROM dbutil.history_texts AS t
		WHERE NOT EXISTS (SELECT FROM dbutil.history_statements AS h
						  WHERE h.queryid = t.queryid AND h.dbid = t.dbid);
	END IF;
	RETURN this;
END $$;
REVOKE EXECUTE ON FUNCTION dbutil.history_take() FROM PUBLIC;
COMMENT ON FUNCTION dbutil.history_take() IS
	'write a snapshot of the counters into the current database, and delete those older than dbutil.track_history_retention; returns its number. Called at each dbutil.track_history_interval in dbutil.track_history_database; may be called at any time, one call at a time. Error: 55000 without preload';

CREATE VIEW dbutil.history WITH (security_barrier) AS
	SELECT h.snapshot, s.since, s.taken_at, h.service, d.datname AS database_name, r.rolname AS username,
		   h.toplevel, CASE WHEN v.visible THEN h.queryid END AS queryid,
		   CASE WHEN v.visible THEN t.query ELSE '<insufficient privilege>' END AS query,
		   h.operation, h.calls, h.errors, h.rows, h.total_exec_time, h.total_plan_time,
		   h.shared_blks_hit, h.shared_blks_read, h.temp_blks_written, h.wal_bytes
	FROM dbutil.history_statements AS h
	JOIN dbutil.history_snapshots AS s ON s.snapshot OPERATOR(pg_catalog.=) h.snapshot
	CROSS JOIN LATERAL (
		SELECT coalesce(pg_catalog.pg_has_role(h.userid, 'USAGE'), false)
			OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS visible) AS v
	LEFT JOIN dbutil.history_texts AS t
		ON t.queryid OPERATOR(pg_catalog.=) h.queryid AND t.dbid OPERATOR(pg_catalog.=) h.dbid
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) h.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) h.userid;
COMMENT ON VIEW dbutil.history IS
	'what each statement added to its counters from since to taken_at, one row per snapshot, service, database, role, queryid and toplevel; units as in dbutil.statements. What was counted between a snapshot and a reset, a crash or an eviction is not in it. queryid and query of other roles are hidden unless you may read all statistics';
GRANT SELECT ON dbutil.history TO PUBLIC;

CREATE FUNCTION dbutil.top(since timestamp with time zone DEFAULT now() - interval '1 day',
	until timestamp with time zone DEFAULT now(), by text DEFAULT 'query',
	only_service text DEFAULT NULL,
	OUT item text, OUT queryid bigint,
	OUT calls bigint, OUT calls_per_second double precision, OUT errors bigint, OUT rows bigint,
	OUT total_exec_time double precision, OUT mean_exec_time double precision, OUT share double precision,
	OUT before_calls_per_second double precision, OUT before_mean_exec_time double precision,
	OUT change double precision,
	OUT covered_since timestamp with time zone, OUT covered_until timestamp with time zone)
	RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	from_at CONSTANT timestamp with time zone := since;
	to_at CONSTANT timestamp with time zone := until;
	kind CONSTANT text := by;
	parameter text := CASE WHEN since IS NULL THEN 'since' WHEN until IS NULL THEN 'until' WHEN by IS NULL THEN 'by' END;
	before_at timestamp with time zone;
	seconds double precision;
	before_seconds double precision;
BEGIN
	IF parameter IS NOT NULL THEN
		RAISE EXCEPTION 'parameter "%" must not be null', parameter
			USING ERRCODE = 'null_value_not_allowed', HINT = format('Pass a value for "%s".', parameter);
	END IF;
	IF from_at >= to_at THEN
		RAISE EXCEPTION 'parameter "since" must be before "until"'
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('since is %s, until is %s.', from_at, to_at),
				  HINT = 'Pass the earlier time first.';
	END IF;
	IF kind NOT IN ('query', 'service', 'database', 'role', 'operation') THEN
		RAISE EXCEPTION 'invalid value for parameter "by": "%"', kind
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Use one of: query, service, database, role, operation.';
	END IF;
	PERFORM FROM dbutil.history_snapshots LIMIT 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'this database holds no history'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Set dbutil.track_history_interval and dbutil.track_history_database and reload the configuration, or call dbutil.history_take().';
	END IF;
	IF only_service IS NOT NULL
		AND NOT EXISTS (SELECT FROM dbutil.history AS h WHERE h.service = only_service) THEN
		RAISE EXCEPTION 'service "%" is not in the history', only_service
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'SELECT DISTINCT service FROM dbutil.history tells which are.';
	END IF;

	-- the time before, of the same length; a span that begins with time has none
	before_at := CASE WHEN isfinite(from_at) AND isfinite(to_at) THEN from_at - (to_at - from_at)
					  ELSE from_at END;
	SELECT sum(extract(epoch FROM s.taken_at - s.since)) FILTER (WHERE s.taken_at > from_at),
		   sum(extract(epoch FROM s.taken_at - s.since)) FILTER (WHERE s.taken_at <= from_at),
		   min(s.since) FILTER (WHERE s.taken_at > from_at), max(s.taken_at)
	INTO seconds, before_seconds, covered_since, covered_until
	FROM dbutil.history_snapshots AS s
	WHERE s.since IS NOT NULL AND s.taken_at > before_at AND s.taken_at <= to_at;

	RETURN QUERY
	WITH kept AS (
		SELECT CASE kind WHEN 'query' THEN h.query WHEN 'service' THEN h.service
						 WHEN 'database' THEN h.database_name::text WHEN 'role' THEN h.username::text
						 ELSE h.operation END AS item,
			   CASE kind WHEN 'query' THEN h.queryid END AS queryid,
			   h.taken_at > from_at AS inside, h.calls, h.errors, h.rows, h.total_exec_time
		FROM dbutil.history AS h
		-- the time of a nested statement is in its caller's already
		WHERE (h.toplevel OR kind = 'query')
		  AND h.taken_at > before_at AND h.taken_at <= to_at
		  AND (only_service IS NULL OR h.service = only_service)),
	sums AS (
		SELECT k.item, k.queryid,
			   sum(k.calls) FILTER (WHERE k.inside) AS calls, sum(k.errors) FILTER (WHERE k.inside) AS errors,
			   sum(k.rows) FILTER (WHERE k.inside) AS rows,
			   sum(k.total_exec_time) FILTER (WHERE k.inside) AS exec_time,
			   sum(k.calls) FILTER (WHERE NOT k.inside) AS before_calls,
			   sum(k.total_exec_time) FILTER (WHERE NOT k.inside) AS before_exec_time
		FROM kept AS k
		GROUP BY k.item, k.queryid)
	SELECT s.item, s.queryid, coalesce(s.calls, 0)::bigint, coalesce(s.calls, 0)::double precision / nullif(seconds, 0),
		   coalesce(s.errors, 0)::bigint, coalesce(s.rows, 0)::bigint, coalesce(s.exec_time, 0),
		   s.exec_time / nullif(s.calls, 0)::double precision,
		   coalesce(s.exec_time, 0) / nullif(sum(s.exec_time) OVER (), 0),
		   s.before_calls::double precision / nullif(before_seconds, 0),
		   s.before_exec_time / nullif(s.before_calls, 0)::double precision,
		   coalesce(s.exec_time, 0) / nullif(seconds, 0)
				/ nullif(s.before_exec_time / nullif(before_seconds, 0), 0),
		   covered_since, covered_until
	FROM sums AS s
	ORDER BY coalesce(s.exec_time, 0) DESC, s.before_exec_time DESC NULLS LAST, s.item COLLATE "C", s.queryid;
END $$;
COMMENT ON FUNCTION dbutil.top(timestamp with time zone, timestamp with time zone, text, text) IS
	'what took most of the time from since to until (by query | service | database | role | operation, of all services or of only_service; by query nested statements too), and how that changed against the time before of the same length: rates per second, times in milliseconds, share of the total, change: time per second now by time per second then (NULL: there was none). Taken from the snapshots in dbutil.history whose taken_at lies within; covered_since and covered_until tell the time that these cover. Errors: 22004 a NULL, 22023 since not before until, by none of the words, an unknown service; 55000 no history here';

-- track: plans, slow plans

CREATE FUNCTION dbutil.plans(texts boolean DEFAULT true,
	OUT dbid oid, OUT userid oid, OUT queryid bigint, OUT planid bigint, OUT previous_planid bigint,
	OUT calls bigint, OUT rows bigint, OUT total_exec_time double precision,
	OUT min_exec_time double precision, OUT max_exec_time double precision,
	OUT mean_exec_time double precision, OUT stddev_exec_time double precision,
	OUT estimated_cost double precision,
	OUT first_seen timestamp with time zone, OUT last_seen timestamp with time zone, OUT plan text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_plans';
COMMENT ON FUNCTION dbutil.plans(boolean) IS
	'plans since the last reset, one row per database, role, queryid and planid. planid is a hash over the shape of the plan (nodes, relations, indexes, joins; neither costs nor literals nor which partitions), good within one cluster and major version. previous_planid: the plan that ran last before this one was first seen. Times in milliseconds, estimated_cost of the plan first seen. plan: as EXPLAIN prints it, with the literals of that execution; NULL where there is none: the statement ran once only, texts => false, or no room. Rows of other roles are shown without identifiers and plan unless you may read all statistics. Error: 55000 without preload';

CREATE VIEW dbutil.plans AS
	SELECT d.datname AS database_name, r.rolname AS username,
		   p.queryid, p.planid, p.previous_planid, p.calls, p.rows,
		   p.total_exec_time, p.min_exec_time, p.max_exec_time, p.mean_exec_time, p.stddev_exec_time,
		   p.estimated_cost, p.first_seen, p.last_seen, p.plan
	FROM dbutil.plans(true) AS p
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) p.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) p.userid;
COMMENT ON VIEW dbutil.plans IS
	'plans with calls and times, one row per database, role, queryid and planid; see the function of the same name for units and rights';
GRANT SELECT ON dbutil.plans TO PUBLIC;

CREATE VIEW dbutil.plan_regressions AS
	WITH plans AS MATERIALIZED (
		SELECT p.*, pg_catalog.max(p.last_seen) OVER (PARTITION BY p.dbid, p.userid, p.queryid) AS statement_last_seen
		FROM dbutil.plans(true) AS p)
	SELECT d.datname AS database_name, r.rolname AS username, n.queryid,
		   n.mean_exec_time OPERATOR(pg_catalog./) o.mean_exec_time AS slower,
		   (n.mean_exec_time OPERATOR(pg_catalog.-) o.mean_exec_time)
				OPERATOR(pg_catalog.*) n.calls::double precision AS lost_time,
		   n.first_seen AS changed_at,
		   n.last_seen OPERATOR(pg_catalog.=) n.statement_last_seen AS in_use,
		   n.planid AS new_planid, n.calls AS new_calls, n.mean_exec_time AS new_mean_exec_time,
		   n.plan AS new_plan,
		   o.planid AS old_planid, o.calls AS old_calls, o.mean_exec_time AS old_mean_exec_time,
		   o.plan AS old_plan
	FROM plans AS n
	JOIN plans AS o ON o.dbid OPERATOR(pg_catalog.=) n.dbid
		AND o.userid OPERATOR(pg_catalog.=) n.userid
		AND o.queryid OPERATOR(pg_catalog.=) n.queryid
		AND o.planid OPERATOR(pg_catalog.=) n.previous_planid
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) n.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) n.userid
	WHERE o.mean_exec_time OPERATOR(pg_catalog.>) 0::double precision
	  AND n.mean_exec_time OPERATOR(pg_catalog.>=)
		  (2::double precision OPERATOR(pg_catalog.*) o.mean_exec_time);
COMMENT ON VIEW dbutil.plan_regressions IS
	'statements that got a new plan whose mean time is at least twice that of the plan that ran before it: slower is the ratio, lost_time what the calls of the new plan took more (milliseconds), in_use whether it is the one of all the statement''s plans that was used last; both plans with their calls. Few calls prove little: ask for new_calls. Only statements whose identifiers you may see';
GRANT SELECT ON dbutil.plan_regressions TO PUBLIC;

CREATE FUNCTION dbutil.slow_plans(
	OUT number bigint, OUT ended_at timestamp with time zone, OUT service text,
	OUT dbid oid, OUT userid oid, OUT pid integer, OUT queryid bigint, OUT planid bigint,
	OUT exec_time double precision, OUT rows bigint, OUT measured boolean,
	OUT plan text, OUT plan_json text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_slow_plans';
COMMENT ON FUNCTION dbutil.slow_plans() IS
	'plans of the last statements that ran for dbutil.track_slow_time or longer, oldest first; number counts them. exec_time in milliseconds. measured: each node was (dbutil.track_slow_analyze), so that the plan has actual rows and times. plan, plan_json: as EXPLAIN prints it, with the literals of the statement; NULL for want of room. Rows of other roles are shown without identifiers and plans unless you may read all statistics. Error: 55000 without preload';

CREATE VIEW dbutil.slow_plans AS
	SELECT s.number, s.ended_at, s.service, d.datname AS database_name, r.rolname AS username, s.pid,
		   s.queryid, s.planid, s.exec_time, s.rows, s.measured, s.plan, s.plan_json::json AS plan_json
	FROM dbutil.slow_plans() AS s
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) s.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) s.userid;
COMMENT ON VIEW dbutil.slow_plans IS
	'plans of the last slow statements, for dbutil.explain_findings(plan_json) as well; see the function of the same name for units and rights';
GRANT SELECT ON dbutil.slow_plans TO PUBLIC;

CREATE FUNCTION dbutil.reset_plans() RETURNS bigint
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_reset_plans';
REVOKE EXECUTE ON FUNCTION dbutil.reset_plans() FROM PUBLIC;
COMMENT ON FUNCTION dbutil.reset_plans() IS
	'forget all of dbutil.plans and its losses; returns the calls that it held. Error: 55000 without preload';

CREATE FUNCTION dbutil.reset_slow_plans() RETURNS bigint
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_reset_slow_plans';
REVOKE EXECUTE ON FUNCTION dbutil.reset_slow_plans() FROM PUBLIC;
COMMENT ON FUNCTION dbutil.reset_slow_plans() IS
	'forget all of dbutil.slow_plans and its losses; returns how many there were. Error: 55000 without preload';

-- track: how full its bounded parts are

CREATE FUNCTION dbutil.track_room(
	OUT part text, OUT used bigint, OUT size bigint, OUT dropped bigint,
	OUT stats_since timestamp with time zone)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_track_room';
COMMENT ON FUNCTION dbutil.track_room() IS
	'how full the bounded parts of tracking are, and what they had to drop since stats_since: of plans, calls; of plan texts and slow plan texts (used and size in bytes), texts; of slow plans, those that newer ones took the place of; of waits, samples; of wait ticks, those that came too late to be taken; of history snapshots, those that were not written; of tables, the times that one became <other>; of tables of statements, the statements whose tables were forgotten. size NULL: no bound. Error: 55000 without preload';

-- track: what services do, as a whole and to tables

CREATE FUNCTION dbutil.service_sessions(
	OUT service text, OUT connections bigint, OUT active bigint, OUT idle_in_transaction bigint)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_service_sessions';
COMMENT ON FUNCTION dbutil.service_sessions() IS
	'sessions now connected by the service of their last statement, those that run one and those that are idle in a transaction; a session that has run none yet has no service. Error: 55000 without preload';

CREATE VIEW dbutil.services AS
	SELECT service, coalesce(s.calls, 0) AS calls, coalesce(s.errors, 0) AS errors, coalesce(s.rows, 0) AS rows,
		   coalesce(s.total_exec_time, 0) AS total_exec_time, coalesce(s.total_plan_time, 0) AS total_plan_time,
		   coalesce(s.plan_cache_hits, 0) AS plan_cache_hits,
		   s.p50_exec_time, s.p90_exec_time, s.p95_exec_time, s.p99_exec_time,
		   coalesce(t.commits, 0) AS commits, coalesce(t.rollbacks, 0) AS rollbacks,
		   c.stats_since,
		   s.calls / nullif(extract(epoch FROM clock_timestamp() - c.stats_since), 0)::double precision
				AS calls_per_second,
		   s.errors / nullif(s.calls + s.errors, 0)::double precision AS error_fraction,
		   s.total_exec_time + s.total_plan_time + coalesce(t.commit_time, 0) AS time_in_database,
		   coalesce(n.connections, 0) AS connections, coalesce(n.active, 0) AS active,
		   coalesce(n.idle_in_transaction, 0) AS idle_in_transaction
	FROM dbutil.services() AS s
	FULL JOIN dbutil.service_sessions() AS n USING (service)
	LEFT JOIN (SELECT x.service, sum(x.commits)::bigint AS commits,
					  sum(x.rollbacks)::bigint AS rollbacks, sum(x.mean_commit_time * x.commits) AS commit_time
			   FROM dbutil.transactions() AS x
			   GROUP BY x.service) AS t USING (service)
	LEFT JOIN (SELECT x.service, min(x.stats_since) AS stats_since
			   FROM dbutil.statements(false) AS x
			   GROUP BY x.service) AS c USING (service);
COMMENT ON VIEW dbutil.services IS
	'one row a service: calls, errors, rows, times and percentiles (milliseconds) of what its clients sent, commits and rollbacks; calls_per_second on the average since stats_since, error_fraction of calls and errors, time_in_database: execution, planning and commit (milliseconds); sessions now connected, running a statement, idle in a transaction';
GRANT SELECT ON dbutil.services TO PUBLIC;

CREATE FUNCTION dbutil.statement_tables(
	OUT dbid oid, OUT userid oid, OUT queryid bigint, OUT operation text, OUT table_name text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_statement_tables';
COMMENT ON FUNCTION dbutil.statement_tables() IS
	'the tables that each planned statement reads (operation select) and writes, those of views included; table_name with its schema, <temporary> for temporary tables, <other> for those beyond dbutil.track_tables_max and for what a statement has beyond seven of eight or more; operation and table_name NULL: it uses none. Noted at the statement''s first execution. Only your own statements unless you may read all statistics. Error: 55000 without preload';

CREATE VIEW dbutil.service_tables AS
	SELECT s.service, d.datname AS database_name, coalesce(t.table_name, '<other>') AS table_name,
		   coalesce(t.operation, s.operation) AS operation,
		   count(*) AS statements, sum(s.calls)::bigint AS calls, sum(s.rows)::bigint AS rows,
		   sum(s.total_exec_time) AS total_exec_time,
		   sum(s.total_exec_time) / sum(s.calls)::double precision AS mean_exec_time
	FROM dbutil.statements(false) AS s
	LEFT JOIN dbutil.statement_tables() AS t USING (dbid, userid, queryid)
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
	WHERE s.calls > 0 AND s.queryid IS NOT NULL AND s.operation <> 'utility'
	  AND (t.queryid IS NULL OR t.table_name IS NOT NULL)
	GROUP BY s.service, d.datname, coalesce(t.table_name, '<other>'), coalesce(t.operation, s.operation);
COMMENT ON VIEW dbutil.service_tables IS
	'what each service does to each table: statements, calls, rows and times (milliseconds) of the statements that read (operation select) or write it. A statement counts for each of its tables, in full, so that sums over tables say more than there was. <other>: tables without room of their own, and statements whose tables were forgotten for want of room (see dbutil.track_room()). Only of statements that you may see';
GRANT SELECT ON dbutil.service_tables TO PUBLIC;

-- track: sampled waits

CREATE FUNCTION dbutil.waits(
	OUT service text, OUT dbid oid, OUT userid oid, OUT queryid bigint,
	OUT event_type text, OUT event text, OUT samples bigint, OUT sampled_time double precision,
	OUT first_seen timestamp with time zone, OUT last_seen timestamp with time zone)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_waits';
COMMENT ON FUNCTION dbutil.waits() IS
	'what statements were seen waiting for, since the last reset, one row per service, database, role, queryid and wait event; event_type CPU: not waiting. samples: how often a tick of dbutil.track_waits_interval saw it, sampled_time: the time that these stand for (milliseconds); parallel workers count for their statement. queryid NULL: none was in progress (parse analysis, idle in transaction), or it is of another role and you may not read all statistics. Idle sessions and events of type Activity are left out. Error: 55000 without preload';

CREATE VIEW dbutil.waits AS
	SELECT w.service, d.datname AS database_name, r.rolname AS username, w.queryid,
		   w.event_type, w.event, w.samples, w.sampled_time, w.first_seen, w.last_seen
	FROM dbutil.waits() AS w
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) w.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) w.userid;
COMMENT ON VIEW dbutil.waits IS
	'sampled waits per service, database, role, queryid and event; see the function of the same name for units and rights';
GRANT SELECT ON dbutil.waits TO PUBLIC;

CREATE FUNCTION dbutil.reset_waits() RETURNS bigint
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_reset_waits';
REVOKE EXECUTE ON FUNCTION dbutil.reset_waits() FROM PUBLIC;
COMMENT ON FUNCTION dbutil.reset_waits() IS
	'forget all of dbutil.waits and its losses; returns the samples that it held. Error: 55000 without preload';
-- ---------- plancache: the transparent plan cache ----------

CREATE FUNCTION dbutil.plan_cache_entries(
	OUT queryid bigint, OUT query text, OUT userid oid, OUT level text, OUT state text,
	OUT reason text, OUT params integer, OUT bytes bigint, OUT calls bigint,
	OUT hits bigint, OUT verified bigint, OUT planning_us double precision,
	OUT saved_us double precision, OUT generic_cost double precision,
	OUT custom_cost double precision, OUT stored_exec_us double precision,
	OUT custom_exec_us double precision, OUT relations regclass[],
	OUT created timestamptz, OUT last_used timestamptz)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 100
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache';
COMMENT ON FUNCTION dbutil.plan_cache_entries() IS
	'the entries of this session''s plan cache, the most recently used first; read it through the view dbutil.plan_cache';

CREATE VIEW dbutil.plan_cache AS
	SELECT e.queryid, e.query, pg_catalog.pg_get_userbyid(e.userid) AS username,
		   e.level, e.state, e.reason, e.params, e.bytes, e.calls, e.hits, e.verified,
		   e.planning_us, e.saved_us, e.generic_cost, e.custom_cost, e.stored_exec_us,
		   e.custom_exec_us, e.relations,
		   e.created, e.last_used
	FROM dbutil.plan_cache_entries() AS e;
COMMENT ON VIEW dbutil.plan_cache IS
	'this session''s cached plans and verdicts: level generic (literals shown as $n, params of them) or exact (literals part of the key); state serving | exact only (verdict: no plan for all literals, reason says why) | refused (verdict: no plan is kept) | stale; bytes of memory; calls that found the entry, hits served, verified hits that were planned to compare costs; planning_us one planning, saved_us planning time spared, both microseconds; costs as the planner estimates them; stored_exec_us and custom_exec_us the mean execution times in microseconds of the stored plan and of plans made afresh for the same statement; relations it depends on. Statements of other roles show no text without pg_read_all_stats';
GRANT SELECT ON dbutil.plan_cache TO PUBLIC;

CREATE FUNCTION dbutil.plan_cache_counters(
	OUT kind text, OUT event text, OUT total bigint, OUT all_sessions bigint,
	OUT description text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 50
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_stats';
COMMENT ON FUNCTION dbutil.plan_cache_counters() IS
	'counters of plan caches; read them through the view dbutil.plan_cache_stats';

CREATE VIEW dbutil.plan_cache_stats AS
	SELECT c.kind, c.event, c.total, c.all_sessions, c.description
	FROM dbutil.plan_cache_counters() AS c;
COMMENT ON VIEW dbutil.plan_cache_stats IS
	'what plan caches did, by kind (hit, miss, refusal, exact_only, upkeep, time; now: as it stands) and event: total in this session since it began or was reset, all_sessions since the server started, those that ended included, less what was reset; without preload this session alone. description says what is counted';
GRANT SELECT ON dbutil.plan_cache_stats TO PUBLIC;

CREATE FUNCTION dbutil.plan_cache_reset(all_backends boolean DEFAULT false) RETURNS integer
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_reset';
COMMENT ON FUNCTION dbutil.plan_cache_reset(boolean) IS
	'forgets this session''s cached plans and counters; returns how many entries there were. Plans in use live on for their statements. all_backends: every other session forgets its plans, not its counters, before its next statement; that needs preload (55000) and a member of pg_signal_backend (42501)';

CREATE FUNCTION dbutil.plan_cache_forget(relation regclass) RETURNS integer
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_forget';
COMMENT ON FUNCTION dbutil.plan_cache_forget(regclass) IS
	'forgets the entries of this session''s plan cache that depend on a relation; returns how many there were';

CREATE FUNCTION dbutil.plan_cache_pin(queryid bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_pin';
COMMENT ON FUNCTION dbutil.plan_cache_pin(bigint) IS
	'lets every session of this database serve a statement''s plan for any literals from its first call on, as plan_cache = force would, whatever it costs, where the plan cache is not off; returns what the statement was before: none, pinned or banned. Until the server stops. Errors: 22023 for 0, 54000 when 256 statements are pinned or banned, 55000 without preload';
REVOKE EXECUTE ON FUNCTION dbutil.plan_cache_pin(bigint) FROM PUBLIC;

CREATE FUNCTION dbutil.plan_cache_ban(queryid bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_ban';
COMMENT ON FUNCTION dbutil.plan_cache_ban(bigint) IS
	'lets no session of this database serve a stored plan of a statement; returns what the statement was before: none, pinned or banned. Until the server stops. Errors as of dbutil.plan_cache_pin()';
REVOKE EXECUTE ON FUNCTION dbutil.plan_cache_ban(bigint) FROM PUBLIC;

CREATE FUNCTION dbutil.plan_cache_unmark(queryid bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_unmark';
COMMENT ON FUNCTION dbutil.plan_cache_unmark(bigint) IS
	'takes a pin or a ban away; returns what the statement was before: none, pinned or banned. Errors: 22023 for 0, 55000 without preload';
REVOKE EXECUTE ON FUNCTION dbutil.plan_cache_unmark(bigint) FROM PUBLIC;

CREATE FUNCTION dbutil.plan_cache_why(
	query text,
	OUT decision text, OUT level text, OUT params integer, OUT reason text, OUT explanation text,
	OUT literals text[])
	RETURNS record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_why';
COMMENT ON FUNCTION dbutil.plan_cache_why(text) IS
	'what the plan cache would do with a statement sent now by this session: decision hit | not stored yet | refused; level generic (params: how many literals are lifted, literals: which, as $1, $2, ...) or exact; reason as named in dbutil.plan_cache_stats, with its explanation. With dbutil.plan_cache = off the answer is that of auto. Does not run or plan the statement. Errors: whatever parsing it raises; 42601 for several statements';

-- prepared: statements prepared by name, for all sessions of the database

-- Written by the functions below, which need no right on it; read by nobody,
-- as whose text may be seen is settled by dbutil.prepared_statements().
CREATE TABLE dbutil.prepared_definitions (
	service text COLLATE "C" NOT NULL CHECK (octet_length(service) < 64),
	name text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 63),
	owner text COLLATE "C" NOT NULL,
	definition_id bigint NOT NULL,
	statement text NOT NULL,
	parameter_names text[],
	parameter_types regtype[] NOT NULL,
	prepared_at timestamp with time zone NOT NULL,
	PRIMARY KEY (service, name));
REVOKE ALL ON dbutil.prepared_definitions FROM PUBLIC;
COMMENT ON TABLE dbutil.prepared_definitions IS
	'what dbutil.prepare_statement() has prepared; see the view dbutil.prepared_statements. service is empty for none; owner is the name of a role, so that a dump restores it. Not to be written by hand: who can write here can have any role execute any text. Dumped by pg_dump';
SELECT pg_catalog.pg_extension_config_dump('dbutil.prepared_definitions', '');

CREATE FUNCTION dbutil.prepared_definitions_changed() RETURNS trigger
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_prepared_definitions_changed';
REVOKE EXECUTE ON FUNCTION dbutil.prepared_definitions_changed() FROM PUBLIC;
COMMENT ON FUNCTION dbutil.prepared_definitions_changed() IS
	'trigger: has all sessions look up prepared statements anew when SQL has written dbutil.prepared_definitions, as the restore of a dump does';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON dbutil.prepared_definitions
	FOR EACH STATEMENT EXECUTE FUNCTION dbutil.prepared_definitions_changed();
-- also where replication writes
ALTER TABLE dbutil.prepared_definitions ENABLE ALWAYS TRIGGER changed;

CREATE FUNCTION dbutil.prepare_statement(name text, statement text,
	parameter_types regtype[] DEFAULT NULL, service text DEFAULT NULL, replace boolean DEFAULT false)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_prepare_statement';
COMMENT ON FUNCTION dbutil.prepare_statement(text, text, regtype[], text, boolean) IS
	'prepare one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES statement under a name, for all sessions of this database from the moment that the transaction commits; the current role owns it. Parameters are $1, $2, ... or :name (then all are, numbered as they first appear; in a subscript write (:name)). parameter_types: their types, NULL for one to be inferred. service: executed by sessions of that service only, and unique in it; NULL: by all others. replace: put it in place of the one of that name, which keeps its owner if that role exists, and loses its metrics. Names resolve by the search_path of who executes it. Errors: 42P05 the name is taken, 42501 it is another role''s, 42601 syntax, no or several statements, 0A000 a statement without a plan, 42P18 a type that cannot be inferred, 22023 bad argument or $n mixed with :name, 42622 name too long, 22004 NULL, 25006 read-only transaction, and those of its analysis';

CREATE FUNCTION dbutil.deallocate_statement(name text, service text DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_deallocate_statement';
COMMENT ON FUNCTION dbutil.deallocate_statement(text, text) IS
	'remove the prepared statement of that name and service (NULL: of none), from the moment that the transaction commits. Errors: 26000 there is none, 42501 it is another role''s, 22023 and 22004 bad argument, 25006 read-only transaction';

CREATE FUNCTION dbutil.execute_prepared_statement(name text, VARIADIC params "any")
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_execute_prepared_statement';
COMMENT ON FUNCTION dbutil.execute_prepared_statement(text, "any") IS
	'execute a prepared statement with the caller''s rights: the one of that name of the session''s service, else of none, that the role may execute, as its own, one of a role whose privileges it has, or one of a superuser; a superuser executes superusers'' statements only. params: its values in order, literals read as the parameter''s type, others converted as for assignment. List the columns: FROM dbutil.execute_prepared_statement(...) AS (id int, ...), in number and types as they are returned; a statement that returns no rows gives one (rows bigint), how many it processed. Errors: 26000 there is none, 42501 not to be executed by this role, 22023 wrong number of values, 42804 a value or the list does not fit, 22004 NULL as name, and those of the statement';

CREATE FUNCTION dbutil.execute_prepared_statement(name text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_execute_prepared_statement';
COMMENT ON FUNCTION dbutil.execute_prepared_statement(text) IS
	'execute a prepared statement without parameters; see execute_prepared_statement(text, VARIADIC "any")';

CREATE FUNCTION dbutil.execute_prepared_statement_json(name text, params jsonb DEFAULT '{}')
	RETURNS SETOF jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_execute_prepared_statement_json';
COMMENT ON FUNCTION dbutil.execute_prepared_statement_json(text, jsonb) IS
	'execute a prepared statement as dbutil.execute_prepared_statement() does; each row comes as an object with its columns, a statement that returns no rows gives {"rows": how many it processed}. params: an object with a value for each :name, or an array of values for $1, $2, ...; they are read as the parameters'' types. Errors: as there, and 42P02 a parameter without value, 22023 a value without parameter, 42701 two columns of a name';

CREATE FUNCTION dbutil.prepared_statements(
	OUT service text, OUT name text, OUT owner text, OUT statement text,
	OUT parameter_names text[], OUT parameter_types regtype[], OUT prepared_at timestamp with time zone,
	OUT may_execute boolean, OUT may_change boolean, OUT definition_id bigint,
	OUT calls bigint, OUT errors bigint, OUT rows bigint,
	OUT total_exec_time double precision, OUT min_exec_time double precision,
	OUT max_exec_time double precision, OUT mean_exec_time double precision,
	OUT p50_exec_time double precision, OUT p95_exec_time double precision,
	OUT p99_exec_time double precision,
	OUT generic_plans bigint, OUT custom_plans bigint, OUT backends bigint,
	OUT stats_since timestamp with time zone)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_prepared_statements';
COMMENT ON FUNCTION dbutil.prepared_statements() IS
	'the prepared statements of this database: service (NULL: none), name, owner, text, parameters; may the current role execute, may it replace and deallocate. Then, since stats_since, executions that came to their end (calls), failed ones, rows, execution times with planning in milliseconds (percentiles within 6.25 % from 1 us on), plans taken that were generic and custom, and backends that keep a plan; all NULL without preload. A role that may neither execute nor change a statement sees its text only as a member of pg_read_all_stats';

CREATE VIEW dbutil.prepared_statements AS
	SELECT p.service, p.name, p.owner, p.statement, p.parameter_names, p.parameter_types,
		   p.prepared_at, p.may_execute, p.may_change,
		   p.calls, p.errors, p.rows, p.total_exec_time, p.min_exec_time, p.max_exec_time,
		   p.mean_exec_time, p.p50_exec_time, p.p95_exec_time, p.p99_exec_time,
		   p.generic_plans, p.custom_plans, p.backends, p.stats_since
	FROM dbutil.prepared_statements() AS p;
COMMENT ON VIEW dbutil.prepared_statements IS
	'statements prepared by name with their owners and metrics, one row a statement; see the function of the same name for units and rights';
GRANT SELECT ON dbutil.prepared_statements TO PUBLIC;

-- bulk: insert, update and delete of many rows in one call

CREATE TYPE dbutil.bulk_result AS (
	job text, op text, path text, path_reason text,
	rows_in bigint, inserted bigint, updated bigint, unchanged bigint, deleted bigint,
	conflicts bigint, missing bigint, suppressed bigint, rejected bigint,
	chunks bigint, retries bigint, elapsed_ms double precision, wal_bytes bigint,
	throttled_ms double precision, first_error_ord bigint, first_sqlstate text,
	first_message text, complete boolean);
COMMENT ON TYPE dbutil.bulk_result IS
	'what a bulk call did to the rows given: rows_in = inserted + updated + unchanged + deleted + conflicts + missing + suppressed + rejected. conflicts: kept out by a row of the table or of the input with the same key; suppressed: kept out silently by a trigger, rule or policy; chunks: slices written; elapsed_ms, throttled_ms in milliseconds; wal_bytes: written by this session meanwhile. rejected: told in dbutil.bulk_rejects under job, which is NULL where no row can be rejected; first_*: of the first rejected row, or of what would fail a dry run, which says complete = false then';

-- Written by bulk calls, which need no right on it; read through the view.
CREATE TABLE dbutil.bulk_reject_rows (
	job text COLLATE "C" NOT NULL,
	chunk bigint NOT NULL,
	ord bigint NOT NULL,
	sqlstate text NOT NULL,
	constraint_name text,
	column_name text,
	message text NOT NULL,
	detail text,
	row_data jsonb NOT NULL,
	owner text COLLATE "C" NOT NULL,
	target text NOT NULL,
	rejected_at timestamp with time zone NOT NULL);
REVOKE ALL ON dbutil.bulk_reject_rows FROM PUBLIC;
CREATE INDEX bulk_reject_rows_job ON dbutil.bulk_reject_rows (job, ord);
ALTER TABLE dbutil.bulk_reject_rows REPLICA IDENTITY FULL;
COMMENT ON TABLE dbutil.bulk_reject_rows IS
	'rows that bulk calls rejected; see the view dbutil.bulk_rejects. owner is the name of the role that called. Not dumped by pg_dump';

CREATE VIEW dbutil.bulk_rejects WITH (security_barrier) AS
	SELECT r.job, r.chunk, r.ord, r.sqlstate, r.constraint_name, r.column_name, r.message, r.detail,
		   r.row_data, r.target, r.rejected_at
	FROM dbutil.bulk_reject_rows AS r
	WHERE EXISTS (SELECT FROM pg_catalog.pg_roles AS o
				  WHERE o.rolname::text = r.owner AND pg_catalog.pg_has_role(o.oid, 'USAGE'));
COMMENT ON VIEW dbutil.bulk_rejects IS
	'rows that bulk calls with on_error, on_conflict or missing => reject did not write, one row each, to who called and to roles that have his privileges. job: as in the call''s result; ord: place of the row in the input, from 1; chunk: slice it came up in; sqlstate, constraint_name, column_name, message, detail: of the error; row_data: the row as given if it could not be read, else as it would have been written; rejected_at: when. A call that fails takes its rejects back. dbutil.bulk_forget() removes them';
GRANT SELECT ON dbutil.bulk_rejects TO PUBLIC;

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows anyarray,
	columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error',
	conflict_columns name[] DEFAULT NULL, conflict_constraint name DEFAULT NULL,
	update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, anyarray, name[], text, name[], name, name[], text, text, bigint, integer, boolean, regclass) IS
	'insert or upsert rows in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: an array of the tables row type or another composite type (fields matched by name), record[] (by position) or, with one column named, its values. columns: those to write, others in the rows are ignored. on_conflict: error | nothing | update | update_if_changed | reject (as error, and such a row is rejected), judged by conflict_columns or conflict_constraint, else by the primary key (nothing alone: by every unique index). update_columns: what an update sets, else all but the key. duplicates of that key within the rows: error (21000, unless on_conflict is error) | first | last. on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only, judged by the key; neither other constraints nor triggers are tried. Errors: those of INSERT, and 22004 a row or argument is NULL, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 21000 duplicate key, 42704 no key, 0A000 rows that would update different columns where one statement is a must and chunk_rows is not given';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows jsonb,
	columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error',
	conflict_columns name[] DEFAULT NULL, conflict_constraint name DEFAULT NULL,
	update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, jsonb, name[], text, name[], name, name[], text, text, bigint, integer, boolean, regclass) IS
	'insert or upsert rows in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one). columns: those to write, others in the rows are ignored. on_conflict: error | nothing | update | update_if_changed | reject (as error, and such a row is rejected), judged by conflict_columns or conflict_constraint, else by the primary key (nothing alone: by every unique index). update_columns: what an update sets, else all but the key. duplicates of that key within the rows: error (21000, unless on_conflict is error) | first | last. on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only, judged by the key; neither other constraints nor triggers are tried. Errors: those of INSERT, and 22004 a row or argument is NULL, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 21000 duplicate key, 42704 no key, 0A000 rows that would update different columns where one statement is a must and chunk_rows is not given';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows json,
	columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error',
	conflict_columns name[] DEFAULT NULL, conflict_constraint name DEFAULT NULL,
	update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, json, name[], text, name[], name, name[], text, text, bigint, integer, boolean, regclass) IS
	'insert or upsert rows in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one). columns: those to write, others in the rows are ignored. on_conflict: error | nothing | update | update_if_changed | reject (as error, and such a row is rejected), judged by conflict_columns or conflict_constraint, else by the primary key (nothing alone: by every unique index). update_columns: what an update sets, else all but the key. duplicates of that key within the rows: error (21000, unless on_conflict is error) | first | last. on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only, judged by the key; neither other constraints nor triggers are tried. Errors: those of INSERT, and 22004 a row or argument is NULL, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 21000 duplicate key, 42704 no key, 0A000 rows that would update different columns where one statement is a must and chunk_rows is not given';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows text,
	columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error',
	conflict_columns name[] DEFAULT NULL, conflict_constraint name DEFAULT NULL,
	update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, text, name[], text, name[], name, name[], text, text, bigint, integer, boolean, regclass) IS
	'insert or upsert rows in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one), as text. columns: those to write, others in the rows are ignored. on_conflict: error | nothing | update | update_if_changed | reject (as error, and such a row is rejected), judged by conflict_columns or conflict_constraint, else by the primary key (nothing alone: by every unique index). update_columns: what an update sets, else all but the key. duplicates of that key within the rows: error (21000, unless on_conflict is error) | first | last. on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only, judged by the key; neither other constraints nor triggers are tried. Errors: those of INSERT, and 22004 a row or argument is NULL, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 21000 duplicate key, 42704 no key, 0A000 rows that would update different columns where one statement is a must and chunk_rows is not given';

CREATE FUNCTION dbutil.bulk_insert_columns(target regclass, columns name[], options jsonb, VARIADIC arrays "any")
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert_columns';
COMMENT ON FUNCTION dbutil.bulk_insert_columns(regclass, name[], jsonb, "any") IS
	'as bulk_insert(), with rows as one array for each of the columns named, all of one length. options: parameters of bulk_insert() by name, {} for none. Errors: those of bulk_insert(), and 2202E arrays of several dimensions or differing length, 42804 no array';

CREATE FUNCTION dbutil.bulk_insert_query(target regclass, source text, options jsonb DEFAULT '{}')
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert_query';
COMMENT ON FUNCTION dbutil.bulk_insert_query(regclass, text, jsonb) IS
	'as bulk_insert(), with the rows of a query, columns matched by name, read by and by through a cursor. source: SELECT, VALUES, TABLE or a statement with RETURNING; it runs with the caller''s rights and search_path. options: parameters of bulk_insert() by name. Errors: those of bulk_insert() and of the query, and 0A000 it is not one query that returns rows';

CREATE FUNCTION dbutil.bulk_insert_data(target regclass, data bytea, format text DEFAULT 'binary', options jsonb DEFAULT '{}')
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert_data';
COMMENT ON FUNCTION dbutil.bulk_insert_data(regclass, bytea, text, jsonb) IS
	'as bulk_insert(), with data as COPY would read it in the format binary | text | csv (with their defaults; no header line) in the client encoding. options: parameters of bulk_insert() by name; columns are those of the data, in its order, else all that can be written. Rows of binary data cannot be rejected for what they hold. Errors: those of bulk_insert() and of COPY (22P04 bad data), and 22023 bad format';

CREATE FUNCTION dbutil.bulk_insert_returning(rowtype anyelement, rows jsonb, options jsonb DEFAULT '{}')
	RETURNS TABLE (ord bigint, action text, result_row anyelement, sqlstate text, message text)
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert_returning';
COMMENT ON FUNCTION dbutil.bulk_insert_returning(anyelement, jsonb, jsonb) IS
	'as bulk_insert() of JSON rows, and tells in the order of the input what became of each row. rowtype: NULL::mytable, which names the target. options: parameters of bulk_insert() by name. action: inserted | updated | unchanged | conflict | suppressed | rejected; where triggers keep some rows and conflicts others, which is which among those is not known. An upsert of a target that cannot tell (see bulk_result) says inserted for both. result_row: the row as RETURNING gives it, which takes the right to read it. sqlstate, message: of rejected rows, which dbutil.bulk_rejects has too. Nothing but rejected rows is returned by a dry run. Errors: those of bulk_insert(), and 42804 no row type of a table, 0A000 a rule';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows anyarray,
	key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, nulls text DEFAULT 'set',
	skip_unchanged boolean DEFAULT false, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, anyarray, name[], name[], text, boolean, text, text, text, bigint, integer, boolean, regclass) IS
	'update rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: an array of the tables row type or another composite type (fields matched by name) or record[] (by position). key: else the primary key; values are compared as given, never rounded or cut to the column''s type. set_columns: those to set, else all in the rows but the key. nulls: set | keep (a NULL leaves the column as it is). skip_unchanged: leave rows alone that are the same byte for byte. missing: ignore | error (P0002) | reject | insert (key and set_columns, the rest by default). locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count rows given: a key that finds several rows counts once. Errors: those of UPDATE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows jsonb,
	key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, nulls text DEFAULT 'set',
	skip_unchanged boolean DEFAULT false, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, jsonb, name[], name[], text, boolean, text, text, text, bigint, integer, boolean, regclass) IS
	'update rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one). key: else the primary key; values are compared as given, never rounded or cut to the column''s type. set_columns: those to set, else all in the rows but the key. nulls: set | keep (a NULL leaves the column as it is). skip_unchanged: leave rows alone that are the same byte for byte. missing: ignore | error (P0002) | reject | insert (key and set_columns, the rest by default). locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count rows given: a key that finds several rows counts once. Errors: those of UPDATE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows json,
	key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, nulls text DEFAULT 'set',
	skip_unchanged boolean DEFAULT false, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, json, name[], name[], text, boolean, text, text, text, bigint, integer, boolean, regclass) IS
	'update rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one). key: else the primary key; values are compared as given, never rounded or cut to the column''s type. set_columns: those to set, else all in the rows but the key. nulls: set | keep (a NULL leaves the column as it is). skip_unchanged: leave rows alone that are the same byte for byte. missing: ignore | error (P0002) | reject | insert (key and set_columns, the rest by default). locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count rows given: a key that finds several rows counts once. Errors: those of UPDATE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows text,
	key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, nulls text DEFAULT 'set',
	skip_unchanged boolean DEFAULT false, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, text, name[], name[], text, boolean, text, text, text, bigint, integer, boolean, regclass) IS
	'update rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one), as text. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. set_columns: those to set, else all in the rows but the key. nulls: set | keep (a NULL leaves the column as it is). skip_unchanged: leave rows alone that are the same byte for byte. missing: ignore | error (P0002) | reject | insert (key and set_columns, the rest by default). locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count rows given: a key that finds several rows counts once. Errors: those of UPDATE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys anyarray,
	key name[] DEFAULT NULL, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, anyarray, name[], text, text, text, bigint, integer, boolean, regclass) IS
	'delete rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. keys: an array of values of a one-column key, of rows that have the key columns by name, or record[] by position. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. missing: ignore | error (P0002) | reject. locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count keys given. Errors: those of DELETE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys jsonb,
	key name[] DEFAULT NULL, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, jsonb, name[], text, text, text, bigint, integer, boolean, regclass) IS
	'delete rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. keys: a JSON array of values of a one-column key, or of objects with the key columns. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. missing: ignore | error (P0002) | reject. locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count keys given. Errors: those of DELETE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys json,
	key name[] DEFAULT NULL, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, json, name[], text, text, text, bigint, integer, boolean, regclass) IS
	'delete rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. keys: a JSON array of values of a one-column key, or of objects with the key columns. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. missing: ignore | error (P0002) | reject. locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count keys given. Errors: those of DELETE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys text,
	key name[] DEFAULT NULL, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, text, name[], text, text, text, bigint, integer, boolean, regclass) IS
	'delete rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. keys: a JSON array of values of a one-column key, or of objects with the key columns, as text. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. missing: ignore | error (P0002) | reject. locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count keys given. Errors: those of DELETE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_explain(op text, target regclass, options jsonb DEFAULT '{}')
	RETURNS jsonb
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_explain';
COMMENT ON FUNCTION dbutil.bulk_explain(text, regclass, jsonb) IS
	'how a bulk call would run: route and reason, chunk_rows (null: all rows in one statement), index that finds rows by key, and the statement for rows that supply all columns (t is the target, s the rows given). op: insert | update | delete; options: parameters of that function by name. Nothing is run, and no privilege on the target is needed. Errors: 22023 bad op or option, 42703 unknown column, 42704 no key';

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

-- explain: the plan of one statement, findings over plans

CREATE FUNCTION dbutil.analyze_query(query text, params jsonb DEFAULT NULL,
	run boolean DEFAULT false, timeout interval DEFAULT '30 seconds')
	RETURNS jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_analyze_query';
COMMENT ON FUNCTION dbutil.analyze_query(text, jsonb, boolean, interval) IS
	'plan and findings of one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES statement: {query, plan, totals, findings}, with the caller''s rights and search_path. params: a JSON array for $1, $2, ... or an object for :name. run => false only plans; run => true executes the statement for at most timeout and always rolls it back. totals: times in milliseconds, blocks of 8 kB; findings: as in dbutil.findings(), worst first. Errors: 42601 not exactly one statement, 0A000 another kind of statement or one whose effects might outlive the rollback, 42P02 a parameter without value, 22023 params that do not fit, 57014 timeout';

CREATE FUNCTION dbutil.findings(query text, params jsonb DEFAULT NULL,
	run boolean DEFAULT false, timeout interval DEFAULT '30 seconds',
	OUT rule text, OUT severity text, OUT node_path text, OUT node text,
	OUT relation text, OUT evidence jsonb, OUT advice text,
	OUT suggested_sql text, OUT proven boolean)
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_findings';
COMMENT ON FUNCTION dbutil.findings(text, jsonb, boolean, interval) IS
	'findings of dbutil.analyze_query() as rows, worst first (severity critical | warn | info). node_path leads to the node: plan #> node_path::text[]; node is NULL where the statement as a whole is meant. evidence: the figures that made the rule fire. proven: true where suggested_sql is an index that the planner would use (asked through hypopg), false where it was not asked, as hypopg is not installed. Arguments and errors as there';

CREATE FUNCTION dbutil.explain_findings(plan jsonb,
	OUT rule text, OUT severity text, OUT node_path text, OUT node text,
	OUT relation text, OUT evidence jsonb, OUT advice text,
	OUT suggested_sql text, OUT proven boolean)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_explain_findings_jsonb';
COMMENT ON FUNCTION dbutil.explain_findings(jsonb) IS
	'findings over any EXPLAIN (FORMAT JSON) output, also of another server (PostgreSQL 13 to 18), as rows like those of dbutil.findings(). Error: 22023 for JSON that is no plan';

CREATE FUNCTION dbutil.explain_findings(plan json,
	OUT rule text, OUT severity text, OUT node_path text, OUT node text,
	OUT relation text, OUT evidence jsonb, OUT advice text,
	OUT suggested_sql text, OUT proven boolean)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_explain_findings_text';
COMMENT ON FUNCTION dbutil.explain_findings(json) IS
	'findings over any EXPLAIN (FORMAT JSON) output; see explain_findings(jsonb)';

CREATE FUNCTION dbutil.explain_findings(plan text,
	OUT rule text, OUT severity text, OUT node_path text, OUT node text,
	OUT relation text, OUT evidence jsonb, OUT advice text,
	OUT suggested_sql text, OUT proven boolean)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_explain_findings_text';
COMMENT ON FUNCTION dbutil.explain_findings(text) IS
	'findings over the text that EXPLAIN (FORMAT JSON) prints; see explain_findings(jsonb). Error: 22P02 for a text that is no JSON';

-- explain: index advice

CREATE FUNCTION dbutil.index_advice(queries text[],
	OUT relation text, OUT suggested_sql text, OUT proven boolean,
	OUT cost_before double precision, OUT cost_after double precision,
	OUT gain_percent double precision, OUT estimated_size bigint,
	OUT statements integer[], OUT reason text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_index_advice';
COMMENT ON FUNCTION dbutil.index_advice(text[]) IS
	'indexes for a workload, each statement weighing the same, the one that gains most first; creates none. With hypopg in the database each is proven: the planner would use it, and the planned cost of the whole workload falls from cost_before to cost_after, given those above it. Without hypopg proven is false, costs are NULL, and only whole tables read for few of their rows count. estimated_size in bytes; statements: positions (from 1) of those that gain by it. Parameters may stand without values from PostgreSQL 16 on; a statement that is left out has a row whose reason says why. Errors: 42601 not exactly one statement, 0A000 another kind of statement, 22004 a null statement';

CREATE FUNCTION dbutil.index_advice_statements(worst integer DEFAULT 50,
	OUT relation text, OUT suggested_sql text, OUT proven boolean,
	OUT cost_before double precision, OUT cost_after double precision,
	OUT gain_percent double precision, OUT estimated_size bigint,
	OUT queryids bigint[], OUT reason text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_index_advice_statements';
COMMENT ON FUNCTION dbutil.index_advice_statements(integer) IS
	'index advice for the statements of dbutil.statements that took the most time in this database, each weighed by its calls; see index_advice(text[]). Their literals are parameters, so all that have any are left out before PostgreSQL 16, as are those that cannot be parsed in this search_path: each has a row whose reason says why. Errors: 22023 worst below 1, 55000 without preload';

-- explain: two plans side by side

CREATE FUNCTION dbutil.compare_plans(a jsonb, b jsonb,
	OUT change text, OUT node_a text, OUT node_b text, OUT differences text,
	OUT rows_expected_a double precision, OUT rows_expected_b double precision,
	OUT rows_a double precision, OUT rows_b double precision,
	OUT cost_a double precision, OUT cost_b double precision,
	OUT ms_a double precision, OUT ms_b double precision,
	OUT path_a text, OUT path_b text)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_compare_plans_jsonb';
COMMENT ON FUNCTION dbutil.compare_plans(jsonb, jsonb) IS
	'what changed from plan a to plan b, each any EXPLAIN (FORMAT JSON) output (PostgreSQL 13 to 18), a row a node in the order of b. change: same, changed (differences says in what: node type, index, join order, ...), added or removed; figures and literals that differ are no change. Nodes are the same that read the same tables, so that an inserted Sort, Memoize or Gather is one added node. rows: of all loops; cost and ms (milliseconds that the statement waited): with all nodes below; NULL where not told; path leads to the node: plan #> path::text[]. Error: 22023 for JSON that is no plan';

CREATE FUNCTION dbutil.compare_plans(a json, b json,
	OUT change text, OUT node_a text, OUT node_b text, OUT differences text,
	OUT rows_expected_a double precision, OUT rows_expected_b double precision,
	OUT rows_a double precision, OUT rows_b double precision,
	OUT cost_a double precision, OUT cost_b double precision,
	OUT ms_a double precision, OUT ms_b double precision,
	OUT path_a text, OUT path_b text)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_compare_plans_text';
COMMENT ON FUNCTION dbutil.compare_plans(json, json) IS
	'what changed from plan a to plan b; see compare_plans(jsonb, jsonb)';

CREATE FUNCTION dbutil.compare_plans(a text, b text,
	OUT change text, OUT node_a text, OUT node_b text, OUT differences text,
	OUT rows_expected_a double precision, OUT rows_expected_b double precision,
	OUT rows_a double precision, OUT rows_b double precision,
	OUT cost_a double precision, OUT cost_b double precision,
	OUT ms_a double precision, OUT ms_b double precision,
	OUT path_a text, OUT path_b text)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_compare_plans_text';
COMMENT ON FUNCTION dbutil.compare_plans(text, text) IS
	'what changed between the texts that EXPLAIN (FORMAT JSON) prints; see compare_plans(jsonb, jsonb). Error: 22P02 for a text that is no JSON';

-- explain: findings over counted statements

CREATE FUNCTION dbutil.statement_findings(worst integer DEFAULT 20,
	OUT queryid bigint, OUT query text, OUT calls bigint, OUT total_exec_time double precision,
	OUT rule text, OUT severity text, OUT node_path text, OUT node text,
	OUT relation text, OUT evidence jsonb, OUT advice text,
	OUT suggested_sql text, OUT proven boolean)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_statement_findings';
COMMENT ON FUNCTION dbutil.statement_findings(integer) IS
	'findings over the statements of dbutil.statements that took the most time in this database (total_exec_time in milliseconds), the worst statement first; the columns from rule on are those of dbutil.findings(), and the rule plan_regression comes first where the statement got a slower plan (dbutil.plan_regressions). Statements are planned with the caller''s rights and search_path, without values for their parameters, and not executed. One that cannot be planned has a row whose rule is NULL and whose advice says why. Errors: 22023 worst below 1, 55000 without preload';

-- explain: a plan as text

CREATE FUNCTION dbutil.plan_tree(query text, params jsonb DEFAULT NULL,
	run boolean DEFAULT false, timeout interval DEFAULT '30 seconds')
	RETURNS SETOF text
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_plan_tree';
COMMENT ON FUNCTION dbutil.plan_tree(text, jsonb, boolean, interval) IS
	'the plan of one statement as text to read, a row a line: for each node the share that it alone has of the time (of the cost without run) as a bar, in percent and in milliseconds (units of cost), rows of all loops, how many the planner expected, the tree, conditions, and findings at their node. Arguments and errors as in dbutil.analyze_query()';

CREATE FUNCTION dbutil.explain_tree(plan jsonb) RETURNS SETOF text
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_explain_tree_jsonb';
COMMENT ON FUNCTION dbutil.explain_tree(jsonb) IS
	'any EXPLAIN (FORMAT JSON) output, also of another server (PostgreSQL 13 to 18), as text to read, like dbutil.plan_tree(). Error: 22023 for JSON that is no plan';

CREATE FUNCTION dbutil.explain_tree(plan json) RETURNS SETOF text
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_explain_tree_text';
COMMENT ON FUNCTION dbutil.explain_tree(json) IS
	'any EXPLAIN (FORMAT JSON) output as text to read; see explain_tree(jsonb)';

CREATE FUNCTION dbutil.explain_tree(plan text) RETURNS SETOF text
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_explain_tree_text';
COMMENT ON FUNCTION dbutil.explain_tree(text) IS
	'the text that EXPLAIN (FORMAT JSON) prints as text to read; see explain_tree(jsonb). Error: 22P02 for a text that is no JSON';

-- health: checks with thresholds, and verdicts
--
-- A check is one row of dbutil.health_checks (its name, level, unit, thresholds,
-- what it says) and one query in dbutil.health_measure_<measured_by>(), which
-- returns a row for each object that the check looked at.  A measure never
-- judges: dbutil.health() compares value with the thresholds that hold for the
-- object.  No row at all means that there was nothing to find; a NULL value
-- means that it cannot be known, and is told as unknown, never as ok.
--
-- To add a check: a RETURN QUERY in one of health_2*_*.sql and health_3*_*.sql,
-- a row in the list below, and a test for its firing and for a near miss.
--
-- Rules for measures: they run with the caller's rights, read no user table, and
-- wait for no lock.  So nothing that opens the relation it is asked about
-- (pg_relation_size, pg_get_expr, pg_get_indexdef, pg_partition_tree): any of
-- them would stand behind an ALTER TABLE.  Columns that not every supported
-- version has are read through to_jsonb(row).

CREATE TYPE dbutil.health_measure AS (
	check_name text,
	object_name text,
	value numeric,
	evidence numeric,
	message text,
	suggested_sql text,
	hidden boolean);
COMMENT ON TYPE dbutil.health_measure IS
	'what one check saw of one object: its value (NULL: cannot be known), how much evidence it rests on (NULL: enough), and whether it is a missing privilege that hides the value';

CREATE TABLE dbutil.health_checks (
	check_name text PRIMARY KEY,
	level text NOT NULL CHECK (level IN ('quick', 'full')),
	measured_by text NOT NULL,
	unit text NOT NULL,
	warn numeric,
	critical numeric,
	lower_is_worse boolean NOT NULL DEFAULT false,
	min_evidence numeric,
	evidence_unit text,
	needs text,
	description text NOT NULL,
	advice text NOT NULL);
COMMENT ON TABLE dbutil.health_checks IS
	'the checks of dbutil.health with their default thresholds in unit (NULL: never; lower_is_worse: it is bad to fall to the threshold), the evidence in evidence_unit below which a check is unknown, and what a role needs to see everything. Part of the extension, not to be changed: your own thresholds go into dbutil.health_settings';
GRANT SELECT ON dbutil.health_checks TO PUBLIC;

-- A pattern that ends in a lone backslash makes LIKE raise an error.
CREATE TABLE dbutil.health_settings (
	check_name text NOT NULL REFERENCES dbutil.health_checks,
	object_pattern text NOT NULL DEFAULT '%' CHECK (object_pattern !~ '(^|[^\\])(\\\\)*\\$'),
	warn numeric CHECK (warn <> 'NaN'),
	critical numeric CHECK (critical <> 'NaN'),
	min_evidence numeric CHECK (min_evidence <> 'NaN'),
	enabled boolean NOT NULL DEFAULT true,
	note text,
	PRIMARY KEY (check_name, object_pattern));
COMMENT ON TABLE dbutil.health_settings IS
	'your own thresholds by check and object. object_pattern is compared with object_name by LIKE (% any text, _ any character, \ escapes); of the patterns that match the longest counts. NULL leaves the default, ''infinity'' (where lower is worse ''-infinity'') never fires, enabled = false leaves the object out. All may read it, its owner and superusers write it; GRANT INSERT, UPDATE, DELETE ON it to let another role. Dumped by pg_dump';
GRANT SELECT ON dbutil.health_settings TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('dbutil.health_settings', '');

CREATE TABLE dbutil.health_silences (
	check_name text NOT NULL REFERENCES dbutil.health_checks,
	object_pattern text NOT NULL DEFAULT '%' CHECK (object_pattern !~ '(^|[^\\])(\\\\)*\\$'),
	silenced_until timestamp with time zone NOT NULL,
	reason text NOT NULL CHECK (reason ~ '\S'),
	PRIMARY KEY (check_name, object_pattern));
COMMENT ON TABLE dbutil.health_silences IS
	'findings that do not count until a date, for a reason: dbutil.health still shows them, with silenced true. object_pattern as in dbutil.health_settings. All may read it, its owner and superusers write it; GRANT INSERT, UPDATE, DELETE ON it to let another role. Dumped by pg_dump';
GRANT SELECT ON dbutil.health_silences TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('dbutil.health_silences', '');

INSERT INTO dbutil.health_checks
	(check_name, level, measured_by, unit, warn, critical, needs, description, advice) VALUES

	-- sessions; objects are database/role/application
	('connections_used', 'quick', 'sessions', '%', 75, 90, 'pg_monitor',
	 'connections in use, of those that ordinary roles may have',
	 'Put a pool before the server, or find out who holds connections: pg_stat_activity and dbutil.services tell.'),
	('idle_in_transaction', 'quick', 'sessions', 's', 900, 1800, 'pg_monitor',
	 'time that a session has been idle in a transaction',
	 'It holds locks and keeps vacuum from cleaning up: end it, and set idle_in_transaction_session_timeout for its role.'),
	('long_query', 'quick', 'sessions', 's', 1800, 3600, 'pg_monitor',
	 'time that a statement has been running',
	 'Look at it with dbutil.analyze_query(); set statement_timeout for its role.'),
	('long_transaction', 'quick', 'sessions', 's', 120, 3600, 'pg_monitor',
	 'time that a transaction has been open',
	 'A long transaction keeps vacuum from cleaning up in all tables: split it, and keep work for others out of it. Dumps are best allowed for by a pattern in dbutil.health_settings.'),
	('lock_wait', 'quick', 'sessions', 's', 60, 120, NULL,
	 'time that a session has been waiting for a lock',
	 'End what blocks it, or wait; set lock_timeout for migrations.'),
	('prepared_transactions', 'quick', 'sessions', 's', 1, 30, NULL,
	 'age of a prepared transaction; objects are database/role/identifier',
	 'Ask the transaction manager, then COMMIT PREPARED or ROLLBACK PREPARED it: until then it holds locks and keeps vacuum from cleaning up.'),
	('xmin_horizon', 'quick', 'sessions', 'transactions', 50000000, 150000000, NULL,
	 'transactions since the oldest snapshot that dead rows are kept for, and who holds it',
	 'End that session or prepared transaction, drop that slot, or see why that standby is so far back: until then VACUUM removes nothing younger.'),

	-- the server and its databases
	('xid_age', 'quick', 'server', '%', 50, 80, NULL,
	 'transaction identifiers used, of those after which the server stops writing; by database',
	 'VACUUM (FREEZE) the tables with the oldest relfrozenxid, and look at xmin_horizon for what holds them back.'),
	('multixact_age', 'quick', 'server', '%', 50, 80, NULL,
	 'multixact identifiers used, of those after which the server stops writing; by database',
	 'VACUUM (FREEZE) the tables with the oldest relminmxid, and look for long transactions that lock rows.'),
	('freeze_overdue', 'quick', 'server', '%', 110, 125, NULL,
	 'age of the oldest table, of the age at which autovacuum must freeze it; by database',
	 'Autovacuum does not keep up with freezing: give it more workers or a higher autovacuum_vacuum_cost_limit, and look at xmin_horizon for what holds it back.'),
	('settings_off', 'quick', 'server', 'count', 1, 1, NULL,
	 'fsync or full_page_writes is off: a crash can destroy the database',
	 'Turn it on again. Only a server that can be thrown away, or for full_page_writes a file system that never tears pages, does without.'),
	('autovacuum_off', 'quick', 'server', 'count', 1, NULL, NULL,
	 'autovacuum or track_counts is off: dead rows pile up and planner statistics grow old',
	 'Turn it on again, and tune single tables by their storage parameters instead.'),
	('checksum_failures', 'quick', 'server', 'count', 1, 1, NULL,
	 'data pages whose checksum was wrong; by database',
	 'Storage is failing, or has been: secure a backup first, then check the disks, find the pages with pg_amcheck and restore them.'),
	('lock_table', 'full', 'configuration', '%', 20, 50, NULL,
	 'room of the lock table in use; when it is full, statements fail',
	 'Find the transaction that locks so many objects in pg_locks (a dump, a statement over all partitions), or raise max_locks_per_transaction.'),
	('deadlocks', 'quick', 'rates', '/min', 5, NULL, NULL,
	 'deadlocks in the current database, of late',
	 'Let all transactions lock rows and tables in the same order; the server log and dbutil.statement_errors (40P01) name the statements.'),
	('rollbacks', 'quick', 'rates', '%', 10, NULL, NULL,
	 'transactions of the current database that were rolled back, of late; unknown below a thousand transactions',
	 'dbutil.statement_errors and dbutil.transactions tell which errors, and of which service.'),
	('temp_files', 'quick', 'rates', 'MB/min', 1024, NULL, NULL,
	 'written to temporary files in the current database, of late',
	 'Look in dbutil.statements for those with most temp_blks_written; give them an index or their role more work_mem.'),
	('connection_churn', 'quick', 'rates', '/min', 600, NULL, NULL,
	 'new sessions of the current database, of late',
	 'A session costs a process and milliseconds: let services hold connections in a pool.'),
	('dbutil_losses', 'quick', 'server', 'count', 1, NULL, NULL,
	 'what dbutil had to drop of its own statistics',
	 'dbutil.status() names the setting to raise.'),

	-- replication and archiving
	('replication_slots', 'quick', 'replication', 'MB', 10240, 51200, NULL,
	 'WAL that a replication slot keeps from being removed',
	 'Bring its consumer back, or drop the slot before the disk is full; max_slot_wal_keep_size sets a limit.'),
	('replication_slots_inactive', 'quick', 'replication', 's', 3600, 86400, NULL,
	 'time that nobody has been connected to a replication slot',
	 'Bring its consumer back, or drop the slot: it keeps WAL, and a logical one dead rows of the catalogs too.'),
	('replication_slots_lost', 'quick', 'replication', 'state', 1, 2, NULL,
	 'a replication slot whose WAL is about to be removed (1) or is gone (2)',
	 'Gone: its consumer must be set up anew; drop the slot. About to be: let the consumer catch up at once, or raise max_slot_wal_keep_size.'),
	('replica_lag', 'quick', 'replication', 'MB', 50, 100, 'pg_monitor',
	 'WAL that a standby or subscriber has still to replay, as seen from here; objects are application names',
	 'Look at the standby''s disks, CPU and network, and at queries there that replay waits for.'),
	('replay_delay', 'quick', 'replication', 's', 5, 30, 'pg_monitor',
	 'time for which, at least, received WAL has been waiting to be replayed on this standby, recovery_min_apply_delay not counted; unknown while that may as well be the time the primary was quiet before',
	 'Look at this server''s disks and CPU, at queries that replay waits for, and at the connection to the primary.'),
	('archiver', 'quick', 'replication', 's', 300, 3600, 'pg_monitor',
	 'time that a finished WAL file has been waiting to be archived',
	 'See the archiver''s messages in the server log: archive_command or archive_library fails or hangs, and WAL piles up until it works.'),

	('archiver_backlog', 'quick', 'replication', 'files', 10, 15, 'pg_monitor',
	 'finished WAL files that wait to be archived',
	 'Archiving is slower than the server writes: see what archive_command takes so long for, and compress or archive several files at a time.'),
	('standby_retry_interval', 'quick', 'replication', 'ms', 5000, NULL, NULL,
	 'after how long a standby looks for WAL again when there was none',
	 'It adds to the time that a failover takes: set wal_retrieve_retry_interval to some 200 ms and reload.'),
	('subscription_errors', 'quick', 'replication', 'count', 1, NULL, NULL,
	 'errors of a subscription of the current database since its statistics were reset',
	 'See the server log for the row or table at fault: until it is mended nothing more is applied. Then reset the statistics.'),

	-- configuration
	('pending_restart', 'full', 'configuration', 'count', 1, NULL, 'pg_monitor',
	 'a changed setting that waits for a restart',
	 'Restart the server at a quiet time, or undo the change: at an unplanned restart it would take effect unseen.'),
	('config_file_errors', 'full', 'configuration', 'count', 1, NULL, 'SELECT on pg_file_settings, pg_hba_file_rules and pg_ident_file_mappings',
	 'a line of a configuration file with an error: after a restart the server might not start, or let nobody in',
	 'Mend the line and reload.'),
	('collation_version_drift', 'full', 'configuration', 'count', 1, NULL, NULL,
	 'a collation whose library has changed its version: indexes on texts may be in the wrong order',
	 'REINDEX what is ordered by it, then refresh the version.'),

	-- tables
	('vacuum_overdue', 'full', 'tables', '%', 200, 1000, NULL,
	 'dead rows of a table with more than 10,000 of them, of the number at which autovacuum starts',
	 'VACUUM it. If autovacuum does not come: is it off, or are all workers busy? If the rows stay: look at xmin_horizon.'),
	('dead_rows', 'full', 'tables', '%', 40, NULL, NULL,
	 'dead rows of a table with more than 10,000 of them, of all its rows; by default autovacuum comes at some 17 %',
	 'VACUUM it, and let autovacuum come sooner: a lower autovacuum_vacuum_scale_factor for this table.'),
	('analyze_overdue', 'full', 'tables', '%', 1000, 5000, NULL,
	 'rows changed since the last ANALYZE of a table with more than 10,000 of them, of the number at which autovacuum analyses, after ten times autovacuum_naptime; by default a table just filled stays below',
	 'ANALYZE it: plans rest on old statistics. If autovacuum does not come, it is off, or all its workers are busy.'),
	('vacuum_passes', 'full', 'tables', 'passes', 2, NULL, 'pg_monitor',
	 'how often a VACUUM that runs now has been through the indexes: more than once if what is dead did not fit in memory',
	 'Raise maintenance_work_mem, or autovacuum_work_mem.'),
	('table_bloat', 'full', 'bloat', 'GB', 1, 5, NULL,
	 'free room, as estimated from statistics, in a table of 1 GB or more of which that is more than 70 %',
	 'Measure it with dbutil.measure_bloat(). If it is so, and the table will not fill again: VACUUM FULL at a quiet time (it locks all out), or pg_repack.'),
	('index_bloat', 'full', 'bloat', 'MB', 100, NULL, NULL,
	 'free room, as estimated from statistics, in a btree index of 100 MB or more of which that is more than 80 %',
	 'Measure it with dbutil.measure_bloat(), then build it anew.'),
	('table_without_primary_key', 'full', 'tables', 'rows', 1, NULL, NULL,
	 'rows updated or deleted, since statistics began, in a table without a primary key; tables that only grow stay below',
	 'Add a primary key: without one rows cannot be told apart, and logical replication cannot update them.'),
	('foreign_key_without_index', 'full', 'tables', 'rows', 0, NULL, NULL,
	 'rows of a table whose foreign key no index supports: each delete or key update in the referenced table reads them all',
	 'Create an index that leads with the referencing columns; leave it if rows of the referenced table are never deleted and their keys never change.'),
	('unvalidated_constraints', 'full', 'tables', 'count', 1, NULL, NULL,
	 'a constraint that existing rows were never checked against',
	 'Mend the rows that break it, then validate it: this takes no lock that stops reads or writes.'),
	('disabled_triggers', 'full', 'tables', 'count', 1, NULL, NULL,
	 'a trigger, or the enforcement of a foreign key, that is disabled',
	 'Enable it. For a foreign key look for rows without a partner first: enabling does not check them.'),

	-- indexes
	('invalid_indexes', 'full', 'indexes', 'MB', 0, NULL, NULL,
	 'an index that is not valid: it costs writes and serves no query',
	 'Build it anew, or drop it.'),
	('duplicate_indexes', 'full', 'indexes', 'MB', 0, NULL, NULL,
	 'an index that does nothing that another one does not',
	 'Drop it.'),
	('unused_indexes', 'full', 'indexes', 'MB', 1, NULL, NULL,
	 'an index that almost no query uses (at most 20 scans) and that guards no constraint',
	 'See first that no standby''s queries and no rare job need it, and that it is not new; then drop it.'),

	-- how services use the database
	('unprepared_repetition', 'full', 'practice', '%', 50, NULL, NULL,
	 'time of a service''s statements that went into planning them; unknown without dbutil.track_planning',
	 'Turn on dbutil.plan_cache for its role, or let it prepare statements.'),
	('row_at_a_time_writes', 'full', 'practice', 'statements', 50, NULL, NULL,
	 'statements in each transaction of a service that writes about one row with each',
	 'Write rows in bulk: dbutil.bulk_insert() and its like take them in one call.'),
	('missing_timeouts', 'full', 'practice', 'count', 1, NULL, NULL,
	 'an enrolled service without a limit on the time for which its sessions may idle in a transaction',
	 'Enrol it with such a limit; see dbutil.enroll_service().'),
	('connection_limits', 'full', 'practice', '%', 101, NULL, NULL,
	 'connections that roles with a connection limit may have together, of those that ordinary roles may have',
	 'Make the pools smaller, or put a pooler before the server: if all fill up at once, some get no connection.'),
	('foreign_batch_size', 'full', 'practice', 'count', 1, NULL, NULL,
	 'a postgres_fdw table that can be written and inserts one row a round trip',
	 'Set batch_size for the table or its server, or updatable ''false'' if nothing writes there.'),

	-- sequences
	('sequence_exhaustion', 'full', 'sequences', '%', 85, 95, 'SELECT or USAGE on the sequence',
	 'values used of a sequence, or of the column it feeds if that is narrower',
	 'Widen the column, then the sequence, before inserts fail; widening a column rewrites its table.');

INSERT INTO dbutil.health_checks
	(check_name, level, measured_by, unit, warn, critical, lower_is_worse, min_evidence, evidence_unit,
	 description, advice) VALUES
	('cache_hit', 'quick', 'server', '%', 98, 90, true, 1000000, 'block reads',
	 'block reads of the current database that shared_buffers served',
	 'Raise shared_buffers if memory allows, or look in dbutil.statements for those with most shared_blks_read.'),
	('requested_checkpoints', 'quick', 'server', '%', 50, NULL, false, 20, 'checkpoints',
	 'checkpoints that were asked for, mostly by WAL that reached max_wal_size, of all since statistics were reset',
	 'Raise max_wal_size until checkpoints come by checkpoint_timeout: they write less then.');
UPDATE dbutil.health_checks SET min_evidence = 35, evidence_unit = 'days of statistics'
WHERE check_name = 'unused_indexes';
UPDATE dbutil.health_checks SET min_evidence = 60, evidence_unit = 'seconds' WHERE measured_by = 'rates';
UPDATE dbutil.health_checks SET min_evidence = 10000, evidence_unit = 'statements'
WHERE check_name IN ('unprepared_repetition', 'row_at_a_time_writes');

-- Sessions.  Without pg_read_all_stats only one's own sessions show what they
-- do; the others are told as unknown.  Locks and snapshots all may see.
CREATE FUNCTION dbutil.health_measure_sessions() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	see_all boolean := pg_has_role('pg_read_all_stats', 'USAGE');
	in_recovery boolean := pg_is_in_recovery();
	free_to_all integer := current_setting('max_connections')::integer
		- current_setting('superuser_reserved_connections')::integer
		- coalesce(current_setting('reserved_connections', true)::integer, 0);	-- from 16 on
	used bigint;
BEGIN
	IF see_all THEN
		SELECT count(*) INTO used FROM pg_stat_activity AS a WHERE a.backend_type = 'client backend';
		RETURN QUERY SELECT 'connections_used', 'server', 100.0 * used / greatest(free_to_all, 1), NULL::numeric,
			format('%s of %s connections are in use', used, free_to_all), NULL::text, false;
	ELSE
		RETURN QUERY SELECT c.check_name, c.object_name, NULL::numeric, NULL::numeric,
			'what sessions of other roles do is hidden', NULL::text, true
		FROM (VALUES ('connections_used', 'server'),
					 ('idle_in_transaction', 'sessions of other roles'),
					 ('long_query', 'sessions of other roles'),
					 ('long_transaction', 'sessions of other roles')) AS c(check_name, object_name);
	END IF;

	-- the worst session of each application stands for the others
	RETURN QUERY
	WITH seen AS (
		SELECT k.check_name, format('%s/%s/%s', a.datname, a.usename, a.application_name) AS object_name,
			   a.pid, a.state, greatest(extract(epoch FROM clock_timestamp() - k.since), 0) AS seconds
		FROM pg_stat_activity AS a
		CROSS JOIN LATERAL (VALUES
			('idle_in_transaction', CASE WHEN a.state LIKE 'idle in transaction%' THEN a.state_change END),
			('long_query', CASE WHEN a.state IN ('active', 'fastpath function call') THEN a.query_start END),
			('long_transaction', a.xact_start)) AS k(check_name, since)
		WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND k.since IS NOT NULL
	)
	SELECT DISTINCT ON (s.check_name, s.object_name)
		   s.check_name, s.object_name, s.seconds, NULL::numeric,
		   format(CASE s.check_name WHEN 'idle_in_transaction' THEN 'session %s has been idle in its transaction for %s s'
									WHEN 'long_query' THEN 'session %s has been running its statement for %s s'
									ELSE 'session %s has had its transaction open for %s s' END, s.pid, round(s.seconds))
		   || CASE WHEN count(*) OVER w > 1 THEN format('; sessions like it: %s', count(*) OVER w) ELSE '' END,
		   format(CASE WHEN s.state = 'active' THEN 'SELECT pg_cancel_backend(%s)'
					   ELSE 'SELECT pg_terminate_backend(%s)' END, s.pid),
		   false
	FROM seen AS s
	WINDOW w AS (PARTITION BY s.check_name, s.object_name)
	ORDER BY s.check_name, s.object_name, s.seconds DESC;

	-- Reading all locks costs the lock manager: look first whether one waits,
	-- where that can be seen.
	IF NOT see_all OR EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.wait_event_type = 'Lock') THEN
		RETURN QUERY
		WITH waiting AS (
			SELECT DISTINCT ON (l.object_name) l.*
			FROM (SELECT format('%s/%s/%s', a.datname, a.usename, a.application_name) AS object_name, k.pid,
						 greatest(extract(epoch FROM clock_timestamp() - k.waitstart), 0) AS seconds
				  FROM pg_locks AS k
				  LEFT JOIN pg_stat_activity AS a ON a.pid = k.pid
				  WHERE NOT k.granted AND k.waitstart IS NOT NULL) AS l
			ORDER BY l.object_name, l.seconds DESC
		)
		SELECT 'lock_wait', w.object_name, w.seconds, NULL::numeric,
			   format('session %s has been waiting for %s s', w.pid, round(w.seconds))
			   || CASE WHEN w.seconds >= 1
					   THEN format(' for %s', array_to_string(pg_blocking_pids(w.pid), ', ')) ELSE '' END,
			   format('SELECT * FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids(%s))', w.pid), false
		FROM waiting AS w;
	END IF;

	RETURN QUERY
	SELECT 'prepared_transactions', format('%s/%s/%s', p.database, p.owner, p.gid),
		   greatest(extract(epoch FROM clock_timestamp() - p.prepared), 0), NULL::numeric,
		   format('transaction %L was prepared %s s ago', p.gid,
				  round(extract(epoch FROM clock_timestamp() - p.prepared))), NULL::text, false
	FROM pg_prepared_xacts AS p;

	-- A standby's own snapshots hold nothing but through its primary.
	IF NOT in_recovery THEN
		RETURN QUERY
		SELECT DISTINCT ON (h.object_name)
			   'xmin_horizon', h.object_name, h.xacts::numeric, NULL::numeric,
			   format('%s keeps what became dead in the last %s transactions', h.holder, h.xacts), h.sql, false
		FROM (
			-- a walsender passes on what its standby's sessions hold
			SELECT format('%s/%s/%s', a.datname, a.usename, a.application_name) AS object_name,
				   format('session %s', a.pid) AS holder,
				   greatest(age(a.backend_xmin), age(a.backend_xid)) AS xacts,
				   CASE a.backend_type WHEN 'client backend' THEN format('SELECT pg_terminate_backend(%s)', a.pid) END AS sql
			FROM pg_stat_activity AS a
			WHERE a.pid <> pg_backend_pid()
			  AND a.backend_type IS DISTINCT FROM 'autovacuum worker'	-- these do not count
			UNION ALL
			SELECT format('slot %s', r.slot_name), format('slot %s', r.slot_name), greatest(age(r.xmin), age(r.catalog_xmin)), NULL
			FROM pg_replication_slots AS r
			UNION ALL
			SELECT format('prepared transaction %s', p.gid), format('prepared transaction %s', p.gid), age(p.transaction), NULL
			FROM pg_prepared_xacts AS p) AS h
		WHERE h.xacts IS NOT NULL
		ORDER BY h.object_name, h.xacts DESC;
	END IF;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_sessions() IS
	'what the checks on sessions, locks, snapshots and prepared transactions see, for dbutil.health';

-- The server and its databases.
CREATE FUNCTION dbutil.health_measure_server() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	-- at 2^31 identifiers age turns into youth; writing stops 3 million before
	limit_age CONSTANT numeric := 2147483647 - 3000000;
	freeze_age numeric := current_setting('autovacuum_freeze_max_age');
	freeze_multi_age numeric := current_setting('autovacuum_multixact_freeze_max_age');
	counting boolean := current_setting('track_counts');
	timed bigint;
	requested bigint;
BEGIN
	-- databases that allow no connections age as well
	RETURN QUERY
	SELECT v.check_name, d.datname::text, v.share, NULL::numeric,
		   format(v.says, age(d.datfrozenxid), mxid_age(d.datminmxid)), NULL::text, false
	FROM pg_database AS d
	CROSS JOIN LATERAL (VALUES
		('xid_age', 100.0 * age(d.datfrozenxid) / limit_age, 'the oldest table is %1$s transactions old'),
		('multixact_age', 100.0 * mxid_age(d.datminmxid) / limit_age, 'the oldest table is %2$s multixacts old'),
		('freeze_overdue', greatest(100.0 * age(d.datfrozenxid) / freeze_age,
									100.0 * mxid_age(d.datminmxid) / freeze_multi_age),
		 'the oldest table is %s transactions and %s multixacts old')) AS v(check_name, share, says);

	RETURN QUERY
	SELECT 'cache_hit', d.datname::text,
		   CASE WHEN counting THEN coalesce(100.0 * d.blks_hit / nullif(d.blks_hit + d.blks_read, 0), 100) END,
		   (d.blks_hit + d.blks_read)::numeric,
		   CASE WHEN counting THEN format('%s of %s block reads were served from shared_buffers',
										  d.blks_hit, d.blks_hit + d.blks_read)
				ELSE 'track_counts is off' END, NULL::text, false
	FROM pg_stat_database AS d WHERE d.datname = current_database();

	-- the counters moved to a view of their own in 17
	EXECUTE CASE WHEN current_setting('server_version_num')::integer >= 170000
		THEN 'SELECT c.num_timed, c.num_requested FROM pg_catalog.pg_stat_checkpointer AS c'
		ELSE 'SELECT b.checkpoints_timed, b.checkpoints_req FROM pg_catalog.pg_stat_bgwriter AS b' END
	INTO timed, requested;
	RETURN QUERY SELECT 'requested_checkpoints', 'server', coalesce(100.0 * requested / nullif(timed + requested, 0), 0),
		(timed + requested)::numeric, format('%s of %s checkpoints were asked for', requested, timed + requested), NULL::text, false;

	RETURN QUERY
	SELECT s.check_name, s.setting_name, CASE current_setting(s.setting_name) WHEN 'off' THEN 1 ELSE 0 END::numeric,
		   NULL::numeric, format('%s is %s', s.setting_name, current_setting(s.setting_name)),
		   CASE current_setting(s.setting_name) WHEN 'off' THEN format('ALTER SYSTEM SET %I = on', s.setting_name) END,
		   false
	FROM (VALUES ('settings_off', 'fsync'), ('settings_off', 'full_page_writes'),
				 ('autovacuum_off', 'autovacuum'), ('autovacuum_off', 'track_counts')) AS s(check_name, setting_name);

	IF current_setting('data_checksums')::boolean THEN
		RETURN QUERY
		SELECT 'checksum_failures', coalesce(d.datname::text, 'shared objects'), d.checksum_failures::numeric,
			   NULL::numeric, format('%s failures, the last one at %s', d.checksum_failures, d.checksum_last_failure),
			   NULL::text, false
		FROM pg_stat_database AS d WHERE d.checksum_failures > 0;
	ELSE
		RETURN QUERY SELECT 'checksum_failures', 'server', NULL::numeric, NULL::numeric,
			'data checksums are off: damage is not noticed (pg_checksums turns them on while the server is down)',
			NULL::text, false;
	END IF;

	-- The rows of dbutil.status() that count what was lost are those that carry
	-- a bare number; they turn to warn with the first loss.
	RETURN QUERY
	SELECT 'dbutil_losses', s.item, CASE s.state WHEN 'warn' THEN s.item_value::numeric ELSE 0 END, NULL::numeric,
		   CASE s.state WHEN 'warn' THEN format('%s: %s; %s', s.item, s.item_value, s.fix) ELSE format('%s: 0', s.item) END,
		   NULL::text, false
	FROM dbutil.status() AS s
	WHERE s.item_value ~ '^[0-9]+$' AND s.item NOT IN ('service', 'library version', 'extension version')
	UNION ALL
	SELECT 'dbutil_losses', 'tracking', NULL, NULL, format('nothing is tracked: %s', s.fix), NULL, false
	FROM dbutil.status() AS s
	WHERE s.item = 'preload' AND s.state <> 'ok';
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_server() IS
	'what the checks on the server, its databases and dbutil itself see, for dbutil.health';

-- What costs more than a glance: files, all settings, collation libraries.
CREATE FUNCTION dbutil.health_measure_configuration() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
BEGIN
	RETURN QUERY
	SELECT 'pending_restart', s.name, 1::numeric, NULL::numeric,
		   format('%s is still %s', s.name, s.setting), NULL::text, false
	FROM pg_settings AS s WHERE s.pending_restart
	UNION ALL
	SELECT 'pending_restart', 'hidden settings', NULL, NULL, 'some settings are hidden', NULL, true
	WHERE NOT pg_has_role('pg_read_all_settings', 'USAGE');

	IF has_table_privilege('pg_file_settings', 'SELECT') AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')
		AND has_table_privilege('pg_hba_file_rules', 'SELECT') AND has_function_privilege('pg_hba_file_rules()', 'EXECUTE')
		AND has_table_privilege('pg_ident_file_mappings', 'SELECT')
		AND has_function_privilege('pg_ident_file_mappings()', 'EXECUTE')
	THEN
		-- a setting that only waits for a restart is listed as not applied, too
		RETURN QUERY
		SELECT 'config_file_errors', format('%s:%s', f.sourcefile, f.sourceline), 1::numeric, NULL::numeric,
			   concat_ws(': ', f.name, f.error), NULL::text, false
		FROM pg_file_settings AS f
		WHERE f.error IS NOT NULL
		  AND NOT EXISTS (SELECT FROM pg_settings AS s WHERE s.pending_restart AND lower(s.name) = lower(f.name))
		UNION ALL
		SELECT 'config_file_errors', format('%s:%s', current_setting('hba_file'), h.line_number), 1, NULL, h.error, NULL, false
		FROM pg_hba_file_rules AS h WHERE h.error IS NOT NULL
		UNION ALL
		SELECT 'config_file_errors', format('%s:%s', current_setting('ident_file'), i.line_number), 1, NULL, i.error, NULL, false
		FROM pg_ident_file_mappings AS i WHERE i.error IS NOT NULL;
	ELSE
		RETURN QUERY SELECT 'config_file_errors', 'configuration files', NULL::numeric, NULL::numeric,
			'the configuration files are hidden', NULL::text, true;
	END IF;

	-- Locks of the fast path are not in the table.  A lock that several hold is
	-- there once; the table is made for the processes that there can be.
	RETURN QUERY
	SELECT 'lock_table', 'server', 100.0 * l.locks / l.room, NULL::numeric,
		   format('%s locks, room for %s', l.locks, l.room), NULL::text, false
	FROM (
		SELECT count(*) AS locks,
			   current_setting('max_locks_per_transaction')::bigint
			   * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint
				  + current_setting('autovacuum_max_workers')::bigint + current_setting('max_worker_processes')::bigint
				  + current_setting('max_wal_senders')::bigint) AS room
		FROM (SELECT DISTINCT k.locktype, k.database, k.relation, k.page, k.tuple, k.virtualxid, k.transactionid,
					 k.classid, k.objid, k.objsubid
			  FROM pg_locks AS k WHERE NOT k.fastpath AND k.mode NOT LIKE 'SI%') AS d) AS l;

	-- of the many collations only those that something uses
	RETURN QUERY
	SELECT 'collation_version_drift', format('database %I', d.datname), 1::numeric, NULL::numeric,
		   format('made with version %s of its collation, the library now has %s', d.datcollversion, v.actual),
		   format('REINDEX DATABASE %1$I; ALTER DATABASE %1$I REFRESH COLLATION VERSION', d.datname), false
	FROM pg_database AS d
	CROSS JOIN LATERAL pg_database_collation_actual_version(d.oid) AS v(actual)
	WHERE d.datname = current_database() AND d.datcollversion IS NOT NULL
	  AND v.actual IS DISTINCT FROM d.datcollversion
	UNION ALL
	SELECT 'collation_version_drift', format('%I.%I', n.nspname, c.collname), 1, NULL,
		   format('made with version %s, the library now has %s', c.collversion, v.actual),
		   format('ALTER COLLATION %I.%I REFRESH VERSION', n.nspname, c.collname), false
	FROM pg_collation AS c
	JOIN pg_namespace AS n ON n.oid = c.collnamespace
	CROSS JOIN LATERAL pg_collation_actual_version(c.oid) AS v(actual)
	WHERE c.collversion IS NOT NULL
	  AND EXISTS (SELECT FROM pg_depend AS d
				  WHERE d.refclassid = 'pg_collation'::regclass AND d.refobjid = c.oid)
	  AND v.actual IS DISTINCT FROM c.collversion;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_configuration() IS
	'what the checks on settings, configuration files and collations see, for dbutil.health';

-- Replication slots, standbys, archiving.
CREATE FUNCTION dbutil.health_measure_replication() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	see_all boolean := pg_has_role('pg_read_all_stats', 'USAGE');
	in_recovery boolean := pg_is_in_recovery();
	here pg_lsn := CASE WHEN in_recovery THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END;
	received pg_lsn := CASE WHEN in_recovery THEN pg_last_wal_receive_lsn() END;
	replayed pg_lsn;
	receiving boolean;
	at_least numeric;
	at_most numeric;
	apply_delay numeric;
	segments bigint;
	segment bigint;
BEGIN
	-- Since when a slot is inactive, and whether it is a failover slot kept in
	-- step with the primary's (inactive by design), is told from 17 on.
	RETURN QUERY
	WITH slot AS (
		SELECT r.slot_name, r.active, r.temporary, r.wal_status,
			   pg_wal_lsn_diff(here, r.restart_lsn) / 1048576 AS kept_mb,
			   to_jsonb(r) ? 'inactive_since' AS since_known,
			   (to_jsonb(r) ->> 'inactive_since')::timestamptz AS inactive_since,
			   coalesce((to_jsonb(r) ->> 'synced')::boolean, false) AS synced
		FROM pg_replication_slots AS r
	)
	SELECT 'replication_slots', s.slot_name::text, s.kept_mb, NULL::numeric,
		   format('%s slot keeps %s MB of WAL', CASE WHEN s.active THEN 'the active' ELSE 'the inactive' END, round(s.kept_mb)),
		   CASE WHEN NOT s.active THEN format('SELECT pg_drop_replication_slot(%L)', s.slot_name) END, false
	FROM slot AS s WHERE s.kept_mb IS NOT NULL AND s.wal_status IS DISTINCT FROM 'lost'
	UNION ALL
	SELECT 'replication_slots_lost', s.slot_name, CASE s.wal_status WHEN 'lost' THEN 2 WHEN 'unreserved' THEN 1 ELSE 0 END, NULL,
		   format('wal_status is %s', coalesce(s.wal_status, 'not set: the slot keeps no WAL')),
		   CASE WHEN s.wal_status = 'lost' THEN format('SELECT pg_drop_replication_slot(%L)', s.slot_name) END, false
	FROM slot AS s
	UNION ALL
	SELECT 'replication_slots_inactive', s.slot_name,
		   CASE WHEN s.active THEN 0
				WHEN s.since_known THEN extract(epoch FROM clock_timestamp() - s.inactive_since) END, NULL,
		   CASE WHEN s.active THEN 'the slot is in use'
				WHEN s.inactive_since IS NOT NULL THEN format('nobody has used the slot since %s', s.inactive_since)
				WHEN s.since_known THEN 'nobody is using the slot; since when is not recorded'
				ELSE 'nobody is using the slot; since when, PostgreSQL 17 and later tell' END,
		   CASE WHEN NOT s.active THEN format('SELECT pg_drop_replication_slot(%L)', s.slot_name) END, false
	FROM slot AS s WHERE NOT s.synced AND s.wal_status IS DISTINCT FROM 'lost';

	-- A base backup is a walsender, too, but replays nothing.
	RETURN QUERY
	SELECT DISTINCT ON (2)
		   'replica_lag', coalesce(r.application_name, 'unknown'),
		   pg_wal_lsn_diff(here, r.replay_lsn) / 1048576, NULL::numeric,
		   CASE WHEN see_all THEN format('%s of session %s, state %s', coalesce(pg_size_pretty(pg_wal_lsn_diff(here, r.replay_lsn)), 'unknown'), r.pid, r.state)
				ELSE 'what walsenders of other roles do is hidden' END,
		   NULL::text, NOT see_all AND r.state IS NULL
	FROM pg_stat_replication AS r
	WHERE r.state IS NULL OR r.state IN ('streaming', 'catchup')
	ORDER BY 2, 3 DESC NULLS FIRST;		-- the unknown is the worst

	-- For how long, at least, WAL that was received has been waiting for its
	-- replay.  The age of the last replayed commit is more than that if the primary
	-- was quiet before, or busy with one long transaction; it is an upper bound only.
	-- A lower bound is when the file that holds the next byte to replay was last
	-- written, on this server's own clock: exact but for the time in which one
	-- segment filled.  Where replay stands still in the file that is being written
	-- and the two are far apart, the truth is unknown, until it lasts.  Without a receiver an idle primary and a
	-- lost one look the same.
	IF in_recovery THEN
		replayed := pg_last_wal_replay_lsn();
		receiving := EXISTS (SELECT FROM pg_stat_wal_receiver);
		apply_delay := extract(epoch FROM (current_setting('recovery_min_apply_delay'))::interval);
		at_most := greatest(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) - apply_delay, 0);
		IF receiving AND replayed < received AND has_function_privilege('pg_ls_waldir()', 'EXECUTE') THEN
			segments := 4294967296 / pg_size_bytes(current_setting('wal_segment_size'));
			segment := div(replayed - '0/0', pg_size_bytes(current_setting('wal_segment_size')));
			at_least := (SELECT greatest(extract(epoch FROM clock_timestamp() - max(f.modification)) - apply_delay, 0)
						 FROM pg_ls_waldir() AS f
						 WHERE right(f.name, 16) = upper(lpad(to_hex(segment / segments), 8, '0') || lpad(to_hex(segment % segments), 8, '0')));
		END IF;
		RETURN QUERY SELECT 'replay_delay', 'server',
			CASE WHEN NOT receiving THEN NULL
				 WHEN replayed >= received OR at_most = 0 THEN 0
				 -- it went on while we looked, or the next byte is in a file that is full
				 WHEN replayed > here OR segment < div(received - '0/0' - 1, pg_size_bytes(current_setting('wal_segment_size'))) THEN at_least
				 WHEN at_most <= 2 * coalesce(at_least, 0) + 1 THEN coalesce(at_least, at_most) END, NULL::numeric,
			CASE WHEN NOT receiving THEN 'no WAL receiver is running: how far the primary is cannot be known'
				 WHEN replayed >= received THEN 'all WAL that was received is replayed'
				 WHEN at_least IS NULL THEN format('%s of WAL wait to be replayed; since when is hidden', pg_size_pretty(received - replayed))
				 WHEN at_most IS NULL THEN format('%s of WAL wait to be replayed, since %s s or longer; no transaction has been replayed since this server started', pg_size_pretty(received - replayed), round(at_least))
				 ELSE format('%s of WAL wait to be replayed, since between %s and %s s', pg_size_pretty(received - replayed), round(least(at_least, at_most)), round(at_most)) END, NULL::text,
			receiving AND replayed < received AND at_least IS NULL AND coalesce(at_most > 1, true);
	END IF;

	-- A standby whose source is gone looks for another one no sooner than this.
	IF in_recovery THEN
		RETURN QUERY SELECT 'standby_retry_interval', 'server',
			extract(epoch FROM current_setting('wal_retrieve_retry_interval')::interval) * 1000, NULL::numeric,
			format('wal_retrieve_retry_interval is %s', current_setting('wal_retrieve_retry_interval')),
			'ALTER SYSTEM SET wal_retrieve_retry_interval = ''200ms''', false;
	END IF;

	-- Counted since the last reset: what was mended is taken back by one.
	RETURN QUERY
	SELECT 'subscription_errors', u.subname::text, (s.apply_error_count + s.sync_error_count)::numeric, NULL::numeric,
		   format('%s errors in applying, %s in copying tables%s', s.apply_error_count, s.sync_error_count,
				  CASE WHEN NOT u.subenabled THEN '; the subscription is disabled' ELSE '' END),
		   format('SELECT pg_stat_reset_subscription_stats(%s)', u.oid), false
	FROM pg_subscription AS u
	JOIN pg_stat_subscription_stats AS s ON s.subid = u.oid
	WHERE u.subdbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database());

	-- The age of the oldest file that is ready says for how long archiving has
	-- been failing or hanging; pg_stat_archiver could not tell that from a
	-- quiet server.
	IF current_setting('archive_mode') = 'always' OR (current_setting('archive_mode') = 'on' AND NOT in_recovery) THEN
		IF has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE') THEN
			RETURN QUERY
			SELECT v.check_name, 'server', v.value, NULL::numeric, format('%s files wait to be archived', w.files), NULL::text, false
			FROM (SELECT count(*) AS files, coalesce(greatest(extract(epoch FROM clock_timestamp() - min(f.modification)), 0), 0) AS oldest
				  FROM pg_ls_archive_statusdir() AS f WHERE f.name LIKE '%.ready') AS w
			CROSS JOIN LATERAL (VALUES ('archiver', w.oldest), ('archiver_backlog', w.files)) AS v(check_name, value);
		ELSE
			RETURN QUERY SELECT v.check_name, 'server', NULL::numeric, NULL::numeric,
				'the list of files to be archived is hidden', NULL::text, true
			FROM (VALUES ('archiver'), ('archiver_backlog')) AS v(check_name);
		END IF;
	END IF;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_replication() IS
	'what the checks on replication slots, standbys and archiving see, for dbutil.health';

-- Rates of the current database, from what dbutil.health() saw a minute or more ago.
CREATE FUNCTION dbutil.health_changes(
	OUT seconds double precision, OUT commits bigint, OUT rollbacks bigint, OUT deadlocks bigint,
	OUT temp_bytes bigint, OUT sessions bigint)
	RETURNS record
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_health_changes';
COMMENT ON FUNCTION dbutil.health_changes() IS
	'what pg_stat_database counted for the current database in the last seconds: since the newest call of this function that is a minute old or older, else since the oldest known (each half a minute one is remembered). NULL: it is the first call, statistics were reset since, or dbutil is not preloaded';

CREATE FUNCTION dbutil.health_measure_rates() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	seen record;
	ended bigint;
BEGIN
	SELECT * INTO seen FROM dbutil.health_changes();
	ended := seen.commits + seen.rollbacks;
	RETURN QUERY
	SELECT v.check_name, current_database()::text, v.value, coalesce(seen.seconds, 0)::numeric,
		   CASE WHEN seen.seconds IS NOT NULL THEN v.says || format(' in %s s', round(seen.seconds))
				WHEN (SELECT t.state = 'ok' FROM dbutil.status() AS t WHERE t.item = 'preload') THEN 'a rate needs a second look, a minute from now'
				ELSE 'a rate needs shared memory: add dbutil to shared_preload_libraries' END,
		   NULL::text, false
	FROM (VALUES
		('deadlocks', seen.deadlocks * 60 / nullif(seen.seconds, 0)::numeric, format('%s deadlocks', seen.deadlocks)),
		-- of a few transactions a share says nothing
		('rollbacks', CASE WHEN ended >= 1000 THEN 100.0 * seen.rollbacks / ended END, format('%s of %s transactions were rolled back', seen.rollbacks, ended)),
		('temp_files', seen.temp_bytes / 1048576.0 * 60 / nullif(seen.seconds, 0)::numeric, format('%s written to temporary files', pg_size_pretty(seen.temp_bytes))),
		('connection_churn', seen.sessions * 60 / nullif(seen.seconds, 0)::numeric, format('%s new sessions', seen.sessions))
	) AS v(check_name, value, says);
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_rates() IS
	'what the checks on rates of the current database see, for dbutil.health';

-- Bloat, estimated: pages that a relation has less those that its rows would
-- need by the widths in pg_statistic.  No column without statistics is guessed:
-- then the estimate is NULL.  Sizes are relpages, as of the last VACUUM or
-- ANALYZE: asking for the real size would wait for locks.
--
-- A row: 23 bytes of header and a bit for each column if one is NULL, aligned to
-- 8, its columns, aligned to 8, and a line pointer of 4, in pages of block_size
-- less 24, filled to fillfactor (src/include/access/htup_details.h, bufpage.h).
-- Blanks between columns are not counted.
CREATE VIEW dbutil.table_bloat AS
	SELECT c.oid AS relation, c.relpages,
		   CASE WHEN e.pages IS NOT NULL THEN greatest(c.relpages - e.pages, 0)::bigint * s.block END AS bloat_bytes,
		   CASE WHEN e.pages IS NOT NULL AND c.relpages > 0
				THEN pg_catalog.round(100 * greatest(c.relpages - e.pages, 0) / c.relpages, 1) END AS bloat_percent
	FROM pg_catalog.pg_class AS c
	CROSS JOIN (SELECT pg_catalog.current_setting('block_size')::bigint) AS s(block)
	CROSS JOIN LATERAL (
		SELECT CASE WHEN count(*) = count(t.stawidth) THEN sum((1 - t.stanullfrac) * t.stawidth)::numeric END AS width,
			   CASE WHEN pg_catalog.bool_or(t.stanullfrac > 0) THEN pg_catalog.ceil(count(*) / 8.0) ELSE 0 END AS null_bits
		FROM pg_catalog.pg_attribute AS a
		LEFT JOIN pg_catalog.pg_statistic AS t ON t.starelid = a.attrelid AND t.staattnum = a.attnum AND NOT t.stainherit
		WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS r
	CROSS JOIN LATERAL (
		SELECT (s.block - 24) * coalesce((
				   SELECT o.option_value::numeric FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
				   WHERE o.option_name = 'fillfactor'), 100) / 100) AS p(room)
	CROSS JOIN LATERAL (
		SELECT CASE WHEN c.reltuples = 0 THEN 0
					WHEN c.reltuples > 0 AND c.relpages > 0 AND r.width IS NOT NULL
					THEN pg_catalog.ceil(c.reltuples::numeric / greatest(1, pg_catalog.floor(p.room
						 / (4 + 8 * pg_catalog.ceil((23 + r.null_bits) / 8.0) + 8 * pg_catalog.ceil(r.width / 8))))) END) AS e(pages)
	WHERE c.relkind IN ('r', 'm');
COMMENT ON VIEW dbutil.table_bloat IS
	'bloat of each table and materialized view, in bytes and percent of its size, estimated from statistics (NULL: some column has none); see dbutil.table_health, and dbutil.measure_bloat() for the truth';
GRANT SELECT ON dbutil.table_bloat TO PUBLIC;

-- An entry of a btree: 8 bytes of header, its columns, aligned to 8, and a line
-- pointer of 4, in pages of block_size less 40; one page in a hundred is an inner
-- one, and one is the meta page (src/include/access/itup.h, nbtree.h).  Equal keys
-- may be stored together, which makes an index smaller than this: the estimate
-- of its bloat is low, not high.
CREATE VIEW dbutil.index_bloat AS
	SELECT c.oid AS relation, c.relpages,
		   CASE WHEN e.pages IS NOT NULL THEN greatest(c.relpages - e.pages, 0)::bigint * s.block END AS bloat_bytes,
		   CASE WHEN e.pages IS NOT NULL AND c.relpages > 0
				THEN pg_catalog.round(100 * greatest(c.relpages - e.pages, 0) / c.relpages, 1) END AS bloat_percent
	FROM pg_catalog.pg_class AS c
	JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
	JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
	CROSS JOIN (SELECT pg_catalog.current_setting('block_size')::bigint) AS s(block)
	CROSS JOIN LATERAL (
		SELECT CASE WHEN count(*) = count(t.stawidth) THEN sum((1 - t.stanullfrac) * t.stawidth)::numeric END AS width
		FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, ord)
		-- an expression has its statistics at the index
		LEFT JOIN pg_catalog.pg_statistic AS t
			ON t.starelid = CASE k.attnum WHEN 0 THEN c.oid ELSE i.indrelid END
			   AND t.staattnum = CASE k.attnum WHEN 0 THEN k.ord ELSE k.attnum END AND NOT t.stainherit) AS r
	CROSS JOIN LATERAL (
		SELECT (s.block - 40) * coalesce((
				   SELECT o.option_value::numeric FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
				   WHERE o.option_name = 'fillfactor'), 90) / 100) AS p(room)
	CROSS JOIN LATERAL (
		SELECT CASE WHEN c.reltuples = 0 THEN 1
					WHEN c.reltuples > 0 AND c.relpages > 0 AND r.width IS NOT NULL
					THEN 1 + pg_catalog.ceil(1.01 * c.reltuples::numeric / greatest(1, pg_catalog.floor(p.room
						 / (12 + 8 * pg_catalog.ceil(r.width / 8))))) END) AS e(pages)
	WHERE c.relkind = 'i' AND m.amname = 'btree';
COMMENT ON VIEW dbutil.index_bloat IS
	'bloat of each btree index, in bytes and percent of its size, estimated from statistics (NULL: some column has none); see dbutil.index_health, and dbutil.measure_bloat() for the truth';
GRANT SELECT ON dbutil.index_bloat TO PUBLIC;

-- Only what is big enough to matter is estimated.
CREATE FUNCTION dbutil.health_measure_bloat() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	block numeric := current_setting('block_size');
BEGIN
	RETURN QUERY
	SELECT 'table_bloat', format('%I.%I', n.nspname, c.relname),
		   CASE WHEN b.bloat_percent > 70 THEN b.bloat_bytes / 1073741824.0 ELSE 0 END, NULL::numeric,
		   format('%s of %s, %s %%, seem to be free', pg_size_pretty(b.bloat_bytes), pg_size_pretty(b.relpages * block), b.bloat_percent),
		   format('SELECT * FROM dbutil.measure_bloat(%L)', format('%I.%I', n.nspname, c.relname)), false
	FROM dbutil.table_bloat AS b
	JOIN pg_class AS c ON c.oid = b.relation
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
	WHERE b.relpages >= 1073741824 / block AND b.bloat_percent IS NOT NULL AND c.relpersistence <> 't';

	RETURN QUERY
	SELECT 'index_bloat', format('%I.%I', n.nspname, c.relname),
		   CASE WHEN b.bloat_percent > 80 THEN b.bloat_bytes / 1048576.0 ELSE 0 END, NULL::numeric,
		   format('%s of %s, %s %%, seem to be free', pg_size_pretty(b.bloat_bytes), pg_size_pretty(b.relpages * block), b.bloat_percent),
		   format('REINDEX INDEX CONCURRENTLY %I.%I', n.nspname, c.relname), false
	FROM dbutil.index_bloat AS b
	JOIN pg_class AS c ON c.oid = b.relation
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
	WHERE b.relpages >= 104857600 / block AND b.bloat_percent IS NOT NULL AND c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\_%';
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_bloat() IS
	'bloat of large tables and indexes of the current database as estimated, for dbutil.health';

-- The formulas of autovacuum (src/backend/postmaster/autovacuum.c,
-- relation_needs_vacanalyze), with a table's own storage parameters.
CREATE FUNCTION dbutil.autovacuum_thresholds(reloptions text[], live_rows numeric, unfrozen numeric,
	OUT enabled boolean, OUT vacuum_at numeric, OUT insert_vacuum_at numeric, OUT analyze_at numeric, OUT freeze_at numeric)
	LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT coalesce(s.enabled::boolean, true) AND pg_catalog.current_setting('autovacuum')::boolean,
		   least(s.base + s.scale * greatest(live_rows, 0), CASE WHEN s.most >= 0 THEN s.most END),
		   CASE WHEN s.insert_base >= 0 THEN s.insert_base + s.insert_scale * greatest(live_rows, 0) * coalesce(unfrozen, 1) END,
		   s.analyze_base + s.analyze_scale * greatest(live_rows, 0),
		   -- a table's own limit can only be lower
		   least(s.freeze, pg_catalog.current_setting('autovacuum_freeze_max_age')::numeric)
	FROM (
		SELECT max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_enabled') AS enabled,
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_threshold'),
						pg_catalog.current_setting('autovacuum_vacuum_threshold'))::numeric AS base,
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_scale_factor'),
						pg_catalog.current_setting('autovacuum_vacuum_scale_factor'))::numeric AS scale,
			   -- from 18 on
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_max_threshold'),
						pg_catalog.current_setting('autovacuum_vacuum_max_threshold', true), '-1')::numeric AS most,
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_insert_threshold'),
						pg_catalog.current_setting('autovacuum_vacuum_insert_threshold'))::numeric AS insert_base,
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_insert_scale_factor'),
						pg_catalog.current_setting('autovacuum_vacuum_insert_scale_factor'))::numeric AS insert_scale,
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_analyze_threshold'),
						pg_catalog.current_setting('autovacuum_analyze_threshold'))::numeric AS analyze_base,
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_analyze_scale_factor'),
						pg_catalog.current_setting('autovacuum_analyze_scale_factor'))::numeric AS analyze_scale,
			   max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_freeze_max_age')::numeric AS freeze
		FROM pg_catalog.pg_options_to_table(reloptions) AS o) AS s;
END;
COMMENT ON FUNCTION dbutil.autovacuum_thresholds(text[], numeric, numeric) IS
	'when autovacuum comes to a table with these storage parameters (pg_class.reloptions) and live rows: enabled, the dead rows, the rows inserted (NULL: never for that) and the rows changed at which it vacuums or analyses, and the age at which it freezes. unfrozen: the share of pages that are not all frozen, which counts from PostgreSQL 18 on; NULL: 1';

-- Tables, constraints and triggers of the current database, from its catalogs
-- and statistics.  What extensions brought, temporary tables and the system's
-- own are left to those who made them.
CREATE FUNCTION dbutil.health_measure_tables() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	counting boolean := current_setting('track_counts');
	server_version integer := current_setting('server_version_num');
	patience interval := 10 * current_setting('autovacuum_naptime')::interval;
BEGIN
	-- A table that is being vacuumed is not overdue.  Which it is, is hidden from
	-- ordinary roles; that a process vacuums and what it locks is not.  The lock
	-- alone would not do: ANALYZE takes the same.  Catalogs count here, too.
	RETURN QUERY
	WITH being_vacuumed AS MATERIALIZED (
		SELECT l.relation FROM pg_stat_progress_vacuum AS p
		JOIN pg_locks AS l ON l.pid = p.pid
		WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
		  AND l.database IN (0, (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
	), behind AS MATERIALIZED (
		SELECT c.oid, c.relname, c.relnamespace, c.reltuples, c.reloptions, pg_stat_get_dead_tuples(c.oid)::numeric AS dead,
			   pg_stat_get_live_tuples(c.oid)::numeric AS live, pg_stat_get_mod_since_analyze(c.oid)::numeric AS changed,
			   greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS analysed
		FROM pg_class AS c
		WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
		  AND (pg_stat_get_dead_tuples(c.oid) > 10000 OR pg_stat_get_mod_since_analyze(c.oid) > 10000)
	)
	SELECT k.check_name, format('%I.%I', n.nspname, f.relname), k.value, NULL::numeric,
		   k.says || CASE WHEN NOT v.enabled THEN '; autovacuum is off for this table' ELSE '' END,
		   format(k.does, n.nspname, f.relname), false
	FROM behind AS f
	JOIN pg_namespace AS n ON n.oid = f.relnamespace
	CROSS JOIN LATERAL dbutil.autovacuum_thresholds(f.reloptions, greatest(f.reltuples::numeric, f.live), NULL) AS v
	CROSS JOIN LATERAL (VALUES
		('vacuum_overdue', f.dead > 10000, 100 * f.dead / greatest(v.vacuum_at, 1),
		 format('%s dead rows, vacuumed last: %s', f.dead,
				coalesce(greatest(pg_stat_get_last_vacuum_time(f.oid), pg_stat_get_last_autovacuum_time(f.oid))::text, 'never')),
		 'VACUUM %I.%I'),
		('dead_rows', f.dead > 10000, 100 * f.dead / nullif(f.dead + f.live, 0), format('%s dead rows, %s live ones', f.dead, f.live),
		 'VACUUM %I.%I'),
		-- a load is still counted when what it loaded is analysed: give autovacuum ten rounds
		('analyze_overdue', f.changed > 10000 AND coalesce(f.analysed < clock_timestamp() - patience, true), 100 * f.changed / greatest(v.analyze_at, 1),
		 format('%s rows changed, analysed last: %s', f.changed, coalesce(f.analysed::text, 'never')),
		 'ANALYZE %I.%I')) AS k(check_name, applies, value, says, does)
	WHERE k.applies AND f.oid NOT IN (SELECT b.relation FROM being_vacuumed AS b);

	-- More than one pass through the indexes: the dead rows did not fit in memory.
	RETURN QUERY
	SELECT 'vacuum_passes', coalesce(CASE WHEN c.oid IS NOT NULL THEN format('%I.%I', n.nspname, c.relname) END, format('process %s', p.pid)),
		   CASE WHEN p.phase IS NOT NULL THEN p.index_vacuum_count::numeric END, NULL::numeric,
		   CASE WHEN p.phase IS NULL THEN 'what VACUUM does is hidden'
				ELSE format('process %s has been through the indexes %s times', p.pid, p.index_vacuum_count) END,
		   NULL::text, p.phase IS NULL
	FROM pg_stat_progress_vacuum AS p
	LEFT JOIN (pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace) ON c.oid = p.relid
	WHERE p.datname = current_database();

	-- Partitions are told by their parent.  A table that only grows does well
	-- without a key; so the rows changed are what counts.
	RETURN QUERY
	WITH keyless AS MATERIALIZED (
		SELECT c.oid, c.relkind, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) AS table_name
		FROM pg_class AS c
		JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
		  AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
		  AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident))
		  AND NOT EXISTS (SELECT FROM pg_depend AS d
						  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
	)
	SELECT 'table_without_primary_key', k.table_name, CASE WHEN counting THEN s.changed END, NULL::numeric,
		   CASE WHEN counting THEN format('%s rows were updated or deleted', s.changed) ELSE 'track_counts is off' END,
		   -- a unique index that could serve as one
		   (SELECT format('ALTER TABLE %s ADD PRIMARY KEY USING INDEX %I', k.table_name, x.relname)
			FROM pg_index AS i
			JOIN pg_class AS x ON x.oid = i.indexrelid
			WHERE i.indrelid = k.oid AND k.relkind = 'r' AND i.indisunique AND i.indisvalid AND i.indimmediate
			  AND i.indpred IS NULL AND i.indexprs IS NULL AND 0 = ALL (i.indoption)
			  AND NOT EXISTS (SELECT FROM pg_constraint AS q WHERE q.conindid = i.indexrelid AND q.contype IN ('u', 'x'))
			  AND NOT EXISTS (SELECT FROM pg_attribute AS a
							  WHERE a.attrelid = k.oid AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull)
			ORDER BY i.indexrelid LIMIT 1), false
	FROM keyless AS k
	CROSS JOIN LATERAL (
		SELECT CASE WHEN k.relkind = 'r' THEN pg_stat_get_tuples_updated(k.oid) + pg_stat_get_tuples_deleted(k.oid)
			   ELSE (
				WITH RECURSIVE part(oid) AS (
					SELECT k.oid
					UNION ALL
					SELECT h.inhrelid FROM part AS p JOIN pg_inherits AS h ON h.inhparent = p.oid
				)
				SELECT sum(pg_stat_get_tuples_updated(p.oid) + pg_stat_get_tuples_deleted(p.oid)) FROM part AS p) END) AS s(changed);

	-- Served by: an index whose leading columns are the key's, in any order,
	-- whole, or partial for nothing but NULLs (which no look-up asks for).  Most
	-- keys are: names are looked up for the others only.
	RETURN QUERY
	WITH unserved AS MATERIALIZED (
		SELECT k.conname, k.conrelid, k.confrelid, k.conkey
		FROM pg_constraint AS k
		WHERE k.contype = 'f' AND k.conparentid = 0
		  AND (server_version < 180000 OR (to_jsonb(k) ->> 'conenforced')::boolean)
		  AND NOT EXISTS (
			SELECT FROM pg_index AS i
			JOIN pg_class AS x ON x.oid = i.indexrelid
			JOIN pg_am AS m ON m.oid = x.relam
			WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indnkeyatts >= cardinality(k.conkey)
			  AND m.amname IN ('btree', 'hash')
			  AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
			  AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] <@ k.conkey
			  AND (i.indpred IS NULL
				   OR cardinality(k.conkey) = 1
					  AND i.indpred::text LIKE format('{NULLTEST :arg {VAR :varno 1 :varattno %s %% :nulltesttype 1 %%', k.conkey[1])))
	)
	SELECT 'foreign_key_without_index', format('%I.%I %I', n.nspname, c.relname, k.conname),
		   greatest(c.reltuples, 0)::numeric, NULL::numeric,
		   format('no index leads with (%s), where deletes and key updates in %I.%I look', cols.list, rn.nspname, r.relname),
		   format('CREATE INDEX %sON %I.%I (%s)', CASE c.relkind WHEN 'p' THEN '' ELSE 'CONCURRENTLY ' END,
				  n.nspname, c.relname, cols.list), false
	FROM unserved AS k
	JOIN pg_class AS c ON c.oid = k.conrelid
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
	JOIN pg_class AS r ON r.oid = k.confrelid
	JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
	CROSS JOIN LATERAL (
		SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.ord)
		FROM unnest(k.conkey) WITH ORDINALITY AS u(num, ord)
		JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.num) AS cols(list)
	WHERE c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\_%'
	  AND NOT EXISTS (SELECT FROM pg_depend AS d
					  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');

	-- Inherited constraints follow their parent; one that is declared NOT
	-- ENFORCED (from 18 on) is not to be checked at all.
	RETURN QUERY
	SELECT 'unvalidated_constraints', format('%I.%I %I', n.nspname, coalesce(c.relname, t.typname), k.conname),
		   1::numeric, NULL::numeric,
		   CASE k.contype WHEN 'f' THEN 'rows older than this foreign key were never checked'
						  ELSE 'rows older than this constraint were never checked' END,
		   format('ALTER %s %I.%I VALIDATE CONSTRAINT %I',
				  CASE WHEN t.oid IS NOT NULL THEN 'DOMAIN' WHEN c.relkind = 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
				  n.nspname, coalesce(c.relname, t.typname), k.conname), false
	FROM pg_constraint AS k
	LEFT JOIN pg_class AS c ON c.oid = k.conrelid
	LEFT JOIN pg_type AS t ON t.oid = k.contypid
	JOIN pg_namespace AS n ON n.oid = coalesce(c.relnamespace, t.typnamespace)
	WHERE NOT k.convalidated AND k.conparentid = 0 AND k.conislocal
	  AND coalesce(c.relpersistence, 'p') <> 't' AND n.nspname NOT LIKE 'pg\_%'
	  AND (server_version < 180000 OR (to_jsonb(k) ->> 'conenforced')::boolean);

	-- A partition's trigger is told only if its parent's is enabled.
	RETURN QUERY
	SELECT DISTINCT ON (2)
		   'disabled_triggers', format('%I.%I %I', n.nspname, c.relname, coalesce(k.conname, g.tgname)),
		   1::numeric, NULL::numeric,
		   CASE WHEN g.tgisinternal THEN 'the constraint is not enforced when this table changes'
				ELSE 'the trigger is disabled' END,
		   CASE WHEN g.tgisinternal THEN format('ALTER TABLE %I.%I ENABLE TRIGGER ALL', n.nspname, c.relname)
				ELSE format('ALTER TABLE %I.%I ENABLE TRIGGER %I', n.nspname, c.relname, g.tgname) END, false
	FROM pg_trigger AS g
	JOIN pg_class AS c ON c.oid = g.tgrelid
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
	LEFT JOIN pg_constraint AS k ON k.oid = g.tgconstraint AND g.tgisinternal
	WHERE g.tgenabled = 'D' AND c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\_%'
	  AND NOT EXISTS (SELECT FROM pg_trigger AS p WHERE p.oid = g.tgparentid AND p.tgenabled = 'D')
	ORDER BY 2;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_tables() IS
	'what the checks on tables, constraints and triggers of the current database see, for dbutil.health';

-- Indexes of the current database.  Sizes are relpages, as of the last VACUUM,
-- ANALYZE or CREATE INDEX: asking for the real size would wait for locks.
CREATE FUNCTION dbutil.health_measure_indexes() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	page_mb numeric := current_setting('block_size')::numeric / 1048576;
	counting boolean := current_setting('track_counts');
	min_pages integer := ceil(1 / page_mb);		-- a megabyte
	stats_days numeric;
BEGIN
	-- CREATE INDEX and REINDEX CONCURRENTLY leave an index invalid while they run.
	-- Which table they work on is hidden from ordinary roles, that they run and
	-- what they lock is not.  The lock on the table alone would not do: VACUUM and
	-- ANALYZE take the same one.  On the index itself only REINDEX and DROP INDEX
	-- CONCURRENTLY take it, and what is over in a moment.
	RETURN QUERY
	WITH busy AS MATERIALIZED (
		SELECT l.relation, l.pid IN (SELECT b.pid FROM pg_stat_progress_create_index AS b) AS builds
		FROM pg_locks AS l
		WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
		  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
	)
	SELECT 'invalid_indexes', format('%I.%I', n.nspname, x.relname), x.relpages * page_mb, NULL::numeric,
		   CASE x.relkind WHEN 'I' THEN format('some partitions of %I have no index attached to it', c.relname)
						  ELSE format('an index of %I that was not built to the end, or is being dropped', c.relname) END,
		   -- a partitioned index becomes valid when all of its partitions have theirs
		   CASE WHEN x.relkind = 'I' THEN NULL
				WHEN x.relname ~ '_cc(new|old)\d*$' THEN format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, x.relname)
				ELSE format('REINDEX INDEX CONCURRENTLY %I.%I', n.nspname, x.relname) END, false
	FROM pg_index AS i
	JOIN pg_class AS x ON x.oid = i.indexrelid
	JOIN pg_class AS c ON c.oid = i.indrelid
	JOIN pg_namespace AS n ON n.oid = x.relnamespace
	WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND x.relpersistence <> 't'
	  AND NOT EXISTS (
		SELECT FROM busy AS b
		WHERE b.relation = i.indrelid AND b.builds OR b.relation = i.indexrelid);

	-- Duplicates: the same in all that decides what an index can do.  Of each
	-- such set the one that guards most stays, then the oldest; a unique index
	-- guards what it guards, and NULLs and the time of the check are part of
	-- that.  Expressions are compared as they are stored, less their place in
	-- the source text.
	RETURN QUERY
	WITH alike AS MATERIALIZED (
		SELECT array_agg(i.indexrelid) AS members
		FROM pg_index AS i
		WHERE i.indrelid >= 16384		-- those below are the system's own
		  AND i.indisvalid AND NOT i.indisexclusion
		GROUP BY i.indrelid, i.indnkeyatts, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text
		HAVING count(*) > 1
	), candidate AS MATERIALIZED (
		SELECT i.indexrelid, i.indrelid, i.indisunique, x.relpages, x.relispartition, n.nspname, x.relname,
			   i.indisprimary OR i.indisreplident AS is_key,
			   (SELECT k.conname FROM pg_depend AS d JOIN pg_constraint AS k ON k.oid = d.refobjid
				WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
				  AND d.refclassid = 'pg_constraint'::regclass AND d.deptype = 'i') AS conname,
			   -- by a foreign key
			   EXISTS (SELECT FROM pg_depend AS d
					   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indexrelid
						 AND d.classid = 'pg_constraint'::regclass) AS is_referenced,
			   CASE WHEN i.indisunique THEN concat_ws(' ', i.indimmediate, i.indnullsnotdistinct) END AS guard,
			   concat_ws(' / ', x.relam, i.indnkeyatts, i.indkey, i.indclass, i.indcollation, i.indoption,
						 coalesce(regexp_replace(i.indexprs::text, ':location -?\d+', '', 'g'), ''),
						 coalesce(regexp_replace(i.indpred::text, ':location -?\d+', '', 'g'), ''),
						 (SELECT string_agg(a.attoptions::text, ' ' ORDER BY a.attnum) FROM pg_attribute AS a
						  WHERE a.attrelid = i.indexrelid AND a.attoptions IS NOT NULL)) AS shape
		FROM alike AS s
		CROSS JOIN unnest(s.members) AS u(indexrelid)
		JOIN pg_index AS i ON i.indexrelid = u.indexrelid
		JOIN pg_class AS x ON x.oid = i.indexrelid
		JOIN pg_namespace AS n ON n.oid = x.relnamespace
		WHERE x.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
	), paired AS (
		SELECT c.*, first_value(c.indexrelid) OVER w AS keep_oid, first_value(c.relname) OVER w AS keep_name,
			   first_value(c.indexrelid) OVER g AS guard_oid, first_value(c.relname) OVER g AS guard_name
		FROM candidate AS c
		WINDOW w AS (PARTITION BY c.indrelid, c.shape
					 ORDER BY c.is_key DESC, c.is_referenced DESC, c.conname IS NOT NULL DESC, c.indisunique DESC,
							  c.relispartition DESC, c.indexrelid),
			   g AS (PARTITION BY c.indrelid, c.shape, c.guard
					 ORDER BY c.is_key DESC, c.is_referenced DESC, c.conname IS NOT NULL DESC, c.indisunique DESC,
							  c.relispartition DESC, c.indexrelid)
	)
	SELECT 'duplicate_indexes', format('%I.%I', p.nspname, p.relname), p.relpages * page_mb, NULL::numeric,
		   format('it does nothing that %I does not', CASE WHEN p.indisunique THEN p.guard_name ELSE p.keep_name END),
		   CASE WHEN p.conname IS NOT NULL THEN format('ALTER TABLE %I.%I DROP CONSTRAINT %I', cn.nspname, c.relname, p.conname)
				WHEN c.relkind = 'p' THEN format('DROP INDEX %I.%I', p.nspname, p.relname)
				ELSE format('DROP INDEX CONCURRENTLY %I.%I', p.nspname, p.relname) END, false
	FROM paired AS p
	JOIN pg_class AS c ON c.oid = p.indrelid
	JOIN pg_namespace AS cn ON cn.oid = c.relnamespace
	WHERE p.indexrelid <> CASE WHEN p.indisunique THEN p.guard_oid ELSE p.keep_oid END
	  AND NOT p.is_key AND NOT p.is_referenced
	  AND NOT p.relispartition;		-- told by its parent, and not to be dropped alone

	-- Scans are counted where they happen, so a standby cannot judge.  The
	-- archiver's statistics are as old as the last start after initdb or a
	-- crash, when all others began anew, too.
	IF NOT pg_is_in_recovery() THEN
		SELECT extract(epoch FROM clock_timestamp() - greatest(d.stats_reset, a.stats_reset)) / 86400
		INTO stats_days
		FROM pg_stat_database AS d, pg_stat_archiver AS a
		WHERE d.datname = current_database();
		RETURN QUERY
		SELECT 'unused_indexes', format('%I.%I', n.nspname, x.relname),
			   CASE WHEN counting THEN x.relpages * page_mb END, coalesce(stats_days, 0),
			   CASE WHEN counting THEN format('used by %s scans in %s days', pg_stat_get_numscans(x.oid), round(stats_days, 1))
					ELSE 'track_counts is off' END,
			   format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, x.relname), false
		FROM pg_class AS x
		JOIN pg_index AS i ON i.indexrelid = x.oid
		JOIN pg_namespace AS n ON n.oid = x.relnamespace
		WHERE x.relpages >= min_pages AND x.relkind = 'i' AND x.relpersistence <> 't' AND NOT x.relispartition
		  AND i.indisvalid AND NOT (i.indisunique OR i.indisexclusion OR i.indisreplident)
		  AND i.indexprs IS NULL		-- these feed the planner with statistics
		  AND n.nspname NOT LIKE 'pg\_%'
		  AND pg_stat_get_numscans(x.oid) <= 20
		  AND NOT EXISTS (SELECT FROM pg_depend AS d
						  WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indrelid AND d.deptype = 'e');
	END IF;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_indexes() IS
	'what the checks on indexes of the current database see, for dbutil.health';

-- Sequences.  pg_sequences keeps a lock on each sequence it looks at until the
-- transaction ends, so ten thousand of them would fill the lock table.
CREATE FUNCTION dbutil.health_sequence_position(seq oid) RETURNS bigint
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_health_sequence_position';
COMMENT ON FUNCTION dbutil.health_sequence_position(oid) IS
	'where a sequence stands, without waiting for a lock or keeping one. NULL: no such sequence, it is locked against reading or is not there on a standby, or you have neither SELECT nor USAGE on it';

CREATE FUNCTION dbutil.health_measure_sequences() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
BEGIN
	-- A sequence feeds the columns that own it (serial, identity) and those
	-- whose default draws from it.  One that cycles has no end.
	RETURN QUERY
	WITH source AS MATERIALIZED (
		SELECT c.oid, n.nspname, c.relname, q.seqtypid, q.seqmin, q.seqmax, q.seqincrement
		FROM pg_sequence AS q
		JOIN pg_class AS c ON c.oid = q.seqrelid
		JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE NOT q.seqcycle AND c.relpersistence <> 't'
	), feeds AS (
		SELECT s.oid, d.refobjid AS relid, d.refobjsubid AS num
		FROM source AS s
		JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
		WHERE d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
		UNION
		SELECT s.oid, f.adrelid, f.adnum
		FROM source AS s
		JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid
		JOIN pg_attrdef AS f ON f.oid = d.objid
		WHERE d.classid = 'pg_attrdef'::regclass
	), narrowest AS (
		SELECT DISTINCT ON (f.oid) f.oid, f.relid, a.attname, w.bytes
		FROM feeds AS f
		JOIN pg_attribute AS a ON a.attrelid = f.relid AND a.attnum = f.num
		-- a domain may be over a domain
		CROSS JOIN LATERAL (
			WITH RECURSIVE base AS (
				SELECT t.oid, t.typbasetype FROM pg_type AS t WHERE t.oid = a.atttypid
				UNION ALL
				SELECT t.oid, t.typbasetype FROM base AS b JOIN pg_type AS t ON t.oid = b.typbasetype
			)
			SELECT CASE b.oid WHEN 'int2'::regtype THEN 2 WHEN 'int4'::regtype THEN 4 ELSE 8 END
			FROM base AS b WHERE b.typbasetype = 0) AS w(bytes)
		ORDER BY f.oid, w.bytes, f.relid, f.num
	), reach AS (
		SELECT s.*, v.relid, v.attname, coalesce(v.bytes, 8) AS bytes, z.stands_at,
			   -- the first and the last value it can give to its column, in its direction
			   CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END::numeric AS first_value,
			   CASE WHEN s.seqincrement > 0 THEN least(s.seqmax, round(2::numeric ^ (8 * coalesce(v.bytes, 8) - 1)) - 1)
					ELSE greatest(s.seqmin, -round(2::numeric ^ (8 * coalesce(v.bytes, 8) - 1))) END AS final_value
		FROM source AS s
		LEFT JOIN narrowest AS v ON v.oid = s.oid
		CROSS JOIN LATERAL (SELECT dbutil.health_sequence_position(s.oid)) AS z(stands_at)
	)
	SELECT 'sequence_exhaustion', format('%I.%I', r.nspname, r.relname),
		   CASE WHEN r.final_value = r.first_value THEN 100 * sign(abs(r.stands_at - r.first_value))
				ELSE 100 * (r.stands_at - r.first_value) / (r.final_value - r.first_value) END, NULL::numeric,
		   CASE WHEN r.stands_at IS NULL THEN 'the value of the sequence is hidden, or it is locked'
				WHEN r.relid IS NULL THEN format('at %s of %s', r.stands_at, r.final_value)
				ELSE format('at %s of %s, for %I.%I (%I)', r.stands_at, r.final_value, tn.nspname, t.relname, r.attname) END,
		   CASE WHEN r.stands_at IS NULL THEN NULL
				WHEN r.relid IS NOT NULL AND r.bytes < 8
				THEN format('ALTER TABLE %I.%I ALTER COLUMN %I TYPE bigint; ALTER SEQUENCE %I.%I AS bigint',
							tn.nspname, t.relname, r.attname, r.nspname, r.relname)
				WHEN r.seqtypid <> 'int8'::regtype THEN format('ALTER SEQUENCE %I.%I AS bigint', r.nspname, r.relname)
				WHEN r.seqincrement > 0 AND r.seqmax < 9223372036854775807 THEN format('ALTER SEQUENCE %I.%I NO MAXVALUE', r.nspname, r.relname)
				END,
		   r.stands_at IS NULL AND NOT coalesce(has_sequence_privilege(r.oid, 'SELECT, USAGE'), true)
	FROM reach AS r
	LEFT JOIN pg_class AS t ON t.oid = r.relid
	LEFT JOIN pg_namespace AS tn ON tn.oid = t.relnamespace;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_sequences() IS
	'how much is used of each sequence of the current database, for dbutil.health';

-- How services use the database: what tracking saw of them, and what was set for them.
CREATE FUNCTION dbutil.health_measure_practice() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	free_to_all integer := current_setting('max_connections')::integer
		- current_setting('superuser_reserved_connections')::integer
		- coalesce(current_setting('reserved_connections', true)::integer, 0);	-- from 16 on
BEGIN
	-- Without preload nothing is tracked, which dbutil_losses tells.
	IF (SELECT s.state = 'ok' FROM dbutil.status() AS s WHERE s.item = 'preload') THEN
		RETURN QUERY
		SELECT 'unprepared_repetition', s.service,
			   CASE WHEN s.total_plan_time > 0
					THEN (100 * s.total_plan_time / (s.total_plan_time + s.total_exec_time))::numeric
					WHEN current_setting('dbutil.track_planning')::boolean THEN 0 END, s.calls::numeric,
			   CASE WHEN s.total_plan_time > 0 OR current_setting('dbutil.track_planning')::boolean
					THEN format('%s ms of planning and %s ms of execution in %s statements', round(s.total_plan_time), round(s.total_exec_time), s.calls)
					ELSE 'dbutil.track_planning is off' END, NULL::text, false
		FROM dbutil.services() AS s;

		-- One row with each statement, as those that read write none: rather less
		-- than one says that the service does other work, too.
		RETURN QUERY
		SELECT 'row_at_a_time_writes', t.service,
			   CASE WHEN t.rows_written BETWEEN 0.5 * t.statements AND 1.2 * t.statements
					THEN round(t.statements / t.transactions, 1) ELSE 0 END, t.statements,
			   format('%s rows in %s statements of %s transactions', t.rows_written, t.statements, t.transactions), NULL::text, false
		FROM (SELECT x.service, sum(x.statements) AS statements, sum(x.rows_written) AS rows_written,
					 sum(x.commits + x.rollbacks) AS transactions
			  FROM dbutil.transactions() AS x WHERE x.rows_written > 0 GROUP BY x.service) AS t;
	END IF;

	-- A role in a database that has a service of its own is enrolled.  What is set
	-- most closely to it counts; what the server's configuration says is known as
	-- far as nothing else is set for the role that asks.
	RETURN QUERY
	WITH setting AS (
		SELECT s.setdatabase, s.setrole, split_part(c.c, '=', 1) AS name, substr(c.c, strpos(c.c, '=') + 1) AS value
		FROM pg_db_role_setting AS s CROSS JOIN LATERAL unnest(s.setconfig) AS c(c)
	)
	SELECT 'missing_timeouts', format('%I in %I', r.rolname, d.datname),
		   CASE WHEN coalesce(t.value, g.reset_val) ~ '^0\D*$' THEN 1 ELSE 0 END::numeric, NULL::numeric,
		   format('idle_in_transaction_session_timeout is %s for service %s', coalesce(t.value, g.reset_val), e.value),
		   format('ALTER ROLE %I IN DATABASE %I SET idle_in_transaction_session_timeout = ''60s''', r.rolname, d.datname), false
	FROM setting AS e
	JOIN pg_roles AS r ON r.oid = e.setrole
	JOIN pg_database AS d ON d.oid = e.setdatabase
	CROSS JOIN (SELECT s.reset_val FROM pg_settings AS s WHERE s.name = 'idle_in_transaction_session_timeout') AS g
	LEFT JOIN LATERAL (
		SELECT s.value FROM setting AS s
		WHERE s.name = 'idle_in_transaction_session_timeout'
		  AND s.setdatabase IN (0, e.setdatabase) AND s.setrole IN (0, e.setrole)
		ORDER BY s.setrole <> 0 AND s.setdatabase <> 0 DESC, s.setrole <> 0 DESC, s.setdatabase <> 0 DESC LIMIT 1) AS t ON true
	WHERE e.name = 'dbutil.service' AND e.value <> '';

	RETURN QUERY
	SELECT 'connection_limits', 'server', coalesce(100.0 * sum(r.rolconnlimit) / greatest(free_to_all, 1), 0), NULL::numeric,
		   format('%s roles may have %s connections, there are %s', count(*), coalesce(sum(r.rolconnlimit), 0), free_to_all), NULL::text, false
	FROM pg_roles AS r
	WHERE r.rolcanlogin AND r.rolconnlimit > 0 AND NOT r.rolsuper;

	RETURN QUERY
	SELECT 'foreign_batch_size', format('%I.%I', n.nspname, c.relname), 1::numeric, NULL::numeric,
		   format('server %I, batch_size 1', s.srvname),
		   format('ALTER FOREIGN TABLE %I.%I OPTIONS (%s batch_size ''100'')', n.nspname, c.relname, CASE WHEN o.own_batch IS NULL THEN 'ADD' ELSE 'SET' END), false
	FROM pg_foreign_table AS f
	JOIN pg_foreign_server AS s ON s.oid = f.ftserver
	JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
	JOIN pg_class AS c ON c.oid = f.ftrelid
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
	CROSS JOIN LATERAL (
		SELECT (SELECT p.option_value FROM pg_options_to_table(f.ftoptions) AS p WHERE p.option_name = 'batch_size') AS own_batch,
			   (SELECT p.option_value FROM pg_options_to_table(s.srvoptions) AS p WHERE p.option_name = 'batch_size') AS server_batch,
			   (SELECT p.option_value FROM pg_options_to_table(f.ftoptions) AS p WHERE p.option_name = 'updatable') AS own_updatable,
			   (SELECT p.option_value FROM pg_options_to_table(s.srvoptions) AS p WHERE p.option_name = 'updatable') AS server_updatable) AS o
	WHERE w.fdwname = 'postgres_fdw'
	  AND coalesce(o.own_batch, o.server_batch, '1')::bigint <= 1
	  AND coalesce(o.own_updatable, o.server_updatable, 'true')::boolean;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_practice() IS
	'what the checks on how services use the database see, for dbutil.health';

-- The judge: puts what was measured beside the thresholds that hold for it.
CREATE FUNCTION dbutil.health_judge(measured_by text[],
	OUT check_name text, OUT level text, OUT object_name text, OUT status text, OUT value numeric, OUT unit text,
	OUT warn numeric, OUT critical numeric, OUT message text, OUT advice text,
	OUT suggested_sql text, OUT silenced boolean, OUT needs text)
	RETURNS SETOF record
	LANGUAGE plpgsql VOLATILE STRICT
	-- clocks and counters move within a statement, and so may thresholds
	SET search_path = pg_catalog, pg_temp
	-- a look at the server's health takes no workers from it, and compiles nothing
	SET max_parallel_workers_per_gather = 0
	SET jit = off
	AS $function$
DECLARE
	measure text;
	seen dbutil.health_measure[];
	measures dbutil.health_measure[];
	failed text[] := '{}';
BEGIN
	-- A measure that fails makes its checks unknown and leaves the others alone.
	FOREACH measure IN ARRAY measured_by
	LOOP
		BEGIN
			EXECUTE format('SELECT array_agg(m) FROM dbutil.%I() AS m', 'health_measure_' || measure) INTO seen;
			measures := measures || seen;
		EXCEPTION WHEN OTHERS THEN
			measures := measures || ARRAY(
				SELECT (c.check_name, 'all', NULL, NULL, SQLERRM, NULL, SQLSTATE = '42501')::dbutil.health_measure
				FROM dbutil.health_checks AS c WHERE c.measured_by = measure);
			failed := failed || measure;
		END;
	END LOOP;

	RETURN QUERY
	WITH judged AS (
		SELECT c.check_name, c.level, coalesce(m.object_name, 'none') AS object_name, c.unit, m.value,
			   t.warn, t.critical, m.evidence, t.min_evidence, c.evidence_unit, c.description, c.advice, c.needs,
			   m.message, m.suggested_sql, m.hidden, c.measured_by,
			   CASE WHEN m.check_name IS NULL THEN 'ok'		-- nothing to find fault with
					WHEN m.value IS NULL OR m.evidence < t.min_evidence THEN 'unknown'
					WHEN CASE WHEN c.lower_is_worse THEN m.value <= t.critical ELSE m.value >= t.critical END THEN 'critical'
					WHEN CASE WHEN c.lower_is_worse THEN m.value <= t.warn ELSE m.value >= t.warn END THEN 'warn'
					ELSE 'ok' END AS status
		FROM dbutil.health_checks AS c
		LEFT JOIN unnest(measures) AS m ON m.check_name = c.check_name
		LEFT JOIN LATERAL (
			SELECT h.* FROM dbutil.health_settings AS h
			WHERE h.check_name = c.check_name AND coalesce(m.object_name, 'none') LIKE h.object_pattern
			ORDER BY length(h.object_pattern) DESC, h.object_pattern COLLATE "C" LIMIT 1) AS s ON true
		CROSS JOIN LATERAL (
			SELECT coalesce(s.warn, c.warn), coalesce(s.critical, c.critical),
				   coalesce(s.min_evidence, c.min_evidence)) AS t(warn, critical, min_evidence)
		WHERE c.measured_by = ANY (health_judge.measured_by) AND coalesce(s.enabled, true)
	)
	SELECT j.check_name, j.level, j.object_name, j.status, round(j.value, 2), j.unit, j.warn, j.critical,
		   CASE WHEN j.status = 'unknown' AND j.value IS NOT NULL
				THEN format('not judged yet, %s of %s %s: %s', round(j.evidence, 1), j.min_evidence, j.evidence_unit, j.message)
				ELSE coalesce(j.message, j.description || ': none') END,
		   j.advice, CASE WHEN j.status IN ('warn', 'critical') THEN j.suggested_sql END,
		   EXISTS (SELECT FROM dbutil.health_silences AS q
				   WHERE q.check_name = j.check_name AND j.object_name LIKE q.object_pattern
					 AND q.silenced_until > clock_timestamp()),
		   CASE WHEN j.status <> 'unknown' THEN NULL
				WHEN j.hidden THEN j.needs
				WHEN j.measured_by = ANY (failed) THEN 'a check that works' END
	FROM judged AS j;
END $function$;
COMMENT ON FUNCTION dbutil.health_judge(text[]) IS
	'the checks that these measures (health_checks.measured_by) make, judged; what dbutil.health and the views of one subject are made of';

CREATE FUNCTION dbutil.health(level text DEFAULT 'full',
	OUT check_name text, OUT object_name text, OUT status text, OUT value numeric, OUT unit text,
	OUT warn numeric, OUT critical numeric, OUT message text, OUT advice text,
	OUT suggested_sql text, OUT silenced boolean, OUT needs text)
	RETURNS SETOF record
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
	AS $function$
BEGIN
	IF level IS NULL OR level NOT IN ('quick', 'full') THEN
		RAISE EXCEPTION 'invalid value for parameter "level": "%"', coalesce(level, 'null')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Use one of: quick, full.';
	END IF;
	RETURN QUERY
	SELECT j.check_name, j.object_name, j.status, j.value, j.unit, j.warn, j.critical,
		   j.message, j.advice, j.suggested_sql, j.silenced, j.needs
	FROM dbutil.health_judge(ARRAY(
			SELECT DISTINCT c.measured_by FROM dbutil.health_checks AS c
			WHERE health.level IN ('full', c.level) ORDER BY 1)) AS j
	WHERE health.level IN ('full', j.level);
END $function$;
COMMENT ON FUNCTION dbutil.health(text) IS
	'one row per check and object: status ok | warn | critical | unknown, value in unit with the thresholds that hold for it, what was seen, advice, for warn and critical SQL to think about before running it (NULL: none), silenced by dbutil.health_silences, and needs: the privilege that an unknown lacks (NULL: it lacks something else, see message). A check that found no object says ok for "none". level: quick (sessions, server, replication; no catalogs of user tables) | full. Error: 22023 another level';

CREATE VIEW dbutil.health AS
	SELECT h.check_name, h.object_name, h.status, h.value, h.unit, h.warn, h.critical,
		   h.message, h.advice, h.suggested_sql, h.silenced, h.needs
	FROM dbutil.health('full') AS h;
COMMENT ON VIEW dbutil.health IS
	'all health checks of the server and the current database, as your role sees them; see the function of the same name';
GRANT SELECT ON dbutil.health TO PUBLIC;

-- What tracking and pg_stat_activity know of one service.
CREATE FUNCTION dbutil.health_service(service text) RETURNS jsonb
	LANGUAGE plpgsql STABLE STRICT
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	tracked jsonb;
	sessions jsonb;
BEGIN
	-- state is hidden, and NULL, in sessions of other roles
	SELECT jsonb_build_object(
			   'connections', count(*),
			   'active', CASE WHEN coalesce(bool_and(a.state IS NOT NULL), true) THEN count(*) FILTER (WHERE a.state = 'active') END,
			   'idle_in_transaction', CASE WHEN coalesce(bool_and(a.state IS NOT NULL), true)
										   THEN count(*) FILTER (WHERE a.state LIKE 'idle in transaction%') END,
			   'waiting_for_lock', CASE WHEN coalesce(bool_and(a.state IS NOT NULL), true)
										THEN count(*) FILTER (WHERE a.wait_event_type = 'Lock') END,
			   'longest_transaction_s', CASE WHEN coalesce(bool_and(a.state IS NOT NULL), true)
											 THEN round(coalesce(max(extract(epoch FROM clock_timestamp() - a.xact_start)), 0), 1) END)
	INTO sessions
	FROM pg_stat_activity AS a
	WHERE a.application_name = health_service.service AND a.datid IS NOT NULL AND a.pid <> pg_backend_pid();

	BEGIN
		SELECT to_jsonb(s) - 'service' INTO tracked
		FROM dbutil.services AS s WHERE s.service = health_service.service;
		tracked := coalesce(tracked, jsonb_build_object('calls', 0)) || (
			SELECT jsonb_build_object(
					   'mean_transaction_ms', sum(t.total_time) / nullif(sum(t.commits + t.rollbacks), 0),
					   'max_transaction_ms', max(t.max_time), 'max_commit_ms', max(t.max_commit_time))
			FROM dbutil.transactions AS t WHERE t.service = health_service.service);
		tracked := tracked || '{"status": "ok"}';
	EXCEPTION WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN
		-- tracking needs preload; the verdict does not
		tracked := jsonb_build_object('status', 'unknown', 'reason', SQLERRM);
	END;
	RETURN jsonb_build_object('name', service, 'sessions', sessions, 'tracked', tracked);
END $function$;
COMMENT ON FUNCTION dbutil.health_service(text) IS
	'one service for dbutil.check_database_health: sessions are the other sessions whose application_name it is (null where your role may not see what they do), tracked its totals in dbutil.services and dbutil.transactions since the last reset, times in milliseconds; status unknown with a reason where nothing is tracked';

CREATE FUNCTION dbutil.check_database_health(service text DEFAULT NULL, level text DEFAULT 'full')
	RETURNS jsonb
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	report jsonb;
	started timestamptz := pg_postmaster_start_time();
BEGIN
	-- A check counts once, with the worst of its objects, so that a thousand
	-- small findings do not hide a big one, nor a thousand good objects a bad.
	WITH found AS MATERIALIZED (
		SELECT h.*, array_position(ARRAY['critical', 'warn', 'unknown', 'ok'], h.status) AS severity
		FROM dbutil.health(level) AS h
	), per_check AS (
		SELECT f.check_name, min(f.severity) FILTER (WHERE NOT f.silenced) AS severity,
			   bool_or(f.status = 'unknown' AND f.needs IN ('pg_monitor', 'a check that works') AND NOT f.silenced) AS blind
		FROM found AS f GROUP BY f.check_name
	), counts AS (
		SELECT count(*) FILTER (WHERE p.severity = 1) AS critical,
			   count(*) FILTER (WHERE p.severity = 2) AS warn,
			   count(*) FILTER (WHERE p.severity = 3) AS not_known,
			   count(*) FILTER (WHERE p.severity = 4) AS ok,
			   bool_or(p.blind) AS blind
		FROM per_check AS p
	), worst AS (
		SELECT f.* FROM found AS f
		WHERE f.severity <= 2 AND NOT f.silenced
		ORDER BY f.severity, f.check_name, f.value DESC, f.object_name
		LIMIT 20
	)
	SELECT jsonb_build_object(
		'status', CASE WHEN c.critical > 0 THEN 'critical' WHEN c.warn > 0 THEN 'warn' WHEN c.blind THEN 'unknown' ELSE 'ok' END,
		'score', CASE WHEN c.critical + c.warn + c.ok > 0 THEN greatest(0, 100 - 25 * c.critical - 5 * c.warn) END,
		'level', level,
		'checked_at', clock_timestamp(),
		'counts', jsonb_build_object('ok', c.ok, 'warn', c.warn, 'critical', c.critical, 'unknown', c.not_known,
									 'silenced', (SELECT count(*) FROM found AS f WHERE f.severity <= 2 AND f.silenced)),
		'findings_total', (SELECT count(*) FROM found AS f WHERE f.severity <= 2 AND NOT f.silenced),
		'findings', coalesce((
			SELECT jsonb_agg(jsonb_build_object(
				'check', w.check_name, 'object', w.object_name, 'status', w.status, 'value', w.value, 'unit', w.unit,
				'warn', w.warn, 'critical', w.critical, 'message', w.message, 'advice', w.advice,
				'suggested_sql', w.suggested_sql)
				ORDER BY w.severity, w.check_name, w.value DESC, w.object_name)
			FROM worst AS w), '[]'),
		'unknown', coalesce((
			SELECT jsonb_agg(jsonb_build_object('check', u.check_name, 'objects', u.objects, 'needs', u.needs, 'message', u.message)
							 ORDER BY u.check_name)
			FROM (SELECT f.check_name, count(*) AS objects, min(f.needs) AS needs, min(f.message) AS message
				  FROM found AS f WHERE f.severity = 3 AND NOT f.silenced
				  GROUP BY f.check_name) AS u), '[]'))
	INTO report
	FROM counts AS c;

	report := report || jsonb_build_object('server', jsonb_build_object(
		'version', current_setting('server_version'),
		'version_num', current_setting('server_version_num')::integer,
		'dbutil', dbutil.version(),
		'database', current_database(),
		'role', CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END,
		'in_recovery', pg_is_in_recovery(),
		'started_at', started,
		'uptime_s', floor(extract(epoch FROM clock_timestamp() - started))));
	IF service IS NOT NULL THEN
		report := report || jsonb_build_object('service', dbutil.health_service(service));
	END IF;
	RETURN report;
END $function$;
COMMENT ON FUNCTION dbutil.check_database_health(text, text) IS
	'what a service''s /health endpoint returns. status: critical or warn if a check is, else unknown if your role lacks pg_monitor or a check failed, else ok. score: 100 less 25 for each critical check and 5 for each warning. counts: checks by their worst object, and findings silenced. findings: the 20 worst of findings_total; unknown: checks that could not judge, and why; server: facts; service (its name given): dbutil.health_service. level: quick | full. Error: 22023 another level';

-- Views to look around in.  Each tells what there is of one subject, and puts
-- beside each object what the checks say of it: status, and findings, the checks
-- that warn.  What a role may not see is NULL, and its status unknown.

-- Who waits for whom.  A session in a queue for a lock waits for all before it,
-- so there are many paths to it; it is shown once, as near to a root as it can be.
CREATE FUNCTION dbutil.blocking_tree(
	OUT tree text, OUT pid integer, OUT depth integer, OUT blocks integer, OUT blocked_by integer[],
	OUT waits_for text, OUT wait_s numeric, OUT transaction_s numeric, OUT database name, OUT username name,
	OUT application_name text, OUT state text, OUT query text, OUT suggested_sql text)
	RETURNS SETOF record
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
	SET max_parallel_workers_per_gather = 0
	SET jit = off
	AS $function$
DECLARE
	waiters integer[];		-- an edge is waiters[i] waits for blockers[i]
	blockers integer[];
	placed integer[] := '{}';
	parents integer[] := '{}';
	depths integer[] := '{}';
	found_pids integer[];
	found_parents integer[];
	level integer;
BEGIN
	SELECT array_agg(w.pid), array_agg(b.pid)
	INTO waiters, blockers
	FROM (SELECT DISTINCT l.pid FROM pg_locks AS l WHERE NOT l.granted) AS w
	-- members of a parallel group are told by their leader, and several times
	CROSS JOIN LATERAL (SELECT DISTINCT u.pid FROM unnest(pg_blocking_pids(w.pid)) AS u(pid)) AS b;
	IF waiters IS NULL THEN
		RETURN;
	END IF;

	LOOP
		-- those who wait for nobody; then, of sessions that wait in a circle
		-- until the deadlock is found, the first
		SELECT array_agg(r.pid ORDER BY r.pid) INTO found_pids
		FROM (SELECT unnest(blockers) EXCEPT SELECT unnest(waiters || placed)) AS r(pid);
		IF found_pids IS NULL THEN
			SELECT array_agg(r.pid) INTO found_pids
			FROM (SELECT min(u.pid) FROM unnest(waiters) AS u(pid) WHERE u.pid <> ALL (placed) HAVING count(*) > 0) AS r(pid);
			EXIT WHEN found_pids IS NULL;
		END IF;
		found_parents := array_fill(NULL::integer, ARRAY[cardinality(found_pids)]);
		level := 0;
		LOOP
			placed := placed || found_pids;
			parents := parents || found_parents;
			depths := depths || array_fill(level, ARRAY[cardinality(found_pids)]);
			SELECT array_agg(n.waiter), array_agg(n.blocker) INTO found_pids, found_parents
			FROM (SELECT e.waiter, min(e.blocker) AS blocker FROM unnest(waiters, blockers) AS e(waiter, blocker)
				  WHERE e.blocker = ANY (found_pids) AND e.waiter <> ALL (placed)
				  GROUP BY e.waiter) AS n;
			EXIT WHEN found_pids IS NULL;
			level := level + 1;
		END LOOP;
	END LOOP;

	RETURN QUERY
	WITH RECURSIVE node AS MATERIALIZED (
		SELECT p.pid, p.parent, p.depth FROM unnest(placed, parents, depths) AS p(pid, parent, depth)
	), above(pid, ancestor) AS (
		SELECT n.pid, n.pid FROM node AS n
		UNION ALL
		SELECT a.pid, n.parent FROM above AS a JOIN node AS n ON n.pid = a.ancestor WHERE n.parent IS NOT NULL
	), weight AS (
		SELECT a.ancestor AS pid, count(*)::integer - 1 AS below FROM above AS a GROUP BY a.ancestor
	), walk AS (
		SELECT n.pid, n.depth, w.below, ARRAY[[-w.below, n.pid]] AS place
		FROM node AS n JOIN weight AS w ON w.pid = n.pid WHERE n.parent IS NULL
		UNION ALL
		SELECT n.pid, n.depth, w.below, p.place || ARRAY[[-w.below, n.pid]]
		FROM walk AS p JOIN node AS n ON n.parent = p.pid JOIN weight AS w ON w.pid = n.pid
	), lock AS (
		SELECT DISTINCT ON (l.pid) l.pid, extract(epoch FROM clock_timestamp() - l.waitstart) AS seconds,
			   l.mode || ' on ' || CASE
				   WHEN l.locktype IN ('relation', 'extend', 'page', 'tuple') AND c.oid IS NOT NULL
				   THEN CASE l.locktype WHEN 'relation' THEN '' ELSE l.locktype || ' of ' END || format('%I.%I', n.nspname, c.relname)
				   WHEN l.locktype = 'transactionid' THEN format('transaction %s', l.transactionid)
				   WHEN l.locktype = 'virtualxid' THEN format('virtual transaction %s', l.virtualxid)
				   ELSE l.locktype || coalesce(format(' (relation %s in database %s)', l.relation, l.database), '') END AS what
		FROM pg_locks AS l
		LEFT JOIN pg_class AS c
			ON c.oid = l.relation AND l.database IN (0, (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
		LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE NOT l.granted AND l.pid = ANY (waiters)
		ORDER BY l.pid, l.waitstart
	)
	SELECT repeat('    ', w.depth) || CASE w.pid WHEN 0 THEN 'prepared transaction' ELSE w.pid::text END,
		   w.pid, w.depth, w.below,
		   (SELECT array_agg(e.blocker ORDER BY e.blocker) FROM unnest(waiters, blockers) AS e(waiter, blocker) WHERE e.waiter = w.pid),
		   k.what, round(k.seconds, 1), round(extract(epoch FROM clock_timestamp() - a.xact_start), 1),
		   a.datname, a.usename, a.application_name, a.state, a.query,
		   CASE WHEN w.depth > 0 THEN NULL
				WHEN w.pid = 0 THEN 'SELECT gid, prepared, owner, database FROM pg_prepared_xacts ORDER BY prepared'
				WHEN a.state = 'active' THEN format('SELECT pg_cancel_backend(%s)', w.pid)
				ELSE format('SELECT pg_terminate_backend(%s)', w.pid) END
	FROM walk AS w
	LEFT JOIN pg_stat_activity AS a ON a.pid = w.pid
	LEFT JOIN lock AS k ON k.pid = w.pid
	ORDER BY w.place;
END $function$;
COMMENT ON FUNCTION dbutil.blocking_tree() IS
	'sessions that wait for a lock, below those that they wait for; see the view of the same name';

CREATE VIEW dbutil.blocking_tree AS
	SELECT b.tree, b.pid, b.depth, b.blocks, b.blocked_by, b.waits_for, b.wait_s, b.transaction_s,
		   b.database, b.username, b.application_name, b.state, b.query, b.suggested_sql
	FROM dbutil.blocking_tree() AS b;
COMMENT ON VIEW dbutil.blocking_tree IS
	'sessions that wait for a lock below the session that keeps them waiting, the root with most below it first; no row: nobody waits. tree: the pid, indented by depth (0: waits for nobody, or is first of a circle). pid: 0 for a prepared transaction. blocks: how many are below. blocked_by: all that it waits for (a session is shown once). waits_for: the lock. wait_s, transaction_s: seconds. query and state are those that pg_stat_activity shows your role. suggested_sql: for a root, what would free the others; think before you run it';
GRANT SELECT ON dbutil.blocking_tree TO PUBLIC;

-- What the checks say of each relation of the current database, by its name:
-- objects are a relation, or something of a relation behind a blank.
CREATE FUNCTION dbutil.health_by_relation(measured_by text[],
	OUT relation_name text, OUT status text, OUT findings text[])
	RETURNS SETOF record
	LANGUAGE sql VOLATILE STRICT
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT n.relation, (ARRAY['critical', 'warn', 'unknown', 'ok'])[min(n.severity)],
		   array_agg(DISTINCT n.check_name ORDER BY n.check_name) FILTER (WHERE n.severity <= 2)
	FROM (SELECT j.check_name, j.object_name, array_position(ARRAY['critical', 'warn', 'unknown', 'ok'], j.status) AS severity,
				 substring(j.object_name FROM '^((?:"(?:[^"]|"")+"|[^". ]+)\.(?:"(?:[^"]|"")+"|[^". ]+))') AS relation
		  FROM dbutil.health_judge(health_by_relation.measured_by) AS j
		  WHERE NOT j.silenced) AS n
	WHERE n.relation IS NOT NULL OR n.object_name = 'all'
	GROUP BY n.relation;
END;
COMMENT ON FUNCTION dbutil.health_by_relation(text[]) IS
	'the worst status and the checks that warn, for each relation that these measures looked at; relation_name NULL: what could not be measured at all';

CREATE VIEW dbutil.table_health AS
	WITH judged AS MATERIALIZED (SELECT r.* FROM dbutil.health_by_relation('{tables,bloat}') AS r)
	SELECT t.table_name, coalesce(h.status, failed.status, 'ok') AS status, h.findings,
		   nullif(t.reltuples, -1)::bigint AS estimated_rows,
		   t.relpages * t.block AS table_bytes, coalesce(x.pages, 0) * t.block AS index_bytes,
		   coalesce(o.relpages, 0) * t.block AS toast_bytes,
		   pg_catalog.pg_stat_get_live_tuples(t.oid) AS live_rows, pg_catalog.pg_stat_get_dead_tuples(t.oid) AS dead_rows,
		   b.bloat_bytes, b.bloat_percent,
		   pg_catalog.pg_stat_get_numscans(t.oid) AS seq_scans, x.scans AS index_scans,
		   pg_catalog.pg_stat_get_tuples_inserted(t.oid) AS rows_inserted, pg_catalog.pg_stat_get_tuples_updated(t.oid) AS rows_updated,
		   pg_catalog.pg_stat_get_tuples_hot_updated(t.oid) AS rows_hot_updated, pg_catalog.pg_stat_get_tuples_deleted(t.oid) AS rows_deleted,
		   greatest(pg_catalog.pg_stat_get_last_vacuum_time(t.oid), pg_catalog.pg_stat_get_last_autovacuum_time(t.oid)) AS last_vacuum,
		   greatest(pg_catalog.pg_stat_get_last_analyze_time(t.oid), pg_catalog.pg_stat_get_last_autoanalyze_time(t.oid)) AS last_analyze
	FROM (
		SELECT c.oid, c.reltoastrelid, c.reltuples, c.relpages,
			   pg_catalog.format('%I.%I', n.nspname, c.relname) AS table_name,
			   pg_catalog.current_setting('block_size')::bigint AS block
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
		  AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema') AS t
	LEFT JOIN judged AS h ON h.relation_name = t.table_name
	LEFT JOIN judged AS failed ON failed.relation_name IS NULL
	LEFT JOIN pg_catalog.pg_class AS o ON o.oid = t.reltoastrelid
	LEFT JOIN (
		SELECT i.indrelid, sum(c.relpages) AS pages, sum(pg_catalog.pg_stat_get_numscans(c.oid))::bigint AS scans
		FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
		GROUP BY i.indrelid) AS x ON x.indrelid = t.oid
	LEFT JOIN dbutil.table_bloat AS b ON b.relation = t.oid;
COMMENT ON VIEW dbutil.table_health IS
	'one row for each table and materialized view of the current database: status (the worst of the checks on tables) and findings (checks that warn, NULL: none; see dbutil.health), sizes in bytes and rows as of the last VACUUM or ANALYZE (so that no lock is waited for), bloat estimated from statistics (NULL: some column has none; free room that fillfactor asks for does not count; dbutil.measure_bloat() measures), scans and rows changed since statistics were reset';
GRANT SELECT ON dbutil.table_health TO PUBLIC;

CREATE VIEW dbutil.vacuum_health AS
	WITH judged AS MATERIALIZED (SELECT r.* FROM dbutil.health_by_relation('{tables}') AS r)
	SELECT t.table_name,
		   coalesce(CASE WHEN h.findings @> '{vacuum_overdue}' THEN h.status END, failed.status, 'ok') AS status,
		   v.enabled AS autovacuum_enabled, t.dead AS dead_rows, pg_catalog.round(v.vacuum_at) AS vacuum_at_dead_rows,
		   t.inserted AS inserted_since_vacuum, pg_catalog.round(v.insert_vacuum_at) AS vacuum_at_inserted,
		   t.changed AS changed_since_analyze, pg_catalog.round(v.analyze_at) AS analyze_at_changed,
		   t.xid_age, t.multixact_age, v.freeze_at AS freeze_at_age,
		   pg_catalog.round(100 * greatest(t.dead / greatest(v.vacuum_at, 1), t.inserted / greatest(v.insert_vacuum_at, 1),
								t.xid_age / v.freeze_at), 1) AS due_percent,
		   p.pid AS running_pid, p.phase AS running_phase,
		   pg_catalog.round(100.0 * p.heap_blks_scanned / nullif(p.heap_blks_total, 0), 1) AS scanned_percent,
		   p.index_vacuum_count AS index_passes,
		   pg_catalog.pg_stat_get_last_vacuum_time(t.oid) AS last_vacuum, pg_catalog.pg_stat_get_last_autovacuum_time(t.oid) AS last_autovacuum,
		   pg_catalog.pg_stat_get_last_analyze_time(t.oid) AS last_analyze, pg_catalog.pg_stat_get_last_autoanalyze_time(t.oid) AS last_autoanalyze,
		   pg_catalog.pg_stat_get_vacuum_count(t.oid) AS vacuum_count, pg_catalog.pg_stat_get_autovacuum_count(t.oid) AS autovacuum_count
	FROM (
		SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS table_name, c.reloptions,
			   pg_catalog.pg_stat_get_dead_tuples(c.oid)::numeric AS dead,
			   pg_catalog.pg_stat_get_ins_since_vacuum(c.oid)::numeric AS inserted,
			   pg_catalog.pg_stat_get_mod_since_analyze(c.oid)::numeric AS changed,
			   pg_catalog.age(c.relfrozenxid)::numeric AS xid_age, pg_catalog.mxid_age(c.relminmxid)::numeric AS multixact_age,
			   greatest(c.reltuples, 0)::numeric AS live,
			   1 - (pg_catalog.to_jsonb(c) ->> 'relallfrozen')::numeric / nullif(c.relpages, 0) AS unfrozen
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't') AS t
	LEFT JOIN judged AS h ON h.relation_name = t.table_name
	LEFT JOIN judged AS failed ON failed.relation_name IS NULL
	CROSS JOIN LATERAL dbutil.autovacuum_thresholds(t.reloptions, t.live, t.unfrozen) AS v
	LEFT JOIN pg_catalog.pg_stat_progress_vacuum AS p ON p.relid = t.oid AND p.datname = pg_catalog.current_database();
COMMENT ON VIEW dbutil.vacuum_health IS
	'one row for each table and materialized view of the current database, the catalogs too: what there is to vacuum, freeze and analyse, and at how much autovacuum comes (NULL: not for that reason), due_percent (100: it is due) and status by the check vacuum_overdue; the vacuum that runs now, how much of the table it has scanned (percent) and how often it had to go through the indexes; times and counts since statistics were reset. What a vacuum does is hidden, and NULL, unless your role has the privileges of pg_read_all_stats';
GRANT SELECT ON dbutil.vacuum_health TO PUBLIC;

CREATE VIEW dbutil.index_health AS
	WITH judged AS MATERIALIZED (SELECT r.* FROM dbutil.health_by_relation('{indexes,bloat}') AS r)
	SELECT x.index_name, x.table_name, coalesce(h.status, failed.status, 'ok') AS status, h.findings,
		   x.method, x.indisprimary AS is_primary, x.indisunique AS is_unique, x.indisvalid AS is_valid,
		   x.relpages * x.block AS index_bytes, nullif(x.reltuples, -1)::bigint AS entries,
		   b.bloat_bytes, b.bloat_percent,
		   pg_catalog.pg_stat_get_numscans(x.oid) AS scans, (u.seen ->> 'last_idx_scan')::timestamptz AS last_scan,
		   pg_catalog.pg_stat_get_tuples_returned(x.oid) AS rows_read, pg_catalog.pg_stat_get_tuples_fetched(x.oid) AS rows_fetched
	FROM (
		SELECT c.oid, c.relpages, c.reltuples, i.indisprimary, i.indisunique, i.indisvalid,
			   m.amname AS method, pg_catalog.format('%I.%I', n.nspname, c.relname) AS index_name,
			   pg_catalog.format('%I.%I', tn.nspname, t.relname) AS table_name,
			   pg_catalog.current_setting('block_size')::bigint AS block
		FROM pg_catalog.pg_index AS i
		JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
		JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
		JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
		WHERE c.relkind = 'i' AND c.relpersistence <> 't'
		  AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema') AS x
	LEFT JOIN judged AS h ON h.relation_name = x.index_name
	LEFT JOIN judged AS failed ON failed.relation_name IS NULL
	-- the column came with 16
	LEFT JOIN LATERAL (
		SELECT pg_catalog.to_jsonb(s) FROM pg_catalog.pg_stat_all_indexes AS s WHERE s.indexrelid = x.oid) AS u(seen) ON true
	LEFT JOIN dbutil.index_bloat AS b ON b.relation = x.oid;
COMMENT ON VIEW dbutil.index_health IS
	'one row for each index of the current database: status (the worst of the checks on indexes) and findings (checks that warn, NULL: none; see dbutil.health), size in bytes and entries as of the last VACUUM or ANALYZE, bloat of a btree estimated from statistics (NULL: another method, or a column without statistics; dbutil.measure_bloat() measures), scans and rows since statistics were reset (last_scan from PostgreSQL 16 on)';
GRANT SELECT ON dbutil.index_health TO PUBLIC;

CREATE VIEW dbutil.sequence_health AS
	SELECT j.object_name AS sequence_name, j.status, j.value AS used_percent,
		   dbutil.health_sequence_position(c.oid) AS stands_at, q.seqincrement AS increment,
		   q.seqmin AS min_value, q.seqmax AS max_value, q.seqtypid::regtype AS data_type,
		   j.message, j.suggested_sql
	FROM dbutil.health_judge('{sequences}') AS j
	LEFT JOIN (pg_catalog.pg_sequence AS q
			   JOIN pg_catalog.pg_class AS c ON c.oid = q.seqrelid
			   JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace)
		ON pg_catalog.format('%I.%I', n.nspname, c.relname) = j.object_name
	WHERE j.object_name <> 'none';
COMMENT ON VIEW dbutil.sequence_health IS
	'one row for each sequence of the current database that can come to its end: how much of it is used (percent, of the column it feeds if that is narrower; NULL and status unknown: hidden from your role, or locked), where it stands, and how to widen it';
GRANT SELECT ON dbutil.sequence_health TO PUBLIC;

-- Connections by who made them, beside what limits them.
CREATE VIEW dbutil.connection_health AS
	WITH judged AS MATERIALIZED (
		SELECT j.object_name, (ARRAY['critical', 'warn', 'unknown', 'ok'])[min(s.severity)] AS status,
			   pg_catalog.array_agg(DISTINCT j.check_name) FILTER (WHERE s.severity <= 2) AS findings
		FROM dbutil.health_judge('{sessions}') AS j
		CROSS JOIN LATERAL (SELECT pg_catalog.array_position(ARRAY['critical', 'warn', 'unknown', 'ok'], j.status)) AS s(severity)
		WHERE NOT j.silenced
		GROUP BY j.object_name)
	SELECT a.datname AS database, a.usename AS username, a.application_name,
		   CASE WHEN a.hidden AND coalesce(h.status, 'ok') = 'ok' THEN 'unknown' ELSE coalesce(h.status, 'ok') END AS status, h.findings,
		   a.connections,
		   CASE WHEN NOT a.hidden THEN a.active END AS active,
		   CASE WHEN NOT a.hidden THEN a.idle END AS idle,
		   CASE WHEN NOT a.hidden THEN a.idle_in_transaction END AS idle_in_transaction,
		   CASE WHEN NOT a.hidden THEN a.waiting_for_lock END AS waiting_for_lock,
		   a.longest_transaction_s, a.longest_idle_in_transaction_s, a.oldest_connection_s,
		   pg_catalog.round(100.0 * a.connections / pg_catalog.current_setting('max_connections')::integer, 1) AS percent_of_max,
		   nullif(r.rolconnlimit, -1) AS role_limit, nullif(d.datconnlimit, -1) AS database_limit
	FROM (
		SELECT s.datid, s.usesysid, s.datname, s.usename, s.application_name, count(*) AS connections,
			   pg_catalog.bool_or(s.state IS NULL) AS hidden,
			   count(*) FILTER (WHERE s.state = 'active') AS active,
			   count(*) FILTER (WHERE s.state = 'idle') AS idle,
			   count(*) FILTER (WHERE s.state LIKE 'idle in transaction%') AS idle_in_transaction,
			   count(*) FILTER (WHERE s.wait_event_type = 'Lock') AS waiting_for_lock,
			   pg_catalog.round(max(extract(epoch FROM pg_catalog.clock_timestamp() - s.xact_start)), 1) AS longest_transaction_s,
			   pg_catalog.round(max(extract(epoch FROM pg_catalog.clock_timestamp() - s.state_change))
					 FILTER (WHERE s.state LIKE 'idle in transaction%'), 1) AS longest_idle_in_transaction_s,
			   pg_catalog.round(max(extract(epoch FROM pg_catalog.clock_timestamp() - s.backend_start)), 1) AS oldest_connection_s
		FROM pg_catalog.pg_stat_activity AS s
		-- what kind of session it is, is hidden from others too; all of a database are clients' or workers'
		WHERE s.datid IS NOT NULL AND coalesce(s.backend_type, 'client backend') = 'client backend'
		GROUP BY s.datid, s.usesysid, s.datname, s.usename, s.application_name) AS a
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid = a.datid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.usesysid
	LEFT JOIN judged AS h ON h.object_name = pg_catalog.format('%s/%s/%s', a.datname, a.usename, a.application_name);
COMMENT ON VIEW dbutil.connection_health IS
	'connections to all databases, one row for each database, role and application: status (the worst of the checks on its sessions) and findings (checks that warn, NULL: none; see dbutil.health), how many are in which state, times in seconds of the longest, and the limits of the role and of the database (NULL: none). Where sessions of other roles are hidden from yours, states are NULL and status is unknown';
GRANT SELECT ON dbutil.connection_health TO PUBLIC;

-- Standbys, slots, subscriptions, and this server's own receiver.
CREATE VIEW dbutil.replication_health AS
	WITH judged AS MATERIALIZED (
		SELECT j.object_name,
			   CASE WHEN j.check_name LIKE 'replication\_slots%' THEN 'slot'
					WHEN j.check_name = 'replica_lag' THEN 'standby'
					WHEN j.check_name IN ('replay_delay', 'standby_retry_interval') THEN 'receiver'
					WHEN j.check_name = 'subscription_errors' THEN 'subscription' END AS about,
			   (ARRAY['critical', 'warn', 'unknown', 'ok'])[min(s.severity)] AS status,
			   pg_catalog.array_agg(DISTINCT j.check_name) FILTER (WHERE s.severity <= 2) AS findings
		FROM dbutil.health_judge('{replication}') AS j
		CROSS JOIN LATERAL (SELECT pg_catalog.array_position(ARRAY['critical', 'warn', 'unknown', 'ok'], j.status)) AS s(severity)
		WHERE NOT j.silenced
		GROUP BY 1, 2),
	here AS MATERIALIZED (
		SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
					ELSE pg_catalog.pg_current_wal_lsn() END AS lsn),
	seen AS (
		SELECT 'standby' AS kind, r.application_name AS name, r.state, r.sync_state, r.pid,
			   pg_catalog.pg_wal_lsn_diff(h.lsn, r.replay_lsn) AS lag_bytes, NULL::numeric AS kept_bytes,
			   extract(epoch FROM r.write_lag) AS write_lag_s, extract(epoch FROM r.flush_lag) AS flush_lag_s,
			   extract(epoch FROM r.replay_lag) AS replay_lag_s, r.state IS NULL AS hidden
		FROM pg_catalog.pg_stat_replication AS r, here AS h
		UNION ALL
		SELECT s.slot_type || ' slot', s.slot_name, CASE WHEN s.active THEN 'active' ELSE 'inactive' END || coalesce(', WAL ' || s.wal_status, ''),
			   NULL, s.active_pid, pg_catalog.pg_wal_lsn_diff(h.lsn, s.confirmed_flush_lsn), pg_catalog.pg_wal_lsn_diff(h.lsn, s.restart_lsn),
			   NULL, NULL, NULL, false
		FROM pg_catalog.pg_replication_slots AS s, here AS h
		UNION ALL
		SELECT 'receiver', 'server', w.status, NULL, w.pid,
			   pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()), NULL, NULL, NULL, NULL,
			   w.pid IS NOT NULL AND w.status IS NULL
		FROM (SELECT) AS one LEFT JOIN pg_catalog.pg_stat_wal_receiver AS w ON true
		WHERE pg_catalog.pg_is_in_recovery()
		UNION ALL
		SELECT 'subscription', u.subname, CASE WHEN u.pid IS NULL THEN 'no worker' ELSE 'running' END, NULL, u.pid,
			   pg_catalog.pg_wal_lsn_diff(u.received_lsn, u.latest_end_lsn), NULL, NULL, NULL, NULL, false
		FROM pg_catalog.pg_stat_subscription AS u
		JOIN pg_catalog.pg_subscription AS b ON b.oid = u.subid
		JOIN pg_catalog.pg_database AS d ON d.oid = b.subdbid AND d.datname = pg_catalog.current_database()
		WHERE u.relid IS NULL AND pg_catalog.to_jsonb(u) ->> 'leader_pid' IS NULL)
	SELECT s.kind, s.name,
		   CASE WHEN s.hidden AND coalesce(j.status, 'ok') = 'ok' THEN 'unknown' ELSE coalesce(j.status, 'ok') END AS status, j.findings,
		   s.state, s.sync_state, s.pid, s.lag_bytes, s.kept_bytes, s.write_lag_s, s.flush_lag_s, s.replay_lag_s
	FROM seen AS s
	LEFT JOIN judged AS j
		ON j.object_name = s.name AND j.about = CASE WHEN s.kind LIKE '% slot' THEN 'slot' ELSE s.kind END;
COMMENT ON VIEW dbutil.replication_health IS
	'what replicates from and to this server: kind (standby: a walsender of this server, by application_name; physical slot, logical slot; receiver: this standby''s own; subscription of the current database), status (the worst of the checks on it) and findings (checks that warn, NULL: none; see dbutil.health), lag_bytes (WAL not yet replayed there; for a slot not yet confirmed, for a receiver received and not replayed, for a subscription received and not reported), kept_bytes (WAL that the slot keeps), lags in seconds as the standby last told. Where it is hidden from your role, it is NULL and status is unknown';
GRANT SELECT ON dbutil.replication_health TO PUBLIC;

-- Bloat as it is, by reading the relation: pgstattuple does that.
CREATE FUNCTION dbutil.measure_bloat(relation regclass, exact boolean DEFAULT false,
	OUT method text, OUT size_bytes bigint, OUT dead_bytes bigint, OUT free_bytes bigint,
	OUT bloat_bytes bigint, OUT bloat_percent numeric)
	RETURNS record
	LANGUAGE plpgsql VOLATILE STRICT
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	home name := (SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
				  WHERE e.extname = 'pgstattuple');
	kind "char";
	access_method name;
	fillfactor numeric;
BEGIN
	SELECT c.relkind, m.amname,
		   coalesce((SELECT o.option_value::numeric FROM pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'fillfactor'),
					CASE c.relkind WHEN 'i' THEN 90 ELSE 100 END) / 100
	INTO kind, access_method, fillfactor
	FROM pg_class AS c LEFT JOIN pg_am AS m ON m.oid = c.relam
	WHERE c.oid = relation;
	IF kind IS NULL THEN
		RAISE EXCEPTION 'relation with OID % does not exist', relation::oid USING ERRCODE = 'undefined_table';
	END IF;
	IF NOT (kind IN ('r', 'm', 't') AND access_method = 'heap' OR kind = 'i' AND access_method = 'btree') THEN
		RAISE EXCEPTION 'cannot measure the bloat of "%"', relation
			USING ERRCODE = 'wrong_object_type',
				  HINT = 'Name a table, a materialized view, or a btree index that has storage of its own; of a partitioned one name its partitions.';
	END IF;
	IF home IS NULL THEN
		RAISE EXCEPTION 'measuring bloat needs the extension pgstattuple'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'CREATE EXTENSION pgstattuple; dbutil.table_health and dbutil.index_health estimate without it.';
	END IF;

	-- The share that fillfactor leaves free on purpose is not bloat.
	IF kind = 'i' THEN
		method := 'pgstatindex';
		EXECUTE format(
			'SELECT s.index_size, (s.empty_pages + s.deleted_pages) * b.size,
					(s.leaf_pages * b.size * (100 - least(s.avg_leaf_density, 100)) / 100)::bigint,
					((s.empty_pages + s.deleted_pages) * b.size
					 + s.leaf_pages * b.size * greatest(0, 1 - least(s.avg_leaf_density, 100) / 100 / $2))::bigint
			 FROM %I.pgstatindex($1) AS s, (SELECT current_setting(''block_size'')::bigint) AS b(size)
			 WHERE s.avg_leaf_density <> ''NaN'' OR s.leaf_pages = 0', home)
		INTO size_bytes, dead_bytes, free_bytes, bloat_bytes USING relation, fillfactor;
		-- without a leaf there is no density: nothing is stored
		IF size_bytes IS NULL THEN
			EXECUTE format('SELECT s.index_size, 0, 0, 0 FROM %I.pgstatindex($1) AS s', home)
			INTO size_bytes, dead_bytes, free_bytes, bloat_bytes USING relation;
		END IF;
	ELSIF exact THEN
		method := 'pgstattuple';
		EXECUTE format('SELECT s.table_len, s.dead_tuple_len, s.free_space FROM %I.pgstattuple($1) AS s', home)
		INTO size_bytes, dead_bytes, free_bytes USING relation;
	ELSE
		method := 'pgstattuple_approx';
		EXECUTE format('SELECT s.table_len, s.dead_tuple_len, s.approx_free_space FROM %I.pgstattuple_approx($1) AS s', home)
		INTO size_bytes, dead_bytes, free_bytes USING relation;
	END IF;
	IF kind <> 'i' THEN
		bloat_bytes := greatest(0, dead_bytes + free_bytes - (1 - fillfactor) * size_bytes);
	END IF;
	bloat_percent := round(100.0 * bloat_bytes / nullif(size_bytes, 0), 1);
END $function$;
COMMENT ON FUNCTION dbutil.measure_bloat(regclass, boolean) IS
	'bloat of one table, materialized view or btree index, measured by the extension pgstattuple, which reads it under a lock that stops neither reads nor writes: method (the function that measured), sizes in bytes: all, dead rows or pages, free room, and bloat_bytes: dead and free together but for what fillfactor leaves free. exact: read also the pages that the visibility map lets one skip (tables). Errors: 55000 pgstattuple is not installed here, 42809 a relation of another kind, 42501 no EXECUTE on pgstattuple''s functions (pg_stat_scan_tables has it)';

-- enroll: an existing service under dbutil, without a change in its code
--
-- A service is a role in a database.  Enrolling it is a number of
-- ALTER ROLE ... IN DATABASE ... SET, which new sessions take up.  What was set and
-- what it replaced is kept in dbutil.enrolled_settings, so that withdrawing gives
-- back what was there, and leaves alone what somebody changed since.
--
-- With the caller's rights throughout: PostgreSQL decides who may alter a role.

CREATE TABLE dbutil.enrolled_settings (
	database_name text NOT NULL,
	rolename text NOT NULL,
	setting text NOT NULL,
	new_value text,
	old_value text,
	enrolled_at timestamp with time zone NOT NULL DEFAULT now(),
	enrolled_by text NOT NULL DEFAULT current_user,
	PRIMARY KEY (database_name, rolename, setting));
COMMENT ON TABLE dbutil.enrolled_settings IS
	'what dbutil.enroll_service() has set for a role in a database, and what was set before (NULL: nothing, or no limit); settings ''connection limit'' and ''membership in pg_monitor'' are the role''s own, in all databases. dbutil.withdraw_service() goes by it. All may read it, its owner and superusers write it; GRANT INSERT, UPDATE, DELETE ON it to another role that is to enrol services. Dumped by pg_dump';
GRANT SELECT ON dbutil.enrolled_settings TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('dbutil.enrolled_settings', '');

-- The value of setting for the role in the database, NULL if there is none.
CREATE FUNCTION dbutil.enrolled_value(database_name name, rolename name, setting text)
	RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	RETURN CASE setting
		WHEN 'connection limit'
		THEN (SELECT nullif(r.rolconnlimit, -1)::text FROM pg_catalog.pg_roles AS r WHERE r.rolname = $2)
		WHEN 'membership in pg_monitor'
		THEN (SELECT 'yes' FROM pg_catalog.pg_auth_members AS m
			  JOIN pg_catalog.pg_roles AS r ON r.oid = m.member AND r.rolname = $2
			  JOIN pg_catalog.pg_roles AS g ON g.oid = m.roleid AND g.rolname = 'pg_monitor'
			  LIMIT 1)
		ELSE (SELECT pg_catalog.substr(c.c, pg_catalog.strpos(c.c, '=') + 1)
			  FROM pg_catalog.pg_db_role_setting AS s
			  JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase AND d.datname = $1
			  JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole AND r.rolname = $2
			  CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(c)
			  WHERE pg_catalog.split_part(c.c, '=', 1) = $3)
		END;
COMMENT ON FUNCTION dbutil.enrolled_value(name, name, text) IS
	'value of a setting as ALTER ROLE ... IN DATABASE ... SET has it, NULL: none; for ''connection limit'' the role''s limit, NULL: none; for ''membership in pg_monitor'' yes, NULL: it is no member';

-- The command that gives setting the value, or takes it away where it is NULL.
CREATE FUNCTION dbutil.enrolling_command(database_name name, rolename name, setting text, new_value text)
	RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	RETURN CASE
		WHEN setting = 'connection limit'
		THEN pg_catalog.format('ALTER ROLE %I CONNECTION LIMIT %s', rolename, coalesce(new_value, '-1'))
		WHEN setting = 'membership in pg_monitor'
		THEN pg_catalog.format(CASE WHEN new_value IS NULL THEN 'REVOKE pg_monitor FROM %I' ELSE 'GRANT pg_monitor TO %I' END, rolename)
		WHEN new_value IS NULL
		THEN pg_catalog.format('ALTER ROLE %I IN DATABASE %I RESET %s', rolename, database_name, setting)
		ELSE pg_catalog.format('ALTER ROLE %I IN DATABASE %I SET %s TO %L', rolename, database_name, setting, new_value)
		END;
COMMENT ON FUNCTION dbutil.enrolling_command(name, name, text, text) IS
	'text of the command (ALTER ROLE, or for ''membership in pg_monitor'' GRANT) that gives a role''s setting the value in a database, or takes it away (NULL)';

-- Does what is asked for, and sees that it was done: from PostgreSQL 16 on REVOKE
-- only warns where another role granted.
CREATE FUNCTION dbutil.enrolling_do(database_name name, rolename name, setting text, new_value text)
	RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE dbutil.enrolling_command(database_name, rolename, setting, new_value);
	IF dbutil.enrolled_value(database_name, rolename, setting) IS DISTINCT FROM new_value THEN
		RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = pg_catalog.format('%s of role "%s" is still %s', setting, rolename,
				coalesce(pg_catalog.quote_literal(dbutil.enrolled_value(database_name, rolename, setting)), 'not set')),
			HINT = pg_catalog.format('Who set it can take it back: %s.',
				dbutil.enrolling_command(database_name, rolename, setting, new_value));
	END IF;
END $$;
COMMENT ON FUNCTION dbutil.enrolling_do(name, name, text, text) IS
	'runs dbutil.enrolling_command(...) and reads the value back. Errors: those of the command, 55000 it had no effect';

-- How many tracked calls a timeout would have ended: as far as that is counted.
CREATE FUNCTION dbutil.enrolling_timeout_note(
	database_name name, rolename name, setting text, new_value interval)
	RETURNS text
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	limit_us double precision := extract(epoch FROM new_value) * 1000000;
	calls bigint;
	ended bigint;
BEGIN
	IF new_value = '0' THEN
		RETURN 'turns the timeout off';
	ELSIF setting = 'lock_timeout' THEN
		RETURN 'waits for locks are not timed one by one, see dbutil.waits';
	ELSIF (SELECT st.state <> 'ok' FROM dbutil.status() AS st WHERE st.item = 'preload') THEN
		RETURN 'nothing is tracked without shared_preload_libraries, so what it would have ended is not known';
	ELSIF setting = 'statement_timeout' THEN
		SELECT sum(s.calls) INTO calls
		FROM dbutil.statements(false) AS s
		JOIN pg_catalog.pg_roles AS r ON r.oid = s.userid
		JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
		WHERE r.rolname = enrolling_timeout_note.rolename AND d.datname = database_name;
		-- a queryid's histogram is of all roles; whose calls are short has none to give
		SELECT sum(h.calls) INTO ended
		FROM (SELECT DISTINCT s.queryid, s.service
			  FROM dbutil.statements(false) AS s
			  JOIN pg_catalog.pg_roles AS r ON r.oid = s.userid
			  JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
			  WHERE r.rolname = enrolling_timeout_note.rolename AND d.datname = database_name
				AND s.max_exec_time * 1000 >= limit_us) AS slow
		CROSS JOIN LATERAL dbutil.statement_histogram(slow.queryid) AS h
		WHERE h.service = slow.service AND h.lower_us >= limit_us;
		RETURN pg_catalog.format('would have ended %s of %s tracked calls', coalesce(ended, 0), coalesce(calls, 0));
	ELSE
		SELECT sum(t.commits + t.rollbacks), count(*) FILTER (WHERE t.max_idle_time * 1000 >= limit_us)
		INTO calls, ended
		FROM dbutil.transactions() AS t
		JOIN pg_catalog.pg_roles AS r ON r.oid = t.userid
		JOIN pg_catalog.pg_database AS d ON d.oid = t.dbid
		WHERE r.rolname = enrolling_timeout_note.rolename AND d.datname = database_name;
		RETURN pg_catalog.format('would have ended sessions in %s shapes of transactions (%s tracked transactions in all)',
			ended, coalesce(calls, 0));
	END IF;
END $$;
COMMENT ON FUNCTION dbutil.enrolling_timeout_note(name, name, text, interval) IS
	'what a timeout would have ended of the role''s tracked statements and transactions in the database, in words';

-- What is asked for, one row a setting, checked; the type of the value is checked by ALTER ROLE.
CREATE FUNCTION dbutil.enrolling_settings(
	rolename name, service text, plan_cache text, track text,
	statement_timeout interval, lock_timeout interval,
	idle_in_transaction_session_timeout interval, connection_limit integer, settings jsonb, monitor boolean)
	RETURNS TABLE (setting text, new_value text, timeout interval)
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	s record;
BEGIN
	IF service = '' OR octet_length(service) > 63 THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'the name of a service has 1 to 63 bytes',
			HINT = 'NULL takes the role''s name.';
	END IF;
	IF connection_limit < -1 THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'connection_limit is out of range',
			HINT = 'It is a number of sessions, or -1 for no limit.';
	END IF;
	IF jsonb_typeof(settings) <> 'object' THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'settings is no JSON object',
			HINT = 'It is written {"work_mem": "8MB", ...}.';
	END IF;

	setting := 'dbutil.service';
	new_value := coalesce(service, rolename);
	RETURN NEXT;
	FOR setting, new_value IN VALUES ('dbutil.plan_cache', plan_cache), ('dbutil.track', track),
			('connection limit', connection_limit::text),
			('membership in pg_monitor', CASE WHEN monitor THEN 'yes' END) LOOP
		IF new_value IS NOT NULL THEN
			RETURN NEXT;
		END IF;
	END LOOP;
	FOR setting, timeout IN VALUES ('statement_timeout', statement_timeout), ('lock_timeout', lock_timeout),
			('idle_in_transaction_session_timeout', idle_in_transaction_session_timeout) LOOP
		CONTINUE WHEN timeout IS NULL;
		IF timeout < '0' OR extract(epoch FROM timeout) > 2147483 THEN
			RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
				MESSAGE = setting || ' is out of range',
				HINT = 'It is between 0, which turns it off, and 24 days.';
		END IF;
		new_value := trunc(extract(epoch FROM timeout) * 1000)::text || 'ms';
		RETURN NEXT;
	END LOOP;
	timeout := NULL;
	FOR s IN SELECT e.key, e.value FROM jsonb_each_text(settings) AS e LOOP
		IF s.key !~ '^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$' OR s.value IS NULL OR
			s.key IN ('dbutil.service', 'local_preload_libraries', 'search_path', 'session_preload_libraries', 'temp_tablespaces') THEN
			RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
				MESSAGE = pg_catalog.format('settings cannot hold "%s"', s.key),
				HINT = 'It holds settings of one value, in lower case; lists are set by ALTER ROLE.';
		END IF;
		setting := s.key;
		new_value := s.value;
		RETURN NEXT;
	END LOOP;
END $$;
COMMENT ON FUNCTION dbutil.enrolling_settings(name, text, text, text, interval, interval, interval, integer, jsonb, boolean) IS
	'the settings that dbutil.enroll_service() is asked for, one row each, checked as far as PostgreSQL does not';

CREATE FUNCTION dbutil.enrolling_role(database_name name, rolename name)
	RETURNS void
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM FROM pg_catalog.pg_roles AS r WHERE r.rolname = enrolling_role.rolename;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object',
			MESSAGE = pg_catalog.format('role "%s" does not exist', rolename),
			HINT = 'A service is the role that it connects as, and its database.';
	END IF;
	PERFORM FROM pg_catalog.pg_database AS d WHERE d.datname = enrolling_role.database_name;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '3D000',
			MESSAGE = pg_catalog.format('database "%s" does not exist', database_name),
			HINT = 'A service is the role that it connects as, and its database.';
	END IF;
END $$;
COMMENT ON FUNCTION dbutil.enrolling_role(name, name) IS
	'raises an error if the role or the database does not exist';

-- Sessions that took up their settings before, and what else is to be done.
CREATE FUNCTION dbutil.enrolling_leftovers(database_name name, rolename name)
	RETURNS TABLE (done text, item text, note text)
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT 'reconnect', 'session ' || a.pid,
		   pg_catalog.format('%s, connected since %s: has the settings of before',
							 coalesce(nullif(a.application_name, ''), 'no application_name'), coalesce(a.backend_start::text, 'some time'))
	FROM pg_catalog.pg_stat_activity AS a
	WHERE a.datname = database_name AND a.usename = rolename AND a.pid <> pg_catalog.pg_backend_pid()
	UNION ALL
	SELECT 'reconnect', 'pgbouncer',
		   pg_catalog.format('where there is one, on its console: RECONNECT %I', database_name);
END;
COMMENT ON FUNCTION dbutil.enrolling_leftovers(name, name) IS
	'what still has the settings of before and must reconnect';

CREATE FUNCTION dbutil.enroll_service(
	rolename name, service text = NULL, database_name name = current_database(),
	plan_cache text = 'auto', track text = NULL,
	statement_timeout interval = NULL, lock_timeout interval = NULL,
	idle_in_transaction_session_timeout interval = NULL,
	connection_limit integer = NULL, settings jsonb = '{}', monitor boolean = false, dry_run boolean = false)
	RETURNS TABLE (done text, item text, old_value text, new_value text, command text, undo text, note text)
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	s record;
	denied text;
BEGIN
	PERFORM dbutil.version();	-- loads the library, which knows its settings
	PERFORM dbutil.enrolling_role(database_name, rolename);
	BEGIN
		LOCK TABLE dbutil.enrolled_settings IN SHARE ROW EXCLUSIVE MODE;
		FOR s IN SELECT * FROM dbutil.enrolling_settings(rolename, service, plan_cache, track, statement_timeout,
				lock_timeout, idle_in_transaction_session_timeout, connection_limit, settings, monitor) LOOP
			item := s.setting;
			new_value := nullif(s.new_value, CASE WHEN item = 'connection limit' THEN '-1' END);
			old_value := dbutil.enrolled_value(database_name, rolename, item);
			command := dbutil.enrolling_command(database_name, rolename, item, new_value);
			undo := dbutil.enrolling_command(database_name, rolename, item, old_value);
			note := CASE WHEN s.timeout IS NOT NULL
				THEN dbutil.enrolling_timeout_note(database_name, rolename, item, s.timeout) END;
			IF old_value IS NOT DISTINCT FROM new_value THEN
				done := 'kept';
			ELSE
				done := CASE WHEN dry_run THEN 'would set' ELSE 'set' END;
				PERFORM dbutil.enrolling_do(database_name, rolename, item, new_value);
				INSERT INTO dbutil.enrolled_settings AS e (database_name, rolename, setting, new_value, old_value)
				VALUES (enroll_service.database_name, enroll_service.rolename, item, new_value, old_value)
				ON CONFLICT (database_name, rolename, setting) DO UPDATE
				SET new_value = excluded.new_value, enrolled_at = excluded.enrolled_at, enrolled_by = excluded.enrolled_by,
					old_value = CASE WHEN e.new_value IS NOT DISTINCT FROM excluded.old_value
						THEN e.old_value ELSE excluded.old_value END;
			END IF;
			RETURN NEXT;
		END LOOP;
		IF dry_run THEN
			RAISE EXCEPTION USING ERRCODE = 'DBUDR';	-- takes everything back
		END IF;
	EXCEPTION
		WHEN SQLSTATE 'DBUDR' THEN
			NULL;
		WHEN insufficient_privilege THEN
			denied := SQLERRM;
	END;
	IF denied IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
			MESSAGE = pg_catalog.format('permission denied to enrol role "%s" in database "%s"', rolename, database_name),
			DETAIL = pg_catalog.format('PostgreSQL says: %s.', denied),
			HINT = 'A superuser can, and who may alter the role (CREATEROLE, from 16 on with ADMIN OPTION on it) and write dbutil.enrolled_settings.';
	END IF;
	old_value := NULL;
	new_value := NULL;
	command := NULL;
	undo := NULL;
	FOR done, item, note IN SELECT * FROM dbutil.enrolling_leftovers(database_name, rolename) LOOP
		RETURN NEXT;
	END LOOP;
	IF (SELECT st.state <> 'ok' FROM dbutil.status() AS st WHERE st.item = 'preload') THEN
		done := 'missing';
		item := 'shared_preload_libraries';
		note := 'the settings have no effect before the library is loaded: add dbutil and restart the server';
		RETURN NEXT;
	END IF;
END $$;
COMMENT ON FUNCTION dbutil.enroll_service(name, text, name, text, text, interval, interval, interval, integer, jsonb, boolean, boolean) IS
	'puts an existing service, the role that it connects as in a database, under dbutil without a change in its code: sets dbutil.service (service; NULL: the role''s name), dbutil.plan_cache, and what else is not NULL: dbutil.track (superusers only), timeouts (0: off), the role''s connection limit, settings, a JSON object of names and values, and with monitor membership in pg_monitor, which dbutil.health needs to judge sessions. One row for each: done set | would set (dry_run) | kept (was so), the value before (NULL: none) and now, the command and the one that undoes it; note tells what a timeout would have ended of the calls that were tracked. Then a row for each session that must reconnect to take them up. dry_run does all of it and takes it back, so it also refuses what could not be done. Errors: 42704 or 3D000 no such role or database, 22023 a value, 42704 a setting that does not exist, 42501 you may not alter the role; nothing is changed then. dbutil.withdraw_service() gives back what was, dbutil.service_protections() tells what the service still lacks';

CREATE FUNCTION dbutil.withdraw_service(
	rolename name, database_name name = current_database(), dry_run boolean = false)
	RETURNS TABLE (done text, item text, old_value text, new_value text, command text, note text)
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	e record;
	denied text;
BEGIN
	PERFORM dbutil.version();
	PERFORM dbutil.enrolling_role(database_name, rolename);
	PERFORM FROM dbutil.enrolled_settings AS e
	WHERE e.database_name = withdraw_service.database_name AND e.rolename = withdraw_service.rolename;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object',
			MESSAGE = pg_catalog.format('role "%s" is not enrolled in database "%s"', rolename, database_name),
			HINT = 'SELECT DISTINCT rolename, database_name FROM dbutil.enrolled_settings lists those that are.';
	END IF;
	BEGIN
		LOCK TABLE dbutil.enrolled_settings IN SHARE ROW EXCLUSIVE MODE;
		FOR e IN DELETE FROM dbutil.enrolled_settings AS e
				WHERE e.database_name = withdraw_service.database_name AND e.rolename = withdraw_service.rolename
				RETURNING e.setting, e.new_value, e.old_value LOOP
			item := e.setting;
			old_value := dbutil.enrolled_value(database_name, rolename, item);
			new_value := e.old_value;
			command := dbutil.enrolling_command(database_name, rolename, item, new_value);
			note := NULL;
			IF old_value IS DISTINCT FROM e.new_value THEN
				done := 'left';
				note := 'was changed since it was enrolled';
			ELSE
				done := CASE WHEN dry_run THEN 'would set' ELSE 'set' END;
				PERFORM dbutil.enrolling_do(database_name, rolename, item, new_value);
			END IF;
			RETURN NEXT;
		END LOOP;
		IF dry_run THEN
			RAISE EXCEPTION USING ERRCODE = 'DBUDR';	-- takes everything back
		END IF;
	EXCEPTION
		WHEN SQLSTATE 'DBUDR' THEN
			NULL;
		WHEN insufficient_privilege THEN
			denied := SQLERRM;
	END;
	IF denied IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
			MESSAGE = pg_catalog.format('permission denied to withdraw role "%s" in database "%s"', rolename, database_name),
			DETAIL = pg_catalog.format('PostgreSQL says: %s.', denied),
			HINT = 'A superuser can, and who may alter the role (CREATEROLE, from 16 on with ADMIN OPTION on it) and write dbutil.enrolled_settings.';
	END IF;
	old_value := NULL;
	new_value := NULL;
	command := NULL;
	FOR done, item, note IN SELECT * FROM dbutil.enrolling_leftovers(database_name, rolename) LOOP
		RETURN NEXT;
	END LOOP;
END $$;
COMMENT ON FUNCTION dbutil.withdraw_service(name, name, boolean) IS
	'takes a service out again: each setting that dbutil.enroll_service() gave the role in the database gets back what it had (set, would set with dry_run), unless it was changed since (left). Then a row for each session that must reconnect. Errors: 42704 no such role, or it is not enrolled, 3D000 no such database, 42501 you may not alter the role, 55000 another role granted what is to be revoked; nothing is changed then';

-- What a service's sessions get for a setting: of the settings of roles and
-- databases that which PostgreSQL takes, else the server's.
CREATE FUNCTION dbutil.enrolling_effective(database_name name, rolename name, setting text)
	RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	RETURN coalesce(
		(SELECT pg_catalog.substr(c.c, pg_catalog.strpos(c.c, '=') + 1)
		 FROM pg_catalog.pg_db_role_setting AS s
		 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
		 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
		 CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(c)
		 WHERE (s.setdatabase = 0 OR d.datname = $1) AND (s.setrole = 0 OR r.rolname = $2)
		   AND pg_catalog.split_part(c.c, '=', 1) = $3
		 ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC
		 LIMIT 1),
		-- where the caller's own session has another value the server's is not seen
		(SELECT g.setting || CASE WHEN g.setting <> '0' THEN coalesce(g.unit, '') ELSE '' END
		 FROM pg_catalog.pg_settings AS g
		 WHERE g.name = $3 AND g.source IN ('default', 'configuration file', 'command line', 'environment variable')));
COMMENT ON FUNCTION dbutil.enrolling_effective(name, name, text) IS
	'value of a setting that a new session of the role in the database gets, NULL: there is no such setting, or only your own session''s value is seen';

CREATE FUNCTION dbutil.service_protections(
	rolename name, database_name name = current_database())
	RETURNS TABLE (protection text, state text, current_value text, note text)
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM dbutil.enrolling_role(database_name, rolename);
	FOR protection, note IN VALUES
		('statement_timeout', 'ends a statement that takes too long; a dry run of dbutil.enroll_service() counts what it would have ended'),
		('lock_timeout', 'ends a statement that waits too long for a lock, before others queue behind it'),
		('idle_in_transaction_session_timeout', 'ends a session that forgot its transaction, which holds locks and keeps vacuum from cleaning up'),
		('transaction_timeout', 'ends a transaction that takes too long, whatever it does; from PostgreSQL 17 on'),
		('client_connection_check_interval', 'lets the server see during a statement that its client is gone'),
		('connection limit', 'keeps one service from using up all connections') LOOP
		CONTINUE WHEN protection = 'transaction_timeout'
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings AS g WHERE g.name = 'transaction_timeout');
		current_value := CASE protection WHEN 'connection limit'
			THEN dbutil.enrolled_value(database_name, rolename, protection)
			ELSE dbutil.enrolling_effective(database_name, rolename, protection) END;
		-- a limit of 0 lets nobody in
		state := CASE WHEN current_value IS NULL OR (protection <> 'connection limit' AND current_value ~ '^0+(\.0*)?\s*[a-z]*$')
			THEN 'lacks' ELSE 'has' END;
		RETURN NEXT;
	END LOOP;
END $$;
COMMENT ON FUNCTION dbutil.service_protections(name, name) IS
	'what the server does to protect others from the role''s sessions in the database: one row for each protection, state has | lacks, its value (NULL: none, or not seen), and what it is good for. New sessions have it unless they set something else themselves. Errors: 42704 no such role, 3D000 no such database';
