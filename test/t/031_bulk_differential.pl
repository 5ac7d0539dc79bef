# Bulk calls against plain SQL: generated tables of every kind, generated rows,
# and for each call the one statement that should do the same. Both run from the
# same state; content of all tables, trigger log, and errors must be the same.
# test/differential/README.md tells what is covered, and which differences are
# meant.
#
# DBUTIL_BULK_TABLES, DBUTIL_BULK_SEED, and DBUTIL_BULK_FIRST (skip the tables
# before it) make it longer, other, or narrower.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../differential";

use BulkCases;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tables = $ENV{DBUTIL_BULK_TABLES} || 270;
my $seed = $ENV{DBUTIL_BULK_SEED} || 20250311;
my $first = $ENV{DBUTIL_BULK_FIRST} || 1;
my $show = ($ENV{DBUTIL_BULK_SHOW} || 8) - 1;
my $per_table = 20;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf',
	"autovacuum = off\njit = off\nfsync = off\nclient_min_messages = error\nmax_connections = 20\n");
$node->start;

my $has_fdw = $node->safe_psql('postgres', q(SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'));
my $has_icu = $node->safe_psql('postgres', q(SELECT count(*) > 0 FROM pg_collation WHERE collprovider = 'i')) eq 't';

$node->safe_psql('postgres', 'CREATE EXTENSION dbutil; CREATE ROLE regress_diff');
$node->safe_psql('postgres', slurp_file("$FindBin::Bin/../differential/bulk.sql"));
if ($has_fdw)
{
	$node->safe_psql('postgres', sprintf(q(CREATE EXTENSION postgres_fdw;
		CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'postgres', host '%s', port '%s');
		CREATE USER MAPPING FOR PUBLIC SERVER loopback OPTIONS (user '%s')),
		$node->host, $node->port, $node->safe_psql('postgres', 'SELECT current_user')));
}

my $cases = BulkCases->new(seed => $seed, fdw => $has_fdw, icu => $has_icu);
my $script = '';
my %text;
for my $n (1 .. $tables)
{
	my $table = $cases->table($n);
	my @cases = map { $cases->call($table) } 1 .. $per_table;

	next if $n < $first;
	$script .= "\\echo table $n\n" . $table->{ddl};
	for my $i (0 .. $#cases)
	{
		my $id = "$n.$i";

		$text{$id} = $table->{ddl} . $cases[$i];
		$script .= "SELECT '$id', $cases[$i];\n";
	}
	$script .= "DROP SCHEMA t CASCADE;\n";
}

my $input = "$PostgreSQL::Test::Utils::tmp_check/cases.sql";
append_to_file($input, $script);
for my $route ('auto', 'spi')
{
	my $direct;
	my ($output, $error) = ('', '');
	local $ENV{PGOPTIONS} = "-c dbutil.bulk_route=$route";
	IPC::Run::run([ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-f', $input, '-d', $node->connstr('postgres') ],
		'>', \$output, '2>', \$error);
	is($error, '', "the script runs to its end (route $route, seed $seed)");

	my (%verdicts, @different, @untrue, %paths);
	for my $line (split /\n/, $output)
	{
		my ($id, $verdict, $path, $report) = split /\|/, $line, 4;

		next unless defined $verdict;
		$verdicts{$verdict}++;
		$paths{$path}++;
		push @different, [ $id, $report ] if $verdict eq 'DIFFERENT';
		push @untrue, [ $id, $report ] if $verdict eq 'MISCOUNTED';
	}
	my $compared = 0;
	$compared += $_ for values %verdicts;
	note("$_: $verdicts{$_}") foreach sort keys %verdicts;
	note("path $_: $paths{$_}") foreach sort keys %paths;
	$direct = $paths{direct} // 0;

	is($compared, ($tables - $first + 1) * $per_table, 'every case was compared');
	SKIP:
	{
		skip 'a run of a few tables', 3 if $tables - $first < 50;
		cmp_ok($verdicts{'same result'}, '>', $compared * 0.4, 'many calls succeed');
		cmp_ok(scalar(grep { /^same error/ } keys %verdicts), '>', 10, 'errors of many kinds come up');
		cmp_ok($direct, $route eq 'auto' ? '>' : '==', $route eq 'auto' ? $compared * 0.01 : 0, 'calls go the routes they should');
	}
	is(scalar @different, 0, 'content, trigger log and errors are those of plain SQL');
	is(scalar @untrue, 0, 'counters are true');
	for my $case (grep { defined } (@different[ 0 .. $show ], @untrue[ 0 .. $show ]))
	{
		diag("case $case->[0]:\n$text{$case->[0]}\n" . $case->[1] =~ s/\\n/\n/gr);
	}
}

$node->stop;
done_testing();
