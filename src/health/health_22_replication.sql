
-- Replication slots, standbys, archiving.
CREATE FUNCTION dbutil.health_measure_replication() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	see_all boolean := pg_has_role('pg_read_all_stats', 'USAGE');
	in_recovery boolean := pg_is_in_recovery();
	here pg_lsn := CASE WHEN in_recovery THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END;
	received pg_lsn := CASE WHEN in_recovery THEN pg_last_wal_receive_lsn() END;
	replayed pg_lsn;
	receiving boolean;
	at_least numeric;
	at_most numeric;
	apply_delay numeric;
	segments bigint;
	segment bigint;
BEGIN
	-- Since when a slot is inactive, and whether it is a failover slot kept in
	-- step with the primary's (inactive by design), is told from 17 on.
	RETURN QUERY
	WITH slot AS (
		SELECT r.slot_name, r.active, r.temporary, r.wal_status,
			   pg_wal_lsn_diff(here, r.restart_lsn) / 1048576 AS kept_mb,
			   to_jsonb(r) ? 'inactive_since' AS since_known,
			   (to_jsonb(r) ->> 'inactive_since')::timestamptz AS inactive_since,
			   coalesce((to_jsonb(r) ->> 'synced')::boolean, false) AS synced
		FROM pg_replication_slots AS r
	)
	SELECT 'replication_slots', s.slot_name::text, s.kept_mb, NULL::numeric,
		   format('%s slot keeps %s MB of WAL', CASE WHEN s.active THEN 'the active' ELSE 'the inactive' END, round(s.kept_mb)),
		   CASE WHEN NOT s.active THEN format('SELECT pg_drop_replication_slot(%L)', s.slot_name) END, false
	FROM slot AS s WHERE s.kept_mb IS NOT NULL AND s.wal_status IS DISTINCT FROM 'lost'
	UNION ALL
	SELECT 'replication_slots_lost', s.slot_name, CASE s.wal_status WHEN 'lost' THEN 2 WHEN 'unreserved' THEN 1 ELSE 0 END, NULL,
		   format('wal_status is %s', coalesce(s.wal_status, 'not set: the slot keeps no WAL')),
		   CASE WHEN s.wal_status = 'lost' THEN format('SELECT pg_drop_replication_slot(%L)', s.slot_name) END, false
	FROM slot AS s
	UNION ALL
	SELECT 'replication_slots_inactive', s.slot_name,
		   CASE WHEN s.active THEN 0
				WHEN s.since_known THEN extract(epoch FROM clock_timestamp() - s.inactive_since) END, NULL,
		   CASE WHEN s.active THEN 'the slot is in use'
				WHEN s.inactive_since IS NOT NULL THEN format('nobody has used the slot since %s', s.inactive_since)
				WHEN s.since_known THEN 'nobody is using the slot; since when is not recorded'
				ELSE 'nobody is using the slot; since when, PostgreSQL 17 and later tell' END,
		   CASE WHEN NOT s.active THEN format('SELECT pg_drop_replication_slot(%L)', s.slot_name) END, false
	FROM slot AS s WHERE NOT s.synced AND s.wal_status IS DISTINCT FROM 'lost';

	-- A base backup is a walsender, too, but replays nothing.
	RETURN QUERY
	SELECT DISTINCT ON (2)
		   'replica_lag', coalesce(r.application_name, 'unknown'),
		   pg_wal_lsn_diff(here, r.replay_lsn) / 1048576, NULL::numeric,
		   CASE WHEN see_all THEN format('%s of session %s, state %s', coalesce(pg_size_pretty(pg_wal_lsn_diff(here, r.replay_lsn)), 'unknown'), r.pid, r.state)
				ELSE 'what walsenders of other roles do is hidden' END,
		   NULL::text, NOT see_all AND r.state IS NULL
	FROM pg_stat_replication AS r
	WHERE r.state IS NULL OR r.state IN ('streaming', 'catchup')
	ORDER BY 2, 3 DESC NULLS FIRST;		-- the unknown is the worst

	-- For how long, at least, WAL that was received has been waiting for its
	-- replay.  The age of the last replayed commit is more than that if the primary
	-- was quiet before, or busy with one long transaction; it is an upper bound only.
	-- A lower bound is when the file that holds the next byte to replay was last
	-- written, on this server's own clock: exact but for the time in which one
	-- segment filled.  Where replay stands still in the file that is being written
	-- and the two are far apart, the truth is unknown, until it lasts.  Without a receiver an idle primary and a
	-- lost one look the same.
	IF in_recovery THEN
		replayed := pg_last_wal_replay_lsn();
		receiving := EXISTS (SELECT FROM pg_stat_wal_receiver);
		apply_delay := extract(epoch FROM (current_setting('recovery_min_apply_delay'))::interval);
		at_most := greatest(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) - apply_delay, 0);
		IF receiving AND replayed < received AND has_function_privilege('pg_ls_waldir()', 'EXECUTE') THEN
			segments := 4294967296 / pg_size_bytes(current_setting('wal_segment_size'));
			segment := div(replayed - '0/0', pg_size_bytes(current_setting('wal_segment_size')));
			at_least := (SELECT greatest(extract(epoch FROM clock_timestamp() - max(f.modification)) - apply_delay, 0)
						 FROM pg_ls_waldir() AS f
						 WHERE right(f.name, 16) = upper(lpad(to_hex(segment / segments), 8, '0') || lpad(to_hex(segment % segments), 8, '0')));
		END IF;
		RETURN QUERY SELECT 'replay_delay', 'server',
			CASE WHEN NOT receiving THEN NULL
				 WHEN replayed >= received OR at_most = 0 THEN 0
				 -- it went on while we looked, or the next byte is in a file that is full
				 WHEN replayed > here OR segment < div(received - '0/0' - 1, pg_size_bytes(current_setting('wal_segment_size'))) THEN at_least
				 WHEN at_most <= 2 * coalesce(at_least, 0) + 1 THEN coalesce(at_least, at_most) END, NULL::numeric,
			CASE WHEN NOT receiving THEN 'no WAL receiver is running: how far the primary is cannot be known'
				 WHEN replayed >= received THEN 'all WAL that was received is replayed'
				 WHEN at_least IS NULL THEN format('%s of WAL wait to be replayed; since when is hidden', pg_size_pretty(received - replayed))
				 WHEN at_most IS NULL THEN format('%s of WAL wait to be replayed, since %s s or longer; no transaction has been replayed since this server started', pg_size_pretty(received - replayed), round(at_least))
				 ELSE format('%s of WAL wait to be replayed, since between %s and %s s', pg_size_pretty(received - replayed), round(least(at_least, at_most)), round(at_most)) END, NULL::text,
			receiving AND replayed < received AND at_least IS NULL AND coalesce(at_most > 1, true);
	END IF;

	-- A standby whose source is gone looks for another one no sooner than this.
	IF in_recovery THEN
		RETURN QUERY SELECT 'standby_retry_interval', 'server',
			extract(epoch FROM current_setting('wal_retrieve_retry_interval')::interval) * 1000, NULL::numeric,
			format('wal_retrieve_retry_interval is %s', current_setting('wal_retrieve_retry_interval')),
			'ALTER SYSTEM SET wal_retrieve_retry_interval = ''200ms''', false;
	END IF;

	-- Counted since the last reset: what was mended is taken back by one.
	RETURN QUERY
	SELECT 'subscription_errors', u.subname::text, (s.apply_error_count + s.sync_error_count)::numeric, NULL::numeric,
		   format('%s errors in applying, %s in copying tables%s', s.apply_error_count, s.sync_error_count,
				  CASE WHEN NOT u.subenabled THEN '; the subscription is disabled' ELSE '' END),
		   format('SELECT pg_stat_reset_subscription_stats(%s)', u.oid), false
	FROM pg_subscription AS u
	JOIN pg_stat_subscription_stats AS s ON s.subid = u.oid
	WHERE u.subdbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database());

	-- The age of the oldest file that is ready says for how long archiving has
	-- been failing or hanging; pg_stat_archiver could not tell that from a
	-- quiet server.
	IF current_setting('archive_mode') = 'always' OR (current_setting('archive_mode') = 'on' AND NOT in_recovery) THEN
		IF has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE') THEN
			RETURN QUERY
			SELECT v.check_name, 'server', v.value, NULL::numeric, format('%s files wait to be archived', w.files), NULL::text, false
			FROM (SELECT count(*) AS files, coalesce(greatest(extract(epoch FROM clock_timestamp() - min(f.modification)), 0), 0) AS oldest
				  FROM pg_ls_archive_statusdir() AS f WHERE f.name LIKE '%.ready') AS w
			CROSS JOIN LATERAL (VALUES ('archiver', w.oldest), ('archiver_backlog', w.files)) AS v(check_name, value);
		ELSE
			RETURN QUERY SELECT v.check_name, 'server', NULL::numeric, NULL::numeric,
				'the list of files to be archived is hidden', NULL::text, true
			FROM (VALUES ('archiver'), ('archiver_backlog')) AS v(check_name);
		END IF;
	END IF;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_replication() IS
	'what the checks on replication slots, standbys and archiving see, for dbutil.health';
