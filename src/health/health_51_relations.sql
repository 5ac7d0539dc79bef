
-- What the checks say of each relation of the current database, by its name:
-- objects are a relation, or something of a relation behind a blank.
CREATE FUNCTION dbutil.health_by_relation(measured_by text[],
	OUT relation_name text, OUT status text, OUT findings text[])
	RETURNS SETOF record
	LANGUAGE sql VOLATILE STRICT
	SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT n.relation, (ARRAY['critical', 'warn', 'unknown', 'ok'])[min(n.severity)],
		   array_agg(DISTINCT n.check_name ORDER BY n.check_name) FILTER (WHERE n.severity <= 2)
	FROM (SELECT j.check_name, j.object_name, array_position(ARRAY['critical', 'warn', 'unknown', 'ok'], j.status) AS severity,
				 substring(j.object_name FROM '^((?:"(?:[^"]|"")+"|[^". ]+)\.(?:"(?:[^"]|"")+"|[^". ]+))') AS relation
		  FROM dbutil.health_judge(health_by_relation.measured_by) AS j
		  WHERE NOT j.silenced) AS n
	WHERE n.relation IS NOT NULL OR n.object_name = 'all'
	GROUP BY n.relation;
END;
COMMENT ON FUNCTION dbutil.health_by_relation(text[]) IS
	'the worst status and the checks that warn, for each relation that these measures looked at; relation_name NULL: what could not be measured at all';

CREATE VIEW dbutil.table_health AS
	WITH judged AS MATERIALIZED (SELECT r.* FROM dbutil.health_by_relation('{tables,bloat}') AS r)
	SELECT t.table_name, coalesce(h.status, failed.status, 'ok') AS status, h.findings,
		   nullif(t.reltuples, -1)::bigint AS estimated_rows,
		   t.relpages * t.block AS table_bytes, coalesce(x.pages, 0) * t.block AS index_bytes,
		   coalesce(o.relpages, 0) * t.block AS toast_bytes,
		   pg_catalog.pg_stat_get_live_tuples(t.oid) AS live_rows, pg_catalog.pg_stat_get_dead_tuples(t.oid) AS dead_rows,
		   b.bloat_bytes, b.bloat_percent,
		   pg_catalog.pg_stat_get_numscans(t.oid) AS seq_scans, x.scans AS index_scans,
		   pg_catalog.pg_stat_get_tuples_inserted(t.oid) AS rows_inserted, pg_catalog.pg_stat_get_tuples_updated(t.oid) AS rows_updated,
		   pg_catalog.pg_stat_get_tuples_hot_updated(t.oid) AS rows_hot_updated, pg_catalog.pg_stat_get_tuples_deleted(t.oid) AS rows_deleted,
		   greatest(pg_catalog.pg_stat_get_last_vacuum_time(t.oid), pg_catalog.pg_stat_get_last_autovacuum_time(t.oid)) AS last_vacuum,
		   greatest(pg_catalog.pg_stat_get_last_analyze_time(t.oid), pg_catalog.pg_stat_get_last_autoanalyze_time(t.oid)) AS last_analyze
	FROM (
		SELECT c.oid, c.reltoastrelid, c.reltuples, c.relpages,
			   pg_catalog.format('%I.%I', n.nspname, c.relname) AS table_name,
			   pg_catalog.current_setting('block_size')::bigint AS block
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
		  AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema') AS t
	LEFT JOIN judged AS h ON h.relation_name = t.table_name
	LEFT JOIN judged AS failed ON failed.relation_name IS NULL
	LEFT JOIN pg_catalog.pg_class AS o ON o.oid = t.reltoastrelid
	LEFT JOIN (
		SELECT i.indrelid, sum(c.relpages) AS pages, sum(pg_catalog.pg_stat_get_numscans(c.oid))::bigint AS scans
		FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
		GROUP BY i.indrelid) AS x ON x.indrelid = t.oid
	LEFT JOIN dbutil.table_bloat AS b ON b.relation = t.oid;
COMMENT ON VIEW dbutil.table_health IS
	'one row for each table and materialized view of the current database: status (the worst of the checks on tables) and findings (checks that warn, NULL: none; see dbutil.health), sizes in bytes and rows as of the last VACUUM or ANALYZE (so that no lock is waited for), bloat estimated from statistics (NULL: some column has none; free room that fillfactor asks for does not count; dbutil.measure_bloat() measures), scans and rows changed since statistics were reset';
GRANT SELECT ON dbutil.table_health TO PUBLIC;

CREATE VIEW dbutil.vacuum_health AS
	WITH judged AS MATERIALIZED (SELECT r.* FROM dbutil.health_by_relation('{tables}') AS r)
	SELECT t.table_name,
		   coalesce(CASE WHEN h.findings @> '{vacuum_overdue}' THEN h.status END, failed.status, 'ok') AS status,
		   v.enabled AS autovacuum_enabled, t.dead AS dead_rows, pg_catalog.round(v.vacuum_at) AS vacuum_at_dead_rows,
		   t.inserted AS inserted_since_vacuum, pg_catalog.round(v.insert_vacuum_at) AS vacuum_at_inserted,
		   t.changed AS changed_since_analyze, pg_catalog.round(v.analyze_at) AS analyze_at_changed,
		   t.xid_age, t.multixact_age, v.freeze_at AS freeze_at_age,
		   pg_catalog.round(100 * greatest(t.dead / greatest(v.vacuum_at, 1), t.inserted / greatest(v.insert_vacuum_at, 1),
								t.xid_age / v.freeze_at), 1) AS due_percent,
		   p.pid AS running_pid, p.phase AS running_phase,
		   pg_catalog.round(100.0 * p.heap_blks_scanned / nullif(p.heap_blks_total, 0), 1) AS scanned_percent,
		   p.index_vacuum_count AS index_passes,
		   pg_catalog.pg_stat_get_last_vacuum_time(t.oid) AS last_vacuum, pg_catalog.pg_stat_get_last_autovacuum_time(t.oid) AS last_autovacuum,
		   pg_catalog.pg_stat_get_last_analyze_time(t.oid) AS last_analyze, pg_catalog.pg_stat_get_last_autoanalyze_time(t.oid) AS last_autoanalyze,
		   pg_catalog.pg_stat_get_vacuum_count(t.oid) AS vacuum_count, pg_catalog.pg_stat_get_autovacuum_count(t.oid) AS autovacuum_count
	FROM (
		SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS table_name, c.reloptions,
			   pg_catalog.pg_stat_get_dead_tuples(c.oid)::numeric AS dead,
			   pg_catalog.pg_stat_get_ins_since_vacuum(c.oid)::numeric AS inserted,
			   pg_catalog.pg_stat_get_mod_since_analyze(c.oid)::numeric AS changed,
			   pg_catalog.age(c.relfrozenxid)::numeric AS xid_age, pg_catalog.mxid_age(c.relminmxid)::numeric AS multixact_age,
			   greatest(c.reltuples, 0)::numeric AS live,
			   1 - (pg_catalog.to_jsonb(c) ->> 'relallfrozen')::numeric / nullif(c.relpages, 0) AS unfrozen
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't') AS t
	LEFT JOIN judged AS h ON h.relation_name = t.table_name
	LEFT JOIN judged AS failed ON failed.relation_name IS NULL
	CROSS JOIN LATERAL dbutil.autovacuum_thresholds(t.reloptions, t.live, t.unfrozen) AS v
	LEFT JOIN pg_catalog.pg_stat_progress_vacuum AS p ON p.relid = t.oid AND p.datname = pg_catalog.current_database();
COMMENT ON VIEW dbutil.vacuum_health IS
	'one row for each table and materialized view of the current database, the catalogs too: what there is to vacuum, freeze and analyse, and at how much autovacuum comes (NULL: not for that reason), due_percent (100: it is due) and status by the check vacuum_overdue; the vacuum that runs now, how much of the table it has scanned (percent) and how often it had to go through the indexes; times and counts since statistics were reset. What a vacuum does is hidden, and NULL, unless your role has the privileges of pg_read_all_stats';
GRANT SELECT ON dbutil.vacuum_health TO PUBLIC;

CREATE VIEW dbutil.index_health AS
	WITH judged AS MATERIALIZED (SELECT r.* FROM dbutil.health_by_relation('{indexes,bloat}') AS r)
	SELECT x.index_name, x.table_name, coalesce(h.status, failed.status, 'ok') AS status, h.findings,
		   x.method, x.indisprimary AS is_primary, x.indisunique AS is_unique, x.indisvalid AS is_valid,
		   x.relpages * x.block AS index_bytes, nullif(x.reltuples, -1)::bigint AS entries,
		   b.bloat_bytes, b.bloat_percent,
		   pg_catalog.pg_stat_get_numscans(x.oid) AS scans, (u.seen ->> 'last_idx_scan')::timestamptz AS last_scan,
		   pg_catalog.pg_stat_get_tuples_returned(x.oid) AS rows_read, pg_catalog.pg_stat_get_tuples_fetched(x.oid) AS rows_fetched
	FROM (
		SELECT c.oid, c.relpages, c.reltuples, i.indisprimary, i.indisunique, i.indisvalid,
			   m.amname AS method, pg_catalog.format('%I.%I', n.nspname, c.relname) AS index_name,
			   pg_catalog.format('%I.%I', tn.nspname, t.relname) AS table_name,
			   pg_catalog.current_setting('block_size')::bigint AS block
		FROM pg_catalog.pg_index AS i
		JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
		JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
		JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
		WHERE c.relkind = 'i' AND c.relpersistence <> 't'
		  AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema') AS x
	LEFT JOIN judged AS h ON h.relation_name = x.index_name
	LEFT JOIN judged AS failed ON failed.relation_name IS NULL
	-- the column came with 16
	LEFT JOIN LATERAL (
		SELECT pg_catalog.to_jsonb(s) FROM pg_catalog.pg_stat_all_indexes AS s WHERE s.indexrelid = x.oid) AS u(seen) ON true
	LEFT JOIN dbutil.index_bloat AS b ON b.relation = x.oid;
COMMENT ON VIEW dbutil.index_health IS
	'one row for each index of the current database: status (the worst of the checks on indexes) and findings (checks that warn, NULL: none; see dbutil.health), size in bytes and entries as of the last VACUUM or ANALYZE, bloat of a btree estimated from statistics (NULL: another method, or a column without statistics; dbutil.measure_bloat() measures), scans and rows since statistics were reset (last_scan from PostgreSQL 16 on)';
GRANT SELECT ON dbutil.index_health TO PUBLIC;

CREATE VIEW dbutil.sequence_health AS
	SELECT j.object_name AS sequence_name, j.status, j.value AS used_percent,
		   dbutil.health_sequence_position(c.oid) AS stands_at, q.seqincrement AS increment,
		   q.seqmin AS min_value, q.seqmax AS max_value, q.seqtypid::regtype AS data_type,
		   j.message, j.suggested_sql
	FROM dbutil.health_judge('{sequences}') AS j
	LEFT JOIN (pg_catalog.pg_sequence AS q
			   JOIN pg_catalog.pg_class AS c ON c.oid = q.seqrelid
			   JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace)
		ON pg_catalog.format('%I.%I', n.nspname, c.relname) = j.object_name
	WHERE j.object_name <> 'none';
COMMENT ON VIEW dbutil.sequence_health IS
	'one row for each sequence of the current database that can come to its end: how much of it is used (percent, of the column it feeds if that is narrower; NULL and status unknown: hidden from your role, or locked), where it stands, and how to widen it';
GRANT SELECT ON dbutil.sequence_health TO PUBLIC;
