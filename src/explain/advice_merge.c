/*-------------------------------------------------------------------------
 *
 * advice_merge.c
 *	  Candidates for indexes: made one where they are the same, left out where
 *	  an index exists, written as SQL.
 *
 * Columns compared for equality may stand in any order, so they take one that
 * suits the whole workload: what most candidates have comes first, and the
 * index for one statement becomes a prefix of that for another.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/advice.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/itup.h"
#include "access/relation.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* How full a btree's leaf pages are made, and what a page and an entry cost. */
#define LEAF_FILL		0.9
#define PAGE_ROOM		(BLCKSZ - 40)
#define ENTRY_OVERHEAD	(sizeof(ItemIdData) + sizeof(IndexTupleData))

/* ---------- one order of columns, no repetitions ---------- */

static int
popularity(List *candidates, Oid relid, int column)
{
	int			count = 0;
	ListCell   *lc;

	foreach(lc, candidates)
	{
		const DbuIndexCandidate *candidate = lfirst(lc);
		int			position = 0;
		ListCell   *lk;

		if (candidate->relid != relid)
			continue;
		foreach(lk, candidate->columns)
		{
			if (position++ < candidate->nequal && lfirst_int(lk) == column)
				count++;
		}
	}
	return count;
}

/* Sorts the columns compared for equality: the most popular first. */
static void
order_equal_columns(DbuIndexCandidate *candidate, List *candidates)
{
	for (int i = 1; i < candidate->nequal; i++)
	{
		for (int j = i; j > 0; j--)
		{
			ListCell   *left = list_nth_cell(candidate->columns, j - 1);
			ListCell   *right = list_nth_cell(candidate->columns, j);
			int			lesser = popularity(candidates, candidate->relid, lfirst_int(left));
			int			greater = popularity(candidates, candidate->relid, lfirst_int(right));
			int			swapped = lfirst_int(left);

			if (lesser > greater || (lesser == greater && swapped < lfirst_int(right)))
				break;
			lfirst_int(left) = lfirst_int(right);
			lfirst_int(right) = swapped;
		}
	}
}

static bool
same_candidate(const DbuIndexCandidate *a, const DbuIndexCandidate *b)
{
	if (a->relid != b->relid || !equal(a->columns, b->columns) || !equal(a->included, b->included))
		return false;
	if (a->predicate == NULL || b->predicate == NULL)
		return a->predicate == b->predicate;
	return strcmp(a->predicate, b->predicate) == 0;
}

/* ---------- indexes that exist ---------- */

/* Is the n-th key of the index a plain one of this column, by default order? */
static bool
is_plain_key(Relation index, int n, Oid relid, AttrNumber column)
{
	Oid			type;
	int32		typmod;
	Oid			collation;

	if (index->rd_index->indkey.values[n] != column)
		return false;
	get_atttypetypmodcoll(relid, column, &type, &typmod, &collation);
	return index->rd_indcollation[n] == collation &&
		index->rd_opfamily[n] == get_opclass_family(GetDefaultOpClass(type, BTREE_AM_OID));
}

/* How many of the candidate's first columns the index begins with, in its order. */
static int
common_prefix(Relation index, const DbuIndexCandidate *candidate)
{
	Form_pg_index form = index->rd_index;
	int			ncolumns = list_length(candidate->columns);
	int			n = 0;

	if (index->rd_rel->relam != BTREE_AM_OID || !form->indisvalid ||
		!heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
		return 0;
	while (n < ncolumns && n < form->indnkeyatts)
	{
		bool		found = false;

		/* those for equality in any order */
		for (int i = n < candidate->nequal ? 0 : n;
			 i < (n < candidate->nequal ? candidate->nequal : n + 1); i++)
			found |= is_plain_key(index, n, candidate->relid,
								  list_nth_int(candidate->columns, i));
		if (!found)
			break;
		n++;
	}
	return n;
}

typedef bool (*IndexTest) (Relation index, const DbuIndexCandidate *candidate);

/*
 * It begins with all columns.  That a candidate carries more is not held
 * against it: an index for index-only scans beside it would be one too many.
 */
static bool
serves_as_well(Relation index, const DbuIndexCandidate *candidate)
{
	return common_prefix(index, candidate) == list_length(candidate->columns);
}

/* It is no more than a prefix of the candidate, and guards nothing. */
static bool
becomes_needless(Relation index, const DbuIndexCandidate *candidate)
{
	return candidate->predicate == NULL && !index->rd_index->indisunique &&
		!index->rd_index->indisreplident && !index->rd_index->indisclustered &&
		index->rd_index->indnatts == index->rd_index->indnkeyatts &&
		common_prefix(index, candidate) == index->rd_index->indnkeyatts;
}

/* The name of the first index of the table for which the test holds, or NULL. */
static char *
find_index(const DbuIndexCandidate *candidate, IndexTest test)
{
	Relation	rel = relation_open(candidate->relid, AccessShareLock);
	List	   *indexes = RelationGetIndexList(rel);
	char	   *name = NULL;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (name == NULL && test(index, candidate))
			name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(index)),
											  RelationGetRelationName(index));
		index_close(index, NoLock);
	}
	list_free(indexes);
	relation_close(rel, NoLock);
	return name;
}

/* An index that could be dropped if the candidate existed, or NULL. */
char *
dbu_explain_needless_index(const DbuIndexCandidate *candidate)
{
	return find_index(candidate, becomes_needless);
}

/* Each candidate once, and none for which an index exists. */
List *
dbu_explain_merge_candidates(List *candidates)
{
	List	   *merged = NIL;
	ListCell   *lc;
	ListCell   *lm;

	foreach(lc, candidates)
		order_equal_columns(lfirst(lc), candidates);
	foreach(lc, candidates)
	{
		DbuIndexCandidate *candidate = lfirst(lc);
		bool		known = false;

		foreach(lm, merged)
		{
			DbuIndexCandidate *other = lfirst(lm);

			if (!same_candidate(candidate, other))
				continue;
			other->numbers = list_union_int(other->numbers, candidate->numbers);
			other->alternative &= candidate->alternative;
			known = true;
		}
		if (known || find_index(candidate, serves_as_well) != NULL)
			continue;
		candidate->size = dbu_explain_index_size(candidate);
		merged = lappend(merged, candidate);
	}
	return merged;
}

/* ---------- size and SQL ---------- */

static double
columns_width(Oid relid, List *columns)
{
	double		width = 0;
	ListCell   *lc;

	foreach(lc, columns)
	{
		Oid			type;
		int32		typmod;
		Oid			collation;
		int32		average = get_attavgwidth(relid, lfirst_int(lc));

		get_atttypetypmodcoll(relid, lfirst_int(lc), &type, &typmod, &collation);
		width += average > 0 ? average : get_typavgwidth(type, typmod);
	}
	return width;
}

/* Bytes, from the number of rows and the average widths of the columns. */
double
dbu_explain_index_size(const DbuIndexCandidate *candidate)
{
	Relation	rel = relation_open(candidate->relid, AccessShareLock);
	double		rows = Max(rel->rd_rel->reltuples, 0) * candidate->fraction;
	double		entry = columns_width(candidate->relid, candidate->columns) +
		columns_width(candidate->relid, candidate->included);
	double		pages;

	relation_close(rel, NoLock);
	entry = MAXALIGN((Size) entry) + ENTRY_OVERHEAD;
	pages = ceil(rows * entry / (PAGE_ROOM * LEAF_FILL));
	/* and the metapage */
	return (pages + 1) * BLCKSZ;
}

static void
append_columns(StringInfo sql, Oid relid, List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
		appendStringInfo(sql, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_identifier(get_attname(relid, lfirst_int(lc), false)));
}

/* CREATE INDEX for it on a table, which may be a partition of the candidate's. */
char *
dbu_explain_index_ddl(const DbuIndexCandidate *candidate, Oid relid, bool concurrently)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE INDEX %sON %s (",
					 concurrently && get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE ?
					 "CONCURRENTLY " : "",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
												get_rel_name(relid)));
	/* a partition may have its columns in another order, but not other names */
	append_columns(&sql, candidate->relid, candidate->columns);
	appendStringInfoChar(&sql, ')');
	if (candidate->included != NIL)
	{
		appendStringInfoString(&sql, " INCLUDE (");
		append_columns(&sql, candidate->relid, candidate->included);
		appendStringInfoChar(&sql, ')');
	}
	if (candidate->predicate != NULL)
		appendStringInfo(&sql, " WHERE %s", candidate->predicate);
	return sql.data;
}
