--
-- health: what a role may not see is unknown, not well; who may set thresholds
--
\set VERBOSITY terse
CREATE ROLE regress_health_plain;
CREATE ROLE regress_health_monitor;
GRANT pg_monitor TO regress_health_monitor;
CREATE SCHEMA health_p;
CREATE SEQUENCE health_p.s;
CREATE SEQUENCE health_p.usable;
GRANT USAGE ON SEQUENCE health_p.usable TO regress_health_plain;
CREATE FUNCTION pg_temp.unknown(OUT check_name text, OUT object_name text, OUT needs text) RETURNS SETOF record LANGUAGE sql AS $$
SELECT check_name, object_name, needs FROM dbutil.health
WHERE status = 'unknown' AND (needs IS NOT NULL OR object_name LIKE 'health\_p.%')
  AND (check_name <> 'sequence_exhaustion' OR object_name LIKE 'health\_p.%' OR needs = 'a check that works') ORDER BY 1, 2 $$;
-- a superuser sees all
SELECT * FROM pg_temp.unknown();
SET ROLE regress_health_plain;
SELECT * FROM pg_temp.unknown();
SELECT relname, dbutil.health_sequence_position(oid) FROM pg_class WHERE relname IN ('s', 'usable') AND relkind = 'S' ORDER BY 1;
-- so the verdict is not ok, whatever else is found
SELECT dbutil.check_database_health() ->> 'status' <> 'ok' AS not_ok,
	   jsonb_path_query_array(dbutil.check_database_health(level => 'quick'), '$.unknown[*] ? (@.needs == "pg_monitor").check') AS blind;
-- and nothing is changed
INSERT INTO dbutil.health_settings (check_name) VALUES ('xid_age');
DELETE FROM dbutil.health_silences;
UPDATE dbutil.health_checks SET warn = 0;
SELECT count(*) FROM dbutil.health_settings;
RESET ROLE;
SET ROLE regress_health_monitor;
-- pg_monitor reads statistics, not sequences: what is granted on one counts alone
SELECT * FROM pg_temp.unknown();
SELECT relname, dbutil.health_sequence_position(oid) FROM pg_class WHERE relname IN ('s', 'usable') AND relkind = 'S' ORDER BY 1;
SELECT jsonb_path_query_array(dbutil.check_database_health(level => 'quick'), '$.unknown[*] ? (@.needs == "pg_monitor").check') AS blind;
RESET ROLE;
-- the owner lets another role
GRANT INSERT, UPDATE, DELETE ON dbutil.health_settings TO regress_health_monitor;
SET ROLE regress_health_monitor;
INSERT INTO dbutil.health_settings (check_name, warn) VALUES ('xid_age', 60);
SELECT DISTINCT warn FROM dbutil.health('quick') WHERE check_name = 'xid_age';
DELETE FROM dbutil.health_settings;
RESET ROLE;
REVOKE INSERT, UPDATE, DELETE ON dbutil.health_settings FROM regress_health_monitor;
-- objects of one's own in the path are not fooled by
SET search_path = health_p, pg_catalog;
CREATE FUNCTION health_p.pg_has_role(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE FUNCTION health_p.current_database() RETURNS text LANGUAGE sql AS $$SELECT 'fooled'$$;
SELECT * FROM pg_temp.unknown();
SELECT dbutil.check_database_health(level => 'quick') #>> '{server,database}' = 'fooled' AS fooled;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA health_p CASCADE;
DROP ROLE regress_health_plain, regress_health_monitor;
