/*-------------------------------------------------------------------------
 *
 * planning.h
 *	  What hooks.c does when PostgreSQL plans a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_PLANNING_H
#define DBU_CORE_PLANNING_H

#include "core/module.h"

#include "optimizer/planner.h"

/* Modules know of the client's statement that was planned and is to be run. */
extern bool dbu_client_told;

/* From _PG_init. */
extern void dbu_planning_subscribe(const DbuModule *module);
extern bool dbu_planning_wanted(void);
extern void dbu_planning_install(planner_hook_type next);

extern PlannedStmt *dbu_plan(Query *parse, const char *query_string, int cursor_options,
							 ParamListInfo bound_params);
extern void dbu_planning_take(DbuStatement *stmt);

/* hooks.c */
extern void dbu_abort_unasked(const DbuStatement *stmt);

#endif							/* DBU_CORE_PLANNING_H */
