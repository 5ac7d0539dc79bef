/*-------------------------------------------------------------------------
 *
 * normalize.c
 *	  A statement's text without its literals.
 *
 * The server's own scanner cuts the text into tokens.  Every literal becomes
 * a parameter, numbered after those that the text already has; comments go
 * and white space becomes one blank.  In SET, and in ALTER or CREATE ... SET,
 * names that stand for the new value are replaced as well, also in the form
 * SET TIME ZONE, which has neither = nor TO.  So no value that
 * a user typed, a password in ALTER ROLE included, is ever kept.  Literals are
 * told by how they begin, not by token code: the codes are private to
 * PostgreSQL's grammar.
 *
 * Where a literal ends depends on standard_conforming_strings.  In a session
 * that ever had it off, a prepared statement may be read here under another
 * value than it was parsed under, so a text with a backslash in it is not kept
 * there.  A text that the scanner refuses is not kept either.
 *
 * Runs without locks, in the caller's memory context.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "track/track.h"

#include "common/keywords.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define UNREADABLE "<unreadable>"

/* What is beyond is not looked at: bounds the work for one text. */
#define MAX_SCANNED (1024 * 1024)

/* Was standard_conforming_strings ever seen off in this session? */
static bool escapes_uncertain = false;

/* Where the value of a SET may begin. */
typedef enum SetState
{
	SET_NONE,					/* not in such a statement, or not yet */
	SET_FIRST,					/* right behind SET, SET LOCAL, SET SESSION */
	SET_TIME,					/* behind TIME there: ZONE may follow */
	SET_NAME,					/* in a setting's name */
	SET_VALUE					/* behind = or TO, or TIME ZONE */
} SetState;

/* Called at each statement: what the setting is now. */
void
dbu_track_note_escapes(void)
{
	if (!standard_conforming_strings)
		escapes_uncertain = true;
}

static void
find_text(const DbuTrackSource *source, const char **start, int *length)
{
	if (source->location >= 0)
	{
		*start = source->text + source->location;
		*length = source->length > 0 ? source->length : strlen(*start);
	}
	else
	{
		*start = source->text;
		*length = strlen(*start);
	}
}

/*
 * Is it certain that the scanner accepts the text?  For where an error may
 * not even be caught.
 */
bool
dbu_track_is_plain(const DbuTrackSource *source)
{
	const char *start;
	int			length;

	if (source->text == NULL || !source->whole)
		return false;
	find_text(source, &start, &length);
	return length <= MAX_SCANNED && memchr(start, '\\', length) == NULL;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Is it a name or a key word, or else a character that cannot be in one? */
static bool
is_word(const char *token)
{
	unsigned char c = (unsigned char) token[0];

	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		c == '"' || c >= 0x80;
}

static bool
is_literal(const char *token)
{
	char		c = token[0];

	if (is_digit(c) || c == '\'')
		return true;
	if (c == '.')
		return is_digit(token[1]);
	if (c == '$')				/* a dollar-quoted string, unless $n */
		return !is_digit(token[1]);
	if (c == 'u' || c == 'U')
		return token[1] == '&' && token[2] == '\'';
	return strchr("bBxXeEnN", c) != NULL && token[1] == '\'';
}

static SetState
next_set_state(SetState state, const char *token)
{
	if (state == SET_VALUE)
		return SET_VALUE;
	if (pg_strcasecmp(token, "set") == 0)
		return SET_FIRST;
	if (state == SET_FIRST && pg_strcasecmp(token, "time") == 0)
		return SET_TIME;
	if (state == SET_TIME && pg_strcasecmp(token, "zone") == 0)
		return SET_VALUE;
	if (state == SET_FIRST &&
		(pg_strcasecmp(token, "local") == 0 || pg_strcasecmp(token, "session") == 0))
		return SET_FIRST;
	if (state != SET_NONE)
	{
		if (strcmp(token, "=") == 0 || pg_strcasecmp(token, "to") == 0)
			return SET_VALUE;
		if (is_word(token) || strcmp(token, ".") == 0)
			return SET_NAME;
	}
	return SET_NONE;
}

/*
 * Copies tokens to out until it holds limit bytes or the text ends.  For a
 * literal it writes nothing and adds its place in out to places.  Raises on a
 * bad text; what out and places hold then is still right.
 */
static void
scan(char *text, int length, bool cut, bool utility, int limit,
	 StringInfo out, StringInfo places, StringInfo tags, int *max_parameter)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	SetState	state = SET_NONE;
	bool		may_set = false;
	bool		first = true;
	bool		after_word = false;
	int			end = 0;

	scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	extra.escape_string_warning = false;

	while (out->len <= limit && core_yylex(&value, &location, scanner) != 0)
	{
		/* the scanner ends the current token by a NUL in its own copy */
		const char *token = extra.scanbuf + location;
		int			token_length = (int) strlen(token);
		bool		hide = is_literal(token);

		dbu_track_read_tags(text + end, text + location, tags);
		/* a token at the cut may be a part of one */
		if (cut && location + token_length >= length)
			break;

		if (first && utility)
			may_set = pg_strcasecmp(token, "set") == 0 ||
				pg_strcasecmp(token, "alter") == 0 ||
				pg_strcasecmp(token, "create") == 0;
		if (may_set)
		{
			if (state == SET_VALUE && is_word(token) && pg_strcasecmp(token, "default") != 0)
				hide = true;
			state = next_set_state(state, token);
		}

		if (!first && (location > end || (hide && after_word)))
			appendStringInfoChar(out, ' ');
		if (hide)
			appendBinaryStringInfo(places, (char *) &out->len, sizeof(out->len));
		else
		{
			if (token[0] == '$')
			{
				long		n = strtol(token + 1, NULL, 10);

				*max_parameter = Max(*max_parameter, (int) Min(n, PG_UINT16_MAX));
			}
			appendBinaryStringInfo(out, token, token_length);
		}
		after_word = !hide && is_word(token);
		first = false;
		end = location + token_length;
	}
	/* a comment at the end, where sqlcommenter puts it */
	if (out->len <= limit)
		dbu_track_read_tags(text + end, text + length, tags);
	scanner_finish(scanner);
}

/*
 * scan(), with what it raises about the text as its answer: false if the text
 * is bad.  Errors of another kind go on their way.
 */
static bool
scan_caught(char *text, int length, bool cut, bool utility, int limit,
			StringInfo out, StringInfo places, StringInfo tags, int *max_parameter)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool good = true;
	int			client_level = client_min_messages;
	int			log_level = log_min_messages;

	/* the parser has told of truncated identifiers already, once is enough */
	client_min_messages = ERROR;
	log_min_messages = ERROR;
	PG_TRY();
	{
		scan(text, length, cut, utility, limit, out, places, tags, max_parameter);
	}
	PG_CATCH();
	{
		int			category;

		client_min_messages = client_level;
		log_min_messages = log_level;
		MemoryContextSwitchTo(context);
		category = ERRCODE_TO_CATEGORY(geterrcode());
		if (category != ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION &&
			category != ERRCODE_DATA_EXCEPTION &&
			category != ERRCODE_FEATURE_NOT_SUPPORTED)
			PG_RE_THROW();
		FlushErrorState();
		good = false;
	}
	PG_END_TRY();
	client_min_messages = client_level;
	log_min_messages = log_level;
	return good;
}

/*
 * The text without literals, palloc'd, cut to at most limit bytes at a
 * character's boundary.  tags: a JSON object of the tags in its comments,
 * palloc'd, NULL if there are none.
 */
char *
dbu_track_normalize(const DbuTrackSource *source, int limit, char **tags)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	StringInfoData out;
	StringInfoData places;
	StringInfoData found;
	StringInfoData numbered;
	const char *start;
	char	   *result;
	int			length;
	int			max_parameter = 0;
	bool		cut = !source->whole;
	int			done = 0;

	*tags = NULL;
	if (source->text == NULL)
		return pstrdup(UNREADABLE);
	find_text(source, &start, &length);
	if (length > MAX_SCANNED)
	{
		length = MAX_SCANNED;
		cut = true;
	}
	if (escapes_uncertain && memchr(start, '\\', length) != NULL)
		return pstrdup(UNREADABLE);

	context = AllocSetContextCreate(caller, "dbutil normalize", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	if (cut)
		length = pg_mbcliplen(start, length, length);
	initStringInfo(&out);
	initStringInfo(&places);
	initStringInfo(&found);
	initStringInfo(&numbered);

	/* of a text that was cut, the tokens before the cut are good */
	if (!scan_caught(pnstrdup(start, length), length, cut, source->utility, limit,
					 &out, &places, &found, &max_parameter) && !cut)
	{
		resetStringInfo(&found);
		resetStringInfo(&out);
		resetStringInfo(&places);
		appendStringInfoString(&out, UNREADABLE);
	}

	for (int i = 0; i < places.len / (int) sizeof(int); i++)
	{
		int			place = ((int *) places.data)[i];

		appendBinaryStringInfo(&numbered, out.data + done, place - done);
		appendStringInfo(&numbered, "$%d", ++max_parameter);
		done = place;
	}
	appendBinaryStringInfo(&numbered, out.data + done, out.len - done);

	MemoryContextSwitchTo(caller);
	if (found.len > 0)
		*tags = psprintf("%s}", found.data);
	result = pnstrdup(numbered.data, pg_mbcliplen(numbered.data, numbered.len, limit));
	MemoryContextDelete(context);
	return result;
}
