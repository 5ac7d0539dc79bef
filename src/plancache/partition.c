/*-------------------------------------------------------------------------
 *
 * partition.c
 *	  One plan for a partition instead of one for all of them.
 *
 * A plan for any literal over a partitioned table has to lock every partition,
 * which costs more than planning.  But where WHERE says `key = literal`, the
 * literal decides which partition can have rows at all.  Such a table is *pinned*:
 * the partition that the literal falls into becomes part of the key, the statement
 * is planned as if it named that partition in the table's stead, and the plan is
 * good for every literal that falls into the same one, as long as the bounds stand:
 * a change of them is a change of the table, on which the entry depends.
 *
 * The plan then gets the table back as PostgreSQL's own plans have it: an entry of
 * the range table that carries the privileges to check, while the partition's
 * carries none.
 *
 * Rules that make this right:
 *	- the comparison is a member of the WHERE clause's top-level AND, or of an inner
 *	  join's ON, so no row of another partition can reach the result;
 *	- its operator is the equality of the partitioning's built-in operator family,
 *	  with the same collation, so a row equal to the literal lies in that partition;
 *	- only tables that are read, without FOR UPDATE, and not as a whole row;
 *	- the partition is an ordinary table with the same columns at the same places,
 *	  is not named by the statement as well, and is not the default partition, which
 *	  a new one may take rows from.
 *
 * Called with the partitioned table locked, as it was to be analysed.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/scan.h"

#include "access/hash.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "nodes/plannodes.h"
#include "optimizer/cost.h"
#include "parser/parsetree.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"

/* ---------- which partition ---------- */

/*
 * The function that compares the key with a value of type, or hashes it.  False if
 * the operator family has none, or has it not from initdb.
 */
static bool
support_function(PartitionKey key, Oid type, FmgrInfo *function)
{
	Oid			family = key->partopfamily[0];
	Oid			procedure;

	if (type == key->partopcintype[0])
	{
		*function = key->partsupfunc[0];
		return BUILT_IN(function->fn_oid);
	}
	procedure = key->strategy == PARTITION_STRATEGY_HASH ?
		get_opfamily_proc(family, type, type, HASHEXTENDED_PROC) :
		get_opfamily_proc(family, key->partopcintype[0], type, BTORDER_PROC);
	if (!OidIsValid(procedure) || !BUILT_IN(procedure))
		return false;
	fmgr_info(procedure, function);
	return true;
}

/* The index of the partition that takes value, -1: none but perhaps the default. */
static int
find_partition(PartitionKey key, PartitionBoundInfo bounds, FmgrInfo *function, Datum value)
{
	bool		equal = false;
	bool		null = false;
	int			offset;

	switch (key->strategy)
	{
		case PARTITION_STRATEGY_HASH:
			return bounds->indexes[compute_partition_hash_value(1, function, key->partcollation,
																&value, &null) %
								   bounds->nindexes];
		case PARTITION_STRATEGY_LIST:
			offset = partition_list_bsearch(function, key->partcollation, bounds, value, &equal);
			return offset >= 0 && equal ? bounds->indexes[offset] : -1;
		case PARTITION_STRATEGY_RANGE:
			offset = partition_range_datum_bsearch(function, key->partcollation, bounds, 1,
												   &value, &equal);
			return bounds->indexes[offset + 1];
	}
	return -1;
}

/* Is op, whose one side is the column, the equality that partitions are made by? */
static bool
equality_of_key(PartitionKey key, const OpExpr *op, AttrNumber column, bool value_left,
				Oid *value_type)
{
	Oid			left;
	Oid			right;
	int			equality = key->strategy == PARTITION_STRATEGY_HASH ?
		HTEqualStrategyNumber : BTEqualStrategyNumber;

	if (key->partnatts != 1 || key->partattrs[0] != column ||
		!BUILT_IN(key->partopfamily[0]) ||
		(OidIsValid(key->partcollation[0]) && key->partcollation[0] != op->inputcollid) ||
		get_op_opfamily_strategy(op->opno, key->partopfamily[0]) != equality)
		return false;
	op_input_types(op->opno, &left, &right);
	*value_type = value_left ? left : right;
	return (value_left ? right : left) == key->partopcintype[0];
}

/* The partition of rel that rows lie in for which op holds, InvalidOid if unknown. */
static Oid
partition_for(Relation rel, const OpExpr *op, AttrNumber column, bool value_left, Datum value)
{
	PartitionKey key = RelationGetPartitionKey(rel);
	PartitionDesc desc;
	FmgrInfo	function;
	Oid			type;
	int			index;

	if (!equality_of_key(key, op, column, value_left, &type) ||
		!support_function(key, type, &function))
		return InvalidOid;
	desc = RelationGetPartitionDesc(rel, true);
	if (desc->nparts == 0 || desc->detached_exist)
		return InvalidOid;
	index = find_partition(key, desc->boundinfo, &function, value);
	return index >= 0 && desc->is_leaf[index] ? desc->oids[index] : InvalidOid;
}

/*
 * op holds for every row that the current query returns: pin the table of column,
 * which it compares with value, if it is a partitioned one and that can be done.
 */
void
dbu_plancache_pin(TreeScan *scan, const OpExpr *op, const Var *column, bool value_left,
				  Datum value)
{
	Query	   *query = scan->level->query;
	RangeTblEntry *rte;
	Relation	rel;
	Oid			partition;
	DbuPin	   *pin;
	ListCell   *lc;

	if (column->varlevelsup != 0 || column->varattno <= 0)
		return;
	rte = rt_fetch(column->varno, query->rtable);
	if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_PARTITIONED_TABLE || !rte->inh ||
		query->commandType != CMD_SELECT || query->rowMarks != NIL || !enable_partition_pruning)
		return;
	foreach(lc, scan->rec->pins)
	{
		if (((DbuPin *) lfirst(lc))->rte == rte)
			return;
	}

	rel = table_open(rte->relid, NoLock);
	partition = partition_for(rel, op, column->varattno, value_left, value);
	table_close(rel, NoLock);
	if (!OidIsValid(partition))
		return;

	pin = palloc_object(DbuPin);
	pin->rte = rte;
	pin->permission = dbu_rte_permission(query, rte);
	pin->table = rte->relid;
	pin->partition = partition;
	scan->rec->pins = lappend(scan->rec->pins, pin);
	MIX(scan, partition);
}

/* ---------- the exchange ---------- */

static void
exchange(const DbuPin *pin, Oid relid, char relkind, bool inh)
{
	pin->rte->relid = relid;
	pin->rte->relkind = relkind;
	pin->rte->inh = inh;
	dbu_set_permission_relid(pin->permission, relid);
}

/* Write the partitions in their tables' stead. */
void
dbu_plancache_pins_disguise(DbuRecognised *rec)
{
	ListCell   *lc;

	foreach(lc, rec->pins)
	{
		DbuPin	   *pin = lfirst(lc);

		exchange(pin, pin->partition, RELKIND_RELATION, false);
	}
}

void
dbu_plancache_pins_restore(DbuRecognised *rec)
{
	ListCell   *lc;

	foreach(lc, rec->pins)
	{
		DbuPin	   *pin = lfirst(lc);

		exchange(pin, pin->table, RELKIND_PARTITIONED_TABLE, true);
	}
}

/* The tables that are pinned, in the order of the statement: part of the key. */
bool
dbu_plancache_pins_equal(const DbuRecognised *rec, const List *tables)
{
	ListCell   *pin;
	ListCell   *table;

	if (list_length(rec->pins) != list_length(tables))
		return false;
	forboth(pin, rec->pins, table, tables)
	{
		if (((DbuPin *) lfirst(pin))->table != lfirst_oid(table))
			return false;
	}
	return true;
}

List *
dbu_plancache_pins_tables(const DbuRecognised *rec)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, rec->pins)
		tables = lappend_oid(tables, ((DbuPin *) lfirst(lc))->table);
	return tables;
}

/* ---------- admission ---------- */

static bool
same_columns(TupleDesc one, TupleDesc other)
{
	if (one->natts != other->natts)
		return false;
	for (int i = 0; i < one->natts; i++)
	{
		Form_pg_attribute a = TupleDescAttr(one, i);
		Form_pg_attribute b = TupleDescAttr(other, i);

		if (a->attisdropped != b->attisdropped || a->atttypid != b->atttypid ||
			a->atttypmod != b->atttypmod || a->attcollation != b->attcollation ||
			strcmp(NameStr(a->attname), NameStr(b->attname)) != 0 ||
			(a->attgenerated != '\0' && a->attgenerated != ATTRIBUTE_GENERATED_STORED) ||
			(b->attgenerated != '\0' && b->attgenerated != ATTRIBUTE_GENERATED_STORED))
			return false;
	}
	return true;
}

/*
 * Can the partitions stand in for their tables?  Takes the locks on them that
 * planning and running need anyway.
 */
bool
dbu_plancache_pins_possible(const DbuRecognised *rec)
{
	ListCell   *lc;

	foreach(lc, rec->pins)
	{
		DbuPin	   *pin = lfirst(lc);
		Relation	table;
		Relation	partition;
		bool		possible;

		LockRelationOid(pin->partition, pin->rte->rellockmode);
		partition = try_table_open(pin->partition, NoLock);
		if (partition == NULL)
			return false;
		table = table_open(pin->table, NoLock);
		possible = partition->rd_rel->relkind == RELKIND_RELATION &&
			same_columns(RelationGetDescr(table), RelationGetDescr(partition));
		table_close(table, NoLock);
		table_close(partition, NoLock);
		if (!possible)
			return false;
	}
	return true;
}

/* Give the plan the tables back, and the privileges on them that are to be checked. */
void
dbu_plancache_pins_finish(const DbuRecognised *rec, PlannedStmt *plan)
{
	int			nrtes = list_length(plan->rtable);
	ListCell   *lc;

	for (int i = 0; i < nrtes; i++)
	{
		RangeTblEntry *rte = list_nth_node(RangeTblEntry, plan->rtable, i);

		if (rte->rtekind != RTE_RELATION)
			continue;
		foreach(lc, rec->pins)
		{
			DbuPin	   *pin = lfirst(lc);
			RangeTblEntry *table;

			if (pin->partition != rte->relid)
				continue;
			table = copyObject(rte);
			table->relid = pin->table;
			table->relkind = RELKIND_PARTITIONED_TABLE;
			table->inh = true;
			dbu_plan_move_permission(plan, rte, table);
			/* by this name EXPLAIN knows a partition */
			if (rte->alias == NULL)
				rte->alias = copyObject(rte->eref);
			plan->rtable = lappend(plan->rtable, table);
			plan->relationOids = lappend_oid(plan->relationOids, pin->table);
			break;
		}
	}
}
