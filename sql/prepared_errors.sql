-- prepared: one clear error for each mistake, with SQLSTATE and hint
CREATE TABLE prep_e (id int PRIMARY KEY, name text);
CREATE TABLE prep_ruled (id int);
CREATE RULE gone AS ON INSERT TO prep_ruled DO INSTEAD NOTHING;
CREATE DOMAIN prep_positive AS int CHECK (VALUE > 0);
CREATE TYPE prep_mood AS ENUM ('good', 'bad');
SELECT dbutil.prepare_statement('two', 'SELECT $1::int, $2::text');
SELECT dbutil.prepare_statement('named', 'SELECT :a::int AS a, :b::text AS b');
SELECT dbutil.prepare_statement('none', 'SELECT 1');
SELECT dbutil.prepare_statement('typed', 'SELECT :d AS d, :m AS m, :tags AS tags', '{prep_positive,prep_mood,int[]}');
SELECT dbutil.prepare_statement('twice', 'SELECT 1 AS a, 2 AS a');
SELECT dbutil.prepare_statement('insert', 'INSERT INTO prep_e (id) VALUES ($1)');
SELECT dbutil.prepare_statement('returning', 'INSERT INTO prep_e (id) VALUES ($1) RETURNING id, name');

CREATE FUNCTION prep_try(code text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text; message text; detail text; hint text;
BEGIN
	EXECUTE code;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', state, message, nullif(detail, ''), nullif(hint, ''));
END $$;
\pset format unaligned
\pset tuples_only on

-- preparing
SELECT prep_try(format('SELECT dbutil.prepare_statement(%s)', args)) FROM (VALUES
	(1, $$NULL, 'SELECT 1'$$),
	(2, $$'x', NULL$$),
	(3, $$'x', 'SELECT 1', replace => NULL$$),
	(4, $$'', 'SELECT 1'$$),
	(5, $$'x', 'SELECT 1', service => ''$$),
	(6, $$repeat('x', 64), 'SELECT 1'$$),
	(7, $$'x', 'SELECT 1', service => repeat('x', 64)$$),
	(8, $$'two', 'SELECT 1'$$),
	(9, $$'x', ''$$),
	(10, $$'x', '-- nothing'$$),
	(11, $$'x', 'SELECT 1; SELECT 2'$$),
	(12, $$'x', 'CREATE TABLE t (i int)'$$),
	(13, $$'x', 'BEGIN'$$),
	(14, $$'x', 'EXPLAIN SELECT 1'$$),
	(15, $$'x', 'SELECT 1 INTO t'$$),
	(16, $$'x', 'CREATE TABLE t AS SELECT 1'$$),
	(17, $$'x', 'EXECUTE other'$$),
	(18, $$'x', 'INSERT INTO prep_ruled VALUES (1)'$$),
	(19, $$'x', 'SELEC 1'$$),
	(20, $$'x', 'SELECT nothing FROM prep_e'$$),
	(21, $$'x', 'SELECT 1 FROM no_table'$$),
	(22, $$'x', 'SELECT $1, :a'$$),
	(23, $$'x', 'SELECT $2::int'$$),
	(24, $$'x', 'SELECT $1 IS NULL'$$),
	(25, $$'x', 'SELECT :a IS NULL'$$),
	(26, $$'x', 'SELECT $1', '{anyelement}'$$),
	(27, $$'x', 'SELECT $1', '{record}'$$),
	(28, $$'x', 'SELECT $1', '{internal}'$$),
	(29, $$'x', 'SELECT $1', '{{int,int}}'$$),
	(30, $$'x', 'SELECT :a', '{int,int}'$$),
	(31, $$'x', 'SELECT $0'$$),
	(32, $$'x', 'SELECT $1::int + $1', '{text}'$$),
	(33, $$'x', 'SELECT ''open'$$)
) v(n, args) ORDER BY n;
-- good ones: an open type inferred, more types than parameters, a colon that is none
SELECT prep_try(format('SELECT dbutil.prepare_statement(%s, replace => true)', args)) FROM (VALUES
	(1, $$'x', 'SELECT $1 + $2', ARRAY[NULL, 'int']::regtype[]$$),
	(2, $$'x', 'SELECT $1', '{int,text}'$$),
	(3, $$'x', 'SELECT '':a'', 1::int, (ARRAY[1,2,3])[1:2] -- :b'$$),
	(4, $$'x', 'SELECT ARRAY[:a, :b]::int[], (ARRAY[1,2,3])[(:a):(:b)];'$$),
	(5, $$'x', 'SELECT 1', '{}'$$)
) v(n, args) ORDER BY n;

-- executing
SELECT prep_try('SELECT * FROM dbutil.' || call) FROM (VALUES
	(1, $$execute_prepared_statement(NULL) AS (a int)$$),
	(2, $$execute_prepared_statement('unknown') AS (a int)$$),
	(3, $$execute_prepared_statement_json('unknown')$$),
	(4, $$execute_prepared_statement('two') AS (a int, b text)$$),
	(5, $$execute_prepared_statement('two', 1) AS (a int, b text)$$),
	(6, $$execute_prepared_statement('two', 1, 'x', 3) AS (a int, b text)$$),
	(7, $$execute_prepared_statement('none', 1) AS (a int)$$),
	(8, $$execute_prepared_statement('two', 'x', 'y') AS (a int, b text)$$),
	(9, $$execute_prepared_statement('two', 'x'::text, 'y') AS (a int, b text)$$),
	(10, $$execute_prepared_statement('two', now(), 'y') AS (a int, b text)$$),
	(11, $$execute_prepared_statement('named', 'x', 'y') AS (a int, b text)$$),
	(12, $$execute_prepared_statement('two', 99999999999, 'y') AS (a int, b text)$$),
	(13, $$execute_prepared_statement('two', 1, 'y') AS (a int)$$),
	(14, $$execute_prepared_statement('two', 1, 'y') AS (a int, b int)$$),
	(15, $$execute_prepared_statement('two', 1, 'y') AS (a int, b varchar)$$),
	(16, $$execute_prepared_statement('returning', 1) AS (id int)$$),
	(17, $$execute_prepared_statement('insert', 1) AS (id int)$$),
	(18, $$execute_prepared_statement('insert', 1) AS (a bigint, b text)$$),
	(19, $$execute_prepared_statement('typed', 0, 'good', '{1}') AS (d prep_positive, m prep_mood, tags int[])$$),
	(20, $$execute_prepared_statement('typed', '0', 'good', '{1}') AS (d prep_positive, m prep_mood, tags int[])$$),
	(21, $$execute_prepared_statement('typed', 1, 'sad', '{1}') AS (d prep_positive, m prep_mood, tags int[])$$),
	(22, $$execute_prepared_statement('typed', 1, 'bad', 1) AS (d prep_positive, m prep_mood, tags int[])$$),
	(23, $$execute_prepared_statement('two', VARIADIC NULL::int[]) AS (a int, b text)$$),
	(24, $$execute_prepared_statement('returning', NULL) AS (id int, name text)$$),
	(30, $$execute_prepared_statement_json(NULL)$$),
	(31, $$execute_prepared_statement_json('none', NULL)$$),
	(32, $$execute_prepared_statement_json('named', '{"a": 1}')$$),
	(33, $$execute_prepared_statement_json('named')$$),
	(34, $$execute_prepared_statement_json('named', '{"a": 1, "b": "x", "c": 1}')$$),
	(35, $$execute_prepared_statement_json('named', '[1, "x"]')$$),
	(36, $$execute_prepared_statement_json('named', '1')$$),
	(37, $$execute_prepared_statement_json('named', '{"a": "x", "b": 1}')$$),
	(38, $$execute_prepared_statement_json('two', '[1]')$$),
	(39, $$execute_prepared_statement_json('two', '[1, 2, 3]')$$),
	(40, $$execute_prepared_statement_json('two', '{"1": 1}')$$),
	(41, $$execute_prepared_statement_json('two')$$),
	(42, $$execute_prepared_statement_json('none', '{"a": 1}')$$),
	(43, $$execute_prepared_statement_json('typed', '{"d": 0, "m": "good", "tags": [1]}')$$),
	(44, $$execute_prepared_statement_json('twice')$$),
	(50, $$deallocate_statement('unknown')$$),
	(51, $$deallocate_statement('two', 'service')$$),
	(52, $$deallocate_statement(NULL)$$),
	(53, $$deallocate_statement('two', '')$$)
) v(n, call) ORDER BY n;
-- none of them executed anything
TABLE prep_e;
\pset format aligned
\pset tuples_only off

-- what is right beside what is wrong
SELECT * FROM dbutil.execute_prepared_statement('typed', 1, 'bad', '{1}') AS (d prep_positive, m prep_mood, tags int[]);
SELECT * FROM dbutil.execute_prepared_statement('typed', 1::bigint, 'bad'::prep_mood, ARRAY[1::smallint]) AS (d prep_positive, m prep_mood, tags int[]);
SELECT * FROM dbutil.execute_prepared_statement('typed', NULL, NULL, NULL) AS (d prep_positive, m prep_mood, tags int[]);
SELECT * FROM dbutil.execute_prepared_statement_json('typed', '{"d": 7, "m": "good", "tags": [1, null]}');
SELECT * FROM dbutil.execute_prepared_statement('two', VARIADIC ARRAY['1', 'x']) AS (a int, b text);
-- an array of values is a list of values of its type
SELECT * FROM dbutil.execute_prepared_statement('two', VARIADIC ARRAY[1, 2]) AS (a int, b text);
SELECT * FROM dbutil.execute_prepared_statement('two', 1.6, 5) AS (a int, b text);

-- errors point into the text as it was written
SELECT dbutil.prepare_statement('x', 'SELECT :long_name::int, nothing FROM prep_e WHERE id = :long_name');
SELECT dbutil.prepare_statement('x', 'SELECT :long_name::int FORM prep_e');
SELECT dbutil.prepare_statement('x', 'SELECT :long_name IS NULL');
SELECT dbutil.prepare_statement('x', 'SELECT :long_name::int, name FROM prep_e', replace => true);
DROP TABLE prep_e;
SELECT * FROM dbutil.execute_prepared_statement('x', 1) AS (a int, name text);
CREATE TABLE prep_e (id int PRIMARY KEY, name text);
SELECT * FROM dbutil.execute_prepared_statement('x', 1) AS (a int, name text);
-- a runtime error, and the list of columns
SELECT dbutil.prepare_statement('x', 'SELECT 1 / :zero AS "Column", 2::numeric(4,2) AS two', replace => true);
SELECT * FROM dbutil.execute_prepared_statement('x', 0) AS ("Column" int, two numeric);
SELECT * FROM dbutil.execute_prepared_statement('x', 1) AS (a int, two numeric(6,2));
SELECT * FROM dbutil.execute_prepared_statement('x', 1) AS (a int, two numeric(4,2), three int);
-- a type that is gone
SELECT dbutil.prepare_statement('x', 'SELECT :m', '{prep_mood}', replace => true);
DROP TYPE prep_mood;
SELECT * FROM dbutil.execute_prepared_statement_json('x', '{"m": 1}');
SELECT * FROM dbutil.execute_prepared_statement('typed', 1, 'good', '{1}') AS (d prep_positive, m text, tags int[]);
SELECT parameter_names FROM dbutil.prepared_statements WHERE name = 'typed';
-- a text means the same whatever the session's settings
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT dbutil.prepare_statement('x', $$SELECT 'a\b'$$, replace => true);
SELECT * FROM dbutil.execute_prepared_statement_json('x');
SHOW standard_conforming_strings;
RESET standard_conforming_strings;
RESET escape_string_warning;
-- read-only transactions execute, and do not prepare
BEGIN READ ONLY;
SELECT * FROM dbutil.execute_prepared_statement('none') AS (a int);
SAVEPOINT s;
SELECT dbutil.prepare_statement('y', 'SELECT 1');
ROLLBACK TO s;
SELECT dbutil.deallocate_statement('none');
ROLLBACK TO s;
SELECT * FROM dbutil.execute_prepared_statement('insert', 1) AS (rows bigint);
ROLLBACK;

SELECT count(dbutil.deallocate_statement(name, service)) FROM dbutil.prepared_statements;
DROP FUNCTION prep_try;
DROP TABLE prep_e, prep_ruled;
DROP DOMAIN prep_positive;
