# Tracking of what psql cannot send: portals that are run in pieces, bound
# together or never run; transactions that are prepared; EXPLAIN beside
# auto_explain; texts that are longer than what an error path can note.
use strict;
use warnings;
use IO::Socket::UNIX;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'dbutil'
max_prepared_transactions = 5
dbutil.track_planning = on
dbutil.track_query_size = 16kB
unix_socket_permissions = 0777
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil; CREATE TABLE t (i int); INSERT INTO t VALUES (0)');

# --- as much of the protocol as is needed
sub packet { my ($type, $body) = @_; return $type . pack('N', length($body) + 4) . $body; }

sub connection
{
	my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "socket: $!";
	my $user = $node->safe_psql('postgres', 'SELECT current_user');
	my $start = pack('N', 196608) . "user\0$user\0database\0postgres\0\0";

	print $socket pack('N', length($start) + 4) . $start;
	$socket->flush;
	answers($socket);
	return $socket;
}

# What comes until the server is ready: the types of messages, rows left out.
sub answers
{
	my $socket = shift;
	my $types = '';

	while (1)
	{
		read($socket, my $head, 5) == 5 or die 'the server closed the connection';
		my ($type, $length) = unpack('aN', $head);
		read($socket, my $body, $length - 4) if $length > 4;
		BAIL_OUT("protocol: $body") if $type eq 'R' && unpack('N', $body) != 0;
		return $types if $type eq 'Z';
		$types .= $type if $type =~ /[CEsI]/;
	}
}

sub exchange
{
	my ($socket, @packets) = @_;

	print $socket @packets;
	$socket->flush;
	return answers($socket);
}

sub query { my ($socket, $text) = @_; return exchange($socket, packet('Q', "$text\0")); }
sub parse { my ($name, $text) = @_; return packet('P', "$name\0$text\0" . pack('n', 0)); }
sub bind_portal { my ($portal, $name) = @_; return packet('B', "$portal\0$name\0" . pack('nnn', 0, 0, 0)); }
sub run { my ($portal, $rows) = @_; return packet('E', "$portal\0" . pack('N', $rows)); }
sub sync { return packet('S', ''); }

my $socket = connection();
query($socket, q(SET dbutil.service = 'protocol'));

# --- a portal in pieces
is(exchange($socket, parse('', 'SELECT g AS pieces FROM generate_series(1, 250) g'), bind_portal('', ''),
		run('', 100), run('', 100), run('', 100), sync()), 'ssC', 'a portal was run in three pieces');
is($node->safe_psql('postgres', q(SELECT calls, rows FROM dbutil.statements WHERE query LIKE '%AS pieces%')),
	'1|250', 'its rows are those of all pieces');

# --- a portal that is bound and never run
exchange($socket, parse('', 'SELECT 1 AS never_run'), bind_portal('', ''), sync());
is($node->safe_psql('postgres', q(SELECT count(*) FROM dbutil.statements WHERE query LIKE '%never_run')),
	0, 'what was bound and not run is no call');

# --- two portals that are bound before the first is run: reading ones and writing ones
exchange($socket, parse('a', 'SELECT count(*) AS together_a FROM t'), parse('b', 'SELECT count(i) AS together_b FROM t'),
	bind_portal('pa', 'a'), bind_portal('pb', 'b'), run('pa', 0), run('pb', 0), sync());
exchange($socket, parse('c', 'UPDATE t AS together_c SET i = 0'), parse('d', 'DELETE FROM t AS together_d WHERE i = 5'),
	bind_portal('pc', 'c'), bind_portal('pd', 'd'), run('pc', 0), run('pd', 0), sync());
is($node->safe_psql('postgres', q{SELECT count(*), sum(calls), sum(plans), bool_and(total_plan_time > 0)
		FROM dbutil.statements WHERE query LIKE '%together_%'}),
	'4|4|4|t', 'each was planned once');

# --- a loop's query keeps its planning time though its body plans
$node->safe_psql('postgres', q{SET dbutil.track = 'all'; DO $$ DECLARE r record; BEGIN
	FOR r IN SELECT i AS outer_loop FROM t LOOP PERFORM count(*) AS inner_loop FROM t; END LOOP; END $$});
is($node->safe_psql('postgres', q{SELECT plans, calls FROM dbutil.statements WHERE query LIKE 'SELECT i AS outer_loop%'}),
	'1|1', 'a FOR query whose body plans');
$socket->close;

# --- transactions that are prepared
my $prepared = q{SELECT sum(commits), sum(rollbacks), sum(statements), sum(wrote) FROM dbutil.transactions WHERE service = 'prepared'};
sub prepared { my $text = shift; $node->psql('postgres', $text, on_error_stop => 0); return; }
$ENV{PGAPPNAME} = 'prepared';
prepared(q(BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'one'));
delete $ENV{PGAPPNAME};
is($node->safe_psql('postgres', $prepared), '|||', 'a prepared transaction has no outcome yet');
$ENV{PGAPPNAME} = 'prepared';
prepared(q(COMMIT PREPARED 'one'));
is($node->safe_psql('postgres', $prepared =~ s/'prepared'/'prepared' -- looks/r), '1|0|1|1', 'COMMIT PREPARED is a commit');
prepared(q(BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'two'));
prepared(q(ROLLBACK PREPARED 'two'));
prepared(q(COMMIT PREPARED 'none such'));
delete $ENV{PGAPPNAME};
is($node->safe_psql('postgres', $prepared), '2|2|4|2',
	'ROLLBACK PREPARED is a rollback, and so is one that fails (the look is the other commit)');

# --- EXPLAIN executes nothing, whoever else measures
$node->safe_psql('postgres', q{LOAD 'auto_explain'; SET auto_explain.log_min_duration = '1h'; SET dbutil.track = 'all';
	EXPLAIN SELECT i AS explained FROM t});
is($node->safe_psql('postgres', q{SELECT count(*) FROM dbutil.statements WHERE query LIKE '%i AS explained%' AND operation = 'select'}),
	0, 'plain EXPLAIN beside auto_explain is no call');

# --- a text that is cut when its first run fails
my $long = q{SELECT length('%s') + 1 / i AS wanted_column FROM t WHERE i = 0};
my ($rc, $out, $err) = $node->psql('postgres', sprintf($long, 'x' x 5000) . '; SELECT 1', on_error_stop => 0);
like($err, qr/division by zero/, 'a long statement fails');
is($node->safe_psql('postgres', q{SELECT query, calls, errors FROM dbutil.statements WHERE query LIKE 'SELECT length(%'}),
	'SELECT length(|0|1', 'its text is cut where its literal begins');
$node->safe_psql('postgres', 'DELETE FROM t; INSERT INTO t VALUES (1)');
$node->safe_psql('postgres', sprintf($long, 'x') =~ s/i = 0/i = 1/r);
is($node->safe_psql('postgres', q{SELECT query, calls, errors FROM dbutil.statements WHERE query LIKE 'SELECT length(%'}),
	'SELECT length($1) + $2 / i AS wanted_column FROM t WHERE i = $3|1|1', 'and whole after a run that ended');

$node->stop;
done_testing();
