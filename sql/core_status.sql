--
-- dbutil.version(), dbutil.status(), dbutil.settings
--
SELECT dbutil.version() = extversion AS library_matches_extension
FROM pg_extension WHERE extname = 'dbutil';

-- the test server preloads the library, so nothing of the core is amiss
SELECT item, state, fix FROM dbutil.status()
WHERE item IN ('preload', 'library version', 'extension version', 'enabled');

-- the service is dbutil.service, else application_name, else <none>
SET dbutil.service = 'payments';
SELECT item_value FROM dbutil.status() WHERE item = 'service';
RESET dbutil.service;
SET application_name = 'quotes';
SELECT item_value FROM dbutil.status() WHERE item = 'service';
SET application_name = '';
SELECT item_value FROM dbutil.status() WHERE item = 'service';
RESET application_name;

-- settings: all under the prefix, described; unknown ones are refused
SELECT count(*) > 0 AS some, bool_and(name LIKE 'dbutil.%') AS prefixed,
	   bool_and(description <> '') AS described
FROM dbutil.settings;
SET dbutil.no_such_setting = 1;
SET dbutil.enabled = off;	-- only for the configuration file

-- everybody may look
CREATE ROLE regress_core_nobody;
SET ROLE regress_core_nobody;
SELECT count(*) > 0 AS visible FROM dbutil.status();
SELECT count(*) > 0 AS visible FROM dbutil.settings;
CREATE TABLE dbutil.intruder (i int);
RESET ROLE;
DROP ROLE regress_core_nobody;
