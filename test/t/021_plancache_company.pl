# The plan cache without shared_preload_libraries, in every protocol, with
# parallel plans, and beside other extensions in either load order.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $hits = "SELECT coalesce(sum(total), 0) FROM dbutil.plan_cache_stats WHERE kind = 'hit'";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "autovacuum = off\ndbutil.plan_cache = force\n");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION dbutil;
CREATE TABLE item (id integer PRIMARY KEY, grp integer, name text);
INSERT INTO item SELECT i, i % 100, 'n' || i FROM generate_series(1, 20000) AS i;
CREATE TABLE grp (id integer PRIMARY KEY, name text);
INSERT INTO grp SELECT i, 'g' || i FROM generate_series(0, 99) AS i;
ANALYZE;
SQL

sub preload
{
	my ($how, $libraries) = @_;

	$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\nsession_preload_libraries = ''\n$how = '$libraries'\n");
	$node->restart;
}

# --- only in the session: what is needed is this backend's memory

preload('session_preload_libraries', 'dbutil');
is($node->safe_psql('postgres', "SELECT name FROM item WHERE id = 1; SELECT name FROM item WHERE id = 20; $hits"),
	"n1\nn20\n1", 'session_preload_libraries: the second statement is a hit');

# --- protocols: no parameters, so the extended protocol is served as well

for my $protocol ('simple', 'extended', 'prepared')
{
	my $script = "$PostgreSQL::Test::Utils::tmp_check/$protocol.sql";

	append_to_file($script, <<'SQL');
SELECT name FROM item WHERE id = 7;
SELECT 1 / (count(*) - 1) FROM item WHERE id = 7 AND name <> 'n7';
SELECT i.name, g.name FROM item AS i JOIN grp AS g ON g.id = i.grp WHERE i.id = 8;
SELECT 1 / (grp - 7 + 1), name FROM item WHERE id = 7;
SQL
	$node->command_checks_all(
		[ 'pgbench', '-n', '-t', '20', '-M', $protocol, '-f', $script, $node->connstr('postgres') ],
		0, [ qr{processed: 20/20} ], [ qr/^/ ], "pgbench -M $protocol");
}
is($node->safe_psql('postgres', "PREPARE p(integer) AS SELECT name FROM item WHERE id = \$1; " . join('', map { "EXECUTE p($_);" } 1 .. 8)),
	join("\n", map { "n$_" } 1 .. 8), 'parameters: planned by PostgreSQL, and right');

# --- parallel plans carry the literals to the workers

my $parallel = $node->safe_psql('postgres', "SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')");
my $statements = join '', map { "SELECT count(*), sum(id) FROM item WHERE id > $_ AND grp >= " . ($_ % 100) . ';' } (5, 600, 7000, 19990);
my $settings = "SET $parallel = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;";
my $expected = $node->safe_psql('postgres', "SET dbutil.plan_cache = off; $statements");
is($node->safe_psql('postgres', "$settings $statements"), $expected, 'parallel plans give the same rows');
like($node->safe_psql('postgres', "$settings $statements EXPLAIN (COSTS OFF) SELECT count(*), sum(id) FROM item WHERE id > 77 AND grp >= 78; $hits"),
	qr/Workers Planned.*77.*78.*\n4$/s, 'and they are what is served');

# --- company

for my $libraries ('dbutil, pg_stat_statements, auto_explain', 'auto_explain, pg_stat_statements, dbutil')
{
	preload('shared_preload_libraries', $libraries);
	my $start = -s $node->logfile;
	$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()');
	is($node->safe_psql('postgres', "SET auto_explain.log_min_duration = 0; "
			. join('', map { "SELECT name FROM item WHERE id = $_;" } 41 .. 45) . " RESET auto_explain.log_min_duration; $hits"),
		join("\n", (map { "n$_" } 41 .. 45), 4), "$libraries: hits");
	is($node->safe_psql('postgres', "SELECT calls, rows FROM pg_stat_statements WHERE query LIKE 'SELECT name FROM item WHERE id =%'"),
		'5|5', 'pg_stat_statements counts every call under one query');
	my $log = slurp_file($node->logfile, $start);
	is(scalar(() = $log =~ /Index Cond: \(id = 4[1-5]\)/g), 5, 'auto_explain logs the literals of each');
}

# --- hints: a statement with one is left to whoever reads it, its neighbours in
# the same text are not

my $counts = "SELECT event, total FROM dbutil.plan_cache_stats WHERE event IN ('generic', 'hint') ORDER BY event";
is($node->safe_psql('postgres', 'SELECT name FROM item WHERE id = 50;'
		. 'SELECT name FROM item WHERE id = 51\; /*+ SeqScan(item) */ SELECT name FROM item WHERE id = 52\; SELECT /*+ SeqScan(item) */ name FROM item WHERE id = 53\; '
		. "SELECT name FROM item WHERE id = 54; EXPLAIN (COSTS OFF) /*+ SeqScan(item) */ SELECT name FROM item WHERE id = 55; $counts"),
	join("\n", (map { "n$_" } 50 .. 54), 'Index Scan using item_pkey on item', '  Index Cond: (id = 55)', 'generic|2', 'hint|3'),
	'statements with a hint are planned, those beside them are hits');

# --- an extension that changes what relations look like is not known to the
# key: with it in the session nothing is served

SKIP:
{
	my $sharedir = $node->config_data('--sharedir');
	chomp $sharedir;
	skip 'hypopg is not installed', 6 unless -e "$sharedir/extension/hypopg.control";
	# loaded by its first function, before the extension, and after it
	for my $libraries ('dbutil', 'hypopg, dbutil', 'dbutil, hypopg')
	{
		preload('shared_preload_libraries', $libraries);
		my $got = $node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION IF NOT EXISTS hypopg;
SELECT name FROM item WHERE name = 'n5';
SELECT count(*) FROM hypopg_create_index('CREATE INDEX ON item (name)');
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE name = 'n6';
SELECT name FROM item WHERE name = 'n7';
SELECT hypopg_reset();
EXPLAIN (COSTS OFF) SELECT name FROM item WHERE name = 'n8';
SELECT total > 0 FROM dbutil.plan_cache_stats WHERE event = 'other_extension';
SELECT total FROM dbutil.plan_cache_stats WHERE event = 'generic';
SQL
		like($got, qr/^n5\n1\n.*<\d+>btree_item_name.*\nn7\n\nSeq Scan on item\n/s, "$libraries: a hypothetical index is explained and not run");
		like($got, qr/t\n0$/, "$libraries: refused while hypopg is loaded");
	}
}

$node->stop;
done_testing();
