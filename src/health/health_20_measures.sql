
-- Sessions: durations of other roles are hidden from who may not read all
-- statistics, and what is hidden is unknown, not well.
CREATE FUNCTION dbutil.health_measure_sessions(
	OUT check_name text, OUT object_name text, OUT measured numeric, OUT suggested_sql text)
	RETURNS SETOF record
	LANGUAGE sql STABLE
	BEGIN ATOMIC
	WITH a AS (
		SELECT s.* FROM pg_catalog.pg_stat_activity AS s
		WHERE s.pid <> pg_catalog.pg_backend_pid() AND s.datname IS NOT NULL
	), seen AS (
		SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS everything
	), worst AS (
		SELECT 'idle_in_transaction' AS check_name, a.pid,
			   extract(epoch FROM pg_catalog.clock_timestamp() - a.state_change) AS seconds
		FROM a WHERE a.state IN ('idle in transaction', 'idle in transaction (aborted)')
		UNION ALL
		SELECT 'long_query', a.pid, extract(epoch FROM pg_catalog.clock_timestamp() - a.query_start)
		FROM a WHERE a.state = 'active' AND a.backend_type = 'client backend'
		UNION ALL
		SELECT 'long_transaction', a.pid, extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)
		FROM a WHERE a.backend_type = 'client backend'
		UNION ALL
		SELECT 'lock_wait', l.pid, extract(epoch FROM pg_catalog.clock_timestamp() - l.waitstart)
		FROM pg_catalog.pg_locks AS l WHERE NOT l.granted
	), longest AS (
		SELECT DISTINCT ON (w.check_name) w.check_name, w.pid, w.seconds
		FROM worst AS w WHERE w.seconds IS NOT NULL ORDER BY w.check_name, w.seconds DESC
	)
	SELECT c.check_name, coalesce('session ' || l.pid, 'sessions'),
		   CASE WHEN seen.everything OR c.check_name = 'lock_wait' THEN coalesce(l.seconds, 0) END,
		   'SELECT pg_terminate_backend(' || l.pid || ')'
	FROM (VALUES ('idle_in_transaction'), ('long_query'), ('long_transaction'), ('lock_wait')) AS c(check_name)
	CROSS JOIN seen
	LEFT JOIN longest AS l ON l.check_name = c.check_name
	UNION ALL
	SELECT 'connections_used', 'server',
		   100.0 * (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity AS s WHERE s.backend_type = 'client backend' OR s.backend_type IS NULL AND s.datid IS NOT NULL)
				 / pg_catalog.current_setting('max_connections')::numeric, NULL
	UNION ALL
	SELECT 'prepared_transactions', coalesce(pg_catalog.min(p.gid), 'server'),
		   coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.min(p.prepared)), 0), NULL
	FROM pg_catalog.pg_prepared_xacts AS p;
	END;
COMMENT ON FUNCTION dbutil.health_measure_sessions() IS
	'values of the checks on sessions, locks and connections, for dbutil.health';

CREATE FUNCTION dbutil.health_measure_server(
	OUT check_name text, OUT object_name text, OUT measured numeric, OUT suggested_sql text)
	RETURNS SETOF record
	LANGUAGE sql STABLE
	BEGIN ATOMIC
	-- identifiers run out at 2^31 less a reserve of 3 million
	SELECT 'xid_age', d.datname::text,
		   100.0 * pg_catalog.age(d.datfrozenxid) / 2144483647, NULL::text
	FROM pg_catalog.pg_database AS d WHERE d.datallowconn
	UNION ALL
	SELECT 'multixact_age', d.datname::text,
		   100.0 * pg_catalog.mxid_age(d.datminmxid) / 2144483647, NULL
	FROM pg_catalog.pg_database AS d WHERE d.datallowconn
	UNION ALL
	SELECT 'replication_slot', r.slot_name::text,
		   CASE WHEN r.wal_status = 'lost' THEN 1e9
				WHEN pg_catalog.pg_is_in_recovery() OR r.restart_lsn IS NULL THEN 0
				ELSE pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), r.restart_lsn) / 1048576 END,
		   pg_catalog.format('SELECT pg_drop_replication_slot(%L)', r.slot_name)
	FROM pg_catalog.pg_replication_slots AS r
	UNION ALL
	SELECT 'archiver', 'server',
		   CASE WHEN a.last_failed_time > coalesce(a.last_archived_time, '-infinity')
				THEN extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.last_archived_time, a.stats_reset)) ELSE 0 END, NULL
	FROM pg_catalog.pg_stat_archiver AS a
	UNION ALL
	-- with few reads the share says nothing
	SELECT 'cache_hit', d.datname::text,
		   CASE WHEN d.blks_read >= 100000 THEN 100.0 * d.blks_hit / (d.blks_hit + d.blks_read) ELSE 100 END, NULL
	FROM pg_catalog.pg_stat_database AS d WHERE d.datname IS NOT NULL
	UNION ALL
	SELECT 'settings_unsafe', s.name, CASE s.setting WHEN 'off' THEN 1 ELSE 0 END,
		   'ALTER SYSTEM SET ' || s.name || ' = on'
	FROM pg_catalog.pg_settings AS s
	WHERE s.name IN ('fsync', 'full_page_writes', 'autovacuum', 'track_counts')
	UNION ALL
	SELECT 'pending_restart', coalesce(pg_catalog.string_agg(s.name, ', ' ORDER BY s.name), 'server'),
		   pg_catalog.count(*), NULL
	FROM pg_catalog.pg_settings AS s WHERE s.pending_restart
	UNION ALL
	SELECT 'checksum_failures', d.datname::text, coalesce(d.checksum_failures, 0), NULL
	FROM pg_catalog.pg_stat_database AS d WHERE d.datname IS NOT NULL
	UNION ALL
	SELECT 'dbutil_losses', s.item,
		   CASE s.item_value ~ '^[0-9]+$' WHEN true THEN s.item_value::numeric ELSE 0 END, NULL
	FROM dbutil.status() AS s WHERE s.item LIKE '%dropped%' OR s.item LIKE '%<other>%';
	END;
COMMENT ON FUNCTION dbutil.health_measure_server() IS
	'values of the checks on the server and its databases, for dbutil.health';

CREATE FUNCTION dbutil.health_measure_objects(
	OUT check_name text, OUT object_name text, OUT measured numeric, OUT suggested_sql text)
	RETURNS SETOF record
	LANGUAGE sql STABLE
	BEGIN ATOMIC
	WITH t AS (
		SELECT c.oid, c.relkind, c.relispartition, pg_catalog.format('%I.%I', n.nspname, c.relname) AS table_name
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbutil')
		  AND n.nspname NOT LIKE 'pg\_t%' AND c.relkind IN ('r', 'p', 'S')
	), i AS (
		SELECT x.*, t.table_name, pg_catalog.format('%I.%I', n.nspname, c.relname) AS index_name, c.relam
		FROM pg_catalog.pg_index AS x
		JOIN t ON t.oid = x.indrelid
		JOIN pg_catalog.pg_class AS c ON c.oid = x.indexrelid
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
	)
	SELECT 'invalid_index', i.index_name, 1::numeric, 'REINDEX INDEX CONCURRENTLY ' || i.index_name
	FROM i WHERE NOT i.indisvalid
	UNION ALL
	SELECT 'duplicate_index', b.index_name || ' = ' || a.index_name, 1,
		   'DROP INDEX CONCURRENTLY ' || b.index_name
	FROM i AS a JOIN i AS b
		ON a.indrelid = b.indrelid AND a.relam = b.relam
		AND a.indkey = b.indkey AND a.indnkeyatts = b.indnkeyatts
		AND a.indclass = b.indclass AND a.indcollation = b.indcollation AND a.indoption = b.indoption
		AND coalesce(pg_catalog.pg_get_expr(a.indexprs, a.indrelid), '') = coalesce(pg_catalog.pg_get_expr(b.indexprs, b.indrelid), '')
		AND coalesce(pg_catalog.pg_get_expr(a.indpred, a.indrelid), '') = coalesce(pg_catalog.pg_get_expr(b.indpred, b.indrelid), '')
	WHERE a.indisvalid AND b.indisvalid
	  -- keep the one that guards most; a unique one is no duplicate of a plain one
	  AND NOT b.indisprimary AND (a.indisunique OR NOT b.indisunique)
	  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conindid = b.indexrelid)
	  AND (a.indisprimary, a.indisunique, b.indexrelid) > (b.indisprimary, b.indisunique, a.indexrelid)
	UNION ALL
	SELECT 'foreign_key_without_index', t.table_name || ' ' || pg_catalog.quote_ident(k.conname), 1,
		   'CREATE INDEX CONCURRENTLY ON ' || t.table_name || ' ('
		   || (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY u.ord)
			   FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(num, ord)
			   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.num) || ')'
	FROM pg_catalog.pg_constraint AS k JOIN t ON t.oid = k.conrelid
	WHERE k.contype = 'f' AND k.conparentid = 0
	  -- the leading columns of a whole index must be the key's, in any order
	  AND NOT EXISTS (
		SELECT FROM i
		WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indpred IS NULL
		  AND i.indnkeyatts >= pg_catalog.cardinality(k.conkey)
		  AND (SELECT pg_catalog.array_agg(x.num ORDER BY x.num)
			   FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS x(num, ord)
			   WHERE x.ord <= pg_catalog.cardinality(k.conkey))
			= (SELECT pg_catalog.array_agg(y.num ORDER BY y.num) FROM pg_catalog.unnest(k.conkey) AS y(num)))
	UNION ALL
	SELECT 'no_primary_key', t.table_name, 1, NULL
	FROM t JOIN pg_catalog.pg_class AS c ON c.oid = t.oid
	WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND c.relreplident IN ('d', 'n')
	  AND NOT EXISTS (SELECT FROM i WHERE i.indrelid = t.oid AND i.indisprimary)
	UNION ALL
	-- a column that is narrower than its sequence runs out first
	SELECT 'sequence_exhaustion', t.table_name,
		   CASE WHEN q.seqincrement < 0 OR q.seqcycle THEN 0
				WHEN pg_catalog.has_sequence_privilege(t.oid, 'SELECT, USAGE')
				THEN 100.0 * (coalesce(v.last_value, q.seqmin) - q.seqmin)
					 / nullif(least(q.seqmax, w.column_max)::numeric - q.seqmin, 0) END, NULL
	FROM t
	JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = t.oid
	LEFT JOIN pg_catalog.pg_class AS c ON c.oid = t.oid
	LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
	LEFT JOIN pg_catalog.pg_sequences AS v ON v.schemaname = n.nspname AND v.sequencename = c.relname
	LEFT JOIN LATERAL (
		SELECT CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 END AS column_max
		FROM pg_catalog.pg_depend AS d
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.objid = t.oid
		LIMIT 1) AS w ON true
	UNION ALL
	SELECT 'dead_tuples', pg_catalog.format('%I.%I', u.schemaname, u.relname),
		   100.0 * u.n_dead_tup / (u.n_live_tup + u.n_dead_tup),
		   pg_catalog.format('VACUUM %I.%I', u.schemaname, u.relname)
	FROM pg_catalog.pg_stat_user_tables AS u WHERE u.n_dead_tup > 10000
	UNION ALL
	SELECT 'disabled_trigger', t.table_name || ' ' || pg_catalog.quote_ident(g.tgname), 1,
		   'ALTER TABLE ' || t.table_name || ' ENABLE TRIGGER ' || pg_catalog.quote_ident(g.tgname)
	FROM pg_catalog.pg_trigger AS g JOIN t ON t.oid = g.tgrelid
	WHERE g.tgenabled = 'D' AND NOT g.tgisinternal
	UNION ALL
	SELECT 'constraint_not_valid', t.table_name || ' ' || pg_catalog.quote_ident(k.conname), 1,
		   'ALTER TABLE ' || t.table_name || ' VALIDATE CONSTRAINT ' || pg_catalog.quote_ident(k.conname)
	FROM pg_catalog.pg_constraint AS k JOIN t ON t.oid = k.conrelid
	WHERE NOT k.convalidated;
	END;
COMMENT ON FUNCTION dbutil.health_measure_objects() IS
	'values of the checks on tables, indexes, sequences and constraints of the current database, for dbutil.health';
