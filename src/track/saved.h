/*-------------------------------------------------------------------------
 *
 * saved.h
 *	  The file in which statistics outlive the server; see save.c, load.c.
 *
 * A header, services, then records, each a kind and what follows it, and at
 * the end a CRC of everything before it.  Structs are as they are in memory:
 * the file is for the same build only, which the header tells by their sizes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_TRACK_SAVED_H
#define DBU_TRACK_SAVED_H

#include "track/track.h"

#include "port/pg_crc32c.h"

#define SAVED_MAGIC 0x64627574
#define SAVED_FORMAT 1

typedef struct SavedHeader
{
	uint32		magic;
	uint32		format;
	uint32		pg_version;
	uint32		statement_size;
	uint32		transaction_size;
	uint32		error_size;
	int32		nservices;
	TimestampTz stats_since;
	uint64		losses[TRACK_LOSSES];	/* by dbu_track_loss */
} SavedHeader;

/* Kinds of records. */
#define SAVED_STATEMENT 'S'		/* StatementEntry, then text and tags, each with
								 * its NUL, if it has a text */
#define SAVED_TRANSACTION 'T'	/* TransactionEntry */
#define SAVED_ERROR 'E'			/* StatementError */
#define SAVED_END 'Z'

#endif							/* DBU_TRACK_SAVED_H */
