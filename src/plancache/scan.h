/*-------------------------------------------------------------------------
 *
 * scan.h
 *	  What recognise.c, lift.c and fold.c share while they look at one statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_PLANCACHE_SCAN_H
#define DBU_PLANCACHE_SCAN_H

#include "plancache/plancache.h"

#include "access/transam.h"

/* Made by initdb, and never changed after. */
#define BUILT_IN(oid) ((oid) < FirstUnpinnedObjectId)

/* The query that is being scanned, and those around it. */
typedef struct ScanLevel
{
	Query	   *query;
	struct ScanLevel *outer;
} ScanLevel;

typedef struct TreeScan
{
	DbuRecognised *rec;
	const DbuPlanContext *context;
	ScanLevel  *level;
	uint64		hash;			/* of all that is not lifted */
	uint64		literal_hash;	/* of what is */
} TreeScan;

/* Where a constant stands, which decides whether it may be lifted. */
typedef enum LiftPlace
{
	LIFT_QUAL,					/* operand of a comparison in WHERE or ON */
	LIFT_VALUE					/* what INSERT or UPDATE writes */
} LiftPlace;

static inline uint64
dbu_plancache_mix(uint64 hash, uint64 value)
{
	hash = (hash ^ value) * UINT64CONST(0x9E3779B97F4A7C15);
	return hash ^ (hash >> 29);
}

#define MIX(scan, value) \
	((scan)->hash = dbu_plancache_mix((scan)->hash, (uint64) (value)))

/* recognise.c */
extern bool dbu_plancache_refuse(TreeScan *scan, DbuPlanEvent reason);
extern bool dbu_plancache_scan_expression(Node *node, void *scan);

/* fold.c */
extern bool dbu_plancache_type_accepted(Oid type);
extern uint64 dbu_plancache_hash_constant(uint64 hash, const Const *con);
extern const ParamExternData *dbu_plancache_bound_param(const TreeScan *scan,
														const Param *param);
extern Const *dbu_plancache_fold_cast(TreeScan *scan, FuncExpr *cast, LiftPlace place);

/* partition.c */
extern void dbu_plancache_pin(TreeScan *scan, const OpExpr *op, const Var *column,
							  bool value_left, Datum value);

/* lift.c */
extern bool dbu_plancache_scan_qual(Node *node, TreeScan *scan, bool restricting);
extern bool dbu_plancache_scan_value(Node *node, TreeScan *scan);
extern bool dbu_plancache_scan_passed(Node *node, TreeScan *scan);

#endif							/* DBU_PLANCACHE_SCAN_H */
