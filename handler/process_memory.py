"""How much memory this process may have, how much it has, and how it gives some back. Reads /proc and the cgroup."""

import ctypes
import gc
import os
from pathlib import Path

# The limits of the cgroup that the process finds itself in: version 2, version 1.
_CGROUP_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_limit(*, given_mb: int, lambda_mb: int | None, root: Path = Path("/")) -> int:
    """Bytes that the process may have: `given_mb` if there is one, else the Lambda function's, else the smaller of the
    cgroup's limit and the machine's memory. `root`: of the file system that tells."""
    if given_mb or lambda_mb:
        return (given_mb or lambda_mb or 0) * 2**20
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *filter(None, (_number(root / name) for name in _CGROUP_LIMITS))])


def resident_bytes(status: Path = Path("/proc/self/status")) -> int:
    """Bytes of memory that the process holds and that no file backs; 0 where the system does not tell.

    Pages of files are not counted: the system takes them back when it needs room.
    """
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def give_back() -> None:
    """Frees what nobody refers to, what was there at the start included, and returns free pages to the system."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _number(path: Path) -> int | None:
    """None for a file that is not there, and for `max`."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
