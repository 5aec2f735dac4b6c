"""One method at one level of one starting model: tries options as the search asks, and gives a row."""

import math
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from benchmarks.quality.methods import Fitted, Method
from benchmarks.quality.search import Grid, Option, climb
from benchmarks.quality.start import Case

Row = dict[str, Any]


@dataclass
class Cell:
    """`before` is the row that an earlier run wrote: its options are not fitted again."""

    case: Case
    method: Method
    level: float
    shared: dict[Any, Any]
    before: Row | None = None

    def __post_init__(self) -> None:
        self.tried: list[dict[str, Any]] = list(self.before["tried"]) if self.before else []
        self.best = _validation(self.before)
        self.fitted: tuple[Option, Fitted] | None = None

    def measure(self, grid: Grid) -> Row | None:
        """Return the row of the best option by validation rows; None where the earlier run tried all that is asked."""
        begun = time.perf_counter()
        known = len(self.tried)
        climb(grid, self._error)
        if len(self.tried) == known:
            return None
        row = head(self.case, self.method.name, self.level) | {"tried": self.tried}
        if self.fitted is None:
            return row | self._earlier_result()
        option, fitted = self.fitted
        return row | {
            "option": option,
            "validation": self.best,
            "test": fitted.error("test"),
            "nodes": fitted.nodes,
            "macs": fitted.macs,
            "widths": fitted.widths,
            "seconds": round((time.perf_counter() - begun) / (len(self.tried) - known), 2),
        }

    def _error(self, option: Option) -> float:
        for entry in self.tried:
            if entry["option"] == option:
                return float(entry.get("validation", math.inf))
        try:
            fitted = self.method.fit(self.case, self.level, option, self.shared)
            validation_error = fitted.error("validation")
        except Exception as problem:  # a method that fails with an option is reported, not hidden
            self.tried.append({"option": option, "problem": repr(problem)[:200]})
            return math.inf
        self.tried.append({"option": option, "validation": validation_error})
        if validation_error < self.best:
            self.best, self.fitted = validation_error, (option, fitted)
        return validation_error

    def _earlier_result(self) -> Row:
        if self.before is None or self.before["validation"] is None:
            return {"option": self.tried[0]["option"], "validation": None, "test": None}
        names = ("option", "validation", "test", "nodes", "macs", "widths", "seconds")
        return {name: self.before[name] for name in names}


def _validation(row: Row | None) -> float:
    return math.inf if row is None or row["validation"] is None else row["validation"]


def head(case: Case, method: str, level: float) -> Row:
    """Return what a row is of."""
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
