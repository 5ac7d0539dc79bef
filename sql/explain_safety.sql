-- explain: what is refused, what is undone, whose rights count
CREATE TABLE safe_t (id serial PRIMARY KEY, v int);
INSERT INTO safe_t (v) VALUES (1), (2), (3);
CREATE FUNCTION safe_try(query text, run bool DEFAULT false, timeout interval DEFAULT '30 s') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM dbutil.analyze_query(query, NULL, run, timeout);
	RETURN 'ok';
EXCEPTION WHEN OTHERS OR query_canceled THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN SQLSTATE || ' ' || SQLERRM || CASE WHEN detail <> '' THEN ' (' || detail || ')' ELSE '' END;
END $$;

-- exactly one statement, of a kind that has a plan
\set SHOW_CONTEXT never
SELECT dbutil.analyze_query('');
SELECT dbutil.analyze_query('SELECT 1; DROP TABLE safe_t');
SELECT dbutil.analyze_query('EXPLAIN ANALYZE DELETE FROM safe_t');
SELECT dbutil.analyze_query('TRUNCATE safe_t');
\set SHOW_CONTEXT errors
SELECT dbutil.analyze_query('SELECT * FROM safe_t WHERE nothing = 1');
SELECT dbutil.analyze_query('SELECT 1/0', run => true);
SELECT q, safe_try(q) FROM unnest(ARRAY[
	'  -- only a comment', ';', 'SELECT 1;', '; SELECT 1 ;;', 'SELECT 1; SELECT 2',
	'SELECT 1 INTO safe_new', 'CREATE TABLE safe_new AS SELECT 1', 'PREPARE p AS SELECT 1', 'EXECUTE p',
	'DECLARE c CURSOR FOR SELECT 1', 'COPY safe_t TO STDOUT', 'CALL p()', 'DO $$BEGIN END$$', 'BEGIN', 'VACUUM',
	'SET work_mem = 1', 'SELEC 1', 'TABLE safe_t', 'VALUES (1)', 'WITH w AS (SELECT 1) SELECT * FROM w',
	'INSERT INTO safe_t VALUES (7)', 'UPDATE safe_t SET v = 0', 'DELETE FROM safe_t',
	'MERGE INTO safe_t USING (VALUES (1)) s(x) ON id = x WHEN MATCHED THEN DELETE']) AS q;
SELECT to_regclass('safe_new') AS not_created;
-- arguments
SELECT dbutil.analyze_query(NULL);
SELECT dbutil.analyze_query('SELECT 1', run => NULL);
SELECT * FROM dbutil.findings('SELECT 1', timeout => NULL);
SELECT t, safe_try('SELECT 1', timeout => t) FROM unnest(ARRAY['0', '-1 s', '100 us', '1 ms', '20 days', '1 month', '10000 years']::interval[]) AS t;

-- run executes and undoes
SELECT r #>> '{plan,0,Plan,Operation}' AS operation, r #>> '{plan,0,Plan,Plans,0,Actual Rows}' IN ('3', '3.00') AS ran
FROM dbutil.analyze_query('DELETE FROM safe_t', run => true) r;
SELECT safe_try(q, true) FROM unnest(ARRAY[
	'UPDATE safe_t SET v = v + 1 RETURNING *',
	'INSERT INTO safe_t (id, v) VALUES (10, 10)',
	'INSERT INTO safe_t (id, v) VALUES (1, 10) ON CONFLICT (id) DO UPDATE SET v = 11',
	'WITH d AS (DELETE FROM safe_t RETURNING *) SELECT * FROM d',
	'MERGE INTO safe_t USING (VALUES (1)) s(x) ON id = x WHEN MATCHED THEN UPDATE SET v = 12',
	'INSERT INTO safe_t (id, v) VALUES (1, 10)',
	'SELECT * FROM safe_t FOR UPDATE']) AS q;
SELECT * FROM safe_t ORDER BY id;
SELECT nextval('safe_t_id_seq') AS untouched;
-- the transaction around it goes on, with what it did before
BEGIN;
UPDATE safe_t SET v = 100 WHERE id = 1;
SELECT safe_try('DELETE FROM safe_t', true), safe_try('SELECT 1/0', true), safe_try('SELECT pg_sleep(60)', true, '20 ms');
SAVEPOINT s;
SELECT dbutil.analyze_query('SELECT 1/0', run => true);
ROLLBACK TO s;
UPDATE safe_t SET v = 200 WHERE id = 2;
COMMIT;
SELECT * FROM safe_t ORDER BY id;

-- the timeout ends the statement only, and other timeouts stay what they are
SELECT dbutil.analyze_query('SELECT pg_sleep(60)', run => true, timeout => '20 ms');
SELECT safe_try('SELECT pg_sleep(0.05)', true, '60 s') FROM generate_series(1, 2);
\set SHOW_CONTEXT never
SET statement_timeout = '50ms';
SELECT dbutil.analyze_query('SELECT pg_sleep(60)', run => true, timeout => '60 s');
RESET statement_timeout;
\set SHOW_CONTEXT errors
SELECT 1 AS still_here;

-- volatile functions outside the list, wherever they hide
CREATE FUNCTION safe_vol(int) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN $1; END';
CREATE FUNCTION safe_stable(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1; END';
CREATE OPERATOR ### (rightarg = int, function = safe_vol);
CREATE VIEW safe_view AS SELECT safe_vol(1) AS a;
CREATE TABLE safe_identity (id int GENERATED ALWAYS AS IDENTITY, v int);
CREATE TABLE safe_default (a int, b int DEFAULT safe_vol(3));
CREATE TABLE safe_check (a int CHECK (safe_vol(a) > 0));
CREATE DOMAIN safe_domain AS int CHECK (safe_vol(VALUE) > 0);
CREATE FUNCTION safe_state(int, int) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN $1; END';
CREATE AGGREGATE safe_agg(int) (sfunc = safe_state, stype = int);
SELECT q, safe_try(q, true) FROM unnest(ARRAY[
	'SELECT nextval(''safe_t_id_seq'')', 'SELECT setval(''safe_t_id_seq'', 1)',
	'INSERT INTO safe_t (v) VALUES (1)', 'INSERT INTO safe_identity (v) VALUES (1)',
	'INSERT INTO safe_default (a) VALUES (1)', 'INSERT INTO safe_default (a, b) VALUES (1, 2)',
	'UPDATE safe_default SET b = DEFAULT', 'INSERT INTO safe_check VALUES (1)',
	'SELECT safe_vol(1)', 'SELECT safe_stable(1)', 'SELECT ### 5', 'SELECT * FROM safe_view',
	'SELECT * FROM safe_vol(1)', 'SELECT 1 FROM safe_t ORDER BY safe_vol(id)', 'SELECT 1 LIMIT safe_vol(1)',
	'SELECT (SELECT safe_vol(1))', 'WITH w AS (SELECT safe_vol(1)) SELECT 1 FROM w',
	'SELECT 1 FROM safe_t a JOIN safe_t b ON safe_vol(a.id) = b.id', 'VALUES (safe_vol(1))',
	'UPDATE safe_t SET v = 1 RETURNING safe_vol(v)', 'SELECT safe_agg(id) FROM safe_t',
	'SELECT safe_agg(id) OVER () FROM safe_t', 'SELECT 1::safe_domain',
	'SELECT pg_advisory_lock(1)', 'SELECT set_config(''work_mem'', ''1MB'', false)', 'SELECT pg_reload_conf()',
	'SELECT dbutil.analyze_query(''SELECT 1'')', 'SELECT query_to_xml(''SELECT 1'', true, true, '''')',
	'SELECT random(), clock_timestamp(), gen_random_uuid(), pg_relation_size(''safe_t'')',
	'SELECT now(), currval(''safe_t_id_seq''), pg_advisory_xact_lock(1), pg_notify(''safe'', ''undone'')']) AS q;
SELECT last_value, is_called FROM safe_t_id_seq;
-- a domain checks the value of a parameter before anything runs
SELECT dbutil.analyze_query('SELECT $1::safe_domain', '[1]', run => true);
SELECT dbutil.analyze_query('SELECT $1::safe_domain[]', '[[1]]', run => true);
-- deep inside a type, where the statement shows the outermost only; a value that is just read is not checked again
CREATE TYPE safe_pair AS (a int, b safe_domain);
CREATE DOMAIN safe_wrap AS safe_domain;
CREATE TYPE safe_deep AS (p safe_pair[]);
CREATE TYPE safe_plain AS (a int, b text);
CREATE TABLE safe_text (t text, p safe_pair);
SELECT q, safe_try(q, true) FROM unnest(ARRAY[
	'SELECT t::safe_pair FROM safe_text', 'SELECT t::safe_deep FROM safe_text', 'SELECT t::safe_wrap[] FROM safe_text',
	'SELECT array[t]::text::safe_pair[] FROM safe_text', 'SELECT array[t]::safe_pair[] FROM safe_text',
	'SELECT jsonb_populate_record(null::safe_pair, to_jsonb(t)) FROM safe_text',
	'SELECT * FROM safe_text, json_to_recordset(to_json(t)) AS r(b safe_wrap)',
	'SELECT x.b FROM safe_text, XMLTABLE(''/r'' PASSING (t::xml) COLUMNS b safe_domain) AS x',
	'INSERT INTO safe_text SELECT t, t::safe_pair FROM safe_text',
	'SELECT domain_in(textout(t), ''safe_domain''::regtype, -1) IS NULL FROM safe_text',
	'SELECT table_to_xml(''safe_view'', true, true, '''')',
	'SELECT p, (p).b, array[p] FROM safe_text', 'SELECT t::safe_plain FROM safe_text']) AS q;
-- from 17 on there are JSON functions with a type of their own
SELECT CASE WHEN current_setting('server_version_num')::int < 170000 THEN true ELSE safe_try(q, true) LIKE '0A000%safe_vol%' END AS refused
FROM unnest(ARRAY['SELECT JSON_VALUE(t, ''$'' RETURNING safe_domain) FROM safe_text', 'SELECT JSON_QUERY(t, ''$'' RETURNING safe_pair) FROM safe_text',
	'SELECT j.b FROM safe_text, JSON_TABLE(t, ''$'' COLUMNS (b safe_domain PATH ''$'')) AS j']) AS q;
SELECT dbutil.analyze_query('SELECT $1::safe_pair', '[{"a": 1, "b": 2}]', run => true);
SELECT dbutil.analyze_query('SELECT $1::safe_deep', '[{"p": []}]', run => true);
-- comparisons: what sorts, groups and searches calls the support functions of operator families
CREATE FUNCTION safe_less(int, int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 < $2; END';
CREATE FUNCTION safe_cmp(int, int) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN sign($1 - $2); END';
CREATE OPERATOR <<<< (function = safe_less, leftarg = int, rightarg = int);
CREATE OPERATOR CLASS safe_ops FOR TYPE int USING btree AS OPERATOR 1 <<<<, OPERATOR 3 = (int, int), FUNCTION 1 safe_cmp(int, int);
CREATE TYPE safe_range AS RANGE (subtype = int, subtype_opclass = safe_ops);
CREATE TABLE safe_indexed (a int, b int);
CREATE TABLE safe_inherits () INHERITS (safe_indexed);
SELECT q, safe_try(q, true) FROM unnest(ARRAY[
	'SELECT id FROM safe_t ORDER BY id USING <<<<', 'SELECT array_agg(id ORDER BY id USING <<<<) FROM safe_t',
	'SELECT rank() OVER (ORDER BY id USING <<<<) FROM safe_t', 'SELECT 1 FROM safe_t a JOIN safe_t b ON a.id <<<< b.id',
	'SELECT safe_range(id, 5) FROM safe_t', 'SELECT id, count(*) FROM safe_t GROUP BY id ORDER BY id', 'SELECT a FROM safe_indexed WHERE a = 1',
	'SELECT greatest(id, v) FROM safe_t UNION SELECT 1']) AS q;
CREATE INDEX safe_child_idx ON safe_inherits (a safe_ops);
SELECT q, safe_try(q, true) FROM unnest(ARRAY['SELECT a FROM safe_indexed WHERE a = 1', 'INSERT INTO safe_inherits VALUES (1)',
	'SELECT a FROM ONLY safe_indexed']) AS q;
-- support functions in C are an extension's, whatever they are declared
CREATE FUNCTION safe_ccmp(int, int) RETURNS int LANGUAGE internal VOLATILE AS 'btint4cmp';
CREATE OPERATOR CLASS safe_cops FOR TYPE int USING btree AS OPERATOR 3 = (int, int), FUNCTION 1 safe_ccmp(int, int);
CREATE INDEX safe_cidx ON safe_indexed (b safe_cops);
SELECT safe_try('SELECT b FROM ONLY safe_indexed WHERE b = 1', true);
DROP TABLE safe_text, safe_inherits, safe_indexed;
DROP OPERATOR FAMILY safe_cops USING btree;
DROP FUNCTION safe_ccmp(int, int);
DROP TYPE safe_range, safe_deep, safe_plain, safe_pair;
DROP DOMAIN safe_wrap;
DROP OPERATOR FAMILY safe_ops USING btree;
DROP OPERATOR <<<< (int, int);
DROP FUNCTION safe_less(int, int), safe_cmp(int, int);
-- planning alone is always allowed
SELECT safe_try(q) FROM unnest(ARRAY['SELECT nextval(''safe_t_id_seq'')', 'INSERT INTO safe_t (v) VALUES (1)', 'SELECT safe_vol(1)']) AS q;
-- what a rollback undoes is undone
LISTEN safe;
BEGIN;
SELECT safe_try('SELECT pg_notify(''safe'', ''undone''), pg_advisory_xact_lock(1)', true);
SELECT count(*) AS advisory_locks FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
COMMIT;
UNLISTEN safe;
-- an analysis inside an analysis
CREATE FUNCTION safe_nested() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN dbutil.analyze_query('SELECT 1', run => true) ->> 'query';
END $$;
SELECT safe_try('SELECT safe_nested()', true);
SELECT safe_try('SELECT 1', true);

-- tables whose triggers might do anything
CREATE FUNCTION safe_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE safe_parent (id int PRIMARY KEY);
CREATE TABLE safe_child (id int, parent int DEFAULT nextval('safe_t_id_seq') REFERENCES safe_parent ON DELETE CASCADE);
CREATE TABLE safe_part (id int) PARTITION BY LIST (id);
CREATE TABLE safe_part_1 PARTITION OF safe_part FOR VALUES IN (1);
INSERT INTO safe_parent VALUES (1);
INSERT INTO safe_child VALUES (1, 1);
SELECT safe_try('DELETE FROM safe_parent', true);
SELECT count(*) FROM safe_child;
CREATE TRIGGER safe_audit AFTER DELETE ON safe_child FOR EACH STATEMENT EXECUTE FUNCTION safe_trigger();
CREATE TRIGGER safe_part_audit BEFORE INSERT ON safe_part_1 FOR EACH ROW EXECUTE FUNCTION safe_trigger();
CREATE FOREIGN DATA WRAPPER safe_fdw;
CREATE SERVER safe_server FOREIGN DATA WRAPPER safe_fdw;
CREATE FOREIGN TABLE safe_foreign (a int) SERVER safe_server;
SELECT q, safe_try(q, true) FROM unnest(ARRAY[
	'DELETE FROM safe_child', 'DELETE FROM safe_parent', 'INSERT INTO safe_child VALUES (2, 1)', 'INSERT INTO safe_parent VALUES (2)',
	'UPDATE safe_child SET id = 2', 'SELECT * FROM safe_child', 'MERGE INTO safe_child c USING safe_parent p ON p.id = c.id WHEN MATCHED THEN DELETE',
	'WITH d AS (DELETE FROM safe_child RETURNING 1) SELECT count(*) FROM d',
	'INSERT INTO safe_part VALUES (1)', 'UPDATE safe_part SET id = 1', 'DELETE FROM safe_part',
	'INSERT INTO safe_foreign VALUES (1)']) AS q;
ALTER TABLE safe_child DISABLE TRIGGER safe_audit;
SELECT safe_try('DELETE FROM safe_parent', true);
ALTER TABLE safe_child ENABLE ALWAYS TRIGGER safe_audit;
SELECT safe_try('DELETE FROM safe_parent', true);
DROP TRIGGER safe_audit ON safe_child;
ALTER TABLE safe_child DROP CONSTRAINT safe_child_parent_fkey,
	ADD FOREIGN KEY (parent) REFERENCES safe_parent ON DELETE SET DEFAULT;
SELECT safe_try('DELETE FROM safe_parent', true);
CREATE VIEW safe_instead AS SELECT id FROM safe_parent GROUP BY id;
CREATE TRIGGER safe_instead_of INSTEAD OF INSERT ON safe_instead FOR EACH ROW EXECUTE FUNCTION safe_trigger();
SELECT safe_try('INSERT INTO safe_instead VALUES (5)', true);

-- a read-only transaction stays one
BEGIN READ ONLY;
SELECT safe_try('DELETE FROM safe_child'), safe_try('SELECT * FROM safe_child', true), safe_try('DELETE FROM safe_child', true);
COMMIT;

-- the caller's rights and the caller's names
CREATE ROLE regress_explain_reader;
CREATE TABLE safe_secret (a int, owner name);
INSERT INTO safe_secret VALUES (1, 'regress_explain_reader'), (2, 'other'), (3, 'other');
SET ROLE regress_explain_reader;
SELECT safe_try('SELECT * FROM safe_secret'), safe_try('SELECT * FROM safe_secret', true);
SELECT safe_try('SELECT 1', true), (SELECT count(*) FROM dbutil.findings('SELECT 1')) AS findings;
RESET ROLE;
ALTER TABLE safe_secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY safe_policy ON safe_secret USING (owner = current_user);
GRANT SELECT ON safe_secret TO regress_explain_reader;
SET ROLE regress_explain_reader;
SELECT r #> '{totals,actual_rows}' AS rows_seen FROM dbutil.analyze_query('SELECT * FROM safe_secret', run => true) r;
SELECT safe_try('DELETE FROM safe_secret', true);
RESET ROLE;
DROP POLICY safe_policy ON safe_secret;
CREATE POLICY safe_policy ON safe_secret USING (safe_vol(a) > 0);
SET ROLE regress_explain_reader;
SELECT safe_try('SELECT * FROM safe_secret', true);
RESET ROLE;
CREATE SCHEMA safe_other;
CREATE TABLE safe_other.safe_t (other int);
SET search_path = safe_other, public;
SELECT dbutil.analyze_query('SELECT * FROM safe_t') #>> '{plan,0,Plan,Schema}' AS resolved_in;
RESET search_path;

DROP SCHEMA safe_other CASCADE;
DROP OWNED BY regress_explain_reader;
DROP ROLE regress_explain_reader;
DROP FOREIGN DATA WRAPPER safe_fdw CASCADE;
DROP VIEW safe_view, safe_instead;
DROP TABLE safe_secret, safe_child, safe_parent, safe_part, safe_check, safe_default, safe_identity, safe_t;
DROP OPERATOR ### (NONE, int);
DROP DOMAIN safe_domain;
DROP AGGREGATE safe_agg(int);
DROP FUNCTION safe_vol(int), safe_stable(int), safe_state(int, int), safe_trigger(), safe_nested(), safe_try(text, bool, interval);
