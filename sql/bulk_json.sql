-- JSON values become what jsonb_populate_record makes of them, or the same error: each type with each value.
\set VERBOSITY terse
CREATE SCHEMA bulk_json_test;
SET search_path = bulk_json_test;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (x int, y text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN filled AS text NOT NULL;
CREATE TABLE types (n serial, name text);
INSERT INTO types (name) VALUES ('smallint'), ('integer'), ('bigint'), ('numeric'), ('numeric(6,2)'), ('numeric(3,-2)'), ('numeric(4,6)'), ('real'),
	('double precision'), ('text'), ('varchar'), ('varchar(3)'), ('char(3)'), ('"char"'), ('name'), ('boolean'), ('date'), ('timestamp'), ('timestamptz(0)'),
	('time'), ('interval'), ('uuid'), ('bytea'), ('json'), ('jsonb'), ('mood'), ('int4range'), ('int4multirange'), ('point'), ('inet'), ('oid'), ('bit(3)'),
	('money'), ('tsvector'), ('xid8'), ('integer[]'), ('text[]'), ('pair'), ('pair[]'), ('positive'), ('filled');
CREATE TABLE vals (n serial, v jsonb);
INSERT INTO vals (v)
SELECT unnest('{null,true,false,0,-0,1,-1,7,127,128,32767,32768,-32768,-32769,2147483647,2147483648,-2147483648,-2147483649,4294967296,
	9223372036854775807,9223372036854775808,-9223372036854775808,1.0,1.5,-2.5,0.004,0.005,123456.7,9999.994,9999.995,1e3,1.5e3,1e-3,1e20,1e400,1e-400,
	0.000000000000000000000000000000000000000000000000000000000000000000001,12345678901234567890.5,100.00,150,250,950}'::jsonb[])
UNION ALL SELECT unnest(ARRAY['""', '" "', '"a"', '"abc"', '"abcd"', '"ab  "', '"abc  "', '"é"', '"ééé"', '"éééé"', '"1"', '" 1 "', '"1.0"', '"-7"', '"NaN"', '"Infinity"', '"-0"', '"1e3"', '"0x10"',
	'"t"', '"yes"', '"true"', '"maybe"', '"ok"', '"2024-02-29"', '"2024-02-30"', '"2024-02-29 12:00:00.6+02"', '"infinity"', '"12:30"', '"1 day 2 hours"',
	'"00000000-0000-0000-0000-000000000001"', '"\\x00ff"', '"\\xz"', '"[1,5)"', '"[5,1)"', '"{[1,2),[4,5)}"', '"(1,2)"', '"10.0.0.2/8"', '"101"', '"null"', '"q\"\\r"', '"{1,2}"', '"(3,z)"', '"$1.50"',
	'{}', '{"x": 1, "y": "q"}', '{"b": [1, {"c": null}], "aa": "é"}', '[]', '[1, 2]', '["a", null]', '[[1], [2]]', '[{"x": 1}]', '[null]']::jsonb[]);
CREATE TABLE mismatches (type text, v jsonb, bulk text, plain text);
-- what becomes of a value, in bytes, or the error
CREATE FUNCTION outcome(statement text, type text, v jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text; message text; detail text;
BEGIN
	TRUNCATE target;
	EXECUTE format(statement, jsonb_build_object('other', 1, 'v', v, 'zz', 'last'));
	EXECUTE format('SELECT concat_ws($x$|$x$, other, pg_column_size(v) - pg_column_size(NULL::text), v::text, zz, v IS NULL) FROM target') INTO result;
	RETURN result;
EXCEPTION WHEN data_exception OR integrity_constraint_violation OR invalid_text_representation OR feature_not_supported OR syntax_error_or_access_rule_violation THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN format('%s %s %s', SQLSTATE, message, detail);
END $$;
CREATE FUNCTION try_all() RETURNS TABLE (tried bigint, written bigint, refused bigint, mismatched bigint) LANGUAGE plpgsql AS $$
DECLARE t record; x record; a text; b text;
BEGIN
	tried := 0; written := 0; refused := 0; mismatched := 0;
	FOR t IN SELECT * FROM types ORDER BY n LOOP
		EXECUTE 'CREATE TABLE target (zz text, v ' || t.name || ', other int)';
		FOR x IN SELECT * FROM vals ORDER BY n LOOP
			a := outcome($s$SELECT FROM dbutil.bulk_insert('target', jsonb_build_array(%L::jsonb))$s$, t.name, x.v);
			b := outcome($s$INSERT INTO target SELECT * FROM jsonb_populate_record(NULL::target, %L)$s$, t.name, x.v);
			tried := tried + 1;
			IF a ~ '^1\|' THEN written := written + 1; ELSE refused := refused + 1; END IF;
			IF a IS DISTINCT FROM b THEN
				mismatched := mismatched + 1;
				INSERT INTO mismatches VALUES (t.name, x.v, a, b);
			END IF;
		END LOOP;
		DROP TABLE target;
	END LOOP;
	RETURN NEXT;
END $$;
SET client_min_messages = warning;
SELECT tried, written > 1000 AS many_written, refused > 1000 AS many_refused, mismatched FROM try_all();
TABLE mismatches LIMIT 20;
-- bit for bit, where two values may look alike
CREATE TABLE wide (a smallint, b bigint, c numeric, d numeric(9,3), e double precision, f text, g varchar(4), h boolean, i jsonb, j json, k timestamptz);
CREATE TABLE wide2 (LIKE wide);
CREATE TABLE rows AS
SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('a', g % 300, 'b', g * 1000003::bigint, 'c', (g::numeric / (g % 7 + 1))::text::jsonb, 'd', g / 1000.0, 'e', g / 3.0, 'f', nullif(repeat('é', g % 50), ''),
	'g', left(md5(g::text), g % 5), 'h', g % 2 = 0, 'i', jsonb_build_array(g, g / 8.0), 'j', jsonb_build_object('g', g), 'k', timestamptz '2024-01-01 00:00+00' + g * interval '1.25 s'))) AS r
FROM generate_series(1, 3000) g;
SELECT inserted FROM rows, dbutil.bulk_insert('wide', r);
INSERT INTO wide2 SELECT x.* FROM rows, jsonb_populate_recordset(NULL::wide2, r) x;
SELECT count(*), count(*) FILTER (WHERE record_image_eq(ROW((w1).a, (w1).b, (w1).c, (w1).d, (w1).e, (w1).f, (w1).g, (w1).h, (w1).i, (w1).j::text, (w1).k),
	ROW((w2).a, (w2).b, (w2).c, (w2).d, (w2).e, (w2).f, (w2).g, (w2).h, (w2).i, (w2).j::text, (w2).k))) AS equal
FROM (SELECT row_number() OVER () AS n, wide AS w1 FROM wide) a JOIN (SELECT row_number() OVER () AS n, wide2 AS w2 FROM wide2) b USING (n);
-- several bad values: the first column is told; keys in any order, and some of no column
SELECT FROM dbutil.bulk_insert('wide', '[{"a": 1}, {"g": "too long", "c": "x", "b": "y"}]');
SELECT FROM dbutil.bulk_insert('wide', '[{"g": "too long"}]');
SELECT inserted FROM dbutil.bulk_insert('wide', '[{"g": "one", "a": 1, "none": 7, "b": 2}, {"b": 3, "g": "two"}, {"none": 1, "a": 5}, {}]', columns => '{g,a,b}');
SELECT a, b, g, count(*) FROM wide WHERE k IS NULL GROUP BY 1, 2, 3 ORDER BY 1, 2;
DROP SCHEMA bulk_json_test CASCADE;
