/*
 * conninfo.c
 *		From a pool's conninfo to libpq's parameters.
 *
 * libpq alone knows what a conninfo leads to: it reads the service file, the PG*
 * variables and its own defaults.  It tells when it is asked to connect; so to look
 * without connecting it is given one parameter that it refuses after it has read
 * all others and before it resolves or opens anything.  No locks; files are read, so
 * never called under one.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* No value of target_session_attrs; libpq repeats it in its message, in any language. */
#define NO_SUCH_ATTRS "dbpool-looks-only"

/* What conninfo may override, and nothing else does. */
static const struct
{
	const char *keyword;
	const char *value;
} ours[] = {
	{"tcp_user_timeout", "15000"},
	{"keepalives_idle", "30"},
	{"keepalives_interval", "10"},
	{"keepalives_count", "3"},
};

#define NOURS (sizeof(ours) / sizeof(ours[0]))

bool
dbpool__conninfo_ours(const char *keyword)
{
	for (size_t i = 0; i < NOURS; i++)
		if (strcmp(ours[i].keyword, keyword) == 0)
			return true;
	return false;
}

/*
 * PQconnectStart with the pool's defaults; timeout_ms 0 leaves connect_timeout to
 * libpq.  With `connect` false the connection is one that libpq has refused.
 */
PGconn *
dbpool__conninfo_start(const char *conninfo, const char *name, int64_t timeout_ms, bool connect)
{
	char		timeout[32];
	const char *keywords[NOURS + 5];
	const char *values[NOURS + 5];
	size_t		n = 0;

#define ADD(k, v) ((void) (keywords[n] = (k), values[n] = (v), n++))
	ADD("fallback_application_name", name);
	for (size_t i = 0; i < NOURS; i++)
		ADD(ours[i].keyword, ours[i].value);
	if (timeout_ms > 0)
	{
		snprintf(timeout, sizeof(timeout), "%lld", (long long) ((timeout_ms + 999) / 1000));
		ADD("connect_timeout", timeout);
	}
	/* expanded in place: what it sets overrides the defaults before it */
	if (conninfo[strspn(conninfo, " \t\n\r")] != '\0')
		ADD("dbname", conninfo);
	if (!connect)
		ADD("target_session_attrs", NO_SUCH_ATTRS);
#undef ADD
	keywords[n] = NULL;
	values[n] = NULL;
	return PQconnectStartParams(keywords, values, 1);
}

/*
 * All parameters as libpq would use them, to be freed by PQconninfoFree; but for
 * target_session_attrs.  EINVAL if libpq cannot use them: no such service, an unknown
 * sslmode, hosts and ports that do not match.
 */
int
dbpool__conninfo_options(const char *conninfo, const char *name, PQconninfoOption **options,
						 dbpool_error *err)
{
	PGconn *conn = dbpool__conninfo_start(conninfo, name, 0, false);
	int		code = DBPOOL_OK;

	*options = NULL;
	if (conn != NULL && strstr(PQerrorMessage(conn), NO_SUCH_ATTRS) == NULL)
		code = dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "invalid conninfo: %s",
							PQerrorMessage(conn));
	else if (conn != NULL)
		*options = PQconninfo(conn);
	PQfinish(conn);
	if (code == DBPOOL_OK && *options == NULL)
		code = dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	return code;
}

/* The value of a parameter, NULL if it has none. */
const char *
dbpool__conninfo_get(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val;
	return NULL;
}
