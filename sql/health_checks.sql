--
-- health: each check of objects fires, and stays silent on the near miss
--
\set SHOW_CONTEXT never
CREATE SCHEMA health_s;
SET search_path = health_s;
CREATE FUNCTION found() RETURNS TABLE (check_name text, object_name text, status text, suggested_sql text)
LANGUAGE sql AS $$
SELECT check_name, replace(object_name, 'health_s.', ''), status, replace(suggested_sql, 'health_s.', '')
FROM dbutil.health
WHERE object_name LIKE 'health\_s.%' AND status <> 'ok' OR needs = 'a check that works' ORDER BY check_name, object_name COLLATE "C" $$;
SELECT * FROM found();

-- indexes: near misses
CREATE TABLE good (id int PRIMARY KEY, a int NOT NULL, b int, t text, UNIQUE (a, b));
CREATE INDEX good_b ON good (b);
CREATE INDEX good_b_part ON good (b) WHERE a > 0;
CREATE INDEX good_b_part2 ON good (b) WHERE a > 1;
CREATE INDEX good_b_desc ON good (b DESC);
CREATE INDEX good_b_hash ON good USING hash (b);
CREATE INDEX good_b_incl ON good (b) INCLUDE (a);
CREATE INDEX good_ba ON good (b, a);
CREATE INDEX good_t ON good (t);
CREATE INDEX good_t_ops ON good (t text_pattern_ops);
CREATE INDEX good_t_coll ON good (t COLLATE "POSIX");
CREATE INDEX good_expr ON good ((a + b));
CREATE INDEX good_expr2 ON good ((a - b));
CREATE UNIQUE INDEX good_nulls ON good (b, t);
CREATE UNIQUE INDEX good_nulls2 ON good (b, t) NULLS NOT DISTINCT;
ALTER TABLE good ADD CONSTRAINT good_deferred UNIQUE (a, t) DEFERRABLE, ADD CONSTRAINT good_now UNIQUE (a, t);
CREATE TABLE good_part (i int, j int, PRIMARY KEY (i)) PARTITION BY RANGE (i);
CREATE TABLE good_part_1 PARTITION OF good_part FOR VALUES FROM (0) TO (9);
CREATE INDEX ON good_part (j);
CREATE TEMP TABLE good_temp (i int);
CREATE INDEX good_temp_1 ON good_temp (i);
CREATE INDEX good_temp_2 ON good_temp (i);
SELECT * FROM found();
-- indexes: each fires, and names the one that may go
CREATE INDEX bad_dup ON good (b);
CREATE INDEX bad_dup_expr ON good (  ( a+b )  );
CREATE INDEX bad_dup_part ON good (b)   WHERE  a>0;
CREATE UNIQUE INDEX bad_dup_key ON good (id);
ALTER TABLE good ADD CONSTRAINT bad_dup_con UNIQUE (a, b);
CREATE INDEX bad_dup_parted ON good_part (j);
CREATE INDEX "Bad Plain" ON good (a, b, t);
CREATE UNIQUE INDEX bad_dup_kept ON good (a, b, t);
CREATE INDEX bad_invalid ON good (a);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'bad_invalid'::regclass;
CREATE INDEX bad_onpart ON ONLY good_part (j, i);
SELECT * FROM found();
-- the one that another table refers to stays
CREATE TABLE refers (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES good (a, b));
CREATE INDEX ON refers (a, b);
SELECT object_name, message FROM dbutil.health WHERE object_name = 'health_s.bad_dup_con';
-- the lock alone, which VACUUM takes too, hides nothing
BEGIN;
LOCK TABLE good IN SHARE UPDATE EXCLUSIVE MODE;
SELECT * FROM found() WHERE check_name = 'invalid_indexes';
ROLLBACK;
-- the suggestions can be run as they are, and help; only the partitioned index has none
DROP INDEX bad_dup_kept;
SELECT suggested_sql FROM dbutil.health WHERE object_name LIKE 'health\_s.%' AND suggested_sql IS NOT NULL ORDER BY object_name COLLATE "C" \gexec
SELECT * FROM found();
DROP TABLE refers, good, good_part;

-- unused: large, not unique, at most 20 scans, in statistics old enough
CREATE TABLE scanned (id int PRIMARY KEY, a int, b int, c int, d int UNIQUE);
INSERT INTO scanned SELECT g, g, g, g, g FROM generate_series(1, 10) g;
CREATE INDEX unused_large ON scanned (a);
CREATE INDEX unused_small ON scanned (b);
CREATE INDEX used_large ON scanned (c);
CREATE INDEX unused_expr ON scanned ((a + b));
UPDATE pg_class SET relpages = CASE relname WHEN 'unused_small' THEN 127 ELSE 1280 END
WHERE relnamespace = 'health_s'::regnamespace AND relkind = 'i';
SET enable_seqscan = off;
DO $$ BEGIN FOR i IN 1 .. 21 LOOP PERFORM FROM scanned WHERE c = i; END LOOP; END $$;
DO $$ BEGIN FOR i IN 1 .. 20 LOOP PERFORM FROM scanned WHERE a = i; END LOOP; END $$;
RESET enable_seqscan;
SELECT pg_stat_force_next_flush();
INSERT INTO dbutil.health_settings (check_name, object_pattern, min_evidence) VALUES ('unused_indexes', 'health\_s.%', 0);
SELECT object_name, status, value, suggested_sql FROM dbutil.health WHERE check_name = 'unused_indexes' AND object_name LIKE 'health\_s.%';
UPDATE dbutil.health_settings SET min_evidence = 1000000;
SELECT object_name, status, value, message ~ '^not judged yet, [0-9.]+ of 1000000 days of statistics: used by 20 scans' AS message
FROM dbutil.health WHERE check_name = 'unused_indexes' AND object_name LIKE 'health\_s.%';
DELETE FROM dbutil.health_settings;
DROP TABLE scanned;

-- foreign keys: near misses
CREATE TABLE parent (id int PRIMARY KEY, a int, b int, UNIQUE (a, b));
CREATE TABLE good_child (id int PRIMARY KEY, a int, b int, p int REFERENCES parent, q int REFERENCES parent,
						 r int REFERENCES parent, FOREIGN KEY (a, b) REFERENCES parent (a, b));
CREATE INDEX ON good_child (b, a, id);
CREATE INDEX ON good_child (p, b);
CREATE INDEX ON good_child (q) WHERE q IS NOT NULL;
CREATE INDEX ON good_child USING hash (r);
CREATE TABLE good_parted (id int PRIMARY KEY, p int REFERENCES parent) PARTITION BY RANGE (id);
CREATE TABLE good_parted_1 PARTITION OF good_parted FOR VALUES FROM (0) TO (9);
CREATE INDEX ON good_parted (p);
SELECT * FROM found();
-- each fires
CREATE TABLE "Bad Child" (id int PRIMARY KEY, "P p" int CONSTRAINT "Fk" REFERENCES parent,
						  q int REFERENCES parent, a int, b int, r int REFERENCES parent,
						  CONSTRAINT two FOREIGN KEY (a, b) REFERENCES parent (a, b));
CREATE INDEX ON "Bad Child" (q) WHERE q > 0;
CREATE INDEX ON "Bad Child" (a, id, b);
CREATE INDEX ON "Bad Child" USING brin (r);
CREATE TABLE bad_parted (id int PRIMARY KEY, p int REFERENCES parent) PARTITION BY RANGE (id);
CREATE TABLE bad_parted_1 PARTITION OF bad_parted FOR VALUES FROM (0) TO (9);
SELECT * FROM found();
SELECT suggested_sql FROM dbutil.health WHERE object_name LIKE 'health\_s.%' AND suggested_sql IS NOT NULL ORDER BY object_name COLLATE "C" \gexec
SELECT * FROM found();
DROP TABLE good_child, good_parted, "Bad Child", bad_parted;

-- primary keys: what is never updated needs none, nor does a partition or what replicates by another index
CREATE TABLE good_log (i int);
INSERT INTO good_log VALUES (1), (2);
CREATE TABLE good_identity (i int NOT NULL UNIQUE);
ALTER TABLE good_identity REPLICA IDENTITY USING INDEX good_identity_i_key;
INSERT INTO good_identity VALUES (1);
UPDATE good_identity SET i = 2;
CREATE UNLOGGED TABLE good_unlogged AS SELECT 1 AS i;
UPDATE good_unlogged SET i = 2;
SELECT pg_stat_force_next_flush();
SELECT * FROM found();
SELECT object_name, status, value FROM dbutil.health WHERE check_name = 'table_without_primary_key' AND object_name LIKE 'health\_s.%';
CREATE TABLE bad_nopk (i int);
INSERT INTO bad_nopk VALUES (1), (2), (3);
UPDATE bad_nopk SET i = i + 1 WHERE i < 3;
DELETE FROM bad_nopk WHERE i = 3;
CREATE TABLE "Bad Unique" (i int NOT NULL);
CREATE UNIQUE INDEX "Bad Index" ON "Bad Unique" (i);
INSERT INTO "Bad Unique" VALUES (1);
DELETE FROM "Bad Unique";
CREATE TABLE bad_parted (i int) PARTITION BY RANGE (i);
CREATE TABLE bad_parted_1 PARTITION OF bad_parted FOR VALUES FROM (0) TO (9);
INSERT INTO bad_parted VALUES (1);
DELETE FROM bad_parted;
SELECT pg_stat_force_next_flush();
SELECT * FROM found();
SELECT object_name, status, value FROM dbutil.health WHERE check_name = 'table_without_primary_key' AND object_name LIKE 'health\_s.%' ORDER BY object_name COLLATE "C";
ALTER TABLE "Bad Unique" ADD PRIMARY KEY USING INDEX "Bad Index";
SELECT * FROM found() WHERE object_name ~ 'Unique';
SET track_counts = off;
SELECT object_name, status, value, message FROM dbutil.health WHERE object_name = 'health_s.bad_nopk';
RESET track_counts;
DROP TABLE good_log, good_identity, good_unlogged, bad_nopk, "Bad Unique", bad_parted;

-- constraints and triggers
CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent);
CREATE INDEX ON child (p);
CREATE FUNCTION tg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tg BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION tg();
CREATE TRIGGER tg_replica BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION tg();
ALTER TABLE child ENABLE REPLICA TRIGGER tg_replica;
CREATE DOMAIN dom AS int;
ALTER DOMAIN dom ADD CONSTRAINT dom_check CHECK (value > 0) NOT VALID;
CREATE TABLE heir () INHERITS (child);
ALTER TABLE heir ADD PRIMARY KEY (id);
ALTER TABLE child ADD CONSTRAINT child_check CHECK (id > 0) NOT VALID;
SELECT * FROM found();
ALTER TABLE child VALIDATE CONSTRAINT child_check;
ALTER DOMAIN dom VALIDATE CONSTRAINT dom_check;
ALTER TABLE child ADD CONSTRAINT child_fk FOREIGN KEY (p) REFERENCES parent NOT VALID;
ALTER TABLE child DISABLE TRIGGER tg;
SELECT * FROM found();
ALTER TABLE child ENABLE TRIGGER tg;
ALTER TABLE child VALIDATE CONSTRAINT child_fk;
ALTER TABLE child DISABLE TRIGGER ALL;
SELECT * FROM found();
SELECT DISTINCT suggested_sql FROM dbutil.health WHERE object_name LIKE 'health\_s.%' AND suggested_sql IS NOT NULL ORDER BY 1 \gexec
SELECT * FROM found();
-- from 18 on a constraint may be declared as not enforced: nothing to validate, nothing to support
DO $$ BEGIN
	IF current_setting('server_version_num')::int >= 180000 THEN
		EXECUTE 'ALTER TABLE child ADD COLUMN q int, ADD CONSTRAINT idle_check CHECK (id > 7) NOT ENFORCED,
				 ADD CONSTRAINT idle_fk FOREIGN KEY (q) REFERENCES parent NOT ENFORCED';
	END IF;
END $$;
SELECT * FROM found();
DROP TABLE child, heir;
CREATE TABLE parted (i int) PARTITION BY RANGE (i);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (9);
CREATE TRIGGER tg BEFORE INSERT ON parted FOR EACH ROW EXECUTE FUNCTION tg();
ALTER TABLE parted DISABLE TRIGGER tg;
SELECT * FROM found();
ALTER TABLE parted ENABLE TRIGGER tg;
ALTER TABLE parted_1 DISABLE TRIGGER tg;
SELECT * FROM found();

-- vacuum
CREATE TABLE dead_few (i int) WITH (autovacuum_enabled = off);
INSERT INTO dead_few SELECT generate_series(1, 10000);
CREATE TABLE dead_many (i int) WITH (autovacuum_enabled = off);
INSERT INTO dead_many SELECT generate_series(1, 10001);
CREATE TABLE dead_allowed (i int) WITH (autovacuum_enabled = off, autovacuum_vacuum_threshold = 6000, autovacuum_vacuum_scale_factor = 0);
INSERT INTO dead_allowed SELECT generate_series(1, 11000);
DELETE FROM dead_few;
DELETE FROM dead_many;
DELETE FROM dead_allowed;
SELECT pg_stat_force_next_flush();
SELECT * FROM found() WHERE check_name IN ('vacuum_overdue', 'dead_rows', 'analyze_overdue');
SELECT object_name, status, value, message FROM dbutil.health WHERE object_name = 'health_s.dead_allowed' AND check_name = 'vacuum_overdue';
ALTER TABLE dead_allowed SET (autovacuum_vacuum_threshold = 5000);
SELECT object_name, status, value FROM dbutil.health WHERE object_name = 'health_s.dead_allowed' AND check_name = 'vacuum_overdue';
-- the lock that VACUUM takes is not VACUUM's alone (050_health_server.pl has one at work)
BEGIN;
LOCK TABLE dead_many IN SHARE UPDATE EXCLUSIVE MODE;
SELECT * FROM found() WHERE object_name = 'dead_many';
ROLLBACK;
VACUUM dead_many;
SELECT * FROM found() WHERE object_name = 'dead_many';
-- a share below the threshold, and changes that are few for the table
CREATE TABLE changed (i int PRIMARY KEY) WITH (autovacuum_enabled = off, fillfactor = 50);
INSERT INTO changed SELECT generate_series(1, 40000);
SELECT * FROM found() WHERE object_name = 'changed';
SELECT pg_stat_force_next_flush();
ANALYZE changed;
DELETE FROM changed WHERE i <= 15000;
SELECT pg_stat_force_next_flush();
SELECT * FROM found() WHERE object_name = 'changed';
SELECT check_name, status, value FROM dbutil.health WHERE object_name = 'health_s.changed' AND check_name IN ('dead_rows', 'analyze_overdue') ORDER BY 1;
DELETE FROM changed WHERE i <= 20000;
UPDATE changed SET i = i + 100000;
UPDATE changed SET i = i + 100000;
SELECT pg_stat_force_next_flush();
SELECT check_name, status, value FROM dbutil.health WHERE object_name = 'health_s.changed' AND check_name IN ('dead_rows', 'analyze_overdue') ORDER BY 1;

SET client_min_messages = warning;
DROP SCHEMA health_s CASCADE;
