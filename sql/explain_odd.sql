-- explain: input that no server prints. One clear error each, or what there is of a plan.
CREATE FUNCTION odd(plan text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	query text;
	answer text;
	answers text[] = '{}';
	state text;
	message text;
	hint text;
BEGIN
	-- whichever way it comes in, it is the same
	FOREACH query IN ARRAY ARRAY['SELECT count(*) FROM dbutil.explain_findings($1::text)', 'SELECT count(*) FROM dbutil.explain_tree($1::text)',
		'SELECT count(*) FROM dbutil.compare_plans($1::text, $1::text)', 'SELECT count(*) FROM dbutil.compare_plans(''{"Node Type": "Result"}'', $1::text)'] LOOP
		BEGIN
			EXECUTE query INTO answer USING plan;
			answer = 'a plan';
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
			answer = format('%s: %s. %s', state, message, CASE WHEN state <> '54001' THEN hint END);
		END;
		IF answer <> ALL (answers) THEN
			answers = answers || answer;
		END IF;
	END LOOP;
	RETURN array_to_string(answers, E'\n');
END $$;
\pset format unaligned
\t on
SELECT name || ': ' || odd(plan) FROM (VALUES
	('nothing', ''),
	('blanks', E' \n'),
	('text format', 'Seq Scan on orders  (cost=0.00..1.01 rows=1 width=4)'),
	('YAML format', E'- Plan: \n    Node Type: "Result"\n    Plan Rows: 1'),
	('XML format', '<explain xmlns="http://www.postgresql.org/2009/explain"><Query><Plan/></Query></explain>'),
	('cut off', '[{"Plan": {"Node Type": "Limit", "Plans": [{"Node Type": "Seq Sc'),
	('cut off after a value', '[{"Plan": {"Node Type": "Limit"}}'),
	('two values', '{"Node Type": "Result"} {"Node Type": "Result"}'),
	('not a number of JSON', '{"Node Type": "Result", "Plan Rows": NaN}'),
	('half of a character', '{"Node Type": "\ud800"}'),
	('character zero', '{"Node Type": "a\u0000b"}'),
	('a number', '17'),
	('a text', '"Seq Scan"'),
	('null', 'null'),
	('empty object', '{}'),
	('empty array', '[]'),
	('arrays of nothing', '[[], [[]]]'),
	('plan is null', '[{"Plan": null}]'),
	('plan is an array', '[{"Plan": [{"Node Type": "Result"}]}]'),
	('no node type', '{"Plan": {"Relation Name": "t"}}'),
	('node type is a number', '{"Plan": {"Node Type": 7}}'),
	('child is no node', '{"Node Type": "Limit", "Plans": [{"Relation Name": "t"}]}'),
	('child is null', '{"Node Type": "Limit", "Plans": [null]}'),
	('a row that has no plan', '[{"QUERY PLAN": "Seq Scan on t"}]'),
	('another program''s plan', '{"query_block": {"select_id": 1, "table": {"table_name": "t", "access_type": "ALL"}}}'),
	('nested too deep to be read', repeat('[', 200000)),
	('nested too deep, closed', repeat('[', 200000) || '{"Node Type": "Result"}' || repeat(']', 200000)),
	('nodes nested too deep', repeat('{"Node Type": "Limit", "Plans": [', 100000) || '{"Node Type": "Result"}' || repeat(']}', 100000))) odd (name, plan);
-- these are plans, with what they tell
SELECT name || ': ' || odd(plan) FROM (VALUES
	('unknown type', '{"Node Type": "Quantum Scan"}'),
	('type without a name', '{"Node Type": ""}'),
	('children are an object', '{"Node Type": "Limit", "Plans": {"Node Type": 7}}'),
	('unknown fields', '{"Node Type": "Result", "Colour": "red", "Plans": [], "Workers": 3}'),
	('the last of two keys counts', '{"Plan": 7, "Plan": {"Node Type": 7, "Node Type": "Result"}}'),
	('several wrappings', '[[{"QUERY PLAN": [{"Plan": {"Node Type": "Result"}}]}], {"Node Type": "Result"}]')) odd (name, plan);
SELECT node_path FROM dbutil.explain_findings('{"Plan": {"Node Type": "Hash", "Hash Batches": 1, "Hash Batches": 2}}'::json);
\t off
\pset format aligned

-- figures: mistyped, negative, beyond all bounds, not told. Nothing is found by them, nothing is printed of them
CREATE FUNCTION figures(figure text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT replace('[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner", "Join Filter": "(a.x < b.x)", "Plan Rows": 0, "Actual Rows": 0, "Actual Loops": 0, "Actual Total Time": 0,
	"Total Cost": 0, "Rows Removed by Join Filter": 0, "Shared Read Blocks": 0, "Temp Written Blocks": 0, "Shared Dirtied Blocks": 0, "Plans": [
	{"Node Type": "Gather", "Parent Relationship": "Outer", "Workers Planned": 0, "Workers Launched": 0, "Plan Rows": 0, "Actual Rows": 0, "Actual Loops": 0, "Actual Total Time": 0, "Total Cost": 0, "Plans": [
	{"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a", "Filter": "a.y", "Rows Removed by Filter": 0, "Plan Rows": 0, "Actual Rows": 0, "Actual Loops": 0, "Actual Total Time": 0, "Total Cost": 0}]},
	{"Node Type": "Memoize", "Parent Relationship": "Inner", "Cache Hits": 0, "Cache Evictions": 0, "Cache Misses": 0, "Plan Rows": 0, "Actual Rows": 0, "Actual Loops": 0, "Actual Total Time": 0, "Total Cost": 0, "Plans": [
	{"Node Type": "Sort", "Parent Relationship": "Outer", "Sort Space Type": "Disk", "Sort Space Used": 0, "Plan Rows": 0, "Actual Rows": 0, "Actual Loops": 0, "Actual Total Time": 0, "Total Cost": 0}]},
	{"Node Type": "Result", "Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1", "Plan Rows": 0, "Actual Rows": 0, "Actual Loops": 0, "Actual Total Time": 0, "Total Cost": 0}]},
	"Planning Time": 0, "Execution Time": 0, "JIT": {"Functions": 0, "Timing": {"Total": 0}}, "Triggers": [{"Trigger Name": "t", "Time": 0, "Calls": 0}]}]', ': 0', ': ' || figure)::jsonb $$;
SELECT figure, (SELECT count(*) FROM dbutil.explain_findings(figures(figure))) AS findings,
	(SELECT string_agg(DISTINCT substring(line FROM '^.{11} *\d+ %'), ', ') FROM dbutil.explain_tree(figures(figure)) line) AS shares,
	(SELECT count(*) FROM dbutil.explain_tree(figures(figure)) line WHERE line ~* 'nan|inf|-[0-9]') AS odd_lines,
	(SELECT count(*) FROM dbutil.compare_plans(figures(figure), figures(figure)) d WHERE ms_a < 0 OR ms_a IN ('NaN', 'Infinity') OR rows_a < 0 OR rows_a IN ('NaN', 'Infinity')) AS odd_figures
FROM unnest(ARRAY['"NaN"', '"Infinity"', '"1000000"', 'null', 'true', '[]', '{}', '-1', '-1000000', '-1e300', '1e101', '1e308', '1e400', '1e9999', '0']) figure;
-- as large, and as small, as they may be: finite, and at most the whole
SELECT figure, (SELECT count(*) FROM dbutil.explain_findings(figures(figure)) WHERE evidence::text ~* 'nan|inf') AS odd_findings,
	(SELECT count(*) FROM dbutil.explain_tree(figures(figure)) line WHERE line ~* 'nan|inf[^o]|-[0-9]') AS odd_lines,
	(SELECT bool_and(substring(line FROM '^.{11} *(\d+) %')::numeric <= 100) FROM dbutil.explain_tree(figures(figure)) line) AS parts_of_the_whole,
	(SELECT count(*) FROM dbutil.compare_plans(figures(figure), figures(figure)) d WHERE ms_a < 0 OR ms_a IN ('NaN', 'Infinity') OR rows_a < 0 OR rows_a IN ('NaN', 'Infinity')) AS odd_figures
FROM unnest(ARRAY['1e100', '1e99', '1e-100', '1e-300', '1e-323', '0.5']) figure;
-- rows and loops that grow with every level
SELECT bool_and(substring(line FROM '^.{11} *(\d+) %')::numeric <= 100), count(*) FROM dbutil.explain_tree(
	repeat('{"Node Type": "Nested Loop", "Parent Relationship": "Inner", "Total Cost": 1e100, "Plan Rows": 1e100, "Plans": [{"Node Type": "Result", "Parent Relationship": "Outer", "Plan Rows": 1e100, "Total Cost": 1e100}, ', 20)
	|| '{"Node Type": "Result", "Parent Relationship": "Inner", "Plan Rows": 1e100, "Total Cost": 1e100}' || repeat(']}', 20)) line;
DROP FUNCTION odd(text), figures(text);
