/*-------------------------------------------------------------------------
 *
 * one_statement.c
 *	  A text that must hold one statement with a plan.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/one_statement.h"

#include "tcop/tcopprot.h"
#include "tcop/utility.h"

#define WANTED "Pass one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES statement."

RawStmt *
dbu_parse_one_statement(const char *text, const char *verb)
{
	List	   *statements = pg_parse_query(text);
	RawStmt    *raw;

	if (statements == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("there is no statement to %s", verb),
				 errhint(WANTED)));
	if (list_length(statements) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("cannot %s %d statements at once", verb, list_length(statements)),
				 errhint("Pass one statement at a time.")));

	raw = linitial_node(RawStmt, statements);
	switch (nodeTag(raw->stmt))
	{
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			break;
		case T_ExplainStmt:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot %s an EXPLAIN statement", verb),
					 errhint("Pass the statement without EXPLAIN; dbutil.analyze_query(..., run => true) stands for EXPLAIN ANALYZE.")));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot %s a statement of type %s", verb, CreateCommandName(raw->stmt)),
					 errhint(WANTED)));
	}
	return raw;
}

void
dbu_require_planned(List *queries, const char *verb)
{
	ListCell   *lc;

	if (queries == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot %s a statement that rules replace by nothing", verb),
				 errhint("Look at the rules of the table that it writes to.")));
	foreach(lc, queries)
	{
		if (lfirst_node(Query, lc)->commandType == CMD_UTILITY)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot %s a statement that has no plan of its own", verb),
					 errhint("SELECT INTO creates a table, and a rule may call a command: %s the SELECT in it.", verb)));
	}
}
