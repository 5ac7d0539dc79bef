/*-------------------------------------------------------------------------
 *
 * plan_views.c
 *	  The functions under dbutil.plans and dbutil.slow_plans, and their resets.
 *
 * Rows are built from copies, without locks: whose identifiers and plans may be
 * seen (core/access.h) is answered by catalogs.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/access.h"
#include "core/errors.h"
#include "track/watch.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(dbutil_plans);
PG_FUNCTION_INFO_V1(dbutil_slow_plans);
PG_FUNCTION_INFO_V1(dbutil_reset_plans);
PG_FUNCTION_INFO_V1(dbutil_reset_slow_plans);

static void
put_id(Datum *values, bool *nulls, int n, uint64 id, bool visible)
{
	nulls[n] = id == 0 || !visible;
	values[n] = Int64GetDatum((int64) id);
}

static void
put_text(Datum *values, bool *nulls, int n, char *text, int encoding, bool visible)
{
	nulls[n] = visible && text == NULL;
	if (!visible)
		values[n] = CStringGetTextDatum(DBU_HIDDEN_TEXT);
	else if (text != NULL)
		values[n] = dbu_watch_text(text, encoding);
}

Datum
dbutil_plans(PG_FUNCTION_ARGS)
{
	bool		texts = PG_GETARG_BOOL(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DbuPlan    *plans;
	int			count;

	dbu_require_preload("dbutil.plans");
	InitMaterializedSRF(fcinfo, 0);
	plans = dbu_plans_copy(texts, &count);
	for (int i = 0; i < count; i++)
	{
		DbuPlan    *p = &plans[i];
		bool		visible = dbu_may_see(p->key.username);
		Datum		values[16];
		bool		nulls[16] = {0};
		int			n = 0;

		CHECK_FOR_INTERRUPTS();
		values[n++] = ObjectIdGetDatum(p->key.database);
		values[n++] = ObjectIdGetDatum(p->key.username);
		put_id(values, nulls, n++, p->key.query_id, visible);
		put_id(values, nulls, n++, p->plan_id, visible);
		put_id(values, nulls, n++, p->previous, visible);
		values[n++] = Int64GetDatum(p->calls);
		values[n++] = Int64GetDatum(p->rows);
		values[n++] = Float8GetDatum(p->total_ms);
		values[n++] = Float8GetDatum(p->min_ms);
		values[n++] = Float8GetDatum(p->max_ms);
		values[n++] = Float8GetDatum(p->mean_ms);
		values[n++] = Float8GetDatum(sqrt(p->sum_var / p->calls));
		values[n++] = Float8GetDatum(p->cost);
		values[n++] = TimestampTzGetDatum(p->first_seen);
		values[n++] = TimestampTzGetDatum(p->last_seen);
		if (texts)
			put_text(values, nulls, n++, p->text, p->encoding, visible);
		else
			nulls[n++] = true;
		Assert(n == (int) lengthof(values));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
dbutil_slow_plans(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DbuSlowPlan *plans;
	int			count;

	dbu_require_preload("dbutil.slow_plans");
	InitMaterializedSRF(fcinfo, 0);
	plans = dbu_slow_plans_copy(&count);
	for (int i = 0; i < count; i++)
	{
		DbuSlowPlan *p = &plans[i];
		bool		visible = dbu_may_see(p->key.username);
		Datum		values[13];
		bool		nulls[13] = {0};
		int			n = 0;

		CHECK_FOR_INTERRUPTS();
		values[n++] = Int64GetDatum((int64) p->number);
		values[n++] = TimestampTzGetDatum(p->ended);
		values[n++] = CStringGetTextDatum(dbu_track_services[p->service]);
		values[n++] = ObjectIdGetDatum(p->key.database);
		values[n++] = ObjectIdGetDatum(p->key.username);
		values[n++] = Int32GetDatum(p->pid);
		put_id(values, nulls, n++, p->key.query_id, visible);
		put_id(values, nulls, n++, p->plan_id, visible);
		values[n++] = Float8GetDatum(p->exec_ms);
		values[n++] = Int64GetDatum((int64) p->rows);
		values[n++] = BoolGetDatum(p->measured);
		put_text(values, nulls, n++, p->copies[0], p->encoding, visible);
		/* a text that stands for another one is no JSON */
		nulls[n] = !visible || p->copies[1] == NULL;
		if (!nulls[n])
			values[n] = dbu_watch_text(p->copies[1], p->encoding);
		n++;
		Assert(n == (int) lengthof(values));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
dbutil_reset_plans(PG_FUNCTION_ARGS)
{
	dbu_require_preload("dbutil.reset_plans");
	PG_RETURN_INT64(dbu_plans_reset());
}

Datum
dbutil_reset_slow_plans(PG_FUNCTION_ARGS)
{
	dbu_require_preload("dbutil.reset_slow_plans");
	PG_RETURN_INT64(dbu_slow_plans_reset());
}
