-- The same three things for a sample of 5,000 rows, on a copy of the table:
-- one statement a row, all of them in one transaction (each in one of its own
-- would be slower still), and then in one call.
CREATE TABLE sample (LIKE ticks INCLUDING ALL);

SELECT clock_timestamp() AS start \gset
BEGIN;
SELECT format('INSERT INTO sample VALUES (%s, %L, %L, %s, %s, %s)', id, pair, ts, bid, ask, volume)
FROM tick_feed WHERE id <= 5000 \gexec
COMMIT;
INSERT INTO timings
SELECT 'insert', 'row', 5000, extract(epoch FROM clock_timestamp() - :'start') * 1000;

SELECT clock_timestamp() AS start \gset
BEGIN;
SELECT format('UPDATE sample SET volume = %s WHERE id = %s', volume + 1, id)
FROM tick_feed WHERE id <= 5000 \gexec
COMMIT;
INSERT INTO timings
SELECT 'update', 'row', 5000, extract(epoch FROM clock_timestamp() - :'start') * 1000;

SELECT clock_timestamp() AS start \gset
BEGIN;
SELECT format('DELETE FROM sample WHERE id = %s', id)
FROM tick_feed WHERE id <= 5000 \gexec
COMMIT;
INSERT INTO timings
SELECT 'delete', 'row', 5000, extract(epoch FROM clock_timestamp() - :'start') * 1000;

VACUUM sample;
INSERT INTO timings
SELECT 'insert', 'bulk, sample', inserted, elapsed_ms
FROM dbutil.bulk_insert('sample', (SELECT array_agg(f) FROM tick_feed AS f WHERE id <= 5000));
INSERT INTO timings
SELECT 'update', 'bulk, sample', updated, elapsed_ms
FROM dbutil.bulk_update('sample', (SELECT jsonb_agg(jsonb_build_object('id', id, 'volume', volume + 1))
								   FROM tick_feed WHERE id <= 5000));
INSERT INTO timings
SELECT 'delete', 'bulk, sample', deleted, elapsed_ms
FROM dbutil.bulk_delete('sample', (SELECT array_agg(id) FROM tick_feed WHERE id <= 5000));
DROP TABLE sample;
