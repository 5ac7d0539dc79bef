/*-------------------------------------------------------------------------
 *
 * pending.c
 *	  Errors of statements, held back until locks may be taken.
 *
 * An error path may neither lock nor allocate, so a failed statement is noted
 * in static memory of this process, with the beginning of its text, and moved
 * into the table at the session's next statement or at its end.  What finds no
 * room meanwhile is counted as dropped.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "track/track.h"

#define MAX_PENDING 16
#define MAX_TEXT 4096

static struct
{
	StatementKey key;			/* query_id 0: only the text tells who it is */
	int64		errors;
	CmdType		operation;
	bool		has_text;
	bool		whole;			/* text is all of it */
	char		text[MAX_TEXT];
}			pending[MAX_PENDING];
static int	npending = 0;

/* In an error path: plain stores and atomics only. */
void
dbu_track_stmt_abort(const DbuStatement *stmt, int sqlstate)
{
	StatementKey key;
	const char *start;
	size_t		length;

	dbu_track_make_key(&key, stmt);
	for (int i = 0; key.query_id != 0 && i < npending; i++)
	{
		if (memcmp(&pending[i].key, &key, sizeof(key)) == 0)
		{
			pending[i].errors++;
			return;
		}
	}
	if (npending == MAX_PENDING || (key.query_id == 0 && stmt->source_text == NULL))
	{
		pg_atomic_fetch_add_u64(&dbu_track_shared->errors_dropped, 1);
		return;
	}

	pending[npending].key = key;
	pending[npending].operation = stmt->operation;
	pending[npending].errors = 1;
	pending[npending].has_text = stmt->source_text != NULL;
	if (stmt->source_text != NULL)
	{
		start = stmt->source_text + Max(stmt->location, 0);
		length = stmt->location >= 0 && stmt->length > 0 ?
			stmt->length : strnlen(start, MAX_TEXT);
		pending[npending].whole = length < MAX_TEXT;
		length = Min(length, MAX_TEXT - 1);
		memcpy(pending[npending].text, start, length);
		pending[npending].text[length] = '\0';
	}
	npending++;
}

/*
 * Move what error paths left behind into the table.  While the process exits
 * an error could not be caught: a text that might raise one is left out.
 */
void
dbu_track_errors_flush(bool exiting)
{
	while (npending > 0)
	{
		int			i = --npending;
		DbuTrackSource source = {
			.text = pending[i].text,
			.location = -1,
			.whole = pending[i].whole,
			.utility = pending[i].operation == CMD_UTILITY,
		};
		bool		readable = pending[i].has_text &&
			(!exiting || dbu_track_is_plain(&source));

		dbu_track_count_errors(&pending[i].key, pending[i].operation,
							   pending[i].errors, readable ? &source : NULL);
	}
}
