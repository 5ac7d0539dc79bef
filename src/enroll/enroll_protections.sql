
-- What a service's sessions get for a setting: of the settings of roles and
-- databases that which PostgreSQL takes, else the server's.
CREATE FUNCTION dbutil.enrolling_effective(database_name name, rolename name, setting text)
	RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	RETURN coalesce(
		(SELECT pg_catalog.substr(c.c, pg_catalog.strpos(c.c, '=') + 1)
		 FROM pg_catalog.pg_db_role_setting AS s
		 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
		 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
		 CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(c)
		 WHERE (s.setdatabase = 0 OR d.datname = $1) AND (s.setrole = 0 OR r.rolname = $2)
		   AND pg_catalog.split_part(c.c, '=', 1) = $3
		 ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC
		 LIMIT 1),
		-- where the caller's own session has another value the server's is not seen
		(SELECT g.setting || CASE WHEN g.setting <> '0' THEN coalesce(g.unit, '') ELSE '' END
		 FROM pg_catalog.pg_settings AS g
		 WHERE g.name = $3 AND g.source IN ('default', 'configuration file', 'command line', 'environment variable')));
COMMENT ON FUNCTION dbutil.enrolling_effective(name, name, text) IS
	'value of a setting that a new session of the role in the database gets, NULL: there is no such setting, or only your own session''s value is seen';

CREATE FUNCTION dbutil.service_protections(
	rolename name, database_name name = current_database())
	RETURNS TABLE (protection text, state text, current_value text, note text)
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM dbutil.enrolling_role(database_name, rolename);
	FOR protection, note IN VALUES
		('statement_timeout', 'ends a statement that takes too long; a dry run of dbutil.enroll_service() counts what it would have ended'),
		('lock_timeout', 'ends a statement that waits too long for a lock, before others queue behind it'),
		('idle_in_transaction_session_timeout', 'ends a session that forgot its transaction, which holds locks and keeps vacuum from cleaning up'),
		('transaction_timeout', 'ends a transaction that takes too long, whatever it does; from PostgreSQL 17 on'),
		('client_connection_check_interval', 'lets the server see during a statement that its client is gone'),
		('connection limit', 'keeps one service from using up all connections') LOOP
		CONTINUE WHEN protection = 'transaction_timeout'
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings AS g WHERE g.name = 'transaction_timeout');
		current_value := CASE protection WHEN 'connection limit'
			THEN dbutil.enrolled_value(database_name, rolename, protection)
			ELSE dbutil.enrolling_effective(database_name, rolename, protection) END;
		-- a limit of 0 lets nobody in
		state := CASE WHEN current_value IS NULL OR (protection <> 'connection limit' AND current_value ~ '^0+(\.0*)?\s*[a-z]*$')
			THEN 'lacks' ELSE 'has' END;
		RETURN NEXT;
	END LOOP;
END $$;
COMMENT ON FUNCTION dbutil.service_protections(name, name) IS
	'what the server does to protect others from the role''s sessions in the database: one row for each protection, state has | lacks, its value (NULL: none, or not seen), and what it is good for. New sessions have it unless they set something else themselves. Errors: 42704 no such role, 3D000 no such database';
