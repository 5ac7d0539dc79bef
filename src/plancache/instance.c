/*-------------------------------------------------------------------------
 *
 * instance.c
 *	  Plans with places for literals, and filling them.
 *
 * A generic plan comes from the planner with Params where literals belong.
 * Before it is stored each becomes a Const whose location says which literal
 * goes there; no real location is that far below zero.  Serving is then: copy
 * the plan, walk it, write the literals over the places.  The copy is the
 * caller's alone and holds nothing of the cache; it borrows the literals'
 * values from the statement's Query, as any plan does.
 *
 * PostgreSQL has no walker for plans.  The one here knows the nodes that it
 * names and their expressions; a plan with any other node is not stored.  That
 * it misses no field is not believed but checked for every plan: the text form
 * of the whole PlannedStmt, which PostgreSQL's own code writes, must show as
 * many Params before the replacement as were replaced, and none after it.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/plancache.h"

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "utils/memutils.h"

/* The location of the place for literal i. */
#define PLACE(i) (-1000 - (i))
#define IS_PLACE(location) ((location) <= PLACE(0))
#define PLACE_LITERAL(location) (-1000 - (location))

typedef Node *(*FieldVisitor) (Node *field, void *arg);

static bool visit_plan(Plan *plan, FieldVisitor visit, void *arg);

static bool
visit_plans(List *plans, FieldVisitor visit, void *arg)
{
	ListCell   *lc;

	foreach(lc, plans)
	{
		if (!visit_plan(lfirst(lc), visit, arg))
			return false;
	}
	return true;
}

/*
 * Replace each expression of the plan by what visit makes of it.  False when
 * there is a node that is not known here.
 */
static bool
visit_plan(Plan *plan, FieldVisitor visit, void *arg)
{
#define FIELD(field) ((field) = (void *) visit((Node *) (field), arg))

	if (plan == NULL)
		return true;
	check_stack_depth();

	FIELD(plan->targetlist);
	FIELD(plan->qual);
	FIELD(plan->initPlan);

	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_Material:
		case T_Sort:
		case T_IncrementalSort:
		case T_Gather:
		case T_GatherMerge:
			break;
		case T_IndexScan:
			FIELD(((IndexScan *) plan)->indexqual);
			FIELD(((IndexScan *) plan)->indexqualorig);
			FIELD(((IndexScan *) plan)->indexorderby);
			FIELD(((IndexScan *) plan)->indexorderbyorig);
			break;
		case T_IndexOnlyScan:
			FIELD(((IndexOnlyScan *) plan)->indexqual);
			FIELD(((IndexOnlyScan *) plan)->recheckqual);
			FIELD(((IndexOnlyScan *) plan)->indexorderby);
			FIELD(((IndexOnlyScan *) plan)->indextlist);
			break;
		case T_BitmapIndexScan:
			FIELD(((BitmapIndexScan *) plan)->indexqual);
			FIELD(((BitmapIndexScan *) plan)->indexqualorig);
			break;
		case T_BitmapHeapScan:
			FIELD(((BitmapHeapScan *) plan)->bitmapqualorig);
			break;
		case T_TidScan:
			FIELD(((TidScan *) plan)->tidquals);
			break;
		case T_TidRangeScan:
			FIELD(((TidRangeScan *) plan)->tidrangequals);
			break;
		case T_NestLoop:
			/* nestParams hold Vars only */
			FIELD(((Join *) plan)->joinqual);
			break;
		case T_MergeJoin:
			FIELD(((Join *) plan)->joinqual);
			FIELD(((MergeJoin *) plan)->mergeclauses);
			break;
		case T_HashJoin:
			FIELD(((Join *) plan)->joinqual);
			FIELD(((HashJoin *) plan)->hashclauses);
			FIELD(((HashJoin *) plan)->hashkeys);
			break;
		case T_Hash:
			FIELD(((Hash *) plan)->hashkeys);
			break;
		case T_Memoize:
			FIELD(((Memoize *) plan)->param_exprs);
			break;
		case T_Agg:
			if (((Agg *) plan)->chain != NIL)
				return false;
			break;
		case T_Limit:
			FIELD(((Limit *) plan)->limitOffset);
			FIELD(((Limit *) plan)->limitCount);
			break;
		case T_Result:
			FIELD(((Result *) plan)->resconstantqual);
			break;
		case T_Append:
			if (!visit_plans(((Append *) plan)->appendplans, visit, arg))
				return false;
			break;
		case T_MergeAppend:
			if (!visit_plans(((MergeAppend *) plan)->mergeplans, visit, arg))
				return false;
			break;
		case T_BitmapAnd:
			if (!visit_plans(((BitmapAnd *) plan)->bitmapplans, visit, arg))
				return false;
			break;
		case T_BitmapOr:
			if (!visit_plans(((BitmapOr *) plan)->bitmapplans, visit, arg))
				return false;
			break;
		default:
			return false;
	}
	return visit_plan(plan->lefttree, visit, arg) &&
		visit_plan(plan->righttree, visit, arg);
#undef FIELD
}

static bool
visit_statement(PlannedStmt *plan, FieldVisitor visit, void *arg)
{
	return visit_plan(plan->planTree, visit, arg) &&
		visit_plans(plan->subplans, visit, arg);
}

static Node *
leave_field(Node *field, void *arg)
{
	return field;
}

/* Is the plan made only of what is known here, and good for longer than now? */
bool
dbu_plancache_accepts_plan(PlannedStmt *plan)
{
	return plan->commandType == CMD_SELECT && !plan->hasReturning &&
		!plan->hasModifyingCTE && plan->utilityStmt == NULL &&
		plan->rowMarks == NIL && plan->resultRelations == NIL &&
		visit_statement(plan, leave_field, NULL);
}

/* ---------- making the places ---------- */

static Node *
make_place(Node *node, void *arg)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN)
	{
		Param	   *param = (Param *) node;
		Const	   *place = makeNode(Const);

		place->consttype = param->paramtype;
		place->consttypmod = param->paramtypmod;
		place->constcollid = param->paramcollid;
		place->constisnull = true;
		place->location = PLACE(param->paramid - 1);
		(*(int *) arg)++;
		return (Node *) place;
	}
	return expression_tree_mutator(node, make_place, arg);
}

/* How many Params does PostgreSQL's own text form of the plan show? */
static int
count_params(PlannedStmt *plan)
{
	static const char mark[] = "{PARAM :paramkind 0 ";
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "dbutil plan text",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	int			count = 0;

	for (char *found = strstr(nodeToString(plan), mark); found != NULL;
		 found = strstr(found + 1, mark))
		count++;
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return count;
}

/*
 * Turn the Params of a plan into places, in the current memory context.  False
 * if one is where it cannot be replaced: then the plan is of no use.
 */
bool
dbu_plancache_make_places(PlannedStmt *plan, int *nplaces)
{
	int			before = count_params(plan);

	*nplaces = 0;
	if (!visit_statement(plan, make_place, nplaces))
		return false;
	return *nplaces == before && count_params(plan) == 0;
}

/* ---------- filling them ---------- */

typedef struct Filling
{
	const DbuRecognised *rec;
	int			filled;
} Filling;

static bool
fill_place(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, Const))
	{
		Const	   *place = (Const *) node;
		Filling    *filling = arg;

		if (IS_PLACE(place->location) &&
			PLACE_LITERAL(place->location) < filling->rec->nliterals)
		{
			*place = filling->rec->literals[PLACE_LITERAL(place->location)].saved;
			filling->filled++;
		}
		return false;
	}
	return expression_tree_walker(node, fill_place, arg);
}

static Node *
fill_field(Node *field, void *arg)
{
	fill_place(field, arg);
	return field;
}

/*
 * A private plan for the statement, in the current memory context.  NULL if
 * not every place was filled, which only a bug can bring about.
 */
PlannedStmt *
dbu_plancache_instance(const DbuPlanEntry *entry, const DbuRecognised *rec)
{
	PlannedStmt *plan = copyObject(entry->plan);
	Filling		filling = {.rec = rec};

	if (entry->nplaces > 0 &&
		(!visit_statement(plan, fill_field, &filling) ||
		 filling.filled != entry->nplaces))
		return NULL;

	plan->queryId = rec->query->queryId;
	plan->stmt_location = rec->query->stmt_location;
	plan->stmt_len = rec->query->stmt_len;
	return plan;
}
