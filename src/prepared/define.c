/*-------------------------------------------------------------------------
 *
 * define.c
 *	  dbutil.prepare_statement() and dbutil.deallocate_statement().
 *
 * The text is parsed and analyzed as the caller, who learns here what is wrong
 * with it and which types its parameters have; nothing of it is evaluated or
 * executed.  Errors that point into the text keep their position, as errors in
 * an internal query, which is the text as he wrote it.
 *
 *-------------------------------------------------------------------------
 */
#include "prepared/prepared.h"

#include "core/errors.h"
#include "core/one_statement.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(dbutil_prepare_statement);
PG_FUNCTION_INFO_V1(dbutil_deallocate_statement);

/* ---------- arguments ---------- */

static void
check_label(const char *parameter, const char *label)
{
	if (label[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter \"%s\" must not be empty", parameter),
				 strcmp(parameter, "service") == 0 ?
				 errhint("Pass NULL for a statement of no service.") :
				 errhint("Pass a name of 1 to %d bytes.", NAMEDATALEN - 1)));
	if (strlen(label) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("parameter \"%s\" is too long", parameter),
				 errhint("Pass at most %d bytes.", NAMEDATALEN - 1)));
}

/* The key out of the arguments name and service. */
static DbuPreparedKey
key_argument(FunctionCallInfo fcinfo, int name_at, int service_at)
{
	DbuPreparedKey key;
	char	   *name;
	char	   *service = pstrdup("");

	if (PG_ARGISNULL(name_at))
		dbu_error_null_argument("name");
	name = text_to_cstring(PG_GETARG_TEXT_PP(name_at));
	check_label("name", name);
	if (!PG_ARGISNULL(service_at))
	{
		service = text_to_cstring(PG_GETARG_TEXT_PP(service_at));
		check_label("service", service);
	}
	(void) dbu_prepared_set_key(&key, service, name);
	return key;
}

/* The types that the caller gave; those he left open are InvalidOid. */
static void
types_argument(ArrayType *array, Oid **types, int *ntypes)
{
	Datum	   *elements;
	bool	   *nulls;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter_types must have one dimension"),
				 errhint("Pass one type for each parameter, NULL for one to be inferred.")));
	deconstruct_array(array, REGTYPEOID, sizeof(Oid), true, TYPALIGN_INT,
					  &elements, &nulls, ntypes);
	*types = palloc0(Max(*ntypes, 1) * sizeof(Oid));
	for (int i = 0; i < *ntypes; i++)
	{
		Oid			type = nulls[i] ? InvalidOid : DatumGetObjectId(elements[i]);

		if (!OidIsValid(type) || type == UNKNOWNOID)
			continue;
		if (!get_typisdefined(type) || get_typtype(type) == TYPTYPE_PSEUDO)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("type %s of parameter %d cannot be the type of a value",
							format_type_be(type), i + 1),
					 errhint("Pass the type of a column, or NULL for one to be inferred.")));
		(*types)[i] = type;
	}
}

/* ---------- analysis ---------- */

/* Sets the names and types of the definition's parameters. */
static void
analyze_statement(DbuDefinition *definition, Oid *types, int ntypes)
{
	DbuQueryText query = {.original = definition->statement,.text = definition->statement};
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = dbu_prepared_text_error,
		.arg = &query
	};
	int			given = ntypes;
	int			nest = dbu_prepared_read_safely();
	RawStmt    *raw;
	Query	   *analyzed;

	error_context_stack = &callback;
	dbu_find_params(&query, definition->statement, NULL);
	raw = dbu_parse_one_statement(query.text, "prepare");
	AtEOXact_GUC(true, nest);
	if (query.names != NIL && given > list_length(query.names))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter_types has more types (%d) than the statement has parameters (%d)",
						given, list_length(query.names)),
				 errhint("Pass one type for each name, in the order in which they first appear.")));

	analyzed = parse_analyze_varparams(raw, query.text, &types, &ntypes, NULL);
	for (int i = 0; i < ntypes; i++)
	{
		if (!OidIsValid(types[i]) || types[i] == UNKNOWNOID)
			ereport(ERROR,
					(errcode(ERRCODE_INDETERMINATE_DATATYPE),
					 errmsg("could not determine data type of parameter %s",
							dbu_prepared_parameter_name(query.names, i + 1))));
	}
	dbu_require_planned(pg_rewrite_query(analyzed), "prepare");
	error_context_stack = callback.previous;

	definition->names = query.names;
	definition->types = types;
	definition->ntypes = ntypes;
}

/* ---------- definitions that go ---------- */

#define MAX_REMOVED 64

/* Replaced or removed in this transaction, maybe in a part that is undone. */
static struct
{
	DbuPreparedKey key;
	int64		id;
}			removed[MAX_REMOVED];
static int	nremoved = 0;

/* What is gone when the transaction commits needs its metrics no more. */
static void
transaction_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT)
	{
		for (int i = 0; i < nremoved; i++)
		{
			DbuDefinition present;

			if (!dbu_prepared_table_exists() ||
				!dbu_prepared_read(&removed[i].key, &present) || present.id != removed[i].id)
				dbu_prepared_metrics_gone(removed[i].id);
		}
	}
	nremoved = 0;
}

/* Many in one transaction are not noted: their metrics count as lost later. */
static void
note_removal(const DbuDefinition *definition)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(transaction_callback, NULL);
		registered = true;
	}
	if (dbu_prepared_metrics_on() && nremoved < MAX_REMOVED)
	{
		removed[nremoved].key = definition->key;
		removed[nremoved].id = definition->id;
		nremoved++;
	}
}

/* ---------- SQL functions ---------- */

static int64
new_id(void)
{
	int64		id;

	if (!pg_strong_random(&id, sizeof(id)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	return id & PG_INT64_MAX;
}

static void
require_change(const DbuDefinition *definition, const char *what)
{
	if (dbu_prepared_may_change(definition->owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to %s prepared statement \"%s\"", what,
					definition->key.name),
			 dbu_prepared_owner_exists(definition->owner) ?
			 errdetail("It belongs to role \"%s\".", definition->owner) :
			 errdetail("Its owner, role \"%s\", does not exist any more.", definition->owner),
			 dbu_prepared_owner_exists(definition->owner) ?
			 errhint("Its owner, members of that role and superusers may.") :
			 errhint("Superusers may.")));
}

static void
begin_change(const char *function)
{
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	PreventCommandDuringRecovery(function);
}

Datum
dbutil_prepare_statement(PG_FUNCTION_ARGS)
{
	DbuDefinition definition = {0};
	DbuDefinition present;
	Oid		   *types = NULL;
	int			ntypes = 0;
	bool		update;

	definition.key = key_argument(fcinfo, 0, 3);
	if (PG_ARGISNULL(1))
		dbu_error_null_argument("statement");
	if (PG_ARGISNULL(4))
		dbu_error_null_argument("replace");
	begin_change("dbutil.prepare_statement()");
	definition.statement = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
		types_argument(PG_GETARG_ARRAYTYPE_P(2), &types, &ntypes);
	analyze_statement(&definition, types, ntypes);

	definition.id = new_id();
	definition.prepared_at = GetCurrentTimestamp();
	strlcpy(definition.owner, GetUserNameFromId(GetUserId(), false), NAMEDATALEN);

	dbu_prepared_lock(&definition.key);
	update = dbu_prepared_read(&definition.key, &present);
	if (update)
	{
		if (!PG_GETARG_BOOL(4))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_PSTATEMENT),
					 definition.key.service[0] == '\0' ?
					 errmsg("prepared statement \"%s\" already exists", definition.key.name) :
					 errmsg("prepared statement \"%s\" already exists in service \"%s\"",
							definition.key.name, definition.key.service),
					 errhint("Pass replace => true to replace it.")));
		require_change(&present, "replace");
		/* it stays who it belongs to, if he is still there */
		if (dbu_prepared_owner_exists(present.owner))
			strlcpy(definition.owner, present.owner, NAMEDATALEN);
		definition.tid = present.tid;
		note_removal(&present);
	}
	dbu_prepared_write(&definition, update);
	PG_RETURN_VOID();
}

Datum
dbutil_deallocate_statement(PG_FUNCTION_ARGS)
{
	DbuPreparedKey key = key_argument(fcinfo, 0, 1);
	DbuDefinition present;

	begin_change("dbutil.deallocate_statement()");
	dbu_prepared_lock(&key);
	if (!dbu_prepared_read(&key, &present))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_PSTATEMENT),
				 key.service[0] == '\0' ?
				 errmsg("prepared statement \"%s\" does not exist", key.name) :
				 errmsg("prepared statement \"%s\" does not exist in service \"%s\"",
						key.name, key.service),
				 errhint("See dbutil.prepared_statements; pass the service that it was prepared for.")));
	require_change(&present, "deallocate");
	note_removal(&present);
	dbu_prepared_delete(&present);
	PG_RETURN_VOID();
}
