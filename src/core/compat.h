/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  The only file that looks at PG_VERSION_NUM.
 *
 * Everything is written against the newest supported PostgreSQL; what older
 * ones spell differently is wrapped here in the newest signature.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_COMPAT_H
#define DBU_CORE_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "dbutil needs PostgreSQL 15 or later: point PG_CONFIG at a newer pg_config"
#endif
#if PG_VERSION_NUM >= 190000
#error "dbutil does not know PostgreSQL 19 yet: point PG_CONFIG at PostgreSQL 15 to 18"
#endif

#define DBU_PG_MAJOR (PG_VERSION_NUM / 10000)

/* query identifiers moved house in 16 */
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif

/* in front of a declaration from 18 on, behind it before */
#if PG_VERSION_NUM < 180000
#define pg_noreturn _Noreturn
#endif

/* ExecutorRun lost execute_once in 18. */
#if PG_VERSION_NUM >= 180000
#define DBU_RUN_PARAMS QueryDesc *query_desc, ScanDirection direction, uint64 count
#define DBU_RUN_ARGS query_desc, direction, count
#else
#define DBU_RUN_PARAMS QueryDesc *query_desc, ScanDirection direction, uint64 count, bool execute_once
#define DBU_RUN_ARGS query_desc, direction, count, execute_once
#endif

/* Run a query to its end. */
#if PG_VERSION_NUM >= 180000
#define dbu_executor_run(query_desc) ExecutorRun(query_desc, ForwardScanDirection, 0)
#else
#define dbu_executor_run(query_desc) ExecutorRun(query_desc, ForwardScanDirection, 0, true)
#endif

/* EXPLAIN's state and formats have headers of their own from 18 on. */
#if PG_VERSION_NUM >= 180000
#define DBU_EXPLAIN_STATE_H "commands/explain_state.h"
#define DBU_EXPLAIN_FORMAT_H "commands/explain_format.h"
#else
#define DBU_EXPLAIN_STATE_H "commands/explain.h"
#define DBU_EXPLAIN_FORMAT_H "commands/explain.h"
#endif

/* A hook for each plan that EXPLAIN shows came in 18. */
#if PG_VERSION_NUM >= 180000
#define DBU_HAS_EXPLAIN_PER_PLAN
#endif

/* Explain a plan that is no part of a utility command; 17 can tell memory too. */
#if PG_VERSION_NUM >= 170000
#define dbu_pg_explain_one_plan(stmt, es, source, params, plan_time) \
	ExplainOnePlan(stmt, NULL, es, source, params, NULL, plan_time, NULL, NULL)
#else
#define dbu_pg_explain_one_plan(stmt, es, source, params, plan_time) \
	ExplainOnePlan(stmt, NULL, es, source, params, NULL, plan_time, NULL)
#endif

/* What EXPLAIN does with one statement when no hook is there: exported from 17 on. */
#if PG_VERSION_NUM >= 170000
#define dbu_pg_explain_one_query standard_ExplainOneQuery
#else
#define DBU_NEEDS_EXPLAIN_ONE_QUERY
#endif

/* EXPLAIN of a statement whose parameters have no values came in 16. */
#if PG_VERSION_NUM >= 160000
#define DBU_HAS_GENERIC_EXPLAIN true
#define dbu_set_generic_explain(es) ((es)->generic = true)
#else
#define DBU_HAS_GENERIC_EXPLAIN false
#define dbu_set_generic_explain(es) ((void) (es))
#endif

/* JSON_VALUE and its like, with a result type of their own, came in 17. */
#if PG_VERSION_NUM >= 170000
#define dbu_json_expr_type(node) \
	(IsA(node, JsonExpr) ? ((JsonExpr *) (node))->returning->typid : InvalidOid)
#else
#define dbu_json_expr_type(node) InvalidOid
#endif

/* The table of settings: a copy that knows its length from 16 on. */
#if PG_VERSION_NUM >= 160000
#define dbu_guc_variables(count) get_guc_variables(count)
#else
#define dbu_guc_variables(count) \
	(*(count) = GetNumConfigOptions(), get_guc_variables())
#endif

/* What names a relation's file (tablespace, database, number): renamed in 16. */
#if PG_VERSION_NUM >= 160000
#include "storage/relfilelocator.h"
typedef RelFileLocator DbuRelFile;
#else
#include "storage/relfilenode.h"
typedef RelFileNode DbuRelFile;
#endif

/* The privileges that a member of the range table asks for: apart from it from 16 on. */
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#if PG_VERSION_NUM >= 160000
static inline RTEPermissionInfo *
dbu_rte_permission(Query *query, RangeTblEntry *rte)
{
	return rte->perminfoindex == 0 ? NULL :
		list_nth_node(RTEPermissionInfo, query->rteperminfos, rte->perminfoindex - 1);
}

static inline void
dbu_set_permission_relid(RTEPermissionInfo *permission, Oid relid)
{
	if (permission != NULL)
		permission->relid = relid;
}

/* From one member of a plan's range table to another, which is a copy of it. */
static inline void
dbu_plan_move_permission(PlannedStmt *plan, RangeTblEntry *from, RangeTblEntry *to)
{
	if (from->perminfoindex != 0)
		list_nth_node(RTEPermissionInfo, plan->permInfos, from->perminfoindex - 1)->relid = to->relid;
	from->perminfoindex = 0;
}
#else
typedef void RTEPermissionInfo;

#define dbu_rte_permission(query, rte) NULL
#define dbu_set_permission_relid(permission, relid) ((void) 0)
#define dbu_plan_move_permission(plan, from, to) ((from)->requiredPerms = 0)
#endif

/* MERGE's join condition has a place of its own from 17 on. */
#if PG_VERSION_NUM >= 170000
#define dbu_merge_condition(query) ((query)->mergeJoinCondition)
#define dbu_merge_conditions(modify) ((modify)->mergeJoinConditions)
#else
#define dbu_merge_condition(query) ((Node *) NULL)
#endif

/* What a statement needs of a relation is told apart from it from 16 on. */
#if PG_VERSION_NUM >= 160000
#define dbu_required_perms(stmt, rte) \
	((rte)->perminfoindex == 0 ? 0 : getRTEPermissionInfo((stmt)->permInfos, (rte))->requiredPerms)
#else
#define dbu_required_perms(stmt, rte) ((rte)->requiredPerms)
#endif

/* Grouped columns are a member of the range table from 18 on. */
#if PG_VERSION_NUM >= 180000
#define dbu_is_group_rte(rte) ((rte)->rtekind == RTE_GROUP)
#else
#define dbu_is_group_rte(rte) false
#endif

/* Time that a BufferUsage tells of: shared and local blocks are told apart from 17 on. */
#if PG_VERSION_NUM >= 170000
#define dbu_blk_read_ms(b) \
	(INSTR_TIME_GET_MILLISEC((b)->shared_blk_read_time) + INSTR_TIME_GET_MILLISEC((b)->local_blk_read_time))
#define dbu_blk_write_ms(b) \
	(INSTR_TIME_GET_MILLISEC((b)->shared_blk_write_time) + INSTR_TIME_GET_MILLISEC((b)->local_blk_write_time))
#else
#define dbu_blk_read_ms(b) INSTR_TIME_GET_MILLISEC((b)->blk_read_time)
#define dbu_blk_write_ms(b) INSTR_TIME_GET_MILLISEC((b)->blk_write_time)
#endif

/* A row can be told from the one it replaces when indexes are asked: 18. */
#if PG_VERSION_NUM >= 180000
#define dbu_exec_check_index_constraints(relinfo, slot, estate, conflict, arbiters) \
	ExecCheckIndexConstraints(relinfo, slot, estate, conflict, NULL, arbiters)
#else
#define dbu_exec_check_index_constraints(relinfo, slot, estate, conflict, arbiters) \
	ExecCheckIndexConstraints(relinfo, slot, estate, conflict, arbiters)
#endif

/* A scan of an index; what it takes can be measured from 18 on. */
#if PG_VERSION_NUM >= 180000
#define dbu_index_beginscan(table, index, snapshot, nkeys) index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#else
#define dbu_index_beginscan(table, index, snapshot, nkeys) index_beginscan(table, index, snapshot, nkeys, 0)
#endif

/* Constraints may be declared and not enforced from 18 on. */
#if PG_VERSION_NUM >= 180000
#define dbu_check_is_enforced(check) ((check)->ccenforced)
#define dbu_foreign_key_is_enforced(key) ((key)->conenforced)
#else
#define dbu_check_is_enforced(check) true
#define dbu_foreign_key_is_enforced(key) true
#endif

/* RETURNING in a raw UPDATE: a clause with options from 18 on. */
#if PG_VERSION_NUM >= 180000
#define dbu_update_returns(update) ((update)->returningClause != NULL)
#else
#define dbu_update_returns(update) ((update)->returningList != NIL)
#endif

/* Put a tuple into the indexes of its table; summarizing ones can be told apart from 16 on. */
#if PG_VERSION_NUM >= 160000
#define dbu_exec_insert_index_tuples(relinfo, slot, estate) \
	ExecInsertIndexTuples(relinfo, slot, estate, false, false, NULL, NIL, false)
#else
#define dbu_exec_insert_index_tuples(relinfo, slot, estate) \
	ExecInsertIndexTuples(relinfo, slot, estate, false, false, NULL, NIL)
#endif

/* A range table of one relation to insert into, checked for the right to do so. */
#if PG_VERSION_NUM >= 180000
#define dbu_exec_init_range_table(estate, rtable, permissions) \
	ExecInitRangeTable(estate, rtable, permissions, bms_make_singleton(1))
#elif PG_VERSION_NUM >= 160000
#define dbu_exec_init_range_table(estate, rtable, permissions) ExecInitRangeTable(estate, rtable, permissions)
#else
#define dbu_exec_init_range_table(estate, rtable, permissions) \
	((void) (permissions), ExecInitRangeTable(estate, rtable))
#endif
#if PG_VERSION_NUM >= 160000
#define dbu_exec_check_permissions(rtable, permissions) ExecCheckPermissions(rtable, permissions, true)
#define dbu_ask_insert(rte, permissions, written, read) \
	do { \
		RTEPermissionInfo *ask_ = addRTEPermissionInfo(permissions, rte); \
		ask_->insertedCols = (written); \
		ask_->selectedCols = (read); \
		ask_->requiredPerms = ACL_INSERT | (ask_->selectedCols ? ACL_SELECT : 0); \
	} while (0)
#else
#define dbu_exec_check_permissions(rtable, permissions) ExecCheckRTPerms(rtable, true)
#define dbu_ask_insert(rte, permissions, written, read) \
	((rte)->insertedCols = (written), (rte)->selectedCols = (read), \
	 (rte)->requiredPerms = ACL_INSERT | ((rte)->selectedCols ? ACL_SELECT : 0))
#endif

/* The columns of a partition by those of the table that rows were routed from; NULL: they are the same. */
#if PG_VERSION_NUM >= 160000
#define dbu_root_to_child_map(relinfo, estate) ExecGetRootToChildMap(relinfo, estate)
#else
#define dbu_root_to_child_map(relinfo, estate) ((relinfo)->ri_RootToPartitionMap)
#endif

/* Hidden visibility is PGXS' default from 16 on; 15 exports everything. */
#ifndef PGDLLEXPORT
#define PGDLLEXPORT
#endif

#endif							/* DBU_CORE_COMPAT_H */
