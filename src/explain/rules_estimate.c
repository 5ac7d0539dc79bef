/*-------------------------------------------------------------------------
 *
 * rules_estimate.c
 *	  Rules over what the planner knows: how many rows it expects, and how old
 *	  the statistics are by which it does.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include "miscadmin.h"

/* how far the estimate is from the actual rows, either way, beyond DBU_MISESTIMATE */
#define MISESTIMATE_WARN		100
#define MISESTIMATE_CRITICAL	1000
/* rows in all loops, estimated or actual, below which it does not matter */
#define MIN_MISESTIMATED_ROWS	1000

/* rows changed since ANALYZE as a share of those there were, and their number */
#define STALE_INFO				0.2
#define STALE_WARN				0.5
#define MIN_ROWS_MODIFIED		1000

/*
 * Node types whose row counts are not an estimate's counterpart: they count
 * nothing (bitmaps of several indexes, writes), count rows again when they are
 * rescanned, or only hand on what is below, or what a CTE gives.  The working
 * table of a recursion and a window's run condition are not estimated at all.
 */
static bool
counts_rows(const DbuPlanNode *node)
{
	static const char *const exempt[] = {
		"BitmapAnd", "BitmapOr", "Hash", "Limit", "LockRows", "Materialize",
		"Memoize", "ModifyTable", "Result", "WorkTable Scan"
	};

	for (int i = 0; i < lengthof(exempt); i++)
	{
		if (dbu_explain_is_type(node, exempt[i]))
			return false;
	}
	if ((dbu_explain_is_type(node, "CTE Scan") || dbu_explain_is_type(node, "Subquery Scan")) &&
		dbu_explain_text(node->fields, "Filter") == NULL)
		return false;
	if (dbu_explain_text(node->fields, "Run Condition") != NULL)
		return false;
	/* a merge join reads its inner side again where keys repeat */
	return !(node->parent != NULL && dbu_explain_is_type(node->parent, "Merge Join") &&
			 strcmp(node->relationship, "Inner") == 0);
}

/* May something above stop asking before this node has given all its rows? */
static bool
may_stop_early(const DbuPlanNode *node)
{
	for (const DbuPlanNode *child = node, *up = node->parent; up != NULL;
		 child = up, up = up->parent)
	{
		if (strcmp(child->relationship, "SubPlan") == 0 ||
			strcmp(child->relationship, "InitPlan") == 0 ||
			dbu_explain_is_type(up, "Limit") || dbu_explain_is_type(up, "Merge Join"))
			return true;
		if (dbu_explain_is_type(up, "Nested Loop") && strcmp(child->relationship, "Inner") == 0 &&
			(dbu_explain_has_word(up, "Join Type", "Semi") || dbu_explain_has_word(up, "Join Type", "Anti") ||
			 dbu_explain_flag(up->fields, "Inner Unique")))
			return true;
		/* with an empty hash table the other side is not read */
		if (dbu_explain_is_type(up, "Hash Join") && strcmp(child->relationship, "Outer") == 0)
		{
			const DbuPlanNode *inner = dbu_explain_child(up, "Inner");

			if (inner == NULL || inner->rows < 1)
				return true;
		}
		/* these read all of their input before they give anything */
		if (dbu_explain_is_type(up, "Sort") || dbu_explain_is_type(up, "Hash") ||
			(dbu_explain_is_type(up, "Aggregate") && !dbu_explain_has_word(up, "Strategy", "Sorted")))
			return false;
	}
	return false;
}

/*
 * How many times the actual rows are the estimated ones; negative if they are
 * fewer; 0 if they cannot be compared or are few.
 */
double
dbu_explain_misestimate(const DbuPlanNode *node)
{
	double		estimated = Max(node->plan_rows, 1);
	double		actual = Max(node->rows, 1);

	if (!node->executed || !counts_rows(node) ||
		Max(estimated, actual) * node->loops < MIN_MISESTIMATED_ROWS)
		return 0;
	if (actual >= estimated)
		return actual / estimated;
	return may_stop_early(node) ? 0 : -estimated / actual;
}

/* Does the same error begin further down? */
static bool
inherited(const DbuPlanNode *node, double ratio)
{
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, node->children)
	{
		const DbuPlanNode *child = lfirst(lc);
		double		below = dbu_explain_misestimate(child);

		if (ratio > 0 ? below >= DBU_MISESTIMATE : below <= -DBU_MISESTIMATE)
			return true;
		if (!counts_rows(child) && inherited(child, ratio))
			return true;
	}
	return false;
}

/* What the planner has no statistics of, so that ANALYZE mends nothing. */
static bool
is_guessed(const DbuPlanNode *node)
{
	static const char *const types[] = {
		"Function Scan", "ProjectSet", "Recursive Union", "Table Function Scan"
	};

	for (int i = 0; i < lengthof(types); i++)
	{
		if (dbu_explain_is_type(node, types[i]))
			return true;
	}
	return false;
}

/* The planner expected far more or fewer rows: where the error begins. */
void
dbu_explain_rule_row_misestimate(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		ratio = dbu_explain_misestimate(node);
	double		factor = ratio < 0 ? -ratio : ratio;
	DbuFinding *finding;

	if (factor < DBU_MISESTIMATE || inherited(node, ratio))
		return;
	finding = dbu_explain_add_finding(analysis, node,
									  factor >= MISESTIMATE_CRITICAL ? DBU_CRITICAL :
									  factor >= MISESTIMATE_WARN ? DBU_WARN : DBU_INFO,
									  is_guessed(node) ?
									  "The planner cannot know how many rows come of this, guessed, and chose what comes after by it. "
									  "Put the rows into a temporary table and ANALYZE it, or declare the ROWS of the function." :
									  "The planner expected another number of rows, and chose what comes after by it. "
									  "Run ANALYZE; for conditions on several columns that depend on each other CREATE STATISTICS.");
	dbu_explain_add_number(finding, "rows_estimated", node->plan_rows);
	dbu_explain_add_number(finding, "rows_actual", node->rows);
	dbu_explain_add_number(finding, "factor", factor);
	dbu_explain_add_number(finding, "loops", node->loops);
	if (node->relation != NULL)
		finding->suggested_sql = psprintf("ANALYZE %s", dbu_explain_node_relation(node));
}

/* Has this rule spoken of this table already? */
static bool
told_of(const DbuAnalysis *analysis, const char *relation)
{
	ListCell   *lc;

	foreach(lc, analysis->findings)
	{
		const DbuFinding *finding = lfirst(lc);

		if (strcmp(finding->rule, analysis->rule) == 0 && finding->relation != NULL &&
			strcmp(finding->relation, relation) == 0)
			return true;
	}
	return false;
}

/*
 * More rows were changed since ANALYZE than autovacuum lets pass by default;
 * a temporary table is never analyzed by itself.  Of a table without any
 * statistics every row counts.
 */
void
dbu_explain_rule_stale_statistics(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	const DbuScanFact *fact = node->fact;
	const char *relation;
	bool		never;
	DbuFinding *finding;

	if (fact == NULL || fact->modified < MIN_ROWS_MODIFIED)
		return;
	never = fact->reltuples < 0;
	if (!never && fact->modified <= fact->reltuples * STALE_INFO)
		return;
	relation = dbu_explain_node_relation(node);
	if (relation == NULL || told_of(analysis, relation))
		return;
	finding = dbu_explain_add_finding(analysis, node,
									  never || fact->modified > fact->reltuples * STALE_WARN ?
									  DBU_WARN : DBU_INFO,
									  never ?
									  "The table was never analyzed, so the planner guesses what is in it. "
									  "Run ANALYZE after loading; temporary tables are never analyzed by themselves." :
									  "Much of the table was changed since its statistics were collected. "
									  "Run ANALYZE, and let autovacuum do so more often (autovacuum_analyze_scale_factor of the table).");
	dbu_explain_add_number(finding, "rows_modified", fact->modified);
	if (!never)
		dbu_explain_add_number(finding, "rows_analyzed", fact->reltuples);
	finding->suggested_sql = psprintf("ANALYZE %s", relation);
}
