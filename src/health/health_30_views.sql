
CREATE FUNCTION dbutil.health(level text DEFAULT 'full',
	OUT check_name text, OUT object_name text, OUT status text, OUT measured numeric, OUT unit text,
	OUT warn numeric, OUT critical numeric, OUT message text, OUT advice text,
	OUT suggested_sql text, OUT silenced boolean)
	RETURNS SETOF record
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	full_wanted bool := level = 'full';
BEGIN
	IF level IS NULL OR level NOT IN ('quick', 'full') THEN
		RAISE EXCEPTION 'invalid value for parameter "level": "%"', coalesce(level, 'null')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Use one of: quick, full.';
	END IF;
	RETURN QUERY
	WITH m AS (
		SELECT * FROM dbutil.health_measure_sessions()
		UNION ALL SELECT * FROM dbutil.health_measure_server()
		UNION ALL SELECT o.* FROM dbutil.health_measure_objects() AS o WHERE full_wanted
	), found AS (
		SELECT c.*, m.object_name, m.measured, m.suggested_sql
		FROM dbutil.health_checks AS c LEFT JOIN m ON m.check_name = c.check_name
		WHERE c.level = 'quick' OR full_wanted
	), judged AS (
		SELECT f.*, s.silenced_until > now() AS is_silenced,
			   CASE WHEN s.check_name IS NULL THEN f.warn ELSE s.warn END AS w,
			   CASE WHEN s.check_name IS NULL THEN f.critical ELSE s.critical END AS k,
			   f.critical < f.warn AS lower_is_worse
		FROM found AS f
		LEFT JOIN LATERAL (
			SELECT * FROM dbutil.health_settings AS h
			WHERE h.check_name = f.check_name AND f.object_name LIKE h.object_pattern
			ORDER BY length(h.object_pattern) DESC LIMIT 1) AS s ON true
	)
	SELECT j.check_name, coalesce(j.object_name, 'none'),
		   CASE WHEN j.object_name IS NULL THEN 'ok'		-- no such object, nothing wrong with it
				WHEN j.measured IS NULL THEN 'unknown'
				WHEN j.lower_is_worse AND j.measured < j.k THEN 'critical'
				WHEN j.lower_is_worse AND j.measured < j.w THEN 'warn'
				WHEN NOT coalesce(j.lower_is_worse, false) AND j.measured >= j.k THEN 'critical'
				WHEN NOT coalesce(j.lower_is_worse, false) AND j.measured >= j.w THEN 'warn'
				ELSE 'ok' END,
		   round(j.measured, 2), j.unit, j.w, j.k, j.message, j.advice, j.suggested_sql,
		   coalesce(j.is_silenced, false)
	FROM judged AS j;
END $function$;
COMMENT ON FUNCTION dbutil.health(text) IS
	'one row per check and object: status ok | warn | critical | unknown (not enough privilege), value with unit and thresholds, what it means, what to do. level: quick (no catalogs of user tables) | full. Error: 22023 another level';

CREATE VIEW dbutil.health AS
	SELECT h.check_name, h.object_name, h.status, h.measured, h.unit, h.warn, h.critical,
		   h.message, h.advice, h.suggested_sql, h.silenced
	FROM dbutil.health('full') AS h;
COMMENT ON VIEW dbutil.health IS
	'all health checks of the server and the current database; see the function of the same name';
GRANT SELECT ON dbutil.health TO PUBLIC;

CREATE FUNCTION dbutil.check_database_health(service text DEFAULT NULL, level text DEFAULT 'full')
	RETURNS jsonb
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	result jsonb;
BEGIN
	SELECT jsonb_build_object(
		'status', CASE WHEN bool_or(h.status = 'critical' AND NOT h.silenced) THEN 'critical'
					   WHEN bool_or(h.status = 'warn' AND NOT h.silenced) THEN 'warn'
					   WHEN bool_or(h.status = 'unknown') THEN 'unknown'
					   ELSE 'ok' END,
		'counts', jsonb_build_object(
			'ok', count(*) FILTER (WHERE h.status = 'ok'),
			'warn', count(*) FILTER (WHERE h.status = 'warn' AND NOT h.silenced),
			'critical', count(*) FILTER (WHERE h.status = 'critical' AND NOT h.silenced),
			'unknown', count(*) FILTER (WHERE h.status = 'unknown'),
			'silenced', count(*) FILTER (WHERE h.silenced)),
		'findings', coalesce((jsonb_agg(jsonb_build_object(
				'check', h.check_name, 'object', h.object_name, 'status', h.status,
				'value', h.measured, 'unit', h.unit, 'message', h.message, 'advice', h.advice)
				ORDER BY array_position(ARRAY['critical', 'warn'], h.status), h.check_name, h.object_name)
			FILTER (WHERE h.status IN ('critical', 'warn') AND NOT h.silenced)), '[]'))
	INTO result
	FROM dbutil.health(level) AS h;

	-- the verdict is about the worst; a long list helps nobody
	result := result || jsonb_build_object(
		'findings', (SELECT coalesce(jsonb_agg(f.finding ORDER BY f.ord), '[]')
					 FROM jsonb_array_elements(result -> 'findings') WITH ORDINALITY AS f(finding, ord)
					 WHERE f.ord <= 20),
		'server', jsonb_build_object(
			'version', current_setting('server_version'),
			'database', current_database(),
			'role', CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END,
			'uptime_s', floor(extract(epoch FROM now() - pg_postmaster_start_time())),
			'dbutil', dbutil.version()));

	IF service IS NOT NULL THEN
		BEGIN
			result := result || jsonb_build_object('service',
				coalesce((SELECT to_jsonb(s) FROM dbutil.services AS s
						  WHERE s.service = check_database_health.service),
						 jsonb_build_object('service', service, 'calls', 0)));
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			-- tracking needs preload; the verdict does not
			result := result || jsonb_build_object('service',
				jsonb_build_object('service', service, 'unknown', SQLERRM));
		END;
	END IF;
	RETURN result;
END $function$;
COMMENT ON FUNCTION dbutil.check_database_health(text, text) IS
	'what a service''s /health endpoint returns: overall status, counts by status, the 20 worst findings, server facts, and with service that service''s statistics. level: quick | full. Error: 22023 another level';
