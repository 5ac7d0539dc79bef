-- Inserts without a statement: where they may be done, and that nobody can tell but by the time it takes.
\set VERBOSITY terse
CREATE ROLE regress_bulk_direct;
CREATE SCHEMA bulk_direct_test;
GRANT USAGE ON SCHEMA bulk_direct_test TO regress_bulk_direct;
SET search_path = bulk_direct_test;
CREATE FUNCTION route(target regclass, options jsonb = '{}') RETURNS text
LANGUAGE sql RETURN (SELECT format('%s: %s', e ->> 'route', e ->> 'reason') FROM dbutil.bulk_explain('insert', target, options) e);
-- A call by either route: what it answers or how it fails, and what is in the table then. Taken back.
CREATE FUNCTION outcome(route text, call text, result text, OUT path text, OUT told text) LANGUAGE plpgsql AS $$
DECLARE state text; message text; detail text; con text; col text; tab text; nsp text; n bigint;
BEGIN
	PERFORM set_config('dbutil.bulk_route', route, true);
	BEGIN
		EXECUTE 'SELECT path, rows_in, inserted FROM dbutil.' || call INTO path, n, told;
		told = format('%s of %s: ', told, n);
		SET CONSTRAINTS ALL IMMEDIATE;
		EXECUTE 'SELECT $1 || coalesce((' || result || '), '''')' USING told INTO told;
		RAISE EXCEPTION SQLSTATE 'UNDOX';
	EXCEPTION WHEN SQLSTATE 'UNDOX' THEN NULL;
		WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
				con = CONSTRAINT_NAME, col = COLUMN_NAME, tab = TABLE_NAME, nsp = SCHEMA_NAME;
			told = concat_ws('|', state, message, detail, con, col, tab, nsp);
	END;
	PERFORM set_config('dbutil.bulk_route', 'auto', true);
END $$;
-- the route is taken, and tells the same
CREATE FUNCTION same(call text, result text = 'NULL') RETURNS text LANGUAGE plpgsql AS $$
DECLARE a record; b record;
BEGIN
	a = outcome('auto', call, result);
	b = outcome('spi', call, result);
	IF a.path <> 'direct' OR b.path <> 'spi' THEN RETURN format('PATHS %s %s', a.path, b.path); END IF;
	IF a.told IS DISTINCT FROM b.told THEN RETURN format(E'DIFFERENT %s\n%s', a.told, b.told); END IF;
	RETURN a.told;
END $$;

-- where it may be done
CREATE TABLE plain (id int PRIMARY KEY, v text NOT NULL DEFAULT 'd', n int CHECK (n > 0));
SELECT route('plain');
SELECT route('plain', '{"on_conflict": "update"}');
SELECT route('plain', '{"on_conflict": "nothing"}');
SELECT route('plain', '{"on_conflict": "nothing", "conflict_columns": ["id"]}');
SELECT route('plain', '{"dry_run": true}');
SET dbutil.bulk_route = spi;
SELECT route('plain');
SET dbutil.bulk_route = direct;
RESET dbutil.bulk_route;
CREATE VIEW a_view AS SELECT * FROM plain;
CREATE TABLE parted (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parted FOR VALUES FROM (1) TO (100);
CREATE TABLE generated (id int, twice int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE deferred (id int UNIQUE DEFERRABLE);
CREATE TABLE secured (id int);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON secured USING (id < 10);
GRANT INSERT, SELECT ON secured TO regress_bulk_direct;
CREATE TABLE ruled (id int);
CREATE RULE r AS ON INSERT TO ruled DO ALSO SELECT 1;
CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE before (id int);
CREATE TRIGGER b BEFORE INSERT ON before FOR EACH ROW EXECUTE FUNCTION pass();
CREATE TABLE transition (id int);
CREATE TRIGGER b AFTER INSERT ON transition REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION pass();
CREATE TABLE looks (id int, n int);
CREATE FUNCTION seen() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM looks); END';
ALTER TABLE looks ALTER n SET DEFAULT seen();
CREATE TABLE looks_checked (id int, CHECK (seen() >= 0));
CREATE TABLE heavy (id int, q tsquery);
CREATE TABLE copied (LIKE plain INCLUDING ALL);
CREATE TEMP TABLE fleeting (id serial);
SELECT t, route(t) FROM unnest('{a_view,parted,part,generated,deferred,ruled,before,transition,looks,looks_checked,heavy,copied,fleeting,pg_class}'::regclass[]) WITH ORDINALITY AS u(t, n) ORDER BY n;
SET ROLE regress_bulk_direct;
SELECT route('secured');
RESET ROLE;
SELECT path, inserted FROM dbutil.bulk_insert('looks', '[{"id": 1}, {"id": 2}, {"id": 3}]');
SELECT * FROM looks ORDER BY id;
-- rows of other columns may go another way; the slower one is told
SELECT path, path_reason FROM dbutil.bulk_insert('looks', '[{"id": 4, "n": 4}]');
SELECT path, path_reason FROM dbutil.bulk_insert('looks', '[{"id": 5, "n": 5}, {"id": 6}]');
SELECT path, inserted FROM dbutil.bulk_insert('plain', '[]');

-- the first bad row of the input is told, whatever is wrong with it
SELECT same($$bulk_insert('plain', '[{"id": 1, "n": 1}, {"id": 2}, {"id": 1}, {"id": 3, "n": 0}, {"id": 4, "v": null}]')$$);
SELECT same($$bulk_insert('plain', '[{"id": 1, "n": 1}, {"id": 3, "n": 0}, {"id": 1}, {"id": 4, "v": null}]')$$);
SELECT same($$bulk_insert('plain', '[{"id": 1, "n": 1, "v": "x"}, {"id": 4, "v": null, "n": 0}, {"id": 1, "v": "y"}]')$$);
SELECT same($$bulk_insert('plain', (SELECT array_agg(ROW(CASE g WHEN 3100 THEN 3000 ELSE g END, 'x', CASE g WHEN 3101 THEN 0 ELSE 1 END)::plain) FROM generate_series(1, 4000) g))$$);
SELECT same($$bulk_insert('plain', (SELECT array_agg(ROW(CASE g WHEN 3100 THEN 3000 ELSE g END, 'x', CASE g WHEN 3099 THEN 0 ELSE 1 END)::plain) FROM generate_series(1, 4000) g))$$);
SELECT same($$bulk_insert('part', '[{"id": 1}, {"id": 100}]')$$, 'SELECT count(*)::text FROM parted');
SELECT same($$bulk_insert('part', '[{"id": 1}, {"id": 99}]')$$, 'SELECT count(*)::text FROM parted');
\set SHOW_CONTEXT always
\set VERBOSITY default
SELECT dbutil.bulk_insert('plain', '[{"id": 1}, {"id": 2, "n": 0}]');
\set SHOW_CONTEXT errors
\set VERBOSITY terse

-- many rows, of which the store of the batch keeps some on disk; values that are moved out of line
SET work_mem = '64kB';
CREATE TABLE wide (id int PRIMARY KEY, a text, gone int, b text, c numeric DEFAULT 1.5, d timestamptz DEFAULT now());
ALTER TABLE wide DROP gone;
CREATE INDEX ON wide (lower(a)) WHERE c > 1;
SELECT same($$bulk_insert_query('wide', 'SELECT g AS id, repeat(md5(g::text), g % 90) AS a, nullif(g % 3, 0)::text AS b FROM generate_series(1, 5000) g')$$,
	'SELECT md5(string_agg(concat_ws($$,$$, id, a, b, c, d = now()), $$;$$ ORDER BY id)) FROM wide');
SELECT same($$bulk_insert_columns('wide', '{b,id}', '{}', ARRAY['x', NULL], ARRAY[1, 2])$$, 'SELECT string_agg(id || coalesce(a, $$-$$) || coalesce(b, $$-$$) || c, $$,$$ ORDER BY id) FROM wide');
SELECT same($$bulk_insert_data('wide', convert_to(E'1\tx\n2\t\\N\n', 'UTF8'), 'text', '{"columns": ["id", "a"]}')$$, 'SELECT string_agg(id || coalesce(a, $$-$$), $$,$$ ORDER BY id) FROM wide');
RESET work_mem;
SELECT path, inserted FROM dbutil.bulk_insert('wide', (SELECT array_agg(ROW(g, repeat('y', 5000), NULL)) FROM generate_series(1, 300) g), columns => '{id,a,b}');
SET enable_seqscan = off;
SELECT count(*) FROM wide WHERE lower(a) = repeat('y', 5000) AND c > 1;
RESET enable_seqscan;

-- defaults: numbers in the order of the rows, domains, identity
CREATE DOMAIN filled AS text NOT NULL;
CREATE DOMAIN filled_by_default AS text DEFAULT 'from the domain' NOT NULL;
CREATE SEQUENCE plain_numbers;
CREATE TABLE defaults (id int GENERATED ALWAYS AS IDENTITY, s serial, label text DEFAULT 'n' || nextval('plain_numbers'), f filled_by_default, v int);
SELECT path, inserted FROM dbutil.bulk_insert('defaults', '[{"v": 3}, {"v": 1, "label": "own"}, {"v": 2}, {}]', chunk_rows => 2);
SELECT * FROM defaults ORDER BY id;
CREATE TABLE none (id int, f filled);
SELECT same($$bulk_insert('none', '[{"id": 1}]')$$);

-- triggers and foreign keys: as at the end of a statement
CREATE TABLE log (n serial, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO log (what) VALUES (concat_ws(' ', TG_WHEN, TG_LEVEL, CASE TG_LEVEL WHEN 'ROW' THEN NEW.id END, (SELECT count(*) FROM watched)));
	IF TG_LEVEL = 'ROW' AND NEW.id = 13 THEN RAISE 'unlucky' USING ERRCODE = 'P0013'; END IF;
	RETURN NULL; END $$;
CREATE TABLE watched (id int PRIMARY KEY, parent int REFERENCES watched, excluded int4range, EXCLUDE USING gist (excluded WITH &&));
CREATE TRIGGER a BEFORE INSERT ON watched FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE TRIGGER b AFTER INSERT ON watched FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE TRIGGER c AFTER INSERT ON watched FOR EACH ROW WHEN (NEW.id % 2 = 1) EXECUTE FUNCTION note();
CREATE TRIGGER d AFTER UPDATE OR DELETE ON watched FOR EACH ROW EXECUTE FUNCTION note();
SELECT same($$bulk_insert('watched', '[{"id": 1, "parent": 3}, {"id": 2, "parent": 1}, {"id": 3, "parent": null}]')$$, 'SELECT string_agg(what, $$; $$ ORDER BY n) FROM log');
SELECT same($$bulk_insert('watched', '[]')$$, 'SELECT string_agg(what, $$; $$ ORDER BY n) FROM log');
SELECT same($$bulk_insert('watched', '[{"id": 1}, {"id": 2, "parent": 9}]')$$);
SELECT same($$bulk_insert('watched', '[{"id": 1}, {"id": 13}, {"id": 2, "parent": 9}]')$$);
SELECT same($$bulk_insert('watched', '[{"id": 1, "excluded": "[1,5)"}, {"id": 2, "excluded": "[4,8)"}]')$$);
-- a trigger that runs the same call again
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.id < 4 THEN PERFORM dbutil.bulk_insert('nested', jsonb_build_array(jsonb_build_object('id', NEW.id + 1))); END IF; RETURN NULL; END $$;
CREATE TABLE nested (id int UNIQUE);
CREATE TRIGGER t AFTER INSERT ON nested FOR EACH ROW EXECUTE FUNCTION again();
SELECT same($$bulk_insert('nested', '[{"id": 1}, {"id": 9}]')$$, 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM nested');

-- bad rows are rejected by this route, too
SELECT path, inserted, rejected, first_error_ord, first_sqlstate, path_reason FROM dbutil.bulk_insert('watched',
	'[{"id": 1}, {"id": 13}, {"id": 2, "parent": 9}, {"id": 1}, {"id": 5, "parent": 1}]', on_error => 'reject');
SELECT id FROM watched ORDER BY id;
DELETE FROM dbutil.bulk_rejects WHERE row_data ? 'id';

-- ON CONFLICT DO NOTHING: a bad row is bad even if it conflicts; what conflicts within a batch is left to INSERT
CREATE TABLE keyed (id int PRIMARY KEY, u int UNIQUE, v int CHECK (v > 0), x int4range, EXCLUDE USING gist (x WITH &&));
INSERT INTO keyed VALUES (1, 1, 1, '[1,3)');
SELECT same($$bulk_insert('keyed', '[{"id": 1, "v": 2}, {"id": 2, "u": 1}, {"id": 3, "x": "[2,4)"}, {"id": 4, "u": null, "v": 4}, {"id": 5, "u": 5}]', on_conflict => 'nothing')$$,
	'SELECT string_agg(id || $$.$$ || coalesce(v, 0), $$ $$ ORDER BY id) FROM keyed');
SELECT same($$bulk_insert('keyed', '[{"id": 6}, {"id": 1, "v": 0}]', on_conflict => 'nothing')$$);
SELECT path, path_reason, inserted, conflicts FROM dbutil.bulk_insert('keyed', '[{"id": 6, "u": 6}, {"id": 7, "u": 6}, {"id": 8, "u": 8}]', on_conflict => 'nothing');
SELECT path, inserted, conflicts FROM dbutil.bulk_insert('keyed', (SELECT array_agg(ROW(g, 100 + g)) FROM generate_series(1, 5000) g), columns => '{id,u}', on_conflict => 'nothing', chunk_rows => 700);
SELECT count(*), sum(id) FROM keyed;
SELECT path, inserted, conflicts FROM dbutil.bulk_insert('watched', '[{"id": 1}, {"id": 21, "parent": 1}]', on_conflict => 'nothing');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT path, inserted, conflicts FROM dbutil.bulk_insert('keyed', '[{"id": 1}]', on_conflict => 'nothing');
ROLLBACK;
SET dbutil.bulk_route = spi;
SELECT path, inserted, conflicts FROM dbutil.bulk_insert('keyed', '[{"id": 1}]', on_conflict => 'nothing');
RESET dbutil.bulk_route;

-- what is in the way is looked for along the keys, given in their order or not, as far as that pays
CREATE COLLATION backwards (provider = icu, locale = 'und-u-kr-latn-digit', deterministic = true);
CREATE TABLE named (name text COLLATE backwards PRIMARY KEY, n int, other text COLLATE "C" UNIQUE, hidden int UNIQUE);
INSERT INTO named (name, n, other) SELECT md5(g::text), g, 'o' || g FROM generate_series(1, 9000) g WHERE g % 3 = 0;
CREATE TYPE name_and_number AS (name text, n int, other text);
SELECT same($$bulk_insert('named', (SELECT array_agg(ROW(md5(g::text), 0, NULL)::name_and_number ORDER BY md5(g::text) COLLATE bulk_direct_test.backwards) FROM generate_series(1, 9000, $$ || step || $$) g),
	columns => '{name,n}', on_conflict => 'nothing', chunk_rows => $$ || chunk || $$)$$, 'SELECT concat_ws($$ $$, count(*), sum(n), md5(string_agg(name, $$.$$ ORDER BY name COLLATE "C"))) FROM named')
FROM (VALUES (1, 9000), (1, 1000), (2, 4000), (7, 1000), (500, 100)) AS v(step, chunk);
SELECT same($$bulk_insert('named', (SELECT array_agg(ROW(md5(g::text), 0, NULL)::name_and_number ORDER BY g) FROM generate_series(1, 9000, $$ || step || $$) g), columns => '{name,n}', on_conflict => 'nothing', conflict_columns => '{name}')$$,
	'SELECT concat_ws($$ $$, count(*), sum(n), md5(string_agg(name, $$.$$ ORDER BY name COLLATE "C"))) FROM named')
FROM (VALUES (1), (5)) AS v(step);
SELECT same($$bulk_insert('named', (SELECT array_agg(ROW('x' || g, 0, 'o' || g * 2 % 9000)::name_and_number ORDER BY g) FROM generate_series(1, 4000) g), columns => '{name,n,other}', on_conflict => 'nothing')$$,
	'SELECT concat_ws($$ $$, count(*), sum(n), md5(string_agg(name, $$.$$ ORDER BY name COLLATE "C"))) FROM named');
-- rows whose keys are in order need not be sorted; one that is there twice, or null, is found all the same
SELECT FROM dbutil.bulk_insert('named', ARRAY[ROW('a', 1, NULL), ROW('b', 1, NULL), ROW('b', 2, NULL)]::name_and_number[], columns => '{name,n}', on_conflict => 'nothing');
SELECT FROM dbutil.bulk_insert('named', ARRAY[ROW('a', 1, NULL), ROW(NULL, 1, NULL)]::name_and_number[], columns => '{name,n}', on_conflict => 'nothing');

-- ON CONFLICT with a target: another unique index is not looked at, and its violation an error
CREATE TABLE aimed (id int PRIMARY KEY, u int UNIQUE, x int4range, CONSTRAINT apart EXCLUDE USING gist (x WITH &&));
CREATE UNIQUE INDEX ON aimed ((u % 100)) WHERE u > 1000;
INSERT INTO aimed VALUES (1, 1, '[1,3)'), (2, 2, NULL), (3, 1150, NULL);
SELECT same($$bulk_insert('aimed', '[{"id": 1, "u": 7}, {"id": 4, "u": 8}, {"id": 2}]', on_conflict => 'nothing', conflict_columns => '{id}')$$, 'SELECT string_agg(concat(id, $$.$$, u), $$ $$ ORDER BY id) FROM aimed');
SELECT same($$bulk_insert('aimed', '[{"id": 1, "u": 7}, {"id": 4, "u": 1}]', on_conflict => 'nothing', conflict_columns => '{id}')$$);
SELECT same($$bulk_insert('aimed', '[{"id": 5, "u": 1}, {"id": 6, "u": 5}, {"id": 7}]', on_conflict => 'nothing', conflict_columns => '{u}')$$, 'SELECT string_agg(concat(id, $$.$$, u), $$ $$ ORDER BY id) FROM aimed');
SELECT same($$bulk_insert('aimed', '[{"id": 5, "u": 1250}]', on_conflict => 'nothing', conflict_columns => '{id}')$$);
SELECT same($$bulk_insert('aimed', '[{"id": 5, "x": "[2,7)"}, {"id": 6, "x": "[3,4)"}, {"id": 7}]', on_conflict => 'nothing', conflict_constraint => 'apart')$$, 'SELECT string_agg(concat(id, $$.$$, x), $$ $$ ORDER BY id) FROM aimed');
SELECT same($$bulk_insert('aimed', '[{"id": 1, "x": "[2,7)"}, {"id": 1, "x": "[3,4)"}]', on_conflict => 'nothing', conflict_constraint => 'apart')$$);
SELECT same($$bulk_insert('aimed', '[{"id": 1}]', on_conflict => 'nothing', conflict_columns => '{x}')$$);
SELECT path, inserted, conflicts FROM dbutil.bulk_insert('aimed', (SELECT array_agg(ROW(g, g)) FROM generate_series(1, 900) g WHERE g <> 1), columns => '{id,u}', on_conflict => 'nothing', conflict_columns => '{id}', chunk_rows => 250);
SELECT path, inserted, conflicts, path_reason FROM dbutil.bulk_insert('aimed', '[{"id": 901, "u": 901}]', on_conflict => 'update');

-- generated columns; what one of them cannot be made of is told in its turn
CREATE TABLE made (id int PRIMARY KEY, d int, gone text, q int GENERATED ALWAYS AS (100 / d) STORED CHECK (q < 50), t text GENERATED ALWAYS AS ('t' || id) STORED);
ALTER TABLE made DROP gone;
SELECT same($$bulk_insert('made', '[{"id": 1, "d": 5}, {"id": 2, "d": null}, {"id": 3}]')$$, 'SELECT string_agg(concat_ws($$.$$, id, q, t), $$ $$ ORDER BY id) FROM made');
SELECT same($$bulk_insert('made', '[{"id": 1, "d": 5}, {"id": 1, "d": 5}, {"id": 2, "d": 0}]')$$);
SELECT same($$bulk_insert('made', '[{"id": 1, "d": 5}, {"id": 2, "d": 0}, {"id": 1, "d": 5}]')$$);
SELECT same($$bulk_insert('made', '[{"id": 1, "d": 5}, {"id": 2, "d": 1}, {"id": 3, "d": 0}]')$$);
SELECT same($$bulk_insert('made', '[{"id": 1, "d": 5}, {"id": 2, "d": 9}]', on_conflict => 'nothing')$$, 'SELECT string_agg(concat_ws($$.$$, id, q, t), $$ $$ ORDER BY id) FROM made');
SELECT path, inserted, rejected, first_error_ord, first_sqlstate FROM dbutil.bulk_insert('made', '[{"id": 1, "d": 5}, {"id": 2, "d": 0}, {"id": 3, "d": 1}, {"id": 4, "d": 7}]', on_error => 'reject');
SELECT * FROM made ORDER BY id;
DELETE FROM dbutil.bulk_rejects WHERE row_data ? 'id';

-- deferrable constraints: what is there twice for a while
CREATE TABLE late (id int PRIMARY KEY DEFERRABLE, x int4range, EXCLUDE USING gist (x WITH &&) DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION mend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE late SET id = -id WHERE id = NEW.id AND ctid <> (SELECT min(ctid) FROM late WHERE id = NEW.id); RETURN NULL; END $$;
SELECT same($$bulk_insert('late', '[{"id": 1}, {"id": 2}, {"id": 1}, {"id": 2}]')$$);
SELECT same($$bulk_insert('late', '[{"id": 1, "x": "[1,5)"}, {"id": 2, "x": "[4,6)"}]')$$);
SELECT same($$bulk_insert('late', '[{"id": 1}]', on_conflict => 'nothing')$$);
CREATE TRIGGER "A first" AFTER INSERT ON late FOR EACH ROW EXECUTE FUNCTION mend();
SELECT same($$bulk_insert('late', '[{"id": 1}, {"id": 2}, {"id": 1}, {"id": 2}]')$$, 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM late');

-- partitions: nested, of other columns, triggers in the order of the rows, what is wrong in the order of the rows
CREATE TABLE log2 (n serial, what text);
CREATE FUNCTION note2() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO log2 (what) VALUES (concat_ws(' ', TG_TABLE_NAME, TG_LEVEL, CASE TG_LEVEL WHEN 'ROW' THEN NEW.id END, (SELECT count(*) FROM many))); RETURN NULL; END $$;
CREATE TABLE many (id int, v text DEFAULT 'of the root', k int NOT NULL, g int GENERATED ALWAYS AS (id + k) STORED, PRIMARY KEY (id, k), CONSTRAINT below CHECK (id < 1000)) PARTITION BY RANGE (k);
CREATE TABLE many1 (gone int, k int NOT NULL, v text DEFAULT 'of the partition' CHECK (v <> 'no'), g int GENERATED ALWAYS AS (id + k) STORED, id int NOT NULL, CONSTRAINT below CHECK (id < 1000));
ALTER TABLE many1 DROP gone;
ALTER TABLE many ATTACH PARTITION many1 FOR VALUES FROM (0) TO (10);
CREATE TABLE many2 PARTITION OF many FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
CREATE TABLE many2a PARTITION OF many2 FOR VALUES IN (1, 2, 3, 4, 5);
CREATE TABLE many2b PARTITION OF many2 DEFAULT;
CREATE TRIGGER a AFTER INSERT ON many FOR EACH ROW EXECUTE FUNCTION note2();
CREATE TRIGGER b AFTER INSERT ON many FOR EACH STATEMENT EXECUTE FUNCTION note2();
CREATE TRIGGER c AFTER INSERT ON many2b FOR EACH ROW EXECUTE FUNCTION note2();
SELECT same($$bulk_insert('many', '[{"id": 1, "k": 1}, {"id": 2, "k": 11}, {"id": 7, "k": 12, "v": "x"}, {"id": 1, "k": 2}, {"id": 3, "k": 11}]')$$,
	'SELECT (SELECT string_agg(concat_ws($$.$$, tableoid::regclass, id, v, k, g), $$ $$ ORDER BY id, k) FROM many) || (SELECT string_agg(what, $$; $$ ORDER BY n) FROM log2)');
SELECT same($$bulk_insert('many', '[{"id": 1, "k": 1}, {"id": 2, "k": 11}, {"id": 2, "k": 11}, {"id": 1, "k": 1}]')$$);
SELECT same($$bulk_insert('many', '[{"id": 1, "k": 1}, {"id": 2, "k": 11}, {"id": 1, "k": 1}, {"id": 2, "k": 11}]')$$);
SELECT same($$bulk_insert('many', '[{"id": 1, "k": 1}, {"id": 1, "k": 1}, {"id": 2, "k": 20}]')$$);
SELECT same($$bulk_insert('many', '[{"id": 1, "k": 1}, {"id": 2, "k": 20}, {"id": 1, "k": 1}]')$$);
SELECT same($$bulk_insert('many', '[{"id": 7, "k": 11}, {"id": 1, "k": 2, "v": "no"}, {"id": 1000, "k": 11}]')$$);
SELECT same($$bulk_insert('many', '[{"id": 7, "k": 11}, {"id": 1000, "k": 11}, {"id": 1, "k": 2, "v": "no"}]')$$);
SELECT same($$bulk_insert('many', '[{"id": 7, "k": null}]')$$);
SELECT same($$bulk_insert('many2', '[{"id": 7, "k": 12}, {"id": 7, "k": 9}]')$$);
INSERT INTO many (id, k) VALUES (1, 1), (2, 11), (7, 12);
SELECT same($$bulk_insert('many', '[{"id": 1, "k": 1}, {"id": 2, "k": 11}, {"id": 7, "k": 12}, {"id": 7, "k": 13}, {"id": 2, "k": 1}]', on_conflict => 'nothing')$$, 'SELECT string_agg(concat_ws($$.$$, tableoid::regclass, id, k), $$ $$ ORDER BY id, k) FROM many');
SELECT same($$bulk_insert('many', '[{"id": 1, "k": 1}, {"id": 2, "k": 11}, {"id": 7, "k": 12}, {"id": 7, "k": 13}]', on_conflict => 'nothing', conflict_columns => '{id,k}')$$, 'SELECT string_agg(concat_ws($$.$$, tableoid::regclass, id, k), $$ $$ ORDER BY id, k) FROM many');
SELECT path, inserted, rejected, first_error_ord, first_sqlstate FROM dbutil.bulk_insert('many', '[{"id": 1, "k": 1}, {"id": 9, "k": 20}, {"id": 9, "k": 19}]', on_error => 'reject');
DELETE FROM dbutil.bulk_rejects WHERE row_data ? 'id';
-- many partitions: what is kept for each is given back on the way
CREATE TABLE spread (id int PRIMARY KEY, v text) PARTITION BY HASH (id);
SELECT format('CREATE TABLE spread%s PARTITION OF spread FOR VALUES WITH (MODULUS 90, REMAINDER %s)', n, n) FROM generate_series(0, 89) n \gexec
SELECT path, inserted FROM dbutil.bulk_insert('spread', (SELECT array_agg(ROW(g, 'v' || g)) FROM generate_series(1, 12000) g));
SELECT count(*), sum(id), count(DISTINCT tableoid) FROM spread WHERE v = 'v' || id;
SELECT path, inserted FROM dbutil.bulk_insert('spread', (SELECT array_agg(ROW(12000 + g % 3 * 4000 + g / 3, 'v')) FROM generate_series(3, 12000) g));
SELECT count(*) FROM spread;
-- a partition that needs a statement: known when a row gets there, the batch begins again, and the next ones do not try
CREATE TABLE parted2 (id int, v text) PARTITION BY LIST (id);
CREATE TABLE one PARTITION OF parted2 FOR VALUES IN (1);
CREATE TABLE two PARTITION OF parted2 FOR VALUES IN (2);
CREATE TRIGGER b BEFORE INSERT ON two FOR EACH ROW EXECUTE FUNCTION pass();
CREATE FOREIGN DATA WRAPPER regress_bulk_nothing;
CREATE SERVER regress_bulk_nothing FOREIGN DATA WRAPPER regress_bulk_nothing;
CREATE FOREIGN TABLE three PARTITION OF parted2 FOR VALUES IN (3) SERVER regress_bulk_nothing;
SELECT path, inserted, path_reason FROM dbutil.bulk_insert('parted2', '[{"id": 1}, {"id": 1}]');
SELECT path, inserted, path_reason FROM dbutil.bulk_insert('parted2', '[{"id": 1}, {"id": 2}, {"id": 1}]', chunk_rows => 1);
SELECT tableoid::regclass, count(*) FROM parted2 WHERE id < 3 GROUP BY 1 ORDER BY 1;
SELECT FROM dbutil.bulk_insert('parted2', '[{"id": 1}, {"id": 3}]');
-- triggers before the statement fire once
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'before'; RETURN NULL; END $$;
CREATE TRIGGER s BEFORE INSERT ON parted2 EXECUTE FUNCTION tell();
SELECT path, inserted FROM dbutil.bulk_insert('parted2', '[{"id": 1}, {"id": 2}]');
CREATE TRIGGER s BEFORE INSERT ON keyed EXECUTE FUNCTION tell();
SELECT path, inserted, conflicts FROM dbutil.bulk_insert('keyed', '[{"id": 10001, "u": 10001}, {"id": 10002, "u": 10001}]', on_conflict => 'nothing');

-- what became of each row, told by either route
CREATE FUNCTION returned(route text, target anyelement, rows jsonb, options jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	PERFORM set_config('dbutil.bulk_route', route, true);
	BEGIN
		SELECT string_agg(concat_ws(' ', ord, action, result_row::text, sqlstate, message), '; ' ORDER BY n) INTO result
		FROM dbutil.bulk_insert_returning(target, rows, options) WITH ORDINALITY AS r(ord, action, result_row, sqlstate, message, n);
		RAISE EXCEPTION SQLSTATE 'UNDOX';
	EXCEPTION WHEN SQLSTATE 'UNDOX' THEN NULL;
		WHEN OTHERS THEN result = SQLSTATE || ' ' || SQLERRM;
	END;
	PERFORM set_config('dbutil.bulk_route', 'auto', true);
	RETURN result;
END $$;
CREATE FUNCTION same_returned(target anyelement, rows jsonb, options jsonb = '{}') RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN a IS DISTINCT FROM b THEN format(E'DIFFERENT %s\n%s', a, b) ELSE a END FROM (SELECT returned('auto', target, rows, options) a, returned('spi', target, rows, options) b) s $$;
SELECT same_returned(NULL::made, '[{"id": 11, "d": 5}, {"id": 12}]');
SELECT same_returned(NULL::made, '[{"id": 11, "d": 5}, {"id": 1}, {"id": 12}]', '{"on_conflict": "nothing"}');
SELECT same_returned(NULL::made, '[{"id": 11, "d": 5}, {"id": 1}, {"id": 12, "d": 0}, {"id": 13}]', '{"on_error": "reject"}');
SELECT same_returned(NULL::made, '[{"id": 11, "d": 5}, {"id": 1}]');
SELECT same_returned(NULL::many, '[{"id": 4, "k": 3, "v": "x"}, {"id": 1, "k": 1}, {"id": 4, "k": 12}]', '{"on_conflict": "nothing"}');
SELECT same_returned(NULL::wide, '[{"id": -1, "b": "x", "d": null}, {"id": -2, "d": null, "c": 7}]');
SELECT same_returned(NULL::keyed, '[{"id": 20001, "u": 20001}, {"id": 20002, "u": 20001}, {"id": 20003, "v": 3}]', '{"on_conflict": "nothing"}');
CREATE TABLE told AS SELECT * FROM dbutil.bulk_insert_returning(NULL::spread, (SELECT jsonb_agg(jsonb_build_object('id', 30000 + g, 'v', g)) FROM generate_series(1, 3000) g));
SELECT count(*) FROM told JOIN spread ON id = 30000 + ord AND result_row = spread;
GRANT INSERT ON made TO regress_bulk_direct;
SET ROLE regress_bulk_direct;
SELECT FROM dbutil.bulk_insert_returning(NULL::made, '[{"id": 11, "d": 5}]');
SELECT path FROM dbutil.bulk_insert('made', '[{"id": 11, "d": 5}]');
SELECT path FROM dbutil.bulk_insert('made', '[{"id": 11, "d": 5}]', on_conflict => 'nothing', conflict_columns => '{id}');
RESET ROLE;
GRANT SELECT (id) ON made TO regress_bulk_direct;
SET ROLE regress_bulk_direct;
SELECT path FROM dbutil.bulk_insert('made', '[{"id": 11, "d": 5}]', on_conflict => 'nothing', conflict_columns => '{id}');
SELECT path FROM dbutil.bulk_insert('made', '[{"id": 11, "d": 5}]', on_conflict => 'nothing', conflict_constraint => 'made_pkey');
SELECT FROM dbutil.bulk_insert_returning(NULL::made, '[{"id": 14, "d": 5}]');
RESET ROLE;

-- chunks of a procedure
CREATE TABLE chunked (id int PRIMARY KEY, v text, n int GENERATED ALWAYS AS (id % 7) STORED CHECK (n < 6));
CALL dbutil.bulk_insert_batches('chunked', 'spread', where_clause => 'id <= 50 AND id % 7 < 6', chunk_rows => 20, chunk_target_ms => NULL) \gset
SELECT (:'result'::dbutil.bulk_result).path, (:'result'::dbutil.bulk_result).path_reason, (:'result'::dbutil.bulk_result).inserted;
CALL dbutil.bulk_insert_batches('chunked', 'spread', where_clause => 'id BETWEEN 40 AND 80', on_error => 'reject', on_conflict => 'nothing', chunk_rows => 20, chunk_target_ms => NULL) \gset
SELECT (:'result'::dbutil.bulk_result).path, (:'result'::dbutil.bulk_result).inserted, (:'result'::dbutil.bulk_result).conflicts, (:'result'::dbutil.bulk_result).rejected;
CALL dbutil.bulk_insert_batches('parted2', 'spread', where_clause => 'id < 3', chunk_rows => 1, chunk_target_ms => NULL) \gset
SELECT (:'result'::dbutil.bulk_result).path, (:'result'::dbutil.bulk_result).path_reason, (:'result'::dbutil.bulk_result).inserted;
SELECT count(*), sum(id), sum(n) FROM chunked;
SELECT dbutil.bulk_forget(job) FROM dbutil.bulk_jobs ORDER BY started_at;

-- rights
GRANT INSERT (id), SELECT (n) ON plain TO regress_bulk_direct;
GRANT SELECT, INSERT ON log TO regress_bulk_direct;
SET ROLE regress_bulk_direct;
SELECT path, inserted FROM dbutil.bulk_insert('plain', '[{"id": 70}]');
SELECT dbutil.bulk_insert('plain', '[{"id": 71, "n": 1}]');
SELECT dbutil.bulk_insert('wide', '[{"id": 71}]');
SELECT path, inserted FROM dbutil.bulk_insert('plain', '[]');
SELECT dbutil.bulk_insert('wide', '[]');
-- the row that fails is told as far as it may be read
\set VERBOSITY default
SELECT dbutil.bulk_insert('plain', '[{"id": 72}, {"id": null}]');
\set VERBOSITY terse
RESET ROLE;
BEGIN READ ONLY;
SELECT dbutil.bulk_insert('plain', '[{"id": 73}]');
ROLLBACK;
BEGIN READ ONLY;
SELECT path, inserted FROM dbutil.bulk_insert('fleeting', '[{}, {}]');
ROLLBACK;
SELECT path, inserted FROM dbutil.bulk_insert('fleeting', '[{}, {}]');
SELECT * FROM plain;

DROP TABLE fleeting;
SET client_min_messages = warning;
DROP SCHEMA bulk_direct_test CASCADE;
DROP FOREIGN DATA WRAPPER regress_bulk_nothing CASCADE;
DROP ROLE regress_bulk_direct;
