/*
 * check_catalogs.c
 *		The report of `dbutil check` where the extension is not installed.
 *
 * One expression of type jsonb over catalogs and statistics that every PostgreSQL
 * has: the form of the report of dbutil.check_database_health(), of the checks
 * for which an outsider has eyes.  Their names, levels, units, thresholds and
 * queries are those of the extension (src/health); a test compares the former,
 * and what both find on one server.  In addition "checks" lists what was measured.
 *
 * $1 is the service (NULL: none), $2 the level.  It waits for no lock and reads
 * no user's table.  The search path is pg_catalog, pg_temp (session.c).
 */
#include "cli.h"

/* Names, levels, units and thresholds. */
#define CHECKS \
	"checks(check_name, level, unit, warn, critical) AS (VALUES" \
	"	('connections_used', 'quick', '%', 75::numeric, 90::numeric)," \
	"	('idle_in_transaction', 'quick', 's', 900, 1800)," \
	"	('long_transaction', 'quick', 's', 120, 3600)," \
	"	('xid_age', 'quick', '%', 50, 80)," \
	"	('multixact_age', 'quick', '%', 50, 80)," \
	"	('replication_slots', 'quick', 'MB', 10240, 51200)," \
	"	('replica_lag', 'quick', 'MB', 50, 100)," \
	"	('invalid_indexes', 'full', 'MB', 0, NULL))"

/*
 * Who may not see what sessions of other roles do is told so.  Of sessions the
 * worst of each application stands for the others.
 */
#define SESSIONS \
	"SELECT 'connections_used' AS check_name, 'server' AS object_name," \
	"	CASE WHEN eyes.see_all THEN 100.0 * seats.used / greatest(seats.free_to_all, 1) END AS value," \
	"	CASE WHEN eyes.see_all THEN format('%s of %s connections are in use', seats.used, seats.free_to_all)" \
	"		ELSE 'what sessions of other roles do is hidden' END AS message," \
	"	NOT eyes.see_all AS hidden" \
	" FROM eyes CROSS JOIN (" \
	"	SELECT (SELECT count(*) FROM pg_stat_activity AS a WHERE a.backend_type = 'client backend') AS used," \
	"		current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer" \
	"		- coalesce(current_setting('reserved_connections', true)::integer, 0) AS free_to_all) AS seats" \
	" UNION ALL" \
	" SELECT k.check_name, 'sessions of other roles', NULL, 'what sessions of other roles do is hidden', true" \
	" FROM eyes CROSS JOIN (VALUES ('idle_in_transaction'), ('long_transaction')) AS k(check_name)" \
	" WHERE NOT eyes.see_all" \
	" UNION ALL" \
	" SELECT * FROM (" \
	"	SELECT DISTINCT ON (s.check_name, s.object_name) s.check_name, s.object_name, s.seconds," \
	"		format(s.says, s.pid, round(s.seconds)), false" \
	"	FROM (" \
	"		SELECT k.check_name, k.says, a.pid, format('%s/%s/%s', a.datname, a.usename, a.application_name) AS object_name," \
	"			greatest(extract(epoch FROM clock_timestamp() - k.since), 0) AS seconds" \
	"		FROM pg_stat_activity AS a CROSS JOIN LATERAL (VALUES" \
	"			('idle_in_transaction', CASE WHEN a.state LIKE 'idle in transaction%' THEN a.state_change END," \
	"			 'session %s has been idle in its transaction for %s s')," \
	"			('long_transaction', a.xact_start," \
	"			 'session %s has had its transaction open for %s s')) AS k(check_name, since, says)" \
	"		WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND k.since IS NOT NULL) AS s" \
	"	ORDER BY s.check_name, s.object_name, s.seconds DESC) AS worst"

/* Writing stops 3 million identifiers before age turns into youth, at 2^31. */
#define AGES \
	"SELECT v.check_name, d.datname::text, 100.0 * v.age / (2147483647 - 3000000), format(v.says, v.age), false" \
	" FROM pg_database AS d CROSS JOIN LATERAL (VALUES" \
	"	('xid_age', age(d.datfrozenxid), 'the oldest table is %s transactions old')," \
	"	('multixact_age', mxid_age(d.datminmxid), 'the oldest table is %s multixacts old')) AS v(check_name, age, says)"

/* Where there is neither slot nor standby the place in the WAL is not asked for. */
#define HERE \
	"CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"

#define REPLICATION \
	"SELECT 'replication_slots', r.slot_name::text, pg_wal_lsn_diff(" HERE ", r.restart_lsn) / 1048576," \
	"	format('%s slot keeps %s MB of WAL', CASE WHEN r.active THEN 'the active' ELSE 'the inactive' END," \
	"		round(pg_wal_lsn_diff(" HERE ", r.restart_lsn) / 1048576)), false" \
	" FROM pg_replication_slots AS r" \
	" WHERE r.restart_lsn IS NOT NULL AND r.wal_status IS DISTINCT FROM 'lost'" \
	" UNION ALL" \
	" SELECT * FROM (" \
	"	SELECT DISTINCT ON (2) 'replica_lag', coalesce(r.application_name, 'unknown')," \
	"		pg_wal_lsn_diff(" HERE ", r.replay_lsn) / 1048576," \
	"		CASE WHEN eyes.see_all THEN format('%s of session %s, state %s'," \
	"				coalesce(pg_size_pretty(pg_wal_lsn_diff(" HERE ", r.replay_lsn)), 'unknown'), r.pid, r.state)" \
	"			ELSE 'what walsenders of other roles do is hidden' END," \
	"		NOT eyes.see_all AND r.state IS NULL" \
	"	FROM pg_stat_replication AS r CROSS JOIN eyes" \
	"	WHERE r.state IS NULL OR r.state IN ('streaming', 'catchup')" \
	"	ORDER BY 2, 3 DESC NULLS FIRST) AS lag"

/* An index that is being built is no finding; its builder's lock tells it. */
#define INDEXES \
	"SELECT 'invalid_indexes', format('%I.%I', n.nspname, x.relname)," \
	"	x.relpages * current_setting('block_size')::numeric / 1048576," \
	"	CASE x.relkind WHEN 'I' THEN format('some partitions of %I have no index attached to it', c.relname)" \
	"		ELSE format('an index of %I that was not built to the end, or is being dropped', c.relname) END, false" \
	" FROM pg_index AS i" \
	" JOIN pg_class AS x ON x.oid = i.indexrelid" \
	" JOIN pg_class AS c ON c.oid = i.indrelid" \
	" JOIN pg_namespace AS n ON n.oid = x.relnamespace" \
	" WHERE $2::text = 'full' AND NOT (i.indisvalid AND i.indisready AND i.indislive) AND x.relpersistence <> 't'" \
	"	AND NOT EXISTS (" \
	"		SELECT FROM pg_stat_progress_create_index AS b JOIN pg_locks AS l ON l.pid = b.pid" \
	"		WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.granted" \
	"			AND l.mode = 'ShareUpdateExclusiveLock'" \
	"			AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))"

/* A check counts once, with the worst of its objects. */
#define JUDGED \
	"judged AS MATERIALIZED (" \
	"	SELECT c.check_name, coalesce(m.object_name, 'none') AS object_name, c.unit, m.value, c.warn, c.critical," \
	"		m.message, m.hidden," \
	"		CASE WHEN m.check_name IS NULL THEN 4 WHEN m.value IS NULL THEN 3" \
	"			WHEN m.value >= c.critical THEN 1 WHEN m.value >= c.warn THEN 2 ELSE 4 END AS severity" \
	"	FROM checks AS c LEFT JOIN measured AS m ON m.check_name = c.check_name" \
	"	WHERE c.level = 'quick' OR $2::text = 'full')," \
	"per_check AS (" \
	"	SELECT DISTINCT ON (j.check_name) j.*, bool_or(j.hidden AND j.severity = 3) OVER () AS blind" \
	"	FROM judged AS j ORDER BY j.check_name, j.severity, j.value DESC NULLS LAST, j.object_name)," \
	"counts AS (" \
	"	SELECT count(*) FILTER (WHERE p.severity = 1) AS critical, count(*) FILTER (WHERE p.severity = 2) AS warn," \
	"		count(*) FILTER (WHERE p.severity = 3) AS not_known, count(*) FILTER (WHERE p.severity = 4) AS ok," \
	"		coalesce(bool_or(p.blind), false) AS blind" \
	"	FROM per_check AS p)"

#define SERVICE \
	"CASE WHEN $1::text IS NOT NULL THEN jsonb_build_object('service', jsonb_build_object('name', $1::text, 'sessions', (" \
	"	SELECT jsonb_build_object('connections', count(*)," \
	"		'active', CASE WHEN bool_and(a.state IS NOT NULL) IS NOT false THEN count(*) FILTER (WHERE a.state = 'active') END," \
	"		'idle_in_transaction', CASE WHEN bool_and(a.state IS NOT NULL) IS NOT false" \
	"			THEN count(*) FILTER (WHERE a.state LIKE 'idle in transaction%') END," \
	"		'waiting_for_lock', CASE WHEN bool_and(a.state IS NOT NULL) IS NOT false" \
	"			THEN count(*) FILTER (WHERE a.wait_event_type = 'Lock') END)" \
	"	FROM pg_stat_activity AS a" \
	"	WHERE a.application_name = $1::text AND a.datid IS NOT NULL AND a.pid <> pg_backend_pid())," \
	"	'tracked', jsonb_build_object('status', 'unknown', 'reason', 'the extension dbutil is not installed')))" \
	" ELSE '{}' END"

const char *const cli_catalog_report =
	"(WITH eyes AS MATERIALIZED (SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS see_all)," CHECKS ","
	"measured AS MATERIALIZED (" SESSIONS " UNION ALL " AGES " UNION ALL " REPLICATION " UNION ALL " INDEXES ")," JUDGED
	" SELECT jsonb_build_object("
	"	'status', CASE WHEN c.critical > 0 THEN 'critical' WHEN c.warn > 0 THEN 'warn' WHEN c.blind THEN 'unknown' ELSE 'ok' END,"
	"	'score', CASE WHEN c.critical + c.warn + c.ok > 0 THEN greatest(0, 100 - 25 * c.critical - 5 * c.warn) END,"
	"	'level', $2::text,"
	"	'checked_at', clock_timestamp(),"
	"	'counts', jsonb_build_object('ok', c.ok, 'warn', c.warn, 'critical', c.critical, 'unknown', c.not_known, 'silenced', 0),"
	"	'findings_total', (SELECT count(*) FROM judged AS j WHERE j.severity <= 2),"
	"	'findings', coalesce(("
	"		SELECT jsonb_agg(jsonb_build_object('check', w.check_name, 'object', w.object_name,"
	"			'status', CASE w.severity WHEN 1 THEN 'critical' ELSE 'warn' END, 'value', round(w.value, 2), 'unit', w.unit,"
	"			'warn', w.warn, 'critical', w.critical, 'message', w.message)"
	"			ORDER BY w.severity, w.check_name, w.value DESC, w.object_name)"
	"		FROM (SELECT * FROM judged AS j WHERE j.severity <= 2"
	"			ORDER BY j.severity, j.check_name, j.value DESC, j.object_name LIMIT 20) AS w), '[]'),"
	"	'unknown', coalesce(("
	"		SELECT jsonb_agg(jsonb_build_object('check', u.check_name, 'objects', u.objects,"
	"			'needs', CASE WHEN u.hidden THEN 'pg_monitor' END, 'message', u.message) ORDER BY u.check_name)"
	"		FROM (SELECT j.check_name, count(*) AS objects, bool_or(j.hidden) AS hidden, min(j.message) AS message"
	"			FROM judged AS j WHERE j.severity = 3 GROUP BY j.check_name) AS u), '[]'),"
	"	'checks', (SELECT jsonb_agg(jsonb_build_object('check', p.check_name, 'level', k.level, 'unit', p.unit, 'warn', p.warn,"
	"			'critical', p.critical, 'status', (ARRAY['critical', 'warn', 'unknown', 'ok'])[p.severity],"
	"			'value', round(CASE WHEN p.object_name = 'none' THEN 0 ELSE p.value END, 2)) ORDER BY p.check_name)"
	"		FROM per_check AS p JOIN checks AS k ON k.check_name = p.check_name),"
	"	'server', jsonb_build_object('version', current_setting('server_version'),"
	"		'version_num', current_setting('server_version_num')::integer, 'dbutil', NULL,"
	"		'database', current_database(), 'role', CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END,"
	"		'in_recovery', pg_is_in_recovery(), 'started_at', pg_postmaster_start_time(),"
	"		'uptime_s', floor(extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()))))"
	"	|| " SERVICE
	" FROM counts AS c)";
