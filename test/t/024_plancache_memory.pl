# The memory of the plan cache: 100,000 statements of different shape through one
# backend stay within the setting, and the process does not grow.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'dbutil'\nautovacuum = off\njit = off\ndbutil.plan_cache_memory = 2MB\n");
$node->start;
$node->safe_psql('postgres', q(
	CREATE EXTENSION dbutil;
	CREATE TABLE item (id integer PRIMARY KEY, name text) WITH (autovacuum_enabled = off);
	INSERT INTO item SELECT i, 'n' || i FROM generate_series(1, 100) AS i;
	ANALYZE item;
	-- kilobytes of this process
	CREATE FUNCTION rss() RETURNS integer LANGUAGE sql AS
		$$SELECT substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+)')::integer$$;
	-- statements of many shapes; what they return is looked at
	CREATE FUNCTION run(first integer, last integer) RETURNS integer LANGUAGE plpgsql AS $$
	DECLARE
		n integer;
		wrong integer = 0;
	BEGIN
		FOR i IN first..last LOOP
			EXECUTE format('SELECT id + %s FROM item WHERE id = %s', i, 1 + i % 100) INTO n;
			IF n <> i + 1 + i % 100 THEN
				wrong := wrong + 1;
			END IF;
		END LOOP;
		RETURN wrong;
	END $$));

plan skip_all => 'no /proc/self/status here' unless -r '/proc/self/status';
my $answer = $node->safe_psql('postgres', q(
	SET dbutil.plan_cache = force;
	SELECT 'wrong', run(1, 20000);
	SELECT 'before', rss();
	SELECT 'wrong', run(20001, 100000);
	SELECT 'after', rss();
	SET dbutil.plan_cache = off;
	SELECT 'bytes', total FROM dbutil.plan_cache_stats WHERE event = 'bytes';
	SELECT 'stored', total FROM dbutil.plan_cache_stats WHERE event = 'stored';
	SELECT 'evicted', total FROM dbutil.plan_cache_stats WHERE event = 'evicted';
	SELECT 'context', sum(total_bytes) FROM pg_backend_memory_contexts WHERE name = 'dbutil plan cache entry';));
my %got = $answer =~ /^(before|after|bytes|stored|evicted|context)\|(\d+)$/mg;

is(join(' ', $answer =~ /^wrong\|(\d+)$/mg), '0 0', 'every answer is right');
cmp_ok($got{stored}, '>=', 100000, "each shape was stored ($got{stored})");
cmp_ok($got{bytes}, '<=', 2 * 1024 * 1024, "within the setting ($got{bytes} bytes)");
cmp_ok($got{context}, '<=', 2 * 1024 * 1024, "as PostgreSQL counts it too ($got{context} bytes)");
cmp_ok($got{evicted}, '>', 90000, 'most gave way');
cmp_ok($got{after} - $got{before}, '<', 1024, "80,000 more let the process grow by less than a megabyte ($got{before} to $got{after} kB)");

$node->stop;
done_testing();
