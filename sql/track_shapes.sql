--
-- dbutil.transactions: shapes, names, why they were rolled back; those that are open
--
SELECT dbutil.track_reset();
CREATE TABLE track_s (i int PRIMARY KEY);
SET dbutil.service = 'track_shapes';
-- a loop is one shape; the order matters
BEGIN; INSERT INTO track_s VALUES (1); INSERT INTO track_s VALUES (2); SELECT count(*) FROM track_s; COMMIT;
BEGIN; INSERT INTO track_s VALUES (3); SELECT count(*) FROM track_s; COMMIT;
BEGIN; SELECT count(*) FROM track_s; INSERT INTO track_s VALUES (4); COMMIT;
-- named, of a service of its own
BEGIN; SELECT dbutil.track_transaction('track_checkout', 'pay'); INSERT INTO track_s VALUES (5);
SELECT a.service, a.name, a.statements, a.wrote, a.idle, a.blocks, a.age > '0' AS age FROM dbutil.active_transactions a WHERE pid = pg_backend_pid();
COMMIT;
BEGIN; SELECT dbutil.track_transaction(NULL, 'browse'); ROLLBACK;
-- why: a command, an error, after a savepoint too, a timeout, a lock
BEGIN; SELECT count(*) FROM track_s; ROLLBACK;
INSERT INTO track_s VALUES (1);
BEGIN; INSERT INTO track_s VALUES (1); ROLLBACK;
BEGIN; SAVEPOINT a; INSERT INTO track_s VALUES (1); ROLLBACK TO a; SELECT count(*) FROM track_s; ROLLBACK;
BEGIN; SAVEPOINT a; INSERT INTO track_s VALUES (1); ROLLBACK TO a; SELECT count(*) FROM track_s; COMMIT;
SET statement_timeout = '10ms';
SELECT pg_sleep(10) FROM track_s LIMIT 1;
RESET statement_timeout;
DO $$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '40001'; END $$;
DO $$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '40P01'; END $$;
DO $$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '55P03'; END $$;
BEGIN; COPY track_s FROM stdin;
100
101
\.
COMMIT;
SET dbutil.service = 'track_looks';
SELECT service, name, cardinality(queryids) AS ids, sum(commits) AS commits, sum(rollbacks) AS rollbacks,
	   sum(rollbacks_command) AS command, sum(rollbacks_error) AS error, sum(rollbacks_serialization) AS serialization,
	   sum(rollbacks_deadlock) AS deadlock, sum(rollbacks_cancelled) AS cancelled, sum(rollbacks_lock) AS lock,
	   sum(rollbacks_terminated) AS terminated, sum(statements) AS statements, sum(rows_written) AS rows_written
FROM dbutil.transactions WHERE service IN ('track_shapes', 'track_checkout')
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT commits, statements, idle_gaps > 0 AND max_idle_time <= idle_time AS idle, array_length(queryids, 1) AS ids
FROM dbutil.transactions WHERE service = 'track_shapes' AND commits = 3;
-- bad names
SELECT dbutil.track_transaction('s', NULL);
SELECT dbutil.track_transaction('s', '');
SELECT dbutil.track_transaction(repeat('s', 64), 'n');
SELECT dbutil.track_transaction('s', repeat('n', 64));
-- others see neither shape nor statements
CREATE ROLE regress_track_shapes;
SET ROLE regress_track_shapes;
SELECT count(shape), count(queryids), count(*) > 0 AS some FROM dbutil.transactions WHERE username <> 'regress_track_shapes';
RESET ROLE;
DROP ROLE regress_track_shapes;
RESET dbutil.service;
DROP TABLE track_s;
