/*
 * dbpool_metrics.h
 *		Watching pools: metrics for Prometheus, events for logs.
 */
#ifndef DBPOOL_METRICS_H
#define DBPOOL_METRICS_H

#include "dbpool.h"

#ifdef __cplusplus
extern "C"
{
#endif

#pragma GCC visibility push(default)

/*
 * The numbers of n pools, or with n = 0 of all services (dbpool_service.h) that have
 * a pool in this process, in the text format 0.0.4 of Prometheus:
 *
 *	by OpenTelemetry's names, times in seconds
 *		db_client_connection_count{db_client_connection_state="idle"|"used"|"connecting"|
 *			"resetting"|"closing"}, _max, _pending_requests, _timeouts_total,
 *			histograms _wait_time_seconds (of acquires that were served), _use_time_seconds
 *			(to a clock tick, some ms) and _create_time_seconds (of successes)
 *	by names of the library, dbpool_*
 *		what else dbpool_stats has
 *
 * Each sample has the label db_client_connection_pool_name, the pool's `name`.  *text
 * is allocated: free() it.  Each pool's numbers are of one instant.  Errors: EINVAL, also if
 * two pools have one name; ECLOSED, EFORK, of a pool given; ENOMEM.
 */
int dbpool_metrics_text(dbpool_pool *const *pools, size_t n, char **text, dbpool_error *err);

/* dbpool_event.type */
#define DBPOOL_EVENT_CONNECTED 1	  /* a connection was made */
#define DBPOOL_EVENT_CONNECT_FAILED 2 /* an attempt failed: see error */
#define DBPOOL_EVENT_SERVER_LOST 3	  /* the breaker opened: see error */
#define DBPOOL_EVENT_SERVER_BACK 4	  /* the first success since */
#define DBPOOL_EVENT_BROKEN 5		  /* a connection was found dead, or could not be cleaned */
#define DBPOOL_EVENT_READ_ONLY 6	  /* 25006: the server became read-only, all are replaced */

/*
 * Something that happened in a pool.  Valid during the call.
 */
typedef struct dbpool_event
{
	size_t		 size;		  /* sizeof(dbpool_event), as the library knows it */
	int			 type;		  /* DBPOOL_EVENT_* */
	int			 backend_pid; /* the server's process, 0 if there is none */
	int64_t		 at;		  /* nanoseconds of CLOCK_MONOTONIC */
	uint64_t	 dropped;	  /* events before this one that were lost: the callback was too slow */
	const char	*pool;		  /* its `name` */
	dbpool_error error;		  /* code DBPOOL_OK if it has none */
} dbpool_event;

typedef void (*dbpool_event_fn)(const dbpool_event *event, void *arg);

/* The name of a type, as "connect_failed"; static, never NULL. */
const char *dbpool_event_name(int type);

/*
 * Have fn called for what happens in pools opened with this configuration; NULL: no
 * longer.  It is called by a thread of its own for each pool, one event after the other,
 * without a lock, so it may be slow and may call the library, but for dbpool_close and
 * dbpool_undefine of its pool (EINVAL).  At most 64 events wait for it.  No call after
 * dbpool_close has returned, unless that was at its deadline.  Errors: EINVAL.
 */
int dbpool_config_on_event(dbpool_config *config, dbpool_event_fn fn, void *arg,
						   dbpool_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* DBPOOL_METRICS_H */
