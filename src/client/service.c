/*
 * service.c
 *		Pools by the name of a service: define once, get anywhere.
 *
 * A definition is a checked configuration; its pool is opened by the first dbpool_get
 * of a process.  The list is short and looked through under the services lock, which is
 * held while a pool is opened, so that only one is; that reads files and starts
 * threads, but never waits for a server.  It is taken before any other lock and held across
 * fork, so that the child finds the list whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "dbpool_service.h"

typedef struct service
{
	struct service *next;
	dbpool_pool	   *pool; /* NULL: not opened yet */
	dbpool_config	config;
	char			name[SERVICE_NAME_MAX + 1];
	char			prefix[SERVICE_NAME_MAX + 16]; /* of its variables */
} service;

static pthread_mutex_t services_lock = PTHREAD_MUTEX_INITIALIZER;
static service		  *services; /* services_lock; the first defined first */

void
dbpool__services_lock(void)
{
	pthread_mutex_lock(&services_lock);
}

void
dbpool__services_unlock(void)
{
	pthread_mutex_unlock(&services_lock);
}

/* The link to a service, to the end of the list if there is none.  Lock held. */
static service **
find(const char *name)
{
	service **link = &services;

	while (*link != NULL && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

static void
service_free(service *s)
{
	dbpool__config_clear(&s->config);
	free(s);
}

/* Put together what a service runs with; s->config is empty before, and after an error. */
static int
gather(service *s, const dbpool_config *config, dbpool_error *err)
{
	dbpool_config *own = config == NULL ? dbpool_config_new() : NULL;
	const char	  *path = getenv("DBPOOL_CONFIG");
	dbpool_config  resolved;
	int			   code;

	if (config == NULL && own == NULL)
		return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	code = dbpool__config_copy(config != NULL ? config : own, &s->config, err);
	dbpool_config_free(own);
	if (code != DBPOOL_OK)
		return code;
	if (s->config.sources[dbpool__option_index("name")] == NULL)
		code = dbpool__config_put(&s->config, "name", s->name, "service", err);
	if (code == DBPOOL_OK && path != NULL && path[0] != '\0')
		code = dbpool_config_read(&s->config, path, s->name, err);
	if (code == DBPOOL_OK)
		code = dbpool_config_env(&s->config, s->name, err);
	if (code == DBPOOL_OK)
		code = dbpool__config_resolve(&s->config, &resolved, err);
	if (code == DBPOOL_OK)
		dbpool__config_clear(&resolved);
	else
		dbpool__config_clear(&s->config);
	return code;
}

/* Is a definition the one that is there? */
static int
compare(const service *there, const service *now, dbpool_error *err)
{
	for (int i = 0; i < DBPOOL__NOPTIONS; i++)
	{
		char		a[32];
		char		b[32];
		const char *first = dbpool__option_value(&there->config, i, a, sizeof(a));
		const char *second = dbpool__option_value(&now->config, i, b, sizeof(b));
		bool		secret = strcmp(dbpool__option_name(i), "conninfo") == 0;

		if (strcmp(first, second) == 0)
			continue;
		if (secret)
			return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
								"service \"%s\" is defined already, with another \"conninfo\"",
								there->name);
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"service \"%s\" is defined already, with \"%s\" %.80s instead of %.80s",
							there->name, dbpool__option_name(i), first, second);
	}
	if (there->config.on_event != now->config.on_event ||
		there->config.on_event_arg != now->config.on_event_arg)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"service \"%s\" is defined already, with another event callback",
							there->name);
	return dbpool__ok(err);
}

/* Add a service, which is taken over, unless it is there.  Lock held. */
static int
add(service *s, dbpool_error *err)
{
	service **link = &services;
	int		  code;

	for (; *link != NULL; link = &(*link)->next)
		if (strcmp((*link)->prefix, s->prefix) == 0)
			break;
	if (*link == NULL)
	{
		*link = s;
		return dbpool__ok(err);
	}
	if (strcmp((*link)->name, s->name) == 0)
		code = compare(*link, s, err);
	else
		code = dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"services \"%s\" and \"%s\" would share the variables %s*", s->name,
							(*link)->name, s->prefix);
	service_free(s);
	return code;
}

int
dbpool_define(const char *name, const dbpool_config *config, dbpool_error *err)
{
	service *s;
	int		 code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (name == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "the service's name must not be NULL");
	code = dbpool__process_init();
	if (code != 0)
		return dbpool__fail(err, DBPOOL_ESYSTEM, 0, NULL, "pthread_atfork failed: %s",
							strerror(code));
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	code = dbpool__env_prefix(name, s->prefix, sizeof(s->prefix), err);
	if (code == DBPOOL_OK)
	{
		snprintf(s->name, sizeof(s->name), "%s", name);
		code = gather(s, config, err);
	}
	if (code != DBPOOL_OK)
	{
		free(s);
		return code;
	}
	dbpool__services_lock();
	code = add(s, err);
	dbpool__services_unlock();
	return code;
}

/* Lock held. */
static int
not_defined(const char *name, dbpool_error *err)
{
	const service *nearest = services;

	if (nearest == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"service \"%.80s\" is not defined, nor is any: call dbpool_define",
							name);
	for (const service *s = services; s != NULL; s = s->next)
		if (dbpool__distance(name, s->name) < dbpool__distance(name, nearest->name))
			nearest = s;
	return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
						"service \"%.80s\" is not defined: the nearest is \"%s\"", name,
						nearest->name);
}

/* Open the pool of a service.  Lock held. */
static int
open_service(service *s, dbpool_error *err)
{
	dbpool_pool *pool = NULL;
	int			 code;

	/* the parent's: only the copies of its sockets are ours to close */
	if (s->pool != NULL)
		dbpool__abandon_in_child(s->pool);
	s->pool = NULL;
	code = dbpool_open(&s->config, &pool, err);
	if (pool != NULL)
	{
		pthread_mutex_lock(&pool->lock);
		pool->defined = true;
		pthread_mutex_unlock(&pool->lock);
		s->pool = pool;
	}
	return code;
}

int
dbpool_get(const char *name, dbpool_pool **pool, dbpool_error *err)
{
	service *s;
	int		 code = DBPOOL_OK;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (name == NULL || pool == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, DBPOOL_NOT_SENT, NULL,
							"name and pool must not be NULL");
	*pool = NULL;
	dbpool__services_lock();
	s = *find(name);
	if (s == NULL)
		code = not_defined(name, err);
	else
	{
		if (s->pool == NULL || dbpool__forked(s->pool))
			code = open_service(s, err);
		*pool = s->pool;
	}
	dbpool__services_unlock();
	return code == DBPOOL_OK ? dbpool__ok(err) : code;
}

/* The pools of this process; *pools is to be freed. */
int
dbpool__services_pools(dbpool_pool ***pools, size_t *n, dbpool_error *err)
{
	size_t defined = 0;

	*n = 0;
	dbpool__services_lock();
	for (const service *s = services; s != NULL; s = s->next)
		defined++;
	*pools = calloc(defined > 0 ? defined : 1, sizeof(dbpool_pool *));
	for (const service *s = services; s != NULL && *pools != NULL; s = s->next)
		if (s->pool != NULL)
			(*pools)[(*n)++] = s->pool;
	dbpool__services_unlock();
	if (*pools == NULL)
		return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	return DBPOOL_OK;
}

/* Is the caller the service's event callback?  Services lock held. */
static bool
called_back(service *s)
{
	bool own = false;

	if (s->pool != NULL && !dbpool__forked(s->pool))
	{
		pthread_mutex_lock(&s->pool->lock);
		own = dbpool__own_thread(s->pool);
		pthread_mutex_unlock(&s->pool->lock);
	}
	return own;
}

int
dbpool_undefine(const char *name, int64_t deadline, dbpool_error *err)
{
	service **link;
	service	 *s;
	int		  code = DBPOOL_OK;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (name == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "the service's name must not be NULL");
	dbpool__services_lock();
	link = find(name);
	s = *link;
	if (s == NULL)
		code = not_defined(name, err);
	else if (called_back(s))
		code = dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
							"an event callback cannot close its own pool");
	else
		*link = s->next;
	dbpool__services_unlock();
	if (s == NULL || code != DBPOOL_OK)
		return code;
	if (s->pool != NULL && dbpool__forked(s->pool))
		dbpool__abandon_in_child(s->pool);
	else if (s->pool != NULL)
	{
		pthread_mutex_lock(&s->pool->lock);
		s->pool->defined = false;
		pthread_mutex_unlock(&s->pool->lock);
		code = dbpool_close(s->pool, deadline, err);
	}
	service_free(s);
	return code == DBPOOL_OK ? dbpool__ok(err) : code;
}
