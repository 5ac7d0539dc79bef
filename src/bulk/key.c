/*-------------------------------------------------------------------------
 *
 * key.c
 *	  The key of a call: what update and delete find rows by, and what an
 *	  insert judges conflicts and duplicates by.
 *
 * Values are compared with the default btree operators of the column's type
 * under the column's collation; keys given in another type with the operator
 * that PostgreSQL finds for the two types.  In SQL these operators are written
 * with their schema, so that no search_path can change them.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/value.h"
#include "parser/parse_oper.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/*
 * With more keys than this share of the table's rows the planner is left to
 * choose the join: about here one pass over a table in memory costs no more
 * than a descent of the index for each key, and one on disk costs less.
 */
#define STEER_SHARE 0.25

static char *
operator_sql(Oid oprid)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(oprid));
	Form_pg_operator form;
	char	   *sql;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", oprid);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	sql = psprintf("OPERATOR(%s.%s)",
				   quote_identifier(get_namespace_name(form->oprnamespace)),
				   NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return sql;
}

/*
 * Does index find the rows of one key quickly?  Its first columns must be
 * among the key's: all of them if it is unique, else as many as the key has.
 */
static bool
index_serves(Relation index, const DbuKey *key)
{
	Form_pg_index form = index->rd_index;
	int			leading = 0;

	if (!form->indisvalid || !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
		return false;
	if (index->rd_rel->relam != BTREE_AM_OID && index->rd_rel->relam != HASH_AM_OID)
		return false;
	for (int i = 0; i < form->indnkeyatts; i++, leading++)
	{
		int			k;

		for (k = 0; k < key->ncolumns; k++)
		{
			if (key->columns[k]->attnum == form->indkey.values[i] &&
				key->columns[k]->collation == index->rd_indcollation[i] &&
				op_in_opfamily(key->equal_op[k], index->rd_opfamily[i]))
				break;
		}
		if (k == key->ncolumns)
			break;
	}
	return (form->indisunique && leading == form->indnkeyatts) || leading == key->ncolumns;
}

static void
find_index(DbuBulkCall *call, DbuKey *key)
{
	Relation	rel;
	ListCell   *lc;

	if (call->target->relkind != RELKIND_RELATION &&
		call->target->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	rel = relation_open(call->target->relid, NoLock);
	/* inheritance children need not have the index */
	if (rel->rd_rel->relkind == RELKIND_RELATION && rel->rd_rel->relhassubclass)
	{
		relation_close(rel, NoLock);
		return;
	}
	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (key->index_name == NULL && index_serves(index, key))
			key->index_name = pstrdup(RelationGetRelationName(index));
		index_close(index, NoLock);
	}
	relation_close(rel, NoLock);
}

/*
 * Is there a unique index on exactly the key's columns that takes NULLs for
 * equal?  ON CONFLICT names columns and infers the index from them.
 */
static bool
index_takes_nulls_for_equal(DbuBulkCall *call, const DbuKey *key)
{
	Relation	rel = relation_open(call->target->relid, NoLock);
	ListCell   *lc;
	bool		result = false;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;
		int			found = 0;

		for (int k = 0; k < key->ncolumns; k++)
		{
			for (int i = 0; i < form->indnkeyatts; i++)
				found += form->indkey.values[i] == key->columns[k]->attnum;
		}
		if (form->indisunique && form->indnullsnotdistinct &&
			found == key->ncolumns && form->indnkeyatts == key->ncolumns)
			result = true;
		index_close(index, NoLock);
	}
	relation_close(rel, NoLock);
	return result;
}

/* The columns of a unique or primary key constraint, NIL for another one. */
static List *
constraint_columns(DbuBulkCall *call, bool *nulls_equal)
{
	Oid			relid = call->target->relid;
	Oid			constraint = get_relation_constraint_oid(relid, call->opt.conflict_constraint, false);
	Oid			indexid = get_constraint_index(constraint);
	HeapTuple	tuple;
	Form_pg_index form;
	List	   *names = NIL;

	if (!OidIsValid(indexid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("constraint \"%s\" of \"%s\" has no index",
						call->opt.conflict_constraint, call->target->name),
				 errhint("Name a primary key, unique or exclusion constraint.")));
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", indexid);
	form = (Form_pg_index) GETSTRUCT(tuple);
	if (form->indisunique)
	{
		*nulls_equal = form->indnullsnotdistinct;
		for (int i = 0; i < form->indnkeyatts; i++)
			names = lappend(names, get_attname(relid, form->indkey.values[i], false));
	}
	ReleaseSysCache(tuple);
	return names;
}

static void
error_no_key(DbuBulkCall *call, const char *parameter)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("\"%s\" has no primary key", call->target->name),
			 errhint("Name the key columns in the parameter \"%s\".", parameter)));
}

/* Which columns are the key, and what named them; NIL: there is no key. */
static List *
key_names(DbuBulkCall *call, const char **parameter, bool *nulls_equal)
{
	const DbuBulkOptions *opt = &call->opt;

	*parameter = call->op == DBU_BULK_INSERT ? "conflict_columns" : "key";
	*nulls_equal = false;
	if (call->op != DBU_BULK_INSERT)
	{
		if (opt->key == NIL && call->target->primary_key == NIL)
			error_no_key(call, *parameter);
		return opt->key ? opt->key : call->target->primary_key;
	}

	if (opt->conflict_columns != NIL)
		return opt->conflict_columns;
	if (opt->conflict_constraint != NULL)
		return constraint_columns(call, nulls_equal);
	if (call->target->primary_key == NIL &&
		(opt->duplicates != DBU_DUPLICATES_ERROR ||
		 opt->on_conflict == DBU_CONFLICT_UPDATE ||
		 opt->on_conflict == DBU_CONFLICT_UPDATE_IF_CHANGED))
		error_no_key(call, *parameter);
	return call->target->primary_key;
}

void
dbu_bulk_key_resolve(DbuBulkCall *call)
{
	const char *parameter;
	bool		nulls_equal;
	List	   *names = key_names(call, &parameter, &nulls_equal);
	DbuKey	   *key;
	ListCell   *lc;

	if (names == NIL)
		return;
	key = palloc0(sizeof(DbuKey));
	key->columns = palloc(sizeof(DbuColumn *) * list_length(names));
	key->positions = palloc(sizeof(int) * list_length(names));
	key->equal = palloc(sizeof(char *) * list_length(names));
	key->fill_values = palloc0(sizeof(Datum) * list_length(names));
	key->fill_nulls = palloc0(sizeof(bool) * list_length(names));
	key->less = palloc(sizeof(Oid) * list_length(names));
	key->equal_op = palloc(sizeof(Oid) * list_length(names));
	key->comparable = true;
	key->nulls_equal = nulls_equal;
	foreach(lc, names)
	{
		const DbuColumn *column = dbu_bulk_target_column(call->target, lfirst(lc),
														 psprintf("parameter \"%s\"", parameter));
		TypeCacheEntry *type = lookup_type_cache(column->type, TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR);
		int			k = key->ncolumns++;

		key->columns[k] = column;
		key->positions[k] = -1;
		key->less[k] = type->lt_opr;
		key->equal[k] = NULL;
		key->equal_op[k] = type->eq_opr;
		if (OidIsValid(type->eq_opr) && OidIsValid(type->lt_opr))
			key->equal[k] = operator_sql(type->eq_opr);
		else if (call->op != DBU_BULK_INSERT || call->opt.duplicates != DBU_DUPLICATES_ERROR)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FUNCTION),
					 errmsg("column \"%s\" of type %s cannot be part of a key",
							column->name, format_type_be(column->type)),
					 errdetail("The type has no default btree operator class."),
					 errhint("Name other columns in the parameter \"%s\".", parameter)));
		else
			key->comparable = false;
	}
	if (call->op == DBU_BULK_INSERT && !key->nulls_equal)
		key->nulls_equal = index_takes_nulls_for_equal(call, key);
	call->key = key;
}

/*
 * The equality that "column = value" means in plain SQL for two types, as long
 * as it is one that can be sorted by; InvalidOid: there is none.
 */
static Oid
equality_of(Oid column, Oid value, Oid own)
{
	char	   *own_schema = get_namespace_name(get_func_namespace(get_opcode(own)));
	const char *const schemas[] = {"pg_catalog", own_schema};

	/* a value of type record does not say what it is */
	for (int i = 0; value != RECORDOID && i < lengthof(schemas); i++)
	{
		List	   *name = list_make2(makeString(pstrdup(schemas[i])), makeString(pstrdup("=")));
		Operator	op = oper(NULL, name, column, value, true, -1);
		Oid			result;

		if (op == NULL)
			continue;
		result = oprid(op);
		ReleaseSysCache(op);
		if (get_mergejoin_opfamilies(result) != NIL)
			return result;
	}
	return InvalidOid;
}

/* How keys that came in another type than their column's are compared. */
static void
settle_type(DbuBulkCall *call, DbuKey *key, int k)
{
	const DbuColumn *column = key->columns[k];
	Oid			base = getBaseType(column->type);
	Oid			given = call->feed[key->positions[k]].type;
	TypeCacheEntry *type;

	if (given == base)
		return;
	type = lookup_type_cache(given, TYPECACHE_LT_OPR);
	key->less[k] = type->lt_opr;
	key->equal_op[k] = equality_of(base, given, key->equal_op[k]);
	if (!OidIsValid(key->less[k]) || !OidIsValid(key->equal_op[k]))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("key column \"%s\" is of type %s but the rows give type %s",
						column->name, format_type_be(column->type), format_type_be(given)),
				 errdetail("Values of these types cannot be compared."),
				 errhint("Cast the values in the rows.")));
	key->equal[k] = operator_sql(key->equal_op[k]);
}

/* The types of the rows are known now: how are keys compared, by which index? */
void
dbu_bulk_key_settle(DbuBulkCall *call)
{
	DbuKey	   *key = call->key;

	if (key == NULL)
		return;
	for (int k = 0; call->op != DBU_BULK_INSERT && k < key->ncolumns; k++)
		settle_type(call, key, k);
	if (key->comparable)
		find_index(call, key);
}

bool
dbu_bulk_key_has(const DbuKey *key, const DbuColumn *column)
{
	for (int k = 0; key != NULL && k < key->ncolumns; k++)
	{
		if (key->columns[k] == column)
			return true;
	}
	return false;
}

/* Do rows of this shape supply a whole key that can be compared? */
bool
dbu_bulk_key_supplied(const DbuBulkCall *call, const DbuShape *shape)
{
	const DbuKey *key = call->key;

	if (key == NULL || !key->comparable)
		return false;
	for (int k = 0; k < key->ncolumns; k++)
	{
		int			position = key->positions[k];

		if (position < 0 ||
			(!bms_is_member(position, shape->present) && !bms_is_member(position, key->filled)))
			return false;
	}
	return true;
}

/*
 * A row to insert that leaves out a column of the key will have its default
 * there.  Put that into the row, to be compared; the statement still leaves
 * the column to PostgreSQL.  A default that is another one for each row, as
 * of a sequence, stays unknown.
 */
void
dbu_bulk_key_fill(DbuBulkCall *call, DbuRow *row)
{
	DbuKey	   *key = call->key;

	for (int k = 0; k < key->ncolumns; k++)
	{
		int			position = key->positions[k];

		if (position < 0 || bms_is_member(position, row->shape->present) || key->columns[k]->generated)
			continue;
		if (!bms_is_member(k, key->asked))
		{
			MemoryContext oldcxt = MemoryContextSwitchTo(call->mcxt);

			key->asked = bms_add_member(key->asked, k);
			if (dbu_bulk_default_is_stable(call, position))
			{
				Datum		value = dbu_bulk_default_value(call, position, &key->fill_nulls[k]);

				key->filled = bms_add_member(key->filled, position);
				if (!key->fill_nulls[k])
					key->fill_values[k] = datumCopy(value, get_typbyval(key->columns[k]->type),
													get_typlen(key->columns[k]->type));
			}
			MemoryContextSwitchTo(oldcxt);
		}
		if (bms_is_member(position, key->filled))
		{
			row->values[position] = key->fill_values[k];
			row->nulls[position] = key->fill_nulls[k];
		}
	}
}

/* (a, b)=(1, x), as in PostgreSQL's own messages about keys */
char *
dbu_bulk_key_text(const DbuBulkCall *call, const Datum *values, const bool *nulls)
{
	const DbuKey *key = call->key;
	StringInfoData names;
	StringInfoData text;

	initStringInfo(&names);
	initStringInfo(&text);
	for (int k = 0; k < key->ncolumns; k++)
	{
		const char *comma = k > 0 ? ", " : "";
		int			position = key->positions[k];

		appendStringInfo(&names, "%s%s", comma, key->columns[k]->name);
		if (nulls[position])
			appendStringInfo(&text, "%snull", comma);
		else
		{
			Oid			output;
			bool		varlena;

			getTypeOutputInfo(call->feed[position].type, &output, &varlena);
			appendStringInfo(&text, "%s%s", comma, OidOutputFunctionCall(output, values[position]));
		}
	}
	return psprintf("(%s)=(%s)", names.data, text.data);
}

/* Shall the join of nrows keys with the target be made a nested loop? */
bool
dbu_bulk_key_steers(const DbuBulkCall *call, int64 nrows)
{
	if (call->key == NULL || call->key->index_name == NULL)
		return false;
	return call->target->reltuples <= 0 || nrows <= STEER_SHARE * call->target->reltuples;
}
