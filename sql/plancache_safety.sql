--
-- the plan cache's safeguards: what ends a plan, and what keeps two apart
--
CREATE SCHEMA plancache_one;
CREATE SCHEMA plancache_two;
SET search_path = plancache_one, public;
CREATE TABLE item (id integer PRIMARY KEY, grp integer, name text) WITH (autovacuum_enabled = off);
INSERT INTO item SELECT i, i % 10, 'one' || i FROM generate_series(1, 1000) AS i;
CREATE TABLE plancache_two.item (id integer PRIMARY KEY, grp integer, name text) WITH (autovacuum_enabled = off);
INSERT INTO plancache_two.item SELECT i, i % 10, 'two' || i FROM generate_series(1, 1000) AS i;
ANALYZE item, plancache_two.item;
SET dbutil.plan_cache = force;
SELECT dbutil.plan_cache_reset() >= 0 AS done;

-- hits so far, and from then on; its own query is not to count
CREATE FUNCTION hits() RETURNS numeric LANGUAGE sql
	AS $$/*+ planned */ SELECT sum(total) FROM dbutil.plan_cache_stats WHERE kind = 'hit'$$;

-- names are looked up afresh
SELECT name FROM item WHERE id = 1;
SET search_path = plancache_two, public;
SELECT name FROM item WHERE id = 1;
SET search_path = plancache_one, public;
SELECT name FROM item WHERE id = 2;
CREATE TEMP TABLE item (id integer, name text);
INSERT INTO item VALUES (2, 'temporary');
SELECT name FROM item WHERE id = 2;
SELECT name FROM item WHERE id = 2;
DROP TABLE pg_temp.item;
SELECT name FROM item WHERE id = 2;

-- settings: the plan is that of the settings now in force
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE id = 3;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE id = 4;
RESET enable_indexscan;
RESET enable_bitmapscan;
SELECT hits() AS before \gset
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE id = 5;
SELECT hits() - :before AS hit_again;
-- also those that functions look at which are folded while planning
SELECT id, (0.1::float8 + 0.2::float8)::text AS sum, '\x61'::bytea::text AS bytes, ('1 day'::interval)::text AS span FROM item WHERE id = 6;
SET extra_float_digits = -10;
SET bytea_output = escape;
SET intervalstyle = iso_8601;
SELECT id, (0.1::float8 + 0.2::float8)::text AS sum, '\x61'::bytea::text AS bytes, ('1 day'::interval)::text AS span FROM item WHERE id = 7;
RESET extra_float_digits;
RESET bytea_output;
RESET intervalstyle;
SELECT id, (0.1::float8 + 0.2::float8)::text AS sum, '\x61'::bytea::text AS bytes, ('1 day'::interval)::text AS span FROM item WHERE id = 8;
-- a session that goes through many settings begins again, and stays right
DO $$
DECLARE
	n text;
	wrong integer = 0;
BEGIN
	FOR i IN 1..100 LOOP
		PERFORM set_config('seq_page_cost', (1 + i / 100.0)::text, false);
		EXECUTE 'SELECT name FROM plancache_one.item WHERE id = ' || i INTO n;
		IF n <> 'one' || i THEN
			wrong := wrong + 1;
		END IF;
	END LOOP;
	RAISE NOTICE 'wrong: %', wrong;
END
$$;
RESET seq_page_cost;

-- DDL in this session
SELECT name FROM item WHERE id = 10;
SELECT hits() AS before \gset
SELECT name FROM item WHERE id = 11;
SELECT hits() - :before AS hit_before_ddl;
CREATE INDEX item_name ON item (name);
EXPLAIN (COSTS OFF) SELECT id FROM item WHERE name = 'one10';
DROP INDEX item_name;
EXPLAIN (COSTS OFF) SELECT id FROM item WHERE name = 'one11';
ALTER TABLE item ALTER COLUMN grp TYPE text;
SELECT grp || '!' AS grp, name FROM item WHERE id = 12;
ALTER TABLE item ADD COLUMN extra integer DEFAULT 42;
SELECT * FROM item WHERE id = 13;
ALTER TABLE item DROP COLUMN grp;
SELECT * FROM item WHERE id = 14;
ALTER TABLE item RENAME COLUMN extra TO more;
SELECT * FROM item WHERE id = 15;
VACUUM FULL item;
SELECT name FROM item WHERE id = 16;
CLUSTER item USING item_pkey;
SELECT name FROM item WHERE id = 17;
ALTER TABLE item DROP CONSTRAINT item_pkey;
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE id = 17;
ALTER TABLE item ADD PRIMARY KEY (id);
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE id = 18;

-- what a transaction changed and took back leaves nothing behind
SELECT name FROM item WHERE id = 19;
BEGIN;
CREATE INDEX item_name ON item (name);
EXPLAIN (COSTS OFF) SELECT id FROM item WHERE name = 'one19';
SELECT name FROM item WHERE id = 19;
SELECT total > 0 AS refused_while_changing FROM dbutil.plan_cache_stats WHERE event = 'ddl';
ROLLBACK;
EXPLAIN (COSTS OFF) SELECT id FROM item WHERE name = 'one20';
SELECT name FROM item WHERE id = 20;
BEGIN;
SAVEPOINT s;
ALTER TABLE item ADD COLUMN gone integer DEFAULT 1;
SELECT * FROM item WHERE id = 21;
ROLLBACK TO s;
SELECT * FROM item WHERE id = 21;
TRUNCATE item;
SELECT * FROM item WHERE id = 21;
ROLLBACK;
SELECT * FROM item WHERE id = 21;

-- an immutable function may be replaced, and may say untrue things of itself
CREATE FUNCTION inlined(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION untrue() RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT count(*) FROM plancache_one.item); END';
SELECT inlined(id), name FROM item WHERE id = 22;
SELECT name FROM item WHERE id = inlined(21);
SELECT untrue() FROM item WHERE id = 22;
DELETE FROM item WHERE id > 950;
SELECT untrue() FROM item WHERE id = 22;
CREATE OR REPLACE FUNCTION inlined(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 2';
DELETE FROM item WHERE id > 900;
SELECT inlined(id), name FROM item WHERE id = 22;
SELECT name FROM item WHERE id = inlined(21);
SELECT untrue() FROM item WHERE id = 22;

-- a function that becomes volatile is called for every row from then on
CREATE FUNCTION steady() RETURNS integer LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 22; END';
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE id = steady() AND name <> 'a';
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE id = steady() AND name <> 'b';
ALTER FUNCTION steady() VOLATILE;
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE id = steady() AND name <> 'c';

-- a domain that had no constraint when the plan was made
CREATE DOMAIN bounded AS integer;
CREATE TABLE holder (v bounded) WITH (autovacuum_enabled = off);
INSERT INTO holder SELECT id FROM item WHERE id = 23 RETURNING v;
SELECT hits() AS before \gset
INSERT INTO holder SELECT id FROM item WHERE id = 24 RETURNING v;
SELECT hits() - :before AS hit_unbounded;
ALTER DOMAIN bounded ADD CHECK (VALUE < 25);
INSERT INTO holder SELECT id FROM item WHERE id = 25 RETURNING v;
INSERT INTO holder SELECT id FROM item WHERE id = 22 RETURNING v;

-- size: a table that grew is planned for again, in a function at once
CREATE TABLE growing (id integer, v integer) WITH (autovacuum_enabled = off);
CREATE INDEX ON growing (id);
SELECT v FROM growing WHERE id = 1;
DO $$
DECLARE
	n integer;
BEGIN
	EXECUTE 'SELECT v FROM plancache_one.growing WHERE id = 1' INTO n;
	INSERT INTO plancache_one.growing SELECT i, i FROM generate_series(1, 20000) AS i;
	EXECUTE 'SELECT v FROM plancache_one.growing WHERE id = 7' INTO n;
	RAISE NOTICE '%', n;
END
$$;
SELECT total FROM dbutil.plan_cache_stats WHERE event = 'size';

-- roles: rights are checked at each execution, and each role has its own plans
CREATE ROLE regress_plancache_user;
GRANT USAGE ON SCHEMA plancache_one TO regress_plancache_user;
SELECT name FROM item WHERE id = 23;
SET ROLE regress_plancache_user;
SELECT name FROM item WHERE id = 23;
RESET ROLE;
GRANT SELECT (id, name) ON item TO regress_plancache_user;
SET ROLE regress_plancache_user;
SELECT name FROM item WHERE id = 24;
SELECT name FROM item WHERE id = 25;
SELECT more FROM item WHERE id = 25;
RESET ROLE;
REVOKE SELECT (id, name) ON item FROM regress_plancache_user;
SET ROLE regress_plancache_user;
SELECT name FROM item WHERE id = 26;
RESET ROLE;

-- row security, turned on and off under the same statement
GRANT SELECT ON item TO regress_plancache_user;
SET ROLE regress_plancache_user;
SELECT name FROM item WHERE id = 27;
SELECT name FROM item WHERE id = 28;
RESET ROLE;
CREATE POLICY only_even ON item USING (id % 2 = 0);
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
SELECT name FROM item WHERE id = 27;
SET ROLE regress_plancache_user;
SELECT name FROM item WHERE id = 27;
SELECT name FROM item WHERE id = 28;
SET row_security = off;
SELECT name FROM item WHERE id = 28;
RESET row_security;
RESET ROLE;
ALTER TABLE item DISABLE ROW LEVEL SECURITY;
SET ROLE regress_plancache_user;
SELECT name FROM item WHERE id = 27;
RESET ROLE;

-- partitions: exact only; attached and detached ones are seen
CREATE TABLE part (id integer, at date) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') WITH (autovacuum_enabled = off);
CREATE TABLE part_2 (id integer, at date) WITH (autovacuum_enabled = off);
INSERT INTO part_1 VALUES (1, '2024-06-01');
INSERT INTO part_2 VALUES (2, '2025-06-01');
SELECT id FROM part WHERE at >= '2024-03-01' ORDER BY id;
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
SELECT id FROM part WHERE at >= '2024-03-01' ORDER BY id;
SELECT hits() AS before \gset
SELECT id FROM part WHERE at >= '2024-03-01' ORDER BY id;
SELECT hits() - :before AS partitioned_hit;
ALTER TABLE part DETACH PARTITION part_1;
SELECT id FROM part WHERE at >= '2024-03-01' ORDER BY id;
-- inheritance: a child that is added is seen
CREATE TABLE parent (id integer, v text) WITH (autovacuum_enabled = off);
INSERT INTO parent VALUES (1, 'parent');
SELECT v FROM parent WHERE id = 1 ORDER BY v;
CREATE TABLE child () INHERITS (parent) WITH (autovacuum_enabled = off);
INSERT INTO child VALUES (1, 'child');
SELECT v FROM parent WHERE id = 1 ORDER BY v;
SELECT v FROM parent WHERE id = 1 ORDER BY v;
ALTER TABLE child NO INHERIT parent;
SELECT v FROM parent WHERE id = 1 ORDER BY v;

-- a plan that would lock many relations beyond the named ones is not kept
CREATE TABLE many (id integer) PARTITION BY LIST (id);
SELECT format('CREATE TABLE many_%s PARTITION OF many FOR VALUES IN (%s)', i, i) FROM generate_series(1, 20) AS i \gexec
SELECT count(*) FROM many WHERE id > 0;
SELECT count(*) FROM many WHERE id > 0;
SELECT state, reason FROM dbutil.plan_cache WHERE relations[1] = 'many'::regclass;

-- text search functions call themselves immutable and answer from catalogs
CREATE TEXT SEARCH DICTIONARY stops (TEMPLATE = simple, stopwords = 'english');
CREATE TEXT SEARCH CONFIGURATION conf (COPY = simple);
SELECT to_tsvector('conf', 'the running cat') FROM item WHERE id = 29;
SELECT to_tsvector('conf', 'the running cat') FROM item WHERE id = 29;
ALTER TEXT SEARCH CONFIGURATION conf ALTER MAPPING FOR asciiword WITH stops;
SELECT to_tsvector('conf', 'the running cat') FROM item WHERE id = 29;
ALTER TEXT SEARCH DICTIONARY stops (stopwords);
SELECT to_tsvector('conf', 'the running cat') FROM item WHERE id = 29;
-- others whose catalogs cannot be watched are refused
SELECT pg_partition_root('part_1') FROM item WHERE id = 29;
ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
SELECT pg_partition_root('part_1') FROM item WHERE id = 29;
SELECT total > 0 AS refused FROM dbutil.plan_cache_stats WHERE event = 'catalog';

-- a setting that decides what is stored forgets what was decided before
SET dbutil.plan_cache = auto;
SET dbutil.plan_cache_min_plan_time = 1000000000;
SELECT name FROM item WHERE id = 30;
SELECT name FROM item WHERE id = 30;
SELECT name FROM item WHERE id = 30;
SELECT state, reason FROM dbutil.plan_cache WHERE reason = 'cheap' AND relations[1] = 'item'::regclass;
RESET dbutil.plan_cache_min_plan_time;
SELECT name FROM item WHERE id = 30;
SELECT name FROM item WHERE id = 30;
SELECT state, reason FROM dbutil.plan_cache WHERE relations[1] = 'item'::regclass;
SET dbutil.plan_cache = force;

-- a plan that runs longer than planning and the custom plan is given up,
-- whatever was estimated
CREATE TABLE apart (id integer, k integer) WITH (autovacuum_enabled = off);
CREATE TABLE apart_1 (CHECK (k = 1)) INHERITS (apart) WITH (autovacuum_enabled = off);
CREATE TABLE apart_2 (CHECK (k = 2)) INHERITS (apart) WITH (autovacuum_enabled = off);
INSERT INTO apart_1 SELECT i, 1 FROM generate_series(1, 8) AS i;
INSERT INTO apart_2 VALUES (9, 2);
ANALYZE apart_1, apart_2;
CREATE FUNCTION takes_long(integer) RETURNS boolean LANGUAGE plpgsql STABLE COST 0.0001
	AS 'BEGIN PERFORM pg_sleep(0.002); RETURN true; END';
SET dbutil.plan_cache = auto;
DO $$
DECLARE
	n integer;
BEGIN
	FOR i IN 1..40 LOOP
		EXECUTE 'SELECT count(*) FROM apart WHERE takes_long(id) AND k = 2' INTO n;
	END LOOP;
	RAISE NOTICE '%', n;
END $$;
SELECT level, state, reason, stored_exec_us > 3 * custom_exec_us AS slower FROM dbutil.plan_cache WHERE 'apart'::regclass = ANY (relations) AND level = 'generic';
SET dbutil.plan_cache = force;

-- DISCARD forgets plans
SELECT name FROM item WHERE id = 31;
DISCARD PLANS;
SET dbutil.plan_cache = off;
SELECT count(*) FROM dbutil.plan_cache;
SET dbutil.plan_cache = force;

-- the age of a plan is limited when so wanted
SET dbutil.plan_cache_max_age = 1;
SELECT name FROM item WHERE id = 30;
SELECT pg_sleep(1.1);
SELECT name FROM item WHERE id = 31;
SELECT total > 0 AS aged FROM dbutil.plan_cache_stats WHERE event = 'age';
RESET dbutil.plan_cache_max_age;

RESET dbutil.plan_cache;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA plancache_one, plancache_two CASCADE;
DROP ROLE regress_plancache_user;
RESET client_min_messages;
