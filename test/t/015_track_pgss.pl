# pg_stat_statements' own regression test of PostgreSQL 15, from PostgreSQL's
# source, run through dbutil.pg_stat_statements. Its output may differ from what
# that test expects only as test/track/pgss_differences says; why, says
# test/track/README.md. The source is what tools/core_regress.sh has fetched.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $cache = ($ENV{DBUTIL_CACHE} // '/var/tmp/dbutil-cache') . '/source-15';
my ($tarball) = reverse sort glob "$cache/postgresql-15_*.orig.tar.*";
plan skip_all => "no source of PostgreSQL 15 in $cache: tools/core_regress.sh fetches it" unless defined $tarball;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
# what that test's own configuration has, and a server that says what 15 says
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'dbutil'
max_prepared_transactions = 5
log_statement = none
});
$node->start;
plan skip_all => 'the test is that of PostgreSQL 15' if $node->safe_psql('postgres', 'SHOW server_version_num') >= 160000;

my $dir = $PostgreSQL::Test::Utils::tmp_check;
system_or_bail('tar', '-C', $dir, '--strip-components=3', '--wildcards', '-xf', $tarball,
	'*/contrib/pg_stat_statements/sql/pg_stat_statements.sql',
	'*/contrib/pg_stat_statements/expected/pg_stat_statements.out');

# the extension and its settings have other names, and no other change is made
my $test = slurp_file("$dir/sql/pg_stat_statements.sql");
my $renamed = ($test =~ s/\b(CREATE|DROP) EXTENSION pg_stat_statements\b/$1 EXTENSION dbutil/g);
$renamed += ($test =~ s/\bpg_stat_statements\.(track\w*)/dbutil.$1/g);
cmp_ok($renamed, '>', 5, "the test is what it was ($tarball)");
open(my $fh, '>', "$dir/run.sql") or die $!;
print $fh $test;
close $fh;

$node->safe_psql('postgres', 'CREATE DATABASE contrib_regression');
$node->safe_psql('postgres', 'ALTER DATABASE contrib_regression SET search_path = "$user", public, dbutil');
my $result = `psql -X -a -q -h @{[ $node->host ]} -p @{[ $node->port ]} -d contrib_regression <$dir/run.sql 2>&1`;
$result =~ s/\b(CREATE|DROP) EXTENSION dbutil\b/$1 EXTENSION pg_stat_statements/g;
$result =~ s/\bdbutil\.(track\w*)/pg_stat_statements.$1/g;
open($fh, '>', "$dir/result.out") or die $!;
print $fh $result;
close $fh;

my $differences = `diff -U 0 --label expected --label dbutil $dir/expected/pg_stat_statements.out $dir/result.out`;
# line numbers are those of one minor version; what is expected is not repeated
$differences =~ s/^@@ .*\n/@@\n/mg;
$differences =~ s/^((?:-(?!--).*\n)+)/sprintf("- %d lines, %s\n", ($1 =~ tr!\n!!), md5_hex($1))/mge;
is($differences, slurp_file('test/track/pgss_differences'), 'differences are those that are explained');

# each of its views' columns, by name and type
is($node->safe_psql('postgres', q{CREATE EXTENSION dbutil; CREATE EXTENSION pg_stat_statements;
	SELECT string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
	FROM pg_attribute a WHERE a.attrelid = 'public.pg_stat_statements'::regclass AND a.attnum > 0}),
	$node->safe_psql('postgres', q{
	SELECT string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
	FROM pg_attribute a WHERE a.attrelid = 'dbutil.pg_stat_statements'::regclass AND a.attnum > 0}),
	'the columns of version 1.10, with their types');

$node->stop;
done_testing();
