-- prepared: a text runs with the caller's rights, so it matters who owns it
\set VERBOSITY default
CREATE ROLE regress_prep_alice;
CREATE ROLE regress_prep_bob;
CREATE ROLE regress_prep_team;
CREATE ROLE regress_prep_stats;
CREATE ROLE regress_prep_super SUPERUSER;
GRANT regress_prep_team TO regress_prep_alice;
GRANT pg_read_all_stats TO regress_prep_stats;
CREATE TABLE prep_secret (v text);
INSERT INTO prep_secret VALUES ('secret');

-- nobody but the functions writes or reads the table
SET ROLE regress_prep_alice;
SELECT * FROM dbutil.prepared_definitions;
INSERT INTO dbutil.prepared_definitions VALUES ('', 'x', 'postgres', 1, 'SELECT 1', NULL, '{}', now());
UPDATE dbutil.prepared_definitions SET owner = current_user;
DELETE FROM dbutil.prepared_definitions;

-- everybody may prepare; what it does is settled when it is executed
SELECT dbutil.prepare_statement('who', 'SELECT current_user::text');
SELECT dbutil.prepare_statement('read', 'SELECT v FROM prep_secret');
SELECT * FROM dbutil.execute_prepared_statement('who') AS (w text);
SELECT * FROM dbutil.execute_prepared_statement('read') AS (v text);

-- another role: neither to execute nor to change, and no text to see
SET ROLE regress_prep_bob;
SELECT * FROM dbutil.execute_prepared_statement('who') AS (w text);
SELECT * FROM dbutil.execute_prepared_statement_json('who');
SELECT dbutil.prepare_statement('who', 'SELECT 1', replace => true);
SELECT dbutil.prepare_statement('who', 'SELECT 1');
SELECT dbutil.deallocate_statement('who');
SELECT name, owner, statement, may_execute, may_change FROM dbutil.prepared_statements ORDER BY name;
SET ROLE regress_prep_stats;
SELECT name, owner, statement, may_execute, may_change FROM dbutil.prepared_statements ORDER BY name;
SELECT * FROM dbutil.execute_prepared_statement('who') AS (w text);

-- a superuser may change it, but does not run what others may have laid in his way
SET ROLE regress_prep_super;
SELECT * FROM dbutil.execute_prepared_statement('read') AS (v text);
SELECT name, owner, statement, may_execute, may_change FROM dbutil.prepared_statements ORDER BY name;
RESET ROLE;
GRANT regress_prep_alice TO regress_prep_super;
SET ROLE regress_prep_super;
SELECT * FROM dbutil.execute_prepared_statement('who') AS (w text);
RESET ROLE;
REVOKE regress_prep_alice FROM regress_prep_super;
-- replaced, it stays alice's
SELECT dbutil.prepare_statement('who', 'SELECT current_user || ''!''', replace => true);
SELECT owner FROM dbutil.prepared_statements WHERE name = 'who';
SET ROLE regress_prep_alice;
SELECT * FROM dbutil.execute_prepared_statement('who') AS (w text);

-- what a superuser owns, everybody may execute: with his own rights
SET ROLE regress_prep_super;
SELECT dbutil.prepare_statement('official', 'SELECT current_user::text, count(*) FROM prep_secret');
SET ROLE regress_prep_bob;
SELECT * FROM dbutil.execute_prepared_statement('official') AS (w text, n bigint);
RESET ROLE;
GRANT SELECT ON prep_secret TO regress_prep_bob;
SET ROLE regress_prep_bob;
SELECT * FROM dbutil.execute_prepared_statement('official') AS (w text, n bigint);
SELECT statement, may_execute, may_change FROM dbutil.prepared_statements WHERE name = 'official';
SELECT dbutil.deallocate_statement('official');
SELECT dbutil.prepare_statement('official', 'SELECT 1', replace => true);
RESET ROLE;
REVOKE SELECT ON prep_secret FROM regress_prep_bob;
SET ROLE regress_prep_bob;
SELECT * FROM dbutil.execute_prepared_statement('official') AS (w text, n bigint);
RESET ROLE;
-- other superusers too
SELECT n FROM dbutil.execute_prepared_statement('official') AS (w text, n bigint);

-- a role's members: with its privileges they execute and change, and it stays the role's
SET ROLE regress_prep_team;
SELECT dbutil.prepare_statement('shared', 'SELECT 1');
SET ROLE regress_prep_alice;
SELECT * FROM dbutil.execute_prepared_statement('shared') AS (n int);
SELECT dbutil.prepare_statement('shared', 'SELECT 2', replace => true);
SELECT owner FROM dbutil.prepared_statements WHERE name = 'shared';
SET ROLE regress_prep_team;
SELECT * FROM dbutil.execute_prepared_statement('shared') AS (n int);
-- but not the other way round
SELECT * FROM dbutil.execute_prepared_statement('who') AS (w text);
SET ROLE regress_prep_bob;
SELECT * FROM dbutil.execute_prepared_statement('shared') AS (n int);
RESET ROLE;
REVOKE regress_prep_team FROM regress_prep_alice;
SET ROLE regress_prep_alice;
SELECT * FROM dbutil.execute_prepared_statement('shared') AS (n int);

-- one that may not be executed hides none that may
RESET ROLE;
SELECT dbutil.prepare_statement('report', 'SELECT ''official''::text');
SET dbutil.service = 'svc';
SET ROLE regress_prep_bob;
SELECT dbutil.prepare_statement('report', 'SELECT ''planted''::text', service => 'svc');
SELECT * FROM dbutil.execute_prepared_statement('report') AS (t text);
SET ROLE regress_prep_alice;
SELECT * FROM dbutil.execute_prepared_statement('report') AS (t text);
RESET ROLE;
SELECT * FROM dbutil.execute_prepared_statement('report') AS (t text);
SELECT dbutil.deallocate_statement('report');
SET ROLE regress_prep_alice;
SELECT * FROM dbutil.execute_prepared_statement('report') AS (t text);
RESET ROLE;
RESET dbutil.service;

-- SECURITY DEFINER: the function's owner is the caller
CREATE FUNCTION prep_as_alice() RETURNS SETOF jsonb LANGUAGE sql SECURITY DEFINER AS $$
	SELECT * FROM dbutil.execute_prepared_statement_json('who') $$;
ALTER FUNCTION prep_as_alice OWNER TO regress_prep_alice;
SELECT prep_as_alice();
SET ROLE regress_prep_bob;
SELECT prep_as_alice();
RESET ROLE;
DROP FUNCTION prep_as_alice;

-- policies are those of the role that executes, also for a plan that is kept
CREATE TABLE prep_rows (who text, v int);
INSERT INTO prep_rows VALUES ('regress_prep_alice', 1), ('regress_prep_bob', 2);
ALTER TABLE prep_rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON prep_rows USING (who = current_user);
GRANT SELECT ON prep_rows TO PUBLIC;
SELECT dbutil.prepare_statement('rows', 'SELECT v FROM prep_rows');
SELECT * FROM dbutil.execute_prepared_statement('rows') AS (v int) ORDER BY v;
SET ROLE regress_prep_alice;
SELECT * FROM dbutil.execute_prepared_statement('rows') AS (v int);
SET ROLE regress_prep_bob;
SELECT * FROM dbutil.execute_prepared_statement('rows') AS (v int);
RESET ROLE;
REVOKE SELECT ON prep_rows FROM PUBLIC;
SET ROLE regress_prep_bob;
SELECT * FROM dbutil.execute_prepared_statement('rows') AS (v int);
RESET ROLE;

-- an owner that is renamed or dropped leaves statements that nobody trusts
ALTER ROLE regress_prep_alice RENAME TO regress_prep_alice2;
SET ROLE regress_prep_alice2;
SELECT * FROM dbutil.execute_prepared_statement('who') AS (w text);
SELECT dbutil.prepare_statement('who', 'SELECT 1', replace => true);
SELECT dbutil.deallocate_statement('who');
SELECT name, owner, statement, may_execute, may_change FROM dbutil.prepared_statements WHERE name = 'who';
RESET ROLE;
SELECT * FROM dbutil.execute_prepared_statement('who') AS (w text);
SELECT name, owner, may_execute, may_change FROM dbutil.prepared_statements WHERE name = 'who';
-- a superuser who replaces it owns it
SELECT dbutil.prepare_statement('who', 'SELECT current_user::text', replace => true);
SELECT owner = current_user AS own, may_execute FROM dbutil.prepared_statements WHERE name = 'who';
SET ROLE regress_prep_alice2;
SELECT * FROM dbutil.execute_prepared_statement('who') AS (w text);
RESET ROLE;
SELECT dbutil.deallocate_statement('read');

-- EXECUTE may be taken away, as of any function
REVOKE EXECUTE ON FUNCTION dbutil.prepare_statement FROM PUBLIC;
SET ROLE regress_prep_bob;
SELECT dbutil.prepare_statement('y', 'SELECT 1');
RESET ROLE;
GRANT EXECUTE ON FUNCTION dbutil.prepare_statement TO PUBLIC;

SELECT count(dbutil.deallocate_statement(name, service)) FROM dbutil.prepared_statements;
DROP TABLE prep_secret, prep_rows;
DROP ROLE regress_prep_alice2, regress_prep_bob, regress_prep_team, regress_prep_stats, regress_prep_super;
