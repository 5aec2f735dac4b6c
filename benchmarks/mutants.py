"""Mutants of ONNX files: written another way, or with edges, shapes, attributes, types, nodes and bytes changed."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress

import onnx
from onnx import TensorProto

from benchmarks.fuzzing.rewrites import REWRITES, Change

# Shares of all mutants, one after the other: bytes, rewrites, rewrites and damage; all others are damaged alone.
BYTES_ALONE, REWRITTEN_ALONE, REWRITTEN = 0.04, 0.6, 0.8
MOST_TRIES = 12
INTS = (-(2**31), -7, -2, -1, 0, 1, 2, 3, 5, 64, 1000, 2**31 - 1, 2**62)
WEIGHTS = (0.0, -1.0, 1e-30, 1e-42, 1e4)
FLOATS = (0.0, -1.0, 0.5, 1e-30, 1e30, float("inf"), float("nan"))
TYPES = (
    TensorProto.FLOAT,
    TensorProto.INT64,
    TensorProto.INT32,
    TensorProto.DOUBLE,
    TensorProto.BOOL,
    TensorProto.FLOAT16,
    TensorProto.UINT8,
    TensorProto.STRING,
    TensorProto.FLOAT8E5M2,
    99,
)
OPERATORS = (
    *("Relu", "Add", "Mul", "MatMul", "Transpose", "Reshape", "Softmax", "Concat", "Slice"),
    *("Gather", "Squeeze", "Unsqueeze", "ReduceMean", "Conv", "Gemm", "Expand", "Identity"),
    *("Cast", "Shape", "Flatten", "Pad", "TopK", "Where", "Split", "Resize", "Loop", "Nothing"),
)


def mutant(source: bytes, seed: int) -> tuple[bytes, list[str]]:
    """Return a changed file, and what was done to it; the same seed does the same.

    Most are rewritten so that they mean what they meant, some are damaged, and some are both.
    """
    chance = random.Random(seed)
    way = chance.random()
    if way < BYTES_ALONE:
        return BYTES[chance.randrange(len(BYTES))](source, chance), ["bytes"]
    model = onnx.load_from_string(source)
    done: list[str] = []
    if way < REWRITTEN:
        done += _changed(model, chance, REWRITES, chance.choice((1, 1, 2, 2, 3, 4)))
    if way > REWRITTEN_ALONE:
        done += _changed(model, chance, CHANGES, chance.choice((1, 1, 2, 3)))
    return model.SerializeToString(), done


def _changed(
    model: onnx.ModelProto, chance: random.Random, changes: Sequence[Change], count: int
) -> list[str]:
    """Change a model so often, and return the names of what could be done."""
    done: list[str] = []
    for _ in range(MOST_TRIES):
        change = chance.choice(changes)
        with suppress(ValueError, IndexError):  # what an earlier change left may not bear this one
            change(model, chance)
            done.append(change.__name__)
        if len(done) == count:
            break
    return done


def truncated(source: bytes, chance: random.Random) -> bytes:
    return source[: chance.randrange(len(source))]


def flipped(source: bytes, chance: random.Random) -> bytes:
    changed = bytearray(source)
    for _ in range(chance.choice((1, 4, 16))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def values_of(model: onnx.ModelProto) -> list[str]:
    graph = model.graph
    names = [value.name for value in (*graph.input, *graph.initializer)]
    return [*names, *(name for node in graph.node for name in node.output), "nowhere", ""]


def node_of(model: onnx.ModelProto, chance: random.Random) -> onnx.NodeProto:
    node: onnx.NodeProto = chance.choice(model.graph.node)
    return node


def edges_swapped(model: onnx.ModelProto, chance: random.Random) -> None:
    a, b = node_of(model, chance), node_of(model, chance)
    if a.input and b.input:
        i, j = chance.randrange(len(a.input)), chance.randrange(len(b.input))
        a.input[i], b.input[j] = b.input[j], a.input[i]


def edge_moved(model: onnx.ModelProto, chance: random.Random) -> None:
    node = node_of(model, chance)
    if node.input:
        node.input[chance.randrange(len(node.input))] = chance.choice(values_of(model))


def edge_added_or_dropped(model: onnx.ModelProto, chance: random.Random) -> None:
    node = node_of(model, chance)
    if node.input and chance.random() < 0.5:
        del node.input[-1]
    else:
        node.input.append(chance.choice(values_of(model)))


def output_renamed(model: onnx.ModelProto, chance: random.Random) -> None:
    node = node_of(model, chance)
    if node.output:
        node.output[chance.randrange(len(node.output))] = chance.choice(values_of(model))


def node_repeated(model: onnx.ModelProto, chance: random.Random) -> None:
    copy = onnx.NodeProto()
    copy.CopyFrom(node_of(model, chance))
    if chance.random() < 0.5:
        for i, name in enumerate(copy.output):
            copy.output[i] = f"{name}_again"
    model.graph.node.insert(chance.randrange(len(model.graph.node)), copy)


def node_removed(model: onnx.ModelProto, chance: random.Random) -> None:
    model.graph.node.remove(node_of(model, chance))


def node_moved(model: onnx.ModelProto, chance: random.Random) -> None:
    node = node_of(model, chance)
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    model.graph.node.remove(node)
    model.graph.node.insert(chance.randrange(len(model.graph.node) + 1), copy)


def operator_replaced(model: onnx.ModelProto, chance: random.Random) -> None:
    node_of(model, chance).op_type = chance.choice(OPERATORS)


def attribute_changed(model: onnx.ModelProto, chance: random.Random) -> None:
    carriers = [node for node in model.graph.node if node.attribute]
    if not carriers:
        return
    attribute = chance.choice(chance.choice(carriers).attribute)
    kind = attribute.type
    if kind == onnx.AttributeProto.INT:
        attribute.i = chance.choice(INTS)
    elif kind == onnx.AttributeProto.FLOAT:
        attribute.f = chance.choice(FLOATS)
    elif kind == onnx.AttributeProto.INTS and attribute.ints:
        attribute.ints[chance.randrange(len(attribute.ints))] = chance.choice(INTS)
    elif kind == onnx.AttributeProto.STRING:
        attribute.s = chance.choice((b"", b"SAME_UPPER", b"\xff\xfe", b"linear", b"nothing"))
    else:
        attribute.name = chance.choice(("axis", "perm", "value", "pads", "alpha"))


def attribute_dropped(model: onnx.ModelProto, chance: random.Random) -> None:
    carriers = [node for node in model.graph.node if node.attribute]
    if carriers:
        node = chance.choice(carriers)
        node.attribute.remove(chance.choice(node.attribute))


def list_changed(model: onnx.ModelProto, chance: random.Random) -> None:
    carriers = [a for n in model.graph.node for a in n.attribute if a.ints]
    if carriers:
        attribute = chance.choice(carriers)
        if chance.random() < 0.5:
            del attribute.ints[-1]
        else:
            attribute.ints.append(chance.choice(INTS))


def shape_changed(model: onnx.ModelProto, chance: random.Random) -> None:
    if not model.graph.initializer:
        return
    tensor = chance.choice(model.graph.initializer)
    way = chance.randrange(3)
    if way == 0 and tensor.dims:
        tensor.dims[chance.randrange(len(tensor.dims))] = chance.choice(INTS)
    elif way == 1:
        turned = list(reversed(tensor.dims))
        del tensor.dims[:]
        tensor.dims.extend(turned)
    else:
        tensor.dims.append(chance.choice((0, 1, 1, 2)))


def numbers_changed(model: onnx.ModelProto, chance: random.Random) -> None:
    """Change shapes, axes and indices that are held as constants."""
    constants = [t for t in model.graph.initializer if t.data_type == TensorProto.INT64]
    constants += [
        a.t
        for n in model.graph.node
        for a in n.attribute
        if a.type == onnx.AttributeProto.TENSOR and a.t.data_type == TensorProto.INT64
    ]
    if constants:
        tensor = chance.choice(constants)
        array = onnx.numpy_helper.to_array(tensor).copy().reshape(-1)
        if array.size:
            array[chance.randrange(array.size)] = chance.choice(INTS)
            tensor.ClearField("int64_data")
            tensor.raw_data = array.tobytes()


def type_changed(model: onnx.ModelProto, chance: random.Random) -> None:
    kind = chance.choice(TYPES)
    if chance.random() < 0.5 and model.graph.initializer:
        chance.choice(model.graph.initializer).data_type = kind
    else:
        chance.choice(model.graph.input).type.tensor_type.elem_type = kind


def input_reshaped(model: onnx.ModelProto, chance: random.Random) -> None:
    dims = chance.choice(model.graph.input).type.tensor_type.shape.dim
    if dims and chance.random() < 0.7:
        dims[chance.randrange(len(dims))].dim_value = chance.choice((0, 1, 2, 3, 9))
    else:
        dims.add().dim_value = chance.choice((1, 2))


def opset_changed(model: onnx.ModelProto, chance: random.Random) -> None:
    model.opset_import[0].version = chance.choice((1, 7, 9, 11, 12, 13, 17, 18, 20, 21, 23, 99))


def weights_scaled(model: onnx.ModelProto, chance: random.Random) -> None:
    """Put a strange number into a weight; not one so large that single precision has no right answer."""
    weights = [
        t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT and t.raw_data
    ]
    if weights:
        tensor = chance.choice(weights)
        array = onnx.numpy_helper.to_array(tensor).copy().reshape(-1)
        if array.size:
            array[chance.randrange(array.size)] = chance.choice(WEIGHTS)
            tensor.raw_data = array.tobytes()


BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (truncated, flipped, flipped)
CHANGES: tuple[Change, ...] = (
    edges_swapped,
    edge_moved,
    edge_added_or_dropped,
    output_renamed,
    node_repeated,
    node_removed,
    node_moved,
    operator_replaced,
    attribute_changed,
    attribute_changed,
    attribute_dropped,
    list_changed,
    shape_changed,
    numbers_changed,
    numbers_changed,
    type_changed,
    input_reshaped,
    opset_changed,
    weights_scaled,
)
