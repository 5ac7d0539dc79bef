-- Bad input: one clear error each, and nothing written.
\set SHOW_CONTEXT never
CREATE SCHEMA bulk_errors_test;
SET search_path = bulk_errors_test;
CREATE FUNCTION attempt(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE state text; message text; hint text;
BEGIN
	EXECUTE 'SELECT * FROM dbutil.' || call;
	RETURN 'NO ERROR';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	RETURN format('%s %s%s', state, message, E'\n  ' || nullif(hint, ''));
END $$;
CREATE TABLE t (id int PRIMARY KEY, name text, amount numeric, made timestamptz GENERATED ALWAYS AS (NULL) STORED, no int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE nokey (a int, p point, j json);
CREATE TYPE other AS (id int, nmae text);
CREATE TYPE few AS (name text);
CREATE TYPE bad AS (id point);
CREATE VIEW v AS SELECT id, name FROM t;
CREATE VIEW grouped AS SELECT count(*) FROM t;
CREATE SEQUENCE seq;

\pset format unaligned
\pset tuples_only on
-- arguments that are NULL
SELECT attempt('bulk_insert(NULL, ''[]'')');
SELECT attempt('bulk_insert(''t'', NULL::text)');
SELECT attempt('bulk_update(''t'', NULL::jsonb)');
SELECT attempt('bulk_delete(''t'', NULL::int[])');
SELECT attempt('bulk_insert(''t'', ''[]'', on_conflict => NULL)');
SELECT attempt('bulk_insert(''t'', ''[]'', dry_run => NULL)');
SELECT attempt('bulk_insert(''t'', ''[]'', columns => ''{id,NULL}'')');
-- words and numbers
SELECT attempt('bulk_insert(''t'', ''[]'', on_conflict => ''replace'')');
SELECT attempt('bulk_insert(''t'', ''[]'', duplicates => ''ERROR'')');
SELECT attempt('bulk_update(''t'', ''[]'', nulls => ''skip'')');
SELECT attempt('bulk_update(''t'', ''[]'', missing => ''skip'')');
SELECT attempt('bulk_delete(''t'', ''[]'', missing => ''insert'')');
SELECT attempt('bulk_insert(''t'', ''[]'', chunk_rows => 0)');
SELECT attempt('bulk_insert(''t'', ''[]'', chunk_rows => -5)');
SELECT attempt('bulk_insert(''t'', ''[]'', columns => ''{}'')');
SELECT attempt('bulk_insert(''t'', ''[]'', columns => ''{id,id}'')');
SELECT attempt('bulk_insert(''t'', ''[]'', conflict_columns => ''{id}'')');
SELECT attempt('bulk_insert(''t'', ''[]'', on_conflict => ''update'', conflict_columns => ''{id}'', conflict_constraint => ''t_pkey'')');
SELECT attempt('bulk_insert(''t'', ''[]'', on_conflict => ''nothing'', update_columns => ''{name}'')');
-- targets
SELECT attempt('bulk_insert(''seq'', ''[]'')');
SELECT attempt('bulk_insert(1::oid::regclass, ''[]'')');
SELECT attempt('bulk_update(''nokey'', ''[]'')');
SELECT attempt('bulk_insert(''nokey'', ''[]'', on_conflict => ''update'')');
SELECT attempt('bulk_delete(''v'', ''[1]'')');
SELECT attempt('bulk_insert(''grouped'', ''[{"count": 1}]'')');
-- columns
SELECT attempt('bulk_insert(''t'', ''[{"id": 1, "nmae": "x"}]'')');
SELECT attempt('bulk_insert(''t'', ''[{"id": 1, "completely different": "x"}]'')');
SELECT attempt('bulk_insert(''t'', ''[]'', columns => ''{ID}'')');
SELECT attempt('bulk_insert(''t'', ''[]'', columns => ''{ctid}'')');
SELECT attempt('bulk_insert(''t'', ARRAY[ROW(1, ''x'')::other])');
SELECT attempt('bulk_insert(''t'', ARRAY[ROW(''x'')::few], columns => ''{id,name}'')');
SELECT attempt('bulk_update(''t'', ARRAY[ROW(''x'')::few])');
SELECT attempt('bulk_update(''t'', ''[]'', set_columns => ''{id}'')');
SELECT attempt('bulk_update(''t'', ''[]'', key => ''{nix}'')');
SELECT attempt('bulk_insert(''t'', ''[]'', on_conflict => ''update'', columns => ''{id}'', update_columns => ''{name}'')');
SELECT attempt('bulk_insert(''t'', ''[{"id": 1, "made": "now"}]'')');
SELECT attempt('bulk_insert(''t'', ''[{"id": 1, "no": 1}]'')');
SELECT attempt('bulk_update(''t'', ''[{"id": 1, "made": null}]'')');
SELECT attempt('bulk_insert(''t'', (SELECT ARRAY[ROW(1,''x'',1,NULL,1)::t]))');
-- forms of rows
SELECT attempt('bulk_insert(''t'', ''{"id": 1}'')');
SELECT attempt('bulk_insert(''t'', ''3'')');
SELECT attempt('bulk_insert(''t'', ''[{"id": 1}, 2]'')');
SELECT attempt('bulk_insert(''t'', ''[[{"id": 1}]]'')');
SELECT attempt('bulk_insert(''t'', ''[null]'')');
SELECT attempt('bulk_insert(''t'', ''not json'')');
SELECT attempt('bulk_insert(''t'', ARRAY[1, 2])');
SELECT attempt('bulk_insert(''t'', ARRAY[ROW(1, ''x'')::other, NULL], columns => ''{id}'')');
SELECT attempt('bulk_insert(''t'', ARRAY[[ROW(1, ''x'')::other]])');
SELECT attempt('bulk_insert(''t'', ARRAY[ROW(1, 2, 3)], columns => ''{id,name}'')');
SELECT attempt('bulk_insert(''t'', ARRAY[ROW(1, ''a''::text), ROW(1.5, ''b''::text)], columns => ''{id,name}'')');
SELECT attempt('bulk_insert(''t'', ARRAY[ROW(point(1,2))::bad])');
SELECT attempt('bulk_insert(''t'', ARRAY[ROW(1, ''x'')], columns => ''{name,id}'')');
SELECT attempt('bulk_insert(''t'', ''[{"id": "one"}]'')');
SELECT attempt('bulk_insert(''t'', ''[{"id": 1e99}]'')');
SELECT attempt('bulk_delete(''t'', ''[[1]]'')');
SELECT attempt('bulk_delete(''t'', ''[true]'')');
SELECT attempt('bulk_delete(''t'', ''[{"id": 1, "name": "x"}]'')');
SELECT attempt('bulk_delete(''t'', ''[1]'', key => ''{id,name}'')');
SELECT attempt('bulk_delete(''t'', ARRAY[1], key => ''{id,name}'')');
SELECT attempt('bulk_delete(''t'', ARRAY[[1, 2]])');
-- keys
SELECT attempt('bulk_update(''t'', ''[{"name": "x"}]'')');
SELECT attempt('bulk_update(''t'', ''[{"id": null, "name": "x"}]'')');
SELECT attempt('bulk_delete(''t'', ''[1, null]'')');
SELECT attempt('bulk_delete(''t'', ARRAY[1, NULL])');
SELECT attempt('bulk_update(''t'', ''[{"id": 1, "name": "x"}, {"id": 2}, {"id": 1, "amount": 2}]'')');
SELECT attempt('bulk_delete(''t'', ''[1, 2, 1]'', chunk_rows => 1)');
SELECT attempt('bulk_insert(''t'', ''[{"id": 1, "name": "x"}, {"id": 1, "name": "y"}]'', on_conflict => ''update'', chunk_rows => 1)');
SELECT attempt('bulk_update(''nokey'', ''[]'', key => ''{p}'')');
SELECT attempt('bulk_delete(''nokey'', ''[]'', key => ''{j}'')');
SELECT attempt('bulk_insert(''t'', ''[{"name": "x"}]'', columns => ''{name}'', duplicates => ''first'')');
SELECT attempt('bulk_insert(''t'', ''[{"id": 1, "name": "x"}]'', on_conflict => ''update'', conflict_columns => ''{name}'')');
SELECT attempt('bulk_insert(''t'', ''[{"id": 1}]'', on_conflict => ''update'', conflict_constraint => ''nix'')');
-- PostgreSQL's own, from the statement
INSERT INTO t (id) VALUES (5);
SELECT attempt('bulk_insert(''t'', ''[{"id": 4}, {"id": 5}]'')');
SELECT attempt('bulk_update(''t'', ''[{"id": 5}, {"id": 6}]'', missing => ''error'')');
-- explain
SELECT attempt('bulk_explain(NULL, ''t'')');
SELECT attempt('bulk_explain(''merge'', ''t'')');
SELECT attempt('bulk_explain(''insert'', ''t'', ''[]'')');
SELECT attempt('bulk_explain(''insert'', ''t'', ''{"key": ["id"]}'')');
SELECT attempt('bulk_explain(''delete'', ''t'', ''{"key": "id"}'')');
SELECT attempt('bulk_explain(''delete'', ''t'', ''{"dry_run": 1}'')');
SELECT attempt('bulk_explain(''delete'', ''t'', ''{"chunk_rows": 0}'')');
SELECT attempt('bulk_explain(''delete'', ''t'', ''{"missing": null}'')');
\pset format aligned
\pset tuples_only off
-- nothing was written by any of it
SELECT id FROM t;
SELECT count(*) FROM nokey;
-- where in the input it happened stands in the context
\set SHOW_CONTEXT always
SELECT dbutil.bulk_insert('t', '[{"id": 7}, {"id": "x"}]');
SELECT dbutil.bulk_delete('t', ARRAY['1', 'x']::text[]);

SET client_min_messages = warning;
DROP SCHEMA bulk_errors_test CASCADE;
