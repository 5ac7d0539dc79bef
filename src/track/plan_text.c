/*-------------------------------------------------------------------------
 *
 * plan_text.c
 *	  EXPLAIN of an execution that is about to end.
 *
 * Printed is what EXPLAIN prints of the plan, with what was measured of each
 * node if it was.  The plan holds the literals of the statement.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "track/watch.h"

#include "commands/explain.h"
#include DBU_EXPLAIN_STATE_H
#include DBU_EXPLAIN_FORMAT_H
#include "utils/memutils.h"

static bool explaining = false;

/* What an output function runs while a constant is printed is no statement. */
bool
dbu_watch_explaining(void)
{
	return explaining;
}

static void
print_plan(ExplainState *es, QueryDesc *query_desc, double exec_ms)
{
	bool		rows = (query_desc->instrument_options &
						(INSTRUMENT_ROWS | INSTRUMENT_TIMER)) != 0;

	es->costs = true;
	es->settings = true;
	es->analyze = rows;
	es->timing = (query_desc->instrument_options & INSTRUMENT_TIMER) != 0;
	es->buffers = rows && (query_desc->instrument_options & INSTRUMENT_BUFFERS) != 0;

	ExplainBeginOutput(es);
	ExplainOpenGroup("Query", NULL, true, es);
	ExplainPrintPlan(es, query_desc);
	if (rows)
		ExplainPrintTriggers(es, query_desc);
	ExplainPropertyFloat("Execution Time", "ms", exec_ms, 3, es);
	ExplainCloseGroup("Query", NULL, true, es);
	ExplainEndOutput(es);
}

/* The plan as text or JSON, palloc'd. */
char *
dbu_watch_explain(QueryDesc *query_desc, double exec_ms, bool json)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "dbutil plan text",
												  ALLOCSET_DEFAULT_SIZES);
	char	   *text;

	MemoryContextSwitchTo(context);
	explaining = true;
	PG_TRY();
	{
		ExplainState *es = NewExplainState();

		es->format = json ? EXPLAIN_FORMAT_JSON : EXPLAIN_FORMAT_TEXT;
		print_plan(es, query_desc, exec_ms);
		/* no line of its own at the end */
		while (es->str->len > 0 && es->str->data[es->str->len - 1] == '\n')
			es->str->data[--es->str->len] = '\0';
		text = MemoryContextStrdup(caller, es->str->data);
	}
	PG_FINALLY();
	{
		explaining = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return text;
}
