/*-------------------------------------------------------------------------
 *
 * shares.c
 *	  To which nodes of a plan its time or, if it was not measured, its cost
 *	  belongs.
 *
 * EXPLAIN counts a node together with what is below it, times as the average of
 * one loop, costs as those of one execution.  Here they become parts of the
 * whole: the root has all of it, and each node hands to its children what they
 * used in all loops, but never more than it has itself.  So a child of a LIMIT
 * that stops early, whose cost is that of all its rows, gets what the LIMIT
 * costs, and shares add up to 100 % whatever a foreign plan says.
 *
 * The time of a CTE passes in its CTE Scans, wherever they are, and is taken
 * from them.  Times below a Gather are sums over its processes; what counts is
 * how long the statement waited for them, so they are divided by their number.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include "miscadmin.h"

static bool
is_type(const DbuPlanNode *node, const char *type)
{
	return strcmp(node->type, type) == 0;
}

/* How often a child is executed for one execution of its parent, estimated. */
static double
executions(const DbuPlanNode *child)
{
	const DbuPlanNode *parent = child->parent;

	if (is_type(parent, "Nested Loop") && strcmp(child->relationship, "Inner") == 0 &&
		!is_type(child, "Materialize") && !is_type(child, "Memoize"))
	{
		const DbuPlanNode *outer = dbu_explain_child(parent, "Outer");

		return outer ? Max(outer->plan_rows, 1) : 1;
	}
	if (strcmp(child->relationship, "SubPlan") == 0)
		return Max(parent->plan_rows, 1);
	return 1;
}

/*
 * How long the statement waited for a node with all below it, in all loops, in
 * milliseconds.  False if it was not measured.
 */
bool
dbu_explain_node_time(const DbuPlanNode *node, double *time)
{
	if (!node->measured || !dbu_explain_number(node->fields, "Actual Total Time", time))
		return false;
	*time = node->executed ? Max(*time, 0) * node->loops / node->processes : 0;
	return true;
}

/* What a node with all below it used in all loops, by its own account. */
static double
own_account(const DbuPlanNode *node, bool by_time, double loops)
{
	double		figure = 0;

	if (by_time)
	{
		dbu_explain_node_time(node, &figure);
		return figure;
	}
	dbu_explain_number(node->fields, "Total Cost", &figure);
	return Max(figure, 0) * loops;
}

/* The name of the CTE that a node makes, or NULL. */
static const char *
made_cte(const DbuPlanNode *node)
{
	char	   *name = dbu_explain_text(node->fields, "Subplan Name");

	if (name == NULL || strcmp(node->relationship, "InitPlan") != 0 ||
		strncmp(name, "CTE ", 4) != 0)
		return NULL;
	return name + 4;
}

static void
hand_out(DbuPlanNode *node, double amount, bool by_time, double loops)
{
	double		wanted = 0;
	double		scale;
	ListCell   *lc;

	check_stack_depth();
	node->total = amount;
	node->self = amount;
	foreach(lc, node->children)
	{
		const DbuPlanNode *child = lfirst(lc);

		if (!(by_time && made_cte(child)))
			wanted += own_account(child, by_time, loops * executions(child));
	}
	scale = wanted > amount ? amount / wanted : 1;
	foreach(lc, node->children)
	{
		DbuPlanNode *child = lfirst(lc);
		double		child_loops = loops * executions(child);
		double		part;

		if (by_time && made_cte(child))
			continue;
		part = own_account(child, by_time, child_loops) * scale;
		node->self -= part;
		hand_out(child, part, by_time, child_loops);
	}
	node->self = Max(node->self, 0);
}

/* Takes the time of a CTE from the scans that waited for it. */
static void
take_from_scans(const DbuPlanStatement *statement, const char *cte, double amount)
{
	ListCell   *lc;

	foreach(lc, statement->nodes)
	{
		DbuPlanNode *node = lfirst(lc);
		char	   *name = dbu_explain_text(node->fields, "CTE Name");
		double		part;

		if (name == NULL || strcmp(name, cte) != 0)
			continue;
		part = Min(node->self, amount);
		node->self -= part;
		amount -= part;
	}
}

/*
 * Sets total and self of all nodes, in milliseconds if shared_by_time, else in
 * units of cost.
 */
void
dbu_explain_share_out(DbuPlanStatement *statement)
{
	double		whole = 0;
	bool		by_time;
	ListCell   *lc;

	by_time = statement->root->executed &&
		dbu_explain_number(statement->root->fields, "Actual Total Time", &whole);
	statement->shared_by_time = by_time;
	hand_out(statement->root, own_account(statement->root, by_time, 1), by_time, 1);
	if (!by_time)
		return;
	foreach(lc, statement->nodes)
	{
		DbuPlanNode *node = lfirst(lc);

		if (made_cte(node))
			hand_out(node, Min(own_account(node, true, 1), statement->root->total), true, 1);
	}
	foreach(lc, statement->nodes)
	{
		const DbuPlanNode *node = lfirst(lc);

		if (made_cte(node))
			take_from_scans(statement, made_cte(node), node->total);
	}
}
