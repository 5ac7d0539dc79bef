-- The verdict as a service's /health would return it, and what is behind it:
-- one row a check with its worst object, then what to do where it is not ok.
SELECT v ->> 'status' AS verdict, v #>> '{counts,ok}' AS ok, v #>> '{counts,warn}' AS warn,
	   v #>> '{counts,critical}' AS critical, v #>> '{counts,unknown}' AS unknown,
	   v #>> '{server,role}' AS role, v #>> '{server,version}' AS version
FROM dbutil.check_database_health() AS v;

SELECT DISTINCT ON (check_name) check_name, status, left(object_name, 14) AS object,
	   value || ' ' || unit AS value, warn, critical
FROM dbutil.health
ORDER BY check_name, array_position(ARRAY['critical', 'warn', 'unknown', 'ok'], status),
		 health.value DESC NULLS LAST, object_name;

\pset format unaligned
\pset tuples_only on
SELECT DISTINCT ON (check_name) format(E'%s, %s:\n%s', check_name, object_name,
	   rtrim(regexp_replace(advice, '(.{1,88})( |$)', E'    \\1\n', 'g'), E'\n'))
FROM dbutil.health
WHERE status IN ('warn', 'critical') AND NOT silenced
ORDER BY check_name, array_position(ARRAY['critical', 'warn'], status), object_name;
