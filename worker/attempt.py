"""One attempt at a job: the engine's process from its start to its end, and why it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from service.store.datasets.records import DatasetRecord
from service.store.jobs.error import JobError
from worker.cage.allowance import RUN_SECONDS, limits_of
from worker.cage.watch import Watch
from worker.claims import Claimed, Stores
from worker.engine_process import EngineProcess
from worker.forkserver_link import Forkserver
from worker.heartbeat import Heartbeat
from worker.messages import (
    AnalysisTask,
    Answer,
    Assignment,
    Compression,
    Crashed,
    DataOptions,
    Done,
    Failed,
    Last,
    Limits,
    Progressed,
    Spent,
    Task,
)
from worker.options import Engines
from worker.recorder import Recorder

POLL_SECONDS = 0.1
NOTE_SECONDS = 2.0  # of its runtime a job loses so much at most where its worker is killed
KILLED = -9
Reason = Literal["done", "error", "crash", "lost", "cancelled", "drained"]


@dataclass(frozen=True)
class Ending:
    """Why an attempt ended, and what it brought."""

    reason: Reason
    error: JobError | None = None
    done: Done | None = None


class Attempt:
    """Runs the engine on a claimed job until it ends or has to be stopped."""

    def __init__(
        self,
        stores: Stores,
        claimed: Claimed,
        heartbeat: Heartbeat,
        forkserver: Forkserver,
        draining: Callable[[], bool],
    ) -> None:
        self._stores, self._claimed = stores, claimed
        self._heartbeat, self._draining = heartbeat, draining
        self._forkserver = forkserver
        self._recorder = Recorder(stores, claimed)
        self._last: Last | None = None
        self._spent: Spent | None = None
        self._started = self._noted = time.monotonic()
        self._recorded: float = (claimed.job.usage or {}).get(RUN_SECONDS, 0.0)
        # What an attempt has taken whose worker was killed stands in the job's folder alone.
        self._earlier = max(self._recorded, claimed.workspace.run_seconds())

    def run(self, engines: Engines, lock: int, at_once: int = 1) -> Ending:
        """Run the engine, one of so many on this machine; return how it ended."""
        workspace, limits = self._claimed.workspace, self._limits(at_once)
        assignment = Assignment(
            task=self._task(engines), limits=limits, temporary=workspace.temporary
        )
        process = EngineProcess(self._forkserver, assignment, workspace.log, [lock])
        watch = Watch(limits, lambda: process.root, (*workspace.written, workspace.log))
        try:
            return self._watch(process, watch)
        finally:
            self._spent = process.close()
            workspace.note_run_seconds(self._run_seconds)

    def _limits(self, at_once: int) -> Limits:
        job = self._claimed.job
        used = {**(job.usage or {}), RUN_SECONDS: self._earlier}
        limits = limits_of(
            self._stores.settings, at_once, self._claimed.workspace.folder, job.limits, used
        )
        # CUDA reserves addresses that it never fills: there the watch alone looks at memory.
        return limits.model_copy(update={"own_memory_limit": job.queue != "gpu"})

    def _task(self, engines: Engines) -> Task:
        job, dataset, workspace = self._claimed.job, self._claimed.dataset, self._claimed.workspace
        artifacts = self._stores.artifacts.of(job.tenant)
        model, data = workspace.prepare(artifacts, self._claimed.model, dataset)
        engine, options = engines.of(job.kind), _options(dataset)
        if job.kind == "analysis":
            return AnalysisTask(
                engine=engine, model=model, data=data, options=options, **job.recipe
            )
        assert data is not None  # the table has no compression without a data set
        return Compression(
            engine=engine,
            model=model,
            data=data,
            options=options,
            recipe=job.recipe,
            work_dir=workspace.checkpoints,
            output=workspace.output,
        )

    def _watch(self, process: EngineProcess, watch: Watch) -> Ending:
        while not process.ended:
            self._take(process.messages(POLL_SECONDS))
            self._recorder.flush_if_due()
            self._note_if_due()
            reached = None if process.ended else watch.reached()
            if reached is not None:
                self._take(process.stop(0))  # before it takes more
                return Ending("error", reached)
            stop = self._reason_to_stop()
            if stop is not None and not process.ended:
                # What it had announced before it was stopped stays.
                self._take(process.stop(self._stores.settings.cancel_grace_seconds))
                return stop
        self._recorder.flush()
        return self._judge(process.wait().exit_code, watch)

    @property
    def _run_seconds(self) -> float:
        """Seconds that all attempts have run."""
        return float(self._earlier + time.monotonic() - self._started)

    def _note_if_due(self) -> None:
        if time.monotonic() - self._noted >= NOTE_SECONDS:
            self._noted = time.monotonic()
            self._claimed.workspace.note_run_seconds(self._run_seconds)

    def _take(self, answers: list[Answer]) -> None:
        for answer in answers:
            if isinstance(answer, Progressed):
                self._recorder.take(answer)
            else:
                self._last = answer

    def _reason_to_stop(self) -> Ending | None:
        if self._heartbeat.lost or self._recorder.lost:
            return Ending("lost")
        if self._heartbeat.cancel_requested:
            return Ending("cancelled")
        return Ending("drained") if self._draining() else None

    def _judge(self, exit_code: int, watch: Watch) -> Ending:
        if self._recorder.lost:
            return Ending("lost")
        if exit_code == 0 and isinstance(self._last, Done):
            return Ending("done", done=self._last)
        if exit_code == 0 and isinstance(self._last, Failed):
            error = self._last.error
            return Ending("crash" if error.retryable else "error", error)
        reached = watch.reached_by(exit_code, self._claimed.workspace.log)
        if reached is not None:
            return Ending("error", reached)
        if exit_code == KILLED:
            # The kernel kills so when the machine's memory runs out. The job had not what it may
            # have, so that it was for another's sake, and the job is worth another attempt.
            detail = "The engine was killed; most likely the machine's memory ran out."
            return Ending("crash", JobError(code="out-of-memory", detail=detail))
        told = self._last.detail if isinstance(self._last, Crashed) else f"exit code {exit_code}"
        return Ending("crash", internal(f"The engine crashed: {told}"))

    def usage(self) -> dict[str, float]:
        """Return what the attempt has cost."""
        usage: dict[str, float] = {RUN_SECONDS: round(self._run_seconds - self._recorded, 3)}
        if self._spent is not None:
            usage["cpu_seconds"] = self._spent.cpu_seconds
            usage["peak_memory_bytes"] = self._spent.peak_memory_bytes
        if self._claimed.job.queue == "gpu":
            usage["gpu_seconds"] = round(time.monotonic() - self._started, 3)
        return usage


def internal(detail: str) -> JobError:
    """Return the error of what nobody foresaw: another attempt may go better."""
    return JobError(code="internal", detail=detail, retryable=True)


def _options(dataset: DatasetRecord | None) -> DataOptions:
    return DataOptions() if dataset is None else DataOptions.model_validate(dataset)
