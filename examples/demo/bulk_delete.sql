-- Every tenth tick goes, by an array of its keys, in one call.
INSERT INTO timings
SELECT 'delete', 'bulk', deleted, elapsed_ms
FROM dbutil.bulk_delete('ticks', (SELECT array_agg(id) FROM tick_feed WHERE id % 10 = 3))
RETURNING format('bulk_delete   %s rows in %s ms', row_count, round(ms::numeric));
