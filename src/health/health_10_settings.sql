
-- health: checks with thresholds, and verdicts
--
-- A check is one row of dbutil.health_checks (its name, level, unit, thresholds,
-- what it says) and one query in dbutil.health_measure_<measured_by>(), which
-- returns a row for each object that the check looked at.  A measure never
-- judges: dbutil.health() compares value with the thresholds that hold for the
-- object.  No row at all means that there was nothing to find; a NULL value
-- means that it cannot be known, and is told as unknown, never as ok.
--
-- To add a check: a RETURN QUERY in one of health_2*_*.sql and health_3*_*.sql,
-- a row in the list below, and a test for its firing and for a near miss.
--
-- Rules for measures: they run with the caller's rights, read no user table, and
-- wait for no lock.  So nothing that opens the relation it is asked about
-- (pg_relation_size, pg_get_expr, pg_get_indexdef, pg_partition_tree): any of
-- them would stand behind an ALTER TABLE.  Columns that not every supported
-- version has are read through to_jsonb(row).

CREATE TYPE dbutil.health_measure AS (
	check_name text,
	object_name text,
	value numeric,
	evidence numeric,
	message text,
	suggested_sql text,
	hidden boolean);
COMMENT ON TYPE dbutil.health_measure IS
	'what one check saw of one object: its value (NULL: cannot be known), how much evidence it rests on (NULL: enough), and whether it is a missing privilege that hides the value';

CREATE TABLE dbutil.health_checks (
	check_name text PRIMARY KEY,
	level text NOT NULL CHECK (level IN ('quick', 'full')),
	measured_by text NOT NULL,
	unit text NOT NULL,
	warn numeric,
	critical numeric,
	lower_is_worse boolean NOT NULL DEFAULT false,
	min_evidence numeric,
	evidence_unit text,
	needs text,
	description text NOT NULL,
	advice text NOT NULL);
COMMENT ON TABLE dbutil.health_checks IS
	'the checks of dbutil.health with their default thresholds in unit (NULL: never; lower_is_worse: it is bad to fall to the threshold), the evidence in evidence_unit below which a check is unknown, and what a role needs to see everything. Part of the extension, not to be changed: your own thresholds go into dbutil.health_settings';
GRANT SELECT ON dbutil.health_checks TO PUBLIC;

-- A pattern that ends in a lone backslash makes LIKE raise an error.
CREATE TABLE dbutil.health_settings (
	check_name text NOT NULL REFERENCES dbutil.health_checks,
	object_pattern text NOT NULL DEFAULT '%' CHECK (object_pattern !~ '(^|[^\\])(\\\\)*\\$'),
	warn numeric CHECK (warn <> 'NaN'),
	critical numeric CHECK (critical <> 'NaN'),
	min_evidence numeric CHECK (min_evidence <> 'NaN'),
	enabled boolean NOT NULL DEFAULT true,
	note text,
	PRIMARY KEY (check_name, object_pattern));
COMMENT ON TABLE dbutil.health_settings IS
	'your own thresholds by check and object. object_pattern is compared with object_name by LIKE (% any text, _ any character, \ escapes); of the patterns that match the longest counts. NULL leaves the default, ''infinity'' (where lower is worse ''-infinity'') never fires, enabled = false leaves the object out. All may read it, its owner and superusers write it; GRANT INSERT, UPDATE, DELETE ON it to let another role. Dumped by pg_dump';
GRANT SELECT ON dbutil.health_settings TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('dbutil.health_settings', '');

CREATE TABLE dbutil.health_silences (
	check_name text NOT NULL REFERENCES dbutil.health_checks,
	object_pattern text NOT NULL DEFAULT '%' CHECK (object_pattern !~ '(^|[^\\])(\\\\)*\\$'),
	silenced_until timestamp with time zone NOT NULL,
	reason text NOT NULL CHECK (reason ~ '\S'),
	PRIMARY KEY (check_name, object_pattern));
COMMENT ON TABLE dbutil.health_silences IS
	'findings that do not count until a date, for a reason: dbutil.health still shows them, with silenced true. object_pattern as in dbutil.health_settings. All may read it, its owner and superusers write it; GRANT INSERT, UPDATE, DELETE ON it to let another role. Dumped by pg_dump';
GRANT SELECT ON dbutil.health_silences TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('dbutil.health_silences', '');

INSERT INTO dbutil.health_checks
	(check_name, level, measured_by, unit, warn, critical, needs, description, advice) VALUES

	-- sessions; objects are database/role/application
	('connections_used', 'quick', 'sessions', '%', 75, 90, 'pg_monitor',
	 'connections in use, of those that ordinary roles may have',
	 'Put a pool before the server, or find out who holds connections: pg_stat_activity and dbutil.services tell.'),
	('idle_in_transaction', 'quick', 'sessions', 's', 900, 1800, 'pg_monitor',
	 'time that a session has been idle in a transaction',
	 'It holds locks and keeps vacuum from cleaning up: end it, and set idle_in_transaction_session_timeout for its role.'),
	('long_query', 'quick', 'sessions', 's', 1800, 3600, 'pg_monitor',
	 'time that a statement has been running',
	 'Look at it with dbutil.analyze_query(); set statement_timeout for its role.'),
	('long_transaction', 'quick', 'sessions', 's', 120, 3600, 'pg_monitor',
	 'time that a transaction has been open',
	 'A long transaction keeps vacuum from cleaning up in all tables: split it, and keep work for others out of it. Dumps are best allowed for by a pattern in dbutil.health_settings.'),
	('lock_wait', 'quick', 'sessions', 's', 60, 120, NULL,
	 'time that a session has been waiting for a lock',
	 'End what blocks it, or wait; set lock_timeout for migrations.'),
	('prepared_transactions', 'quick', 'sessions', 's', 1, 30, NULL,
	 'age of a prepared transaction; objects are database/role/identifier',
	 'Ask the transaction manager, then COMMIT PREPARED or ROLLBACK PREPARED it: until then it holds locks and keeps vacuum from cleaning up.'),
	('xmin_horizon', 'quick', 'sessions', 'transactions', 50000000, 150000000, NULL,
	 'transactions since the oldest snapshot that dead rows are kept for, and who holds it',
	 'End that session or prepared transaction, drop that slot, or see why that standby is so far back: until then VACUUM removes nothing younger.'),

	-- the server and its databases
	('xid_age', 'quick', 'server', '%', 50, 80, NULL,
	 'transaction identifiers used, of those after which the server stops writing; by database',
	 'VACUUM (FREEZE) the tables with the oldest relfrozenxid, and look at xmin_horizon for what holds them back.'),
	('multixact_age', 'quick', 'server', '%', 50, 80, NULL,
	 'multixact identifiers used, of those after which the server stops writing; by database',
	 'VACUUM (FREEZE) the tables with the oldest relminmxid, and look for long transactions that lock rows.'),
	('freeze_overdue', 'quick', 'server', '%', 110, 125, NULL,
	 'age of the oldest table, of the age at which autovacuum must freeze it; by database',
	 'Autovacuum does not keep up with freezing: give it more workers or a higher autovacuum_vacuum_cost_limit, and look at xmin_horizon for what holds it back.'),
	('settings_off', 'quick', 'server', 'count', 1, 1, NULL,
	 'fsync or full_page_writes is off: a crash can destroy the database',
	 'Turn it on again. Only a server that can be thrown away, or for full_page_writes a file system that never tears pages, does without.'),
	('autovacuum_off', 'quick', 'server', 'count', 1, NULL, NULL,
	 'autovacuum or track_counts is off: dead rows pile up and planner statistics grow old',
	 'Turn it on again, and tune single tables by their storage parameters instead.'),
	('checksum_failures', 'quick', 'server', 'count', 1, 1, NULL,
	 'data pages whose checksum was wrong; by database',
	 'Storage is failing, or has been: secure a backup first, then check the disks, find the pages with pg_amcheck and restore them.'),
	('lock_table', 'full', 'configuration', '%', 20, 50, NULL,
	 'room of the lock table in use; when it is full, statements fail',
	 'Find the transaction that locks so many objects in pg_locks (a dump, a statement over all partitions), or raise max_locks_per_transaction.'),
	('deadlocks', 'quick', 'rates', '/min', 5, NULL, NULL,
	 'deadlocks in the current database, of late',
	 'Let all transactions lock rows and tables in the same order; the server log and dbutil.statement_errors (40P01) name the statements.'),
	('rollbacks', 'quick', 'rates', '%', 10, NULL, NULL,
	 'transactions of the current database that were rolled back, of late; unknown below a thousand transactions',
	 'dbutil.statement_errors and dbutil.transactions tell which errors, and of which service.'),
	('temp_files', 'quick', 'rates', 'MB/min', 1024, NULL, NULL,
	 'written to temporary files in the current database, of late',
	 'Look in dbutil.statements for those with most temp_blks_written; give them an index or their role more work_mem.'),
	('connection_churn', 'quick', 'rates', '/min', 600, NULL, NULL,
	 'new sessions of the current database, of late',
	 'A session costs a process and milliseconds: let services hold connections in a pool.'),
	('dbutil_losses', 'quick', 'server', 'count', 1, NULL, NULL,
	 'what dbutil had to drop of its own statistics',
	 'dbutil.status() names the setting to raise.'),

	-- replication and archiving
	('replication_slots', 'quick', 'replication', 'MB', 10240, 51200, NULL,
	 'WAL that a replication slot keeps from being removed',
	 'Bring its consumer back, or drop the slot before the disk is full; max_slot_wal_keep_size sets a limit.'),
	('replication_slots_inactive', 'quick', 'replication', 's', 3600, 86400, NULL,
	 'time that nobody has been connected to a replication slot',
	 'Bring its consumer back, or drop the slot: it keeps WAL, and a logical one dead rows of the catalogs too.'),
	('replication_slots_lost', 'quick', 'replication', 'state', 1, 2, NULL,
	 'a replication slot whose WAL is about to be removed (1) or is gone (2)',
	 'Gone: its consumer must be set up anew; drop the slot. About to be: let the consumer catch up at once, or raise max_slot_wal_keep_size.'),
	('replica_lag', 'quick', 'replication', 'MB', 50, 100, 'pg_monitor',
	 'WAL that a standby or subscriber has still to replay, as seen from here; objects are application names',
	 'Look at the standby''s disks, CPU and network, and at queries there that replay waits for.'),
	('replay_delay', 'quick', 'replication', 's', 5, 30, 'pg_monitor',
	 'time for which, at least, received WAL has been waiting to be replayed on this standby, recovery_min_apply_delay not counted; unknown while that may as well be the time the primary was quiet before',
	 'Look at this server''s disks and CPU, at queries that replay waits for, and at the connection to the primary.'),
	('archiver', 'quick', 'replication', 's', 300, 3600, 'pg_monitor',
	 'time that a finished WAL file has been waiting to be archived',
	 'See the archiver''s messages in the server log: archive_command or archive_library fails or hangs, and WAL piles up until it works.'),

	('archiver_backlog', 'quick', 'replication', 'files', 10, 15, 'pg_monitor',
	 'finished WAL files that wait to be archived',
	 'Archiving is slower than the server writes: see what archive_command takes so long for, and compress or archive several files at a time.'),
	('standby_retry_interval', 'quick', 'replication', 'ms', 5000, NULL, NULL,
	 'after how long a standby looks for WAL again when there was none',
	 'It adds to the time that a failover takes: set wal_retrieve_retry_interval to some 200 ms and reload.'),
	('subscription_errors', 'quick', 'replication', 'count', 1, NULL, NULL,
	 'errors of a subscription of the current database since its statistics were reset',
	 'See the server log for the row or table at fault: until it is mended nothing more is applied. Then reset the statistics.'),

	-- configuration
	('pending_restart', 'full', 'configuration', 'count', 1, NULL, 'pg_monitor',
	 'a changed setting that waits for a restart',
	 'Restart the server at a quiet time, or undo the change: at an unplanned restart it would take effect unseen.'),
	('config_file_errors', 'full', 'configuration', 'count', 1, NULL, 'SELECT on pg_file_settings, pg_hba_file_rules and pg_ident_file_mappings',
	 'a line of a configuration file with an error: after a restart the server might not start, or let nobody in',
	 'Mend the line and reload.'),
	('collation_version_drift', 'full', 'configuration', 'count', 1, NULL, NULL,
	 'a collation whose library has changed its version: indexes on texts may be in the wrong order',
	 'REINDEX what is ordered by it, then refresh the version.'),

	-- tables
	('vacuum_overdue', 'full', 'tables', '%', 200, 1000, NULL,
	 'dead rows of a table with more than 10,000 of them, of the number at which autovacuum starts',
	 'VACUUM it. If autovacuum does not come: is it off, or are all workers busy? If the rows stay: look at xmin_horizon.'),
	('dead_rows', 'full', 'tables', '%', 40, NULL, NULL,
	 'dead rows of a table with more than 10,000 of them, of all its rows; by default autovacuum comes at some 17 %',
	 'VACUUM it, and let autovacuum come sooner: a lower autovacuum_vacuum_scale_factor for this table.'),
	('analyze_overdue', 'full', 'tables', '%', 1000, 5000, NULL,
	 'rows changed since the last ANALYZE of a table with more than 10,000 of them, of the number at which autovacuum analyses, after ten times autovacuum_naptime; by default a table just filled stays below',
	 'ANALYZE it: plans rest on old statistics. If autovacuum does not come, it is off, or all its workers are busy.'),
	('vacuum_passes', 'full', 'tables', 'passes', 2, NULL, 'pg_monitor',
	 'how often a VACUUM that runs now has been through the indexes: more than once if what is dead did not fit in memory',
	 'Raise maintenance_work_mem, or autovacuum_work_mem.'),
	('table_bloat', 'full', 'bloat', 'GB', 1, 5, NULL,
	 'free room, as estimated from statistics, in a table of 1 GB or more of which that is more than 70 %',
	 'Measure it with dbutil.measure_bloat(). If it is so, and the table will not fill again: VACUUM FULL at a quiet time (it locks all out), or pg_repack.'),
	('index_bloat', 'full', 'bloat', 'MB', 100, NULL, NULL,
	 'free room, as estimated from statistics, in a btree index of 100 MB or more of which that is more than 80 %',
	 'Measure it with dbutil.measure_bloat(), then build it anew.'),
	('table_without_primary_key', 'full', 'tables', 'rows', 1, NULL, NULL,
	 'rows updated or deleted, since statistics began, in a table without a primary key; tables that only grow stay below',
	 'Add a primary key: without one rows cannot be told apart, and logical replication cannot update them.'),
	('foreign_key_without_index', 'full', 'tables', 'rows', 0, NULL, NULL,
	 'rows of a table whose foreign key no index supports: each delete or key update in the referenced table reads them all',
	 'Create an index that leads with the referencing columns; leave it if rows of the referenced table are never deleted and their keys never change.'),
	('unvalidated_constraints', 'full', 'tables', 'count', 1, NULL, NULL,
	 'a constraint that existing rows were never checked against',
	 'Mend the rows that break it, then validate it: this takes no lock that stops reads or writes.'),
	('disabled_triggers', 'full', 'tables', 'count', 1, NULL, NULL,
	 'a trigger, or the enforcement of a foreign key, that is disabled',
	 'Enable it. For a foreign key look for rows without a partner first: enabling does not check them.'),

	-- indexes
	('invalid_indexes', 'full', 'indexes', 'MB', 0, NULL, NULL,
	 'an index that is not valid: it costs writes and serves no query',
	 'Build it anew, or drop it.'),
	('duplicate_indexes', 'full', 'indexes', 'MB', 0, NULL, NULL,
	 'an index that does nothing that another one does not',
	 'Drop it.'),
	('unused_indexes', 'full', 'indexes', 'MB', 1, NULL, NULL,
	 'an index that almost no query uses (at most 20 scans) and that guards no constraint',
	 'See first that no standby''s queries and no rare job need it, and that it is not new; then drop it.'),

	-- how services use the database
	('unprepared_repetition', 'full', 'practice', '%', 50, NULL, NULL,
	 'time of a service''s statements that went into planning them; unknown without dbutil.track_planning',
	 'Turn on dbutil.plan_cache for its role, or let it prepare statements.'),
	('row_at_a_time_writes', 'full', 'practice', 'statements', 50, NULL, NULL,
	 'statements in each transaction of a service that writes about one row with each',
	 'Write rows in bulk: dbutil.bulk_insert() and its like take them in one call.'),
	('missing_timeouts', 'full', 'practice', 'count', 1, NULL, NULL,
	 'an enrolled service without a limit on the time for which its sessions may idle in a transaction',
	 'Enrol it with such a limit; see dbutil.enroll_service().'),
	('connection_limits', 'full', 'practice', '%', 101, NULL, NULL,
	 'connections that roles with a connection limit may have together, of those that ordinary roles may have',
	 'Make the pools smaller, or put a pooler before the server: if all fill up at once, some get no connection.'),
	('foreign_batch_size', 'full', 'practice', 'count', 1, NULL, NULL,
	 'a postgres_fdw table that can be written and inserts one row a round trip',
	 'Set batch_size for the table or its server, or updatable ''false'' if nothing writes there.'),

	-- sequences
	('sequence_exhaustion', 'full', 'sequences', '%', 85, 95, 'SELECT or USAGE on the sequence',
	 'values used of a sequence, or of the column it feeds if that is narrower',
	 'Widen the column, then the sequence, before inserts fail; widening a column rewrites its table.');

INSERT INTO dbutil.health_checks
	(check_name, level, measured_by, unit, warn, critical, lower_is_worse, min_evidence, evidence_unit,
	 description, advice) VALUES
	('cache_hit', 'quick', 'server', '%', 98, 90, true, 1000000, 'block reads',
	 'block reads of the current database that shared_buffers served',
	 'Raise shared_buffers if memory allows, or look in dbutil.statements for those with most shared_blks_read.'),
	('requested_checkpoints', 'quick', 'server', '%', 50, NULL, false, 20, 'checkpoints',
	 'checkpoints that were asked for, mostly by WAL that reached max_wal_size, of all since statistics were reset',
	 'Raise max_wal_size until checkpoints come by checkpoint_timeout: they write less then.');
UPDATE dbutil.health_checks SET min_evidence = 35, evidence_unit = 'days of statistics'
WHERE check_name = 'unused_indexes';
UPDATE dbutil.health_checks SET min_evidence = 60, evidence_unit = 'seconds' WHERE measured_by = 'rates';
UPDATE dbutil.health_checks SET min_evidence = 10000, evidence_unit = 'statements'
WHERE check_name IN ('unprepared_repetition', 'row_at_a_time_writes');
