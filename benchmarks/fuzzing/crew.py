"""Worker processes that may die: each mutant in limits of time and memory."""

from __future__ import annotations

import io
import multiprocessing
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import onnxruntime
import torch

from benchmarks.fuzzing.oracle import Base, run_one

SECONDS = 20  # of processor time, so that a loaded machine makes no hang
ASLEEP = 10  # times as long may pass of a worker that computes nothing
MEMORY = 12 * 2**30


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant."""

    base: str
    seed: int
    kind: str
    detail: str = ""
    changes: tuple[str, ...] = ()


def work(inbox: Connection, bases: Mapping[str, Base]) -> None:
    """Take (base, seed) until there is none; answer whose part begins, then the verdict."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    onnxruntime.set_default_logger_severity(4)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout = io.StringIO()  # onnxruntime prints about names that are not UTF-8
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # and the converter of opsets prints what it meets

    def tell(part: str, done: Sequence[str]) -> None:
        inbox.send((part, tuple(done)))

    while (task := inbox.recv()) is not None:
        base, seed = task
        inbox.send(run_one(bases[base], seed, tell))


class Worker:
    """A process that is started again when it dies or gets stuck."""

    def __init__(self, bases: Mapping[str, Base]) -> None:
        self.bases = bases
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["torch", "onnxruntime", "benchmarks.fuzzing.crew"])
        self.start()

    def start(self) -> None:
        self.pipe, theirs = self.context.Pipe()
        self.process = self.context.Process(target=work, args=(theirs, self.bases), daemon=True)
        self.process.start()
        theirs.close()

    def begin(self, base: str, seed: int) -> None:
        self.pipe.send((base, seed))

    def finish(self, base: str, seed: int) -> Verdict:
        """Wait for the verdict, at most SECONDS for each part."""
        part, changes = "theirs", ()  # making a mutant is onnx's part
        while True:
            try:
                if not self._is_heard():
                    self.stop()
                    self.start()
                    kind = "hang" if part == "ours" else "theirs"
                    return Verdict(base, seed, kind, "", changes)
                kind, said = self.pipe.recv()
            except (EOFError, ConnectionResetError):
                self.process.join()
                code = self.process.exitcode
                self.start()
                kind = "crash" if part == "ours" else "theirs"
                return Verdict(base, seed, kind, f"exit {code}", changes)
            if kind not in {"ours", "theirs"}:
                return Verdict(base, seed, kind, said, changes)
            part, changes = kind, said

    def _is_heard(self) -> bool:
        """Wait until the worker says something; no more than the time for one part."""
        began, used = time.monotonic(), self._used()
        while not self.pipe.poll(1):
            slept = time.monotonic() - began > ASLEEP * SECONDS
            if slept or self._used() - used > SECONDS:
                return False
        return True

    def _used(self) -> float:
        """Return the processor time of the worker so far; 0 of one that has ended."""
        try:
            told = Path(f"/proc/{self.process.pid}/stat").read_text()
        except FileNotFoundError:
            return 0.0
        user, system = told.rpartition(")")[2].split()[
            11:13
        ]  # in ticks; proc(5) counts them as 14 and 15
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


def fuzz(sources: Mapping[str, bytes], seeds: range, workers: int = 1) -> Iterator[Verdict]:
    """Yield a verdict for every seed; the bases take turns."""
    bases = {name: Base.of(source) for name, source in sources.items()}
    names = list(bases)
    crew = [Worker(bases) for _ in range(workers)]
    tasks = [(names[seed % len(names)], seed) for seed in seeds]
    for start in range(0, len(tasks), workers):
        batch = list(zip(crew, tasks[start : start + workers], strict=False))
        for worker, task in batch:
            worker.begin(*task)
        for worker, task in batch:
            yield worker.finish(*task)
    for worker in crew:
        worker.pipe.send(None)
        worker.process.join()
