/*
 * harness.h
 *		Shared by the client tests: pools from option pairs, a superuser's view of
 *		the server, time.
 *
 * The server is the one server.sh started; its DSN is in DBPOOL_TEST_DSN.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dbpool.h"

/* Open a pool on the test server; pairs of option and value, ended by NULL. */
dbpool_pool *open_pool(const char *option, ...);

/* Assert success, and show the error otherwise. */
#define assert_ok(call) assert_ok_at((call), &err, #call, __FILE__, __LINE__)
void assert_ok_at(int code, const dbpool_error *err, const char *what, const char *file, int line);

/* Close and expect no leak. */
void close_pool(dbpool_pool *pool);

dbpool_stats stats_of(dbpool_pool *pool);

/* Run a query as superuser on a connection of the harness; first field. */
char *admin_text(const char *sql, char *buffer, size_t size);
long  admin_int(const char *sql);
void  admin_forget(void);

/* One field through a lease. */
long lease_int(dbpool_lease lease, const char *sql);
char *lease_text(dbpool_lease lease, const char *sql, char *buffer, size_t size);

/* A lease of the pool. */
dbpool_lease lease_of(dbpool_pool *pool);

/* For transactions: a table tx (k, n) with rows 1 and 2, a row's n; one statement, its server's end. */
int	 tx_setup(void **state);
long tx_value(int k);
int	 session_run(dbpool_session *s, const char *sql, dbpool_error *e);
void session_kill(dbpool_session *s);

/* Wait up to 5 s for an expression. */
#define assert_soon(expression) \
	do \
	{ \
		int	 tries_ = 0; \
		bool true_; \
		while (!(true_ = (expression)) && tries_++ < 1000) \
			sleep_ms(5); \
		if (!true_) \
			fail_msg("did not come true: %s", #expression); \
	} \
	while (0)

/* least <= value <= most; cmocka's own name for it changed between versions. */
#define assert_between(value, least, most) \
	do \
	{ \
		long long value_ = (long long) (value); \
		if (value_ < (long long) (least) || value_ > (long long) (most)) \
			fail_msg("%s is %lld, not from %lld to %lld", #value, value_, (long long) (least), \
					 (long long) (most)); \
	} \
	while (0)

void	sleep_ms(int ms);
int64_t now_ms(void);
void	server(const char *action); /* an action of server.sh */
const char *dsn(void);

#endif /* HARNESS_H */
