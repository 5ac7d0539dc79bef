/*-------------------------------------------------------------------------
 *
 * rules_time.c
 *	  Rules over where the time goes, and over blocks that are read and written.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

/* share of the statement's time, in a statement that takes a while */
#define DOMINANT_INFO		0.4
#define DOMINANT_WARN		0.9
#define MIN_DOMINATED_MS	100
/* part of it that may have been JIT */
#define JIT_OF_DOMINANT		0.5
/* with fewer nodes there is no choice */
#define MIN_NODES			3

/* blocks read, of them from outside shared buffers: 100 MB, the half */
#define MIN_BLOCKS_READ		12800
#define READ_SHARE			0.5
/* blocks of temporary files: 100 MB */
#define MIN_TEMP_BLOCKS		12800
/* blocks that a statement which writes nothing dirties */
#define MIN_BLOCKS_DIRTIED	1000

/* One node takes most of the time: where to look first. */
void
dbu_explain_rule_dominant_node(DbuAnalysis *analysis)
{
	const DbuPlanStatement *statement = analysis->statement;
	const DbuPlanNode *dominant = NULL;
	double		whole = statement->root->total;
	double		compiling;
	DbuFinding *finding;
	ListCell   *lc;

	if (!statement->shared_by_time || whole < MIN_DOMINATED_MS ||
		list_length(statement->nodes) < MIN_NODES)
		return;
	foreach(lc, statement->nodes)
	{
		const DbuPlanNode *node = lfirst(lc);

		if (dominant == NULL || node->self > dominant->self)
			dominant = node;
	}
	if (dominant->self <= whole * DOMINANT_INFO)
		return;
	/* a node may have waited for its expressions to be compiled, most of the time */
	if (dbu_explain_number(dbu_explain_object(dbu_explain_object(statement->fields, "JIT"), "Timing"),
						   "Total", &compiling) &&
		compiling > dominant->self * JIT_OF_DOMINANT)
		return;
	finding = dbu_explain_add_finding(analysis, dominant,
									  dominant->self > whole * DOMINANT_WARN ? DBU_WARN : DBU_INFO,
									  "This node alone takes most of the time: look here first.");
	dbu_explain_add_number(finding, "node_ms", dominant->self);
	dbu_explain_add_number(finding, "percent", 100 * dominant->self / whole);
}

static double
root_blocks(const DbuPlanStatement *statement, const char *key)
{
	double		blocks = 0;

	dbu_explain_number(statement->root->fields, key, &blocks);
	return blocks;
}

/* Most of what is read was not in shared buffers. */
void
dbu_explain_rule_read_heavy(DbuAnalysis *analysis)
{
	double		hit = root_blocks(analysis->statement, "Shared Hit Blocks");
	double		read = root_blocks(analysis->statement, "Shared Read Blocks");
	DbuFinding *finding;

	if (read < MIN_BLOCKS_READ || read <= (hit + read) * READ_SHARE)
		return;
	finding = dbu_explain_add_finding(analysis, NULL, DBU_INFO,
									  "Most blocks come from outside shared buffers. "
									  "Read fewer of them by an index, or raise shared_buffers if the data is used often.");
	dbu_explain_add_number(finding, "blocks_read", read);
	dbu_explain_add_number(finding, "blocks_hit", hit);
}

/* Much goes through temporary files. */
void
dbu_explain_rule_temp_files(DbuAnalysis *analysis)
{
	double		written = root_blocks(analysis->statement, "Temp Written Blocks");
	DbuFinding *finding;

	if (written < MIN_TEMP_BLOCKS)
		return;
	finding = dbu_explain_add_finding(analysis, NULL, DBU_WARN,
									  "Much goes through temporary files. "
									  "Raise work_mem for this statement, or let it sort, hash and materialize less.");
	dbu_explain_add_number(finding, "temp_blocks_written", written);
	dbu_explain_add_number(finding, "temp_blocks_read",
						   root_blocks(analysis->statement, "Temp Read Blocks"));
}

/* A statement that writes nothing dirties blocks. */
void
dbu_explain_rule_select_dirtied(DbuAnalysis *analysis)
{
	const DbuPlanStatement *statement = analysis->statement;
	double		dirtied = root_blocks(statement, "Shared Dirtied Blocks");
	DbuFinding *finding;
	ListCell   *lc;

	if (dirtied < MIN_BLOCKS_DIRTIED)
		return;
	foreach(lc, statement->nodes)
	{
		const DbuPlanNode *node = lfirst(lc);

		if (strcmp(node->type, "ModifyTable") == 0 || strcmp(node->type, "LockRows") == 0)
			return;
	}
	finding = dbu_explain_add_finding(analysis, NULL, DBU_INFO,
									  "The statement only reads, yet it dirties blocks: it sets hint bits or removes dead rows for others. "
									  "VACUUM after loading or changing many rows does that beforehand.");
	dbu_explain_add_number(finding, "blocks_dirtied", dirtied);
}
