/*-------------------------------------------------------------------------
 *
 * histogram.h
 *	  A mergeable log-linear histogram of durations.
 *
 * Durations are counted in units of 1/8 microsecond.  Below 8 units each
 * unit has a bucket; above, each octave is cut into 8 equal buckets.  So from
 * 1 us on a bucket is at most 1/8 as wide as its lower bound, and its middle
 * is within 1/16 of every duration in it: percentiles are within 6.25 %.
 * Two histograms are merged by adding their buckets, so that percentiles of
 * many statements, backends or servers are computed and not averaged.
 *
 * Needs nothing of the server: a test compiles it by itself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_HISTOGRAM_H
#define DBU_CORE_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

/* 8 single units, then octaves 3..35: the last bucket begins at 2.2 hours */
#define DBU_HISTOGRAM_BUCKETS (8 + 33 * 8)

typedef struct DbuHistogram
{
	uint64_t	count[DBU_HISTOGRAM_BUCKETS];
} DbuHistogram;

extern void dbu_histogram_add(DbuHistogram *h, double ms);
extern void dbu_histogram_merge(DbuHistogram *into, const DbuHistogram *from);

/*
 * A copy of all that was counted from min_ms to max_ms, the bounds of what from
 * holds; cheaper than one of the whole.
 */
extern void dbu_histogram_copy(DbuHistogram *to, const DbuHistogram *from,
							   double min_ms, double max_ms);

/* Bounds of a bucket in microseconds; the last one has no upper bound (0). */
extern double dbu_histogram_lower_us(int bucket);
extern double dbu_histogram_upper_us(int bucket);

/*
 * For each of the n fractions (0..1, ascending) the duration in milliseconds
 * that so many of those counted do not exceed, by nearest rank, held within
 * min_ms and max_ms, the exact bounds that the caller knows (0 and DBL_MAX if
 * he does not): nothing is looked for outside.  False, and
 * nothing set, when nothing was counted.
 */
extern bool dbu_histogram_percentiles(const DbuHistogram *h,
									  double min_ms, double max_ms,
									  const double *fractions, int n,
									  double *ms);

#endif							/* DBU_CORE_HISTOGRAM_H */
