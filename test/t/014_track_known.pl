# No count is lost where a statement or a plan that is known is counted without
# the lock of the table: the same few statements from 8 clients, while resets follow each
# other without a pause, entries give way all the time, and a backend is
# terminated now and then.
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
dbutil.track_plans_max = 160
dbutil.track_plan_memory = 64kB
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

# in functions, as statements of the client come too seldom to meet each other
sub loop
{
	my ($times, $statements) = @_;
	return "DO \$\$ BEGIN FOR i IN 1 .. $times LOOP " . join(' ', map { "PERFORM c$_ FROM wide;" } 1 .. $statements) . ' END LOOP; END $$';
}

sub load
{
	my (@command) = @_;
	my ($out, $err) = ('', '');
	local $ENV{PGOPTIONS} = '-c dbutil.track=all';
	my $run = IPC::Run::start([ @command, '-h', $node->host, '-p', $node->port, 'postgres' ], '>', \$out, '2>', \$err);
	return sub { ok($run->finish, 'the load ran'); unlike($err, qr/error|abort/i, 'and saw no error') };
}

sub loops
{
	my $loop = loop(@_);
	return map { load('psql', '-X', '-q', '-c', $loop) } 1 .. 8;
}

# counted(): what the table and its losses hold of all sessions of the service
sub counted
{
	return $node->safe_psql('postgres', q{SELECT coalesce(sum(calls), 0) + (SELECT calls_dropped FROM dbutil.track_info()) FROM dbutil.statements(false)});
}

# counted_plans(): the same of plans
sub counted_plans
{
	return $node->safe_psql('postgres', q{SELECT coalesce(sum(calls), 0) + (SELECT dropped FROM dbutil.track_room() WHERE part = 'plans') FROM dbutil.plans(false)});
}

# what this test itself asks is not counted
$ENV{PGOPTIONS} = '-c dbutil.track=none';
# --- resets without a pause; each is told apart from what it took away
$node->safe_psql('postgres', 'SELECT dbutil.track_reset(), dbutil.reset_plans()');
my $before = counted();
my $cleared_plans = 0;
my @done = loops(20000, 3);
my ($cleared, $resets) = (0, 0);
my $sessions = q{SELECT count(*) > 1 FROM pg_stat_activity WHERE backend_type = 'client backend'};
$node->poll_query_until('postgres', q{SELECT sum(calls) > 1000 FROM dbutil.statements(false)}) or die;
do
{
	$cleared += $node->safe_psql('postgres', q{SELECT sum((dbutil.reset_statements()).calls) FROM generate_series(1, 1000)});
	$cleared_plans += $node->safe_psql('postgres', q{SELECT sum(dbutil.reset_plans()) FROM generate_series(1, 1000)});
	$resets += 1000;
} while ($resets < 2000 || $node->safe_psql('postgres', $sessions) eq 't');
$_->() for @done;
is(counted() + $cleared - $before, 8 * 20000 * 3, "calls + dropped + cleared ($cleared, by $resets resets) = executed");
is(counted_plans() + $cleared_plans, 8 * 20000 * 3, "of plans, too ($cleared_plans cleared)");

# --- more statements than there are entries, and plans: all give way, while others count them
$node->safe_psql('postgres', 'SELECT dbutil.track_reset(), dbutil.reset_plans()');
$before = counted();
@done = loops(1000, 175);
$_->() for @done;
my ($evictions, $lost) = split /\|/, $node->safe_psql('postgres', q{SET dbutil.track = 'none';
	SELECT evictions, calls_dropped FROM dbutil.track_info()});
is(counted() - $before, 8 * 1000 * 175, 'calls + dropped = executed');
is(counted_plans(), 8 * 1000 * 175, 'of plans, too');
cmp_ok($node->safe_psql('postgres', q{SELECT dropped FROM dbutil.track_room() WHERE part = 'plans'}), '>', 1000, 'of which some gave way');
cmp_ok($evictions, '>', 1000, "while $evictions entries gave way");
cmp_ok($lost, '>', $evictions, 'of statements that were known');

# --- sessions that are terminated: what a client saw finished is counted
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
$before = counted();
$cleared = 0;
my $finished = 0;
my $text = join('', map { 'SELECT c' . ($_ % 5 + 1) . " AS hot FROM wide;\n\\echo done\n" } 1 .. 20000);
my $victim_script = script('victim', $text);
my $killed = 0;
for my $round (1 .. 4)
{
	my ($out, $err) = ('', '');
	local $ENV{PGOPTIONS} = '';
	my $victim = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-h', $node->host, '-p', $node->port, '-f', $victim_script, 'postgres' ],
		'>', \$out, '2>', \$err);
	$ENV{PGOPTIONS} = '-c dbutil.track=none';
	$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%AS hot%' AND pid <> pg_backend_pid()}) or die;
	$cleared += $node->safe_psql('postgres', q{SELECT sum((dbutil.reset_statements()).calls) FROM generate_series(1, 100)});
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%AS hot%' AND pid <> pg_backend_pid()});
	$victim->finish;
	$killed++ if $err =~ /terminating connection|server closed/;
	$finished += () = $out =~ /^done$/mg;
}
# one more a session may have been running, and another ended on the server before it was answered
my $all = counted() + $cleared - $before;
cmp_ok($killed, '>', 0, "$killed sessions were terminated");
cmp_ok($all, '>=', $finished - $killed, "calls + dropped + cleared ($all) are at least the statements that were answered ($finished)");
cmp_ok($all, '<=', $finished + 2 * $killed, 'and at most one more a session');

$node->stop;
done_testing();
