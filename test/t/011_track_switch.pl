# Tracking switched off and on, and a server that did not preload dbutil.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'dbutil'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil');
$node->safe_psql('postgres', 'CREATE TABLE t (i int)');

# --- dbutil.enabled = off under load
my $file = "$PostgreSQL::Test::Utils::tmp_check/load.sql";
open(my $fh, '>', $file) or die $!;
print $fh "SELECT i FROM t;\n";
close $fh;
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 2, '-T', 600, '-f', $file, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', \my $out, '2>', \my $err);
my $probe = q(SELECT coalesce(sum(calls), 0) FROM dbutil.statements
			  WHERE query = 'SELECT i FROM t');
ok($node->poll_query_until('postgres', "SELECT ($probe) > 10"), 'counted while on');
$node->append_conf('postgresql.conf', 'dbutil.enabled = off');
$node->reload;
# every session takes it over at its next statement
ok($node->poll_query_until('postgres',
		q(SELECT state = 'off' FROM dbutil.status() WHERE item = 'enabled')), 'off');
is($node->safe_psql('postgres', q(SELECT state, fix FROM dbutil.status() WHERE item = 'tracking')),
	'off|set dbutil.enabled = on and reload the configuration', 'status does not say that tracking is on');
my ($before, $after) = (-1, $node->safe_psql('postgres', $probe));
for (1 .. 50)
{
	last if $before == $after;
	$before = $after;
	$node->safe_psql('postgres', 'SELECT pg_sleep(0.2)');
	$after = $node->safe_psql('postgres', $probe);
}
is($after, $before, 'nothing is counted while off');
my $commits = q(SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres');
my $ran = $node->safe_psql('postgres', $commits);
ok($node->poll_query_until('postgres', "SELECT ($commits) > $ran + 100"), 'though the load goes on');
$node->append_conf('postgresql.conf', 'dbutil.enabled = on');
$node->reload;
ok($node->poll_query_until('postgres', "SELECT ($probe) > $after"), 'counted again');
$load->signal('TERM');
$load->finish;
unlike($err, qr/error|abort/i, 'the load saw no error');

# --- without query identifiers
$node->append_conf('postgresql.conf', 'compute_query_id = off');
$node->reload;
ok($node->poll_query_until('postgres',
		q(SELECT state = 'warn' AND fix = 'set compute_query_id = auto' FROM dbutil.status() WHERE item = 'tracking')),
	'status tells that identifiers are off');
$node->safe_psql('postgres', q(CREATE TABLE no_identifier (i int CHECK (i > 7))));
is($node->safe_psql('postgres',
		q(SELECT query, calls, queryid <> 0 FROM dbutil.statements WHERE query LIKE '%no_identifier%')),
	'CREATE TABLE no_identifier (i int CHECK (i > $1))|1|t', 'a utility statement is known by its text');

# --- without preload: one clear error, and the rest works
for my $other ('', 'dbutil')
{
	$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\nsession_preload_libraries = '$other'");
	$node->restart;
	for my $what ('* FROM dbutil.statements', '* FROM dbutil.statements(false)',
		'* FROM dbutil.transactions', '* FROM dbutil.services',
		'* FROM dbutil.statement_histogram(1)', '* FROM dbutil.track_info()', 'dbutil.track_reset()')
	{
		my ($rc, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT $what");
		like($stderr, qr/55000: dbutil\.\w+ needs dbutil in shared_preload_libraries.*HINT:.*shared_preload_libraries = 'dbutil'/s,
			"SELECT $what with session_preload_libraries = '$other'");
	}
	is($node->safe_psql('postgres', q(SELECT fix FROM dbutil.status() WHERE item = 'tracking')),
		'add dbutil to shared_preload_libraries and restart the server', 'status says so as well');
}
$node->stop;
done_testing();
