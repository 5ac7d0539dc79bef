/*-------------------------------------------------------------------------
 *
 * errors.h
 *	  Errors that are raised in more than one place, with their SQLSTATE.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_ERRORS_H
#define DBU_CORE_ERRORS_H

#include "core/compat.h"

/* 55000: what needs shared memory is called without preload. */
extern void dbu_require_preload(const char *what);

/* 22023: a text argument is none of the words it may be. */
pg_noreturn extern void dbu_error_bad_word(const char *parameter, const char *value,
										   const char *allowed);

/* 22004: an argument that must not be NULL is. */
pg_noreturn extern void dbu_error_null_argument(const char *parameter);

#endif							/* DBU_CORE_ERRORS_H */
