/*-------------------------------------------------------------------------
 *
 * json_scalar.c
 *	  One value of a JSON object becomes a value of a column, without the
 *	  detour over a record.
 *
 * jsonb_populate_record writes every value as text and has the type's input
 * function read it.  That is done here, too, for whatever is no array,
 * composite type or domain; but for the pairs of JSON and column types where
 * the text would only be read back as what was there before:
 *
 *		integers	of a number without a decimal point that fits (1.0 is an
 *					error for an integer, and one out of range has its own)
 *		numeric		of a number
 *		text		of a string, and varchar where nothing is to be cut off
 *		boolean		of true and false
 *		jsonb		of anything
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/bulk.h"
#include "bulk/json.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

static bool
is_scalar(Oid type)
{
	switch (get_typtype(type))
	{
		case TYPTYPE_BASE:
			return !OidIsValid(get_element_type(type));
		case TYPTYPE_ENUM:
		case TYPTYPE_RANGE:
		case TYPTYPE_MULTIRANGE:
			return true;
		default:
			return false;
	}
}

void
dbu_json_scalar_prepare(DbuJsonScalar *scalar, Oid type, int32 typmod)
{
	Oid			input;

	scalar->type = type;
	scalar->typmod = typmod;
	scalar->is_scalar = is_scalar(type);
	if (!scalar->is_scalar)
		return;
	getTypeInputInfo(type, &input, &scalar->input_param);
	fmgr_info(input, &scalar->input);
}

/* A number as an integer; false: as text it would be something else, or too large. */
static bool
as_integer(Numeric number, int32 *result)
{
	bool		out_of_range = false;

	/* in JSON there is neither NaN nor infinity, which have no scale */
	if (DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(number))) != 0)
		return false;
	*result = numeric_int4_opt_error(number, &out_of_range);
	return !out_of_range;
}

/* The value as it is, if it is one of the column's type in all but name. */
static bool
get_as_it_is(const DbuJsonScalar *scalar, JsonbValue *json, Datum *value)
{
	int32		number;

	switch (scalar->type)
	{
		case INT2OID:
			if (json->type != jbvNumeric || !as_integer(json->val.numeric, &number) ||
				number < PG_INT16_MIN || number > PG_INT16_MAX)
				return false;
			*value = Int16GetDatum((int16) number);
			return true;
		case INT4OID:
			if (json->type != jbvNumeric || !as_integer(json->val.numeric, &number))
				return false;
			*value = Int32GetDatum(number);
			return true;
		case INT8OID:
			if (json->type != jbvNumeric || !as_integer(json->val.numeric, &number))
				return false;
			*value = Int64GetDatum((int64) number);
			return true;
		case NUMERICOID:
			if (json->type != jbvNumeric)
				return false;
			*value = NumericGetDatum(json->val.numeric);
			if (scalar->typmod >= 0)
				*value = DirectFunctionCall2(numeric, *value, Int32GetDatum(scalar->typmod));
			return true;
		case TEXTOID:
		case VARCHAROID:
			/* in bytes it has no fewer than in characters */
			if (json->type != jbvString ||
				(scalar->typmod >= 0 && json->val.string.len > scalar->typmod - (int32) VARHDRSZ))
				return false;
			*value = PointerGetDatum(cstring_to_text_with_len(json->val.string.val, json->val.string.len));
			return true;
		case BOOLOID:
			if (json->type != jbvBool)
				return false;
			*value = BoolGetDatum(json->val.boolean);
			return true;
		case JSONBOID:
			*value = JsonbPGetDatum(JsonbValueToJsonb(json));
			return true;
		default:
			return false;
	}
}

static char *
as_text(const DbuJsonScalar *scalar, JsonbValue *json)
{
	Jsonb	   *jsonb;

	if (json->type == jbvBinary)
		return JsonbToCString(NULL, json->val.binary.data, json->val.binary.len);
	if (scalar->type == JSONOID)
	{
		/* with its quotes */
		jsonb = JsonbValueToJsonb(json);
		return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
	}
	switch (json->type)
	{
		case jbvString:
			return pnstrdup(json->val.string.val, json->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(json->val.numeric)));
		case jbvBool:
			return pstrdup(json->val.boolean ? "true" : "false");
		default:
			elog(ERROR, "unexpected type of a JSON value: %d", (int) json->type);
	}
}

/* The value, in the current memory context or in that of the JSON. */
Datum
dbu_json_scalar_get(DbuJsonScalar *scalar, JsonbValue *json, bool *isnull)
{
	Datum		value = (Datum) 0;

	*isnull = json->type == jbvNull;
	if (!*isnull && !get_as_it_is(scalar, json, &value))
		value = InputFunctionCall(&scalar->input, as_text(scalar, json), scalar->input_param, scalar->typmod);
	return value;
}
