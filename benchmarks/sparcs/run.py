"""SPARCS against our default and small nets from scratch, all at the parameters that our default leaves.

    python -m benchmarks.sparcs.run [--settings NAME ...]

In a perceptron every weight is one multiply-add of a sample, skips included: equal parameters are equal multiply-adds
but for the biases. SPARCS begins from fresh weights, learns from the same starting model's answers as ours, and gets
the same epochs: half for the search, half for fine-tuning; the longer one gets the starting model's epochs too, in its
search. The first seed searches the options on validation rows; the others take what it chose. Test rows are read once.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from typing import Any

import torch
from torch import nn

from benchmarks import rows
from benchmarks.quality import ours, pruners
from benchmarks.quality.settings import SEEDS, Setting
from benchmarks.quality.start import Case, prepare
from benchmarks.quality.tuning import error
from benchmarks.sparcs.skips import SkipNet, params_of
from benchmarks.sparcs.training import SEARCH_SHARE, above, cut, search, tune, within

NAME, START = "sparcs", "not compressed"
LEVELS = (0.2, 0.05)
SETTINGS = (
    Setting("sparcs-letter-2x200", "letter", "200-200-relu", 20, 8_000, levels=LEVELS),
    Setting(
        "sparcs-california-2x200", "california_housing", "200-200-relu", 20, 4_000, levels=LEVELS
    ),
    Setting("sparcs-satellite-2x200", "satellite", "200-200-relu", 20, levels=LEVELS),
    Setting("sparcs-mnist-3x500", "mnist", "500-500-500-relu", 6, 4_000, levels=LEVELS),
    Setting("sparcs-fashion-3x500", "fashion_mnist", "500-500-500-relu", 20, 4_000, levels=LEVELS),
)
RATES = (3e-3, 1e-2, 3e-2)
REGULARISERS = ((0.0, "layer"), (1e-3, "layer"), (1e-2, "layer"), (1e-1, "layer"), (1e-1, "all"))
SEARCHED = [
    {"rate": rate, "strength": strength, "over": over}
    for rate, (strength, over) in product(RATES, REGULARISERS)
]
BY_RATE = [{"rate": rate} for rate in RATES]
SCRATCH = [o | {"distill": d} for o, d in product(BY_RATE, (0.0, 0.5))]
Row = dict[str, Any]
Option = dict[str, Any]
Shared = dict[Any, Any]
Key = tuple[str, int, str, float]


@dataclass
class Fitted:
    """A model: its error on a part, its widths from inputs to outputs, and what else a row should tell."""

    error: Callable[[str], float]
    widths: tuple[int, ...]
    skips: bool
    told: Row


def part_error(case: Case, net: nn.Module, part: str) -> float:
    data = case.start.data
    return error(net, getattr(data, part), regression=data.regression)


def _of(case: Case, net: nn.Module, widths: tuple[int, ...], **told: Any) -> Fitted:
    return Fitted(lambda part: part_error(case, net, part), widths, isinstance(net, SkipNet), told)


def hidden_widths(case: Case) -> list[int]:
    return [int(width) for width in case.setting.net.split("-")[:-1]]


def all_widths(case: Case, hidden: list[int]) -> tuple[int, ...]:
    return (case.start.inputs, *hidden, case.start.data.outputs)


def fit_ours(case: Case, level: float, option: Option, shared: Shared) -> Fitted:
    del shared
    built, model = ours.compress(case, ours.recipe_for(case, level, option["rate"]))
    widths = all_widths(case, ours.widths(case, built))
    return Fitted(lambda part: ours.error(case, model, part), widths, False, {})


def fit_scratch(case: Case, level: float, option: Option, shared: Shared) -> Fitted:
    hidden = list(shared["widths", level][1:-1])
    net = pruners.from_scratch(case, hidden, level, option["rate"], option["distill"])
    return _of(case, net, all_widths(case, hidden))


def fit_sparcs(
    case: Case, level: float, option: Option, shared: Shared, *, longer: bool = False
) -> Fitted:
    steps = pruners.total_steps(case)
    tuning = steps - round(SEARCH_SHARE * steps)
    searching = steps - tuning
    if longer:
        searching += case.setting.start_epochs * case.start.steps_per_epoch
    key = (*option.values(), searching)
    if key not in shared:
        widths = all_widths(case, hidden_widths(case))
        shared[key] = search(case.start, widths, searching, **option)
    searched = shared[key]
    small = cut(case.start, searched, within(searched, _dense_params(shared["widths", level])))
    told = _told(case, searched) | {"before_tuning": part_error(case, small, "validation")}
    tune(case.start, small, tuning, option["rate"])
    return _of(case, small, small.widths, **told)


def _told(case: Case, searched: nn.Module) -> Row:
    """Return what the search itself did, whatever is cut after it."""
    return {
        "searched": part_error(case, searched, "validation"),
        "alive": [int(mask.sum()) for mask in above(searched)],
        "largest": [float(part.detach().abs().max()) for part in searched.hidden],
    }


def fit_skips_scratch(case: Case, level: float, option: Option, shared: Shared) -> Fitted:
    """Train the net that SPARCS chose, skips and all, from fresh plain weights: what is left to the search."""
    torch.manual_seed(case.seed + 77)
    net = SkipNet(shared["sparcs widths", level], torch.relu)
    tune(case.start, net, pruners.total_steps(case), option["rate"])
    return _of(case, net, net.widths)


METHODS = {  # in this order: ours gives the budget, SPARCS the widths of its control
    "ours": (fit_ours, BY_RATE),
    "from scratch": (fit_scratch, SCRATCH),
    "SPARCS": (fit_sparcs, SEARCHED),
    "SPARCS, longer": (partial(fit_sparcs, longer=True), []),  # of the options, SPARCS's choice
    "SPARCS's net from scratch": (fit_skips_scratch, BY_RATE),
}


def _dense_params(widths: tuple[int, ...]) -> int:
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))


def measure(case: Case, method: str, level: float, options: list[Option], shared: Shared) -> Row:
    """Return one row: the option that is best on validation rows, and its test error."""
    begun = time.process_time()
    fitted = [METHODS[method][0](case, level, option, shared) for option in options]
    errors = [one.error("validation") for one in fitted]
    index = min(range(len(errors)), key=errors.__getitem__)
    best = fitted[index]
    params = (params_of if best.skips else _dense_params)(best.widths)
    return _head(case, method, level) | {
        "tried": [{"option": o, "validation": v} for o, v in zip(options, errors, strict=True)],
        "option": options[index],
        "validation": errors[index],
        "test": best.error("test"),
        "widths": list(best.widths),
        "params": params,
        "macs": params - sum(best.widths[1:]),
        "seconds": round((time.process_time() - begun) / len(options), 2),
        **best.told,
    }


def _head(case: Case, method: str, level: float) -> Row:
    return {
        "setting": case.setting.name,
        "train_rows": len(case.start.data.train[1]),
        "epochs": case.setting.epochs,
        "seed": case.seed,
        "method": method,
        "level": level,
    }


def _start_row(case: Case) -> Row:
    parts = {part: part_error(case, case.start.net, part) for part in ("validation", "test")}
    params = _dense_params(all_widths(case, hidden_widths(case)))
    return _head(case, START, 1.0) | parts | {"params": params}


def run(setting: Setting, seed: int) -> None:
    """Write the rows of one starting model that are not there yet."""
    done = {_key(row): row for row in rows.read(NAME)}
    case = prepare(setting, seed)
    if (setting.name, seed, START, 1.0) not in done:
        rows.append(NAME, _start_row(case))
    shared: Shared = {}
    for method, level in product(METHODS, setting.levels):
        key = (setting.name, seed, method, level)
        if key not in done:
            done[key] = measure(case, method, level, _options(done, key), shared)
            rows.append(NAME, done[key])
            print(*key, done[key]["test"], done[key]["option"], flush=True)
        name = {"ours": "widths", "SPARCS": "sparcs widths"}.get(method)
        shared[name, level] = tuple(done[key]["widths"])


def _options(done: dict[Key, Row], key: Key) -> list[Option]:
    """Return what the first seed chose, or on it the grid."""
    setting, _, method, level = key
    from_search = "SPARCS" if method == "SPARCS, longer" else method
    first = done.get((setting, SEEDS[0], from_search, level))
    return [first["option"]] if first else METHODS[method][1]


def _key(row: Row) -> Key:
    return row["setting"], row["seed"], row["method"], row["level"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", nargs="*", help="only these")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for seed in SEEDS:
        for setting in SETTINGS:
            if not asked.settings or setting.name in asked.settings:
                run(setting, seed)


if __name__ == "__main__":
    main()
