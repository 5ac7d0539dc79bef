/*-------------------------------------------------------------------------
 *
 * jobs.c
 *	  The row of a job in dbutil.bulk_job_rows.
 *
 * It is written in the transaction of each chunk: where a crash ends the run,
 * the chunk and the cursor behind it are both there or both not.  The texts of
 * the statements are ours alone and qualified throughout, so they run as the
 * owner of the table, around that one statement only.
 *
 * One session runs a job: it holds a lock of its own on the job's name as long
 * as it does, which goes with the session, however that ends.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/batches.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* ---------- the lock ---------- */

/* Advisory locks of SQL have 1 or 2 in the last place. */
#define JOB_LOCK_CLASS 3

static void
job_tag(LOCKTAG *tag, const char *job)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) job, strlen(job), 0);

	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, JOB_LOCK_CLASS);
}

void
dbu_job_lock(const char *job)
{
	LOCKTAG		tag;

	job_tag(&tag, job);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("job \"%s\" is being run by another session", job),
				 errhint("See dbutil.bulk_progress; dbutil.bulk_cancel() ends it after its chunk.")));
}

void
dbu_job_unlock(const char *job)
{
	LOCKTAG		tag;

	job_tag(&tag, job);
	(void) LockRelease(&tag, ExclusiveLock, true);
}

bool
dbu_job_is_locked(const char *job)
{
	LOCKTAG		tag;

	job_tag(&tag, job);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	(void) LockRelease(&tag, ExclusiveLock, true);
	return false;
}

/* ---------- statements as the owner ---------- */

static Oid
table_owner(void)
{
	Oid			relid = get_relname_relid("bulk_job_rows", get_namespace_oid("dbutil", false));
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"dbutil.bulk_job_rows\" does not exist"),
				 errhint("Run ALTER EXTENSION dbutil UPDATE.")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * A connection of its own for one look at the tables, in a transaction that may
 * have just begun: all memory that it takes goes with it.
 */
void
dbu_job_connect(void)
{
	EnsurePortalSnapshotExists();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/* As SPI_execute_with_args; sql is a text of ours. */
int
dbu_job_execute(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	Oid			user;
	int			context;
	int			rc;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(table_owner(), context | SECURITY_LOCAL_USERID_CHANGE);
	rc = SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0);
	SetUserIdAndSecContext(user, context);
	if (rc < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(rc));
	return rc;
}

/* ---------- reading ---------- */

/* What dbu_job_begin reads, in order. */
enum
{
	READ_DEFINITION,
	READ_OWNER,
	READ_STATE,
	READ_CURSOR,
	READ_CHUNK_ROWS,
	READ_FIRST_COUNTER			/* those of counters[], then the rest */
};

/* Counters that a row keeps, by column. */
static const struct
{
	const char *name;
	Size		offset;
}			counters[] =
{
	{"rows_in", offsetof(DbuBulkResult, rows_in)},
	{"inserted", offsetof(DbuBulkResult, inserted)},
	{"updated", offsetof(DbuBulkResult, updated)},
	{"unchanged", offsetof(DbuBulkResult, unchanged)},
	{"deleted", offsetof(DbuBulkResult, deleted)},
	{"conflicts", offsetof(DbuBulkResult, conflicts)},
	{"missing", offsetof(DbuBulkResult, missing)},
	{"suppressed", offsetof(DbuBulkResult, suppressed)},
	{"rejected", offsetof(DbuBulkResult, rejected)},
	{"chunks", offsetof(DbuBulkResult, chunks)},
	{"retries", offsetof(DbuBulkResult, retries)},
	{"wal_bytes", offsetof(DbuBulkResult, wal_bytes)},
	{"first_error_ord", offsetof(DbuBulkResult, first_error_ord)},
};

static int64 *
counter(DbuBulkResult *res, int i)
{
	return (int64 *) ((char *) res + counters[i].offset);
}

static List *
list_of_array(Datum array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	List	   *list = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		list = lappend(list, TextDatumGetCString(elements[i]));
	return list;
}

static void
check_same_job(const DbuBatches *batches, const char *definition, const char *owner)
{
	if (!has_privs_of_role(GetUserId(), get_role_oid(owner, true)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for job \"%s\"", batches->job),
				 errhint("It belongs to another role; choose another name.")));
	if (strcmp(definition, batches->definition) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("job \"%s\" was begun with other arguments", batches->job),
				 errdetail("It was: %s.", definition),
				 errhint("Repeat these to go on with it, choose another name, or remove it by dbutil.bulk_forget().")));
}

/* The job as it was left. */
static bool
resume(DbuBatches *batches, HeapTuple tuple, TupleDesc desc)
{
	DbuBulkResult *res = &batches->res;
	bool		isnull;
	Datum		value;
	int			next = READ_FIRST_COUNTER + lengthof(counters) + 1;

	check_same_job(batches, SPI_getvalue(tuple, desc, READ_DEFINITION + 1),
				   SPI_getvalue(tuple, desc, READ_OWNER + 1));
	value = SPI_getbinval(tuple, desc, READ_CURSOR + 1, &isnull);
	batches->cursor = isnull ? NIL : list_of_array(value);
	batches->chunk_rows = DatumGetInt32(SPI_getbinval(tuple, desc, READ_CHUNK_ROWS + 1, &isnull));
	for (int i = 0; i < lengthof(counters); i++)
		*counter(res, i) = DatumGetInt64(SPI_getbinval(tuple, desc, READ_FIRST_COUNTER + i + 1, &isnull));
	batches->elapsed_before = DatumGetFloat8(SPI_getbinval(tuple, desc, next++, &isnull));
	res->throttled_ms = DatumGetFloat8(SPI_getbinval(tuple, desc, next++, &isnull));
	res->first_sqlstate = SPI_getvalue(tuple, desc, next++);
	res->first_message = SPI_getvalue(tuple, desc, next++);
	batches->expected = DatumGetInt64(SPI_getbinval(tuple, desc, next++, &isnull));
	return strcmp(SPI_getvalue(tuple, desc, READ_STATE + 1), "complete") != 0;
}

static void
insert_job(DbuBatches *batches)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT4OID};
	Datum		values[] = {
		CStringGetTextDatum(batches->job),
		CStringGetTextDatum(dbu_bulk_op_names[batches->op]),
		CStringGetTextDatum(batches->proto->target->sql_name),
		CStringGetTextDatum(batches->source_sql),
		CStringGetTextDatum(GetUserNameFromId(GetUserId(), false)),
		CStringGetTextDatum(dbu_service()),
		CStringGetTextDatum(batches->definition),
		Int64GetDatum(batches->expected),
		Int32GetDatum(batches->chunk_rows),
	};

	(void) dbu_job_execute("INSERT INTO dbutil.bulk_job_rows (job, op, target, source, owner, service, definition, rows_expected, chunk_rows)"
						   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", lengthof(types), types, values, NULL);
}

/*
 * Begin the job or go on with it; false: it was complete already.  The caller
 * holds its lock.
 */
bool
dbu_job_begin(DbuBatches *batches)
{
	StringInfoData sql;
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(batches->job);
	bool		goes_on = true;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT j.definition, j.owner, j.state, j.cursor_key, j.chunk_rows");
	for (int i = 0; i < lengthof(counters); i++)
		appendStringInfo(&sql, ", j.%s", counters[i].name);
	appendStringInfoString(&sql, ", j.elapsed_ms, j.throttled_ms, j.first_sqlstate, j.first_message, j.rows_expected"
						   " FROM dbutil.bulk_job_rows AS j WHERE j.job OPERATOR(pg_catalog.=) $1");
	(void) dbu_job_execute(sql.data, 1, &type, &value, NULL);
	if (SPI_processed == 0)
		insert_job(batches);
	else
		goes_on = resume(batches, SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
	/* a cancel was meant for an earlier call */
	(void) dbu_job_execute("DELETE FROM dbutil.bulk_job_controls AS c WHERE c.job OPERATOR(pg_catalog.=) $1"
						   " AND c.wanted OPERATOR(pg_catalog.=) 'cancel'::pg_catalog.text", 1, &type, &value, NULL);
	return goes_on;
}

/* What somebody asked of the job by bulk_pause() or bulk_cancel(). */
DbuWanted
dbu_job_wanted(const DbuBatches *batches)
{
	Oid			type = TEXTOID;
	Datum		value;
	DbuWanted	wanted = DBU_WANTED_RUN;

	if (batches->pacing.dry_run)
		return DBU_WANTED_RUN;
	dbu_job_connect();
	value = CStringGetTextDatum(batches->job);
	(void) dbu_job_execute("SELECT c.wanted FROM dbutil.bulk_job_controls AS c WHERE c.job OPERATOR(pg_catalog.=) $1",
						   1, &type, &value, NULL);
	if (SPI_processed > 0)
		wanted = strcmp(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1), "cancel") == 0
			? DBU_WANTED_CANCEL : DBU_WANTED_PAUSE;
	SPI_finish();
	return wanted;
}

/* ---------- writing ---------- */

static Datum
array_of_list(List *list)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(list), 1));
	ListCell   *lc;

	foreach(lc, list)
		elements[foreach_current_index(lc)] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(elements, list_length(list), TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
text_or_null(const char *text, char *null)
{
	*null = text ? ' ' : 'n';
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

/*
 * Write how far the job is, in the current transaction.  state: running, paused,
 * stopped, failed, cancelled or complete; waiting_for and error may be NULL.
 */
void
dbu_job_write(DbuBatches *batches, const char *state, const char *waiting_for, const char *error)
{
#define NTEXTS 12
	StringInfoData sql;
	Oid			types[NTEXTS + lengthof(counters)];
	Datum		values[NTEXTS + lengthof(counters)];
	char		nulls[NTEXTS + lengthof(counters)];
	DbuBulkResult *res = &batches->res;
	instr_time	now;

	dbu_job_connect();
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, batches->started);
	res->elapsed_ms = batches->elapsed_before + INSTR_TIME_GET_MILLISEC(now);
	memset(nulls, ' ', sizeof(nulls));
	for (int i = 0; i < NTEXTS; i++)
		types[i] = TEXTOID;
	values[0] = CStringGetTextDatum(batches->job);
	values[1] = CStringGetTextDatum(state);
	values[2] = text_or_null(waiting_for, &nulls[2]);
	values[3] = text_or_null(error, &nulls[3]);
	values[4] = text_or_null(res->first_sqlstate, &nulls[4]);
	values[5] = text_or_null(res->first_message, &nulls[5]);
	types[6] = TEXTARRAYOID;
	nulls[6] = batches->cursor == NIL ? 'n' : ' ';
	values[6] = array_of_list(batches->cursor);
	types[7] = INT4OID;
	values[7] = Int32GetDatum(batches->chunk_rows);
	types[8] = INT4OID;
	values[8] = Int32GetDatum(MyProcPid);
	types[9] = TIMESTAMPTZOID;
	values[9] = TimestampTzGetDatum(MyStartTimestamp);
	types[10] = FLOAT8OID;
	values[10] = Float8GetDatum(res->elapsed_ms);
	types[11] = FLOAT8OID;
	values[11] = Float8GetDatum(res->throttled_ms);

	initStringInfo(&sql);
	appendStringInfoString(&sql, "UPDATE dbutil.bulk_job_rows AS j SET state = $2, waiting_for = $3, last_error = $4,"
						   " first_sqlstate = $5, first_message = $6, cursor_key = $7, chunk_rows = $8, pid = $9,"
						   " backend_start = $10, elapsed_ms = $11, throttled_ms = $12,"
						   " updated_at = pg_catalog.clock_timestamp()");
	for (int i = 0; i < lengthof(counters); i++)
	{
		types[NTEXTS + i] = INT8OID;
		values[NTEXTS + i] = Int64GetDatum(*counter(res, i));
		appendStringInfo(&sql, ", %s = $%d", counters[i].name, NTEXTS + i + 1);
	}
	appendStringInfoString(&sql, " WHERE j.job OPERATOR(pg_catalog.=) $1");
	(void) dbu_job_execute(sql.data, lengthof(types), types, values, nulls);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("job \"%s\" was removed while it ran", batches->job),
				 errhint("What is committed stays; call the procedure again to begin anew.")));
	SPI_finish();
}
