# The documents are true: every SQL example in README.md and docs/ runs, and
# prints what the page says it prints; what they name exists.
#
# A fenced block ```sql is run; the blocks of one page share one session. A
# fenced block ```text right behind it is the output that psql must print,
# compared with numbers and column widths left out, as those differ from run to
# run.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Fenced blocks of a page: a list of [language, text].
sub blocks
{
	my ($page) = @_;
	my @blocks;

	push @blocks, [ $1, $2 ] while $page =~ /^```(\w*)\n(.*?)^```$/msg;
	return @blocks;
}

# Output without what may differ from run to run.
sub masked
{
	my ($text) = @_;

	$text =~ s/^\(\d+ rows?\)\n//mg;
	$text =~ s/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/N/g;
	$text =~ s/-+(\+-+)*/-/g;
	$text =~ s/[ \t]+/ /g;
	$text =~ s/^\s+|\s+$//mg;
	$text =~ s/\n+/\n/g;
	return $text;
}

my @pages = ('README.md', sort glob 'docs/*.md');
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'dbutil'");
$node->start;

my $examples = 0;
my $database = 0;
for my $page (@pages)
{
	my $text = slurp_file($page);
	my @blocks = blocks($text);
	my @sql;
	my @expected;

	# SELECT (f(...)).* would run a bulk write once for each column
	unlike($text, qr/SELECT\s*\(\s*dbutil\.bulk_/i,
		"$page calls bulk functions in FROM");
	for my $target ($text =~ /`make (?:-[sk] |-C \S+ )*([a-z][a-z-]*)/g)
	{
		ok( -f "tools/$target.sh" || $target =~ /^(install|installcheck|clean)$/,
			"$page: make $target exists");
	}
	for my $test (map { split } $text =~ /make check TESTS="([^"]*)"/g)
	{
		ok( -f "sql/$test.sql" || -f "test/t/$test.pl" || -f "test/client/$test.c"
			  || -f "test/isolation/specs/$test.spec", "$page: the test $test exists");
	}
	for my $file ($text =~ /\]\((?!https?:)([^)#]+)/g)
	{
		my $from = $page =~ m{/} ? 'docs/' : '';
		ok(-e "$from$file", "$page: $file exists");
	}

	for my $i (0 .. $#blocks)
	{
		next unless $blocks[$i][0] eq 'sql';
		push @sql, $blocks[$i][1];
		my $next = $i < $#blocks ? $blocks[ $i + 1 ] : ['', ''];
		push @expected, $next->[0] eq 'text' ? $next->[1] : undef;
	}
	next unless @sql;

	$database++;
	$node->safe_psql('postgres', "CREATE DATABASE docs$database");
	my $script = join('', map { "\\echo @@ $_\n$sql[$_]\n" } 0 .. $#sql);
	my ($out, $err) = ('', '');
	my $ok = IPC::Run::run(
		[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d',
			$node->connstr("docs$database"), '-f', '-' ],
		'<', \$script, '>', \$out, '2>', \$err);
	ok($ok, "$page: all examples run") or diag($err);
	my @got = split /^\@\@ \d+\n/m, $out;
	shift @got;
	for my $i (0 .. $#sql)
	{
		$examples++;
		next unless defined $expected[$i];
		is(masked($got[$i] // ''), masked($expected[$i]),
			"$page: example " . ($i + 1) . ' prints what the page says')
		  or diag($got[$i] // 'nothing');
	}
}
cmp_ok($examples, '>=', 5, 'examples were found');

# One version, in dbutil.control: whatever repeats it has it right.
my ($version) = slurp_file('dbutil.control') =~ /^default_version *= *'(.*)'/m;
my %repeats = (
	'META.json' => qr/"version": "\Q$version\E\.\d+"/,
	'CHANGELOG.md' => qr/^## \Q$version\E /m,
	'debian/changelog' => qr/\Adbutil \(\Q$version\E\)/,
	'src/client/dbpool.h' => qr/DBPOOL_VERSION_STRING "\Q$version\E\.\d+"/,
	'src/python/pyproject.toml' => qr/^version = "\Q$version\E(\.\d+)?"/m);
like(slurp_file($_), $repeats{$_}, "$_ has version $version") for sort keys %repeats;

# The test command takes names in TESTS; an argument must not run everything.
my $usage = '';
IPC::Run::run([ 'bash', 'tools/check.sh', '--no-such' ], '>', \$usage, '2>&1', IPC::Run::timeout(60));
is($? >> 8, 2, 'check.sh refuses an unknown argument');
like($usage, qr/unknown argument '--no-such'.*^usage: /ms, 'and says how it is called');

$node->stop;
done_testing();
