/*-------------------------------------------------------------------------
 *
 * advice_prove.c
 *	  Would the planner use an index that does not exist?  hypopg answers that.
 *
 * Its hypothetical indexes live in the memory of this backend and are seen by
 * EXPLAIN alone, so statements are planned here by EXPLAIN through SPI, with the
 * caller's rights.  They obey no transaction: whoever makes them removes them,
 * and only them, for the caller may have some of his own.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/advice.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/*
 * Runs what must succeed.  Not as reading only, though it is: SPI would take no
 * EXPLAIN then.
 */
static void
spi_query(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	int			result = SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute_with_args failed for \"%s\": %s", sql,
			 SPI_result_code_string(result));
}

/* NULL if hypopg is not there for this role. */
DbuProver *
dbu_explain_prover(void)
{
	DbuProver  *prover = NULL;
	MemoryContext context = CurrentMemoryContext;

	SPI_connect();
	spi_query("SELECT pg_catalog.quote_ident(n.nspname)"
			  " FROM pg_catalog.pg_extension AS e"
			  " JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace"
			  " WHERE e.extname OPERATOR(pg_catalog.=) 'hypopg'"
			  " AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')",
			  0, NULL, NULL, NULL);
	if (SPI_processed == 1)
	{
		char	   *schema = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		prover = MemoryContextAllocZero(context, sizeof(DbuProver));
		prover->context = context;
		prover->schema = MemoryContextStrdup(context, schema);
		/* loads it: what is planned from now on is planned in its presence */
		spi_query(psprintf("SELECT 1 FROM %s.hypopg() LIMIT 1", prover->schema), 0, NULL, NULL, NULL);
	}
	SPI_finish();
	return prover;
}

static void
create_on(DbuProver *prover, const DbuIndexCandidate *candidate, Oid relid,
		  List **oids, double *size)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(dbu_explain_index_ddl(candidate, relid, false))};
	MemoryContext spi;
	bool		isnull;
	Oid			oid;

	spi_query(psprintf("SELECT h.indexrelid FROM %s.hypopg_create_index($1) AS h", prover->schema),
			  1, types, values, NULL);
	if (SPI_processed != 1)
		elog(ERROR, "hypopg made " UINT64_FORMAT " indexes of one", SPI_processed);
	oid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	spi = MemoryContextSwitchTo(prover->context);
	prover->live = lappend_oid(prover->live, oid);
	*oids = lappend_oid(*oids, oid);
	MemoryContextSwitchTo(spi);

	types[0] = OIDOID;
	values[0] = ObjectIdGetDatum(oid);
	spi_query(psprintf("SELECT %s.hypopg_relation_size($1)", prover->schema), 1, types, values, NULL);
	*size += (double) DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
												  1, &isnull));
}

/*
 * Makes the candidate, on all partitions of a partitioned table; they are in
 * prover->live at once.  Sets the candidate's size.
 */
List *
dbu_explain_create_hypothetical(DbuProver *prover, DbuIndexCandidate *candidate)
{
	List	   *relids = list_make1_oid(candidate->relid);
	List	   *oids = NIL;
	double		size = 0;
	ListCell   *lc;

	if (get_rel_relkind(candidate->relid) == RELKIND_PARTITIONED_TABLE)
		relids = find_all_inheritors(candidate->relid, AccessShareLock, NULL);
	SPI_connect();
	foreach(lc, relids)
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_RELATION ||
			get_rel_relkind(lfirst_oid(lc)) == RELKIND_MATVIEW)
			create_on(prover, candidate, lfirst_oid(lc), &oids, &size);
	}
	SPI_finish();
	candidate->size = size;
	return oids;
}

/* Removes hypothetical indexes that are in prover->live. */
void
dbu_explain_drop_hypothetical(DbuProver *prover, List *oids)
{
	Oid			types[] = {OIDOID};
	ListCell   *lc;

	SPI_connect();
	foreach(lc, oids)
	{
		Datum		values[] = {ObjectIdGetDatum(lfirst_oid(lc))};

		spi_query(psprintf("SELECT %s.hypopg_drop_index($1)", prover->schema), 1, types, values, NULL);
	}
	SPI_finish();
	prover->live = list_difference_oid(prover->live, oids);
}

/* The statement's plan by EXPLAIN: DbuPlanStatement *. */
List *
dbu_explain_plan_by_sql(const DbuWorkloadQuery *query)
{
	MemoryContext context = CurrentMemoryContext;
	Datum	   *values = palloc0(sizeof(Datum) * (query->ntypes + 1));
	char	   *nulls = palloc0(query->ntypes + 1);
	const char *options = "VERBOSE, FORMAT JSON";
	int			nargs = 0;
	char	   *text;
	Datum		plan;

	if (query->params != NULL)
	{
		nargs = query->ntypes;
		for (int i = 0; i < nargs; i++)
		{
			values[i] = query->params->params[i].value;
			nulls[i] = query->params->params[i].isnull ? 'n' : ' ';
		}
	}
	else if (query->ntypes > 0)
		options = "VERBOSE, GENERIC_PLAN, FORMAT JSON";

	SPI_connect();
	spi_query(psprintf("EXPLAIN (%s) %s", options, query->text), nargs, query->types, values, nulls);
	if (SPI_processed != 1)
		elog(ERROR, "EXPLAIN gave " UINT64_FORMAT " rows", SPI_processed);
	text = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	MemoryContextSwitchTo(context);
	plan = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
	SPI_finish();
	return dbu_explain_read_plan(DatumGetJsonbP(plan));
}

double
dbu_explain_planned_cost(const DbuWorkloadQuery *query)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "dbutil explained plan",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	double		total = 0;
	ListCell   *lc;

	foreach(lc, dbu_explain_plan_by_sql(query))
	{
		const DbuPlanStatement *statement = lfirst(lc);
		double		cost = 0;

		dbu_explain_number(statement->root->fields, "Total Cost", &cost);
		total += cost;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return total;
}
