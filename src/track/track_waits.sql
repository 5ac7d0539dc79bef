
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
