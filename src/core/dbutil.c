/*-------------------------------------------------------------------------
 *
 * dbutil.c
 *	  _PG_init and the module table: the only file that knows every module.
 *
 * The library works loaded in any way.  Through shared_preload_libraries it
 * gets shared memory and everything is on; loaded later (by
 * session_preload_libraries, LOAD or the first call of one of its functions)
 * the modules that need shared memory stay dormant and say so when called.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/module.h"
#include "core/shmem.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

extern const DbuModule dbu_track_module;
extern const DbuModule dbu_watch_module;
extern const DbuModule dbu_plancache_module;
extern const DbuModule dbu_prepared_module;
extern const DbuModule dbu_bulk_module;
extern const DbuModule dbu_explain_module;
extern const DbuModule dbu_health_module;

/* In init order. */
const DbuModule *const dbu_modules[] = {
	&dbu_track_module,
	&dbu_watch_module,
	&dbu_plancache_module,
	&dbu_prepared_module,
	&dbu_bulk_module,
	&dbu_explain_module,
	&dbu_health_module,
};
const int	dbu_nmodules = lengthof(dbu_modules);

bool		dbu_enabled = true;
bool		dbu_preloaded = false;

static char *service_setting = NULL;

/*
 * The service that the current session works for: dbutil.service, else
 * application_name, else '<none>'.
 */
const char *
dbu_service(void)
{
	if (service_setting != NULL && service_setting[0] != '\0')
		return service_setting;
	if (application_name != NULL && application_name[0] != '\0')
		return application_name;
	return "<none>";
}

void
_PG_init(void)
{
	dbu_preloaded = process_shared_preload_libraries_in_progress;

	DefineCustomBoolVariable("dbutil.enabled",
							 "Lets dbutil's hooks do their work.",
							 "Off makes every hook a pass-through from the next statement on.",
							 &dbu_enabled,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomStringVariable("dbutil.service",
							   "Name of the service that the session works for.",
							   "Statistics are kept per service. Empty means application_name.",
							   &service_setting,
							   "",
							   PGC_USERSET, 0,
							   NULL, NULL, NULL);
	if (dbu_preloaded)
		dbu_shmem_define_settings();

	for (int i = 0; i < dbu_nmodules; i++)
	{
		if (dbu_modules[i]->init != NULL)
			dbu_modules[i]->init();
	}
	MarkGUCPrefixReserved("dbutil");

	dbu_hooks_install();
}
