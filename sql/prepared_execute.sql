-- prepared: definitions, execution, results
SET dbutil.service = 'quotes';
CREATE TABLE prep_t (id int PRIMARY KEY, name text, price numeric(10,2));
INSERT INTO prep_t SELECT g, 'n' || g, g / 10.0 FROM generate_series(1, 100) g;

-- by position and by name; of no service and of the session's
SELECT dbutil.prepare_statement('get', 'SELECT id, name FROM prep_t WHERE id = $1');
SELECT dbutil.prepare_statement('between', 'SELECT id, price FROM prep_t WHERE id BETWEEN :low AND :high ORDER BY id', service => 'quotes');
SELECT * FROM dbutil.execute_prepared_statement('get', 7) AS (id int, name text);
SELECT * FROM dbutil.execute_prepared_statement('get', '8') AS (id int, name text);
SELECT * FROM dbutil.execute_prepared_statement('between', 3, 4) AS (id int, price numeric(10,2));
SELECT * FROM dbutil.execute_prepared_statement_json('between', '{"low": 3, "high": 4}');
SELECT * FROM dbutil.execute_prepared_statement_json('get', '[9]');
SELECT * FROM dbutil.execute_prepared_statement_json('get', '["9"]') AS r;
-- without a list of columns, as one value
SELECT dbutil.execute_prepared_statement('get', 7);
-- more than one use in a statement, and in a join
SELECT a.id, b.name FROM generate_series(1, 3) g,
	dbutil.execute_prepared_statement('get', g) AS a(id int, name text),
	dbutil.execute_prepared_statement('get', g + 1) AS b(id int, name text) ORDER BY 1;
-- an empty result
SELECT * FROM dbutil.execute_prepared_statement('get', 0) AS (id int, name text);
SELECT count(*) FROM dbutil.execute_prepared_statement_json('get', '[0]');

-- without parameters
SELECT dbutil.prepare_statement('all', 'SELECT count(*) FROM prep_t');
SELECT * FROM dbutil.execute_prepared_statement('all') AS (n bigint);
SELECT * FROM dbutil.execute_prepared_statement_json('all');
SELECT dbutil.prepare_statement('constants', 'VALUES (1, ''a''::text), (2, NULL)');
SELECT * FROM dbutil.execute_prepared_statement('constants') AS (a int, b text);
SELECT dbutil.prepare_statement('nothing', 'SELECT FROM prep_t WHERE id < 3');
SELECT * FROM dbutil.execute_prepared_statement_json('nothing');
SELECT dbutil.execute_prepared_statement('nothing');

-- writing: rows with RETURNING, else their number
SELECT dbutil.prepare_statement('add', 'INSERT INTO prep_t (id, name) VALUES (:id, :name)');
SELECT * FROM dbutil.execute_prepared_statement('add', 201, 'x') AS (rows bigint);
SELECT * FROM dbutil.execute_prepared_statement_json('add', '{"id": 202, "name": null}');
SELECT dbutil.execute_prepared_statement('add', 203, NULL);
SELECT dbutil.prepare_statement('rename', 'UPDATE prep_t SET name = $2 WHERE id > $1 RETURNING id, name');
SELECT * FROM dbutil.execute_prepared_statement('rename', 200, 'y') AS (id int, name text) ORDER BY id;
SELECT dbutil.prepare_statement('remove', 'WITH d AS (DELETE FROM prep_t WHERE id > $1 RETURNING id) SELECT count(*) FROM d');
SELECT * FROM dbutil.execute_prepared_statement('remove', 200) AS (n bigint);
SELECT dbutil.prepare_statement('merge', 'MERGE INTO prep_t t USING (VALUES (:id, :name)) s(id, name) ON t.id = s.id
	WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)', '{int,text}');
SELECT * FROM dbutil.execute_prepared_statement('merge', 1, 'one') AS (rows bigint);
SELECT id, name FROM prep_t WHERE id IN (1, 201);
UPDATE prep_t SET name = 'n1' WHERE id = 1;

-- the service of the session comes first, then no service
SELECT dbutil.prepare_statement('who', 'SELECT ''no service''::text');
SELECT dbutil.prepare_statement('who', 'SELECT ''quotes''::text', service => 'quotes');
SELECT * FROM dbutil.execute_prepared_statement('who') AS (t text);
SET dbutil.service = 'other';
SELECT * FROM dbutil.execute_prepared_statement('who') AS (t text);
SELECT dbutil.deallocate_statement('who', 'quotes');
SET dbutil.service = 'quotes';
SELECT * FROM dbutil.execute_prepared_statement('who') AS (t text);
-- application_name where dbutil.service is not set
SET dbutil.service = '';
SET application_name = 'app';
SELECT dbutil.prepare_statement('who', 'SELECT ''app''::text', service => 'app');
SELECT * FROM dbutil.execute_prepared_statement('who') AS (t text);
RESET application_name;
SET dbutil.service = 'quotes';

-- replaced: the next call runs the new one, with other parameters and columns
SELECT dbutil.prepare_statement('get', 'SELECT price FROM prep_t WHERE name = :name', replace => true);
SELECT * FROM dbutil.execute_prepared_statement('get', 'n7') AS (price numeric(10,2));
SELECT dbutil.prepare_statement('fresh', 'SELECT 1', replace => true);
SELECT dbutil.deallocate_statement('fresh');

-- in a transaction: one's own definitions count at once, and go with it
BEGIN;
SELECT dbutil.prepare_statement('who', 'SELECT ''mine''::text', replace => true);
SELECT * FROM dbutil.execute_prepared_statement('who') AS (t text);
SAVEPOINT s;
SELECT dbutil.prepare_statement('who', 'SELECT ''sub''::text', replace => true);
SELECT * FROM dbutil.execute_prepared_statement('who') AS (t text);
ROLLBACK TO s;
SELECT * FROM dbutil.execute_prepared_statement('who') AS (t text);
SELECT dbutil.deallocate_statement('who');
SAVEPOINT s;
SELECT * FROM dbutil.execute_prepared_statement('who') AS (t text);
ROLLBACK TO s;
ROLLBACK;
SELECT * FROM dbutil.execute_prepared_statement('who') AS (t text);
-- in one statement
SELECT a, t FROM (SELECT dbutil.prepare_statement('now', 'SELECT ''now''::text')::text AS a OFFSET 0) s,
	LATERAL dbutil.execute_prepared_statement('now' || a) AS (t text);

-- under REPEATABLE READ the statement sees the snapshot, the definition is the newest
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM prep_t;
SELECT * FROM dbutil.execute_prepared_statement('all') AS (n bigint);
COMMIT;

-- nested: a statement that executes statements, itself among them
CREATE FUNCTION prep_factorial(n numeric) RETURNS numeric LANGUAGE plpgsql AS $$ BEGIN
	RETURN (SELECT f FROM dbutil.execute_prepared_statement('factorial', n) AS (f numeric));
END $$;
SELECT dbutil.prepare_statement('factorial', 'SELECT CASE WHEN $1::numeric <= 1 THEN 1 ELSE $1 * prep_factorial($1 - 1) END');
SELECT * FROM dbutil.execute_prepared_statement('factorial', 6) AS (n numeric);
SELECT dbutil.prepare_statement('endless', 'SELECT * FROM dbutil.execute_prepared_statement(''endless'') AS (n int)');
\set VERBOSITY sqlstate
SELECT * FROM dbutil.execute_prepared_statement('endless') AS (n int);
\set VERBOSITY default
-- replaces and deallocates what is being executed
SELECT dbutil.prepare_statement('suicide', 'SELECT g, dbutil.prepare_statement(''suicide'', ''SELECT '' || g, replace => true)::text AS p FROM generate_series(1, 2) g');
SELECT g FROM dbutil.execute_prepared_statement('suicide') AS (g int, p text);
SELECT * FROM dbutil.execute_prepared_statement('suicide') AS (g int);

-- few plans: those used longest ago give way, one in use does not
SET dbutil.prepared_max_plans = 1;
SELECT * FROM dbutil.execute_prepared_statement('factorial', 5) AS (n numeric);
SELECT dbutil.prepare_statement('outer', 'SELECT n + $1 FROM dbutil.execute_prepared_statement(''all'') AS (n bigint)');
SELECT * FROM dbutil.execute_prepared_statement('outer', 1) AS (n bigint);
SELECT * FROM dbutil.execute_prepared_statement('outer', 2) AS (n bigint);
RESET dbutil.prepared_max_plans;

-- a table that changes under the plan; SELECT * follows
SELECT dbutil.prepare_statement('star', 'SELECT * FROM prep_t WHERE id = 5');
SELECT * FROM dbutil.execute_prepared_statement('star') AS (id int, name text, price numeric(10,2));
ALTER TABLE prep_t ADD extra bool DEFAULT true;
SELECT * FROM dbutil.execute_prepared_statement_json('star');
ALTER TABLE prep_t DROP extra;
SELECT * FROM dbutil.execute_prepared_statement('star') AS (id int, name text, price numeric(10,2));

-- names resolve by the search_path of the caller
CREATE SCHEMA prep_other;
CREATE TABLE prep_other.prep_t (id int, name text, price numeric(10,2));
SET search_path = prep_other, public;
SELECT * FROM dbutil.execute_prepared_statement('all') AS (n bigint);
RESET search_path;
SELECT * FROM dbutil.execute_prepared_statement('all') AS (n bigint);

-- functions and cursors
CREATE FUNCTION prep_call(i int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
	SELECT * INTO r FROM dbutil.execute_prepared_statement('between', i, i) AS (id int, price numeric(10,2));
	RETURN r;
END $$;
SELECT prep_call(11), prep_call(12);
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT * FROM dbutil.execute_prepared_statement('between', 1, 3) AS (id int, price numeric(10,2));
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
SELECT dbutil.deallocate_statement('between', 'quotes');
FETCH ALL FROM c;
ROLLBACK;
-- an error in the middle, caught
SELECT dbutil.prepare_statement('divide', 'SELECT 10 / (5 - g) FROM generate_series(1, $1) g');
DO $$ BEGIN
	FOR i IN 1..3 LOOP
		BEGIN
			PERFORM * FROM dbutil.execute_prepared_statement('divide', 5) AS (n int);
		EXCEPTION WHEN division_by_zero THEN
			RAISE NOTICE 'caught';
		END;
	END LOOP;
END $$;
SELECT * FROM dbutil.execute_prepared_statement('divide', 4) AS (n int);
SET statement_timeout = '50ms';
SELECT dbutil.prepare_statement('sleep', 'SELECT pg_sleep($1)');
SELECT * FROM dbutil.execute_prepared_statement_json('sleep', '[60]');
RESET statement_timeout;
SELECT * FROM dbutil.execute_prepared_statement_json('sleep', '[0]');

-- the view; metrics of another session than the one that looks would be the same
SELECT * FROM dbutil.execute_prepared_statement('all') AS (n bigint);
SELECT service, name, owner = current_user AS own, parameter_names, parameter_types, may_execute, may_change
FROM dbutil.prepared_statements ORDER BY service NULLS FIRST, name;
SELECT name, calls, errors, rows, p50_exec_time <= p99_exec_time AS sorted, generic_plans + custom_plans AS plans, backends
FROM dbutil.prepared_statements WHERE name IN ('divide', 'sleep', 'merge', 'factorial', 'constants') ORDER BY name;

SELECT count(dbutil.deallocate_statement(name, service)) FROM dbutil.prepared_statements;
SELECT count(*) FROM dbutil.prepared_statements;
DROP FUNCTION prep_call, prep_factorial;
DROP TABLE prep_t, prep_other.prep_t;
DROP SCHEMA prep_other;
