
-- track: statements, transactions and services

CREATE FUNCTION dbutil.statements(texts boolean DEFAULT true,
	OUT service text, OUT dbid oid, OUT userid oid, OUT toplevel boolean, OUT queryid bigint,
	OUT query text, OUT operation text,
	OUT plans bigint, OUT total_plan_time double precision,
	OUT mean_plan_time double precision, OUT plan_cache_hits bigint,
	OUT calls bigint, OUT errors bigint, OUT rows bigint,
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
	OUT wal_records bigint, OUT wal_fpi bigint, OUT wal_bytes numeric,
	OUT stats_since timestamp with time zone)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_statements';
COMMENT ON FUNCTION dbutil.statements(boolean) IS
	'statements since the last reset, one row per service, database, role, queryid and toplevel. texts => false leaves query NULL and is faster. Times in milliseconds, blocks of 8 kB; percentiles are within 6.25 % from 1 us on. query has no literals; NULL where there was no room for it, <unreadable> where it could not be told what a literal is. errors counts executions that failed, in planning, in checking privileges or in running, calls those that did not; what fails in parsing or parse analysis is not seen, planning of a statement that was never executed is not counted. A statement is its sender''s, also where it fails in or ends by a function of another role; toplevel: sent by the client, unlike what functions, cursors and deferred triggers run. queryid and query of other roles are hidden unless you may read all statistics. Error: 55000 without preload';

CREATE VIEW dbutil.statements AS
	SELECT s.service, d.datname AS database_name, r.rolname AS username,
		   s.toplevel, s.queryid, s.query, s.operation,
		   s.plans, s.total_plan_time, s.mean_plan_time, s.plan_cache_hits,
		   s.calls, s.errors, s.rows,
		   s.total_exec_time, s.min_exec_time, s.max_exec_time, s.mean_exec_time,
		   s.stddev_exec_time, s.p50_exec_time, s.p90_exec_time, s.p95_exec_time,
		   s.p99_exec_time,
		   s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied, s.shared_blks_written,
		   s.local_blks_hit, s.local_blks_read, s.local_blks_dirtied, s.local_blks_written,
		   s.temp_blks_read, s.temp_blks_written,
		   s.wal_records, s.wal_fpi, s.wal_bytes, s.stats_since
	FROM dbutil.statements(true) AS s
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) s.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) s.userid;
COMMENT ON VIEW dbutil.statements IS
	'statements with percentiles, one row per service, database, role, queryid and toplevel; see the function of the same name for units and rights';
GRANT SELECT ON dbutil.statements TO PUBLIC;

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
	OUT commits bigint, OUT rollbacks bigint, OUT statements bigint, OUT wrote bigint,
	OUT total_time double precision, OUT min_time double precision, OUT max_time double precision,
	OUT mean_time double precision,
	OUT p50_time double precision, OUT p95_time double precision, OUT p99_time double precision,
	OUT mean_commit_time double precision, OUT p99_commit_time double precision,
	OUT max_commit_time double precision)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_transactions';
COMMENT ON FUNCTION dbutil.transactions() IS
	'transactions that ran a statement, since the last reset, by service, database and role. Times in milliseconds; duration counts from the transaction''s start timestamp, commit time from before the commit record is written to after it is durable, 0 where there is none. wrote: those that were given a transaction identifier. A prepared transaction counts by COMMIT PREPARED or ROLLBACK PREPARED, as a transaction of that one statement; one whose only statement failed in parsing or parse analysis is not seen. Error: 55000 without preload';

CREATE VIEW dbutil.transactions AS
	SELECT t.service, d.datname AS database_name, r.rolname AS username,
		   t.commits, t.rollbacks, t.statements, t.wrote,
		   t.total_time, t.min_time, t.max_time, t.mean_time,
		   t.p50_time, t.p95_time, t.p99_time,
		   t.mean_commit_time, t.p99_commit_time, t.max_commit_time
	FROM dbutil.transactions() AS t
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) t.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) t.userid;
COMMENT ON VIEW dbutil.transactions IS
	'transactions with duration and commit latency by service, database and role; see the function of the same name for units';
GRANT SELECT ON dbutil.transactions TO PUBLIC;

CREATE FUNCTION dbutil.track_info(
	OUT stats_since timestamp with time zone, OUT entries bigint, OUT services bigint,
	OUT evictions bigint, OUT calls_dropped bigint, OUT errors_dropped bigint,
	OUT texts_dropped bigint, OUT services_dropped bigint, OUT transactions_dropped bigint)
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_track_info';
COMMENT ON FUNCTION dbutil.track_info() IS
	'how full tracking is and what it had to drop since stats_since: the calls in dbutil.statements plus calls_dropped are all that were executed to their end; services_dropped counts the times that a session''s service had no room of its own and became <other>. Error: 55000 without preload';

CREATE FUNCTION dbutil.track_reset() RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_track_reset';
REVOKE EXECUTE ON FUNCTION dbutil.track_reset() FROM PUBLIC;
COMMENT ON FUNCTION dbutil.track_reset() IS
	'forget all statements, transactions and losses and start counting anew; which services there are is kept. Error: 55000 without preload';
