"""One file from a server to this machine: bounded, whole, and gone on with where it was broken off."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from spectral_engine.remote.answer import Answer, RemoteFile, Unavailable

TRIES = 5
PAUSE_SECONDS = 0.5


def copy(file: RemoteFile, target: Path, most: int) -> int:
    """Write a file of at most so many bytes to `target`, unless it is there; return how many they are.

    What arrived of it lies in `….part` until all did, and is gone on with where the file is still the same. Raises
    Unavailable after several tries, where it is too large, or the disk too small.
    """
    if target.exists():
        return target.stat().st_size
    part = target.with_name(f"{target.name}.part")
    for tried in range(1, TRIES + 1):
        try:
            _go_on(file, part, most)
            break
        except Unavailable as error:
            if not error.passing or tried == TRIES:
                raise
            time.sleep(PAUSE_SECONDS * 2**tried)
    part.replace(target)
    _tag_of(part).unlink(missing_ok=True)
    return target.stat().st_size


def _go_on(file: RemoteFile, part: Path, most: int) -> None:
    arrived = part.stat().st_size if part.exists() else 0
    tag = _tag_of(part).read_text() if arrived and _tag_of(part).exists() else None
    answer = file.open(arrived, tag)
    _refuse_large(answer, part, most)
    _tag_of(part).unlink(missing_ok=True)
    with part.open("r+b" if answer.start else "wb") as copied:
        copied.seek(answer.start)
        copied.truncate()
        if answer.tag is not None:
            _tag_of(part).write_text(answer.tag)
        for chunk in answer.chunks:
            if copied.tell() + len(chunk) > most:
                raise _too_large(most)
            copied.write(chunk)
        copied.flush()
        os.fsync(copied.fileno())
        arrived = copied.tell()
    if answer.size is not None and arrived != answer.size:
        raise Unavailable(
            f"was broken off after {arrived:,} of {answer.size:,} bytes", passing=True
        )


def _refuse_large(answer: Answer, part: Path, most: int) -> None:
    size = answer.size or 0
    if size > most:
        raise _too_large(most)
    free = shutil.disk_usage(part.parent).free
    if size - answer.start > free:
        raise Unavailable(
            f"takes {size:,} bytes, and {part.parent} has {free:,} left: set TMPDIR to a larger disk",
            passing=False,
        )


def _too_large(most: int) -> Unavailable:
    return Unavailable(f"holds more than the {most:,} bytes that are copied", passing=False)


def _tag_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.tag")
