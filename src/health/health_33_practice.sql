
-- How services use the database: what tracking saw of them, and what was set for them.
CREATE FUNCTION dbutil.health_measure_practice() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	free_to_all integer := current_setting('max_connections')::integer
		- current_setting('superuser_reserved_connections')::integer
		- coalesce(current_setting('reserved_connections', true)::integer, 0);	-- from 16 on
BEGIN
	-- Without preload nothing is tracked, which dbutil_losses tells.
	IF (SELECT s.state = 'ok' FROM dbutil.status() AS s WHERE s.item = 'preload') THEN
		RETURN QUERY
		SELECT 'unprepared_repetition', s.service,
			   CASE WHEN s.total_plan_time > 0
					THEN (100 * s.total_plan_time / (s.total_plan_time + s.total_exec_time))::numeric
					WHEN current_setting('dbutil.track_planning')::boolean THEN 0 END, s.calls::numeric,
			   CASE WHEN s.total_plan_time > 0 OR current_setting('dbutil.track_planning')::boolean
					THEN format('%s ms of planning and %s ms of execution in %s statements', round(s.total_plan_time), round(s.total_exec_time), s.calls)
					ELSE 'dbutil.track_planning is off' END, NULL::text, false
		FROM dbutil.services() AS s;

		-- One row with each statement, as those that read write none: rather less
		-- than one says that the service does other work, too.
		RETURN QUERY
		SELECT 'row_at_a_time_writes', t.service,
			   CASE WHEN t.rows_written BETWEEN 0.5 * t.statements AND 1.2 * t.statements
					THEN round(t.statements / t.transactions, 1) ELSE 0 END, t.statements,
			   format('%s rows in %s statements of %s transactions', t.rows_written, t.statements, t.transactions), NULL::text, false
		FROM (SELECT x.service, sum(x.statements) AS statements, sum(x.rows_written) AS rows_written,
					 sum(x.commits + x.rollbacks) AS transactions
			  FROM dbutil.transactions() AS x WHERE x.rows_written > 0 GROUP BY x.service) AS t;
	END IF;

	-- A role in a database that has a service of its own is enrolled.  What is set
	-- most closely to it counts; what the server's configuration says is known as
	-- far as nothing else is set for the role that asks.
	RETURN QUERY
	WITH setting AS (
		SELECT s.setdatabase, s.setrole, split_part(c.c, '=', 1) AS name, substr(c.c, strpos(c.c, '=') + 1) AS value
		FROM pg_db_role_setting AS s CROSS JOIN LATERAL unnest(s.setconfig) AS c(c)
	)
	SELECT 'missing_timeouts', format('%I in %I', r.rolname, d.datname),
		   CASE WHEN coalesce(t.value, g.reset_val) ~ '^0\D*$' THEN 1 ELSE 0 END::numeric, NULL::numeric,
		   format('idle_in_transaction_session_timeout is %s for service %s', coalesce(t.value, g.reset_val), e.value),
		   format('ALTER ROLE %I IN DATABASE %I SET idle_in_transaction_session_timeout = ''60s''', r.rolname, d.datname), false
	FROM setting AS e
	JOIN pg_roles AS r ON r.oid = e.setrole
	JOIN pg_database AS d ON d.oid = e.setdatabase
	CROSS JOIN (SELECT s.reset_val FROM pg_settings AS s WHERE s.name = 'idle_in_transaction_session_timeout') AS g
	LEFT JOIN LATERAL (
		SELECT s.value FROM setting AS s
		WHERE s.name = 'idle_in_transaction_session_timeout'
		  AND s.setdatabase IN (0, e.setdatabase) AND s.setrole IN (0, e.setrole)
		ORDER BY s.setrole <> 0 AND s.setdatabase <> 0 DESC, s.setrole <> 0 DESC, s.setdatabase <> 0 DESC LIMIT 1) AS t ON true
	WHERE e.name = 'dbutil.service' AND e.value <> '';

	RETURN QUERY
	SELECT 'connection_limits', 'server', coalesce(100.0 * sum(r.rolconnlimit) / greatest(free_to_all, 1), 0), NULL::numeric,
		   format('%s roles may have %s connections, there are %s', count(*), coalesce(sum(r.rolconnlimit), 0), free_to_all), NULL::text, false
	FROM pg_roles AS r
	WHERE r.rolcanlogin AND r.rolconnlimit > 0 AND NOT r.rolsuper;

	RETURN QUERY
	SELECT 'foreign_batch_size', format('%I.%I', n.nspname, c.relname), 1::numeric, NULL::numeric,
		   format('server %I, batch_size 1', s.srvname),
		   format('ALTER FOREIGN TABLE %I.%I OPTIONS (%s batch_size ''100'')', n.nspname, c.relname, CASE WHEN o.own_batch IS NULL THEN 'ADD' ELSE 'SET' END), false
	FROM pg_foreign_table AS f
	JOIN pg_foreign_server AS s ON s.oid = f.ftserver
	JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
	JOIN pg_class AS c ON c.oid = f.ftrelid
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
	CROSS JOIN LATERAL (
		SELECT (SELECT p.option_value FROM pg_options_to_table(f.ftoptions) AS p WHERE p.option_name = 'batch_size') AS own_batch,
			   (SELECT p.option_value FROM pg_options_to_table(s.srvoptions) AS p WHERE p.option_name = 'batch_size') AS server_batch,
			   (SELECT p.option_value FROM pg_options_to_table(f.ftoptions) AS p WHERE p.option_name = 'updatable') AS own_updatable,
			   (SELECT p.option_value FROM pg_options_to_table(s.srvoptions) AS p WHERE p.option_name = 'updatable') AS server_updatable) AS o
	WHERE w.fdwname = 'postgres_fdw'
	  AND coalesce(o.own_batch, o.server_batch, '1')::bigint <= 1
	  AND coalesce(o.own_updatable, o.server_updatable, 'true')::boolean;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_practice() IS
	'what the checks on how services use the database see, for dbutil.health';
