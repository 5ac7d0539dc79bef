
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
