
# explain: on a standby what reads is analyzed and run, what writes is planned only.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql('postgres',
	q{CREATE EXTENSION dbutil;
	CREATE TABLE standby_t (a int);
	INSERT INTO standby_t SELECT generate_series(1, 20000);
	ANALYZE standby_t});
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

sub standby_error
{
	my ($query) = @_;
	my ($rc, $out, $err) = $standby->psql('postgres',
		"\\set VERBOSITY sqlstate\nSELECT dbutil.analyze_query(\$\$$query\$\$, run => true)");
	return $err;
}

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'it is a standby');
is($standby->safe_psql('postgres',
		"SELECT rule, evidence ->> 'basis' FROM dbutil.findings('SELECT * FROM standby_t WHERE a = 1', run => true)"),
	'slow_scan|actual rows', 'what reads is run');
is($standby->safe_psql('postgres',
		"SELECT rule, evidence ->> 'basis' FROM dbutil.findings('DELETE FROM standby_t WHERE a = 1')"),
	'slow_scan|estimate', 'what writes is planned');
like(standby_error('DELETE FROM standby_t WHERE a = 1'), qr/25006/, 'and not run');
like(standby_error('WITH d AS (DELETE FROM standby_t RETURNING 1) SELECT * FROM d'), qr/25006/, 'nor inside a SELECT');
like(standby_error('SELECT * FROM standby_t FOR UPDATE'), qr/25006/, 'row locks are writes');

# no preload was needed for any of it
is($standby->safe_psql('postgres', 'SHOW shared_preload_libraries'), '', 'without preload');

$standby->stop;
$primary->stop;
done_testing();
