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
fsync = off
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
# what wakes the saver before it is time does not put it off
$old = saved_at();
for (1 .. 100)
{
	last if saved_at() ne $old;
	$node->reload;
	select(undef, undef, undef, 0.3);
}
isnt(saved_at(), $old, 'saved after the interval, however often the configuration is reloaded');
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
# all that is counted, and all that was dropped, without this look at it
sub totals
{
	local $ENV{PGOPTIONS} = '-c dbutil.track=none';
	return $node->safe_psql('postgres', q{
		SELECT (SELECT sum(calls) FROM dbutil.statements(false)) + i.calls_dropped, (SELECT sum(errors) FROM dbutil.statements(false)) + i.errors_dropped,
			(SELECT sum(commits + rollbacks) FROM dbutil.transactions()) + i.transactions_dropped,
			coalesce((SELECT sum(errors + caught) FROM dbutil.statement_errors()), 0) + i.error_codes_dropped
		FROM dbutil.track_info() AS i});
}
$node->poll_query_until('postgres', q{SET dbutil.track = 'none'; SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'}, "SET\nt") or die;
my $totals = totals();
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

# --- files whose CRC is right and whose content is not: nobody reads where nothing is
my @crc_table = map { my $c = $_; $c = $c & 1 ? ($c >> 1) ^ 0x82F63B78 : $c >> 1 for 1 .. 8; $c } 0 .. 255;

sub with_crc
{
	my ($content) = @_;
	my $crc = 0xFFFFFFFF;
	$crc = $crc_table[ ($crc ^ $_) & 0xFF ] ^ ($crc >> 8) for unpack 'C*', $content;
	return $content . pack('L', $crc ^ 0xFFFFFFFF);
}

sub write_file
{
	my ($content) = @_;
	open(my $out, '>:raw', $file) or die $!;
	print $out $content;
	close $out;
	return;
}

# Starts with the content; is the file set aside? In any case everything can be read.
sub set_aside
{
	my ($content) = @_;
	unlink "$file.bad";
	write_file(with_crc($content));
	$node->start;
	$node->safe_psql('postgres', q{SELECT count(s::text) FROM dbutil.statements() AS s; SELECT count(t::text) FROM dbutil.transactions AS t;
		SELECT count(e::text) FROM dbutil.statement_errors AS e; SELECT count(s::text) FROM dbutil.services AS s});
	$node->stop('immediate');
	return -e "$file.bad" ? 1 : 0;
}

sub damaged
{
	my ($at, $length) = @_;
	my $content = substr($good, 0, -4);
	substr($content, $at, $length) = chr(0xFF) x $length;
	return $content;
}

is(with_crc(substr($good, 0, -4)), $good, 'a CRC is computed as the server does');
is(set_aside(substr($good, 0, -4)), 0, 'the file as it was is used');
my $header = 32 + 8 + 7 * 8;
my ($magic, $format, $version, $statement_size, $transaction_size, $error_size, $nservices) = unpack 'L7', $good;
is(join(',', map { set_aside(damaged(4 * $_, 4)) } 0 .. 6), join(',', (1) x 7), 'each field of the header is checked');
is(set_aside(damaged($header, $nservices * 64)), 0, 'but names of services are only cleaned');
my $record = $header + $nservices * 64;
is(substr($good, $record, 1), 'S', 'the first record is a statement');
is(set_aside(damaged($record, 1)), 1, 'a kind of record that is none');
# its fields up to the counters: the service, operation and number of relations, a byte each, the lengths of text and tags, the encoding
my $rejected = grep { set_aside(damaged($record + 1 + $_->[0], $_->[1])) }
	(map { [ 4 * $_, 4 ] } 0 .. 5), (map { [ $_, 1 ] } 24 .. 39), (map { [ 4 * $_, 4 ] } 10 .. 22);
is($rejected, 6, 'of a statement, whatever says where to read is checked');
is(set_aside(damaged($record + 1 + 96, $statement_size - 96)), 0, 'counters may be anything');
# records follow each other to the end, which is marked
my $first_transaction = length($good) - 4 - 1;
$first_transaction -= $error_size + 1 while substr($good, $first_transaction - $error_size - 1, 1) eq 'E';
$first_transaction -= $transaction_size + 1 while substr($good, $first_transaction - $transaction_size - 1, 1) eq 'T';
is(substr($good, $first_transaction, 1), 'T', 'a transaction behind the statements');
$rejected = grep { set_aside(damaged($first_transaction + 1 + 4 * $_, 4)) } 0 .. 23;
is($rejected, 2, 'of a transaction, its service and the number of its statements');
my $first_error = length($good) - 4 - 1 - $error_size - 1;
is(substr($good, $first_error, 1), 'E', 'an error behind them');
is(set_aside(damaged($first_error + 1 + 16, 4)), 1, 'of an error, its service');
is(set_aside(substr($good, 0, -5)), 1, 'no mark at the end');
is(set_aside(substr($good, 0, -4) . 'Z'), 1, 'something behind the mark');
is(set_aside(substr($good, 0, $record + 1000)), 1, 'a record that ends too early');

# --- less room than when it was saved: what has none is counted as dropped
write_file($good);
$node->append_conf('postgresql.conf', "dbutil.track_max_services = 2\ndbutil.track_max_transactions = 10\n");
$node->start;
is(totals(), $totals, "less room: what was counted ($totals) is there, or dropped");
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT FROM dbutil.statements() GROUP BY service, dbid, userid, toplevel, queryid HAVING count(*) > 1) AS twice}),
	0, 'and nothing is there twice');
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
load();
$node->restart;
ok(-s $file, 'the primary has saved something');
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM dbutil.statements WHERE service = 'load'}), 0, 'what came with the backup is not its own');
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
