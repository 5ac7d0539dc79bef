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
 *	- stmt_want, stmt_abort and xact_end run in error paths and after the
 *	  commit record is written.  They write preallocated memory with atomics
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
	QueryDesc  *query_desc;		/* NULL for utility statements and in planning */

	/* set for stmt_end only */
	uint64		rows;			/* rows returned or affected */
	double		exec_ms;		/* execution time, milliseconds */
	BufferUsage buffers;		/* zero unless INSTRUMENT_BUFFERS was wanted */
	WalUsage	wal;			/* zero unless INSTRUMENT_WAL was wanted */
	bool		planned;		/* planned for this execution, which took */
	double		plan_ms;		/* milliseconds */
	bool		plan_served;	/* and was answered by a plan callback */
} DbuStatement;

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

/* One ended top-level transaction that ran at least one statement; see transaction.c. */
typedef struct DbuTransaction
{
	bool		committed;		/* false: rolled back, by command or by error */
	double		duration_ms;	/* from the transaction's start timestamp */
	double		commit_ms;		/* from before the commit record is written to
								 * after it is durable; 0 without one */
	uint32		statements;		/* statements sent by the client; 1 where a
								 * procedure began the transaction, or where
								 * it decided a prepared one */
	bool		wrote;			/* a transaction identifier was assigned */
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
	 * every backend where backends do not inherit its memory.
	 */
	Size		(*shmem_size) (void);
	void		(*shmem_attach) (void *chunk, bool found, int lwlock_tranche);
	const char *tranche_name;
	bool		without_shmem;

	/*
	 * Statements.  stmt_client comes when a statement of the client is about
	 * to be planned, or run where it was planned before; user is who sent it.
	 * stmt_want answers the INSTRUMENT_* bits that it wants for a statement,
	 * 0 for "not interested": then neither of the next two follows for it.
	 * It is asked once for each execution.  stmt_end comes after execution,
	 * while query_desc is still whole.  stmt_abort comes instead when
	 * planning or execution raises an error; sqlstate is that error's, and
	 * the error goes on to be thrown.  stmt_instrument comes before the
	 * executor starts and answers the INSTRUMENT_* bits that each node of
	 * the plan is to be measured with: costly, for a sample of statements.
	 */
	void		(*stmt_client) (Oid user);
	int			(*stmt_instrument) (const DbuStatement *stmt);
	int			(*stmt_want) (const DbuStatement *stmt);
	void		(*stmt_end) (const DbuStatement *stmt);
	void		(*stmt_abort) (const DbuStatement *stmt, int sqlstate);

	/*
	 * Planning.  At most one module may have plan: it either calls
	 * dbu_plan_next() or returns a plan of its own.  How long it took is told
	 * with the end of the execution.
	 */
	PlannedStmt *(*plan) (DbuPlanRequest *req);

	/* Transactions of client backends and background workers. */
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

/* hooks.c, statement.c */
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
