"""The error after a job that trains nothing, of ours and of others, at a half and a quarter of nodes or multiply-adds.

    python -m benchmarks.without_training [--settings letter-2x200-relu ...] [--seeds 2] [--peers FOLDER]

Starting nets, data and error are those of `benchmarks.quality`. torch-pruning ranks by each of its scores, in each
layer or over all, with the statistics of normalisations left and settled anew: the best of these by validation rows is
its row, so that its seconds are those of all tries. onnxsim (structured Wanda, then its own `apply_pruning_finetune`)
runs where `--peers` names a folder that holds it, on perceptrons alone: it takes shares of nodes and no budget. Rows
that are there are not measured again.
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import rows
from benchmarks.quality import ours, pruners
from benchmarks.quality.settings import SETTINGS
from benchmarks.quality.start import Case, prepare
from benchmarks.quality.tuning import error
from spectral_engine.records.recipe import Recipe

NAMES = ("letter-2x200-relu", "mnist-300-100-relu", "mnist-vgg", "fashion-resnet")
LEVELS = (0.5, 0.25)
SCORES = ("l1", "l2", "taylor", "hessian", "random")
BATCHES, BATCH = 16, 128  # that statistics are settled on
CALIBRATION_ROWS = 1024  # that onnxsim sees

Result = tuple[float, dict[str, Any]]  # the error on test rows, and what else is told


def ours_without_training(case: Case, level: float, **prune: Any) -> Result:
    """Run the job `training.epochs: 0`, without labels."""
    recipe = ours.recipe_for(case, level, None)
    recipe = Recipe.model_validate(
        recipe.model_dump(exclude_unset=True)
        | {"training": {"epochs": 0, "device": "cpu"}, "prune": {"candidates": 1, **prune}}
    )
    built, model = ours.compress(case, recipe)
    return ours.error(case, model, "test"), {"widths": ours.widths(case, built)}


def torch_pruning(case: Case, level: float) -> Result:
    """Return the best of torch-pruning's one-shot cuts by validation rows."""
    data, tried = case.start.data, {}
    names = (*SCORES, "bn") if case.setting.resource == "macs" else SCORES
    for name in names:
        scores = pruners.score(case.start, case.start.copy(), name)
        for scope in ("layer", "all"):
            net = case.start.copy()
            budget = pruners.budget_of(case)(level)
            pruners.shrink(case.start, net, scores, scope, budget)
            for settled in (False, True):
                kept = _settled(case, net) if settled else net
                shown = error(kept, data.validation, regression=data.regression)
                tried[shown, name, scope, settled] = kept
    best = min(tried, key=lambda key: key[0])
    net = tried[best]
    told = {"option": best[1:], "widths": pruners.widths(net)}
    return error(net, data.test, regression=data.regression), told


@torch.no_grad()
def _settled(case: Case, net: nn.Module) -> nn.Module:
    """Return a copy whose running statistics are the mean over some batches."""
    twin = copy.deepcopy(net)
    norms = [module for module in twin.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return twin
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    twin.train()
    x = torch.from_numpy(case.start.data.train[0][: BATCHES * BATCH])
    for batch in x.split(BATCH):
        twin(batch)
    return twin.eval()


def onnxsim_wanda(case: Case, level: float) -> Result:
    """Run onnxsim's structured Wanda, and what it calls fine-tuning: ridge regression of each layer."""
    import onnx
    import onnxsim

    model, x = onnx.load(str(case.model_path)), case.start.data.train[0]
    batches = [{"x": part} for part in np.array_split(x[:CALIBRATION_ROWS], 8)]
    cut = onnxsim.apply_structured_wanda_pruning(model, batches, sparsity=1 - level)
    tuned = onnxsim.apply_pruning_finetune(model, cut, batches)
    shapes = [list(item.dims) for item in tuned.graph.initializer if len(item.dims) == 2]
    return ours.error(case, tuned.SerializeToString(), "test"), {"shapes": shapes}


METHODS: dict[str, Callable[[Case, float], Result]] = {
    "ours, least squares": ours_without_training,
    "ours, means": lambda case, level: ours_without_training(case, level, compensate="mean"),
    "torch-pruning, one-shot": torch_pruning,
    "onnxsim, Wanda and ridge": onnxsim_wanda,
}


def measure(case: Case, level: float, method: str) -> None:
    """Write one row."""
    begun, processor = time.perf_counter(), time.process_time()
    found, told = METHODS[method](case, level)
    row = {
        "setting": case.setting.name,
        "resource": case.setting.resource,
        "seed": case.seed,
        "level": level,
        "method": method,
        "original": ours.error(case, case.model_path.read_bytes(), "test"),
        "test": found,
        "seconds": round(time.perf_counter() - begun, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        **told,
    }
    rows.append("without_training", row)
    print(row, flush=True)


def _methods(case: Case, peers: bool) -> list[str]:
    takes_shares = case.setting.resource == "nodes"
    return [name for name in METHODS if not name.startswith("onnxsim") or (peers and takes_shares)]


def main() -> None:
    """Measure what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", nargs="+", default=NAMES)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--peers", help="a folder with packages that are not installed here")
    asked = parser.parse_args()
    if asked.peers:
        sys.path.append(asked.peers)
    torch.set_num_threads(1)
    key = ("setting", "seed", "level", "method")
    done = {tuple(row[name] for name in key) for row in rows.read("without_training")}
    for seed in range(asked.seeds):
        for setting in (item for item in SETTINGS if item.name in asked.settings):
            case = prepare(setting, seed)
            for level in LEVELS:
                for method in _methods(case, bool(asked.peers)):
                    if (setting.name, seed, level, method) not in done:
                        measure(case, level, method)


if __name__ == "__main__":
    main()
