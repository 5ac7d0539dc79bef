
-- The formulas of autovacuum (src/backend/postmaster/autovacuum.c,
-- relation_needs_vacanalyze), with a table's own storage parameters.
CREATE FUNCTION dbutil.autovacuum_thresholds(reloptions text[], live_rows numeric, unfrozen numeric,
	OUT enabled boolean, OUT vacuum_at numeric, OUT insert_vacuum_at numeric, OUT analyze_at numeric, OUT freeze_at numeric)
	LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT coalesce(s.enabled::boolean, true) AND pg_catalog.current_setting('autovacuum')::boolean,
		   least(s.base + s.scale * greatest(live_rows, 0), CASE WHEN s.most >= 0 THEN s.most END),
		   CASE WHEN s.insert_base >= 0 THEN s.insert_base + s.insert_scale * greatest(live_rows, 0) * coalesce(unfrozen, 1) END,
		   s.analyze_base + s.analyze_scale * greatest(live_rows, 0),
		   -- a table's own limit can only be lower
		   least(s.freeze, pg_catalog.current_setting('autovacuum_freeze_max_age')::numeric)
	FROM (
		SELECT max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_enabled') AS enabled,
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_threshold'),
						pg_catalog.current_setting('autovacuum_vacuum_threshold'))::numeric AS base,
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_scale_factor'),
						pg_catalog.current_setting('autovacuum_vacuum_scale_factor'))::numeric AS scale,
			   -- from 18 on
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_max_threshold'),
						pg_catalog.current_setting('autovacuum_vacuum_max_threshold', true), '-1')::numeric AS most,
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_insert_threshold'),
						pg_catalog.current_setting('autovacuum_vacuum_insert_threshold'))::numeric AS insert_base,
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_insert_scale_factor'),
						pg_catalog.current_setting('autovacuum_vacuum_insert_scale_factor'))::numeric AS insert_scale,
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_analyze_threshold'),
						pg_catalog.current_setting('autovacuum_analyze_threshold'))::numeric AS analyze_base,
			   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_analyze_scale_factor'),
						pg_catalog.current_setting('autovacuum_analyze_scale_factor'))::numeric AS analyze_scale,
			   max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_freeze_max_age')::numeric AS freeze
		FROM pg_catalog.pg_options_to_table(reloptions) AS o) AS s;
END;
COMMENT ON FUNCTION dbutil.autovacuum_thresholds(text[], numeric, numeric) IS
	'when autovacuum comes to a table with these storage parameters (pg_class.reloptions) and live rows: enabled, the dead rows, the rows inserted (NULL: never for that) and the rows changed at which it vacuums or analyses, and the age at which it freezes. unfrozen: the share of pages that are not all frozen, which counts from PostgreSQL 18 on; NULL: 1';
