/*-------------------------------------------------------------------------
 *
 * status.c
 *	  dbutil.status() and dbutil.version(): is everything on, and if not, what
 *	  is the line that mends it.
 *
 * Core tells of the library itself; each module adds rows of its own through
 * its status callback.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/module.h"

#include "catalog/pg_extension.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(dbutil_status);
PG_FUNCTION_INFO_V1(dbutil_version);

struct DbuStatusSink
{
	ReturnSetInfo *rsinfo;
};

void
dbu_status_row(DbuStatusSink *sink, const char *item, const char *state,
			   const char *value, const char *fix)
{
	Datum		values[4];
	bool		nulls[4] = {false, false, false, fix == NULL};

	values[0] = CStringGetTextDatum(item);
	values[1] = CStringGetTextDatum(state);
	values[2] = CStringGetTextDatum(value);
	values[3] = fix ? CStringGetTextDatum(fix) : (Datum) 0;
	tuplestore_putvalues(sink->rsinfo->setResult, sink->rsinfo->setDesc,
						 values, nulls);
}

/* The version that CREATE EXTENSION recorded in this database. */
static char *
sql_version(void)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum("dbutil"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(rel), &isnull);

		if (!isnull)
			version = TextDatumGetCString(datum);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return version;
}

Datum
dbutil_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(DBUTIL_VERSION));
}

Datum
dbutil_status(PG_FUNCTION_ARGS)
{
	DbuStatusSink sink;
	char	   *version;

	InitMaterializedSRF(fcinfo, 0);
	sink.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	if (dbu_preloaded)
		dbu_status_row(&sink, "preload", DBU_STATUS_OK, "yes", NULL);
	else
		dbu_status_row(&sink, "preload", DBU_STATUS_WARN, "no: tracking is off",
					   "add dbutil to shared_preload_libraries and restart the server");

	dbu_status_row(&sink, "library version", DBU_STATUS_OK, DBUTIL_VERSION, NULL);
	version = sql_version();
	if (version == NULL)
		version = pstrdup("none");
	if (strcmp(version, DBUTIL_VERSION) == 0)
		dbu_status_row(&sink, "extension version", DBU_STATUS_OK, version, NULL);
	else
		dbu_status_row(&sink, "extension version", DBU_STATUS_WARN, version,
					   "run ALTER EXTENSION dbutil UPDATE; or restart the server if its library is the older one");

	if (dbu_enabled)
		dbu_status_row(&sink, "enabled", DBU_STATUS_OK, "on", NULL);
	else
		dbu_status_row(&sink, "enabled", DBU_STATUS_OFF, "off",
					   "set dbutil.enabled = on and reload the configuration");
	dbu_status_row(&sink, "service", DBU_STATUS_OK, dbu_service(), NULL);

	for (int i = 0; i < dbu_nmodules; i++)
	{
		if (dbu_modules[i]->status != NULL)
			dbu_modules[i]->status(&sink);
	}
	return (Datum) 0;
}
