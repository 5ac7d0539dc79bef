/*-------------------------------------------------------------------------
 *
 * rules.c
 *	  The table of rules, and the walk of them over a plan.
 *
 * A rule is one function and one line of the table.  It looks at a node (or
 * at the statement) and calls dbu_explain_add_finding() if it has something
 * to say, with the figures that made it speak.  Rules of one subject share a
 * file: rules_scan.c, rules_estimate.c, rules_join.c, rules_effort.c,
 * rules_time.c.  One more rule, plan_regression, is over what tracking has
 * counted, not over a plan: see statement_findings.c.
 *
 * False alarms are what users of such rules complain of, so each rule has a
 * floor below which the matter is too small to be worth a word, besides the
 * ratio that makes it one.  Both are named constants beside the rule.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include "miscadmin.h"

/* share of the statement's time, below which mending a node mends nothing */
#define MIN_SHARE	0.05

typedef struct Rule
{
	const char *name;
	void		(*judge_node) (DbuAnalysis *analysis, const DbuPlanNode *node);
	void		(*judge_statement) (DbuAnalysis *analysis);
} Rule;

/* The names are part of the interface: users filter by them. */
static const Rule rules[] = {
	{"slow_scan", dbu_explain_rule_slow_scan, NULL},
	{"wrapped_column", dbu_explain_rule_wrapped_column, NULL},
	{"inefficient_index", dbu_explain_rule_inefficient_index, NULL},
	{"lossy_bitmap", dbu_explain_rule_lossy_bitmap, NULL},
	{"heap_fetches", dbu_explain_rule_heap_fetches, NULL},
	{"limit_order_index", dbu_explain_rule_limit_order_index, NULL},
	{"partitions_not_pruned", dbu_explain_rule_partitions_not_pruned, NULL},
	{"remote_filter", dbu_explain_rule_remote_filter, NULL},
	{"large_offset", dbu_explain_rule_large_offset, NULL},
	{"stale_statistics", dbu_explain_rule_stale_statistics, NULL},
	{"row_misestimate", dbu_explain_rule_row_misestimate, NULL},
	{"nested_loop", dbu_explain_rule_nested_loop, NULL},
	{"join_filter", dbu_explain_rule_join_filter, NULL},
	{"cartesian_product", dbu_explain_rule_cartesian_product, NULL},
	{"subplan_per_row", dbu_explain_rule_subplan_per_row, NULL},
	{"disk_sort", dbu_explain_rule_disk_sort, NULL},
	{"hash_batches", dbu_explain_rule_hash_batches, NULL},
	{"hash_aggregate_spill", dbu_explain_rule_hash_aggregate_spill, NULL},
	{"memoize_evictions", dbu_explain_rule_memoize_evictions, NULL},
	{"workers_not_launched", dbu_explain_rule_workers_not_launched, NULL},
	{"jit_share", NULL, dbu_explain_rule_jit_share},
	{"long_planning", NULL, dbu_explain_rule_long_planning},
	{"trigger_time", NULL, dbu_explain_rule_trigger_time},
	{"dominant_node", NULL, dbu_explain_rule_dominant_node},
	{"read_heavy", NULL, dbu_explain_rule_read_heavy},
	{"temp_files", NULL, dbu_explain_rule_temp_files},
	{"select_dirtied", NULL, dbu_explain_rule_select_dirtied},
};

const char *
dbu_explain_severity_word(DbuSeverity severity)
{
	switch (severity)
	{
		case DBU_CRITICAL:
			return "critical";
		case DBU_WARN:
			return "warn";
		default:
			return "info";
	}
}

/* node is NULL for a finding over the statement as a whole. */
DbuFinding *
dbu_explain_add_finding(DbuAnalysis *analysis, const DbuPlanNode *node,
						DbuSeverity severity, const char *advice)
{
	DbuFinding *finding = palloc0(sizeof(DbuFinding));

	finding->rule = analysis->rule;
	finding->severity = severity;
	finding->order = list_length(analysis->findings);
	finding->statement = analysis->statement;
	finding->at = node;
	if (node != NULL)
	{
		finding->node = dbu_explain_node_label(node);
		finding->relation = dbu_explain_node_relation(node);
	}
	finding->advice = advice;
	analysis->findings = lappend(analysis->findings, finding);
	return finding;
}

/*
 * Is this part of the statement's time (a node's total or self) too small for
 * anybody to feel that it was mended?  False where times were not measured.
 */
bool
dbu_explain_is_small_part(const DbuAnalysis *analysis, double part)
{
	return analysis->statement->shared_by_time &&
		part < analysis->statement->root->total * MIN_SHARE;
}

static DbuEvidence *
next_evidence(DbuFinding *finding, const char *name)
{
	DbuEvidence *evidence;

	Assert(finding->nevidence < DBU_MAX_EVIDENCE);
	evidence = &finding->evidence[finding->nevidence++];
	evidence->name = name;
	return evidence;
}

void
dbu_explain_add_number(DbuFinding *finding, const char *name, double number)
{
	next_evidence(finding, name)->number = number;
}

/* A NULL text is left out. */
void
dbu_explain_add_text(DbuFinding *finding, const char *name, const char *text)
{
	if (text != NULL)
		next_evidence(finding, name)->text = text;
}

/* The worst first, else in the order of the plan. */
static int
compare_findings(const ListCell *a, const ListCell *b)
{
	const DbuFinding *left = lfirst(a);
	const DbuFinding *right = lfirst(b);

	if (left->severity != right->severity)
		return left->severity > right->severity ? -1 : 1;
	return left->order < right->order ? -1 : left->order > right->order;
}

static int
compare_facts(const ListCell *a, const ListCell *b)
{
	const DbuScanFact *left = lfirst(a);
	const DbuScanFact *right = lfirst(b);

	return strcmp(left->alias, right->alias);
}

/* The fact of this alias among facts in the order of their aliases, or NULL. */
static const DbuScanFact *
fact_of_alias(List *facts, const char *alias)
{
	int			low = 0;
	int			high = list_length(facts);

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		const DbuScanFact *fact = list_nth(facts, middle);
		int			order = strcmp(fact->alias, alias);

		if (order == 0)
			return fact;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Gives the nodes their facts; EXPLAIN has made the aliases unique. */
static void
attach_facts(const DbuPlanStatement *statement, List *facts)
{
	List	   *named = NIL;
	ListCell   *lc;

	foreach(lc, facts)
	{
		if (((DbuScanFact *) lfirst(lc))->alias != NULL)
			named = lappend(named, lfirst(lc));
	}
	list_sort(named, compare_facts);
	foreach(lc, statement->nodes)
	{
		DbuPlanNode *node = lfirst(lc);

		/* what is written is no scan, but has the name of one */
		if (node->alias != NULL && strcmp(node->type, "ModifyTable") != 0)
			node->fact = fact_of_alias(named, node->alias);
	}
	list_free(named);
}

/* What the rules find in the statements of a plan: DbuFinding *, worst first. */
List *
dbu_explain_judge(List *statements, List *facts)
{
	DbuAnalysis analysis = {0};
	ListCell   *ls;
	ListCell   *ln;

	foreach(ls, statements)
	{
		dbu_explain_share_out(lfirst(ls));
		attach_facts(lfirst(ls), facts);
		analysis.statement = lfirst(ls);
		foreach(ln, analysis.statement->nodes)
		{
			CHECK_FOR_INTERRUPTS();
			for (int i = 0; i < lengthof(rules); i++)
			{
				analysis.rule = rules[i].name;
				if (rules[i].judge_node)
					rules[i].judge_node(&analysis, lfirst(ln));
			}
		}
		for (int i = 0; i < lengthof(rules); i++)
		{
			analysis.rule = rules[i].name;
			if (rules[i].judge_statement)
				rules[i].judge_statement(&analysis);
		}
	}
	list_sort(analysis.findings, compare_findings);
	return analysis.findings;
}
