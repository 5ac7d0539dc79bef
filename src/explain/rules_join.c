/*-------------------------------------------------------------------------
 *
 * rules_join.c
 *	  Rules over joins and subplans.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include <ctype.h>

#include "miscadmin.h"
#include "utils/builtins.h"

/* times the inner side of a nested loop, or a subplan, is executed */
#define MIN_INNER_LOOPS			1000
#define MANY_INNER_LOOPS		10000
/* executions of a subplan that takes this share of the time or more */
#define MIN_SLOW_LOOPS			10
#define MOST_OF_TIME			0.5
#define MIN_SLOW_MS				100
/* rows read by all executions of an inner scan, below which it is cheap */
#define MIN_INNER_ROWS_READ		100000
/* likewise, if they are kept in memory and only compared */
#define MIN_INNER_ROWS_COMPARED	1000000

/* share of a join's row pairs that its filter throws away, and their number */
#define JOIN_REMOVED			0.9
#define MIN_PAIRS				10000

/* How often the inner side is executed; estimated if it was not. */
static double
inner_loops(const DbuAnalysis *analysis, const DbuPlanNode *outer, const DbuPlanNode *inner)
{
	if (analysis->statement->measured)
		return inner->executed ? inner->loops : 0;
	return outer->plan_rows;
}

/* What a nested loop reads again for each row of its outer side. */
typedef struct Repeated
{
	const DbuPlanNode *node;	/* NULL: nothing of a size that matters */
	double		loops;
	double		rows;			/* that one loop gives */
	double		removed;		/* and that its filter removes */
} Repeated;

/*
 * Types of nodes that read what is below them anew each time, so that below
 * them an estimate of one execution stands for each; what else there is may
 * keep its rows.
 */
static bool
reads_anew(const DbuPlanNode *node)
{
	static const char *const types[] = {
		"Append", "Merge Append", "ProjectSet", "Result", "Subquery Scan", "WindowAgg"
	};

	for (int i = 0; i < lengthof(types); i++)
	{
		if (dbu_explain_is_type(node, types[i]))
			return true;
	}
	return dbu_explain_is_type(node, "Aggregate") && dbu_explain_has_word(node, "Strategy", "Plain");
}

/*
 * Finds the table that is read as a whole the most often, from the inner side
 * of a nested loop on down.  Actual loops tell that of any node; what a nested
 * loop further down reads is that one's.
 */
static void
find_repeated(const DbuPlanNode *node, bool measured, double loops, Repeated *found)
{
	double		removed = 0;
	double		rows = measured ? node->rows : node->plan_rows;
	ListCell   *lc;

	check_stack_depth();
	if (measured)
	{
		loops = node->executed ? node->loops : 0;
		dbu_explain_number(node->fields, "Rows Removed by Filter", &removed);
	}
	if (loops < MIN_INNER_LOOPS)
		return;
	if (dbu_explain_is_type(node, "Seq Scan") && (rows + removed) * loops >= MIN_INNER_ROWS_READ &&
		(found->node == NULL ||
		 (rows + removed) * loops > (found->rows + found->removed) * found->loops))
		*found = (Repeated) {node, loops, rows, removed};
	if (!measured && !reads_anew(node))
		return;
	foreach(lc, node->children)
	{
		const DbuPlanNode *child = lfirst(lc);

		if (strcmp(child->relationship, "InitPlan") != 0 &&
			strcmp(child->relationship, "SubPlan") != 0 &&
			!(dbu_explain_is_type(node, "Nested Loop") && strcmp(child->relationship, "Inner") == 0))
			find_repeated(child, measured, loops, found);
	}
}

/* Are nearly all of the pairs of rows that a join makes thrown away by its filter? */
static bool
throws_away(const DbuPlanNode *node, double *pairs, double *share)
{
	double		removed;

	if (!node->executed ||
		!dbu_explain_number(node->fields, "Rows Removed by Join Filter", &removed))
		return false;
	*pairs = (node->rows + removed) * node->loops;
	*share = removed / Max(node->rows + removed, 1);
	return *pairs >= MIN_PAIRS && *share > JOIN_REMOVED;
}

/* A join that makes many pairs of rows only to throw them away. */
void
dbu_explain_rule_join_filter(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		pairs;
	double		share;
	DbuFinding *finding;

	if (!throws_away(node, &pairs, &share) || dbu_explain_is_small_part(analysis, node->total))
		return;
	finding = dbu_explain_add_finding(analysis, node, DBU_WARN,
									  "The join compares many pairs of rows and keeps few. "
									  "Give one side an index on the join's columns, or write the condition as equality so that it can be hashed.");
	dbu_explain_add_number(finding, "pairs", pairs);
	dbu_explain_add_number(finding, "removed_percent", 100 * share);
	dbu_explain_add_text(finding, "join_filter", dbu_explain_text(node->fields, "Join Filter"));
}

/* A nested loop that scans its inner side again and again. */
void
dbu_explain_rule_nested_loop(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	const DbuPlanNode *outer = dbu_explain_child(node, "Outer");
	const DbuPlanNode *inner = dbu_explain_child(node, "Inner");
	bool		measured = analysis->statement->measured;
	Repeated	repeated = {0};
	double		pairs;
	double		share;
	bool		kept;
	const char *advice;
	DbuFinding *finding;

	if (!dbu_explain_is_type(node, "Nested Loop") || outer == NULL || inner == NULL)
		return;
	repeated.loops = inner_loops(analysis, outer, inner);
	repeated.rows = measured ? inner->rows : inner->plan_rows;
	if (repeated.loops < MIN_INNER_LOOPS || dbu_explain_is_small_part(analysis, node->total))
		return;

	/*
	 * Rows that are kept are compared again.  Without a condition, or if most
	 * pairs are thrown away, another rule speaks of it.
	 */
	kept = dbu_explain_is_type(inner, "Materialize") &&
		dbu_explain_text(node->fields, "Join Filter") != NULL &&
		!throws_away(node, &pairs, &share) &&
		repeated.rows * repeated.loops >= MIN_INNER_ROWS_COMPARED;
	find_repeated(inner, measured, repeated.loops, &repeated);
	if (repeated.node != NULL)
		advice = "The inner table is read as a whole for each row of the outer side. "
			"Give it an index on the columns of the join condition.";
	else if (kept)
		advice = "Each row of the outer side is compared with all rows of the inner one, which are kept in memory for that. "
			"Give the inner table an index on the columns of the join condition, or write the condition as equality so that it can be hashed.";
	/* an index look-up for each row is what a nested loop is for, if expected */
	else if (measured && dbu_explain_misestimate(outer) >= DBU_MISESTIMATE)
		advice = "The inner side is executed far more often than the planner expected when it chose a nested loop. "
			"Mend the estimate of the outer side.";
	else
		return;

	finding = dbu_explain_add_finding(analysis, node,
									  repeated.node != NULL ? DBU_CRITICAL : DBU_WARN, advice);
	inner = repeated.node != NULL ? repeated.node : inner;
	dbu_explain_add_number(finding, "inner_loops", repeated.loops);
	dbu_explain_add_number(finding, "outer_rows_estimated", outer->plan_rows);
	if (measured)
	{
		dbu_explain_add_number(finding, "inner_rows_per_loop", repeated.rows);
		dbu_explain_add_number(finding, "inner_rows_removed_per_loop", repeated.removed);
	}
	dbu_explain_add_text(finding, "inner_node", dbu_explain_node_label(inner));
	dbu_explain_add_text(finding, "basis", measured ? "actual rows" : "estimate");
	finding->relation = dbu_explain_node_relation(inner);
}

/* Collects "alias." of every table and function below a node. */
static void
collect_aliases(const DbuPlanNode *node, List **aliases)
{
	ListCell   *lc;

	check_stack_depth();
	if (node->alias != NULL)
		*aliases = lappend(*aliases, psprintf("%s.", quote_identifier(node->alias)));
	foreach(lc, node->children)
		collect_aliases(lfirst(lc), aliases);
}

/* Is there a column of the alias ("alias.") in a text? */
static bool
has_alias(const char *text, const char *alias)
{
	const char *at = text;

	while ((at = strstr(at, alias)) != NULL)
	{
		/* not the end of a longer name */
		if (at == text || !(isalnum((unsigned char) at[-1]) || at[-1] == '_' ||
							at[-1] == '"' || IS_HIGHBIT_SET(at[-1])))
			return true;
		at++;
	}
	return false;
}

/* Does any text in this JSON value name a column of one of the aliases? */
static bool
mentions(JsonbContainer *container, List *aliases)
{
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		char	   *text;
		ListCell   *lc;

		if ((token != WJB_VALUE && token != WJB_ELEM) || value.type != jbvString)
			continue;
		text = pnstrdup(value.val.string.val, value.val.string.len);
		foreach(lc, aliases)
		{
			if (has_alias(text, lfirst(lc)))
				return true;
		}
	}
	return false;
}

/*
 * Do conditions below say that both sides equal the same?  Of a.k = b.k AND
 * a.k = 5 the planner makes a.k = 5 and b.k = 5, and there is nothing left for
 * the join to compare.
 */
static bool
equal_the_same(const DbuPlanNode *outer, const DbuPlanNode *inner)
{
	List	   *left = dbu_explain_equated_values(outer, NIL);
	List	   *right = dbu_explain_equated_values(inner, NIL);
	ListCell   *ll;
	ListCell   *lr;

	foreach(ll, left)
	{
		foreach(lr, right)
		{
			if (strcmp(lfirst(ll), lfirst(lr)) == 0)
				return true;
		}
	}
	return false;
}

/* Every row of one side with every row of the other. */
void
dbu_explain_rule_cartesian_product(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	const DbuPlanNode *outer = dbu_explain_child(node, "Outer");
	const DbuPlanNode *inner = dbu_explain_child(node, "Inner");
	bool		measured = analysis->statement->measured;
	List	   *aliases = NIL;
	double		outer_rows;
	double		inner_rows;
	DbuFinding *finding;

	if (!dbu_explain_is_type(node, "Nested Loop") || outer == NULL || inner == NULL ||
		!dbu_explain_has_word(node, "Join Type", "Inner") ||
		dbu_explain_text(node->fields, "Join Filter") != NULL ||
		(measured && !(outer->executed && inner->executed)))
		return;
	outer_rows = measured ? outer->rows : outer->plan_rows;
	inner_rows = measured ? inner->rows : inner->plan_rows;
	if (outer_rows <= 1 || inner_rows <= 1 || outer_rows * inner_rows < MIN_PAIRS)
		return;

	/* a condition below the inner side ties it to the outer one */
	collect_aliases(outer, &aliases);
	if (aliases == NIL || mentions(inner->fields, aliases) || equal_the_same(outer, inner))
		return;

	finding = dbu_explain_add_finding(analysis, node, DBU_WARN,
									  "No condition joins the two sides, so every row of one meets every row of the other. "
									  "Is a join condition missing?");
	dbu_explain_add_number(finding, "outer_rows", outer_rows);
	dbu_explain_add_number(finding, "inner_rows", inner_rows);
	dbu_explain_add_number(finding, "pairs", outer_rows * inner_rows);
	dbu_explain_add_text(finding, "basis", measured ? "actual rows" : "estimate");
}

/* A subquery that is executed anew for each row. */
void
dbu_explain_rule_subplan_per_row(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		whole = analysis->statement->root->total;
	bool		most;
	DbuFinding *finding;

	if (strcmp(node->relationship, "SubPlan") != 0 || !node->executed ||
		dbu_explain_is_small_part(analysis, node->total))
		return;
	/* a few executions of something slow are as bad as many of something quick */
	most = analysis->statement->shared_by_time && node->loops >= MIN_SLOW_LOOPS &&
		whole >= MIN_SLOW_MS && node->total > whole * MOST_OF_TIME;
	if (node->loops < MIN_INNER_LOOPS && !most)
		return;
	finding = dbu_explain_add_finding(analysis, node,
									  node->loops >= MANY_INNER_LOOPS || most ? DBU_WARN : DBU_INFO,
									  dbu_explain_is_type(node, "Materialize") ?
									  "The result of the subquery is kept, and read through for each row as it cannot be hashed in work_mem. "
									  "Raise work_mem for this statement, or write NOT IN as NOT EXISTS." :
									  "The subquery is executed anew for each row. "
									  "Write it as a join, or as LEFT JOIN to an aggregated subquery.");
	dbu_explain_add_number(finding, "loops", node->loops);
	if (analysis->statement->shared_by_time)
		dbu_explain_add_number(finding, "percent", whole > 0 ? 100 * node->total / whole : 0);
	dbu_explain_add_text(finding, "subplan", dbu_explain_text(node->fields, "Subplan Name"));
}
