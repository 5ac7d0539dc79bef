# What the plan caches of all sessions share: sums, pins and bans, resets, and
# the memory that they take together.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use LongSession;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'dbutil'\nautovacuum = off\ndbutil.plan_cache = auto\n");
$node->start;
$node->safe_psql('postgres', q(
	CREATE EXTENSION dbutil;
	CREATE TABLE item (id integer PRIMARY KEY, name text) WITH (autovacuum_enabled = off);
	INSERT INTO item SELECT i, 'n' || i FROM generate_series(1, 1000) AS i;
	ANALYZE item;
	CREATE ROLE plain LOGIN;
	GRANT SELECT ON item TO plain));

my ($one, $two) = (LongSession->new($node), LongSession->new($node));
my $hits = q(SELECT total || ' ' || all_sessions FROM dbutil.plan_cache_stats WHERE kind = 'hit' AND event = 'generic');

# --- sums: three calls lead to the first hit, and every power of two is planned
for my $session ($one, $two)
{
	$session->ask("SELECT name FROM item WHERE id = $_") for 1 .. 5;
}
my $own = (split ' ', $one->ask($hits))[0];
cmp_ok($own, '>', 0, 'hits');
is($two->ask($hits), "$own " . 2 * $own, 'as many in the other session, and their sum');
$two->leave;
ok($node->poll_query_until('postgres', q(SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'client backend')),
	'the other session ended');
is($one->ask($hits), "$own " . 2 * $own, 'its hits are still in the sum');
cmp_ok($one->ask(q(SELECT all_sessions FROM dbutil.plan_cache_stats WHERE event = 'bytes')), '>', 0, 'bytes in use');

# --- bans and pins reach other sessions
$two = LongSession->new($node);
my $id = $one->ask(q(SELECT queryid FROM dbutil.plan_cache WHERE query ~ 'FROM item' AND query !~ 'dbutil'));
like($id, qr/^-?\d+$/, 'the statement has an identifier');
is($node->safe_psql('postgres', "SELECT dbutil.plan_cache_ban($id)"), 'none', 'banned');
$_->ask('SELECT name FROM item WHERE id = 7') for $one, $one, $two;
is($one->ask(q(SELECT total FROM dbutil.plan_cache_stats WHERE event = 'banned')), '2', 'the session that had a plan does not use it');
is($one->ask(q(SELECT reason FROM dbutil.plan_cache_why('SELECT name FROM item WHERE id = 7'))), 'banned', 'and says why');
is($node->safe_psql('postgres', "SELECT dbutil.plan_cache_pin($id)"), 'banned', 'pinned instead');
$two->ask('SELECT name FROM item WHERE id = 8');
is($two->ask('SELECT name FROM item WHERE id = 9'), 'n9', 'the second call of a new session');
is($two->ask(q(SELECT total FROM dbutil.plan_cache_stats WHERE event = 'generic')), '1', 'was a hit');
# also in a session that has not repeated itself for long, and is looked at seldom
my $generic = q(SELECT total FROM dbutil.plan_cache_stats WHERE event = 'generic');
$two->ask(join '; ', map { "SELECT name, $_ FROM item WHERE id = 1" } 1000 .. 1299);
$two->ask('SELECT name FROM item WHERE id = 10');
is($two->ask($generic), '2', 'a hit among strangers');
is($node->safe_psql('postgres', "SELECT dbutil.plan_cache_unmark($id)"), 'pinned', 'no more pinned');
is($node->safe_psql('postgres', "SELECT dbutil.plan_cache_unmark($id)"), 'none', 'and twice makes no difference');
my (undef, undef, $error) = $node->psql('postgres', 'SELECT dbutil.plan_cache_pin(0)');
like($error, qr/0 is not a query identifier/, 'an identifier that is none');
(undef, undef, $error) = $node->psql('postgres', 'SELECT count(dbutil.plan_cache_ban(i)) FROM generate_series(1, 300) AS i');
like($error, qr/no more than 256 statements/, 'too many bans');
(undef, undef, $error) = $node->psql('postgres', "SET ROLE plain; SELECT dbutil.plan_cache_pin($id)");
like($error, qr/permission denied for function plan_cache_pin/, 'not for everybody');

# --- resets
cmp_ok($one->ask('SELECT count(*) FROM dbutil.plan_cache'), '>', 0, 'entries');
$node->safe_psql('postgres', 'GRANT pg_read_all_stats TO plain');
(undef, undef, $error) = $node->psql('postgres', 'SET ROLE plain; SELECT dbutil.plan_cache_reset(true)');
like($error, qr/permission denied to reset/, 'who may only look resets his own only');
$node->safe_psql('postgres', 'GRANT pg_signal_backend TO plain');
$node->safe_psql('postgres', 'SET ROLE plain; SELECT dbutil.plan_cache_reset(true)');
$one->ask('SELECT name FROM item WHERE id = 7');
is($one->ask(q(SELECT count(*) FROM dbutil.plan_cache WHERE query ~ 'FROM item' AND query !~ 'dbutil')), '0',
	'the next statement of every session begins anew');
$one->ask("SELECT name FROM item WHERE id = $_") for 1 .. 3;
is($one->ask(q(SELECT dbutil.plan_cache_forget('item'))), '1', 'forgotten by relation');
is($one->ask(q(SELECT dbutil.plan_cache_forget('item'))), '0', 'once');

# --- memory of all sessions together
$node->append_conf('postgresql.conf', 'dbutil.plan_cache_total_memory = 64');
$node->reload;
ok($node->poll_query_until('postgres', q(SELECT current_setting('dbutil.plan_cache_total_memory') = '64kB')), 'limited');
for my $session ($one, $two)
{
	for my $n (1 .. 50)
	{
		$session->ask("SELECT name, $n FROM item WHERE id = 1") for 1 .. 2;
	}
}
my $bytes = $one->ask(q(SELECT all_sessions FROM dbutil.plan_cache_stats WHERE event = 'bytes'));
cmp_ok($bytes, '<=', 64 * 1024, "all sessions stay within it ($bytes bytes)");
cmp_ok($bytes, '>', 0, 'and use it');

$_->leave for $one, $two;
ok($node->poll_query_until('postgres', q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend')), 'all ended');
is($node->safe_psql('postgres', q(SET dbutil.plan_cache = off; SELECT all_sessions FROM dbutil.plan_cache_stats WHERE event = 'bytes')),
	'0', 'and what they used is free');

$node->stop;
done_testing();
