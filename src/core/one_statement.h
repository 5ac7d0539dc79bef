/*-------------------------------------------------------------------------
 *
 * one_statement.h
 *	  A text that must hold one statement with a plan.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_ONE_STATEMENT_H
#define DBU_CORE_ONE_STATEMENT_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

/*
 * The SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES statement in the text.
 * verb, such as "analyze", tells in the errors what cannot be done: 42601 no
 * or several statements, 0A000 one of another kind.
 */
extern RawStmt *dbu_parse_one_statement(const char *text, const char *verb);

/* 0A000 unless what analysis and rules made of it are queries with a plan. */
extern void dbu_require_planned(List *queries, const char *verb);

#endif							/* DBU_CORE_ONE_STATEMENT_H */
