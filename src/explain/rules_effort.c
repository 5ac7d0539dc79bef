/*-------------------------------------------------------------------------
 *
 * rules_effort.c
 *	  Rules over memory that did not suffice, workers that did not come, and
 *	  time that went elsewhere than into the plan.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include "utils/builtins.h"

/* kilobytes put into files, below which they stay in the system's cache */
#define MIN_SPILLED_KB		1024
/* entries that a Memoize node forgot */
#define MIN_EVICTIONS		1000
/* a statement shorter than this hardly gains by parallel workers */
#define MIN_PARALLEL_MS		100
/* share of the execution time, and milliseconds */
#define JIT_SHARE			0.25
#define MIN_JIT_MS			10
#define TRIGGER_SHARE		0.25
#define MIN_TRIGGER_MS		10
/* planning below this is not worth a plan cache */
#define MIN_PLANNING_MS		1

/* ---------- memory ---------- */

/* Kilobytes that one object says its sort wrote to disk. */
static double
sort_disk_kb(JsonbContainer *object)
{
	static const char *const groups[] = {"Full-sort Groups", "Pre-sorted Groups"};
	char	   *place = object ? dbu_explain_text(object, "Sort Space Type") : NULL;
	double		disk = 0;

	if (object == NULL)
		return 0;
	if (place != NULL && strcmp(place, "Disk") == 0)
		dbu_explain_number(object, "Sort Space Used", &disk);
	/* an incremental sort tells of its two kinds of groups */
	for (int i = 0; i < lengthof(groups); i++)
	{
		double		peak = 0;

		dbu_explain_number(dbu_explain_object(dbu_explain_object(object, groups[i]),
											  "Sort Space Disk"),
						   "Peak Sort Space Used", &peak);
		disk = Max(disk, peak);
	}
	return disk;
}

/* A sort that did not fit into memory, in the leader or in a worker. */
void
dbu_explain_rule_disk_sort(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		disk = sort_disk_kb(node->fields);
	List	   *workers = dbu_explain_objects(node->fields, "Workers");
	ListCell   *lc;
	DbuFinding *finding;

	foreach(lc, workers)
	{
		double		worker = sort_disk_kb(lfirst(lc));

		disk = Max(disk, worker);
	}
	if (disk < MIN_SPILLED_KB || dbu_explain_is_small_part(analysis, node->self))
		return;
	finding = dbu_explain_add_finding(analysis, node, DBU_WARN,
									  "The sort did not fit into work_mem and went through files. "
									  "Raise work_mem for this statement, sort fewer or narrower rows, or let an index give the order.");
	dbu_explain_add_number(finding, "disk_kb", disk);
	dbu_explain_add_number(finding, "rows", node->rows);
}

/* A hash table that did not fit into memory. */
void
dbu_explain_rule_hash_batches(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		batches;
	double		planned = 0;
	double		peak = 0;
	DbuFinding *finding;

	if (!dbu_explain_number(node->fields, "Hash Batches", &batches) || batches <= 1)
		return;
	dbu_explain_number(node->fields, "Original Hash Batches", &planned);
	dbu_explain_number(node->fields, "Peak Memory Usage", &peak);
	/* each batch fills the memory, or nearly; the join reads the files again */
	if ((peak > 0 && peak * batches < MIN_SPILLED_KB) ||
		dbu_explain_is_small_part(analysis, node->self + (node->parent ? node->parent->self : 0)))
		return;
	finding = dbu_explain_add_finding(analysis, node, DBU_WARN,
									  "The hash table did not fit into memory and was split into files. "
									  "Raise work_mem or hash_mem_multiplier for this statement.");
	dbu_explain_add_number(finding, "batches", batches);
	dbu_explain_add_number(finding, "batches_planned", planned);
	dbu_explain_add_number(finding, "peak_memory_kb", peak);
}

/* Grouping by hashing that went to disk. */
void
dbu_explain_rule_hash_aggregate_spill(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		disk = 0;
	double		batches = 0;
	List	   *workers = dbu_explain_objects(node->fields, "Workers");
	ListCell   *lc;
	DbuFinding *finding;

	if (strcmp(node->type, "Aggregate") != 0)
		return;
	dbu_explain_number(node->fields, "Disk Usage", &disk);
	dbu_explain_number(node->fields, "HashAgg Batches", &batches);
	foreach(lc, workers)
	{
		double		worker = 0;

		dbu_explain_number(lfirst(lc), "Disk Usage", &worker);
		disk = Max(disk, worker);
	}
	if (disk < MIN_SPILLED_KB || dbu_explain_is_small_part(analysis, node->self))
		return;
	finding = dbu_explain_add_finding(analysis, node, DBU_WARN,
									  "The groups did not fit into memory and went through files. "
									  "Raise work_mem or hash_mem_multiplier for this statement.");
	dbu_explain_add_number(finding, "disk_kb", disk);
	dbu_explain_add_number(finding, "batches", batches);
}

/* A cache of inner rows that forgets more than it helps. */
void
dbu_explain_rule_memoize_evictions(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		evictions = 0;
	double		hits = 0;
	double		misses = 0;
	DbuFinding *finding;

	dbu_explain_number(node->fields, "Cache Evictions", &evictions);
	dbu_explain_number(node->fields, "Cache Hits", &hits);
	dbu_explain_number(node->fields, "Cache Misses", &misses);
	if (evictions < MIN_EVICTIONS || evictions <= hits ||
		dbu_explain_is_small_part(analysis, node->total))
		return;
	finding = dbu_explain_add_finding(analysis, node, DBU_INFO,
									  "The cache of inner rows is too small and forgets them before they are asked for again. "
									  "Raise work_mem or hash_mem_multiplier for this statement.");
	dbu_explain_add_number(finding, "evictions", evictions);
	dbu_explain_add_number(finding, "hits", hits);
	dbu_explain_add_number(finding, "misses", misses);
}

/* ---------- workers and time ---------- */

/* Fewer parallel workers came than the plan was made for. */
void
dbu_explain_rule_workers_not_launched(DbuAnalysis *analysis, const DbuPlanNode *node)
{
	double		planned;
	double		launched;
	double		time = analysis->statement->execution_ms;
	DbuFinding *finding;

	if (dbu_explain_node_time(node, &time) ? time < MIN_PARALLEL_MS :
		(time >= 0 && time < MIN_PARALLEL_MS))
		return;
	if (!node->executed ||
		!dbu_explain_number(node->fields, "Workers Planned", &planned) ||
		!dbu_explain_number(node->fields, "Workers Launched", &launched) ||
		launched >= planned)
		return;
	finding = dbu_explain_add_finding(analysis, node, launched > 0 ? DBU_INFO : DBU_WARN,
									  "The server had no free parallel workers when the statement began. "
									  "Raise max_parallel_workers and max_worker_processes, or plan fewer of them.");
	dbu_explain_add_number(finding, "workers_planned", planned);
	dbu_explain_add_number(finding, "workers_launched", launched);
}

/* Compiling expressions takes a good part of the time. */
void
dbu_explain_rule_jit_share(DbuAnalysis *analysis)
{
	const DbuPlanStatement *statement = analysis->statement;
	double		total;
	double		functions = 0;
	JsonbContainer *jit = dbu_explain_object(statement->fields, "JIT");
	DbuFinding *finding;

	if (statement->execution_ms <= 0 ||
		!dbu_explain_number(dbu_explain_object(jit, "Timing"), "Total", &total) ||
		total < MIN_JIT_MS || total <= statement->execution_ms * JIT_SHARE)
		return;
	dbu_explain_number(jit, "Functions", &functions);
	finding = dbu_explain_add_finding(analysis, NULL, DBU_WARN,
									  "Compiling expressions (JIT) takes a good part of the time. "
									  "Raise jit_above_cost, or set jit = off for this statement.");
	dbu_explain_add_number(finding, "jit_ms", total);
	dbu_explain_add_number(finding, "execution_ms", statement->execution_ms);
	dbu_explain_add_number(finding, "jit_percent", 100 * total / statement->execution_ms);
	dbu_explain_add_number(finding, "functions", functions);
}

/* Planning takes longer than execution. */
void
dbu_explain_rule_long_planning(DbuAnalysis *analysis)
{
	const DbuPlanStatement *statement = analysis->statement;
	DbuFinding *finding;

	if (statement->execution_ms < 0 || statement->planning_ms < MIN_PLANNING_MS ||
		statement->planning_ms <= statement->execution_ms)
		return;
	finding = dbu_explain_add_finding(analysis, NULL, DBU_INFO,
									  "Planning takes longer than execution. "
									  "Prepare the statement, or let dbutil's plan cache keep the plan.");
	dbu_explain_add_number(finding, "planning_ms", statement->planning_ms);
	dbu_explain_add_number(finding, "execution_ms", statement->execution_ms);
}

/* Triggers take a good part of the time, foreign keys above all. */
void
dbu_explain_rule_trigger_time(DbuAnalysis *analysis)
{
	const DbuPlanStatement *statement = analysis->statement;
	List	   *triggers = dbu_explain_objects(statement->fields, "Triggers");
	ListCell   *lc;

	foreach(lc, triggers)
	{
		JsonbContainer *trigger = lfirst(lc);
		char	   *name;
		char	   *constraint;
		char	   *relation;
		double		time;
		double		calls = 0;
		DbuFinding *finding;

		if (trigger == NULL || statement->execution_ms <= 0 ||
			!dbu_explain_number(trigger, "Time", &time) ||
			time < MIN_TRIGGER_MS || time <= statement->execution_ms * TRIGGER_SHARE)
			continue;
		name = dbu_explain_text(trigger, "Trigger Name");
		constraint = dbu_explain_text(trigger, "Constraint Name");
		dbu_explain_number(trigger, "Calls", &calls);
		/* on the referencing side of a foreign key, by the server's own names */
		if (name != NULL && strncmp(name, "RI_ConstraintTrigger_c_", 23) == 0)
			finding = dbu_explain_add_finding(analysis, NULL, DBU_INFO,
											  "Looking the keys of new rows up in the table that a foreign key refers to takes a good part of the time. "
											  "That is its price; for a bulk load add the constraint afterwards.");
		else
			finding = dbu_explain_add_finding(analysis, NULL, DBU_WARN,
											  constraint ?
											  "Checking a constraint takes a good part of the time. "
											  "A foreign key needs an index on its referencing columns when rows of the other table are deleted or their key changes." :
											  "A trigger takes a good part of the time. Look into its function.");
		relation = dbu_explain_text(trigger, "Relation");
		if (relation != NULL)
			finding->relation = quote_identifier(relation);
		dbu_explain_add_number(finding, "trigger_ms", time);
		dbu_explain_add_number(finding, "execution_ms", statement->execution_ms);
		dbu_explain_add_number(finding, "calls", calls);
		dbu_explain_add_text(finding, "trigger", name);
		dbu_explain_add_text(finding, "constraint", constraint);
	}
}
