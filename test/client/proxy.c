/*
 * proxy.c
 *		See proxy.h.  All connections belong to the proxy's thread; what others set
 *		or read is atomic.
 */
#define _GNU_SOURCE
#include "proxy.h"

#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "internal.h"

#define PAIRS 64

typedef struct
{
	int	 client; /* -1: unused */
	int	 server;
	bool deaf;		  /* the server's answer is to be lost */
	bool silent;	  /* likewise, and the client is left in the dark */
} pair;

struct proxy
{
	pthread_t	  thread;
	char		  dir[64];
	char		  path[108];
	char		  dsn[200];
	int			  listener;
	int			  stop_fd;
	_Atomic int	  next;
	_Atomic unsigned chance;
	_Atomic unsigned long faults;
	uint64_t	  rng;
	pair		  pairs[PAIRS];
};

static int
socket_at(const char *path, struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
	return fd;
}

static void
accept_one(proxy *p)
{
	struct sockaddr_un address;
	char			   path[108];
	int				   client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
	int				   server;

	if (client < 0)
		return;
	snprintf(path, sizeof(path), "%s/.s.PGSQL.5432", getenv("DBPOOL_TEST_DIR"));
	server = socket_at(path, &address);
	for (int i = 0; i < PAIRS; i++)
		if (p->pairs[i].client < 0 &&
			connect(server, (struct sockaddr *) &address, sizeof(address)) == 0)
		{
			p->pairs[i] = (pair) {.client = client, .server = server};
			return;
		}
	close(client);
	close(server);
}

static void
close_pair(pair *c)
{
	close(c->client);
	close(c->server);
	c->client = -1;
}

static bool
send_all(int fd, const char *data, ssize_t length)
{
	while (length > 0)
	{
		ssize_t n = send(fd, data, (size_t) length, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		data += n > 0 ? n : 0;
		length -= n > 0 ? n : 0;
	}
	return true;
}

/* Which fault does this COMMIT meet? */
static proxy_fault
choose(proxy *p)
{
	int next = atomic_exchange(&p->next, PROXY_PASS);

	if (next == PROXY_PASS && dbpool__random(&p->rng) % 1000000 < atomic_load(&p->chance))
		next = PROXY_BEFORE + (int) (dbpool__random(&p->rng) % 3);
	if (next != PROXY_PASS)
		atomic_fetch_add(&p->faults, 1);
	return (proxy_fault) next;
}

/* false: the pair is done with */
static bool
from_client(proxy *p, pair *c)
{
	static const char commit[] = "Q\0\0\0\013COMMIT";
	char			  data[16384];
	ssize_t			  n = recv(c->client, data, sizeof(data), 0);
	proxy_fault		  fault = PROXY_PASS;

	if (n <= 0)
		return false;
	if (memmem(data, (size_t) n, commit, sizeof(commit)) != NULL)
		fault = choose(p);
	if (fault == PROXY_BEFORE || !send_all(c->server, data, n) || fault == PROXY_AFTER)
		return false;
	c->deaf = fault == PROXY_ANSWER;
	c->silent |= fault == PROXY_SILENT;
	return true;
}

static bool
from_server(pair *c)
{
	char	data[16384];
	ssize_t n = recv(c->server, data, sizeof(data), 0);

	if (n <= 0 || c->deaf)
		return false;
	return c->silent || send_all(c->client, data, n);
}

static void *
proxy_main(void *arg)
{
	proxy		 *p = arg;
	struct pollfd set[2 + 2 * PAIRS];

	for (;;)
	{
		set[0] = (struct pollfd) {.fd = p->stop_fd, .events = POLLIN};
		set[1] = (struct pollfd) {.fd = p->listener, .events = POLLIN};
		for (int i = 0; i < PAIRS; i++)
		{
			bool used = p->pairs[i].client >= 0;

			set[2 + 2 * i] = (struct pollfd) {.fd = used ? p->pairs[i].client : -1, .events = POLLIN};
			set[3 + 2 * i] = (struct pollfd) {.fd = used ? p->pairs[i].server : -1, .events = POLLIN};
		}
		if (poll(set, 2 + 2 * PAIRS, -1) < 0)
			continue;
		if (set[0].revents != 0)
			return NULL;
		for (int i = 0; i < PAIRS; i++)
		{
			bool good = true;

			if (set[2 + 2 * i].revents != 0)
				good = from_client(p, &p->pairs[i]);
			if (good && set[3 + 2 * i].revents != 0)
				good = from_server(&p->pairs[i]);
			if (!good)
				close_pair(&p->pairs[i]);
		}
		if (set[1].revents != 0)
			accept_one(p);
	}
}

proxy *
proxy_start(void)
{
	proxy			  *p = calloc(1, sizeof(*p));
	struct sockaddr_un address;

	assert_non_null(p);
	for (int i = 0; i < PAIRS; i++)
		p->pairs[i].client = -1;
	p->rng = dbpool__seed();
	snprintf(p->dir, sizeof(p->dir), "/tmp/dbproxy.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/.s.PGSQL.5432", p->dir);
	snprintf(p->dsn, sizeof(p->dsn), "host=%s port=5432 user=postgres dbname=postgres", p->dir);
	p->listener = socket_at(p->path, &address);
	assert_int_equal(bind(p->listener, (struct sockaddr *) &address, sizeof(address)), 0);
	assert_int_equal(listen(p->listener, PAIRS), 0);
	p->stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&p->thread, NULL, proxy_main, p), 0);
	return p;
}

void
proxy_stop(proxy *p)
{
	uint64_t one = 1;

	assert_int_equal(write(p->stop_fd, &one, sizeof(one)), sizeof(one));
	pthread_join(p->thread, NULL);
	for (int i = 0; i < PAIRS; i++)
		if (p->pairs[i].client >= 0)
			close_pair(&p->pairs[i]);
	close(p->listener);
	close(p->stop_fd);
	unlink(p->path);
	rmdir(p->dir);
	free(p);
}

const char *
proxy_dsn(const proxy *p)
{
	return p->dsn;
}

void
proxy_next(proxy *p, proxy_fault fault)
{
	atomic_store(&p->next, (int) fault);
}

void
proxy_chance(proxy *p, unsigned in_a_million)
{
	atomic_store(&p->chance, in_a_million);
}

unsigned long
proxy_faults(const proxy *p)
{
	return atomic_load(&p->faults);
}
