/* dbutil: access, optimisation and observability for services on PostgreSQL */

-- complain if this file is sourced in psql instead of CREATE EXTENSION
\echo Use "CREATE EXTENSION dbutil" to load this file. \quit

-- Names below resolve in pg_catalog whatever the caller's path or his schemas hold.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE SCHEMA dbutil;
COMMENT ON SCHEMA dbutil IS 'dbutil: plan cache, bulk writes, tracking, analysis and health';
GRANT USAGE ON SCHEMA dbutil TO PUBLIC;

CREATE FUNCTION dbutil.version() RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_version';
COMMENT ON FUNCTION dbutil.version() IS
	'version of the library that the server has loaded; differs from pg_extension.extversion between an upgrade of the package and ALTER EXTENSION dbutil UPDATE';

CREATE FUNCTION dbutil.status(
	OUT item text, OUT state text, OUT item_value text, OUT fix text)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'dbutil_status';
COMMENT ON FUNCTION dbutil.status() IS
	'what of dbutil is on in this session: one row per item with state ok | off | warn, its value, and in fix the line that mends it (NULL when nothing is to be done)';

-- Settings exist once the library is loaded, which asking for its version sees to.
CREATE VIEW dbutil.settings AS
	SELECT s.name, s.setting, s.unit, s.context, s.vartype, s.source,
		   s.boot_val AS default_setting, s.pending_restart, s.short_desc AS description
	FROM pg_catalog.pg_settings AS s
	WHERE (SELECT dbutil.version()) IS NOT NULL
	  AND s.name LIKE 'dbutil.%';
COMMENT ON VIEW dbutil.settings IS
	'every setting of dbutil with its value, unit, default and where the value comes from, as in pg_settings';
GRANT SELECT ON dbutil.settings TO PUBLIC;
