
-- Sessions.  Without pg_read_all_stats only one's own sessions show what they
-- do; the others are told as unknown.  Locks and snapshots all may see.
CREATE FUNCTION dbutil.health_measure_sessions() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	see_all boolean := pg_has_role('pg_read_all_stats', 'USAGE');
	in_recovery boolean := pg_is_in_recovery();
	free_to_all integer := current_setting('max_connections')::integer
		- current_setting('superuser_reserved_connections')::integer
		- coalesce(current_setting('reserved_connections', true)::integer, 0);	-- from 16 on
	used bigint;
BEGIN
	IF see_all THEN
		SELECT count(*) INTO used FROM pg_stat_activity AS a WHERE a.backend_type = 'client backend';
		RETURN QUERY SELECT 'connections_used', 'server', 100.0 * used / greatest(free_to_all, 1), NULL::numeric,
			format('%s of %s connections are in use', used, free_to_all), NULL::text, false;
	ELSE
		RETURN QUERY SELECT c.check_name, c.object_name, NULL::numeric, NULL::numeric,
			'what sessions of other roles do is hidden', NULL::text, true
		FROM (VALUES ('connections_used', 'server'),
					 ('idle_in_transaction', 'sessions of other roles'),
					 ('long_query', 'sessions of other roles'),
					 ('long_transaction', 'sessions of other roles')) AS c(check_name, object_name);
	END IF;

	-- the worst session of each application stands for the others
	RETURN QUERY
	WITH seen AS (
		SELECT k.check_name, format('%s/%s/%s', a.datname, a.usename, a.application_name) AS object_name,
			   a.pid, a.state, greatest(extract(epoch FROM clock_timestamp() - k.since), 0) AS seconds
		FROM pg_stat_activity AS a
		CROSS JOIN LATERAL (VALUES
			('idle_in_transaction', CASE WHEN a.state LIKE 'idle in transaction%' THEN a.state_change END),
			('long_query', CASE WHEN a.state IN ('active', 'fastpath function call') THEN a.query_start END),
			('long_transaction', a.xact_start)) AS k(check_name, since)
		WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND k.since IS NOT NULL
	)
	SELECT DISTINCT ON (s.check_name, s.object_name)
		   s.check_name, s.object_name, s.seconds, NULL::numeric,
		   format(CASE s.check_name WHEN 'idle_in_transaction' THEN 'session %s has been idle in its transaction for %s s'
									WHEN 'long_query' THEN 'session %s has been running its statement for %s s'
									ELSE 'session %s has had its transaction open for %s s' END, s.pid, round(s.seconds))
		   || CASE WHEN count(*) OVER w > 1 THEN format('; sessions like it: %s', count(*) OVER w) ELSE '' END,
		   format(CASE WHEN s.state = 'active' THEN 'SELECT pg_cancel_backend(%s)'
					   ELSE 'SELECT pg_terminate_backend(%s)' END, s.pid),
		   false
	FROM seen AS s
	WINDOW w AS (PARTITION BY s.check_name, s.object_name)
	ORDER BY s.check_name, s.object_name, s.seconds DESC;

	-- Reading all locks costs the lock manager: look first whether one waits,
	-- where that can be seen.
	IF NOT see_all OR EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.wait_event_type = 'Lock') THEN
		RETURN QUERY
		WITH waiting AS (
			SELECT DISTINCT ON (l.object_name) l.*
			FROM (SELECT format('%s/%s/%s', a.datname, a.usename, a.application_name) AS object_name, k.pid,
						 greatest(extract(epoch FROM clock_timestamp() - k.waitstart), 0) AS seconds
				  FROM pg_locks AS k
				  LEFT JOIN pg_stat_activity AS a ON a.pid = k.pid
				  WHERE NOT k.granted AND k.waitstart IS NOT NULL) AS l
			ORDER BY l.object_name, l.seconds DESC
		)
		SELECT 'lock_wait', w.object_name, w.seconds, NULL::numeric,
			   format('session %s has been waiting for %s s', w.pid, round(w.seconds))
			   || CASE WHEN w.seconds >= 1
					   THEN format(' for %s', array_to_string(pg_blocking_pids(w.pid), ', ')) ELSE '' END,
			   format('SELECT * FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids(%s))', w.pid), false
		FROM waiting AS w;
	END IF;

	RETURN QUERY
	SELECT 'prepared_transactions', format('%s/%s/%s', p.database, p.owner, p.gid),
		   greatest(extract(epoch FROM clock_timestamp() - p.prepared), 0), NULL::numeric,
		   format('transaction %L was prepared %s s ago', p.gid,
				  round(extract(epoch FROM clock_timestamp() - p.prepared))), NULL::text, false
	FROM pg_prepared_xacts AS p;

	-- A standby's own snapshots hold nothing but through its primary.
	IF NOT in_recovery THEN
		RETURN QUERY
		SELECT DISTINCT ON (h.object_name)
			   'xmin_horizon', h.object_name, h.xacts::numeric, NULL::numeric,
			   format('%s keeps what became dead in the last %s transactions', h.holder, h.xacts), h.sql, false
		FROM (
			-- a walsender passes on what its standby's sessions hold
			SELECT format('%s/%s/%s', a.datname, a.usename, a.application_name) AS object_name,
				   format('session %s', a.pid) AS holder,
				   greatest(age(a.backend_xmin), age(a.backend_xid)) AS xacts,
				   CASE a.backend_type WHEN 'client backend' THEN format('SELECT pg_terminate_backend(%s)', a.pid) END AS sql
			FROM pg_stat_activity AS a
			WHERE a.pid <> pg_backend_pid()
			  AND a.backend_type IS DISTINCT FROM 'autovacuum worker'	-- these do not count
			UNION ALL
			SELECT format('slot %s', r.slot_name), format('slot %s', r.slot_name), greatest(age(r.xmin), age(r.catalog_xmin)), NULL
			FROM pg_replication_slots AS r
			UNION ALL
			SELECT format('prepared transaction %s', p.gid), format('prepared transaction %s', p.gid), age(p.transaction), NULL
			FROM pg_prepared_xacts AS p) AS h
		WHERE h.xacts IS NOT NULL
		ORDER BY h.object_name, h.xacts DESC;
	END IF;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_sessions() IS
	'what the checks on sessions, locks, snapshots and prepared transactions see, for dbutil.health';
