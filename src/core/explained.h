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

extern void dbu_explained_install(void);

/* A statement was planned; perhaps it is the one. */
extern void dbu_explained_planned(const DbuPlanRequest *req, const PlannedStmt *plan);

/* An execution is about to end; perhaps it is the one. */
extern void dbu_explained_end(const QueryDesc *query_desc);

#endif							/* DBU_CORE_EXPLAINED_H */
