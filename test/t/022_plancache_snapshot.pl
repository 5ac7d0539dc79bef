# The plan cache and snapshots: a plan is good for later transactions, and not
# for each one whose snapshot is older than the plan.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use LongSession;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'dbutil'\nautovacuum = off\nmax_prepared_transactions = 0\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil');

# --- an index that is too new for a snapshot
my ($old, $cached) = (LongSession->new($node), LongSession->new($node));
$node->safe_psql('postgres', q(
	CREATE TABLE hot (id integer PRIMARY KEY, v integer, pad text) WITH (fillfactor = 50, autovacuum_enabled = off);
	INSERT INTO hot SELECT g, g, repeat('x', 50) FROM generate_series(1, 5000) AS g;
	ANALYZE hot));
$old->ask('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM hot');
my $snapshot = $old->ask('SELECT pg_export_snapshot()');
$node->safe_psql('postgres', 'UPDATE hot SET v = v + 100000 WHERE id = 7');
$node->safe_psql('postgres', 'CREATE INDEX hot_v ON hot (v)');
is($node->safe_psql('postgres', q(SELECT indcheckxmin FROM pg_index WHERE indexrelid = 'hot_v'::regclass)),
	't', 'the index is not good for older snapshots');
$cached->ask('SET dbutil.plan_cache = force; SELECT id FROM hot WHERE v = 8');
is($cached->ask('SELECT id FROM hot WHERE v = 9'), '9', 'a plan is stored');
like($cached->ask('EXPLAIN (COSTS OFF) SELECT id FROM hot WHERE v = 9'), qr/hot_v/, 'and uses the index');
is($cached->ask("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '$snapshot'; SELECT id FROM hot WHERE v = 7"),
	'7', 'a row that only the older snapshot sees');
is($cached->ask('SELECT id FROM hot WHERE v = 7'), '7', 'and again');
is($cached->ask(q(SELECT total FROM dbutil.plan_cache_stats WHERE event = 'snapshot')), '2', 'they were planned');
is($cached->ask('COMMIT; SELECT id FROM hot WHERE v = 100007'), '7', 'the plan is there again');
$old->ask('COMMIT');

# --- a partition that is being detached
$node->safe_psql('postgres', q(
	CREATE TABLE pt (k integer) PARTITION BY RANGE (k);
	CREATE TABLE p1 PARTITION OF pt FOR VALUES FROM (0) TO (10);
	CREATE TABLE p2 PARTITION OF pt FOR VALUES FROM (10) TO (20);
	INSERT INTO pt SELECT g FROM generate_series(0, 19) AS g;
	ANALYZE pt));
my $holder = LongSession->new($node);
$holder->ask('BEGIN; SELECT count(*) FROM pt');
is($cached->ask('SET dbutil.plan_cache = exact; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pt'), '20',
	'a transaction from before');
my $detaching = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'),
		'-c', 'ALTER TABLE pt DETACH PARTITION p2 CONCURRENTLY' ], '>', \my $output, '2>&1');
ok($node->poll_query_until('postgres', q(SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'p2'::regclass)),
	'the partition is being detached');
is($cached->ask('SELECT count(*) FROM pt'), '20', 'it sees the partition') for 1 .. 4;
is($cached->ask('COMMIT; SELECT count(*) FROM pt'), '10', 'the next one does not');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pt'), '10', 'nor do others');
is($cached->ask(q(SELECT total > 0 FROM dbutil.plan_cache_stats WHERE event = 'detaching')), 't', 'no plan was stored meanwhile');
$holder->ask('COMMIT');
$detaching->finish;
is($cached->ask('SELECT count(*) FROM pt'), '10', 'and so it stays');

$_->leave for $old, $cached, $holder;
$node->stop;
done_testing();
