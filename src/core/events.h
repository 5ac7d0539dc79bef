/*-------------------------------------------------------------------------
 *
 * events.h
 *	  Tells the live modules what hooks.c and transaction.c see.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_EVENTS_H
#define DBU_CORE_EVENTS_H

#include "core/module.h"

/* Modules that events reach, at most as many as wanted has bits. From _PG_init. */
extern void dbu_event_subscribe(const DbuModule *module);

extern int	dbu_event_want(const DbuStatement *stmt, uint32 *wanted);
extern void dbu_event_end(const DbuStatement *stmt, uint32 wanted);
extern void dbu_event_abort(const DbuStatement *stmt, uint32 wanted);

/* Callbacks of the one module that has each of these; NULL: none has. */
typedef struct DbuEvents
{
	void		(*client) (Oid user);
	int			(*instrument) (const DbuStatement *stmt);
	void		(*caught) (const DbuStatement *stmt, int sqlstate);
	void		(*error_logged) (Oid user, int sqlstate);
	void		(*xact_begin) (void);
	void		(*xact_end) (const DbuTransaction *xact);
} DbuEvents;

extern DbuEvents dbu_events;

static inline void
dbu_event_client(Oid user)
{
	if (dbu_events.client != NULL)
		dbu_events.client(user);
}

/* INSTRUMENT_* bits that are wanted of each node. */
static inline int
dbu_event_instrument(const DbuStatement *stmt)
{
	return dbu_events.instrument != NULL ? dbu_events.instrument(stmt) : 0;
}

static inline void
dbu_event_caught(const DbuStatement *stmt, int sqlstate)
{
	if (dbu_events.caught != NULL)
		dbu_events.caught(stmt, sqlstate);
}

static inline void
dbu_event_error_logged(Oid user, int sqlstate)
{
	if (dbu_events.error_logged != NULL)
		dbu_events.error_logged(user, sqlstate);
}

static inline void
dbu_event_xact_begin(void)
{
	if (dbu_events.xact_begin != NULL)
		dbu_events.xact_begin();
}

static inline void
dbu_event_xact_end(const DbuTransaction *xact)
{
	if (dbu_events.xact_end != NULL)
		dbu_events.xact_end(xact);
}

#endif							/* DBU_CORE_EVENTS_H */
