"""The folder in which a job works: inputs, checkpoints, results. It stays between attempts."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from service.store.artifacts.blobs import ArtifactStore
from service.store.datasets.records import DatasetRecord
from service.store.models.records import ModelRecord

MODEL_NAME = "model.onnx"
LOCK_PAUSE_SECONDS = 0.1
DATA_SUFFIXES = {".npz", ".csv", ".parquet", ".zip", ".tar", ".tgz", ".gz", ".json"}


class WorkspaceBusyError(Exception):
    """Another process on this machine still works in the folder."""


@dataclass(frozen=True)
class Workspace:
    """One job's folder."""

    folder: Path

    @property
    def checkpoints(self) -> Path:
        """Where the engine keeps its candidates and what it resumes from."""
        return self.folder / "work"

    @property
    def output(self) -> Path:
        """Where the engine's process leaves the report."""
        return self.folder / "output"

    @property
    def log(self) -> Path:
        """What the engine's process has printed."""
        return self.folder / "engine.log"

    @property
    def temporary(self) -> Path:
        """Where the engine's process keeps what it needs for a while; empty when an attempt begins."""
        return self.folder / "tmp"

    @property
    def written(self) -> tuple[Path, ...]:
        """The folders into which the engine writes, all of which count as its disk."""
        return self.checkpoints, self.output, self.temporary

    def run_seconds(self) -> float:
        """Return how long attempts on this machine have run, also those that nobody could record."""
        try:
            return float((self.folder / "run_seconds").read_text())
        except (OSError, ValueError):
            return 0.0

    def note_run_seconds(self, seconds: float) -> None:
        """Keep how long all attempts have run so far."""
        part = self.folder / "run_seconds.part"
        part.write_text(f"{seconds:.3f}")
        part.replace(self.folder / "run_seconds")

    @contextmanager
    def locked(self, patience_seconds: float) -> Iterator[int]:
        """Hold the folder alone; yields the lock's descriptor. Raises WorkspaceBusyError.

        The lock ends with the last process that has the descriptor open.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor, patience_seconds)
            yield descriptor
        finally:
            os.close(descriptor)

    def prepare(
        self, artifacts: ArtifactStore, model: ModelRecord, dataset: DatasetRecord | None
    ) -> tuple[Path, Path | None]:
        """Lay out the inputs as local files; return the model's path and the data's, if there are any."""
        self.checkpoints.mkdir(exist_ok=True)
        for folder in (self.output, self.temporary):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        return self._model(artifacts, model), self._data(artifacts, dataset)

    def _model(self, artifacts: ArtifactStore, model: ModelRecord) -> Path:
        folder = self.folder / "model"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        external = model.external or []
        for file in external:
            artifacts.copy_to(file["sha256"], folder / file["name"])
        name = MODEL_NAME
        while name in {file["name"] for file in external}:
            name = f"_{name}"
        return artifacts.copy_to(model.sha256, folder / name)

    def _data(self, artifacts: ArtifactStore, dataset: DatasetRecord | None) -> Path | None:
        if dataset is None:
            return None
        suffix = _data_suffix(dataset, artifacts)
        return artifacts.copy_to(dataset.sha256, self.folder / f"data{suffix}")

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _lock(descriptor: int, patience_seconds: float) -> None:
    until = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise WorkspaceBusyError from None
            time.sleep(LOCK_PAUSE_SECONDS)
        else:
            return


def _data_suffix(dataset: DatasetRecord, artifacts: ArtifactStore) -> str:
    # A client's file name is only asked for its ending, and only for one that is known.
    suffix = PurePath(dataset.file_name or "").suffix.lower()
    return suffix if suffix in DATA_SUFFIXES else _sniff(artifacts, dataset.sha256)


def _sniff(artifacts: ArtifactStore, sha256: str) -> str:
    head = b"".join(artifacts.open(sha256, 0, min(4, artifacts.size(sha256))))
    return {b"PK\x03\x04": ".npz", b"PAR1": ".parquet"}.get(head, ".csv")
