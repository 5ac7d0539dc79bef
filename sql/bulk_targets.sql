-- Targets of every kind: content, trigger firings and counters as plain SQL has them.
\set VERBOSITY terse
CREATE SCHEMA bulk_targets_test;
SET search_path = bulk_targets_test;
CREATE FUNCTION counts(r dbutil.bulk_result) RETURNS text
LANGUAGE sql RETURN format('in %s: inserted %s, updated %s, unchanged %s, deleted %s, conflicts %s, missing %s, suppressed %s, chunks %s',
	r.rows_in, r.inserted, r.updated, r.unchanged, r.deleted, r.conflicts, r.missing, r.suppressed, r.chunks);

-- triggers: the same log as plain SQL, rows edited and kept out
CREATE TABLE log (seq serial, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE n text := ''; BEGIN
	IF TG_LEVEL = 'ROW' THEN
		IF TG_OP = 'DELETE' THEN n := OLD.id; ELSE n := NEW.id || ' ' || NEW.v; END IF;
	ELSIF TG_WHEN = 'AFTER' AND TG_OP = 'INSERT' THEN
		SELECT 'saw ' || count(*) INTO n FROM fresh;
	END IF;
	INSERT INTO log (what) VALUES (concat_ws(' ', TG_WHEN, TG_OP, TG_LEVEL, n));
	IF TG_LEVEL = 'ROW' AND TG_WHEN = 'BEFORE' THEN
		IF TG_OP = 'DELETE' THEN RETURN CASE WHEN OLD.id = 66 THEN NULL ELSE OLD END; END IF;
		IF NEW.id = 66 THEN RETURN NULL; END IF;
		NEW.v := NEW.v || '*';
	END IF;
	RETURN COALESCE(NEW, OLD); END $$;
CREATE TABLE trig (id int PRIMARY KEY, v text);
CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON trig FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER b AFTER INSERT OR UPDATE OR DELETE ON trig FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER c BEFORE INSERT OR UPDATE OR DELETE ON trig FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE TRIGGER d AFTER INSERT ON trig REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION note();
SET dbutil.bulk_chunk_rows = 1;
SELECT counts(r) FROM dbutil.bulk_insert('trig', '[{"id": 1, "v": "a"}, {"id": 66, "v": "x"}, {"id": 2, "v": "b"}]') r;
CREATE TABLE expected_log AS SELECT seq, what FROM log;
TRUNCATE log RESTART IDENTITY;
TRUNCATE trig;
INSERT INTO trig VALUES (1, 'a'), (66, 'x'), (2, 'b');
SELECT count(*) AS differ FROM log FULL JOIN expected_log e USING (seq, what) WHERE log.what IS NULL OR e.what IS NULL;
SELECT what FROM log ORDER BY seq;
SELECT counts(r) FROM dbutil.bulk_insert('trig', '[{"id": 1, "v": "n"}, {"id": 3, "v": "n"}, {"id": 66, "v": "x"}]', on_conflict => 'nothing') r;
ALTER TABLE trig DISABLE TRIGGER a;
INSERT INTO trig VALUES (66, 'x');
ALTER TABLE trig ENABLE TRIGGER a;
TRUNCATE log;
SELECT counts(r) FROM dbutil.bulk_insert('trig', '[{"id": 1, "v": "c"}, {"id": 4, "v": "n"}, {"id": 66, "v": "x"}]', on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_update('trig', '[{"id": 2, "v": "u"}, {"id": 66, "v": "u"}, {"id": 99, "v": "u"}]') r;
SELECT counts(r) FROM dbutil.bulk_delete('trig', '[3, 66, 99]') r;
SELECT * FROM trig ORDER BY id;
RESET dbutil.bulk_chunk_rows;

-- partitions with other column orders and dropped columns, moved rows, no partition for a row
CREATE TABLE part (id int, r int, v text DEFAULT 'd', PRIMARY KEY (r, id)) PARTITION BY RANGE (r);
CREATE TABLE part1 (gone int, v text, r int NOT NULL, id int NOT NULL);
ALTER TABLE part1 DROP COLUMN gone;
ALTER TABLE part ATTACH PARTITION part1 FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (10) TO (20);
SELECT counts(r) FROM dbutil.bulk_insert('part', '[{"id": 1, "r": 1}, {"id": 2, "r": 12, "v": "b"}, {"id": 3, "r": 3}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('part', (SELECT array_agg(p) FROM (VALUES (1, 1, 'A'), (2, 12, 'b'), (4, 4, 'd'), (5, 15, 'e')) p(id, r, v)), on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_insert('part', '[{"id": 1, "r": 1, "v": "A"}, {"id": 2, "r": 12, "v": "B"}]', on_conflict => 'update_if_changed') r;
SELECT counts(r) FROM dbutil.bulk_update('part', '[{"id": 3, "r": 11, "v": "moved"}, {"id": 1, "r": 2}]', key => '{id}') r;
SELECT counts(r) FROM dbutil.bulk_delete('part', '[{"id": 5, "r": 15}, {"id": 5, "r": 1}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('part', '[{"id": 9, "r": 99}]') r;
SELECT tableoid::regclass, * FROM part ORDER BY id;
SELECT counts(r) FROM dbutil.bulk_insert('part1', '[{"id": 7, "r": 7}]') r;

-- views: simple ones, with INSTEAD OF triggers, with a check option
CREATE TABLE base (id int PRIMARY KEY, v text, hidden text DEFAULT 'h');
CREATE VIEW simple AS SELECT v AS label, id FROM base WHERE id < 100 WITH CHECK OPTION;
SELECT counts(r) FROM dbutil.bulk_insert('simple', '[{"id": 1, "label": "a"}, {"id": 2, "label": "b"}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('simple', '[{"id": 2, "label": "B"}, {"id": 3, "label": "c"}]', on_conflict => 'update', conflict_columns => '{id}') r;
SELECT counts(r) FROM dbutil.bulk_insert('simple', '[{"id": 100, "label": "B"}]') r;
SELECT counts(r) FROM dbutil.bulk_update('simple', '[{"id": 1, "label": "A"}, {"id": 9, "label": "x"}]', key => '{id}') r;
SELECT counts(r) FROM dbutil.bulk_delete('simple', ARRAY[3, 9], key => '{id}') r;
SELECT * FROM base ORDER BY id;
CREATE VIEW inst AS SELECT id, v FROM base;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF TG_OP = 'INSERT' THEN
		IF NEW.id = 66 THEN RETURN NULL; END IF;
		INSERT INTO base (id, v) VALUES (NEW.id, NEW.v || '!'); RETURN NEW;
	ELSIF TG_OP = 'UPDATE' THEN
		IF NEW.v = 'no' THEN RETURN NULL; END IF;
		UPDATE base SET v = NEW.v || '?' WHERE id = OLD.id; RETURN NEW;
	END IF;
	DELETE FROM base WHERE id = OLD.id; RETURN OLD; END $$;
CREATE TRIGGER i INSTEAD OF INSERT OR UPDATE OR DELETE ON inst FOR EACH ROW EXECUTE FUNCTION instead();
SELECT counts(r) FROM dbutil.bulk_insert('inst', '[{"id": 10, "v": "a"}, {"id": 66, "v": "b"}]') r;
SELECT counts(r) FROM dbutil.bulk_update('inst', '[{"id": 10, "v": "b"}, {"id": 1, "v": "no"}, {"id": 99, "v": "b"}]', key => '{id}') r;
SELECT counts(r) FROM dbutil.bulk_delete('inst', '[2, 99]', key => '{id}') r;
SELECT * FROM base ORDER BY id;

-- rules
CREATE TABLE ruled (id int PRIMARY KEY, v text);
INSERT INTO ruled VALUES (1, 'a'), (2, 'b');
CREATE TABLE shadow (id int, v text);
CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO shadow VALUES (NEW.id, NEW.v);
CREATE RULE none AS ON UPDATE TO ruled DO INSTEAD NOTHING;
CREATE RULE also_delete AS ON DELETE TO ruled DO ALSO INSERT INTO shadow VALUES (-OLD.id);
SELECT counts(r) FROM dbutil.bulk_insert('ruled', '[{"id": 3, "v": "c"}, {"id": 4}]') r;
SELECT counts(r) FROM dbutil.bulk_update('ruled', '[{"id": 1, "v": "x"}, {"id": 99, "v": "x"}]') r;
SELECT counts(r) FROM dbutil.bulk_update('ruled', '[{"id": 1, "v": "x"}]', missing => 'error') r;
SELECT counts(r) FROM dbutil.bulk_delete('ruled', '[2, 99]') r;
SELECT * FROM ruled ORDER BY id;
SELECT * FROM shadow ORDER BY id;

-- generated and identity columns, domains, defaults that differ for each row
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN given AS text NOT NULL;
CREATE TABLE made (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, by_default int GENERATED BY DEFAULT AS IDENTITY,
	p positive, twice int GENERATED ALWAYS AS (p * 2) STORED, g given DEFAULT 'g', r uuid DEFAULT gen_random_uuid());
SELECT counts(r) FROM dbutil.bulk_insert('made', '[{"p": 1}, {"p": 2, "by_default": 50}, {"p": 3, "g": "x"}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('made', '[{"p": 0}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('made', '[{"p": 1, "g": null}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('made', ARRAY[ROW(-1)], columns => '{p}') r;
SELECT counts(r) FROM dbutil.bulk_update('made', '[{"id": 1, "p": 10}]') r;
SELECT id, by_default, p, twice, g FROM made ORDER BY id;
SELECT count(DISTINCT r) FROM made;

-- dropped columns in the table and in the type of the rows
CREATE TABLE holes (x int, a int, y int, b text);
CREATE TYPE hole AS (b text, z int, a int);
ALTER TABLE holes DROP COLUMN x, DROP COLUMN y;
ALTER TYPE hole DROP ATTRIBUTE z;
SELECT counts(r) FROM dbutil.bulk_insert('holes', ARRAY[ROW('b', 1)::hole]) r;
SELECT counts(r) FROM dbutil.bulk_insert('holes', ARRAY[ROW(2, 'c')]) r;
INSERT INTO holes VALUES (3, 'd');
SELECT counts(r) FROM dbutil.bulk_insert('holes', (SELECT array_agg(h) FROM holes h)) r;
SELECT * FROM holes ORDER BY a;

-- names that hurt, and a search_path that lies in wait
CREATE SCHEMA "Evil ""one";
CREATE TABLE "Evil ""one"."Tab""; drop" (" id" int PRIMARY KEY, "select" text, "a'b" int DEFAULT 1, s int, excluded int);
SELECT counts(r) FROM dbutil.bulk_insert('"Evil ""one"."Tab""; drop"', '[{" id": 1, "select": "x", "s": 5}, {" id": 2, "a''b": 3, "excluded": 1}]', on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_update('"Evil ""one"."Tab""; drop"', '[{" id": 1, "select": "y", "s": 6, "excluded": 2}]', skip_unchanged => true) r;
SELECT counts(r) FROM dbutil.bulk_delete('"Evil ""one"."Tab""; drop"', '[2]') r;
TABLE "Evil ""one"."Tab""; drop";
CREATE TABLE dbutil_rows (id int PRIMARY KEY, c1 text, pos int, t int);
SELECT counts(r) FROM dbutil.bulk_insert('dbutil_rows', '[{"id": 1, "c1": "x", "pos": 3, "t": 4}]') r;
SELECT counts(r) FROM dbutil.bulk_update('dbutil_rows', '[{"id": 1, "c1": "y", "pos": 5}]') r;
TABLE dbutil_rows;
CREATE SCHEMA trap;
CREATE FUNCTION trap.eq(int, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE OPERATOR trap.= (LEFTARG = int, RIGHTARG = int, FUNCTION = trap.eq);
CREATE FUNCTION trap.record_image_ne(record, record) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE FUNCTION trap.eqx(xid, xid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE OPERATOR trap.= (LEFTARG = xid, RIGHTARG = xid, FUNCTION = trap.eqx);
CREATE TABLE trap.dbutil_rows (pos int, ord int, c1 int, c2 text);
CREATE TABLE prey (id int PRIMARY KEY, v text);
SET search_path = trap, pg_catalog, bulk_targets_test;
SELECT 1 = 1;
SELECT counts(r) FROM dbutil.bulk_insert('prey', '[{"id": 1, "v": "a"}, {"id": 2, "v": "b"}]', on_conflict => 'update_if_changed') r;
SELECT counts(r) FROM dbutil.bulk_update('prey', '[{"id": 1, "v": "c"}, {"id": 9, "v": "c"}]', skip_unchanged => true) r;
SELECT counts(r) FROM dbutil.bulk_delete('prey', '[2, 9]') r;
SET search_path = bulk_targets_test;
TABLE prey;

-- a trigger that calls bulk_insert itself; a deferred constraint
CREATE TABLE copy_of (id int PRIMARY KEY, v text);
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	PERFORM dbutil.bulk_insert('copy_of', ARRAY[NEW]); RETURN NULL; END $$;
CREATE TRIGGER again AFTER INSERT ON prey FOR EACH ROW EXECUTE FUNCTION again();
SELECT counts(r) FROM dbutil.bulk_insert('prey', '[{"id": 5, "v": "a"}, {"id": 6, "v": "b"}]') r;
TABLE copy_of;
CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY IMMEDIATE, k text PRIMARY KEY);
INSERT INTO late VALUES (1, 'a'), (2, 'b');
SET dbutil.bulk_chunk_rows = 1;
SELECT counts(r) FROM dbutil.bulk_update('late', '[{"k": "a", "id": 2}, {"k": "b", "id": 1}]') r;
RESET dbutil.bulk_chunk_rows;
TABLE late;
-- inheritance
CREATE TABLE child () INHERITS (base);
INSERT INTO child VALUES (200, 'child');
SELECT counts(r) FROM dbutil.bulk_update('base', '[{"id": 200, "v": "changed"}, {"id": 1, "v": "changed"}]') r;
SELECT tableoid::regclass, id, v FROM base WHERE v = 'changed' ORDER BY id;
-- temporary tables
CREATE TEMP TABLE tmp (id int PRIMARY KEY, v int[]);
SELECT counts(r) FROM dbutil.bulk_insert('tmp', '[{"id": 1, "v": [1, 2]}, {"id": 2, "v": null}]') r;
TABLE tmp;

SET client_min_messages = warning;
DROP SCHEMA bulk_targets_test, trap, "Evil ""one" CASCADE;
DROP TABLE tmp;
