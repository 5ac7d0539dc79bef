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
-- an array of values of the primary key goes to the index as it is, unless more has to be known
CREATE TABLE by_value (id int PRIMARY KEY, v text);
INSERT INTO by_value SELECT g, 'v' FROM generate_series(1, 1000) g;
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO watched VALUES (OLD.id, current_setting('enable_seqscan')); RETURN NULL; END $$;
CREATE TABLE watched (id int, setting text);
SELECT deleted, missing, chunks, path_reason FROM dbutil.bulk_delete('by_value', ARRAY[7, 2000, 3, 5, -1], chunk_rows => 2);
SELECT deleted, missing FROM dbutil.bulk_delete('by_value', ARRAY[10, 3000000000]);
SELECT deleted, missing, path_reason FROM dbutil.bulk_delete('by_value', ARRAY[12.0, 12.5]);
SELECT deleted, path_reason FROM dbutil.bulk_delete('by_value', ARRAY[13], missing => 'error');
SELECT deleted, path_reason FROM dbutil.bulk_delete('by_value', '[14, 15]');
SELECT FROM dbutil.bulk_delete('by_value', ARRAY[20, 21, 20]);
SELECT FROM dbutil.bulk_delete('by_value', ARRAY[20, NULL]);
SELECT deleted, rows_in, chunks FROM dbutil.bulk_delete('by_value', '{}'::int[]);
SELECT deleted, rows_in, path_reason FROM dbutil.bulk_delete('by_value', (SELECT array_agg(g) FROM generate_series(900, 200, -1) g));
CREATE TRIGGER t AFTER DELETE ON by_value FOR EACH ROW EXECUTE FUNCTION watch();
SELECT deleted, path_reason FROM dbutil.bulk_delete('by_value', ARRAY[32, 31, 33]);
SELECT string_agg(concat(id, setting), ' ') FROM watched;
SELECT count(*), sum(id) FROM by_value;
CREATE DOMAIN code AS text COLLATE "C";
CREATE TABLE by_code (id text COLLATE "C" PRIMARY KEY);
INSERT INTO by_code VALUES ('a'), ('B'), ('c'), ('D');
SELECT deleted, missing, path_reason FROM dbutil.bulk_delete('by_code', ARRAY['c', 'B', 'x']::code[]);
SELECT deleted, missing FROM dbutil.bulk_delete('by_code', ARRAY['D', 'b']::varchar[]);
TABLE by_code;

SET client_min_messages = warning;
DROP SCHEMA bulk_delete_test CASCADE;
