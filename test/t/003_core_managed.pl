# docs/managed.md is true: what it says works without preload does, and what it
# says does not raises the error it names; with preload all of it works.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = slurp_file('docs/managed.md');
my @rows = map { [ $_ =~ /^\| ([^|]+) \| `(.+)` \| (works|no) \|$/ ] } grep { /\| (?:works|no) \|$/ } split /\n/, $page;
cmp_ok(scalar(@rows), '>', 10, 'the table was found');
is(scalar(grep { @$_ != 3 } @rows), 0, 'and can be read');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
for my $preload (0, 1)
{
	$node->append_conf('postgresql.conf', sprintf "shared_preload_libraries = '%s'", $preload ? 'dbutil' : '');
	$preload ? $node->restart : $node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION dbutil; CREATE ROLE managed LOGIN; CREATE TABLE managed (id int PRIMARY KEY)') unless $preload;
	for my $row (@rows)
	{
		my ($what, $sql, $expected) = @$row;
		my ($out, $err) = ('', '');
		my $rc = $node->psql('postgres', $sql, stdout => \$out, stderr => \$err, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
		my $says = $rc == 0 ? 'works' : $err =~ /ERROR:  55000: .*^HINT: .*shared_preload_libraries/ms ? 'no' : 'fails otherwise';
		is($says, $preload ? 'works' : $expected, ($preload ? 'preloaded: ' : 'not preloaded: ') . $what) or diag($err);
		$node->safe_psql('postgres', q(DELETE FROM managed; SELECT dbutil.deallocate_statement(name) FROM dbutil.prepared_statements));
	}
}
$node->stop;

done_testing();
