"""Whether the sign of memory is found on rows that a net saw, and not on rows that it never saw."""

import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.seen_rows.nets import STYLES, case
from spectral_engine.data.split import Split
from spectral_engine.judging.seen_rows.signs import memory_sign
from spectral_engine.measure.memory import SURENESS
from spectral_engine.measure.runtime import Runner
from spectral_engine.preparation.prepare import prepare
from spectral_engine.records.recipe import Recipe

# Threshold, steps and temperature were chosen on the first four; the others were looked at once they stood.
CHOSEN_ON = ("digits", "satellite", "spam", "letter")
JUDGED_ON = ("adult", "fashion_mnist", "mnist", "breast_cancer", "wine")
SMALL = ("breast_cancer", "wine")
ROWS, TIMES = (150, 400, 1500), (1, 6)
LONGEST = 9_000  # rows that a net is trained on


def settings(seeds: int) -> Iterator[dict[str, Any]]:
    """Yield every net with its rows."""
    for seed, rows, times, style in product(range(seeds), ROWS, TIMES, STYLES):
        if times * rows > LONGEST:
            continue
        for data in JUDGED_ON + CHOSEN_ON:
            if rows > min(ROWS) or data in SMALL:
                yield {
                    "part": "signs", "data": data, "rows": rows, "times": times, "style": style,
                    "seed": seed,
                }  # fmt: skip


def measure(setting: dict[str, Any]) -> dict[str, Any] | None:
    """Look for the sign under both truths; None where the data set has too few rows."""
    made = case(
        setting["data"],
        STYLES[setting["style"]],
        setting["rows"],
        setting["times"],
        setting["seed"],
    )
    if made is None:
        return None
    known, new = (accuracy(made.model, *rows) for rows in (made.seen, made.rest))
    return {
        **setting,
        "chosen_on": setting["data"] in CHOSEN_ON,
        "accuracy_seen": known,
        "accuracy_unseen": new,
        "seen": look(made.model, made.seen, setting["seed"]),
        "unseen": look(made.model, made.unseen, setting["seed"]),
    }


def look(model: bytes, rows: tuple[np.ndarray, np.ndarray], seed: int) -> dict[str, Any]:
    """Look for the sign of memory on these rows, as a job would."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.npz"
        np.savez(data, x=rows[0], y=rows[1])
        recipe = Recipe(seed=seed, allow_poor_original=True)
        setup = prepare(model, data, recipe)
        started = time.perf_counter()
        sign = memory_sign(setup, None)
    if sign is None:
        return {"found": False, "looked": False, "sureness": SURENESS}
    return {
        "found": sign.found, "looked": True, "place": sign.place, "error": sign.error,
        "temperature": sign.temperature, "sureness": SURENESS,
        "learned": sign.learned, "forgotten": sign.forgotten,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip


def accuracy(model: bytes | Path, x: np.ndarray, y: np.ndarray) -> float:
    """Return the share of right answers."""
    return float((Runner(model).predict(Split({"x": x}, None)).argmax(1) == y).mean())
