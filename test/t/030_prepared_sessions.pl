# Prepared statements over sessions and servers: any session executes them at
# once, metrics are the sum over sessions, a session that ends lets go of its
# plans, a replaced statement is picked up by sessions that are at work and by a
# standby, memory stays flat; and a dump restores the definitions with their
# owners.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'dbutil'
dbutil.prepared_max = 10
});
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', q{
CREATE EXTENSION dbutil;
CREATE ROLE "Team one";
CREATE ROLE leaver;
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 1000) g;
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('good', 'bad');
GRANT SELECT ON t TO PUBLIC;
SELECT dbutil.prepare_statement('get', 'SELECT v FROM t WHERE id = :id');
});

sub metrics
{
	my ($name) = @_;
	return $node->safe_psql('source', "SELECT calls, rows, backends FROM dbutil.prepared_statements WHERE name = '$name'");
}

# --- sessions
my $get = 'SELECT v FROM dbutil.execute_prepared_statement(%s) AS (v text)';
my @session = map { $node->background_psql('source', on_error_stop => 0) } 1 .. 3;
for my $i (0 .. 2)
{
	is($session[$i]->query(sprintf($get, "'get', " . ($i + 1))), 'v' . ($i + 1), "session $i executes it at once");
}
is(metrics('get'), '3|3|3', 'three calls in three sessions');
$session[0]->query(sprintf($get, "'get', 7")) for 1 .. 5;
is(metrics('get'), '8|8|3', 'more calls in one of them');

# a session that ends lets go, whatever its end is
my $pid = $session[1]->query('SELECT pg_backend_pid()');
$session[2]->quit;
$node->poll_query_until('source', q{SELECT backends = 2 FROM dbutil.prepared_statements WHERE name = 'get'})
  or die 'the session that left still holds the plan';
$node->safe_psql('source', "SELECT pg_terminate_backend($pid)");
ok($node->poll_query_until('source', q{SELECT backends = 1 FROM dbutil.prepared_statements WHERE name = 'get'}),
	'sessions that ended hold no plan');
eval { $session[1]->quit };

# through reconnects, as behind a transaction pooler: each transaction another session
$node->safe_psql('source', sprintf($get, "'get', $_")) for 1 .. 5;
is(metrics('get'), '13|13|1', 'calls of sessions that came and went are kept');

# replaced: the next call of the session at work is the new one, its metrics begin anew
$node->safe_psql('source', q{SELECT dbutil.prepare_statement('get', 'SELECT upper(v) FROM t WHERE id = $1', replace => true)});
is($session[0]->query(sprintf($get, "'get', 7")), 'V7', 'the new one is executed');
is(metrics('get'), '1|1|1', 'with metrics of its own');

# evicted by a session: it holds the plan no more
$session[0]->query('SET dbutil.prepared_max_plans = 1');
$node->safe_psql('source', q{SELECT dbutil.prepare_statement('other', 'SELECT v FROM t WHERE id = $1')});
$session[0]->query(sprintf($get, "'other', 7"));
is(metrics('get'), '1|1|0', 'a plan that gave way is held by nobody');
is(metrics('other'), '1|1|1', 'the one in its place is');
$session[0]->query('RESET dbutil.prepared_max_plans');

# errors of a session are told by its next call
$session[0]->query(sprintf($get, "'other', 'x'"));
$node->safe_psql('source', q{SELECT dbutil.prepare_statement('fails', 'SELECT v FROM t WHERE id = 1 / $1')});
$session[0]->query(sprintf($get, "'fails', 0")) for 1 .. 3;
$session[0]->query(sprintf($get, "'fails', 1"));
is($node->safe_psql('source', q{SELECT calls, errors FROM dbutil.prepared_statements WHERE name = 'fails'}),
	'1|3', 'failed executions are counted');

# more statements than there is room for: metrics are lost, and it is said
$node->safe_psql('source', join '', map {
	"SELECT dbutil.prepare_statement('many$_', 'SELECT v FROM t WHERE id = \$1');\n" } 1 .. 20);
$session[0]->query(sprintf($get, "'many$_', 1")) for 1 .. 20;
is($node->safe_psql('source', q{SELECT count(*) FROM dbutil.prepared_statements WHERE backends > 0}), '10',
	'no more than dbutil.prepared_max are told apart');
like($node->safe_psql('source', q{SELECT state, item_value FROM dbutil.status() WHERE item ~ 'prepared'}),
	qr/^warn\|[1-9]/, 'what was lost is counted');
$node->safe_psql('source', q{SELECT dbutil.deallocate_statement('many' || g) FROM generate_series(1, 20) g});

# but those of statements that are gone give way without a loss
my $lost = $node->safe_psql('source', q{SELECT item_value FROM dbutil.status() WHERE item ~ 'prepared'});
for my $round (1 .. 30)
{
	$node->safe_psql('source', qq{SELECT dbutil.prepare_statement('swap', 'SELECT $round', replace => true);
		SELECT * FROM dbutil.execute_prepared_statement('swap') AS (n int)});
}
cmp_ok($node->safe_psql('source', q{SELECT item_value FROM dbutil.status() WHERE item ~ 'prepared'}), '<=', $lost + 3,
	'replacing is no loss');
$node->safe_psql('source', q{SELECT dbutil.deallocate_statement('swap')});
$session[0]->query(sprintf($get, "'get', 1"));
$session[0]->quit;
is($node->safe_psql('source', q{SELECT sum(backends) FROM dbutil.prepared_statements}), '0',
	'nobody is left who holds a plan');

# --- clients at work while a statement is replaced: each call is one or the other
my $script = "$PostgreSQL::Test::Utils::tmp_check/get.sql";
append_to_file($script, qq{\\set id random(1, 1000)
SELECT v FROM dbutil.execute_prepared_statement('get', :id) AS (v text);
});
my $replace = "$PostgreSQL::Test::Utils::tmp_check/replace.sql";
append_to_file($replace, q{SELECT dbutil.prepare_statement('get', 'SELECT v FROM t WHERE id = $1 AND ''' || random() || ''' <> v', replace => true);
});
$node->command_ok([ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 400, '-f', "$script\@9", '-f', "$replace\@1",
	$node->connstr('source') ], 'statements are replaced under load');
is($node->safe_psql('source', q{SELECT count(*) FROM dbutil.prepared_statements WHERE name = 'get'}), '1',
	'and there is one of that name');

# --- memory: many calls, errors and replacements leave nothing behind
my $worker = $node->background_psql('source');
$pid = $worker->query('SELECT pg_backend_pid()');

sub private_kb
{
	my $kb = 0;
	for (split /\n/, slurp_file("/proc/$pid/smaps_rollup"))
	{
		$kb += $1 if /^Private_Dirty:\s+(\d+)/;
	}
	return $kb;
}

sub work
{
	my ($calls) = @_;
	$worker->query(qq{DO \$\$ BEGIN
	FOR i IN 1..$calls LOOP
		PERFORM * FROM dbutil.execute_prepared_statement('get', i::bigint % 1000) AS (v text);
		PERFORM * FROM dbutil.execute_prepared_statement_json('get', jsonb_build_array(i % 1000));
		IF i % 100 = 0 THEN
			PERFORM dbutil.prepare_statement('swap', 'SELECT ' || i, replace => true);
			PERFORM * FROM dbutil.execute_prepared_statement('swap') AS (n int);
			BEGIN
				PERFORM * FROM dbutil.execute_prepared_statement('fails', 0) AS (v text);
			EXCEPTION WHEN division_by_zero THEN
			END;
		END IF;
	END LOOP;
END \$\$});
}
work(3000);
my $before = private_kb();
work(10000);
my $grown = private_kb() - $before;
cmp_ok($grown, '<', 1000, "20000 calls: memory has grown by $grown kB");
$worker->quit;

# --- a standby executes, and hears of what is replaced
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->safe_psql('source', q{SELECT dbutil.prepare_statement('far', 'SELECT ''old''::text', replace => true)});
$node->wait_for_catchup($standby);
my $reader = $standby->background_psql('source', on_error_stop => 0);
is($reader->query(sprintf($get, "'far'")), 'old', 'a standby executes');
$node->safe_psql('source', q{SELECT dbutil.prepare_statement('far', 'SELECT ''new''::text', replace => true)});
$node->wait_for_catchup($standby);
is($reader->query(sprintf($get, "'far'")), 'new', 'a session of it picks up what is replaced');
is($standby->safe_psql('source', q{SELECT calls, backends FROM dbutil.prepared_statements WHERE name = 'far'}), '1|1',
	'with metrics of its own');
my ($ret, $stdout, $stderr) = $standby->psql('source', q{SELECT dbutil.prepare_statement('x', 'SELECT 1')});
like($stderr, qr/cannot execute dbutil\.prepare_statement\(\) in a read-only transaction/, 'and prepares nothing');
$reader->quit;
$standby->stop;

# --- dump and restore
$node->safe_psql('source', q{
SELECT dbutil.prepare_statement('typed', 'SELECT :mood AS mood, ''it''''s; \ é''::text AS t', '{app.mood}', service => 'quotes');
SET ROLE "Team one";
SELECT dbutil.prepare_statement('team', 'SELECT current_user::text');
SET ROLE leaver;
SELECT dbutil.prepare_statement('orphan', 'SELECT 1');
RESET ROLE;
DROP ROLE leaver;
});
my $definitions = q{SELECT d FROM dbutil.prepared_definitions AS d ORDER BY service, name};
my $file = "$PostgreSQL::Test::Utils::tmp_check/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr('source') ], 'dumped');
my $dump = slurp_file($file);
like($dump, qr/^COPY dbutil\.prepared_definitions /m, 'definitions are in the dump');
unlike($dump, qr/CREATE TRIGGER/, 'their trigger comes with the extension');
$node->safe_psql('postgres', 'CREATE DATABASE target');

# a session that has noted that there is no such statement
$node->safe_psql('target', 'CREATE EXTENSION dbutil');
my $early = $node->background_psql('target', on_error_stop => 0);
unlike($early->query(q{SELECT * FROM dbutil.execute_prepared_statement_json('team')}), qr/Team/, 'not there yet');
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-q', '-f', $file, $node->connstr('target') ], 'restored');
is($node->safe_psql('target', $definitions), $node->safe_psql('source', $definitions), 'the same definitions');
is($early->query(q{SET ROLE "Team one"; SELECT * FROM dbutil.execute_prepared_statement_json('team')}),
	'{"current_user": "Team one"}', 'a session that had missed it finds it');
$early->quit;
is($node->safe_psql('target', q{SELECT name, owner, may_execute FROM dbutil.prepared_statements
	WHERE owner <> current_user ORDER BY name}),
	"orphan|leaver|f\nteam|Team one|f", 'owners are restored by name');
is($node->safe_psql('target', q{SET dbutil.service = 'quotes';
	SELECT * FROM dbutil.execute_prepared_statement_json('typed', '{"mood": "good"}')}),
	'{"t": "it\'s; \\\\ é", "mood": "good"}', 'with types and texts');
is($node->safe_psql('target', q{SELECT v FROM dbutil.execute_prepared_statement('get', 3) AS (v text)}), 'v3', 'and they run');
is($node->safe_psql('target', q{SELECT calls FROM dbutil.prepared_statements WHERE name = 'get'}), '1',
	'metrics are those of this database');
$node->safe_psql('target', q{BEGIN; SELECT dbutil.prepare_statement('get', 'SELECT 1', replace => true);
	DROP EXTENSION dbutil; COMMIT});
is($node->safe_psql('target', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'dbutil'}), '0', 'dropped whole');
$node->stop;

# --- without preload: all but metrics
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->adjust_conf('postgresql.conf', 'dbutil.prepared_max', undef);
$node->start;
is($node->safe_psql('source', q{
SELECT v FROM dbutil.execute_prepared_statement('get', 3) AS (v text);
SELECT statement IS NOT NULL, calls, p50_exec_time, backends, stats_since FROM dbutil.prepared_statements WHERE name = 'get';
SELECT state FROM dbutil.status() WHERE item ~ 'prepared';
}), "v3\nt||||\noff", 'without preload statements are executed, metrics are NULL');
$node->stop;

done_testing();
