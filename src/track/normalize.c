/*-------------------------------------------------------------------------
 *
 * normalize.c
 *	  A statement's text without its literals.
 *
 * The server's own scanner cuts the text into tokens.  Every literal becomes
 * a parameter, numbered after those that the text already has; comments go
 * and white space becomes one blank.  So no value that a user typed, a
 * password in ALTER ROLE included, is ever kept.  Literals are told by how
 * they begin, not by token code: the codes are private to PostgreSQL's grammar.
 *
 * A text that the scanner refuses (it was accepted under another setting of
 * standard_conforming_strings, say) is not kept at all.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "track/track.h"

#include "common/keywords.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "parser/scanner.h"
#include "utils/memutils.h"

#define UNREADABLE "<unreadable>"

/* If the token is $n, its n; else 0. */
static int
parameter_number(const char *token)
{
	return token[0] == '$' && token[1] >= '0' && token[1] <= '9' ? atoi(token + 1) : 0;
}

static bool
is_literal(const char *token)
{
	unsigned char c = (unsigned char) token[0];

	if ((c >= '0' && c <= '9') || c == '\'')
		return true;
	if (c == '.')
		return token[1] >= '0' && token[1] <= '9';
	if (c == '$')				/* a dollar-quoted string, unless $n */
		return !(token[1] >= '0' && token[1] <= '9');
	if (strchr("bBxXeEnN", c) != NULL)
		return token[1] == '\'';
	if (c == 'u' || c == 'U')
		return token[1] == '&' && token[2] == '\'';
	return false;
}

/* Calls visit for each token until the text ends; raises on a bad text. */
static void
scan(char *text, StringInfo out, int *max_parameter)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	int			next_parameter = *max_parameter;
	int			end = 0;

	scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	extra.escape_string_warning = false;

	while (core_yylex(&value, &location, scanner) != 0)
	{
		/* the scanner ends the current token by a NUL in its own copy */
		const char *token = extra.scanbuf + location;
		int			length = (int) strlen(token);

		if (out == NULL)
			*max_parameter = Max(*max_parameter, parameter_number(token));
		else
		{
			if (out->len > 0 && location > end)
				appendStringInfoChar(out, ' ');
			if (is_literal(token))
				appendStringInfo(out, "$%d", ++next_parameter);
			else
				appendBinaryStringInfo(out, token, length);
		}
		end = location + length;
	}
	scanner_finish(scanner);
}

/*
 * The text of a statement without literals, palloc'd, cut to at most limit
 * bytes at a character's boundary.  location and length are those of a
 * PlannedStmt: -1 and 0 stand for "from the start" and "to the end".
 */
char *
dbu_track_normalize(const char *source, int location, int length, int limit)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	StringInfoData out;
	char	   *text;
	char	   *result;
	int			max_parameter = 0;

	if (source == NULL)
		return pstrdup(UNREADABLE);

	context = AllocSetContextCreate(caller, "dbutil normalize", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	if (location < 0)
	{
		location = 0;
		length = 0;
	}
	text = length > 0 ? pnstrdup(source + location, length) : pstrdup(source + location);

	initStringInfo(&out);
	PG_TRY();
	{
		scan(text, NULL, &max_parameter);
		scan(text, &out, &max_parameter);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		/* only what the scanner says of the text is an answer to us */
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_FEATURE_NOT_SUPPORTED)
			PG_RE_THROW();
		FlushErrorState();
		resetStringInfo(&out);
		appendStringInfoString(&out, UNREADABLE);
	}
	PG_END_TRY();

	MemoryContextSwitchTo(caller);
	result = pnstrdup(out.data, pg_mbcliplen(out.data, out.len, limit));
	MemoryContextDelete(context);
	return result;
}
