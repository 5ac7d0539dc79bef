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

#include "storage/bufmgr.h"

#include <sys/resource.h>

typedef struct DbuUsageStart
{
	instr_time	time;
	BufferUsage buffers;
	WalUsage	wal;
	struct rusage cpu;			/* with DBU_WANT_CPU only */
} DbuUsageStart;

/* The counts of blocks in a BufferUsage; the rest are times. */
#define DBU_EACH_BLOCK_COUNT(DO) \
	DO(shared_blks_hit); DO(shared_blks_read); DO(shared_blks_dirtied); DO(shared_blks_written); \
	DO(local_blks_hit); DO(local_blks_read); DO(local_blks_dirtied); DO(local_blks_written); \
	DO(temp_blks_read); DO(temp_blks_written)

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
	/* nothing adds up times without track_io_timing, which is seldom on */
	if (unlikely(track_io_timing))
		BufferUsageAccumDiff(&stmt->buffers, &pgBufferUsage, &start->buffers);
	else
	{
#define ADD_SINCE(count) stmt->buffers.count += pgBufferUsage.count - start->buffers.count
		DBU_EACH_BLOCK_COUNT(ADD_SINCE);
#undef ADD_SINCE
	}
	if (pgWalUsage.wal_records != start->wal.wal_records)
		WalUsageAccumDiff(&stmt->wal, &pgWalUsage, &start->wal);
}

#endif							/* DBU_CORE_USAGE_H */
