
-- Tables, constraints and triggers of the current database, from its catalogs
-- and statistics.  What extensions brought, temporary tables and the system's
-- own are left to those who made them.
CREATE FUNCTION dbutil.health_measure_tables() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	counting boolean := current_setting('track_counts');
	server_version integer := current_setting('server_version_num');
	patience interval := 10 * current_setting('autovacuum_naptime')::interval;
BEGIN
	-- A table that is being vacuumed is not overdue.  Which it is, is hidden from
	-- ordinary roles; that a process vacuums and what it locks is not.  The lock
	-- alone would not do: ANALYZE takes the same.  Catalogs count here, too.
	RETURN QUERY
	WITH being_vacuumed AS MATERIALIZED (
		SELECT l.relation FROM pg_stat_progress_vacuum AS p
		JOIN pg_locks AS l ON l.pid = p.pid
		WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
		  AND l.database IN (0, (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
	), behind AS MATERIALIZED (
		SELECT c.oid, c.relname, c.relnamespace, c.reltuples, c.reloptions, pg_stat_get_dead_tuples(c.oid)::numeric AS dead,
			   pg_stat_get_live_tuples(c.oid)::numeric AS live, pg_stat_get_mod_since_analyze(c.oid)::numeric AS changed,
			   greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS analysed
		FROM pg_class AS c
		WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
		  AND (pg_stat_get_dead_tuples(c.oid) > 10000 OR pg_stat_get_mod_since_analyze(c.oid) > 10000)
	)
	SELECT k.check_name, format('%I.%I', n.nspname, f.relname), k.value, NULL::numeric,
		   k.says || CASE WHEN NOT v.enabled THEN '; autovacuum is off for this table' ELSE '' END,
		   format(k.does, n.nspname, f.relname), false
	FROM behind AS f
	JOIN pg_namespace AS n ON n.oid = f.relnamespace
	CROSS JOIN LATERAL dbutil.autovacuum_thresholds(f.reloptions, greatest(f.reltuples::numeric, f.live), NULL) AS v
	CROSS JOIN LATERAL (VALUES
		('vacuum_overdue', f.dead > 10000, 100 * f.dead / greatest(v.vacuum_at, 1),
		 format('%s dead rows, vacuumed last: %s', f.dead,
				coalesce(greatest(pg_stat_get_last_vacuum_time(f.oid), pg_stat_get_last_autovacuum_time(f.oid))::text, 'never')),
		 'VACUUM %I.%I'),
		('dead_rows', f.dead > 10000, 100 * f.dead / nullif(f.dead + f.live, 0), format('%s dead rows, %s live ones', f.dead, f.live),
		 'VACUUM %I.%I'),
		-- a load is still counted when what it loaded is analysed: give autovacuum ten rounds
		('analyze_overdue', f.changed > 10000 AND coalesce(f.analysed < clock_timestamp() - patience, true), 100 * f.changed / greatest(v.analyze_at, 1),
		 format('%s rows changed, analysed last: %s', f.changed, coalesce(f.analysed::text, 'never')),
		 'ANALYZE %I.%I')) AS k(check_name, applies, value, says, does)
	WHERE k.applies AND f.oid NOT IN (SELECT b.relation FROM being_vacuumed AS b);

	-- More than one pass through the indexes: the dead rows did not fit in memory.
	RETURN QUERY
	SELECT 'vacuum_passes', coalesce(CASE WHEN c.oid IS NOT NULL THEN format('%I.%I', n.nspname, c.relname) END, format('process %s', p.pid)),
		   CASE WHEN p.phase IS NOT NULL THEN p.index_vacuum_count::numeric END, NULL::numeric,
		   CASE WHEN p.phase IS NULL THEN 'what VACUUM does is hidden'
				ELSE format('process %s has been through the indexes %s times', p.pid, p.index_vacuum_count) END,
		   NULL::text, p.phase IS NULL
	FROM pg_stat_progress_vacuum AS p
	LEFT JOIN (pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace) ON c.oid = p.relid
	WHERE p.datname = current_database();

	-- Partitions are told by their parent.  A table that only grows does well
	-- without a key; so the rows changed are what counts.
	RETURN QUERY
	WITH keyless AS MATERIALIZED (
		SELECT c.oid, c.relkind, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) AS table_name
		FROM pg_class AS c
		JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
		  AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
		  AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident))
		  AND NOT EXISTS (SELECT FROM pg_depend AS d
						  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
	)
	SELECT 'table_without_primary_key', k.table_name, CASE WHEN counting THEN s.changed END, NULL::numeric,
		   CASE WHEN counting THEN format('%s rows were updated or deleted', s.changed) ELSE 'track_counts is off' END,
		   -- a unique index that could serve as one
		   (SELECT format('ALTER TABLE %s ADD PRIMARY KEY USING INDEX %I', k.table_name, x.relname)
			FROM pg_index AS i
			JOIN pg_class AS x ON x.oid = i.indexrelid
			WHERE i.indrelid = k.oid AND k.relkind = 'r' AND i.indisunique AND i.indisvalid AND i.indimmediate
			  AND i.indpred IS NULL AND i.indexprs IS NULL AND 0 = ALL (i.indoption)
			  AND NOT EXISTS (SELECT FROM pg_constraint AS q WHERE q.conindid = i.indexrelid AND q.contype IN ('u', 'x'))
			  AND NOT EXISTS (SELECT FROM pg_attribute AS a
							  WHERE a.attrelid = k.oid AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull)
			ORDER BY i.indexrelid LIMIT 1), false
	FROM keyless AS k
	CROSS JOIN LATERAL (
		SELECT CASE WHEN k.relkind = 'r' THEN pg_stat_get_tuples_updated(k.oid) + pg_stat_get_tuples_deleted(k.oid)
			   ELSE (
				WITH RECURSIVE part(oid) AS (
					SELECT k.oid
					UNION ALL
					SELECT h.inhrelid FROM part AS p JOIN pg_inherits AS h ON h.inhparent = p.oid
				)
				SELECT sum(pg_stat_get_tuples_updated(p.oid) + pg_stat_get_tuples_deleted(p.oid)) FROM part AS p) END) AS s(changed);

	-- Served by: an index whose leading columns are the key's, in any order,
	-- whole, or partial for nothing but NULLs (which no look-up asks for).  Most
	-- keys are: names are looked up for the others only.
	RETURN QUERY
	WITH unserved AS MATERIALIZED (
		SELECT k.conname, k.conrelid, k.confrelid, k.conkey
		FROM pg_constraint AS k
		WHERE k.contype = 'f' AND k.conparentid = 0
		  AND (server_version < 180000 OR (to_jsonb(k) ->> 'conenforced')::boolean)
		  AND NOT EXISTS (
			SELECT FROM pg_index AS i
			JOIN pg_class AS x ON x.oid = i.indexrelid
			JOIN pg_am AS m ON m.oid = x.relam
			WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indnkeyatts >= cardinality(k.conkey)
			  AND m.amname IN ('btree', 'hash')
			  AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
			  AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] <@ k.conkey
			  AND (i.indpred IS NULL
				   OR cardinality(k.conkey) = 1
					  AND i.indpred::text LIKE format('{NULLTEST :arg {VAR :varno 1 :varattno %s %% :nulltesttype 1 %%', k.conkey[1])))
	)
	SELECT 'foreign_key_without_index', format('%I.%I %I', n.nspname, c.relname, k.conname),
		   greatest(c.reltuples, 0)::numeric, NULL::numeric,
		   format('no index leads with (%s), where deletes and key updates in %I.%I look', cols.list, rn.nspname, r.relname),
		   format('CREATE INDEX %sON %I.%I (%s)', CASE c.relkind WHEN 'p' THEN '' ELSE 'CONCURRENTLY ' END,
				  n.nspname, c.relname, cols.list), false
	FROM unserved AS k
	JOIN pg_class AS c ON c.oid = k.conrelid
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
	JOIN pg_class AS r ON r.oid = k.confrelid
	JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
	CROSS JOIN LATERAL (
		SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.ord)
		FROM unnest(k.conkey) WITH ORDINALITY AS u(num, ord)
		JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.num) AS cols(list)
	WHERE c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\_%'
	  AND NOT EXISTS (SELECT FROM pg_depend AS d
					  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');

	-- Inherited constraints follow their parent; one that is declared NOT
	-- ENFORCED (from 18 on) is not to be checked at all.
	RETURN QUERY
	SELECT 'unvalidated_constraints', format('%I.%I %I', n.nspname, coalesce(c.relname, t.typname), k.conname),
		   1::numeric, NULL::numeric,
		   CASE k.contype WHEN 'f' THEN 'rows older than this foreign key were never checked'
						  ELSE 'rows older than this constraint were never checked' END,
		   format('ALTER %s %I.%I VALIDATE CONSTRAINT %I',
				  CASE WHEN t.oid IS NOT NULL THEN 'DOMAIN' WHEN c.relkind = 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
				  n.nspname, coalesce(c.relname, t.typname), k.conname), false
	FROM pg_constraint AS k
	LEFT JOIN pg_class AS c ON c.oid = k.conrelid
	LEFT JOIN pg_type AS t ON t.oid = k.contypid
	JOIN pg_namespace AS n ON n.oid = coalesce(c.relnamespace, t.typnamespace)
	WHERE NOT k.convalidated AND k.conparentid = 0 AND k.conislocal
	  AND coalesce(c.relpersistence, 'p') <> 't' AND n.nspname NOT LIKE 'pg\_%'
	  AND (server_version < 180000 OR (to_jsonb(k) ->> 'conenforced')::boolean);

	-- A partition's trigger is told only if its parent's is enabled.
	RETURN QUERY
	SELECT DISTINCT ON (2)
		   'disabled_triggers', format('%I.%I %I', n.nspname, c.relname, coalesce(k.conname, g.tgname)),
		   1::numeric, NULL::numeric,
		   CASE WHEN g.tgisinternal THEN 'the constraint is not enforced when this table changes'
				ELSE 'the trigger is disabled' END,
		   CASE WHEN g.tgisinternal THEN format('ALTER TABLE %I.%I ENABLE TRIGGER ALL', n.nspname, c.relname)
				ELSE format('ALTER TABLE %I.%I ENABLE TRIGGER %I', n.nspname, c.relname, g.tgname) END, false
	FROM pg_trigger AS g
	JOIN pg_class AS c ON c.oid = g.tgrelid
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
	LEFT JOIN pg_constraint AS k ON k.oid = g.tgconstraint AND g.tgisinternal
	WHERE g.tgenabled = 'D' AND c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\_%'
	  AND NOT EXISTS (SELECT FROM pg_trigger AS p WHERE p.oid = g.tgparentid AND p.tgenabled = 'D')
	ORDER BY 2;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_tables() IS
	'what the checks on tables, constraints and triggers of the current database see, for dbutil.health';
