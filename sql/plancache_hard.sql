--
-- the plan cache where it is easy to be wrong; everything here must be as it is
-- with plan_cache = off, and what was served is counted at the end
--
CREATE SCHEMA plancache_hard;
SET search_path = plancache_hard, public;
CREATE TABLE item (id integer PRIMARY KEY, grp integer, flag boolean DEFAULT true, name text, UNIQUE (grp, name)) WITH (autovacuum_enabled = off);
INSERT INTO item (id, grp, name) SELECT i, i % 4, 'n' || i FROM generate_series(1, 40) AS i;
CREATE UNIQUE INDEX item_flagged ON item (name) WHERE flag;
ANALYZE item;
SET dbutil.plan_cache = force;
SELECT dbutil.plan_cache_reset() >= 0 AS done;

-- literals that must stay equal to each other
SELECT grp + 1, (grp + 1) * 2, count(*) FROM item WHERE id > 4 GROUP BY ROLLUP (grp + 1) ORDER BY 1, 2;
SELECT grp + 1, (grp + 1) * 3, count(*) FROM item WHERE id > 5 GROUP BY ROLLUP (grp + 1) ORDER BY 1, 2;
SELECT grp + 2, (grp + 2) * 3, count(*) FROM item WHERE id > 6 GROUP BY CUBE (grp + 2) ORDER BY 1, 2;
SELECT grp = 1, count(*) FROM item WHERE (grp = 1) IS NOT NULL AND id > 2 GROUP BY grp = 1 HAVING (grp = 1) ORDER BY 1;
SELECT grp = 2, count(*) FROM item WHERE (grp = 2) IS NOT NULL AND id > 3 GROUP BY grp = 2 HAVING (grp = 2) ORDER BY 1;
SELECT DISTINCT ON (grp % 2) grp % 2, id FROM item WHERE id > 3 ORDER BY grp % 2, id;
SELECT DISTINCT ON (grp % 3) grp % 3, id FROM item WHERE id > 3 ORDER BY grp % 3, id;
SELECT sum(id) OVER (PARTITION BY grp % 2 ORDER BY id ROWS 1 PRECEDING) FROM item WHERE id < 4;
SELECT sum(id) OVER (PARTITION BY grp % 2 ORDER BY id ROWS 2 PRECEDING) FROM item WHERE id < 5;

-- cursors outlive resets, evictions and the rollback of a subtransaction
BEGIN;
DECLARE plain SCROLL CURSOR FOR SELECT id FROM item WHERE id IN (3, 4, 5) ORDER BY id;
DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT id FROM item WHERE id IN (6, 7, 8) ORDER BY id;
FETCH 1 FROM plain;
FETCH 1 FROM held;
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
FETCH 1 FROM plain;
SAVEPOINT s;
DECLARE lost CURSOR FOR SELECT id FROM item WHERE id IN (9, 10, 11) ORDER BY id;
FETCH 1 FROM lost;
ROLLBACK TO s;
FETCH 1 FROM plain;
SELECT id FROM item WHERE id IN (12, 13, 14) ORDER BY id;
FETCH BACKWARD 1 FROM plain;
COMMIT;
DISCARD PLANS;
FETCH 1 FROM held;
FETCH BACKWARD 1 FROM held;
CLOSE held;

-- ON CONFLICT: an arbiter that is a partial index
INSERT INTO item (id, grp, name) VALUES (100, 9, 'a') ON CONFLICT (name) WHERE flag DO UPDATE SET grp = 10 RETURNING id, grp;
INSERT INTO item (id, grp, name) VALUES (101, 9, 'a') ON CONFLICT (name) WHERE flag DO UPDATE SET grp = 11 RETURNING id, grp;
INSERT INTO item (id, grp, name) VALUES (102, 9, 'a') ON CONFLICT (name) WHERE flag DO UPDATE SET grp = 12 WHERE item.grp = 5 RETURNING id, grp;
INSERT INTO item (id, grp, name) VALUES (103, 9, 'a') ON CONFLICT (name) WHERE flag DO UPDATE SET grp = 12 WHERE item.grp = 11 RETURNING id, grp;
DROP INDEX item_flagged;
INSERT INTO item (id, grp, name) VALUES (104, 9, 'a') ON CONFLICT (name) WHERE flag DO UPDATE SET grp = 13 RETURNING id, grp;
CREATE UNIQUE INDEX item_flagged ON item (name) WHERE flag AND grp < 20;
INSERT INTO item (id, grp, name) VALUES (105, 9, 'a') ON CONFLICT (name) WHERE flag DO UPDATE SET grp = 14 RETURNING id, grp;
INSERT INTO item (id, grp, name) VALUES (106, 9, 'a') ON CONFLICT (name) WHERE flag AND grp < 20 DO NOTHING RETURNING id, grp;
DROP INDEX item_flagged;

-- a sequence that is dropped and made again under its name
CREATE SEQUENCE seq;
SELECT nextval('seq') FROM item WHERE id = 1;
SELECT nextval('seq') FROM item WHERE id = 2;
DROP SEQUENCE seq;
CREATE SEQUENCE seq START 100;
SELECT nextval('seq') FROM item WHERE id = 3;

-- the target of a statement changes under it
CREATE TABLE target (id integer, v integer, t varchar(5)) WITH (autovacuum_enabled = off);
INSERT INTO target VALUES (1, 1, 'one');
INSERT INTO target VALUES (2, 2, 'two');
UPDATE target SET v = v + 10 WHERE id = 1 RETURNING *;
ALTER TABLE target ADD COLUMN more integer DEFAULT 7;
INSERT INTO target VALUES (3, 3, 'three');
UPDATE target SET v = v + 20 WHERE id = 1 RETURNING *;
ALTER TABLE target ALTER COLUMN t TYPE varchar(3) USING left(t, 3);
INSERT INTO target VALUES (4, 4, 'four');
INSERT INTO target VALUES (4, 4, 'for');
ALTER TABLE target ADD CHECK (v < 50), ALTER COLUMN v SET NOT NULL;
INSERT INTO target VALUES (5, 60, 'no');
UPDATE target SET v = v + 30 WHERE id = 1 RETURNING *;
CREATE FUNCTION double_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := NEW.v * 2; RETURN NEW; END';
CREATE TRIGGER double_it BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION double_it();
INSERT INTO target VALUES (6, 6, 'six');
SELECT * FROM target WHERE id = 6;
CREATE RULE nothing AS ON INSERT TO target DO INSTEAD NOTHING;
INSERT INTO target VALUES (7, 7, 'no');
DROP RULE nothing ON target;
INSERT INTO target VALUES (8, 8, 'yes');
ALTER TABLE target DROP COLUMN t, ADD COLUMN g integer GENERATED ALWAYS AS (v * 3) STORED;
INSERT INTO target VALUES (9, 9);
INSERT INTO target VALUES (10, 10);
SELECT * FROM target ORDER BY id;
DELETE FROM target WHERE id = 9 RETURNING id, g;
DELETE FROM target WHERE id = 10 RETURNING id, g;
-- several columns from one subquery
UPDATE target SET (v, more) = (SELECT grp, id FROM item WHERE item.id = 5) WHERE id = 3 RETURNING *;
UPDATE target SET (v, more) = (SELECT grp, id FROM item WHERE item.id = 6) WHERE id = 4 RETURNING *;
UPDATE target SET (v, more) = (1, 2), g = DEFAULT WHERE id = 3 RETURNING *;
WITH moved AS (UPDATE target SET v = v + 1 WHERE id = 3 RETURNING id, v) INSERT INTO target (id, v) SELECT id + 100, v FROM moved WHERE v > 1 RETURNING *;
WITH moved AS (UPDATE target SET v = v + 2 WHERE id = 4 RETURNING id, v) INSERT INTO target (id, v) SELECT id + 200, v FROM moved WHERE v > 2 RETURNING *;
SELECT (t).v, t FROM target AS t WHERE (t).id = 3;
SELECT (t).v, t FROM target AS t WHERE (t).id = 4;
-- a view in its place
CREATE VIEW part AS SELECT id, v FROM target WHERE v < 20;
UPDATE part SET v = v + 1 WHERE id = 2 RETURNING *;
CREATE OR REPLACE VIEW part AS SELECT id, v FROM target WHERE v > 20;
UPDATE part SET v = v + 1 WHERE id = 2 RETURNING *;
CREATE OR REPLACE VIEW part AS SELECT id, v FROM target WHERE v < 20 WITH CHECK OPTION;
UPDATE part SET v = v + 30 WHERE id = 2 RETURNING *;

-- a function that stock would inline, replaced, and looked up by another path
CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
SELECT twice(id) FROM item WHERE id = 5;
SELECT twice(id) FROM item WHERE id = 6;
CREATE OR REPLACE FUNCTION twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 20';
SELECT twice(id) FROM item WHERE id = 7;
CREATE ROLE regress_plancache_hard;
GRANT USAGE ON SCHEMA plancache_hard TO regress_plancache_hard;
GRANT SELECT, UPDATE (grp) ON item TO regress_plancache_hard;
SET ROLE regress_plancache_hard;
SELECT twice(id) FROM item WHERE id = 9;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION twice(integer) FROM PUBLIC;
SET ROLE regress_plancache_hard;
SELECT twice(id) FROM item WHERE id = 8;
UPDATE item SET grp = 3 WHERE id = 1 RETURNING id;
RESET ROLE;
REVOKE UPDATE (grp) ON item FROM regress_plancache_hard;
SET ROLE regress_plancache_hard;
UPDATE item SET grp = 3 WHERE id = 2 RETURNING id;
RESET ROLE;

-- errors in planning and in execution leave nothing behind
SELECT id FROM item WHERE id = 1 AND 1 / 0 = 1;
SELECT id FROM item WHERE id = 2 AND 1 / 0 = 1;
SELECT 1 / (id - 3) FROM item WHERE id = 3;
SELECT 1 / (id - 3) FROM item WHERE id = 4;
SET statement_timeout = '20ms';
SELECT count(pg_sleep(1)) FROM item WHERE id = 1;
SELECT count(pg_sleep(1)) FROM item WHERE id = 2;
RESET statement_timeout;
SELECT id FROM item WHERE id = 5;
SELECT id FROM item WHERE id = 6;

-- a temporary table of the same name
CREATE TEMP TABLE target2 (id integer);
INSERT INTO target2 VALUES (1);
INSERT INTO target2 VALUES (2);
DROP TABLE target2;
CREATE TEMP TABLE target2 (id text);
INSERT INTO target2 VALUES (3);
SELECT id || '!' FROM target2 WHERE id = '3';
DROP TABLE target2;

SELECT sum(total) > 5 AS served FROM dbutil.plan_cache_stats WHERE kind = 'hit';
RESET dbutil.plan_cache;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA plancache_hard CASCADE;
DROP ROLE regress_plancache_hard;
RESET client_min_messages;
