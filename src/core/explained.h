/*-------------------------------------------------------------------------
 *
 * explained.h
 *	  EXPLAIN tells where the plan came from; see explained.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_EXPLAINED_H
#define DBU_CORE_EXPLAINED_H

#include "core/compat.h"
#include "core/module.h"

#include "commands/explain.h"
#include DBU_EXPLAIN_STATE_H

/* Explain one statement, by next or, if that is NULL, as PostgreSQL does. */
extern void dbu_explained_run(ExplainOneQuery_hook_type next, Query *query,
							  int cursor_options, IntoClause *into, ExplainState *es,
							  const char *query_string, ParamListInfo params,
							  QueryEnvironment *query_env);

/* A statement was planned; perhaps it is the one. */
extern void dbu_explained_planned(const DbuPlanRequest *req, const PlannedStmt *plan);

/* An execution is about to end; perhaps it is the one. */
extern void dbu_explained_end(const QueryDesc *query_desc);

#endif							/* DBU_CORE_EXPLAINED_H */
