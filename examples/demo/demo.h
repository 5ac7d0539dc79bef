/*
 * demo.h
 *		What the programs of the demo share: a clock, random numbers from a
 *		fixed seed, reading numbers from the command line.
 */
#ifndef DEMO_H
#define DEMO_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Nanoseconds of a clock that never goes back. */
static inline int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* xorshift64*: one state a thread; a state is never 0. */
static inline uint64_t
rng_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

/* A number from low to high, both included. */
static inline int
rng_between(uint64_t *state, int low, int high)
{
	return low + (int) (rng_next(state) % ((uint64_t) (high - low) + 1));
}

/* The number that text stands for, from low to high; ends the program if it is none. */
static inline int
number_argument(const char *program, const char *name, const char *text, int low, int high)
{
	char *end;
	long  value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < low || value > high)
	{
		fprintf(stderr, "%s: %s must be a number from %d to %d, not \"%s\"\n", program, name, low,
				high, text);
		exit(2);
	}
	return (int) value;
}

#endif /* DEMO_H */
