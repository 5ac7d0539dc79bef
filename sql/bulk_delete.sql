-- bulk_delete: forms of keys, what is missing, slices.
CREATE SCHEMA bulk_delete_test;
SET search_path = bulk_delete_test;
CREATE FUNCTION counts(r dbutil.bulk_result, OUT n bigint, OUT del bigint,
	OUT miss bigint, OUT supp bigint, OUT chunks bigint, OUT complete boolean, OUT adds_up boolean)
LANGUAGE sql RETURN (r.rows_in, r.deleted, r.missing, r.suppressed, r.chunks, r.complete,
	r.rows_in = r.inserted + r.updated + r.unchanged + r.deleted + r.conflicts + r.missing + r.suppressed + r.rejected);

CREATE TABLE item (id int PRIMARY KEY, a text);
INSERT INTO item SELECT i, 'a' || i FROM generate_series(1, 20) i;
-- values of another integer type, JSON values, objects, rows
SELECT c.* FROM dbutil.bulk_delete('item', ARRAY[3, 1, 99]::bigint[]) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_delete('item', '[2, 4, 99]') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_delete('item', json '[{"id": 5}, 6, "7"]') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_delete('item', (SELECT array_agg(i) FROM item i WHERE id IN (8, 9))) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_delete('item', ARRAY[ROW(10)]) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_delete('item', '{}'::int[]) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_delete('item', '[]') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_delete('item', ARRAY['a11', 'a12'], key => '{a}') r, counts(r) c;
SELECT string_agg(id::text, ' ' ORDER BY id) FROM item;

SELECT c.* FROM dbutil.bulk_delete('item', ARRAY[13], missing => 'error') r, counts(r) c;
SELECT dbutil.bulk_delete('item', ARRAY[14, 98, 97], missing => 'error');
SELECT count(*) FROM item WHERE id = 14;

-- several columns; a key that finds several rows counts once
CREATE TABLE pair (x int, y text, PRIMARY KEY (x, y));
INSERT INTO pair SELECT i / 3, 'y' || i FROM generate_series(0, 11) i;
SELECT c.* FROM dbutil.bulk_delete('pair', '[{"y": "y1", "x": 0}, {"x": 1, "y": "y1"}]') r, counts(r) c;
SELECT c.* FROM dbutil.bulk_delete('pair', ARRAY[ROW(0, 'y2'), ROW(1, 'y3')]) r, counts(r) c;
SELECT c.* FROM dbutil.bulk_delete('pair', ARRAY[2, 9], key => '{x}') r, counts(r) c;
SELECT * FROM pair ORDER BY x, y;

-- slices against plain SQL
CREATE TABLE big AS SELECT i AS id FROM generate_series(1, 3000) i;
ALTER TABLE big ADD PRIMARY KEY (id);
SELECT c.* FROM dbutil.bulk_delete('big', (SELECT array_agg(i) FROM generate_series(3000, 1, -3) i), chunk_rows => 150) r, counts(r) c;
SELECT count(*), count(*) FILTER (WHERE id % 3 = 0) FROM big;

-- dry runs
SELECT c.* FROM dbutil.bulk_delete('pair', ARRAY[1, 3, 9], key => '{x}', dry_run => true) r, counts(r) c;
SELECT deleted, missing, complete, first_error_ord, first_sqlstate, first_message
FROM dbutil.bulk_delete('pair', ARRAY[1, 9, 8], key => '{x}', dry_run => true, missing => 'error');
SELECT count(*) FROM pair;
\pset format unaligned
SELECT jsonb_pretty(dbutil.bulk_explain('delete', 'pair'));
\pset format aligned
SET client_min_messages = warning;
DROP SCHEMA bulk_delete_test CASCADE;
