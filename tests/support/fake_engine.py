"""A small engine that really writes files, resumes from its checkpoint, and misbehaves when told to.

The recipe tells it what to do: `steps`, `seconds` a step, `journal` (a file that gets one line for each thing
that happens), `leave` (a word to keep in the process), and `act`: what to do at step `at`.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spectral_engine.errors import ModelInvalid, RankLost
from spectral_engine.records.progress import CandidateFile, OnProgress, Progress
from spectral_engine.records.report import (
    CandidateEntry,
    DataSummary,
    Exactness,
    Interval,
    Measurement,
    MetricValue,
    Provenance,
    Report,
)
from spectral_engine.result import Candidate, ReportFile, Result

_left: list[str] = []


def compress(
    model: str,
    data: str,
    recipe: dict[str, Any],
    on_progress: OnProgress,
    work_dir: Path,
    *,
    label: str | None,
    preprocessing: dict[str, Any] | None,
) -> Result:
    """Count to `steps`, a checkpoint each; the candidates are the model with a number appended."""
    tell = _journal(recipe.get("journal"))
    checkpoint = work_dir / "step"
    start = int(checkpoint.read_text()) if checkpoint.exists() else 0
    tell(f"start {start}")
    tell(f"process {os.getpid()} finds {[*_left, os.environ.get('LEFT', '')]}")
    if "leave" in recipe:
        _left.append(recipe["leave"])
        os.environ["LEFT"] = recipe["leave"]
    steps, content = recipe.get("steps", 4), Path(model).read_bytes()
    assert Path(data).stat().st_size > 0
    for step in range(start, steps):
        on_progress(
            Progress("training", step / steps, step, steps, metrics={"loss": 1.0 / (step + 1)})
        )
        if step == recipe.get("at", 1):
            _act(recipe.get("act"), work_dir, tell)
        time.sleep(recipe.get("seconds", 0.01))
        tell(f"step {step}")
        checkpoint.write_text(str(step + 1))
        on_progress(_announce(step, content, work_dir, steps))
    tell("end")
    on_progress(Progress("reporting", 1.0, 0, 0))
    files = [work_dir / f"{step}.onnx" for step in range(steps)]
    return _result(files, hashlib.sha256(content).hexdigest())


def _journal(path: str | None) -> Callable[[str], None]:
    def tell(what: str) -> None:
        if path:
            with Path(path).open("a") as file:
                file.write(f"{what}\n")

    return tell


def _act(act: str | None, work_dir: Path, tell: Callable[[str], None]) -> None:
    marker = work_dir / "acted"
    once = act is not None and act.endswith("-once")
    if once and marker.exists():
        return
    marker.touch()
    deeds: dict[str, Callable[[], object]] = {
        "crash": lambda: os._exit(3),
        "bug": lambda: 1 // 0,
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "hang": _hang,
        "invalid": _refuse,
        "lose-a-rank": _lose_a_rank,
        "lack-memory": _lack_memory,
        "take-memory": lambda: bytearray(MUCH),
        "share-memory": lambda: subprocess.run(
            [sys.executable, "-c", SHARE, str(SHARED)], check=True
        ),
        "spread-memory": lambda: _wait(
            _start("x = bytearray(300 << 20); import time; time.sleep(60)", 4)
        ),
        "burn": _burn,
        "burn-and-die": lambda: _die_after(3),
        "write-files": lambda: _write(work_dir / "large"),
        "write-nameless": lambda: _write(None),
        "write-one-large": lambda: os.truncate(_touched(work_dir / "sparse"), 8 << 30),
        "open-files": lambda: [os.open(os.devnull, os.O_RDONLY) for _ in range(2000)],
        "start-processes": lambda: _wait(_start("import time; time.sleep(60)", 12)),
        "leave-a-session": lambda: tell(
            f"left {_start('import time; time.sleep(600)', 1, session=True)[0].pid}"
        ),
        "look-around": lambda: tell(json.dumps(_surroundings())),
        "leave-a-process": lambda: tell(f"left {subprocess.Popen(['sleep', '600']).pid}"),
    }
    if act is not None:
        deeds[act.removesuffix("-once")]()


MUCH = 4 << 30
SHARED = 300 << 20
SHARE = "import sys, time; taken = bytearray(int(sys.argv[1])); time.sleep(2.5)"


def _start(program: str, count: int, *, session: bool = False) -> list[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", program]
    return [subprocess.Popen(command, start_new_session=session) for _ in range(count)]


def _wait(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.wait()


def _burn() -> None:
    while True:
        pass


def _die_after(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def _write(path: Path | None) -> None:
    """Write without end: into a file, or into one that has no name."""
    with tempfile.TemporaryFile() if path is None else path.open("wb") as file:
        while True:
            file.write(bytes(1 << 20))
            file.flush()
            time.sleep(0.01)


def _touched(path: Path) -> Path:
    path.touch()
    return path


def _surroundings() -> dict[str, Any]:
    """Return what a job can see: the environment, that of whoever started it, and whether it reaches others."""
    started_with = Path(f"/proc/{os.getppid()}/environ").read_bytes().decode()
    routes = Path("/proc/net/dev").read_text().splitlines()[2:]
    return {
        "environment": dict(os.environ),
        "parent": [entry.partition("=")[0] for entry in started_with.split("\0")],
        "devices": [line.partition(":")[0].strip() for line in routes],
        "temporary": tempfile.gettempdir(),
        "no_new_privileges": "NoNewPrivs:\t1" in Path("/proc/self/status").read_text(),
    }


def _hang() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def _refuse() -> None:
    raise ModelInvalid("the model is made of cheese", pointer="#/model")


def _lose_a_rank() -> None:
    raise RankLost("rank 1 was killed by signal 9")


def _lack_memory() -> None:
    raise MemoryError("there is no room for 14.4 GB")


def _announce(step: int, content: bytes, work_dir: Path, steps: int) -> Progress:
    path = work_dir / f"{step}.onnx"
    path.write_bytes(content + bytes([step]))
    size = steps - step
    candidate = CandidateFile(step, path, size, size * 10, size * 100, "accuracy", 0.9, step / 100)
    return Progress("exporting", (step + 1) / steps, step, steps, candidate=candidate)


def _measurement(content: bytes, nodes: int, value: float) -> Measurement:
    interval = Interval(low=value - 0.1, high=min(value + 0.1, 1.0), confidence=0.95)
    metric = MetricValue(
        name="accuracy", value=value, interval=interval, rows=10, higher_is_better=True
    )
    return Measurement(
        metric=metric,
        validation_metric=value,
        nodes=nodes,
        params=nodes * 10,
        macs=nodes * 100,
        file_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _result(files: list[Path], model_sha256: str) -> Result:
    exactness = Exactness(max_abs_difference=0, max_abs_output=1, tolerance=1e-5, samples=1)
    entries = [
        CandidateEntry(
            id=f"candidate-{index + 1}",
            measurement=_measurement(file.read_bytes(), len(files) - index, 0.8),
            validation_drop=0.1,
            exactness=exactness,
            widths=[],
            meets_target=True,
            chosen=index == len(files) - 1,
        )
        for index, file in enumerate(files)
    ]
    report = Report(
        outcome="target_met",
        outcome_reason="it was easy",
        method="prune",
        recipe={},
        task="classification",
        baseline=_measurement(files[0].read_bytes()[:-1], len(files) + 1, 0.9),
        candidates=entries,
        chosen=entries[-1].id,
        spectra=[],
        relevance=[],
        path=[],
        data=DataSummary(
            sha256=model_sha256,
            train_rows=8,
            validation_rows=1,
            test_rows=1,
            split="random",
        ),
        provenance=Provenance(
            engine_version="0",
            versions={},
            seed=0,
            device="cpu",
            model_sha256=model_sha256,
            dataset_sha256=model_sha256,
            started_at="",
            finished_at="",
            training_seconds=0,
            trained_parameters=0,
        ),
    )
    candidates = (Candidate(entry, file) for entry, file in zip(entries, files, strict=True))
    return Result(tuple(candidates), ReportFile(report))
