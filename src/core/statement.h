/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  What is known of a statement from its beginning on: how deep it is
 *	  nested, who runs it, how long it was planned.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_STATEMENT_H
#define DBU_CORE_STATEMENT_H

#include "core/module.h"

#include "utils/palloc.h"

/*
 * Kept for a QueryDesc that somebody wants.  A statement may end elsewhere
 * than it began: a cursor that a SECURITY DEFINER function opened is closed
 * by COMMIT, an error leaves such a function with its owner still the current
 * user.  So depth and user are those of the beginning.
 */
typedef struct DbuQuery
{
	MemoryContextCallback tag;	/* how dbu_query_of() knows it */
	uint32		wanted;			/* see events.h */
	Oid			user;
	int			nesting;
	bool		ran;			/* a portal may be opened and never run */
	bool		planned;		/* planned for this execution, so: */
	bool		served;
	double		plan_ms;
	uint64		rows;			/* of all ExecutorRun calls */
} DbuQuery;

/* Levels of statements that are running; hooks.c saves and restores it. */
extern int	dbu_statement_nesting;

extern int	dbu_planning_depth(void);
extern int	dbu_execution_depth(void);

extern DbuQuery *dbu_query_remember(QueryDesc *query_desc, uint32 wanted, Oid user, int nesting);
extern DbuQuery *dbu_query_of(QueryDesc *query_desc);

extern void dbu_planning_note(uint64 query_id, int nesting, double ms, bool served);
extern bool dbu_planning_take(uint64 query_id, int nesting, double *ms, bool *served);

#endif							/* DBU_CORE_STATEMENT_H */
