"""`python -m worker.child`: the process in which the engine runs. Only here torch is imported."""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.processes.parent_death import die_with_parent
from worker.messages import Message, encode

if TYPE_CHECKING:
    from spectral_engine.records.analysis import Analysis
    from spectral_engine.records.progress import Progress
    from spectral_engine.result import Result

REPORTS = ("report.json", "report.html", "report.csv")
CRASHED = 70


class Pipe:
    """The way to the worker."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Send one message, whole."""
        with self._lock:
            self._file.write(encode(message))

    def progress(self, progress: Progress) -> None:
        """Pass the engine's progress on."""
        self.send({"kind": "progress", **asdict(progress)})


def main() -> int:
    """Read a request from stdin, run it, tell the worker how it went."""
    request = json.load(sys.stdin)
    die_with_parent(parent=request["parent"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe = Pipe(request["pipe"])
    run = _analyze if request["kind"] == "analysis" else _compress
    try:
        pipe.send({"kind": "done", "summary": run(request, pipe)})
    except Exception as error:
        traceback.print_exc()
        known = _known_error(error)
        if known is None:
            pipe.send({"kind": "crash", "detail": f"{type(error).__name__}: {error}"})
            return CRASHED
        pipe.send({"kind": "error", "error": known})
    return 0


def _analyze(request: dict[str, Any], _: Pipe) -> dict[str, Any]:
    engine = _load(request["engine"])
    beside = {"data": request["data"], **request["options"]} if "data" in request else {}
    analysis: Analysis = engine(
        request["model"], request["target"], batch_size=request["batch_size"], **beside
    )
    return analysis.model_dump(mode="json")


def _compress(request: dict[str, Any], pipe: Pipe) -> dict[str, Any]:
    engine = _load(request["engine"])
    result: Result = engine(
        request["model"],
        request["data"],
        request["recipe"],
        pipe.progress,
        Path(request["work_dir"]),
        **request["options"],
    )
    return _save(result, Path(request["output"]))


def _load(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


def _save(result: Result, folder: Path) -> dict[str, Any]:
    """Write the reports; return what the records are to say, and where the candidates lie."""
    for name in REPORTS:
        result.report.save(folder / name)
    report = result.report.data
    return {
        "outcome": report.outcome,
        "outcome_reason": report.outcome_reason,
        "binding_constraint": report.binding_constraint,
        "baseline": report.baseline.model_dump(mode="json"),
        "candidates": [one.entry.model_dump(mode="json") for one in result.candidates],
        "files": [
            {"path": str(one.path), "external": [str(file) for file in one.external]}
            for one in result.candidates
        ],
    }


def _known_error(error: Exception) -> dict[str, object] | None:
    """Return the error that the job is to carry, or None for one that nobody foresaw."""
    from spectral_engine.errors import EngineError

    if isinstance(error, EngineError):
        return error.to_json()
    lacks_memory = (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )
    if lacks_memory:
        detail = f"The engine ran out of memory: {error}"
        return {"code": "out-of-memory", "detail": detail, "retryable": False}
    return None


if __name__ == "__main__":
    sys.exit(main())
