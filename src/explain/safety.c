/*-------------------------------------------------------------------------
 *
 * safety.c
 *	  May a statement be executed if all of it is rolled back afterwards?
 *
 * Only if nothing that it does outlives the rollback.  The rewritten query is
 * searched, so views, rules, row security policies and column defaults are
 * part of it.  Refused, each with its name:
 *	- volatile functions outside a list of the server's own that read, or whose
 *	  effect a rollback undoes; nextval() of a default or identity column too;
 *	- such functions inside user-defined aggregates, domains (also deep inside
 *	  the type of a result) and the CHECK constraints of a table that is
 *	  written, and in operator families that a comparison or an index uses;
 *	- functions of the server and its extensions that run what their arguments name;
 *	- writing to a table with triggers of the user's for that event, also where
 *	  a foreign key's ON DELETE or ON UPDATE action leads to;
 *	- writing to foreign tables, whose servers need not know of rollbacks.
 *
 * A function that is declared STABLE or IMMUTABLE is believed: the planner
 * believes it as well.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/explain.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#define WRITE_EVENTS \
	(TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE)

typedef struct SafetyContext
{
	const char *via;			/* what leads to a function, or NULL: the statement */
	List	   *visited;		/* oids of tables that were looked at ... */
	List	   *events;			/* ... for these events */
	List	   *types;			/* oids of types that were looked at */
	List	   *families;		/* oids of operator families, likewise */
} SafetyContext;

static bool safety_walker(Node *node, void *context);

/*
 * Volatile functions of the server that are harmless: they look at the clock,
 * at random bits, at sizes and statistics, wait, or end with the transaction.
 */
static const char *const harmless[] = {
	"clock_timestamp", "currval", "gen_random_uuid", "lastval",
	"pg_advisory_xact_lock", "pg_advisory_xact_lock_shared",
	"pg_blocking_pids", "pg_current_wal_flush_lsn",
	"pg_current_wal_insert_lsn", "pg_current_wal_lsn", "pg_database_size",
	"pg_indexes_size", "pg_is_in_recovery", "pg_last_wal_receive_lsn",
	"pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp",
	"pg_lock_status", "pg_notify", "pg_partition_ancestors",
	"pg_partition_tree", "pg_prepared_xact", "pg_relation_size",
	"pg_sequence_last_value", "pg_sleep", "pg_sleep_for", "pg_sleep_until",
	"pg_table_size", "pg_tablespace_size", "pg_total_relation_size",
	"pg_try_advisory_xact_lock", "pg_try_advisory_xact_lock_shared",
	"pg_xact_status", "random", "random_normal", "timeofday", "txid_status",
	"uuidv4", "uuidv7",
};

/*
 * Functions of the server that count as stable but run what their arguments
 * name: the queries of views, the constraints of a domain.
 */
static const char *const indirect[] = {
	"array_in", "database_to_xml", "database_to_xml_and_xmlschema", "domain_in",
	"multirange_in", "pg_input_error_info", "pg_input_is_valid", "range_in",
	"record_in", "schema_to_xml", "schema_to_xml_and_xmlschema", "table_to_xml",
	"table_to_xml_and_xmlschema",
};

static bool
is_listed(Oid function, const char *const *names, int n)
{
	char	   *name;

	/* nobody can have put a function of his own at such an oid */
	if (function >= FirstUnpinnedObjectId ||
		get_func_namespace(function) != PG_CATALOG_NAMESPACE)
		return false;
	name = get_func_name(function);
	for (int i = 0; name != NULL && i < n; i++)
	{
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

pg_noreturn static void
refuse_function(const char *name, const SafetyContext *context)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot run the statement for analysis: it calls the volatile function %s", name),
			 context->via ? errdetail("It is called by %s.", context->via) : 0,
			 errhint("Its effects might outlive the rollback. Analyze the statement without run => true.")));
}

pg_noreturn static void
refuse_indirect(Oid function, const SafetyContext *context)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot run the statement for analysis: it calls the function %s, which runs what its arguments name",
					format_procedure_qualified(function)),
			 context->via ? errdetail("It is called by %s.", context->via) : 0,
			 errhint("Its effects might outlive the rollback. Analyze the statement without run => true.")));
}

/* A user-defined aggregate counts as immutable, whatever it is made of. */
static void
check_aggregate(Oid function, SafetyContext *context)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	Form_pg_aggregate form;
	Oid			parts[8];

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	parts[0] = form->aggtransfn;
	parts[1] = form->aggfinalfn;
	parts[2] = form->aggcombinefn;
	parts[3] = form->aggserialfn;
	parts[4] = form->aggdeserialfn;
	parts[5] = form->aggmtransfn;
	parts[6] = form->aggminvtransfn;
	parts[7] = form->aggmfinalfn;
	ReleaseSysCache(tuple);

	for (int i = 0; i < lengthof(parts); i++)
	{
		if (OidIsValid(parts[i]) && func_volatile(parts[i]) == PROVOLATILE_VOLATILE)
		{
			context->via = psprintf("the aggregate %s", format_procedure_qualified(function));
			refuse_function(format_procedure_qualified(parts[i]), context);
		}
	}
}

static bool
check_function(Oid function, void *arg)
{
	SafetyContext *context = arg;

	if (function >= FirstUnpinnedObjectId && get_func_prokind(function) == PROKIND_AGGREGATE)
		check_aggregate(function, context);
	else if (func_volatile(function) == PROVOLATILE_VOLATILE &&
			 !is_listed(function, harmless, lengthof(harmless)))
		refuse_function(format_procedure_qualified(function), context);
	return false;
}

static void
check_domain(Oid domain, SafetyContext *context)
{
	const char *via = context->via;
	DomainConstraintRef *ref = palloc(sizeof(DomainConstraintRef));
	ListCell   *lc;

	/* the reference goes with the memory context */
	InitDomainConstraintRef(domain, ref, CurrentMemoryContext, false);
	context->via = psprintf("a constraint of the domain %s", format_type_be(domain));
	foreach(lc, ref->constraints)
		safety_walker((Node *) ((DomainConstraintState *) lfirst(lc))->check_expr, context);
	context->via = via;
}

static void
check_families(List *families, SafetyContext *context)
{
	const char *via = context->via;
	ListCell   *lc;
	ListCell   *function;

	foreach(lc, families)
	{
		if (list_member_oid(context->families, lfirst_oid(lc)))
			continue;
		context->families = lappend_oid(context->families, lfirst_oid(lc));
		context->via = psprintf("the operator family %s", dbu_explain_family_name(lfirst_oid(lc)));
		foreach(function, dbu_explain_family_functions(lfirst_oid(lc)))
			check_function(lfirst_oid(function), context);
		context->via = via;
	}
}

static void
check_operator(Oid operator, SafetyContext *context)
{
	if (OidIsValid(operator))
		check_families(dbu_explain_operator_families(operator), context);
}

/* A type of which values are made: also what is inside of it is checked. */
static void
check_type(Oid type, SafetyContext *context)
{
	const char *via = context->via;
	List	   *domains;
	List	   *functions;
	ListCell   *lc;

	/* the server's own types hold no domain; a domain may lead to itself */
	if (type < FirstUnpinnedObjectId || list_member_oid(context->types, type))
		return;
	context->types = lappend_oid(context->types, type);
	dbu_explain_type_parts(type, &domains, &functions);
	foreach(lc, domains)
		check_domain(lfirst_oid(lc), context);
	context->via = psprintf("the type %s", format_type_be(type));
	foreach(lc, functions)
		check_function(lfirst_oid(lc), context);
	context->via = via;
}

static void
check_types(List *types, SafetyContext *context)
{
	ListCell   *lc;

	foreach(lc, types)
		check_type(lfirst_oid(lc), context);
}

/* The indexes and partition keys of the tables that a query reads or writes. */
static void
check_tables(Query *query, SafetyContext *context)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind != RTE_RELATION)
			continue;
		/* parse analysis locked the table itself, the planner will its children */
		foreach(lc2, rte->inh ? find_all_inheritors(rte->relid, AccessShareLock, NULL) :
				list_make1_oid(rte->relid))
		{
			Relation	rel = relation_open(lfirst_oid(lc2), AccessShareLock);

			check_families(dbu_explain_table_families(rel), context);
			relation_close(rel, NoLock);
		}
	}
}

/* ---------- what is written ---------- */

pg_noreturn static void
refuse_table(Relation rel, const char *because)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot run the statement for analysis: it writes to \"%s\", which %s",
					RelationGetRelationName(rel), because),
			 errhint("Its effects might outlive the rollback. Analyze the statement without run => true.")));
}

static void check_table_tree(Oid relid, int events, bool children, SafetyContext *context);

/* The table that a foreign key's action writes to, and how; else InvalidOid. */
static Oid
cascades_to(const Trigger *trigger, int *events, bool *defaults)
{
	*defaults = false;
	*events = TRIGGER_TYPE_UPDATE;
	switch (trigger->tgfoid)
	{
		case F_RI_FKEY_CASCADE_DEL:
			*events = TRIGGER_TYPE_DELETE;
			return trigger->tgconstrrelid;
		case F_RI_FKEY_SETDEFAULT_DEL:
		case F_RI_FKEY_SETDEFAULT_UPD:
			*defaults = true;
			return trigger->tgconstrrelid;
		case F_RI_FKEY_CASCADE_UPD:
		case F_RI_FKEY_SETNULL_DEL:
		case F_RI_FKEY_SETNULL_UPD:
			return trigger->tgconstrrelid;
		default:
			return InvalidOid;
	}
}

static void
check_expressions(Relation rel, bool defaults, SafetyContext *context)
{
	TupleConstr *constr = rel->rd_att->constr;
	const char *via = context->via;

	if (constr == NULL)
		return;
	context->via = psprintf("a constraint of table \"%s\"", RelationGetRelationName(rel));
	for (int i = 0; i < constr->num_check; i++)
		safety_walker(stringToNode(constr->check[i].ccbin), context);
	context->via = psprintf("a default of table \"%s\"", RelationGetRelationName(rel));
	for (int i = 0; defaults && i < constr->num_defval; i++)
		safety_walker(stringToNode(constr->defval[i].adbin), context);
	context->via = via;
}

static void
check_triggers(Relation rel, int events, SafetyContext *context)
{
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];
		int			cascade_events;
		bool		cascade_defaults;
		Oid			child;

		if (trigger->tgenabled == TRIGGER_DISABLED || (trigger->tgtype & events) == 0)
			continue;
		/* the server's own trigger functions keep to the transaction */
		if (trigger->tgfoid >= FirstUnpinnedObjectId)
			refuse_table(rel, psprintf("has the trigger \"%s\"", trigger->tgname));
		child = cascades_to(trigger, &cascade_events, &cascade_defaults);
		if (!OidIsValid(child))
			continue;
		if (cascade_defaults)
		{
			Relation	child_rel = relation_open(child, AccessShareLock);

			check_expressions(child_rel, true, context);
			relation_close(child_rel, NoLock);
		}
		check_table_tree(child, cascade_events, true, context);
	}
}

/* A table that is written, with its partitions or children. */
static void
check_table_tree(Oid relid, int events, bool children, SafetyContext *context)
{
	List	   *relids = children ? find_all_inheritors(relid, AccessShareLock, NULL) :
		list_make1_oid(relid);
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, relids)
	{
		Oid			one = lfirst_oid(lc);
		ListCell   *seen;
		ListCell   *seen_events;
		bool		known = false;
		Relation	rel;

		forboth(seen, context->visited, seen_events, context->events)
		{
			known |= lfirst_oid(seen) == one && (lfirst_int(seen_events) & events) == events;
		}
		if (known)
			continue;
		context->visited = lappend_oid(context->visited, one);
		context->events = lappend_int(context->events, events);

		rel = relation_open(one, AccessShareLock);
		if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
			refuse_table(rel, "is a foreign table");
		check_triggers(rel, events, context);
		check_expressions(rel, false, context);
		relation_close(rel, NoLock);
	}
}

static void
check_target(Query *query, SafetyContext *context)
{
	RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	char		relkind = get_rel_relkind(rte->relid);
	int			events = 0;
	ListCell   *lc;

	switch (query->commandType)
	{
		case CMD_INSERT:
			events = TRIGGER_TYPE_INSERT;
			if (query->onConflict && query->onConflict->action == ONCONFLICT_UPDATE)
				events |= TRIGGER_TYPE_UPDATE;
			break;
		case CMD_UPDATE:
			events = TRIGGER_TYPE_UPDATE;
			break;
		case CMD_DELETE:
			events = TRIGGER_TYPE_DELETE;
			break;
		case CMD_MERGE:
			foreach(lc, query->mergeActionList)
			{
				MergeAction *action = lfirst(lc);

				if (action->commandType == CMD_INSERT)
					events |= TRIGGER_TYPE_INSERT;
				else if (action->commandType == CMD_UPDATE)
					events |= TRIGGER_TYPE_UPDATE;
				else if (action->commandType == CMD_DELETE)
					events |= TRIGGER_TYPE_DELETE;
			}
			break;
		default:
			events = WRITE_EVENTS;
			break;
	}
	/* an update may move a row to another partition */
	if (relkind == RELKIND_PARTITIONED_TABLE && (events & TRIGGER_TYPE_UPDATE))
		events = WRITE_EVENTS;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot run a statement that writes on a standby server"),
				 errhint("Analyze it without run => true, or run it on the primary server.")));
	check_table_tree(rte->relid, events,
					 rte->inh || relkind == RELKIND_PARTITIONED_TABLE, context);
}

/* What a node calls beside the functions that check_functions_in_node() knows. */
static void
check_implied(Node *node, SafetyContext *context)
{
	ListCell   *lc;
	Oid			function;

	switch (nodeTag(node))
	{
		case T_NextValueExpr:
			refuse_function("pg_catalog.nextval(pg_catalog.regclass)", context);
			break;
		case T_CoerceToDomain:
			check_type(((CoerceToDomain *) node)->resulttype, context);
			break;
		case T_CoerceViaIO:
			check_type(((CoerceViaIO *) node)->resulttype, context);
			break;
		case T_FuncExpr:
			if (is_listed(((FuncExpr *) node)->funcid, indirect, lengthof(indirect)) ||
				dbu_explain_runs_arguments(((FuncExpr *) node)->funcid))
				refuse_indirect(((FuncExpr *) node)->funcid, context);
			check_type(((FuncExpr *) node)->funcresulttype, context);
			break;
		case T_RangeTblFunction:
			check_types(((RangeTblFunction *) node)->funccoltypes, context);
			break;
		case T_TableFunc:
			check_types(((TableFunc *) node)->coltypes, context);
			break;
		case T_Aggref:
			check_type(((Aggref *) node)->aggtype, context);
			break;
		case T_WindowFunc:
			check_type(((WindowFunc *) node)->wintype, context);
			break;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			/* three names of one struct */
			check_operator(((OpExpr *) node)->opno, context);
			check_type(((OpExpr *) node)->opresulttype, context);
			break;
		case T_ScalarArrayOpExpr:
			check_operator(((ScalarArrayOpExpr *) node)->opno, context);
			break;
		case T_RowCompareExpr:
			foreach(lc, ((RowCompareExpr *) node)->opnos)
				check_operator(lfirst_oid(lc), context);
			break;
		case T_MinMaxExpr:
			function = lookup_type_cache(((MinMaxExpr *) node)->minmaxtype,
										 TYPECACHE_CMP_PROC)->cmp_proc;
			if (OidIsValid(function))
				check_function(function, context);
			break;
		case T_SortGroupClause:
			check_operator(((SortGroupClause *) node)->eqop, context);
			check_operator(((SortGroupClause *) node)->sortop, context);
			break;
		case T_SetOperationStmt:
			/* the walkers leave these out */
			foreach(lc, ((SetOperationStmt *) node)->groupClauses)
				check_implied(lfirst(lc), context);
			break;
		default:
			check_type(dbu_json_expr_type(node), context);
			break;
	}
}

static bool
safety_walker(Node *node, void *arg)
{
	SafetyContext *context = arg;

	if (node == NULL)
		return false;
	check_implied(node, context);
	check_functions_in_node(node, check_function, context);
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;

		if (query->commandType != CMD_SELECT && query->resultRelation > 0)
			check_target(query, context);
		check_tables(query, context);
		return query_tree_walker(query, safety_walker, context, QTW_EXAMINE_SORTGROUP);
	}
	return expression_tree_walker(node, safety_walker, context);
}

/*
 * Raises 0A000 unless everything that the rewritten queries do is undone by a
 * rollback, and 25006 for what would write on a standby.  types are those of
 * the parameters: a domain checks a value as soon as it is read.
 */
void
dbu_explain_require_safe(List *queries, const Oid *types, int ntypes)
{
	SafetyContext context = {0};
	ListCell   *lc;

	foreach(lc, queries)
		safety_walker(lfirst(lc), &context);
	for (int i = 0; i < ntypes; i++)
		check_type(types[i], &context);
}
