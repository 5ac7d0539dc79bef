/*-------------------------------------------------------------------------
 *
 * delete_values.c
 *	  Delete by an array of values of a one-column primary key, where nothing
 *	  but the number of rows that are gone has to be known.
 *
 * Then no row of the input has to be told from another one, and the keys need
 * not become a relation: they are sorted, cut into slices and handed to
 * "= ANY", which looks each up in the index, in that order.  Everything else,
 * an array with nulls or with a key twice among it, goes the ordinary way, which
 * also says what is wrong.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/sortsupport.h"

/* What the ordinary way answers for each row must be nothing but how many there are. */
static bool
only_counts(const DbuBulkCall *call)
{
	const DbuTarget *target = call->target;

	return target->relkind == RELKIND_RELATION &&
		!target->may_suppress[DBU_BULK_DELETE] && !target->has_rule[DBU_BULK_DELETE] &&
		call->opt.missing == DBU_MISSING_IGNORE && call->opt.locked == DBU_LOCKED_WAIT &&
		!call->opt.dry_run && call->rejects == NULL && call->batches == NULL;
}

static bool
key_is_primary(const DbuBulkCall *call)
{
	const DbuKey *key = call->key;

	return key->ncolumns == 1 && key->index_name != NULL && list_length(call->target->primary_key) == 1 &&
		strcmp(linitial(call->target->primary_key), key->columns[0]->name) == 0;
}

static int
compare(const void *a, const void *b, void *arg)
{
	return ApplySortComparator(*(const Datum *) a, false, *(const Datum *) b, false, (SortSupport) arg);
}

/* Sort the values; false: one is there twice. */
static bool
sort_values(const DbuBulkCall *call, Datum *values, int n)
{
	SortSupportData sort = {
		.ssup_cxt = CurrentMemoryContext,
		.ssup_collation = call->feed[0].collation,
	};

	PrepareSortSupportFromOrderingOp(call->key->less[0], &sort);
	qsort_arg(values, n, sizeof(Datum), compare, &sort);
	for (int i = 1; i < n; i++)
	{
		if (compare(&values[i - 1], &values[i], &sort) == 0)
			return false;
	}
	return true;
}

/* A plan that goes by the index, for any slice; where it runs nobody sees the settings. */
static SPIPlanPtr
make_plan(const DbuBulkCall *call, Oid element)
{
	Oid			type = get_array_type(element);
	char	   *sql = psprintf("DELETE FROM %s AS t WHERE t.%s %s ANY ($1)", call->target->sql_name,
							   call->key->columns[0]->quoted, call->key->equal[0]);
	SPIPlanPtr	plan = SPI_prepare_cursor(sql, 1, &type, CURSOR_OPT_GENERIC_PLAN);
	CachedPlan *cached;
	int			nest;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	nest = NewGUCNestLevel();
	dbu_bulk_set_off("enable_seqscan");
	dbu_bulk_set_off("enable_bitmapscan");
	dbu_bulk_set_off("jit");
	cached = SPI_plan_get_cached_plan(plan);
	if (cached != NULL)
		ReleaseCachedPlan(cached, NULL);
	AtEOXact_GUC(true, nest);
	return plan;
}

static void
delete_slice(DbuBulkCall *call, SPIPlanPtr plan, Datum slice, int n)
{
	int64		deleted;
	int			rc = SPI_execute_plan(plan, &slice, NULL, false, 0);

	if (rc != SPI_OK_DELETE)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(rc));
	/* a deferrable key may be there twice for a while */
	deleted = Min((int64) SPI_processed, n);
	call->nbatches++;
	call->res.rows_in += n;
	call->res.deleted += deleted;
	call->res.missing += n - deleted;
	call->res.chunks++;
	dbu_bulk_progress_update(call);
}

/* Delete them all; false: nothing was done, they have to go the ordinary way. */
bool
dbu_bulk_delete_values(DbuBulkCall *call, ArrayType *array)
{
	Oid			element = ARR_ELEMTYPE(array);
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	int64		limit = dbu_bulk_slice_limit(call);
	MemoryContext slice_mcxt;
	SPIPlanPtr	plan;
	Datum	   *values;
	int16		length;
	bool		by_value;
	char		align;

	if (!only_counts(call) || !key_is_primary(call) || array_contains_nulls(array) ||
		n == 0 || !AllocSizeIsValid(n * sizeof(Datum)) || !OidIsValid(get_array_type(element)) ||
		!dbu_bulk_key_steers(call, Min(n, limit)))
		return false;
	get_typlenbyvalalign(element, &length, &by_value, &align);
	deconstruct_array(array, element, length, by_value, align, &values, NULL, &n);
	if (!sort_values(call, values, n))
	{
		pfree(values);
		return false;
	}
	call->by_values = true;
	plan = make_plan(call, element);
	slice_mcxt = AllocSetContextCreate(call->mcxt, "dbutil bulk slice", ALLOCSET_DEFAULT_SIZES);
	for (int64 from = 0; from < n; from += limit)
	{
		int			nslice = Min(limit, n - from);
		MemoryContext oldcxt = MemoryContextSwitchTo(slice_mcxt);
		Datum		slice = PointerGetDatum(construct_array(values + from, nslice, element, length, by_value, align));

		MemoryContextSwitchTo(oldcxt);
		CHECK_FOR_INTERRUPTS();
		delete_slice(call, plan, slice, nslice);
		MemoryContextReset(slice_mcxt);
	}
	return true;
}
