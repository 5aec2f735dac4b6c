"""`python -m worker.child`: the process in which the engine runs, for one task.

It finds its assignment on stdin and answers through descriptor 3. Mostly it is forked from `worker.forkserver`, which
has imported the engine already.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from service.store.jobs.error import JobError
from worker.cage.inside import enter, limit_reached, make_room
from worker.messages import (
    Analyzed,
    Answer,
    Assignment,
    Compressed,
    Compression,
    Crashed,
    Done,
    Failed,
    Limits,
    Progressed,
    Task,
)
from worker.summary import summarize

if TYPE_CHECKING:
    from spectral_engine.records.analysis import Analysis
    from spectral_engine.records.progress import Progress
    from spectral_engine.result import Result
    from worker.messages import AnalysisTask

ANSWERS = 3  # the descriptor to answer through
CRASHED = 70


class Pipe:
    """The way to the worker."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._lock = threading.Lock()

    def send(self, message: Answer) -> None:
        """Send one message, whole."""
        with self._lock:
            self._file.write(message.to_line())

    def progress(self, progress: Progress) -> None:
        """Pass the engine's progress on."""
        self.send(Progressed.model_validate(progress))


def main() -> int:
    """Read an assignment from stdin, carry it out, tell the worker how it went."""
    with open(0, "rb", closefd=False) as stdin:  # sys.stdin is the host's, where it was forked
        assignment = Assignment.model_validate_json(stdin.read())
    pipe = Pipe(ANSWERS)
    if assignment.limits is not None:
        enter(assignment.limits, assignment.temporary)
    try:
        pipe.send(_carry_out(assignment.task, pipe))
    except Exception as error:
        make_room()
        traceback.print_exc()
        known = _known_error(error, assignment.limits)
        if known is None:
            pipe.send(Crashed(detail=f"{type(error).__name__}: {error}"))
            return CRASHED
        pipe.send(Failed(error=known))
    return 0


def _carry_out(task: Task, pipe: Pipe) -> Done:
    return _compress(task, pipe) if isinstance(task, Compression) else _analyze(task)


def _analyze(task: AnalysisTask) -> Analyzed:
    beside: dict[str, Any] = {}
    if task.data is not None:
        beside = {"data": str(task.data), **task.options.arguments()}
    if task.recipe is not None:
        beside["recipe"] = task.recipe
    analysis: Analysis = _load(task.engine)(
        str(task.model), task.target, batch_size=task.batch_size, **beside
    )
    return Analyzed(analysis=analysis.model_dump(mode="json"))


def _compress(task: Compression, pipe: Pipe) -> Compressed:
    result: Result = _load(task.engine)(
        str(task.model),
        str(task.data),
        task.recipe,
        pipe.progress,
        task.work_dir,
        **task.options.arguments(),
    )
    return summarize(result, task.output)


def _load(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    loaded: Callable[..., Any] = getattr(import_module(module), function)
    return loaded


def _known_error(error: Exception, limits: Limits | None) -> JobError | None:
    """Return the error that the job is to carry, or None for one that nobody foresaw."""
    from spectral_engine.errors import EngineError
    from spectral_engine.lack_of_memory import lacks_memory

    reached = None if limits is None else _first(error, limits)
    if reached is not None:
        return reached
    # Whatever it was taken for on its way: a model that does not fit into the memory is not an invalid one.
    if lacks_memory(error) or type(error).__name__ == "OutOfMemoryError":
        within = "" if limits is None else f" It may use {limits.memory_bytes:,} bytes."
        detail = f"The engine ran out of memory: {error}.{within}"
        return JobError(code="out-of-memory", detail=detail)
    return JobError.model_validate(error.to_json()) if isinstance(error, EngineError) else None


def _first(error: BaseException | None, limits: Limits) -> JobError | None:
    """Return the limit that an error tells of, or one that it was raised from."""
    while error is not None:
        if (reached := limit_reached(error, limits)) is not None:
            return reached
        error = error.__cause__
    return None


if __name__ == "__main__":
    sys.exit(main())
