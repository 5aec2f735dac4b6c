"""Rows through a graph: together where it takes them so, else one run after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import onnx_ir as ir
import torch
from torch import Tensor

from spectral_engine.onnx_io.row_axes import Dim, RowAxes, declared_row_axes
from spectral_engine.records.rows import lengths_of

Tensors = Mapping[str, Tensor]


def module_axes(model: ir.Model) -> RowAxes:
    """Return the axes that a graph declares; as a module it takes any number of rows, though frozen to one."""
    graph = model.graph
    axes = declared_row_axes(
        {value.name or "": dims_of(value) for value in graph.inputs},
        {value.name or "": dims_of(value) for value in graph.outputs},
    )
    has_rows = any(axis is not None for axis in axes.inputs.values())
    return replace(axes, at_once=None) if has_rows else axes


def dims_of(value: ir.Value) -> list[Dim]:
    """Return the dimensions that a value declares: numbers, names, or None."""
    if value.shape is None:
        return []
    return [dim if isinstance(dim, int) else dim.value for dim in value.shape]


def run_rows(
    run: Callable[[Tensors], dict[str, Tensor]],
    inputs: Tensors,
    axes: RowAxes,
    answers: Mapping[str, int | None],
) -> dict[str, Tensor]:
    """Run rows [n, …] of inputs; of the result, `answers` come with their rows first."""
    count = len(next(iter(inputs.values()))) if inputs else 1
    if axes.at_once is None:
        return _by_row(run(taken(inputs, axes)), answers, count)
    parts = []
    for start in range(0, count, axes.at_once):
        rows = {name: value[start : start + axes.at_once] for name, value in inputs.items()}
        wanted = min(axes.at_once, count - start)
        if axes.ragged:
            parts.append(_run_sample(run, rows, axes, answers))
            continue
        by_row = _by_row(run(taken(_filled(rows, axes.at_once), axes)), answers, axes.at_once)
        parts.append({n: v[:wanted] if n in answers else v for n, v in by_row.items()})
    return {name: _joined([_at_least_1d(part[name]) for part in parts]) for name in parts[0]}


def _run_sample(
    run: Callable[[Tensors], dict[str, Tensor]],
    rows: Tensors,
    axes: RowAxes,
    answers: Mapping[str, int | None],
) -> dict[str, Tensor]:
    """Run one row as long as it is; answers that follow it have zeros behind its end."""
    told = {lengths_of(name) for name in axes.ragged}
    sample = {name: value for name, value in rows.items() if name not in told}
    for name, axis in axes.ragged.items():
        sample[name] = sample[name].narrow(axis + 1, 0, int(rows[lengths_of(name)][0]))
    by_row = _by_row(run(taken(sample, axes)), answers, 1)
    for name, follows in axes.follow.items():
        if name in by_row and name in answers:
            for axis, followed in follows.items():
                longest = rows[followed].shape[axes.ragged[followed] + 1]
                by_row[name] = _with_zeros(by_row[name], axis + 1, longest)
    return by_row


def _with_zeros(value: Tensor, axis: int, longest: int) -> Tensor:
    missing = [*value.shape]
    missing[axis] = longest - value.shape[axis]
    return torch.cat([value, value.new_zeros(missing)], dim=axis)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Return values of runs one after the other; along other axes the shorter ones repeat."""
    if len({part.shape[1:] for part in parts}) == 1 or len({part.dim() for part in parts}) > 1:
        return torch.cat([*parts])
    for axis in range(1, parts[0].dim()):
        longest = max(part.shape[axis] for part in parts)
        parts = [
            part.index_select(
                axis, torch.arange(longest, device=part.device) % max(1, part.shape[axis])
            )
            for part in parts
            if part.shape[axis]
        ]
    return torch.cat([*parts])


def taken(inputs: Tensors, axes: RowAxes) -> dict[str, Tensor]:
    """Return rows as the graph takes them."""
    laid_out = {}
    for name, value in inputs.items():
        axis = axes.of_input(name)
        if axis is None:
            laid_out[name] = value[0]
        else:
            laid_out[name] = value if axis == 0 else value.movedim(0, axis)
    return laid_out


def _filled(rows: Tensors, at_once: int) -> Tensors:
    """Repeat the last row up to the number that runs at once."""
    missing = at_once - len(next(iter(rows.values())))
    if not missing:
        return rows
    return {
        name: torch.cat([value, value[-1:].expand(missing, *value.shape[1:])])
        for name, value in rows.items()
    }


def _by_row(values: Tensors, answers: Mapping[str, int | None], run: int) -> dict[str, Tensor]:
    by_row = dict(values)
    for name, axis in answers.items():
        if name not in by_row:
            continue
        if axis is None and run == 1:
            by_row[name] = by_row[name][None]
        elif axis is not None and by_row[name].dim() > axis:
            by_row[name] = _rows_apart(by_row[name].movedim(axis, 0), run)
    return by_row


def _rows_apart(value: Tensor, rows: int) -> Tensor:
    """Give several entries for each row, one row after the other, an axis of their own."""
    several, rest = divmod(len(value), rows)
    return value.reshape(rows, several, *value.shape[1:]) if several > 1 and not rest else value


def _at_least_1d(value: Tensor) -> Tensor:
    return value if value.dim() else value[None]
