-- member.sql: what objects.sql and rules.sql begin with: the members of the
-- extension. A relation's row type and the array over a type come with what
-- they belong to; PostgreSQL 17 lists them as members of their own.
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET search_path = pg_catalog, pg_temp;

CREATE TEMP VIEW member AS
SELECT d.classid, d.objid, i.type, i.identity
FROM pg_depend d
JOIN pg_extension e ON d.refobjid = e.oid,
LATERAL pg_identify_object(d.classid, d.objid, 0) o,
-- versions differ in which types they qualify
LATERAL (SELECT o.type, replace(o.identity, 'pg_catalog.', '') AS identity) i
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  AND e.extname = 'dbutil'
  AND NOT (d.classid = 'pg_type'::regclass
           AND EXISTS (SELECT FROM pg_type t
                       LEFT JOIN pg_class c ON c.oid = t.typrelid
                       LEFT JOIN pg_type a ON a.typarray = t.oid
                       WHERE t.oid = d.objid
                         AND (c.relkind <> 'c' OR a.oid IS NOT NULL)));
