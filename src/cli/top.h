/*
 * top.h
 *		What the files of dbutil top share.
 *
 * A reading is two results, services and statements, of counters since some
 * beginning; a frame is the text of what came to be between two readings.
 */
#ifndef DBUTIL_CLI_TOP_H
#define DBUTIL_CLI_TOP_H

#include "cli.h"

/* What a list is sorted by, worst first; the words are top.c's. */
typedef enum TopOrder
{
	TOP_BY_TIME,
	TOP_BY_CALLS,
	TOP_BY_MEAN,
	TOP_BY_ROWS,
	TOP_BY_ERRORS
} TopOrder;

#define TOP_ORDERS 5

typedef enum TopSource
{
	TOP_EXTENSION,
	TOP_PGSS,					/* pg_stat_statements and pg_stat_activity */
	TOP_ACTIVITY				/* only the latter is there */
} TopSource;

typedef struct TopReading
{
	PGresult   *services;		/* sorted by key, bytewise */
	PGresult   *statements;		/* likewise; NULL if none are counted */
	double		at_ms;			/* of CLOCK_MONOTONIC */
} TopReading;

typedef struct Top
{
	CliSession	session;
	TopSource	source;
	char		pgss_schema[200];	/* quoted; of pg_stat_statements */
	const char *service;		/* only of this one; NULL: all */
	long		timeout_s;		/* for one reading */
	long		limit;			/* rows of a list */
	TopReading	before;
	TopReading	now;
} Top;

extern const char *const top_order_words[];

/* top_read.c */
extern int	top_find_source(Top *top, bool no_extension, dbpool_error *err);
extern int	top_read(Top *top, dbpool_error *err);
extern void top_forget(TopReading *reading);

/* top_frame.c: the text is the caller's to free; NULL: out of memory */
extern char *top_frame(const Top *top, TopOrder order);

/* top_screen.c */
extern int	top_screen(Top *top, TopOrder order, long interval_s, dbpool_error *err);

#endif							/* DBUTIL_CLI_TOP_H */
