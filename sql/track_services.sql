--
-- dbutil.services, dbutil.service_tables
--
SELECT dbutil.track_reset();
CREATE SCHEMA track_shop;
CREATE TABLE track_shop.orders (id int PRIMARY KEY, item int, n int);
CREATE TABLE track_shop.items (id int PRIMARY KEY, name text);
CREATE TABLE track_shop.log (day int, note text) PARTITION BY LIST (day);
CREATE TABLE track_shop.log_1 PARTITION OF track_shop.log FOR VALUES IN (1);
CREATE TABLE track_shop.log_2 PARTITION OF track_shop.log FOR VALUES IN (2);
CREATE VIEW track_shop.named AS SELECT o.id, i.name FROM track_shop.orders o JOIN track_shop.items i ON i.id = o.item;
CREATE TEMP TABLE track_temp (i int);
SET dbutil.service = 'shop';
INSERT INTO track_shop.items VALUES (1, 'a'), (2, 'b');
INSERT INTO track_shop.orders VALUES (1, 1, 1);
INSERT INTO track_shop.orders VALUES (2, 2, 1);
INSERT INTO track_shop.orders VALUES (2, 2, 1) ON CONFLICT (id) DO UPDATE SET n = 2;
UPDATE track_shop.orders SET n = 5 WHERE id = 1;
SELECT * FROM track_shop.named ORDER BY id;
SELECT o.id FROM track_shop.orders o WHERE o.id = 1 FOR UPDATE;
INSERT INTO track_shop.log VALUES (1, 'x'), (2, 'y');
UPDATE track_shop.log SET note = 'z';
SELECT count(*) FROM track_shop.log;
WITH gone AS (DELETE FROM track_shop.orders WHERE id = 2 RETURNING item) SELECT name FROM track_shop.items JOIN gone ON gone.item = items.id;
INSERT INTO track_temp SELECT id FROM track_shop.orders;
SELECT 1 AS none;
DELETE FROM track_shop.orders WHERE false;
SET dbutil.service = 'report';
SELECT count(*) FROM track_shop.items;
MERGE INTO track_shop.items USING track_shop.orders ON orders.item = items.id WHEN MATCHED THEN UPDATE SET name = 'm';
RESET dbutil.service;
SELECT service, table_name, operation, statements, calls, rows, total_exec_time >= mean_exec_time AS times
FROM dbutil.service_tables WHERE database_name = current_database() AND service IN ('shop', 'report')
ORDER BY service COLLATE "C", table_name COLLATE "C", operation COLLATE "C";

-- one row a service
SET dbutil.service = 'shop';
SELECT 1 / (n - n) FROM track_shop.orders;
SELECT service, calls, errors, error_fraction > 0 AS error_fraction, calls_per_second > 0 AS rate,
	   time_in_database >= total_exec_time + total_plan_time AS time, p50_exec_time <= p99_exec_time AS percentiles,
	   connections, active, idle_in_transaction, stats_since <= now() AS since
FROM dbutil.services WHERE service IN ('shop', 'report') ORDER BY service COLLATE "C";
-- the session belongs to the service of its last statement
SET dbutil.service = 'report';
SELECT service, connections, active FROM dbutil.services WHERE service IN ('shop', 'report') ORDER BY service COLLATE "C";
BEGIN;
RESET dbutil.service;
COMMIT;

-- who sees what
CREATE ROLE regress_track_shop;
CREATE ROLE regress_track_shop_stats;
GRANT pg_read_all_stats TO regress_track_shop_stats;
SET ROLE regress_track_shop;
SELECT count(*) FROM dbutil.service_tables WHERE service = 'shop';
SELECT count(*) FROM dbutil.statement_tables() WHERE table_name LIKE 'track_shop.%';
SELECT count(*) FROM dbutil.services WHERE service = 'shop';
SET ROLE regress_track_shop_stats;
SELECT count(*) > 5 AS seen FROM dbutil.service_tables WHERE service = 'shop';
RESET ROLE;

-- what was reset is forgotten, and noted anew
SELECT dbutil.track_reset();
SELECT count(*) FROM dbutil.statement_tables() WHERE table_name LIKE 'track_shop.%';
SET dbutil.service = 'shop';
SELECT count(*) FROM track_shop.items;
RESET dbutil.service;
SELECT service, table_name, operation, calls FROM dbutil.service_tables WHERE table_name LIKE 'track_shop.%';
-- a table that was renamed has its new name with the next statement
ALTER TABLE track_shop.items RENAME TO goods;
SELECT count(name) FROM track_shop.goods;
SELECT DISTINCT table_name FROM dbutil.service_tables WHERE table_name LIKE 'track_shop.%';
SET client_min_messages = warning;
DROP SCHEMA track_shop CASCADE;
DROP TABLE track_temp;
DROP ROLE regress_track_shop, regress_track_shop_stats;
