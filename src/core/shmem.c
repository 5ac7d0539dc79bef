/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  One segment of shared memory: a header, a chunk for each module, and an
 *	  in-place DSA area.
 *
 * Asked for by dbu_shmem_request, laid out by dbu_shmem_startup under
 * AddinShmemInitLock; hooks.c calls both.  Chunks are zeroed and MAXALIGNed, in module order.
 * The DSA area is created in place, with a limit equal to its size, so that
 * it never asks the operating system for more: running out is then a NULL
 * from the allocator and never an error in a user's statement.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/shmem.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define MAX_MODULES 16

typedef struct ShmemHeader
{
	int			dsa_tranche;
	int			module_tranche[MAX_MODULES];	/* 0: the module has no chunk */
} ShmemHeader;

static int	shared_memory_kb = 16 * 1024;

static ShmemHeader *header = NULL;
static void *dsa_place = NULL;
static dsa_area *dsa = NULL;

Size
dbu_shmem_dsa_size(void)
{
	return (Size) shared_memory_kb * 1024;
}

static Size
segment_size(void)
{
	Size		size = MAXALIGN(sizeof(ShmemHeader));

	for (int i = 0; i < dbu_nmodules; i++)
	{
		if (dbu_modules[i]->shmem_size != NULL)
			size = add_size(size, MAXALIGN(dbu_modules[i]->shmem_size()));
	}
	return add_size(size, dbu_shmem_dsa_size());
}

void
dbu_shmem_request(void)
{
	RequestAddinShmemSpace(segment_size());
}

void
dbu_shmem_startup(void)
{
	bool		found;
	char	   *place;

	/* after a crash the postmaster comes here again */
	dsa = NULL;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);

	header = ShmemInitStruct("dbutil", segment_size(), &found);
	if (!found)
	{
		memset(header, 0, segment_size() - dbu_shmem_dsa_size());
		header->dsa_tranche = LWLockNewTrancheId();
		for (int i = 0; i < dbu_nmodules; i++)
		{
			if (dbu_modules[i]->shmem_size != NULL)
				header->module_tranche[i] = LWLockNewTrancheId();
		}
	}

	LWLockRegisterTranche(header->dsa_tranche, "DbutilShared");
	place = (char *) header + MAXALIGN(sizeof(ShmemHeader));
	for (int i = 0; i < dbu_nmodules; i++)
	{
		const DbuModule *module = dbu_modules[i];

		if (module->shmem_size == NULL)
			continue;
		LWLockRegisterTranche(header->module_tranche[i], module->tranche_name);
		module->shmem_attach(place, found, header->module_tranche[i]);
		place += MAXALIGN(module->shmem_size());
	}

	dsa_place = place;
	if (!found)
	{
		dsa_area   *area = dsa_create_in_place(dsa_place, dbu_shmem_dsa_size(),
											   header->dsa_tranche, NULL);

		dsa_pin(area);
		dsa_set_size_limit(area, dbu_shmem_dsa_size());
		dsa_detach(area);
	}

	LWLockRelease(AddinShmemInitLock);

	for (int i = 0; i < dbu_nmodules && !found; i++)
	{
		if (dbu_modules[i]->shmem_ready != NULL)
			dbu_modules[i]->shmem_ready();
	}
}

void
dbu_shmem_define_settings(void)
{
	Assert(dbu_nmodules <= MAX_MODULES);

	DefineCustomIntVariable("dbutil.shared_memory",
							"Shared memory for query texts and other data of variable size.",
							"Fixed at server start; when it is full, what does not fit is dropped and counted.",
							&shared_memory_kb,
							16 * 1024, 1024, 1024 * 1024,
							PGC_POSTMASTER, GUC_UNIT_KB,
							NULL, NULL, NULL);
}

dsa_area *
dbu_shmem_dsa(void)
{
	MemoryContext oldcxt;

	if (dsa != NULL)
		return dsa;

	Assert(dbu_preloaded);
	oldcxt = MemoryContextSwitchTo(TopMemoryContext);
	dsa = dsa_attach_in_place(dsa_place, NULL);
	dsa_pin_mapping(dsa);
	/* the area counts who is attached, and no segment of dsm tells it of the end */
	on_shmem_exit(dsa_on_shmem_exit_release_in_place, PointerGetDatum(dsa_place));
	MemoryContextSwitchTo(oldcxt);
	return dsa;
}
