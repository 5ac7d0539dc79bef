/*-------------------------------------------------------------------------
 *
 * compare.h
 *	  Two plans and which of their nodes are the same; see compare_read.c and
 *	  compare_match.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_EXPLAIN_COMPARE_H
#define DBU_EXPLAIN_COMPARE_H

#include "postgres.h"

#include "explain/explain.h"
#include "nodes/bitmapset.h"
#include "utils/hsearch.h"

typedef struct DbuComparedNode
{
	const DbuPlanStatement *statement;
	const DbuPlanNode *node;
	struct DbuComparedNode *up; /* of its parent, NULL: a root */
	List	   *below;			/* DbuComparedNode *, of its children */
	struct DbuComparedNode *partner;	/* in the other plan, NULL: has none */
	int			side;			/* 0 or 1: in which plan */
	int			position;		/* in its plan */
	const char *kind;			/* only nodes of one kind are the same */
	const char *scope;			/* main query "", or which subplan */
	const char *index;			/* NULL: none */
	const char *sort_key;		/* NULL: none */
	Bitmapset  *sources;		/* numbers of what is read in it and below */
	uint32		hash;			/* of scope and sources */
} DbuComparedNode;

typedef struct DbuComparison
{
	List	   *names;			/* char *, the n-th has the number n */
	HTAB	   *numbers;		/* and the other way round */
	List	   *sides[2];		/* DbuComparedNode *, parents first */
	MemoryContext row;			/* of one row of the result */
} DbuComparison;

extern void dbu_explain_read_sides(DbuComparison *comparison, List *a, List *b);
extern void dbu_explain_match(DbuComparison *comparison, List *a, List *b);
extern DbuComparedNode *dbu_explain_compared_child(const DbuComparedNode *parent,
												   const char *relationship);

#endif							/* DBU_EXPLAIN_COMPARE_H */
