-- explain: index advice without hypopg: by estimate, and marked so
SET max_parallel_workers_per_gather = 0;
CREATE TABLE adv_o (id int PRIMARY KEY, customer int, status text, at date, amount int) WITH (autovacuum_enabled = off);
INSERT INTO adv_o SELECT i, i % 2000, CASE WHEN i % 50 = 0 THEN 'open' ELSE 'done' END, date '2024-01-01' + i % 700, i FROM generate_series(1, 20000) i;
CREATE TABLE adv_small (a int, b int) WITH (autovacuum_enabled = off);
INSERT INTO adv_small SELECT i, i FROM generate_series(1, 1000) i;
ANALYZE adv_o, adv_small;
CREATE FUNCTION adv(VARIADIC queries text[]) RETURNS TABLE (suggested_sql text, proven boolean, statements int[], reason text) LANGUAGE sql AS
	'SELECT suggested_sql, proven, statements, reason FROM dbutil.index_advice(queries)';

SELECT relation, suggested_sql, proven, cost_before, cost_after, gain_percent, estimated_size BETWEEN 200000 AND 800000 AS size, statements, reason
FROM dbutil.index_advice('{SELECT * FROM adv_o WHERE customer = 7}');
-- equality before a range, whatever the order in the text
SELECT * FROM adv('SELECT * FROM adv_o WHERE amount > 19990 AND customer = 7');
-- one statement's index is a prefix of another's
SELECT * FROM adv('SELECT * FROM adv_o WHERE customer = 7', 'SELECT * FROM adv_o WHERE customer = 8 AND amount > 19990', 'SELECT * FROM adv_o WHERE amount = 5 AND customer = 8');
-- through a view, in a subquery, in DML
CREATE VIEW adv_v AS SELECT id, customer FROM adv_o WHERE amount < 10;
SELECT * FROM adv('SELECT * FROM adv_v WHERE customer = 1');
SELECT * FROM adv('SELECT (SELECT count(*) FROM adv_o WHERE at = ''2024-02-02'')');
SELECT * FROM adv('UPDATE adv_o SET amount = 0 WHERE customer = 3');
-- the inner side of a nested loop
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT * FROM adv('SELECT * FROM adv_small s LEFT JOIN adv_o o ON o.customer = s.a WHERE s.b < 5');
RESET enable_hashjoin;
RESET enable_mergejoin;
-- nothing to advise: small, most rows kept, an index is there, no btree's condition, a catalog
SELECT * FROM adv('SELECT * FROM adv_small WHERE a = 7', 'SELECT * FROM adv_o WHERE amount > 10', 'SELECT * FROM adv_o WHERE id = 7',
	'SELECT * FROM adv_o WHERE status LIKE ''o%''', 'SELECT * FROM pg_class WHERE relpages = 7', 'SELECT 1', 'INSERT INTO adv_small VALUES (1)');
-- an existing index whose prefix would do, and one that the new index replaces
CREATE INDEX adv_o_at ON adv_o (at, amount);
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT * FROM adv('SELECT * FROM adv_o WHERE at = ''2024-02-02''');
SELECT * FROM adv('SELECT * FROM adv_o WHERE at = ''2024-02-02'' AND amount = 4');
SELECT * FROM adv('SELECT * FROM adv_o WHERE at = ''2024-02-02'' AND amount = 4 AND customer < 50');
-- one that cannot serve does not count
DROP INDEX adv_o_at;
CREATE INDEX adv_o_at ON adv_o (at) WHERE amount > 5;
SELECT * FROM adv('SELECT * FROM adv_o WHERE at = ''2024-02-02''');
RESET enable_indexscan;
RESET enable_bitmapscan;
-- nothing was created
SELECT count(*) FROM pg_index WHERE indrelid = 'adv_o'::regclass;

-- errors
SELECT dbutil.index_advice(ARRAY['SELECT 1', 'SELECT 1; SELECT 2']);
SELECT dbutil.index_advice('{VACUUM}');
SELECT dbutil.index_advice('{SELECT * FROM adv_none}');
SELECT dbutil.index_advice('{SELECT 1, NULL}');
SELECT count(*) FROM dbutil.index_advice('{}');
SELECT count(*) FROM dbutil.index_advice(NULL);
SELECT dbutil.index_advice_statements(0);
SELECT dbutil.statement_findings(0);

DROP FUNCTION adv(text[]);
DROP VIEW adv_v;
DROP TABLE adv_o, adv_small;
