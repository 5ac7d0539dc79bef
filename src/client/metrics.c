/*
 * metrics.c
 *		A pool's numbers as text for Prometheus.
 *
 * All counting is done where things happen, under the pool's lock; here a copy is
 * taken, one pool after the other, and printed without it.  A histogram's counts are by
 * OpenTelemetry's bounds; what was served without waiting is not noted there, it is
 * the difference of two counters, so the short path pays nothing for it.
 *
 * Numbers are printed without %f, which would follow the application's locale.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "dbpool_metrics.h"

#define POOL_LABEL "db_client_connection_pool_name"

/* A pool at one instant. */
typedef struct
{
	char			 *name; /* allocated, as a label's value */
	dbpool_stats	  stats;
	dbpool__histogram wait;
	dbpool__histogram use;
	dbpool__histogram create;
} snapshot;

typedef enum
{
	COUNTER,
	GAUGE,
	GAUGE_MS /* printed in seconds */
} kind;

/* One sample of each pool; those of one name follow each other. */
typedef struct
{
	const char *name;
	const char *help; /* NULL: as before */
	const char *label; /* or NULL */
	kind		kind;
	size_t		offset;
} series;

#define F(field) offsetof(dbpool_stats, field)
#define STATE(s) "db_client_connection_state=\"" s "\""

static const series table[] = {
	{"db_client_connection_count", "Connections by state.", STATE("idle"), GAUGE, F(idle)},
	{"db_client_connection_count", NULL, STATE("used"), GAUGE, F(leased)},
	{"db_client_connection_count", NULL, STATE("connecting"), GAUGE, F(connecting)},
	{"db_client_connection_count", NULL, STATE("resetting"), GAUGE, F(resetting)},
	{"db_client_connection_count", NULL, STATE("closing"), GAUGE, F(closing)},
	{"db_client_connection_max", "Connections at most.", NULL, GAUGE, F(max)},
	{"db_client_connection_pending_requests", "Callers waiting for a connection.", NULL, GAUGE,
	 F(waiting)},
	{"db_client_connection_timeouts_total", "Acquires that met their deadline.", NULL, COUNTER,
	 F(timeouts)},
	{"dbpool_connections_min", "Connections kept.", NULL, GAUGE, F(min)},
	{"dbpool_connections", "Connections that count towards the maximum.", NULL, GAUGE, F(total)},
	{"dbpool_pending_requests_peak", "Most callers that ever waited.", NULL, GAUGE,
	 F(waiting_peak)},
	{"dbpool_oldest_lease_seconds", "Age of the oldest lease that is out.", NULL, GAUGE_MS,
	 F(oldest_lease_ms)},
	{"dbpool_acquires_total", "Connections lent.", NULL, COUNTER, F(acquired)},
	{"dbpool_acquires_waited_total", "Connections lent after waiting.", NULL, COUNTER,
	 F(acquired_waiting)},
	{"dbpool_acquires_failed_total", "Acquires that failed before their deadline.",
	 "reason=\"queue_full\"", COUNTER, F(queue_full)},
	{"dbpool_acquires_failed_total", NULL, "reason=\"connect_error\"", COUNTER, F(refused)},
	{"dbpool_acquires_failed_total", NULL, "reason=\"fail_fast\"", COUNTER, F(failed_fast)},
	{"dbpool_releases_total", "Connections returned.", NULL, COUNTER, F(released)},
	{"dbpool_misuses_total", "Calls on leases that had ended or were in use.",
	 "reason=\"stale_release\"", COUNTER, F(stale_releases)},
	{"dbpool_misuses_total", NULL, "reason=\"stale_call\"", COUNTER, F(stale_calls)},
	{"dbpool_misuses_total", NULL, "reason=\"busy_call\"", COUNTER, F(busy_calls)},
	{"dbpool_resets_total", "Sessions cleaned.", NULL, COUNTER, F(resets)},
	{"dbpool_rollbacks_total", "Sessions cleaned of an open transaction.", NULL, COUNTER,
	 F(rollbacks)},
	{"dbpool_reset_failures_total", "Sessions that could not be cleaned.", NULL, COUNTER,
	 F(reset_failures)},
	{"dbpool_connects_started_total", "Attempts to connect.", NULL, COUNTER, F(connects_started)},
	{"dbpool_connects_total", "Attempts to connect that ended, by result.", "result=\"ok\"", COUNTER,
	 F(connects_ok)},
	{"dbpool_connects_total", NULL, "result=\"failed\"", COUNTER, F(connects_failed)},
	{"dbpool_connects_too_many_total", "Attempts that ended in 53300.", NULL, COUNTER, F(too_many)},
	{"dbpool_closed_total", "Connections closed, by reason.", "reason=\"broken\"", COUNTER,
	 F(closed_broken)},
	{"dbpool_closed_total", NULL, "reason=\"discarded\"", COUNTER, F(closed_discarded)},
	{"dbpool_closed_total", NULL, "reason=\"idle\"", COUNTER, F(closed_idle)},
	{"dbpool_closed_total", NULL, "reason=\"lifetime\"", COUNTER, F(closed_lifetime)},
	{"dbpool_closed_total", NULL, "reason=\"evicted\"", COUNTER, F(closed_evicted)},
	{"dbpool_cancels_total", "Cancel requests, by what became of them.", "result=\"sent\"", COUNTER,
	 F(cancels_sent)},
	{"dbpool_cancels_total", NULL, "result=\"dropped\"", COUNTER, F(cancels_dropped)},
	{"dbpool_execs_total", "Calls of dbpool_exec.", NULL, COUNTER, F(execs)},
	{"dbpool_exec_errors_total", "Calls of dbpool_exec that failed.", NULL, COUNTER,
	 F(exec_errors)},
	{"dbpool_exec_timeouts_total", "Calls of dbpool_exec that met their deadline.", NULL, COUNTER,
	 F(exec_timeouts)},
	{"dbpool_breaker_state", "0 closed, 1 open, 2 closing again.", NULL, GAUGE, F(breaker_state)},
	{"dbpool_breaker_opened_total", "Times the breaker opened.", NULL, COUNTER, F(breaker_opened)},
	{"dbpool_outage_seconds", "How long the breaker has been open.", NULL, GAUGE_MS, F(outage_ms)},
	{"dbpool_connect_ceiling", "Connections the server has room for, 0 if unknown.", NULL, GAUGE,
	 F(connect_ceiling)},
	{"dbpool_transactions_begun_total", "Transactions of sessions that began.", NULL, COUNTER,
	 F(tx_begun)},
	{"dbpool_transactions_total", "Transactions of sessions, by outcome.", "outcome=\"committed\"",
	 COUNTER, F(tx_committed)},
	{"dbpool_transactions_total", NULL, "outcome=\"aborted\"", COUNTER, F(tx_aborted)},
	{"dbpool_transactions_total", NULL, "outcome=\"unknown\"", COUNTER, F(tx_unknown)},
	{"dbpool_retries_total", "Attempts beyond the first.", NULL, COUNTER, F(retries)},
	{"dbpool_retries_denied_total", "Retries that the budget did not allow.", NULL, COUNTER,
	 F(retries_denied)},
	{"dbpool_statements", "Statements prepared on all connections.", NULL, GAUGE, F(statements)},
	{"dbpool_statement_bytes", "Memory for their texts.", NULL, GAUGE, F(statement_bytes)},
	{"dbpool_statement_hits_total", "Executions of a prepared statement.", NULL, COUNTER,
	 F(statement_hits)},
	{"dbpool_statements_prepared_total", "Statements prepared.", NULL, COUNTER,
	 F(statements_prepared)},
	{"dbpool_statements_evicted_total", "Prepared statements dropped for room.", NULL, COUNTER,
	 F(statements_evicted)},
	{"dbpool_statement_invalidations_total", "Result types that changed.", NULL, COUNTER,
	 F(statement_invalidations)},
	{"dbpool_statement_retries_total", "Statements repeated for such a reason.", NULL, COUNTER,
	 F(statement_retries)},
};

#define NSERIES (sizeof(table) / sizeof(table[0]))

/* OpenTelemetry's bounds, and as they are printed. */
const int64_t dbpool__histogram_bounds[HISTOGRAM_BOUNDS] = {
	1 * NS_PER_MS,	 5 * NS_PER_MS,	   10 * NS_PER_MS,	 50 * NS_PER_MS,	100 * NS_PER_MS,
	500 * NS_PER_MS, 1000 * NS_PER_MS, 5000 * NS_PER_MS, 10000 * NS_PER_MS,
};
static const char *const bounds[HISTOGRAM_BOUNDS] = {
	"0.001", "0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "10",
};

/* ---- names ---- */

/* Length of the UTF-8 character at s, 0 if it is none. */
static size_t
utf8_length(const unsigned char *s)
{
	static const struct
	{
		unsigned char first;
		unsigned char last;
		unsigned char least; /* of the second byte */
		unsigned char most;
		size_t		  length;
	} forms[] = {
		{0x01, 0x7F, 0, 0, 1},		 {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
		{0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
		{0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
	{
		if (*s < forms[i].first || *s > forms[i].last)
			continue;
		if (forms[i].length > 1 && (s[1] < forms[i].least || s[1] > forms[i].most))
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if ((s[k] & 0xC0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

/* A name as a label's value, allocated; bytes that are no UTF-8 become "?". */
static char *
label_value(const char *name)
{
	char *value = malloc(2 * strlen(name) + 1);
	char *out = value;

	if (value == NULL)
		return NULL;
	for (const unsigned char *in = (const unsigned char *) name; *in != '\0';)
	{
		size_t length = utf8_length(in);

		if (length == 0)
			*out++ = '?';
		else if (*in == '\\' || *in == '"' || *in == '\n')
		{
			*out++ = '\\';
			*out++ = *in == '\n' ? 'n' : (char) *in;
		}
		else
		{
			memcpy(out, in, length);
			out += length;
		}
		in += length > 0 ? length : 1;
	}
	*out = '\0';
	return value;
}

/* ---- printing ---- */

static void
heading(FILE *out, const char *name, const char *help, const char *type)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
print_seconds(FILE *out, uint64_t ns)
{
	fprintf(out, "%" PRIu64 ".%09" PRIu64 "\n", ns / (uint64_t) NS_PER_S, ns % (uint64_t) NS_PER_S);
}

static void
print_series(FILE *out, const series *s, const snapshot *shots, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		uint64_t value;

		memcpy(&value, (const char *) &shots[i].stats + s->offset, sizeof(value));
		fprintf(out, "%s{" POOL_LABEL "=\"%s\"%s%s} ", s->name, shots[i].name,
				s->label != NULL ? "," : "", s->label != NULL ? s->label : "");
		if (s->kind == GAUGE_MS)
			print_seconds(out, value * (uint64_t) NS_PER_MS);
		else
			fprintf(out, "%" PRIu64 "\n", value);
	}
}

static void
print_histogram(FILE *out, const char *name, const char *label, const dbpool__histogram *h,
				uint64_t sum_ns)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
	{
		count += h->counts[i];
		fprintf(out, "%s_bucket{" POOL_LABEL "=\"%s\",le=\"%s\"} %" PRIu64 "\n", name, label,
				i < HISTOGRAM_BOUNDS ? bounds[i] : "+Inf", count);
	}
	fprintf(out, "%s_sum{" POOL_LABEL "=\"%s\"} ", name, label);
	print_seconds(out, sum_ns);
	fprintf(out, "%s_count{" POOL_LABEL "=\"%s\"} %" PRIu64 "\n", name, label, count);
}

static void
print_all(FILE *out, const snapshot *shots, size_t n)
{
	static const char wait[] = "db_client_connection_wait_time_seconds";
	static const char use[] = "db_client_connection_use_time_seconds";
	static const char create[] = "db_client_connection_create_time_seconds";

	for (size_t i = 0; i < NSERIES; i++)
	{
		if (table[i].help != NULL)
			heading(out, table[i].name, table[i].help,
					table[i].kind == COUNTER ? "counter" : "gauge");
		print_series(out, &table[i], shots, n);
	}
	heading(out, wait, "Time until a connection was lent.", "histogram");
	for (size_t i = 0; i < n; i++)
		print_histogram(out, wait, shots[i].name, &shots[i].wait, shots[i].stats.wait_ns);
	heading(out, use, "Time between lending and return.", "histogram");
	for (size_t i = 0; i < n; i++)
		print_histogram(out, use, shots[i].name, &shots[i].use, shots[i].stats.use_ns);
	heading(out, create, "Time to make a connection.", "histogram");
	for (size_t i = 0; i < n; i++)
		print_histogram(out, create, shots[i].name, &shots[i].create, shots[i].stats.create_ns);
}

/* ---- taking ---- */

static int
take(dbpool_pool *pool, snapshot *shot, dbpool_error *err)
{
	char *name;
	int	  code = dbpool__pool_lock(pool, err);

	if (code != DBPOOL_OK)
		return code;
	if (pool->closed)
	{
		pthread_mutex_unlock(&pool->lock);
		return dbpool__fail(err, DBPOOL_ECLOSED, 0, NULL, "the pool is closed");
	}
	name = strdup(pool->config.name);
	dbpool__stats_fill(pool, &shot->stats);
	shot->wait = pool->wait_time;
	shot->use = pool->use_time;
	shot->create = pool->create_time;
	pthread_mutex_unlock(&pool->lock);
	shot->wait.counts[0] += shot->stats.acquired - shot->stats.acquired_waiting;
	shot->name = name != NULL ? label_value(name) : NULL;
	free(name);
	if (shot->name == NULL)
		return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	return DBPOOL_OK;
}

/* Are all names different?  Else the text would have two samples of one series. */
static int
check_names(const snapshot *shots, size_t n, dbpool_error *err)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(shots[i].name, shots[k].name) == 0)
				return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL,
									"two pools have the name \"%.80s\": set the option \"name\"",
									shots[i].name);
	return DBPOOL_OK;
}

static int
write_text(const snapshot *shots, size_t n, char **text, dbpool_error *err)
{
	size_t size = 0;
	FILE  *out = open_memstream(text, &size);
	bool   failed;

	if (out == NULL)
		return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	print_all(out, shots, n);
	failed = ferror(out) != 0;
	failed = fclose(out) != 0 || failed;
	if (!failed)
		return dbpool__ok(err);
	free(*text);
	*text = NULL;
	return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
}

/* The text of `n` pools; those of services may be closed at any time: left out then. */
static int
text_of(dbpool_pool *const *pools, size_t n, bool services, char **text, dbpool_error *err)
{
	snapshot *shots = calloc(n > 0 ? n : 1, sizeof(*shots));
	size_t	  taken = 0;
	int		  code = DBPOOL_OK;

	if (shots == NULL)
		return dbpool__fail(err, DBPOOL_ENOMEM, 0, NULL, "out of memory");
	for (size_t i = 0; code == DBPOOL_OK && i < n; i++)
	{
		code = take(pools[i], &shots[taken], err);
		if (code == DBPOOL_OK)
			taken++;
		else if (services && (code == DBPOOL_ECLOSED || code == DBPOOL_EFORK))
			code = DBPOOL_OK;
	}
	if (code == DBPOOL_OK)
		code = check_names(shots, taken, err);
	if (code == DBPOOL_OK)
		code = write_text(shots, taken, text, err);
	for (size_t i = 0; i < taken; i++)
		free(shots[i].name);
	free(shots);
	return code;
}

int
dbpool_metrics_text(dbpool_pool *const *pools, size_t n, char **text, dbpool_error *err)
{
	dbpool_pool **all = NULL;
	int			  code;

	if (!dbpool__error_ok(err))
		return DBPOOL_EINVAL;
	if (text == NULL || (n > 0 && pools == NULL))
		return dbpool__fail(err, DBPOOL_EINVAL, 0, NULL, "pools and text must not be NULL");
	*text = NULL;
	if (n > 0)
		return text_of(pools, n, false, text, err);
	code = dbpool__services_pools(&all, &n, err);
	if (code == DBPOOL_OK)
		code = text_of(all, n, true, text, err);
	free(all);
	return code;
}
