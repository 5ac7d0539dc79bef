--
-- health: views to look around in, and bloat, estimated and measured
--
\set SHOW_CONTEXT never
CREATE SCHEMA health_v;
SET search_path = health_v;
CREATE TABLE "T t" (id bigint PRIMARY KEY, a int, b text) WITH (autovacuum_enabled = off);
CREATE INDEX "T t a" ON "T t" (a);
CREATE INDEX "T t lower" ON "T t" (lower(b));
INSERT INTO "T t" SELECT g, g % 100, 'row ' || g FROM generate_series(1, 20000) g;

-- before ANALYZE nothing is estimated
SELECT table_name, status, estimated_rows, bloat_bytes FROM dbutil.table_health WHERE table_name LIKE 'health\_v.%';
SELECT index_name FROM dbutil.index_health WHERE table_name LIKE 'health\_v.%' AND bloat_percent > 0;
VACUUM ANALYZE "T t";
-- a table without bloat (keys that came in no order leave the pages of an index half full), then with two thirds of its rows gone
SELECT table_name, status, findings, estimated_rows, table_bytes = pg_relation_size('"T t"') AS size_right,
	   index_bytes = pg_indexes_size('"T t"') AS indexes_right, bloat_percent < 10 AS tight
FROM dbutil.table_health WHERE table_name LIKE 'health\_v.%';
SELECT index_name, table_name, status, method, is_primary, is_unique, is_valid, entries, index_bytes > 0 AS sized, bloat_percent < 10 AS tight, bloat_percent < 45 AS filled
FROM dbutil.index_health WHERE table_name LIKE 'health\_v.%' ORDER BY index_name COLLATE "C";
DELETE FROM "T t" WHERE id % 3 <> 0;
VACUUM (ANALYZE, TRUNCATE off) "T t";
SELECT estimated_rows, bloat_percent BETWEEN 60 AND 72 AS bloated FROM dbutil.table_health WHERE table_name LIKE 'health\_v.%';
SELECT index_name, bloat_percent BETWEEN 55 AND 85 AS bloated FROM dbutil.index_health
WHERE table_name LIKE 'health\_v.%' AND index_name NOT LIKE '% a"' ORDER BY index_name COLLATE "C";
-- what fillfactor leaves free is not bloat
CREATE TABLE loose (i int, t text) WITH (fillfactor = 50, autovacuum_enabled = off);
INSERT INTO loose SELECT g, 'row ' || g FROM generate_series(1, 10000) g;
CREATE TABLE empty (i int);
CREATE TABLE never_seen (i int) WITH (autovacuum_enabled = off);
CREATE TABLE half_seen (i int, j int) WITH (autovacuum_enabled = off);
INSERT INTO half_seen SELECT g, g FROM generate_series(1, 100) g;
VACUUM ANALYZE loose;
VACUUM ANALYZE empty;
ANALYZE half_seen (i);
SELECT table_name, estimated_rows, bloat_percent < 10 AS tight, bloat_bytes IS NULL AS not_known FROM dbutil.table_health
WHERE table_name LIKE 'health\_v.%' AND table_name NOT LIKE '%"' ORDER BY table_name COLLATE "C";

-- status and findings are those of dbutil.health
SELECT table_name, status, findings FROM dbutil.table_health WHERE table_name LIKE 'health\_v.loose';
UPDATE loose SET i = i;
SELECT pg_stat_force_next_flush();
SELECT table_name, status, findings FROM dbutil.table_health WHERE table_name LIKE 'health\_v.loose';
CREATE INDEX twin ON "T t" (a);
SELECT index_name, status, findings FROM dbutil.index_health WHERE table_name LIKE 'health\_v.%' AND status <> 'ok';
INSERT INTO dbutil.health_silences VALUES ('duplicate_indexes', 'health\_v.%', now() + interval '1 hour', 'on purpose');
SELECT index_name, status, findings FROM dbutil.index_health WHERE table_name LIKE 'health\_v.%' AND status <> 'ok';
DELETE FROM dbutil.health_silences;
-- a measure that fails makes all unknown
ALTER FUNCTION dbutil.health_measure_tables() RENAME TO kept;
SELECT DISTINCT status FROM dbutil.table_health;
ALTER FUNCTION dbutil.kept() RENAME TO health_measure_tables;

-- vacuum: the table's own storage parameters count
SELECT table_name, autovacuum_enabled, dead_rows, vacuum_at_dead_rows, analyze_at_changed, freeze_at_age FROM dbutil.vacuum_health
WHERE table_name = 'health_v.loose';
ALTER TABLE loose SET (autovacuum_enabled = on, autovacuum_vacuum_threshold = 7, autovacuum_vacuum_scale_factor = 0,
	autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 5, autovacuum_analyze_scale_factor = 0.5,
	autovacuum_freeze_max_age = 1000000);
SELECT vacuum_at_dead_rows, vacuum_at_inserted, analyze_at_changed, freeze_at_age, due_percent > 100 AS due
FROM dbutil.vacuum_health WHERE table_name = 'health_v.loose';
SELECT enabled, vacuum_at, insert_vacuum_at, analyze_at, freeze_at FROM dbutil.autovacuum_thresholds(NULL, 1000, NULL);

-- sequences
CREATE SEQUENCE s AS smallint;
SELECT setval('s', 30000);
SELECT sequence_name, status, used_percent, stands_at, increment, max_value, data_type, suggested_sql
FROM dbutil.sequence_health WHERE sequence_name LIKE 'health\_v.%';

-- measured
SELECT dbutil.measure_bloat('"T t"');
SET client_min_messages = warning;
CREATE EXTENSION pgstattuple SCHEMA health_v;
RESET client_min_messages;
RESET search_path;
SELECT m.method, m.size_bytes = pg_relation_size('health_v."T t"') AS whole, m.bloat_percent BETWEEN 50 AND 72 AS bloated
FROM dbutil.measure_bloat('health_v."T t"') AS m;
SELECT m.method, m.bloat_percent BETWEEN 50 AND 72 AS bloated FROM dbutil.measure_bloat('health_v."T t"', exact => true) AS m;
SELECT m.method, m.bloat_percent BETWEEN 50 AND 75 AS bloated FROM dbutil.measure_bloat('health_v."T t_pkey"') AS m;
SELECT m.method, m.dead_bytes > 0 AS dead, m.bloat_percent FROM dbutil.measure_bloat('health_v.empty') AS m;
CREATE INDEX empty_i ON health_v.empty (i);
SELECT m.method, m.bloat_bytes, m.bloat_percent FROM dbutil.measure_bloat('health_v.empty_i') AS m;
SELECT dbutil.measure_bloat('health_v.s');
SELECT dbutil.measure_bloat('dbutil.health');
SELECT dbutil.measure_bloat(1::oid::regclass);
CREATE ROLE regress_health_views;
GRANT USAGE ON SCHEMA health_v TO regress_health_views;
SET ROLE regress_health_views;
SELECT dbutil.measure_bloat('health_v.empty');
-- all may look: the numbers are statistics, what is hidden is NULL
SELECT count(*) > 0 AS tables FROM dbutil.table_health;
SELECT count(*) > 0 AS indexes FROM dbutil.index_health;
SELECT count(*) > 0 AS vacuum FROM dbutil.vacuum_health;
SELECT sequence_name, status, used_percent, stands_at FROM dbutil.sequence_health WHERE sequence_name LIKE 'health\_v.%';
SELECT count(*) AS blocked FROM dbutil.blocking_tree WHERE username = 'regress_health_views';
SELECT bool_and(status = 'unknown' AND idle IS NULL) AS hidden FROM dbutil.connection_health WHERE username <> 'regress_health_views';
RESET ROLE;
DROP ROLE regress_health_views;
SET client_min_messages = warning;
DROP SCHEMA health_v CASCADE;
