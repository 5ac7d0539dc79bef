-- A stored plan is lent to the statement that runs it, and copied for others that
-- come while it is out.
CREATE SCHEMA lend;
SET search_path = lend, public;
SET dbutil.plan_cache = auto;
SET dbutil.plan_cache_explain = on;
CREATE TABLE t (id int PRIMARY KEY, kind text NOT NULL, next int) WITH (autovacuum_enabled = off);
CREATE INDEX ON t (kind);
INSERT INTO t SELECT i, 'k' || i % 4, i + 1 FROM generate_series(1, 40) i;
ANALYZE t;

-- what a hit is made of: the same statement, the same plan
CREATE FUNCTION hits() RETURNS bigint LANGUAGE sql
BEGIN ATOMIC SELECT coalesce(sum(hits), 0)::bigint FROM dbutil.plan_cache WHERE query ~ 'walk'; END;

-- the statement that calls itself, each call with literals of its own
CREATE FUNCTION walk(depth int, start int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	IF depth = 0 THEN
		RETURN '.';
	END IF;
	EXECUTE format('SELECT string_agg(id || kind || walk(%s, id), '','' ORDER BY id) FROM t WHERE id IN (%s, %s) AND kind <> %L',
				   depth - 1, start, start + 1, 'none' || start) INTO answer;
	RETURN answer;
END $$;
SELECT walk(1, i) FROM generate_series(1, 4) i;
SELECT walk(3, 1);
SELECT walk(3, 20);
SELECT hits() > 0 AS served;

-- given up while it runs: by a reset, an invalidation, or for another statement
CREATE FUNCTION upset() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	how text := current_setting('lend.how');
BEGIN
	PERFORM set_config('lend.how', 'no', false);
	CASE how
		WHEN 'reset' THEN PERFORM dbutil.plan_cache_reset();
		WHEN 'forget' THEN PERFORM dbutil.plan_cache_forget('lend.t');
		WHEN 'analyze' THEN ANALYZE lend.t;
		WHEN 'again' THEN EXECUTE 'SELECT count(kind || upset()) FROM t WHERE kind = ''k2'' AND id <> 7';
		ELSE NULL;
	END CASE;
	RETURN '';
END $$;
-- rounds 3, 5 and 7 are hits, it is upset in the last of these
CREATE PROCEDURE serve_and_upset(how text) LANGUAGE plpgsql AS $$
DECLARE
	i int;
	n text;
BEGIN
	PERFORM dbutil.plan_cache_reset();
	FOR i IN 1..9 LOOP
		PERFORM set_config('lend.how', CASE i WHEN 7 THEN how ELSE 'no' END, false);
		EXECUTE format('SELECT string_agg(kind || upset() || id, '' '' ORDER BY id) FROM t WHERE kind = %L AND id <> %s',
					   'k' || i % 4, i % 4 + 8) INTO n;
		IF i >= 7 THEN
			RAISE NOTICE '% %: %', how, i, n;
		END IF;
	END LOOP;
END $$;
CALL serve_and_upset('no');
SELECT hits FROM dbutil.plan_cache WHERE query ~ 'string_agg.*upset';
CALL serve_and_upset('reset');
CALL serve_and_upset('forget');
CALL serve_and_upset('analyze');
CALL serve_and_upset('again');

-- an error in the middle, caught or not, and the plan serves on
SELECT dbutil.plan_cache_reset();
DO $$
DECLARE
	i int;
	n numeric;
BEGIN
	FOR i IN 1..8 LOOP
		BEGIN
			EXECUTE format('SELECT sum(10 / (id - next + CASE WHEN id = 17 THEN 1 ELSE 0 END * %s)) FROM t WHERE kind = %L', i % 2, 'k1') INTO n;
			RAISE NOTICE 'round %: %', i, n;
		EXCEPTION WHEN division_by_zero THEN
			RAISE NOTICE 'round %: %', i, SQLERRM;
		END;
	END LOOP;
END $$;
SELECT id / (id - 5) FROM t WHERE kind = 'k2' AND id < 3;
SELECT id / (id - 5) FROM t WHERE kind = 'k0' AND id < 5;
SELECT id / (id - 5) FROM t WHERE kind = 'k1' AND id < 6;
SELECT id / (id - 5) FROM t WHERE kind = 'k3' AND id < 4;

-- cursors keep the literals that they were opened with
BEGIN;
DECLARE a CURSOR FOR SELECT id FROM t WHERE kind = 'k1';
DECLARE b CURSOR FOR SELECT id FROM t WHERE kind = 'k2';
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id FROM t WHERE kind = 'k3';
DECLARE d CURSOR FOR SELECT id FROM t WHERE kind = 'k0';
FETCH 2 FROM a;
FETCH 2 FROM b;
SELECT id FROM t WHERE kind = 'k0' LIMIT 2;
FETCH 2 FROM c;
SELECT dbutil.plan_cache_reset();
FETCH 2 FROM a;
FETCH 2 FROM d;
COMMIT;
FETCH BACKWARD 1 FROM c;
CLOSE c;

-- nothing stays behind of entries that were dropped while they were lent
SELECT (SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'dbutil plan cache entry') =
	(SELECT count(*) FROM dbutil.plan_cache) AS all_freed;
SELECT dbutil.plan_cache_reset();
SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'dbutil plan cache entry';
SELECT total AS places_not_filled FROM dbutil.plan_cache_stats WHERE event = 'generic_node';

RESET dbutil.plan_cache;
RESET dbutil.plan_cache_explain;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA lend CASCADE;
