# History: who writes it and when, that it holds nothing up, and that it is right
# across restarts, crashes, evictions and a promotion.
use strict;
use warnings;
use LongSession;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'dbutil'
dbutil.track_max = 100
dbutil.track_history_database = 'kept'
restart_after_crash = on
autovacuum = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil');

my $worker = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dbutil tracking'};
my $status = q{SELECT state FROM dbutil.status() WHERE item = 'history'};
my $written = q{SELECT used FROM dbutil.track_room() WHERE part = 'history snapshots'};
my $missed = q{SELECT dropped FROM dbutil.track_room() WHERE part = 'history snapshots'};
my $absent = qr/database "kept" has no extension dbutil/;

sub configure
{
	my ($on, @lines) = @_;
	$on->append_conf('postgresql.conf', join "\n", @lines);
	$on->reload;
	return;
}

sub becomes
{
	my ($on, $query, $name) = @_;
	ok($on->poll_query_until('postgres', $query), $name);
	return;
}

# At least one whole snapshot from now on.
sub snapshots_go_on
{
	my ($on, $name) = @_;
	my $now = $on->safe_psql('postgres', $written);
	becomes($on, "SELECT ($written) >= $now + 2", $name);
	return;
}

# What the history says that a service executed.
sub executed
{
	my ($on, $service) = @_;
	return $on->safe_psql('kept', "SELECT coalesce(sum(calls), 0) FROM dbutil.history WHERE service = '$service' AND operation = 'select'");
}

sub run_calls
{
	my ($on, $service, $times) = @_;
	$on->safe_psql('postgres', "SET dbutil.service = '$service'; " . join '; ', map { 'SELECT 1 AS one' } 1 .. $times);
	return;
}

# --- off: nothing runs
is($node->safe_psql('postgres', $worker), 0, 'off: there is no worker');
is($node->safe_psql('postgres', $status), 'off', 'and status says off');

# --- on, but there is no such database: the server and the worker live on
configure($node, 'dbutil.track_history_interval = 1s');
becomes($node, "SELECT ($missed) >= 2", 'a database that does not exist: snapshots are missed, and counted');
is($node->safe_psql('postgres', $worker), 1, 'the worker lives on');

# --- a database without the extension: told of once
$node->safe_psql('postgres', 'CREATE DATABASE kept');
becomes($node, "SELECT ($status) = 'warn'", 'status tells that the extension is absent');
my $before = $node->safe_psql('postgres', $missed);
becomes($node, "SELECT ($missed) >= $before + 2", 'also later');
my @told = slurp_file($node->logfile) =~ /LOG: +dbutil cannot write history: $absent/g;
is(scalar @told, 1, 'and the log tells it once');
$node->safe_psql('kept', 'CREATE EXTENSION dbutil');
snapshots_go_on($node, 'with the extension there it writes');
is($node->safe_psql('postgres', $status), 'ok', 'and status says ok');

# --- what services execute is in it, once
run_calls($node, 'app', 20);
snapshots_go_on($node, 'it goes on');
is(executed($node, 'app'), 20, 'each call is in the history');
is($node->safe_psql('kept', q{SELECT count(*) FROM dbutil.history WHERE service = 'dbutil history'}), 0, 'its own statements are not');
is($node->safe_psql('kept', q{SELECT calls, calls_per_second > 0 FROM dbutil.top(now() - interval '1 hour', now(), 'operation', 'app') WHERE item = 'select'}),
	'20|t', 'top() tells what was executed');

# --- right across a restart
$node->restart;
snapshots_go_on($node, 'after a restart it writes');
run_calls($node, 'app', 5);
snapshots_go_on($node, 'and goes on');
is(executed($node, 'app'), 25, 'nothing is counted twice or lost across a restart');
cmp_ok($node->safe_psql('kept', 'SELECT count(DISTINCT server_started) FROM dbutil.history_snapshots'), '>=', 2, 'and it shows');

# --- across evictions and resets: entries that come and go
my @rare = map { 'SELECT a' . ', a' x $_ . ' FROM (SELECT 1 AS a) x' } 1 .. 20;
my $there = q{SELECT count(*) FROM dbutil.statements WHERE service = 'rare' AND operation = 'select'};
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
$node->safe_psql('postgres', q{SET dbutil.service = 'rare'; } . join ';', map { ($_) x 3 } @rare);
snapshots_go_on($node, 'before evictions');
is($node->safe_psql('postgres', $there), 20, 'entries are there');
for (1 .. 20)
{
	$node->safe_psql('postgres', q{SET dbutil.service = 'flood'; } . join ';', map { 'SELECT 1' . ', 1' x $_ } 1 .. 300);
	last if $node->safe_psql('postgres', $there) < 20;
}
cmp_ok($node->safe_psql('postgres', $there), '<', 20, 'some gave way');
snapshots_go_on($node, 'after evictions');
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
$node->safe_psql('postgres', q{SET dbutil.service = 'rare'; } . join ';', map { ($_) x 4 } @rare);
snapshots_go_on($node, 'when all are back');
is(executed($node, 'rare'), 20 * 7, 'nothing is counted twice or lost across evictions and resets');
is($node->safe_psql('kept', q{SELECT sum(calls_dropped) > 0 FROM dbutil.history_snapshots}), 't', 'what was lost in between is told');

# --- across a crash of the worker's server
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'dbutil tracking'});
kill 'KILL', $pid;
ok($node->poll_query_until('postgres', "SELECT ($worker) = 1 AND $pid NOT IN (SELECT pid FROM pg_stat_activity)"), 'there after a crash');
snapshots_go_on($node, 'and writes');
run_calls($node, 'app', 5);
snapshots_go_on($node, 'and goes on');
is(executed($node, 'app'), 30, 'nothing is counted twice or lost across a crash');

# --- it holds nothing: no connection but while it writes, no snapshot
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dbutil tracking' AND (datid IS NOT NULL OR backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)}),
	0, 'the worker holds neither database nor xmin');
my $session = LongSession->new($node);
is($session->ask(q{CREATE DATABASE copy TEMPLATE kept; DROP DATABASE copy}), '', 'the database can be a template');

# --- one that hangs is ended when the next is due
my $holder = LongSession->new($node);
$holder->ask('\c kept');
$holder->ask('BEGIN; LOCK dbutil.history_last');
$before = $node->safe_psql('postgres', $missed);
becomes($node, "SELECT ($missed) >= $before + 2", 'a writer that waits for a lock is ended, and counted');
is($node->safe_psql('postgres', q{SELECT count(*) <= 1 FROM pg_stat_activity WHERE backend_type = 'dbutil history'}), 't', 'they do not heap up');
$holder->ask('ROLLBACK');
$holder->leave;
snapshots_go_on($node, 'then it goes on');

# --- retention
$node->safe_psql('kept', q{UPDATE dbutil.history_snapshots SET taken_at = taken_at - interval '2 hours'});
configure($node, 'dbutil.track_history_retention = 1h');
snapshots_go_on($node, 'it goes on');
is($node->safe_psql('kept', q{SELECT count(*) FROM dbutil.history_snapshots WHERE taken_at < now() - interval '1 hour'}), 0, 'old snapshots go');
is($node->safe_psql('kept', q{SELECT count(*) FROM dbutil.history_statements WHERE snapshot NOT IN (SELECT snapshot FROM dbutil.history_snapshots)}), 0,
	'and their rows with them');

# --- a configuration for others does not stop it
configure($node, q{default_transaction_read_only = on}, q{default_transaction_isolation = 'serializable'});
snapshots_go_on($node, 'it writes where transactions are read only by default');
configure($node, q{default_transaction_read_only = off}, q{default_transaction_isolation = 'read committed'});

# --- a standby writes none; after promotion it does
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
becomes($standby, "SELECT pg_is_in_recovery() AND ($worker) = 1", 'the worker is there on a standby');
is($standby->safe_psql('postgres', $status), 'off', 'where status says off');
$standby->safe_psql('postgres', 'SELECT pg_sleep(2)');
is($standby->safe_psql('postgres', "SELECT ($written) + ($missed)"), 0, 'it writes none, and misses none');
my ($rc, $out, $err) = $standby->psql('kept', 'SELECT dbutil.history_take()');
like($err, qr/cannot .* (read-only transaction|during recovery)/, 'a snapshot by hand is refused there');
$standby->promote;
snapshots_go_on($standby, 'it writes after promotion');
run_calls($standby, 'promoted', 6);
snapshots_go_on($standby, 'and goes on');
is(executed($standby, 'promoted'), 6, 'and it is right');
$standby->stop;

# --- a database can be dropped while history is on
is($session->ask('DROP DATABASE kept WITH (FORCE)'), '', 'history\'s database can be dropped');
$session->leave;

# --- bad settings are refused, the worker goes when it is off
configure($node, 'dbutil.track_history_interval = 100d');
becomes($node, q{SELECT count(*) = 1 FROM pg_file_settings WHERE name = 'dbutil.track_history_interval' AND error IS NOT NULL AND setting = '100d'},
	'an interval out of range is refused');
is($node->safe_psql('postgres', 'SHOW dbutil.track_history_interval'), '1s', 'and the one before stays');
configure($node, 'dbutil.track_history_interval = 0');
becomes($node, "SELECT ($worker) = 0", 'off: the worker ends');

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
for my $what ('dbutil.history_take()')
{
	($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT $what");
	like($err, qr/55000: dbutil\.\w+ needs dbutil in shared_preload_libraries.*HINT:/s, "SELECT $what without preload");
}
$node->stop;
done_testing();
