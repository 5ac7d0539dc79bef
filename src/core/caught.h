/*-------------------------------------------------------------------------
 *
 * caught.h
 *	  Errors that functions catch; see caught.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_CAUGHT_H
#define DBU_CORE_CAUGHT_H

#include "core/module.h"

/* The statement of the client inside which the last report was made; NULL: none yet. */
extern const DbuStatement *dbu_caught_reporter;

extern void dbu_caught_report(void *stmt);
extern void dbu_caught_subxact_abort(void);

/* While a statement of the client that somebody wants runs: stmt NULL, if nobody does. */
static inline void
dbu_caught_push(ErrorContextCallback *context, DbuStatement *stmt)
{
	dbu_caught_reporter = NULL;
	if (stmt == NULL || stmt->nesting > 0)
		return;
	context->callback = dbu_caught_report;
	context->arg = stmt;
	context->previous = error_context_stack;
	error_context_stack = context;
}

/* At its end without an error; an error restores the stack by itself. */
static inline void
dbu_caught_pop(ErrorContextCallback *context, const DbuStatement *stmt)
{
	if (stmt != NULL && stmt->nesting == 0)
		error_context_stack = context->previous;
}

#endif							/* DBU_CORE_CAUGHT_H */
