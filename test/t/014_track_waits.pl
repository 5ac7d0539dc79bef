# Sampled waits: which worker samples when, what it sees, how its table is
# bounded, who may see what, on a standby too.
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
dbutil.track_waits_max = 100
autovacuum = off
max_parallel_workers_per_gather = 2
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil; CREATE TABLE t (i int); INSERT INTO t VALUES (1)');

my $workers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dbutil tracking'};
my $status = q{SELECT state FROM dbutil.status() WHERE item = 'wait sampling'};

sub configure
{
	my ($on, @lines) = @_;
	$on->append_conf('postgresql.conf', join "\n", @lines);
	$on->reload;
	return;
}

# Does a query become true?
sub becomes
{
	my ($on, $query, $name) = @_;
	ok($on->poll_query_until('postgres', $query), $name);
	return;
}

sub is_seen
{
	my ($service, $condition, $name) = @_;
	becomes($node, "SELECT count(*) > 0 FROM dbutil.waits WHERE service = '$service' AND $condition", $name);
	return;
}

# --- off: no worker
is($node->safe_psql('postgres', $workers), 0, 'off: there is no worker');
is($node->safe_psql('postgres', $status), 'off', 'and status says off');
is($node->safe_psql('postgres', 'SELECT count(*) FROM dbutil.waits'), 0, 'no wait was sampled');

# --- on by a reload: the next statement starts it
configure($node, 'dbutil.track_waits_interval = 5ms');
becomes($node, "SELECT ($workers) = 1", 'on: a worker is started');
becomes($node, "SELECT ($status) = 'ok'", 'and status says ok');

# --- what sessions wait for
my $sleeper = LongSession->new($node);
$sleeper->ask(q{SET dbutil.service = 'sleeper'});
$sleeper->begin('SELECT pg_sleep(1) AS sleeps');
is_seen('sleeper', q{event_type = 'Timeout' AND event = 'PgSleep' AND queryid IS NOT NULL AND samples > 1 AND sampled_time > 0},
	'a statement that sleeps');
my $holder = LongSession->new($node);
$holder->ask(q{SET dbutil.service = 'holder'; BEGIN; UPDATE t SET i = 2});
my $blocked = LongSession->new($node);
$blocked->ask(q{SET dbutil.service = 'blocked'});
$blocked->begin('UPDATE t SET i = 3');
is_seen('blocked', q{event_type = 'Lock' AND event = 'transactionid' AND queryid IS NOT NULL}, 'one that waits for a row');
is_seen('holder', q{event_type = 'Client' AND event = 'ClientRead' AND queryid IS NULL}, 'a session that is idle in its transaction');
$holder->ask('COMMIT; BEGIN; LOCK t');
$blocked->answer;
$blocked->begin('SELECT count(*) FROM t');
is_seen('blocked', q{event_type = 'Lock' AND event = 'relation' AND queryid IS NULL}, 'one that waits while it is analysed');
$holder->ask('COMMIT');
$blocked->answer;
$sleeper->answer;
is($node->safe_psql('postgres', q{SELECT count(DISTINCT queryid) FROM dbutil.waits JOIN dbutil.statements USING (queryid)
		WHERE dbutil.waits.service = 'sleeper' AND query ~ 'sleeps'}),
	1, 'the queryid leads to the statement');
my $idle = $node->safe_psql('postgres', q{SELECT sum(samples) FROM dbutil.waits WHERE service = 'holder' AND event = 'ClientRead'});
my $ticks = q{SELECT used FROM dbutil.track_room() WHERE part = 'wait ticks'};
my $now = $node->safe_psql('postgres', $ticks);
becomes($node, "SELECT ($ticks) > $now + 20", 'the worker goes on');
is($node->safe_psql('postgres', q{SELECT sum(samples) FROM dbutil.waits WHERE service = 'holder' AND event = 'ClientRead'}),
	$idle, 'but idle sessions do not count');
is($node->safe_psql('postgres', q{SELECT count(*) FROM dbutil.waits WHERE event_type = 'Activity'}), 0, 'nor does Activity');

# --- a parallel worker waits for its leader's statement
my $parallel = LongSession->new($node);
$parallel->ask(q{SET dbutil.service = 'parallel'; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
	SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off});
$parallel->begin('SELECT count(*) FROM t WHERE pg_sleep(1) IS NOT NULL');
is_seen('parallel', q{event = 'PgSleep' AND queryid IS NOT NULL}, 'what a parallel worker waits for');
is_seen('parallel', q{event_type = 'IPC' AND queryid IN (SELECT queryid FROM dbutil.waits WHERE event = 'PgSleep')}, 'and its leader');
$parallel->answer;
$_->leave for $holder, $blocked, $parallel;

# --- who sees what
$node->safe_psql('postgres', q{CREATE ROLE regress_waits_other; CREATE ROLE regress_waits_stats; GRANT pg_read_all_stats TO regress_waits_stats});
my $seen = q{SELECT count(*) > 0, count(queryid) > 0 FROM dbutil.waits WHERE service = 'sleeper' AND event = 'PgSleep'};
is($node->safe_psql('postgres', "SET ROLE regress_waits_other; $seen"), 't|f', 'others see the waits without queryid');
is($node->safe_psql('postgres', "SET ROLE regress_waits_stats; $seen"), 't|t', 'unless they may read all statistics');
my ($rc, $out, $err) = $node->psql('postgres', 'SET ROLE regress_waits_other; SELECT dbutil.reset_waits()');
like($err, qr/permission denied for function reset_waits/, 'nor may they reset');

# --- a reset while it samples
is($node->safe_psql('postgres', 'SELECT dbutil.reset_waits() > 10'), 't', 'a reset tells what it cleared');
is($node->safe_psql('postgres', q{SELECT count(*) FROM dbutil.waits WHERE service = 'blocked'}), 0, 'and clears it');
$sleeper->begin('SELECT pg_sleep(5)');	# on a busy machine the resets take a while
$node->safe_psql('postgres', join ';', ('SELECT dbutil.reset_waits()') x 5);
is_seen('sleeper', q{event = 'PgSleep'}, 'sampled on after many resets');
$sleeper->answer;

# --- a bounded table: more statements than room
my $many = join ';', map { 'SELECT pg_sleep(0.012)' . ', 1' x $_ } 1 .. 150;
$node->safe_psql('postgres', $many);
my $mark = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
is($node->safe_psql('postgres', q{SELECT used <= 100 AND size = 100 AND dropped > 0 FROM dbutil.track_room() WHERE part = 'waits'}),
	't', 'the table is bounded, and the loss is counted');
is($node->safe_psql('postgres', q{SELECT state FROM dbutil.status() WHERE item = 'waits dropped by tracking'}), 'warn', 'status tells of it');
# whatever is not seen any more gives way in the end, wherever it lies
my $others = join ';', map { 'SELECT pg_sleep(0.012)' . ', NULL' x $_ } 1 .. 150;
my $old = "SELECT count(*) FROM dbutil.waits WHERE event = 'PgSleep' AND last_seen < '$mark'";
cmp_ok($node->safe_psql('postgres', $old), '>', 50, 'waits that will not be seen again');
for (1 .. 20)
{
	last if $node->safe_psql('postgres', $old) == 0;
	$node->safe_psql('postgres', $others);
}
is($node->safe_psql('postgres', $old), 0, 'all of them gave way to others');

# --- it holds no database, and comes again when it is ended
$node->safe_psql('postgres', 'CREATE DATABASE dropped');
$node->safe_psql('dropped', 'SELECT 1');
$node->safe_psql('postgres', 'DROP DATABASE dropped');
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'dbutil tracking'});
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
becomes($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'dbutil tracking' AND pid <> $pid",
	'a worker that was terminated is replaced');

# --- off again
configure($node, 'dbutil.track_waits_interval = 0');
becomes($node, "SELECT ($workers) = 0", 'off again: the worker ends');
configure($node, 'dbutil.track_waits_interval = 5ms', 'dbutil.enabled = off');
becomes($node, "SELECT setting = 'off' FROM pg_settings WHERE name = 'dbutil.enabled'", 'dbutil is off');
is($node->safe_psql('postgres', $workers), 0, 'which keeps the worker away');
configure($node, 'dbutil.enabled = on');
becomes($node, "SELECT ($workers) = 1", 'and back');

# --- after a restart the postmaster starts it; after a crash it is there again
$node->restart;
becomes($node, "SELECT ($workers) = 1", 'there after a restart');
$sleeper->{psql}->kill_kill;
$pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'dbutil tracking'});
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->reload;
kill 'KILL', $pid;
ok($node->poll_query_until('postgres', "SELECT ($workers) = 1 AND ($status) = 'ok' AND $pid NOT IN (SELECT pid FROM pg_stat_activity)"),
	'there after a crash');

# --- a setting out of range is refused, and the one before stays
configure($node, 'dbutil.track_waits_interval = -5');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_file_settings WHERE name = 'dbutil.track_waits_interval' AND error IS NOT NULL}),
	'an interval out of range is refused');
is($node->safe_psql('postgres', 'SHOW dbutil.track_waits_interval'), '5ms', 'and the one before stays');
configure($node, 'dbutil.track_waits_interval = 5ms');

# --- a standby samples too
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
becomes($standby, "SELECT pg_is_in_recovery() AND ($workers) = 1", 'a worker on a standby');
$standby->safe_psql('postgres', q{SET dbutil.service = 'reader'; SELECT pg_sleep(0.5)});
is($standby->safe_psql('postgres', q{SELECT sum(samples) > 0 FROM dbutil.waits WHERE service = 'reader' AND event = 'PgSleep'}),
	't', 'what is read there is sampled');
$standby->promote;
becomes($standby, "SELECT NOT pg_is_in_recovery() AND ($workers) = 1", 'the worker is there after promotion');
$standby->stop;

# --- no place for a worker: the server starts, and status says what to do
$node->append_conf('postgresql.conf', "max_worker_processes = 0\ndbutil.track_history_interval = 1s");
$node->restart;
is($node->safe_psql('postgres', $status), 'warn', 'no place for the worker: the server starts all the same');
like($node->safe_psql('postgres', q{SELECT fix FROM dbutil.status() WHERE item = 'wait sampling'}), qr/max_worker_processes/,
	'and status says what to do');
is($node->safe_psql('postgres', q{SELECT state FROM dbutil.status() WHERE item = 'history'}), 'warn', 'of history too');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
for my $what ('* FROM dbutil.waits', 'dbutil.reset_waits()')
{
	($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT $what");
	like($err, qr/55000: dbutil\.\w+ needs dbutil in shared_preload_libraries.*HINT:/s, "SELECT $what without preload");
}
$node->stop;
done_testing();
