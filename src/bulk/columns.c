/*-------------------------------------------------------------------------
 *
 * columns.c
 *	  Rows from arrays, one for each column.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

typedef struct Columns
{
	int			n;
	ArrayIterator *iterators;
	Datum	   *values;
	bool	   *nulls;
	HeapTuple	row;			/* the last one handed out */
	bool		large;			/* all arrays together are more than a row can be */
	int64		ord;			/* of that row, from 1 */
} Columns;

static bool
next_row(DbuTuples *tuples, HeapTuple *tuple)
{
	Columns    *columns = tuples->columns;

	for (int i = 0; i < columns->n; i++)
	{
		if (!array_iterate(columns->iterators[i], &columns->values[i], &columns->nulls[i]))
			return false;
	}
	columns->ord++;
	if (columns->large)
		dbu_bulk_check_row_size(tuples->desc, columns->values, columns->nulls, columns->ord);
	if (columns->row != NULL)
		heap_freetuple(columns->row);
	columns->row = heap_form_tuple(tuples->desc, columns->values, columns->nulls);
	*tuple = columns->row;
	return true;
}

/* arrays: n of them, all as long as the first one; types are theirs. */
DbuTuples *
dbu_bulk_tuples_of_columns(const char *const *names, int n, const Oid *types, const Datum *arrays)
{
	DbuTuples  *tuples = palloc0(sizeof(DbuTuples));
	Columns    *columns = palloc0(sizeof(Columns));
	Size		total = 0;
	int			length = 0;

	columns->n = n;
	columns->iterators = palloc(sizeof(ArrayIterator) * n);
	columns->values = palloc(sizeof(Datum) * n);
	columns->nulls = palloc(sizeof(bool) * n);
	tuples->desc = CreateTemplateTupleDesc(n);
	for (int i = 0; i < n; i++)
	{
		ArrayType  *array = DatumGetArrayTypeP(arrays[i]);
		int			items = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

		if (ARR_NDIM(array) > 1)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("the array for column \"%s\" must have one dimension, not %d", names[i], ARR_NDIM(array)),
					 errhint("Columns of an array type cannot be given this way; use an array of rows, or JSON.")));
		if (i > 0 && items != length)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("the arrays differ in length: %d for column \"%s\", %d for column \"%s\"",
							length, names[0], items, names[i]),
					 errhint("Give a value, or NULL, for each row in each array.")));
		length = items;
		total += VARSIZE(array);
		TupleDescInitEntry(tuples->desc, i + 1, names[i], ARR_ELEMTYPE(array), -1, 0);
		TupleDescInitEntryCollation(tuples->desc, i + 1, get_typcollation(ARR_ELEMTYPE(array)));
		columns->iterators[i] = array_create_iterator(array, 0, NULL);
	}
	columns->large = !AllocSizeIsValid(total);
	tuples->desc = BlessTupleDesc(tuples->desc);
	tuples->next = next_row;
	tuples->columns = columns;
	return tuples;
}
