/*-------------------------------------------------------------------------
 *
 * json.h
 *	  One value of a JSON object becomes a value of a column.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_BULK_JSON_H
#define DBU_BULK_JSON_H

#include "fmgr.h"
#include "utils/jsonb.h"

/* A column's type, and how it reads text. */
typedef struct DbuJsonScalar
{
	Oid			type;
	int32		typmod;
	bool		is_scalar;		/* no array, composite type or domain; only then: */
	FmgrInfo	input;
	Oid			input_param;
} DbuJsonScalar;

extern void dbu_json_scalar_prepare(DbuJsonScalar *scalar, Oid type, int32 typmod);
extern Datum dbu_json_scalar_get(DbuJsonScalar *scalar, JsonbValue *json, bool *isnull);

#endif							/* DBU_BULK_JSON_H */
