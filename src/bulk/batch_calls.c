/*-------------------------------------------------------------------------
 *
 * batch_calls.c
 *	  The procedures bulk_insert_batches, bulk_update_batches and
 *	  bulk_delete_batches: their arguments and their result.
 *
 * All arguments are checked before anything is done.  A procedure that cannot
 * commit where it is called refuses at once.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/batches.h"
#include "core/errors.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(dbutil_bulk_insert_batches);
PG_FUNCTION_INFO_V1(dbutil_bulk_update_batches);
PG_FUNCTION_INFO_V1(dbutil_bulk_delete_batches);

#define MSECS_PER_DAY (SECS_PER_DAY * 1000.0)

/* Only a CALL of its own can commit. */
static void
check_can_commit(FunctionCallInfo fcinfo, DbuBulkOp op)
{
	if (fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!((CallContext *) fcinfo->context)->atomic)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("bulk_%s_batches() cannot commit here", dbu_bulk_op_names[op]),
			 errhint("Call it by itself: not between BEGIN and COMMIT, nor in a function, nor in a procedure with SET or SECURITY DEFINER. dbutil.bulk_%s() works within a transaction.",
					 dbu_bulk_op_names[op])));
}

static int
int_argument(FunctionCallInfo fcinfo, int arg, const char *name, int least, int if_null)
{
	int			value;

	if (PG_ARGISNULL(arg))
		return if_null;
	value = PG_GETARG_INT32(arg);
	if (value < least)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"%s\": %d", name, value),
				 errhint("Use %d or more.", least)));
	return value;
}

static double
interval_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	const Interval *span;
	double		ms;

	if (PG_ARGISNULL(arg))
		return -1;
	span = PG_GETARG_INTERVAL_P(arg);
	ms = span->time / 1000.0 + span->day * MSECS_PER_DAY +
		span->month * DAYS_PER_MONTH * MSECS_PER_DAY;
	if (ms < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter \"%s\" is negative", name),
				 errhint("Use an interval of 0 or more, or NULL for no limit.")));
	return ms;
}

/* In the order of the SQL parameters, from arg on; the next argument. */
static int
read_pacing(DbuBatches *batches, FunctionCallInfo fcinfo, int arg)
{
	DbuPacing  *pacing = &batches->pacing;

	if (PG_ARGISNULL(arg))
		dbu_error_null_argument("chunk_rows");
	pacing->chunk_rows = int_argument(fcinfo, arg++, "chunk_rows", 1, 0);
	pacing->chunk_target_ms = int_argument(fcinfo, arg++, "chunk_target_ms", 1, 0);
	pacing->max_duration_ms = interval_argument(fcinfo, arg++, "max_duration");
	pacing->max_replica_lag_ms = interval_argument(fcinfo, arg++, "max_replica_lag");
	pacing->max_wal_bytes_per_ms = int_argument(fcinfo, arg++, "max_wal_mb_per_s", 1, 0) * 1048.576;
	pacing->pause_ms = int_argument(fcinfo, arg++, "pause_ms", 0, 0);
	pacing->lock_timeout_ms = int_argument(fcinfo, arg++, "lock_timeout_ms", 0, 0);
	pacing->max_retries = int_argument(fcinfo, arg++, "max_retries", 0, 0);
	batches->job = PG_ARGISNULL(arg) ? dbu_bulk_new_job() : text_to_cstring(PG_GETARG_TEXT_PP(arg));
	arg++;
	if (batches->job[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter \"job\" is empty"),
				 errhint("Name the job, or leave the parameter out.")));
	if (PG_ARGISNULL(arg))
		dbu_error_null_argument("dry_run");
	pacing->dry_run = PG_GETARG_BOOL(arg++);
	batches->chunk_rows = pacing->chunk_rows;
	return arg;
}

static List *
names_argument(FunctionCallInfo fcinfo, int arg)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	List	   *names = NIL;

	if (PG_ARGISNULL(arg))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(arg), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			names = lappend(names, pstrdup(NameStr(*DatumGetName(elements[i]))));
	}
	return names;
}

static char *
text_argument(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

/* Rows come from here; a table or what is like one. */
static void
set_source(DbuBatches *batches, Oid relid, DbuBulkOp op)
{
	batches->source = relid;
	batches->source_facts = dbu_bulk_target_load(relid, op);
	batches->source_name = batches->source_facts->name;
	batches->source_sql = batches->source_facts->sql_name;
}

static DbuBatches *
begin(FunctionCallInfo fcinfo, DbuBulkOp op)
{
	DbuBatches *batches;

	check_can_commit(fcinfo, op);
	if (PG_ARGISNULL(0))
		dbu_error_null_argument("target");
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect_ext failed");
	batches = palloc0(sizeof(DbuBatches));
	INSTR_TIME_SET_CURRENT(batches->started);
	batches->op = op;
	batches->target = PG_GETARG_OID(0);
	batches->archive_to = InvalidOid;
	batches->proto = dbu_bulk_call_begin(op, batches->target);
	return batches;
}

static void
append_part(StringInfo text, const char *name, const char *value)
{
	if (value != NULL)
		appendStringInfo(text, "%s%s = %s", text->len > 0 ? ", " : "", name, value);
}

/* What a later call with the same job must repeat. */
static void
define(DbuBatches *batches)
{
	StringInfoData text;
	StringInfoData names;
	ListCell   *lc;
	ListCell   *from;

	initStringInfo(&text);
	initStringInfo(&names);
	append_part(&text, "op", dbu_bulk_op_names[batches->op]);
	append_part(&text, "target", batches->proto->target->sql_name);
	append_part(&text, "source", batches->source_sql);
	append_part(&text, "where_clause", batches->where_clause);
	append_part(&text, "set_clause", batches->set_clause);
	if (OidIsValid(batches->archive_to))
		append_part(&text, "archive_to", get_rel_name(batches->archive_to));
	foreach(lc, batches->key)
		appendStringInfo(&names, "%s%s", names.len > 0 ? " " : "", ((DbuColumn *) lfirst(lc))->quoted);
	append_part(&text, "key", pstrdup(names.data));
	resetStringInfo(&names);
	forboth(lc, batches->map_to, from, batches->map_from)
		appendStringInfo(&names, "%s%s:%s", names.len > 0 ? " " : "", (char *) lfirst(lc), (char *) lfirst(from));
	if (names.len > 0)
		append_part(&text, "columns", names.data);
	batches->definition = text.data;
}

/* How the rows of an insert went, as far as this call wrote any. */
static const char *
route_reason(const DbuBulkCall *proto)
{
	if (strcmp(dbu_bulk_route_name(proto), "direct") == 0)
		return "; rows went into the table without a statement";
	if (proto->op == DBU_BULK_INSERT && proto->not_direct != NULL)
		return psprintf("; statements through SPI: %s", proto->not_direct);
	return "";
}

/* All arguments are read: do it, and form the result. */
static Datum
finish(DbuBatches *batches, FunctionCallInfo fcinfo, MemoryContext caller)
{
	TupleDesc	desc;
	TupleDesc	row_desc;
	Datum		value;
	bool		isnull = false;
	char	   *reason;
	instr_time	now;

	define(batches);
	dbu_batches_run(batches);
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, batches->started);
	batches->res.elapsed_ms = batches->elapsed_before + INSTR_TIME_GET_MILLISEC(now);
	reason = psprintf("chunks by \"%s\", committed one by one%s",
					  ((DbuColumn *) linitial(batches->key))->name, route_reason(batches->proto));
	MemoryContextSwitchTo(caller);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	row_desc = lookup_rowtype_tupdesc_copy(TupleDescAttr(desc, 0)->atttypid, -1);
	value = dbu_bulk_result_form(row_desc, batches->op, batches->pacing.dry_run ? NULL : batches->job,
								 dbu_bulk_route_name(batches->proto), reason, &batches->res);
	value = HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), &value, &isnull));
	SPI_finish();
	return value;
}

Datum
dbutil_bulk_insert_batches(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	DbuBatches *batches = begin(fcinfo, DBU_BULK_INSERT);
	int			next;

	if (PG_ARGISNULL(1))
		dbu_error_null_argument("source");
	set_source(batches, PG_GETARG_OID(1), DBU_BULK_INSERT);
	batches->where_clause = text_argument(fcinfo, 3);
	if (batches->where_clause != NULL)
		dbu_clause_check_where(batches->where_clause);
	next = read_pacing(batches, fcinfo, 5);
	dbu_bulk_options_for_batches(batches->proto, fcinfo, next);
	dbu_batches_describe(batches, PG_ARGISNULL(4) ? (Datum) 0 : PG_GETARG_DATUM(4), !PG_ARGISNULL(4),
						 names_argument(fcinfo, 2));
	batches->proto->opt.columns = batches->map_to;
	return finish(batches, fcinfo, caller);
}

/* Update and delete find their rows by the key of what they write. */
static void
set_own_key(DbuBatches *batches, List *names)
{
	ListCell   *lc;

	set_source(batches, batches->target, batches->op);
	dbu_batches_describe(batches, (Datum) 0, false, names);
	batches->proto->opt.key = NIL;
	foreach(lc, batches->key)
		batches->proto->opt.key = lappend(batches->proto->opt.key, ((DbuColumn *) lfirst(lc))->name);
}

Datum
dbutil_bulk_update_batches(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	DbuBatches *batches = begin(fcinfo, DBU_BULK_UPDATE);
	List	   *set;
	ListCell   *lc;
	int			next;

	if (PG_ARGISNULL(1))
		dbu_error_null_argument("set_clause");
	if (PG_ARGISNULL(2))
		dbu_error_null_argument("where_clause");
	batches->set_clause = text_argument(fcinfo, 1);
	set = dbu_clause_check_set(batches->set_clause);
	batches->where_clause = text_argument(fcinfo, 2);
	dbu_clause_check_where(batches->where_clause);
	set_own_key(batches, names_argument(fcinfo, 3));
	foreach(lc, batches->key)
	{
		const DbuColumn *column = lfirst(lc);
		ListCell   *name;

		foreach(name, set)
		{
			if (strcmp(lfirst(name), column->name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("column \"%s\" is part of the key and cannot be set", column->name),
						 errhint("Rows are found by it from chunk to chunk; choose another key.")));
		}
	}
	foreach(lc, set)
		(void) dbu_bulk_target_column(batches->proto->target, lfirst(lc), "parameter \"set_clause\"");
	next = read_pacing(batches, fcinfo, 4);
	dbu_bulk_options_for_batches(batches->proto, fcinfo, next);
	return finish(batches, fcinfo, caller);
}

Datum
dbutil_bulk_delete_batches(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	DbuBatches *batches = begin(fcinfo, DBU_BULK_DELETE);
	int			next;

	if (PG_ARGISNULL(1))
		dbu_error_null_argument("where_clause");
	batches->where_clause = text_argument(fcinfo, 1);
	dbu_clause_check_where(batches->where_clause);
	set_own_key(batches, names_argument(fcinfo, 2));
	if (!PG_ARGISNULL(3))
		batches->archive_to = PG_GETARG_OID(3);
	next = read_pacing(batches, fcinfo, 4);
	dbu_bulk_options_for_batches(batches->proto, fcinfo, next);
	return finish(batches, fcinfo, caller);
}
