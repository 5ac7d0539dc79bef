-- reference.sql: docs/reference.md, made from the extension's own comments and
-- grants, so that what the page says of a role's rights is what holds.

CREATE FUNCTION pg_temp.cell(t text) RETURNS text LANGUAGE sql AS $$
SELECT regexp_replace(replace(coalesce(t, ''), '|', '\|'), '\s+', ' ', 'g')
$$;

-- Who may use an object besides its owner (and superusers).
CREATE FUNCTION pg_temp.who(acl aclitem[], kind "char", owner oid) RETURNS text
LANGUAGE sql AS $$
SELECT coalesce(string_agg(DISTINCT CASE grantee WHEN 0 THEN 'everybody'
                                    ELSE pg_get_userbyid(grantee)::text END, ', '), 'owner')
FROM aclexplode(coalesce(acl, acldefault(kind, owner)))
WHERE grantee <> owner AND privilege_type IN ('SELECT', 'EXECUTE')
$$;

SELECT E'# Reference\n\n'
 || E'Made by `make surface-accept` from the comments and grants in the database; `make check` fails when it is out of date.\n\n'
 || E'*Who* says who may use an object besides its owner and superusers. What a view shows of other roles'' statements is\n'
 || E'settled by one rule (`src/core/access.c`): your own, those of roles whose privileges you have, or, for members of\n'
 || E'`pg_read_all_stats`, all.\n\n'
 || E'## Views and tables\n\n| name | who | what |\n|---|---|---|';

SELECT format('| `%s` | %s | %s |', identity,
              pg_temp.who(relacl, 'r', relowner),
              pg_temp.cell(obj_description(c.oid, 'pg_class')))
FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid
WHERE relkind IN ('r', 'v', 'm')
ORDER BY identity COLLATE "C";

SELECT E'\n## Functions and procedures\n\n| name and parameters | returns | who | what |\n|---|---|---|---|';

SELECT format('| `%s(%s)` | `%s` | %s | %s |', p.pronamespace::regnamespace || '.' || quote_ident(proname),
              pg_temp.cell(regexp_replace(pg_get_function_arguments(p.oid), '(, )?OUT .*$', '')),
              pg_temp.cell(coalesce(pg_get_function_result(p.oid), 'procedure')),
              pg_temp.who(proacl, 'f', proowner),
              pg_temp.cell(obj_description(p.oid, 'pg_proc')))
FROM member JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid
ORDER BY identity COLLATE "C";

SELECT E'\n## Settings\n\n| name | default | unit | may be set | what |\n|---|---|---|---|---|';

SELECT format('| `%s` | `%s` | %s | %s | %s |', name, boot_val, unit,
              CASE context WHEN 'postmaster' THEN 'at server start'
                           WHEN 'sighup' THEN 'in the configuration, reload'
                           WHEN 'superuser' THEN 'by superusers'
                           WHEN 'user' THEN 'by everybody'
                           ELSE context END,
              pg_temp.cell(concat_ws(' ', short_desc, extra_desc)))
FROM pg_settings
WHERE name LIKE 'dbutil.%' AND dbutil.version() IS NOT NULL
ORDER BY name COLLATE "C";
