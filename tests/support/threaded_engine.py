"""An engine whose imports start a thread, which a fork would lose."""

import os
import threading
from pathlib import Path
from typing import Any

from spectral_engine.result import Result
from tests.support import fake_engine

_imported_by = os.getpid()
_asked, _answered = threading.Event(), threading.Event()


def _answer() -> None:
    _asked.wait()
    _answered.set()


threading.Thread(target=_answer, daemon=True).start()


def compress(model: str, data: str, recipe: dict[str, Any], *more: Any, **options: Any) -> Result:
    """Ask the thread, and go on when it has answered."""
    Path(recipe["journal"]).write_text(f"imported here: {_imported_by == os.getpid()}\n")
    _asked.set()
    _answered.wait()
    return fake_engine.compress(model, data, recipe, *more, **options)
