/*-------------------------------------------------------------------------
 *
 * look.h
 *	  Reading the entries of statements, a few at a time; see look.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_TRACK_LOOK_H
#define DBU_TRACK_LOOK_H

#include "track/track.h"

/* A copy of a statement's entry. */
typedef struct DbuTrackRow
{
	StatementKey key;
	CmdType		operation;
	int			nrelations;
	Oid			relations[STATEMENT_RELATIONS];
	char	   *text;			/* NULL: none, or none asked for; with NUL */
	char	   *tags;			/* NULL: none, or none asked for; with NUL */
	int32		encoding;		/* of both */
	TimestampTz first_seen;
	TimestampTz stats_since;
	TimestampTz minmax_since;
	StatementCounters counters;
	double		min_ms;			/* bounds of what the histogram holds */
	double		max_ms;
	DbuHistogram histogram;
} DbuTrackRow;

typedef struct DbuTrackLook
{
	uint64		query_id;		/* only those; 0: all */
	int			count;
	DbuTrackRow *rows;

	/* private to look.c */
	bool		want_texts;
	int			bucket;			/* the next one */
	int			room;			/* rows that there is memory for */
	char	   *texts;
	Size		texts_size;
} DbuTrackLook;

/* Memory is palloc'd in the context of the caller, who holds no lock, and freed by look_end. */
extern void dbu_track_look_begin(DbuTrackLook *look, bool texts);
extern bool dbu_track_look_next(DbuTrackLook *look);
extern void dbu_track_look_end(DbuTrackLook *look);

#endif							/* DBU_TRACK_LOOK_H */
