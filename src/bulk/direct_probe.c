/*-------------------------------------------------------------------------
 *
 * direct_probe.c
 *	  Is there a row in the way of one that is to be inserted?  A quick look
 *	  into unique indexes for ON CONFLICT DO NOTHING.
 *
 * The executor's own check begins and ends a scan of each index for each row.
 * Here one scan of an index serves all rows, and a look tells more than about
 * one of them: if the first key from 7 on is 20, then nothing is in the way of 8
 * to 19 either.  For rows that come in the order of their keys the scan goes on
 * from key to key.  A new start reads a whole page of the index, which is more
 * than the executor's check does: where it takes many of them this is given up.
 *
 * A row counts as there that any transaction has written that was not undone,
 * as in the executor's check.  Where that transaction has not ended yet the
 * executor's check decides, since it waits for it.  Rows that come between the
 * keys after the look are as those that come after the executor's: unique
 * violations, after which the batch is begun again.
 *
 * This is done where all indexes that matter have one column, in ascending
 * order, and hold all rows.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/direct.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "access/tableam.h"
#include "catalog/pg_am_d.h"
#include "executor/tuptable.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* One index. */
typedef struct Probe
{
	AttrNumber	attnum;			/* the table's column */
	bool		by_value;
	int16		length;
	Oid			collation;
	FmgrInfo   *compare;
	IndexScanDesc scan;
	ScanKeyData first;			/* where it started: a value of our own */
	bool		known;			/* the scan stands at high, and no key is there from low on ... */
	bool		low_taken;		/* ... but this itself ... */
	Datum		low;
	bool		endless;
	Datum		high;			/* ... until this one, unless it is endless */
	bool		open;			/* whose transaction has not ended */
	int64		rows;			/* looked for */
	int64		starts;			/* of the scan */
} Probe;

/* Keys that the scan passes on its way before it rather starts anew. */
#define MAX_STEPS 4

/* After so many starts it is judged whether they are too many. */
#define SOME_STARTS 64
#define FEW_ROWS 4				/* for each of them */

struct DbuProbes
{
	SnapshotData snapshot;
	TupleTableSlot *there;		/* the row found */
	bool		given_up;
	int			n;
	Probe		probes[FLEXIBLE_ARRAY_MEMBER];
};

/* Can the index be looked at here? */
static bool
is_simple(Relation index, const IndexInfo *info)
{
	return index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indimmediate &&
		info->ii_NumIndexKeyAttrs == 1 && info->ii_IndexAttrNumbers[0] > 0 &&
		info->ii_Predicate == NIL && info->ii_ReadyForInserts && !info->ii_NullsNotDistinct &&
		(index->rd_indoption[0] & INDOPTION_DESC) == 0;
}

/* Does the executor's check look at it? */
static bool
matters(const ResultRelInfo *relinfo, const IndexInfo *info, Oid index)
{
	if (!info->ii_Unique && info->ii_ExclusionOps == NULL)
		return false;
	return relinfo->ri_onConflictArbiterIndexes == NIL ||
		list_member_oid(relinfo->ri_onConflictArbiterIndexes, index);
}

static void
open_probe(DbuProbes *probes, Relation table, Relation index, const IndexInfo *info)
{
	Probe	   *probe = &probes->probes[probes->n++];
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(table), info->ii_IndexAttrNumbers[0] - 1);
	Oid			type = index->rd_opcintype[0];

	probe->attnum = att->attnum;
	probe->by_value = att->attbyval;
	probe->length = att->attlen;
	probe->collation = index->rd_indcollation[0];
	probe->compare = index_getprocinfo(index, 1, BTORDER_PROC);
	ScanKeyEntryInitialize(&probe->first, 0, 1, BTGreaterEqualStrategyNumber, InvalidOid, probe->collation,
						   get_opcode(get_opfamily_member(index->rd_opfamily[0], type, type, BTGreaterEqualStrategyNumber)),
						   (Datum) 0);
	probe->scan = dbu_index_beginscan(table, index, &probes->snapshot, 1);
}

/* In the query's context; NULL: the indexes are others. */
DbuProbes *
dbu_direct_open_probes(const DbuLeaf *leaf)
{
	const ResultRelInfo *relinfo = leaf->relinfo;
	DbuProbes  *probes = palloc0(offsetof(DbuProbes, probes) + sizeof(Probe) * relinfo->ri_NumIndices);

	for (int i = 0; i < relinfo->ri_NumIndices; i++)
	{
		Relation	index = relinfo->ri_IndexRelationDescs[i];
		const IndexInfo *info = relinfo->ri_IndexRelationInfo[i];

		if (index != NULL && matters(relinfo, info, RelationGetRelid(index)) && !is_simple(index, info))
			return NULL;
	}
	InitDirtySnapshot(probes->snapshot);
	for (int i = 0; i < relinfo->ri_NumIndices; i++)
	{
		Relation	index = relinfo->ri_IndexRelationDescs[i];

		if (index != NULL && matters(relinfo, relinfo->ri_IndexRelationInfo[i], RelationGetRelid(index)))
			open_probe(probes, leaf->rel, index, relinfo->ri_IndexRelationInfo[i]);
	}
	probes->there = MakeSingleTupleTableSlot(leaf->desc, table_slot_callbacks(leaf->rel));
	return probes;
}

/* Rows have come into the indexes: what is known of gaps is out of date.  No page stays pinned. */
void
dbu_direct_forget_probes(DbuProbes *probes)
{
	for (int i = 0; i < probes->n; i++)
	{
		if (probes->probes[i].known)
			index_rescan(probes->probes[i].scan, &probes->probes[i].first, 1, NULL, 0);
		probes->probes[i].known = false;
	}
}

void
dbu_direct_close_probes(DbuProbes *probes)
{
	for (int i = 0; i < probes->n; i++)
		index_endscan(probes->probes[i].scan);
	ExecDropSingleTupleTableSlot(probes->there);
}

static bool
is_less(const Probe *probe, Datum a, Datum b)
{
	return DatumGetInt32(FunctionCall2Coll(probe->compare, probe->collation, a, b)) < 0;
}

static void
keep(const Probe *probe, Datum *place, Datum value)
{
	if (!probe->by_value && *place != (Datum) 0)
		pfree(DatumGetPointer(*place));
	*place = datumCopy(value, probe->by_value, probe->length);
}

/* The next key that is there. */
static void
step(DbuProbes *probes, Probe *probe)
{
	bool		isnull;

	probe->endless = !index_getnext_slot(probe->scan, ForwardScanDirection, probes->there);
	if (probe->endless)
		return;
	keep(probe, &probe->high, slot_getattr(probes->there, probe->attnum, &isnull));
	probe->open = TransactionIdIsValid(probes->snapshot.xmin) || TransactionIdIsValid(probes->snapshot.xmax);
	ExecClearTuple(probes->there);
}

/* Start at a key: which is the first one from it on? */
static void
start(DbuProbes *probes, Probe *probe, Datum key)
{
	keep(probe, &probe->first.sk_argument, key);
	index_rescan(probe->scan, &probe->first, 1, NULL, 0);
	probe->starts++;
	probe->known = true;
	probe->low_taken = false;
	keep(probe, &probe->low, key);
	step(probes, probe);
}

static bool
is_behind_low(const Probe *probe, Datum key)
{
	return probe->low_taken ? is_less(probe, probe->low, key) : !is_less(probe, key, probe->low);
}

/* Have the scan stand at the first key from this one on; true: that is another one. */
static bool
is_in_gap(DbuProbes *probes, Probe *probe, Datum key)
{
	if (!probe->known || !is_behind_low(probe, key))
		start(probes, probe, key);
	for (int i = 0; !probe->endless && is_less(probe, probe->high, key); i++)
	{
		if (i == MAX_STEPS)
			start(probes, probe, key);
		else
		{
			keep(probe, &probe->low, probe->high);
			probe->low_taken = true;
			step(probes, probe);
		}
	}
	return probe->endless || is_less(probe, key, probe->high);
}

/* Is there something in the way of the row?  In the query's context. */
DbuInTheWay
dbu_direct_probe(DbuProbes *probes, TupleTableSlot *row)
{
	for (int i = 0; i < probes->n && !probes->given_up; i++)
	{
		Probe	   *probe = &probes->probes[i];
		bool		isnull;
		Datum		key = slot_getattr(row, probe->attnum, &isnull);

		if (isnull)
			continue;
		probe->rows++;
		if (!is_in_gap(probes, probe, key))
			return probe->open ? DBU_UNDECIDED : DBU_SOMETHING;
		probes->given_up |= probe->starts > SOME_STARTS && probe->rows < probe->starts * FEW_ROWS;
	}
	return probes->given_up ? DBU_UNDECIDED : DBU_NOTHING;
}
