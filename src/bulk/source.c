/*-------------------------------------------------------------------------
 *
 * source.c
 *	  The input of a bulk write, cut into chunks.
 *
 * Rows come as an array (of the table's row type, another composite type,
 * anonymous records, or of scalars where one column is meant) or as a JSON
 * array of objects (or of scalars).  A chunk is a run of consecutive rows that
 * give the same columns, at most chunk_rows long: a JSON object that lacks a
 * key leaves that column alone, which a statement can only do for all of its
 * rows.  The order of the input is kept.
 *
 * Chunks are allocated in the caller's context, which it resets after each.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/errors.h"
#include "bulk/bulk.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

static void
open_json(BulkSource *source)
{
	Jsonb	   *json = DatumGetJsonbP(source->whole);
	JsonbValue	value;

	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rows must be a JSON array"),
				 errhint("Pass an array of objects, such as [{\"id\": 1}, {\"id\": 2}].")));
	source->nrows = JB_ROOT_COUNT(json);
	source->iterator = JsonbIteratorInit(&json->root);
	(void) JsonbIteratorNext(&source->iterator, &value, true);	/* the array's begin */
}

static void
open_array(BulkSource *source)
{
	ArrayType  *array = DatumGetArrayTypeP(source->whole);
	int16		typlen;
	bool		typbyval;
	char		typalign;
	int			n;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("rows must be an array of one dimension"),
				 errhint("Pass one element for each row.")));
	source->element = ARR_ELEMTYPE(array);
	source->record = source->element == RECORDOID;
	source->composite = source->record || type_is_rowtype(source->element);
	get_typlenbyvalalign(source->element, &typlen, &typbyval, &typalign);
	deconstruct_array(array, source->element, typlen, typbyval, typalign,
					  &source->elements, &source->nulls, &n);
	source->nrows = n;
}

BulkSource *
dbu_bulk_source(Oid type, Datum rows, const BulkTarget *target, List *columns,
				int64 chunk_rows)
{
	BulkSource *source = palloc0(sizeof(BulkSource));

	source->type = type;
	source->chunk_rows = chunk_rows;
	source->whole = rows;
	if (type == JSONOID || type == TEXTOID)
	{
		/* json and text are read as jsonb; bad JSON is 22P02 */
		char	   *json = TextDatumGetCString(rows);

		source->whole = DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
		source->type = JSONBOID;
	}
	if (source->type == JSONBOID)
		open_json(source);
	else
		open_array(source);

	if (source->record)
	{
		source->record_columns = columns;
		for (int i = 0; columns == NIL && i < target->ncolumns; i++)
		{
			if (!target->columns[i].computed)
				source->record_columns = lappend(source->record_columns, &target->columns[i]);
		}
	}
	return source;
}

/* The columns that the keys of a JSON object name. */
static List *
object_columns(const JsonbValue *object, const BulkTarget *target)
{
	JsonbIterator *it = JsonbIteratorInit(object->val.binary.data);
	JsonbIteratorToken token;
	JsonbValue	value;
	List	   *result = NIL;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		char	   *name;
		BulkColumn *column;

		if (token != WJB_KEY)
			continue;
		name = pnstrdup(value.val.string.val, value.val.string.len);
		column = dbu_bulk_column(target, name);
		if (column == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of %s does not exist", name, target->quoted),
					 errhint("The keys of the JSON objects must be columns of the target.")));
		result = lappend(result, column);
	}
	return result;
}

/* The columns that the attributes of an array's row type name. */
static List *
rowtype_columns(const BulkSource *source, const BulkTarget *target)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(source->element, -1);
	bool		own = get_typ_typrelid(source->element) == target->relid;
	List	   *result = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		BulkColumn *column;

		if (att->attisdropped)
			continue;
		column = dbu_bulk_column(target, NameStr(att->attname));
		if (column == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of %s does not exist", NameStr(att->attname), target->quoted),
					 errhint("The attributes of type %s must be columns of the target.",
							 format_type_be(source->element))));
		/* the table's own row type cannot leave out what may not be given */
		if (own && column->computed)
			continue;
		result = lappend(result, column);
	}
	ReleaseTupleDesc(desc);
	return result;
}

static bool
next_json_chunk(BulkSource *source, const BulkTarget *target, BulkChunk *chunk)
{
	JsonbParseState *state = NULL;
	bool		first = true;

	while (chunk->nrows < source->chunk_rows)
	{
		JsonbValue	value;
		List	   *columns = NIL;

		if (source->has_pending)
			value = source->pending;
		else if (JsonbIteratorNext(&source->iterator, &value, true) != WJB_ELEM)
			break;
		source->has_pending = false;

		if (value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data))
			columns = object_columns(&value, target);
		else if (value.type == jbvBinary)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("row " INT64_FORMAT " is a JSON array", source->position + 1),
					 errhint("Each row must be a JSON object.")));

		if (first)
		{
			chunk->columns = columns;
			source->composite = value.type == jbvBinary;
			pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
			first = false;
		}
		else if (source->composite != (value.type == jbvBinary) ||
				 list_length(columns) != list_length(chunk->columns) ||
				 list_difference_ptr(columns, chunk->columns) != NIL)
		{
			source->pending = value;
			source->has_pending = true;
			break;
		}
		pushJsonbValue(&state, WJB_ELEM, &value);
		chunk->nrows++;
		source->position++;
	}
	if (first)
		return false;
	chunk->rows = JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL)));
	return true;
}

static bool
next_array_chunk(BulkSource *source, const BulkTarget *target, BulkChunk *chunk)
{
	int64		n = Min(source->chunk_rows, source->nrows - source->position);
	int			dims[1] = {(int) n};
	int			bounds[1] = {1};
	int16		typlen;
	bool		typbyval;
	char		typalign;

	if (n <= 0)
		return false;
	for (int64 i = source->position; i < source->position + n; i++)
	{
		if (source->composite && source->nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("row " INT64_FORMAT " is null", i + 1),
					 errhint("Each element must be a row.")));
	}
	get_typlenbyvalalign(source->element, &typlen, &typbyval, &typalign);
	chunk->rows = PointerGetDatum(construct_md_array(source->elements + source->position,
													 source->nulls + source->position,
													 1, dims, bounds, source->element,
													 typlen, typbyval, typalign));
	chunk->nrows = n;
	if (source->record)
		chunk->columns = source->record_columns;
	else if (source->composite)
		chunk->columns = rowtype_columns(source, target);
	source->position += n;
	return true;
}

/* The next chunk in *chunk, or false at the end of the input. */
bool
dbu_bulk_next_chunk(BulkSource *source, const BulkTarget *target, BulkChunk *chunk)
{
	memset(chunk, 0, sizeof(*chunk));
	return source->type == JSONBOID ?
		next_json_chunk(source, target, chunk) :
		next_array_chunk(source, target, chunk);
}

/*
 * Append a FROM item over parameter $1, named r, with the given columns (for
 * scalars exactly one).
 */
void
dbu_bulk_from(StringInfo sql, const BulkSource *source, List *columns)
{
	ListCell   *lc;
	const char *separator = "";

	if (!source->composite)
	{
		BulkColumn *column = linitial(columns);

		if (source->type == JSONBOID)
			appendStringInfo(sql, "(SELECT e.v::%s AS %s FROM pg_catalog.jsonb_array_elements_text($1) AS e(v)) AS r",
							 column->type, column->quoted);
		else
			appendStringInfo(sql, "pg_catalog.unnest($1) AS r(%s)", column->quoted);
		return;
	}
	if (source->type != JSONBOID && !source->record)
	{
		appendStringInfoString(sql, "pg_catalog.unnest($1) AS r");
		return;
	}
	appendStringInfoString(sql, source->record ? "pg_catalog.unnest($1) AS r(" :
						   "pg_catalog.jsonb_to_recordset($1) AS r(");
	foreach(lc, columns)
	{
		BulkColumn *column = lfirst(lc);

		appendStringInfo(sql, "%s%s %s", separator, column->quoted, column->type);
		separator = ", ";
	}
	appendStringInfoChar(sql, ')');
}
