/*-------------------------------------------------------------------------
 *
 * prepared.c
 *	  Statements prepared by name, for all sessions of a database: settings,
 *	  status, and what more than one file of the module needs.
 *
 *-------------------------------------------------------------------------
 */
#include "prepared/prepared.h"

#include "utils/guc.h"

int			dbu_prepared_max = 1000;
int			dbu_prepared_max_plans = 100;

/*
 * Where a literal of a text ends is the same in every session, so that what was
 * checked when it was prepared is what runs.  backslash_quote can only refuse a
 * text; what literals and comparisons mean (DateStyle, transform_null_equals) is
 * the calling session's, as it is for PREPARE.  Answers the nest level to end by
 * AtEOXact_GUC(true, level); an error ends it too.
 */
int
dbu_prepared_read_safely(void)
{
	int			nest = NewGUCNestLevel();

	(void) set_config_option("standard_conforming_strings", "on", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nest;
}

/* How the statement calls its n'th parameter, counted from 1; palloc'd. */
const char *
dbu_prepared_parameter_name(List *names, int number)
{
	if (number <= list_length(names))
		return psprintf(":%s", (char *) list_nth(names, number - 1));
	return psprintf("$%d", number);
}

/*
 * Error context of reading a text; arg is a DbuQueryText.  An error that points
 * into what was parsed, as the server's parser or SPI report it, becomes one
 * that points into the text as its author wrote it.
 */
void
dbu_prepared_text_error(void *arg)
{
	const DbuQueryText *query = arg;
	int			position = geterrposition();

	if (position <= 0)
		position = getinternalerrposition();
	if (position > 0)
	{
		errposition(0);
		internalerrposition(dbu_original_position(query, position));
		internalerrquery(query->original);
	}
	if (geterrcode() == ERRCODE_INDETERMINATE_DATATYPE)
		errhint("Cast the parameter in the statement, or pass its type in parameter_types.");
}

static void
init(void)
{
	DefineCustomIntVariable("dbutil.prepared_max_plans",
							"Prepared statements whose plans a session keeps.",
							"When more are executed, the one unused longest gives way, and is planned anew at its next call.",
							&dbu_prepared_max_plans, 100, 1, 100000,
							PGC_USERSET, 0, NULL, NULL, NULL);
	if (!dbu_preloaded)
		return;
	DefineCustomIntVariable("dbutil.prepared_max",
							"Prepared statements whose metrics are kept at a time.",
							"Any number can be prepared; when more are executed, metrics of those used least are lost.",
							&dbu_prepared_max, 1000, 10, 1000000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

static void
status(DbuStatusSink *sink)
{
	uint64		lost;

	if (!dbu_prepared_metrics_on())
	{
		dbu_status_row(sink, "metrics of prepared statements", DBU_STATUS_OFF,
					   "need shared memory",
					   "add dbutil to shared_preload_libraries and restart the server");
		return;
	}
	lost = dbu_prepared_metrics_lost();
	dbu_status_row(sink, "metrics of prepared statements lost",
				   lost == 0 ? DBU_STATUS_OK : DBU_STATUS_WARN,
				   psprintf(UINT64_FORMAT, lost),
				   lost == 0 ? NULL : "raise dbutil.prepared_max and restart the server");
}

const DbuModule dbu_prepared_module = {
	.name = "prepared",
	.init = init,
	.shmem_size = dbu_prepared_shmem_size,
	.shmem_attach = dbu_prepared_shmem_attach,
	.tranche_name = "DbutilPrepared",
	.status = status,
};
