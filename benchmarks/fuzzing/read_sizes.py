"""Sizes that a graph reads from shapes while it runs, spliced in for constants of the same value."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# By operator, the inputs that hold sizes or bounds.
SIZED = {
    "Reshape": (1,),
    "Expand": (1,),
    "ConstantOfShape": (0,),
    "Tile": (1,),
    "Slice": (1, 2),
    "Split": (1,),
    "Resize": (3,),
    "Concat": (0, 1, 2, 3, 4),
    "Gather": (1,),
    "Div": (1,),
    "TopK": (1,),
}
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
SHAPE_IN_PARTS = 15  # the opset from which Shape takes a start and an end


@dataclass(frozen=True)
class ConstantInput:
    """A constant vector of integers that a node reads."""

    node: int
    position: int
    numbers: NDArray[np.int64]


def size_read(model: onnx.ModelProto, chance: random.Random) -> None:
    """Read one size of a constant target from a value of that length; other entries stay as they are."""
    candidates = [
        (target, entry, source)
        for target in _constant_inputs(model)
        for entry, number in enumerate(target.numbers.reshape(-1).tolist())
        if number > 0
        for source in _values_of_length(model, number, target.node)
    ]
    if not candidates:
        raise ValueError("no value has a length that stands in a constant")
    # Each place as often as another, though some lengths stand in many values.
    at = chance.choice(
        sorted({(target.node, target.position, entry) for target, entry, _ in candidates})
    )
    chosen = [one for one in candidates if (one[0].node, one[0].position, one[1]) == at]
    target, entry, (name, axis) = chance.choice(chosen)
    _splice(model, target, entry, (name, axis), chance)


def zero_read(model: onnx.ModelProto, chance: random.Random) -> None:
    """Read what a Reshape says by 0, 'as it comes', from the shape of its input."""
    nodes = model.graph.node
    candidates = [
        (target, entry)
        for target in _constant_inputs(model)
        if nodes[target.node].op_type == "Reshape" and not nodes[target.node].attribute
        for entry, number in enumerate(target.numbers.reshape(-1).tolist())
        if number == 0
    ]
    if not candidates:
        raise ValueError("no reshape leaves a length as it comes")
    target, entry = chance.choice(candidates)
    _splice(model, target, entry, (nodes[target.node].input[0], entry), chance)


def width_computed(model: onnx.ModelProto, chance: random.Random) -> None:
    """Multiply a value of a float type by a length that is read, over the number that it is: by one."""
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*model.graph.input, *_inferred(model))}
    readers = [
        (at, position)
        for at, node in enumerate(model.graph.node)
        for position, name in enumerate(node.input)
        if kinds.get(name) in FLOATS and node.op_type not in {"Shape", "Size"}
    ]
    if not readers:
        raise ValueError("no node reads floats")
    at, position = chance.choice(readers)
    lengths = [(s, n) for n in range(2, 33) for s in _values_of_length(model, n, at)]
    if not lengths:
        raise ValueError("no length is known")
    source, length = chance.choice(lengths)
    node, made = model.graph.node[at], _Made(model, f"share{len(model.graph.node)}")
    kind = kinds[node.input[position]]
    number = chance.choice(ROUTES)(made, _read_number(made, *source, chance))
    share = made.node("Div", [made.node("Cast", [number], to=kind), made.float(length, kind)])
    node.input[position] = made.node("Mul", [node.input[position], share])
    for offset, new in enumerate(made.nodes):
        model.graph.node.insert(at + offset, new)


def _constant_inputs(model: onnx.ModelProto) -> Iterator[ConstantInput]:
    constants = {t.name: t for t in model.graph.initializer if t.data_type == TensorProto.INT64}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].t.data_type == TensorProto.INT64:
            constants[node.output[0]] = node.attribute[0].t
    for at, node in enumerate(model.graph.node):
        for position in SIZED.get(node.op_type, ()):
            name = node.input[position] if position < len(node.input) else ""
            if name in constants and not constants[name].external_data:
                yield ConstantInput(at, position, numpy_helper.to_array(constants[name]))


def _values_of_length(
    model: onnx.ModelProto, length: int, before: int
) -> Iterator[tuple[str, int]]:
    """Yield the axes of this length of weights, of inputs, and of what nodes before this one give."""
    graph = model.graph
    for tensor in graph.initializer:
        yield from ((tensor.name, axis) for axis, dim in enumerate(tensor.dims) if dim == length)
    ready = {name for node in graph.node[:before] for name in node.output}
    ready |= {value.name for value in graph.input}
    for value in (*graph.input, *_inferred(model)):
        if value.name in ready and value.type.HasField("tensor_type"):
            for axis, dim in enumerate(value.type.tensor_type.shape.dim):
                if dim.dim_value == length:
                    yield value.name, axis


def _inferred(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    try:
        return list(onnx.shape_inference.infer_shapes(model).graph.value_info)
    except Exception:  # it has many, for files that are not sound
        return []


def _splice(
    model: onnx.ModelProto,
    target: ConstantInput,
    entry: int,
    source: tuple[str, int],
    chance: random.Random,
) -> None:
    """Put nodes before the one that reads the constant, which work out the same numbers."""
    made = _Made(model, f"read{len(model.graph.node)}")
    number = _read_number(made, *source, chance)
    flat = target.numbers.reshape(-1)
    parts = [made.constant(flat[:entry])] if entry else []
    parts.append(number)
    if entry + 1 < len(flat):
        parts.append(made.constant(flat[entry + 1 :]))
    whole = made.node("Concat", parts, axis=0) if len(parts) > 1 else number
    if target.numbers.ndim == 0:
        whole = made.node("Reshape", [whole, made.constant(np.empty(0, np.int64))])
    model.graph.node[target.node].input[target.position] = whole
    for offset, node in enumerate(made.nodes):
        model.graph.node.insert(target.node + offset, node)


def _read_number(made: _Made, name: str, axis: int, chance: random.Random) -> str:
    """Return a vector [1] with the length of an axis, read in one of the ways that exporters have."""
    opset = next((o.version for o in made.model.opset_import if not o.domain), 1)
    ways = [_by_gather, _by_scalar]
    if opset >= SHAPE_IN_PARTS:
        ways.append(_by_part)
    read = chance.choice(ways)(made, name, axis)
    if chance.random() < 0.2:
        read = made.node("Cast", [read], to=TensorProto.INT32)
        read = made.node("Cast", [read], to=TensorProto.INT64)
    if chance.random() < 0.2:
        read = made.node("Mul", [read, made.constant(np.array([1]))])
    return read


def _by_gather(made: _Made, name: str, axis: int) -> str:
    return made.node(
        "Gather", [made.node("Shape", [name]), made.constant(np.array([axis]))], axis=0
    )


def _by_scalar(made: _Made, name: str, axis: int) -> str:
    shape = made.node("Shape", [name])
    scalar = made.node("Gather", [shape, made.constant(np.array(axis))], axis=0)
    return made.node("Reshape", [scalar, made.constant(np.array([1]))])


def _by_part(made: _Made, name: str, axis: int) -> str:
    return made.node("Shape", [name], start=axis, end=axis + 1)


def _straight(made: _Made, number: str) -> str:
    del made
    return number


def _as_table(made: _Made, number: str) -> str:
    return made.node("Reshape", [number, made.constant(np.array([1, 1]))])


def _expanded(made: _Made, number: str) -> str:
    table = made.node("Expand", [number, made.constant(np.array([2, 1]))])
    return made.node("Gather", [table, made.constant(np.array([1]))], axis=0)


def _joined(made: _Made, number: str) -> str:
    pair = made.node("Concat", [made.constant(np.array([5])), number], axis=0)
    return made.node("Slice", [pair, made.constant(np.array([1])), made.constant(np.array([2]))])


def _tiled(made: _Made, number: str) -> str:
    row = made.node("Tile", [number, made.constant(np.array([3]))])
    return made.node("ReduceMax", [row], keepdims=1)


def _counted(made: _Made, number: str) -> str:
    return made.node("Shape", [made.node("ConstantOfShape", [number])])


def _turned(made: _Made, number: str) -> str:
    return made.node("Transpose", [_as_table(made, number)], perm=[1, 0])


ROUTES = (_straight, _as_table, _expanded, _joined, _tiled, _counted, _turned)


class _Made:
    """Nodes and constants that are added to a graph under names of their own."""

    def __init__(self, model: onnx.ModelProto, prefix: str) -> None:
        self.model, self.prefix = model, prefix
        self.nodes: list[onnx.NodeProto] = []
        self.count = 0

    def _name(self) -> str:
        self.count += 1
        return f"{self.prefix}_{self.count}"

    def constant(self, numbers: NDArray[np.int64]) -> str:
        """Add a constant."""
        name = self._name()
        tensor = numpy_helper.from_array(numbers.astype(np.int64), name)
        self.model.graph.initializer.append(tensor)
        return name

    def float(self, number: int, kind: int) -> str:
        """Add a number of a float type."""
        name = self._name()
        array = np.array(number, helper.tensor_dtype_to_np_dtype(kind))
        self.model.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        """Add a node of one output."""
        name = self._name()
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name
