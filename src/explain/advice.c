/*-------------------------------------------------------------------------
 *
 * advice.c
 *	  Which of the candidates are worth creating?
 *
 * With hypopg each candidate is made hypothetically and the statements that
 * read its table are planned again.  The one that saves the workload most is
 * chosen, and a smaller one before it if that saves nearly as much; then the
 * same again with what is left, until nothing helps.  At last each chosen one
 * must prove that it is still needed beside the others.  So what is advised is
 * what the planner uses, and no index repeats another.
 *
 * All of it happens in a subtransaction that is rolled back, and hypothetical
 * indexes are removed after it in every case.
 *
 * Without hypopg only what a plan shows by itself is named, and marked as
 * unproven: whole tables read for few of their rows.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "explain/advice.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

/*
 * An index must save this share of one statement's cost, and so many units of
 * cost (as many as some 25 blocks that are read at random) or so much of the
 * workload's: else it is not worth its upkeep.
 */
#define WORTH_SAVING	0.1
#define WORTH_COST		100
#define WORTH_SHARE		0.05
/* A smaller index is chosen if it saves this share of what the best one saves. */
#define NEARLY_AS_GOOD	0.9
/* Carried columns must pay: without them it may save so much less. */
#define CARRIED_MUST_PAY	0.7
/* A chosen index stays if without it the workload costs so much more. */
#define STILL_NEEDED	0.01

/* By estimate alone: rows of a table worth an index, and the share read of them. */
#define MIN_ROWS		10000
#define FEW_ROWS		0.1

typedef struct Choice
{
	DbuIndexCandidate *candidate;
	List	   *oids;			/* of its hypothetical indexes */
	double		before;			/* cost of the workload without and with it */
	double		after;
	List	   *numbers;		/* int, of statements that gain by it */
} Choice;

typedef struct Advising
{
	List	   *workload;		/* DbuWorkloadQuery * */
	List	   *candidates;		/* DbuIndexCandidate * */
	DbuProver  *prover;			/* NULL: no proof */
	List	   *chosen;			/* Choice * */
	double		first_cost;		/* of the workload without any of them */
} Advising;

/* ---------- with proof ---------- */

static double
workload_cost(List *workload)
{
	double		cost = 0;
	ListCell   *lc;

	foreach(lc, workload)
	{
		const DbuWorkloadQuery *query = lfirst(lc);

		cost += query->skipped ? 0 : query->cost * query->calls;
	}
	return cost;
}

static bool
concerns(const DbuWorkloadQuery *query, Oid relid)
{
	return query->skipped == NULL && list_member_oid(query->relids, relid);
}

/* Does a statement save enough by what is tried? */
static bool
is_worth(const Advising *advising, const DbuWorkloadQuery *query)
{
	double		saved = query->cost - query->trial_cost;

	return saved >= query->cost * WORTH_SAVING &&
		(saved >= WORTH_COST || saved * query->calls >= advising->first_cost * WORTH_SHARE);
}

/* Plans what reads the table again; returns what the workload saves. */
static double
try_table(List *workload, Oid relid)
{
	double		saved = 0;
	ListCell   *lc;

	foreach(lc, workload)
	{
		DbuWorkloadQuery *query = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		query->trial_cost = query->cost;
		if (!concerns(query, relid))
			continue;
		query->trial_cost = dbu_explain_planned_cost(query);
		saved += (query->cost - query->trial_cost) * query->calls;
	}
	return saved;
}

/* Statements that save enough by what is tried: their numbers. */
static List *
gaining(const Advising *advising, const DbuIndexCandidate *candidate)
{
	List	   *numbers = NIL;
	ListCell   *lc;

	foreach(lc, advising->workload)
	{
		const DbuWorkloadQuery *query = lfirst(lc);

		if (concerns(query, candidate->relid) && is_worth(advising, query))
			numbers = lappend_int(numbers, query->number);
	}
	return numbers;
}

/* What was tried stays. */
static void
accept_trial(List *workload)
{
	ListCell   *lc;

	foreach(lc, workload)
	{
		DbuWorkloadQuery *query = lfirst(lc);

		query->cost = query->trial_cost;
	}
}

/* Is the candidate the plain form of one that carries columns? */
static bool
is_plain_form(const DbuIndexCandidate *plain, const DbuIndexCandidate *carrying)
{
	return plain->relid == carrying->relid && plain->included == NIL &&
		plain->predicate == NULL && equal(plain->columns, carrying->columns);
}

/* In bytes; columns may fit into what is lost to alignment. */
static bool
is_smaller(const DbuIndexCandidate *a, const DbuIndexCandidate *b)
{
	if (a->size != b->size)
		return a->size < b->size;
	return list_length(a->columns) + list_length(a->included) <
		list_length(b->columns) + list_length(b->included);
}

/* The candidate to choose next, NULL if none is worth it. */
static DbuIndexCandidate *
next_candidate(Advising *advising)
{
	int			n = list_length(advising->candidates);
	double	   *saved = palloc0(sizeof(double) * (n + 1));
	DbuIndexCandidate *best = NULL;
	DbuIndexCandidate *result;
	double		most = 0;
	ListCell   *lc;

	foreach(lc, advising->candidates)
	{
		DbuIndexCandidate *candidate = lfirst(lc);
		List	   *oids = dbu_explain_create_hypothetical(advising->prover, candidate);
		double		saving = try_table(advising->workload, candidate->relid);

		dbu_explain_drop_hypothetical(advising->prover, oids);
		if (saving <= 0 || gaining(advising, candidate) == NIL)
			continue;
		saved[foreach_current_index(lc)] = saving;
		if (saving > most)
		{
			most = saving;
			best = candidate;
		}
	}
	result = best;
	foreach(lc, advising->candidates)
	{
		DbuIndexCandidate *candidate = lfirst(lc);
		double		saving = saved[foreach_current_index(lc)];

		if (best == NULL || candidate->relid != best->relid || saving <= 0)
			continue;
		if (saving >= most * NEARLY_AS_GOOD ?
			is_smaller(candidate, result) :
			saving >= most * CARRIED_MUST_PAY && result->included != NIL &&
			is_plain_form(candidate, result))
			result = candidate;
	}
	return result;
}

/* Makes the index and keeps it; costs are from now on those with it. */
static void
keep(Advising *advising, Choice *choice)
{
	choice->before = workload_cost(advising->workload);
	choice->oids = dbu_explain_create_hypothetical(advising->prover, choice->candidate);
	try_table(advising->workload, choice->candidate->relid);
	choice->numbers = gaining(advising, choice->candidate);
	accept_trial(advising->workload);
	choice->after = workload_cost(advising->workload);
}

static void
choose(Advising *advising, DbuIndexCandidate *candidate)
{
	Choice	   *choice = palloc0(sizeof(Choice));
	ListCell   *lc;

	choice->candidate = candidate;
	keep(advising, choice);
	advising->chosen = lappend(advising->chosen, choice);
	advising->candidates = list_delete_ptr(advising->candidates, candidate);
	/* that carrying more does not pay is settled */
	foreach(lc, advising->candidates)
	{
		if (is_plain_form(candidate, lfirst(lc)))
			advising->candidates = foreach_delete_current(advising->candidates, lc);
	}
}

/* Leaves out what those that were chosen later have made needless. */
static bool
drop_needless(Advising *advising)
{
	bool		dropped = false;
	ListCell   *lc;

	foreach(lc, advising->chosen)
	{
		Choice	   *choice = lfirst(lc);
		double		saved;

		dbu_explain_drop_hypothetical(advising->prover, choice->oids);
		saved = try_table(advising->workload, choice->candidate->relid);
		if (-saved < (choice->before - choice->after) * STILL_NEEDED)
		{
			advising->chosen = foreach_delete_current(advising->chosen, lc);
			accept_trial(advising->workload);
			dropped = true;
		}
		else
			choice->oids = dbu_explain_create_hypothetical(advising->prover, choice->candidate);
	}
	return dropped;
}

static void
plan_workload(Advising *advising)
{
	ListCell   *lc;

	foreach(lc, advising->workload)
	{
		DbuWorkloadQuery *query = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (query->skipped == NULL)
			query->cost = query->trial_cost = dbu_explain_planned_cost(query);
	}
}

static void
choose_all(Advising *advising)
{
	DbuIndexCandidate *candidate;
	ListCell   *lc;

	plan_workload(advising);
	advising->first_cost = workload_cost(advising->workload);
	while ((candidate = next_candidate(advising)) != NULL)
		choose(advising, candidate);
	if (!drop_needless(advising))
		return;
	/* what each one saves is another figure now */
	dbu_explain_drop_hypothetical(advising->prover, advising->prover->live);
	plan_workload(advising);
	foreach(lc, advising->chosen)
		keep(advising, lfirst(lc));
}

/*
 * Runs choose_all() so that hypothetical indexes outlive neither it nor an
 * error: SQL can be run again only when the failed subtransaction is gone.
 */
static void
choose_all_undone(Advising *advising)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		choose_all(advising);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;

	dbu_explain_drop_hypothetical(advising->prover, advising->prover->live);
	if (error != NULL)
		ReThrowError(error);
}

/* ---------- by estimate alone ---------- */

/* Is this node a scan of the candidate's whole table that the index would spare? */
static bool
is_wasteful_scan(const DbuPlanNode *node, const DbuIndexCandidate *candidate, double rows)
{
	const DbuPlanNode *up = node->parent;

	if (strcmp(node->type, "Seq Scan") != 0 || node->schema == NULL || node->relation == NULL ||
		get_relname_relid(node->relation, get_namespace_oid(node->schema, true)) != candidate->relid)
		return false;
	if (candidate->purpose == DBU_FOR_FILTER)
		return dbu_explain_text(node->fields, "Filter") != NULL &&
			node->plan_rows < rows * FEW_ROWS;
	if (candidate->purpose != DBU_FOR_JOIN)
		return false;
	if (up != NULL && strcmp(up->type, "Materialize") == 0)
	{
		node = up;
		up = up->parent;
	}
	return up != NULL && strcmp(up->type, "Nested Loop") == 0 &&
		strcmp(node->relationship, "Inner") == 0;
}

static double
table_rows(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	double		rows;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
	ReleaseSysCache(tuple);
	return rows;
}

static bool
starts_with(List *longer, List *shorter)
{
	return list_length(longer) >= list_length(shorter) &&
		equal(list_truncate(list_copy(longer), list_length(shorter)), shorter);
}

/* Takes the candidate, unless one that was taken begins with its columns. */
static void
take_unproven(Advising *advising, DbuIndexCandidate *candidate)
{
	List	   *numbers = list_copy(candidate->numbers);
	Choice	   *choice;
	ListCell   *lc;

	foreach(lc, advising->chosen)
	{
		DbuIndexCandidate *other = ((Choice *) lfirst(lc))->candidate;

		if (other->relid != candidate->relid)
			continue;
		if (starts_with(other->columns, candidate->columns))
		{
			((Choice *) lfirst(lc))->numbers =
				list_union_int(((Choice *) lfirst(lc))->numbers, candidate->numbers);
			return;
		}
		if (starts_with(candidate->columns, other->columns))
		{
			numbers = list_union_int(numbers, ((Choice *) lfirst(lc))->numbers);
			advising->chosen = foreach_delete_current(advising->chosen, lc);
		}
	}
	list_sort(numbers, list_int_cmp);
	choice = palloc0(sizeof(Choice));
	choice->candidate = candidate;
	choice->numbers = numbers;
	advising->chosen = lappend(advising->chosen, choice);
}

static void
choose_unproven(Advising *advising)
{
	ListCell   *lc;
	ListCell   *ls;
	ListCell   *ln;

	foreach(lc, advising->candidates)
	{
		DbuIndexCandidate *candidate = lfirst(lc);
		double		rows = table_rows(candidate->relid);
		bool		wanted = false;

		CHECK_FOR_INTERRUPTS();
		if (rows < MIN_ROWS || candidate->alternative || candidate->included != NIL || candidate->predicate != NULL)
			continue;
		foreach(ls, dbu_explain_plan_by_sql(candidate->query))
		{
			foreach(ln, ((DbuPlanStatement *) lfirst(ls))->nodes)
				wanted |= is_wasteful_scan(lfirst(ln), candidate, rows);
		}
		if (wanted)
			take_unproven(advising, candidate);
	}
}

/* ---------- results ---------- */

static const char *
reason_of(const DbuIndexCandidate *candidate)
{
	static const char *const purposes[] = {
		[DBU_FOR_FILTER] = "finds the rows that a condition keeps",
		[DBU_FOR_JOIN] = "finds the rows that a join meets",
		[DBU_FOR_ORDER] = "gives the order, so that nothing is sorted",
	};
	char	   *needless = dbu_explain_needless_index(candidate);

	return psprintf("%s%s%s%s%s", purposes[candidate->purpose],
					candidate->included ? "; carries what else is read, so that the table is not" : "",
					candidate->predicate ? "; partial, as few rows fulfil its condition" : "",
					needless ? "; makes needless the index " : "", needless ? needless : "");
}

/*
 * DbuIndexAdvice * for the statements that are not skipped, the one that gains
 * most first.  *provable: there is hypopg.
 */
List *
dbu_explain_advise(List *workload, bool *provable)
{
	Advising	advising = {.workload = workload,.prover = dbu_explain_prover()};
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, workload)
	{
		DbuWorkloadQuery *query = lfirst(lc);

		if (query->skipped == NULL)
			advising.candidates = list_concat(advising.candidates,
											  dbu_explain_index_candidates(query));
	}
	advising.candidates = dbu_explain_merge_candidates(advising.candidates);
	if (advising.prover != NULL)
		choose_all_undone(&advising);
	else
		choose_unproven(&advising);

	foreach(lc, advising.chosen)
	{
		const Choice *choice = lfirst(lc);
		DbuIndexAdvice *advice = palloc0(sizeof(DbuIndexAdvice));
		Oid			relid = choice->candidate->relid;

		advice->candidate = choice->candidate;
		advice->relation = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
													  get_rel_name(relid));
		advice->sql = dbu_explain_index_ddl(choice->candidate, relid, true);
		advice->proven = advising.prover != NULL;
		advice->cost_before = choice->before;
		advice->cost_after = choice->after;
		advice->numbers = choice->numbers;
		advice->reason = reason_of(choice->candidate);
		result = lappend(result, advice);
	}
	*provable = advising.prover != NULL;
	return result;
}
