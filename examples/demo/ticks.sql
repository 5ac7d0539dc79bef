-- A table of foreign-exchange ticks, and a feed with what is to go into it:
-- made up, but from a fixed seed, and so the same in every run.
--		psql -v ticks=1000000 -f ticks.sql
CREATE TABLE ticks (
	id bigint PRIMARY KEY,
	pair text NOT NULL,
	ts timestamptz NOT NULL,
	bid numeric(12,5) NOT NULL,
	ask numeric(12,5) NOT NULL,
	volume integer NOT NULL CHECK (volume > 0),
	CHECK (ask >= bid)
);

CREATE UNLOGGED TABLE tick_feed (LIKE ticks);

-- Eight pairs take turns, one tick every 50 ms; the price is a slow wave
-- around a base with noise on it.
SELECT setseed(0.20251124) \g /dev/null
INSERT INTO tick_feed
SELECT i, p.pair, timestamptz '2025-01-06 00:00+00' + i * interval '50 ms',
	   mid, mid + p.pip * (1 + (random() * 3)::integer), 1 + (random() * random() * 999)::integer
FROM generate_series(1, :ticks) AS i
JOIN (VALUES (0, 'EURUSD', 1.08, 0.00001), (1, 'USDJPY', 150.2, 0.001),
			 (2, 'GBPUSD', 1.27, 0.00001), (3, 'USDCHF', 0.88, 0.00001),
			 (4, 'AUDUSD', 0.65, 0.00001), (5, 'USDCAD', 1.35, 0.00001),
			 (6, 'NZDUSD', 0.61, 0.00001), (7, 'EURGBP', 0.85, 0.00001)
	 ) AS p(n, pair, base, pip) ON p.n = i % 8
CROSS JOIN LATERAL (
	SELECT (p.base * (1 + 0.004 * sin(i / 40000.0) + 0.0002 * (random() - 0.5)))::numeric(12,5)
) AS m(mid);
ANALYZE tick_feed;

-- How fast each way was.
CREATE TABLE timings (step text, way text, row_count bigint, ms double precision);
