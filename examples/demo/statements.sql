-- The five statements of each service that took the most time in all.
SELECT service, statement, calls, total, p50, p95, p99
FROM (SELECT service, left(regexp_replace(query, '\s+', ' ', 'g'), 36) AS statement, calls,
			 round(total_exec_time::numeric) AS total,
			 round(p50_exec_time::numeric, CASE WHEN p50_exec_time < 10 THEN 3 ELSE 0 END) AS p50,
			 round(p95_exec_time::numeric, CASE WHEN p95_exec_time < 10 THEN 3 ELSE 0 END) AS p95,
			 round(p99_exec_time::numeric, CASE WHEN p99_exec_time < 10 THEN 3 ELSE 0 END) AS p99,
			 row_number() OVER (PARTITION BY service ORDER BY total_exec_time DESC) AS place
	  FROM dbutil.statements
	  WHERE database_name = current_database() AND toplevel
		AND service IN ('payments', 'market-data', 'reporting')) AS s
WHERE place <= 5
ORDER BY service, place;
