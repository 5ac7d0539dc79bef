--
-- Every view of tracking, and each function beside one, for four roles: who ran
-- the statements, a member of that role, one who may read all statistics, and a
-- stranger.  All columns are searched for what the statements say (aliases, literals
-- and comments with "secret" in them, which no catalog has) and for their identifiers,
-- so that a view or a column that is added is searched as well.
--
CREATE ROLE regress_matrix_owner;
CREATE ROLE regress_matrix_member IN ROLE regress_matrix_owner;
CREATE ROLE regress_matrix_reader IN ROLE pg_read_all_stats;
CREATE ROLE regress_matrix_stranger;
CREATE SCHEMA track_matrix AUTHORIZATION regress_matrix_owner;
GRANT USAGE ON SCHEMA track_matrix TO PUBLIC;
CREATE FUNCTION track_matrix.seen(ids bigint[])
	RETURNS TABLE (looks_at text, rows boolean, identifiers boolean, texts boolean) LANGUAGE plpgsql AS $$
DECLARE
	id_pattern text := '[^0-9-](' || array_to_string(ids, '|') || ')[^0-9]';
	source text;
BEGIN
	FOR looks_at, source IN
		SELECT ('view ' || c.relname) COLLATE "C", format('dbutil.%I', c.relname) FROM pg_class AS c
		WHERE c.relnamespace = 'dbutil'::regnamespace AND c.relkind = 'v' AND c.relname !~ 'health'
		UNION ALL
		SELECT DISTINCT ('function ' || p.proname) COLLATE "C", format('dbutil.%I(%s)', p.proname,
			CASE p.proname WHEN 'statement_histogram' THEN ids[1]::text WHEN 'pg_stat_statements' THEN 'true'
				WHEN 'top' THEN $c$'-infinity', 'infinity'$c$ END)
		FROM pg_proc AS p
		WHERE p.pronamespace = 'dbutil'::regnamespace
		  AND (p.proname IN ('statement_histogram', 'statement_tables', 'service_sessions', 'track_room', 'track_info', 'top')
			OR EXISTS (SELECT FROM pg_class AS c WHERE c.relnamespace = p.pronamespace AND c.relkind = 'v' AND c.relname = p.proname))
		ORDER BY 1
	LOOP
		EXECUTE format($q$
			SELECT coalesce(bool_or(j ->> 'username' = 'regress_matrix_owner' OR j ->> 'service' = 'track_matrix'
						OR j ->> 'userid' = (SELECT oid::text FROM pg_roles WHERE rolname = 'regress_matrix_owner')), false),
				   coalesce(bool_or(j::text ~ %L), false), coalesce(bool_or(j::text ~ 'secret'), false)
			FROM (SELECT to_jsonb(x) AS j FROM %s AS x) AS y $q$, id_pattern, source)
		INTO rows, identifiers, texts;
		CONTINUE WHEN NOT (rows OR identifiers OR texts);
		RETURN NEXT;
	END LOOP;
END $$;

-- something for each of them: statements, errors, transactions, two plans of which
-- the second one is the slower, slow plans, waits, history
ALTER SYSTEM SET dbutil.track_waits_interval = '10ms';
SELECT pg_reload_conf();
SELECT dbutil.track_reset();
SELECT dbutil.history_take() > 0 AS taken;
SELECT dbutil.reset_plans() >= 0 AS plans, dbutil.reset_slow_plans() >= 0 AS slow_plans, dbutil.reset_waits() >= 0 AS waits;
SET dbutil.service = 'track_matrix';
SET dbutil.plan_cache = off;
SET dbutil.track_tags = 'route';
SET ROLE regress_matrix_owner;
CREATE TABLE track_matrix.things (id int PRIMARY KEY, w text);
INSERT INTO track_matrix.things SELECT g, 'w' || g FROM generate_series(1, 20000) AS g;
ANALYZE track_matrix.things;
RESET ROLE;
SET dbutil.track_slow_time = 0;
SET ROLE regress_matrix_owner;
SET enable_bitmapscan = off;
SELECT w AS secret_column FROM track_matrix.things WHERE id = 1 AND w <> 'secret literal' /*route='secret tag'*/;
SELECT w AS secret_column FROM track_matrix.things WHERE id = 1 AND w <> 'secret literal';
SET enable_indexscan = off;
SELECT w AS secret_column FROM track_matrix.things WHERE id = 1 AND w <> 'secret literal';
SELECT w AS secret_column FROM track_matrix.things WHERE id = 1 AND w <> 'secret literal';
RESET enable_indexscan;
RESET enable_bitmapscan;
SELECT 1 / (id - id) AS secret_error FROM track_matrix.things;
CREATE FUNCTION track_matrix.wait() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 3000 LOOP
		PERFORM pg_sleep(0.02);
		IF EXISTS (SELECT FROM dbutil.waits WHERE username = 'regress_matrix_owner' AND queryid IS NOT NULL AND event = 'PgSleep') THEN
			RETURN 'sampled';
		END IF;
	END LOOP;
	RETURN 'not sampled';
END $$;
SELECT track_matrix.wait() AS secret_wait;
RESET ROLE;
RESET dbutil.service;
RESET dbutil.track_slow_time;
SELECT dbutil.history_take() > 0 AS taken;
SET dbutil.track = 'none';
SELECT array_agg(queryid ORDER BY calls DESC) AS ids FROM dbutil.statements WHERE query ~ 'secret' AND username = 'regress_matrix_owner' \gset
SET ROLE regress_matrix_owner;
SELECT * FROM track_matrix.seen(:'ids');
SET ROLE regress_matrix_member;
SELECT m.* FROM track_matrix.seen(:'ids') AS m;
SET ROLE regress_matrix_reader;
SELECT m.* FROM track_matrix.seen(:'ids') AS m;
-- that there is something, and not what
SET ROLE regress_matrix_stranger;
SELECT m.* FROM track_matrix.seen(:'ids') AS m;
RESET ROLE;
RESET dbutil.track;

ALTER SYSTEM RESET dbutil.track_waits_interval;
SELECT pg_reload_conf();
-- the worker goes, and with it what it may have missed
DO $$ BEGIN
	FOR i IN 1 .. 3000 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'dbutil tracking');
		PERFORM pg_sleep(0.02), pg_stat_clear_snapshot();
	END LOOP;
END $$;
SELECT dbutil.reset_waits() > 0 AS waits;
RESET dbutil.plan_cache;
RESET dbutil.track_tags;
DELETE FROM dbutil.history_snapshots;
DELETE FROM dbutil.history_statements;
DELETE FROM dbutil.history_last;
DELETE FROM dbutil.history_texts;
SET client_min_messages = warning;
DROP SCHEMA track_matrix CASCADE;
RESET client_min_messages;
DROP ROLE regress_matrix_member, regress_matrix_owner, regress_matrix_reader, regress_matrix_stranger;
