# More distinct statements than there is room for: memory stays as it is, what
# gives way is counted, hot statements stay, and what nobody runs any more goes.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# a million takes minutes: DBUTIL_FLAT=1000000 for that
my $statements = $ENV{DBUTIL_FLAT} // 30000;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'dbutil'
dbutil.track_max = 1000
dbutil.track_plans_max = 2048
dbutil.track_utility = off
dbutil.shared_memory = 2MB
autovacuum = off
log_statement = none
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil; CREATE TABLE t (a int, b int, c int, d int)');
# each EXECUTE is another statement: other tables' columns in another order, by number in base 4
$node->safe_psql('postgres', q{CREATE PROCEDURE flood(first int, n int) LANGUAGE plpgsql AS $$
DECLARE
	text text;
	x int;
BEGIN
	FOR i IN first .. first + n - 1 LOOP
		text := 'SELECT 1';
		x := i;
		FOR j IN 1 .. 10 LOOP
			text := text || ', ' || substr('abcd', x % 4 + 1, 1);
			x := x / 4;
		END LOOP;
		EXECUTE text || ' FROM t';
		IF i % 20 = 0 THEN
			PERFORM a AS hot FROM t;
		END IF;
		IF i % 1000 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
END $$});

sub memory { return $node->safe_psql('postgres', q{SELECT sum(allocated_size) FROM pg_shmem_allocations WHERE name = 'dbutil'}); }

$node->safe_psql('postgres', 'SELECT dbutil.track_reset()');
my $before = memory();
# run once and never again, numbers that the load below does not come to
$node->safe_psql('postgres', q(SET dbutil.track = 'all'; CALL flood(1000000, 800)));
my $dead = q{SET dbutil.track = 'none'; SELECT (SELECT count(*) FROM dbutil.statements WHERE query LIKE 'SELECT $1, %' AND first_seen <= '%s'),
	(SELECT count(*) FROM dbutil.plans WHERE calls = 1 AND first_seen <= '%s')};
my $mark = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
$dead =~ s/'%s'/'$mark'/g;
my ($before_statements, $before_plans) = split /\|/, $node->safe_psql('postgres', $dead);
cmp_ok($before_statements, '>=', 800, "$before_statements statements are known");
cmp_ok($before_plans, '>=', 800, "and $before_plans plans");
my $half = $statements / 2;
my @load = map { IPC::Run::start(
	[ 'psql', '-X', '-q', '-h', $node->host, '-p', $node->port, '-c', q(SET dbutil.track = 'all'),
		'-c', "CALL flood(@{[ $_ * $half ]}, $half)", 'postgres' ],
	'>', \my $out, '2>', \my $err) } 0, 1;
$_->finish for @load;
is(memory(), $before, 'shared memory is as it was');
my ($calls, $dropped, $evictions, $entries, $hot) = split /\|/, $node->safe_psql('postgres', q{SET dbutil.track = 'none';
	SELECT sum(calls) FILTER (WHERE NOT toplevel), calls_dropped, evictions, entries,
		max(calls) FILTER (WHERE query LIKE '%hot%')
	FROM dbutil.statements, dbutil.track_info() GROUP BY 2, 3, 4});
# each text is also assigned in an expression, which plpgsql does not always run as a statement
cmp_ok($calls + $dropped, '>=', 800 + $statements + $statements / 20, "calls ($calls) and dropped ($dropped) are all that ran");
cmp_ok($evictions, '>=', $statements - 1000, 'entries gave way');
cmp_ok($entries, '<=', 1000, 'and there are no more than may be');
is($node->safe_psql('postgres', $dead), '0|0', 'those that nobody ran any more are gone');
is($hot, (800 + $statements) / 20, 'the hot one was there all the time');
is($node->safe_psql('postgres', q{SELECT state FROM dbutil.status() WHERE item = 'calls dropped by tracking'}), 'warn', 'status tells of it');

$node->stop;
done_testing();
