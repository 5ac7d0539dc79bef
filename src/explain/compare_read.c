/*-------------------------------------------------------------------------
 *
 * compare_read.c
 *	  What the nodes of two plans stand for: their kind, and what they read.
 *
 * What a node reads are the tables (functions, values, ...) of it and of all
 * below it, within the main query or the subplan in which it stands.  A
 * partition counts as its parent, so that pruning changes no set but that of
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
is_bitmap_part(const DbuPlanNode *node)
{
	return dbu_explain_is_type(node, "Bitmap Index Scan") || dbu_explain_is_type(node, "BitmapAnd") ||
		dbu_explain_is_type(node, "BitmapOr");
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
		if (dbu_explain_is_type(node, kinds[i].type))
			return kinds[i].kind;
	}
	if (dbu_explain_is_type(node, "Aggregate"))
	{
		mode = dbu_explain_text(node->fields, "Partial Mode");
		return mode != NULL && strcmp(mode, "Partial") == 0 ? "partial group" : "group";
	}
	return node->relation != NULL ? "scan" : node->type;
}

/* Entry of comparison->numbers: the key is the name itself, not a copy of it. */
typedef struct NameNumber
{
	const char *name;
	int			number;
} NameNumber;

static uint32
name_hash(const void *key, Size keysize)
{
	const char *name = *(const char *const *) key;

	return string_hash(name, strlen(name) + 1);
}

static int
name_compare(const void *a, const void *b, Size keysize)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void
make_numbers(DbuComparison *comparison)
{
	HASHCTL		control = {
		.keysize = sizeof(char *),.entrysize = sizeof(NameNumber),
		.hash = name_hash,.match = name_compare,.hcxt = CurrentMemoryContext
	};

	comparison->numbers = hash_create("dbutil compared names", 256, &control,
									  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

static int
number_of(DbuComparison *comparison, const char *name)
{
	bool		found;
	NameNumber *entry = hash_search(comparison->numbers, &name, HASH_ENTER, &found);

	if (!found)
	{
		entry->number = list_length(comparison->names);
		comparison->names = lappend(comparison->names, unconstify(char *, name));
	}
	return entry->number;
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

	if (dbu_explain_is_type(node, "CTE Scan") && cte != NULL)
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
	item->side = reading->side;
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

		item->below = lappend(item->below, below);
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

/* Reads both plans into the comparison. */
void
dbu_explain_read_sides(DbuComparison *comparison, List *a, List *b)
{
	List	   *plans[2] = {a, b};

	make_numbers(comparison);
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
}
