-- Services: who asks how much of the server.
SELECT service, calls, errors, rows, round(total_exec_time::numeric) AS exec_ms,
	   round(total_plan_time::numeric) AS plan_ms, plan_cache_hits AS cache_hits,
	   round(p99_exec_time::numeric, CASE WHEN p99_exec_time < 10 THEN 3 ELSE 0 END) AS p99, commits
FROM dbutil.services
WHERE service IN ('payments', 'market-data', 'reporting', 'plan-cache-off', 'plan-cache-on')
ORDER BY total_exec_time DESC;
