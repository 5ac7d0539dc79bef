--
-- health: the report that a service's /health returns
--
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT jsonb_object_keys(dbutil.check_database_health()) AS key ORDER BY 1;
SELECT jsonb_object_keys(dbutil.check_database_health('none') -> 'server') AS key ORDER BY 1;
-- each check is counted once
SELECT (SELECT sum(value::int) FROM jsonb_each_text(r -> 'counts') WHERE key <> 'silenced')
	   = (SELECT count(*) FROM dbutil.health_checks) AS counts_add_up,
	   r #>> '{server,role}' AS role, r ->> 'level' AS level,
	   (r #>> '{server,version_num}')::int = current_setting('server_version_num')::int AS version
FROM dbutil.check_database_health() AS r;
SELECT (SELECT sum(value::int) FROM jsonb_each_text(r -> 'counts') WHERE key <> 'silenced')
	   = (SELECT count(*) FROM dbutil.health_checks WHERE level = 'quick') AS counts_add_up, r ->> 'level' AS level
FROM dbutil.check_database_health(level => 'quick') AS r;

-- The status is that of the worst check. First nothing at all, then one by one.
CREATE FUNCTION pg_temp.verdict(OUT status text, OUT score int, OUT counts jsonb, OUT total int, OUT findings jsonb)
LANGUAGE sql AS $$
SELECT r ->> 'status', (r ->> 'score')::int, r -> 'counts', (r ->> 'findings_total')::int,
	   jsonb_path_query_array(r, '$.findings[*].check') FROM dbutil.check_database_health() AS r $$;
INSERT INTO dbutil.health_settings (check_name, object_pattern, enabled) SELECT check_name, '%', false FROM dbutil.health_checks;
SELECT * FROM pg_temp.verdict();
INSERT INTO dbutil.health_settings (check_name, object_pattern) VALUES ('xid_age', 'template_');
SELECT * FROM pg_temp.verdict();
UPDATE dbutil.health_settings SET warn = 0 WHERE object_pattern = 'template_';
SELECT * FROM pg_temp.verdict();
INSERT INTO dbutil.health_settings (check_name, object_pattern, critical) VALUES ('multixact_age', 'template0', 0), ('freeze_overdue', 'template1', NULL);
SELECT * FROM pg_temp.verdict();
INSERT INTO dbutil.health_silences VALUES ('multixact_age', '%', 'infinity', 'a test');
SELECT * FROM pg_temp.verdict();
INSERT INTO dbutil.health_silences VALUES ('xid_age', 'template0', 'infinity', 'a test');
SELECT * FROM pg_temp.verdict();
INSERT INTO dbutil.health_silences VALUES ('xid_age', 'template1', 'infinity', 'a test');
SELECT * FROM pg_temp.verdict();
DELETE FROM dbutil.health_silences;
-- one finding in full
SELECT jsonb_pretty(jsonb_path_query_first(dbutil.check_database_health(), '$.findings[0]') - 'value' - 'message') AS finding;
-- the score does not go below zero, the findings stop at 20
CREATE SCHEMA health_r;
DO $$ BEGIN FOR i IN 1 .. 25 LOOP
	EXECUTE format('CREATE SEQUENCE health_r.s%s MAXVALUE 2', i);
	PERFORM setval(format('health_r.s%s', i), 2);
END LOOP; END $$;
INSERT INTO dbutil.health_settings (check_name, object_pattern) VALUES ('sequence_exhaustion', 'health\_r.%');
SELECT r ->> 'status' AS status, jsonb_array_length(r -> 'findings') AS findings, r ->> 'findings_total' AS total, r #>> '{counts,critical}' AS checks
FROM dbutil.check_database_health() AS r;
DELETE FROM dbutil.health_settings;
INSERT INTO dbutil.health_settings (check_name, critical) SELECT check_name, 0 FROM dbutil.health_checks;
SELECT r ->> 'status' AS status, r ->> 'score' AS score FROM dbutil.check_database_health() AS r;
DELETE FROM dbutil.health_settings;
-- quick does not look at user objects
SELECT DISTINCT r ->> 'level' AS level, jsonb_path_exists(r, '$.findings[*] ? (@.check == "sequence_exhaustion")') AS told
FROM unnest('{quick,full}'::text[]) AS l(l), dbutil.check_database_health(level => l.l) AS r ORDER BY 1;
SET client_min_messages = warning;
DROP SCHEMA health_r CASCADE;
RESET client_min_messages;

-- a measure that fails makes its checks unknown, and the others go on
BEGIN;
ALTER FUNCTION dbutil.health_measure_sequences() RENAME TO health_measure_gone;
SELECT object_name, status, value, message, needs FROM dbutil.health WHERE check_name = 'sequence_exhaustion';
SELECT count(*) > 0 AS others FROM dbutil.health WHERE check_name = 'xid_age' AND status = 'ok';
INSERT INTO dbutil.health_settings (check_name, object_pattern, enabled) SELECT check_name, '%', check_name IN ('sequence_exhaustion', 'xid_age') FROM dbutil.health_checks;
SELECT * FROM pg_temp.verdict();
ROLLBACK;
-- so does one without enough privilege
BEGIN;
CREATE ROLE regress_health_a;
REVOKE EXECUTE ON FUNCTION dbutil.health_measure_sequences() FROM PUBLIC;
SET LOCAL ROLE regress_health_a;
SELECT object_name, status, message, needs FROM dbutil.health WHERE check_name = 'sequence_exhaustion';
ROLLBACK;

-- bad levels
SELECT dbutil.check_database_health(level => 'deep');
SELECT dbutil.check_database_health(level => NULL);
SELECT dbutil.check_database_health(level => '');
SELECT * FROM dbutil.health('FULL');

-- services
SET application_name = 'regress_health_service';
SELECT 1 AS one;
SELECT r #>> '{service,name}' AS name, (r #>> '{service,tracked,calls}')::int > 0 AS calls,
	   r #>> '{service,tracked,status}' AS tracked, r #> '{service,sessions}' AS sessions
FROM dbutil.check_database_health('regress_health_service', 'quick') AS r;
RESET application_name;
SELECT dbutil.check_database_health('no such service', 'quick') -> 'service' AS service;
SELECT dbutil.check_database_health('it''s "quoted" %s \ ', 'quick') #>> '{service,name}' AS name;
SELECT dbutil.check_database_health(NULL, 'quick') ? 'service' AS told;
