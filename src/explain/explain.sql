
-- explain: the plan of one statement, findings over plans

CREATE FUNCTION dbutil.analyze_query(query text, params jsonb DEFAULT NULL,
	run boolean DEFAULT false, timeout interval DEFAULT '30 seconds')
	RETURNS jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_analyze_query';
COMMENT ON FUNCTION dbutil.analyze_query(text, jsonb, boolean, interval) IS
	'plan and findings of one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES statement: {query, plan, totals, findings}, with the caller''s rights and search_path. params: a JSON array for $1, $2, ... or an object for :name. run => false only plans; run => true executes the statement for at most timeout and always rolls it back. totals: times in milliseconds, blocks of 8 kB; findings: as in dbutil.findings(), worst first. Errors: 42601 not exactly one statement, 0A000 another kind of statement or one whose effects might outlive the rollback, 42P02 a parameter without value, 22023 params that do not fit, 57014 timeout';

CREATE FUNCTION dbutil.findings(query text, params jsonb DEFAULT NULL,
	run boolean DEFAULT false, timeout interval DEFAULT '30 seconds',
	OUT rule text, OUT severity text, OUT node_path text, OUT node text,
	OUT relation text, OUT evidence jsonb, OUT advice text,
	OUT suggested_sql text, OUT proven boolean)
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_findings';
COMMENT ON FUNCTION dbutil.findings(text, jsonb, boolean, interval) IS
	'findings of dbutil.analyze_query() as rows, worst first (severity critical | warn | info). node_path leads to the node: plan #> node_path::text[]; node is NULL where the statement as a whole is meant. evidence: the figures that made the rule fire. proven: true where suggested_sql is an index that the planner would use (asked through hypopg), false where it was not asked, as hypopg is not installed. Arguments and errors as there';

CREATE FUNCTION dbutil.explain_findings(plan jsonb,
	OUT rule text, OUT severity text, OUT node_path text, OUT node text,
	OUT relation text, OUT evidence jsonb, OUT advice text,
	OUT suggested_sql text, OUT proven boolean)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_explain_findings_jsonb';
COMMENT ON FUNCTION dbutil.explain_findings(jsonb) IS
	'findings over any EXPLAIN (FORMAT JSON) output, also of another server (PostgreSQL 13 to 18), as rows like those of dbutil.findings(). Error: 22023 for JSON that is no plan';

CREATE FUNCTION dbutil.explain_findings(plan json,
	OUT rule text, OUT severity text, OUT node_path text, OUT node text,
	OUT relation text, OUT evidence jsonb, OUT advice text,
	OUT suggested_sql text, OUT proven boolean)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_explain_findings_text';
COMMENT ON FUNCTION dbutil.explain_findings(json) IS
	'findings over any EXPLAIN (FORMAT JSON) output; see explain_findings(jsonb)';

CREATE FUNCTION dbutil.explain_findings(plan text,
	OUT rule text, OUT severity text, OUT node_path text, OUT node text,
	OUT relation text, OUT evidence jsonb, OUT advice text,
	OUT suggested_sql text, OUT proven boolean)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_explain_findings_text';
COMMENT ON FUNCTION dbutil.explain_findings(text) IS
	'findings over the text that EXPLAIN (FORMAT JSON) prints; see explain_findings(jsonb). Error: 22P02 for a text that is no JSON';
