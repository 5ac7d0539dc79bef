# bulk: functions called by the fast-path protocol (PQfn), which hands over no
# expression: the overload that is called tells what its argument is.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres',
	q{CREATE EXTENSION dbutil;
	CREATE TABLE fast (id int PRIMARY KEY, v text);
	INSERT INTO fast SELECT i FROM generate_series(1, 9) i});

my $socket = $node->raw_connect;

# One message: its type and the rest of it.
sub receive
{
	my ($data, $type, $length) = ('');

	sysread($socket, my $head, 5) == 5 or die "the server closed the connection";
	($type, $length) = unpack('a N', $head);
	while (length $data < $length - 4)
	{
		sysread($socket, my $more, $length - 4 - length $data) or die "the server closed the connection";
		$data .= $more;
	}
	return ($type, $data);
}

# The answer up to ReadyForQuery: what V (a result) or E (an error) carries.
sub answer
{
	my $result = '';

	while (my ($type, $data) = receive())
	{
		$result = substr($data, 4) if $type eq 'V';
		$result = "error $data" if $type eq 'E';
		return $result if $type eq 'Z';
	}
}

# A function by its signature, arguments as text, undef is NULL.
sub fast_path
{
	my ($function, @args) = @_;
	my $oid = $node->safe_psql('postgres', "SELECT '$function'::regprocedure::oid");
	my $body = pack('N n n n', $oid, 1, 0, scalar @args);

	$body .= defined $_ ? pack('N/a*', $_) : pack('N', 0xffffffff) foreach @args;
	$body .= pack('n', 0);
	syswrite($socket, pack('a N a*', 'F', length($body) + 4, $body));
	return answer();
}

my $user = $node->safe_psql('postgres', 'SELECT current_user');
my $startup = pack('N Z* Z* Z* Z* x', 196608, 'user', $user, 'database', 'postgres');
syswrite($socket, pack('N a*', length($startup) + 4, $startup));
answer();

foreach my $type ('jsonb', 'json', 'text')
{
	my $id = { jsonb => 1, json => 2, text => 3 }->{$type};

	like(fast_path("dbutil.bulk_update(regclass,$type,name[],name[],text,boolean,text,text,text,bigint,integer,boolean,regclass)",
			'fast', qq([{"id": $id, "v": "$type"}]), undef, undef, 'set', 'f', 'ignore', 'wait', 'abort', undef, undef, 'f', undef),
		qr/^\(,update,/, "bulk_update of $type");
	like(fast_path("dbutil.bulk_insert(regclass,$type,name[],text,name[],name,name[],text,text,bigint,integer,boolean,regclass)",
			'fast', qq([{"id": 1$id, "v": "$type"}]), undef, 'error', undef, undef, undef, 'error', 'abort', undef, undef, 'f', undef),
		qr/^\(,insert,/, "bulk_insert of $type");
	like(fast_path("dbutil.bulk_delete(regclass,$type,name[],text,text,text,bigint,integer,boolean,regclass)",
			'fast', "[@{[$id + 3]}]", undef, 'ignore', 'wait', 'abort', undef, undef, 'f', undef),
		qr/^\(,delete,/, "bulk_delete of $type");
}
is($node->safe_psql('postgres', q(SELECT string_agg(id || coalesce(v, ''), ' ' ORDER BY id) FROM fast)),
	'1jsonb 2json 3text 7 8 9 11jsonb 12json 13text', 'the rows are what the calls say');

close $socket;
$node->stop;
done_testing();
