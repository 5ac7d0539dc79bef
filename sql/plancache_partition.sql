--
-- partitioned tables: where WHERE says which partition, one plan for each
--
CREATE SCHEMA parts;
SET search_path = parts, public;
SELECT dbutil.plan_cache_reset() >= 0 AS done;

CREATE TABLE by_range (k bigint, v int, t text, PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE range_1 PARTITION OF by_range FOR VALUES FROM (MINVALUE) TO (10);
CREATE TABLE range_2 PARTITION OF by_range FOR VALUES FROM (10) TO (20);
-- other columns at the same places, the same at others
CREATE TABLE range_3 (t text, k bigint NOT NULL, v int);
ALTER TABLE by_range ATTACH PARTITION range_3 FOR VALUES FROM (20) TO (30);
CREATE TABLE range_rest PARTITION OF by_range DEFAULT;
INSERT INTO by_range SELECT i, i % 3, 't' || i FROM generate_series(-2, 39) i;

CREATE TABLE by_list (k text COLLATE "C", v int) PARTITION BY LIST (k);
CREATE TABLE list_ab PARTITION OF by_list FOR VALUES IN ('a', 'b');
CREATE TABLE list_c PARTITION OF by_list FOR VALUES IN ('c');
CREATE TABLE list_null PARTITION OF by_list FOR VALUES IN (NULL);
INSERT INTO by_list SELECT (ARRAY['a', 'b', 'c', NULL])[1 + i % 4], i FROM generate_series(1, 16) i;

CREATE TABLE by_hash (k int, v int) PARTITION BY HASH (k);
SELECT format('CREATE TABLE hash_%s PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER %s)', i, i) FROM generate_series(0, 2) i \gexec
INSERT INTO by_hash SELECT i % 10, i FROM generate_series(1, 40) i;

CREATE TABLE nested (k int, l int, v int) PARTITION BY RANGE (k);
CREATE TABLE nested_1 PARTITION OF nested FOR VALUES FROM (0) TO (10) PARTITION BY LIST (l);
CREATE TABLE nested_11 PARTITION OF nested_1 FOR VALUES IN (1);
CREATE TABLE nested_12 PARTITION OF nested_1 FOR VALUES IN (2);
CREATE TABLE nested_2 PARTITION OF nested FOR VALUES FROM (10) TO (20);
INSERT INTO nested SELECT i, 1 + i % 2, i FROM generate_series(0, 19) i;
CREATE TABLE plain (id int, v int);
INSERT INTO plain SELECT i, i % 3 FROM generate_series(1, 12) i;
CREATE VIEW seen AS SELECT k, v, t FROM by_range WHERE v >= 0;
ANALYZE by_range, by_list, by_hash, nested, plain;

CREATE FUNCTION answer(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r record;
	rows text[] := '{}';
BEGIN
	FOR r IN EXECUTE query LOOP
		rows := rows || r::text;
	END LOOP;
	-- what the statement wrote is undone with this
	RAISE EXCEPTION '%', (SELECT string_agg(x, ' ' ORDER BY x) FROM unnest(rows) x);
EXCEPTION WHEN others THEN
	RETURN SQLERRM;
END $$;

-- the statement with each literal in turn, planned and served: is it the same?
CREATE FUNCTION compared(query text, literals text[], OUT level text, OUT same boolean, OUT served boolean)
LANGUAGE plpgsql AS $$
DECLARE
	literal text;
	planned text;
BEGIN
	same := true;
	served := false;
	PERFORM dbutil.plan_cache_reset();
	FOREACH literal IN ARRAY literals || literals LOOP
		SET LOCAL dbutil.plan_cache = off;
		planned := answer(format(query, literal));
		SET LOCAL dbutil.plan_cache = force;
		same := same AND planned IS NOT DISTINCT FROM answer(format(query, literal));
	END LOOP;
	SELECT w.level INTO level FROM dbutil.plan_cache_why(format(query, literals[1])) w;
	SELECT total > 0 INTO served FROM dbutil.plan_cache_stats WHERE event = 'generic';
END $$;

SELECT q AS "by_range with 1, 5, 12, 15, 22, 29, 33, 99", level, same, served
FROM (VALUES
	('SELECT v, t FROM by_range WHERE k = %s'),
	('SELECT tableoid::regclass, t FROM by_range x WHERE %s = x.k AND v < 2'),
	('SELECT t FROM by_range WHERE k = %s::bigint'),
	('SELECT t FROM by_range WHERE k = %s::smallint'),
	('SELECT t FROM by_range WHERE k = %s::numeric'),
	('SELECT t FROM by_range WHERE k = %1$s OR k = 7'),
	('SELECT t FROM by_range WHERE NOT (k = %s)'),
	('SELECT count(*) FROM by_range WHERE k <> %s'),
	('SELECT t FROM by_range WHERE k = %s AND k = 5'),
	('SELECT b FROM by_range b WHERE k = %s'),
	('SELECT (b).t FROM by_range b WHERE k = %s'),
	('SELECT t FROM by_range WHERE k = %s FOR UPDATE'),
	('SELECT t FROM ONLY by_range WHERE k = %s'),
	('SELECT a.t, b.t FROM by_range a JOIN by_range b ON a.k = b.k WHERE a.k = %s'),
	('SELECT a.t, b.t FROM by_range a, by_range b WHERE a.k = %1$s AND b.k = %1$s'),
	('SELECT a.t, b.t FROM by_range a, range_1 b WHERE a.k = %s AND b.k = 1'),
	('SELECT p.id, b.t FROM plain p LEFT JOIN by_range b ON b.v = p.v AND b.k = %s'),
	('SELECT p.id, b.t FROM plain p LEFT JOIN by_range b ON b.v = p.v WHERE b.k = %s'),
	('SELECT b.t, p.id FROM by_range b LEFT JOIN plain p ON p.id = b.v AND b.k = %s'),
	('SELECT p.id, b.t FROM plain p JOIN by_range b ON b.k = %s AND p.v = b.v'),
	('SELECT p.id, b.t FROM plain p FULL JOIN by_range b ON p.id = b.k WHERE b.k = %s'),
	('SELECT id FROM plain WHERE EXISTS (SELECT FROM by_range b WHERE b.k = %s AND b.v = plain.v)'),
	('SELECT id FROM plain WHERE id NOT IN (SELECT v FROM by_range b WHERE b.k = %s)'),
	('SELECT t FROM seen WHERE k = %s'),
	('SELECT s.t FROM (SELECT * FROM by_range WHERE k = %s) s'),
	('WITH w AS MATERIALIZED (SELECT v, t FROM by_range WHERE k = %s) SELECT * FROM w UNION ALL SELECT * FROM w'),
	('SELECT v FROM by_range WHERE k = %s UNION SELECT id FROM plain'),
	('SELECT v, count(*) FROM by_range WHERE k = %s GROUP BY v'),
	('UPDATE by_range SET v = v + 1 WHERE k = %s RETURNING t, v'),
	('UPDATE plain SET v = b.v FROM by_range b WHERE b.k = %s AND b.k = id RETURNING id, b.t'),
	('DELETE FROM by_range WHERE k = %s RETURNING t'))
	AS queries (q), compared(q, '{1,5,12,15,22,29,33,99}');

SELECT answer('SELECT v, t FROM by_range WHERE k = 22');
SET dbutil.plan_cache = force;
SELECT v, t FROM by_range WHERE k = 23;
SELECT v, t FROM by_range WHERE k = 34;
SELECT state, reason, query ~ 'range_3' AS partition FROM dbutil.plan_cache WHERE query ~ 'SELECT v, *t' OR reason = 'partition_layout' ORDER BY 1, 2;
RESET dbutil.plan_cache;
SELECT q AS "by_list with a, b, c, d", level, same, served
FROM (VALUES ('SELECT v FROM by_list WHERE k = ''%s'''),
	('SELECT v FROM by_list WHERE k = ''%s'' COLLATE "POSIX"'),
	('SELECT v FROM by_list WHERE k = ''%s''::varchar'),
	('SELECT v FROM by_list WHERE k IS NULL AND v <> ascii(''%s'')')) AS queries (q), compared(q, '{a,b,c,d}');
SELECT q AS "by_hash with 0, 1, 2, 3, 4, 77", level, same, served
FROM (VALUES ('SELECT v FROM by_hash WHERE k = %s'),
	('SELECT v FROM by_hash WHERE k = %s::bigint'),
	('SELECT a.v, b.v FROM by_hash a JOIN by_hash b USING (k) WHERE a.k = %1$s AND b.k = %1$s')) AS queries (q), compared(q, '{0,1,2,3,4,77}');
SELECT q AS "nested with 3, 5, 12, 15", level, same, served
FROM (VALUES ('SELECT v FROM nested WHERE k = %s'),
	('SELECT v FROM nested WHERE k = %s AND l = 1')) AS queries (q), compared(q, '{3,5,12,15}');

-- EXPLAIN shows what it would show
SET dbutil.plan_cache = off;
EXPLAIN (COSTS OFF) SELECT t FROM by_range WHERE k = 3;
EXPLAIN (COSTS OFF) SELECT b.t FROM by_range b JOIN plain ON id = b.v WHERE k = 3;
SET dbutil.plan_cache = force;
SELECT t FROM by_range WHERE k = 4;
SELECT b.t FROM by_range b JOIN plain ON id = b.v WHERE k = 4;
EXPLAIN (COSTS OFF) SELECT t FROM by_range WHERE k = 3;
EXPLAIN (COSTS OFF) SELECT b.t FROM by_range b JOIN plain ON id = b.v WHERE k = 3;

-- privileges are those of the table that is named
CREATE ROLE regress_parts_table;
CREATE ROLE regress_parts_leaf;
GRANT USAGE ON SCHEMA parts TO regress_parts_table, regress_parts_leaf;
GRANT SELECT (k, t) ON by_range TO regress_parts_table;
GRANT SELECT ON range_1 TO regress_parts_leaf;
ALTER TABLE range_1 ENABLE ROW LEVEL SECURITY;
SET ROLE regress_parts_table;
SELECT t FROM by_range WHERE k = 4;
SELECT t FROM by_range WHERE k = 6;
SELECT v FROM by_range WHERE k = 4;
SELECT v FROM by_range WHERE k = 6;
SELECT t FROM range_1 WHERE k = 6;
SET ROLE regress_parts_leaf;
SELECT t FROM by_range WHERE k = 4;
SELECT t FROM by_range WHERE k = 6;
RESET ROLE;
SELECT t FROM by_range WHERE k = 6;
REVOKE SELECT (k, t) ON by_range FROM regress_parts_table;
SET ROLE regress_parts_table;
SELECT t FROM by_range WHERE k = 4;
RESET ROLE;
ALTER TABLE range_1 DISABLE ROW LEVEL SECURITY;

-- bounds move
SELECT t FROM by_range WHERE k = 12;
SELECT t FROM by_range WHERE k = 13;
BEGIN;
ALTER TABLE by_range DETACH PARTITION range_2;
SELECT t FROM by_range WHERE k = 12;
SELECT t FROM by_range WHERE k = 13;
ROLLBACK;
SELECT t FROM by_range WHERE k = 12;
ALTER TABLE by_range DETACH PARTITION range_2;
SELECT t FROM by_range WHERE k = 12;
CREATE TABLE range_2a PARTITION OF by_range FOR VALUES FROM (10) TO (13);
CREATE TABLE range_2b PARTITION OF by_range FOR VALUES FROM (13) TO (20);
INSERT INTO by_range SELECT k, v, 'new ' || t FROM range_2;
SELECT t FROM by_range WHERE k = 12;
SELECT t FROM by_range WHERE k = 13;
SELECT t FROM by_range WHERE k = 14;
EXPLAIN (COSTS OFF) SELECT t FROM by_range WHERE k = 15;

-- bound parameters
SET dbutil.plan_cache = auto;
SET plan_cache_mode = force_custom_plan;
SELECT dbutil.plan_cache_reset() > 0 AS had_entries;
PREPARE named(bigint) AS SELECT tableoid::regclass, t FROM by_range WHERE k = $1;
EXECUTE named(1);
EXECUTE named(2);
EXECUTE named(3);
EXECUTE named(14);
EXECUTE named(15);
EXECUTE named(16);
EXECUTE named(22);
EXECUTE named(NULL);
SELECT event, total FROM dbutil.plan_cache_stats WHERE event IN ('generic', 'partition_layout');
SELECT level, hits FROM dbutil.plan_cache WHERE query ~ 'range_' AND hits > 0 ORDER BY hits;
DEALLOCATE named;

RESET plan_cache_mode;
RESET dbutil.plan_cache;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA parts CASCADE;
DROP ROLE regress_parts_table, regress_parts_leaf;
