/*-------------------------------------------------------------------------
 *
 * rows.c
 *	  Rows from an array: of a composite type (fields by name), of record
 *	  (fields by position), or of plain values for one column.
 *
 * Each value is converted to the type that a batch has for the column (see
 * shape.c): to the column's as an assignment in INSERT would, while keys to
 * find rows by stay what they are.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sortsupport.h"
#include "utils/typcache.h"

/* How the value of one column comes from a field. */
typedef struct Conversion
{
	int			field;			/* index in the element; 0 for plain values */
	ExprState  *cast;			/* NULL: as it is */
	bool		parse;			/* a literal of type unknown: through the input function */
	FmgrInfo	input;
	Oid			input_param;
} Conversion;

typedef struct ArraySource
{
	DbuSource	pub;
	ArrayType  *array;			/* NULL: rows of a query */
	ArrayIterator iterator;
	bool		plain;			/* elements are values, not rows */
	bool		by_position;	/* record[] */
	TupleDesc	desc;			/* of the elements; NULL until the first record */
	Oid			desc_type;		/* type and typmod that desc was made from */
	int32		desc_typmod;
	Conversion *conversions;	/* by position */
	Datum	   *fields;
	bool	   *field_nulls;
	Datum		element;		/* the one being read, of element_type */
	bool		element_null;
	Oid			element_type;
	DbuShape   *shape;
	ExprContext *econtext;
} ArraySource;

static void
errcontext_row(void *arg)
{
	errcontext("row " INT64_FORMAT " of the rows given", ((DbuRow *) arg)->ord);
}

static void
prepare_conversion(DbuBulkCall *call, Conversion *conv, int position,
				   int field, Oid type, int32 typmod, Oid collation)
{
	const DbuFeedColumn *feed = &call->feed[position];
	CaseTestExpr *value;
	Node	   *cast;

	conv->field = field;
	if (type == UNKNOWNOID)
	{
		Oid			input;

		getTypeInputInfo(feed->type, &input, &conv->input_param);
		fmgr_info(input, &conv->input);
		conv->parse = true;
		return;
	}

	value = makeNode(CaseTestExpr);
	value->typeId = type;
	value->typeMod = typmod;
	value->collation = collation;
	cast = coerce_to_target_type(NULL, (Node *) value, type, feed->type, feed->typmod,
								 COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (cast == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" is of type %s but the rows give type %s",
						call->columns[position]->name, format_type_be(feed->type), format_type_be(type)),
				 errhint("Cast the values in the rows.")));
	if (cast == (Node *) value ||
		(IsA(cast, RelabelType) && ((RelabelType *) cast)->arg == (Expr *) value))
		return;
	conv->cast = ExecInitExpr(expression_planner((Expr *) cast), NULL);
}

static void
prepare_conversions(ArraySource *source)
{
	DbuBulkCall *call = source->pub.call;

	source->conversions = palloc0(sizeof(Conversion) * Max(call->ncolumns, 1));
	for (int i = 0; i < call->ncolumns; i++)
	{
		int			field = i;
		Form_pg_attribute att;

		for (int f = 0; !source->by_position && f < source->desc->natts; f++)
		{
			att = TupleDescAttr(source->desc, f);
			if (!att->attisdropped && strcmp(NameStr(att->attname), call->columns[i]->name) == 0)
				field = f;
		}
		att = TupleDescAttr(source->desc, field);

		/*
		 * Records are alike if their types are: the length of one record's
		 * field says nothing about the next one's.
		 */
		prepare_conversion(call, &source->conversions[i], i, field, att->atttypid,
						   source->by_position ? -1 : att->atttypmod, att->attcollation);
	}
	source->fields = palloc(sizeof(Datum) * Max(source->desc->natts, 1));
	source->field_nulls = palloc(sizeof(bool) * Max(source->desc->natts, 1));
	source->shape = dbu_bulk_shape_full(call);
}

static Datum
convert(ArraySource *source, int position, Datum value, bool *isnull)
{
	const Conversion *conv = &source->conversions[position];
	ExprContext *econtext = source->econtext;
	Datum		result;

	if (conv->parse)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);

		/* a NULL goes through as well: a domain may refuse it */
		result = InputFunctionCall((FmgrInfo *) &conv->input,
								   *isnull ? NULL : DatumGetCString(value),
								   conv->input_param, source->pub.call->feed[position].typmod);
		MemoryContextSwitchTo(oldcxt);
		return result;
	}
	if (conv->cast == NULL)
		return value;
	econtext->caseValue_datum = value;
	econtext->caseValue_isNull = *isnull;
	return ExecEvalExprSwitchContext(conv->cast, econtext, isnull);
}

/*
 * Anonymous records carry their description each; the first one settles what
 * the columns are, all others must be alike.
 */
static void
describe_record(ArraySource *source, HeapTupleHeader tuple)
{
	Oid			type = HeapTupleHeaderGetTypeId(tuple);
	int32		typmod = HeapTupleHeaderGetTypMod(tuple);
	MemoryContext oldcxt;
	TupleDesc	desc;

	if (source->desc != NULL && type == source->desc_type && typmod == source->desc_typmod)
		return;
	oldcxt = MemoryContextSwitchTo(source->pub.call->mcxt);
	desc = lookup_rowtype_tupdesc_copy(type, typmod);
	if (source->desc == NULL)
	{
		source->desc = desc;
		dbu_bulk_columns_choose(source->pub.call, desc, true);
		prepare_conversions(source);
	}
	else
	{
		bool		alike = desc->natts == source->desc->natts;

		for (int i = 0; alike && i < desc->natts; i++)
		{
			Form_pg_attribute a = TupleDescAttr(desc, i);
			Form_pg_attribute b = TupleDescAttr(source->desc, i);

			alike = a->atttypid == b->atttypid && a->attisdropped == b->attisdropped;
		}
		if (!alike)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("the rows differ in the types of their fields"),
					 errhint("Cast the fields alike, or use an array of a named type.")));
		FreeTupleDesc(source->desc);
		source->desc = desc;
	}
	source->desc_type = type;
	source->desc_typmod = typmod;
	MemoryContextSwitchTo(oldcxt);
}

static void
read_element(ArraySource *source, DbuRow *row, Datum element, bool isnull)
{
	HeapTupleHeader header;
	HeapTupleData tuple;
	DbuBulkCall *call = source->pub.call;

	if (source->plain)
	{
		row->position = 0;
		row->nulls[0] = isnull;
		row->values[0] = convert(source, 0, element, &row->nulls[0]);
		return;
	}

	header = DatumGetHeapTupleHeader(element);
	if (source->by_position)
		describe_record(source, header);
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, source->desc, source->fields, source->field_nulls);

	if (row->values == NULL)
	{
		row->values = MemoryContextAlloc(call->mcxt, sizeof(Datum) * Max(call->ncolumns, 1));
		row->nulls = MemoryContextAlloc(call->mcxt, sizeof(bool) * Max(call->ncolumns, 1));
	}
	for (int i = 0; i < call->ncolumns; i++)
	{
		int			field = source->conversions[i].field;

		row->position = i;
		row->nulls[i] = source->field_nulls[field];
		row->values[i] = convert(source, i, source->fields[field], &row->nulls[i]);
	}
}

/* The same for a query: its row as a value of its row type. */
static bool
next_of_query(ArraySource *source, Datum *element, bool *isnull)
{
	DbuTuples  *tuples = source->pub.tuples;
	HeapTuple	tuple;
	MemoryContext oldcxt;

	if (!tuples->next(tuples, &tuple))
		return false;
	oldcxt = MemoryContextSwitchTo(source->econtext->ecxt_per_tuple_memory);
	*element = heap_copy_tuple_as_datum(tuple, tuples->desc);
	*isnull = false;
	MemoryContextSwitchTo(oldcxt);
	return true;
}

static bool
next_element(DbuSource *pub, DbuRow *row)
{
	ArraySource *source = (ArraySource *) pub;
	DbuBulkCall *call = pub->call;
	ErrorContextCallback context;
	Datum		element;
	bool		isnull;

	ResetExprContext(source->econtext);
	if (!(source->pub.tuples ? next_of_query(source, &element, &isnull)
		  : array_iterate(source->iterator, &element, &isnull)))
		return false;
	row->ord++;
	source->element = element;
	source->element_null = isnull;
	if (isnull && !(source->plain && call->op == DBU_BULK_INSERT))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("row " INT64_FORMAT " is null", row->ord),
				 errhint("Leave null elements out of the array.")));

	context.callback = errcontext_row;
	context.arg = row;
	context.previous = error_context_stack;
	error_context_stack = &context;
	read_element(source, row, element, isnull);
	error_context_stack = context.previous;
	row->shape = source->shape;
	return true;
}

/* The rows of an array, all of them before the first is handed out: a look at them is cheaper than to sort them. */
static bool
rows_in_order(DbuSource *pub)
{
	ArraySource *source = (ArraySource *) pub;
	const DbuKey *key = pub->call->key;
	int			position = key->positions[0];
	SortSupportData sort = {.ssup_cxt = CurrentMemoryContext};
	ArrayIterator iterator;
	Datum		element;
	Datum		before = (Datum) 0;
	bool		isnull;
	bool		first = true;
	bool		result = true;

	if (key->ncolumns > 1 || source->plain || source->conversions[position].cast != NULL ||
		source->conversions[position].parse)
		return false;
	sort.ssup_collation = pub->call->feed[position].collation;
	PrepareSortSupportFromOrderingOp(key->less[0], &sort);
	iterator = array_create_iterator(source->array, 0, NULL);
	while (result && array_iterate(iterator, &element, &isnull))
	{
		HeapTupleData tuple;
		Datum		value;

		CHECK_FOR_INTERRUPTS();
		if (isnull || VARATT_IS_EXTENDED(DatumGetPointer(element)))
			result = false;
		else
		{
			tuple.t_data = (HeapTupleHeader) DatumGetPointer(element);
			tuple.t_len = HeapTupleHeaderGetDatumLength(tuple.t_data);
			ItemPointerSetInvalid(&tuple.t_self);
			tuple.t_tableOid = InvalidOid;
			value = heap_getattr(&tuple, source->conversions[position].field + 1, source->desc, &isnull);
			result = !isnull && (first || ApplySortComparator(before, false, value, false, &sort) < 0);
			before = value;
			first = false;
		}
	}
	array_free_iterator(iterator);
	return result;
}

/* The element as it was given: its fields by name, or the value of its column. */
static Datum
describe_element(DbuSource *pub, DbuRow *row)
{
	ArraySource *source = (ArraySource *) pub;
	TupleDesc	desc;

	if (source->element_null && !source->plain)
		return DirectFunctionCall1(jsonb_in, CStringGetDatum("null"));
	if (!source->plain)
		return dbu_bulk_row_as_jsonb(source->element);
	desc = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(desc, 1, pub->call->columns[0]->name, source->element_type, -1, 0);
	BlessTupleDesc(desc);
	return dbu_bulk_row_as_jsonb(HeapTupleGetDatum(heap_form_tuple(desc, &source->element,
																   &source->element_null)));
}

/* Are the elements values of one column: of a one-column key, or of the one to insert? */
static bool
elements_are_values(DbuBulkCall *call, Oid element)
{
	switch (call->op)
	{
		case DBU_BULK_INSERT:
			return list_length(call->opt.columns) == 1 && !type_is_rowtype(element);
		case DBU_BULK_UPDATE:
			return false;
		case DBU_BULK_DELETE:
			/* the key may be of a composite type itself */
			return !type_is_rowtype(element) ||
				(call->key->ncolumns == 1 && call->key->columns[0]->type == element);
	}
	return false;
}

static void
open_values(ArraySource *source, ArrayType *array)
{
	Oid			element = ARR_ELEMTYPE(array);
	DbuBulkCall *call = source->pub.call;

	if (call->op == DBU_BULK_DELETE && call->key->ncolumns != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the key of \"%s\" has %d columns, but the keys given are single values",
						call->target->name, call->key->ncolumns),
				 errhint("Give keys as an array of rows, or as JSON objects.")));
	source->plain = true;
	call->columns = palloc(sizeof(DbuColumn *));
	if (call->op == DBU_BULK_DELETE)
		call->columns[0] = call->key->columns[0];
	else
		call->columns[0] = dbu_bulk_target_column(call->target, linitial(call->opt.columns),
												  "parameter \"columns\"");
	call->ncolumns = 1;
	dbu_bulk_columns_settle(call, &element);
	source->conversions = palloc0(sizeof(Conversion));
	prepare_conversion(call, source->conversions, 0, 0,
					   element, -1, get_typcollation(element));
	if (call->op == DBU_BULK_DELETE && source->conversions[0].cast == NULL && !source->conversions[0].parse)
		source->pub.values = array;
	source->pub.row.values = palloc(sizeof(Datum));
	source->pub.row.nulls = palloc(sizeof(bool));
	source->shape = dbu_bulk_shape_full(call);
}

/* NULL where there are no rows to say what they are. */
DbuSource *
dbu_bulk_rows_open(DbuBulkCall *call, Datum rows)
{
	ArraySource *source = palloc0(sizeof(ArraySource));
	ArrayType  *array = DatumGetArrayTypeP(rows);
	Oid			element = ARR_ELEMTYPE(array);
	Oid			base = getBaseType(element);

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("an array of rows must have one dimension, not %d", ARR_NDIM(array)),
				 errhint("Use unnest() and array_agg() to flatten it.")));

	dbu_bulk_key_resolve(call);
	source->pub.call = call;
	source->pub.next = next_element;
	source->pub.describe = describe_element;
	source->element_type = element;
	call->rows_expected = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	source->array = array;
	source->iterator = array_create_iterator(array, 0, NULL);
	source->econtext = CreateStandaloneExprContext();

	if (elements_are_values(call, element))
		open_values(source, array);
	else if (!type_is_rowtype(base))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the rows are of type %s, which has no fields", format_type_be(element)),
				 errhint("Give an array of a table's row type, of a composite type or of record, or JSON.")));
	else if (base == RECORDOID)
	{
		source->by_position = true;
		if (ARR_NDIM(array) == 0)
			return NULL;
	}
	else
	{
		source->desc = lookup_rowtype_tupdesc_copy(base, -1);
		dbu_bulk_columns_choose(call, source->desc, false);
		prepare_conversions(source);
		source->pub.in_order = rows_in_order;
	}
	return &source->pub;
}

/* Rows of a query: its columns by name. */
DbuSource *
dbu_bulk_tuples_open(DbuBulkCall *call, DbuTuples *tuples)
{
	ArraySource *source = palloc0(sizeof(ArraySource));

	dbu_bulk_key_resolve(call);
	source->pub.call = call;
	source->pub.next = next_element;
	source->pub.describe = describe_element;
	source->pub.tuples = tuples;
	source->econtext = CreateStandaloneExprContext();
	source->desc = tuples->desc;
	dbu_bulk_columns_choose(call, source->desc, false);
	prepare_conversions(source);
	return &source->pub;
}
