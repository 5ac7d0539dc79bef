/*-------------------------------------------------------------------------
 *
 * default.c
 *	  The default of a column, for a row that does not supply it.
 *
 * A statement that does not name a column leaves its default to PostgreSQL;
 * that is the rule.  It is evaluated here where rows that do and rows that do
 * not supply a column go into one statement (unite.c), and where keys are
 * compared among the rows given (feed.c).
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"

#include "access/relation.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parsetree.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"

struct DbuDefault
{
	bool		known;
	bool		volatile_value; /* another one for each row */
	ExprState  *expr;			/* NULL: null */
};

/* Does PostgreSQL itself pass an insert into the view on to what is below? */
static bool
passes_insert_on(Relation rel)
{
	if (rel->rd_rel->relkind != RELKIND_VIEW)
		return false;
	if (rel->trigdesc != NULL && rel->trigdesc->trig_insert_instead_row)
		return false;
	for (int i = 0; rel->rd_rules != NULL && i < rel->rd_rules->numLocks; i++)
	{
		if (rel->rd_rules->rules[i]->event == CMD_INSERT)
			return false;
	}
	return true;
}

/* NULL: there is none */
static Node *
default_expression(Relation rel, AttrNumber attnum)
{
	Node	   *result = build_column_default(rel, attnum);
	Query	   *query;
	TargetEntry *entry;
	Var		   *var;
	RangeTblEntry *rte;

	if (result != NULL || !passes_insert_on(rel))
		return result;
	query = get_view_query(rel);
	entry = list_nth(query->targetList, attnum - 1);
	var = (Var *) entry->expr;
	if (!IsA(var, Var) || var->varattno <= 0)
		return NULL;
	rte = rt_fetch(var->varno, query->rtable);
	if (rte->rtekind == RTE_RELATION)
	{
		Relation	below = relation_open(rte->relid, AccessShareLock);

		result = default_expression(below, var->varattno);
		relation_close(below, NoLock);
	}
	return result;
}

/* What a column becomes that is not supplied, ready to be run; NULL: null. */
Node *
dbu_bulk_default_expression(Relation rel, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	Node	   *expr = default_expression(rel, attnum);

	/* a domain may refuse null */
	if (expr == NULL && get_typtype(att->atttypid) == TYPTYPE_DOMAIN)
	{
		int32		typmod = -1;
		Oid			base = getBaseTypeAndTypmod(att->atttypid, &typmod);

		expr = coerce_to_domain((Node *) makeNullConst(base, typmod, att->attcollation),
								InvalidOid, -1, att->atttypid, COERCION_IMPLICIT,
								COERCE_IMPLICIT_CAST, -1, false);
	}
	return expr ? (Node *) expression_planner((Expr *) expr) : NULL;
}

static DbuDefault *
get_default(DbuBulkCall *call, int position)
{
	const DbuColumn *column = call->columns[position];
	DbuDefault *result;
	MemoryContext oldcxt;
	Relation	rel;
	Node	   *expr;

	if (call->defaults == NULL)
	{
		call->defaults = MemoryContextAllocZero(call->mcxt, sizeof(DbuDefault) * call->ncolumns);
		oldcxt = MemoryContextSwitchTo(call->mcxt);
		call->default_econtext = CreateStandaloneExprContext();
		MemoryContextSwitchTo(oldcxt);
	}
	result = &call->defaults[position];
	if (result->known)
		return result;

	oldcxt = MemoryContextSwitchTo(call->mcxt);
	rel = relation_open(call->target->relid, NoLock);
	expr = dbu_bulk_default_expression(rel, column->attnum);
	relation_close(rel, NoLock);
	if (expr != NULL)
	{
		result->volatile_value = contain_volatile_functions(expr);
		result->expr = ExecInitExpr((Expr *) expr, NULL);
	}
	result->known = true;
	MemoryContextSwitchTo(oldcxt);
	return result;
}

/* Is the default of the column at position the same for all rows of a statement? */
bool
dbu_bulk_default_is_stable(DbuBulkCall *call, int position)
{
	return !get_default(call, position)->volatile_value;
}

/* The value lives until the next reset. */
Datum
dbu_bulk_default_value(DbuBulkCall *call, int position, bool *isnull)
{
	ExprState  *expr = get_default(call, position)->expr;

	*isnull = true;
	if (expr == NULL)
		return (Datum) 0;
	return ExecEvalExprSwitchContext(expr, call->default_econtext, isnull);
}

void
dbu_bulk_default_reset(DbuBulkCall *call)
{
	if (call->default_econtext != NULL)
		ResetExprContext(call->default_econtext);
}
