/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  The plan cache's settings, counters and status.
 *
 * Every setting may be changed by any user for his session: all they bear upon
 * is this backend's memory and which right plan is run.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/plancache.h"

#include "utils/guc.h"

int			dbu_plancache_mode = DBU_CACHE_OFF;
int			dbu_plancache_memory = 8192;
int			dbu_plancache_total_memory = 0;
bool		dbu_plancache_explain = false;
int			dbu_plancache_min_calls = 2;
int			dbu_plancache_min_plan_time = 0;
int			dbu_plancache_max_params = 200;
int			dbu_plancache_max_extra_locks = 16;
int			dbu_plancache_max_age = 300;
double		dbu_plancache_regret = 1.2;
double		dbu_plancache_verify = 0.0;

bool		dbu_plancache_settings_changed = false;

const char *const dbu_plancache_event_kind[] = {
#define X(id, kind, name, text) kind,
	DBU_PLAN_EVENTS(X)
#undef X
};
const char *const dbu_plancache_event_name[] = {
#define X(id, kind, name, text) name,
	DBU_PLAN_EVENTS(X)
#undef X
};
const char *const dbu_plancache_event_text[] = {
#define X(id, kind, name, text) text,
	DBU_PLAN_EVENTS(X)
#undef X
};

static const struct config_enum_entry mode_words[] = {
	{"off", DBU_CACHE_OFF, false},
	{"exact", DBU_CACHE_EXACT, false},
	{"auto", DBU_CACHE_AUTO, false},
	{"force", DBU_CACHE_FORCE, false},
	{NULL, 0, false}
};

/*
 * Verdicts hold what these settings said when they were made.  They are forgotten
 * before the next statement: here somebody may be looking at one.
 */
static void
note_int(int newval, void *extra)
{
	dbu_plancache_settings_changed = true;
}

static void
note_real(double newval, void *extra)
{
	dbu_plancache_settings_changed = true;
}

void
dbu_plancache_define_settings(void)
{
	DefineCustomEnumVariable("dbutil.plan_cache",
							 "Serves the plans of statements that repeat from a cache.",
							 "Off plans every statement. Exact serves a plan for the same literals only, auto also for others where the cost allows it, force always and from the first call on.",
							 &dbu_plancache_mode,
							 DBU_CACHE_OFF, mode_words,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("dbutil.plan_cache_explain",
							 "Lets EXPLAIN tell where the plan came from.",
							 "In a line Plan Cache: hit generic, hit exact, or miss with the reason, named as in dbutil.plan_cache_stats.",
							 &dbu_plancache_explain,
							 false,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.plan_cache_memory",
							"Memory that a session's cached plans may take.",
							NULL,
							&dbu_plancache_memory,
							8192, 64, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.plan_cache_total_memory",
							"Memory that the cached plans of all sessions may take together.",
							"A session that finds more in use stores nothing new without giving up as much. 0 means no limit; needs shared_preload_libraries.",
							&dbu_plancache_total_memory,
							0, 0, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.plan_cache_min_calls",
							"Calls of a statement after which its plan is stored.",
							"It must be made of calls that come close after each other.",
							&dbu_plancache_min_calls,
							2, 1, INT_MAX,
							PGC_USERSET, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("dbutil.plan_cache_min_plan_time",
							"Planning time in microseconds below which a plan is not stored.",
							NULL,
							&dbu_plancache_min_plan_time,
							0, 0, INT_MAX,
							PGC_USERSET, 0,
							NULL, note_int, NULL);
	DefineCustomIntVariable("dbutil.plan_cache_max_params",
							"Literals beyond which a statement is cached with its literals only.",
							NULL,
							&dbu_plancache_max_params,
							200, 0, 10000,
							PGC_USERSET, 0,
							NULL, note_int, NULL);
	DefineCustomIntVariable("dbutil.plan_cache_max_extra_locks",
							"Relations beyond those that the statement names whose plan is still stored.",
							"A served plan must lock all its relations, among them partitions that it does not read.",
							&dbu_plancache_max_extra_locks,
							16, 0, INT_MAX,
							PGC_USERSET, 0,
							NULL, note_int, NULL);
	DefineCustomIntVariable("dbutil.plan_cache_max_age",
							"Time after which a statement is planned again.",
							"0 means never for that reason.",
							&dbu_plancache_max_age,
							300, 0, INT_MAX / 1000,
							PGC_USERSET, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomRealVariable("dbutil.plan_cache_regret",
							 "How many times the cost of a custom plan a plan for all literals may have.",
							 NULL,
							 &dbu_plancache_regret,
							 1.2, 1.0, 1000.0,
							 PGC_USERSET, 0,
							 NULL, note_real, NULL);
	DefineCustomRealVariable("dbutil.plan_cache_verify",
							 "Share of hits that are planned all the same, to compare costs.",
							 NULL,
							 &dbu_plancache_verify,
							 0.0, 0.0, 1.0,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
}

/* The plan cache's row of dbutil.status(). */
void
dbu_plancache_report_status(DbuStatusSink *sink)
{
	if (dbu_plancache_mode == DBU_CACHE_OFF)
		dbu_status_row(sink, "plan cache", DBU_STATUS_OFF, "off",
					   "set dbutil.plan_cache = auto, for a session, a role or all");
	else
		dbu_status_row(sink, "plan cache", DBU_STATUS_OK,
					   psprintf("%s, %d entries, " UINT64_FORMAT " hits in this session",
								mode_words[dbu_plancache_mode].name,
								dbu_plancache_store_entries(),
								dbu_plancache_counts->events[DBU_PLAN_HIT_GENERIC] +
								dbu_plancache_counts->events[DBU_PLAN_HIT_EXACT]),
					   NULL);
}
