"""A file on this machine, or a URL that the engine copies to it."""

from __future__ import annotations

import os
from pathlib import Path

import typer


def file_or_url(text: str) -> Path | str:
    """Return a URL as it stands, and the path of a file that can be read; raises BadParameter for any other."""
    given = file_folder_or_url(text)
    if isinstance(given, Path) and given.is_dir():
        raise typer.BadParameter(f"File {text!r} is a directory.")
    return given


def file_folder_or_url(text: str) -> Path | str:
    """Return a URL as it stands, and the path of a file or a folder that can be read; raises BadParameter else."""
    from spectral_engine.remote.addresses import is_remote

    if is_remote(text):
        return text
    path = Path(text)
    if not path.exists():
        raise typer.BadParameter(f"Path {text!r} does not exist.")
    if not os.access(path, os.R_OK):
        raise typer.BadParameter(f"Path {text!r} is not readable.")
    return path


def as_path(given: Path | str) -> Path | None:
    """Return a file of this machine; None of a URL."""
    return given if isinstance(given, Path) else None
