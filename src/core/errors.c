/*-------------------------------------------------------------------------
 *
 * errors.c
 *	  Errors that are raised in more than one place, with their SQLSTATE, so
 *	  that the same mistake always gets the same answer.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/errors.h"

#include "core/module.h"

void
dbu_require_preload(const char *what)
{
	if (dbu_preloaded)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s needs dbutil in shared_preload_libraries", what),
			 errhint("Add \"shared_preload_libraries = 'dbutil'\" to postgresql.conf (append to the list if there is one) and restart the server.")));
}

void
dbu_error_bad_word(const char *parameter, const char *value, const char *allowed)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for parameter \"%s\": \"%s\"", parameter, value),
			 errhint("Use one of: %s.", allowed)));
}

void
dbu_error_null_argument(const char *parameter)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("parameter \"%s\" must not be null", parameter),
			 errhint("Pass a value for \"%s\".", parameter)));
}
