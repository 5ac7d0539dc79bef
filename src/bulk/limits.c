/*-------------------------------------------------------------------------
 *
 * limits.c
 *	  Refuse what cannot be written whatever the rows are: foreign tables that
 *	  do not take the operation, below views as well, and data beyond what PostgreSQL can hold.
 *
 * PostgreSQL would refuse most of it too, but only once the rows are read, or
 * by naming a size of memory: here it is said at once, and what helps.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "parser/parsetree.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"

/* ---------- foreign tables ---------- */

static const CmdType commands[] = {CMD_INSERT, CMD_UPDATE, CMD_DELETE};

/* view: the one that writes to the table; NULL: none */
static void
error_foreign(const char *name, const char *view, DbuBulkOp op, const char *wrapper, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("foreign table \"%s\" does not take %s", name,
					op == DBU_BULK_INSERT ? "inserts" : op == DBU_BULK_UPDATE ? "updates" : "deletes"),
			 view != NULL
			 ? errdetail("View \"%s\" writes to it; its foreign-data wrapper is \"%s\".", view, wrapper)
			 : errdetail("Its foreign-data wrapper is \"%s\".", wrapper),
			 errhint("%s", hint)));
}

/* The relation is a foreign table, and locked. */
static void
check_foreign(Oid relid, const char *view, DbuBulkOp op)
{
	const char *other = "Write to the table on its own server, or to a local one.";
	Relation	rel = relation_open(relid, NoLock);
	char	   *name = pstrdup(RelationGetRelationName(rel));
	ForeignTable *table = GetForeignTable(relid);
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(GetForeignServer(table->serverid)->fdwid);
	FdwRoutine *routine;
	bool		can = false;

	if (!OidIsValid(wrapper->fdwhandler))
		error_foreign(name, view, op, wrapper->fdwname, "The wrapper has no handler; give it one by ALTER FOREIGN DATA WRAPPER.");
	routine = GetFdwRoutineForRelation(rel, false);
	switch (op)
	{
		case DBU_BULK_INSERT:
			can = routine->ExecForeignInsert != NULL;
			break;
		case DBU_BULK_UPDATE:
			can = routine->ExecForeignUpdate != NULL;
			break;
		case DBU_BULK_DELETE:
			can = routine->ExecForeignDelete != NULL;
			break;
	}
	if (!can)
		error_foreign(name, view, op, wrapper->fdwname, other);
	if (routine->IsForeignRelUpdatable != NULL &&
		(routine->IsForeignRelUpdatable(rel) & (1 << commands[op])) == 0)
		error_foreign(name, view, op, wrapper->fdwname,
					  "Look at the options of the table and its server, for example \"updatable\".");
	relation_close(rel, NoLock);
}

static bool
has_instead_trigger(Relation rel, DbuBulkOp op)
{
	const TriggerDesc *triggers = rel->trigdesc;

	if (triggers == NULL)
		return false;
	return op == DBU_BULK_INSERT ? triggers->trig_insert_instead_row
		: op == DBU_BULK_UPDATE ? triggers->trig_update_instead_row : triggers->trig_delete_instead_row;
}

/* What a view passes a write on to by itself; InvalidOid: it does not. */
static Oid
written_below(Relation view, DbuBulkOp op)
{
	Query	   *query;
	RangeTblRef *ref;

	if (view->rd_rules == NULL || has_instead_trigger(view, op))
		return InvalidOid;
	for (int i = 0; i < view->rd_rules->numLocks; i++)
	{
		if (view->rd_rules->rules[i]->event == commands[op])
			return InvalidOid;
	}
	query = get_view_query(view);
	if (view_query_is_auto_updatable(query, false) != NULL)
		return InvalidOid;
	ref = linitial_node(RangeTblRef, query->jointree->fromlist);
	return rt_fetch(ref->rtindex, query->rtable)->relid;
}

/*
 * The target is locked.  If it is a foreign table, or a view that writes to one,
 * that must take the operation.
 */
void
dbu_bulk_check_foreign(const DbuTarget *target, DbuBulkOp op)
{
	Oid			relid = target->relid;
	char		relkind = target->relkind;

	while (relkind == RELKIND_VIEW)
	{
		Relation	view = relation_open(relid, AccessShareLock);

		relid = written_below(view, op);
		relation_close(view, NoLock);
		if (!OidIsValid(relid))
			return;
		LockRelationOid(relid, AccessShareLock);
		relkind = get_rel_relkind(relid);
	}
	if (relkind == RELKIND_FOREIGN_TABLE)
		check_foreign(relid, relid == target->relid ? NULL : target->name, op);
}

/* ---------- sizes ---------- */

static void
add_json_hint(void *arg)
{
	if (geterrcode() == ERRCODE_PROGRAM_LIMIT_EXCEEDED)
		errhint("JSON rows of one call are limited to 256 MB as jsonb: give them in several calls, or use dbutil.bulk_insert_data() or dbutil.bulk_insert_query().");
}

/* Rows in JSON text as jsonb. */
Datum
dbu_bulk_jsonb_in(char *json)
{
	ErrorContextCallback context = {.callback = add_json_hint,.previous = error_context_stack};
	Datum		result;

	error_context_stack = &context;
	result = DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
	error_context_stack = context.previous;
	return result;
}

/* A row whose values stand in several arrays may be larger than one datum can be. */
void
dbu_bulk_check_row_size(TupleDesc desc, const Datum *values, const bool *nulls, int64 ord)
{
	Size		size = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		if (!nulls[i] && TupleDescAttr(desc, i)->attlen == -1)
			size += VARSIZE_ANY(DatumGetPointer(values[i]));
	}
	if (AllocSizeIsValid(size + HEAPTUPLESIZE + SizeofHeapTupleHeader + BITMAPLEN(desc->natts)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("row " INT64_FORMAT " has %zu bytes, more than a row can have", ord, size),
			 errdetail("The limit is %zu bytes.", (Size) MaxAllocSize),
			 errhint("Write its large values by themselves, for example by an UPDATE for each.")));
}
