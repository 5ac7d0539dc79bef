/*
 * top_frame.c
 *		The text of what happened between two readings of dbutil top.
 *
 * Rates are differences by the time between the readings; counters that went
 * back were reset, and count from zero.  Texts come from other people's
 * statements: what would move a terminal's cursor or change its colours is
 * replaced.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "top.h"

/* columns of a reading (top_read.c) */
enum
{
	SERVICE_KEY,
	SERVICE_NAME,
	SERVICE_SESSIONS,
	SERVICE_ACTIVE,
	SERVICE_IDLE,
	SERVICE_CALLS,
	SERVICE_ERRORS,
	SERVICE_MS,
	SERVICE_COMMITS,
	SERVICE_ROLLBACKS
};

enum
{
	STATEMENT_KEY,
	STATEMENT_WHOSE,
	STATEMENT_CALLS,
	STATEMENT_ERRORS,
	STATEMENT_MS,
	STATEMENT_ROWS,
	STATEMENT_TEXT
};

const char *const top_order_words[] = {"time", "calls", "mean", "rows", "errors", NULL};

/* One line of a list: what was added since the reading before. */
typedef struct Line
{
	int			row;			/* of the reading */
	double		sessions;		/* services only; those now */
	double		calls;
	double		errors;
	double		ms;
	double		rows;			/* statements only */
	double		weight;			/* what it is sorted by */
} Line;

static double
number(const PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? 0 : strtod(PQgetvalue(result, row, column), NULL);
}

/* The row with that key, -1 if there is none. */
static int
find(const PGresult *result, const char *key)
{
	int			low = 0;
	int			high = result != NULL ? PQntuples(result) : 0;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			order = strcmp(PQgetvalue(result, middle, 0), key);

		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* What a counter has gone up since the row before (-1: there was none). */
static double
added(const PGresult *now, int row, const PGresult *before, int row_before, int column)
{
	double		value = number(now, row, column);
	double		was = row_before >= 0 ? number(before, row_before, column) : 0;

	return value >= was ? value - was : value;
}

static double
weight(const Line *line, TopOrder order)
{
	switch (order)
	{
		case TOP_BY_CALLS:
			return line->calls;
		case TOP_BY_MEAN:
			return line->calls > 0 ? line->ms / line->calls : 0;
		case TOP_BY_ROWS:
			return line->rows;
		case TOP_BY_ERRORS:
			return line->errors;
		case TOP_BY_TIME:
			break;
	}
	return line->ms;
}

/* Heaviest first, then as they come. */
static int
compare(const void *a, const void *b)
{
	const Line *x = a;
	const Line *y = b;

	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	if (x->sessions != y->sessions)
		return x->sessions > y->sessions ? -1 : 1;
	return x->row - y->row;
}

/*
 * The lines of a list that have something to tell, sorted, *n of them; free() them.
 * NULL: out of memory.
 */
static Line *
lines_of(const PGresult *now, const PGresult *before, bool services, TopOrder order, int *n)
{
	int			rows = PQntuples(now);
	Line	   *lines = calloc((size_t) rows + 1, sizeof(Line));

	*n = 0;
	for (int i = 0; lines != NULL && i < rows; i++)
	{
		int			was = find(before, PQgetvalue(now, i, 0));
		Line	   *line = &lines[*n];

		line->row = i;
		line->sessions = services ? number(now, i, SERVICE_SESSIONS) : 0;
		line->calls = added(now, i, before, was, services ? SERVICE_CALLS : STATEMENT_CALLS);
		line->errors = added(now, i, before, was, services ? SERVICE_ERRORS : STATEMENT_ERRORS);
		line->ms = added(now, i, before, was, services ? SERVICE_MS : STATEMENT_MS);
		line->rows = services ? 0 : added(now, i, before, was, STATEMENT_ROWS);
		line->weight = weight(line, order);
		if (line->sessions > 0 || line->calls > 0 || line->errors > 0)
			(*n)++;
	}
	if (lines != NULL)
		qsort(lines, (size_t) *n, sizeof(Line), compare);
	return lines;
}

/* Text without control characters, on one line, blanks in a row as one. */
static void
put_text(FILE *to, const char *text)
{
	bool		blank = false;

	for (; *text != '\0'; text++)
	{
		unsigned char c = (unsigned char) *text;

		if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
		{
			blank = true;
			continue;
		}
		if (blank)
			fputc(' ', to);
		blank = false;
		/* U+0080 to U+009F are control characters, too: two bytes in UTF-8 */
		if (c == 0xc2 && (unsigned char) text[1] >= 0x80 && (unsigned char) text[1] < 0xa0)
		{
			fputc('?', to);
			text++;
		}
		else
			fputc(c < ' ' || c == 0x7f ? '?' : c, to);
	}
}

/* A rate, or a dash where the source does not know it. */
static void
put_rate(FILE *to, int width, double value, bool known)
{
	if (known)
		fprintf(to, " %*.1f", width, value);
	else
		fprintf(to, " %*s", width, "-");
}

static bool
put_services(FILE *to, const Top *top, TopOrder order, double seconds)
{
	bool		counted = top->source == TOP_EXTENSION;
	const PGresult *now = top->now.services;
	const PGresult *before = top->before.services;
	int			n;
	Line	   *lines = lines_of(now, before, true, order, &n);

	if (lines == NULL)
		return false;
	fprintf(to, "%8s %6s %7s %9s %8s %7s %9s %9s service\n",
			"sessions", "active", "idle-tx", "calls/s", "errors/s", "time%", "commit/s", "rollbck/s");
	for (int i = 0; i < n && i < top->limit; i++)
	{
		const Line *line = &lines[i];
		int			was = find(before, PQgetvalue(now, line->row, SERVICE_KEY));

		fprintf(to, "%8.0f %6.0f %7.0f", line->sessions, number(now, line->row, SERVICE_ACTIVE),
				number(now, line->row, SERVICE_IDLE));
		put_rate(to, 9, line->calls / seconds, counted);
		put_rate(to, 8, line->errors / seconds, counted);
		put_rate(to, 7, line->ms / seconds / 10, counted);
		put_rate(to, 9, added(now, line->row, before, was, SERVICE_COMMITS) / seconds, counted);
		put_rate(to, 9, added(now, line->row, before, was, SERVICE_ROLLBACKS) / seconds, counted);
		fputc(' ', to);
		put_text(to, PQgetvalue(now, line->row, SERVICE_NAME));
		fputc('\n', to);
	}
	free(lines);
	return true;
}

static bool
put_statements(FILE *to, const Top *top, TopOrder order, double seconds)
{
	const PGresult *now = top->now.statements;
	int			n;
	Line	   *lines;

	if (now == NULL)
	{
		fprintf(to, "statements are counted by the extensions dbutil and pg_stat_statements only\n");
		return true;
	}
	lines = lines_of(now, top->before.statements, false, order, &n);
	if (lines == NULL)
		return false;
	fprintf(to, "%9s %9s %7s %9s %8s %-16s statement\n",
			"calls/s", "ms/call", "time%", "rows/s", "errors/s", top->source == TOP_EXTENSION ? "service" : "role");
	for (int i = 0; i < n && i < top->limit; i++)
	{
		const Line *line = &lines[i];

		fprintf(to, "%9.1f %9.3f %7.1f %9.1f", line->calls / seconds,
				line->calls > 0 ? line->ms / line->calls : 0, line->ms / seconds / 10, line->rows / seconds);
		put_rate(to, 8, line->errors / seconds, top->source == TOP_EXTENSION);
		fprintf(to, " ");
		put_text(to, PQgetvalue(now, line->row, STATEMENT_WHOSE));
		for (size_t len = strlen(PQgetvalue(now, line->row, STATEMENT_WHOSE)); len < 16; len++)
			fputc(' ', to);
		fputc(' ', to);
		put_text(to, PQgetisnull(now, line->row, STATEMENT_TEXT) ? "(hidden)" : PQgetvalue(now, line->row, STATEMENT_TEXT));
		fputc('\n', to);
	}
	free(lines);
	return true;
}

/* Lines of text: what came to be between the two readings. */
char *
top_frame(const Top *top, TopOrder order)
{
	static const char *const source_words[] = {"dbutil", "pg_stat_statements", "pg_stat_activity"};
	double		seconds = (top->now.at_ms - top->before.at_ms) / 1000;
	char	   *text = NULL;
	size_t		size;
	time_t		wall = time(NULL);
	struct tm	local;
	char		clock[16] = "";
	FILE	   *to = open_memstream(&text, &size);
	bool		good;

	if (to == NULL)
		return NULL;
	if (localtime_r(&wall, &local) != NULL)
		(void) strftime(clock, sizeof(clock), "%H:%M:%S", &local);
	fprintf(to, "%s  database %s by %s, %.1f s, sorted by %s\n\n", clock, PQdb(dbpool_conn(top->session.lease)),
			source_words[top->source], seconds, top_order_words[order]);
	good = put_services(to, top, order, seconds);
	fputc('\n', to);
	good = good && put_statements(to, top, order, seconds);
	if (fclose(to) == 0 && good)
		return text;
	free(text);
	return NULL;
}
