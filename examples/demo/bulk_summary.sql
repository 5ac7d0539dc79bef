-- How fast each way was, and how many ticks are left of how many.
SELECT step, sum(row_count) FILTER (WHERE way = 'bulk') AS rows_in_bulk,
	   round(sum(row_count / 0.001) FILTER (WHERE way = 'bulk')
			 / sum(ms) FILTER (WHERE way = 'bulk')) AS rows_per_s,
	   round(sum(row_count / 0.001) FILTER (WHERE way = 'bulk, sample')
			 / sum(ms) FILTER (WHERE way = 'bulk, sample')) AS sample_bulk_per_s,
	   round(sum(row_count / 0.001) FILTER (WHERE way = 'row')
			 / sum(ms) FILTER (WHERE way = 'row')) AS sample_row_per_s,
	   round((sum(ms) FILTER (WHERE way = 'row')
			  / sum(ms) FILTER (WHERE way = 'bulk, sample'))::numeric, 1) AS gain
FROM timings
GROUP BY step
ORDER BY step = 'delete', step = 'update';

SELECT count(*) AS ticks_now,
	   count(*) FILTER (WHERE t.volume = f.volume + 1) AS of_these_updated,
	   count(*) FILTER (WHERE t.id % 10 = 3) AS deleted_but_there,
	   (SELECT count(*) FROM tick_feed) AS ticks_fed,
	   sum(t.volume) AS volume
FROM ticks AS t
JOIN tick_feed AS f USING (id);
