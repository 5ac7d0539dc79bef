-- Tables and input of the bulk benchmark: :n rows to insert, a table of :big
-- rows of which :part are updated or deleted by key, spread evenly over it.
CREATE EXTENSION dbutil;
CREATE TABLE target (id bigint PRIMARY KEY, k int NOT NULL, a text, b text, n numeric,
	ts timestamptz, f boolean, j jsonb, CHECK (k >= 0));
CREATE UNLOGGED TABLE source (LIKE target);
INSERT INTO source
SELECT i, i % 1000, 'name ' || i, md5(i::text), i / 7.0, timestamptz '2025-01-01 00:00+00' + i * interval '1 s',
	   i % 2 = 0, jsonb_build_object('i', i)
FROM generate_series(1, :n) i;
-- input as a client would have bound it: 100k rows a call
CREATE UNLOGGED TABLE input AS
SELECT (id - 1) / 100000 AS part, array_agg(s ORDER BY id) AS composites, jsonb_agg(s ORDER BY id) AS json,
	   array_agg(id ORDER BY id) AS id, array_agg(k ORDER BY id) AS k, array_agg(a ORDER BY id) AS a,
	   array_agg(b ORDER BY id) AS b, array_agg(n ORDER BY id) AS n, array_agg(ts ORDER BY id) AS ts,
	   array_agg(f ORDER BY id) AS f, array_agg(j ORDER BY id) AS j
FROM source s GROUP BY 1;
CREATE TABLE big (id int PRIMARY KEY, v int, pad text);
INSERT INTO big SELECT i, i, md5(i::text) || 'some forty bytes more of payload in here' FROM generate_series(1, :big) i;
CREATE TYPE change AS (id int, v int);
CREATE UNLOGGED TABLE changes AS
SELECT array_agg(ROW(id, v)::change) AS rows, array_agg(id) AS ids, array_agg(v) AS vs
FROM (SELECT i * (:big / :part) AS id, -i AS v FROM generate_series(1, :part) i ORDER BY md5(i::text)) c;

CREATE PROCEDURE naive_update(size int) LANGUAGE plpgsql AS $$
DECLARE c changes; i int := 1;
BEGIN
	SELECT * INTO c FROM changes;
	WHILE i <= cardinality(c.ids) LOOP
		UPDATE big SET v = u.v FROM unnest(c.ids[i:i + size - 1], c.vs[i:i + size - 1]) u(id, v) WHERE big.id = u.id;
		i := i + size;
	END LOOP;
END $$;
CREATE PROCEDURE loop_update() LANGUAGE plpgsql AS $$
DECLARE c changes;
BEGIN
	SELECT * INTO c FROM changes;
	FOR i IN 1 .. cardinality(c.ids) LOOP
		UPDATE big SET v = c.vs[i] WHERE id = c.ids[i];
	END LOOP;
END $$;
CREATE PROCEDURE naive_delete(size int) LANGUAGE plpgsql AS $$
DECLARE c changes; i int := 1;
BEGIN
	SELECT * INTO c FROM changes;
	WHILE i <= cardinality(c.ids) LOOP
		DELETE FROM big USING unnest(c.ids[i:i + size - 1]) u(id) WHERE big.id = u.id;
		i := i + size;
	END LOOP;
END $$;
CREATE PROCEDURE any_delete(size int) LANGUAGE plpgsql AS $$
DECLARE c changes; i int := 1;
BEGIN
	SELECT * INTO c FROM changes;
	WHILE i <= cardinality(c.ids) LOOP
		DELETE FROM big WHERE id = ANY (c.ids[i:i + size - 1]);
		i := i + size;
	END LOOP;
END $$;
VACUUM ANALYZE;
