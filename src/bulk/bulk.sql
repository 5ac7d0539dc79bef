
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
