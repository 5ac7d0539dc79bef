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

# a function that is asked in planning and fails today: no reason to say nothing of the others
$node->safe_psql('postgres', q{CREATE FUNCTION answer() RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 7; END'});
$node->safe_psql('postgres', 'SELECT count(*) FROM secret WHERE a = answer()');
$node->safe_psql('postgres', q{CREATE OR REPLACE FUNCTION answer() RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RAISE ''no answer''; END'});
is(findings('answer()', q{SET dbutil.track = 'none';}), '1|||||left out: no answer', 'an error in planning');
like(findings('ord', q{SET dbutil.track = 'none';}), qr/slow_scan/, 'the others are told of');
$node->safe_psql('postgres', q{CREATE OR REPLACE FUNCTION answer() RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN 7; END'});
my ($code, $stdout, $stderr) = $node->psql('postgres', q{SET statement_timeout = '500ms'; SELECT dbutil.statement_findings(50)});
like($stderr, qr/canceling statement due to statement timeout/, 'what ends the caller\'s statement passes');
$node->safe_psql('postgres', 'DROP FUNCTION answer()');

# --- plan_regression: a plan that asks a slow function for all 20 rows in place of one
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION slow(a int) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS 'BEGIN PERFORM pg_sleep(0.01); RETURN true; END';
CREATE TABLE reg (id int PRIMARY KEY, a int);
INSERT INTO reg SELECT i, i FROM generate_series(1, 20) i;
ANALYZE reg;
SQL

sub regression
{
	return $node->safe_psql('postgres', q{SET dbutil.track = 'none';
		SELECT calls, severity, node_path, node IS NULL, evidence ->> 'new_calls', evidence ->> 'old_calls', (evidence ->> 'slower')::float8 >= 2,
			(evidence ->> 'lost_ms')::float8 >= 100, (evidence ->> 'changed_at')::timestamptz <= now()
		FROM dbutil.statement_findings(200) WHERE rule = 'plan_regression' AND query LIKE '%FROM reg %'});
}

sub run_by
{
	my ($disabled, $n) = @_;
	$node->safe_psql('postgres', join('', map { "SET enable_$_ = off;\n" } 'bitmapscan', $disabled)
		. "SELECT a FROM reg WHERE id = 7 AND slow(a);\n" x $n);
	return;
}
run_by('seqscan', 5);
is(regression(), '', 'one plan is no regression');
run_by('indexscan', 4);
is(regression(), '', 'four calls of the new plan prove nothing');
run_by('indexscan', 1);
like(regression(), qr/^10\|(warn|critical)\|\{\}\|t\|5\|5\|t\|t\|t$/, 'a slower plan');
run_by('seqscan', 1);
is(regression(), '', 'silent when the old plan is back');
run_by('indexscan', 1);
$node->safe_psql('postgres', 'DROP TABLE reg');
like(regression(), qr/^12\|/, 'also of a statement that cannot be planned any more');

# without preload there is nothing counted
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', undef);
$node->restart;
my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT dbutil.statement_findings(); SELECT dbutil.index_advice_statements()",
	on_error_stop => 0);
is($err, "psql:<stdin>:2: ERROR:  55000\npsql:<stdin>:2: ERROR:  55000", 'without preload');

$node->stop;
done_testing();
