-- bulk_update: forms of rows, keys, what is set, what is missing.
CREATE SCHEMA bulk_update_test;
SET search_path = bulk_update_test;
CREATE FUNCTION counts(r dbutil.bulk_result, OUT n bigint, OUT ins bigint, OUT upd bigint, OUT same bigint,
	OUT miss bigint, OUT supp bigint, OUT chunks bigint, OUT complete boolean, OUT adds_up boolean)
LANGUAGE sql RETURN (r.rows_in, r.inserted, r.updated, r.unchanged, r.missing, r.suppressed, r.chunks, r.complete,
	r.rows_in = r.inserted + r.updated + r.unchanged + r.deleted + r.conflicts + r.missing + r.suppressed + r.rejected);

CREATE TABLE item (id int PRIMARY KEY, a text, b numeric DEFAULT 7, c jsonb);
INSERT INTO item SELECT i, 'a' || i, i, jsonb_build_object('i', i) FROM generate_series(1, 9) i;

-- an absent key leaves the column alone, null is NULL
SELECT c.* FROM dbutil.bulk_update('item', '[{"id": 3, "a": "A3"}, {"id": 1, "b": null}, {"id": 2, "a": "A2", "c": null}, {"id": 99, "a": "x"}]') r, counts(r) c;
SELECT * FROM item WHERE id <= 3 ORDER BY id;
-- the table's row type, another one, record[]
SELECT c.* FROM dbutil.bulk_update('item', (SELECT array_agg(i) FROM (SELECT id, a || '!', b, c FROM item WHERE id > 7) i(id, a, b, c))) r, counts(r) c;
CREATE TYPE change AS (b int, id bigint);
SELECT c.* FROM dbutil.bulk_update('item', ARRAY[ROW(70, 7), ROW(60, 6)]::change[]) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_update('item', ARRAY[ROW(5, 'five'), ROW(4, 'four')], set_columns => '{a}') r, counts(r) c;
-- set_columns: the rest of the row is not read
SELECT c.* FROM dbutil.bulk_update('item', '[{"id": 4, "a": "no", "b": 40, "zz": 1}]', set_columns => '{b}') r, counts(r) c;
SELECT * FROM item ORDER BY id;
-- nothing to set
SELECT c.* FROM dbutil.bulk_update('item', '[{"id": 1}, {"id": 98}]') r, counts(r) c;

-- nulls => keep
SELECT c.* FROM dbutil.bulk_update('item', '[{"id": 5, "a": null, "b": 55}]', nulls => 'keep') r, counts(r) c;
SELECT * FROM item WHERE id = 5;
-- skip_unchanged goes byte by byte: 55.0 is not 55
SELECT c.* FROM dbutil.bulk_update('item', '[{"id": 5, "b": 55}, {"id": 6, "b": 61}, {"id": 97, "b": 1}]', skip_unchanged => true) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_update('item', '[{"id": 5, "b": 55.0}]', skip_unchanged => true) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_update('item', '[{"id": 5, "a": null, "b": 55.0}]', skip_unchanged => true, nulls => 'keep') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_update('item', '[{"id": 1, "b": null}]', skip_unchanged => true) r, counts(r) c;

-- missing
SELECT c.* FROM dbutil.bulk_update('item', '[{"id": 20, "a": "new"}, {"id": 1, "a": "old"}, {"id": 21, "b": 1}]', missing => 'insert') r, counts(r) c;
SELECT * FROM item WHERE id IN (1, 20, 21) ORDER BY id;
SELECT c.* FROM dbutil.bulk_update('item', '[{"id": 1, "a": "x"}]', missing => 'error') r, counts(r) c;
SELECT dbutil.bulk_update('item', '[{"id": 1, "a": "y"}, {"id": 31, "a": "x"}, {"id": 30, "a": "x"}]', missing => 'error');
SELECT a FROM item WHERE id = 1;

-- another key: several columns, not unique; counters count rows given
CREATE TABLE pair (x int, y text, v int, PRIMARY KEY (x, y));
INSERT INTO pair VALUES (1, 'a', 0), (1, 'b', 0), (2, 'a', 0);
SELECT c.* FROM dbutil.bulk_update('pair', '[{"x": 1, "y": "b", "v": 1}, {"x": 2, "y": "a", "v": 2}, {"x": 2, "y": "b", "v": 3}]') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_update('pair', '[{"x": 1, "v": 9}]', key => '{x}', set_columns => '{v}') r, counts(r) c;
SELECT * FROM pair ORDER BY x, y;

-- slices; against plain SQL
CREATE TABLE big AS SELECT i AS id, i % 7 AS v, 'x' || i AS t FROM generate_series(1, 2000) i;
ALTER TABLE big ADD PRIMARY KEY (id);
CREATE TABLE plain (LIKE big INCLUDING ALL);
INSERT INTO plain TABLE big;
ANALYZE big;
CREATE TABLE feed AS SELECT i AS id, i AS v, 'y' || i AS t FROM generate_series(1500, 100, -3) i;
SELECT c.* FROM dbutil.bulk_update('big', (SELECT array_agg(f) FROM feed f), chunk_rows => 100) r, counts(r) c;
UPDATE plain SET v = feed.v, t = feed.t FROM feed WHERE feed.id = plain.id;
SELECT count(*) FROM (TABLE plain EXCEPT TABLE big) d;
-- few keys: a nested loop; many: the planner's choice
SELECT path_reason FROM dbutil.bulk_update('big', (SELECT array_agg(f) FROM feed f), chunk_rows => 100);
SELECT path_reason FROM dbutil.bulk_update('big', (SELECT array_agg(b) FROM big b));
SELECT path_reason FROM dbutil.bulk_update('big', ARRAY[ROW('y100', 1)], key => '{t}', set_columns => '{v}');

-- triggers of the table do not see the planner settings of a slice
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO seen VALUES (current_setting('enable_hashjoin'), current_setting('enable_seqscan')); RETURN NEW; END $$;
CREATE TABLE seen (h text, s text);
CREATE TRIGGER see BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION see();
SELECT c.* FROM dbutil.bulk_update('item', '[{"id": 1, "a": "t"}]') r, counts(r) c;
SELECT * FROM seen;

-- dry runs
SELECT c.* FROM dbutil.bulk_update('pair', '[{"x": 1, "y": "b", "v": 5}, {"x": 7, "y": "b", "v": 5}]', dry_run => true) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_update('pair', '[{"x": 1, "y": "b", "v": 9}, {"x": 7, "y": "b", "v": 5}]', dry_run => true, skip_unchanged => true, missing => 'insert') r, counts(r) c;
SELECT missing, complete, first_error_ord, first_sqlstate, first_message
FROM dbutil.bulk_update('pair', '[{"x": 9, "y": "b", "v": 5}, {"x": 7, "y": "b", "v": 5}]', dry_run => true, missing => 'error');
SELECT * FROM pair ORDER BY x, y;
\pset format unaligned
SELECT jsonb_pretty(dbutil.bulk_explain('update', 'pair', '{"nulls": "keep", "skip_unchanged": true, "missing": "insert"}'));
\pset format aligned
SET client_min_messages = warning;
DROP SCHEMA bulk_update_test CASCADE;
