"""Surgery on the graph: node groups cut out of it, tensors narrowed, constants folded into biases."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.graph.coupling import Coupling, Mark, check_removable
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.graph.ids import GroupAxes
from spectral_engine.onnx_io.initializers import PlaceholderTensor, add_initializer

NARROW = "/narrow"  # ends the names of constants that surgery writes


def cut(model: ir.Model, coupling: Coupling, removed: Mark) -> ir.Model:
    """Return a narrower copy of a model: these node groups are gone from weights, constants and attributes.

    1. Every initializer loses the indices that belong to a removed group.
    2. Every number that states a width (shape constants, `group`, `split`, slice bounds) counts what stays.
    3. Stored shapes of intermediate values are dropped; runtimes infer them again. Inputs and outputs keep theirs.

    Raises ValueError for a group that must stay.
    """
    # Groups are closed: every axis that an index is taken from meets only axes that lose the same one. So each tensor
    # can be narrowed by itself, in any order, and the graph is sound again once all are.
    check_removable(coupling, removed)
    narrow_model = copy_model(model)
    for name, value in narrow_model.graph.initializers.items():
        _narrow_initializer(value, coupling.axes.get(name), removed)
    # With nothing removed the copy is the model, number for number.
    if removed.any():
        _restate(narrow_model, coupling, removed)
    drop_inner_shapes(narrow_model)
    return narrow_model


# Inputs that hold one number for each axis of what is made.
SIZES_OF_EACH_AXIS = {
    *(("Reshape", 1), ("Expand", 1), ("Resize", 2), ("Resize", 3), ("Upsample", 1)),
    *(("ConstantOfShape", 0), ("Tile", 1)),
}


def drop_inner_shapes(model: ir.Model) -> None:
    """Drop what a file says of the shapes of values in between: they may be wider, or those of another length."""
    # Outputs are pinned, so that what the model declares of them still holds. So does how many sizes a vector of them
    # holds, which no width and no length changes; without it onnxruntime's own inference refuses a few files.
    for graph in model.graphs():
        for node in graph:
            for value in node.outputs:
                if not value.is_graph_output() and not _is_vector_of_sizes(value):
                    value.shape = None


def _is_vector_of_sizes(value: ir.Value) -> bool:
    """Say whether a value states a size for each axis of another, and how many it states is known."""
    shape = value.shape
    if shape is None or len(shape) != 1 or not isinstance(shape[0], int):
        return False
    return any((use.node.op_type, use.idx) in SIZES_OF_EACH_AXIS for use in value.uses())


def copy_model(model: ir.Model) -> ir.Model:
    """Return a copy whose initializers can be replaced; tensors never change, so that both share them."""
    return model.clone()


def _narrow_initializer(value: ir.Value, axes: GroupAxes | None, removed: Mark) -> None:
    tensor = value.const_value
    if tensor is None or axes is None:
        return
    # One index set per axis; the entries that stay are their product, which `ix_` takes out in one go.
    indices = kept_indices(tuple(tensor.shape.numpy()), axes, removed)
    if all(len(kept) == size for kept, size in zip(indices, tensor.shape.numpy(), strict=True)):
        return
    shape = [len(kept) for kept in indices]
    if isinstance(tensor, PlaceholderTensor):
        # The weight is held in spectral form elsewhere, and written here when it is folded.
        value.const_value = PlaceholderTensor(value.name or "", tensor.dtype, shape)
    else:
        array = np.ascontiguousarray(tensor.numpy()[np.ix_(*indices)])
        value.const_value = ir.Tensor(array, dtype=tensor.dtype, name=value.name)
    value.shape, value.type = ir.Shape(shape), ir.TensorType(tensor.dtype)


def kept_entries(
    coupling: Coupling, name: str, tensor: ir.TensorProtocol, removed: Mark
) -> tuple[NDArray[np.int64], ...]:
    """Return the index, as `np.ix_` makes it, of what stays of the whole model's initializer."""
    shape = tuple(tensor.shape.numpy())
    axes = coupling.axes.get(name, (None,) * len(shape))
    return np.ix_(*kept_indices(shape, axes, removed))


def kept_indices(shape: tuple[int, ...], axes: GroupAxes, removed: Mark) -> list[NDArray[np.int64]]:
    """Return the indices along each axis that stay."""
    return [
        np.arange(size) if ids is None else np.flatnonzero(~removed[ids])
        for size, ids in zip(shape, axes, strict=True)
    ]


def _restate(model: ir.Model, coupling: Coupling, removed: Mark) -> None:
    """Write the widths that stay into the places that state them, and hold what must not follow them."""
    by_output = {n.outputs[0].name or "": n for graph in model.graphs() for n in graph}
    # Settled numbers come first, at their values in the wide model; facts are written over them, entry by entry: a
    # vector may state widths that shrink beside numbers that must not.
    constants = {(item.node, item.input): item.numbers.copy() for item in coupling.frozen}
    for fact in coupling.facts:
        # Every width is written at every cut: the numbers below it are those of the wide model, and a vector of which
        # one entry changes now may hold another that an earlier cut changed.
        # A width counts indices, not groups: a group that stands at several places of the axis counts as often.
        number = fact.sign * int((~removed[fact.ids]).sum())
        if fact.attribute is not None:
            _set_attribute(by_output[fact.node], fact.attribute, fact.entry, number)
        elif fact.input is not None and fact.old is not None:
            numbers = constants.setdefault((fact.node, fact.input), fact.old.copy())
            numbers.reshape(-1)[fact.entry or 0] = number
    for (output, position), numbers in constants.items():
        _replace_constant(model, by_output[output], position, numbers)


def _set_attribute(node: ir.Node, name: str, entry: int | None, number: int) -> None:
    if entry is None:
        node.attributes[name] = ir.AttrInt64(name, number)
        return
    numbers = list(node.attributes[name].as_ints())
    numbers[entry] = number
    node.attributes[name] = ir.AttrInt64s(name, numbers)


def _replace_constant(
    model: ir.Model, node: ir.Node, position: int, numbers: NDArray[np.int64]
) -> None:
    """Give a node a constant of its own where it does not read these numbers yet: others may read the old one."""
    old = node.inputs[position]
    assert old is not None
    if old.const_value is not None and np.array_equal(old.const_value.numpy(), numbers):
        return
    name = f"{old.name}/{node.outputs[0].name}".removesuffix(NARROW) + NARROW
    if name in model.graph.initializers:  # a node may read one value twice, as other numbers
        name = f"{name.removesuffix(NARROW)}/{position}{NARROW}"
    node.replace_input_with(position, add_initializer(model, name, numbers))
    # What nobody reads any more would stand in the file for nothing.
    if old.name and old.is_initializer() and not old.uses() and not old.is_graph_output():
        assert old.graph is not None
        del old.graph.initializers[old.name]


def narrow(tensor: Tensor, axes: GroupAxes, removed: Mark) -> Tensor:
    """Return a tensor without the indices of removed groups."""
    for axis, ids in enumerate(axes):
        if ids is not None and removed[ids].any():
            keep = torch.from_numpy(np.flatnonzero(~removed[ids])).to(tensor.device)
            tensor = tensor.detach().index_select(axis, keep)
    return tensor


def left_behind(
    weight: Tensor, transfer: Transfer, ids: GroupAxes, removed: Mark, mean: Tensor
) -> Tensor:
    """Return what a transfer's removed inputs gave its outputs on average: Σ_removed W · mean [out].

    `mean` [in] holds each input node's mean. A kernel's entries add up; padded borders see a little less than that.
    """
    assert transfer.in_axis is not None
    inputs = ids[transfer.in_axis]
    assert inputs is not None
    # Σ W x over the removed columns, with x replaced by its mean: exact for a node that is constant, and else what is
    # closest in the mean square among constants.
    gone = torch.from_numpy(removed[inputs]).to(weight.device)
    turned = weight.detach().movedim((transfer.out_axis, transfer.in_axis), (0, 1))  # [out, in, …]
    summed = turned.flatten(2).sum(dim=2) if turned.dim() > 2 else turned  # [out, in]
    left: Tensor = transfer.gain * (summed[:, gone] @ mean[gone])  # [out]
    return left
