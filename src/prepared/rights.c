/*-------------------------------------------------------------------------
 *
 * rights.c
 *	  Who may execute, change and read a prepared statement.
 *
 * The text was chosen by its owner and runs with the caller's rights.  So a
 * role executes only what it trusts: its own statements, those of a superuser,
 * who needs no trick, and those of a role whose privileges it has.  The last is
 * a matter of trust indeed: every role that has the owner's privileges may
 * replace the text, and so have the others run what it likes.  A superuser has
 * the privileges of every role, yet executes only what a superuser owns:
 * otherwise whoever may prepare a statement could lay one in his way.
 *
 * Owners are kept by name.  One whose name no role bears any more is trusted
 * by nobody; a superuser may replace or remove his statements.
 *
 *-------------------------------------------------------------------------
 */
#include "prepared/prepared.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"

bool
dbu_prepared_owner_exists(const char *owner)
{
	return OidIsValid(get_role_oid(owner, true));
}

bool
dbu_prepared_may_execute(const char *owner)
{
	Oid			self = GetUserId();
	Oid			role = get_role_oid(owner, true);

	if (!OidIsValid(role))
		return false;
	if (role == self || superuser_arg(role))
		return true;
	return !superuser_arg(self) && has_privs_of_role(self, role);
}

bool
dbu_prepared_may_change(const char *owner)
{
	Oid			role = get_role_oid(owner, true);

	return OidIsValid(role) ? has_privs_of_role(GetUserId(), role) : superuser();
}

bool
dbu_prepared_may_read(const char *owner)
{
	return dbu_prepared_may_execute(owner) || dbu_prepared_may_change(owner) ||
		has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}
