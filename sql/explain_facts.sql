-- explain: what catalogs and statistics add to a plan that is made here
SET max_parallel_workers_per_gather = 0;

-- stale_statistics: rows modified since ANALYZE, as a share of those that it saw
CREATE TABLE facts_stale (id int, k int) WITH (autovacuum_enabled = off);
CREATE VIEW facts_findings AS SELECT f.* FROM
	dbutil.findings('SELECT FROM facts_stale AS s JOIN facts_stale AS t USING (id)') AS f WHERE f.rule = 'stale_statistics';
INSERT INTO facts_stale SELECT i, i FROM generate_series(1, 999) i;
SELECT pg_stat_force_next_flush();
-- silent: never analyzed, but small
SELECT severity, node, relation, evidence, suggested_sql FROM facts_findings;
INSERT INTO facts_stale VALUES (1000, 1000);
SELECT pg_stat_force_next_flush();
SELECT severity, node, relation, evidence, suggested_sql, node_path = '{0,Plan,Plans,0,Plans,0}' AS at_first_scan FROM facts_findings;
INSERT INTO facts_stale SELECT i, i FROM generate_series(1001, 6000) i;
ANALYZE facts_stale;
SELECT pg_stat_force_next_flush();
-- silent: what was loaded before ANALYZE is counted after it
SELECT severity, node, relation, evidence, suggested_sql FROM facts_findings;
ANALYZE facts_stale;
-- silent at a fifth
UPDATE facts_stale SET k = 0 WHERE id <= 1200;
SELECT pg_stat_force_next_flush();
SELECT severity, relation, evidence FROM facts_findings;
DELETE FROM facts_stale WHERE id = 1;
SELECT pg_stat_force_next_flush();
SELECT severity, relation, evidence FROM facts_findings;
UPDATE facts_stale SET k = 0 WHERE id > 4200;
SELECT pg_stat_force_next_flush();
SELECT severity, relation, evidence FROM facts_findings;
-- what is written is told of by the scan
SELECT node FROM dbutil.findings('UPDATE facts_stale SET k = 1 WHERE id = 7') WHERE rule = 'stale_statistics';
DROP VIEW facts_findings;
DROP TABLE facts_stale;

-- wrapped_column where another index finds the rows, or the same one by other columns
CREATE TABLE facts_wrapped (id int PRIMARY KEY, customer int, day date, name text) WITH (autovacuum_enabled = off);
INSERT INTO facts_wrapped SELECT i, i % 2, date '2024-01-01' + i % 300, 'n' || i FROM generate_series(1, 60000) i;
CREATE INDEX facts_wrapped_customer ON facts_wrapped (customer, day);
CREATE INDEX facts_wrapped_name ON facts_wrapped (name);
VACUUM ANALYZE facts_wrapped;
CREATE FUNCTION facts_wrapped(query text) RETURNS TABLE (severity text, kind text, wrapped text, index text)
LANGUAGE sql AS $$
	SELECT f.severity, regexp_replace(f.node, '(Scan).*', '\1'), f.evidence ->> 'column', f.evidence ->> 'index'
	FROM dbutil.findings(query, run => true) f WHERE rule = 'wrapped_column'
$$;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT * FROM facts_wrapped('SELECT name FROM facts_wrapped WHERE customer = 1 AND day + 1 = date ''2024-02-01''');
SELECT * FROM facts_wrapped('SELECT id FROM facts_wrapped WHERE customer = 1 AND upper(name) = ''N7''');
SELECT * FROM facts_wrapped('SELECT count(*) FROM facts_wrapped WHERE id::text = ''7''');
SELECT * FROM facts_wrapped('SELECT day FROM facts_wrapped WHERE customer = 1 AND extract(year FROM day) = 2023');
-- silent: the column is no key of the index that is used, few rows are read, the column as it is
SELECT * FROM facts_wrapped('SELECT id FROM facts_wrapped WHERE name >= ''n'' AND day + 1 = date ''2024-02-01''');
SELECT * FROM facts_wrapped('SELECT name FROM facts_wrapped WHERE customer = 1 AND day = ''2024-01-02'' AND upper(name) = ''N1''');
SELECT * FROM facts_wrapped('SELECT id FROM facts_wrapped WHERE customer = 1 AND day = ''2024-01-02''');
SET enable_bitmapscan = on;
SET enable_indexscan = off;
SELECT * FROM facts_wrapped('SELECT name FROM facts_wrapped WHERE customer = 1 AND day + 1 = date ''2024-02-01''');
RESET enable_bitmapscan;
RESET enable_indexscan;
RESET enable_seqscan;
DROP FUNCTION facts_wrapped(text);
DROP TABLE facts_wrapped;
RESET max_parallel_workers_per_gather;
