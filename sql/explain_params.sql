-- explain: parameters, by position and by name
CREATE TABLE param_t (id int, name text, tags int[], doc jsonb, at date);
CREATE DOMAIN param_positive AS int CHECK (VALUE > 0);
CREATE TYPE param_pair AS (a int, b text);
CREATE TABLE param_typed (p param_positive, pair param_pair);

-- what a value has become, as the plan prints it
CREATE FUNCTION param_out(query text, params jsonb DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$
	SELECT string_agg(o, ', ') FROM jsonb_array_elements_text(
		dbutil.analyze_query(query, params) #> '{plan,0,Plan,Output}') AS o
$$;

-- by position; the type is what the query makes of it
SELECT param_out('SELECT $1::int, $2::text, $3::bool', '[1, "x", true]');
SELECT param_out('SELECT $1 + 1, $2 || ''!'', $1', '["41", "x"]');
SELECT param_out('SELECT $2::text, $1::text', '["first", "second"]');
SELECT param_out('SELECT $1::text, $2::numeric', '[12, "1.50"]');
SELECT param_out('SELECT $1::text, $2::int', '[null, null]');
SELECT param_out('SELECT $1::timestamptz IS NULL, $2::date', '[null, "2024-02-29"]');
SELECT param_out('SELECT $1::int[], $2::text[], $3::int[]', '[[1, 2, null], ["a", "b c"], "{3,4}"]');
SELECT param_out('SELECT $1::jsonb, $2::jsonb, $3::json, $4::jsonb', '[{"k": [1]}, "str", [1, 2], null]');
SELECT param_out('SELECT $1::param_pair, $2::param_pair[]', '[{"a": 1, "b": "x"}, [{"a": 2}]]');
SELECT param_out('SELECT $1::param_positive', '[7]');
SELECT param_out('SELECT $1::text', '[{"no": "array"}]');
SELECT dbutil.analyze_query('SELECT * FROM param_t WHERE id = $1 AND name = $2', '[1, "O''Brien"]') #>> '{plan,0,Plan,Filter}';

-- by name
SELECT param_out('SELECT :a::int, :b::text, :a::int + 1', '{"a": 1, "b": "x"}');
SELECT param_out('SELECT :Limit::int, :user::int, :_x1::int, :naïve::int', '{"Limit": 1, "user": 2, "_x1": 3, "naïve": 4}');
SELECT dbutil.analyze_query('SELECT * FROM param_t WHERE id = :id AND at BETWEEN :from AND :to LIMIT :n',
	'{"id": 1, "from": "2024-01-01", "to": "2024-12-31", "n": 5}') #>> '{plan,0,Plan,Plans,0,Filter}';
-- a null is a value
SELECT param_out('SELECT :a::int IS NULL', '{"a": null}');
-- not in strings, quoted identifiers, comments, casts
SELECT param_out('SELECT '':a'', E''\'':a'', $$:a$$, $q$ :a $q$, U&'':a'', 1::int, :b::int -- :a
	/* :a /* :a */ */ FROM (SELECT 1 AS ":a") s', '{"b": 2}');
SELECT param_out('SELECT "x:a" FROM (SELECT 1 AS "x:a") s', '{}');
-- array slices: their colon belongs to SQL
SELECT dbutil.analyze_query('SELECT tags[1:2], tags[id:id], tags[:id], tags[id:], tags[ : ], tags[(id):id] FROM param_t', '{}') #>> '{plan,0,Plan,Output}';
SELECT dbutil.analyze_query('SELECT tags[:lo::hi] FROM param_t', '{"lo": 1, "hi": 2}');
SELECT dbutil.analyze_query('SELECT tags[:lo : :hi], tags[1 + :lo:id], tags[id: :hi], tags[:lo], tags[array_length(tags, :lo):id] FROM param_t', '{"lo": 1, "hi": 2}') #>> '{plan,0,Plan,Output}';
-- in ARRAY[...] there is nothing to slice
SELECT param_out('SELECT ARRAY[:a, :b]::int[], ARRAY[[:a], [:b]]::int[], (ARRAY[:a, 5, 6])[:b:id] FROM (SELECT 3 AS id) s', '{"a": 1, "b": 2}');
-- named notation of functions
SELECT param_out('SELECT make_interval(days => :d, hours := :h)', '{"d": 1, "h": 2}');

-- no value, no parameter, too many, both kinds
DO $$
DECLARE
	c record;
	state text;
	message text;
	hint text;
BEGIN
	FOR c IN SELECT * FROM (VALUES
		(1, 'SELECT $1::int', NULL::jsonb),
		(2, 'SELECT $1::int, $2::int', '[1]'),
		(3, 'SELECT $1::int', '[1, 2]'),
		(4, 'SELECT 1', '[1]'),
		(5, 'SELECT :a::int', NULL),
		(6, 'SELECT :a::int, :b::int', '{"a": 1}'),
		(7, 'SELECT :a::int', '{"a": 1, "c": 1}'),
		(8, 'SELECT '':a''', '{"a": 1}'),
		(9, 'SELECT :a::int', '[1]'),
		(10, 'SELECT $1::int', '{"a": 1}'),
		(11, 'SELECT $1::int, :a::int', '{"a": 1}'),
		(12, 'SELECT $2::int', '[1, 2]'),
		(13, 'SELECT $1', '17'),
		(14, 'SELECT $1', '"text"'),
		(15, 'SELECT $1', 'null'),
		(16, 'SELECT $1::int', '["x"]'),
		(17, 'SELECT $1::int', '[[1]]'),
		(18, 'SELECT $1::int[]', '[["x"]]'),
		(19, 'SELECT :a::param_positive', '{"a": 0}'),
		(20, 'SELECT * FROM param_typed WHERE p = $1', '[-1]'),
		(21, 'SELECT $0', '[1]'),
		(22, 'SELECT a:b FROM (SELECT 1 AS a) s', '{"b": 1}'),
		(23, 'SELECT $1::date', '["2024-02-30"]')
	) v(n, query, params) ORDER BY n
	LOOP
		BEGIN
			PERFORM dbutil.analyze_query(c.query, c.params);
			RAISE NOTICE '% no error', c.n;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
			RAISE NOTICE '% % % | %', c.n, state, message, hint;
		END;
	END LOOP;
END $$;

-- an error points into the text as it was written, whatever took a name's place
SELECT dbutil.analyze_query('SELECT :long_name::int, :é::int, nothing FROM param_t WHERE id = :long_name', '{"long_name": 1, "é": 2}');
SELECT dbutil.analyze_query('SELECT :long_name::int FORM param_t', '{"long_name": 1}');
SELECT dbutil.analyze_query('SELECT :long_name, ''unterminated', '{"long_name": 1}');
SELECT dbutil.analyze_query('SELECT ("x:a") + :a FROM param_t', '{"a": 1}');
SELECT dbutil.analyze_query('SELECT $1::int + $1::text', '[1]');

DROP FUNCTION param_out(text, jsonb);
DROP TABLE param_t, param_typed;
DROP TYPE param_pair;
DROP DOMAIN param_positive;
