
-- explain: index advice

CREATE FUNCTION dbutil.index_advice(queries text[],
	OUT relation text, OUT suggested_sql text, OUT proven boolean,
	OUT cost_before double precision, OUT cost_after double precision,
	OUT gain_percent double precision, OUT estimated_size bigint,
	OUT statements integer[], OUT reason text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_index_advice';
COMMENT ON FUNCTION dbutil.index_advice(text[]) IS
	'indexes for a workload, each statement weighing the same, the one that gains most first; creates none. With hypopg in the database each is proven: the planner would use it, and the planned cost of the whole workload falls from cost_before to cost_after, given those above it. Without hypopg proven is false, costs are NULL, and only whole tables read for few of their rows count. estimated_size in bytes; statements: positions (from 1) of those that gain by it. Parameters may stand without values from PostgreSQL 16 on; a statement that is left out has a row whose reason says why. Errors: 42601 not exactly one statement, 0A000 another kind of statement, 22004 a null statement';

CREATE FUNCTION dbutil.index_advice_statements(worst integer DEFAULT 50,
	OUT relation text, OUT suggested_sql text, OUT proven boolean,
	OUT cost_before double precision, OUT cost_after double precision,
	OUT gain_percent double precision, OUT estimated_size bigint,
	OUT queryids bigint[], OUT reason text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_index_advice_statements';
COMMENT ON FUNCTION dbutil.index_advice_statements(integer) IS
	'index advice for the statements of dbutil.statements that took the most time in this database, each weighed by its calls; see index_advice(text[]). Their literals are parameters, so all that have any are left out before PostgreSQL 16, as are those that cannot be parsed in this search_path: each has a row whose reason says why. Errors: 22023 worst below 1, 55000 without preload';
