# Settings of tracking that are out of range in the configuration: the server
# starts with a WARNING and the default, and a running one keeps what it has.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'dbutil'});
$node->start;

# Each with a value just below and one just above what it takes; words and names have only one that is bad.
my $settings = $node->safe_psql('postgres', q{
	SELECT name, context, boot_val,
		CASE vartype WHEN 'integer' THEN (min_val::bigint - 1)::text WHEN 'real' THEN (min_val::float8 - 1)::text ELSE 'no,,such' END,
		CASE vartype WHEN 'integer' THEN (max_val::bigint + 1)::text WHEN 'real' THEN (max_val::float8 + 1)::text ELSE 'no,,such' END
	FROM pg_settings
	WHERE name LIKE 'dbutil.track%' AND (vartype <> 'string' OR name = 'dbutil.track_tags') ORDER BY name});
my @settings = map { [ split /\|/, $_, -1 ] } split /\n/, $settings;
cmp_ok(scalar @settings, '>=', 20, 'all settings of tracking');

# What is in effect, by name.
sub values_now
{
	my %now = map { split /\|/, $_, 2 } split /\n/,
		$node->safe_psql('postgres', q{SELECT name, setting FROM pg_settings WHERE name LIKE 'dbutil.track%'});
	return \%now;
}

sub write_conf
{
	my ($which) = @_;
	$node->append_conf('out_of_range.conf', join '', map { "$_->[0] = '$_->[$which]'\n" } @settings);
	return;
}

$node->append_conf('postgresql.conf', q{include_if_exists = 'out_of_range.conf'});
for my $which (3, 4)
{
	my $what = $which == 3 ? 'below' : 'above';
	my $file = $node->data_dir . '/out_of_range.conf';

	# a running server keeps what it has
	write_conf($which);
	my $offset = -s $node->logfile;
	$node->reload;
	my $now;
	for (1 .. 300)
	{
		last if slurp_file($node->logfile, $offset) =~ /out_of_range\.conf" contains errors/;
		select(undef, undef, undef, 0.1);
	}
	$now = values_now();
	is_deeply([ grep { $now->{ $_->[0] } ne $_->[2] } @settings ], [], "$what: a reload changes none");

	# and one that starts has its defaults
	$offset = -s $node->logfile;
	$node->restart;
	my $log = slurp_file($node->logfile, $offset);
	$now = values_now();
	for my $setting (@settings)
	{
		my ($name, undef, $default) = @$setting;
		like($log, qr/WARNING:  .*"\Q$name\E"/, "$what: a WARNING for $name");
		is($now->{$name}, $default, "$what: $name has its default");
	}
	unlink $file;
}

$node->stop;
done_testing();
