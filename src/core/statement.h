/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  What is known of a statement from its beginning on: how deep it is
 *	  nested, who runs it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_STATEMENT_H
#define DBU_CORE_STATEMENT_H

#include "core/module.h"
#include "core/usage.h"

#include "utils/palloc.h"

/*
 * Kept for a QueryDesc that somebody wants.  A statement may end elsewhere
 * than it began: a cursor that a SECURITY DEFINER function opened is closed
 * by COMMIT, an error leaves such a function with its owner still the current
 * user.  So it is described at the beginning.
 */
typedef struct DbuQuery
{
	MemoryContextCallback tag;	/* how dbu_query_of() knows it */
	uint32		wanted;			/* who wants it: see events.h */
	int			want;			/* and what: DBU_WANT_* */
	bool		ran;			/* a portal may be opened and never run */
	struct DbuQuery *next_free;
	DbuStatement stmt;			/* adds up over all ExecutorRun calls */
} DbuQuery;

/* Levels of statements that are running; hooks.c and planning.c save and restore it. */
extern int	dbu_statement_nesting;

extern int	dbu_planning_depth(void);
extern int	dbu_execution_depth(void);

extern DbuQuery *dbu_query_new(void);
extern void dbu_query_keep(DbuQuery *query);
extern void dbu_query_give_up(DbuQuery *query);
extern DbuQuery *dbu_query_of(QueryDesc *query_desc);

#endif							/* DBU_CORE_STATEMENT_H */
