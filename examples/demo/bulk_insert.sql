-- A chunk of the feed into the table, as an array of rows, in one call.
--		psql -v first=1 -v last=100000 -f bulk_insert.sql
INSERT INTO timings
SELECT 'insert', 'bulk', inserted, elapsed_ms
FROM dbutil.bulk_insert('ticks', (SELECT array_agg(f) FROM tick_feed AS f
								  WHERE f.id BETWEEN :first AND :last))
RETURNING format('bulk_insert   %s rows in %s ms', row_count, round(ms::numeric));
