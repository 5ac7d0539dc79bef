/*-------------------------------------------------------------------------
 *
 * request.c
 *	  May a request to plan be looked at, by its text, parameters and company?
 *
 * What is asked here does not look into the statement: values that are fetched
 * when they are used, hints in comments, hooks of other extensions that change what
 * relations are like, and what an administrator decided.  Fills the part of the
 * key that is not in the statement.
 *
 *-------------------------------------------------------------------------
 */
#include "plancache/plancache.h"

#include "miscadmin.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

/*
 * Does the statement, or the comment before it, hold a planner hint?  The text
 * may hold many statements: only this one's part is searched.  It may also be
 * shorter than the statement says, which then was stored with another text.
 */
static bool
has_hint(const char *text, int location, int length)
{
	size_t		offset = Max(location, 0);
	size_t		total = length > 0 ? strnlen(text, offset + length) : strlen(text);
	const char *end = text + total;
	const char *start = text + Min(offset, total);
	const char *found;

	while (start > text && start[-1] != ';')
		start--;
	while ((found = memchr(start, '/', end - start)) != NULL)
	{
		if (end - found >= 3 && found[1] == '*' && found[2] == '+')
			return true;
		start = found + 1;
	}
	return false;
}

DbuPlanEvent
dbu_plancache_context(const Query *query, const char *query_string,
					  ParamListInfo bound_params, int cursor_options,
					  DbuPlanContext *context)
{
	/* those whose values are fetched one by one, when they are used */
	if (bound_params != NULL && bound_params->paramFetch != NULL)
		return DBU_PLAN_REF_PARAMS;

	/* hypothetical indexes, hints, other people's paths: not in our key */
	if (get_relation_info_hook != NULL || set_rel_pathlist_hook != NULL ||
		set_join_pathlist_hook != NULL || join_search_hook != NULL ||
		create_upper_paths_hook != NULL || get_relation_stats_hook != NULL ||
		get_index_stats_hook != NULL || get_attavgwidth_hook != NULL)
		return DBU_PLAN_REF_HOOKS;
	if (query_string != NULL &&
		has_hint(query_string, query->stmt_location, query->stmt_len))
		return DBU_PLAN_REF_HINT;

	context->environment = dbu_plancache_environment();
	context->bound_params = bound_params;
	context->role = GetUserId();
	context->cursor_options = cursor_options;
	context->mode = dbu_plancache_mode;
	switch (dbu_plancache_mark(query->queryId))
	{
		case DBU_MARK_NONE:
			break;
		case DBU_MARK_PINNED:
			context->mode = DBU_CACHE_FORCE;
			break;
		case DBU_MARK_BANNED:
			return DBU_PLAN_REF_BANNED;
	}
	return DBU_PLAN_NONE;
}
