"""One case in a process of its own: prints its row as JSON.

python -m benchmarks.at_size.cases NET CASE [BATCH STEPS]
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import spectral_engine as se
from benchmarks.at_size.nets import NETS
from benchmarks.at_size.watch import Watch, memory_now
from spectral_engine.records.progress import Progress
from spectral_engine.spare_memory import give_back

SMALL = {"mlp": "mlp-5", "conv": "conv-5", "bert": "bert-small", "vit": "conv-5"}
HALF = {"max_params": 0.5}
LIMIT_BYTES = 10 * 2**30


def analyze(model: Path, _: Path, __: Watch, batch: int) -> None:
    """Say what could be removed."""
    se.analyze(model, batch_size=batch)


def analyze_target(model: Path, _: Path, __: Watch, batch: int) -> None:
    """Say so beside a target, and which nodes would go."""
    se.analyze(model, HALF, batch_size=batch)


def cut_only(model: Path, data: Path, watch: Watch, batch: int) -> None:
    """Cut at once after one step, two candidates, no fine-tuning."""
    recipe = {"prune": {"when": "post", "fine_tune": False, "candidates": 2}}
    compress(model, data, watch, batch, recipe)


def train(model: Path, data: Path, watch: Watch, batch: int) -> None:
    """Narrow gradually, two candidates, each cooled down."""
    compress(model, data, watch, batch, {"prune": {"candidates": 2}})


def compress(model: Path, data: Path, watch: Watch, batch: int, recipe: dict[str, Any]) -> None:
    """Run a job towards half of the parameters, at a given rate."""

    def tell(progress: Progress) -> None:
        if progress.stage != watch.stage:
            watch.enter(progress.stage)

    training = {"epochs": 1, "batch_size": batch, "learning_rate": 1e-5}
    with tempfile.TemporaryDirectory() as folder:
        se.compress(
            model,
            data,
            {"target": HALF, "training": training, "allow_poor_original": True, **recipe},
            tell,
            work_dir=Path(folder),
        )


CASES: dict[str, Callable[[Path, Path, Watch, int], None]] = {
    "analyze": analyze,
    "analyze_target": analyze_target,
    "cut": cut_only,
    "train": train,
}


def main(net: str, case: str, batch: int, steps: int) -> dict[str, Any]:
    """Run one case; the libraries are loaded by the same case of a small net before."""
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
    model = NETS[net].file(net)
    with tempfile.TemporaryDirectory() as name:
        data = NETS[net].data(Path(name) / "rows.npz", batch * steps)
        small = SMALL[net.split("-", maxsplit=1)[0]]
        loads = NETS[small].file(small), NETS[small].data(Path(name) / "small.npz", batch)
        CASES[case](*loads, Watch(), batch)
        give_back(LIMIT_BYTES)  # what the exporter and the small net left
        base_resident, base = memory_now()
        watch, begun = Watch(), time.perf_counter()
        with watch.running():
            CASES[case](model, data, watch, batch)
    size = model.stat().st_size
    anonymous, resident = max(watch.anonymous.values()), max(watch.resident.values())
    return {
        "net": net,
        "case": case,
        "batch": batch,
        "steps": steps,
        "file_mib": size / 2**20,
        "program_mib": base / 2**20,
        "peak_own_mib": anonymous / 2**20,
        "peak_resident_mib": resident / 2**20,
        "of_model": (anonymous - base) / size,
        "resident_of_model": (resident - base_resident) / size,
        "seconds": time.perf_counter() - begun,
        "processor_seconds": dict(watch.seconds),
        "own_mib": {stage: value / 2**20 for stage, value in watch.anonymous.items()},
        "at_peak": watch.at[max(watch.anonymous, key=watch.anonymous.__getitem__)],
        "at": watch.at,
    }


if __name__ == "__main__":
    net, case, *numbers = sys.argv[1:]
    print(json.dumps(main(net, case, *(map(int, numbers) if numbers else (8, 20)))))
