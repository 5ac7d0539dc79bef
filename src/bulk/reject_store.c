/*-------------------------------------------------------------------------
 *
 * reject_store.c
 *	  Where rejected rows are kept: dbutil.bulk_reject_rows, or a table that
 *	  the caller names.
 *
 * The table of the extension is written as a catalog is, not by SQL: nobody
 * needs a privilege on it, and no identity is switched.  Who sees what there is
 * settled by the view dbutil.bulk_rejects.  A table that the caller names is
 * written by an INSERT with his rights.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* Columns of dbutil.bulk_reject_rows; those before OWNER are told in both places. */
enum
{
	COLUMN_JOB,
	COLUMN_CHUNK,
	COLUMN_ORD,
	COLUMN_SQLSTATE,
	COLUMN_CONSTRAINT,
	COLUMN_COLUMN,
	COLUMN_MESSAGE,
	COLUMN_DETAIL,
	COLUMN_ROW,
	COLUMN_OWNER,
	COLUMN_TARGET,
	COLUMN_AT,
	NCOLUMNS
};

#define NTOLD COLUMN_OWNER

static const char *const told_names[NTOLD] = {
	"job", "chunk", "ord", "sqlstate", "constraint_name", "column_name", "message", "detail", "row_data"
};

static Oid	told_types[NTOLD] = {
	TEXTOID, INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID
};

/* Before any row is read: does the table have the columns of a reject? */
void
dbu_bulk_rejects_check_target(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid),
				 errhint("Name the table for rejected rows as schema.table.")));
	for (int i = 0; i < NTOLD; i++)
	{
		if (get_attnum(relid, told_names[i]) == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("\"%s\" has no column \"%s\" for rejected rows", name, told_names[i]),
					 errhint("Make it by CREATE TABLE %s (LIKE dbutil.bulk_rejects).",
							 quote_identifier(name))));
	}
}

static Datum
text_or_null(const char *text, bool *isnull)
{
	*isnull = text == NULL;
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
fill_told(const DbuBulkCall *call, const DbuReject *reject, Datum *values, bool *nulls)
{
	memset(nulls, false, sizeof(bool) * NTOLD);
	values[COLUMN_JOB] = CStringGetTextDatum(call->rejects->job);
	values[COLUMN_CHUNK] = Int64GetDatum(reject->chunk);
	values[COLUMN_ORD] = Int64GetDatum(reject->ord);
	values[COLUMN_SQLSTATE] = CStringGetTextDatum(unpack_sql_state(reject->sqlerrcode));
	values[COLUMN_CONSTRAINT] = text_or_null(reject->constraint_name, &nulls[COLUMN_CONSTRAINT]);
	values[COLUMN_COLUMN] = text_or_null(reject->column_name, &nulls[COLUMN_COLUMN]);
	values[COLUMN_MESSAGE] = CStringGetTextDatum(reject->message);
	values[COLUMN_DETAIL] = text_or_null(reject->detail, &nulls[COLUMN_DETAIL]);
	values[COLUMN_ROW] = reject->row_data;
}

static void
store_own(DbuBulkCall *call)
{
	Oid			relid = get_relname_relid("bulk_reject_rows", get_namespace_oid("dbutil", false));
	Relation	rel;
	CatalogIndexState indexes;
	ListCell   *lc;
	Datum		values[NCOLUMNS];
	bool		nulls[NCOLUMNS] = {0};

	rel = OidIsValid(relid) ? table_open(relid, RowExclusiveLock) : NULL;
	if (rel == NULL || RelationGetDescr(rel)->natts != NCOLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("dbutil.bulk_reject_rows is not what the library expects"),
				 errhint("Run ALTER EXTENSION dbutil UPDATE.")));
	indexes = CatalogOpenIndexes(rel);
	values[COLUMN_OWNER] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	values[COLUMN_TARGET] = CStringGetTextDatum(call->target->sql_name);
	values[COLUMN_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	foreach(lc, call->rejects->pending)
	{
		HeapTuple	tuple;

		fill_told(call, lfirst(lc), values, nulls);
		tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
		CatalogTupleInsertWithInfo(rel, tuple, indexes);
		heap_freetuple(tuple);
	}
	CatalogCloseIndexes(indexes);
	table_close(rel, NoLock);
}

static void
store_named(DbuBulkCall *call)
{
	Oid			relid = call->opt.reject_to;
	StringInfoData names;
	StringInfoData params;
	SPIPlanPtr	plan;
	ListCell   *lc;

	initStringInfo(&names);
	initStringInfo(&params);
	for (int i = 0; i < NTOLD; i++)
	{
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", told_names[i]);
		appendStringInfo(&params, "%s$%d", i > 0 ? ", " : "", i + 1);
	}
	plan = SPI_prepare(psprintf("INSERT INTO %s (%s) VALUES (%s)",
								quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
														   get_rel_name(relid)),
								names.data, params.data),
					   NTOLD, told_types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	foreach(lc, call->rejects->pending)
	{
		Datum		values[NTOLD];
		bool		nulls[NTOLD];
		char		flags[NTOLD];
		int			rc;

		/* SPI leaves its own context behind */
		MemoryContextSwitchTo(call->rejects->mcxt);
		fill_told(call, lfirst(lc), values, nulls);
		for (int i = 0; i < NTOLD; i++)
			flags[i] = nulls[i] ? 'n' : ' ';
		rc = SPI_execute_plan(plan, values, flags, false, 0);
		if (rc < 0)
			elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(rc));
	}
	SPI_freeplan(plan);
}

/* Write the rejects that were gathered, and forget them. */
void
dbu_bulk_rejects_store(DbuBulkCall *call)
{
	DbuRejects *rejects = call->rejects;

	if (rejects->pending != NIL)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(rejects->mcxt);

		if (OidIsValid(call->opt.reject_to))
			store_named(call);
		else
			store_own(call);
		MemoryContextSwitchTo(oldcxt);
	}
	rejects->pending = NIL;
	MemoryContextReset(rejects->mcxt);
}
