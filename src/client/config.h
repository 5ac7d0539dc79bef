/*
 * config.h
 *		Settings: the configuration, where its values come from, services by name.
 *
 * Part of internal.h: never installed.  A configuration is its owner's; only the table
 * of services has a lock.
 */
#ifndef DBPOOL_CONFIG_H
#define DBPOOL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "dbpool.h"
#include "dbpool_metrics.h"

/* ---- options (config.c) ---- */

typedef enum
{
	RESET_DIRTY,
	RESET_ALWAYS,
	RESET_NEVER
} dbpool__reset;

typedef enum
{
	POOLER_NONE,
	POOLER_TRANSACTION
} dbpool__pooler;

#define DBPOOL__NOPTIONS 20

struct dbpool_config
{
	/* where each option was set, in the order of the table; allocated, NULL = default */
	char		 *sources[DBPOOL__NOPTIONS];
	char		 *conninfo;
	char		 *name;
	int64_t		  min;
	int64_t		  max; /* 0 = auto */
	int64_t		  max_waiters;
	int64_t		  acquire_timeout_ms;
	int64_t		  exec_timeout_ms;
	int64_t		  connect_timeout_ms; /* 0 = libpq's, else 5000 */
	int64_t		  reset_timeout_ms;
	int64_t		  idle_timeout_ms;
	int64_t		  lifetime_ms;
	int64_t		  validate_after_idle_ms;
	int64_t		  connect_limit;
	int64_t		  fail_fast_after_ms;
	int64_t		  retry_attempts;
	int64_t		  retry_percent;
	dbpool__reset reset;
	int64_t		  prepare_threshold;
	int64_t		  statement_cache_kb;
	dbpool__pooler pooler;
	dbpool_event_fn on_event; /* or NULL */
	void		 *on_event_arg;
};

/* A checked copy with `auto` and defaults resolved; strings allocated. */
int	 dbpool__config_resolve(const dbpool_config *in, dbpool_config *out, dbpool_error *err);
int	 dbpool__config_copy(const dbpool_config *in, dbpool_config *out, dbpool_error *err);
void dbpool__config_clear(dbpool_config *config);
void dbpool__config_take(dbpool_config *to, dbpool_config *from);
int	 dbpool__config_put(dbpool_config *config, const char *name, const char *value,
						const char *source, dbpool_error *err);
int	 dbpool__option_index(const char *name);
const char *dbpool__option_name(int index);
const char *dbpool__option_value(const dbpool_config *config, int index, char *buffer,
								 size_t size);
int	 dbpool__unknown_option(const char *name, dbpool_error *err);
size_t dbpool__distance(const char *a, const char *b);

/* ---- what libpq makes of a conninfo (conninfo.c) ---- */

PGconn *dbpool__conninfo_start(const char *conninfo, const char *name, int64_t timeout_ms,
							   bool connect);
bool dbpool__conninfo_ours(const char *keyword);
int dbpool__conninfo_options(const char *conninfo, const char *name, PQconninfoOption **options,
							 dbpool_error *err);
const char *dbpool__conninfo_get(const PQconninfoOption *options, const char *keyword);

/* ---- settings from outside, services (settings.c, service.c) ---- */

#define SERVICE_NAME_MAX 63

int	 dbpool__env_prefix(const char *service, char *prefix, size_t size, dbpool_error *err);
void dbpool__services_lock(void);
void dbpool__services_unlock(void);
int	 dbpool__services_pools(dbpool_pool ***pools, size_t *n, dbpool_error *err);

/* ---- CPUs (cpus.c) ---- */

/* CPUs by cgroup quota below `root` ("" = the real system); 0 = no limit. */
int dbpool__cpus_quota(const char *root);
int dbpool__cpus_usable(const char *root);
int dbpool__pool_size(int cpus);

#endif /* DBPOOL_CONFIG_H */
