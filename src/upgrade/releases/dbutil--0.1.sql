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
	'statements since the last reset, one row per service, database, role, queryid and toplevel. texts => false leaves query NULL and is faster. Times in milliseconds, blocks of 8 kB; percentiles are within 6.25 % from 1 us on. query has no literals; NULL where there was no room for it, <unreadable> where it could not be told what a literal is. errors counts executions that failed, in planning, in checking privileges or in running, calls those that did not; what fails in parsing or parse analysis is not seen, planning of a statement that was never executed is not counted. A statement is its sender''s, also where it fails in or ends by a function of another role; toplevel: sent by the client, unlike what functions, cursors and deferred triggers run. queryid and query of other roles are hidden unless you may read all statistics. Error: 55000 without preload';

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
	'transactions that ran a statement, since the last reset, by service, database and role. Times in milliseconds; duration counts from the transaction''s start timestamp, commit time from before the commit record is written to after it is durable, 0 where there is none. wrote: those that were given a transaction identifier. A prepared transaction counts by COMMIT PREPARED or ROLLBACK PREPARED, as a transaction of that one statement; one whose only statement failed in parsing or parse analysis is not seen. Error: 55000 without preload';

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
	OUT custom_cost double precision, OUT stored_exec_us double precision,
	OUT custom_exec_us double precision, OUT relations regclass[],
	OUT created timestamptz, OUT last_used timestamptz)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 100
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache';
COMMENT ON FUNCTION dbutil.plan_cache_entries() IS
	'the entries of this session''s plan cache, the most recently used first; read it through the view dbutil.plan_cache';

CREATE VIEW dbutil.plan_cache AS
	SELECT e.queryid, e.query, pg_catalog.pg_get_userbyid(e.userid) AS username,
		   e.level, e.state, e.reason, e.params, e.bytes, e.calls, e.hits, e.verified,
		   e.planning_us, e.saved_us, e.generic_cost, e.custom_cost, e.stored_exec_us,
		   e.custom_exec_us, e.relations,
		   e.created, e.last_used
	FROM dbutil.plan_cache_entries() AS e;
COMMENT ON VIEW dbutil.plan_cache IS
	'this session''s cached plans and verdicts: level generic (literals shown as $n, params of them) or exact (literals part of the key); state serving | exact only (verdict: no plan for all literals, reason says why) | refused (verdict: no plan is kept) | stale; bytes of memory; calls that found the entry, hits served, verified hits that were planned to compare costs; planning_us one planning, saved_us planning time spared, both microseconds; costs as the planner estimates them; stored_exec_us and custom_exec_us the mean execution times in microseconds of the stored plan and of plans made afresh for the same statement; relations it depends on. Statements of other roles show no text without pg_read_all_stats';
GRANT SELECT ON dbutil.plan_cache TO PUBLIC;

CREATE FUNCTION dbutil.plan_cache_counters(
	OUT kind text, OUT event text, OUT total bigint, OUT all_sessions bigint,
	OUT description text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 50
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_stats';
COMMENT ON FUNCTION dbutil.plan_cache_counters() IS
	'counters of plan caches; read them through the view dbutil.plan_cache_stats';

CREATE VIEW dbutil.plan_cache_stats AS
	SELECT c.kind, c.event, c.total, c.all_sessions, c.description
	FROM dbutil.plan_cache_counters() AS c;
COMMENT ON VIEW dbutil.plan_cache_stats IS
	'what plan caches did, by kind (hit, miss, refusal, exact_only, upkeep, time; now: as it stands) and event: total in this session since it began or was reset, all_sessions since the server started, those that ended included, less what was reset; without preload this session alone. description says what is counted';
GRANT SELECT ON dbutil.plan_cache_stats TO PUBLIC;

CREATE FUNCTION dbutil.plan_cache_reset(all_backends boolean DEFAULT false) RETURNS integer
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_reset';
COMMENT ON FUNCTION dbutil.plan_cache_reset(boolean) IS
	'forgets this session''s cached plans and counters; returns how many entries there were. Plans in use live on for their statements. all_backends: every other session forgets its plans, not its counters, before its next statement; that needs preload (55000) and a member of pg_signal_backend (42501)';

CREATE FUNCTION dbutil.plan_cache_forget(relation regclass) RETURNS integer
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_forget';
COMMENT ON FUNCTION dbutil.plan_cache_forget(regclass) IS
	'forgets the entries of this session''s plan cache that depend on a relation; returns how many there were';

CREATE FUNCTION dbutil.plan_cache_pin(queryid bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_pin';
COMMENT ON FUNCTION dbutil.plan_cache_pin(bigint) IS
	'lets every session of this database serve a statement''s plan for any literals from its first call on, as plan_cache = force would, whatever it costs, where the plan cache is not off; returns what the statement was before: none, pinned or banned. Until the server stops. Errors: 22023 for 0, 54000 when 256 statements are pinned or banned, 55000 without preload';
REVOKE EXECUTE ON FUNCTION dbutil.plan_cache_pin(bigint) FROM PUBLIC;

CREATE FUNCTION dbutil.plan_cache_ban(queryid bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_ban';
COMMENT ON FUNCTION dbutil.plan_cache_ban(bigint) IS
	'lets no session of this database serve a stored plan of a statement; returns what the statement was before: none, pinned or banned. Until the server stops. Errors as of dbutil.plan_cache_pin()';
REVOKE EXECUTE ON FUNCTION dbutil.plan_cache_ban(bigint) FROM PUBLIC;

CREATE FUNCTION dbutil.plan_cache_unmark(queryid bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_unmark';
COMMENT ON FUNCTION dbutil.plan_cache_unmark(bigint) IS
	'takes a pin or a ban away; returns what the statement was before: none, pinned or banned. Errors: 22023 for 0, 55000 without preload';
REVOKE EXECUTE ON FUNCTION dbutil.plan_cache_unmark(bigint) FROM PUBLIC;

CREATE FUNCTION dbutil.plan_cache_why(
	query text,
	OUT decision text, OUT level text, OUT params integer, OUT reason text, OUT explanation text,
	OUT literals text[])
	RETURNS record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_plan_cache_why';
COMMENT ON FUNCTION dbutil.plan_cache_why(text) IS
	'what the plan cache would do with a statement sent now by this session: decision hit | not stored yet | refused; level generic (params: how many literals are lifted, literals: which, as $1, $2, ...) or exact; reason as named in dbutil.plan_cache_stats, with its explanation. With dbutil.plan_cache = off the answer is that of auto. Does not run or plan the statement. Errors: whatever parsing it raises; 42601 for several statements';

-- prepared: statements prepared by name, for all sessions of the database

-- Written by the functions below, which need no right on it; read by nobody,
-- as whose text may be seen is settled by dbutil.prepared_statements().
CREATE TABLE dbutil.prepared_definitions (
	service text COLLATE "C" NOT NULL CHECK (octet_length(service) < 64),
	name text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 63),
	owner text COLLATE "C" NOT NULL,
	definition_id bigint NOT NULL,
	statement text NOT NULL,
	parameter_names text[],
	parameter_types regtype[] NOT NULL,
	prepared_at timestamp with time zone NOT NULL,
	PRIMARY KEY (service, name));
REVOKE ALL ON dbutil.prepared_definitions FROM PUBLIC;
COMMENT ON TABLE dbutil.prepared_definitions IS
	'what dbutil.prepare_statement() has prepared; see the view dbutil.prepared_statements. service is empty for none; owner is the name of a role, so that a dump restores it. Not to be written by hand: who can write here can have any role execute any text. Dumped by pg_dump';
SELECT pg_catalog.pg_extension_config_dump('dbutil.prepared_definitions', '');

CREATE FUNCTION dbutil.prepared_definitions_changed() RETURNS trigger
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_prepared_definitions_changed';
REVOKE EXECUTE ON FUNCTION dbutil.prepared_definitions_changed() FROM PUBLIC;
COMMENT ON FUNCTION dbutil.prepared_definitions_changed() IS
	'trigger: has all sessions look up prepared statements anew when SQL has written dbutil.prepared_definitions, as the restore of a dump does';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON dbutil.prepared_definitions
	FOR EACH STATEMENT EXECUTE FUNCTION dbutil.prepared_definitions_changed();
-- also where replication writes
ALTER TABLE dbutil.prepared_definitions ENABLE ALWAYS TRIGGER changed;

CREATE FUNCTION dbutil.prepare_statement(name text, statement text,
	parameter_types regtype[] DEFAULT NULL, service text DEFAULT NULL, replace boolean DEFAULT false)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_prepare_statement';
COMMENT ON FUNCTION dbutil.prepare_statement(text, text, regtype[], text, boolean) IS
	'prepare one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES statement under a name, for all sessions of this database from the moment that the transaction commits; the current role owns it. Parameters are $1, $2, ... or :name (then all are, numbered as they first appear; in a subscript write (:name)). parameter_types: their types, NULL for one to be inferred. service: executed by sessions of that service only, and unique in it; NULL: by all others. replace: put it in place of the one of that name, which keeps its owner if that role exists, and loses its metrics. Names resolve by the search_path of who executes it. Errors: 42P05 the name is taken, 42501 it is another role''s, 42601 syntax, no or several statements, 0A000 a statement without a plan, 42P18 a type that cannot be inferred, 22023 bad argument or $n mixed with :name, 42622 name too long, 22004 NULL, 25006 read-only transaction, and those of its analysis';

CREATE FUNCTION dbutil.deallocate_statement(name text, service text DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_deallocate_statement';
COMMENT ON FUNCTION dbutil.deallocate_statement(text, text) IS
	'remove the prepared statement of that name and service (NULL: of none), from the moment that the transaction commits. Errors: 26000 there is none, 42501 it is another role''s, 22023 and 22004 bad argument, 25006 read-only transaction';

CREATE FUNCTION dbutil.execute_prepared_statement(name text, VARIADIC params "any")
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_execute_prepared_statement';
COMMENT ON FUNCTION dbutil.execute_prepared_statement(text, "any") IS
	'execute a prepared statement with the caller''s rights: the one of that name of the session''s service, else of none, that the role may execute, as its own, one of a role whose privileges it has, or one of a superuser; a superuser executes superusers'' statements only. params: its values in order, literals read as the parameter''s type, others converted as for assignment. List the columns: FROM dbutil.execute_prepared_statement(...) AS (id int, ...), in number and types as they are returned; a statement that returns no rows gives one (rows bigint), how many it processed. Errors: 26000 there is none, 42501 not to be executed by this role, 22023 wrong number of values, 42804 a value or the list does not fit, 22004 NULL as name, and those of the statement';

CREATE FUNCTION dbutil.execute_prepared_statement(name text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_execute_prepared_statement';
COMMENT ON FUNCTION dbutil.execute_prepared_statement(text) IS
	'execute a prepared statement without parameters; see execute_prepared_statement(text, VARIADIC "any")';

CREATE FUNCTION dbutil.execute_prepared_statement_json(name text, params jsonb DEFAULT '{}')
	RETURNS SETOF jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_execute_prepared_statement_json';
COMMENT ON FUNCTION dbutil.execute_prepared_statement_json(text, jsonb) IS
	'execute a prepared statement as dbutil.execute_prepared_statement() does; each row comes as an object with its columns, a statement that returns no rows gives {"rows": how many it processed}. params: an object with a value for each :name, or an array of values for $1, $2, ...; they are read as the parameters'' types. Errors: as there, and 42P02 a parameter without value, 22023 a value without parameter, 42701 two columns of a name';

CREATE FUNCTION dbutil.prepared_statements(
	OUT service text, OUT name text, OUT owner text, OUT statement text,
	OUT parameter_names text[], OUT parameter_types regtype[], OUT prepared_at timestamp with time zone,
	OUT may_execute boolean, OUT may_change boolean, OUT definition_id bigint,
	OUT calls bigint, OUT errors bigint, OUT rows bigint,
	OUT total_exec_time double precision, OUT min_exec_time double precision,
	OUT max_exec_time double precision, OUT mean_exec_time double precision,
	OUT p50_exec_time double precision, OUT p95_exec_time double precision,
	OUT p99_exec_time double precision,
	OUT generic_plans bigint, OUT custom_plans bigint, OUT backends bigint,
	OUT stats_since timestamp with time zone)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_prepared_statements';
COMMENT ON FUNCTION dbutil.prepared_statements() IS
	'the prepared statements of this database: service (NULL: none), name, owner, text, parameters; may the current role execute, may it replace and deallocate. Then, since stats_since, executions that came to their end (calls), failed ones, rows, execution times with planning in milliseconds (percentiles within 6.25 % from 1 us on), plans taken that were generic and custom, and backends that keep a plan; all NULL without preload. A role that may neither execute nor change a statement sees its text only as a member of pg_read_all_stats';

CREATE VIEW dbutil.prepared_statements AS
	SELECT p.service, p.name, p.owner, p.statement, p.parameter_names, p.parameter_types,
		   p.prepared_at, p.may_execute, p.may_change,
		   p.calls, p.errors, p.rows, p.total_exec_time, p.min_exec_time, p.max_exec_time,
		   p.mean_exec_time, p.p50_exec_time, p.p95_exec_time, p.p99_exec_time,
		   p.generic_plans, p.custom_plans, p.backends, p.stats_since
	FROM dbutil.prepared_statements() AS p;
COMMENT ON VIEW dbutil.prepared_statements IS
	'statements prepared by name with their owners and metrics, one row a statement; see the function of the same name for units and rights';
GRANT SELECT ON dbutil.prepared_statements TO PUBLIC;

-- bulk: insert, update and delete of many rows in one call

CREATE TYPE dbutil.bulk_result AS (
	job text, op text, path text, path_reason text,
	rows_in bigint, inserted bigint, updated bigint, unchanged bigint, deleted bigint,
	conflicts bigint, missing bigint, suppressed bigint, rejected bigint,
	chunks bigint, retries bigint, elapsed_ms double precision, wal_bytes bigint,
	throttled_ms double precision, first_error_ord bigint, first_sqlstate text,
	first_message text, complete boolean);
COMMENT ON TYPE dbutil.bulk_result IS
	'what a bulk call did to the rows given: rows_in = inserted + updated + unchanged + deleted + conflicts + missing + suppressed + rejected. conflicts: kept out by a row of the table or of the input with the same key; suppressed: kept out silently by a trigger, rule or policy; chunks: slices written; elapsed_ms, throttled_ms in milliseconds; wal_bytes: written by this session meanwhile. job is NULL, retries, throttled_ms and rejected are 0 for functions; first_* are set by dry runs, which say complete = false where the call would fail';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows anyarray,
	columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error',
	conflict_columns name[] DEFAULT NULL, conflict_constraint name DEFAULT NULL,
	update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, anyarray, name[], text, name[], name, name[], text, integer, boolean) IS
	'insert or upsert rows in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: an array of the tables row type or another composite type (fields matched by name), record[] (by position) or, with one column named, its values. columns: those to write, others in the rows are ignored. on_conflict: error | nothing | update | update_if_changed, judged by conflict_columns or conflict_constraint, else by the primary key (nothing alone: by every unique index). update_columns: what an update sets, else all but the key. duplicates of that key within the rows: error (21000, unless on_conflict is error) | first | last. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only, judged by the key; neither other constraints nor triggers are tried. Errors: those of INSERT, and 22004 a row or argument is NULL, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 21000 duplicate key, 42704 no key, 0A000 rows that would update different columns where one statement is a must and chunk_rows is not given';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows jsonb,
	columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error',
	conflict_columns name[] DEFAULT NULL, conflict_constraint name DEFAULT NULL,
	update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, jsonb, name[], text, name[], name, name[], text, integer, boolean) IS
	'insert or upsert rows in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one). columns: those to write, others in the rows are ignored. on_conflict: error | nothing | update | update_if_changed, judged by conflict_columns or conflict_constraint, else by the primary key (nothing alone: by every unique index). update_columns: what an update sets, else all but the key. duplicates of that key within the rows: error (21000, unless on_conflict is error) | first | last. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only, judged by the key; neither other constraints nor triggers are tried. Errors: those of INSERT, and 22004 a row or argument is NULL, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 21000 duplicate key, 42704 no key, 0A000 rows that would update different columns where one statement is a must and chunk_rows is not given';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows json,
	columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error',
	conflict_columns name[] DEFAULT NULL, conflict_constraint name DEFAULT NULL,
	update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, json, name[], text, name[], name, name[], text, integer, boolean) IS
	'insert or upsert rows in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one). columns: those to write, others in the rows are ignored. on_conflict: error | nothing | update | update_if_changed, judged by conflict_columns or conflict_constraint, else by the primary key (nothing alone: by every unique index). update_columns: what an update sets, else all but the key. duplicates of that key within the rows: error (21000, unless on_conflict is error) | first | last. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only, judged by the key; neither other constraints nor triggers are tried. Errors: those of INSERT, and 22004 a row or argument is NULL, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 21000 duplicate key, 42704 no key, 0A000 rows that would update different columns where one statement is a must and chunk_rows is not given';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows text,
	columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error',
	conflict_columns name[] DEFAULT NULL, conflict_constraint name DEFAULT NULL,
	update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, text, name[], text, name[], name, name[], text, integer, boolean) IS
	'insert or upsert rows in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one), as text. columns: those to write, others in the rows are ignored. on_conflict: error | nothing | update | update_if_changed, judged by conflict_columns or conflict_constraint, else by the primary key (nothing alone: by every unique index). update_columns: what an update sets, else all but the key. duplicates of that key within the rows: error (21000, unless on_conflict is error) | first | last. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only, judged by the key; neither other constraints nor triggers are tried. Errors: those of INSERT, and 22004 a row or argument is NULL, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 21000 duplicate key, 42704 no key, 0A000 rows that would update different columns where one statement is a must and chunk_rows is not given';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows anyarray,
	key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, nulls text DEFAULT 'set',
	skip_unchanged boolean DEFAULT false, missing text DEFAULT 'ignore',
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, anyarray, name[], name[], text, boolean, text, integer, boolean) IS
	'update rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: an array of the tables row type or another composite type (fields matched by name) or record[] (by position). key: else the primary key; values are compared as given, never rounded or cut to the column''s type. set_columns: those to set, else all in the rows but the key. nulls: set | keep (a NULL leaves the column as it is). skip_unchanged: leave rows alone that are the same byte for byte. missing: ignore | error (P0002) | insert (key and set_columns, the rest by default). chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count rows given: a key that finds several rows counts once. Errors: those of UPDATE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows jsonb,
	key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, nulls text DEFAULT 'set',
	skip_unchanged boolean DEFAULT false, missing text DEFAULT 'ignore',
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, jsonb, name[], name[], text, boolean, text, integer, boolean) IS
	'update rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one). key: else the primary key; values are compared as given, never rounded or cut to the column''s type. set_columns: those to set, else all in the rows but the key. nulls: set | keep (a NULL leaves the column as it is). skip_unchanged: leave rows alone that are the same byte for byte. missing: ignore | error (P0002) | insert (key and set_columns, the rest by default). chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count rows given: a key that finds several rows counts once. Errors: those of UPDATE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows json,
	key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, nulls text DEFAULT 'set',
	skip_unchanged boolean DEFAULT false, missing text DEFAULT 'ignore',
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, json, name[], name[], text, boolean, text, integer, boolean) IS
	'update rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one). key: else the primary key; values are compared as given, never rounded or cut to the column''s type. set_columns: those to set, else all in the rows but the key. nulls: set | keep (a NULL leaves the column as it is). skip_unchanged: leave rows alone that are the same byte for byte. missing: ignore | error (P0002) | insert (key and set_columns, the rest by default). chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count rows given: a key that finds several rows counts once. Errors: those of UPDATE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows text,
	key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, nulls text DEFAULT 'set',
	skip_unchanged boolean DEFAULT false, missing text DEFAULT 'ignore',
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, text, name[], name[], text, boolean, text, integer, boolean) IS
	'update rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one), as text. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. set_columns: those to set, else all in the rows but the key. nulls: set | keep (a NULL leaves the column as it is). skip_unchanged: leave rows alone that are the same byte for byte. missing: ignore | error (P0002) | insert (key and set_columns, the rest by default). chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count rows given: a key that finds several rows counts once. Errors: those of UPDATE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys anyarray,
	key name[] DEFAULT NULL, missing text DEFAULT 'ignore',
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, anyarray, name[], text, integer, boolean) IS
	'delete rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. keys: an array of values of a one-column key, of rows that have the key columns by name, or record[] by position. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. missing: ignore | error (P0002). chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count keys given. Errors: those of DELETE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys jsonb,
	key name[] DEFAULT NULL, missing text DEFAULT 'ignore',
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, jsonb, name[], text, integer, boolean) IS
	'delete rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. keys: a JSON array of values of a one-column key, or of objects with the key columns. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. missing: ignore | error (P0002). chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count keys given. Errors: those of DELETE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys json,
	key name[] DEFAULT NULL, missing text DEFAULT 'ignore',
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, json, name[], text, integer, boolean) IS
	'delete rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. keys: a JSON array of values of a one-column key, or of objects with the key columns. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. missing: ignore | error (P0002). chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count keys given. Errors: those of DELETE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys text,
	key name[] DEFAULT NULL, missing text DEFAULT 'ignore',
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, text, name[], text, integer, boolean) IS
	'delete rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. keys: a JSON array of values of a one-column key, or of objects with the key columns, as text. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. missing: ignore | error (P0002). chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count keys given. Errors: those of DELETE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_explain(op text, target regclass, options jsonb DEFAULT '{}')
	RETURNS jsonb
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_explain';
COMMENT ON FUNCTION dbutil.bulk_explain(text, regclass, jsonb) IS
	'how a bulk call would run: route and reason, chunk_rows (null: all rows in one statement), index that finds rows by key, and the statement for rows that supply all columns (t is the target, s the rows given). op: insert | update | delete; options: parameters of that function by name. Nothing is run, and no privilege on the target is needed. Errors: 22023 bad op or option, 42703 unknown column, 42704 no key';

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
-- A check is one row of dbutil.health_checks (its name, level, unit, thresholds,
-- what it says) and one query in dbutil.health_measure_<measured_by>(), which
-- returns a row for each object that the check looked at.  A measure never
-- judges: dbutil.health() compares value with the thresholds that hold for the
-- object.  No row at all means that there was nothing to find; a NULL value
-- means that it cannot be known, and is told as unknown, never as ok.
--
-- To add a check: a RETURN QUERY in one of health_2*_*.sql and health_3*_*.sql,
-- a row in the list below, and a test for its firing and for a near miss.
--
-- Rules for measures: they run with the caller's rights, read no user table, and
-- wait for no lock.  So nothing that opens the relation it is asked about
-- (pg_relation_size, pg_get_expr, pg_get_indexdef, pg_partition_tree): any of
-- them would stand behind an ALTER TABLE.  Columns that not every supported
-- version has are read through to_jsonb(row).

CREATE TYPE dbutil.health_measure AS (
	check_name text,
	object_name text,
	value numeric,
	evidence numeric,
	message text,
	suggested_sql text,
	hidden boolean);
COMMENT ON TYPE dbutil.health_measure IS
	'what one check saw of one object: its value (NULL: cannot be known), how much evidence it rests on (NULL: enough), and whether it is a missing privilege that hides the value';

CREATE TABLE dbutil.health_checks (
	check_name text PRIMARY KEY,
	level text NOT NULL CHECK (level IN ('quick', 'full')),
	measured_by text NOT NULL,
	unit text NOT NULL,
	warn numeric,
	critical numeric,
	lower_is_worse boolean NOT NULL DEFAULT false,
	min_evidence numeric,
	evidence_unit text,
	needs text,
	description text NOT NULL,
	advice text NOT NULL);
COMMENT ON TABLE dbutil.health_checks IS
	'the checks of dbutil.health with their default thresholds in unit (NULL: never; lower_is_worse: it is bad to fall to the threshold), the evidence in evidence_unit below which a check is unknown, and what a role needs to see everything. Part of the extension, not to be changed: your own thresholds go into dbutil.health_settings';
GRANT SELECT ON dbutil.health_checks TO PUBLIC;

-- A pattern that ends in a lone backslash makes LIKE raise an error.
CREATE TABLE dbutil.health_settings (
	check_name text NOT NULL REFERENCES dbutil.health_checks,
	object_pattern text NOT NULL DEFAULT '%' CHECK (object_pattern !~ '(^|[^\\])(\\\\)*\\$'),
	warn numeric CHECK (warn <> 'NaN'),
	critical numeric CHECK (critical <> 'NaN'),
	min_evidence numeric CHECK (min_evidence <> 'NaN'),
	enabled boolean NOT NULL DEFAULT true,
	note text,
	PRIMARY KEY (check_name, object_pattern));
COMMENT ON TABLE dbutil.health_settings IS
	'your own thresholds by check and object. object_pattern is compared with object_name by LIKE (% any text, _ any character, \ escapes); of the patterns that match the longest counts. NULL leaves the default, ''infinity'' (where lower is worse ''-infinity'') never fires, enabled = false leaves the object out. All may read it, its owner and superusers write it; GRANT INSERT, UPDATE, DELETE ON it to let another role. Dumped by pg_dump';
GRANT SELECT ON dbutil.health_settings TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('dbutil.health_settings', '');

CREATE TABLE dbutil.health_silences (
	check_name text NOT NULL REFERENCES dbutil.health_checks,
	object_pattern text NOT NULL DEFAULT '%' CHECK (object_pattern !~ '(^|[^\\])(\\\\)*\\$'),
	silenced_until timestamp with time zone NOT NULL,
	reason text NOT NULL CHECK (reason ~ '\S'),
	PRIMARY KEY (check_name, object_pattern));
COMMENT ON TABLE dbutil.health_silences IS
	'findings that do not count until a date, for a reason: dbutil.health still shows them, with silenced true. object_pattern as in dbutil.health_settings. All may read it, its owner and superusers write it; GRANT INSERT, UPDATE, DELETE ON it to let another role. Dumped by pg_dump';
GRANT SELECT ON dbutil.health_silences TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('dbutil.health_silences', '');

INSERT INTO dbutil.health_checks
	(check_name, level, measured_by, unit, warn, critical, needs, description, advice) VALUES

	-- sessions; objects are database/role/application
	('connections_used', 'quick', 'sessions', '%', 75, 90, 'pg_monitor',
	 'connections in use, of those that ordinary roles may have',
	 'Put a pool before the server, or find out who holds connections: pg_stat_activity and dbutil.services tell.'),
	('idle_in_transaction', 'quick', 'sessions', 's', 900, 1800, 'pg_monitor',
	 'time that a session has been idle in a transaction',
	 'It holds locks and keeps vacuum from cleaning up: end it, and set idle_in_transaction_session_timeout for its role.'),
	('long_query', 'quick', 'sessions', 's', 1800, 3600, 'pg_monitor',
	 'time that a statement has been running',
	 'Look at it with dbutil.analyze_query(); set statement_timeout for its role.'),
	('long_transaction', 'quick', 'sessions', 's', 120, 3600, 'pg_monitor',
	 'time that a transaction has been open',
	 'A long transaction keeps vacuum from cleaning up in all tables: split it, and keep work for others out of it. Dumps are best allowed for by a pattern in dbutil.health_settings.'),
	('lock_wait', 'quick', 'sessions', 's', 60, 120, NULL,
	 'time that a session has been waiting for a lock',
	 'End what blocks it, or wait; set lock_timeout for migrations.'),
	('prepared_transactions', 'quick', 'sessions', 's', 1, 30, NULL,
	 'age of a prepared transaction; objects are database/role/identifier',
	 'Ask the transaction manager, then COMMIT PREPARED or ROLLBACK PREPARED it: until then it holds locks and keeps vacuum from cleaning up.'),
	('xmin_horizon', 'quick', 'sessions', 'transactions', 50000000, 150000000, NULL,
	 'transactions since the oldest snapshot that dead rows are kept for, and who holds it',
	 'End that session or prepared transaction, drop that slot, or see why that standby is so far back: until then VACUUM removes nothing younger.'),

	-- the server and its databases
	('xid_age', 'quick', 'server', '%', 50, 80, NULL,
	 'transaction identifiers used, of those after which the server stops writing; by database',
	 'VACUUM (FREEZE) the tables with the oldest relfrozenxid, and look at xmin_horizon for what holds them back.'),
	('multixact_age', 'quick', 'server', '%', 50, 80, NULL,
	 'multixact identifiers used, of those after which the server stops writing; by database',
	 'VACUUM (FREEZE) the tables with the oldest relminmxid, and look for long transactions that lock rows.'),
	('freeze_overdue', 'quick', 'server', '%', 110, 125, NULL,
	 'age of the oldest table, of the age at which autovacuum must freeze it; by database',
	 'Autovacuum does not keep up with freezing: give it more workers or a higher autovacuum_vacuum_cost_limit, and look at xmin_horizon for what holds it back.'),
	('settings_off', 'quick', 'server', 'count', 1, 1, NULL,
	 'fsync or full_page_writes is off: a crash can destroy the database',
	 'Turn it on again. Only a server that can be thrown away, or for full_page_writes a file system that never tears pages, does without.'),
	('autovacuum_off', 'quick', 'server', 'count', 1, NULL, NULL,
	 'autovacuum or track_counts is off: dead rows pile up and planner statistics grow old',
	 'Turn it on again, and tune single tables by their storage parameters instead.'),
	('checksum_failures', 'quick', 'server', 'count', 1, 1, NULL,
	 'data pages whose checksum was wrong; by database',
	 'Storage is failing, or has been: secure a backup first, then check the disks, find the pages with pg_amcheck and restore them.'),
	('dbutil_losses', 'quick', 'server', 'count', 1, NULL, NULL,
	 'what dbutil had to drop of its own statistics',
	 'dbutil.status() names the setting to raise.'),

	-- replication and archiving
	('replication_slots', 'quick', 'replication', 'MB', 10240, 51200, NULL,
	 'WAL that a replication slot keeps from being removed',
	 'Bring its consumer back, or drop the slot before the disk is full; max_slot_wal_keep_size sets a limit.'),
	('replication_slots_inactive', 'quick', 'replication', 's', 3600, 86400, NULL,
	 'time that nobody has been connected to a replication slot',
	 'Bring its consumer back, or drop the slot: it keeps WAL, and a logical one dead rows of the catalogs too.'),
	('replication_slots_lost', 'quick', 'replication', 'state', 1, 2, NULL,
	 'a replication slot whose WAL is about to be removed (1) or is gone (2)',
	 'Gone: its consumer must be set up anew; drop the slot. About to be: let the consumer catch up at once, or raise max_slot_wal_keep_size.'),
	('replica_lag', 'quick', 'replication', 'MB', 50, 100, 'pg_monitor',
	 'WAL that a standby or subscriber has still to replay, as seen from here; objects are application names',
	 'Look at the standby''s disks, CPU and network, and at queries there that replay waits for.'),
	('replay_delay', 'quick', 'replication', 's', 5, 30, 'pg_monitor',
	 'time for which, at least, received WAL has been waiting to be replayed on this standby, recovery_min_apply_delay not counted; unknown while that may as well be the time the primary was quiet before',
	 'Look at this server''s disks and CPU, at queries that replay waits for, and at the connection to the primary.'),
	('archiver', 'quick', 'replication', 's', 300, 3600, 'pg_monitor',
	 'time that a finished WAL file has been waiting to be archived',
	 'See the archiver''s messages in the server log: archive_command or archive_library fails or hangs, and WAL piles up until it works.'),

	-- configuration
	('pending_restart', 'full', 'configuration', 'count', 1, NULL, 'pg_monitor',
	 'a changed setting that waits for a restart',
	 'Restart the server at a quiet time, or undo the change: at an unplanned restart it would take effect unseen.'),
	('config_file_errors', 'full', 'configuration', 'count', 1, NULL, 'SELECT on pg_file_settings, pg_hba_file_rules and pg_ident_file_mappings',
	 'a line of a configuration file with an error: after a restart the server might not start, or let nobody in',
	 'Mend the line and reload.'),
	('collation_version_drift', 'full', 'configuration', 'count', 1, NULL, NULL,
	 'a collation whose library has changed its version: indexes on texts may be in the wrong order',
	 'REINDEX what is ordered by it, then refresh the version.'),

	-- tables
	('vacuum_overdue', 'full', 'tables', '%', 200, 1000, NULL,
	 'dead rows of a table with more than 10,000 of them, of the number at which autovacuum starts',
	 'VACUUM it. If autovacuum does not come: is it off, or are all workers busy? If the rows stay: look at xmin_horizon.'),
	('table_without_primary_key', 'full', 'tables', 'rows', 1, NULL, NULL,
	 'rows updated or deleted, since statistics began, in a table without a primary key; tables that only grow stay below',
	 'Add a primary key: without one rows cannot be told apart, and logical replication cannot update them.'),
	('foreign_key_without_index', 'full', 'tables', 'rows', 0, NULL, NULL,
	 'rows of a table whose foreign key no index supports: each delete or key update in the referenced table reads them all',
	 'Create an index that leads with the referencing columns; leave it if rows of the referenced table are never deleted and their keys never change.'),
	('unvalidated_constraints', 'full', 'tables', 'count', 1, NULL, NULL,
	 'a constraint that existing rows were never checked against',
	 'Mend the rows that break it, then validate it: this takes no lock that stops reads or writes.'),
	('disabled_triggers', 'full', 'tables', 'count', 1, NULL, NULL,
	 'a trigger, or the enforcement of a foreign key, that is disabled',
	 'Enable it. For a foreign key look for rows without a partner first: enabling does not check them.'),

	-- indexes
	('invalid_indexes', 'full', 'indexes', 'MB', 0, NULL, NULL,
	 'an index that is not valid: it costs writes and serves no query',
	 'Build it anew, or drop it.'),
	('duplicate_indexes', 'full', 'indexes', 'MB', 0, NULL, NULL,
	 'an index that does nothing that another one does not',
	 'Drop it.'),
	('unused_indexes', 'full', 'indexes', 'MB', 1, NULL, NULL,
	 'an index that almost no query uses (at most 20 scans) and that guards no constraint',
	 'See first that no standby''s queries and no rare job need it, and that it is not new; then drop it.'),

	-- sequences
	('sequence_exhaustion', 'full', 'sequences', '%', 85, 95, 'SELECT or USAGE on the sequence',
	 'values used of a sequence, or of the column it feeds if that is narrower',
	 'Widen the column, then the sequence, before inserts fail; widening a column rewrites its table.');

INSERT INTO dbutil.health_checks
	(check_name, level, measured_by, unit, warn, critical, lower_is_worse, min_evidence, evidence_unit,
	 description, advice) VALUES
	('cache_hit', 'quick', 'server', '%', 98, 90, true, 1000000, 'block reads',
	 'block reads of the current database that shared_buffers served',
	 'Raise shared_buffers if memory allows, or look in dbutil.statements for those with most shared_blks_read.');
UPDATE dbutil.health_checks SET min_evidence = 35, evidence_unit = 'days of statistics'
WHERE check_name = 'unused_indexes';

-- Sessions.  Without pg_read_all_stats only one's own sessions show what they
-- do; the others are told as unknown.  Locks and snapshots all may see.
CREATE FUNCTION dbutil.health_measure_sessions() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	see_all boolean := pg_has_role('pg_read_all_stats', 'USAGE');
	in_recovery boolean := pg_is_in_recovery();
	free_to_all integer := current_setting('max_connections')::integer
		- current_setting('superuser_reserved_connections')::integer
		- coalesce(current_setting('reserved_connections', true)::integer, 0);	-- from 16 on
	used bigint;
BEGIN
	IF see_all THEN
		SELECT count(*) INTO used FROM pg_stat_activity AS a WHERE a.backend_type = 'client backend';
		RETURN QUERY SELECT 'connections_used', 'server', 100.0 * used / greatest(free_to_all, 1), NULL::numeric,
			format('%s of %s connections are in use', used, free_to_all), NULL::text, false;
	ELSE
		RETURN QUERY SELECT c.check_name, c.object_name, NULL::numeric, NULL::numeric,
			'what sessions of other roles do is hidden', NULL::text, true
		FROM (VALUES ('connections_used', 'server'),
					 ('idle_in_transaction', 'sessions of other roles'),
					 ('long_query', 'sessions of other roles'),
					 ('long_transaction', 'sessions of other roles')) AS c(check_name, object_name);
	END IF;

	-- the worst session of each application stands for the others
	RETURN QUERY
	WITH seen AS (
		SELECT k.check_name, format('%s/%s/%s', a.datname, a.usename, a.application_name) AS object_name,
			   a.pid, a.state, greatest(extract(epoch FROM clock_timestamp() - k.since), 0) AS seconds
		FROM pg_stat_activity AS a
		CROSS JOIN LATERAL (VALUES
			('idle_in_transaction', CASE WHEN a.state LIKE 'idle in transaction%' THEN a.state_change END),
			('long_query', CASE WHEN a.state IN ('active', 'fastpath function call') THEN a.query_start END),
			('long_transaction', a.xact_start)) AS k(check_name, since)
		WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND k.since IS NOT NULL
	)
	SELECT DISTINCT ON (s.check_name, s.object_name)
		   s.check_name, s.object_name, s.seconds, NULL::numeric,
		   format(CASE s.check_name WHEN 'idle_in_transaction' THEN 'session %s has been idle in its transaction for %s s'
									WHEN 'long_query' THEN 'session %s has been running its statement for %s s'
									ELSE 'session %s has had its transaction open for %s s' END, s.pid, round(s.seconds))
		   || CASE WHEN count(*) OVER w > 1 THEN format('; sessions like it: %s', count(*) OVER w) ELSE '' END,
		   format(CASE WHEN s.state = 'active' THEN 'SELECT pg_cancel_backend(%s)'
					   ELSE 'SELECT pg_terminate_backend(%s)' END, s.pid),
		   false
	FROM seen AS s
	WINDOW w AS (PARTITION BY s.check_name, s.object_name)
	ORDER BY s.check_name, s.object_name, s.seconds DESC;

	-- Reading all locks costs the lock manager: look first whether one waits,
	-- where that can be seen.
	IF NOT see_all OR EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.wait_event_type = 'Lock') THEN
		RETURN QUERY
		WITH waiting AS (
			SELECT DISTINCT ON (l.object_name) l.*
			FROM (SELECT format('%s/%s/%s', a.datname, a.usename, a.application_name) AS object_name, k.pid,
						 greatest(extract(epoch FROM clock_timestamp() - k.waitstart), 0) AS seconds
				  FROM pg_locks AS k
				  LEFT JOIN pg_stat_activity AS a ON a.pid = k.pid
				  WHERE NOT k.granted AND k.waitstart IS NOT NULL) AS l
			ORDER BY l.object_name, l.seconds DESC
		)
		SELECT 'lock_wait', w.object_name, w.seconds, NULL::numeric,
			   format('session %s has been waiting for %s s', w.pid, round(w.seconds))
			   || CASE WHEN w.seconds >= 1
					   THEN format(' for %s', array_to_string(pg_blocking_pids(w.pid), ', ')) ELSE '' END,
			   format('SELECT * FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids(%s))', w.pid), false
		FROM waiting AS w;
	END IF;

	RETURN QUERY
	SELECT 'prepared_transactions', format('%s/%s/%s', p.database, p.owner, p.gid),
		   greatest(extract(epoch FROM clock_timestamp() - p.prepared), 0), NULL::numeric,
		   format('transaction %L was prepared %s s ago', p.gid,
				  round(extract(epoch FROM clock_timestamp() - p.prepared))), NULL::text, false
	FROM pg_prepared_xacts AS p;

	-- A standby's own snapshots hold nothing but through its primary.
	IF NOT in_recovery THEN
		RETURN QUERY
		SELECT 'xmin_horizon', h.object_name, h.xacts::numeric, NULL::numeric,
			   format('%s keeps what became dead in the last %s transactions', h.object_name, h.xacts), NULL::text, false
		FROM (
			SELECT format('session %s (%s/%s/%s)', a.pid, a.datname, a.usename, a.application_name) AS object_name,
				   greatest(age(a.backend_xmin), age(a.backend_xid)) AS xacts
			FROM pg_stat_activity AS a
			WHERE a.pid <> pg_backend_pid()
			  AND a.backend_type IS DISTINCT FROM 'autovacuum worker'	-- these do not count
			UNION ALL
			SELECT format('slot %s', r.slot_name), greatest(age(r.xmin), age(r.catalog_xmin))
			FROM pg_replication_slots AS r
			UNION ALL
			SELECT format('prepared transaction %s', p.gid), age(p.transaction)
			FROM pg_prepared_xacts AS p) AS h
		WHERE h.xacts IS NOT NULL
		ORDER BY h.xacts DESC
		LIMIT 1;
	END IF;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_sessions() IS
	'what the checks on sessions, locks, snapshots and prepared transactions see, for dbutil.health';

-- The server and its databases.
CREATE FUNCTION dbutil.health_measure_server() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	-- at 2^31 identifiers age turns into youth; writing stops 3 million before
	limit_age CONSTANT numeric := 2147483647 - 3000000;
	freeze_age numeric := current_setting('autovacuum_freeze_max_age');
	freeze_multi_age numeric := current_setting('autovacuum_multixact_freeze_max_age');
	counting boolean := current_setting('track_counts');
BEGIN
	-- databases that allow no connections age as well
	RETURN QUERY
	SELECT v.check_name, d.datname::text, v.share, NULL::numeric,
		   format(v.says, age(d.datfrozenxid), mxid_age(d.datminmxid)), NULL::text, false
	FROM pg_database AS d
	CROSS JOIN LATERAL (VALUES
		('xid_age', 100 * age(d.datfrozenxid) / limit_age, 'the oldest table is %1$s transactions old'),
		('multixact_age', 100 * mxid_age(d.datminmxid) / limit_age, 'the oldest table is %2$s multixacts old'),
		('freeze_overdue', greatest(100 * age(d.datfrozenxid) / freeze_age,
									100 * mxid_age(d.datminmxid) / freeze_multi_age),
		 'the oldest table is %s transactions and %s multixacts old')) AS v(check_name, share, says);

	RETURN QUERY
	SELECT 'cache_hit', d.datname::text,
		   CASE WHEN counting THEN coalesce(100.0 * d.blks_hit / nullif(d.blks_hit + d.blks_read, 0), 100) END,
		   (d.blks_hit + d.blks_read)::numeric,
		   CASE WHEN counting THEN format('%s of %s block reads were served from shared_buffers',
										  d.blks_hit, d.blks_hit + d.blks_read)
				ELSE 'track_counts is off' END, NULL::text, false
	FROM pg_stat_database AS d WHERE d.datname = current_database();

	RETURN QUERY
	SELECT s.check_name, s.setting_name, CASE current_setting(s.setting_name) WHEN 'off' THEN 1 ELSE 0 END::numeric,
		   NULL::numeric, format('%s is %s', s.setting_name, current_setting(s.setting_name)),
		   CASE current_setting(s.setting_name) WHEN 'off' THEN format('ALTER SYSTEM SET %I = on', s.setting_name) END,
		   false
	FROM (VALUES ('settings_off', 'fsync'), ('settings_off', 'full_page_writes'),
				 ('autovacuum_off', 'autovacuum'), ('autovacuum_off', 'track_counts')) AS s(check_name, setting_name);

	IF current_setting('data_checksums')::boolean THEN
		RETURN QUERY
		SELECT 'checksum_failures', coalesce(d.datname::text, 'shared objects'), d.checksum_failures::numeric,
			   NULL::numeric, format('%s failures, the last one at %s', d.checksum_failures, d.checksum_last_failure),
			   NULL::text, false
		FROM pg_stat_database AS d WHERE d.checksum_failures > 0;
	ELSE
		RETURN QUERY SELECT 'checksum_failures', 'server', NULL::numeric, NULL::numeric,
			'data checksums are off: damage is not noticed (pg_checksums turns them on while the server is down)',
			NULL::text, false;
	END IF;

	-- The rows of dbutil.status() that count what was lost are those that carry
	-- a bare number; they turn to warn with the first loss.
	RETURN QUERY
	SELECT 'dbutil_losses', s.item, CASE s.state WHEN 'warn' THEN s.item_value::numeric ELSE 0 END, NULL::numeric,
		   CASE s.state WHEN 'warn' THEN format('%s: %s; %s', s.item, s.item_value, s.fix) ELSE format('%s: 0', s.item) END,
		   NULL::text, false
	FROM dbutil.status() AS s
	WHERE s.item_value ~ '^[0-9]+$' AND s.item NOT IN ('service', 'library version', 'extension version')
	UNION ALL
	SELECT 'dbutil_losses', 'tracking', NULL, NULL, format('nothing is tracked: %s', s.fix), NULL, false
	FROM dbutil.status() AS s
	WHERE s.item = 'preload' AND s.state <> 'ok';
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_server() IS
	'what the checks on the server, its databases and dbutil itself see, for dbutil.health';

-- What costs more than a glance: files, all settings, collation libraries.
CREATE FUNCTION dbutil.health_measure_configuration() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
BEGIN
	RETURN QUERY
	SELECT 'pending_restart', s.name, 1::numeric, NULL::numeric,
		   format('%s is still %s', s.name, s.setting), NULL::text, false
	FROM pg_settings AS s WHERE s.pending_restart
	UNION ALL
	SELECT 'pending_restart', 'hidden settings', NULL, NULL, 'some settings are hidden', NULL, true
	WHERE NOT pg_has_role('pg_read_all_settings', 'USAGE');

	IF has_table_privilege('pg_file_settings', 'SELECT') AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')
		AND has_table_privilege('pg_hba_file_rules', 'SELECT') AND has_function_privilege('pg_hba_file_rules()', 'EXECUTE')
		AND has_table_privilege('pg_ident_file_mappings', 'SELECT')
		AND has_function_privilege('pg_ident_file_mappings()', 'EXECUTE')
	THEN
		-- a setting that only waits for a restart is listed as not applied, too
		RETURN QUERY
		SELECT 'config_file_errors', format('%s:%s', f.sourcefile, f.sourceline), 1::numeric, NULL::numeric,
			   concat_ws(': ', f.name, f.error), NULL::text, false
		FROM pg_file_settings AS f
		WHERE f.error IS NOT NULL
		  AND NOT EXISTS (SELECT FROM pg_settings AS s WHERE s.pending_restart AND lower(s.name) = lower(f.name))
		UNION ALL
		SELECT 'config_file_errors', format('%s:%s', current_setting('hba_file'), h.line_number), 1, NULL, h.error, NULL, false
		FROM pg_hba_file_rules AS h WHERE h.error IS NOT NULL
		UNION ALL
		SELECT 'config_file_errors', format('%s:%s', current_setting('ident_file'), i.line_number), 1, NULL, i.error, NULL, false
		FROM pg_ident_file_mappings AS i WHERE i.error IS NOT NULL;
	ELSE
		RETURN QUERY SELECT 'config_file_errors', 'configuration files', NULL::numeric, NULL::numeric,
			'the configuration files are hidden', NULL::text, true;
	END IF;

	-- of the many collations only those that something uses
	RETURN QUERY
	SELECT 'collation_version_drift', format('database %I', d.datname), 1::numeric, NULL::numeric,
		   format('made with version %s of its collation, the library now has %s', d.datcollversion, v.actual),
		   format('REINDEX DATABASE %1$I; ALTER DATABASE %1$I REFRESH COLLATION VERSION', d.datname), false
	FROM pg_database AS d
	CROSS JOIN LATERAL pg_database_collation_actual_version(d.oid) AS v(actual)
	WHERE d.datname = current_database() AND d.datcollversion IS NOT NULL
	  AND v.actual IS DISTINCT FROM d.datcollversion
	UNION ALL
	SELECT 'collation_version_drift', format('%I.%I', n.nspname, c.collname), 1, NULL,
		   format('made with version %s, the library now has %s', c.collversion, v.actual),
		   format('ALTER COLLATION %I.%I REFRESH VERSION', n.nspname, c.collname), false
	FROM pg_collation AS c
	JOIN pg_namespace AS n ON n.oid = c.collnamespace
	CROSS JOIN LATERAL pg_collation_actual_version(c.oid) AS v(actual)
	WHERE c.collversion IS NOT NULL
	  AND EXISTS (SELECT FROM pg_depend AS d
				  WHERE d.refclassid = 'pg_collation'::regclass AND d.refobjid = c.oid)
	  AND v.actual IS DISTINCT FROM c.collversion;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_configuration() IS
	'what the checks on settings, configuration files and collations see, for dbutil.health';

-- Replication slots, standbys, archiving.
CREATE FUNCTION dbutil.health_measure_replication() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	see_all boolean := pg_has_role('pg_read_all_stats', 'USAGE');
	in_recovery boolean := pg_is_in_recovery();
	here pg_lsn := CASE WHEN in_recovery THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END;
	received pg_lsn := CASE WHEN in_recovery THEN pg_last_wal_receive_lsn() END;
	replayed pg_lsn;
	receiving boolean;
	at_least numeric;
	at_most numeric;
	apply_delay numeric;
	segments bigint;
	segment bigint;
BEGIN
	-- Since when a slot is inactive, and whether it is a failover slot kept in
	-- step with the primary's (inactive by design), is told from 17 on.
	RETURN QUERY
	WITH slot AS (
		SELECT r.slot_name, r.active, r.temporary, r.wal_status,
			   pg_wal_lsn_diff(here, r.restart_lsn) / 1048576 AS kept_mb,
			   to_jsonb(r) ? 'inactive_since' AS since_known,
			   (to_jsonb(r) ->> 'inactive_since')::timestamptz AS inactive_since,
			   coalesce((to_jsonb(r) ->> 'synced')::boolean, false) AS synced
		FROM pg_replication_slots AS r
	)
	SELECT 'replication_slots', s.slot_name::text, s.kept_mb, NULL::numeric,
		   format('%s slot keeps %s MB of WAL', CASE WHEN s.active THEN 'the active' ELSE 'the inactive' END, round(s.kept_mb)),
		   CASE WHEN NOT s.active THEN format('SELECT pg_drop_replication_slot(%L)', s.slot_name) END, false
	FROM slot AS s WHERE s.kept_mb IS NOT NULL AND s.wal_status IS DISTINCT FROM 'lost'
	UNION ALL
	SELECT 'replication_slots_lost', s.slot_name, CASE s.wal_status WHEN 'lost' THEN 2 WHEN 'unreserved' THEN 1 ELSE 0 END, NULL,
		   format('wal_status is %s', coalesce(s.wal_status, 'not set: the slot keeps no WAL')),
		   CASE WHEN s.wal_status = 'lost' THEN format('SELECT pg_drop_replication_slot(%L)', s.slot_name) END, false
	FROM slot AS s
	UNION ALL
	SELECT 'replication_slots_inactive', s.slot_name,
		   CASE WHEN s.active THEN 0
				WHEN s.since_known THEN extract(epoch FROM clock_timestamp() - s.inactive_since) END, NULL,
		   CASE WHEN s.active THEN 'the slot is in use'
				WHEN s.inactive_since IS NOT NULL THEN format('nobody has used the slot since %s', s.inactive_since)
				WHEN s.since_known THEN 'nobody is using the slot; since when is not recorded'
				ELSE 'nobody is using the slot; since when, PostgreSQL 17 and later tell' END,
		   CASE WHEN NOT s.active THEN format('SELECT pg_drop_replication_slot(%L)', s.slot_name) END, false
	FROM slot AS s WHERE NOT s.synced AND s.wal_status IS DISTINCT FROM 'lost';

	-- A base backup is a walsender, too, but replays nothing.
	RETURN QUERY
	SELECT DISTINCT ON (2)
		   'replica_lag', coalesce(r.application_name, 'unknown'),
		   pg_wal_lsn_diff(here, r.replay_lsn) / 1048576, NULL::numeric,
		   CASE WHEN see_all THEN format('%s of session %s, state %s', coalesce(pg_size_pretty(pg_wal_lsn_diff(here, r.replay_lsn)), 'unknown'), r.pid, r.state)
				ELSE 'what walsenders of other roles do is hidden' END,
		   NULL::text, NOT see_all AND r.state IS NULL
	FROM pg_stat_replication AS r
	WHERE r.state IS NULL OR r.state IN ('streaming', 'catchup')
	ORDER BY 2, 3 DESC NULLS FIRST;		-- the unknown is the worst

	-- For how long, at least, WAL that was received has been waiting for its
	-- replay.  The age of the last replayed commit is more than that if the primary
	-- was quiet before, or busy with one long transaction; it is an upper bound only.
	-- A lower bound is when the file that holds the next byte to replay was last
	-- written, on this server's own clock: exact but for the time in which one
	-- segment filled.  Where replay stands still in the file that is being written
	-- and the two are far apart, the truth is unknown, until it lasts.  Without a receiver an idle primary and a
	-- lost one look the same.
	IF in_recovery THEN
		replayed := pg_last_wal_replay_lsn();
		receiving := EXISTS (SELECT FROM pg_stat_wal_receiver);
		apply_delay := extract(epoch FROM (current_setting('recovery_min_apply_delay'))::interval);
		at_most := greatest(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) - apply_delay, 0);
		IF receiving AND replayed < received AND has_function_privilege('pg_ls_waldir()', 'EXECUTE') THEN
			segments := 4294967296 / pg_size_bytes(current_setting('wal_segment_size'));
			segment := div(replayed - '0/0', pg_size_bytes(current_setting('wal_segment_size')));
			at_least := (SELECT greatest(extract(epoch FROM clock_timestamp() - max(f.modification)) - apply_delay, 0)
						 FROM pg_ls_waldir() AS f
						 WHERE right(f.name, 16) = upper(lpad(to_hex(segment / segments), 8, '0') || lpad(to_hex(segment % segments), 8, '0')));
		END IF;
		RETURN QUERY SELECT 'replay_delay', 'server',
			CASE WHEN NOT receiving THEN NULL
				 WHEN replayed >= received OR at_most = 0 THEN 0
				 -- it went on while we looked, or the next byte is in a file that is full
				 WHEN replayed > here OR segment < div(received - '0/0' - 1, pg_size_bytes(current_setting('wal_segment_size'))) THEN at_least
				 WHEN at_most <= 2 * coalesce(at_least, 0) + 1 THEN coalesce(at_least, at_most) END, NULL::numeric,
			CASE WHEN NOT receiving THEN 'no WAL receiver is running: how far the primary is cannot be known'
				 WHEN replayed >= received THEN 'all WAL that was received is replayed'
				 WHEN at_least IS NULL THEN format('%s of WAL wait to be replayed; since when is hidden', pg_size_pretty(received - replayed))
				 WHEN at_most IS NULL THEN format('%s of WAL wait to be replayed, since %s s or longer; no transaction has been replayed since this server started', pg_size_pretty(received - replayed), round(at_least))
				 ELSE format('%s of WAL wait to be replayed, since between %s and %s s', pg_size_pretty(received - replayed), round(least(at_least, at_most)), round(at_most)) END, NULL::text,
			receiving AND replayed < received AND at_least IS NULL AND coalesce(at_most > 1, true);
	END IF;

	-- The age of the oldest file that is ready says for how long archiving has
	-- been failing or hanging; pg_stat_archiver could not tell that from a
	-- quiet server.
	IF current_setting('archive_mode') = 'always' OR (current_setting('archive_mode') = 'on' AND NOT in_recovery) THEN
		IF has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE') THEN
			RETURN QUERY
			SELECT 'archiver', 'server', coalesce(greatest(extract(epoch FROM clock_timestamp() - min(f.modification)), 0), 0),
				   NULL::numeric, format('%s files wait to be archived', count(*)), NULL::text, false
			FROM pg_ls_archive_statusdir() AS f WHERE f.name LIKE '%.ready';
		ELSE
			RETURN QUERY SELECT 'archiver', 'server', NULL::numeric, NULL::numeric,
				'the list of files to be archived is hidden', NULL::text, true;
		END IF;
	END IF;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_replication() IS
	'what the checks on replication slots, standbys and archiving see, for dbutil.health';

-- Tables, constraints and triggers of the current database, from its catalogs
-- and statistics.  What extensions brought, temporary tables and the system's
-- own are left to those who made them.
CREATE FUNCTION dbutil.health_measure_tables() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	counting boolean := current_setting('track_counts');
	server_version integer := current_setting('server_version_num');
	base_threshold numeric := current_setting('autovacuum_vacuum_threshold');
	base_scale numeric := current_setting('autovacuum_vacuum_scale_factor');
	base_max numeric := coalesce(current_setting('autovacuum_vacuum_max_threshold', true), '-1');	-- from 18 on
BEGIN
	-- A table that is being vacuumed is not overdue.  VACUUM's lock says so to
	-- roles that may not read its progress.  Catalogs count here, too.
	RETURN QUERY
	WITH full_of_dead AS MATERIALIZED (
		SELECT c.oid, c.relname, c.relnamespace, c.reltuples, c.reloptions, pg_stat_get_dead_tuples(c.oid) AS dead
		FROM pg_class AS c
		WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND pg_stat_get_dead_tuples(c.oid) > 10000
	)
	SELECT 'vacuum_overdue', format('%I.%I', n.nspname, f.relname), 100 * f.dead / greatest(v.starts_at, 1), NULL::numeric,
		   format('%s dead rows, vacuumed last: %s', f.dead,
				  coalesce(greatest(pg_stat_get_last_vacuum_time(f.oid), pg_stat_get_last_autovacuum_time(f.oid))::text, 'never'))
		   || CASE WHEN NOT o.enabled::boolean THEN '; autovacuum is off for this table' ELSE '' END,
		   format('VACUUM %I.%I', n.nspname, f.relname), false
	FROM full_of_dead AS f
	JOIN pg_namespace AS n ON n.oid = f.relnamespace
	CROSS JOIN LATERAL (
		SELECT max(p.option_value) FILTER (WHERE p.option_name = 'autovacuum_enabled') AS enabled,
			   max(p.option_value) FILTER (WHERE p.option_name = 'autovacuum_vacuum_threshold')::numeric AS threshold,
			   max(p.option_value) FILTER (WHERE p.option_name = 'autovacuum_vacuum_scale_factor')::numeric AS scale,
			   max(p.option_value) FILTER (WHERE p.option_name = 'autovacuum_vacuum_max_threshold')::numeric AS max_threshold
		FROM pg_options_to_table(f.reloptions) AS p) AS o
	CROSS JOIN LATERAL (
		-- least() and greatest() pass over NULL
		SELECT least(coalesce(o.threshold, base_threshold) + coalesce(o.scale, base_scale)
					 * greatest(f.reltuples, pg_stat_get_live_tuples(f.oid), 0)::numeric,
					 CASE WHEN coalesce(o.max_threshold, base_max) >= 0 THEN coalesce(o.max_threshold, base_max) END)) AS v(starts_at)
	WHERE NOT EXISTS (
		SELECT FROM pg_locks AS l
		WHERE l.locktype = 'relation' AND l.relation = f.oid AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
		  AND l.database IN (0, (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())));

	-- Partitions are told by their parent.  A table that only grows does well
	-- without a key; so the rows changed are what counts.
	RETURN QUERY
	WITH keyless AS MATERIALIZED (
		SELECT c.oid, c.relkind, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) AS table_name
		FROM pg_class AS c
		JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
		  AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
		  AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident))
		  AND NOT EXISTS (SELECT FROM pg_depend AS d
						  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
	)
	SELECT 'table_without_primary_key', k.table_name, CASE WHEN counting THEN s.changed END, NULL::numeric,
		   CASE WHEN counting THEN format('%s rows were updated or deleted', s.changed) ELSE 'track_counts is off' END,
		   -- a unique index that could serve as one
		   (SELECT format('ALTER TABLE %s ADD PRIMARY KEY USING INDEX %I', k.table_name, x.relname)
			FROM pg_index AS i
			JOIN pg_class AS x ON x.oid = i.indexrelid
			WHERE i.indrelid = k.oid AND k.relkind = 'r' AND i.indisunique AND i.indisvalid AND i.indimmediate
			  AND i.indpred IS NULL AND i.indexprs IS NULL AND 0 = ALL (i.indoption)
			  AND NOT EXISTS (SELECT FROM pg_constraint AS q WHERE q.conindid = i.indexrelid AND q.contype IN ('u', 'x'))
			  AND NOT EXISTS (SELECT FROM pg_attribute AS a
							  WHERE a.attrelid = k.oid AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull)
			ORDER BY i.indexrelid LIMIT 1), false
	FROM keyless AS k
	CROSS JOIN LATERAL (
		WITH RECURSIVE part(oid) AS (
			SELECT k.oid
			UNION ALL
			SELECT h.inhrelid FROM part AS p JOIN pg_inherits AS h ON h.inhparent = p.oid WHERE k.relkind = 'p'
		)
		SELECT coalesce(sum(pg_stat_get_tuples_updated(p.oid) + pg_stat_get_tuples_deleted(p.oid)), 0)
		FROM part AS p) AS s(changed);

	-- Served by: an index whose leading columns are the key's, in any order,
	-- whole, or partial for nothing but NULLs (which no look-up asks for).
	RETURN QUERY
	SELECT 'foreign_key_without_index', format('%I.%I %I', n.nspname, c.relname, k.conname),
		   greatest(c.reltuples, 0)::numeric, NULL::numeric,
		   format('no index leads with (%s), where deletes and key updates in %I.%I look', cols.list, rn.nspname, r.relname),
		   format('CREATE INDEX %sON %I.%I (%s)', CASE c.relkind WHEN 'p' THEN '' ELSE 'CONCURRENTLY ' END,
				  n.nspname, c.relname, cols.list), false
	FROM pg_constraint AS k
	JOIN pg_class AS c ON c.oid = k.conrelid
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
	JOIN pg_class AS r ON r.oid = k.confrelid
	JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
	CROSS JOIN LATERAL (
		SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.ord)
		FROM unnest(k.conkey) WITH ORDINALITY AS u(num, ord)
		JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.num) AS cols(list)
	WHERE k.contype = 'f' AND k.conparentid = 0
	  AND c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\_%'
	  AND NOT EXISTS (
		SELECT FROM pg_index AS i
		JOIN pg_class AS x ON x.oid = i.indexrelid
		JOIN pg_am AS m ON m.oid = x.relam
		WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indnkeyatts >= cardinality(k.conkey)
		  AND m.amname IN ('btree', 'hash')
		  AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
		  AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] <@ k.conkey
		  AND (i.indpred IS NULL
			   OR cardinality(k.conkey) = 1
				  AND i.indpred::text LIKE format('{NULLTEST :arg {VAR :varno 1 :varattno %s %% :nulltesttype 1 %%', k.conkey[1])))
	  AND (server_version < 180000 OR (to_jsonb(k) ->> 'conenforced')::boolean)
	  AND NOT EXISTS (SELECT FROM pg_depend AS d
					  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');

	-- Inherited constraints follow their parent; one that is declared NOT
	-- ENFORCED (from 18 on) is not to be checked at all.
	RETURN QUERY
	SELECT 'unvalidated_constraints', format('%I.%I %I', n.nspname, coalesce(c.relname, t.typname), k.conname),
		   1::numeric, NULL::numeric,
		   CASE k.contype WHEN 'f' THEN 'rows older than this foreign key were never checked'
						  ELSE 'rows older than this constraint were never checked' END,
		   format('ALTER %s %I.%I VALIDATE CONSTRAINT %I',
				  CASE WHEN t.oid IS NOT NULL THEN 'DOMAIN' WHEN c.relkind = 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
				  n.nspname, coalesce(c.relname, t.typname), k.conname), false
	FROM pg_constraint AS k
	LEFT JOIN pg_class AS c ON c.oid = k.conrelid
	LEFT JOIN pg_type AS t ON t.oid = k.contypid
	JOIN pg_namespace AS n ON n.oid = coalesce(c.relnamespace, t.typnamespace)
	WHERE NOT k.convalidated AND k.conparentid = 0 AND k.conislocal
	  AND coalesce(c.relpersistence, 'p') <> 't' AND n.nspname NOT LIKE 'pg\_%'
	  AND (server_version < 180000 OR (to_jsonb(k) ->> 'conenforced')::boolean);

	-- A partition's trigger is told only if its parent's is enabled.
	RETURN QUERY
	SELECT DISTINCT ON (2)
		   'disabled_triggers', format('%I.%I %I', n.nspname, c.relname, coalesce(k.conname, g.tgname)),
		   1::numeric, NULL::numeric,
		   CASE WHEN g.tgisinternal THEN 'the constraint is not enforced when this table changes'
				ELSE 'the trigger is disabled' END,
		   CASE WHEN g.tgisinternal THEN format('ALTER TABLE %I.%I ENABLE TRIGGER ALL', n.nspname, c.relname)
				ELSE format('ALTER TABLE %I.%I ENABLE TRIGGER %I', n.nspname, c.relname, g.tgname) END, false
	FROM pg_trigger AS g
	JOIN pg_class AS c ON c.oid = g.tgrelid
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
	LEFT JOIN pg_constraint AS k ON k.oid = g.tgconstraint AND g.tgisinternal
	WHERE g.tgenabled = 'D' AND c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\_%'
	  AND NOT EXISTS (SELECT FROM pg_trigger AS p WHERE p.oid = g.tgparentid AND p.tgenabled = 'D')
	ORDER BY 2;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_tables() IS
	'what the checks on tables, constraints and triggers of the current database see, for dbutil.health';

-- Indexes of the current database.  Sizes are relpages, as of the last VACUUM,
-- ANALYZE or CREATE INDEX: asking for the real size would wait for locks.
CREATE FUNCTION dbutil.health_measure_indexes() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	page_mb numeric := current_setting('block_size')::numeric / 1048576;
	counting boolean := current_setting('track_counts');
	min_pages integer := ceil(1 / page_mb);		-- a megabyte
	stats_days numeric;
BEGIN
	-- CREATE INDEX CONCURRENTLY leaves its index invalid while it runs; the lock
	-- that it holds on the table all may see.
	RETURN QUERY
	SELECT 'invalid_indexes', format('%I.%I', n.nspname, x.relname), x.relpages * page_mb, NULL::numeric,
		   CASE x.relkind WHEN 'I' THEN format('some partitions of %I have no index attached to it', c.relname)
						  ELSE format('an index of %I that was not built to the end, or is being dropped', c.relname) END,
		   -- a partitioned index becomes valid when all of its partitions have theirs
		   CASE WHEN x.relkind = 'I' THEN NULL
				WHEN x.relname ~ '_cc(new|old)\d*$' THEN format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, x.relname)
				ELSE format('REINDEX INDEX CONCURRENTLY %I.%I', n.nspname, x.relname) END, false
	FROM pg_index AS i
	JOIN pg_class AS x ON x.oid = i.indexrelid
	JOIN pg_class AS c ON c.oid = i.indrelid
	JOIN pg_namespace AS n ON n.oid = x.relnamespace
	WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND x.relpersistence <> 't'
	  AND NOT EXISTS (
		SELECT FROM pg_locks AS l
		WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
		  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()));

	-- Duplicates: the same in all that decides what an index can do.  Of each
	-- such set the one that guards most stays, then the oldest; a unique index
	-- guards what it guards, and NULLs and the time of the check are part of
	-- that.  Expressions are compared as they are stored, less their place in
	-- the source text.
	RETURN QUERY
	WITH alike AS MATERIALIZED (
		SELECT array_agg(i.indexrelid) AS members
		FROM pg_index AS i
		WHERE i.indisvalid AND NOT i.indisexclusion
		GROUP BY i.indrelid, i.indnkeyatts, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text
		HAVING count(*) > 1
	), candidate AS MATERIALIZED (
		SELECT i.indexrelid, i.indrelid, i.indisunique, x.relpages, x.relispartition, n.nspname, x.relname,
			   i.indisprimary OR i.indisreplident AS is_key,
			   (SELECT k.conname FROM pg_depend AS d JOIN pg_constraint AS k ON k.oid = d.refobjid
				WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
				  AND d.refclassid = 'pg_constraint'::regclass AND d.deptype = 'i') AS conname,
			   -- by a foreign key
			   EXISTS (SELECT FROM pg_depend AS d
					   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indexrelid
						 AND d.classid = 'pg_constraint'::regclass) AS is_referenced,
			   CASE WHEN i.indisunique THEN concat_ws(' ', i.indimmediate, i.indnullsnotdistinct) END AS guard,
			   concat_ws(' / ', x.relam, i.indnkeyatts, i.indkey, i.indclass, i.indcollation, i.indoption,
						 coalesce(regexp_replace(i.indexprs::text, ':location -?\d+', '', 'g'), ''),
						 coalesce(regexp_replace(i.indpred::text, ':location -?\d+', '', 'g'), ''),
						 (SELECT string_agg(a.attoptions::text, ' ' ORDER BY a.attnum) FROM pg_attribute AS a
						  WHERE a.attrelid = i.indexrelid AND a.attoptions IS NOT NULL)) AS shape
		FROM alike AS s
		CROSS JOIN unnest(s.members) AS u(indexrelid)
		JOIN pg_index AS i ON i.indexrelid = u.indexrelid
		JOIN pg_class AS x ON x.oid = i.indexrelid
		JOIN pg_namespace AS n ON n.oid = x.relnamespace
		WHERE x.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
	), paired AS (
		SELECT c.*, first_value(c.indexrelid) OVER w AS keep_oid, first_value(c.relname) OVER w AS keep_name,
			   first_value(c.indexrelid) OVER g AS guard_oid, first_value(c.relname) OVER g AS guard_name
		FROM candidate AS c
		WINDOW w AS (PARTITION BY c.indrelid, c.shape
					 ORDER BY c.is_key DESC, c.is_referenced DESC, c.conname IS NOT NULL DESC, c.indisunique DESC,
							  c.relispartition DESC, c.indexrelid),
			   g AS (PARTITION BY c.indrelid, c.shape, c.guard
					 ORDER BY c.is_key DESC, c.is_referenced DESC, c.conname IS NOT NULL DESC, c.indisunique DESC,
							  c.relispartition DESC, c.indexrelid)
	)
	SELECT 'duplicate_indexes', format('%I.%I', p.nspname, p.relname), p.relpages * page_mb, NULL::numeric,
		   format('it does nothing that %I does not', CASE WHEN p.indisunique THEN p.guard_name ELSE p.keep_name END),
		   CASE WHEN p.conname IS NOT NULL THEN format('ALTER TABLE %I.%I DROP CONSTRAINT %I', cn.nspname, c.relname, p.conname)
				WHEN c.relkind = 'p' THEN format('DROP INDEX %I.%I', p.nspname, p.relname)
				ELSE format('DROP INDEX CONCURRENTLY %I.%I', p.nspname, p.relname) END, false
	FROM paired AS p
	JOIN pg_class AS c ON c.oid = p.indrelid
	JOIN pg_namespace AS cn ON cn.oid = c.relnamespace
	WHERE p.indexrelid <> CASE WHEN p.indisunique THEN p.guard_oid ELSE p.keep_oid END
	  AND NOT p.is_key AND NOT p.is_referenced
	  AND NOT p.relispartition;		-- told by its parent, and not to be dropped alone

	-- Scans are counted where they happen, so a standby cannot judge.  The
	-- archiver's statistics are as old as the last start after initdb or a
	-- crash, when all others began anew, too.
	IF NOT pg_is_in_recovery() THEN
		SELECT extract(epoch FROM clock_timestamp() - greatest(d.stats_reset, a.stats_reset)) / 86400
		INTO stats_days
		FROM pg_stat_database AS d, pg_stat_archiver AS a
		WHERE d.datname = current_database();
		RETURN QUERY
		SELECT 'unused_indexes', format('%I.%I', n.nspname, x.relname),
			   CASE WHEN counting THEN x.relpages * page_mb END, coalesce(stats_days, 0),
			   CASE WHEN counting THEN format('used by %s scans in %s days', pg_stat_get_numscans(x.oid), round(stats_days, 1))
					ELSE 'track_counts is off' END,
			   format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, x.relname), false
		FROM pg_class AS x
		JOIN pg_index AS i ON i.indexrelid = x.oid
		JOIN pg_namespace AS n ON n.oid = x.relnamespace
		WHERE x.relpages >= min_pages AND x.relkind = 'i' AND x.relpersistence <> 't' AND NOT x.relispartition
		  AND i.indisvalid AND NOT (i.indisunique OR i.indisexclusion OR i.indisreplident)
		  AND i.indexprs IS NULL		-- these feed the planner with statistics
		  AND n.nspname NOT LIKE 'pg\_%'
		  AND pg_stat_get_numscans(x.oid) <= 20
		  AND NOT EXISTS (SELECT FROM pg_depend AS d
						  WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indrelid AND d.deptype = 'e');
	END IF;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_indexes() IS
	'what the checks on indexes of the current database see, for dbutil.health';

-- Sequences.  pg_sequences keeps a lock on each sequence it looks at until the
-- transaction ends, so ten thousand of them would fill the lock table.
CREATE FUNCTION dbutil.health_sequence_position(seq oid) RETURNS bigint
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_health_sequence_position';
COMMENT ON FUNCTION dbutil.health_sequence_position(oid) IS
	'where a sequence stands, without waiting for a lock or keeping one. NULL: no such sequence, it is locked against reading or is not there on a standby, or you have neither SELECT nor USAGE on it';

CREATE FUNCTION dbutil.health_measure_sequences() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
BEGIN
	-- A sequence feeds the columns that own it (serial, identity) and those
	-- whose default draws from it.  One that cycles has no end.
	RETURN QUERY
	WITH source AS MATERIALIZED (
		SELECT c.oid, n.nspname, c.relname, q.seqtypid, q.seqmin, q.seqmax, q.seqincrement
		FROM pg_sequence AS q
		JOIN pg_class AS c ON c.oid = q.seqrelid
		JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE NOT q.seqcycle AND c.relpersistence <> 't'
	), feeds AS (
		SELECT s.oid, d.refobjid AS relid, d.refobjsubid AS num
		FROM source AS s
		JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
		WHERE d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
		UNION
		SELECT s.oid, f.adrelid, f.adnum
		FROM source AS s
		JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid
		JOIN pg_attrdef AS f ON f.oid = d.objid
		WHERE d.classid = 'pg_attrdef'::regclass
	), narrowest AS (
		SELECT DISTINCT ON (f.oid) f.oid, f.relid, a.attname, w.bytes
		FROM feeds AS f
		JOIN pg_attribute AS a ON a.attrelid = f.relid AND a.attnum = f.num
		-- a domain may be over a domain
		CROSS JOIN LATERAL (
			WITH RECURSIVE base AS (
				SELECT t.oid, t.typbasetype FROM pg_type AS t WHERE t.oid = a.atttypid
				UNION ALL
				SELECT t.oid, t.typbasetype FROM base AS b JOIN pg_type AS t ON t.oid = b.typbasetype
			)
			SELECT CASE b.oid WHEN 'int2'::regtype THEN 2 WHEN 'int4'::regtype THEN 4 ELSE 8 END
			FROM base AS b WHERE b.typbasetype = 0) AS w(bytes)
		ORDER BY f.oid, w.bytes, f.relid, f.num
	), reach AS (
		SELECT s.*, v.relid, v.attname, coalesce(v.bytes, 8) AS bytes, z.stands_at,
			   -- the first and the last value it can give to its column, in its direction
			   CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END::numeric AS first_value,
			   CASE WHEN s.seqincrement > 0 THEN least(s.seqmax, round(2::numeric ^ (8 * coalesce(v.bytes, 8) - 1)) - 1)
					ELSE greatest(s.seqmin, -round(2::numeric ^ (8 * coalesce(v.bytes, 8) - 1))) END AS final_value
		FROM source AS s
		LEFT JOIN narrowest AS v ON v.oid = s.oid
		CROSS JOIN LATERAL (SELECT dbutil.health_sequence_position(s.oid)) AS z(stands_at)
	)
	SELECT 'sequence_exhaustion', format('%I.%I', r.nspname, r.relname),
		   CASE WHEN r.final_value = r.first_value THEN 100 * sign(abs(r.stands_at - r.first_value))
				ELSE 100 * (r.stands_at - r.first_value) / (r.final_value - r.first_value) END, NULL::numeric,
		   CASE WHEN r.stands_at IS NULL THEN 'the value of the sequence is hidden, or it is locked'
				WHEN r.relid IS NULL THEN format('at %s of %s', r.stands_at, r.final_value)
				ELSE format('at %s of %s, for %I.%I (%I)', r.stands_at, r.final_value, tn.nspname, t.relname, r.attname) END,
		   CASE WHEN r.stands_at IS NULL THEN NULL
				WHEN r.relid IS NOT NULL AND r.bytes < 8
				THEN format('ALTER TABLE %I.%I ALTER COLUMN %I TYPE bigint; ALTER SEQUENCE %I.%I AS bigint',
							tn.nspname, t.relname, r.attname, r.nspname, r.relname)
				WHEN r.seqtypid <> 'int8'::regtype THEN format('ALTER SEQUENCE %I.%I AS bigint', r.nspname, r.relname)
				WHEN r.seqincrement > 0 AND r.seqmax < 9223372036854775807 THEN format('ALTER SEQUENCE %I.%I NO MAXVALUE', r.nspname, r.relname)
				END,
		   r.stands_at IS NULL AND NOT coalesce(has_sequence_privilege(r.oid, 'SELECT, USAGE'), true)
	FROM reach AS r
	LEFT JOIN pg_class AS t ON t.oid = r.relid
	LEFT JOIN pg_namespace AS tn ON tn.oid = t.relnamespace;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_sequences() IS
	'how much is used of each sequence of the current database, for dbutil.health';

-- The judge: puts what was measured beside the thresholds that hold for it.
CREATE FUNCTION dbutil.health(level text DEFAULT 'full',
	OUT check_name text, OUT object_name text, OUT status text, OUT value numeric, OUT unit text,
	OUT warn numeric, OUT critical numeric, OUT message text, OUT advice text,
	OUT suggested_sql text, OUT silenced boolean, OUT needs text)
	RETURNS SETOF record
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	-- a look at the server's health takes no workers from it, and compiles nothing
	SET max_parallel_workers_per_gather = 0
	SET jit = off
	AS $function$
DECLARE
	want_full boolean := level = 'full';
	measure text;
	seen dbutil.health_measure[];
	measures dbutil.health_measure[];
	failed text[] := '{}';
BEGIN
	IF level IS NULL OR level NOT IN ('quick', 'full') THEN
		RAISE EXCEPTION 'invalid value for parameter "level": "%"', coalesce(level, 'null')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Use one of: quick, full.';
	END IF;

	-- A measure that fails makes its checks unknown and leaves the others alone.
	FOR measure IN SELECT DISTINCT c.measured_by FROM dbutil.health_checks AS c
				   WHERE c.level = 'quick' OR want_full ORDER BY 1
	LOOP
		BEGIN
			EXECUTE format('SELECT array_agg(m) FROM dbutil.%I() AS m', 'health_measure_' || measure) INTO seen;
			measures := measures || seen;
		EXCEPTION WHEN OTHERS THEN
			measures := measures || ARRAY(
				SELECT (c.check_name, 'all', NULL, NULL, SQLERRM, NULL, SQLSTATE = '42501')::dbutil.health_measure
				FROM dbutil.health_checks AS c
				WHERE c.measured_by = measure AND (c.level = 'quick' OR want_full));
			failed := failed || measure;
		END;
	END LOOP;

	RETURN QUERY
	WITH judged AS (
		SELECT c.check_name, coalesce(m.object_name, 'none') AS object_name, c.unit, m.value,
			   t.warn, t.critical, m.evidence, t.min_evidence, c.evidence_unit, c.description, c.advice, c.needs,
			   m.message, m.suggested_sql, m.hidden, c.measured_by,
			   CASE WHEN m.check_name IS NULL THEN 'ok'		-- nothing to find fault with
					WHEN m.value IS NULL OR m.evidence < t.min_evidence THEN 'unknown'
					WHEN CASE WHEN c.lower_is_worse THEN m.value <= t.critical ELSE m.value >= t.critical END THEN 'critical'
					WHEN CASE WHEN c.lower_is_worse THEN m.value <= t.warn ELSE m.value >= t.warn END THEN 'warn'
					ELSE 'ok' END AS status
		FROM dbutil.health_checks AS c
		LEFT JOIN unnest(measures) AS m ON m.check_name = c.check_name
		LEFT JOIN LATERAL (
			SELECT h.* FROM dbutil.health_settings AS h
			WHERE h.check_name = c.check_name AND coalesce(m.object_name, 'none') LIKE h.object_pattern
			ORDER BY length(h.object_pattern) DESC, h.object_pattern COLLATE "C" LIMIT 1) AS s ON true
		CROSS JOIN LATERAL (
			SELECT coalesce(s.warn, c.warn), coalesce(s.critical, c.critical),
				   coalesce(s.min_evidence, c.min_evidence)) AS t(warn, critical, min_evidence)
		WHERE (c.level = 'quick' OR want_full) AND coalesce(s.enabled, true)
	)
	SELECT j.check_name, j.object_name, j.status, round(j.value, 2), j.unit, j.warn, j.critical,
		   CASE WHEN j.status = 'unknown' AND j.value IS NOT NULL
				THEN format('not judged yet, %s of %s %s: %s', round(j.evidence, 1), j.min_evidence, j.evidence_unit, j.message)
				ELSE coalesce(j.message, j.description || ': none') END,
		   j.advice, CASE WHEN j.status IN ('warn', 'critical') THEN j.suggested_sql END,
		   EXISTS (SELECT FROM dbutil.health_silences AS q
				   WHERE q.check_name = j.check_name AND j.object_name LIKE q.object_pattern
					 AND q.silenced_until > clock_timestamp()),
		   CASE WHEN j.status <> 'unknown' THEN NULL
				WHEN j.hidden THEN j.needs
				WHEN j.measured_by = ANY (failed) THEN 'a check that works' END
	FROM judged AS j;
END $function$;
COMMENT ON FUNCTION dbutil.health(text) IS
	'one row per check and object: status ok | warn | critical | unknown, value in unit with the thresholds that hold for it, what was seen, advice, for warn and critical SQL to think about before running it (NULL: none), silenced by dbutil.health_silences, and needs: the privilege that an unknown lacks (NULL: it lacks something else, see message). A check that found no object says ok for "none". level: quick (sessions, server, replication; no catalogs of user tables) | full. Error: 22023 another level';

CREATE VIEW dbutil.health AS
	SELECT h.check_name, h.object_name, h.status, h.value, h.unit, h.warn, h.critical,
		   h.message, h.advice, h.suggested_sql, h.silenced, h.needs
	FROM dbutil.health('full') AS h;
COMMENT ON VIEW dbutil.health IS
	'all health checks of the server and the current database, as your role sees them; see the function of the same name';
GRANT SELECT ON dbutil.health TO PUBLIC;

-- What tracking and pg_stat_activity know of one service.
CREATE FUNCTION dbutil.health_service(service text) RETURNS jsonb
	LANGUAGE plpgsql STABLE STRICT
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	tracked jsonb;
	sessions jsonb;
BEGIN
	-- state is hidden, and NULL, in sessions of other roles
	SELECT jsonb_build_object(
			   'connections', count(*),
			   'active', CASE WHEN coalesce(bool_and(a.state IS NOT NULL), true) THEN count(*) FILTER (WHERE a.state = 'active') END,
			   'idle_in_transaction', CASE WHEN coalesce(bool_and(a.state IS NOT NULL), true)
										   THEN count(*) FILTER (WHERE a.state LIKE 'idle in transaction%') END,
			   'waiting_for_lock', CASE WHEN coalesce(bool_and(a.state IS NOT NULL), true)
										THEN count(*) FILTER (WHERE a.wait_event_type = 'Lock') END,
			   'longest_transaction_s', CASE WHEN coalesce(bool_and(a.state IS NOT NULL), true)
											 THEN round(coalesce(max(extract(epoch FROM clock_timestamp() - a.xact_start)), 0), 1) END)
	INTO sessions
	FROM pg_stat_activity AS a
	WHERE a.application_name = health_service.service AND a.datid IS NOT NULL AND a.pid <> pg_backend_pid();

	BEGIN
		SELECT to_jsonb(s) - 'service' INTO tracked
		FROM dbutil.services AS s WHERE s.service = health_service.service;
		tracked := coalesce(tracked, jsonb_build_object('calls', 0)) || (
			SELECT jsonb_build_object(
					   'mean_transaction_ms', sum(t.total_time) / nullif(sum(t.commits + t.rollbacks), 0),
					   'max_transaction_ms', max(t.max_time), 'max_commit_ms', max(t.max_commit_time))
			FROM dbutil.transactions AS t WHERE t.service = health_service.service);
		tracked := tracked || '{"status": "ok"}';
	EXCEPTION WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN
		-- tracking needs preload; the verdict does not
		tracked := jsonb_build_object('status', 'unknown', 'reason', SQLERRM);
	END;
	RETURN jsonb_build_object('name', service, 'sessions', sessions, 'tracked', tracked);
END $function$;
COMMENT ON FUNCTION dbutil.health_service(text) IS
	'one service for dbutil.check_database_health: sessions are the other sessions whose application_name it is (null where your role may not see what they do), tracked its totals in dbutil.services and dbutil.transactions since the last reset, times in milliseconds; status unknown with a reason where nothing is tracked';

CREATE FUNCTION dbutil.check_database_health(service text DEFAULT NULL, level text DEFAULT 'full')
	RETURNS jsonb
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	report jsonb;
	started timestamptz := pg_postmaster_start_time();
BEGIN
	-- A check counts once, with the worst of its objects, so that a thousand
	-- small findings do not hide a big one, nor a thousand good objects a bad.
	WITH found AS MATERIALIZED (
		SELECT h.*, array_position(ARRAY['critical', 'warn', 'unknown', 'ok'], h.status) AS severity
		FROM dbutil.health(level) AS h
	), per_check AS (
		SELECT f.check_name, min(f.severity) FILTER (WHERE NOT f.silenced) AS severity,
			   bool_or(f.status = 'unknown' AND f.needs IN ('pg_monitor', 'a check that works') AND NOT f.silenced) AS blind
		FROM found AS f GROUP BY f.check_name
	), counts AS (
		SELECT count(*) FILTER (WHERE p.severity = 1) AS critical,
			   count(*) FILTER (WHERE p.severity = 2) AS warn,
			   count(*) FILTER (WHERE p.severity = 3) AS not_known,
			   count(*) FILTER (WHERE p.severity = 4) AS ok,
			   bool_or(p.blind) AS blind
		FROM per_check AS p
	), worst AS (
		SELECT f.* FROM found AS f
		WHERE f.severity <= 2 AND NOT f.silenced
		ORDER BY f.severity, f.check_name, f.value DESC, f.object_name
		LIMIT 20
	)
	SELECT jsonb_build_object(
		'status', CASE WHEN c.critical > 0 THEN 'critical' WHEN c.warn > 0 THEN 'warn' WHEN c.blind THEN 'unknown' ELSE 'ok' END,
		'score', CASE WHEN c.critical + c.warn + c.ok > 0 THEN greatest(0, 100 - 25 * c.critical - 5 * c.warn) END,
		'level', level,
		'checked_at', clock_timestamp(),
		'counts', jsonb_build_object('ok', c.ok, 'warn', c.warn, 'critical', c.critical, 'unknown', c.not_known,
									 'silenced', (SELECT count(*) FROM found AS f WHERE f.severity <= 2 AND f.silenced)),
		'findings_total', (SELECT count(*) FROM found AS f WHERE f.severity <= 2 AND NOT f.silenced),
		'findings', coalesce((
			SELECT jsonb_agg(jsonb_build_object(
				'check', w.check_name, 'object', w.object_name, 'status', w.status, 'value', w.value, 'unit', w.unit,
				'warn', w.warn, 'critical', w.critical, 'message', w.message, 'advice', w.advice,
				'suggested_sql', w.suggested_sql)
				ORDER BY w.severity, w.check_name, w.value DESC, w.object_name)
			FROM worst AS w), '[]'),
		'unknown', coalesce((
			SELECT jsonb_agg(jsonb_build_object('check', u.check_name, 'objects', u.objects, 'needs', u.needs, 'message', u.message)
							 ORDER BY u.check_name)
			FROM (SELECT f.check_name, count(*) AS objects, min(f.needs) AS needs, min(f.message) AS message
				  FROM found AS f WHERE f.severity = 3 AND NOT f.silenced
				  GROUP BY f.check_name) AS u), '[]'))
	INTO report
	FROM counts AS c;

	report := report || jsonb_build_object('server', jsonb_build_object(
		'version', current_setting('server_version'),
		'version_num', current_setting('server_version_num')::integer,
		'dbutil', dbutil.version(),
		'database', current_database(),
		'role', CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END,
		'in_recovery', pg_is_in_recovery(),
		'started_at', started,
		'uptime_s', floor(extract(epoch FROM clock_timestamp() - started))));
	IF service IS NOT NULL THEN
		report := report || jsonb_build_object('service', dbutil.health_service(service));
	END IF;
	RETURN report;
END $function$;
COMMENT ON FUNCTION dbutil.check_database_health(text, text) IS
	'what a service''s /health endpoint returns. status: critical or warn if a check is, else unknown if your role lacks pg_monitor or a check failed, else ok. score: 100 less 25 for each critical check and 5 for each warning. counts: checks by their worst object, and findings silenced. findings: the 20 worst of findings_total; unknown: checks that could not judge, and why; server: facts; service (its name given): dbutil.health_service. level: quick | full. Error: 22023 another level';
