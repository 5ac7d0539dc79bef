
-- The server and its databases.
CREATE FUNCTION dbutil.health_measure_server() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	-- at 2^31 identifiers age turns into youth; writing stops 3 million before
	limit_age CONSTANT numeric := 2147483647 - 3000000;
	freeze_age numeric := current_setting('autovacuum_freeze_max_age');
	freeze_multi_age numeric := current_setting('autovacuum_multixact_freeze_max_age');
	counting boolean := current_setting('track_counts');
	timed bigint;
	requested bigint;
BEGIN
	-- databases that allow no connections age as well
	RETURN QUERY
	SELECT v.check_name, d.datname::text, v.share, NULL::numeric,
		   format(v.says, age(d.datfrozenxid), mxid_age(d.datminmxid)), NULL::text, false
	FROM pg_database AS d
	CROSS JOIN LATERAL (VALUES
		('xid_age', 100.0 * age(d.datfrozenxid) / limit_age, 'the oldest table is %1$s transactions old'),
		('multixact_age', 100.0 * mxid_age(d.datminmxid) / limit_age, 'the oldest table is %2$s multixacts old'),
		('freeze_overdue', greatest(100.0 * age(d.datfrozenxid) / freeze_age,
									100.0 * mxid_age(d.datminmxid) / freeze_multi_age),
		 'the oldest table is %s transactions and %s multixacts old')) AS v(check_name, share, says);

	RETURN QUERY
	SELECT 'cache_hit', d.datname::text,
		   CASE WHEN counting THEN coalesce(100.0 * d.blks_hit / nullif(d.blks_hit + d.blks_read, 0), 100) END,
		   (d.blks_hit + d.blks_read)::numeric,
		   CASE WHEN counting THEN format('%s of %s block reads were served from shared_buffers',
										  d.blks_hit, d.blks_hit + d.blks_read)
				ELSE 'track_counts is off' END, NULL::text, false
	FROM pg_stat_database AS d WHERE d.datname = current_database();

	-- the counters moved to a view of their own in 17
	EXECUTE CASE WHEN current_setting('server_version_num')::integer >= 170000
		THEN 'SELECT c.num_timed, c.num_requested FROM pg_catalog.pg_stat_checkpointer AS c'
		ELSE 'SELECT b.checkpoints_timed, b.checkpoints_req FROM pg_catalog.pg_stat_bgwriter AS b' END
	INTO timed, requested;
	RETURN QUERY SELECT 'requested_checkpoints', 'server', coalesce(100.0 * requested / nullif(timed + requested, 0), 0),
		(timed + requested)::numeric, format('%s of %s checkpoints were asked for', requested, timed + requested), NULL::text, false;

	RETURN QUERY
	SELECT s.check_name, s.setting_name, CASE current_setting(s.setting_name) WHEN 'off' THEN 1 ELSE 0 END::numeric,
		   NULL::numeric, format('%s is %s', s.setting_name, current_setting(s.setting_name)),
		   CASE current_setting(s.setting_name) WHEN 'off' THEN format('ALTER SYSTEM SET %I = on', s.setting_name) END,
		   false
	FROM (VALUES ('settings_off', 'fsync'), ('settings_off', 'full_page_writes'),
				 ('autovacuum_off', 'autovacuum'), ('autovacuum_off', 'track_counts')) AS s(check_name, setting_name);

	IF current_setting('data_checksums')::boolean THEN
		RETURN QUERY
		SELECT 'checksum_failures', coalesce(d.datname::text, 'shared objects'), d.checksum_failures::numeric,
			   NULL::numeric, format('%s failures, the last one at %s', d.checksum_failures, d.checksum_last_failure),
			   NULL::text, false
		FROM pg_stat_database AS d WHERE d.checksum_failures > 0;
	ELSE
		RETURN QUERY SELECT 'checksum_failures', 'server', NULL::numeric, NULL::numeric,
			'data checksums are off: damage is not noticed (pg_checksums turns them on while the server is down)',
			NULL::text, false;
	END IF;

	-- The rows of dbutil.status() that count what was lost are those that carry
	-- a bare number; they turn to warn with the first loss.
	RETURN QUERY
	SELECT 'dbutil_losses', s.item, CASE s.state WHEN 'warn' THEN s.item_value::numeric ELSE 0 END, NULL::numeric,
		   CASE s.state WHEN 'warn' THEN format('%s: %s; %s', s.item, s.item_value, s.fix) ELSE format('%s: 0', s.item) END,
		   NULL::text, false
	FROM dbutil.status() AS s
	WHERE s.item_value ~ '^[0-9]+$' AND s.item NOT IN ('service', 'library version', 'extension version')
	UNION ALL
	SELECT 'dbutil_losses', 'tracking', NULL, NULL, format('nothing is tracked: %s', s.fix), NULL, false
	FROM dbutil.status() AS s
	WHERE s.item = 'preload' AND s.state <> 'ok';
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_server() IS
	'what the checks on the server, its databases and dbutil itself see, for dbutil.health';

-- What costs more than a glance: files, all settings, collation libraries.
CREATE FUNCTION dbutil.health_measure_configuration() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
BEGIN
	RETURN QUERY
	SELECT 'pending_restart', s.name, 1::numeric, NULL::numeric,
		   format('%s is still %s', s.name, s.setting), NULL::text, false
	FROM pg_settings AS s WHERE s.pending_restart
	UNION ALL
	SELECT 'pending_restart', 'hidden settings', NULL, NULL, 'some settings are hidden', NULL, true
	WHERE NOT pg_has_role('pg_read_all_settings', 'USAGE');

	IF has_table_privilege('pg_file_settings', 'SELECT') AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')
		AND has_table_privilege('pg_hba_file_rules', 'SELECT') AND has_function_privilege('pg_hba_file_rules()', 'EXECUTE')
		AND has_table_privilege('pg_ident_file_mappings', 'SELECT')
		AND has_function_privilege('pg_ident_file_mappings()', 'EXECUTE')
	THEN
		-- a setting that only waits for a restart is listed as not applied, too
		RETURN QUERY
		SELECT 'config_file_errors', format('%s:%s', f.sourcefile, f.sourceline), 1::numeric, NULL::numeric,
			   concat_ws(': ', f.name, f.error), NULL::text, false
		FROM pg_file_settings AS f
		WHERE f.error IS NOT NULL
		  AND NOT EXISTS (SELECT FROM pg_settings AS s WHERE s.pending_restart AND lower(s.name) = lower(f.name))
		UNION ALL
		SELECT 'config_file_errors', format('%s:%s', current_setting('hba_file'), h.line_number), 1, NULL, h.error, NULL, false
		FROM pg_hba_file_rules AS h WHERE h.error IS NOT NULL
		UNION ALL
		SELECT 'config_file_errors', format('%s:%s', current_setting('ident_file'), i.line_number), 1, NULL, i.error, NULL, false
		FROM pg_ident_file_mappings AS i WHERE i.error IS NOT NULL;
	ELSE
		RETURN QUERY SELECT 'config_file_errors', 'configuration files', NULL::numeric, NULL::numeric,
			'the configuration files are hidden', NULL::text, true;
	END IF;

	-- Locks of the fast path are not in the table.  A lock that several hold is
	-- there once; the table is made for the processes that there can be.
	RETURN QUERY
	SELECT 'lock_table', 'server', 100.0 * l.locks / l.room, NULL::numeric,
		   format('%s locks, room for %s', l.locks, l.room), NULL::text, false
	FROM (
		SELECT count(*) AS locks,
			   current_setting('max_locks_per_transaction')::bigint
			   * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint
				  + current_setting('autovacuum_max_workers')::bigint + current_setting('max_worker_processes')::bigint
				  + current_setting('max_wal_senders')::bigint) AS room
		FROM (SELECT DISTINCT k.locktype, k.database, k.relation, k.page, k.tuple, k.virtualxid, k.transactionid,
					 k.classid, k.objid, k.objsubid
			  FROM pg_locks AS k WHERE NOT k.fastpath AND k.mode NOT LIKE 'SI%') AS d) AS l;

	-- of the many collations only those that something uses
	RETURN QUERY
	SELECT 'collation_version_drift', format('database %I', d.datname), 1::numeric, NULL::numeric,
		   format('made with version %s of its collation, the library now has %s', d.datcollversion, v.actual),
		   format('REINDEX DATABASE %1$I; ALTER DATABASE %1$I REFRESH COLLATION VERSION', d.datname), false
	FROM pg_database AS d
	CROSS JOIN LATERAL pg_database_collation_actual_version(d.oid) AS v(actual)
	WHERE d.datname = current_database() AND d.datcollversion IS NOT NULL
	  AND v.actual IS DISTINCT FROM d.datcollversion
	UNION ALL
	SELECT 'collation_version_drift', format('%I.%I', n.nspname, c.collname), 1, NULL,
		   format('made with version %s, the library now has %s', c.collversion, v.actual),
		   format('ALTER COLLATION %I.%I REFRESH VERSION', n.nspname, c.collname), false
	FROM pg_collation AS c
	JOIN pg_namespace AS n ON n.oid = c.collnamespace
	CROSS JOIN LATERAL pg_collation_actual_version(c.oid) AS v(actual)
	WHERE c.collversion IS NOT NULL
	  AND EXISTS (SELECT FROM pg_depend AS d
				  WHERE d.refclassid = 'pg_collation'::regclass AND d.refobjid = c.oid)
	  AND v.actual IS DISTINCT FROM c.collversion;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_configuration() IS
	'what the checks on settings, configuration files and collations see, for dbutil.health';
