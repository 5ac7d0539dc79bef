/*-------------------------------------------------------------------------
 *
 * watch.h
 *	  What the files of tracking's second half share: plans, slow plans, waits,
 *	  tables and history.
 *
 * They are a DbuModule of their own (watch.c), with a chunk of shared memory of
 * their own, so that each can be off at no cost to what track.c counts.  Each
 * part has a fixed table, whose size a setting fixes when the server starts, and
 * counts what did not fit; dbutil.track_room() shows both for every part.
 *
 * Each part's head comment says which lock guards what.  In all of them nothing
 * is allocated, logged or raised under a spinlock, and no catalog is read under
 * an LWLock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_TRACK_WATCH_H
#define DBU_TRACK_WATCH_H

#include "core/compat.h"
#include "track/track.h"

#include "funcapi.h"
#include "utils/backend_status.h"

/* How full a part is; dropped counts what the part's comment says. */
typedef struct DbuRoom
{
	const char *part;
	int64		used;
	int64		size;			/* -1: no fixed one */
	int64		dropped;
	const char *fix;			/* what to do about the loss */
	TimestampTz stats_since;
} DbuRoom;

#define DBU_MAX_ROOMS 16

/* One part of the module. */
typedef struct DbuWatchPart
{
	void		(*init) (void);
	Size		(*shmem_size) (void);
	void		(*shmem_attach) (void *chunk, bool found, int lwlock_tranche);
	int			(*room) (DbuRoom *rooms);	/* how many it filled */
} DbuWatchPart;

/* watch.c */
extern void dbu_watch_client(int32 service, Oid user);
extern void dbu_watch_stmt_end(const DbuStatement *stmt);
extern void dbu_watch_write_end(const DbuStatement *stmt);
extern Datum dbu_watch_text(char *text, int encoding);

/* plan_id.c */
extern uint64 dbu_watch_plan_id(const PlannedStmt *stmt);

/* plan_text.c */
extern bool dbu_watch_explaining(void);
extern char *dbu_watch_explain(QueryDesc *query_desc, double exec_ms, bool json);

/* plans.c */
typedef struct PlanKey
{
	uint64		query_id;
	Oid			database;
	Oid			username;
} PlanKey;

/*
 * Computed once a statement, for all parts.  The identifier is a hash itself:
 * what is left is to let every bit of the key have a say in every bit.  Two keys
 * of one database and role never have the same.
 */
static inline uint64
dbu_plan_key_hash(const PlanKey *key)
{
	uint64		who = ((uint64) key->database << 32) | key->username;
	uint64		h = key->query_id ^ (who * UINT64CONST(0x9E3779B97F4A7C15));

	h = (h ^ (h >> 32)) * UINT64CONST(0xD6E8FEB86659FD93);
	return h ^ (h >> 32);
}

/* Where a hash falls among n places, without a division. */
static inline uint32
dbu_plan_key_place(uint32 hash, uint32 n)
{
	return ((uint64) hash * n) >> 32;
}

typedef struct DbuPlan
{
	PlanKey		key;
	uint64		plan_id;
	uint64		previous;		/* plan that ran before this one; 0: none */
	int64		calls;
	int64		rows;
	double		total_ms;
	double		min_ms;
	double		max_ms;
	double		mean_ms;		/* Welford's running mean and */
	double		sum_var;		/* sum of squared differences from it */
	double		cost;			/* of the first execution's plan */
	TimestampTz first_seen;
	TimestampTz last_seen;
	int32		encoding;		/* of the text */
	char	   *text;			/* in copies for readers only; NULL: none */
} DbuPlan;

extern const DbuWatchPart dbu_plans_part;
extern bool dbu_plans_on;		/* dbutil.track_plans */
extern bool dbu_plans_count(const PlanKey *key, uint64 hash, uint64 plan_id,
							const DbuStatement *stmt);
extern void dbu_plans_store_text(const PlanKey *key, uint64 hash, uint64 plan_id,
								 const char *text);
extern DbuPlan *dbu_plans_copy(bool texts, int *count);
extern int64 dbu_plans_reset(void);

/* slow_plans.c */
typedef struct DbuSlowPlan
{
	uint64		number;			/* of those ever recorded, from 1 on */
	TimestampTz ended;
	int32		service;
	int32		pid;
	PlanKey		key;
	uint64		plan_id;
	double		exec_ms;
	uint64		rows;
	bool		measured;		/* each node was */
	int32		encoding;
	dsa_pointer texts[2];		/* text and JSON */
	char	   *copies[2];		/* in copies for readers only */
} DbuSlowPlan;

extern const DbuWatchPart dbu_slow_plans_part;
extern int	dbu_slow_time;		/* dbutil.track_slow_time, ms, -1: off */
extern bool dbu_slow_plans_sampled(void);
extern double dbu_slow_analyze; /* fraction of statements that are measured */
extern int	dbu_slow_plans_instrument(void);
extern void dbu_slow_plans_record(const DbuStatement *stmt, const PlanKey *key, uint64 plan_id);

/* May dbu_slow_plans_instrument() answer anything? */
static inline bool
dbu_slow_plans_measure(void)
{
	return dbu_slow_time >= 0 && dbu_slow_analyze > 0;
}

extern DbuSlowPlan *dbu_slow_plans_copy(int *count);
extern int64 dbu_slow_plans_reset(void);

/* plan_memory.c */
typedef enum DbuPlanMemoryUser
{
	DBU_MEMORY_PLANS,
	DBU_MEMORY_SLOW_PLANS
} DbuPlanMemoryUser;

extern const DbuWatchPart dbu_plan_memory_part;
extern bool dbu_plan_memory_fits(DbuPlanMemoryUser user, Size size);
extern bool dbu_plan_memory_could_fit(Size size);
extern dsa_pointer dbu_plan_memory_store(DbuPlanMemoryUser user, const char *text);
extern char *dbu_plan_memory_copy(dsa_pointer place);
extern void dbu_plan_memory_free(DbuPlanMemoryUser user, dsa_pointer *place);
extern void dbu_plan_memory_forget_losses(DbuPlanMemoryUser user);
extern void dbu_plan_memory_room(DbuPlanMemoryUser user, DbuRoom *room);

/* sessions.c */
typedef struct DbuSession
{
	int			pid;
	int32		service;
	Oid			database;
	Oid			username;		/* who sent the last statement */
	BackendState state;
	uint64		query_id;		/* of the statement in progress, 0: unknown */
} DbuSession;

extern const DbuWatchPart dbu_sessions_part;
extern void dbu_sessions_publish(int32 service, Oid username);
extern bool dbu_sessions_read(int number, DbuSession *session);

/* tables.c */
extern const DbuWatchPart dbu_tables_part;
extern void dbu_tables_note(const PlanKey *key, uint64 hash, const PlannedStmt *stmt);
extern void dbu_tables_note_target(const PlanKey *key, uint64 key_hash, Oid target, CmdType operation);
extern void dbu_tables_reset(void);

/* waits.c */
typedef struct WaitKey
{
	uint64		query_id;
	Oid			database;
	Oid			username;
	int32		service;
	uint32		event;			/* as in PGPROC, 0: not waiting */
} WaitKey;

typedef struct DbuWait
{
	WaitKey		key;
	int64		samples;
	int64		sampled_us;		/* time that the samples stand for */
	TimestampTz first_seen;
	TimestampTz last_seen;
} DbuWait;

extern const DbuWatchPart dbu_waits_part;
extern int	dbu_waits_interval; /* dbutil.track_waits_interval, ms, 0: off */
extern void dbu_waits_sample(TimestampTz now);

/* history.c */
extern const DbuWatchPart dbu_history_part;
extern int	dbu_history_interval;	/* dbutil.track_history_interval, s, 0: off */
extern long dbu_history_work(TimestampTz now);
extern void dbu_history_status(DbuStatusSink *sink);

/* worker.c */
extern const DbuWatchPart dbu_worker_part;
extern void dbu_worker_start_missing(void);

/* At each statement of a client: start the worker where it is missing. */
static inline void
dbu_worker_ensure(void)
{
	if (unlikely(dbu_waits_interval > 0 || dbu_history_interval > 0))
		dbu_worker_start_missing();
}

extern bool dbu_worker_trouble(DbuStatusSink *sink, const char *item);
extern void dbu_worker_status(DbuStatusSink *sink);

#endif							/* DBU_TRACK_WATCH_H */
