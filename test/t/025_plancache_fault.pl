# The plan cache when something fails: memory that runs out at every allocation,
# a cancel that comes in at every one, and a planner that raises an error, on
# every way of a statement through the cache. After each failure the statement's
# tree is as it was, the same statement and others give the right rows, and what
# the cache keeps is what it says. test/fault/fault.c makes the failures.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $build = "$PostgreSQL::Test::Utils::tmp_check/fault";
mkdir $build;
my @pg_config = $ENV{PG_CONFIG} ? ("PG_CONFIG=$ENV{PG_CONFIG}") : ();
system_or_bail('make', '-s', '-C', 'test/fault', "BUILD=$build", @pg_config);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = '$build/fault.so, dbutil'
autovacuum = off
jit = off
# a cancel is sent while planning; statistics are to be the same each time
max_parallel_workers_per_gather = 0
CONF
{
	local $ENV{LD_PRELOAD} = "$build/malloc.so";
	$node->start;
}
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION dbutil;
CREATE FUNCTION fault_arm(text, bigint) RETURNS void LANGUAGE c STRICT AS '$build/fault.so';
CREATE FUNCTION fault_report() RETURNS text LANGUAGE c AS '$build/fault.so';
CREATE TABLE item (id integer PRIMARY KEY, grp integer, code varchar(4), amount numeric(8, 2)) WITH (autovacuum_enabled = off);
INSERT INTO item SELECT i, i % 10, 'c' || i % 100, i FROM generate_series(1, 500) AS i;
CREATE TABLE grp (id integer PRIMARY KEY, name text) WITH (autovacuum_enabled = off);
INSERT INTO grp SELECT i, 'g' || i FROM generate_series(0, 9) AS i;
CREATE TABLE written (id integer, code varchar(4), amount numeric(8, 2)) WITH (autovacuum_enabled = off);
ANALYZE item, grp, written;
-- what the cache keeps, by its own account and by PostgreSQL's
CREATE VIEW kept AS
	SELECT e.n = s.entries AND e.n = c.n AND e.bytes = s.bytes AND c.texts = 0 AND c.stores <= 1 AND c.settings <= 1
		AND s.least >= 0 AND s.stored >= e.n AND s.statements <= 9 AS well, c.top
	FROM (SELECT count(*) AS n, coalesce(sum(bytes), 0) AS bytes FROM dbutil.plan_cache) AS e,
		(SELECT sum(total) FILTER (WHERE event = 'entries') AS entries, sum(total) FILTER (WHERE event = 'bytes') AS bytes,
			sum(total) FILTER (WHERE event = 'stored') AS stored, min(total) AS least,
			-- no statement is counted twice; a test runs no more than these
			sum(total) FILTER (WHERE kind IN ('hit', 'miss')) AS statements
		FROM dbutil.plan_cache_stats) AS s,
		(SELECT count(*) FILTER (WHERE name = 'dbutil plan cache entry') AS n, count(*) FILTER (WHERE name = 'dbutil plan text') AS texts,
			count(*) FILTER (WHERE name = 'dbutil plan cache') AS stores, count(*) FILTER (WHERE name = 'dbutil plan cache settings') AS settings,
			sum(used_bytes) FILTER (WHERE name = 'TopMemoryContext') AS top
		FROM pg_backend_memory_contexts) AS c;
SQL

# A statement, with other literals each time, and what it returns.
sub joined
{
	my $n = shift;

	return ("SELECT i.id, g.name FROM item AS i JOIN grp AS g ON g.id = i.grp WHERE i.id IN ($n, " . ($n + 1)
			. ") AND i.amount < 1000.5 ORDER BY 1",
		"$n|g" . $n % 10 . "\n" . ($n + 1) . '|g' . ($n + 1) % 10);
}

sub written
{
	my $n = shift;

	return ("INSERT INTO written VALUES ($n, 'x" . $n % 100 . "', $n.125) RETURNING *",
		"$n|x" . $n % 100 . '|' . $n . '.13');
}

sub compared
{
	my $n = shift;

	return ("SELECT code FROM item WHERE id = $n AND grp <> 77", 'c' . $n % 100);
}

# The ways of a statement through the cache: what it is counted as, the mode, which
# statement, and how often it is run before.
my @ways = (
	[ 'admission, force', 'miss.admission', 'force', \&joined, 0 ],
	[ 'admission of what is written, force', 'miss.admission', 'force', \&written, 0 ],
	[ 'hit, force', 'hit.generic', 'force', \&joined, 1 ],
	[ 'hit of what is written, force', 'hit.generic', 'force', \&written, 1 ],
	[ 'admission, auto', 'miss.admission', 'auto', \&compared, 1 ],
	[ 'hit, auto', 'hit.generic', 'auto', \&compared, 2 ],
	[ 'verification, auto', 'miss.verify', 'auto', \&compared, 3 ],
	[ 'admission, exact', 'miss.admission', 'exact', sub { return compared(5) }, 1 ],
	[ 'hit, exact', 'hit.exact', 'exact', sub { return compared(5) }, 2 ]);

# Run one script in one session; what each of its parts printed.
sub run
{
	my $script = shift;
	my $input = "$PostgreSQL::Test::Utils::tmp_check/script.sql";
	my $output = "$PostgreSQL::Test::Utils::tmp_check/script.out";

	open my $file, '>', $input or die $!;
	print $file "\\set VERBOSITY sqlstate\nSET client_min_messages = error;\n$script";
	close $file;
	system("psql -X -q -A -t -f $input -d '" . $node->connstr('postgres') . "' >$output 2>&1") == 0 or diag("psql: $?");
	my (undef, @parts) = split /^===\n/m, slurp_file($output), -1;
	return map { s/^psql:[^ ]*:\d+: //gmr =~ s/\n$//r } @parts;
}

my $mark = "\\echo ===\n";
my %sqlstate = (palloc => '53200', planning => '53200', malloc => '53200', cancel => '57014', planner => 'XX000');
# a cancel is looked at now and then, and libc may do without memory
my %may_pass = (cancel => 1, malloc => 1);

# One way, with a failure of the kind at each of the places: caught by a savepoint
# or not. Returns how often it failed, how many places were passed at most, and
# what went wrong.
sub sweep
{
	my ($way, $kind, $caught, @places) = @_;
	my ($name, undef, $mode, $statement, $before) = @$way;
	my $script = '';
	my @expected;
	my $n = 0;

	for my $at (@places)
	{
		$n = 1 + $n % 300;
		my ($text, $rows) = $statement->($n + 50);
		my ($other_text, $other_rows) = $statement->($n + 60);

		$script .= "SET dbutil.plan_cache = off; SELECT dbutil.plan_cache_reset() \\g /dev/null\nSET dbutil.plan_cache = $mode;\n";
		$script .= ($statement->($n + $_))[0] . " \\g /dev/null\n" for 1 .. $before;
		$script .= "BEGIN; SAVEPOINT s;\n" if $caught;
		$script .= "SELECT fault_arm('$kind', $at) \\g /dev/null\n$mark$text;\n$mark";
		$script .= "ROLLBACK TO s;\n" if $caught;
		$script .= "SELECT fault_report();\n$mark$text;\n$mark$other_text;\n$text;\n";
		$script .= "COMMIT;\n" if $caught;
		$script .= "${mark}SET dbutil.plan_cache = off; SELECT * FROM kept;\n";
		push @expected, [ $at, $rows, $other_rows ];
	}

	my @parts = run($script);
	my ($failures, $seen, $first_top, $last_top, @wrong) = (0, 0);
	for (@expected)
	{
		my ($at, $rows, $other_rows) = @$_;
		my ($target, $report, $again, $others, $kept) = splice @parts, 0, 5;
		my ($became, $passed, $damage) = ($report // '') =~ /^(failed|passed) (\d+) (.*)$/;
		my $where = "$name, $kind $at";
		my $failed = ($became // '') eq 'failed';

		if (!defined $kept)
		{
			push @wrong, "$where: the session ended";
			last;
		}
		if (!defined $became)
		{
			push @wrong, "$where: no report: $report";
			last;
		}
		$seen = $passed if $passed > $seen;
		$failures++ if $failed;
		push @wrong, "$where: $became, and $target"
			unless $failed && $target eq "ERROR:  $sqlstate{$kind}" || $target eq $rows && (!$failed || $may_pass{$kind});
		push @wrong, "$where: the tree is another $damage" if $damage ne '';
		push @wrong, "$where: then $again, not $rows" unless $again eq $rows;
		push @wrong, "$where: other literals: $others" unless $others eq "$other_rows\n$rows";
		my ($right, $top) = $kept =~ /^(.*)\|(\d+)$/;
		push @wrong, "$where: what is kept is not what is counted" unless ($right // '') eq 't';
		$first_top //= $top;
		$last_top = $top;
	}
	push @wrong, "$name, $kind: memory that lives as long as the session grew from $first_top to $last_top bytes"
		if @expected > 1 && $last_top > $first_top + 2048;
	return ($failures, $seen, @wrong);
}

# Which way does a statement go that nothing happens to?
sub way_of
{
	my (undef, $event, $mode, $statement, $before) = @_;
	my $total = "SET dbutil.plan_cache = off; SELECT total FROM dbutil.plan_cache_stats WHERE kind || '.' || event = '$event';\n"
		. "SET dbutil.plan_cache = $mode;\n";
	my ($first, undef, $second) = run("SET dbutil.plan_cache = $mode;\n"
			. join('', map { ($statement->($_))[0] . " \\g /dev/null\n" } 1 .. $before)
			. $mark . $total . $mark . ($statement->(10))[0] . ";\n$mark$total");

	return $second - $first;
}

for my $way (@ways)
{
	is(way_of(@$way), 1, "$way->[0]: the statement goes this way");
	for my $kind ('palloc', 'planning', 'malloc', 'cancel', 'planner')
	{
		my (undef, $places) = sweep($way, $kind, 0, 1_000_000);
		my $step = $kind eq 'planning' || $kind eq 'cancel' ? 7 : 1;
		my ($failures, @wrong) = (0);

		# a hit has no use for the planner
		next unless $places;
		for my $caught (0, 1)
		{
			my ($f, undef, @w) = sweep($way, $kind, $caught, map { 1 + $caught + $step * $_ } 0 .. $places / $step);

			$failures += $f;
			push @wrong, @w;
		}
		is(scalar @wrong, 0, "$way->[0]: $kind fails in $failures ways");
		cmp_ok($failures, '>', 0, "$way->[0]: $kind: and does fail") unless $kind eq 'malloc';
		diag($_) for @wrong[ 0 .. ($#wrong > 4 ? 4 : $#wrong) ];
	}
}

# The first use in a session, again and again at the same place. The statements
# that are prepared use up the memory contexts that a session keeps for reuse.
my $prepared = join '', map { "PREPARE p$_ AS SELECT 1;\n" } 1 .. 110;
for my $kind ('palloc', 'malloc')
{
	my $failures = 0;
	my @wrong;

	for my $at (1 .. 12)
	{
		my ($text, $rows) = compared(7);
		my @got = run($prepared . "SELECT fault_arm('$kind', $at) \\g /dev/null\nSET dbutil.plan_cache = force;\n$text;\nSET dbutil.plan_cache = off;\n" x 8
			. "${mark}SELECT fault_report();\nSET dbutil.plan_cache = force;\n$mark$text;\n${mark}SET dbutil.plan_cache = off; SELECT * FROM kept;\n");

		$failures++ if ($got[0] // '') =~ /^failed/;
		push @wrong, "$kind $at: " . join('; ', @got) unless ($got[0] // '') =~ /^(failed|passed) \d+ $/ && $got[1] eq $rows && $got[2] =~ /^t\|/;
	}
	is(scalar @wrong, 0, "first use: $kind fails in $failures ways");
	diag($_) for @wrong;
}

is($node->safe_psql('postgres', 'SELECT count(*) FROM item'), '500', 'the server is well');
my $log = slurp_file($node->logfile);
unlike($log, qr/terminated by signal|PANIC|TRAP/, 'and was it all the time');

$node->stop;
done_testing();
