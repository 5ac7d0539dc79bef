
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
