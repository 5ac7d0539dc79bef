-- Each transaction added the same amount in three tables and wrote it down in a
-- fourth: if none was lost or doubled, the sums are equal, and there are as
-- many entries as transactions were committed.
--		psql -v committed=N -f balances.sql
SELECT a.total AS accounts, t.total AS tellers, b.total AS branches, h.total AS history,
	   h.entries, :committed AS committed,
	   CASE WHEN a.total = t.total AND t.total = b.total AND b.total = h.total
				 AND h.entries = :committed
			THEN 'ok' ELSE 'WRONG' END AS verdict
FROM (SELECT sum(abalance) AS total FROM pgbench_accounts) AS a,
	 (SELECT sum(tbalance) AS total FROM pgbench_tellers) AS t,
	 (SELECT sum(bbalance) AS total FROM pgbench_branches) AS b,
	 (SELECT coalesce(sum(delta), 0) AS total, count(*) AS entries FROM pgbench_history) AS h;
