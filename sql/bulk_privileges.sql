-- Rights are those of the statements that a call runs: the caller's.
\set VERBOSITY terse
CREATE ROLE regress_bulk_user;
CREATE SCHEMA bulk_privileges_test;
GRANT USAGE ON SCHEMA bulk_privileges_test TO regress_bulk_user;
SET search_path = bulk_privileges_test;
CREATE FUNCTION counts(r dbutil.bulk_result) RETURNS text
LANGUAGE sql RETURN format('in %s: inserted %s, updated %s, unchanged %s, deleted %s, conflicts %s, missing %s, suppressed %s',
	r.rows_in, r.inserted, r.updated, r.unchanged, r.deleted, r.conflicts, r.missing, r.suppressed);
CREATE TABLE t (id int PRIMARY KEY, a text DEFAULT 'd', secret text DEFAULT 's');
INSERT INTO t VALUES (1, 'one');

SET ROLE regress_bulk_user;
-- nothing is granted: refused, dry runs too; asking for the plan reads catalogs only
SELECT dbutil.bulk_insert('t', '[{"id": 2}]');
SELECT dbutil.bulk_insert('t', '[{"id": 2}]', dry_run => true);
SELECT dbutil.bulk_update('t', '[{"id": 1, "a": "x"}]');
SELECT dbutil.bulk_update('t', '[{"id": 1, "a": "x"}]', dry_run => true);
SELECT dbutil.bulk_update('t', '[{"id": 1}]');
SELECT dbutil.bulk_delete('t', '[1]');
SELECT dbutil.bulk_delete('t', '[1]', dry_run => true);
SELECT dbutil.bulk_explain('insert', 't') ->> 'route' AS route;

-- columns only
RESET ROLE;
GRANT INSERT (id, a), UPDATE (a), SELECT (id) ON t TO regress_bulk_user;
SET ROLE regress_bulk_user;
SELECT counts(r) FROM dbutil.bulk_insert('t', '[{"id": 2, "a": "two"}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('t', '[{"id": 3, "secret": "x"}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('t', '[{"id": 1, "a": "x"}, {"id": 4, "a": "x"}]', on_conflict => 'nothing') r;
SELECT counts(r) FROM dbutil.bulk_insert('t', '[{"id": 1, "a": "ONE"}]', on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_update('t', '[{"id": 2, "a": "TWO"}, {"id": 99, "a": "TWO"}]') r;
SELECT counts(r) FROM dbutil.bulk_update('t', '[{"id": 2, "secret": "x"}]') r;
SELECT counts(r) FROM dbutil.bulk_update('t', '[{"id": 2, "a": "TWO"}]', skip_unchanged => true) r;
SELECT counts(r) FROM dbutil.bulk_delete('t', '[1]') r;
-- an update may read what it compares: no right on the whole table is needed
RESET ROLE;
GRANT SELECT (a) ON t TO regress_bulk_user;
SET ROLE regress_bulk_user;
SELECT counts(r) FROM dbutil.bulk_insert('t', '[{"id": 1, "a": "ONE"}, {"id": 5, "a": "five"}]', on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_insert('t', '[{"id": 1, "a": "ONE"}, {"id": 6, "a": "six"}, {"id": 5, "a": "FIVE"}]', on_conflict => 'update_if_changed') r;
SELECT counts(r) FROM dbutil.bulk_update('t', '[{"id": 2, "a": "TWO"}]', skip_unchanged => true) r;
RESET ROLE;
SELECT * FROM t ORDER BY id;

-- policies: what may not be seen is missing, what may not be changed is suppressed or refused
CREATE TABLE own (id int PRIMARY KEY, who name DEFAULT current_user, v int);
INSERT INTO own VALUES (1, 'regress_bulk_user', 0), (2, 'somebody', 0), (3, 'all', 0);
ALTER TABLE own ENABLE ROW LEVEL SECURITY;
CREATE POLICY see ON own FOR SELECT USING (who IN (current_user, 'all'));
CREATE POLICY put ON own FOR INSERT WITH CHECK (who = current_user);
CREATE POLICY change ON own FOR UPDATE USING (who = current_user);
CREATE POLICY remove ON own FOR DELETE USING (who = current_user);
GRANT ALL ON own TO regress_bulk_user;
SET ROLE regress_bulk_user;
SELECT counts(r) FROM dbutil.bulk_update('own', '[{"id": 1, "v": 1}, {"id": 2, "v": 1}, {"id": 3, "v": 1}]') r;
SELECT counts(r) FROM dbutil.bulk_delete('own', '[2, 3]') r;
SELECT counts(r) FROM dbutil.bulk_insert('own', '[{"id": 4, "v": 4}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('own', '[{"id": 5, "who": "somebody"}]') r;
SELECT counts(r) FROM dbutil.bulk_insert('own', '[{"id": 1, "v": 9}, {"id": 6, "v": 6}]', on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_insert('own', '[{"id": 2, "v": 9}]', on_conflict => 'update') r;
SELECT counts(r) FROM dbutil.bulk_delete('own', '[1]') r;
RESET ROLE;
SELECT * FROM own ORDER BY id;
-- the owner is bound where it is forced
ALTER TABLE own FORCE ROW LEVEL SECURITY;
ALTER TABLE own OWNER TO regress_bulk_user;
SET ROLE regress_bulk_user;
SELECT counts(r) FROM dbutil.bulk_delete('own', '[2, 3, 4]') r;
RESET ROLE;
SELECT id FROM own ORDER BY id;

-- a function of an owner who may: his rights inside, the caller's outside
CREATE FUNCTION put(r text) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = bulk_privileges_test
	RETURN (SELECT counts(x) FROM dbutil.bulk_insert('t', r) x);
SET ROLE regress_bulk_user;
SELECT put('[{"id": 50, "secret": "x"}]');
SELECT counts(r) FROM dbutil.bulk_insert('t', '[{"id": 51, "secret": "x"}]') r;
-- a read-only transaction is one
BEGIN READ ONLY;
SELECT dbutil.bulk_insert('t', '[{"id": 52}]');
ROLLBACK;
BEGIN READ ONLY;
SELECT counts(r) FROM dbutil.bulk_insert('t', '[{"id": 52, "a": "x"}]', on_conflict => 'update', dry_run => true) r;
ROLLBACK;
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA bulk_privileges_test CASCADE;
DROP ROLE regress_bulk_user;
