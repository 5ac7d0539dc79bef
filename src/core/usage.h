/*-------------------------------------------------------------------------
 *
 * usage.h
 *	  What a stretch of execution takes: time, buffers, WAL, CPU.
 *
 * Two snapshots and their difference, read only as far as somebody wants it.
 * Cheaper than an Instrumentation for the whole of a query, which is allocated
 * for each and measures ExecutorFinish as well, where a SELECT does nothing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_USAGE_H
#define DBU_CORE_USAGE_H

#include "core/module.h"

#include <sys/resource.h>

typedef struct DbuUsageStart
{
	instr_time	time;
	BufferUsage buffers;
	WalUsage	wal;
	struct rusage cpu;			/* with DBU_WANT_CPU only */
} DbuUsageStart;

extern void dbu_usage_add_cpu(DbuStatement *stmt, const struct rusage *start);

static inline void
dbu_usage_start(DbuUsageStart *start, int want)
{
	start->buffers = pgBufferUsage;
	start->wal = pgWalUsage;
	if (want & DBU_WANT_CPU)
		getrusage(RUSAGE_SELF, &start->cpu);
	INSTR_TIME_SET_CURRENT(start->time);
}

/* Add what was used since start. */
static inline void
dbu_usage_stop(const DbuUsageStart *start, int want, DbuStatement *stmt)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start->time);
	stmt->exec_ms += INSTR_TIME_GET_MILLISEC(now);
	if (want & DBU_WANT_CPU)
		dbu_usage_add_cpu(stmt, &start->cpu);
	BufferUsageAccumDiff(&stmt->buffers, &pgBufferUsage, &start->buffers);
	if (pgWalUsage.wal_records != start->wal.wal_records)
		WalUsageAccumDiff(&stmt->wal, &pgWalUsage, &start->wal);
}

#endif							/* DBU_CORE_USAGE_H */
