--
-- dbutil.history_take(), dbutil.history, dbutil.top()
--
\set SHOW_CONTEXT never
SELECT * FROM dbutil.top();
CREATE TABLE track_h (i int);
SELECT dbutil.history_take() > 0 AS taken;
SELECT count(*) AS snapshots, count(since) AS with_begin FROM dbutil.history_snapshots;
-- the first snapshot is where counting begins
SELECT count(*) FROM dbutil.history;

-- what was executed in between
SET dbutil.service = 'track_h_a';
INSERT INTO track_h SELECT generate_series(1, 10);
SELECT count(*) AS counted FROM track_h;
SELECT count(*) AS counted FROM track_h;
SELECT 1 / (i - i) AS fails FROM track_h;
SET dbutil.service = 'track_h_b';
SELECT count(*) AS counted FROM track_h WHERE i > 5;
RESET dbutil.service;
SELECT dbutil.history_take() > 0 AS taken;
CREATE FUNCTION track_h_last() RETURNS TABLE (service text, query text, calls bigint, errors bigint, rows bigint) LANGUAGE sql AS $$
	SELECT service, query, calls, errors, rows FROM dbutil.history
	WHERE snapshot = (SELECT max(snapshot) FROM dbutil.history_snapshots) AND service LIKE 'track_h_%' AND query ~ 'track_h\M'
	ORDER BY service COLLATE "C", query COLLATE "C" $$;
SELECT * FROM track_h_last();
-- nothing happened: no rows
SELECT dbutil.history_take() > 0 AS taken;
SELECT * FROM track_h_last();
-- only what was added counts
SET dbutil.service = 'track_h_a';
SELECT count(*) AS counted FROM track_h;
RESET dbutil.service;
SELECT dbutil.history_take() > 0 AS taken;
SELECT * FROM track_h_last();
-- right across a reset
SELECT dbutil.track_reset();
SET dbutil.service = 'track_h_a';
SELECT count(*) AS counted FROM track_h;
SELECT count(*) AS counted FROM track_h;
RESET dbutil.service;
SELECT dbutil.history_take() > 0 AS taken;
SELECT * FROM track_h_last();
-- counters that went back, as after a crash, are a new beginning
UPDATE dbutil.history_last SET calls = calls + 100 WHERE service = 'track_h_a';
SET dbutil.service = 'track_h_a';
SELECT count(*) AS counted FROM track_h;
RESET dbutil.service;
SELECT dbutil.history_take() > 0 AS taken;
SELECT * FROM track_h_last();
SET dbutil.service = 'track_h_a';
SELECT count(*) AS counted FROM track_h;
RESET dbutil.service;
SELECT dbutil.history_take() > 0 AS taken;
SELECT * FROM track_h_last();
-- so are those restored from before the last snapshot
DELETE FROM dbutil.history_last WHERE service = 'track_h_a';
SELECT dbutil.history_take() > 0 AS taken;
SELECT * FROM track_h_last();

-- top
CREATE TEMP VIEW track_h_top AS
	SELECT t.* FROM dbutil.top('-infinity', 'infinity', 'service') AS t WHERE item LIKE 'track_h_%';
SELECT item, queryid, calls, calls_per_second > 0 AS rate, errors, rows, total_exec_time > 0 AS timed, share BETWEEN 0 AND 1 AS share,
	   before_calls_per_second, change, covered_since < covered_until AS covered
FROM track_h_top ORDER BY item COLLATE "C";
SELECT item, queryid IS NOT NULL AS queryid, calls FROM dbutil.top('-infinity', 'infinity', 'query', 'track_h_b');
SELECT item = current_database() AS here FROM dbutil.top('-infinity', 'infinity', 'database', 'track_h_b');
SELECT item = current_user AS me FROM dbutil.top('-infinity', 'infinity', 'role', 'track_h_b');
SELECT item, calls FROM dbutil.top('-infinity', 'infinity', 'operation', 'track_h_a') ORDER BY item COLLATE "C";
-- with the time before, snapshots laid a minute apart
UPDATE dbutil.history_snapshots AS s
SET taken_at = '2000-01-01 00:00:00Z'::timestamptz + n * interval '1 minute', since = '2000-01-01 00:00:00Z'::timestamptz + (n - 1) * interval '1 minute'
FROM (SELECT snapshot, row_number() OVER (ORDER BY snapshot) - 1 AS n FROM dbutil.history_snapshots) AS x
WHERE x.snapshot = s.snapshot AND s.since IS NOT NULL;
SELECT item, calls, round(calls_per_second * 60) AS calls_per_minute, round(before_calls_per_second * 60) AS before_calls_per_minute,
	   change IS NOT NULL AS change, covered_since AT TIME ZONE 'UTC' AS covered_since, covered_until AT TIME ZONE 'UTC' AS covered_until
FROM dbutil.top('2000-01-01 00:02:00Z', '2000-01-01 00:04:00Z', 'service', 'track_h_a');
SELECT * FROM dbutil.top('1999-01-01', '1999-01-02', 'service');

-- bad input
SELECT * FROM dbutil.top('2000-01-02Z', '2000-01-01Z');
SELECT * FROM dbutil.top('2000-01-02Z', '2000-01-02Z');
SELECT * FROM dbutil.top(NULL);
SELECT * FROM dbutil.top(by => NULL);
SELECT * FROM dbutil.top(by => 'colour');
SELECT * FROM dbutil.top(only_service => 'track_h_no_such');
SET dbutil.track_history_interval = 5;

-- who sees what
CREATE ROLE regress_track_h;
CREATE ROLE regress_track_h_stats;
GRANT pg_read_all_stats TO regress_track_h_stats;
CREATE FUNCTION track_h_leak(text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN IF $1 ~ 'track_h' THEN RAISE NOTICE 'leaked %', $1; END IF; RETURN true; END $$;
SET ROLE regress_track_h;
SELECT DISTINCT queryid, query FROM dbutil.history WHERE service = 'track_h_a' AND track_h_leak(query);
SELECT item, queryid FROM dbutil.top('-infinity', 'infinity', 'query', 'track_h_b');
SELECT dbutil.history_take();
SELECT count(*) FROM dbutil.history_statements;
SELECT count(*) FROM dbutil.history_texts;
SELECT count(*) FROM dbutil.history_last;
DELETE FROM dbutil.history_snapshots;
SET ROLE regress_track_h_stats;
SELECT item, queryid IS NOT NULL AS queryid FROM dbutil.top('-infinity', 'infinity', 'query', 'track_h_b');
RESET ROLE;

-- snapshots of the year 2000 are older than what is kept
SELECT dbutil.history_take() > 0 AS taken;
SELECT count(*) AS snapshots FROM dbutil.history_snapshots;
SELECT count(*) AS rows FROM dbutil.history WHERE service LIKE 'track_h_%';
SELECT count(*) AS texts FROM dbutil.history_texts WHERE query = 'SELECT count(*) AS counted FROM track_h';

DELETE FROM dbutil.history_snapshots;
DELETE FROM dbutil.history_statements;
DELETE FROM dbutil.history_last;
DELETE FROM dbutil.history_texts;
DROP VIEW track_h_top;
DROP TABLE track_h;
DROP FUNCTION track_h_last(), track_h_leak(text);
DROP ROLE regress_track_h, regress_track_h_stats;
