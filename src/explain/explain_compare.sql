
-- explain: two plans side by side

CREATE FUNCTION dbutil.compare_plans(a jsonb, b jsonb,
	OUT change text, OUT node_a text, OUT node_b text, OUT differences text,
	OUT rows_expected_a double precision, OUT rows_expected_b double precision,
	OUT rows_a double precision, OUT rows_b double precision,
	OUT cost_a double precision, OUT cost_b double precision,
	OUT ms_a double precision, OUT ms_b double precision,
	OUT path_a text, OUT path_b text)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_compare_plans_jsonb';
COMMENT ON FUNCTION dbutil.compare_plans(jsonb, jsonb) IS
	'what changed from plan a to plan b, each any EXPLAIN (FORMAT JSON) output (PostgreSQL 13 to 18), a row a node in the order of b. change: same, changed (differences says in what: node type, index, join order, ...), added or removed; figures and literals that differ are no change. Nodes are the same that read the same tables, so that an inserted Sort, Memoize or Gather is one added node. rows: of all loops; cost and ms (milliseconds that the statement waited): with all nodes below; NULL where not told; path leads to the node: plan #> path::text[]. Error: 22023 for JSON that is no plan';

CREATE FUNCTION dbutil.compare_plans(a json, b json,
	OUT change text, OUT node_a text, OUT node_b text, OUT differences text,
	OUT rows_expected_a double precision, OUT rows_expected_b double precision,
	OUT rows_a double precision, OUT rows_b double precision,
	OUT cost_a double precision, OUT cost_b double precision,
	OUT ms_a double precision, OUT ms_b double precision,
	OUT path_a text, OUT path_b text)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_compare_plans_text';
COMMENT ON FUNCTION dbutil.compare_plans(json, json) IS
	'what changed from plan a to plan b; see compare_plans(jsonb, jsonb)';

CREATE FUNCTION dbutil.compare_plans(a text, b text,
	OUT change text, OUT node_a text, OUT node_b text, OUT differences text,
	OUT rows_expected_a double precision, OUT rows_expected_b double precision,
	OUT rows_a double precision, OUT rows_b double precision,
	OUT cost_a double precision, OUT cost_b double precision,
	OUT ms_a double precision, OUT ms_b double precision,
	OUT path_a text, OUT path_b text)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_compare_plans_text';
COMMENT ON FUNCTION dbutil.compare_plans(text, text) IS
	'what changed between the texts that EXPLAIN (FORMAT JSON) prints; see compare_plans(jsonb, jsonb). Error: 22P02 for a text that is no JSON';
