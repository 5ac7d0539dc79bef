/*
 * histogram_test.c
 *	  Prints TAP: percentiles of known durations are within 10 % of exact, and
 *	  merged histograms give those of the union.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "track/histogram.h"

static int	tests = 0;
static int	failed = 0;

static void
check(int ok, const char *name)
{
	tests++;
	failed += !ok;
	printf("%sok %d - %s\n", ok ? "" : "not ", tests, name);
}

static int
compare(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

int
main(void)
{
	enum
	{
		N = 20000
	};
	static double ms[N];
	static const double fractions[] = {0.5, 0.9, 0.95, 0.99};
	static DbuHistogram all;
	static DbuHistogram part[2];
	static DbuHistogram empty;
	uint64_t	x = 88172645463325252;
	uint64_t	total = 0;
	int			close = 1;
	int			same = 1;
	int			bounds = 1;

	check(dbu_track_histogram_percentile(&empty, 0.5) < 0, "nothing counted, no percentile");

	/* from 1 us to an hour, evenly in the logarithm; xorshift, fixed seed */
	for (int i = 0; i < N; i++)
	{
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		ms[i] = 0.001 * pow(3.6e9, (double) (x >> 11) / (double) (1ULL << 53));
		dbu_track_histogram_add(&all, ms[i]);
		dbu_track_histogram_add(&part[i % 2], ms[i]);
	}
	qsort(ms, N, sizeof(ms[0]), compare);
	for (int i = 0; i < 4; i++)
	{
		double		exact = ms[(int) ceil(fractions[i] * N) - 1];
		double		got = dbu_track_histogram_percentile(&all, fractions[i]);

		if (fabs(got - exact) > 0.1 * exact)
			close = 0;
	}
	check(close, "percentiles are within 10 % of exact");

	dbu_track_histogram_merge(&part[0], &part[1]);
	for (int i = 0; i < DBU_HISTOGRAM_BUCKETS; i++)
	{
		same &= part[0].count[i] == all.count[i];
		total += all.count[i];
	}
	check(same, "merged parts are the whole");
	check(total == N, "each duration is in one bucket");

	for (int i = 0; i + 1 < DBU_HISTOGRAM_BUCKETS; i++)
	{
		double		lower = dbu_track_histogram_lower_us(i);
		double		upper = dbu_track_histogram_upper_us(i);
		DbuHistogram one = {{0}};

		bounds &= lower < upper && upper == dbu_track_histogram_lower_us(i + 1);
		dbu_track_histogram_add(&one, lower / 1000.0);
		bounds &= one.count[i] == 1;
	}
	check(bounds, "buckets meet, and begin with their lower bound");

	dbu_track_histogram_add(&empty, -1);
	dbu_track_histogram_add(&empty, NAN);
	dbu_track_histogram_add(&empty, 1e12);
	check(empty.count[0] == 2 && empty.count[DBU_HISTOGRAM_BUCKETS - 1] == 1,
		  "what is out of range goes to the ends");

	printf("1..%d\n", tests);
	return failed != 0;
}
