/*-------------------------------------------------------------------------
 *
 * compare.c
 *	  What changed between two plans, node by node.
 *
 * compare_match.c says which nodes are the same.  Here each becomes a row, in
 * the order of the second plan, with those that only the first one has at the
 * place where they stood.  A node counts as changed if it does its work in
 * another way; figures and literals that differ are no change, they stand in
 * their columns.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/compare.h"

#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(dbutil_compare_plans_jsonb);
PG_FUNCTION_INFO_V1(dbutil_compare_plans_text);

#define MAX_INDENT	200			/* characters, of a node's title */

enum
{
	COL_CHANGE, COL_NODE_A, COL_NODE_B, COL_DIFFERENCES,
	COL_FIRST_FIGURE,
	COL_PATH_A = COL_FIRST_FIGURE + 8, COL_PATH_B,
	COMPARE_COLUMNS
};

/* ---------- differences of two nodes ---------- */

static void
add_difference(StringInfo differences, const char *what, const char *a, const char *b)
{
	a = a ? a : "none";
	b = b ? b : "none";
	if (strcmp(a, b) != 0)
		appendStringInfo(differences, "%s%s: %s -> %s", differences->len > 0 ? "; " : "",
						 what, a, b);
}

/* The index of a scan, or the indexes of its bitmaps; NULL if there is none. */
static const char *
index_of(const DbuPlanNode *node)
{
	const char *result = dbu_explain_text(node->fields, "Index Name");
	ListCell   *lc;

	check_stack_depth();
	if (strncmp(node->type, "Bitmap", 6) != 0)
		return result;
	foreach(lc, node->children)
	{
		const DbuPlanNode *child = lfirst(lc);
		const char *below = index_of(child);

		if (below != NULL)
			result = result ? psprintf("%s, %s", result, below) : below;
	}
	return result;
}

static char *
source_names(const DbuComparison *comparison, const DbuComparedNode *item)
{
	StringInfoData names;
	int			number = -1;

	initStringInfo(&names);
	while ((number = bms_next_member(item->sources, number)) >= 0)
		appendStringInfo(&names, "%s%s", names.len > 0 ? " " : "",
						 (char *) list_nth(comparison->names, number));
	return names.data;
}

/* A join whose sides are others, or have changed places. */
static void
add_join_order(const DbuComparison *comparison, StringInfo differences,
			   const DbuComparedNode *a, const DbuComparedNode *b)
{
	const DbuComparedNode *sides[2][2];
	const char *texts[2];

	for (int i = 0; i < 2; i++)
	{
		const DbuComparedNode *item = i == 0 ? a : b;

		sides[i][0] = dbu_explain_compared_child(item, "Outer");
		sides[i][1] = dbu_explain_compared_child(item, "Inner");
		if (sides[i][0] == NULL || sides[i][1] == NULL)
			return;
	}
	if (bms_equal(sides[0][0]->sources, sides[1][0]->sources) &&
		bms_equal(sides[0][1]->sources, sides[1][1]->sources))
		return;
	for (int i = 0; i < 2; i++)
		texts[i] = psprintf("(%s) (%s)", source_names(comparison, sides[i][0]),
							source_names(comparison, sides[i][1]));
	add_difference(differences, "join order", texts[0], texts[1]);
}

static char *
differences_of(const DbuComparison *comparison, const DbuComparedNode *a, const DbuComparedNode *b)
{
	static const char *const texts[] = {
		"Relation Name", "Join Type", "Strategy", "Partial Mode", "Scan Direction", "Operation"
	};
	static const char *const names[] = {
		"relation", "join type", "strategy", "partial mode", "scan direction", "operation"
	};
	static const char *const lists[] = {"Sort Key", "Presorted Key", "Group Key"};
	static const char *const list_names[] = {"sort key", "presorted key", "group key"};
	static const char *const conditions[] = {"Index Cond", "Join Filter", "Filter", "One-Time Filter"};
	JsonbContainer *left = a->node->fields;
	JsonbContainer *right = b->node->fields;
	double		workers[2] = {0, 0};
	StringInfoData differences;

	initStringInfo(&differences);
	add_difference(&differences, "node type", a->node->type, b->node->type);
	add_difference(&differences, "index", index_of(a->node), index_of(b->node));
	if (strcmp(a->kind, "join") == 0)
		add_join_order(comparison, &differences, a, b);
	for (int i = 0; i < lengthof(texts); i++)
	{
		char	   *x = dbu_explain_text(left, texts[i]);
		char	   *y = dbu_explain_text(right, texts[i]);

		/* most nodes have it in one type only, which is told already */
		if (x != NULL && y != NULL)
			add_difference(&differences, names[i], x, y);
	}
	if (dbu_explain_flag(left, "Parallel Aware") != dbu_explain_flag(right, "Parallel Aware"))
		add_difference(&differences, "parallel",
					   dbu_explain_flag(left, "Parallel Aware") ? "yes" : "no",
					   dbu_explain_flag(right, "Parallel Aware") ? "yes" : "no");
	if (dbu_explain_number(left, "Workers Planned", &workers[0]) &&
		dbu_explain_number(right, "Workers Planned", &workers[1]))
		add_difference(&differences, "workers", psprintf("%.0f", workers[0]),
					   psprintf("%.0f", workers[1]));
	for (int i = 0; i < lengthof(lists); i++)
	{
		char	   *x = dbu_explain_texts(left, lists[i]);
		char	   *y = dbu_explain_texts(right, lists[i]);

		if (x != NULL && y != NULL)
			add_difference(&differences, list_names[i], x, y);
	}
	/* literals may differ from one execution to the next */
	for (int i = 0; i < lengthof(conditions) && strcmp(a->node->type, b->node->type) == 0; i++)
	{
		char	   *x = dbu_explain_text(left, conditions[i]);
		char	   *y = dbu_explain_text(right, conditions[i]);

		if ((x == NULL) != (y == NULL))
			add_difference(&differences, conditions[i], x, y);
	}
	return differences.data;
}

/* ---------- rows ---------- */

/* The title, indented by what is above it. */
static Datum
indented_title(const DbuPlanNode *node)
{
	StringInfoData title;

	initStringInfo(&title);
	for (const DbuPlanNode *up = node->parent; up != NULL && title.len < MAX_INDENT; up = up->parent)
		appendStringInfoString(&title, "  ");
	appendStringInfoString(&title, dbu_explain_node_title(node));
	return CStringGetTextDatum(title.data);
}

static void
set_figure(Datum *values, bool *nulls, int column, bool known, double figure)
{
	values[column] = Float8GetDatum(figure);
	nulls[column] = !known;
}

/* The columns of one side: 0 or 1. */
static void
set_side(Datum *values, bool *nulls, int side, const DbuComparedNode *item)
{
	const DbuPlanNode *node = item->node;
	double		cost = 0;
	double		time = 0;
	bool		known;

	values[COL_NODE_A + side] = indented_title(node);
	nulls[COL_NODE_A + side] = false;
	values[COL_PATH_A + side] = CStringGetTextDatum(dbu_explain_path(item->statement, node));
	nulls[COL_PATH_A + side] = false;
	set_figure(values, nulls, COL_FIRST_FIGURE + side, true,
			   node->plan_rows * (node->executed ? node->loops : 1));
	set_figure(values, nulls, COL_FIRST_FIGURE + 2 + side, node->measured,
			   node->rows * node->loops);
	known = dbu_explain_number(node->fields, "Total Cost", &cost);
	set_figure(values, nulls, COL_FIRST_FIGURE + 4 + side, known, cost);
	known = dbu_explain_node_time(node, &time);
	set_figure(values, nulls, COL_FIRST_FIGURE + 6 + side, known, time);
}

static void
put_row(ReturnSetInfo *rsinfo, const DbuComparison *comparison,
		const DbuComparedNode *a, const DbuComparedNode *b)
{
	Datum		values[COMPARE_COLUMNS] = {0};
	bool		nulls[COMPARE_COLUMNS];
	const char *change = a == NULL ? "added" : b == NULL ? "removed" : "same";
	MemoryContext caller = MemoryContextSwitchTo(comparison->row);

	CHECK_FOR_INTERRUPTS();
	memset(nulls, true, sizeof(nulls));
	if (a != NULL)
		set_side(values, nulls, 0, a);
	if (b != NULL)
		set_side(values, nulls, 1, b);
	if (a != NULL && b != NULL)
	{
		char	   *differences = differences_of(comparison, a, b);

		if (differences[0] != '\0')
		{
			change = "changed";
			values[COL_DIFFERENCES] = CStringGetTextDatum(differences);
			nulls[COL_DIFFERENCES] = false;
		}
	}
	values[COL_CHANGE] = CStringGetTextDatum(change);
	nulls[COL_CHANGE] = false;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(comparison->row);
}

/* Removed nodes of the first plan from position *next on, up to the end. */
static void
put_removed(ReturnSetInfo *rsinfo, const DbuComparison *comparison, int *next, int end)
{
	for (; *next < end; (*next)++)
	{
		const DbuComparedNode *a = list_nth(comparison->sides[0], *next);

		if (a->partner == NULL)
			put_row(rsinfo, comparison, a, NULL);
	}
}

static void
return_comparison(FunctionCallInfo fcinfo, Jsonb *a, Jsonb *b)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DbuComparison comparison = {0};
	int			next = 0;
	ListCell   *lc;

	comparison.row = AllocSetContextCreate(CurrentMemoryContext, "dbutil compared node",
										   ALLOCSET_DEFAULT_SIZES);
	dbu_explain_match(&comparison, dbu_explain_read_plan(a), dbu_explain_read_plan(b));
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, comparison.sides[1])
	{
		const DbuComparedNode *item = lfirst(lc);

		if (item->partner != NULL)
			put_removed(rsinfo, &comparison, &next, item->partner->position);
		put_row(rsinfo, &comparison, item->partner, item);
	}
	put_removed(rsinfo, &comparison, &next, list_length(comparison.sides[0]));
	MemoryContextDelete(comparison.row);
}

Datum
dbutil_compare_plans_jsonb(PG_FUNCTION_ARGS)
{
	return_comparison(fcinfo, PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1));
	return (Datum) 0;
}

/* Also for json, whose values are texts. */
Datum
dbutil_compare_plans_text(PG_FUNCTION_ARGS)
{
	return_comparison(fcinfo, dbu_explain_plan_of_text(PG_GETARG_TEXT_PP(0)),
					  dbu_explain_plan_of_text(PG_GETARG_TEXT_PP(1)));
	return (Datum) 0;
}
