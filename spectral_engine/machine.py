"""How much this machine has, and this process of it: what limits that nobody has set are derived from."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

# Of control groups, as they are seen from inside a container: version 2, version 1.
GROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
UNKNOWN = 8 * 2**30  # where the system does not tell its memory


def memory_bytes() -> int:
    """Return the bytes of memory that this process may take: of the machine, its control group and its own limits."""
    limits = [_of_machine(), *_of_groups(), *_of_process()]
    return min(limit for limit in limits if limit > 0)


def free_disk_bytes() -> int:
    """Return the bytes that are free in the folder for temporary files."""
    return shutil.disk_usage(tempfile.gettempdir()).free


def _of_machine() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return UNKNOWN


def _of_groups() -> list[int]:
    limits = []
    for path in GROUP_LIMITS:
        with suppress(OSError, ValueError):  # no such group, or "max"
            limits.append(int(path.read_text()))
    return limits


def _of_process() -> list[int]:
    try:
        import resource
    except ImportError:  # not on Windows
        return []
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    return [limit for kind in kinds if (limit := resource.getrlimit(kind)[0]) > 0]
