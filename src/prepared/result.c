/*-------------------------------------------------------------------------
 *
 * result.c
 *	  What a prepared statement returns -> the rows of the function call.
 *
 * A receiver hands each row to the function's tuplestore as it comes.  Rows
 * become records, whose columns the caller has listed behind AS, or JSON
 * objects.  The list is compared with what the statement returns before its
 * first row is computed; it must agree exactly in number and types, as for
 * RETURN QUERY.  A statement that returns no rows, such as INSERT without
 * RETURNING, gives one row that tells how many it processed.
 *
 *-------------------------------------------------------------------------
 */
#include "prepared/prepared.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/plancache.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

/* ---------- the caller's list of columns ---------- */

/* AS (...) that fits. */
static char *
column_list(TupleDesc desc)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		appendStringInfo(&list, "%s%s %s", i == 0 ? "" : ", ",
						 quote_identifier(NameStr(att->attname)),
						 format_type_with_typemod(att->atttypid, att->atttypmod));
	}
	return list.data;
}

/* The columns of a statement that returns no rows. */
static TupleDesc
count_columns(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(1);

	TupleDescInitEntry(desc, 1, "rows", INT8OID, -1, 0);
	return desc;
}

/* 42804 unless the caller's list, if there is one, fits what is returned. */
static void
check_columns(DbuResult *result, TupleDesc returned)
{
	TupleDesc	expected = result->rsinfo->expectedDesc;
	char	   *detail = NULL;

	if (result->json || expected == NULL)
		return;
	if (expected->natts != returned->natts)
		detail = psprintf("Number of returned columns (%d) does not match the number in the list (%d).",
						  returned->natts, expected->natts);
	for (int i = 0; detail == NULL && i < expected->natts; i++)
	{
		Form_pg_attribute want = TupleDescAttr(expected, i);
		Form_pg_attribute have = TupleDescAttr(returned, i);

		if (want->atttypid != have->atttypid ||
			(want->atttypmod != -1 && want->atttypmod != have->atttypmod))
			detail = psprintf("Column %d is of type %s, the list has %s.", i + 1,
							  format_type_with_typemod(have->atttypid, have->atttypmod),
							  format_type_with_typemod(want->atttypid, want->atttypmod));
	}
	if (detail != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column definition list does not fit the result of prepared statement \"%s\"",
						result->name),
				 errdetail_internal("%s", detail),
				 errhint("Write AS (%s).", column_list(returned))));
}

/* ---------- the receiver ---------- */

static void
set_columns(DbuResult *result, TupleDesc desc)
{
	MemoryContext oldcxt =
		MemoryContextSwitchTo(result->rsinfo->econtext->ecxt_per_query_memory);

	/* without a list the rows are anonymous records, known by their typmod */
	result->rsinfo->setDesc = BlessTupleDesc(CreateTupleDescCopy(desc));
	MemoryContextSwitchTo(oldcxt);
}

/* A JSON object has each key once: two columns of a name would lose one. */
static void
check_keys(DbuResult *result, TupleDesc desc)
{
	for (int i = 0; i < desc->natts; i++)
	{
		for (int j = i + 1; j < desc->natts; j++)
		{
			const char *name = NameStr(TupleDescAttr(desc, i)->attname);

			if (strcmp(name, NameStr(TupleDescAttr(desc, j)->attname)) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("prepared statement \"%s\" returns column \"%s\" twice",
								result->name, name),
						 errhint("Give its columns different names by AS.")));
		}
	}
}

static void
begin_json(DbuResult *result)
{
	Node	   *row = (Node *) makeNullConst(RECORDOID, -1, InvalidOid);

	result->row_mcxt = AllocSetContextCreate(CurrentMemoryContext,
											 "dbutil row of a prepared statement",
											 ALLOCSET_DEFAULT_SIZES);
	/* the function asks for the type of its argument */
	fmgr_info(F_TO_JSONB, &result->to_jsonb);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(row), InvalidOid,
											 InvalidOid, COERCE_EXPLICIT_CALL),
					   &result->to_jsonb);
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	DbuResult  *result = (DbuResult *) self;

	result->started = true;
	if (result->json)
	{
		check_keys(result, desc);
		begin_json(result);
		return;
	}
	check_columns(result, desc);
	set_columns(result, desc);
}

static bool
receive_record(TupleTableSlot *slot, DestReceiver *self)
{
	tuplestore_puttupleslot(((DbuResult *) self)->rsinfo->setResult, slot);
	return true;
}

static void
put_json(DbuResult *result, Datum jsonb)
{
	bool		isnull = false;

	tuplestore_putvalues(result->rsinfo->setResult, result->rsinfo->setDesc, &jsonb, &isnull);
}

static bool
receive_json(TupleTableSlot *slot, DestReceiver *self)
{
	DbuResult  *result = (DbuResult *) self;
	MemoryContext oldcxt = MemoryContextSwitchTo(result->row_mcxt);

	if (slot->tts_tupleDescriptor->tdtypeid == RECORDOID &&
		slot->tts_tupleDescriptor->tdtypmod < 0)
		assign_record_type_typmod(slot->tts_tupleDescriptor);
	put_json(result, FunctionCall1(&result->to_jsonb, ExecFetchSlotHeapTupleDatum(slot)));
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(result->row_mcxt);
	return true;
}

static void
receiver_nothing(DestReceiver *self)
{
}

/* ---------- what execute.c calls ---------- */

/* Prepares the function's result.  0A000 where no set can be returned. */
void
dbu_prepared_result_begin(DbuResult *result, FunctionCallInfo fcinfo, const char *name, bool json)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext oldcxt;

	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		(rsinfo->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set"),
				 errhint("Call it in FROM.")));

	memset(result, 0, sizeof(*result));
	result->pub.receiveSlot = json ? receive_json : receive_record;
	result->pub.rStartup = receiver_startup;
	result->pub.rShutdown = receiver_nothing;
	result->pub.rDestroy = receiver_nothing;
	result->pub.mydest = DestTuplestore;
	result->rsinfo = rsinfo;
	result->name = name;
	result->json = json;

	rsinfo->returnMode = SFRM_Materialize;
	oldcxt = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	rsinfo->setResult =
		tuplestore_begin_heap((rsinfo->allowedModes & SFRM_Materialize_Random) != 0,
							  false, work_mem);
	if (json)
		rsinfo->setDesc = CreateTupleDescCopy(rsinfo->expectedDesc);
	MemoryContextSwitchTo(oldcxt);
}

/* Before anything is executed: does the list fit a statement without rows? */
void
dbu_prepared_result_expect(DbuResult *result, DbuPrepared *prepared)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(prepared->plan));

	if (source->resultDesc == NULL)
		check_columns(result, count_columns());
}

static Datum
count_object(uint64 processed)
{
	JsonbParseState *state = NULL;
	JsonbValue	value;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	value.type = jbvString;
	value.val.string.val = "rows";
	value.val.string.len = strlen("rows");
	pushJsonbValue(&state, WJB_KEY, &value);
	value.type = jbvNumeric;
	value.val.numeric = int64_to_numeric((int64) processed);
	pushJsonbValue(&state, WJB_VALUE, &value);
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

/* After execution. */
void
dbu_prepared_result_end(DbuResult *result, uint64 processed)
{
	TupleDesc	desc;
	Datum		value = Int64GetDatum((int64) processed);
	bool		isnull = false;

	if (result->started)
		return;
	if (result->json)
	{
		put_json(result, count_object(processed));
		return;
	}
	desc = count_columns();
	check_columns(result, desc);
	set_columns(result, desc);
	tuplestore_putvalues(result->rsinfo->setResult, result->rsinfo->setDesc, &value, &isnull);
}
