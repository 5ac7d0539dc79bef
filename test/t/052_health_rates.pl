# The checks that need traffic: rates between two looks, checkpoints, a
# subscription that fails, and how services use the database.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 'logical');
$node->append_conf(
	'postgresql.conf', q(
shared_preload_libraries = 'dbutil'
autovacuum = off
deadlock_timeout = '100ms'
dbutil.track_planning = on
));
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil');

sub judged
{
	my ($check, $columns) = @_;
	$columns //= 'status';
	return $node->safe_psql('postgres',
		"SELECT $columns FROM dbutil.health WHERE check_name = '$check' ORDER BY 1");
}

sub settings
{
	my ($check, $set) = @_;
	$node->safe_psql('postgres', "DELETE FROM dbutil.health_settings WHERE check_name = '$check';"
		. ($set ? "INSERT INTO dbutil.health_settings (check_name, warn, min_evidence) VALUES ('$check', $set)" : ''));
}

# --- rates
my @rates = qw(connection_churn deadlocks rollbacks temp_files);
is(judged($_), 'unknown', "$_: nothing is known at the first look") for @rates;
is($node->safe_psql('postgres', q(SELECT seconds > 0, deadlocks FROM dbutil.health_changes())), 't|0',
	'the second look is compared with the first');
like(judged('deadlocks', 'message'), qr/^not judged yet, \d+\.\d of 60 seconds: /, 'which was a moment ago');
settings($_, $_ eq 'connection_churn' ? q('infinity', 0) : 'NULL, 0') for @rates;
is(judged($_), $_ eq 'rollbacks' ? 'unknown' : 'ok', "$_: a quiet server") for @rates;
like(judged('rollbacks', 'message'), qr/^\d+ of \d+ transactions were rolled back in \d+ s$/, 'and too few transactions');

# one deadlock
$node->safe_psql('postgres', 'CREATE TABLE a (); CREATE TABLE b ()');
my @run = map {
	my ($first, $second) = $_ ? qw(a b) : qw(b a);
	my ($in, $out) = ('', '');
	IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', 'BEGIN', '-c', "LOCK TABLE $first",
			'-c', 'SELECT pg_sleep(1)', '-c', "LOCK TABLE $second", '-c', 'COMMIT' ], '<', \$in, '>', \$out, '2>&1')
} (0, 1);
$_->finish for @run;
# rollbacks, a sort that does not fit in memory, sessions
my $script = "$PostgreSQL::Test::Utils::tmp_check/rollback.sql";
append_to_file($script, "BEGIN;\nROLLBACK;\n");
$node->command_ok([ 'pgbench', '-n', '-f', $script, '-t', '1200', $node->connstr('postgres') ], 'transactions rolled back');
$node->safe_psql('postgres', q(SET work_mem = 64; SELECT count(*) FROM (SELECT g FROM generate_series(1, 100000) g ORDER BY -g OFFSET 0) x));
ok($node->poll_query_until('postgres', q(SELECT deadlocks = 1 FROM dbutil.health_changes())), 'a deadlock is counted');
is(judged('rollbacks'), 'warn', 'most transactions were rolled back');
settings('rollbacks', '100, 0');
is(judged('rollbacks'), 'ok', 'but not all');
is(judged('deadlocks', 'value > 0'), 't', 'a rate of deadlocks');
settings('deadlocks', '0.001, 0');
is(judged('deadlocks'), 'warn', 'above a threshold');
is(judged('temp_files', 'value > 0'), 't', 'a rate of temporary files');
settings('temp_files', '0.001, 0');
is(judged('temp_files'), 'warn', 'above a threshold');
settings('connection_churn', '0.001, 0');
is(judged('connection_churn'), 'warn', 'new sessions above a threshold');
settings('connection_churn');
is(judged('connection_churn'), 'unknown', 'and not judged before a minute is over');
# other counters are another beginning
$node->safe_psql('postgres', 'SELECT pg_stat_reset()');
is($node->safe_psql('postgres', 'SELECT seconds FROM dbutil.health_changes()'), '', 'a reset begins anew');
is($node->safe_psql('template1', 'CREATE EXTENSION dbutil; SELECT seconds FROM dbutil.health_changes()'), '',
	'each database has its own');
settings($_) for @rates;

# --- checkpoints
is(judged('requested_checkpoints'), 'unknown', 'few checkpoints say nothing');
$node->safe_psql('postgres', 'CREATE TABLE c (); DROP TABLE c; CHECKPOINT');
settings('requested_checkpoints', 'NULL, 1');
ok($node->poll_query_until('postgres', q(SELECT status = 'warn' FROM dbutil.health WHERE check_name = 'requested_checkpoints')),
	'they were asked for');
settings('requested_checkpoints', '101, 1');
is(judged('requested_checkpoints'), 'ok', 'below a threshold');

# --- a subscription that cannot apply a row
$node->safe_psql('postgres', 'CREATE TABLE p (i int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE p');
$node->safe_psql('postgres', q(CREATE DATABASE target TEMPLATE template1));
$node->safe_psql('target', 'CREATE TABLE p (i int PRIMARY KEY); INSERT INTO p VALUES (1)');
my $failing = q(SELECT object_name, status FROM dbutil.health WHERE check_name = 'subscription_errors');
is($node->safe_psql('target', $failing), 'none|ok', 'no subscription');
$node->safe_psql('postgres', q(SELECT pg_create_logical_replication_slot('sub', 'pgoutput')));
$node->safe_psql('target', q(CREATE SUBSCRIPTION sub CONNECTION ') . ($node->connstr . ' dbname=postgres')
	. q(' PUBLICATION pub WITH (create_slot = false, copy_data = false, slot_name = 'sub')));
ok($node->poll_query_until('target', q(SELECT count(pid) = 1 FROM pg_stat_subscription)), 'subscribed');
is($node->safe_psql('target', $failing), 'sub|ok', 'a subscription without an error');
is($node->safe_psql('target', q(SELECT kind, name, state FROM dbutil.replication_health WHERE kind = 'subscription')),
	'subscription|sub|running', 'replication_health has it');
$node->safe_psql('postgres', 'INSERT INTO p VALUES (1)');
ok($node->poll_query_until('target', q(SELECT apply_error_count > 0 FROM pg_stat_subscription_stats)), 'a row is there twice');
is($node->safe_psql('target', $failing), 'sub|warn', 'which is told');
is($node->safe_psql('target', q(SELECT name, status, findings FROM dbutil.replication_health WHERE kind = 'subscription')),
	'sub|warn|{subscription_errors}', 'also by replication_health');
is($node->safe_psql('postgres', $failing), 'none|ok', 'in its own database');
$node->safe_psql('target', 'DROP SUBSCRIPTION sub');

# --- how services use the database
is(judged('row_at_a_time_writes', q(string_agg(DISTINCT status, ',') FILTER (WHERE status IN ('warn', 'critical')))), '',
	'no service writes much');
$node->safe_psql('postgres', 'CREATE TABLE w (i int)');
my $loader = 'SET dbutil.service = slow_loader; BEGIN;' . 'INSERT INTO w VALUES (1);' x 60 . 'COMMIT;';
my $bulk = 'SET dbutil.service = bulk_loader; BEGIN;' . 'INSERT INTO w SELECT generate_series(1, 10);' x 60 . 'COMMIT;';
my $short = 'SET dbutil.service = counter;' . join('', map { "BEGIN; INSERT INTO w VALUES (1); COMMIT;" } 1 .. 60);
for my $sql ($loader, $bulk, $short)
{
	$node->safe_psql('postgres', $sql =~ s/;/;\n/gr);
}
my $writers = q(object_name IN ('slow_loader', 'bulk_loader', 'counter'));
my $seen = sub {
	my ($check) = @_;
	return $node->safe_psql('postgres',
		"SELECT object_name, status FROM dbutil.health WHERE check_name = '$check' AND $writers ORDER BY 1");
};
is($seen->('row_at_a_time_writes'), "bulk_loader|unknown\ncounter|unknown\nslow_loader|unknown", 'too few statements to judge by');
settings('row_at_a_time_writes', 'NULL, 50');
is($seen->('row_at_a_time_writes'), "bulk_loader|ok\ncounter|ok\nslow_loader|warn", 'one of them should write in bulk');
is($seen->('unprepared_repetition'), "bulk_loader|unknown\ncounter|unknown\nslow_loader|unknown", 'nor is planning judged');
settings('unprepared_repetition', '0.001, 50');
like($seen->('unprepared_repetition'), qr/slow_loader\|warn/, 'they plan each statement');
settings('unprepared_repetition', '101, 50');
like($seen->('unprepared_repetition'), qr/slow_loader\|ok/, 'below a threshold');
$node->append_conf('postgresql.conf', 'dbutil.track_planning = off');
$node->reload;
$node->safe_psql('postgres', 'SELECT dbutil.reset_statements()');
$node->safe_psql('postgres', $short);
is($node->safe_psql('postgres',
		q(SELECT status, message FROM dbutil.health WHERE check_name = 'unprepared_repetition' AND object_name = 'counter')),
	'unknown|dbutil.track_planning is off', 'what is not tracked is unknown');
is($node->safe_psql('postgres', q(SELECT check_name, message FROM dbutil.health WHERE needs = 'a check that works')), '',
	'no check has failed');

# --- without preload no rate is known, and nothing fails
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is($node->safe_psql('postgres', 'SELECT seconds IS NULL AND deadlocks IS NULL FROM dbutil.health_changes()'), 't', 'no rate without preload');
like(judged('deadlocks', q(status || ' ' || message)), qr/^unknown .*shared_preload_libraries/, 'which is said');
is($node->safe_psql('postgres', q(SELECT check_name, message FROM dbutil.health WHERE needs = 'a check that works')), '',
	'no check has failed');
$node->stop;

done_testing();
