--
-- enroll: a service is enrolled, looked at, and withdrawn
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE enroll_app LOGIN;
CREATE ROLE enroll_admin CREATEROLE;
CREATE ROLE enroll_nobody;
SELECT current_database() AS db, current_user AS admin \gset
CREATE FUNCTION pg_temp.role_settings() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT c FROM pg_db_role_setting AS s, unnest(setconfig) AS c
	WHERE setrole = 'enroll_app'::regrole AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
	UNION ALL SELECT 'limit ' || rolconnlimit FROM pg_roles WHERE rolname = 'enroll_app'
$$;
ALTER ROLE enroll_app IN DATABASE :"db" SET statement_timeout = '1h';

-- what would be done; nothing is
SELECT done, item, old_value, new_value, replace(undo, current_database(), 'DB') AS undo
FROM dbutil.enroll_service('enroll_app', 'orders', statement_timeout => '30s', connection_limit => 20, dry_run => true);
SELECT * FROM pg_temp.role_settings();
SELECT count(*) FROM dbutil.enrolled_settings;

-- it is done
SELECT done, item, old_value, new_value, replace(command, current_database(), 'DB') AS command
FROM dbutil.enroll_service('enroll_app', 'orders', statement_timeout => '30s', connection_limit => 20,
	settings => '{"work_mem": "8MB", "application_name": "o''rders; x"}');
SELECT * FROM pg_temp.role_settings();
SELECT setting, new_value, old_value, enrolled_by = current_user AS by_me FROM dbutil.enrolled_settings ORDER BY setting COLLATE "C";

-- a live session has it
\c - enroll_app
SELECT current_setting('dbutil.service') AS service, current_setting('dbutil.plan_cache') AS plan_cache,
	current_setting('statement_timeout') AS timeout, current_setting('application_name') AS name;
\c - :admin
SET client_min_messages = warning;
CREATE FUNCTION pg_temp.role_settings() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT c FROM pg_db_role_setting AS s, unnest(setconfig) AS c
	WHERE setrole = 'enroll_app'::regrole AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
	UNION ALL SELECT 'limit ' || rolconnlimit FROM pg_roles WHERE rolname = 'enroll_app'
$$;

-- once more: what was there in the beginning is still known
SELECT done, item FROM dbutil.enroll_service('enroll_app', 'orders', plan_cache => 'exact', statement_timeout => '20s', connection_limit => 20);
SELECT setting, new_value, old_value FROM dbutil.enrolled_settings WHERE setting IN ('statement_timeout', 'dbutil.plan_cache') ORDER BY 1;

-- withdrawn: all is as before, but for what somebody changed since
ALTER ROLE enroll_app IN DATABASE :"db" SET work_mem = '16MB';
SELECT done, item, old_value, new_value FROM dbutil.withdraw_service('enroll_app', dry_run => true) ORDER BY item COLLATE "C";
SELECT count(*) FROM dbutil.enrolled_settings;
SELECT done, item, old_value, new_value, note FROM dbutil.withdraw_service('enroll_app') ORDER BY item COLLATE "C";
SELECT * FROM pg_temp.role_settings();
SELECT count(*) FROM dbutil.enrolled_settings;

-- what is refused, whole
SELECT * FROM dbutil.withdraw_service('enroll_app');
SELECT * FROM dbutil.enroll_service('no_such_role');
SELECT * FROM dbutil.enroll_service('enroll_app', database_name => 'no_such_database');
SELECT * FROM dbutil.enroll_service('enroll_app', '');
SELECT * FROM dbutil.enroll_service('enroll_app', repeat('x', 64));
SELECT * FROM dbutil.enroll_service('enroll_app', plan_cache => 'on');
SELECT * FROM dbutil.enroll_service('enroll_app', statement_timeout => '-1s');
SELECT * FROM dbutil.enroll_service('enroll_app', lock_timeout => '1 month');
SELECT * FROM dbutil.enroll_service('enroll_app', connection_limit => -2);
SELECT * FROM dbutil.enroll_service('enroll_app', settings => '["work_mem"]');
SELECT * FROM dbutil.enroll_service('enroll_app', settings => '{"no_such_setting": "1"}');
SELECT * FROM dbutil.enroll_service('enroll_app', settings => '{"work_mem": "much"}');
SELECT * FROM dbutil.enroll_service('enroll_app', settings => '{"search_path": "a"}');
SELECT * FROM dbutil.enroll_service('enroll_app', settings => '{"work_mem to 1; drop table x": "1"}');
SELECT * FROM dbutil.enroll_service('enroll_app', settings => '{"work_mem": null}');
SET ROLE enroll_nobody;
SELECT * FROM dbutil.enroll_service('enroll_app');
RESET ROLE;
\set VERBOSITY terse
GRANT INSERT, UPDATE, DELETE ON dbutil.enrolled_settings TO enroll_nobody;
SET ROLE enroll_nobody;
SELECT * FROM dbutil.enroll_service('enroll_app', dry_run => true);
RESET ROLE;
SELECT * FROM pg_temp.role_settings();

-- by a role that may
GRANT INSERT, UPDATE, DELETE ON dbutil.enrolled_settings TO enroll_admin;
DO $$BEGIN IF current_setting('server_version_num')::integer >= 160000 THEN EXECUTE 'GRANT enroll_app TO enroll_admin WITH ADMIN OPTION'; END IF; END$$;
SET ROLE enroll_admin;
SELECT done, item FROM dbutil.enroll_service('enroll_app', 'orders');
SELECT done, item FROM dbutil.enroll_service('enroll_app', 'orders', track => 'all');
SELECT done, item FROM dbutil.withdraw_service('enroll_app') ORDER BY item COLLATE "C";
RESET ROLE;
SELECT * FROM pg_temp.role_settings();

-- what a timeout would have ended
ALTER ROLE enroll_app IN DATABASE :"db" RESET ALL;
SET ROLE enroll_app;
SELECT 1 AS quick;
SELECT pg_sleep(0.2);
RESET ROLE;
SELECT item, note FROM dbutil.enroll_service('enroll_app', statement_timeout => '100ms', lock_timeout => '1s',
	idle_in_transaction_session_timeout => '0', dry_run => true) WHERE note IS NOT NULL AND item <> 'pgbouncer';

-- membership in pg_monitor, and back; who was a member stays one
SELECT done, item, old_value, new_value, command, undo FROM dbutil.enroll_service('enroll_app', monitor => true)
WHERE item LIKE 'membership%';
SELECT pg_has_role('enroll_app', 'pg_monitor', 'MEMBER');
SELECT done, item FROM dbutil.enroll_service('enroll_app', monitor => true) WHERE item LIKE 'membership%';
SELECT done, item, command FROM dbutil.withdraw_service('enroll_app') WHERE item LIKE 'membership%';
SELECT pg_has_role('enroll_app', 'pg_monitor', 'MEMBER');
GRANT pg_monitor TO enroll_app;
SELECT done, item FROM dbutil.enroll_service('enroll_app', monitor => true) WHERE item LIKE 'membership%';
SELECT count(*) FROM dbutil.withdraw_service('enroll_app') WHERE item LIKE 'membership%';
SELECT pg_has_role('enroll_app', 'pg_monitor', 'MEMBER');

-- what protects others from it
SELECT protection, state, current_value FROM dbutil.service_protections('enroll_app') WHERE protection <> 'transaction_timeout';
ALTER DATABASE :"db" SET lock_timeout = '2s';
ALTER ROLE enroll_app SET statement_timeout = '1min';
ALTER ROLE enroll_app IN DATABASE :"db" SET statement_timeout = '0s';
ALTER ROLE enroll_app CONNECTION LIMIT 7;
ALTER ROLE ALL SET idle_in_transaction_session_timeout = '3s';
SELECT protection, state, current_value FROM dbutil.service_protections('enroll_app') WHERE protection <> 'transaction_timeout';
ALTER ROLE enroll_app IN DATABASE :"db" RESET statement_timeout;
SELECT protection, state, current_value FROM dbutil.service_protections('enroll_app') WHERE protection = 'statement_timeout';
SELECT count(*) = (current_setting('server_version_num')::integer >= 170000)::integer AS known
FROM dbutil.service_protections('enroll_app') WHERE protection = 'transaction_timeout';
ALTER ROLE ALL RESET idle_in_transaction_session_timeout;
ALTER DATABASE :"db" RESET lock_timeout;
SELECT * FROM dbutil.service_protections('no_such_role');

DROP OWNED BY enroll_nobody, enroll_admin;
DROP ROLE enroll_app, enroll_admin, enroll_nobody;
