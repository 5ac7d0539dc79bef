-- rules.sql: rules that every SQL object must keep; each line printed is a
-- violation. A reserved word as a name would have to be quoted by each user.
CREATE TEMP VIEW named AS
SELECT type || ' ' || identity AS name, attname::text AS word, 'column' AS what
FROM member JOIN pg_attribute ON classid = 'pg_class'::regclass AND attrelid = objid
WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT type || ' ' || identity, attname, 'attribute'
FROM member JOIN pg_type t ON classid = 'pg_type'::regclass AND t.oid = objid
JOIN pg_attribute ON attrelid = typrelid
WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT type || ' ' || identity, arg, 'parameter'
FROM member JOIN pg_proc p ON classid = 'pg_proc'::regclass AND p.oid = objid,
LATERAL unnest(proargnames) arg
UNION ALL
SELECT type || ' ' || identity, proname, 'function'
FROM member JOIN pg_proc p ON classid = 'pg_proc'::regclass AND p.oid = objid
UNION ALL
SELECT type || ' ' || identity, relname, 'relation'
FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND c.oid = objid
UNION ALL
SELECT type || ' ' || identity, typname, 'type'
FROM member JOIN pg_type t ON classid = 'pg_type'::regclass AND t.oid = objid;

SELECT 'reserved word: ' || what || ' "' || n.word || '" of ' || name
FROM named n JOIN pg_get_keywords() k ON k.word = n.word
WHERE catcode IN ('R', 'T', 'C')
UNION ALL
SELECT 'no comment: ' || type || ' ' || identity
FROM member
WHERE obj_description(objid, classid::regclass::name) IS NULL
UNION ALL
SELECT 'outside the schema dbutil: ' || m.type || ' ' || m.identity
FROM member m, LATERAL pg_identify_object(classid, objid, 0) o
WHERE o.schema <> 'dbutil'
UNION ALL
SELECT 'not a member of the extension: ' || what || ' ' || name
FROM (SELECT 'function' AS what, oid, 'pg_proc'::regclass AS class, oid::regprocedure::text AS name
      FROM pg_proc WHERE pronamespace = to_regnamespace('dbutil')
      UNION ALL
      SELECT 'relation', oid, 'pg_class', oid::regclass::text
      FROM pg_class WHERE relnamespace = to_regnamespace('dbutil')
        AND relkind IN ('r', 'p', 'v', 'm', 'S')) o
WHERE NOT EXISTS (SELECT FROM member WHERE classid = o.class AND objid = o.oid)
UNION ALL
SELECT 'setting without description: ' || name
FROM pg_settings WHERE name LIKE 'dbutil.%' AND short_desc = ''
ORDER BY 1;
