
-- bulk: insert, update and delete of many rows in one call

CREATE TYPE dbutil.bulk_result AS (
	job text, op text, path text, path_reason text,
	rows_in bigint, inserted bigint, updated bigint, unchanged bigint, deleted bigint,
	conflicts bigint, missing bigint, suppressed bigint, rejected bigint,
	chunks bigint, retries bigint, elapsed_ms double precision, wal_bytes bigint,
	throttled_ms double precision, first_error_ord bigint, first_sqlstate text,
	first_message text, complete boolean);
COMMENT ON TYPE dbutil.bulk_result IS
	'what a bulk call did to the rows given: rows_in = inserted + updated + unchanged + deleted + conflicts + missing + suppressed + rejected. conflicts: kept out by a row of the table or of the input with the same key; suppressed: kept out silently by a trigger, rule or policy; chunks: slices written; elapsed_ms, throttled_ms in milliseconds; wal_bytes: written by this session meanwhile. rejected: told in dbutil.bulk_rejects under job, which is NULL where no row can be rejected; first_*: of the first rejected row, or of what would fail a dry run, which says complete = false then';

-- Written by bulk calls, which need no right on it; read through the view.
CREATE TABLE dbutil.bulk_reject_rows (
	job text COLLATE "C" NOT NULL,
	chunk bigint NOT NULL,
	ord bigint NOT NULL,
	sqlstate text NOT NULL,
	constraint_name text,
	column_name text,
	message text NOT NULL,
	detail text,
	row_data jsonb NOT NULL,
	owner text COLLATE "C" NOT NULL,
	target text NOT NULL,
	rejected_at timestamp with time zone NOT NULL);
REVOKE ALL ON dbutil.bulk_reject_rows FROM PUBLIC;
CREATE INDEX bulk_reject_rows_job ON dbutil.bulk_reject_rows (job, ord);
ALTER TABLE dbutil.bulk_reject_rows REPLICA IDENTITY FULL;
COMMENT ON TABLE dbutil.bulk_reject_rows IS
	'rows that bulk calls rejected; see the view dbutil.bulk_rejects. owner is the name of the role that called. Not dumped by pg_dump';

CREATE VIEW dbutil.bulk_rejects WITH (security_barrier) AS
	SELECT r.job, r.chunk, r.ord, r.sqlstate, r.constraint_name, r.column_name, r.message, r.detail,
		   r.row_data, r.target, r.rejected_at
	FROM dbutil.bulk_reject_rows AS r
	WHERE EXISTS (SELECT FROM pg_catalog.pg_roles AS o
				  WHERE o.rolname::text = r.owner AND pg_catalog.pg_has_role(o.oid, 'USAGE'));
COMMENT ON VIEW dbutil.bulk_rejects IS
	'rows that bulk calls with on_error, on_conflict or missing => reject did not write, one row each, to who called and to roles that have his privileges. job: as in the call''s result; ord: place of the row in the input, from 1; chunk: slice it came up in; sqlstate, constraint_name, column_name, message, detail: of the error; row_data: the row as given if it could not be read, else as it would have been written; rejected_at: when. A call that fails takes its rejects back. dbutil.bulk_forget() removes them';
GRANT SELECT ON dbutil.bulk_rejects TO PUBLIC;

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows anyarray,
	columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error',
	conflict_columns name[] DEFAULT NULL, conflict_constraint name DEFAULT NULL,
	update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, anyarray, name[], text, name[], name, name[], text, text, bigint, integer, boolean, regclass) IS
	'insert or upsert rows in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: an array of the tables row type or another composite type (fields matched by name), record[] (by position) or, with one column named, its values. columns: those to write, others in the rows are ignored. on_conflict: error | nothing | update | update_if_changed | reject (as error, and such a row is rejected), judged by conflict_columns or conflict_constraint, else by the primary key (nothing alone: by every unique index). update_columns: what an update sets, else all but the key. duplicates of that key within the rows: error (21000, unless on_conflict is error) | first | last. on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only, judged by the key; neither other constraints nor triggers are tried. Errors: those of INSERT, and 22004 a row or argument is NULL, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 21000 duplicate key, 42704 no key, 0A000 rows that would update different columns where one statement is a must and chunk_rows is not given';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows jsonb,
	columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error',
	conflict_columns name[] DEFAULT NULL, conflict_constraint name DEFAULT NULL,
	update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, jsonb, name[], text, name[], name, name[], text, text, bigint, integer, boolean, regclass) IS
	'insert or upsert rows in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one). columns: those to write, others in the rows are ignored. on_conflict: error | nothing | update | update_if_changed | reject (as error, and such a row is rejected), judged by conflict_columns or conflict_constraint, else by the primary key (nothing alone: by every unique index). update_columns: what an update sets, else all but the key. duplicates of that key within the rows: error (21000, unless on_conflict is error) | first | last. on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only, judged by the key; neither other constraints nor triggers are tried. Errors: those of INSERT, and 22004 a row or argument is NULL, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 21000 duplicate key, 42704 no key, 0A000 rows that would update different columns where one statement is a must and chunk_rows is not given';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows json,
	columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error',
	conflict_columns name[] DEFAULT NULL, conflict_constraint name DEFAULT NULL,
	update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, json, name[], text, name[], name, name[], text, text, bigint, integer, boolean, regclass) IS
	'insert or upsert rows in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one). columns: those to write, others in the rows are ignored. on_conflict: error | nothing | update | update_if_changed | reject (as error, and such a row is rejected), judged by conflict_columns or conflict_constraint, else by the primary key (nothing alone: by every unique index). update_columns: what an update sets, else all but the key. duplicates of that key within the rows: error (21000, unless on_conflict is error) | first | last. on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only, judged by the key; neither other constraints nor triggers are tried. Errors: those of INSERT, and 22004 a row or argument is NULL, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 21000 duplicate key, 42704 no key, 0A000 rows that would update different columns where one statement is a must and chunk_rows is not given';

CREATE FUNCTION dbutil.bulk_insert(target regclass, rows text,
	columns name[] DEFAULT NULL, on_conflict text DEFAULT 'error',
	conflict_columns name[] DEFAULT NULL, conflict_constraint name DEFAULT NULL,
	update_columns name[] DEFAULT NULL, duplicates text DEFAULT 'error',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert';
COMMENT ON FUNCTION dbutil.bulk_insert(regclass, text, name[], text, name[], name, name[], text, text, bigint, integer, boolean, regclass) IS
	'insert or upsert rows in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one), as text. columns: those to write, others in the rows are ignored. on_conflict: error | nothing | update | update_if_changed | reject (as error, and such a row is rejected), judged by conflict_columns or conflict_constraint, else by the primary key (nothing alone: by every unique index). update_columns: what an update sets, else all but the key. duplicates of that key within the rows: error (21000, unless on_conflict is error) | first | last. on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only, judged by the key; neither other constraints nor triggers are tried. Errors: those of INSERT, and 22004 a row or argument is NULL, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 21000 duplicate key, 42704 no key, 0A000 rows that would update different columns where one statement is a must and chunk_rows is not given';

CREATE FUNCTION dbutil.bulk_insert_columns(target regclass, columns name[], options jsonb, VARIADIC arrays "any")
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert_columns';
COMMENT ON FUNCTION dbutil.bulk_insert_columns(regclass, name[], jsonb, "any") IS
	'as bulk_insert(), with rows as one array for each of the columns named, all of one length. options: parameters of bulk_insert() by name, {} for none. Errors: those of bulk_insert(), and 2202E arrays of several dimensions or differing length, 42804 no array';

CREATE FUNCTION dbutil.bulk_insert_query(target regclass, source text, options jsonb DEFAULT '{}')
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert_query';
COMMENT ON FUNCTION dbutil.bulk_insert_query(regclass, text, jsonb) IS
	'as bulk_insert(), with the rows of a query, columns matched by name, read by and by through a cursor. source: SELECT, VALUES, TABLE or a statement with RETURNING; it runs with the caller''s rights and search_path. options: parameters of bulk_insert() by name. Errors: those of bulk_insert() and of the query, and 0A000 it is not one query that returns rows';

CREATE FUNCTION dbutil.bulk_insert_data(target regclass, data bytea, format text DEFAULT 'binary', options jsonb DEFAULT '{}')
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert_data';
COMMENT ON FUNCTION dbutil.bulk_insert_data(regclass, bytea, text, jsonb) IS
	'as bulk_insert(), with data as COPY would read it in the format binary | text | csv (with their defaults; no header line) in the client encoding. options: parameters of bulk_insert() by name; columns are those of the data, in its order, else all that can be written. Rows of binary data cannot be rejected for what they hold. Errors: those of bulk_insert() and of COPY (22P04 bad data), and 22023 bad format';

CREATE FUNCTION dbutil.bulk_insert_returning(rowtype anyelement, rows jsonb, options jsonb DEFAULT '{}')
	RETURNS TABLE (ord bigint, action text, result_row anyelement, sqlstate text, message text)
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_insert_returning';
COMMENT ON FUNCTION dbutil.bulk_insert_returning(anyelement, jsonb, jsonb) IS
	'as bulk_insert() of JSON rows, and tells in the order of the input what became of each row. rowtype: NULL::mytable, which names the target. options: parameters of bulk_insert() by name. action: inserted | updated | unchanged | conflict | suppressed | rejected; where triggers keep some rows and conflicts others, which is which among those is not known. An upsert of a target that cannot tell (see bulk_result) says inserted for both. result_row: the row as RETURNING gives it, which takes the right to read it. sqlstate, message: of rejected rows, which dbutil.bulk_rejects has too. Nothing but rejected rows is returned by a dry run. Errors: those of bulk_insert(), and 42804 no row type of a table, 0A000 a rule';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows anyarray,
	key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, nulls text DEFAULT 'set',
	skip_unchanged boolean DEFAULT false, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, anyarray, name[], name[], text, boolean, text, text, text, bigint, integer, boolean, regclass) IS
	'update rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: an array of the tables row type or another composite type (fields matched by name) or record[] (by position). key: else the primary key; values are compared as given, never rounded or cut to the column''s type. set_columns: those to set, else all in the rows but the key. nulls: set | keep (a NULL leaves the column as it is). skip_unchanged: leave rows alone that are the same byte for byte. missing: ignore | error (P0002) | reject | insert (key and set_columns, the rest by default). locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count rows given: a key that finds several rows counts once. Errors: those of UPDATE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows jsonb,
	key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, nulls text DEFAULT 'set',
	skip_unchanged boolean DEFAULT false, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, jsonb, name[], name[], text, boolean, text, text, text, bigint, integer, boolean, regclass) IS
	'update rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one). key: else the primary key; values are compared as given, never rounded or cut to the column''s type. set_columns: those to set, else all in the rows but the key. nulls: set | keep (a NULL leaves the column as it is). skip_unchanged: leave rows alone that are the same byte for byte. missing: ignore | error (P0002) | reject | insert (key and set_columns, the rest by default). locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count rows given: a key that finds several rows counts once. Errors: those of UPDATE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows json,
	key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, nulls text DEFAULT 'set',
	skip_unchanged boolean DEFAULT false, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, json, name[], name[], text, boolean, text, text, text, bigint, integer, boolean, regclass) IS
	'update rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one). key: else the primary key; values are compared as given, never rounded or cut to the column''s type. set_columns: those to set, else all in the rows but the key. nulls: set | keep (a NULL leaves the column as it is). skip_unchanged: leave rows alone that are the same byte for byte. missing: ignore | error (P0002) | reject | insert (key and set_columns, the rest by default). locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count rows given: a key that finds several rows counts once. Errors: those of UPDATE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_update(target regclass, rows text,
	key name[] DEFAULT NULL, set_columns name[] DEFAULT NULL, nulls text DEFAULT 'set',
	skip_unchanged boolean DEFAULT false, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_update';
COMMENT ON FUNCTION dbutil.bulk_update(regclass, text, name[], name[], text, boolean, text, text, text, bigint, integer, boolean, regclass) IS
	'update rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. rows: a JSON array of objects; an absent key is the columns default on insert and leaves it alone on update, null is NULL; it is read as jsonb, so a json column gets that form (of equal keys the last one), as text. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. set_columns: those to set, else all in the rows but the key. nulls: set | keep (a NULL leaves the column as it is). skip_unchanged: leave rows alone that are the same byte for byte. missing: ignore | error (P0002) | reject | insert (key and set_columns, the rest by default). locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count rows given: a key that finds several rows counts once. Errors: those of UPDATE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys anyarray,
	key name[] DEFAULT NULL, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, anyarray, name[], text, text, text, bigint, integer, boolean, regclass) IS
	'delete rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. keys: an array of values of a one-column key, of rows that have the key columns by name, or record[] by position. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. missing: ignore | error (P0002) | reject. locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count keys given. Errors: those of DELETE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys jsonb,
	key name[] DEFAULT NULL, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, jsonb, name[], text, text, text, bigint, integer, boolean, regclass) IS
	'delete rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. keys: a JSON array of values of a one-column key, or of objects with the key columns. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. missing: ignore | error (P0002) | reject. locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count keys given. Errors: those of DELETE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys json,
	key name[] DEFAULT NULL, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, json, name[], text, text, text, bigint, integer, boolean, regclass) IS
	'delete rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. keys: a JSON array of values of a one-column key, or of objects with the key columns. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. missing: ignore | error (P0002) | reject. locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count keys given. Errors: those of DELETE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_delete(target regclass, keys text,
	key name[] DEFAULT NULL, missing text DEFAULT 'ignore', locked text DEFAULT 'wait',
	on_error text DEFAULT 'abort', max_errors bigint DEFAULT NULL,
	chunk_rows integer DEFAULT NULL, dry_run boolean DEFAULT false, reject_to regclass DEFAULT NULL)
	RETURNS dbutil.bulk_result
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_delete';
COMMENT ON FUNCTION dbutil.bulk_delete(regclass, text, name[], text, text, text, bigint, integer, boolean, regclass) IS
	'delete rows found by key in the caller''s transaction, with his rights. Call it in FROM: SELECT (f(...)).* would run it once for each column. keys: a JSON array of values of a one-column key, or of objects with the key columns, as text. key: else the primary key; values are compared as given, never rounded or cut to the column''s type. missing: ignore | error (P0002) | reject. locked: wait | skip (rows that another session has locked count as conflicts) | error (55P03). on_error: abort | reject (a row that fails is told in dbutil.bulk_rejects under the result''s job, the others are written; what is no row''s fault, such as a deadlock, is raised). max_errors: with more rejects than that the call fails (54000). reject_to: a table to tell rejects in, made LIKE dbutil.bulk_rejects, written with the caller''s rights. chunk_rows: rows a statement, else dbutil.bulk_chunk_rows, or one statement for all where slices would show in triggers or foreign keys (bulk_explain tells). dry_run: counts only. Counters count keys given. Errors: those of DELETE, and 22004 NULL in a key, 21000 a key twice, 22023 bad argument, 22P02 no JSON, 42703 unknown column, 42804 types do not fit, 42704 no key, P0002';

CREATE FUNCTION dbutil.bulk_explain(op text, target regclass, options jsonb DEFAULT '{}')
	RETURNS jsonb
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_bulk_explain';
COMMENT ON FUNCTION dbutil.bulk_explain(text, regclass, jsonb) IS
	'how a bulk call would run: route and reason, chunk_rows (null: all rows in one statement), index that finds rows by key, and the statement for rows that supply all columns (t is the target, s the rows given). op: insert | update | delete; options: parameters of that function by name. Nothing is run, and no privilege on the target is needed. Errors: 22023 bad op or option, 42703 unknown column, 42704 no key';
