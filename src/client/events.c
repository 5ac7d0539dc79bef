/*
 * events.c
 *		What happens in a pool, told to the application.
 *
 * Events are noted under the pool's lock in a ring and told without it, by a thread that
 * does nothing else, so that a slow callback holds up nobody.  A ring that is full loses
 * the new event, which is counted and told with the next.  Without a callback there is
 * neither ring nor thread.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "dbpool_metrics.h"

#define RING 64

struct dbpool__events
{
	uint64_t	 noted; /* the next goes to noted % RING */
	uint64_t	 told;
	uint64_t	 dropped;
	dbpool_event ring[RING];
};

static const char *const names[] = {
	[DBPOOL_EVENT_CONNECTED] = "connected",
	[DBPOOL_EVENT_CONNECT_FAILED] = "connect_failed",
	[DBPOOL_EVENT_SERVER_LOST] = "server_lost",
	[DBPOOL_EVENT_SERVER_BACK] = "server_back",
	[DBPOOL_EVENT_BROKEN] = "broken",
	[DBPOOL_EVENT_READ_ONLY] = "read_only",
};

const char *
dbpool_event_name(int type)
{
	if (type < DBPOOL_EVENT_CONNECTED || type > DBPOOL_EVENT_READ_ONLY)
		return "unknown";
	return names[type];
}

int
dbpool_config_on_event(dbpool_config *config, dbpool_event_fn fn, void *arg, dbpool_error *err)
{
	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (config == NULL)
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "config must not be NULL");
	config->on_event = fn;
	config->on_event_arg = arg;
	return dbpool__ok(err);
}

/* The ring of a pool with a callback; NULL if out of memory. */
dbpool__events *
dbpool__events_new(void)
{
	return calloc(1, sizeof(dbpool__events));
}

/* Note an event; error and slot may be NULL.  Lock held. */
void
dbpool__event(dbpool_pool *pool, int type, const dbpool__slot *slot, const dbpool_error *error)
{
	dbpool__events *events = pool->events;
	dbpool_event   *event;

	if (events == NULL)
		return;
	if (events->noted - events->told == RING)
	{
		events->dropped++;
		return;
	}
	event = &events->ring[events->noted++ % RING];
	event->size = sizeof(*event);
	event->type = type;
	event->backend_pid = slot != NULL ? slot->backend_pid : 0;
	event->at = dbpool__now();
	event->dropped = events->dropped;
	event->error = (dbpool_error) DBPOOL_ERROR_INIT;
	if (error != NULL)
		(void) dbpool__copy_error(&event->error, error);
	events->dropped = 0;
	pthread_cond_signal(&pool->event_cond);
}

/* Tell the next event.  Lock held, released meanwhile. */
static void
tell(dbpool_pool *pool)
{
	dbpool__events *events = pool->events;
	dbpool_event	event = events->ring[events->told % RING];

	events->told++;
	/* the configuration is constant while this thread runs */
	event.pool = pool->config.name;
	pthread_mutex_unlock(&pool->lock);
	pool->config.on_event(&event, pool->config.on_event_arg);
	pthread_mutex_lock(&pool->lock);
}

/* Until the pool stops, and all is told that was noted before. */
void *
dbpool__events_main(void *arg)
{
	dbpool_pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	for (;;)
	{
		if (pool->events->told < pool->events->noted)
			tell(pool);
		else if (pool->stopping)
			break;
		else
			pthread_cond_wait(&pool->event_cond, &pool->lock);
	}
	dbpool__thread_ended(pool);
	return NULL;
}
