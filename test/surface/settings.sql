-- settings.sql: every setting of dbutil with all that a user can rely on.
\set QUIET on
\pset format unaligned
\pset tuples_only on
SELECT concat_ws(' | ', name, context, vartype,
                 'unit ' || coalesce(unit, '-'),
                 'default ' || coalesce(nullif(boot_val, ''), '''''' ),
                 CASE WHEN min_val IS NOT NULL THEN 'from ' || min_val || ' to ' || max_val END,
                 'one of ' || array_to_string(enumvals, ' '),
                 'flags ' || nullif(array_to_string(pg_settings_get_flags(name), ' '), ''),
                 CASE WHEN short_desc = '' THEN 'NO DESCRIPTION' END)
FROM pg_settings
WHERE name LIKE 'dbutil.%'
ORDER BY name COLLATE "C";
