-- explain: findings over real plans. Only what no version and no cost changes
-- is printed.
SET max_parallel_workers_per_gather = 0;
CREATE TABLE ana_orders (id int PRIMARY KEY, customer int NOT NULL, status text, amount numeric)
	WITH (autovacuum_enabled = off);
INSERT INTO ana_orders SELECT i, i % 2000, CASE WHEN i % 50 = 0 THEN 'open' ELSE 'done' END, i
FROM generate_series(1, 20000) i;
CREATE TABLE ana_items (order_id int, item text) WITH (autovacuum_enabled = off);
INSERT INTO ana_items SELECT i % 20000, 'i' || i FROM generate_series(1, 20000) i;
ANALYZE ana_orders, ana_items;

-- what comes back
SELECT jsonb_object_keys(dbutil.analyze_query('SELECT 1')) ORDER BY 1;
SELECT jsonb_object_keys(dbutil.analyze_query('SELECT 1') -> 'totals') ORDER BY 1;
SELECT r ->> 'query' AS query, jsonb_typeof(r -> 'plan') AS plan, r #>> '{plan,0,Plan,Node Type}' AS node,
	r #> '{totals,executed}' AS executed, r #> '{totals,execution_ms}' AS execution_ms,
	r #> '{totals,nodes}' AS nodes, r #> '{totals,plan_rows}' AS plan_rows, r -> 'findings' AS findings
FROM dbutil.analyze_query('SELECT 1') r;
SELECT r #> '{totals,executed}' AS executed, r #> '{totals,execution_ms}' <> 'null' AS timed,
	r #> '{totals,actual_rows}' AS actual_rows, (r #>> '{totals,shared_blks_hit}')::int > 0 AS hit
FROM dbutil.analyze_query('SELECT * FROM ana_orders', run => true) r;

-- a slow scan: by estimate, by execution
SELECT rule, severity, node_path, node, relation, suggested_sql, proven,
	evidence ->> 'basis' AS basis, evidence ->> 'columns' AS columns
FROM dbutil.findings('SELECT * FROM ana_orders o WHERE customer = $1', '[42]');
SELECT rule, severity, node, suggested_sql, evidence ->> 'basis' AS basis,
	evidence ->> 'rows_kept' AS kept, evidence ->> 'rows_read' AS read, evidence ->> 'removed_percent' AS removed
FROM dbutil.findings('SELECT * FROM ana_orders WHERE customer = :c', '{"c": 42}', run => true);
-- the same findings in both shapes
SELECT (SELECT jsonb_agg(to_jsonb(f) - 'evidence') FROM dbutil.findings(q) f) =
	(SELECT jsonb_agg(f - 'evidence') FROM jsonb_array_elements(dbutil.analyze_query(q) -> 'findings') f) AS same
FROM (VALUES ('SELECT * FROM ana_orders WHERE customer = 42')) v(q);
-- half of the table kept: no finding; a mostly kept column never is one
SELECT rule FROM dbutil.findings('SELECT * FROM ana_orders WHERE id > 10000 AND customer >= 0', run => true);

-- which index: equality first, then one range; of the table's own columns and
-- operators of a btree only
CREATE FUNCTION ana_index(query text, params jsonb DEFAULT NULL) RETURNS TABLE (columns text, suggested_sql text)
LANGUAGE sql AS $$
	SELECT evidence ->> 'columns', f.suggested_sql FROM dbutil.findings(query, params) f WHERE rule = 'slow_scan'
$$;
SELECT * FROM ana_index('SELECT * FROM ana_orders WHERE amount > 19990 AND status = ''open'' AND customer = 7');
SELECT * FROM ana_index('SELECT * FROM ana_orders WHERE 7 = customer AND amount < 100 AND amount > 10');
SELECT * FROM ana_index('SELECT * FROM ana_orders WHERE customer IN (1, 2, 3)');
SELECT * FROM ana_index('SELECT * FROM ana_orders WHERE customer = (SELECT max(order_id) FROM ana_items)');
SELECT * FROM ana_index('SELECT * FROM ana_orders WHERE abs(customer) = 7');
SELECT * FROM ana_index('SELECT * FROM ana_orders WHERE status LIKE ''op%x''');
SELECT * FROM ana_index('SELECT * FROM ana_orders WHERE customer = 7 AND (status = ''x'' OR amount = 3)');
SELECT * FROM ana_index('SELECT * FROM ana_orders WHERE status = ''none'' COLLATE "C"');
SELECT * FROM ana_index('SELECT * FROM ana_orders WHERE customer = amount AND customer = 3');
-- names that need quotes
CREATE TABLE "Ana Odd" ("The Key" int, "x""y" int) WITH (autovacuum_enabled = off);
INSERT INTO "Ana Odd" SELECT i, i FROM generate_series(1, 20000) i;
ANALYZE "Ana Odd";
SELECT * FROM ana_index('SELECT * FROM "Ana Odd" WHERE "x""y" = 1 AND "The Key" = 1');
-- two scans of one table are told apart
SELECT f.node, f.suggested_sql FROM dbutil.findings(
	'SELECT * FROM ana_orders a, ana_orders b WHERE a.customer = 1 AND b.status = ''none''') f
WHERE rule = 'slow_scan' ORDER BY 1;
-- an index that exists is not suggested
SET enable_indexscan = off;
SET enable_bitmapscan = off;
CREATE INDEX ana_orders_customer ON ana_orders (customer);
SELECT f.suggested_sql, f.advice LIKE '%exists%' AS tells FROM dbutil.findings('SELECT * FROM ana_orders WHERE customer = 42') f;
-- one that cannot serve, by its access method, collation or operator class, does not count
DROP INDEX ana_orders_customer;
CREATE INDEX ana_orders_brin ON ana_orders USING brin (customer);
CREATE INDEX ana_orders_posix ON ana_orders (status COLLATE "POSIX");
CREATE INDEX ana_orders_pattern ON ana_orders (status text_pattern_ops);
SELECT f.suggested_sql, f.advice LIKE '%exists%' AS tells FROM dbutil.findings('SELECT * FROM ana_orders WHERE customer = 42') f;
SELECT f.suggested_sql, f.advice LIKE '%exists%' AS tells FROM dbutil.findings('SELECT * FROM ana_orders WHERE status > ''zz''') f;
SELECT f.suggested_sql, f.advice LIKE '%exists%' AS tells FROM dbutil.findings('SELECT * FROM ana_orders WHERE status = ''none''') f;
DROP INDEX ana_orders_brin, ana_orders_posix, ana_orders_pattern;
CREATE INDEX ana_orders_hash ON ana_orders USING hash (customer);
SELECT f.suggested_sql, f.advice LIKE '%exists%' AS tells FROM dbutil.findings('SELECT * FROM ana_orders WHERE customer = 42') f;
SELECT f.suggested_sql, f.advice LIKE '%exists%' AS tells FROM dbutil.findings('SELECT * FROM ana_orders WHERE customer < 2') f;
DROP INDEX ana_orders_hash;
CREATE INDEX ana_orders_customer ON ana_orders (customer);
RESET enable_indexscan;
RESET enable_bitmapscan;
-- and with it there is nothing to find
SELECT count(*) FROM dbutil.findings('SELECT * FROM ana_orders WHERE customer = 42', run => true);
DROP INDEX ana_orders_customer;
-- a column that has an index, wrapped: by a cast, a function, a calculation
CREATE FUNCTION ana_wrapped(query text, run boolean DEFAULT false) RETURNS TABLE (severity text, wrapped text, index text)
LANGUAGE sql AS $$
	SELECT f.severity, f.evidence ->> 'column', f.evidence ->> 'index' FROM dbutil.findings(query, run => run) f WHERE rule = 'wrapped_column'
$$;
SELECT * FROM ana_wrapped('SELECT * FROM ana_orders WHERE id::text = ''7''');
SELECT * FROM ana_wrapped('SELECT * FROM ana_orders WHERE 7 = abs(id)', true);
SELECT * FROM ana_wrapped('SELECT * FROM ana_orders WHERE id + 1 < 8 AND status = ''x''', true);
-- silent: not wrapped, no index on the column, most rows kept, no order or equality, two columns
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT * FROM ana_wrapped('SELECT * FROM ana_orders WHERE id = 7');
SELECT * FROM ana_wrapped('SELECT * FROM ana_orders WHERE abs(customer) = 7');
SELECT * FROM ana_wrapped('SELECT * FROM ana_orders WHERE abs(id) > 7', true);
SELECT * FROM ana_wrapped('SELECT * FROM ana_orders WHERE id::text LIKE ''%777''');
SELECT * FROM ana_wrapped('SELECT * FROM ana_orders WHERE id + customer = 7');
-- nor where the expression has an index of its own
CREATE INDEX ana_orders_abs ON ana_orders (abs(id));
SELECT * FROM ana_wrapped('SELECT * FROM ana_orders WHERE abs(id) = 7');
DROP INDEX ana_orders_abs;
RESET enable_indexscan;
RESET enable_bitmapscan;
DROP FUNCTION ana_wrapped(text, boolean);
-- never analyzed: the size is not known, so there is no verdict
CREATE TABLE ana_new (a int) WITH (autovacuum_enabled = off);
INSERT INTO ana_new SELECT generate_series(1, 20000);
SELECT count(*) FROM dbutil.findings('SELECT * FROM ana_new WHERE a = 1');

-- an estimate that is wrong: two columns that depend on each other
CREATE TABLE ana_corr (a int, b int, c int) WITH (autovacuum_enabled = off);
INSERT INTO ana_corr SELECT i % 20, i % 20, i % 20 FROM generate_series(1, 20000) i;
ANALYZE ana_corr;
SELECT severity, node, suggested_sql, evidence ->> 'rows_actual' AS actual
FROM dbutil.findings('SELECT * FROM ana_corr WHERE a = 1 AND b = 1 AND c = 1', run => true) WHERE rule = 'row_misestimate';
SELECT count(*) FROM dbutil.findings('SELECT * FROM ana_corr WHERE a = 1', run => true) WHERE rule = 'row_misestimate';

-- memory
SET work_mem = '64kB';
SELECT rule, node FROM dbutil.findings('SELECT *, repeat(''x'', 100) FROM ana_items ORDER BY item', run => true) WHERE rule <> 'dominant_node';
SET enable_mergejoin = off;
SET hash_mem_multiplier = 1;
SELECT DISTINCT rule, node FROM dbutil.findings('SELECT * FROM ana_items JOIN ana_orders ON id = order_id', run => true) WHERE rule = 'hash_batches';
SET enable_sort = off;
SELECT rule FROM dbutil.findings('SELECT rpad(item, 100), count(*) FROM ana_items GROUP BY 1', run => true) WHERE rule = 'hash_aggregate_spill';
RESET work_mem;
RESET hash_mem_multiplier;
RESET enable_sort;
RESET enable_mergejoin;
SELECT rule FROM dbutil.findings('SELECT * FROM ana_items JOIN ana_orders ON id = order_id ORDER BY item', run => true) WHERE rule <> 'dominant_node';

-- joins
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SET enable_memoize = off;
SELECT rule, severity, relation, evidence ->> 'inner_node' AS inner_node
FROM dbutil.findings('SELECT * FROM (SELECT * FROM ana_orders WHERE id < 2000) o JOIN ana_items i ON o.customer = i.order_id')
WHERE rule = 'nested_loop';
SELECT rule FROM dbutil.findings('SELECT * FROM ana_items i JOIN ana_orders o ON o.id = i.order_id', run => true) WHERE rule <> 'dominant_node';
SELECT rule, evidence -> 'pairs' AS pairs FROM dbutil.findings(
	'SELECT * FROM (SELECT * FROM ana_orders LIMIT 200) a, (SELECT * FROM ana_items LIMIT 100) b', run => true) WHERE rule <> 'dominant_node';
SELECT rule, evidence ->> 'removed_percent' AS removed FROM dbutil.findings(
	'SELECT * FROM (SELECT * FROM ana_orders LIMIT 200) a JOIN (SELECT * FROM ana_items LIMIT 100) b ON a.id = b.order_id', run => true) WHERE rule <> 'dominant_node';
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;
RESET enable_memoize;
SELECT rule FROM dbutil.findings(
	'SELECT id, (SELECT count(*) FROM generate_series(1, o.id % 2 + 500)) FROM ana_orders o WHERE id <= 1500', run => true)
WHERE rule = 'subplan_per_row';

-- paging, index-only scans
SELECT rule, evidence FROM dbutil.findings('SELECT * FROM ana_orders ORDER BY id OFFSET 5000 LIMIT 10', run => true);
SELECT rule FROM dbutil.findings('SELECT * FROM ana_orders WHERE id > 5000 ORDER BY id LIMIT 10', run => true);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT rule, evidence, suggested_sql FROM dbutil.findings('SELECT id FROM ana_orders WHERE id < 5000', run => true);
VACUUM ana_orders;
SELECT rule FROM dbutil.findings('SELECT id FROM ana_orders WHERE id < 5000', run => true);
RESET enable_seqscan;
RESET enable_bitmapscan;

-- writes, CTEs, rules, views, partitions
SELECT rule, node FROM dbutil.findings('UPDATE ana_orders SET status = ''x'' WHERE customer = 42', run => true);
SELECT rule, node FROM dbutil.findings('WITH d AS (DELETE FROM ana_orders WHERE customer = 42 RETURNING *) SELECT count(*) FROM d', run => true);
SELECT r #>> '{plan,0,Plan,Node Type}' AS node, r #> '{totals,actual_rows}' AS actual_rows
FROM dbutil.analyze_query('VALUES (1), (2)', run => true) r;
SELECT r #>> '{plan,0,Plan,Operation}' AS operation FROM dbutil.analyze_query(
	'MERGE INTO ana_new USING (VALUES (1)) v(x) ON a = x WHEN MATCHED THEN DELETE', run => true) r;
CREATE VIEW ana_view AS SELECT * FROM ana_orders WHERE status = 'none';
SELECT rule, node FROM dbutil.findings('TABLE ana_view');
CREATE TABLE ana_log (a int);
CREATE RULE ana_rule AS ON INSERT TO ana_new DO ALSO INSERT INTO ana_log SELECT 1 FROM ana_orders WHERE customer = 42;
SELECT jsonb_array_length(r -> 'plan') AS plans, r #> '{totals,nodes}' > '2' AS all_counted FROM dbutil.analyze_query('INSERT INTO ana_new VALUES (1)') r;
SELECT dbutil.analyze_query('INSERT INTO ana_new VALUES (1)', run => true);
DROP RULE ana_rule ON ana_new;
CREATE RULE ana_rule AS ON INSERT TO ana_new DO INSTEAD NOTHING;
SELECT dbutil.analyze_query('INSERT INTO ana_new VALUES (1)');
DROP RULE ana_rule ON ana_new;
CREATE RULE ana_rule AS ON INSERT TO ana_new DO ALSO NOTIFY ana;
SELECT dbutil.analyze_query('INSERT INTO ana_new VALUES (1)');
CREATE TABLE ana_part (k int, v int) PARTITION BY LIST (k);
CREATE TABLE ana_part_1 PARTITION OF ana_part FOR VALUES IN (1) WITH (autovacuum_enabled = off);
CREATE TABLE ana_part_2 PARTITION OF ana_part FOR VALUES IN (2);
INSERT INTO ana_part SELECT 1, i FROM generate_series(1, 20000) i;
ANALYZE ana_part;
SELECT node, suggested_sql FROM dbutil.findings('SELECT * FROM ana_part WHERE v = 7') WHERE rule = 'slow_scan';

-- findings over one's own EXPLAIN
DO $$
DECLARE
	p json;
	rules text;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM ana_orders WHERE customer = 42' INTO p;
	SELECT string_agg(rule || ' ' || node, ', ') INTO rules FROM dbutil.explain_findings(p);
	RAISE NOTICE '%', rules;
END $$;

RESET max_parallel_workers_per_gather;
DROP FUNCTION ana_index(text, jsonb);
DROP VIEW ana_view;
DROP TABLE ana_orders, ana_items, "Ana Odd", ana_new, ana_corr, ana_log, ana_part;
