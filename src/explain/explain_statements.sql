
-- explain: findings over counted statements

CREATE FUNCTION dbutil.statement_findings(worst integer DEFAULT 20,
	OUT queryid bigint, OUT query text, OUT calls bigint, OUT total_exec_time double precision,
	OUT rule text, OUT severity text, OUT node_path text, OUT node text,
	OUT relation text, OUT evidence jsonb, OUT advice text,
	OUT suggested_sql text, OUT proven boolean)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_statement_findings';
COMMENT ON FUNCTION dbutil.statement_findings(integer) IS
	'findings over the statements of dbutil.statements that took the most time in this database (total_exec_time in milliseconds), the worst statement first; the columns from rule on are those of dbutil.findings(), and the rule plan_regression comes first where the statement got a slower plan (dbutil.plan_regressions). Statements are planned with the caller''s rights and search_path, without values for their parameters, and not executed. One that cannot be planned has a row whose rule is NULL and whose advice says why. Errors: 22023 worst below 1, 55000 without preload';
