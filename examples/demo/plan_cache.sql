-- Time spent on planning, by statement, with the plan cache off and on.
SELECT service, left(regexp_replace(query, '\s+', ' ', 'g'), 24) AS statement, calls,
	   plan_cache_hits AS cache_hits,
	   round((1000 * total_plan_time / nullif(calls, 0))::numeric, 1) AS planning_us,
	   round((1000 * mean_exec_time)::numeric, 1) AS exec_us
FROM dbutil.statements
WHERE database_name = current_database()
  AND service LIKE 'plan-cache-%' AND operation = 'select'
ORDER BY statement, service;
