"""Changes after which a file means what it meant: other names, places, shapes and opsets, and sizes that are read.

Each raises ValueError where a file has nothing to change so. What a file declares may be false afterwards, as the name
of an axis or its length: then onnxruntime says where it runs still.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import onnx
from onnx import TensorProto, ValueInfoProto, helper, version_converter

from benchmarks.fuzzing.read_sizes import FLOATS, size_read, width_computed, zero_read

T = TypeVar("T")
Change = Callable[[onnx.ModelProto, random.Random], None]
LENGTHS = (1, 2, 3, 7, 8, 16, 24)
OPSETS = (9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)


def names_stripped(model: onnx.ModelProto, chance: random.Random) -> None:
    share = chance.choice((0.5, 1.0))
    for node in model.graph.node:
        if chance.random() < share:
            node.name = ""


def names_repeated(model: onnx.ModelProto, chance: random.Random) -> None:
    """Give some nodes the name of another, which onnxruntime refuses for most."""
    one, other = _two(chance, list(model.graph.node))
    other.name = one.name = one.name or "twice"


def axis_fixed(model: onnx.ModelProto, chance: random.Random) -> None:
    """Give a free axis a length, everywhere where it has its name or in one place alone."""
    chosen = _pick(chance, list(_free(model.graph.input)))
    name, length = chosen.dim_param, chance.choice(LENGTHS)
    everywhere = bool(name) and chance.random() < 0.7
    for dim in _dims(_ports(model)) if everywhere else [chosen]:
        if dim is chosen or dim.dim_param == name:
            dim.dim_value = length


def axis_freed(model: onnx.ModelProto, chance: random.Random) -> None:
    """Declare a fixed length as free, with a name or without."""
    fixed = [dim for dim in _dims(model.graph.input) if dim.HasField("dim_value")]
    _rename(_pick(chance, fixed), chance.choice(("", "length", "batch")))


def axis_unnamed(model: onnx.ModelProto, chance: random.Random) -> None:
    """Take a free axis its name, in one place or everywhere."""
    chosen = _pick(chance, [dim for dim in _dims(_ports(model)) if dim.dim_param])
    name, everywhere = chosen.dim_param, chance.random() < 0.5
    for dim in _dims(_ports(model)) if everywhere else [chosen]:
        if dim.dim_param == name:
            _rename(dim, "")


def axes_renamed(model: onnx.ModelProto, chance: random.Random) -> None:
    """Exchange the names of two free axes, or give one a name that says something else."""
    names = sorted({dim.dim_param for dim in _dims(_ports(model)) if dim.dim_param})
    one = _pick(chance, names)
    other = chance.choice([*names, "batch_size", "seq", "N", "d.0"])
    for dim in _dims(_ports(model)):
        if dim.dim_param in {one, other}:
            _rename(dim, other if dim.dim_param == one else one)


def axes_joined(model: onnx.ModelProto, chance: random.Random) -> None:
    """Give two free axes one name."""
    one, other = _two(chance, list(_free(model.graph.input)))
    name = one.dim_param or "same"
    _rename(one, name)
    _rename(other, name)


def shape_undeclared(model: onnx.ModelProto, chance: random.Random) -> None:
    """Leave the rank of an input or output open."""
    ports = [v for v in _ports(model) if v.type.HasField("tensor_type")]
    _pick(chance, ports).type.tensor_type.ClearField("shape")


def input_turned(model: onnx.ModelProto, chance: random.Random) -> None:
    """Take an input with its axes in another order, and turn it back."""
    value = _pick(chance, [v for v in model.graph.input if _rank(v) > 1])
    perm = _turn(chance, _rank(value))
    back = [perm.index(axis) for axis in range(len(perm))]
    turned = _fresh(model, f"{value.name}_turned")
    _replace_reads(model, value.name, turned)
    node = helper.make_node("Transpose", [value.name], [turned], perm=back)
    model.graph.node.insert(0, node)
    _permute(value, perm)


def output_turned(model: onnx.ModelProto, chance: random.Random) -> None:
    """Answer an output with its axes in another order."""
    value = _pick(chance, [v for v in model.graph.output if _rank(v) > 1])
    perm, inner = _turn(chance, _rank(value)), _fresh(model, f"{value.name}_straight")
    if all(value.name not in node.output for node in model.graph.node):
        raise ValueError("an input is answered")
    _replace_reads(model, value.name, inner)
    for node in model.graph.node:
        for position, name in enumerate(node.output):
            if name == value.name:
                node.output[position] = inner
    model.graph.node.append(helper.make_node("Transpose", [inner], [value.name], perm=perm))
    _permute(value, perm)


def constant_moved(model: onnx.ModelProto, chance: random.Random) -> None:
    """Hold an initializer by a Constant node, or the other way round."""
    graph = model.graph
    nodes = [n for n in graph.node if n.op_type == "Constant" and n.attribute[0].name == "value"]
    if nodes and (chance.random() < 0.5 or not graph.initializer):
        node = chance.choice(nodes)
        tensor = TensorProto()
        tensor.CopyFrom(node.attribute[0].t)
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
        graph.node.remove(node)
        return
    tensor = _pick(chance, list(graph.initializer))
    if any(value.name == tensor.name for value in graph.input):
        raise ValueError("it is an input, too")
    graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    graph.initializer.remove(tensor)


def opset_converted(model: onnx.ModelProto, chance: random.Random) -> None:
    try:
        changed = version_converter.convert_version(model, chance.choice(OPSETS))
    except Exception as error:  # it has many, and they say nothing of us
        raise ValueError("the converter cannot") from error
    model.CopyFrom(changed)


def inner_shapes_changed(model: onnx.ModelProto, chance: random.Random) -> None:
    """Drop all that the file says of values in between, say all that is known, or those of one example."""
    graph, way = model.graph, chance.randrange(3)
    inferred = _inferred(model)
    del graph.value_info[:]
    if way:
        graph.value_info.extend(inferred.graph.value_info)
    if way > 1:
        length = chance.choice((2, 7, 16))
        for dim in _dims(graph.value_info):
            if not dim.HasField("dim_value"):
                dim.dim_value = length


def initializers_listed(model: onnx.ModelProto, chance: random.Random) -> None:
    """List initializers as inputs, as old files do."""
    del chance
    known = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if tensor.name not in known:
            value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            model.graph.input.append(value)


def chain_inserted(model: onnx.ModelProto, chance: random.Random) -> None:
    """Put Identity, or Casts there and back, between a value and one of its readers."""
    kinds = {v.name: int(v.type.tensor_type.elem_type) for v in _all_values(model)}
    made: list[onnx.NodeProto] = []
    node = _pick(chance, [n for n in model.graph.node if any(n.input)])
    position = _pick(chance, [i for i, name in enumerate(node.input) if name])
    at = node.input[position]
    for operator, attributes in _chain(chance, kinds.get(at, 0)):
        name = _fresh(model, f"{at}_on{len(made)}")
        made.append(helper.make_node(operator, [at], [name], **attributes))
        at = name
    node.input[position] = at
    where = list(model.graph.node).index(node)
    for offset, new in enumerate(made):
        model.graph.node.insert(where + offset, new)


def _chain(chance: random.Random, kind: int) -> list[tuple[str, dict[str, Any]]]:
    identity: list[tuple[str, dict[str, Any]]] = [("Identity", {})] * chance.choice((1, 2))
    if kind not in {*FLOATS, TensorProto.INT64} or chance.random() < 0.5:
        return identity
    wide: dict[int, int] = {
        TensorProto.FLOAT: TensorProto.DOUBLE,
        TensorProto.FLOAT16: TensorProto.FLOAT,
    }
    middle = wide.get(kind, kind)
    return [("Cast", {"to": middle}), *identity[:1], ("Cast", {"to": kind})]


def outputs_reordered(model: onnx.ModelProto, chance: random.Random) -> None:
    _shuffle(model.graph.output, chance)


def inputs_reordered(model: onnx.ModelProto, chance: random.Random) -> None:
    _shuffle(model.graph.input, chance)


def output_added(model: onnx.ModelProto, chance: random.Random) -> None:
    """Answer a value in between, too."""
    known = {value.name for value in _ports(model)}
    inner = [v for v in _inferred(model).graph.value_info if v.name not in known]
    model.graph.output.append(_pick(chance, inner))


def value_renamed(model: onnx.ModelProto, chance: random.Random) -> None:
    """Give a value in between a name that other software makes something of."""
    outputs = {value.name for value in model.graph.output}
    made = [n for node in model.graph.node for n in node.output if n and n not in outputs]
    old, new = _pick(chance, made), chance.choice(("a/b:0", "forward", "x..y", "weight.", "é", "0"))
    new = _fresh(model, new)
    _replace_reads(model, old, new)
    for node in model.graph.node:
        for position, name in enumerate(node.output):
            if name == old:
                node.output[position] = new


REWRITES: tuple[Change, ...] = (
    names_stripped,
    names_repeated,
    axis_fixed,
    axis_freed,
    axis_unnamed,
    axes_renamed,
    axes_joined,
    shape_undeclared,
    input_turned,
    input_turned,
    output_turned,
    size_read,
    size_read,
    size_read,
    zero_read,
    width_computed,
    width_computed,
    constant_moved,
    opset_converted,
    inner_shapes_changed,
    initializers_listed,
    chain_inserted,
    chain_inserted,
    outputs_reordered,
    inputs_reordered,
    output_added,
    value_renamed,
)


def _ports(model: onnx.ModelProto) -> list[ValueInfoProto]:
    return [*model.graph.input, *model.graph.output]


def _dims(values: Sequence[ValueInfoProto]) -> Iterator[onnx.TensorShapeProto.Dimension]:
    for value in values:
        yield from value.type.tensor_type.shape.dim


def _free(values: Sequence[ValueInfoProto]) -> Iterator[onnx.TensorShapeProto.Dimension]:
    return (dim for dim in _dims(values) if not dim.HasField("dim_value"))


def _rename(dim: onnx.TensorShapeProto.Dimension, name: str) -> None:
    dim.Clear()
    if name:
        dim.dim_param = name


def _rank(value: ValueInfoProto) -> int:
    return len(value.type.tensor_type.shape.dim)


def _turn(chance: random.Random, rank: int) -> list[int]:
    """Return another order of so many axes; mostly the first goes elsewhere."""
    perm = list(range(rank))
    one, other = (0, chance.randrange(1, rank)) if chance.random() < 0.8 else (0, rank - 1)
    perm[one], perm[other] = perm[other], perm[one]
    return perm


def _permute(value: ValueInfoProto, perm: Sequence[int]) -> None:
    dims = value.type.tensor_type.shape.dim
    turned = [dims[axis] for axis in perm]
    copies = [onnx.TensorShapeProto.Dimension.FromString(d.SerializeToString()) for d in turned]
    del dims[:]
    dims.extend(copies)


def _replace_reads(model: onnx.ModelProto, old: str, new: str) -> None:
    """Let all nodes read another value, those in bodies too."""
    graphs = [model.graph]
    while graphs:
        for node in graphs.pop().node:
            for position, name in enumerate(node.input):
                if name == old:
                    node.input[position] = new
            graphs += [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]


def _all_values(model: onnx.ModelProto) -> list[ValueInfoProto]:
    initializers = [
        helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in model.graph.initializer
    ]
    return [*_inferred(model).graph.value_info, *_ports(model), *initializers]


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(model)
    except Exception as error:  # as above
        raise ValueError("no shapes can be inferred") from error


def _shuffle(values: Sequence[ValueInfoProto], chance: random.Random) -> None:
    if len(values) < 2:
        raise ValueError("there is one alone")
    copies = [ValueInfoProto.FromString(value.SerializeToString()) for value in values]
    chance.shuffle(copies)
    for value, copy in zip(values, copies, strict=True):
        value.CopyFrom(copy)


def _fresh(model: onnx.ModelProto, wish: str) -> str:
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    return next(name for name in (wish, *(f"{wish}_{i}" for i in range(999))) if name not in taken)


def _pick(chance: random.Random, options: Sequence[T]) -> T:
    if not options:
        raise ValueError("there is none")
    return chance.choice(options)


def _two(chance: random.Random, options: Sequence[T]) -> tuple[T, T]:
    if len(options) < 2:
        raise ValueError("there are no two")
    one, other = chance.sample(range(len(options)), 2)
    return options[one], options[other]
