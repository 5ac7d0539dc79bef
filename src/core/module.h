/*-------------------------------------------------------------------------
 *
 * module.h
 *	  What a module of dbutil is, and the events it can subscribe to.
 *
 * A module is one folder under src/ and one DbuModule: a struct of optional
 * callbacks.  It never assigns a PostgreSQL hook.  hooks.c owns the hooks,
 * turns them into the events below and calls the subscribers in the order of
 * the table in dbutil.c.  Events carry meaning, not hook signatures, so that
 * differences between PostgreSQL versions end in hooks.c and compat.h.
 *
 * Rules for callbacks:
 *	- stmt_client and stmt_end may allocate in the current memory context
 *	  and take their module's locks.  An error they raise is the user's
 *	  error, so they must not raise one for want of room: what does not fit
 *	  is dropped and counted.
 *	- stmt_instrument answers at once, without a lock.
 *	- stmt_want, stmt_abort, stmt_caught, error_logged and xact_end run in
 *	  error paths and after the commit record is written.  They write preallocated memory with atomics
 *	  or plain stores only: no allocation, no LWLock, no ereport.  (An ERROR
 *	  raised at XACT_EVENT_COMMIT is a PANIC.)
 *	- With dbutil.enabled = off no callback is called, from the next
 *	  statement on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_MODULE_H
#define DBU_CORE_MODULE_H

#include "postgres.h"

#include "executor/execdesc.h"
#include "executor/instrument.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "portability/instr_time.h"

/*
 * One executed statement, plannable or utility, at any nesting depth.  The
 * pointers are borrowed: valid until the callback returns.
 */
typedef struct DbuStatement
{
	uint64		query_id;		/* 0 when no query identifier was computed */
	const char *source_text;	/* whole text the statement came in; may be NULL */
	int			location;		/* start within source_text, -1: unknown */
	int			length;			/* bytes, 0: to the end of source_text */
	CmdType		operation;		/* CMD_UTILITY for utility statements */
	NodeTag		utility_tag;	/* which utility statement, else T_Invalid */
	int			nesting;		/* 0: sent by the client */
	Oid			user;			/* who ran it when it began; the current user
								 * may be another one by its end */
	QueryDesc  *query_desc;		/* NULL for utility statements, in planning, and
								 * for what is no statement but counts as one */
	Oid			target;			/* then: the table that it writes; see write.c */

	/* set for stmt_end only */
	bool		planned;		/* planned for this execution, and timed (plan_times) */
	bool		plan_served;	/* planning was answered by a plan callback */
	bool		cpu_known;		/* DBU_WANT_CPU was wanted */
	double		plan_ms;		/* milliseconds */
	uint64		rows;			/* rows returned or affected */
	double		exec_ms;		/* execution time, milliseconds */
	double		cpu_user_ms;	/* CPU time of this process meanwhile */
	double		cpu_system_ms;
	BufferUsage buffers;		/* of execution, and of timed planning */
	WalUsage	wal;
} DbuStatement;

/* What stmt_want answers. */
#define DBU_WANT		1		/* time, rows, buffers and WAL */
#define DBU_WANT_CPU	2		/* CPU time as well: two system calls a statement */

/*
 * One call of the planner.  A plan callback may answer it from elsewhere; it
 * then sets served, for the statistics.
 */
typedef struct DbuPlanRequest
{
	Query	   *query;			/* the planner's to scribble on */
	const char *query_string;	/* may be NULL */
	int			cursor_options;
	ParamListInfo bound_params;
	int			nesting;		/* 0: a statement sent by the client */
	bool		seen_after;		/* another planner hook gets the plan, and may
								 * write to it */
	bool		served;			/* out: planning was skipped */
	const char *source;			/* out: where the plan came from, in words for
								 * EXPLAIN; NULL: nothing to say */
} DbuPlanRequest;

/* How a transaction ended; all but the first are rollbacks. */
typedef enum DbuXactOutcome
{
	DBU_XACT_COMMITTED,
	DBU_XACT_COMMAND,			/* ROLLBACK was sent */
	DBU_XACT_ERROR,				/* an error that is none of the following */
	DBU_XACT_SERIALIZATION,		/* 40001 */
	DBU_XACT_DEADLOCK,			/* 40P01 */
	DBU_XACT_CANCELLED,			/* 57014: by the user or by statement_timeout */
	DBU_XACT_LOCK,				/* 55P03: lock_timeout, NOWAIT */
	DBU_XACT_TERMINATED			/* the session ended, by whomever */
} DbuXactOutcome;

#define DBU_XACT_OUTCOMES 8

/* Statements of a transaction by which it is recognised; those beyond are only counted. */
#define DBU_XACT_IDS 16

/* One ended top-level transaction that ran at least one statement; see transaction.c. */
typedef struct DbuTransaction
{
	DbuXactOutcome outcome;
	bool		wrote;			/* a transaction identifier was assigned */
	double		duration_ms;	/* from the transaction's start timestamp */
	double		commit_ms;		/* from before the commit record is written to
								 * after it is durable; 0 without one */
	uint32		statements;		/* statements sent by the client; 1 where a
								 * procedure began the transaction, or where
								 * it decided a prepared one */
	uint32		subtransactions;
	uint32		idle_gaps;		/* times that it waited for the client */
	double		idle_ms;		/* all of that; 0 without track_activities */
	double		max_idle_ms;
	uint64		rows_written;	/* by INSERT, UPDATE, DELETE, MERGE and COPY */
	uint64		wal_bytes;		/* of this process */
	uint32		nids;
	const uint64 *ids;			/* of its first statements, repeats in a row
								 * left out */
} DbuTransaction;

/* Where dbutil.status() collects its rows; see core/status.c. */
typedef struct DbuStatusSink DbuStatusSink;

typedef struct DbuModule
{
	const char *name;			/* folder name, GUC prefix dbutil.<name> */

	/* Define settings.  Called from _PG_init; shared memory is not there yet. */
	void		(*init) (void);

	/*
	 * Shared memory.  A module with shmem_size is dormant (no event reaches
	 * it) unless the library was preloaded, or it says that it works without;
	 * then shmem_attach is not called.  shmem_attach gets the module's
	 * chunk, zeroed when !found, and a LWLock tranche shown in wait events as
	 * tranche_name ("Dbutil<Module>").  It runs in the postmaster, and in
	 * every backend where backends do not inherit its memory.  shmem_ready
	 * comes once, in the postmaster, when chunks and the DSA area are there.
	 */
	Size		(*shmem_size) (void);
	void		(*shmem_attach) (void *chunk, bool found, int lwlock_tranche);
	void		(*shmem_ready) (void);
	const char *tranche_name;
	bool		without_shmem;

	/*
	 * Statements.  Of those but stmt_want, stmt_end and stmt_abort one module
	 * at most may have each, as of the events of transactions and errors
	 * below.  stmt_client comes when a statement of the client is about
	 * to be planned, or run where it was planned before; user is who sent it.
	 * stmt_want answers the DBU_WANT_* bits that it wants for a statement,
	 * 0 for "not interested": then neither of the next two follows for it.
	 * It is asked once for each execution.  stmt_end comes after execution,
	 * while query_desc is still whole.  stmt_abort comes instead when
	 * planning or execution raises an error; sqlstate is that error's, and
	 * the error goes on to be thrown.  stmt_caught comes when a function inside
	 * stmt, a statement of the client, caught an error: stmt goes on.
	 * stmt_instrument comes before the executor starts and answers the
	 * INSTRUMENT_* bits that each node of the plan is to be measured with:
	 * costly, for a sample of statements.
	 */
	void		(*stmt_client) (Oid user);
	int			(*stmt_instrument) (const DbuStatement *stmt);
	int			(*stmt_want) (const DbuStatement *stmt);
	void		(*stmt_end) (const DbuStatement *stmt);
	void		(*stmt_abort) (const DbuStatement *stmt, int sqlstate);
	void		(*stmt_caught) (const DbuStatement *stmt, int sqlstate);

	/*
	 * An error that ends a command of the client and of which no stmt_abort
	 * told: in parsing or parse analysis, in the protocol, the end of the
	 * session.  Seen only down to log_min_messages.
	 */
	void		(*error_logged) (Oid user, int sqlstate);

	/*
	 * Planning.  At most one module may have plan: it either calls
	 * dbu_plan_next() or returns a plan of its own.  What it took, if that is
	 * measured, is told with the end of the execution.
	 */
	PlannedStmt *(*plan) (DbuPlanRequest *req);

	/* A setting: measure planning, which takes two more looks at the clock. */
	const bool *plan_times;

	/*
	 * Transactions of client backends and background workers.  xact_begin
	 * comes with the first statement that counts, and may lock and allocate.
	 */
	void		(*xact_begin) (void);
	void		(*xact_end) (const DbuTransaction *xact);

	/* Rows for dbutil.status(): what is on, what was lost. */
	void		(*status) (DbuStatusSink *sink);
} DbuModule;

/* dbutil.c: the module table, in init order */
extern const DbuModule *const dbu_modules[];
extern const int dbu_nmodules;

/* dbutil.c: settings and facts that every module may read */
extern bool dbu_enabled;		/* dbutil.enabled */
extern bool dbu_preloaded;		/* loaded by shared_preload_libraries? */
extern const char *dbu_service(void);	/* never NULL, never empty */

/* hooks.c, statement.c, planning.c */
extern void dbu_hooks_install(void);
extern int	dbu_nesting(void);	/* 0: not inside any statement */
extern PlannedStmt *dbu_plan_next(DbuPlanRequest *req);

/* status.c; state is one of the DBU_STATUS_* words, fix is NULL when ok */
#define DBU_STATUS_OK		"ok"
#define DBU_STATUS_OFF		"off"
#define DBU_STATUS_WARN		"warn"
extern void dbu_status_row(DbuStatusSink *sink, const char *item,
						   const char *state, const char *value, const char *fix);

#endif							/* DBU_CORE_MODULE_H */
