/*-------------------------------------------------------------------------
 *
 * target.c
 *	  Facts about the target that decide how a call works, read from the
 *	  relation once.
 *
 * Whether a write is allowed is not asked here: the statements that are run
 * answer that, as they do for plain SQL.
 *
 * PostgreSQL checks foreign keys and fires AFTER triggers when a statement
 * ends.  So slices would show wherever rows of one slice need rows of another
 * to be written first, and in what triggers see: a call with such a target is
 * one statement unless the caller sets chunk_rows.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "rewrite/prs2lock.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"
#include "utils/rls.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

static const char after_row_reason[] = "triggers for each row that fire after the statement would see the slices";

static void
load_columns(DbuTarget *target, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	target->columns = palloc0(sizeof(DbuColumn) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		DbuColumn  *column;

		if (att->attisdropped)
			continue;
		column = &target->columns[target->ncolumns++];
		column->attnum = att->attnum;
		column->name = pstrdup(NameStr(att->attname));
		column->quoted = quote_identifier(column->name);
		column->type = att->atttypid;
		column->typmod = att->atttypmod;
		column->collation = att->attcollation;
		target->generates |= att->attgenerated == ATTRIBUTE_GENERATED_STORED;
		column->generated = att->attgenerated != '\0' ||
			att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS;
	}
}

/* The primary key's columns; and does an index check only at the statement's end? */
static bool
load_indexes(DbuTarget *target, Relation rel)
{
	bool		deferrable = false;
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index index;

		if (!HeapTupleIsValid(tuple))
			continue;
		index = (Form_pg_index) GETSTRUCT(tuple);
		if (!index->indimmediate)
			deferrable = true;
		if (index->indisprimary)
		{
			for (int i = 0; i < index->indnkeyatts; i++)
				target->primary_key = lappend(target->primary_key,
											  get_attname(target->relid, index->indkey.values[i], false));
		}
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
	return deferrable;
}

/* Does rel refer to a relation of the family? */
static bool
refers_to(Relation rel, List *family)
{
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(rel))
	{
		if (list_member_oid(family, ((ForeignKeyCacheInfo *) lfirst(lc))->confrelid))
			return true;
	}
	return false;
}

/* Columns of the target that a foreign key refers to, by name: partitions order theirs as they like. */
static void
load_referenced_columns(DbuTarget *target, Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Oid			relid;
	ArrayType  *keys;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return;
	relid = ((Form_pg_constraint) GETSTRUCT(tuple))->confrelid;
	keys = DatumGetArrayTypeP(SysCacheGetAttr(CONSTROID, tuple, Anum_pg_constraint_confkey, &isnull));
	for (int i = 0; !isnull && i < ARR_DIMS(keys)[0]; i++)
	{
		char	   *name = get_attname(relid, ((int16 *) ARR_DATA_PTR(keys))[i], true);
		const DbuColumn *column = name ? dbu_bulk_target_find(target, name) : NULL;

		if (column != NULL)
			target->referenced_columns = list_append_unique_ptr(target->referenced_columns, (void *) column);
	}
	ReleaseSysCache(tuple);
}

/* What happens at the end of a statement on rel, which is the target or below it. */
static void
load_end_of_statement(DbuTarget *target, Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (RI_FKey_trigger_type(trigger->tgfoid) == RI_TRIGGER_PK)
		{
			target->referenced = true;
			load_referenced_columns(target, trigger->tgconstraint);
		}
		if (trigger->tgisinternal || !TRIGGER_FOR_ROW(trigger->tgtype) || !TRIGGER_FOR_AFTER(trigger->tgtype))
			continue;
		if (TRIGGER_FOR_INSERT(trigger->tgtype) || TRIGGER_FOR_UPDATE(trigger->tgtype))
			target->after_row[DBU_BULK_INSERT] = after_row_reason;	/* ON CONFLICT DO UPDATE fires both */
		if (TRIGGER_FOR_UPDATE(trigger->tgtype))
			target->after_row[DBU_BULK_UPDATE] = after_row_reason;
		if (TRIGGER_FOR_DELETE(trigger->tgtype))
			target->after_row[DBU_BULK_DELETE] = after_row_reason;
	}
}

/*
 * The same of partitions of their own, for an insert.  It locks partitions only
 * as rows get there, so they are not opened here: their triggers, which foreign
 * keys and deferrable constraints have too, are read from the catalog.
 */
static bool
load_partitions(DbuTarget *target, List *family, bool *deferrable)
{
	Relation	pg_trigger = table_open(TriggerRelationId, AccessShareLock);
	bool		refers = false;
	ListCell   *lc;

	foreach(lc, family)
	{
		Oid			relid = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
		bool		has_triggers;
		ScanKeyData key;
		SysScanDesc scan;

		if (!HeapTupleIsValid(tuple))
			continue;
		has_triggers = ((Form_pg_class) GETSTRUCT(tuple))->relhastriggers;
		ReleaseSysCache(tuple);
		if (!has_triggers || relid == target->relid)
			continue;

		ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(relid));
		scan = systable_beginscan(pg_trigger, TriggerRelidNameIndexId, true, NULL, 1, &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

			if (RI_FKey_trigger_type(form->tgfoid) == RI_TRIGGER_FK &&
				list_member_oid(family, form->tgconstrrelid))
				refers = true;
			if (form->tgfoid == F_UNIQUE_KEY_RECHECK)
				*deferrable = true;
			if (!form->tgisinternal && TRIGGER_FOR_ROW(form->tgtype) && TRIGGER_FOR_AFTER(form->tgtype) &&
				(TRIGGER_FOR_INSERT(form->tgtype) || TRIGGER_FOR_UPDATE(form->tgtype)))
				target->after_row[DBU_BULK_INSERT] = after_row_reason;
		}
		systable_endscan(scan);
	}
	table_close(pg_trigger, AccessShareLock);
	return refers;
}

/*
 * The foreign keys and row triggers of the target and of what is below it.
 * Answers whether the family refers to itself.
 */
static bool
load_family(DbuTarget *target, Relation rel, DbuBulkOp op, bool *deferrable)
{
	List	   *family = list_make1_oid(target->relid);
	List	   *below = NIL;
	bool		result;
	ListCell   *lc;

	if (rel->rd_rel->relispartition)
		family = list_concat(family, get_partition_ancestors(target->relid));
	if (rel->rd_rel->relhassubclass && op != DBU_BULK_INSERT)
	{
		below = find_all_inheritors(target->relid, AccessShareLock, NULL);
		below = list_delete_oid(below, target->relid);
		family = list_concat_unique_oid(family, below);
	}

	load_end_of_statement(target, rel);
	result = refers_to(rel, family);
	if (op == DBU_BULK_INSERT && target->relkind == RELKIND_PARTITIONED_TABLE)
	{
		family = list_concat_unique_oid(family, find_all_inheritors(target->relid, NoLock, NULL));
		result |= load_partitions(target, family, deferrable);
	}
	foreach(lc, below)
	{
		Relation	child = relation_open(lfirst_oid(lc), NoLock);

		load_end_of_statement(target, child);
		result |= refers_to(child, family);
		relation_close(child, NoLock);
	}
	return result;
}

static void
load_triggers(DbuTarget *target, Relation rel)
{
	TriggerDesc *trig = rel->trigdesc;
	const char *statement_triggers = "triggers for each statement would see the slices";

	if (trig == NULL)
		return;
	target->may_suppress[DBU_BULK_UPDATE] |= trig->trig_update_before_row || trig->trig_update_instead_row;
	target->may_suppress[DBU_BULK_DELETE] |= trig->trig_delete_before_row || trig->trig_delete_instead_row;

	if (trig->trig_insert_before_statement || trig->trig_insert_after_statement ||
		trig->trig_insert_new_table)
		target->one_statement[DBU_BULK_INSERT] = statement_triggers;
	if (trig->trig_update_before_statement || trig->trig_update_after_statement ||
		trig->trig_update_new_table || trig->trig_update_old_table)
	{
		target->one_statement[DBU_BULK_UPDATE] = statement_triggers;
		/* ON CONFLICT DO UPDATE fires them too */
		target->one_statement[DBU_BULK_INSERT] = statement_triggers;
	}
	if (trig->trig_delete_before_statement || trig->trig_delete_after_statement ||
		trig->trig_delete_old_table)
		target->one_statement[DBU_BULK_DELETE] = statement_triggers;
}

static void
load_rules(DbuTarget *target, Relation rel)
{
	RuleLock   *rules = rel->rd_rules;

	for (int i = 0; rules != NULL && i < rules->numLocks; i++)
	{
		RewriteRule *rule = rules->rules[i];
		DbuBulkOp	op;

		switch (rule->event)
		{
			case CMD_INSERT:
				op = DBU_BULK_INSERT;
				break;
			case CMD_UPDATE:
				op = DBU_BULK_UPDATE;
				break;
			case CMD_DELETE:
				op = DBU_BULK_DELETE;
				break;
			default:
				continue;
		}
		target->may_suppress[op] = true;
		target->has_rule[op] = true;
		target->one_statement[op] = "a rule would see the slices";
	}
}

static void
check_kind(Relation rel)
{
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_VIEW:
		case RELKIND_FOREIGN_TABLE:
			return;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("cannot write to relation \"%s\"", RelationGetRelationName(rel)),
					 errdetail_relkind_not_supported(rel->rd_rel->relkind),
					 errhint("The target must be a table, a partitioned table, a view or a foreign table.")));
	}
}

DbuTarget *
dbu_bulk_target_load(Oid relid, DbuBulkOp op)
{
	DbuTarget  *target = palloc0(sizeof(DbuTarget));
	Relation	rel = try_relation_open(relid, AccessShareLock);
	const char *one_statement = NULL;
	bool		refers;
	bool		deferrable = false;
	bool		plain;

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid),
				 errhint("Name the target as schema.table.")));
	check_kind(rel);

	target->relid = relid;
	target->name = pstrdup(RelationGetRelationName(rel));
	target->sql_name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												  target->name);
	target->relkind = rel->rd_rel->relkind;
	target->reltuples = rel->rd_rel->reltuples;
	target->row_security = check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED;
	load_columns(target, rel);

	/* partitions and children may have triggers of their own */
	plain = target->relkind == RELKIND_RELATION && !rel->rd_rel->relhassubclass;
	for (int i = 0; i < DBU_BULK_NOPS; i++)
		target->may_suppress[i] = !plain || target->row_security;

	refers = load_family(target, rel, op, &deferrable);
	if (target->relkind == RELKIND_VIEW)
		one_statement = "what lies below the view may see the slices";
	else if (target->relkind != RELKIND_FOREIGN_TABLE)
	{
		if (load_indexes(target, rel) || deferrable)
			one_statement = "a deferrable unique constraint would be checked for each slice";
		else if (refers)
			one_statement = "a foreign key to the table itself would be checked for each slice";
	}
	for (int i = 0; i < DBU_BULK_NOPS; i++)
		target->one_statement[i] = one_statement;
	load_triggers(target, rel);
	load_rules(target, rel);

	/*
	 * RETURNING reads with the caller's rights on the whole table, and under
	 * its SELECT policies: where these might refuse what the write alone may
	 * do, nothing is returned.  Partitions whose columns are in another order
	 * cannot tell system columns at all.
	 */
	target->tells_xmax = target->relkind == RELKIND_RELATION &&
		rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		!target->row_security &&
		!target->has_rule[DBU_BULK_INSERT] &&
		pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK;

	relation_close(rel, NoLock);
	return target;
}

const DbuColumn *
dbu_bulk_target_find(const DbuTarget *target, const char *name)
{
	for (int i = 0; i < target->ncolumns; i++)
	{
		if (strcmp(target->columns[i].name, name) == 0)
			return &target->columns[i];
	}
	return NULL;
}

/* what: how the name came up, for example: key "nmae" of row 3 */
void
dbu_bulk_error_unknown(const DbuTarget *target, const char *name, const char *what)
{
	const char *nearest = NULL;
	int			length = strlen(name);
	int			best = Min(length / 2, 3);

	/* names are short; what is longer than a name is like none of them */
	for (int i = 0; length < NAMEDATALEN && i < target->ncolumns; i++)
	{
		const char *candidate = target->columns[i].name;
		int			distance = varstr_levenshtein_less_equal(name, length,
															 candidate, strlen(candidate),
															 1, 1, 1, best, true);

		if (distance <= best)
		{
			nearest = candidate;
			best = distance - 1;
		}
		if (best < 0)
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("%s is not a column of \"%s\"", what, target->name),
			 nearest
			 ? errhint("Perhaps you meant \"%s\".", nearest)
			 : errhint("Names are matched as they stand, upper and lower case differ.")));
}

/* what: the parameter that names the column */
const DbuColumn *
dbu_bulk_target_column(const DbuTarget *target, const char *name, const char *what)
{
	const DbuColumn *column = dbu_bulk_target_find(target, name);

	if (column == NULL)
		dbu_bulk_error_unknown(target, name, psprintf("\"%s\" of %s", name, what));
	return column;
}
