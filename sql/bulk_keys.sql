-- Keys are compared as plain SQL compares them: never rounded, cut or padded to the column's type first.
\set VERBOSITY terse
CREATE SCHEMA bulk_keys_test;
SET search_path = bulk_keys_test;
CREATE FUNCTION counts(r dbutil.bulk_result) RETURNS text
LANGUAGE sql RETURN format('in %s: inserted %s, updated %s, deleted %s, missing %s', r.rows_in, r.inserted, r.updated, r.deleted, r.missing);

-- numeric and float keys of an integer column
CREATE TABLE acc (id int PRIMARY KEY, bal int);
INSERT INTO acc VALUES (1, 10), (2, 20), (3, 30);
SELECT counts(r) FROM dbutil.bulk_update('acc', ARRAY[ROW(1.6, 99)]) r;
SELECT counts(r) FROM dbutil.bulk_delete('acc', ARRAY[2.5]) r;
SELECT counts(r) FROM dbutil.bulk_delete('acc', ARRAY[0.5::float8, 'NaN', 1e300]) r;
SELECT counts(r) FROM dbutil.bulk_update('acc', ARRAY[ROW(1.6, 99), ROW(2.0, 88)], missing => 'error') r;
SELECT counts(r) FROM dbutil.bulk_update('acc', ARRAY[ROW(1.4, 1)], missing => 'insert') r;
SELECT * FROM acc ORDER BY id;
-- what is equal is found, whatever its type
SELECT counts(r) FROM dbutil.bulk_update('acc', ARRAY[ROW(1.0, 11), ROW(2.5, 0)]) r;
SELECT counts(r) FROM dbutil.bulk_update('acc', ARRAY[ROW(2::bigint, 21), ROW(9999999999, 0)]) r;
SELECT counts(r) FROM dbutil.bulk_update('acc', ARRAY[ROW('3', 31)]) r;
SELECT * FROM acc ORDER BY id;
SELECT counts(r) FROM dbutil.bulk_delete('acc', ARRAY[1::smallint]) r;
SELECT r.missing, r.path_reason FROM dbutil.bulk_delete('acc', ARRAY[9999999999]) r;
SELECT r.missing, r.path_reason FROM dbutil.bulk_delete('acc', ARRAY[7.5]) r;
SELECT counts(r) FROM dbutil.bulk_delete('acc', ARRAY[3.0, 3.00]) r;
-- nothing compares these: 42804, as plain SQL finds no operator
SELECT counts(r) FROM dbutil.bulk_delete('acc', ARRAY['3']::text[]) r;
SELECT counts(r) FROM dbutil.bulk_delete('acc', ARRAY['3']::json[]) r;

-- dates and timestamps
CREATE TABLE days (d date PRIMARY KEY);
INSERT INTO days VALUES ('2026-11-24'), ('2026-11-25');
SELECT counts(r) FROM dbutil.bulk_delete('days', ARRAY['2026-11-24 13:00', '2026-11-25 00:00']::timestamp[]) r;
TABLE days;
CREATE TABLE secs (t timestamp(0) PRIMARY KEY, v int);
INSERT INTO secs VALUES ('2020-01-01 00:00:01');
SELECT counts(r) FROM dbutil.bulk_delete('secs', ARRAY['2020-01-01 00:00:01.3'::timestamp]) r;
SELECT counts(r) FROM dbutil.bulk_update('secs', '[{"t": "2020-01-01 00:00:01.3", "v": 1}]') r;
SELECT counts(r) FROM dbutil.bulk_update('secs', '[{"t": "2020-01-01 00:00:01.0", "v": 2}]') r;
TABLE secs;

-- precision and length
CREATE TABLE num (k numeric(5,1) PRIMARY KEY, v int);
INSERT INTO num VALUES (1.2, 0);
SELECT counts(r) FROM dbutil.bulk_update('num', '[{"k": 1.21, "v": 1}]') r;
SELECT counts(r) FROM dbutil.bulk_delete('num', '[1.21, 123456789]') r;
SELECT counts(r) FROM dbutil.bulk_delete('num', ARRAY[1.21]) r;
-- a key that is inserted is stored as INSERT stores it
SELECT counts(r) FROM dbutil.bulk_update('num', '[{"k": 1.31, "v": 3}]', missing => 'insert') r;
SELECT counts(r) FROM dbutil.bulk_update('num', '[{"k": 1.32, "v": 3}]', missing => 'insert') r;
SELECT * FROM num ORDER BY k;
CREATE TABLE txt (v varchar(3) UNIQUE, c char(4) UNIQUE, n name UNIQUE);
INSERT INTO txt VALUES ('abc', 'a', repeat('x', 63)::name);
SELECT k, counts(r) FROM (VALUES ('v', '["abcd"]'), ('v', '["abc "]'), ('c', '["a "]'), ('c', '["abcde"]'), ('v', '["abc"]')) s(k, j),
	dbutil.bulk_delete('txt', j, key => ARRAY[k]::name[], dry_run => true) r;
SELECT counts(r) FROM dbutil.bulk_delete('txt', ARRAY['abcd', 'abc '], key => '{v}') r;
SELECT counts(r) FROM dbutil.bulk_delete('txt', ARRAY['a  ', 'abcde'], key => '{c}') r;
SELECT counts(r) FROM dbutil.bulk_delete('txt', ARRAY[repeat('x', 70)], key => '{n}') r;
SELECT counts(r) FROM dbutil.bulk_delete('txt', ARRAY['a'], key => '{c}', dry_run => true) r;
SELECT counts(r) FROM dbutil.bulk_delete('txt', ARRAY[repeat('x', 63)], key => '{n}') r;
-- a key of a domain is compared as its base type
CREATE DOMAIN code AS varchar(3) CHECK (VALUE ~ '^[A-Z]+$');
CREATE TABLE dom (d code PRIMARY KEY, v int);
INSERT INTO dom VALUES ('AB', 0);
SELECT counts(r) FROM dbutil.bulk_update('dom', '[{"d": "AB", "v": 1}, {"d": "abcd", "v": 2}]') r;
SELECT counts(r) FROM dbutil.bulk_update('dom', ARRAY[ROW('AB'::code, 2)]) r;
SELECT counts(r) FROM dbutil.bulk_update('dom', '[{"d": "xy", "v": 2}]', missing => 'insert') r;
TABLE dom;
-- many rows and both kinds of join
CREATE TABLE many (id bigint PRIMARY KEY, v numeric);
INSERT INTO many SELECT i, 0 FROM generate_series(1, 1000) i;
ANALYZE many;
SELECT counts(r) FROM dbutil.bulk_update('many', (SELECT array_agg(ROW(i / 2.0, 1)) FROM generate_series(1, 2000) i)) r;
SELECT counts(r) FROM dbutil.bulk_update('many', (SELECT array_agg(ROW(i, 2)) FROM generate_series(1, 100) i)) r;
SELECT sum(v) FROM many;

-- every pair of types: what plain SQL finds is found, what it has no operator for is refused
CREATE FUNCTION remaining(keys text, run text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE replace(run, '$keys', keys);
	SELECT string_agg(k::text, ' ' ORDER BY n) INTO result FROM pair;
	RETURN concat('left ', result);
EXCEPTION WHEN undefined_function OR datatype_mismatch THEN
	RETURN 'refused';
WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE FUNCTION compare_pair(col text, val text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE samples text[]; keys text; plain text; bulk text; sample text;
BEGIN
	EXECUTE format('CREATE TEMP TABLE pair (n serial, k %s) ON COMMIT DROP', col);
	samples := CASE WHEN col ~ 'date|time' THEN '{2026-11-24,2026-11-24 13:00,2026-11-24 13:00:00.3,2026-11-25,infinity}'
		WHEN col ~ 'char|text|name|citext' THEN ARRAY['a', 'a ', 'abc', 'abcd', repeat('x', 63), repeat('x', 70), '']
		ELSE '{1,2,1.2,1.21,1.5,2.5,16777216,16777217,9007199254740992,9007199254740993,-0,NaN}' END;
	FOREACH sample IN ARRAY samples LOOP
		BEGIN
			EXECUTE format('INSERT INTO pair (k) SELECT %1$L::%2$s WHERE NOT EXISTS (SELECT FROM pair WHERE k = %1$L::%2$s)', sample, col);
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
		BEGIN
			EXECUTE format('SELECT %L::%s', sample, val);
			keys := concat_ws(', ', keys, quote_literal(sample));
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
	END LOOP;
	keys := format('ARRAY(SELECT DISTINCT k::%1$s FROM unnest(ARRAY[%2$s]::%1$s[]) k)', val, keys);
	BEGIN
		plain := remaining(keys, 'DELETE FROM pair USING unnest($keys) AS s (v) WHERE pair.k = s.v');
		RAISE EXCEPTION division_by_zero;
	EXCEPTION WHEN division_by_zero THEN NULL;
	END;
	bulk := remaining(keys, $q$SELECT dbutil.bulk_delete('pair', $keys, key => '{k}')$q$);
	DROP TABLE pair;
	IF plain IS DISTINCT FROM bulk THEN
		RETURN format('plain: %s, bulk: %s', plain, bulk);
	END IF;
	RETURN CASE WHEN plain LIKE 'left%' THEN 'equal' ELSE plain END;
END $$;
SELECT result, count(*) FROM unnest('{smallint,int,bigint,oid,numeric,"numeric(5,1)",real,double precision}'::text[]) c,
	unnest('{smallint,int,bigint,oid,numeric,"numeric(5,1)",real,double precision,text}'::text[]) v, compare_pair(c, v) result GROUP BY 1 ORDER BY 1;
SELECT result, count(*) FROM unnest('{date,timestamp,timestamp(0),timestamptz}'::text[]) c,
	unnest('{date,timestamp,timestamp(0),timestamptz,timestamptz(0),text}'::text[]) v, compare_pair(c, v) result GROUP BY 1 ORDER BY 1;
SELECT result, count(*) FROM unnest('{text,varchar,varchar(3),char(4),name}'::text[]) c,
	unnest('{text,varchar,varchar(3),char(4),name,int}'::text[]) v, compare_pair(c, v) result GROUP BY 1 ORDER BY 1;

-- the length of one record's field says nothing about the next record's
CREATE TABLE sized (a varchar(3), n numeric(5,2));
SELECT counts(r) FROM dbutil.bulk_insert('sized', ARRAY[ROW('abc'::varchar(3), 1.25::numeric(5,2)), ROW('abcdef'::varchar(10), 1::numeric(12,3))]) r;
SELECT counts(r) FROM dbutil.bulk_insert('sized', ARRAY[ROW('abc'::varchar(3), 1.25::numeric(5,2)), ROW('abc'::varchar(3), 123456.789::numeric(12,3))]) r;
SELECT counts(r) FROM dbutil.bulk_insert('sized', ARRAY[ROW('abc'::varchar(3), 1.25::numeric(5,2)), ROW('ab'::varchar(10), 1.257::numeric(12,3))]) r;
TABLE sized;

SET client_min_messages = warning;
DROP SCHEMA bulk_keys_test CASCADE;
