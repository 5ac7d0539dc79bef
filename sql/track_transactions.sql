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
SELECT service, commits, rollbacks, statements, wrote,
	   min_time <= mean_time AND mean_time <= max_time AND p50_time <= p99_time AS ordered,
	   max_commit_time >= mean_commit_time AS commit_latency
FROM dbutil.transactions WHERE service = 'track_xact' AND database_name = current_database();
-- the service of a transaction is the one of its last statement
BEGIN; SET LOCAL dbutil.service = 'track_xact_local'; SELECT count(*) FROM track_x; COMMIT;
SELECT service, commits FROM dbutil.transactions WHERE service = 'track_xact_local';
SELECT service, commits, rollbacks FROM dbutil.services WHERE service = 'track_xact_local';
-- what was reset is gone, and counting starts anew
SELECT dbutil.track_reset();
SELECT count(*) FROM dbutil.transactions WHERE commits > 1;
RESET dbutil.service;
DROP TABLE track_x;
