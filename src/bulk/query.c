/*-------------------------------------------------------------------------
 *
 * query.c
 *	  Rows from a query: all of a result that SPI has fetched, or of a cursor
 *	  by and by.
 *
 * Names of the result's columns are those of the target's.  More rows of a
 * cursor are fetched outside of the guard (reject.c), since an error of the
 * query is not one of a row.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/htup_details.h"
#include "funcapi.h"

/* Rows that are fetched from a cursor at once. */
#define FETCH_ROWS 1000

/* Copies desc: the table may be freed as more rows are fetched. */
static TupleDesc
bless(TupleDesc desc)
{
	return BlessTupleDesc(CreateTupleDescCopy(desc));
}

static bool
next_tuple(DbuTuples *tuples, HeapTuple *tuple)
{
	if (tuples->table == NULL || tuples->position >= tuples->table->numvals)
		return false;
	*tuple = tuples->table->vals[tuples->position++];
	return true;
}

/* The rows of a result, which stays where it is. */
DbuTuples *
dbu_bulk_tuples_of_result(SPITupleTable *table)
{
	DbuTuples  *tuples = palloc0(sizeof(DbuTuples));

	tuples->desc = bless(table->tupdesc);
	tuples->table = table;
	tuples->next = next_tuple;
	return tuples;
}

/* Must more rows be fetched before the next one is read? */
bool
dbu_bulk_tuples_want(const DbuTuples *tuples)
{
	return tuples->fill != NULL && (tuples->table == NULL || tuples->position >= tuples->table->numvals);
}

static void
fetch_more(DbuTuples *tuples)
{
	if (tuples->table != NULL)
		SPI_freetuptable(tuples->table);
	SPI_cursor_fetch(tuples->cursor, true, FETCH_ROWS);
	tuples->table = SPI_tuptable;
	tuples->position = 0;
}

/* The rows of one query, which is run as they are read. */
DbuTuples *
dbu_bulk_tuples_of_query(const char *sql)
{
	DbuTuples  *tuples = palloc0(sizeof(DbuTuples));
	SPIPlanPtr	plan = SPI_prepare(sql, 0, NULL);

	if (plan == NULL || !SPI_is_cursor_plan(plan))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the source is not one query that returns rows"),
				 errhint("Give a SELECT, VALUES or TABLE, or a statement with RETURNING.")));
	tuples->cursor = SPI_cursor_open(NULL, plan, NULL, NULL, false);
	tuples->desc = bless(tuples->cursor->tupDesc);
	tuples->next = next_tuple;
	tuples->fill = fetch_more;
	return tuples;
}

void
dbu_bulk_tuples_end(DbuTuples *tuples)
{
	if (tuples->cursor == NULL)
		return;
	SPI_cursor_close(tuples->cursor);
	tuples->cursor = NULL;
}
