"""What a process and all below it take at this moment, as `/proc` tells; nothing where there is none."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
BLOCK = 512  # bytes of a block in what stat tells
# Memory that the kernel cannot take back: pages of mapped files it can.
OWN_MEMORY = ("RssAnon:", "RssShmem:", "VmSwap:")
GONE = (FileNotFoundError, ProcessLookupError, PermissionError, NotADirectoryError)


@dataclass(frozen=True)
class Usage:
    """Bytes of memory, processor seconds, and how many processes."""

    memory_bytes: int = 0
    cpu_seconds: float = 0.0
    processes: int = 0


def below(process: int) -> list[int]:
    """Return the processes that descend from one, near ones first."""
    started, waiting = [], [process]
    while waiting:
        near = list(_children(waiting.pop(0)))
        started += near
        waiting += near
    return started


def _children(process: int) -> Iterator[int]:
    try:
        threads = list((PROC / str(process) / "task").iterdir())
    except GONE:
        return
    for thread in threads:
        try:
            yield from map(int, (thread / "children").read_text().split())
        except GONE:
            continue


def usage_of(processes: Iterable[int]) -> Usage:
    """Return what these processes take together."""
    memory = count = 0
    seconds = 0.0
    for process in processes:
        memory += _memory(process)
        seconds += _cpu_seconds(process)
        count += 1
    return Usage(memory, seconds, count)


def _memory(process: int) -> int:
    try:
        lines = (PROC / str(process) / "status").read_text().splitlines()
    except GONE:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(OWN_MEMORY))


def _cpu_seconds(process: int) -> float:
    """Return what a process has cost, and those of its own that have ended."""
    try:
        told = (PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    except GONE:
        return 0.0
    return float(sum(map(int, told[11:15]))) / TICKS


def disk_bytes(folders: Iterable[Path], processes: Iterable[int]) -> int:
    """Return the bytes on disk in these folders, and in files that have no name any more and are still open."""
    named = (entry for folder in folders for entry in _files(folder))
    nameless = (entry for process in processes for entry in _nameless(process))
    sizes = {(one.st_dev, one.st_ino): one.st_blocks * BLOCK for one in (*named, *nameless)}
    return sum(sizes.values())


def _files(folder: Path) -> Iterator[os.stat_result]:
    with suppress(OSError):
        yield folder.stat()
    waiting = [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except GONE:
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                yield entry.stat(follow_symlinks=False)
            except GONE:
                continue


def _nameless(process: int) -> Iterator[os.stat_result]:
    try:
        descriptors = list((PROC / str(process) / "fd").iterdir())
    except GONE:
        return
    for descriptor in descriptors:
        try:
            told = descriptor.stat()
        except OSError:
            continue
        if stat.S_ISREG(told.st_mode) and told.st_nlink == 0:
            yield told
