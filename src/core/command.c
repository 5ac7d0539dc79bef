/*-------------------------------------------------------------------------
 *
 * command.c
 *	  What a utility statement means for its transaction, and what it reports.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/command.h"
#include "core/transaction.h"

#include "nodes/parsenodes.h"

/* Rows that a finished utility statement reports, as psql would show them. */
uint64
dbu_command_rows(const QueryCompletion *qc)
{
	if (qc == NULL)
		return 0;
	switch (qc->commandTag)
	{
		case CMDTAG_COPY:
		case CMDTAG_FETCH:
		case CMDTAG_SELECT:
		case CMDTAG_REFRESH_MATERIALIZED_VIEW:
			return qc->nprocessed;
		default:
			return 0;
	}
}

/* Rows that COPY FROM has written. */
uint64
dbu_command_rows_written(bool copies_in, const QueryCompletion *qc)
{
	return copies_in && qc != NULL && qc->commandTag == CMDTAG_COPY ? qc->nprocessed : 0;
}

/*
 * Is it a statement of its transaction?  Those that control transactions are
 * none, but for those that decide a prepared one.
 */
bool
dbu_command_counts(Node *parsetree)
{
	if (!IsA(parsetree, TransactionStmt))
		return true;
	switch (((TransactionStmt *) parsetree)->kind)
	{
		case TRANS_STMT_COMMIT_PREPARED:
			dbu_xact_decide_prepared(true);
			return true;
		case TRANS_STMT_ROLLBACK_PREPARED:
			dbu_xact_decide_prepared(false);
			return true;
		case TRANS_STMT_ROLLBACK:
			dbu_xact_rollback_command();
			return false;
		case TRANS_STMT_ROLLBACK_TO:
			dbu_xact_note_error(0);
			return false;
		default:
			return false;
	}
}
