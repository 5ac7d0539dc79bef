/*-------------------------------------------------------------------------
 *
 * target.c
 *	  What a bulk write must know of its target, read from the catalogs.
 *
 * Rights are not checked here: the statements run with the caller's rights and
 * PostgreSQL checks them as in any other statement.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/errors.h"
#include "bulk/bulk.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* The type's equality as it is written in a query whatever the search_path. */
static const char *
equality_of(Oid type)
{
	Oid			opr = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	HeapTuple	tuple;
	Form_pg_operator form;
	char	   *result;

	if (!OidIsValid(opr))
		return NULL;
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(opr));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("OPERATOR(%s.%s)",
					  quote_identifier(get_namespace_name(form->oprnamespace)),
					  NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return result;
}

static List *
key_of_index(const BulkTarget *target, Relation rel, Oid indexid, bool *usable)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Form_pg_index index;
	List	   *result = NIL;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index %u of \"%s\" is gone", indexid, RelationGetRelationName(rel))));
	index = (Form_pg_index) GETSTRUCT(tuple);
	*usable = index->indisunique && index->indisvalid && index->indimmediate &&
		heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
		heap_attisnull(tuple, Anum_pg_index_indexprs, NULL);
	for (int i = 0; *usable && i < index->indnkeyatts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), index->indkey.values[i] - 1);

		result = lappend(result, dbu_bulk_column(target, NameStr(att->attname)));
	}
	ReleaseSysCache(tuple);
	return result;
}

BulkTarget *
dbu_bulk_target(Oid relid, BulkOp op)
{
	BulkTarget *target = palloc0(sizeof(BulkTarget));
	Relation	rel = relation_open(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *indexes;
	ListCell   *lc;

	target->relid = relid;
	target->relkind = rel->rd_rel->relkind;
	target->reltuples = rel->rd_rel->reltuples;
	target->quoted = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												RelationGetRelationName(rel));

	if (target->relkind != RELKIND_RELATION && target->relkind != RELKIND_PARTITIONED_TABLE &&
		!(op == BULK_INSERT &&
		  (target->relkind == RELKIND_VIEW || target->relkind == RELKIND_FOREIGN_TABLE)))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" cannot be the target of a bulk %s",
						RelationGetRelationName(rel),
						op == BULK_INSERT ? "insert" : op == BULK_UPDATE ? "update" : "delete"),
				 op == BULK_INSERT ?
				 errhint("Name a table, a partitioned table, a view or a foreign table.") :
				 errhint("Name a table or a partitioned table.")));

	target->columns = palloc0(sizeof(BulkColumn) * desc->natts);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		BulkColumn *column;

		if (att->attisdropped)
			continue;
		column = &target->columns[target->ncolumns++];
		column->name = pstrdup(NameStr(att->attname));
		column->quoted = pstrdup(quote_identifier(column->name));
		column->type = format_type_extended(att->atttypid, att->atttypmod,
											FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
		column->equals = equality_of(att->atttypid);
		column->computed = att->attgenerated != '\0' || att->attidentity == 'a';
	}

	indexes = RelationGetIndexList(rel);
	foreach(lc, indexes)
	{
		bool		usable;

		if (lfirst_oid(lc) == rel->rd_pkindex)
			target->primary_key = key_of_index(target, rel, lfirst_oid(lc), &usable);
	}
	relation_close(rel, NoLock);
	return target;
}

/* NULL when there is none. */
BulkColumn *
dbu_bulk_column(const BulkTarget *target, const char *name)
{
	for (int i = 0; i < target->ncolumns; i++)
	{
		if (strcmp(target->columns[i].name, name) == 0)
			return &target->columns[i];
	}
	return NULL;
}

/* The columns that a name[] argument names; NIL when it is NULL. */
List *
dbu_bulk_columns(const BulkTarget *target, ArrayType *names, const char *parameter)
{
	List	   *result = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if (names == NULL)
		return NIL;
	deconstruct_array(names, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elements, &nulls, &n);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter \"%s\" names no column", parameter),
				 errhint("Name columns of %s, or pass NULL for the default.", target->quoted)));
	for (int i = 0; i < n; i++)
	{
		BulkColumn *column;

		if (nulls[i])
			dbu_error_null_argument(parameter);
		column = dbu_bulk_column(target, NameStr(*DatumGetName(elements[i])));
		if (column == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of %s does not exist",
							NameStr(*DatumGetName(elements[i])), target->quoted),
					 errhint("Name existing columns in \"%s\".", parameter)));
		if (list_member_ptr(result, column))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" is named twice in \"%s\"", column->name, parameter)));
		result = lappend(result, column);
	}
	return result;
}

/* Is there a unique index, whole and immediate, on exactly these columns? */
bool
dbu_bulk_is_unique(const BulkTarget *target, List *columns)
{
	Relation	rel = relation_open(target->relid, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;
	bool		found = false;

	foreach(lc, indexes)
	{
		bool		usable;
		List	   *key = key_of_index(target, rel, lfirst_oid(lc), &usable);

		if (usable && list_length(key) == list_length(columns) &&
			list_difference_ptr(key, columns) == NIL)
			found = true;
	}
	relation_close(rel, NoLock);
	return found;
}
