-- Every tenth tick goes, by an array of its keys, in one call.
WITH result AS (
	SELECT deleted, elapsed_ms
	FROM dbutil.bulk_delete('ticks', (SELECT array_agg(id) FROM tick_feed WHERE id % 10 = 3))
), kept AS (
	INSERT INTO timings SELECT 'delete', 'bulk', deleted, elapsed_ms FROM result
)
SELECT format('bulk_delete   %s rows in %s ms', deleted, round(elapsed_ms::numeric)) FROM result;
