-- objects.sql: every SQL object of the extension, one line for each fact, in a
-- form that depends neither on the owner's name nor on the server's version.
-- With the psql variable "full" set to true also what does not count as
-- surface but must not differ after an upgrade: bodies and definitions.

-- Privileges of everybody but the owner.
CREATE FUNCTION pg_temp.grants(acl aclitem[], kind "char", owner oid) RETURNS text
LANGUAGE sql AS $$
SELECT coalesce(string_agg(g, ', ' ORDER BY g COLLATE "C"), 'nobody')
FROM (SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee)::text END
             || ' ' || string_agg(privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END,
                                  '/' ORDER BY privilege_type COLLATE "C") AS g
      FROM aclexplode(coalesce(acl, acldefault(kind, owner)))
      WHERE grantee <> owner
      GROUP BY grantee) s
$$;

CREATE TEMP VIEW fact AS
SELECT type || ' ' || identity AS name,
       'comment: ' || CASE WHEN obj_description(objid, classid::regclass::name) IS NULL
                           THEN 'none'
                           WHEN :full THEN obj_description(objid, classid::regclass::name)
                           ELSE 'yes' END AS fact
FROM member
UNION ALL
SELECT type || ' ' || identity, 'grants: ' || pg_temp.grants(nspacl, 'n', nspowner)
FROM member JOIN pg_namespace n ON classid = 'pg_namespace'::regclass AND objid = n.oid
UNION ALL
SELECT type || ' ' || identity, f
FROM member JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid
JOIN pg_language l ON l.oid = p.prolang,
LATERAL (VALUES
  ('grants: ' || pg_temp.grants(proacl, 'f', proowner)),
  ('arguments: ' || coalesce(nullif(pg_get_function_arguments(p.oid), ''), 'none')),
  ('returns: ' || pg_get_function_result(p.oid)),
  (concat_ws(' ', 'is:', lanname,
     CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
     CASE proparallel WHEN 's' THEN 'parallel safe' WHEN 'r' THEN 'parallel restricted'
                      ELSE 'parallel unsafe' END,
     CASE WHEN proisstrict THEN 'strict' END,
     CASE WHEN prosecdef THEN 'security definer' END,
     CASE WHEN proleakproof THEN 'leakproof' END)),
  ('set: ' || array_to_string(proconfig, '; ')),
  (CASE WHEN :full THEN format('body: %s %s cost %s rows %s', prosrc, probin, procost, prorows) END),
  (CASE WHEN :full THEN 'sql body: ' || pg_get_function_sqlbody(p.oid) END)
) v(f)
WHERE f IS NOT NULL
UNION ALL
SELECT type || ' ' || identity, f
FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid,
LATERAL (
  SELECT 'grants: ' || pg_temp.grants(relacl, CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)
  UNION ALL
  SELECT 'options: ' || array_to_string(reloptions, ', ')
  UNION ALL
  SELECT format('column%s %s %s%s%s', CASE WHEN :full THEN ' ' || attnum END, attname,
                format_type(atttypid, atttypmod),
                CASE WHEN attnotnull THEN ' not null' ELSE '' END,
                CASE WHEN attacl IS NULL THEN ''
                     ELSE ' grants: ' || pg_temp.grants(attacl, 'c', relowner) END)
  FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    AND relkind <> 'S'
  UNION ALL
  SELECT 'rls: ' || relrowsecurity || ' ' || relforcerowsecurity WHERE relrowsecurity
  UNION ALL
  SELECT 'view: ' || pg_get_viewdef(c.oid) WHERE :full AND relkind IN ('v', 'm')
  UNION ALL
  SELECT format('column default: %s %s', adnum, pg_get_expr(adbin, adrelid))
  FROM pg_attrdef WHERE :full AND adrelid = c.oid
  UNION ALL
  SELECT format('constraint: %s %s', conname, pg_get_constraintdef(k.oid))
  FROM pg_constraint k WHERE :full AND conrelid = c.oid
  UNION ALL
  SELECT 'index: ' || pg_get_indexdef(indexrelid)
  FROM pg_index WHERE :full AND indrelid = c.oid
  UNION ALL
  SELECT 'trigger: ' || pg_get_triggerdef(t.oid)
  FROM pg_trigger t WHERE :full AND tgrelid = c.oid AND NOT tgisinternal
  UNION ALL
  SELECT 'column comment: ' || objsubid || ' ' || description
  FROM pg_description WHERE :full AND classoid = 'pg_class'::regclass AND objoid = c.oid AND objsubid > 0
  UNION ALL
  SELECT format('dumped: %s', cond)
  FROM pg_extension, unnest(extconfig, extcondition) x(rel, cond)
  WHERE extname = 'dbutil' AND rel = c.oid
) v(f)
WHERE f IS NOT NULL
UNION ALL
SELECT type || ' ' || identity, f
FROM member JOIN pg_type t ON classid = 'pg_type'::regclass AND objid = t.oid,
LATERAL (
  SELECT 'grants: ' || pg_temp.grants(typacl, 'T', typowner)
  UNION ALL
  SELECT format('label: %s%s', CASE WHEN :full THEN enumsortorder || ' ' END, enumlabel)
  FROM pg_enum WHERE enumtypid = t.oid
  UNION ALL
  SELECT format('attribute: %s %s', attname, format_type(atttypid, atttypmod))
  FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT 'domain over ' || format_type(typbasetype, typtypmod) WHERE typtype = 'd'
  UNION ALL
  SELECT 'check: ' || pg_get_constraintdef(k.oid)
  FROM pg_constraint k WHERE contypid = t.oid AND :full
) v(f)
WHERE f IS NOT NULL;

SELECT replace(name || ' | ' || fact, E'\n', '\n') FROM fact
ORDER BY replace(name || ' | ' || fact, E'\n', '\n') COLLATE "C";
