/*-------------------------------------------------------------------------
 *
 * sequences.c
 *	  Where a sequence stands, read the way a health check has to read.
 *
 * PostgreSQL's own functions (and with them the view pg_sequences) keep a lock
 * on each sequence until the transaction ends, wait where they cannot have it,
 * and leave an entry in the session's relation cache.  A check that looks at
 * every sequence of a database may do none of this: it would fill the lock
 * table, stand behind somebody's DDL, and make a pooled session fat.  So the
 * lock is taken only if it is free and given back at once, and the page is
 * read by the file's name from pg_class.
 *
 * The lock is RowExclusiveLock, nextval()'s: it keeps out ALTER SEQUENCE,
 * which may replace the file, and is allowed on a standby.
 *
 * Reading past PostgreSQL's functions must not read past its grants: who has
 * neither SELECT nor USAGE on a sequence is told nothing, as pg_sequences does
 * it, statistics roles included.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(dbutil_health_sequence_position);

static bool
may_read(Oid relid)
{
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT | ACL_USAGE) == ACLCHECK_OK;
}

/*
 * The one row of the sequence that this pg_class row is of; false if it has
 * none to read here.  The caller holds a lock on it.
 */
static bool
read_position(Form_pg_class class, BufferAccessStrategy strategy, int64 *position)
{
	DbuRelFile	file = {
		OidIsValid(class->reltablespace) ? class->reltablespace : MyDatabaseTableSpace,
		MyDatabaseId,
		class->relfilenode
	};
	bool		permanent = class->relpersistence == RELPERSISTENCE_PERMANENT;
	Buffer		buf;
	Page		page;
	bool		found = false;

	/* Temporary ones are other sessions' or not worth a check; a standby has no unlogged data. */
	if (class->relpersistence == RELPERSISTENCE_TEMP ||
		(!permanent && RecoveryInProgress()))
		return false;

	buf = ReadBufferWithoutRelcache(file, MAIN_FORKNUM, 0, RBM_NORMAL, strategy, permanent);
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buf);
	if (!PageIsNew(page) && PageGetMaxOffsetNumber(page) >= FirstOffsetNumber)
	{
		ItemId		item = PageGetItemId(page, FirstOffsetNumber);

		if (ItemIdIsNormal(item))
		{
			HeapTupleHeader tuple = (HeapTupleHeader) PageGetItem(page, item);
			Form_pg_sequence_data data = (Form_pg_sequence_data) ((char *) tuple + tuple->t_hoff);

			*position = data->last_value;
			found = true;
		}
	}
	UnlockReleaseBuffer(buf);
	return found;
}

Datum
dbutil_health_sequence_position(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	HeapTuple	tuple;
	int64		position = 0;
	bool		found = false;

	/* A ring for the whole statement, so that a look at all sequences does not empty the cache. */
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		fcinfo->flinfo->fn_extra = GetAccessStrategy(BAS_BULKREAD);
		MemoryContextSwitchTo(old);
	}

	/* Do not lock what is no sequence; the lock makes the second look-up the one that counts. */
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		PG_RETURN_NULL();
	found = ((Form_pg_class) GETSTRUCT(tuple))->relkind == RELKIND_SEQUENCE;
	ReleaseSysCache(tuple);
	if (!found || !ConditionalLockRelationOid(relid, RowExclusiveLock))
		PG_RETURN_NULL();

	found = false;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);

		if (class->relkind == RELKIND_SEQUENCE && may_read(relid))
			found = read_position(class, fcinfo->flinfo->fn_extra, &position);
		ReleaseSysCache(tuple);
	}
	UnlockRelationOid(relid, RowExclusiveLock);

	if (!found)
		PG_RETURN_NULL();
	PG_RETURN_INT64(position);
}
