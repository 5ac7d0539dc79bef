# Tracking under load: what was executed is counted or counted as dropped,
# exactly, whatever the number of statements, services and errors.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# --- the histogram, compiled by itself
my $program = "$PostgreSQL::Test::Utils::tmp_check/histogram_test";
system_or_bail(qw(gcc -std=gnu11 -Wall -Wextra -Werror -Isrc -o),
	$program, 'test/track/histogram_test.c', 'src/core/histogram.c', '-lm');
my $tap = `$program`;
is($?, 0, 'histogram: ' . join(', ', grep { /^(not )?ok/ } split /\n/, $tap));

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'dbutil'
dbutil.track_max = 100
dbutil.track_max_services = 5
dbutil.track_query_size = 16kB
dbutil.shared_memory = 1MB
max_connections = 30
autovacuum = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil');
$node->safe_psql('postgres',
	'CREATE TABLE wide (' . join(', ', map { "c$_ int" } 1 .. 400) . ')');

sub script
{
	my ($name, $text) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$name.sql";
	open(my $fh, '>', $file) or die $!;
	print $fh $text;
	close $fh;
	return $file;
}

my $sums = q{SELECT sum(calls), sum(errors), calls_dropped, errors_dropped
	FROM dbutil.statements(false), dbutil.track_info() GROUP BY 3, 4};

# --- 4 clients run 20 x 400 statements of 400 shapes into 100 entries
my $shapes = script('shapes', join '', map { "SELECT c$_ FROM wide;\n" } 1 .. 400);
my $executed = 4 * 20 * 400;
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
{
	local $ENV{PGAPPNAME} = 'load';
	$node->command_ok(
		[ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 20, '-f', $shapes, 'postgres' ],
		'load of many shapes');
}
my ($calls, $errors, $dropped) = split /\|/, $node->safe_psql('postgres', $sums);
cmp_ok($dropped, '>', 0, 'entries gave way');
# beside the load there was the call of track_reset()
is($calls + $dropped, $executed + 1, 'calls + dropped = executed');
is($node->safe_psql('postgres', 'SELECT entries <= 100 FROM dbutil.track_info()'),
	't', 'and the table is no larger than it may be');
is($node->safe_psql('postgres',
		q(SELECT state FROM dbutil.status() WHERE item = 'calls dropped by tracking')),
	'warn', 'status tells of the loss');
is($node->safe_psql('postgres',
		q(SELECT sum(commits), sum(rollbacks) FROM dbutil.transactions WHERE service = 'load')),
	"$executed|0", 'each transaction is counted, also after its session ended');

# --- readers and resets while it runs
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 3, '-T', 600, '-f', $shapes, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', \my $out, '2>', \my $err);
for (1 .. 5)
{
	$node->poll_query_until('postgres', 'SELECT evictions > 200 FROM dbutil.track_info()') or last;
	$node->safe_psql('postgres', q{SELECT dbutil.track_reset();
		SELECT count(*) FROM dbutil.statements; SELECT count(*) FROM dbutil.transactions;
		SELECT count(*) FROM dbutil.services});
}
ok($node->poll_query_until('postgres', 'SELECT evictions > 0 FROM dbutil.track_info()'),
	'counted on after resets');
is($node->safe_psql('postgres',
		'SELECT count(*) = count(DISTINCT (dbid, userid, toplevel, queryid, service)) FROM dbutil.statements(false)'),
	't', 'one look sees each entry once');
$load->signal('TERM');
$load->finish;
unlike($err, qr/error|abort/i, 'the load saw no error');

# --- statements that fail: 100 of 20 shapes, the last ones right before the session's end
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
my $failing = script('failing',
	join '', map { 'SELECT 1 / (count(*) - count(*)) + sum(c' . ($_ % 20 + 1) . ") FROM wide;\n" } 1 .. 100);
$node->psql('postgres', undef, on_error_stop => 0, extra_params => [ '-f', $failing ]);
(undef, $errors, undef, $dropped) = split /\|/, $node->safe_psql('postgres', $sums);
is($errors + $dropped, 100, 'errors + errors dropped = failed');
is($node->safe_psql('postgres',
		q{SELECT count(*) FROM dbutil.statements WHERE query LIKE 'SELECT $1 / (count(*)%' AND errors = 5 AND calls = 0}),
	20, 'each with its text');

# --- a transaction that its session leaves open is rolled back, and counted
$node->safe_psql('postgres', q{SET dbutil.service = 'leaver'; BEGIN; INSERT INTO wide VALUES (1)});
is($node->safe_psql('postgres',
		q(SELECT rollbacks_terminated, wrote FROM dbutil.transactions WHERE service = 'leaver' AND wrote > 0)),
	'1|1', 'a transaction that was left open');

# --- more services than there is room for
my $services = $node->safe_psql('postgres', 'SELECT services FROM dbutil.track_info()');
for my $i (1 .. 8)
{
	$node->safe_psql('postgres', "SET dbutil.service = 'service$i'; SELECT 2 AS s; SELECT 3 AS s");
}
is($node->safe_psql('postgres', 'SELECT services FROM dbutil.track_info()'), 4,
	"only so many services are told apart ($services at first)");
my $told = 4 - $services;
is($node->safe_psql('postgres', 'SELECT services_dropped > 0 FROM dbutil.track_info()'),
	't', 'those beyond are counted');
is($node->safe_psql('postgres',
		q(SELECT sum(calls) FROM dbutil.statements WHERE service = '<other>' AND operation = 'select')),
	2 * (8 - $told), 'and tracked together as <other>');
is($node->safe_psql('postgres',
		q(SELECT sum(commits) > 0 FROM dbutil.transactions WHERE service = '<other>')),
	't', 'their transactions too');

# --- a text area that is full: entries stay, without text
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
my $name = 'n' x 60;
my @long = map {
	my $shape = $_;
	'SELECT ' . join(', ', map { "c$_ AS $name" } $shape .. $shape + 299) . ' FROM wide'
} 1 .. 80;
$node->safe_psql('postgres', join ';', @long);
is($node->safe_psql('postgres', q{SELECT sum(calls), texts_dropped > 0, max(octet_length(query)) = 16384
		FROM dbutil.statements, dbutil.track_info() WHERE operation = 'select' GROUP BY texts_dropped}),
	'81|t|t', 'calls count though texts found no room; a text is cut where it should be');

# --- characters of more than one byte: cut between them, and shown in another encoding
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
my $wide_name = "\xc3\xa9" x 31;
$node->safe_psql('postgres', 'SELECT ' . join(', ', map { qq{c$_ AS "$wide_name"} } 1 .. 300) . ' FROM wide');
is($node->safe_psql('postgres', q{SELECT octet_length(query) BETWEEN 16383 AND 16384
		FROM dbutil.statements WHERE query LIKE 'SELECT c1 %'}),
	't', 'cut at the boundary of a character');
$node->safe_psql('postgres',
	q{CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0});
$node->safe_psql('latin', "SET client_encoding = 'UTF8'; SELECT 1 AS \"latin\xc3\xa9\"");
is($node->safe_psql('postgres', q{SELECT query FROM dbutil.statements WHERE query LIKE '%latin?%' AND database_name = 'latin'}),
	'SELECT $1 AS "latin?"', 'a text of a database of another encoding');

$node->stop;
done_testing();
