"""What a server gives of a file, from some byte on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Answer:
    """Bytes from `start` on, of a file of `size` bytes where that is known; `tag` changes when the file does."""

    start: int
    size: int | None
    tag: str | None
    chunks: Iterator[bytes]


class Unavailable(Exception):
    """Why a file cannot be had; the words follow its name. `passing` where another try may do better."""

    def __init__(self, why: str, *, passing: bool) -> None:
        super().__init__(why)
        self.passing = passing


class RemoteFile(Protocol):
    """A file on a server."""

    def open(self, start: int, tag: str | None) -> Answer:
        """Ask for the bytes from `start` on, if the file still has this tag; else for all.

        Raises Unavailable, and InvalidRequest where the server leads to one that may not be asked.
        """
        ...
