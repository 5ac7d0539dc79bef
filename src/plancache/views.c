/*-------------------------------------------------------------------------
 *
 * views.c
 *	  The SQL surface of the plan cache.
 *
 * Everything shown is this backend's own, but for sums over all of them.  The text of an entry is its key
 * written back as SQL, lifted literals as $1, $2, ...; the literals that a
 * former caller sent are in no entry of the generic level.  Those of an exact
 * entry are, so after SET ROLE the rows of another role's statements show no
 * text and no relations, by the same rule as in every other view.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/plancache.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/access.h"
#include "core/errors.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(dbutil_plan_cache);
PG_FUNCTION_INFO_V1(dbutil_plan_cache_stats);
PG_FUNCTION_INFO_V1(dbutil_plan_cache_reset);
PG_FUNCTION_INFO_V1(dbutil_plan_cache_forget);
PG_FUNCTION_INFO_V1(dbutil_plan_cache_pin);
PG_FUNCTION_INFO_V1(dbutil_plan_cache_ban);
PG_FUNCTION_INFO_V1(dbutil_plan_cache_unmark);
PG_FUNCTION_INFO_V1(dbutil_plan_cache_why);

#define ENTRY_COLUMNS 20
#define STATS_COLUMNS 5

static const char *
state_word(const DbuPlanEntry *entry)
{
	if (!entry->valid)
		return "stale";
	switch (entry->state)
	{
		case DBU_ENTRY_SERVING:
			return "serving";
		case DBU_ENTRY_EXACT_ONLY:
			return "exact only";
		case DBU_ENTRY_REFUSED:
			return "refused";
	}
	return NULL;
}

/*
 * An entry's statement as text, NULL when it is stale.  Reads catalogs, so
 * nothing of the entry may be used afterwards that is not copied.
 */
static char *
entry_text(const DbuPlanEntry *entry)
{
	Query	   *key;

	if (!entry->valid)
		return NULL;
	key = copyObject(entry->key);
	for (int i = 0; i < entry->nrelations; i++)
		LockRelationOid(entry->relations[i], AccessShareLock);
	return entry->valid ? pg_get_querydef(key, false) : NULL;
}

static Datum
entry_relations(const DbuPlanEntry *entry)
{
	Datum	   *oids = palloc_array(Datum, Max(entry->nrelations, 1));

	for (int i = 0; i < entry->nrelations; i++)
		oids[i] = ObjectIdGetDatum(entry->relations[i]);
	return PointerGetDatum(construct_array(oids, entry->nrelations, REGCLASSOID,
										   sizeof(Oid), true, TYPALIGN_INT));
}

static void
put_entry(ReturnSetInfo *rsinfo, const DbuPlanEntry *entry)
{
	Datum		values[ENTRY_COLUMNS] = {0};
	bool		nulls[ENTRY_COLUMNS] = {false};
	bool		visible = dbu_may_see(entry->key_context.role);
	bool		has_generic = entry->generic_cost > 0;
	char	   *text;
	int			i = 0;

#define PUT(value) (values[i++] = (value))
#define PUT_IF(condition, value) \
	do { if (condition) values[i] = (value); else nulls[i] = true; i++; } while (0)

	PUT_IF(visible && entry->query_id != 0, Int64GetDatum((int64) entry->query_id));
	i++;						/* the text comes last, see entry_text */
	PUT(ObjectIdGetDatum(entry->key_context.role));
	PUT(CStringGetTextDatum(entry->exact ? "exact" : "generic"));
	PUT(CStringGetTextDatum(state_word(entry)));
	PUT_IF(entry->reason != DBU_PLAN_NONE,
		   CStringGetTextDatum(dbu_plancache_event_name[entry->reason]));
	PUT(Int32GetDatum(entry->nparams));
	PUT(Int64GetDatum((int64) entry->bytes));
	PUT(Int64GetDatum(entry->calls));
	PUT(Int64GetDatum(entry->hits));
	PUT(Int64GetDatum(entry->verified));
	PUT(Float8GetDatum(entry->planning_us));
	PUT(Float8GetDatum(entry->saved_us));
	PUT_IF(has_generic, Float8GetDatum(entry->generic_cost));
	PUT_IF(entry->custom_cost > 0, Float8GetDatum(entry->custom_cost));
	PUT_IF(entry->generic_runs > 0, Float8GetDatum(entry->generic_us / entry->generic_runs));
	PUT_IF(entry->custom_runs > 0, Float8GetDatum(entry->custom_us / entry->custom_runs));
	PUT_IF(visible, entry_relations(entry));
	PUT(TimestampTzGetDatum(entry->created));
	PUT(TimestampTzGetDatum(entry->last_used));
	Assert(i == ENTRY_COLUMNS);

	text = visible ? entry_text(entry) : pstrdup(DBU_HIDDEN_TEXT);
	if (text != NULL)
		values[1] = CStringGetTextDatum(text);
	else
		nulls[1] = true;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
#undef PUT
#undef PUT_IF
}

/*
 * One row for each entry.  Taking locks for the texts lets invalidation in,
 * which frees nothing, and runs no statement that could.
 */
Datum
dbutil_plan_cache(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	dlist_iter	iter;

	InitMaterializedSRF(fcinfo, 0);
	dlist_foreach(iter, dbu_plancache_store_list())
	{
		CHECK_FOR_INTERRUPTS();
		put_entry(rsinfo, dlist_container(DbuPlanEntry, node, iter.cur));
	}
	return (Datum) 0;
}

static void
put_stat(ReturnSetInfo *rsinfo, const char *kind, const char *name, uint64 value,
		 const uint64 *all, const char *text)
{
	Datum		values[STATS_COLUMNS] = {0};
	bool		nulls[STATS_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(kind);
	values[1] = CStringGetTextDatum(name);
	values[2] = Int64GetDatum((int64) value);
	if (all != NULL)
		values[3] = Int64GetDatum((int64) *all);
	else
		nulls[3] = true;
	values[4] = CStringGetTextDatum(text);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* Of all sessions nothing is told but sums. */
Datum
dbutil_plan_cache_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DbuPlanCounts all;
	uint64		all_bytes = dbu_plancache_all_bytes();
	uint64		all_saved;

	InitMaterializedSRF(fcinfo, 0);
	dbu_plancache_all_counts(&all);
	for (int i = DBU_PLAN_NONE + 1; i < DBU_PLAN_NEVENTS; i++)
		put_stat(rsinfo, dbu_plancache_event_kind[i], dbu_plancache_event_name[i],
				 dbu_plancache_counts->events[i], &all.events[i],
				 dbu_plancache_event_text[i]);
	all_saved = (uint64) all.saved_us;
	put_stat(rsinfo, "time", "saved_us", (uint64) dbu_plancache_counts->saved_us, &all_saved,
			 "planning time in microseconds that hits spared");

	put_stat(rsinfo, "now", "entries", dbu_plancache_store_entries(), NULL,
			 "entries stored");
	put_stat(rsinfo, "now", "bytes", dbu_plancache_store_bytes(), &all_bytes,
			 "memory that they take");
	return (Datum) 0;
}

Datum
dbutil_plan_cache_reset(PG_FUNCTION_ARGS)
{
	int			entries = dbu_plancache_store_entries();

	if (PG_GETARG_BOOL(0))
	{
		dbu_require_preload("dbutil.plan_cache_reset(all_backends => true)");
		if (!has_privs_of_role(GetUserId(), ROLE_PG_SIGNAL_BACKEND))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to reset the plan caches of all sessions"),
					 errhint("Ask a member of pg_signal_backend, or reset this session's alone.")));
		dbu_plancache_reset_all();
	}
	dbu_plancache_store_reset();
	memset(dbu_plancache_counts, 0, sizeof(*dbu_plancache_counts));
	PG_RETURN_INT32(entries);
}

Datum
dbutil_plan_cache_forget(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(dbu_plancache_store_forget(PG_GETARG_OID(0)));
}

/* Pin, ban or neither: what the statement had before. */
static Datum
set_mark(FunctionCallInfo fcinfo, DbuPlanMark mark, const char *function)
{
	int64		query_id = PG_GETARG_INT64(0);

	dbu_require_preload(function);
	if (query_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("0 is not a query identifier"),
				 errhint("Take one of the column queryid of dbutil.plan_cache or dbutil.statements.")));
	switch (dbu_plancache_set_mark((uint64) query_id, mark))
	{
		case DBU_MARK_PINNED:
			PG_RETURN_TEXT_P(cstring_to_text("pinned"));
		case DBU_MARK_BANNED:
			PG_RETURN_TEXT_P(cstring_to_text("banned"));
		default:
			PG_RETURN_TEXT_P(cstring_to_text("none"));
	}
}

Datum
dbutil_plan_cache_pin(PG_FUNCTION_ARGS)
{
	return set_mark(fcinfo, DBU_MARK_PINNED, "dbutil.plan_cache_pin()");
}

Datum
dbutil_plan_cache_ban(PG_FUNCTION_ARGS)
{
	return set_mark(fcinfo, DBU_MARK_BANNED, "dbutil.plan_cache_ban()");
}

Datum
dbutil_plan_cache_unmark(PG_FUNCTION_ARGS)
{
	return set_mark(fcinfo, DBU_MARK_NONE, "dbutil.plan_cache_unmark()");
}

/* ---------- why ---------- */

/* The one plannable statement in a text; NULL for a utility statement. */
static Query *
analyze_text(const char *text)
{
	List	   *parsed = pg_parse_query(text);
	List	   *queries;

	if (list_length(parsed) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("text must hold exactly one statement, not %d",
						list_length(parsed)),
				 errhint("Ask for each statement by itself.")));

	queries = pg_analyze_and_rewrite_fixedparams(linitial_node(RawStmt, parsed),
												 text, NULL, 0, NULL);
	if (list_length(queries) != 1)
		return NULL;
	return linitial_node(Query, queries)->commandType == CMD_UTILITY ?
		NULL : linitial_node(Query, queries);
}

/* The literals that are lifted, as text, in the order of their numbers. */
static Datum
literal_texts(const DbuRecognised *rec)
{
	Datum	   *texts = palloc_array(Datum, Max(rec->nliterals, 1));

	for (int i = 0; i < rec->nliterals; i++)
	{
		const Const *value = &rec->literals[i].value;
		Oid			output;
		bool		varlena;

		getTypeOutputInfo(value->consttype, &output, &varlena);
		texts[i] = CStringGetTextDatum(OidOutputFunctionCall(output, value->constvalue));
	}
	return PointerGetDatum(construct_array(texts, rec->nliterals, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/*
 * What would the cache do with a statement, sent as the simple protocol sends
 * it, with the session's settings; with plan_cache = off as if it were auto.
 */
Datum
dbutil_plan_cache_why(PG_FUNCTION_ARGS)
{
	char	   *statement = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Query	   *query = analyze_text(statement);
	DbuPlanContext context;
	DbuRecognised rec = {0};
	DbuPlanEntry *entry = NULL;
	DbuPlanEvent reason = DBU_PLAN_REF_COMMAND;
	const char *decision = "refused";
	bool		generic = false;
	Datum		values[6] = {0};
	bool		nulls[6] = {false};
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function returning record called in context that cannot accept type record"),
				 errhint("Select from dbutil.plan_cache_why() instead.")));

	dbu_plancache_store_init();
	if (query != NULL)
	{
		reason = dbu_plancache_context(query, statement, NULL,
									   CURSOR_OPT_PARALLEL_OK, &context);
		if (reason == DBU_PLAN_NONE)
		{
			if (context.mode == DBU_CACHE_OFF)
				context.mode = DBU_CACHE_AUTO;
			dbu_plancache_recognise(query, &context, &rec);
			reason = rec.refusal;
		}
	}

	if (reason == DBU_PLAN_NONE)
	{
		generic = dbu_plancache_generic_level(&rec, &context);
		if (generic)
			entry = dbu_plancache_find(&rec, false, &context);
		if (generic && entry != NULL && entry->state == DBU_ENTRY_EXACT_ONLY)
		{
			reason = entry->reason;
			generic = false;
		}
		if (!generic)
			entry = dbu_plancache_find(&rec, true, &context);

		if (entry == NULL)
			decision = "not stored yet";
		else if (entry->state == DBU_ENTRY_SERVING)
			decision = "hit";
		else
		{
			decision = "refused";
			reason = entry->reason;
		}
	}

	values[0] = CStringGetTextDatum(decision);
	if (rec.query != NULL && rec.refusal == DBU_PLAN_NONE)
	{
		values[1] = CStringGetTextDatum(generic ? "generic" : "exact");
		values[2] = Int32GetDatum(generic ? rec.nliterals : 0);
	}
	else
		nulls[1] = nulls[2] = true;
	if (generic)
		values[5] = literal_texts(&rec);
	else
		nulls[5] = true;
	if (reason != DBU_PLAN_NONE)
	{
		values[3] = CStringGetTextDatum(dbu_plancache_event_name[reason]);
		values[4] = CStringGetTextDatum(dbu_plancache_event_text[reason]);
	}
	else
		nulls[3] = nulls[4] = true;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
