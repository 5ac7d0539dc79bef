# Wraparound: a server whose counters were moved, as one would have them that has
# written for years without a VACUUM, is told of before it stops.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# Autovacuum would freeze all of it at once. While it is on, its launcher is not
# started for that alone, and a launcher that naps starts nobody.
$node->append_conf('postgresql.conf', qq(
shared_preload_libraries = 'dbutil'
autovacuum = on
autovacuum_naptime = 2147483
));
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil; CREATE TABLE t (i int PRIMARY KEY); INSERT INTO t VALUES (1)');
my @checks = qw(freeze_overdue multixact_age xid_age);

# what the three checks say of all databases
sub told
{
	return $node->safe_psql('postgres', q(SELECT string_agg(DISTINCT status, ',') FROM dbutil.health('quick')
		WHERE check_name IN ('freeze_overdue', 'multixact_age', 'xid_age') GROUP BY check_name ORDER BY check_name));
}

# The server reads the state of the identifier that is next: it needs the file.
sub zero_file
{
	my ($dir, $segment) = @_;
	my $path = sprintf '%s/%s/%04X', $node->data_dir, $dir, $segment;

	append_to_file($path, "\0" x 262144) unless -e $path;
	return;
}

# Segments have 32 pages of 8 kB, with 4 transactions a byte, or a multixact in 4 bytes.
sub move
{
	my ($xid, $multi) = @_;

	$node->stop;
	zero_file('pg_xact', int($xid / (32 * 8192 * 4)));
	zero_file('pg_multixact/offsets', int($multi / (32 * 2048)));
	$node->command_ok(
		[ 'pg_resetwal', '-x', $xid, '-m', "$multi,1", $node->data_dir ],
		"counters moved to $xid and $multi");
	$node->start;
	return;
}

is(told(), "ok\nok\nok", 'a new server is young');

# Of 2,144,483,647 identifiers, and of autovacuum_freeze_max_age (200 million) and
# autovacuum_multixact_freeze_max_age (400 million).
for my $step (
	[ 210_000_000, 420_000_000, qw(ok ok ok) ],		# 105 % of what autovacuum allows
	[ 230_000_000, 420_000_000, qw(warn ok ok) ],
	[ 230_000_000, 510_000_000, qw(critical ok ok) ],
	[ 1_050_000_000, 1_050_000_000, qw(critical ok ok) ],	# 49 %
	[ 1_100_000_000, 1_050_000_000, qw(critical ok warn) ],
	[ 1_100_000_000, 1_100_000_000, qw(critical warn warn) ],
	[ 1_700_000_000, 1_700_000_000, qw(critical warn warn) ],	# 79 %
	[ 1_730_000_000, 1_730_000_000, qw(critical critical critical) ])
{
	my ($xid, $multi, @expected) = @$step;

	move($xid, $multi);
	is(told(), join("\n", @expected), "transaction $xid, multixact $multi: @checks are @expected");
}

is($node->safe_psql('postgres', q(SELECT string_agg(object_name, ',' ORDER BY object_name) FROM dbutil.health('quick')
		WHERE check_name = 'xid_age' AND status = 'critical' AND value BETWEEN 80 AND 81)),
	'postgres,template0,template1', 'of all databases, those without connections too');
is($node->safe_psql('postgres', q(SELECT r ->> 'status',
		jsonb_path_query_array(r, '$.findings[*] ? (@.object == "template0" && @.status == "critical").check')
		FROM dbutil.check_database_health(level => 'quick') AS r)),
	'critical|["freeze_overdue", "multixact_age", "xid_age"]', 'the report tells it');
is($node->safe_psql('postgres', q(SELECT xid_age > 1729000000, multixact_age > 1729000000, due_percent > 800
		FROM dbutil.vacuum_health WHERE table_name = 'public.t')), 't|t|t', 'and vacuum_health of each table');

# it can still be mended, and is fine then
$node->safe_psql('postgres', q(ALTER DATABASE template0 ALLOW_CONNECTIONS true));
$node->command_ok([ 'vacuumdb', '--all', '--freeze', '--quiet', '-h', $node->host, '-p', $node->port ], 'frozen');
is(told(), "ok\nok\nok", 'frozen, it is young again');
$node->stop;

done_testing();
