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
#include "tcop/utility.h"

/* Explain one statement, by next or, if that is NULL, as PostgreSQL does. */
extern void dbu_explained_run(ExplainOneQuery_hook_type next, Query *query,
							  int cursor_options, IntoClause *into, ExplainState *es,
							  const char *query_string, ParamListInfo params,
							  QueryEnvironment *query_env);

/* Run a command of which dbu_explains_execute() is true, by next. */
extern bool dbu_explains_execute(Node *command);
extern void dbu_explained_execute(ProcessUtility_hook_type next, PlannedStmt *pstmt,
								  const char *query_string, bool read_only_tree,
								  ProcessUtilityContext context, ParamListInfo params,
								  QueryEnvironment *query_env, DestReceiver *dest,
								  QueryCompletion *qc);

/* A plan was shown, and its group is open; called from 18 on. */
extern void dbu_explained_plan(ExplainState *es);

/* A statement was planned; perhaps it is the one. */
extern void dbu_explained_planned(const DbuPlanRequest *req, const PlannedStmt *plan);

/* An execution is about to end; perhaps it is the one. */
extern void dbu_explained_end(const QueryDesc *query_desc);

#endif							/* DBU_CORE_EXPLAINED_H */
