/*-------------------------------------------------------------------------
 *
 * usage.c
 *	  What a stretch of execution takes; see usage.h.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/usage.h"

static double
milliseconds(const struct timeval *from, const struct timeval *to)
{
	return (to->tv_sec - from->tv_sec) * 1000.0 + (to->tv_usec - from->tv_usec) / 1000.0;
}

void
dbu_usage_add_cpu(DbuStatement *stmt, const struct rusage *start)
{
	struct rusage now;

	getrusage(RUSAGE_SELF, &now);
	stmt->cpu_known = true;
	stmt->cpu_user_ms += milliseconds(&start->ru_utime, &now.ru_utime);
	stmt->cpu_system_ms += milliseconds(&start->ru_stime, &now.ru_stime);
}
