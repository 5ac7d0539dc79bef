--
-- dbutil.statements: what else is known of a statement
--
SELECT dbutil.track_reset();
SET dbutil.service = 'track_facts';
SET dbutil.track_tags = 'route, controller';
SET dbutil.track_cpu_sample = 1;
SET dbutil.track_planning = on;
CREATE TABLE track_fa (i int PRIMARY KEY, v text);
CREATE TABLE track_fb (i int REFERENCES track_fa);
CREATE TEMP TABLE track_fc (i int);
INSERT INTO track_fa SELECT g, repeat('x', 100) FROM generate_series(1, 1000) g;
SELECT count(*) FROM track_fa a JOIN track_fb b USING (i) JOIN track_fa c USING (i);
INSERT INTO track_fc SELECT 1;
SELECT count(*) FROM track_fc;
SET work_mem = '64kB';
SELECT count(*) FROM (SELECT v || i FROM track_fa UNION ALL SELECT g::text FROM generate_series(1, 20000) g) s /*controller='shop',route='%2Fcart%2F%27x',secret='no',action='none'*/;
RESET work_mem;
-- what looks like a comment is none; a first execution without tags, one that is no such comment
SELECT '/*route=''fake''*/' AS track_fake, i FROM track_fa WHERE i = 1;
SELECT i AS track_plain /* route of a kind */ FROM track_fa WHERE i = 2;
SELECT i AS track_front FROM track_fa /*route='front'*/ WHERE i = 3 AND i > 0;
SET dbutil.track_tags = '';
SELECT i AS track_none FROM track_fa /*route='unlisted'*/ WHERE i = 3 OR i = 3;
SET dbutil.service = 'track_looks';
SELECT query, relations, tags FROM dbutil.statements
WHERE service = 'track_facts' AND query ~ 'track_' AND operation IN ('select', 'insert') ORDER BY query COLLATE "C";
SELECT operation, shared_blks_hit > 0 AS shared, local_blks_hit + local_blks_dirtied > 0 AS local, temp_blks_written > 0 AS temp,
	   wal_records > 0 AS wal, wal_bytes > 0 AS wal_bytes, plans, total_plan_time > 0 AS planning,
	   min_plan_time <= mean_plan_time AND mean_plan_time <= max_plan_time AS ordered,
	   cpu_samples, cpu_user_time + cpu_system_time <= 10 * total_exec_time + 100 AS cpu, first_seen <= stats_since AS seen
FROM dbutil.statements WHERE service = 'track_facts' AND query ~ 'FROM .*(track_fc|UNION)|INTO track_f[ac]'
ORDER BY query COLLATE "C";

-- settings out of range
SET dbutil.track_cpu_sample = -1;
SET dbutil.track_tags = 'a,,b';
SET dbutil.track = 'some';
SET dbutil.track_max = 5;

-- reset: minima and maxima alone, one statement, all
RESET dbutil.track_tags;
SELECT queryid AS qid, stats_since AS since FROM dbutil.statements WHERE query LIKE 'SELECT i AS track_none%' \gset
SELECT statements, calls, errors FROM dbutil.reset_statements(queryid => :qid, minmax_only => true);
SELECT calls, min_exec_time, max_exec_time, mean_exec_time > 0 AS mean, p50_exec_time > 0 AS percentile,
	   stats_since = :'since' AS since, minmax_stats_since > stats_since AS minmax
FROM dbutil.statements WHERE queryid = :qid;
SELECT statements, calls, errors FROM dbutil.reset_statements(NULL, NULL, NULL, :qid);
SELECT count(*) FROM dbutil.statements WHERE queryid = :qid;
SET dbutil.service = 'track_facts';
SELECT i AS track_none FROM track_fa WHERE i = 4 OR i = 4;
SET dbutil.service = 'track_looks';
SELECT query, calls, first_seen < stats_since AS seen_before, min_exec_time > 0 AS min FROM dbutil.statements WHERE queryid = :qid;
-- a service that there is not: nothing is reset, and a warning tells what was meant
SELECT statements, calls FROM dbutil.reset_statements('track_fact');
SELECT statements, calls FROM dbutil.reset_statements(service => repeat('no such service', 10));
SELECT statements, calls FROM dbutil.reset_statements('');
SELECT statements, calls FROM dbutil.reset_statements('<other>');
-- a name is compared as it is stored: printable ASCII, 63 bytes
SET dbutil.service = E'track_f\u00e4cts';
SELECT 1 AS umlaut;
SET dbutil.service = 'track_looks';
SELECT statements, calls FROM dbutil.reset_statements(E'track_f\u00e4cts');
SELECT statements, calls FROM dbutil.reset_statements(userid => 1);
SELECT statements > 0 AS statements FROM dbutil.reset_statements(dbid => (SELECT oid FROM pg_database WHERE datname = current_database()));
CREATE ROLE regress_track_facts;
SET ROLE regress_track_facts;
SELECT * FROM dbutil.reset_statements();
SELECT dbutil.pg_stat_statements_reset();
SET dbutil.track_tags = 'x';
SET dbutil.track_cpu_sample = 1;
RESET ROLE;
DROP ROLE regress_track_facts;
RESET dbutil.track_cpu_sample;
RESET dbutil.track_planning;
RESET dbutil.service;
DROP TABLE track_fb, track_fa, track_fc;
