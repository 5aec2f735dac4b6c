"""The processes of all ranks but the first: started by it, told what to do, and never left behind."""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from spectral_engine.errors import RankLost
from spectral_engine.training.ranks.orders import Order

READY = b"ready\n"
START_SECONDS, END_SECONDS = 180.0, 10.0
DEATH_SECONDS = 2.0  # how long the end of a process may come after what it breaks
GROUP_BROKE = 75  # the exit code of a rank that ends because another one has


class RankProcesses:
    """Ranks 1, 2, … as interpreters of their own, which no state of this process can reach."""

    def __init__(self, count: int, threads: int) -> None:
        path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads)}
        module = f"{__package__}.follower"
        self._processes = [
            subprocess.Popen(
                # -P: the folder that the caller happens to be in is not to be imported from.
                [sys.executable, "-P", "-m", module, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
            for _ in range(count)
        ]
        self.peak_bytes = 0  # of all that have been closed, each at its own peak

    @property
    def numbers(self) -> list[int]:
        """The numbers by which the system knows them."""
        return [process.pid for process in self._processes]

    def await_ready(self) -> None:
        """Wait until all have done their imports. Raises RankLost."""
        until = time.monotonic() + START_SECONDS
        for process in self._processes:
            output = _pipe(process.stdout)
            ready, _, _ = select.select([output], [], [], max(0.0, until - time.monotonic()))
            if not ready or output.readline() != READY:
                raise self.lost()

    def tell(self, rank: int, order: Order) -> None:
        """Tell one rank what to do next. Raises RankLost."""
        self._write(rank, pickle.dumps(order, pickle.HIGHEST_PROTOCOL))

    def tell_all(self, order: Order) -> None:
        """Tell all of them. Raises RankLost."""
        told = pickle.dumps(order, pickle.HIGHEST_PROTOCOL)
        for rank in range(1, len(self._processes) + 1):
            self._write(rank, told)

    def _write(self, rank: int, told: bytes) -> None:
        pipe = _pipe(self._processes[rank - 1].stdin)
        try:
            pipe.write(told)
            pipe.flush()
        except OSError as error:
            raise self.lost() from error

    def lost(self) -> RankLost:
        """Return the error that tells which rank has ended, and how."""
        until = time.monotonic() + DEATH_SECONDS
        while not (causes := self._causes()) and time.monotonic() < until:
            time.sleep(0.01)
        reason = causes[0] if causes else "the ranks did not answer in time"
        return RankLost(
            f"{reason}: a job on several devices needs all of them; it goes on from its checkpoint when it is run again"
        )

    def _causes(self) -> list[str]:
        codes = [process.poll() for process in self._processes]
        return [
            f"rank {rank} {self._ending(rank, code)}"
            for rank, code in enumerate(codes, 1)
            if code is not None and code != GROUP_BROKE
        ]

    def _ending(self, rank: int, code: int) -> str:
        if code < 0:
            return f"was killed by signal {-code}" + (" (is memory short?)" if code == -9 else "")
        told = _pipe(self._processes[rank - 1].stdout).read().decode(errors="replace").strip()
        return f"ended with {told or f'exit code {code}'}"

    def close(self) -> None:
        """End them: in peace where they wait for an order, at once where they do not."""
        for process in self._processes:
            _close(_pipe(process.stdin))
        until = time.monotonic() + END_SECONDS
        for process in self._processes:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self.peak_bytes += _number(_pipe(process.stdout).read())
            _close(_pipe(process.stdout))

    def kill(self) -> None:
        """End them at once, whatever they do."""
        for process in self._processes:
            process.kill()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.kill()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except OSError:  # what it still had to write has no reader any more
        return


def _number(told: bytes) -> int:
    return int(told) if told.strip().isdigit() else 0
