-- A chunk of the feed into the table, as an array of rows, in one call.
--		psql -v first=1 -v last=100000 -f bulk_insert.sql
SELECT * FROM dbutil.bulk_insert('ticks', (SELECT array_agg(f) FROM tick_feed AS f
										   WHERE f.id BETWEEN :first AND :last)) \gset

INSERT INTO timings VALUES ('insert', 'bulk', :inserted, :elapsed_ms)
RETURNING format('bulk_insert   %s rows in %s ms', row_count, round(ms::numeric));
