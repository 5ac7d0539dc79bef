-- What bulk calls write counts in the statistics of tracking, by whatever route it goes.
SELECT dbutil.track_reset();
CREATE SCHEMA bulk_tracked_test;
CREATE TABLE bulk_tracked_test.plain (id int PRIMARY KEY, v text);
CREATE TABLE bulk_tracked_test.parted (id int PRIMARY KEY, v text) PARTITION BY HASH (id);
CREATE TABLE bulk_tracked_test.part PARTITION OF bulk_tracked_test.parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
-- rows that a transaction wrote
SET dbutil.service = 'bulk top';
SELECT path, inserted FROM dbutil.bulk_insert('bulk_tracked_test.plain', '[{"id": 1}, {"id": 2}, {"id": 3}]');
SELECT path, inserted FROM dbutil.bulk_insert('bulk_tracked_test.plain', '[{"id": 3}, {"id": 4}]', on_conflict => 'nothing');
SELECT path, inserted FROM dbutil.bulk_insert('bulk_tracked_test.parted', '[{"id": 1}, {"id": 2}]');
SELECT deleted FROM dbutil.bulk_delete('bulk_tracked_test.plain', ARRAY[1]);
-- with all statements, those that there would have been
SET dbutil.track = 'all';
SET dbutil.service = 'bulk all';
SELECT path, inserted FROM dbutil.bulk_insert('bulk_tracked_test.plain', '[{"id": 11}, {"id": 12}, {"id": 13}]');
SELECT path, inserted FROM dbutil.bulk_insert('bulk_tracked_test.plain', '[{"id": 14}]');
SELECT path, inserted FROM dbutil.bulk_insert('bulk_tracked_test.parted', '[{"id": 11, "v": "x"}, {"id": 12, "v": "y"}]');
SELECT updated FROM dbutil.bulk_update('bulk_tracked_test.parted', '[{"id": 11, "v": "z"}]');
SELECT FROM dbutil.bulk_insert('bulk_tracked_test.plain', '[{"id": 15}, {"id": 14}]');
SET dbutil.service = 'bulk spi';
SET dbutil.bulk_route = 'spi';
SELECT path, inserted FROM dbutil.bulk_insert('bulk_tracked_test.plain', '[{"id": 21}, {"id": 22}]');
RESET dbutil.bulk_route;
RESET dbutil.track;
RESET dbutil.service;
SELECT service, sum(rows_written) AS rows_written FROM dbutil.transactions WHERE service LIKE 'bulk %' GROUP BY 1 ORDER BY 1;
SELECT service, table_name, operation, calls, rows, total_exec_time > 0 AS timed FROM dbutil.service_tables
WHERE table_name LIKE 'bulk_tracked_test.%' ORDER BY service, table_name, operation;
SELECT query, calls, rows, toplevel, wal_bytes > 0 AS wal FROM dbutil.statements WHERE service = 'bulk all' AND operation = 'insert' ORDER BY query;
SET client_min_messages = warning;
DROP SCHEMA bulk_tracked_test CASCADE;
