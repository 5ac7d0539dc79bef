--
-- dbutil.plans, dbutil.plan_regressions, dbutil.slow_plans
--
CREATE TABLE track_p (id int PRIMARY KEY, v int, w text);
INSERT INTO track_p SELECT g, g % 10, 'x' || g FROM generate_series(1, 30000) g;
CREATE INDEX track_p_v ON track_p (v);
ANALYZE track_p;
SELECT dbutil.reset_plans() >= 0 AS cleared, dbutil.reset_slow_plans() >= 0 AS cleared_slow;
CREATE VIEW track_mine AS SELECT p.* FROM dbutil.plans AS p
	JOIN dbutil.statements AS s USING (queryid) WHERE s.query LIKE '%track_p%' AND p.database_name = current_database();

-- another literal is the same plan, another index or none is another one
SET enable_bitmapscan = off;
SELECT w FROM track_p WHERE id = 1;
SELECT w FROM track_p WHERE id = 2;
SELECT w FROM track_p WHERE id = 3;
SET enable_indexscan = off;
SELECT w FROM track_p WHERE id = 1;
SELECT w FROM track_p WHERE id = 2;
RESET enable_indexscan;
SELECT calls, rows, previous_planid IS NOT NULL AS replaced, first_seen <= last_seen AS ordered,
	   min_exec_time <= mean_exec_time AND mean_exec_time <= max_exec_time AS times, estimated_cost > 0 AS cost,
	   regexp_replace(plan, '\s*\(cost.*?\)', '') ~ '^Index Scan using track_p_pkey on track_p' AS indexed,
	   plan ~ 'Execution Time: [0-9.]+ ms$' AS whole
FROM track_mine ORDER BY previous_planid NULLS FIRST;
-- with both plans
SELECT in_use, new_calls, old_calls, slower >= 2 AS slower, lost_time > 0 AS lost, new_plan ~ '^Seq Scan' AS new, old_plan ~ '^Index Scan' AS old
FROM dbutil.plan_regressions WHERE queryid IN (SELECT queryid FROM track_mine);
-- back to the old one: seen, and no change the other way round
SELECT w FROM track_p WHERE id = 4;
SELECT in_use, new_calls, old_calls FROM dbutil.plan_regressions WHERE queryid IN (SELECT queryid FROM track_mine);
-- the new one again, then a third: the new one is not in use any more
SET enable_indexscan = off;
SELECT w FROM track_p WHERE id = 5;
SELECT in_use, new_calls, old_calls FROM dbutil.plan_regressions WHERE queryid IN (SELECT queryid FROM track_mine);
SET enable_bitmapscan = on;
SELECT w FROM track_p WHERE id = 6;
SELECT in_use, new_calls, old_calls FROM dbutil.plan_regressions WHERE queryid IN (SELECT queryid FROM track_mine);
SET enable_bitmapscan = off;
RESET enable_indexscan;
SELECT sum(calls) FROM track_mine;

-- join types, join methods, aggregation and direction are part of it; a statement that runs once has no text
SELECT dbutil.reset_plans() > 0 AS cleared;
CREATE FUNCTION track_planid(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE id bigint;
BEGIN
	PERFORM dbutil.reset_plans();
	SET LOCAL dbutil.track = 'all';
	EXECUTE query;
	SET LOCAL dbutil.track = 'none';
	SELECT planid INTO id FROM dbutil.plans WHERE calls = 1 AND plan IS NULL;
	RETURN id;
END $$;
CREATE TABLE track_planids (what text, id bigint);
DO $$
DECLARE q text;
BEGIN
	FOREACH q IN ARRAY ARRAY[
		'SELECT count(*) FROM track_p',
		'SELECT count(*), sum(v) FROM track_p',
		'SELECT v, count(*) FROM track_p GROUP BY v',
		'SELECT * FROM track_p ORDER BY id LIMIT 1',
		'SELECT * FROM track_p ORDER BY id DESC LIMIT 1',
		'SELECT * FROM track_p a JOIN track_p b ON a.id = b.v WHERE a.id < 3',
		'SELECT * FROM track_p a LEFT JOIN track_p b ON a.id = b.v WHERE a.id < 3',
		'SELECT * FROM track_p a WHERE id = 5 AND EXISTS (SELECT 1 FROM track_p b WHERE b.v = 11)',
		'UPDATE track_p SET w = w WHERE id = 1',
		'DELETE FROM track_p WHERE id = -1',
		'INSERT INTO track_p VALUES (-1, 1, 1) ON CONFLICT DO NOTHING',
		'INSERT INTO track_planids VALUES (''x'', 1)']
	LOOP
		INSERT INTO track_planids SELECT q, track_planid(q);
	END LOOP;
END $$;
DELETE FROM track_planids WHERE what = 'x';
-- count(*) with and without sum() has the same shape
SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE id IS NULL) AS missing FROM track_planids;

-- which partitions are read is no part of it
CREATE TABLE track_parts (day int, v int) PARTITION BY RANGE (day);
CREATE TABLE track_parts_1 PARTITION OF track_parts FOR VALUES FROM (1) TO (2);
CREATE TABLE track_parts_2 PARTITION OF track_parts FOR VALUES FROM (2) TO (3);
CREATE TABLE track_parts_3 PARTITION OF track_parts FOR VALUES FROM (3) TO (4);
SELECT track_planid('SELECT * FROM track_parts WHERE day = 1') = track_planid('SELECT * FROM track_parts WHERE day = 2') AS same_one,
	   track_planid('SELECT * FROM track_parts WHERE day < 3') = track_planid('SELECT * FROM track_parts WHERE day > 0') AS same_many,
	   track_planid('SELECT * FROM track_parts WHERE day = 1') = track_planid('SELECT * FROM track_parts WHERE day < 3') AS one_and_many;

-- slow statements
SELECT dbutil.reset_slow_plans() >= 0 AS cleared;
SET dbutil.service = 'slow_service';
SET dbutil.track_slow_time = 0;
SELECT count(*) AS slow_count FROM track_p WHERE v = 3;
SET dbutil.track_slow_analyze = 1;
SELECT count(*) AS slow_measured FROM track_p WHERE v = 3 AND w LIKE 'y%';
SET dbutil.track_slow_sample = 0;
SELECT count(*) AS slow_unsampled FROM track_p;
RESET dbutil.track_slow_sample;
SET dbutil.track_slow_time = 3600000;
SELECT count(*) AS not_slow FROM track_p;
RESET dbutil.track_slow_time;
RESET dbutil.track_slow_analyze;
RESET dbutil.service;
SELECT service, username = current_user AS mine, rows, measured, exec_time > 0 AS timed, queryid IS NOT NULL AS queryid,
	   planid IN (SELECT planid FROM dbutil.plans) AS known, plan ~ 'actual time' AS actual,
	   plan_json #>> '{0,Plan,Node Type}' AS node, (plan_json #>> '{0,Execution Time}')::float > 0 AS execution_time
FROM dbutil.slow_plans ORDER BY number;
-- explain's findings hold for them
SELECT s.measured, f.rule, f.severity IS NOT NULL AS judged, f.relation
FROM dbutil.slow_plans AS s, dbutil.explain_findings(s.plan_json) AS f WHERE f.rule = 'slow_scan' ORDER BY s.number;

-- off: nothing is counted
SELECT dbutil.reset_plans() > 0 AS cleared;
SET dbutil.track_plans = off;
SELECT w FROM track_p WHERE id = 9;
RESET dbutil.track_plans;
SET dbutil.track = 'none';
SELECT w FROM track_p WHERE id = 9;
RESET dbutil.track;
SELECT count(*) FROM dbutil.plans AS p JOIN dbutil.statements AS s USING (queryid) WHERE s.query LIKE 'SELECT w FROM track_p%';

-- who sees what
CREATE ROLE regress_track_plan_a;
CREATE ROLE regress_track_plan_b;
CREATE ROLE regress_track_plan_stats;
GRANT pg_read_all_stats TO regress_track_plan_stats;
GRANT SELECT ON track_p TO regress_track_plan_a;
SELECT dbutil.reset_plans() > 0 AS cleared, dbutil.reset_slow_plans() > 0 AS cleared_slow;
SET dbutil.track_slow_time = 0;
SET ROLE regress_track_plan_a;
SELECT count(*) AS of_a FROM track_p WHERE w = 'secret of a';
SELECT count(*) AS of_a FROM track_p WHERE w = 'secret of a';
RESET ROLE;
RESET dbutil.track_slow_time;
CREATE VIEW track_seen AS
	SELECT 'plans' AS what, p.queryid IS NOT NULL AS queryid, p.planid IS NOT NULL AS planid, p.plan ~ 'secret of a' AS plan, p.plan = '<insufficient privilege>' AS hidden
	FROM dbutil.plans AS p WHERE username = 'regress_track_plan_a' AND calls = 2
	UNION ALL
	SELECT 'slow', s.queryid IS NOT NULL, s.planid IS NOT NULL, s.plan ~ 'secret of a' AND s.plan_json::text ~ 'secret of a', s.plan = '<insufficient privilege>' AND s.plan_json IS NULL
	FROM dbutil.slow_plans AS s WHERE username = 'regress_track_plan_a';
GRANT SELECT ON track_seen TO PUBLIC;
SET ROLE regress_track_plan_a;
SELECT * FROM track_seen ORDER BY what;
SET ROLE regress_track_plan_b;
SELECT * FROM track_seen ORDER BY what;
SELECT count(*) FROM dbutil.plan_regressions WHERE username = 'regress_track_plan_a';
SELECT dbutil.reset_plans();
SELECT dbutil.reset_slow_plans();
SET dbutil.track_slow_time = 0;
SET dbutil.track_slow_analyze = 1;
SET dbutil.track_plans = off;
SELECT count(*) > 0 AS rooms FROM dbutil.track_room();
SET ROLE regress_track_plan_stats;
SELECT * FROM track_seen ORDER BY what;
RESET ROLE;

-- bad settings; how the range is told differs between versions
\set VERBOSITY sqlstate
SET dbutil.track_slow_time = -2;
SET dbutil.track_slow_sample = 1.5;
SET dbutil.track_slow_analyze = -1;
SET dbutil.track_plans_max = 5;
\set VERBOSITY default

DROP VIEW track_mine, track_seen;
DROP TABLE track_p, track_planids, track_parts;
DROP FUNCTION track_planid(text);
DROP ROLE regress_track_plan_a, regress_track_plan_b, regress_track_plan_stats;
