"""What a worker and its engine's process tell each other: one JSON object a line, each kind a class of its own.

The worker sends one `Assignment`. The engine's process answers with `Progressed` as often as it likes, and at last
with one of `Compressed`, `Analyzed`, `Failed` and `Crashed`. The forkserver, from which it comes, says
`Started`, `Ended` and, when the worker has asked to have it collected, `Spent`.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from service.store.jobs.error import JobError
from spectral_engine.records.progress import Stage

log = logging.getLogger("eigenpress.worker")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


# JSON and the records lack infinities and what is no number: they arrive as None.
Number = Annotated[float | None, BeforeValidator(_finite)]


class Message(BaseModel):
    """A part of what is told: unknown fields are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)

    def to_line(self) -> bytes:
        """Return the message as one line."""
        return self.model_dump_json().encode() + b"\n"


# What the worker asks for.

ALWAYS = ("label", "preprocessing")  # arguments that every engine takes


class DataOptions(Message):
    """What was said of a data set when it was uploaded."""

    label: str | None = None
    preprocessing: dict[str, Any] | None = None
    labels: dict[str, Any] | None = None
    seen_by_original: bool | list[str] | None = None
    rows_axis: int | dict[str, int | None] | None = None

    def arguments(self) -> dict[str, Any]:
        """Return them as the engine takes them; of what else nothing is said, that is left to it."""
        said = self.model_dump()
        return {name: said[name] for name in said if name in ALWAYS or said[name] is not None}


class Compression(Message):
    """A model to compress; `engine` names the function that does it, as `module:function`."""

    kind: Literal["compression"] = "compression"
    engine: str
    model: Path
    data: Path
    options: DataOptions
    recipe: dict[str, Any]
    work_dir: Path
    output: Path


class AnalysisTask(Message):
    """A model to analyze, with or without data; `engine` names the function that does it."""

    kind: Literal["analysis"] = "analysis"
    engine: str
    model: Path
    data: Path | None = None
    options: DataOptions = DataOptions()
    target: dict[str, Any] | None
    batch_size: int | None
    recipe: dict[str, Any] | None = None


Task = Annotated[Compression | AnalysisTask, Field(discriminator="kind")]


class Limits(Message):
    """What an attempt may take, and what earlier attempts have taken of it.

    Bytes of memory of all its processes together, seconds of the clock and of processors over all attempts, bytes of
    disk, and numbers of open files of each process and of processes. `own_memory_limit` says whether the kernel is to
    hold each process to the memory too.
    """

    memory_bytes: int
    runtime_seconds: float
    runtime_used: float = 0.0
    cpu_seconds: float
    cpu_used: float = 0.0
    disk_bytes: int
    open_files: int
    processes: int
    network: bool = False
    own_memory_limit: bool = True

    @property
    def cpu_left(self) -> float:
        """Processor seconds that are left for this attempt."""
        return max(1.0, self.cpu_seconds - self.cpu_used)


class Assignment(Message):
    """What one process of the engine is to do, within which limits; files without a name go to `temporary`."""

    task: Task
    limits: Limits | None = None
    temporary: Path | None = None


# What the engine's process answers.


class AnnouncedCandidate(Message):
    """`spectral_engine.records.progress.CandidateFile`, on its way."""

    index: int
    path: Path
    nodes: int
    params: int
    macs: int
    metric_name: str
    validation_metric: Number
    validation_drop: Number
    within_budget: bool
    external: tuple[Path, ...]
    careful_drop: Number = None


class Progressed(Message):
    """`spectral_engine.records.progress.Progress`, on its way."""

    kind: Literal["progress"] = "progress"
    stage: Stage
    fraction: float
    step: int
    total_steps: int
    eta_seconds: Number
    message: str
    metrics: dict[str, Number]
    candidate: AnnouncedCandidate | None
    warning: str | None


class Measured(Message):
    """What is recorded of a model: its sizes, its metric on validation rows, and on held-out rows where measured."""

    nodes: int
    params: int
    macs: int
    file_bytes: int
    validation_metric: Number
    metric: Number


class FinalCandidate(Message):
    """A candidate as the report has it, and where its files lie."""

    path: Path
    external: tuple[Path, ...]
    measured: Measured
    validation_drop: Number
    drop: Number
    chosen: bool


class Compressed(Message):
    """A compression that is done; its reports lie in the folder of the task."""

    kind: Literal["compressed"] = "compressed"
    outcome: str
    outcome_reason: str
    binding_constraint: str | None
    metric_name: str
    baseline: Measured
    candidates: tuple[FinalCandidate, ...]


class Analyzed(Message):
    """An analysis that is done: `spectral_engine.records.analysis.Analysis`, as the records keep it."""

    kind: Literal["analyzed"] = "analyzed"
    analysis: dict[str, Any]


class Failed(Message):
    """An error that the engine foresaw."""

    kind: Literal["error"] = "error"
    error: JobError


class Crashed(Message):
    """An error that nobody foresaw; the process ends after it."""

    kind: Literal["crash"] = "crash"
    detail: str


Done = Compressed | Analyzed
Last = Done | Failed | Crashed
Answer = Progressed | Last
_ANSWER: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="kind")])


# What the forkserver says of the process that it has started.


class Started(Message):
    """It is there."""

    kind: Literal["started"] = "started"
    process: int


class Ended(Message):
    """It has ended; its number is its own until it is collected."""

    kind: Literal["ended"] = "ended"


class Spent(Message):
    """It is collected: its exit code, negative for a signal, and what it and its own processes have cost."""

    kind: Literal["spent"] = "spent"
    exit_code: int
    cpu_seconds: float
    peak_memory_bytes: int


Told = Started | Ended | Spent
_TOLD: TypeAdapter[Told] = TypeAdapter(Annotated[Told, Field(discriminator="kind")])


def read_told(line: bytes) -> Told:
    """Return what the forkserver has said."""
    return _TOLD.validate_json(line)


class LineReader:
    """Puts answers together from the pieces in which a pipe delivers them."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Answer]:
        """Return the answers that `data` completes; a line that is none is passed over."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [answer for line in lines if (answer := _read(line)) is not None]


def _read(line: bytes) -> Answer | None:
    try:
        return _ANSWER.validate_json(line)
    except ValidationError as error:
        log.warning("passed over what is no answer: %s", error)
        return None
