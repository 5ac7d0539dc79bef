--
-- who sees what of whose statements
--
CREATE ROLE regress_track_a;
CREATE ROLE regress_track_b;
CREATE ROLE regress_track_member IN ROLE regress_track_a;
CREATE ROLE regress_track_stats IN ROLE pg_read_all_stats;
SELECT dbutil.track_reset();
SET ROLE regress_track_a;
SELECT 'secret of a' AS from_a;
SET ROLE regress_track_b;
SELECT query, queryid IS NULL AS hidden, calls FROM dbutil.statements WHERE username = 'regress_track_a' AND operation = 'select';
SELECT service FROM dbutil.statement_histogram(0);
SELECT dbutil.track_reset();
SET dbutil.track = 'all';
SET dbutil.track_utility = off;
SELECT count(*) > 0 AS some FROM dbutil.transactions;
SELECT count(*) > 0 AS some FROM dbutil.services;
SELECT entries > 0 AS some FROM dbutil.track_info();
SET ROLE regress_track_member;
SELECT query, queryid IS NULL AS hidden, calls FROM dbutil.statements WHERE username = 'regress_track_a' AND operation = 'select';
SET ROLE regress_track_stats;
SELECT query, queryid IS NULL AS hidden, calls FROM dbutil.statements WHERE username = 'regress_track_a' AND operation = 'select';
RESET ROLE;
-- the identifier of another role's statement finds nothing for who may not see it
SELECT queryid AS qid FROM dbutil.statements WHERE username = 'regress_track_a' AND operation = 'select' \gset
SELECT sum(calls) FROM dbutil.statement_histogram(:qid);
SET ROLE regress_track_b;
SELECT sum(calls) FROM dbutil.statement_histogram(:qid);
RESET ROLE;

-- every view shows others that there is something, and not what
SET ROLE regress_track_a;
SELECT 1 / 0 AS from_a;
SELECT 'secret of a' AS from_a;
RESET ROLE;
CREATE FUNCTION pg_temp.matrix(OUT view_name text, OUT rows bigint, OUT ids bigint, OUT texts bigint, OUT facts bigint)
	RETURNS SETOF record LANGUAGE sql AS $$
	SELECT 'statements' AS view_name, count(*) AS rows, count(queryid) AS ids,
		   count(*) FILTER (WHERE query <> '<insufficient privilege>') AS texts, count(relations) + count(tags) AS facts
	FROM dbutil.statements WHERE username = 'regress_track_a' AND operation = 'select'
	UNION ALL SELECT 'statements without texts', count(*), count(queryid), count(query), count(relations) + count(tags)
	FROM dbutil.statements(false) WHERE userid = (SELECT oid FROM pg_roles WHERE rolname = 'regress_track_a') AND operation = 'select'
	UNION ALL SELECT 'pg_stat_statements', sign(count(*)), sign(count(queryid)), sign(count(*) FILTER (WHERE query <> '<insufficient privilege>')), 0
	FROM dbutil.pg_stat_statements WHERE userid = (SELECT oid FROM pg_roles WHERE rolname = 'regress_track_a')
	UNION ALL SELECT 'statement_errors', count(*), count(queryid), 0, 0
	FROM dbutil.statement_errors WHERE username = 'regress_track_a'
	UNION ALL SELECT 'transactions', sign(count(*)), sign(count(queryids)), sign(count(shape)), 0
	FROM dbutil.transactions WHERE username = 'regress_track_a' $$;
SELECT * FROM pg_temp.matrix();
SET ROLE regress_track_b;
SELECT * FROM pg_temp.matrix();
SELECT * FROM dbutil.reset_statements();
RESET ROLE;

-- a statement is its sender's, though it fails or ends inside a function of another role
CREATE SCHEMA regress_track_s;
GRANT ALL ON SCHEMA regress_track_s TO regress_track_a, regress_track_b;
SET ROLE regress_track_b;
CREATE FUNCTION regress_track_s.fails() RETURNS int LANGUAGE plpgsql SECURITY DEFINER
	AS 'BEGIN RAISE EXCEPTION ''of b''; END';
CREATE FUNCTION regress_track_s.fold_fails() RETURNS int LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER
	AS 'BEGIN RAISE EXCEPTION ''of b''; END';
CREATE FUNCTION regress_track_s.trigger_fails() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
	AS 'BEGIN RAISE EXCEPTION ''of b''; END';
CREATE PROCEDURE regress_track_s.call_fails() LANGUAGE plpgsql SECURITY DEFINER
	AS 'BEGIN RAISE EXCEPTION ''of b''; END';
CREATE FUNCTION regress_track_s.opens() RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER
	AS $$ DECLARE c refcursor := 'cc'; BEGIN OPEN c FOR SELECT 1 AS cursor_of_b; RETURN c; END $$;
SET ROLE regress_track_a;
CREATE TABLE regress_track_s.t (i int);
CREATE TRIGGER late AFTER INSERT ON regress_track_s.t EXECUTE FUNCTION regress_track_s.trigger_fails();
RESET ROLE;
SELECT dbutil.track_reset();
SET dbutil.track = 'all';
SET ROLE regress_track_a;
SELECT regress_track_s.fails() AS secret_of_a;
INSERT INTO regress_track_s.t SELECT 1 AS secret_of_a;
CALL regress_track_s.call_fails();
SELECT regress_track_s.fold_fails() AS secret_of_a;
BEGIN; SELECT regress_track_s.opens(); FETCH ALL FROM cc; CLOSE cc; COMMIT;
BEGIN; SELECT regress_track_s.opens(); FETCH ALL FROM cc; COMMIT;
RESET ROLE;
RESET dbutil.track;
SELECT username, toplevel, calls, errors, query FROM dbutil.statements
WHERE query ~ 'secret_of_a|call_fails|cursor_of_b' ORDER BY query COLLATE "C", toplevel;
SET ROLE regress_track_b;
SELECT count(*) FROM dbutil.statements WHERE query ~ 'secret_of_a|call_fails';
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA regress_track_s CASCADE;
RESET client_min_messages;
DROP ROLE regress_track_member, regress_track_a, regress_track_b, regress_track_stats;
