/*
 * exposition.h
 *		A strict reader of Prometheus' text format 0.0.4.
 */
#ifndef EXPOSITION_H
#define EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Check a text; false with a reason and its line in *why.  Stricter than servers are: each
 * family has HELP and TYPE before its samples, once, and is not interrupted; counters end
 * in _total and are not negative; a histogram's buckets rise, end with +Inf and agree with
 * its count; no series comes twice; all is UTF-8 and ends in a line feed.
 */
bool exposition_valid(const char *text, char *why, size_t size);

/* The value of a series, written as in the text; -1 if it is not there. */
double exposition_value(const char *text, const char *series);

#endif /* EXPOSITION_H */
