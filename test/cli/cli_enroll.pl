# dbutil enroll and withdraw: what they set, see and print; the ways back; what
# is refused, whole.
use strict;
use warnings;
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Cli;
use LongSession;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'dbutil'");
$node->start;
$node->safe_psql('postgres', q(
	CREATE EXTENSION dbutil; CREATE DATABASE plain;
	CREATE ROLE orders LOGIN; CREATE ROLE orders_two LOGIN; CREATE ROLE "o'dd role" LOGIN; CREATE ROLE stranger LOGIN));
my $dsn = $node->connstr('postgres');
my $as_service = "$dsn user=orders";

# All that is set for roles in databases, and of the service's role.
sub settings
{
	return $node->safe_psql('postgres', q(
		SELECT string_agg(v, ' ' ORDER BY v) FROM (
			SELECT rolname || ':' || c FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = setrole, unnest(setconfig) AS c
			UNION ALL SELECT rolname || ':limit=' || rolconnlimit FROM pg_roles WHERE rolconnlimit <> -1
			UNION ALL SELECT r.rolname || ':member' FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.member
				WHERE r.rolname LIKE 'o%'
			UNION ALL SELECT 'enrolled:' || rolename || ':' || setting FROM dbutil.enrolled_settings) AS x(v)));
}

# A command that fails with this status and message, and changes nothing.
sub refused
{
	my ($expected, $message, @args) = @_;
	my $before = settings();
	my ($status, $out, $err) = dbutil(@args);

	is("$status$out", $expected, "refused: @args");
	like($err, qr/\Adbutil: error: $message/, 'says why');
	is(settings(), $before, 'nothing is changed');
	return $err;
}

# --- a dry run: what would be done, and what timeouts would have ended
$node->safe_psql('postgres', 'SET ROLE orders; SELECT pg_sleep(0.3); SELECT 1');
my ($status, $out, $err) = dbutil('enroll', '--service', 'orders', '--dsn', $dsn, '--statement-timeout', '100ms', '--dry-run');
is("$status$err", '0', 'dry run') or diag($err);
like($out, qr/\ADry run, nothing is changed: role orders in database postgres would become service orders:$/m, 'says so');
like($out, qr/^  would set dbutil\.service: not set -> orders$/m, 'the setting');
like($out, qr/^  would set statement_timeout: not set -> 100ms \(would have ended 1 of \d+ tracked calls\)$/m, 'what it would have ended');
is(settings(), '', 'nothing is set');

# --- it is done, and seen
my $old = LongSession->new($node);
$old->ask('SET SESSION AUTHORIZATION orders');
my $client = LongSession->new($node);
is($client->ask('\c - orders'), '', 'a session of the service');
my $pid = $client->ask('SELECT pg_backend_pid()');
($status, $out, $err) = dbutil('enroll', '--service=orders', '--dsn', $dsn, '--statement-timeout', '90s', '--lock-timeout', '2s',
	'--connection-limit', '9', '--settings', '{"work_mem": "8192kB"}', '--monitor', '--verify-dsn', $as_service);
is("$status$err", '0', 'enrolled') or diag($err);
is(settings(), join(' ', sort qw(orders:dbutil.plan_cache=auto orders:dbutil.service=orders orders:limit=9 orders:member
	orders:statement_timeout=90000ms orders:lock_timeout=2000ms orders:work_mem=8192kB
	enrolled:orders:dbutil.service enrolled:orders:dbutil.plan_cache enrolled:orders:statement_timeout
	enrolled:orders:lock_timeout enrolled:orders:work_mem), 'enrolled:orders:connection limit',
	'enrolled:orders:membership in pg_monitor'), 'all settings');
like($out, qr/^Role orders in database postgres is now service orders:$/m, 'says so');
like($out, qr/^  reconnect session $pid: /m, 'the session that has the settings of before');
like($out, qr/^  reconnect pgbouncer: .*RECONNECT postgres$/m, 'what to run in pgbouncer');
like($out, qr/^Verified: 7 settings in the catalog\nVerified: 5 settings in a new session of role orders$/m, 'seen');
like($out, qr/^Its sessions still lack:\n(  .*\n)*  idle_in_transaction_session_timeout: ends /m, 'what it lacks');
unlike($out, qr/^  statement_timeout: ends /m, 'and not what it has');

# the section of pg_service.conf works as it is
my ($section) = $out =~ /^(\[orders\]\n.*)/ms;
my $service_file = $node->basedir . '/pg_service.conf';
append_to_file($service_file, $section);
{
	local $ENV{PGSERVICEFILE} = $service_file;
	my ($seen, $complaint) = ('', '');
	IPC::Run::run([ 'psql', '-X', '-A', '-t', '-d', 'service=orders', '-c',
			q(SELECT current_user, current_setting('dbutil.service'), current_setting('statement_timeout'), current_setting('application_name'))
		], '>', \$seen, '2>', \$complaint);
	is($seen, "orders|orders|90s|orders\n", 'a client that connects by it') or diag($complaint);
}

# once more: nothing to do, nothing to undo
($status, $out, $err) = dbutil('enroll', '--service', 'orders', '--dsn', $dsn);
is("$status$err", '0', 'enrolled again');
like($out, qr/^  kept      dbutil\.service: orders$/m, 'kept');
unlike($out, qr/^Back by hand/m, 'nothing to undo');

# --- the way back
my $enrolled = settings();
($status, $out, $err) = dbutil('withdraw', '--service', 'orders', '--dsn', $dsn, '--dry-run');
is("$status$err", '0', 'dry run of the way back');
like($out, qr/^  would set work_mem: 8192kB -> not set$/m, 'what would be done');
is(settings(), $enrolled, 'nothing is done');
$node->safe_psql('postgres', q(ALTER ROLE orders IN DATABASE postgres SET work_mem = '1MB'));
($status, $out, $err) = dbutil('withdraw', '--service', 'orders', '--dsn', $dsn, '--verify-dsn', $as_service);
is("$status$err", '0', 'withdrawn') or diag($err);
like($out, qr/^  left      work_mem: 1MB \(was changed since it was enrolled\)$/m, 'what somebody changed is left');
is(settings(), 'orders:work_mem=1MB', 'all else is as before');
like($out, qr/^Verified: 6 settings in the catalog\nVerified: 4 settings in a new session/m, 'seen');
$node->safe_psql('postgres', 'ALTER ROLE orders IN DATABASE postgres RESET ALL');
refused(1, 'no role is enrolled as service "orders" in database "postgres"\nHINT:', 'withdraw', '--service', 'orders', '--dsn', $dsn);

# by hand
(undef, $out) = dbutil('enroll', '--service', 'orders', '--dsn', $dsn, '--statement-timeout', '1min', '--plan-cache', 'none');
my ($undo) = $out =~ /^Back by hand:\n((?:  .*;\n)+)/m;
unlike($undo, qr/plan_cache/, 'none leaves the plan cache alone');
$node->safe_psql('postgres', "$undo; DELETE FROM dbutil.enrolled_settings");
is(settings(), '', 'the printed commands take everything back');

# --- names
($status, $out, $err) = dbutil('enroll', '--service', 'odd', '--role', "o'dd role", '--dsn', $dsn);
is("$status$err", '0', 'a role with an odd name');
my ($command) = $out =~ /^Back to what was before it was enrolled: (.*)$/m;
{
	local $ENV{PATH} = dirname($ENV{DBUTIL_CLI}) . ":$ENV{PATH}";
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'postgres';
	is(system("$command >/dev/null"), 0, 'the printed command runs in a shell');
}
is(settings(), '', 'and takes it back');
dbutil('enroll', '--service', 'orders', '--role', $_, '--dsn', $dsn) for qw(orders orders_two);
refused(1, '2 roles are enrolled as service "orders"', 'withdraw', '--service', 'orders', '--dsn', $dsn);
for my $role (qw(orders orders_two))
{
	($status) = dbutil('withdraw', '--service', 'orders', '--role', $role, '--dsn', $dsn);
	is($status, 0, "withdrawn: $role");
}

# --- verification fails, and says that the settings were made
for my $wrong (
	[ "$as_service options='-c statement_timeout=5s'", 'a new session has statement_timeout = 5s, not 90s\n' ],
	[ "$dsn user=stranger", '--verify-dsn connects as role "stranger" to database "postgres", not as "orders" to "postgres"' ],
	[ "$as_service port=1", 'cannot connect by --verify-dsn: ' ])
{
	($status, $out, $err) = dbutil('enroll', '--service', 'orders', '--dsn', $dsn, '--statement-timeout', '90s', '--verify-dsn', $wrong->[0]);
	is($status, 1, "not verified: $wrong->[0]");
	like($err, qr/\Adbutil: error: cannot verify: $wrong->[1].*^HINT:  The settings were made/ms, 'says why');
	like(settings(), qr/orders:statement_timeout=90000ms/, 'they were made');
}
($status, $out, $err) = dbutil('withdraw', '--service', 'orders', '--dsn', $dsn);
is("$status$err", '0', 'withdrawn');

# --- what is refused, whole
like(refused(1, 'permission denied', 'enroll', '--service', 'orders', '--dsn', "$dsn user=stranger"), qr/orders|enrolled/, 'without rights');
$node->safe_psql('postgres', 'GRANT INSERT, UPDATE, DELETE ON dbutil.enrolled_settings TO stranger');
like(refused(1, 'permission denied to enrol role "orders" in database "postgres"', 'enroll', '--service', 'orders', '--dsn', "$dsn user=stranger"),
	qr/^DETAIL:  PostgreSQL says: .*\n^HINT:  A superuser can/m, 'what it takes');
like(refused(1, 'the extension dbutil is not installed in database "plain"', 'enroll', '--service', 'orders', '--dsn', $node->connstr('plain')),
	qr/^HINT:  .*CREATE EXTENSION dbutil/m, 'what to do');
refused(1, 'role "nobody_of_this_name" does not exist', 'enroll', '--service', 'nobody_of_this_name', '--dsn', $dsn);
refused(1, 'database "nowhere" does not exist', 'enroll', '--service', 'orders', '--database', 'nowhere', '--dsn', $dsn);
refused(1, 'invalid value for parameter "work_mem"', 'enroll', '--service', 'orders', '--settings', '{"work_mem": "much"}', '--dsn', $dsn);
refused(1, 'invalid input syntax for type json', 'enroll', '--service', 'orders', '--settings', '{', '--dsn', $dsn);
refused(1, 'cannot connect: ', 'enroll', '--service', 'orders', '--dsn', "$dsn port=1");
for my $name ('', 'Orders', '1st', 'a b', "o'r", 'a/b', '../x', "a\nb", 'x' x 64)
{
	refused(2, 'invalid name ', 'enroll', '--service', $name, '--dsn', $dsn);
}
refused(2, '--service is missing', 'enroll', '--dsn', $dsn);
refused(2, '--service is missing', 'withdraw', '--dsn', $dsn);
refused(2, 'unknown option "--servcie": the nearest is "--service"', 'enroll', '--servcie', 'orders', '--dsn', $dsn);
refused(2, 'unknown option "--dryrun": the nearest is "--dry-run"', 'withdraw', '--dryrun', '--service', 'orders', '--dsn', $dsn);
refused(2, 'invalid value for option "--plan-cache": "autp": the nearest is "auto"', 'enroll', '--service', 'orders', '--plan-cache', 'autp');
refused(2, 'invalid value for option "--statement-timeout": "1 week" is not a time', 'enroll', '--service', 'orders', '--statement-timeout', '1 week');
refused(2, 'invalid value for option "--connection-limit": "-2"', 'enroll', '--service', 'orders', '--connection-limit', '-2');
refused(2, 'a dry run changes nothing', 'enroll', '--service', 'orders', '--dry-run', '--verify-dsn', $as_service);

$_->leave for $old, $client;
$node->stop;
done_testing();
