# The checks that need a server of their own: archiving, prepared transactions,
# replication slots, standbys, configuration files, checksums, losses.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => ['--data-checksums']);
$primary->append_conf(
	'postgresql.conf', qq(
shared_preload_libraries = 'dbutil'
autovacuum = off
max_prepared_transactions = 2
max_slot_wal_keep_size = '1MB'
min_wal_size = '32MB'
max_wal_size = '64MB'
archive_mode = on
archive_command = 'false'
dbutil.track_max_services = 10
));
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION dbutil');
my $major = $primary->safe_psql('postgres', q(SELECT current_setting('server_version_num')::int / 10000));

# the statuses of a check: all of its objects, or one
sub status
{
	my ($node, $check, $object) = @_;
	my $where = defined $object ? "AND object_name = '$object'" : '';
	return $node->safe_psql('postgres',
		"SELECT string_agg(DISTINCT status, ',') FROM dbutil.health WHERE check_name = '$check' $where");
}

# thresholds for a check; none: the defaults
sub thresholds
{
	my ($check, $warn, $critical) = @_;
	my $sql = "DELETE FROM dbutil.health_settings WHERE check_name = '$check';";
	$sql .= "INSERT INTO dbutil.health_settings (check_name, warn, critical) VALUES ('$check', $warn, $critical)"
	  if defined $warn;
	$primary->safe_psql('postgres', $sql);
}

# --- nothing is wrong but what was asked for; no check fails
is($primary->safe_psql('postgres',
		q(SELECT string_agg(check_name || ' ' || object_name, ',' ORDER BY 1) FROM dbutil.health
		  WHERE status IN ('warn', 'critical') AND check_name <> 'settings_off')),
	'autovacuum_off autovacuum', 'a fresh server: only what is off is found');
is($primary->safe_psql('postgres', q(SELECT count(*) FROM dbutil.health WHERE needs IS NOT NULL)),
	'0', 'a superuser needs nothing');
# what PostgreSQL::Test sets off, and what we set on
is(status($primary, 'settings_off', 'fsync'), 'critical', 'fsync is off');
is(status($primary, 'settings_off', 'full_page_writes'), 'ok', 'full_page_writes is on');
is(status($primary, 'checksum_failures'), 'ok', 'checksums are on and right');

# --- prepared transactions
is(status($primary, 'prepared_transactions'), 'ok', 'no prepared transaction');
$primary->safe_psql('postgres', q(BEGIN; CREATE TABLE pt (i int); PREPARE TRANSACTION 'it''s one'));
thresholds('prepared_transactions', 86400, 86400);
is(status($primary, 'prepared_transactions', q(postgres/postgres/it''s one)) || status($primary, 'prepared_transactions'),
	'ok', 'a young prepared transaction');
thresholds('prepared_transactions', 0, 86400);
is(status($primary, 'prepared_transactions'), 'warn', 'an old prepared transaction');
thresholds('prepared_transactions', 0, 0);
is(status($primary, 'prepared_transactions'), 'critical', 'a very old prepared transaction');
like($primary->safe_psql('postgres', q(SELECT object_name FROM dbutil.health WHERE check_name = 'xmin_horizon')),
	qr/^prepared transaction it's one$/m, 'it holds the horizon');
thresholds('prepared_transactions');
$primary->safe_psql('postgres', q(ROLLBACK PREPARED 'it''s one'));

# --- a table is not overdue while it is being vacuumed, whoever asks
$primary->safe_psql('postgres', q(
	CREATE ROLE onlooker;
	CREATE TABLE dead (i int PRIMARY KEY);
	INSERT INTO dead SELECT generate_series(1, 12000);
	DELETE FROM dead));
ok($primary->poll_query_until('postgres', q(SELECT status = 'critical' FROM dbutil.health
		WHERE check_name = 'vacuum_overdue' AND object_name = 'public.dead')), 'a table full of dead rows');
is($primary->safe_psql('postgres', q(SELECT table_name, status, dead_rows, vacuum_at_dead_rows, due_percent >= 100, running_pid
		FROM dbutil.vacuum_health WHERE status <> 'ok')),
	'public.dead|critical|12000|50|t|', 'and the only one');
my ($vin, $vout) = ('', '');
my $vacuum = IPC::Run::start(
	[ 'psql', '-X', '-q', '-d', $primary->connstr('postgres'), '-c', q(SET vacuum_cost_delay = '100ms'),
		'-c', 'SET vacuum_cost_limit = 1', '-c', 'VACUUM dead' ], '<', \$vin, '>', \$vout, '2>&1');
ok($primary->poll_query_until('postgres', 'SELECT count(*) = 1 FROM pg_stat_progress_vacuum'), 'it is being vacuumed');
is($primary->safe_psql('postgres', qq($_ SELECT count(*) FROM dbutil.health WHERE check_name = 'vacuum_overdue'
		AND object_name = 'public.dead')), '0', "then it is not overdue: $_")
  for ('', 'SET ROLE onlooker;');
is($primary->safe_psql('postgres', q(SELECT table_name, status, running_phase IS NOT NULL, scanned_percent <= 100
		FROM dbutil.vacuum_health WHERE running_pid IS NOT NULL)), 'public.dead|ok|t|t', 'and shows what is under way');
is(status($primary, 'vacuum_passes', 'public.dead'), 'ok', 'it has not been through its indexes twice');
thresholds('vacuum_passes', 0, 0);
is(status($primary, 'vacuum_passes', 'public.dead'), 'critical', 'which a lower threshold shows');
is($primary->safe_psql('postgres', q(SET ROLE onlooker; SELECT status, needs FROM dbutil.health WHERE check_name = 'vacuum_passes')),
	'unknown|pg_monitor', 'and what is hidden is unknown');
thresholds('vacuum_passes');
is($primary->safe_psql('postgres', q(SET ROLE onlooker; SELECT count(running_pid) FROM dbutil.vacuum_health)), '0',
	'but not to everybody');
$primary->safe_psql('postgres', 'SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum');
$vacuum->finish;
$primary->safe_psql('postgres', 'DROP TABLE dead; DROP ROLE onlooker');

# --- a table is not analysed while autovacuum may still come
$primary->safe_psql('postgres', q(
	CREATE TABLE moving (i int PRIMARY KEY);
	INSERT INTO moving SELECT generate_series(1, 12000);
	ANALYZE moving;
	UPDATE moving SET i = -i));
$primary->safe_psql('postgres', 'UPDATE moving SET i = -i') for 1, 2;
ok($primary->poll_query_until('postgres', q(SELECT n_mod_since_analyze > 12 * 1250 FROM pg_stat_user_tables WHERE relname = 'moving')),
	'a table that changed much');
is($primary->safe_psql('postgres', q(SELECT count(*) FROM dbutil.health WHERE check_name = 'analyze_overdue'
		AND object_name = 'public.moving')), '0', 'it was analysed a moment ago');
$primary->append_conf('postgresql.conf', "autovacuum_naptime = '1s'");
$primary->reload;
ok($primary->poll_query_until('postgres', q(SELECT status = 'warn' FROM dbutil.health
		WHERE check_name = 'analyze_overdue' AND object_name = 'public.moving')), 'ten rounds of autovacuum later that is told');
$primary->safe_psql('postgres', 'DROP TABLE moving');

# --- archiving that fails
$primary->safe_psql('postgres', 'CREATE TABLE t (i int PRIMARY KEY); SELECT pg_switch_wal()');
ok($primary->poll_query_until('postgres', 'SELECT failed_count > 0 FROM pg_stat_archiver'), 'archiving fails');
is(status($primary, 'archiver'), 'ok', 'archiving has only begun to fail');
is(status($primary, 'archiver_backlog'), 'ok', 'and few files wait');
thresholds('archiver_backlog', 1, 100);
is(status($primary, 'archiver_backlog'), 'warn', 'as many as may');
thresholds('archiver_backlog', 1, 1);
is(status($primary, 'archiver_backlog'), 'critical', 'more than may');
thresholds('archiver_backlog');
thresholds('archiver', 0, 86400);
is(status($primary, 'archiver'), 'warn', 'archiving has been failing');
thresholds('archiver', 0, 0);
is(status($primary, 'archiver'), 'critical', 'archiving has been failing for long');
$primary->append_conf('postgresql.conf', "archive_command = 'true'");
$primary->reload;
ok($primary->poll_query_until('postgres',
		"SELECT status = 'critical' AND value = 0 FROM dbutil.health WHERE check_name = 'archiver'"),
	'nothing waits once archiving works');
thresholds('archiver');
is(status($primary, 'archiver'), 'ok', 'archiving works');

# --- a standby
$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$primary->safe_psql('postgres', q(SELECT pg_create_physical_replication_slot('for_standby', true)));
$standby->append_conf('postgresql.conf', "primary_slot_name = 'for_standby'");
$standby->start;
$primary->wait_for_catchup($standby);
is(status($primary, 'replica_lag', 'standby'), 'ok', 'the standby keeps up');
is(status($primary, 'replication_slots_inactive', 'for_standby'), 'ok', 'its slot is in use');
is(status($primary, 'replication_slots_lost', 'for_standby'), 'ok', 'and has its WAL');
is(status($primary, 'replication_slots', 'for_standby'), 'ok', 'and keeps little');
is(status($standby, 'replay_delay'), 'ok', 'the standby is up to date, seen from there');
is($standby->safe_psql('postgres', q(SELECT r #>> '{server,role}' FROM dbutil.check_database_health() AS r)),
	'standby', 'the report works on a standby');
is($standby->safe_psql('postgres', q(SELECT count(*) FROM dbutil.health WHERE needs IS NOT NULL)),
	'0', 'and no check fails there');

$primary->safe_psql('postgres', 'CREATE UNLOGGED SEQUENCE unlogged');
# the primary is quiet for a while before replay stops, far from the end of a file
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
$primary->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
sleep 6;
$primary->safe_psql('postgres', 'INSERT INTO t SELECT generate_series(1, 1000)');
ok($standby->poll_query_until('postgres', 'SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()'),
	'the standby has WAL to replay');
is($standby->safe_psql('postgres',
		q(SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) > 6, coalesce(value < 6, true)
		  FROM dbutil.health WHERE check_name = 'replay_delay')),
	't|t', 'a quiet time is no delay');
thresholds('replica_lag', 0.001, 1000000);
is(status($primary, 'replica_lag', 'standby'), 'warn', 'the standby lags');
thresholds('replica_lag', 0.001, 0.001);
is(status($primary, 'replica_lag', 'standby'), 'critical', 'the standby lags much');
is($primary->safe_psql('postgres', q(SELECT kind, name, status, findings, state, lag_bytes > 0, kept_bytes >= 0
		FROM dbutil.replication_health ORDER BY kind)),
	"physical slot|for_standby|ok||active, WAL reserved||t\nstandby|standby|critical|{replica_lag}|streaming|t|",
	'replication_health has the slot and the standby');
is($standby->safe_psql('postgres', q(SELECT kind, name, findings, state, lag_bytes > 0 FROM dbutil.replication_health)),
	'receiver|server||streaming|t', 'and on the standby its receiver');
ok($standby->poll_query_until('postgres',
		"SELECT value > 0 FROM dbutil.health WHERE check_name = 'replay_delay'"),
	'and sees that itself, when it has lasted');
# what waits in a file that is full waits since that was filled
$primary->safe_psql('postgres', 'SELECT pg_switch_wal(); INSERT INTO t VALUES (-1)');
ok($standby->poll_query_until('postgres',
		'SELECT pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn() > 1000000'), 'the next file is received');
sleep 1;
is($standby->safe_psql('postgres', q(SELECT value >= 1 FROM dbutil.health WHERE check_name = 'replay_delay')),
	't', 'the age of a full file counts');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$primary->wait_for_catchup($standby);
is(status($standby, 'replay_delay'), 'ok', 'nothing waits once replay goes on');
# PostgreSQL::Test sets 100 ms
is(status($standby, 'standby_retry_interval'), 'ok', 'the standby soon looks again');
is(status($primary, 'standby_retry_interval'), 'ok', 'a primary does not look');
thresholds('standby_retry_interval', 100, 'NULL');
$primary->wait_for_catchup($standby);
is(status($standby, 'standby_retry_interval', 'server'), 'warn', 'that depends on the threshold');
thresholds('standby_retry_interval');
is(status($standby, 'sequence_exhaustion', 'public.unlogged'), 'unknown', 'unlogged sequences have no value on a standby');
thresholds('replica_lag');

# What a plain role does not see is unknown, also with walsenders and files to archive.
$primary->safe_psql('postgres', 'CREATE ROLE plain');
is($primary->safe_psql('postgres',
		q(SET ROLE plain; SELECT string_agg(check_name || ' ' || needs, ',' ORDER BY check_name)
		  FROM dbutil.health WHERE status = 'unknown' AND check_name IN ('replica_lag', 'archiver', 'archiver_backlog'))),
	'archiver pg_monitor,archiver_backlog pg_monitor,replica_lag pg_monitor', 'a plain role does not see replication');

# --- a slot that nobody uses, and one that is lost
$standby->stop;
ok($primary->poll_query_until('postgres', q(SELECT NOT active FROM pg_replication_slots)), 'the slot is idle');
is(status($primary, 'replica_lag'), 'ok', 'no standby, no lag');
thresholds('replication_slots_inactive', 0, 1000000);
is(status($primary, 'replication_slots_inactive', 'for_standby'), $major >= 17 ? 'warn' : 'unknown',
	'an idle slot; how long only 17 and later know');
thresholds('replication_slots', 0, 1000000);
is(status($primary, 'replication_slots', 'for_standby'), 'warn', 'it keeps WAL');
for (1 .. 8)
{
	$primary->safe_psql('postgres', 'CREATE TABLE w (); DROP TABLE w; SELECT pg_switch_wal()');
}
$primary->safe_psql('postgres', 'CHECKPOINT');
is($primary->safe_psql('postgres', 'SELECT wal_status FROM pg_replication_slots'), 'lost', 'the slot is lost');
is(status($primary, 'replication_slots_lost', 'for_standby'), 'critical', 'a lost slot is critical');
is($primary->safe_psql('postgres',
		q(SELECT suggested_sql FROM dbutil.health WHERE check_name = 'replication_slots_lost')),
	q(SELECT pg_drop_replication_slot('for_standby')), 'and is to be dropped');
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('for_standby')));
is(status($primary, 'replication_slots_lost'), 'ok', 'no slot, no loss');

# --- a standby that has lost its primary cannot know how far it is behind
$standby->append_conf('postgresql.conf', "primary_conninfo = 'host=/nowhere'");
$standby->start;
is(status($standby, 'replay_delay'), 'unknown', 'without a receiver the delay is unknown');
$standby->stop;

# --- configuration: a change that waits, an error in each file
is(status($primary, 'pending_restart'), 'ok', 'nothing waits for a restart');
is(status($primary, 'config_file_errors'), 'ok', 'no errors in files');
$primary->safe_psql('postgres', 'ALTER SYSTEM SET max_connections = 123');
$primary->reload;
ok($primary->poll_query_until('postgres', q(SELECT count(*) > 0 FROM pg_settings WHERE pending_restart)), 'a change waits');
is(status($primary, 'pending_restart', 'max_connections'), 'warn', 'and is told');
is(status($primary, 'config_file_errors'), 'ok', 'and is no error in the file');
$primary->safe_psql('postgres', 'ALTER SYSTEM RESET ALL');
my %content = map { $_ => slurp_file($primary->data_dir . "/$_") } qw(postgresql.conf pg_hba.conf pg_ident.conf);
append_to_file($primary->data_dir . '/postgresql.conf', "work_mem = 'bananas'\n");
append_to_file($primary->data_dir . '/pg_hba.conf', "local all all bananas\n");
append_to_file($primary->data_dir . '/pg_ident.conf', "a b\n");
is($primary->safe_psql('postgres',
		q(SELECT string_agg(regexp_replace(object_name, '.*/([a-z_.]+):\d+$', '\1') || ' ' || status, ',' ORDER BY object_name)
		  FROM dbutil.health WHERE check_name = 'config_file_errors')),
	'pg_hba.conf warn,pg_ident.conf warn,postgresql.conf warn', 'errors in files are told');
for my $file (keys %content)
{
	unlink $primary->data_dir . "/$file";
	append_to_file($primary->data_dir . "/$file", $content{$file});
}

# --- losses: more services than there is room for
is(status($primary, 'dbutil_losses'), 'ok', 'nothing was lost');
for my $i (1 .. 25)
{
	$primary->safe_psql('postgres', "SET dbutil.service = 'service $i'; SELECT 1");
}
is(status($primary, 'dbutil_losses', 'services tracked as <other>'), 'warn', 'lost services are told');

# --- checksums: spoil a page
$primary->safe_psql('postgres', 'CREATE TABLE spoiled AS SELECT g AS i FROM generate_series(1, 100) g; CHECKPOINT');
my $path = $primary->data_dir . '/' . $primary->safe_psql('postgres', q(SELECT pg_relation_filepath('spoiled')));
$primary->stop;
open(my $fh, '+<', $path) or die "$path: $!";
binmode $fh;
seek($fh, 6000, 0);
print $fh 'spoiled' x 8;
close $fh;

# --- the same server without preload: what dbutil counts is unknown, the rest is told
$primary->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$primary->start;
my ($ret, $out, $err) = $primary->psql('postgres', 'SELECT count(*) FROM spoiled');
like($err, qr/invalid page/, 'the page is spoiled');
is(status($primary, 'checksum_failures', 'postgres'), 'critical', 'checksum failures are critical');
is(status($primary, 'dbutil_losses', 'tracking'), 'unknown', 'losses are unknown without preload');
is($primary->safe_psql('postgres',
		q(SELECT r ->> 'status', r #>> '{service,name}', r #>> '{service,tracked,status}', r #>> '{service,sessions,connections}'
		  FROM dbutil.check_database_health('x', 'quick') AS r)),
	'critical|x|unknown|0', 'the report works without preload');
$primary->stop;

done_testing();
