/*-------------------------------------------------------------------------
 *
 * compare_match.c
 *	  Which nodes of two plans are the same?
 *
 * What a node reads says what it stands for: a join of a and b is the same
 * join, however it is done and whatever else was put in between.  So the nodes
 * of both plans are grouped by the set of tables (functions, values, ...) that
 * they read, within the main query or the subplan in which they stand; in one
 * group are a scan, or a join, and what is done with its rows: sorts,
 * aggregates, limits.  Inside a group the two lists are aligned like the lines
 * of two files, so that an inserted Sort, Memoize or Gather is an insertion and
 * all around it stays the same.  What is left is matched below nodes that are
 * the same by kind, if it reads something in common: the joins of another join
 * order.
 *
 * Plans of many partitions have thousands of nodes, so nothing here is compared
 * with everything: candidates are found by sorting, or by going down from the
 * partner of what is above.  Where that still leaves too many, MAX_CELLS and
 * MAX_TRIES end it; nodes are then told as removed and added.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/compare.h"

#include "miscadmin.h"

/* Cells of the table for the alignment of two lists; beyond it goes in order. */
#define MAX_CELLS	4000000
/* Pairs that are looked at to match what is left */
#define MAX_TRIES	4000000

static bool
same_text(const char *a, const char *b)
{
	return a == NULL ? b == NULL : b != NULL && strcmp(a, b) == 0;
}

/* How alike two nodes are; 0: they are not the same. */
static int
likeness(const DbuComparedNode *a, const DbuComparedNode *b)
{
	if (a->partner || b->partner || strcmp(a->kind, b->kind) != 0)
		return 0;
	if (a->node->relation && b->node->relation && strcmp(a->node->relation, b->node->relation) != 0)
		return 0;
	return 2 + (strcmp(a->node->type, b->node->type) == 0) +
		same_text(a->index, b->index) + same_text(a->sort_key, b->sort_key);
}

static void
pair(DbuComparedNode *a, DbuComparedNode *b)
{
	a->partner = b;
	b->partner = a;
}

static bool
in_one_group(const DbuComparedNode *a, const DbuComparedNode *b)
{
	return a->hash == b->hash && strcmp(a->scope, b->scope) == 0 &&
		bms_equal(a->sources, b->sources);
}

/*
 * Pairs off two lists in any order: the first in b that is like a.  Those of b
 * that have a partner stand in front, if the lists are of one order.
 */
static void
pair_off(List *a, List *b)
{
	int			start = 0;
	int64		tries = 0;
	ListCell   *la;

	foreach(la, a)
	{
		DbuComparedNode *left = lfirst(la);

		CHECK_FOR_INTERRUPTS();
		while (start < list_length(b) && ((DbuComparedNode *) list_nth(b, start))->partner != NULL)
			start++;
		for (int i = start; left->partner == NULL && i < list_length(b) && tries < MAX_TRIES; i++)
		{
			DbuComparedNode *right = list_nth(b, i);

			tries++;
			if (likeness(left, right) > 0)
				pair(left, right);
		}
	}
}

/* The pairs, in the order of both lists, that are most alike in sum. */
static void
align(List *a, List *b)
{
	int			n = list_length(a);
	int			m = list_length(b);
	int		   *best;
	int			i = 0;
	int			j = 0;

	if ((double) (n + 1) * (m + 1) > MAX_CELLS)
	{
		pair_off(a, b);
		return;
	}
#define BEST(x, y) best[(x) * (m + 1) + (y)]
	best = palloc0(sizeof(int) * (n + 1) * (m + 1));
	for (int x = n - 1; x >= 0; x--)
	{
		CHECK_FOR_INTERRUPTS();
		for (int y = m - 1; y >= 0; y--)
		{
			int			alike = likeness(list_nth(a, x), list_nth(b, y));

			BEST(x, y) = Max(BEST(x + 1, y), BEST(x, y + 1));
			if (alike > 0)
				BEST(x, y) = Max(BEST(x, y), BEST(x + 1, y + 1) + alike);
		}
	}
	while (i < n && j < m)
	{
		int			alike = likeness(list_nth(a, i), list_nth(b, j));

		if (alike > 0 && BEST(i, j) == BEST(i + 1, j + 1) + alike)
			pair(list_nth(a, i++), list_nth(b, j++));
		else if (BEST(i, j) == BEST(i + 1, j))
			i++;
		else
			j++;
	}
	pfree(best);
#undef BEST
}

/* Groups together, the first plan's nodes first, in the order of the plans. */
static int
compare_groups(const ListCell *x, const ListCell *y)
{
	const DbuComparedNode *a = lfirst(x);
	const DbuComparedNode *b = lfirst(y);
	int			order;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	order = strcmp(a->scope, b->scope);
	if (order == 0)
		order = bms_compare(a->sources, b->sources);
	if (order == 0)
		order = a->side - b->side;
	return order != 0 ? order : a->position - b->position;
}

static int
compare_relations(const ListCell *x, const ListCell *y)
{
	const DbuComparedNode *a = lfirst(x);
	const DbuComparedNode *b = lfirst(y);
	int			order = strcmp(a->node->relation, b->node->relation);

	if (order == 0)
		order = a->side - b->side;
	return order != 0 ? order : a->position - b->position;
}

static bool
of_one_relation(const DbuComparedNode *a, const DbuComparedNode *b)
{
	return strcmp(a->node->relation, b->node->relation) == 0;
}

/*
 * Calls match() for each group of a sorted list of nodes of both plans, with
 * the members of either plan.
 */
static void
for_groups(List *sorted, bool (*same) (const DbuComparedNode *a, const DbuComparedNode *b),
		   void (*match) (List *a, List *b))
{
	List	   *members[2] = {NIL, NIL};
	ListCell   *lc;

	foreach(lc, sorted)
	{
		DbuComparedNode *item = lfirst(lc);
		ListCell   *next = lnext(sorted, lc);

		members[item->side] = lappend(members[item->side], item);
		if (next != NULL && same(item, lfirst(next)))
			continue;
		CHECK_FOR_INTERRUPTS();
		if (members[0] != NIL && members[1] != NIL)
			match(members[0], members[1]);
		list_free(members[0]);
		list_free(members[1]);
		members[0] = members[1] = NIL;
	}
}

static void
align_groups(const DbuComparison *comparison)
{
	List	   *sorted = list_concat_copy(comparison->sides[0], comparison->sides[1]);

	list_sort(sorted, compare_groups);
	for_groups(sorted, in_one_group, align);
	list_free(sorted);
}

/* Of scans of one relation, left over, those of one group or one alias. */
static void
match_scans(List *a, List *b)
{
	int64		tries = 0;
	ListCell   *la;
	ListCell   *lb;

	foreach(la, a)
	{
		DbuComparedNode *left = lfirst(la);

		CHECK_FOR_INTERRUPTS();
		foreach(lb, b)
		{
			DbuComparedNode *right = lfirst(lb);

			if (tries++ > MAX_TRIES)
				return;
			if (likeness(left, right) > 0 &&
				(in_one_group(left, right) || same_text(left->node->alias, right->node->alias)))
			{
				pair(left, right);
				break;
			}
		}
	}
}

static void
match_relations(const DbuComparison *comparison)
{
	List	   *left_over = NIL;

	for (int side = 0; side < 2; side++)
	{
		ListCell   *lc;

		foreach(lc, comparison->sides[side])
		{
			DbuComparedNode *item = lfirst(lc);

			if (item->partner == NULL && item->node->relation != NULL)
				left_over = lappend(left_over, item);
		}
	}
	list_sort(left_over, compare_relations);
	for_groups(left_over, of_one_relation, match_scans);
	list_free(left_over);
}

/*
 * The first node, in the order of the plan, that may be the partner of a node
 * and stands among these or below them with no node between that has a partner.
 */
static DbuComparedNode *
find_partner(const DbuComparedNode *a, List *nodes, int64 *tries)
{
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, nodes)
	{
		DbuComparedNode *b = lfirst(lc);
		DbuComparedNode *below;

		if (++*tries > MAX_TRIES)
			return NULL;
		if (b->partner != NULL)
			continue;
		if (likeness(a, b) > 0 && strcmp(a->scope, b->scope) == 0 &&
			(bms_overlap(a->sources, b->sources) ||
			 (a->node->relation != NULL && same_text(a->node->relation, b->node->relation))))
			return b;
		below = find_partner(a, b->below, tries);
		if (below != NULL)
			return below;
	}
	return NULL;
}

/* Matches what is left, below nodes that are the same, or at the top. */
static void
match_below(const DbuComparison *comparison)
{
	List	   *roots = NIL;
	int64		tries = 0;
	ListCell   *lc;

	foreach(lc, comparison->sides[1])
	{
		if (((DbuComparedNode *) lfirst(lc))->up == NULL)
			roots = lappend(roots, lfirst(lc));
	}
	foreach(lc, comparison->sides[0])
	{
		DbuComparedNode *a = lfirst(lc);
		const DbuComparedNode *up = a->up;
		DbuComparedNode *b;

		CHECK_FOR_INTERRUPTS();
		if (a->partner != NULL)
			continue;
		for (; up != NULL && up->partner == NULL; up = up->up)
			tries++;
		b = find_partner(a, up ? up->partner->below : roots, &tries);
		if (b != NULL)
			pair(a, b);
	}
}

/* Reads both plans into the comparison and finds the partners. */
void
dbu_explain_match(DbuComparison *comparison, List *a, List *b)
{
	dbu_explain_read_sides(comparison, a, b);
	align_groups(comparison);
	match_relations(comparison);
	match_below(comparison);
}

/* The first child that stands in this relationship to its parent, or NULL. */
DbuComparedNode *
dbu_explain_compared_child(const DbuComparedNode *parent, const char *relationship)
{
	ListCell   *lc;

	foreach(lc, parent->below)
	{
		DbuComparedNode *item = lfirst(lc);

		if (strcmp(item->node->relationship, relationship) == 0)
			return item;
	}
	return NULL;
}
