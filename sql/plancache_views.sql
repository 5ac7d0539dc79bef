--
-- the plan cache's views and functions, privileges, memory
--
CREATE SCHEMA plancache_views;
SET search_path = plancache_views, public;
CREATE TABLE item (id integer PRIMARY KEY, grp integer, name text) WITH (autovacuum_enabled = off);
INSERT INTO item SELECT i, i % 10, 'n' || i FROM generate_series(1, 1000) AS i;
CREATE TABLE skewed (id integer, kind integer, open boolean) WITH (autovacuum_enabled = off);
INSERT INTO skewed SELECT i, CASE WHEN i <= 9900 THEN 0 ELSE i END, i > 9990 FROM generate_series(1, 10000) AS i;
CREATE INDEX ON skewed (kind);
CREATE INDEX ON skewed (id) WHERE id > 9000;
ANALYZE item, skewed;
CREATE FUNCTION own(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE TABLE guarded (id integer);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE VIEW wrapped AS SELECT id FROM item;

SELECT item, state, item_value, fix FROM dbutil.status() WHERE item = 'plan cache';
SET dbutil.plan_cache = auto;
SELECT dbutil.plan_cache_reset() >= 0 AS done;
SELECT item, state, item_value, fix FROM dbutil.status() WHERE item = 'plan cache';
SELECT dbutil.plan_cache_reset() AS entries;

-- why: decisions and reasons
SELECT decision, level, params, reason FROM dbutil.plan_cache_why('SELECT * FROM item WHERE id = 1');
SELECT * FROM item WHERE id = 1;
SELECT * FROM item WHERE id = 2;
SELECT decision, level, params, reason FROM dbutil.plan_cache_why('SELECT * FROM item WHERE id = 3');
SELECT decision, level, params, reason FROM dbutil.plan_cache_why('SELECT * FROM item WHERE id = 3::bigint');
SELECT s.statement, w.decision, w.level, w.params, w.reason
FROM unnest(ARRAY[
	'SELECT * FROM item WHERE id > 1',
	'SELECT * FROM item WHERE id = 1 GROUP BY id',
	'SELECT * FROM wrapped WHERE id = 1',
	'SELECT * FROM guarded WHERE id = 1',
	'SELECT * FROM pg_class WHERE oid = 1',
	'SELECT 1',
	'SELECT * FROM item WHERE own(id) = 1',
	'SELECT (id, grp) FROM item',
	'SELECT (SELECT 1) FROM item WHERE id = 1',
	'SELECT * FROM item TABLESAMPLE system (10)',
	'DELETE FROM item WHERE id = 1',
	'VACUUM item',
	'/*+ x */ SELECT * FROM item WHERE id = 1'
]) WITH ORDINALITY AS s(statement, n), LATERAL dbutil.plan_cache_why(s.statement) AS w
ORDER BY s.n;
SELECT reason, explanation <> '' AS explained FROM dbutil.plan_cache_why('SELECT 1');
SELECT dbutil.plan_cache_why('SELECT 1; SELECT 2');
SELECT dbutil.plan_cache_why('');
SELECT dbutil.plan_cache_why('SELEC 1');
SELECT dbutil.plan_cache_why('SELECT * FROM no_such_table');
SELECT dbutil.plan_cache_why(NULL);
SET dbutil.plan_cache_max_params = 1;
SELECT decision, level, params FROM dbutil.plan_cache_why('SELECT * FROM item WHERE id = 3 AND grp = 4');
RESET dbutil.plan_cache_max_params;
RESET dbutil.plan_cache;
SELECT decision, level, params FROM dbutil.plan_cache_why('SELECT * FROM item WHERE id = 3');
SET dbutil.plan_cache = auto;

-- verdicts: what no plan for all literals is good for goes on as exact
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
SELECT count(*) FROM skewed WHERE kind = 0;
SELECT count(*) FROM skewed WHERE kind = 9950;
SELECT count(*) FROM skewed WHERE kind = 9950;
SELECT count(*) FROM skewed WHERE kind = 9950;
SELECT count(*) FROM skewed WHERE kind = 0;
SELECT count(*) FROM skewed WHERE id = 9500;
SELECT count(*) FROM skewed WHERE id = 9501;
SELECT level, state, reason, params, hits, relations::text FROM dbutil.plan_cache ORDER BY created, level;
SELECT kind, event, total FROM dbutil.plan_cache_stats WHERE kind IN ('hit', 'exact_only') AND total > 0 ORDER BY 1, 2;
SELECT decision, level, reason FROM dbutil.plan_cache_why('SELECT count(*) FROM skewed WHERE kind = 9950');

-- every event of the counters is described, under one of the documented kinds
SELECT count(*) > 0 AS some, bool_and(description <> '') AS described,
	   string_agg(DISTINCT kind, ' ' ORDER BY kind) AS kinds, count(DISTINCT (kind, event)) = count(*) AS unique_names
FROM dbutil.plan_cache_stats;

-- limits of settings
SET dbutil.plan_cache = sometimes;
\set VERBOSITY sqlstate
SET dbutil.plan_cache_memory = '1kB';
\set VERBOSITY default
SET dbutil.plan_cache_min_calls = 0;
SET dbutil.plan_cache_regret = 0.5;
SET dbutil.plan_cache_verify = 2;

-- a plan that is cheap to make is not kept when so wanted
SET dbutil.plan_cache_min_plan_time = 2000000000;
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
SELECT name FROM item WHERE id = 1;
SELECT name FROM item WHERE id = 2;
SELECT name FROM item WHERE id = 3;
SELECT level, state, reason, hits FROM dbutil.plan_cache;
RESET dbutil.plan_cache_min_plan_time;

-- verified always: planned each time, and the same answers
SET dbutil.plan_cache_verify = 1;
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
SELECT name FROM item WHERE id = 1;
SELECT name FROM item WHERE id = 2;
SELECT name FROM item WHERE id = 3;
SELECT name FROM item WHERE id = 4;
SELECT name FROM item WHERE id = 5;
SELECT state, hits, verified FROM dbutil.plan_cache;
RESET dbutil.plan_cache_verify;

-- memory: thousands of shapes stay within the setting
SET dbutil.plan_cache = force;
SET dbutil.plan_cache_memory = '512kB';
DO $$
DECLARE
	n bigint;
	wrong integer = 0;
BEGIN
	FOR i IN 1..1500 LOOP
		EXECUTE format('SELECT %s + id FROM plancache_views.item WHERE id = %s', i, i % 1000 + 1) INTO n;
		IF n <> i + i % 1000 + 1 THEN
			wrong := wrong + 1;
		END IF;
	END LOOP;
	RAISE NOTICE 'wrong: %', wrong;
END
$$;
SELECT max(total) FILTER (WHERE event = 'bytes') <= 512 * 1024 AS within,
	   max(total) FILTER (WHERE event = 'bytes') > 256 * 1024 AS used,
	   max(total) FILTER (WHERE event = 'evicted') > 1000 AS evicted
FROM dbutil.plan_cache_stats;
SELECT sum(bytes) = (SELECT total FROM dbutil.plan_cache_stats WHERE event = 'bytes') AS adds_up,
	   count(*) = (SELECT total FROM dbutil.plan_cache_stats WHERE event = 'entries') AS counted
FROM dbutil.plan_cache;
-- one statement too large for its share is refused, and answered
SET dbutil.plan_cache_memory = '64kB';
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
DO $$
DECLARE
	n bigint;
BEGIN
	EXECUTE 'SELECT count(*) FROM plancache_views.item WHERE '
		|| (SELECT string_agg('id = ' || i, ' OR ') FROM generate_series(1, 100) AS i) INTO n;
	RAISE NOTICE '%', n;
END
$$;
SELECT total FROM dbutil.plan_cache_stats WHERE event = 'too_large';
RESET dbutil.plan_cache_memory;

-- another role's statements show no text; its own do
SELECT dbutil.plan_cache_reset() >= 0 AS done;
CREATE ROLE regress_plancache_reader;
GRANT USAGE ON SCHEMA plancache_views TO regress_plancache_reader;
GRANT SELECT ON item TO regress_plancache_reader;
SELECT name FROM item WHERE id = 1;
SET ROLE regress_plancache_reader;
SELECT name FROM item WHERE id = 1;
SELECT own, text, own OR queryid IS NULL AS id_guarded, relations IS NULL AS relations_hidden
FROM (SELECT username = current_user AS own, CASE WHEN query LIKE '%item%' THEN 'shown' ELSE query END AS text, queryid, relations FROM dbutil.plan_cache) AS c
ORDER BY 1;
SELECT count(*) > 0 AS stats_readable FROM dbutil.plan_cache_stats;
SELECT dbutil.plan_cache_reset() AS entries;
RESET ROLE;
SELECT count(*) AS entries FROM dbutil.plan_cache;

RESET dbutil.plan_cache;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA plancache_views CASCADE;
RESET client_min_messages;
DROP ROLE regress_plancache_reader;
