/* dbutil: access, optimisation and observability for services on PostgreSQL */

-- complain if this file is sourced in psql instead of CREATE EXTENSION
\echo Use "CREATE EXTENSION dbutil" to load this file. \quit

-- Names below resolve in pg_catalog whatever the caller's path or his schemas hold.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE SCHEMA dbutil;
COMMENT ON SCHEMA dbutil IS 'dbutil: plan cache, bulk writes, tracking, analysis and health';
GRANT USAGE ON SCHEMA dbutil TO PUBLIC;

CREATE FUNCTION dbutil.version() RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_version';
COMMENT ON FUNCTION dbutil.version() IS
	'version of the library that the server has loaded; differs from pg_extension.extversion between an upgrade of the package and ALTER EXTENSION dbutil UPDATE';

CREATE FUNCTION dbutil.status(
	OUT item text, OUT state text, OUT item_value text, OUT fix text)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_status';
COMMENT ON FUNCTION dbutil.status() IS
	'what of dbutil is on in this session: one row per item with state ok | off | warn, its value, and in fix the line that mends it (NULL when nothing is to be done)';

-- Settings exist once the library is loaded, which asking for its version sees to.
CREATE VIEW dbutil.settings AS
	SELECT s.name, s.setting, s.unit, s.context, s.vartype, s.source,
		   s.boot_val AS default_setting, s.pending_restart, s.short_desc AS description
	FROM pg_catalog.pg_settings AS s
	WHERE (SELECT dbutil.version()) IS NOT NULL
	  AND s.name LIKE 'dbutil.%';
COMMENT ON VIEW dbutil.settings IS
	'every setting of dbutil with its value, unit, default and where the value comes from, as in pg_settings';
GRANT SELECT ON dbutil.settings TO PUBLIC;

-- track: statements, transactions and services

CREATE FUNCTION dbutil.statements(texts boolean DEFAULT true,
	OUT service text, OUT dbid oid, OUT userid oid, OUT toplevel boolean, OUT queryid bigint,
	OUT query text, OUT operation text,
	OUT plans bigint, OUT total_plan_time double precision,
	OUT mean_plan_time double precision, OUT plan_cache_hits bigint,
	OUT calls bigint, OUT errors bigint, OUT rows bigint,
	OUT total_exec_time double precision, OUT min_exec_time double precision,
	OUT max_exec_time double precision, OUT mean_exec_time double precision,
	OUT stddev_exec_time double precision,
	OUT p50_exec_time double precision, OUT p90_exec_time double precision,
	OUT p95_exec_time double precision, OUT p99_exec_time double precision,
	OUT shared_blks_hit bigint, OUT shared_blks_read bigint,
	OUT shared_blks_dirtied bigint, OUT shared_blks_written bigint,
	OUT local_blks_hit bigint, OUT local_blks_read bigint,
	OUT local_blks_dirtied bigint, OUT local_blks_written bigint,
	OUT temp_blks_read bigint, OUT temp_blks_written bigint,
	OUT wal_records bigint, OUT wal_fpi bigint, OUT wal_bytes numeric,
	OUT stats_since timestamp with time zone)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_statements';
COMMENT ON FUNCTION dbutil.statements(boolean) IS
	'statements since the last reset, one row per service, database, role, queryid and toplevel. texts => false leaves query NULL and is faster. Times in milliseconds, blocks of 8 kB; percentiles are within 6.25 % from 1 us on. query has no literals; NULL where there was no room for it, <unreadable> where it could not be told what a literal is. errors counts executions that failed, calls those that did not; planning of a statement that was never executed is not counted. queryid and query of other roles are hidden unless you may read all statistics. Error: 55000 without preload';

CREATE VIEW dbutil.statements AS
	SELECT s.service, d.datname AS database_name, r.rolname AS username,
		   s.toplevel, s.queryid, s.query, s.operation,
		   s.plans, s.total_plan_time, s.mean_plan_time, s.plan_cache_hits,
		   s.calls, s.errors, s.rows,
		   s.total_exec_time, s.min_exec_time, s.max_exec_time, s.mean_exec_time,
		   s.stddev_exec_time, s.p50_exec_time, s.p90_exec_time, s.p95_exec_time,
		   s.p99_exec_time,
		   s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied, s.shared_blks_written,
		   s.local_blks_hit, s.local_blks_read, s.local_blks_dirtied, s.local_blks_written,
		   s.temp_blks_read, s.temp_blks_written,
		   s.wal_records, s.wal_fpi, s.wal_bytes, s.stats_since
	FROM dbutil.statements(true) AS s
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) s.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) s.userid;
COMMENT ON VIEW dbutil.statements IS
	'statements with percentiles, one row per service, database, role, queryid and toplevel; see the function of the same name for units and rights';
GRANT SELECT ON dbutil.statements TO PUBLIC;

CREATE FUNCTION dbutil.statement_histogram(queryid bigint,
	OUT service text, OUT lower_us double precision, OUT upper_us double precision, OUT calls bigint)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_statement_histogram';
COMMENT ON FUNCTION dbutil.statement_histogram(bigint) IS
	'execution times of one queryid, one row per service and bucket that is not empty: from lower_us up to but not including upper_us (microseconds; NULL: no upper bound). Buckets are the same everywhere, so that rows of several servers may be added. Error: 55000 without preload';

CREATE FUNCTION dbutil.services(
	OUT service text, OUT calls bigint, OUT errors bigint, OUT rows bigint,
	OUT total_exec_time double precision, OUT total_plan_time double precision,
	OUT plan_cache_hits bigint,
	OUT p50_exec_time double precision, OUT p90_exec_time double precision,
	OUT p95_exec_time double precision, OUT p99_exec_time double precision)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_services';
COMMENT ON FUNCTION dbutil.services() IS
	'top-level statements of each service since the last reset; percentiles (milliseconds) are computed from the merged histograms of its statements. Error: 55000 without preload';

CREATE FUNCTION dbutil.transactions(
	OUT service text, OUT dbid oid, OUT userid oid,
	OUT commits bigint, OUT rollbacks bigint, OUT statements bigint, OUT wrote bigint,
	OUT total_time double precision, OUT min_time double precision, OUT max_time double precision,
	OUT mean_time double precision,
	OUT p50_time double precision, OUT p95_time double precision, OUT p99_time double precision,
	OUT mean_commit_time double precision, OUT p99_commit_time double precision,
	OUT max_commit_time double precision)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_transactions';
COMMENT ON FUNCTION dbutil.transactions() IS
	'transactions that ran a statement, since the last reset, by service, database and role. Times in milliseconds; duration counts from the transaction''s start timestamp, commit time from before the commit record is written to after it is durable. wrote: those that were given a transaction identifier. Error: 55000 without preload';

CREATE VIEW dbutil.transactions AS
	SELECT t.service, d.datname AS database_name, r.rolname AS username,
		   t.commits, t.rollbacks, t.statements, t.wrote,
		   t.total_time, t.min_time, t.max_time, t.mean_time,
		   t.p50_time, t.p95_time, t.p99_time,
		   t.mean_commit_time, t.p99_commit_time, t.max_commit_time
	FROM dbutil.transactions() AS t
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) t.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) t.userid;
COMMENT ON VIEW dbutil.transactions IS
	'transactions with duration and commit latency by service, database and role; see the function of the same name for units';
GRANT SELECT ON dbutil.transactions TO PUBLIC;

CREATE VIEW dbutil.services AS
	SELECT s.service, s.calls, s.errors, s.rows,
		   s.total_exec_time, s.total_plan_time, s.plan_cache_hits,
		   s.p50_exec_time, s.p90_exec_time, s.p95_exec_time, s.p99_exec_time,
		   coalesce(t.commits, 0) AS commits, coalesce(t.rollbacks, 0) AS rollbacks
	FROM dbutil.services() AS s
	LEFT JOIN (SELECT x.service, sum(x.commits)::bigint AS commits,
					  sum(x.rollbacks)::bigint AS rollbacks
			   FROM dbutil.transactions() AS x
			   GROUP BY x.service) AS t ON t.service OPERATOR(pg_catalog.=) s.service;
COMMENT ON VIEW dbutil.services IS
	'one row a service: calls, errors, rows, times and percentiles (milliseconds), commits and rollbacks';
GRANT SELECT ON dbutil.services TO PUBLIC;

CREATE FUNCTION dbutil.track_info(
	OUT stats_since timestamp with time zone, OUT entries bigint, OUT services bigint,
	OUT evictions bigint, OUT calls_dropped bigint, OUT errors_dropped bigint,
	OUT texts_dropped bigint, OUT services_dropped bigint, OUT transactions_dropped bigint)
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_track_info';
COMMENT ON FUNCTION dbutil.track_info() IS
	'how full tracking is and what it had to drop since stats_since: the calls in dbutil.statements plus calls_dropped are all that were executed to their end; services_dropped counts the times that a session''s service had no room of its own and became <other>. Error: 55000 without preload';

CREATE FUNCTION dbutil.track_reset() RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_track_reset';
REVOKE EXECUTE ON FUNCTION dbutil.track_reset() FROM PUBLIC;
COMMENT ON FUNCTION dbutil.track_reset() IS
	'forget all statements, transactions and losses and start counting anew; which services there are is kept. Error: 55000 without preload';
-- ---------- plancache: the transparent plan cache ----------

CREATE FUNCTION dbutil.plan_cache_entries(
	OUT queryid bigint, OUT query text, OUT userid oid, OUT level text, OUT state text,
	OUT reason text, OUT params integer, OUT bytes bigint, OUT calls bigint,
	OUT hits bigint, OUT verified bigint, OUT planning_us double precision,
	OUT saved_us double precision, OUT generic_cost double precision,
	OUT custom_cost double precision, OUT relations regclass[],
	OUT created timestamptz, OUT last_used timestamptz)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 100
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache';
COMMENT ON FUNCTION dbutil.plan_cache_entries() IS
	'the entries of this session''s plan cache, the most recently used first; read it through the view dbutil.plan_cache';

CREATE VIEW dbutil.plan_cache AS
	SELECT e.queryid, e.query, pg_catalog.pg_get_userbyid(e.userid) AS username,
		   e.level, e.state, e.reason, e.params, e.bytes, e.calls, e.hits, e.verified,
		   e.planning_us, e.saved_us, e.generic_cost, e.custom_cost, e.relations,
		   e.created, e.last_used
	FROM dbutil.plan_cache_entries() AS e;
COMMENT ON VIEW dbutil.plan_cache IS
	'this session''s cached plans and verdicts: level generic (literals shown as $n, params of them) or exact (literals part of the key); state serving | exact only (verdict: no plan for all literals, reason says why) | refused (verdict: no plan is kept) | stale; bytes of memory; calls that found the entry, hits served, verified hits that were planned to compare costs; planning_us one planning, saved_us planning time spared, both microseconds; costs as the planner estimates them; relations it depends on. Statements of other roles show no text without pg_read_all_stats';
GRANT SELECT ON dbutil.plan_cache TO PUBLIC;

CREATE FUNCTION dbutil.plan_cache_counters(
	OUT kind text, OUT event text, OUT total bigint, OUT description text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 50
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_stats';
COMMENT ON FUNCTION dbutil.plan_cache_counters() IS
	'counters of this session''s plan cache; read them through the view dbutil.plan_cache_stats';

CREATE VIEW dbutil.plan_cache_stats AS
	SELECT c.kind, c.event, c.total, c.description
	FROM dbutil.plan_cache_counters() AS c;
COMMENT ON VIEW dbutil.plan_cache_stats IS
	'what this session''s plan cache did since it began or was reset, by kind (hit, miss, refusal, exact_only, upkeep; now: as it stands) and event; description says what is counted';
GRANT SELECT ON dbutil.plan_cache_stats TO PUBLIC;

CREATE FUNCTION dbutil.plan_cache_reset() RETURNS integer
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_reset';
COMMENT ON FUNCTION dbutil.plan_cache_reset() IS
	'forgets this session''s cached plans and counters; returns how many entries there were. Plans in use are copies and live on. Touches no other session, so anybody may call it';

CREATE FUNCTION dbutil.plan_cache_why(
	query text,
	OUT decision text, OUT level text, OUT params integer, OUT reason text, OUT explanation text)
	RETURNS record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_why';
COMMENT ON FUNCTION dbutil.plan_cache_why(text) IS
	'what the plan cache would do with a statement sent now by this session: decision hit | not stored yet | refused; level generic (params: literals lifted) or exact; reason as named in dbutil.plan_cache_stats, with its explanation. With dbutil.plan_cache = off the answer is that of auto. Does not run or plan the statement. Errors: whatever parsing it raises; 42601 for several statements';

-- bulk: insert, update and delete of many rows

CREATE TYPE dbutil.bulk_result AS (
	job text, op text, path text, path_reason text,
	rows_in bigint, inserted bigint, updated bigint, unchanged bigint, deleted bigint,
	conflicts bigint, missing bigint, suppressed bigint, rejected bigint,
	chunks bigint, retries bigint, elapsed_ms double precision, wal_bytes bigint,
	throttled_ms double precision, first_sqlstate text, first_message text, complete boolean);
COMMENT ON TYPE dbutil.bulk_result IS
	'what a bulk write did. rows_in = inserted + updated + unchanged + deleted + conflicts + missing + suppressed + rejected; suppressed: rows that a BEFORE trigger kept out; elapsed_ms in milliseconds; path: how rows were written';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows anyarray, columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error', conflict_columns name[] DEFAULT NULL, chunk_rows integer DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, anyarray, name[], text, name[], integer) IS
	'insert rows in the caller''s transaction, in their order. rows: an array of the table''s row type, of another composite type or of records, or a JSON array of objects; a key that is absent means the column''s default. columns: those to insert (all that are given). on_conflict: error | nothing | update (upsert by conflict_columns, else the primary key). chunk_rows: rows a statement (dbutil.bulk_chunk_rows). Call it in FROM. Errors: those of INSERT; 22004 rows NULL, 22023 bad argument or JSON, 42703 unknown column, 21000 a row twice in an upsert';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows jsonb, columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error', conflict_columns name[] DEFAULT NULL, chunk_rows integer DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, jsonb, name[], text, name[], integer) IS
	'insert rows in the caller''s transaction, in their order. rows: an array of the table''s row type, of another composite type or of records, or a JSON array of objects; a key that is absent means the column''s default. columns: those to insert (all that are given). on_conflict: error | nothing | update (upsert by conflict_columns, else the primary key). chunk_rows: rows a statement (dbutil.bulk_chunk_rows). Call it in FROM. Errors: those of INSERT; 22004 rows NULL, 22023 bad argument or JSON, 42703 unknown column, 21000 a row twice in an upsert';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows json, columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error', conflict_columns name[] DEFAULT NULL, chunk_rows integer DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, json, name[], text, name[], integer) IS
	'insert rows in the caller''s transaction, in their order. rows: an array of the table''s row type, of another composite type or of records, or a JSON array of objects; a key that is absent means the column''s default. columns: those to insert (all that are given). on_conflict: error | nothing | update (upsert by conflict_columns, else the primary key). chunk_rows: rows a statement (dbutil.bulk_chunk_rows). Call it in FROM. Errors: those of INSERT; 22004 rows NULL, 22023 bad argument or JSON, 42703 unknown column, 21000 a row twice in an upsert';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows text, columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error', conflict_columns name[] DEFAULT NULL, chunk_rows integer DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, text, name[], text, name[], integer) IS
	'insert rows in the caller''s transaction, in their order. rows: an array of the table''s row type, of another composite type or of records, or a JSON array of objects; a key that is absent means the column''s default. columns: those to insert (all that are given). on_conflict: error | nothing | update (upsert by conflict_columns, else the primary key). chunk_rows: rows a statement (dbutil.bulk_chunk_rows). Call it in FROM. Errors: those of INSERT; 22004 rows NULL, 22023 bad argument or JSON, 42703 unknown column, 21000 a row twice in an upsert';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows anyarray, key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, missing text DEFAULT 'ignore', chunk_rows integer DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, anyarray, name[], name[], text, integer) IS
	'update rows found by key in the caller''s transaction. rows as for bulk_insert; key: columns of a unique index (the primary key); set_columns: those to set (all given besides the key); a JSON key that is absent leaves its column alone. missing: ignore | error, for keys that are not in the table or may not be seen. Call it in FROM. Errors: those of UPDATE; 22004 NULL in a key, 21000 a key twice in the input, 42P10 key not unique, P0002 missing';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows jsonb, key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, missing text DEFAULT 'ignore', chunk_rows integer DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, jsonb, name[], name[], text, integer) IS
	'update rows found by key in the caller''s transaction. rows as for bulk_insert; key: columns of a unique index (the primary key); set_columns: those to set (all given besides the key); a JSON key that is absent leaves its column alone. missing: ignore | error, for keys that are not in the table or may not be seen. Call it in FROM. Errors: those of UPDATE; 22004 NULL in a key, 21000 a key twice in the input, 42P10 key not unique, P0002 missing';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows json, key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, missing text DEFAULT 'ignore', chunk_rows integer DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, json, name[], name[], text, integer) IS
	'update rows found by key in the caller''s transaction. rows as for bulk_insert; key: columns of a unique index (the primary key); set_columns: those to set (all given besides the key); a JSON key that is absent leaves its column alone. missing: ignore | error, for keys that are not in the table or may not be seen. Call it in FROM. Errors: those of UPDATE; 22004 NULL in a key, 21000 a key twice in the input, 42P10 key not unique, P0002 missing';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows text, key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, missing text DEFAULT 'ignore', chunk_rows integer DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, text, name[], name[], text, integer) IS
	'update rows found by key in the caller''s transaction. rows as for bulk_insert; key: columns of a unique index (the primary key); set_columns: those to set (all given besides the key); a JSON key that is absent leaves its column alone. missing: ignore | error, for keys that are not in the table or may not be seen. Call it in FROM. Errors: those of UPDATE; 22004 NULL in a key, 21000 a key twice in the input, 42P10 key not unique, P0002 missing';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys anyarray, key name[] DEFAULT NULL, missing text DEFAULT 'ignore', chunk_rows integer DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, anyarray, name[], text, integer) IS
	'delete rows found by key in the caller''s transaction. keys: an array of values, or of rows where the key has several columns; as JSON [1, 2] or [{"a": 1, "b": 2}]. key: columns of a unique index (the primary key). missing: ignore | error. Call it in FROM. Errors: those of DELETE; 22004 NULL in a key, 21000 a key twice in the input, 42P10 key not unique, P0002 missing';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys jsonb, key name[] DEFAULT NULL, missing text DEFAULT 'ignore', chunk_rows integer DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, jsonb, name[], text, integer) IS
	'delete rows found by key in the caller''s transaction. keys: an array of values, or of rows where the key has several columns; as JSON [1, 2] or [{"a": 1, "b": 2}]. key: columns of a unique index (the primary key). missing: ignore | error. Call it in FROM. Errors: those of DELETE; 22004 NULL in a key, 21000 a key twice in the input, 42P10 key not unique, P0002 missing';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys json, key name[] DEFAULT NULL, missing text DEFAULT 'ignore', chunk_rows integer DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, json, name[], text, integer) IS
	'delete rows found by key in the caller''s transaction. keys: an array of values, or of rows where the key has several columns; as JSON [1, 2] or [{"a": 1, "b": 2}]. key: columns of a unique index (the primary key). missing: ignore | error. Call it in FROM. Errors: those of DELETE; 22004 NULL in a key, 21000 a key twice in the input, 42P10 key not unique, P0002 missing';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys text, key name[] DEFAULT NULL, missing text DEFAULT 'ignore', chunk_rows integer DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, text, name[], text, integer) IS
	'delete rows found by key in the caller''s transaction. keys: an array of values, or of rows where the key has several columns; as JSON [1, 2] or [{"a": 1, "b": 2}]. key: columns of a unique index (the primary key). missing: ignore | error. Call it in FROM. Errors: those of DELETE; 22004 NULL in a key, 21000 a key twice in the input, 42P10 key not unique, P0002 missing';

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
	'findings of dbutil.analyze_query() as rows, worst first (severity critical | warn | info). node_path leads to the node: plan #> node_path::text[]; node is NULL where the statement as a whole is meant. evidence: the figures that made the rule fire. proven: false where suggested_sql is an index that the planner was not asked about. Arguments and errors as there';

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

-- health: checks with thresholds, and verdicts
--
-- A check is a row of dbutil.health_checks (name, level, unit, thresholds, what
-- it says) and a function dbutil.health_measure_<group>() that returns, for
-- each object it looks at, the check's name and a value; NULL is "unknown".
-- dbutil.health puts both together.  A value at or above warn or critical is
-- worse; where lower is worse the thresholds are in falling order.

CREATE TABLE dbutil.health_checks (
	check_name text PRIMARY KEY,
	level text NOT NULL CHECK (level IN ('quick', 'full')),
	unit text NOT NULL,
	warn numeric,
	critical numeric,
	message text NOT NULL,
	advice text NOT NULL);
COMMENT ON TABLE dbutil.health_checks IS
	'the checks of dbutil.health with their default thresholds in unit; where critical is less than warn, lower is worse. Not to be changed: put your own thresholds into dbutil.health_settings';
GRANT SELECT ON dbutil.health_checks TO PUBLIC;

CREATE TABLE dbutil.health_settings (
	check_name text NOT NULL REFERENCES dbutil.health_checks,
	object_pattern text NOT NULL DEFAULT '%',
	warn numeric,
	critical numeric,
	silenced_until timestamp with time zone,
	reason text,
	PRIMARY KEY (check_name, object_pattern),
	CHECK (silenced_until IS NULL OR reason IS NOT NULL));
COMMENT ON TABLE dbutil.health_settings IS
	'your own thresholds, and findings silenced until a date for a reason, by check and object (object_pattern as in LIKE; the longest that matches counts). A NULL threshold never fires. Dumped by pg_dump';
GRANT SELECT ON dbutil.health_settings TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('dbutil.health_settings', '');

INSERT INTO dbutil.health_checks VALUES
	('connections_used', 'quick', '%', 75, 90, 'client connections in use of max_connections',
	 'Put a pool before the server, or find out who holds connections: dbutil.services and pg_stat_activity tell.'),
	('idle_in_transaction', 'quick', 's', 900, 1800, 'longest session idle in a transaction',
	 'The session holds locks and keeps vacuum from cleaning up: end it, and set idle_in_transaction_session_timeout for its role.'),
	('long_query', 'quick', 's', 1800, 3600, 'longest running statement',
	 'Look at the statement with dbutil.analyze_query; set statement_timeout for its role.'),
	('long_transaction', 'quick', 's', 120, 3600, 'longest open transaction',
	 'A long transaction keeps vacuum from cleaning up in all tables: split it.'),
	('lock_wait', 'quick', 's', 60, 120, 'longest wait for a lock',
	 'pg_blocking_pids(pid) tells who blocks; set lock_timeout for migrations.'),
	('prepared_transactions', 'quick', 's', 1, 30, 'age of the oldest prepared transaction',
	 'COMMIT PREPARED or ROLLBACK PREPARED it: it holds locks and keeps vacuum from cleaning up until then.'),
	('xid_age', 'quick', '%', 50, 80, 'transaction identifiers used before the database must stop writing',
	 'VACUUM FREEZE the oldest tables, and look for what holds them back: long transactions, slots, prepared transactions.'),
	('multixact_age', 'quick', '%', 50, 80, 'multixact identifiers used before the database must stop writing',
	 'VACUUM FREEZE the oldest tables.'),
	('replication_slot', 'quick', 'MB', 10240, 51200, 'WAL that a replication slot keeps',
	 'Bring its consumer back, or drop the slot with pg_drop_replication_slot before the disk is full.'),
	('archiver', 'quick', 's', 300, 3600, 'time for which archiving has been failing',
	 'See the archiver''s messages in the server log; WAL piles up until it works again.'),
	('cache_hit', 'quick', '%', 98, 90, 'reads served from shared_buffers',
	 'Raise shared_buffers, or look in dbutil.statements for those with most shared_blks_read.'),
	('settings_unsafe', 'quick', 'count', 1, 1, 'a setting that guards data or statistics is off',
	 'Turn it on again; without it a crash loses data, or the server goes blind.'),
	('pending_restart', 'quick', 'count', 1, NULL, 'a changed setting waits for a restart',
	 'Restart the server at a quiet time.'),
	('checksum_failures', 'quick', 'count', 1, 1, 'data pages whose checksum was wrong',
	 'Storage is failing: take a backup now, check the disks and restore the pages.'),
	('dbutil_losses', 'quick', 'count', 1, NULL, 'dbutil had to drop statistics',
	 'dbutil.status() names the setting to raise.'),
	('invalid_index', 'full', 'count', 1, NULL, 'an index that is not valid: it costs writes and serves no query',
	 'REINDEX INDEX CONCURRENTLY it, or drop it.'),
	('duplicate_index', 'full', 'count', 1, NULL, 'an index that is the same as another',
	 'Drop one of the two.'),
	('foreign_key_without_index', 'full', 'count', 1, NULL, 'a foreign key whose columns have no index: each delete or key update in the referenced table reads this whole table',
	 'Create an index on the referencing columns.'),
	('no_primary_key', 'full', 'count', 1, NULL, 'a table without primary key or other row identity',
	 'Add a primary key: logical replication and bulk writes need one.'),
	('sequence_exhaustion', 'full', '%', 85, 95, 'values of a sequence that are used up',
	 'Change the column, and the sequence with ALTER SEQUENCE ... AS bigint, before inserts fail.'),
	('dead_tuples', 'full', '%', 20, 50, 'dead rows of a table of more than 10,000',
	 'VACUUM the table; lower autovacuum_vacuum_scale_factor for it.'),
	('disabled_trigger', 'full', 'count', 1, NULL, 'a trigger that is disabled',
	 'ALTER TABLE ... ENABLE TRIGGER, or drop it.'),
	('constraint_not_valid', 'full', 'count', 1, NULL, 'a constraint that existing rows were not checked against',
	 'ALTER TABLE ... VALIDATE CONSTRAINT.');

-- Sessions: durations of other roles are hidden from who may not read all
-- statistics, and what is hidden is unknown, not well.
CREATE FUNCTION dbutil.health_measure_sessions(
	OUT check_name text, OUT object_name text, OUT measured numeric, OUT suggested_sql text)
	RETURNS SETOF record
	LANGUAGE sql STABLE
	BEGIN ATOMIC
	WITH a AS (
		SELECT s.* FROM pg_catalog.pg_stat_activity AS s
		WHERE s.pid <> pg_catalog.pg_backend_pid() AND s.datname IS NOT NULL
	), seen AS (
		SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS everything
	), worst AS (
		SELECT 'idle_in_transaction' AS check_name, a.pid,
			   extract(epoch FROM pg_catalog.clock_timestamp() - a.state_change) AS seconds
		FROM a WHERE a.state IN ('idle in transaction', 'idle in transaction (aborted)')
		UNION ALL
		SELECT 'long_query', a.pid, extract(epoch FROM pg_catalog.clock_timestamp() - a.query_start)
		FROM a WHERE a.state = 'active' AND a.backend_type = 'client backend'
		UNION ALL
		SELECT 'long_transaction', a.pid, extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)
		FROM a WHERE a.backend_type = 'client backend'
		UNION ALL
		SELECT 'lock_wait', l.pid, extract(epoch FROM pg_catalog.clock_timestamp() - l.waitstart)
		FROM pg_catalog.pg_locks AS l WHERE NOT l.granted
	), longest AS (
		SELECT DISTINCT ON (w.check_name) w.check_name, w.pid, w.seconds
		FROM worst AS w WHERE w.seconds IS NOT NULL ORDER BY w.check_name, w.seconds DESC
	)
	SELECT c.check_name, coalesce('session ' || l.pid, 'sessions'),
		   CASE WHEN seen.everything OR c.check_name = 'lock_wait' THEN coalesce(l.seconds, 0) END,
		   'SELECT pg_terminate_backend(' || l.pid || ')'
	FROM (VALUES ('idle_in_transaction'), ('long_query'), ('long_transaction'), ('lock_wait')) AS c(check_name)
	CROSS JOIN seen
	LEFT JOIN longest AS l ON l.check_name = c.check_name
	UNION ALL
	SELECT 'connections_used', 'server',
		   100.0 * (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity AS s WHERE s.backend_type = 'client backend' OR s.backend_type IS NULL AND s.datid IS NOT NULL)
				 / pg_catalog.current_setting('max_connections')::numeric, NULL
	UNION ALL
	SELECT 'prepared_transactions', coalesce(pg_catalog.min(p.gid), 'server'),
		   coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.min(p.prepared)), 0), NULL
	FROM pg_catalog.pg_prepared_xacts AS p;
	END;
COMMENT ON FUNCTION dbutil.health_measure_sessions() IS
	'values of the checks on sessions, locks and connections, for dbutil.health';

CREATE FUNCTION dbutil.health_measure_server(
	OUT check_name text, OUT object_name text, OUT measured numeric, OUT suggested_sql text)
	RETURNS SETOF record
	LANGUAGE sql STABLE
	BEGIN ATOMIC
	-- identifiers run out at 2^31 less a reserve of 3 million
	SELECT 'xid_age', d.datname::text,
		   100.0 * pg_catalog.age(d.datfrozenxid) / 2144483647, NULL::text
	FROM pg_catalog.pg_database AS d WHERE d.datallowconn
	UNION ALL
	SELECT 'multixact_age', d.datname::text,
		   100.0 * pg_catalog.mxid_age(d.datminmxid) / 2144483647, NULL
	FROM pg_catalog.pg_database AS d WHERE d.datallowconn
	UNION ALL
	SELECT 'replication_slot', r.slot_name::text,
		   CASE WHEN r.wal_status = 'lost' THEN 1e9
				WHEN pg_catalog.pg_is_in_recovery() OR r.restart_lsn IS NULL THEN 0
				ELSE pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), r.restart_lsn) / 1048576 END,
		   pg_catalog.format('SELECT pg_drop_replication_slot(%L)', r.slot_name)
	FROM pg_catalog.pg_replication_slots AS r
	UNION ALL
	SELECT 'archiver', 'server',
		   CASE WHEN a.last_failed_time > coalesce(a.last_archived_time, '-infinity')
				THEN extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.last_archived_time, a.stats_reset)) ELSE 0 END, NULL
	FROM pg_catalog.pg_stat_archiver AS a
	UNION ALL
	-- with few reads the share says nothing
	SELECT 'cache_hit', d.datname::text,
		   CASE WHEN d.blks_read >= 100000 THEN 100.0 * d.blks_hit / (d.blks_hit + d.blks_read) ELSE 100 END, NULL
	FROM pg_catalog.pg_stat_database AS d WHERE d.datname IS NOT NULL
	UNION ALL
	SELECT 'settings_unsafe', s.name, CASE s.setting WHEN 'off' THEN 1 ELSE 0 END,
		   'ALTER SYSTEM SET ' || s.name || ' = on'
	FROM pg_catalog.pg_settings AS s
	WHERE s.name IN ('fsync', 'full_page_writes', 'autovacuum', 'track_counts')
	UNION ALL
	SELECT 'pending_restart', coalesce(pg_catalog.string_agg(s.name, ', ' ORDER BY s.name), 'server'),
		   pg_catalog.count(*), NULL
	FROM pg_catalog.pg_settings AS s WHERE s.pending_restart
	UNION ALL
	SELECT 'checksum_failures', d.datname::text, coalesce(d.checksum_failures, 0), NULL
	FROM pg_catalog.pg_stat_database AS d WHERE d.datname IS NOT NULL
	UNION ALL
	SELECT 'dbutil_losses', s.item,
		   CASE s.item_value ~ '^[0-9]+$' WHEN true THEN s.item_value::numeric ELSE 0 END, NULL
	FROM dbutil.status() AS s WHERE s.item LIKE '%dropped%' OR s.item LIKE '%<other>%';
	END;
COMMENT ON FUNCTION dbutil.health_measure_server() IS
	'values of the checks on the server and its databases, for dbutil.health';

CREATE FUNCTION dbutil.health_measure_objects(
	OUT check_name text, OUT object_name text, OUT measured numeric, OUT suggested_sql text)
	RETURNS SETOF record
	LANGUAGE sql STABLE
	BEGIN ATOMIC
	WITH t AS (
		SELECT c.oid, c.relkind, c.relispartition, pg_catalog.format('%I.%I', n.nspname, c.relname) AS table_name
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbutil')
		  AND n.nspname NOT LIKE 'pg\_t%' AND c.relkind IN ('r', 'p', 'S')
	), i AS (
		SELECT x.*, t.table_name, pg_catalog.format('%I.%I', n.nspname, c.relname) AS index_name, c.relam
		FROM pg_catalog.pg_index AS x
		JOIN t ON t.oid = x.indrelid
		JOIN pg_catalog.pg_class AS c ON c.oid = x.indexrelid
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
	)
	SELECT 'invalid_index', i.index_name, 1::numeric, 'REINDEX INDEX CONCURRENTLY ' || i.index_name
	FROM i WHERE NOT i.indisvalid
	UNION ALL
	SELECT 'duplicate_index', b.index_name || ' = ' || a.index_name, 1,
		   'DROP INDEX CONCURRENTLY ' || b.index_name
	FROM i AS a JOIN i AS b
		ON a.indrelid = b.indrelid AND a.relam = b.relam
		AND a.indkey = b.indkey AND a.indnkeyatts = b.indnkeyatts
		AND a.indclass = b.indclass AND a.indcollation = b.indcollation AND a.indoption = b.indoption
		AND coalesce(pg_catalog.pg_get_expr(a.indexprs, a.indrelid), '') = coalesce(pg_catalog.pg_get_expr(b.indexprs, b.indrelid), '')
		AND coalesce(pg_catalog.pg_get_expr(a.indpred, a.indrelid), '') = coalesce(pg_catalog.pg_get_expr(b.indpred, b.indrelid), '')
	WHERE a.indisvalid AND b.indisvalid
	  -- keep the one that guards most; a unique one is no duplicate of a plain one
	  AND NOT b.indisprimary AND (a.indisunique OR NOT b.indisunique)
	  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conindid = b.indexrelid)
	  AND (a.indisprimary, a.indisunique, b.indexrelid) > (b.indisprimary, b.indisunique, a.indexrelid)
	UNION ALL
	SELECT 'foreign_key_without_index', t.table_name || ' ' || pg_catalog.quote_ident(k.conname), 1,
		   'CREATE INDEX CONCURRENTLY ON ' || t.table_name || ' ('
		   || (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY u.ord)
			   FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(num, ord)
			   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.num) || ')'
	FROM pg_catalog.pg_constraint AS k JOIN t ON t.oid = k.conrelid
	WHERE k.contype = 'f' AND k.conparentid = 0
	  -- the leading columns of a whole index must be the key's, in any order
	  AND NOT EXISTS (
		SELECT FROM i
		WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indpred IS NULL
		  AND i.indnkeyatts >= pg_catalog.cardinality(k.conkey)
		  AND (SELECT pg_catalog.array_agg(x.num ORDER BY x.num)
			   FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS x(num, ord)
			   WHERE x.ord <= pg_catalog.cardinality(k.conkey))
			= (SELECT pg_catalog.array_agg(y.num ORDER BY y.num) FROM pg_catalog.unnest(k.conkey) AS y(num)))
	UNION ALL
	SELECT 'no_primary_key', t.table_name, 1, NULL
	FROM t JOIN pg_catalog.pg_class AS c ON c.oid = t.oid
	WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND c.relreplident IN ('d', 'n')
	  AND NOT EXISTS (SELECT FROM i WHERE i.indrelid = t.oid AND i.indisprimary)
	UNION ALL
	-- a column that is narrower than its sequence runs out first
	SELECT 'sequence_exhaustion', t.table_name,
		   CASE WHEN q.seqincrement < 0 OR q.seqcycle THEN 0
				WHEN pg_catalog.has_sequence_privilege(t.oid, 'SELECT, USAGE')
				THEN 100.0 * (coalesce(v.last_value, q.seqmin) - q.seqmin)
					 / nullif(least(q.seqmax, w.column_max)::numeric - q.seqmin, 0) END, NULL
	FROM t
	JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = t.oid
	LEFT JOIN pg_catalog.pg_class AS c ON c.oid = t.oid
	LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
	LEFT JOIN pg_catalog.pg_sequences AS v ON v.schemaname = n.nspname AND v.sequencename = c.relname
	LEFT JOIN LATERAL (
		SELECT CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 END AS column_max
		FROM pg_catalog.pg_depend AS d
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.objid = t.oid
		LIMIT 1) AS w ON true
	UNION ALL
	SELECT 'dead_tuples', pg_catalog.format('%I.%I', u.schemaname, u.relname),
		   100.0 * u.n_dead_tup / (u.n_live_tup + u.n_dead_tup),
		   pg_catalog.format('VACUUM %I.%I', u.schemaname, u.relname)
	FROM pg_catalog.pg_stat_user_tables AS u WHERE u.n_dead_tup > 10000
	UNION ALL
	SELECT 'disabled_trigger', t.table_name || ' ' || pg_catalog.quote_ident(g.tgname), 1,
		   'ALTER TABLE ' || t.table_name || ' ENABLE TRIGGER ' || pg_catalog.quote_ident(g.tgname)
	FROM pg_catalog.pg_trigger AS g JOIN t ON t.oid = g.tgrelid
	WHERE g.tgenabled = 'D' AND NOT g.tgisinternal
	UNION ALL
	SELECT 'constraint_not_valid', t.table_name || ' ' || pg_catalog.quote_ident(k.conname), 1,
		   'ALTER TABLE ' || t.table_name || ' VALIDATE CONSTRAINT ' || pg_catalog.quote_ident(k.conname)
	FROM pg_catalog.pg_constraint AS k JOIN t ON t.oid = k.conrelid
	WHERE NOT k.convalidated;
	END;
COMMENT ON FUNCTION dbutil.health_measure_objects() IS
	'values of the checks on tables, indexes, sequences and constraints of the current database, for dbutil.health';

CREATE FUNCTION dbutil.health(level text DEFAULT 'full',
	OUT check_name text, OUT object_name text, OUT status text, OUT measured numeric, OUT unit text,
	OUT warn numeric, OUT critical numeric, OUT message text, OUT advice text,
	OUT suggested_sql text, OUT silenced boolean)
	RETURNS SETOF record
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	full_wanted bool := level = 'full';
BEGIN
	IF level IS NULL OR level NOT IN ('quick', 'full') THEN
		RAISE EXCEPTION 'invalid value for parameter "level": "%"', coalesce(level, 'null')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Use one of: quick, full.';
	END IF;
	RETURN QUERY
	WITH m AS (
		SELECT * FROM dbutil.health_measure_sessions()
		UNION ALL SELECT * FROM dbutil.health_measure_server()
		UNION ALL SELECT o.* FROM dbutil.health_measure_objects() AS o WHERE full_wanted
	), found AS (
		SELECT c.*, m.object_name, m.measured, m.suggested_sql
		FROM dbutil.health_checks AS c LEFT JOIN m ON m.check_name = c.check_name
		WHERE c.level = 'quick' OR full_wanted
	), judged AS (
		SELECT f.*, s.silenced_until > now() AS is_silenced,
			   CASE WHEN s.check_name IS NULL THEN f.warn ELSE s.warn END AS w,
			   CASE WHEN s.check_name IS NULL THEN f.critical ELSE s.critical END AS k,
			   f.critical < f.warn AS lower_is_worse
		FROM found AS f
		LEFT JOIN LATERAL (
			SELECT * FROM dbutil.health_settings AS h
			WHERE h.check_name = f.check_name AND f.object_name LIKE h.object_pattern
			ORDER BY length(h.object_pattern) DESC LIMIT 1) AS s ON true
	)
	SELECT j.check_name, coalesce(j.object_name, 'none'),
		   CASE WHEN j.object_name IS NULL THEN 'ok'		-- no such object, nothing wrong with it
				WHEN j.measured IS NULL THEN 'unknown'
				WHEN j.lower_is_worse AND j.measured < j.k THEN 'critical'
				WHEN j.lower_is_worse AND j.measured < j.w THEN 'warn'
				WHEN NOT coalesce(j.lower_is_worse, false) AND j.measured >= j.k THEN 'critical'
				WHEN NOT coalesce(j.lower_is_worse, false) AND j.measured >= j.w THEN 'warn'
				ELSE 'ok' END,
		   round(j.measured, 2), j.unit, j.w, j.k, j.message, j.advice, j.suggested_sql,
		   coalesce(j.is_silenced, false)
	FROM judged AS j;
END $function$;
COMMENT ON FUNCTION dbutil.health(text) IS
	'one row per check and object: status ok | warn | critical | unknown (not enough privilege), value with unit and thresholds, what it means, what to do. level: quick (no catalogs of user tables) | full. Error: 22023 another level';

CREATE VIEW dbutil.health AS
	SELECT h.check_name, h.object_name, h.status, h.measured, h.unit, h.warn, h.critical,
		   h.message, h.advice, h.suggested_sql, h.silenced
	FROM dbutil.health('full') AS h;
COMMENT ON VIEW dbutil.health IS
	'all health checks of the server and the current database; see the function of the same name';
GRANT SELECT ON dbutil.health TO PUBLIC;

CREATE FUNCTION dbutil.check_database_health(service text DEFAULT NULL, level text DEFAULT 'full')
	RETURNS jsonb
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	result jsonb;
BEGIN
	SELECT jsonb_build_object(
		'status', CASE WHEN bool_or(h.status = 'critical' AND NOT h.silenced) THEN 'critical'
					   WHEN bool_or(h.status = 'warn' AND NOT h.silenced) THEN 'warn'
					   WHEN bool_or(h.status = 'unknown') THEN 'unknown'
					   ELSE 'ok' END,
		'counts', jsonb_build_object(
			'ok', count(*) FILTER (WHERE h.status = 'ok'),
			'warn', count(*) FILTER (WHERE h.status = 'warn' AND NOT h.silenced),
			'critical', count(*) FILTER (WHERE h.status = 'critical' AND NOT h.silenced),
			'unknown', count(*) FILTER (WHERE h.status = 'unknown'),
			'silenced', count(*) FILTER (WHERE h.silenced)),
		'findings', coalesce((jsonb_agg(jsonb_build_object(
				'check', h.check_name, 'object', h.object_name, 'status', h.status,
				'value', h.measured, 'unit', h.unit, 'message', h.message, 'advice', h.advice)
				ORDER BY array_position(ARRAY['critical', 'warn'], h.status), h.check_name, h.object_name)
			FILTER (WHERE h.status IN ('critical', 'warn') AND NOT h.silenced)), '[]'))
	INTO result
	FROM dbutil.health(level) AS h;

	-- the verdict is about the worst; a long list helps nobody
	result := result || jsonb_build_object(
		'findings', (SELECT coalesce(jsonb_agg(f.finding ORDER BY f.ord), '[]')
					 FROM jsonb_array_elements(result -> 'findings') WITH ORDINALITY AS f(finding, ord)
					 WHERE f.ord <= 20),
		'server', jsonb_build_object(
			'version', current_setting('server_version'),
			'database', current_database(),
			'role', CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END,
			'uptime_s', floor(extract(epoch FROM now() - pg_postmaster_start_time())),
			'dbutil', dbutil.version()));

	IF service IS NOT NULL THEN
		BEGIN
			result := result || jsonb_build_object('service',
				coalesce((SELECT to_jsonb(s) FROM dbutil.services AS s
						  WHERE s.service = check_database_health.service),
						 jsonb_build_object('service', service, 'calls', 0)));
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			-- tracking needs preload; the verdict does not
			result := result || jsonb_build_object('service',
				jsonb_build_object('service', service, 'unknown', SQLERRM));
		END;
	END IF;
	RETURN result;
END $function$;
COMMENT ON FUNCTION dbutil.check_database_health(text, text) IS
	'what a service''s /health endpoint returns: overall status, counts by status, the 20 worst findings, server facts, and with service that service''s statistics. level: quick | full. Error: 22023 another level';
