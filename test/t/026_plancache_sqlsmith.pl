# The plan cache against the planner, with statements that sqlsmith makes up: each
# is run twice with the cache off, forced and exact, in a transaction that is
# rolled back. Rows and SQLSTATEs must be the same, where they are the same in two
# runs with the cache off.
#
# A plan for any literal may be another than that for the one at hand, and most
# statements have a LIMIT somewhere, which lets another plan return other rows. So
# those are compared only where EXPLAIN shows the same plan. Nothing is
# drawn at random: TABLESAMPLE is taken away.
#
# DBUTIL_SQLSMITH_QUERIES and DBUTIL_PLANCACHE_SEED make it longer or other.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $queries = $ENV{DBUTIL_SQLSMITH_QUERIES} || 400;
my $seed = $ENV{DBUTIL_PLANCACHE_SEED} || 20240607;

plan skip_all => 'sqlsmith is not installed' if system('sqlsmith --version >/dev/null 2>&1') != 0;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
# no other session runs meanwhile, so no answer depends on one
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'dbutil'
autovacuum = off
jit = off
dbutil.plan_cache_min_calls = 1
max_parallel_workers_per_gather = 0
client_min_messages = error
statement_timeout = 5s
log_statement = none
log_min_messages = fatal
CONF
$node->start;

my $schema = <<'SQL';
CREATE TABLE item (id integer PRIMARY KEY, grp integer, name text NOT NULL, code varchar(6), amount numeric(8, 2), at date, made timestamptz, ok boolean);
INSERT INTO item SELECT i, i % 10, 'n' || i, 'c' || i % 20, i / 4.0, '2024-01-01'::date + i % 60, '2024-01-01 12:00+00'::timestamptz + i * interval '1 hour', i % 3 = 0
	FROM generate_series(1, 60) AS i;
CREATE INDEX ON item (grp);
CREATE INDEX ON item (name) WHERE ok;
CREATE TABLE grp (id integer PRIMARY KEY, name text, weight float8, tags integer[]);
INSERT INTO grp SELECT i, 'g' || i, i / 3.0, ARRAY[i, i % 3] FROM generate_series(0, 9) AS i;
CREATE TABLE part (id bigint, grp integer, at date) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (MINVALUE) TO ('2024-02-01');
CREATE TABLE part_2 PARTITION OF part DEFAULT;
INSERT INTO part SELECT i, i % 10, '2024-01-01'::date + i FROM generate_series(1, 60) AS i;
CREATE VIEW joined AS SELECT i.id, i.amount, g.name FROM item AS i JOIN grp AS g ON g.id = i.grp WHERE i.amount > 2;
GRANT ALL ON ALL TABLES IN SCHEMA public TO smith;
ANALYZE;
SQL

# --- the statements: of a database that has the tables alone

$node->safe_psql('postgres', 'CREATE ROLE smith LOGIN');
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', $schema);
my $made = "$PostgreSQL::Test::Utils::tmp_check/sqlsmith";
my $target = $node->connstr('source') . ' user=smith';
system("sqlsmith --target=\"$target\" --exclude-catalog --dry-run --seed=$seed --max-queries=$queries >$made.out 2>$made.err") == 0
	or diag(slurp_file("$made.err"));
my @statements = grep { /\S/ } split /;\n/, slurp_file("$made.out") =~ s/ tablesample \w+ \([\d.]+\)//gr;
cmp_ok(scalar @statements, '>', $queries / 2, "sqlsmith made statements (seed $seed)") or diag(slurp_file("$made.err"));

# --- each mode in a database of its own, which has the same name as the others

my $script = "\\set VERBOSITY sqlstate\nSET ROLE smith;\n";
for my $n (0 .. $#statements)
{
	$script .= "\\echo === $n\nBEGIN;\n$statements[$n];\nROLLBACK;\n\\echo === $n\nEXPLAIN (COSTS OFF) $statements[$n];\n" x 2;
}

sub run_mode
{
	my ($name, $mode) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$name";

	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS tried');
	$node->safe_psql('postgres', 'CREATE DATABASE tried');
	$node->safe_psql('tried', "CREATE EXTENSION dbutil; $schema");
	append_to_file("$file.sql", "SET dbutil.plan_cache = $mode;\n$script\\echo === end\nSELECT sum(total) FROM dbutil.plan_cache_stats WHERE kind = 'hit';\n");
	system("psql -X -q -A -t -f $file.sql -d '" . $node->connstr('tried') . "' >$file.out 2>&1") == 0 or diag("psql: $?");
	my (undef, @parts) = split /^=== (?:\d+|end)\n/m, slurp_file("$file.out"), -1;
	my ($hits) = pop(@parts) =~ /(\d+)/;
	s/^psql:[^ ]*:\d+: //gm for @parts;
	my @plans = @parts[ grep { $_ % 2 } 0 .. $#parts ];
	return ($hits, \@plans, map { join "\n", sort split /\n/, $_ } @parts[ grep { $_ % 2 == 0 } 0 .. $#parts ]);
}

my (undef, $plans, @off) = run_mode('off_1', 'off');
my (undef, undef, @again) = run_mode('off_2', 'off');
is(scalar @off, 2 * @statements, 'every statement was run');
my @steady = grep { $off[$_] eq $again[$_] && $off[$_] !~ /57014/ } 0 .. $#off;
my @answered = grep { $off[$_] !~ /^ERROR/m } @steady;
cmp_ok(scalar @answered, '>', @off / 4, 'many answers are the same in two runs (' . @steady . ' of ' . @off . ', ' . @answered . ' without an error)');

for my $mode ('force', 'exact')
{
	my ($hits, $served, @got) = run_mode($mode, $mode);
	my @compared = grep { $statements[ $_ / 2 ] !~ /\blimit\b/i || $served->[$_] eq $plans->[$_] } @steady;
	my @different = grep { $got[$_] ne $off[$_] } @compared;

	cmp_ok(scalar @compared, '>', @steady / 2, "$mode: most plans are the same");
	is(scalar @different, 0, "$mode: no answer of " . @compared . ' differs');
	diag("$statements[$_ / 2]\noff: " . substr($off[$_], 0, 500) . "\n$mode: " . substr($got[$_], 0, 500)) for @different[ 0 .. ($#different > 2 ? 2 : $#different) ];
	cmp_ok($hits, '>', 0, "$mode: the cache answered ($hits hits)");
}

$node->stop;
done_testing();
