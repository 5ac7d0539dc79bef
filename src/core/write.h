/*-------------------------------------------------------------------------
 *
 * write.h
 *	  Writes that are no statement, told of as if they were.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_WRITE_H
#define DBU_CORE_WRITE_H

#include "core/module.h"
#include "core/usage.h"

typedef struct DbuWrite
{
	DbuStatement stmt;
	DbuUsageStart start;
	uint32		wanted;			/* who wants it, 0: nobody; see events.h */
	int			want;
} DbuWrite;

extern void dbu_write_begin(DbuWrite *write, CmdType operation, Oid target);
extern void dbu_write_end(DbuWrite *write, const char *text, uint64 rows);

#endif							/* DBU_CORE_WRITE_H */
