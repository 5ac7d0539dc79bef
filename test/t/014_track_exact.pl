# Totals are exact: 8 clients, resets meanwhile, entries that give way, a
# backend that is terminated; and a parallel query is counted once.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'dbutil'
dbutil.track_max = 100
dbutil.track_utility = off
dbutil.track_save_interval = 1s
autovacuum = off
max_connections = 40
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil; CREATE TABLE wide (' . join(', ', map { "c$_ int" } 1 .. 300) . ')');

sub script
{
	my ($name, $text) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$name.sql";
	open(my $fh, '>', $file) or die $!;
	print $fh $text;
	close $fh;
	return $file;
}

# every session is of one service from here on
$ENV{PGAPPNAME} = 'exact';
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
# that call ended behind its reset
my $executed = 1;
my $cleared = 0;
my $shapes = script('shapes', join '', map { "SELECT c$_ FROM wide;\n" } 1 .. 300);
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 8, '-j', 2, '-t', 15, '-f', $shapes, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', \my $out, '2>', \my $err);
my $victim = IPC::Run::start(
	[ 'psql', '-X', '-q', '-A', '-t', '-h', $node->host, '-p', $node->port,
		'-f', script('victim', join('', map { "SELECT c$_ + 1 FROM wide;\n" } 1 .. 250) . "SELECT pg_sleep(600);\n"), 'postgres' ],
	'>', \my $victim_out, '2>', \my $victim_err);
for (1 .. 12)
{
	my ($calls) = $node->safe_psql('postgres', 'SELECT calls FROM dbutil.reset_statements()');
	$cleared += $calls;
	$executed++;
	# one service alone, another that is none
	$cleared += $node->safe_psql('postgres', q{SELECT calls FROM dbutil.reset_statements('exact')});
	$cleared += $node->safe_psql('postgres', q{SELECT calls FROM dbutil.reset_statements('none')});
	$executed += 2;
	$node->safe_psql('postgres', 'SELECT pg_sleep(0.1)');
	$executed++;
}
my $sleeps = q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%600%'};
for (1 .. 3000)
{
	$executed++;
	last if $node->safe_psql('postgres', $sleeps) == 1;
	select(undef, undef, undef, 0.1);
}
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%600%'});
$executed++;
$victim->finish;
like($victim_err, qr/terminating connection/, 'a backend was terminated in a statement');
ok($load->finish, 'the load ran');
unlike($err, qr/error|abort/i, 'and saw no error');
$executed += 8 * 15 * 300 + 250;
# the session that ended writes its transactions when it is gone
$node->poll_query_until('postgres', q{SELECT count(*) <= 1 FROM pg_stat_activity WHERE backend_type = 'client backend'}) or die;
my ($calls, $dropped, $commits, $terminated, $codes) = split /\|/, $node->safe_psql('postgres', q{
	SET dbutil.track = 'none';
	SELECT sum(calls), calls_dropped, (SELECT sum(commits) FROM dbutil.transactions WHERE service = 'exact'),
		(SELECT sum(rollbacks_terminated) FROM dbutil.transactions WHERE service = 'exact'),
		(SELECT string_agg(sqlstate, ',') FROM dbutil.statement_errors)
	FROM dbutil.statements(false), dbutil.track_info() GROUP BY calls_dropped});
my $polls = $calls + $dropped + $cleared - $executed;
# only the polls above are of an unknown number: each is a transaction as well
cmp_ok($polls, '>', 0, 'all are counted that are known');
is($commits - $polls, $executed, "calls ($calls) + dropped ($dropped) + cleared ($cleared) = executed, and each is a transaction");
cmp_ok($dropped, '>', 0, 'entries gave way meanwhile');
is($terminated, 1, 'the terminated one was rolled back');
is($codes, '57P01', 'and is an error');

# --- parallel workers: counted once, with what they do
$node->safe_psql('postgres', q{CREATE TABLE big AS SELECT g AS i FROM generate_series(1, 20000) g; ANALYZE big});
$node->safe_psql('postgres', q{SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
	SET max_parallel_workers_per_gather = 2; SELECT count(*) AS in_parallel FROM big WHERE i > 5});
is($node->safe_psql('postgres', q{SELECT calls, rows, shared_blks_hit + shared_blks_read >= 88 FROM dbutil.statements WHERE query LIKE '%in_parallel%'}),
	'1|1|t', 'a parallel query is one call, with the blocks of its workers');

# --- nothing is lost by a slow reader: a look at everything under load
$load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 4, '-T', 600, '-f', $shapes, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', \$out, '2>', \$err);
ok($node->poll_query_until('postgres', 'SELECT evictions > 500 FROM dbutil.track_info()'), 'under load');
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT service, dbid, userid, shape FROM dbutil.transactions()
		GROUP BY 1, 2, 3, 4 HAVING count(*) > 1) AS twice}), 0, 'no transaction is shown twice');
# entries give way and come back while a look at the statements goes on
my ($twice, $without) = (0, 0);
for (1 .. 30)
{
	my ($again, $none) = split /\|/, $node->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE n > 1), count(*) FILTER (WHERE texts < n)
		FROM (SELECT count(*) AS n, count(query) AS texts FROM dbutil.statements() GROUP BY service, dbid, userid, toplevel, queryid) AS s});
	$twice += $again;
	$without += $none;
}
is($twice, 0, 'no statement is shown twice');
is($without, 0, 'and each with its text');
$load->signal('TERM');
$load->finish;
unlike($err, qr/error|abort/i, 'the load saw no error');

$node->stop;
done_testing();
