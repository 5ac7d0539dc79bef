/*-------------------------------------------------------------------------
 *
 * command.h
 *	  What a utility statement means for its transaction, and what it reports.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_COMMAND_H
#define DBU_CORE_COMMAND_H

#include "core/module.h"

#include "tcop/cmdtag.h"

extern uint64 dbu_command_rows(const QueryCompletion *qc);
extern uint64 dbu_command_rows_written(bool copies_in, const QueryCompletion *qc);
extern bool dbu_command_counts(Node *parsetree);

#endif							/* DBU_CORE_COMMAND_H */
