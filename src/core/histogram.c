/*-------------------------------------------------------------------------
 *
 * histogram.c
 *	  A mergeable log-linear histogram of durations; see histogram.h for the
 *	  layout of the buckets and the error that follows from it.
 *
 * No locks and no allocation: the caller guards the struct.
 *
 *-------------------------------------------------------------------------
 */
#include "core/histogram.h"

#include <math.h>
#include <string.h>

#define UNITS_PER_US 8.0
#define MAX_UNITS ((UINT64_C(1) << 36) - 1)

static int
bucket_of(double ms)
{
	double		units = ms * 1000.0 * UNITS_PER_US;
	uint64_t	v;
	int			octave;

	if (!(units > 0))			/* also NaN: a clock that went backwards */
		return 0;
	v = units >= (double) MAX_UNITS ? MAX_UNITS : (uint64_t) units;
	if (v < 8)
		return (int) v;
	octave = 63 - __builtin_clzll(v);
	return 8 + (octave - 3) * 8 + (int) ((v >> (octave - 3)) & 7);
}

static double
lower_units(int bucket)
{
	int			octave;

	if (bucket < 8)
		return bucket;
	octave = 3 + (bucket - 8) / 8;
	return ldexp(8 + (bucket - 8) % 8, octave - 3);
}

double
dbu_histogram_lower_us(int bucket)
{
	return lower_units(bucket) / UNITS_PER_US;
}

double
dbu_histogram_upper_us(int bucket)
{
	if (bucket == DBU_HISTOGRAM_BUCKETS - 1)
		return 0;
	return lower_units(bucket + 1) / UNITS_PER_US;
}

void
dbu_histogram_add(DbuHistogram *h, double ms)
{
	h->count[bucket_of(ms)]++;
}

void
dbu_histogram_merge(DbuHistogram *into, const DbuHistogram *from)
{
	for (int i = 0; i < DBU_HISTOGRAM_BUCKETS; i++)
		into->count[i] += from->count[i];
}

void
dbu_histogram_copy(DbuHistogram *to, const DbuHistogram *from, double min_ms, double max_ms)
{
	int			first = bucket_of(min_ms);
	int			last = bucket_of(max_ms);

	memset(to, 0, sizeof(*to));
	if (first <= last)
		memcpy(&to->count[first], &from->count[first], (last - first + 1) * sizeof(to->count[0]));
}

bool
dbu_histogram_percentiles(const DbuHistogram *h, double min_ms, double max_ms,
						  const double *fractions, int n, double *ms)
{
	int			first = bucket_of(min_ms);
	int			last = bucket_of(max_ms);
	uint64_t	total = 0;
	uint64_t	seen = 0;
	int			done = 0;

	for (int i = first; i <= last; i++)
		total += h->count[i];
	if (total == 0)
		return false;

	for (int i = first; i <= last && done < n; i++)
	{
		if (h->count[i] == 0)
			continue;
		seen += h->count[i];
		/* the rank is rounded up, and there is no rank 0 */
		while (done < n && (double) seen >= ceil(fractions[done] * (double) total))
		{
			double		lower = dbu_histogram_lower_us(i);
			double		upper = dbu_histogram_upper_us(i);
			/* the middle of the bucket; of the open one its beginning */
			double		value = (upper > 0 ? (lower + upper) / 2 : lower) / 1000.0;

			if (value > max_ms)
				value = max_ms;
			if (value < min_ms)
				value = min_ms;
			ms[done++] = value;
		}
	}
	return true;
}
