/*-------------------------------------------------------------------------
 *
 * named_params.h
 *	  Parameters in the text of a statement: $n and :name.
 *
 * Whoever takes a statement as text and its values as JSON goes the same way:
 * dbu_find_params() turns :name into $n, dbu_check_params() says whether the
 * values fit, parse analysis finds the types, dbu_bind_params() reads the
 * values as those types.  Everything lives in the current memory context.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_NAMED_PARAMS_H
#define DBU_CORE_NAMED_PARAMS_H

#include "postgres.h"

#include "nodes/params.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* One :name of the original text and what stands in its place (bytes). */
typedef struct DbuTextEdit
{
	int			original_start;
	int			original_length;
	int			start;
	int			length;
} DbuTextEdit;

typedef struct DbuQueryText
{
	const char *original;		/* as the caller wrote it */
	const char *text;			/* with $n in place of :name; may be original */
	List	   *names;			/* char *, the n-th is $n; NIL: positional */
	List	   *edits;			/* DbuTextEdit *, in the order of the text */
	bool		positional;		/* it has $n of its own */
} DbuQueryText;

extern void dbu_find_params(DbuQueryText *query, const char *original, Jsonb *params);
extern void dbu_check_params(const DbuQueryText *query, Jsonb *params);
extern int	dbu_original_position(const DbuQueryText *query, int position);
extern ParamListInfo dbu_bind_params(const DbuQueryText *query, Jsonb *params,
									 const Oid *types, int ntypes);

#endif							/* DBU_CORE_NAMED_PARAMS_H */
