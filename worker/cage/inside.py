"""Limits that the engine's process sets for itself and cannot lift again, before it reads what strangers sent."""

from __future__ import annotations

import errno
import os
import resource
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from service.processes.confinement import be_seen, cut_network, forbid_privileges
from service.processes.parent_death import die_with_parent
from service.store.jobs.error import JobError
from worker.messages import Limits

FILES_TO_TELL = 32  # more files than a job may have open, to say that it has as many
CPU_SPARE_SECONDS = 5  # the watch outside ends a job first, and says why


def enter(limits: Limits, temporary: Path | None) -> None:
    """Take these limits on; files without a name go into the folder `temporary`."""
    parent = os.getppid()
    forbid_privileges()
    if not limits.network and not cut_network():
        print("the network cannot be cut off here: see `eigenpress doctor`", file=sys.stderr)
    be_seen()  # the worker looks at what it takes
    die_with_parent(parent=parent)  # which is forgotten where rights have changed
    if temporary is not None:
        temporary.mkdir(parents=True, exist_ok=True)
        os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, limits.open_files, spare=FILES_TO_TELL)
    _lower(resource.RLIMIT_FSIZE, limits.disk_bytes)
    _lower(resource.RLIMIT_CPU, int(limits.cpu_left) + CPU_SPARE_SECONDS, spare=1)
    if limits.own_memory_limit:
        _lower(resource.RLIMIT_DATA, limits.memory_bytes)


def make_room() -> None:
    """Let this process open the few files more that it needs to say why it ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _lower(kind: int, most: int, spare: int = 0) -> None:
    _, hard = resource.getrlimit(kind)
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    last = value + spare if hard == resource.RLIM_INFINITY else min(value + spare, hard)
    with suppress(ValueError, OSError):  # a system that has no such limit
        resource.setrlimit(kind, (value, last))


def limit_reached(error: BaseException, limits: Limits) -> JobError | None:
    """Return the error of the limit that an exception tells of, or None for any other."""
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.EFBIG:
        detail = f"A file of the job grew beyond the {limits.disk_bytes:,} bytes of disk that it may use."
        return JobError(code="too-much-disk", detail=detail)
    if error.errno == errno.EMFILE:
        detail = f"The job had as many files open as it may have: {limits.open_files:,}."
        return JobError(code="limit-reached", detail=detail)
    return None
