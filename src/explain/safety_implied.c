/*-------------------------------------------------------------------------
 *
 * safety_implied.c
 *	  What a statement calls without naming it, for safety.c to judge.
 *
 * A value of a type is checked by the domains inside of it when it is made
 * from text or JSON: there the statement shows the outermost type only.  A
 * comparison calls the support functions of operator families, and so do the
 * indexes and the partition key of every table that is read or written.
 *
 * Only families that a user made are listed: for an operator of the server's
 * own the planner prefers the server's families, which hold nothing volatile.
 * Of their functions those in C are left out: they are an extension's, and many
 * of those (PostGIS') are volatile only because nobody has said otherwise.
 * Lists are allocated in the current memory context; no locks are taken.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_index.h"
#include "catalog/pg_language.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static List *
add_family(List *families, Oid family)
{
	return family >= FirstUnpinnedObjectId ? list_append_unique_oid(families, family) : families;
}

/*
 * Appends to *seen what type is made of, itself included: the elements of
 * arrays, the columns of composite types, what ranges and domains are over.
 */
static void
collect_types(Oid type, List **seen)
{
	if (!OidIsValid(type) || list_member_oid(*seen, type))
		return;
	check_stack_depth();
	*seen = lappend_oid(*seen, type);
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			collect_types(getBaseType(type), seen);
			break;
		case TYPTYPE_COMPOSITE:
			{
				TupleDesc	desc = lookup_rowtype_tupdesc(type, -1);

				for (int i = 0; i < desc->natts; i++)
				{
					if (!TupleDescAttr(desc, i)->attisdropped)
						collect_types(TupleDescAttr(desc, i)->atttypid, seen);
				}
				ReleaseTupleDesc(desc);
				break;
			}
		case TYPTYPE_RANGE:
			collect_types(get_range_subtype(type), seen);
			break;
		case TYPTYPE_MULTIRANGE:
			collect_types(get_multirange_range(type), seen);
			break;
		default:
			collect_types(get_element_type(type), seen);
			break;
	}
}

static List *
add_function(List *functions, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			language;

	if (!HeapTupleIsValid(tuple))
		return functions;
	language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	ReleaseSysCache(tuple);
	return language == ClanguageId || language == INTERNALlanguageId ? functions :
		list_append_unique_oid(functions, function);
}

/* The domains that check a value of this type, and what compares its ranges. */
void
dbu_explain_type_parts(Oid type, List **domains, List **functions)
{
	List	   *types = NIL;
	ListCell   *lc;

	*domains = NIL;
	*functions = NIL;
	collect_types(type, &types);
	foreach(lc, types)
	{
		switch (get_typtype(lfirst_oid(lc)))
		{
			case TYPTYPE_DOMAIN:
				*domains = lappend_oid(*domains, lfirst_oid(lc));
				break;
			case TYPTYPE_RANGE:
				*functions = add_function(*functions,
										  lookup_type_cache(lfirst_oid(lc), TYPECACHE_RANGE_INFO)->rng_cmp_proc_finfo.fn_oid);
				break;
			default:
				break;
		}
	}
}

/* The families by which an operator may be carried out: sorting, merging, hashing. */
List *
dbu_explain_operator_families(Oid operator)
{
	List	   *families = NIL;
	CatCList   *members;

	if (operator < FirstUnpinnedObjectId)
		return NIL;
	members = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(operator));
	for (int i = 0; i < members->n_members; i++)
		families = add_family(families,
							  ((Form_pg_amop) GETSTRUCT(&members->members[i]->tuple))->amopfamily);
	ReleaseSysCacheList(members);
	return families;
}

/* The families of a table's indexes and of its partition key. */
List *
dbu_explain_table_families(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	List	   *families = NIL;
	PartitionKey key = RelationGetPartitionKey(rel);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		oidvector  *classes;
		bool		isnull;

		if (!HeapTupleIsValid(tuple))
			continue;
		classes = (oidvector *) DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
																Anum_pg_index_indclass, &isnull));
		for (int i = 0; i < classes->dim1; i++)
		{
			if (classes->values[i] >= FirstUnpinnedObjectId)
				families = add_family(families, get_opclass_family(classes->values[i]));
		}
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
	for (int i = 0; key != NULL && i < key->partnatts; i++)
		families = add_family(families, key->partopfamily[i]);
	return families;
}

/* The functions of a family, not in C: its support functions and its operators'. */
List *
dbu_explain_family_functions(Oid family)
{
	List	   *functions = NIL;
	CatCList   *members = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(family));

	for (int i = 0; i < members->n_members; i++)
		functions = add_function(functions,
								 ((Form_pg_amproc) GETSTRUCT(&members->members[i]->tuple))->amproc);
	ReleaseSysCacheList(members);
	members = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family));
	for (int i = 0; i < members->n_members; i++)
		functions = add_function(functions,
								 get_opcode(((Form_pg_amop) GETSTRUCT(&members->members[i]->tuple))->amopopr));
	ReleaseSysCacheList(members);
	return functions;
}

static bool
column_is(HeapTuple function, AttrNumber column, const char *word)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(PROCOID, function, column, &isnull);
	const char *found = isnull ? "" : TextDatumGetCString(value);
	const char *slash = strrchr(found, '/');

	return strcmp(slash ? slash + 1 : found, word) == 0;
}

/*
 * Is it a function of an extension of PostgreSQL's that counts as stable but
 * runs what its arguments hold: a query, or the name of a view?
 */
bool
dbu_explain_runs_arguments(Oid function)
{
	static const struct
	{
		const char *library;
		const char *symbol;
	}			known[] = {
		{"tablefunc", "crosstab"}, {"tablefunc", "crosstab_hash"},
		{"tablefunc", "connectby_text"}, {"tablefunc", "connectby_text_serial"},
		{"pgxml", "xpath_table"},
	};
	HeapTuple	tuple;
	bool		result = false;

	if (function < FirstUnpinnedObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	for (int i = 0; i < lengthof(known) &&
		 ((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId; i++)
		result |= column_is(tuple, Anum_pg_proc_probin, known[i].library) &&
			column_is(tuple, Anum_pg_proc_prosrc, known[i].symbol);
	ReleaseSysCache(tuple);
	return result;
}

char *
dbu_explain_family_name(Oid family)
{
	HeapTuple	tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(family));
	Form_pg_opfamily form;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator family %u", family);
	form = (Form_pg_opfamily) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->opfnamespace), NameStr(form->opfname));
	ReleaseSysCache(tuple);
	return name;
}
