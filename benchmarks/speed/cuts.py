"""Cut files at a share of the multiply-adds: ours, and Torch-Pruning's with widths of multiples of 8."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
import torch_pruning as tp
from torch import nn

from benchmarks.digits import export
from benchmarks.speed.nets import Attention, Net
from spectral_engine.cost.budget import Budget
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.surgery import cut
from spectral_engine.methods.prune.options import Prune
from spectral_engine.methods.prune.untrained import plan_untrained
from spectral_engine.onnx_io.load import load_model
from spectral_engine.onnx_io.save import save_model

ROUND_TO = 8
RATIOS = np.linspace(0.02, 0.98, 49).tolist()


def theirs(net: nn.Module, spec: Net, share: float, path: Path) -> Path | None:
    """Export what Torch-Pruning leaves of the share; None where it fails."""
    pruned = pruned_by_them(net, spec.row, share)
    if pruned is None:
        return None
    export(pruned, torch.zeros(1, *spec.row), path)
    return path


def pruned_by_them(
    net: nn.Module, row: tuple[int, ...], share: float, round_to: int = ROUND_TO
) -> nn.Module | None:
    """Return what Torch-Pruning leaves at the first of its ratios that keeps the share; None where it fails."""
    example = torch.zeros(1, *row)
    most = share * tp.utils.count_ops_and_params(net, example)[0]
    for ratio in RATIOS:
        try:
            pruned = _pruned(net, row, ratio, round_to)
            macs = tp.utils.count_ops_and_params(pruned, example)[0]
        except Exception as error:  # whatever it is, there is no file to time
            print(f"Torch-Pruning: {type(error).__name__}: {error}")
            return None
        if macs <= most:
            return pruned
    return None


def _pruned(net: nn.Module, row: tuple[int, ...], ratio: float, round_to: int) -> nn.Module:
    """Cut each layer by the same ratio, as Torch-Pruning does by default, by the norms of the weights."""
    pruned = copy.deepcopy(net)
    heads = {
        layer: module.heads
        for module in pruned.modules()
        if isinstance(module, Attention)
        for layer in (module.query, module.key, module.value)
    }
    last = [m for m in pruned.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    tp.pruner.BasePruner(
        pruned,
        torch.zeros(1, *row),
        tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        ignored_layers=[last],
        round_to=round_to,
        num_heads=heads,
    ).step()
    return pruned.eval()


def ours(original: Path, share: float, path: Path) -> Path:
    """Write what the engine's own plan leaves of the share, by the weights alone."""
    model = load_model(original)
    module = OnnxModule(model)
    coupling = couple(module)
    budget = Budget({"macs": share * coupling.macs()})
    removed = plan_untrained(module, coupling, Prune(), budget).removed
    save_model(cut(model, coupling, removed), path)
    return path


def macs_of(path: Path) -> int:
    """Return the multiply-adds of a file's dense layers and convolutions, by our own count."""
    return int(couple(OnnxModule(load_model(path))).macs())


def widths_of(path: Path) -> list[int]:
    """Return how many outputs each weight makes, in the order of the graph."""
    coupling = couple(OnnxModule(load_model(path)))
    return [len(np.unique(layer.groups)) for layer in coupling.layers]
