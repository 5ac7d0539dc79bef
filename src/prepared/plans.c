/*-------------------------------------------------------------------------
 *
 * plans.c
 *	  The statements that this backend has looked up, and their plans.
 *
 * A look-up is kept, also one that found nothing, until a definition changes
 * anywhere (dbu_prepared_generation()); so a call of a known statement reads
 * no table.  A plan is kept until its definition is seen to be replaced or
 * gone, or until dbutil.prepared_max_plans others were used after it.
 * PostgreSQL's plan cache keeps it valid: it analyzes and plans anew when a
 * table, the search_path or the role's policies change.
 *
 * A plan that is being executed is pinned.  What is executed may itself
 * execute, replace or evict prepared statements, so a plan that is no longer
 * to be found is only marked while it is pinned.  Unpinning happens in error
 * paths too and therefore frees nothing: the next call does.
 *
 *-------------------------------------------------------------------------
 */
#include "prepared/prepared.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define MAX_LOOKUPS 1000		/* kept without a plan */

/* What is known of a key. */
typedef struct Lookup
{
	DbuPreparedKey key;			/* first: dynahash wants it so */
	uint64		generation;		/* when it was read; 0: it was not */
	bool		exists;
	int64		id;
	char		owner[NAMEDATALEN];
	DbuPrepared *prepared;		/* NULL: no plan */
} Lookup;

static MemoryContext store_context = NULL;
static HTAB *lookups = NULL;
static dlist_head by_use = DLIST_STATIC_INIT(by_use);	/* head: most recent */
static int	nprepared = 0;		/* in the list, doomed ones among them */
static int	ndoomed = 0;

/* ---------- memory ---------- */

static void
report_failures(DbuPrepared *prepared)
{
	DbuPreparedCounters failed = {.errors = prepared->failures};

	if (prepared->failures == 0)
		return;
	prepared->failures = 0;
	dbu_prepared_metrics_add(&prepared->metrics, prepared->id, &failed);
}

/* Errors may not be counted where they happen; this catches up on it. */
void
dbu_prepared_report_failures(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &by_use)
		report_failures(dlist_container(DbuPrepared, by_use, iter.cur));
}

/* The other backends' view of this one ends with it. */
static void
leave(int code, Datum arg)
{
	dlist_iter	iter;

	dbu_prepared_report_failures();
	dlist_foreach(iter, &by_use)
	{
		DbuPrepared *prepared = dlist_container(DbuPrepared, by_use, iter.cur);

		dbu_prepared_metrics_release(&prepared->metrics, prepared->gone);
	}
}

static void
create_store(void)
{
	MemoryContext context;
	HASHCTL		info = {
		.keysize = sizeof(DbuPreparedKey),
		.entrysize = sizeof(Lookup),
	};

	if (store_context == NULL)
	{
		context = AllocSetContextCreate(TopMemoryContext, "dbutil prepared statements",
										ALLOCSET_DEFAULT_SIZES);
		on_shmem_exit(leave, (Datum) 0);
		store_context = context;
	}
	info.hcxt = store_context;
	lookups = hash_create("dbutil prepared statements", 128, &info,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
free_prepared(DbuPrepared *prepared)
{
	Assert(prepared->pins == 0);
	report_failures(prepared);
	dbu_prepared_metrics_release(&prepared->metrics, prepared->gone);
	dlist_delete(&prepared->by_use);
	nprepared--;
	if (prepared->doomed)
		ndoomed--;
	SPI_freeplan(prepared->plan);
	MemoryContextDelete(prepared->mcxt);
}

/* Take the plan from its look-up, and free it unless it is in use. */
static void
drop_plan(Lookup *lookup, bool gone)
{
	DbuPrepared *prepared = lookup->prepared;

	if (prepared == NULL)
		return;
	lookup->prepared = NULL;
	prepared->doomed = true;
	prepared->gone = gone;
	ndoomed++;
	if (prepared->pins == 0)
		free_prepared(prepared);
}

/* Free what no execution uses any more, and make room for one plan. */
static void
tidy_plans(void)
{
	dlist_mutable_iter iter;

	if (ndoomed > 0)
	{
		dlist_foreach_modify(iter, &by_use)
		{
			DbuPrepared *prepared = dlist_container(DbuPrepared, by_use, iter.cur);

			if (prepared->doomed && prepared->pins == 0)
				free_prepared(prepared);
		}
	}
	while (nprepared >= dbu_prepared_max_plans)
	{
		DbuPrepared *victim = NULL;
		dlist_iter	back;
		Lookup	   *lookup;

		dlist_reverse_foreach(back, &by_use)
		{
			DbuPrepared *prepared = dlist_container(DbuPrepared, by_use, back.cur);

			if (prepared->pins == 0)
			{
				victim = prepared;
				break;
			}
		}
		if (victim == NULL)
			break;				/* all are being executed, within each other */
		lookup = hash_search(lookups, &victim->key, HASH_FIND, NULL);
		Assert(lookup != NULL && lookup->prepared == victim);
		if (lookup != NULL)
			drop_plan(lookup, false);
	}
}

/* Forget look-ups that have no plan, if they are many. */
static void
tidy_lookups(void)
{
	HASH_SEQ_STATUS scan;
	Lookup	   *lookup;

	if (hash_get_num_entries(lookups) < MAX_LOOKUPS + nprepared)
		return;
	hash_seq_init(&scan, lookups);
	while ((lookup = hash_seq_search(&scan)) != NULL)
	{
		if (lookup->prepared == NULL)
			(void) hash_search(lookups, &lookup->key, HASH_REMOVE, NULL);
	}
}

/* ---------- looking up ---------- */

/* What there is under the key at this moment.  NULL: nothing. */
static Lookup *
look_up(const DbuPreparedKey *key)
{
	uint64		generation = dbu_prepared_generation();
	DbuDefinition definition;
	Lookup	   *lookup;
	bool		found;
	bool		exists;

	lookup = hash_search(lookups, key, HASH_FIND, NULL);
	if (lookup == NULL || lookup->generation != generation)
	{
		exists = dbu_prepared_read(key, &definition);

		lookup = hash_search(lookups, key, HASH_ENTER, &found);
		if (!found)
			lookup->prepared = NULL;
		if (lookup->prepared != NULL && (!exists || lookup->prepared->id != definition.id))
			drop_plan(lookup, true);
		lookup->exists = exists;
		lookup->id = exists ? definition.id : 0;
		strlcpy(lookup->owner, exists ? definition.owner : "", NAMEDATALEN);
		/* older than what was read, if it changed meanwhile: read again then */
		lookup->generation = generation;
	}
	return lookup->exists ? lookup : NULL;
}

static void
refuse(const char *name, const char *service, const char *owner)
{
	bool		exists = dbu_prepared_owner_exists(owner);

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 service[0] == '\0' ?
			 errmsg("permission denied for prepared statement \"%s\"", name) :
			 errmsg("permission denied for prepared statement \"%s\" of service \"%s\"",
					name, service),
			 exists ?
			 errdetail("It belongs to role \"%s\" and would run with the rights of \"%s\".",
					   owner, GetUserNameFromId(GetUserId(), false)) :
			 errdetail("Its owner, role \"%s\", does not exist any more.", owner),
			 !exists ?
			 errhint("A superuser may replace it, and then owns it.") :
			 superuser() ?
			 errhint("A superuser executes only what a superuser owns: SET ROLE to its owner, or deallocate it and prepare it yourself.") :
			 errhint("Its owner, roles that have the owner's privileges, and everybody if a superuser owns it, may execute it.")));
}

/*
 * The statement of that name that the caller may execute: of the session's
 * service, else of none.  One that he may not execute hides none that he may.
 */
static Lookup *
find_executable(const char *name)
{
	const char *services[] = {dbu_service(), ""};
	bool		denied = false;
	char		denied_service[NAMEDATALEN];
	char		denied_owner[NAMEDATALEN];

	for (int i = 0; i < lengthof(services); i++)
	{
		DbuPreparedKey key;
		Lookup	   *lookup;

		if (!dbu_prepared_set_key(&key, services[i], name))
			continue;
		lookup = look_up(&key);
		if (lookup == NULL)
			continue;
		if (dbu_prepared_may_execute(lookup->owner))
			return lookup;
		if (!denied)
		{
			denied = true;
			strlcpy(denied_service, key.service, NAMEDATALEN);
			strlcpy(denied_owner, lookup->owner, NAMEDATALEN);
		}
	}
	if (denied)
		refuse(name, denied_service, denied_owner);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_PSTATEMENT),
			 errmsg("prepared statement \"%s\" does not exist", name),
			 errdetail("It was looked for in service \"%s\", then among those of no service.",
					   services[0]),
			 errhint("See dbutil.prepared_statements, or prepare it by dbutil.prepare_statement().")));
}

/* ---------- planning ---------- */

/* Nothing keeps a type from being dropped, before the plan is made or after. */
static void
check_types(const char *name, List *parameter_names, const Oid *types, int ntypes)
{
	for (int i = 0; i < ntypes; i++)
	{
		if (!get_typisdefined(types[i]))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("the type of parameter %s of prepared statement \"%s\" does not exist any more",
							dbu_prepared_parameter_name(parameter_names, i + 1), name),
					 errhint("Prepare the statement again, with replace => true.")));
	}
}

/*
 * A statement ready to be executed, not yet in the list.  Connected to SPI; an
 * error frees everything.
 */
static DbuPrepared *
prepare(const DbuDefinition *definition)
{
	MemoryContext mcxt = AllocSetContextCreate(CurrentMemoryContext,
											   "dbutil prepared statement",
											   ALLOCSET_SMALL_SIZES);
	DbuPrepared *prepared = MemoryContextAllocZero(mcxt, sizeof(DbuPrepared));
	DbuQueryText query = {.original = definition->statement,.text = definition->statement};
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = dbu_prepared_text_error,
		.arg = &query
	};
	int			nest = dbu_prepared_read_safely();
	MemoryContext oldcxt;
	ListCell   *lc;

	check_types(definition->key.name, definition->names, definition->types,
				definition->ntypes);
	error_context_stack = &callback;
	dbu_find_params(&query, definition->statement, NULL);
	prepared->plan = SPI_prepare_cursor(query.text, definition->ntypes, definition->types,
										CURSOR_OPT_PARALLEL_OK);
	error_context_stack = callback.previous;
	if (prepared->plan == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	AtEOXact_GUC(true, nest);

	prepared->mcxt = mcxt;
	prepared->key = definition->key;
	prepared->id = definition->id;
	prepared->metrics.slot = -1;
	prepared->ntypes = definition->ntypes;
	oldcxt = MemoryContextSwitchTo(mcxt);
	prepared->types = palloc(Max(prepared->ntypes, 1) * sizeof(Oid));
	memcpy(prepared->types, definition->types, prepared->ntypes * sizeof(Oid));
	foreach(lc, query.names)
		prepared->query.names = lappend(prepared->query.names, pstrdup(lfirst(lc)));
	prepared->query.positional = query.positional;
	MemoryContextSwitchTo(oldcxt);
	return prepared;
}

/* Into the list, for good.  Nothing fails after the plan is saved. */
static void
keep(Lookup *lookup, DbuPrepared *prepared)
{
	if (SPI_keepplan(prepared->plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	MemoryContextSetParent(prepared->mcxt, store_context);
	dlist_push_head(&by_use, &prepared->by_use);
	nprepared++;
	lookup->prepared = prepared;
	dbu_prepared_metrics_hold(&prepared->metrics, prepared->id);
}

/*
 * The statement of that name, with its plan, pinned: to be given back by
 * dbu_prepared_unpin().  The caller is connected to SPI.  Errors: 26000 there
 * is none, 42501 the caller may not execute it, and those of its analysis.
 */
DbuPrepared *
dbu_prepared_pin(const char *name)
{
	DbuPrepared *prepared;
	Lookup	   *lookup;

	if (lookups == NULL)
		create_store();
	tidy_lookups();
	for (;;)
	{
		DbuDefinition definition;

		lookup = find_executable(name);
		if (lookup->prepared != NULL)
			break;
		if (!dbu_prepared_read(&lookup->key, &definition) || definition.id != lookup->id)
		{
			/* it was replaced just now */
			lookup->generation = 0;
			CHECK_FOR_INTERRUPTS();
			continue;
		}

		tidy_plans();
		prepared = prepare(&definition);
		/* analysis may have run a user's code, which came here too */
		lookup = hash_search(lookups, &definition.key, HASH_FIND, NULL);
		if (lookup != NULL && lookup->prepared == NULL && lookup->exists &&
			lookup->id == definition.id)
		{
			keep(lookup, prepared);
			break;
		}
		SPI_freeplan(prepared->plan);
		MemoryContextDelete(prepared->mcxt);
	}

	prepared = lookup->prepared;
	check_types(name, prepared->query.names, prepared->types, prepared->ntypes);
	prepared->pins++;
	dlist_move_head(&by_use, &prepared->by_use);
	return prepared;
}

/* Also in error paths: it touches nothing but its own field. */
void
dbu_prepared_unpin(DbuPrepared *prepared)
{
	prepared->pins--;
}
