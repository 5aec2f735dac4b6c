"""Real workers in processes of their own, and the records that they work on."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.job_notifier import JobNotifier
from service.settings import Settings
from service.store.artifacts.blobs import ArtifactStore, key_of
from service.store.candidates.records import CandidateRecord
from service.store.candidates.repository import CandidateRepository
from service.store.database import Database
from service.store.datasets.repository import DatasetRepository
from service.store.events.records import EventRecord
from service.store.events.repository import EventRepository
from service.store.jobs.records import TERMINAL, JobRecord
from service.store.jobs.repository import JobRepository
from service.store.models.repository import ModelRepository
from tests.support.running_service import command_line, descendants
from tests.support.waiting import wait_until

FAKE_ENGINE = "tests.support.fake_engine:compress"
MODEL, DATA = b"a model", b"x,y\n1,0\n"


def impatient(data_dir: Path, **more: Any) -> Settings:
    """Return settings under which everything happens within seconds."""
    given: dict[str, Any] = {
        "data_dir": data_dir,
        "lease_seconds": 6,
        "heartbeat_seconds": 0.3,
        "reaper_seconds": 0.5,
        "cancel_grace_seconds": 1,
        "progress_interval_seconds": 0.05,
        "log_level": "DEBUG",
    }
    return Settings(**(given | more))


@dataclass
class Shop:
    """Records, artifacts and a notifier: what an API has at hand."""

    settings: Settings

    def __post_init__(self) -> None:
        self.database = Database(self.settings.database_url)
        self.artifacts = ArtifactStore(self.settings.artifacts_url)
        self.notifier = JobNotifier(self.settings.broker_url, self.settings.broker_url_file)

    def submit(
        self,
        ring: bool = True,
        limits: dict[str, Any] | None = None,
        priority: int = 0,
        queue: str = "cpu",
        files: tuple[bytes, bytes] = (MODEL, DATA),
        said: dict[str, Any] | None = None,
        **recipe: Any,
    ) -> str:
        """Queue a job; return its id."""
        with self.database.begin() as session:
            model = ModelRepository(session).add(
                name=None, file_name="m.onnx", **self._stored(files[0])
            )
            dataset = DatasetRepository(session).add(
                name=None, file_name=None, **self._stored(files[1]), **(said or {})
            )
            job = JobRepository(session).create(
                model_id=model.id,
                dataset_id=dataset.id,
                recipe=recipe,
                limits=limits,
                priority=priority,
                queue=queue,
            )
        if ring:
            assert self.notifier.notify(job.id, job.queue)
        return job.id

    def _stored(self, content: bytes) -> dict[str, Any]:
        sha256, size_bytes = self.artifacts.put_bytes(content)
        return {"sha256": sha256, "size_bytes": size_bytes}

    def job(self, job_id: str) -> JobRecord:
        with self.database.read() as session:
            job = JobRepository(session).get(job_id)
        assert job is not None
        return job

    def candidates(self, job_id: str) -> list[CandidateRecord]:
        with self.database.read() as session:
            return list(CandidateRepository(session).list(job_id))

    def told(self, job_id: str) -> list[EventRecord]:
        with self.database.read() as session:
            return list(EventRepository(session).list(job_id, 0, 1000))

    def events(self, job_id: str) -> list[str]:
        return [event.type for event in self.told(job_id)]

    def cancel(self, job_id: str) -> JobRecord:
        with self.database.begin() as session:
            return JobRepository(session).request_cancel(job_id)

    def read(self, sha256: str | None) -> bytes:
        assert sha256 is not None
        return b"".join(self.artifacts.open(sha256))

    def model_sha256(self, job_id: str) -> str:
        with self.database.read() as session:
            model = ModelRepository(session).get(self.job(job_id).model_id)
        assert model is not None
        return model.sha256

    @contextmanager
    def without_artifact(self, sha256: str) -> Iterator[None]:
        """Take a file out of the store until the block ends."""
        assert self.artifacts.root is not None
        path = self.artifacts.root / key_of(sha256)
        aside = path.with_suffix(".aside")
        path.rename(aside)
        try:
            yield
        finally:
            aside.rename(path)

    @contextmanager
    def frozen(self, process: int) -> Iterator[None]:
        """Stop a process until the block ends, but not in the middle of a write: SQLite would wait for it."""
        self.until(lambda: self._stopped_between_writes(process))
        try:
            yield
        finally:
            os.kill(process, signal.SIGCONT)

    def _stopped_between_writes(self, process: int) -> bool:
        os.kill(process, signal.SIGSTOP)
        path = self.database.engine.url.database
        assert path is not None
        with contextlib.closing(sqlite3.connect(path, timeout=0.2)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(process, signal.SIGCONT)
                return False
        return True

    def until(self, true: Callable[[], bool], seconds: float = 60) -> None:
        wait_until(true, seconds)

    def ended(self, job_id: str, seconds: float = 120) -> JobRecord:
        """Wait for a job's end."""
        wait_until(lambda: self.job(job_id).status in TERMINAL, seconds)
        return self.job(job_id)

    def at_work(self, job_id: str, seconds: float = 60) -> JobRecord:
        """Wait until the engine is at work on a job and has announced a candidate."""
        wait_until(lambda: len(self.candidates(job_id)) > 0, seconds)
        return self.job(job_id)


@dataclass
class RunningWorker:
    """A worker's main process."""

    process: subprocess.Popen[bytes]
    log: Path

    def forkserver(self) -> int:
        """Return the process from which those of the engine come, once it is there."""
        wait_until(lambda: len(self._forkservers()) > 0)
        return self._forkservers()[0]

    def _forkservers(self) -> list[int]:
        processes = descendants(self.process.pid)
        return [one for one in processes if "worker.forkserver" in command_line(one)]

    def engine(self) -> int:
        """Return the process in which the engine is at work."""
        return next(iter(descendants(self.forkserver())))

    def pool_process(self) -> int:
        """Return the process that watches over the engine."""
        forkserver = self.forkserver()
        processes = descendants(self.process.pid)
        return next(one for one in reversed(processes) if forkserver in descendants(one))

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """End it as an operator does; return its exit code."""
        self.process.terminate()
        return self.process.wait(30)


@contextmanager
def running_worker(settings: Settings, engine: str = FAKE_ENGINE) -> Iterator[RunningWorker]:
    """Run a worker until the block ends."""
    module = engine.partition(":")[0]
    ahead = "spectral_engine.ahead" if module == "spectral_engine" else module
    names = {"EIGENPRESS_ENGINE": engine, "EIGENPRESS_AHEAD": ahead}
    env = {**os.environ, **settings.environment(), **names}
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", "--queues", "gpu,cpu"],
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    worker = RunningWorker(process, settings.data_dir / "worker.log")
    try:
        yield worker
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
