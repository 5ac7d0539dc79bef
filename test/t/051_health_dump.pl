# Thresholds and silences go with a dump, the checks come with the extension;
# and neither a restored nor a busy database is found fault with.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'dbutil'");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', q(
CREATE EXTENSION dbutil;
CREATE ROLE watcher;
GRANT INSERT, UPDATE, DELETE ON dbutil.health_settings TO watcher;
INSERT INTO dbutil.health_settings VALUES
	('xid_age', '%', 10, 20, NULL, true, 'mine'),
	('cache_hit', 'so\_%', '-infinity', NULL, 5, false, NULL);
INSERT INTO dbutil.health_silences VALUES ('long_query', '%/etl/%', '2099-01-01 UTC', 'nightly load');
));
my $rows = q(SELECT s::text FROM dbutil.health_settings AS s UNION ALL
			 SELECT s::text FROM dbutil.health_silences AS s ORDER BY 1);
my $acl = q(SELECT relacl::text FROM pg_class WHERE oid = 'dbutil.health_settings'::regclass);
my @checks = map { $_->safe_psql('source', 'SELECT count(*) FROM dbutil.health_checks') } $node;

my $file = "$PostgreSQL::Test::Utils::tmp_check/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr('source') ], 'dumped');
my $dump = slurp_file($file);
like($dump, qr/^COPY dbutil\.health_settings /m, 'settings are in the dump');
like($dump, qr/^COPY dbutil\.health_silences /m, 'silences are in the dump');
unlike($dump, qr/^COPY dbutil\.health_checks /m, 'the checks are not');
$node->safe_psql('postgres', 'CREATE DATABASE target');
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-q', '-f', $file, $node->connstr('target') ], 'restored');
is($node->safe_psql('target', $rows), $node->safe_psql('source', $rows), 'the same rows');
is($node->safe_psql('target', $acl), $node->safe_psql('source', $acl), 'the same grants');
is($node->safe_psql('target', 'SELECT count(*) FROM dbutil.health_checks'), $checks[0], 'the same checks');
is($node->safe_psql('target', q(SELECT DISTINCT warn FROM dbutil.health WHERE check_name = 'xid_age')), '10',
	'and they hold');

# --- no false alarm after pgbench, nor after its restore
$node->safe_psql('target', 'DELETE FROM dbutil.health_settings');
$node->command_ok([ 'pgbench', '-i', '-q', '-s', '1', $node->connstr('target') ], 'pgbench tables');
$node->command_ok([ 'pgbench', '-n', '-c', '2', '-t', '200', $node->connstr('target') ], 'pgbench run');
my $alarms = q(SELECT string_agg(check_name || ' ' || object_name, ', ' ORDER BY 1) FROM dbutil.health
			   WHERE status IN ('warn', 'critical') AND check_name <> 'settings_off');
is($node->safe_psql('target', $alarms), '', 'no alarm after pgbench');
$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr('target') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-q', '-f', $file, $node->connstr('again') ], 'restored');
is($node->safe_psql('again', $alarms), '', 'no alarm after a restore');
is($node->safe_psql('again', q(SELECT r ->> 'status' FROM dbutil.check_database_health() AS r)), 'critical',
	'but for fsync, which the test server has off');
$node->safe_psql('again', q(INSERT INTO dbutil.health_settings (check_name, enabled) VALUES ('settings_off', false)));
is($node->safe_psql('again', q(SELECT r ->> 'status', r ->> 'score' FROM dbutil.check_database_health() AS r)), 'ok|100',
	'without it all is well');

$node->safe_psql('again', 'DROP EXTENSION dbutil');
is($node->safe_psql('again', q(SELECT count(*) FROM pg_namespace WHERE nspname = 'dbutil')), '0', 'dropped whole');
$node->stop;

done_testing();
