
-- Indexes of the current database.  Sizes are relpages, as of the last VACUUM,
-- ANALYZE or CREATE INDEX: asking for the real size would wait for locks.
CREATE FUNCTION dbutil.health_measure_indexes() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	page_mb numeric := current_setting('block_size')::numeric / 1048576;
	counting boolean := current_setting('track_counts');
	min_pages integer := ceil(1 / page_mb);		-- a megabyte
	stats_days numeric;
BEGIN
	-- CREATE INDEX and REINDEX CONCURRENTLY leave an index invalid while they run.
	-- Which table they work on is hidden from ordinary roles, that they run and
	-- what they lock is not.  The lock on the table alone would not do: VACUUM and
	-- ANALYZE take the same one.  On the index itself only REINDEX and DROP INDEX
	-- CONCURRENTLY take it, and what is over in a moment.
	RETURN QUERY
	WITH busy AS MATERIALIZED (
		SELECT l.relation, l.pid IN (SELECT b.pid FROM pg_stat_progress_create_index AS b) AS builds
		FROM pg_locks AS l
		WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
		  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
	)
	SELECT 'invalid_indexes', format('%I.%I', n.nspname, x.relname), x.relpages * page_mb, NULL::numeric,
		   CASE x.relkind WHEN 'I' THEN format('some partitions of %I have no index attached to it', c.relname)
						  ELSE format('an index of %I that was not built to the end, or is being dropped', c.relname) END,
		   -- a partitioned index becomes valid when all of its partitions have theirs
		   CASE WHEN x.relkind = 'I' THEN NULL
				WHEN x.relname ~ '_cc(new|old)\d*$' THEN format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, x.relname)
				ELSE format('REINDEX INDEX CONCURRENTLY %I.%I', n.nspname, x.relname) END, false
	FROM pg_index AS i
	JOIN pg_class AS x ON x.oid = i.indexrelid
	JOIN pg_class AS c ON c.oid = i.indrelid
	JOIN pg_namespace AS n ON n.oid = x.relnamespace
	WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND x.relpersistence <> 't'
	  AND NOT EXISTS (
		SELECT FROM busy AS b
		WHERE b.relation = i.indrelid AND b.builds OR b.relation = i.indexrelid);

	-- Duplicates: the same in all that decides what an index can do.  Of each
	-- such set the one that guards most stays, then the oldest; a unique index
	-- guards what it guards, and NULLs and the time of the check are part of
	-- that.  Expressions are compared as they are stored, less their place in
	-- the source text.
	RETURN QUERY
	WITH alike AS MATERIALIZED (
		SELECT array_agg(i.indexrelid) AS members
		FROM pg_index AS i
		WHERE i.indrelid >= 16384		-- those below are the system's own
		  AND i.indisvalid AND NOT i.indisexclusion
		GROUP BY i.indrelid, i.indnkeyatts, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text
		HAVING count(*) > 1
	), candidate AS MATERIALIZED (
		SELECT i.indexrelid, i.indrelid, i.indisunique, x.relpages, x.relispartition, n.nspname, x.relname,
			   i.indisprimary OR i.indisreplident AS is_key,
			   (SELECT k.conname FROM pg_depend AS d JOIN pg_constraint AS k ON k.oid = d.refobjid
				WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
				  AND d.refclassid = 'pg_constraint'::regclass AND d.deptype = 'i') AS conname,
			   -- by a foreign key
			   EXISTS (SELECT FROM pg_depend AS d
					   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indexrelid
						 AND d.classid = 'pg_constraint'::regclass) AS is_referenced,
			   CASE WHEN i.indisunique THEN concat_ws(' ', i.indimmediate, i.indnullsnotdistinct) END AS guard,
			   concat_ws(' / ', x.relam, i.indnkeyatts, i.indkey, i.indclass, i.indcollation, i.indoption,
						 coalesce(regexp_replace(i.indexprs::text, ':location -?\d+', '', 'g'), ''),
						 coalesce(regexp_replace(i.indpred::text, ':location -?\d+', '', 'g'), ''),
						 (SELECT string_agg(a.attoptions::text, ' ' ORDER BY a.attnum) FROM pg_attribute AS a
						  WHERE a.attrelid = i.indexrelid AND a.attoptions IS NOT NULL)) AS shape
		FROM alike AS s
		CROSS JOIN unnest(s.members) AS u(indexrelid)
		JOIN pg_index AS i ON i.indexrelid = u.indexrelid
		JOIN pg_class AS x ON x.oid = i.indexrelid
		JOIN pg_namespace AS n ON n.oid = x.relnamespace
		WHERE x.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
	), paired AS (
		SELECT c.*, first_value(c.indexrelid) OVER w AS keep_oid, first_value(c.relname) OVER w AS keep_name,
			   first_value(c.indexrelid) OVER g AS guard_oid, first_value(c.relname) OVER g AS guard_name
		FROM candidate AS c
		WINDOW w AS (PARTITION BY c.indrelid, c.shape
					 ORDER BY c.is_key DESC, c.is_referenced DESC, c.conname IS NOT NULL DESC, c.indisunique DESC,
							  c.relispartition DESC, c.indexrelid),
			   g AS (PARTITION BY c.indrelid, c.shape, c.guard
					 ORDER BY c.is_key DESC, c.is_referenced DESC, c.conname IS NOT NULL DESC, c.indisunique DESC,
							  c.relispartition DESC, c.indexrelid)
	)
	SELECT 'duplicate_indexes', format('%I.%I', p.nspname, p.relname), p.relpages * page_mb, NULL::numeric,
		   format('it does nothing that %I does not', CASE WHEN p.indisunique THEN p.guard_name ELSE p.keep_name END),
		   CASE WHEN p.conname IS NOT NULL THEN format('ALTER TABLE %I.%I DROP CONSTRAINT %I', cn.nspname, c.relname, p.conname)
				WHEN c.relkind = 'p' THEN format('DROP INDEX %I.%I', p.nspname, p.relname)
				ELSE format('DROP INDEX CONCURRENTLY %I.%I', p.nspname, p.relname) END, false
	FROM paired AS p
	JOIN pg_class AS c ON c.oid = p.indrelid
	JOIN pg_namespace AS cn ON cn.oid = c.relnamespace
	WHERE p.indexrelid <> CASE WHEN p.indisunique THEN p.guard_oid ELSE p.keep_oid END
	  AND NOT p.is_key AND NOT p.is_referenced
	  AND NOT p.relispartition;		-- told by its parent, and not to be dropped alone

	-- Scans are counted where they happen, so a standby cannot judge.  The
	-- archiver's statistics are as old as the last start after initdb or a
	-- crash, when all others began anew, too.
	IF NOT pg_is_in_recovery() THEN
		SELECT extract(epoch FROM clock_timestamp() - greatest(d.stats_reset, a.stats_reset)) / 86400
		INTO stats_days
		FROM pg_stat_database AS d, pg_stat_archiver AS a
		WHERE d.datname = current_database();
		RETURN QUERY
		SELECT 'unused_indexes', format('%I.%I', n.nspname, x.relname),
			   CASE WHEN counting THEN x.relpages * page_mb END, coalesce(stats_days, 0),
			   CASE WHEN counting THEN format('used by %s scans in %s days', pg_stat_get_numscans(x.oid), round(stats_days, 1))
					ELSE 'track_counts is off' END,
			   format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, x.relname), false
		FROM pg_class AS x
		JOIN pg_index AS i ON i.indexrelid = x.oid
		JOIN pg_namespace AS n ON n.oid = x.relnamespace
		WHERE x.relpages >= min_pages AND x.relkind = 'i' AND x.relpersistence <> 't' AND NOT x.relispartition
		  AND i.indisvalid AND NOT (i.indisunique OR i.indisexclusion OR i.indisreplident)
		  AND i.indexprs IS NULL		-- these feed the planner with statistics
		  AND n.nspname NOT LIKE 'pg\_%'
		  AND pg_stat_get_numscans(x.oid) <= 20
		  AND NOT EXISTS (SELECT FROM pg_depend AS d
						  WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indrelid AND d.deptype = 'e');
	END IF;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_indexes() IS
	'what the checks on indexes of the current database see, for dbutil.health';
