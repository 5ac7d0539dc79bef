/*-------------------------------------------------------------------------
 *
 * sources.c
 *	  bulk_insert_query(), bulk_insert_columns() and bulk_insert_data(): as
 *	  bulk_insert(), with its parameters in a jsonb.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"
#include "core/errors.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(dbutil_bulk_insert_query);
PG_FUNCTION_INFO_V1(dbutil_bulk_insert_columns);
PG_FUNCTION_INFO_V1(dbutil_bulk_insert_data);

static void
options_at(DbuBulkCall *call, FunctionCallInfo fcinfo, int arg)
{
	if (PG_ARGISNULL(arg))
		dbu_error_null_argument("options");
	dbu_bulk_options_from_jsonb(call, PG_GETARG_DATUM(arg));
}

static void
options_third(DbuBulkCall *call, FunctionCallInfo fcinfo)
{
	options_at(call, fcinfo, 2);
}

static void
options_fourth(DbuBulkCall *call, FunctionCallInfo fcinfo)
{
	options_at(call, fcinfo, 3);
}

/* ---------- a query ---------- */

static DbuSource *
open_query(DbuBulkCall *call, FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(1))
		dbu_error_null_argument("source");
	return dbu_bulk_tuples_open(call, dbu_bulk_tuples_of_query(text_to_cstring(PG_GETARG_TEXT_PP(1))));
}

Datum
dbutil_bulk_insert_query(PG_FUNCTION_ARGS)
{
	return dbu_bulk_call(fcinfo, DBU_BULK_INSERT, options_third, open_query, dbu_bulk_insert_flush);
}

/* ---------- columns ---------- */

static void
options_of_columns(DbuBulkCall *call, FunctionCallInfo fcinfo)
{
	options_at(call, fcinfo, 2);
	if (call->opt.columns != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"columns\" is given by the parameter of that name"),
				 errhint("Leave it out of the options.")));
}

static DbuSource *
open_columns(DbuBulkCall *call, FunctionCallInfo fcinfo)
{
	int			n = PG_NARGS() - 3;
	Datum	   *elements;
	bool	   *nulls;
	int			nnames;
	const char **names;
	Oid		   *types;
	Datum	   *arrays;

	if (PG_ARGISNULL(1))
		dbu_error_null_argument("columns");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &elements, &nulls, &nnames);
	if (get_fn_expr_variadic(fcinfo->flinfo) || nnames != n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d columns are named, but %d arrays given", nnames,
						get_fn_expr_variadic(fcinfo->flinfo) ? 0 : n),
				 errhint("Give one array for each column, as parameters of their own.")));
	names = palloc(sizeof(char *) * n);
	types = palloc(sizeof(Oid) * n);
	arrays = palloc(sizeof(Datum) * n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			dbu_error_null_argument("columns");
		names[i] = NameStr(*DatumGetName(elements[i]));
		types[i] = get_fn_expr_argtype(fcinfo->flinfo, i + 3);
		if (PG_ARGISNULL(i + 3))
			dbu_error_null_argument("arrays");
		if (!OidIsValid(get_element_type(types[i])))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("what is given for column \"%s\" is of type %s, not an array", names[i],
							format_type_be(types[i])),
					 errhint("Cast it, for example ARRAY[1, 2]::int[].")));
		arrays[i] = PG_GETARG_DATUM(i + 3);
	}
	return dbu_bulk_tuples_open(call, dbu_bulk_tuples_of_columns(names, n, types, arrays));
}

Datum
dbutil_bulk_insert_columns(PG_FUNCTION_ARGS)
{
	return dbu_bulk_call(fcinfo, DBU_BULK_INSERT, options_of_columns, open_columns, dbu_bulk_insert_flush);
}

/* ---------- data of COPY ---------- */

static DbuSource *
open_data(DbuBulkCall *call, FunctionCallInfo fcinfo)
{
	char	   *format;

	if (PG_ARGISNULL(1))
		dbu_error_null_argument("data");
	if (PG_ARGISNULL(2))
		dbu_error_null_argument("format");
	format = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (strcmp(format, "binary") != 0 && strcmp(format, "text") != 0 && strcmp(format, "csv") != 0)
		dbu_error_bad_word("format", format, "binary, text, csv");
	return dbu_bulk_copy_open(call, PG_GETARG_DATUM(1), format);
}

Datum
dbutil_bulk_insert_data(PG_FUNCTION_ARGS)
{
	return dbu_bulk_call(fcinfo, DBU_BULK_INSERT, options_fourth, open_data, dbu_bulk_insert_flush);
}
