
-- health: checks with thresholds, and verdicts
--
-- A check is a row of dbutil.health_checks (name, level, unit, thresholds, what
-- it says) and a function dbutil.health_measure_<group>() that returns, for
-- each object it looks at, the check's name and a value; NULL is "unknown".
-- dbutil.health puts both together.  A value at or above warn or critical is
-- worse; where lower is worse the thresholds are in falling order.

CREATE TABLE dbutil.health_checks (
	check_name text PRIMARY KEY,
	level text NOT NULL CHECK (level IN ('quick', 'full')),
	unit text NOT NULL,
	warn numeric,
	critical numeric,
	message text NOT NULL,
	advice text NOT NULL);
COMMENT ON TABLE dbutil.health_checks IS
	'the checks of dbutil.health with their default thresholds in unit; where critical is less than warn, lower is worse. Not to be changed: put your own thresholds into dbutil.health_settings';
GRANT SELECT ON dbutil.health_checks TO PUBLIC;

CREATE TABLE dbutil.health_settings (
	check_name text NOT NULL REFERENCES dbutil.health_checks,
	object_pattern text NOT NULL DEFAULT '%',
	warn numeric,
	critical numeric,
	silenced_until timestamp with time zone,
	reason text,
	PRIMARY KEY (check_name, object_pattern),
	CHECK (silenced_until IS NULL OR reason IS NOT NULL));
COMMENT ON TABLE dbutil.health_settings IS
	'your own thresholds, and findings silenced until a date for a reason, by check and object (object_pattern as in LIKE; the longest that matches counts). A NULL threshold never fires. Dumped by pg_dump';
GRANT SELECT ON dbutil.health_settings TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('dbutil.health_settings', '');

INSERT INTO dbutil.health_checks VALUES
	('connections_used', 'quick', '%', 75, 90, 'client connections in use of max_connections',
	 'Put a pool before the server, or find out who holds connections: dbutil.services and pg_stat_activity tell.'),
	('idle_in_transaction', 'quick', 's', 900, 1800, 'longest session idle in a transaction',
	 'The session holds locks and keeps vacuum from cleaning up: end it, and set idle_in_transaction_session_timeout for its role.'),
	('long_query', 'quick', 's', 1800, 3600, 'longest running statement',
	 'Look at the statement with dbutil.analyze_query; set statement_timeout for its role.'),
	('long_transaction', 'quick', 's', 120, 3600, 'longest open transaction',
	 'A long transaction keeps vacuum from cleaning up in all tables: split it.'),
	('lock_wait', 'quick', 's', 60, 120, 'longest wait for a lock',
	 'pg_blocking_pids(pid) tells who blocks; set lock_timeout for migrations.'),
	('prepared_transactions', 'quick', 's', 1, 30, 'age of the oldest prepared transaction',
	 'COMMIT PREPARED or ROLLBACK PREPARED it: it holds locks and keeps vacuum from cleaning up until then.'),
	('xid_age', 'quick', '%', 50, 80, 'transaction identifiers used before the database must stop writing',
	 'VACUUM FREEZE the oldest tables, and look for what holds them back: long transactions, slots, prepared transactions.'),
	('multixact_age', 'quick', '%', 50, 80, 'multixact identifiers used before the database must stop writing',
	 'VACUUM FREEZE the oldest tables.'),
	('replication_slot', 'quick', 'MB', 10240, 51200, 'WAL that a replication slot keeps',
	 'Bring its consumer back, or drop the slot with pg_drop_replication_slot before the disk is full.'),
	('archiver', 'quick', 's', 300, 3600, 'time for which archiving has been failing',
	 'See the archiver''s messages in the server log; WAL piles up until it works again.'),
	('cache_hit', 'quick', '%', 98, 90, 'reads served from shared_buffers',
	 'Raise shared_buffers, or look in dbutil.statements for those with most shared_blks_read.'),
	('settings_unsafe', 'quick', 'count', 1, 1, 'a setting that guards data or statistics is off',
	 'Turn it on again; without it a crash loses data, or the server goes blind.'),
	('pending_restart', 'quick', 'count', 1, NULL, 'a changed setting waits for a restart',
	 'Restart the server at a quiet time.'),
	('checksum_failures', 'quick', 'count', 1, 1, 'data pages whose checksum was wrong',
	 'Storage is failing: take a backup now, check the disks and restore the pages.'),
	('dbutil_losses', 'quick', 'count', 1, NULL, 'dbutil had to drop statistics',
	 'dbutil.status() names the setting to raise.'),
	('invalid_index', 'full', 'count', 1, NULL, 'an index that is not valid: it costs writes and serves no query',
	 'REINDEX INDEX CONCURRENTLY it, or drop it.'),
	('duplicate_index', 'full', 'count', 1, NULL, 'an index that is the same as another',
	 'Drop one of the two.'),
	('foreign_key_without_index', 'full', 'count', 1, NULL, 'a foreign key whose columns have no index: each delete or key update in the referenced table reads this whole table',
	 'Create an index on the referencing columns.'),
	('no_primary_key', 'full', 'count', 1, NULL, 'a table without primary key or other row identity',
	 'Add a primary key: logical replication and bulk writes need one.'),
	('sequence_exhaustion', 'full', '%', 85, 95, 'values of a sequence that are used up',
	 'Change the column, and the sequence with ALTER SEQUENCE ... AS bigint, before inserts fail.'),
	('dead_tuples', 'full', '%', 20, 50, 'dead rows of a table of more than 10,000',
	 'VACUUM the table; lower autovacuum_vacuum_scale_factor for it.'),
	('disabled_trigger', 'full', 'count', 1, NULL, 'a trigger that is disabled',
	 'ALTER TABLE ... ENABLE TRIGGER, or drop it.'),
	('constraint_not_valid', 'full', 'count', 1, NULL, 'a constraint that existing rows were not checked against',
	 'ALTER TABLE ... VALIDATE CONSTRAINT.');
