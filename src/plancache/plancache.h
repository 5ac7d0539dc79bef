/*-------------------------------------------------------------------------
 *
 * plancache.h
 *	  Private header of the plan cache: what its files share.
 *
 *	plancache.c		the planner callback: look up, serve, admit
 *	settings.c		settings, counters, status
 *	recognise.c		is the statement accepted; its hash
 *	lift.c			which literals are lifted, and their exchange for Params
 *	fold.c			constants, and casts of them
 *	scan.h			what those three share
 *	environment.c	the settings that a plan depends on
 *	store.c			entries, memory, eviction, invalidation
 *	instance.c		plans with places for literals, and filling them
 *	judge.c			may a generic plan stand for every literal?
 *	measure.c		how long stored plans and others run
 *	shared.c		what all backends share: counters, memory, pins and bans
 *	views.c			the SQL surface
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_PLANCACHE_H
#define DBU_PLANCACHE_H

#include "core/compat.h"
#include "core/module.h"

#include "lib/ilist.h"
#include "nodes/pathnodes.h"
#include "storage/block.h"
#include "utils/timestamp.h"

typedef enum DbuCacheMode
{
	DBU_CACHE_OFF,
	DBU_CACHE_EXACT,
	DBU_CACHE_AUTO,
	DBU_CACHE_FORCE
} DbuCacheMode;

/*
 * Everything that is counted, and every reason there is for not serving: the
 * kind and name shown in dbutil.plan_cache_stats, and what it means.
 */
#define DBU_PLAN_EVENTS(X) \
	X(NONE, "", "", "") \
	/* served */ \
	X(HIT_GENERIC, "hit", "generic", "a plan for any literal was served") \
	X(HIT_EXACT, "hit", "exact", "the plan of the same literals was served") \
	/* accepted, but planned */ \
	X(MISS_FIRST, "miss", "first_sight", "seen fewer than dbutil.plan_cache_min_calls times") \
	X(MISS_STRANGER, "miss", "stranger", "not looked at, as many statements in a row had not been seen before") \
	X(MISS_ADMIT, "miss", "admission", "planned and looked at for admission") \
	X(MISS_STALE, "miss", "stale", "the stored plan had become invalid") \
	X(MISS_AGE, "miss", "age", "the stored plan was older than dbutil.plan_cache_max_age") \
	X(MISS_SIZE, "miss", "size", "a relation had grown or shrunk too much since planning") \
	X(MISS_SNAPSHOT, "miss", "snapshot", "the transaction's snapshot is older than the stored plan may be used with") \
	X(MISS_VERIFY, "miss", "verify", "planned to compare costs with the stored plan") \
	/* not accepted by its form */ \
	X(REF_COMMAND, "refusal", "command", "a utility statement, or one that a rule made") \
	X(REF_CLAUSE, "refusal", "clause", "a clause that is not accepted (TABLESAMPLE, SEARCH, CYCLE, WITH CHECK OPTION)") \
	X(REF_ROW_SECURITY, "refusal", "row_security", "a table with row security") \
	X(REF_RELATION, "refusal", "relation", "no table, or one that is no ordinary, partitioned or materialized one (catalog, foreign table, transition table)") \
	X(REF_EXPRESSION, "refusal", "expression", "a kind of expression that is not accepted") \
	X(REF_FUNCTION, "refusal", "function", "a user's function in SQL, or one that is not in C and immutable") \
	X(REF_CATALOG, "refusal", "catalog", "a function that answers from catalogs while it is planned") \
	X(REF_TYPE, "refusal", "type", "a constant of a domain or of a composite type") \
	X(REF_CAST, "refusal", "cast", "a value that does not fit what it is written to") \
	X(REF_PARAMS, "refusal", "parameters", "bound parameters where they cannot be left, that are NULL, or without values") \
	X(REF_BANNED, "refusal", "banned", "dbutil.plan_cache_ban() was called for it") \
	X(REF_HINT, "refusal", "hint", "the text holds a planner hint") \
	X(REF_HOOKS, "refusal", "other_extension", "another extension changes how relations are planned") \
	X(REF_SETTINGS, "refusal", "settings", "the planner's settings cannot be read") \
	/* accepted by its form, but its plan is not stored */ \
	X(REF_TRANSIENT, "refusal", "transient_plan", "the plan holds for this moment or role only") \
	X(REF_PLAN_NODE, "refusal", "plan_node", "a kind of plan node that is not accepted") \
	X(REF_DETACHING, "refusal", "detaching", "a partition that is being detached, which some snapshots see and others do not") \
	X(REF_LOCKS, "refusal", "extra_locks", "more than dbutil.plan_cache_max_extra_locks relations beyond the named ones") \
	X(REF_DDL, "refusal", "ddl", "the transaction changed catalogs") \
	X(REF_MOVED, "refusal", "moved", "catalogs changed while it was planned") \
	X(REF_CHEAP, "refusal", "cheap", "planning takes less than dbutil.plan_cache_min_plan_time") \
	X(REF_SIZE, "refusal", "too_large", "one plan larger than an eighth of dbutil.plan_cache_memory") \
	X(REF_COST, "exact_only", "generic_cost", "the generic plan costs more than dbutil.plan_cache_regret allows") \
	X(REF_REGRET, "exact_only", "regret", "the generic plan ran longer than planning and the custom plan, by dbutil.plan_cache_regret") \
	X(REF_SKEW, "exact_only", "skew", "a literal is compared with a skewed column") \
	X(REF_INDEX, "exact_only", "partial_index", "a literal is compared with a column of a partial or expression index") \
	X(REF_LAYOUT, "exact_only", "partition_layout", "a partition that is no ordinary table with the same columns as its parent") \
	X(REF_GENERIC_NODE, "exact_only", "generic_node", "the generic plan holds a literal where it cannot be replaced") \
	/* upkeep */ \
	X(STORED, "upkeep", "stored", "plans and verdicts stored") \
	X(EVICTED, "upkeep", "evicted", "entries removed for want of room") \
	X(INVALIDATED, "upkeep", "invalidated", "entries that a catalog change made invalid")

typedef enum DbuPlanEvent
{
#define X(id, kind, name, text) DBU_PLAN_##id,
	DBU_PLAN_EVENTS(X)
#undef X
	DBU_PLAN_NEVENTS
} DbuPlanEvent;

/* What one process counts. */
typedef struct DbuPlanCounts
{
	uint64		events[DBU_PLAN_NEVENTS];
	double		saved_us;		/* planning time spared, microseconds */
} DbuPlanCounts;

/* What an administrator decided about a statement. */
typedef enum DbuPlanMark
{
	DBU_MARK_NONE,
	DBU_MARK_PINNED,			/* always its generic plan, from the first call on */
	DBU_MARK_BANNED				/* never a stored plan */
} DbuPlanMark;

/* A column that a literal or a parameter is compared with. */
typedef struct DbuCompared
{
	List	   *rtable;			/* of the query that it belongs to */
	Index		varno;			/* 0: none */
	AttrNumber	varattno;
} DbuCompared;

/* One literal that is lifted, and what it is compared with. */
typedef struct DbuLiteral
{
	Node	   *node;			/* in the Query; while lifted a Param is there */
	union
	{
		Const		constant;
		FuncExpr	cast;		/* of a constant */
	}			saved;			/* the node's contents */
	Const		value;			/* what it comes to */
	int			array_size;		/* of an IN list's first member: members */
	ArrayExpr  *array;			/* and the list itself */
	DbuCompared compared;
} DbuLiteral;

/* A partitioned table of which only one partition can have rows; see partition.c. */
typedef struct DbuPin
{
	RangeTblEntry *rte;			/* in the Query */
	RTEPermissionInfo *permission;	/* from 16 on */
	Oid			table;
	Oid			partition;
} DbuPin;

/* What recognise.c found out about a Query. */
typedef struct DbuRecognised
{
	Query	   *query;
	DbuPlanEvent refusal;		/* DBU_PLAN_NONE: accepted */
	uint64		hash;			/* without the lifted literals */
	uint64		exact_hash;		/* with them */
	List	   *relations;		/* OIDs of those named, at any depth */
	int			npartitioned;	/* partitioned tables that are read or changed */
	List	   *pins;			/* DbuPin of those pinned to a partition */
	bool		whole_row;		/* of some relation is used */
	bool		partitioned;	/* exact level only, as not all can be pinned */
	int			nbound;			/* bound parameters; literals are numbered on */
	List	   *compared;		/* DbuCompared of theirs */
	int			nliterals;
	int			max_literals;	/* room in literals */
	DbuLiteral *literals;
	bool		too_many;		/* more than dbutil.plan_cache_max_params */
	int			location;		/* of the statement in its text */
	int			length;
} DbuRecognised;

typedef struct DbuPlanEnvironment DbuPlanEnvironment;

/* Who asks for a plan: the part of the key that is not in the Query. */
typedef struct DbuPlanContext
{
	const DbuPlanEnvironment *environment;
	ParamListInfo bound_params; /* NULL: none; not kept in an entry's key */
	Oid			role;
	int			cursor_options;
	DbuCacheMode mode;			/* force for what is pinned */
} DbuPlanContext;

typedef enum DbuEntryState
{
	DBU_ENTRY_SERVING,
	DBU_ENTRY_EXACT_ONLY,		/* a verdict: no generic plan, see reason */
	DBU_ENTRY_REFUSED			/* a verdict: no plan at all, see reason */
} DbuEntryState;

/*
 * An entry lives in its own memory context, a child of the store's.  Only
 * `valid` changes at any time (invalidation callbacks); an entry is freed only
 * by store.c's functions, or when its plan, lent at that time, comes back.
 */
typedef struct DbuPlanEntry
{
	dlist_node	node;			/* in order of use */
	struct DbuPlanEntry *next;	/* in its bucket */
	MemoryContext context;
	Size		bytes;
	uint64		hash;
	uint64		serial;
	DbuPlanContext key_context;
	Query	   *key;			/* lifted, locations zeroed, pins exchanged */
	List	   *pinned;			/* OIDs of the tables in whose stead they are */
	bool		exact;			/* level: literals part of the key */
	DbuEntryState state;
	DbuPlanEvent reason;		/* of a verdict */
	bool		valid;
	int			nparams;
	PlannedStmt *plan;			/* NULL in a verdict */
	int			nplaces;		/* where literals go in plan */
	Const	  **places;
	bool		lent;			/* some statement runs plan itself */
	bool		dropped;		/* free the entry when it comes back */
	int			nrelations;
	Oid		   *relations;
	BlockNumber *pages;			/* at planning; of plan's relations, or NULL */
	uint64		query_id;
	TransactionId xmin;			/* oldest transaction running at planning */
	int64		calls;
	int64		hits;
	int64		verified;		/* hits that were planned all the same */
	double		planning_us;
	double		saved_us;
	double		generic_cost;
	double		custom_cost;
	int64		generic_runs;	/* executions of the stored plan, and ... */
	double		generic_us;		/* ... the time that they took */
	int64		custom_runs;	/* those of plans made afresh */
	double		custom_us;
	TimestampTz created;
	TimestampTz sized;			/* relation sizes were last looked at */
	TimestampTz last_used;
} DbuPlanEntry;

/* settings.c: settings and counters */
extern int	dbu_plancache_mode;
extern int	dbu_plancache_memory;	/* kB */
extern int	dbu_plancache_min_calls;
extern int	dbu_plancache_min_plan_time;	/* microseconds */
extern int	dbu_plancache_max_params;
extern int	dbu_plancache_max_extra_locks;
extern int	dbu_plancache_max_age;	/* seconds, 0: no limit */
extern double dbu_plancache_regret;
extern double dbu_plancache_verify;
extern bool dbu_plancache_explain;
extern int	dbu_plancache_total_memory; /* kB, all backends; 0: no limit */
extern const char *const dbu_plancache_event_kind[DBU_PLAN_NEVENTS];
extern const char *const dbu_plancache_event_name[DBU_PLAN_NEVENTS];
extern const char *const dbu_plancache_event_text[DBU_PLAN_NEVENTS];

/* a setting changed that decides what is stored: the next statement resets */
extern bool dbu_plancache_settings_changed;

extern void dbu_plancache_define_settings(void);
extern void dbu_plancache_report_status(DbuStatusSink *sink);

/*
 * request.c: is the request acceptable at all, by text, parameters and
 * company?  Fills context when it is.
 */
extern DbuPlanEvent dbu_plancache_context(const Query *query,
										  const char *query_string,
										  ParamListInfo bound_params,
										  int cursor_options,
										  DbuPlanContext *context);
extern bool dbu_plancache_generic_level(const DbuRecognised *rec,
										const DbuPlanContext *context);

/* recognise.c */
extern void dbu_plancache_recognise(Query *query, const DbuPlanContext *context,
									DbuRecognised *rec);

/* lift.c */
extern bool dbu_plancache_disguise(DbuRecognised *rec, bool exact);
extern void dbu_plancache_restore(DbuRecognised *rec);

/* partition.c */
extern void dbu_plancache_pins_disguise(DbuRecognised *rec);
extern void dbu_plancache_pins_restore(DbuRecognised *rec);
extern bool dbu_plancache_pins_equal(const DbuRecognised *rec, const List *tables);
extern List *dbu_plancache_pins_tables(const DbuRecognised *rec);
extern bool dbu_plancache_pins_possible(const DbuRecognised *rec);
extern void dbu_plancache_pins_finish(const DbuRecognised *rec, PlannedStmt *plan);

/* environment.c */
extern const DbuPlanEnvironment *dbu_plancache_environment(void);
extern void dbu_plancache_environment_reset(void);

/* store.c */
extern void dbu_plancache_store_init(void);
extern uint64 dbu_plancache_generation(void);
extern bool dbu_plancache_in_ddl(void);
extern DbuPlanEntry *dbu_plancache_find(DbuRecognised *rec, bool exact,
										const DbuPlanContext *context);
extern DbuPlanEntry *dbu_plancache_find_serial(uint64 hash, uint64 serial);
extern uint32 dbu_plancache_sighting(uint64 hash);
extern bool dbu_plancache_among_strangers(void);
extern DbuPlanEntry *dbu_plancache_entry_new(DbuRecognised *rec, bool exact,
											 const DbuPlanContext *context);
extern void dbu_plancache_entry_dependencies(DbuPlanEntry *entry,
											 const DbuRecognised *rec);
extern bool dbu_plancache_entry_link(DbuPlanEntry *entry);
extern void dbu_plancache_entry_drop(DbuPlanEntry *entry);
extern void dbu_plancache_entry_free(DbuPlanEntry *entry);
extern void dbu_plancache_entry_used(DbuPlanEntry *entry);
extern void dbu_plancache_store_reset(void);
extern int	dbu_plancache_store_forget(Oid relid);
extern Size dbu_plancache_store_bytes(void);
extern int	dbu_plancache_store_entries(void);
extern dlist_head *dbu_plancache_store_list(void);

/* instance.c */
extern bool dbu_plancache_accepts_plan(PlannedStmt *plan);
extern bool dbu_plancache_make_places(DbuPlanEntry *entry, const DbuRecognised *rec);
extern bool dbu_plancache_fill_place(Const *place, const DbuRecognised *rec);
extern PlannedStmt *dbu_plancache_instance(const DbuPlanEntry *entry,
										   const DbuRecognised *rec);

/* lend.c */
extern PlannedStmt *dbu_plancache_lend(DbuPlanEntry *entry, const DbuRecognised *rec,
									   bool only_copy);

/* judge.c */
extern DbuPlanEvent dbu_plancache_judge_literals(const DbuRecognised *rec);
extern bool dbu_plancache_detaching(const PlannedStmt *plan);
extern void dbu_plancache_measure(DbuPlanEntry *entry);
extern bool dbu_plancache_resized(DbuPlanEntry *entry);

/* measure.c */
extern void dbu_plancache_expect(const PlannedStmt *plan, const DbuPlanEntry *entry,
								 bool custom);
extern int	dbu_plancache_stmt_want(const DbuStatement *stmt);
extern void dbu_plancache_stmt_end(const DbuStatement *stmt);

/* shared.c */
extern DbuPlanCounts *dbu_plancache_counts; /* this process' own */
extern Size dbu_plancache_shmem_size(void);
extern void dbu_plancache_shmem_attach(void *chunk, bool found, int lwlock_tranche);
extern void dbu_plancache_shared_init(void);
extern void dbu_plancache_note_bytes(Size bytes);
extern uint64 dbu_plancache_all_bytes(void);
extern void dbu_plancache_all_counts(DbuPlanCounts *sum);
extern void dbu_plancache_reset_all(void);
extern bool dbu_plancache_reset_wanted(void);
extern DbuPlanMark dbu_plancache_mark(uint64 query_id);
extern DbuPlanMark dbu_plancache_set_mark(uint64 query_id, DbuPlanMark mark);

/* the module, for core/dbutil.c */
extern const DbuModule dbu_plancache_module;

#endif							/* DBU_PLANCACHE_H */
