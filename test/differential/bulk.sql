-- What test/t/031_bulk_differential.pl compares with: one side of a case is run
-- in a subtransaction that is rolled back whatever it does, so both sides start
-- from the same state.
CREATE SCHEMA diff;
CREATE TYPE diff.outcome AS (state text, message text, detail text, object text, content text, log text, n bigint, counts jsonb);

CREATE FUNCTION diff.side(statements text[], content text, role name, bulk boolean) RETURNS diff.outcome
LANGUAGE plpgsql AS $$
DECLARE
	o diff.outcome;
	statement text;
	k bigint;
	name text;
	place text;
BEGIN
	PERFORM setval(oid::regclass, 500, false) FROM pg_class WHERE relkind = 'S' AND relnamespace = 't'::regnamespace;
	o.n := 0;
	BEGIN
		IF role IS NOT NULL THEN
			EXECUTE format('SET LOCAL ROLE %I', role);
		END IF;
		FOREACH statement IN ARRAY statements LOOP
			IF bulk THEN
				EXECUTE 'SELECT to_jsonb(b) FROM ' || statement || ' AS b' INTO o.counts;
			ELSE
				EXECUTE statement;
				GET DIAGNOSTICS k = ROW_COUNT;
				IF statement !~ '^SELECT' THEN
					o.n := o.n + k;
				END IF;
			END IF;
		END LOOP;
		SET CONSTRAINTS ALL IMMEDIATE;
		RESET ROLE;
		EXECUTE content INTO o.content, o.log;
		RAISE EXCEPTION USING ERRCODE = 'DIFF0';
	EXCEPTION
		WHEN SQLSTATE 'DIFF0' THEN
			o.state := 'ok';
		WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS o.state = RETURNED_SQLSTATE, o.message = MESSAGE_TEXT, o.detail = PG_EXCEPTION_DETAIL,
				name = CONSTRAINT_NAME, place = COLUMN_NAME, o.object = TABLE_NAME;
			o.object := concat_ws(' ', o.object, name, place);
	END;
	RETURN o;
END $$;

-- What plain SQL has no word for: a NULL in a key (22004), or a key given twice (21000).
CREATE FUNCTION diff.guard(code text, query text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	found boolean;
BEGIN
	EXECUTE format('SELECT EXISTS (%s)', query) INTO found;
	IF found THEN
		RAISE EXCEPTION 'guarded' USING ERRCODE = code;
	END IF;
END $$;

CREATE FUNCTION diff.put(template text[], rows text[]) RETURNS text[]
LANGUAGE sql RETURN (SELECT array_agg(replace(x, '@ROWS@', array_to_string(rows, ', ')) ORDER BY o) FROM unnest(template) WITH ORDINALITY u(x, o));

-- Errors that dbutil words in its own way.
CREATE FUNCTION diff.same_error(a diff.outcome, b diff.outcome) RETURNS boolean
LANGUAGE sql RETURN (a).state = (b).state AND ((a).state IN ('21000', '22004', '428C9') OR
	(a).message = (b).message AND (a).object = (b).object) OR (a).state = '42804' AND (b).state = '42883';

CREATE FUNCTION diff.same(a diff.outcome, b diff.outcome) RETURNS boolean
LANGUAGE sql RETURN CASE WHEN (a).state = 'ok' OR (b).state = 'ok'
	THEN (a).state = (b).state AND (a).content = (b).content AND (a).log IS NOT DISTINCT FROM (b).log ELSE diff.same_error(a, b) END;

-- The values of the rows given that do not fit their column.
CREATE FUNCTION diff.unfit(a diff.outcome) RETURNS boolean
LANGUAGE sql RETURN (a).state ~ '^22' OR (a).state = '23514' AND (a).message ~ '^value for domain' OR (a).state = '23502' AND (a).message ~ '^domain';

CREATE FUNCTION diff.show(o diff.outcome) RETURNS text
LANGUAGE sql RETURN concat_ws(E'\n', (o).state || ' ' || (o).message, (o).detail, (o).object, (o).content, 'log:', (o).log, (o).n::text, (o).counts::text);

/*
 * verdict|path|report. counted: plain SQL's number of rows is the call's too.
 * Where several rows are wrong, one statement may come upon another of them
 * first: then the call's error must be what plain SQL says of one or two rows.
 */
CREATE FUNCTION diff.compare(bulk text, bulk_rows text[], plain text[], plain_rows text[], content text, role name, counted boolean, chunk integer, wrong boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	chunk_set text := set_config('dbutil.bulk_chunk_rows', chunk::text, false);
	a diff.outcome := diff.side(diff.put(ARRAY[bulk], bulk_rows), content, role, true);
	b diff.outcome := diff.side(diff.put(plain, plain_rows), content, role, false);
	c jsonb := a.counts;
	one diff.outcome;
	path text := coalesce(c ->> 'path', 'error');
BEGIN
	IF diff.same(a, b) THEN
		IF a.state <> 'ok' THEN
			RETURN format('same error %s|%s|', a.state, path);
		END IF;
		IF (c ->> 'rows_in')::bigint <> cardinality(bulk_rows) OR
			(SELECT sum((c ->> x)::bigint) FROM unnest('{inserted,updated,unchanged,deleted,conflicts,missing,suppressed}'::text[]) x) <> cardinality(bulk_rows) OR
			counted AND (c ->> 'inserted')::bigint + (c ->> 'updated')::bigint + (c ->> 'deleted')::bigint <> b.n THEN
			RETURN format('MISCOUNTED|%s|%s', path, replace(diff.show(a) || E'\nplain:\n' || diff.show(b), E'\n', '\n'));
		END IF;
		RETURN 'same result|' || path || '|';
	END IF;
	-- values are converted and keys compared before the statement asks for privileges, looks for the row, or is replaced by a rule
	IF a.state IN ('21000', '22004') AND b.state = '42501' OR diff.unfit(a) AND (b.state IN ('42501', '0A000') OR wrong AND b.state = 'ok' OR b.state = '21000' OR diff.unfit(b)) OR
		wrong AND diff.unfit(b) AND a.state ~ '^23' THEN
		RETURN format('same, but values are converted first|%s|', path);
	END IF;
	-- in which order UPDATE and DELETE come to the rows is up to the plan
	FOR i IN 1 .. 4 LOOP
		PERFORM set_config('enable_nestloop', (i <> 1)::text, true), set_config('enable_hashjoin', (i = 1)::text, true),
			set_config('enable_mergejoin', (i = 2)::text, true), set_config('enable_seqscan', (i < 3)::text, true);
		one := diff.side(diff.put(plain, CASE WHEN i < 4 THEN plain_rows ELSE (SELECT array_agg(x ORDER BY o DESC) FROM unnest(plain_rows) WITH ORDINALITY u(x, o)) END),
			content, role, false);
		one.log := regexp_replace(one.log, ' (on|off) ', ' on ', 'g');
		PERFORM set_config('enable_nestloop', 'on', true), set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true), set_config('enable_seqscan', 'on', true);
		IF diff.same(a, one) THEN
			RETURN format('same, in another order|%s|', path);
		END IF;
	END LOOP;
	IF a.state <> 'ok' AND b.state <> 'ok' THEN
		FOR i IN 1 .. cardinality(plain_rows) LOOP
			FOR j IN i .. cardinality(plain_rows) LOOP
				one := diff.side(diff.put(plain, CASE WHEN i = j THEN plain_rows[i:i] ELSE ARRAY[plain_rows[i], plain_rows[j]] END), content, role, false);
				IF diff.same(a, one) THEN
					RETURN format('same error, of another row|%s|', path);
				END IF;
			END LOOP;
		END LOOP;
	END IF;
	RETURN format('DIFFERENT|%s|%s', path, replace(E'bulk:\n' || diff.show(a) || E'\nplain:\n' || diff.show(b), E'\n', '\n'));
END $$;

GRANT USAGE ON SCHEMA diff TO PUBLIC;

-- Schema t anew, with what every table may need.
CREATE PROCEDURE diff.begin()
LANGUAGE plpgsql AS $$
BEGIN
	CREATE SCHEMA t;
	GRANT USAGE ON SCHEMA t TO PUBLIC;
	IF EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i') THEN
		CREATE COLLATION t.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
	END IF;
	CREATE TYPE t.mood AS ENUM ('sad', 'ok');
	CREATE TYPE t.comp AS (x integer, y text);
	CREATE DOMAIN t.positive AS integer CHECK (VALUE > 0);
	CREATE DOMAIN t.filled AS text NOT NULL;
	CREATE SEQUENCE t.counter;
	CREATE TABLE t.ref (id integer PRIMARY KEY, v text);
	INSERT INTO t.ref SELECT i FROM generate_series(1, 6) AS i;
	CREATE TABLE t.log (n integer GENERATED ALWAYS AS IDENTITY, what text);
	GRANT INSERT, SELECT ON t.log TO PUBLIC;
	GRANT ALL ON ALL SEQUENCES IN SCHEMA t TO PUBLIC;
	CREATE FUNCTION t.how_many() RETURNS integer LANGUAGE sql AS 'SELECT 0';
	CREATE FUNCTION t.small_enough(integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 100';
	CREATE PROCEDURE t.try(statement text) LANGUAGE plpgsql AS $t$
	BEGIN
		EXECUTE statement;
		SET CONSTRAINTS ALL IMMEDIATE;
	EXCEPTION WHEN integrity_constraint_violation OR generated_always THEN
		NULL;
	END $t$;
	-- what a trigger sees, planner settings too: a bulk call must not leave its own to it
	CREATE FUNCTION t.note() RETURNS trigger LANGUAGE plpgsql AS $t$
	DECLARE
		old_row text;
		new_row text;
	BEGIN
		IF TG_LEVEL = 'ROW' AND TG_OP <> 'INSERT' THEN old_row := OLD::text; END IF;
		IF TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE' THEN new_row := NEW::text; END IF;
		INSERT INTO t.log (what) VALUES (concat_ws(' ', TG_NAME, TG_WHEN, TG_OP, TG_LEVEL, TG_TABLE_NAME, old_row, '>', new_row,
			current_user, current_setting('enable_hashjoin'), current_setting('search_path')));
		IF TG_WHEN = 'AFTER' AND TG_LEVEL = 'ROW' THEN
			INSERT INTO t.log (what) VALUES (concat(TG_NAME, ' sees ', t.how_many()));
		END IF;
		IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
		RETURN NEW;
	END $t$;
	-- column, value of rows to keep out, value of rows to refuse, column to set, to what
	CREATE FUNCTION t.edit() RETURNS trigger LANGUAGE plpgsql AS $t$
	DECLARE
		value text := to_jsonb(NEW) ->> TG_ARGV[0];
	BEGIN
		IF value = TG_ARGV[1] THEN RETURN NULL; END IF;
		IF value = TG_ARGV[2] THEN
			RAISE EXCEPTION 'trigger refuses %', value USING ERRCODE = 'T0001';
		END IF;
		IF TG_ARGV[3] <> '' THEN
			NEW := jsonb_populate_record(NEW, jsonb_build_object(TG_ARGV[3], TG_ARGV[4]));
		END IF;
		RETURN NEW;
	END $t$;
	CREATE FUNCTION t.transitions() RETURNS trigger LANGUAGE plpgsql AS $t$
	DECLARE
		old_rows text;
		new_rows text;
	BEGIN
		IF TG_OP <> 'INSERT' THEN SELECT string_agg(ot::text, ' ' ORDER BY ot::text COLLATE "C") INTO old_rows FROM ot; END IF;
		IF TG_OP <> 'DELETE' THEN SELECT string_agg(nt::text, ' ' ORDER BY nt::text COLLATE "C") INTO new_rows FROM nt; END IF;
		INSERT INTO t.log (what) VALUES (concat_ws(' ', TG_NAME, TG_OP, old_rows, '>', new_rows));
		RETURN NULL;
	END $t$;
END $$;
