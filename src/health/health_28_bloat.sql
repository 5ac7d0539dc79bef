
-- Bloat, estimated: pages that a relation has less those that its rows would
-- need by the widths in pg_statistic.  No column without statistics is guessed:
-- then the estimate is NULL.  Sizes are relpages, as of the last VACUUM or
-- ANALYZE: asking for the real size would wait for locks.
--
-- A row: 23 bytes of header and a bit for each column if one is NULL, aligned to
-- 8, its columns, aligned to 8, and a line pointer of 4, in pages of block_size
-- less 24, filled to fillfactor (src/include/access/htup_details.h, bufpage.h).
-- Blanks between columns are not counted.
CREATE VIEW dbutil.table_bloat AS
	SELECT c.oid AS relation, c.relpages,
		   CASE WHEN e.pages IS NOT NULL THEN greatest(c.relpages - e.pages, 0)::bigint * s.block END AS bloat_bytes,
		   CASE WHEN e.pages IS NOT NULL AND c.relpages > 0
				THEN pg_catalog.round(100 * greatest(c.relpages - e.pages, 0) / c.relpages, 1) END AS bloat_percent
	FROM pg_catalog.pg_class AS c
	CROSS JOIN (SELECT pg_catalog.current_setting('block_size')::bigint) AS s(block)
	CROSS JOIN LATERAL (
		SELECT CASE WHEN count(*) = count(t.stawidth) THEN sum((1 - t.stanullfrac) * t.stawidth)::numeric END AS width,
			   CASE WHEN pg_catalog.bool_or(t.stanullfrac > 0) THEN pg_catalog.ceil(count(*) / 8.0) ELSE 0 END AS null_bits
		FROM pg_catalog.pg_attribute AS a
		LEFT JOIN pg_catalog.pg_statistic AS t ON t.starelid = a.attrelid AND t.staattnum = a.attnum AND NOT t.stainherit
		WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS r
	CROSS JOIN LATERAL (
		SELECT (s.block - 24) * coalesce((
				   SELECT o.option_value::numeric FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
				   WHERE o.option_name = 'fillfactor'), 100) / 100) AS p(room)
	CROSS JOIN LATERAL (
		SELECT CASE WHEN c.reltuples = 0 THEN 0
					WHEN c.reltuples > 0 AND c.relpages > 0 AND r.width IS NOT NULL
					THEN pg_catalog.ceil(c.reltuples::numeric / greatest(1, pg_catalog.floor(p.room
						 / (4 + 8 * pg_catalog.ceil((23 + r.null_bits) / 8.0) + 8 * pg_catalog.ceil(r.width / 8))))) END) AS e(pages)
	WHERE c.relkind IN ('r', 'm');
COMMENT ON VIEW dbutil.table_bloat IS
	'bloat of each table and materialized view, in bytes and percent of its size, estimated from statistics (NULL: some column has none); see dbutil.table_health, and dbutil.measure_bloat() for the truth';
GRANT SELECT ON dbutil.table_bloat TO PUBLIC;

-- An entry of a btree: 8 bytes of header, its columns, aligned to 8, and a line
-- pointer of 4, in pages of block_size less 40; one page in a hundred is an inner
-- one, and one is the meta page (src/include/access/itup.h, nbtree.h).  Equal keys
-- may be stored together, which makes an index smaller than this: the estimate
-- of its bloat is low, not high.
CREATE VIEW dbutil.index_bloat AS
	SELECT c.oid AS relation, c.relpages,
		   CASE WHEN e.pages IS NOT NULL THEN greatest(c.relpages - e.pages, 0)::bigint * s.block END AS bloat_bytes,
		   CASE WHEN e.pages IS NOT NULL AND c.relpages > 0
				THEN pg_catalog.round(100 * greatest(c.relpages - e.pages, 0) / c.relpages, 1) END AS bloat_percent
	FROM pg_catalog.pg_class AS c
	JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
	JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
	CROSS JOIN (SELECT pg_catalog.current_setting('block_size')::bigint) AS s(block)
	CROSS JOIN LATERAL (
		SELECT CASE WHEN count(*) = count(t.stawidth) THEN sum((1 - t.stanullfrac) * t.stawidth)::numeric END AS width
		FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, ord)
		-- an expression has its statistics at the index
		LEFT JOIN pg_catalog.pg_statistic AS t
			ON t.starelid = CASE k.attnum WHEN 0 THEN c.oid ELSE i.indrelid END
			   AND t.staattnum = CASE k.attnum WHEN 0 THEN k.ord ELSE k.attnum END AND NOT t.stainherit) AS r
	CROSS JOIN LATERAL (
		SELECT (s.block - 40) * coalesce((
				   SELECT o.option_value::numeric FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
				   WHERE o.option_name = 'fillfactor'), 90) / 100) AS p(room)
	CROSS JOIN LATERAL (
		SELECT CASE WHEN c.reltuples = 0 THEN 1
					WHEN c.reltuples > 0 AND c.relpages > 0 AND r.width IS NOT NULL
					THEN 1 + pg_catalog.ceil(1.01 * c.reltuples::numeric / greatest(1, pg_catalog.floor(p.room
						 / (12 + 8 * pg_catalog.ceil(r.width / 8))))) END) AS e(pages)
	WHERE c.relkind = 'i' AND m.amname = 'btree';
COMMENT ON VIEW dbutil.index_bloat IS
	'bloat of each btree index, in bytes and percent of its size, estimated from statistics (NULL: some column has none); see dbutil.index_health, and dbutil.measure_bloat() for the truth';
GRANT SELECT ON dbutil.index_bloat TO PUBLIC;

-- Only what is big enough to matter is estimated.
CREATE FUNCTION dbutil.health_measure_bloat() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
DECLARE
	block numeric := current_setting('block_size');
BEGIN
	RETURN QUERY
	SELECT 'table_bloat', format('%I.%I', n.nspname, c.relname),
		   CASE WHEN b.bloat_percent > 70 THEN b.bloat_bytes / 1073741824.0 ELSE 0 END, NULL::numeric,
		   format('%s of %s, %s %%, seem to be free', pg_size_pretty(b.bloat_bytes), pg_size_pretty(b.relpages * block), b.bloat_percent),
		   format('SELECT * FROM dbutil.measure_bloat(%L)', format('%I.%I', n.nspname, c.relname)), false
	FROM dbutil.table_bloat AS b
	JOIN pg_class AS c ON c.oid = b.relation
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
	WHERE b.relpages >= 1073741824 / block AND b.bloat_percent IS NOT NULL AND c.relpersistence <> 't';

	RETURN QUERY
	SELECT 'index_bloat', format('%I.%I', n.nspname, c.relname),
		   CASE WHEN b.bloat_percent > 80 THEN b.bloat_bytes / 1048576.0 ELSE 0 END, NULL::numeric,
		   format('%s of %s, %s %%, seem to be free', pg_size_pretty(b.bloat_bytes), pg_size_pretty(b.relpages * block), b.bloat_percent),
		   format('REINDEX INDEX CONCURRENTLY %I.%I', n.nspname, c.relname), false
	FROM dbutil.index_bloat AS b
	JOIN pg_class AS c ON c.oid = b.relation
	JOIN pg_namespace AS n ON n.oid = c.relnamespace
	WHERE b.relpages >= 104857600 / block AND b.bloat_percent IS NOT NULL AND c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\_%';
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_bloat() IS
	'bloat of large tables and indexes of the current database as estimated, for dbutil.health';
