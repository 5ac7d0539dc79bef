-- Values and keys of types that are easy to get wrong.
\set VERBOSITY terse
CREATE SCHEMA bulk_values_test;
SET search_path = bulk_values_test;
CREATE FUNCTION counts(r dbutil.bulk_result) RETURNS text
LANGUAGE sql RETURN format('in %s: inserted %s, updated %s, unchanged %s, deleted %s, conflicts %s, missing %s, suppressed %s',
	r.rows_in, r.inserted, r.updated, r.unchanged, r.deleted, r.conflicts, r.missing, r.suppressed);

-- numeric keys: 1.0 is 1.00, NaN is NaN
CREATE TABLE num (k numeric PRIMARY KEY, v text);
SELECT counts(r) FROM dbutil.bulk_insert('num', ARRAY[ROW(1.0, 'a'), ROW('NaN'::numeric, 'n')]) r;
SELECT counts(r) FROM dbutil.bulk_update('num', '[{"k": 1.00, "v": "b"}, {"k": "NaN", "v": "N"}]') r;
SELECT counts(r) FROM dbutil.bulk_delete('num', ARRAY[1.0, 1.00]) r;
SELECT counts(r) FROM dbutil.bulk_insert('num', '[{"k": 1.000, "v": "c"}, {"k": 2, "v": "d"}]', on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_insert('num', '[{"k": 3.0, "v": "x"}, {"k": 3, "v": "y"}]', duplicates => 'last') r;
SELECT * FROM num ORDER BY k;
-- floats
CREATE TABLE flt (k float8 PRIMARY KEY, v text);
SELECT counts(r) FROM dbutil.bulk_insert('flt', ARRAY[ROW(0::float8, 'zero'), ROW('NaN'::float8, 'nan'), ROW('Infinity'::float8, 'inf')]) r;
SELECT counts(r) FROM dbutil.bulk_delete('flt', ARRAY['-0', 'NaN']::float8[]) r;
TABLE flt;

-- a collation that takes a and A for equal
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE txt (k text COLLATE ci PRIMARY KEY, v text COLLATE ci);
SELECT counts(r) FROM dbutil.bulk_insert('txt', '[{"k": "Ann", "v": "x"}, {"k": "bob", "v": "y"}]') r;
SELECT counts(r) FROM dbutil.bulk_update('txt', '[{"k": "ANN", "v": "X"}]', skip_unchanged => true) r;
SELECT counts(r) FROM dbutil.bulk_update('txt', '[{"k": "ANN", "v": "X"}, {"k": "ann", "v": "X"}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('txt', '[{"k": "BOB", "v": "z"}]', on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_delete('txt', ARRAY['BOB']) r;
TABLE txt;
-- other keys: varchar, char, uuid, enum, timestamptz, bytea, array, composite, domain, boolean
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE pair AS (x int, y text);
CREATE DOMAIN code AS varchar(3) CHECK (VALUE ~ '^[A-Z]+$');
CREATE TABLE keys (id serial PRIMARY KEY, vc varchar(5) UNIQUE, ch char(4) UNIQUE, u uuid UNIQUE, e mood UNIQUE, ts timestamptz UNIQUE,
	b bytea UNIQUE, ar int[] UNIQUE, co pair UNIQUE, d code UNIQUE, f boolean UNIQUE, n name UNIQUE, j jsonb UNIQUE);
SELECT counts(r) FROM dbutil.bulk_insert('keys', '[{"vc": "v1", "ch": "c1", "u": "00000000-0000-0000-0000-000000000001", "e": "sad", "ts": "2025-01-01 00:00+00",
	"b": "\\x01", "ar": [1, 2], "co": {"x": 1, "y": "a"}, "d": "AB", "f": true, "n": "n1", "j": {"a": [1]}}]') r;
SELECT vc, ch, u, e, ts AT TIME ZONE 'UTC' AS ts, b, ar, co, d, f, n, j FROM keys;
SELECT k, counts(r) FROM unnest('{vc,ch,u,e,ts,b,ar,co,d,f,n,j}'::name[]) k,
	dbutil.bulk_update('keys', (SELECT jsonb_agg(jsonb_build_object('id', 10, k, to_jsonb(keys) -> k)) FROM keys WHERE id IN (1, 10)), key => ARRAY[k]) r
ORDER BY k;
SELECT id FROM keys;
SELECT counts(r) FROM dbutil.bulk_delete('keys', ARRAY[ROW(1, 'a')::pair], key => '{co}', dry_run => true) r;
SELECT counts(r) FROM dbutil.bulk_delete('keys', '[[1, 2]]', key => '{ar}', dry_run => true) r;
SELECT counts(r) FROM dbutil.bulk_delete('keys', '[{"ar": [1, 2]}]', key => '{ar}', dry_run => true) r;
SELECT counts(r) FROM dbutil.bulk_delete('keys', ARRAY['sad']::mood[], key => '{e}', dry_run => true) r;
SELECT counts(r) FROM dbutil.bulk_delete('keys', ARRAY['v1', 'v2'], key => '{vc}', dry_run => true) r;
SELECT counts(r) FROM dbutil.bulk_insert('keys', '[{"d": "abc"}]') r;

-- values: arrays are not flattened, types are assigned as in INSERT
CREATE TABLE vals (id int, a int[], t text[], c pair, cs pair[], v varchar(3), n numeric(4,1), j json, jb jsonb, r int4range, i interval);
CREATE TYPE given AS (id bigint, a bigint[], v text, n float8, c pair, cs pair[]);
SELECT counts(r) FROM dbutil.bulk_insert('vals', ARRAY[ROW(1, '{{1,2},{3,4}}', 'abc', 1.25, ROW(1, 'x'), ARRAY[ROW(2, NULL)::pair])::given]) r;
SELECT counts(r) FROM dbutil.bulk_insert('vals', ARRAY[ROW(1, NULL, 'abcd', 1, NULL, NULL)::given]) r;
SELECT counts(r) FROM dbutil.bulk_insert('vals', '[{"id": 2, "a": [[1, 2], [3, 4]], "t": ["a,b", null, "NULL"], "c": {"x": 5}, "cs": [{"x": 1, "y": "z"}, null], "v": "abc",
	"n": 1.26, "j": {"b": 1, "a": null}, "jb": {"b": 1, "a": null}, "r": "[1,5)", "i": "1 day"}, {"id": 3, "j": null, "jb": null, "t": null}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('vals', '[{"id": 4, "v": "abcd"}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('vals', '[{"id": 5, "n": 1234.5}]') r;
SELECT * FROM vals ORDER BY id;
-- JSON is read as jsonb, whose form a json column gets: of equal keys the last one, its order, its numbers
CREATE TABLE form (id int, j json);
SELECT counts(r) FROM dbutil.bulk_insert('form', '[{"id": 1, "j": {"bb": 1, "a": 2, "a": 3, "n": 1e2}}]'::json) r;
TABLE form;
-- an update of what has no equality at all
SELECT counts(r) FROM dbutil.bulk_update('vals', '[{"id": 2, "j": {"b": 1, "a": null}}, {"id": 3, "j": {}}]', key => '{id}', skip_unchanged => true) r;
-- long values pass whole
CREATE TABLE long (id int PRIMARY KEY, v text);
SELECT counts(r) FROM dbutil.bulk_insert('long', (SELECT array_agg(ROW(i, repeat(md5(i::text), 4000))) FROM generate_series(1, 5) i)) r;
SELECT counts(r) FROM dbutil.bulk_update('long', (SELECT array_agg(l) FROM long l), skip_unchanged => true) r;
SELECT count(*) FROM long WHERE v = repeat(md5(id::text), 4000);
-- slices bigger than work_mem
SET work_mem = '64kB';
CREATE TABLE much (id int PRIMARY KEY, v text);
SELECT counts(r) FROM dbutil.bulk_insert('much', (SELECT array_agg(ROW(i, 'v' || i)) FROM generate_series(20000, 1, -1) i), chunk_rows => 20000, on_conflict => 'nothing') r;
SELECT counts(r) FROM dbutil.bulk_update('much', (SELECT array_agg(ROW(i * 2, 'w' || i)) FROM generate_series(1, 11000) i), set_columns => '{v}', missing => 'insert', chunk_rows => 15000) r;
SELECT count(*), count(*) FILTER (WHERE v = 'w' || id / 2) FROM much;
RESET work_mem;

SET client_min_messages = warning;
DROP SCHEMA bulk_values_test CASCADE;
