# bulk: in company. A live subscriber of the table written, a standby that lags,
# and sessions that write the same keys.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('publisher');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'dbutil'\nautovacuum = off");
$node->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->start;

my $tables = q{CREATE TABLE t (id int PRIMARY KEY, k int UNIQUE, v text CHECK (v <> 'bad'));
	CREATE TABLE source (id int PRIMARY KEY, k int, v text)};
$node->safe_psql('postgres', "CREATE EXTENSION dbutil; $tables;
	CREATE PUBLICATION pub FOR TABLE t, source; INSERT INTO source SELECT g, g, 'v' FROM generate_series(1, 3000) g");
$subscriber->safe_psql('postgres', $tables);
my $connstr = $node->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION sub CONNECTION '$connstr' PUBLICATION pub");
$subscriber->wait_for_subscription_sync($node, 'sub');

# Duplicates, bad rows, retries and rollbacks on this side never reach the other.
$node->safe_psql('postgres', q{
	SELECT dbutil.bulk_insert('t', (SELECT jsonb_agg(jsonb_build_object('id', g, 'k', CASE WHEN g % 10 = 3 THEN 1 ELSE g END,
		'v', CASE WHEN g % 10 = 5 THEN 'bad' ELSE 'good' END)) FROM generate_series(1, 2000) g), on_error => 'reject', chunk_rows => 300);
	SELECT dbutil.bulk_insert('t', (SELECT jsonb_agg(jsonb_build_object('id', g, 'k', g, 'v', 'more')) FROM generate_series(1000, 2200) g), on_conflict => 'nothing');
	SELECT dbutil.bulk_insert('t', (SELECT jsonb_agg(jsonb_build_object('id', g, 'k', g, 'v', 'up')) FROM generate_series(2100, 2300) g), on_conflict => 'update');
	SELECT dbutil.bulk_update('t', (SELECT jsonb_agg(jsonb_build_object('id', g, 'v', CASE WHEN g % 50 = 0 THEN 'bad' ELSE 'set' END)) FROM generate_series(1, 500) g), on_error => 'reject');
	SELECT dbutil.bulk_delete('t', (SELECT array_agg(g) FROM generate_series(1, 100) g))});
$node->safe_psql('postgres', q(CALL dbutil.bulk_insert_batches('t', 'source', on_conflict => 'update', chunk_rows => 500, chunk_target_ms => NULL, max_replica_lag => '1 min', on_error => 'reject')));
$node->safe_psql('postgres', q(CALL dbutil.bulk_update_batches('t', 'v = v || k', 'id % 2 = 0', chunk_rows => 500, chunk_target_ms => NULL)));
$node->safe_psql('postgres', q(CALL dbutil.bulk_delete_batches('t', 'id % 7 = 0', chunk_rows => 500, chunk_target_ms => NULL)));
$node->wait_for_catchup('sub');
my $sum = q(SELECT count(*), md5(string_agg(t::text, ',' ORDER BY id)) FROM t);
is($subscriber->safe_psql('postgres', $sum), $node->safe_psql('postgres', $sum), 'the subscriber has what the publisher has');
unlike(slurp_file($subscriber->logfile), qr/ERROR/, 'and its worker met no error');

# A subscriber that is stuck holds up a job that minds it, until it is let go.
my $holder = $subscriber->background_psql('postgres');
$holder->query_safe('BEGIN');
$holder->query_safe('LOCK TABLE t IN EXCLUSIVE MODE');
$node->safe_psql('postgres', q(UPDATE t SET v = 'x' WHERE id = 1000));
my ($in, $out, $err) = ('', '', '');
my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
	q(CALL dbutil.bulk_update_batches('t', 'k = k', job => 'lag', chunk_rows => 500, chunk_target_ms => NULL, max_replica_lag => '1 ms')) ],
	'<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(180));
ok($node->poll_query_until('postgres', q(SELECT waiting_on = 'replica lag' FROM dbutil.bulk_progress WHERE job = 'lag')),
	'a job waits for a replica that is behind');
$node->safe_psql('postgres', q(SELECT dbutil.bulk_cancel('lag')));
$psql->finish;
like($out, qr/,f\)$/m, 'and can be cancelled meanwhile');
$holder->query_safe('COMMIT');
$holder->quit;
$node->wait_for_catchup('sub');
is($subscriber->safe_psql('postgres', $sum), $node->safe_psql('postgres', $sum), 'then the subscriber catches up');
$subscriber->stop;
$node->safe_psql('postgres', q(SELECT pg_drop_replication_slot('sub') FROM pg_replication_slots WHERE NOT active));

# Sessions that write overlapping keys, up and down, in every conflict mode. Rows
# that are inserted in the order given may wait for each other in a circle, as
# those of a plain INSERT; what sorts its rows by key may not.
$node->safe_psql('postgres', 'TRUNCATE t');
my @sessions;
foreach my $mode ('nothing', 'update', 'update_if_changed', 'reject')
{
	foreach my $direction ('ASC', 'DESC')
	{
		my %session = (in => '', out => '', err => '');
		my $sql = qq(SELECT dbutil.bulk_insert('t', (SELECT jsonb_agg(jsonb_build_object('id', g, 'v', '$mode') ORDER BY g $direction)
			FROM generate_series(1, 300) g), on_conflict => '$mode', chunk_rows => 50));

		$session{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), ('-c', $sql) x 5 ],
			'<', \$session{in}, '>', \$session{out}, '2>', \$session{err}, IPC::Run::timeout(180));
		$session{mode} = $mode;
		push @sessions, \%session;
	}
}
my $errors = '';
foreach my $session (@sessions)
{
	$session->{run}->finish;
	$errors .= $session->{err};
}
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM t'), '300|300', 'each key is there once');
is(join("\n", grep { /ERROR/ && !/deadlock detected/ } split /\n/, $errors), '', 'no error but deadlocks');

$node->stop;
done_testing();
