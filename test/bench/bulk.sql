-- Tables, input and ways of the benchmark test/bench/bulk: :n rows of 8 columns
-- to insert, and :part of :n rows to update or delete by key.
SET client_min_messages = error;
CREATE TABLE target (id bigint PRIMARY KEY, k integer NOT NULL, a text, b text, n numeric,
	at timestamptz, f boolean, j jsonb, CHECK (k >= 0));
CREATE UNLOGGED TABLE source (LIKE target);
INSERT INTO source
SELECT i, i % 1000, 'name ' || i, md5(i::text), i / 7.0, timestamptz '2025-01-01 00:00+00' + i * interval '1 s',
	   i % 2 = 0, jsonb_build_object('i', i)
FROM generate_series(1, :n) AS i;
-- input as a client binds it, 100,000 rows a call; stored as it is, so that nothing is decompressed while the clock runs
CREATE UNLOGGED TABLE input (bad numeric DEFAULT 0, part integer, composites target[], json jsonb, id bigint[], k integer[], a text[], b text[], n numeric[],
	at timestamptz[], f boolean[], j jsonb[]);
DO $$ BEGIN
	EXECUTE (SELECT 'ALTER TABLE input ' || string_agg(format('ALTER %I SET STORAGE EXTERNAL', attname), ', ')
		FROM pg_attribute WHERE attrelid = 'input'::regclass AND attnum > 2);
END $$;
INSERT INTO input (part, composites, json, id, k, a, b, n, at, f, j)
SELECT (id - 1) / 100000, array_agg(s::target ORDER BY id), jsonb_agg(s ORDER BY id), array_agg(id ORDER BY id), array_agg(k ORDER BY id),
	   array_agg(a ORDER BY id), array_agg(b ORDER BY id), array_agg(n ORDER BY id), array_agg(at ORDER BY id), array_agg(f ORDER BY id),
	   array_agg(j ORDER BY id)
FROM (SELECT ROW(source.*)::target AS s, source.* FROM source) AS source GROUP BY 1;

-- the first of them once more, with a share of rows that a constraint refuses (in percent)
INSERT INTO input (bad, part, composites)
SELECT bad, 0, array_agg(CASE WHEN id % (100 / bad)::integer = 0 THEN ROW(id, -1, a, b, n, at, f, j)::target ELSE ROW(source.*)::target END ORDER BY id)
FROM source, unnest('{0.1,1,10}'::numeric[]) AS bad WHERE id <= 100000 GROUP BY bad;

CREATE UNLOGGED TABLE keep (id integer, v integer, pad text);
INSERT INTO keep SELECT i, i, md5(i::text) || 'some forty bytes more of payload in here' FROM generate_series(1, :n) AS i;
CREATE TYPE change AS (id integer, v integer);
CREATE UNLOGGED TABLE changes (rows change[], ids integer[], vs integer[]);
ALTER TABLE changes ALTER rows SET STORAGE EXTERNAL, ALTER ids SET STORAGE EXTERNAL, ALTER vs SET STORAGE EXTERNAL;
INSERT INTO changes
SELECT array_agg(ROW(id, v)::change), array_agg(id), array_agg(v)
FROM (SELECT i * (:n / :part) AS id, -i AS v FROM generate_series(1, :part) AS i ORDER BY md5(i::text)) AS c;

CREATE TABLE ways (grp text, way text, statement text, size integer, n serial);
INSERT INTO ways (grp, way, statement) VALUES
	('insert', 'COPY text', 'COPY target FROM %L'),
	('insert', 'COPY binary', 'COPY target FROM %L (FORMAT binary)'),
	('insert', 'bulk_insert, composites', 'SELECT FROM dbutil.bulk_insert(''target'', $1)'),
	('insert', 'bulk_insert, jsonb', 'SELECT FROM dbutil.bulk_insert(''target'', $2)'),
	('insert', 'INSERT SELECT (unnest(composites)).*', 'INSERT INTO target SELECT (r).* FROM (SELECT unnest($1) AS r OFFSET 0) AS s'),
	('insert', 'INSERT SELECT FROM unnest(columns)', 'INSERT INTO target SELECT * FROM unnest($3, $4, $5, $6, $7, $8, $9, $10)'),
	('insert', 'INSERT SELECT FROM jsonb_to_recordset', 'INSERT INTO target SELECT * FROM jsonb_to_recordset($2) AS r(id bigint, k integer, a text, b text, n numeric, at timestamptz, f boolean, j jsonb)'),
	('nothing', 'INSERT SELECT unnest ON CONFLICT DO NOTHING', 'INSERT INTO target SELECT (r).* FROM (SELECT unnest($1) AS r OFFSET 0) AS s ON CONFLICT DO NOTHING'),
	('nothing', 'bulk_insert, on_conflict nothing', 'SELECT FROM dbutil.bulk_insert(''target'', $1, on_conflict => ''nothing'')'),
	('upsert', 'INSERT SELECT unnest ON CONFLICT DO UPDATE', 'INSERT INTO target SELECT (r).* FROM (SELECT unnest($1) AS r OFFSET 0) AS s ON CONFLICT (id) DO UPDATE SET k = excluded.k, a = excluded.a, b = excluded.b, n = excluded.n, at = excluded.at, f = excluded.f, j = excluded.j'),
	('upsert', 'bulk_insert, on_conflict update', 'SELECT FROM dbutil.bulk_insert(''target'', $1, on_conflict => ''update'')');
INSERT INTO ways (grp, way, statement) VALUES
	('reject', 'bulk_insert, no bad rows', 'SELECT FROM dbutil.bulk_insert(''target'', $1)'),
	('reject', 'bulk_insert, on_error reject', 'SELECT FROM dbutil.bulk_insert(''target'', $1, on_error => ''reject'')'),
	('reject', 'loop in plpgsql, EXCEPTION for each row', 'SELECT FROM insert_each($1)');
INSERT INTO ways (grp, way, statement, size) VALUES
	('update', 'join with unnest, by 10,000', 'UPDATE big SET v = u.v FROM unnest($2, $3) AS u(id, v) WHERE big.id = u.id', 10000),
	('update', 'join with unnest, in one', 'UPDATE big SET v = u.v FROM unnest($2, $3) AS u(id, v) WHERE big.id = u.id', 100000000),
	('update', 'bulk_update, by 1,000', 'SELECT FROM dbutil.bulk_update(''big'', $1, chunk_rows => 1000)', 100000000),
	('update', 'bulk_update, by 10,000', 'SELECT FROM dbutil.bulk_update(''big'', $1)', 100000000),
	('update', 'bulk_update, by 200,000', 'SELECT FROM dbutil.bulk_update(''big'', $1, chunk_rows => 200000)', 100000000),
	('update', 'bulk_update, by 10,000, never analysed', 'SELECT FROM dbutil.bulk_update(''big'', $1)', 100000000),
	('update', 'loop in plpgsql', 'UPDATE big SET v = $3[1] WHERE id = $2[1]', 0),
	('update', 'temporary table filled by COPY, and a join', 'UPDATE big SET v = t.v FROM incoming AS t WHERE big.id = t.id', 100000000),
	('delete', 'join with unnest, by 10,000', 'DELETE FROM big USING unnest($2) AS u(id) WHERE big.id = u.id', 10000),
	('delete', '= ANY, by 1,000', 'DELETE FROM big WHERE id = ANY ($2)', 1000),
	('delete', '= ANY, by 10,000', 'DELETE FROM big WHERE id = ANY ($2)', 10000),
	('delete', '= ANY, in one', 'DELETE FROM big WHERE id = ANY ($2)', 100000000),
	('delete', 'bulk_delete, by 1,000', 'SELECT FROM dbutil.bulk_delete(''big'', $2, chunk_rows => 1000)', 100000000),
	('delete', 'bulk_delete, by 10,000', 'SELECT FROM dbutil.bulk_delete(''big'', $2)', 100000000),
	('delete', 'bulk_delete, by 200,000', 'SELECT FROM dbutil.bulk_delete(''big'', $2, chunk_rows => 200000)', 100000000),
	('delete', 'bulk_delete, by 10,000, never analysed', 'SELECT FROM dbutil.bulk_delete(''big'', $2)', 100000000),
	('delete', 'loop in plpgsql', 'DELETE FROM big WHERE id = $2[1]', 0);

-- nanoseconds of CPU that this backend has had
CREATE FUNCTION cpu() RETURNS bigint LANGUAGE sql AS $$ SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint $$;

CREATE FUNCTION insert_each(rows target[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	r target;
	refused bigint := 0;
BEGIN
	FOREACH r IN ARRAY rows LOOP
		BEGIN
			INSERT INTO target SELECT (r).*;
		EXCEPTION WHEN OTHERS THEN
			refused := refused + 1;
		END;
	END LOOP;
	RETURN refused;
END $$;

CREATE PROCEDURE prepare_target(grp text, duplicates numeric) LANGUAGE plpgsql AS $$
BEGIN
	IF grp IN ('update', 'delete') THEN
		DROP TABLE IF EXISTS big;
		CREATE TABLE big (id integer PRIMARY KEY, v integer, pad text);
		INSERT INTO big TABLE keep;
	ELSE
		TRUNCATE target;
		DELETE FROM dbutil.bulk_rejects;
		INSERT INTO target SELECT * FROM source WHERE grp <> 'reject' AND duplicates > 0 AND id % (100 / duplicates)::integer = 0;
	END IF;
END $$;

-- seconds of CPU, bytes of WAL, and statements of a way that runs in the server; share: of bad rows
CREATE FUNCTION run(way ways, file text, share numeric, OUT seconds numeric, OUT wal bigint, OUT statements bigint) LANGUAGE plpgsql AS $$
DECLARE
	c target[]; js jsonb; id bigint[]; k integer[]; a text[]; b text[]; n numeric[]; at timestamptz[]; f boolean[]; j jsonb[];
	rows change[]; ids integer[]; vs integer[]; some_rows change[]; some_ids integer[]; some_vs integer[];
	began bigint;
	spent bigint := 0;
	lsn pg_lsn := pg_current_wal_insert_lsn();
	i integer;
BEGIN
	statements := 0;
	IF way.statement ~ '^COPY' THEN
		began := cpu();
		EXECUTE format(way.statement, file);
		spent := cpu() - began;
		statements := 1;
	ELSIF way.size IS NULL THEN
		share := CASE WHEN way.grp = 'reject' AND way.way !~ 'no bad' THEN share ELSE 0 END;
		FOR i IN SELECT part FROM input AS x WHERE x.bad = share AND (way.grp <> 'reject' OR part = 0) ORDER BY part LOOP
			SELECT composites, json, x.id, x.k, x.a, x.b, x.n, x.at, x.f, x.j INTO c, js, id, k, a, b, n, at, f, j FROM input AS x WHERE part = i AND x.bad = share;
			began := cpu();
			EXECUTE way.statement USING c, js, id, k, a, b, n, at, f, j;
			spent := spent + cpu() - began;
			statements := statements + 1;
		END LOOP;
	ELSE
		SELECT x.rows, x.ids, x.vs INTO rows, ids, vs FROM changes AS x;
		IF way.way ~ '^temporary' THEN
			CREATE TEMPORARY TABLE incoming (id integer, v integer) ON COMMIT DROP;
		END IF;
		began := cpu();
		IF way.way ~ '^temporary' THEN
			EXECUTE format('COPY incoming FROM %L', file);
			ANALYZE incoming;
			statements := 3;
		END IF;
		IF way.size = 0 AND way.grp = 'update' THEN
			FOR i IN 1 .. cardinality(ids) LOOP
				UPDATE big SET v = vs[i] WHERE big.id = ids[i];
			END LOOP;
			statements := cardinality(ids);
		ELSIF way.size = 0 THEN
			FOR i IN 1 .. cardinality(ids) LOOP
				DELETE FROM big WHERE big.id = ids[i];
			END LOOP;
			statements := cardinality(ids);
		ELSIF way.size > cardinality(ids) THEN
			EXECUTE way.statement USING rows, ids, vs;
			statements := statements + 1;
		ELSE
			FOR i IN 1 .. cardinality(ids) BY way.size LOOP
				some_rows := rows[i : i + way.size - 1];
				some_ids := ids[i : i + way.size - 1];
				some_vs := vs[i : i + way.size - 1];
				EXECUTE way.statement USING some_rows, some_ids, some_vs;
				statements := statements + 1;
			END LOOP;
		END IF;
		spent := cpu() - began;
	END IF;
	seconds := spent / 1e9;
	wal := pg_current_wal_insert_lsn() - lsn;
END $$;
VACUUM ANALYZE;
