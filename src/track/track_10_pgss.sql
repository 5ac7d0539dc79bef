
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
