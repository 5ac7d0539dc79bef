--
-- who sees what of whose statements
--
CREATE ROLE regress_track_a;
CREATE ROLE regress_track_b;
CREATE ROLE regress_track_member IN ROLE regress_track_a;
CREATE ROLE regress_track_stats IN ROLE pg_read_all_stats;
SELECT dbutil.track_reset();
SET ROLE regress_track_a;
SELECT 'secret of a' AS from_a;
SET ROLE regress_track_b;
SELECT query, queryid IS NULL AS hidden, calls FROM dbutil.statements WHERE username = 'regress_track_a' AND operation = 'select';
SELECT service FROM dbutil.statement_histogram(0);
SELECT dbutil.track_reset();
SET dbutil.track = 'all';
SET dbutil.track_utility = off;
SELECT count(*) > 0 AS some FROM dbutil.transactions;
SELECT count(*) > 0 AS some FROM dbutil.services;
SELECT entries > 0 AS some FROM dbutil.track_info();
SET ROLE regress_track_member;
SELECT query, queryid IS NULL AS hidden, calls FROM dbutil.statements WHERE username = 'regress_track_a' AND operation = 'select';
SET ROLE regress_track_stats;
SELECT query, queryid IS NULL AS hidden, calls FROM dbutil.statements WHERE username = 'regress_track_a' AND operation = 'select';
RESET ROLE;
-- the identifier of another role's statement finds nothing for who may not see it
SELECT queryid AS qid FROM dbutil.statements WHERE username = 'regress_track_a' AND operation = 'select' \gset
SELECT sum(calls) FROM dbutil.statement_histogram(:qid);
SET ROLE regress_track_b;
SELECT sum(calls) FROM dbutil.statement_histogram(:qid);
RESET ROLE;
DROP ROLE regress_track_member, regress_track_a, regress_track_b, regress_track_stats;
