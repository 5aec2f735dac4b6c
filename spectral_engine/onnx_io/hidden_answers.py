"""Float tensors inside a graph that hold what its outputs tell in another form: maps, labels, one column each.

A classifier of scikit-learn gives a label and a list of maps from class to probability; others give the place of the
largest score alone. What can be judged and trained is the float tensor that feeds these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import onnx
import onnx_ir as ir
from onnx import TensorProto

KEPT = "hidden answers"  # of a graph's meta
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
# Operators whose answers are no floats, or steps: a small change of what they read changes nothing.
STEPS = {
    *("ArgMax", "ArgMin", "Hardmax", "NonZero", "NonMaxSuppression", "OneHot", "Shape", "Size"),
    *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not", "Xor"),
    *("Round", "Sign", "Floor", "Ceil", "IsNaN", "IsInf", "Multinomial", "Bernoulli"),
    *("SequenceConstruct", "SequenceInsert", "SequenceEmpty", "SplitToSequence", "Optional"),
    *("ZipMap", "LabelEncoder", "Binarizer", "CastMap", "DictVectorizer", "CategoryMapper"),
}
OF_SHAPES = {"Shape", "Size"}
# Operators that take a part of their first input, or lay it out anew.
PARTS = {"Slice", "Split", "Gather", "ArrayFeatureExtractor"}
# Operators whose weights stand in the graph.
TRANSFERS = {"MatMul", "Gemm", "FusedMatMul", "FusedGemm", "Conv"}
LAYOUTS = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Cast"}


@dataclass
class _Graph:
    """What makes each value, and through which values a change of an input reaches what follows."""

    nodes: Iterable[onnx.NodeProto]
    tables: set[str]  # float initializers
    smooth: set[
        str
    ]  # float inputs at first, then all that is made of them or of tables, step by step
    stepped: set[str] = field(default_factory=set)  # what is made of steps alone, as labels
    producers: dict[str, onnx.NodeProto] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.nodes:
            self.producers.update(dict.fromkeys(node.output, node))
            if self._is_smooth(node):
                self.smooth.update(node.output[:1] if node.op_type == "TopK" else node.output)
            elif node.op_type not in OF_SHAPES and (self.smooth | self.stepped) & set(node.input):
                self.stepped.update(node.output)

    def _is_smooth(self, node: onnx.NodeProto) -> bool:
        read = set(node.input[:1] if node.op_type in PARTS | LAYOUTS else node.input)
        if _is_step(node) or not read & (self.smooth | self.tables):
            return False
        if node.op_type in TRANSFERS and read & self.tables:
            return True  # its weights can be trained, also behind inputs that were encoded in steps
        # A table looked up by a label is a label, by its name; one looked up by an input is an embedding.
        return bool(read & self.smooth) or not self.stepped & set(node.input)


def hidden_answers(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Return the float tensors behind outputs that cannot be judged themselves; none where outputs can be.

    An output can be judged where it holds floats, and is not one number for a whole batch, one column of several, or
    the largest of several.
    """
    inputs = {value.name for value in graph.input}
    tables = {tensor.name for tensor in graph.initializer if tensor.data_type in FLOATS}
    floats = {value.name for value in graph.input if is_float(value.type)}
    inner = _Graph(graph.node, tables, floats - tables)
    told = [value for value in graph.output if is_float(value.type) and not _is_scalar(value)]
    if any(not _is_column(value) and not _is_sorted(value.name, inner) for value in told):
        return ()
    others = [value.name for value in graph.output if not is_float(value.type)]
    behind = _common_table([value.name for value in told], inner)
    behind += [name for other in others for name in _behind(other, inner)]
    openly = {*inputs, *(value.name for value in graph.output)}
    return tuple(name for name in dict.fromkeys(behind) if name not in openly)


def is_float(kind: onnx.TypeProto) -> bool:
    """Tell whether a type is a tensor of floats."""
    return kind.tensor_type.elem_type in FLOATS


def _is_scalar(value: onnx.ValueInfoProto) -> bool:
    """Tell whether an output is declared to be one number for the whole batch."""
    kind = value.type.tensor_type
    return kind.HasField("shape") and not kind.shape.dim


def _is_column(value: onnx.ValueInfoProto) -> bool:
    """Tell whether an output is declared to be one number for each row."""
    kind = value.type.tensor_type
    sizes = [dim.dim_value for dim in kind.shape.dim]
    return kind.HasField("shape") and all(size == 1 for size in sizes[1:])


def _is_sorted(value: str, graph: _Graph) -> bool:
    """Tell whether an output gives the largest entries of a row: which these are stands elsewhere."""
    node = graph.producers.get(value)
    while node is not None and node.op_type in LAYOUTS:
        node = graph.producers.get(node.input[0])
    return node is not None and node.op_type == "TopK"


def _is_step(node: onnx.NodeProto) -> bool:
    if node.op_type == "Cast":
        return next((a.i for a in node.attribute if a.name == "to"), 0) not in FLOATS
    return node.op_type in STEPS


def _behind(value: str, graph: _Graph) -> Iterator[str]:
    """Yield the nearest values behind one through which gradients flow."""
    waiting, seen = [value], {value}
    while waiting:
        name = waiting.pop()
        if name in graph.smooth:
            yield name
        elif name in graph.producers:
            further = [one for one in graph.producers[name].input if one and one not in seen]
            seen.update(further)
            waiting += reversed(further)


def _common_table(outputs: list[str], graph: _Graph) -> list[str]:
    """Return the value of which several outputs are one column each, as probabilities by class."""
    tables = {_table_of(name, graph) for name in outputs}
    table = tables.pop() if len(outputs) > 1 and len(tables) == 1 else None
    return [] if table is None else [table]


def _table_of(value: str, graph: _Graph) -> str | None:
    is_part = False
    while (node := graph.producers.get(value)) is not None and node.op_type in PARTS | LAYOUTS:
        is_part = is_part or node.op_type in PARTS
        value = node.input[0]
    return value if is_part else None


def keep_hidden(model: ir.Model, graph: onnx.GraphProto) -> None:
    """Note at a graph which of its values are hidden answers of the file that it was read from."""
    note_hidden(model, hidden_answers(graph))


def note_hidden(model: ir.Model, hidden: tuple[str, ...]) -> None:
    """Note at a graph which of its values are hidden answers, where there are any."""
    if hidden:
        model.graph.meta[KEPT] = hidden


def kept_hidden(model: ir.Model) -> tuple[str, ...]:
    """Return the hidden answers that were noted at a graph, or at what it is a copy of."""
    hidden: tuple[str, ...] = model.graph.meta.get(KEPT, ())
    return hidden
