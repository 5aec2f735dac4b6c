"""Where a compression works and leaves its candidates."""

from __future__ import annotations

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
