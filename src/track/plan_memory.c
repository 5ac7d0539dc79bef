/*-------------------------------------------------------------------------
 *
 * plan_memory.c
 *	  The memory that texts of plans take in core's area.
 *
 * The area is shared with texts of statements, so plans have a bound of their own,
 * dbutil.track_plan_memory, of which plans and slow plans may take half each.
 * What does not fit is counted as dropped.
 *
 * No lock: each user changes its places under its own, and bytes are atomics, so
 * that the bound is kept but for what two processes store at the same moment.
 *
 *-------------------------------------------------------------------------
 */
#include "core/compat.h"
#include "core/shmem.h"
#include "track/watch.h"

#include "utils/guc.h"

typedef struct PlanMemory
{
	pg_atomic_uint64 bytes[2];	/* of each DbuPlanMemoryUser */
	pg_atomic_uint64 dropped[2];
} PlanMemory;

static PlanMemory *memory = NULL;
static int	limit_kb = 4 * 1024;

static void
init(void)
{
	DefineCustomIntVariable("dbutil.track_plan_memory",
							"Memory for texts of plans, half of it for those of slow statements.",
							"It is a part of dbutil.shared_memory; a text that finds no room is dropped and counted.",
							&limit_kb, 4 * 1024, 64, 1024 * 1024,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
}

static Size
shmem_size(void)
{
	return sizeof(PlanMemory);
}

static void
shmem_attach(void *chunk, bool found, int lwlock_tranche)
{
	memory = chunk;
	if (found)
		return;
	for (int user = 0; user < (int) lengthof(memory->bytes); user++)
	{
		pg_atomic_init_u64(&memory->bytes[user], 0);
		pg_atomic_init_u64(&memory->dropped[user], 0);
	}
}

static Size
half(void)
{
	return (Size) limit_kb * 1024 / 2;
}

/* Is there room for so much within the user's half? */
bool
dbu_plan_memory_fits(DbuPlanMemoryUser user, Size size)
{
	return pg_atomic_read_u64(&memory->bytes[user]) + size <= half();
}

/* Would there be, if it held nothing else? */
bool
dbu_plan_memory_could_fit(Size size)
{
	return size <= half();
}

/* A copy of the text, or InvalidDsaPointer; the caller attached the area. */
dsa_pointer
dbu_plan_memory_store(DbuPlanMemoryUser user, const char *text)
{
	Size		size = strlen(text) + 1;
	dsa_pointer place = InvalidDsaPointer;

	if (dbu_plan_memory_fits(user, size))
		place = dsa_allocate_extended(dbu_shmem_dsa(), size, DSA_ALLOC_NO_OOM);
	if (!DsaPointerIsValid(place))
	{
		pg_atomic_fetch_add_u64(&memory->dropped[user], 1);
		return InvalidDsaPointer;
	}
	memcpy(dsa_get_address(dbu_shmem_dsa(), place), text, size);
	pg_atomic_fetch_add_u64(&memory->bytes[user], size);
	return place;
}

/* palloc'd; NULL: there is none. */
char *
dbu_plan_memory_copy(dsa_pointer place)
{
	return DsaPointerIsValid(place) ? pstrdup(dsa_get_address(dbu_shmem_dsa(), place)) : NULL;
}

void
dbu_plan_memory_free(DbuPlanMemoryUser user, dsa_pointer *place)
{
	if (!DsaPointerIsValid(*place))
		return;
	pg_atomic_fetch_sub_u64(&memory->bytes[user],
							strlen(dsa_get_address(dbu_shmem_dsa(), *place)) + 1);
	dsa_free(dbu_shmem_dsa(), *place);
	*place = InvalidDsaPointer;
}

void
dbu_plan_memory_forget_losses(DbuPlanMemoryUser user)
{
	pg_atomic_write_u64(&memory->dropped[user], 0);
}

/* Bytes; dropped are texts. */
void
dbu_plan_memory_room(DbuPlanMemoryUser user, DbuRoom *room)
{
	room->used = pg_atomic_read_u64(&memory->bytes[user]);
	room->size = half();
	room->dropped = pg_atomic_read_u64(&memory->dropped[user]);
	room->fix = "raise dbutil.track_plan_memory, and dbutil.shared_memory with it";
}

const DbuWatchPart dbu_plan_memory_part = {
	.init = init,
	.shmem_size = shmem_size,
	.shmem_attach = shmem_attach,
};
