/*
 * settings.c
 *		Options from outside the program: a section of an ini file, the environment.
 *
 * Each works on a copy that replaces the configuration at the end, so that an error
 * leaves it as it was.  No locks: the configuration is its caller's.  The environment is
 * read as getenv() does; nobody may change it meanwhile.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "dbpool_service.h"

extern char **environ;

/* Put a place before a message. */
static int
fail_at(dbpool_error *err, const char *place, const dbpool_error *why)
{
	return dbpool__fail(err, why->code, 0, NULL, "%.200s: %s", place, why->message);
}

static char *
trim(char *text)
{
	size_t n;

	while (isspace((unsigned char) *text))
		text++;
	n = strlen(text);
	while (n > 0 && isspace((unsigned char) text[n - 1]))
		n--;
	text[n] = '\0';
	return text;
}

/* ---- the file ---- */

typedef struct
{
	dbpool_config *config;
	const char	  *path;
	const char	  *section;
	int			   line;
	bool		   in;	   /* the current section is the one */
	bool		   before; /* it has been seen */
	bool		   any;	   /* some section has been */
	bool		   set[DBPOOL__NOPTIONS];
} reader;

static int
header(reader *r, char *text, dbpool_error *err)
{
	char *end = strchr(text, ']');

	if (end == NULL || end[1] != '\0')
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "\"%.64s\" is not [section]", text);
	*end = '\0';
	r->any = true;
	r->in = strcmp(trim(text + 1), r->section) == 0;
	if (r->in && r->before)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "section [%.64s] comes twice", r->section);
	r->before = r->before || r->in;
	return DBPOOL_OK;
}

static int
setting(reader *r, char *text, dbpool_error *err)
{
	char *equal = strchr(text, '=');
	char  source[320];
	char *name;
	int	  index;
	int	  code;

	if (equal == NULL || equal == text)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"a line must be option = value, [section] or a comment");
	if (!r->any)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "an option before the first [section]");
	if (!r->in)
		return DBPOOL_OK;
	*equal = '\0';
	name = trim(text);
	index = dbpool__option_index(name);
	if (index >= 0 && r->set[index])
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "option \"%s\" comes twice", name);
	snprintf(source, sizeof(source), "file %.250s, line %d", r->path, r->line);
	code = dbpool__config_put(r->config, name, trim(equal + 1), source, err);
	if (code == DBPOOL_OK)
		r->set[index] = true;
	return code;
}

static int
read_lines(reader *r, FILE *file, dbpool_error *err)
{
	char   *line = NULL;
	size_t	size = 0;
	ssize_t length;
	int		code = DBPOOL_OK;

	while (code == DBPOOL_OK && (errno = 0, length = getline(&line, &size, file)) >= 0)
	{
		dbpool_error why = DBPOOL_ERROR_INIT;
		char		 place[320];
		char		*text;

		r->line++;
		if (strlen(line) != (size_t) length)
			code = dbpool__fail(&why, DBPOOL_EINVAL, 0, NULL, "a zero byte");
		text = trim(line);
		if (code == DBPOOL_OK && *text == '[')
			code = header(r, text, &why);
		else if (code == DBPOOL_OK && *text != '\0' && *text != '#' && *text != ';')
			code = setting(r, text, &why);
		if (code != DBPOOL_OK)
		{
			snprintf(place, sizeof(place), "%.180s, line %d", r->path, r->line);
			(void) fail_at(err, place, &why);
		}
	}
	if (code == DBPOOL_OK && (ferror(file) || errno == ENOMEM))
		code = dbpool__fail(err, DBPOOL_ESYSTEM, 0, NULL, "cannot read \"%.200s\": %s", r->path,
							strerror(errno));
	free(line);
	return code;
}

int
dbpool_config_read(dbpool_config *config, const char *path, const char *section,
				   dbpool_error *err)
{
	reader		  r = {.path = path, .section = section};
	dbpool_config copy;
	FILE		 *file;
	int			  code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (config == NULL || path == NULL || section == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"config, path and section must not be NULL");
	file = fopen(path, "re");
	if (file == NULL)
		return dbpool__fail(err, DBPOOL_ESYSTEM, 0, NULL, "cannot open \"%.200s\": %s", path,
							strerror(errno));
	code = dbpool__config_copy(config, &copy, err);
	if (code == DBPOOL_OK)
	{
		r.config = &copy;
		code = read_lines(&r, file, err);
		if (code == DBPOOL_OK)
			dbpool__config_take(config, &copy);
		else
			dbpool__config_clear(&copy);
	}
	fclose(file);
	return code == DBPOOL_OK ? dbpool__ok(err) : code;
}

/* ---- the environment ---- */

/* DBPOOL_<SERVICE>_ into a buffer, which is known to be large enough for a good name. */
int
dbpool__env_prefix(const char *service, char *prefix, size_t size, dbpool_error *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
	size_t			  n = strlen(service);

	if (n == 0 || n > SERVICE_NAME_MAX || strspn(service, letters) != n)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"invalid service name \"%.80s\": 1 to %d of letters, digits, \"_\", "
							"\"-\" and \".\"",
							service, SERVICE_NAME_MAX);
	snprintf(prefix, size, "DBPOOL_%s_", service);
	for (char *p = prefix; *p != '\0'; p++)
		*p = *p == '-' || *p == '.' ? '_' : (char) toupper((unsigned char) *p);
	return DBPOOL_OK;
}

/* Does the name end in "_" and an option, so that it may be another service's? */
static bool
of_another(const char *rest)
{
	for (const char *p = strchr(rest, '_'); p != NULL; p = strchr(p + 1, '_'))
		if (dbpool__option_index(p + 1) >= 0)
			return true;
	return false;
}

/* One variable, "NAME=value"; it begins with the prefix. */
static int
take_variable(dbpool_config *config, const char *variable, size_t prefix, dbpool_error *err)
{
	const char	*equal = strchr(variable, '=');
	dbpool_error why = DBPOOL_ERROR_INIT;
	char		 name[200];
	char		 option[64];
	char		 source[240];
	size_t		 length = (size_t) (equal - variable);
	int			 code;

	snprintf(name, sizeof(name), "%.*s", (int) (length < sizeof(name) ? length : sizeof(name) - 1),
			 variable);
	snprintf(option, sizeof(option), "%s", name + prefix);
	for (char *p = option; *p != '\0'; p++)
		*p = (char) tolower((unsigned char) *p);
	if (dbpool__option_index(option) < 0 && of_another(option))
		return DBPOOL_OK;
	snprintf(source, sizeof(source), "environment %s", name);
	code = dbpool__config_put(config, option, equal + 1, source, &why);
	return code == DBPOOL_OK ? code : fail_at(err, source, &why);
}

int
dbpool_config_env(dbpool_config *config, const char *service, dbpool_error *err)
{
	char		  prefix[SERVICE_NAME_MAX + 16];
	dbpool_config copy;
	int			  code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (config == NULL || service == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "config and service must not be NULL");
	code = dbpool__env_prefix(service, prefix, sizeof(prefix), err);
	if (code != DBPOOL_OK)
		return code;
	code = dbpool__config_copy(config, &copy, err);
	if (code != DBPOOL_OK)
		return code;
	for (char **v = environ; code == DBPOOL_OK && v != NULL && *v != NULL; v++)
		if (strncmp(*v, prefix, strlen(prefix)) == 0 && strchr(*v, '=') != NULL)
			code = take_variable(&copy, *v, strlen(prefix), err);
	if (code != DBPOOL_OK)
	{
		dbpool__config_clear(&copy);
		return code;
	}
	dbpool__config_take(config, &copy);
	return dbpool__ok(err);
}
