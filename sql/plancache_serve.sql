--
-- dbutil.plan_cache: which statements are served, and with whose literals
--
CREATE SCHEMA plancache_serve;
SET search_path = plancache_serve, public;
CREATE TABLE item (
	id integer PRIMARY KEY, grp integer, big bigint, amount numeric, name text, fixed char(8), at timestamptz, ok boolean
) WITH (autovacuum_enabled = off);
INSERT INTO item
SELECT i, i % 10, i * 10000000000, i * 1.5, 'n' || i, 'f' || i, '2024-01-01 00:00+00'::timestamptz + i * interval '1 hour', i % 2 = 0
FROM generate_series(1, 1000) AS i;
CREATE TABLE grp (id integer PRIMARY KEY, name text) WITH (autovacuum_enabled = off);
INSERT INTO grp SELECT i, 'g' || i FROM generate_series(0, 9) AS i;
ANALYZE item, grp;

CREATE VIEW hits AS
	SELECT coalesce(sum(total) FILTER (WHERE event = 'generic'), 0) AS generic,
		   coalesce(sum(total) FILTER (WHERE event = 'exact'), 0) AS exact
	FROM dbutil.plan_cache_stats WHERE kind = 'hit';

-- off is the default, and then nothing is looked at
SHOW dbutil.plan_cache;
SELECT name FROM item WHERE id = 1;
SELECT name FROM item WHERE id = 1;
SELECT count(*) FROM dbutil.plan_cache;

-- auto: first sight, admission, then hits; every second power of two is verified
SET dbutil.plan_cache = auto;
SELECT name FROM item WHERE id = 1;
SELECT name FROM item WHERE id = 22;
SELECT name FROM item WHERE id = 333;
SELECT name FROM item WHERE id = 4;
SELECT name FROM item WHERE id = 1000;
SELECT name FROM item WHERE id = 1001;
SELECT * FROM hits;
SELECT level, state, params, calls, hits, verified, relations FROM dbutil.plan_cache;
-- the text holds no literal
SELECT query ~ 'id = \$1' AS lifted, query ~ '1000' AS leaked FROM dbutil.plan_cache;
-- EXPLAIN shows the plan that is served, with the literal
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE id = 77;

-- a range is not lifted by auto: its literals stay part of the key
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
SELECT count(*) FROM item WHERE id > 500;
SELECT count(*) FROM item WHERE id > 500;
SELECT count(*) FROM item WHERE id > 500;
SELECT count(*) FROM item WHERE id > 600;
SELECT * FROM hits;

-- exact: hits with the same literals only
SET dbutil.plan_cache = exact;
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
SELECT name FROM item WHERE id = 5;
SELECT name FROM item WHERE id = 5;
SELECT name FROM item WHERE id = 5;
SELECT name FROM item WHERE id = 6;
SELECT * FROM hits;

-- force: stored at first sight
SET dbutil.plan_cache = force;
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
SELECT count(*) FROM item WHERE id BETWEEN 10 AND 20;
SELECT count(*) FROM item WHERE id BETWEEN 100 AND 300;
SELECT * FROM hits;

-- joins, several literals, their order
SELECT i.id, g.name FROM item AS i JOIN grp AS g ON g.id = i.grp AND g.name <> 'g3' WHERE i.id = 13 OR i.id = 14 ORDER BY 1;
SELECT i.id, g.name FROM item AS i JOIN grp AS g ON g.id = i.grp AND g.name <> 'g4' WHERE i.id = 14 OR i.id = 13 ORDER BY 1;
SELECT i.id, g.name FROM item AS i JOIN grp AS g ON g.id = i.grp AND g.name <> 'g9' WHERE i.id = 14 OR i.id = 13 ORDER BY 1;
SELECT g.id, i.id FROM grp AS g LEFT JOIN item AS i ON i.grp = g.id AND i.id < 3 WHERE g.id < 4 ORDER BY 1, 2;
SELECT g.id, i.id FROM grp AS g LEFT JOIN item AS i ON i.grp = g.id AND i.id < 2 WHERE g.id < 3 ORDER BY 1, 2;
-- the same column twice, equal and contradicting
SELECT id FROM item WHERE id = 1 AND id = 1;
SELECT id FROM item WHERE id = 1 AND id = 2;
SELECT id FROM item WHERE id = 3 AND id = 3;
SELECT id FROM item WHERE 3 = id AND id = grp AND grp = 3;
SELECT id FROM item WHERE 4 = id AND id = grp AND grp = 3;
SELECT id FROM item WHERE 4 = id AND id = grp AND grp = 4;
SELECT * FROM hits;

-- each type of literal is a statement of its own
SELECT id FROM item WHERE id = 7;
SELECT id FROM item WHERE id = 7::bigint;
SELECT id FROM item WHERE id = 7.0;
SELECT id FROM item WHERE id = 7.5;
SELECT id FROM item WHERE id = 70000000000;
SELECT id FROM item WHERE id = '7';
SELECT id FROM item WHERE id = '70000000000';
SELECT id FROM item WHERE big = 70000000000;
SELECT id FROM item WHERE big = 7;
SELECT id FROM item WHERE amount = 10.5;
SELECT id FROM item WHERE amount = 10.50000;
SELECT id FROM item WHERE name = 'n7';
SELECT id FROM item WHERE name = 'n7 ';
SELECT id FROM item WHERE name = '';
SELECT id FROM item WHERE name = repeat('n', 3);
SELECT id FROM item WHERE name = 'n' || '7';
SELECT id FROM item WHERE fixed = 'f7';
SELECT id FROM item WHERE fixed = 'f7   ';
SELECT id FROM item WHERE fixed = 'f7'::char(2);
SELECT id FROM item WHERE fixed = 'f77'::char(2);
SELECT id FROM item WHERE at = '2024-01-01 07:00+00';
SELECT id FROM item WHERE at = '2024-01-01 08:00+01';
SELECT count(*) FROM item WHERE ok = true;
SELECT count(*) FROM item WHERE ok = false;
SELECT count(*) FROM item WHERE name = NULL;
SELECT count(*) FROM item WHERE id = NULL;
SELECT count(*) FROM item WHERE id IN (1, 2, 3000);
SELECT count(*) FROM item WHERE id IN (1, 2, 3);
SELECT count(*) FROM item WHERE name LIKE 'n7%';
SELECT count(*) FROM item WHERE name LIKE 'n8%';
SELECT count(*) FROM item WHERE name ~ '^n7$';
SELECT count(*) FROM item WHERE name COLLATE "C" < 'n5' AND name > 'n4';
SELECT count(*) FROM item WHERE name COLLATE "C" < 'n6' AND name > 'n3';
SELECT name, name COLLATE "C" < 'n5' FROM item WHERE name COLLATE "C" = 'n5';
SELECT id + 1 AS next, 'x' AS label FROM item WHERE id = 8 LIMIT 1;
SELECT id + 2 AS next, 'y' AS label FROM item WHERE id = 8 LIMIT 1;
SELECT id FROM item WHERE grp = 3 ORDER BY id DESC LIMIT 2;
SELECT id FROM item WHERE grp = 4 ORDER BY id DESC LIMIT 2;
SELECT id FROM item WHERE grp = 4 ORDER BY id DESC LIMIT 1 OFFSET 1;
SELECT min(id), max(id), count(*) FILTER (WHERE id > 500) FROM item WHERE grp = 5;
SELECT min(id), max(id), count(*) FILTER (WHERE id > 900) FROM item WHERE grp = 6;
SELECT id FROM item WHERE id % 100 = 99 AND id / 500 = 1;
SELECT id FROM item WHERE id % 100 = 98 AND id / 500 = 0;

-- errors stay errors, and do no harm
SELECT 1 / 0 FROM item WHERE id = 1;
SELECT id FROM item WHERE id = 1 / 0;
SELECT id FROM item WHERE id = 99999999999999999999;
SELECT id FROM item WHERE id = 'seven';
SELECT 1 / (id - 1) FROM item WHERE id = 1;
SELECT 1 / (id - 1) FROM item WHERE id = 2;
SELECT id FROM item WHERE id = 7;

-- portals hold plans of their own
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
BEGIN;
DECLARE fwd CURSOR FOR SELECT id FROM item WHERE grp = 1 ORDER BY id;
DECLARE back SCROLL CURSOR FOR SELECT id FROM item WHERE grp = 2 ORDER BY id;
DECLARE held CURSOR WITH HOLD FOR SELECT id FROM item WHERE grp = 3 ORDER BY id;
FETCH 2 FROM fwd;
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
SELECT id FROM item WHERE grp = 9 ORDER BY id LIMIT 1;
SAVEPOINT s;
FETCH 2 FROM back;
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
ROLLBACK TO s;
FETCH 2 FROM fwd;
FETCH LAST FROM back;
FETCH PRIOR FROM back;
COMMIT;
FETCH 2 FROM held;
CLOSE held;

PREPARE by_id AS SELECT name FROM item WHERE id = 15;
EXECUTE by_id;
SELECT name FROM item WHERE id = 16;
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
EXECUTE by_id;
DEALLOCATE by_id;
PREPARE by_param(integer) AS SELECT name FROM item WHERE id = $1 AND grp = 7;
EXECUTE by_param(17);
EXECUTE by_param(27);
DEALLOCATE by_param;

CREATE TABLE copied AS SELECT id, name FROM item WHERE id = 18;
INSERT INTO copied SELECT id, name FROM item WHERE id = 19;
COPY (SELECT id, name FROM item WHERE id = 20) TO STDOUT;
COPY (SELECT id, name FROM item WHERE id = 21) TO STDOUT;
SELECT * FROM copied ORDER BY id;
DO $$
DECLARE
	n text;
	all_names text = '';
BEGIN
	FOR i IN 30..40 LOOP
		EXECUTE format('SELECT name FROM plancache_serve.item WHERE id = %s', i) INTO n;
		all_names := all_names || ' ' || n;
	END LOOP;
	RAISE NOTICE '%', all_names;
END
$$;
SELECT generic > 8 AS dynamic_sql_hits FROM hits;

-- prove that what is refused is right too, and counted by its reason
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
SELECT grp + 1 AS a, (grp + 1) * 2 AS b, count(*) FROM item WHERE id < 4 GROUP BY ROLLUP (grp + 1) ORDER BY 1, 2, 3;
SELECT DISTINCT ok FROM item WHERE id < 10 ORDER BY 1;
WITH w AS (SELECT id FROM item WHERE id = 3) SELECT * FROM w;
SELECT id FROM item WHERE id = (SELECT max(id) FROM grp WHERE id = 5);
SELECT id FROM item WHERE id = 5 FOR UPDATE;
SELECT id FROM item WHERE id = 5 UNION ALL SELECT id FROM grp WHERE id = 6;
UPDATE item SET name = 'n5' WHERE id = 5;
/*+ SeqScan(item) */ SELECT id FROM item WHERE id = 5;
SELECT kind, event, total FROM dbutil.plan_cache_stats
WHERE total > 0 AND kind = 'refusal' AND event <> 'relation';

-- statements that never repeat are looked at now and then only, until one does
SET dbutil.plan_cache = auto;
SELECT dbutil.plan_cache_reset() >= 0 AS done;
DO $$
DECLARE
	n integer;
BEGIN
	FOR i IN 1..1000 LOOP
		EXECUTE format('SELECT id + %s FROM item WHERE id = 1', i) INTO n;
	END LOOP;
	FOR i IN 1..30 LOOP
		EXECUTE format('SELECT id + 0 FROM item WHERE id = %s', i) INTO n;
	END LOOP;
END $$;
SELECT sum(total) FILTER (WHERE event = 'stranger') > 600 AS not_looked_at,
	   sum(total) FILTER (WHERE event = 'first_sight') < 400 AS looked_at,
	   sum(total) FILTER (WHERE kind = 'hit') > 5 AS hits_again
FROM dbutil.plan_cache_stats;

RESET dbutil.plan_cache;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA plancache_serve CASCADE;
RESET client_min_messages;
