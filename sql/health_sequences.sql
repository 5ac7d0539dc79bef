--
-- health: sequences run out by their own end or by their column's
--
CREATE SCHEMA health_q;
SET search_path = health_q;
CREATE FUNCTION used() RETURNS TABLE (sequence_name text, status text, value numeric, message text, suggested_sql text)
LANGUAGE sql AS $$
SELECT replace(object_name, 'health_q.', ''), status, value, replace(message, 'health_q.', ''), replace(suggested_sql, 'health_q.', '')
FROM dbutil.health
WHERE check_name = 'sequence_exhaustion' AND (object_name LIKE 'health\_q.%' OR needs = 'a check that works') ORDER BY object_name COLLATE "C" $$;

CREATE SEQUENCE fresh;
CREATE SEQUENCE s84 MAXVALUE 101;
SELECT setval('s84', 85);
CREATE SEQUENCE s85 MAXVALUE 101;
SELECT setval('s85', 86);
CREATE SEQUENCE s95 MAXVALUE 101;
SELECT setval('s95', 96);
CREATE SEQUENCE two MAXVALUE 2;
CREATE SEQUENCE cycles MAXVALUE 101 CYCLE;
SELECT setval('cycles', 100);
CREATE SEQUENCE down INCREMENT -1 MINVALUE -100 MAXVALUE -1 START -1;
SELECT setval('down', -99);
CREATE SEQUENCE down_fresh INCREMENT -1;
CREATE SEQUENCE wide MINVALUE -9223372036854775808 MAXVALUE 9223372036854775807 START 0;
CREATE SEQUENCE narrow AS smallint;
SELECT setval('narrow', 30000);
SELECT * FROM used();
DROP SEQUENCE fresh, s84, s85, s95, two, cycles, down, down_fresh, wide, narrow;

-- by column: serial, identity, a default, a domain, the narrower of two
CREATE TABLE "T t" ("I d" smallserial PRIMARY KEY);
ALTER SEQUENCE "T t_I d_seq" AS bigint;
SELECT setval('"T t_I d_seq"', 32000);
CREATE TABLE ident (id int GENERATED ALWAYS AS IDENTITY);
SELECT setval('ident_id_seq', 2000000000);
CREATE SEQUENCE plain;
SELECT setval('plain', 2000000000);
CREATE DOMAIN small AS int;
CREATE TABLE defaulted (a bigint DEFAULT nextval('plain'), b small DEFAULT nextval('plain'));
CREATE DOMAIN smaller AS small CHECK (VALUE > 0);
CREATE SEQUENCE nested;
SELECT setval('nested', 2147483647);
CREATE TABLE nested_domains (a smaller DEFAULT nextval('nested'));
CREATE TABLE big (id bigserial PRIMARY KEY);
SELECT setval('big_id_seq', 2147483648);
SELECT * FROM used();
-- the suggestions can be run as they are, and help
SELECT suggested_sql FROM dbutil.health WHERE object_name LIKE 'health\_q.%' AND suggested_sql IS NOT NULL ORDER BY object_name COLLATE "C" \gexec
SELECT * FROM used() WHERE status <> 'ok';
DROP TABLE ident, defaulted, big, nested_domains;
DROP SEQUENCE plain, nested;

-- what the function refuses is NULL, not an error
SELECT dbutil.health_sequence_position('"T t_I d_seq"'::regclass) AS stands_at,
	   dbutil.health_sequence_position('"T t"'::regclass) AS a_table,
	   dbutil.health_sequence_position(0) AS nothing,
	   dbutil.health_sequence_position(NULL) AS none;
CREATE TEMP SEQUENCE temp_seq START 7;
SELECT dbutil.health_sequence_position('temp_seq'::regclass) AS temporary;
DROP SEQUENCE temp_seq;

SET client_min_messages = warning;
DROP SCHEMA health_q CASCADE;
