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
