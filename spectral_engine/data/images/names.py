"""Names of files in a folder or an archive: which are safe, which are images, which nobody means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from spectral_engine.errors import DatasetMismatch

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp", ".avif", ".jp2",
     ".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico")
)  # fmt: skip
TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
LEFT_BY_SYSTEMS = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir"})
SHOWN = 3


def plain_name(written: str) -> str:
    """Return a member's name with `/` between folders; raises DatasetMismatch where it leads out of the archive."""
    name = written.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    name = name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise DatasetMismatch(
            f"the archive holds {written!r}, an absolute path: pack it with relative ones",
            pointer=pointer_to(written),
        )
    if ".." in parts:
        raise DatasetMismatch(
            f"the archive holds {written!r}, which leads out of it", pointer=pointer_to(written)
        )
    return "/".join(parts)


def pointer_to(name: str, *further: object) -> str:
    """Return the JSON pointer to a file of the data set, and to a place in it."""
    escaped = name.replace("~", "~0").replace("/", "~1")
    return "/".join(["#/file", escaped, *map(str, further)])


def is_image(name: str) -> bool:
    """Say whether a file is an image, by its suffix: what it holds is seen when it is decoded."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def is_table(name: str) -> bool:
    """Say whether a file may list names and labels."""
    return PurePosixPath(name).suffix.lower() in TABLE_SUFFIXES


def nobody_means(name: str) -> bool:
    """Say whether a file is hidden, or left there by an operating system."""
    parts = name.lower().split("/")
    return any(part.startswith(".") or part in LEFT_BY_SYSTEMS for part in parts)


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(map(repr, names[:SHOWN]))
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN:,} more"
