/*-------------------------------------------------------------------------
 *
 * bulk.h
 *	  What the files of bulk share: the target, the input, the counts.
 *
 * A call looks its target up (target.c), cuts its input into chunks whose rows
 * have the same columns (source.c), and runs one statement a chunk through SPI
 * (write.c).  All that a query text holds besides fixed words comes from the
 * catalogs, quoted and qualified; rows are bound as a parameter.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_BULK_BULK_H
#define DBU_BULK_BULK_H

#include "core/module.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

typedef enum BulkOp
{
	BULK_INSERT,
	BULK_UPDATE,
	BULK_DELETE
} BulkOp;

/* A column of the target; types and operators are ready for a query text. */
typedef struct BulkColumn
{
	const char *name;
	const char *quoted;
	const char *type;			/* with modifier, qualified */
	const char *equals;			/* OPERATOR(schema.=) of the type, or NULL */
	bool		computed;		/* generated, or identity ALWAYS: not to be given */
} BulkColumn;

typedef struct BulkTarget
{
	Oid			relid;
	const char *quoted;			/* qualified */
	char		relkind;
	double		reltuples;		/* -1: never counted */
	int			ncolumns;
	BulkColumn *columns;
	List	   *primary_key;	/* of BulkColumn *, NIL: none */
} BulkTarget;

/*
 * Rows that have the same columns, bound as one parameter.  columns is NULL
 * for scalar keys.
 */
typedef struct BulkChunk
{
	Datum		rows;			/* a jsonb array or an array */
	int64		nrows;
	List	   *columns;		/* of BulkColumn * */
} BulkChunk;

typedef struct BulkSource
{
	Oid			type;			/* of the parameter: JSONBOID or an array type */
	Oid			element;		/* of the array */
	bool		composite;		/* elements are rows (or JSON objects) */
	bool		record;			/* elements are anonymous records */
	List	   *record_columns; /* what the fields of a record are */
	Datum		whole;			/* all rows */
	int64		nrows;
	/* cursor */
	int64		position;
	int64		chunk_rows;
	Datum	   *elements;		/* of an array */
	bool	   *nulls;
	JsonbIterator *iterator;	/* of a jsonb array */
	JsonbValue	pending;		/* read already, belongs to the next chunk */
	bool		has_pending;
} BulkSource;

typedef struct BulkCounts
{
	int64		rows_in;
	int64		inserted;
	int64		updated;
	int64		deleted;
	int64		conflicts;
	int64		missing;
	int64		suppressed;
	int64		chunks;
} BulkCounts;

/* bulk.c */
extern int	dbu_bulk_chunk_rows;	/* dbutil.bulk_chunk_rows */

/* target.c */
extern BulkTarget *dbu_bulk_target(Oid relid, BulkOp op);
extern BulkColumn *dbu_bulk_column(const BulkTarget *target, const char *name);
extern List *dbu_bulk_columns(const BulkTarget *target, ArrayType *names, const char *parameter);
extern bool dbu_bulk_is_unique(const BulkTarget *target, List *columns);

/* source.c */
extern BulkSource *dbu_bulk_source(Oid type, Datum rows, const BulkTarget *target,
								   List *columns, int64 chunk_rows);
extern bool dbu_bulk_next_chunk(BulkSource *source, const BulkTarget *target, BulkChunk *chunk);
extern void dbu_bulk_from(StringInfo sql, const BulkSource *source, List *columns);

/* write.c */
typedef struct BulkOptions
{
	List	   *columns;		/* insert: columns; update: set_columns; NIL: all given */
	List	   *key;			/* update, delete, and insert's conflict columns */
	const char *on_conflict;	/* insert */
	bool		missing_error;	/* update, delete */
} BulkOptions;

extern void dbu_bulk_write(BulkOp op, const BulkTarget *target, BulkSource *source,
						   const BulkOptions *options, BulkCounts *counts);

#endif							/* DBU_BULK_BULK_H */
