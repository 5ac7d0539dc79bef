--
-- health: each check of objects fires, and stays silent on the near miss
--
\set SHOW_CONTEXT never
CREATE SCHEMA health_s;
SET search_path = health_s;
CREATE FUNCTION health_s.bad() RETURNS TABLE (check_name text, object_name text, status text, suggested_sql text)
LANGUAGE sql AS $$ SELECT check_name, object_name, status, suggested_sql FROM dbutil.health
WHERE (object_name LIKE 'health\_s.%') AND status <> 'ok' ORDER BY 1, 2 $$;
SELECT * FROM bad();
-- near misses first
CREATE TABLE good (id int PRIMARY KEY, a int, b int, UNIQUE (a, b));
CREATE INDEX good_b ON good (b);
CREATE INDEX good_b_part ON good (b) WHERE a > 0;
CREATE INDEX good_b_desc ON good (b DESC);
CREATE TABLE good_child (id int PRIMARY KEY, a int, b int, good int REFERENCES good,
						 FOREIGN KEY (a, b) REFERENCES good (a, b));
CREATE INDEX good_child_1 ON good_child (b, a, id);
CREATE INDEX good_child_2 ON good_child (good);
CREATE TABLE good_part (i int, PRIMARY KEY (i)) PARTITION BY RANGE (i);
CREATE TABLE good_part_1 PARTITION OF good_part FOR VALUES FROM (0) TO (9);
CREATE SEQUENCE good_seq MAXVALUE 100;
SELECT setval('good_seq', 84);
SELECT * FROM bad();
-- now each
CREATE TABLE bad_nopk (i int);
CREATE INDEX bad_dup ON good (b);
CREATE TABLE "Bad Child" (id int PRIMARY KEY, g int CONSTRAINT "Fk" REFERENCES good);
CREATE INDEX bad_child_part ON "Bad Child" (g) WHERE g > 0;
CREATE SEQUENCE bad_seq MAXVALUE 100;
SELECT setval('bad_seq', 97);
CREATE TABLE bad_serial (id smallserial PRIMARY KEY);
ALTER SEQUENCE bad_serial_id_seq AS bigint;
SELECT setval('bad_serial_id_seq', 30000);
ALTER TABLE good ADD CONSTRAINT bad_check CHECK (a > 0) NOT VALID;
CREATE FUNCTION tg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER bad_tg BEFORE INSERT ON good FOR EACH ROW EXECUTE FUNCTION tg();
ALTER TABLE good DISABLE TRIGGER bad_tg;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'good_b_part'::regclass;
SELECT * FROM bad();
-- thresholds and silence, by object
INSERT INTO dbutil.health_settings (check_name, object_pattern, warn, critical) VALUES
	('sequence_exhaustion', 'health\_s.%', 99, 99.5),
	('sequence_exhaustion', 'health\_s.bad\_serial%', 10, 20);
INSERT INTO dbutil.health_settings (check_name, object_pattern, warn, critical, silenced_until, reason) VALUES
	('no_primary_key', 'health\_s.bad\_nopk', 1, NULL, now() + '1 day', 'a staging table');
SELECT check_name, object_name, status, silenced, warn, critical FROM dbutil.health
WHERE check_name IN ('sequence_exhaustion', 'no_primary_key') AND object_name LIKE 'health\_s.%' ORDER BY 1, 2;
SELECT (dbutil.check_database_health() #>> '{counts,silenced}')::int AS silenced,
	   jsonb_path_exists(dbutil.check_database_health(), '$.findings[*] ? (@.object == "health_s.bad_nopk")') AS told;
INSERT INTO dbutil.health_settings (check_name, silenced_until) VALUES ('no_primary_key', '2100-01-01 UTC');
INSERT INTO dbutil.health_settings (check_name) VALUES ('no_such_check');
DELETE FROM dbutil.health_settings;
-- the report
SELECT jsonb_object_keys(dbutil.check_database_health()) AS keys ORDER BY 1;
SELECT dbutil.check_database_health(level => 'quick') ->> 'status' IN ('ok', 'warn', 'critical', 'unknown') AS status,
	   NOT jsonb_path_exists(dbutil.check_database_health(level => 'quick'), '$.findings[*] ? (@.check == "no_primary_key")') AS quick;
SELECT dbutil.check_database_health(level => 'deep');
SELECT dbutil.check_database_health(level => NULL);
SELECT dbutil.check_database_health('no_such_service') -> 'service' AS service;
-- every check is told, and none has a status of its own
SELECT count(*) AS checks_without_row FROM dbutil.health_checks c
WHERE NOT EXISTS (SELECT FROM dbutil.health h WHERE h.check_name = c.check_name);
SELECT count(*) AS odd FROM dbutil.health WHERE status NOT IN ('ok', 'warn', 'critical', 'unknown') OR status IS NULL;
-- what is hidden is unknown, not well
CREATE ROLE regress_health_a;
SET ROLE regress_health_a;
SELECT check_name, status FROM dbutil.health
WHERE check_name IN ('idle_in_transaction', 'long_query', 'long_transaction')
   OR object_name = 'health_s.bad_seq' ORDER BY 1;
INSERT INTO dbutil.health_settings (check_name) VALUES ('xid_age');
RESET ROLE;
DROP ROLE regress_health_a;
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'good_b_part'::regclass;
SET client_min_messages = warning;
DROP SCHEMA health_s CASCADE;
