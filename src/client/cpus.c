/*
 * cpus.c
 *		How many CPUs this process may use, and the pool size that follows.
 *
 * A container often sees all CPUs of its host but may use a fraction: so the
 * affinity mask and the CPU quota of every cgroup above us are asked, version 2
 * (cpu.max) and version 1 (cpu.cfs_quota_us / cpu.cfs_period_us).
 *
 * The files are read below a root folder given by the caller, so that tests can
 * show us any system.  No state, no locks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define PATH_SIZE 4096
#define SIZE_LIMIT 64

/* Read the first line of root+path+file; false if it cannot be read. */
static bool
read_line(char *line, size_t size, const char *root, const char *dir, const char *file)
{
	char  path[PATH_SIZE];
	FILE *f;
	bool  ok;

	if (snprintf(path, sizeof(path), "%s%s/%s", root, dir, file) >= (int) sizeof(path))
		return false;
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	ok = fgets(line, (int) size, f) != NULL;
	fclose(f);
	return ok;
}

/* CPUs granted by quota/period, rounded up; 0 = no limit. */
static int
quota_cpus(long long quota, long long period)
{
	long long cpus;

	if (quota <= 0 || period <= 0)
		return 0;
	cpus = quota / period + (quota % period != 0);
	return cpus > CPU_SETSIZE ? CPU_SETSIZE : (int) cpus;
}

static int
quota_v2(const char *root, const char *dir)
{
	char	  line[128];
	char	 *end;
	long long quota;

	if (!read_line(line, sizeof(line), root, dir, "cpu.max"))
		return 0;
	quota = strtoll(line, &end, 10);
	/* "max 100000" begins with no number and means no limit */
	if (end == line)
		return 0;
	return quota_cpus(quota, strtoll(end, NULL, 10));
}

static int
quota_v1(const char *root, const char *dir)
{
	char line[128];
	char line2[128];

	if (!read_line(line, sizeof(line), root, dir, "cpu.cfs_quota_us") ||
		!read_line(line2, sizeof(line2), root, dir, "cpu.cfs_period_us"))
		return 0;
	return quota_cpus(strtoll(line, NULL, 10), strtoll(line2, NULL, 10));
}

/* The smallest limit of `mount`+`group` and all folders above it. */
static int
quota_walk(const char *root, const char *mount, const char *group,
		   int (*read_quota)(const char *, const char *))
{
	char   dir[PATH_SIZE];
	size_t base = strlen(mount);
	int	   least = 0;

	if (snprintf(dir, sizeof(dir), "%s%s", mount, group) >= (int) sizeof(dir))
		return 0;
	for (;;)
	{
		int	  cpus = read_quota(root, dir);
		char *slash;

		if (cpus > 0 && (least == 0 || cpus < least))
			least = cpus;
		slash = strrchr(dir, '/');
		if (strlen(dir) <= base || slash == NULL)
			break;
		*slash = '\0';
	}
	return least;
}

static bool
has_cpu_controller(const char *controllers)
{
	char  copy[256];
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", controllers);
	for (char *c = strtok_r(copy, ",", &save); c != NULL; c = strtok_r(NULL, ",", &save))
		if (strcmp(c, "cpu") == 0)
			return true;
	return false;
}

static int
lesser(int a, int b)
{
	if (a == 0)
		return b;
	return b == 0 || a < b ? a : b;
}

int
dbpool__cpus_quota(const char *root)
{
	char  line[PATH_SIZE];
	FILE *f;
	int	  least = 0;

	if (snprintf(line, sizeof(line), "%s/proc/self/cgroup", root) >= (int) sizeof(line))
		return 0;
	f = fopen(line, "re");
	if (f == NULL)
		return 0;

	/* lines are "number:controllers:/path"; version 2 has no controllers */
	while (fgets(line, sizeof(line), f) != NULL)
	{
		char *controllers = strchr(line, ':');
		char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

		if (group == NULL)
			continue;
		*group++ = '\0';
		controllers++;
		group[strcspn(group, "\n")] = '\0';
		if (strcmp(group, "/") == 0)
			group[0] = '\0';

		if (controllers[0] == '\0')
		{
			least = lesser(least, quota_walk(root, "/sys/fs/cgroup", group, quota_v2));
			least = lesser(least, quota_walk(root, "/sys/fs/cgroup/unified", group, quota_v2));
		}
		else if (has_cpu_controller(controllers))
		{
			least = lesser(least, quota_walk(root, "/sys/fs/cgroup/cpu", group, quota_v1));
			least =
				lesser(least, quota_walk(root, "/sys/fs/cgroup/cpu,cpuacct", group, quota_v1));
		}
	}
	fclose(f);
	return least;
}

int
dbpool__cpus_usable(const char *root)
{
	cpu_set_t set;
	int		  cpus = 1;

	/* fails only where the kernel has more CPUs than fit: then take what fits */
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		cpus = CPU_COUNT(&set);
	else if (errno == EINVAL)
		cpus = CPU_SETSIZE;
	cpus = lesser(cpus, dbpool__cpus_quota(root));
	return cpus < 1 ? 1 : cpus;
}

/*
 * Default size of a pool: 2 x CPUs + 1, at most 64.
 *
 * PostgreSQL's wiki, "Number Of Database Connections", gives
 * (core_count * 2) + effective_spindle_count for the server; we take the
 * application's CPUs as the best guess at its share, and one spindle.  The
 * ceiling keeps a process on a large machine from taking most of the server's
 * default max_connections of 100.
 */
int
dbpool__pool_size(int cpus)
{
	int size;

	if (cpus < 1)
		cpus = 1;
	if (cpus > SIZE_LIMIT)
		return SIZE_LIMIT;
	size = cpus * 2 + 1;
	return size > SIZE_LIMIT ? SIZE_LIMIT : size;
}
