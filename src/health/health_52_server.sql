
-- Connections by who made them, beside what limits them.
CREATE VIEW dbutil.connection_health AS
	WITH judged AS MATERIALIZED (
		SELECT j.object_name, (ARRAY['critical', 'warn', 'unknown', 'ok'])[min(s.severity)] AS status,
			   pg_catalog.array_agg(DISTINCT j.check_name) FILTER (WHERE s.severity <= 2) AS findings
		FROM dbutil.health_judge('{sessions}') AS j
		CROSS JOIN LATERAL (SELECT pg_catalog.array_position(ARRAY['critical', 'warn', 'unknown', 'ok'], j.status)) AS s(severity)
		WHERE NOT j.silenced
		GROUP BY j.object_name)
	SELECT a.datname AS database, a.usename AS username, a.application_name,
		   CASE WHEN a.hidden AND coalesce(h.status, 'ok') = 'ok' THEN 'unknown' ELSE coalesce(h.status, 'ok') END AS status, h.findings,
		   a.connections,
		   CASE WHEN NOT a.hidden THEN a.active END AS active,
		   CASE WHEN NOT a.hidden THEN a.idle END AS idle,
		   CASE WHEN NOT a.hidden THEN a.idle_in_transaction END AS idle_in_transaction,
		   CASE WHEN NOT a.hidden THEN a.waiting_for_lock END AS waiting_for_lock,
		   a.longest_transaction_s, a.longest_idle_in_transaction_s, a.oldest_connection_s,
		   pg_catalog.round(100.0 * a.connections / pg_catalog.current_setting('max_connections')::integer, 1) AS percent_of_max,
		   nullif(r.rolconnlimit, -1) AS role_limit, nullif(d.datconnlimit, -1) AS database_limit
	FROM (
		SELECT s.datid, s.usesysid, s.datname, s.usename, s.application_name, count(*) AS connections,
			   pg_catalog.bool_or(s.state IS NULL) AS hidden,
			   count(*) FILTER (WHERE s.state = 'active') AS active,
			   count(*) FILTER (WHERE s.state = 'idle') AS idle,
			   count(*) FILTER (WHERE s.state LIKE 'idle in transaction%') AS idle_in_transaction,
			   count(*) FILTER (WHERE s.wait_event_type = 'Lock') AS waiting_for_lock,
			   pg_catalog.round(max(extract(epoch FROM pg_catalog.clock_timestamp() - s.xact_start)), 1) AS longest_transaction_s,
			   pg_catalog.round(max(extract(epoch FROM pg_catalog.clock_timestamp() - s.state_change))
					 FILTER (WHERE s.state LIKE 'idle in transaction%'), 1) AS longest_idle_in_transaction_s,
			   pg_catalog.round(max(extract(epoch FROM pg_catalog.clock_timestamp() - s.backend_start)), 1) AS oldest_connection_s
		FROM pg_catalog.pg_stat_activity AS s
		-- what kind of session it is, is hidden from others too; all of a database are clients' or workers'
		WHERE s.datid IS NOT NULL AND coalesce(s.backend_type, 'client backend') = 'client backend'
		GROUP BY s.datid, s.usesysid, s.datname, s.usename, s.application_name) AS a
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid = a.datid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.usesysid
	LEFT JOIN judged AS h ON h.object_name = pg_catalog.format('%s/%s/%s', a.datname, a.usename, a.application_name);
COMMENT ON VIEW dbutil.connection_health IS
	'connections to all databases, one row for each database, role and application: status (the worst of the checks on its sessions) and findings (checks that warn, NULL: none; see dbutil.health), how many are in which state, times in seconds of the longest, and the limits of the role and of the database (NULL: none). Where sessions of other roles are hidden from yours, states are NULL and status is unknown';
GRANT SELECT ON dbutil.connection_health TO PUBLIC;

-- Standbys, slots, subscriptions, and this server's own receiver.
CREATE VIEW dbutil.replication_health AS
	WITH judged AS MATERIALIZED (
		SELECT j.object_name,
			   CASE WHEN j.check_name LIKE 'replication\_slots%' THEN 'slot'
					WHEN j.check_name = 'replica_lag' THEN 'standby'
					WHEN j.check_name IN ('replay_delay', 'standby_retry_interval') THEN 'receiver'
					WHEN j.check_name = 'subscription_errors' THEN 'subscription' END AS about,
			   (ARRAY['critical', 'warn', 'unknown', 'ok'])[min(s.severity)] AS status,
			   pg_catalog.array_agg(DISTINCT j.check_name) FILTER (WHERE s.severity <= 2) AS findings
		FROM dbutil.health_judge('{replication}') AS j
		CROSS JOIN LATERAL (SELECT pg_catalog.array_position(ARRAY['critical', 'warn', 'unknown', 'ok'], j.status)) AS s(severity)
		WHERE NOT j.silenced
		GROUP BY 1, 2),
	here AS MATERIALIZED (
		SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
					ELSE pg_catalog.pg_current_wal_lsn() END AS lsn),
	seen AS (
		SELECT 'standby' AS kind, r.application_name AS name, r.state, r.sync_state, r.pid,
			   pg_catalog.pg_wal_lsn_diff(h.lsn, r.replay_lsn) AS lag_bytes, NULL::numeric AS kept_bytes,
			   extract(epoch FROM r.write_lag) AS write_lag_s, extract(epoch FROM r.flush_lag) AS flush_lag_s,
			   extract(epoch FROM r.replay_lag) AS replay_lag_s, r.state IS NULL AS hidden
		FROM pg_catalog.pg_stat_replication AS r, here AS h
		UNION ALL
		SELECT s.slot_type || ' slot', s.slot_name, CASE WHEN s.active THEN 'active' ELSE 'inactive' END || coalesce(', WAL ' || s.wal_status, ''),
			   NULL, s.active_pid, pg_catalog.pg_wal_lsn_diff(h.lsn, s.confirmed_flush_lsn), pg_catalog.pg_wal_lsn_diff(h.lsn, s.restart_lsn),
			   NULL, NULL, NULL, false
		FROM pg_catalog.pg_replication_slots AS s, here AS h
		UNION ALL
		SELECT 'receiver', 'server', w.status, NULL, w.pid,
			   pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()), NULL, NULL, NULL, NULL,
			   w.pid IS NOT NULL AND w.status IS NULL
		FROM (SELECT) AS one LEFT JOIN pg_catalog.pg_stat_wal_receiver AS w ON true
		WHERE pg_catalog.pg_is_in_recovery()
		UNION ALL
		SELECT 'subscription', u.subname, CASE WHEN u.pid IS NULL THEN 'no worker' ELSE 'running' END, NULL, u.pid,
			   pg_catalog.pg_wal_lsn_diff(u.received_lsn, u.latest_end_lsn), NULL, NULL, NULL, NULL, false
		FROM pg_catalog.pg_stat_subscription AS u
		JOIN pg_catalog.pg_subscription AS b ON b.oid = u.subid
		JOIN pg_catalog.pg_database AS d ON d.oid = b.subdbid AND d.datname = pg_catalog.current_database()
		WHERE u.relid IS NULL AND pg_catalog.to_jsonb(u) ->> 'leader_pid' IS NULL)
	SELECT s.kind, s.name,
		   CASE WHEN s.hidden AND coalesce(j.status, 'ok') = 'ok' THEN 'unknown' ELSE coalesce(j.status, 'ok') END AS status, j.findings,
		   s.state, s.sync_state, s.pid, s.lag_bytes, s.kept_bytes, s.write_lag_s, s.flush_lag_s, s.replay_lag_s
	FROM seen AS s
	LEFT JOIN judged AS j
		ON j.object_name = s.name AND j.about = CASE WHEN s.kind LIKE '% slot' THEN 'slot' ELSE s.kind END;
COMMENT ON VIEW dbutil.replication_health IS
	'what replicates from and to this server: kind (standby: a walsender of this server, by application_name; physical slot, logical slot; receiver: this standby''s own; subscription of the current database), status (the worst of the checks on it) and findings (checks that warn, NULL: none; see dbutil.health), lag_bytes (WAL not yet replayed there; for a slot not yet confirmed, for a receiver received and not replayed, for a subscription received and not reported), kept_bytes (WAL that the slot keeps), lags in seconds as the standby last told. Where it is hidden from your role, it is NULL and status is unknown';
GRANT SELECT ON dbutil.replication_health TO PUBLIC;
