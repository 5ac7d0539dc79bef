/*-------------------------------------------------------------------------
 *
 * judge.h
 *	  What the files that judge rows share: a row of the target as an insert
 *	  would make it, as far as that can be known before.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_BULK_JUDGE_H
#define DBU_BULK_JUDGE_H

#include "bulk/bulk.h"

#include "executor/executor.h"

typedef struct DbuJudgeUnique DbuJudgeUnique;

/* Lives while one batch is judged, in its slice. */
struct DbuJudge
{
	DbuBulkCall *call;
	DbuBatch   *batch;
	Tuplestorestate *store;		/* rows of the batch; to update, with the matches behind them */
	TupleDesc	desc;			/* of store */
	Relation	rel;
	EState	   *estate;
	ExprContext *econtext;		/* reset for each row */
	ResultRelInfo *relinfo;		/* with its indexes open, if it is a plain table */
	TupleTableSlot *row;		/* of the target */
	Bitmapset  *unknown;		/* attribute numbers: only the write itself will tell */
	Datum	   *defaults;		/* by attribute: the same for all rows */
	bool	   *default_nulls;
	ExprState **generated;		/* by attribute; NULL: not generated */
	int			nchecks;
	ExprState **checks;			/* NULL: cannot be judged */
	DbuJudgeUnique *unique;		/* NULL: no index is judged */
	int64		rejected;
};

/* judge_update.c */
extern bool dbu_bulk_judge_update_can(const DbuBulkCall *call, const DbuBatch *batch, Relation rel);
extern void dbu_bulk_judge_update_begin(DbuJudge *judge);
extern void dbu_bulk_judge_update_row(DbuJudge *judge, TupleTableSlot *slot);
extern void dbu_bulk_judge_update_end(DbuJudge *judge);

/* judge_unique.c */
extern void dbu_bulk_judge_unique_begin(DbuJudge *judge);
extern bool dbu_bulk_judge_unique(DbuJudge *judge, DbuReject *reject);
extern void dbu_bulk_judge_unique_end(DbuJudge *judge);

#endif							/* DBU_BULK_JUDGE_H */
