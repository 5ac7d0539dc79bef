--
-- dbutil.statement_errors: which error of which statement, caught ones too
--
SELECT dbutil.track_reset();
SET dbutil.service = 'track_errors';
CREATE TABLE track_e (i int PRIMARY KEY);
INSERT INTO track_e VALUES (1);
INSERT INTO track_e VALUES (1);
INSERT INTO track_e VALUES (1);
SELECT 1 / (i - i) FROM track_e;
-- before planning: in the parser, in parse analysis
SELEC 1;
SELECT no_such FROM track_e;
SELECT no_such FROM track_e;
-- timed out
SET statement_timeout = '20ms';
SELECT pg_sleep(10) FROM track_e;
RESET statement_timeout;
-- caught: by RAISE, by a nested statement, by a trigger; a notice is no error, whatever its code
CREATE FUNCTION track_catches(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. n LOOP
		BEGIN
			RAISE EXCEPTION 'mine' USING ERRCODE = 'TR001';
		EXCEPTION WHEN SQLSTATE 'TR001' THEN
			RAISE NOTICE 'caught' USING ERRCODE = 'TR002';
		END;
	END LOOP;
	BEGIN
		PERFORM 1 / (i - i) FROM track_e;
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
	BEGIN
		RAISE WARNING 'not caught';
		INSERT INTO track_e VALUES (n + 10);
	EXCEPTION WHEN unique_violation THEN
		NULL;
	END;
	RETURN n;
END $$;
SET client_min_messages = error;
SELECT track_catches(3);
SELECT track_catches(2);
DO $$ BEGIN RAISE EXCEPTION 'of a DO' USING ERRCODE = 'TR003'; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE FUNCTION track_e_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN RAISE EXCEPTION 'late' USING ERRCODE = 'TR004'; EXCEPTION WHEN OTHERS THEN NULL; END;
	RETURN NULL;
END $$;
CREATE TRIGGER late AFTER INSERT ON track_e FOR EACH ROW EXECUTE FUNCTION track_e_trigger();
INSERT INTO track_e VALUES (50), (51);
RESET client_min_messages;
-- a savepoint of the client: the error reached it
BEGIN; SAVEPOINT s; SELECT 2 / (i - i) FROM track_e WHERE i = 1; ROLLBACK TO s; COMMIT;
SET dbutil.service = 'track_looks';
SELECT s.operation, s.query, e.sqlstate, e.errors, e.caught, s.errors AS all_errors, s.last_sqlstate, e.first_seen <= e.last_seen AS ordered
FROM dbutil.statement_errors e LEFT JOIN dbutil.statements s
	ON s.queryid = e.queryid AND s.service = e.service AND s.username = e.username AND s.toplevel = e.toplevel
WHERE e.service = 'track_errors' ORDER BY s.query COLLATE "C", e.sqlstate;

-- whose they are
CREATE ROLE regress_track_errors;
SET ROLE regress_track_errors;
SELECT count(queryid), count(*) > 0 AS some FROM dbutil.statement_errors WHERE username <> 'regress_track_errors';
RESET ROLE;
DROP ROLE regress_track_errors;

-- a reset of one service takes its errors with it
SELECT statements > 5 AS statements, calls > 5 AS calls, errors FROM dbutil.reset_statements(service => 'track_errors');
SELECT count(*) FROM dbutil.statement_errors WHERE service = 'track_errors';
SELECT count(*) FROM dbutil.statements WHERE service = 'track_errors';
RESET dbutil.service;
DROP FUNCTION track_catches(int);
DROP TABLE track_e;
DROP FUNCTION track_e_trigger();
