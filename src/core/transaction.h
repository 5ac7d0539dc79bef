/*-------------------------------------------------------------------------
 *
 * transaction.h
 *	  The current top-level transaction: what it ran, and how it ended.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_TRANSACTION_H
#define DBU_CORE_TRANSACTION_H

#include "core/module.h"

/* Inside a CALL or DO that may end transactions; hooks.c saves and restores it. */
extern bool dbu_xact_in_procedure;

extern void dbu_xact_install(void);

extern bool dbu_xact_count(int nesting, uint64 query_id);
extern void dbu_xact_decide_prepared(bool commit);
extern void dbu_xact_rollback_command(void);
extern void dbu_xact_note_rows(uint64 rows);
extern void dbu_xact_note_error(int sqlstate);

#endif							/* DBU_CORE_TRANSACTION_H */
