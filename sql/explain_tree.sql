-- explain: a plan as text. Plans written by hand, so that every figure is known.
-- time: loops, a LIMIT above, findings at their node and at the statement
SELECT * FROM dbutil.explain_tree($$[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Total Cost": 50, "Actual Rows": 10, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [
  {"Node Type": "Nested Loop", "Parent Relationship": "Outer", "Join Type": "Left", "Plan Rows": 5000, "Total Cost": 900, "Actual Rows": 10, "Actual Loops": 1, "Actual Total Time": 99, "Join Filter": "(a.id = b.id)", "Plans": [
   {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Schema": "public", "Relation Name": "orders", "Alias": "a", "Filter": "(a.x =\n 1)", "Rows Removed by Filter": 19900, "Plan Rows": 100, "Total Cost": 300, "Actual Rows": 100, "Actual Loops": 1, "Actual Total Time": 60},
   {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Relation Name": "b", "Alias": "b", "Index Name": "b_pkey", "Index Cond": "(b.id = a.id)", "Plan Rows": 1, "Total Cost": 5, "Actual Rows": 0.5, "Actual Loops": 100, "Actual Total Time": 0.2}]}]},
 "Planning Time": 1.5, "Execution Time": 140, "JIT": {"Functions": 9, "Timing": {"Total": 40}},
 "Triggers": [{"Trigger Name": "audit", "Relation": "a", "Time": 0.25, "Calls": 1}]}]$$);
-- cost: the same without actual figures; what a LIMIT does not ask for has no share
SELECT * FROM dbutil.explain_tree($$[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Total Cost": 50, "Plans": [
  {"Node Type": "Nested Loop", "Parent Relationship": "Outer", "Join Type": "Inner", "Plan Rows": 5000, "Total Cost": 900, "Plans": [
   {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Plan Rows": 100, "Total Cost": 300},
   {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Relation Name": "b", "Alias": "b", "Index Name": "b_pkey", "Index Cond": "(b.id = a.id)", "Plan Rows": 1, "Total Cost": 5}]}]}}]$$::jsonb);
-- parallel: three processes that took 30 ms each kept the statement 30 ms; a CTE's
-- time is its own, not its scan's; a node that was never executed
SELECT * FROM dbutil.explain_tree($${"Plan": {"Node Type": "Aggregate", "Strategy": "Plain", "Partial Mode": "Finalize", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [
   {"Node Type": "Sort", "Parent Relationship": "InitPlan", "Subplan Name": "CTE w", "Sort Key": ["t.a", "t.b DESC"], "Plan Rows": 20, "Actual Rows": 20, "Actual Loops": 1, "Actual Total Time": 50},
   {"Node Type": "Append", "Parent Relationship": "Outer", "Plan Rows": 9, "Actual Rows": 9, "Actual Loops": 1, "Actual Total Time": 95, "Plans": [
    {"Node Type": "CTE Scan", "Parent Relationship": "Member", "CTE Name": "w", "Alias": "x", "Plan Rows": 20, "Actual Rows": 20, "Actual Loops": 1, "Actual Total Time": 55},
    {"Node Type": "Function Scan", "Parent Relationship": "Member", "Function Name": "generate_series", "Alias": "g", "Plan Rows": 20, "Actual Rows": 0, "Actual Loops": 0, "Actual Total Time": 0},
    {"Node Type": "Gather", "Parent Relationship": "Member", "Workers Planned": 2, "Workers Launched": 2, "Plan Rows": 3, "Actual Rows": 3, "Actual Loops": 1, "Actual Total Time": 35, "Plans": [
     {"Node Type": "Aggregate", "Strategy": "Hashed", "Partial Mode": "Partial", "Parent Relationship": "Outer", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 3, "Actual Total Time": 30}]}]}]}}$$::json);
-- what hangs on a Gather is done by the leader alone, and times below are sums of
-- those processes that took part
SELECT * FROM dbutil.explain_tree($${"Plan": {"Node Type": "Gather", "Workers Planned": 3, "Workers Launched": 3, "Plan Rows": 3, "Actual Rows": 3, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [
   {"Node Type": "Aggregate", "Strategy": "Plain", "Parent Relationship": "InitPlan", "Subplan Name": "InitPlan 1 (returns $0)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 40, "Plans": [
    {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "u", "Alias": "u", "Plan Rows": 9, "Actual Rows": 9, "Actual Loops": 1, "Actual Total Time": 30}]},
   {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Parallel Aware": true, "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 3, "Actual Total Time": 50},
   {"Node Type": "Result", "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 2", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 3, "Actual Total Time": 2}]}}$$);
-- names may hold anything, a line of the tree is one line
SELECT line ~ '[\x01-\x1f\x7f]' AS control, line FROM dbutil.explain_tree($${"Plan": {"Node Type": "Seq\n Scan", "Relation Name": "a\nb", "Alias": "a\rb", "Subplan Name": "x\u001b[31m", "Filter": "(a\u007f = 1)", "Sort Key": ["k\u0007"], "Plan Rows": 1},
 "Triggers": [{"Trigger Name": "t\nt", "Time": 1}]}$$) line;
-- all of the time is somebody's, whatever a plan says
SELECT sum(substring(line FROM '(\d+) %')::int) AS percent FROM dbutil.explain_tree($${"Node Type": "Sort", "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 10, "Plans": [
  {"Node Type": "Sort", "Actual Rows": 1, "Actual Loops": 9, "Actual Total Time": 60}, {"Node Type": "Sort", "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 1800}]}$$) line;
SELECT * FROM dbutil.explain_tree('{"Node Type": "Sort", "Total Cost": -3, "Plan Rows": 1e100}');

-- of a statement: planned, run, with parameters
CREATE TABLE tree_t (a int, b text) WITH (autovacuum_enabled = off);
INSERT INTO tree_t SELECT i, 'x' FROM generate_series(1, 20000) i;
ANALYZE tree_t;
SET max_parallel_workers_per_gather = 0;
CREATE FUNCTION tree_masked(line text) RETURNS text LANGUAGE sql AS
	$$SELECT regexp_replace(regexp_replace(regexp_replace(line, '^ *(#+ +)?', ''), '\d[\d.]*', 'N', 'g'), ' +', ' ', 'g')$$;
SELECT tree_masked(line) FROM dbutil.plan_tree('SELECT * FROM tree_t WHERE a = :a', '{"a": 7}') line;
SELECT tree_masked(line) FROM dbutil.plan_tree('UPDATE tree_t SET b = ''y'' WHERE a = 7', run => true) line
WHERE line !~ 'long_planning|Planning takes|Prepare the';
SELECT count(*) FROM tree_t WHERE b = 'y';
-- two statements that a rule made of one
CREATE RULE tree_rule AS ON INSERT TO tree_t DO ALSO DELETE FROM tree_t WHERE a = 1;
SELECT count(*) FILTER (WHERE line ~ ' share ') AS heads, count(*) FILTER (WHERE line = '') AS between
FROM dbutil.plan_tree('INSERT INTO tree_t VALUES (1)') line;

-- errors
SELECT dbutil.plan_tree('SELECT 1; SELECT 2');
SELECT dbutil.plan_tree('SELECT * FROM tree_t WHERE');
SELECT dbutil.plan_tree('VACUUM');
SELECT dbutil.plan_tree(NULL);
SELECT dbutil.explain_tree('{"Plan": 3}'::jsonb);
SELECT dbutil.explain_tree('Seq Scan on t');
SELECT count(*) FROM dbutil.explain_tree(NULL::jsonb);

DROP TABLE tree_t;
DROP FUNCTION tree_masked(text);

-- an InitPlan's time passes in the node that asks for its result, not in that which
-- it hangs on; named as until 16, as since 17; below a Gather the leader evaluates it;
-- without VERBOSE a target list does not tell
SELECT * FROM dbutil.explain_tree($${"Plan": {"Node Type": "Aggregate", "Strategy": "Plain", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [
   {"Node Type": "Seq Scan", "Parent Relationship": "InitPlan", "Subplan Name": "InitPlan 1 (returns $0)", "Relation Name": "u", "Alias": "u", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 90},
   {"Node Type": "Bitmap Heap Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Recheck Cond": "(a > $0)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 99, "Plans": [
    {"Node Type": "Bitmap Index Scan", "Parent Relationship": "Outer", "Index Name": "t_a", "Index Cond": "(a > $0)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 92}]}]}}$$::json);
SELECT * FROM dbutil.explain_tree($${"Plan": {"Node Type": "Gather", "Workers Planned": 1, "Workers Launched": 1, "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [
   {"Node Type": "Seq Scan", "Parent Relationship": "InitPlan", "Subplan Name": "InitPlan 1", "Relation Name": "u", "Alias": "u", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 60},
   {"Node Type": "Seq Scan", "Parent Relationship": "InitPlan", "Subplan Name": "InitPlan 11", "Relation Name": "v", "Alias": "v", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 10, "Filter": "(x = (InitPlan 1).col1)"},
   {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Filter": "(a > (InitPlan 11).col1)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 2, "Actual Total Time": 25}]}}$$::json);
SELECT * FROM dbutil.explain_tree($${"Plan": {"Node Type": "Limit", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 100, "Plans": [
   {"Node Type": "Seq Scan", "Parent Relationship": "InitPlan", "Subplan Name": "InitPlan 1 (returns $1)", "Relation Name": "u", "Alias": "u", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 90},
   {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "t", "Alias": "t", "Filter": "(a = $10)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 98}]}}$$::json);
-- by cost a subquery whose result is hashed is executed once, any other one for each row
SELECT * FROM dbutil.explain_tree($${"Plan": {"Node Type": "Seq Scan", "Relation Name": "t", "Alias": "t", "Filter": "((NOT (hashed SubPlan 1)) AND (SubPlan 12))", "Plan Rows": 10, "Total Cost": 100, "Plans": [
   {"Node Type": "Seq Scan", "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1", "Relation Name": "u", "Alias": "u", "Plan Rows": 1, "Total Cost": 5},
   {"Node Type": "Seq Scan", "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 12", "Relation Name": "v", "Alias": "v", "Plan Rows": 1, "Total Cost": 5}]}}$$::json);
