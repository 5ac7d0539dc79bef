/*-------------------------------------------------------------------------
 *
 * explain.h
 *	  What the files of the module explain share.
 *
 * The way of one analysis: obtain.c resolves parameters (core/named_params.h),
 * parses, plans and explains the statement (safety.c says whether it may be
 * executed, run.c executes it and undoes it), plan_json.c reads any EXPLAIN
 * (FORMAT JSON) output into nodes, rules.c walks the nodes with its table of
 * rules, explain.c turns the findings into SQL results, tree.c into text.
 *
 * Everything here lives in the memory context of the call.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_EXPLAIN_EXPLAIN_H
#define DBU_EXPLAIN_EXPLAIN_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "nodes/plannodes.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"

/* ---------- scan_facts.c ---------- */

/* What catalogs, statistics and the plan's own quals tell of one scan of a table. */
typedef struct DbuScanFact
{
	Index		rti;
	const char *alias;			/* as EXPLAIN prints it; NULL until it has */
	double		reltuples;		/* rows of the table, -1: never analyzed */
	double		modified;		/* rows changed since it was analyzed */

	/* the rest is of a sequential scan with a filter */
	const char *columns;		/* what an index should hold, NULL: unknown */
	const char *index_sql;		/* CREATE INDEX for them, NULL: none to suggest */
	bool		indexed;		/* such an index exists already */

	/* of any scan with a filter */
	const char *wrapped;		/* column inside an expression, NULL: none */
	const char *wrapped_index;	/* which could find it outside of one */
} DbuScanFact;

/* A column that a clause compares with something else, and how. */
typedef struct DbuComparedColumn
{
	AttrNumber	column;
	Oid			operator;		/* as "column operator value" */
	Oid			collation;
	int			strategy;		/* of a btree */
	Node	   *other;			/* what it is compared with */
} DbuComparedColumn;

extern DbuComparedColumn *dbu_explain_compared_column(Node *clause, Index rti);
extern List *dbu_explain_scan_facts(PlannedStmt *stmt);
extern void dbu_explain_name_facts(List *facts, List *rtable_names);

/* ---------- obtain.c, run.c, safety.c, safety_implied.c ---------- */

typedef struct DbuWorkloadQuery DbuWorkloadQuery;	/* advice.h */

typedef struct DbuObtainedPlan
{
	Jsonb	   *plan;			/* what EXPLAIN (FORMAT JSON) gives: an array */
	bool		executed;
	List	   *facts;			/* DbuScanFact * */
	DbuWorkloadQuery *query;	/* for index advice */
} DbuObtainedPlan;

extern void dbu_explain_obtain(DbuObtainedPlan *result, const char *query,
							   Jsonb *params, bool run, int timeout_ms);
extern void dbu_explain_obtain_generic(DbuObtainedPlan *result, DbuWorkloadQuery *query);
extern void dbu_explain_query_error_callback(void *arg);

typedef void (*DbuRunFunction) (void *arg);

extern void dbu_explain_run_undone(DbuRunFunction run, void *arg, int timeout_ms);
extern void dbu_explain_require_safe(List *queries, const Oid *types, int ntypes);
extern void dbu_explain_type_parts(Oid type, List **domains, List **functions);
extern List *dbu_explain_operator_families(Oid operator);
extern List *dbu_explain_table_families(Relation rel);
extern List *dbu_explain_family_functions(Oid family);
extern char *dbu_explain_family_name(Oid family);
extern bool dbu_explain_runs_arguments(Oid function);

/* ---------- plan_json.c ---------- */

typedef struct DbuPlanNode
{
	struct DbuPlanNode *parent; /* NULL: root of its statement */
	List	   *children;		/* DbuPlanNode * */
	JsonbContainer *fields;		/* the node's JSON object */
	const char *steps;			/* from the parent's object to this one's, "Plans,0" */
	double		processes;		/* that its loops are spread over, leader included */
	const char *type;			/* "Node Type" */
	const char *relationship;	/* "Parent Relationship", "" if there is none */
	const char *schema;			/* NULL unless EXPLAIN was VERBOSE */
	const char *relation;		/* NULL: scans no table */
	const char *alias;			/* NULL: has none */
	const DbuScanFact *fact;	/* NULL: none, as in every foreign plan */
	double		plan_rows;		/* estimate; per process below a Gather */
	bool		executed;		/* has actual figures and ran at least once */
	double		rows;			/* actual, average of one loop */
	double		loops;
	bool		measured;		/* has actual figures */
	double		total;			/* by dbu_explain_share_out(): with those below */
	double		self;			/* likewise: without them */
} DbuPlanNode;

typedef struct DbuPlanStatement
{
	JsonbContainer *fields;		/* object around "Plan"; NULL: a bare node */
	const char *steps;			/* from the plan as a whole, "" for none */
	DbuPlanNode *root;
	List	   *nodes;			/* all of them, parents first */
	bool		measured;		/* EXPLAIN ANALYZE */
	double		planning_ms;	/* -1: not told */
	double		execution_ms;	/* -1: not told */
	bool		shared_by_time; /* by dbu_explain_share_out() */
} DbuPlanStatement;

/*
 * Figures of a plan are in 0 .. DBU_MAX_FIGURE, so that a product of three is
 * still finite.  It is the planner's own limit of a row count.
 */
#define DBU_MAX_FIGURE 1e100

extern List *dbu_explain_read_plan(Jsonb *plan);
extern bool dbu_explain_number(JsonbContainer *object, const char *key, double *result);
extern bool dbu_explain_flag(JsonbContainer *object, const char *key);
extern char *dbu_explain_text(JsonbContainer *object, const char *key);
extern JsonbContainer *dbu_explain_object(JsonbContainer *object, const char *key);
extern List *dbu_explain_objects(JsonbContainer *object, const char *key);
extern char *dbu_explain_texts(JsonbContainer *object, const char *key);
extern bool dbu_explain_is_type(const DbuPlanNode *node, const char *type);
extern bool dbu_explain_has_word(const DbuPlanNode *node, const char *key, const char *word);
extern char *dbu_explain_node_label(const DbuPlanNode *node);
extern char *dbu_explain_node_relation(const DbuPlanNode *node);
extern DbuPlanNode *dbu_explain_child(const DbuPlanNode *node, const char *relationship);
extern double dbu_explain_node_rows(const DbuPlanNode *node);
extern char *dbu_explain_path(const DbuPlanStatement *statement, const DbuPlanNode *node);

/* ---------- conditions.c ---------- */

extern List *dbu_explain_conjuncts(const char *condition);
extern List *dbu_explain_equated_values(const DbuPlanNode *node, List *values);
extern bool dbu_explain_only_not_null(const char *condition);

/* ---------- shares.c, tree.c ---------- */

extern void dbu_explain_share_out(DbuPlanStatement *statement);
extern bool dbu_explain_node_time(const DbuPlanNode *node, double *time);
extern char *dbu_explain_node_title(const DbuPlanNode *node);

/* ---------- rules.c ---------- */

typedef enum DbuSeverity
{
	DBU_INFO,
	DBU_WARN,
	DBU_CRITICAL,
} DbuSeverity;

/* A figure or, if text is not NULL, a text that made a rule fire. */
typedef struct DbuEvidence
{
	const char *name;
	double		number;
	const char *text;
} DbuEvidence;

#define DBU_MAX_EVIDENCE 10

typedef struct DbuFinding
{
	const char *rule;
	DbuSeverity severity;
	int			order;			/* in which rules and nodes were visited */
	const DbuPlanStatement *statement;
	const DbuPlanNode *at;		/* NULL: of the statement as a whole */
	const char *node;			/* the label of that node */
	const char *relation;		/* NULL: of none */
	DbuEvidence evidence[DBU_MAX_EVIDENCE];
	int			nevidence;
	const char *advice;
	const char *suggested_sql;	/* NULL: none */
	bool		unproven;		/* nobody asked the planner about suggested_sql */
	bool		proven;			/* it would use it */
} DbuFinding;

typedef struct DbuAnalysis
{
	const DbuPlanStatement *statement;	/* visited at the moment */
	const char *rule;			/* visited at the moment */
	List	   *findings;		/* DbuFinding * */
} DbuAnalysis;

extern List *dbu_explain_judge(List *statements, List *facts);
extern const char *dbu_explain_severity_word(DbuSeverity severity);
extern DbuFinding *dbu_explain_add_finding(DbuAnalysis *analysis, const DbuPlanNode *node,
										   DbuSeverity severity, const char *advice);
extern bool dbu_explain_is_small_part(const DbuAnalysis *analysis, double part);
extern void dbu_explain_add_number(DbuFinding *finding, const char *name, double number);
extern void dbu_explain_add_text(DbuFinding *finding, const char *name, const char *text);

/* rules_estimate.c: actual rows as a multiple of the estimate, or the reverse */
#define DBU_MISESTIMATE 10
extern double dbu_explain_misestimate(const DbuPlanNode *node);

/* rules over one node: rules_scan.c, rules_estimate.c, rules_join.c, rules_effort.c */
extern void dbu_explain_rule_slow_scan(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_wrapped_column(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_inefficient_index(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_lossy_bitmap(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_heap_fetches(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_large_offset(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_limit_order_index(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_partitions_not_pruned(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_remote_filter(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_stale_statistics(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_row_misestimate(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_nested_loop(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_join_filter(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_cartesian_product(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_subplan_per_row(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_disk_sort(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_hash_batches(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_hash_aggregate_spill(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_memoize_evictions(DbuAnalysis *analysis, const DbuPlanNode *node);
extern void dbu_explain_rule_workers_not_launched(DbuAnalysis *analysis, const DbuPlanNode *node);

/* rules over the statement: rules_effort.c */
extern void dbu_explain_rule_jit_share(DbuAnalysis *analysis);
extern void dbu_explain_rule_long_planning(DbuAnalysis *analysis);
extern void dbu_explain_rule_trigger_time(DbuAnalysis *analysis);

/* rules over the statement: rules_time.c */
extern void dbu_explain_rule_dominant_node(DbuAnalysis *analysis);
extern void dbu_explain_rule_read_heavy(DbuAnalysis *analysis);
extern void dbu_explain_rule_temp_files(DbuAnalysis *analysis);
extern void dbu_explain_rule_select_dirtied(DbuAnalysis *analysis);

/* ---------- explain.c: arguments and rows ---------- */

#define DBU_FINDING_COLUMNS 9

extern void dbu_explain_obtain_call(FunctionCallInfo fcinfo, DbuObtainedPlan *obtained);
extern List *dbu_explain_judge_obtained(const DbuObtainedPlan *obtained, List *statements);
extern Jsonb *dbu_explain_plan_of_text(text *plan);
extern void dbu_explain_set_finding(const DbuFinding *finding, Datum *values, bool *nulls);

#endif							/* DBU_EXPLAIN_EXPLAIN_H */
