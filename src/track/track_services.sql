
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
