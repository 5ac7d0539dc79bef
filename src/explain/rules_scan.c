/*-------------------------------------------------------------------------
 *
 * rules_scan.c
 *	  Rules over the nodes that read tables, and over LIMIT.
 *
 * EXPLAIN ANALYZE gives rows and "Rows Removed by Filter" as averages of one
 * loop, but "Heap Fetches" and heap blocks as sums of all loops.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include <ctype.h>

/* share of the rows read that the filter throws away */
#define REMOVED_WARN		0.5
#define REMOVED_CRITICAL	0.9
/* rows read in all loops, below which a scan is cheap whatever it removes */
#define MIN_ROWS_READ		10000

/* share of lossy blocks, and blocks read below which it does not matter */
#define LOSSY_SHARE			0.1
#define MIN_HEAP_BLOCKS		100

/* share of an index-only scan's rows that had to be looked up in the table */
#define HEAP_FETCH_SHARE	0.1
#define MIN_HEAP_FETCHES	1000

/* rows skipped by OFFSET, absolute and for each row returned */
#define MIN_ROWS_SKIPPED	1000
#define SKIPPED_PER_ROW		10

/* rows that an index gives in order, to find those that a LIMIT wants */
#define MIN_ROWS_PASSED		10000
#define PASSED_PER_ROW		100

/* partitions that are read, and the share of them that has no row */
#define MIN_PARTITIONS		8
#define EMPTY_SHARE			0.75

/*
 * How many processes share the rows of a node that works in parallel, as the
 * planner counts: the leader helps less the more workers it serves.
 */
static double
parallel_divisor(const DbuPlanNode *node)
{
	if (!dbu_explain_flag(node->fields, "Parallel Aware"))
		return 1;
	for (const DbuPlanNode *up = node->parent; up != NULL; up = up->parent)
	{
		double		workers;

		if (dbu_explain_number(up->fields, "Workers Planned", &workers))
			return workers + Max(0, 1 - 0.3 * workers);
	}
	return 1;
}

/*
 * Adds a finding over a scan that read rows (in all loops) and removed a share
 * of them.  Silent if that share, the scan or its part of the time is small.
 */
static DbuFinding *
judge_removal(DbuAnalysis *analysis, const DbuPlanNode *node, double rows_read,
			  double share, const char *basis, const char *advice)
{
	DbuFinding *finding;

	if (rows_read < MIN_ROWS_READ || share <= REMOVED_WARN ||
		dbu_explain_is_small_part(analysis, node->total))
		return NULL;
	finding = dbu_explain_add_finding(analysis, node,
									  share > REMOVED_CRITICAL ? DBU_CRITICAL : DBU_WARN,
									  advice);
	dbu_explain_add_number(finding, "rows_read", rows_read);
	dbu_explain_add_number(finding, "rows_kept", rows_read * (1 - share));
	dbu_explain_add_number(finding, "removed_percent", 100 * share);
	if (node->executed)
		dbu_explain_add_number(finding, "loops", node->loops);
	dbu_explain_add_text(finding, "basis", basis);
	dbu_explain_add_text(finding, "filter", dbu_explain_text(node->fields, "Filter"));
	return finding;
}

/* Rows read in all loops and the share removed, from actual figures. */
static bool
measured_removal(const DbuPlanNode *node, double *rows_read, double *share)
{
	double		removed;

	if (!node->executed ||
		!dbu_explain_number(node->fields, "Rows Removed by Filter", &removed) || removed <= 0)
		return false;
	*rows_read = (node->rows + removed) * node->loops;
	*share = removed / (node->rows + removed);
	return true;
}

/*
 * Rows that a sequential scan reads and the share it removes, from actual
 * figures or, in a plan that was not executed, from the size of the table.
 */
static bool
scan_removal(const DbuAnalysis *analysis, const DbuPlanNode *node, double *rows_read,
			 double *share, const char **basis)
{
	const DbuScanFact *fact = node->fact;

	if (!dbu_explain_is_type(node, "Seq Scan"))
		return false;
	*basis = "actual rows";
	if (analysis->statement->measured)
		return measured_removal(node, rows_read, share);
	/* a plan alone does not say how large the table is */
	if (fact == NULL || fact->reltuples <= 0 ||
		dbu_explain_text(node->fields, "Filter") == NULL)
		return false;
	*rows_read = fact->reltuples;
	*share = 1 - Min(1, node->plan_rows * parallel_divisor(node) / *rows_read);
	*basis = "estimate";
	return true;
}

/*
 * An index exists, but the condition hides its column in an expression.  Of a
 * scan of another index, or of that one by other columns, only actual figures
 * tell how many rows it reads.
 */
void
dbu_explain_rule_wrapped_column(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	const DbuScanFact *fact = node->fact;
	DbuFinding *finding;
	const char *basis = "actual rows";
	double		rows_read;
	double		share;

	if (fact == NULL || fact->wrapped == NULL)
		return;
	if (dbu_explain_is_type(node, "Seq Scan") ? !scan_removal(analysis, node, &rows_read, &share, &basis) :
		!measured_removal(node, &rows_read, &share))
		return;
	finding = judge_removal(analysis, node, rows_read, share, basis,
							"The condition wraps an indexed column in a function, a cast or a calculation, so that the index cannot be used. "
							"Compare the column itself, with a value of its own type or as a range, or index the expression.");
	if (finding == NULL)
		return;
	dbu_explain_add_text(finding, "column", fact->wrapped);
	dbu_explain_add_text(finding, "index", fact->wrapped_index);
}

/* A whole table is read for few of its rows. */
void
dbu_explain_rule_slow_scan(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	const DbuScanFact *fact = node->fact;
	DbuFinding *finding;
	const char *basis;
	double		rows_read;
	double		share;

	if (!scan_removal(analysis, node, &rows_read, &share, &basis))
		return;
	finding = judge_removal(analysis, node, rows_read, share, basis,
							"The whole table is read and most of its rows are thrown away. "
							"An index on the columns of the filter would read only those that are kept.");
	if (finding == NULL || fact == NULL)
		return;
	dbu_explain_add_text(finding, "columns", fact->columns);
	if (fact->indexed)
		finding->advice = "The whole table is read and most of its rows are thrown away, though an index on the columns of the filter exists. "
			"Run ANALYZE on the table and compare random_page_cost with what the storage does.";
	else if (fact->index_sql != NULL && finding->severity == DBU_CRITICAL)
	{
		finding->suggested_sql = fact->index_sql;
		finding->unproven = true;
	}
}

/*
 * Does a node give the rows of this child on in their order, and ask for no
 * more of them than it is asked for?  Joins other than nested loops have uses
 * of their own for an order, or none.
 */
static bool
hands_on_in_order(const DbuPlanNode *node, const DbuPlanNode *child)
{
	static const char *const types[] = {
		"Append", "Custom Scan", "Gather Merge", "Incremental Sort", "Limit", "LockRows",
		"Merge Append", "ProjectSet", "Result", "Subquery Scan", "Unique", "WindowAgg"
	};

	if (strcmp(child->relationship, "InitPlan") == 0 || strcmp(child->relationship, "SubPlan") == 0)
		return false;
	if (dbu_explain_is_type(node, "Nested Loop"))
		return strcmp(child->relationship, "Inner") != 0;
	for (int i = 0; i < lengthof(types); i++)
	{
		if (dbu_explain_is_type(node, types[i]))
			return true;
	}
	return false;
}

/*
 * Is an index walked for its order alone, under a LIMIT, and are nearly all of
 * its rows passed by?  min() and max() are made into such a LIMIT, with no
 * condition on the index but that there is a value.
 */
static bool
walked_for_limit(const DbuPlanNode *node, double *rows_read)
{
	const DbuPlanNode *child = node;
	const DbuPlanNode *up = node->parent;
	char	   *found_by = dbu_explain_text(node->fields, "Index Cond");
	double		share;

	if (!dbu_explain_is_type(node, "Index Scan") && !dbu_explain_is_type(node, "Index Only Scan"))
		return false;
	for (; up != NULL && hands_on_in_order(up, child); child = up, up = up->parent)
	{
		if (dbu_explain_is_type(up, "Limit"))
			break;
	}
	return up != NULL && dbu_explain_is_type(up, "Limit") && hands_on_in_order(up, child) &&
		dbu_explain_only_not_null(found_by) &&
		measured_removal(node, rows_read, &share) && *rows_read >= MIN_ROWS_PASSED &&
		*rows_read >= dbu_explain_node_rows(node) * PASSED_PER_ROW;
}

/* An index is read for rows that are then thrown away. */
void
dbu_explain_rule_inefficient_index(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		rows_read;
	double		share;

	/* which has a rule of its own */
	if (walked_for_limit(node, &rows_read))
		return;
	if ((dbu_explain_is_type(node, "Index Scan") || dbu_explain_is_type(node, "Index Only Scan") ||
		 dbu_explain_is_type(node, "Bitmap Heap Scan")) &&
		measured_removal(node, &rows_read, &share))
		judge_removal(analysis, node, rows_read, share, "actual rows",
					  "The index finds many rows that the filter throws away. "
					  "Add the columns of the filter to the index, or make it a partial index.");
}

/* A bitmap too large for memory remembers pages, not rows. */
void
dbu_explain_rule_lossy_bitmap(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		lossy;
	double		exact = 0;
	DbuFinding *finding;

	if (!dbu_explain_number(node->fields, "Lossy Heap Blocks", &lossy))
		return;
	dbu_explain_number(node->fields, "Exact Heap Blocks", &exact);
	if (lossy + exact < MIN_HEAP_BLOCKS || lossy < (lossy + exact) * LOSSY_SHARE)
		return;
	finding = dbu_explain_add_finding(analysis, node, DBU_WARN,
									  "The bitmap did not fit into work_mem, so all rows of its lossy blocks are checked again. "
									  "Raise work_mem for this statement.");
	dbu_explain_add_number(finding, "lossy_blocks", lossy);
	dbu_explain_add_number(finding, "exact_blocks", exact);
}

/* An index-only scan that reads the table after all. */
void
dbu_explain_rule_heap_fetches(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		fetches;
	double		rows;
	DbuFinding *finding;

	if (!dbu_explain_is_type(node, "Index Only Scan") || !node->executed ||
		!dbu_explain_number(node->fields, "Heap Fetches", &fetches))
		return;
	rows = dbu_explain_node_rows(node);
	if (fetches < MIN_HEAP_FETCHES || fetches <= rows * HEAP_FETCH_SHARE)
		return;
	finding = dbu_explain_add_finding(analysis, node, DBU_WARN,
									  "The visibility map is behind, so the index-only scan looks rows up in the table. "
									  "VACUUM brings it up to date; let autovacuum come more often.");
	dbu_explain_add_number(finding, "heap_fetches", fetches);
	dbu_explain_add_number(finding, "rows", rows);
	if (node->relation != NULL)
		finding->suggested_sql = psprintf("VACUUM %s", dbu_explain_node_relation(node));
}

/* OFFSET: rows are made to be thrown away. */
void
dbu_explain_rule_large_offset(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	const DbuPlanNode *child = dbu_explain_child(node, "Outer");
	double		returned;
	double		skipped;
	DbuFinding *finding;

	if (!dbu_explain_is_type(node, "Limit") || !node->executed || child == NULL || !child->executed)
		return;
	returned = dbu_explain_node_rows(node);
	skipped = dbu_explain_node_rows(child) - returned;
	if (skipped < MIN_ROWS_SKIPPED || skipped < returned * SKIPPED_PER_ROW)
		return;
	finding = dbu_explain_add_finding(analysis, node, DBU_WARN,
									  "OFFSET makes the server produce rows only to skip them, more with every page. "
									  "Remember the last key of a page and ask for what comes after it (keyset paging).");
	dbu_explain_add_number(finding, "rows_skipped", skipped);
	dbu_explain_add_number(finding, "rows_returned", returned);
}

/* ORDER BY ... LIMIT walks an index of the order, and passes by most rows. */
void
dbu_explain_rule_limit_order_index(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		rows_read;
	DbuFinding *finding;

	if (!walked_for_limit(node, &rows_read))
		return;
	finding = dbu_explain_add_finding(analysis, node, DBU_CRITICAL,
									  "The index is walked for its order until enough rows pass the filter, which takes far longer than the planner expected. "
									  "An index on the columns of the filter followed by those of the order serves both.");
	dbu_explain_add_number(finding, "rows_read", rows_read);
	dbu_explain_add_number(finding, "rows_kept", dbu_explain_node_rows(node));
	dbu_explain_add_text(finding, "filter", dbu_explain_text(node->fields, "Filter"));
}

/*
 * The parent's alias in that of a partition's scan, which EXPLAIN makes of it
 * with a number; NULL if there is no number.
 */
static char *
partitioned_alias(const DbuPlanNode *node)
{
	char	   *alias;
	size_t		length;

	if (node->alias == NULL)
		return NULL;
	alias = pstrdup(node->alias);
	length = strlen(alias);
	while (length > 0 && isdigit((unsigned char) alias[length - 1]))
		length--;
	if (length < 2 || alias[length] == '\0' || alias[length - 1] != '_')
		return NULL;
	alias[length - 1] = '\0';
	return alias;
}

/* The children that read a table: as partitions of one, or NIL (UNION ALL). */
static List *
partition_scans(const DbuPlanNode *node)
{
	List	   *scans = NIL;
	char	   *parent = NULL;
	ListCell   *lc;

	foreach(lc, node->children)
	{
		const DbuPlanNode *child = lfirst(lc);
		char	   *alias;

		if (child->relation == NULL)
			continue;
		alias = partitioned_alias(child);
		if (alias == NULL || (parent != NULL && strcmp(alias, parent) != 0))
			return NIL;
		/* one table again and again is no partition of anything */
		if (scans != NIL && strcmp(child->relation, ((DbuPlanNode *) llast(scans))->relation) == 0)
			return NIL;
		parent = alias;
		scans = lappend(scans, lfirst(lc));
	}
	return scans;
}

/* Many partitions are read that have nothing to give. */
void
dbu_explain_rule_partitions_not_pruned(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	int			read = 0;
	int			empty = 0;
	List	   *scans;
	DbuFinding *finding;
	ListCell   *lc;

	if (!dbu_explain_is_type(node, "Append") && !dbu_explain_is_type(node, "Merge Append"))
		return;
	scans = partition_scans(node);
	foreach(lc, scans)
	{
		const DbuPlanNode *child = lfirst(lc);

		read += child->executed;
		/* rows are rounded averages: of many loops 0 may have been hundreds */
		empty += child->executed && child->rows * child->loops < 1 &&
			child->loops <= child->processes;
	}
	if (read < MIN_PARTITIONS || empty < read * EMPTY_SHARE)
		return;
	finding = dbu_explain_add_finding(analysis, node, DBU_WARN,
									  "Most of the partitions that are read have no row for the statement. "
									  "Compare the partition key itself, of its own type, with a constant or a parameter, so that the others are not read.");
	dbu_explain_add_number(finding, "partitions_read", read);
	dbu_explain_add_number(finding, "partitions_without_rows", empty);
}

/* Rows come from another server only to be thrown away here. */
void
dbu_explain_rule_remote_filter(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		rows_read;
	double		share;
	DbuFinding *finding;

	if (!dbu_explain_is_type(node, "Foreign Scan") || !measured_removal(node, &rows_read, &share))
		return;
	finding = judge_removal(analysis, node, rows_read, share, "actual rows",
							"The other server sends rows that the filter throws away here. "
							"Write the condition so that it can be sent: with built-in, immutable functions and operators, or those of extensions named in the option extensions.");
	if (finding != NULL)
		dbu_explain_add_text(finding, "remote_sql", dbu_explain_text(node->fields, "Remote SQL"));
}
