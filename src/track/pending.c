/*-------------------------------------------------------------------------
 *
 * pending.c
 *	  Errors of statements, held back until locks may be taken.
 *
 * An error path may neither lock nor allocate, so an error is noted in static
 * memory of this process, with the beginning of its statement's text, and
 * moved into the tables at the session's next statement or at its end.  What
 * finds no room meanwhile is counted as dropped.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "track/track.h"

#define MAX_PENDING 16
#define MAX_TEXT 4096

typedef struct PendingError
{
	StatementKey key;			/* query_id 0: only the text tells who it is */
	int			sqlstate;
	int64		errors;
	int64		caught;
	CmdType		operation;
	bool		is_statement;	/* else it failed before it was one */
	bool		has_text;
	bool		whole;			/* text is all of it */
	char		text[MAX_TEXT];
} PendingError;

static PendingError pending[MAX_PENDING];
int			dbu_track_errors_pending = 0;

/* The place of an error, an earlier one if it is of the same kind; NULL: no room. */
static PendingError *
find_place(const StatementKey *key, int sqlstate, bool unique)
{
	PendingError *place;

	for (int i = 0; !unique && i < dbu_track_errors_pending; i++)
	{
		if (pending[i].sqlstate == sqlstate && memcmp(&pending[i].key, key, sizeof(*key)) == 0)
			return &pending[i];
	}
	if (dbu_track_errors_pending == MAX_PENDING)
		return NULL;
	place = &pending[dbu_track_errors_pending++];
	place->key = *key;
	place->sqlstate = sqlstate;
	place->errors = place->caught = 0;
	place->is_statement = false;
	place->has_text = false;
	return place;
}

static void
note_text(PendingError *place, const DbuStatement *stmt)
{
	const char *start;
	size_t		length;

	if (stmt->source_text == NULL || place->has_text)
		return;
	start = stmt->source_text + Max(stmt->location, 0);
	length = stmt->location >= 0 && stmt->length > 0 ?
		stmt->length : strnlen(start, MAX_TEXT);
	place->has_text = true;
	place->whole = length < MAX_TEXT;
	length = Min(length, MAX_TEXT - 1);
	memcpy(place->text, start, length);
	place->text[length] = '\0';
}

/* In an error path: plain stores and atomics only. */
void
dbu_track_stmt_abort(const DbuStatement *stmt, int sqlstate)
{
	StatementKey key;
	PendingError *place = NULL;

	if (!dbu_track_is_counted(stmt))
		return;
	dbu_track_make_key(&key, stmt);
	if (key.query_id != 0 || stmt->source_text != NULL)
		place = find_place(&key, sqlstate, key.query_id == 0);
	if (place == NULL)
	{
		pg_atomic_fetch_add_u64(&dbu_track_shared->errors_dropped, 1);
		pg_atomic_fetch_add_u64(&dbu_track_shared->error_codes_dropped, 1);
		return;
	}
	place->errors++;
	place->operation = stmt->operation;
	place->is_statement = true;
	note_text(place, stmt);
}

/* In an error path, too. */
void
dbu_track_stmt_caught(const DbuStatement *stmt, int sqlstate)
{
	StatementKey key;
	PendingError *place;

	/* others may want a statement that is not tracked */
	if (dbu_track_level == DBU_TRACK_NONE)
		return;
	dbu_track_make_key(&key, stmt);
	place = find_place(&key, sqlstate, key.query_id == 0);
	if (place == NULL)
	{
		pg_atomic_fetch_add_u64(&dbu_track_shared->error_codes_dropped, 1);
		return;
	}
	place->caught++;
	place->operation = stmt->operation;
	note_text(place, stmt);
}

/* In an error path, too. */
void
dbu_track_error_logged(Oid user, int sqlstate)
{
	StatementKey key;
	PendingError *place;

	if (dbu_track_level == DBU_TRACK_NONE)
		return;
	dbu_track_make_client_key(&key, user);
	place = find_place(&key, sqlstate, false);
	if (place == NULL)
		pg_atomic_fetch_add_u64(&dbu_track_shared->error_codes_dropped, 1);
	else
		place->errors++;
}

static void
flush_one(PendingError *place, bool exiting)
{
	DbuTrackSource source = {
		.text = place->text,
		.location = -1,
		.whole = place->whole,
		.utility = place->operation == CMD_UTILITY,
	};
	bool		readable = place->has_text && (!exiting || dbu_track_is_plain(&source));

	if (place->is_statement)
		dbu_track_count_errors(&place->key, place->operation, place->errors, place->sqlstate,
							   readable ? &source : NULL);
	dbu_track_add_errors(&place->key, place->sqlstate, place->errors, place->caught);
}

/*
 * Move what error paths left behind into the tables.  While the process exits
 * an error could not be caught: a text that might raise one is left out.
 */
void
dbu_track_errors_flush(bool exiting)
{
	while (dbu_track_errors_pending > 0)
		flush_one(&pending[--dbu_track_errors_pending], exiting);
}
