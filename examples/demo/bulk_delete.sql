-- Every tenth tick goes, by an array of its keys, in one call.
SELECT * FROM dbutil.bulk_delete('ticks', (SELECT array_agg(id) FROM tick_feed
										   WHERE id % 10 = 3)) \gset

INSERT INTO timings VALUES ('delete', 'bulk', :deleted, :elapsed_ms)
RETURNING format('bulk_delete   %s rows in %s ms', row_count, round(ms::numeric));
