/*-------------------------------------------------------------------------
 *
 * tags.c
 *	  Tags that clients put into comments, as sqlcommenter does:
 *	  key='value',key='value', both URL-encoded.
 *
 * Only keys that dbutil.track_tags names are kept, as a comment may hold
 * anything.  normalize.c finds the comments: a text that looks like one may be
 * inside a literal.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "track/track.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/varlena.h"

#define MAX_TAG 128				/* bytes of a key or a value */
#define MAX_TAGS 512			/* bytes of all that is kept of a statement */

static char *allowed_tags = NULL;

static bool
check_tags(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	List	   *names;
	bool		good = SplitGUCList(copy, ',', &names);

	if (!good)
		GUC_check_errdetail("List syntax is invalid.");
	list_free(names);
	pfree(copy);
	return good;
}

void
dbu_track_define_tags(void)
{
	DefineCustomStringVariable("dbutil.track_tags",
							   "Tags of sqlcommenter comments that are kept with a statement: their keys.",
							   "A list separated by commas; empty: none. They are those of the first execution that is seen.",
							   &allowed_tags, "",
							   PGC_SUSET, GUC_LIST_INPUT, check_tags, NULL, NULL);
}

static bool
is_allowed(const char *key)
{
	char	   *copy = pstrdup(allowed_tags);
	List	   *names = NIL;
	ListCell   *lc;
	bool		found = false;

	(void) SplitGUCList(copy, ',', &names);
	foreach(lc, names)
		found |= strcmp(lfirst(lc), key) == 0;
	list_free(names);
	pfree(copy);
	return found;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = pg_tolower((unsigned char) c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* URL-decodes [start, end) into out; false if it is too long or no text. */
static bool
decode(const char *start, const char *end, char *out)
{
	int			n = 0;

	while (start < end)
	{
		char		c = *start++;

		if (c == '\\' && start < end)
			c = *start++;
		else if (c == '%' && end - start >= 2 && hex_digit(start[0]) >= 0 && hex_digit(start[1]) >= 0)
		{
			c = (char) (hex_digit(start[0]) * 16 + hex_digit(start[1]));
			start += 2;
		}
		if (c == '\0' || n == MAX_TAG)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return n > 0 && pg_verifymbstr(out, n, true);
}

/* The end of a value that begins at start, its closing quote; NULL: there is none. */
static const char *
value_end(const char *start, const char *end)
{
	for (; start < end; start++)
	{
		if (*start == '\\')
			start++;
		else if (*start == '\'')
			return start;
	}
	return NULL;
}

static void
add_tag(const char *key, const char *value, StringInfo json)
{
	int			before = json->len;

	appendStringInfoChar(json, json->len == 0 ? '{' : ',');
	escape_json(json, key);
	appendStringInfoChar(json, ':');
	escape_json(json, value);
	if (json->len >= MAX_TAGS)
	{
		json->len = before;
		json->data[before] = '\0';
	}
}

/* Tags of one comment's inside. */
static void
read_comment(const char *at, const char *end, StringInfo json)
{
	char		key[MAX_TAG + 1];
	char		value[MAX_TAG + 1];

	while (at < end)
	{
		const char *key_start;
		const char *key_end;
		const char *closing;

		while (at < end && (*at == ' ' || *at == ','))
			at++;
		key_start = at;
		while (at < end && *at != '=' && *at != ',' && *at != ' ')
			at++;
		key_end = at;
		if (end - at < 2 || at[0] != '=' || at[1] != '\'')
			return;				/* no such comment */
		closing = value_end(at + 2, end);
		if (closing == NULL)
			return;
		if (decode(key_start, key_end, key) && is_allowed(key) && decode(at + 2, closing, value))
			add_tag(key, value, json);
		at = closing + 1;
	}
}

/*
 * What lies between two tokens: white space and comments.  Tags are added to
 * json, an object without its closing brace, empty without any.
 */
void
dbu_track_read_tags(const char *start, const char *end, StringInfo json)
{
	if (allowed_tags[0] == '\0')
		return;
	while (end - start >= 4)
	{
		const char *opening = memchr(start, '/', end - start - 1);
		const char *closing;

		if (opening == NULL)
			return;
		if (opening[1] != '*')
		{
			start = opening + 1;
			continue;
		}
		for (closing = opening + 2; closing + 1 < end; closing++)
		{
			if (closing[0] == '*' && closing[1] == '/')
				break;
		}
		if (closing + 1 >= end)
			return;
		read_comment(opening + 2, closing, json);
		start = closing + 2;
	}
}
