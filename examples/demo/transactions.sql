-- Transactions of each service: how many, of how many statements each, how
-- long they took (ms) and how much of that the commit.
SELECT service, commits, rollbacks,
	   round(statements::numeric / nullif(commits + rollbacks, 0), 1) AS per_tx,
	   round(mean_time::numeric, 1) AS mean, round(p50_time::numeric, 1) AS p50,
	   round(p99_time::numeric, 1) AS p99,
	   round(mean_commit_time::numeric, 1) AS commit, round(p99_commit_time::numeric, 1) AS commit_p99
FROM dbutil.transactions
WHERE database_name = current_database()
  AND service IN ('payments', 'market-data', 'reporting')
ORDER BY service;
