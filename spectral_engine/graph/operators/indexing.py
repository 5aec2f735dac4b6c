"""Reading and writing by index."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder, Transfer
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import axis_in, ids_or_fresh, normal
from spectral_engine.graph.operators.selecting import (
    compress_coupling,
    gather_elements_coupling,
    gather_nd_coupling,
    scatter_elements_coupling,
    scatter_nd_coupling,
)
from spectral_engine.graph.operators.types import check_size, torch_type
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node

REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def wrapped(indices: Tensor, size: int, device: torch.device) -> Tensor:
    """Return indices on the device, those from the end counted from the front."""
    indices = indices.long()
    return torch.where(indices < 0, indices + size, indices).to(device)


def gather(node: Node, mode: Mode) -> Function:
    """Take whole slices by index; negative indices count from the end."""
    axis = node.get("axis", 0)
    known = node.constants.get(1)
    if known is not None and known.ndim == 0:
        index = int(known)
        return lambda x, _indices: x.select(axis, index)

    def function(x: Tensor, indices: Tensor) -> Tensor:
        dim = axis_in(axis, max(x.dim(), 1))
        flat = wrapped(indices.flatten(), x.shape[dim], x.device)
        slices = x.index_select(dim, flat)
        return slices.reshape((*x.shape[:dim], *indices.shape, *x.shape[dim + 1 :]))

    return function


def gather_elements(node: Node, mode: Mode) -> Function:
    """One element per index, along an axis."""
    axis = node.get("axis", 0)
    return lambda x, indices: x.gather(axis, wrapped(indices, x.shape[axis], x.device))


def gather_nd(node: Node, mode: Mode) -> Function:
    """Slices by rows of indices, behind `batch_dims` axes in common."""
    batch = node.get("batch_dims", 0)

    def function(x: Tensor, indices: Tensor) -> Tensor:
        return x[_batch_coordinates(x, batch, indices.dim() - 1) + _coordinates(x, indices, batch)]

    return function


def _coordinates(x: Tensor, indices: Tensor, first: int = 0) -> tuple[Tensor, ...]:
    columns = indices.unbind(-1)
    return tuple(wrapped(c, x.shape[first + i], x.device) for i, c in enumerate(columns))


def _batch_coordinates(x: Tensor, batch: int, rank: int) -> tuple[Tensor, ...]:
    return tuple(
        torch.arange(x.shape[i], device=x.device).view(-1, *[1] * (rank - 1 - i))
        for i in range(batch)
    )


def scatter_elements(node: Node, mode: Mode) -> Function:
    """One update per index, along an axis: it replaces what is there, or is combined with it."""
    axis, reduction = node.get("axis", 0), node.get("reduction", "none")

    def function(x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        wrapped_indices = wrapped(indices, x.shape[axis], x.device)
        if reduction == "none":
            return x.scatter(axis, wrapped_indices, updates.to(x.device))
        return x.scatter_reduce(axis, wrapped_indices, updates.to(x.device), REDUCTIONS[reduction])

    return function


def scatter_nd(node: Node, mode: Mode) -> Function:
    """Slices written by rows of indices: they replace what is there, or are combined with it."""
    reduction = node.get("reduction", "none")

    def function(x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        coordinates = _coordinates(x, indices)
        if reduction in {"none", "add"}:
            return x.index_put(coordinates, updates.to(x.device), accumulate=reduction == "add")
        return _reduce_slices(x, coordinates, updates.to(x.device), REDUCTIONS[reduction])

    return function


def _reduce_slices(x: Tensor, coordinates: tuple[Tensor, ...], updates: Tensor, how: str) -> Tensor:
    """Combine slices with those in place, as elements of the flattened tensor."""
    depth = len(coordinates)
    rows = torch.zeros_like(coordinates[0])
    for coordinate, size in zip(coordinates, x.shape[:depth], strict=True):
        rows = rows * size + coordinate
    width = x[(0,) * depth].numel()
    inside = torch.arange(width, device=x.device)
    flat = (rows.reshape(-1, 1) * width + inside).flatten()
    return x.flatten().scatter_reduce(0, flat, updates.flatten(), how).view(x.shape)


def tensor_scatter(node: Node, mode: Mode) -> Function:
    """A cache with new entries written along an axis, from each sample's own place on."""
    axis, circular = node.get("axis", -2), node.get("mode", "linear") == "circular"

    def function(cache: Tensor, update: Tensor, start: Tensor | None = None) -> Tensor:
        dim, batch = axis % cache.dim(), cache.shape[0]
        first = torch.zeros(batch, dtype=torch.int64) if start is None else start.long()
        positions = first.to(cache.device)[:, None] + torch.arange(
            update.shape[dim], device=cache.device
        )
        positions = positions % cache.shape[dim] if circular else positions
        shape = [batch, *[1] * (cache.dim() - 1)]
        shape[dim] = update.shape[dim]
        return cache.scatter(dim, positions.view(shape).expand(update.shape), update)

    return function


def one_hot(node: Node, mode: Mode) -> Function:
    """`values` gives what stands off and at the place; indices outside give no place at all."""
    axis = node.get("axis", -1)

    def function(indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
        count = int(depth.flatten()[0])
        check_size(node, [*indices.shape, count])
        positions = torch.arange(count, device=indices.device)
        wanted = indices.long().unsqueeze(axis)
        shape = [1] * wanted.dim()
        shape[axis] = count
        wanted = torch.where(wanted < 0, wanted + count, wanted)
        off, on = values.to(indices.device).unbind()
        return torch.where(wanted == positions.view(shape), on, off)

    return function


def non_zero(node: Node, mode: Mode) -> Function:
    """The places of all that is not zero, one row per axis."""
    return lambda x: x.nonzero().t().contiguous()


def compress(node: Node, mode: Mode) -> Function:
    """Slices along an axis, or elements, that a condition chooses; it may be shorter than what it chooses from."""
    axis = node.get("axis", None)

    def function(x: Tensor, condition: Tensor) -> Tensor:
        chosen = condition.nonzero().flatten().to(x.device)
        return x.flatten()[chosen] if axis is None else x.index_select(axis, chosen)

    return function


def trilu(node: Node, mode: Mode) -> Function:
    """The upper or lower triangle of the last two axes."""
    part: Any = torch.triu if node.get("upper", 1) else torch.tril
    return lambda x, k=None: part(x, 0 if k is None else int(k))


def eye_like(node: Node, mode: Mode) -> Function:
    """Ones on the k-th diagonal."""
    offset, to = node.get("k", 0), node.get("dtype", None)
    dtype = None if to is None else torch_type(node, to)

    def function(x: Tensor) -> Tensor:
        ones = torch.ones(x.shape, dtype=dtype or x.dtype, device=x.device)
        return ones.triu(offset).tril(offset)

    return function


def reverse_sequence(node: Node, mode: Mode) -> Function:
    """Each sample's first `lengths` entries backwards."""
    batch_axis, time_axis = node.get("batch_axis", 1), node.get("time_axis", 0)

    def function(x: Tensor, lengths: Tensor) -> Tensor:
        turned = x.movedim((batch_axis, time_axis), (0, 1))
        steps = torch.arange(turned.shape[1], device=x.device)
        last = lengths.to(x.device).long()[:, None]
        source_steps = torch.where(steps < last, last - 1 - steps, steps)
        rows = torch.arange(turned.shape[0], device=x.device)[:, None]
        return turned[rows, source_steps].movedim((0, 1), (batch_axis, time_axis))

    return function


def gather_coupling(node: Node, book: CouplingRecorder) -> None:
    """What is looked up by index must stay where it is; the other axes keep their nodes."""
    source, indices, target = node.input(0), node.input(1), node.outputs[0]
    if source in book.origins and 1 in node.constants:
        entries = node.constants[1].reshape(-1)
        book.origins[target] = tuple(book.origins[source][int(entry)] for entry in entries)
    ids = ids_or_fresh(source, book)
    if not ids:
        return
    axis = normal(node.get("axis", 0), len(ids))
    book.pin(ids[axis], "is looked up by index")
    book.write(target, (*ids[:axis], *book.ids(indices), *ids[axis + 1 :]))
    if book.is_weight(source) and len(ids) == 2:
        _lookup(node, axis, book)


def _lookup(node: Node, axis: int, book: CouplingRecorder) -> None:
    """Record that the rows of a table make the nodes along its other axis, as a one-hot vector times it would."""
    table, order = book.constant(node.input(0)) or (node.input(0), (0, 1))
    if book.axis(table, order[1 - axis]) is None:
        return
    book.add_inner_transfer(
        Transfer(
            name=node.name, kind="lookup", weight=table, out_axis=order[1 - axis], in_axis=order[axis], bias=None,
            source=node.input(1), output=node.outputs[0], macs_per_link=0,
        )
    )  # fmt: skip


def whole_axes_coupling(node: Node, book: CouplingRecorder) -> None:
    """Nodes along the axes that places speak of must stay; the others pass."""
    source = node.input(0)
    rank = len(book.shapes[source])
    named = (0, 1) if node.op_type != "Trilu" else (rank - 2, rank - 1)
    for axis in named:
        book.pin(book.axis(source, axis), f"{node.op_type} reads its places")
    if node.op_type != "EyeLike":
        book.pass_on(source, node.outputs[0])


register(
    {
        "Gather": OperatorSpec(gather, gather_coupling, weights=(0,)),
        "GatherElements": OperatorSpec(gather_elements, gather_elements_coupling),
        "GatherND": OperatorSpec(gather_nd, gather_nd_coupling),
        **dict.fromkeys(
            ("ScatterElements", "Scatter"),
            OperatorSpec(scatter_elements, scatter_elements_coupling, in_single=True),
        ),
        "ScatterND": OperatorSpec(scatter_nd, scatter_nd_coupling, in_single=True),
        "TensorScatter": OperatorSpec(tensor_scatter, in_single=True),
        "OneHot": OperatorSpec(one_hot, read_by_python=(1,)),
        "NonZero": OperatorSpec(non_zero),
        "Compress": OperatorSpec(compress, compress_coupling),
        "Trilu": OperatorSpec(trilu, whole_axes_coupling, read_by_python=(1,)),
        "EyeLike": OperatorSpec(eye_like, whole_axes_coupling),
        "ReverseSequence": OperatorSpec(reverse_sequence, whole_axes_coupling),
    },
)
