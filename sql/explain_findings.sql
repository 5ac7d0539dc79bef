-- explain: each rule fires at its trigger and is silent just below it, over
-- plans that are written by hand, as JSON from any server
CREATE TEMP TABLE fixture (name text, plan jsonb);

INSERT INTO fixture VALUES
('slow_scan: 95 % removed', '[{"Plan": {"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "orders", "Alias": "o", "Plan Rows": 1000,
  "Actual Rows": 1000, "Actual Loops": 1, "Filter": "(o.customer = 42)", "Rows Removed by Filter": 19000}, "Execution Time": 10}]'),
('slow_scan: 60 % removed', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "orders", "Plan Rows": 8000,
  "Actual Rows": 8000, "Actual Loops": 1, "Filter": "(customer = 42)", "Rows Removed by Filter": 12000}}]'),
('slow_scan: silent, 50 % removed', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "orders", "Plan Rows": 10000,
  "Actual Rows": 10000, "Actual Loops": 1, "Filter": "(customer = 42)", "Rows Removed by Filter": 10000}}]'),
('slow_scan: silent, small table', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "orders", "Plan Rows": 1,
  "Actual Rows": 1, "Actual Loops": 1, "Filter": "(customer = 42)", "Rows Removed by Filter": 9998}}]'),
('slow_scan: small table, many loops', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "orders", "Plan Rows": 1,
  "Actual Rows": 1, "Actual Loops": 100, "Filter": "(customer = 42)", "Rows Removed by Filter": 999}}]'),
('slow_scan: silent, never executed', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "orders", "Plan Rows": 1,
  "Actual Rows": 0, "Actual Loops": 0, "Filter": "(customer = 42)"}}]'),
('slow_scan: silent, size of the table unknown', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "orders", "Plan Rows": 1, "Filter": "(customer = 42)"}}]'),
('inefficient_index: 95 % removed', '[{"Plan": {"Node Type": "Index Scan", "Index Name": "orders_status", "Relation Name": "orders", "Alias": "orders", "Plan Rows": 1000,
  "Actual Rows": 1000, "Actual Loops": 1, "Index Cond": "(status = 1)", "Filter": "(customer = 42)", "Rows Removed by Filter": 19000}}]'),
('inefficient_index: silent, 50 % removed', '[{"Plan": {"Node Type": "Index Scan", "Index Name": "orders_status", "Relation Name": "orders", "Alias": "orders", "Plan Rows": 10000,
  "Actual Rows": 10000, "Actual Loops": 1, "Index Cond": "(status = 1)", "Filter": "(customer = 42)", "Rows Removed by Filter": 10000}}]'),
('lossy_bitmap: half of the blocks', '[{"Plan": {"Node Type": "Bitmap Heap Scan", "Relation Name": "orders", "Alias": "orders", "Plan Rows": 100,
  "Actual Rows": 100, "Actual Loops": 1, "Exact Heap Blocks": 100, "Lossy Heap Blocks": 100}}]'),
('lossy_bitmap: silent, 5 %', '[{"Plan": {"Node Type": "Bitmap Heap Scan", "Relation Name": "orders", "Alias": "orders", "Plan Rows": 100,
  "Actual Rows": 100, "Actual Loops": 1, "Exact Heap Blocks": 1000, "Lossy Heap Blocks": 50}}]'),
('heap_fetches: every row', '[{"Plan": {"Node Type": "Index Only Scan", "Index Name": "orders_pkey", "Relation Name": "orders", "Alias": "orders", "Plan Rows": 5000,
  "Actual Rows": 5000, "Actual Loops": 1, "Heap Fetches": 5000}}]'),
('heap_fetches: silent, 10 %', '[{"Plan": {"Node Type": "Index Only Scan", "Index Name": "orders_pkey", "Relation Name": "orders", "Alias": "orders", "Plan Rows": 50000,
  "Actual Rows": 50000, "Actual Loops": 1, "Heap Fetches": 5000}}]'),
('large_offset: 2000 for 10', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Plan Rows": 9000, "Actual Rows": 2010, "Actual Loops": 1}]}}]'),
('large_offset: silent, 900 for 10', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Plan Rows": 9000, "Actual Rows": 910, "Actual Loops": 1}]}}]');

INSERT INTO fixture VALUES
('row_misestimate: 10x', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "t", "Alias": "t", "Plan Rows": 100, "Actual Rows": 1000, "Actual Loops": 1}}]'),
('row_misestimate: 100x', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "t", "Alias": "t", "Plan Rows": 100, "Actual Rows": 10000, "Actual Loops": 1}}]'),
('row_misestimate: 1000x', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "t", "Alias": "t", "Plan Rows": 1, "Actual Rows": 1000, "Actual Loops": 1}}]'),
('row_misestimate: 100x too many', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "t", "Alias": "t", "Plan Rows": 10000, "Actual Rows": 100.00, "Actual Loops": 1}}]'),
('row_misestimate: silent, 9x', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "t", "Alias": "t", "Plan Rows": 1000, "Actual Rows": 9000, "Actual Loops": 1}}]'),
('row_misestimate: silent, few rows', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "t", "Alias": "t", "Plan Rows": 1, "Actual Rows": 900, "Actual Loops": 1}}]'),
('row_misestimate: silent, stopped by LIMIT', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Plan Rows": 100000, "Actual Rows": 10, "Actual Loops": 1}]}}]'),
('row_misestimate: below a sort LIMIT does not excuse', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [
  {"Node Type": "Sort", "Parent Relationship": "Outer", "Plan Rows": 100000, "Actual Rows": 10, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Plan Rows": 100000, "Actual Rows": 10, "Actual Loops": 1}]}]}}]'),
('row_misestimate: only where it begins', '[{"Plan": {"Node Type": "Hash Join", "Join Type": "Inner", "Plan Rows": 10, "Actual Rows": 10000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 10000, "Actual Rows": 10000, "Actual Loops": 1},
  {"Node Type": "Hash", "Parent Relationship": "Inner", "Plan Rows": 10, "Actual Rows": 10000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b", "Plan Rows": 10, "Actual Rows": 10000, "Actual Loops": 1}]}]}}]'),
('row_misestimate: silent, other side of a hash join with nothing in it', '[{"Plan": {"Node Type": "Hash Join", "Join Type": "Inner", "Plan Rows": 10, "Actual Rows": 0, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 10000, "Actual Rows": 1, "Actual Loops": 1},
  {"Node Type": "Hash", "Parent Relationship": "Inner", "Plan Rows": 10, "Actual Rows": 0, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b", "Plan Rows": 10, "Actual Rows": 0, "Actual Loops": 1}]}]}}]'),
('nested_loop: whole table 1000 times', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Join Filter": "(a.id = b.id)", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1},
  {"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Relation Name": "b", "Alias": "b", "Plan Rows": 100, "Actual Rows": 100, "Actual Loops": 1000}]}}]'),
('nested_loop: silent, 999 times', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Join Filter": "(a.id = b.id)", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 999, "Actual Rows": 999, "Actual Loops": 1},
  {"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Relation Name": "b", "Alias": "b", "Plan Rows": 300, "Actual Rows": 300, "Actual Loops": 999}]}}]'),
('nested_loop: silent, tiny table', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Join Filter": "(a.id = b.id)", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1},
  {"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Relation Name": "b", "Alias": "b", "Plan Rows": 99, "Actual Rows": 99, "Actual Loops": 1000}]}}]'),
('nested_loop: silent, index look-ups', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 5000, "Actual Rows": 5000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 5000, "Actual Rows": 5000, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Index Name": "b_pkey", "Relation Name": "b", "Alias": "b", "Index Cond": "(b.id = a.id)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 5000}]}}]'),
('nested_loop: index look-ups for rows nobody expected', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 5, "Actual Rows": 5000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 5, "Actual Rows": 5000, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Index Name": "b_pkey", "Relation Name": "b", "Alias": "b", "Index Cond": "(b.id = a.id)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 5000}]}}]'),
('nested_loop: by estimate', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Left", "Join Filter": "(a.id = b.id)", "Plan Rows": 1000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000},
  {"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Relation Name": "b", "Alias": "b", "Plan Rows": 100}]}}]'),
('join_filter: 95 % removed', '[{"Plan": {"Node Type": "Merge Join", "Join Type": "Inner", "Join Filter": "(a.x < b.x)", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Rows Removed by Join Filter": 19000}}]'),
('join_filter: silent, 90 % removed', '[{"Plan": {"Node Type": "Merge Join", "Join Type": "Inner", "Join Filter": "(a.x < b.x)", "Plan Rows": 2000, "Actual Rows": 2000, "Actual Loops": 1, "Rows Removed by Join Filter": 18000}}]'),
('cartesian_product: 200 x 100', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 20000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 200, "Output": ["a.id"]},
  {"Node Type": "Materialize", "Parent Relationship": "Inner", "Plan Rows": 100, "Output": ["data.id"], "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "data", "Alias": "data", "Plan Rows": 100, "Output": ["data.id"]}]}]}}]'),
('cartesian_product: silent, inner side refers to outer', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 20000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 200},
  {"Node Type": "Bitmap Heap Scan", "Parent Relationship": "Inner", "Relation Name": "b", "Alias": "b", "Plan Rows": 100, "Recheck Cond": "(b.id = a.id)"}]}}]'),
('cartesian_product: silent, join filter', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Join Filter": "(a.x < b.x)", "Plan Rows": 20000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 200},
  {"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Relation Name": "b", "Alias": "b", "Plan Rows": 100}]}}]'),
('cartesian_product: silent, with a single row', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 20000, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 1},
  {"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Relation Name": "b", "Alias": "b", "Plan Rows": 20000}]}}]'),
('subplan_per_row: 1000 times', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Aggregate", "Strategy": "Plain", "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1000}]}}]'),
('subplan_per_row: 10000 times', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "a", "Alias": "a", "Plan Rows": 10000, "Actual Rows": 10000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Aggregate", "Strategy": "Plain", "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 10000}]}}]'),
('subplan_per_row: silent, hashed once', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1", "Relation Name": "b", "Alias": "b", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1}]}}]');

INSERT INTO fixture VALUES
('disk_sort: on disk', '[{"Plan": {"Node Type": "Sort", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Sort Method": "external merge", "Sort Space Used": 9000, "Sort Space Type": "Disk"}}]'),
('disk_sort: in a worker', '[{"Plan": {"Node Type": "Sort", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 2, "Sort Space Used": 90, "Sort Space Type": "Memory",
  "Workers": [{"Worker Number": 0, "Sort Method": "external merge", "Sort Space Used": 9000, "Sort Space Type": "Disk"}]}}]'),
('disk_sort: incremental', '[{"Plan": {"Node Type": "Incremental Sort", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1,
  "Full-sort Groups": {"Group Count": 1, "Sort Methods Used": ["quicksort"], "Sort Space Memory": {"Average Sort Space Used": 30, "Peak Sort Space Used": 30}},
  "Pre-sorted Groups": {"Group Count": 1, "Sort Methods Used": ["external merge"], "Sort Space Disk": {"Average Sort Space Used": 5000, "Peak Sort Space Used": 7000}}}}]'),
('disk_sort: silent, in memory', '[{"Plan": {"Node Type": "Sort", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Sort Method": "quicksort", "Sort Space Used": 9000, "Sort Space Type": "Memory"}}]'),
('hash_batches: 4', '[{"Plan": {"Node Type": "Hash", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Hash Buckets": 1024, "Hash Batches": 4, "Original Hash Batches": 1, "Peak Memory Usage": 4096}}]'),
('hash_batches: silent, 1', '[{"Plan": {"Node Type": "Hash", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Hash Buckets": 1024, "Hash Batches": 1, "Original Hash Batches": 1, "Peak Memory Usage": 4096}}]'),
('hash_aggregate_spill: on disk', '[{"Plan": {"Node Type": "Aggregate", "Strategy": "Hashed", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "HashAgg Batches": 5, "Disk Usage": 2000}}]'),
('hash_aggregate_spill: silent, in memory', '[{"Plan": {"Node Type": "Aggregate", "Strategy": "Hashed", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "HashAgg Batches": 1, "Disk Usage": 0}}]'),
('memoize_evictions: more than hits', '[{"Plan": {"Node Type": "Memoize", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 100, "Cache Hits": 200, "Cache Misses": 8000, "Cache Evictions": 1000}}]'),
('memoize_evictions: silent, more hits', '[{"Plan": {"Node Type": "Memoize", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 100, "Cache Hits": 1000, "Cache Misses": 4000, "Cache Evictions": 1000}}]'),
('workers_not_launched: none of 2', '[{"Plan": {"Node Type": "Gather", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Workers Planned": 2, "Workers Launched": 0}}]'),
('workers_not_launched: 1 of 2', '[{"Plan": {"Node Type": "Gather", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Workers Planned": 2, "Workers Launched": 1}}]'),
('workers_not_launched: silent, all', '[{"Plan": {"Node Type": "Gather", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Workers Planned": 2, "Workers Launched": 2}}]'),
('jit_share: 30 %', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1}, "JIT": {"Functions": 9, "Timing": {"Generation": {"Deform": 1, "Total": 2}, "Total": 30}}, "Execution Time": 100}]'),
('jit_share: silent, 25 %', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1}, "JIT": {"Functions": 9, "Timing": {"Generation": 2, "Total": 25}}, "Execution Time": 100}]'),
('long_planning: 5 ms for 2 ms', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1}, "Planning Time": 5, "Execution Time": 2}]'),
('long_planning: silent, 5 ms for 5 ms', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1}, "Planning Time": 5, "Execution Time": 5}]'),
('long_planning: silent, short', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1}, "Planning Time": 0.9, "Execution Time": 0.1}]'),
('long_planning: silent, not executed', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1}, "Planning Time": 5}]'),
('trigger_time: foreign key, half', '[{"Plan": {"Node Type": "ModifyTable", "Operation": "Delete", "Plan Rows": 0, "Actual Rows": 0, "Actual Loops": 1}, "Triggers": [
  {"Trigger Name": "RI_ConstraintTrigger_a_1", "Constraint Name": "b_a_fkey", "Relation": "a", "Time": 50, "Calls": 100},
  {"Trigger Name": "audit", "Relation": "a", "Time": 5, "Calls": 100}], "Execution Time": 100}]');

INSERT INTO fixture VALUES
('limit_order_index: 10000 rows for 100', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Index Name": "t_at", "Filter": "(x = 1)", "Plan Rows": 500, "Actual Rows": 100, "Actual Loops": 1, "Rows Removed by Filter": 9900}]}}]'),
('limit_order_index: silent, 9999 rows', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Index Name": "t_at", "Filter": "(x = 1)", "Plan Rows": 500, "Actual Rows": 100, "Actual Loops": 1, "Rows Removed by Filter": 9899}]}}]'),
('limit_order_index: silent, the index finds them', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Index Name": "t_at", "Index Cond": "(y = 2)", "Filter": "(x = 1)", "Plan Rows": 500, "Actual Rows": 100, "Actual Loops": 1, "Rows Removed by Filter": 99000}]}}]'),
('limit_order_index: silent, no limit', '[{"Plan": {"Node Type": "Unique", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Index Name": "t_at", "Filter": "(x = 1)", "Plan Rows": 500, "Actual Rows": 100, "Actual Loops": 1, "Rows Removed by Filter": 99000}]}}]'),
('limit_order_index: silent, all rows are sorted', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Sort", "Parent Relationship": "Outer", "Plan Rows": 500, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Index Name": "t_at", "Filter": "(x = 1)", "Plan Rows": 500, "Actual Rows": 100, "Actual Loops": 1, "Rows Removed by Filter": 99000}]}]}}]'),
('partitions_not_pruned: 6 of 8 without rows', '[{"Plan": {"Node Type": "Append", "Plan Rows": 9, "Actual Rows": 2, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p1", "Alias": "p_1", "Index Name": "p1_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p2", "Alias": "p_2", "Index Name": "p2_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p3", "Alias": "p_3", "Index Name": "p3_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p4", "Alias": "p_4", "Index Name": "p4_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p5", "Alias": "p_5", "Index Name": "p5_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p6", "Alias": "p_6", "Index Name": "p6_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p7", "Alias": "p_7", "Index Name": "p7_k", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p8", "Alias": "p_8", "Index Name": "p8_k", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1}]}}]'),
('partitions_not_pruned: silent, 5 of 8', '[{"Plan": {"Node Type": "Append", "Plan Rows": 9, "Actual Rows": 2, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p1", "Alias": "p_1", "Index Name": "p1_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p2", "Alias": "p_2", "Index Name": "p2_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p3", "Alias": "p_3", "Index Name": "p3_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p4", "Alias": "p_4", "Index Name": "p4_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p5", "Alias": "p_5", "Index Name": "p5_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p6", "Alias": "p_6", "Index Name": "p6_k", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p7", "Alias": "p_7", "Index Name": "p7_k", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p8", "Alias": "p_8", "Index Name": "p8_k", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1}]}}]'),
('partitions_not_pruned: silent, 7 partitions', '[{"Plan": {"Node Type": "Append", "Plan Rows": 9, "Actual Rows": 2, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p1", "Alias": "p_1", "Index Name": "p1_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p2", "Alias": "p_2", "Index Name": "p2_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p3", "Alias": "p_3", "Index Name": "p3_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p4", "Alias": "p_4", "Index Name": "p4_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p5", "Alias": "p_5", "Index Name": "p5_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p6", "Alias": "p_6", "Index Name": "p6_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "p7", "Alias": "p_7", "Index Name": "p7_k", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1}]}}]'),
('remote_filter: 95 % removed', '[{"Plan": {"Node Type": "Foreign Scan", "Relation Name": "f", "Alias": "f", "Remote SQL": "SELECT a FROM f", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Filter": "(g(a) = 1)", "Rows Removed by Filter": 19000}}]'),
('remote_filter: silent, half removed', '[{"Plan": {"Node Type": "Foreign Scan", "Relation Name": "f", "Alias": "f", "Remote SQL": "SELECT a FROM f", "Plan Rows": 9000, "Actual Rows": 9000, "Actual Loops": 1, "Filter": "(g(a) = 1)", "Rows Removed by Filter": 9000}}]'),
('dominant_node: 95 % of 200 ms', '[{"Plan": {"Node Type": "Sort", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 200, "Plans": [{"Node Type": "Sort", "Parent Relationship": "Outer", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 10, "Plans": [{"Node Type": "Result", "Parent Relationship": "Outer", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 5.0}]}]}}]'),
('dominant_node: 50 % of 200 ms', '[{"Plan": {"Node Type": "Sort", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 200, "Plans": [{"Node Type": "Sort", "Parent Relationship": "Outer", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [{"Node Type": "Result", "Parent Relationship": "Outer", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 50.0}]}]}}]'),
('dominant_node: silent, 40 %', '[{"Plan": {"Node Type": "Sort", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 200, "Plans": [{"Node Type": "Sort", "Parent Relationship": "Outer", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 120, "Plans": [{"Node Type": "Result", "Parent Relationship": "Outer", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 60.0}]}]}}]'),
('dominant_node: silent, short', '[{"Plan": {"Node Type": "Sort", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 99, "Plans": [{"Node Type": "Sort", "Parent Relationship": "Outer", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 9, "Plans": [{"Node Type": "Result", "Parent Relationship": "Outer", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 4.5}]}]}}]'),
('dominant_node: silent, two nodes', '[{"Plan": {"Node Type": "Sort", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 200, "Plans": [{"Node Type": "Result", "Parent Relationship": "Outer", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 10}]}}]'),
('read_heavy: 100 MB', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Shared Hit Blocks": 12799, "Shared Read Blocks": 12800}}]'),
('read_heavy: silent, half was there', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Shared Hit Blocks": 12800, "Shared Read Blocks": 12800}}]'),
('read_heavy: silent, few', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Shared Hit Blocks": 0, "Shared Read Blocks": 12799}}]'),
('temp_files: 100 MB', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Temp Read Blocks": 7, "Temp Written Blocks": 12800}}]'),
('temp_files: silent, less', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Temp Read Blocks": 7, "Temp Written Blocks": 12799}}]'),
('select_dirtied: 1000 blocks', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Shared Dirtied Blocks": 1000}}]'),
('select_dirtied: silent, 999', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Shared Dirtied Blocks": 999}}]'),
('select_dirtied: silent, it writes', '[{"Plan": {"Node Type": "ModifyTable", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Shared Dirtied Blocks": 5000, "Operation": "Update"}}]');

-- floors, near misses in the form of the plan
INSERT INTO fixture VALUES
('disk_sort: 1 MB', '[{"Plan": {"Node Type": "Sort", "Sort Method": "external merge", "Sort Space Used": 1024, "Sort Space Type": "Disk", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1}}]'),
('disk_sort: silent, less than 1 MB', '[{"Plan": {"Node Type": "Sort", "Sort Method": "external merge", "Sort Space Used": 1023, "Sort Space Type": "Disk", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1}}]'),
('disk_sort: 5 % of the time', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [{"Node Type": "Sort", "Sort Method": "external merge", "Sort Space Used": 9000, "Sort Space Type": "Disk", "Parent Relationship": "Outer", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Actual Total Time": 5}]}}]'),
('disk_sort: silent, less of the time', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [{"Node Type": "Sort", "Sort Method": "external merge", "Sort Space Used": 9000, "Sort Space Type": "Disk", "Parent Relationship": "Outer", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Actual Total Time": 4.9}]}}]'),
('hash_batches: 4 of 256 kB', '[{"Plan": {"Node Type": "Hash", "Hash Batches": 4, "Original Hash Batches": 4, "Peak Memory Usage": 256, "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1}}]'),
('hash_batches: silent, 4 of 255 kB', '[{"Plan": {"Node Type": "Hash", "Hash Batches": 4, "Original Hash Batches": 4, "Peak Memory Usage": 255, "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1}}]'),
('hash_batches: 5 % of the time, with the join', '[{"Plan": {"Node Type": "Hash Join", "Join Type": "Inner", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [{"Node Type": "Hash", "Hash Batches": 4, "Original Hash Batches": 4, "Peak Memory Usage": 4096, "Parent Relationship": "Outer", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Actual Total Time": 1}]}}]'),
('hash_batches: silent, less of the time', '[{"Plan": {"Node Type": "Sort", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [{"Node Type": "Hash Join", "Join Type": "Inner", "Parent Relationship": "Outer", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 4.9, "Plans": [{"Node Type": "Hash", "Hash Batches": 4, "Original Hash Batches": 4, "Peak Memory Usage": 4096, "Parent Relationship": "Inner", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Actual Total Time": 4}]}]}}]'),
('hash_aggregate_spill: 1 MB', '[{"Plan": {"Node Type": "Aggregate", "Strategy": "Hashed", "HashAgg Batches": 5, "Disk Usage": 1024, "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1}}]'),
('hash_aggregate_spill: silent, less than 1 MB', '[{"Plan": {"Node Type": "Aggregate", "Strategy": "Hashed", "HashAgg Batches": 5, "Disk Usage": 1023, "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1}}]'),
('hash_aggregate_spill: silent, less than 5 % of the time', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [{"Node Type": "Aggregate", "Strategy": "Hashed", "HashAgg Batches": 5, "Disk Usage": 9000, "Parent Relationship": "Outer", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Actual Total Time": 4.9}]}}]'),
('memoize_evictions: silent, 999', '[{"Plan": {"Node Type": "Memoize", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 100, "Cache Hits": 200, "Cache Misses": 8000, "Cache Evictions": 999}}]'),
('memoize_evictions: silent, less than 5 % of the time', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [{"Node Type": "Memoize", "Cache Hits": 0, "Cache Misses": 8000, "Cache Evictions": 7000, "Parent Relationship": "Outer", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Actual Total Time": 4.9}]}}]'),
('workers_not_launched: 100 ms', '[{"Plan": {"Node Type": "Gather", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 100, "Workers Planned": 2, "Workers Launched": 0}}]'),
('workers_not_launched: silent, less than 100 ms', '[{"Plan": {"Node Type": "Gather", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 99, "Workers Planned": 2, "Workers Launched": 0}, "Execution Time": 300}]'),
('workers_not_launched: silent, less than 100 ms, no times of nodes', '[{"Plan": {"Node Type": "Gather", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Workers Planned": 2, "Workers Launched": 0}, "Execution Time": 99}]'),
('jit_share: silent, short', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1}, "JIT": {"Functions": 9, "Timing": {"Generation": 2, "Total": 9}}, "Execution Time": 10}]'),
('trigger_time: silent, short', '[{"Plan": {"Node Type": "ModifyTable", "Operation": "Insert", "Plan Rows": 0, "Actual Rows": 0, "Actual Loops": 1}, "Triggers": [{"Trigger Name": "audit", "Relation": "a", "Time": 9, "Calls": 1}], "Execution Time": 10}]'),
('trigger_time: silent, a quarter', '[{"Plan": {"Node Type": "ModifyTable", "Operation": "Insert", "Plan Rows": 0, "Actual Rows": 0, "Actual Loops": 1}, "Triggers": [{"Trigger Name": "audit", "Relation": "a", "Time": 25, "Calls": 1}], "Execution Time": 100}]'),
('subplan_per_row: silent, less than 5 % of the time', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [{"Node Type": "Result", "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1000, "Actual Total Time": 0.004}]}}]'),
('limit_order_index: outer side of a nested loop', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Nested Loop", "Join Type": "Inner", "Parent Relationship": "Outer", "Plan Rows": 500, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Index Name": "t_at", "Filter": "(x = 1)", "Plan Rows": 500, "Actual Rows": 100, "Actual Loops": 1, "Rows Removed by Filter": 19900}, {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Relation Name": "o", "Alias": "o", "Index Name": "o_pkey", "Index Cond": "(id = t.id)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 100}]}]}}]'),
('limit_order_index: silent, inner side', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Nested Loop", "Join Type": "Inner", "Parent Relationship": "Outer", "Plan Rows": 500, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "o", "Alias": "o", "Index Name": "o_pkey", "Index Cond": "(id = t.id)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 100}, {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Relation Name": "t", "Alias": "t", "Index Name": "t_at", "Filter": "(x = 1)", "Plan Rows": 500, "Actual Rows": 100, "Actual Loops": 1, "Rows Removed by Filter": 19900}]}]}}]'),
('limit_order_index: silent, order for a merge join', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Merge Join", "Join Type": "Inner", "Parent Relationship": "Outer", "Plan Rows": 500, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Index Name": "t_at", "Filter": "(x = 1)", "Plan Rows": 500, "Actual Rows": 100, "Actual Loops": 1, "Rows Removed by Filter": 19900}, {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Relation Name": "o", "Alias": "o", "Index Name": "o_pkey", "Index Cond": "(id = t.id)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 100}]}]}}]'),
('limit_order_index: silent, no order through a hash join', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Hash Join", "Join Type": "Inner", "Parent Relationship": "Outer", "Plan Rows": 500, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Index Name": "t_at", "Filter": "(x = 1)", "Plan Rows": 500, "Actual Rows": 100, "Actual Loops": 1, "Rows Removed by Filter": 19900}, {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Relation Name": "o", "Alias": "o", "Index Name": "o_pkey", "Index Cond": "(id = t.id)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 100}]}]}}]'),
('limit_order_index: silent, in a subplan of the limited query', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "SubPlan", "Relation Name": "t", "Alias": "t", "Index Name": "t_at", "Filter": "(x = 1)", "Plan Rows": 500, "Actual Rows": 100, "Actual Loops": 1, "Rows Removed by Filter": 19900}]}}]'),
('limit_order_index: min()', '[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Plans": [{"Node Type": "Limit", "Parent Relationship": "InitPlan", "Subplan Name": "InitPlan 1 (returns $0)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Index Name": "t_at", "Index Cond": "(t.at IS NOT NULL)", "Filter": "(x = 1)", "Plan Rows": 500, "Actual Rows": 100, "Actual Loops": 1, "Rows Removed by Filter": 19900}]}]}}]'),
('limit_order_index: silent, more than not null', '[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Index Name": "t_at", "Index Cond": "((t.at IS NOT NULL) AND (t.at < 9))", "Filter": "(x = 1)", "Plan Rows": 500, "Actual Rows": 100, "Actual Loops": 1, "Rows Removed by Filter": 19900}]}}]'),
('partitions_not_pruned: all in one process', '[{"Plan": {"Node Type": "Append", "Plan Rows": 9, "Actual Rows": 2, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m1", "Alias": "m_1", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m2", "Alias": "m_2", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m3", "Alias": "m_3", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m4", "Alias": "m_4", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m5", "Alias": "m_5", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m6", "Alias": "m_6", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m7", "Alias": "m_7", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m8", "Alias": "m_8", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1}]}}]'),
('partitions_not_pruned: silent, UNION ALL of tables', '[{"Plan": {"Node Type": "Append", "Plan Rows": 9, "Actual Rows": 2, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t1", "Alias": "t1", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t2", "Alias": "t2", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t3", "Alias": "t3", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t4", "Alias": "t4", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t5", "Alias": "t5", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t6", "Alias": "t6", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t7", "Alias": "t7", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t8", "Alias": "t8", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1}]}}]'),
('partitions_not_pruned: silent, UNION ALL of tables with a number', '[{"Plan": {"Node Type": "Append", "Plan Rows": 9, "Actual Rows": 2, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t_1", "Alias": "t_1", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t_2", "Alias": "t_2", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t_3", "Alias": "t_3", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t_4", "Alias": "t_4", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t_5", "Alias": "t_5", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t_6", "Alias": "t_6", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t_7", "Alias": "t_7", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "u", "Alias": "u", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1}]}}]'),
('partitions_not_pruned: silent, UNION ALL of one table', '[{"Plan": {"Node Type": "Append", "Plan Rows": 9, "Actual Rows": 2, "Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t", "Alias": "t", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t", "Alias": "t_1", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t", "Alias": "t_2", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t", "Alias": "t_3", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t", "Alias": "t_4", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t", "Alias": "t_5", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t", "Alias": "t_6", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "t", "Alias": "t_7", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1}]}}]'),
('partitions_not_pruned: silent, 0.3 rows of each of 1000 loops', '[{"Plan": {"Node Type": "Append", "Plan Rows": 9, "Actual Rows": 2, "Actual Loops": 1000, "Plans": [{"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m1", "Alias": "m_1", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1000},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m2", "Alias": "m_2", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1000},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m3", "Alias": "m_3", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1000},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m4", "Alias": "m_4", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1000},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m5", "Alias": "m_5", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1000},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m6", "Alias": "m_6", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1000},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m7", "Alias": "m_7", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1000},
  {"Node Type": "Index Scan", "Parent Relationship": "Member", "Relation Name": "m8", "Alias": "m_8", "Index Name": "i", "Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 1000}]}}]'),
('cartesian_product: different constants', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 20000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 200, "Filter": "(a.k = 5)"},
  {"Node Type": "Materialize", "Parent Relationship": "Inner", "Plan Rows": 100, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Index Name": "b_k", "Relation Name": "b", "Alias": "b", "Plan Rows": 100, "Index Cond": "(b.k = 6)"}]}]}}]'),
('cartesian_product: silent, both equal one constant', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 20000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 200, "Filter": "((a.x > 3) AND (a.k = 5))"},
  {"Node Type": "Materialize", "Parent Relationship": "Inner", "Plan Rows": 100, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Index Name": "b_k", "Relation Name": "b", "Alias": "b", "Plan Rows": 100, "Index Cond": "(b.k = 5)"}]}]}}]'),
('cartesian_product: silent, one text with everything in it', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 20000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 200, "Filter": "((a.k)::text = ''it''''s (a AND b = ''::text)"},
  {"Node Type": "Materialize", "Parent Relationship": "Inner", "Plan Rows": 100, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Index Name": "b_k", "Relation Name": "b", "Alias": "b", "Plan Rows": 100, "Index Cond": "((''it''''s (a AND b = ''::text) = (b.k)::text)"}]}]}}]'),
('cartesian_product: silent, both are true', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 20000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 200, "Filter": "a.flag"},
  {"Node Type": "Materialize", "Parent Relationship": "Inner", "Plan Rows": 100, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Index Name": "b_k", "Relation Name": "b", "Alias": "b", "Plan Rows": 100, "Index Cond": "b.flag"}]}]}}]'),
('cartesian_product: one is true, one false', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 20000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 200, "Filter": "a.flag"},
  {"Node Type": "Materialize", "Parent Relationship": "Inner", "Plan Rows": 100, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Index Name": "b_k", "Relation Name": "b", "Alias": "b", "Plan Rows": 100, "Index Cond": "(NOT b.flag)"}]}]}}]'),
('cartesian_product: no equality', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 20000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 200, "Filter": "(a.k > 5)"},
  {"Node Type": "Materialize", "Parent Relationship": "Inner", "Plan Rows": 100, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Index Name": "b_k", "Relation Name": "b", "Alias": "b", "Plan Rows": 100, "Index Cond": "(b.k > 5)"}]}]}}]');

INSERT INTO fixture VALUES
('nested_loop: whole table below an aggregate (LATERAL)', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1},
  {"Node Type": "Aggregate", "Strategy": "Plain", "Parent Relationship": "Inner", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b", "Plan Rows": 1, "Actual Rows": 1, "Rows Removed by Filter": 99, "Actual Loops": 1000}]}]}}]'),
('nested_loop: whole table below a Memoize that seldom hits', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 3000, "Actual Rows": 3000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 3000, "Actual Rows": 3000, "Actual Loops": 1},
  {"Node Type": "Memoize", "Parent Relationship": "Inner", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 3000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b", "Plan Rows": 1, "Actual Rows": 1, "Rows Removed by Filter": 99, "Actual Loops": 1000}]}]}}]'),
('nested_loop: silent, below a Memoize that hits', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 3000, "Actual Rows": 3000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 3000, "Actual Rows": 3000, "Actual Loops": 1},
  {"Node Type": "Memoize", "Parent Relationship": "Inner", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 3000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b", "Plan Rows": 1, "Actual Rows": 1, "Rows Removed by Filter": 999, "Actual Loops": 50}]}]}}]'),
('nested_loop: whole partitions, by estimate', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Join Filter": "(a.id = b.id)", "Plan Rows": 1000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000},
  {"Node Type": "Append", "Parent Relationship": "Inner", "Plan Rows": 150, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Member", "Relation Name": "b1", "Alias": "b_1", "Plan Rows": 50},
  {"Node Type": "Subquery Scan", "Parent Relationship": "Member", "Alias": "s", "Plan Rows": 100, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Subquery", "Relation Name": "b2", "Alias": "b_2", "Plan Rows": 100}]}]}]}}]'),
('nested_loop: silent by estimate, a sort keeps its rows', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 1000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000},
  {"Node Type": "Sort", "Parent Relationship": "Inner", "Plan Rows": 9, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b", "Plan Rows": 9000, "Filter": "(b.id = a.id)"}]}]}}]'),
('nested_loop: rows kept in memory, compared a million times', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Join Filter": "(a.x < b.x)", "Plan Rows": 900000, "Actual Rows": 900000, "Actual Loops": 1, "Rows Removed by Join Filter": 100000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1},
  {"Node Type": "Materialize", "Parent Relationship": "Inner", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1}]}]}}]'),
('nested_loop: silent, rows kept in memory, compared less than that', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Join Filter": "(a.x < b.x)", "Plan Rows": 900000, "Actual Rows": 900000, "Actual Loops": 1, "Rows Removed by Join Filter": 99000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1},
  {"Node Type": "Materialize", "Parent Relationship": "Inner", "Plan Rows": 999, "Actual Rows": 999, "Actual Loops": 1000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b", "Plan Rows": 999, "Actual Rows": 999, "Actual Loops": 1}]}]}}]'),
('nested_loop: silent, told of by the nested loop further down', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Actual Total Time": 1000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Actual Total Time": 990},
  {"Node Type": "Nested Loop", "Parent Relationship": "Inner", "Join Type": "Inner", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1000, "Actual Total Time": 0.01, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b", "Index Name": "b_pkey", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1000, "Actual Total Time": 0.005},
  {"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Relation Name": "c", "Alias": "c", "Plan Rows": 100, "Actual Rows": 100, "Actual Loops": 1000, "Actual Total Time": 0.004}]}]}}]');

INSERT INTO fixture VALUES
('slow_scan: silent, 4 % of the time', '[{"Plan": {"Node Type": "Sort", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Actual Total Time": 1000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Filter": "(a = 1)", "Rows Removed by Filter": 99000, "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Actual Total Time": 40}]}}]'),
('row_misestimate: silent, working table of a recursion', '[{"Plan": {"Node Type": "WorkTable Scan", "CTE Name": "w", "Alias": "w", "Plan Rows": 10, "Actual Rows": 90000, "Actual Loops": 1}}]'),
('row_misestimate: silent, a CTE hands on what it gives', '[{"Plan": {"Node Type": "CTE Scan", "CTE Name": "w", "Alias": "w", "Plan Rows": 10, "Actual Rows": 90000, "Actual Loops": 1}}]'),
('row_misestimate: filter over a CTE', '[{"Plan": {"Node Type": "CTE Scan", "CTE Name": "w", "Alias": "w", "Filter": "(a = 1)", "Plan Rows": 10, "Actual Rows": 90000, "Actual Loops": 1}}]'),
('row_misestimate: silent, a run condition stops the window', '[{"Plan": {"Node Type": "WindowAgg", "Run Condition": "(row_number() OVER (?) <= 3)", "Plan Rows": 90000, "Actual Rows": 10, "Actual Loops": 1}}]'),
('row_misestimate: guessed', '[{"Plan": {"Node Type": "Function Scan", "Function Name": "f", "Alias": "f", "Plan Rows": 1000, "Actual Rows": 90000, "Actual Loops": 1}}]'),
('nested_loop: silent, most pairs thrown away is told by join_filter', '[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Join Filter": "(a.x < b.x)", "Plan Rows": 90000, "Actual Rows": 90000, "Actual Loops": 1, "Rows Removed by Join Filter": 910000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1},
  {"Node Type": "Materialize", "Parent Relationship": "Inner", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1}]}]}}]'),
('subplan_per_row: 10 times, most of the time', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "a", "Alias": "a", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Actual Total Time": 1000, "Plans": [
  {"Node Type": "Aggregate", "Strategy": "Plain", "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 10, "Actual Total Time": 51}]}}]'),
('subplan_per_row: silent, 10 times, half of the time', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "a", "Alias": "a", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Actual Total Time": 1000, "Plans": [
  {"Node Type": "Aggregate", "Strategy": "Plain", "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 10, "Actual Total Time": 50}]}}]'),
('subplan_per_row: kept and read through', '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "a", "Alias": "a", "Plan Rows": 1000, "Actual Rows": 1000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Materialize", "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1000}]}}]'),
('dominant_node: silent, it waited for JIT', '[{"Plan": {"Node Type": "Hash Join", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Actual Total Time": 1000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Actual Total Time": 950},
  {"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Relation Name": "b", "Alias": "b", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Actual Total Time": 10}]}, "JIT": {"Functions": 9, "Timing": {"Total": 500}}, "Execution Time": 1001}]'),
('trigger_time: keys looked up', '[{"Plan": {"Node Type": "ModifyTable", "Operation": "Insert", "Plan Rows": 0, "Actual Rows": 0, "Actual Loops": 1, "Actual Total Time": 20}, "Triggers": [
  {"Trigger Name": "RI_ConstraintTrigger_c_16420", "Constraint Name": "t_fkey", "Relation": "t", "Time": 80, "Calls": 4000}], "Execution Time": 100}]');

SELECT name,
	coalesce(string_agg(rule || ' ' || severity || ' at ' || node_path, ', ' ORDER BY rule, node_path), '-') AS findings
FROM fixture LEFT JOIN LATERAL dbutil.explain_findings(plan) ON true
GROUP BY name ORDER BY name COLLATE "C";

-- what a fixture is called after is what it fires, and "silent" ones are
SELECT name FROM fixture
WHERE (name LIKE '%: silent%') =
	EXISTS (SELECT FROM dbutil.explain_findings(plan) f WHERE f.rule = split_part(name, ':', 1));
-- each rule is tried both ways
SELECT split_part(name, ':', 1) AS rule
FROM fixture GROUP BY 1
HAVING count(*) FILTER (WHERE name LIKE '%: silent%') = 0
	OR count(*) FILTER (WHERE name NOT LIKE '%: silent%') = 0;

-- all of one finding, and all evidence
\x on
SELECT * FROM fixture, dbutil.explain_findings(plan) WHERE name = 'slow_scan: 95 % removed';
SELECT rule, relation, suggested_sql, proven FROM fixture, dbutil.explain_findings(plan)
WHERE name = 'heap_fetches: every row';
SELECT name, advice FROM fixture, dbutil.explain_findings(plan)
WHERE name IN ('row_misestimate: guessed', 'subplan_per_row: kept and read through', 'trigger_time: keys looked up') ORDER BY name COLLATE "C";
\x off
SELECT DISTINCT ON (rule) rule, evidence
FROM fixture, dbutil.explain_findings(plan) ORDER BY rule, name COLLATE "C";
-- a node path leads to its node, in what explain_findings was given
SELECT count(*) AS findings, count(*) FILTER (WHERE plan #>> (node_path::text[] || '{Node Type}'::text[]) = split_part(node, ' using ', 1)
		OR plan #>> (node_path::text[] || '{Node Type}'::text[]) = split_part(node, ' on ', 1)) AS nodes_found
FROM fixture, dbutil.explain_findings(plan) WHERE node IS NOT NULL;

-- the worst first
SELECT rule, severity FROM dbutil.explain_findings(
	(SELECT jsonb_agg(plan -> 0 ORDER BY name COLLATE "C") FROM fixture
	 WHERE name IN ('jit_share: 30 %', 'row_misestimate: 10x', 'row_misestimate: 1000x', 'slow_scan: 60 % removed')));

-- every wrapping of a plan, and every type
SELECT count(*) AS array_of_objects FROM dbutil.explain_findings('[{"Plan": {"Node Type": "Hash", "Hash Batches": 2}}]'::jsonb);
SELECT count(*) AS one_object FROM dbutil.explain_findings('{"Query Text": "SELECT 1", "Plan": {"Node Type": "Hash", "Hash Batches": 2}}'::json);
SELECT node_path AS bare_node FROM dbutil.explain_findings('{"Node Type": "Hash", "Hash Batches": 2}'::text);
SELECT node_path AS row_of_psql FROM dbutil.explain_findings('[{"QUERY PLAN": [{"Plan": {"Node Type": "Hash", "Hash Batches": 2}}]}]');
SELECT node_path AS rules_with_utility FROM dbutil.explain_findings('["Notify", {"Plan": {"Node Type": "Hash", "Hash Batches": 2}}]');
SELECT count(*) AS null_in FROM dbutil.explain_findings(NULL::jsonb);
-- mistyped fields are fields not told
SELECT count(*) AS mistyped FROM dbutil.explain_findings('[{"Plan": {"Node Type": "Hash", "Hash Batches": "2", "Plan Rows": [], "Actual Rows": {}, "Actual Loops": null, "Plans": {}, "Workers": [1, "x", null]}, "JIT": [], "Triggers": [null, 3, {"Time": 9e999}], "Planning Time": "x"}]');

-- JSON that is no plan
SELECT * FROM dbutil.explain_findings('{}'::jsonb);
SELECT * FROM dbutil.explain_findings('[]'::jsonb);
SELECT * FROM dbutil.explain_findings('17'::jsonb);
SELECT * FROM dbutil.explain_findings('null'::jsonb);
SELECT * FROM dbutil.explain_findings('["Plan"]'::jsonb);
SELECT * FROM dbutil.explain_findings('[{"Plan": []}]'::jsonb);
SELECT * FROM dbutil.explain_findings('[{"Plan": {"Node Type": 3}}]'::jsonb);
SELECT * FROM dbutil.explain_findings('[{"Plan": {"Node Type": "Limit", "Plans": [17]}}]'::jsonb);
SELECT * FROM dbutil.explain_findings('[{"Plan": {"Node Type": "Limit"}}, 4]'::jsonb);
SELECT * FROM dbutil.explain_findings('Seq Scan on orders  (cost=0.00..1.01 rows=1 width=4)');
SELECT * FROM dbutil.explain_findings('');
-- deeper than any plan
SELECT count(*) FROM dbutil.explain_findings(
	repeat('{"Node Type": "Limit", "Plans": [', 500) || '{"Node Type": "Hash", "Hash Batches": 2}' || repeat(']}', 500));

DROP TABLE fixture;
