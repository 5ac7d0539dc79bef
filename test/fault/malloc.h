/*
 * malloc.h: what fault.c sets, and malloc.c, which the whole server loads with
 * LD_PRELOAD, follows.
 */
#ifndef FAULT_MALLOC_H
#define FAULT_MALLOC_H

typedef struct FaultMalloc
{
	long		at;				/* the call that fails, 0: none */
	long		seen;			/* calls so far, while one is to fail */
} FaultMalloc;

#endif							/* FAULT_MALLOC_H */
