/*-------------------------------------------------------------------------
 *
 * tree.c
 *	  A plan as text that a person reads at a glance.
 *
 * One line a node: how much of the time (of the cost, if the plan was not
 * executed) the node itself took, as a bar and in figures, rows of all loops
 * and how many were expected, and the tree.  Below the node its conditions, and
 * what the rules have to say of it.  Figures come first, so that they stand in
 * columns however deep the tree is.  What is not a name is ASCII: any client
 * encoding can print it.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include <math.h>

#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(dbutil_plan_tree);
PG_FUNCTION_INFO_V1(dbutil_explain_tree_jsonb);
PG_FUNCTION_INFO_V1(dbutil_explain_tree_text);

#define BAR_LENGTH	10
#define MAX_INDENT	300			/* characters */
#define COLUMNS		5			/* bar, share, amount, rows, expected */

/* A line: texts for the columns, NULL: empty; what stands behind them. */
typedef struct TreeLine
{
	const char *columns[COLUMNS];
	const char *text;
} TreeLine;

typedef struct Tree
{
	List	   *lines;			/* TreeLine * */
	List	   *findings;		/* DbuFinding *, of all statements */
	double		whole;			/* what the root of the statement has */
	bool		by_time;
} Tree;

/* ---------- the name of a node ---------- */

static bool
field_is(const DbuPlanNode *node, const char *key, const char *word)
{
	char	   *text = dbu_explain_text(node->fields, key);

	return text != NULL && strcmp(text, word) == 0;
}

/* "Hash Left Join", "Partial HashAggregate", "Update": type and variant. */
static char *
variant(const DbuPlanNode *node)
{
	const char *parallel = dbu_explain_flag(node->fields, "Parallel Aware") ? "Parallel " : "";
	char	   *join = dbu_explain_text(node->fields, "Join Type");
	char	   *operation = dbu_explain_text(node->fields, "Operation");

	if (strcmp(node->type, "Aggregate") == 0)
		return psprintf("%s%sAggregate",
						field_is(node, "Partial Mode", "Partial") ? "Partial " :
						field_is(node, "Partial Mode", "Finalize") ? "Finalize " : "",
						field_is(node, "Strategy", "Hashed") ? "Hash" :
						field_is(node, "Strategy", "Sorted") ? "Group" :
						field_is(node, "Strategy", "Mixed") ? "Mixed" : "");
	if (strcmp(node->type, "ModifyTable") == 0 && operation != NULL)
		return operation;
	if (join != NULL && strcmp(join, "Inner") != 0)
	{
		size_t		length = strlen(node->type);

		if (length > 5 && strcmp(node->type + length - 5, " Join") == 0)
			return psprintf("%s%.*s %s Join", parallel, (int) length - 5, node->type, join);
		return psprintf("%s%s %s Join", parallel, node->type, join);
	}
	return psprintf("%s%s", parallel, node->type);
}

/* As EXPLAIN's text format names the node. */
char *
dbu_explain_node_title(const DbuPlanNode *node)
{
	static const char *const sources[] = {"Function Name", "CTE Name"};
	const char *label = dbu_explain_node_label(node);
	StringInfoData title;

	initStringInfo(&title);
	appendStringInfo(&title, "%s%s", variant(node), label + strlen(node->type));
	for (int i = 0; i < lengthof(sources); i++)
	{
		char	   *source = dbu_explain_text(node->fields, sources[i]);

		if (source == NULL)
			continue;
		appendStringInfo(&title, " on %s", quote_identifier(source));
		if (node->alias != NULL && strcmp(node->alias, source) != 0)
			appendStringInfo(&title, " %s", quote_identifier(node->alias));
	}
	return title.data;
}

/* ---------- lines ---------- */

/*
 * A text that fits on one line: statements keep their line ends in plans, and
 * names may hold anything.  A terminal must not obey what a plan says either.
 */
static char *
one_line(const char *text)
{
	char	   *copy = pstrdup(text);

	for (char *c = copy; *c != '\0'; c++)
	{
		if ((unsigned char) *c < ' ' || *c == '\177')
			*c = ' ';
	}
	return copy;
}

static TreeLine *
add_line(Tree *tree, const char *text)
{
	TreeLine   *line = palloc0(sizeof(TreeLine));

	line->text = one_line(text);
	tree->lines = lappend(tree->lines, line);
	return line;
}

/* A number of rows; a foreign plan may tell of any. */
static char *
rows_text(double rows)
{
	return fabs(rows) < 1e15 ? psprintf("%.0f", rows) : psprintf("%.3g", rows);
}

static void
add_conditions(Tree *tree, const DbuPlanNode *node, const char *indent)
{
	static const char *const texts[] = {
		"Index Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter", "One-Time Filter"
	};
	static const char *const lists[] = {"Sort Key", "Presorted Key", "Group Key"};

	for (int i = 0; i < lengthof(texts); i++)
	{
		char	   *text = dbu_explain_text(node->fields, texts[i]);

		if (text != NULL)
			add_line(tree, psprintf("%s%s: %s", indent, texts[i], text));
	}
	for (int i = 0; i < lengthof(lists); i++)
	{
		char	   *text = dbu_explain_texts(node->fields, lists[i]);

		if (text != NULL)
			add_line(tree, psprintf("%s%s: %s", indent, lists[i], text));
	}
}

/* The figures of a finding: "rows_read 20000, removed_percent 95". */
static char *
evidence_text(const DbuFinding *finding)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < finding->nevidence; i++)
	{
		const DbuEvidence *evidence = &finding->evidence[i];

		/* its texts are in the plan */
		if (evidence->text == NULL)
			appendStringInfo(&text, "%s%s %.*f", text.len > 0 ? ", " : "", evidence->name,
							 evidence->number == rint(evidence->number) ? 0 : 1,
							 evidence->number);
	}
	return text.data;
}

static void
add_findings(Tree *tree, const DbuPlanStatement *statement, const DbuPlanNode *node,
			 const char *indent)
{
	ListCell   *lc;

	foreach(lc, tree->findings)
	{
		const DbuFinding *finding = lfirst(lc);

		if (finding->statement != statement || finding->at != node)
			continue;
		add_line(tree, psprintf("%s! %s %s: %s", indent,
								dbu_explain_severity_word(finding->severity),
								finding->rule, evidence_text(finding)));
		add_line(tree, psprintf("%s  %s", indent, finding->advice));
		if (finding->suggested_sql != NULL)
			add_line(tree, psprintf("%s  %s;%s", indent, finding->suggested_sql,
									finding->unproven ? " -- unproven" : ""));
	}
}

static void
add_node(Tree *tree, const DbuPlanStatement *statement, const DbuPlanNode *node)
{
	char	   *subplan = dbu_explain_text(node->fields, "Subplan Name");
	double		share = tree->whole > 0 ? node->self / tree->whole : 0;
	double		loops = node->executed ? node->loops : 1;
	StringInfoData indent;
	StringInfoData text;
	TreeLine   *line;
	char	   *bar = palloc0(BAR_LENGTH + 1);
	ListCell   *lc;

	check_stack_depth();
	initStringInfo(&indent);
	for (const DbuPlanNode *up = node->parent; up != NULL; up = up->parent)
	{
		/* deeper ones stand below each other: nobody could read them else */
		if (indent.len < MAX_INDENT)
			appendStringInfoString(&indent, "   ");
	}
	initStringInfo(&text);
	if (node->parent != NULL)
		appendStringInfo(&text, "%.*s-> ", indent.len - 3, indent.data);
	if (subplan != NULL)
		appendStringInfo(&text, "[%s] ", subplan);
	appendStringInfoString(&text, dbu_explain_node_title(node));
	if (loops > 1)
		appendStringInfo(&text, " (%.0f loops)", loops);

	line = add_line(tree, text.data);
	memset(bar, '#', Min(BAR_LENGTH, (int) rint(Min(share, 1) * BAR_LENGTH)));
	line->columns[0] = bar;
	line->columns[1] = psprintf("%.0f %%", 100 * share);
	line->columns[2] = psprintf("%.*f", tree->by_time ? 3 : 2, node->self);
	if (node->executed)
		line->columns[3] = rows_text(node->rows * loops);
	else
		line->columns[3] = node->measured ? "never" : "-";
	line->columns[4] = rows_text(node->plan_rows * loops);

	appendStringInfoString(&indent, "  ");
	add_conditions(tree, node, indent.data);
	add_findings(tree, statement, node, indent.data);
	foreach(lc, node->children)
		add_node(tree, statement, lfirst(lc));
}

static void
add_statement(Tree *tree, const DbuPlanStatement *statement)
{
	TreeLine   *head;
	StringInfoData totals;
	ListCell   *lc;

	/* several statements, which rules made, are set apart */
	if (tree->lines != NIL)
		add_line(tree, "");
	tree->by_time = statement->shared_by_time;
	tree->whole = statement->root->total;
	head = add_line(tree, "plan");
	head->columns[1] = "share";
	head->columns[2] = tree->by_time ? "ms" : "cost";
	head->columns[3] = "rows";
	head->columns[4] = "expected";
	add_node(tree, statement, statement->root);

	initStringInfo(&totals);
	if (statement->planning_ms >= 0)
		appendStringInfo(&totals, "planning %.3f ms", statement->planning_ms);
	if (statement->execution_ms >= 0)
		appendStringInfo(&totals, "%sexecution %.3f ms", totals.len > 0 ? ", " : "",
						 statement->execution_ms);
	foreach(lc, dbu_explain_objects(statement->fields, "Triggers"))
	{
		char	   *name = dbu_explain_text(lfirst(lc), "Trigger Name");
		double		time;

		if (name != NULL && dbu_explain_number(lfirst(lc), "Time", &time))
			appendStringInfo(&totals, "%strigger %s %.3f ms", totals.len > 0 ? ", " : "",
							 quote_identifier(name), time);
	}
	if (totals.len > 0)
		add_line(tree, totals.data);
	add_findings(tree, statement, NULL, "");
}

/* ---------- results ---------- */

static char *
line_text(const TreeLine *line, const int *widths)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < COLUMNS; i++)
		appendStringInfo(&text, i == 0 ? "%-*s  " : "%*s  ", widths[i],
						 line->columns[i] ? line->columns[i] : "");
	appendStringInfoString(&text, line->text);
	while (text.len > 0 && text.data[text.len - 1] == ' ')
		text.data[--text.len] = '\0';
	return text.data;
}

static void
return_tree(FunctionCallInfo fcinfo, List *statements, List *findings)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Tree		tree = {.findings = findings};
	int			widths[COLUMNS] = {0};
	ListCell   *lc;

	foreach(lc, statements)
		add_statement(&tree, lfirst(lc));
	foreach(lc, tree.lines)
	{
		const TreeLine *line = lfirst(lc);

		for (int i = 0; i < COLUMNS; i++)
		{
			if (line->columns[i] != NULL)
				widths[i] = Max(widths[i], (int) strlen(line->columns[i]));
		}
	}
	/* so that two plans stand in the same columns */
	widths[0] = BAR_LENGTH;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach(lc, tree.lines)
	{
		Datum		value = CStringGetTextDatum(line_text(lfirst(lc), widths));
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
}

Datum
dbutil_plan_tree(PG_FUNCTION_ARGS)
{
	DbuObtainedPlan obtained;
	List	   *statements;

	dbu_explain_obtain_call(fcinfo, &obtained);
	statements = dbu_explain_read_plan(obtained.plan);
	return_tree(fcinfo, statements, dbu_explain_judge_obtained(&obtained, statements));
	return (Datum) 0;
}

Datum
dbutil_explain_tree_jsonb(PG_FUNCTION_ARGS)
{
	List	   *statements = dbu_explain_read_plan(PG_GETARG_JSONB_P(0));

	return_tree(fcinfo, statements, dbu_explain_judge(statements, NIL));
	return (Datum) 0;
}

/* Also for json, whose values are texts. */
Datum
dbutil_explain_tree_text(PG_FUNCTION_ARGS)
{
	Jsonb	   *plan = dbu_explain_plan_of_text(PG_GETARG_TEXT_PP(0));
	List	   *statements = dbu_explain_read_plan(plan);

	return_tree(fcinfo, statements, dbu_explain_judge(statements, NIL));
	return (Datum) 0;
}
