
-- track: history

CREATE TABLE dbutil.history_snapshots (
	snapshot bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	since timestamp with time zone,
	taken_at timestamp with time zone NOT NULL,
	server_started timestamp with time zone NOT NULL,
	calls_dropped bigint NOT NULL,
	dropped_total bigint NOT NULL,
	dropped_since timestamp with time zone NOT NULL);
CREATE INDEX history_snapshots_taken_at ON dbutil.history_snapshots (taken_at);
COMMENT ON TABLE dbutil.history_snapshots IS
	'snapshots of the counters that are kept: what was counted from since to taken_at (since NULL: the first one, where counting begins), the start of the server, the calls that tracking dropped in between; dropped_total and dropped_since are for the next one';
COMMENT ON SEQUENCE dbutil.history_snapshots_snapshot_seq IS 'numbers of snapshots';
GRANT SELECT ON dbutil.history_snapshots TO PUBLIC;

CREATE TABLE dbutil.history_statements (
	snapshot bigint NOT NULL,
	service text NOT NULL, dbid oid NOT NULL, userid oid NOT NULL, toplevel boolean NOT NULL,
	queryid bigint NOT NULL, operation text NOT NULL,
	calls bigint NOT NULL, errors bigint NOT NULL, rows bigint NOT NULL,
	total_exec_time double precision NOT NULL, total_plan_time double precision NOT NULL,
	shared_blks_hit bigint NOT NULL, shared_blks_read bigint NOT NULL,
	temp_blks_written bigint NOT NULL, wal_bytes numeric NOT NULL);
CREATE INDEX history_statements_snapshot ON dbutil.history_statements (snapshot);
REVOKE ALL ON dbutil.history_statements FROM PUBLIC;
COMMENT ON TABLE dbutil.history_statements IS
	'what each statement added to its counters up to a snapshot, for those that did; to be read through dbutil.history';

CREATE TABLE dbutil.history_last (
	service text NOT NULL, dbid oid NOT NULL, userid oid NOT NULL, toplevel boolean NOT NULL,
	queryid bigint NOT NULL, stats_since timestamp with time zone NOT NULL,
	calls bigint NOT NULL, errors bigint NOT NULL, rows bigint NOT NULL,
	total_exec_time double precision NOT NULL, total_plan_time double precision NOT NULL,
	shared_blks_hit bigint NOT NULL, shared_blks_read bigint NOT NULL,
	temp_blks_written bigint NOT NULL, wal_bytes numeric NOT NULL,
	PRIMARY KEY (queryid, service, dbid, userid, toplevel));
REVOKE ALL ON dbutil.history_last FROM PUBLIC;
COMMENT ON TABLE dbutil.history_last IS
	'the counters as the last snapshot saw them, for the next one';

CREATE TABLE dbutil.history_texts (
	dbid oid NOT NULL, queryid bigint NOT NULL, query text NOT NULL,
	PRIMARY KEY (queryid, dbid));
REVOKE ALL ON dbutil.history_texts FROM PUBLIC;
COMMENT ON TABLE dbutil.history_texts IS
	'texts of the statements in dbutil.history, which may be gone from dbutil.statements';

CREATE FUNCTION dbutil.history_take() RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	this bigint;
	info record;
	before_at timestamp with time zone;
	before_dropped bigint;
	before_since timestamp with time zone;
	oldest timestamp with time zone;
	at timestamp with time zone;
BEGIN
	LOCK TABLE dbutil.history_last IN SHARE ROW EXCLUSIVE MODE;
	SELECT s.taken_at, s.dropped_total, s.dropped_since INTO before_at, before_dropped, before_since
	FROM dbutil.history_snapshots AS s ORDER BY s.snapshot DESC LIMIT 1;
	-- before the counters are read: what is new at the next snapshot is newer than this
	at := greatest(clock_timestamp(), before_at);
	SELECT * INTO info FROM dbutil.track_info();
	INSERT INTO dbutil.history_snapshots
		(since, taken_at, server_started, calls_dropped, dropped_total, dropped_since)
	VALUES (before_at, at, pg_postmaster_start_time(),
			CASE WHEN before_at IS NULL THEN 0
				 WHEN before_since = info.stats_since THEN greatest(info.calls_dropped - before_dropped, 0)
				 ELSE info.calls_dropped END,
			info.calls_dropped, info.stats_since)
	RETURNING snapshot INTO this;

	-- A counter that has the same stats_since as at the last snapshot goes on from there; one that is
	-- newer than that snapshot began at 0. Any other was restored from before it: what it had then was
	-- counted already, so it is only where the next snapshot begins.
	WITH seen AS MATERIALIZED (
		SELECT * FROM dbutil.statements(false) AS x WHERE x.queryid IS NOT NULL),
	grown AS (
		SELECT n.*, l.stats_since = n.stats_since AS goes_on,
			   l.calls AS l_calls, l.errors AS l_errors, l.rows AS l_rows, l.total_exec_time AS l_exec,
			   l.total_plan_time AS l_plan, l.shared_blks_hit AS l_hit, l.shared_blks_read AS l_read,
			   l.temp_blks_written AS l_temp, l.wal_bytes AS l_wal
		FROM seen AS n
		LEFT JOIN dbutil.history_last AS l USING (queryid, service, dbid, userid, toplevel)
		WHERE l.stats_since IS DISTINCT FROM n.stats_since OR l.calls <> n.calls OR l.errors <> n.errors),
	added AS (
		INSERT INTO dbutil.history_statements
		SELECT this, g.service, g.dbid, g.userid, g.toplevel, g.queryid, g.operation,
			   g.calls - CASE WHEN goes_on THEN l_calls ELSE 0 END,
			   g.errors - CASE WHEN goes_on THEN l_errors ELSE 0 END,
			   g.rows - CASE WHEN goes_on THEN l_rows ELSE 0 END,
			   greatest(g.total_exec_time - CASE WHEN goes_on THEN l_exec ELSE 0 END, 0),
			   greatest(g.total_plan_time - CASE WHEN goes_on THEN l_plan ELSE 0 END, 0),
			   g.shared_blks_hit - CASE WHEN goes_on THEN l_hit ELSE 0 END,
			   g.shared_blks_read - CASE WHEN goes_on THEN l_read ELSE 0 END,
			   g.temp_blks_written - CASE WHEN goes_on THEN l_temp ELSE 0 END,
			   g.wal_bytes - CASE WHEN goes_on THEN l_wal ELSE 0 END
		FROM grown AS g
		WHERE CASE WHEN goes_on THEN g.calls >= l_calls AND g.errors >= l_errors
				   ELSE g.stats_since >= before_at END
		  AND g.calls + g.errors > CASE WHEN goes_on THEN l_calls + l_errors ELSE 0 END),
	gone AS (
		DELETE FROM dbutil.history_last AS l
		WHERE NOT EXISTS (SELECT FROM seen AS n
						  WHERE n.queryid = l.queryid AND n.service = l.service AND n.dbid = l.dbid
							AND n.userid = l.userid AND n.toplevel = l.toplevel))
	INSERT INTO dbutil.history_last AS l
	SELECT g.service, g.dbid, g.userid, g.toplevel, g.queryid, g.stats_since, g.calls, g.errors, g.rows,
		   g.total_exec_time, g.total_plan_time, g.shared_blks_hit, g.shared_blks_read,
		   g.temp_blks_written, g.wal_bytes
	FROM grown AS g
	ON CONFLICT (queryid, service, dbid, userid, toplevel) DO UPDATE
	SET (stats_since, calls, errors, rows, total_exec_time, total_plan_time, shared_blks_hit,
		 shared_blks_read, temp_blks_written, wal_bytes) =
		(excluded.stats_since, excluded.calls, excluded.errors, excluded.rows, excluded.total_exec_time,
		 excluded.total_plan_time, excluded.shared_blks_hit, excluded.shared_blks_read,
		 excluded.temp_blks_written, excluded.wal_bytes);

	-- texts cost more to read than counters
	IF EXISTS (SELECT FROM dbutil.history_statements AS h
			   WHERE h.snapshot = this AND NOT EXISTS
				   (SELECT FROM dbutil.history_texts AS t WHERE t.queryid = h.queryid AND t.dbid = h.dbid)) THEN
		INSERT INTO dbutil.history_texts
		SELECT DISTINCT ON (x.queryid, x.dbid) x.dbid, x.queryid, x.query
		FROM dbutil.statements(true) AS x
		JOIN dbutil.history_statements AS h ON h.snapshot = this AND h.queryid = x.queryid AND h.dbid = x.dbid
		WHERE x.query IS NOT NULL
		ON CONFLICT DO NOTHING;
	END IF;

	SELECT at - s.setting::integer * interval '1 minute' INTO oldest
	FROM pg_settings AS s WHERE s.name = 'dbutil.track_history_retention';
	DELETE FROM dbutil.history_snapshots AS s WHERE s.taken_at < oldest;
	IF FOUND THEN
		DELETE FROM dbutil.history_statements AS h
		WHERE NOT EXISTS (SELECT FROM dbutil.history_snapshots AS s WHERE s.snapshot = h.snapshot);
		DELETE FROM dbutil.history_texts AS t
		WHERE NOT EXISTS (SELECT FROM dbutil.history_statements AS h
						  WHERE h.queryid = t.queryid AND h.dbid = t.dbid);
	END IF;
	RETURN this;
END $$;
REVOKE EXECUTE ON FUNCTION dbutil.history_take() FROM PUBLIC;
COMMENT ON FUNCTION dbutil.history_take() IS
	'write a snapshot of the counters into the current database, and delete those older than dbutil.track_history_retention; returns its number. Called at each dbutil.track_history_interval in dbutil.track_history_database; may be called at any time, one call at a time. Error: 55000 without preload';

CREATE VIEW dbutil.history WITH (security_barrier) AS
	SELECT h.snapshot, s.since, s.taken_at, h.service, d.datname AS database_name, r.rolname AS username,
		   h.toplevel, CASE WHEN v.visible THEN h.queryid END AS queryid,
		   CASE WHEN v.visible THEN t.query ELSE '<insufficient privilege>' END AS query,
		   h.operation, h.calls, h.errors, h.rows, h.total_exec_time, h.total_plan_time,
		   h.shared_blks_hit, h.shared_blks_read, h.temp_blks_written, h.wal_bytes
	FROM dbutil.history_statements AS h
	JOIN dbutil.history_snapshots AS s ON s.snapshot OPERATOR(pg_catalog.=) h.snapshot
	CROSS JOIN LATERAL (
		SELECT coalesce(pg_catalog.pg_has_role(h.userid, 'USAGE'), false)
			OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS visible) AS v
	LEFT JOIN dbutil.history_texts AS t
		ON t.queryid OPERATOR(pg_catalog.=) h.queryid AND t.dbid OPERATOR(pg_catalog.=) h.dbid
	LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) h.dbid
	LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) h.userid;
COMMENT ON VIEW dbutil.history IS
	'what each statement added to its counters from since to taken_at, one row per snapshot, service, database, role, queryid and toplevel; units as in dbutil.statements. What was counted between a snapshot and a reset, a crash or an eviction is not in it. queryid and query of other roles are hidden unless you may read all statistics';
GRANT SELECT ON dbutil.history TO PUBLIC;

CREATE FUNCTION dbutil.top(since timestamp with time zone DEFAULT now() - interval '1 day',
	until timestamp with time zone DEFAULT now(), by text DEFAULT 'query',
	only_service text DEFAULT NULL,
	OUT item text, OUT queryid bigint,
	OUT calls bigint, OUT calls_per_second double precision, OUT errors bigint, OUT rows bigint,
	OUT total_exec_time double precision, OUT mean_exec_time double precision, OUT share double precision,
	OUT before_calls_per_second double precision, OUT before_mean_exec_time double precision,
	OUT change double precision,
	OUT covered_since timestamp with time zone, OUT covered_until timestamp with time zone)
	RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	from_at CONSTANT timestamp with time zone := since;
	to_at CONSTANT timestamp with time zone := until;
	kind CONSTANT text := by;
	parameter text := CASE WHEN since IS NULL THEN 'since' WHEN until IS NULL THEN 'until' WHEN by IS NULL THEN 'by' END;
	before_at timestamp with time zone;
	seconds double precision;
	before_seconds double precision;
BEGIN
	IF parameter IS NOT NULL THEN
		RAISE EXCEPTION 'parameter "%" must not be null', parameter
			USING ERRCODE = 'null_value_not_allowed', HINT = format('Pass a value for "%s".', parameter);
	END IF;
	IF from_at >= to_at THEN
		RAISE EXCEPTION 'parameter "since" must be before "until"'
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('since is %s, until is %s.', from_at, to_at),
				  HINT = 'Pass the earlier time first.';
	END IF;
	IF kind NOT IN ('query', 'service', 'database', 'role', 'operation') THEN
		RAISE EXCEPTION 'invalid value for parameter "by": "%"', kind
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Use one of: query, service, database, role, operation.';
	END IF;
	PERFORM FROM dbutil.history_snapshots LIMIT 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'this database holds no history'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Set dbutil.track_history_interval and dbutil.track_history_database and reload the configuration, or call dbutil.history_take().';
	END IF;
	IF only_service IS NOT NULL
		AND NOT EXISTS (SELECT FROM dbutil.history AS h WHERE h.service = only_service) THEN
		RAISE EXCEPTION 'service "%" is not in the history', only_service
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'SELECT DISTINCT service FROM dbutil.history tells which are.';
	END IF;

	-- the time before, of the same length; a span that begins with time has none
	before_at := CASE WHEN isfinite(from_at) AND isfinite(to_at) THEN from_at - (to_at - from_at)
					  ELSE from_at END;
	SELECT sum(extract(epoch FROM s.taken_at - s.since)) FILTER (WHERE s.taken_at > from_at),
		   sum(extract(epoch FROM s.taken_at - s.since)) FILTER (WHERE s.taken_at <= from_at),
		   min(s.since) FILTER (WHERE s.taken_at > from_at), max(s.taken_at)
	INTO seconds, before_seconds, covered_since, covered_until
	FROM dbutil.history_snapshots AS s
	WHERE s.since IS NOT NULL AND s.taken_at > before_at AND s.taken_at <= to_at;

	RETURN QUERY
	WITH kept AS (
		SELECT CASE kind WHEN 'query' THEN h.query WHEN 'service' THEN h.service
						 WHEN 'database' THEN h.database_name::text WHEN 'role' THEN h.username::text
						 ELSE h.operation END AS item,
			   CASE kind WHEN 'query' THEN h.queryid END AS queryid,
			   h.taken_at > from_at AS inside, h.calls, h.errors, h.rows, h.total_exec_time
		FROM dbutil.history AS h
		-- the time of a nested statement is in its caller's already
		WHERE (h.toplevel OR kind = 'query')
		  AND h.taken_at > before_at AND h.taken_at <= to_at
		  AND (only_service IS NULL OR h.service = only_service)),
	sums AS (
		SELECT k.item, k.queryid,
			   sum(k.calls) FILTER (WHERE k.inside) AS calls, sum(k.errors) FILTER (WHERE k.inside) AS errors,
			   sum(k.rows) FILTER (WHERE k.inside) AS rows,
			   sum(k.total_exec_time) FILTER (WHERE k.inside) AS exec_time,
			   sum(k.calls) FILTER (WHERE NOT k.inside) AS before_calls,
			   sum(k.total_exec_time) FILTER (WHERE NOT k.inside) AS before_exec_time
		FROM kept AS k
		GROUP BY k.item, k.queryid)
	SELECT s.item, s.queryid, coalesce(s.calls, 0)::bigint, coalesce(s.calls, 0)::double precision / nullif(seconds, 0),
		   coalesce(s.errors, 0)::bigint, coalesce(s.rows, 0)::bigint, coalesce(s.exec_time, 0),
		   s.exec_time / nullif(s.calls, 0)::double precision,
		   coalesce(s.exec_time, 0) / nullif(sum(s.exec_time) OVER (), 0),
		   s.before_calls::double precision / nullif(before_seconds, 0),
		   s.before_exec_time / nullif(s.before_calls, 0)::double precision,
		   coalesce(s.exec_time, 0) / nullif(seconds, 0)
				/ nullif(s.before_exec_time / nullif(before_seconds, 0), 0),
		   covered_since, covered_until
	FROM sums AS s
	ORDER BY coalesce(s.exec_time, 0) DESC, s.before_exec_time DESC NULLS LAST, s.item COLLATE "C", s.queryid;
END $$;
COMMENT ON FUNCTION dbutil.top(timestamp with time zone, timestamp with time zone, text, text) IS
	'what took most of the time from since to until (by query | service | database | role | operation, of all services or of only_service; by query nested statements too), and how that changed against the time before of the same length: rates per second, times in milliseconds, share of the total, change: time per second now by time per second then (NULL: there was none). Taken from the snapshots in dbutil.history whose taken_at lies within; covered_since and covered_until tell the time that these cover. Errors: 22004 a NULL, 22023 since not before until, by none of the words, an unknown service; 55000 no history here';
