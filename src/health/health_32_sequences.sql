
-- Sequences.  pg_sequences keeps a lock on each sequence it looks at until the
-- transaction ends, so ten thousand of them would fill the lock table.
CREATE FUNCTION dbutil.health_sequence_position(seq oid) RETURNS bigint
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_health_sequence_position';
COMMENT ON FUNCTION dbutil.health_sequence_position(oid) IS
	'where a sequence stands, without waiting for a lock or keeping one. NULL: no such sequence, it is locked against reading or is not there on a standby, or you have neither SELECT nor USAGE on it';

CREATE FUNCTION dbutil.health_measure_sequences() RETURNS SETOF dbutil.health_measure
	LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp
	AS $function$
BEGIN
	-- A sequence feeds the columns that own it (serial, identity) and those
	-- whose default draws from it.  One that cycles has no end.
	RETURN QUERY
	WITH source AS MATERIALIZED (
		SELECT c.oid, n.nspname, c.relname, q.seqtypid, q.seqmin, q.seqmax, q.seqincrement
		FROM pg_sequence AS q
		JOIN pg_class AS c ON c.oid = q.seqrelid
		JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE NOT q.seqcycle AND c.relpersistence <> 't'
	), feeds AS (
		SELECT s.oid, d.refobjid AS relid, d.refobjsubid AS num
		FROM source AS s
		JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
		WHERE d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
		UNION
		SELECT s.oid, f.adrelid, f.adnum
		FROM source AS s
		JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid
		JOIN pg_attrdef AS f ON f.oid = d.objid
		WHERE d.classid = 'pg_attrdef'::regclass
	), narrowest AS (
		SELECT DISTINCT ON (f.oid) f.oid, f.relid, a.attname, w.bytes
		FROM feeds AS f
		JOIN pg_attribute AS a ON a.attrelid = f.relid AND a.attnum = f.num
		-- a domain may be over a domain
		CROSS JOIN LATERAL (
			WITH RECURSIVE base AS (
				SELECT t.oid, t.typbasetype FROM pg_type AS t WHERE t.oid = a.atttypid
				UNION ALL
				SELECT t.oid, t.typbasetype FROM base AS b JOIN pg_type AS t ON t.oid = b.typbasetype
			)
			SELECT CASE b.oid WHEN 'int2'::regtype THEN 2 WHEN 'int4'::regtype THEN 4 ELSE 8 END
			FROM base AS b WHERE b.typbasetype = 0) AS w(bytes)
		ORDER BY f.oid, w.bytes, f.relid, f.num
	), reach AS (
		SELECT s.*, v.relid, v.attname, coalesce(v.bytes, 8) AS bytes, z.stands_at,
			   -- the first and the last value it can give to its column, in its direction
			   CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END::numeric AS first_value,
			   CASE WHEN s.seqincrement > 0 THEN least(s.seqmax, round(2::numeric ^ (8 * coalesce(v.bytes, 8) - 1)) - 1)
					ELSE greatest(s.seqmin, -round(2::numeric ^ (8 * coalesce(v.bytes, 8) - 1))) END AS final_value
		FROM source AS s
		LEFT JOIN narrowest AS v ON v.oid = s.oid
		CROSS JOIN LATERAL (SELECT dbutil.health_sequence_position(s.oid)) AS z(stands_at)
	)
	SELECT 'sequence_exhaustion', format('%I.%I', r.nspname, r.relname),
		   CASE WHEN r.final_value = r.first_value THEN 100 * sign(abs(r.stands_at - r.first_value))
				ELSE 100 * (r.stands_at - r.first_value) / (r.final_value - r.first_value) END, NULL::numeric,
		   CASE WHEN r.stands_at IS NULL THEN 'the value of the sequence is hidden, or it is locked'
				WHEN r.relid IS NULL THEN format('at %s of %s', r.stands_at, r.final_value)
				ELSE format('at %s of %s, for %I.%I (%I)', r.stands_at, r.final_value, tn.nspname, t.relname, r.attname) END,
		   CASE WHEN r.stands_at IS NULL THEN NULL
				WHEN r.relid IS NOT NULL AND r.bytes < 8
				THEN format('ALTER TABLE %I.%I ALTER COLUMN %I TYPE bigint; ALTER SEQUENCE %I.%I AS bigint',
							tn.nspname, t.relname, r.attname, r.nspname, r.relname)
				WHEN r.seqtypid <> 'int8'::regtype THEN format('ALTER SEQUENCE %I.%I AS bigint', r.nspname, r.relname)
				WHEN r.seqincrement > 0 AND r.seqmax < 9223372036854775807 THEN format('ALTER SEQUENCE %I.%I NO MAXVALUE', r.nspname, r.relname)
				END,
		   r.stands_at IS NULL AND NOT coalesce(has_sequence_privilege(r.oid, 'SELECT, USAGE'), true)
	FROM reach AS r
	LEFT JOIN pg_class AS t ON t.oid = r.relid
	LEFT JOIN pg_namespace AS tn ON tn.oid = t.relnamespace;
END $function$;
COMMENT ON FUNCTION dbutil.health_measure_sequences() IS
	'how much is used of each sequence of the current database, for dbutil.health';
