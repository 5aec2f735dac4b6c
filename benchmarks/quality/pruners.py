"""Peers for nodes: the scores and regularisers of torch-pruning 1.6, cut one-shot or in steps, then fine-tuned.

torch-pruning finds the groups, scores them and cuts them. Which groups go is chosen here, so that every peer meets the
budget exactly and keeps a few nodes in each layer (its own global mode stops short where a layer would vanish).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch_pruning as tp
from torch import Tensor, nn

from benchmarks.quality.nets import hidden_nodes, layers_of, macs
from benchmarks.quality.start import Case
from benchmarks.quality.tuning import Start, Tuner, steady

FLOOR = 4  # nodes of each layer that stay, as in our default
CUTS = 12  # of the iterative schedule
CUTTING_SHARE = 0.6  # of the epochs, when cutting in steps; cooling takes the rest
SPARSE_SHARE = 0.5  # of the epochs, under the regulariser; fine-tuning takes the rest
SCORED_ROWS, HESSIAN_ROWS = 1024, 64

Importance = Callable[[object], Tensor]
Scores = dict[str, Tensor]


@dataclass(frozen=True)
class Budget:
    """What must be met: so many hidden nodes or multiply-adds."""

    resource: str
    limit: float

    def cost(self, net: nn.Module, inputs: int) -> int:
        return hidden_nodes(net) if self.resource == "nodes" else macs(net, inputs)


def importance_of(name: str) -> Importance:
    """Return one of torch-pruning's scores, with its own defaults."""
    return {
        "l1": lambda: tp.importance.GroupMagnitudeImportance(p=1),
        "l2": lambda: tp.importance.GroupMagnitudeImportance(p=2),
        "taylor": tp.importance.GroupTaylorImportance,
        "hessian": tp.importance.GroupHessianImportance,
        "bn": tp.importance.BNScaleImportance,
        "random": tp.importance.RandomImportance,
    }[name]()


def pruner_of(net: nn.Module, importance: Importance, inputs: int, kind: str = "base") -> object:
    classes = {
        "base": tp.pruner.BasePruner,
        "group_norm": tp.pruner.GroupNormPruner,
        "bn_scale": tp.pruner.BNScalePruner,
    }
    return classes[kind](
        net, torch.zeros(2, inputs), importance, ignored_layers=[layers_of(net)[-1]]
    )


def score(start: Start, net: nn.Module, name: str) -> Scores:
    """Return every group's scores: name of its first layer -> one entry per node."""
    importance = importance_of(name)
    if name == "taylor":
        _gradients(start, net)
    if name == "hessian":
        _squared_gradients(start, net, importance)
    pruner = pruner_of(net, importance, start.inputs)
    names = {module: key for key, module in net.named_modules()}
    scores = {}
    for group in _groups(pruner):
        values = importance(group)
        if values is not None:
            scores[names[group[0].dep.target.module]] = values.detach()
    net.zero_grad(set_to_none=True)
    return scores


def _groups(pruner: object) -> list[object]:
    groups = pruner.DG.get_all_groups(
        ignored_layers=pruner.ignored_layers, root_module_types=pruner.root_module_types
    )
    return list(groups)


def _gradients(start: Start, net: nn.Module) -> None:
    tuner = Tuner(start, 0.0, distill=0.0)
    tuner.net = net
    net.zero_grad()
    tuner.loss(torch.arange(min(SCORED_ROWS, len(tuner.y)))).backward()


def _squared_gradients(start: Start, net: nn.Module, importance: object) -> None:
    """Sum squared gradients row by row; 1.6.1's own accumulate_grad keeps the last row only."""
    tuner = Tuner(start, 0.0, distill=0.0)
    tuner.net = net
    net.eval()
    sums = {p: torch.zeros_like(p) for p in net.parameters()}
    for row in range(HESSIAN_ROWS):
        net.zero_grad()
        tuner.loss(torch.tensor([row])).backward()
        for p, total in sums.items():
            total.add_(p.grad**2)
    net.train()
    importance._accu_grad = sums
    importance._counter = dict.fromkeys(sums, HESSIAN_ROWS)


def shrink(start: Start, net: nn.Module, scores: Scores, scope: str, budget: Budget) -> None:
    """Cut the fewest, least important nodes that meet the budget; `scope` ranks in each layer or over all."""
    if scope == "layer":
        scores = {name: _ranks(values) for name, values in scores.items()}
    entries = []
    for name, values in scores.items():
        order = values.argsort(stable=True)
        order = order[: max(0, len(order) - FLOOR)]
        entries += [(float(values[index]), name, int(index)) for index in order]
    entries.sort()
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        trial = copy.deepcopy(net)
        _cut(trial, entries[:middle], start.inputs)
        if budget.cost(trial, start.inputs) > budget.limit:
            low = middle + 1
        else:
            high = middle
    _cut(net, entries[:low], start.inputs)


def _ranks(values: Tensor) -> Tensor:
    """Return each node's place in its layer, from 0 to 1."""
    return values.argsort(stable=True).argsort(stable=True) / len(values)


def _cut(net: nn.Module, entries: list[tuple[float, str, int]], inputs: int) -> None:
    going: dict[str, list[int]] = {}
    for _, name, index in entries:
        going.setdefault(name, []).append(index)
    if not going:
        return
    graph = tp.DependencyGraph().build_dependency(net, torch.zeros(2, inputs))
    modules = dict(net.named_modules())
    for name, indices in going.items():
        module = modules[name]
        cut = (
            tp.prune_linear_out_channels
            if isinstance(module, nn.Linear)
            else tp.prune_conv_out_channels
        )
        graph.get_pruning_group(module, cut, sorted(indices)).prune()


def budget_of(case: Case) -> Callable[[float], Budget]:
    """Return the budget at a level of the setting's resource."""
    whole = Budget(case.setting.resource, 0).cost(case.start.net, case.start.inputs)
    return lambda level: Budget(case.setting.resource, level * whole)


def one_shot(case: Case, name: str, scope: str, level: float, rate: float) -> nn.Module:
    """Score, cut, fine-tune for all epochs."""
    net = case.start.copy()
    shrink(case.start, net, score(case.start, net, name), scope, budget_of(case)(level))
    return _fine_tune(net, Tuner(case.start, rate), total_steps(case))


def iterative(case: Case, name: str, scope: str, level: float, rate: float) -> nn.Module:
    """Train at a steady rate and cut in steps, each leaving the same share; then cool down."""
    net, tuner, budget = case.start.copy(), Tuner(case.start, rate), budget_of(case)
    trunk = round(CUTTING_SHARE * total_steps(case))
    done = 0
    for cut in range(1, CUTS + 1):
        until = round(trunk * cut / CUTS)
        tuner.begin(net)
        tuner.steps(until - done, steady)
        done = until
        shrink(case.start, net, score(case.start, net, name), scope, budget(level ** (cut / CUTS)))
    return _fine_tune(net, tuner, total_steps(case) - done)


def sparse_training(
    case: Case, kind: str, strength: float, rate: float
) -> tuple[nn.Module, str, int]:
    """Train the whole net under a regulariser; every level is cut from this one net.

    `group_norm` is torch-pruning's GroupNormPruner, `bn_scale` its BNScalePruner (network slimming), `group_lasso` the
    plain sum of the norms of each node's incoming weights.
    """
    net, tuner = case.start.copy(), Tuner(case.start, rate)
    steps = round(SPARSE_SHARE * total_steps(case))
    ranked_by = "bn" if kind == "bn_scale" else "l2"
    tuner.begin(net)
    tuner.steps(steps, steady, _regulariser(case.start, net, kind, strength, ranked_by))
    return net, ranked_by, steps


def _regulariser(
    start: Start, net: nn.Module, kind: str, strength: float, ranked_by: str
) -> Callable[[nn.Module], None]:
    if kind == "group_lasso":
        return lambda trained: group_lasso(trained, strength)
    pruner = pruner_of(net, importance_of(ranked_by), start.inputs, kind)
    pruner.reg = strength
    pruner.update_regularizer()
    return pruner.regularize


@torch.no_grad()
def group_lasso(net: nn.Module, strength: float) -> None:
    """Add the gradient of strength · Σ_i ‖w_i‖ over the nodes of all layers but the last."""
    for layer in layers_of(net)[:-1]:
        norms = layer.weight.flatten(1).norm(dim=1).clamp_min(1e-8)
        shape = (-1, *[1] * (layer.weight.dim() - 1))
        layer.weight.grad += strength * layer.weight / norms.view(shape)


def cut_after_sparse_training(
    case: Case, trained: tuple[nn.Module, str, int], scope: str, level: float, rate: float
) -> nn.Module:
    """Cut a net that was trained under a regulariser, and fine-tune for the epochs that are left."""
    net, name, steps = copy.deepcopy(trained[0]), trained[1], trained[2]
    shrink(case.start, net, score(case.start, net, name), scope, budget_of(case)(level))
    tuner = Tuner(case.start, rate)
    tuner.step_count = steps
    return _fine_tune(net, tuner, total_steps(case) - steps)


def from_scratch(
    case: Case, shape: list[int] | None, level: float, rate: float, distill: float
) -> nn.Module:
    """Train a small net from fresh weights: a perceptron at our widths, a convolutional net cut evenly."""
    torch.manual_seed(case.seed + 77)
    net = case.start.copy()
    if shape is None:
        scores = score(case.start, net, "l2")
        shrink(case.start, net, scores, "layer", budget_of(case)(level))
    else:
        scores = score(case.start, net, "random")
        entries = [
            (0.0, name, index)
            for (name, values), width in zip(scores.items(), shape, strict=True)
            for index in range(width, len(values))
        ]
        _cut(net, entries, case.start.inputs)
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return _fine_tune(net, Tuner(case.start, rate, distill), total_steps(case))


def total_steps(case: Case) -> int:
    return case.setting.epochs * case.start.steps_per_epoch


def _fine_tune(net: nn.Module, tuner: Tuner, steps: int) -> nn.Module:
    tuner.cool(net, steps)
    return net


def widths(net: nn.Module) -> list[int]:
    return [m.weight.shape[0] for m in layers_of(net)[:-1]]
