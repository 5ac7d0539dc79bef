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

extern void dbu_event_client(Oid user);
extern int	dbu_event_instrument(const DbuStatement *stmt);
extern int	dbu_event_want(const DbuStatement *stmt, uint32 *wanted);
extern void dbu_event_end(const DbuStatement *stmt, uint32 wanted);
extern void dbu_event_abort(const DbuStatement *stmt, uint32 wanted);
extern void dbu_event_caught(const DbuStatement *stmt, int sqlstate);
extern void dbu_event_error_logged(Oid user, int sqlstate);
extern void dbu_event_xact_begin(void);
extern void dbu_event_xact_end(const DbuTransaction *xact);

#endif							/* DBU_CORE_EVENTS_H */
