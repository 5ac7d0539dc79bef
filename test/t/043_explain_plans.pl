# explain: findings over plans that servers of several versions made, as they were
# written down by hand in test/plans/expected. Text, json and jsonb give the same.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use File::Basename qw(dirname);

my $dir = dirname(__FILE__) . '/../plans';
my %expected;
foreach my $line (split(/\n/, slurp_file("$dir/expected")))
{
	next if $line =~ /^(#|$)/;
	my ($name, $finding) = $line =~ /^(\S+) \| (.*)$/ or die "what is this in expected: $line";
	$expected{$name} //= [];
	push @{ $expected{$name} }, $finding if $finding ne '-';
}
my @names = sort map { s{.*/(\d+/[^/]+)\.json$}{$1}r } glob("$dir/*/*.json");
is_deeply([ sort keys %expected ], \@names, 'each plan is expected to give something, or nothing');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil');

foreach my $name (@names)
{
	my $plan = slurp_file("$dir/$name.json");
	my %found = map
	{
		$_ => $node->safe_psql('postgres',
			"SELECT rule || ' ' || severity || ' @ ' || coalesce(node, '-') FROM dbutil.explain_findings(\$plan\$$plan\$plan\$::$_)")
	} qw(text jsonb);
	is(join("\n", sort split(/\n/, $found{text})), join("\n", sort @{ $expected{$name} // [] }), $name);
	is($found{jsonb}, $found{text}, "$name as jsonb");
	# each figure of the tree is a part of the whole
	my ($shares, $nodes) = split(/\|/, $node->safe_psql('postgres',
		"SELECT sum(substring(line FROM '^[ #]{11} +(\\d+) % ')::int), count(*) FILTER (WHERE line ~ '^[ #]{11} +\\d+ % ')
		FROM dbutil.explain_tree(\$plan\$$plan\$plan\$::json) AS line"));
	cmp_ok(abs($shares - 100), '<=', $nodes, "$name: shares add up");
}

$node->stop;
done_testing();
