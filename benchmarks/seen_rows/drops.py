"""What a job says of the drop on rows that the original has seen, beside the true drop on rows that nobody saw."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import spectral_engine as se
from benchmarks.seen_rows.nets import STYLES, Case, case
from benchmarks.seen_rows.signs import accuracy

DATA = ("fashion_mnist", "digits", "letter", "satellite", "adult", "spam", "mnist")
ROWS = {"digits": 1000, "letter": 3000}
STYLES_USED = ("by heart", "dropout", "decayed")
USUAL_ROWS, EPOCHS, CANDIDATES, FLOOR = 2000, 15, 4, 0.06


def settings(seeds: int) -> Iterator[dict[str, Any]]:
    """Yield every job."""
    for seed in range(seeds):
        for style in STYLES_USED:
            for data in DATA:
                rows = ROWS.get(data, USUAL_ROWS)
                yield {
                    "part": "drops", "data": data, "rows": rows, "times": 1, "style": style, "seed": seed,
                }  # fmt: skip


def measure(setting: dict[str, Any]) -> dict[str, Any] | None:
    """Run one job; None where the data set has too few rows."""
    style, seed = STYLES[setting["style"]], setting["seed"]
    made = case(setting["data"], style, setting["rows"], 1, seed)
    if made is None:
        return None
    return setting | job(made, _recipe(seed))


def job(made: Case, recipe: se.Recipe) -> dict[str, Any]:
    """Run one job on the rows that the original saw; return what it says, and the truth on the rest."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.npz"
        np.savez(data, x=made.seen[0], y=made.seen[1])
        started = time.perf_counter()
        result = se.compress(made.model, data, recipe)
        seconds = time.perf_counter() - started
        before = accuracy(made.model, *made.rest)
        truths = [before - accuracy(c.path, *made.rest) for c in result.candidates]
    report = result.report.data
    assert report.baseline.metric is not None
    return {
        "floor": recipe.target.max_metric_drop,
        "max_macs": recipe.target.max_macs,
        "accuracy_seen": report.baseline.metric.value,
        "accuracy_unseen": before,
        "held_out": report.baseline.metric.rows,
        "outcome": report.outcome,
        "decided_by": report.seen_rows.decided_by if report.seen_rows else None,
        "doubt": report.seen_rows.doubt if report.seen_rows else None,
        "chosen": [entry.id for entry in report.candidates].index(report.chosen),
        "told_overstated": any("overstated" in warning for warning in report.warnings),
        "stand_in": report.seen_rows.stand_in if report.seen_rows else None,
        "allowance": report.seen_rows.allowance if report.seen_rows else None,
        "macs": report.baseline.macs,
        "candidates": [
            _figures(entry, truth) for entry, truth in zip(report.candidates, truths, strict=True)
        ],
        "population": len(made.rest[1]),
        "seconds": seconds,
    }


def _recipe(seed: int) -> se.Recipe:
    return se.Recipe(
        target={"max_metric_drop": FLOOR},
        training={"epochs": EPOCHS},
        prune={"candidates": CANDIDATES},
        seen_by_original=True,
        seed=seed,
    )


def _figures(entry: Any, truth: float) -> dict[str, Any]:
    rehearsed = entry.rehearsed
    return {
        "nodes": entry.measurement.nodes,
        "macs": entry.measurement.macs,
        "true": truth,
        "measured": entry.drop.value,
        "rehearsed": None if rehearsed is None else rehearsed.drop,
        "bound": None if rehearsed is None else rehearsed.upper_bound,
        "stated": None if entry.floor_test is None else entry.floor_test.upper_bound,
        "meets_target": entry.meets_target,
    }
