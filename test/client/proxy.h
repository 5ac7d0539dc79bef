/*
 * proxy.h
 *		A proxy in front of the test server that loses connections at COMMIT.
 *
 * It listens on a Unix socket in a folder of its own and passes on what comes, both
 * ways, from one thread.  A COMMIT sent by the simple protocol may meet a fault.
 */
#ifndef PROXY_H
#define PROXY_H

typedef enum
{
	PROXY_PASS,
	PROXY_BEFORE, /* the COMMIT does not get there */
	PROXY_AFTER,  /* it does, and the client is gone before the answer */
	PROXY_ANSWER, /* it is answered, and the answer is lost */
	PROXY_SILENT  /* as PROXY_ANSWER, but the client is not told: nothing comes any more */
} proxy_fault;

typedef struct proxy proxy;

proxy *proxy_start(void);
void   proxy_stop(proxy *p);

/* Where to connect to; valid until proxy_stop. */
const char *proxy_dsn(const proxy *p);

/* What happens to the next COMMIT, whoever sends it. */
void proxy_next(proxy *p, proxy_fault fault);

/* Of all others, so many in a million meet one of BEFORE, AFTER and ANSWER by chance. */
void proxy_chance(proxy *p, unsigned in_a_million);

/* How many COMMITs were lost so far. */
unsigned long proxy_faults(const proxy *p);

#endif /* PROXY_H */
