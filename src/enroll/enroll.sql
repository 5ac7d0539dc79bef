
-- enroll: an existing service under dbutil, without a change in its code
--
-- A service is a role in a database.  Enrolling it is a number of
-- ALTER ROLE ... IN DATABASE ... SET, which new sessions take up.  What was set and
-- what it replaced is kept in dbutil.enrolled_settings, so that withdrawing gives
-- back what was there, and leaves alone what somebody changed since.
--
-- With the caller's rights throughout: PostgreSQL decides who may alter a role.

CREATE TABLE dbutil.enrolled_settings (
	database_name text NOT NULL,
	rolename text NOT NULL,
	setting text NOT NULL,
	new_value text,
	old_value text,
	enrolled_at timestamp with time zone NOT NULL DEFAULT now(),
	enrolled_by text NOT NULL DEFAULT current_user,
	PRIMARY KEY (database_name, rolename, setting));
COMMENT ON TABLE dbutil.enrolled_settings IS
	'what dbutil.enroll_service() has set for a role in a database, and what was set before (NULL: nothing, or no limit); settings ''connection limit'' and ''membership in pg_monitor'' are the role''s own, in all databases. dbutil.withdraw_service() goes by it. All may read it, its owner and superusers write it; GRANT INSERT, UPDATE, DELETE ON it to another role that is to enrol services. Dumped by pg_dump';
GRANT SELECT ON dbutil.enrolled_settings TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('dbutil.enrolled_settings', '');

-- The value of setting for the role in the database, NULL if there is none.
CREATE FUNCTION dbutil.enrolled_value(database_name name, rolename name, setting text)
	RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	RETURN CASE setting
		WHEN 'connection limit'
		THEN (SELECT nullif(r.rolconnlimit, -1)::text FROM pg_catalog.pg_roles AS r WHERE r.rolname = $2)
		WHEN 'membership in pg_monitor'
		THEN (SELECT 'yes' FROM pg_catalog.pg_auth_members AS m
			  JOIN pg_catalog.pg_roles AS r ON r.oid = m.member AND r.rolname = $2
			  JOIN pg_catalog.pg_roles AS g ON g.oid = m.roleid AND g.rolname = 'pg_monitor'
			  LIMIT 1)
		ELSE (SELECT pg_catalog.substr(c.c, pg_catalog.strpos(c.c, '=') + 1)
			  FROM pg_catalog.pg_db_role_setting AS s
			  JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase AND d.datname = $1
			  JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole AND r.rolname = $2
			  CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(c)
			  WHERE pg_catalog.split_part(c.c, '=', 1) = $3)
		END;
COMMENT ON FUNCTION dbutil.enrolled_value(name, name, text) IS
	'value of a setting as ALTER ROLE ... IN DATABASE ... SET has it, NULL: none; for ''connection limit'' the role''s limit, NULL: none; for ''membership in pg_monitor'' yes, NULL: it is no member';

-- The command that gives setting the value, or takes it away where it is NULL.
CREATE FUNCTION dbutil.enrolling_command(database_name name, rolename name, setting text, new_value text)
	RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	RETURN CASE
		WHEN setting = 'connection limit'
		THEN pg_catalog.format('ALTER ROLE %I CONNECTION LIMIT %s', rolename, coalesce(new_value, '-1'))
		WHEN setting = 'membership in pg_monitor'
		THEN pg_catalog.format(CASE WHEN new_value IS NULL THEN 'REVOKE pg_monitor FROM %I' ELSE 'GRANT pg_monitor TO %I' END, rolename)
		WHEN new_value IS NULL
		THEN pg_catalog.format('ALTER ROLE %I IN DATABASE %I RESET %s', rolename, database_name, setting)
		ELSE pg_catalog.format('ALTER ROLE %I IN DATABASE %I SET %s TO %L', rolename, database_name, setting, new_value)
		END;
COMMENT ON FUNCTION dbutil.enrolling_command(name, name, text, text) IS
	'text of the command (ALTER ROLE, or for ''membership in pg_monitor'' GRANT) that gives a role''s setting the value in a database, or takes it away (NULL)';

-- Does what is asked for, and sees that it was done: from PostgreSQL 16 on REVOKE
-- only warns where another role granted.
CREATE FUNCTION dbutil.enrolling_do(database_name name, rolename name, setting text, new_value text)
	RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE dbutil.enrolling_command(database_name, rolename, setting, new_value);
	IF dbutil.enrolled_value(database_name, rolename, setting) IS DISTINCT FROM new_value THEN
		RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = pg_catalog.format('%s of role "%s" is still %s', setting, rolename,
				coalesce(pg_catalog.quote_literal(dbutil.enrolled_value(database_name, rolename, setting)), 'not set')),
			HINT = pg_catalog.format('Who set it can take it back: %s.',
				dbutil.enrolling_command(database_name, rolename, setting, new_value));
	END IF;
END $$;
COMMENT ON FUNCTION dbutil.enrolling_do(name, name, text, text) IS
	'runs dbutil.enrolling_command(...) and reads the value back. Errors: those of the command, 55000 it had no effect';

-- How many tracked calls a timeout would have ended: as far as that is counted.
CREATE FUNCTION dbutil.enrolling_timeout_note(
	database_name name, rolename name, setting text, new_value interval)
	RETURNS text
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	limit_us double precision := extract(epoch FROM new_value) * 1000000;
	calls bigint;
	ended bigint;
BEGIN
	IF new_value = '0' THEN
		RETURN 'turns the timeout off';
	ELSIF setting = 'lock_timeout' THEN
		RETURN 'waits for locks are not timed one by one, see dbutil.waits';
	ELSIF (SELECT st.state <> 'ok' FROM dbutil.status() AS st WHERE st.item = 'preload') THEN
		RETURN 'nothing is tracked without shared_preload_libraries, so what it would have ended is not known';
	ELSIF setting = 'statement_timeout' THEN
		SELECT sum(s.calls) INTO calls
		FROM dbutil.statements(false) AS s
		JOIN pg_catalog.pg_roles AS r ON r.oid = s.userid
		JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
		WHERE r.rolname = enrolling_timeout_note.rolename AND d.datname = database_name;
		-- a queryid's histogram is of all roles; whose calls are short has none to give
		SELECT sum(h.calls) INTO ended
		FROM (SELECT DISTINCT s.queryid, s.service
			  FROM dbutil.statements(false) AS s
			  JOIN pg_catalog.pg_roles AS r ON r.oid = s.userid
			  JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
			  WHERE r.rolname = enrolling_timeout_note.rolename AND d.datname = database_name
				AND s.max_exec_time * 1000 >= limit_us) AS slow
		CROSS JOIN LATERAL dbutil.statement_histogram(slow.queryid) AS h
		WHERE h.service = slow.service AND h.lower_us >= limit_us;
		RETURN pg_catalog.format('would have ended %s of %s tracked calls', coalesce(ended, 0), coalesce(calls, 0));
	ELSE
		SELECT sum(t.commits + t.rollbacks), count(*) FILTER (WHERE t.max_idle_time * 1000 >= limit_us)
		INTO calls, ended
		FROM dbutil.transactions() AS t
		JOIN pg_catalog.pg_roles AS r ON r.oid = t.userid
		JOIN pg_catalog.pg_database AS d ON d.oid = t.dbid
		WHERE r.rolname = enrolling_timeout_note.rolename AND d.datname = database_name;
		RETURN pg_catalog.format('would have ended sessions in %s shapes of transactions (%s tracked transactions in all)',
			ended, coalesce(calls, 0));
	END IF;
END $$;
COMMENT ON FUNCTION dbutil.enrolling_timeout_note(name, name, text, interval) IS
	'what a timeout would have ended of the role''s tracked statements and transactions in the database, in words';

-- What is asked for, one row a setting, checked; the type of the value is checked by ALTER ROLE.
CREATE FUNCTION dbutil.enrolling_settings(
	rolename name, service text, plan_cache text, track text,
	statement_timeout interval, lock_timeout interval,
	idle_in_transaction_session_timeout interval, connection_limit integer, settings jsonb, monitor boolean)
	RETURNS TABLE (setting text, new_value text, timeout interval)
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	s record;
BEGIN
	IF service = '' OR octet_length(service) > 63 THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'the name of a service has 1 to 63 bytes',
			HINT = 'NULL takes the role''s name.';
	END IF;
	IF connection_limit < -1 THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'connection_limit is out of range',
			HINT = 'It is a number of sessions, or -1 for no limit.';
	END IF;
	IF jsonb_typeof(settings) <> 'object' THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = 'settings is no JSON object',
			HINT = 'It is written {"work_mem": "8MB", ...}.';
	END IF;

	setting := 'dbutil.service';
	new_value := coalesce(service, rolename);
	RETURN NEXT;
	FOR setting, new_value IN VALUES ('dbutil.plan_cache', plan_cache), ('dbutil.track', track),
			('connection limit', connection_limit::text),
			('membership in pg_monitor', CASE WHEN monitor THEN 'yes' END) LOOP
		IF new_value IS NOT NULL THEN
			RETURN NEXT;
		END IF;
	END LOOP;
	FOR setting, timeout IN VALUES ('statement_timeout', statement_timeout), ('lock_timeout', lock_timeout),
			('idle_in_transaction_session_timeout', idle_in_transaction_session_timeout) LOOP
		CONTINUE WHEN timeout IS NULL;
		IF timeout < '0' OR extract(epoch FROM timeout) > 2147483 THEN
			RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
				MESSAGE = setting || ' is out of range',
				HINT = 'It is between 0, which turns it off, and 24 days.';
		END IF;
		new_value := trunc(extract(epoch FROM timeout) * 1000)::text || 'ms';
		RETURN NEXT;
	END LOOP;
	timeout := NULL;
	FOR s IN SELECT e.key, e.value FROM jsonb_each_text(settings) AS e LOOP
		IF s.key !~ '^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$' OR s.value IS NULL OR
			s.key IN ('dbutil.service', 'local_preload_libraries', 'search_path', 'session_preload_libraries', 'temp_tablespaces') THEN
			RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
				MESSAGE = pg_catalog.format('settings cannot hold "%s"', s.key),
				HINT = 'It holds settings of one value, in lower case; lists are set by ALTER ROLE.';
		END IF;
		setting := s.key;
		new_value := s.value;
		RETURN NEXT;
	END LOOP;
END $$;
COMMENT ON FUNCTION dbutil.enrolling_settings(name, text, text, text, interval, interval, interval, integer, jsonb, boolean) IS
	'the settings that dbutil.enroll_service() is asked for, one row each, checked as far as PostgreSQL does not';

CREATE FUNCTION dbutil.enrolling_role(database_name name, rolename name)
	RETURNS void
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM FROM pg_catalog.pg_roles AS r WHERE r.rolname = enrolling_role.rolename;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object',
			MESSAGE = pg_catalog.format('role "%s" does not exist', rolename),
			HINT = 'A service is the role that it connects as, and its database.';
	END IF;
	PERFORM FROM pg_catalog.pg_database AS d WHERE d.datname = enrolling_role.database_name;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '3D000',
			MESSAGE = pg_catalog.format('database "%s" does not exist', database_name),
			HINT = 'A service is the role that it connects as, and its database.';
	END IF;
END $$;
COMMENT ON FUNCTION dbutil.enrolling_role(name, name) IS
	'raises an error if the role or the database does not exist';

-- Sessions that took up their settings before, and what else is to be done.
CREATE FUNCTION dbutil.enrolling_leftovers(database_name name, rolename name)
	RETURNS TABLE (done text, item text, note text)
	LANGUAGE sql STABLE
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT 'reconnect', 'session ' || a.pid,
		   pg_catalog.format('%s, connected since %s: has the settings of before',
							 coalesce(nullif(a.application_name, ''), 'no application_name'), coalesce(a.backend_start::text, 'some time'))
	FROM pg_catalog.pg_stat_activity AS a
	WHERE a.datname = database_name AND a.usename = rolename AND a.pid <> pg_catalog.pg_backend_pid()
	UNION ALL
	SELECT 'reconnect', 'pgbouncer',
		   pg_catalog.format('where there is one, on its console: RECONNECT %I', database_name);
END;
COMMENT ON FUNCTION dbutil.enrolling_leftovers(name, name) IS
	'what still has the settings of before and must reconnect';

CREATE FUNCTION dbutil.enroll_service(
	rolename name, service text = NULL, database_name name = current_database(),
	plan_cache text = 'auto', track text = NULL,
	statement_timeout interval = NULL, lock_timeout interval = NULL,
	idle_in_transaction_session_timeout interval = NULL,
	connection_limit integer = NULL, settings jsonb = '{}', monitor boolean = false, dry_run boolean = false)
	RETURNS TABLE (done text, item text, old_value text, new_value text, command text, undo text, note text)
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	s record;
	denied text;
BEGIN
	PERFORM dbutil.version();	-- loads the library, which knows its settings
	PERFORM dbutil.enrolling_role(database_name, rolename);
	BEGIN
		LOCK TABLE dbutil.enrolled_settings IN SHARE ROW EXCLUSIVE MODE;
		FOR s IN SELECT * FROM dbutil.enrolling_settings(rolename, service, plan_cache, track, statement_timeout,
				lock_timeout, idle_in_transaction_session_timeout, connection_limit, settings, monitor) LOOP
			item := s.setting;
			new_value := nullif(s.new_value, CASE WHEN item = 'connection limit' THEN '-1' END);
			old_value := dbutil.enrolled_value(database_name, rolename, item);
			command := dbutil.enrolling_command(database_name, rolename, item, new_value);
			undo := dbutil.enrolling_command(database_name, rolename, item, old_value);
			note := CASE WHEN s.timeout IS NOT NULL
				THEN dbutil.enrolling_timeout_note(database_name, rolename, item, s.timeout) END;
			IF old_value IS NOT DISTINCT FROM new_value THEN
				done := 'kept';
			ELSE
				done := CASE WHEN dry_run THEN 'would set' ELSE 'set' END;
				PERFORM dbutil.enrolling_do(database_name, rolename, item, new_value);
				INSERT INTO dbutil.enrolled_settings AS e (database_name, rolename, setting, new_value, old_value)
				VALUES (enroll_service.database_name, enroll_service.rolename, item, new_value, old_value)
				ON CONFLICT (database_name, rolename, setting) DO UPDATE
				SET new_value = excluded.new_value, enrolled_at = excluded.enrolled_at, enrolled_by = excluded.enrolled_by,
					old_value = CASE WHEN e.new_value IS NOT DISTINCT FROM excluded.old_value
						THEN e.old_value ELSE excluded.old_value END;
			END IF;
			RETURN NEXT;
		END LOOP;
		IF dry_run THEN
			RAISE EXCEPTION USING ERRCODE = 'DBUDR';	-- takes everything back
		END IF;
	EXCEPTION
		WHEN SQLSTATE 'DBUDR' THEN
			NULL;
		WHEN insufficient_privilege THEN
			denied := SQLERRM;
	END;
	IF denied IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
			MESSAGE = pg_catalog.format('permission denied to enrol role "%s" in database "%s"', rolename, database_name),
			DETAIL = pg_catalog.format('PostgreSQL says: %s.', denied),
			HINT = 'A superuser can, and who may alter the role (CREATEROLE, from 16 on with ADMIN OPTION on it) and write dbutil.enrolled_settings.';
	END IF;
	old_value := NULL;
	new_value := NULL;
	command := NULL;
	undo := NULL;
	FOR done, item, note IN SELECT * FROM dbutil.enrolling_leftovers(database_name, rolename) LOOP
		RETURN NEXT;
	END LOOP;
	IF (SELECT st.state <> 'ok' FROM dbutil.status() AS st WHERE st.item = 'preload') THEN
		done := 'missing';
		item := 'shared_preload_libraries';
		note := 'the settings have no effect before the library is loaded: add dbutil and restart the server';
		RETURN NEXT;
	END IF;
END $$;
COMMENT ON FUNCTION dbutil.enroll_service(name, text, name, text, text, interval, interval, interval, integer, jsonb, boolean, boolean) IS
	'puts an existing service, the role that it connects as in a database, under dbutil without a change in its code: sets dbutil.service (service; NULL: the role''s name), dbutil.plan_cache, and what else is not NULL: dbutil.track (superusers only), timeouts (0: off), the role''s connection limit, settings, a JSON object of names and values, and with monitor membership in pg_monitor, which dbutil.health needs to judge sessions. One row for each: done set | would set (dry_run) | kept (was so), the value before (NULL: none) and now, the command and the one that undoes it; note tells what a timeout would have ended of the calls that were tracked. Then a row for each session that must reconnect to take them up. dry_run does all of it and takes it back, so it also refuses what could not be done. Errors: 42704 or 3D000 no such role or database, 22023 a value, 42704 a setting that does not exist, 42501 you may not alter the role; nothing is changed then. dbutil.withdraw_service() gives back what was, dbutil.service_protections() tells what the service still lacks';

CREATE FUNCTION dbutil.withdraw_service(
	rolename name, database_name name = current_database(), dry_run boolean = false)
	RETURNS TABLE (done text, item text, old_value text, new_value text, command text, note text)
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	e record;
	denied text;
BEGIN
	PERFORM dbutil.version();
	PERFORM dbutil.enrolling_role(database_name, rolename);
	PERFORM FROM dbutil.enrolled_settings AS e
	WHERE e.database_name = withdraw_service.database_name AND e.rolename = withdraw_service.rolename;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object',
			MESSAGE = pg_catalog.format('role "%s" is not enrolled in database "%s"', rolename, database_name),
			HINT = 'SELECT DISTINCT rolename, database_name FROM dbutil.enrolled_settings lists those that are.';
	END IF;
	BEGIN
		LOCK TABLE dbutil.enrolled_settings IN SHARE ROW EXCLUSIVE MODE;
		FOR e IN DELETE FROM dbutil.enrolled_settings AS e
				WHERE e.database_name = withdraw_service.database_name AND e.rolename = withdraw_service.rolename
				RETURNING e.setting, e.new_value, e.old_value LOOP
			item := e.setting;
			old_value := dbutil.enrolled_value(database_name, rolename, item);
			new_value := e.old_value;
			command := dbutil.enrolling_command(database_name, rolename, item, new_value);
			note := NULL;
			IF old_value IS DISTINCT FROM e.new_value THEN
				done := 'left';
				note := 'was changed since it was enrolled';
			ELSE
				done := CASE WHEN dry_run THEN 'would set' ELSE 'set' END;
				PERFORM dbutil.enrolling_do(database_name, rolename, item, new_value);
			END IF;
			RETURN NEXT;
		END LOOP;
		IF dry_run THEN
			RAISE EXCEPTION USING ERRCODE = 'DBUDR';	-- takes everything back
		END IF;
	EXCEPTION
		WHEN SQLSTATE 'DBUDR' THEN
			NULL;
		WHEN insufficient_privilege THEN
			denied := SQLERRM;
	END;
	IF denied IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
			MESSAGE = pg_catalog.format('permission denied to withdraw role "%s" in database "%s"', rolename, database_name),
			DETAIL = pg_catalog.format('PostgreSQL says: %s.', denied),
			HINT = 'A superuser can, and who may alter the role (CREATEROLE, from 16 on with ADMIN OPTION on it) and write dbutil.enrolled_settings.';
	END IF;
	old_value := NULL;
	new_value := NULL;
	command := NULL;
	FOR done, item, note IN SELECT * FROM dbutil.enrolling_leftovers(database_name, rolename) LOOP
		RETURN NEXT;
	END LOOP;
END $$;
COMMENT ON FUNCTION dbutil.withdraw_service(name, name, boolean) IS
	'takes a service out again: each setting that dbutil.enroll_service() gave the role in the database gets back what it had (set, would set with dry_run), unless it was changed since (left). Then a row for each session that must reconnect. Errors: 42704 no such role, or it is not enrolled, 3D000 no such database, 42501 you may not alter the role, 55000 another role granted what is to be revoked; nothing is changed then';
