# explain: index advice that hypopg proves: the planner would use it, the workload
# gets cheaper when it is followed, and nothing hypothetical is left behind.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'dbutil'\nautovacuum = off\nmax_parallel_workers_per_gather = 0\njit = off");
$node->start;
my $sharedir = $node->config_data('--sharedir');
chomp $sharedir;
plan skip_all => 'hypopg is not installed'
  unless -e "$sharedir/extension/hypopg.control";
my $major = $node->pg_version->major;

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION dbutil;
CREATE SCHEMA hypo;
CREATE EXTENSION hypopg SCHEMA hypo;
CREATE TABLE cust (id int PRIMARY KEY, region int, name text);
CREATE TABLE ord (id int PRIMARY KEY, cust int, status text, at date, done bool, note text);
CREATE TABLE item (ord int, prod int, qty int, grp int);
INSERT INTO cust SELECT i, i % 100, 'c' || i FROM generate_series(1, 10000) i;
INSERT INTO ord SELECT i, i % 10000, CASE WHEN i % 100 = 0 THEN 'open' ELSE 'done' END,
	date '2020-01-01' + i % 1000, i % 200 <> 0, repeat('x', 100) FROM generate_series(1, 50000) i;
INSERT INTO item SELECT i % 50000, i % 500, i, i % 50 FROM generate_series(1, 100000) i;
CREATE TABLE part (k int, v int) PARTITION BY RANGE (k);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10000);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10000) TO (20001);
INSERT INTO part SELECT i, i FROM generate_series(1, 20000) i;
VACUUM ANALYZE;
SQL

# Rows of index advice for statements: sql|proven|statements
sub advice
{
	my (@queries) = @_;
	my $list = join(', ', map { "\$q\$$_\$q\$" } @queries);
	return $node->safe_psql('postgres',
		"SELECT coalesce(suggested_sql, reason), proven, statements FROM dbutil.index_advice(ARRAY[$list])");
}

is(advice('SELECT * FROM ord WHERE cust = 7'),
	'CREATE INDEX CONCURRENTLY ON public.ord (cust)|t|{1}', 'a filter');
is(advice('SELECT * FROM ord WHERE cust = 7', 'SELECT * FROM ord WHERE at > \'2022-06-01\' AND cust < 9000 AND status = \'none\''),
	# from 18 on an index is of use without its first column, too
	$major >= 18 ? 'CREATE INDEX CONCURRENTLY ON public.ord (status, cust)|t|{1,2}' :
	"CREATE INDEX CONCURRENTLY ON public.ord (status)|t|{2}\nCREATE INDEX CONCURRENTLY ON public.ord (cust)|t|{1}",
	'no wider index than pays');
is(advice('SELECT * FROM ord ORDER BY at DESC LIMIT 5'),
	'CREATE INDEX CONCURRENTLY ON public.ord (at)|t|{1}', 'an order');
is(advice('SELECT * FROM ord WHERE status = \'open\' AND id > 5'),
	'CREATE INDEX CONCURRENTLY ON public.ord (status) WHERE (status = \'open\'::text)|t|{1}', 'few rows: a partial index');
is(advice('SELECT * FROM ord WHERE status = \'none\''),
	'CREATE INDEX CONCURRENTLY ON public.ord (status)|t|{1}', 'a value that statistics do not know: no partial index');
is(advice('SELECT * FROM ord WHERE NOT done'),
	'CREATE INDEX CONCURRENTLY ON public.ord (done) WHERE (NOT done)|t|{1}', 'a boolean column');
is(advice('SELECT sum(qty) FROM item WHERE grp = 3'),
	'CREATE INDEX CONCURRENTLY ON public.item (grp) INCLUDE (qty)|t|{1}', 'carried columns where the table need not be read');
is(advice('SELECT * FROM item WHERE prod = 3 AND ord = 3'),
	'CREATE INDEX CONCURRENTLY ON public.item (ord)|t|{1}', 'the more selective of two columns suffices');
is(advice('SELECT o.note, i.qty FROM ord o JOIN item i ON i.ord = o.id WHERE o.id = 9'),
	'CREATE INDEX CONCURRENTLY ON public.item (ord)|t|{1}', 'a join, and the key that is there');
is(advice('SELECT * FROM cust WHERE id = 5 AND EXISTS (SELECT FROM ord WHERE ord.cust = cust.id)'),
	'CREATE INDEX CONCURRENTLY ON public.ord (cust)|t|{1}', 'a correlated subquery');
is(advice('SELECT * FROM part WHERE v = 7'),
	'CREATE INDEX ON public.part (v)|t|{1}', 'a partitioned table: not concurrently');
is(advice('SELECT * FROM cust WHERE id = 3', 'SELECT count(*) FROM ord', 'SELECT * FROM ord WHERE id > 10',
		'SELECT id, cust FROM ord WHERE id = 10', 'SELECT * FROM ord JOIN cust ON cust.id = ord.cust', 'UPDATE ord SET note = \'\''),
	'', 'nothing that the planner would not use, or hardly gains by');

# The whole workload: followed, it gets as cheap as promised, and no more is found.
my @workload = (
	'SELECT * FROM ord WHERE cust = 7', 'SELECT * FROM ord WHERE cust = 8 AND at > \'2022-01-01\'',
	'SELECT * FROM ord WHERE status = \'open\' AND id > 5', 'SELECT count(*) FROM ord WHERE NOT done',
	'SELECT o.note, i.qty FROM ord o JOIN item i ON i.ord = o.id WHERE o.cust = 9',
	'SELECT * FROM ord ORDER BY at DESC LIMIT 10', 'SELECT sum(qty) FROM item WHERE prod = 3',
	'SELECT * FROM cust WHERE id = 3');
my $list = join(', ', map { "\$q\$$_\$q\$" } @workload);
$node->safe_psql('postgres',
	"CREATE TABLE advised AS SELECT row_number() OVER () AS n, * FROM dbutil.index_advice(ARRAY[$list])");
is($node->safe_psql('postgres', 'SELECT count(*) > 3, bool_and(proven), bool_and(cost_after < cost_before), bool_and(estimated_size > 0) FROM advised'),
	't|t|t|t', 'each one gains');
is($node->safe_psql('postgres', 'SELECT bool_and(cost_before = lag) FROM (SELECT cost_before, lag(cost_after) OVER (ORDER BY n) FROM advised) a WHERE lag IS NOT NULL'),
	't', 'and begins where the one before it ended');
is($node->safe_psql('postgres', 'SELECT bool_and(suggested_sql !~ \'item \(ord\) INCLUDE\' AND suggested_sql !~ \'cust \(id\)\') FROM advised'),
	't', 'carried columns must pay');
my $cost = "SELECT round(sum((dbutil.analyze_query(q) #>> '{totals,total_cost}')::numeric)) FROM unnest(ARRAY[$list]) q";
my $before = $node->safe_psql('postgres', $cost);
my @ddl = split /\n/, $node->safe_psql('postgres', 'SELECT suggested_sql FROM advised ORDER BY n');
$node->safe_psql('postgres', "$_") for @ddl;
my $after = $node->safe_psql('postgres', $cost);
my ($promised_before, $promised_after) = split /\|/,
  $node->safe_psql('postgres', 'SELECT max(cost_before), min(cost_after) FROM advised');
cmp_ok($after, '<', $before / 5, "followed, the workload is cheaper: $before -> $after");
cmp_ok(abs($before - $promised_before), '<', 0.02 * $before, 'it cost what was said');
cmp_ok(abs($after - $promised_after), '<', 0.1 * $before, "it costs what was promised ($promised_after)");
is(advice(@workload), '', 'and nothing is left to advise');
$node->safe_psql('postgres', "DO \$\$ DECLARE i regclass; BEGIN FOR i IN SELECT indexrelid FROM pg_index JOIN pg_class c ON c.oid = indrelid
	WHERE c.relname IN ('ord', 'item', 'cust') AND NOT indisprimary LOOP EXECUTE 'DROP INDEX ' || i; END LOOP; END \$\$");

# findings are proven too
is($node->safe_psql('postgres', q{SELECT rule, suggested_sql, proven, evidence ? 'cost_after' FROM dbutil.findings('SELECT * FROM ord WHERE cust = :c', '{"c": 7}')}),
	'slow_scan|CREATE INDEX CONCURRENTLY ON public.ord (cust)|t|t', 'a finding with parameters');
is($node->safe_psql('postgres', q{SET random_page_cost = 100000; SELECT rule, suggested_sql, proven, advice LIKE '%would not use%' FROM dbutil.findings('SELECT * FROM ord WHERE cust = 7')}),
	'slow_scan|||t', 'an index that the planner would not use is not suggested');
$node->safe_psql('postgres', 'CREATE TABLE split (k int, v int) PARTITION BY RANGE (k);
	CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM (0) TO (30000); CREATE TABLE split_2 PARTITION OF split FOR VALUES FROM (30000) TO (60001);
	INSERT INTO split SELECT i, i FROM generate_series(1, 60000) i; ANALYZE split');
is($node->safe_psql('postgres', q{SELECT relation, suggested_sql, proven FROM dbutil.findings('SELECT * FROM split WHERE v = 7')}),
	join("\n", map { "public.split_$_|CREATE INDEX ON public.split (v)|t" } 1, 2), 'an index of a partitioned table mends the scans of its partitions');
like($node->safe_psql('postgres', q{SELECT * FROM dbutil.plan_tree('SELECT * FROM ord WHERE cust = 7')}),
	qr/CREATE INDEX CONCURRENTLY ON public.ord \(cust\);$/m, 'the tree shows it');

# hypothetical indexes of the caller stay, others go, also after an error
my ($rc, $out, $err) = $node->psql('postgres', <<'SQL');
SELECT count(*) FROM hypo.hypopg_create_index('CREATE INDEX ON ord (note)');
SELECT count(*) FROM dbutil.index_advice('{SELECT * FROM ord WHERE cust = 7}');
SELECT count(*) FROM hypo.hypopg();
CREATE FUNCTION fails() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN
	IF (SELECT count(*) FROM hypo.hypopg()) > 1 THEN RAISE 'in the middle of it'; END IF; RETURN 7; END$$;
\set ON_ERROR_STOP 0
SELECT count(*) FROM dbutil.index_advice('{SELECT * FROM ord WHERE cust = fails()}');
SELECT count(*) FROM hypo.hypopg();
BEGIN; SAVEPOINT s;
SELECT count(*) FROM dbutil.index_advice('{SELECT * FROM ord WHERE cust = fails()}');
ROLLBACK TO s; SELECT count(*) FROM hypo.hypopg(); COMMIT;
SQL
is($out, "1\n1\n1\n1\n1", 'only those of the caller are left');
is(scalar(() = $err =~ /in the middle of it/g), 2, 'the error arrives');

# a role that may not use hypopg's schema, or not read the table
$node->safe_psql('postgres', 'CREATE ROLE regress_advised LOGIN; GRANT SELECT ON ord TO regress_advised');
is($node->safe_psql('postgres', "SET ROLE regress_advised; SELECT suggested_sql, proven FROM dbutil.index_advice('{SELECT * FROM ord WHERE cust = 7}')"),
	'CREATE INDEX CONCURRENTLY ON public.ord (cust)|f', 'no right to hypopg: unproven');
($rc, $out, $err) = $node->psql('postgres', "SET ROLE regress_advised; SELECT * FROM dbutil.index_advice('{SELECT * FROM item WHERE ord = 7}')");
like($err, qr/permission denied for table item/, 'rights are those of the caller');

# from statistics
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
$node->safe_psql('postgres', 'SELECT * FROM ord WHERE cust = 7');
my $rows = $node->safe_psql('postgres', 'SELECT coalesce(suggested_sql, reason), proven FROM dbutil.index_advice_statements(20)');
like($rows, $major >= 16 ? qr/^CREATE INDEX CONCURRENTLY ON public.ord \(cust\)\|t$/m : qr/^left out: it has parameters.*\|$/m,
	'from statistics, where generic plans can be explained');

$node->stop;
done_testing();
