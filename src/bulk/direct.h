/*-------------------------------------------------------------------------
 *
 * direct.h
 *	  Shared by the files that insert without a statement.
 *
 *		direct.c		the frame of a statement around rows: rights, triggers, end
 *		direct_leaf.c	the tables that rows go into: the target, or its partitions
 *		direct_probe.c	ON CONFLICT DO NOTHING: what is in the way of a row
 *		direct_guard.c	batches that may have to be taken back and left to INSERT
 *		direct_refuse.c	what has to go by a statement from the start
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_BULK_DIRECT_H
#define DBU_BULK_DIRECT_H

#include "bulk/bulk.h"
#include "core/write.h"

#include "access/heapam.h"
#include "executor/execPartition.h"

/* Rows that are put into tables at once: as many as fill some pages, and not the CPU's caches. */
#define DBU_DIRECT_ROWS 1000
#define DBU_DIRECT_BYTES 65536

/* Where a column's value comes from. */
typedef struct DbuOrigin
{
	int			position;		/* among the columns of the rows; -1: not there */
	ExprState  *expr;			/* its default; NULL: null */
	bool		once;			/* the same for all rows ... */
	bool		known;			/* ... and evaluated */
	Datum		value;
	bool		isnull;
} DbuOrigin;

typedef struct DbuProbes DbuProbes;

/* A table that rows go into. */
typedef struct DbuLeaf
{
	ResultRelInfo *relinfo;
	Relation	rel;
	TupleDesc	desc;			/* our own, so that slots do not count references */
	TupleConversionMap *map;	/* from the target's columns, NULL: they are the same */
	bool		routed;			/* a partition, so the row is known to belong there */
	bool		generates;		/* has stored generated columns */
	DbuProbes  *probes;			/* to look for conflicts; NULL: the executor does */
	BulkInsertState bulk;		/* NULL: none at the moment */
	TupleTableSlot **slots;		/* made as they are needed, each with a tuple of its own */
	int			max_slots;
	int			nslots;
	int			nrows;			/* slots with rows, to be put into the table */
} DbuLeaf;

typedef struct DbuGathered
{
	DbuLeaf    *leaf;
	TupleTableSlot *slot;		/* one of the leaf's */
	int64		ord;			/* its place in the input */
} DbuGathered;

struct DbuDirect
{
	DbuBulkCall *call;
	DbuShape   *shape;			/* of all its rows */
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *relinfo;		/* of the target */
	CommandId	cid;
	DbuWrite	write;			/* for those who count statements */
	TupleDesc	desc;			/* the target's */
	DbuOrigin  *origins;		/* by attribute */
	ExprContext *defaults;		/* values of a row's defaults */
	const Datum *values;		/* the row that is made, by position */
	const bool *nulls;
	bool		nothing;		/* rows that would conflict are left out */

	ModifyTableState *routing;	/* partitioned: for the executor's routing */
	PartitionTupleRouting *route;
	TupleTableSlot *routed;		/* the row, as the target has it */

	List	   *leaves;			/* DbuLeaf * */
	int			nslots;			/* of all of them */
	int			nbulk;			/* leaves with a BulkInsertState */
	DbuGathered rows[DBU_DIRECT_ROWS];	/* in the order of the input */
	int			nrows;
	Size		bytes;
	int64		inserted;
	int64		ord;			/* of the row that is looked at, 0: none */
	const char *refused;		/* a partition cannot take rows: all of it has to be taken back */
};

/* direct_probe.c */
extern DbuProbes *dbu_direct_open_probes(const DbuLeaf *leaf);
typedef enum DbuInTheWay
{
	DBU_NOTHING,
	DBU_SOMETHING,
	DBU_UNDECIDED
} DbuInTheWay;

extern DbuInTheWay dbu_direct_probe(DbuProbes *probes, TupleTableSlot *row);
extern void dbu_direct_forget_probes(DbuProbes *probes);
extern void dbu_direct_close_probes(DbuProbes *probes);

/* direct_leaf.c */
extern void dbu_direct_open_leaves(DbuDirect *direct);
extern void dbu_direct_close_leaves(DbuDirect *direct);
extern bool dbu_direct_gather(DbuDirect *direct, int64 ord,
							  void (*fill) (DbuDirect *direct, TupleTableSlot *slot));
extern void dbu_direct_put(DbuDirect *direct);

#endif							/* DBU_BULK_DIRECT_H */
