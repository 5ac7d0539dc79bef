--
-- dbutil.transactions: outcomes, durations, commit latency, who wrote
--
SELECT dbutil.track_reset();
SET dbutil.service = 'track_xact';
CREATE TABLE track_x (i int);
INSERT INTO track_x VALUES (1);
BEGIN; INSERT INTO track_x VALUES (2); SAVEPOINT a; DELETE FROM track_x; ROLLBACK TO a; COMMIT;
BEGIN; SELECT count(*) FROM track_x; ROLLBACK;
SELECT 1 / (i - i) FROM track_x;
BEGIN; COMMIT;
DO $$ BEGIN PERFORM 1; COMMIT; PERFORM 2; ROLLBACK; END $$;
SELECT cardinality(queryids) AS ids, commits, rollbacks, rollbacks_command AS command, rollbacks_error AS error,
	   statements, wrote, rows_written, subtransactions, wal_bytes > 0 AS wal,
	   min_time <= mean_time AND mean_time <= max_time AND p50_time <= p99_time AS ordered,
	   max_commit_time >= mean_commit_time AS commit_latency
FROM dbutil.transactions WHERE service = 'track_xact' AND database_name = current_database()
ORDER BY statements, wrote, rollbacks, rows_written, subtransactions, ids;
-- the service of a transaction is the one of its last statement
BEGIN; SET LOCAL dbutil.service = 'track_xact_local'; SELECT count(*) FROM track_x; COMMIT;
SELECT service, sum(commits) AS commits FROM dbutil.transactions WHERE service = 'track_xact_local' GROUP BY service;
SELECT service, commits, rollbacks FROM dbutil.services WHERE service = 'track_xact_local';

-- what runs at COMMIT is no statement of the client, and the transaction stays his
CREATE ROLE regress_track_owner;
CREATE TABLE track_parent (id int PRIMARY KEY);
INSERT INTO track_parent VALUES (1);
CREATE TABLE track_child (p int REFERENCES track_parent DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION track_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM count(*) FROM track_parent;
	EXECUTE 'CREATE TEMP TABLE track_late_' || NEW.p || ' (i int)';
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON track_child DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION track_late();
ALTER TABLE track_parent OWNER TO regress_track_owner;
ALTER TABLE track_child OWNER TO regress_track_owner;
SET dbutil.service = 'track_deferred';
BEGIN; INSERT INTO track_child VALUES (1); COMMIT;
BEGIN; INSERT INTO track_child VALUES (2); COMMIT;
INSERT INTO track_child VALUES (3);
DELETE FROM track_child;
SET dbutil.service = 'track_looks';
SELECT username = current_user AS mine, sum(commits) AS commits, sum(rollbacks) AS rollbacks, sum(statements) AS statements
FROM dbutil.transactions WHERE service = 'track_deferred' GROUP BY 1;
SELECT toplevel, calls, errors, query FROM dbutil.statements
WHERE service = 'track_deferred' AND username IN (current_user, 'regress_track_owner') ORDER BY query COLLATE "C";
SELECT calls, errors FROM dbutil.services WHERE service = 'track_deferred';
DROP TABLE track_child, track_parent;
DROP FUNCTION track_late();
DROP ROLE regress_track_owner;

-- each transaction of a procedure counts, whatever it runs
CREATE PROCEDURE track_utilities() LANGUAGE plpgsql AS $$
BEGIN FOR i IN 1 .. 5 LOOP EXECUTE 'TRUNCATE track_x'; COMMIT; END LOOP; END $$;
CREATE PROCEDURE track_fails() LANGUAGE plpgsql AS $$
BEGIN INSERT INTO track_x VALUES (1); COMMIT; PERFORM 1 / 0; END $$;
SET dbutil.service = 'track_procedure';
CALL track_utilities();
CALL track_fails();
SET dbutil.service = 'track_looks';
-- 5, 1 and the SET; what comes behind the last COMMIT of the first CALL ran nothing
SELECT sum(commits) AS commits, sum(rollbacks) AS rollbacks, sum(statements) AS statements FROM dbutil.transactions WHERE service = 'track_procedure';
DROP PROCEDURE track_utilities(), track_fails();

-- a function that is folded in planning runs no statement of the client
CREATE FUNCTION track_folded() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN RETURN (SELECT count(*) FROM track_x); END $$;
SET dbutil.service = 'track_folding';
SELECT track_folded() IS NOT NULL AS folded;
SET dbutil.service = 'track_looks';
SELECT sum(commits) AS commits, sum(statements) AS statements FROM dbutil.transactions WHERE service = 'track_folding';
DROP FUNCTION track_folded();

-- errors that come before execution: in planning, and where privileges are checked
CREATE ROLE regress_track_poor;
SET dbutil.service = 'track_early';
SET ROLE regress_track_poor;
SELECT i FROM track_x;
SELECT i FROM track_x;
RESET ROLE;
SELECT i FROM track_x WHERE 1 / 0 = i;
BEGIN; SELECT i FROM track_x WHERE 2 / 0 = i; COMMIT;
EXPLAIN SELECT i FROM track_x WHERE 3 / 0 = i;
PREPARE track_early AS SELECT i FROM track_x WHERE 4 / 0 = i + 1;
EXECUTE track_early;
DEALLOCATE track_early;
-- parse analysis fails: neither statement nor transaction is seen
SELECT no_such_column FROM track_x;
SET dbutil.service = 'track_looks';
SELECT username = current_user AS mine, query, calls, errors FROM dbutil.statements
WHERE service = 'track_early' AND query LIKE '%FROM track_x%' ORDER BY query COLLATE "C";
SELECT username = current_user AS mine, sum(commits) AS commits, sum(rollbacks) AS rollbacks, sum(statements) AS statements
FROM dbutil.transactions WHERE service = 'track_early' GROUP BY 1 ORDER BY 1;
DROP ROLE regress_track_poor;
RESET dbutil.service;

-- what was reset is gone, and counting starts anew
SELECT dbutil.track_reset();
SELECT count(*) FROM dbutil.transactions WHERE commits > 1;
RESET dbutil.service;
DROP TABLE track_x;
