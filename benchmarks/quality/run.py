"""Measure every method in every cell, a row as soon as it is there; a second call goes on where the first stopped.

    python -m benchmarks.quality.run [--small] [--settings NAME ...] [--methods NAME ...] [--rows NAME] [--again]

The first seed searches each method's options (learning rates, and what the peer has besides) by the error on validation
rows, cell by cell; the other seeds take what it chose. Test rows are read once, for the row.
"""

import argparse
import os
from typing import Any

import torch

from benchmarks import rows
from benchmarks.quality.cell import Cell, Row, head
from benchmarks.quality.methods import Method, methods_for
from benchmarks.quality.search import Grid
from benchmarks.quality.settings import SEEDS, SETTINGS, SMALL, SMALL_RATES, Setting
from benchmarks.quality.start import Case, prepare
from benchmarks.quality.tuning import error

Key = tuple[str, int, str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tenth, in minutes")
    parser.add_argument("--settings", nargs="*", help="only these")
    parser.add_argument("--methods", nargs="*", help="only these")
    parser.add_argument("--rows", help="name of the file of rows")
    parser.add_argument("--again", action="store_true", help="also where a row is there")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    name = arguments.rows or ("quality_small" if arguments.small else "quality")
    for setting in SMALL if arguments.small else SETTINGS:
        if arguments.settings and setting.name not in arguments.settings:
            continue
        for seed in SEEDS[:1] if arguments.small else SEEDS:
            measure(setting, seed, name, arguments)


def measure(setting: Setting, seed: int, name: str, asked: argparse.Namespace) -> None:
    """Write the rows of one starting model that are not there yet; the small run leaves out the lowest rate."""
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
        if asked.methods and method.name not in asked.methods:
            continue
        for level in setting.levels:
            before = None if asked.again else done.get(_key(case, seed, method, level))
            cell = Cell(case, method, level, shared, before)
            grid = method.grid | ({"rate": SMALL_RATES} if asked.small else {})
            if seed != SEEDS[0]:
                grid = _only(done[_key(case, SEEDS[0], method, level)]["option"])
            row = cell.measure(grid)
            if row is not None:
                rows.append(name, row)
                print(_line(row), flush=True)


def _only(option: dict[str, Any]) -> Grid:
    return {knob: (value,) for knob, value in option.items()}


def key_of(row: Row) -> Key:
    return row["setting"], row["seed"], row["method"], row["level"]


def _key(case: Case, seed: int, method: Method, level: float) -> Key:
    return case.setting.name, seed, method.name, level


def _start_row(case: Case) -> Row:
    data = case.start.data
    parts = {
        part: error(case.start.net, getattr(data, part), regression=data.regression)
        for part in ("validation", "test")
    }
    return head(case, "not compressed", 1.0) | {"option": {}} | parts


def _line(row: Row) -> str:
    test = "failed" if row["test"] is None else f"{100 * row['test']:.2f} %"
    return f"{row['setting']} {row['seed']} {row['method']} {row['level']}: {test} {row['option']}"


if __name__ == "__main__":
    main()
