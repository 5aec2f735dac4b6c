"""What a refusal is to say where something was taken for granted that the file does not tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spectral_engine.errors import DatasetMismatch


@contextmanager
def in_doubt(doubt: str | None) -> Iterator[None]:
    """Say the doubt at the end of each DatasetMismatch that is raised inside."""
    try:
        yield
    except DatasetMismatch as error:
        if doubt is None or doubt in error.detail:
            raise
        said = DatasetMismatch(f"{error.detail}; {doubt}", pointer=error.pointer, node=error.node)
        raise said from error
