/*
 * config.c
 *		Options by name: one table of names, types and limits.
 *
 * Each option has a source, for dbpool_settings_text: "code", or what settings.c says.
 * A configuration is a plain struct owned by the application and used by one
 * thread at a time; dbpool_open copies it, so there are no locks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define COUNT_MAX 10000
#define MS_MAX (INT64_C(366) * 24 * 3600 * 1000)

typedef enum
{
	OPT_STRING,
	OPT_INT,
	OPT_RESET,
	OPT_POOLER
} option_type;

typedef struct option
{
	const char *name;
	option_type type;
	size_t		offset;
	int64_t		least;
	int64_t		most;
	const char *word; /* the word that stands for 0, or NULL */
} option;

#define FIELD(f) offsetof(dbpool_config, f)

static const option options[] = {
	{"conninfo", OPT_STRING, FIELD(conninfo), 0, 0, NULL},
	{"name", OPT_STRING, FIELD(name), 0, 0, NULL},
	{"min", OPT_INT, FIELD(min), 0, COUNT_MAX, NULL},
	{"max", OPT_INT, FIELD(max), 1, COUNT_MAX, "auto"},
	{"max_waiters", OPT_INT, FIELD(max_waiters), 0, 1000000, NULL},
	{"acquire_timeout_ms", OPT_INT, FIELD(acquire_timeout_ms), 1, MS_MAX, NULL},
	{"exec_timeout_ms", OPT_INT, FIELD(exec_timeout_ms), 0, MS_MAX, NULL},
	{"connect_timeout_ms", OPT_INT, FIELD(connect_timeout_ms), 1, MS_MAX, NULL},
	{"reset_timeout_ms", OPT_INT, FIELD(reset_timeout_ms), 1, MS_MAX, NULL},
	{"idle_timeout_ms", OPT_INT, FIELD(idle_timeout_ms), 0, MS_MAX, NULL},
	{"lifetime_ms", OPT_INT, FIELD(lifetime_ms), 0, MS_MAX, NULL},
	{"validate_after_idle_ms", OPT_INT, FIELD(validate_after_idle_ms), 0, MS_MAX, NULL},
	{"reset", OPT_RESET, FIELD(reset), 0, 0, NULL},
	{"connect_limit", OPT_INT, FIELD(connect_limit), 1, 64, NULL},
	{"fail_fast_after_ms", OPT_INT, FIELD(fail_fast_after_ms), 0, MS_MAX, NULL},
	{"retry_attempts", OPT_INT, FIELD(retry_attempts), 1, 100, NULL},
	{"retry_percent", OPT_INT, FIELD(retry_percent), 0, 1000, NULL},
	{"prepare_threshold", OPT_INT, FIELD(prepare_threshold), 0, 1000000, NULL},
	{"statement_cache_kb", OPT_INT, FIELD(statement_cache_kb), 1, 1048576, NULL},
	{"pooler", OPT_POOLER, FIELD(pooler), 0, 0, NULL},
};

#define NOPTIONS (sizeof(options) / sizeof(options[0]))

_Static_assert(NOPTIONS == DBPOOL__NOPTIONS, "each option has its source");

static const dbpool_config defaults = {
	.max_waiters = 1000,
	.min = 1,
	.acquire_timeout_ms = 5000,
	.exec_timeout_ms = 300000,
	.reset_timeout_ms = 5000,
	.idle_timeout_ms = 600000,
	.lifetime_ms = 1800000,
	.validate_after_idle_ms = 500,
	.connect_limit = 2,
	.fail_fast_after_ms = 30000,
	.retry_attempts = 5,
	.retry_percent = 10,
	.prepare_threshold = 5,
	.statement_cache_kb = 256,
	.pooler = POOLER_NONE,
	.reset = RESET_DIRTY,
};

dbpool_config *
dbpool_config_new(void)
{
	dbpool_config *config = malloc(sizeof(*config));

	if (config == NULL)
		return NULL;
	*config = defaults;
	config->conninfo = strdup("");
	config->name = strdup("dbpool");
	if (config->conninfo == NULL || config->name == NULL)
	{
		dbpool_config_free(config);
		return NULL;
	}
	return config;
}

void
dbpool__config_clear(dbpool_config *config)
{
	free(config->conninfo);
	free(config->name);
	for (size_t i = 0; i < NOPTIONS; i++)
		free(config->sources[i]);
	config->conninfo = NULL;
	config->name = NULL;
	memset(config->sources, 0, sizeof(config->sources));
}

/* Replace a configuration by another, whose strings go over to it. */
void
dbpool__config_take(dbpool_config *to, dbpool_config *from)
{
	dbpool__config_clear(to);
	*to = *from;
	from->conninfo = NULL;
	from->name = NULL;
	memset(from->sources, 0, sizeof(from->sources));
}

/* A copy with strings of its own, to be cleared; nothing is left after an error. */
int
dbpool__config_copy(const dbpool_config *in, dbpool_config *out, dbpool_error *err)
{
	bool whole;

	*out = *in;
	out->conninfo = strdup(in->conninfo);
	out->name = strdup(in->name);
	whole = out->conninfo != NULL && out->name != NULL;
	for (size_t i = 0; i < NOPTIONS; i++)
	{
		out->sources[i] = in->sources[i] != NULL ? strdup(in->sources[i]) : NULL;
		whole = whole && (out->sources[i] != NULL) == (in->sources[i] != NULL);
	}
	if (whole)
		return DBPOOL_OK;
	dbpool__config_clear(out);
	return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
}

void
dbpool_config_free(dbpool_config *config)
{
	if (config == NULL)
		return;
	dbpool__config_clear(config);
	free(config);
}

/* Edit distance of two names, for "the nearest is"; SIZE_MAX if b is longer than 63. */
size_t
dbpool__distance(const char *a, const char *b)
{
	size_t row[64];
	size_t n = strlen(b);

	if (n >= 64)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++)
	{
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++)
		{
			size_t cost = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < cost)
				cost = row[j] + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			row[j] = cost;
		}
	}
	return row[n];
}

int
dbpool__unknown_option(const char *name, dbpool_error *err)
{
	const char *best = options[0].name;
	size_t		least = SIZE_MAX;

	for (size_t i = 0; i < NOPTIONS; i++)
	{
		size_t d = dbpool__distance(name, options[i].name);

		if (d < least)
		{
			least = d;
			best = options[i].name;
		}
	}
	return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
						"unknown option \"%.64s\": the nearest is \"%s\"", name, best);
}

static int
set_int(const option *opt, int64_t *field, const char *value, dbpool_error *err)
{
	char	 *end;
	long long number;

	if (opt->word != NULL && strcmp(value, opt->word) == 0)
	{
		*field = 0;
		return dbpool__ok(err);
	}
	errno = 0;
	number = strtoll(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || number < opt->least || number > opt->most)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"invalid value for option \"%s\": \"%.64s\" is not a number from "
							"%lld to %lld%s%s",
							opt->name, value, (long long) opt->least, (long long) opt->most,
							opt->word != NULL ? " or " : "", opt->word != NULL ? opt->word : "");
	*field = number;
	return dbpool__ok(err);
}

static int
set_string(char **field, const char *value, dbpool_error *err)
{
	char *copy;

	copy = strdup(value);
	if (copy == NULL)
		return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	free(*field);
	*field = copy;
	return dbpool__ok(err);
}

/* The words of an option that is an enum, in the order of its values. */
static const char *const reset_words[] = {"dirty", "always", "never"};
static const char *const pooler_words[] = {"none", "transaction"};

static int
set_reset(dbpool__reset *field, const char *value, dbpool_error *err)
{
	for (int i = RESET_DIRTY; i <= RESET_NEVER; i++)
		if (strcmp(value, reset_words[i]) == 0)
		{
			*field = (dbpool__reset) i;
			return dbpool__ok(err);
		}
	return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
						"invalid value for option \"reset\": \"%.64s\" is not dirty, always or never",
						value);
}

static int
set_pooler(dbpool__pooler *field, const char *value, dbpool_error *err)
{
	for (int i = POOLER_NONE; i <= POOLER_TRANSACTION; i++)
		if (strcmp(value, pooler_words[i]) == 0)
		{
			*field = (dbpool__pooler) i;
			return dbpool__ok(err);
		}
	return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
						"invalid value for option \"pooler\": \"%.64s\" is not none or transaction",
						value);
}

int
dbpool__option_index(const char *name)
{
	for (size_t i = 0; i < NOPTIONS; i++)
		if (strcmp(options[i].name, name) == 0)
			return (int) i;
	return -1;
}

const char *
dbpool__option_name(int index)
{
	return options[index].name;
}

/* An option's value as text: a string of the configuration, or written to buffer. */
const char *
dbpool__option_value(const dbpool_config *config, int index, char *buffer, size_t size)
{
	const option *opt = &options[index];
	const void	 *field = (const char *) config + opt->offset;
	int64_t		  number;

	switch (opt->type)
	{
		case OPT_STRING:
			return *(char *const *) field;
		case OPT_RESET:
			return reset_words[config->reset];
		case OPT_POOLER:
			return pooler_words[config->pooler];
		case OPT_INT:
			break;
	}
	number = *(const int64_t *) field;
	if (number == 0 && opt->word != NULL)
		return opt->word;
	snprintf(buffer, size, "%lld", (long long) number);
	return buffer;
}

/* Is it something that libpq can read?  Where it leads is looked at when a pool opens. */
static int
check_conninfo(const char *conninfo, dbpool_error *err)
{
	char			 *text = NULL;
	PQconninfoOption *parsed = PQconninfoParse(conninfo, &text);

	if (parsed == NULL)
	{
		int code = dbpool__fail(err, text != NULL ? DBPOOL_EINVAL : DBPOOL_ENOMEM, 0, NULL,
								"invalid conninfo: %s", text != NULL ? text : "out of memory");

		PQfreemem(text);
		return code;
	}
	PQconninfoFree(parsed);
	return dbpool__ok(err);
}

static int
put_value(dbpool_config *config, const option *opt, const char *value, dbpool_error *err)
{
	switch (opt->type)
	{
		case OPT_INT:
			return set_int(opt, (int64_t *) (void *) ((char *) config + opt->offset), value, err);
		case OPT_RESET:
			return set_reset(&config->reset, value, err);
		case OPT_POOLER:
			return set_pooler(&config->pooler, value, err);
		case OPT_STRING:
			break;
	}
	if (opt->offset == FIELD(conninfo))
	{
		int code = check_conninfo(value, err);

		return code == DBPOOL_OK ? set_string(&config->conninfo, value, err) : code;
	}
	if (value[0] == '\0')
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "option \"%s\" must not be empty",
							opt->name);
	return set_string(&config->name, value, err);
}

/* Set an option and note who did so; nothing is changed after an error. */
int
dbpool__config_put(dbpool_config *config, const char *name, const char *value,
				   const char *source, dbpool_error *err)
{
	int	  index = dbpool__option_index(name);
	char *copy;
	int	  code;

	if (index < 0)
		return dbpool__unknown_option(name, err);
	copy = strdup(source);
	if (copy == NULL)
		return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	code = put_value(config, &options[index], value, err);
	if (code != DBPOOL_OK)
	{
		free(copy);
		return code;
	}
	free(config->sources[index]);
	config->sources[index] = copy;
	return code;
}

int
dbpool_config_set(dbpool_config *config, const char *name, const char *value, dbpool_error *err)
{
	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (config == NULL || name == NULL || value == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"config, option and value must not be NULL");
	return dbpool__config_put(config, name, value, "code", err);
}

/* connect_timeout as libpq would take it, from wherever; 0 if it is not set. */
static int
libpq_timeout(const char *conninfo, int64_t *timeout_ms, dbpool_error *err)
{
	PQconninfoOption *effective;
	const char		 *value;
	int				  code = dbpool__conninfo_options(conninfo, "", &effective, err);

	*timeout_ms = 0;
	if (code != DBPOOL_OK)
		return code;
	value = dbpool__conninfo_get(effective, "connect_timeout");
	if (value != NULL)
	{
		long seconds = strtol(value, NULL, 10);

		if (seconds > 0 && seconds <= MS_MAX / 1000)
			*timeout_ms = (int64_t) seconds * 1000;
	}
	PQconninfoFree(effective);
	return code;
}

int
dbpool__config_resolve(const dbpool_config *in, dbpool_config *out, dbpool_error *err)
{
	int64_t max = in->max;
	int64_t timeout = 0;
	int		code;

	if (max == 0)
	{
		max = dbpool__pool_size(dbpool__cpus_usable(""));
		if (max < in->min)
			max = in->min;
	}
	if (in->min > max)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"option \"min\" (%lld) is greater than \"max\" (%lld)",
							(long long) in->min, (long long) max);
	code = libpq_timeout(in->conninfo, &timeout, err);
	if (code == DBPOOL_OK)
		code = dbpool__config_copy(in, out, err);
	if (code != DBPOOL_OK)
		return code;
	out->max = max;
	if (out->connect_timeout_ms == 0)
		out->connect_timeout_ms = timeout > 0 ? timeout : 5000;
	return DBPOOL_OK;
}
