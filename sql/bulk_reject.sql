-- Rows that fail are told one by one, and the others are written.
\set SHOW_CONTEXT never
CREATE SCHEMA bulk_reject_test;
SET search_path = bulk_reject_test;
CREATE FUNCTION counts(r dbutil.bulk_result) RETURNS text
LANGUAGE sql RETURN format('in %s: inserted %s, updated %s, unchanged %s, deleted %s, conflicts %s, missing %s, suppressed %s, rejected %s; first %s %s; subtransactions %s',
	r.rows_in, r.inserted, r.updated, r.unchanged, r.deleted, r.conflicts, r.missing, r.suppressed, r.rejected,
	r.first_error_ord, r.first_sqlstate, coalesce(substring(r.path_reason from '(\d+) subtransaction'), '0'));
-- what was told since it was asked last
CREATE TABLE told_before (job text);
CREATE FUNCTION told(OUT ord bigint, OUT sqlstate text, OUT constraint_name text, OUT column_name text, OUT message text, OUT detail text, OUT row_data jsonb)
RETURNS SETOF record LANGUAGE sql AS $$
	SELECT ord, sqlstate, constraint_name, column_name, message, detail, row_data
	FROM dbutil.bulk_rejects WHERE job NOT IN (SELECT job FROM told_before) ORDER BY ord, sqlstate;
	$$;
CREATE FUNCTION told_all() RETURNS void LANGUAGE sql AS 'INSERT INTO told_before SELECT DISTINCT job FROM dbutil.bulk_rejects';
\pset format unaligned

-- one input with every kind of error
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent SELECT generate_series(1, 3);
CREATE TABLE t (
	id int PRIMARY KEY,
	code text UNIQUE,
	name text NOT NULL DEFAULT 'none',
	amount numeric CHECK (amount < 100),
	ratio int CHECK (100 / ratio > 1),
	size positive,
	parent int REFERENCES parent,
	later int REFERENCES parent DEFERRABLE INITIALLY DEFERRED,
	at int,
	EXCLUDE USING gist (int4range(at, at + 10) WITH &&) WHERE (at IS NOT NULL),
	twice int GENERATED ALWAYS AS (id * 2) STORED CHECK (twice <> 26),
	no serial);
CREATE FUNCTION grumble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.name = 'bad' THEN
		RAISE EXCEPTION 'no bad names' USING ERRCODE = 'UB001', DETAIL = 'It is bad.', CONSTRAINT = 'names', COLUMN = 'name';
	END IF;
	RETURN NULL; END $$;
CREATE TRIGGER grumble AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION grumble();
INSERT INTO t (id, code, at) VALUES (1, 'one', 1);
CREATE TABLE input (ord serial, r jsonb);
INSERT INTO input (r) VALUES
	('{"id": 2}'), ('{"id": "x"}'), ('{"id": 3, "name": null}'), ('{"id": 4, "amount": 100}'), ('{"id": 1}'),
	('{"id": 5, "code": "one"}'), ('{"id": 2}'), ('{"id": 6, "code": "six"}'), ('{"id": 7, "code": "six"}'),
	('{"id": 8, "ratio": 0}'), ('{"id": 9, "size": -1}'), ('{"id": 10, "parent": 4}'), ('{"id": 11, "parent": 3, "later": 2}'),
	('{"id": 12, "at": 5}'), ('{"id": 13}'), ('{"id": 14, "name": "bad"}'), ('3'), ('null'), ('{"id": null}'),
	('{"id": 15, "at": 31}'), ('{"id": 16, "at": 35}'), ('{"id": 17, "amount": "1e"}'), ('{"id": 18}');
SELECT counts(r) FROM dbutil.bulk_insert('t', (SELECT jsonb_agg(input.r ORDER BY ord) FROM input), on_error => 'reject', chunk_rows => 100) r;
SELECT * FROM told();
SELECT told_all();
SELECT id, code, name, parent, later, at FROM t ORDER BY id;
-- the same one by one: what plain SQL says to each row
DELETE FROM t WHERE id > 1;
CREATE FUNCTION plainly() RETURNS TABLE (ord bigint, sqlstate text, constraint_name text, column_name text) LANGUAGE plpgsql AS $$
DECLARE i record; BEGIN
	FOR i IN SELECT * FROM input ORDER BY input.ord LOOP
		BEGIN
			PERFORM dbutil.bulk_insert('t', jsonb_build_array(i.r));
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS constraint_name = CONSTRAINT_NAME, column_name = COLUMN_NAME;
			ord := i.ord; plainly.sqlstate := SQLSTATE;
			RETURN NEXT;
		END;
	END LOOP; END $$;
CREATE TABLE plain AS SELECT * FROM plainly();
DELETE FROM t WHERE id > 1;
SELECT counts(r) FROM dbutil.bulk_insert('t', (SELECT jsonb_agg(input.r ORDER BY ord) FROM input), on_error => 'reject', chunk_rows => 4) r;
-- names of columns are told in reading, where plain SQL has none
SELECT 'plain', ord, sqlstate, constraint_name FROM (
	SELECT ord, sqlstate, nullif(constraint_name, '') AS constraint_name FROM plain
	EXCEPT SELECT ord, sqlstate, constraint_name FROM told()) x
UNION ALL SELECT 'told', ord, sqlstate, constraint_name FROM (
	SELECT ord, sqlstate, constraint_name FROM told()
	EXCEPT SELECT ord, sqlstate, nullif(constraint_name, '') FROM plain) x;
SELECT told_all();

-- two identifiers a chunk for what can be judged, however many rows are bad: from composites, in two chunks
CREATE TABLE j (id int PRIMARY KEY, k int UNIQUE, c int CHECK (c > 0), n int NOT NULL, p int REFERENCES parent);
CREATE TYPE jrow AS (id numeric, k int, c int, n int, p int);
SELECT counts(r) FROM dbutil.bulk_insert('j', (SELECT array_agg(ROW(
	CASE WHEN g % 10 = 1 THEN 1e10 ELSE g END, CASE WHEN g % 10 = 2 THEN 2 ELSE g END, CASE WHEN g % 10 = 3 THEN 0 ELSE 1 END,
	CASE WHEN g % 10 <> 4 THEN 1 END, CASE WHEN g % 10 = 5 THEN 9 ELSE 1 END)::jrow) FROM generate_series(1, 2000) g), on_error => 'reject', chunk_rows => 1000) r;
SELECT sqlstate, constraint_name, column_name, count(*), min(ord) FROM told() GROUP BY 1, 2, 3 ORDER BY 1, 2;
SELECT told_all();
SELECT count(*) FROM j;

-- what is judged depends on nothing that only the write knows; a chunk of good rows is one subtransaction
CREATE TABLE serials (id serial PRIMARY KEY, ident int GENERATED ALWAYS AS IDENTITY, r float DEFAULT random() CHECK (r < 2), v int NOT NULL);
SELECT counts(r) FROM dbutil.bulk_insert('serials', '[{"v": 1}, {"v": null}, {"v": 2}]', on_error => 'reject') r;
SELECT counts(r) FROM dbutil.bulk_insert('serials', '[{"v": 3}, {"v": 4}]', on_error => 'reject') r;
SELECT sqlstate, column_name, detail, row_data FROM told();
SELECT told_all();

-- rows that refer to each other, and to a bad one
CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree, v int CHECK (v > 0));
SELECT counts(r) FROM dbutil.bulk_insert('tree', '[{"id": 1, "up": 2}, {"id": 2, "up": null}, {"id": 3, "up": 4}, {"id": 4, "up": 5}, {"id": 5, "up": 6}, {"id": 7, "up": 1, "v": 0}, {"id": 8, "up": 7}]', on_error => 'reject') r;
SELECT ord, sqlstate, message, detail FROM told();
SELECT told_all();

-- upserts
CREATE TABLE u (id int PRIMARY KEY, email text UNIQUE, v int CHECK (v > 0));
INSERT INTO u VALUES (1, 'a', 1), (2, 'b', 1);
SELECT counts(r) FROM dbutil.bulk_insert('u', '[{"id": 1, "email": "a", "v": 2}, {"id": 2, "email": "a", "v": 2}, {"id": 3, "email": "b", "v": 1}, {"id": 4, "email": "d", "v": 0}, {"id": 5, "email": "e", "v": 1}, {"id": 5, "email": "f", "v": 1}]', on_conflict => 'update', on_error => 'reject') r;
SELECT ord, sqlstate, constraint_name, message, detail FROM told();
SELECT told_all();
SELECT * FROM u ORDER BY id;
SELECT counts(r) FROM dbutil.bulk_insert('u', '[{"id": 1, "email": "b", "v": 2}, {"id": 6, "email": "b", "v": 2}, {"id": 7, "email": "g", "v": 1}]', on_conflict => 'nothing', conflict_columns => '{id}', on_error => 'reject') r;
SELECT ord, sqlstate, constraint_name FROM told();
SELECT told_all();
-- conflicts only: other errors end the call
SELECT counts(r) FROM dbutil.bulk_insert('u', '[{"id": 1, "email": "z", "v": 2}, {"id": 8, "email": "g", "v": 2}, {"id": 9, "email": "h", "v": 1}, {"id": 9, "email": "i", "v": 1}]', on_conflict => 'reject') r;
SELECT ord, sqlstate, constraint_name FROM told();
SELECT told_all();
SELECT counts(r) FROM dbutil.bulk_insert('u', '[{"id": 1}, {"id": 10, "v": 0}]', on_conflict => 'reject') r;
SELECT counts(r) FROM dbutil.bulk_insert('u', '[{"id": 1}, {"id": "x"}]', on_conflict => 'reject') r;

-- update
SELECT counts(r) FROM dbutil.bulk_update('u', '[{"id": 1, "v": 7}, {"id": 2, "v": 0}, {"id": "x", "v": 1}, {"id": null, "v": 1}, {"v": 1}, {"id": 3, "email": "a"}, {"id": 5, "email": "a"}, {"id": 99, "v": 1}, {"id": 1, "v": 8}]', on_error => 'reject', missing => 'error') r;
SELECT * FROM told();
SELECT told_all();
SELECT counts(r) FROM dbutil.bulk_update('u', '[{"id": 1, "v": 9}, {"id": 99, "v": 1}]', missing => 'reject') r;
SELECT * FROM told();
SELECT told_all();
SELECT * FROM u ORDER BY id;

-- an update is judged with the rows it finds: two subtransactions, whatever the number of bad rows
CREATE TABLE w (id int PRIMARY KEY, k int UNIQUE, a int NOT NULL, b int, CHECK (a < b), p int REFERENCES parent, twice int GENERATED ALWAYS AS (a * 2) STORED CHECK (twice <> 8));
INSERT INTO w SELECT g, g, 1, 5 FROM generate_series(1, 40) g;
SELECT counts(r) FROM dbutil.bulk_update('w', '[{"id": 1, "a": 2}, {"id": 2, "a": 5}, {"id": 3, "a": null}, {"id": 4, "a": 4}, {"id": 5, "a": 3}, {"id": 99, "a": 9}]', on_error => 'reject') r;
SELECT ord, sqlstate, constraint_name, column_name, detail FROM told();
SELECT told_all();
-- values that move on: each is free once the row before has left it, and not before
SELECT counts(r) FROM dbutil.bulk_update('w', '[{"id": 10, "k": 11}, {"id": 20, "k": 120}, {"id": 21, "k": 20}, {"id": 22, "k": 120}, {"id": 23, "k": 23}, {"id": 24, "k": null}, {"id": 25, "k": 24}]', on_error => 'reject') r;
SELECT ord, sqlstate, constraint_name, detail FROM told();
SELECT told_all();
SELECT id, k FROM w WHERE id <> k OR k IS NULL ORDER BY id;
-- foreign keys of rows that are there
SELECT counts(r) FROM dbutil.bulk_update('w', '[{"id": 30, "p": 1}, {"id": 31, "p": 9}, {"id": 98, "p": 9}, {"id": 32, "p": null}]', on_error => 'reject') r;
SELECT counts(r) FROM dbutil.bulk_update('w', '[{"id": 30, "p": null, "b": 0}, {"id": 31, "p": 9, "b": 3}]', nulls => 'keep', on_error => 'reject') r;
SELECT ord, sqlstate, constraint_name, detail FROM told();
SELECT told_all();

-- delete
INSERT INTO j VALUES (-1, -1, 1, 1, 2);
SELECT counts(r) FROM dbutil.bulk_delete('parent', '[3, 2, "x", 7, null, [1]]', on_error => 'reject', missing => 'reject') r;
SELECT * FROM told();
SELECT told_all();

-- a view with a check option, policies, partitions
CREATE VIEW v AS SELECT id, v FROM u WHERE v < 50 WITH CHECK OPTION;
SELECT counts(r) FROM dbutil.bulk_insert('v', '[{"id": 20, "v": 1}, {"id": 21, "v": 60}, {"id": 22, "v": 0}, {"id": 23, "v": 1}]', on_error => 'reject') r;
SELECT ord, sqlstate, constraint_name, message FROM told();
SELECT told_all();
CREATE TABLE part (id int, k int NOT NULL, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE part1 (k int NOT NULL, extra int DEFAULT 1, id int NOT NULL);
ALTER TABLE part1 DROP COLUMN extra;
ALTER TABLE part ATTACH PARTITION part1 FOR VALUES IN (1);
SELECT counts(r) FROM dbutil.bulk_insert('part', '[{"id": 1, "k": 1}, {"id": 2, "k": 2}, {"id": 1, "k": 1}, {"id": 3, "k": null}, {"id": 4, "k": 1}]', on_error => 'reject') r;
SELECT ord, sqlstate, constraint_name, column_name, message FROM told();
SELECT told_all();
SELECT * FROM part ORDER BY 1;

-- plain values, and records
CREATE TABLE one (id int PRIMARY KEY);
SELECT counts(r) FROM dbutil.bulk_insert('one', ARRAY[1, 1e10, 2, NULL, 1], columns => '{id}', on_error => 'reject') r;
SELECT counts(r) FROM dbutil.bulk_insert('one', ARRAY[ROW('5'), ROW('y')], on_error => 'reject') r;
SELECT * FROM told();
SELECT told_all();

-- limits: what came before is taken back, and told in the error
SELECT counts(r) FROM dbutil.bulk_insert('one', ARRAY[7, 1e10, 2e10, 3e10, 4e10], columns => '{id}', on_error => 'reject', max_errors => 3) r;
SELECT count(*) FROM told();
SELECT told_all();
\set SHOW_CONTEXT never
SELECT counts(r) FROM dbutil.bulk_insert('one', ARRAY[8, 1e10, 8, 2e10, 3e10], columns => '{id}', on_error => 'reject', max_errors => 3, chunk_rows => 2) r;
SELECT count(*) FROM told();
SELECT count(*) FROM one WHERE id = 8;
-- what is nobody's fault, or the caller's, is raised
SELECT dbutil.bulk_insert('one', '[{"id": 8, "nix": 1}]', on_error => 'reject');
SELECT dbutil.bulk_insert('u', '[{"id": 100, "v": 1}]', on_conflict => 'update', conflict_columns => '{v}', on_error => 'reject');
BEGIN READ ONLY;
SELECT dbutil.bulk_insert('one', '[{"id": 8}]', on_error => 'reject');
ROLLBACK;
CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE deadlock_detected; END $$;
CREATE TRIGGER deadlock BEFORE INSERT ON one FOR EACH ROW WHEN (NEW.id = 50) EXECUTE FUNCTION deadlock();
SELECT dbutil.bulk_insert('one', '[{"id": 49}, {"id": 50}]', on_error => 'reject');
-- and leaves no subtransaction of ours open, for whoever catches it
DO $$ BEGIN
	INSERT INTO one VALUES (60);
	BEGIN
		PERFORM dbutil.bulk_insert('one', '[{"id": 61}, {"nix": 1}]', on_error => 'reject');
	EXCEPTION WHEN undefined_column THEN
		INSERT INTO one VALUES (62);
	END;
	BEGIN
		PERFORM dbutil.bulk_delete('one', '[64, 64]', missing => 'reject');
	EXCEPTION WHEN cardinality_violation THEN
		INSERT INTO one VALUES (65);
	END;
	INSERT INTO one VALUES (63);
END $$;
SELECT array_agg(id ORDER BY id) FROM one WHERE id BETWEEN 49 AND 69;

-- dry runs tell what is found by judging, and write nothing
SELECT counts(r), r.complete FROM dbutil.bulk_insert('j', '[{"id": "x"}, {"id": -2, "c": 0, "n": 1}, {"id": -2, "n": 1}, {"id": -2, "n": 1}]', on_error => 'reject', max_errors => 2, dry_run => true) r;
SELECT count(*) FROM told();
-- a table of one's own
CREATE TABLE mine (LIKE dbutil.bulk_rejects);
SELECT counts(r) FROM dbutil.bulk_insert('one', ARRAY[1e10, 70], columns => '{id}', on_error => 'reject', reject_to => 'mine') r;
SELECT chunk, ord, sqlstate, column_name, message, row_data FROM mine;
SELECT count(*) FROM told();
SELECT dbutil.bulk_insert('one', '[]', on_error => 'reject', reject_to => 'one');
SELECT dbutil.bulk_insert('one', '[]', reject_to => 'mine');
SELECT dbutil.bulk_insert('one', '[]', max_errors => 1);
SELECT dbutil.bulk_insert('one', '[]', max_errors => -1, on_error => 'reject');
SELECT dbutil.bulk_insert('one', '[]', on_error => 'ignore');

-- each role sees its own
CREATE ROLE regress_bulk_reject;
GRANT USAGE ON SCHEMA bulk_reject_test TO regress_bulk_reject;
GRANT INSERT (id, v) ON u TO regress_bulk_reject;
SET ROLE regress_bulk_reject;
SELECT counts(r) FROM dbutil.bulk_insert('u', '[{"id": 200, "v": 0}, {"id": 201, "v": 1}]', on_error => 'reject') r;
SELECT ord, sqlstate, constraint_name, detail, row_data FROM dbutil.bulk_rejects;
SELECT count(*) FROM dbutil.bulk_reject_rows;
SELECT dbutil.bulk_insert('parent', '[{"id": 200}]', on_error => 'reject');
SELECT counts(r) FROM dbutil.bulk_insert('u', '[{"id": 202}]', on_error => 'reject', reject_to => 'mine') r;
SELECT dbutil.bulk_insert('u', '[{"id": 202, "v": 0}]', on_error => 'reject', reject_to => 'mine');
RESET ROLE;
-- a foreign key is read as the referenced table's owner
GRANT INSERT ON tree TO regress_bulk_reject;
SET ROLE regress_bulk_reject;
SELECT counts(r) FROM dbutil.bulk_insert('tree', '[{"id": 300, "up": 1}, {"id": 301, "up": 999}]', on_error => 'reject') r;
RESET ROLE;

SET client_min_messages = warning;
DELETE FROM dbutil.bulk_reject_rows;
DROP SCHEMA bulk_reject_test CASCADE;
DROP ROLE regress_bulk_reject;
