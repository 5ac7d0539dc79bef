# bulk: the procedures that commit chunk by chunk: killed at any instant they go
# on exactly; other sessions see, pause, resume and cancel them.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'dbutil'\nautovacuum = off\nrestart_after_crash = on");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION dbutil;
	CREATE TABLE source (id int PRIMARY KEY, v text);
	INSERT INTO source SELECT g * 3, 'v' || g FROM generate_series(1, 6000) g;
	CREATE TABLE inserted (id int, v text);
	CREATE TABLE updated AS SELECT id, v, 0 AS n FROM source;
	ALTER TABLE updated ADD PRIMARY KEY (id);
	CREATE TABLE deleted AS SELECT id, v FROM source;
	ALTER TABLE deleted ADD PRIMARY KEY (id);
	CREATE TABLE archive (LIKE deleted);
	VACUUM ANALYZE});

# A session of psql in the background that runs one statement.
sub in_background
{
	my ($sql) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ],
		'<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(180));

	return { run => $run, out => \$out, err => \$err };
}

# Kill the session that runs the job, at some instant; false: it had ended.
sub kill_job
{
	my ($job) = @_;
	my $pid = $node->safe_psql('postgres', qq(SELECT pid FROM dbutil.bulk_jobs WHERE job = '$job' AND state = 'running'));

	return 0 if $pid eq '';
	usleep(int rand 50_000);
	kill 'KILL', $pid or return 0;
	return 1;
}

my %calls = (
	insert => q(CALL dbutil.bulk_insert_batches('inserted', 'source', job => 'insert', chunk_rows => 50, chunk_target_ms => NULL, pause_ms => 5)),
	update => q(CALL dbutil.bulk_update_batches('updated', 'n = n + 1', job => 'update', chunk_rows => 50, chunk_target_ms => NULL, pause_ms => 5)),
	delete => q(CALL dbutil.bulk_delete_batches('deleted', 'true', job => 'delete', archive_to => 'archive', chunk_rows => 50, chunk_target_ms => NULL, pause_ms => 5)));
# First at the worst of all: the chunk is written, the row of the job as well,
# and nothing is committed.
$node->safe_psql('postgres', q{CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', 'kill -9 ' || pg_backend_pid());
	PERFORM pg_sleep(60);
	RETURN NULL; END $$});
my %done = (insert => 'SELECT count(*) FROM inserted', update => 'SELECT sum(n) FROM updated', delete => 'SELECT count(*) FROM archive');
foreach my $op (sort keys %calls)
{
	my $kills = 0;

	$node->safe_psql('postgres', q(CREATE TRIGGER die AFTER UPDATE ON dbutil.bulk_job_rows FOR EACH ROW WHEN (NEW.rows_in = 500) EXECUTE FUNCTION die()));
	in_background($calls{$op})->{run}->finish;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'no recovery';
	$node->safe_psql('postgres', q(DROP TRIGGER die ON dbutil.bulk_job_rows));
	is($node->safe_psql('postgres', qq(SELECT state, rows_in, ($done{$op}) FROM dbutil.bulk_jobs WHERE job = '$op')),
		'interrupted|450|450', "$op: what is done is what the job says");

	foreach my $try (1 .. 6)
	{
		my $psql = in_background($calls{$op});
		my $deadline = time() + 60;
		my $before = $node->safe_psql('postgres', qq(SELECT coalesce(max(rows_in), 0) FROM dbutil.bulk_jobs WHERE job = '$op'));

		# let it do something new first
		while (time() < $deadline)
		{
			last if $node->safe_psql('postgres', qq(SELECT count(*) FROM dbutil.bulk_jobs WHERE job = '$op'
				AND (rows_in > $before OR state = 'complete')));
			usleep(5_000);
		}
		my $killed = kill_job($op);
		$kills += $killed;
		$psql->{run}->finish;
		$node->poll_query_until('postgres', 'SELECT 1', '1') if $killed;
		last unless $killed;
		$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'no recovery';
	}
	cmp_ok($kills, '>', 0, "$op was killed at least once");
	$node->safe_psql('postgres', $calls{$op});
	is($node->safe_psql('postgres', qq(SELECT state, rows_in, chunks FROM dbutil.bulk_jobs WHERE job = '$op')),
		'complete|6000|120', "$op: no chunk was lost or done twice");
}
is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT i.id), sum((i.v = s.v)::int) FROM inserted i JOIN source s USING (id)}),
	'6000|6000|6000', 'inserted is the source, each row once');
is($node->safe_psql('postgres', q{SELECT count(*), min(n), max(n) FROM updated}), '6000|1|1', 'each row was updated once');
is($node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM deleted), count(*), count(DISTINCT id) FROM archive}),
	'0|6000|6000', 'each row was deleted and archived once');

# ---------- seen, paused, resumed and cancelled ----------

sub wait_for
{
	my ($state, $job) = @_;

	return $node->poll_query_until('postgres', qq(SELECT state = '$state' FROM dbutil.bulk_jobs WHERE job = '$job'));
}

$node->safe_psql('postgres', 'TRUNCATE inserted');
my $call = q(CALL dbutil.bulk_insert_batches('inserted', 'source', job => 'slow', chunk_rows => 100, chunk_target_ms => NULL, pause_ms => 20));
my $psql = in_background($call);
$node->poll_query_until('postgres', q(SELECT rows_done > 0 FROM dbutil.bulk_progress WHERE job = 'slow')) or die;
is($node->safe_psql('postgres', q(SELECT state, op, target, rows_done + rows_left = rows_expected, rows_per_s > 0, seconds_left >= 0
	FROM dbutil.bulk_progress WHERE job = 'slow')), 'running|insert|public.inserted|t|t|t', 'its progress is seen from another session');
$node->safe_psql('postgres', q(SELECT dbutil.bulk_pause('slow')));
ok(wait_for('paused', 'slow'), 'it pauses');
is($node->safe_psql('postgres', q(SELECT waiting_on FROM dbutil.bulk_progress WHERE job = 'slow')), 'resume', 'and says for what it waits');
is($node->safe_psql('postgres', q(SELECT backend_xid IS NULL AND backend_xmin IS NULL FROM pg_stat_activity
	WHERE pid = (SELECT pid FROM dbutil.bulk_jobs WHERE job = 'slow'))), 't', 'without a snapshot');
my ($rc, $out, $err) = $node->psql('postgres', $call);
like($err, qr/job "slow" is being run by another session/, 'a second session cannot run it');
(undef, undef, $err) = $node->psql('postgres', q(SELECT dbutil.bulk_forget('slow')));
like($err, qr/is being run by another session/, 'nor remove it');
$node->safe_psql('postgres', q(SELECT dbutil.bulk_resume('slow')));
ok(wait_for('running', 'slow'), 'it goes on');
$node->safe_psql('postgres', q(SELECT dbutil.bulk_cancel('slow')));
$psql->{run}->finish;
like(${ $psql->{out} }, qr/^\(slow,insert,.*,f\)$/m, 'cancelled, its call answers with complete = false');
is($node->safe_psql('postgres', q(SELECT state, rows_in = (SELECT count(*) FROM inserted) FROM dbutil.bulk_jobs WHERE job = 'slow')),
	'cancelled|t', 'and what is committed stays');
# a statement that is cancelled leaves a job that goes on as well
$psql = in_background($call);
ok(wait_for('running', 'slow'), 'called again it runs');
$node->safe_psql('postgres', q(SELECT pg_cancel_backend(pid) FROM dbutil.bulk_jobs WHERE job = 'slow'));
$psql->{run}->finish;
like(${ $psql->{err} }, qr/canceling statement due to user request/, 'a cancel request ends it');
$node->safe_psql('postgres', $call);
is($node->safe_psql('postgres', q(SELECT count(*), count(DISTINCT id) FROM inserted)), '6000|6000', 'and it goes on exactly');

# ---------- locks, deadlocks, DDL between chunks ----------

my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN');
$holder->query_safe('UPDATE updated SET v = v WHERE id = 600');
$psql = in_background(q(CALL dbutil.bulk_update_batches('updated', 'n = n + 1', job => 'locks', chunk_rows => 1000, chunk_target_ms => NULL, lock_timeout_ms => 20, max_retries => 1000)));
$node->poll_query_until('postgres', q(SELECT query LIKE '%locks%' AND wait_event_type = 'Lock' FROM pg_stat_activity
	WHERE pid = (SELECT pid FROM dbutil.bulk_jobs WHERE job = 'locks'))) or die;
usleep(300_000);
$holder->query_safe('COMMIT');
$psql->{run}->finish;
is($node->safe_psql('postgres', q(SELECT state, rows_in, retries > 0, chunk_rows < 1000 FROM dbutil.bulk_jobs WHERE job = 'locks')),
	'complete|6000|t|t', 'a lock timeout makes the chunk smaller and is tried again');
is($node->safe_psql('postgres', q(SELECT min(n), max(n) FROM updated)), '2|2', 'each row was updated once');
$holder->query_safe('BEGIN');
$holder->query_safe('UPDATE updated SET v = v WHERE id = 600');
like($node->safe_psql('postgres', q(CALL dbutil.bulk_update_batches('updated', 'n = n + 1', 'id <= 900', locked => 'skip'))),
	qr/,300,0,299,0,0,1,0,/, 'rows that are locked are passed over');
(undef, undef, $err) = $node->psql('postgres', q(CALL dbutil.bulk_update_batches('updated', 'n = n + 1', 'id <= 900', job => 'fails', locked => 'error', max_retries => 2)));
like($err, qr/could not obtain lock on row/, 'or the call fails in the end');
is($node->safe_psql('postgres', q(SELECT state, retries, last_error FROM dbutil.bulk_jobs WHERE job = 'fails')),
	'failed|2|could not obtain lock on row in relation "updated"', 'and its job says so');
$holder->query_safe('ROLLBACK');
$holder->quit;

$psql = in_background(q(CALL dbutil.bulk_update_batches('updated', 'n = n + 1', job => 'ddl', chunk_rows => 100, chunk_target_ms => NULL, pause_ms => 10)));
$node->poll_query_until('postgres', q(SELECT rows_done > 0 FROM dbutil.bulk_progress WHERE job = 'ddl')) or die;
$node->safe_psql('postgres', 'ALTER TABLE updated ADD COLUMN more int DEFAULT 1, DROP COLUMN v');
$psql->{run}->finish;
is($node->safe_psql('postgres', q(SELECT state, updated FROM dbutil.bulk_jobs WHERE job = 'ddl')), 'complete|6000', 'DDL between chunks');

# ---------- memory, identifiers ----------

# Most that the server process of a job ever had, in kB, beside shared memory.
$node->safe_psql('postgres', q{CREATE TABLE big (id int PRIMARY KEY, v text);
	INSERT INTO big SELECT g, repeat('x', 50) FROM generate_series(1, 200000) g;
	CREATE TABLE big2 (LIKE big)});
my $session = $node->background_psql('postgres');
my $context = q{(SELECT sum(total_bytes) FROM pg_backend_memory_contexts)};
$session->query_safe(q(CALL dbutil.bulk_insert_batches('big2', 'big', where_clause => 'id <= 20000', chunk_rows => 1000, chunk_target_ms => NULL)));
$session->query_safe(q{CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	PERFORM set_config('test.held', greatest(current_setting('test.held', true)::bigint,
		(SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts))::text, false);
	RETURN NULL; END $$;
	CREATE TRIGGER held AFTER INSERT ON big2 FOR EACH STATEMENT EXECUTE FUNCTION held()});
$session->query_safe(q(CALL dbutil.bulk_insert_batches('big2', 'big', where_clause => 'id <= 20000', chunk_rows => 1000, chunk_target_ms => NULL)));
my $short = $session->query_safe(q(SELECT current_setting('test.held')));
$session->query_safe(q(CALL dbutil.bulk_insert_batches('big2', 'big', chunk_rows => 1000, chunk_target_ms => NULL)));
my $long = $session->query_safe(q(SELECT current_setting('test.held')));
cmp_ok($long, '<', $short + 300_000, "ten times the chunks take no more memory ($short, $long bytes)");
$session->quit;

# Judging takes no identifiers: two of the call, however many rows are bad.
sub identifiers
{
	my ($sql) = @_;
	my ($before, $after) = split /\n/, $node->safe_psql('postgres', "SELECT pg_current_xact_id();\nDO \$\$ BEGIN $sql; END \$\$;\nSELECT pg_current_xact_id()");

	return $after - $before - 1;
}
$node->safe_psql('postgres', q{CREATE TABLE j (id int PRIMARY KEY, k int UNIQUE, c int CHECK (c > 0), n int NOT NULL, p int REFERENCES source);
	CREATE TYPE jrow AS (id numeric, k int, c int, n int, p int)});
my $rows = q{(SELECT array_agg(ROW(CASE WHEN g % 10 = 1 THEN 1e10 ELSE g END, CASE WHEN g % 10 = 2 THEN 2 ELSE g END, CASE WHEN g % 10 = 3 THEN 0 ELSE 1 END,
	CASE WHEN g % 10 <> 4 THEN 1 END, CASE WHEN g % 10 = 5 THEN 1 ELSE 3 END)::jrow) FROM generate_series(1, 2000) g)};
is(identifiers("PERFORM dbutil.bulk_insert('j', $rows, on_error => 'reject')"), 3,
	'a chunk with 999 bad rows: one transaction and two subtransactions');
is($node->safe_psql('postgres', 'SELECT count(*) FROM j'), '1001', 'the good rows are there');

# ---------- progress and metrics of calls ----------

$node->safe_psql('postgres', q{CREATE TABLE slow (id int PRIMARY KEY);
	CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END $$;
	CREATE TRIGGER hold BEFORE INSERT ON slow FOR EACH ROW WHEN (NEW.id = 25) EXECUTE FUNCTION hold();
	SELECT dbutil.bulk_metrics_reset()});
$holder = $node->background_psql('postgres');
$holder->query_safe('SELECT pg_advisory_lock(7)');
$psql = in_background(q(SET dbutil.service = 'shop'; SELECT inserted FROM dbutil.bulk_insert('slow', (SELECT array_agg(g) FROM generate_series(1, 30) g), columns => '{id}', chunk_rows => 10)));
$node->poll_query_until('postgres', q(SELECT count(*) = 1 FROM dbutil.bulk_progress WHERE waiting_on = 'Lock: advisory')) or die;
is($node->safe_psql('postgres', q(SELECT job IS NULL, op, target, state, chunk, rows_done, rows_expected, rows_left FROM dbutil.bulk_progress WHERE target = 'slow')),
	't|insert|slow|running|2|20|30|10', 'a call is seen while it runs, and for what it waits');
$holder->query_safe('SELECT pg_advisory_unlock(7)');
$holder->quit;
$psql->{run}->finish;
(undef, undef, $err) = $node->psql('postgres', q(SELECT dbutil.bulk_insert('slow', '[{"id": 1}]')));
like($err, qr/duplicate key/, 'a call that fails');
is($node->safe_psql('postgres', q(SELECT count(*) FROM dbutil.bulk_running())), '0', 'is not seen any more');
$node->safe_psql('postgres', q(SET dbutil.service = 'shop'; CALL dbutil.bulk_delete_batches('slow', 'id > 10', chunk_rows => 5, chunk_target_ms => NULL)));
is($node->safe_psql('postgres', q(SELECT service, target, op, calls, rows_in, inserted, deleted, chunks FROM dbutil.bulk_metrics ORDER BY op)),
	"shop|slow|delete|4|20|0|20|4\nshop|slow|insert|1|30|30|0|3", 'metrics by service, table and operation');
like($node->safe_psql('postgres', q(SELECT state, item_value FROM dbutil.status() WHERE item = 'bulk metrics')), qr/^ok\|2 of /, 'and in status()');

$node->stop;
done_testing();
