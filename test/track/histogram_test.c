/*
 * histogram_test.c
 *	  Prints TAP: percentiles of known durations are within 10 % of exact, and
 *	  merged histograms give those of the union.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/histogram.h"

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

/* Evenly in [0, 1); xorshift, fixed seed. */
static double
uniform(void)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (double) (x >> 11) / (double) (1ULL << 53);
}

/* From 1 us to an hour, evenly in the logarithm. */
static double
log_uniform(void)
{
	return 0.001 * pow(3.6e9, uniform());
}

/* A mean of 2 ms, as waiting times have it. */
static double
exponential(void)
{
	return 0.001 - 2.0 * log(1.0 - uniform());
}

/* Hits of 40 to 60 us, and 7 % misses around 12 ms. */
static double
bimodal(void)
{
	return uniform() < 0.93 ? 0.04 + 0.02 * uniform() : 8 + 8 * uniform();
}

/* A median of 1 ms and a long tail, as response times have it. */
static double
lognormal(void)
{
	/* Box and Muller (1958) */
	return exp(sqrt(-2.0 * log(1.0 - uniform())) * cos(2.0 * 3.14159265358979 * uniform()));
}

enum
{
	N = 20000
};
static const double fractions[] = {0.5, 0.9, 0.95, 0.99};

static void
check_distribution(double (*draw) (void), const char *name)
{
	static double ms[N];
	static double got[4];
	static DbuHistogram all;
	static DbuHistogram part[2];
	static DbuHistogram copy;
	uint64_t	total = 0;
	int			close = 1;
	int			same = 1;

	memset(&all, 0, sizeof(all));
	memset(part, 0, sizeof(part));
	for (int i = 0; i < N; i++)
	{
		ms[i] = draw();
		dbu_histogram_add(&all, ms[i]);
		dbu_histogram_add(&part[i % 2], ms[i]);
	}
	qsort(ms, N, sizeof(ms[0]), compare);
	close = dbu_histogram_percentiles(&all, 0, HUGE_VAL, fractions, 4, got);
	for (int i = 0; i < 4; i++)
	{
		double		exact = ms[(int) ceil(fractions[i] * N) - 1];

		close &= fabs(got[i] - exact) <= 0.1 * exact;
	}
	printf("# %s: p50 %g, p90 %g, p95 %g, p99 %g ms\n", name, got[0], got[1], got[2], got[3]);
	check(close, name);

	memset(&copy, 0xFF, sizeof(copy));
	dbu_histogram_copy(&copy, &all, ms[0], ms[N - 1]);
	check(memcmp(&copy, &all, sizeof(all)) == 0, "a copy between the bounds is the whole");

	dbu_histogram_merge(&part[0], &part[1]);
	for (int i = 0; i < DBU_HISTOGRAM_BUCKETS; i++)
	{
		same &= part[0].count[i] == all.count[i];
		total += all.count[i];
	}
	check(same, "merged parts are the whole");
	check(total == N, "each duration is in one bucket");
}

int
main(void)
{
	static DbuHistogram empty;
	static DbuHistogram single;
	double		got[4] = {-1, -1, -1, -1};
	int			bounds = 1;

	check(!dbu_histogram_percentiles(&empty, 0, 1, fractions, 4, got) && got[0] == -1,
		  "nothing counted, no percentile");

	check_distribution(log_uniform, "log-uniform: within 10 % of exact");
	check_distribution(exponential, "exponential: within 10 % of exact");
	check_distribution(bimodal, "bimodal: within 10 % of exact");
	check_distribution(lognormal, "lognormal: within 10 % of exact");

	dbu_histogram_add(&single, 3.3);
	dbu_histogram_percentiles(&single, 3.3, 3.3, fractions, 4, got);
	check(got[0] == 3.3 && got[3] == 3.3, "held within the bounds that are known");

	for (int i = 0; i + 1 < DBU_HISTOGRAM_BUCKETS; i++)
	{
		double		lower = dbu_histogram_lower_us(i);
		double		upper = dbu_histogram_upper_us(i);
		DbuHistogram one = {{0}};

		bounds &= lower < upper && upper == dbu_histogram_lower_us(i + 1);
		dbu_histogram_add(&one, lower / 1000.0);
		bounds &= one.count[i] == 1;
	}
	check(bounds, "buckets meet, and begin with their lower bound");

	dbu_histogram_add(&empty, -1);
	dbu_histogram_add(&empty, NAN);
	dbu_histogram_add(&empty, 1e12);
	check(empty.count[0] == 2 && empty.count[DBU_HISTOGRAM_BUCKETS - 1] == 1,
		  "what is out of range goes to the ends");

	printf("1..%d\n", tests);
	return failed != 0;
}
