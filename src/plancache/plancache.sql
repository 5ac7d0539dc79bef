-- ---------- plancache: the transparent plan cache ----------

CREATE FUNCTION dbutil.plan_cache_entries(
	OUT queryid bigint, OUT query text, OUT userid oid, OUT level text, OUT state text,
	OUT reason text, OUT params integer, OUT bytes bigint, OUT calls bigint,
	OUT hits bigint, OUT verified bigint, OUT planning_us double precision,
	OUT saved_us double precision, OUT generic_cost double precision,
	OUT custom_cost double precision, OUT relations regclass[],
	OUT created timestamptz, OUT last_used timestamptz)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 100
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache';
COMMENT ON FUNCTION dbutil.plan_cache_entries() IS
	'the entries of this session''s plan cache, the most recently used first; read it through the view dbutil.plan_cache';

CREATE VIEW dbutil.plan_cache AS
	SELECT e.queryid, e.query, pg_catalog.pg_get_userbyid(e.userid) AS username,
		   e.level, e.state, e.reason, e.params, e.bytes, e.calls, e.hits, e.verified,
		   e.planning_us, e.saved_us, e.generic_cost, e.custom_cost, e.relations,
		   e.created, e.last_used
	FROM dbutil.plan_cache_entries() AS e;
COMMENT ON VIEW dbutil.plan_cache IS
	'this session''s cached plans and verdicts: level generic (literals shown as $n, params of them) or exact (literals part of the key); state serving | exact only (verdict: no plan for all literals, reason says why) | refused (verdict: no plan is kept) | stale; bytes of memory; calls that found the entry, hits served, verified hits that were planned to compare costs; planning_us one planning, saved_us planning time spared, both microseconds; costs as the planner estimates them; relations it depends on. Statements of other roles show no text without pg_read_all_stats';
GRANT SELECT ON dbutil.plan_cache TO PUBLIC;

CREATE FUNCTION dbutil.plan_cache_counters(
	OUT kind text, OUT event text, OUT total bigint, OUT description text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 50
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_stats';
COMMENT ON FUNCTION dbutil.plan_cache_counters() IS
	'counters of this session''s plan cache; read them through the view dbutil.plan_cache_stats';

CREATE VIEW dbutil.plan_cache_stats AS
	SELECT c.kind, c.event, c.total, c.description
	FROM dbutil.plan_cache_counters() AS c;
COMMENT ON VIEW dbutil.plan_cache_stats IS
	'what this session''s plan cache did since it began or was reset, by kind (hit, miss, refusal, exact_only, upkeep; now: as it stands) and event; description says what is counted';
GRANT SELECT ON dbutil.plan_cache_stats TO PUBLIC;

CREATE FUNCTION dbutil.plan_cache_reset() RETURNS integer
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_reset';
COMMENT ON FUNCTION dbutil.plan_cache_reset() IS
	'forgets this session''s cached plans and counters; returns how many entries there were. Plans in use are copies and live on. Touches no other session, so anybody may call it';

CREATE FUNCTION dbutil.plan_cache_why(
	query text,
	OUT decision text, OUT level text, OUT params integer, OUT reason text, OUT explanation text)
	RETURNS record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_why';
COMMENT ON FUNCTION dbutil.plan_cache_why(text) IS
	'what the plan cache would do with a statement sent now by this session: decision hit | not stored yet | refused; level generic (params: literals lifted) or exact; reason as named in dbutil.plan_cache_stats, with its explanation. With dbutil.plan_cache = off the answer is that of auto. Does not run or plan the statement. Errors: whatever parsing it raises; 42601 for several statements';
