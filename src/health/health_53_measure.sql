
-- Bloat as it is, by reading the relation: pgstattuple does that.
CREATE FUNCTION dbutil.measure_bloat(relation regclass, exact boolean DEFAULT false,
	OUT method text, OUT size_bytes bigint, OUT dead_bytes bigint, OUT free_bytes bigint,
	OUT bloat_bytes bigint, OUT bloat_percent numeric)
	RETURNS record
	LANGUAGE plpgsql VOLATILE STRICT
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	home name := (SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
				  WHERE e.extname = 'pgstattuple');
	kind "char";
	access_method name;
	fillfactor numeric;
BEGIN
	SELECT c.relkind, m.amname,
		   coalesce((SELECT o.option_value::numeric FROM pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'fillfactor'),
					CASE c.relkind WHEN 'i' THEN 90 ELSE 100 END) / 100
	INTO kind, access_method, fillfactor
	FROM pg_class AS c LEFT JOIN pg_am AS m ON m.oid = c.relam
	WHERE c.oid = relation;
	IF kind IS NULL THEN
		RAISE EXCEPTION 'relation with OID % does not exist', relation::oid USING ERRCODE = 'undefined_table';
	END IF;
	IF NOT (kind IN ('r', 'm', 't') AND access_method = 'heap' OR kind = 'i' AND access_method = 'btree') THEN
		RAISE EXCEPTION 'cannot measure the bloat of "%"', relation
			USING ERRCODE = 'wrong_object_type',
				  HINT = 'Name a table, a materialized view, or a btree index that has storage of its own; of a partitioned one name its partitions.';
	END IF;
	IF home IS NULL THEN
		RAISE EXCEPTION 'measuring bloat needs the extension pgstattuple'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'CREATE EXTENSION pgstattuple; dbutil.table_health and dbutil.index_health estimate without it.';
	END IF;

	-- The share that fillfactor leaves free on purpose is not bloat.
	IF kind = 'i' THEN
		method := 'pgstatindex';
		EXECUTE format(
			'SELECT s.index_size, (s.empty_pages + s.deleted_pages) * b.size,
					(s.leaf_pages * b.size * (100 - least(s.avg_leaf_density, 100)) / 100)::bigint,
					((s.empty_pages + s.deleted_pages) * b.size
					 + s.leaf_pages * b.size * greatest(0, 1 - least(s.avg_leaf_density, 100) / 100 / $2))::bigint
			 FROM %I.pgstatindex($1) AS s, (SELECT current_setting(''block_size'')::bigint) AS b(size)
			 WHERE s.avg_leaf_density <> ''NaN'' OR s.leaf_pages = 0', home)
		INTO size_bytes, dead_bytes, free_bytes, bloat_bytes USING relation, fillfactor;
		-- without a leaf there is no density: nothing is stored
		IF size_bytes IS NULL THEN
			EXECUTE format('SELECT s.index_size, 0, 0, 0 FROM %I.pgstatindex($1) AS s', home)
			INTO size_bytes, dead_bytes, free_bytes, bloat_bytes USING relation;
		END IF;
	ELSIF exact THEN
		method := 'pgstattuple';
		EXECUTE format('SELECT s.table_len, s.dead_tuple_len, s.free_space FROM %I.pgstattuple($1) AS s', home)
		INTO size_bytes, dead_bytes, free_bytes USING relation;
	ELSE
		method := 'pgstattuple_approx';
		EXECUTE format('SELECT s.table_len, s.dead_tuple_len, s.approx_free_space FROM %I.pgstattuple_approx($1) AS s', home)
		INTO size_bytes, dead_bytes, free_bytes USING relation;
	END IF;
	IF kind <> 'i' THEN
		bloat_bytes := greatest(0, dead_bytes + free_bytes - (1 - fillfactor) * size_bytes);
	END IF;
	bloat_percent := round(100.0 * bloat_bytes / nullif(size_bytes, 0), 1);
END $function$;
COMMENT ON FUNCTION dbutil.measure_bloat(regclass, boolean) IS
	'bloat of one table, materialized view or btree index, measured by the extension pgstattuple, which reads it under a lock that stops neither reads nor writes: method (the function that measured), sizes in bytes: all, dead rows or pages, free room, and bloat_bytes: dead and free together but for what fillfactor leaves free. exact: read also the pages that the visibility map lets one skip (tables). Errors: 55000 pgstattuple is not installed here, 42809 a relation of another kind, 42501 no EXECUTE on pgstattuple''s functions (pg_stat_scan_tables has it)';
