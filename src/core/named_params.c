/*-------------------------------------------------------------------------
 *
 * named_params.c
 *	  Parameters in the text of a statement: finding :name, binding values.
 *
 * The server's own scanner cuts the text into tokens, so what looks like
 * :name inside a string, a quoted identifier or a comment is none, and :: and
 * := are tokens of their own.  Two places are left where a colon may belong
 * to SQL: an array slice, [low:high], and a JSON constructor, key : value.
 * There a colon that follows an operand is SQL's; after the opening bracket
 * itself, as in [:name], it is a parameter if the caller gave a value of that
 * name, else an open slice; but in ARRAY[:name], where nothing can be sliced,
 * it is always a parameter.  Tokens are told by their text, not their codes:
 * these are private to PostgreSQL's grammar.
 *
 * $n takes the place of :name.  Its type comes from parse analysis; the JSON
 * value is then read by that type's input function.  Arrays and composite
 * values go through jsonb_to_record(), which knows how to nest them.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/named_params.h"

#include "catalog/pg_type.h"
#include "common/keywords.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "parser/scanner.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

/* What the innermost open bracket makes of a colon. */
#define FRAME_PLAIN		'('
#define FRAME_JSON		'{'
#define FRAME_SUBSCRIPT	'['
#define FRAME_ARRAY		'A'

typedef struct FindState
{
	StringInfoData frames;		/* a stack of the above */
	bool		after_operand;	/* the last token ended a value */
	bool		after_bracket;	/* the last token was [ of a subscript */
	bool		after_array;	/* the last token was ARRAY */
	bool		after_json;		/* the last token names a JSON constructor */
	int			colon;			/* offset of a colon that may begin :name, or -1 */
	bool		colon_needs_key;	/* ... only if a value of that name is there */
	bool		positional;		/* $n was seen */
	List	   *edits;			/* of the query, once the scan is over */
} FindState;

static bool
is_name_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

/* Is the token an identifier without quotes, or a key word? */
static bool
is_word(const char *token)
{
	if (token[0] == '$' || (token[0] >= '0' && token[0] <= '9'))
		return false;
	for (const char *c = token; *c != '\0'; c++)
	{
		if (!is_name_char((unsigned char) *c))
			return false;
	}
	return token[0] != '\0';
}

/* Reserved words that are values. */
static bool
is_value_word(const char *word)
{
	static const char *const words[] = {
		"current_catalog", "current_date", "current_role", "current_time",
		"current_timestamp", "current_user", "end", "false", "localtime",
		"localtimestamp", "null", "session_user", "true", "user"
	};

	for (int i = 0; i < lengthof(words); i++)
	{
		if (pg_strcasecmp(word, words[i]) == 0)
			return true;
	}
	return false;
}

static char
top_frame(const FindState *state)
{
	return state->frames.len > 0 ? state->frames.data[state->frames.len - 1] : FRAME_PLAIN;
}

/* A colon: may a parameter's name follow it? */
static void
meet_colon(FindState *state, int location)
{
	char		frame = top_frame(state);
	bool		separator = (frame == FRAME_JSON || frame == FRAME_SUBSCRIPT) &&
		state->after_operand;

	state->colon = separator ? -1 : location;
	state->colon_needs_key = state->after_bracket;
	state->after_operand = false;
	state->after_bracket = false;
	state->after_array = false;
}

/* Any token but a colon and a parameter's name. */
static void
meet_token(FindState *state, const char *token)
{
	bool		json = state->after_json;
	bool		array = state->after_array;
	bool		operand = false;

	state->after_bracket = false;
	state->after_array = false;
	state->after_json = false;
	if (is_word(token))
	{
		int			keyword = ScanKeywordLookup(token, &ScanKeywords);

		/* after an operand a word is syntax: 'k' VALUE, x IS */
		if (keyword >= 0 && ScanKeywordCategories[keyword] == RESERVED_KEYWORD)
		{
			operand = is_value_word(token);
			state->after_array = pg_strcasecmp(token, "array") == 0;
		}
		else
			operand = !state->after_operand;
		state->after_json = pg_strcasecmp(token, "json_object") == 0 ||
			pg_strcasecmp(token, "json_objectagg") == 0;
	}
	else if (strcmp(token, "(") == 0)
		appendStringInfoChar(&state->frames, json ? FRAME_JSON : FRAME_PLAIN);
	else if (strcmp(token, "[") == 0)
	{
		/* ARRAY[[ ... */
		if (top_frame(state) == FRAME_ARRAY && !state->after_operand)
			array = true;
		appendStringInfoChar(&state->frames, array ? FRAME_ARRAY : FRAME_SUBSCRIPT);
		state->after_bracket = !array;
	}
	else if (strcmp(token, ")") == 0 || strcmp(token, "]") == 0)
	{
		if (state->frames.len > 0)
			state->frames.data[--state->frames.len] = '\0';
		operand = true;
	}
	else
	{
		size_t		length = strlen(token);
		char		last = token[length - 1];

		/* a constant, a quoted identifier or $n, not an operator */
		operand = is_name_char((unsigned char) last) || last == '\'' || last == '"' ||
			(last == '.' && length > 1 && token[0] >= '0' && token[0] <= '9');
		if (token[0] == '$' && token[1] >= '0' && token[1] <= '9')
			state->positional = true;
	}
	state->after_operand = operand;
}

/* The value of a key, or NULL. */
static JsonbValue *
value_of(Jsonb *params, const char *name)
{
	if (params == NULL || !JB_ROOT_IS_OBJECT(params))
		return NULL;
	return getKeyJsonValueFromContainer(&params->root, name, strlen(name), NULL);
}

/* The number of a name, which is new or was seen before. */
static int
number_of(DbuQueryText *query, const char *name)
{
	ListCell   *lc;

	foreach(lc, query->names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return foreach_current_index(lc) + 1;
	}
	query->names = lappend(query->names, pstrdup(name));
	return list_length(query->names);
}

/* Puts $n in place of :name, which starts at the given offset. */
static void
replace_name(DbuQueryText *query, FindState *state, StringInfo out, int *copied,
			 int start, const char *name)
{
	DbuTextEdit *edit = palloc(sizeof(DbuTextEdit));

	appendBinaryStringInfo(out, query->original + *copied, start - *copied);
	/* a:b must not become the identifier a$1 */
	if (start > 0 && is_name_char((unsigned char) query->original[start - 1]))
		appendStringInfoChar(out, ' ');
	edit->original_start = start;
	edit->original_length = 1 + (int) strlen(name);
	edit->start = out->len;
	appendStringInfo(out, "$%d", number_of(query, name));
	edit->length = out->len - edit->start;
	state->edits = lappend(state->edits, edit);
	*copied = start + edit->original_length;
}

/*
 * Raises 22023 and 42P02 unless every key of params is a parameter of the
 * query and every name has a value.
 */
void
dbu_check_params(const DbuQueryText *query, Jsonb *params)
{
	ListCell   *lc;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	key;

	if (params != NULL && (JB_ROOT_IS_SCALAR(params) ||
						   !(JB_ROOT_IS_ARRAY(params) || JB_ROOT_IS_OBJECT(params))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("params must be a JSON array or a JSON object"),
				 errhint("Pass an array of values for $1, $2, ... or an object with a value for each :name.")));
	if (query->names != NIL && params != NULL && JB_ROOT_IS_ARRAY(params))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query has the named parameter \":%s\" but params is a JSON array",
						(char *) linitial(query->names)),
				 errhint("Pass a JSON object with a value for each name, or write $1, $2, ... in the query.")));
	foreach(lc, query->names)
	{
		if (value_of(params, lfirst(lc)) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_PARAMETER),
					 errmsg("there is no value for parameter \":%s\"", (char *) lfirst(lc)),
					 errhint("Pass params as a JSON object that has the key \"%s\".",
							 (char *) lfirst(lc))));
	}
	if (params == NULL || !JB_ROOT_IS_OBJECT(params))
		return;

	it = JsonbIteratorInit(&params->root);
	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		char	   *name;
		bool		used = false;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(key.val.string.val, key.val.string.len);
		foreach(lc, query->names)
			used |= strcmp(lfirst(lc), name) == 0;
		if (!used)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("parameter \"%s\" is not used in the query", name),
					 query->positional ?
					 errhint("The query has positional parameters: pass their values as a JSON array.") :
					 errhint("The query uses a parameter by writing \":%s\" outside strings and comments.", name)));
	}
}

/*
 * Fills *query: finds the names in the text and puts $n in their place.  params
 * (NULL: not known) decides about [:name] only.  Raises what the scanner says
 * of a bad text, and 22023 if it has both kinds of parameters.
 */
void
dbu_find_params(DbuQueryText *query, const char *original, Jsonb *params)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	FindState	state = {.colon = -1};
	StringInfoData out;
	int			copied = 0;

	memset(query, 0, sizeof(*query));
	query->original = original;
	query->text = original;
	initStringInfo(&state.frames);
	initStringInfo(&out);
	scanner = scanner_init(original, &extra, &ScanKeywords, ScanKeywordTokens);
	extra.escape_string_warning = false;	/* the parser will give it */
	while (core_yylex(&value, &location, scanner) != 0)
	{
		/* the scanner ends the current token by a NUL in its own copy */
		const char *token = extra.scanbuf + location;
		int			colon = state.colon;

		state.colon = -1;
		if (colon >= 0 && location == colon + 1 && is_word(token) &&
			(!state.colon_needs_key || value_of(params, token) != NULL))
		{
			replace_name(query, &state, &out, &copied, colon, token);
			state.after_operand = true;
		}
		else if (strcmp(token, ":") == 0)
			meet_colon(&state, location);
		else
			meet_token(&state, token);
	}
	scanner_finish(scanner);

	/* not before: an error of the scanner points into the original text */
	if (state.edits != NIL)
	{
		appendStringInfoString(&out, original + copied);
		query->text = out.data;
		query->edits = state.edits;
	}
	query->positional = state.positional;
	if (query->names != NIL && query->positional)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the query mixes named and positional parameters"),
				 errhint("Use either :name for all parameters, or $1, $2, and so on.")));
}

/*
 * The position (1-based, in characters) in the original text of a position in
 * the text that was parsed.
 */
int
dbu_original_position(const DbuQueryText *query, int position)
{
	const char *at = query->text;
	int			offset;
	int			shift = 0;
	ListCell   *lc;

	for (int i = 1; i < position && *at != '\0'; i++)
		at += pg_mblen(at);
	offset = at - query->text;
	foreach(lc, query->edits)
	{
		DbuTextEdit *edit = lfirst(lc);

		if (offset < edit->start)
			break;
		if (offset < edit->start + edit->length)
		{
			offset = edit->start;
			shift = edit->original_start - edit->start;
			break;
		}
		shift = edit->original_start + edit->original_length -
			(edit->start + edit->length);
	}
	return pg_mbstrlen_with_len(query->original, offset + shift) + 1;
}

/* ---------- binding ---------- */

static void
bind_error_callback(void *arg)
{
	errcontext("value of parameter \"%s\"", (const char *) arg);
}

/* A JSON array or object as a value of an array or composite type. */
static Datum
container_value(Jsonb *value, Oid type, bool *isnull)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			argtypes[1] = {JSONBOID};
	Datum		args[1] = {JsonbPGetDatum(value)};
	char	   *sql;
	Datum		result;
	int16		typlen;
	bool		typbyval;

	sql = psprintf("SELECT value FROM pg_catalog.jsonb_to_record("
				   "pg_catalog.jsonb_build_object('value', $1)) AS r(value %s)",
				   format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY));
	SPI_connect();
	if (SPI_execute_with_args(sql, 1, argtypes, args, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not read a JSON value as type %s", format_type_be(type))));
	result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
	if (!*isnull)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		get_typlenbyval(type, &typlen, &typbyval);
		result = datumCopy(result, typbyval, typlen);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return result;
}

/* NULL is as good as a JSON null. */
static Datum
bind_value(const JsonbValue *value, Oid type, bool *isnull)
{
	Oid			base = getBaseType(type);
	Oid			input;
	Oid			ioparam;
	char	   *text;

	if (value != NULL && value->type == jbvBinary && base != JSONOID && base != JSONBOID &&
		(OidIsValid(get_element_type(base)) || type_is_rowtype(base)))
		return container_value(JsonbValueToJsonb((JsonbValue *) value), type, isnull);

	if (value == NULL || value->type == jbvNull)
		text = NULL;
	else if (value->type == jbvString && base != JSONOID && base != JSONBOID)
		text = pnstrdup(value->val.string.val, value->val.string.len);
	else
	{
		Jsonb	   *jsonb = JsonbValueToJsonb((JsonbValue *) value);

		text = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
	}
	*isnull = text == NULL;
	getTypeInputInfo(type, &input, &ioparam);
	/* with NULL too: a domain may forbid it */
	return OidInputFunctionCall(input, text, ioparam, -1);
}

/*
 * The values for the parameters of the given types, which parse analysis
 * found; NULL if there are none.  dbu_check_params() has seen to it
 * that names and keys fit.
 */
ParamListInfo
dbu_bind_params(const DbuQueryText *query, Jsonb *params,
						const Oid *types, int ntypes)
{
	bool		named = query->names != NIL;
	int			nvalues = 0;
	ParamListInfo list;

	if (params != NULL && JB_ROOT_IS_ARRAY(params))
		nvalues = JB_ROOT_COUNT(params);
	if (nvalues > ntypes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("too many values in params: the query has %d, params has %d",
						ntypes, nvalues),
				 errhint("Pass one value for each of $1, $2, ... that the query uses.")));
	if (!named && nvalues < ntypes)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_PARAMETER),
				 errmsg("there is no value for parameter $%d", nvalues + 1),
				 errhint_plural("Pass params as a JSON array with %d value.",
								"Pass params as a JSON array with %d values.",
								ntypes, ntypes)));
	if (ntypes == 0)
		return NULL;

	list = makeParamList(ntypes);
	for (int i = 0; i < ntypes; i++)
	{
		ParamExternData *param = &list->params[i];
		char	   *name = named ? list_nth(query->names, i) : psprintf("$%d", i + 1);
		JsonbValue *value = named ? value_of(params, name) :
			getIthJsonbValueFromContainer(&params->root, i);
		ErrorContextCallback callback = {
			.previous = error_context_stack,
			.callback = bind_error_callback,
			.arg = name
		};

		error_context_stack = &callback;
		param->ptype = types[i];
		param->pflags = PARAM_FLAG_CONST;
		param->value = bind_value(value, types[i], &param->isnull);
		error_context_stack = callback.previous;
	}
	return list;
}
