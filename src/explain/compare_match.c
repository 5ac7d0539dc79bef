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
 * A partition counts as its parent, so that pruning changes no set but that of
 * the partitions; a CTE's scan counts as what the CTE reads, so that one that
 * is inlined does not change what is above it.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/compare.h"

#include <ctype.h>

#include "common/hashfn.h"
#include "miscadmin.h"

/* Cells of the table for the alignment of two lists; beyond it goes in order. */
#define MAX_CELLS	4000000

/* What a CTE of the plan that is read at the moment reads. */
typedef struct CteSources
{
	const char *name;
	Bitmapset  *sources;
} CteSources;

typedef struct Reading
{
	DbuComparison *comparison;
	int			side;
	const DbuPlanStatement *statement;
	List	   *ctes;			/* CteSources *, the latest first */
} Reading;

static bool
is_type(const DbuPlanNode *node, const char *type)
{
	return strcmp(node->type, type) == 0;
}

static bool
is_bitmap_part(const DbuPlanNode *node)
{
	return is_type(node, "Bitmap Index Scan") || is_type(node, "BitmapAnd") ||
		is_type(node, "BitmapOr");
}

static const char *
kind_of(const DbuPlanNode *node)
{
	static const struct
	{
		const char *type;
		const char *kind;
	}			kinds[] = {
		{"Nested Loop", "join"}, {"Hash Join", "join"}, {"Merge Join", "join"},
		{"Sort", "sort"}, {"Incremental Sort", "sort"},
		{"Append", "append"}, {"Merge Append", "append"},
		{"Gather", "gather"}, {"Gather Merge", "gather"},
		{"Group", "group"}, {"ModifyTable", "ModifyTable"},
	};
	char	   *mode;

	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (is_type(node, kinds[i].type))
			return kinds[i].kind;
	}
	if (is_type(node, "Aggregate"))
	{
		mode = dbu_explain_text(node->fields, "Partial Mode");
		return mode != NULL && strcmp(mode, "Partial") == 0 ? "partial group" : "group";
	}
	return node->relation != NULL ? "scan" : node->type;
}

/* ---------- what nodes read ---------- */

static int
number_of(DbuComparison *comparison, const char *name)
{
	ListCell   *lc;

	foreach(lc, comparison->names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return foreach_current_index(lc);
	}
	comparison->names = lappend(comparison->names, unconstify(char *, name));
	return list_length(comparison->names) - 1;
}

/* The alias without the number that EXPLAIN gives to partitions. */
static const char *
parent_alias(const DbuPlanNode *node)
{
	size_t		length = strlen(node->alias);
	size_t		digits = 0;

	if (node->parent == NULL || strcmp(kind_of(node->parent), "append") != 0)
		return node->alias;
	while (digits < length && isdigit((unsigned char) node->alias[length - digits - 1]))
		digits++;
	if (digits == 0 || length < digits + 2 || node->alias[length - digits - 1] != '_')
		return node->alias;
	return pnstrdup(node->alias, length - digits - 1);
}

/* What a node itself reads; empty if it only works on what others read. */
static Bitmapset *
own_source(Reading *reading, const DbuPlanNode *node)
{
	static const char *const keys[] = {"Function Name", "CTE Name", "Relations"};
	const char *name = node->type;
	char	   *cte = dbu_explain_text(node->fields, "CTE Name");
	ListCell   *lc;

	if (is_type(node, "CTE Scan") && cte != NULL)
	{
		foreach(lc, reading->ctes)
		{
			const CteSources *sources = lfirst(lc);

			if (strcmp(sources->name, cte) == 0)
				return bms_copy(sources->sources);
		}
	}
	if (node->alias != NULL)
		name = parent_alias(node);
	else
	{
		for (int i = 0; i < lengthof(keys); i++)
		{
			char	   *text = dbu_explain_text(node->fields, keys[i]);

			if (text != NULL)
			{
				name = text;
				break;
			}
		}
	}
	return bms_make_singleton(number_of(reading->comparison, name));
}

/* The scope of a node in that of its parent; versions number subplans differently. */
static const char *
scope_of(const DbuPlanNode *node, const char *outer)
{
	char	   *name = dbu_explain_text(node->fields, "Subplan Name");

	if (strcmp(node->relationship, "InitPlan") != 0 && strcmp(node->relationship, "SubPlan") != 0)
		return outer;
	if (name == NULL || strncmp(name, "CTE ", 4) != 0)
		name = pstrdup(node->relationship);
	return psprintf("%s/%s", outer, name);
}

static DbuComparedNode *
read_side(Reading *reading, const DbuPlanNode *node, DbuComparedNode *up)
{
	DbuComparedNode *item = palloc0(sizeof(DbuComparedNode));
	List	  **side = &reading->comparison->sides[reading->side];
	bool		leaf = true;
	ListCell   *lc;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	item->statement = reading->statement;
	item->node = node;
	item->up = up;
	item->position = list_length(*side);
	item->kind = kind_of(node);
	item->index = dbu_explain_text(node->fields, "Index Name");
	item->sort_key = dbu_explain_texts(node->fields, "Sort Key");
	item->scope = scope_of(node, up ? up->scope : "");
	*side = lappend(*side, item);

	if (up != NULL && is_bitmap_part(node))
	{
		const DbuComparedNode *heap = up;

		while (heap->up != NULL && is_bitmap_part(heap->node))
			heap = heap->up;
		item->sources = own_source(reading, heap->node);
		leaf = false;
	}
	foreach(lc, node->children)
	{
		const DbuPlanNode *child = lfirst(lc);
		DbuComparedNode *below = read_side(reading, child, item);

		if (strcmp(below->scope, item->scope) == 0)
		{
			item->sources = bms_add_members(item->sources, below->sources);
			leaf = false;
		}
		else
		{
			const char *cte = strstr(below->scope + strlen(item->scope), "/CTE ");

			if (cte != NULL)
			{
				CteSources *sources = palloc(sizeof(CteSources));

				sources->name = cte + strlen("/CTE ");
				sources->sources = below->sources;
				reading->ctes = lcons(sources, reading->ctes);
			}
		}
	}
	if (leaf)
		item->sources = own_source(reading, node);
	item->hash = hash_combine(bms_hash_value(item->sources),
							  string_hash(item->scope, strlen(item->scope) + 1));
	return item;
}

/* ---------- matching ---------- */

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

/* Pairs off two lists in any order: the first in b that may be a's partner. */
static void
pair_off(List *a, List *b, bool (*may) (const DbuComparedNode *a, const DbuComparedNode *b))
{
	ListCell   *la;
	ListCell   *lb;

	foreach(la, a)
	{
		DbuComparedNode *left = lfirst(la);

		CHECK_FOR_INTERRUPTS();
		if (left->partner != NULL)
			continue;
		foreach(lb, b)
		{
			DbuComparedNode *right = lfirst(lb);

			if (likeness(left, right) > 0 && may(left, right))
			{
				pair(left, right);
				break;
			}
		}
	}
}

static bool
in_one_group(const DbuComparedNode *a, const DbuComparedNode *b)
{
	return a->hash == b->hash && strcmp(a->scope, b->scope) == 0 &&
		bms_equal(a->sources, b->sources);
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
		pair_off(a, b, in_one_group);
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

/* Members of a list that are in one group with the node. */
static List *
group_of(const DbuComparedNode *node, List *side)
{
	List	   *group = NIL;
	ListCell   *lc;

	foreach(lc, side)
	{
		if (in_one_group(node, lfirst(lc)))
			group = lappend(group, lfirst(lc));
	}
	return group;
}

static void
align_groups(DbuComparison *comparison)
{
	Bitmapset  *done = NULL;
	ListCell   *lc;

	foreach(lc, comparison->sides[0])
	{
		const DbuComparedNode *first = lfirst(lc);
		List	   *group;
		ListCell   *member;

		if (bms_is_member(first->position, done))
			continue;
		CHECK_FOR_INTERRUPTS();
		group = group_of(first, comparison->sides[0]);
		foreach(member, group)
			done = bms_add_member(done, ((DbuComparedNode *) lfirst(member))->position);
		align(group, group_of(first, comparison->sides[1]));
	}
}

static bool
of_one_relation(const DbuComparedNode *a, const DbuComparedNode *b)
{
	return a->node->relation != NULL && same_text(a->node->relation, b->node->relation) &&
		(in_one_group(a, b) || same_text(a->node->alias, b->node->alias));
}

/* The nearest node above that has a partner, or NULL. */
static const DbuComparedNode *
matched_above(const DbuComparedNode *item)
{
	const DbuComparedNode *up = item->up;

	while (up != NULL && up->partner == NULL)
		up = up->up;
	return up;
}

static bool
below_one_node(const DbuComparedNode *a, const DbuComparedNode *b)
{
	const DbuComparedNode *left = matched_above(a);
	const DbuComparedNode *right = matched_above(b);

	return strcmp(a->scope, b->scope) == 0 &&
		(left == NULL ? right == NULL : left->partner == right) &&
		(bms_overlap(a->sources, b->sources) ||
		 (a->node->relation != NULL && same_text(a->node->relation, b->node->relation)));
}

/* Reads both plans into the comparison and finds the partners. */
void
dbu_explain_match(DbuComparison *comparison, List *a, List *b)
{
	List	   *plans[2] = {a, b};

	for (int side = 0; side < 2; side++)
	{
		ListCell   *lc;

		foreach(lc, plans[side])
		{
			const DbuPlanStatement *statement = lfirst(lc);
			Reading		reading = {
				.comparison = comparison,.side = side,.statement = statement
			};

			read_side(&reading, statement->root, NULL);
		}
	}
	align_groups(comparison);
	pair_off(comparison->sides[0], comparison->sides[1], of_one_relation);
	pair_off(comparison->sides[0], comparison->sides[1], below_one_node);
}

/* The first child that stands in this relationship to its parent, or NULL. */
DbuComparedNode *
dbu_explain_compared_child(const DbuComparison *comparison, int side,
						   const DbuComparedNode *parent, const char *relationship)
{
	for (int i = parent->position + 1; i < list_length(comparison->sides[side]); i++)
	{
		DbuComparedNode *item = list_nth(comparison->sides[side], i);

		if (item->up == parent && strcmp(item->node->relationship, relationship) == 0)
			return item;
	}
	return NULL;
}
