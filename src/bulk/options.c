/*-------------------------------------------------------------------------
 *
 * options.c
 *	  The parameters of a call, from its arguments or from the jsonb that
 *	  bulk_explain takes.
 *
 * One table for each operation says what there is.  Its order is the order of
 * the SQL function's parameters after the first two, its names are theirs, so
 * that both ways of giving a parameter read, check and complain alike.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"
#include "core/errors.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

typedef enum OptionKind
{
	OPTION_NAMES,				/* List * of char * */
	OPTION_NAME,				/* char * */
	OPTION_WORD,				/* int: index into words */
	OPTION_ROWS,				/* int, at least 1 */
	OPTION_COUNT,				/* int64, at least 0 */
	OPTION_TABLE,				/* Oid */
	OPTION_FLAG					/* bool */
} OptionKind;

typedef struct Option
{
	const char *name;
	OptionKind	kind;
	Size		offset;			/* within DbuBulkOptions */
	const char *const *words;	/* ends with NULL */
} Option;

static const char *const on_conflict_words[] = {"error", "nothing", "update", "update_if_changed", "reject", NULL};
static const char *const duplicates_words[] = {"error", "first", "last", NULL};
static const char *const nulls_words[] = {"set", "keep", NULL};
static const char *const update_missing_words[] = {"ignore", "error", "reject", "insert", NULL};
static const char *const delete_missing_words[] = {"ignore", "error", "reject", NULL};
static const char *const locked_words[] = {"wait", "skip", "error", NULL};
static const char *const on_error_words[] = {"abort", "reject", NULL};

#define FIELD(field) offsetof(DbuBulkOptions, field)

static const Option insert_options[] = {
	{"columns", OPTION_NAMES, FIELD(columns)},
	{"on_conflict", OPTION_WORD, FIELD(on_conflict), on_conflict_words},
	{"conflict_columns", OPTION_NAMES, FIELD(conflict_columns)},
	{"conflict_constraint", OPTION_NAME, FIELD(conflict_constraint)},
	{"update_columns", OPTION_NAMES, FIELD(update_columns)},
	{"duplicates", OPTION_WORD, FIELD(duplicates), duplicates_words},
	{"on_error", OPTION_WORD, FIELD(on_error), on_error_words},
	{"max_errors", OPTION_COUNT, FIELD(max_errors)},
	{"chunk_rows", OPTION_ROWS, FIELD(chunk_rows)},
	{"dry_run", OPTION_FLAG, FIELD(dry_run)},
	{"reject_to", OPTION_TABLE, FIELD(reject_to)},
	{NULL}
};

static const Option update_options[] = {
	{"key", OPTION_NAMES, FIELD(key)},
	{"set_columns", OPTION_NAMES, FIELD(set_columns)},
	{"nulls", OPTION_WORD, FIELD(nulls_keep), nulls_words},
	{"skip_unchanged", OPTION_FLAG, FIELD(skip_unchanged)},
	{"missing", OPTION_WORD, FIELD(missing), update_missing_words},
	{"locked", OPTION_WORD, FIELD(locked), locked_words},
	{"on_error", OPTION_WORD, FIELD(on_error), on_error_words},
	{"max_errors", OPTION_COUNT, FIELD(max_errors)},
	{"chunk_rows", OPTION_ROWS, FIELD(chunk_rows)},
	{"dry_run", OPTION_FLAG, FIELD(dry_run)},
	{"reject_to", OPTION_TABLE, FIELD(reject_to)},
	{NULL}
};

static const Option delete_options[] = {
	{"key", OPTION_NAMES, FIELD(key)},
	{"missing", OPTION_WORD, FIELD(missing), delete_missing_words},
	{"locked", OPTION_WORD, FIELD(locked), locked_words},
	{"on_error", OPTION_WORD, FIELD(on_error), on_error_words},
	{"max_errors", OPTION_COUNT, FIELD(max_errors)},
	{"chunk_rows", OPTION_ROWS, FIELD(chunk_rows)},
	{"dry_run", OPTION_FLAG, FIELD(dry_run)},
	{"reject_to", OPTION_TABLE, FIELD(reject_to)},
	{NULL}
};

/* Of the procedures; the others are not options of a call. */
static const Option insert_batches_options[] = {
	{"on_conflict", OPTION_WORD, FIELD(on_conflict), on_conflict_words},
	{"conflict_columns", OPTION_NAMES, FIELD(conflict_columns)},
	{"conflict_constraint", OPTION_NAME, FIELD(conflict_constraint)},
	{"update_columns", OPTION_NAMES, FIELD(update_columns)},
	{"duplicates", OPTION_WORD, FIELD(duplicates), duplicates_words},
	{"on_error", OPTION_WORD, FIELD(on_error), on_error_words},
	{"max_errors", OPTION_COUNT, FIELD(max_errors)},
	{"reject_to", OPTION_TABLE, FIELD(reject_to)},
	{NULL}
};

static const Option write_batches_options[] = {
	{"locked", OPTION_WORD, FIELD(locked), locked_words},
	{NULL}
};

static const Option *const options_of[DBU_BULK_NOPS] = {
	insert_options, update_options, delete_options
};

static char *
join_words(const char *const *words)
{
	StringInfoData text;

	initStringInfo(&text);
	for (; *words; words++)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "", *words);
	return text.data;
}

static int
word_index(const Option *option, const char *value)
{
	for (int i = 0; option->words[i]; i++)
	{
		if (strcmp(option->words[i], value) == 0)
			return i;
	}
	dbu_error_bad_word(option->name, value, join_words(option->words));
}

static void
set_rows(const Option *option, int *place, int64 value)
{
	if (value < 1 || value > INT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"%s\": " INT64_FORMAT, option->name, value),
				 errhint("Use a number of rows from 1 to %d.", INT_MAX)));
	*place = (int) value;
}

static void
set_count(const Option *option, int64 *place, int64 value)
{
	if (value < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"%s\": " INT64_FORMAT, option->name, value),
				 errhint("Use 0 or more, or NULL for no limit.")));
	*place = value;
}

/* A list of names must say something, and nothing twice. */
static void
check_names(const Option *option, List *names)
{
	ListCell   *lc;

	if (names == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter \"%s\" is empty", option->name),
				 errhint("Name at least one column, or leave the parameter out.")));
	foreach(lc, names)
	{
		for (int i = 0; i < foreach_current_index(lc); i++)
		{
			if (strcmp(list_nth(names, i), lfirst(lc)) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("parameter \"%s\" names column \"%s\" more than once",
								option->name, (char *) lfirst(lc)),
						 errhint("Name each column once.")));
		}
	}
}

static List *
names_from_array(const Option *option, ArrayType *array)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
	List	   *names = NIL;

	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("parameter \"%s\" has a null element", option->name),
					 errhint("Name columns only.")));
		names = lappend(names, pstrdup(NameStr(*DatumGetName(values[i]))));
	}
	return names;
}

/* Where rejecting is asked for in other words. */
static void
settle_rejects(DbuBulkCall *call)
{
	DbuBulkOptions *opt = &call->opt;

	if (opt->on_conflict == DBU_CONFLICT_REJECT)
	{
		opt->on_conflict = DBU_CONFLICT_ERROR;
		opt->reject_conflicts = true;
	}
	if (opt->on_error && opt->missing == DBU_MISSING_ERROR)
		opt->missing = DBU_MISSING_REJECT;
	if (opt->on_error || opt->reject_conflicts || opt->missing == DBU_MISSING_REJECT)
	{
		if (OidIsValid(opt->reject_to))
			dbu_bulk_rejects_check_target(opt->reject_to);
		dbu_bulk_rejects_begin(call);
		return;
	}
	if (opt->max_errors >= 0 || OidIsValid(opt->reject_to))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has no meaning unless rows are rejected",
						opt->max_errors >= 0 ? "max_errors" : "reject_to"),
				 errhint("Set on_error to reject.")));
}

/* Rules between parameters. */
static void
check_together(DbuBulkCall *call)
{
	const DbuBulkOptions *opt = &call->opt;
	bool		updates = opt->on_conflict == DBU_CONFLICT_UPDATE ||
		opt->on_conflict == DBU_CONFLICT_UPDATE_IF_CHANGED;

	if (opt->conflict_columns != NIL && opt->conflict_constraint != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("conflict_columns and conflict_constraint exclude each other"),
				 errhint("Give one of them.")));
	if (opt->on_conflict == DBU_CONFLICT_ERROR &&
		opt->duplicates == DBU_DUPLICATES_ERROR &&
		(opt->conflict_columns != NIL || opt->conflict_constraint != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("conflict_columns and conflict_constraint have no meaning with on_conflict \"error\""),
				 errhint("Set on_conflict to nothing, update or update_if_changed, or duplicates to first or last.")));
	if (opt->update_columns != NIL && !updates)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("update_columns has no meaning unless on_conflict updates"),
				 errhint("Set on_conflict to update or update_if_changed.")));
	settle_rejects(call);
}

/* The arguments from arg on are the options in this order. */
static void
options_from_args(DbuBulkCall *call, FunctionCallInfo fcinfo, int arg, const Option *options)
{
	for (const Option *option = options; option->name; option++, arg++)
	{
		void	   *place = (char *) &call->opt + option->offset;

		Assert(arg < PG_NARGS());
		if (PG_ARGISNULL(arg))
		{
			if (option->kind == OPTION_WORD || option->kind == OPTION_FLAG)
				dbu_error_null_argument(option->name);
			continue;
		}
		switch (option->kind)
		{
			case OPTION_NAMES:
				*(List **) place = names_from_array(option, PG_GETARG_ARRAYTYPE_P(arg));
				check_names(option, *(List **) place);
				break;
			case OPTION_NAME:
				*(char **) place = pstrdup(NameStr(*PG_GETARG_NAME(arg)));
				break;
			case OPTION_WORD:
				*(int *) place = word_index(option, text_to_cstring(PG_GETARG_TEXT_PP(arg)));
				break;
			case OPTION_ROWS:
				set_rows(option, place, PG_GETARG_INT32(arg));
				break;
			case OPTION_COUNT:
				set_count(option, place, PG_GETARG_INT64(arg));
				break;
			case OPTION_TABLE:
				*(Oid *) place = PG_GETARG_OID(arg);
				break;
			case OPTION_FLAG:
				*(bool *) place = PG_GETARG_BOOL(arg);
				break;
		}
	}
	check_together(call);
}

void
dbu_bulk_options_from_args(DbuBulkCall *call, FunctionCallInfo fcinfo)
{
	options_from_args(call, fcinfo, 2, options_of[call->op]);
}

void
dbu_bulk_options_for_batches(DbuBulkCall *call, FunctionCallInfo fcinfo, int arg)
{
	options_from_args(call, fcinfo, arg,
					  call->op == DBU_BULK_INSERT ? insert_batches_options : write_batches_options);
}

static void
error_option_type(const Option *option, const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" must be %s", option->name, wanted),
			 errhint("Options have the names and values of the function's parameters.")));
}

static char *
jsonb_string(const Option *option, const JsonbValue *value, const char *wanted)
{
	if (value->type != jbvString)
		error_option_type(option, wanted);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static int64
jsonb_number(const Option *option, const JsonbValue *value)
{
	if (value->type != jbvNumeric)
		error_option_type(option, "a number");
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
}

static List *
names_from_jsonb(const Option *option, JsonbValue *value)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	element;
	List	   *names = NIL;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		error_option_type(option, "an array of column names");
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM)
			names = lappend(names, jsonb_string(option, &element, "an array of column names"));
	}
	return names;
}

static const Option *
find_option(DbuBulkOp op, const char *name)
{
	StringInfoData known;

	initStringInfo(&known);
	for (const Option *option = options_of[op]; option->name; option++)
	{
		if (strcmp(option->name, name) == 0)
			return option;
		appendStringInfo(&known, "%s%s", known.len > 0 ? ", " : "", option->name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown option \"%s\" for %s", name, dbu_bulk_op_names[op]),
			 errhint("Options are: %s.", known.data)));
}

void
dbu_bulk_options_from_jsonb(DbuBulkCall *call, Datum options)
{
	Jsonb	   *jsonb = DatumGetJsonbP(options);
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	const Option *option = NULL;

	if (!JB_ROOT_IS_OBJECT(jsonb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object"),
				 errhint("Options have the names and values of the function's parameters.")));

	it = JsonbIteratorInit(&jsonb->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		void	   *place;

		/* the whole object comes first, as WJB_BEGIN_OBJECT */
		if (token == WJB_KEY)
			option = find_option(call->op, pnstrdup(value.val.string.val, value.val.string.len));
		if (token != WJB_VALUE || option == NULL)
			continue;

		place = (char *) &call->opt + option->offset;
		if (value.type == jbvNull)
		{
			if (option->kind == OPTION_WORD || option->kind == OPTION_FLAG)
				dbu_error_null_argument(option->name);
			continue;
		}
		switch (option->kind)
		{
			case OPTION_NAMES:
				*(List **) place = names_from_jsonb(option, &value);
				check_names(option, *(List **) place);
				break;
			case OPTION_NAME:
				*(char **) place = jsonb_string(option, &value, "a string");
				break;
			case OPTION_WORD:
				*(int *) place = word_index(option, jsonb_string(option, &value, "a string"));
				break;
			case OPTION_ROWS:
				set_rows(option, place, jsonb_number(option, &value));
				break;
			case OPTION_COUNT:
				set_count(option, place, jsonb_number(option, &value));
				break;
			case OPTION_TABLE:
				*(Oid *) place = DatumGetObjectId(DirectFunctionCall1(regclassin,
																	  CStringGetDatum(jsonb_string(option, &value, "a string"))));
				break;
			case OPTION_FLAG:
				if (value.type != jbvBool)
					error_option_type(option, "true or false");
				*(bool *) place = value.val.boolean;
				break;
		}
	}
	check_together(call);
}
