"""Which integers of a graph may depend on an axis whose length is open, as the graph itself tells, without a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import ShapeInferencePass

from spectral_engine.onnx_io.node import Node

Flags = NDArray[np.bool_]  # of an integer vector: which entries may depend on an open axis
SAME = {"Identity", "Cast", "Unsqueeze", "Squeeze", "Reshape", "Flatten"}


def may_be_open(model: ir.Model, nodes: Iterable[Node]) -> frozenset[str]:
    """Return the values of which an entry may depend on the length of an open axis.

    Axes that shape inference knows as numbers are closed; numbers that come of all others may be open. Entries are
    followed one by one through what picks, joins and renames them, and whole vectors through all else.
    """
    sizes = _inferred(model)
    flags: dict[str, Flags] = {}
    for node in nodes:
        found = _flags_of(node, sizes, flags)
        if found is not None:
            flags.update(dict.fromkeys(node.outputs, found))
    return frozenset(name for name, open_ in flags.items() if open_.any())


def _inferred(model: ir.Model) -> dict[str, list[int | None]]:
    copy = model.clone()
    ShapeInferencePass(data_prop=True)(copy)
    values = [*copy.graph.inputs, *(value for node in copy.graph for value in node.outputs)]
    return {
        value.name or "": [dim if isinstance(dim, int) else None for dim in value.shape]
        for value in values
        if value.shape is not None
    }


def _flags_of(
    node: Node, sizes: Mapping[str, list[int | None]], flags: Mapping[str, Flags]
) -> Flags | None:
    """Return the flags of a node's outputs, None where none of what it reads may be open."""
    if node.op_type in {"Shape", "Size"}:
        return _of_shape(node, sizes)
    read = [flags[name] for name in node.inputs if name is not None and name in flags]
    if not read:
        return None
    follow = FOLLOWED.get(node.op_type)
    if follow is not None:
        found = follow(node, flags)
        if found is not None:
            return found
    return np.array([any(one.any() for one in read)])


def _of_shape(node: Node, sizes: Mapping[str, list[int | None]]) -> Flags:
    dims = sizes.get(node.input(0))
    if dims is None:
        return np.array([True])
    if node.op_type == "Size":
        return np.array([any(dim is None for dim in dims)])
    found = np.array([dim is None for dim in dims], dtype=bool)
    return found[slice(node.get("start", None), node.get("end", None))]


def _same(node: Node, flags: Mapping[str, Flags]) -> Flags | None:
    return flags.get(node.input(0))


def _picked(node: Node, flags: Mapping[str, Flags]) -> Flags | None:
    source, places = flags.get(node.input(0)), node.constant_ints(1)
    if source is None or places is None or node.get("axis", 0) != 0:
        return None
    if not all(-len(source) <= place < len(source) for place in places):
        return None
    return source[places]


def _sliced(node: Node, flags: Mapping[str, Flags]) -> Flags | None:
    source = flags.get(node.input(0))
    starts, ends = node.constant_ints(1, "starts"), node.constant_ints(2, "ends")
    steps = node.constant_ints(4) if node.has_input(4) else [1]
    if source is None or not (starts and ends and steps) or len(starts) != 1:
        return None
    return source[starts[0] : ends[0] : steps[0]]


def _joined(node: Node, flags: Mapping[str, Flags]) -> Flags | None:
    parts = []
    for position, name in enumerate(node.inputs):
        constant = node.constants.get(position)
        if name is not None and name in flags:
            parts.append(flags[name])
        elif constant is not None:
            parts.append(np.zeros(constant.size, dtype=bool))
        else:
            return None
    return np.concatenate(parts)


Follow = Callable[[Node, Mapping[str, Flags]], Flags | None]
FOLLOWED: dict[str, Follow] = {
    **dict.fromkeys(SAME, _same),
    "Gather": _picked,
    "Slice": _sliced,
    "Concat": _joined,
}
