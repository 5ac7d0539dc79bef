
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
