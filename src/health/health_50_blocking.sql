
-- Views to look around in.  Each tells what there is of one subject, and puts
-- beside each object what the checks say of it: status, and findings, the checks
-- that warn.  What a role may not see is NULL, and its status unknown.

-- Who waits for whom.  A session in a queue for a lock waits for all before it,
-- so there are many paths to it; it is shown once, as near to a root as it can be.
CREATE FUNCTION dbutil.blocking_tree(
	OUT tree text, OUT pid integer, OUT depth integer, OUT blocks integer, OUT blocked_by integer[],
	OUT waits_for text, OUT wait_s numeric, OUT transaction_s numeric, OUT database name, OUT username name,
	OUT application_name text, OUT state text, OUT query text, OUT suggested_sql text)
	RETURNS SETOF record
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
	SET max_parallel_workers_per_gather = 0
	SET jit = off
	AS $function$
DECLARE
	waiters integer[];		-- an edge is waiters[i] waits for blockers[i]
	blockers integer[];
	placed integer[] := '{}';
	parents integer[] := '{}';
	depths integer[] := '{}';
	found_pids integer[];
	found_parents integer[];
	level integer;
BEGIN
	SELECT array_agg(w.pid), array_agg(b.pid)
	INTO waiters, blockers
	FROM (SELECT DISTINCT l.pid FROM pg_locks AS l WHERE NOT l.granted) AS w
	-- members of a parallel group are told by their leader, and several times
	CROSS JOIN LATERAL (SELECT DISTINCT u.pid FROM unnest(pg_blocking_pids(w.pid)) AS u(pid)) AS b;
	IF waiters IS NULL THEN
		RETURN;
	END IF;

	LOOP
		-- those who wait for nobody; then, of sessions that wait in a circle
		-- until the deadlock is found, the first
		SELECT array_agg(r.pid ORDER BY r.pid) INTO found_pids
		FROM (SELECT unnest(blockers) EXCEPT SELECT unnest(waiters || placed)) AS r(pid);
		IF found_pids IS NULL THEN
			SELECT array_agg(r.pid) INTO found_pids
			FROM (SELECT min(u.pid) FROM unnest(waiters) AS u(pid) WHERE u.pid <> ALL (placed) HAVING count(*) > 0) AS r(pid);
			EXIT WHEN found_pids IS NULL;
		END IF;
		found_parents := array_fill(NULL::integer, ARRAY[cardinality(found_pids)]);
		level := 0;
		LOOP
			placed := placed || found_pids;
			parents := parents || found_parents;
			depths := depths || array_fill(level, ARRAY[cardinality(found_pids)]);
			SELECT array_agg(n.waiter), array_agg(n.blocker) INTO found_pids, found_parents
			FROM (SELECT e.waiter, min(e.blocker) AS blocker FROM unnest(waiters, blockers) AS e(waiter, blocker)
				  WHERE e.blocker = ANY (found_pids) AND e.waiter <> ALL (placed)
				  GROUP BY e.waiter) AS n;
			EXIT WHEN found_pids IS NULL;
			level := level + 1;
		END LOOP;
	END LOOP;

	RETURN QUERY
	WITH RECURSIVE node AS MATERIALIZED (
		SELECT p.pid, p.parent, p.depth FROM unnest(placed, parents, depths) AS p(pid, parent, depth)
	), above(pid, ancestor) AS (
		SELECT n.pid, n.pid FROM node AS n
		UNION ALL
		SELECT a.pid, n.parent FROM above AS a JOIN node AS n ON n.pid = a.ancestor WHERE n.parent IS NOT NULL
	), weight AS (
		SELECT a.ancestor AS pid, count(*)::integer - 1 AS below FROM above AS a GROUP BY a.ancestor
	), walk AS (
		SELECT n.pid, n.depth, w.below, ARRAY[[-w.below, n.pid]] AS place
		FROM node AS n JOIN weight AS w ON w.pid = n.pid WHERE n.parent IS NULL
		UNION ALL
		SELECT n.pid, n.depth, w.below, p.place || ARRAY[[-w.below, n.pid]]
		FROM walk AS p JOIN node AS n ON n.parent = p.pid JOIN weight AS w ON w.pid = n.pid
	), lock AS (
		SELECT DISTINCT ON (l.pid) l.pid, extract(epoch FROM clock_timestamp() - l.waitstart) AS seconds,
			   l.mode || ' on ' || CASE
				   WHEN l.locktype IN ('relation', 'extend', 'page', 'tuple') AND c.oid IS NOT NULL
				   THEN CASE l.locktype WHEN 'relation' THEN '' ELSE l.locktype || ' of ' END || format('%I.%I', n.nspname, c.relname)
				   WHEN l.locktype = 'transactionid' THEN format('transaction %s', l.transactionid)
				   WHEN l.locktype = 'virtualxid' THEN format('virtual transaction %s', l.virtualxid)
				   ELSE l.locktype || coalesce(format(' (relation %s in database %s)', l.relation, l.database), '') END AS what
		FROM pg_locks AS l
		LEFT JOIN pg_class AS c
			ON c.oid = l.relation AND l.database IN (0, (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
		LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE NOT l.granted AND l.pid = ANY (waiters)
		ORDER BY l.pid, l.waitstart
	)
	SELECT repeat('    ', w.depth) || CASE w.pid WHEN 0 THEN 'prepared transaction' ELSE w.pid::text END,
		   w.pid, w.depth, w.below,
		   (SELECT array_agg(e.blocker ORDER BY e.blocker) FROM unnest(waiters, blockers) AS e(waiter, blocker) WHERE e.waiter = w.pid),
		   k.what, round(k.seconds, 1), round(extract(epoch FROM clock_timestamp() - a.xact_start), 1),
		   a.datname, a.usename, a.application_name, a.state, a.query,
		   CASE WHEN w.depth > 0 THEN NULL
				WHEN w.pid = 0 THEN 'SELECT gid, prepared, owner, database FROM pg_prepared_xacts ORDER BY prepared'
				WHEN a.state = 'active' THEN format('SELECT pg_cancel_backend(%s)', w.pid)
				ELSE format('SELECT pg_terminate_backend(%s)', w.pid) END
	FROM walk AS w
	LEFT JOIN pg_stat_activity AS a ON a.pid = w.pid
	LEFT JOIN lock AS k ON k.pid = w.pid
	ORDER BY w.place;
END $function$;
COMMENT ON FUNCTION dbutil.blocking_tree() IS
	'sessions that wait for a lock, below those that they wait for; see the view of the same name';

CREATE VIEW dbutil.blocking_tree AS
	SELECT b.tree, b.pid, b.depth, b.blocks, b.blocked_by, b.waits_for, b.wait_s, b.transaction_s,
		   b.database, b.username, b.application_name, b.state, b.query, b.suggested_sql
	FROM dbutil.blocking_tree() AS b;
COMMENT ON VIEW dbutil.blocking_tree IS
	'sessions that wait for a lock below the session that keeps them waiting, the root with most below it first; no row: nobody waits. tree: the pid, indented by depth (0: waits for nobody, or is first of a circle). pid: 0 for a prepared transaction. blocks: how many are below. blocked_by: all that it waits for (a session is shown once). waits_for: the lock. wait_s, transaction_s: seconds. query and state are those that pg_stat_activity shows your role. suggested_sql: for a root, what would free the others; think before you run it';
GRANT SELECT ON dbutil.blocking_tree TO PUBLIC;
