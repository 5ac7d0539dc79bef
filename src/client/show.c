/*
 * show.c
 *		What a pool runs with, as text: each setting, its value and where it comes from.
 *
 * libpq does not say where it took a parameter from; it is found out by its rules of
 * precedence: conninfo, then the pool's own defaults, then service file, environment and
 * libpq's default.  Where the last three agree in the value the environment is named.
 * libpq itself marks the parameters that are secret.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "dbpool_service.h"

static const char *
source_of(const PQconninfoOption *o, const PQconninfoOption *given, bool service)
{
	const char *variable = o->envvar != NULL ? getenv(o->envvar) : NULL;

	if (dbpool__conninfo_get(given, o->keyword) != NULL)
		return "conninfo";
	if (dbpool__conninfo_ours(o->keyword))
		return "libdbpool";
	if (strcmp(o->keyword, "fallback_application_name") == 0)
		return "name";
	if (variable != NULL && strcmp(variable, o->val) == 0)
		return o->envvar;
	if (service && (o->compiled == NULL || strcmp(o->compiled, o->val) != 0))
		return "service file";
	return "default";
}

static void
show_options(FILE *out, const dbpool_config *config, const PQconninfoOption *effective)
{
	const char *timeout = dbpool__conninfo_get(effective, "connect_timeout");

	for (int i = 0; i < DBPOOL__NOPTIONS; i++)
	{
		const char *name = dbpool__option_name(i);
		const char *source = config->sources[i];
		char		buffer[32];

		/* its parts follow, without passwords */
		if (strcmp(name, "conninfo") == 0)
			continue;
		if (source == NULL)
			source = strcmp(name, "connect_timeout_ms") == 0 && timeout != NULL ? "connect_timeout"
																				: "default";
		fprintf(out, "%s = %s  # %s\n", name,
				dbpool__option_value(config, i, buffer, sizeof(buffer)), source);
	}
}

static void
show_parameter(FILE *out, const char *keyword, const char *value, const char *source,
			   const char *conninfo)
{
	fprintf(out, "%s = %s  # %s", keyword, value, source);
	if (conninfo != NULL && strcmp(source, "conninfo") == 0)
		fprintf(out, ": %s", conninfo);
	fputc('\n', out);
}

static void
show_parameters(FILE *out, const dbpool_config *config, const PQconninfoOption *effective,
				const PQconninfoOption *given)
{
	const char *conninfo = config->sources[dbpool__option_index("conninfo")];
	const char *service = dbpool__conninfo_get(given, "service");

	/* libpq forgets it once it has read the file */
	if (service != NULL)
		show_parameter(out, "service", service, "conninfo", conninfo);
	else if ((service = getenv("PGSERVICE")) != NULL)
		show_parameter(out, "service", service, "PGSERVICE", NULL);
	for (const PQconninfoOption *o = effective; o->keyword != NULL; o++)
	{
		/* what looking needs, see conninfo.c */
		if (strcmp(o->keyword, "target_session_attrs") == 0 || strcmp(o->keyword, "service") == 0)
			continue;
		if (o->val == NULL || o->val[0] == '\0' || o->dispchar[0] == 'D')
			continue;
		show_parameter(out, o->keyword, o->dispchar[0] == '*' ? "(not shown)" : o->val,
					   source_of(o, given, service != NULL), conninfo);
	}
}

/* A copy of a pool's settings, and its conninfo as libpq reads it. */
static int
look(dbpool_pool *pool, dbpool_config *config, dbpool_error *err)
{
	int code = dbpool__pool_lock(pool, err);

	if (code != DBPOOL_OK)
		return code;
	if (pool->closed)
		code = dbpool__fail(err, DBPOOL_ECLOSED, 0, NULL, "the pool is closed");
	else
		code = dbpool__config_copy(&pool->config, config, err);
	pthread_mutex_unlock(&pool->lock);
	return code;
}

static int
write_text(const dbpool_config *config, const PQconninfoOption *effective,
		   const PQconninfoOption *given, char **text, dbpool_error *err)
{
	size_t size = 0;
	FILE  *out = open_memstream(text, &size);
	bool   failed;

	if (out == NULL)
		return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	show_options(out, config, effective);
	show_parameters(out, config, effective, given);
	failed = ferror(out) != 0;
	failed = fclose(out) != 0 || failed;
	if (!failed)
		return dbpool__ok(err);
	free(*text);
	*text = NULL;
	return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
}

int
dbpool_settings_text(dbpool_pool *pool, char **text, dbpool_error *err)
{
	PQconninfoOption *effective = NULL;
	PQconninfoOption *given;
	dbpool_config	  config;
	int				  code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (text == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "text must not be NULL");
	*text = NULL;
	code = look(pool, &config, err);
	if (code != DBPOOL_OK)
		return code;
	code = dbpool__conninfo_options(config.conninfo, config.name, &effective, err);
	given = PQconninfoParse(config.conninfo, NULL);
	if (code == DBPOOL_OK && given == NULL)
		code = dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	if (code == DBPOOL_OK)
		code = write_text(&config, effective, given, text, err);
	PQconninfoFree(effective);
	PQconninfoFree(given);
	dbpool__config_clear(&config);
	return code;
}
