"""Where a compression works and leaves its candidates, and how it writes there."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path


class WorkDir:
    """The caller's folder, which stays; or one of its own, which goes when nobody holds this object any more."""

    def __init__(self, given: Path | None = None) -> None:
        self.stays = given is not None
        self.path = given or Path(tempfile.mkdtemp(prefix="eigenpress-"))
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.stays:
            weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def write_whole(path: Path, text: str) -> None:
    """Write a file; a reader sees the old one or the new one, never a part, also where two write at once."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text)
    part.replace(path)
