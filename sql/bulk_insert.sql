-- bulk_insert: every form of rows, defaults, conflicts, duplicates, slices.
CREATE SCHEMA bulk_insert_test;
SET search_path = bulk_insert_test;
CREATE FUNCTION counts(r dbutil.bulk_result, OUT n bigint, OUT ins bigint, OUT upd bigint, OUT same bigint,
	OUT conf bigint, OUT supp bigint, OUT chunks bigint, OUT complete boolean, OUT adds_up boolean)
LANGUAGE sql RETURN (r.rows_in, r.inserted, r.updated, r.unchanged, r.conflicts, r.suppressed, r.chunks, r.complete,
	r.rows_in = r.inserted + r.updated + r.unchanged + r.deleted + r.conflicts + r.missing + r.suppressed + r.rejected);

CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, email text UNIQUE, score numeric(6,2) DEFAULT 1, tags text[]);

-- text, json, jsonb; an absent key is the default, null is NULL
SELECT c.* FROM dbutil.bulk_insert('users', '[{"name": "ann"}, {"name": "bob", "score": null}]') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', json '[{"name": "cid", "tags": ["x", "y"]}]') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', jsonb '[{"id": 10, "name": "dot", "email": "d@x", "score": 2.345}]') r, counts(r) c;
-- mixed shapes: a default next to a value, sequence values in the order of the rows
SELECT c.* FROM dbutil.bulk_insert('users', '[{"name": "e1"}, {"id": 20, "name": "e2"}, {"name": "e3"}, {"id": 21, "name": "e4"}]') r, counts(r) c;
SELECT * FROM users ORDER BY id;
TRUNCATE users RESTART IDENTITY;

-- the table's own row type, another one by name in another order, record[] by position
CREATE TYPE part AS (email text, id bigint, name varchar);
SELECT c.* FROM dbutil.bulk_insert('users', ARRAY[ROW(1, 'ann', 'a@x', 5, '{}')::users, ROW(2, 'bob', 'b@x', NULL, NULL)::users]) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', ARRAY[ROW('c@x', 3, 'cid')::part]) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', ARRAY[ROW(4, 'dot'), ROW(5, 'eve')]) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', ARRAY[ROW('fay', 6)], columns => '{name,id}') r, counts(r) c;
-- plain values for one column
CREATE TABLE one (n serial, v varchar(5));
SELECT c.* FROM dbutil.bulk_insert('one', ARRAY['a', NULL, 'b'], columns => '{v}') r, counts(r) c;
-- defaults are drawn in the order of the rows, whatever these supply
SELECT c.* FROM dbutil.bulk_insert('one', '[{"v": "c"}, {}, {"v": "d"}, {"n": 50}, {"v": "e"}]') r, counts(r) c;
SELECT * FROM one ORDER BY n;
-- columns: only these are read
SELECT c.* FROM dbutil.bulk_insert('users', ARRAY[ROW('g@x', 7, 'gus')::part], columns => '{name,id}') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', '[{"id": 8, "name": "hal", "other": 1}]', columns => '{name,id}') r, counts(r) c;
SELECT * FROM users ORDER BY id;
-- nothing, and only defaults
SELECT c.* FROM dbutil.bulk_insert('users', '[]') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', '{}'::users[]) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', '{}'::record[]) r, counts(r) c;
CREATE TABLE defaults (a int DEFAULT 7, b serial);
SELECT c.* FROM dbutil.bulk_insert('defaults', '[{}, {}, {"a": 1}]') r, counts(r) c;
SELECT * FROM defaults ORDER BY b;

-- conflicts with rows that are there
SELECT c.* FROM dbutil.bulk_insert('users', '[{"id": 1, "name": "ANN"}, {"id": 30, "name": "new"}]', on_conflict => 'nothing') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', '[{"id": 31, "name": "x", "email": "a@x"}]', on_conflict => 'nothing') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', '[{"id": 1, "name": "ANN"}, {"id": 32, "name": "new"}, {"id": 2, "name": "bob"}]', on_conflict => 'update') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', '[{"id": 1, "name": "ANN"}, {"id": 33, "name": "new"}, {"id": 2, "name": "BOB"}]', on_conflict => 'update_if_changed') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', '[{"name": "Cid", "email": "c@x", "score": 9}]', on_conflict => 'update', conflict_columns => '{email}', update_columns => '{score}') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', '[{"name": "CID", "email": "c@x"}]', on_conflict => 'update', conflict_constraint => 'users_email_key') r, counts(r) c;
-- a row that has nothing but its key
SELECT c.* FROM dbutil.bulk_insert('defaults', '[{"a": 1}, {"a": 2}]', on_conflict => 'nothing') r, counts(r) c;
DELETE FROM defaults;
INSERT INTO defaults VALUES (1), (2);
ALTER TABLE defaults ADD UNIQUE (a);
SELECT c.* FROM dbutil.bulk_insert('defaults', '[{"a": 1}, {"a": 3}, {"a": 2, "b": 22}]', on_conflict => 'update', conflict_columns => '{a}') r, counts(r) c;
SELECT * FROM users WHERE id IN (1, 2, 3, 30, 31, 32, 33) ORDER BY id;

-- duplicates within the rows
SELECT c.* FROM dbutil.bulk_insert('users', '[{"id": 40, "name": "one"}, {"id": 41, "name": "x"}, {"id": 40, "name": "two"}, {"id": 40, "name": "three"}]', duplicates => 'first') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', '[{"id": 40, "name": "one"}, {"id": 42, "name": "x"}, {"id": 40, "name": "two"}]', duplicates => 'last', on_conflict => 'update') r, counts(r) c;
SELECT id, name FROM users WHERE id >= 40 ORDER BY id;
-- NULL is no duplicate of NULL, unless the constraint says so
CREATE TABLE n (a int UNIQUE, b int CONSTRAINT same UNIQUE NULLS NOT DISTINCT);
SELECT c.* FROM dbutil.bulk_insert('n', '[{"a": null, "b": 1}, {"a": null, "b": 2}]', duplicates => 'first', conflict_columns => '{a}') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('n', '[{"a": 1, "b": null}, {"a": 2, "b": null}]', duplicates => 'first', conflict_constraint => 'same') r, counts(r) c;
SELECT * FROM n ORDER BY a, b;

-- slices: one statement or many, the same content
CREATE TABLE src AS SELECT i AS id, 'n' || i AS name, i * 0.01 AS score FROM generate_series(1, 1000) i;
CREATE TABLE dst (LIKE src);
SELECT c.* FROM dbutil.bulk_insert('dst', (SELECT array_agg(s ORDER BY id) FROM src s), chunk_rows => 300) r, counts(r) c;
SELECT count(*) FROM (TABLE src EXCEPT ALL TABLE dst) d;
TRUNCATE dst;
SET dbutil.bulk_chunk_rows = 1;
SELECT c.* FROM dbutil.bulk_insert('dst', (SELECT jsonb_agg(s) FROM src s)) r, counts(r) c;
RESET dbutil.bulk_chunk_rows;
SELECT count(*) FROM (TABLE src EXCEPT ALL TABLE dst) d;
-- what would see slices gets one statement, unless the call says otherwise
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree);
SET dbutil.bulk_chunk_rows = 1;
SELECT c.* FROM dbutil.bulk_insert('tree', '[{"id": 1, "parent": 2}, {"id": 2, "parent": 1}]') r, counts(r) c;
SELECT path, path_reason FROM dbutil.bulk_insert('tree', '[{"id": 3, "parent": 3}]');
RESET dbutil.bulk_chunk_rows;

-- nor may the write run twice where fewer rows are written than given
SELECT nextval('defaults_b_seq') AS before_call \gset
SELECT c.* FROM dbutil.bulk_insert('defaults', '[{"a": 1}, {"a": 8}]', on_conflict => 'nothing', conflict_columns => '{a}') r, counts(r) c;
SELECT nextval('defaults_b_seq') - :before_call AS values_drawn;

-- many shapes, more than plans are kept
CREATE TABLE wide (a int DEFAULT 0, b int DEFAULT 0, c int DEFAULT 0, d int DEFAULT 0, e int DEFAULT 0, f int DEFAULT 0, g int DEFAULT 0, h int DEFAULT 0);
SELECT c.* FROM dbutil.bulk_insert('wide', (
	SELECT jsonb_agg((SELECT coalesce(jsonb_object_agg(chr(97 + bit), i), '{}') FROM generate_series(0, 7) bit WHERE i & (1 << bit) <> 0))
	FROM generate_series(0, 255) i)) r, counts(r) c;
SELECT count(*), sum(a), sum(h), count(DISTINCT wide) FROM wide;

-- dry runs count and write nothing
SELECT c.* FROM dbutil.bulk_insert('users', '[{"id": 1, "name": "n"}, {"id": 50, "name": "n"}]', on_conflict => 'update', dry_run => true) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', '[{"id": 1, "name": "ANN"}, {"id": 2, "name": "n"}]', on_conflict => 'update_if_changed', dry_run => true) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_insert('users', '[{"id": 1, "name": "n"}]', on_conflict => 'nothing', dry_run => true) r, counts(r) c;
SELECT inserted, conflicts, complete, first_error_ord, first_sqlstate, first_message
FROM dbutil.bulk_insert('users', '[{"id": 51, "name": "n"}, {"id": 2, "name": "n"}, {"id": 1, "name": "n"}]', dry_run => true);
SELECT count(*) FROM users WHERE id >= 50 OR name = 'n';

-- counters of a call are told, also of the log it wrote
SELECT job, op, path, rejected, retries, throttled_ms, elapsed_ms > 0 AS took, wal_bytes > 0 AS wrote
FROM dbutil.bulk_insert('users', '[{"id": 60, "name": "wal"}]');
\pset format unaligned
SELECT jsonb_pretty(dbutil.bulk_explain('insert', 'users', '{"columns": ["id", "name"], "on_conflict": "update_if_changed", "chunk_rows": 7}'));
\pset format aligned
SET client_min_messages = warning;
DROP SCHEMA bulk_insert_test CASCADE;
