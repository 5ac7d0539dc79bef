/*-------------------------------------------------------------------------
 *
 * control.c
 *	  Pause, resume, cancel and forget jobs, from any session.
 *
 * What is asked of a job stands in a table of its own, so that nobody waits for
 * the row that the running chunk has written.  The job looks there before each
 * chunk.
 *
 *-------------------------------------------------------------------------
 */
#include "bulk/batches.h"
#include "core/errors.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(dbutil_bulk_pause);
PG_FUNCTION_INFO_V1(dbutil_bulk_resume);
PG_FUNCTION_INFO_V1(dbutil_bulk_cancel);
PG_FUNCTION_INFO_V1(dbutil_bulk_forget);

static uint64
execute_for(const char *sql, const char *job)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(job);

	(void) dbu_job_execute(sql, 1, &type, &value, NULL);
	return SPI_processed;
}

static char *
job_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		dbu_error_null_argument("job");
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

static void
check_owner(const char *job, const char *owner)
{
	if (has_privs_of_role(GetUserId(), get_role_oid(owner, true)) || superuser())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for job \"%s\"", job),
			 errhint("Only roles with the privileges of who began it may do that.")));
}

/* The state of a job that the caller may control, or NULL if there is none. */
static char *
find_job(const char *job)
{
	if (execute_for("SELECT j.owner, j.state FROM dbutil.bulk_job_rows AS j WHERE j.job OPERATOR(pg_catalog.=) $1", job) == 0)
		return NULL;
	check_owner(job, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
}

static void
error_unknown(const char *job)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("there is no job \"%s\"", job),
			 errhint("dbutil.bulk_jobs lists them.")));
}

/* Its state; raises an error for a job that is unknown or has nothing left to do. */
static char *
open_job(const char *job)
{
	char	   *state = find_job(job);

	if (state == NULL)
		error_unknown(job);
	if (strcmp(state, "complete") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("job \"%s\" is complete", job),
				 errhint("dbutil.bulk_forget() removes it, then its name is free.")));
	return state;
}

static void
connect(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

Datum
dbutil_bulk_pause(PG_FUNCTION_ARGS)
{
	char	   *job = job_argument(fcinfo);

	connect();
	(void) open_job(job);
	(void) execute_for("INSERT INTO dbutil.bulk_job_controls (job, wanted) VALUES ($1, 'pause')"
					   " ON CONFLICT (job) DO NOTHING", job);
	SPI_finish();
	PG_RETURN_VOID();
}

Datum
dbutil_bulk_resume(PG_FUNCTION_ARGS)
{
	char	   *job = job_argument(fcinfo);

	connect();
	(void) open_job(job);
	(void) execute_for("DELETE FROM dbutil.bulk_job_controls AS c WHERE c.job OPERATOR(pg_catalog.=) $1", job);
	SPI_finish();
	PG_RETURN_VOID();
}

Datum
dbutil_bulk_cancel(PG_FUNCTION_ARGS)
{
	char	   *job = job_argument(fcinfo);

	connect();
	(void) open_job(job);
	if (dbu_job_is_locked(job))
		(void) execute_for("INSERT INTO dbutil.bulk_job_controls AS c (job, wanted) VALUES ($1, 'cancel')"
						   " ON CONFLICT (job) DO UPDATE SET wanted = excluded.wanted", job);
	else
	{
		(void) execute_for("DELETE FROM dbutil.bulk_job_controls AS c WHERE c.job OPERATOR(pg_catalog.=) $1", job);
		(void) execute_for("UPDATE dbutil.bulk_job_rows AS j SET state = 'cancelled',"
						   " updated_at = pg_catalog.clock_timestamp() WHERE j.job OPERATOR(pg_catalog.=) $1", job);
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/* Remove a job that does not run, and what it rejected; answers how many rejects there were. */
Datum
dbutil_bulk_forget(PG_FUNCTION_ARGS)
{
	char	   *job = job_argument(fcinfo);
	volatile uint64 rejects;

	connect();
	if (find_job(job) == NULL)
	{
		/* a call of a function has rejects only */
		if (execute_for("SELECT r.owner FROM dbutil.bulk_reject_rows AS r WHERE r.job OPERATOR(pg_catalog.=) $1 LIMIT 1", job) == 0)
			error_unknown(job);
		check_owner(job, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	}
	dbu_job_lock(job);
	PG_TRY();
	{
		(void) execute_for("DELETE FROM dbutil.bulk_job_rows AS j WHERE j.job OPERATOR(pg_catalog.=) $1", job);
		(void) execute_for("DELETE FROM dbutil.bulk_job_controls AS c WHERE c.job OPERATOR(pg_catalog.=) $1", job);
		rejects = execute_for("DELETE FROM dbutil.bulk_reject_rows AS r WHERE r.job OPERATOR(pg_catalog.=) $1", job);
	}
	PG_FINALLY();
	{
		dbu_job_unlock(job);
	}
	PG_END_TRY();
	SPI_finish();
	PG_RETURN_INT64(rejects);
}
