/*-------------------------------------------------------------------------
 *
 * environment.c
 *	  The settings that a plan depends on.
 *
 * All of PostgreSQL's settings that a session can change are part of the key,
 * less those named below that neither the planner nor a function it evaluates
 * reads.  They are found by asking the server, so that those of a later
 * version are there by themselves, and read through the pointers to their
 * variables, which costs a fraction of a microsecond a statement.
 *
 * What is remembered is built under the caller's memory context, so that an error
 * frees it, and moved once it is whole.
 *
 * Equal values are one DbuPlanEnvironment, so that entries compare a pointer.
 * There are at most MAX_ENVIRONMENTS: a session that goes through more of them
 * begins with an empty cache again.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/plancache.h"

#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"

#define MAX_ENVIRONMENTS 32

struct DbuPlanEnvironment
{
	DbuPlanEnvironment *next;
	bool	   *bools;
	int		   *ints;
	double	   *reals;
	char	  **strings;
};

/* The variables, by type, so that looking at them all is a plain loop each. */
static MemoryContext variables_context = NULL;
static bool **bools;
static int **ints;				/* those of enums too */
static double **reals;
static char ***strings;
static int	nbools;
static int	nints;
static int	nreals;
static int	nstrings;

static MemoryContext environments_context = NULL;
static DbuPlanEnvironment *environments = NULL;
static int	nenvironments = 0;
static DbuPlanEnvironment *current = NULL;

/* Beginnings of names; a name ending in '$' must match to its end. */
static const char *const irrelevant[] = {
	"application_name$", "backend_flush_after$", "client_connection_check_interval$",
	"client_min_messages$", "commit_", "debug_pretty_print$", "debug_print_",
	"deadlock_timeout$", "default_tablespace$", "default_transaction_",
	"dynamic_library_path$", "event_triggers$", "exit_on_error$", "gin_",
	"idle_", "ignore_checksum_failure$", "in_hot_standby$", "is_superuser$",
	"lc_messages$", "local_preload_libraries$", "lock_timeout$", "log_",
	"lo_compat_privileges$", "log$", "max_stack_depth$", "password_encryption$",
	"role$", "seed$", "session_authorization$", "session_preload_libraries$",
	"statement_timeout$", "synchronous_commit$", "synchronize_seqscans$", "tcp_",
	"temp_file_limit$", "temp_tablespaces$", "trace_", "track_", "transaction_",
	"update_process_title$", "vacuum_", "wal_", "zero_damaged_pages$",
};

static bool
relevant(const struct config_generic *setting)
{
	if (setting->context != PGC_USERSET && setting->context != PGC_SUSET)
		return false;
	if (strchr(setting->name, '.') != NULL)
		return false;			/* another extension's, or a placeholder */

	for (int i = 0; i < lengthof(irrelevant); i++)
	{
		size_t		len = strlen(irrelevant[i]);

		if (irrelevant[i][len - 1] == '$')
		{
			if (strncmp(setting->name, irrelevant[i], len - 1) == 0 &&
				setting->name[len - 1] == '\0')
				return false;
		}
		else if (strncmp(setting->name, irrelevant[i], len) == 0)
			return false;
	}
	return true;
}

/* Find the variables; once in the backend's life. */
static void
collect_variables(void)
{
	int			nsettings;
	struct config_generic **settings = dbu_guc_variables(&nsettings);
	MemoryContext context;

	context = AllocSetContextCreate(CurrentMemoryContext, "dbutil plan cache settings",
									ALLOCSET_SMALL_SIZES);
	bools = MemoryContextAlloc(context, sizeof(bool *) * nsettings);
	ints = MemoryContextAlloc(context, sizeof(int *) * nsettings);
	reals = MemoryContextAlloc(context, sizeof(double *) * nsettings);
	strings = MemoryContextAlloc(context, sizeof(char **) * nsettings);
	nbools = nints = nreals = nstrings = 0;

	for (int i = 0; i < nsettings; i++)
	{
		struct config_generic *setting = settings[i];

		if (!relevant(setting))
			continue;
		switch (setting->vartype)
		{
			case PGC_BOOL:
				bools[nbools++] = ((struct config_bool *) setting)->variable;
				break;
			case PGC_INT:
				ints[nints++] = ((struct config_int *) setting)->variable;
				break;
			case PGC_REAL:
				reals[nreals++] = ((struct config_real *) setting)->variable;
				break;
			case PGC_ENUM:
				ints[nints++] = ((struct config_enum *) setting)->variable;
				break;
			case PGC_STRING:
				strings[nstrings++] = ((struct config_string *) setting)->variable;
				break;
		}
	}
	MemoryContextSetParent(context, TopMemoryContext);
	variables_context = context;
}

static inline const char *
read_string(int i)
{
	const char *value = *strings[i];

	return value ? value : "";
}

static bool
is_current(const DbuPlanEnvironment *environment)
{
	for (int i = 0; i < nbools; i++)
	{
		if (environment->bools[i] != *bools[i])
			return false;
	}
	for (int i = 0; i < nints; i++)
	{
		if (environment->ints[i] != *ints[i])
			return false;
	}
	for (int i = 0; i < nreals; i++)
	{
		if (environment->reals[i] != *reals[i])
			return false;
	}
	for (int i = 0; i < nstrings; i++)
	{
		if (strcmp(environment->strings[i], read_string(i)) != 0)
			return false;
	}
	return true;
}

/*
 * The settings now in force.  Lives until dbu_plancache_environment_reset(),
 * which this may call, together with emptying the store.
 */
const DbuPlanEnvironment *
dbu_plancache_environment(void)
{
	DbuPlanEnvironment *environment;
	MemoryContext context;
	MemoryContext oldcontext;

	if (variables_context == NULL)
		collect_variables();

	if (current != NULL && is_current(current))
		return current;
	for (environment = environments; environment; environment = environment->next)
	{
		if (is_current(environment))
		{
			current = environment;
			return current;
		}
	}

	if (nenvironments >= MAX_ENVIRONMENTS)
		dbu_plancache_store_reset();
	if (environments_context == NULL)
		environments_context = AllocSetContextCreate(TopMemoryContext,
													 "dbutil plan cache environments",
													 ALLOCSET_SMALL_SIZES);

	context = AllocSetContextCreate(CurrentMemoryContext,
									"dbutil plan cache environment",
									ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	environment = palloc_object(DbuPlanEnvironment);
	environment->bools = palloc_array(bool, nbools);
	for (int i = 0; i < nbools; i++)
		environment->bools[i] = *bools[i];
	environment->ints = palloc_array(int, nints);
	for (int i = 0; i < nints; i++)
		environment->ints[i] = *ints[i];
	environment->reals = palloc_array(double, nreals);
	for (int i = 0; i < nreals; i++)
		environment->reals[i] = *reals[i];
	environment->strings = palloc_array(char *, nstrings);
	for (int i = 0; i < nstrings; i++)
		environment->strings[i] = pstrdup(read_string(i));
	MemoryContextSwitchTo(oldcontext);
	MemoryContextSetParent(context, environments_context);

	environment->next = environments;
	environments = environment;
	nenvironments++;
	current = environment;
	return current;
}

/* Forget all environments; only with an empty store. */
void
dbu_plancache_environment_reset(void)
{
	current = NULL;
	environments = NULL;
	nenvironments = 0;
	if (environments_context != NULL)
		MemoryContextReset(environments_context);
}
