/*-------------------------------------------------------------------------
 *
 * workload.c
 *	  Statements from outside: given by the caller, or counted by tracking.
 *
 * A statement that the caller gives and that is wrong is his error.  One that
 * was counted may be older than the tables of today, come from another
 * search_path, or read what this role may not: it is skipped, and the reason
 * kept for a row that tells of it.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/named_params.h"
#include "core/one_statement.h"
#include "explain/advice.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/resowner.h"

/*
 * Is an error the server's or the session's, and none of the statement?  Planning
 * may run functions that it calls and ask other servers, so that a statement
 * can fail by any error there is.
 */
static bool
is_about_server(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		category == ERRCODE_TRANSACTION_ROLLBACK ||
		category == ERRCODE_INSUFFICIENT_RESOURCES ||
		category == ERRCODE_OPERATOR_INTERVENTION ||
		category == ERRCODE_SYSTEM_ERROR ||
		category == ERRCODE_INTERNAL_ERROR;
}

/*
 * Calls function(arg) in a subtransaction and the caller's memory context.
 * NULL if that went well, the message of an error of the statement; another
 * error passes.
 */
const char *
dbu_explain_try(DbuTriedFunction function, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		function(arg);
		/* what was locked stays locked */
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (error == NULL)
		return NULL;
	if (is_about_server(error->sqlerrcode))
		ReThrowError(error);
	return error->message;
}

/* Parses and analyzes query->text, which may have :name in it. */
static void
read_text(void *arg)
{
	DbuWorkloadQuery *query = arg;
	DbuQueryText source = {.original = query->text,.text = query->text};
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = dbu_explain_query_error_callback,
		.arg = &source
	};
	RawStmt    *raw;

	error_context_stack = &callback;
	dbu_find_params(&source, source.original, NULL);
	raw = dbu_parse_one_statement(source.text, "analyze");
	query->text = source.text;
	query->queries = pg_analyze_and_rewrite_varparams(raw, source.text, &query->types,
													  &query->ntypes, NULL);
	dbu_require_planned(query->queries, "analyze");
	error_context_stack = callback.previous;
}

static DbuWorkloadQuery *
new_query(const char *text, int number)
{
	DbuWorkloadQuery *query = palloc0(sizeof(DbuWorkloadQuery));

	query->number = number;
	query->text = text;
	query->calls = 1;
	return query;
}

/* A statement of the caller's; raises what is wrong with it. */
DbuWorkloadQuery *
dbu_explain_read_query(const char *text, int number)
{
	DbuWorkloadQuery *query = new_query(text, number);

	read_text(query);
	return query;
}

/* What was counted in this database, in the caller's memory context. */
static List *
counted_statements(int worst)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(worst)};
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi;
	List	   *queries = NIL;

	SPI_connect();
	if (SPI_execute_with_args("SELECT pg_catalog.min(s.query), s.queryid,"
							  " pg_catalog.sum(s.calls)::pg_catalog.float8, pg_catalog.sum(s.total_exec_time)"
							  " FROM dbutil.statements AS s"
							  " WHERE s.database_name OPERATOR(pg_catalog.=) pg_catalog.current_database()"
							  " AND s.query IS NOT NULL AND s.queryid IS NOT NULL"
							  " AND s.operation OPERATOR(pg_catalog.=) ANY ('{select,insert,update,delete,merge}'::pg_catalog.text[])"
							  " GROUP BY s.queryid"
							  " ORDER BY pg_catalog.sum(s.total_exec_time) DESC, s.queryid LIMIT $1",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read dbutil.statements");
	spi = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		DbuWorkloadQuery *query = new_query(SPI_getvalue(row, desc, 1), (int) i + 1);
		bool		isnull;

		query->queryid = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
		query->calls = DatumGetFloat8(SPI_getbinval(row, desc, 3, &isnull));
		query->total_time = DatumGetFloat8(SPI_getbinval(row, desc, 4, &isnull));
		queries = lappend(queries, query);
	}
	MemoryContextSwitchTo(spi);
	SPI_finish();
	return queries;
}

/* The statements that took the most time in this database: DbuWorkloadQuery *. */
List *
dbu_explain_worst_statements(int worst)
{
	List	   *queries;
	ListCell   *lc;

	if (worst < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("worst must be at least 1"),
				 errhint("Pass how many statements to look at, those that took the most time.")));
	queries = counted_statements(worst);
	foreach(lc, queries)
	{
		DbuWorkloadQuery *query = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		query->skipped = dbu_explain_try(read_text, query);
	}
	return queries;
}
