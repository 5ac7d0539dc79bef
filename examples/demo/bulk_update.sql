-- Corrections for every fifth tick, as JSON, in one call: a column that is
-- named is set, one that is not stays as it is.
SELECT * FROM dbutil.bulk_update('ticks',
	(SELECT jsonb_agg(jsonb_build_object('id', id, 'volume', volume + 1))
	 FROM tick_feed WHERE id % 5 = 0)) \gset

INSERT INTO timings VALUES ('update', 'bulk', :updated, :elapsed_ms)
RETURNING format('bulk_update   %s rows in %s ms', row_count, round(ms::numeric));
