/*-------------------------------------------------------------------------
 *
 * clause.c
 *	  SQL texts that the caller of a procedure gives: a condition, and a list
 *	  of assignments.
 *
 * Each must parse alone as what it is, so that it cannot close a bracket, end a
 * statement or begin a comment that reaches beyond it.  What it means is
 * PostgreSQL's to judge, with the caller's rights.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/batches.h"

#include "nodes/parsenodes.h"
#include "parser/parser.h"

static void
error_clause(const char *parameter, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("parameter \"%s\" is not %s", parameter, what),
			 errhint("Give the text that would stand behind WHERE or SET, and nothing else.")));
}

/* Where in the clause the parser stumbled, rather than in the caller's statement. */
typedef struct Parsed
{
	const char *parameter;
	const char *text;			/* what the parser was given */
} Parsed;

static void
errcontext_clause(void *arg)
{
	const Parsed *parsed = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(parsed->text);
	}
	errcontext("parameter \"%s\"", parsed->parameter);
}

static List *
parse(const char *parameter, const char *text, RawParseMode mode)
{
	Parsed		parsed = {.parameter = parameter,.text = text};
	ErrorContextCallback context = {
		.previous = error_context_stack,
		.callback = errcontext_clause,
		.arg = &parsed,
	};
	List	   *result;

	error_context_stack = &context;
	result = raw_parser(text, mode);
	error_context_stack = context.previous;
	return result;
}

/* One expression. */
void
dbu_clause_check_where(const char *clause)
{
	List	   *parsed = parse("where_clause", clause, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *select = (SelectStmt *) linitial_node(RawStmt, parsed)->stmt;
	SelectStmt	bare = {.type = T_SelectStmt};
	ResTarget  *target;

	if (list_length(select->targetList) != 1)
		error_clause("where_clause", "one expression");
	target = linitial_node(ResTarget, select->targetList);
	if (target->name != NULL || target->indirection != NIL ||
		(IsA(target->val, ColumnRef) && IsA(llast(((ColumnRef *) target->val)->fields), A_Star)))
		error_clause("where_clause", "one expression");
	/* nothing but that */
	bare.targetList = select->targetList;
	if (!equal(select, &bare))
		error_clause("where_clause", "one expression");
}

/* Assignments; answers the names of the columns that are set. */
List *
dbu_clause_check_set(const char *clause)
{
	List	   *parsed = parse("set_clause", psprintf("UPDATE x SET\n%s\n", clause), RAW_PARSE_DEFAULT);
	UpdateStmt *update;
	List	   *names = NIL;
	ListCell   *lc;

	update = (UpdateStmt *) linitial_node(RawStmt, parsed)->stmt;
	if (list_length(parsed) != 1 || !IsA(update, UpdateStmt) || update->whereClause != NULL ||
		update->fromClause != NIL || dbu_update_returns(update))
		error_clause("set_clause", "a list of assignments");
	foreach(lc, update->targetList)
		names = lappend(names, lfirst_node(ResTarget, lc)->name);
	return names;
}
