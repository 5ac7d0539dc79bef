/*-------------------------------------------------------------------------
 *
 * access.h
 *	  Who may see and who may reset: one rule for every view.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_ACCESS_H
#define DBU_CORE_ACCESS_H

#include "postgres.h"

/* May the current user see texts and identifiers that belong to owner? */
extern bool dbu_may_see(Oid owner);

/* What is shown in place of a text that may not be seen. */
#define DBU_HIDDEN_TEXT "<insufficient privilege>"

#endif							/* DBU_CORE_ACCESS_H */
