"""How many bytes a data set may take once it is unpacked, counted before they are there or while they come."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from spectral_engine import machine
from spectral_engine.errors import DatasetMismatch, InvalidRequest

VARIABLE = "EIGENPRESS_MAX_DATASET_BYTES"
MOST_BYTES = 64 * 2**30
# A file of a few bytes may declare any number of values: any file may hold the first, and more only a hundredfold.
ANY_FILE_BYTES, MOST_TIMES_ITS_SIZE = 8 * 2**30, 100
SMALL_BYTES = 2**28  # the same, where they lie in memory


@dataclass
class Allowance:
    """Bytes that may still be taken, of `most`."""

    most: int
    taken: int = 0

    @classmethod
    def of_file(cls, path: Path) -> Allowance:
        """Return what may be taken by what a file holds."""
        return cls(most_bytes(path))

    def take(self, size: int, what: str, pointer: str = "#/file") -> None:
        """Count these bytes. Raises DatasetMismatch where that makes too many."""
        self.taken += size
        if self.taken > self.most:
            raise DatasetMismatch(
                f"with {what} the data take {self.taken:,} bytes once they are unpacked; at most {self.most:,} are "
                f"allowed here: give less, or set {VARIABLE}",
                pointer=pointer,
            )


def most_bytes(path: Path) -> int:
    """Return what the values of a file may take."""
    size = path.stat().st_size
    by_its_size = max(ANY_FILE_BYTES, MOST_TIMES_ITS_SIZE * size)
    if os.environ.get(VARIABLE):
        return min(most_allowed(), by_its_size)
    return max(size, min(most_allowed(), by_its_size))  # what lies in it is read where it lies


def most_allowed() -> int:
    """Return what any data set may take: as is said in the environment, else what the disk for temporary files holds.

    Raises InvalidRequest where what is said is no number of bytes.
    """
    said = os.environ.get(VARIABLE, "")
    if not said:
        return min(MOST_BYTES, machine.free_disk_bytes())
    if not said.isdecimal() or int(said) == 0:
        raise InvalidRequest(f"{VARIABLE} is {said!r}, which is no number of bytes")
    return int(said)


def most_in_memory(path: Path | None = None) -> int:
    """Return what of a data set, or of a file, may lie in memory at once, where it cannot be read piece by piece."""
    most = min(most_allowed(), ANY_FILE_BYTES, machine.memory_bytes() // 4)
    if path is None:
        return most
    return min(most, max(SMALL_BYTES, MOST_TIMES_ITS_SIZE * path.stat().st_size))
