
-- track: how full its bounded parts are

CREATE FUNCTION dbutil.track_room(
	OUT part text, OUT used bigint, OUT size bigint, OUT dropped bigint,
	OUT stats_since timestamp with time zone)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'dbutil_track_room';
COMMENT ON FUNCTION dbutil.track_room() IS
	'how full the bounded parts of tracking are, and what they had to drop since stats_since: of plans, calls; of plan texts and slow plan texts (used and size in bytes), texts; of slow plans, those that newer ones took the place of; of waits, samples; of wait ticks, those that came too late to be taken; of history snapshots, those that were not written; of tables, the times that one became <other>; of tables of statements, the statements whose tables were forgotten. size NULL: no bound. Error: 55000 without preload';
