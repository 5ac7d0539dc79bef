/*-------------------------------------------------------------------------
 *
 * judge_foreign.c
 *	  Rows of a batch whose foreign keys lead nowhere, found by one query for
 *	  each foreign key.
 *
 * The referenced table is read as its owner, as PostgreSQL's own check does:
 * whoever may insert need not be allowed to read there.  Nothing is locked:
 * the write checks again, and what it finds then is searched for (attempt.c).
 * Where the key refers to the target itself, rows of the batch count as well,
 * as long as they are good themselves.  Not judged are foreign keys that are
 * deferred, which PostgreSQL checks at the end of the transaction, and those
 * of which the rows do not supply every column.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_operator.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

typedef struct ForeignKey
{
	const ForeignKeyCacheInfo *info;
	char	   *name;
	int			positions[INDEX_MAX_KEYS];	/* of its columns among those of the rows */
	bool		own;			/* refers to the target */
} ForeignKey;

static bool
is_deferred(Oid constraint, char **name)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	result = ((Form_pg_constraint) GETSTRUCT(tuple))->condeferred;
	*name = pstrdup(NameStr(((Form_pg_constraint) GETSTRUCT(tuple))->conname));
	ReleaseSysCache(tuple);
	return result;
}

/* False: it is not to be judged. */
static bool
describe_key(DbuBulkCall *call, DbuBatch *batch, const ForeignKeyCacheInfo *info, ForeignKey *key)
{
	bool		sets = false;

	if (info->conrelid != call->target->relid || !dbu_foreign_key_is_enforced(info))
		return false;
	key->info = info;
	key->own = info->confrelid == call->target->relid;
	for (int i = 0; i < info->nkeys; i++)
	{
		key->positions[i] = -1;
		for (int p = 0; p < call->ncolumns; p++)
		{
			if (call->columns[p]->attnum == info->conkey[i] && bms_is_member(p, batch->shape->present))
				key->positions[i] = p;
		}
		if (key->positions[i] < 0)
			return false;
		sets |= call->op == DBU_BULK_INSERT || dbu_bulk_sets(call, batch->shape, key->positions[i]);
	}
	if (!sets)
		return false;
	/* a chunk of a procedure is a transaction */
	return !is_deferred(info->conoid, &key->name) || call->batches != NULL;
}

static char *
collation_sql(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	char	   *sql;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	sql = psprintf(" COLLATE %s", quote_qualified_identifier(get_namespace_name(form->collnamespace),
															 NameStr(form->collname)));
	ReleaseSysCache(tuple);
	return sql;
}

/*
 * referenced = value, by the constraint's operator and, as PostgreSQL does it,
 * under the referenced column's collation.
 */
static void
append_equal(StringInfo sql, DbuBulkCall *call, const ForeignKey *key, int i, const char *referenced)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(key->info->conpfeqop[i]));
	Form_pg_operator form;
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(key->info->confrelid, key->info->confkey[i], &type, &typmod, &collation);
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", key->info->conpfeqop[i]);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	appendStringInfo(sql, "%s", referenced);
	if (type != form->oprleft &&
		get_typtype(form->oprleft) != TYPTYPE_PSEUDO)
		appendStringInfo(sql, "::%s", format_type_be_qualified(form->oprleft));
	appendStringInfo(sql, " OPERATOR(%s.%s) s.c%d",
					 quote_identifier(get_namespace_name(form->oprnamespace)), NameStr(form->oprname),
					 key->positions[i] + 1);
	if (call->feed[key->positions[i]].type != form->oprright &&
		get_typtype(form->oprright) != TYPTYPE_PSEUDO)
		appendStringInfo(sql, "::%s", format_type_be_qualified(form->oprright));
	if (OidIsValid(collation) && collation != call->feed[key->positions[i]].collation)
		appendStringInfoString(sql, collation_sql(collation));
	ReleaseSysCache(tuple);
}

/* The rows' own place for a referenced column, or NULL if they do not supply it. */
static char *
own_column(DbuBulkCall *call, DbuBatch *batch, AttrNumber attnum)
{
	for (int p = 0; p < call->ncolumns; p++)
	{
		if (call->columns[p]->attnum == attnum && bms_is_member(p, batch->shape->present))
			return psprintf("r.c%d", p + 1);
	}
	return NULL;
}

/* NULL: rows of the batch may be referred to, and it cannot be said which */
static char *
orphans_sql(DbuBulkCall *call, DbuBatch *batch, const ForeignKey *key)
{
	const ForeignKeyCacheInfo *info = key->info;
	StringInfoData sql;
	StringInfoData own;

	initStringInfo(&sql);
	initStringInfo(&own);
	appendStringInfoString(&sql, "SELECT s.pos FROM " DBU_FEED_NAME " AS s WHERE ");
	for (int i = 0; i < info->nkeys; i++)
		appendStringInfo(&sql, "s.c%d IS NOT NULL AND ", key->positions[i] + 1);
	appendStringInfo(&sql, "NOT EXISTS (SELECT FROM %s%s AS x WHERE ",
					 get_rel_relkind(info->confrelid) == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(info->confrelid)),
												get_rel_name(info->confrelid)));
	for (int i = 0; i < info->nkeys; i++)
	{
		const char *name = quote_identifier(get_attname(info->confrelid, info->confkey[i], false));
		char	   *place = key->own ? own_column(call, batch, info->confkey[i]) : NULL;

		if (key->own && place == NULL)
			return NULL;
		appendStringInfoString(&sql, i > 0 ? " AND " : "");
		append_equal(&sql, call, key, i, psprintf("x.%s", name));
		if (key->own)
		{
			appendStringInfoString(&own, i > 0 ? " AND " : "");
			append_equal(&own, call, key, i, place);
		}
	}
	appendStringInfoChar(&sql, ')');
	if (key->own)
		appendStringInfo(&sql, " AND NOT EXISTS (SELECT FROM " DBU_FEED_NAME " AS r WHERE %s)", own.data);
	return sql.data;
}

static char *
orphan_detail(DbuBulkCall *call, const ForeignKey *key, TupleTableSlot *slot)
{
	StringInfoData names;
	StringInfoData values;

	initStringInfo(&names);
	initStringInfo(&values);
	for (int i = 0; i < key->info->nkeys; i++)
	{
		const char *comma = i > 0 ? ", " : "";
		int			p = key->positions[i];
		Oid			output;
		bool		varlena;

		getTypeOutputInfo(call->feed[p].type, &output, &varlena);
		appendStringInfo(&names, "%s%s", comma, call->columns[p]->name);
		appendStringInfo(&values, "%s%s", comma,
						 OidOutputFunctionCall(output, slot->tts_values[DBU_FEED_FIRST - 1 + p]));
	}
	return psprintf("Key (%s)=(%s) is not present in table \"%s\".", names.data, values.data,
					get_rel_name(key->info->confrelid));
}

/* Tell of the rows of batch that are REJECTED in piece, whose rows are the open ones of batch. */
static int64
tell_orphans(DbuBulkCall *call, DbuBatch *batch, DbuBatch *piece, const ForeignKey *key)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(call->desc, &TTSOpsMinimalTuple);
	int64		in_piece = 0;
	int64		told = 0;

	tuplestore_select_read_pointer(batch->store, 0);
	tuplestore_rescan(batch->store);
	while (tuplestore_gettupleslot(batch->store, true, false, slot))
	{
		DbuReject	reject = {.sqlerrcode = ERRCODE_FOREIGN_KEY_VIOLATION,.constraint_name = key->name};
		uint8	   *state;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		state = &batch->states[DatumGetInt64(slot->tts_values[DBU_FEED_POS - 1]) - 1];
		if (*state != DBU_ROW_OPEN || piece->states[in_piece++] != DBU_ROW_REJECTED)
			continue;
		*state = DBU_ROW_REJECTED;
		told++;
		reject.message = psprintf("insert or update on table \"%s\" violates foreign key constraint \"%s\"",
								  call->target->name, key->name);
		reject.detail = orphan_detail(call, key, slot);
		dbu_bulk_reject_slot(call, slot, &reject);
	}
	ExecDropSingleTupleTableSlot(slot);
	return told;
}

static void
ask_as_owner(DbuBulkCall *call, DbuBatch *piece, const ForeignKey *key, const char *sql)
{
	Relation	referenced = table_open(key->info->confrelid, AccessShareLock);
	Oid			user;
	int			context;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(referenced->rd_rel->relowner,
						   context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	dbu_bulk_ask(call, piece, sql, DBU_ROW_REJECTED);
	SetUserIdAndSecContext(user, context);
	table_close(referenced, NoLock);
}

/* Rejects rows until no further one is found: a good one may have hung on a bad one. */
static int64
judge_key(DbuBulkCall *call, DbuBatch *batch, const ForeignKey *key)
{
	char	   *sql = orphans_sql(call, batch, key);
	int64		rejected = 0;
	int64		told;

	do
	{
		DbuBatch   *piece;

		if (sql == NULL)
			return rejected;
		piece = dbu_bulk_piece(call, batch, 0, batch->nrows);
		ask_as_owner(call, piece, key, sql);
		told = tell_orphans(call, batch, piece, key);
		dbu_bulk_piece_free(piece);
		rejected += told;
	} while (key->own && told > 0);
	return rejected;
}

/* How many of the open rows of batch are rejected now for their foreign keys? */
int64
dbu_bulk_judge_foreign(DbuBulkCall *call, DbuBatch *batch)
{
	Relation	rel = table_open(call->target->relid, NoLock);
	int64		rejected = 0;
	List	   *keys = NIL;
	ListCell   *lc;

	if (dbu_bulk_rejectable(call, ERRCODE_FOREIGN_KEY_VIOLATION))
		keys = copyObject(RelationGetFKeyList(rel));
	foreach(lc, keys)
	{
		ForeignKey	key;

		if (describe_key(call, batch, lfirst(lc), &key))
			rejected += judge_key(call, batch, &key);
	}
	table_close(rel, NoLock);
	return rejected;
}
