# bulk: what cannot be written whatever the rows are is refused by one clear
# error, and nothing is written: foreign tables, JSON and rows that are too large.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION dbutil; CREATE TABLE local (id int PRIMARY KEY, v text)');

# SQLSTATE, message, detail and hint of a statement that fails
sub refusal
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");

	isnt($rc, 0, "refused: $sql");
	$err =~ s/^psql:<stdin>:\d+: //;
	$err =~ s/^(CONTEXT|LOCATION):.*\n?//mg;
	$err =~ s{\n+$}{};
	return $err;
}

# --- foreign tables ---
SKIP:
{
	my $have = $node->safe_psql('postgres', q(SELECT count(*) FROM pg_available_extensions WHERE name IN ('postgres_fdw', 'file_fdw')));
	skip 'no foreign-data wrappers here', 1 if $have < 2;
	$node->safe_psql('postgres', sprintf(q(CREATE EXTENSION postgres_fdw; CREATE EXTENSION file_fdw;
		CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'postgres', host '%s', port '%s');
		CREATE USER MAPPING FOR PUBLIC SERVER loopback;
		CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
		CREATE FOREIGN TABLE remote (id int, v text) SERVER loopback OPTIONS (table_name 'local');
		CREATE FOREIGN TABLE read_only (id int, v text) SERVER loopback OPTIONS (table_name 'local', updatable 'false');
		CREATE FOREIGN TABLE file (id int, v text) SERVER files OPTIONS (filename '/dev/null', format 'csv')),
		$node->host, $node->port));
	my %calls = (
		inserts => q(bulk_insert('%s', '[{"id": 1, "v": "x"}]')),
		updates => q(bulk_update('%s', '[{"id": 1, "v": "x"}]', key => '{id}')),
		deletes => q(bulk_delete('%s', '[1]', key => '{id}')));
	foreach my $what (sort keys %calls)
	{
		my $call = sprintf("SELECT * FROM dbutil.$calls{$what}", 'file');
		is(refusal($call), qq(ERROR:  0A000: foreign table "file" does not take $what
DETAIL:  Its foreign-data wrapper is "file_fdw".
HINT:  Write to the table on its own server, or to a local one.), 'the wrapper cannot');
		$call = sprintf("SELECT * FROM dbutil.$calls{$what}", 'read_only');
		is(refusal($call), qq(ERROR:  0A000: foreign table "read_only" does not take $what
DETAIL:  Its foreign-data wrapper is "postgres_fdw".
HINT:  Look at the options of the table and its server, for example "updatable".), 'the table may not');
		like($node->safe_psql('postgres', sprintf("SELECT rows_in FROM dbutil.$calls{$what}", 'remote')), qr/^1$/, "$what go to one that can");
	}
	like(refusal(q(SELECT dbutil.bulk_explain('delete', 'file', '{"key": ["id"]}'))), qr/0A000: foreign table "file" does not take deletes/, 'told before the call');
	$node->safe_psql('postgres', q(CREATE VIEW below AS SELECT id, v FROM file; CREATE VIEW above AS SELECT * FROM below;
		CREATE VIEW joined AS SELECT f.id, f.v FROM file f, local;
		CREATE VIEW triggered AS SELECT * FROM file;
		CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TRIGGER i INSTEAD OF INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION instead()));
	is(refusal(q(SELECT dbutil.bulk_insert('above', '[{"id": 1}]'))), qq(ERROR:  0A000: foreign table "file" does not take inserts
DETAIL:  View "above" writes to it; its foreign-data wrapper is "file_fdw".
HINT:  Write to the table on its own server, or to a local one.), 'below views');
	like(refusal(q(SELECT dbutil.bulk_delete('below', '[1]', key => '{id}'))), qr/0A000: foreign table "file" does not take deletes/, 'the same, a delete');
	like(refusal(q(SELECT dbutil.bulk_insert('joined', '[{"id": 1}]'))), qr/55000: cannot insert into view "joined"/, 'a view that passes nothing on');
	is($node->safe_psql('postgres', q(SELECT inserted FROM dbutil.bulk_insert('triggered', '[{"id": 1}]'))), '1', 'a view with a trigger of its own');
	like(refusal(q(CALL dbutil.bulk_insert_batches('file', 'local'))), qr/0A000: foreign table "file" does not take inserts/, 'in a procedure');
	# as a source it will do
	is($node->safe_psql('postgres', q(SELECT inserted FROM dbutil.bulk_insert_query('local', 'SELECT * FROM file'))), '0', 'but it can be read');
}
$node->safe_psql('postgres', q(CREATE FOREIGN DATA WRAPPER none; CREATE SERVER none FOREIGN DATA WRAPPER none;
	CREATE FOREIGN TABLE nowhere (id int, v text) SERVER none));
is(refusal(q(SELECT dbutil.bulk_insert('nowhere', '[{"id": 1}]'))), qq(ERROR:  0A000: foreign table "nowhere" does not take inserts
DETAIL:  Its foreign-data wrapper is "none".
HINT:  The wrapper has no handler; give it one by ALTER FOREIGN DATA WRAPPER.), 'no handler');

# --- sizes ---
# Twelve arrays that are one and the same, so that the row is large and the test is not.
my $columns = join(', ', map { "c$_ text" } 1 .. 12);
my $names = join(',', map { "c$_" } 1 .. 12);
my $arrays = join(', ', ('x.a') x 12);
$node->safe_psql('postgres', "CREATE TABLE wide ($columns)");
is(refusal("SELECT r.* FROM (SELECT ARRAY['small', repeat('x', 90000000)] AS a) x, dbutil.bulk_insert_columns('wide', '{$names}', '{}', $arrays) r"),
	qq(ERROR:  54000: row 2 has 1080000048 bytes, more than a row can have
DETAIL:  The limit is 1073741823 bytes.
HINT:  Write its large values by themselves, for example by an UPDATE for each.), 'a row of more than 1 GB');
like(refusal(q(SELECT dbutil.bulk_insert('local', '[{"id": 1, "v": "' || repeat('x', 268435456) || '"}]'))),
	qr/ERROR:  54000: string too long.*HINT:  JSON rows of one call are limited to 256 MB/s, 'JSON of more than 256 MB');
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM wide) + (SELECT count(*) FROM local WHERE id = 1 AND length(v) > 1)'), '0', 'nothing was written');

done_testing();
