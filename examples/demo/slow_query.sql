-- A report that filters by a column without an index: what it takes, what
-- dbutil finds in its plan, and what it takes once the advice was followed.
\set report 'SELECT count(*) AS ticks, round(avg(ask - bid), 5) AS spread FROM ticks WHERE volume = 900'
\echo :report

SELECT clock_timestamp() AS start \gset
:report;
SELECT format('took %s ms', round(extract(epoch FROM clock_timestamp() - :'start') * 1000, 1)) AS before \gset
\echo :before

SELECT f.severity, f.rule, f.node, f.evidence ->> 'rows_read' AS rows_read,
	   f.evidence ->> 'rows_kept' AS rows_kept, a.totals ->> 'total_cost' AS total_cost
FROM jsonb_to_record(dbutil.analyze_query(:'report')) AS a(totals jsonb, findings jsonb),
	 jsonb_to_recordset(a.findings) AS f(severity text, rule text, node text, evidence jsonb);

-- The same as rows; the suggestion is followed.
SELECT replace(advice, '. ', E'.\n') AS advice, suggested_sql AS suggestion
FROM dbutil.findings(:'report') ORDER BY suggested_sql IS NULL LIMIT 1 \gset
\echo :advice
\echo :suggestion
:suggestion;

SELECT clock_timestamp() AS start \gset
:report;
SELECT format('took %s ms, findings left: %s', round(extract(epoch FROM clock_timestamp() - :'start') * 1000, 1),
			  (SELECT count(*) FROM dbutil.findings(:'report'))) AS after \gset
\echo :after
