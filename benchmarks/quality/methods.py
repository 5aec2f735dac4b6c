"""Every method under one face: a grid of knobs, and a fit that gives a net or an ONNX file."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from torch import nn

from benchmarks.quality import links, nets, ours, pruners
from benchmarks.quality.search import Grid, Option
from benchmarks.quality.settings import RATES
from benchmarks.quality.start import Case
from benchmarks.quality.tuning import error

SCOPES = ("layer", "all")
STRENGTHS = {
    "group_norm": (1e-4, 1e-3),  # torch-pruning's default and its benchmark's order
    "bn_scale": (1e-5, 1e-4),
    "group_lasso": (1e-4, 1e-3),
}


@dataclass
class Fitted:
    """A compressed model and what it costs; `error` reads 'validation' or 'test'."""

    error: Callable[[str], float]
    nodes: int
    macs: int
    widths: list[int]


Fit = Callable[[Case, float, Option, dict[Any, Any]], Fitted]


@dataclass(frozen=True)
class Method:
    """`grid` is searched on validation rows; `fit` may keep in `shared` what levels have in common."""

    name: str
    grid: Grid
    fit: Fit


def methods_for(case: Case) -> list[Method]:
    """Return what is compared on this kind of setting, ours first: others ask for its widths."""
    if case.setting.resource == "links":
        return _for_links()
    by_rate: Grid = {"rate": RATES}
    ranked = by_rate | {"scope": SCOPES}
    methods = [
        Method("ours", by_rate, partial(_ours, dense=False)),
        Method("ours, dense form", by_rate, partial(_ours, dense=True)),
    ]
    for score in ("l1", "l2", "taylor", "hessian", "random"):
        methods.append(Method(f"{score}, one-shot", ranked, partial(_cut, pruners.one_shot, score)))
    scores = ["l1", "l2", "taylor", "hessian"]
    kinds = ["group_norm", "group_lasso"]
    if case.setting.resource == "macs":
        scores.append("bn")
        kinds.append("bn_scale")
    for score in scores:
        methods.append(
            Method(f"{score}, iterative", ranked, partial(_cut, pruners.iterative, score))
        )
    for kind in kinds:
        grid = ranked | {"strength": STRENGTHS[kind]}
        methods.append(Method(kind, grid, partial(_sparse, kind)))
    return [*methods, Method("from scratch", by_rate | {"distill": (0.0, 0.5)}, _scratch)]


def _for_links() -> list[Method]:
    by_rate: Grid = {"rate": RATES}
    return [
        Method("ours", by_rate, partial(_ours, dense=False)),
        Method("ours, dense form", by_rate, partial(_ours, dense=True)),
        Method("gradual magnitude", by_rate, partial(_linked, "gmp")),
        Method("SET", by_rate, partial(_linked, "set")),
        Method("RigL", by_rate, partial(_linked, "rigl")),
        Method("static ERK", by_rate, partial(_linked, "static")),
    ]


def _ours(case: Case, level: float, option: Option, shared: dict[Any, Any], dense: bool) -> Fitted:
    recipe = ours.recipe_for(case, level, option["rate"])
    built, model = ours.compress(case, recipe, dense=dense)
    shape = ours.widths(case, built)
    if not dense:
        shared["our widths", level] = shape
    macs = built.effective_cost.macs
    return Fitted(partial(ours.error, case, model), built.cost.nodes, macs, shape)


def _cut(
    way: Callable[..., nn.Module],
    score: str,
    case: Case,
    level: float,
    option: Option,
    shared: dict[Any, Any],
) -> Fitted:
    del shared
    return _of_net(case, way(case, score, option["scope"], level, option["rate"]))


def _sparse(kind: str, case: Case, level: float, option: Option, shared: dict[Any, Any]) -> Fitted:
    key = (kind, option["strength"], option["rate"])
    if key not in shared:
        shared[key] = pruners.sparse_training(case, kind, option["strength"], option["rate"])
    net = pruners.cut_after_sparse_training(
        case, shared[key], option["scope"], level, option["rate"]
    )
    return _of_net(case, net)


def _scratch(case: Case, level: float, option: Option, shared: dict[Any, Any]) -> Fitted:
    shape = shared.get(("our widths", level)) if case.setting.resource == "nodes" else None
    net = pruners.from_scratch(case, shape, level, option["rate"], option["distill"])
    return _of_net(case, net)


def _linked(
    rule: links.Rule,
    case: Case,
    level: float,
    option: Option,
    shared: dict[Any, Any],
) -> Fitted:
    del shared
    net = links.train(case, rule, level, option["rate"])
    kept = int(sum(m.mask.sum() for m in links.masked_layers(net)))
    fitted = partial(_net_error, case, net)
    return Fitted(fitted, sum(_live_nodes(net)), kept, _live_nodes(net))


def _live_nodes(net: nn.Module) -> list[int]:
    """Return the hidden nodes that still have links on both sides."""
    layers = list(links.masked_layers(net))
    return [int(((a.mask.sum(1) > 0) & (b.mask.sum(0) > 0)).sum()) for a, b in pairwise(layers)]


def _of_net(case: Case, net: nn.Module) -> Fitted:
    return Fitted(
        partial(_net_error, case, net),
        nets.hidden_nodes(net),
        nets.macs(net, case.start.inputs),
        pruners.widths(net),
    )


def _net_error(case: Case, net: nn.Module, part: str) -> float:
    data = case.start.data
    return error(net, getattr(data, part), regression=data.regression)
