/*-------------------------------------------------------------------------
 *
 * access.c
 *	  Who may see and who may reset: one rule for every view.
 *
 * A role sees what it ran itself, and what roles ran whose privileges it has;
 * members of pg_read_all_stats see everything.  Who may reset statistics is
 * settled by EXECUTE on the functions, which the install SQL takes from PUBLIC.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/access.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"

bool
dbu_may_see(Oid owner)
{
	Oid			self = GetUserId();

	return owner == self ||
		has_privs_of_role(self, owner) ||
		has_privs_of_role(self, ROLE_PG_READ_ALL_STATS);
}
