# Tracking under load: nothing is lost uncounted, whatever the number of
# statements, and dbutil.enabled = off stops it from one statement to the next.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# --- the histogram, compiled by itself
my $program = "$PostgreSQL::Test::Utils::tmp_check/histogram_test";
system_or_bail(qw(gcc -std=gnu11 -Wall -Wextra -Werror -Isrc -o),
	$program, 'test/track/histogram_test.c', 'src/track/histogram.c', '-lm');
my $tap = `$program`;
is($?, 0, 'histogram: ' . join(', ', grep { /^(not )?ok/ } split /\n/, $tap));

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'dbutil'
dbutil.track_max = 100
dbutil.track_max_services = 5
dbutil.shared_memory = 1MB
max_connections = 30
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil');

# --- 4 clients run 50 x 400 statements of 400 shapes into 100 entries
my $script = "$PostgreSQL::Test::Utils::tmp_check/shapes.sql";
open(my $fh, '>', $script) or die $!;
print $fh "SELECT c$_ FROM wide;\n" for 1 .. 400;
close $fh;
$node->safe_psql('postgres',
	'CREATE TABLE wide (' . join(', ', map { "c$_ int" } 1 .. 400) . ')');
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
local $ENV{PGAPPNAME} = 'load';
$node->command_ok(
	[ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 50, '-f', $script, 'postgres' ],
	'load of many shapes');
my ($calls, $dropped) = split /\|/, $node->safe_psql('postgres', q{
	SELECT (SELECT sum(calls) FROM dbutil.statements), calls_dropped FROM dbutil.track_info()});
# besides the load: the reset, and what pgbench asks at its start
my $others = $calls + $dropped - 4 * 50 * 400;
cmp_ok($dropped, '>', 0, 'entries gave way');
cmp_ok($others, '>=', 0, 'calls + dropped are not less than those executed');
cmp_ok($others, '<=', 10, 'nor more');
delete $ENV{PGAPPNAME};
is($node->safe_psql('postgres',
		q(SELECT state FROM dbutil.status() WHERE item = 'calls dropped by tracking')),
	'warn', 'status tells of the loss');
my $commits = $node->safe_psql('postgres',
	q(SELECT commits FROM dbutil.transactions WHERE service = 'load'));
is($commits >= 4 * 50 * 400 ? 'all' : $commits, 'all',
	'each transaction is counted, also after its session ended');

# --- more services than there is room for
$node->safe_psql('postgres', "SET dbutil.service = 'service$_'; SELECT 1 AS s") for 1 .. 8;
is($node->safe_psql('postgres',
		q(SELECT services <= 5 AND services_dropped > 0 FROM dbutil.track_info())),
	't', 'services beyond dbutil.track_max_services are counted');
is($node->safe_psql('postgres',
		q(SELECT count(*) > 0 FROM dbutil.services WHERE service = '<other>')),
	't', 'and tracked as <other>');

# --- a text area that is full: entries stay, without text
my $long = join ' + ', map { "length(current_setting('server_version'))" } 1 .. 60;
$node->safe_psql('postgres', join ';', map { "SELECT $long + c$_ FROM wide" } 1 .. 90);
is($node->safe_psql('postgres', q(SELECT count(*) > 50 FROM dbutil.statements)),
	't', 'long texts harm nobody');

# --- dbutil.enabled = off under load
my $stop = "$PostgreSQL::Test::Utils::tmp_check/on.sql";
open($fh, '>', $stop) or die $!;
print $fh "SELECT c1, c2, c3 FROM wide;\n";
close $fh;
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 2, '-T', 6, '-f', $stop, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', \my $out, '2>', \my $err);
my $probe = q(SELECT coalesce(sum(calls), 0) FROM dbutil.statements
			  WHERE query = 'SELECT c1, c2, c3 FROM wide');
ok($node->poll_query_until('postgres', "SELECT ($probe) > 10"), 'counted while on');
$node->append_conf('postgresql.conf', 'dbutil.enabled = off');
$node->reload;
# every session takes it over at its next statement
ok($node->poll_query_until('postgres',
		q(SELECT state = 'off' FROM dbutil.status() WHERE item = 'enabled')), 'off');
my ($before, $after) = ('', $node->safe_psql('postgres', $probe));
for (1 .. 20)
{
	$before = $after;
	$node->safe_psql('postgres', 'SELECT pg_sleep(0.2)');
	$after = $node->safe_psql('postgres', $probe);
	last if $before == $after;
}
is($after, $before, 'nothing is counted while off');
$node->append_conf('postgresql.conf', 'dbutil.enabled = on');
$node->reload;
ok($node->poll_query_until('postgres', "SELECT ($probe) > $after"), 'counted again');
$load->finish;
is($load->result(0), 0, 'the load saw no error') or diag($err);

# --- without preload: one clear error, and the rest works
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
for my $what ('* FROM dbutil.statements', '* FROM dbutil.transactions', '* FROM dbutil.services',
	'* FROM dbutil.statement_histogram(1)', '* FROM dbutil.track_info()', 'dbutil.track_reset()')
{
	my ($rc, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT $what");
	like($stderr, qr/55000: dbutil\.\w+ needs dbutil in shared_preload_libraries.*HINT:.*shared_preload_libraries = 'dbutil'/s,
		"SELECT $what without preload");
}
is($node->safe_psql('postgres', q(SELECT fix FROM dbutil.status() WHERE item = 'tracking')),
	'add dbutil to shared_preload_libraries and restart the server', 'status says so as well');
$node->stop;
done_testing();
