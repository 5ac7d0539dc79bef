-- explain: what changed between two plans. Plans in the formats of several
-- versions, written by hand.
CREATE TEMP TABLE plans (name text PRIMARY KEY, plan jsonb);
INSERT INTO plans VALUES
('13', '[{"Plan": {"Node Type": "Limit", "Parallel Aware": false, "Startup Cost": 0.42, "Total Cost": 90, "Plan Rows": 10, "Plan Width": 8, "Actual Startup Time": 0.1, "Actual Total Time": 20, "Actual Rows": 10, "Actual Loops": 1, "Plans": [
  {"Node Type": "Hash Join", "Parent Relationship": "Outer", "Parallel Aware": false, "Join Type": "Inner", "Startup Cost": 1, "Total Cost": 80, "Plan Rows": 100, "Actual Total Time": 18, "Actual Rows": 10, "Actual Loops": 1, "Inner Unique": true, "Hash Cond": "(o.customer = c.id)", "Plans": [
   {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Parallel Aware": false, "Relation Name": "orders", "Alias": "o", "Total Cost": 50, "Plan Rows": 100, "Actual Total Time": 10, "Actual Rows": 100, "Actual Loops": 1, "Filter": "(id > 10)"},
   {"Node Type": "Hash", "Parent Relationship": "Inner", "Parallel Aware": false, "Total Cost": 20, "Plan Rows": 50, "Actual Total Time": 5, "Actual Rows": 50, "Actual Loops": 1, "Hash Buckets": 1024, "Hash Batches": 1, "Plans": [
    {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "customers", "Alias": "c", "Total Cost": 20, "Plan Rows": 50, "Actual Total Time": 4, "Actual Rows": 50, "Actual Loops": 1}]}]}]},
  "Planning Time": 0.2, "Triggers": [], "Execution Time": 21}]'),
('15: sort and gather', '[{"Plan": {"Node Type": "Limit", "Parallel Aware": false, "Async Capable": false, "Total Cost": 95, "Plan Rows": 10, "Actual Total Time": 25, "Actual Rows": 10, "Actual Loops": 1, "Plans": [
  {"Node Type": "Sort", "Parent Relationship": "Outer", "Async Capable": false, "Total Cost": 94, "Plan Rows": 100, "Actual Total Time": 24, "Actual Rows": 10, "Actual Loops": 1, "Sort Key": ["o.id"], "Plans": [
   {"Node Type": "Gather", "Parent Relationship": "Outer", "Async Capable": false, "Total Cost": 90, "Plan Rows": 100, "Workers Planned": 1, "Workers Launched": 1, "Actual Total Time": 23, "Actual Rows": 100, "Actual Loops": 1, "Plans": [
    {"Node Type": "Hash Join", "Parent Relationship": "Outer", "Parallel Aware": false, "Async Capable": false, "Join Type": "Inner", "Total Cost": 80, "Plan Rows": 50, "Actual Total Time": 18, "Actual Rows": 50, "Actual Loops": 2, "Hash Cond": "(o.customer = c.id)", "Plans": [
     {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Parallel Aware": true, "Async Capable": false, "Relation Name": "orders", "Alias": "o", "Total Cost": 30, "Plan Rows": 50, "Actual Total Time": 10, "Actual Rows": 50, "Actual Loops": 2, "Filter": "(id > 99)"},
     {"Node Type": "Hash", "Parent Relationship": "Inner", "Async Capable": false, "Total Cost": 20, "Plan Rows": 50, "Actual Total Time": 5, "Actual Rows": 50, "Actual Loops": 2, "Plans": [
      {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Async Capable": false, "Relation Name": "customers", "Alias": "c", "Total Cost": 20, "Plan Rows": 50, "Actual Total Time": 4, "Actual Rows": 50, "Actual Loops": 2}]}]}]}]}]}}]'),
('18: nested loop with memoize', '[{"Plan": {"Node Type": "Limit", "Parallel Aware": false, "Async Capable": false, "Total Cost": 60, "Plan Rows": 10, "Actual Total Time": 2, "Actual Rows": 10.00, "Actual Loops": 1, "Disabled": false, "Plans": [
  {"Node Type": "Nested Loop", "Parent Relationship": "Outer", "Join Type": "Inner", "Total Cost": 59, "Plan Rows": 100, "Actual Total Time": 1.8, "Actual Rows": 10.00, "Actual Loops": 1, "Disabled": false, "Inner Unique": true, "Plans": [
   {"Node Type": "Bitmap Heap Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Alias": "o", "Total Cost": 9, "Plan Rows": 100, "Actual Total Time": 0.8, "Actual Rows": 10.00, "Actual Loops": 1, "Disabled": false, "Recheck Cond": "(id > 10)", "Plans": [
    {"Node Type": "Bitmap Index Scan", "Parent Relationship": "Outer", "Index Name": "orders_pkey", "Total Cost": 5, "Plan Rows": 100, "Actual Total Time": 0.3, "Actual Rows": 10.00, "Actual Loops": 1, "Disabled": false, "Index Cond": "(id > 10)", "Index Searches": 1}]},
   {"Node Type": "Memoize", "Parent Relationship": "Inner", "Total Cost": 0.5, "Plan Rows": 1, "Actual Total Time": 0.05, "Actual Rows": 1.00, "Actual Loops": 10, "Disabled": false, "Cache Key": "o.customer", "Plans": [
    {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "customers", "Alias": "c", "Index Name": "customers_pkey", "Total Cost": 0.4, "Plan Rows": 1, "Actual Total Time": 0.04, "Actual Rows": 0.50, "Actual Loops": 8, "Disabled": false, "Index Cond": "(id = o.customer)", "Index Searches": 8}]}]}]}}]'),
('three', '[{"Plan": {"Node Type": "Hash Join", "Join Type": "Inner", "Plans": [
  {"Node Type": "Hash Join", "Parent Relationship": "Outer", "Join Type": "Inner", "Plans": [
   {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a"},
   {"Node Type": "Hash", "Parent Relationship": "Inner", "Plans": [{"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b"}]}]},
  {"Node Type": "Hash", "Parent Relationship": "Inner", "Plans": [{"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "c", "Alias": "c"}]}]}}]'),
('three: another order', '[{"Plan": {"Node Type": "Hash Join", "Join Type": "Left", "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a"},
  {"Node Type": "Hash", "Parent Relationship": "Inner", "Plans": [
   {"Node Type": "Hash Join", "Parent Relationship": "Outer", "Join Type": "Inner", "Plans": [
    {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b"},
    {"Node Type": "Hash", "Parent Relationship": "Inner", "Plans": [{"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "c", "Alias": "c"}]}]}]}]}}]'),
('partitions', '{"Node Type": "Aggregate", "Strategy": "Plain", "Partial Mode": "Simple", "Plans": [{"Node Type": "Hash Join", "Parent Relationship": "Outer", "Join Type": "Inner", "Plans": [
  {"Node Type": "Append", "Parent Relationship": "Outer", "Plans": [
   {"Node Type": "Seq Scan", "Parent Relationship": "Member", "Relation Name": "sales_2023", "Alias": "s_1"},
   {"Node Type": "Seq Scan", "Parent Relationship": "Member", "Relation Name": "sales_2024", "Alias": "s_2"},
   {"Node Type": "Seq Scan", "Parent Relationship": "Member", "Relation Name": "sales_2025", "Alias": "s_3"}]},
  {"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Relation Name": "shops", "Alias": "x"}]}]}'),
('partitions: pruned', '{"Node Type": "Aggregate", "Strategy": "Plain", "Partial Mode": "Simple", "Plans": [{"Node Type": "Hash Join", "Parent Relationship": "Outer", "Join Type": "Inner", "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "sales_2024", "Alias": "s"},
  {"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Relation Name": "shops", "Alias": "x"}]}]}'),
('11: CTE', '{"Node Type": "Aggregate", "Strategy": "Hashed", "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "InitPlan", "Subplan Name": "CTE w", "Relation Name": "t", "Alias": "t"},
  {"Node Type": "Seq Scan", "Parent Relationship": "InitPlan", "Subplan Name": "InitPlan 2 (returns $1)", "Relation Name": "u", "Alias": "u"},
  {"Node Type": "CTE Scan", "Parent Relationship": "Outer", "CTE Name": "w", "Alias": "w"}]}'),
('17: CTE inlined', '{"Node Type": "Aggregate", "Strategy": "Sorted", "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "InitPlan", "Subplan Name": "InitPlan 1", "Relation Name": "u", "Alias": "u"},
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Index Name": "t_a", "Scan Direction": "Forward"}]}');

CREATE FUNCTION pg_temp.changes(x text, y text) RETURNS TABLE (change text, node_a text, node_b text, differences text) LANGUAGE sql AS
	'SELECT d.change, d.node_a, d.node_b, d.differences FROM plans p, plans q, dbutil.compare_plans(p.plan, q.plan) d WHERE p.name = x AND q.name = y';
SELECT * FROM pg_temp.changes('13', '15: sort and gather');
SELECT * FROM pg_temp.changes('13', '18: nested loop with memoize');
SELECT * FROM pg_temp.changes('18: nested loop with memoize', '13');
SELECT * FROM pg_temp.changes('three', 'three: another order');
SELECT * FROM pg_temp.changes('partitions', 'partitions: pruned');
SELECT * FROM pg_temp.changes('11: CTE', '17: CTE inlined');
-- nothing in common
SELECT * FROM pg_temp.changes('three: another order', '17: CTE inlined');
-- a plan and itself; every node of both plans comes once
SELECT name, count(*), count(*) FILTER (WHERE d.change = 'same') AS same FROM plans, dbutil.compare_plans(plan, plan) d GROUP BY name ORDER BY name COLLATE "C";
SELECT count(*) AS pairs, count(*) FILTER (WHERE a_nodes <> seen_a OR b_nodes <> seen_b OR known_a <> seen_a) AS wrong
FROM (SELECT count(d.path_a) AS seen_a, count(d.path_b) AS seen_b, count(DISTINCT d.path_a) AS known_a,
		(SELECT count(*) FROM jsonb_path_query(p.plan, 'strict $.** ? (exists (@."Node Type"))')) AS a_nodes, (SELECT count(*) FROM jsonb_path_query(q.plan, 'strict $.** ? (exists (@."Node Type"))')) AS b_nodes
	FROM plans p, plans q, dbutil.compare_plans(p.plan, q.plan) d GROUP BY p.plan, q.plan) s;
-- figures, of all loops and as waited for; paths
SELECT rows_expected_a, rows_expected_b, rows_a, rows_b, cost_a, cost_b, ms_a, ms_b, path_a, path_b
FROM plans p, plans q, dbutil.compare_plans(p.plan, q.plan) WHERE p.name = '13' AND q.name = '15: sort and gather';

-- real plans, each type of argument
CREATE TABLE cmp_t (a int, b int) WITH (autovacuum_enabled = off);
INSERT INTO cmp_t SELECT i, i FROM generate_series(1, 1000) i;
ANALYZE cmp_t;
CREATE TEMP TABLE real AS SELECT dbutil.analyze_query('SELECT * FROM cmp_t WHERE a = 7') -> 'plan' AS before, NULL::jsonb AS after;
CREATE INDEX cmp_t_a ON cmp_t (a);
UPDATE real SET after = dbutil.analyze_query('SELECT * FROM cmp_t WHERE a = 8', run => true) -> 'plan';
SELECT change, node_a, node_b, differences, rows_a, rows_b, ms_a IS NULL AS planned, ms_b > 0 AS run, cost_a > cost_b AS cheaper FROM real, dbutil.compare_plans(before, after);
SELECT count(*) FROM real, dbutil.compare_plans(before::json, after::json);
SELECT count(*) FROM real, dbutil.compare_plans(before::text, after::text);
DROP TABLE cmp_t;
-- deep and wide plans end soon
SELECT count(*), count(*) FILTER (WHERE change = 'same') AS same FROM dbutil.compare_plans(
	repeat('{"Node Type": "Limit", "Plans": [', 400) || '{"Node Type": "Result"}' || repeat(']}', 400),
	repeat('{"Node Type": "Limit", "Plans": [', 399) || '{"Node Type": "Result"}' || repeat(']}', 399));
SELECT count(*), count(*) FILTER (WHERE change = 'same') AS same FROM
	(SELECT jsonb_build_object('Node Type', 'Append', 'Plans', jsonb_agg(jsonb_build_object('Node Type', 'Seq Scan', 'Relation Name', 'p' || i, 'Alias', 'p_' || i))) AS p FROM generate_series(1, 1000) i) s,
	dbutil.compare_plans(p, p);
-- twenty thousand tables, the other half of them other ones: what is quadratic would take minutes
SET statement_timeout = '20s';
CREATE TEMP TABLE wide AS SELECT n, jsonb_build_object('Node Type', 'Append', 'Plans', (SELECT jsonb_agg(jsonb_build_object('Node Type', 'Seq Scan',
	'Parent Relationship', 'Member', 'Relation Name', 'r' || i, 'Alias', 'r' || i)) FROM generate_series(n, n + 19999) i)) AS plan FROM unnest(ARRAY[1, 10001]) n;
SELECT d.change, count(*) FROM wide a, wide b, dbutil.compare_plans(a.plan, b.plan) d WHERE a.n = 1 AND b.n = 10001 GROUP BY 1 ORDER BY 1;
SELECT d.change, count(*) FROM wide a, wide b, dbutil.compare_plans(replace(a.plan::text, '"r', '"a')::jsonb, replace(b.plan::text, '"r', '"b')::jsonb) d
WHERE a.n = 1 AND b.n = 10001 GROUP BY 1 ORDER BY 1;
RESET statement_timeout;

-- errors
SELECT * FROM dbutil.compare_plans('[]'::jsonb, '{}'::jsonb);
SELECT * FROM dbutil.compare_plans('{"Node Type": "Result"}'::text, 'Seq Scan');
SELECT count(*) FROM dbutil.compare_plans(NULL::jsonb, '{}'::jsonb);
