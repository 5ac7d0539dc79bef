-- Rows from queries, columns and data of COPY; what became of each row.
\set SHOW_CONTEXT never
CREATE SCHEMA bulk_sources_test;
SET search_path = bulk_sources_test;
\pset format unaligned
CREATE FUNCTION counts(r dbutil.bulk_result) RETURNS text
LANGUAGE sql RETURN format('in %s: inserted %s, updated %s, unchanged %s, conflicts %s, suppressed %s, rejected %s',
	r.rows_in, r.inserted, r.updated, r.unchanged, r.conflicts, r.suppressed, r.rejected);
CREATE TABLE t (gone int, id int PRIMARY KEY, name text DEFAULT 'none', no serial, twice int GENERATED ALWAYS AS (id * 2) STORED);
ALTER TABLE t DROP COLUMN gone;
-- a query: more rows than are fetched at once; its errors are the call's, a row's are the row's
SELECT counts(r) FROM dbutil.bulk_insert_query('t', 'SELECT g AS id, ''n'' || g AS name FROM generate_series(1, 2500) g -- all') r;
SELECT count(*), max(no), max(twice) FROM t;
SELECT counts(r) FROM dbutil.bulk_insert_query('t', 'VALUES (1), (3000)', '{"columns": ["id"]}') r;
SELECT counts(r) FROM dbutil.bulk_insert_query('t', 'SELECT v AS id FROM (VALUES (1), (3000), (1e10)) x(v)', '{"on_error": "reject"}') r;
SELECT counts(r) FROM dbutil.bulk_insert_query('t', 'SELECT 6000 / (1500 - g) AS id FROM generate_series(1, 1600) g', '{"on_error": "reject"}') r;
SELECT counts(r) FROM dbutil.bulk_insert_query('t', 'SELECT 1 AS idd') r;
SELECT counts(r) FROM dbutil.bulk_insert_query('t', 'DELETE FROM t') r;
SELECT counts(r) FROM dbutil.bulk_insert_query('t', 'SELECT 1 AS id; SELECT 2 AS id') r;
SELECT counts(r) FROM dbutil.bulk_insert_query('t', 'DELETE FROM t WHERE id <= 2 RETURNING id + 5000 AS id, name') r;
SELECT id, name FROM t WHERE id > 2500 ORDER BY id;
SELECT counts(r) FROM dbutil.bulk_insert_query('t', NULL) r;
-- columns
TRUNCATE t RESTART IDENTITY;
SELECT counts(r) FROM dbutil.bulk_insert_columns('t', '{name,id}', '{}', ARRAY['a', NULL, 'c'], ARRAY[1, 2, 3]) r;
SELECT counts(r) FROM dbutil.bulk_insert_columns('t', '{id}', '{"on_conflict": "nothing"}', ARRAY[3, 4, 4]) r;
SELECT counts(r) FROM dbutil.bulk_insert_columns('t', '{id,name}', '{"on_error": "reject"}', ARRAY[5, 1e10, NULL], '{x,y,z}'::varchar[]) r;
SELECT id, name FROM t ORDER BY id;
SELECT dbutil.bulk_insert_columns('t', '{id,name}', '{}', ARRAY[7, 8], ARRAY['a']);
SELECT dbutil.bulk_insert_columns('t', '{id,name}', '{}', ARRAY[7, 8]);
SELECT dbutil.bulk_insert_columns('t', '{id}', '{}', ARRAY[[7, 8]]);
SELECT dbutil.bulk_insert_columns('t', '{id}', '{}', 7);
SELECT dbutil.bulk_insert_columns('t', '{id}', '{}', VARIADIC ARRAY[1, 2]);
SELECT dbutil.bulk_insert_columns('t', '{idd}', '{}', ARRAY[7]);
SELECT dbutil.bulk_insert_columns('t', '{id}', '{"columns": ["id"]}', ARRAY[7]);
SELECT dbutil.bulk_insert_columns('t', '{id}', '{}', NULL::int[]);
-- data of COPY
TRUNCATE t RESTART IDENTITY;
SELECT counts(r) FROM dbutil.bulk_insert_data('t', convert_to(E'1\tone\n2\t\\N\n', 'UTF8'), 'text', '{"columns": ["id", "name"]}') r;
SELECT counts(r) FROM dbutil.bulk_insert_data('t', convert_to(E'"three, or so",3\nx,y\n4\nfour,4\nfive,5,6\nagain,1\n', 'UTF8'), 'csv', '{"columns": ["name", "id"], "on_error": "reject"}') r;
SELECT ord, sqlstate, column_name, message, row_data FROM dbutil.bulk_rejects WHERE target LIKE 'bulk_sources_test.%' AND message !~ 'range|null' ORDER BY rejected_at, ord;
SELECT counts(r) FROM dbutil.bulk_insert_data('t', convert_to(E'6\tsix\t6\n', 'UTF8'), 'text') r;
SELECT counts(r) FROM dbutil.bulk_insert_data('t', '\x5047434f50590aff0d0a000000000000000000000200000004000000070000000573657665 6effff'::bytea, options => '{"columns": ["id", "name"]}') r;
SELECT dbutil.bulk_insert_data('t', '\x00', options => '{"on_error": "reject"}');
SELECT dbutil.bulk_insert_data('t', '\x00', 'xml');
SELECT dbutil.bulk_insert_data('t', '', 'text', '{"columns": ["twice"]}');
SELECT * FROM t ORDER BY id;

-- what became of each row
TRUNCATE t RESTART IDENTITY;
SELECT ord, action, (result_row).id, (result_row).name, (result_row).no, (result_row).twice, sqlstate, message
FROM dbutil.bulk_insert_returning(NULL::t, '[{"id": 3}, {"id": 1, "name": "one"}, {"id": 2, "name": null}]');
SELECT ord, action, result_row FROM dbutil.bulk_insert_returning(NULL::t, '[{"id": 5, "name": "x"}, {"id": 3, "name": "x"}, {"id": 4, "name": "x"}, {"id": 1, "name": "one"}]', '{"on_conflict": "update_if_changed"}');
SELECT ord, action, result_row FROM dbutil.bulk_insert_returning(NULL::t, '[{"id": 9}, {"id": 3}, {"id": 8}, {"id": 9}]', '{"on_conflict": "nothing", "duplicates": "first"}');
SELECT * FROM dbutil.bulk_insert_returning(NULL::t, '[{"id": 10}, {"id": 3}, {"id": "x"}, {"id": 11}, {"id": null}]', '{"on_error": "reject", "chunk_rows": 2}');
CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := 'changed'; RETURN CASE WHEN NEW.id % 2 = 1 THEN NEW END; END $$;
CREATE TRIGGER odd BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION odd();
SELECT ord, action, result_row FROM dbutil.bulk_insert_returning(NULL::t, '[{"id": 20}, {"id": 21}, {"id": 22}]');
CREATE TABLE part (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 (v text, id int);
ALTER TABLE part ATTACH PARTITION part2 FOR VALUES FROM (10) TO (20);
SELECT ord, action, result_row FROM dbutil.bulk_insert_returning(NULL::part, '[{"id": 15, "v": "b"}, {"id": 5, "v": "a"}, {"id": 25}]', '{"on_error": "reject"}');
-- data within data: a trigger that reads other data, of more than COPY reads at once
CREATE TABLE outer_data (id int);
CREATE TABLE inner_data (id int);
CREATE FUNCTION nest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	PERFORM dbutil.bulk_insert_data('inner_data', convert_to((SELECT string_agg(g::text, E'\n') FROM generate_series(1, 3) g), 'UTF8'), 'text');
	RETURN NEW; END $$;
CREATE TRIGGER nest BEFORE INSERT ON outer_data FOR EACH ROW WHEN (NEW.id % 10000 = 0) EXECUTE FUNCTION nest();
SELECT counts(r) FROM dbutil.bulk_insert_data('outer_data', convert_to((SELECT string_agg(g::text, E'\n') FROM generate_series(1, 40000) g), 'UTF8'), 'text') r;
SELECT count(*), sum(id) FROM outer_data;
SELECT count(*), sum(id) FROM inner_data;
SELECT * FROM dbutil.bulk_insert_returning(NULL::t, '[]');
SELECT * FROM dbutil.bulk_insert_returning(1, '[]');
SELECT * FROM dbutil.bulk_insert_returning(NULL::t, '[{"idd": 1}]');
SELECT * FROM dbutil.bulk_insert_returning(NULL::t, NULL);

SET client_min_messages = warning;
DELETE FROM dbutil.bulk_reject_rows;
DROP SCHEMA bulk_sources_test CASCADE;
