/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Rows from jsonb: an array of objects; for keys also an array of scalars.
 *
 * Values come out as PostgreSQL's own jsonb_populate_record has them.  It is
 * called for each object that has a value for an array, composite type or
 * domain, with a record that has the columns of the target; where there are
 * only scalars, json_scalar.c does the same without records.  Which keys an
 * object has is what only we look at: an absent one is not a null.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"
#include "bulk/json.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

/* A column of the call, and the object's value for it. */
typedef struct JsonColumn
{
	int			name_length;
	DbuJsonScalar scalar;
	bool		present;
	JsonbValue	value;			/* if present */
} JsonColumn;

typedef struct JsonSource
{
	DbuSource	pub;
	JsonbIterator *iterator;
	TupleDesc	desc;			/* a field for each column of the call */
	Datum		empty;			/* a record of it, all null */
	FmgrInfo	populate;
	MemoryContext row_mcxt;
	JsonbValue	element;		/* the one being read */
	bool		ignores_others;	/* keys outside the columns chosen are not read */
	JsonColumn *columns;		/* by position */
	int		   *order;			/* positions of the last object's keys, as it had them */
	bool		only_scalars;	/* the object has values for columns of no other types */
} JsonSource;

static void
errcontext_row(void *arg)
{
	errcontext("row " INT64_FORMAT " of the rows given", ((DbuRow *) arg)->ord);
}

static void
error_element(const DbuBulkCall *call, int64 ord)
{
	if (call->op == DBU_BULK_DELETE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key " INT64_FORMAT " is neither an object nor the value of a one-column key", ord),
				 errhint("Give keys as [1, 2] or [{\"a\": 1, \"b\": 2}].")));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("row " INT64_FORMAT " is not a JSON object", ord),
			 errhint("Give rows as [{\"column\": value, ...}, ...].")));
}

static void
error_unknown_key(JsonSource *source, const JsonbValue *key, int64 ord)
{
	DbuBulkCall *call = source->pub.call;
	char	   *name = pnstrdup(key->val.string.val, key->val.string.len);

	if (dbu_bulk_target_find(call->target, name) == NULL)
		dbu_bulk_error_unknown(call->target, name,
							   psprintf("\"%s\" of row " INT64_FORMAT, name, ord));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" of key " INT64_FORMAT " is not part of the key", name, ord),
			 errhint("Give the key columns only, or name the others in the parameter \"key\".")));
}

static bool
is_column(const JsonSource *source, int position, const JsonbValue *key)
{
	return source->columns[position].name_length == key->val.string.len &&
		memcmp(source->pub.call->columns[position]->name, key->val.string.val, key->val.string.len) == 0;
}

/* The position of the nth known key of an object, -1: it is not known. Objects are often alike. */
static int
find_column(JsonSource *source, int n, const JsonbValue *key)
{
	int			ncolumns = source->pub.call->ncolumns;

	if (n < ncolumns && is_column(source, source->order[n], key))
		return source->order[n];
	for (int position = 0; position < ncolumns; position++)
	{
		if (is_column(source, position, key))
		{
			source->order[n] = position;
			return position;
		}
	}
	return -1;
}

/* Which of the call's columns has the object, and does it have others? */
static Bitmapset *
find_values(JsonSource *source, JsonbContainer *object, int64 ord)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	key;
	Bitmapset  *present = NULL;
	int			n = 0;

	for (int i = 0; i < source->pub.call->ncolumns; i++)
		source->columns[i].present = false;
	source->only_scalars = true;
	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		int			position;

		if (token != WJB_KEY)
			continue;
		position = find_column(source, n, &key);
		if (position < 0)
		{
			if (!source->ignores_others)
				error_unknown_key(source, &key, ord);
			continue;
		}
		n++;
		source->columns[position].present = true;
		source->only_scalars &= source->columns[position].scalar.is_scalar;
		(void) JsonbIteratorNext(&it, &source->columns[position].value, true);
		present = bms_add_member(present, position);
	}
	return present;
}

/* {"column": member} */
static Jsonb *
wrap_value(const DbuColumn *column, JsonbValue *member)
{
	JsonbParseState *state = NULL;
	JsonbValue	name;

	name.type = jbvString;
	name.val.string.val = column->name;
	name.val.string.len = strlen(column->name);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	pushJsonbValue(&state, WJB_KEY, &name);
	pushJsonbValue(&state, WJB_VALUE, member);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* The object that an element is, or stands for. */
static JsonbContainer *
element_object(JsonSource *source, JsonbValue *element, int64 ord)
{
	DbuBulkCall *call = source->pub.call;

	if (element->type == jbvBinary && JsonContainerIsObject(element->val.binary.data))
		return element->val.binary.data;
	if (call->op == DBU_BULK_DELETE && call->key->ncolumns == 1 && IsAJsonbScalar(element))
		return &wrap_value(call->key->columns[0], element)->root;
	error_element(call, ord);
	return NULL;
}

/* A record of the object's values. */
static Datum
populate(JsonSource *source, Jsonb *object)
{
	LOCAL_FCINFO(fcinfo, 2);

	InitFunctionCallInfoData(*fcinfo, &source->populate, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = source->empty;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = JsonbPGetDatum(object);
	fcinfo->args[1].isnull = false;
	return FunctionCallInvoke(fcinfo);
}

/* One by one in the order of the columns, as a record would be filled: the first bad one is the error. */
static void
read_scalars(JsonSource *source, DbuRow *row)
{
	for (int i = 0; i < source->pub.call->ncolumns; i++)
	{
		JsonColumn *column = &source->columns[i];

		row->nulls[i] = true;
		row->values[i] = (Datum) 0;
		if (column->present)
			row->values[i] = dbu_json_scalar_get(&column->scalar, &column->value, &row->nulls[i]);
	}
}

static void
read_record(JsonSource *source, DbuRow *row, Jsonb *object)
{
	HeapTupleData tuple;
	Datum		record = populate(source, object);

	tuple.t_data = DatumGetHeapTupleHeader(record);
	tuple.t_len = HeapTupleHeaderGetDatumLength(tuple.t_data);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	heap_deform_tuple(&tuple, source->desc, row->values, row->nulls);
}

static void
read_object(JsonSource *source, DbuRow *row, JsonbValue *element)
{
	JsonbContainer *object = element_object(source, element, row->ord);

	row->shape = dbu_bulk_shape_get(source->pub.call, find_values(source, object, row->ord));
	if (source->only_scalars)
		read_scalars(source, row);
	else
		read_record(source, row, element->type == jbvBinary ? JsonbValueToJsonb(element)
					: wrap_value(source->pub.call->key->columns[0], element));
}

typedef struct Member
{
	JsonSource *source;
	Jsonb	   *object;			/* of one key */
} Member;

static void
populate_member(void *arg)
{
	Member	   *member = arg;

	(void) populate(member->source, member->object);
}

/* Which column's value could not be read?  -1: it is not a matter of one. */
static int
blame(JsonSource *source, Jsonb *object)
{
	DbuBulkCall *call = source->pub.call;

	for (int i = 0; i < call->ncolumns; i++)
	{
		JsonbValue	name = {.type = jbvString};
		JsonbValue *value;
		Member		member = {.source = source};

		name.val.string.val = call->columns[i]->name;
		name.val.string.len = strlen(call->columns[i]->name);
		value = findJsonbValueFromContainer(&object->root, JB_FOBJECT, &name);
		if (value == NULL)
			continue;
		member.object = wrap_value(call->columns[i], value);
		if (dbu_bulk_fails(call, populate_member, &member))
			return i;
	}
	return -1;
}

/* The element as it was given. */
static Datum
describe_object(DbuSource *pub, DbuRow *row)
{
	JsonSource *source = (JsonSource *) pub;
	MemoryContext oldcxt = MemoryContextSwitchTo(source->row_mcxt);
	Jsonb	   *jsonb = JsonbValueToJsonb(&source->element);

	if (row->position < 0 && JB_ROOT_IS_OBJECT(jsonb))
		row->position = blame(source, jsonb);
	else if (JB_ROOT_IS_SCALAR(jsonb) && pub->call->op == DBU_BULK_DELETE && pub->call->ncolumns == 1)
		row->position = 0;
	MemoryContextSwitchTo(oldcxt);
	return JsonbPGetDatum(jsonb);
}

static bool
next_object(DbuSource *pub, DbuRow *row)
{
	JsonSource *source = (JsonSource *) pub;
	ErrorContextCallback context;
	JsonbIteratorToken token;
	MemoryContext oldcxt;

	do
	{
		token = JsonbIteratorNext(&source->iterator, &source->element, true);
		if (token == WJB_DONE)
			return false;
	} while (token != WJB_ELEM);
	row->ord++;

	MemoryContextReset(source->row_mcxt);
	oldcxt = MemoryContextSwitchTo(source->row_mcxt);
	context.callback = errcontext_row;
	context.arg = row;
	context.previous = error_context_stack;
	error_context_stack = &context;
	read_object(source, row, &source->element);
	error_context_stack = context.previous;
	MemoryContextSwitchTo(oldcxt);
	return true;
}

/*
 * How values become those of the columns.  jsonb_populate_record learns the
 * type of the record from its call's expression tree, and what that record is
 * from the value itself.
 */
static void
prepare_columns(JsonSource *source)
{
	DbuBulkCall *call = source->pub.call;
	Datum	   *values = palloc0(sizeof(Datum) * Max(call->ncolumns, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(call->ncolumns, 1));
	Node	   *args[2];
	FuncExpr   *expr;

	source->columns = palloc0(sizeof(JsonColumn) * Max(call->ncolumns, 1));
	source->order = palloc0(sizeof(int) * Max(call->ncolumns, 1));
	source->desc = CreateTemplateTupleDesc(call->ncolumns);
	for (int i = 0; i < call->ncolumns; i++)
	{
		const DbuColumn *column = call->columns[i];

		TupleDescInitEntry(source->desc, i + 1, column->name, call->feed[i].type, call->feed[i].typmod, 0);
		TupleDescInitEntryCollation(source->desc, i + 1, call->feed[i].collation);
		nulls[i] = true;
		source->columns[i].name_length = strlen(column->name);
		dbu_json_scalar_prepare(&source->columns[i].scalar, call->feed[i].type, call->feed[i].typmod);
	}
	BlessTupleDesc(source->desc);
	source->empty = HeapTupleGetDatum(heap_form_tuple(source->desc, values, nulls));

	args[0] = (Node *) makeNullConst(RECORDOID, -1, InvalidOid);
	args[1] = (Node *) makeNullConst(JSONBOID, -1, InvalidOid);
	expr = makeFuncExpr(F_JSONB_POPULATE_RECORD, RECORDOID, list_make2(args[0], args[1]),
						InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	fmgr_info(F_JSONB_POPULATE_RECORD, &source->populate);
	fmgr_info_set_expr((Node *) expr, &source->populate);

	source->pub.row.values = values;
	source->pub.row.nulls = nulls;
}

DbuSource *
dbu_bulk_json_open(DbuBulkCall *call, Datum rows)
{
	JsonSource *source = palloc0(sizeof(JsonSource));
	Jsonb	   *jsonb = DatumGetJsonbP(rows);

	if (!JB_ROOT_IS_ARRAY(jsonb) || JB_ROOT_IS_SCALAR(jsonb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("JSON %s must be an array", call->op == DBU_BULK_DELETE ? "keys" : "rows"),
				 errhint("Put them into [ ], even a single one.")));

	dbu_bulk_key_resolve(call);
	dbu_bulk_columns_choose(call, NULL, false);
	source->pub.call = call;
	source->pub.next = next_object;
	source->pub.describe = describe_object;
	source->ignores_others = call->op == DBU_BULK_INSERT
		? call->opt.columns != NIL
		: call->op == DBU_BULK_UPDATE && call->opt.set_columns != NIL;
	call->rows_expected = JB_ROOT_COUNT(jsonb);
	source->iterator = JsonbIteratorInit(&jsonb->root);
	source->row_mcxt = AllocSetContextCreate(CurrentMemoryContext, "dbutil bulk row",
											 ALLOCSET_DEFAULT_SIZES);
	prepare_columns(source);
	return &source->pub;
}
