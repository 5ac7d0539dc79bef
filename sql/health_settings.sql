--
-- health: thresholds and silences of one's own, and the checks of the server
-- made to fire by them
--
\set VERBOSITY terse
\set SHOW_CONTEXT never
-- by object: the longest pattern that matches counts, NULL leaves the default
CREATE SEQUENCE public.health_seq_a MAXVALUE 101;
SELECT setval('public.health_seq_a', 51);
CREATE SEQUENCE public.health_seq_b MAXVALUE 101;
SELECT setval('public.health_seq_b', 51);
CREATE FUNCTION pg_temp.seen(OUT object_name text, OUT status text, OUT warn numeric, OUT critical numeric, OUT silenced bool)
RETURNS SETOF record LANGUAGE sql AS $$
SELECT object_name, status, warn, critical, silenced FROM dbutil.health
WHERE check_name = 'sequence_exhaustion' AND (object_name LIKE 'public.health\_seq%' OR needs = 'a check that works') ORDER BY 1 $$;
SELECT * FROM pg_temp.seen();
INSERT INTO dbutil.health_settings (check_name, object_pattern, warn, critical) VALUES
	('sequence_exhaustion', 'public.%', 40, 45),
	('sequence_exhaustion', 'public.health\_seq\_b', 50, NULL);
SELECT * FROM pg_temp.seen();
UPDATE dbutil.health_settings SET warn = 'infinity' WHERE object_pattern = 'public.health\_seq\_b';
SELECT * FROM pg_temp.seen();
UPDATE dbutil.health_settings SET enabled = false WHERE object_pattern = 'public.health\_seq\_b';
SELECT * FROM pg_temp.seen();
-- without its objects a check has nothing to find fault with; disabled for all it is not told
UPDATE dbutil.health_settings SET object_pattern = '%', enabled = false WHERE object_pattern = 'public.%';
SELECT count(*) FROM dbutil.health WHERE check_name = 'sequence_exhaustion';
DELETE FROM dbutil.health_settings WHERE object_pattern <> '%';
UPDATE dbutil.health_settings SET enabled = true;
-- silences end by themselves
INSERT INTO dbutil.health_silences VALUES
	('sequence_exhaustion', 'public.health\_seq\_a', now() + interval '1 hour', 'being widened'),
	('sequence_exhaustion', 'public.health\_seq\_b', now() - interval '1 second', 'was widened');
SELECT * FROM pg_temp.seen();
DELETE FROM dbutil.health_silences;
DELETE FROM dbutil.health_settings;
-- what is refused
INSERT INTO dbutil.health_settings (check_name) VALUES ('no_such_check');
INSERT INTO dbutil.health_settings (check_name, object_pattern) VALUES ('xid_age', 'x\');
INSERT INTO dbutil.health_settings (check_name, object_pattern) VALUES ('xid_age', 'x\\\');
INSERT INTO dbutil.health_settings (check_name, object_pattern) VALUES ('xid_age', 'x\\'), ('xid_age', '\\');
INSERT INTO dbutil.health_settings (check_name, warn) VALUES ('xid_age', 'NaN');
INSERT INTO dbutil.health_silences VALUES ('xid_age', '%', now(), ' ');
INSERT INTO dbutil.health_silences (check_name, reason) VALUES ('xid_age', 'for ever');
SELECT count(*) > 0 AS still_works FROM dbutil.health WHERE check_name = 'xid_age';
DELETE FROM dbutil.health_settings;

-- a statement sees what it has changed itself
CREATE FUNCTION pg_temp.lower_threshold() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO dbutil.health_settings (check_name, warn) VALUES ('xid_age', 0);
	RETURN true;
END $$;
BEGIN;
SELECT CASE WHEN pg_temp.lower_threshold() THEN
	(SELECT status FROM dbutil.health('quick') WHERE check_name = 'xid_age' AND object_name = 'template0') END AS status;
ROLLBACK;
BEGIN;
SELECT CASE WHEN pg_temp.lower_threshold() THEN
	(SELECT count(*) FROM jsonb_array_elements(dbutil.check_database_health(level => 'quick') -> 'findings') AS f
	 WHERE f ->> 'check' = 'xid_age') > 0 END AS found;
ROLLBACK;

-- the server's checks: what is fine by default fires at thresholds of zero
CREATE FUNCTION pg_temp.server(OUT check_name text, OUT status text) RETURNS SETOF record LANGUAGE sql AS $$
SELECT check_name, status FROM dbutil.health('quick')
WHERE check_name IN ('connections_used', 'freeze_overdue', 'multixact_age', 'xid_age', 'dbutil_losses')
  AND object_name IN ('server', 'template0', 'calls dropped by tracking') ORDER BY 1 $$;
SELECT * FROM pg_temp.server();
INSERT INTO dbutil.health_settings (check_name, warn) SELECT c.check_name, 0 FROM dbutil.health_checks AS c WHERE c.level = 'quick' AND NOT lower_is_worse;
SELECT * FROM pg_temp.server();
UPDATE dbutil.health_settings SET critical = 0;
SELECT * FROM pg_temp.server();
DELETE FROM dbutil.health_settings;
-- where lower is worse
INSERT INTO dbutil.health_settings (check_name, warn, critical, min_evidence) VALUES ('cache_hit', 100, 0, 0);
SELECT status, object_name = current_database() AS this_database FROM dbutil.health('quick') WHERE check_name = 'cache_hit';
UPDATE dbutil.health_settings SET warn = '-infinity', critical = '-infinity';
SELECT status FROM dbutil.health('quick') WHERE check_name = 'cache_hit';
UPDATE dbutil.health_settings SET critical = 100;
SELECT status FROM dbutil.health('quick') WHERE check_name = 'cache_hit';
UPDATE dbutil.health_settings SET min_evidence = 1e18;
SELECT status, message ~ '^not judged yet, [0-9.]+ of 1000000000000000000 block reads: ' AS message FROM dbutil.health('quick') WHERE check_name = 'cache_hit';
DELETE FROM dbutil.health_settings;
-- statistics that are not kept
SET track_counts = off;
SELECT check_name, object_name, status, value, suggested_sql FROM dbutil.health('quick') WHERE object_name = 'track_counts';
SELECT status, value, message FROM dbutil.health('quick') WHERE check_name = 'cache_hit';
RESET track_counts;
-- collations: what is in use and what the database was made with
CREATE COLLATION public.health_coll (provider = icu, locale = 'en');
CREATE COLLATION public.health_unused (provider = icu, locale = 'en');
CREATE TABLE public.health_t (t text COLLATE public.health_coll PRIMARY KEY);
SELECT object_name, status FROM dbutil.health WHERE check_name = 'collation_version_drift';
UPDATE pg_collation SET collversion = '0' WHERE collname IN ('health_coll', 'health_unused');
UPDATE pg_database SET datcollversion = '0' WHERE datname = current_database();
SELECT replace(object_name, current_database(), 'this') AS object, status, replace(suggested_sql, current_database(), 'this') AS suggested_sql
FROM dbutil.health WHERE check_name = 'collation_version_drift' ORDER BY 1;
UPDATE pg_database SET datcollversion = pg_database_collation_actual_version(oid) WHERE datname = current_database();
DROP TABLE public.health_t;
DROP COLLATION public.health_coll, public.health_unused;
DROP SEQUENCE public.health_seq_a, public.health_seq_b;

-- defaults are in order, every level is known, every check is told in its level only
SELECT check_name FROM dbutil.health_checks
WHERE CASE WHEN lower_is_worse THEN critical > warn ELSE critical < warn END
   OR (min_evidence IS NULL) <> (evidence_unit IS NULL) OR warn IS NULL OR advice !~ '\.$';
SELECT c.check_name FROM dbutil.health_checks AS c WHERE NOT EXISTS (SELECT FROM dbutil.health AS h WHERE h.check_name = c.check_name);
SELECT c.check_name FROM dbutil.health_checks AS c
WHERE EXISTS (SELECT FROM dbutil.health('quick') AS h WHERE h.check_name = c.check_name) <> (c.level = 'quick');
SELECT count(*) >= 30 AS many FROM dbutil.health_checks;
SELECT check_name, message FROM dbutil.health WHERE needs = 'a check that works';
