--
-- health: what is set for services, foreign tables, bloat by statistics
--
CREATE SCHEMA health_g;
CREATE FUNCTION pg_temp.found(check_like text, OUT check_name text, OUT object_name text, OUT status text, OUT value numeric, OUT message text, OUT suggested_sql text)
RETURNS SETOF record LANGUAGE sql AS $$
SELECT check_name, replace(object_name, current_database(), 'this'), status, value, message, replace(suggested_sql, current_database(), 'this')
FROM dbutil.health WHERE check_name LIKE check_like OR needs = 'a check that works' ORDER BY check_name, object_name COLLATE "C" $$;

-- an enrolled service without a limit on idling in a transaction
CREATE ROLE regress_health_g LOGIN;
SELECT check_name, object_name, status FROM pg_temp.found('missing_timeouts');
DO $$ BEGIN EXECUTE format('ALTER ROLE regress_health_g IN DATABASE %I SET dbutil.service = %L', current_database(), 'shop'); END $$;
SELECT * FROM pg_temp.found('missing_timeouts');
-- what is set most closely counts
ALTER ROLE regress_health_g SET idle_in_transaction_session_timeout = '60s';
SELECT check_name, object_name, status, message FROM pg_temp.found('missing_timeouts');
DO $$ BEGIN EXECUTE format('ALTER ROLE regress_health_g IN DATABASE %I SET idle_in_transaction_session_timeout = 0', current_database()); END $$;
SELECT check_name, object_name, status, message FROM pg_temp.found('missing_timeouts');
SELECT suggested_sql FROM dbutil.health WHERE check_name = 'missing_timeouts' \gexec
SELECT check_name, object_name, status, message FROM pg_temp.found('missing_timeouts');

-- pools that may have more connections together than there are
SELECT check_name, object_name, status FROM pg_temp.found('connection_limits');
DO $$ BEGIN EXECUTE format('ALTER ROLE regress_health_g CONNECTION LIMIT %s', current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int); END $$;
SELECT check_name, object_name, status, value FROM pg_temp.found('connection_limits');
CREATE ROLE regress_health_g2 LOGIN CONNECTION LIMIT 3;
SELECT check_name, object_name, status, value > 101 AS more FROM pg_temp.found('connection_limits');
DROP ROLE regress_health_g, regress_health_g2;

-- foreign tables that insert one row a round trip
SET client_min_messages = warning;
CREATE EXTENSION postgres_fdw;
RESET client_min_messages;
CREATE SERVER health_far FOREIGN DATA WRAPPER postgres_fdw;
CREATE FOREIGN TABLE health_g.plain (i int) SERVER health_far;
CREATE FOREIGN TABLE health_g.batched (i int) SERVER health_far OPTIONS (batch_size '10');
CREATE FOREIGN TABLE health_g.single (i int) SERVER health_far OPTIONS (batch_size '1');
CREATE FOREIGN TABLE health_g.read_only (i int) SERVER health_far OPTIONS (updatable 'false');
SELECT object_name, status, message, suggested_sql FROM pg_temp.found('foreign_batch_size');
SELECT suggested_sql FROM dbutil.health WHERE check_name = 'foreign_batch_size' \gexec
SELECT object_name, status FROM pg_temp.found('foreign_batch_size');
ALTER FOREIGN TABLE health_g.plain OPTIONS (DROP batch_size);
ALTER SERVER health_far OPTIONS (ADD batch_size '50');
SELECT object_name, status FROM pg_temp.found('foreign_batch_size');
SET client_min_messages = warning;
DROP SERVER health_far CASCADE;
DROP EXTENSION postgres_fdw;

RESET client_min_messages;
-- the lock table: what is fine by default fires at a threshold of zero
SELECT check_name, object_name, status, value BETWEEN 0 AND 20 AS little FROM pg_temp.found('lock_table');
INSERT INTO dbutil.health_settings (check_name, warn, critical) VALUES ('lock_table', 0, 'infinity');
SELECT check_name, object_name, status FROM pg_temp.found('lock_table');
DELETE FROM dbutil.health_settings;

-- bloat: sizes are those that pg_class knows
CREATE TABLE health_g.t (i int PRIMARY KEY) WITH (autovacuum_enabled = off);
INSERT INTO health_g.t SELECT generate_series(1, 1000);
ANALYZE health_g.t;
SELECT * FROM pg_temp.found('%\_bloat') WHERE object_name LIKE 'health\_g.%';
-- a gigabyte, of which almost all is free, but a little less than the threshold
UPDATE pg_class SET relpages = 131073 WHERE oid = 'health_g.t'::regclass;
UPDATE pg_class SET relpages = 12801 WHERE oid = 'health_g.t_pkey'::regclass;
SELECT * FROM pg_temp.found('%\_bloat') WHERE object_name LIKE 'health\_g.%';
UPDATE pg_class SET relpages = 131100 WHERE oid = 'health_g.t'::regclass;
UPDATE pg_class SET relpages = 12900 WHERE oid = 'health_g.t_pkey'::regclass;
SELECT * FROM pg_temp.found('%\_bloat') WHERE object_name LIKE 'health\_g.%';
SELECT table_name, status, findings, bloat_percent FROM dbutil.table_health WHERE table_name LIKE 'health\_g.%';
SELECT index_name, status, findings, bloat_percent FROM dbutil.index_health WHERE table_name LIKE 'health\_g.%';
UPDATE pg_class SET relpages = 700000 WHERE oid = 'health_g.t'::regclass;
SELECT check_name, object_name, status FROM pg_temp.found('table\_bloat') WHERE object_name LIKE 'health\_g.%';
-- many gigabytes free, but a smaller share than 70 %
UPDATE pg_class SET reltuples = 700000.0 * 226 * 0.31, relpages = 700000 WHERE oid = 'health_g.t'::regclass;
SELECT check_name, object_name, status, value FROM pg_temp.found('table\_bloat') WHERE object_name LIKE 'health\_g.%';

SET client_min_messages = warning;
DROP SCHEMA health_g CASCADE;
