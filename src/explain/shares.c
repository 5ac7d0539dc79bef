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
 * The time of a CTE passes in its CTE Scans, wherever they are, and that of an
 * InitPlan in the node that first asks for its result, which need not be the
 * one that it hangs on: it is taken from them.  Costs are the planner's: it adds
 * those of both to the node that they hang on.  Times below a Gather are sums over its processes; what counts is
 * how long the statement waited for them, so they are divided by their number.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include <ctype.h>

#include "miscadmin.h"

/* Does a text hold the word, not as part of a longer number? */
static bool
text_mentions(const char *text, const char *word)
{
	size_t		length = strlen(word);

	while ((text = strstr(text, word)) != NULL)
	{
		if (!isdigit((unsigned char) text[length]))
			return true;
		text++;
	}
	return false;
}

/* Do the texts of a node, and of none below it, hold one of the words? */
static bool
node_mentions(const DbuPlanNode *node, List *words)
{
	JsonbIterator *it = JsonbIteratorInit(node->fields);
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		below = false;
	ListCell   *lc;

	while ((token = JsonbIteratorNext(&it, &value, below)) != WJB_DONE)
	{
		bool		skipped = below;
		char	   *text;

		below = token == WJB_KEY && value.val.string.len == strlen("Plans") &&
			memcmp(value.val.string.val, "Plans", value.val.string.len) == 0;
		if (skipped || (token != WJB_VALUE && token != WJB_ELEM) || value.type != jbvString)
			continue;
		text = pnstrdup(value.val.string.val, value.val.string.len);
		foreach(lc, words)
		{
			if (text_mentions(text, lfirst(lc)))
				return true;
		}
		pfree(text);
	}
	return false;
}

/* Is the result of a subplan put into a hash table once and for all? */
static bool
is_hashed(const DbuPlanNode *parent, const DbuPlanNode *child)
{
	char	   *name = dbu_explain_text(child->fields, "Subplan Name");

	return name != NULL && node_mentions(parent, list_make1(psprintf("hashed %s", name)));
}

/* How often a child is executed for one execution of its parent, estimated. */
static double
executions(const DbuPlanNode *child)
{
	const DbuPlanNode *parent = child->parent;

	if (dbu_explain_is_type(parent, "Nested Loop") && strcmp(child->relationship, "Inner") == 0 &&
		!dbu_explain_is_type(child, "Materialize") && !dbu_explain_is_type(child, "Memoize"))
	{
		const DbuPlanNode *outer = dbu_explain_child(parent, "Outer");

		return outer ? Max(outer->plan_rows, 1) : 1;
	}
	if (strcmp(child->relationship, "SubPlan") == 0 && !is_hashed(parent, child))
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

/* Does the time of a node pass elsewhere than in the node that it hangs on? */
static bool
passes_elsewhere(const DbuPlanNode *node)
{
	return strcmp(node->relationship, "InitPlan") == 0;
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

		if (!(by_time && passes_elsewhere(child)))
			wanted += own_account(child, by_time, Min(loops * executions(child), DBU_MAX_FIGURE));
	}
	scale = wanted > amount ? amount / wanted : 1;
	foreach(lc, node->children)
	{
		DbuPlanNode *child = lfirst(lc);
		double		child_loops = Min(loops * executions(child), DBU_MAX_FIGURE);
		double		part;

		if (by_time && passes_elsewhere(child))
			continue;
		part = own_account(child, by_time, child_loops) * scale;
		node->self -= part;
		hand_out(child, part, by_time, child_loops);
	}
	node->self = Max(node->self, 0);
}

/* Takes what there is of an amount from a node alone; returns what is left. */
static double
take_from(DbuPlanNode *node, double amount)
{
	double		part = Min(node->self, amount);

	node->self -= part;
	return amount - part;
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

		if (name != NULL && strcmp(name, cte) == 0)
			amount = take_from(node, amount);
	}
}

/*
 * How expressions name the results of an InitPlan: char *.  Until 16 its name
 * ends in "(returns $0,$1)", and they say $0; since 17 they say (InitPlan 1).
 */
static List *
result_words(const DbuPlanNode *initplan)
{
	char	   *name = dbu_explain_text(initplan->fields, "Subplan Name");
	char	   *returns = name ? strstr(name, "(returns ") : NULL;
	char	   *rest = NULL;
	List	   *words = NIL;

	if (name == NULL)
		return NIL;
	if (returns == NULL)
		return list_make1(psprintf("(%s)", name));
	for (char *word = strtok_r(returns + strlen("(returns "), ",)", &rest); word != NULL;
		 word = strtok_r(NULL, ",)", &rest))
		words = lappend(words, word);
	return words;
}

/* Does anything from this node on down ask for a result? */
static bool
asked_below(const DbuPlanNode *node, List *words)
{
	ListCell   *lc;

	check_stack_depth();
	if (node_mentions(node, words))
		return true;
	foreach(lc, node->children)
	{
		if (asked_below(lfirst(lc), words))
			return true;
	}
	return false;
}

/*
 * Takes the time of an InitPlan from the nodes, from this one on down, that ask
 * for its result; those further down are the first to.  A Gather evaluates what
 * is asked for below it, before it starts its workers.  Returns what is left.
 */
static double
take_from_askers(DbuPlanNode *node, const DbuPlanNode *initplan, List *words, double amount)
{
	bool		gather = dbu_explain_is_type(node, "Gather") || dbu_explain_is_type(node, "Gather Merge");
	ListCell   *lc;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (gather)
		return asked_below(node, words) ? take_from(node, amount) : amount;
	foreach(lc, node->children)
	{
		if (amount > 0 && lfirst(lc) != initplan)
			amount = take_from_askers(lfirst(lc), initplan, words, amount);
	}
	return amount > 0 && node_mentions(node, words) ? take_from(node, amount) : amount;
}

/* Without VERBOSE target lists are not told: takes it from whatever is there. */
static double
take_from_any(DbuPlanNode *node, const DbuPlanNode *initplan, double amount)
{
	ListCell   *lc;

	check_stack_depth();
	amount = take_from(node, amount);
	foreach(lc, node->children)
	{
		if (amount > 0 && lfirst(lc) != initplan)
			amount = take_from_any(lfirst(lc), initplan, amount);
	}
	return amount;
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

		if (node->parent != NULL && passes_elsewhere(node))
			hand_out(node, Min(own_account(node, true, 1), statement->root->total), true, 1);
	}
	foreach(lc, statement->nodes)
	{
		const DbuPlanNode *node = lfirst(lc);
		double		left;

		if (node->parent == NULL || !passes_elsewhere(node))
			continue;
		if (made_cte(node))
		{
			take_from_scans(statement, made_cte(node), node->total);
			continue;
		}
		left = take_from_askers(node->parent, node, result_words(node), node->total);
		if (left > 0)
			take_from_any(node->parent, node, left);
	}
}
