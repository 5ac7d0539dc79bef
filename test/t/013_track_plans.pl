# Plans under load: bounded in number and memory, and what was executed is
# counted, dropped or cleared, exactly.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'dbutil'
dbutil.track_plans_max = 800
dbutil.track_plan_memory = 64kB
dbutil.track_slow_max = 10
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

sub room
{
	my ($part, $what) = @_;
	return $node->safe_psql('postgres', "SELECT $what FROM dbutil.track_room() WHERE part = '$part'");
}

# --- 4 clients run 5 x 1200 statements of 1200 shapes into 800 entries, then one runs 300 of them twice
my $shapes = script('shapes', join '', map { my $c = $_; map { "SELECT c$c FROM wide WHERE c$_ = 7;\n" } 1 .. 3 } 1 .. 400);
my $twice = script('twice', join '', map { "SELECT c$_ FROM wide WHERE c1 = 7;\n" x 2 } 1 .. 300);
my $executed = 4 * 5 * 1200 + 600;
my $count = q{SET dbutil.track = 'none'; SELECT sum(calls) + (SELECT dropped FROM dbutil.track_room() WHERE part = 'plans')
	FROM dbutil.plans WHERE calls > 0};
my $reset = q{SET dbutil.track = 'none'; SELECT dropped + dbutil.reset_plans() FROM dbutil.track_room() WHERE part = 'plans'};
$node->safe_psql('postgres', $reset);
$node->command_ok([ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 5, '-f', $shapes, 'postgres' ], 'load of many shapes');
$node->command_ok([ 'pgbench', '-n', '-t', 1, '-f', $twice, 'postgres' ], 'load of some twice');
is($node->safe_psql('postgres', $count), $executed, 'calls + dropped = executed');
is(room('plans', 'used <= size AND size <= 800 AND dropped > 0'), 't', 'the table is bounded, and the loss counted');
is(room('plan texts', 'used <= size AND size = 32768 AND dropped > 0'), 't', 'so are texts');
is($node->safe_psql('postgres', q{SELECT count(*) FROM dbutil.status() WHERE state = 'warn' AND item IN ('plans dropped by tracking', 'plan texts dropped by tracking')}),
	2, 'status tells of both');

# --- resets while it runs: what they clear is neither lost nor counted twice
is($node->safe_psql('postgres', q{SET dbutil.track = 'none'; SELECT dbutil.reset_plans() > 0}), 't', 'cleared');
is(room('plan texts', 'used'), 0, 'texts are freed by a reset');
$node->safe_psql('postgres', q{SET dbutil.track = 'none'; SELECT dbutil.reset_plans()});
my $few = script('few', join '', map { "SELECT c$_ FROM wide WHERE c1 = 7;\n" } 1 .. 5);
my $load = IPC::Run::start([ 'pgbench', '-n', '-c', 3, '-t', 2000, '-f', $few, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'>', \my $out, '2>', \my $err);
my $cleared = 0;
my $rounds = 0;
while ($node->safe_psql('postgres', q{SET dbutil.track = 'none'; SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'}) > 0
	|| $rounds == 0)
{
	$cleared += $node->safe_psql('postgres', q{SET dbutil.track = 'none'; SELECT dbutil.reset_plans()});
	$rounds++;
}
$load->finish;
unlike($err, qr/error|abort/i, 'the load saw no error');
$cleared += $node->safe_psql('postgres', q{SET dbutil.track = 'none'; SELECT dbutil.reset_plans()});
is($cleared, 3 * 2000 * 5, "cleared in $rounds resets = executed");

# --- a statement takes so many plans and no more
$node->safe_psql('postgres', q{
	INSERT INTO wide (c1) SELECT g FROM generate_series(1, 100) g;
	SET enable_seqscan = off;
	SET dbutil.track = 'none';
	SELECT dbutil.reset_plans();
	DO $$ BEGIN FOR i IN 1 .. 40 LOOP
		EXECUTE 'CREATE INDEX wide_i ON wide (c1)';
		SET LOCAL dbutil.track = 'all';
		EXECUTE 'SELECT c2 FROM wide WHERE c1 = 7';
		SET LOCAL dbutil.track = 'none';
		EXECUTE 'DROP INDEX wide_i';
	END LOOP; END $$});
is($node->safe_psql('postgres', q{SELECT sum(calls) FILTER (WHERE rows > 0), count(*) FILTER (WHERE rows > 0) FROM dbutil.plans
	WHERE queryid = (SELECT queryid FROM dbutil.plans WHERE rows > 0 GROUP BY queryid ORDER BY count(*) DESC LIMIT 1)}),
	'16|16', 'no more than 16 plans of one statement');
is(room('plans', 'dropped'), 24, 'the others are counted as dropped');

# --- the ring of slow plans: bounded in number and in memory, from many sessions
$node->append_conf('postgresql.conf', 'dbutil.track_slow_time = 0');
$node->reload;
$node->poll_query_until('postgres', q{SELECT setting = '0' FROM pg_settings WHERE name = 'dbutil.track_slow_time'});
$node->command_ok([ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 50, '-f', $few, 'postgres' ], 'load of slow statements');
is($node->safe_psql('postgres', q{SELECT count(*), max(number) - min(number), bool_and(plan_json IS NOT NULL AND plan IS NOT NULL) FROM dbutil.slow_plans}),
	'10|9|t', 'ten plans, the last ones, each whole');
is(room('slow plan texts', 'used > 0 AND used <= size'), 't', 'within their memory');
my $huge = 'SELECT count(*) FROM wide WHERE ' . join(' OR ', map { "(c$_ = 1 AND c1 <> $_)" } 1 .. 300);
$node->safe_psql('postgres', "$huge; $huge AND c5 = 2; SELECT 1 AS after_them");
is(room('slow plan texts', 'used > 0 AND used <= size'), 't', 'long plans drive out more than one');
cmp_ok(room('slow plans', 'used'), '<', 10, 'so that fewer are kept');
is($node->safe_psql('postgres', q{SELECT count(*) FROM dbutil.slow_plans WHERE plan ~ '^Result' AND plan_json IS NOT NULL}) > 0, 1,
	'and the ring goes on');
my $too_large = 'SELECT count(*) FROM wide WHERE ' . join(' OR ', map { "c$_ IN (1, 2, 3) AND c1 <> $_ AND c2 <> $_ * $_" } 1 .. 400);
$node->safe_psql('postgres', $too_large);
is(room('slow plan texts', 'dropped > 0 AND used <= size'), 't', 'a plan larger than all memory is dropped and counted');

cmp_ok(room('slow plans', 'used'), '>', 2, 'and drives no other out');

# --- a plan of another database in another encoding
$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0});
$node->safe_psql('latin', "SET client_encoding = 'UTF8'; SELECT oid FROM pg_class WHERE relname = 'latin\xc3\xa9'");
is($node->safe_psql('postgres', q{SELECT plan ~ 'latin\?' AND plan_json::text ~ 'latin\?' FROM dbutil.slow_plans WHERE database_name = 'latin' AND plan ~ 'latin'}),
	't', 'a plan of another encoding can be read');

# --- parallel query: one execution, one plan
$node->safe_psql('postgres', q{CREATE TABLE large AS SELECT g AS i FROM generate_series(1, 100000) g; ANALYZE large});
$node->safe_psql('postgres', q{SELECT dbutil.reset_plans();
	SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET dbutil.track_slow_analyze = 1;
	SELECT count(*) FROM large; SELECT count(*) FROM large});
is($node->safe_psql('postgres', q{SELECT calls FROM dbutil.plans WHERE plan ~ 'Parallel Seq Scan on large'}), 2,
	'a parallel query counts once');
is($node->safe_psql('postgres', q{SELECT count(*) FROM dbutil.slow_plans WHERE measured AND plan ~ 'Workers Launched'}), 2,
	'with what its workers measured');

# --- without preload: one clear error
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
for my $what ('* FROM dbutil.plans', '* FROM dbutil.plans(false)', '* FROM dbutil.slow_plans', '* FROM dbutil.plan_regressions',
	'* FROM dbutil.track_room()', 'dbutil.reset_plans()', 'dbutil.reset_slow_plans()')
{
	my ($rc, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT $what");
	like($stderr, qr/55000: dbutil\.\w+ needs dbutil in shared_preload_libraries.*HINT:/s, "SELECT $what without preload");
}
$node->stop;
done_testing();
