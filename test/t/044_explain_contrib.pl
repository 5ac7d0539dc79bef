# explain: functions of PostgreSQL's own extensions that count as stable but run a
# query, or read a view, that their arguments name: refused, as anything may be in it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $sharedir = $node->config_data('--sharedir');
chomp $sharedir;
plan skip_all => 'tablefunc is not installed'
  unless -e "$sharedir/extension/tablefunc.control";

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION dbutil;
CREATE EXTENSION tablefunc;
CREATE SEQUENCE seq;
CREATE VIEW tree AS SELECT 1 AS id, nextval('seq')::int AS up;
SQL

sub refused
{
	my ($function, $query) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "SELECT count(*) FROM dbutil.findings(\$q\$$query\$q\$, run => true)");
	like($err, qr/cannot run the statement for analysis: it calls the function public\.$function\(.*\), which runs what its arguments name/, $function);
	return;
}
refused('crosstab', q{SELECT * FROM crosstab('SELECT 1, 2, nextval(''seq'')::int') AS (a int, b int)});
refused('crosstab', q{SELECT * FROM crosstab('SELECT 1, ''x''::text, nextval(''seq'')::int', 'SELECT ''x''::text') AS (a int, b int)});
refused('crosstab2', q{SELECT * FROM crosstab2('SELECT ''1'', ''2'', nextval(''seq'')::text')});
refused('connectby', q{SELECT * FROM connectby('tree', 'id', 'up', '1', 0) AS (a int, b int, c int)});
is($node->safe_psql('postgres', 'SELECT is_called FROM seq'), 'f', 'nothing of it ran');
is($node->safe_psql('postgres', q{SELECT count(*) FROM dbutil.findings('SELECT * FROM crosstab(''SELECT 1, 2, 3'') AS (a int, b int)')}), '0', 'planned only it is no matter');

$node->stop;
done_testing();
