# dbutil check: the line and the exit status, with the extension and by the
# catalogs alone; both judge alike; what cannot be reached, is hidden or hangs.
use strict;
use warnings;
use IO::Socket::UNIX;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Cli;
use LongSession;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', q(
shared_preload_libraries = 'dbutil'
max_connections = 20
fsync = on
full_page_writes = on
autovacuum = on
));
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE plain; CREATE ROLE stranger LOGIN');
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil');
my $dsn = $node->connstr('postgres');
my $plain = $node->connstr('plain');

# The verdict in words and the whole report, by a run of its own.
sub report
{
	my ($status, $out, $err) = dbutil('check', '--json', @_);
	my $report = eval { decode_json($out) };

	is($err, '', "nothing on stderr: @_");
	like($out, qr/\A[^\n]+\n\z/, 'one line of JSON');
	return ($status, $report);
}

# --- well
my ($status, $out, $err) = dbutil('check', '--dsn', $dsn);
my ($word, $text, $data) = nagios_line($out);
is("$status $word", '0 OK', 'a fresh server is well') or diag($out);
is($err, '', 'nothing on stderr');
is($data->{score}[0], 100, 'score');
is($data->{score}[5], 100, 'and its most');
is(join(' ', @{ $data->{connections_used} }[ 1 .. 3 ]), '% 75 90', 'a check with its unit and thresholds');
is(join(' ', @{ $data->{cache_hit} }[ 1 .. 3 ]), '% 98: 90:', 'one where lower is worse')
  if $data->{cache_hit}[0] ne 'U';
($status, $out) = dbutil('check', '--dsn', $plain);
($word, $text, $data) = nagios_line($out);
is("$status $word", '0 OK', 'without the extension, too') or diag($out);
like($text, qr/by the catalogs alone/, 'and it says so');
cmp_ok($data->{connections_used}[0], '>', 0, 'a value of its own');
{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'plain';
	(undef, $out) = dbutil('check');
	like($out, qr/^DBUTIL OK - .*catalogs alone/, 'the PG* variables say where');
	my $service_file = $node->basedir . '/pg_service.conf';
	append_to_file($service_file, "[here]\ndbname=postgres\n");
	local $ENV{PGSERVICEFILE} = $service_file;
	(undef, $out) = dbutil('check', '--dsn', 'service=here');
	like($out, qr/^DBUTIL OK - \d+ checks are ok \|/, 'and a service file');
}

# --- the same thresholds, and the same verdicts on one server
$node->safe_psql('postgres', q(CREATE TABLE twice AS SELECT 1 AS i FROM generate_series(1, 2)));
$node->psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY twice_i ON twice (i)');
my $judgement = q(SELECT json_agg(json_build_object('check', k.check_name, 'level', k.level, 'unit', k.unit,
	'warn', k.warn, 'critical', k.critical, 'status', w.status) ORDER BY k.check_name)
	FROM dbutil.health_checks AS k
	JOIN (SELECT check_name, (ARRAY['critical', 'warn', 'unknown', 'ok'])[min(array_position(
			ARRAY['critical', 'warn', 'unknown', 'ok'], status))] AS status
		FROM dbutil.health GROUP BY check_name) AS w ON w.check_name = k.check_name
	WHERE k.check_name IN (%s));

sub same_as_extension
{
	my ($what) = @_;
	my (undef, $report) = report('--no-extension', '--level', 'full', '--dsn', $dsn);
	my @checks = @{ $report->{checks} };
	my $names = join ', ', map { "'$_->{check}'" } @checks;
	my $theirs = decode_json($node->safe_psql('postgres', sprintf $judgement, $names));

	delete $_->{value} for @checks;
	cmp_ok(scalar @checks, '>=', 8, "checks were found: $what");
	is_deeply(\@checks, $theirs, "names, levels, units, thresholds and verdicts are the extension's: $what");
	return $report;
}
my $report = same_as_extension('an invalid index');
is($report->{findings}[0]{object}, 'public.twice_i', 'which is found');
($status) = report('--no-extension', '--level', 'full', '--dsn', $dsn);
is($status, 1, 'a warning');
($status) = report('--no-extension', '--level', 'quick', '--dsn', $dsn);
is($status, 0, 'which the quick level does not see');
($status, my $theirs) = report('--level', 'full', '--dsn', $dsn);
is($status, 1, 'with the extension, too');
is($theirs->{status}, $node->safe_psql('postgres', q(SELECT dbutil.check_database_health() ->> 'status')),
	"the extension's verdict");
for my $part (qw(status score level counts findings findings_total unknown server))
{
	ok(exists $report->{$part} && exists $theirs->{$part}, "both have $part");
}
is(join(' ', sort keys %{ $report->{server} }), join(' ', sort keys %{ $theirs->{server} }), 'the same facts');
($status, $out) = dbutil('check', '--level', 'full', '--fail-on', 'critical', '--dsn', $dsn);
is("$status " . (nagios_line($out))[0], '0 WARNING', 'a probe that fails on what is critical only');
$node->safe_psql('postgres', 'DROP TABLE twice');

$node->safe_psql('postgres', q(SELECT pg_create_physical_replication_slot('kept', true)));
my @crowd = map { LongSession->new($node) } 1 .. 15;
is($_->ask('SELECT 1'), '1', 'one of a crowd') for @crowd;
$report = same_as_extension('a crowd and a slot');
is($report->{status}, 'critical', 'too many connections');
($status, $out) = dbutil('check', '--dsn', $plain, '--fail-on', 'critical');
($word, $text) = nagios_line($out);
is("$status $word", '2 CRITICAL', 'which no option hides');
like($text, qr/^connections_used server: \d+ of 17 connections are in use/, 'in words');
$_->leave for @crowd;
$node->safe_psql('postgres', q(SELECT pg_drop_replication_slot('kept')));

# --- a service
my $shop = LongSession->new($node);
$shop->ask(q(SET application_name = 'shop|1'; BEGIN; SELECT 1));
for my $how ([ '--dsn', $dsn ], [ '--dsn', $plain ])
{
	(undef, $out) = dbutil('check', '--service', 'shop|1', @$how);
	(undef, undef, $data) = nagios_line($out);
	is("$data->{connections}[0] $data->{active}[0] $data->{idle_in_transaction_sessions}[0]", '1 0 1', 'sessions of a service');
	(undef, $report) = report('--service', 'shop|1', @$how);
	is($report->{service}{name}, 'shop|1', 'it is in the report');
}
# names with the sign that separates performance data do not break the line
$node->safe_psql('postgres', q(INSERT INTO dbutil.health_settings (check_name, warn) VALUES ('long_transaction', 0)));
($status, $out) = dbutil('check', '--dsn', $dsn);
($word, $text) = nagios_line($out);
is("$status $word", '1 WARNING', "a threshold of one's own counts") or diag($out);
like($text, qr{^long_transaction postgres/\S+/shop/1: session \d+ }, 'the worst finding in words');
$node->safe_psql('postgres', q(DELETE FROM dbutil.health_settings));
$shop->leave;

# --- what is hidden is unknown
for my $where ($dsn, $plain)
{
	($status, $out) = dbutil('check', '--dsn', "$where user=stranger");
	($word, $text, $data) = nagios_line($out);
	is("$status $word", '3 UNKNOWN', 'a role that may not see');
	like($text, qr/needs: pg_monitor/, 'and what it needs');
	is($data->{connections_used}[0], 'U', 'no value is made up');
	($status) = dbutil('check', '--fail-on', 'critical', '--dsn', "$where user=stranger");
	is($status, 0, 'which is no failure of a probe');
}

# --- what lies in wait in another schema is not called
$node->safe_psql('plain', q(
	CREATE FUNCTION public.format(text, text, text) RETURNS text LANGUAGE sql AS $$SELECT 'captured'$$;
	CREATE FUNCTION public.format(text, bigint, integer) RETURNS text LANGUAGE sql AS $$SELECT 'captured'$$;
	CREATE TABLE public.pg_stat_activity (i int);
	ALTER DATABASE plain SET search_path = public, pg_catalog));
($status, $out) = dbutil('check', '--dsn', $plain, '--json');
is($status, 0, 'with a search path of traps');
unlike($out, qr/captured/, 'none is sprung');
$node->safe_psql('plain', 'ALTER DATABASE plain RESET search_path');

# --- no server, no answer, no such database
($status, $out) = dbutil('check', '--dsn', 'host=' . $node->host . ' port=1');
is($status, 2, 'no server is critical');
like($out, qr/\ADBUTIL CRITICAL - cannot connect: [^\n]+\n\z/, 'in one line');
($status, $report) = report('--dsn', 'host=' . $node->host . ' port=1');
is("$status $report->{status}", '2 critical', 'and as JSON');
($status, $out) = dbutil('check', '--dsn', $node->connstr('nowhere'));
is($status, 3, 'no such database says nothing of the server');
like($out, qr/UNKNOWN - cannot connect: .*nowhere.*does not exist/, 'which is told');
my $deaf = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $node->host . '/.s.PGSQL.7', Listen => 1)
  or die "cannot listen: $!";
($status, $out) = dbutil('check', '--timeout', '1', '--dsn', 'host=' . $node->host . ' port=7');
is($status, 2, 'a server that does not answer is critical') or diag($out);
close $deaf;
my $locker = LongSession->new($node);
$locker->ask('BEGIN; LOCK TABLE pg_catalog.pg_locks IN ACCESS EXCLUSIVE MODE');
($status, $out) = dbutil('check', '--timeout', '1', '--no-extension', '--level', 'full', '--dsn', $dsn);
is($status, 2, 'a check that hangs ends');
like($out, qr/CRITICAL - cannot check: /, 'and is critical');
$locker->leave;

# --- ages beyond those that a new server has (150 million: autovacuum is not called yet)
$node->stop;
append_to_file($node->data_dir . '/pg_xact/' . sprintf('%04X', int(150_000_000 / 1048576)), "\0" x 262144);
$node->command_ok([ 'pg_resetwal', '-x', 150_000_000, $node->data_dir ], 'counters moved');
$node->start;
same_as_extension('an old server');

# --- command lines that make no sense
for my $bad (
	[ '--levle', 'quick', qr/unknown option "--levle": the nearest is "--level"/ ],
	[ '--level', 'fuul', qr/"--level": "fuul": the nearest is "full"/ ],
	[ '--fail-on', 'warn', qr/the nearest is "warning"/ ],
	[ '--timeout', '0', qr/"0" is not a number from 1 to 3600/ ],
	[ '--timeout', '10s', qr/"10s" is not a number/ ],
	[ '--json=yes', qr/"--json" takes no value/ ],
	[ '--dsn', qr/"--dsn" needs a value/ ],
	[ '--dsn', 'a=b', '--dsn', 'a=b', qr/"--dsn" is given twice/ ],
	[ '-x', qr/unknown option "-x": options begin with two dashes/ ],
	[ 'postgres', qr/unexpected argument "postgres"/ ],
	[ '--dsn', 'nonsense', qr/cannot connect: invalid conninfo/ ])
{
	my $message = pop @$bad;
	($status, $out, $err) = dbutil('check', @$bad);
	is($status, 3, "unknown: @$bad");
	like($out, qr/\ADBUTIL UNKNOWN - [^\n]*$message[^\n]*\n\z/, 'says why');
}
like((dbutil('check', '--jsno'))[2], qr/^usage: dbutil check/, 'usage');

for my $bad ([ 'chekc', qr/unknown command "chekc": the nearest is "check"/ ],
	[ qr/no command is given/ ], [ 'help', 'hcek', qr/the nearest is "check"/ ],
	[ 'verson', qr/the nearest is "version"/ ])
{
	my $message = pop @$bad;
	($status, $out, $err) = dbutil(@$bad);
	is("$status$out", '2', "dbutil @$bad is refused");
	like($err, qr/\Adbutil: error: .*$message/, 'says why');
	like($err, qr/^usage: dbutil/m, 'and how it is called');
}
like((dbutil('version'))[1], qr/\Adbutil \d+\.\d+\.\d+\n\z/, 'version');

$node->stop;
done_testing();
