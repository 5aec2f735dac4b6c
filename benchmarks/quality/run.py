"""Measure every method in every cell, a row as soon as it is there; a second call goes on where the first stopped.

    python -m benchmarks.quality.run [--small] [--settings NAME ...] [--rows NAME]

The first seed searches each method's options (learning rates, and what the peer has besides) by the error on validation
rows, cell by cell; the other seeds take what it chose. Test rows are read once, for the row.
"""

import argparse
import os
import time
from importlib.metadata import version
from typing import Any

import torch

from benchmarks import rows
from benchmarks.quality.methods import Fitted, Method, Option, methods_for
from benchmarks.quality.settings import SEEDS, SETTINGS, SMALL, SMALL_RATE, Setting
from benchmarks.quality.start import Case, prepare
from benchmarks.quality.tuning import error

Key = tuple[str, int, str, float]
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tenth, in minutes")
    parser.add_argument("--settings", nargs="*", help="only these")
    parser.add_argument("--methods", nargs="*", help="only these")
    parser.add_argument("--rows", help="name of the file of rows")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    name = arguments.rows or ("quality_small" if arguments.small else "quality")
    for setting in SMALL if arguments.small else SETTINGS:
        if arguments.settings and setting.name not in arguments.settings:
            continue
        for seed in SEEDS[:1] if arguments.small else SEEDS:
            measure(setting, seed, name, arguments.methods, small=arguments.small)


def measure(
    setting: Setting, seed: int, name: str, only: list[str] | None, *, small: bool = False
) -> None:
    """Write the rows of one starting model that are not there yet; `small` tries one learning rate alone."""
    done = {key_of(row): row for row in rows.read(name)}
    case = prepare(setting, seed)
    shared: dict[Any, Any] = {
        ("our widths", row["level"]): row["widths"]
        for key, row in done.items()
        if key[:3] == (setting.name, seed, "ours")
    }
    if (setting.name, seed, "not compressed", 1.0) not in done:
        rows.append(name, _start_row(case))
    for method in methods_for(case):
        if only and method.name not in only:
            continue
        for level in setting.levels:
            chosen = done.get((setting.name, SEEDS[0], method.name, level))
            options = [o for o in method.options if not small or o["rate"] == SMALL_RATE]
            if chosen and seed != SEEDS[0]:
                options = [chosen["option"]]
            before = done.get((setting.name, seed, method.name, level))
            untried = [o for o in options if o not in _options_of(before)]
            if not untried:
                continue
            row = _row(case, method, level, untried, shared)
            if before and seed == SEEDS[0]:
                row = _merged(before, row)
            rows.append(name, row)
            print(_line(row), flush=True)


def _options_of(row: Row | None) -> list[Option]:
    return [entry["option"] for entry in row["tried"]] if row else []


def _merged(before: Row, row: Row) -> Row:
    """Return the better of two rows of one cell by validation, with the options of both: a grid that grew later."""
    found = [r for r in (before, row) if r["validation"] is not None]
    better = min(found, key=lambda r: r["validation"], default=row)
    stamped = {"measured_at", "python", *rows.PACKAGES}
    own = {name: value for name, value in better.items() if name not in stamped}
    return own | {"tried": before["tried"] + row["tried"]}


def key_of(row: Row) -> Key:
    return row["setting"], row["seed"], row["method"], row["level"]


def _row(
    case: Case, method: Method, level: float, options: list[Option], shared: dict[Any, Any]
) -> Row:
    begun = time.perf_counter()
    tried: list[dict[str, Any]] = []
    best: tuple[float, Option, Fitted] | None = None
    for option in options:
        try:
            fitted = method.fit(case, level, option, shared)
            found = fitted.error("validation")
        except Exception as problem:  # a method that fails with an option is reported, not hidden
            tried.append({"option": option, "problem": repr(problem)[:200]})
            continue
        tried.append({"option": option, "validation": found})
        if best is None or found < best[0]:
            best = (found, option, fitted)
    row = _head(case, method.name, level) | {"tried": tried}
    if best is None:
        return row | {"option": options[0], "test": None, "validation": None}
    validation, option, fitted = best
    return row | {
        "option": option,
        "validation": validation,
        "test": fitted.error("test"),
        "nodes": fitted.nodes,
        "macs": fitted.macs,
        "widths": fitted.widths,
        "seconds": round((time.perf_counter() - begun) / len(options), 2),
    }


def _head(case: Case, method: str, level: float) -> Row:
    return {
        "setting": case.setting.name,
        "data": case.setting.data,
        "net": case.setting.net,
        "resource": case.setting.resource,
        "train_rows": len(case.start.data.train[1]),
        "epochs": case.setting.epochs,
        "seed": case.seed,
        "method": method,
        "level": level,
        "torch_pruning": version("torch-pruning"),
    }


def _start_row(case: Case) -> Row:
    data = case.start.data
    parts = {
        part: error(case.start.net, getattr(data, part), regression=data.regression)
        for part in ("validation", "test")
    }
    return _head(case, "not compressed", 1.0) | {"option": {}} | parts


def _line(row: Row) -> str:
    test = "failed" if row["test"] is None else f"{100 * row['test']:.2f} %"
    return f"{row['setting']} {row['seed']} {row['method']} {row['level']}: {test} {row['option']}"


if __name__ == "__main__":
    main()
