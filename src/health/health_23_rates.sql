
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
