# dbutil top: what was added between two readings, by the extension and by
# pg_stat_statements; frames for scripts, and a terminal.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Cli;
use LongSession;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'dbutil, pg_stat_statements'");
$node->start;
$node->safe_psql('postgres', q(
	CREATE DATABASE counted; CREATE DATABASE plain; CREATE ROLE clerk LOGIN; CREATE EXTENSION dbutil));
$node->safe_psql('counted', 'CREATE SCHEMA "Odd one"; CREATE EXTENSION pg_stat_statements SCHEMA "Odd one"');
my $dsn = $node->connstr('postgres');

my $shop = LongSession->new($node);
$shop->ask(q(\c - clerk
SET dbutil.service = 'shop'; SET application_name = 'shop'));
my $before = LongSession->new($node);
$before->ask(q(SET dbutil.service = 'stock'; SET application_name = 'stock'));
$before->ask('SELECT 11 AS long_ago');

# Runs top while the shop's session works; exit status and output.
sub top_meanwhile
{
	my ($in, $out, $err) = ('', '', '');
	my $top = IPC::Run::start([ $ENV{DBUTIL_CLI}, 'top', @_ ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(120));

	while ($top->pumpable)
	{
		$shop->ask('SELECT count(*) AS sold FROM generate_series(1, 1000)');
		$shop->ask("SELECT 'two\e[31m\nlines' AS red");
		$shop->ask('SELECT 1/0 AS failing');
		$top->pump_nb;
		select undef, undef, undef, 0.02;
	}
	$top->finish;
	is($err, '', "nothing on stderr: @_");
	return ($top->result(0), $out);
}

# The numbers of a service's or a statement's line.
sub numbers
{
	my ($out, $end) = @_;

	$out =~ /^ *((?:[\d.]+ +|- +)+)$end/m or return;
	return split ' ', $1;
}

# --- by the extension
my ($status, $out) = top_meanwhile('--once', '--interval', '1', '--dsn', $dsn);
is($status, 0, 'one frame');
like($out, qr/\A\d\d:\d\d:\d\d  database postgres by dbutil, [\d.]+ s, sorted by time\n/, 'what it is');
my ($sessions, $active, $idle, $calls, $errors, $time) = numbers($out, 'shop$');
is($sessions, 1, 'a session of the service');
cmp_ok($calls, '>', 1, 'calls a second');
cmp_ok($errors, '>', 0.5, 'errors a second');
cmp_ok($time, '>', 0, 'time');
my ($statement_calls, $ms, $share, $rows) = numbers($out, 'shop +SELECT count\(\*\) AS sold FROM generate_series\(\$1, \$2\)$');
cmp_ok($statement_calls, '>', 0.5, 'calls of a statement');
cmp_ok(abs($statement_calls - $rows), '<', 0.01 + 0.2 * $rows, 'a row each');
is((numbers($out, 'stock$'))[0], 1, 'a service that does nothing has its session');
unlike($out, qr/long_ago/, 'what ran before is not shown');
like($out, qr/^ *0\.0 +[\d.]+ +[\d.]+ +0\.0 +[\d.]+ shop +SELECT \$1\/\$2 AS failing$/m, 'a statement that only fails');

($status, $out) = top_meanwhile('--batch', '2', '--interval=1', '--service', 'shop', '--sort', 'errors', '--limit', '1', '--dsn', $dsn);
is($status, 0, 'two frames');
is(() = $out =~ /^\d\d:\d\d:\d\d .*, sorted by errors$/mg, 2, 'there they are');
unlike($out, qr/stock/, 'of one service');
is(() = $out =~ /^.* shop +SELECT.*$/mg, 2, 'one statement each');
is(() = $out =~ /AS failing$/mg, 2, 'that with most errors');

# --- by pg_stat_statements, wherever it is installed, and by pg_stat_activity alone
($status, $out) = top_meanwhile('--once', '--interval', '1', '--dsn', $node->connstr('counted'));
is($status, 0, 'without the extension');
like($out, qr/ by pg_stat_statements, /, 'it says so');
is((numbers($out, 'shop$'))[0], 1, 'services by application_name');
($statement_calls) = numbers($out, 'clerk +SELECT count\(\*\) AS sold FROM generate_series\(\$1, \$2\)$');
cmp_ok($statement_calls, '>', 0.5, 'calls of a statement');
like($out, qr/^.* - clerk +SELECT count/m, 'errors are not known');
($status, $out) = top_meanwhile('--once', '--interval', '1', '--no-extension', '--dsn', $dsn);
like($out, qr/ by pg_stat_activity, .*^statements are counted by the extensions dbutil and pg_stat_statements only$/ms, 'nothing but sessions');
is((numbers($out, 'shop$'))[0], 1, 'which are there');

# --- texts cannot touch the terminal
unlike($out, qr/[\x00-\x09\x0b-\x1f\x7f]/, 'no control characters');
$shop->ask(qq(SET application_name = 'shop'; SELECT 1 AS "a\e[31mb"));
{
	my $top = IPC::Run::start([ $ENV{DBUTIL_CLI}, 'top', '--once', '--interval', '1', '--dsn', $dsn ], '>', \my $frame, IPC::Run::timeout(120));
	while ($top->pumpable)
	{
		$shop->ask(qq(SELECT 1 AS "a\e[31mb"));
		$top->pump_nb;
		select undef, undef, undef, 0.02;
	}
	$top->finish;
	like($frame, qr/SELECT \$1 AS "a\?\[31mb"$/m, 'a control character of a text is replaced');
}

# --- errors
for my $bad (
	[ 2, 'there is no terminal: use --once or --batch' ],
	[ 2, '--once and --batch exclude each other', '--once', '--batch', '2' ],
	[ 2, 'unknown option "--ones": the nearest is "--once"', '--ones' ],
	[ 2, 'invalid value for option "--sort": "cals": the nearest is "calls"', '--sort', 'cals', '--once' ],
	[ 2, 'invalid value for option "--interval": "0" is not a number from 1 to 3600', '--interval', '0', '--once' ],
	[ 1, 'cannot connect: ', '--once', '--dsn', "$dsn port=1" ])
{
	my ($expected, $message, @args) = @$bad;
	my ($got, $printed, $err) = dbutil('top', @args);
	is("$got$printed", $expected, "refused: @args");
	like($err, qr/\Adbutil: error: \Q$message\E/, 'says why');
}

# --- a terminal
SKIP:
{
	skip 'no terminal can be made (IO::Pty, /dev/pts)', 5 unless eval { require IO::Pty; IO::Pty->new };
	local $ENV{TERM} = 'xterm';
	local $ENV{LINES} = 24;
	local $ENV{COLUMNS} = 100;
	my ($keys, $screen) = ('', '');
	my $top = IPC::Run::start([ $ENV{DBUTIL_CLI}, 'top', '--interval', '1', '--dsn', $dsn ],
		'<pty<', \$keys, '>pty>', \$screen, IPC::Run::timeout(120));

	until ($screen =~ /sold/)
	{
		$shop->ask('SELECT count(*) AS sold FROM generate_series(1, 1000)');
		$top->pump_nb;
		select undef, undef, undef, 0.02;
	}
	like($screen, qr/sorted by time/, 'a frame on a terminal');
	like($screen, qr/q quit/, 'with its keys');
	$screen = '';
	$keys .= 'c';
	$top->pump until $screen =~ /calls/;
	pass('another order by a key');
	$keys .= 'q';
	$top->finish;
	is($top->result(0), 0, 'q ends it');
	like($screen, qr/\e\[\?1049l/, 'and puts the terminal back');
}

$_->leave for $shop, $before;
$node->stop;
done_testing();
