"""What the regulariser alone takes away: nodes left above the threshold, and the error before and after trimming.

    python -m benchmarks.sparcs.spectra

All epochs go to the search; nothing is trained after trimming. Errors are on validation rows.
"""

import argparse
from typing import Any

import torch

from benchmarks import rows
from benchmarks.quality.pruners import total_steps
from benchmarks.quality.start import Case, prepare
from benchmarks.sparcs.run import SETTINGS, all_widths, hidden_widths, part_error
from benchmarks.sparcs.skips import params_of
from benchmarks.sparcs.training import above, cut, search

NAME = "sparcs_spectra"
RATE = 1e-2
STRENGTHS = (0.0, 1e-3, 1e-2, 1e-1, 1.0)


def measure(case: Case, strength: float) -> dict[str, Any]:
    """Return one row: a whole search, and what trimming at the threshold does to it."""
    hidden = hidden_widths(case)
    searched = search(
        case.start, all_widths(case, hidden), total_steps(case), RATE, strength, over="layer"
    )
    small = cut(case.start, searched, above(searched))
    return {
        "setting": case.setting.name,
        "seed": case.seed,
        "rate": RATE,
        "strength": strength,
        "before": hidden,
        "alive": [int(mask.sum()) for mask in above(searched)],
        "largest": [float(part.detach().abs().max()) for part in searched.hidden],
        "params": params_of(small.widths),
        "whole": part_error(case, searched, "validation"),
        "trimmed": part_error(case, small, "validation"),
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    for setting in SETTINGS[:4]:
        case = prepare(setting, seed=0)
        for strength in STRENGTHS:
            row = measure(case, strength)
            rows.append(NAME, row)
            print(row, flush=True)


if __name__ == "__main__":
    main()
