/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  dbutil's one segment of shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBU_CORE_SHMEM_H
#define DBU_CORE_SHMEM_H

#include "core/module.h"

#include "utils/dsa.h"

/* Define settings; preload only, from _PG_init. */
extern void dbu_shmem_define_settings(void);

/* Called by hooks.c when PostgreSQL asks for sizes, and when the memory is there. */
extern void dbu_shmem_request(void);
extern void dbu_shmem_startup(void);

/*
 * The area for data of variable size, shared by all modules and backends.
 * It lives inside the segment and is as large as dbutil.shared_memory says:
 * it never grows, so dsa_allocate_extended(..., DSA_ALLOC_NO_OOM) is the only
 * call to allocate with, and a full area is an answer (InvalidDsaPointer), not
 * an error.  Attached at first use, and released by on_shmem_exit, behind all
 * before_shmem_exit callbacks, which may still use it.  Only to be called
 * when dbu_preloaded, and not where allocation is forbidden (see module.h).
 */
extern dsa_area *dbu_shmem_dsa(void);

/* Bytes that the area holds, used or not. */
extern Size dbu_shmem_dsa_size(void);

#endif							/* DBU_CORE_SHMEM_H */
