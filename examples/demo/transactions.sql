-- Transactions of each service: how many, of how many statements, how long,
-- and how long their commit took.
SELECT service, commits, rollbacks,
	   round(statements::numeric / nullif(commits + rollbacks, 0), 1) AS statements,
	   round(mean_time::numeric, 2) AS mean, round(p50_time::numeric, 2) AS p50,
	   round(p99_time::numeric, 2) AS p99,
	   round(mean_commit_time::numeric, 2) AS mean_commit,
	   round(p99_commit_time::numeric, 2) AS p99_commit
FROM dbutil.transactions
WHERE database_name = current_database()
  AND service IN ('payments', 'market-data', 'reporting')
ORDER BY service;
