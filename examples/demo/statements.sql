-- The statements that took the most time, and for each its slowest service.
SELECT service, left(regexp_replace(query, '\s+', ' ', 'g'), 34) AS statement, calls, rows,
	   round(total_exec_time::numeric) AS total, round(p50_exec_time::numeric, 3) AS p50,
	   round(p95_exec_time::numeric, 3) AS p95, round(p99_exec_time::numeric, 3) AS p99
FROM dbutil.statements
WHERE database_name = current_database()
  AND service IN ('payments', 'market-data', 'reporting') AND toplevel
ORDER BY service, total_exec_time DESC;
