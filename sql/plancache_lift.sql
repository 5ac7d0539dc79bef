--
-- the plan cache: which literals are lifted, and parameters
--
CREATE SCHEMA plancache_lift;
SET search_path = plancache_lift, public;
CREATE TABLE item (id integer PRIMARY KEY, grp integer, amount numeric(8, 2), code varchar(4), fixed char(3), at date, name text) WITH (autovacuum_enabled = off);
INSERT INTO item SELECT i, i % 10, i, 'c' || i % 100, 'f' || i % 10, '2024-01-01'::date + i, 'n' || i FROM generate_series(1, 500) AS i;
ANALYZE item;
CREATE FUNCTION steady(integer) RETURNS integer LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1; END';
CREATE FUNCTION fixed_fn(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
CREATE VIEW cheap AS SELECT id, name FROM item WHERE amount < 100;
SET dbutil.plan_cache = force;
SELECT dbutil.plan_cache_reset() >= 0 AS done;

-- params: how many literals of each are lifted
SELECT s.statement, w.level, w.params, w.reason
FROM unnest(ARRAY[
	'SELECT 1 FROM item WHERE id = 1',
	'SELECT 1 FROM item WHERE id = 1 + 2',
	'SELECT 1 FROM item WHERE id + 1 = 2',
	'SELECT 1 FROM item WHERE amount = 7',
	'SELECT 1 FROM item WHERE amount = 7.5',
	'SELECT 1 FROM item WHERE amount = ''7''',
	'SELECT 1 FROM item WHERE code = ''c1''',
	'SELECT 1 FROM item WHERE id = NULL',
	'SELECT 1 FROM item WHERE id IN (1, 2, 3)',
	'SELECT 1 FROM item WHERE id NOT IN (1, 2, 3)',
	'SELECT 1 FROM item WHERE id IN (1, 2, NULL)',
	'SELECT 1 FROM item WHERE amount IN (1, 2.5)',
	'SELECT 1 FROM item WHERE name LIKE ''n%''',
	'SELECT 1 FROM item WHERE id = 1 LIMIT 10 OFFSET 5',
	'SELECT id + 1 FROM item WHERE id = 1 GROUP BY id + 1 HAVING count(*) > 3',
	'SELECT 1 FROM item WHERE id IN (SELECT id FROM item WHERE grp = 3)',
	'SELECT 1 FROM (SELECT id FROM item WHERE grp = 3) AS s WHERE s.id = 4',
	'WITH c AS (SELECT id FROM item WHERE grp = 3) SELECT 1 FROM c',
	'SELECT 1 FROM cheap WHERE id = 5',
	'SELECT 1 FROM item WHERE grp = 3 UNION ALL SELECT 2 FROM item WHERE grp = 4',
	'SELECT 1 FROM item WHERE id = 1 FOR UPDATE',
	'SELECT rank() OVER (ORDER BY id) FROM item WHERE grp = 1',
	'SELECT 1 FROM item WHERE steady(id) = 1',
	'SELECT 1 FROM item WHERE fixed_fn(id) = 1',
	'INSERT INTO item VALUES (1000, 2, 3, ''four'', ''fiv'', ''2024-01-01'', ''seven'')',
	'INSERT INTO item (id, amount) VALUES (1000, 1), (1001, 2.5), (1002, NULL)',
	'INSERT INTO item (id, code) VALUES (1000, ''too long'')',
	'INSERT INTO item (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET grp = 5 WHERE item.grp = 6',
	'UPDATE item SET grp = 1, code = ''ab'' WHERE id = 5',
	'UPDATE item SET amount = amount * 2 + 1 WHERE id = 5 RETURNING id + 1',
	'DELETE FROM item WHERE id = 5',
	'MERGE INTO item USING (VALUES (1, 2)) AS s (i, g) ON id = s.i AND grp > 5 WHEN MATCHED THEN UPDATE SET grp = s.g + 1'
]) WITH ORDINALITY AS s(statement, n), LATERAL dbutil.plan_cache_why(s.statement) AS w
ORDER BY s.n;

-- which ones
SELECT literals FROM dbutil.plan_cache_why('UPDATE item SET amount = amount * 2, code = ''a'', at = ''2024-02-29'' WHERE id IN (7, 8) AND grp <> 3');
SELECT literals FROM dbutil.plan_cache_why('SELECT 1 FROM item LIMIT 1');

-- an IN list is one array in the plan, long ones are hashed, each has its own members
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE id IN (1, 2, 3);
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE id IN (4, 5, 6);
SELECT name FROM item WHERE id IN (7, 8, 7) ORDER BY 1;
SELECT count(*) FROM item WHERE grp NOT IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
SELECT count(*) FROM item WHERE grp NOT IN (11, 2, 3, 4, 5, 6, 7, 8, 9, 10);
SELECT count(*) FROM item WHERE grp NOT IN (11, 2, 3, 4, 5, 6, 7, 8, 9, 11);
SELECT query, hits FROM dbutil.plan_cache WHERE query ~ 'grp <> ALL' AND query !~ 'dbutil';

-- what is written is brought to its column's type and length first
INSERT INTO item VALUES (1000, 2, 3, 'four', 'f', '2024-01-01', 'seven') RETURNING *;
INSERT INTO item VALUES (1001, 3, 4.567, 'five', 'g', '2024-02-01', 'eight') RETURNING *;
INSERT INTO item VALUES (1002, 3, 4.567, 'a    ', 'g', '2024-02-01', 'eight') RETURNING *, length(code) AS length;
INSERT INTO item VALUES (1003, 3, 4.567, 'longer', 'g', '2024-02-01', 'eight');
INSERT INTO item VALUES (1003, 3, 4567890, 'ok', 'g', '2024-02-01', 'eight');
INSERT INTO item VALUES (1000, 2, 3, 'four', 'f', '2024-01-01', 'seven');
UPDATE item SET amount = amount * 2 + 1, name = 'up' WHERE id = 1000 RETURNING amount, name;
UPDATE item SET amount = amount * 3 + 2, name = 'down' WHERE id = 1001 RETURNING amount, name;
SELECT query, hits FROM dbutil.plan_cache WHERE query ~ '^ ?(INSERT|UPDATE)' ORDER BY query COLLATE "C";

-- parameters: one plan for all their values, but not where one is NULL
SET plan_cache_mode = force_custom_plan;
PREPARE by_id(integer, text) AS SELECT name, $2 AS label FROM item WHERE id = $1 AND grp < 100;
EXECUTE by_id(1, 'a');
EXECUTE by_id(2, NULL);
EXECUTE by_id(NULL, 'c');
EXECUTE by_id(3, 'd');
SELECT query, params, hits FROM dbutil.plan_cache WHERE query ~ 'AS label' AND query !~ 'dbutil';
-- where the planner would fold them a statement is left to it
PREPARE folded(integer) AS SELECT 1 / $1 FROM item WHERE id = -1;
EXECUTE folded(1);
EXECUTE folded(0);
EXECUTE folded(1);
PREPARE any_of(integer[]) AS SELECT name FROM item WHERE id = ANY ($1) ORDER BY 1;
EXECUTE any_of('{1,2}');
EXECUTE any_of('{3,NULL,4}');
EXECUTE any_of('{}');
PREPARE put(integer, text) AS INSERT INTO item (id, amount, code) VALUES ($1, $1, $2) RETURNING id, amount, code;
EXECUTE put(2000, 'abcd');
EXECUTE put(2001, NULL);
EXECUTE put(2002, 'abcde');
DEALLOCATE ALL;
-- a parameter that is compared with a skewed column is left to the planner by auto
CREATE TABLE skewed (id integer, k integer) WITH (autovacuum_enabled = off);
INSERT INTO skewed SELECT i, CASE WHEN i % 20 = 0 THEN i ELSE 1 END FROM generate_series(1, 10000) AS i;
CREATE INDEX ON skewed (k);
ANALYZE skewed;
SET dbutil.plan_cache = auto;
PREPARE by_k(integer) AS SELECT count(*) FROM skewed WHERE k = $1;
EXECUTE by_k(40);
EXECUTE by_k(60);
EXECUTE by_k(80);
SELECT level, state, reason FROM dbutil.plan_cache WHERE 'skewed'::regclass = ANY (relations) AND level = 'generic';
DEALLOCATE ALL;
SET dbutil.plan_cache = force;
RESET plan_cache_mode;

-- EXPLAIN tells where the plan came from
SET dbutil.plan_cache = auto;
SET dbutil.plan_cache_explain = on;
CREATE FUNCTION lines(options text, statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	all_lines text;
BEGIN
	FOR all_lines IN EXECUTE format('EXPLAIN (%s) %s', options, statement) LOOP
		RETURN QUERY SELECT btrim(l) FROM regexp_split_to_table(all_lines, E'\n') AS l WHERE l ~ 'Plan Cache|Index Cond';
	END LOOP;
END $$;
SELECT lines('COSTS OFF', 'SELECT name FROM item WHERE grp = 3 AND id = 1');
SELECT lines('COSTS OFF', 'SELECT name FROM item WHERE grp = 3 AND id = 2');
SELECT lines('COSTS OFF', 'SELECT name FROM item WHERE grp = 3 AND id = 3');
SELECT lines('FORMAT json', 'SELECT name FROM item WHERE grp = 3 AND id = 4');
SELECT lines('ANALYZE', 'SELECT name FROM item WHERE grp = 3 AND id = 5');
SELECT lines('ANALYZE, FORMAT yaml', 'SELECT name FROM item WHERE grp = 3 AND id = 6');
SELECT lines('COSTS OFF', 'SELECT name FROM item WHERE fixed_fn(id) = 1');
SELECT lines('COSTS OFF', 'UPDATE item SET grp = 4 WHERE id = 6');
-- what runs inside the statement has no line of its own
CREATE FUNCTION inner_one() RETURNS text LANGUAGE plpgsql AS $$DECLARE t text; BEGIN EXECUTE 'SELECT name FROM item WHERE grp = 3 AND id = 7' INTO t; RETURN t; END$$;
SELECT lines('ANALYZE', 'SELECT inner_one() FROM item WHERE id = 7');
-- EXPLAIN EXECUTE tells it from 18 on, once for each plan that was made now, and nothing of a plan that PREPARE kept
CREATE FUNCTION execute_tells(statement text, expected text[]) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN coalesce(array_agg(l), '{}') =
		CASE WHEN current_setting('server_version_num')::integer >= 180000 THEN expected ELSE '{}' END
		THEN 'as expected' ELSE coalesce(array_agg(l), '{}')::text END
	FROM lines('ANALYZE', statement) AS l WHERE l ~ 'Plan Cache'
$$;
SET dbutil.plan_cache = force;
PREPARE by_id(integer) AS SELECT name, inner_one() FROM item WHERE grp = 3 AND id = $1;
SELECT execute_tells('EXECUTE by_id(1)', '{Plan Cache: miss: admission}');
SELECT execute_tells('EXECUTE by_id(2)', '{Plan Cache: hit generic}');
SET plan_cache_mode = force_generic_plan;
EXECUTE by_id(3);
SELECT execute_tells('EXECUTE by_id(4)', '{}');
SET plan_cache_mode = force_custom_plan;
CREATE TABLE item_log (id integer);
CREATE RULE log_item AS ON UPDATE TO item DO ALSO INSERT INTO item_log VALUES (old.id);
PREPARE with_rule(integer) AS UPDATE item SET grp = 3 WHERE id = $1;
SELECT execute_tells('EXECUTE with_rule(1)', '{Plan Cache: miss: command,Plan Cache: miss: admission}');
SELECT execute_tells('EXECUTE with_rule(2)', '{Plan Cache: miss: command,Plan Cache: hit generic}');
RESET plan_cache_mode;
DROP RULE log_item ON item;
DEALLOCATE ALL;
SET dbutil.plan_cache_explain = off;
PREPARE by_id(integer) AS SELECT name FROM item WHERE grp = 3 AND id = $1;
SELECT execute_tells('EXECUTE by_id(1)', '{}');
RESET dbutil.plan_cache_explain;

RESET dbutil.plan_cache;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA plancache_lift CASCADE;
RESET client_min_messages;
