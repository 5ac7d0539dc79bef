--
-- dbutil.statements: what is counted, under which key, with which text
--
SELECT dbutil.track_reset();
SET dbutil.service = 'track_test';
SET dbutil.track = 'top';
SET dbutil.track_planning = on;
CREATE TABLE track_t (id int PRIMARY KEY, v text);
INSERT INTO track_t VALUES (1, 'one'), (2, 'two'), (3, 'three');
SELECT v FROM track_t WHERE id = 1;
SELECT v FROM track_t WHERE id = 2 /* a comment */;
SELECT v   FROM track_t
	WHERE id = 3;
UPDATE track_t SET v = 'drei' WHERE id = 3;
DELETE FROM track_t WHERE id = -1;
SELECT 1 FROM track_t WHERE 1 / (id - id) = 1;
SELECT query, operation, calls, errors, p50_exec_time FROM dbutil.statements WHERE errors = 1 AND service = 'track_test';
SELECT 1 FROM track_t WHERE 1 / (id - id) = 1;
PREPARE track_p(int) AS SELECT v FROM track_t WHERE id > $1 AND v <> 'x';
EXECUTE track_p(1);
EXECUTE track_p(2);
SELECT operation, query, calls, errors, rows, plans >= 1 AS planned, toplevel
FROM dbutil.statements
WHERE service = 'track_test' AND query LIKE '%track_t %' AND query NOT LIKE '%dbutil%'
ORDER BY query COLLATE "C";

-- times are ordered, the percentiles within them
SELECT bool_and(min_exec_time <= mean_exec_time AND mean_exec_time <= max_exec_time
				AND p50_exec_time <= p90_exec_time AND p90_exec_time <= p95_exec_time
				AND p95_exec_time <= p99_exec_time
				AND min_exec_time <= p50_exec_time AND p99_exec_time <= max_exec_time
				AND stddev_exec_time >= 0) AS ordered
FROM dbutil.statements WHERE calls > 0;

-- the histogram holds each call once
SELECT sum(h.calls) = s.calls AS whole, bool_and(h.lower_us < h.upper_us) AS bounds
FROM dbutil.statements s, dbutil.statement_histogram(s.queryid) h
WHERE s.service = 'track_test' AND s.query LIKE 'SELECT v FROM track_t WHERE id = %'
GROUP BY s.calls;

-- no literal is kept, a password least of all
CREATE ROLE regress_track_secret PASSWORD 'tr@cksecret1';
ALTER ROLE regress_track_secret PASSWORD $$tr@cksecret2$$;
DROP ROLE regress_track_secret;
ALTER ROLE regress_track_nobody PASSWORD 'tr@cksecret6';
SET regress_track.token = tr_cksecret7;
ALTER ROLE regress_track_nobody SET regress_track.token TO "tr_cksecret8";
SET TIME ZONE tr_cksecret12;
SET LOCAL TIME ZONE "tr_cksecret13";
ALTER ROLE regress_track_nobody SET TIME ZONE tr_cksecret14;
SET TIME ZONE DEFAULT;
SELECT 'tr@cksecret9' FROM track_t WHERE 1 / (id - id) = 2 -- tr@cksecret10
;
SELECT E'tr@ck\'secret3', U&'tr@cksecret4', B'101', X'1F', .5, 1e3, N'tr@cksecret5';
SELECT count(*) FROM dbutil.statements WHERE query ~ 'tr[@_]cksecret';
SELECT query, calls, errors FROM dbutil.statements WHERE query ~ 'regress_track_(secret|nobody)|token|SET.* TIME ZONE' ORDER BY query COLLATE "C";
-- parsed with backslashes as escapes, first counted without: not readable for certain
SET standard_conforming_strings = off;
SET escape_string_warning = off;
PREPARE track_q AS SELECT count(*) AS track_q FROM track_t WHERE v = 'it\' tr_cksecret11 \'is';
SET standard_conforming_strings = on;
RESET escape_string_warning;
EXECUTE track_q;
SELECT count(*) FROM dbutil.statements WHERE query ~ 'tr[@_]cksecret';
SELECT query, calls FROM dbutil.statements WHERE query LIKE '<%' AND service = 'track_test';
DEALLOCATE track_q;

-- the scanner's second look says nothing to the client
SELECT 1 AS track_name_of_more_than_63_bytes_that_is_cut_by_the_scanner_with_a_notice;

-- nested statements: under all only
CREATE FUNCTION track_f() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; BEGIN SELECT count(*) INTO n FROM track_t WHERE v <> 'nested'; RETURN n; END $$;
SELECT track_f();
SELECT count(*) FROM dbutil.statements WHERE query LIKE 'SELECT count(*) %FROM track_t%' AND service = 'track_test' AND NOT toplevel;
SET dbutil.track = 'all';
SELECT track_f();
SELECT query, calls, toplevel FROM dbutil.statements WHERE query LIKE 'SELECT count(*) %FROM track_t%' AND service = 'track_test' AND NOT toplevel;
SET dbutil.track = 'none';
SELECT 'not tracked' FROM track_t WHERE id = 1;
SET dbutil.track = 'top';
SELECT count(*) FROM dbutil.statements WHERE query LIKE 'SELECT $1 FROM track_t WHERE id = $2' AND calls > 0;
SET dbutil.track_utility = off;
CREATE TABLE track_untracked (i int);
DROP TABLE track_untracked;
RESET dbutil.track_utility;
SELECT count(*) FROM dbutil.statements WHERE query LIKE '%track_untracked%' AND operation = 'utility';

-- per service
SET dbutil.service = 'track_other';
SELECT v FROM track_t WHERE id = 1;
SELECT service, calls FROM dbutil.statements
WHERE query LIKE 'SELECT v FROM track_t WHERE id = %' ORDER BY service;
SELECT service, calls > 0 AS calls, errors, p99_exec_time >= p50_exec_time AS ordered
FROM dbutil.services WHERE service LIKE 'track_%' ORDER BY service;

-- without texts; losses
SELECT count(query), count(*) > 0 AS some FROM dbutil.statements(texts => false);
-- a name that <other> itself has is no other service
SET dbutil.service = '<other>';
SELECT v FROM track_t WHERE id = 2;
SELECT count(*) FROM dbutil.services WHERE service = '<other>';
RESET dbutil.service;
SELECT entries > 0 AS entries, services >= 2 AS services, evictions, calls_dropped, texts_dropped FROM dbutil.track_info();
SELECT item, state, item_value FROM dbutil.status() WHERE item LIKE '%track%' ORDER BY item COLLATE "C";
SET dbutil.track = 'none';
SELECT item, state, item_value, fix FROM dbutil.status() WHERE item = 'tracking';
SET dbutil.track = 'top';

SELECT dbutil.track_reset();
SELECT count(*) FROM dbutil.statements WHERE query LIKE '%track_t WHERE%';
RESET dbutil.service;
RESET dbutil.track_planning;
DEALLOCATE track_p;
DROP FUNCTION track_f();
DROP TABLE track_t;
