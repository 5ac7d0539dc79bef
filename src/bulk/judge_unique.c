/*-------------------------------------------------------------------------
 *
 * judge_unique.c
 *	  Would a row break a unique or exclusion constraint?
 *
 * The table is asked as ON CONFLICT asks it, index by index: rows of others who
 * have not committed yet are waited for.  Rows of the batch are kept in a hash
 * table by the values that they put into each unique index, with the index's
 * own equality; a row counts there only if it passed in all respects, so of
 * several that exclude each other the first one is good.  Rows of the batch
 * that an exclusion constraint keeps apart are left to the write.
 *
 * An upsert's own index finds the row to update or to leave alone.  If there is
 * one, DO NOTHING asks no other index, and for DO UPDATE that row is no
 * conflict in the others.  Nor is a row with the one it updates, or with one
 * that a row before it moves away.  Deferrable constraints are checked later, and left
 * to PostgreSQL.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/judge.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "common/hashfn.h"
#include "optimizer/optimizer.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

typedef struct Judged
{
	Relation	index;
	IndexInfo  *info;
	bool		arbiter;		/* conflicts there are not errors */
	bool		hashes;			/* rows of the batch are compared */
	FmgrInfo   *equal;			/* by column */
	FmgrInfo   *hash;
} Judged;

/* Values that rows of the batch put into an index; those of one hash in a list. */
typedef struct Seen
{
	uint32		hash;			/* hash key */
	List	   *keys;			/* SeenKey * */
} Seen;

typedef struct SeenKey
{
	int			judged;
	Datum	   *values;
	bool	   *nulls;
} SeenKey;

struct DbuJudgeUnique
{
	int			count;
	Judged	   *judged;
	HTAB	   *seen;
	HTAB	   *moved;			/* ItemPointerData: rows that good ones of the batch update */
};

/* Does what the index holds of a row depend on what is not known? */
static bool
is_known(const DbuJudge *judge, const IndexInfo *info)
{
	for (int i = 0; i < info->ii_NumIndexKeyAttrs; i++)
	{
		if (bms_is_member(info->ii_IndexAttrNumbers[i], judge->unknown))
			return false;
	}
	/* expressions and predicates may depend on anything */
	return judge->unknown == NULL || (info->ii_Expressions == NIL && info->ii_Predicate == NIL);
}

/* Is it the index by which the call tells rows that are there already? */
static bool
is_arbiter(const DbuBulkCall *call, Relation index, const IndexInfo *info)
{
	const DbuBulkOptions *opt = &call->opt;

	if (opt->on_conflict == DBU_CONFLICT_ERROR)
		return false;
	if (opt->conflict_constraint != NULL)
		return OidIsValid(get_index_constraint(RelationGetRelid(index))) &&
			strcmp(get_constraint_name(get_index_constraint(RelationGetRelid(index))),
				   opt->conflict_constraint) == 0;
	if (opt->on_conflict == DBU_CONFLICT_NOTHING && opt->conflict_columns == NIL)
		return true;
	if (call->key == NULL || info->ii_NumIndexKeyAttrs != call->key->ncolumns ||
		info->ii_Expressions != NIL || info->ii_Predicate != NIL || !info->ii_Unique)
		return false;
	for (int k = 0; k < call->key->ncolumns; k++)
	{
		bool		found = false;

		for (int i = 0; i < info->ii_NumIndexKeyAttrs; i++)
			found |= info->ii_IndexAttrNumbers[i] == call->key->columns[k]->attnum;
		if (!found)
			return false;
	}
	return true;
}

/* Find the functions to compare rows of the batch by; false: there are none. */
static bool
prepare_hash(Judged *judged)
{
	int			n = judged->info->ii_NumIndexKeyAttrs;

	if (!judged->info->ii_Unique || judged->info->ii_ExclusionOps != NULL)
		return false;
	judged->equal = palloc0(sizeof(FmgrInfo) * n);
	judged->hash = palloc0(sizeof(FmgrInfo) * n);
	for (int i = 0; i < n; i++)
	{
		Oid			type = judged->index->rd_opcintype[i];
		Oid			equal = get_opfamily_member(judged->index->rd_opfamily[i], type, type,
												BTEqualStrategyNumber);
		RegProcedure left;
		RegProcedure right;

		if (!OidIsValid(equal) || !get_op_hash_functions(equal, &left, &right))
			return false;
		fmgr_info(get_opcode(equal), &judged->equal[i]);
		fmgr_info(left, &judged->hash[i]);
	}
	return true;
}

void
dbu_bulk_judge_unique_begin(DbuJudge *judge)
{
	DbuJudgeUnique *unique;
	HASHCTL		ctl = {0};

	/* indexes of a partitioned table hold nothing themselves */
	if (judge->rel->rd_rel->relkind != RELKIND_RELATION || !judge->rel->rd_rel->relhasindex)
		return;
	ExecOpenIndices(judge->relinfo, true);
	unique = palloc0(sizeof(DbuJudgeUnique));
	unique->judged = palloc0(sizeof(Judged) * Max(judge->relinfo->ri_NumIndices, 1));
	for (int i = 0; i < judge->relinfo->ri_NumIndices; i++)
	{
		Judged	   *judged = &unique->judged[unique->count];

		judged->index = judge->relinfo->ri_IndexRelationDescs[i];
		judged->info = judge->relinfo->ri_IndexRelationInfo[i];
		if ((!judged->info->ii_Unique && judged->info->ii_ExclusionOps == NULL) ||
			!judged->info->ii_ReadyForInserts || !judged->index->rd_index->indimmediate ||
			!is_known(judge, judged->info))
			continue;
		judged->arbiter = is_arbiter(judge->call, judged->index, judged->info);
		judged->hashes = !judged->arbiter && prepare_hash(judged);
		unique->count++;
	}
	ctl.keysize = sizeof(uint32);
	ctl.entrysize = sizeof(Seen);
	ctl.hcxt = CurrentMemoryContext;
	unique->seen = hash_create("dbutil bulk unique keys", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ctl.keysize = ctl.entrysize = sizeof(ItemPointerData);
	unique->moved = hash_create("dbutil bulk rows updated", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	judge->unique = unique;
}

void
dbu_bulk_judge_unique_end(DbuJudge *judge)
{
	if (judge->unique != NULL)
		ExecCloseIndices(judge->relinfo);
}

/* ---------- the table ---------- */

/* A row that is there already and stays there; its place goes to tid. */
static bool
conflicts(DbuJudge *judge, const Judged *judged, ItemPointer tid)
{
	ItemPointerSetInvalid(tid);
	if (dbu_exec_check_index_constraints(judge->relinfo, judge->row, judge->estate, tid,
										 list_make1_oid(RelationGetRelid(judged->index))))
		return false;
	return hash_search(judge->unique->moved, tid, HASH_FIND, NULL) == NULL;
}

/* ---------- the batch ---------- */

static bool
any_null(const Judged *judged, const bool *nulls)
{
	for (int i = 0; i < judged->info->ii_NumIndexKeyAttrs; i++)
	{
		if (nulls[i])
			return true;
	}
	return false;
}

/* Is the row not in the index, or never equal to another one there? */
static bool
stands_apart(DbuJudge *judge, const Judged *judged, const bool *nulls)
{
	if (any_null(judged, nulls) && !judged->info->ii_NullsNotDistinct)
		return true;
	if (judged->info->ii_Predicate == NIL)
		return false;
	if (judged->info->ii_PredicateState == NULL)
		judged->info->ii_PredicateState = ExecPrepareQual(judged->info->ii_Predicate, judge->estate);
	return !ExecQual(judged->info->ii_PredicateState, judge->econtext);
}

static uint32
hash_key(const DbuJudgeUnique *unique, int which, const Datum *values, const bool *nulls)
{
	Judged	   *judged = &unique->judged[which];
	uint32		hash = murmurhash32(which);

	for (int i = 0; i < judged->info->ii_NumIndexKeyAttrs; i++)
	{
		uint32		one = nulls[i] ? 0 :
			DatumGetUInt32(FunctionCall1Coll(&judged->hash[i], judged->index->rd_indcollation[i], values[i]));

		hash = hash_combine(hash, one);
	}
	return hash;
}

static bool
same_key(const DbuJudgeUnique *unique, const SeenKey *key, const Datum *values, const bool *nulls)
{
	Judged	   *judged = &unique->judged[key->judged];

	for (int i = 0; i < judged->info->ii_NumIndexKeyAttrs; i++)
	{
		if (key->nulls[i] != nulls[i])
			return false;
		if (!nulls[i] &&
			!DatumGetBool(FunctionCall2Coll(&judged->equal[i], judged->index->rd_indcollation[i],
											key->values[i], values[i])))
			return false;
	}
	return true;
}

static bool
is_seen(const DbuJudgeUnique *unique, int which, const Datum *values, const bool *nulls)
{
	uint32		hash = hash_key(unique, which, values, nulls);
	Seen	   *seen = hash_search(unique->seen, &hash, HASH_FIND, NULL);
	ListCell   *lc;

	if (seen == NULL)
		return false;
	foreach(lc, seen->keys)
	{
		const SeenKey *key = lfirst(lc);

		if (key->judged == which && same_key(unique, key, values, nulls))
			return true;
	}
	return false;
}

static void
remember(DbuJudge *judge, int which, const Datum *values, const bool *nulls)
{
	DbuJudgeUnique *unique = judge->unique;
	const Judged *judged = &unique->judged[which];
	TupleDesc	desc = RelationGetDescr(judged->index);
	int			n = judged->info->ii_NumIndexKeyAttrs;
	uint32		hash = hash_key(unique, which, values, nulls);
	MemoryContext oldcxt = MemoryContextSwitchTo(judge->estate->es_query_cxt);
	bool		found;
	Seen	   *seen = hash_search(unique->seen, &hash, HASH_ENTER, &found);
	SeenKey    *key = palloc(sizeof(SeenKey));

	key->judged = which;
	key->values = palloc(sizeof(Datum) * n);
	key->nulls = palloc(sizeof(bool) * n);
	for (int i = 0; i < n; i++)
	{
		/* the type that expressions and columns give, which an opclass may differ from */
		Form_pg_attribute att = TupleDescAttr(desc, i);

		key->nulls[i] = nulls[i];
		if (!nulls[i])
			key->values[i] = datumCopy(values[i], att->attbyval, att->attlen);
	}
	seen->keys = found ? lappend(seen->keys, key) : list_make1(key);
	MemoryContextSwitchTo(oldcxt);
}

/* ---------- the row ---------- */

static void
tell(const Judged *judged, Datum *values, bool *nulls, DbuReject *reject)
{
	const char *name = RelationGetRelationName(judged->index);
	char	   *key = BuildIndexValueDescription(judged->index, values, nulls);
	bool		exclusion = judged->info->ii_ExclusionOps != NULL;

	reject->sqlerrcode = exclusion ? ERRCODE_EXCLUSION_VIOLATION : ERRCODE_UNIQUE_VIOLATION;
	reject->constraint_name = pstrdup(name);
	if (exclusion)
		reject->message = psprintf("conflicting key value violates exclusion constraint \"%s\"", name);
	else
		reject->message = psprintf("duplicate key value violates unique constraint \"%s\"", name);
	if (key != NULL)
		reject->detail = psprintf(exclusion ? "Key %s conflicts with existing key." : "Key %s already exists.", key);
}

/* Is the row in judge->row good for all indexes?  If so it counts for the rows behind it. */
bool
dbu_bulk_judge_unique(DbuJudge *judge, DbuReject *reject)
{
	DbuJudgeUnique *unique = judge->unique;
	ItemPointerData mine;
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];

	/* the row to update, if the batch is an update */
	mine = judge->row->tts_tid;
	for (int i = 0; i < unique->count; i++)
	{
		if (unique->judged[i].arbiter && !ItemPointerIsValid(&mine) &&
			conflicts(judge, &unique->judged[i], &mine) &&
			judge->call->opt.on_conflict == DBU_CONFLICT_NOTHING)
			return true;
	}
	for (int i = 0; i < unique->count; i++)
	{
		const Judged *judged = &unique->judged[i];
		ItemPointerData other;

		if (judged->arbiter)
			continue;
		FormIndexDatum(judged->info, judge->row, judge->estate, values, nulls);
		if ((judged->hashes && !stands_apart(judge, judged, nulls) && is_seen(unique, i, values, nulls)) ||
			(conflicts(judge, judged, &other) && !ItemPointerEquals(&other, &mine)))
		{
			tell(judged, values, nulls, reject);
			return false;
		}
	}
	for (int i = 0; i < unique->count; i++)
	{
		const Judged *judged = &unique->judged[i];

		if (!judged->hashes)
			continue;
		FormIndexDatum(judged->info, judge->row, judge->estate, values, nulls);
		if (!stands_apart(judge, judged, nulls))
			remember(judge, i, values, nulls);
	}
	if (ItemPointerIsValid(&judge->row->tts_tid))
		(void) hash_search(unique->moved, &judge->row->tts_tid, HASH_ENTER, NULL);
	return true;
}
