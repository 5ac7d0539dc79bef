# The library in every way it can be loaded, and CREATE EXTENSION where hostile
# objects wait for a careless install script.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# the shared test configuration preloads dbutil: this test starts without
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->start;

# --- not preloaded
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil');
is($node->safe_psql('postgres',
		q(SELECT state || ': ' || fix FROM dbutil.status() WHERE item = 'preload')),
	'warn: add dbutil to shared_preload_libraries and restart the server',
	'status names the line that is missing');
is($node->safe_psql('postgres', 'SELECT count(*) > 0 FROM dbutil.settings'),
	't', 'settings are there without preload');

# a session that loads the library in the middle of a transaction goes on
is( $node->safe_psql('postgres', q(
		BEGIN;
		CREATE TEMP TABLE t (i int);
		LOAD 'dbutil';
		INSERT INTO t SELECT generate_series(1, 3);
		SAVEPOINT s;
		DELETE FROM t;
		ROLLBACK TO s;
		COMMIT;
		SELECT sum(i) FROM t)),
	'6', 'LOAD within a transaction');

# --- session_preload_libraries
$node->append_conf('postgresql.conf', "session_preload_libraries = 'dbutil'");
$node->reload;
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'session_preload_libraries works');

# --- preloaded
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'dbutil'");
$node->restart;
is($node->safe_psql('postgres',
		q(SELECT state FROM dbutil.status() WHERE item = 'preload')),
	'ok', 'status is content once preloaded');
like(
	$node->safe_psql('postgres',
		q(SELECT string_agg(name, ',') FROM pg_shmem_allocations WHERE name = 'dbutil')),
	qr/dbutil/, 'one segment of shared memory');

# dbutil.enabled = off: status says how to turn it on again
$node->append_conf('postgresql.conf', 'dbutil.enabled = off');
$node->reload;
ok($node->poll_query_until('postgres',
		q(SELECT state = 'off' FROM dbutil.status() WHERE item = 'enabled')),
	'dbutil.enabled = off takes effect on reload');
$node->append_conf('postgresql.conf', 'dbutil.enabled = on');
$node->reload;

# --- an old SQL version beside a newer library is told
$node->safe_psql('postgres',
	q(UPDATE pg_extension SET extversion = '0.0' WHERE extname = 'dbutil'));
like($node->safe_psql('postgres',
		q(SELECT fix FROM dbutil.status() WHERE item = 'extension version')),
	qr/ALTER EXTENSION dbutil UPDATE/, 'a version that differs is told');

# --- hostile objects: none is captured by the install script
$node->safe_psql('postgres', 'CREATE DATABASE hostile');
$node->safe_psql('hostile', q{
	SET search_path = pg_catalog;	-- this script must not fall into its own trap
	-- a better match than pg_catalog's own, for every two-argument operator and
	-- every function that a script could name without its schema
	CREATE FUNCTION public.evil2(a name, b text) RETURNS bool LANGUAGE sql
		AS 'SELECT true';
	CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.evil2);
	CREATE OPERATOR public.~~ (LEFTARG = name, RIGHTARG = text, FUNCTION = public.evil2);
	DO $do$
	DECLARE f record;
	BEGIN
		FOR f IN SELECT DISTINCT proname FROM pg_proc
				 WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f'
				   AND proname ~ '^[a-z_0-9]+$'
		LOOP
			EXECUTE format('CREATE FUNCTION public.%I(VARIADIC a text[]) RETURNS text
							LANGUAGE sql AS $$SELECT ''captured''::text$$', f.proname);
		END LOOP;
		FOR f IN SELECT DISTINCT relname FROM pg_class
				 WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('v', 'r')
		LOOP
			EXECUTE format('CREATE TABLE public.%I (oid oid)', f.relname);
		END LOOP;
	END $do$;
});
$node->safe_psql('hostile', 'SET search_path = public, pg_catalog; CREATE EXTENSION dbutil');
is($node->safe_psql('hostile', q{
		SELECT count(*)
		FROM pg_catalog.pg_depend d
		WHERE d.refobjid OPERATOR(pg_catalog.>=) 16384
		  AND (d.refclassid, d.refobjid) IN (
				SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid
				FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'public'::pg_catalog.regnamespace
				UNION ALL
				SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, o.oid
				FROM pg_catalog.pg_operator o WHERE o.oprnamespace = 'public'::pg_catalog.regnamespace
				UNION ALL
				SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid
				FROM pg_catalog.pg_class c WHERE c.relnamespace = 'public'::pg_catalog.regnamespace)
		  AND NOT EXISTS (		-- the hostile objects among themselves
				SELECT FROM pg_catalog.pg_operator o
				WHERE o.oid = d.objid AND o.oprnamespace = 'public'::pg_catalog.regnamespace)
		  AND d.deptype = 'n'
		  AND d.classid <> 'pg_catalog.pg_type'::pg_catalog.regclass}),
	'0', 'no object of dbutil depends on a hostile one');

$node->stop;
done_testing();
