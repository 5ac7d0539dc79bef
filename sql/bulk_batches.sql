-- Procedures that commit chunk by chunk.
\set SHOW_CONTEXT never
CREATE SCHEMA bulk_batches_test;
SET search_path = bulk_batches_test;
\pset format unaligned
-- counters of a job, and each once in the sum
CREATE FUNCTION counts(r dbutil.bulk_result) RETURNS text
LANGUAGE sql RETURN format('%s in %s: inserted %s, updated %s, unchanged %s, deleted %s, conflicts %s, missing %s, suppressed %s, rejected %s; chunks %s, complete %s',
	r.op, r.rows_in, r.inserted, r.updated, r.unchanged, r.deleted, r.conflicts, r.missing, r.suppressed, r.rejected, r.chunks, r.complete);
CREATE FUNCTION job(name text, OUT state text, OUT rows_in bigint, OUT chunks bigint, OUT cursor_key text[], OUT last_error text)
RETURNS record LANGUAGE sql AS 'SELECT state, rows_in, chunks, cursor_key, last_error FROM dbutil.bulk_jobs WHERE job = name';
CREATE TABLE source (id int PRIMARY KEY, name text, amount numeric);
INSERT INTO source SELECT g * 7, 'n' || g, g / 10.0 FROM generate_series(1, 1000) g;
CREATE TABLE target (id bigint PRIMARY KEY, name varchar(5) NOT NULL, amount numeric(6,2) CHECK (amount < 90), made text DEFAULT 'now');

-- insert: what would be, what is, and nothing the second time
CALL dbutil.bulk_insert_batches('target', 'source', job => 'i', chunk_rows => 300, chunk_target_ms => NULL, on_error => 'reject', dry_run => true) \gset
SELECT counts(:'result');
SELECT count(*) FROM target;
SELECT count(*) FROM dbutil.bulk_jobs WHERE job = 'i';
CALL dbutil.bulk_insert_batches('target', 'source', job => 'i', chunk_rows => 300, chunk_target_ms => NULL, on_error => 'reject') \gset
SELECT counts(:'result');
CALL dbutil.bulk_insert_batches('target', 'source', job => 'i', chunk_rows => 300, chunk_target_ms => NULL, on_error => 'reject') \gset
SELECT counts(:'result');
SELECT * FROM job('i');
SELECT count(*), sum(amount) FROM target;
SELECT chunk, min(ord), max(ord), count(*), min(constraint_name) FROM dbutil.bulk_rejects WHERE job = 'i' GROUP BY 1;
SELECT dbutil.bulk_forget('i');
-- only as many errors; then on, with what is committed
TRUNCATE target;
CALL dbutil.bulk_insert_batches('target', 'source', job => 'i', chunk_rows => 400, chunk_target_ms => NULL, on_error => 'reject', max_errors => 10) \gset
SELECT counts(:'result');
SELECT * FROM job('i');
SELECT dbutil.bulk_forget('i');
-- an error ends the call; the chunks before it stay; mended, it goes on
TRUNCATE target;
CALL dbutil.bulk_insert_batches('target', 'source', job => 'i', chunk_rows => 400, chunk_target_ms => NULL);
SELECT * FROM job('i');
SELECT count(*) FROM target;
ALTER TABLE target DROP CONSTRAINT target_amount_check;
CALL dbutil.bulk_insert_batches('target', 'source', job => 'i', chunk_rows => 400, chunk_target_ms => NULL) \gset
SELECT counts(:'result');
SELECT count(*), count(DISTINCT id) FROM target;
-- the same job is the same work
CALL dbutil.bulk_insert_batches('target', 'source', job => 'i', where_clause => 'id > 5');
-- columns by a map, rows by a condition, upserts
CALL dbutil.bulk_insert_batches('target', 'source', job => 'm', column_map => '{"id": "id", "name": "name", "made": "name"}',
	where_clause => 'source.id % 2 = 0 OR name = ''n1'' -- or what', on_conflict => 'update', update_columns => '{made}', chunk_rows => 200) \gset
SELECT counts(:'result');
SELECT made, count(*) FROM target WHERE id < 50 GROUP BY 1 ORDER BY 1;
CALL dbutil.bulk_insert_batches('target', 'source', on_conflict => 'nothing') \gset
SELECT counts(:'result');

-- keys of several columns, in any type, with gaps, and a cursor that any session can read
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE wide (a text COLLATE "C", b mood, c timestamptz, d float8, v int, PRIMARY KEY (a, b, c, d));
INSERT INTO wide SELECT chr(97 + g % 3), (enum_range(NULL::mood))[1 + g % 2], timestamptz '2020-02-03 04:05:06.789 UTC' + g * interval '1.3 days', 1.0 / g, g FROM generate_series(1, 50) g;
CREATE TABLE wide2 (LIKE wide INCLUDING ALL);
SET datestyle = 'German'; SET extra_float_digits = -10; SET timezone = 'Asia/Tokyo';
CALL dbutil.bulk_insert_batches('wide2', 'wide', job => 'w', chunk_rows => 7, chunk_target_ms => NULL) \gset
SELECT counts(:'result');
RESET datestyle; RESET extra_float_digits; RESET timezone;
SELECT count(*) FROM (TABLE wide EXCEPT TABLE wide2) x;

-- update: each row once, although the condition stays true and rows move
CREATE TABLE acc (id int PRIMARY KEY, k int NOT NULL UNIQUE, n int NOT NULL DEFAULT 0, shape int, "order" int);
INSERT INTO acc SELECT g, 1000 - g FROM generate_series(1, 500) g;
CALL dbutil.bulk_update_batches('acc', 'n = acc.n + 1, shape = id, "order" = 3', 'n >= 0', job => 'u', chunk_rows => 60, chunk_target_ms => NULL) \gset
SELECT counts(:'result');
CALL dbutil.bulk_update_batches('acc', 'n = n + (SELECT 1)', 'shape <= 100', key => '{k}', chunk_rows => 60, chunk_target_ms => NULL) \gset
SELECT counts(:'result');
SELECT n, count(*), sum(shape) FROM acc GROUP BY n ORDER BY n;
CALL dbutil.bulk_update_batches('acc', 'n = 0', dry_run => true, chunk_rows => 200) \gset
SELECT counts(:'result');
-- delete, into an archive
CREATE TABLE old (made timestamptz DEFAULT now(), LIKE acc);
CALL dbutil.bulk_delete_batches('acc', 'id % 2 = 0', archive_to => 'old', chunk_rows => 60, chunk_target_ms => NULL) \gset
SELECT counts(:'result');
SELECT (SELECT count(*) FROM acc), count(*), sum(id) FROM old;
-- partitioned, with other column orders
CREATE TABLE part (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part2 (v text, k int NOT NULL, id int NOT NULL);
ALTER TABLE part ATTACH PARTITION part2 FOR VALUES IN (2);
INSERT INTO part SELECT g, 1 + g % 2, 'v' FROM generate_series(1, 100) g;
CALL dbutil.bulk_update_batches('part', 'v = v || k', chunk_rows => 30, chunk_target_ms => NULL) \gset
SELECT counts(:'result');
CALL dbutil.bulk_delete_batches('part', 'v = ''v1''', chunk_rows => 30, chunk_target_ms => NULL) \gset
SELECT counts(:'result');
SELECT v, count(*) FROM part GROUP BY v;
-- rows that a trigger keeps
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE DELETE ON acc FOR EACH ROW WHEN (OLD.id < 10) EXECUTE FUNCTION keep();
CALL dbutil.bulk_delete_batches('acc', 'id < 50', chunk_rows => 10, chunk_target_ms => NULL) \gset
SELECT counts(:'result');
-- nothing to do
CALL dbutil.bulk_delete_batches('acc', 'false', job => 'none') \gset
SELECT counts(:'result');
SELECT * FROM job('none');
-- deferred constraints are asked before each commit, so that they reject as well
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent VALUES (1), (2);
CREATE TABLE child_source (id int PRIMARY KEY, p int);
INSERT INTO child_source VALUES (1, 1), (2, 9), (3, 2), (4, 1);
CREATE TABLE child (id int UNIQUE DEFERRABLE INITIALLY DEFERRED, p int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
INSERT INTO child VALUES (3, 1);
CALL dbutil.bulk_insert_batches('child', 'child_source', job => 'c', on_error => 'reject') \gset
SELECT counts(:'result');
SELECT ord, sqlstate, constraint_name, row_data FROM dbutil.bulk_rejects WHERE job = 'c' ORDER BY ord;
CALL dbutil.bulk_insert_batches('child', 'child_source', job => 'c2');
SELECT * FROM job('c2');
SELECT * FROM child ORDER BY id;
-- stopped by its time, it goes on
CALL dbutil.bulk_update_batches('acc', 'n = n + 10', job => 's', max_duration => '0', chunk_rows => 10) \gset
SELECT counts(:'result');
SELECT * FROM job('s');
SELECT job, state, rows_done, rows_expected > 0 AS expects, waiting_on FROM dbutil.bulk_progress WHERE job = 's';
CALL dbutil.bulk_update_batches('acc', 'n = n + 10', job => 's', chunk_rows => 10, chunk_target_ms => NULL) \gset
SELECT counts(:'result');

-- where it cannot commit
BEGIN;
CALL dbutil.bulk_delete_batches('acc', 'true');
ROLLBACK;
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ DECLARE r dbutil.bulk_result; BEGIN CALL dbutil.bulk_delete_batches('acc', 'true', result => r); END $$;
SELECT f();
CREATE PROCEDURE p() LANGUAGE plpgsql SET work_mem = '4MB' AS $$ DECLARE r dbutil.bulk_result; BEGIN CALL dbutil.bulk_delete_batches('acc', 'true', result => r); END $$;
CALL p();
-- and where it can
DO $$ DECLARE r dbutil.bulk_result; BEGIN CALL dbutil.bulk_delete_batches('acc', 'id > 450', result => r); RAISE NOTICE '% deleted', r.deleted; END $$;
-- bad arguments: one error each, and no job
\set VERBOSITY default
CALL dbutil.bulk_delete_batches('acc', 'true) OR (true');
CALL dbutil.bulk_delete_batches('acc', 'true FROM acc');
CALL dbutil.bulk_delete_batches('acc', 'true; DELETE FROM acc');
CALL dbutil.bulk_delete_batches('acc', 'true /* ');
CALL dbutil.bulk_delete_batches('acc', 'true, false');
CALL dbutil.bulk_delete_batches('acc', 'true AS x');
CALL dbutil.bulk_delete_batches('acc', '*');
CALL dbutil.bulk_delete_batches('acc', '');
CALL dbutil.bulk_delete_batches('acc', NULL);
CALL dbutil.bulk_delete_batches('acc', 'nix > 1', job => 'bad');
CALL dbutil.bulk_delete_batches('acc', 'id');
CALL dbutil.bulk_delete_batches('acc', 'id = 1', key => '{nn}');
CALL dbutil.bulk_delete_batches('acc', 'id = 1', key => '{n}');
CALL dbutil.bulk_delete_batches('old', 'true');
CALL dbutil.bulk_delete_batches('acc', 'id = 1', archive_to => 'parent');
CALL dbutil.bulk_update_batches('acc', 'n = 1 WHERE true');
CALL dbutil.bulk_update_batches('acc', 'n = 1 RETURNING id');
CALL dbutil.bulk_update_batches('acc', 'n = 1 FROM parent');
CALL dbutil.bulk_update_batches('acc', 'n = 1; DROP TABLE acc');
CALL dbutil.bulk_update_batches('acc', 'id = 1');
CALL dbutil.bulk_update_batches('acc', '(n, id) = (1, 2)');
CALL dbutil.bulk_update_batches('acc', 'm = 1');
CALL dbutil.bulk_update_batches('acc', 'n = ');
CALL dbutil.bulk_insert_batches('target', 'source', column_map => '{"id": "idd"}');
CALL dbutil.bulk_insert_batches('target', 'source', column_map => '["id"]');
CALL dbutil.bulk_insert_batches('target', 'source', column_map => '{}');
CALL dbutil.bulk_insert_batches('parent', 'source');
CALL dbutil.bulk_insert_batches('target', 'source', chunk_rows => 0);
CALL dbutil.bulk_insert_batches('target', 'source', max_duration => '-1 s');
CALL dbutil.bulk_insert_batches('target', 'source', job => '');
CALL dbutil.bulk_update_batches('acc', 'n = 1', locked => 'no');
SELECT dbutil.bulk_pause('nix');
SELECT dbutil.bulk_forget('nix');
SELECT dbutil.bulk_cancel(NULL);
SELECT dbutil.bulk_resume('i');
SELECT count(*) FROM dbutil.bulk_jobs WHERE state = 'running';

-- rights: the caller's for his texts and rows, his own jobs for the rest
CREATE ROLE regress_bulk_batches;
GRANT USAGE ON SCHEMA bulk_batches_test TO regress_bulk_batches;
CREATE FUNCTION whoami() RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
CREATE TABLE who (id int PRIMARY KEY, name text);
INSERT INTO who VALUES (1), (2);
GRANT SELECT, UPDATE ON who TO regress_bulk_batches;
SET ROLE regress_bulk_batches;
CALL dbutil.bulk_update_batches('who', 'name = whoami()', job => 'mine') \gset
SELECT counts(:'result');
CALL dbutil.bulk_delete_batches('who', 'true');
CALL dbutil.bulk_insert_batches('target', 'source', job => 'i');
SELECT count(*) FROM dbutil.bulk_jobs WHERE owner <> current_user;
SELECT dbutil.bulk_cancel('i');
SELECT dbutil.bulk_forget('i');
SELECT count(*) FROM dbutil.bulk_job_rows;
SELECT dbutil.bulk_forget('mine');
RESET ROLE;
TABLE who;

SET client_min_messages = warning;
DELETE FROM dbutil.bulk_job_rows;
DELETE FROM dbutil.bulk_reject_rows;
DROP SCHEMA bulk_batches_test CASCADE;
DROP ROLE regress_bulk_batches;
