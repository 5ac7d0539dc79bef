/*-------------------------------------------------------------------------
 *
 * fault.c
 *	  Makes the planning of one statement fail at a chosen place: a server module
 *	  for test/t/025_plancache_fault.pl alone, never installed.
 *
 * fault_arm(kind, n) chooses what happens to the next statement that the client
 * has planned:
 *
 *	- palloc: the n-th palloc or repalloc outside of PostgreSQL's planner fails;
 *	- planning: the n-th inside of it;
 *	- malloc: the n-th malloc, anywhere; needs malloc.so in LD_PRELOAD;
 *	- cancel: at the n-th palloc, anywhere, a cancel request comes in;
 *	- planner: the n-th call of PostgreSQL's planner raises an error.
 *
 * fault_report() tells what became of it: did it fail, how many such places were
 * passed, and whether the statement's tree was other than at first when the
 * planner got it, or after the failure.
 *
 * The module has to be loaded before the extension, so that its hook stands for
 * PostgreSQL's planner; fault_arm() puts another around all the rest.  Every
 * palloc goes through the table of functions of its kind of memory context,
 * which is constant: this process' own copy of it is made writable.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/memnodes.h"
#include "nodes/print.h"
#include "optimizer/planner.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "malloc.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);
PG_FUNCTION_INFO_V1(fault_arm);
PG_FUNCTION_INFO_V1(fault_report);

static const char *const kinds[] = {"none", "palloc", "planning", "malloc", "cancel", "planner"};

typedef enum FaultKind
{
	FAULT_NONE,
	FAULT_PALLOC,
	FAULT_PLANNING,
	FAULT_MALLOC,
	FAULT_CANCEL,
	FAULT_PLANNER
} FaultKind;

static FaultKind armed = FAULT_NONE;	/* for the next statement */
static FaultKind active = FAULT_NONE;	/* for the one that is being planned */
static int64 at;				/* which place */
static int64 seen;				/* places passed */
static bool fired;
static int	depth = 0;			/* calls of the outer hook, and ... */
static int	inside = 0;			/* ... of the planner itself */

static Query *statement;		/* that is being planned, and what it was */
static char *statement_text;
static int	statement_location;
static int	statement_length;
static bool handed_on;			/* the planner got it, and may write to it */
static const char *damage = "";

static planner_hook_type inner_next = NULL;
static planner_hook_type outer_next = NULL;

/* ---------- memory ---------- */

static FaultMalloc *preloaded;	/* of malloc.so, NULL without it */

/* Is this the place?  Then no other will be. */
static bool
reached(FaultKind kind)
{
	if (active != kind || ++seen != at)
		return false;
	active = FAULT_NONE;
	fired = true;
	return true;
}

/*
 * The list of a lock's owners is not counted: where it cannot be had inside of a
 * subtransaction PostgreSQL forgets that it has none, and crashes at the next use
 * of the lock.
 */
static void
allocating(MemoryContext context, Size size)
{
	if (context == TopMemoryContext && size == 8 * sizeof(LOCALLOCKOWNER))
		return;
	if (reached(inside > 0 ? FAULT_PLANNING : FAULT_PALLOC))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("This is planned.")));
	if (reached(FAULT_CANCEL))
		InterruptPending = QueryCancelPending = true;
}

#if PG_VERSION_NUM >= 170000
#define MORE_PARAMS , int flags
#define MORE_ARGS , flags
#else
#define MORE_PARAMS
#define MORE_ARGS
#endif
#if PG_VERSION_NUM >= 160000
#define REALLOC_PARAMS void *pointer, Size size MORE_PARAMS
#define REALLOC_ARGS pointer, size MORE_ARGS
#else
#define REALLOC_PARAMS MemoryContext context, void *pointer, Size size
#define REALLOC_ARGS context, pointer, size
#endif

static void *(*next_alloc) (MemoryContext context, Size size MORE_PARAMS);
static void *(*next_realloc) (REALLOC_PARAMS);

static void *
fault_alloc(MemoryContext context, Size size MORE_PARAMS)
{
	allocating(context, size);
	return next_alloc(context, size MORE_ARGS);
}

static void *
fault_realloc(REALLOC_PARAMS)
{
	allocating(NULL, size);
	return next_realloc(REALLOC_ARGS);
}

/* Stand between this process and its memory contexts. */
static void
watch_memory(void)
{
	MemoryContextMethods *methods = unconstify(MemoryContextMethods *, TopMemoryContext->methods);
	uintptr_t	page = sysconf(_SC_PAGESIZE);
	uintptr_t	from = TYPEALIGN_DOWN(page, (uintptr_t) methods);
	uintptr_t	to = TYPEALIGN(page, (uintptr_t) (methods + 1));

	if (mprotect((void *) from, to - from, PROT_READ | PROT_WRITE) != 0)
		elog(ERROR, "cannot write to the functions of memory contexts: %m");
	next_alloc = methods->alloc;
	next_realloc = methods->realloc;
	methods->alloc = fault_alloc;
	methods->realloc = fault_realloc;
	preloaded = dlsym(RTLD_DEFAULT, "fault_malloc");
}

/* ---------- hooks ---------- */

/* Is the statement's tree no more what it was?  Looking is not what is to fail. */
static void
look(const char *when)
{
	FaultKind	during = active;
	long		malloc_at = preloaded ? preloaded->at : 0;

	active = FAULT_NONE;
	if (preloaded)
		preloaded->at = 0;
	if (statement->stmt_location != statement_location ||
		statement->stmt_len != statement_length ||
		strcmp(nodeToString(statement), statement_text) != 0)
		damage = when;
	active = during;
	if (preloaded)
		preloaded->at = malloc_at;
}

/* In the place of PostgreSQL's planner. */
static PlannedStmt *
inner_planner(Query *query, const char *query_string, int cursor_options,
			  ParamListInfo bound_params)
{
	PlannedStmt *result;

	if (statement != NULL && query == statement)
	{
		look("when planned");
		handed_on = true;
	}
	if (reached(FAULT_PLANNER))
		elog(ERROR, "planning fails as planned");
	inside++;
	PG_TRY();
	{
		result = inner_next ?
			inner_next(query, query_string, cursor_options, bound_params) :
			standard_planner(query, query_string, cursor_options, bound_params);
	}
	PG_FINALLY();
	{
		inside--;
	}
	PG_END_TRY();
	return result;
}

/* No more faults; what became of the statement? */
static void
finish(void)
{
	if (active == FAULT_MALLOC)
	{
		seen = preloaded->seen;
		fired = preloaded->seen >= at;
		preloaded->at = 0;
	}
	active = FAULT_NONE;
	if (!handed_on)
		look("afterwards");
	statement = NULL;
}

/* Around all that planning does. */
static PlannedStmt *
outer_planner(Query *query, const char *query_string, int cursor_options,
			  ParamListInfo bound_params)
{
	PlannedStmt *result;

	if (armed == FAULT_NONE || depth > 0)
		return outer_next(query, query_string, cursor_options, bound_params);

	statement = query;
	statement_text = nodeToString(query);
	statement_location = query->stmt_location;
	statement_length = query->stmt_len;
	handed_on = false;
	damage = "";
	seen = 0;
	fired = false;
	inside = 0;

	depth++;
	PG_TRY();
	{
		active = armed;
		armed = FAULT_NONE;
		if (active == FAULT_MALLOC)
		{
			preloaded->seen = 0;
			preloaded->at = at;
		}
		result = outer_next(query, query_string, cursor_options, bound_params);
	}
	PG_FINALLY();
	{
		depth--;
		finish();
	}
	PG_END_TRY();
	return result;
}

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		elog(ERROR, "fault.so must be in shared_preload_libraries, before the extension");
	inner_next = planner_hook;
	planner_hook = inner_planner;
}

/* ---------- SQL ---------- */

Datum
fault_arm(PG_FUNCTION_ARGS)
{
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (outer_next == NULL)
	{
		outer_next = planner_hook;
		planner_hook = outer_planner;
		watch_memory();
	}
	armed = FAULT_NONE;
	for (int i = 1; i < lengthof(kinds); i++)
	{
		if (strcmp(kind, kinds[i]) == 0)
			armed = i;
	}
	if (armed == FAULT_NONE)
		elog(ERROR, "no fault is called \"%s\"", kind);
	if (armed == FAULT_MALLOC && preloaded == NULL)
		elog(ERROR, "malloc.so is not in LD_PRELOAD");
	at = PG_GETARG_INT64(1);
	PG_RETURN_VOID();
}

Datum
fault_report(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s " INT64_FORMAT " %s", fired ? "failed" : "passed",
											  seen, damage)));
}
