# Statistics outlive the server: a clean stop, a crash, a damaged file, other
# settings; and on a standby, also when it is promoted.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'dbutil'
dbutil.track_save_interval = 1h
dbutil.track_tags = 'route'
restart_after_crash = on
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil; CREATE TABLE t (i int); INSERT INTO t VALUES (0)');
my $file = $node->data_dir . '/pg_stat/dbutil.stat';

# What is known of the load, by whatever session looks.
sub known
{
	my $on = shift // $node;
	return $on->safe_psql('postgres', q{SET application_name = 'looks';
		SELECT sum(calls), sum(errors), count(query), max(tags ->> 'route'), max(array_length(relations, 1)),
			count(DISTINCT username), bool_and(p50_exec_time > 0 OR calls = 0), max(stats_since) < now()
		FROM dbutil.statements WHERE service = 'load';
		SELECT sum(commits), sum(rollbacks_error), bool_or(name = 'named') FROM dbutil.transactions WHERE service = 'load';
		SELECT sum(errors), string_agg(sqlstate, ',' ORDER BY sqlstate) FROM dbutil.statement_errors WHERE service = 'load'});
}

sub load
{
	local $ENV{PGAPPNAME} = 'load';
	$node->psql('postgres', q{SELECT count(*) FROM t /*route='a'*/; SELECT 1 / i FROM t;
		SELECT no_such FROM t; BEGIN; SELECT dbutil.track_transaction(NULL, 'named'); COMMIT},
		on_error_stop => 0);
	return;
}

load();
my $before = known();
like($before, qr/^\d+\|1\|\d+\|a\|1\|1\|t\|t\n2\|1\|t\n2\|22012,42703$/, "the load is known: $before");

# --- a clean stop
$node->restart;
is(known(), $before, 'a clean stop loses nothing');

# --- a crash: what was saved is there, what came later is lost
sub crash
{
	my $on = shift;
	my $session = IPC::Run::start(
		[ 'psql', '-X', '-q', '-h', $on->host, '-p', $on->port, '-c', 'SELECT pg_sleep(600)', 'postgres' ],
		'>', \my $out, '2>', \my $err);
	my $pid;
	$on->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND wait_event = 'PgSleep'});
	$pid = $on->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
	kill 'KILL', $pid;
	$session->finish;
	return $on->poll_query_until('postgres', 'SELECT 1', '1');
}

sub saved_at { my @stat = stat $file; return $stat[9] . '.' . $stat[1]; }

load();
$node->append_conf('postgresql.conf', 'dbutil.track_save_interval = 1s');
my $old = saved_at();
$node->reload;
for (1 .. 300)
{
	last if saved_at() ne $old;
	select(undef, undef, undef, 0.1);
}
isnt(saved_at(), $old, 'saved after the interval');
$node->append_conf('postgresql.conf', 'dbutil.track_save_interval = 1h');
$node->reload;
my $saved = known();
isnt($saved, $before, 'more is known now');
# the last save may still be at work
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_ls_dir('pg_stat') f WHERE f LIKE '%.new'}), 'written');
load();
isnt(known(), $saved, 'and more');
ok(crash($node), 'a crash');
is(known(), $saved, 'a crash loses what came after the last save');

# --- a reset is not undone by a crash
$node->safe_psql('postgres', q{SELECT dbutil.track_reset()});
$old = saved_at();
for (1 .. 300)
{
	last if saved_at() ne $old;
	select(undef, undef, undef, 0.1);
}
ok(crash($node), 'another crash');
like(known(), qr/^\|\|0\|/, 'what was reset stays so');

# --- files that are damaged
load();
$node->stop;
my $good = slurp_file($file);
my $half = substr($good, 0, length($good) / 2);
my $flipped = $good;
substr($flipped, 100, 1) = chr(ord(substr($good, 100, 1)) ^ 1);
my %bad = (empty => '', short => substr($good, 0, 3), half => $half, flipped => $flipped, longer => "${good}x", text => "not a file of ours\n" x 100);
for my $kind (sort keys %bad)
{
	unlink "$file.bad";
	open(my $fh, '>:raw', $file) or die $!;
	print $fh $bad{$kind};
	close $fh;
	my $offset = -s $node->logfile;
	$node->start;
	like(slurp_file($node->logfile, $offset), qr/WARNING:  statistics in file "pg_stat\/dbutil.stat" cannot be used/, "$kind: a WARNING");
	is(slurp_file("$file.bad"), $bad{$kind}, "$kind: the file is set aside");
	like(known(), qr/^\|\|0\|/, "$kind: nothing is counted");
	$node->stop;
}

# --- less room than when it was saved: what has none is counted as dropped
open(my $fh, '>:raw', $file) or die $!;
print $fh $good;
close $fh;
$node->append_conf('postgresql.conf', "dbutil.track_max_services = 2\ndbutil.track_max_transactions = 10\n");
$node->start;
is($node->safe_psql('postgres', q{SELECT count(DISTINCT service) <= 2, sum(calls) > 0 FROM dbutil.statements}), 't|t', 'services beyond are <other>');
$node->append_conf('postgresql.conf', "dbutil.track_max_services = 100\n");

# --- nothing is saved or read
$node->append_conf('postgresql.conf', 'dbutil.track_save = off');
$node->restart;
load();
unlink $file;
$node->stop;
ok(!-e $file, 'dbutil.track_save = off: no file');
$node->append_conf('postgresql.conf', 'dbutil.track_save = on');
$node->start;

# --- a standby tracks for itself, and goes on when it is promoted
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
{
	local $ENV{PGAPPNAME} = 'reader';
	$standby->safe_psql('postgres', 'SELECT count(*) AS on_standby FROM t') for 1 .. 3;
	$standby->psql('postgres', 'INSERT INTO t VALUES (1)');
}
my $reader = q{SELECT calls, errors FROM dbutil.statements WHERE service = 'reader' AND operation = 'select'};
is($standby->safe_psql('postgres', $reader), '3|0', 'a standby counts what it runs');
is($standby->safe_psql('postgres', q{SELECT sum(rollbacks_error), sum(commits) FROM dbutil.transactions WHERE service = 'reader'}), '1|3', 'and its transactions');
is($standby->safe_psql('postgres', q{SELECT sqlstate FROM dbutil.statement_errors WHERE service = 'reader'}), '25006', 'and the error of one that writes');
is($node->safe_psql('postgres', q{SELECT count(*) FROM dbutil.statements WHERE service = 'reader'}), 0, 'the primary does not');
$standby->restart;
is($standby->safe_psql('postgres', $reader), '3|0', 'it keeps them over a restart');
$standby->promote;
{
	local $ENV{PGAPPNAME} = 'reader';
	$standby->safe_psql('postgres', 'SELECT count(*) AS on_standby FROM t; INSERT INTO t VALUES (1)');
}
is($standby->safe_psql('postgres', $reader), '4|0', 'and counts on when it is promoted');
is($standby->safe_psql('postgres', q{SELECT sum(wrote) FROM dbutil.transactions WHERE service = 'reader' AND commits > 0}), 1, 'what writes, too');

$standby->stop;
$node->stop;
done_testing();
