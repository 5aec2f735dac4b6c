"""Jobs whose candidates are wrecked behind their back: how many are said to meet a floor that they break.

    python -m benchmarks.false_certificates [--jobs 500] [--first 0]

Kind of answers, labels, rows, floor, confidence, wreck and budget are drawn by the number of the job. The true drop is
measured on 20,000 rows of their own. A row is written for every job; a stopped run goes on.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from scipy.stats import spearmanr

import spectral_engine as se
from benchmarks import rows
from examples.specimens.wrecks import KINDS, WRECKS, Task, draw, trained, wrecking
from spectral_engine.errors import EngineError

NAME = "false_certificates"
TRUE_ROWS = 20_000


def main() -> None:
    """Run the jobs that have no row yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="number of the first job")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    done = {row["job"] for row in rows.read(NAME)}
    for number in range(chosen.first, chosen.first + chosen.jobs):
        if number not in done:
            rows.append(NAME, run(number))


def run(number: int) -> dict[str, Any]:
    """Return the row of one job."""
    rng = np.random.default_rng([number, 77])
    kind, how = KINDS[number % len(KINDS)], str(rng.choice(WRECKS))
    floor, confidence = float(rng.choice([0.01, 0.03, 0.1, 0.2])), float(rng.choice([0.8, 0.95]))
    task = draw(kind, int(rng.choice([400, 900, 2000, 4000])), seed=number)
    target: dict[str, float] = {"max_metric_drop": floor, "confidence": confidence}
    if rng.random() < 0.3:
        target["keep_nodes"] = 0.7
    recipe = {
        "target": target,
        "training": {"epochs": 2},
        "prune": {"candidates": int(rng.integers(1, 4))},
        "seed": number,
    }
    row = {"job": number, "kind": kind, "wreck": how, "rows": len(task.x), **target}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = trained(
            task, folder / "net.onnx", hidden=int(rng.choice([12, 24, 48])), seed=number
        )
        labels = {} if task.labels is None else {"y": task.labels}
        np.savez(folder / "d.npz", x=task.x, **labels)
        try:
            with wrecking(how, number):
                result = se.compress(model, folder / "d.npz", recipe)
        except EngineError as error:
            return row | {"outcome": error.code}
        result.chosen.save(folder / "small.onnx")
        drop = true_drop(
            kind, model, folder / "small.onnx", draw(kind, TRUE_ROWS, seed=10**6 + number)
        )
    return row | {
        "outcome": result.outcome,
        "true_drop": drop,
        "false": is_false(result.outcome, drop, floor),
    }


def is_false(outcome: str, drop: float, floor: float) -> bool:
    """Say whether a job claims a floor that the model breaks."""
    return outcome == "target_met" and drop > floor


def true_drop(kind: str, model: Path, small: Path, task: Task) -> float:
    """Return how much the metric falls; without labels, answers are compared with the original's."""
    before, after = answers(model, task.x), answers(small, task.x)
    truth = task.target
    if kind.endswith("without labels"):
        truth = before.argmax(1) if kind.startswith("classes") else before
    return metric(kind, before, truth) - metric(kind, after, truth)


def answers(model: Path, x: np.ndarray) -> np.ndarray:
    """Return what a file answers in onnxruntime."""
    return np.asarray(onnxruntime.InferenceSession(str(model)).run(None, {"x": x})[0])


def metric(kind: str, predicted: np.ndarray, truth: np.ndarray) -> float:
    """Return accuracy, right entries, r2 over columns, IoU over classes or channels, or rank agreement of pairs."""
    if "number" in kind:
        spread = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
        return float((1 - ((predicted - truth) ** 2).sum(axis=0) / spread).mean())
    if kind.startswith("maps"):
        return iou([predicted.argmax(1) == c for c in range(predicted.shape[1])],
                   [truth.argmax(1) == c for c in range(predicted.shape[1])])  # fmt: skip
    if kind.startswith("masks"):
        return iou(list((predicted > 0.5).swapaxes(0, 1)), list((truth > 0.5).swapaxes(0, 1)))
    if kind.startswith("embeddings"):
        return float(spearmanr(similarity(predicted), similarity(truth)).statistic)
    if kind in {"one logit", "multi-label"}:
        return float(((predicted > 0) == (truth > 0)).mean())
    return float((predicted.argmax(1) == truth).mean())


def iou(predicted: list[np.ndarray], truth: list[np.ndarray]) -> float:
    """Return the mean over classes of the pixels that both mark, in parts of those that either marks."""
    both = [(one & other).sum() for one, other in zip(predicted, truth, strict=True)]
    either = [(one | other).sum() for one, other in zip(predicted, truth, strict=True)]
    return float(np.mean(np.array(both) / np.maximum(either, 1)))


def similarity(vectors: np.ndarray) -> np.ndarray:
    """Return the cosine of each row with the next one [n - 1]."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray((unit[1:] * unit[:-1]).sum(axis=1))


if __name__ == "__main__":
    main()
