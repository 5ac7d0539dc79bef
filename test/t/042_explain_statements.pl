# explain: findings and index advice for what tracking has counted: what cannot be
# planned, or may not be by the caller, is left out and says why. Without hypopg.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'dbutil'\nautovacuum = off\nmax_parallel_workers_per_gather = 0");
$node->start;
my $major = $node->pg_version->major;
my $no_generic = 'it has parameters, and EXPLAIN (GENERIC_PLAN) needs PostgreSQL 16 or later';

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION dbutil;
CREATE TABLE ord (id int PRIMARY KEY, cust int);
INSERT INTO ord SELECT i, i % 2000 FROM generate_series(1, 20000) i;
CREATE TABLE secret (a int);
ANALYZE;
CREATE ROLE regress_reader;
GRANT SELECT ON ord TO regress_reader;
GRANT pg_read_all_stats TO regress_reader;
SQL
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
$node->safe_psql('postgres', <<'SQL');
SELECT * FROM ord WHERE cust = 7;
SELECT * FROM ord WHERE cust = 8;
SELECT count(*) FROM secret;
CREATE TABLE gone (a int);
SELECT count(*) FROM gone;
DROP TABLE gone;
SQL

# Rows of findings for the statements over a table.
sub findings
{
	my ($table, $before) = @_;
	return $node->safe_psql('postgres',
		($before // '') . "SELECT calls, rule, suggested_sql, proven, evidence ->> 'basis', CASE WHEN rule IS NULL THEN advice END
		FROM dbutil.statement_findings(50) WHERE query LIKE '%$table%' AND query NOT LIKE 'INSERT%'");
}
is(findings('ord'), '2|slow_scan|CREATE INDEX CONCURRENTLY ON public.ord (cust)|f|estimate|',
	'a finding over a counted statement, by its generic plan');
is(findings('gone'), '1|||||left out: relation "gone" does not exist', 'a table that is gone');
is(findings('secret'), '', 'nothing to say of a small one');
is(findings('secret', 'SET ROLE regress_reader;'), '1|||||left out: permission denied for table secret',
	'with the rights of the caller');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT queryid) <= 1 FROM dbutil.statement_findings(1)'), 't', 'no more than were asked for');

sub advice
{
	my ($before) = @_;
	return $node->safe_psql('postgres',
		($before // '') . 'SELECT coalesce(suggested_sql, reason), proven, cardinality(queryids) FROM dbutil.index_advice_statements(50)');
}
like(advice(), $major >= 16 ? qr/^CREATE INDEX CONCURRENTLY ON public.ord \(cust\)\|f\|1$/m : qr/^left out: \Q$no_generic\E\|\|1$/m,
	'advice from statistics, or why not');
like(advice(), qr/^left out: relation "gone" does not exist\|\|1$/m, 'a table that is gone');
like(advice('SET ROLE regress_reader;'), qr/^left out: permission denied for table secret\|\|1$/m, 'with the rights of the caller');
is($node->safe_psql('postgres', q{SELECT coalesce(suggested_sql, reason), statements FROM dbutil.index_advice(ARRAY['SELECT * FROM ord WHERE cust = $1', 'SELECT * FROM ord WHERE cust = :c'])}),
	$major >= 16 ? 'CREATE INDEX CONCURRENTLY ON public.ord (cust)|{1,2}' : "left out: $no_generic|{1}\nleft out: $no_generic|{2}",
	'parameters without values in an array');

# without preload there is nothing counted
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', undef);
$node->restart;
my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT dbutil.statement_findings(); SELECT dbutil.index_advice_statements()",
	on_error_stop => 0);
is($err, "psql:<stdin>:2: ERROR:  55000\npsql:<stdin>:2: ERROR:  55000", 'without preload');

$node->stop;
done_testing();
