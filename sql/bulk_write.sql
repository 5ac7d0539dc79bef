--
-- bulk_insert, bulk_update, bulk_delete: what is written, and what is counted
--
CREATE TABLE bulk_t (id int PRIMARY KEY, name text DEFAULT 'nobody', amount numeric(8,2), at date,
					 twice numeric GENERATED ALWAYS AS (amount * 2) STORED);
CREATE TYPE bulk_part AS (id int, amount numeric);
-- every form of rows
SELECT rows_in, inserted, chunks, complete FROM dbutil.bulk_insert('bulk_t', '[{"id": 1, "name": "x", "amount": 1.5}, {"id": 2}]');
SELECT rows_in, inserted, chunks FROM dbutil.bulk_insert('bulk_t', '[{"id": 3, "name": null}]'::jsonb);
SELECT inserted FROM dbutil.bulk_insert('bulk_t', '[{"id": 4, "at": "2026-01-31"}]'::json);
SELECT inserted FROM dbutil.bulk_insert('bulk_t', ARRAY[(5, 5.5), (6, 6.6)]::bulk_part[]);
SELECT inserted FROM dbutil.bulk_insert('bulk_t', ARRAY[(7, 'seven', 7, '2026-07-07', NULL)::bulk_t]);
SELECT inserted FROM dbutil.bulk_insert('bulk_t', ARRAY[ROW(8, 'eight'::text)], columns => '{id,name}');
SELECT inserted FROM dbutil.bulk_insert('bulk_t', ARRAY[9, 10], columns => '{id}');
SELECT rows_in, inserted FROM dbutil.bulk_insert('bulk_t', '[]');
TABLE bulk_t ORDER BY id;
-- chunks: rows of the same columns go together, order is kept
CREATE TABLE bulk_s (seq bigserial PRIMARY KEY, a int, b int DEFAULT -1);
SELECT rows_in, inserted, chunks FROM dbutil.bulk_insert('bulk_s', '[{"a": 1}, {"a": 2}, {"a": 3, "b": 3}, {"a": 4}, {}]');
SELECT inserted, chunks FROM dbutil.bulk_insert('bulk_s', (SELECT array_agg(g) FROM generate_series(1, 10) g), columns => '{a}', chunk_rows => 4);
TABLE bulk_s ORDER BY seq LIMIT 7;
-- conflicts
SELECT inserted, conflicts FROM dbutil.bulk_insert('bulk_t', '[{"id": 1}, {"id": 11}]', on_conflict => 'nothing');
SELECT inserted, updated FROM dbutil.bulk_insert('bulk_t', '[{"id": 1, "name": "one"}, {"id": 12, "name": "twelve"}]', on_conflict => 'update');
SELECT id, name, amount FROM bulk_t WHERE id IN (1, 11, 12) ORDER BY id;
-- update: absent keys stay, nulls set, misses are counted
SELECT rows_in, updated, missing, chunks FROM dbutil.bulk_update('bulk_t', '[{"id": 1, "name": "uno"}, {"id": 2, "amount": null}, {"id": 99, "name": "none"}]');
SELECT updated FROM dbutil.bulk_update('bulk_t', ARRAY[(5, 55), (6, 66)]::bulk_part[]);
SELECT updated FROM dbutil.bulk_update('bulk_t', '[{"id": 7, "name": "not set", "amount": 77}]', set_columns => '{amount}');
SELECT id, name, amount, twice FROM bulk_t WHERE id <= 7 ORDER BY id;
-- delete: scalars, JSON scalars, JSON objects, rows
SELECT rows_in, deleted, missing FROM dbutil.bulk_delete('bulk_t', ARRAY[1, 2, 99]);
SELECT deleted FROM dbutil.bulk_delete('bulk_t', '[3, 4]');
SELECT deleted FROM dbutil.bulk_delete('bulk_t', '[{"id": 5}]'::jsonb);
CREATE TABLE bulk_k ("Key A" int, "select" text COLLATE "C", v int, PRIMARY KEY ("Key A", "select"));
SELECT inserted FROM dbutil.bulk_insert('bulk_k', '[{"Key A": 1, "select": "x", "v": 1}, {"Key A": 1, "select": "y", "v": 2}]');
SELECT updated FROM dbutil.bulk_update('bulk_k', '[{"Key A": 1, "select": "y", "v": 22}]');
SELECT deleted, missing FROM dbutil.bulk_delete('bulk_k', '[{"Key A": 1, "select": "x"}, {"Key A": 2, "select": "x"}]');
TABLE bulk_k;
-- the counts add up
SELECT rows_in = inserted + updated + unchanged + deleted + conflicts + missing + suppressed + rejected AS adds_up
FROM dbutil.bulk_delete('bulk_t', '[6, 7, 8, 1000]');
-- triggers fire, partitions are routed, views are written through
CREATE TABLE bulk_p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE bulk_p1 (v text, id int NOT NULL);
ALTER TABLE bulk_p ATTACH PARTITION bulk_p1 FOR VALUES FROM (0) TO (10);
CREATE TABLE bulk_p2 PARTITION OF bulk_p FOR VALUES FROM (10) TO (20);
CREATE FUNCTION bulk_keep_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF NEW.v = 'no' THEN RETURN NULL; END IF; NEW.v := upper(NEW.v); RETURN NEW; END $$;
CREATE TRIGGER keep_out BEFORE INSERT ON bulk_p FOR EACH ROW EXECUTE FUNCTION bulk_keep_out();
CREATE VIEW bulk_v AS SELECT id, v FROM bulk_p;
SELECT inserted, suppressed FROM dbutil.bulk_insert('bulk_v', '[{"id": 1, "v": "a"}, {"id": 11, "v": "b"}, {"id": 12, "v": "no"}]');
SELECT updated FROM dbutil.bulk_update('bulk_p', '[{"id": 11, "v": "moved"}]');
SELECT tableoid::regclass, * FROM bulk_p ORDER BY id;
SELECT inserted FROM dbutil.bulk_insert('bulk_p', '[{"id": 20}]');
-- hostile names and paths harm nobody
CREATE SCHEMA "bulk"" ; drop";
CREATE TABLE "bulk"" ; drop"."ta""ble ; --" ("co""l); --" int PRIMARY KEY, v int);
SELECT inserted FROM dbutil.bulk_insert('"bulk"" ; drop"."ta""ble ; --"', '[{"co\"l); --": 1, "v": 1}]');
CREATE FUNCTION "bulk"" ; drop".evil(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR "bulk"" ; drop".= (LEFTARG = int, RIGHTARG = int, FUNCTION = "bulk"" ; drop".evil);
SET search_path = "bulk"" ; drop", pg_catalog, public;
SELECT deleted FROM dbutil.bulk_delete('public.bulk_s', '[9999]');
SELECT updated FROM dbutil.bulk_update('"ta""ble ; --"', '[{"co\"l); --": 1, "v": 2}]');
RESET search_path;
DROP SCHEMA "bulk"" ; drop" CASCADE;
DROP TABLE bulk_t, bulk_s, bulk_k, bulk_p CASCADE;
DROP TYPE bulk_part;
DROP FUNCTION bulk_keep_out();
