-- Counters tell what happened, and dry runs what would; calls without rows; duplicates across shapes.
\set VERBOSITY terse
CREATE SCHEMA bulk_counts_test;
SET search_path = bulk_counts_test;
CREATE FUNCTION counts(r dbutil.bulk_result) RETURNS text
LANGUAGE sql RETURN format('in %s: inserted %s, updated %s, unchanged %s, deleted %s, conflicts %s, missing %s, suppressed %s%s', r.rows_in, r.inserted, r.updated,
	r.unchanged, r.deleted, r.conflicts, r.missing, r.suppressed, format('; row %s: %s %s', r.first_error_ord, r.first_sqlstate, r.first_message) || nullif(r.complete, true)::text);

-- conflicts with another unique index than the key's, beside a trigger that changes rows and keeps some out
CREATE TABLE mail (id int PRIMARY KEY, email text UNIQUE, at timestamptz);
CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.email = 'spam' THEN RETURN NULL; END IF;
	NEW.at := now(); NEW.email := lower(NEW.email); RETURN NEW; END $$;
CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON mail FOR EACH ROW EXECUTE FUNCTION tidy();
INSERT INTO mail VALUES (1, 'a'), (2, 'b');
SELECT counts(r) FROM dbutil.bulk_insert('mail', '[{"id": 10, "email": "A"}, {"id": 11, "email": "c"}, {"id": 12, "email": "spam"}, {"id": 1, "email": "z"}]', on_conflict => 'nothing') r;
SELECT counts(r) FROM dbutil.bulk_insert('mail', '[{"id": 1, "email": "X"}, {"id": 2, "email": "B"}, {"id": 3, "email": "spam"}, {"id": 4, "email": "d"}]', on_conflict => 'update_if_changed') r;
SELECT counts(r) FROM dbutil.bulk_insert('mail', '[{"id": 1}, {"id": 20}]', on_conflict => 'update') r;
SELECT id, email FROM mail ORDER BY id;
-- partitioned: conflicts are conflicts, updates are updates
CREATE TABLE part (id int, k int, v text, PRIMARY KEY (id, k), UNIQUE (v, k)) PARTITION BY RANGE (k);
CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (10) TO (20);
INSERT INTO part VALUES (1, 1, 'a'), (2, 11, 'b');
SELECT counts(r) FROM dbutil.bulk_insert('part', '[{"id": 7, "k": 1, "v": "a"}, {"id": 8, "k": 5, "v": "c"}, {"id": 2, "k": 11, "v": "d"}]', on_conflict => 'nothing') r;
SELECT counts(r) FROM dbutil.bulk_insert('part', '[{"id": 1, "k": 1, "v": "e"}, {"id": 9, "k": 5, "v": "f"}, {"id": 2, "k": 11, "v": "b"}]', on_conflict => 'update_if_changed') r;
SELECT * FROM part ORDER BY id;
-- where the error came from is said as for any other statement
\set SHOW_CONTEXT always
\set VERBOSITY default
SELECT counts(r) FROM dbutil.bulk_insert('part', '[{"id": 1, "k": 99, "v": "e"}]', on_conflict => 'update') r;
\set VERBOSITY terse

-- dry runs
CREATE TABLE nn (a int, b int, c int, UNIQUE NULLS NOT DISTINCT (a, b));
INSERT INTO nn VALUES (1, NULL, 5), (2, 2, 5);
SELECT counts(r) FROM dbutil.bulk_insert('nn', '[{"a": 1, "b": null, "c": 5}, {"a": 2, "b": 2, "c": 9}, {"a": null, "b": null, "c": 1}]', on_conflict => 'update_if_changed', conflict_columns => '{a,b}', dry_run => true) r;
SELECT counts(r) FROM dbutil.bulk_insert('nn', '[{"a": 1, "b": null, "c": 5}, {"a": 2, "b": 2, "c": 9}, {"a": null, "b": null, "c": 1}]', on_conflict => 'update_if_changed', conflict_columns => '{a,b}') r;
SELECT counts(r) FROM dbutil.bulk_insert('mail', '[{"id": 31}, {"id": 30}, {"id": 31}, {"id": 32}, {"id": 30}, {"id": 1}]', dry_run => true) r;
SELECT counts(r) FROM dbutil.bulk_insert('mail', '[{"id": 31}, {"id": 30}, {"id": 31}]', duplicates => 'first', dry_run => true) r;
-- the message of a dry run, or of missing => 'error', costs no memory for each row: kB that the call holds at its second slice
CREATE TABLE plain (id int);
CREATE FUNCTION held() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
	PERFORM set_config('test.held', (SELECT max(total_bytes) / 1024 FROM pg_backend_memory_contexts WHERE name = 'SPI Proc')::text, false);
	RETURN true; END $$;
CREATE VIEW watched AS SELECT id FROM plain WHERE (SELECT held());
SELECT counts(r) FROM dbutil.bulk_delete('watched', (SELECT array_agg(-g) FROM generate_series(1, 20000) g), key => '{id}', missing => 'error', chunk_rows => 10001, dry_run => true) r;
SELECT current_setting('test.held')::int < 4096 AS little;

-- duplicates are found whichever columns a row leaves out
SELECT counts(r) FROM dbutil.bulk_insert('nn', '[{"a": 4, "b": null, "c": 1}, {"a": 4, "c": 2}, {"a": 4, "b": null, "c": 3}]', on_conflict => 'update', conflict_columns => '{a,b}') r;
SELECT counts(r) FROM dbutil.bulk_insert('nn', '[{"a": 4, "b": null, "c": 1}, {"a": 4, "c": 2}, {"a": 4, "b": null, "c": 3}]', on_conflict => 'update', conflict_columns => '{a,b}', duplicates => 'last') r;
SELECT * FROM nn WHERE a = 4;
SELECT counts(r) FROM dbutil.bulk_insert('nn', ARRAY[ROW(5, 1), ROW(6, 1), ROW(5, 2)], columns => '{a,c}', on_conflict => 'update', conflict_columns => '{a,b}') r;
SET dbutil.bulk_chunk_rows = 2;
SELECT counts(r) FROM dbutil.bulk_insert('nn', ARRAY[ROW(5, 1), ROW(6, 1), ROW(5, 2)], columns => '{a,c}', on_conflict => 'update', conflict_columns => '{a,b}') r;
RESET dbutil.bulk_chunk_rows;
CREATE TABLE dk (id int DEFAULT 7 PRIMARY KEY, v int);
SELECT counts(r) FROM dbutil.bulk_insert('dk', '[{"v": 1}, {"id": 7, "v": 2}]', on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_insert('dk', '[{"v": 1}, {"id": 7, "v": 2}, {"v": 3}, {"id": 8}]', on_conflict => 'nothing', duplicates => 'first') r;
TABLE dk;
-- a key that only the insert itself will know
CREATE TABLE sk (id serial PRIMARY KEY, v int);
SELECT counts(r) FROM dbutil.bulk_insert('sk', '[{"id": 100, "v": 1}, {"v": 2}, {"id": 100, "v": 3}]', on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_insert('sk', '[{"id": 100, "v": 1}, {"v": 2}, {"id": 101, "v": 3}, {"v": 4}]', on_conflict => 'update') r;
SELECT * FROM sk ORDER BY id;

-- a call without rows is a statement without rows
CREATE TABLE void (id int PRIMARY KEY, v int, w int, g int GENERATED ALWAYS AS (1) STORED);
CREATE TABLE log (n serial, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log (what) VALUES (TG_OP); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON void FOR EACH STATEMENT EXECUTE FUNCTION note();
SELECT counts(r) FROM dbutil.bulk_insert('void', '[]') r;
SELECT counts(r) FROM dbutil.bulk_insert('void', ARRAY[]::record[]) r;
SELECT counts(r) FROM dbutil.bulk_insert('void', ARRAY[]::int[], columns => '{id}') r;
SELECT counts(r) FROM dbutil.bulk_insert('void', '[]', on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_update('void', '[]') r;
SELECT counts(r) FROM dbutil.bulk_update('void', ARRAY[]::record[], set_columns => '{v}') r;
SELECT counts(r) FROM dbutil.bulk_delete('void', '[]') r;
SELECT counts(r) FROM dbutil.bulk_delete('void', ARRAY[]::int[]) r;
SELECT counts(r) FROM dbutil.bulk_delete('void', '[]', dry_run => true) r;
SELECT string_agg(what, ' ' ORDER BY n) FROM log;
CREATE ROLE bulk_counts_role;
GRANT USAGE ON SCHEMA bulk_counts_test TO bulk_counts_role;
GRANT EXECUTE ON FUNCTION counts TO bulk_counts_role;
SET ROLE bulk_counts_role;
SELECT counts(r) FROM dbutil.bulk_insert('void', '[]') r;
SELECT counts(r) FROM dbutil.bulk_update('void', '[]') r;
SELECT counts(r) FROM dbutil.bulk_delete('void', '[]') r;
SELECT counts(r) FROM dbutil.bulk_insert('void', '[]', dry_run => true) r;
RESET ROLE;
GRANT SELECT (id, w), INSERT (w, id), UPDATE (w) ON void TO bulk_counts_role;
GRANT ALL ON log, log_n_seq TO bulk_counts_role;
SET ROLE bulk_counts_role;
SELECT counts(r) FROM dbutil.bulk_insert('void', '[]') r;
SELECT counts(r) FROM dbutil.bulk_insert('void', '[]', on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_update('void', '[]') r;
SELECT counts(r) FROM dbutil.bulk_update('void', '[]', set_columns => '{v}') r;
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA bulk_counts_test CASCADE;
DROP ROLE bulk_counts_role;
