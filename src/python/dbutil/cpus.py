"""How many CPUs this process may use, and the size of a pool that follows.

The rule is libdbpool's (src/client/cpus.c): a container often sees all CPUs of
its host and may use a fraction of them, so the affinity mask and the quota of
each control group above us are asked, version 2 and version 1.
"""

import os

SIZE_LIMIT = 64


def _first_line(path):
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""


def _quota(quota, period):
    """CPUs granted by quota / period, rounded up; None: no limit."""
    try:
        quota, period = int(quota), int(period)
    except ValueError:      # "max", or no such file
        return None
    if quota <= 0 or period <= 0:
        return None
    return -(-quota // period)


def _limits(root):
    """The quotas of all control groups that this process is in."""
    try:
        with open(root + "/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            base = root + "/sys/fs/cgroup"
        elif "cpu" in controllers.split(","):
            base = root + "/sys/fs/cgroup/" + controllers
            if not os.path.isdir(base):
                base = root + "/sys/fs/cgroup/cpu"
        else:
            continue
        parts = [part for part in path.split("/") if part and part != ".."]
        for depth in range(len(parts), -1, -1):
            folder = "/".join([base, *parts[:depth]])
            if controllers == "":
                words = _first_line(folder + "/cpu.max").split()
                yield _quota(*words) if len(words) == 2 else None
            else:
                yield _quota(_first_line(folder + "/cpu.cfs_quota_us"),
                             _first_line(folder + "/cpu.cfs_period_us"))


def usable_cpus(root=""):
    """CPUs that this process may use, at least 1. root: for tests."""
    count = len(os.sched_getaffinity(0))
    for limit in _limits(root):
        if limit is not None:
            count = min(count, limit)
    return max(count, 1)


def pool_size(root=""):
    """Connections of a pool whose size was not given: 2 x CPUs + 1, at most 64."""
    return min(2 * usable_cpus(root) + 1, SIZE_LIMIT)
