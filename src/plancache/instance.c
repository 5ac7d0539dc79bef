/*-------------------------------------------------------------------------
 *
 * instance.c
 *	  Plans with places for literals, and filling them.
 *
 * A generic plan comes from the planner with Params where literals belong.
 * Before it is stored each becomes a Const whose location says which literal
 * goes there, an IN list of them one Const for the whole array; no real location
 * is that far below zero.  Bound parameters of the statement stay.  Serving is then: copy
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
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
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
		case T_CteScan:
		case T_WorkTableScan:
		case T_Material:
		case T_Sort:
		case T_IncrementalSort:
		case T_Group:
		case T_Unique:
		case T_SetOp:
		case T_RecursiveUnion:
		case T_ProjectSet:
		case T_LockRows:
		case T_Gather:
		case T_GatherMerge:
			break;
		case T_SubqueryScan:
			if (!visit_plan(((SubqueryScan *) plan)->subplan, visit, arg))
				return false;
			break;
		case T_FunctionScan:
			FIELD(((FunctionScan *) plan)->functions);
			break;
		case T_ValuesScan:
			FIELD(((ValuesScan *) plan)->values_lists);
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
			if (!visit_plans(((Agg *) plan)->chain, visit, arg))
				return false;
			break;
		case T_WindowAgg:
			FIELD(((WindowAgg *) plan)->runCondition);
			FIELD(((WindowAgg *) plan)->runConditionOrig);
			FIELD(((WindowAgg *) plan)->startOffset);
			FIELD(((WindowAgg *) plan)->endOffset);
			break;
		case T_ModifyTable:
			FIELD(((ModifyTable *) plan)->returningLists);
			FIELD(((ModifyTable *) plan)->onConflictSet);
			FIELD(((ModifyTable *) plan)->onConflictWhere);
			FIELD(((ModifyTable *) plan)->exclRelTlist);
			FIELD(((ModifyTable *) plan)->mergeActionLists);
#ifdef dbu_merge_conditions
			FIELD(dbu_merge_conditions((ModifyTable *) plan));
#endif
			if (((ModifyTable *) plan)->withCheckOptionLists != NIL ||
				((ModifyTable *) plan)->fdwDirectModifyPlans != NULL)
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
	return plan->commandType != CMD_UTILITY && plan->utilityStmt == NULL &&
		visit_statement(plan, leave_field, NULL);
}

/* ---------- making the places ---------- */

typedef struct Replacing
{
	const DbuRecognised *rec;
	int			replaced;		/* Params */
	List	   *places;			/* Consts in their stead */
	bool		hashable;		/* an array is long enough to be hashed */
} Replacing;

/* The shortest IN list that the executor may hash, as in PostgreSQL's clauses.c. */
#define MIN_HASHED_MEMBERS 9

/* The number of the literal that the Param stands for, -1: for none. */
static int
lifted_literal(Node *node, const DbuRecognised *rec)
{
	Param	   *param = (Param *) node;

	if (node == NULL || !IsA(node, Param) || param->paramkind != PARAM_EXTERN ||
		param->paramid <= rec->nbound || param->paramid > rec->nbound + rec->nliterals)
		return -1;
	return param->paramid - rec->nbound - 1;
}

/* Is the expression a whole IN list of literals?  The first one, or -1. */
static int
lifted_array(ArrayExpr *array, const DbuRecognised *rec)
{
	int			first;

	if (array->elements == NIL)
		return -1;
	first = lifted_literal(linitial(array->elements), rec);
	if (first < 0 || rec->literals[first].array_size != list_length(array->elements) ||
		rec->literals[first].array->array_typeid != array->array_typeid)
		return -1;
	for (int i = 1; i < list_length(array->elements); i++)
	{
		if (lifted_literal(list_nth(array->elements, i), rec) != first + i)
			return -1;
	}
	return first;
}

/* The members of an IN list, from its first literal on, as an array. */
static Datum
array_value(const DbuLiteral *first)
{
	Oid			type = first->array->element_typeid;
	Datum	   *members = palloc_array(Datum, first->array_size);
	ArrayType  *array;
	int16		length;
	bool		by_value;
	char		align;

	for (int i = 0; i < first->array_size; i++)
		members[i] = first[i].value.constvalue;
	get_typlenbyvalalign(type, &length, &by_value, &align);
	array = construct_array(members, first->array_size, type, length, by_value, align);
	pfree(members);
	return PointerGetDatum(array);
}

static Const *
new_place(int literal, Oid type, int32 typmod, Oid collation)
{
	Const	   *place = makeNode(Const);

	place->consttype = type;
	place->consttypmod = typmod;
	place->constcollid = collation;
	place->constisnull = true;
	place->location = PLACE(literal);
	return place;
}

static Node *
make_place(Node *node, void *arg)
{
	Replacing  *replacing = arg;
	Const	   *place;
	int			literal;

	if (node == NULL)
		return NULL;
	literal = lifted_literal(node, replacing->rec);
	if (literal >= 0)
	{
		Param	   *param = (Param *) node;

		replacing->replaced++;
		place = new_place(literal, param->paramtype, param->paramtypmod,
						  param->paramcollid);
		replacing->places = lappend(replacing->places, place);
		return (Node *) place;
	}
	if (IsA(node, ArrayExpr) &&
		(literal = lifted_array((ArrayExpr *) node, replacing->rec)) >= 0)
	{
		ArrayExpr  *array = (ArrayExpr *) node;

		place = new_place(literal, array->array_typeid, -1, array->array_collid);
		/* blanked when all places are there */
		place->constlen = -1;
		place->constisnull = false;
		place->constvalue = array_value(&replacing->rec->literals[literal]);
		replacing->replaced += list_length(array->elements);
		replacing->places = lappend(replacing->places, place);
		if (list_length(array->elements) >= MIN_HASHED_MEMBERS)
			replacing->hashable = true;
		return (Node *) place;
	}
	return expression_tree_mutator(node, make_place, arg);
}

/* Let the executor hash long IN lists, as the planner does where it sees them. */
static Node *
mark_hashed(Node *field, void *arg)
{
	convert_saop_to_hashed_saop(field);
	return field;
}

/*
 * How many Params does PostgreSQL's own text form of the plan show that stand
 * for literals?
 */
static int
count_params(PlannedStmt *plan, int nbound)
{
	static const char mark[] = "{PARAM :paramkind 0 :paramid ";
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "dbutil plan text",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	int			count = 0;

	for (char *found = strstr(nodeToString(plan), mark); found != NULL;
		 found = strstr(found, mark))
	{
		found += strlen(mark);
		if (strtol(found, NULL, 10) > nbound)
			count++;
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return count;
}

/*
 * Turn the Params of the entry's plan that stand for rec's literals into places.
 * False if one is where it cannot be replaced: then the plan is of no use.
 */
bool
dbu_plancache_make_places(DbuPlanEntry *entry, const DbuRecognised *rec)
{
	Replacing	replacing = {.rec = rec};
	int			before = count_params(entry->plan, rec->nbound);
	MemoryContext oldcontext = MemoryContextSwitchTo(entry->context);
	ListCell   *lc;

	if (!visit_statement(entry->plan, make_place, &replacing) ||
		replacing.replaced != before || count_params(entry->plan, rec->nbound) != 0)
	{
		MemoryContextSwitchTo(oldcontext);
		return false;
	}
	if (replacing.hashable)
		(void) visit_statement(entry->plan, mark_hashed, NULL);

	entry->places = palloc_array(Const *, list_length(replacing.places));
	foreach(lc, replacing.places)
	{
		Const	   *place = lfirst_node(Const, lc);

		/* the plan keeps nothing of what the statement that led to it held */
		if (!place->constisnull)
			pfree(DatumGetPointer(place->constvalue));
		place->constvalue = (Datum) 0;
		place->constisnull = true;
		entry->places[entry->nplaces++] = place;
	}
	list_free(replacing.places);
	MemoryContextSwitchTo(oldcontext);
	return true;
}

/* ---------- filling them ---------- */

typedef struct Filling
{
	const DbuRecognised *rec;
	int			filled;
} Filling;

/*
 * Write over a place the literal that belongs there.  False if it is none, or
 * the literal is of another type.
 */
bool
dbu_plancache_fill_place(Const *place, const DbuRecognised *rec)
{
	const DbuLiteral *literal;

	if (!IS_PLACE(place->location) || PLACE_LITERAL(place->location) >= rec->nliterals)
		return false;
	literal = &rec->literals[PLACE_LITERAL(place->location)];
	if (place->consttype == literal->value.consttype)
		*place = literal->value;
	else if (literal->array_size > 0 && place->consttype == literal->array->array_typeid)
	{
		place->constlen = -1;
		place->constbyval = false;
		place->constisnull = false;
		place->constvalue = array_value(literal);
		place->location = -1;
	}
	else
		return false;
	return true;
}

static bool
fill_place(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, Const))
	{
		Filling    *filling = arg;

		if (dbu_plancache_fill_place((Const *) node, filling->rec))
			filling->filled++;
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
