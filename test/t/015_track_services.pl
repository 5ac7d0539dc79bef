# Services and tables beyond the room there is: under <other>, and counted.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'dbutil'
dbutil.track_max = 400
dbutil.track_max_services = 4
dbutil.track_tables_max = 12
autovacuum = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil; CREATE DATABASE second');
$node->safe_psql('postgres', join ';', map { "CREATE TABLE t$_ (a int, b int, c int)" } 1 .. 30);
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');

sub room
{
	my ($part, $what) = @_;
	return $node->safe_psql('postgres', "SELECT $what FROM dbutil.track_room() WHERE part = '$part'");
}

# --- 30 tables, room for 10
$node->safe_psql('second', q{SET dbutil.service = 'app'; CREATE TABLE far (i int); INSERT INTO far VALUES (1)});
$node->safe_psql('postgres', q{SET dbutil.service = 'app'; } . join ';', map { "SELECT a FROM t$_; SELECT a FROM t$_" } 1 .. 30);
is($node->safe_psql('postgres', q{SELECT table_name, operation, calls FROM dbutil.service_tables WHERE service = 'app' AND database_name = 'second'}),
	'public.far|insert|1', 'a table of another database has its name');
is($node->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE calls = 2), sum(calls) FROM dbutil.service_tables
		WHERE service = 'app' AND table_name LIKE 'public.t%'}), '9|18', 'those that found room are told apart');
is($node->safe_psql('postgres', q{SELECT operation, statements, calls FROM dbutil.service_tables WHERE service = 'app' AND table_name = '<other>'}),
	'select|21|42', 'the others count as <other>');
is(room('tables', 'used, size, dropped >= 21'), '10|10|t', 'and are counted');
is($node->safe_psql('postgres', q{SELECT state FROM dbutil.status() WHERE item = 'tables dropped by tracking'}), 'warn', 'status tells of it');

# --- a statement with more tables than are noted
$node->safe_psql('postgres', q{SET dbutil.service = 'wide'; SELECT count(*) FROM } . join ', ', map { "t$_" } 1 .. 9);
is($node->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE table_name LIKE 'public.t%'), count(*) FILTER (WHERE table_name = '<other>')
		FROM dbutil.service_tables WHERE service = 'wide'}), '7|1', 'seven of nine, and <other>');

# --- statements beyond room: their tables are forgotten, their calls are not
$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
my @columns = map { my $x = $_; map { "$x, $_" } qw(a b c a+b b+c a*b b*c a-b b-c a%b) } qw(a b c a+b b+c a*b b*c a-b b-c a%b);
$node->safe_psql('postgres', q{SET dbutil.service = 'app'; } . join ';', map { my $t = $_; map { "SELECT $_ FROM t$t" } @columns } 1 .. 9);
is(room('tables of statements', 'used <= size AND size = 800 AND dropped > 0'), 't', 'more statements than room');
is($node->safe_psql('postgres', q{WITH s AS MATERIALIZED (SELECT * FROM dbutil.service_tables WHERE service = 'app' AND operation = 'select'),
		c AS MATERIALIZED (SELECT sum(calls) AS calls FROM dbutil.statements(false) WHERE service = 'app' AND operation = 'select')
		SELECT (SELECT sum(calls) FROM s) = c.calls, (SELECT count(*) > 0 FROM s WHERE table_name = 'public.t9') FROM c}),
	't|t', 'each call that statements has is under a table or <other>');

# --- services beyond room: as one
$node->safe_psql('postgres', "SET dbutil.service = 'more$_'; SELECT a FROM t1") for 1 .. 5;
is($node->safe_psql('postgres', q{SELECT sum(calls) FROM dbutil.service_tables WHERE service = '<other>' AND table_name = 'public.t1'}), 5,
	'services beyond room have one row');
is($node->safe_psql('postgres', q{SET dbutil.service = 'more9'; SELECT 1; SELECT connections FROM dbutil.services WHERE service = '<other>'}),
	"1\n1", 'their connections too');

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
for my $what ('* FROM dbutil.services', '* FROM dbutil.service_tables', '* FROM dbutil.service_sessions()', '* FROM dbutil.statement_tables()')
{
	my ($rc, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT $what");
	like($stderr, qr/55000: dbutil\.\w+ needs dbutil in shared_preload_libraries.*HINT:/s, "SELECT $what without preload");
}
$node->stop;
done_testing();
