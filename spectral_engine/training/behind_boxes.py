"""What finished boxes are trained by: the boxes and scores that they were chosen from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spectral_engine.data import Split
from spectral_engine.errors import EngineError, InvalidRequest
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.selection import before_selection
from spectral_engine.meaning.boxes import BoxAnswers
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.measure.boxes import Join, Layout, possible_joins
from spectral_engine.measure.rows import are_same
from spectral_engine.onnx_io.row_axes import RowAxes
from spectral_engine.records.recipe import Recipe
from spectral_engine.training.objective import Objective

FEW_ROWS = 4


@dataclass(frozen=True)
class BehindBoxes:
    """Float values [n, …] behind finished boxes: how boxes and scores are joined, where they are, and all others."""

    join: Join | None
    layout: Layout | None
    others: tuple[str, ...]
    rows: RowAxes  # of the module, with what runs together


def behind_boxes(module: OnnxModule, meaning: Meaning, rows: Split) -> BehindBoxes | None:
    """Return what finished boxes were chosen from, tried on some rows; None where nothing can be found or trained.

    Without boxes and scores that go together each value is held to the original's by itself.
    """
    if not isinstance(meaning.layout, BoxAnswers) or not meaning.layout.where.listed:
        return None
    names = before_selection(module.nodes, meaning.outputs)
    names = tuple(name for name in names if name in module.plan.slots)
    few = rows.first(FEW_ROWS)
    values = _values(module, few, names)
    if not values:
        return None
    axes = _together(module, few, values)
    shapes = {name: tuple(value.shape) for name, value in values.items()}
    joins = [join for join in possible_joins(shapes, ()) if not join.finished]
    if not joins:
        return BehindBoxes(None, None, tuple(values), axes)
    join = min(joins, key=lambda join: join.objectness is not None)
    others = tuple(name for name in values if name not in join.names)
    return BehindBoxes(join, _layout(join, values), others, axes)


def _together(module: OnnxModule, rows: Split, values: Mapping[str, Tensor]) -> RowAxes:
    """Return the module's axes of rows, under which these values run together where they are the same so."""
    joint = replace(module.rows, together=frozenset(values))
    if module.rows.at_once is None:
        return joint
    apart = module.rows
    computed = _values(module.lay_rows(joint), rows, tuple(values))
    module.lay_rows(apart)
    same = computed.keys() == values.keys() and all(
        are_same(values[name].numpy(), computed[name].numpy()) for name in values
    )
    return joint if same else apart


def trained_behind(objective: Objective, behind: BehindBoxes | None) -> Objective:
    """Return the objective with the loss of finished boxes read where these were chosen from."""
    if behind is None:
        return objective
    others = tuple(dict.fromkeys([*objective.others, *behind.others]))
    if behind.join is None:
        return replace(objective, others=others)
    return replace(
        objective,
        head=replace(objective.head, value=behind.join.name),
        joins=(behind.join, *objective.joins),
        boxes=behind.layout,
        others=others,
    )


def refuse_patience(objective: Objective, recipe: Recipe) -> None:
    """Raise InvalidRequest where training is to end by a metric of lists that it does not compute."""
    lists = any(join.finished for join in objective.joins)
    if lists and recipe.training.patience is not None:
        raise InvalidRequest(
            "finished boxes are not listed while training, so that no metric can end it: leave patience out",
            pointer="#/recipe/training/patience",
        )


def _layout(join: Join, values: Mapping[str, Tensor]) -> Layout:
    """Say how the scores are scaled; where the boxes lie makes no difference to how far they are apart."""
    scores = [values[name] for name in (join.scores, join.objectness) if name is not None]
    shares = all(bool(((part >= 0) & (part <= 1)).all()) for part in scores)
    return Layout(
        "before selection",
        activation="given" if shares else "sigmoid",
        objectness=join.objectness is not None,
    )


@torch.no_grad()
def _values(module: OnnxModule, rows: Split, names: tuple[str, ...]) -> dict[str, Tensor]:
    """Return those values that hold floats for each row; none where they cannot be computed by themselves."""
    if not names:
        return {}
    inputs = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in rows.arrays.items()}
    try:
        computed = module.compute(inputs, watch=names)
    except EngineError:
        return {}
    return {
        name: value
        for name, value in computed.items()
        if isinstance(value, Tensor)
        and value.is_floating_point()
        and value.dim() > 1
        and len(value) == rows.rows
    }
