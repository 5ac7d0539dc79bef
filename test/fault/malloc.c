/*
 * malloc.c: a malloc whose n-th call fails, for LD_PRELOAD, with GNU libc.  It
 * knows nothing of PostgreSQL, as programs that the server starts load it too.
 */
#include <errno.h>
#include <stddef.h>

#include "malloc.h"

extern FaultMalloc fault_malloc;
extern void *__libc_malloc(size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
extern void *malloc(size_t size);
extern void *realloc(void *pointer, size_t size);

FaultMalloc fault_malloc;

static int
fails(void)
{
	if (fault_malloc.at == 0 || ++fault_malloc.seen != fault_malloc.at)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *
realloc(void *pointer, size_t size)
{
	return fails() ? NULL : __libc_realloc(pointer, size);
}
