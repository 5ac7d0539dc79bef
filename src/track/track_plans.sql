
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
