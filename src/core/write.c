/*-------------------------------------------------------------------------
 *
 * write.c
 *	  Writes that are no statement, told of as if they were.
 *
 * A module that puts rows into a table by itself calls these around it.  Those
 * who count statements then see a nested one, whose identifier is made from the
 * text that it would have had, and the transaction has written the rows.  It has
 * no plan: query_desc is NULL, and target says which table it wrote.  One that
 * fails is not told of; the statement around it is.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/events.h"
#include "core/statement.h"
#include "core/transaction.h"
#include "core/write.h"

#include "common/hashfn.h"
#include "miscadmin.h"

void
dbu_write_begin(DbuWrite *write, CmdType operation, Oid target)
{
	DbuStatement *stmt = &write->stmt;

	write->wanted = 0;
	if (!dbu_enabled)
		return;
	memset(stmt, 0, sizeof(*stmt));
	stmt->query_id = 1;			/* it will have one */
	stmt->location = -1;
	stmt->operation = operation;
	stmt->target = target;
	stmt->nesting = Max(dbu_statement_nesting, 1);
	stmt->user = GetUserId();
	write->want = dbu_event_want(stmt, &write->wanted);
	if (write->wanted != 0)
		dbu_usage_start(&write->start, write->want);
}

/* text is needed, and looked at, only if somebody wants the write. */
void
dbu_write_end(DbuWrite *write, const char *text, uint64 rows)
{
	if (!dbu_enabled)
		return;
	dbu_xact_note_rows(rows);
	if (write->wanted == 0)
		return;
	dbu_usage_stop(&write->start, write->want, &write->stmt);
	write->stmt.query_id = hash_bytes_extended((const unsigned char *) text, strlen(text), 0);
	write->stmt.source_text = text;
	write->stmt.rows = rows;
	dbu_event_end(&write->stmt, write->wanted);
}
