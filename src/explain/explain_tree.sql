
-- explain: a plan as text

CREATE FUNCTION dbutil.plan_tree(query text, params jsonb DEFAULT NULL,
	run boolean DEFAULT false, timeout interval DEFAULT '30 seconds')
	RETURNS SETOF text
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_plan_tree';
COMMENT ON FUNCTION dbutil.plan_tree(text, jsonb, boolean, interval) IS
	'the plan of one statement as text to read, a row a line: for each node the share that it alone has of the time (of the cost without run) as a bar, in percent and in milliseconds (units of cost), rows of all loops, how many the planner expected, the tree, conditions, and findings at their node. Arguments and errors as in dbutil.analyze_query()';

CREATE FUNCTION dbutil.explain_tree(plan jsonb) RETURNS SETOF text
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_explain_tree_jsonb';
COMMENT ON FUNCTION dbutil.explain_tree(jsonb) IS
	'any EXPLAIN (FORMAT JSON) output, also of another server (PostgreSQL 13 to 18), as text to read, like dbutil.plan_tree(). Error: 22023 for JSON that is no plan';

CREATE FUNCTION dbutil.explain_tree(plan json) RETURNS SETOF text
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_explain_tree_text';
COMMENT ON FUNCTION dbutil.explain_tree(json) IS
	'any EXPLAIN (FORMAT JSON) output as text to read; see explain_tree(jsonb)';

CREATE FUNCTION dbutil.explain_tree(plan text) RETURNS SETOF text
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_explain_tree_text';
COMMENT ON FUNCTION dbutil.explain_tree(text) IS
	'the text that EXPLAIN (FORMAT JSON) prints as text to read; see explain_tree(jsonb). Error: 22P02 for a text that is no JSON';
